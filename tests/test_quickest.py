"""The quicker of two shipped models: chosen by timing, remembered, and by nothing else than speed."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from laennec.cli import analyze as command_line
from laennec.cli.analyze_arguments import Analyze
from laennec.model import load, quickest
from laennec.model.load import load_model, model_path
from laennec.model.quickest import CHOICE, EXACT, SMALL, cache_folder, computer, trial


@pytest.fixture
def contents() -> dict[str, bytes]:
    return {name: model_path(name).read_bytes() for name in (EXACT, SMALL)}


def clock_of(exact_s: float, small_s: float) -> Callable[[], float]:
    """A clock by which the models, which take turns, run that long."""

    def ticks() -> Iterator[float]:
        now = 0.0
        while True:
            for seconds in (exact_s, small_s):
                yield now
                now += seconds
                yield now

    told = ticks()
    return lambda: next(told)


@pytest.mark.parametrize(
    ("exact_s", "small_s", "taken"), [(2.0, 1.0, SMALL), (1.0, 2.0, EXACT), (1.0, 0.95, EXACT)]
)
def test_the_quicker_one_is_taken(
    exact_s: float, small_s: float, taken: str, contents: dict[str, bytes]
) -> None:
    made = trial(contents, clock_of(exact_s, small_s))
    assert made["model"] == taken
    assert made["seconds"] == pytest.approx({EXACT: exact_s, SMALL: small_s})
    assert 0 < made["largest_error"] < quickest.LARGEST_ERROR / 2


def test_one_that_computes_something_else_is_not_taken(
    contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quickest, "LARGEST_ERROR", 1e-4)
    assert trial(contents, clock_of(2.0, 1.0))["model"] == EXACT


def test_a_trial_takes_a_moment(contents: dict[str, bytes]) -> None:
    taken = []
    for _ in range(3):
        began = time.process_time()
        trial(contents)
        taken.append(time.process_time() - began)
    assert min(taken) < 0.15  # .05 on a quiet machine


def test_the_choice_is_remembered(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    assert quickest.quickest(folder, clock_of(2.0, 1.0)) == SMALL
    assert quickest.quickest(folder, clock_of(1.0, 2.0)) == SMALL  # nothing is run
    (kept,) = json.loads((folder / CHOICE).read_text()).values()
    assert kept["model"] == SMALL


def test_another_computer_and_other_files_are_tried_anew(
    contents: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = computer(contents)
    assert computer({**contents, SMALL: contents[SMALL] + b"x"}) != here
    assert quickest.quickest(tmp_path, clock_of(2.0, 1.0)) == SMALL
    monkeypatch.setattr(quickest, "_processor", lambda: ["another"])
    assert computer(contents) != here
    assert quickest.quickest(tmp_path, clock_of(1.0, 2.0)) == EXACT
    assert len(json.loads((tmp_path / CHOICE).read_text())) == 2  # a home that two computers share


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"HERE": 3}', '{"HERE": {"model": "other"}}'])
def test_a_damaged_memory_costs_another_trial(
    damage: str, contents: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / CHOICE).write_text(damage.replace("HERE", computer(contents)))
    assert quickest.quickest(tmp_path, clock_of(2.0, 1.0)) == SMALL
    assert json.loads((tmp_path / CHOICE).read_text())[computer(contents)]["model"] == SMALL


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert quickest.quickest(tmp_path / "file" / "cache", clock_of(2.0, 1.0)) == SMALL


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(quickest.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "laennec"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "laennec"
    monkeypatch.setattr(quickest.sys, "platform", "darwin")
    assert cache_folder() == tmp_path / "Library" / "Caches" / "laennec"


@pytest.mark.parametrize("name", [EXACT, SMALL])
def test_auto_is_one_of_both_by_name_and_hash(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(load, "quickest", lambda: name)
    monkeypatch.chdir(tmp_path)
    model = load_model("auto")
    assert model.sha256 == load.SHIPPED[name]
    assert model.card.name == name
    assert model_path("auto") == model_path(name)


def test_results_of_both_do_not_mix_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng, out = np.random.default_rng(0), tmp_path / "out"
    (tmp_path / "ward").mkdir()
    for name in ("a", "b"):
        samples = 0.1 * rng.standard_normal(2 * 8000)
        soundfile.write(tmp_path / "ward" / f"{name}.wav", samples, 8000)

    def named_in_results(model: str) -> tuple[set[str], bool]:
        job = Analyze((tmp_path / "ward",), out=out, format="json", model=model)
        assert command_line.run(job) == 0
        content = [json.loads((out / f"{name}.json").read_text()) for name in ("a", "b")]
        return {each["model"]["sha256"] for each in content}, "2 done before" in capsys.readouterr().out

    assert named_in_results(EXACT) == ({load.SHIPPED[EXACT]}, False)
    monkeypatch.setattr(load, "quickest", lambda: EXACT)
    assert named_in_results("auto") == ({load.SHIPPED[EXACT]}, True)
    monkeypatch.setattr(load, "quickest", lambda: SMALL)
    assert named_in_results("auto") == ({load.SHIPPED[SMALL]}, False)
    assert named_in_results(SMALL) == ({load.SHIPPED[SMALL]}, True)
