"""Clips tables of the data sets that a command names."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from laennec import datasets
from laennec.datasets import splits
from laennec.datasets.records import load_clips
from laennec.datasets.simulated import PREFIX
from laennec.errors import LaennecError, UsageError
from laennec.train.recipe import Recipe, recipe_from_dict, recipe_to_dict


def training_clips(clips: pd.DataFrame) -> pd.DataFrame:
    """All clips that are not part of a published test set."""
    return clips[~splits.in_test_set(clips)].reset_index(drop=True)


def recordings_in(dataset: str, folder: Path) -> pd.DataFrame:
    """One row per recording and channel of a data set, without its published test set."""
    level = "event" if "event" in datasets.dataset(dataset).LEVELS else "record"
    clips = training_clips(load_clips(dataset, folder, level))
    return clips.drop_duplicates(["path", "channel"]).reset_index(drop=True)


def with_auxiliary(recipe: Recipe, also: Sequence[str]) -> tuple[Recipe, dict[str, Path]]:
    """A recipe that trains on the data sets of ``DATASET=FOLDER`` as well, and their folders.

    Raises
    ------
    LaennecError
        If one of `also` is no such pair, or names a data set again, or is missing and the recipe asks for it.
    """
    folders: dict[str, Path] = {}
    for pair in also:
        name, equals, folder = pair.partition("=")
        if not equals or not folder:
            raise UsageError(f"--also takes DATASET=FOLDER, such as icbhi=data/ICBHI, and not {pair!r}")
        datasets.dataset(name)
        if name in (recipe.dataset, *folders):
            raise UsageError(f"--also {name}: trained on already; name each data set once")
        folders[name] = Path(folder).expanduser()
    if recipe.also and not folders:
        options = " ".join(f"--also {name}=FOLDER" for name in recipe.also)
        raise UsageError(f"recipe {recipe.name} trains on {len(recipe.also) + 1} data sets; add {options}")
    return recipe_from_dict({**recipe_to_dict(recipe), "also": [*folders]}, "--also"), folders


def auxiliary_clips(recipe: Recipe, also: Mapping[str, Path]) -> pd.DataFrame | None:
    """Training clips of the second data set of a recipe of clips, where it has one.

    Raises
    ------
    LaennecError
        If it has more than one.
    """
    if len(also) > 1:
        raise UsageError(f"recipe {recipe.name} is one of clips and takes one --also, not {len(also)}")
    tables = [training_clips(load_clips(name, folder)) for name, folder in also.items()]
    return tables[0] if tables else None


def recording_tables(
    recipe: Recipe, root: Path, also: Mapping[str, Path], with_test: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Events, and one row per recording, of all data sets of a recipe for whole recordings, its own first.

    Its own needs events, of the others labels of whole recordings will do. `with_test` keeps its test set.
    """
    events, tables = [], []
    for name, folder in {recipe.dataset: root, **also}.items():
        placed = name == recipe.dataset or "event" in datasets.dataset(name).LEVELS
        own = load_clips(name, folder, "event" if placed else "record")
        table = recordings_of(own, record_rows(name, folder, with_test=True) if placed else own)
        if name != recipe.dataset or not with_test:
            own, table = training_clips(own), training_clips(table)
        events += [own] if placed else []
        tables.append(table)
    return pd.concat(events, ignore_index=True), joined(tables)


def joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables of several data sets as one, each subject with its data set in front."""
    if len(tables) == 1:
        return tables[0]
    return pd.concat(
        [table.assign(subject=source_of(table) + "-" + table["subject"]) for table in tables],
        ignore_index=True,
    )


def source_of(clips: pd.DataFrame) -> pd.Series:
    """Data set of each row, be it simulated or not."""
    return clips["dataset"].str.removeprefix(PREFIX)


def of_data_set(clips: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of a data set, by its name or Python file."""
    return clips[source_of(clips) == datasets.dataset(name).NAME]


def recordings_of(events: pd.DataFrame, records: pd.DataFrame | None) -> pd.DataFrame:
    """One row per recording and channel: the record rows of a data set, and a row where it has none."""
    own = events.drop_duplicates(["path", "channel"])
    bare = own.assign(clip_id=recording_names(own), label="", start_s=np.nan, end_s=np.nan)
    if records is None or records.empty:
        return bare.reset_index(drop=True)
    of_records, of_bare = (
        pd.MultiIndex.from_arrays([table["path"], table["channel"].fillna(0)]) for table in (records, bare)
    )
    missing = ~of_bare.isin(of_records)
    both = pd.concat([records, bare[missing]]) if missing.any() else records
    return both.reset_index(drop=True)


def recording_names(clips: pd.DataFrame) -> list[str]:
    """A recording's name, with its channel where there are several."""
    return [
        str(name) if pd.isna(channel) else f"{name}:{int(channel)}"
        for name, channel in zip(clips["recording"], clips["channel"], strict=True)
    ]


def record_rows(dataset: str, root: Path, with_test: bool = False) -> pd.DataFrame | None:
    """Record rows of a data set, without its test set unless asked for; None where it has none."""
    try:
        records = datasets.load(dataset, root, "record")
    except LaennecError:  # a folder may have events only
        return None
    return records if with_test else training_clips(records)
