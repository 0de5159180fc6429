"""Tables as text: comma, semicolon or tab between; and events in one, a row each.

A table of events has columns ``start_s`` and ``end_s``, perhaps ``label`` and ``channel``. Where there is a
column ``path`` or ``recording``, or another of `NAMING`, the rows of one recording are read. Capitals of all
these do not matter. Laennec's own CSV is such a table. It alone may have no row, where no event was found.
Several tables may stand below one another in a file, each with its header.
"""

import csv
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from laennec.annotations.events import LATEST_S, LabelFile, Problem, Row, collect, none_is_for, shown
from laennec.annotations.names import is_absolute, parts_of, suffix_of
from laennec.audio.samples import counted
from laennec.patient import is_missing

TIMES = ("start_s", "end_s")
NUMBERS = (*TIMES, "inspiration_end_s", "age_years", "Begin Time (s)", "End Time (s)", "File Offset (s)")
NAMING = (  # columns that say whose a row is, the first of them that a row has
    *("path", "recording", "file", "filename", "file_name", "filepath", "file_path"),
    *("audio", "audio_file", "wav", "wav_file", "record", "recording_name", "recording_id"),
)
PEOPLE = ("subject", "patient", "subject_id", "patient_id")
DETAILS = ("low_hz", "high_hz", "probability")  # of an event, where they are known
OWN_COLUMNS = {"recording", "channel", *TIMES, "label"}  # of Laennec's own tables, which may have no row
EVENT_COLUMNS = (*TIMES, "label", "channel", *DETAILS, *NAMING, *PEOPLE)
# Of a prediction for a whole recording, in tables that hold no events.
PREDICTION = ("label", "probability", "uncertain", "refused", "rate_per_min", "rate_quality")
OF_RECORDINGS = "a table of whole recordings by `laennec analyze`, not a label file: it has no events"
# What a file is called may be any word, and a time that is missing is an error in a row that needs one.
AS_WRITTEN = ("path", "recording", *TIMES)
_DECIMAL_COMMA = re.compile(r"([+-]?\d*),(\d+)")
# Pandas writes 0.0 where another row's channel is missing.
_CHANNEL = re.compile(r"(\d{1,4})(?:\.0*)?", re.ASCII)
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|nan)", re.ASCII | re.IGNORECASE)
NumberedRow = tuple[int, dict[str, str]]  # line, and its cells that are not empty


class Table(NamedTuple):
    """Columns, rows, and what is no row."""

    columns: tuple[str, ...]
    rows: list[NumberedRow]
    problems: list[Problem]


def parse(text: str, needed: Sequence[str] = (), known: Sequence[str] = ()) -> Table:
    """Read a table; where no comma stands between cells, numbers may have a decimal comma.

    The `needed` and `known` columns may be in capitals.
    A cell that says that its value is missing (``NA``, ``nan``) is as an empty one, but for those of
    `AS_WRITTEN`. A line that has the names of all columns needed begins another table.

    ValueError if it is no table, lacks a column that is needed, has one twice, or cannot be taken apart.
    """
    delimiter = max(",;\t", key=first_line(text).count)
    lines = _cells(text, delimiter)
    if needed and not lines:
        raise ValueError(f"empty; expected a line of columns, {' and '.join(needed)} among them, and rows")
    head, first = lines[0] if lines else (1, [])
    spelt = {name.lower(): name for name in (*known, *needed)}
    columns = _checked(first, needed, head, spelt)
    table = Table(tuple(columns), [], [])
    for number, cells in lines[1:]:
        if needed and set(needed) <= {spelt.get(cell.lower()) for cell in cells}:
            columns = _checked(cells, needed, number, spelt)
            continue
        if len(cells) > len(columns):
            table.problems.append(
                Problem(f"line {number}", f"{counted(len(columns), 'column')} but more cells")
            )
            continue
        row = {name: cell for name, cell in zip(columns, cells, strict=False) if cell}
        row = {name: cell for name, cell in row.items() if name in AS_WRITTEN or not is_missing(cell)}
        if delimiter != ",":
            row |= {name: _DECIMAL_COMMA.sub(r"\1.\2", row[name]) for name in NUMBERS if name in row}
        if row:
            table.rows.append((number, row))
    return table


def first_line(text: str) -> str:
    """Return the first line that is not empty."""
    return text.lstrip().partition("\n")[0]


def _cells(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Return the cells of each line that has some, and its number: of the first, where a cell has several."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    lines, last = [], 0
    try:
        for cells in reader:
            if any(cells):
                lines.append((last + 1, [from_spreadsheet(cell.strip()) for cell in cells]))
            opened, last = last + 1, reader.line_num
    except csv.Error as error:
        larger = "limit" in str(error)
        why = f"a cell has more than {csv.field_size_limit():,} characters" if larger else str(error)
        raise ValueError(f"not a table: line {last + 1}: {why}; is a quotation mark missing?") from error
    # Else the rest of the table would be one cell of its row.
    if lines and last > opened and text.count('"') % 2:
        raise ValueError(f"not a table: line {opened}: a quotation mark is opened and not closed")
    return lines


def _checked(given: list[str], needed: Sequence[str], line: int, spelt: Mapping[str, str]) -> list[str]:
    columns = [spelt.get(name.lower(), name) for name in given]
    for name in needed:
        if name not in columns:
            raise ValueError(f"line {line}: no column {name}; it has {shown(', '.join(columns)) or 'none'}")
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise ValueError(f"line {line}: column {twice[0]} is there twice")
    return columns


def channel_of(cells: dict[str, str], first: int = 0) -> int | None:
    """Return a row's channel, from 0, or None where it has none; ValueError if it is no such number.

    In the table channels count from `first`.
    """
    if "channel" not in cells:
        return None
    match = _CHANNEL.fullmatch(cells["channel"])
    if match is None or int(match[1]) < first:
        raise ValueError(f"channel is {shown(cells['channel'])!r}; expected {first}, {first + 1}, …")
    return int(match[1]) - first


def time_of(cells: dict[str, str], name: str) -> float:
    """Return a row's time in seconds; ValueError if it is none that a recording has."""
    try:
        value = float(cells[name])
    except ValueError:
        value = -1.0
    if not 0 <= value <= LATEST_S:
        raise ValueError(f"{name} is {shown(cells[name])!r}; expected a number from 0 up, in seconds")
    return value


def looks_like(text: str) -> bool:
    """Whether the first line names the columns of a table of events."""
    return TIMES[0] in re.split(r"[,;\t\s\"]+", first_line(text).lower())


def is_of_recordings(text: str) -> bool:
    """Whether the first line is of Laennec's tables of whole recordings, a summary of them or one alone."""
    columns = re.split(r"[,;\t\"]+", first_line(text))
    return TIMES[0] not in columns and set(PREDICTION) <= {name.strip() for name in columns}


def read(text: str, recording: str | None = None) -> LabelFile:
    """Read the events of a recording: of all rows, those whose path or name agrees with it.

    Paths are compared from their ends, as far as both go, and those that agree furthest are its own. One that
    is absolute may be of another computer, so there the name is enough if the table has only one recording of
    that name.
    """
    try:
        table = parse(text, TIMES, EVENT_COLUMNS)
    except ValueError as error:
        return LabelFile(problems=(Problem("", str(error)),))
    labels, kept = of_recording(table, recording), {*TIMES, "label", "channel", *DETAILS, *NAMING}
    filled = {name for _, cells in table.rows for name in cells}
    return replace(labels, unread=tuple(name for name in table.columns if name in filled - kept))


def of_recording(
    table: Table, recording: str | None, first_channel: int = 0, points: bool = False
) -> LabelFile:
    """Return the events of a table's rows that are of a recording, or of all of them."""
    try:
        chosen = table.rows if recording is None else _rows_of(table.rows, recording)
        rows = [row if isinstance(row, Problem) else _event(row, first_channel) for row in chosen]
    except ValueError as error:
        return LabelFile(problems=(Problem("", str(error)),))
    if not rows and not table.problems and (table.rows or not set(table.columns) >= OWN_COLUMNS):
        what = none_is_for(len(table.rows), "row", recording)
        return LabelFile(problems=(Problem("", what if table.rows else "no row below its header"),))
    labels = collect([*table.problems, *rows], points=points)
    return replace(labels, first_channel=first_channel)


def _event(row: NumberedRow, first_channel: int) -> Row | Problem:
    where, cells = f"line {row[0]}", row[1]
    try:
        channel = None if cells.get("channel") == "all" else channel_of(cells, first_channel)
    except ValueError as error:
        return Problem(where, str(error))
    start, end = (cells.get(name, "") for name in TIMES)
    details = (cells.get(name) for name in DETAILS)
    return Row(where, start, end, cells.get("label"), channel, *details)


def _rows_of(rows: list[NumberedRow], recording: str) -> Sequence[NumberedRow | Problem]:
    named = [(next((row[1][name] for name in NAMING if name in row[1]), ""), row) for row in rows]
    chosen = names_of(recording, {name for name, _ in named if name})
    if not any(name for name, _ in named):
        people = {tuple(row[1][name] for name in PEOPLE if name in row[1]) for row in rows}
        if len(people) > 1:
            who = f"rows of {len(people)} patients, and no column path or recording"
            raise ValueError(f"{who}: which are of {os.path.basename(recording)} cannot be told")
        return rows
    return [
        row if name else Problem(f"line {row[0]}", "names no recording, as other rows do")
        for name, row in named
        if not name or name in chosen
    ]


def names_of(recording: str, names: Iterable[str]) -> set[str]:
    """Return the names, with folders or without, that are best taken for a recording's path or name.

    ValueError if names of several recordings are taken equally well.
    """
    names = set(names)
    wanted = parts_of(recording)
    agreeing = {name: parts for name in names if _agree(parts := parts_of(name), wanted)}
    if not agreeing:
        elsewhere = {name for name in names if is_absolute(name) and parts_of(name)[-1:] == wanted[-1:]}
        return elsewhere if len({tuple(parts_of(name)) for name in elsewhere}) == 1 else set()

    def agreement(name: str) -> tuple[int, bool, int]:
        parts, suffix = agreeing[name], suffix_of(name)
        return (
            min(len(parts), len(wanted)),
            parts == wanted,
            2 * (suffix == suffix_of(recording)) + (not suffix),
        )

    best = max(map(agreement, agreeing))
    chosen = {name for name in agreeing if agreement(name) == best}
    if len({(*agreeing[name], suffix_of(name)) for name in chosen}) > 1:
        raise ValueError(f"{recording} could be {' or '.join(sorted(chosen)[:3])}; analyse it by its path")
    return chosen


def _agree(one: Sequence[str], other: Sequence[str]) -> bool:
    return all(a == b for a, b in zip(reversed(one), reversed(other), strict=False))


def write(header: Sequence[str], rows: Iterable[Sequence[Any]], delimiter: str = ",") -> str:
    """Return a table in which no text is a formula; :func:`parse` reads it back."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerows(map(for_spreadsheet, row) for row in (header, *rows))
    return text.getvalue()


def for_spreadsheet(value: Any) -> Any:
    """Return a cell with an apostrophe before a text that a spreadsheet would run as a formula.

    A number is left as it is, also where it is a text (OWASP, "CSV Injection").
    """
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def from_spreadsheet(value: Any) -> Any:
    """Return a cell as it was before :func:`for_spreadsheet`."""
    return value[1:] if isinstance(value, str) and value[:1] == "'" and _FORMULA.match(value) else value
