"""Scores of windows, their table, and the tables of the documentation that are made of them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from laennec.errors import LaennecError
from laennec.experiments.microcontroller_tables import TABLES
from laennec.score.ranking import roc_auc
from laennec.score.windows import (
    Windows,
    joined_windows,
    read_windows_table,
    threshold_at,
    window_differences,
    window_scores,
    write_windows,
)


@pytest.fixture(scope="module")
def windows() -> Windows:
    rng = np.random.default_rng(0)
    count = 600
    subjects = tuple(f"p{k}" for k in rng.integers(0, 30, count))
    target = (rng.random((count, 2)) < [0.3, 0.1]).astype(float)
    target[rng.random((count, 2)) < 0.1] = np.nan
    scores = {
        name: np.round(np.nan_to_num(target, nan=0.5) * gain + rng.standard_normal((count, 2)), 2)
        for name, gain in (("good seed 0", 2.0), ("good seed 1", 1.8), ("poor", 0.5))
    }
    recordings = tuple(f"r{k // 5}" for k in range(count))
    datasets = tuple("sprsound" if k < 400 else "icbhi" for k in range(count))
    return Windows(recordings, datasets, subjects, np.arange(count) % 5 * 1.0, target, scores)


def test_scores_are_those_of_the_windows_that_are_known(windows: Windows) -> None:
    found = window_scores(windows, ["good seed 0"], draws=200)
    for column, label in enumerate(("wheeze", "crackle")):
        known = ~np.isnan(windows.target[:, column])
        truth, score = windows.target[known, column] > 0.5, windows.scores["good seed 0"][known, column]
        own = found[label]
        assert (own["windows"], own["positive"]) == (known.sum(), truth.sum())
        assert own["auc"] == pytest.approx(roc_auc(truth, score))
        assert own["auc_interval"] is not None
        assert own["auc_interval"][0] < own["auc"] < own["auc_interval"][1]
        # Every threshold tried: the largest sensitivity with at most a tenth of the negatives at or above it.
        kept = [t for t in np.unique(score) if (score[~truth] >= t).mean() <= 0.1 + 1e-9]
        assert own["sensitivity"] == pytest.approx(max((score[truth] >= t).mean() for t in kept))
    assert found["wheeze"]["positive_patients"] <= found["wheeze"]["patients"] == 30


def test_several_models_are_averaged_and_differences_paired(windows: Windows) -> None:
    one, two = (window_scores(windows, [f"good seed {k}"], draws=0)["wheeze"]["auc"] for k in range(2))
    both = window_scores(windows, ["good seed 0", "good seed 1"], draws=0)["wheeze"]["auc"]
    assert one is not None
    assert two is not None
    assert both == pytest.approx((one + two) / 2)
    same = window_differences(windows, ["poor"], ["poor"], draws=100)["crackle"]["auc"]
    assert same == {"value": 0.0, "interval": [0.0, 0.0]}
    more = window_differences(windows, ["good seed 0", "good seed 1"], ["poor"], draws=200)["wheeze"]["auc"]
    poor = window_scores(windows, ["poor"], draws=0)["wheeze"]["auc"]
    assert poor is not None
    assert more["value"] == pytest.approx(both - poor)
    assert more["interval"][0] > 0


def test_one_class_alone_has_no_score(windows: Windows) -> None:
    none = replace(windows, target=np.zeros_like(windows.target))
    found = window_scores(none, ["poor"], draws=50)["wheeze"]
    assert (found["auc"], found["sensitivity"], found["auc_interval"]) == (None, None, None)


def test_a_threshold_keeps_the_specificity() -> None:
    target, score = np.array([0.0] * 20 + [1.0, np.nan]), np.r_[np.arange(20.0), 30, 40]
    threshold = threshold_at(target, score)
    assert (score[:20] >= threshold).sum() == 2
    assert threshold_at(np.zeros(10), np.ones(10)) > 1  # ties are all or nothing
    with pytest.raises(LaennecError, match="threshold cannot be chosen"):
        threshold_at(np.array([1.0, np.nan]), np.zeros(2))


def test_a_table_is_read_as_it_was_written(windows: Windows, tmp_path: Path) -> None:
    own = replace(windows, recordings=("=1+1", *windows.recordings[1:]), subjects=("", *windows.subjects[1:]))
    write_windows(tmp_path / "windows.csv", own)
    again = read_windows_table(tmp_path / "windows.csv")
    assert (again.recordings, again.datasets, again.subjects) == (own.recordings, own.datasets, own.subjects)
    np.testing.assert_array_equal(again.target, own.target)
    np.testing.assert_array_equal(again.start_s, own.start_s)
    assert list(again.scores) == list(own.scores)
    for name, scores in own.scores.items():
        np.testing.assert_allclose(again.scores[name], scores, rtol=1e-4)
    parts = joined_windows([again.of("sprsound"), again.of("icbhi")])
    assert parts.recordings == again.recordings
    np.testing.assert_array_equal(parts.scores["poor"], again.scores["poor"])
    for content in ("a,b\n1,2\n", "", "recording,dataset,subject,start_s,wheeze,crackle\n"):
        (tmp_path / "other.csv").write_text(content)
        with pytest.raises(LaennecError, match="no table of windows"):
            read_windows_table(tmp_path / "other.csv")
    text = (tmp_path / "windows.csv").read_text().replace("\nr1,", "\nr1,x,", 1)
    (tmp_path / "other.csv").write_text(text)
    with pytest.raises(LaennecError, match="damaged"):
        read_windows_table(tmp_path / "other.csv")


def test_tables_of_the_documentation(windows: Windows) -> None:
    scores = window_scores(windows.of("icbhi"), ["poor"], draws=50)
    pair = window_differences(windows.of("icbhi"), ["good seed 0"], ["poor"], draws=50)
    figures = {
        "runs": ["taught seed 0", "taught seed 1"],
        "datasets": {
            "icbhi": {
                "models": {"taught": scores},
                "differences": [{"of": "taught", "over": "alone", "labels": pair}],
            }
        },
        "choice": [
            {
                "name": "plain",
                "settings": ["epochs=6"],
                "mean_auc": 0.5,
                "auc": {name: {"wheeze": 0.4, "crackle": 0.6} for name in ("sprsound", "icbhi", "kauh")},
            }
        ],
        "device": {
            "weight_bytes": 52264, "products": 5424256, "frames": 155, "n_fft": 256, "frames_a_second": 80.0,
            "compiled": {"gcc": {"version": "12", "flags": "-O2", "flash": 60305, "memory": 53232}},
            "emulated": {"instructions of the network": 44440760},
        },
    }  # fmt: skip
    pages = {name: render(lambda _: figures) for name, render in TABLES.items()}
    assert f"{scores['wheeze']['auc']:.3f}" in pages["microcontroller-windows"]
    assert "with a teacher, mean of 2 seeds" in pages["microcontroller-windows"]
    assert f"{pair['crackle']['auc']['value']:+.3f}" in pages["microcontroller-differences"]
    assert "| plain | `epochs=6` | 0.400 |" in pages["microcontroller-choice"]
    assert "60,305 bytes of flash" in pages["microcontroller-device"]
    assert "44,440,760 instructions" in pages["microcontroller-device"]


def test_published_scores_are_those_of_the_kept_windows() -> None:
    results = Path(__file__).parents[1] / "docs" / "results"
    published = json.loads((results / "microcontroller.json").read_text(encoding="utf-8"))["datasets"]
    kept = read_windows_table(results / "predictions" / "microcontroller-windows.csv.gz")
    for name, own in published.items():
        windows = kept.of(name)
        for model, scores in own["by_seed"].items():
            computed = window_scores(windows, [model], draws=0)
            for label, score in scores.items():
                for key in ("windows", "positive", "patients"):
                    assert computed[label][key] == score[key]
                assert computed[label]["auc"] == pytest.approx(score["auc"], abs=2e-4)
