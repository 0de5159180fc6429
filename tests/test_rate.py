"""Respiratory rate: right where breathing is steady, flagged or withheld where it is not."""

import statistics

import numpy as np
import pytest

from laennec import analyze
from laennec.analyze.rate import (
    Repetition,
    breath_onsets,
    median,
    rate_of_onsets,
    repetition,
    respiratory_rate,
)
from laennec.simulate import demo_recordings


@pytest.mark.parametrize("per_min", [12.0, 24.0, 45.0])
def test_steady_breathing_is_counted(per_min: float) -> None:
    found = rate_of_onsets(list(np.arange(8) * 60 / per_min))
    assert found.per_min == pytest.approx(per_min, abs=0.1)
    assert found.quality == "good"
    assert found.breaths == 7


def test_a_missed_breath_does_not_matter() -> None:
    onsets = list(np.arange(9) * 2.0)
    del onsets[4]
    assert rate_of_onsets(onsets).per_min == pytest.approx(30.0)


def test_order_does_not_matter() -> None:
    assert rate_of_onsets([6.0, 0.0, 2.0, 4.0]) == rate_of_onsets([0.0, 2.0, 4.0, 6.0])


def test_unsteady_breathing_is_doubtful() -> None:
    found = rate_of_onsets([0, 1, 2.6, 3.3, 4.8, 5.8])
    assert found.quality == "doubtful"
    assert "vary" in found.reason


@pytest.mark.parametrize("onsets", [[], [1.0], [1.0, 3.0]])
def test_too_few_breaths_have_no_rate(onsets: list[float]) -> None:
    found = rate_of_onsets(onsets)
    assert found.per_min is None
    assert found.quality == "none"


def test_nobody_breathes_twice_a_second() -> None:
    assert rate_of_onsets(list(np.arange(10) * 0.4)).per_min is None


def test_events_of_one_breath_count_once() -> None:
    breaths = [(2.0 * k, "Normal") for k in range(6)]
    crackles = [(2.0 * k + 0.5, "Fine Crackle") for k in range(1, 6, 2)]
    assert breath_onsets(sorted(breaths + crackles)) == [onset_s for onset_s, _ in breaths]


def test_events_of_one_label_are_breaths_of_their_own_however_fast() -> None:
    onsets = [0.4 * k for k in range(10)]
    assert breath_onsets((onset_s, "Normal") for onset_s in onsets) == onsets


def test_a_wheeze_long_after_the_onset_is_a_breath() -> None:
    assert breath_onsets([(0.0, "Normal"), (0.9, "Wheeze")]) == [0.0, 0.9]


# --- breaths and halves of them -----------------------------------------------------------------------------

FRAME_S = 0.05
INSPIRATION, EXPIRATION = np.array([1.0, 3.0, 2.0, 0.5]), np.array([3.0, 1.0, 0.2, 0.1])  # by band


def breathing(
    period_s: float,
    phases: tuple[np.ndarray, np.ndarray] = (INSPIRATION, EXPIRATION),
    duration_s: float = 15.0,
    share: float = 0.5,
    seed: int = 0,
) -> Repetition:
    """Breaths of two phases and noise: the second begins after a share of the breath; each lasts 0.4."""
    rng = np.random.default_rng(seed)
    at = np.arange(round(duration_s / FRAME_S)) * FRAME_S / period_s % 1.0
    first, second = at < 0.4, (at >= share) & (at < share + 0.4)
    heard = np.outer(phases[0], first) + np.outer(phases[1], second)
    heard += rng.normal(0, 0.5, heard.shape)
    return repetition(heard, np.where(first | second, 4.0, -4.0), FRAME_S)


def halves(period_s: float, duration_s: float = 15.0, share: float = 0.5) -> list[float]:
    """Onsets of both phases."""
    breaths = np.arange(0, duration_s, period_s)
    return [float(onset) for onset in np.sort(np.concatenate([breaths, breaths + share * period_s]))]


def test_onsets_of_both_phases_are_one_breath() -> None:
    onsets = halves(1.6)
    assert rate_of_onsets(onsets).per_min == pytest.approx(75, abs=1)
    assert rate_of_onsets(onsets).quality == "good"  # which is why the sound is asked
    found = respiratory_rate(onsets, breathing(1.6))
    assert found.quality == "good"
    assert found.per_min == pytest.approx(37.5, rel=0.03)
    assert "events begin more often" in found.reason


def test_onsets_of_one_phase_are_breaths() -> None:
    for onsets in (np.arange(0, 15, 1.6), np.arange(0.8, 15, 1.6)):
        found = respiratory_rate(onsets.tolist(), breathing(1.6))
        assert (found.quality, found.per_min) == ("good", 37.5)


def test_unsteady_onsets_have_the_rate_of_the_sound() -> None:
    onsets = halves(2.4, share=0.42)
    assert rate_of_onsets(onsets).quality == "doubtful"
    found = respiratory_rate(onsets, breathing(2.4, share=0.42))
    assert found.quality == "good"
    assert found.per_min == pytest.approx(25, rel=0.03)


def test_missed_onsets_do_not_make_half_the_rate_good() -> None:
    onsets = np.arange(0, 15, 1.6)[[0, 2, 4, 6, 8]].tolist()
    assert rate_of_onsets(onsets).quality == "good"
    found = respiratory_rate(onsets, breathing(1.6))
    assert (found.per_min, found.quality) == (None, "none")


@pytest.mark.parametrize(("unlike", "per_min"), [(0.25, 37.5), (0.75, None), (1.25, None), (2.5, 18.75)])
def test_halves_are_told_from_breaths_by_how_unlike_they_are(unlike: float, per_min: float | None) -> None:
    """Between what is clear either way both hypotheses are near, and neither is told."""
    other = INSPIRATION + np.array([0.0, 0.0, unlike, unlike])
    found = respiratory_rate(halves(3.2), breathing(3.2, (INSPIRATION, other)))
    assert found.quality == ("none" if per_min is None else "good")
    assert found.per_min == (None if per_min is None else pytest.approx(per_min, rel=0.03))


def test_steady_onsets_over_sound_that_never_repeats_itself_are_doubtful() -> None:
    noise = np.random.default_rng(0).normal(size=(4, 300))
    found = respiratory_rate(halves(1.6), repetition(noise, np.full(300, 4.0), FRAME_S))
    assert found.quality == "doubtful"
    assert "does not repeat itself" in found.reason


def test_too_few_onsets_have_no_rate_however_the_sound_repeats_itself() -> None:
    assert respiratory_rate([1.0, 2.6], breathing(1.6)).quality == "none"


def test_segments_add_up() -> None:
    whole = sum((breathing(1.6, seed=seed) for seed in range(4)), Repetition.nothing(FRAME_S))
    assert whole.compared[32] == 4 * (300 - 32)
    period_s, alike = whole.period() or (0, 0)
    assert period_s == pytest.approx(1.6, abs=0.03)
    assert alike == pytest.approx(whole.near(1.6))


def test_repetition_is_the_correlation_of_frames_so_far_apart() -> None:
    """Against pairs of frames taken one by one."""
    rng = np.random.default_rng(1)
    heard = rng.normal(size=(3, 90))
    own = repetition(heard, np.full(90, 50.0), FRAME_S)
    kernel = np.array([0.25, 0.75, 1.0, 0.75, 0.25]) / 3
    smooth = np.stack([np.convolve(row, kernel, "same") for row in heard])
    smooth -= smooth.mean(1, keepdims=True)
    for lag in (0, 1, 17, 45):
        one, other = smooth[:, : 90 - lag], smooth[:, lag:]
        expected = (one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum())
        assert own.correlation[lag] == pytest.approx(expected, abs=1e-9)
    assert own.compared[46:].max() == 0  # beyond half of it
    assert own.correlation[46:].max() == 0


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_a_moment_has_no_period(frames: int) -> None:
    own = repetition(np.ones((2, frames)), np.zeros(frames), FRAME_S)
    assert own.period() is None
    assert np.isfinite(own.correlation).all()
    assert own.near(1.6) == 0.0


def test_the_simulated_wheezes_are_not_counted_twice() -> None:
    """39 breaths a minute are drawn; 75 times a minute an event begins."""
    drawn = demo_recordings()["wheezes"]
    record = analyze(drawn.samples, sample_rate=drawn.sample_rate).record
    assert record is not None
    assert record.rate is not None
    breaths = 60 / np.median([breath.end_s - breath.start_s for breath in drawn.breaths])
    assert record.rate.quality != "good" or record.rate.per_min == pytest.approx(breaths, rel=0.15)


def test_the_median_is_numpys_to_the_bit() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 3, 10, 301):
        for kind in (np.float64, np.float32):
            values = (40 * rng.standard_normal(size)).astype(kind)
            assert median(values) == np.median(values)
        assert median(values.tolist()) == statistics.median(values.tolist())
