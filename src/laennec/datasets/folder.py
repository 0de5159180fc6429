"""Your own recordings: a CSV of clips, or a folder with a label file beside each recording.

**CSV.** `root` is a ``.csv`` file, or a folder that holds ``clips.csv``. One row a clip, columns in any
order: ``path`` and ``label`` are needed; ``start_s``, ``end_s``, ``subject``, ``recording``, ``location``,
``device``, ``channel``, ``age_years``, ``sex`` and ``split`` may be there or be empty. Paths are relative to
the CSV. Without times a row is the whole file.

**Folder.** Beside each recording lies a label file with its stem, ``rec.txt`` or ``rec.json``, of any format
that :func:`laennec.annotations.read_labels` tells by its content: an Audacity label track, Raven's
selections, ICBHI's cycles, SPRSound's JSON. Hidden files and folders are passed over. Who is who comes from
``subjects.csv`` in `root` (``recording``, ``subject`` and the optional columns above), if it is there. If
not, the subject is the folder that the recording lies in; directly in `root`, it is the file name up to its
first underscore, of KAUH's names without the filter; and a name without one has no known subject.

A ``location`` that is one of the model's positions, in any spelling (``Left Posterior``, ``p1``), becomes
that position, and any other place of `laennec.patient.CHEST_PLACES` its name there; what is none is kept as
it is, and noted once. Ages are years, 0 to 130; other units are converted and noted.

Nothing wrong is passed over: :func:`load` stops at the first wrong line, :func:`check` lists them all.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laennec.annotations import described, read_labels
from laennec.annotations.names import composed, key_of, suffix_of
from laennec.annotations.table import TIMES, channel_of, time_of
from laennec.audio.folder import SUFFIXES_SHOWN, counted_endings, counted_links, found_among, is_recording
from laennec.audio.samples import counted
from laennec.datasets import check as checks
from laennec.datasets.table import (
    SPLITS,
    Defect,
    checked_level,
    clips_table,
    event_id,
    files_of,
    label_clips,
    noted,
    patient_of,
    read_rows,
)
from laennec.datasets.tiny import write_sound, write_text
from laennec.errors import LaennecError, without_name
from laennec.labels import SPRSOUND_EVENTS, spelling
from laennec.patient import CHEST_PLACES, UNKNOWN_WORDS, check_position, chest_place, is_missing, is_unknown

if TYPE_CHECKING:
    import pandas as pd

NAME = "folder"
TITLE = "Your own recordings: a CSV, or a folder with label files (Audacity, Raven, ICBHI, SPRSound)"
CITATION = ""
LICENCE = "yours"
HOMEPAGE = ""

CSV_NAME, SUBJECTS_NAME = "clips.csv", "subjects.csv"
DESCRIBING = ("subject", "location", "device", "channel", "age_years", "sex", "split")
CSV_COLUMNS = ("path", "label", "start_s", "end_s", "recording", *DESCRIBING)
LABEL_SUFFIXES = (".txt", ".json")
_RAVEN_ENDING = re.compile(r"\.Table\.\d+\.selections$")  # as Raven names what it saves
UNKNOWN_POSITION, SHOWN_PLACES = "unknown position", 5
NOT_GIVEN = UNKNOWN_WORDS - {"u"}  # which may be the name of a patient
# Listed, but no reason to refuse the rest.
HARMLESS = (
    *("no annotation", "no recording", "no label", "no length", "outside file"),
    *("unknown column", UNKNOWN_POSITION, "odd form", "passed over"),
)


def _matches(root: Path) -> bool:
    return (root / CSV_NAME).exists() or any(is_recording(path) for path in files_of(root, []))


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
    if root.is_file() and is_recording(root):
        raise LaennecError(f"{root}: one recording; name a folder of labelled recordings, or a CSV of them")
    defects: list[Defect] = []
    if root.is_dir() and (root / CSV_NAME).is_file():
        root = root / CSV_NAME
    rows = list(_from_csv(root, level, defects) if root.is_file() else _from_folder(root, level, defects))
    return rows, _counted_once(defects)


def _from_csv(path: Path, level: str, defects: list[Defect]) -> Iterator[dict[str, Any]]:
    twins: dict[str, Path] = {}
    for line, cells in read_rows(path, ("path", "label"), CSV_COLUMNS, defects):
        with noted(defects, path, f"line {line}"):
            row = _csv_row(path, line, cells, twins, defects)
            if not os.path.isfile(row["path"]):
                defects.append(Defect("missing", str(path), f"line {line}: there is no file {row['path']}"))
            elif level == "event" or row["end_s"] is None:
                yield row


def _csv_row(
    table: Path, line: int, cells: dict[str, str], twins: dict[str, Path], defects: list[Defect]
) -> dict[str, Any]:
    """Return a CSV line as a clip; ValueError says what is wrong with it."""
    for name in ("path", "label"):
        if name not in cells:
            raise ValueError(f"{name} is empty")
    path = _existing(table.parent, cells["path"], twins)
    folder, place = os.path.abspath(table.parent), os.path.abspath(path)
    # One name for one file, however it is written: b/../a.wav is a.wav.
    known = Path(os.path.relpath(place, folder) if Path(place).is_relative_to(folder) else cells["path"])
    row = {
        "path": str(table.parent / known),
        "label": spelling(cells["label"], SPRSOUND_EVENTS) or cells["label"],
        "dataset": NAME,
        "recording": composed(cells.get("recording", known.with_suffix("").as_posix())),
        **_described(cells, table, line, defects),
    }
    if ("start_s" in cells) != ("end_s" in cells):
        raise ValueError("start_s and end_s are given both or neither")
    if "start_s" not in cells or all(is_missing(cells[name]) for name in TIMES):
        return {**row, "clip_id": row["recording"], "start_s": 0.0, "end_s": None}
    start_s, end_s = time_of(cells, "start_s"), time_of(cells, "end_s")
    if start_s >= end_s:
        raise ValueError(f"the clip from {start_s:g} to {end_s:g} s has no duration")
    clip_id = event_id(row["recording"], start_s, end_s)
    return {**row, "clip_id": clip_id, "start_s": start_s, "end_s": end_s}


def _existing(folder: Path, name: str, twins: dict[str, Path]) -> Path:
    """Return the file of a name, which may have another system's spelling of it.

    That is: letters composed or decomposed, backslashes, the ending in capitals. `twins` keeps what is there.
    """
    path = folder / name
    if not os.path.isfile(path):
        if not twins:
            twins.update({_plain(str(each.relative_to(folder))): each for each in files_of(folder, [])})
        path = twins.get(_plain(name), path)
    return path


def _plain(name: str) -> str:
    return key_of(name) + suffix_of(name)


def _from_folder(root: Path, level: str, defects: list[Defect]) -> Iterator[dict[str, Any]]:
    recordings, labels = _files(root, defects)
    if not recordings:
        raise LaennecError(
            f"{root}: no recording here; expected audio files ({SUFFIXES_SHOWN}), or a clips.csv"
        )
    subjects = _subjects(root / SUBJECTS_NAME, recordings, root, defects)
    annotated = set()
    for path in recordings:
        name = _name(path, root)
        described = subjects.get(name) or {"subject": _subject_by_place(path, root)}
        if name in annotated:
            detail = f"{labels[name][0].name} annotates another recording of that name too; rename one"
            defects.append(Defect("conflicting annotation", str(path), detail))
            continue
        if name in labels:
            annotated.add(name)
        common = {"path": str(path), "recording": name, "dataset": NAME, **described}
        for clip in _annotated(path, labels.get(name, []), name, level, defects):
            yield {**common, **clip}
    others = [path for name in sorted(set(labels) - annotated) for path in labels[name]]
    defects.extend(
        Defect("no recording", str(path), "no recording of that name beside it; not used")
        for path in others
        if read_labels(path).events  # else it may be any text
    )


def _files(root: Path, defects: list[Defect]) -> tuple[list[Path], dict[str, list[Path]]]:
    """Return the recordings below a folder, and the label files by the name of their recording."""
    files = list(files_of(root, defects))
    labels: dict[str, list[Path]] = {}
    for path in files:
        if path.suffix.lower() in LABEL_SUFFIXES:
            labels.setdefault(_RAVEN_ENDING.sub("", _name(path, root)), []).append(path)
    found = found_among(files, wanted=lambda path: _name(path, root) in labels)
    if found.passed_over:
        defects.append(Defect("passed over", str(root), counted_endings(found.passed_over)))
    if found.linked:
        defects.append(Defect("passed over", str(root), counted_links(found.linked)))
    return sorted(found.paths), labels


def _name(path: Path, root: Path) -> str:
    return composed(path.relative_to(root).with_suffix("").as_posix())


def _subject_by_place(path: Path, root: Path) -> str | None:
    if path.parent != root:
        return composed(path.parent.relative_to(root).as_posix())
    if (known := described.kauh(path.stem)) is not None:
        return composed(known.patient or "")
    before, underscore, _ = path.stem.partition("_")
    return composed(before) or None if underscore else None


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


def _subjects(
    path: Path, recordings: list[Path], root: Path, defects: list[Defect]
) -> dict[str, dict[str, Any]]:
    """Return what ``subjects.csv`` says of each recording; it names them with or without folders."""
    if not path.is_file():
        return {}
    names: dict[str, set[str]] = {}
    for recording in recordings:
        name = composed(recording.relative_to(root).with_suffix("").as_posix())
        names.setdefault(name, set()).add(name)
        names.setdefault(name.rpartition("/")[2], set()).add(name)
    subjects: dict[str, dict[str, Any]] = {}
    try:
        rows = list(read_rows(path, ("recording", "subject"), ("recording", *DESCRIBING), defects))
    except LaennecError as error:  # the recordings can be counted all the same
        defects.append(Defect("malformed annotation", str(path), without_name(error, path)))
        return {}
    for line, cells in rows:
        with noted(defects, path, f"line {line}"):
            if "recording" not in cells:
                raise ValueError("recording is empty")
            written = key_of(cells["recording"])
            fitting = {written} if written in names.get(written, ()) else names.get(written, set())
            if not fitting:
                detail = f"line {line}: there is no recording {cells['recording']}"
                defects.append(Defect("missing", str(path), detail))
            elif len(fitting) > 1:
                raise ValueError(f"{written} could be {' or '.join(sorted(fitting))}; name its folder")
            elif fitting & set(subjects):
                raise ValueError(f"{cells['recording']} was already described")
            described = _described(cells, path, line, defects)
            subjects.update(dict.fromkeys(fitting, described))
    return subjects


def _described(cells: dict[str, str], path: Path, line: int, defects: list[Defect]) -> dict[str, Any]:
    """Return the optional columns, checked; ValueError says what is wrong."""
    described: dict[str, Any] = {
        name: composed(cells[name])
        for name in ("subject", "device")
        if name in cells and cells[name].lower() not in NOT_GIVEN
    }
    described |= patient_of(cells.get("age_years"), cells.get("sex"), defects, path, f"line {line}")
    if not is_unknown(cells.get("location")):
        described["location"] = _location(cells["location"])
        if described["location"] not in CHEST_PLACES:
            defects.append(Defect(UNKNOWN_POSITION, str(path), cells["location"]))
    described["channel"] = channel_of(cells)
    if not is_unknown(cells.get("split")):
        if cells["split"] not in SPLITS:
            raise ValueError(f"split is {cells['split']!r}; expected {', '.join(SPLITS)} or nothing")
        described["split"] = cells["split"]
    return described


def _location(place: str) -> str:
    """Return the model's name of a place on the chest where it has one, else ours, else as it is named."""
    try:
        return check_position(place) or place
    except LaennecError:
        return chest_place(place) or place


def _counted_once(defects: list[Defect]) -> list[Defect]:
    """The defects, with unknown positions last, as one defect for each table."""
    places: dict[str, Counter[str]] = {}
    for each in defects:
        if each.kind == UNKNOWN_POSITION:
            places.setdefault(each.path, Counter())[each.detail] += 1
    others = [each for each in defects if each.kind != UNKNOWN_POSITION]
    return others + [_positions(path, own) for path, own in places.items()]


def _positions(path: str, places: Counter[str]) -> Defect:
    examples = ", ".join(f"{place!r} ({count})" for place, count in places.most_common(SHOWN_PLACES))
    more = len(places) - SHOWN_PLACES
    others = f" and {counted(more, 'other')}" if more > 0 else ""
    rows = counted(places.total(), "row")
    what = f"{rows} with a location that is no known place on the chest, kept as it is: {examples}{others}"
    return Defect(UNKNOWN_POSITION, path, what)


def tiny(root: Path) -> None:
    """Two recordings with label files of two formats."""
    write_sound(root / "anna" / "1.wav")
    write_text(root / "anna" / "1.txt", "0\t0.4\tNormal\n0\t0.4\tWheeze\n")
    write_sound(root / "2.wav")
    event = '{"start": "100", "end": "900", "type": "Normal"}'
    write_text(root / "2.json", f'{{"record_annotation": "Normal", "event_annotation": [{event}]}}')
