"""Protocols of measuring: which rows of a clips table are trained on, chosen on and measured on."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from laennec.datasets import splits
from laennec.errors import LaennecError
from laennec.features import build_front_end
from laennec.train.recipe import Recipe

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Fold:
    """Sets of rows of a clips table."""

    name: str
    train: Mask
    test: Mask
    validation: Mask | None = None
    """Rows that choose the epoch; None: the last epoch counts. In a holdout these are the test rows."""

    def sets(self) -> list[str]:
        """Set of each row: ``train``, ``validation``, ``test``, or nothing."""
        validation = np.zeros(len(self.train), bool) if self.validation is None else self.validation
        rows = zip(self.train, validation, self.test, strict=True)
        return ["train" if a else "validation" if b else "test" if c else "" for a, b, c in rows]


Protocol = Callable[[pd.DataFrame], Sequence[Fold]]


def make_split(clips: pd.DataFrame, recipe: Recipe) -> splits.Split:
    """Split a training set as the recipe says; ``none`` trains and validates on everything."""
    if recipe.split == "none":
        everything = np.ones(len(clips), bool)
        return splits.Split("none", everything, everything, shared_subjects=clips["subject"].nunique())
    return splits.make(clips, recipe.split, recipe.validation_fraction, recipe.split_seed)


def holdout(clips: pd.DataFrame, recipe: Recipe) -> Fold:
    """The one fold of a training run."""
    split = make_split(clips, recipe)
    if recipe.split == "patient":
        splits.refuse_leakage(clips[split.train], clips[split.validation])
    if recipe.split == "none":
        return Fold("none", split.train, split.train)
    return Fold(recipe.split, split.train, split.validation, split.validation)


def k_fold(clips: pd.DataFrame, folds: int, seed: int) -> list[Fold]:
    """Every patient is in the test set of one fold; nothing is chosen on it."""
    dealt = splits.kfold(clips, folds, seed)
    return [Fold(str(number), split.train, split.validation) for number, split in enumerate(dealt, start=1)]


def rotation(fold_of: NDArray[np.int_]) -> list[Fold]:
    """One part tests, the next chooses, the rest train (Nguyen & Pernkopf, section IV-A)."""
    parts = [splits.rotation(fold_of, test) for test in range(int(fold_of.max()) + 1)]
    return [
        Fold(str(number), train, test, validation)
        for number, (train, validation, test) in enumerate(parts, start=1)
    ]


def chronological(clips: pd.DataFrame, share: float = 0.7) -> list[Fold]:
    """Patients first recorded before a cut train; those first recorded after it are measured on.

    A recording's place in time is the last number of its name, as in SPRSound's
    ``65060456_2.6_1_p3_6174.wav``. The cut is at that `share` of the patients.

    Raises
    ------
    LaennecError
        If a name has no number, or either set would be empty.
    """
    numbers = [re.findall(r"\d+", str(name)) for name in clips["recording"]]
    if not all(numbers):
        raise LaennecError("a recording's name has no number; its place in time is not known")
    at = np.array([int(own[-1]) for own in numbers])
    groups = splits.subject_groups(clips)
    first = {group: int(at[groups == group].min()) for group in np.unique(groups)}
    order = sorted(first, key=lambda group: (first[group], group))
    early = set(order[: round(share * len(order))])
    train = np.array([group in early for group in groups], bool)
    if train.all() or not train.any():
        raise LaennecError(f"{len(order)} patients cannot be cut at {share:.0%}; one set would be empty")
    return [Fold("later patients", train, ~train)]


def leave_one_out(clips: pd.DataFrame, column: str = "dataset") -> list[Fold]:
    """Each data set, or each value of another column, is measured on by a network trained on the others.

    Raises
    ------
    LaennecError
        If there is one value only.
    """
    values = sorted(set(clips[column].dropna()))
    if len(values) < 2:
        raise LaennecError(f"{len(values)} {column}s: two or more are needed to leave one out")
    masks = [(clips[column] == value).to_numpy() for value in values]
    return [Fold(str(value), ~mask, mask) for value, mask in zip(values, masks, strict=True)]


def protocol_of(recipe: Recipe, folds: int, name: str = "k-fold") -> Protocol:
    """Protocol that measures a recipe by itself: ``k-fold``, ``chronological`` or ``leave-one-out``.

    Raises
    ------
    LaennecError
        If the recipe is one of cycles, or of a model that starts from another.
    """
    if recipe.start_from or build_front_end(recipe.front_end).task == "cycle":
        raise LaennecError(
            f"recipe {recipe.name} cannot be cross-validated by itself; laennec transfer and laennec "
            "reproduce do that for recipes of cycles and for those that start from others"
        )
    others: dict[str, Protocol] = {"chronological": chronological, "leave-one-out": leave_one_out}
    return others.get(name, lambda clips: k_fold(clips, folds, recipe.split_seed))
