"""A head fitted to labelled events: a multinomial logistic regression that begins at the head that is there.

The fewer events there are, the closer it stays to that head: a ridge penalty on the change (the maximum a
posteriori of a normal prior around it), whose strength is chosen by cross-validation over patients. The
problem is convex and has one solution, which L-BFGS finds (Liu & Nocedal, Mathematical Programming 45, 1989).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from laennec.errors import LaennecError
from laennec.labels import to_icbhi
from laennec.model.probability import softmax
from laennec.progress import Watch, track
from laennec.score.bootstrap import Patients

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Names = NDArray[np.str_]

PENALTIES = (np.inf, 1000.0, 300.0, 100.0, 30.0, 10.0, 3.0)  # tried from the strongest to the weakest
FEW_PATIENTS = 20  # with fewer, what cross-validation chooses is a guess, and no penalty is weaker than this:
WEAKEST_OF_FEW = 100.0
FOLDS = 5
MEMORY = 12  # steps that L-BFGS remembers
STEPS = 300
TOLERANCE = 1e-3  # of the gradient, whose terms are counts of events
TEMPERATURES = np.geomspace(0.5, 4.0, 61).round(4)
LEAST_DEVIATION = 1e-6  # of a feature; one that is always the same tells nothing


@dataclass(frozen=True)
class Items:
    """Labelled events: what the head is given, its present answer, and what it should be.

    `features` are ``(events, features)``; `logits`, calibrated, and `targets`, which add up to 1, are
    ``(events, classes)``.
    """

    features: Floats
    logits: Floats
    targets: Floats
    patients: Names

    def __len__(self) -> int:
        return len(self.patients)

    def chosen(self, rows: NDArray[np.generic]) -> "Items":
        """Some of them."""
        return Items(*(column[rows] for column in vars(self).values()))


def allowed(labels: Sequence[str], classes: Sequence[str]) -> Mask:
    """The classes that each label may mean, ``(labels, classes)``: itself, or all that ICBHI calls so.

    LaennecError if there is a label that none of the classes stands for.
    """
    coarse = [to_icbhi(name) or name for name in classes]
    rows = {
        label: np.equal(classes, label) if label in classes else np.equal(coarse, to_icbhi(label) or label)
        for label in set(labels)
    }
    strange = sorted(label for label, row in rows.items() if not row.any())
    if strange:
        raise LaennecError(
            f"labels that none of the model's classes stands for: {', '.join(strange)}; its classes are "
            f"{', '.join(classes)}"
        )
    return np.array([rows[label] for label in labels], bool).reshape(-1, len(classes))


def shared(logits: Floats, among: Mask) -> Floats:
    """Targets of labels that may mean several classes: shared among these as the logits have it."""
    return softmax(np.where(among, logits, -np.inf))


@dataclass(frozen=True)
class Change:
    """What is added to the calibrated logits: ``(classes, features)`` weights and ``(classes,)`` bias."""

    weights: Floats
    bias: Floats

    def on(self, items: Items) -> Floats:
        """The logits with it."""
        return items.logits + items.features @ self.weights.T + self.bias


def fit_path(items: Items, penalties: Sequence[float] = PENALTIES) -> list[Change]:
    """The change for each penalty, from the strongest to the weakest; none at all for an infinite one.

    A penalty is half the sum of squares of the weights of features of deviation 1, times that number; it
    stands beside the sum over the events of minus the logarithm of the probability of their label. So it
    weighs less, the more events there are.
    """
    mean, deviation = items.features.mean(0), items.features.std(0)
    known = deviation > LEAST_DEVIATION
    scale = np.where(known, 1 / np.where(known, deviation, 1.0), 0.0)
    design = np.column_stack([(items.features - mean) * scale, np.ones(len(items))])
    shape = (items.logits.shape[1], design.shape[1])
    point: Floats = np.zeros(shape)
    changes = []
    for penalty in penalties:
        if np.isfinite(penalty):
            point = minimised(_cost(design, items, penalty), point.ravel()).reshape(shape)
        weights = point[:, :-1] * scale
        changes.append(Change(weights, point[:, -1] - weights @ mean))
    return changes


def _cost(design: Floats, items: Items, penalty: float) -> Callable[[Floats], tuple[float, Floats]]:
    def cost(flat: Floats) -> tuple[float, Floats]:
        """The penalised loss of weights, and its gradient."""
        point = flat.reshape(items.logits.shape[1], -1)
        logits = items.logits + design @ point.T
        top = logits.max(1, keepdims=True)
        logs = logits - top - np.log(np.exp(logits - top).sum(1, keepdims=True))
        slope = (np.exp(logs) - items.targets).T @ design + penalty * point
        return float(penalty * (point**2).sum() / 2 - (items.targets * logs).sum()), slope.ravel()

    return cost


def minimised(cost: Callable[[Floats], tuple[float, Floats]], start: Floats) -> Floats:
    """Where a smooth convex function, given with its gradient, is smallest: L-BFGS."""
    point = start
    value, slope = cost(point)
    moves: list[tuple[Floats, Floats]] = []
    for _ in range(STEPS):
        if np.abs(slope).max() < TOLERANCE:
            break
        way = -_bent(slope, moves)
        steepness, size = float(slope @ way), 1.0 if moves else 1 / max(1.0, float(np.abs(slope).sum()))
        while True:  # until it is downhill enough; the function is convex, so it will be
            ahead = point + size * way
            new, new_slope = cost(ahead)
            if new <= value + 1e-4 * size * steepness:
                break
            size /= 2
            if size < 1e-12:
                return point
        moved, turned = ahead - point, new_slope - slope
        if moved @ turned > 1e-12:
            moves = [*moves[-MEMORY + 1 :], (moved, turned)]
        point, value, slope = ahead, new, new_slope
    return point


def _bent(slope: Floats, moves: Sequence[tuple[Floats, Floats]]) -> Floats:
    """The gradient times the inverse of what the moves so far tell of the curvature."""
    way, shares = slope.copy(), []
    for moved, turned in reversed(moves):
        shares.append((moved @ way) / (moved @ turned))
        way -= shares[-1] * turned
    if moves:
        moved, turned = moves[-1]
        way *= (moved @ turned) / (turned @ turned)
    for (moved, turned), share in zip(moves, reversed(shares), strict=True):
        way += (share - (turned @ way) / (moved @ turned)) * moved
    return way


def losses(logits: Floats, targets: Floats) -> Floats:
    """Minus the logarithm of the probability of each label, ``(events,)``; less what a shared one must be."""
    top = logits.max(1, keepdims=True)
    logs = logits - top - np.log(np.exp(logits - top).sum(1, keepdims=True))
    return -np.log(np.maximum((np.exp(logs) * (targets > 0)).sum(1), 1e-300))


def dealt(patients: Names, targets: Floats, folds: int = FOLDS, seed: int = 0) -> NDArray[np.int64]:
    """The fold of each event, by patient; the rarest classes are dealt first, evenly."""
    names = Patients.of(patients)
    held = names.sums(targets) > 0.5
    held[:, 0] = False
    rarity = np.where(held, held.sum(0), len(names) + 1).min(1)
    rng = np.random.default_rng(seed)
    order = np.lexsort([rng.random(len(names)), rarity])
    place = np.empty(len(names), np.int64)
    place[order] = np.arange(len(names)) % min(folds, len(names))
    return place[names.of_item]


def chosen_penalty(items: Items, penalties: Sequence[float] = PENALTIES, folds: int = FOLDS) -> int:
    """Number of the penalty by which others' events are foretold best, in the mean over patients."""
    count = len(set(items.patients.tolist()))
    if count < 2:
        return 0
    if count < FEW_PATIENTS:
        penalties = [each for each in penalties if each >= WEAKEST_OF_FEW]
    fold = dealt(items.patients, items.targets, folds)
    lost = np.zeros((len(penalties), len(items)))
    for number in np.unique(fold):
        own = fold == number
        here = items.chosen(own)
        for row, change in enumerate(fit_path(items.chosen(~own), penalties)):
            lost[row, own] = losses(change.on(here), here.targets)
    names = Patients.of(items.patients)
    each = names.sums(lost.T) / np.bincount(names.of_item, minlength=len(names))[:, None]
    return int(each.mean(0).argmin())


def fit_change(items: Items, penalties: Sequence[float] = PENALTIES) -> tuple[Change, float]:
    """The change that the events make, and the penalty that their patients chose."""
    number = chosen_penalty(items, penalties)
    return fit_path(items, penalties[: number + 1])[-1], penalties[number]


@dataclass(frozen=True)
class OutOfFold:
    """What is answered to each event by what the patients of the other folds changed."""

    fold: NDArray[np.int64]
    changes: dict[int, Change]
    logits: Floats
    temperatures: dict[int, float]
    """Of each fold: chosen by the answers to the others."""

    def calibrated(self) -> Floats:
        """The logits, divided by the temperature of each one's fold."""
        return self.logits / np.array([self.temperatures[int(number)] for number in self.fold])[:, None]


def out_of_fold(items: Items, watch: Watch = track) -> OutOfFold:
    """Fit without the patients of each fold in turn, with a penalty of their own; `watch` shows how far."""
    fold = dealt(items.patients, items.targets)
    numbers = watch(np.unique(fold).tolist(), "learning")
    changes = {number: fit_change(items.chosen(fold != number))[0] for number in numbers}
    logits = items.logits.copy()
    for number, change in changes.items():
        logits[fold == number] = change.on(items.chosen(fold == number))
    rest = {number: fold != number for number in changes}
    fitted = {
        number: fitted_temperature(logits[rows], items.targets[rows], items.patients[rows])
        for number, rows in rest.items()
    }
    return OutOfFold(fold, changes, logits, fitted)


def fitted_temperature(logits: Floats, targets: Floats, patients: Names) -> float:
    """The divisor of the logits by which labels are likeliest, in the mean over patients."""
    names = Patients.of(patients)
    items = np.bincount(names.of_item, minlength=len(names))
    means = [(names.sums(losses(logits / each, targets)) / items).mean() for each in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(means))])
