"""Who is trained on and who is measured on.

Clips of one patient resemble each other, so a split that puts a patient on both sides measures memory. The
splits drawn here (:func:`holdout`, :func:`kfold`) keep patients apart and :func:`refuse_leakage` checks it;
a published split that does not (:func:`official`, the plain random one) is drawn as published and says how
many patients it shares.

Rare classes rest on few patients (SPRSound: 2 with Stridor, 9 with Wheeze+Crackle), so patients are dealt by
class: every class that two patients hold is on both sides where that is possible at all, and each side's
share of each class is as near the wanted one as a seeded search gets. All draws depend on the seed and on
which clips there are, not on the order of the rows.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from laennec.audio.samples import by_number, counted
from laennec.errors import LaennecError, UsageError

NAMES = ("patient", "random", "official", "official-disjoint")
DRAWS = 256  # random deals, of which the best is improved move by move
MAX_PASSES = 50
EMPTY_COST = 1000.0  # above any sum of share errors: no class may be missing from a side for better shares


@dataclass(frozen=True, eq=False)
class Split:
    """Two disjoint sets of rows of a clips table.

    Attributes
    ----------
    name : str
        ``patient``, ``random``, ``official`` or ``fold 1 of 5``.
    train, validation : ndarray of bool, shape (clips,)
        Masks over the table's rows, in its order.
    shared_subjects : int
        Patients with clips in both. A clip without a patient counts by its recording.
    notes : tuple of str
        What the reader of a result should know of the split.
    """

    name: str
    train: np.ndarray
    validation: np.ndarray
    shared_subjects: int = 0
    notes: tuple[str, ...] = ()

    @property
    def leaks(self) -> bool:
        """Whether a patient, or a recording of an unknown patient, is on both sides."""
        return self.shared_subjects > 0


def make(clips: pd.DataFrame, name: str = "patient", test_fraction: float = 0.3, seed: int = 0) -> Split:
    """Return the split called `name`: ``patient`` (ours), ``random`` (by clip), or the data set's own.

    That is ``official``, or ``official-disjoint``, without the test clips of patients who are trained on too.
    """
    match name:
        case "patient" | "random":
            return holdout(clips, test_fraction, seed, by="subject" if name == "patient" else "clip")
        case "official":
            return official(clips)
        case "official-disjoint":
            return official_disjoint(clips)
    raise LaennecError(f"split is {name!r}; expected one of {', '.join(NAMES)}")


def holdout(clips: pd.DataFrame, test_fraction: float = 0.3, seed: int = 0, by: str = "subject") -> Split:
    """Hold out a share of the clips for validation.

    Parameters
    ----------
    test_fraction : in (0, 1)
        The share of clips, and of each class, to hold out.
    by : {"subject", "clip"}
        ``subject`` keeps patients apart (named ``patient``). ``clip`` is the plain random split of many
        papers (named ``random``), without regard to patients or classes: it leaks.

    Raises
    ------
    LaennecError
        If there are fewer than two patients (or clips), or a setting is out of range.
    """
    if not 0 < test_fraction < 1:
        raise LaennecError(f"test_fraction is {test_fraction:g}; expected a number between 0 and 1")
    if by == "subject":
        part = _deal(clips, (1 - test_fraction, test_fraction), seed)
        return _split("patient", clips, part == 0, part == 1)
    if by == "clip":
        if len(clips) < 2:
            raise LaennecError(f"{counted(len(clips), 'clip')} cannot be split in two")
        order = np.argsort(clips["clip_id"].to_numpy(dtype=str), kind="stable")
        held_out = min(max(round(test_fraction * len(clips)), 1), len(clips) - 1)
        validation = np.zeros(len(clips), dtype=bool)
        validation[order[np.random.default_rng(seed).permutation(len(clips))[:held_out]]] = True
        return _split("random", clips, ~validation, validation)
    raise LaennecError(f"by is {by!r}; expected subject or clip")


def kfold(clips: pd.DataFrame, folds: int = 5, seed: int = 0) -> list[Split]:
    """Return patient-disjoint folds: each clip is in the validation part of exactly one.

    Raises
    ------
    LaennecError
        If `folds` is below 2 (UsageError) or above the number of patients.
    """
    if folds < 2:
        raise UsageError(f"folds is {folds}; expected 2 or more")
    part = _deal(clips, (1 / folds,) * folds, seed)
    return [_split(f"fold {k + 1} of {folds}", clips, part != k, part == k) for k in range(folds)]


def official(clips: pd.DataFrame, test: str | None = None) -> Split:
    """Return the dataset's own split: ``train`` against every test part, or against the one named `test`.

    Patients in both are counted, not refused: the split is what was published (SPRSound's ``test-intra``
    shares all its patients with the training set, by design).
    """
    train = clips["split"].eq("train").to_numpy(bool)
    validation = clips["split"].eq(test).to_numpy(bool) if test else in_test_set(clips)
    for mask, wanted in ((train, "train"), (validation, test or "test")):
        if not mask.any():
            raise LaennecError(
                f"no clip is in the official {wanted} split; draw one with the patient split instead"
            )
    return _split("official", clips, train, validation)


def official_disjoint(clips: pd.DataFrame, test: str | None = None) -> Split:
    """Return the official split less the test clips of patients who are in the training part as well.

    ICBHI 2017 has patients 156 and 218 in both halves; a score on their test recordings measures memory.
    """
    split = official(clips, test)
    groups = subject_groups(clips)
    shared = sorted(set(groups[split.train]) & set(groups[split.validation]))
    validation = split.validation & ~np.isin(groups, shared)
    if not validation.any():
        raise LaennecError(
            "every patient of the official test set is trained on as well; nothing is left of it"
        )
    left = int(split.validation.sum() - validation.sum())
    whose = counted(len(shared), "patient", "")
    note = f"{counted(left, 'test clip', '')} of {whose} {by_number(left, 'was', 'were')} left out"
    notes = (
        (f"{note}, who {by_number(len(shared), 'is', 'are')} trained on: {', '.join(shared)}",)
        if shared
        else ()
    )
    return Split("official-disjoint", split.train, validation, 0, notes)


def cohort_folds(clips: pd.DataFrame, sick: np.ndarray, folds: int = 7, seed: int = 0) -> np.ndarray:
    """Deal the patients of a small cohort into folds, the sick ones first (Nguyen & Pernkopf, section IV-A).

    "7-fold cross-validation with the recordings of each IPF subject appearing once in the test set": every
    fold gets as many sick patients as any other, give or take one, then as many healthy ones. Within that,
    the patients of most sick clips go first, each to the fold that has fewest so far; the seed breaks ties.

    `sick` is a mask ``(clips,)`` of the target class; a patient with one such clip or more is sick. Returned
    is the fold of each clip, ``(clips,)``, 0 to folds - 1; a patient's clips share one.

    Raises
    ------
    LaennecError
        If there are fewer sick patients than folds, or fewer than two folds.
    """
    groups = subject_groups(clips)
    names = np.unique(groups)
    sick_clips = {name: int(np.count_nonzero(sick & (groups == name))) for name in names}
    unwell = [name for name in names if sick_clips[name]]
    well = [name for name in names if not sick_clips[name]]
    if not 2 <= folds <= len(unwell):
        raise LaennecError(
            f"{folds} folds of {len(unwell)} patients with the target class: give 2 to {len(unwell)} folds"
            if len(unwell) > 1
            else f"{counted(len(unwell), 'patient')} with the target class; cross-validation needs 2 or more"
        )
    rng = np.random.default_rng(seed)
    fold_of: dict[str, int] = {}
    for members, size in (
        (unwell, sick_clips),
        (well, {name: int(np.count_nonzero(groups == name)) for name in well}),
    ):
        patients, load = np.zeros(folds), np.zeros(folds)
        shuffled = [members[index] for index in rng.permutation(len(members))]
        for name in sorted(shuffled, key=lambda name: -size[name]):
            fewest = np.flatnonzero(patients == patients.min())
            fold = int(fewest[np.argmin(load[fewest])])
            fold_of[name] = fold
            patients[fold] += 1
            load[fold] += size[name]
    return np.array([fold_of[name] for name in groups])


def rotation(fold_of: np.ndarray, test: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Masks of training, validation and test clips: one fold tests, the next validates, the rest train."""
    folds = int(fold_of.max()) + 1
    validation = fold_of == (test + 1) % folds
    held_out = fold_of == test
    return ~(validation | held_out), validation, held_out


def in_test_set(clips: pd.DataFrame) -> np.ndarray:
    """Mask ``(clips,)`` of those in a published test set; a clip without an official split is in none."""
    return clips["split"].map(lambda name: isinstance(name, str) and name.startswith("test")).to_numpy(bool)


def refuse_leakage(train: pd.DataFrame, test: pd.DataFrame) -> None:
    """Raise LaennecError if a patient, or a recording, is in both tables."""
    for what, shared in (
        ("patient", set(subject_groups(train)) & set(subject_groups(test))),
        ("recording", set(train["recording"].dropna()) & set(test["recording"].dropna())),
    ):
        if shared:
            some = ", ".join(sorted(map(str, shared))[:3]) + (", …" if len(shared) > 3 else "")
            are = f"{counted(len(shared), what)} {by_number(len(shared), 'is', 'are')}"
            raise LaennecError(f"{are} both trained and tested on ({some}); split by patient")


def unknown_patients(clips: pd.DataFrame) -> str:
    """Say that the patients of some recordings are not known, and what that does; empty where all are."""
    unknown = clips.loc[clips["subject"].isna().to_numpy(), "recording"].nunique()
    if not unknown:
        return ""
    total = clips["recording"].nunique()
    which = "no patient is known" if unknown == total else f"{unknown} of {total} recordings: patient unknown"
    return (
        f"{which}; each such recording counts as a patient of its own: if two are of one patient, figures "
        "are too good (a column 'subject' names patients)"
    )


def subject_groups(clips: pd.DataFrame) -> np.ndarray:
    """Return what may not be torn apart, for each row: its patient, or its recording if that is unknown."""
    groups = [
        f"recording {recording}" if pd.isna(subject) else str(subject)
        for subject, recording in zip(clips["subject"], clips["recording"], strict=True)
    ]
    return np.array(groups, dtype=str)


def _split(name: str, clips: pd.DataFrame, train: np.ndarray, validation: np.ndarray) -> Split:
    groups = subject_groups(clips)
    shared = len(set(groups[train]) & set(groups[validation]))
    notes = []
    if unknown := unknown_patients(clips):
        notes.append(unknown)
    if shared:
        notes.append(
            f"{counted(shared, 'patient')} {by_number(shared, 'is', 'are')} in both parts: the result is "
            "higher than new patients would give"
        )
    return Split(name, train, validation, shared, tuple(notes))


def _deal(clips: pd.DataFrame, fractions: tuple[float, ...], seed: int) -> np.ndarray:
    """Return a part number for each row, the same for all rows of a patient.

    Draws `DRAWS` random deals, keeps the best by :func:`_cost`, then moves single patients while that helps.
    """
    groups, group_of_row = np.unique(subject_groups(clips), return_inverse=True)
    labels, label_of_row = np.unique(clips["label"].to_numpy(dtype=str), return_inverse=True)
    parts = len(fractions)
    if len(groups) < parts:
        patients = counted(len(groups), "patient")
        raise LaennecError(f"{patients} cannot be dealt into {parts} parts that share none")
    counts = np.zeros((len(groups), len(labels)))
    np.add.at(counts, (group_of_row, label_of_row), 1)
    # One more column, the clips of all classes, keeps the parts' sizes right and weighs as much as they do.
    counts = np.column_stack([counts, counts.sum(axis=1)])
    shares = counts / counts.sum(axis=0)
    weights = np.append(np.ones(len(labels)), len(labels))
    wanted = np.array(fractions)

    rng = np.random.default_rng(seed)
    deals = [_random_deal(rng, shares[:, -1], wanted) for _ in range(DRAWS)]
    costs = [_cost(_totals(deal, shares, parts), wanted, weights) for deal in deals]
    best = _improved(deals[int(np.argmin(costs))], shares, wanted, weights, rng)
    return best[group_of_row]


def _random_deal(rng: np.random.Generator, sizes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Shuffle the patients and cut the row of them at the wanted shares of clips."""
    order = rng.permutation(len(sizes))
    middle = np.cumsum(sizes[order]) - sizes[order] / 2
    deal = np.empty(len(sizes), dtype=np.int64)
    deal[order] = np.minimum(np.searchsorted(np.cumsum(wanted), middle), len(wanted) - 1)
    return deal


def _totals(deal: np.ndarray, shares: np.ndarray, parts: int) -> np.ndarray:
    totals = np.zeros((parts, shares.shape[1]))
    np.add.at(totals, deal, shares)
    return totals


def _cost(totals: np.ndarray, wanted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return how bad deals are: (..., parts, classes + 1) shares to (...) costs.

    A class missing from a part costs more than any error of shares. A class of one patient is missing from
    all parts but one however it is dealt, which adds the same to every deal.
    """
    empty = np.count_nonzero(totals < 1e-9, axis=(-2, -1))
    error = np.abs(totals - wanted[:, None]) * weights
    return np.asarray(EMPTY_COST * empty + error.sum(axis=(-2, -1)))


def _improved(
    deal: np.ndarray, shares: np.ndarray, wanted: np.ndarray, weights: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Move one patient at a time to the part where it costs least, until no move helps."""
    deal, parts = deal.copy(), len(wanted)
    for _ in range(MAX_PASSES):
        moved = False
        for group in rng.permutation(len(deal)):
            # Recomputed rather than updated: running sums would drift and make "empty" a matter of rounding.
            rest = _totals(np.delete(deal, group), np.delete(shares, group, axis=0), parts)
            options = np.repeat(rest[None], parts, axis=0)
            options[np.arange(parts), np.arange(parts)] += shares[group]
            costs = _cost(options, wanted, weights)
            target = int(np.argmin(costs))
            if costs[target] < costs[deal[group]] - 1e-9:
                deal[group], moved = target, True
        if not moved:
            break
    return deal
