"""Events as the default model hears them: front end, variation, network, decision."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from laennec.audio.segment import place
from laennec.features import event
from laennec.features.event import (
    INSIDE,
    OUTSIDE,
    EventLogMel,
    EventVariation,
    PlaceEvent,
    draw_event_variation,
    vary_events,
)
from laennec.features.spectrum import BAND_FLOOR, PowerSpectrum, log_above
from laennec.labels import SPRSOUND_EVENTS
from laennec.models.event import EventNet
from laennec.score.evaluation import score
from laennec.score.predictions import Predictions
from laennec.simulate.other import ward_noise
from laennec.train.decision import SHIFTS, Decision, fit_decision, score_of_shifts, shift_head
from laennec.train.recipe import Augmentation

RATE = 8000


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(samples: int, seed: int = 0, clips: int = 1) -> torch.Tensor:
    return torch.randn(clips, samples, generator=generator(seed)) * 0.1


# --- the front end ------------------------------------------------------------------------------------------


def test_what_is_beside_the_event_is_not_heard() -> None:
    front_end = EventLogMel()
    clip = noise(front_end.clip_samples)
    bounds = torch.tensor([[6000, 12_000]])
    alone = torch.zeros_like(clip)
    alone[:, 6000:12_000] = clip[:, 6000:12_000]
    torch.testing.assert_close(front_end(clip, bounds), front_end(alone, bounds))


@pytest.mark.parametrize("half", [False, True])
def test_frames_outside_an_event_need_not_be_computed(half: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    front_end = EventLogMel(windows=[512, 256, 64])
    clips = noise(front_end.clip_samples, clips=4)
    bounds = torch.tensor([[6000, 12_000], [9000, 9010], [0, 19_200], [-500, 300]])

    def computed() -> torch.Tensor:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            return front_end(clips, bounds)

    some, asked = computed(), []
    whole = PowerSpectrum.forward

    def every(power: PowerSpectrum, waveform: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        asked.append(int(chosen.sum()))
        return whole(power, waveform)[chosen]

    monkeypatch.setattr(PowerSpectrum, "some", every)
    assert torch.equal(some, computed())
    assert asked[0] < 0.5 * 4 * front_end.frames
    # All frames' bands, as a graph that is exported computes them.
    monkeypatch.setattr(
        EventLogMel,
        "_bands",
        lambda own, power, gain, waveform, inside: log_above(power(waveform) * gain @ own.mel, BAND_FLOOR),
    )
    assert torch.equal(some, computed())


def test_chunks_of_a_batch_are_varied_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    front_end = EventLogMel(clip_s=0.5, margin_s=0.1)
    settings = Augmentation(boundary_jitter_s=0.1, speed=0.1, tilt=0.4, frequency_masks=2, time_masks=2)
    batch = {
        "waveform": noise(front_end.training_samples, clips=5),
        "bounds": torch.tensor([[900, 3600 + 100 * clip] for clip in range(5)]),
    }
    images = []
    for chunk in (2, 5):
        monkeypatch.setattr(event, "CHUNK", chunk)
        torch.manual_seed(0)
        images.append(front_end.augment(batch, settings)["image"])
    torch.testing.assert_close(*images)
    assert images[0].shape == (5, front_end.channels, front_end.bands, front_end.frames)
    assert set(images[0][:, -1].unique().tolist()) == {INSIDE, OUTSIDE}  # no mask hides where an event is


def test_gain_does_not_matter_and_silence_is_finite() -> None:
    front_end = EventLogMel()
    clip, bounds = noise(front_end.clip_samples), torch.tensor([[2000, 15_000]])
    for db in (-12, 12):
        torch.testing.assert_close(
            front_end(clip * 10 ** (db / 20), bounds), front_end(clip, bounds), atol=2e-3, rtol=0
        )
    assert front_end(torch.zeros_like(clip), bounds).isfinite().all()


def test_the_last_channel_marks_the_event_and_the_others_are_empty_beside_it() -> None:
    front_end = EventLogMel(windows=(512, 256, 64))
    image = front_end(noise(front_end.clip_samples), torch.tensor([[3840, 7680]]))
    assert image.shape == (1, 4, 64, front_end.frames)
    mark = image[0, -1, 0]
    assert mark.unique().tolist() == [OUTSIDE, INSIDE]
    assert (mark > 0).nonzero()[:, 0].tolist() == list(range(30, 61))  # frames of 16 ms from .48 s to .96 s
    assert (image[0, :-1, :, mark < 0] == 0).all()
    assert image[0, :-1, :, mark > 0].abs().mean() > 0.05


def test_the_level_is_that_of_the_event_however_long_it_is() -> None:
    front_end = EventLogMel()
    clip = noise(front_end.clip_samples)
    for first, last in ((9000, 10_000), (4000, 15_000)):
        image = front_end(clip, torch.tensor([[first, last]]))
        inside = image[0, 0][:, image[0, -1, 0] > 0]
        assert float(inside.mean()) == pytest.approx(0, abs=0.05)


def test_a_short_window_tells_clicks_apart_that_a_long_one_blurs() -> None:
    front_end = EventLogMel(windows=(512, 128))
    clip = torch.zeros(1, front_end.clip_samples)
    clip[0, [7936, 8320]] = 1.0  # two clicks, 48 ms apart
    image = front_end(clip + 1e-4 * noise(front_end.clip_samples), torch.tensor([[7000, 9400]]))
    at, between = 62, 63  # frames, whose middles are at samples 7936 and 8064
    contrast = (image[0, :2, :, at] - image[0, :2, :, between]).mean(1)
    assert contrast[1] > contrast[0] + 0.3


def test_a_convolution_gives_the_spectra_of_the_transform() -> None:
    clip, bounds = noise(19_200), torch.tensor([[3000, 16_000]])
    plain, exported = EventLogMel(windows=(512, 256, 64)), EventLogMel(windows=(512, 256, 64))
    for power in exported.powers:
        power.as_convolution = True
    assert plain.powers[2].basis.shape == (2 * plain.mel.shape[0], 1, 64)
    assert plain.mel.shape[0] < 257  # nothing above the highest band
    torch.testing.assert_close(plain(clip, bounds), exported(clip, bounds), atol=1e-4, rtol=0)


def test_windows_of_any_length_measure_noise_alike() -> None:
    front_end = EventLogMel(windows=(512, 128))
    clip = noise(front_end.clip_samples, clips=8)
    levels = [
        (power(clip) * gain @ front_end.mel).mean()
        for power, gain in zip(front_end.powers, front_end.gains, strict=True)
    ]
    assert float(levels[0] / levels[1]) == pytest.approx(1, rel=0.1)


# --- windows ------------------------------------------------------------------------------------------------


def test_a_window_lies_around_the_middle_and_is_silent_beyond_the_recording() -> None:
    samples = np.arange(1, 101, dtype=np.float32)
    window, bounds = place(samples, 10, 20, 40)
    assert bounds == (15, 25)
    np.testing.assert_array_equal(window[5:], samples[:35])
    assert (window[:5] == 0).all()
    window, bounds = place(samples, 95, 100, 20)
    np.testing.assert_array_equal(window[bounds[0] : bounds[1]], samples[95:])
    assert (window[bounds[1] + 1 :] == 0).all()
    window, bounds = place(samples, 0, 100, 20)  # longer than the window: its middle is heard
    assert bounds == (-40, 60)
    np.testing.assert_array_equal(window, samples[40:60])


@pytest.mark.parametrize("length", [1, 2, 799, 8000, 19_199, 19_200, 19_201, 40_000])
def test_the_graph_lays_the_window_as_the_training_does(length: int) -> None:
    front_end = EventLogMel()
    clip = noise(40_000, seed=length)
    heard, bounds = PlaceEvent(front_end.clip_samples)(clip, torch.tensor([length]))
    window, where = place(clip[0, :length].numpy(), 0, length, front_end.clip_samples)
    assert bounds[0].tolist() == list(where)
    torch.testing.assert_close(
        front_end(heard, bounds), front_end(torch.from_numpy(window)[None], torch.tensor([where]))
    )


def test_windows_for_training_hold_each_event_where_the_bounds_say(simulated) -> None:  # type: ignore[no-untyped-def]
    from laennec.audio.recording import Recording
    from laennec.datasets import dataset

    clips = dataset("sprsound").load(simulated).iloc[:6]
    front_end = EventLogMel()
    features = front_end.read(clips, "tile")
    waveforms, bounds = features.waveform, features.bounds
    assert waveforms is not None
    assert bounds is not None
    assert waveforms.shape == (6, front_end.training_samples)
    for row, clip in enumerate(clips.itertuples()):
        recording = Recording.read(clip.path).resampled(RATE)
        first, last = round(clip.start_s * RATE), round(clip.end_s * RATE)
        begin, end = bounds[row].tolist()
        assert end - begin == min(last, recording.samples.shape[1]) - first
        inside = slice(max(begin, 0), min(end, waveforms.shape[1]))
        cut = recording.samples[0, first : first + end - begin][max(0, -begin) :][
            : inside.stop - inside.start
        ]
        np.testing.assert_array_equal(waveforms[row, inside].numpy(), cut)


# --- variation ----------------------------------------------------------------------------------------------


def still(batch: int) -> EventVariation:
    """A variation that changes nothing."""
    zeros = torch.zeros(batch, dtype=torch.long)
    return EventVariation(
        zeros,
        torch.zeros(batch, 2, dtype=torch.long),
        torch.ones(batch),
        torch.zeros(batch),
        zeros,
        torch.zeros(batch, 64),
    )


def material(batch: int = 3) -> tuple[EventLogMel, torch.Tensor, torch.Tensor]:
    front_end = EventLogMel()
    middle = front_end.training_samples // 2
    bounds = torch.tensor([[middle - 3000, middle + 5000]] * batch)
    return front_end, noise(front_end.training_samples, clips=batch), bounds


def test_nothing_asked_changes_nothing() -> None:
    front_end, waveforms, bounds = material()
    drawn = draw_event_variation(3, front_end, Augmentation())
    drawn = replace(drawn, shift=torch.zeros(3, dtype=torch.long))
    clip, where = vary_events(waveforms, bounds, drawn, front_end.clip_samples, noise(19_200))
    margin = front_end.margin_samples
    torch.testing.assert_close(clip, waveforms[:, margin : margin + front_end.clip_samples])
    assert torch.equal(where, bounds - margin)
    assert (drawn.tilt == 0).all()


def test_shift_and_moved_boundaries_keep_the_sound_under_the_bounds() -> None:
    front_end, waveforms, bounds = material(1)
    drawn = replace(still(1), shift=torch.tensor([400]), moved=torch.tensor([[-100, 250]]))
    clip, where = vary_events(waveforms, bounds, drawn, front_end.clip_samples)
    (first, last), (begin, end) = bounds[0].tolist(), where[0].tolist()
    torch.testing.assert_close(clip[0, begin:end], waveforms[0, first - 100 : last + 250])


def test_faster_is_shorter_and_higher() -> None:
    front_end, _, bounds = material(1)
    t = torch.arange(front_end.training_samples) / RATE
    tone = torch.sin(2 * torch.pi * 400 * t)[None]
    clip, where = vary_events(tone, bounds, replace(still(1), speed=torch.tensor([1.1])), 19_200)
    assert int(where[0, 1] - where[0, 0]) == pytest.approx(8000 / 1.1, abs=2)
    spectrum = torch.fft.rfft(clip[0, 4000:12_000] * torch.hann_window(8000)).abs()
    assert int(spectrum.argmax()) == pytest.approx(440, abs=1)


def test_noise_is_as_far_below_the_event_as_drawn() -> None:
    front_end, waveforms, bounds = material(2)
    waveforms[1] *= 30  # its own level counts, not the batch's
    pieces = noise(front_end.clip_samples, seed=5, clips=4)
    pieces = pieces / pieces.std(1, keepdim=True)
    quiet = vary_events(waveforms, bounds, still(2), front_end.clip_samples, pieces)[0]
    drawn = replace(still(2), noise_gain=torch.tensor([0.1, 0.1]), noise=torch.tensor([2, 3]))
    loud, where = vary_events(waveforms, bounds, drawn, front_end.clip_samples, pieces)
    for row in range(2):
        inside = slice(*where[row].tolist())
        added = (loud - quiet)[row]
        assert float(added.std() / quiet[row, inside].std()) == pytest.approx(0.1, rel=0.05)
        torch.testing.assert_close(
            added / added.std(), pieces[row + 2] / pieces[row + 2].std(), atol=1e-3, rtol=0
        )


def test_an_event_that_jitter_would_swallow_keeps_a_tenth_of_a_second() -> None:
    front_end, waveforms, _ = material(1)
    middle = front_end.training_samples // 2
    drawn = replace(still(1), moved=torch.tensor([[800, -800]]))
    _, where = vary_events(
        waveforms, torch.tensor([[middle - 400, middle + 400]]), drawn, 19_200, shortest=800
    )
    assert int(where[0, 1] - where[0, 0]) == 800
    assert 0 <= int(where[0, 0]) <= 19_200 - 800


def test_item_of_a_batch_equals_the_item_alone_and_a_seed_repeats() -> None:
    front_end, waveforms, bounds = material(5)
    settings = Augmentation(boundary_jitter_s=0.1, speed=0.1, tilt=0.5, noise=0.5)
    pieces = noise(front_end.clip_samples, seed=5, clips=4)
    drawn, again = (draw_event_variation(5, front_end, settings, 4, generator(3)) for _ in range(2))
    for name in EventVariation.__dataclass_fields__:
        assert torch.equal(getattr(drawn, name), getattr(again, name))
    clip, where = vary_events(waveforms, bounds, drawn, front_end.clip_samples, pieces)
    alone = EventVariation(*(getattr(drawn, name)[2:3] for name in EventVariation.__dataclass_fields__))
    one, its = vary_events(waveforms[2:3], bounds[2:3], alone, front_end.clip_samples, pieces)
    torch.testing.assert_close(clip[2:3], one)
    assert torch.equal(where[2:3], its)
    often = draw_event_variation(400, front_end, settings, 4, generator(4)).noise_gain
    assert float((often > 0).float().mean()) == pytest.approx(0.5, abs=0.1)
    assert (draw_event_variation(400, front_end, settings, 0).noise_gain == 0).all()  # no noise at hand


def test_everything_happens_where_the_batch_is() -> None:
    device = torch.device("meta")  # a tensor left behind on the processor would be refused
    front_end = EventLogMel().to(device)
    settings = Augmentation(boundary_jitter_s=0.1, speed=0.1, tilt=0.5, noise=0.5)
    drawn = draw_event_variation(2, front_end, settings, 3).to(device)
    waveforms = torch.zeros(2, front_end.training_samples, device=device)
    bounds = torch.zeros(2, 2, dtype=torch.long, device=device)
    pieces = torch.zeros(3, front_end.clip_samples, device=device)
    clip, where = vary_events(waveforms, bounds, drawn, front_end.clip_samples, pieces)
    assert front_end(clip, where).device == device


def test_the_noise_of_a_ward_has_unit_deviation_and_many_forms() -> None:
    made = [ward_noise(np.random.default_rng(seed), 2.0, RATE) for seed in range(12)]
    for wave in made:
        assert wave.shape == (16_000,)
        assert wave.std() == pytest.approx(1, rel=1e-6)
    low = [
        np.square(np.abs(np.fft.rfft(wave)))[: 2 * 300].sum() / np.square(np.abs(np.fft.rfft(wave))).sum()
        for wave in made
    ]
    assert max(low) > 0.8
    assert min(low) < 0.4
    np.testing.assert_array_equal(made[3], ward_noise(np.random.default_rng(3), 2.0, RATE))


# --- the network --------------------------------------------------------------------------------------------


def test_frames_beside_the_event_do_not_reach_the_pooled_features() -> None:
    torch.manual_seed(0)
    network = EventNet(image=(3, 64, 151)).eval()
    maps = torch.rand(1, 128, 4, 19)
    mark = torch.full((1, 1, 1, 151), -1.0)
    mark[..., 40:80] = 1.0
    weight = network.pooled(mark.clamp_min(0))
    assert weight.shape[-1] == 19
    assert (weight[0, 0, 0] > 0).nonzero()[:, 0].tolist() == list(range(5, 11))  # columns of 8 frames
    changed = maps.clone()
    changed[..., :4] = 9.0
    pooled = [(m.mean(2, keepdim=True) * weight).sum(3) for m in (maps, changed)]
    torch.testing.assert_close(*pooled)


def test_metadata_can_be_heard_and_missing() -> None:
    torch.manual_seed(0)
    network = EventNet(image=(3, 64, 151), metadata=True).eval()
    image = torch.randn(2, 3, 64, 151)
    nothing = torch.zeros(2, dtype=torch.long)
    missing = network(image, torch.full((2,), torch.nan), nothing, nothing)
    told = network(image, torch.full((2,), 4.0), nothing + 1, nothing + 2)
    assert missing.isfinite().all()
    assert (missing - told).abs().max() > 1e-3


# --- the decision -------------------------------------------------------------------------------------------


def two_sided(separation: float, clips: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits of two classes whose difference is Gaussian, nine normal clips for each other one."""
    rng = np.random.default_rng(seed)
    label = (rng.random(clips) < 0.1).astype(int)
    difference = separation * (2 * label - 1) / 2 + rng.standard_normal(clips)
    return np.column_stack([np.zeros(clips), difference * separation + np.log(1 / 9)]), label


def test_the_shift_undoes_the_rarity_of_sounds() -> None:
    logits, label = two_sided(2.0)
    decision = fit_decision(logits, label)
    # The logits are those of the classes as frequent as they are; where both sides err alike is log 9 lower.
    assert decision.shift == pytest.approx(np.log(1 / 9), abs=0.4)
    scores = score_of_shifts(logits, label)
    assert scores[np.argmin(np.abs(SHIFTS - decision.shift))] > scores[np.argmin(np.abs(SHIFTS))] + 0.02


def test_scores_of_shifts_are_those_of_the_metrics_for_both_tasks() -> None:
    rng = np.random.default_rng(3)
    logits, label = rng.standard_normal((400, 7)) * 2, rng.integers(0, 7, 400)
    found = score_of_shifts(logits, label)
    for row in (0, 70, 95):
        said = Predictions(
            tuple(map(str, range(400))),
            tuple(str(k % 9) for k in range(400)),
            tuple(SPRSOUND_EVENTS[k] for k in label),
            SPRSOUND_EVENTS,
            Decision(float(SHIFTS[row])).applied(logits),
        )
        told = score(said, draws=2)
        both = [told[task]["scores"]["challenge_score"] for task in ("task_11", "task_12")]
        assert found[row] == pytest.approx(np.mean(both))


def test_the_temperature_is_fitted_after_the_shift() -> None:
    logits, label = two_sided(2.0)
    cold, warm = fit_decision(logits, label), fit_decision(logits * 3, label)
    assert warm.temperature == pytest.approx(3 * cold.temperature, rel=0.35)
    found = cold.applied(logits)
    np.testing.assert_allclose(found.sum(1), 1)
    assert ((found[:, 1] > 0.5) == (logits[:, 1] > logits[:, 0] + cold.shift)).all()


def test_one_side_alone_decides_nothing() -> None:
    assert fit_decision(np.zeros((5, 7)), np.zeros(5, int)) == Decision()
    assert fit_decision(np.zeros((5, 7)), np.ones(5, int)) == Decision()


def test_the_shift_is_built_into_the_head() -> None:
    network = EventNet(len(SPRSOUND_EVENTS), (3, 64, 151)).eval()
    image, nothing = torch.randn(2, 3, 64, 151), torch.zeros(2, dtype=torch.long)
    before = network(image, torch.zeros(2), nothing, nothing)
    shift_head(network, 0.7, 0)
    moved = network(image, torch.zeros(2), nothing, nothing) - before
    torch.testing.assert_close(moved, torch.tensor([[0.7] + [0.0] * 6] * 2))
