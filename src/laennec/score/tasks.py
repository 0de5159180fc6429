"""The BioCAS challenge's tasks: 11 and 12 for SPRSound's events, 21 and 22 for its records."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike

from laennec.labels import ADVENTITIOUS, CHALLENGE_TASKS, EVENT_TASKS, NORMAL, RECORD_TASKS
from laennec.score.bootstrap import DRAWS, Interval, Patients, as_json, over_patients
from laennec.score.confusion import (
    Floats,
    as_runs,
    confusion_scores,
    ignored_classes,
    normal_class,
)
from laennec.score.predictions import Predictions

TASK_SCORES = ("sensitivity", "specificity", "average_score", "harmonic_score", "challenge_score")


class TaskScores(TypedDict):
    """Scores of one task by the names in `TASK_SCORES`."""

    classes: list[str]
    confusion: list[list[int]]
    scores: dict[str, float | None]
    intervals: dict[str, Interval | None]


def task_scores(predictions: Predictions, draws: int = DRAWS, seed: int = 0) -> dict[str, TaskScores]:
    """Score the challenge's tasks.

    Tasks 12 and 22 want the exact class. Tasks 11 and 21 want Normal or Adventitious (or Poor Quality, 21):
    the answer is the likeliest of these, the probabilities of the adventitious classes added up, as the
    program answers the challenge, so any adventitious class is right and Se can differ from
    ``binary_sensitivity``, which merges answers. Clips annotated Poor Quality count in neither Se nor Sp.
    Zhang et al., "Grand Challenge on Respiratory Sound Classification", IEEE BioCAS 2022.

    The keys are ``task_11`` and so on, none where the classes are other ones. `draws` and `seed` are those of
    the bootstrap over patients; no draws, no intervals.
    """
    pairs = (EVENT_TASKS, RECORD_TASKS)
    pair = next((p for p in pairs if set(predictions.classes) == set(CHALLENGE_TASKS[p[1]])), None)
    if pair is None:
        return {}
    tasks = zip(pair, (merged(predictions), predictions), strict=True)
    return {f"task_{number}": _task(each, draws, seed) for number, each in tasks}


def merged(predictions: Predictions) -> Predictions:
    """Make one class of the adventitious ones."""
    normal, ignored = normal_class(predictions.classes), ignored_classes(predictions.classes)
    names = {name: name if name in (normal, *ignored) else ADVENTITIOUS for name in predictions.classes}
    classes = (normal, ADVENTITIOUS, *ignored)
    member = np.array([[names[name] == column for column in classes] for name in predictions.classes], float)
    labels = tuple(names[label] for label in predictions.labels)
    # A sum may be more than one by its rounding.
    probabilities = np.minimum(predictions.probabilities @ member, 1.0)
    return replace(predictions, labels=labels, classes=classes, probabilities=probabilities)


def shifted(predictions: Predictions, shift: ArrayLike, label: str = "") -> Predictions:
    """Subtract `shift` from the log-odds of a class, for a decision that gives this answer less often.

    It is a number, or one per clip (where each fold chose its own). Without a `label`, it is of the normal
    class.
    """
    column = list(predictions.classes).index(label or normal_class(predictions.classes))
    probabilities = np.array(predictions.probabilities, np.float64)
    probabilities[..., column] *= np.exp(-np.asarray(shift, np.float64))
    return replace(predictions, probabilities=probabilities / probabilities.sum(axis=-1, keepdims=True))


def _task(predictions: Predictions, draws: int, seed: int) -> TaskScores:
    classes, patients = predictions.classes, Patients.of(predictions.subjects)
    runs = as_runs(predictions.probabilities)
    confusions = np.stack([patients.confusions(predictions.labels, run, classes) for run in runs], axis=1)

    def scores(drawn: Floats) -> Mapping[str, Floats]:
        """``(draws, runs, classes, classes)`` to the means over the runs."""
        each = confusion_scores(drawn, classes, NORMAL, ignored_classes(classes))
        return {key: np.mean(each[key], axis=1) for key in TASK_SCORES}

    values, intervals = as_json(over_patients(confusions, scores, draws, seed))
    return {
        "classes": list(classes),
        "confusion": confusions.sum(axis=(0, 1)).astype(int).tolist(),
        "scores": values,
        "intervals": intervals,
    }
