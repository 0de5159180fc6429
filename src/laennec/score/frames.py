"""Average precision of a detector frame by frame, before any threshold or merging."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from laennec.score.bootstrap import DRAWS, LEVEL, Interval, Patients, over_patients, plain_number
from laennec.score.confusion import Floats, first_index, ratio
from laennec.score.ranking import average_precision

RANKS = 1000  # thresholds at which the draws are ranked


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

    Parameters
    ----------
    scores : (frames, classes) numbers, higher where the class is sounding
    targets : (frames, classes) booleans
    classes : names of the columns
    subjects : (frames,) patient of each frame; none: no interval
    draws, seed, level : the bootstrap's

    Returns
    -------
    dict
        Of each class. The value is exact (`average_precision`); the draws are ranked at a thousand
        thresholds, quantiles of the scores of positive and of all frames.

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
        precision = np.nan_to_num(ratio(true, true + false))
        gained = np.diff(true, axis=1, prepend=0)
        return {"average_precision": ratio((gained * precision).sum(axis=1), true[:, -1])}

    return of_draws
