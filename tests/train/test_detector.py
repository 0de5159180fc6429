"""`laennec detector` and `laennec evaluate` of what it makes, from data to files, on simulated patients."""

import json
from pathlib import Path

import numpy as np
import pytest

from laennec.cli import run
from laennec.model.card import RecordingCard
from laennec.model.load import load_model
from laennec.score.events_table import read_events_table
from laennec.train import detector as subject
from laennec.train.detector import train_detector
from laennec.train.recordings import Lesson


def small_lesson(epochs: int) -> Lesson:
    """A network that learns in seconds."""
    network = {"channels": (4, 6, 8, 8, 8), "width": 16, "dilations": (1, 2)}
    return Lesson(epochs=epochs, learning_rate=1e-2, batch_s=60.0, network=network)


@pytest.fixture(scope="module")
def trained(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("detector") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subject, "OTHERS", 1)
        patch.setattr(subject, "Lesson", small_lesson)
        train_detector(simulated, out, folds=2, epochs=15, threads=1, command="test")
    return out


def test_every_patient_is_heard_by_a_network_that_never_met_them(trained: Path) -> None:
    subjects = []
    for fold in range(2):
        with np.load(trained / "seed0" / f"fold{fold}.npz") as held:
            subjects.append(set(held["subject"]))
    assert subjects[0]
    assert subjects[1]
    assert not subjects[0] & subjects[1]


def test_what_is_reported_ships_in_the_card(trained: Path) -> None:
    told = json.loads((trained / "detector.json").read_text())
    card = load_model(trained / "recording.onnx").card
    assert isinstance(card, RecordingCard)
    assert card.metrics["event F, with class"] == pytest.approx(
        told["headline"]["event F, with class"], abs=1e-4
    )
    assert 0 < card.lung_threshold < 1
    assert set(card.normal_shift) == {"21", "22"}
    assert "| event F, with class |" in (trained / "detector.md").read_text()
    assert (trained / "recording.md").exists()


def test_the_same_command_trains_nothing_again(
    trained: Path, simulated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "OTHERS", 1)
    monkeypatch.setattr(subject, "Lesson", small_lesson)
    monkeypatch.setattr(subject, "train_network", None)
    before = (trained / "seed0" / "fold0.npz").stat().st_mtime_ns
    train_detector(simulated, trained, folds=2, epochs=15, threads=1, command="test")
    assert (trained / "seed0" / "fold0.npz").stat().st_mtime_ns == before


def test_evaluate_scores_events_and_answers(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run(["evaluate", "recording", "--data", str(simulated), "--split", "all", "--out", str(tmp_path)])
        == 0
    )
    told = capsys.readouterr()
    assert "too good where the model learnt" in told.err
    events = read_events_table(tmp_path / "events.csv")
    assert sum(len(recording.reference) for recording in events) > 20
    assert json.loads((tmp_path / "detection.json").read_text())["scores"]["agnostic_f1"] > 0.3
    assert "task_22" in json.loads((tmp_path / "metrics.json").read_text())
    assert "<html" in (tmp_path / "index.html").read_text()
