"""The bootstrap over patients: the one way by which Laennec gives a score its interval.

Clips of one patient resemble one another, so patients are drawn again and not clips. A statistic is computed
of all resamples at once, and of the data itself as the draw that holds every patient once.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from laennec.score.confusion import Floats, confusion_by_group, predicted_classes

DRAWS = 2000
LEVEL = 0.95
# With k patients holding a class, a resample misses it in about exp(-k) of the draws: 5 % for three, 14 %
# for two. An interval from one or two patients would be a guess, and for one patient of zero width.
UNDEFINED_DRAWS_LIMIT = 0.1

Key = TypeVar("Key", bound=Hashable)
Interval = list[float]
"""``[low, high]``."""


@dataclass(frozen=True)
class Score:
    """A score and its interval over patients; None where undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    """Patients that were drawn."""

    @property
    def interval(self) -> Interval | None:
        """``[low, high]``, as JSON holds it."""
        return None if self.low is None or self.high is None else [self.low, self.high]


class BootstrapSettings(TypedDict):
    """How the intervals beside it were made."""

    over: str
    method: str
    draws: int
    seed: int
    level: float
    no_interval: str | None
    """Why there is none."""
    note: NotRequired[str]
    """What limits them."""


@dataclass(frozen=True)
class Patients:
    """Whose each item (clip, recording, frame) is. The unknown patient, "", is one patient like the others.

    To take items of unknown patients as independent would make intervals too narrow; to take them as one
    patient's can only make them wider.
    """

    names: NDArray[np.str_]
    """(patients,) sorted; "" for the unknown one."""
    of_item: NDArray[np.int64]
    """(items,) index of each item's patient."""

    @classmethod
    def of(cls, subjects: Sequence[str] | NDArray[Any]) -> "Patients":
        """Group items by patient; "" where unknown."""
        names, of_item = np.unique(np.asarray(subjects, dtype=str), return_inverse=True)
        return cls(names, of_item)

    @property
    def known(self) -> int:
        """How many patients are known."""
        return int((self.names != "").sum())

    def __len__(self) -> int:
        return len(self.names)

    def sums(self, terms: ArrayLike) -> Floats:
        """Sum ``(items, ...)`` over each patient's items, ``(patients, ...)``."""
        terms = np.asarray(terms, np.float64)
        table = np.zeros((len(self), *terms.shape[1:]))
        np.add.at(table, self.of_item, terms)
        return table

    def confusions(self, labels: Sequence[str], probabilities: ArrayLike, classes: Sequence[str]) -> Floats:
        """Return the confusion of each patient's clips, ``(patients, classes, classes)``."""
        answers = predicted_classes(probabilities, classes)
        return confusion_by_group(labels, answers, self.of_item, len(self), classes)

    def settings(
        self, draws: int = DRAWS, seed: int = 0, level: float = LEVEL, what: str = "clips"
    ) -> BootstrapSettings:
        """Describe a bootstrap over these patients, with the reason if there are too few for one."""
        items = len(self.of_item)
        unknown = items - int((self.names[self.of_item] != "").sum())
        reason = None
        if len(self) < 2:
            known = "there is only one patient"
            reason = f"the patient of {unknown} of {items} {what} is unknown" if unknown else known
        settings = BootstrapSettings(
            over="subjects",
            method="percentile",
            draws=0 if reason else draws,
            seed=seed,
            level=level,
            no_interval=reason,
        )
        if unknown and not reason:
            settings["note"] = (
                f"the patient of {unknown} of {items} {what} is unknown; they count as one patient's"
            )
        return settings


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


def over_patients(
    counts: int | ArrayLike,
    statistic: Callable[[Floats], Mapping[Key, ArrayLike]],
    draws: int = DRAWS,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[Key, Score]:
    """Compute scores with their intervals, by resampling patients with replacement.

    Parameters
    ----------
    counts : (patients, ...) array, or int
        What adds up over patients: confusions, numbers of matched events, sums of errors (`Patients.sums`).
        Or the number of patients, for a statistic that takes how often each patient is drawn.
    statistic : callable
        From the sums of many draws, ``(draws, ...)``, or from ``(draws, patients)`` multiplicities, to scores
        by name, each ``(draws,)``. A difference of two scores made here is paired.
    draws, seed, level : int, int, float
        Number of resamples (0: no intervals), seed of their generator, coverage in 0 to 1.

    Returns
    -------
    dict
        Each name to its `Score`; without an interval where there are fewer than two patients, or where more
        than a tenth of the draws leave the score undefined.
    """
    table = None if isinstance(counts, int) else np.asarray(counts, np.float64)
    patients = counts if isinstance(counts, int) else len(np.asarray(counts))

    def of_draws(times: Floats) -> Mapping[Key, ArrayLike]:
        return statistic(times if table is None else resampled_counts(times, table))

    values = of_draws(np.ones((1, patients)))
    drawn = of_draws(patient_draws(patients, draws, seed)) if draws and patients > 1 else {}
    scores = {}
    for key, value in values.items():
        low, high = (percentile_interval(drawn[key], level) if key in drawn else None) or (None, None)
        scores[key] = Score(plain_number(np.asarray(value)[0]), low, high, patients)
    return scores


def as_json(scores: Mapping[str, Score]) -> tuple[dict[str, float | None], dict[str, Interval | None]]:
    """Return the values and the intervals of scores, by name."""
    return {k: each.value for k, each in scores.items()}, {k: each.interval for k, each in scores.items()}


def resampled_counts(times: Floats, table: Floats) -> Floats:
    """Sum a ``(patients, ...)`` table over the patients of each draw, ``(draws, ...)``."""
    flat = times @ table.reshape(len(table), -1)
    return np.asarray(flat.reshape(len(times), *table.shape[1:]))


def plain_number(value: Any) -> float | None:
    """Return a float for JSON, None where it is undefined."""
    return None if np.isnan(value) else float(value)
