"""Raven's selection tables: ``Begin Time (s)``, ``End Time (s)`` and ``Annotation``, with tabs between.

A selection is there once for each view (waveform, spectrogram) and counts once. Channels count from 1. A line
selection ends where it begins. In a table of several files, ``Begin File`` or ``Begin Path`` names the file
and ``File Offset (s)`` is where the selection begins in it, since the other times run on from file to file.

Source: Raven Pro User's Manual, K. Lisa Yang Center for Conservation Bioacoustics, Cornell Lab.
"""

from contextlib import suppress

from laennec.annotations.events import LabelFile, Problem
from laennec.annotations.table import NumberedRow, first_line, of_recording, parse

BEGIN, END, OFFSET = "Begin Time (s)", "End Time (s)", "File Offset (s)"
FILES = ("Begin Path", "Begin File")
LABELS = ("Annotation", "Label", "Type", "Species")


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
