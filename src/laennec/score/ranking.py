"""Scores of a ranking: area under the ROC curve, average precision."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from laennec.score.confusion import Floats, ratio

Floats32 = NDArray[np.float32]


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
    gained = np.diff(true, axis=-1, prepend=0)
    below = (gained * (negatives[:, None] - above)).sum(axis=-1)
    precision = np.nan_to_num(ratio(true, true + false))
    return ratio(below, positives * negatives), ratio((gained * precision).sum(axis=-1), positives)


def _ranking_of_one_set(positive: ArrayLike, score: ArrayLike) -> tuple[float, float]:
    positive, score = np.asarray(positive, bool), np.asarray(score, np.float64)
    if positive.shape != score.shape or positive.ndim != 1:
        raise ValueError(f"{positive.shape} truths and {score.shape} scores; expected one of each per clip")
    ranking = rank_scores(positive, score, np.zeros(len(score), np.int64), 1)
    auc, precision = ranking_scores(ranking, np.ones((1, 1)))
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
