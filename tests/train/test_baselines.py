"""Systems without a network, and differences of Table II on made-up predictions."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from laennec.reproduce import nguyen2022_tables
from laennec.reproduce.nguyen2022_baselines import (
    BASELINES,
    band_statistics,
    baseline_file,
    baseline_predictions,
)
from laennec.reproduce.nguyen2022_rows import BASELINE, BEST, BEST_SCRATCH, PAPER
from laennec.reproduce.nguyen2022_tables import collect, render
from laennec.score.bootstrap import patient_draws, percentile_interval, resampled_counts
from laennec.score.predictions import Predictions, write_predictions
from laennec.score.ranking import roc_auc
from laennec.train import regression as module
from laennec.train.cohort import Cohort, by_patient, row_scores
from laennec.train.regression import PENALTIES, balanced_logistic, cross_validated

PATIENTS, EACH = 20, 10
SUBJECTS = tuple(f"p{k:02d}" for k in range(PATIENTS) for _ in range(EACH))
PROTOCOL = {
    "command": "c",
    "target": "t",
    "source": "s",
    "clips": {"normal": 140, "crackle": 60},
    "patients": {"all": 20, "with crackles": 20},
    "folds": 7,
    "epochs": 150,
    "patience": 60,
}


def made_up(skill: float, seed: int) -> Predictions:
    """Cycles of the same patients and labels, told apart the better the higher the skill."""
    labels = tuple("crackle" if k % 10 < 3 else "normal" for k in range(PATIENTS * EACH))
    rng = np.random.default_rng(seed)
    score = np.array([rng.random() + skill * (label == "crackle") for label in labels]) / (1 + skill)
    clips = tuple(f"c{k}" for k in range(len(labels)))
    return Predictions(clips, SUBJECTS, labels, ("normal", "crackle"), np.stack([1 - score, score], 1))


def test_the_regression_is_that_of_scikit_learn() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    features = rng.normal(size=(80, 5)) * [1, 2, 3, 4, 0] + 7
    positive = features[:, 0] + rng.normal(size=80) > 7.8
    found = balanced_logistic(features[:60], positive[:60], 100.0)(features[60:])
    scaled = (features - features[:60].mean(0)) / np.where(features[:60].std(0) > 0, features[:60].std(0), 1)
    model = linear_model.LogisticRegression(C=0.01, class_weight="balanced", tol=1e-8, max_iter=1000)
    expected = model.fit(scaled[:60], positive[:60]).predict_proba(scaled[60:])[:, 1]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_two_folds_left_out_are_fitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One left out to choose a penalty for the other, and the reverse, have the same regression."""
    rng = np.random.default_rng(0)
    features, fold_of = rng.normal(size=(60, 4)), np.arange(60) % 4
    positive = features[:, 0] + rng.normal(size=60) > 0
    fits: list[tuple[bytes, float]] = []

    def counted(known: np.ndarray, truth: np.ndarray, penalty: float) -> Callable[[np.ndarray], np.ndarray]:
        fits.append((known.tobytes(), penalty))
        return balanced_logistic(known, truth, penalty)

    monkeypatch.setattr(module, "balanced_logistic", counted)
    found = cross_validated(features, positive, fold_of)
    assert len(fits) == len(set(fits)) == 6 * len(PENALTIES) + 4
    for test in range(4):  # the same by hand
        others, own = fold_of != test, fold_of == test
        by_penalty = {}
        for penalty in PENALTIES:
            chance = np.zeros(60)
            for left in set(range(4)) - {test}:
                known = others & (fold_of != left)
                model = balanced_logistic(features[known], positive[known], penalty)
                chance[fold_of == left] = model(features[fold_of == left])
            by_penalty[penalty] = roc_auc(positive[others], chance[others])
        best = max(PENALTIES, key=by_penalty.__getitem__)
        model = balanced_logistic(features[others], positive[others], best)
        np.testing.assert_array_equal(found[own], model(features[own]))


def test_band_statistics_are_of_time() -> None:
    image = torch.arange(2 * 3 * 21.0).reshape(2, 1, 3, 21)
    found = band_statistics(image)
    assert found.shape == (2, 9)
    np.testing.assert_allclose(found[0, [0, 6]], [10, 19])


def test_what_is_learnt_within_patients_shows_with_folds_of_cycles_alone() -> None:
    """Each patient has a value of their own and crackles or none: known patients are told, strangers not."""
    rng = np.random.default_rng(0)
    own = rng.normal(size=(PATIENTS, 100))
    features = np.repeat(own, EACH, axis=0)
    positive = np.repeat(rng.permutation(PATIENTS) < 8, EACH)
    by_patient = np.repeat(np.arange(PATIENTS) % 5, EACH)
    at_random = rng.permutation(PATIENTS * EACH) % 5
    right = [
        (cross_validated(features, positive, fold) > 0.5) == positive for fold in (by_patient, at_random)
    ]
    assert right[0].mean() < 0.75
    assert right[1].mean() > 0.95


def test_baselines_have_every_cycle_once() -> None:
    label = np.array(["normal", "crackle"])[np.arange(60) % 3 // 2]
    clips = pd.DataFrame(
        {"clip_id": [f"c{k}" for k in range(60)], "label": label, "subject": np.arange(60) // 6}
    )
    cohort = Cohort(clips, np.arange(60) // 20, ("normal", "crackle"), 16_000, 100, list(range(3200, 3260)))

    class Data:
        class examples:  # noqa: N801
            image = torch.randn(60, 1, 45, 8, generator=torch.Generator().manual_seed(0))

    found = baseline_predictions(cohort, Data, 0)  # type: ignore[arg-type]
    assert list(found) == list(BASELINES)
    for own in found.values():
        assert own.clip_ids == tuple(clips["clip_id"])
        np.testing.assert_allclose(own.probabilities.sum(1), 1)
    assert found["all"].probabilities[:, 1].min() == 1


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reproduction whose rows were predicted by nobody: one run, two and three of another skill each."""
    rows = {
        BASELINE: [made_up(0.0, 0)],
        BEST_SCRATCH: [made_up(0.3, 1), made_up(0.3, 2)],
        BEST: [made_up(0.7, seed) for seed in (3, 4, 5)],
    }
    monkeypatch.setattr(nguyen2022_tables, "finished_rows", lambda out: rows)
    settings = {"epochs": 150, "patience": 60, "late_epoch": 90, "late_best_share": 0.25, "trainings": 4}
    monkeypatch.setattr(nguyen2022_tables, "settings_of", lambda out, name: settings)
    (tmp_path / "baselines").mkdir()
    everything = np.tile([0.0, 1.0], (PATIENTS * EACH, 1))
    write_predictions(baseline_file(tmp_path, "all"), replace(made_up(0, 0), probabilities=everything))
    return tmp_path


def test_the_papers_differences_are_paired_over_patients(folder: Path) -> None:
    found = collect(folder, draws=300)
    rows = nguyen2022_tables.finished_rows(folder)
    patients = sorted(set(SUBJECTS))
    drawn = patient_draws(PATIENTS, 300, 0)
    f = {
        name: row_scores(resampled_counts(drawn, by_patient(runs, patients)))[2]
        for name, runs in rows.items()
    }
    assert [(own["row"], own["less"], own["paper"]) for own in found["differences"]] == [
        (BEST, BASELINE, 0.0984),
        (BEST, BEST_SCRATCH, 0.0226),
        (BEST_SCRATCH, BASELINE, 0.0758),
    ]
    for own in found["differences"]:
        assert own["interval_95"] == pytest.approx(percentile_interval(f[own["row"]] - f[own["less"]]))
        by_row = {row["row"]: row["f"] for row in found["rows"]}
        assert own["ours"] == pytest.approx(by_row[own["row"]] - by_row[own["less"]])
        unpaired = percentile_interval(f[own["row"]] - np.random.default_rng(0).permutation(f[own["less"]]))
        assert own["interval_95"] != pytest.approx(unpaired)
    scratch = next(row for row in found["rows"] if row["row"] == BEST_SCRATCH)
    assert "difference" in scratch
    assert scratch["difference_from_all"] == pytest.approx(scratch["f"] - 6 / 13)
    assert "difference_from_best_scratch" not in scratch


def test_baselines_and_differences_stand_in_the_tables(folder: Path) -> None:
    found = collect(folder, draws=50)
    json.dumps(found)
    (everything,) = found["baselines"]
    assert everything["f"] == pytest.approx(found["f_of_calling_everything_crackle"]) == pytest.approx(6 / 13)
    assert (everything["roc_auc"], everything["roc_auc_interval_95"]) == (0.5, [0.5, 0.5])
    assert found["rows"][2]["roc_auc"] > 0.8
    text = render({"protocol": PROTOCOL, **found})
    assert "best epoch after 90 |" in text
    assert f"| {BEST} | {BASELINE} | +9.84 | +" in text
    assert f"| {BEST} | {BEST_SCRATCH} | +2.26 | +" in text
    assert f"| {BEST_SCRATCH} | {BASELINE} | +7.58 | +" in text
    assert "| F less every cycle called a crackle (95 %) |" in text
    assert "| every cycle called a crackle | 1.0000 | 0.3000 |" in text
    assert list(PAPER).index(BEST) > list(PAPER).index(BEST_SCRATCH)


def test_runs_that_are_not_whole_count_nowhere(tmp_path: Path) -> None:
    (tmp_path / "protocol.json").write_text(json.dumps({**PROTOCOL, "folds": 2}))
    one, recipe = made_up(0.3, 0), {"epochs": 150, "patience": 60}
    facts = {"recipe": recipe, "source": None, "seconds": 1.0}
    for run, best in (("run-1", (0,)), ("run-2", (1, 98)), ("run-3", ())):
        for number, epoch in enumerate(best, start=1):
            part = tmp_path / "rows" / BASELINE / run / f"fold-{number}"
            part.mkdir(parents=True)
            (part / "fold.json").write_text(json.dumps({**facts, "best_epoch": epoch}))
            half = slice(None, 100) if number == 1 else slice(100, None)
            ids, subjects, labels = (own[half] for own in (one.clip_ids, one.subjects, one.labels))
            write_predictions(
                part / "predictions.csv",
                replace(
                    one, clip_ids=ids, subjects=subjects, labels=labels, probabilities=one.probabilities[half]
                ),
            )
    result = nguyen2022_tables.write_tables(tmp_path)
    (row,) = result["rows"]
    assert (row["runs"], row["settings"]["trainings"], row["settings"]["late_best_share"]) == (1, 2, 0.5)
    written = sorted(path.parent.name for path in tmp_path.glob("rows/*/run-*/predictions.csv"))
    assert written == ["run-2"]
