"""When a model for whole recordings is certain, and when it refuses: thresholds chosen by the worst data set.

A mean over data sets would hide the one on which a model is sure and wrong. Data sets have other shares of
sick patients than a practice, so errors are judged at a stated prevalence: recordings of sick and of well
lungs are weighted to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from laennec.labels import NORMAL
from laennec.model.probability import sick_labels
from laennec.score.bootstrap import DRAWS, Patients, Score, over_patients
from laennec.score.confusion import ratio

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

PREVALENCE = 0.3  # of adventitious sounds, at which certain answers are judged
FLOOR = 0.4  # share of answers that are certain, at least: to be sure of nothing is no answer
WRONG, MISSED = 0.10, 0.05  # of the certain answers; of the sick, who are called Normal with certainty
# ICBHI's labels are of cycles, each of which has an annotator's chance of being wrong.
LIMITS: Mapping[str, tuple[float, float]] = {"icbhi": (0.25, 0.08)}
GRID = np.linspace(0.0, 1.0, 201).round(3)
CALLED_NORMAL, CALLED_SICK, NEITHER = range(3)
CERTAIN = {
    "certain": "certain answers",
    "wrong": "wrong among the certain",
    "missed": "sick called Normal with certainty",
    "false_alarms": "well called sick with certainty",
}
"""Figures of certain answers: shares of all recordings, of the certain ones, of the sick, of the well."""


@dataclass(frozen=True)
class Answers:
    """What was answered to recordings of lungs that are annotated as sick or well, ``(recordings,)`` each."""

    sick: Mask
    called: NDArray[np.int64]
    """`CALLED_NORMAL`, `CALLED_SICK`; `NEITHER` where it was refused, or called of poor quality."""
    certainty: Floats
    """Of that answer; below 0 where it cannot be certain, such as against the recording's events."""

    def chosen(self, rows: Mask) -> "Answers":
        """Some of them."""
        return Answers(self.sick[rows], self.called[rows], self.certainty[rows])

    def certain(self, normal_at: float, sick_at: float) -> NDArray[np.int64]:
        """What is called with certainty by two thresholds; else `NEITHER`."""
        threshold = np.select(
            [self.called == CALLED_NORMAL, self.called == CALLED_SICK], [normal_at, sick_at], 2
        )
        return np.where(self.certainty >= threshold, self.called, NEITHER)


def called_as(best: NDArray[np.int64], records: Sequence[str]) -> NDArray[np.int64]:
    """What is called by the likeliest of the record labels: Normal, sick, or neither."""
    sides = [np.equal(records, NORMAL)[best], sick_labels(records)[best]]
    return np.select(sides, [CALLED_NORMAL, CALLED_SICK], NEITHER)


def limits_of(dataset: str, limits: Mapping[str, tuple[float, float]] = LIMITS) -> tuple[float, float]:
    """Share of certain answers that may be wrong, and of the sick that may be certainly called Normal."""
    return limits.get(dataset, (WRONG, MISSED))


def certain_scores(
    sick: Mask,
    called: NDArray[np.int64],
    subjects: NDArray[np.str_],
    prevalence: float = PREVALENCE,
    draws: int = DRAWS,
) -> dict[str, Score]:
    """`CERTAIN`, with intervals over patients, of what was called with certainty (`Answers.certain`)."""
    columns = [sick, ~sick]
    columns += [side & (called == what) for side in (sick, ~sick) for what in (CALLED_NORMAL, CALLED_SICK)]

    def scores(counts: Floats) -> dict[str, Floats]:
        ill, well, *certain = counts.T
        missed, found, cleared, alarmed = (
            ratio(count, total) for count, total in zip(certain, (ill, ill, well, well), strict=True)
        )
        share = prevalence * (missed + found) + (1 - prevalence) * (cleared + alarmed)
        wrong = prevalence * missed + (1 - prevalence) * alarmed
        return dict(zip(CERTAIN, (share, ratio(wrong, share), missed, alarmed), strict=True))

    return over_patients(Patients.of(subjects).sums(np.column_stack(columns)), scores, draws)


def certain_thresholds(
    answers: Answers,
    datasets: NDArray[np.str_],
    groups: NDArray[np.str_],
    prevalence: float = PREVALENCE,
    floor: float = FLOOR,
    limits: Mapping[str, tuple[float, float]] = LIMITS,
) -> tuple[float, float]:
    """The lowest thresholds of certainty, of Normal and of sick, that keep every group within its limits.

    At most so many certain answers may be wrong, and so many of the sick called Normal, as their data set
    allows (`limits_of`), and the share `floor` of each group is to be certain. Where that cannot all be, the
    pair is taken that exceeds its worst limit, or falls short of the floor, by the smallest factor; of
    several, the one that holds each of the two answers to the first limit by itself; then that of the most
    certain answers.

    Parameters
    ----------
    datasets, groups
        ``(recordings,)``: data set and group of each answer. A group that lacks the sick or the well is not
        judged.
    """
    short, over, one_sided = (np.zeros((GRID.size, GRID.size)) for _ in range(3))
    least = np.ones_like(short)
    for group in np.unique(groups):
        own = answers.chosen(groups == group)
        if own.sick.all() or not own.sick.any():
            continue
        allowed, allowed_missed = limits_of(str(datasets[groups == group][0]), limits)
        weight = np.where(own.sick, prevalence / own.sick.sum(), (1 - prevalence) / (~own.sick).sum())
        above = (own.certainty[:, None] >= GRID) * weight[:, None]
        normal, sick = own.called == CALLED_NORMAL, own.called == CALLED_SICK
        share = above[normal].sum(0)[:, None] + above[sick].sum(0)
        missed, alarmed = above[normal & own.sick].sum(0), above[sick & ~own.sick].sum(0)
        wrong = _over(missed[:, None] + alarmed, share, allowed)
        wrong_normal = _over(missed, above[normal].sum(0), allowed)[:, None]
        wrong_sick = _over(alarmed, above[sick].sum(0), allowed)
        short = np.maximum(short, floor / np.maximum(share, 1e-9))
        over = np.maximum(over, np.maximum(wrong, (missed / prevalence / allowed_missed)[:, None]))
        one_sided = np.maximum(one_sided, np.maximum(wrong_normal, wrong_sick))
        least = np.minimum(least, share)
    keys = [np.maximum(short, over).clip(1), one_sided.clip(1), -least]
    order = np.lexsort([key.round(9).ravel() for key in reversed(keys)])
    normal_at, sick_at = np.unravel_index(order[0], short.shape)
    return float(GRID[normal_at]), float(GRID[sick_at])


def _over(wrong: Floats, share: Floats, allowed: float) -> Floats:
    """How many times as many are wrong as are allowed; none where nothing is certain."""
    return np.asarray(np.nan_to_num(ratio(wrong, share)) / allowed)


def prevalence_weights(
    labels: NDArray[np.int64],
    sick: Mask,
    well: Mask,
    groups: NDArray[np.str_],
    prevalence: float = PREVALENCE,
    each: Floats | None = None,
) -> Floats:
    """Weights of labelled recordings ``(recordings,)``: one for each group, at the stated prevalence.

    `sick` and `well` tell of each label which it is; those that are neither keep their share of a group.
    `each` are weights of the recordings within the sick and the well of a group; otherwise all are alike.
    """
    weights = np.zeros(len(labels))
    share = np.ones(len(labels)) if each is None else each
    for group in np.unique(groups):
        own = groups == group
        ill, fine = own & sick[labels], own & well[labels]
        weights[own] = share[own] / share[own].sum()
        if ill.any() and fine.any():
            of_ill, of_fine = weights[ill].sum(), weights[fine].sum()
            weights[ill] *= (of_ill + of_fine) * prevalence / of_ill
            weights[fine] *= (of_ill + of_fine) * (1 - prevalence) / of_fine
    return weights
