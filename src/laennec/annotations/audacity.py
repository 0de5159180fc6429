"""Audacity's label tracks: start, end in seconds, label; tabs between.

A line that begins with a backslash holds the frequencies of a spectral selection and belongs to the label
before it; it is skipped. Some locales export a decimal comma. A label may be missing.
"""

from collections.abc import Iterable, Iterator

from laennec.annotations.events import LabelFile, Problem, Row, collect, rounded_span

DIGITS = 6


def read(text: str) -> LabelFile:
    """Read a label track."""
    return collect(_rows(text))


def _rows(text: str) -> Iterator[Row | Problem]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("\\"):
            continue
        cells = [cell.strip() for cell in line.split("\t", 2)]
        if len(cells) < 2 or not cells[1]:
            yield Problem(
                f"line {number}",
                "expected start, end and label with tabs between (Audacity) or start, end, crackles, wheezes "
                f"(ICBHI), found {line.strip()!r}",
            )
            continue
        start, end = (cell.replace(",", ".") for cell in cells[:2])
        yield Row(f"line {number}", start, end, cells[2] if cells[2:] else None)


def write(events: Iterable[tuple[float, float, str]]) -> str:
    """Return a label track of events: start and end in seconds, label."""
    lines = []
    for start_s, end_s, label in events:
        start_s, end_s = rounded_span(start_s, end_s, DIGITS)
        lines.append(f"{start_s:.{DIGITS}f}\t{end_s:.{DIGITS}f}\t{' '.join(label.split())}\n")
    return "".join(lines)
