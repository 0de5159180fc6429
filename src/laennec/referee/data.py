"""What only a copy of the data set tells: lengths and annotations of clips, and recordings twice in it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from laennec.audio.samples import by_number, counted
from laennec.datasets import load
from laennec.datasets.check import read_audio
from laennec.referee.findings import CAUTION, FAULT, Finding, listed
from laennec.referee.names import ClipName
from laennec.referee.split import TEST, TRAIN
from laennec.referee.submitted import Submitted

if TYPE_CHECKING:
    import pandas as pd

_TIMES_MS = re.compile(r"-(\d+)-(\d+)$")
_ORDINAL = re.compile(r"\D*(\d+)(?:\.\w+)?$")


def read_clips(submitted: Submitted | None, dataset: str, root: Path) -> pd.DataFrame:
    """Return the data set's clips: of records where the answers have the classes of records."""
    level = "record" if submitted and "CAS" in submitted.classes else "event"
    return load(dataset, root, level)


def matched(names: Sequence[ClipName], clips: pd.DataFrame) -> NDArray[np.int64]:
    """Return the row of each name in the table, ``(names,)``, -1 where none can be told.

    A name is a clip's own (its ``clip_id``), or its recording's with a number: the clip's in the order of
    time, from 0 or from 1, whichever fits all clips of the recording. A recording of one clip needs
    no number.
    """
    row_of = {clip_id: row for row, clip_id in enumerate(clips["clip_id"])}
    of_recording: dict[str, list[int]] = defaultdict(list)
    for row in np.argsort(clips["start_s"].to_numpy(float), kind="stable").tolist():
        of_recording[str(clips["recording"].iloc[row])].append(row)
    numbers: dict[str, list[tuple[int, int]]] = defaultdict(list)
    found = np.full(len(names), -1)
    for k, name in enumerate(names):
        rows, match = of_recording.get(name.recording, []), _ORDINAL.fullmatch(name.rest)
        if name.recording + name.rest in row_of:
            found[k] = row_of[name.recording + name.rest]
        elif len(rows) == 1:
            found[k] = rows[0]
        elif match:
            numbers[name.recording].append((k, int(match[1])))
    firsts = [min(number for _, number in each) for each in numbers.values()]
    first = 0 if firsts and min(firsts) == 0 else 1
    for recording, each in numbers.items():
        rows = of_recording[recording]
        if all(0 <= number - first < len(rows) for _, number in each):
            for k, number in each:
                found[k] = rows[number - first]
    return found


def spoken_durations(names: Sequence[ClipName]) -> NDArray[np.float64] | None:
    """Return seconds of clips whose names end in times in milliseconds, as ours do; None if none does."""
    times = [_TIMES_MS.search(name.rest) for name in names]
    found = [(int(each[2]) - int(each[1])) / 1000 if each else np.nan for each in times]
    return np.array(found) if any(times) else None


def durations(clips: pd.DataFrame, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the seconds of matched clips, NaN for the others."""
    every = (clips["end_s"] - clips["start_s"]).to_numpy(float)
    return np.where(rows >= 0, every[rows], np.nan)


def labels_against_annotation(
    submitted: Submitted, clips: pd.DataFrame, rows: NDArray[np.int64]
) -> Iterator[Finding]:
    """Yield clips whose label is not the data set's."""
    annotated = clips["label"].to_numpy(str)
    if not set(submitted.classes) <= {*annotated, *submitted.classes} or not (rows >= 0).any():
        return
    if not set(annotated[rows[rows >= 0]]) <= set(submitted.classes):
        return  # other classes, such as two of four
    wrong = [
        submitted.names[k] for k, row in enumerate(rows) if row >= 0 and annotated[row] != submitted.labels[k]
    ]
    if wrong:
        there = counted(int((rows >= 0).sum()), "clip", "")
        sentence = (
            f"{len(wrong)} of {there} {by_number(len(wrong), 'is', 'are')} labelled differently from the "
            f"data set's annotation: {listed(wrong)}"
        )
        yield Finding(FAULT, "other-labels", sentence, {"names": sorted(wrong)})


def same_content(
    sets: Mapping[str, Sequence[ClipName]], clips: pd.DataFrame, progress: bool = False
) -> Iterator[Finding]:
    """Yield recordings of the test set whose samples are those of a recording that is trained on.

    Every recording of both sets is decoded once.
    """
    path_of = dict(zip(clips["recording"], clips["path"], strict=True))
    members = {which: _recordings(sets.get(which, ()), path_of) for which in (TRAIN, TEST)}
    facts, _ = read_audio({path_of[name] for each in members.values() for name in each}, progress)
    digests: dict[str, dict[str, list[str]]] = defaultdict(lambda: {TRAIN: [], TEST: []})
    for which, recordings in members.items():
        for name in recordings:
            if path_of[name] in facts:
                digests[facts[path_of[name]].digest][which].append(name)
    pairs = [
        [trained, tested]
        for each in digests.values()
        for trained in each[TRAIN]
        for tested in each[TEST]
        if trained != tested
    ]
    if pairs:
        same = len({tested for _, tested in pairs})
        sentence = (
            f"{counted(same, 'test recording', '')} {by_number(same, 'has', 'have')} exactly the samples "
            f"of a training recording: {listed(f'{tested} as {trained}' for trained, tested in pairs)}"
        )
        yield Finding(FAULT, "same-content", sentence, {"pairs": sorted(pairs)})
    absent = {
        name.recording for which in (TRAIN, TEST) for name in sets.get(which, ()) if name.recording
    } - path_of.keys()
    if absent:
        what, whose = by_number(len(absent), "is its", "are their").split()
        sentence = (
            f"{counted(len(absent), 'recording', '')} of the split {what} not in this copy, so {whose} "
            "content was not compared"
        )
        yield Finding(CAUTION, "not-compared", sentence, {"recordings": sorted(absent)})


def _recordings(names: Iterable[ClipName], path_of: Mapping[str, str]) -> list[str]:
    return sorted({name.recording for name in names} & path_of.keys())
