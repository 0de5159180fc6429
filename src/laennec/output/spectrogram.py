"""The spectrograms that pictures and pages show: powers of frames, as one image or as tiles of a pyramid."""

import math
from functools import lru_cache
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from laennec.audio.recording import Recording

Floats = npt.NDArray[np.float32]
COLUMNS = 1200  # of the spectrogram, about one per pixel
FRAMES_A_COLUMN = 8  # at most; a long recording is sampled, not averaged whole
ROWS = 220  # of the spectrogram
FRAME_S = 0.064  # resolves the harmonics of a rhonchus and still shows where a crackle is
RANGE_DB = 55.0  # from nearly the loudest cell down
FMIN_HZ, FMAX_HZ = 20.0, 2000.0  # where lung sounds are
SHOWN_S = 600.0  # of a recording that is longer, pages and pictures show the beginning
TOP = 99.7  # per cent of the cells are not louder than what is black
SOME = 4096  # cells that stand for all
FRAMES_AT_ONCE = 64  # their spectra stay in the processor's cache
GREYS = 64  # in files, from black to white: two thirds of the bytes, and no eye sees it
STEPS = ((np.arange(256) * (GREYS - 1) + 127) // 255).astype(np.uint8)  # which of them, by grey
COARSE = ((STEPS.astype(int) * 255 + GREYS // 2) // (GREYS - 1)).astype(np.uint8)  # what it is, by grey
_COARSE = COARSE.tobytes()
TICKS_HZ = (20, 50, 100, 200, 500, 1000, 2000)


class Spectrogram(NamedTuple):
    """A channel as pictures and pages show it."""

    grey: npt.NDArray[np.uint8]  # (rows, columns), high frequencies on top: loud is black
    top_db: float  # what is black, dB re a full-scale sine; `RANGE_DB` below it is white
    fmax_hz: float


_SHOWN: WeakKeyDictionary[Recording, dict[tuple[int, int], Spectrogram]] = WeakKeyDictionary()


def spectrogram_of(recording: Recording, channel: int, length: int | None = None) -> Spectrogram:
    """Return the spectrogram of a channel, or of its first `length` samples.

    It is computed once: a page and a picture of the same recording share it.
    """
    shown, count = _SHOWN.setdefault(recording, {}), recording.length if length is None else length
    if (channel, count) not in shown:
        samples = recording.samples[channel, :count]
        level_db, fmax_hz = log_spectrogram(samples, recording.sample_rate)
        shown[channel, count] = Spectrogram(*grey(level_db), fmax_hz)
    return shown[channel, count]


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
    columns = int(min(COLUMNS, max(1, samples.size // 8)))
    frames = min(FRAMES_A_COLUMN, max(1, math.ceil(samples.size / columns / (length / 2))))
    rows = _log_rows(FMIN_HZ * n_fft / sample_rate, fmax_hz * n_fft / sample_rate, n_fft // 2 + 1)
    power = column_powers(samples, 0, samples.size / columns, columns, frames, length, n_fft, rows.shape[1])
    return to_db(rows @ power.T, 1e-12), fmax_hz


@lru_cache(8)
def _log_rows(first: float, last: float, bins: int) -> Floats:
    """Return what interpolates bins to log-spaced rows, ``(rows, bins)``: first and last row are in bins."""
    places = np.geomspace(first, last, ROWS)
    used = min(bins, int(last) + 2)
    below = np.minimum(places.astype(int), used - 2)
    rows = np.zeros((ROWS, used), np.float32)
    rows[np.arange(ROWS), below] = 1 - (places - below)
    rows[np.arange(ROWS), below + 1] = places - below
    return rows


def to_db(power: Floats, floor: float) -> Floats:
    """Return powers in decibels; `floor` is added, since silence has none."""
    level_db = power + np.float32(floor)
    np.log10(level_db, out=level_db)
    level_db *= np.float32(10)
    return level_db


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
    window = (window / (math.sqrt(frames) * full_scale * window.sum() / 2)).astype(np.float32)
    if samples.size < length:
        samples = np.pad(samples, (0, length - samples.size))
    windows = np.lib.stride_tricks.sliding_window_view(samples, length)
    inside = np.clip(starts, 0, samples.size - length)
    power = np.empty((columns, bins), np.float32)
    at_once = max(1, FRAMES_AT_ONCE // frames)
    for column in range(0, columns, at_once):
        chosen = slice(column * frames, (column + at_once) * frames)
        parts = windows[inside[chosen]].astype(np.float32, copy=False)
        _silence_outside(parts, starts[chosen] - inside[chosen])
        parts *= window
        spectra = np.fft.rfft(parts, n_fft)[:, :bins]
        squares = np.square(spectra.real)
        squares += np.square(spectra.imag)
        own = power[column : column + at_once]
        own[:] = squares if frames == 1 else squares.reshape(-1, frames, bins).sum(axis=1)
    return power


def _silence_outside(frames: npt.NDArray[np.float32], shifts: npt.NDArray[np.int64]) -> None:
    """Move frames that were cut by so many samples inside to where they are, with silence beyond."""
    for row in np.flatnonzero(shifts):
        shift, kept = int(shifts[row]), np.zeros(frames.shape[1], np.float32)
        if abs(shift) < kept.size:
            to = slice(-shift, None) if shift < 0 else slice(0, kept.size - shift)
            of = slice(0, kept.size + shift) if shift < 0 else slice(shift, None)
            kept[to] = frames[row, of]
        frames[row] = kept


def top_level_db(level_db: npt.NDArray[Any]) -> float:
    """Return the level that is drawn black: nearly the loudest, as one click must not fade the rest.

    It is the percentile `TOP`, looked for among the loudest alone.
    """
    levels = level_db.ravel()
    loudest = levels[levels >= np.percentile(levels[:: max(1, levels.size // SOME)], TOP - 1)]
    place = (levels.size - 1) * TOP / 100 - (levels.size - loudest.size)
    if place < 0:
        return float(np.percentile(levels, TOP))
    return float(np.percentile(loudest, 100 * place / max(1, loudest.size - 1)))


def coarse(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return pixels in `GREYS` greys, in the order of rows that files have."""
    return np.frombuffer(grey.tobytes().translate(_COARSE), np.uint8).reshape(grey.shape)


def grey(level_db: Floats) -> tuple[npt.NDArray[np.uint8], float]:
    """Return levels as pixels, high frequencies on top, and the level that is black, in dB.

    `RANGE_DB` below that is white.
    """
    top_db = top_level_db(level_db)
    light = (top_db - level_db[::-1]) * np.float32(255 / RANGE_DB)
    return np.clip(light, 0, 255, out=light).astype(np.uint8), top_db
