"""A small cohort: which of it can be cross-validated, and how well its target class is detected."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from laennec.audio.samples import by_number, counted
from laennec.datasets import splits
from laennec.errors import LaennecError, UsageError
from laennec.features.cycle import read_cycles
from laennec.score.confusion import confusion_by_group, predicted_classes
from laennec.score.predictions import Predictions
from laennec.train.build import build_parts
from laennec.train.crossval import CrossValidationData
from laennec.train.data import read_clips
from laennec.train.loop import terminal
from laennec.train.protocols import rotation
from laennec.train.recipe import Recipe

SHORTEST_CYCLE_S = 0.2  # s: ICBHI's shortest cycle; what is shorter is a slip of the annotator's
LONGEST_CYCLE_S = 131_960 / 16_000  # s: the longest cycle of Nguyen & Pernkopf's cohort
EVERY = 7  # folds between two lines of progress, where nobody watches a bar


@dataclass(frozen=True)
class Cohort:
    """A target: its cycles, their classes, and which fold each patient belongs to."""

    clips: pd.DataFrame
    fold: np.ndarray
    """``(clips,)`` fold of each clip."""
    labels: tuple[str, ...]
    sample_rate: int
    clip_samples: int
    """Length that every cycle is brought to."""
    lengths: Sequence[int]
    """Samples of each cycle."""

    @property
    def folds(self) -> int:
        return int(self.fold.max()) + 1

    def data(self, recipe: Recipe) -> CrossValidationData:
        """Its cycles as the recipe's front end has them; every fold tests once, and validates once.

        Raises
        ------
        LaennecError
            If the recipe is none of cycles.
        """
        front_end = build_parts(recipe)[0]
        if front_end.task != "cycle":
            raise LaennecError(
                f"recipe {recipe.name}: transfer works on cycles; its front end must be cycle-log-mel"
            )
        return CrossValidationData(
            self.clips, rotation(self.fold), front_end, read_clips(self.clips, recipe, front_end)
        )


def make_cohort(
    clips: pd.DataFrame,
    labels: tuple[str, ...],
    sample_rate: int,
    folds: int = 7,
    seed: int = 0,
    length_s: float = 0.0,
) -> Cohort:
    """Check a target cohort and measure its cycles.

    Parameters
    ----------
    clips
        Cycles of the classes `labels`, the target class last.
    sample_rate
        Hz, of the front end.
    folds
        As many folds; fewer where there are fewer patients with the target class.
    length_s
        Length to bring cycles to; 0 takes that of the longest, and at most the paper's 8.25 s.

    Raises
    ------
    LaennecError
        If a class has fewer than two patients, or a cycle is shorter than 0.2 s.
    """
    fold = check_cohort(clips, labels, folds, seed)
    lengths = [len(cycle.samples) for cycle in read_cycles(clips, sample_rate)]
    longest = min(max(lengths), round(LONGEST_CYCLE_S * sample_rate))
    length = round(length_s * sample_rate) if length_s else longest
    return Cohort(clips, fold, labels, sample_rate, length, lengths)


def check_cohort(clips: pd.DataFrame, labels: tuple[str, ...], folds: int = 7, seed: int = 0) -> np.ndarray:
    """Fold of each clip, or LaennecError saying why these clips cannot be cross-validated; reads no sound."""
    lasting = (clips["end_s"] - clips["start_s"]).round(6)  # 0.2 s in binary may be a little less
    if (lasting < SHORTEST_CYCLE_S).any():
        row, short = clips.iloc[int(lasting.argmin())], int((lasting < SHORTEST_CYCLE_S).sum())
        raise LaennecError(
            f"{counted(short, 'cycle', '')} {by_number(short, 'is', 'are')} shorter than "
            f"{SHORTEST_CYCLE_S} s, first "
            f"{row['clip_id']} ({lasting.min():.3f} s); repair or remove them"
        )
    for label in labels:
        patients = len(set(splits.subject_groups(clips[clips["label"] == label])))
        if patients < 2:
            raise LaennecError(
                f"{counted(patients, 'patient')} with {label!r}: two or more are needed "
                "to train on one and measure on another"
            )
    target = (clips["label"] == labels[-1]).to_numpy()
    patients = len(set(splits.subject_groups(clips[target])))
    if patients == 2:
        raise LaennecError(
            f"2 patients have {labels[-1]!r}; a third is needed, since training, validation and test "
            "patients are different ones"
        )
    if folds < 3:
        leave = f"{counted(folds, 'fold')} {by_number(folds, 'leaves', 'leave')}"
        raise UsageError(f"{leave} none to train on beside validation and test; give 3 or more")
    fold = splits.cohort_folds(clips, target, min(folds, patients), seed)
    for test in range(int(fold.max()) + 1):
        trained = set(clips["label"][splits.rotation(fold, test)[0]])
        if trained != set(labels):
            lost = ", ".join(sorted(set(labels) - trained))
            raise LaennecError(
                f"fold {test + 1} would train without any {lost}: too few patients have it beside those for "
                "validation and test; record more, or give fewer folds"
            )
    return fold


def describe(cohort: Cohort, dataset: str) -> str:
    """The target in a sentence."""
    clips = cohort.clips
    groups = splits.subject_groups(clips)
    sick = set(groups[(clips["label"] == cohort.labels[-1]).to_numpy()])
    counts = ", ".join(f"{int((clips['label'] == label).sum())} {label}" for label in cohort.labels)
    over = sum(length > cohort.clip_samples for length in cohort.lengths)
    return (
        f"target {dataset}: {counts} cycles of {counted(len(set(groups)), 'patient', '')}, {len(sick)} of "
        "them with "
        f"{cohort.labels[-1]}; {cohort.folds} folds; cycles are brought to {cohort.clip_samples} samples "
        f"({cohort.clip_samples / cohort.sample_rate:.2f} s), {over} "
        f"{by_number(over, 'is longer and loses its', 'are longer and lose their')} end"
    )


def refuse_shared_patients(source: pd.DataFrame, target: pd.DataFrame) -> None:
    """Raise LaennecError where source and target, being of one data set, share a patient."""
    known, others = (
        set(zip(clips["dataset"], splits.subject_groups(clips), strict=True)) for clips in (source, target)
    )
    shared = known & others
    if shared:
        some = ", ".join(sorted(subject for _, subject in shared)[:3])
        raise LaennecError(
            f"{counted(len(shared), 'patient')} {by_number(len(shared), 'is', 'are')} in the source and in "
            f"the target ({some}); what is measured on {by_number(len(shared), 'this one', 'them')} would be "
            "memory"
        )


class FoldProgress:
    """A bar over all folds, with the time left by what folds have taken so far."""

    def __init__(self, folds: int, jobs: int = 1) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("folds, left"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=Console(stderr=True),
            transient=True,
            disable=not terminal(),
            speed_estimate_period=7200,
        )
        self._task = self._progress.add_task("", total=folds)
        self._jobs = jobs
        self._left, self._taken = folds, []  # type: ignore[var-annotated]

    def shown(self, name: str) -> Any:
        self._progress.update(self._task, description=name)
        return self._progress

    def fold_done(self, name: str, seconds: float) -> None:
        self._left -= 1
        if seconds:
            self._taken.append(seconds)
            if not terminal() and len(self._taken) % EVERY == 0:
                left_s = self._left * float(np.mean(self._taken)) / self._jobs
                print(
                    f"{counted(self._left, 'fold')} left, about {left_s / 60:.0f} min",
                    file=sys.stderr,
                    flush=True,
                )
        self._progress.advance(self._task)


def scores_of(se: Any, precision: Any) -> Any:
    """F-score, ``2 P Se / (P + Se)``: what every row of Table II satisfies to its last digit."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return 2 * precision * se / (precision + se)


def by_patient(runs: Sequence[Predictions], patients: Sequence[str]) -> np.ndarray:
    """Confusions ``(patients, runs, classes, classes)``."""
    place = {subject: index for index, subject in enumerate(patients)}
    confusions = []
    for run in runs:
        group = np.array([place[subject] for subject in run.subjects])
        predicted = predicted_classes(run.probabilities, run.classes)
        confusions.append(confusion_by_group(run.labels, predicted, group, len(patients), run.classes))
    return np.stack(confusions, axis=1)


def row_scores(confusions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sensitivity, precision and F of the last class.

    Counts are pooled over the folds of a run, sensitivity and precision are then averaged over the runs, and
    F is made of these averages: the only order in which the table's three columns fit each other.

    Parameters
    ----------
    confusions
        ``(…, runs, classes, classes)``, summed over patients.
    """
    hits = confusions[..., -1, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        se = (hits / confusions[..., -1, :].sum(-1)).mean(-1)
        # A run that never predicts the class has no precision; with no prediction right, it counts as 0.
        positives = confusions[..., :, -1].sum(-1)
        precision = np.where(positives > 0, hits / np.maximum(positives, 1), 0.0).mean(-1)
    # No hit is an F of 0; no clip of the class leaves it undefined.
    none = (hits.sum(-1) == 0) & (confusions[..., -1, :].sum((-2, -1)) > 0)
    return se, precision, np.where(none, 0.0, scores_of(se, precision))
