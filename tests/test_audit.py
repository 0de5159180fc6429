from pathlib import Path

import numpy as np
import pytest

pd = pytest.importorskip("pandas")

from laennec.cli import run
from laennec.datasets import dataset
from laennec.datasets.audit import FEW, audit, confident_learning, counts, cross_validated
from laennec.errors import LaennecError, UsageError
from laennec.labels import SPRSOUND_EVENTS
from laennec.score.predictions import Predictions, write_predictions


def answers(labels: np.ndarray, sure: float, classes: int = 3) -> np.ndarray:
    """Probabilities that agree with the labels, as sure as given."""
    rows = np.full((len(labels), classes), (1 - sure) / (classes - 1))
    rows[np.arange(len(labels)), labels] = sure
    return rows


def test_flipped_labels_are_found_and_no_others() -> None:
    true = np.repeat([0, 1, 2], 40)
    annotated = true.copy()
    annotated[[3, 50, 99]] = [1, 2, 0]
    issues = confident_learning(annotated, answers(true, 0.9))
    assert np.flatnonzero(issues.is_issue).tolist() == [3, 50, 99]
    assert issues.suggested[[3, 50, 99]].tolist() == [0, 1, 2]
    assert issues.margin[3] == pytest.approx(0.85)
    assert (issues.suggested[~issues.is_issue] == annotated[~issues.is_issue]).all()


def test_thresholds_are_the_mean_probability_that_a_class_gets() -> None:
    labels = np.repeat([0, 1], FEW)
    rows = np.column_stack([np.where(labels == 0, 0.9, 0.4), np.where(labels == 0, 0.1, 0.6)])
    rows[0] = [0.45, 0.55]  # the other class is likelier, and below what its own clips get
    issues = confident_learning(labels, rows)
    assert issues.thresholds == pytest.approx([(0.45 + 19 * 0.9) / 20, 0.6])
    assert not issues.is_issue.any()


def test_a_rare_class_is_neither_an_issue_nor_suggested() -> None:
    labels = np.array([0] * 40 + [1] * (FEW - 1))
    rows = answers(1 - labels, 0.9, 2)
    issues = confident_learning(labels, rows)
    assert np.isnan(issues.thresholds[1])
    assert not issues.is_issue.any()


@pytest.fixture
def clips(simulated: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    monkeypatch.setattr("laennec.datasets.audit.FEW", 5)  # the simulated set is small
    return dataset("sprsound").load(simulated)


def of(clips: pd.DataFrame, labels: list[str] | None = None) -> Predictions:
    labels = labels or list(clips["label"])
    index = np.array([SPRSOUND_EVENTS.index(label) for label in labels])
    return Predictions(
        tuple(clips["clip_id"]),
        tuple(clips["subject"].astype(str)),
        tuple(clips["label"]),
        SPRSOUND_EVENTS,
        answers(index, 0.94, 7),
    )


def test_the_table_has_the_place_of_every_issue_and_the_worst_first(clips: pd.DataFrame) -> None:
    believed = list(clips["label"])
    wrong = [k for k, label in enumerate(believed) if label == "Normal"][:2]
    for k in wrong:
        believed[k] = "Fine Crackle"
    predicted = of(clips, believed)
    predicted.probabilities[wrong[1]] = answers(np.array([5]), 0.99, 7)[0]
    table = audit(clips, predicted)
    assert list(table["clip_id"]) == [clips["clip_id"].iloc[wrong[1]], clips["clip_id"].iloc[wrong[0]]]
    assert set(table["label"]) == {"Normal"}
    assert set(table["suggested"]) == {"Fine Crackle"}
    assert table["start_s"].tolist() == clips["start_s"].iloc[wrong[::-1]].tolist()
    assert counts(table) == [("Normal", "Fine Crackle", 2)]


def test_predictions_of_other_data_are_refused(clips: pd.DataFrame) -> None:
    predicted = of(clips)
    with pytest.raises(LaennecError, match="not in this data"):
        audit(clips.iloc[1:], predicted)
    changed = clips.assign(label=["Wheeze" if k == 0 else label for k, label in enumerate(clips["label"])])
    if clips["label"].iloc[0] != "Wheeze":
        with pytest.raises(LaennecError, match="another label"):
            audit(changed, predicted)


def test_seeds_are_averaged_and_must_agree(clips: pd.DataFrame, tmp_path: Path) -> None:
    predicted = of(clips)
    for seed, share in ((0, 1.0), (1, 0.5)):
        (tmp_path / f"seed{seed}").mkdir()
        mixed = share * predicted.probabilities + (1 - share) / 7
        write_predictions(
            tmp_path / f"seed{seed}" / "predictions.csv",
            Predictions(predicted.clip_ids, predicted.subjects, predicted.labels, SPRSOUND_EVENTS, mixed),
        )
    mean = cross_validated(tmp_path).probabilities
    np.testing.assert_allclose(mean, 0.75 * predicted.probabilities + 0.25 / 7)
    short = Predictions(
        *(getattr(predicted, name)[:-1] for name in ("clip_ids", "subjects", "labels")),
        SPRSOUND_EVENTS,
        predicted.probabilities[:-1],
    )
    write_predictions(tmp_path / "seed1" / "predictions.csv", short)
    with pytest.raises(LaennecError, match="other clips"):
        cross_validated(tmp_path)
    with pytest.raises(LaennecError, match="no predictions"):
        cross_validated(tmp_path / "seed0" / "nothing")


def test_the_command_lists_issues_and_writes_them(
    clips: pd.DataFrame, simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    believed = [
        "Fine Crackle" if label == "Normal" and k % 9 == 0 else label
        for k, label in enumerate(clips["label"])
    ]
    write_predictions(tmp_path / "predictions.csv", of(clips, believed))
    out = tmp_path / "issues.csv"
    words = [
        "datasets",
        "audit",
        "sprsound",
        str(simulated),
        "--predictions",
        str(tmp_path / "predictions.csv"),
    ]
    for _ in range(2):  # it writes over its own earlier table, and over no other
        assert run([*words, "--out", str(out)]) == 0
    with pytest.raises(UsageError, match=r"predictions\.csv: is there and would be replaced"):
        run([*words, "--out", words[-1]])
    said = capsys.readouterr().out
    assert "1 of 67 annotations is a likely label error (" in said
    assert "Nothing was changed" in said
    table = pd.read_csv(out)
    assert set(table["suggested"]) == {"Fine Crackle"}
