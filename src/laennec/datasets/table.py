"""The clips table, which every dataset returns, and what can be wrong with one.

A row is one annotated clip: a respiratory event, a cycle or a whole recording. Nothing downstream knows
how a dataset names its files. What is unknown is missing (``None`` in a text column, NaN in a number),
never a magic number.

======== ======= ============================================================================
column   type    meaning
======== ======= ============================================================================
clip_id  text    unique and stable: the recording, or the recording and its times in milliseconds
path     text    the audio file
start_s  float   where the clip starts in the file, seconds
end_s    float   where it ends, seconds; missing where only decoding would tell
label    text    one of the dataset's labels
subject  text    the patient
recording text   the recording, the same for each of its clips
location text    where on the chest
device   text    what recorded it
channel  Int64   channel of the file, from 0
age_years float  age in years
sex      text    one of :data:`laennec.labels.SEXES`
split    text    ``train``, ``test-inter``, ``test-intra``, ``test``, or missing where none is given
dataset  text    the dataset's name, after ``simulated`` for what the simulator wrote
inspiration_end_s
         float   end of inspiration in the file, seconds, where an airflow signal or an annotator gives it
diagnosis
         text    of the patient
release  text    year of the release that the recording is of, such as ``2023``
======== ======= ============================================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from laennec.annotations import LabelFile, table
from laennec.annotations.text import read_text
from laennec.audio.folder import AUDIO_SUFFIXES, files_below
from laennec.errors import LaennecError, no_folder
from laennec.files import printable, written_whole
from laennec.labels import nearest
from laennec.patient import Patient, read_age

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "clip_id",
    "path",
    "start_s",
    "end_s",
    "label",
    "subject",
    "recording",
    "location",
    "device",
    "channel",
    "age_years",
    "sex",
    "split",
    "dataset",
    "inspiration_end_s",
    "diagnosis",
    "release",
)
NUMBERS = ("start_s", "end_s", "age_years", "inspiration_end_s")
SPLITS = ("train", "test-inter", "test-intra", "test")
LEVELS = ("event", "record")


@dataclass(frozen=True)
class Defect:
    """One thing that is wrong with a dataset.

    Attributes
    ----------
    kind : str
        ``unreadable``, ``missing`` (an annotation without audio), ``no annotation`` (audio without one),
        ``malformed annotation``, ``malformed name``, ``unknown label``, ``no label``, ``no length``,
        ``unknown position``, ``outside file``, ``overlap``, ``conflicting annotation``,
        ``duplicate audio``, ``renamed``, ``odd form``, ``passed over`` (files that may be sound) or
        ``patient in two splits``.
    path : str
        The file, or the patient, it concerns.
    detail : str
        What exactly.
    """

    kind: str
    path: str
    detail: str

    def __str__(self) -> str:
        return printable(f"{self.kind}: {self.path}: {self.detail}")


@dataclass(frozen=True)
class Archive:
    """One file to download.

    Attributes
    ----------
    url : str
        Where it is published: a ``.zip`` is unpacked, any other file is kept as it is.
    sha256 : str or None
        Its checksum, 64 hexadecimal digits; None where none is published, and then the dataset's
        ``verify`` looks at the contents.
    """

    url: str
    sha256: str | None = None


def clips_table(rows: Sequence[Mapping[str, Any]], defects: Iterable[Defect] = ()) -> pd.DataFrame:
    """Build the clips table from one mapping a clip; a column that a row lacks is missing there.

    Rows are ordered by recording and start. Where two clips of a recording have the same times, the later
    one's ``clip_id`` gets ``-2``, so that it stays unique. The defects met while reading are kept as text
    in ``DataFrame.attrs["defects"]``.
    """
    import pandas as pd  # not at the top: data sets are listed without it

    def order(row: Mapping[str, Any]) -> tuple[str, float, str, str]:
        return row["recording"], row.get("start_s") or 0.0, row["clip_id"], row["label"]

    seen: Counter[str] = Counter()
    unique = []
    for row in sorted(rows, key=order):
        seen[row["clip_id"]] += 1
        repeat = seen[row["clip_id"]]
        unique.append({**row, "clip_id": f"{row['clip_id']}-{repeat}"} if repeat > 1 else row)
    # Object, not the string type: `clips.split == "train"` is then a plain mask, missing or not.
    types = {**dict.fromkeys(COLUMNS, "object"), **dict.fromkeys(NUMBERS, "float64"), "channel": "Int64"}
    clips = pd.DataFrame(
        {name: pd.Series([row.get(name) for row in unique], dtype=types[name]) for name in COLUMNS}
    )
    clips.attrs["defects"] = [str(defect) for defect in defects]
    return clips


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a table whole or not at all; no text in it is a formula in a spreadsheet."""
    with written_whole(path) as temporary:
        _each_text(frame, table.for_spreadsheet).to_csv(temporary, index=False)


def read_csv(path: Path, **options: Any) -> pd.DataFrame:
    """Read what :func:`write_csv` has written; `options` are pandas's."""
    import pandas as pd  # not at the top: data sets are listed without it

    return _each_text(pd.read_csv(path, **options), table.from_spreadsheet)


def _each_text(frame: pd.DataFrame, change: Callable[[Any], Any]) -> pd.DataFrame:
    texts = [str(name) for name, kind in frame.dtypes.items() if str(kind) in ("object", "str", "string")]
    return frame.assign(**{name: frame[name].map(change, na_action="ignore") for name in texts})


def checked_level(level: str) -> None:
    """Raise LaennecError if there is no such level."""
    if level not in LEVELS:
        raise LaennecError(f"level is {level!r}; expected one of {', '.join(LEVELS)}")


def only_records(level: str, title: str) -> None:
    """Raise LaennecError if the level is none of a data set that labels whole recordings alone."""
    checked_level(level)
    if level != "record":
        raise LaennecError(f"{title} has labels of whole recordings, none of events")


def has_files(*patterns: str) -> Callable[[Path], bool]:
    """Return a test of a folder for files or folders of these patterns, see :meth:`pathlib.Path.glob`."""
    return lambda root: root.is_dir() and any(next(root.glob(pattern), None) for pattern in patterns)


def files_of(root: Path, defects: list[Defect]) -> Iterator[Path]:
    """Yield the files of a copy as :func:`files_below` does; a folder that cannot be read is a defect."""

    def note(folder: Path, why: str) -> None:
        defects.append(Defect("unreadable", str(folder), f"the folder cannot be read ({why})"))

    return files_below(root, note)


def listed(
    root: Path, name: str, columns: Sequence[str], defects: list[Defect]
) -> tuple[dict[str, Path], list[tuple[int, dict[str, str]]]]:
    """Return a copy's recordings by their stems, and the rows of the table that lists them, with their lines.

    Raises
    ------
    LaennecError
        If `root` is no folder, or the table `name` with these columns cannot be read.
    """
    if not root.is_dir():
        raise LaennecError(f"{root}: {no_folder(root)}; give the one that holds {name}")
    files = {
        path.stem: path for path in sorted(files_of(root, defects)) if path.suffix.lower() in AUDIO_SUFFIXES
    }
    try:
        lines = table.parse(read_text(root / name), columns)
    except (OSError, ValueError) as error:
        raise LaennecError(f"{root / name}: cannot be read: {error}") from error
    defects += [Defect("malformed annotation", str(root / name), f"{own}") for own in lines.problems]
    return files, list(lines.rows)


def overlapped(
    clips: pd.DataFrame, chosen: npt.NDArray[np.bool_], others: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Whether each of the chosen clips overlaps one of the others in its recording; masks of the rows."""
    covered = np.zeros(len(clips), bool)
    start_s, end_s = clips["start_s"].to_numpy(), clips["end_s"].fillna(np.inf).to_numpy()
    groups = clips.groupby(["recording", "path", "channel"], sort=False, dropna=False).indices
    for rows in map(np.asarray, groups.values()):
        theirs = rows[others[rows]]
        for row in rows[chosen[rows]]:
            covered[row] = bool(((start_s[theirs] < end_s[row]) & (end_s[theirs] > start_s[row])).any())
    return covered


def event_id(recording: str, start_s: float, end_s: float) -> str:
    """Return the ``clip_id`` of an event: its recording and its times in whole milliseconds."""
    return f"{recording}-{round(start_s * 1000)}-{round(end_s * 1000)}"


def suggestion(label: str) -> str:
    """Return a question after the label that an unknown one is a slip of, if it looks like one."""
    word = nearest(label)
    return f"; did you mean {word}?" if word else ""


@contextmanager
def noted(defects: list[Defect], path: str | Path, where: str) -> Iterator[None]:
    """Note what is wrong with a part of an annotation, such as ``line 3``, and leave that part out."""
    try:
        yield
    except (ValueError, LaennecError) as error:
        defects.append(Defect("malformed annotation", str(path), f"{where}: {error}"))


def patient_of(
    age: str | None, sex: str | None, defects: list[Defect], path: str | Path, where: str
) -> dict[str, Any]:
    """Return the columns of a patient's age and sex as a table has them; an age in another unit is noted.

    LaennecError if one of them is neither that nor not known.
    """
    age_years, remark = read_age(age)
    patient = Patient(age_years, sex)
    if remark:
        defects.append(Defect("odd form", str(path), f"{where}: {remark}"))
    return {"age_years": patient.age_years, "sex": patient.sex}


def label_clips(
    labels: LabelFile,
    path: str | Path,
    recording: str,
    defects: list[Defect],
    known: Callable[[str], str | None] = str,
) -> Iterator[dict[str, Any]]:
    """Yield the clips of a label file, and note what is none.

    An event that begins before its recording is cut to what is inside it, as an analysis does; one without a
    label is left out. `defects` gets a defect for each part that is cut or left out. `known` gives the data
    set's word for a label, None for a label that is not the data set's.
    """
    defects.extend(Defect("malformed annotation", str(path), str(problem)) for problem in labels.problems)
    defects.extend(Defect("no length", str(path), str(point)) for point in labels.points)
    for event in labels.events:
        label = None if event.annotated is None else known(event.annotated)
        start_s = max(0.0, event.start_s)
        if event.annotated is None:
            defects.append(Defect("no label", str(path), f"{event.where}: no label; left out"))
        elif label is None:
            detail = f"{event.where} is {event.annotated!r}{suggestion(event.annotated)}"
            defects.append(Defect("unknown label", str(path), detail))
        elif event.end_s <= 0:
            detail = f"{event.where}: ends at {event.end_s:g} s, before its recording begins; left out"
            defects.append(Defect("outside file", str(path), detail))
        else:
            if event.start_s < 0:
                detail = f"{event.where}: begins at {event.start_s:g} s; cut to 0 s"
                defects.append(Defect("outside file", str(path), detail))
            clip_id = event_id(recording, start_s, event.end_s)
            yield {"clip_id": clip_id, "start_s": start_s, "end_s": event.end_s, "label": label}


def read_rows(
    path: Path, needed: Sequence[str], known: Sequence[str], defects: list[Defect]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line numbers and the cells that are not empty of a CSV with comma, semicolon or tab between.

    Raises
    ------
    LaennecError
        If it cannot be read, or lacks a column that is needed.
    """
    try:
        parsed = table.parse(read_text(path), needed, known)
    except ValueError as error:
        raise LaennecError(f"{path}: {error}") from error
    for name in sorted(set(parsed.columns) - set(known)):
        detail = f"line 1: {name!r} is not read; known are {', '.join(known)}"
        defects.append(Defect("unknown column", str(path), detail))
    defects.extend(Defect("malformed annotation", str(path), str(problem)) for problem in parsed.problems)
    yield from parsed.rows
