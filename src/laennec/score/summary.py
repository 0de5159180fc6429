"""All scores of a set of predictions, with intervals over patients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike

from laennec.score.bootstrap import (
    DRAWS,
    LEVEL,
    BootstrapSettings,
    Interval,
    Patients,
    Score,
    as_json,
    over_patients,
    resampled_counts,
)
from laennec.score.calibration import ECE_BINS, brier_terms, expected_calibration_error
from laennec.score.confusion import (
    Floats,
    adventitious_classes,
    as_runs,
    class_indices,
    confusion_scores,
    precision_recall_f1,
    ratio,
    validate,
)
from laennec.score.ranking import Ranking, rank_scores, ranking_scores

_DRAWS_AT_ONCE = 200  # bounds the (draws, thresholds) arrays of the ranked scores to tens of megabytes

Key = str | tuple[str, str]
"""Of a score: its name, or a class and the name of that class's score."""


class ClipScores(TypedDict):
    """Every score of a set of predictions, ready for JSON."""

    clips: int
    subjects: int
    """Known patients."""
    runs: int
    scores: dict[str, float | None]
    intervals: dict[str, Interval | None]
    classes: dict[str, dict[str, Any]]
    """Of each class against the others: ``clips``, ``subjects``, ``predicted`` (clips given it, over all
    runs), ``precision``, ``recall``, ``f1``, ``roc_auc``, ``average_precision``, and their ``intervals``."""
    confusion: dict[str, Any]
    """``classes``, and the ``counts`` of clips by annotated (row) and predicted one (column), of all runs."""
    conventions: dict[str, Any]
    """What the scores took for granted: ``normal``, ``ignored``, ``ece_bins``."""
    bootstrap: BootstrapSettings


class Difference(TypedDict):
    """A score of one model less that of another."""

    difference: float | None
    interval: Interval | None


def bootstrap_difference(
    labels: Sequence[str],
    first: ArrayLike,
    second: ArrayLike,
    subjects: Sequence[str],
    classes: Sequence[str],
    normal: str = "Normal",
    ignored: Sequence[str] = (),
    draws: int = DRAWS,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Difference]:
    """Score of the second model less that of the first on the same clips, with a paired interval.

    Both models are scored on the same resamples of patients, so what makes a patient hard for both cancels.

    Parameters
    ----------
    labels, subjects : (clips,) annotated classes and patients
    first, second : (clips, classes) probabilities of the two models, or (runs, clips, classes) of several
        trainings of each, as in :func:`evaluate`

    Returns
    -------
    dict
        For each name in the ``scores`` of :func:`evaluate` but the calibration error: ``difference`` (None
        where undefined) and ``interval`` (``[low, high]`` or None). An interval without 0 is a difference
        that another choice of patients would hardly undo.

    Raises
    ------
    ValueError
        From :func:`validate`, or if there are fewer than two patients.
    """
    patients = Patients.of(subjects)
    models = []
    for runs in (as_runs(first), as_runs(second)):
        samples = [_sample(labels, run, subjects, classes, normal, ignored) for run in runs]
        # Ranking class by class is most of the work and not asked for here.
        models.append([replace(run, rankings={None: run.rankings[None]}) for run in samples])
    reason = patients.settings()["no_interval"]
    if reason:
        raise ValueError(f"a difference over patients cannot be bootstrapped: {reason}")

    def differences(times: Floats) -> dict[str, Floats]:
        before, after = (_mean_scores(model, times) for model in models)
        return {key: after[key] - before[key] for key in before if isinstance(key, str)}

    scores = over_patients(len(patients), differences, draws, seed, level)
    return {key: {"difference": each.value, "interval": each.interval} for key, each in scores.items()}


def evaluate(
    labels: Sequence[str],
    probabilities: ArrayLike,
    subjects: Sequence[str],
    classes: Sequence[str],
    normal: str = "Normal",
    ignored: Sequence[str] = (),
    draws: int = DRAWS,
    seed: int = 0,
    level: float = LEVEL,
) -> ClipScores:
    """Compute every score with its interval.

    Parameters
    ----------
    labels : (clips,) annotated classes
    probabilities : (clips, classes) array in [0, 1], rows summing to 1; or (runs, clips, classes) of several
        trainings, such as seeds: then every score is the mean over the runs, in every draw of the bootstrap
        too, and the confusion counts their answers together
    subjects : (clips,) patients; "" where unknown: they count as one patient's, and ``bootstrap`` notes it
    classes : names of the columns, in the model's order
    normal : the normal class
    ignored : classes that count in neither Se nor Sp
    draws, seed, level : the bootstrap's

    Returns
    -------
    ClipScores
        Ready for JSON: undefined is None.

    Raises
    ------
    ValueError
        From :func:`validate`.
    """
    runs, patients = as_runs(probabilities), Patients.of(subjects)
    samples = [_sample(labels, run, subjects, classes, normal, ignored) for run in runs]
    settings = patients.settings(draws, seed, level)
    scores = over_patients(
        len(patients), lambda times: _mean_scores(samples, times), settings["draws"], seed, level
    )
    # The calibration error gets no interval: resampling widens every bin's gap, so its draws lie too high.
    error = np.mean([expected_calibration_error(labels, run, classes) for run in runs])
    scores["expected_calibration_error"] = Score(float(error))
    values, intervals = as_json({key: each for key, each in scores.items() if isinstance(key, str)})
    confusions = np.sum([sample.confusions for sample in samples], axis=0)
    return {
        "clips": len(labels),
        "subjects": patients.known,
        "runs": len(runs),
        "scores": values,
        "intervals": intervals,
        "classes": {
            name: _of_class(name, confusions[:, k], confusions[:, :, k], patients, scores, len(runs))
            for k, name in enumerate(classes)
        },
        "confusion": {"classes": list(classes), "counts": confusions.sum(axis=0).astype(int).tolist()},
        "conventions": {"normal": normal, "ignored": list(ignored), "ece_bins": ECE_BINS},
        "bootstrap": settings,
    }


@dataclass(frozen=True)
class _Sample:
    """What the scores need of a test set, gathered by patient."""

    classes: Sequence[str]
    normal: str
    ignored: Sequence[str]
    confusions: Floats  # (patients, classes, classes)
    brier: Floats  # (patients,) sums over their clips
    rankings: dict[str | None, Ranking]  # each class against the rest; None: adventitious against normal


def _sample(
    labels: Sequence[str],
    probabilities: Floats,
    subjects: Sequence[str],
    classes: Sequence[str],
    normal: str,
    ignored: Sequence[str],
) -> _Sample:
    """Gather a test set as one run predicted it; ValueError where it cannot be scored."""
    validate(labels, probabilities, subjects, classes, normal, ignored)
    patients = Patients.of(subjects)
    group, count = patients.of_item, len(patients)
    index = class_indices(labels, classes)
    adventitious = adventitious_classes(classes, normal, ignored)
    counted = np.isin(index, [*adventitious, list(classes).index(normal)])
    score = probabilities[:, adventitious].sum(axis=1)
    rankings: dict[str | None, Ranking] = {
        name: rank_scores(index == k, probabilities[:, k], group, count) for k, name in enumerate(classes)
    }
    rankings[None] = rank_scores(np.isin(index, adventitious)[counted], score[counted], group[counted], count)
    return _Sample(
        classes=classes,
        normal=normal,
        ignored=ignored,
        confusions=patients.confusions(labels, probabilities, classes),
        brier=patients.sums(brier_terms(labels, probabilities, classes)),
        rankings=rankings,
    )


def _scores(sample: _Sample, times: Floats) -> dict[Key, Floats]:
    """Scores of each draw ``(draws,)`` by name, and by (class, name) for those of one class."""
    confusion = resampled_counts(times, sample.confusions)
    scores: dict[Key, Floats] = {}
    scores.update(confusion_scores(confusion, sample.classes, sample.normal, sample.ignored))
    for key, per_class in zip(("precision", "recall", "f1"), precision_recall_f1(confusion), strict=True):
        scores |= {(name, key): per_class[:, k] for k, name in enumerate(sample.classes)}
    blocks = np.array_split(times, -(-len(times) // _DRAWS_AT_ONCE))
    for name, ranking in sample.rankings.items():
        parts = zip(*(ranking_scores(ranking, block) for block in blocks), strict=True)
        for key, values in zip(("roc_auc", "average_precision"), parts, strict=True):
            scores[f"binary_{key}" if name is None else (name, key)] = np.concatenate(values)
    scores["brier_score"] = ratio(times @ sample.brier, confusion.sum(axis=(-2, -1)))
    return scores


def _mean_scores(samples: Sequence[_Sample], times: Floats) -> dict[Key, Floats]:
    """The scores of each draw, averaged over runs."""
    each = [_scores(sample, times) for sample in samples]
    return {key: np.mean([scores[key] for scores in each], axis=0) for key in each[0]}


def _of_class(
    name: str,
    annotated: Floats,
    predicted: Floats,
    patients: Patients,
    scores: Mapping[Key, Score],
    runs: int,
) -> dict[str, Any]:
    """Scores of one class, from its row and column of each patient's confusion ``(patients, classes)``."""
    own = {key[1]: each for key, each in scores.items() if isinstance(key, tuple) and key[0] == name}
    values, intervals = as_json(own)
    counts = {
        "clips": int(annotated.sum()) // runs,
        "subjects": int((annotated[patients.names != ""].sum(axis=1) > 0).sum()),
        "predicted": int(predicted.sum()),
    }
    return {**counts, **values, "intervals": intervals}
