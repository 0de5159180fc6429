"""Training on whole recordings: targets, batches, augmentation, and that it learns and exports."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from laennec.features.base import Batch
from laennec.features.recording import RecordingLogMel
from laennec.labels import SOUND_KINDS, SPRSOUND_EVENTS
from laennec.model.card import OUTPUTS
from laennec.model.detector import Detector
from laennec.model.load import load_model
from laennec.model.probability import softmax, summed
from laennec.models.recording import (
    RecordingNet,
    SoundPatterns,
    class_logits,
    event_logits,
    kind_logits,
    pool,
)
from laennec.models.recording_task import event_frames, frame_targets, reach_frames, row_edges_hz
from laennec.simulate.other import other_sound
from laennec.train.crossval import train_and_choose
from laennec.train.data import allowed_classes
from laennec.train.decision import fit_scaling
from laennec.train.export import export
from laennec.train.hardware import Hardware, tuned_cpu
from laennec.train.loop import predict, train_network
from laennec.train.recipe import Recipe, load_recipe, with_settings
from laennec.train.recording_decision import POOR_SHIFTS, SHIFTS, Labelled, RecordingDecision
from laennec.train.recording_predictions import load_outputs
from laennec.train.recordings import Example, RecordingExamples, image_of
from laennec.train.weights import save_model
from laennec.train.with_patterns import with_patterns

RATE = 8_000
SMALL = {"channels": (4, 6, 8, 8, 8), "width": 16, "dilations": (1, 2)}


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    settings = [
        "epochs=8",
        "averaging_decay=0.0",
        "recording.batches=5",
        "learning_rate=1e-2",
        "recording.batch_s=60.0",
        "recording.other_sounds=2",
        "model.channels=[4, 6, 8, 8, 8]",
        "model.width=16",
        "model.dilations=[1, 2]",
    ]
    return with_settings(load_recipe("recording"), settings)


@pytest.fixture(scope="module")
def front_end() -> RecordingLogMel:
    return RecordingLogMel(by_band=True)


def example(
    rng: np.random.Generator, front_end: RecordingLogMel, name: str, duration_s: float = 9.216
) -> Example:
    """Noise bursts as breaths; those of odd number are tones."""
    t = np.arange(round(duration_s * RATE)) / RATE
    samples = 0.003 * rng.standard_normal(t.size)
    starts = np.arange(0.5, duration_s - 1.2, 2.0) + rng.uniform(-0.3, 0.3)
    labels = rng.integers(0, 2, starts.size)
    for start, tonal in zip(starts, labels, strict=True):
        inside = (t >= start) & (t < start + 1.0)
        burst = np.sin(2 * np.pi * 400 * t) if tonal else rng.standard_normal(t.size)
        samples += 0.1 * inside * burst
    classes = np.zeros((starts.size, len(SPRSOUND_EVENTS)), bool)
    classes[np.arange(starts.size), 2 * labels] = True
    spans = np.stack([starts, starts + 1.0], axis=1)
    image = image_of(samples.astype(np.float32), front_end)
    families = 2 * labels  # Normal, and Wheeze: CAS
    told = (name, name, "made-up", "", "", np.nan)
    return Example(*told, image, spans, classes, True, spans, families // 2, int(labels.any()))


def batch_of(spans: list[tuple[float, float]], rows: list[int], size: int) -> Batch:
    classes = torch.zeros(len(spans), 7, dtype=torch.bool)
    return {
        "image": torch.zeros(size, 1, 64, 200),
        "spans": torch.tensor(spans).reshape(-1, 2),
        "classes": classes,
        "row": torch.tensor(rows, dtype=torch.long),
        "placed": torch.ones(size, dtype=torch.bool),
        "record": torch.zeros(size, dtype=torch.long),
        "kind": torch.zeros(size, dtype=torch.long),
    }


def test_presence_is_the_share_of_a_frame_that_an_event_covers() -> None:
    targets = frame_targets(batch_of([(0.1, 0.275)], [1], 2), 10, 0.05)
    np.testing.assert_allclose(targets[1, 0], [0, 0, 1, 1, 1, 0.5, 0, 0, 0, 0], atol=1e-5)
    assert targets[0].sum() == 0
    assert int(targets[1, 1].argmax()) in (1, 2)
    assert int(targets[1, 2].argmax()) == 5


def test_event_frames_stay_inside_and_are_never_empty() -> None:
    batch = batch_of([(0.0, 0.01), (0.45, 0.9)], [0, 0], 1)
    frames = event_frames(batch, 10, 0.05, torch.tensor([[-1.0, -1.0], [0.0, 3.0]]))
    assert frames.tolist() == [[0, 0, 1], [0, 9, 10]]


def test_the_logits_of_an_event_are_the_mean_over_its_frames() -> None:
    logits = torch.randn(2, 7, 20)
    found = event_logits(logits, torch.tensor([[1, 3, 9], [0, 0, 20]]))
    torch.testing.assert_close(found[0], logits[1, :, 3:9].mean(1))
    torch.testing.assert_close(found[1], logits[0].mean(1))


def test_pooling_by_attention_is_the_mean_where_attention_is_even() -> None:
    values = torch.randn(2, 5, 30)
    torch.testing.assert_close(pool(torch.cat([torch.zeros(2, 5, 30), values], dim=1)), values.mean(2))


def test_evidence_and_context_make_the_class_logits() -> None:
    answer = RecordingNet(**SMALL).eval()(torch.randn(1, 1, 64, 101))
    assert answer["evidence"].shape == (1, 7, 8, 26)
    torch.testing.assert_close(class_logits(answer), answer["evidence"].mean(2) + answer["context"])


def test_gain_is_taken_out_and_silence_is_finite(front_end: RecordingLogMel) -> None:
    wave = torch.randn(1, 40_000) * 0.1
    torch.testing.assert_close(front_end(wave), front_end(0.25 * wave), atol=1e-3, rtol=0)
    assert torch.isfinite(front_end(torch.zeros(1, 40_000))).all()


def test_nothing_reaches_further_than_the_card_says(front_end: RecordingLogMel) -> None:
    torch.manual_seed(0)
    network = RecordingNet(image=(2, 64, 0), **SMALL).eval()
    reach = reach_frames(front_end, network)
    wave = torch.randn(1, 8_000 * 25) * 0.1
    other = wave.clone()
    middle = 250 * 400  # frame 250
    other[:, middle:] = torch.randn(1, wave.shape[1] - middle) * 0.1
    with torch.inference_mode():
        a, b = (network(front_end(x)) for x in (wave, other))
    for name in OUTPUTS:
        torch.testing.assert_close(a[name][..., : 250 - reach], b[name][..., : 250 - reach])
        assert not torch.allclose(a[name][..., 245:255], b[name][..., 245:255])


def test_a_label_of_icbhi_allows_what_it_may_mean() -> None:
    names = SPRSOUND_EVENTS
    allowed = allowed_classes(["crackle", "Fine Crackle", "normal"], Recipe("x"), "data")
    assert [{names[k] for k in np.flatnonzero(row)} for row in allowed] == [
        {"Coarse Crackle", "Fine Crackle"},
        {"Fine Crackle"},
        {"Normal"},
    ]


@pytest.mark.parametrize("kind", SOUND_KINDS[1:])
def test_other_sounds_are_sound_and_repeatable(kind: str) -> None:
    one, two = (other_sound(kind, np.random.default_rng(5), 3.0, RATE) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert one.shape == (24_000,)
    assert 0.005 < np.abs(one).max() <= 1.0


def test_other_sounds_have_no_lung() -> None:
    with pytest.raises(ValueError, match="lung"):
        other_sound("lung", np.random.default_rng(0), 1.0, RATE)


def test_scaling_finds_the_temperature_that_was_hidden() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 4))
    chances = np.exp(logits + [0.5, 0, 0, -0.5])
    chances /= chances.sum(1, keepdims=True)
    labels = np.array([rng.choice(4, p=row) for row in chances])
    temperature, bias = fit_scaling(torch.from_numpy(3 * logits), torch.from_numpy(labels))
    assert temperature == pytest.approx(3, rel=0.1)
    assert bias[0] - bias[3] == pytest.approx(1, abs=0.2)


def test_the_shifts_of_a_record_task_have_the_best_score_which_leaves_poor_quality_out() -> None:
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1, 2, 3, 4], [40, 10, 10, 10, 30])
    logits = rng.normal(size=(100, 5)) + 2 * np.eye(5)[labels] + [2, 0, 0, 0, 0]
    records = Labelled(logits, labels, labels.astype(str), np.zeros(100, str))
    chosen = records.task_shifts(softmax(logits))
    for task, groups in (("21", [[0], [1, 2, 3], [4]]), ("22", [[0], [1], [2], [3], [4]])):
        scores = []
        pairs = [(shift, poor) for poor in POOR_SHIFTS for shift in SHIFTS]
        for shift, poor in pairs:
            own = np.exp(logits - [shift, 0, 0, 0, poor])
            predicted = np.stack([own[:, group].sum(1) for group in groups], 1).argmax(1)
            wanted = np.array([[label in group for group in groups].index(True) for label in labels])
            right, sick = predicted == wanted, (labels > 0) & (labels < 4)
            se, sp = right[sick].mean(), right[labels == 0].mean()
            scores.append(((se + sp) / 2 + 2 * se * sp / (se + sp)) / 2)
        assert chosen[task] == pairs[np.argmax(scores)]
        assert min(chosen[task]) > 0


def test_it_learns_exports_and_is_read_back(
    front_end: RecordingLogMel, recipe: Recipe, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    recipe = with_settings(recipe, ["recording.other_sounds=10"])  # enough for a pattern of each kind
    examples = RecordingExamples([example(rng, front_end, f"p{k}") for k in range(16)])
    training = examples.joined(examples.additions(np.ones(16, bool), recipe, front_end))
    training = training.normalised(front_end)
    with tuned_cpu(1, 1):
        network, _ = train_and_choose(training, None, recipe, front_end, Hardware("cpu"))
    held = RecordingExamples([example(rng, front_end, f"q{k}") for k in range(4)]).normalised(front_end)
    folder = tmp_path / "fold1"
    folder.mkdir()
    held.write(folder, None, recipe, predict(network, held, recipe, front_end))  # type: ignore[arg-type]
    outputs = load_outputs([folder])
    assert [own.name for own in outputs] == [own.name for own in held.examples]
    for own, given in zip(outputs, held.examples, strict=True):
        np.testing.assert_array_equal(own.spans, given.spans)
        middles = (np.arange(own.presence.shape[1]) + 0.5) * own.frame_s
        inside = ((middles[:, None] > given.spans[:, 0]) & (middles[:, None] < given.spans[:, 1])).any(1)
        assert own.presence[0, inside].mean() > own.presence[0, ~inside].mean() + 1
    decision = RecordingDecision(event_certain=0.5, record_certain=0.5, lung_share=0.5)
    save_model(folder, front_end, network, decision, recipe)
    detector = load_model(export(folder, tmp_path / "r.onnx"))
    assert isinstance(detector, Detector)
    assert detector.card.edges_hz == tuple(row_edges_hz(front_end, network))  # type: ignore[arg-type]
    assert detector.card.lung_threshold == 0.5
    assert "Research software" in (tmp_path / "r.md").read_text()
    wave = rng.standard_normal(50_000).astype(np.float32) * 0.05
    wave[10_000:20_000] = 0  # digital silence
    assert detector.card.patterns == SOUND_KINDS
    entries = json.loads(str(detector.graph.metadata))
    assert entries["pattern_sources"] == ["made-up", *(f"generated {kind}" for kind in SOUND_KINDS[1:])]
    patterns = network.patterns
    assert isinstance(patterns, SoundPatterns)
    assert not np.allclose(patterns.weight[:, :, 0].detach(), network.kind_layer()[0])  # type: ignore[operator]
    frames = detector.run(wave)
    front_end.for_export(False)
    with torch.inference_mode():
        expected = network(front_end(torch.from_numpy(wave)[None]))
    for name in OUTPUTS:
        np.testing.assert_allclose(frames[name], expected[name][0].numpy(), atol=2e-3)


def test_too_few_sounds_of_a_kind_make_no_patterns_and_it_is_said(
    front_end: RecordingLogMel, recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    few = RecordingExamples([example(rng, front_end, f"p{k}") for k in range(12)]).normalised(front_end)
    network = RecordingNet(image=(front_end.channels, front_end.bands, 0), **SMALL).eval()  # type: ignore[arg-type]
    assert with_patterns(network, few, recipe) is network
    assert network.patterns is None
    assert "not as many of speech, music, noise, heart" in capsys.readouterr().err


def test_the_logit_of_a_kind_of_sound_is_that_of_all_its_patterns() -> None:
    network = RecordingNet(**SMALL)  # type: ignore[arg-type]
    image = torch.randn(2, 1, 64, 40)
    kind = network.eval()(image)["kind"]
    assert torch.equal(kind_logits(network, kind), kind.mean(2))
    kinds = ("lung", "lung", *SOUND_KINDS[1:])
    network.patterns = SoundPatterns(SMALL["width"], kinds, [f"s{k}" for k in range(6)])  # type: ignore[arg-type]
    kind = network(image)["kind"]
    shares = summed(kind.mean(2).softmax(1).detach(), kinds, SOUND_KINDS)
    np.testing.assert_allclose(kind_logits(network, kind).softmax(1).detach(), shares, atol=1e-6)
    again = RecordingNet(**SMALL)  # type: ignore[arg-type]
    again.load_state_dict(network.state_dict())
    assert again.patterns is not None
    assert (again.patterns.kinds, again.patterns.sources) == (kinds, tuple(f"s{k}" for k in range(6)))
    assert torch.equal(again.eval()(image)["kind"], kind)


class Interrupted(Callback):
    """Ctrl-C at the start of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_an_interrupted_fold_goes_on_from_its_last_epoch(
    front_end: RecordingLogMel, recipe: Recipe, tmp_path: Path, decay: float
) -> None:
    rng = np.random.default_rng(0)
    examples = RecordingExamples([example(rng, front_end, f"p{k}") for k in range(6)])
    short = replace(
        recipe,
        epochs=3,
        averaging_decay=decay,
        recording=replace(recipe.recording, batches=2, batch_s=30.0),
    )
    cpu = Hardware("cpu", threads=1, precision="32-true")

    def trained(folder: Path, *callbacks: Callback) -> dict[str, torch.Tensor]:
        module, _ = train_network(examples, short, front_end, cpu, callbacks=callbacks, kept=folder)
        assert [entry["epoch"] for entry in module.history] == [0, 1, 2]
        return module.network.state_dict()

    whole = trained(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "halves", Interrupted(2))
    halves = trained(tmp_path / "halves")
    for name, value in whole.items():
        assert torch.equal(value, halves[name]), name
