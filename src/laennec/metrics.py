"""Scores of a classifier of lung sounds, from labels and probabilities to one dictionary.

Conventions
-----------
- A *confusion* is an array ``(..., classes, classes)``: rows are the annotated class, columns the
  predicted one. Every score of a confusion works on the last two axes, so the same function scores one
  test set and all the resamples of a bootstrap.
- The predicted class is the one of highest probability, the first in the order of the classes at a tie.
- A *normal* class is named by the caller ("Normal" in SPRSound, "normal" in ICBHI). *Ignored* classes
  ("Poor Quality" of SPRSound's records) are neither normal nor adventitious: clips annotated so count in
  no denominator of Se and Sp, and a prediction of one is a wrong answer. All other classes are adventitious.
- An undefined score (no clip of a class, a class never predicted) is NaN from the functions and ``None``
  from :func:`evaluate`, whose answer is meant for JSON.
- Scores are fractions in [0, 1], Brier's in [0, 2].
- Intervals come from a bootstrap over patients, since the clips of one patient resemble one another.

Sources: Chen & Zhang, "Using upsampling CONV-LSTM with metadata embedding for respiratory sound
classification", eq. 1; Zhang et al., "Grand Challenge on Respiratory Sound Classification", IEEE BioCAS
2022; Rocha et al., Physiological Measurement 40(3), 2019. `docs/metrics.md` gives every equation and the
published tables that use it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

DRAWS = 2000
LEVEL = 0.95
ECE_BINS = 15  # Guo et al., "On calibration of modern neural networks", ICML 2017, section 4

# With k patients holding a class, a resample misses it in about exp(-k) of the draws: 5 % for three, 14 %
# for two. An interval from one or two patients would be a guess, and for one patient of zero width.
UNDEFINED_DRAWS_LIMIT = 0.1

_DRAWS_AT_ONCE = 200  # bounds the (draws, thresholds) arrays of the ranked scores to tens of megabytes


# ---------------------------------------------------------------------------------------------- counting


def validate(
    labels: Sequence[str],
    probabilities: ArrayLike,
    subjects: Sequence[str],
    classes: Sequence[str],
    normal: str = "Normal",
    ignored: Sequence[str] = (),
) -> None:
    """Raise ValueError with one sentence if the arguments of :func:`evaluate` cannot be scored."""
    validate_classes(classes, normal, ignored)
    rows = np.asarray(probabilities, dtype=np.float64)
    if len(labels) == 0:
        raise ValueError("there is no clip to score")
    if rows.shape != (len(labels), len(classes)):
        raise ValueError(
            f"probabilities have shape {rows.shape}; expected ({len(labels)}, {len(classes)}): "
            "a row per clip, a column per class"
        )
    if len(subjects) != len(labels):
        raise ValueError(f"{len(subjects)} subjects for {len(labels)} clips; expected one per clip")
    unknown = sorted(set(labels) - set(classes))
    if unknown:
        raise ValueError(f"label {unknown[0]!r} is not one of the classes {', '.join(classes)}")
    if not np.isfinite(rows).all():
        raise ValueError(f"clip {_first(~np.isfinite(rows).all(axis=1))} has a probability that is no number")
    if ((rows < 0) | (rows > 1)).any():
        raise ValueError(
            f"clip {_first(((rows < 0) | (rows > 1)).any(axis=1))} has a probability outside [0, 1]"
        )
    off = np.abs(rows.sum(axis=1) - 1) > 1e-3
    if off.any():
        raise ValueError(f"the probabilities of clip {_first(off)} do not sum to 1")


def validate_classes(classes: Sequence[str], normal: str = "Normal", ignored: Sequence[str] = ()) -> None:
    """Raise ValueError unless `classes` holds the normal one, every ignored one and an adventitious one."""
    if len(set(classes)) != len(classes):
        raise ValueError(f"a class is named twice in {', '.join(classes)}")
    for name in (normal, *ignored):
        if name not in classes:
            raise ValueError(f"class {name!r} is not one of {', '.join(classes)}")
    if normal in ignored:
        raise ValueError(f"the normal class {normal!r} cannot be ignored")
    if len(classes) - 1 - len(set(ignored)) < 1:
        raise ValueError(f"no adventitious class is left among {', '.join(classes)}")


def _first(mask: ArrayLike) -> int:
    """Position of the first marked clip, counted from 1."""
    return int(np.flatnonzero(mask)[0]) + 1


def predicted_classes(probabilities: ArrayLike, classes: Sequence[str]) -> list[str]:
    """Return the class of highest probability of each clip, the first one at a tie.

    Parameters
    ----------
    probabilities : (clips, classes) array
    classes : names of the columns
    """
    return [classes[k] for k in np.argmax(np.asarray(probabilities), axis=1)]


def confusion_matrix(labels: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> Floats:
    """Count the clips of each annotated class (row) by predicted class (column).

    Returns
    -------
    (classes, classes) array of whole numbers, stored as float64

    Raises
    ------
    ValueError
        If the lengths differ or a name is not in `classes`.
    """
    return confusion_by_group(labels, predicted, np.zeros(len(labels), dtype=np.int64), 1, classes)[0]


def confusion_by_group(
    labels: Sequence[str],
    predicted: Sequence[str],
    group: NDArray[np.int64],
    n_groups: int,
    classes: Sequence[str],
) -> Floats:
    """Return the confusion of each group of clips, ``(groups, classes, classes)``; their sum is the whole.

    `group` is each clip's group, 0 to ``n_groups - 1``; the bootstrap's groups are the patients.
    """
    if len(labels) != len(predicted):
        raise ValueError(f"{len(predicted)} predictions for {len(labels)} labels")
    n = len(classes)
    cell = (group * n + class_indices(labels, classes)) * n + class_indices(predicted, classes)
    return np.bincount(cell, minlength=n_groups * n * n).reshape(n_groups, n, n).astype(np.float64)


def class_indices(names: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64]:
    """Return the index of each name among the classes; ValueError if it is none of them."""
    index = {name: k for k, name in enumerate(classes)}
    try:
        return np.array([index[name] for name in names], dtype=np.int64)
    except KeyError as error:
        raise ValueError(f"label {error.args[0]!r} is not one of the classes {', '.join(classes)}") from None


def _adventitious(classes: Sequence[str], normal: str, ignored: Sequence[str]) -> list[int]:
    validate_classes(classes, normal, ignored)
    return [k for k, name in enumerate(classes) if name != normal and name not in ignored]


def _ratio(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """Divide; nothing over nothing is undefined (NaN), not an error."""
    numerator, denominator = np.broadcast_arrays(
        np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    )
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator != 0)


# ----------------------------------------------------- the challenge's scores and those of Chen & Zhang


def sensitivity(
    confusion: ArrayLike, classes: Sequence[str], normal: str = "Normal", ignored: Sequence[str] = ()
) -> Floats:
    """Se: adventitious clips given their exact class / all adventitious clips (Chen & Zhang, eq. 1).

    Taking a wheeze for a crackle is an error here; :func:`binary_sensitivity` forgives it. NaN without
    adventitious clips.
    """
    confusion = np.asarray(confusion, np.float64)
    rows = _adventitious(classes, normal, ignored)
    correct = np.diagonal(confusion, axis1=-2, axis2=-1)[..., rows].sum(axis=-1)
    return _ratio(correct, confusion[..., rows, :].sum(axis=(-2, -1)))


def specificity(
    confusion: ArrayLike, classes: Sequence[str], normal: str = "Normal", ignored: Sequence[str] = ()
) -> Floats:
    """Sp: normal clips called normal / all normal clips (Chen & Zhang, eq. 1); NaN without normal clips."""
    confusion = np.asarray(confusion, np.float64)
    validate_classes(classes, normal, ignored)
    row = list(classes).index(normal)
    return _ratio(confusion[..., row, row], confusion[..., row, :].sum(axis=-1))


def average_score(se: ArrayLike, sp: ArrayLike) -> Floats:
    """AS = (Se + Sp) / 2 (Chen & Zhang, eq. 1); the ICBHI 2017 challenge's Score."""
    return (np.asarray(se, np.float64) + np.asarray(sp, np.float64)) / 2


def harmonic_score(se: ArrayLike, sp: ArrayLike) -> Floats:
    """HS = 2 Se Sp / (Se + Sp) (Chen & Zhang, eq. 1); 0 when both are 0."""
    se, sp = np.asarray(se, np.float64), np.asarray(sp, np.float64)
    total = se + sp
    return np.where(total == 0, 0.0, 2 * se * sp / np.where(total == 0, 1.0, total))


def total_score(se: ArrayLike, sp: ArrayLike) -> Floats:
    """TS = (Se + Sp + AS + HS) / 4, equal to (3 AS + HS) / 4 (Chen & Zhang, eq. 1)."""
    se, sp = np.asarray(se, np.float64), np.asarray(sp, np.float64)
    return (se + sp + average_score(se, sp) + harmonic_score(se, sp)) / 4


def challenge_score(se: ArrayLike, sp: ArrayLike) -> Floats:
    """Score = (AS + HS) / 2 of one task of the BioCAS 2022 and 2023 challenges."""
    return (average_score(se, sp) + harmonic_score(se, sp)) / 2


# --------------------------------------------------------------------------- class by class, macro, binary


def precision_recall_f1(confusion: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Return precision TP/(TP+FP), recall TP/(TP+FN) and F1 2TP/(2TP+FP+FN), each ``(..., classes)``.

    Precision is NaN for a class never predicted, recall for one without clips, F1 for one with neither.
    """
    confusion = np.asarray(confusion, np.float64)
    correct = np.diagonal(confusion, axis1=-2, axis2=-1)
    annotated, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    return _ratio(correct, predicted), _ratio(correct, annotated), _ratio(2 * correct, annotated + predicted)


def _macro(values: Floats, confusion: ArrayLike) -> Floats:
    """Mean over the classes that have clips; an undefined value of such a class counts as 0."""
    present = np.asarray(confusion).sum(axis=-1) > 0
    total = np.where(present, np.nan_to_num(values), 0.0).sum(axis=-1)
    return _ratio(total, present.sum(axis=-1))


def macro_precision(confusion: ArrayLike) -> Floats:
    """Mean precision over the classes that have clips; 0 for one that is never predicted."""
    return _macro(precision_recall_f1(confusion)[0], confusion)


def macro_sensitivity(confusion: ArrayLike) -> Floats:
    """Mean recall over the classes that have clips, normal and ignored ones too.

    Also called unweighted average recall (UAR) and balanced accuracy. Not Se, in which a class weighs as
    much as it has clips and Normal has no part.
    """
    return _macro(precision_recall_f1(confusion)[1], confusion)


def macro_f1(confusion: ArrayLike) -> Floats:
    """Mean F1 over the classes that have clips, normal and ignored ones too."""
    return _macro(precision_recall_f1(confusion)[2], confusion)


def accuracy(confusion: ArrayLike) -> Floats:
    """Clips given their exact class / all clips."""
    confusion = np.asarray(confusion, np.float64)
    return _ratio(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)))


def binary_sensitivity(
    confusion: ArrayLike, classes: Sequence[str], normal: str = "Normal", ignored: Sequence[str] = ()
) -> Floats:
    """Adventitious clips given any adventitious class / all adventitious clips (2-class tables)."""
    confusion = np.asarray(confusion, np.float64)
    rows = _adventitious(classes, normal, ignored)
    correct = confusion[..., rows, :][..., rows].sum(axis=(-2, -1))
    return _ratio(correct, confusion[..., rows, :].sum(axis=(-2, -1)))


def binary_specificity(
    confusion: ArrayLike, classes: Sequence[str], normal: str = "Normal", ignored: Sequence[str] = ()
) -> Floats:
    """Equal to :func:`specificity`: merging the adventitious classes does not change the normal row."""
    return specificity(confusion, classes, normal, ignored)


def binary_precision(
    confusion: ArrayLike, classes: Sequence[str], normal: str = "Normal", ignored: Sequence[str] = ()
) -> Floats:
    """Adventitious clips given any adventitious class / normal or adventitious clips given one."""
    confusion = np.asarray(confusion, np.float64)
    rows = _adventitious(classes, normal, ignored)
    columns = confusion[..., :, rows].sum(axis=-1)
    correct = columns[..., rows].sum(axis=-1)
    return _ratio(correct, correct + columns[..., list(classes).index(normal)])


def binary_f1(
    confusion: ArrayLike, classes: Sequence[str], normal: str = "Normal", ignored: Sequence[str] = ()
) -> Floats:
    """F1 of adventitious against normal: 2 TP / (2 TP + FP + FN), any adventitious class being right."""
    confusion = np.asarray(confusion, np.float64)
    rows = _adventitious(classes, normal, ignored)
    columns = confusion[..., :, rows].sum(axis=-1)
    correct = columns[..., rows].sum(axis=-1)
    predicted = correct + columns[..., list(classes).index(normal)]
    return _ratio(2 * correct, predicted + confusion[..., rows, :].sum(axis=(-2, -1)))


def confusion_scores(
    confusion: ArrayLike, classes: Sequence[str], normal: str = "Normal", ignored: Sequence[str] = ()
) -> dict[str, Floats]:
    """Return every score of a confusion ``(..., classes, classes)`` by name, each of shape ``(...)``."""
    se, sp = (f(confusion, classes, normal, ignored) for f in (sensitivity, specificity))
    binary_se = binary_sensitivity(confusion, classes, normal, ignored)
    return {
        "sensitivity": se,
        "specificity": sp,
        "average_score": average_score(se, sp),
        "harmonic_score": harmonic_score(se, sp),
        "total_score": total_score(se, sp),
        "challenge_score": challenge_score(se, sp),
        "accuracy": accuracy(confusion),
        "macro_precision": macro_precision(confusion),
        "macro_sensitivity": macro_sensitivity(confusion),
        "macro_f1": macro_f1(confusion),
        "binary_sensitivity": binary_se,
        "binary_specificity": binary_specificity(confusion, classes, normal, ignored),
        "binary_precision": binary_precision(confusion, classes, normal, ignored),
        "binary_f1": binary_f1(confusion, classes, normal, ignored),
        "binary_average_score": average_score(binary_se, sp),
        "binary_harmonic_score": harmonic_score(binary_se, sp),
        "binary_challenge_score": challenge_score(binary_se, sp),
    }


# ------------------------------------------------------------------------------ ranking and calibration


@dataclass(frozen=True)
class _Ranking:
    """Clips passed at each threshold that a positive clip gains, by patient (see :func:`_ranking`)."""

    true: Floats32  # (thresholds, patients) positives at or above the threshold
    false: Floats32  # (thresholds, patients) negatives at or above it
    above: Floats32  # (thresholds, patients) negatives above it, and half of those tied with it
    positives: Floats32  # (patients,)
    negatives: Floats32  # (patients,)


def _ranking(positive: NDArray[np.bool_], score: Floats, group: NDArray[np.int64], n_groups: int) -> _Ranking:
    """Rank the clips once, so that a resample of patients costs a matrix product instead of a sort.

    Counts are whole or half numbers, which float32 holds exactly far beyond any number of clips here.
    """
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.diff(score[order], append=np.inf))  # last of each run of tied clips
    member = np.zeros((len(order), n_groups), dtype=np.float32)
    member[np.arange(len(order)), group[order]] = 1
    is_positive = positive[order][:, None]
    true = np.cumsum(member * is_positive, axis=0)[ends]
    false = np.cumsum(member * ~is_positive, axis=0)[ends]
    before = np.concatenate([np.zeros((1, n_groups), np.float32), false[:-1]])[: len(ends)]
    gains = np.diff(np.cumsum(positive[order])[ends], prepend=0) > 0
    return _Ranking(
        true=true[gains],
        false=false[gains],
        above=((false + before) / 2)[gains],
        positives=member[is_positive[:, 0]].sum(axis=0),
        negatives=member[~is_positive[:, 0]].sum(axis=0),
    )


def _ranking_scores(ranking: _Ranking, counts: Floats) -> tuple[Floats, Floats]:
    """Return ROC AUC and average precision, each ``(draws,)``, under ``(draws, patients)`` counts."""
    weight = counts.astype(np.float32)
    true, false, above = (
        (weight @ table.T).astype(np.float64) for table in (ranking.true, ranking.false, ranking.above)
    )
    positives, negatives = (
        (weight @ total).astype(np.float64) for total in (ranking.positives, ranking.negatives)
    )
    gained = np.diff(true, axis=-1, prepend=0)
    below = (gained * (negatives[:, None] - above)).sum(axis=-1)
    precision = np.nan_to_num(_ratio(true, true + false))
    return _ratio(below, positives * negatives), _ratio((gained * precision).sum(axis=-1), positives)


def _ranking_of_one_set(positive: ArrayLike, score: ArrayLike) -> tuple[float, float]:
    positive, score = np.asarray(positive, bool), np.asarray(score, np.float64)
    if positive.shape != score.shape or positive.ndim != 1:
        raise ValueError(f"{positive.shape} truths and {score.shape} scores; expected one of each per clip")
    ranking = _ranking(positive, score, np.zeros(len(score), np.int64), 1)
    auc, precision = _ranking_scores(ranking, np.ones((1, 1)))
    return float(auc[0]), float(precision[0])


def roc_auc(positive: ArrayLike, score: ArrayLike) -> float:
    """Chance that a positive clip scores above a negative one, a tie counting half (Mann-Whitney).

    Parameters
    ----------
    positive : (clips,) booleans
    score : (clips,) numbers, higher for positive

    Returns
    -------
    float in [0, 1]; NaN unless there are both positives and negatives
    """
    return _ranking_of_one_set(positive, score)[0]


def average_precision(positive: ArrayLike, score: ArrayLike) -> float:
    """Sum over thresholds of (recall gained) times (precision there), without interpolation.

    Parameters as in :func:`roc_auc`; NaN without positives.
    """
    return _ranking_of_one_set(positive, score)[1]


def brier_score(labels: Sequence[str], probabilities: ArrayLike, classes: Sequence[str]) -> float:
    """Mean over clips of the squared distance between probabilities and truth, in [0, 2].

    Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78(1), 1950.
    """
    return float(_brier_terms(labels, probabilities, classes).mean())


def _brier_terms(labels: Sequence[str], probabilities: ArrayLike, classes: Sequence[str]) -> Floats:
    truth = np.eye(len(classes))[class_indices(labels, classes)]
    return ((np.asarray(probabilities, np.float64) - truth) ** 2).sum(axis=1)


def expected_calibration_error(
    labels: Sequence[str], probabilities: ArrayLike, classes: Sequence[str], bins: int = ECE_BINS
) -> float:
    """Mean gap between confidence and accuracy over equal-width bins of confidence, weighted by clips.

    The confidence is the highest probability of a clip; bins are open below and closed above. Guo et al.,
    "On calibration of modern neural networks", ICML 2017, eq. 3.
    """
    rows = np.asarray(probabilities, np.float64)
    confidence = rows.max(axis=1)
    correct = rows.argmax(axis=1) == class_indices(labels, classes)
    bin_of_clip = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gap = np.bincount(bin_of_clip, weights=correct - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(rows))


# ------------------------------------------------------------------------------------------- intervals


def patient_draws(n_patients: int, draws: int = DRAWS, seed: int = 0) -> Floats:
    """Return how often each resample draws each patient, ``(draws, patients)``; rows sum to patients."""
    share = np.full(n_patients, 1 / n_patients)
    return np.random.default_rng(seed).multinomial(n_patients, share, size=draws).astype(np.float64)


def percentile_interval(values: ArrayLike, level: float = LEVEL) -> tuple[float, float] | None:
    """Return the central interval of a bootstrap's values, or None.

    None when more than a tenth of the draws leave the score undefined (see `UNDEFINED_DRAWS_LIMIT`).
    """
    values = np.asarray(values, np.float64)
    defined = values[~np.isnan(values)]
    if len(defined) < (1 - UNDEFINED_DRAWS_LIMIT) * len(values):
        return None
    low, high = np.percentile(defined, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def bootstrap_interval(
    confusions: ArrayLike,
    score: Callable[[Floats], Floats],
    draws: int = DRAWS,
    seed: int = 0,
    level: float = LEVEL,
) -> tuple[float, float] | None:
    """Interval of a score of a confusion, by resampling patients with replacement.

    Parameters
    ----------
    confusions : (patients, classes, classes) array
        From :func:`confusion_by_group`.
    score : function of a ``(draws, classes, classes)`` array that returns ``(draws,)``
    draws, seed : number of resamples, seed of their generator
    level : coverage, 0 to 1

    Returns
    -------
    (low, high), or None where there are fewer than two patients or the score is mostly undefined
    """
    confusions = np.asarray(confusions, np.float64)
    if len(confusions) < 2:
        return None
    counts = patient_draws(len(confusions), draws, seed)
    return percentile_interval(score(_resampled(counts, confusions)), level)


def _resampled(counts: Floats, confusions: Floats) -> Floats:
    flat = counts @ confusions.reshape(len(confusions), -1)
    return flat.reshape(len(counts), *confusions.shape[1:])


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
    reason = _no_interval(subjects)
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
            "difference": _plain(point[1][key][0] - point[0][key][0]),
            "interval": _listed(percentile_interval(drawn[1][key] - drawn[0][key], level)),
        }
        for key in point[0]
        if isinstance(key, str)
    }


# -------------------------------------------------------------------------------------------- everything


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
    reason = _no_interval(subjects)
    drawn = {} if reason else _mean_drawn(samples, patient_draws(len(sample.patients), draws, seed))
    intervals = {
        key: _listed(percentile_interval(drawn[key], level)) if key in drawn else None for key in values
    }
    overall = [key for key in values if isinstance(key, str)]
    return {
        "clips": len(labels),
        "subjects": int((sample.patients != "").sum()),
        "runs": len(runs),
        "scores": {key: _plain(values[key]) for key in overall},
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
    rankings: dict[str | None, _Ranking]  # each class against the rest; None: adventitious against normal


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
    adventitious = _adventitious(classes, normal, ignored)
    counted = np.isin(index, [*adventitious, list(classes).index(normal)])
    score = rows[:, adventitious].sum(axis=1)
    rankings: dict[str | None, _Ranking] = {
        name: _ranking(index == k, rows[:, k], group, len(patients)) for k, name in enumerate(classes)
    }
    rankings[None] = _ranking(
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
        brier=np.bincount(group, weights=_brier_terms(labels, rows, classes)).astype(np.float64),
        rankings=rankings,
    )


def _drawn(sample: _Sample, counts: Floats) -> dict[Any, Floats]:
    """Scores of each draw ``(draws,)`` by name, and by (class, name) for those of one class."""
    confusion = _resampled(counts, sample.confusions)
    scores: dict[Any, Floats] = dict(
        confusion_scores(confusion, sample.classes, sample.normal, sample.ignored)
    )
    for key, per_class in zip(("precision", "recall", "f1"), precision_recall_f1(confusion), strict=True):
        scores |= {(name, key): per_class[:, k] for k, name in enumerate(sample.classes)}
    blocks = np.array_split(counts, -(-len(counts) // _DRAWS_AT_ONCE))
    for name, ranking in sample.rankings.items():
        parts = zip(*(_ranking_scores(ranking, block) for block in blocks), strict=True)
        for key, values in zip(("roc_auc", "average_precision"), parts, strict=True):
            scores[f"binary_{key}" if name is None else (name, key)] = np.concatenate(values)
    scores["brier_score"] = _ratio(counts @ sample.brier, confusion.sum(axis=(-2, -1)))
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
        **{key[1]: _plain(values[key]) for key in keys},
        "intervals": {key[1]: intervals[key] for key in keys},
    }


def _no_interval(subjects: Sequence[str], what: str = "clips") -> str | None:
    """Say why patients cannot be resampled, or None if they can."""
    unknown = sum(1 for subject in subjects if not subject)
    if unknown:
        return f"the patient of {unknown} of {len(subjects)} {what} is unknown"
    return "there is only one patient" if len(set(subjects)) < 2 else None


def _plain(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


def _listed(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)


# ------------------------------------------------------------------ calibration and abstention, as curves


@dataclass(frozen=True)
class Reliability:
    """How often a model is right by how sure it is; bins without clips have NaN in both means."""

    edges: Floats
    """(bins + 1,) of the confidence, rising; a bin is open below and closed above."""
    confidence: Floats
    """(bins,) mean of the highest probability."""
    accuracy: Floats
    """(bins,) share of clips given their exact class."""
    count: NDArray[np.int64]
    """(bins,) clips."""


def reliability(
    labels: Sequence[str],
    probabilities: ArrayLike,
    classes: Sequence[str],
    bins: int = ECE_BINS,
    equal_mass: bool = False,
) -> Reliability:
    """Return the reliability diagram: accuracy against confidence, the highest probability of a clip.

    With bins of equal width, the mean gap between the two, weighted by clips, is
    :func:`expected_calibration_error`. Guo et al., "On calibration of modern neural networks", ICML 2017,
    section 2.

    Parameters
    ----------
    labels : (clips,) annotated classes
    probabilities : (clips, classes) array
    classes : names of the columns
    bins : how many
    equal_mass : edges at quantiles of the confidence, so that bins hold about the same number of clips; clips
        of the same confidence stay together, so there may be fewer bins. Otherwise bins have equal widths.

    Raises
    ------
    ValueError
        If there is no clip or no bin.
    """
    rows = np.asarray(probabilities, np.float64)
    if len(rows) == 0 or bins < 1:
        raise ValueError(f"{len(rows)} clips and {bins} bins; expected at least one of each")
    confidence = rows.max(axis=1)
    correct = rows.argmax(axis=1) == class_indices(labels, classes)
    edges = np.linspace(0, 1, bins + 1)
    if equal_mass:
        edges = np.unique(np.quantile(confidence, edges))
        edges = np.repeat(edges, 2) if len(edges) == 1 else edges
    place = np.searchsorted(edges[1:-1], confidence, side="left")
    count = np.bincount(place, minlength=len(edges) - 1)
    return Reliability(
        edges=edges,
        confidence=_ratio(np.bincount(place, confidence, len(count)), count),
        accuracy=_ratio(np.bincount(place, correct, len(count)), count),
        count=count,
    )


@dataclass(frozen=True)
class RiskCoverage:
    """What a model gets wrong of the clips that it answers, if it answers only where it is sure enough."""

    coverage: Floats
    """(thresholds,) share of clips answered, rising to 1."""
    risk: Floats
    """(thresholds,) share of the answered clips that are wrong."""
    threshold: Floats
    """(thresholds,) the least confidence answered, falling."""
    area: float
    """Area under the curve, in [0, 1]; 0 for a model that is never wrong."""


def risk_coverage(confidence: ArrayLike, correct: ArrayLike) -> RiskCoverage:
    """Return risk against coverage, one point a distinct confidence.

    El-Yaniv & Wiener, "On the foundations of noise-free selective classification", JMLR 11, 2010. The area
    is the mean of the risk over coverages (Geifman et al., ICLR 2019); tied clips are answered together.

    Parameters
    ----------
    confidence : (clips,) numbers, higher for surer
    correct : (clips,) booleans

    Raises
    ------
    ValueError
        If the lengths differ, there is no clip, or a confidence is no number.
    """
    confidence, correct = np.asarray(confidence, np.float64), np.asarray(correct, bool)
    if confidence.shape != correct.shape or confidence.ndim != 1 or confidence.size == 0:
        raise ValueError(f"{confidence.shape} confidences and {correct.shape} answers; expected one per clip")
    if np.isnan(confidence).any():
        raise ValueError(f"the confidence of clip {_first(np.isnan(confidence))} is no number")
    order = np.argsort(-confidence, kind="stable")
    ends = np.flatnonzero(np.diff(confidence[order], append=-np.inf))  # last of each run of tied clips
    answered = ends + 1
    risk = np.cumsum(~correct[order])[ends] / answered
    coverage = answered / len(order)
    area = float((np.diff(coverage, prepend=0) * risk).sum())
    return RiskCoverage(coverage, risk, confidence[order][ends], area)


def risk_at(confidence: ArrayLike, correct: ArrayLike, coverage: float) -> float:
    """Return the share of wrong answers where at least `coverage` of the clips, the surest, are answered.

    Parameters
    ----------
    confidence, correct
        As for :func:`risk_coverage`.
    coverage : float
        In (0, 1]. Tied clips are answered together, so more may be answered.

    Raises
    ------
    ValueError
        From :func:`risk_coverage`, or if `coverage` lies outside.
    """
    if not 0 < coverage <= 1:
        raise ValueError(f"a coverage of {coverage:g} is outside (0, 1]")
    curve = risk_coverage(confidence, correct)
    return float(curve.risk[np.searchsorted(curve.coverage, coverage - 1e-12)])
