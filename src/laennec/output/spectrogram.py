"""The spectrograms that pictures and pages show: powers of frames, as one image or as tiles of a pyramid."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
COLUMNS = 1200  # of the spectrogram, about one per pixel
FRAMES_A_COLUMN = 8  # at most; a long recording is sampled, not averaged whole
ROWS = 220  # of the spectrogram
FRAME_S = 0.064  # resolves the harmonics of a rhonchus and still shows where a crackle is
RANGE_DB = 55.0  # from nearly the loudest cell down
FMIN_HZ, FMAX_HZ = 20.0, 2000.0  # where lung sounds are
SHOWN_S = 600.0  # of a recording that is longer, pages and pictures show the beginning
FRAMES_AT_ONCE = 64  # their spectra stay in the processor's cache
TICKS_HZ = (20, 50, 100, 200, 500, 1000, 2000)


def log_spectrogram(samples: npt.NDArray[Any], sample_rate: int) -> tuple[Floats, float]:
    """Power of ``(samples,)`` over time and log-spaced frequencies, for looking at.

    Frames of 64 ms under a Hann window. Each column is the mean power of at most eight frames spread over it,
    so a long recording is sampled; each row is interpolated between the transform's bins.

    Returns
    -------
    level_db : numpy.ndarray
        ``(rows, columns)``, dB re a full-scale sine, low frequencies first.
    fmax_hz : float
        Frequency of the last row: 2 kHz, or half the sample rate where that is less; the first row is 20 Hz.
    """
    length = min(max(16, round(FRAME_S * sample_rate)), max(16, samples.size))
    n_fft = 2 ** math.ceil(math.log2(length) + 1)
    fmax_hz = min(FMAX_HZ, sample_rate / 2)
    rows_hz = np.geomspace(FMIN_HZ, fmax_hz, ROWS)
    columns = int(min(COLUMNS, max(1, samples.size // 8)))
    frames = min(FRAMES_A_COLUMN, max(1, math.ceil(samples.size / columns / (length / 2))))
    bins_hz = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    used = int(np.count_nonzero(bins_hz <= fmax_hz + bins_hz[1]))
    power = column_powers(samples, 0, samples.size / columns, columns, frames, length, n_fft, used)
    below = np.minimum(np.searchsorted(bins_hz, rows_hz, side="right"), power.shape[1] - 1) - 1
    slope = (power[:, below + 1] - power[:, below]) / bins_hz[1]
    at_rows = slope * (rows_hz - bins_hz[below]) + power[:, below]
    return 10 * np.log10(at_rows.T + 1e-12), fmax_hz


def column_powers(
    samples: npt.NDArray[Any],
    start: float,
    hop: float,
    columns: int,
    frames: int,
    length: int,
    n_fft: int,
    bins: int,
) -> npt.NDArray[np.float32]:
    """Return the mean power of the frames of each column, re a full-scale sine, ``(columns, bins)``.

    Column k lies `hop` samples wide at ``start + k * hop``, and `frames` frames of `length` samples are
    spread over it, each under a Hann window. `samples` are ``(samples,)`` floats or int16, which may be a
    mapped file of any length: only the frames are read. Outside of them there is silence.
    """
    centres = start + (np.arange(columns * frames) + 0.5) * (hop / frames)
    starts = centres.astype(np.int64) - length // 2 - 1
    full_scale = 2.0**15 if samples.dtype == np.int16 else 1.0
    window = np.hanning(length + 2)[1:-1]
    window = (window / (full_scale * window.sum() / 2)).astype(np.float32)
    power = np.empty((columns * frames, bins), np.float32)
    for first in range(0, len(starts), FRAMES_AT_ONCE):
        chosen = slice(first, first + FRAMES_AT_ONCE)
        spectra = np.fft.rfft(_frames(samples, starts[chosen], length) * window, n_fft)[:, :bins]
        np.square(spectra.real, out=power[chosen])
        power[chosen] += np.square(spectra.imag)
    return power if frames == 1 else power.reshape(columns, frames, bins).mean(axis=1)


def _frames(samples: npt.NDArray[Any], starts: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.float32]:
    """Return the frames that begin at these samples, silent where they reach beyond the first or last."""
    if samples.size < length:
        samples = np.pad(samples, (0, length - samples.size))
    inside = np.clip(starts, 0, samples.size - length)
    frames = np.lib.stride_tricks.sliding_window_view(samples, length)[inside].astype(np.float32)
    for row in np.flatnonzero(inside != starts):
        shift, kept = int(starts[row] - inside[row]), np.zeros(length, np.float32)
        if abs(shift) < length:
            to = slice(-shift, None) if shift < 0 else slice(0, length - shift)
            of = slice(0, length + shift) if shift < 0 else slice(shift, None)
            kept[to] = frames[row, of]
        frames[row] = kept
    return frames


def top_level_db(level_db: npt.NDArray[Any]) -> float:
    """Return the level that is drawn black: nearly the loudest, as one click must not fade the rest."""
    return float(np.percentile(level_db, 99.7))


def grey(level_db: Floats) -> npt.NDArray[np.uint8]:
    """Return levels as pixels, high frequencies on top: loud is black, `RANGE_DB` below it white."""
    dark = np.clip((level_db - top_level_db(level_db) + RANGE_DB) / RANGE_DB, 0, 1)
    return (255 * (1 - dark[::-1])).astype(np.uint8)
