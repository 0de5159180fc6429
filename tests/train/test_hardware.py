"""Precision and threads: chosen by timing when a run begins, written down, and kept when it goes on."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import pytest
import torch

from laennec.train import hardware as module
from laennec.train.hardware import (
    FULL,
    HALF,
    Hardware,
    Trial,
    choose_precision,
    choose_threads,
    settled,
)
from laennec.train.recipe import Recipe, changed_settings, load_recipe, recipe_to_dict

AUTO = load_recipe("nguyen2022-source")


def clock_of(*seconds: float) -> Callable[[], float]:
    """Return a clock by which the candidates, in their turns, take so long."""

    def readings() -> Iterator[float]:
        now = 0.0
        for own in cycle(seconds):
            yield now
            now += own
            yield now

    return readings().__next__


def no_trial() -> Trial:
    raise AssertionError("nothing is to be timed")


@pytest.mark.parametrize(
    ("full_s", "half_s", "chosen"), [(1.0, 0.5, HALF), (0.5, 1.0, FULL), (1.0, 1.0, FULL), (1.0, 0.97, FULL)]
)
def test_the_faster_precision_is_chosen_and_the_full_one_on_a_tie(
    full_s: float, half_s: float, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_products", lambda precision: None)
    before = torch.get_num_threads()
    found, seconds = choose_precision(clock_of(full_s, half_s))
    assert found == chosen
    assert seconds == pytest.approx({FULL: full_s, HALF: half_s})
    assert torch.get_num_threads() == before


def test_a_disturbed_round_does_not_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_products", lambda precision: None)
    # Rounds of full and half precision: the first warms up, and in the third somebody else ran.
    found, _ = choose_precision(clock_of(9, 9, 1, 2, 50, 2, 1, 2))
    assert found == FULL


@pytest.mark.parametrize(("one_s", "all_s", "chosen"), [(1.0, 0.6, 4), (0.6, 1.0, 1), (1.0, 0.9, 1)])
def test_threads_are_chosen_by_the_time_of_a_step(one_s: float, all_s: float, chosen: int) -> None:
    used = []
    trial = Trial(lambda: used.append(torch.get_num_threads()))
    found, ahead, seconds = choose_threads(trial, 4, clock_of(one_s, all_s))
    assert (found, ahead, set(used)) == (chosen, False, {1, 4})
    assert seconds == pytest.approx({"with 1": one_s, "with 4": all_s})


@pytest.mark.parametrize(
    ("all_s", "ahead_s", "chosen"),
    [(1.0, 0.7, (1, True)), (1.0, 0.9, (1, False)), (0.6, 0.7, (2, False)), (0.7, 0.6, (1, True))],
)
def test_the_next_batch_is_prepared_beside_a_step_where_that_is_the_fastest(
    all_s: float, ahead_s: float, chosen: tuple[int, bool]
) -> None:
    used = []
    trial = Trial(lambda: None, lambda: used.append(torch.get_num_threads()))
    found = choose_threads(trial, 2, clock_of(1.0, all_s, ahead_s))
    assert found[:2] == chosen
    assert set(used) == {1}


def test_the_products_that_are_timed_are_computed_in_both_precisions() -> None:
    seconds = choose_precision()[1]
    assert min(seconds.values()) > 0
    assert max(seconds.values()) < 1


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Stand in for the timing: what it would choose now."""
    now: dict[str, object] = {"precision": FULL, "threads": 1, "ahead": False}
    monkeypatch.setattr(module, "cores", lambda: 4)
    monkeypatch.setattr(module, "_timed_precision", lambda: (now["precision"], {FULL: 0.002, HALF: 0.001}))
    seconds = {"with 1": 0.03, "with 4": 0.02}
    monkeypatch.setattr(module, "choose_threads", lambda trial, most: (now["threads"], now["ahead"], seconds))
    return now


def test_a_run_keeps_what_it_began_with(
    timed: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    auto = Hardware("cpu")
    timed |= {"precision": HALF, "threads": 4}
    began = settled(auto, AUTO, tmp_path, lambda: Trial(lambda: None))
    assert (began.precision, began.threads) == (HALF, 4)
    said = capsys.readouterr().err
    assert "precision bf16-mixed, the faster here (2.0 ms 32-true, 1.0 ms bf16-mixed)" in said
    assert "4 threads (30.0 ms with 1, 20.0 ms with 4 a step of a few examples)" in said
    timed |= {"precision": FULL, "threads": 1}
    assert settled(auto, AUTO, tmp_path, no_trial) == began
    # Another network of the same command has threads of its own, and the same precision.
    timed |= {"ahead": True}
    other = settled(auto, load_recipe("chen2022-cnn"), tmp_path, lambda: Trial(lambda: None))
    assert (other.precision, other.threads, other.ahead) == (HALF, 1, True)
    assert "1 thread, the next batch beside (30.0 ms with 1" in capsys.readouterr().err
    assert settled(auto, load_recipe("chen2022-cnn"), tmp_path, no_trial) == other
    kept = json.loads((tmp_path / "arithmetic.json").read_text())
    assert kept["threads"] == {"nguyen2022-source": 4, "chen2022-cnn": 1}
    assert settled(began, AUTO, tmp_path / "elsewhere", no_trial) == began


def test_what_is_given_wins_over_timing(
    timed: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = load_recipe("nguyen2022-source", precision=HALF)
    given = settled(Hardware("cpu", threads=3), recipe, tmp_path, no_trial)
    assert (given.precision, given.threads) == (HALF, 3)
    fewer = settled(Hardware("cpu", threads=2), recipe, tmp_path, no_trial)
    assert fewer.threads == 2
    assert "2 threads, 3 before: the last bits will differ" in capsys.readouterr().err
    # Several threads are not safe in a forked process.
    forked = settled(Hardware("cpu", jobs=2), recipe, tmp_path, no_trial)
    assert forked.threads == 1
    assert "1 thread, 2 before: the last bits will differ" in capsys.readouterr().err
    several = settled(Hardware("cpu", devices=2), AUTO, tmp_path / "ddp", no_trial)
    assert several.threads == 2  # two processes share four cores


def test_folders_of_before_are_gone_on_with() -> None:
    earlier = recipe_to_dict(AUTO) | {"precision": HALF}
    assert changed_settings(earlier, AUTO, "recipe.json") == []
    assert changed_settings(earlier, load_recipe(AUTO.name, precision=FULL), "recipe.json") == ["precision"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE"), ({"GOMP_SPINCOUNT": "1000"}, "None")],
)
def test_idle_threads_do_not_spin(given: dict[str, str], expected: str) -> None:
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
    environment = {name: value for name, value in os.environ.items() if name not in names} | given
    command = "import laennec, os; print(os.environ.get('OMP_WAIT_POLICY'))"
    done = subprocess.run(
        [sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected


def test_every_training_command_takes_a_precision() -> None:
    from laennec.reproduce.jobs import ChenJob, NguyenJob
    from laennec.train.jobs import CrossValidationJob, DetectorJob, TrainJob, TransferJob

    for job in (TrainJob, CrossValidationJob, TransferJob, DetectorJob, ChenJob, NguyenJob):
        assert {"precision", "threads"} <= set(job.__dataclass_fields__), job


def test_recipes_choose_by_timing() -> None:
    assert Recipe("any").precision == "auto"
