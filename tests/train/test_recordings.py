"""Training on whole recordings: targets, batches, augmentation, and that it learns and exports."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from laennec.errors import LaennecError
from laennec.features.recording import RecordingLogMel
from laennec.labels import SOUND_KINDS, SPRSOUND_EVENTS
from laennec.model.card import OUTPUTS
from laennec.model.detector import Detector
from laennec.model.load import load_model
from laennec.models.recording import RecordingNet, class_logits, event_logits, pool
from laennec.simulate.other import other_sound
from laennec.train.detector import Said, load_said, refuse_other_plan, save_said
from laennec.train.detector_figures import fit_scaling, shifted_answers, task_score
from laennec.train.loop import tuned_cpu
from laennec.train.recording_export import export_recording, reach_frames, row_edges_hz
from laennec.train.recordings import (
    Batch,
    Example,
    Examples,
    Lesson,
    OneLength,
    balance,
    draw_variation,
    event_frames,
    frame_targets,
    image_of,
    other_examples,
    train_network,
    vary,
)

RATE = 8_000
SMALL = {"channels": (4, 6, 8, 8, 8), "width": 16, "dilations": (1, 2)}


@pytest.fixture(scope="module")
def front_end() -> RecordingLogMel:
    return RecordingLogMel()


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
    return Example(name, name, image, spans, classes, True, int(labels.any()))


def batch_of(spans: list[tuple[float, float]], rows: list[int], size: int) -> Batch:
    classes = torch.zeros(len(spans), 7, dtype=torch.bool)
    return Batch(
        torch.zeros(size, 1, 64, 200),
        torch.tensor(spans).reshape(-1, 2),
        classes,
        torch.tensor(rows, dtype=torch.long),
        torch.ones(size, dtype=torch.bool),
        torch.zeros(size, dtype=torch.long),
        torch.zeros(size, dtype=torch.long),
    )


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
    network = RecordingNet(**SMALL).eval()
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


def test_a_batch_has_one_length_and_every_example_comes_once(front_end: RecordingLogMel) -> None:
    rng = np.random.default_rng(0)
    examples = [example(rng, front_end, str(k), 9.216 if k % 3 else 15.36) for k in range(9)]
    sampler = OneLength(examples, 30.0, 0.0125, 0)
    first, second = list(sampler), list(sampler)
    assert sorted(itertools.chain(*first)) == list(range(9))
    assert first != second
    for batch in first:
        assert len({examples[index].image.shape for index in batch}) == 1
    held = Examples(examples).__getitems__(first[0])
    assert held.image.shape[0] == len(first[0])
    assert int(held.row.max()) < len(first[0])


def test_a_variation_keeps_shapes_and_does_what_it_says() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(4, 1, 64, 200)
    variation = draw_variation(image.shape, generator)
    varied = vary(image, variation)
    assert varied.shape == (4, 1, 64, round(200 * variation.stretch))
    assert torch.isfinite(varied).all()
    again = vary(image, draw_variation(image.shape, torch.Generator().manual_seed(0)))
    torch.testing.assert_close(varied, again)


def test_class_weights_have_a_mean_of_one_over_the_examples() -> None:
    counts = np.array([100, 10, 0])
    weights = balance(counts, 0.5).numpy()
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1)
    assert weights[1] / weights[0] == pytest.approx(np.sqrt(10))
    assert weights[2] == 0


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
    temperature, bias = fit_scaling(3 * logits, labels)
    assert temperature == pytest.approx(3, rel=0.1)
    assert bias[0] - bias[3] == pytest.approx(1, abs=0.2)


def test_record_tasks_leave_poor_quality_out() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    answers = np.array([0, 0, 0, 1, 1, 0, 0, 1])
    se, sp, score = task_score(labels, answers, 3)
    assert (se, sp) == (0.5, 0.75)
    assert score == pytest.approx((0.625 + 2 * 0.5 * 0.75 / 1.25) / 2)
    assert shifted_answers(np.array([[0.6, 0.4]]), 1.0).tolist() == [1]


def test_it_learns_exports_and_is_read_back(front_end: RecordingLogMel, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    examples = [example(rng, front_end, f"p{k}") for k in range(24)]
    lesson = Lesson(epochs=12, learning_rate=1e-2, batch_s=60.0, network=SMALL)
    with tuned_cpu(1, 1):
        network = train_network(examples + other_examples(2, 0, front_end), lesson, 0)
    (tmp_path / "seed0").mkdir()
    held = [example(rng, front_end, f"q{k}") for k in range(4)]
    save_said(tmp_path / "seed0" / "fold0.npz", network, held, 0)
    said: list[Said] = load_said(tmp_path, 0, 1)
    assert [s.name for s in said] == [e.name for e in held]
    for s, e in zip(said, held, strict=True):
        np.testing.assert_array_equal(s.spans, e.spans)
        middles = (np.arange(s.presence.shape[1]) + 0.5) * 0.05
        inside = ((middles[:, None] > e.spans[:, 0]) & (middles[:, None] < e.spans[:, 1])).any(1)
        assert s.presence[0, inside].mean() > s.presence[0, ~inside].mean() + 1
    told = {
        "rule": {},
        "event_temperature": 1.0,
        "record_temperature": 1.0,
        "event_certain": 0.5,
        "record_certain": 0.5,
        "lung_share": 0.5,
    }
    detector = load_model(export_recording(front_end, network, tmp_path / "r.onnx", told))
    assert isinstance(detector, Detector)
    assert detector.card.edges_hz == tuple(row_edges_hz(front_end))
    assert "Research software" in (tmp_path / "r.md").read_text()
    wave = rng.standard_normal(50_000).astype(np.float32) * 0.05
    wave[10_000:20_000] = 0  # digital silence
    heard = detector.run(wave)
    with torch.inference_mode():
        expected = network(front_end(torch.from_numpy(wave)[None]))
    for name in OUTPUTS:
        np.testing.assert_allclose(heard[name], expected[name][0].numpy(), atol=2e-3)


def test_a_folder_of_other_settings_is_refused(tmp_path: Path) -> None:
    refuse_other_plan(tmp_path / "plan.json", {"folds": 5})
    refuse_other_plan(tmp_path / "plan.json", {"folds": 5})
    with pytest.raises(LaennecError, match="other settings"):
        refuse_other_plan(tmp_path / "plan.json", {"folds": 4})
