"""The image of a whole recording: its two channels, and what training varies."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from laennec.features.augment import Augmentation
from laennec.features.recording import (
    NEPERS_PER_DB,
    RecordingLogMel,
    draw_recording_variation,
    draw_response,
    mix_beside,
    moving_mean,
    vary_recordings,
)
from laennec.labels import SPRSOUND_EVENTS, SPRSOUND_RECORDS
from laennec.model import probability
from laennec.model.probability import sigmoid
from laennec.models.recording import family_evidence, family_shares
from laennec.models.recording_task import UNKNOWN, RecordingTask
from laennec.train.recipe import load_recipe


def test_moving_mean_is_that_of_pooling() -> None:
    values = torch.randn(2, 3, 50, dtype=torch.float64)
    for reach in (0, 4, 60):
        expected = F.avg_pool1d(values, 2 * reach + 1, 1, reach, count_include_pad=False)
        torch.testing.assert_close(moving_mean(values, reach), expected)


def test_a_device_changes_one_channel_alone() -> None:
    front_end = RecordingLogMel(by_band=True)
    image = torch.randn(1, 1, 64, 400)
    device = torch.linspace(-1, 1, 64)[:, None]  # a response, whose mean is 0
    plain, heard = front_end.normalised(image), front_end.normalised(image + device)
    assert plain.shape == (1, 2, 64, 400)
    torch.testing.assert_close(heard[:, 1], plain[:, 1], atol=1e-4, rtol=0)
    torch.testing.assert_close(heard[:, 0] - plain[:, 0], (device / 5).expand(1, 64, 400), atol=1e-4, rtol=0)
    torch.testing.assert_close(RecordingLogMel().normalised(image), plain[:, :1])


def test_two_channels_do_not_depend_on_what_lies_far_away() -> None:
    front_end = RecordingLogMel(by_band=True)
    image = torch.randn(1, 1, 64, 2000)
    part = front_end.normalised(image[..., 200:1800])
    torch.testing.assert_close(
        front_end.normalised(image)[..., 600:1400], part[..., 400:1200], atol=1e-3, rtol=0
    )


def test_mixing_adds_powers_at_the_level_that_was_drawn() -> None:
    image, beside = torch.zeros(3, 1, 4, 10), torch.full((3, 1, 4, 10), 7.0)
    level_db = torch.tensor([0.0, 10.0, math.inf])
    mixed = mix_beside(image, beside, level_db, torch.tensor([True, True, True]))
    expected = torch.log(1 + 10 ** (-level_db / 10))
    torch.testing.assert_close(mixed.amax((1, 2, 3)), expected)
    untouched = mix_beside(image, beside, level_db, torch.tensor([False, False, False]))
    torch.testing.assert_close(untouched, image)


def test_a_variation_is_drawn_once_and_does_what_it_says() -> None:
    settings = load_recipe("recording").augmentation
    shape = (4, 1, 64, 200)
    image = torch.randn(shape) - 9
    drawn = [
        draw_recording_variation(shape, settings, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    ]
    one, same, other = (vary_recordings(image, each) for each in drawn)
    assert torch.isfinite(one).all()
    torch.testing.assert_close(one, same)
    assert not torch.allclose(one, other)
    still = replace(settings, response=0, noise=0, beside=0, frequency_masks=0, time_masks=0)
    nothing = draw_recording_variation(shape, replace(still, tempo_range=(1.0, 1.0)))
    assert nothing.tempo == 1
    assert torch.isinf(nothing.beside_db).all()
    torch.testing.assert_close(vary_recordings(image, nothing), image)
    loud = replace(still, noise=1.0, noise_snr_db=(-30.0, -30.0))
    noisy = vary_recordings(image, draw_recording_variation(shape, loud))
    # The level of the noise is 30 dB above the median, give or take the slope of its spectrum.
    assert 30 * NEPERS_PER_DB - 4.5 < float((noisy - image).median()) < 30 * NEPERS_PER_DB + 1.5


def test_responses_grow_milder_towards_the_end() -> None:
    front_end = RecordingLogMel()
    image, kind = torch.randn(2, 1, 64, 300), torch.zeros(2, dtype=torch.long)
    settings = Augmentation(response=1.0, metadata_dropout=0)

    def changed(progress: float) -> float:
        torch.manual_seed(0)
        batch = {"image": image, "kind": kind, "spans": torch.zeros(0, 2), "progress": torch.tensor(progress)}
        return float((front_end.augment(batch, settings)["image"] - front_end.normalised(image)).std())

    assert changed(0.0) > 1.5 * changed(0.9) > 0.1


def test_responses_vary_and_limit_bands() -> None:
    drawn = draw_response(400, 64, torch.Generator().manual_seed(0))
    assert drawn.shape == (400, 64)
    assert float(drawn.mean(1).std()) > 0.3
    assert float((drawn.amin(1) < -5).float().mean()) > 0.2


def frames(classes: dict[int, str], presence: list[float]) -> dict[str, torch.Tensor]:
    """Output of 40 frames, in which an event of a class lies where `classes` says."""
    logits = torch.zeros(1, 7, 40)
    logits[:, 0] = 6.0
    for frame, name in classes.items():
        logits[0, SPRSOUND_EVENTS.index(name), frame] = 12.0
    return {
        "evidence": logits[:, :, None],
        "context": torch.zeros(1, 7, 40),
        "presence": torch.tensor(presence).logit()[None, None].repeat(1, 3, 1),
    }


def test_evidence_of_families_comes_from_events_that_are_there() -> None:
    shares = family_shares(SPRSOUND_EVENTS)
    assert shares.int().tolist() == [[0, 1, 1, 1, 0, 0, 1], [0, 0, 0, 0, 1, 1, 1]]
    there, nowhere = [0.99] * 40, [0.01] * 40
    wheeze = dict.fromkeys(range(10, 20), "Wheeze")
    cas, das = family_evidence(frames(wheeze, there), shares)[0].tolist()
    assert cas > 0.8
    assert das < 0.1
    assert family_evidence(frames(wheeze, nowhere), shares)[0, 0] < 0.1
    both = dict.fromkeys(range(10, 20), "Wheeze+Crackle")
    for output in (frames(wheeze, there), frames(wheeze, nowhere), frames(both, there)):
        presence, classes = output["presence"][0, 0].numpy(), output["evidence"][0, :, 0].numpy()
        analysed = sigmoid(probability.family_evidence(presence, classes, SPRSOUND_EVENTS))
        learnt = family_evidence(output, shares)[0].numpy()
        assert analysed == pytest.approx(learnt.clip(*sigmoid(np.array([-4.0, 4.0]))), rel=1e-5)
    assert (family_evidence(frames(both, there), shares)[0] > 0.8).all()


def test_evidence_is_learnt_where_the_record_tells() -> None:
    task = RecordingTask(
        RecordingLogMel(),
        SPRSOUND_RECORDS,
        torch.ones(7),
        torch.ones(5),
        (1.0, 1.0, 1.0, 1.0, 1.0),
        Augmentation(),
        SPRSOUND_EVENTS,
        1.0,
    )
    output = frames(dict.fromkeys(range(10, 20), "Wheeze"), [0.99] * 40)

    def loss(record: int) -> float:
        return float(task._evidence_loss(output, torch.tensor([record])))

    assert loss(SPRSOUND_RECORDS.index("CAS")) < 0.2
    assert loss(SPRSOUND_RECORDS.index("DAS")) > 1.0
    assert loss(SPRSOUND_RECORDS.index("Poor Quality")) == 0
    assert loss(UNKNOWN) == 0


@pytest.mark.parametrize("setting", ["response", "beside"])
def test_strengths_are_numbers_of_the_recipe(setting: str) -> None:
    assert getattr(load_recipe("recording").augmentation, setting) > 0
