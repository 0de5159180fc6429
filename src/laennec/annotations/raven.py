"""Raven's selection tables: ``Begin Time (s)``, ``End Time (s)`` and ``Annotation``, with tabs between.

A selection is there once for each view (waveform, spectrogram) and counts once. Channels count from 1. A line
selection ends where it begins. In a table of several files, ``Begin File`` or ``Begin Path`` names the file
and ``File Offset (s)`` is where the selection begins in it, since the other times run on from file to file.

Source: Raven Pro User's Manual, K. Lisa Yang Center for Conservation Bioacoustics, Cornell Lab.
"""

from collections.abc import Iterable
from contextlib import suppress

from laennec.annotations.events import LabelFile, Problem, rounded_span
from laennec.annotations.table import NumberedRow, first_line, of_recording, parse
from laennec.annotations.table import write as write_table

BEGIN, END, OFFSET = "Begin Time (s)", "End Time (s)", "File Offset (s)"
FILES = ("Begin Path", "Begin File")
LABELS = ("Annotation", "Label", "Type", "Species")
VIEW, DIGITS = "Spectrogram 1", 6
WRITTEN = ("Selection", "View", "Channel", BEGIN, END, "Low Freq (Hz)", "High Freq (Hz)", LABELS[0])


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
    for name, columns in (("channel", ("Channel",)), ("recording", FILES), ("label", LABELS)):
        found = next((cells[column] for column in columns if column in cells), None)
        if found is not None:
            event[name] = found
    return event


def write(events: Iterable[tuple[int, float, float, str]], top_hz: float) -> str:
    """Return a selection table of events: channel from 0, start and end in seconds, label.

    Raven draws a selection as a box in time and frequency, and needs both; an event covers every frequency up
    to `top_hz`, half the sample rate.
    """
    rows = []
    for number, (channel, start_s, end_s, label) in enumerate(events, start=1):
        times = (f"{time_s:.{DIGITS}f}" for time_s in rounded_span(start_s, end_s, DIGITS))
        named = " ".join(label.split())
        rows.append([number, VIEW, channel + 1, *times, "0.0", f"{top_hz:.1f}", named])
    return write_table(WRITTEN, rows, delimiter="\t")
