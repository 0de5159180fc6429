"""Tables of the data sets that a command names, with what could not be used told on stderr."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from laennec import datasets
from laennec.datasets import splits
from laennec.errors import LaennecError

# Defects of a data set that cost no clip.
REMARKS = (
    "odd form",
    "passed over",
    "renamed",
    "patient in two splits",
    "unknown column",
    "unknown position",
)


def load_clips(dataset: str, root: Path, level: str = "event") -> pd.DataFrame:
    """Read annotated events, or records; what could not be used, and who is unknown, is told on stderr."""
    clips = datasets.load(dataset, root, level)
    _tell(clips, dataset, root)
    if unknown := splits.unknown_patients(clips):
        print(f"warning: {root}: {unknown}", file=sys.stderr)
    return clips


def labelled_recordings(dataset: str, root: Path) -> pd.DataFrame:
    """One row per labelled recording and channel: ``path, channel, recording, subject``, and ``labels``.

    `labels`, a tuple, are those of the whole recording; of one that has none, those of its events or cycles.

    Raises
    ------
    LaennecError
        If the folder is no copy of the data set, or holds no label.
    """
    tables: list[pd.DataFrame] = []
    missing = None
    levels = datasets.dataset(dataset).LEVELS
    for level in [level for level in ("record", "event") if level in levels]:
        try:
            clips = datasets.load(dataset, root, level)
        except LaennecError as error:  # a folder may have labels of one kind only
            missing = error
            continue
        if not tables:
            _tell(clips, dataset, root)
        tables.append(clips.assign(level=level))
    if not tables:
        raise missing or LaennecError(f"{root}: no label is there")
    clips = pd.concat(tables, ignore_index=True)
    place = [clips["path"], clips["channel"].fillna(0)]
    of_whole = clips["level"].eq("record")
    chosen = clips[of_whole | ~of_whole.groupby(place).transform("any")]
    rows = [
        {**own.iloc[0][["path", "channel", "recording", "subject"]], "labels": tuple(own["label"])}
        for _, own in chosen.groupby(["path", chosen["channel"].fillna(0)], sort=True)
    ]
    return pd.DataFrame(rows)


def _tell(clips: pd.DataFrame, dataset: str, root: Path) -> None:
    for defect in clips.attrs.get("defects", ())[:10]:
        kind = "note" if str(defect).startswith(REMARKS) else "left out"
        print(f"{kind}: {defect}", file=sys.stderr)
    more = len(clips.attrs.get("defects", ())) - 10
    if more > 0:
        print(f"left out: {more} more; see laennec datasets info {dataset} {root}", file=sys.stderr)
