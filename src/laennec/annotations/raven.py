"""Raven's selection tables: ``Begin Time (s)``, ``End Time (s)`` and ``Annotation``, with tabs between.

A selection is there once for each view (waveform, spectrogram) and counts once. Channels count from 1. A line
selection ends where it begins. In a table of several files, ``Begin File`` or ``Begin Path`` names the file
and ``File Offset (s)`` is where the selection begins in it, since the other times run on from file to file.

Source: Raven Pro User's Manual, K. Lisa Yang Center for Conservation Bioacoustics, Cornell Lab.
"""

from collections.abc import Iterable
from contextlib import suppress
from itertools import repeat

from laennec.annotations.events import LabelFile, Problem, rounded_span
from laennec.annotations.table import NumberedRow, first_line, of_recording, parse
from laennec.annotations.table import write as write_table

BEGIN, END, OFFSET = "Begin Time (s)", "End Time (s)", "File Offset (s)"
FILES = ("Begin Path", "Begin File")
LOW, HIGH = "Low Freq (Hz)", "High Freq (Hz)"
LABELS = ("Annotation", "Label", "Type", "Species")
VIEW, DIGITS = "Spectrogram 1", 6
WRITTEN = ("Selection", "View", "Channel", BEGIN, END, LOW, HIGH, LABELS[0])


def looks_like(text: str) -> bool:
    """Whether the first line names the columns of a selection table."""
    return BEGIN in first_line(text)


def read(text: str, recording: str | None = None) -> LabelFile:
    """Read the selections of a recording."""
    try:
        table = parse(text, (BEGIN, END))
    except ValueError as error:
        return LabelFile(problems=(Problem("", str(error)),))
    selections: dict[tuple[tuple[str, str], ...], NumberedRow] = {}
    for line, cells in table.rows:
        event = _as_event(cells)
        selections.setdefault(tuple(event.items()), (line, event))
    rows = list(selections.values())
    files = {cells.get("recording") for _, cells in rows}
    if len(files) > 1 and not all(OFFSET in cells for _, cells in table.rows):
        what = f"selections of {len(files)} files, but no {OFFSET}; add that column in Raven"
        return LabelFile(problems=(Problem("", what),))
    return of_recording(table._replace(rows=rows), recording, first_channel=1, points=True)


def _as_event(cells: dict[str, str]) -> dict[str, str]:
    """Return a selection with the columns of a table of events; what is no number stays as it is."""
    event = {"start_s": cells.get(BEGIN, ""), "end_s": cells.get(END, "")}
    if OFFSET in cells:
        with suppress(ValueError):
            length_s = float(event["end_s"]) - float(event["start_s"])
            event["start_s"] = cells[OFFSET]
            start_s = float(cells[OFFSET])
            event |= {"start_s": str(round(start_s, 9)), "end_s": str(round(start_s + length_s, 9))}
    if cells.get(LOW) not in (None, "0.0", "0"):  # from 0 Hz up it covers all that the view showed
        event |= {"low_hz": cells[LOW], "high_hz": cells.get(HIGH, "")}
    for name, columns in (("channel", ("Channel",)), ("recording", FILES), ("label", LABELS)):
        found = next((cells[column] for column in columns if column in cells), None)
        if found is not None:
            event[name] = found
    return event


def write(
    events: Iterable[tuple[int, float, float, str]],
    top_hz: float,
    bands: Iterable[tuple[float, float] | None] | None = None,
) -> str:
    """Return a selection table of events: channel from 0, start and end in seconds, label.

    Raven draws a selection as a box in time and frequency, and needs both; an event without a band covers
    every frequency up to `top_hz`, half the sample rate, and is read as one without again.
    """
    rows = []
    of_each = repeat(None) if bands is None else bands
    for number, (event, band) in enumerate(zip(events, of_each, strict=False), start=1):
        channel, start_s, end_s, label = event
        times = (f"{time_s:.{DIGITS}f}" for time_s in rounded_span(start_s, end_s, DIGITS))
        named = " ".join(label.split())
        edges = (f"{edge:.1f}" for edge in (band or (0.0, top_hz)))
        rows.append([number, VIEW, channel + 1, *times, *edges, named])
    return write_table(WRITTEN, rows, delimiter="\t")
