"""Your own recordings: a CSV of clips, or a folder with a label file beside each recording.

**CSV.** `root` is a ``.csv`` file, or a folder that holds ``clips.csv``. One row a clip, columns in any
order: ``path`` and ``label`` are needed; ``start_s``, ``end_s``, ``subject``, ``recording``, ``location``,
``device``, ``channel``, ``age_years``, ``sex`` and ``split`` may be there or be empty. Paths are relative to
the CSV. Without times a row is the whole file.

**Folder.** Beside each recording lies an annotation with its stem: an Audacity label track (``rec.txt``) or
SPRSound's JSON (``rec.json``). Who is who comes from ``subjects.csv`` in `root` (``recording``, ``subject``
and the optional columns above), if it is there. If not, the subject is the folder that the recording lies
in; directly in `root`, it is the file name up to its first underscore; and a name without one has no known
subject.

A ``location`` that is one of the model's positions, in any spelling (``Left Posterior``, ``p1``), becomes
that position; another is kept as it is, and noted. Ages are years, 0 to 130.

Nothing wrong is passed over: :func:`load` stops at the first wrong line, :func:`check` lists them all.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laennec.audio.suffixes import AUDIO_SUFFIXES
from laennec.datasets import check as checks
from laennec.datasets import sprsound
from laennec.datasets.table import LEVELS, SPLITS, Defect, clips_table, event_id
from laennec.errors import LaennecError
from laennec.labels import POSITIONS, SEXES, SPRSOUND_EVENTS
from laennec.patient import OLDEST_YEARS, check_position

if TYPE_CHECKING:
    import pandas as pd

NAME = "folder"
TITLE = "Your own recordings: a CSV, or a folder with Audacity label tracks or SPRSound JSON"
CITATION = ""
LICENCE = "yours"
HOMEPAGE = ""
ARCHIVES = ()
LABELS: dict[str, tuple[str, ...]] = {}

CSV_NAME, SUBJECTS_NAME = "clips.csv", "subjects.csv"
DESCRIBING = ("subject", "location", "device", "channel", "age_years", "sex", "split")
CSV_COLUMNS = ("path", "label", "start_s", "end_s", "recording", *DESCRIBING)
SEX_SPELLINGS = {"m": "male", "f": "female", **{sex: sex for sex in SEXES}}
HARMLESS = ("no annotation", "unknown column", "unknown position")  # said, but no reason to refuse the rest


def load(root: str | os.PathLike[str], level: str = "event") -> pd.DataFrame:
    """Read your own annotated recordings as a clips table.

    Parameters
    ----------
    root : path
        A CSV file, or a folder, as the module's documentation describes.
    level : {"event", "record"}
        ``event``: every row of a CSV, every label of a label track, every event of a JSON. ``record``: the
        rows of a CSV without times, the ``record_annotation`` of a JSON.

    Returns
    -------
    DataFrame
        The columns of :mod:`laennec.datasets.table`. Recordings without an annotation are named in
        ``attrs["defects"]``.

    Raises
    ------
    LaennecError
        At the first thing that is wrong, with its file and line, or if there is no clip.
    """
    rows, defects = read(Path(root), level)
    checks.fill_durations(rows, defects)
    wrong = [defect for defect in defects if defect.kind not in HARMLESS]
    if wrong:
        more = (
            f" (and {len(wrong) - 1} more; `laennec datasets info folder {root}` lists them)"
            if wrong[1:]
            else ""
        )
        raise LaennecError(f"{wrong[0].path}: {wrong[0].detail}{more}")
    if not rows:
        raise LaennecError(
            f"{root}: no {level} annotation was found; expected clips.csv, or a .txt label track or .json "
            "beside each recording"
        )
    return clips_table(rows, defects)


def check(root: str | os.PathLike[str], progress: bool = False) -> list[Defect]:
    """Return everything that is wrong with a folder or CSV; every recording is decoded once."""
    rows, defects = read(Path(root), "event")
    records, record_defects = read(Path(root), "record")
    known = {row["clip_id"] for row in rows}
    rows += [row for row in records if row["clip_id"] not in known]
    found = checks.check_clips(clips_table(rows), progress=progress)
    return list(dict.fromkeys([*defects, *record_defects, *found]))


def read(root: Path, level: str = "event") -> tuple[list[dict[str, Any]], list[Defect]]:
    """Return the clips as mappings, and every defect that can be seen without opening audio."""
    if level not in LEVELS:
        raise LaennecError(f"level is {level!r}; expected one of {', '.join(LEVELS)}")
    if not root.exists():
        raise LaennecError(f"{root}: no such file or folder")
    defects: list[Defect] = []
    if root.is_dir() and (root / CSV_NAME).is_file():
        root = root / CSV_NAME
    rows = list(_from_csv(root, level, defects) if root.is_file() else _from_folder(root, level, defects))
    return rows, defects


def _from_csv(path: Path, level: str, defects: list[Defect]) -> Iterator[dict[str, Any]]:
    for line, cells in read_table(path, ("path", "label"), CSV_COLUMNS, defects):
        try:
            row = _csv_row(path.parent, cells)
        except ValueError as error:
            defects.append(Defect("malformed annotation", str(path), f"line {line}: {error}"))
            continue
        defects.extend(_unknown_position(row, path, line))
        if not Path(row["path"]).is_file():
            defects.append(Defect("missing", str(path), f"line {line}: there is no file {row['path']}"))
        elif level == "event" or row["end_s"] is None:
            yield row


def _csv_row(folder: Path, cells: dict[str, str]) -> dict[str, Any]:
    """Return a CSV line as a clip; ValueError says what is wrong with it."""
    for name in ("path", "label"):
        if name not in cells:
            raise ValueError(f"{name} is empty")
    row = {"path": str(folder / cells["path"]), "label": _label(cells["label"]), "dataset": NAME}
    row["recording"] = cells.get("recording", Path(cells["path"]).with_suffix("").as_posix())
    row.update(_described(cells))
    if ("start_s" in cells) != ("end_s" in cells):
        raise ValueError("start_s and end_s are given both or neither")
    if "start_s" not in cells:
        return {**row, "clip_id": row["recording"], "start_s": 0.0, "end_s": None}
    start_s, end_s = _number(cells, "start_s"), _number(cells, "end_s")
    return {**row, **_times(row["recording"], start_s, end_s)}


def _from_folder(root: Path, level: str, defects: list[Defect]) -> Iterator[dict[str, Any]]:
    subjects = _subjects(root / SUBJECTS_NAME, defects)
    recordings = sorted(path for path in root.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    if not recordings:
        raise LaennecError(
            f"{root}: no recording here; expected {', '.join(AUDIO_SUFFIXES)} files, or a clips.csv"
        )
    used = set()
    for path in recordings:
        name = path.relative_to(root).with_suffix("").as_posix()
        told = subjects.get(name, subjects.get(path.stem))
        used.update({name, path.stem} & set(subjects))
        described = {"subject": _subject_by_place(path, root)} if told is None else told
        common = {"path": str(path), "recording": name, "dataset": NAME, **described}
        for clip in _beside(path, name, level, defects):
            yield {**common, **clip}
    for name in sorted(set(subjects) - used):
        detail = f"there is no recording {name}"
        defects.append(Defect("missing", str(root / SUBJECTS_NAME), detail))


def _subject_by_place(path: Path, root: Path) -> str | None:
    if path.parent != root:
        return path.parent.relative_to(root).as_posix()
    before, underscore, _ = path.stem.partition("_")
    return before or None if underscore else None


def _beside(path: Path, recording: str, level: str, defects: list[Defect]) -> Iterator[dict[str, Any]]:
    """Yield the clips of the annotation beside a recording."""
    track, annotation = path.with_suffix(".txt"), path.with_suffix(".json")
    if track.is_file() and annotation.is_file():
        detail = f"both {track.name} and {annotation.name} annotate it; keep one"
        defects.append(Defect("conflicting annotation", str(path), detail))
    elif track.is_file():
        if level == "event":
            yield from _audacity(track, recording, defects)
    elif annotation.is_file():
        content = sprsound.parse(annotation, defects)
        if content is not None and level == "event":
            for clip in sprsound.events(annotation, content, defects):
                yield {**clip, **_times(recording, clip["start_s"], clip["end_s"])}
        elif content is not None:
            for clip in sprsound.record(annotation, content, defects):
                yield {**clip, "clip_id": recording, "end_s": None}
    else:
        defects.append(
            Defect("no annotation", str(path), f"neither {track.name} nor {annotation.name} beside it")
        )


def _audacity(path: Path, recording: str, defects: list[Defect]) -> Iterator[dict[str, Any]]:
    """Yield the labels of an Audacity label track: ``start<tab>end<tab>label``, in seconds.

    A line that begins with a backslash holds the frequencies of a spectral selection and belongs to the
    label before it; it is skipped. Some locales export a decimal comma.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        defects.append(Defect("malformed annotation", str(path), "not UTF-8 text"))
        return
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("\\"):
            continue
        cells = line.split("\t")
        try:
            if len(cells) < 3 or not cells[2].strip():
                raise ValueError(f"expected start, end and label with tabs between, found {line!r}")
            told = {"start": cells[0].replace(",", "."), "end": cells[1].replace(",", ".")}
            times = _times(recording, _number(told, "start"), _number(told, "end"))
        except ValueError as error:
            defects.append(Defect("malformed annotation", str(path), f"line {number}: {error}"))
            continue
        yield {**times, "label": _label(cells[2])}


def _subjects(path: Path, defects: list[Defect]) -> dict[str, dict[str, Any]]:
    """Return what ``subjects.csv`` says of each recording, by its name with or without folders."""
    if not path.is_file():
        return {}
    subjects = {}
    for line, cells in read_table(path, ("recording", "subject"), ("recording", *DESCRIBING), defects):
        try:
            if "recording" not in cells:
                raise ValueError("recording is empty")
            name = Path(cells["recording"])
            name = name.with_suffix("") if name.suffix.lower() in AUDIO_SUFFIXES else name
            if name.as_posix() in subjects:
                raise ValueError(f"{cells['recording']} was already described")
            subjects[name.as_posix()] = _described(cells)
            defects.extend(_unknown_position(subjects[name.as_posix()], path, line))
        except ValueError as error:
            defects.append(Defect("malformed annotation", str(path), f"line {line}: {error}"))
    return subjects


def read_table(
    path: Path, needed: tuple[str, ...], known: tuple[str, ...], defects: list[Defect]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line numbers and the cells that are not empty of a CSV with comma, semicolon or tab between."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            reader = csv.DictReader(file, delimiter=max(",;\t", key=header.count))
            columns = [(name or "").strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            for name in needed:
                if name not in columns:
                    raise LaennecError(
                        f"{path}: line 1: no column {name}; it has {', '.join(columns) or 'none'}"
                    )
            for name in sorted(set(columns) - set(known)):
                detail = f"line 1: {name!r} is not read; known are {', '.join(known)}"
                defects.append(Defect("unknown column", str(path), detail))
            for row in reader:
                cells = {
                    name: value.strip()
                    for name, value in row.items()
                    if isinstance(value, str) and value.strip()
                }
                if None in row:
                    detail = f"line {reader.line_num}: {len(columns)} columns but more cells"
                    defects.append(Defect("malformed annotation", str(path), detail))
                elif cells:
                    yield reader.line_num, cells
    except UnicodeDecodeError as error:
        raise LaennecError(f"{path}: not UTF-8 text; save the table as CSV UTF-8") from error


def _described(cells: dict[str, str]) -> dict[str, Any]:
    """Return the optional columns, checked; ValueError says what is wrong."""
    described: dict[str, Any] = {name: cells[name] for name in ("subject", "device") if name in cells}
    if "age_years" in cells:
        described["age_years"] = _number(cells, "age_years")
        if described["age_years"] > OLDEST_YEARS:
            raise ValueError(f"age_years is {cells['age_years']}; expected 0 to {OLDEST_YEARS:g}, or nothing")
    if "location" in cells:
        described["location"] = _location(cells["location"])
    if "channel" in cells:
        if not cells["channel"].isdecimal():
            raise ValueError(f"channel is {cells['channel']!r}; expected 0, 1, …")
        described["channel"] = int(cells["channel"])
    if "sex" in cells:
        if cells["sex"].lower() not in SEX_SPELLINGS:
            raise ValueError(f"sex is {cells['sex']!r}; expected male, female or nothing")
        described["sex"] = SEX_SPELLINGS[cells["sex"].lower()]
    if "split" in cells:
        if cells["split"] not in SPLITS:
            raise ValueError(f"split is {cells['split']!r}; expected {', '.join(SPLITS)} or nothing")
        described["split"] = cells["split"]
    return described


def _location(told: str) -> str:
    """Return the model's name of a place on the chest where it has one, else the place as it is told."""
    try:
        return check_position(told) or told
    except LaennecError:
        return told


def _unknown_position(described: dict[str, Any], path: Path, line: int) -> Iterator[Defect]:
    place = described.get("location", POSITIONS[0])
    if place not in POSITIONS:
        detail = f"line {line}: location is {place!r}, which no model knows; known are {', '.join(POSITIONS)}"
        yield Defect("unknown position", str(path), detail)


def _number(cells: dict[str, str], name: str) -> float:
    try:
        value = float(cells[name])
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} is {cells[name]!r}; expected a number from 0 up")
    return value


def _times(recording: str, start_s: float, end_s: float) -> dict[str, Any]:
    if start_s >= end_s:
        raise ValueError(f"the clip from {start_s:g} to {end_s:g} s has no duration")
    return {"clip_id": event_id(recording, start_s, end_s), "start_s": start_s, "end_s": end_s}


def _label(label: str) -> str:
    """Return SPRSound's spelling where the label is one of its events, else the label itself."""
    return sprsound.canonical(label, SPRSOUND_EVENTS) or label.strip()
