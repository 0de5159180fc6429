"""The out-of-fold predictions that are kept beside the tables."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from laennec.errors import LaennecError
from laennec.experiments.predictions import MANIFEST, digest, keep, read_manifest
from laennec.labels import SPRSOUND_EVENTS
from laennec.score.evaluation import score
from laennec.score.events_table import Detection, read_events_table, write_events
from laennec.score.predictions import Predictions, read_predictions, read_table, write_predictions

KEPT = Path(__file__).parents[1] / "docs" / "results" / "predictions"
ABOUT = {"command": "laennec crossvalidate default", "recipe": "default", "commit": "0" * 40}


def made_up(seed: int) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = rng.choice(SPRSOUND_EVENTS, 200)
    names = tuple(f"clip {k}" for k in range(200))
    subjects = tuple(f"p{k}" for k in rng.integers(20, size=200))
    return Predictions(names, subjects, tuple(labels), SPRSOUND_EVENTS, rng.dirichlet(np.ones(7), 200))


def cross_validation(folder: Path, seeds: int = 2) -> Path:
    for seed in range(seeds):
        (folder / f"seed{seed}").mkdir(parents=True)
        write_predictions(folder / f"seed{seed}" / "predictions.csv", made_up(seed))
    return folder


def test_what_is_kept_is_what_the_manifest_says() -> None:
    manifest = read_manifest(KEPT)
    assert {path.name for path in KEPT.glob("*.csv.gz")} == set(manifest)
    for name, entry in manifest.items():
        assert entry["sha256"] == digest(KEPT / name), name
        assert entry["n"] == len(read_table(KEPT / name)) - 1, name
        assert entry.keys() >= {"command", "recipe", "seed", "commit", "version"}


def test_predictions_are_kept_small_and_score_alike(tmp_path: Path) -> None:
    cv = cross_validation(tmp_path / "cv")
    out = tmp_path / "kept"
    assert keep(cv, "best", out, ABOUT) == ["best-seed0.csv.gz", "best-seed1.csv.gz"]
    manifest = json.loads((out / MANIFEST).read_text())
    assert manifest["best-seed1.csv.gz"]["seed"] == 1
    assert manifest["best-seed1.csv.gz"]["n"] == 200
    kept = read_predictions(out / "best-seed1.csv.gz")
    scores = score(kept, draws=50), score(made_up(1), draws=50)
    for part in ("scores", "intervals"):
        one, other = (each[part]["challenge_score"] for each in scores)
        assert one == pytest.approx(other, abs=1e-6)
    size = (out / "best-seed1.csv.gz").stat().st_size
    assert size < 0.6 * (cv / "seed1" / "predictions.csv").stat().st_size
    first = (out / "best-seed1.csv.gz").read_bytes()
    keep(cv, "best", out, ABOUT)
    assert (out / "best-seed1.csv.gz").read_bytes() == first  # no clock in it


def test_events_are_kept_too(tmp_path: Path) -> None:
    pytest.importorskip("mir_eval")
    cv = cross_validation(tmp_path / "cv", 1)
    events = [Detection("r", "p", ((0.0, 1.0, "Normal"),), ((0.1, 1.0, "Normal"),), (0.75,))]
    write_events(cv / "seed0" / "events.csv", events)
    assert keep(cv, "recording", tmp_path / "kept", ABOUT)[1] == "recording-seed0-events.csv.gz"
    assert read_events_table(tmp_path / "kept" / "recording-seed0-events.csv.gz") == events


def test_rounding_that_changes_a_score_is_refused(tmp_path: Path) -> None:
    cv = cross_validation(tmp_path / "cv", 1)
    rows = np.tile([0.5 - 1e-12, 0.5 + 1e-12, 0, 0, 0, 0, 0], (200, 1))
    write_predictions(cv / "seed0" / "predictions.csv", replace(made_up(0), probabilities=rows))
    with pytest.raises(LaennecError, match="once rounded to float32"):
        keep(cv, "best", tmp_path / "kept", ABOUT)


def test_a_folder_without_predictions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LaennecError, match=r"holds no seed\*/predictions\.csv"):
        keep(tmp_path, "best", tmp_path / "kept", ABOUT)


def test_a_broken_archive_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(b"no archive")
    with pytest.raises(LaennecError, match=r"a\.csv\.gz: cannot be read"):
        read_predictions(tmp_path / "a.csv.gz")
