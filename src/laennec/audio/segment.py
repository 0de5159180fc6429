"""Pieces of a recording: fit to a length, windows over it, clips cut from it.

Time is the last axis of every array; times are in seconds from the start of the recording.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from laennec.audio.samples import counted
from laennec.errors import LaennecError

# How `fit_length` fills up a short clip, and what NumPy calls it.
PADDINGS = {"tile": "wrap", "zero": "constant", "sample": "symmetric"}
CENTRE = "centre"  # a padding of models: silence on both sides of a clip; of one that is too long, its middle

# Share of inspiration in a respiratory cycle: the five of Nguyen & Pernkopf, section III-A.1.
PHASE_RATIOS = {"1:3": 1 / 3, "2:5": 2 / 5, "3:7": 3 / 7, "4:9": 4 / 9, "1:2": 1 / 2}
# What a network is given of a cycle, in the order of its branches (Nguyen & Pernkopf, section III-C.3).
INPUTS = ("cycle", "inspiration", "expiration")

MIN_HOP_S = 0.001  # finer than the labels of any lung-sound dataset, which are in milliseconds
LABEL_RESOLUTION_S = 0.001  # labels are rounded to milliseconds, so one may end that much after its file


def fit_length(x: npt.NDArray[Any], length: int, how: str = "tile") -> npt.NDArray[Any]:
    """Bring the last axis to `length` samples: a longer clip keeps its start, a shorter one is filled up.

    ``(..., samples) -> (..., length)``, same dtype, fresh memory. `how` is what follows a clip that is too
    short: ``tile``: the clip again; ``zero``: zeros; ``sample``: the clip reversed, "in time-reversed order,
    i.e. using the last samples … for padding first" (Nguyen & Pernkopf, arXiv:2104.14921, section III-A.2).
    The paper stops there; when the reversed clip is used up, it goes on forwards, then backwards again, since
    that alone has no jump either. LaennecError if the clip is empty, the length is not positive, or `how` is
    none of the three.
    """
    if how not in PADDINGS:
        raise LaennecError(f"unknown padding {how!r}; expected one of {', '.join(PADDINGS)}")
    if length < 1:
        raise LaennecError(f"a clip must be fitted to at least 1 sample, got {length}")
    samples = x.shape[-1] if x.ndim else 0
    if samples == 0:
        raise LaennecError("an empty clip cannot be fitted to a length")
    if samples >= length:
        return x[..., :length].copy()
    widths = [(0, 0)] * (x.ndim - 1) + [(0, length - samples)]
    return np.pad(x, widths, mode=PADDINGS[how])  # type: ignore[call-overload, no-any-return]


def place(
    samples: npt.NDArray[Any], first: int, last: int, length: int
) -> tuple[npt.NDArray[Any], tuple[int, int]]:
    """Lay a window of `length` samples around the middle of the event from sample `first` to before `last`.

    Returns the window, zeros beyond the recording's ends, and the event's bounds in it. They lie outside
    where the event is longer than the window.
    """
    begin = (first + last) // 2 - length // 2
    window = np.zeros(length, samples.dtype)
    here, there = max(begin, 0), min(begin + length, samples.size)
    if there > here:
        window[here - begin : there - begin] = samples[here:there]
    return window, (first - begin, last - begin)


def phases(
    cycle: npt.NDArray[Any], ratio: float, inspiration_length: int | None = None
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Split cycles ``(..., samples)`` into views of inspiration and expiration, one sample or more each.

    A cycle starts with the onset of inspiration. `ratio` is the share of inspiration, such as those of
    `PHASE_RATIOS`; it is not used where an airflow signal gives the samples of inspiration. LaennecError if
    the cycle has fewer than two samples or the ratio is not between 0 and 1.
    """
    samples = cycle.shape[-1] if cycle.ndim else 0
    if samples < 2:
        raise LaennecError(f"a cycle of {counted(samples, 'sample', '')} cannot be split into two phases")
    if not 0 < ratio < 1:
        raise LaennecError(f"the ratio of inspiration to cycle must be between 0 and 1, got {ratio:g}")
    boundary = _half_up(samples * ratio) if inspiration_length is None else inspiration_length
    boundary = min(max(boundary, 1), samples - 1)
    return cycle[..., :boundary], cycle[..., boundary:]


def _half_up(value: float) -> int:
    """Round to the nearest whole number, halves up, as the exported graph does; Python rounds to even."""
    return math.floor(value + 0.5)


def part_lengths(clip_samples: int, inputs: Sequence[str], ratio: float, window: int) -> tuple[int, ...]:
    """Samples of each input, cut to whole windows, so that spectra of parts laid end to end do not mix them.

    The cycle has `clip_samples`, the phases their shares of it by the ratio. LaennecError if an input is
    unknown or named twice, or is shorter than a window.
    """
    unknown = [name for name in inputs if name not in INPUTS]
    if unknown or not inputs or len(set(inputs)) < len(inputs):
        raise LaennecError(f"inputs are {list(inputs)}; expected different ones of {', '.join(INPUTS)}")
    inspiration = _half_up(clip_samples * ratio)
    whole = {"cycle": clip_samples, "inspiration": inspiration, "expiration": clip_samples - inspiration}
    lengths = tuple(whole[name] // window * window for name in inputs)
    if min(lengths) < window:
        raise LaennecError(f"a clip of {clip_samples} samples is too short for windows of {window}")
    return lengths


def fit_parts(
    cycle: npt.NDArray[Any],
    inputs: Sequence[str],
    lengths: Sequence[int],
    ratio: float,
    how: str = "sample",
    inspiration_length: int | None = None,
) -> npt.NDArray[Any]:
    """Cycle ``(..., samples)`` and its phases, each fitted by `fit_length`, laid end to end on the last axis.

    `inputs` names the parts, of `INPUTS`; `lengths` are those of `part_lengths`; `ratio` and
    `inspiration_length` are as for `phases`, `how` as for `fit_length`.
    """
    inspiration, expiration = phases(cycle, ratio, inspiration_length)
    parts = {"cycle": cycle, "inspiration": inspiration, "expiration": expiration}
    fitted = [fit_length(parts[name], length, how) for name, length in zip(inputs, lengths, strict=True)]
    return np.concatenate(fitted, axis=-1)


def windows(duration_s: float, window_s: float, hop_s: float) -> list[tuple[float, float]]:
    """Cover a recording with windows ``(start_s, end_s)`` without a gap, the last one aligned to its end.

    A recording not longer than `window_s` gives one window, the whole of it. The hop, 1 ms to `window_s`, is
    from one start to the next; the last may be shorter. LaennecError if a length is not positive and finite,
    or the hop would leave gaps.
    """
    for what, value in (("recording", duration_s), ("window", window_s)):
        if not 0 < value < math.inf:
            raise LaennecError(f"the {what} must have a length above 0 s, got {value} s")
    if not MIN_HOP_S <= hop_s <= window_s:
        raise LaennecError(
            f"the hop between windows must be {MIN_HOP_S} s to the window's {window_s} s, got {hop_s} s"
        )
    last_s = duration_s - window_s
    count = math.ceil(last_s / hop_s - 1e-6)  # a remainder below a millionth of a hop is rounding, not sound
    if count < 1:
        return [(0.0, duration_s)]
    starts_s = [index * hop_s for index in range(count)]
    return [(start_s, start_s + window_s) for start_s in starts_s] + [(last_s, duration_s)]


def shortened(start_s: float, end_s: float, duration_s: float) -> str:
    """What is said of an event that reaches outside by more than labels are rounded; nothing of others."""
    if start_s >= -LABEL_RESOLUTION_S and end_s <= duration_s + LABEL_RESOLUTION_S:
        return ""
    inside = f"{max(0.0, start_s):g} to {min(end_s, duration_s):g} s"
    outside = f"event {start_s:g} to {end_s:g} s: reaches outside the recording of {duration_s:g} s"
    return f"{outside}; shortened to {inside}"


def cut(
    samples: npt.NDArray[Any],
    sample_rate: int,
    start_s: float,
    end_s: float,
    notes: list[str] | None = None,
) -> npt.NDArray[Any]:
    """Cut the clip from `start_s` to `end_s` out of the last axis, as a view of one sample or more.

    Times are rounded to the nearest sample. An event that reaches outside the file is shortened to what is
    inside, and `notes` records it; without `notes` it is an error. Up to 1 ms, the rounding of labels, is
    neither. LaennecError also if the event does not end after its start, or lies wholly outside the file.
    """
    duration_s = samples.shape[-1] / sample_rate
    event = f"event {start_s:g} to {end_s:g} s"
    if not (math.isfinite(start_s) and math.isfinite(end_s) and start_s < end_s):
        raise LaennecError(f"{event}: it must end after its start")
    if start_s >= duration_s or end_s <= 0:
        raise LaennecError(f"{event}: outside the recording of {duration_s:g} s")
    if said := shortened(start_s, end_s, duration_s):
        if notes is None:
            raise LaennecError(said.partition(";")[0])
        notes.append(said)
    first = min(max(0, round(start_s * sample_rate)), samples.shape[-1] - 1)
    last = min(max(first + 1, round(end_s * sample_rate)), samples.shape[-1])
    return samples[..., first:last]
