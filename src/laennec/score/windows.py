"""Windows of seconds that hold wheezes, crackles, both or neither: the table, and how well they are told.

Either is scored by itself: the area under the ROC curve, and the sensitivity at a specificity, each with its
interval over patients. Several models of one kind, such as seeds, are averaged within every draw; two kinds
are compared on the same draws.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from laennec.annotations.table import for_spreadsheet
from laennec.errors import LaennecError
from laennec.files import write_text
from laennec.labels import WINDOW_LABELS
from laennec.score.bootstrap import DRAWS, Interval, Patients, over_patients
from laennec.score.confusion import Floats
from laennec.score.predictions import read_table
from laennec.score.ranking import Ranking, rank_scores, ranking_scores
from laennec.score.text import interval, number

SPECIFICITY = 0.9  # at which the sensitivity is told
COLUMNS = ("recording", "dataset", "subject", "start_s", *WINDOW_LABELS)


@dataclass(frozen=True)
class Windows:
    """Windows of recordings, what is annotated of them, and what models say."""

    recordings: tuple[str, ...]
    datasets: tuple[str, ...]
    subjects: tuple[str, ...]
    """"" where not known."""
    start_s: Floats
    target: Floats
    """``(windows, 2)``: 1 where `WINDOW_LABELS` are heard, 0 where not, NaN where that is not known."""
    scores: Mapping[str, Floats]
    """``(windows, 2)`` of each model, higher where it hears more."""

    def __len__(self) -> int:
        return len(self.recordings)

    def chosen(self, rows: NDArray[Any] | Sequence[bool]) -> "Windows":
        """The windows where `rows` is True."""
        index = np.flatnonzero(rows)
        names = {
            name: tuple(getattr(self, name)[k] for k in index)
            for name in ("recordings", "datasets", "subjects")
        }
        scores = {name: own[index] for name, own in self.scores.items()}
        return replace(self, **names, start_s=self.start_s[index], target=self.target[index], scores=scores)

    def of(self, dataset: str) -> "Windows":
        """The windows of a data set."""
        return self.chosen(np.array([own == dataset for own in self.datasets]))


class WindowScore(TypedDict):
    """How well a label is told in the windows of which it is known."""

    windows: int
    positive: int
    patients: int
    positive_patients: int
    auc: float | None
    auc_interval: Interval | None
    sensitivity: float | None
    """At a specificity of `SPECIFICITY`."""
    sensitivity_interval: Interval | None


def sensitivity_at(ranking: Ranking, counts: Floats, specificity: float = SPECIFICITY) -> Floats:
    """Largest sensitivity of a threshold that keeps the specificity, ``(draws,)``, NaN without windows.

    `counts` is how often each draw has each patient, ``(draws, patients)``.
    """
    weight = counts.astype(np.float32)
    true, false = ((weight @ table.T).astype(np.float64) for table in (ranking.true, ranking.false))
    positives, negatives = (
        (weight @ total).astype(np.float64)[:, None] for total in (ranking.positives, ranking.negatives)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        kept = false <= (1 - specificity) * negatives + 1e-6
        best = np.where(kept, true / positives, 0.0).max(1, initial=0.0)
    return np.where((positives > 0) & (negatives > 0), best[:, None], np.nan)[:, 0]


def window_scores(windows: Windows, models: Sequence[str], draws: int = DRAWS) -> dict[str, WindowScore]:
    """Scores of each label, of several models the mean."""
    return {label: _score(windows, column, models, draws) for column, label in enumerate(WINDOW_LABELS)}


def _score(windows: Windows, column: int, models: Sequence[str], draws: int) -> WindowScore:
    own, patients, rankings = _ranked(windows, column, models)
    positive = own.target[:, column] > 0.5

    def of_draws(times: Floats) -> dict[str, Floats]:
        return _statistics(rankings, times)

    found = over_patients(len(patients), of_draws, draws)
    return WindowScore(
        windows=len(own),
        positive=int(positive.sum()),
        patients=len(set(own.subjects)),
        positive_patients=len({name for name, hit in zip(own.subjects, positive, strict=True) if hit}),
        auc=found["auc"].value,
        auc_interval=found["auc"].interval,
        sensitivity=found["sensitivity"].value,
        sensitivity_interval=found["sensitivity"].interval,
    )


def window_differences(
    windows: Windows, models: Sequence[str], others: Sequence[str], draws: int = DRAWS
) -> dict[str, dict[str, Any]]:
    """What the models have more than others, of each label, with paired intervals over patients."""
    differences = {}
    for column, label in enumerate(WINDOW_LABELS):
        _, patients, own = _ranked(windows, column, models)
        _, _, other = _ranked(windows, column, others)

        def of_draws(times: Floats, own: Any = own, other: Any = other) -> dict[str, Floats]:
            first, second = _statistics(own, times), _statistics(other, times)
            return {name: first[name] - second[name] for name in first}

        found = over_patients(len(patients), of_draws, draws)
        differences[label] = {
            name: {"value": score.value, "interval": score.interval} for name, score in found.items()
        }
    return differences


def _ranked(windows: Windows, column: int, models: Sequence[str]) -> tuple[Windows, Patients, list[Ranking]]:
    """The windows of which a label is known, their patients, and each model's ranking of them."""
    own = windows.chosen(~np.isnan(windows.target[:, column]))
    patients = Patients.of(own.subjects)
    positive = own.target[:, column] > 0.5
    return (
        own,
        patients,
        [
            rank_scores(positive, own.scores[name][:, column], patients.of_item, len(patients))
            for name in models
        ],
    )


def _statistics(rankings: Sequence[Ranking], times: Floats) -> dict[str, Floats]:
    return {
        "auc": np.mean([ranking_scores(own, times)[0] for own in rankings], axis=0),
        "sensitivity": np.mean([sensitivity_at(own, times) for own in rankings], axis=0),
    }


def threshold_at(target: Floats, score: Floats, specificity: float = SPECIFICITY) -> float:
    """Lowest threshold, at or above which a label is said to be heard, that keeps the specificity.

    LaennecError without windows that do not hold it.
    """
    negatives = np.sort(score[target < 0.5])
    if not len(negatives):
        raise LaennecError("no window is known to hold none; a threshold cannot be chosen")
    allowed = math.floor((1 - specificity) * len(negatives) + 1e-9)
    return float(np.nextafter(negatives[len(negatives) - 1 - allowed], np.inf))


WINDOW_HEADER = (
    "data set",
    "heard",
    "windows, patients",
    "with it",
    "AUC",
    "95 %",
    f"sensitivity at specificity {SPECIFICITY:g}",
    "95 %",
)


def window_rows(datasets: Mapping[str, Mapping[str, WindowScore]]) -> list[list[str]]:
    """Rows of `WINDOW_HEADER`: scores of the windows of several data sets."""
    return [
        [name, label, *window_cells(own[label])] for name, own in datasets.items() for label in WINDOW_LABELS
    ]


def window_cells(own: WindowScore) -> list[str]:
    """Cells of a row of `WINDOW_HEADER`, from the third on."""
    return [
        f"{own['windows']}, {own['patients']}",
        f"{own['positive']}, {own['positive_patients']}",
        number(own["auc"], missing="-"),
        interval(own["auc_interval"], missing="-"),
        number(own["sensitivity"], missing="-"),
        interval(own["sensitivity_interval"], missing="-"),
    ]


# --- the table ----------------------------------------------------------------------------------------------


def write_windows(path: Path, windows: Windows) -> None:
    """Write a CSV table: a row per window, two columns for each model."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [f"{model} {label}" for model in windows.scores for label in WINDOW_LABELS]
    writer.writerow([*COLUMNS, *names])
    for row in range(len(windows)):
        who = (windows.recordings[row], windows.datasets[row], windows.subjects[row])
        known = ["" if math.isnan(value) else f"{value:g}" for value in windows.target[row]]
        values = [f"{value:.5g}" for own in windows.scores.values() for value in own[row]]
        writer.writerow([*map(for_spreadsheet, who), f"{windows.start_s[row]:g}", *known, *values])
    write_text(path, text.getvalue())


def read_windows_table(path: Path) -> Windows:
    """Read what `write_windows` wrote, compressed or not; LaennecError if it is something else."""
    header, *rows = read_table(path) or [[]]
    if tuple(header[: len(COLUMNS)]) != COLUMNS or not rows:
        raise LaennecError(f"{path}: no table of windows; expected the columns {', '.join(COLUMNS)}")
    models = [name.rpartition(" ")[0] for name in header[len(COLUMNS) :: len(WINDOW_LABELS)]]
    try:
        number = np.array(
            [[float(cell) if cell else np.nan for cell in row[3:]] for row in rows], np.float64
        ).reshape(len(rows), len(header) - 3)
    except ValueError as error:
        raise LaennecError(f"{path}: a row is damaged ({error})") from error
    width = len(WINDOW_LABELS)
    scores = {model: number[:, 1 + width * (k + 1) : 1 + width * (k + 2)] for k, model in enumerate(models)}
    recordings, datasets, subjects = (tuple(row[k] for row in rows) for k in range(3))
    return Windows(recordings, datasets, subjects, number[:, 0], number[:, 1 : 1 + width], scores)


def joined_windows(parts: Sequence[Windows]) -> Windows:
    """Windows of several folds as one table."""

    def names(column: str) -> tuple[str, ...]:
        return tuple(name for part in parts for name in getattr(part, column))

    return Windows(
        names("recordings"),
        names("datasets"),
        names("subjects"),
        np.concatenate([part.start_s for part in parts]),
        np.concatenate([part.target for part in parts]),
        {name: np.concatenate([part.scores[name] for part in parts]) for name in parts[0].scores},
    )
