"""ICBHI 2017 Respiratory Sound Database: recordings with their respiratory cycles, read as distributed.

``ICBHI_final_database/*.wav`` (or FLAC) with a text file each: a line a cycle, ``start end crackles
wheezes``, in seconds and 0 or 1. Beside or in that folder lie the official split of 920 recordings, the
demographics and the diagnoses; whatever of the three is missing is only not known.

File names are ``patient_index_location_mode_device``. Copies differ in small ways, all of which are read and
reported: CRLF line ends, an empty line, and ``226_1b1_Pl_sc_Meditron`` in the split for the recording
``226_1b1_Pl_sc_LittC2SE``. The official split has patients 156 and 218 in both halves.

Source: Rocha et al., Physiological Measurement 40(3), 2019; the challenge's page.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laennec.annotations import described, read_labels
from laennec.annotations.text import read_text
from laennec.audio.folder import AUDIO_SUFFIXES
from laennec.audio.samples import by_number, counted
from laennec.datasets import check as checks
from laennec.datasets.table import (
    Archive,
    Defect,
    checked_level,
    clips_table,
    files_of,
    has_files,
    label_clips,
    noted,
    patient_of,
)
from laennec.datasets.tiny import write_sound, write_text
from laennec.errors import LaennecError, no_folder
from laennec.labels import ICBHI_CYCLES, combined_cycle, to_icbhi

if TYPE_CHECKING:
    import pandas as pd

NAME = "icbhi"
TITLE = "ICBHI 2017 Respiratory Sound Database"
HOMEPAGE = "https://bhichallenge.med.auth.gr/ICBHI_2017_Challenge"
LICENCE = "freely available for research, as its homepage says"
CITATION = (
    "B. M. Rocha et al., An open access database for the evaluation of respiratory sound classification "
    "algorithms, Physiological Measurement 40(3), 035001, 2019"
)
LABELS = {"event": ICBHI_CYCLES, "record": ICBHI_CYCLES}
SPLIT_FILE = "ICBHI_challenge_train_test.txt"
DEMOGRAPHICS_FILE = "ICBHI_Challenge_demographic_information.txt"
DIAGNOSIS_FILE = "ICBHI_Challenge_diagnosis.txt"
_FILES = "https://bhichallenge.med.auth.gr/sites/default/files/ICBHI_final_database"
# No checksum is published, so the contents are counted (`verify`).
ARCHIVES = tuple(
    Archive(f"{_FILES}/{name}")
    for name in ("ICBHI_final_database.zip", SPLIT_FILE, DEMOGRAPHICS_FILE, DIAGNOSIS_FILE)
)
# Rocha et al., Table 2; the split as published.
RECORDINGS, PATIENTS = 920, 126
CYCLES = {"normal": 3642, "crackle": 1864, "wheeze": 886, "both": 506}
SPLIT_RECORDINGS = {"train": 539, "test": 381}

DEVICES = ("AKGC417L", "LittC2SE", "Litt3200", "Meditron")
MATCHES = has_files(SPLIT_FILE, "ICBHI_final_database/", "[0-9]*_*_[A-Z][a-z]_[sm]c_*.txt")


@dataclass
class _Tables:
    """The three text files beside the recordings."""

    split: dict[str, str] = field(default_factory=dict)
    demographics: dict[str, dict[str, Any]] = field(default_factory=dict)
    diagnosis: dict[str, str] = field(default_factory=dict)


def load(root: str | os.PathLike[str], level: str = "event") -> pd.DataFrame:
    """Read ICBHI 2017 as a clips table; no audio is decoded at level ``event``.

    Parameters
    ----------
    root
        The folder that holds ``ICBHI_final_database``, or that folder itself. A part of the database is
        read as well; the recordings that the split lists and that are not there are counted in the defects.
    level
        ``event``: a row per respiratory cycle: normal, crackle, wheeze or both. ``record``: a row per
        recording, labelled by all of its cycles together (ours: the database labels cycles only).

    Raises
    ------
    LaennecError
        If `root` is no folder or holds no annotated recording.
    """
    rows, defects = read(Path(root), level)
    return checks.to_table(rows, defects, root, "no ICBHI annotation with its recording was found")


def read(root: Path, level: str = "event") -> tuple[list[dict[str, Any]], list[Defect]]:
    """Return the clips as mappings, and every defect that can be seen without opening audio."""
    checked_level(level)
    if not root.is_dir():
        raise LaennecError(f"{root}: {no_folder(root)}; give the one that holds ICBHI_final_database")
    defects: list[Defect] = []
    audio, texts = _find(root, defects)
    tables = _read_tables(root, defects)
    _match_renamed(tables.split, set(audio), root, defects)
    rows = []
    for stem, path in sorted(audio.items()):
        recording = _describe(stem, path, tables, defects)
        if recording is None:
            continue
        annotation = texts.get(path.with_suffix(""))
        if annotation is None:
            defects.append(Defect("no annotation", str(path), f"no {stem}.txt beside it"))
            continue
        cycles = list(label_clips(read_labels(annotation), annotation, stem, defects, to_icbhi))
        if level == "event":
            rows += [{**recording, **cycle} for cycle in cycles]
        elif cycles:
            label = combined_cycle(cycle["label"] for cycle in cycles)
            rows.append({**recording, "clip_id": stem, "start_s": 0.0, "label": label})
    defects += _absent(tables.split, audio, root)
    return rows, defects


def check(root: str | os.PathLike[str], progress: bool = False) -> list[Defect]:
    """Return everything that is wrong with a copy; every annotated recording is decoded once."""
    rows, defects = read(Path(root))
    others = checks.check_clips(clips_table(rows), progress=progress)
    # The official list tells of patients in both halves even where half of the recordings is not here.
    return defects + [defect for defect in others if defect.kind != "patient in two splits"]


def _find(root: Path, defects: list[Defect]) -> tuple[dict[str, Path], dict[Path, Path]]:
    """Each recording's file by its stem, WAV before FLAC, and the text files by their path without ending."""
    audio: dict[str, Path] = {}
    texts: dict[Path, Path] = {}
    for path in sorted(
        files_of(root, defects), key=lambda path: (path.parent, path.suffix.lower() != ".wav")
    ):
        if path.suffix.lower() in AUDIO_SUFFIXES:
            audio.setdefault(path.stem, path)
        elif path.suffix.lower() == ".txt":
            texts[path.with_suffix("")] = path
    return audio, texts


def _describe(stem: str, path: Path, tables: _Tables, defects: list[Defect]) -> dict[str, Any] | None:
    """What the name and the three tables tell of a recording."""
    name = described.icbhi(stem)
    if name is None:
        detail = "not patient_index_location_mode_device; left out"
        defects.append(Defect("malformed name", str(path), detail))
        return None
    patient = name["subject"]
    if tables.split and stem not in tables.split:
        defects.append(Defect("unknown label", str(path), f"{SPLIT_FILE} does not list it; split unknown"))
    return {
        "recording": stem,
        "path": str(path),
        **name,
        "channel": 0,
        "split": tables.split.get(stem),
        "diagnosis": tables.diagnosis.get(patient),
        "dataset": NAME,
        **tables.demographics.get(patient, {}),
    }


def _rows(root: Path, name: str, columns: int, defects: list[Defect]) -> Iterator[list[str]]:
    """Yield the cells of a table in the folder, above it or one folder below; note what is odd once."""
    places = [root, root.parent, *sorted(path for path in root.iterdir() if path.is_dir())]
    path = next((place / name for place in places if (place / name).is_file()), None)
    if path is None:
        defects.append(Defect("missing", str(root / name), "not there; what it would tell is unknown"))
        return
    try:
        lines = read_text(path).split("\n")
    except ValueError as error:
        defects.append(Defect("malformed annotation", str(path), str(error)))
        return
    if name == SPLIT_FILE and b"\r\n" in path.read_bytes():
        defects.append(Defect("odd form", str(path), "lines end with CRLF; read all the same"))
    blank = sum(not line.strip() for line in lines[:-1])  # the last is what follows the last line's end
    if blank:
        defects.append(Defect("odd form", str(path), f"{counted(blank, 'empty line')}; left out"))
    for number, line in enumerate(lines, start=1):
        cells = line.split()
        if cells and len(cells) != columns:
            detail = f"line {number}: expected {columns} columns, found {line!r}"
            defects.append(Defect("malformed annotation", str(path), detail))
        elif cells:
            yield cells


def _read_tables(root: Path, defects: list[Defect]) -> _Tables:
    tables = _Tables()
    halves: dict[str, set[str]] = {"train": set(), "test": set()}
    for stem, half in _rows(root, SPLIT_FILE, 2, defects):
        if half not in halves:
            detail = f"{stem} is {half!r}; expected train or test"
            defects.append(Defect("malformed annotation", SPLIT_FILE, detail))
            continue
        tables.split[stem] = half
        halves[half].add(stem.split("_")[0])
    both = sorted(halves["train"] & halves["test"])
    if both:
        are = f"{counted(len(both), 'patient')} {by_number(len(both), 'is', 'are')}"
        detail = f"{are} in both halves of the official split: {', '.join(both)}"
        defects.append(Defect("patient in two splits", SPLIT_FILE, detail))
    for patient, age, sex, *_ in _rows(root, DEMOGRAPHICS_FILE, 6, defects):
        where = f"patient {patient}"
        with noted(defects, DEMOGRAPHICS_FILE, where):
            tables.demographics[patient] = patient_of(age, sex, defects, DEMOGRAPHICS_FILE, where)
    tables.diagnosis = dict(_rows(root, DIAGNOSIS_FILE, 2, defects))
    return tables


def _match_renamed(split: dict[str, str], stems: set[str], root: Path, defects: list[Defect]) -> None:
    """Give a listed recording's half to a file that differs from it in the device alone."""
    listed = {name.rpartition("_")[0]: name for name in split if name not in stems}
    for stem in sorted(stems - set(split)):
        name = listed.get(stem.rpartition("_")[0])
        if name is not None:
            split[stem] = split.pop(name)
            defects.append(Defect("renamed", str(root / SPLIT_FILE), f"lists {name}, whose file is {stem}"))


def _absent(split: dict[str, str], audio: dict[str, Path], root: Path) -> Iterator[Defect]:
    """Yield one defect for all listed recordings that are not here: a part of the database is usual."""
    absent = sorted(set(split) - set(audio))
    if absent:
        halves = Counter(split[stem] for stem in absent)
        counts = " and ".join(f"{halves[half]} of {half}" for half in ("train", "test") if halves[half])
        are = by_number(len(absent), "is", "are")
        detail = f"{len(absent)} of {len(split)} listed recordings {are} not here ({counts}): a part of ICBHI"
        yield Defect("missing", str(root), detail)


def verify(root: Path, progress: bool = False) -> list[Defect]:
    """Return whatever differs from the published counts; recordings that cannot be decoded are named."""
    rows, defects = read(root)
    known = ("odd form", "renamed", "patient in two splits")
    wrong = [defect for defect in defects if defect.kind not in known]
    recordings = {row["recording"]: row["split"] for row in rows}
    cycles, halves = Counter(row["label"] for row in rows), Counter(recordings.values())
    counts = {
        "recordings": (len(recordings), RECORDINGS),
        "patients": (len({row["subject"] for row in rows}), PATIENTS),
        **{f"{label} cycles": (cycles[label], n) for label, n in CYCLES.items()},
        **{f"{half} recordings": (halves[half], n) for half, n in SPLIT_RECORDINGS.items()},
    }
    wrong += [
        Defect("missing", what, f"{count} found, {published} published")
        for what, (count, published) in counts.items()
        if count != published
    ]
    _, unreadable = checks.read_audio({row["path"] for row in rows}, progress)
    return wrong + unreadable


def tiny(root: Path) -> None:
    """Four recordings of three patients, two of them in both halves of the split, with one line amiss."""
    audio = root / "ICBHI_final_database"
    for stem, lines in {
        "156_1b1_Tc_sc_Meditron": "0.1\t0.4\t0\t0\n0.4\t0.9\t1\t0\n",
        "156_2b1_Al_mc_AKGC417L": "0.0\t0.5\t0\t1\n0.5\t1.0\t1\t1\n",
        "218_1p1_Pr_sc_Litt3200": "0.2\t0.8\t0\t0\n",
        "226_1b1_Pl_sc_LittC2SE": "0.2\t0.8\t1\t0\n",
    }.items():
        write_sound(audio / f"{stem}.wav")
        write_text(audio / f"{stem}.txt", lines)
    write_text(audio / "filename_differences.txt", "'101_1b1_Al_sc_AKGC417L'\n")
    halves = {
        "156_1b1_Tc_sc_Meditron": "train",
        "156_2b1_Al_mc_AKGC417L": "test",
        "218_1p1_Pr_sc_Litt3200": "train",
        "218_9p9_Pr_sc_Litt3200": "test",
        "226_1b1_Pl_sc_Meditron": "test",
    }
    write_text(root / SPLIT_FILE, "".join(f"{stem}\t{half}\r\n" for stem, half in halves.items()) + "\r\n")
    write_text(root / DEMOGRAPHICS_FILE, "156\t80\tM\t28\tNA\tNA\r\n218\tNA\tNA\tNA\tNA\tNA\r\n")
    write_text(root / DIAGNOSIS_FILE, "156\tCOPD\n218\tCOPD\n226\tPneumonia\n")
