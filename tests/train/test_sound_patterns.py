"""Patterns of the sources of sounds: fitted on made-up features, written into a model, answered by."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from laennec.analyze.recording import predict_segment
from laennec.errors import LaennecError
from laennec.labels import SOUND_KINDS
from laennec.model.card import METADATA_KEY, OUTPUTS
from laennec.model.detector import Detector
from laennec.model.load import load_model
from laennec.model.probability import softmax, summed
from laennec.train.head import AdaptableModel
from laennec.train.sound_patterns import (
    SHARE,
    fit_patterns,
    margins,
    refusal_threshold,
    threshold_of_both,
    threshold_of_lungs,
)

SOURCES = {"ward": 0, "clinic": 0, "words": 1, "songs": 2, "room": 3, "hearts": 4}
FEATURES = 6


def made_up(count: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sources a few deviations apart; the lungs of one lie beyond the hearts, as seen from the other."""
    rng = np.random.default_rng(seed)
    centres = {name: 4 * np.eye(FEATURES)[place] for place, name in enumerate(SOURCES)}
    centres["ward"], centres["clinic"] = -6 * np.eye(FEATURES)[5], 9 * np.eye(FEATURES)[5]
    names = np.repeat(list(SOURCES), count)
    values = np.array([centres[name] for name in names]) + rng.standard_normal((len(names), FEATURES))
    return values, np.array([SOURCES[name] for name in names]), names


LAYER = (np.eye(len(SOUND_KINDS), FEATURES), np.zeros(len(SOUND_KINDS)))


def test_each_source_has_a_pattern_and_both_lungs_are_lungs() -> None:
    features, kinds, names = made_up()
    patterns = fit_patterns(features, kinds, names, LAYER, share=1.0)
    assert dict(zip(patterns.sources, patterns.kinds, strict=True)) == {
        name: SOUND_KINDS[kind] for name, kind in SOURCES.items()
    }
    new, of, _ = made_up(seed=1)
    assert ((patterns.lung_odds(new) > 0) == (of == 0)).mean() > 0.95
    # No single direction does that: both sides of the others are lungs.
    alone = np.linalg.lstsq(np.c_[features, np.ones(len(features))], kinds == 0, rcond=None)[0]
    assert ((np.c_[new, np.ones(len(new))] @ alone > 0.5) == (of == 0)).mean() < 0.85


def test_patterns_are_as_sure_as_the_layer_and_a_share_of_none_is_the_layer() -> None:
    features, kinds, names = made_up()
    own = margins(features @ LAYER[0].T + LAYER[1], SOUND_KINDS)
    sure = {share: fit_patterns(features, kinds, names, LAYER, share).lung_odds(features) for share in (0, 1)}
    assert sure[0] == pytest.approx(own, abs=1e-9)

    def size(odds: np.ndarray) -> float:
        return float(np.sqrt(np.mean([np.mean(odds[names == name] ** 2) for name in SOURCES])))

    assert size(sure[1]) == pytest.approx(size(own), rel=0.15)


@pytest.mark.parametrize(
    ("dropped", "wrong"),
    [(slice(0, 200), "no sound is of the class heart"), (slice(32, None), "ward has 8 sounds")],
)
def test_too_few_sounds_are_refused(dropped: slice, wrong: str) -> None:
    features, kinds, names = (column[dropped] for column in made_up())
    with pytest.raises(LaennecError, match=wrong):
        fit_patterns(features, kinds, names, LAYER)


def test_the_threshold_weighs_both_errors() -> None:
    """Of 50 lungs two lie lower than hearts; without them, every heart would be refused."""
    lungs = np.concatenate([[-2.0, -1.9], np.linspace(1, 4, 48)])
    hearts = np.linspace(-3, 0.5, 40)
    odds = np.concatenate([lungs, hearts])
    kinds = np.repeat([0, 4], [50, 40])
    names = np.repeat(["ward", "hearts"], [50, 40])
    assert threshold_of_lungs(odds, kinds, names) == -1.9
    at = threshold_of_both(odds, kinds, names)
    # Two of 50 are twice the limit of lungs; so up to twice the limit of hearts passes, four of 40.
    assert ((hearts >= at).mean(), (lungs < at).sum()) == (pytest.approx(4 / 40), 2)
    assert threshold_of_both(odds[2:], kinds[2:], names[2:]) == 1.0
    assert refusal_threshold(odds, kinds, names) == at


def test_at_most_two_in_a_hundred_lungs_of_each_source_are_refused_where_there_is_nothing_else() -> None:
    odds = np.concatenate([np.linspace(0, 1, 100), np.linspace(-2, 1, 50), [0.9, 0.95]])
    names = np.repeat(["a", "b", "c"], [100, 50, 2])
    lungs = np.zeros(len(odds), int)
    threshold = refusal_threshold(odds, lungs, names)
    assert threshold == odds[101]  # the second lowest of b
    assert [(odds[names == name] < threshold).sum() for name in "abc"] == [0, 1, 0]
    alone = refusal_threshold(odds[:100], lungs[:100], names[:100])
    assert (odds[:100] < alone).sum() == 2


def test_a_source_that_no_threshold_refuses_has_no_say() -> None:
    """Such as the hearts of a device that the training had nothing of: for them, nothing would be refused."""
    lungs, words, strange = np.linspace(0, 10, 100), np.linspace(-9, -5, 20), np.linspace(4, 6, 20)
    odds, kinds = np.concatenate([lungs, words, strange]), np.repeat([0, 1, 4], [100, 20, 20])
    names = np.repeat(["ward", "words", "strange"], [100, 20, 20])
    assert not (odds < threshold_of_both(odds, kinds, names)).any()
    assert refusal_threshold(odds, kinds, names) == threshold_of_both(odds[:120], kinds[:120], names[:120])
    threshold = refusal_threshold(odds, kinds, names)
    assert ((lungs < threshold).any(), (words < threshold).mean()) == (False, 1.0)


def without_patterns(detector: Detector, path: Path) -> Detector:
    """The model that ships, whose sound classes come from its training's layer again."""
    model = onnx.load_from_string(detector.graph.content)
    graph, kept = model.graph, "kind.before"
    (patterns,) = (node for node in graph.node if "kind" in node.output)
    graph.node.remove(patterns)
    for node in graph.node:
        node.output[:] = ["kind" if name == kept else name for name in node.output]
    for each in [each for each in graph.initializer if each.name in patterns.input]:
        graph.initializer.remove(each)
    (shown,) = (each for each in graph.output if each.name == "kind")
    shown.type.tensor_type.shape.dim[1].dim_value = len(SOUND_KINDS)
    card = {key: own for key, own in json.loads(str(detector.graph.metadata)).items() if key != "patterns"}
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(card)})
    path.write_bytes(model.SerializeToString())
    plain = load_model(path)
    assert isinstance(plain, Detector)
    return plain


@pytest.fixture(scope="module")
def changed(detector: Detector, tmp_path_factory: pytest.TempPathFactory) -> tuple[AdaptableModel, Detector]:
    """The model that ships without patterns of its own, and it with two for lungs and one for all others."""
    folder = tmp_path_factory.mktemp("patterns")
    model = AdaptableModel(without_patterns(detector, folder / "plain.onnx"))
    weight, _ = model.values(model.layer("kind"))
    rng = np.random.default_rng(0)
    names = ["lung", "lung", *SOUND_KINDS[1:]]
    content = model.with_kinds(rng.standard_normal((6, weight.shape[1])), np.zeros(6), {"patterns": names})
    path = folder / "own.onnx"
    path.write_bytes(content)
    own = load_model(path)
    assert isinstance(own, Detector)
    return model, own


def test_a_model_with_patterns_differs_in_nothing_else(changed: tuple[AdaptableModel, Detector]) -> None:
    model, own = changed
    samples = (0.01 * np.random.default_rng(1).standard_normal(40_000)).astype(np.float32)
    before, after = model.detector.run(samples), own.run(samples)
    for name in OUTPUTS[:-1]:
        assert np.array_equal(before[name], after[name]), name
    assert after["kind"].shape[0] == 6
    assert own.card.patterns[:2] == ("lung", "lung")


def test_the_probability_of_a_class_is_the_sum_of_its_patterns(
    changed: tuple[AdaptableModel, Detector],
) -> None:
    _, own = changed
    samples = (0.01 * np.random.default_rng(2).standard_normal((1, 40_000))).astype(np.float32)
    ((frames,),) = own.frames([samples])
    shares = softmax(frames.kind.mean(1, dtype=np.float64))
    segment = predict_segment(frames, own.card, 0.0)
    assert segment.sound_classes == pytest.approx([shares[:2].sum(), *shares[2:]])
    assert summed(shares, own.card.patterns, own.card.sound_classes).sum() == pytest.approx(1)


def test_patterns_are_not_replaced(changed: tuple[AdaptableModel, Detector]) -> None:
    with pytest.raises(LaennecError, match="patterns already"):
        AdaptableModel(changed[1]).with_kinds(np.zeros((1, 1)), np.zeros(1), {})


def test_the_share_that_ships_is_a_part() -> None:
    assert 0 < SHARE < 1


def test_what_a_channel_is_a_pattern_of_must_be_a_sound_class(
    changed: tuple[AdaptableModel, Detector], tmp_path: Path
) -> None:
    model, _ = changed
    weight = np.zeros((1, model.values(model.layer("kind"))[0].shape[1]))
    path = tmp_path / "wrong.onnx"
    path.write_bytes(model.with_kinds(weight, np.zeros(1), {"patterns": ["dog"]}))
    with pytest.raises(LaennecError, match="patterns are"):
        load_model(path)
