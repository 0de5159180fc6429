"""Protocols of measuring: which rows of a clips table are trained on, chosen on and measured on."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from laennec.audio.samples import counted
from laennec.datasets import data_sets, splits
from laennec.errors import LaennecError
from laennec.features import build_front_end
from laennec.labels import PHASES, SOUND_KINDS
from laennec.train.recipe import Recipe
from laennec.train.tables import source_of

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Fold:
    """Sets of rows of a clips table."""

    name: str
    train: Mask
    test: Mask
    validation: Mask | None = None
    """Rows that choose the epoch; None: the last epoch counts. In a holdout these are the test rows."""

    def of(self, rows: slice) -> "Fold":
        """The fold of some of the rows."""
        validation = None if self.validation is None else self.validation[rows]
        test = self.test[rows]
        return Fold(self.name, self.train[rows], test, test if self.validation is self.test else validation)

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
    """The one fold of a training run: the first data set is split, the others train."""
    rows = next(iter(_rows_of_sets(clips).values()))
    own = clips.iloc[rows]
    split = make_split(own, recipe)
    if recipe.split == "patient":
        splits.refuse_leakage(own[split.train], own[split.validation])
    train, test = _learnt(clips), np.zeros(len(clips), bool)
    train[rows], test[rows] = split.train, split.validation
    if recipe.split == "none":
        return Fold("none", train, test)
    return Fold(recipe.split, train, test, test)


def k_fold(clips: pd.DataFrame, folds: int, seed: int) -> list[Fold]:
    """Every patient is in the test set of one fold; nothing is chosen on it.

    Patients are dealt within each data set. What is no data to learn from (``TRAINS``) is measured on only.

    Raises
    ------
    LaennecError
        If the first data set has fewer patients than there are folds.
    """
    own = clips.iloc[next(iter(_rows_of_sets(clips).values()))]
    if not 2 <= folds <= len(set(splits.subject_groups(own))):
        splits.kfold(own, folds, seed)  # says why not
    part = _dealt(clips, folds, seed)
    return [measuring(str(number + 1), clips, part == number) for number in range(folds)]


def _rows_of_sets(clips: pd.DataFrame) -> dict[str, NDArray[np.int_]]:
    """Rows of each data set, in the order of the table."""
    source, named = source_of(clips).to_numpy(), clips["dataset"].to_numpy()
    rows = [np.flatnonzero(source == name) for name in dict.fromkeys(source)]
    return {str(named[own[0]]): own for own in rows}


def _dealt(clips: pd.DataFrame, parts: int, seed: int) -> NDArray[np.int_]:
    """Part of each row, from 0, by patient within each data set.

    A data set of fewer patients than parts has a patient in each of the last.
    """
    part = np.full(len(clips), parts - 1)
    for rows in _rows_of_sets(clips).values():
        own = clips.iloc[rows]
        count = min(parts, len(set(splits.subject_groups(own))))
        for number, split in enumerate(splits.kfold(own, count, seed) if count > 1 else ()):
            part[rows[split.validation]] = parts - count + number
    return part


def _learnt(clips: pd.DataFrame) -> Mask:
    """Whether a model may learn from each row's data set."""
    measured_only = [name for name, each in data_sets().items() if not each.TRAINS]
    return ~clips["dataset"].isin(measured_only).to_numpy(bool)


def measuring(name: str, clips: pd.DataFrame, test: Mask) -> Fold:
    """A fold that is measured on some rows and trains on the others from which a model may learn."""
    return Fold(name, ~test & _learnt(clips), test)


def rotation(fold_of: NDArray[np.int_]) -> list[Fold]:
    """One part tests, the next chooses, the rest train (Nguyen & Pernkopf, section IV-A)."""
    parts = [splits.rotation(fold_of, test) for test in range(int(fold_of.max()) + 1)]
    return [
        Fold(str(number), train, test, validation)
        for number, (train, validation, test) in enumerate(parts, start=1)
    ]


def chronological(clips: pd.DataFrame, seed: int = 0, share: float = 0.7) -> list[Fold]:
    """Patients first recorded before a cut train; those first recorded after it are measured on.

    A recording's place in time is the last number of its name, as in SPRSound's
    ``65060456_2.6_1_p3_6174.wav``. The data set's ``CUTS`` are such numbers, a fold each; without, the cut is
    at that `share` of the patients. Of other data sets each fold measures on another third of the patients.

    Raises
    ------
    LaennecError
        If a name has no number, or either set would be empty.
    """
    sets = _rows_of_sets(clips)
    cuts_of = {name: data_sets()[name].CUTS for name in sets if name in data_sets()}
    name = next((name for name in sets if cuts_of.get(name)), next(iter(sets)))
    rows, third = sets[name], _dealt(clips, 3, seed)
    third[~_learnt(clips)] = 0
    groups = splits.subject_groups(clips.iloc[rows])
    numbers = [re.findall(r"\d+", str(recording)) for recording in clips["recording"].iloc[rows]]
    if not all(numbers):
        raise LaennecError("a recording's name has no number; its place in time is not known")
    at = np.array([int(own[-1]) for own in numbers])
    first = {group: int(at[groups == group].min()) for group in np.unique(groups)}
    order = sorted(first, key=lambda group: (first[group], group))
    early = {f"patients from {cut} on": {g for g in order if first[g] < cut} for cut in cuts_of.get(name, ())}
    early = early or {"later patients": set(order[: round(share * len(order))])}
    folds = []
    for number, (title, own) in enumerate(early.items()):
        if not 0 < len(own) < len(order):
            at_cut = title if cuts_of.get(name) else f"{share:.0%}"
            patients = counted(len(order), "patient")
            raise LaennecError(f"{patients} cannot be cut at {at_cut}; one set would be empty")
        test = third == number % 3
        test[rows] = [group not in own for group in groups]
        folds.append(measuring(title, clips, test))
    return folds


def earlier(clips: pd.DataFrame, folds: int, seed: int = 0) -> list[Fold]:
    """Folds by patient of those whom the first fold of `chronological` trains on; the later are left out.

    What is chosen by these has not been seen by whom that fold measures on.
    """
    rows = np.flatnonzero(chronological(clips, seed)[0].train)
    found = []
    for own in k_fold(clips.iloc[rows], folds, seed):
        train, test = np.zeros(len(clips), bool), np.zeros(len(clips), bool)
        train[rows], test[rows] = own.train, own.test
        found.append(Fold(own.name, train, test))
    return found


def leave_one_out(clips: pd.DataFrame, seed: int = 0) -> list[Fold]:
    """Each data set is measured on by a network trained on the others.

    What is no lung, says nothing of sickness or is no data to learn from is dealt to the folds by subject.

    Raises
    ------
    LaennecError
        If there is one data set only.
    """
    chosen = _learnt(clips) & ~clips["label"].isin((*SOUND_KINDS, *PHASES)).to_numpy(bool)
    left_out = [str(name) for name in clips["dataset"][chosen].unique()]
    if len(left_out) < 2:
        raise LaennecError(f"{len(left_out)} data sets: two or more are needed to leave one out")
    apart = ~clips["dataset"].isin(left_out).to_numpy()
    part = np.full(len(clips), -1)
    part[apart] = _dealt(clips[apart], len(left_out), seed)
    return [
        measuring(name, clips, (clips["dataset"] == name).to_numpy() | (part == number))
        for number, name in enumerate(left_out)
    ]


def protocol_of(recipe: Recipe, folds: int, name: str = "k-fold") -> Protocol:
    """Protocol that measures a recipe by itself: ``k-fold``, ``chronological``, ``earlier`` or
    ``leave-one-out``.

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
    seed = recipe.split_seed
    by_number = {"k-fold": k_fold, "earlier": earlier}
    if name in by_number:
        return lambda clips: by_number[name](clips, folds, seed)
    return partial(chronological if name == "chronological" else leave_one_out, seed=seed)
