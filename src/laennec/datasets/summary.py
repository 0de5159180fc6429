"""What a copy of a dataset holds, counted and printed."""

from itertools import groupby
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from laennec.audio.samples import counted
from laennec.console import plain, terminal
from laennec.datasets.check import DefectError
from laennec.datasets.discovery import DataSet
from laennec.datasets.simulated import check_simulation, shown_name
from laennec.datasets.splits import unknown_patients
from laennec.datasets.table import SPLITS, Defect
from laennec.errors import LaennecError
from laennec.labels import AGE_GROUPS, age_group

UNKNOWN = "unknown"
SHOWN_A_KIND = 10  # defects of one kind that are printed in full
LEVEL_TITLES = {"event": "events", "record": "recordings, by their own label"}

Counts = dict[str, dict[str, int]]


def print_info(module: DataSet, root: Path, progress: bool = False) -> int:
    """Check a copy, print its clips of both levels as tables and its defects last, and return their number.

    A level that has no clips is left out. If nothing at all can be loaded, the defects still say why. Where a
    defect stops the loading, the other clips are counted.

    Raises
    ------
    LaennecError
        If `root` is not a copy of the dataset at all.
    """
    defects = sorted([*module.check(root, progress), *check_simulation(root)], key=lambda each: each.kind)
    tables, stops = {}, None
    for level in module.LEVELS:
        try:
            tables[level] = module.load(root, level)
        except DefectError as error:
            tables[level], stops = error.clips, error
        except LaennecError:
            if not defects and level == module.LEVELS[0]:
                raise
    console = terminal()
    console.print(plain(module.TITLE, "bold"))
    console.print(plain(root))
    if any(shown_name("", clips) for clips in tables.values()):
        console.print("simulated recordings, of no patients")
    if stops:
        console.print(plain(f"counted is what can be used; training would stop at {stops}"), soft_wrap=True)
    for level, clips in tables.items():
        _print_counts(console, LEVEL_TITLES[level], _by_label(clips), True)
    if tables:
        clips = pd.concat(tables.values(), ignore_index=True)
        splits = _people(clips, clips["split"], SPLITS)
        if unknown := unknown_patients(clips):
            console.print()
            console.print(plain(unknown))
        splits["all"] = {"patients": clips["subject"].nunique(), "recordings": clips["recording"].nunique()}
        _print_counts(console, "split", splits)
        for title, column in {
            "age in years": clips["age_years"].map(age_group),
            "sex": clips["sex"],
            "position": clips["location"],
            "device": clips["device"],
            "diagnosis": clips["diagnosis"],
        }.items():
            if column.notna().any():
                _print_counts(console, title, _people(clips, column, tuple(AGE_GROUPS)))
    _print_defects(console, defects)
    return len(defects)


def _by_label(clips: pd.DataFrame) -> Counts:
    counts = pd.crosstab(clips["label"], clips["split"].fillna(UNKNOWN))
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    return {str(label): {str(name): int(n) for name, n in row.items()} for label, row in counts.iterrows()}


def _people(clips: pd.DataFrame, by: pd.Series, order: tuple[str, ...]) -> Counts:
    """Count patients and recordings by a column, in the given order, then the rest by name, unknown last."""
    counts = clips.groupby(by.fillna(UNKNOWN))[["subject", "recording"]].nunique()
    rank = {name: index for index, name in enumerate(order)}
    names = sorted(counts.index, key=lambda name: (name == UNKNOWN, rank.get(name, len(rank)), name))
    return {
        str(name): {"patients": int(patients), "recordings": int(recordings)}
        for name, (patients, recordings) in zip(names, counts.loc[names].to_numpy(), strict=True)
    }


def _print_counts(console: Console, title: str, counts: Counts, with_total: bool = False) -> None:
    # Numbers stay whole and the names fold on a narrow terminal.
    columns = list(dict.fromkeys(name for row in counts.values() for name in row))
    columns.sort(key=lambda name: SPLITS.index(name) if name in SPLITS else -1)
    with_total = with_total and len(columns) > 1
    table = Table(title, box=None, pad_edge=False)
    for column in [*columns, "all"] if with_total else columns:
        table.add_column(plain(column), justify="right", no_wrap=True)
    for name, row in counts.items():
        cells = [row.get(column, 0) for column in columns]
        total = [sum(cells)] if with_total else []
        table.add_row(plain(name), *(f"{cell:,}" for cell in cells + total))
    console.print()
    console.print(table)


def _print_defects(console: Console, defects: list[Defect]) -> None:
    title = plain(counted(len(defects), "defect"), "bold") if defects else "no defect found"
    console.print()
    console.print(title)
    for kind, group in groupby(defects, key=lambda defect: defect.kind):
        own = list(group)
        console.print(plain(f"{kind}: {len(own)}"))
        for defect in own[:SHOWN_A_KIND]:
            console.print(plain(f"  {defect.path}: {defect.detail}"), soft_wrap=True)
        if len(own) > SHOWN_A_KIND:
            console.print(f"  and {len(own) - SHOWN_A_KIND} more")
