"""What rows of Table II are compared with besides each other: systems that need no network.

They have the rows' cycles and folds. All other folds train a regression; its penalty is the one with the best
AUC when each of those is left out in turn. One has folds of cycles dealt at random instead, to show what
patient-wise folds mean: it is measured on patients that it knows.
"""

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
    features: Values, positive: NDArray[np.bool_], others: Values, penalty: float
) -> Values:
    """Chance of the class for the rows of `others`, by a logistic regression on `features`.

    Features are standardised by the training rows; both classes weigh the same; the `penalty` is times half
    the squared weights, the inverse of scikit-learn's ``C``.
    """
    if positive.all() or not positive.any():
        return np.full(len(others), float(positive.all()))
    mean, deviation = features.mean(0), features.std(0)
    known, asked = ((rows - mean) / np.where(deviation > 0, deviation, 1.0) for rows in (features, others))
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
    return np.asarray(1 / (1 + np.exp(-np.clip(asked @ found.x[1:] + found.x[0], -500, 500))))


def cross_validated(
    features: Values, positive: NDArray[np.bool_], fold_of: NDArray[np.int64], penalty: float | None = None
) -> Values:
    """Chance of the class for each clip by a regression on all others; they choose the penalty if None."""
    chance = np.zeros(len(positive))
    for test in np.unique(fold_of):
        own = fold_of == test
        others = (features[~own], positive[~own])
        chosen = best_penalty(*others, fold_of[~own]) if penalty is None else penalty
        chance[own] = balanced_logistic(*others, features[own], chosen)
    return chance


def best_penalty(features: Values, positive: NDArray[np.bool_], fold_of: NDArray[np.int64]) -> float:
    """The penalty with the best AUC over these folds, each left out in turn; the strongest with one fold."""
    if len(np.unique(fold_of)) < 2:
        return PENALTIES[-1]

    def auc(penalty: float) -> float:
        return roc_auc(positive, cross_validated(features, positive, fold_of, penalty))

    return max(PENALTIES, key=auc)


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
