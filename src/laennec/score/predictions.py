"""predictions.csv: a model's probabilities for the clips of a test set.

The file has a row per clip and the columns ``clip_id, subject, label`` and one probability per class, headed
by the class in the model's order. Clips, cycles and whole recordings are written and scored alike.
"""

import csv
import gzip
import os
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from laennec.annotations.table import for_spreadsheet, from_spreadsheet
from laennec.audio.samples import counted
from laennec.errors import LaennecError, shown, unread
from laennec.files import written_whole
from laennec.score.confusion import as_runs, class_indices, ignored_classes, normal_class, validate

COLUMNS = ("clip_id", "subject", "label")


@dataclass(frozen=True)
class Predictions:
    """A model's probabilities for the clips of a test set."""

    clip_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    """Patient of each clip, "" where unknown."""
    labels: tuple[str, ...]
    """Annotated class of each clip."""
    classes: tuple[str, ...]
    """Names of the columns of `probabilities`, in the model's order."""
    probabilities: NDArray[np.float64]
    """(clips, classes), in [0, 1], rows summing to 1; (runs, clips, classes) of several trainings."""

    @property
    def label_indices(self) -> NDArray[np.int64]:
        """(clips,) index of each annotated class."""
        return class_indices(self.labels, self.classes)

    def chosen(self, rows: Sequence[int] | NDArray[np.int_]) -> "Predictions":
        """Some clips, in the order of `rows`."""
        return replace(
            self,
            clip_ids=tuple(self.clip_ids[row] for row in rows),
            subjects=tuple(self.subjects[row] for row in rows),
            labels=tuple(self.labels[row] for row in rows),
            probabilities=self.probabilities[..., rows, :],
        )


def write_predictions(path: str | os.PathLike[str], predictions: Predictions) -> None:
    """Write predictions.csv; every probability is written so that reading it gives the same float64.

    LaennecError if the clips, labels and probabilities do not fit together.
    """
    check(predictions, str(path))
    with written_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*COLUMNS, *map(for_spreadsheet, predictions.classes)])
        named = zip(predictions.clip_ids, predictions.subjects, predictions.labels, strict=True)
        for names, row in zip(named, predictions.probabilities, strict=True):
            writer.writerow([*map(for_spreadsheet, names), *(repr(float(p)) for p in row)])


def read_predictions(path: str | os.PathLike[str]) -> Predictions:
    """Read predictions.csv.

    LaennecError if it is missing, is not such a table, names a clip twice, or holds what is no probability.
    """
    header, *rows = read_table(path, "predictions.csv") or [[]]
    if tuple(header[: len(COLUMNS)]) != COLUMNS or len(header) < len(COLUMNS) + 2:
        raise LaennecError(
            f"{path}: the first line must be {','.join(COLUMNS)} and then two or more classes; "
            f"it is {shown(','.join(header))}"
        )
    rows = [row for row in rows if row]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise LaennecError(f"{path}: clip {number} has {len(row)} fields; expected {len(header)}")
    try:
        values = [[float(field) for field in row[len(COLUMNS) :]] for row in rows]
    except ValueError as error:
        raise LaennecError(f"{path}: a probability is no number ({error})") from error
    classes = tuple(header[len(COLUMNS) :])
    predictions = Predictions(
        clip_ids=tuple(row[0] for row in rows),
        subjects=tuple(row[1] for row in rows),
        labels=tuple(row[2] for row in rows),
        classes=classes,
        probabilities=np.array(values, dtype=np.float64).reshape(len(rows), len(classes)),
    )
    check(predictions, str(path))
    return predictions


def read_table(path: str | os.PathLike[str], kind: str = "a table") -> list[list[str]]:
    """Return the rows of a CSV file, plain or compressed (``.gz``); LaennecError if it is no `kind`."""
    opened = gzip.open if str(path).endswith(".gz") else open
    try:
        with opened(path, "rt", newline="", encoding="utf-8-sig") as file:
            return [list(map(from_spreadsheet, row)) for row in csv.reader(file)]
    except FileNotFoundError as error:
        raise LaennecError(f"{path}: {unread(error)}") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise LaennecError(f"{path}: cannot be read as {kind} ({error})") from error


def run_files(folder: Path) -> list[Path]:
    """Return the predictions of each seed of a cross-validation; LaennecError if it has none."""
    files = sorted(folder.glob("seed*/predictions.csv"))
    if not files:
        raise LaennecError(f"{folder}: no predictions; laennec crossvalidate writes them")
    return files


def read_runs(files: Sequence[str | os.PathLike[str]]) -> Predictions:
    """Read the predictions of several trainings for the same clips, ``(runs, clips, classes)``.

    LaennecError if there is no file, or they predict different clips or classes.
    """
    if not files:
        raise LaennecError("no predictions; laennec crossvalidate writes them")
    runs = [read_predictions(file) for file in files]
    first = runs[0]
    for file, each in zip(files, runs, strict=True):
        if (each.clip_ids, each.classes) != (first.clip_ids, first.classes):
            raise LaennecError(f"{file}: predicts other clips or classes than {files[0]}")
    return stacked(runs)


def stacked(runs: Sequence[Predictions]) -> Predictions:
    """Stack the predictions of several trainings, so that every score is the mean over them."""
    return replace(runs[0], probabilities=np.stack([run.probabilities for run in runs]))


def check(predictions: Predictions, name: str) -> None:
    """Raise LaennecError with one sentence, beginning with `name`, if predictions cannot be scored."""
    twice = [clip_id for clip_id, count in Counter(predictions.clip_ids).items() if count > 1]
    if twice:
        raise LaennecError(f"{name}: clip {twice[0]!r} occurs twice; score each clip once")
    if len(predictions.clip_ids) != len(predictions.labels):
        raise LaennecError(
            f"{name}: {counted(len(predictions.clip_ids), 'clip name')} for "
            f"{counted(len(predictions.labels), 'label')}"
        )
    try:
        for run in as_runs(predictions.probabilities):
            validate(
                predictions.labels,
                run,
                predictions.subjects,
                predictions.classes,
                normal_class(predictions.classes),
                ignored_classes(predictions.classes),
            )
    except ValueError as error:
        raise LaennecError(f"{name}: {error}") from error
