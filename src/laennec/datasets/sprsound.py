"""SPRSound, the SJTU Paediatric Respiratory Sound Database: every public layout, read in place.

Layouts differ in their folders only: ``train_wav`` and ``train_json``; ``BioCAS2022/train2022_wav`` and
``test2022_json/inter_test_json``; ``Classification/valid_classification_json/2022``; ``Detection/…``. All
agree on two things, and only those are relied on: an annotation lies below a folder whose name ends in
``json`` and whose folders say ``train``, ``test`` or ``valid``, ``inter`` or ``intra``; and the audio has the
annotation's stem.

Source: Zhang et al., IEEE TBioCAS 16(5), 2022, section II; the repository's README.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laennec.annotations import LabelFile, read_labels
from laennec.annotations.sprsound import parse_name, write
from laennec.audio.folder import AUDIO_SUFFIXES
from laennec.datasets import check as checks
from laennec.datasets.table import (
    LEVELS,
    Archive,
    Defect,
    checked_level,
    clips_table,
    files_of,
    has_files,
    label_clips,
)
from laennec.datasets.tiny import write_sound, write_text
from laennec.errors import LaennecError, no_folder
from laennec.labels import SPRSOUND_EVENTS, SPRSOUND_RECORDS, spelling

if TYPE_CHECKING:
    import pandas as pd

NAME = "sprsound"
TITLE = "SPRSound: SJTU Paediatric Respiratory Sound Database"
HOMEPAGE = "https://github.com/SJTU-YONGFU-RESEARCH-GRP/SPRSound"
LICENCE = "GPL-3.0 in its repository; Creative Commons Attribution on IEEE DataPort"
CITATION = (
    "Q. Zhang et al., SPRSound: Open-Source SJTU Paediatric Respiratory Sound Database, "
    "IEEE Transactions on Biomedical Circuits and Systems 16(5), 867-881, 2022"
)
LABELS = {"event": SPRSOUND_EVENTS, "record": SPRSOUND_RECORDS}
DEVICE = "Yunting model II"  # the repository's README; the same for every recording
# Holds the releases of 2022 to 2025, with the maintainers' correction of 199 overlapping events.
COMMIT = "b9c4f8c"
# GitHub makes this archive on demand and publishes no checksum for it, so it is verified by its contents.
ARCHIVES = (Archive(f"{HOMEPAGE}/archive/{COMMIT}.zip"),)
INDEX = "sprsound_train.tsv"
MATCHES = has_files("**/*_json/")
CUTS = (1800, 2700)  # between recordings of the training set: annotation habits change along the numbers

FOLDER_SPLITS = {
    "inter": "test-inter",
    "intra": "test-intra",
    "train": "train",
    "test": "test",
    "valid": "test",
}


def load(root: str | os.PathLike[str], level: str = "event") -> pd.DataFrame:
    """Read SPRSound's annotations as a clips table; no audio is decoded.

    Parameters
    ----------
    root
        The folder of any public layout, or of one release inside it. Audio may be WAV or FLAC.
    level
        ``event``: a row per annotated event, in seven classes. ``record``: a row per recording, in five,
        from 0 s to the end that its header states.

    Raises
    ------
    LaennecError
        If `root` is no folder or holds no annotation that has audio.
    """
    rows, defects = read(Path(root), level)
    empty = f"no SPRSound {level} annotation with its recording was found"
    return checks.to_table(rows, defects, root, empty)


def read(root: Path, level: str = "event") -> tuple[list[dict[str, Any]], list[Defect]]:
    """Return the clips as mappings, and every defect that can be seen without opening audio."""
    checked_level(level)
    defects: list[Defect] = []
    return _rows(_recordings(root, defects), defects, (level,)), defects


def check(root: str | os.PathLike[str], progress: bool = False) -> list[Defect]:
    """Return everything that is wrong with a copy of SPRSound; every annotated recording is decoded once."""
    root = Path(root)
    defects: list[Defect] = []
    recordings = _recordings(root, defects)
    rows = _rows(recordings, defects, LEVELS)
    annotations, audio = _find(root, [])
    defects.extend(
        Defect("no annotation", str(audio[stem][0]), f"no {stem}.json in a folder named …json")
        for stem in sorted(set(audio) - {path.stem for path in annotations})
    )
    paths = [recording["path"] for recording, _, _ in recordings]
    return defects + checks.check_clips(clips_table(rows), paths, progress)


def _recordings(root: Path, defects: list[Defect]) -> list[tuple[dict[str, Any], Path, LabelFile]]:
    """Return each recording's columns, annotation file and annotation; one annotation for each recording."""
    if not root.is_dir():
        raise LaennecError(
            f"{root}: {no_folder(root)}; give the folder that holds SPRSound, such as one with train_json"
        )
    annotations, audio = _find(root, defects)
    if not annotations:
        raise LaennecError(
            f"{root}: no SPRSound annotation here; expected .json files in a folder below it such as "
            "train_json or BioCAS2022/train2022_json"
        )
    recordings = []
    seen: dict[str, tuple[Path, LabelFile]] = {}
    for path in annotations:
        annotation = read_labels(path)
        whole = [problem for problem in annotation.problems if not problem.where]
        if whole:
            defects.append(Defect("malformed annotation", str(path), str(whole[0])))
            continue
        if path.stem in seen:
            defects.extend(_conflict(path, annotation, *seen[path.stem], root))
            continue
        seen[path.stem] = path, annotation
        if path.stem not in audio:
            defects.append(
                Defect("missing", str(path), f"no {path.stem}.wav or {path.stem}.flac below {root}")
            )
            continue
        recording = {
            **_from_name(path, defects),
            "split": split_of(place := path.relative_to(root)),
            "release": release_of(place),
            "path": str(_nearest(audio[path.stem], path)),
        }
        recordings.append((recording, path, annotation))
    return recordings


def split_of(path: Path) -> str | None:
    """Return the official split that an annotation's folders name, or None.

    The innermost folder that says anything decides; ``inter`` and ``intra`` stand in or below a test folder,
    and what later layouts call ``valid`` is the public test set of an earlier year.
    """
    for folder in reversed(path.parts[:-1]):
        words = set(re.findall("[a-z]+", folder.lower()))
        for word, split in FOLDER_SPLITS.items():
            if word in words:
                return split
    return None


def release_of(path: Path) -> str | None:
    """Return the year that the innermost folder names, such as ``test2023_json`` or ``2023``, or None."""
    years = (re.search(r"(?<!\d)20\d\d(?!\d)", folder) for folder in reversed(path.parts[:-1]))
    return next((year[0] for year in years if year), None)


def _find(root: Path, defects: list[Defect]) -> tuple[list[Path], dict[str, list[Path]]]:
    """Return the annotations below `root`, in the order in which they count, and each stem's audio files."""
    annotations: list[Path] = []
    audio: dict[str, list[Path]] = {}
    for path in files_of(root, defects):
        folders = path.relative_to(root).parts[:-1]
        if path.suffix.lower() in AUDIO_SUFFIXES:
            audio.setdefault(path.stem, []).append(path)
        elif path.suffix.lower() == ".json" and any(part.lower().endswith("json") for part in folders):
            annotations.append(path)
    # Where one recording is annotated by several releases, the classification tasks' labels win over the
    # detection task's, and otherwise the first release does.
    annotations.sort(key=lambda path: (is_detection(path, root), path.as_posix()))
    return annotations, {stem: sorted(paths) for stem, paths in audio.items()}


def _nearest(candidates: list[Path], annotation: Path) -> Path:
    """Return the audio file that shares most folders with its annotation; WAV before FLAC beside it."""

    def closeness(path: Path) -> tuple[int, bool]:
        return len(os.path.commonpath([path, annotation])), path.suffix.lower() == ".wav"

    return max(candidates, key=closeness)


def _conflict(
    path: Path, annotation: LabelFile, first: Path, first_annotation: LabelFile, root: Path
) -> Iterator[Defect]:
    """Yield a defect if a second annotation of a recording differs from the one that is used.

    The order of events is no difference. The detection task has no labels of recordings, and deals the
    recordings into sets of its own.
    """
    here, there = split_of(path.relative_to(root)), split_of(first.relative_to(root))
    records = {annotation.record, first_annotation.record} - {None}
    if _spans(annotation) != _spans(first_annotation) or len(records) > 1:
        yield Defect("conflicting annotation", str(path), f"differs from {first}, which is used")
    elif here != there and not is_detection(path, root):
        detail = f"is {here} here and {there} in {first}, which is used"
        yield Defect("conflicting annotation", str(path), detail)


def _spans(labels: LabelFile) -> list[tuple[float, float, str]]:
    return sorted((event.start_s, event.end_s, event.annotated or "") for event in labels.events)


def is_detection(path: Path, root: Path) -> bool:
    """Whether an annotation is the detection task's."""
    return "Detection" in path.relative_to(root).parts


def _from_name(path: Path, defects: list[Defect]) -> dict[str, Any]:
    """Return what a file name tells of a recording; what it does not tell is missing."""
    recording: dict[str, Any] = {"recording": path.stem, "dataset": NAME, "device": DEVICE, "channel": 0}
    name = parse_name(path.stem)
    if name is None or name.rest:
        detail = "not patient_age_sex_location_number; metadata unknown"
        defects.append(Defect("malformed name", str(path), detail))
        return recording
    return {
        **recording,
        "subject": name.subject,
        "age_years": name.patient.age_years,
        "sex": name.patient.sex,
        "location": name.patient.position or name.place,
    }


def _rows(
    recordings: list[tuple[dict[str, Any], Path, LabelFile]], defects: list[Defect], levels: tuple[str, ...]
) -> list[dict[str, Any]]:
    return [
        {**recording, **clip}
        for recording, path, annotation in recordings
        for clip in _clips(path, annotation, defects, levels)
    ]


def _clips(
    path: Path, labels: LabelFile, defects: list[Defect], levels: tuple[str, ...] = LEVELS
) -> Iterator[dict[str, Any]]:
    """Yield the recording's own label and its events, those with a known label; note the others.

    Some files of 2024 and 2025 have no label of the recording, which is no defect.
    """
    if "record" in levels:
        if labels.record in SPRSOUND_RECORDS:
            yield {"clip_id": path.stem, "start_s": 0.0, "label": labels.record}
        elif labels.record is not None:
            defects.append(Defect("unknown label", str(path), f"the recording is {labels.record!r}"))
    if "event" in levels:
        known = partial(spelling, vocabulary=SPRSOUND_EVENTS)
        yield from label_clips(labels, path, path.stem, defects, known)


def digests(root: Path, progress: bool = False) -> dict[str, tuple[str, str]]:
    """Return a digest of each recording's samples and one of its annotation, 12 hexadecimal digits each.

    Both are of what is meant, not of the bytes on disk: a WAV and its FLAC agree, and so do annotations
    that differ in the order of their events.
    """
    defects: list[Defect] = []
    recordings = _recordings(root, defects)
    facts, _ = checks.read_audio([recording["path"] for recording, _, _ in recordings], progress)
    stored = {}
    for recording, path, annotation in recordings:
        labels = sorted((clip["clip_id"], clip["label"]) for clip in _clips(path, annotation, defects))
        audio = facts[recording["path"]].digest if recording["path"] in facts else ""
        stored[path.stem] = audio[:12], hashlib.sha256(json.dumps(labels).encode()).hexdigest()[:12]
    return stored


def read_index() -> dict[str, tuple[str, str]]:
    """Return the published training set's digests (BioCAS 2022: 1,949 recordings), as :func:`digests`."""
    lines = files(__package__).joinpath(INDEX).read_text(encoding="utf-8").splitlines()
    return {stem: (audio, labels) for stem, audio, labels in (line.split("\t") for line in lines)}


def verify(root: Path, progress: bool = False) -> list[Defect]:
    """Return every recording of the training set that a copy lacks or holds otherwise than published.

    Test sets are not in the index; that they unpack whole is the archive's own checksums' to tell.
    """
    stored = digests(root, progress)
    defects = []
    for stem, (audio, labels) in read_index().items():
        if stem not in stored:
            defects.append(Defect("missing", stem, "the recording or its annotation is not in this copy"))
        elif stored[stem][0] != audio:
            defects.append(Defect("unreadable", stem, "its samples are not those published"))
        elif stored[stem][1] != labels:
            defects.append(Defect("conflicting annotation", stem, "its annotation is not the one published"))
    return defects


def tiny(root: Path) -> None:
    """Two recordings: one of the training set, one of a test set whose patient is not known."""
    recordings = {
        "train": ("40000001_4.5_0_p1_11", [(0.0, 0.4, "Normal"), (0.0, 0.4, "Wheeze")], "CAS"),
        "test": ("_5.3_0_p8_34877", [(0.1, 0.9, "Normal")], "Normal"),
    }
    for part, (stem, clips, label) in recordings.items():
        write_sound(root / f"{part}_wav" / f"{stem}.wav")
        write_text(root / f"{part}_json" / f"{stem}.json", json.dumps(write(clips, label)))
