"""What one pass over the samples shows of a recording, block by block and in constant memory."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from laennec.audio.clipping import Extremes, Plateaus
from laennec.audio.quality import (
    CLIPPED_SHARE,
    MIN_DURATION_S,
    SILENT_RANGE,
    SILENT_SHARE,
    Finding,
    silent_block_length,
)
from laennec.audio.samples import BLOCK_LENGTH, MAX_MAGNITUDE, Array, set_non_finite_to_zero

Blocks = Callable[[], Iterator[Array]]  # the samples once more, from the start


def survey_block_length(sample_rate: int) -> int:
    """Samples of each channel to hand to `Survey.add` at a time: whole blocks of silence."""
    silent = silent_block_length(sample_rate)
    return max(1, BLOCK_LENGTH // silent) * silent


class Survey:
    """Adds up what the blocks of a recording show.

    Attributes
    ----------
    length : int
        Samples of each channel so far.
    non_finite : numpy.ndarray
        ``(channels,)``, samples set to zero.
    """

    def __init__(self, channels: int, sample_rate: int) -> None:
        self.channels, self.sample_rate, self.length = channels, sample_rate, 0
        self.non_finite = np.zeros(channels, np.int64)
        self._extremes = [Extremes() for _ in range(channels)]
        self._part = silent_block_length(sample_rate)
        self._parts, self._silent_parts = 0, np.zeros(channels, np.int64)
        self._equal = [list(range(channels))]  # groups of channels that were equal so far

    def add(self, block: Array) -> None:
        """Take in ``(channels, samples)`` and set what is not finite to zero in it.

        All blocks but the last have `survey_block_length` samples.
        """
        highest, lowest, silent = self._ranges(block)
        if not (highest.max() <= MAX_MAGNITUDE and lowest.min() >= -MAX_MAGNITUDE):  # NaN compares false
            self.non_finite += set_non_finite_to_zero(block)
            highest, lowest, silent = self._ranges(block)
        for index, samples in enumerate(block):
            self._extremes[index].add(samples, float(highest[index]), float(lowest[index]))
        self._silent_parts += silent
        self._parts += block.shape[1] // self._part
        self._equal = [part for group in self._equal if len(group) > 1 for part in _equal(group, block)]
        self.length += block.shape[1]

    def _ranges(self, block: Array) -> tuple[Array, Array, npt.NDArray[np.int64]]:
        """Highest and lowest value of each channel, and how many of its whole 50 ms parts are silent."""
        whole = block.shape[1] // self._part * self._part
        parts = block[:, :whole].reshape(self.channels, -1, self._part)
        tops, bottoms = parts.max(axis=2), parts.min(axis=2)
        with np.errstate(invalid="ignore"):  # what is not finite is repaired next
            silent = np.count_nonzero(tops - bottoms <= SILENT_RANGE, axis=1)
        if whole < block.shape[1]:
            tops = np.column_stack([tops, block[:, whole:].max(axis=1)])
            bottoms = np.column_stack([bottoms, block[:, whole:].min(axis=1)])
        return tops.max(axis=1), bottoms.min(axis=1), silent

    @property
    def peak(self) -> float:
        """Largest magnitude."""
        return max(extremes.peak for extremes in self._extremes)

    @property
    def twins(self) -> dict[int, int]:
        """Each channel that equals an earlier one, and that one."""
        pairs = [(index, group[0]) for group in self._equal for index in group[1:]]
        return dict(sorted(pairs))

    def silent_shares(self) -> list[float]:
        """Share of each channel's 50 ms parts that are silent; a shorter recording is one part."""
        if self._parts:
            return [float(count / self._parts) for count in self._silent_parts]
        ranges = [np.float32(e.upper.top) + np.float32(e.lower.top) for e in self._extremes]
        return [float(extent <= SILENT_RANGE) for extent in ranges]

    def clipped_shares(self, blocks: Blocks) -> list[float]:
        """Share of each channel's samples that are clipped; the blocks are looked at again if any may be."""
        suspects = {index: Plateaus(e) for index, e in enumerate(self._extremes) if e.suspect}
        for block in blocks() if suspects else ():
            for index, plateaus in suspects.items():
                plateaus.add(block[index])
        counts = [suspects[index].count() if index in suspects else 0 for index in range(self.channels)]
        return [count / self.length for count in counts]


def _equal(group: list[int], block: Array) -> list[list[int]]:
    """Divide channels that were equal so far into those that still are."""
    parts: list[list[int]] = []
    for index in group:
        same = (part for part in parts if np.array_equal(block[part[0]], block[index]))
        home = next(same, None)
        if home is None:
            parts.append([index])
        else:
            home.append(index)
    return parts


def sound_findings(survey: Survey, blocks: Blocks) -> tuple[Finding, ...]:
    """Name what is wrong with the sound itself: too short, silent, clipped.

    Parameters
    ----------
    survey : Survey
        Of the whole recording.
    blocks : callable
        Yields the recording once more.
    """
    findings = []
    duration_s = survey.length / survey.sample_rate
    if duration_s < MIN_DURATION_S:
        too_short = f"too short: {duration_s:.3f} s, shorter than a wheeze ({MIN_DURATION_S} s)"
        findings.append(Finding("too_short", too_short))
    shares = zip(survey.silent_shares(), survey.clipped_shares(blocks), strict=True)
    for index, (silent, clipped) in enumerate(shares):
        where = f"channel {index} " if survey.channels > 1 else ""
        if silent >= SILENT_SHARE:
            findings.append(Finding("silent", f"{where}silent: {silent:.0%} of the time", silent, index))
        if clipped >= CLIPPED_SHARE:
            findings.append(Finding("clipped", f"{where}clipped: {clipped:.2%} of samples", clipped, index))
    return tuple(findings)
