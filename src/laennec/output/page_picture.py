"""Waveform, spectrogram and relevance as pictures inside a page."""

import itertools
import math

import numpy as np
import numpy.typing as npt

from laennec.analyze.analysis import Relevance
from laennec.output.html import data_uri, png
from laennec.output.spectrogram import FMIN_HZ, Floats, grey, log_spectrogram

Samples = npt.NDArray[np.float32]

PIECE_S = 60.0  # of a long recording, the spectrogram is made of such pieces
PIECE_COLUMNS, MARGIN_COLUMNS = 1000, 100  # of a piece; the margins on both sides are cut off
WAVE_COLUMNS, WAVE_COLUMNS_A_S = 1200, 10.0
RELEVANCE_ROWS = 110  # half of the spectrogram's
RELEVANCE_COLOUR = (214, 20, 90)  # no label has it, and it stands out on grey


def spectrogram_uri(samples: Samples, sample_rate: int) -> tuple[str, float]:
    """Return the spectrogram as a grey picture, and the frequency of its upper edge in Hz."""
    level_db, top_hz = _spectrogram(samples, sample_rate)
    return data_uri(png(grey(level_db)), "image/png"), top_hz


def _spectrogram(samples: Samples, sample_rate: int) -> tuple[Floats, float]:
    """Return the levels, with more columns where a recording is long, since one can zoom into it."""
    pieces = math.ceil(samples.size / sample_rate / PIECE_S)
    if pieces == 1:
        return log_spectrogram(samples, sample_rate)
    edges = np.linspace(0, samples.size, pieces + 1).astype(int)
    margin = round(samples.size / pieces * MARGIN_COLUMNS / PIECE_COLUMNS)
    padded = np.pad(samples, margin)  # a piece includes some of its neighbours, else the seams would show
    parts = [
        log_spectrogram(padded[start : end + 2 * margin], sample_rate)
        for start, end in itertools.pairwise(edges)
    ]
    inner = slice(MARGIN_COLUMNS, MARGIN_COLUMNS + PIECE_COLUMNS)
    return np.concatenate([level_db[:, inner] for level_db, _ in parts], axis=1), parts[0][1]


def waveform_svg(samples: Samples, shown_s: float) -> str:
    """Return the range of each of some columns as an SVG area, of the loudest sample's height."""
    columns = min(samples.size, max(WAVE_COLUMNS, int(shown_s * WAVE_COLUMNS_A_S)))
    starts = np.linspace(0, samples.size, columns, endpoint=False).astype(int)
    scale = 48 / max(1e-4, float(np.abs(samples).max()))
    high = 50 - scale * np.maximum.reduceat(samples, starts)
    low = 50 - scale * np.minimum.reduceat(samples, starts)
    x = 1000 * (starts + 0.5) / samples.size
    outline = zip(np.concatenate([x, x[::-1]]), np.concatenate([high, low[::-1]]), strict=True)
    path = "L".join(f"{a:.2f} {b:.1f}" for a, b in outline)
    return (
        '<svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label="Waveform">'
        f'<path vector-effect="non-scaling-stroke" d="M{path}Z"/></svg>'
    )


def relevance_png(relevance: Relevance, top_hz: float) -> bytes:
    """Return a relevance map on the spectrogram's logarithmic axis; what is outside its bands is clear."""
    values = np.asarray(relevance.values, dtype=np.float64)
    edges = np.linspace(math.log(FMIN_HZ), math.log(top_hz), RELEVANCE_ROWS + 1)
    rows_hz = np.exp((edges[:-1] + edges[1:]) / 2)[::-1]
    band = np.searchsorted(relevance.edges_hz, rows_hz, side="right") - 1
    inside = (band >= 0) & (band < len(values))
    pixels = np.zeros((RELEVANCE_ROWS, values.shape[1], 4), np.uint8)
    pixels[..., :3] = RELEVANCE_COLOUR
    pixels[inside, :, 3] = np.round(200 * np.clip(values[band[inside]], 0, 1))
    return png(pixels)
