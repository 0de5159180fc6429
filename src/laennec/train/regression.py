"""Logistic regressions: what a figure is compared with that needs no network."""

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from laennec.score.ranking import roc_auc

Values = NDArray[np.float64]
PENALTIES = (1.0, 10.0, 100.0, 1000.0)  # times half the squared weights; the inverse of scikit-learn's C


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
