"""Audacity's label tracks: start, end in seconds, label; tabs between.

A line that begins with a backslash holds the frequencies of a spectral selection, in hertz, and belongs to
the label before it; -1 stands for an edge that is not set. Some locales export a decimal comma. A label may
be missing. A label of a point in time, which Audacity makes where nothing is selected, ends where it starts.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import repeat
from typing import Any

from laennec.annotations.events import LabelFile, read_lines, write_lines

SPECTRAL = "\\"
EXPECTED = "start, end and label with tabs between (Audacity) or start, end, crackles, wheezes (ICBHI)"


def read(text: str) -> LabelFile:
    """Read a label track."""
    labels = read_lines(text, _label, EXPECTED, skipped=SPECTRAL, points=True)
    bands: dict[str, Any] = dict(_bands(text))
    return replace(labels, events=tuple(replace(each, **bands.get(each.where, {})) for each in labels.events))


def _bands(text: str) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the line of each label that has a band, and the band."""
    before = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.startswith(SPECTRAL):
            before = f"line {number}"
            continue
        with suppress(ValueError):
            low, high = (float(cell.replace(",", ".")) for cell in line.split("\t")[1:3])
            if 0 <= low < high < math.inf:
                yield before, {"low_hz": low, "high_hz": high}


def _label(line: str) -> tuple[Any, Any, str | None] | None:
    cells = [cell.strip() for cell in line.split("\t", 2)]
    if len(cells) < 2 or not cells[1] or "\t" in cells[-1]:  # no label has a tab: these are other columns
        return None
    start, end = (cell.replace(",", ".") for cell in cells[:2])
    return start, end, cells[2] if cells[2:] else None


def write(
    events: Iterable[tuple[float, float, str]], bands: Iterable[tuple[float, float] | None] | None = None
) -> str:
    """Return a label track of events: start and end in seconds, label; and a line for each band."""
    lines = []
    for (start_s, end_s, label), band in zip(events, repeat(None) if bands is None else bands, strict=False):
        lines.append(write_lines([(start_s, end_s, " ".join(label.split()))], digits=6))
        if band is not None:
            lines.append(f"{SPECTRAL}\t{band[0]:.6f}\t{band[1]:.6f}\n")
    return "".join(lines)
