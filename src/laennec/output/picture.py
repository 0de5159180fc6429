"""A picture of a result: waveform, spectrogram, labelled events."""

import math
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
    uncertain_among,
)
from laennec.output.spectrogram import COLUMNS, FMIN_HZ, RANGE_DB, TICKS_HZ, log_spectrogram, top_level_db
from laennec.version import DISCLAIMER

PICTURES = (".png", ".svg", ".pdf")
LABEL_FONT: dict[str, Any] = {
    "fontsize": 8.0,
    "ha": "center",
    "va": "center_baseline",
    "clip_on": True,
    "parse_math": False,
}
LETTER_WIDTH = 0.62  # of the font size, on average and with some air


def draw(analysis: Analysis, recording: Recording, path: str | os.PathLike[str], *, channel: int = 0) -> None:
    """Draw one channel: its labels, its waveform, and its spectrogram from 20 Hz to 2 kHz, on one time axis.

    The suffix of `path` chooses the format. LaennecError if it is none of `PICTURES`, there is no such
    channel, or Matplotlib is not installed.
    """
    if Path(path).suffix.lower() not in PICTURES:
        raise LaennecError(f"{path}: a picture's name ends in {', '.join(PICTURES)}")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise LaennecError('drawing needs Matplotlib: pip install "laennec[web]"') from error
    samples = recording.channel(channel).samples[0]
    shown = [event for event in analysis.events if event.channel == channel]
    rows = strips(shown)
    label_height = 0.26 * sum(row.lane_count for row in rows)
    figure = Figure(figsize=(12, 4.9 + label_height), dpi=110, layout="constrained")
    axes = figure.subplots(3, 1, sharex=True, height_ratios=[label_height, 1.3, 2.5])
    colours = analysis_colours(analysis)
    _draw_labels(axes[0], rows, shown, colours, analysis.duration_s)
    _draw_waveform(axes[1], samples, recording.sample_rate)
    _draw_spectrogram(axes[2], samples, recording.sample_rate)
    for event in shown:
        if event.label != analysis.normal:
            colour = colours[event.label]
            axes[1].axvspan(event.start_s, event.end_s, color=colour, alpha=0.28, linewidth=0)
            for edge_s in (event.start_s, event.end_s):
                axes[2].axvline(edge_s, color=colour, linewidth=1.2)
    axes[2].set_xlim(0, analysis.duration_s)
    axes[2].set_xlabel("time in s")
    which = f", channel {channel} (of {recording.channels}, from 0)" if recording.channels > 1 else ""
    figure.suptitle(f"{analysis.name}{which}", fontsize=12, fontweight="bold", parse_math=False)
    axes[0].set_title(
        "\n".join(_subtitle(analysis, shown, channel)), fontsize=8.5, loc="left", parse_math=False
    )
    _draw_legend(figure, shown, label_colours(analysis.labels, analysis.normal))
    figure.text(0.005, 0.005, DISCLAIMER, fontsize=7, color="0.35", ha="left", va="bottom")
    with written_whole(path) as temporary, warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; a warning would help nobody.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(temporary)


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
        lines.append(line if len(line) <= 190 else line[:189] + "…")
    return lines


def _draw_labels(
    axes: Any,
    rows: Sequence[Strip],
    events: Sequence[Event],
    colours: Mapping[str, str],
    duration_s: float,
) -> None:
    """Draw the events as boxes with as much of their label as fits: all of it, its capitals, or nothing.

    Where nothing fits, the legend's colours are left, and the table.
    """
    points = axes.figure.get_figwidth() * 72 * 0.93  # what the margins leave
    top, ticks = 0, []
    for row in rows:
        for event, text, lane in zip(events, row.labels, row.lanes, strict=True):
            if not text:
                continue
            colour = colours[text]
            doubtful = event.uncertain and row.name == "model"
            width_s = event.end_s - event.start_s
            hatch = "////" if doubtful else None
            at, height = (event.start_s, width_s), (top + lane + 0.08, 0.84)
            axes.broken_barh([at], height, facecolor=colour, edgecolor="white", linewidth=0.5, hatch=hatch)
            room = width_s / duration_s * points / (LETTER_WIDTH * LABEL_FONT["fontsize"]) - 0.5
            words = [f"{word}{' ?' if doubtful else ''}" for word in (text, short_label(text))]
            written = next((word for word in words if len(word) <= room), "")
            middle = event.start_s + width_s / 2
            axes.text(middle, top + lane + 0.5, written, color=readable_on(colour), **LABEL_FONT)
        ticks.append((top + row.lane_count / 2, row.name))
        top += row.lane_count
    axes.set_ylim(top, 0)
    axes.set_yticks([place for place, _ in ticks], [title for _, title in ticks], fontsize=8)
    axes.tick_params(length=0, labelbottom=False)
    axes.spines[:].set_visible(False)


def _draw_legend(figure: Any, events: Sequence[Event], colours: Mapping[str, str]) -> None:
    from matplotlib.patches import Patch

    shown = [label for label in colours if any(label in (e.label, e.annotated) for e in events)]
    if shown:
        handles = [Patch(color=colours[label], label=legend_label(label)) for label in shown]
        place = "outside lower right"
        figure.legend(handles=handles, loc=place, ncols=len(shown), frameon=False, fontsize=8)


def _draw_waveform(axes: Any, samples: npt.NDArray[Any], sample_rate: int) -> None:
    """Draw every sample of a short recording, and the range of each pixel column of a long one."""
    step = max(1, samples.size // (2 * COLUMNS))
    if step == 1:
        axes.plot(np.arange(samples.size) / sample_rate, samples, color="0.25", linewidth=0.6)
    else:
        starts = np.arange(0, samples.size, step)
        low, high = np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)
        axes.fill_between(starts / sample_rate, low, high, color="0.25", linewidth=0.3)
    top = max(1e-4, float(np.abs(samples).max()))
    axes.set_ylim(-1.05 * top, 1.05 * top)
    axes.set_ylabel("amplitude\n(1 = full scale)", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(axis="x", color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_spectrogram(axes: Any, samples: npt.NDArray[Any], sample_rate: int) -> None:
    level_db, fmax_hz = log_spectrogram(samples, sample_rate)
    top_db = top_level_db(level_db)
    extent = (0, samples.size / sample_rate, math.log10(FMIN_HZ), math.log10(fmax_hz))
    image = axes.imshow(
        level_db,
        origin="lower",
        aspect="auto",
        extent=extent,
        cmap="Greys",  # the labels have the colours
        vmin=top_db - RANGE_DB,
        vmax=top_db,
        interpolation="nearest",
    )
    ticks = [hz for hz in TICKS_HZ if hz <= fmax_hz]
    axes.set_yticks([math.log10(hz) for hz in ticks], [str(hz) for hz in ticks], fontsize=8)
    axes.set_ylabel("frequency in Hz", fontsize=8)
    axes.tick_params(labelsize=8)
    bar = axes.figure.colorbar(image, ax=axes, pad=0.01, aspect=14)
    bar.ax.tick_params(labelsize=7)
    bar.set_label("dB re full scale", fontsize=8)
