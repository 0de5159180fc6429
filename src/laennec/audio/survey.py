"""What one pass over the samples shows of a recording, block by block and in constant memory."""

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from laennec.audio.clipping import Clipping
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

    `length` is the samples of each channel so far; `non_finite`, ``(channels,)``, how many were set to zero.
    """

    def __init__(self, channels: int, sample_rate: int) -> None:
        self.channels, self.sample_rate, self.length = channels, sample_rate, 0
        self.non_finite = np.zeros(channels, np.int64)
        self._clipping = [Clipping() for _ in range(channels)]
        self._part = silent_block_length(sample_rate)
        self._parts, self._silent_parts = 0, np.zeros(channels, np.int64)
        self._equal = list(itertools.combinations(range(channels), 2))  # pairs that were equal so far

    def add(self, block: Array) -> None:
        """Take in ``(channels, samples)`` and set what is not finite to zero in it.

        All blocks but the last have `survey_block_length` samples.
        """
        highest, lowest, silent = self._ranges(block)
        if not (highest.max() <= MAX_MAGNITUDE and lowest.min() >= -MAX_MAGNITUDE):  # NaN compares false
            self.non_finite += set_non_finite_to_zero(block)
            highest, lowest, silent = self._ranges(block)
        for index, samples in enumerate(block):
            self._clipping[index].add(samples, float(highest[index]), float(lowest[index]))
        self._silent_parts += silent
        self._parts += block.shape[1] // self._part
        self._equal = [(i, k) for i, k in self._equal if np.array_equal(block[i], block[k])]
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
        return max(max(clipping.extremes) for clipping in self._clipping)

    @property
    def twins(self) -> dict[int, int]:
        """Each channel that equals an earlier one, and that one."""
        return {later: earlier for earlier, later in reversed(self._equal)}

    def silent_shares(self) -> list[float]:
        """Share of each channel's 50 ms parts that are silent; a shorter recording is one part."""
        if self._parts:
            return [float(count / self._parts) for count in self._silent_parts]
        ranges = [sum(map(np.float32, clipping.extremes)) for clipping in self._clipping]
        return [float(extent <= SILENT_RANGE) for extent in ranges]

    def clipped_shares(self, blocks: Blocks) -> list[float]:
        """Share of each channel's samples that are clipped; the blocks are read again if any may be."""
        if any(clipping.suspect for clipping in self._clipping):
            for block in blocks():
                for clipping, samples in zip(self._clipping, block, strict=True):
                    if clipping.suspect:
                        clipping.count(samples)
        return [clipping.clipped / self.length for clipping in self._clipping]


def sound_findings(survey: Survey, blocks: Blocks) -> tuple[Finding, ...]:
    """Name what is wrong with the sound itself: too short, silent, clipped. `blocks` yields it once more."""
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
