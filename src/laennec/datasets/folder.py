"""Your own recordings: a CSV of clips, or a folder with a label file beside each recording.

**CSV.** `root` is a ``.csv`` file, or a folder that holds ``clips.csv``. One row a clip, columns in any
order: ``path`` and ``label`` are needed; ``start_s``, ``end_s``, ``subject``, ``recording``, ``location``,
``device``, ``channel``, ``age_years``, ``sex`` and ``split`` may be there or be empty. Paths are relative to
the CSV. Without times a row is the whole file.

**Folder.** Beside each recording lies a label file with its stem, ``rec.txt`` or ``rec.json``, of any format
that :func:`laennec.annotations.read_labels` tells by its content: an Audacity label track, ICBHI's cycles,
SPRSound's JSON. Hidden files and folders are passed over. Who is who comes from ``subjects.csv`` in `root`
(``recording``, ``subject`` and the optional columns above), if it is there. If not, the subject is the folder
that the recording lies in; directly in `root`, it is the file name up to its first underscore; and a name
without one has no known subject.

A ``location`` that is one of the model's positions, in any spelling (``Left Posterior``, ``p1``), becomes
that position; another is kept as it is, and noted. Ages are years, 0 to 130.

Nothing wrong is passed over: :func:`load` stops at the first wrong line, :func:`check` lists them all.
"""

from __future__ import annotations

import math
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laennec.annotations import read_labels
from laennec.audio.folder import AUDIO_SUFFIXES, SUFFIXES_SHOWN, is_audio
from laennec.datasets import check as checks
from laennec.datasets.table import (
    SPLITS,
    Defect,
    checked_level,
    clips_table,
    event_id,
    files_below,
    label_clips,
    read_rows,
)
from laennec.datasets.tiny import write_sound, write_text
from laennec.errors import LaennecError
from laennec.labels import POSITIONS, SPRSOUND_EVENTS, spelling
from laennec.patient import UNKNOWN_WORDS, Patient, check_age, check_position, is_unknown

if TYPE_CHECKING:
    import pandas as pd

NAME = "folder"
TITLE = "Your own recordings: a CSV, or a folder with label files (Audacity, ICBHI text, SPRSound JSON)"
CITATION = ""
LICENCE = "yours"
HOMEPAGE = ""

CSV_NAME, SUBJECTS_NAME = "clips.csv", "subjects.csv"
DESCRIBING = ("subject", "location", "device", "channel", "age_years", "sex", "split")
CSV_COLUMNS = ("path", "label", "start_s", "end_s", "recording", *DESCRIBING)
LABEL_SUFFIXES = (".txt", ".json")
NOT_GIVEN = UNKNOWN_WORDS - {"u"}  # which may be the name of a patient
# Listed, but no reason to refuse the rest.
HARMLESS = ("no annotation", "no label", "outside file", "unknown column", "unknown position")


def _matches(root: Path) -> bool:
    return (root / CSV_NAME).exists() or any(
        is_audio(path.name) for path in files_below(root, lambda *_: None)
    )


MATCHES = _matches


def load(root: str | os.PathLike[str], level: str = "event") -> pd.DataFrame:
    """Read your own annotated recordings as a clips table.

    Parameters
    ----------
    root
        A CSV file, or a folder, as the module's documentation describes.
    level
        ``event``: every row of a CSV, every label of a label track, every event of a JSON. ``record``: the
        rows of a CSV without times, the ``record_annotation`` of a JSON.

    Raises
    ------
    LaennecError
        At the first thing that is wrong, with its file and line, or if there is no clip.
    """
    rows, defects = read(Path(root), level)
    empty = f"no {level} annotation was found; expected clips.csv, or a .txt or .json beside each recording"
    return checks.to_table(rows, defects, root, empty, HARMLESS)


def check(root: str | os.PathLike[str], progress: bool = False) -> list[Defect]:
    """Return everything that is wrong with a folder or CSV; every recording is decoded once."""
    rows, defects = read(Path(root), "event")
    records, record_defects = read(Path(root), "record")
    known = {row["clip_id"] for row in rows}
    rows += [row for row in records if row["clip_id"] not in known]
    others = checks.check_clips(clips_table(rows), progress=progress)
    return list(dict.fromkeys([*defects, *record_defects, *others]))


def read(root: Path, level: str = "event") -> tuple[list[dict[str, Any]], list[Defect]]:
    """Return the clips as mappings, and every defect that can be seen without opening audio."""
    checked_level(level)
    if not root.exists():
        raise LaennecError(f"{root}: no such file or folder")
    defects: list[Defect] = []
    if root.is_dir() and (root / CSV_NAME).is_file():
        root = root / CSV_NAME
    rows = list(_from_csv(root, level, defects) if root.is_file() else _from_folder(root, level, defects))
    return rows, defects


def _from_csv(path: Path, level: str, defects: list[Defect]) -> Iterator[dict[str, Any]]:
    for line, cells in read_rows(path, ("path", "label"), CSV_COLUMNS, defects):
        try:
            row = _csv_row(path.parent, cells)
        except (ValueError, LaennecError) as error:
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
    row = {
        "path": str(_existing(folder / cells["path"])),
        "label": spelling(cells["label"], SPRSOUND_EVENTS) or cells["label"],
        "dataset": NAME,
    }
    row["recording"] = cells.get("recording", Path(cells["path"]).with_suffix("").as_posix())
    row.update(_described(cells))
    if ("start_s" in cells) != ("end_s" in cells):
        raise ValueError("start_s and end_s are given both or neither")
    if "start_s" not in cells:
        return {**row, "clip_id": row["recording"], "start_s": 0.0, "end_s": None}
    start_s, end_s = _number(cells, "start_s"), _number(cells, "end_s")
    if start_s >= end_s:
        raise ValueError(f"the clip from {start_s:g} to {end_s:g} s has no duration")
    clip_id = event_id(row["recording"], start_s, end_s)
    return {**row, "clip_id": clip_id, "start_s": start_s, "end_s": end_s}


def _existing(path: Path) -> Path:
    """Return the file, whose name may hold its letters composed or decomposed."""
    forms = (path, *(Path(unicodedata.normalize(form, str(path))) for form in ("NFC", "NFD")))
    return next((form for form in forms if form.is_file()), path)


def _from_folder(root: Path, level: str, defects: list[Defect]) -> Iterator[dict[str, Any]]:
    subjects = _subjects(root / SUBJECTS_NAME, defects)
    recordings, labels = _files(root)
    if not recordings:
        raise LaennecError(
            f"{root}: no recording here; expected audio files ({SUFFIXES_SHOWN}), or a clips.csv"
        )
    used, annotated = set(), set()
    for path in recordings:
        name = path.relative_to(root).with_suffix("").as_posix()
        keys = {_composed(name), _composed(path.stem)} & set(subjects)
        used.update(keys)
        described = subjects[max(keys, key=len)] if keys else {"subject": _subject_by_place(path, root)}
        key = _composed(str(path.with_suffix("")))
        if key in annotated:
            detail = f"{labels[key][0].name} annotates another recording of that name too; rename one"
            defects.append(Defect("conflicting annotation", str(path), detail))
            continue
        if key in labels:
            annotated.add(key)
        common = {"path": str(path), "recording": name, "dataset": NAME, **described}
        for clip in _annotated(path, labels.get(key, []), name, level, defects):
            yield {**common, **clip}
    for name in sorted(set(subjects) - used):
        detail = f"there is no recording {name}"
        defects.append(Defect("missing", str(root / SUBJECTS_NAME), detail))


def _files(root: Path) -> tuple[list[Path], dict[str, list[Path]]]:
    """Return the recordings below a folder, and the label files by their path without suffix."""
    recordings: list[Path] = []
    labels: dict[str, list[Path]] = {}
    for path in files_below(root):
        if path.suffix.lower() in AUDIO_SUFFIXES:
            recordings.append(path)
        elif path.suffix.lower() in LABEL_SUFFIXES:
            labels.setdefault(_composed(str(path.with_suffix(""))), []).append(path)
    return sorted(recordings), labels


def _composed(name: str) -> str:
    """Return a name with composed letters, since a Mac decomposes those of the files it copies."""
    return unicodedata.normalize("NFC", name)


def _subject_by_place(path: Path, root: Path) -> str | None:
    if path.parent != root:
        return _composed(path.parent.relative_to(root).as_posix())
    before, underscore, _ = path.stem.partition("_")
    return _composed(before) or None if underscore else None


def _annotated(
    path: Path, files: list[Path], recording: str, level: str, defects: list[Defect]
) -> Iterator[dict[str, Any]]:
    """Yield the clips of a recording's label file."""
    if not files:
        wanted = " nor ".join(path.with_suffix(suffix).name for suffix in LABEL_SUFFIXES)
        defects.append(Defect("no annotation", str(path), f"neither {wanted} beside it"))
        return
    if files[1:]:
        detail = f"both {files[1].name} and {files[0].name} annotate it; keep one"
        defects.append(Defect("conflicting annotation", str(path), detail))
        return
    labels = read_labels(files[0], str(path))
    if level == "event":
        yield from label_clips(labels, files[0], recording, defects)
    elif labels.record is not None:
        yield {"clip_id": recording, "start_s": 0.0, "end_s": None, "label": labels.record}


def _subjects(path: Path, defects: list[Defect]) -> dict[str, dict[str, Any]]:
    """Return what ``subjects.csv`` says of each recording, by its name with or without folders."""
    if not path.is_file():
        return {}
    subjects = {}
    for line, cells in read_rows(path, ("recording", "subject"), ("recording", *DESCRIBING), defects):
        try:
            if "recording" not in cells:
                raise ValueError("recording is empty")
            name = Path(cells["recording"])
            name = name.with_suffix("") if name.suffix.lower() in AUDIO_SUFFIXES else name
            key = _composed(name.as_posix())
            if key in subjects:
                raise ValueError(f"{cells['recording']} was already described")
            subjects[key] = _described(cells)
            defects.extend(_unknown_position(subjects[key], path, line))
        except (ValueError, LaennecError) as error:
            defects.append(Defect("malformed annotation", str(path), f"line {line}: {error}"))
    return subjects


def _described(cells: dict[str, str]) -> dict[str, Any]:
    """Return the optional columns, checked; ValueError says what is wrong."""
    described: dict[str, Any] = {
        name: _composed(cells[name])
        for name in ("subject", "device")
        if name in cells and cells[name].lower() not in NOT_GIVEN
    }
    patient = Patient(check_age(cells.get("age_years")), cells.get("sex"))
    described |= {"age_years": patient.age_years, "sex": patient.sex}
    if not is_unknown(cells.get("location")):
        described["location"] = _location(cells["location"])
    if "channel" in cells:
        if not cells["channel"].isdecimal():
            raise ValueError(f"channel is {cells['channel']!r}; expected 0, 1, …")
        described["channel"] = int(cells["channel"])
    if not is_unknown(cells.get("split")):
        if cells["split"] not in SPLITS:
            raise ValueError(f"split is {cells['split']!r}; expected {', '.join(SPLITS)} or nothing")
        described["split"] = cells["split"]
    return described


def _location(place: str) -> str:
    """Return the model's name of a place on the chest where it has one, else the place as it is named."""
    try:
        return check_position(place) or place
    except LaennecError:
        return place


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
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} is {cells[name]!r}; expected a number from 0 up")
    return value


def tiny(root: Path) -> None:
    """Two recordings with label files of two formats."""
    write_sound(root / "anna" / "1.wav")
    write_text(root / "anna" / "1.txt", "0\t0.4\tNormal\n0\t0.4\tWheeze\n")
    write_sound(root / "2.wav")
    event = '{"start": "100", "end": "900", "type": "Normal"}'
    write_text(root / "2.json", f'{{"record_annotation": "Normal", "event_annotation": [{event}]}}')
