"""Clipping: runs of samples exactly at the highest or lowest value of a channel, with corners on both sides.

A limiter leaves runs of exactly equal samples at its level, be that full scale or less. A natural peak in
coarse samples also leaves a run at the top, but there the curve is a parabola: going down m quantisation
steps widens it at least sqrt(m + 1) times. So a stretch that stays within eight steps (at most a quarter) of
the extreme is clipped if three or more of its samples, and more than half of them, are the extreme itself.

Plateaus that are noisy or tilted, as left by clipping ahead of a filter or a lossy codec, are not found.

A channel is read block by block, once for its extremes; where one of them is reached three times, once more
for the plateaus.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from laennec.audio.samples import BLOCK_LENGTH

_FEWEST = 3  # samples of a plateau
Samples = npt.NDArray[Any]


def clipped_share(samples: Samples) -> float:
    """Share of samples that lie on a plateau at the highest or the lowest value of one channel.

    Parameters
    ----------
    samples : numpy.ndarray
        ``(samples,)``, finite.

    Returns
    -------
    float
        In [0, 1]; 0 for silence, and for peaks below 16 quantisation steps, which tell nothing.
    """
    blocks = [samples[start : start + BLOCK_LENGTH] for start in range(0, samples.size, BLOCK_LENGTH)]
    extremes = Extremes()
    for block in blocks:
        extremes.add(block, float(block.max()), float(block.min()))
    if not extremes.suspect:
        return 0.0
    plateaus = Plateaus(extremes)
    for block in blocks:
        plateaus.add(block)
    return plateaus.count() / samples.size


class Extreme:
    """The highest value so far, how often it was reached, and the next lower one."""

    def __init__(self) -> None:
        self.top, self.second, self.count = -math.inf, -math.inf, 0

    def add(self, samples: Samples, highest: float) -> None:
        """Take in samples that reach `highest`, not lower than `top`."""
        at_top = samples == highest
        rest = samples.copy()
        rest[at_top] = -np.inf
        below = float(rest.max())
        if highest > self.top:
            self.top, self.second, self.count = highest, max(self.top, below), 0
        self.second = max(self.second, below)
        self.count += int(np.count_nonzero(at_top))

    @property
    def suspect(self) -> bool:
        """Whether there may be a plateau."""
        return self.count >= _FEWEST and self.top > 0

    @property
    def near(self) -> float:
        """From here up a sample belongs to the neighbourhood of the extreme."""
        step = min(self.top - self.second, self.top / 16)
        return self.top - min(8 * step, self.top / 4)


class Extremes:
    """The highest and the lowest value of one channel; the lowest is the highest of its mirror image."""

    def __init__(self) -> None:
        self.upper, self.lower = Extreme(), Extreme()

    def add(self, samples: Samples, highest: float, lowest: float) -> None:
        """Take in more samples, of which these are the highest and the lowest value."""
        if highest >= self.upper.top:
            self.upper.add(samples, highest)
        else:
            self.upper.second = max(self.upper.second, highest)
        if -lowest >= self.lower.top:
            self.lower.add(-samples, -lowest)
        else:
            self.lower.second = max(self.lower.second, -lowest)

    @property
    def peak(self) -> float:
        """Largest magnitude."""
        return max(self.upper.top, self.lower.top)

    @property
    def suspect(self) -> bool:
        """Whether the channel may be clipped, so that it must be looked at again."""
        return self.upper.suspect or self.lower.suspect


class Plateaus:
    """Counts the samples on plateaus at the known extremes of one channel."""

    def __init__(self, extremes: Extremes) -> None:
        self._sides = [
            (sign, extreme, _Runs(extreme))
            for sign, extreme in ((1, extremes.upper), (-1, extremes.lower))
            if extreme.suspect
        ]
        self._finest = math.inf  # smallest change between neighbours
        self._last: float | None = None

    def add(self, samples: Samples) -> None:
        """Take in more samples of the channel, from its start."""
        steps = np.abs(np.diff(samples) if self._last is None else np.diff(samples, prepend=self._last))
        steps[steps == 0] = np.inf
        self._finest = min(self._finest, float(steps.min(initial=np.inf)))
        self._last = samples[-1]
        for sign, _, runs in self._sides:
            runs.add(samples if sign > 0 else -samples)

    def count(self) -> int:
        """Samples on plateaus in what was taken in."""
        return sum(runs.total() for _, extreme, runs in self._sides if extreme.top >= 16 * self._finest)


class _Runs:
    """Counts samples at one extreme where they make a plateau, which may reach across blocks."""

    def __init__(self, extreme: Extreme) -> None:
        self._top, self._near = extreme.top, extreme.near
        self._counted = 0
        self._hits = self._length = 0  # of the stretch that the last block ended in

    def add(self, samples: Samples) -> None:
        near = samples >= self._near
        edges = np.flatnonzero(np.diff(near, prepend=False, append=False))
        starts, ends = edges[::2], edges[1::2]
        places = np.flatnonzero(samples == self._top)
        hits = np.searchsorted(places, ends) - np.searchsorted(places, starts)
        lengths = ends - starts
        if near[0]:
            hits[0] += self._hits
            lengths[0] += self._length
        else:
            self._counted = self.total()
        self._hits = self._length = 0
        if near[-1]:
            self._hits, self._length = int(hits[-1]), int(lengths[-1])
            hits, lengths = hits[:-1], lengths[:-1]
        self._counted += int(hits[(hits >= _FEWEST) & (2 * hits > lengths)].sum())

    def total(self) -> int:
        on_plateau = self._hits >= _FEWEST and 2 * self._hits > self._length
        return self._counted + (self._hits if on_plateau else 0)
