"""What a person or a program gets to see of an analysis: JSON, a table, a picture.

Each says once that this is research software.
"""

import math
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from laennec.analysis import Analysis, Event, RecordAnswer, Relevance, RespiratoryRate
from laennec.analyze import DISCLAIMER
from laennec.errors import LaennecError
from laennec.files import write_json as write_json_file
from laennec.files import written_whole
from laennec.version import __version__

if TYPE_CHECKING:
    from rich.console import Console

    from laennec.audio import Recording
    from laennec.outputs import Summary

Floats = npt.NDArray[np.float64]

FORMAT = 1  # of the JSON; a key once in it stays and keeps its meaning
TIME_DIGITS, PROBABILITY_DIGITS, RELEVANCE_DIGITS = 4, 6, 3

PICTURES = (".png", ".svg", ".pdf")
COLUMNS = 1200  # of the spectrogram, about one a pixel
FRAMES_A_COLUMN = 8  # at most; a long recording is sampled, not averaged whole
ROWS = 220  # of the spectrogram
FRAME_S = 0.064  # resolves the harmonics of a rhonchus and still shows where a crackle is
RANGE_DB = 55.0  # from nearly the loudest cell down
FMIN_HZ, FMAX_HZ = 20.0, 2000.0  # where lung sounds are
TICKS_HZ = (20, 50, 100, 200, 500, 1000, 2000)
LETTER_WIDTH = 0.62  # of the font size, on average and with some air

MEANINGS = {  # of the record labels that are no words
    "CAS": "continuous sounds: wheeze, rhonchus, stridor",
    "DAS": "discontinuous sounds: crackles",
    "CAS & DAS": "wheeze, rhonchus or stridor, and crackles",
}

# Okabe & Ito's colours, told apart by people of every colour vision; normal breathing is grey.
COLOURS = ("#E69F00", "#0072B2", "#D55E00", "#56B4E9", "#009E73", "#CC79A7", "#8C6D31", "#F0E442")
NORMAL_COLOUR = "#9A9A9A"


# --- JSON ---------------------------------------------------------------------------------------------------


def to_json(analysis: Analysis) -> dict[str, Any]:
    """Return an analysis as JSON's types.

    The keys are stable for ``"format": 1``: one once in it stays and keeps its meaning. All are always
    there; ``analysis.schema.json``, in this package, describes each.
    """
    return {
        "format": FORMAT,
        "laennec": __version__,
        "disclaimer": DISCLAIMER,
        "recording": {
            "name": analysis.name,
            "duration_s": round(analysis.duration_s, TIME_DIGITS),
            "sample_rate": analysis.sample_rate,
            "channels": analysis.channels,
            "quality": [asdict(finding) for finding in analysis.quality],
            "repairs": list(analysis.repairs),
        },
        "patient": {
            "age_years": analysis.age_years,
            "sex": analysis.sex,
            "position": analysis.position,
        },
        "model": {
            "name": analysis.model_name,
            "version": analysis.model_version,
            "sha256": analysis.model_sha256,
            "labels": list(analysis.labels),
            "normal": analysis.normal,
            "data": analysis.model_data,
            "limits": analysis.model_limits,
        },
        "segmentation": {
            "kind": analysis.segmentation,
            "window_s": analysis.window_s,
            "hop_s": analysis.hop_s,
        },
        "record": None if analysis.record is None else _record_json(analysis.record),
        "channel_records": [_record_json(record) for record in analysis.channel_records],
        "events": [_event_json(event) for event in analysis.events],
        "notes": list(analysis.notes),
    }


def _event_json(event: Event) -> dict[str, Any]:
    return {
        "channel": event.channel,
        "start_s": round(event.start_s, TIME_DIGITS),
        "end_s": round(event.end_s, TIME_DIGITS),
        "label": event.label,
        "probability": round(event.probability, PROBABILITY_DIGITS),
        "probabilities": _rounded(event.probabilities),
        "annotated": event.annotated,
        "presence": None if event.presence is None else round(event.presence, PROBABILITY_DIGITS),
        "uncertain": event.uncertain,
        "relevance": None if event.relevance is None else _relevance_json(event.relevance),
    }


def _relevance_json(relevance: Relevance) -> dict[str, Any]:
    return {
        "start_s": round(relevance.start_s, TIME_DIGITS),
        "end_s": round(relevance.end_s, TIME_DIGITS),
        "edges_hz": [round(edge_hz, 2) for edge_hz in relevance.edges_hz],
        "values": [[round(value, RELEVANCE_DIGITS) for value in row] for row in relevance.values],
    }


def _record_json(record: RecordAnswer) -> dict[str, Any]:
    return {
        "channel": record.channel,
        "label": record.label,
        "probability": None if record.probability is None else round(record.probability, PROBABILITY_DIGITS),
        "probabilities": _rounded(record.probabilities),
        "uncertain": record.uncertain,
        "refused": record.refused,
        "reasons": list(record.reasons),
        "kinds": None if record.kinds is None else _rounded(record.kinds),
        "rate": None if record.rate is None else _rate_json(record.rate),
    }


def _rate_json(rate: RespiratoryRate) -> dict[str, Any]:
    per_min = None if rate.per_min is None else round(rate.per_min, 2)
    return {"per_min": per_min, "quality": rate.quality, "reason": rate.reason, "breaths": rate.breaths}


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, PROBABILITY_DIGITS) for name, value in values.items()}


def write_json(analyses: Analysis | Sequence[Analysis], path: str | os.PathLike[str]) -> None:
    """Write one analysis as its object, or a sequence as ``{"format": 1, "analyses": [...]}``, whole or not.

    A sequence is written as one even if it holds a single analysis, so that a program can rely on it.
    """
    if isinstance(analyses, Analysis):
        write_json_file(path, to_json(analyses))
    else:
        write_json_file(path, {"format": FORMAT, "analyses": [to_json(analysis) for analysis in analyses]})


# --- table --------------------------------------------------------------------------------------------------


def print_table(analyses: Analysis | Sequence[Analysis], console: "Console") -> None:
    """Print each recording's events with what is to be known about them, and the disclaimer at the end.

    Parameters
    ----------
    analyses : Analysis or sequence of Analysis
    console : rich.console.Console
    """
    for analysis in [analyses] if isinstance(analyses, Analysis) else analyses:
        _print_analysis(analysis, console)
    console.print(DISCLAIMER, style="italic", highlight=False)


def _print_analysis(analysis: Analysis, console: "Console") -> None:
    from rich.markup import escape
    from rich.table import Table

    console.print(f"[bold]{escape(analysis.name)}[/bold]  {escape(facts(analysis))}", highlight=False)
    _print_answers(analysis, console)
    if analysis.events:
        table = Table(box=None, pad_edge=False)
        several = analysis.channels > 1
        annotated = any(event.annotated for event in analysis.events)
        uncertain = any(event.uncertain for event in analysis.events)
        for column in (["channel"] if several else []) + ["from s", "to s"]:
            table.add_column(column, justify="right", no_wrap=True)
        for column in ["label", "probability", "next likeliest"] + (["annotated"] if annotated else []):
            table.add_column(column, justify="right" if column == "probability" else "left")
        if uncertain:
            table.add_column("")
        for event in analysis.events:
            cells = [str(event.channel)] if several else []
            cells += [f"{event.start_s:.2f}", f"{event.end_s:.2f}", escape(event.label)]
            cells += [f"{event.probability:.2f}", escape(_runner_up(event))]
            cells += [escape(event.annotated or "")] if annotated else []
            cells += ["uncertain" if event.uncertain else ""] if uncertain else []
            table.add_row(*cells, style="dim" if event.label == analysis.normal else None)
        console.print(table)
    else:
        console.print("no events", highlight=False)
    for title, lines in (
        ("quality", [finding.message for finding in analysis.quality]),
        ("repaired", analysis.repairs),
        ("note", analysis.notes),
    ):
        for line in lines:
            console.print(f"{title}: {escape(line)}", highlight=False)
    console.print()


def print_summary(summaries: "Sequence[Summary]", console: "Console") -> None:
    """Print a row a recording: its answer, the adventitious events, its rate, or why there is none of it.

    Parameters
    ----------
    summaries : sequence of laennec.outputs.Summary
    console : rich.console.Console
    """
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("recording", "answer", "probability", "events", "rate", "remarks"):
        table.add_column(column, justify="right" if column in ("probability", "rate") else "left")
    for row in summaries:
        doubt = " ?" if row.uncertain else ""
        cells = [
            row.recording,
            f"{row.label}{doubt}" if row.label else "none" if row.error is None else "failed",
            "" if row.probability is None else f"{row.probability:.2f}",
            "" if row.error else _found(row),
            "" if row.rate_per_min is None else f"{row.rate_per_min:.0f}",
            row.error or "; ".join(filter(None, [row.refused, *row.quality])),
        ]
        quiet = not row.error and sum(row.events.values()) == row.events.get(row.normal, 0)
        table.add_row(*map(escape, cells), style="red" if row.error else "dim" if quiet else None)
    console.print(table)
    if any(row.uncertain for row in summaries):
        console.print("?: uncertain, the model abstains", highlight=False)
    console.print(DISCLAIMER, style="italic", highlight=False)


def _found(row: "Summary") -> str:
    """Count the adventitious events, by class."""
    counts = [f"{count} {label}" for label, count in row.events.items() if count and label != row.normal]
    normal = row.events.get(row.normal, 0)
    return ", ".join(counts) or (f"{normal} {row.normal}" if normal else "none")


def _print_answers(analysis: Analysis, console: "Console") -> None:
    """Print what is said of the whole recording, why, and its rate; then of each of several channels."""
    from rich.markup import escape

    record = analysis.record
    if record is not None:
        console.print(f"[bold]{escape(answer(record))}[/bold]", highlight=False)
        for reason in record.reasons:
            console.print(f"  {escape(reason)}", highlight=False)
        if record.rate is not None:
            console.print(escape(rate_in_words(record.rate)), highlight=False)
    if analysis.channels > 1:
        for channel_record in analysis.channel_records:
            console.print(
                f"channel {channel_record.channel}: {escape(answer(channel_record))}", highlight=False
            )


def answer(record: RecordAnswer) -> str:
    """Say in a line what a whole recording is called and how surely, or why there is no answer."""
    if record.refused is not None or record.label is None:
        return f"no answer: {record.refused or 'refused'}"
    meaning = f" ({MEANINGS[record.label]})" if record.label in MEANINGS else ""
    sure = "" if record.probability is None else f", probability {record.probability:.2f}"
    return f"{record.label}{meaning}{sure}{', uncertain' if record.uncertain else ''}"


def rate_in_words(rate: RespiratoryRate) -> str:
    """Say the respiratory rate in a line, with how good it is and why."""
    value = "not found" if rate.per_min is None else f"{rate.per_min:.0f} breaths a minute, {rate.quality}"
    return f"respiratory rate: {value} ({rate.reason})"


def facts(analysis: Analysis) -> str:
    """Say in a line how long the recording is, what the model was told, and which model it was."""
    channels = f", {analysis.channels} channels" if analysis.channels > 1 else ""
    told = [
        "" if analysis.age_years is None else f"{analysis.age_years:g} years",
        analysis.sex or "",
        analysis.position or "",
    ]
    patient = ", ".join(word for word in told if word) or "age, sex and position not known"
    how = {"given": "events as given", "detected": "events found by the model"}.get(
        analysis.segmentation, f"windows of {analysis.window_s or 0:g} s every {analysis.hop_s or 0:g} s"
    )
    return (
        f"{analysis.duration_s:.1f} s, {analysis.sample_rate} Hz{channels}; {patient}; {how}; "
        f"model {analysis.model_name} ({analysis.model_sha256[:8]})"
    )


def _runner_up(event: Event) -> str:
    others = [(value, label) for label, value in event.probabilities.items() if label != event.label]
    if not others:
        return ""
    value, label = max(others)
    return f"{label} {value:.2f}" if value >= 0.005 else ""


# --- picture ------------------------------------------------------------------------------------------------


def draw(
    analysis: Analysis, recording: "Recording", path: str | os.PathLike[str], *, channel: int = 0
) -> None:
    """Draw one channel: its labels, its waveform, and its spectrogram from 20 Hz to 2 kHz, on one time axis.

    Parameters
    ----------
    analysis : Analysis
    recording : Recording
        The one that was analysed.
    path : path
        The picture; its suffix chooses the format (.png, .svg, .pdf).
    channel : int
        From 0.

    Raises
    ------
    LaennecError
        If the format is another, there is no such channel, or Matplotlib is not installed.
    """
    if Path(path).suffix.lower() not in PICTURES:
        raise LaennecError(f"{path}: a picture's name ends in {', '.join(PICTURES)}")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise LaennecError('drawing needs Matplotlib: pip install "laennec[web]"') from error
    samples = recording.channel(channel).samples[0]
    shown = [event for event in analysis.events if event.channel == channel]
    strips = _strips(shown)
    label_height = 0.26 * sum(lanes for _, _, lanes in strips) or 0.26
    figure = Figure(figsize=(12, 4.9 + label_height), dpi=110, layout="constrained")
    axes = figure.subplots(3, 1, sharex=True, height_ratios=[label_height, 1.3, 2.5])
    colours = label_colours(analysis.labels, analysis.normal)
    _draw_labels(axes[0], strips, colours, analysis.duration_s)
    _draw_waveform(axes[1], samples, recording.sample_rate)
    _draw_spectrogram(axes[2], samples, recording.sample_rate)
    for event in shown:
        if event.label != analysis.normal:
            colour = colours.get(event.label, NORMAL_COLOUR)
            axes[1].axvspan(event.start_s, event.end_s, color=colour, alpha=0.28, linewidth=0)
            for edge_s in (event.start_s, event.end_s):
                axes[2].axvline(edge_s, color=colour, linewidth=1.2)
    axes[2].set_xlim(0, analysis.duration_s)
    axes[2].set_xlabel("time in s")
    which = f", channel {channel} (of {recording.channels}, from 0)" if recording.channels > 1 else ""
    figure.suptitle(f"{analysis.name}{which}", fontsize=12, fontweight="bold", parse_math=False)
    axes[0].set_title("\n".join(_subtitle(analysis, shown)), fontsize=8.5, loc="left", parse_math=False)
    _draw_legend(figure, shown, colours)
    figure.text(0.005, 0.005, DISCLAIMER, fontsize=7, color="0.35", ha="left", va="bottom")
    with written_whole(path) as temporary, warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; a warning would help nobody.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(temporary)


def label_colours(labels: Sequence[str], normal: str) -> dict[str, str]:
    """Return one colour a label, by its place among the labels; grey for the normal one."""
    others = [label for label in labels if label != normal]
    return {normal: NORMAL_COLOUR} | {label: COLOURS[k % len(COLOURS)] for k, label in enumerate(others)}


def short_label(label: str) -> str:
    """Return the capitals of a label's words: ``Fine Crackle`` is FC, ``Wheeze+Crackle`` is W+C."""
    return "+".join("".join(word[0].upper() for word in part.split()) for part in label.split("+"))


def _subtitle(analysis: Analysis, shown: Sequence[Event]) -> list[str]:
    count = sum(event.label != analysis.normal for event in shown)
    found = f"{count} adventitious event{'' if count == 1 else 's'}" if shown else "no events"
    remarks = [finding.message for finding in analysis.quality] + list(analysis.notes)
    lines = [] if analysis.record is None else [answer(analysis.record)]
    lines.append(f"{found}; {facts(analysis)}")
    if remarks:
        more = f" (and {len(remarks) - 2} more)" if len(remarks) > 2 else ""
        line = "; ".join(remarks[:2]) + more
        lines.append(line if len(line) <= 190 else line[:189] + "…")
    return lines


Box = tuple[Event, str, int]  # event, what is written on it, lane


def _strips(events: Sequence[Event]) -> list[tuple[str, list[Box], int]]:
    """Return the rows of labels, what the model says and what was annotated, with their numbers of lanes."""
    lanes, count = _lanes(events)
    strips = [("model", [(e, e.label, k) for e, k in zip(events, lanes, strict=True)], count)]
    if any(event.annotated for event in events):
        boxes = [(e, e.annotated or "", k) for e, k in zip(events, lanes, strict=True)]
        strips.append(("annotated", boxes, count))
    return strips


def _lanes(events: Sequence[Event]) -> tuple[list[int], int]:
    """Return each event's lane, so that events do not overlap on paper, and the number of lanes."""
    ends_s: list[float] = []
    lanes = []
    for event in events:
        lane = next((k for k, end_s in enumerate(ends_s) if end_s <= event.start_s + 1e-6), len(ends_s))
        ends_s[lane : lane + 1] = [event.end_s]
        lanes.append(lane)
    return lanes, max(1, len(ends_s))


def _draw_labels(
    axes: Any,
    strips: Sequence[tuple[str, list[Box], int]],
    colours: Mapping[str, str],
    duration_s: float,
    font_size: float = 8.0,
) -> None:
    """Draw the events as boxes with as much of their label as fits: all of it, its capitals, or nothing.

    Where nothing fits, the legend's colours are left, and the table.
    """
    points = axes.figure.get_figwidth() * 72 * 0.93  # what the margins leave
    top, ticks = 0, []
    for title, boxes, count in strips:
        for event, text, lane in boxes:
            if not text:
                continue
            colour = colours.get(text, "#DDDDDD")
            doubtful = event.uncertain and title == "model"
            width_s = event.end_s - event.start_s
            axes.broken_barh(
                [(event.start_s, width_s)],
                (top + lane + 0.08, 0.84),
                facecolor=colour,
                edgecolor="white",
                linewidth=0.5,
                hatch="////" if doubtful else None,
            )
            room = width_s / duration_s * points / (LETTER_WIDTH * font_size) - 0.5
            words = [f"{word}{' ?' if doubtful else ''}" for word in (text, short_label(text))]
            written = next((word for word in words if len(word) <= room), "")
            axes.text(
                event.start_s + width_s / 2,
                top + lane + 0.5,
                written,
                ha="center",
                va="center_baseline",
                fontsize=font_size,
                color=_readable_on(colour),
                clip_on=True,
                parse_math=False,
            )
        ticks.append((top + count / 2, title))
        top += count
    axes.set_ylim(top, 0)
    axes.set_yticks([place for place, _ in ticks], [title for _, title in ticks], fontsize=8)
    axes.tick_params(length=0, labelbottom=False)
    axes.spines[:].set_visible(False)


def _readable_on(colour: str) -> str:
    """Return black or white, whichever stands out more on a colour (WCAG 2.1, contrast ratio)."""
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "white"


def _draw_legend(figure: Any, events: Sequence[Event], colours: Mapping[str, str]) -> None:
    from matplotlib.patches import Patch

    shown = [label for label in colours if any(label in (e.label, e.annotated) for e in events)]
    names = [f"{label} ({short_label(label)})" if short_label(label) != label else label for label in shown]
    if shown:
        figure.legend(
            handles=[
                Patch(color=colours[label], label=name) for label, name in zip(shown, names, strict=True)
            ],
            loc="outside lower right",
            ncols=len(shown),
            frameon=False,
            fontsize=8,
        )


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
    top_db = float(np.percentile(level_db, 99.7))  # one click must not fade all the rest
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


def log_spectrogram(samples: npt.NDArray[Any], sample_rate: int) -> tuple[Floats, float]:
    """Power of the sound over time and log-spaced frequencies, for looking at.

    Frames of 64 ms under a Hann window. Each column is the mean power of at most eight frames spread over it,
    so a long recording is sampled; each row is interpolated between the transform's bins.

    Parameters
    ----------
    samples : numpy.ndarray
        ``(samples,)``, full scale 1.
    sample_rate : int
        Hz.

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
    at_rows = np.stack([np.interp(rows_hz, bins_hz[used], column) for column in power], axis=1)
    return 10 * np.log10(at_rows / scale + 1e-12), fmax_hz
