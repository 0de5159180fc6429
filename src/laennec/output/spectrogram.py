"""The spectrogram that pictures and pages show."""

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
    padded = np.pad(samples.astype(np.float32), length // 2 + 1)  # the first frame is centred on the start
    columns = int(min(COLUMNS, max(1, samples.size // 8)))
    frames = min(FRAMES_A_COLUMN, max(1, math.ceil(samples.size / columns / (length / 2))))
    centres = ((np.arange(columns * frames) + 0.5) / (columns * frames) * samples.size).astype(int)
    window = np.hanning(length + 2)[1:-1].astype(np.float32)
    bins_hz = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    used = bins_hz <= fmax_hz + bins_hz[1]
    power = np.empty((columns, int(used.sum())))
    for first in range(0, columns, 100):  # bounds the memory that frames of 192 kHz take
        chosen = centres[first * frames : (first + 100) * frames]
        spectra = np.fft.rfft(padded[chosen[:, None] + np.arange(length)] * window, n_fft)[:, used]
        power[first : first + 100] = (np.abs(spectra) ** 2).reshape(-1, frames, spectra.shape[1]).mean(axis=1)
    scale = (window.sum() / 2) ** 2
    below = np.minimum(np.searchsorted(bins_hz, rows_hz, side="right"), power.shape[1] - 1) - 1
    slope = (power[:, below + 1] - power[:, below]) / bins_hz[1]
    at_rows = slope * (rows_hz - bins_hz[below]) + power[:, below]
    return 10 * np.log10(at_rows.T / scale + 1e-12), fmax_hz


def top_level_db(level_db: Floats) -> float:
    """Return the level that is drawn black: nearly the loudest, as one click must not fade the rest."""
    return float(np.percentile(level_db, 99.7))


def grey(level_db: Floats) -> npt.NDArray[np.uint8]:
    """Return levels as pixels, high frequencies on top: loud is black, `RANGE_DB` below it white."""
    dark = np.clip((level_db - top_level_db(level_db) + RANGE_DB) / RANGE_DB, 0, 1)
    return (255 * (1 - dark[::-1])).astype(np.uint8)
