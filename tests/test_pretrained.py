"""The shipped model: small, honest about itself, and as good as its card says."""

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from laennec import load_model
from laennec.labels import SPRSOUND_EVENTS
from laennec.model.load import SHIPPED, load_detector
from laennec.score.evaluation import score
from laennec.score.predictions import read_predictions
from laennec.simulate import demo_recordings

RESULTS = Path(__file__).parents[1] / "docs" / "results"


def test_it_is_small_and_knows_the_seven_classes() -> None:
    model = load_model()
    assert model.card.labels == SPRSOUND_EVENTS
    path = Path(str(files("laennec") / "pretrained" / "default.onnx"))
    assert path.stat().st_size <= 5e6
    assert model.card.metrics["scores"]["total_score"] > 0.6638
    assert "not a medical device" in model.card.limits
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    assert model.sha256 in card
    assert f"{model.card.metrics['scores']['total_score']:.4f}" in card


def test_metadata_may_be_missing_and_probabilities_sum_to_one() -> None:
    model = load_model()
    recording = demo_recordings()["fine_crackles"]
    clips = [recording.samples[round(a * 8000) : round(b * 8000)] for a, b, _ in recording.events]
    found = model.predict(clips, 8000)
    assert found.shape == (len(clips), 7)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)
    assert (found > 0).all()


def test_its_card_has_the_figures_of_the_cross_validation_in_the_documentation() -> None:
    path = RESULTS / "default-crossvalidation-0.1.0.json"
    measured, card = json.loads(path.read_text()), load_model().card.metrics
    assert card["seeds"] == measured["provenance"]["seeds"]
    for name, value in card["scores"].items():
        assert measured["scores"][name] == value, name
    assert card["groups"] == measured["groups"]


def test_the_model_in_eight_bits_is_of_the_one_that_ships_and_answers_alike() -> None:
    exact, small = load_detector("recording"), load_detector("recording-int8")
    path = Path(str(files("laennec") / "pretrained" / "recording-int8.onnx"))
    assert path.stat().st_size <= 0.9e6
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    assert small.sha256 in card
    assert exact.sha256 in card
    own = json.loads(small.graph.metadata or "{}")["quantised"]
    assert own["of"]["sha256"] == SHIPPED["recording"] == exact.sha256
    assert all(own["recordings"].values())
    assert replace(small.card, name="", data={}, metrics={}) == replace(
        exact.card, name="", data={}, metrics={}
    )
    for recording in demo_recordings().values():
        one, other = (model.run(recording.samples) for model in (exact, small))
        for name, value in one.items():
            error = np.sqrt(np.mean((other[name] - value) ** 2)) / value.std()
            assert 0 < error < 0.1, name


@pytest.mark.needs("torch")
@pytest.mark.real
def test_it_knows_the_patients_that_it_was_trained_on(
    real_data: Path, some_sprsound: Path, tmp_path: Path
) -> None:
    from laennec.datasets import sprsound
    from laennec.train.evaluate import evaluate_model

    clips, some = sprsound.load(real_data / "SPRSound"), sprsound.load(some_sprsound)
    card = load_model().card.metrics
    assert (len(clips), clips["subject"].nunique()) == (card["clips"], card["patients"])
    assert evaluate_model("default", "sprsound", some_sprsound, "all", tmp_path) == 0
    measured = json.loads((tmp_path / "metrics.json").read_text())
    assert measured["clips"] == len(some) > 300
    assert measured["provenance"]["split"] == "all, with clips that the model was trained on"
    # On these it must be better than models of the same recipe that were not trained on them.
    others = read_predictions(RESULTS / "predictions" / "default-seed0.csv.gz")
    wanted = set(some["clip_id"])
    strangers = others.chosen([row for row, clip in enumerate(others.clip_ids) if clip in wanted])
    assert len(strangers.clip_ids) == len(some)
    unheard = score(strangers, draws=0)["scores"]["challenge_score"]
    assert measured["scores"]["challenge_score"] > unheard + 0.03


@pytest.mark.needs("torch")
def test_the_source_model_is_small_and_can_be_carried_over() -> None:
    from laennec.labels import ICBHI_CYCLES
    from laennec.models.nguyen2022 import NguyenNet
    from laennec.train.weights import source_weights, take_over

    model = load_model("source")
    assert model.card.labels == ICBHI_CYCLES
    assert model.card.task == "cycle"
    path = Path(str(files("laennec") / "pretrained" / "source.onnx"))
    assert path.stat().st_size <= 5e6
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    assert model.sha256 in card
    assert "GPL-3.0" in card
    recipe, weights = source_weights("source")
    assert recipe.name == "transfer-source"
    network = NguyenNet(2, (1, 45, 400), (250, 150))
    taken = take_over(network, weights, "source")
    assert sum("conv.weight" in name for name in taken) == 14
    assert sum("running_var" in name for name in taken) == 14
