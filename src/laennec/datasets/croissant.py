"""A copy of a data set as Croissant metadata: its files with their digests, and its table as record sets.

Everything stands in one JSON-LD file: recordings, events, labels of whole recordings and patients are inline
records, so that a reader needs none of the label files. Paths are below the data set's folder. Whatever is
not known of a data set is left out.

Source: MLCommons, "Croissant Format Specification" 1.0, and "Croissant RAI Vocabulary" 1.0.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from laennec.audio.samples import counted
from laennec.datasets.discovery import DataSet
from laennec.datasets.simulated import shown_name
from laennec.datasets.table import NUMBERS
from laennec.errors import LaennecError
from laennec.files import begins, refuse_loss, sha256_of, stored_json, write_new
from laennec.progress import track

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
FEW_PATIENTS = 20
YOURS = "yours"  # the licence of data sets whose recordings are the user's own
PATIENT = {"sex": "sex", "diagnosis": "diagnosis"}  # what is the same in all recordings of most patients
# Columns of the clips table, and what they are; docs/datasets.md has more.
OF_RECORDINGS = {
    "path": "the audio file, below the data set's folder",
    "channel": "channel of the file, from 0",
    "subject": "the patient",
    "location": "where on the chest",
    "device": "what recorded it",
    "age_years": "age in years",
    "sex": "sex of the patient",
    "diagnosis": "of the patient",
    "split": "the set that it belongs to",
    "release": "year of the release that it is of",
    "dataset": "name of the data set",
}
OF_CLIPS = {
    "clip_id": "unique and stable",
    "start_s": "start in the file, seconds",
    "end_s": "end in the file, seconds",
    "label": "the annotation",
    "inspiration_end_s": "end of inspiration in the file, seconds",
}
LEVELS = {
    "event": ("events", "annotated events or respiratory cycles"),
    "record": ("recording_labels", "labels of whole recordings"),
}
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def write_croissant(module: DataSet, root: Path, out: Path, progress: bool = True) -> list[str]:
    """Write the metadata of a copy, and return what is to be said of it, a sentence a line.

    LaennecError if the folder is no copy, a recording lies outside it, or `out` is another file, also
    metadata that were edited.
    """
    refuse_loss(out, begins(b'{\n  "@context"'))  # before the work, which takes minutes
    metadata = croissant(module, root, progress)
    write_new(out, stored_json(metadata))
    sizes = {each["name"].replace("_", " "): len(each["data"]) for each in metadata["recordSet"]}
    parts = [counted(len(metadata["distribution"]), "file")]
    parts += [counted(count, name.removesuffix("s")) for name, count in sizes.items()]
    personal, limits = (
        metadata.get(f"rai:{key}") for key in ("personalSensitiveInformation", "dataLimitations")
    )
    return [
        f"{out}: {', '.join(parts)}",
        f"Its paths are those below {root}, where it belongs",
        *([f"It tells of patients: {personal}"] if personal else []),
        *([f"Limits that it states: {limits}"] if limits else []),
        *([] if "license" in metadata else ["It names no licence; add one (license) before you share it"]),
    ]


def croissant(module: DataSet, root: Path, progress: bool = False) -> dict[str, Any]:
    """Return the metadata of a copy as a JSON-LD object.

    Parameters
    ----------
    module
        The data set.
    root
        Its folder.
    progress
        Whether to show how far the digests are.

    Raises
    ------
    LaennecError
        If the folder is no copy, or a recording lies outside it.
    """
    tables = _tables(module, root)
    every = pd.concat(tables.values(), ignore_index=True)
    recordings = _recordings(every)
    sets = [
        _record_set("recordings", "recordings, by channel where they have several", _of(recordings), "id")
    ]
    for level, clips in tables.items():
        name, described = LEVELS[level]
        rows = [
            {"clip_id": row["clip_id"], "recording": key, **_known(row, tuple(OF_CLIPS)[1:])}
            for row, key in zip(clips.to_dict("records"), _keys(clips, recordings), strict=True)
        ]
        sets.append(_record_set(name, described, rows, "clip_id", {"recording": "recordings/id"}))
    if patients := list(_patients(recordings)):
        sets.insert(
            1, _record_set("patients", "patients, with what is the same in all recordings", patients, "id")
        )
        _refer(sets[0], "subject", "patients/id")
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        **_about(module, every),
        **_responsible(every, tables),
        "distribution": list(_files(every, root, progress)),
        "recordSet": sets,
    }


def _tables(module: DataSet, root: Path) -> dict[str, pd.DataFrame]:
    """Return the clips of every level that the copy has, with paths below its folder."""
    tables, first = {}, None
    for level in module.LEVELS:
        try:
            clips = module.load(root, level)
        except LaennecError as error:
            first = first or error
            continue
        tables[level] = clips.assign(path=[_below(path, root) for path in clips["path"]])
        tables[level].attrs = clips.attrs
    if not tables:
        raise first or LaennecError(f"{root}: no recordings")
    return tables


def _below(path: str, root: Path) -> str:
    """Return a path as it is below a folder; where that is on a computer is nobody's business."""
    base = root if root.is_dir() else root.parent
    try:
        return Path(path).resolve().relative_to(base.resolve()).as_posix()
    except ValueError:
        raise LaennecError(
            f"{path}: lies outside {base}, so the metadata cannot name it; keep recordings in one folder"
        ) from None


# --- record sets --------------------------------------------------------------------------------------------


def _recordings(every: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each recording, channel and whatever else differs between its clips, with an id."""
    columns = ["recording", *OF_RECORDINGS]
    found = every[columns].drop_duplicates(ignore_index=True)
    several = found["recording"].duplicated(keep=False)
    number = found.groupby("recording").cumcount() + 1
    names = found["recording"].astype(str)
    found.insert(0, "id", names.where(~several, names + ", part " + number.astype(str)))
    return found


def _keys(clips: pd.DataFrame, recordings: pd.DataFrame) -> list[str]:
    """Return the id of each clip's recording."""
    columns = ["recording", *OF_RECORDINGS]
    keys = {
        _identity(row): key for row, key in zip(_rows(recordings, columns), recordings["id"], strict=True)
    }
    return [keys[_identity(row)] for row in _rows(clips, columns)]


def _rows(table: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    return table[list(columns)].itertuples(index=False, name=None)


def _identity(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(None if pd.isna(value) else value for value in row)


def _of(recordings: pd.DataFrame) -> list[dict[str, Any]]:
    columns = ("recording", *OF_RECORDINGS)
    return [{"id": row["id"], **_known(row, columns)} for row in recordings.to_dict("records")]


def _known(row: Mapping[Any, Any], columns: Sequence[str]) -> dict[str, Any]:
    """Return the columns of a row as JSON has them: None where a value is missing."""
    return {name: None if pd.isna(row[name]) else row[name] for name in columns}


def _patients(recordings: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the known patients, each with what all of its recordings agree in."""
    for subject, own in recordings.dropna(subset=["subject"]).groupby("subject", sort=True):
        agreed = {name: own[name].dropna().unique() for name in PATIENT}
        same = {name: values[0] if len(values) == 1 else None for name, values in agreed.items()}
        yield {"id": str(subject), **same, "recordings": int(own["recording"].nunique())}


def _record_set(
    name: str,
    described: str,
    rows: Sequence[Mapping[str, Any]],
    key: str,
    references: Mapping[str, str] = {},
) -> dict[str, Any]:
    """Return a record set whose records stand in it; columns without any value are left out."""
    columns = [column for column in rows[0] if any(row[column] is not None for row in rows)]
    own = {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": described,
        "key": {"@id": f"{name}/{key}"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": column,
                "description": {**OF_RECORDINGS, **OF_CLIPS}.get(column, column),
                "dataType": _type(column),
            }
            for column in columns
        ],
        "data": [{f"{name}/{column}": row[column] for column in columns} for row in rows],
    }
    for column, other in references.items():
        _refer(own, column, other)
    return own


def _type(column: str) -> str:
    if column in NUMBERS:
        return "sc:Float"
    return "sc:Integer" if column in ("channel", "recordings") else "sc:Text"


def _refer(record_set: dict[str, Any], column: str, other: str) -> None:
    """Say that a field, where there is one, names a record of another set."""
    for field in record_set["field"]:
        if field["name"] == column:
            field["references"] = {"field": {"@id": other}}


# --- what is said of the whole ------------------------------------------------------------------------------


def _files(every: pd.DataFrame, root: Path, progress: bool) -> Iterator[dict[str, Any]]:
    base = root if root.is_dir() else root.parent
    paths = sorted(every["path"].unique())
    for number, path in enumerate(track(paths, "Digests of recordings", shown=progress), start=1):
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        yield {
            "@type": "cr:FileObject",
            "@id": f"file-{number}",  # a path may have blanks, which no id may
            "name": path,
            "contentUrl": path,
            "contentSize": f"{(base / path).stat().st_size} B",
            "encodingFormat": kind.replace("x-", ""),
            "sha256": sha256_of(base / path),
        }


def _about(module: DataSet, every: pd.DataFrame) -> dict[str, Any]:
    """Return name, licence and citation; simulated recordings have those of nobody."""
    simulated = bool(shown_name("", every))
    about = {
        "name": shown_name(module.NAME, every).replace(" ", "-"),
        "description": shown_name(module.TITLE, every),
        "license": None if simulated or module.LICENCE == YOURS else module.LICENCE,
        "citeAs": None if simulated else module.CITATION,
        "url": None if simulated else module.HOMEPAGE,
    }
    return {name: value for name, value in about.items() if value}


def _responsible(every: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Return what the table tells of its patients in the vocabulary of responsible AI."""
    once = every.drop_duplicates("recording")
    people = once.dropna(subset=["subject"]).drop_duplicates("subject")
    personal = [name for name in ("age_years", "sex", "diagnosis") if every[name].notna().any()]
    groups = [counted(len(people), "patient")] if len(people) else ["patients who are not known"]
    ages = every["age_years"].dropna()
    groups += [f"ages {ages.min():g} to {ages.max():g} years"] if len(ages) else []
    for column in ("sex", "device"):
        of = "patients" if column == "sex" and len(people) else "recordings"
        counts = (people if of == "patients" else once)[column].value_counts()
        shares = ", ".join(f"{name} {count}" for name, count in counts.items())
        groups += [f"{column} ({of}): {shares}"] if shares else []
    limits = list(_limits(tables))
    told = {
        "rai:dataBiases": f"Of {'; '.join(groups)}",
        "rai:personalSensitiveInformation": ", ".join(name.removesuffix("_years") for name in personal),
        "rai:dataLimitations": " ".join(limits),
    }
    return {name: value for name, value in told.items() if value}


def _limits(tables: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    for level, clips in tables.items():
        name = LEVELS[level][0].replace("_", " ")
        patients = clips.groupby("label")["subject"].nunique()
        few = [f"{label} ({count})" for label, count in patients.items() if count < FEW_PATIENTS]
        if few:
            yield f"Labels of fewer than {FEW_PATIENTS} patients among {name}: {', '.join(few)}."
        defects = len(clips.attrs.get("defects", ()))
        if defects:
            yield f"{counted(defects, 'defect')} of the copy among {name}, whose parts are left out."
