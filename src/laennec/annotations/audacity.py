"""Audacity's label tracks: start, end in seconds, label; tabs between.

A line that begins with a backslash holds the frequencies of a spectral selection and belongs to the label
before it; it is skipped. Some locales export a decimal comma. A label may be missing. A label of a point in
time, which Audacity makes where nothing is selected, ends where it starts.
"""

from collections.abc import Iterable
from typing import Any

from laennec.annotations.events import LabelFile, read_lines, write_lines

EXPECTED = "start, end and label with tabs between (Audacity) or start, end, crackles, wheezes (ICBHI)"


def read(text: str) -> LabelFile:
    """Read a label track."""
    return read_lines(text, _label, EXPECTED, skipped="\\", points=True)


def _label(line: str) -> tuple[Any, Any, str | None] | None:
    cells = [cell.strip() for cell in line.split("\t", 2)]
    if len(cells) < 2 or not cells[1] or "\t" in cells[-1]:  # no label has a tab: these are other columns
        return None
    start, end = (cell.replace(",", ".") for cell in cells[:2])
    return start, end, cells[2] if cells[2:] else None


def write(events: Iterable[tuple[float, float, str]]) -> str:
    """Return a label track of events: start and end in seconds, label."""
    named = ((start_s, end_s, " ".join(label.split())) for start_s, end_s, label in events)
    return write_lines(named, digits=6)
