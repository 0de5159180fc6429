"""Likely label errors: annotations that out-of-fold predictions contradict, listed and not removed.

Northcutt, Jiang & Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR 70, 2021: the
label of a clip is an issue where another class is the likeliest and reaches the threshold of that class, the
mean probability of that class over the clips annotated so. Issues are ordered by the margin between the two
classes. The probabilities must come from models that were not trained on the clip or its patient.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from rich.table import Table

from laennec.audio.samples import by_number, counted
from laennec.console import plain, terminal
from laennec.datasets.table import Defect, write_csv
from laennec.errors import LaennecError
from laennec.score.predictions import Predictions, read_runs, run_files

FEW = 20  # of a class: fewer clips than this give no threshold that means anything


@dataclass(frozen=True)
class LabelIssues:
    """Likely label errors among clips.

    Attributes
    ----------
    suggested
        ``(clips,)`` index of the class that is likelier than the annotated one, or of the annotated one.
    margin
        ``(clips,)`` probability of the suggested class less that of the annotated one; 0 without an issue.
    thresholds
        ``(classes,)``; NaN for a class of fewer than `FEW` clips, which is neither an issue nor suggested.
    """

    suggested: NDArray[np.int64]
    margin: NDArray[np.float64]
    thresholds: NDArray[np.float64]

    @property
    def is_issue(self) -> NDArray[np.bool_]:
        """``(clips,)``, whether the label of a clip is likely wrong."""
        return self.margin > 0


def confident_learning(labels: ArrayLike, probabilities: ArrayLike) -> LabelIssues:
    """Find the clips whose annotation is unlikely (Northcutt et al., section 3.1).

    Parameters
    ----------
    labels
        ``(clips,)`` class indices.
    probabilities
        ``(clips, classes)`` out of fold: of models that were not trained on the clip or its patient.
    """
    label, rows = np.asarray(labels, int), np.asarray(probabilities, float)
    clips, classes = rows.shape
    of_class = [rows[label == k, k] for k in range(classes)]
    thresholds = np.array([own.mean() if len(own) >= FEW else np.nan for own in of_class])
    clip, suggested = np.arange(clips), rows.argmax(1)
    margin = rows[clip, suggested] - rows[clip, label]
    # A comparison with NaN is false: rare classes reach no threshold.
    reached = rows[clip, suggested] >= thresholds[suggested]
    unsure = ~reached | (margin <= 0) | np.isnan(thresholds[label])
    return LabelIssues(np.where(unsure, label, suggested), np.where(unsure, 0.0, margin), thresholds)


def cross_validated(path: str | os.PathLike[str]) -> Predictions:
    """Predictions of a cross-validation, averaged over its seeds, or those of one file.

    Raises
    ------
    LaennecError
        If there are none, or the seeds predict different clips.
    """
    path = Path(path)
    runs = read_runs([path] if path.is_file() else run_files(path))
    return replace(runs, probabilities=runs.probabilities.mean(0))


def audit(clips: pd.DataFrame, predictions: Predictions) -> pd.DataFrame:
    """Table of the likely label errors among a data set's clips, the largest margin first.

    Its columns are ``clip_id, recording, subject, start_s, end_s, label, suggested, p_label, p_suggested,
    margin``.

    Raises
    ------
    LaennecError
        If a predicted clip is not in the table, or has another label there.
    """
    known = clips.set_index("clip_id")
    missing = [clip for clip in predictions.clip_ids if clip not in known.index]
    if missing:
        are = f"{counted(len(missing), 'predicted clip')} {by_number(len(missing), 'is', 'are')}"
        raise LaennecError(f"{are} not in this data, first {missing[0]}")
    ordered = known.loc[list(predictions.clip_ids)].reset_index()
    differs = (ordered["label"] != list(predictions.labels)) & ordered["label"].isin(predictions.classes)
    moved = ordered["clip_id"][differs].tolist()
    if moved:
        have = f"{counted(len(moved), 'clip')} {by_number(len(moved), 'has', 'have')}"
        raise LaennecError(f"{have} another label in this data, first {moved[0]}")
    classes, probabilities = np.array(predictions.classes), predictions.probabilities
    label = predictions.label_indices
    issues = confident_learning(label, probabilities)
    rows = np.flatnonzero(issues.is_issue)
    rows = rows[np.argsort(-issues.margin[rows], kind="stable")]
    annotated, suggested = label[rows], issues.suggested[rows]
    table = ordered.loc[rows, ["clip_id", "recording", "subject", "start_s", "end_s"]].assign(
        label=classes[annotated],
        suggested=classes[suggested],
        p_label=probabilities[rows, annotated].round(4),
        p_suggested=probabilities[rows, suggested].round(4),
        margin=issues.margin[rows].round(4),
    )
    return table.reset_index(drop=True)


BEGINNING = b"clip_id,recording,subject,start_s,end_s,label,suggested,"  # of the table as a file


def counts(table: pd.DataFrame) -> list[tuple[str, str, int]]:
    """How many annotations of each class are likely another one, the most frequent first."""
    pairs = Counter(zip(table["label"].astype(str), table["suggested"].astype(str), strict=True))
    return [(label, other, count) for (label, other), count in pairs.most_common()]


def print_audit(
    clips: pd.DataFrame,
    predictions: Predictions,
    defects: Sequence[Defect],
    out: str | os.PathLike[str] | None,
    shown: int = 20,
) -> int:
    """Print likely label errors and known defects, and write all of the former as a table."""
    console = terminal()
    table = audit(clips, predictions)
    console.print(
        f"{len(table)} of {counted(len(predictions.labels), 'annotation', '')} "
        f"{by_number(len(table), 'is a likely label error', 'are likely label errors')} (confident learning, "
        "out-of-fold predictions). Listen before you change one: the models are wrong more often than the "
        "annotators. Nothing was changed.",
        soft_wrap=True,
    )
    summary = Table("annotated", "suggested", "events")
    for label, other, count in counts(table):
        summary.add_row(plain(label), plain(other), str(count))
    console.print(summary)
    for row in table.head(shown).itertuples():
        times = f"{row.start_s:.3f} to {row.end_s:.3f} s"
        perhaps = f"perhaps {row.suggested} ({row.p_suggested:.3f})"
        told = f"{row.recording}  {times}  {row.label} ({row.p_label:.3f}), {perhaps}"
        console.print(plain(told), soft_wrap=True)
    console.print(f"defects of the files and annotations themselves: {len(defects)}")
    for defect in list(defects)[:shown]:
        console.print(plain(f"  {defect}"), soft_wrap=True)
    if len(defects) > shown:
        console.print(f"  and {len(defects) - shown} more")
    if out is not None:
        write_csv(Path(out), table)
        console.print(plain(f"all of them: {out}"))
    return 0
