"""Clips tables of the data sets that a command names."""

import sys
from pathlib import Path

import pandas as pd

from laennec import datasets
from laennec.datasets import splits
from laennec.errors import LaennecError, UsageError
from laennec.train.recipe import Recipe, recipe_from_dict, recipe_to_dict

# Defects of a data set that cost no clip.
REMARKS = (
    "odd form",
    "passed over",
    "renamed",
    "patient in two splits",
    "unknown column",
    "unknown position",
)


def load_clips(dataset: str, root: Path, level: str = "event") -> pd.DataFrame:
    """Read annotated events, or records; what could not be used, and who is unknown, is told on stderr."""
    clips = datasets.load(dataset, root, level)
    for defect in clips.attrs.get("defects", ())[:10]:
        kind = "note" if str(defect).startswith(REMARKS) else "left out"
        print(f"{kind}: {defect}", file=sys.stderr)
    more = len(clips.attrs.get("defects", ())) - 10
    if more > 0:
        print(f"left out: {more} more; see laennec datasets info {dataset} {root}", file=sys.stderr)
    if unknown := splits.unknown_patients(clips):
        print(f"warning: {root}: {unknown}", file=sys.stderr)
    return clips


def training_clips(clips: pd.DataFrame) -> pd.DataFrame:
    """All clips that are not part of a published test set."""
    return clips[~splits.in_test_set(clips)].reset_index(drop=True)


def with_auxiliary(recipe: Recipe, also: str | None) -> tuple[Recipe, Path | None]:
    """A recipe that trains on the data set of ``DATASET=FOLDER`` as well, and the folder.

    Raises
    ------
    LaennecError
        If `also` is no such pair, or is missing and the recipe asks for it.
    """
    if also is None:
        if recipe.also:
            raise UsageError(f"recipe {recipe.name} trains on two data sets; add --also {recipe.also}=FOLDER")
        return recipe, None
    name, equals, folder = also.partition("=")
    if not equals or not folder:
        raise UsageError(f"--also takes DATASET=FOLDER, such as icbhi=data/ICBHI, and not {also!r}")
    datasets.dataset(name)
    both = recipe_from_dict({**recipe_to_dict(recipe), "also": name}, "--also")
    return both, Path(folder).expanduser()


def auxiliary_clips(recipe: Recipe, folder: Path | None) -> pd.DataFrame | None:
    """Training clips of the auxiliary data set of a recipe, where it has one."""
    return None if folder is None else training_clips(load_clips(recipe.also, folder))


def record_rows(dataset: str, root: Path, with_test: bool = False) -> pd.DataFrame | None:
    """Record rows of a data set, without its test set unless asked for; None where it has none."""
    try:
        records = datasets.load(dataset, root, "record")
    except LaennecError:  # a folder may have events only
        return None
    return records if with_test else training_clips(records)
