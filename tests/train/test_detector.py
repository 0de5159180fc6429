"""A model for whole recordings, cross-validated and evaluated, from data to files, on simulated patients."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from laennec.cli import run
from laennec.datasets import kauh
from laennec.errors import LaennecError, UsageError
from laennec.experiments import phases
from laennec.labels import SOUND_KINDS, SPRSOUND_EVENTS, SPRSOUND_RECORDS
from laennec.model.card import RecordingCard
from laennec.model.load import load_model
from laennec.score.events_table import read_events_table
from laennec.score.predictions import read_predictions
from laennec.simulate import simulate_dataset
from laennec.train import crossval
from laennec.train.recording_predictions import load_outputs, save_outputs
from laennec.train.saved import read_saved
from laennec.train.weights import SAVED, onnx_weights

LABELS = [SPRSOUND_EVENTS[0], *reversed(SPRSOUND_EVENTS[1:])]  # not in the usual order


@pytest.fixture(scope="module")
def trained(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("detector") / "run"
    assert run(line(simulated, out)) == 0
    return out


def line(data: Path, out: Path) -> list[str]:
    """A network that learns in seconds; batches of 30 s, since with 60 s most seeds find no event at all."""
    settings = ["epochs=15", "learning_rate=1e-2", "recording.batch_s=30.0", "recording.other_sounds=1"]
    settings += ["model.channels=[4, 6, 8, 8, 8]", "model.width=16", "model.dilations=[1, 2]"]
    settings += [f"labels={json.dumps(LABELS)}", "averaging_decay=0.0", "recording.batches=8"]
    words = ["crossvalidate", "recording", "--data", str(data), "--out", str(out), "--folds", "2", "--final"]
    return [*words, "--accelerator", "cpu", "--threads", "1", "--set", *settings]


def test_every_patient_is_predicted_by_a_network_not_trained_on_them(trained: Path) -> None:
    outputs = [load_outputs([trained / "seed0" / f"fold{number}"]) for number in (1, 2)]
    subjects = [{own.subject for own in outputs_ if own.placed} for outputs_ in outputs]
    assert subjects[0]
    assert subjects[1]
    assert not subjects[0] & subjects[1]
    assert not [*trained.rglob("training")], "what a training goes on from is gone when it is done"


def test_events_and_record_labels_are_written_as_tables(trained: Path) -> None:
    for folder in (trained / "seed0" / "fold1", trained / "seed0"):
        events = read_events_table(folder / "events.csv")
        predicted = read_predictions(folder / "predictions.csv")
        assert {own.recording for own in events} <= set(predicted.clip_ids)
    figures = json.loads((trained / "metrics.json").read_text())
    detection = json.loads((trained / "seed0" / "detection.json").read_text())
    assert detection["scores"]["agnostic_f1"] == figures["headline"]["event F, class-agnostic"]
    assert len(predicted.clip_ids) == figures["recordings"]


def test_what_is_reported_ships_in_the_card(trained: Path) -> None:
    figures = json.loads((trained / "metrics.json").read_text())
    card = load_model(trained / "model.onnx").card
    assert isinstance(card, RecordingCard)
    assert card.metrics["event F, with class"] == pytest.approx(
        figures["headline"]["event F, with class"], abs=1e-4
    )
    assert 0 < card.lung_threshold < 1
    assert set(card.normal_shift) == {"21", "22"}
    assert "| event F, with class |" in (trained / "tables.txt").read_text()
    page = (trained / "model.md").read_text()
    assert "Research software" in page
    ((name, own),) = figures["strangers"]["splits"]["k-fold"]["recordings"].items()
    told = card.metrics["strangers"]["k-fold"][name]
    assert told["auc"] == pytest.approx(own["auc"]["sick"]["value"], abs=1e-4)
    assert f"| k-fold | {name} | {own['recordings']}, {own['patients']} | {told['auc']:.3f} |" in page


def test_a_model_of_all_patients_gets_what_is_chosen_now(
    trained: Path, simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is trained once; a second choice, on the answers of another run as well, is exported with it."""
    monkeypatch.setattr(crossval, "train_network", None)
    kept = shutil.copytree(trained, tmp_path / "run")
    outputs = kept / "seed0" / "fold1" / "outputs.npz"
    before = load_model(kept / "model.onnx").card
    less = [2.0, 0, 0, 0, 0]
    save_outputs(
        outputs,
        [replace(own, kind_logits=own.kind_logits - less) for own in load_outputs([outputs.parent])],
    )
    assert run(line(simulated, kept)) == 0
    after = load_model(kept / "model.onnx").card
    assert isinstance(before, RecordingCard)
    assert isinstance(after, RecordingCard)
    assert after.lung_threshold < before.lung_threshold
    weights = [onnx_weights(folder / "model.onnx") for folder in (trained, kept)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_what_cannot_be_chosen_with_is_named_before_any_training(simulated: Path, tmp_path: Path) -> None:
    words = ["crossvalidate", "recording", "--data", str(simulated), "--out", str(tmp_path / "out")]
    with pytest.raises(LaennecError, match="nowhere"):
        run([*words, "--chosen-with", str(tmp_path / "nowhere")])
    words[1] = "baseline"
    with pytest.raises(UsageError, match="for models for whole recordings"):
        run([*words, "--chosen-with", str(tmp_path)])
    assert not (tmp_path / "out").exists()


def test_the_same_command_trains_nothing_again(
    trained: Path, simulated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crossval, "train_and_choose", None)
    monkeypatch.setattr("laennec.train.recording_report.export", lambda _, to: to)  # the same, in seconds
    before = (trained / "seed0" / "fold1" / "outputs.npz").stat().st_mtime_ns
    assert run(line(simulated, trained)) == 0
    assert (trained / "seed0" / "fold1" / "outputs.npz").stat().st_mtime_ns == before
    with pytest.raises(LaennecError, match="other settings"):
        run([*line(simulated, trained), "weight_decay=0.1"])


def test_averages_over_shifts_are_measured_out_of_fold(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folds = [trained / "seed0" / f"fold{number}" for number in (1, 2)]
    fold, kept = folds[0], {own: phases.outputs_of_fold(own) for own in folds}
    monkeypatch.setattr(phases, "outputs_of_fold", kept.__getitem__)  # which takes most of the time
    outputs = kept[fold][1]
    assert [len(own) for own in outputs.values()] == [len(load_outputs([fold]))] * 3
    moved = 0
    for once, twice, kept in zip(*outputs.values(), strict=True):
        assert once.name == twice.name == kept.name
        assert once.presence.shape == twice.presence.shape
        moved += not np.array_equal(once.presence, twice.presence)
    assert moved > 3
    figures = phases.measured(folds)
    assert [row["phases"] for row in figures["rows"]] == [1, 2, 4]
    assert all(0 <= row["events"]["agnostic_f1"][0] <= 1 for row in figures["rows"])


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


def test_a_data_set_with_labels_of_recordings_alone_is_evaluated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kauh.tiny(tmp_path / "kauh")
    words = ["evaluate", "recording", "--dataset", "kauh", "--data", str(tmp_path / "kauh"), "--split", "all"]
    assert run([*words, "--out", str(tmp_path / "scores")]) == 0
    predicted = read_predictions(tmp_path / "scores" / "predictions.csv")
    # Bronchial breathing alone is none of the records.
    assert sorted(predicted.labels) == ["CAS", "CAS", "CAS", "CAS & DAS", "DAS", "Normal"]
    assert not (tmp_path / "scores" / "events.csv").exists()
    assert "task 22" in capsys.readouterr().out


def test_any_data_set_trains_and_measures_a_recording_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "icbhi", tmp_path / "run"
    simulate_dataset(data, subjects=8, seed=2, layout="icbhi", recordings_per_subject=3)
    recipe = tmp_path / "small.toml"
    shipped = Path(crossval.__file__).parents[1] / "recipes" / "recording.toml"
    text = shipped.read_text().replace("epochs = 25", "epochs = 4").replace("3e-3", "1e-2")
    small = 'kind = "recording"\nchannels = [4, 6, 8, 8, 8]\nwidth = 16\ndilations = [1, 2]'
    fewer = "batches = 6\nbatch_s = 30.0\nother_sounds = 10"
    text = text.replace("batches = 100", fewer).replace("averaging_decay = 0.998\n", "")
    recipe.write_text(text.replace('kind = "recording"\n', small + "\n"))
    words = ["train", str(recipe), "--data", str(data), "--dataset", "icbhi", "--out", str(out)]
    assert run([*words, "--accelerator", "cpu", "--threads", "1"]) == 0
    assert "12 recordings to train on, 6 to validate on" in capsys.readouterr().err
    weights = read_saved(out / "model.pt", SAVED, "")["network"]
    assert weights["patterns._extra_state"]["sources"] == [
        "icbhi",
        *(f"generated {k}" for k in SOUND_KINDS[1:]),
    ]
    assert read_events_table(out / "events.csv")
    assert set(read_predictions(out / "predictions.csv").classes) == set(SPRSOUND_RECORDS)
    words = ["evaluate", str(out), "--data", str(data), "--split", "all", "--out", str(tmp_path / "scores")]
    assert run(words) == 0
    detection = json.loads((tmp_path / "scores" / "detection.json").read_text())
    assert detection["recordings"] >= 10
    assert "task 21" in capsys.readouterr().out.lower()


def test_events_are_scored_by_the_labels_of_the_recipe(
    trained: Path, simulated: Path, tmp_path: Path
) -> None:
    words = ["evaluate", str(trained), "--data", str(simulated), "--split", "all", "--out", str(tmp_path)]
    assert run(words) == 0
    for folder in (trained / "seed0", tmp_path):
        assert list(json.loads((folder / "detection.json").read_text())["classes"]) == LABELS
