"""RTTM: ten fields in a line, of which type, file, channel, start, duration, label and confidence are used.

``SPEAKER rec 1 0.500 1.250 <NA> <NA> Wheeze 0.83 <NA>``. Channels count from 1; a blank in a label is written
as an underscore. A file may hold several recordings, by the names of their files without ending.

Source: NIST, Rich Transcription 2009 evaluation plan, appendix A.
"""

from collections.abc import Iterable

from laennec.annotations.events import (
    Boundary,
    LabelFile,
    Problem,
    Row,
    collect,
    none_is_for,
    rounded_span,
    shown,
)
from laennec.annotations.names import parts_of
from laennec.annotations.table import names_of

TYPES = ("SPEAKER", "NON-SPEECH", "NOSCORE", "SPKR-INFO")
MISSING = "<NA>"


def looks_like(text: str) -> bool:
    """Whether the first line that is no comment begins with a type of RTTM and has eight fields or more."""
    lines = (line.split() for line in text.split("\n") if line.strip() and not line.startswith(";;"))
    first = next(lines, [])
    return len(first) >= 8 and first[0] in TYPES


def read(text: str, recording: str | None = None) -> LabelFile:
    """Read the labels of a recording, or of all; a line that is damaged may be of any."""
    rows: list[tuple[str, Row | Problem]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        cells = line.split()
        if not cells or line.startswith(";;") or cells[0] in ("SPKR-INFO", "NOSCORE"):
            continue
        where = f"line {number}"
        if len(cells) < 8:
            problem = Problem(where, f"expected ten fields of RTTM, found {shown(line.strip())!r}")
            rows.append(("", problem))
        else:
            rows.append((cells[1], _row(where, cells)))
    if recording is None:
        return collect(row for _, row in rows)
    try:
        own = names_of("_".join(recording.split()), {name for name, _ in rows if name})
    except ValueError as error:
        return LabelFile(problems=(Problem("", str(error)),))
    chosen = [row for name, row in rows if isinstance(row, Problem) or name in own]
    if rows and not chosen:
        return LabelFile(problems=(Problem("", none_is_for(len(rows), "line", recording)),))
    return collect(chosen)


def _row(where: str, cells: list[str]) -> Row | Problem:
    try:
        start_s, length_s, channel = float(cells[3]), float(cells[4]), int(cells[2])
    except ValueError:
        return Problem(where, f"channel, start or duration is no number: {shown(' '.join(cells[2:5]))}")
    if channel < 1:
        return Problem(where, f"channel is {channel}; expected 1, 2, …")
    probability = cells[8] if len(cells) > 8 and cells[8] != MISSING else None
    # Decimal sums of start and duration end in more digits than were written.
    end_s = round(start_s + length_s, 9)
    label = " ".join(cells[7].replace("_", " ").split())
    return Row(where, start_s, end_s, label, channel - 1, probability=probability)


def write(events: Iterable[Boundary], recording: str) -> str:
    """Return a line for each event of a recording."""
    name = "_".join((parts_of(recording) or ["recording"])[-1].split())
    lines = []
    for event in events:
        start_s, end_s = rounded_span(event.start_s, event.end_s, 6)
        label = "_".join((event.annotated or "").split()) or MISSING
        sure = MISSING if event.probability is None else f"{event.probability:.6f}"
        channel = (event.channel or 0) + 1
        span = f"{start_s:.6f} {end_s - start_s:.6f}"
        lines.append(f"SPEAKER {name} {channel} {span} {MISSING} {MISSING} {label} {sure} {MISSING}\n")
    return "".join(lines)
