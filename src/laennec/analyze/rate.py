"""Respiratory rate: from the onsets of events, checked by how soon the sound of a channel repeats itself.

Where both phases of a breath are events, their onsets count it twice. The sound repeats itself with the whole
breath, since inspiration and expiration differ in what is heard in which band; so its autocorrelation tells
breaths from halves of them. Where the two disagree and neither is clear, there is no rate.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from laennec.analyze.analysis import RespiratoryRate
from laennec.audio.samples import by_number
from laennec.model.probability import sigmoid

Floats = npt.NDArray[np.float64]

SLOWEST_PER_MIN, FASTEST_PER_MIN = 6.0, 90.0  # from an adult asleep to a newborn in distress
SHORTEST_BREATH_S, LONGEST_BREATH_S = 60.0 / FASTEST_PER_MIN, 60.0 / SLOWEST_PER_MIN
FEWEST_INTERVALS = 2  # below, there is no median to speak of
ENOUGH_INTERVALS = 3
STEADY = 0.35  # interquartile range over median, up to which breathing counts as steady
LONGEST_INTERVALS = 1.7  # times the median: a longer interval holds a breath that was not found

# Searched on the even patients of docs/results/rates.json and rounded; docs/detection.md says what else was
# looked at.
SMOOTHING = np.array([0.25, 0.75, 1.0, 0.75, 0.25]) / 3.0  # of features over time, in frames of 50 ms
ALIKE = 0.2  # correlation of a breath with the next that counts, where many breaths were compared
ALIKE_IF_FEW = 0.4  # more than that, divided by the number of breaths compared
CONFIRMS = 0.15  # correlation that confirms steady events where nothing else does
MARGIN = 0.15  # between the correlations of two periods, by which one of them is the breath
FIRST_PEAK = (
    0.7  # share of the highest peak that the first may have: the second breath is as like as the next
)
NOTHING = 1e-9  # sum of products that rounding leaves of none
MOST_EVENTS = 3.4  # a breath: two phases, one of them with an adventitious sound of its own
# Share of its correlation that a half and a third of a breath may have. More of it makes two or three breaths
# as likely, each of them another than the last; the phases of one breath are mostly unlike each other.
PART = 0.25
TOLERANCE = 0.15  # within which two periods are the same


@dataclass(frozen=True)
class Repetition:
    """How alike the sound of a channel is to what is heard some time later, summed over its segments.

    Each array has a value for every lag from 0 to `LONGEST_BREATH_S`, in frames: the products of the features
    of two frames so far apart, what these would be if the frames were alike, and how many were compared. Lags
    longer than half a segment are not compared in it.
    """

    frame_s: float
    products: Floats
    alike: Floats
    compared: Floats

    @classmethod
    def nothing(cls, frame_s: float) -> "Repetition":
        """That of no sound at all."""
        zeros = np.zeros(round(LONGEST_BREATH_S / frame_s) + 1)
        return cls(frame_s, zeros, zeros, zeros)

    def __add__(self, other: "Repetition") -> "Repetition":
        """That of both together."""
        sums = ((getattr(own, name) for own in (self, other)) for name in ("products", "alike", "compared"))
        return Repetition(self.frame_s, *(one + another for one, another in sums))

    @property
    def correlation(self) -> Floats:
        """Autocorrelation by lag, in [-1, 1]; 0 where nothing was compared."""
        some = self.alike > NOTHING
        return np.divide(self.products, self.alike, out=np.zeros_like(self.alike), where=some)

    def near(self, period_s: float) -> float:
        """The highest correlation within `TOLERANCE` of a period; 0 beyond the longest."""
        first, last = (round(period_s * (1 + sign * TOLERANCE) / self.frame_s) for sign in (-1, 1))
        return (
            float(self.correlation[max(1, first) : last + 1].max(initial=-1.0)) if self._has(first) else 0.0
        )

    def _has(self, lag: int) -> bool:
        return lag < self.compared.size and self.compared[lag] > 0

    def period(self) -> tuple[float, float] | None:
        """Length of a breath (s) and its correlation with the next; None where none stands out.

        The first peak that is about as high as the highest: breath after next is as alike as the next.
        """
        values = self.correlation
        lags = np.arange(max(1, round(SHORTEST_BREATH_S / self.frame_s)), values.size - 1)
        lags = lags[(values[lags] >= values[lags - 1]) & (values[lags] > values[lags + 1])]
        breaths = self.compared[lags] / lags
        lags = lags[values[lags] * breaths >= ALIKE * breaths + ALIKE_IF_FEW]
        if not lags.size:
            return None
        lag = int(lags[values[lags] >= FIRST_PEAK * values[lags].max()][0])
        before, here, after = values[lag - 1 : lag + 2]
        bend = before - 2 * here + after  # the top of the parabola through three points
        return float(lag + (0.5 * (before - after) / bend if bend else 0.0)) * self.frame_s, float(here)


def repetition(
    heard: npt.NDArray[np.floating], presence: npt.NDArray[np.floating], frame_s: float
) -> Repetition:
    """How alike a segment is to itself some time later.

    Parameters
    ----------
    heard : numpy.ndarray
        ``(features, frames)``: what is heard in each frame, as the evidence in each band.
    presence : numpy.ndarray
        ``(frames,)`` logits of an event, the probability of which weighs the frames.
    frame_s : float
        Seconds from a frame to the next.
    """
    weighted = heard.astype(np.float64) * sigmoid(presence)
    features = np.stack([np.convolve(row, SMOOTHING, "same")[: row.size] for row in weighted])
    features -= features.mean(1, keepdims=True)
    frames = features.shape[1]
    lags = min(round(LONGEST_BREATH_S / frame_s), frames // 2) + 1
    spectrum = np.fft.rfft(features, 2 * frames, axis=1)
    products = np.fft.irfft((np.abs(spectrum) ** 2).sum(0), 2 * frames)[:lags]
    power = np.concatenate([[0.0], np.cumsum((features**2).sum(0))])
    lag = np.arange(lags)
    alike = np.sqrt(power[frames - lag] * np.maximum(0.0, power[frames] - power[lag]))
    lacking = (0, round(LONGEST_BREATH_S / frame_s) + 1 - lags)
    return Repetition(frame_s, *(np.pad(each, lacking) for each in (products, alike, frames - 1.0 * lag)))


def breath_onsets(events: Iterable[tuple[float, str]]) -> list[float]:
    """Onsets (s) of breaths, from onset and label of a channel's events in order of time.

    An event of another label that begins within `SHORTEST_BREATH_S` of a breath's onset is a part of that
    breath: a crackle in it, or a wheeze at its end. So begin 23 % of SPRSound's annotated events of another
    label than the one before, and 0.3 % of those of the same.
    """
    onsets: list[float] = []
    before = ""
    for onset_s, label in events:
        if not onsets or label == before or onset_s - onsets[-1] >= SHORTEST_BREATH_S:
            onsets.append(onset_s)
        before = label
    return onsets


def median(values: npt.ArrayLike) -> float:
    """The median of one number or more; NumPy's loads its masked arrays for it, a fiftieth of a start."""
    ordered = np.sort(np.asarray(values))
    return float(ordered[(ordered.size - 1) // 2 : ordered.size // 2 + 1].mean())


def rate_of_onsets(onsets_s: Sequence[float]) -> RespiratoryRate:
    """Onsets a minute: sixty over the median interval between neighbouring onsets (s, of one channel).

    The median does not mind a breath that was missed or found twice. Intervals so long that a breath is
    missing in them are left out, and so are pauses between segments. The quality is ``good`` for
    `ENOUGH_INTERVALS` or more that vary by at most `STEADY`; ``doubtful`` for fewer or unsteady ones;
    ``none`` for fewer than `FEWEST_INTERVALS`, or a rate that nobody breathes at. Whether each onset is a
    breath, or half of one, it does not know: see `respiratory_rate`.
    """
    onsets = sorted(onsets_s)
    intervals = [later - earlier for earlier, later in pairwise(onsets)]
    if len(intervals) < FEWEST_INTERVALS:
        few = f"{len(onsets)} {by_number(len(onsets), 'breath is', 'breaths are')} too few"
        return RespiratoryRate(None, "none", few, len(intervals))
    longest_s = LONGEST_INTERVALS * median(intervals)
    kept = sorted(interval for interval in intervals if interval <= longest_s)
    typical = median(kept)
    per_min = 60.0 / typical if typical > 0 else math.inf
    if not SLOWEST_PER_MIN <= per_min <= FASTEST_PER_MIN:
        return RespiratoryRate(None, "none", f"{per_min:.0f} a minute is no rate of breathing", len(kept))
    spread = (kept[(3 * len(kept)) // 4] - kept[len(kept) // 4]) / typical
    quality, reason = "good", f"{len(kept)} steady intervals"
    if len(kept) < ENOUGH_INTERVALS:
        quality, reason = "doubtful", f"it rests on {len(kept)} intervals"
    elif spread > STEADY:
        quality, reason = "doubtful", f"intervals vary by {100 * spread:.0f} % of their median"
    return RespiratoryRate(round(per_min, 1), quality, reason, len(kept))


def respiratory_rate(onsets_s: Sequence[float], sound: Repetition) -> RespiratoryRate:
    """Breaths a minute of a channel, from the onsets (s) of its events and how soon its sound repeats itself.

    The quality is ``good`` where the period of the sound is that of the onsets, or clearly another one, which
    then counts; or where the onsets are steady and the sound does not contradict. It is ``none`` where the
    sound repeats itself at another period than the onsets, but not clearly, or nearly as well at twice the
    period; and where onsets are too few.
    """
    onsets = rate_of_onsets(onsets_s)
    if onsets.breaths < FEWEST_INTERVALS:
        return onsets
    found = sound.period()
    if found is None:
        return _without_period(onsets, sound)
    period_s, alike = found
    per_min = 60.0 / period_s
    if sound.near(2 * period_s) > alike + MARGIN:
        reason = f"whole breaths or halves of them: {per_min / 2:.0f} or {per_min:.0f} a minute"
        return RespiratoryRate(None, "none", reason, onsets.breaths)
    if onsets.per_min is not None and abs(onsets.per_min / per_min - 1) <= TOLERANCE:
        if onsets.quality == "good":
            return onsets
        return _of_sound(period_s, "as often as events begin", onsets)
    if onsets.per_min is None:
        return RespiratoryRate(round(per_min, 1), "doubtful", onsets.reason, onsets.breaths)
    clear = alike > sound.near(60.0 / onsets.per_min) + MARGIN
    whole = max(sound.near(period_s / 2), sound.near(period_s / 3)) <= PART * alike
    if clear and whole and onsets.per_min <= MOST_EVENTS * per_min:
        return _of_sound(period_s, "events begin more often" if onsets.per_min > per_min else "", onsets)
    reason = (
        f"events begin {onsets.per_min:.0f} times a minute, their sound repeats itself {per_min:.0f} times"
    )
    return RespiratoryRate(None, "none", reason, onsets.breaths)


def _without_period(onsets: RespiratoryRate, sound: Repetition) -> RespiratoryRate:
    """The rate of the onsets, where the sound has no clear period: not surer than the sound allows."""
    if onsets.quality != "good" or onsets.per_min is None:
        return onsets
    period_s = 60.0 / onsets.per_min
    alike, twice = sound.near(period_s), sound.near(2 * period_s)
    if alike >= CONFIRMS and twice <= alike + MARGIN:
        return onsets
    reason = f"{onsets.reason}, but what is heard does not repeat itself with them"
    return RespiratoryRate(onsets.per_min, "doubtful", reason, onsets.breaths)


def _of_sound(period_s: float, remark: str, onsets: RespiratoryRate) -> RespiratoryRate:
    """The rate at which the sound repeats itself."""
    reason = f"its sound repeats itself every {period_s:.1f} s" + (f"; {remark}" if remark else "")
    return RespiratoryRate(round(60.0 / period_s, 1), "good", reason, onsets.breaths)
