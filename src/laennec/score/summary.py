"""All scores of a set of predictions, with intervals over patients."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from laennec.score.bootstrap import DRAWS, LEVEL, patient_draws, percentile_interval, resampled_counts
from laennec.score.calibration import ECE_BINS, brier_terms, expected_calibration_error
from laennec.score.confusion import (
    Floats,
    adventitious_classes,
    class_indices,
    confusion_by_group,
    confusion_scores,
    precision_recall_f1,
    predicted_classes,
    ratio,
    validate,
)
from laennec.score.ranking import Ranking, rank_scores, ranking_scores

_DRAWS_AT_ONCE = 200  # bounds the (draws, thresholds) arrays of the ranked scores to tens of megabytes


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
) -> dict[str, dict[str, Any]]:
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
        From :func:`validate`, or if there are fewer than two patients or unknown ones.
    """
    models = [as_runs(first), as_runs(second)]
    for run in (*models[0], *models[1]):
        validate(labels, run, subjects, classes, normal, ignored)
    reason = no_interval_reason(subjects)
    if reason:
        raise ValueError(f"a difference over patients cannot be bootstrapped: {reason}")
    samples = [
        [_sample(labels, run, subjects, classes, normal, ignored) for run in model] for model in models
    ]
    # Ranking class by class is most of the work and not asked for here.
    samples = [[replace(run, rankings={None: run.rankings[None]}) for run in model] for model in samples]
    patients = len(samples[0][0].patients)
    once, resamples = np.ones((1, patients)), patient_draws(patients, draws, seed)
    point = [_mean_drawn(model, once) for model in samples]
    drawn = [_mean_drawn(model, resamples) for model in samples]
    return {
        key: {
            "difference": plain_number(point[1][key][0] - point[0][key][0]),
            "interval": listed(percentile_interval(drawn[1][key] - drawn[0][key], level)),
        }
        for key in point[0]
        if isinstance(key, str)
    }


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
) -> dict[str, Any]:
    """Compute every score with its interval.

    Parameters
    ----------
    labels : (clips,) annotated classes
    probabilities : (clips, classes) array in [0, 1], rows summing to 1; or (runs, clips, classes) of several
        trainings, such as seeds: then every score is the mean over the runs, in every draw of the bootstrap
        too, and the confusion counts their answers together
    subjects : (clips,) patients; "" where unknown, and then no interval is given
    classes : names of the columns, in the model's order
    normal : the normal class
    ignored : classes that count in neither Se nor Sp
    draws, seed, level : the bootstrap's

    Returns
    -------
    dict, ready for JSON (undefined is None)
        ``clips``, ``subjects``, ``scores`` (name to value), ``intervals`` (name to ``[low, high]`` or None),
        ``classes`` (class to its counts, scores and ``intervals``), ``confusion`` (rows annotated, columns
        predicted), ``conventions`` and ``bootstrap``.

    Raises
    ------
    ValueError
        From :func:`validate`.
    """
    runs = as_runs(probabilities)
    for run in runs:
        validate(labels, run, subjects, classes, normal, ignored)
    samples = [_sample(labels, run, subjects, classes, normal, ignored) for run in runs]
    sample = replace(samples[0], confusions=np.sum([each.confusions for each in samples], axis=0))
    # The point estimate is the draw in which every patient is drawn once.
    once = np.ones((1, len(sample.patients)))
    values = {key: value[0] for key, value in _mean_drawn(samples, once).items()}
    # The calibration error gets no interval: resampling widens every bin's gap, so its draws lie too high.
    values["expected_calibration_error"] = np.mean(
        [expected_calibration_error(labels, run, classes) for run in runs]
    )
    reason = no_interval_reason(subjects)
    drawn = {} if reason else _mean_drawn(samples, patient_draws(len(sample.patients), draws, seed))
    intervals = {
        key: listed(percentile_interval(drawn[key], level)) if key in drawn else None for key in values
    }
    overall = [key for key in values if isinstance(key, str)]
    return {
        "clips": len(labels),
        "subjects": int((sample.patients != "").sum()),
        "runs": len(runs),
        "scores": {key: plain_number(values[key]) for key in overall},
        "intervals": {key: intervals[key] for key in overall},
        "classes": {name: _of_class(sample, name, values, intervals, len(runs)) for name in classes},
        "confusion": {
            "classes": list(classes),
            "counts": sample.confusions.sum(axis=0).astype(int).tolist(),
        },
        "conventions": {"normal": normal, "ignored": list(ignored), "ece_bins": ECE_BINS},
        "bootstrap": {
            "over": "subjects",
            "method": "percentile",
            "draws": 0 if reason else draws,
            "seed": seed,
            "level": level,
            "no_interval": reason,
        },
    }


@dataclass(frozen=True)
class _Sample:
    """What the scores need of a test set, gathered by patient."""

    classes: Sequence[str]
    normal: str
    ignored: Sequence[str]
    patients: NDArray[np.str_]  # (patients,)
    confusions: Floats  # (patients, classes, classes)
    brier: Floats  # (patients,) sums over their clips
    rankings: dict[str | None, Ranking]  # each class against the rest; None: adventitious against normal


def _sample(
    labels: Sequence[str],
    probabilities: ArrayLike,
    subjects: Sequence[str],
    classes: Sequence[str],
    normal: str,
    ignored: Sequence[str],
) -> _Sample:
    rows = np.asarray(probabilities, np.float64)
    patients, group = np.unique(np.asarray(subjects, dtype=str), return_inverse=True)
    index = class_indices(labels, classes)
    adventitious = adventitious_classes(classes, normal, ignored)
    counted = np.isin(index, [*adventitious, list(classes).index(normal)])
    score = rows[:, adventitious].sum(axis=1)
    rankings: dict[str | None, Ranking] = {
        name: rank_scores(index == k, rows[:, k], group, len(patients)) for k, name in enumerate(classes)
    }
    rankings[None] = rank_scores(
        np.isin(index, adventitious)[counted], score[counted], group[counted], len(patients)
    )
    return _Sample(
        classes=classes,
        normal=normal,
        ignored=ignored,
        patients=patients,
        confusions=confusion_by_group(
            labels, predicted_classes(rows, classes), group, len(patients), classes
        ),
        brier=np.bincount(group, weights=brier_terms(labels, rows, classes)).astype(np.float64),
        rankings=rankings,
    )


def _drawn(sample: _Sample, counts: Floats) -> dict[Any, Floats]:
    """Scores of each draw ``(draws,)`` by name, and by (class, name) for those of one class."""
    confusion = resampled_counts(counts, sample.confusions)
    scores: dict[Any, Floats] = dict(
        confusion_scores(confusion, sample.classes, sample.normal, sample.ignored)
    )
    for key, per_class in zip(("precision", "recall", "f1"), precision_recall_f1(confusion), strict=True):
        scores |= {(name, key): per_class[:, k] for k, name in enumerate(sample.classes)}
    blocks = np.array_split(counts, -(-len(counts) // _DRAWS_AT_ONCE))
    for name, ranking in sample.rankings.items():
        parts = zip(*(ranking_scores(ranking, block) for block in blocks), strict=True)
        for key, values in zip(("roc_auc", "average_precision"), parts, strict=True):
            scores[f"binary_{key}" if name is None else (name, key)] = np.concatenate(values)
    scores["brier_score"] = ratio(counts @ sample.brier, confusion.sum(axis=(-2, -1)))
    return scores


def as_runs(probabilities: ArrayLike) -> Floats:
    """Return probabilities as ``(runs, clips, classes)``, one run where the axis is missing."""
    runs = np.asarray(probabilities, np.float64)
    return runs[None] if runs.ndim == 2 else runs


def _mean_drawn(samples: Sequence[_Sample], counts: Floats) -> dict[Any, Floats]:
    """The scores of each draw, averaged over runs."""
    each = [_drawn(sample, counts) for sample in samples]
    return {key: np.mean([scores[key] for scores in each], axis=0) for key in each[0]}


def _of_class(
    sample: _Sample,
    name: str,
    values: dict[Any, Any],
    intervals: dict[Any, list[float] | None],
    runs: int,
) -> dict[str, Any]:
    """Return the counts, scores and intervals of one class."""
    k = list(sample.classes).index(name)
    keys = [key for key in values if isinstance(key, tuple) and key[0] == name]
    with_clips = sample.confusions[sample.patients != "", k].sum(axis=1) > 0
    return {
        "clips": int(sample.confusions[:, k].sum()) // runs,
        "subjects": int(with_clips.sum()),
        "predicted": int(sample.confusions[:, :, k].sum()),
        **{key[1]: plain_number(values[key]) for key in keys},
        "intervals": {key[1]: intervals[key] for key in keys},
    }


def no_interval_reason(subjects: Sequence[str], what: str = "clips") -> str | None:
    """Say why patients cannot be resampled, or None if they can."""
    unknown = sum(1 for subject in subjects if not subject)
    if unknown:
        return f"the patient of {unknown} of {len(subjects)} {what} is unknown"
    return "there is only one patient" if len(set(subjects)) < 2 else None


def plain_number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


def listed(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)
