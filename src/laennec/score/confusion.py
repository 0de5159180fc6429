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

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from laennec.labels import ICBHI_CYCLES, POOR_QUALITY, SPRSOUND_EVENTS

Floats = NDArray[np.float64]
NORMAL = (SPRSOUND_EVENTS[0], ICBHI_CYCLES[0])  # as SPRSound and ICBHI write it
IGNORED = (POOR_QUALITY,)  # SPRSound's records: neither normal nor adventitious


def normal_class(classes: Sequence[str]) -> str:
    """Return the class that means normal breathing.

    Raises
    ------
    ValueError
        If no class or two are called so: sensitivity and specificity then have no meaning.
    """
    names = [name for name in classes if name in NORMAL]
    if len(names) != 1:
        raise ValueError(f"exactly one class must be called {' or '.join(NORMAL)}; got {', '.join(classes)}")
    return names[0]


def ignored_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """Return the classes that count in neither sensitivity nor specificity."""
    return tuple(name for name in classes if name in IGNORED)


def as_runs(probabilities: ArrayLike) -> Floats:
    """Return probabilities as ``(runs, clips, classes)``, one run where the axis is missing."""
    runs = np.asarray(probabilities, np.float64)
    return runs[None] if runs.ndim == 2 else runs


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
        raise ValueError(
            f"clip {first_index(~np.isfinite(rows).all(axis=1))} has a probability that is no number"
        )
    if ((rows < 0) | (rows > 1)).any():
        raise ValueError(
            f"clip {first_index(((rows < 0) | (rows > 1)).any(axis=1))} has a probability outside [0, 1]"
        )
    off = np.abs(rows.sum(axis=1) - 1) > 1e-3
    if off.any():
        raise ValueError(f"the probabilities of clip {first_index(off)} do not sum to 1")


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


def first_index(mask: ArrayLike) -> int:
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
    group = np.zeros(len(labels), dtype=np.int64)
    return np.asarray(confusion_by_group(labels, predicted, group, 1, classes)[0])


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


def adventitious_classes(classes: Sequence[str], normal: str, ignored: Sequence[str]) -> list[int]:
    """Return the positions of the classes that are neither normal nor ignored."""
    validate_classes(classes, normal, ignored)
    return [k for k, name in enumerate(classes) if name != normal and name not in ignored]


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """Divide; nothing over nothing is undefined (NaN), not an error."""
    numerator, denominator = np.broadcast_arrays(
        np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    )
    quotient = np.full(numerator.shape, np.nan)
    return np.asarray(np.divide(numerator, denominator, out=quotient, where=denominator != 0))


def sensitivity(
    confusion: ArrayLike, classes: Sequence[str], normal: str = "Normal", ignored: Sequence[str] = ()
) -> Floats:
    """Se: adventitious clips given their exact class / all adventitious clips (Chen & Zhang, eq. 1).

    Taking a wheeze for a crackle is an error here; :func:`binary_precision_recall_f1` forgives it.
    NaN without adventitious clips.
    """
    confusion = np.asarray(confusion, np.float64)
    rows = adventitious_classes(classes, normal, ignored)
    correct = np.diagonal(confusion, axis1=-2, axis2=-1)[..., rows].sum(axis=-1)
    return ratio(correct, confusion[..., rows, :].sum(axis=(-2, -1)))


def specificity(
    confusion: ArrayLike, classes: Sequence[str], normal: str = "Normal", ignored: Sequence[str] = ()
) -> Floats:
    """Sp: normal clips called normal / all normal clips (Chen & Zhang, eq. 1); NaN without normal clips."""
    confusion = np.asarray(confusion, np.float64)
    validate_classes(classes, normal, ignored)
    row = list(classes).index(normal)
    return ratio(confusion[..., row, row], confusion[..., row, :].sum(axis=-1))


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
    return np.asarray((se + sp + average_score(se, sp) + harmonic_score(se, sp)) / 4)


def challenge_score(se: ArrayLike, sp: ArrayLike) -> Floats:
    """Score = (AS + HS) / 2 of one task of the BioCAS 2022 and 2023 challenges."""
    return (average_score(se, sp) + harmonic_score(se, sp)) / 2


def challenge_scores(confusion: ArrayLike, classes: Sequence[str]) -> dict[str, float]:
    """Se, Sp, AS, HS and TS (Chen & Zhang, equation 1) and the challenge's Score; Normal comes first.

    A score that the clips leave undefined (no normal or no adventitious one) counts as zero here, since it
    is compared from epoch to epoch.
    """
    se = np.nan_to_num(sensitivity(confusion, classes, classes[0]))
    sp = np.nan_to_num(specificity(confusion, classes, classes[0]))
    scores = {
        "se": se,
        "sp": sp,
        "as": average_score(se, sp),
        "hs": harmonic_score(se, sp),
        "ts": total_score(se, sp),
        "score": challenge_score(se, sp),
    }
    return {name: float(value) for name, value in scores.items()}


def precision_recall_f1(confusion: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Return precision TP/(TP+FP), recall TP/(TP+FN) and F1 2TP/(2TP+FP+FN), each ``(..., classes)``.

    Precision is NaN for a class never predicted, recall for one without clips, F1 for one with neither.
    """
    confusion = np.asarray(confusion, np.float64)
    correct = np.diagonal(confusion, axis1=-2, axis2=-1)
    annotated, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    return ratio(correct, predicted), ratio(correct, annotated), ratio(2 * correct, annotated + predicted)


def macro_scores(confusion: ArrayLike) -> list[Floats]:
    """Return precision, recall and F1, each the mean over the classes that have clips.

    Normal and ignored classes count too, and an undefined value of a class with clips counts as 0. The mean
    recall is also called unweighted average recall (UAR) and balanced accuracy. It is not Se, in which a
    class weighs as much as it has clips and Normal has no part.
    """
    present = np.asarray(confusion).sum(axis=-1) > 0
    return [
        ratio(np.where(present, np.nan_to_num(values), 0.0).sum(axis=-1), present.sum(axis=-1))
        for values in precision_recall_f1(confusion)
    ]


def accuracy(confusion: ArrayLike) -> Floats:
    """Clips given their exact class / all clips."""
    confusion = np.asarray(confusion, np.float64)
    return ratio(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)))


def binary_precision_recall_f1(
    confusion: ArrayLike, classes: Sequence[str], normal: str = "Normal", ignored: Sequence[str] = ()
) -> tuple[Floats, Floats, Floats]:
    """Return the scores of adventitious against normal, any adventitious class being right (2-class tables).

    Precision is over normal or adventitious clips; the recall is the binary sensitivity. The binary
    specificity equals :func:`specificity`, as merging the adventitious classes does not change the normal
    row.
    """
    confusion = np.asarray(confusion, np.float64)
    rows = adventitious_classes(classes, normal, ignored)
    columns = confusion[..., :, rows].sum(axis=-1)
    correct = columns[..., rows].sum(axis=-1)
    predicted = correct + columns[..., list(classes).index(normal)]
    annotated = confusion[..., rows, :].sum(axis=(-2, -1))
    return ratio(correct, predicted), ratio(correct, annotated), ratio(2 * correct, predicted + annotated)


def confusion_scores(
    confusion: ArrayLike, classes: Sequence[str], normal: str = "Normal", ignored: Sequence[str] = ()
) -> dict[str, Floats]:
    """Return every score of a confusion ``(..., classes, classes)`` by name, each of shape ``(...)``."""
    se, sp = (f(confusion, classes, normal, ignored) for f in (sensitivity, specificity))
    precision, binary_se, f1 = binary_precision_recall_f1(confusion, classes, normal, ignored)
    macro_precision, macro_recall, macro_f1 = macro_scores(confusion)
    return {
        "sensitivity": se,
        "specificity": sp,
        "average_score": average_score(se, sp),
        "harmonic_score": harmonic_score(se, sp),
        "total_score": total_score(se, sp),
        "challenge_score": challenge_score(se, sp),
        "accuracy": accuracy(confusion),
        "macro_precision": macro_precision,
        "macro_sensitivity": macro_recall,
        "macro_f1": macro_f1,
        "binary_sensitivity": binary_se,
        "binary_specificity": sp,
        "binary_precision": precision,
        "binary_f1": f1,
        "binary_average_score": average_score(binary_se, sp),
        "binary_harmonic_score": harmonic_score(binary_se, sp),
        "binary_challenge_score": challenge_score(binary_se, sp),
    }
