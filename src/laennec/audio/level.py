"""How finely a format tells samples apart, how loud the sound in it is, and what of it is silence.

Everything is in units of full scale. Silence is what changes by two steps of the format at most: dither
leaves that much of it. Floats have no step of their own; theirs is the grid that their samples lie on.
"""

import math

import numpy as np
import numpy.typing as npt

from laennec.audio.samples import Array

STEP_16_BIT = 2.0**-15
SILENT_STEPS = 2  # peak to peak; what dither leaves of silence
SILENT_RANGE = SILENT_STEPS * STEP_16_BIT
INTEGER_CODINGS = {"int16": "PCM_16", "int32": "PCM_32", "uint8": "PCM_U8"}  # by NumPy's names
_SIGNIFICANT_BITS = 23  # of a float, below the recording's peak
_ROUNDING = 2.0**-8  # of differences between floats
_COARSEST_BITS = 7  # a grid with fewer steps between zero and the peak is the sound's own, not the format's
_LOSSY_BITS = 11  # below the peak: what lossy coding keeps of a quiet recording
# Between the two smallest values of codings that are not uniform, or keep fewer bits than they decode to.
_CODED_STEPS = {"ULAW": 2.0**-12, "ALAW": 2.0**-11, "GSM610": 2.0**-12, "FLOAT": 0.0, "DOUBLE": 0.0}
_LOSSY = ("MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III", "VORBIS", "OPUS", "LOSSY")
_BINS_AN_OCTAVE = 32  # 0.2 dB
_LOWEST_OCTAVE, _OCTAVES = -150, 184  # from below the smallest float32 to above 2**32


class Resolution:
    """The step between neighbouring values of a recording, by its coding and by its samples.

    `coding` is libsndfile's name of it, ``FLOAT`` for an array of floats; any unknown one counts as 16 bits.
    """

    def __init__(self, coding: str) -> None:
        self._is_lossy = coding in _LOSSY
        kind, _, bits = coding.rpartition("_")
        self._coded = _CODED_STEPS.get(coding, STEP_16_BIT)
        if kind in ("PCM", "ALAC", "DWVW", "DPCM") and bits.strip("SU").isdigit():
            self._coded = 2.0 ** (1 - int(bits.strip("SU")))
        self._finest = np.inf  # change between neighbouring samples

    def add(self, block: Array, peak: float) -> None:
        """Take in finite samples ``(channels, samples)`` of a recording that has reached `peak`."""
        if self._is_lossy or self._finest <= max(self._coded, peak * 2.0**-_SIGNIFICANT_BITS):
            return
        if self._coded < STEP_16_BIT:  # what has 16 bits may be stored as more, or as floats
            changes = np.abs(np.diff(block, axis=1))
            self._finest = min(self._finest, float(changes.min(initial=np.inf, where=changes > 0)))

    def step(self, peak: float) -> float:
        """The step of a recording whose largest magnitude is `peak`; 0 of nothing but zeros."""
        if self._is_lossy:
            return min(STEP_16_BIT, peak * 2.0**-_LOSSY_BITS)
        if self._coded >= STEP_16_BIT:
            return self._coded
        grid = min(STEP_16_BIT, self._finest)
        # Floats that never were integers of full scale 1.
        if not self._coded and math.frexp(self._finest)[0] != 0.5:
            grid = min(grid * (1 + _ROUNDING), peak * 2.0**-_COARSEST_BITS)
        return max(self._coded, peak * 2.0**-_SIGNIFICANT_BITS, grid)


class Extents:
    """Counts the short parts of each channel by their extent, from the lowest sample to the highest.

    The counts are by parts of an octave, exact at powers of two, so any length takes the same memory.
    """

    def __init__(self, channels: int) -> None:
        self._counts = np.zeros((channels, _OCTAVES * _BINS_AN_OCTAVE), np.int64)

    def add(self, extents: Array) -> None:
        """Take in ``(channels, parts)``."""
        for counts, row in zip(self._counts, _bins(extents), strict=True):
            counts += np.bincount(row, minlength=counts.size)

    def shares(self, extent: float) -> npt.NDArray[np.float64]:
        """Share of each channel's parts up to an extent."""
        counts = self._counts[:, : int(_bins(extent)) + 1]
        return np.asarray(counts.sum(1) / np.maximum(1, self._counts.sum(1)), np.float64)

    def levels(self, silent: float) -> tuple[float, ...]:
        """Half the median extent of each channel's parts above `silent`; 0 where there are none."""
        first = int(_bins(silent)) + 1
        levels = []
        for counts in self._counts[:, first:]:
            sums = np.cumsum(counts)
            middle = first + int(np.searchsorted(sums, sums[-1] / 2)) - 0.5
            levels.append(float(2.0 ** (_LOWEST_OCTAVE + middle / _BINS_AN_OCTAVE - 1)) if sums[-1] else 0.0)
        return tuple(levels)


def _bins(extents: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """The bin that each extent falls into; a value on an edge is below it, and 0 is for no extent."""
    mantissa, octave = np.frexp(extents)  # mantissa in [1/2, 1), 0 for 0
    edges = 2.0 ** (np.arange(_BINS_AN_OCTAVE) / _BINS_AN_OCTAVE - 1)
    bins = (octave - 1 - _LOWEST_OCTAVE) * _BINS_AN_OCTAVE + np.searchsorted(edges, mantissa)
    return np.where(np.asarray(extents) > 0, np.clip(bins, 1, _OCTAVES * _BINS_AN_OCTAVE - 1), 0)
