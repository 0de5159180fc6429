"""The out-of-fold predictions that are kept beside the tables."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from laennec.experiments.predictions import MANIFEST, keep, read_manifest, read_row
from laennec.files import sha256_of
from laennec.labels import SPRSOUND_EVENTS
from laennec.score.evaluation import score, score_detections
from laennec.score.events_table import Detection, read_events_table, write_events
from laennec.score.predictions import Predictions, read_predictions, read_runs, read_table, write_predictions
from laennec.score.ranking import roc_auc

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
        assert entry["sha256"] == sha256_of(KEPT / name), name
        assert entry["n"] == len(read_table(KEPT / name)) - 1, name
        assert entry.keys() >= {"command", "recipe", "seed", "commit"}


def test_predictions_are_kept_small_and_unchanged(tmp_path: Path) -> None:
    cv = cross_validation(tmp_path / "cv")
    out = tmp_path / "kept"
    assert keep(cv, "best", out, ABOUT) == ["best-seed0.csv.gz", "best-seed1.csv.gz"]
    manifest = json.loads((out / MANIFEST).read_text())
    assert manifest["best-seed1.csv.gz"]["seed"] == 1
    assert manifest["best-seed1.csv.gz"]["n"] == 200
    kept = read_predictions(out / "best-seed1.csv.gz")
    assert score(kept, draws=50) == score(made_up(1), draws=50)
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


@pytest.mark.parametrize("name", ["baseline", "baseline-decision", "default"])
def test_published_scores_are_those_of_the_kept_predictions(name: str) -> None:
    table = "baseline-decision" if name == "baseline-decision" else f"{name}-crossvalidation"
    published = json.loads((KEPT.parent / f"{table}.json").read_text(encoding="utf-8"))
    computed = score(read_runs(sorted(KEPT.glob(f"{name}-seed?.csv.gz"))), draws=0)
    assert computed["scores"] == pytest.approx(published["scores"], abs=1e-9)
    for task in ("task_11", "task_12"):
        assert computed[task]["scores"] == pytest.approx(published[task]["scores"], abs=1e-9)


def test_published_event_scores_are_those_of_the_kept_events() -> None:
    pytest.importorskip("mir_eval")
    published = json.loads((KEPT.parent / "detector.json").read_text(encoding="utf-8"))["detection"]["scores"]
    computed = score_detections(read_events_table(KEPT / "recording-seed0-events.csv.gz"), draws=0)["scores"]
    assert {name: computed[name] for name in published} == pytest.approx(published, abs=1e-9)


def test_runs_of_a_row_are_kept_in_one_table(tmp_path: Path) -> None:
    whole = made_up(0).probabilities[:, 0]
    for run in (1, 2, 10):
        folder = tmp_path / "out" / "rows" / "Scratch_Cyc_SamplePad" / f"run-{run}"
        folder.mkdir(parents=True)
        crackle = np.roll(whole, run)
        labels = tuple("crackle" if k % 3 else "normal" for k in range(200))
        own = replace(made_up(0), labels=labels, classes=("normal", "crackle"))
        own = replace(own, probabilities=np.stack([1 - crackle, crackle], 1))
        write_predictions(folder / "predictions.csv", own)
    (tmp_path / "out" / "rows" / "Scratch_Cyc_ZeroPad" / "run-1").mkdir(parents=True)  # not whole
    names = keep(tmp_path / "out", "table", tmp_path / "kept", ABOUT)
    assert names == ["table-Scratch_Cyc_SamplePad.csv.gz"]
    assert read_manifest(tmp_path / "kept")[names[0]]["seed"] == [0, 1, 9]
    kept = read_row(tmp_path / "kept" / names[0])
    assert (kept[2].clip_ids, kept[2].subjects, kept[2].labels) == (own.clip_ids, own.subjects, own.labels)
    for run, own in zip((1, 2, 10), kept, strict=True):
        np.testing.assert_allclose(own.probabilities[:, 1], np.roll(whole, run), rtol=1e-8)


def test_published_rows_of_table_two_are_those_of_the_kept_predictions() -> None:
    """Counts pooled over a run, sensitivity and precision averaged over runs, F of these averages."""
    published = json.loads((KEPT.parent / "nguyen2022-subset.json").read_text(encoding="utf-8"))["rows"]
    kept = {path.name.split("-", 2)[2].removesuffix(".csv.gz") for path in KEPT.glob("nguyen2022-subset-*")}
    assert {row["row"] for row in published} == kept
    for row in published:
        runs = read_row(KEPT / f"nguyen2022-subset-{row['row']}.csv.gz")
        assert len(runs) == row["runs"]
        positive = np.array([label == "crackle" for label in runs[0].labels])
        called = np.stack([run.probabilities[:, 1] > 0.5 for run in runs])
        se = (called & positive).sum(1) / positive.sum()
        precision = (called & positive).sum(1) / called.sum(1)
        assert 2 * se * precision / (se + precision) == pytest.approx(row["f_of_each_run"])
        se, precision = se.mean(), precision.mean()
        found = (se, precision, 2 * se * precision / (se + precision))
        assert found == pytest.approx(tuple(row[key] for key in ("se", "p", "f")))
        area = np.mean([roc_auc(positive, run.probabilities[:, 1]) for run in runs])
        assert area == pytest.approx(row["roc_auc"], abs=1e-6)
        assert (len(positive), positive.sum(), len(set(runs[0].subjects))) == (1266, 321, 57)
