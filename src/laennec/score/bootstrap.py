"""Bootstrap over patients."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from laennec.score.confusion import Floats

DRAWS = 2000
LEVEL = 0.95
# With k patients holding a class, a resample misses it in about exp(-k) of the draws: 5 % for three, 14 %
# for two. An interval from one or two patients would be a guess, and for one patient of zero width.
UNDEFINED_DRAWS_LIMIT = 0.1


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
    return percentile_interval(score(resampled_counts(counts, confusions)), level)


def resampled_counts(counts: Floats, confusions: Floats) -> Floats:
    flat = counts @ confusions.reshape(len(confusions), -1)
    return flat.reshape(len(counts), *confusions.shape[1:])
