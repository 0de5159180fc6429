"""Tables as text: comma, semicolon or tab between; and events in one, a row each.

A table of events has columns ``start_s`` and ``end_s``, perhaps ``label`` and ``channel``. Where there is a
column ``path`` or ``recording``, the rows of one recording are read. Laennec's own CSV is such a table.
"""

import csv
import io
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from laennec.annotations.events import LabelFile, Problem, Row, collect
from laennec.audio.folder import AUDIO_SUFFIXES

TIMES = ("start_s", "end_s")
NUMBERS = (*TIMES, "inspiration_end_s", "age_years")
_DECIMAL_COMMA = re.compile(r"([+-]?\d*),(\d+)")
NumberedRow = tuple[int, dict[str, str]]  # line, and its cells that are not empty
_ABSOLUTE = re.compile(r"[\\/]|[A-Za-z]:")


class Table(NamedTuple):
    """Columns, rows, and what is no row."""

    columns: tuple[str, ...]
    rows: list[NumberedRow]
    problems: list[Problem]


def parse(text: str, needed: Sequence[str] = ()) -> Table:
    """Read a table; where no comma stands between cells, numbers may have a decimal comma.

    ValueError if it is no table, lacks a column that is needed, or has one twice.
    """
    text = text.removeprefix("\ufeff")
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    try:
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if cells]
    except csv.Error as error:
        raise ValueError(f"not a table ({error})") from error
    table = Table(tuple(lines[0][1]) if lines else (), [], [])
    for name in needed:
        if name not in table.columns:
            raise ValueError(f"no column {name}; it has {', '.join(table.columns) or 'none'}")
    twice = sorted({name for name in table.columns if name and table.columns.count(name) > 1})
    if twice:
        raise ValueError(f"column {twice[0]} is there twice")
    for number, cells in lines[1:]:
        if len(cells) > len(table.columns):
            table.problems.append(Problem(f"line {number}", f"{len(table.columns)} columns but more cells"))
            continue
        row = {name: cell for name, cell in zip(table.columns, cells, strict=False) if cell}
        if delimiter != ",":
            row |= {name: _DECIMAL_COMMA.sub(r"\1.\2", row[name]) for name in NUMBERS if name in row}
        if row:
            table.rows.append((number, row))
    return table


def looks_like(text: str) -> bool:
    """Whether the first line names the columns of a table of events."""
    return TIMES[0] in re.split(r"[,;\t\s\"]+", text.removeprefix("\ufeff").partition("\n")[0].strip())


def read(text: str, recording: str | None = None) -> LabelFile:
    """Read the events of a recording: of all rows, those whose path or name agrees with it.

    Paths are compared from their ends, as far as both go. One that is absolute may be of another computer, so
    there the name is enough if the table has only one recording of that name.
    """
    try:
        table = parse(text, TIMES)
    except ValueError as error:
        return LabelFile(problems=(Problem("", str(error)),))
    rows = table.rows if recording is None else _rows_of(table.rows, recording)
    if not rows and not table.problems:
        what = f"none of its {len(table.rows)} rows is for {os.path.basename(recording or '')}"
        return LabelFile(problems=(Problem("", what if table.rows else "no row below its header"),))
    return collect([*table.problems, *map(_event, rows)])


def _event(row: NumberedRow) -> Row | Problem:
    where, cells = f"line {row[0]}", row[1]
    channel = cells.get("channel", "all")
    if channel != "all" and not channel.isdecimal():
        return Problem(where, f"channel is {channel!r}; expected 0, 1, …")
    start, end = (cells.get(name, "") for name in TIMES)
    return Row(where, start, end, cells.get("label"), None if channel == "all" else int(channel))


def _rows_of(rows: list[NumberedRow], recording: str) -> list[NumberedRow]:
    named = [(row[1].get("path", row[1].get("recording", "")), row) for row in rows]
    wanted = _parts(recording)
    names = {name for name, _ in named if name}
    chosen = {name for name in names if _agree(_parts(name), wanted)}
    elsewhere = {name for name in names if _ABSOLUTE.match(name) and _parts(name)[-1] == wanted[-1]}
    if not chosen and len(elsewhere) == 1:
        chosen = elsewhere
    return [row for name, row in named if not name or name in chosen]


def _parts(path: str) -> list[str]:
    """Return the parts of a path of any system, the last without the ending of a sound file."""
    path = unicodedata.normalize("NFC", path)
    parts = [part for part in re.split(r"[\\/]+", path) if part not in ("", ".")]
    name = PurePosixPath(parts[-1] if parts else "")
    return [*parts[:-1], name.stem if name.suffix.lower() in AUDIO_SUFFIXES else name.name]


def _agree(one: Sequence[str], other: Sequence[str]) -> bool:
    return all(a == b for a, b in zip(reversed(one), reversed(other), strict=False))


def write(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table with commas between."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
