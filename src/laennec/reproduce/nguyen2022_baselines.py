"""What rows of Table II are compared with besides each other: systems that need no network.

They have the rows' cycles and folds. All other folds train a regression; its penalty is the one with the best
AUC when each of those is left out in turn. One has folds of cycles dealt at random instead, to show what
patient-wise folds mean: it is measured on patients that it knows.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from laennec.files import has_content
from laennec.score.predictions import Predictions, read_predictions, write_predictions
from laennec.score.ranking import roc_auc
from laennec.train.cohort import Cohort
from laennec.train.crossval import CrossValidationData
from laennec.train.data import predictions

Values = NDArray[np.float64]
QUANTILE = 0.95
PENALTIES = (1.0, 10.0, 100.0, 1000.0)  # times half the squared weights; the inverse of scikit-learn's C

BASELINES = {
    "all": "every cycle called a crackle",
    "duration": "logistic regression on the cycle's duration",
    "bands": "logistic regression on mean, deviation and 95 % quantile of the 45 bands",
    "bands-random": "the same, its folds of cycles dealt at random: patients on both sides",
}


def band_statistics(image: Tensor) -> Values:
    """Mean, deviation and 95 % quantile of each band over time.

    ``(clips, 1, bands, frames) -> (clips, 3 * bands)``.
    """
    bands = image[:, 0].double()
    found = [bands.mean(2), bands.std(2), torch.quantile(bands, QUANTILE, dim=2)]
    return np.asarray(torch.cat(found, dim=1).numpy(), np.float64)


def balanced_logistic(
    features: Values, positive: NDArray[np.bool_], penalty: float
) -> Callable[[Values], Values]:
    """A logistic regression on `features`: what gives the chance of the class for other rows.

    Features are standardised by the training rows; both classes weigh the same; the `penalty` is times half
    the squared weights, the inverse of scikit-learn's ``C``.
    """
    if positive.all() or not positive.any():
        return lambda others: np.full(len(others), float(positive.all()))
    mean, deviation = features.mean(0), features.std(0)

    def standardised(rows: Values) -> Values:
        return np.asarray((rows - mean) / np.where(deviation > 0, deviation, 1.0))

    known = standardised(features)
    weight = np.where(positive, 0.5 / positive.mean(), 0.5 / (~positive).mean())
    sign = np.where(positive, 1.0, -1.0)

    def loss(parameters: Values) -> tuple[float, Values]:
        margin = sign * (known @ parameters[1:] + parameters[0])
        slope = -sign * weight / (1 + np.exp(np.clip(margin, -500, 500)))
        gradient = np.concatenate([[slope.sum()], known.T @ slope + penalty * parameters[1:]])
        squares = 0.5 * penalty * float(parameters[1:] @ parameters[1:])
        return float((weight * np.logaddexp(0, -margin)).sum()) + squares, gradient

    found = minimize(
        loss, np.zeros(known.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 1000}
    )

    def chance(others: Values) -> Values:
        margin = standardised(others) @ found.x[1:] + found.x[0]
        return np.asarray(1 / (1 + np.exp(-np.clip(margin, -500, 500))))

    return chance


def cross_validated(features: Values, positive: NDArray[np.bool_], fold_of: NDArray[np.int64]) -> Values:
    """Chance of the class for each clip by a regression on all other folds, whose penalty they choose.

    They choose the best AUC over themselves, each left out in turn; the strongest where there is one other.
    """
    tested = [fold_of == fold for fold in np.unique(fold_of)]
    chosen = [PENALTIES[-1]] * len(tested)
    if len(tested) > 2:
        by_penalty = [_with_two_left_out(features, positive, tested, penalty) for penalty in PENALTIES]
        for test, own in enumerate(tested):
            auc = {
                penalty: roc_auc(positive[~own], chance[test, ~own])
                for penalty, chance in zip(PENALTIES, by_penalty, strict=True)
            }
            chosen[test] = max(PENALTIES, key=auc.__getitem__)
    chance = np.zeros(len(positive))
    for own, penalty in zip(tested, chosen, strict=True):
        chance[own] = balanced_logistic(features[~own], positive[~own], penalty)(features[own])
    return chance


def _with_two_left_out(
    features: Values, positive: NDArray[np.bool_], tested: Sequence[NDArray[np.bool_]], penalty: float
) -> Values:
    """Chance for each clip without its own fold and another: ``(other fold, clips)``, a fit for two."""
    chance = np.zeros((len(tested), len(positive)))
    for (first, one), (second, two) in combinations(enumerate(tested), 2):
        known = ~(one | two)
        model = balanced_logistic(features[known], positive[known], penalty)
        chance[first, two], chance[second, one] = model(features[two]), model(features[one])
    return chance


def baseline_predictions(cohort: Cohort, data: CrossValidationData, seed: int) -> dict[str, Predictions]:
    """The predictions of each of `BASELINES` for every cycle of a cohort, whose images `data` holds."""
    positive = (cohort.clips["label"] == cohort.labels[-1]).to_numpy()
    duration = np.log(np.asarray(cohort.lengths, np.float64) / cohort.sample_rate)[:, None]
    bands = band_statistics(data.examples.image)
    at_random = np.random.default_rng(seed).permutation(len(positive)) % cohort.folds
    chances = {
        "all": np.ones(len(positive)),
        "duration": cross_validated(duration, positive, cohort.fold),
        "bands": cross_validated(bands, positive, cohort.fold),
        "bands-random": cross_validated(bands, positive, at_random),
    }
    return {
        name: predictions(cohort.clips, cohort.labels, np.stack([1 - chance, chance], axis=1))
        for name, chance in chances.items()
    }


def write_baselines(out: Path, cohort: Cohort, data: CrossValidationData, seed: int) -> None:
    """Write the predictions of every baseline below `out`."""
    for name, found in baseline_predictions(cohort, data, seed).items():
        write_predictions(baseline_file(out, name), found)


def read_baselines(out: Path) -> dict[str, list[Predictions]]:
    """The baselines that are there, as runs of one each."""
    files = {name: baseline_file(out, name) for name in BASELINES}
    return {name: [read_predictions(path)] for name, path in files.items() if has_content(path)}


def baseline_file(out: Path, name: str) -> Path:
    """Where a baseline's predictions lie."""
    return out / "baselines" / f"{name}.csv"
