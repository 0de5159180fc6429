"""Scores of a ranking: area under the ROC curve; average precision, of clips and of a detector's frames."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from laennec.score.bootstrap import DRAWS, LEVEL, Interval, Patients, Score, over_patients, plain_number
from laennec.score.confusion import Floats, first_index, ratio

Floats32 = NDArray[np.float32]
RANKS = 1000  # thresholds at which the draws of frames are ranked


@dataclass(frozen=True)
class Ranking:
    """Clips passed at each threshold that a positive clip gains, by patient (see :func:`rank_scores`)."""

    true: Floats32  # (thresholds, patients) positives at or above the threshold
    false: Floats32  # (thresholds, patients) negatives at or above it
    above: Floats32  # (thresholds, patients) negatives above it, and half of those tied with it
    positives: Floats32  # (patients,)
    negatives: Floats32  # (patients,)


def descending(score: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the order from the highest score down, and in it the last place of each run of ties."""
    order = np.argsort(-score, kind="stable")
    return order, np.flatnonzero(np.diff(score[order], append=-np.inf))


def rank_scores(
    positive: NDArray[np.bool_], score: Floats, group: NDArray[np.int64], n_groups: int
) -> Ranking:
    """Rank the clips once, so that a resample of patients costs a matrix product instead of a sort.

    Counts are whole or half numbers, which float32 holds exactly far beyond any number of clips here.
    """
    order, ends = descending(score)
    member = np.zeros((len(order), n_groups), dtype=np.float32)
    member[np.arange(len(order)), group[order]] = 1
    is_positive = positive[order][:, None]
    true = np.cumsum(member * is_positive, axis=0)[ends]
    false = np.cumsum(member * ~is_positive, axis=0)[ends]
    before = np.concatenate([np.zeros((1, n_groups), np.float32), false[:-1]])[: len(ends)]
    gains = np.diff(np.cumsum(positive[order])[ends], prepend=0) > 0
    return Ranking(
        true=true[gains],
        false=false[gains],
        above=((false + before) / 2)[gains],
        positives=member[is_positive[:, 0]].sum(axis=0),
        negatives=member[~is_positive[:, 0]].sum(axis=0),
    )


def ranking_scores(ranking: Ranking, counts: Floats) -> tuple[Floats, Floats]:
    """Return ROC AUC and average precision, each ``(draws,)``, under ``(draws, patients)`` counts."""
    weight = counts.astype(np.float32)
    true, false, above = (
        (weight @ table.T).astype(np.float64) for table in (ranking.true, ranking.false, ranking.above)
    )
    positives, negatives = (
        (weight @ total).astype(np.float64) for total in (ranking.positives, ranking.negatives)
    )
    below = (np.diff(true, axis=-1, prepend=0) * (negatives[:, None] - above)).sum(axis=-1)
    return ratio(below, positives * negatives), _average_precision(true, false, positives)


def _average_precision(true: Floats, false: Floats, positives: Floats) -> Floats:
    """Return ``(draws,)`` values from positives and negatives at or above each threshold."""
    gained = np.diff(true, axis=-1, prepend=0)
    return ratio((gained * np.nan_to_num(ratio(true, true + false))).sum(axis=-1), positives)


def _ranking_of_one_set(positive: ArrayLike, score: ArrayLike) -> tuple[float, float]:
    positive, score = np.asarray(positive, bool), np.asarray(score, np.float64)
    if positive.shape != score.shape or positive.ndim != 1:
        raise ValueError(f"{positive.shape} truths and {score.shape} scores; expected one of each per clip")
    ranking = rank_scores(positive, score, np.zeros(len(score), np.int64), 1)
    auc, precision = ranking_scores(ranking, np.ones((1, 1)))
    return float(auc[0]), float(precision[0])


def roc_auc(positive: ArrayLike, score: ArrayLike) -> float:
    """Chance that a positive clip scores above a negative one, a tie counting half (Mann-Whitney).

    NaN unless there are both positives and negatives.

    Parameters
    ----------
    positive : (clips,) booleans
    score : (clips,) numbers, higher for positive
    """
    return _ranking_of_one_set(positive, score)[0]


def auc_over_patients(
    positive: ArrayLike, score: ArrayLike, subjects: Sequence[str] | NDArray[Any], draws: int = DRAWS
) -> Score:
    """:func:`roc_auc`, with its interval over the patients of the clips."""
    patients = Patients.of(subjects)
    ranking = rank_scores(
        np.asarray(positive, bool), np.asarray(score, np.float64), patients.of_item, len(patients)
    )
    return over_patients(len(patients), lambda times: {"auc": ranking_scores(ranking, times)[0]}, draws)[
        "auc"
    ]


def average_precision(positive: ArrayLike, score: ArrayLike) -> float:
    """Sum over thresholds of (recall gained) times (precision there), without interpolation.

    Parameters as in :func:`roc_auc`; NaN without positives.
    """
    return _ranking_of_one_set(positive, score)[1]


class FrameScore(TypedDict):
    """Average precision of one class over frames."""

    frames: int
    """Positive ones."""
    average_precision: float | None
    """None without positive frames."""
    interval: Interval | None


def frame_average_precision(
    scores: ArrayLike,
    targets: ArrayLike,
    classes: Sequence[str],
    subjects: Sequence[str] = (),
    draws: int = DRAWS,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, FrameScore]:
    """Average precision of each class over frames, with an interval over patients where they are given.

    The values are exact (:func:`average_precision`); the draws are ranked at a thousand thresholds, quantiles
    of the scores of positive and of all frames.

    Parameters
    ----------
    scores : (frames, classes) numbers, higher where the class is sounding
    targets : (frames, classes) booleans
    classes : names of the columns
    subjects : (frames,) patient of each frame; none: no interval
    draws, seed, level : the bootstrap's

    Raises
    ------
    ValueError
        If the shapes do not fit or a score is no number.
    """
    rows, truth = np.asarray(scores), np.asarray(targets, bool)
    if rows.ndim != 2 or rows.shape != truth.shape or rows.shape[1] != len(classes):
        raise ValueError(
            f"scores have shape {rows.shape}, targets {truth.shape}; expected a row per frame, "
            f"a column for each of {len(classes)} classes"
        )
    if len(subjects) not in (0, len(rows)):
        raise ValueError(f"{len(subjects)} subjects for {len(rows)} frames; expected one per frame")
    if np.isnan(rows).any():
        raise ValueError(f"frame {first_index(np.isnan(rows).any(axis=1))} has a score that is no number")
    patients = Patients.of(subjects if len(subjects) else [""] * len(rows))
    by_class: dict[str, FrameScore] = {}
    for k, name in enumerate(classes):
        value, drawn = average_precision(truth[:, k], rows[:, k]), None
        if truth[:, k].any():
            draw = _ranked(truth[:, k], rows[:, k], patients)
            drawn = over_patients(len(patients), draw, draws, seed, level)["average_precision"].interval
        by_class[name] = FrameScore(
            frames=int(truth[:, k].sum()), average_precision=plain_number(value), interval=drawn
        )
    return by_class


def _ranked(
    positive: NDArray[np.bool_], score: NDArray[Any], patients: Patients
) -> Callable[[Floats], Mapping[str, Floats]]:
    """Return average precision as a function of draws, from counts of frames by patient and score.

    Half the thresholds lie at quantiles of the positive frames' scores, where recall is gained.
    """
    shares = np.linspace(0, 1, RANKS // 2)
    edges = np.unique(np.concatenate([np.quantile(score[positive], shares), np.quantile(score, shares)]))
    rank = len(edges) - np.searchsorted(edges, score, side="right")  # 0: the highest scores

    def table(mask: NDArray[np.bool_]) -> Floats:
        place = rank[mask] * len(patients) + patients.of_item[mask]
        cells = np.bincount(place, minlength=(len(edges) + 1) * len(patients))
        return np.cumsum(cells.reshape(-1, len(patients)), axis=0, dtype=np.float64).T

    passed = table(positive), table(~positive)

    def of_draws(times: Floats) -> Mapping[str, Floats]:
        true, false = (times @ each for each in passed)
        return {"average_precision": _average_precision(true, false, true[:, -1])}

    return of_draws
