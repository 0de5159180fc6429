"""Clipping: runs of samples exactly at the highest or lowest value of a channel, with corners on both sides.

A limiter leaves runs of exactly equal samples at its level, be that full scale or less. A natural peak in
coarse samples also leaves a run at the top, but there the curve is a parabola: going down m quantisation
steps widens it at least sqrt(m + 1) times. So a stretch that stays within eight steps (at most a quarter) of
the extreme is clipped if three or more of its samples, and more than half of them, are the extreme itself.
Plateaus that are noisy or tilted, as left by clipping ahead of a filter or a lossy codec, are not detected.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

_FEWEST = 3  # samples of a plateau
Samples = npt.NDArray[Any]


class Clipping:
    """Counts the clipped samples of one channel: every block to `add`, then, if `suspect`, to `count`.

    None are counted in silence and at peaks below 16 quantisation steps, which do not show it.
    """

    def __init__(self) -> None:
        self._sides = _Side(1), _Side(-1)
        self._finest = math.inf  # smallest change between neighbours
        self._last: float | None = None

    def add(self, samples: Samples, highest: float, lowest: float) -> None:
        """Take in finite samples, of which these are the highest and the lowest value."""
        for side, extreme in zip(self._sides, (highest, -lowest), strict=True):
            side.add(samples, extreme)

    @property
    def extremes(self) -> tuple[float, float]:
        """Highest value, and the lowest with its sign changed."""
        return self._sides[0].top, self._sides[1].top

    @property
    def suspect(self) -> bool:
        """Whether the channel may be clipped, so that its plateaus have to be counted."""
        return any(side.suspect for side in self._sides)

    def count(self, samples: Samples) -> None:
        """Take in the blocks once more, in their order."""
        steps = np.abs(np.diff(samples) if self._last is None else np.diff(samples, prepend=self._last))
        steps[steps == 0] = np.inf
        self._finest = min(self._finest, float(steps.min(initial=np.inf)))
        self._last = samples[-1]
        for side in self._sides:
            if side.suspect:
                side.count(samples)

    @property
    def clipped(self) -> int:
        """Number of clipped samples."""
        return sum(side.clipped for side in self._sides if side.suspect and side.top >= 16 * self._finest)


class _Side:
    """One extreme of a channel; the lowest value is the highest of the mirrored samples."""

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self.top, self._second, self._reached = -math.inf, -math.inf, 0
        self._counted = 0
        self._hits = self._length = 0  # of the stretch that the last block ended in

    def add(self, samples: Samples, highest: float) -> None:
        if highest < self.top:
            self._second = max(self._second, highest)
            return
        values = self._sign * samples
        at_top = values == highest
        values[at_top] = -np.inf
        if highest > self.top:
            self.top, self._second, self._reached = highest, self.top, 0
        self._second = max(self._second, float(values.max()))
        self._reached += int(np.count_nonzero(at_top))

    @property
    def suspect(self) -> bool:
        return self._reached >= _FEWEST and self.top > 0

    def count(self, samples: Samples) -> None:
        values = self._sign * samples
        step = min(self.top - self._second, self.top / 16)
        near = values >= self.top - min(8 * step, self.top / 4)
        edges = np.flatnonzero(np.diff(near, prepend=False, append=False))
        starts, ends = edges[::2], edges[1::2]
        places = np.flatnonzero(values == self.top)
        hits = np.searchsorted(places, ends) - np.searchsorted(places, starts)
        lengths = ends - starts
        if near[0]:
            hits[0] += self._hits
            lengths[0] += self._length
        else:
            self._counted = self.clipped
        self._hits = self._length = 0
        if near[-1]:
            self._hits, self._length = int(hits[-1]), int(lengths[-1])
            hits, lengths = hits[:-1], lengths[:-1]
        self._counted += int(hits[(hits >= _FEWEST) & (2 * hits > lengths)].sum())

    @property
    def clipped(self) -> int:
        """Samples on plateaus so far, the stretch that may go on included."""
        on_plateau = self._hits >= _FEWEST and 2 * self._hits > self._length
        return self._counted + (self._hits if on_plateau else 0)
