"""A picture of a result: waveform, spectrogram, labelled events."""

import math
import os
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from laennec.analyze.analysis import Analysis, Event
from laennec.audio.recording import Recording
from laennec.audio.samples import counted
from laennec.errors import LaennecError
from laennec.files import written_whole
from laennec.output.presentation import (
    Strip,
    analysis_colours,
    answer,
    facts,
    label_colours,
    legend_label,
    notes,
    readable_on,
    short_label,
    strips,
    tick_step,
    uncertain_among,
)
from laennec.output.spectrogram import COLUMNS, FMIN_HZ, RANGE_DB, ROWS, TICKS_HZ, spectrogram_of
from laennec.version import DISCLAIMER

if TYPE_CHECKING:
    from laennec.output.canvas import Canvas

PICTURES = (".png", ".svg", ".pdf")

# In pixels; a cell of the spectrogram is one pixel.
LEFT, RIGHT = 92, 92 + COLUMNS
WIDTH = RIGHT + 98
LINE = 19  # of text
LANE = 28  # of labels
WAVE_HEIGHT = 124
GAP = 20
BAR = (RIGHT + 14, RIGHT + 30)  # of the grey levels
TICK = 5
SMALL, TINY = 8.0, 7.0  # points
LONGEST_LINE = 190  # letters of a remark
TIME_TICKS, LEVEL_TICKS = 8, 6  # at most


@dataclass(frozen=True)
class Layout:
    """Where the parts of a picture begin, from above, and what they show."""

    analysis: Analysis
    recording: Recording
    channel: int
    events: tuple[Event, ...]
    rows: tuple[Strip, ...]
    subtitle: tuple[str, ...]

    @classmethod
    def of(cls, analysis: Analysis, recording: Recording, channel: int) -> "Layout":
        """Return what a picture of one channel has."""
        shown = tuple(event for event in analysis.events if event.channel == channel)
        subtitle = _subtitle(analysis, shown, channel)
        return cls(analysis, recording, channel, shown, tuple(strips(shown)), tuple(subtitle))

    @property
    def labels(self) -> int:
        return 42 + LINE * len(self.subtitle)

    @property
    def wave(self) -> int:
        return self.labels + LANE * sum(row.lane_count for row in self.rows) + 12

    @property
    def spectrogram(self) -> int:
        return self.wave + WAVE_HEIGHT + GAP

    @property
    def bottom(self) -> int:
        return self.spectrogram + ROWS

    @property
    def height(self) -> int:
        return self.bottom + 84

    def x(self, time_s: float) -> float:
        """Return where a time is."""
        return LEFT + COLUMNS * min(1.0, max(0.0, time_s / self.analysis.duration_s))


def draw(analysis: Analysis, recording: Recording, path: str | os.PathLike[str], *, channel: int = 0) -> None:
    """Draw one channel: its labels, its waveform, and its spectrogram from 20 Hz to 2 kHz, on one time axis.

    The suffix of `path` chooses the format. LaennecError if it is none of `PICTURES`, there is no such
    channel, or Matplotlib is not installed.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in PICTURES:
        raise LaennecError(f"{path}: a picture's name ends in {', '.join(PICTURES)}")
    try:
        from laennec.output.canvas import png_of, write_vector
    except ImportError as error:
        raise LaennecError('drawing needs Matplotlib: pip install "laennec[web]"') from error
    recording.channel(channel)  # raises where there is none
    layout = Layout.of(analysis, recording, channel)

    def paint(canvas: "Canvas") -> None:
        _draw_titles(canvas, layout)
        _draw_labels(canvas, layout)
        _draw_waveform(canvas, layout, recording.samples[channel])
        _draw_spectrogram(canvas, layout)
        _draw_times(canvas, layout)
        _draw_legend(canvas, layout)

    with written_whole(path) as temporary, warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; a warning would help nobody.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        if suffix == ".png":
            temporary.write_bytes(png_of(paint, WIDTH, layout.height))
        else:
            write_vector(paint, WIDTH, layout.height, temporary)


def _subtitle(analysis: Analysis, shown: Sequence[Event], channel: int) -> list[str]:
    adventitious = [event for event in shown if event.label != analysis.normal]
    remarks = [finding.message for finding in analysis.quality] + notes(analysis)
    lines = [] if analysis.record is None else [answer(analysis.record)]
    if analysis.channels > 1:
        own = (record for record in analysis.channel_records if record.channel == channel)
        lines += [f"channel {channel}: {answer(record)}" for record in own]
    count = counted(len(adventitious), "adventitious event", "") + uncertain_among(adventitious)
    lines.append(f"{count if shown else 'no events'}; {facts(analysis)}")
    if remarks:
        more = f" (and {len(remarks) - 2} more)" if len(remarks) > 2 else ""
        line = "; ".join(remarks[:2]) + more
        lines.append(line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…")
    return lines


def _draw_titles(canvas: "Canvas", layout: Layout) -> None:
    several = layout.recording.channels > 1
    which = f", channel {layout.channel} (of {layout.recording.channels}, from 0)" if several else ""
    canvas.words(f"{layout.analysis.name}{which}", WIDTH / 2, 22, 12, align=0.5, bold=True)
    for number, line in enumerate(layout.subtitle):
        canvas.words(line, LEFT, 46 + LINE * number, 8.5)
    canvas.words(DISCLAIMER, 8, layout.height - 8, TINY, colour="0.35")


def _draw_labels(canvas: "Canvas", layout: Layout) -> None:
    """Draw the events as boxes with as much of their label as fits: all of it, its capitals, or nothing.

    Where nothing fits, the legend's colours are left, and the table.
    """
    colours = analysis_colours(layout.analysis)
    boxes: Mapping[tuple[str, bool], list[tuple[float, float, float, float]]] = defaultdict(list)
    words = []
    top = layout.labels
    for row in layout.rows:
        canvas.words(row.name, LEFT - 6, top + LANE * row.lane_count / 2 + 4, SMALL, align=1)
        for event, text, lane in zip(layout.events, row.labels, row.lanes, strict=True):
            if not text:
                continue
            doubtful = event.uncertain and row.name == "model"
            left, right, above = layout.x(event.start_s), layout.x(event.end_s), top + LANE * lane
            boxes[colours[text], doubtful].append((left, above + 3, right, above + LANE - 3))
            fitting = (f"{word}{' ?' if doubtful else ''}" for word in (text, short_label(text)))
            room = right - left - 4
            written = next((word for word in fitting if canvas.width(word, SMALL) <= room), "")
            if written:
                words.append((written, (left + right) / 2, above + LANE / 2 + 4, readable_on(colours[text])))
        top += LANE * row.lane_count
    for (colour, doubtful), own in boxes.items():
        canvas.boxes(own, colour, edge="white", hatched=doubtful)
    for written, x, y, colour in words:
        canvas.words(written, x, y, SMALL, colour=colour, align=0.5)


def _draw_waveform(canvas: "Canvas", layout: Layout, samples: npt.NDArray[np.float32]) -> None:
    """Draw every sample of a short recording, and the range of each pixel column of a long one."""
    top, bottom = layout.wave, layout.wave + WAVE_HEIGHT
    middle, loudest = (top + bottom) / 2, max(1e-4, float(np.abs(samples).max()))
    scale = WAVE_HEIGHT / 2 / (1.05 * loudest)
    canvas.lines([(x, top, x, bottom) for x, _ in _times(layout)], "0.9", 0.6)
    for colour, events in _coloured(layout).items():
        boxes = [(layout.x(event.start_s), top, layout.x(event.end_s), bottom) for event in events]
        canvas.boxes(boxes, colour, alpha=0.28)
    if samples.size < 2 * COLUMNS:
        places = LEFT + COLUMNS / samples.size * np.arange(samples.size, dtype=np.float64)
        canvas.curve(np.stack([places, middle - scale * samples], axis=1), "0.25", 0.8)
    else:
        starts = np.linspace(0, samples.size, COLUMNS, endpoint=False).astype(int)
        high = middle - scale * np.maximum.reduceat(samples, starts)
        low = middle - scale * np.minimum.reduceat(samples, starts)
        thin = np.maximum(0.0, 1 - (low - high)) / 2  # a line of one pixel at least
        places = LEFT + 0.5 + np.arange(COLUMNS, dtype=np.float64)
        outline = np.concatenate([high - thin, (low + thin)[::-1]])
        canvas.area(np.stack([np.concatenate([places, places[::-1]]), outline], axis=1), "0.25")
    step = tick_step(2 * loudest, 5)
    count = int(loudest / step)
    levels = [(step * k, middle - scale * step * k) for k in range(-count, count + 1)]
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    for level, y in levels:
        canvas.words(f"{level:.{digits}f}".replace("-", "\N{MINUS SIGN}"), LEFT - 9, y + 4, SMALL, align=1)
    edges = [(LEFT, top, LEFT, bottom), (LEFT, bottom, RIGHT, bottom)]
    canvas.lines([*edges, *((LEFT - TICK, y, LEFT, y) for _, y in levels)], "black", 0.8)
    for text, x_text in (("amplitude", 18), ("(1 = full scale)", 32)):
        canvas.words(text, x_text, middle, SMALL, align=0.5, upright=True)


def _draw_spectrogram(canvas: "Canvas", layout: Layout) -> None:
    top, bottom = layout.spectrogram, layout.bottom
    grey, top_db, fmax_hz = spectrogram_of(layout.recording, layout.channel)
    canvas.image(grey, (LEFT, top, RIGHT, bottom))
    for colour, events in _coloured(layout).items():
        edges = [layout.x(edge_s) for event in events for edge_s in (event.start_s, event.end_s)]
        canvas.lines([(x, top, x, bottom) for x in edges], colour, 1.2)
    ticks = [(hz, _height(hz, fmax_hz, top, bottom)) for hz in TICKS_HZ if hz <= fmax_hz]
    for hz, y in ticks:
        canvas.words(str(hz), LEFT - 9, y + 4, SMALL, align=1)
    canvas.words("frequency in Hz", 32, (top + bottom) / 2, SMALL, align=0.5, upright=True)
    left, right = BAR
    canvas.image(np.linspace(0, 255, ROWS).astype(np.uint8)[:, None], (left, top, right, bottom))
    step = tick_step(RANGE_DB, LEVEL_TICKS)
    first, last = math.ceil((top_db - RANGE_DB) / step), math.floor(top_db / step)
    levels = [(step * k, top + ROWS * (top_db - step * k) / RANGE_DB) for k in range(first, last + 1)]
    for level, y in levels:
        canvas.words(f"{level:.0f}".replace("-", "\N{MINUS SIGN}"), right + 8, y + 3.5, TINY)
    canvas.words("dB re full scale", WIDTH - 14, (top + bottom) / 2, SMALL, align=0.5, upright=True)
    frames = [_frame((LEFT, top, RIGHT, bottom)), _frame((left, top, right, bottom))]
    marks = [(LEFT - TICK, y, LEFT, y) for _, y in ticks] + [(right, y, right + TICK, y) for _, y in levels]
    canvas.lines([*(line for frame in frames for line in frame), *marks], "black", 0.8)


def _height(hz: float, fmax_hz: float, top: float, bottom: float) -> float:
    return bottom - (bottom - top) * math.log(hz / FMIN_HZ) / math.log(fmax_hz / FMIN_HZ)


def _frame(box: tuple[float, float, float, float]) -> list[tuple[float, float, float, float]]:
    left, top, right, bottom = box
    return [
        (left, top, right, top),
        (left, bottom, right, bottom),
        (left, top, left, bottom),
        (right, top, right, bottom),
    ]


def _times(layout: Layout) -> list[tuple[float, float]]:
    """Return places and times of the ticks of the time axis."""
    step_s = tick_step(layout.analysis.duration_s, TIME_TICKS)
    count = int(layout.analysis.duration_s / step_s + 1e-6)
    return [(layout.x(step_s * k), step_s * k) for k in range(count + 1)]


def _draw_times(canvas: "Canvas", layout: Layout) -> None:
    ticks = _times(layout)
    for x, time_s in ticks:
        canvas.words(f"{time_s:g}", x, layout.bottom + 20, SMALL, align=0.5)
    wave = layout.wave + WAVE_HEIGHT
    marks = [(x, y, x, y + TICK) for y in (wave, layout.bottom) for x, _ in ticks]
    canvas.lines(marks, "black", 0.8)
    canvas.words("time in s", (LEFT + RIGHT) / 2, layout.bottom + 40, 10, align=0.5)


def _draw_legend(canvas: "Canvas", layout: Layout) -> None:
    colours = label_colours(layout.analysis.labels, layout.analysis.normal)
    right, y = float(RIGHT), layout.height - 20
    for label in reversed(colours):
        if any(label in (event.label, event.annotated) for event in layout.events):
            words = legend_label(label)
            canvas.words(words, right, y, SMALL, align=1)
            right -= canvas.width(words, SMALL) + 36
            canvas.boxes([(right, y - 9, right + 27, y)], colours[label])
            right -= 24


def _coloured(layout: Layout) -> Mapping[str, list[Event]]:
    """Return the events that are not normal by their colour."""
    colours = analysis_colours(layout.analysis)
    found: dict[str, list[Event]] = {}
    for event in layout.events:
        if event.label != layout.analysis.normal:
            found.setdefault(colours[event.label], []).append(event)
    return found
