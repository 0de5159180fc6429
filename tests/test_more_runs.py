"""Runs of a row that were trained later, beside those that are kept."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
from laennec.errors import LaennecError
from laennec.experiments.more_runs import add
from laennec.experiments.predictions import keep_row, read_manifest, read_row
from laennec.files import sha256_of, write_json
from laennec.reproduce.nguyen2022_baselines import baseline_file
from laennec.reproduce.nguyen2022_tables import collected
from laennec.score.predictions import Predictions, write_predictions

ROW, NAME = "Scratch_Cyc_SamplePad", "cohort"
RECIPE = {"epochs": 150, "patience": 60}
SETTINGS = {"epochs": 150, "patience": 60, "late_best_share": 0.0, "trainings": 4, "seconds_a_fold": 40.0}


def a_run(seed: int, count: int = 60) -> Predictions:
    rng = np.random.default_rng(seed)
    crackle = np.round(rng.uniform(size=count), 6)
    labels = tuple("crackle" if k % 3 == 0 else "normal" for k in range(count))
    names, subjects = (
        tuple(f"{of}{k // size:02}" for k in range(count)) for of, size in (("c", 1), ("p", 4))
    )
    return Predictions(names, subjects, labels, ("normal", "crackle"), np.stack([1 - crackle, crackle], 1))


def a_reproduction(out: Path, run: int, predictions: Predictions, folds: int = 2) -> Path:
    """A folder as ``laennec reproduce nguyen2022`` leaves it, of one run of one row."""
    write_json(out / "protocol.json", {"folds": folds})
    write_predictions(baseline_file(out, "all"), a_run(9))
    for fold in range(folds):
        folder = out / "rows" / ROW / f"run-{run}" / f"fold-{fold + 1}"
        rows = [row for row in range(len(predictions.labels)) if row % folds == fold]
        write_predictions(folder / "predictions.csv", predictions.chosen(rows))
        facts = {"recipe": RECIPE, "best_epoch": 99, "seconds": 300.0, "source": None, "precision": "32-true"}
        write_json(folder / "fold.json", facts)
    return out


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """Two kept runs of a row, and what is published of them."""
    runs = [a_run(0), a_run(1)]
    keep_row(tmp_path / "kept", NAME, ROW, runs, {"command": "laennec reproduce", "seed": [0, 1]})
    published = collected({ROW: runs}, {}, {ROW: SETTINGS}, draws=20)
    return tmp_path / "kept", {"protocol": {"folds": 2}, **published}


def test_a_later_run_is_one_more_column_and_the_row_is_measured_again(
    kept: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, result = kept
    add(a_reproduction(tmp_path / "out", 3, a_run(2)), NAME, folder, result, "laennec reproduce --runs 3")
    runs = read_row(folder / f"{NAME}-{ROW}.csv.gz")
    for own, seed in zip(runs, (0, 1, 2), strict=True):
        assert own.clip_ids == a_run(0).clip_ids  # whatever the order of the folds
        np.testing.assert_allclose(own.probabilities, a_run(seed).probabilities, atol=1e-9)
    (row,) = result["rows"]
    assert (row["runs"], len(row["f_of_each_run"])) == (3, 3)
    assert row["settings"]["trainings"] == 6
    assert row["settings"]["late_best_share"] == pytest.approx(2 / 6)
    assert row["settings"]["later"][0]["seconds_a_fold"] == 300.0
    again = collected({ROW: runs}, {"all": [a_run(9)]}, {ROW: row["settings"]}, draws=20)
    assert result["rows"] == again["rows"]
    assert [own["row"] for own in result["baselines"]] == ["all"]
    entry = read_manifest(folder)[f"{NAME}-{ROW}.csv.gz"]
    assert (entry["seed"], entry["sha256"]) == ([0, 1, 2], sha256_of(folder / f"{NAME}-{ROW}.csv.gz"))
    assert entry["later"] == [{"command": "laennec reproduce --runs 3", "seed": [2]}]
    a_reproduction(tmp_path / "out", 4, a_run(3))  # goes on in the same folder
    add(tmp_path / "out", NAME, folder, result, "laennec reproduce --runs 4")
    (row,) = result["rows"]
    assert (row["runs"], row["settings"]["trainings"]) == (4, 8)
    assert [own["seed"] for own in read_manifest(folder)[f"{NAME}-{ROW}.csv.gz"]["later"]] == [[2], [3]]


def test_a_run_that_is_kept_and_one_of_other_cycles_are_refused(
    kept: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, result = kept
    before = (folder / f"{NAME}-{ROW}.csv.gz").read_bytes()
    for number, (run, predictions, folds, wrong) in enumerate(
        [
            (2, a_run(5), 2, "another run 2 is kept already"),
            (3, a_run(2, 40), 2, "40 cycles are not the 60"),
            (3, replace(a_run(2), labels=a_run(2).labels[::-1]), 2, "other labels"),
            (3, a_run(2), 3, "has 3 folds, the kept runs 2"),
        ]
    ):
        out = a_reproduction(tmp_path / f"out{number}", run, predictions, folds)
        with pytest.raises(LaennecError, match=wrong):
            add(out, NAME, folder, result, "laennec reproduce")
    assert (folder / f"{NAME}-{ROW}.csv.gz").read_bytes() == before


def test_a_run_that_is_not_whole_waits(kept: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, result = kept
    out = a_reproduction(tmp_path / "out", 3, a_run(2))
    (out / "rows" / ROW / "run-3" / "fold-2" / "fold.json").unlink()
    add(out, NAME, folder, result, "laennec reproduce")
    assert result["rows"][0]["runs"] == 2
