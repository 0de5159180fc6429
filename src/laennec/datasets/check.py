"""What can be wrong with the recordings of any dataset, found by reading them.

These checks know only the clips table, so they serve every dataset.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from laennec.audio.samples import counted
from laennec.audio.source import locate
from laennec.audio.stream import decoding
from laennec.datasets.simulated import PREFIX, simulated_paths
from laennec.datasets.table import Defect, clips_table, suggestion
from laennec.errors import LaennecError, without_name
from laennec.progress import track

if TYPE_CHECKING:
    import pandas as pd

# Annotation times are whole milliseconds and a file's end is not: one millisecond over is rounding.
TOLERANCE_S = 0.001


class DefectError(LaennecError):
    """A defect stops the loading of a data set, of which `clips` can be used."""

    def __init__(self, message: str, clips: pd.DataFrame) -> None:
        super().__init__(message)
        self.clips = clips


@dataclass(frozen=True)
class AudioFacts:
    """What decoding a recording tells: length in seconds, channels, a digest of its samples."""

    duration_s: float
    channels: int
    digest: str


def check_clips(
    clips: pd.DataFrame, paths: Iterable[str] = (), progress: bool = False, overlaps: bool = False
) -> list[Defect]:
    """Decode every recording of a clips table, and those of `paths`, once and return what is wrong.

    Found are ``missing`` and ``unreadable`` files, clips ``outside file``, channels that a file does not have
    (``malformed annotation``), clips of a recording that ``overlap``, recordings of several labels or
    patients (``conflicting annotation``), ``duplicate audio`` under several names, patients in two splits,
    and labels ``misspelt`` by a letter or two. With `overlaps`, clips overlap by nature, which is no defect.
    """
    facts, defects = read_audio({*clips["path"], *paths}, progress)
    defects.extend(_outside(clips, facts))
    defects.extend(_channels(clips, facts))
    if not overlaps:
        defects.extend(_overlaps(clips))
        defects.extend(_several_labels(clips))
    defects.extend(_duplicates(clips, facts))
    defects.extend(_shared_patients(clips))
    defects.extend(_several_patients(clips.dropna(subset=["subject"]).to_dict("records")))
    defects.extend(_misspelt(clips))
    return defects


def read_audio(paths: Iterable[str], progress: bool = False) -> tuple[dict[str, AudioFacts], list[Defect]]:
    """Decode files; return the facts of those that can be read and a defect for each other."""
    facts: dict[str, AudioFacts] = {}
    defects: list[Defect] = []
    for path in track(sorted(paths), "Reading recordings", shown=progress):
        if not Path(path).is_file():
            defects.append(Defect("missing", path, "no such file"))
            continue
        try:
            facts[path] = _facts(path)
        except LaennecError as error:
            defects.append(Defect("unreadable", path, without_name(error, path)))
    return facts, defects


def _facts(path: str) -> AudioFacts:
    """Decode a file; its digest is the SHA-256 of int32 samples, (frames, channels), and their rate.

    int32 holds 16 and 24 bit samples exactly, so a WAV and its FLAC have one digest.
    """
    with decoding(locate(path), any_layout=True) as decoder:
        digest = hashlib.sha256(f"{decoder.sample_rate} {decoder.channels} ".encode())
        for block in decoder.blocks():
            scaled = np.clip(np.nan_to_num(block.T.astype(np.float64)) * 2.0**31, -(2.0**31), 2.0**31 - 1)
            digest.update(np.ascontiguousarray(scaled, dtype="<i4").tobytes())
        decoder.warnings()
        return AudioFacts(decoder.length / decoder.sample_rate, decoder.channels, digest.hexdigest())


def to_table(
    rows: list[dict[str, Any]],
    defects: list[Defect],
    root: str | os.PathLike[str],
    empty: str,
    harmless: Collection[str] | None = None,
) -> pd.DataFrame:
    """Return the clips table of rows; a clip without an end has that of its file, a simulated one says so.

    LaennecError is raised if there is no row (`empty` says what was expected of the copy `root`), and
    DefectError if there is a defect of a kind that is not among the `harmless` ones; by default all are.
    """
    for row in rows:
        if row.get("end_s") is None:
            try:
                with decoding(locate(row["path"]), any_layout=True) as decoder:
                    row["end_s"] = decoder.total_length() / decoder.sample_rate
            except LaennecError as error:
                defects.append(Defect("unreadable", row["path"], without_name(error, row["path"])))
    defects.extend(_several_patients(rows))
    wrong = [defect for defect in defects if harmless is not None and defect.kind not in harmless]
    if not rows and not wrong:
        first = next((f"; {each}" for each in defects if each.kind != "no annotation"), "")
        raise LaennecError(f"{root}: {empty}{first}")
    simulated = simulated_paths(row["path"] for row in rows)
    for row in rows:
        if row["path"] in simulated:
            row["dataset"] = PREFIX + row["dataset"]
    clips = clips_table(rows, defects)
    if wrong:
        more = f" (and {len(wrong) - 1} more; `laennec datasets info` lists them)" if wrong[1:] else ""
        raise DefectError(f"{wrong[0].path}: {wrong[0].detail}{more}", clips)
    return clips


def _outside(clips: pd.DataFrame, facts: dict[str, AudioFacts]) -> Iterator[Defect]:
    row: Any  # pandas types a row as whatever a table may hold
    for row in clips.itertuples():
        known = facts.get(row.path)
        if known and row.end_s > known.duration_s + TOLERANCE_S:
            detail = f"{row.label} ends at {row.end_s:.3f} s, the file at {known.duration_s:.3f} s"
            yield Defect("outside file", row.path, detail)


def _channels(clips: pd.DataFrame, facts: dict[str, AudioFacts]) -> Iterator[Defect]:
    given = clips.dropna(subset=["channel"]).drop_duplicates(["path", "channel"])
    row: Any
    for row in given.itertuples():
        known = facts.get(row.path)
        if known and row.channel >= known.channels:
            detail = f"{row.label} is on channel {row.channel}, but the file has {known.channels}, from 0"
            yield Defect("malformed annotation", row.path, detail)


def _overlaps(clips: pd.DataFrame) -> Iterator[Defect]:
    """Yield clips that begin before an earlier one of their recording has ended; whole files do not count."""
    timed = clips[clips["end_s"].notna() & (clips["clip_id"] != clips["recording"])]
    by = ["recording", "path", "channel"]  # channels are recorded at once
    for _, group in timed.sort_values(["start_s", "end_s"]).groupby(by, sort=True, dropna=False):
        longest: Any = None
        row: Any
        for row in group.itertuples():
            if longest is not None and row.start_s < longest.end_s - TOLERANCE_S:
                before = f"{longest.label} ends at {longest.end_s:.3f} s"
                detail = f"{row.label} at {row.start_s:.3f} s begins before {before}"
                yield Defect("overlap", row.path, detail)
            if longest is None or row.end_s > longest.end_s:
                longest = row


def _several_labels(clips: pd.DataFrame) -> Iterator[Defect]:
    """Yield recordings that have several labels as a whole."""
    whole = clips[clips["end_s"].isna() | (clips["clip_id"] == clips["recording"])]
    for (_, path, _), rows in whole.groupby(["recording", "path", "channel"], sort=True, dropna=False):
        labels = sorted(set(rows["label"]))
        if labels[1:]:
            yield Defect("conflicting annotation", str(path), f"as a whole labelled {' and '.join(labels)}")


def _several_patients(rows: Iterable[Mapping[Any, Any]]) -> Iterator[Defect]:
    """Yield recordings that are of several patients, who would be torn apart by a split."""
    subjects: dict[str, dict[str, str]] = {}
    for row in rows:
        if row.get("subject") is not None:
            subjects.setdefault(row["recording"], {}).setdefault(row["subject"], row["path"])
    for own in subjects.values():
        if len(own) > 1:
            detail = f"is of several patients: {', '.join(sorted(own)[:5])}"
            yield Defect("conflicting annotation", next(iter(own.values())), detail)


def _duplicates(clips: pd.DataFrame, facts: dict[str, AudioFacts]) -> Iterator[Defect]:
    split_of = dict(zip(clips["path"], clips["split"], strict=True))  # lacks recordings without a clip
    first: dict[str, str] = {}
    for path in sorted(facts):
        other = first.setdefault(facts[path].digest, path)
        if other != path:
            one, two = split_of.get(path), split_of.get(other)
            splits = f"; {one} and {two}" if one != two else ""
            yield Defect("duplicate audio", path, f"the same samples as {other}{splits}")


def _misspelt(clips: pd.DataFrame) -> Iterator[Defect]:
    """Yield each label that nearly is one that Laennec knows: a class of its own, perhaps by a slip."""
    for label, rows in clips.groupby("label", sort=True):
        if question := suggestion(str(label)):
            detail = f"{counted(len(rows), 'clip')} labelled {label!r}{question}"
            yield Defect("misspelt label", str(rows["path"].iloc[0]), detail)


def _shared_patients(clips: pd.DataFrame) -> Iterator[Defect]:
    known = clips.dropna(subset=["split", "subject"])
    subjects = known["subject"].astype(str).groupby(known["split"]).agg(set)
    for one, other in combinations(sorted(subjects.index), 2):
        shared = sorted(subjects[one] & subjects[other])
        if shared:
            some = ", ".join(shared[:5]) + (", …" if len(shared) > 5 else "")
            yield Defect(
                "patient in two splits", f"{one} and {other}", f"{counted(len(shared), 'patient')}: {some}"
            )
