"""Spectrogram tiles: a pyramid of grey pictures with one reference level for a whole recording.

A tile has 256 columns and 512 rows. Level 0 has a column every 4 ms; each further level has columns twice as
wide, up to the one whose single tile holds everything. Rows are linear in frequency from 0 on; whoever shows
a tile colours it, cuts it to a band and bends it to a logarithmic scale. A column of a high level is the mean
of a few frames spread over it, so that any tile costs about the same, be it a second or a day.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from laennec.errors import LaennecError
from laennec.output.html import png
from laennec.output.spectrogram import FMAX_HZ, FMIN_HZ, column_powers, to_db, top_level_db

COLUMNS, ROWS = 256, 512
COLUMN_S = 0.004  # of level 0: half a frame of the shortest window, within which a crackle lasts
TOP_HZ = 4000.0
RANGE_DB = 100.0  # from the reference, white, down to black
WINDOWS_MS = (8, 16, 32, 64, 128)  # short ones show crackles, long ones the harmonics of a wheeze
WINDOW_MS = 32
FLOOR = 1e-14  # of a power: silence has no level
COVERED_S = 0.128  # of a wide column, by the frames that stand for it
MOST_FRAMES, FEWEST_FRAMES = 8, 2  # of a wide column
REFERENCE_FRAMES = 1024  # spread over a recording, to find its reference

Samples = npt.NDArray[Any]


@dataclass(frozen=True)
class Pyramid:
    """The tiles of one channel under one window.

    Attributes
    ----------
    length, rate : int
        Of the sound: samples, and samples a second.
    window_ms : int
        Length of the Hann window, one of `WINDOWS_MS`.
    """

    length: int
    rate: int
    window_ms: int = WINDOW_MS

    def __post_init__(self) -> None:
        if self.window_ms not in WINDOWS_MS:
            allowed = ", ".join(map(str, WINDOWS_MS))
            raise LaennecError(f"no window of {self.window_ms} ms; use one of {allowed} ms")

    @property
    def top_hz(self) -> float:
        """Frequency of the upper edge."""
        return min(TOP_HZ, self.rate / 2)

    @property
    def levels(self) -> int:
        """How many levels there are: the last one has a single tile."""
        return 1 + max(0, math.ceil(math.log2(self.length / self.rate / (COLUMN_S * COLUMNS))))

    def tiles(self, level: int) -> int:
        """How many tiles a level has; LaennecError where there is no such level."""
        if not 0 <= level < self.levels:
            raise LaennecError(f"no level {level}: this recording has levels 0 to {self.levels - 1}")
        return math.ceil(self.length / self.rate / (COLUMN_S * COLUMNS * (1 << level)))

    def tile(self, samples: Samples, level: int, index: int, reference_db: float) -> npt.NDArray[np.uint8]:
        """Return a tile's pixels, high frequencies on top: 255 is the reference, 0 is 100 dB below it.

        `samples` are ``(length,)``, float or int16, also of a mapped file. LaennecError for a tile that the
        recording has not.
        """
        if not 0 <= index < self.tiles(level):
            raise LaennecError(f"no tile {index} on level {level}: it has {self.tiles(level)}")
        start = index * COLUMNS * self._hop(level)
        return _pixels(self.columns_db(samples, start, level, COLUMNS), reference_db)

    def tile_png(self, samples: Samples, level: int, index: int, reference_db: float) -> bytes:
        """Return a tile as a PNG file."""
        return png(self.tile(samples, level, index, reference_db), noisy=True)

    def columns_db(self, samples: Samples, start: float, level: int, columns: int) -> npt.NDArray[np.float32]:
        """Return columns of a level from sample `start` on, ``(columns, ROWS)`` in dB, low ones first."""
        return to_db(self._powers(samples, start, self._hop(level), columns, self._frames(level)), FLOOR)

    def pictures(
        self, samples: Samples, finest: int, coarsest: int | None = None
    ) -> list[list[npt.NDArray[np.uint8]]]:
        """Return all tiles, as of :meth:`tile`, of each level from one on, for what is looked at as a whole.

        The columns of the finest level are averaged for those above, and give the reference. `coarsest` is
        the last level, by default that of a single tile.
        """
        count = COLUMNS * self.tiles(finest)
        power = self._powers(samples, 0, self._hop(finest), count, self._frames(finest))
        reference_db = self._reference_db(power[: math.ceil(self.length / self._hop(finest))])
        levels = []
        for level in range(finest, self.levels if coarsest is None else coarsest + 1):
            if level > finest:
                power = power[::2] + power[1::2]
                power *= np.float32(0.5)
                power = np.pad(power, ((0, -len(power) % COLUMNS), (0, 0)))
            columns = power.reshape(self.tiles(level), COLUMNS, ROWS)
            levels.append([_pixels(to_db(tile, FLOOR), reference_db) for tile in columns])
        return levels

    def reference_db(self, samples: Samples) -> float:
        """Return nearly the loudest level of the whole sound, from frames spread over it."""
        frames = max(1, min(REFERENCE_FRAMES, math.ceil(self.length / (COLUMN_S * self.rate))))
        return self._reference_db(self._powers(samples, 0, self.length / frames, frames, 1))

    def _reference_db(self, power: npt.NDArray[np.float32]) -> float:
        lung = slice(*(round(hz / self.top_hz * ROWS) for hz in (FMIN_HZ, FMAX_HZ)))
        return top_level_db(to_db(power[:, lung], FLOOR))

    def _hop(self, level: int) -> float:
        """Samples between the columns of a level."""
        return COLUMN_S * (1 << level) * self.rate

    def _frames(self, level: int) -> int:
        """How many frames a column of a level is the mean of."""
        most = max(FEWEST_FRAMES, min(MOST_FRAMES, round(1000 * COVERED_S / self.window_ms)))
        return min(most, max(1, round(1000 * COLUMN_S * (1 << level) / (self.window_ms / 4))))

    def _powers(
        self, samples: Samples, start: float, hop: float, columns: int, frames: int
    ) -> npt.NDArray[np.float32]:
        """Return the power of columns at the rows' frequencies, ``(columns, ROWS)``."""
        length = max(16, round(self.window_ms * self.rate / 1000))
        finest = 2 ** math.ceil(math.log2(ROWS * self.rate / self.top_hz))  # no finer than the rows
        n_fft = max(2 ** math.ceil(math.log2(length)), min(finest, 2 ** math.ceil(math.log2(length) + 1)))
        rows = np.arange(ROWS) * (self.top_hz / ROWS * n_fft / self.rate)  # in bins
        below = rows.astype(int)
        power = column_powers(samples, start, hop, columns, frames, length, n_fft, int(below[-1]) + 2)
        if (rows != below).any():
            change = np.take(power, below + 1, axis=1)
            power = np.take(power, below, axis=1)  # an index would leave columns beside each other
            change -= power
            change *= (rows - below).astype(np.float32)
            power += change
        return power[:, :ROWS]


def _pixels(level_db: npt.NDArray[np.float32], reference_db: float) -> npt.NDArray[np.uint8]:
    grey = (level_db - (reference_db - RANGE_DB)) * (255 / RANGE_DB)
    np.clip(grey, 0, 255, out=grey)
    pixels: npt.NDArray[np.uint8] = np.rint(grey, out=grey).astype(np.uint8)
    return pixels.T[::-1]
