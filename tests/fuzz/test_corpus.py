"""Every input that was a fault once ends well today; and the fuzzer finds what it is to find."""

import contextlib
import importlib
import signal
from pathlib import Path
from types import FrameType

import pytest

pytest.importorskip("onnx", reason="the seeds of model files are written by onnx")

import mutate
from engine import Run, fault_of
from laennec.errors import LaennecError
from run import CORPUS, fuzz
from targets import TARGETS, Target, missing
from watch import Board, Limits

KEPT = sorted(path for path in CORPUS.glob("*/*") if path.parent.name in TARGETS)
MOST_S = 5
TINY = Limits(cpu_s=0.3, wall_s=3.0, memory_bytes=2**30)


class TooLong(BaseException):
    """No Exception, so that nothing takes it for an error of a file."""


def _too_long(number: int, frame: FrameType | None) -> None:
    raise TooLong(f"above {MOST_S} s of the processor")


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_a_fault_ends_well(path: Path, tmp_path: Path) -> None:
    target = TARGETS[path.parent.name]
    if lacking := missing(target):
        pytest.skip(f"needs {', '.join(lacking)}")
    for module in target.modules:
        importlib.import_module(module)
    signal.signal(signal.SIGPROF, _too_long)
    signal.setitimer(signal.ITIMER_PROF, MOST_S)
    try:
        with contextlib.suppress(LaennecError):
            target.run(path.read_bytes(), tmp_path)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def test_the_corpus_is_small_and_each_folder_is_a_target() -> None:
    assert sum(path.stat().st_size for path in KEPT) < 200_000
    assert {path.parent for path in KEPT} == set(CORPUS.glob("*"))


@pytest.mark.parametrize("name", [name for name, target in TARGETS.items() if not target.needs])
def test_the_first_seed_is_right(name: str, tmp_path: Path) -> None:
    assert fault_of(TARGETS[name], TARGETS[name].seeds()[0], tmp_path) == ""


def _faulty(data: bytes, folder: Path) -> None:
    if b"nan" in data:
        raise ZeroDivisionError
    raise LaennecError("no number")


def test_a_fault_is_found_made_small_and_kept_once(tmp_path: Path) -> None:
    target = Target(_faulty, lambda: [b"1\t2\n"], mutate.change_text(("nan", "inf", "1")))
    counts = fuzz(target, tmp_path / "corpus", 60, 60, 0, "plain", TINY)
    (kept,) = (tmp_path / "corpus").iterdir()
    assert kept.read_bytes() == b"nan"
    assert counts["faults"] == {kept.name: "ZeroDivisionError in fuzz/test_corpus.py, _faulty"}
    assert (counts["inputs"], counts["accepted"]) == (60, 0)
    again = fuzz(target, tmp_path / "corpus", 60, 60, 1, "plain", TINY)
    assert again["faults"] == counts["faults"]


def _hanging(data: bytes, folder: Path) -> None:
    while data:
        pass


def test_a_hang_is_ended_and_made_small(tmp_path: Path) -> None:
    counts = fuzz(
        Target(_hanging, lambda: [b"xy"], mutate.change_bytes), tmp_path / "corpus", 0.1, 1, 0, "plain", TINY
    )
    assert list(counts["faults"].values()) == ["hang"]
    assert [path.stat().st_size for path in (tmp_path / "corpus").iterdir()] == [1]


def _growing(data: bytes, folder: Path) -> None:
    held = []
    while True:
        held.append(bytearray(2**26))


def test_a_process_that_grows_is_ended(tmp_path: Path) -> None:
    target = Target(_growing, lambda: [b"x"], mutate.change_bytes)
    counts = fuzz(target, tmp_path / "corpus", 1, 1, 0, "plain", Limits(cpu_s=9, memory_bytes=2**29))
    assert set(counts["faults"].values()) == {"memory"}


def test_mutations_are_the_same_each_time(tmp_path: Path) -> None:
    seen: list[list[bytes]] = [[], []]
    for inputs in seen:
        target = Target(lambda data, _, to=inputs: to.append(data), lambda: [b'{"a": 1}'], mutate.change_json)
        run = Run(target, tmp_path / "none", tmp_path, Board(), TINY)
        run.go(60, 50, 3, "plain", 0)
    assert seen[0] == seen[1]
    assert len(set(seen[0])) > 20
