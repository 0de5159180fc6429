"""What can be answered without listening: the baselines that a model has to beat.

A figure means little beside a rule that knows only which class is the most frequent, how long the clip is,
where on the chest it was recorded, or with which device. Each rule here knows one such thing. It is fitted
without the patient it answers for: on other patients' clips of the test set, or on training clips.

Two decisions are tried: the likeliest class, and the answer that is best for the Score (Se + Sp)/2, in which
normal clips weigh as much together as all adventitious ones do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from laennec.score.bootstrap import DRAWS, Interval, Patients, Score, as_json, over_patients
from laennec.score.confusion import Floats, as_runs, confusion_scores, ignored_classes, normal_class
from laennec.score.predictions import Predictions

GROUPS = 10  # of patients; each is answered for by what the others teach
QUANTILES = 8  # intervals of a number, such as a duration
LIKELIEST, BALANCED = "likeliest class", "best for the Score"
CONSTANT = "most frequent class"
SCORE = "average_score"
SCORES = ("sensitivity", "specificity", SCORE)


class BaselineScores(TypedDict):
    """Scores of one rule, and of the system less the rule, paired over patients."""

    name: str
    scores: dict[str, float | None]
    intervals: dict[str, Interval | None]
    difference: float | None
    """The system's Score (Se + Sp)/2 less the rule's."""
    difference_interval: Interval | None


def baseline_scores(
    predictions: Predictions, known: Mapping[str, ArrayLike], draws: int = DRAWS, seed: int = 0
) -> list[BaselineScores]:
    """Score the rules of :func:`baselines` beside the system whose predictions are given.

    Parameters
    ----------
    predictions
        Of one training, or of several (``(runs, clips, classes)``), whose scores are then averaged.
    known
        As :func:`baselines` takes it.
    draws, seed
        Of the bootstrap over patients.
    """
    rows, classes, own = [], predictions.classes, _confusions(predictions)
    for name, rule in baselines(predictions, known).items():
        of_rule = _confusions(rule)
        values, intervals = as_json(_scores(of_rule, classes, draws, seed))
        less = _differences(of_rule, own, classes, draws, seed)[SCORE]
        rows.append(
            BaselineScores(
                name=name,
                scores=values,
                intervals=intervals,
                difference=less.value,
                difference_interval=less.interval,
            )
        )
    return rows


def scores_of(predictions: Predictions, draws: int = DRAWS, seed: int = 0) -> dict[str, Score]:
    """Return `SCORES` with their intervals over patients; of several trainings, the means."""
    return _scores(_confusions(predictions), predictions.classes, draws, seed)


def difference(
    first: Predictions, second: Predictions, draws: int = DRAWS, seed: int = 0
) -> dict[str, Score]:
    """Return `SCORES` of the second less those of the first for the same clips, paired over patients."""
    return _differences(_confusions(first), _confusions(second), first.classes, draws, seed)


def _scores(confusions: Floats, classes: Sequence[str], draws: int, seed: int) -> dict[str, Score]:
    return over_patients(confusions, lambda drawn: _means(drawn, classes), draws, seed)


def _differences(
    first: Floats, second: Floats, classes: Sequence[str], draws: int, seed: int
) -> dict[str, Score]:
    runs = first.shape[1]

    def differences(drawn: Floats) -> dict[str, Floats]:
        before, after = (_means(each, classes) for each in (drawn[:, :runs], drawn[:, runs:]))
        return {name: after[name] - before[name] for name in SCORES}

    return over_patients(np.concatenate([first, second], axis=1), differences, draws, seed)


def _confusions(predictions: Predictions) -> Floats:
    """Return the confusion of each patient and run, ``(patients, runs, classes, classes)``."""
    patients = Patients.of(predictions.subjects)
    runs = as_runs(predictions.probabilities)
    return np.stack([patients.confusions(predictions.labels, run, predictions.classes) for run in runs], 1)


def _means(drawn: Floats, classes: Sequence[str]) -> dict[str, Floats]:
    """Scores of ``(draws, runs, classes, classes)``, averaged over the runs."""
    every = confusion_scores(drawn, classes, normal_class(classes), ignored_classes(classes))
    return {name: every[name].mean(axis=1) for name in SCORES}


def baselines(predictions: Predictions, known: Mapping[str, ArrayLike]) -> dict[str, Predictions]:
    """Return the predictions of each rule for the clips of `predictions`.

    Parameters
    ----------
    predictions
        Whose clips, patients, labels and classes are taken.
    known
        What each rule knows, ``(clips,)``: text or numbers, by its name, such as ``duration``. Of numbers,
        `QUANTILES` intervals are told apart. An unknown value ("" or NaN) is a value of its own.

    Returns
    -------
    dict
        By name: `CONSTANT`, then each of `known` with each of the two decisions, as ``duration (likeliest
        class)``. Probabilities are 1 for the answer and 0 for the others.
    """
    labels = predictions.label_indices
    groups = patient_groups(predictions.subjects, predictions.clip_ids)
    nothing = np.zeros(len(labels), np.int64)
    family = _families(predictions.classes)
    answers = {CONSTANT: _answers(nothing, labels, groups, family, balanced=False)}
    for name, values in known.items():
        cells = _cells(values)
        for decision in (LIKELIEST, BALANCED):
            rule = _answers(cells, labels, groups, family, decision == BALANCED)
            answers[f"{name} ({decision})"] = rule
    one_hot = np.eye(len(predictions.classes))
    return {name: replace(predictions, probabilities=one_hot[each]) for name, each in answers.items()}


def patient_groups(subjects: Sequence[str], clip_ids: Sequence[str]) -> NDArray[np.int64]:
    """Deal patients into `GROUPS` groups, ``(clips,)``; a clip of an unknown patient is one of its own."""
    who = [subject or f"clip {clip}" for subject, clip in zip(subjects, clip_ids, strict=True)]
    _, index = np.unique(np.asarray(who, dtype=str), return_inverse=True)
    return np.asarray(np.random.default_rng(0).permutation(int(index.max()) + 1)[index] % GROUPS)


def _cells(values: ArrayLike) -> NDArray[np.int64]:
    """Return the interval or the word that each value is, as a number from 0."""
    given = np.asarray(values)
    if given.dtype.kind not in "fiu":
        return np.asarray(np.unique(given.astype(str), return_inverse=True)[1], np.int64)
    numbers = given.astype(np.float64)
    edges = np.unique(np.nanquantile(numbers, np.arange(1, QUANTILES) / QUANTILES))
    cells = np.searchsorted(edges, numbers, side="right")
    return np.where(np.isnan(numbers), QUANTILES, cells)


def _families(classes: Sequence[str]) -> NDArray[np.int64]:
    """Return 0 of the normal class, 1 of adventitious ones, 2 of ignored ones, ``(classes,)``."""
    normal, ignored = normal_class(classes), ignored_classes(classes)
    return np.array([0 if name == normal else 2 if name in ignored else 1 for name in classes])


def _answers(
    cells: NDArray[np.int64],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    family: NDArray[np.int64],
    balanced: bool,
) -> NDArray[np.int64]:
    """Return the answer for each clip, from the clips of the other groups that share its cell.

    A cell is pulled towards the whole by one clip's weight, which decides where it holds nothing. `balanced`
    divides by how frequent the family of a class is; an ignored class is then never an answer.
    """
    counts: Floats = np.zeros((int(groups.max()) + 1, int(cells.max()) + 1, len(family)))
    np.add.at(counts, (groups, cells, labels), 1.0)
    others = counts.sum(axis=0) - counts
    whole = others.sum(axis=1, keepdims=True) + 1e-9
    likelihood = others + whole / whole.sum(axis=-1, keepdims=True)
    if balanced:
        of_family = np.stack([whole[..., family == each].sum(axis=-1) for each in range(3)], axis=-1)
        likelihood = np.where(family == 2, 0.0, likelihood / np.maximum(of_family[..., family], 1e-9))
    return np.asarray(likelihood.argmax(axis=-1)[groups, cells], np.int64)
