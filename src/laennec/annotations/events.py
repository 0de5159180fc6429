"""Label files, read: SPRSound's JSON, ICBHI's cycles, Audacity's label tracks, tables."""

import csv
import json
import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laennec.errors import LaennecError

CSV_COLUMNS = ("start_s", "end_s")
# Crackles, wheezes: what ICBHI's cycles say, in the model's words where it has them.
ICBHI_FLAGS = {
    ("0", "0"): "Normal",
    ("1", "0"): "Crackle",
    ("0", "1"): "Wheeze",
    ("1", "1"): "Wheeze+Crackle",
}


@dataclass(frozen=True)
class Boundary:
    """A given event: where it is, and what its file calls it."""

    start_s: float
    end_s: float
    annotated: str | None = None


def read_events(path: str | os.PathLike[str], recording_name: str | None = None) -> list[Boundary]:
    """Read event boundaries from a file, by its kind:

    - ``.json``: SPRSound's annotation, ``event_annotation`` with start and end in milliseconds;
    - ``.csv``: columns ``start_s`` and ``end_s``, perhaps ``label``; where there is a column ``path``, the
      rows of this recording;
    - ``.txt``: an Audacity label track (start, end, label with tabs between) or ICBHI's cycles (start, end,
      crackles, wheezes), in seconds.

    Parameters
    ----------
    path : path
    recording_name : str, optional
        File name of the recording, to choose among the rows of a CSV of several.

    Returns
    -------
    list of Boundary
        By start. Labels are kept as ``annotated``, in SPRSound's spelling where they are its own; they tell
        the model nothing.

    Raises
    ------
    LaennecError
        If the file cannot be read, a line of it is no event (the message names it), or it is a CSV without
        a row for this recording. A JSON or text file may hold no event, as SPRSound's of poor quality do.
    """
    path = Path(path)
    if path.suffix.lower() not in _READERS:
        raise LaennecError(f"{path}: events are read from {', '.join(_READERS)} files")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise LaennecError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise LaennecError(f"{path}: not UTF-8 text") from error
    try:
        lines = list(_READERS[path.suffix.lower()](text, path, recording_name))
    except csv.Error as error:
        raise LaennecError(f"{path}: not a table ({error})") from error
    found = []
    for where, told in lines:
        try:
            found.append(make_boundary(*told))
        except ValueError as error:
            raise LaennecError(f"{path}: {where}: {error}") from error
    return sorted(found, key=lambda boundary: (boundary.start_s, boundary.end_s))


Told = tuple[str, tuple[Any, Any, str | None]]  # where it stands; start, end in seconds, label


def make_boundary(start_s: Any, end_s: Any, label: str | None) -> Boundary:
    """Return a boundary; ValueError says what is wrong with it."""
    times = []
    for name, value in (("start", start_s), ("end", end_s)):
        try:
            times.append(float(value))
        except (TypeError, ValueError, OverflowError):
            times.append(math.nan)
        if not math.isfinite(times[-1]):
            raise ValueError(f"{name} is {value!r}, no number")
    if times[0] >= times[1]:
        raise ValueError(f"it ends at {times[1]:g} s, not after its start at {times[0]:g} s")
    return Boundary(times[0], times[1], _canonical(label))


def _canonical(label: str | None) -> str | None:
    """Return SPRSound's spelling of a label that is one of its own, else the label."""
    from laennec.labels import SPRSOUND_EVENTS

    if label is None or not label.strip():
        return None
    spellings = {_bare(name): name for name in SPRSOUND_EVENTS}
    return spellings.get(_bare(label), label.strip())


def _bare(label: str) -> str:
    return re.sub(r"\s", "", label.lower()).replace("&", "+")


def _from_json(text: str, path: Path, _: str | None) -> Iterator[Told]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LaennecError(f"{path}: not JSON ({error})") from error
    listed = told.get("event_annotation") if isinstance(told, dict) else None
    if not isinstance(listed, list):
        raise LaennecError(f"{path}: expected SPRSound's JSON, an object with a list event_annotation")
    for number, event in enumerate(listed, start=1):
        where = f"event {number}"
        if not isinstance(event, dict):
            raise LaennecError(f"{path}: {where}: expected an object with start, end and type")
        label = event.get("type")
        times = (_milliseconds(event.get("start")), _milliseconds(event.get("end")))
        yield where, (*times, None if label is None else str(label))


def _milliseconds(value: Any) -> Any:
    """Return seconds, or the value itself where it is no number, which the caller then names."""
    try:
        return float(value) / 1000
    except (TypeError, ValueError, OverflowError):
        return value


def _from_csv(text: str, path: Path, recording_name: str | None) -> Iterator[Told]:
    lines = text.splitlines()
    delimiter = max(",;\t", key=lines[0].count) if lines else ","
    rows = csv.DictReader(lines, delimiter=delimiter, skipinitialspace=True)
    columns = [(name or "").strip() for name in rows.fieldnames or ()]
    rows.fieldnames = columns
    missing = [name for name in CSV_COLUMNS if name not in columns]
    if missing:
        raise LaennecError(f"{path}: no column {missing[0]}; it has {', '.join(columns) or 'none'}")
    stem = Path(recording_name).stem if recording_name else None
    others, used = 0, False
    for row in rows:
        if stem and row.get("path") and Path(row["path"]).stem != stem:
            others += 1
            continue
        used = True
        start, end = ((row[name] or "").strip() for name in CSV_COLUMNS)
        if delimiter != ",":  # a decimal comma, then
            start, end = start.replace(",", "."), end.replace(",", ".")
        yield f"line {rows.line_num}", (start, end, row.get("label"))
    if not used:
        what = f"none of its {others} rows is for {recording_name}" if others else "no row below its header"
        raise LaennecError(f"{path}: {what}")


def _from_text(text: str, path: Path, _: str | None) -> Iterator[Told]:
    # A line that begins with a backslash holds the frequencies of an Audacity spectral selection.
    lines = [
        (f"line {number}", line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.startswith("\\")
    ]
    cells = [line.split() for _, line in lines]
    if cells and all(len(row) == 4 and (row[2], row[3]) in ICBHI_FLAGS for row in cells):
        for (where, _), row in zip(lines, cells, strict=True):
            yield where, (row[0], row[1], ICBHI_FLAGS[row[2], row[3]])
        return
    for where, line in lines:
        start, end, *label = (
            (part.strip() for part in line.split("\t", 2)) if line.count("\t") else [line, ""]
        )
        if not end:
            raise LaennecError(
                f"{path}: {where}: expected start, end and label with tabs between (Audacity) or start, end, "
                f"crackles, wheezes (ICBHI), found {line.strip()!r}"
            )
        # Some locales export a decimal comma.
        yield where, (start.replace(",", "."), end.replace(",", "."), label[0] if label else None)


_READERS: dict[str, Callable[[str, Path, str | None], Iterator[Told]]] = {
    ".json": _from_json,
    ".csv": _from_csv,
    ".txt": _from_text,
}
