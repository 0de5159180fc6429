"""What a copy of a dataset holds, counted, and how that is printed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from laennec.datasets.discovery import DataSet
from laennec.datasets.table import SPLITS, Defect
from laennec.errors import LaennecError
from laennec.labels import AGE_GROUPS, age_group

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

UNKNOWN = "unknown"
SHOWN_A_KIND = 10  # defects of one kind that are printed in full

Counts = dict[str, dict[str, int]]


@dataclass(frozen=True)
class DatasetInfo:
    """What a copy holds.

    Attributes
    ----------
    title, root : str
        The dataset and the copy.
    labels : dict
        For each level (``event``, ``record``) that has clips: label, then split, then clips.
    groups : dict
        For ``age``, ``sex``, ``position`` and ``device``: value, then ``patients`` and ``recordings``.
    splits : dict
        Split, then ``patients`` and ``recordings``; with the row ``all``.
    defects : tuple of Defect
        Everything that is wrong, by kind.
    """

    title: str
    root: str
    labels: dict[str, Counts]
    groups: dict[str, Counts]
    splits: Counts
    defects: tuple[Defect, ...]


def summarise(module: DataSet, root: Path, progress: bool = False) -> DatasetInfo:
    """Load a copy at both levels, check it, and count.

    A level that has no clips is left out. If nothing at all can be loaded, the defects still say why.

    Raises
    ------
    LaennecError
        If `root` is not a copy of the dataset at all.
    """
    import pandas as pd

    defects = sorted(module.check(root, progress), key=lambda defect: defect.kind)
    tables = {}
    for level in module.LEVELS:
        try:
            tables[level] = module.load(root, level)
        except LaennecError:
            if not defects and level == module.LEVELS[0]:
                raise
    clips = pd.concat(tables.values(), ignore_index=True) if tables else None
    return DatasetInfo(
        title=module.TITLE,
        root=str(root),
        labels={level: _by_label(table) for level, table in tables.items()},
        groups={} if clips is None else _groups(clips),
        splits={} if clips is None else _splits(clips),
        defects=tuple(defects),
    )


def _by_label(clips: pd.DataFrame) -> Counts:
    split = clips["split"].fillna(UNKNOWN)
    counts = clips.groupby([clips["label"], split]).size().unstack(fill_value=0)
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    return {str(label): {str(name): int(n) for name, n in row.items()} for label, row in counts.iterrows()}


def _groups(clips: pd.DataFrame) -> dict[str, Counts]:
    columns = {
        "age in years": clips["age_years"].map(age_group),
        "sex": clips["sex"],
        "position": clips["location"],
        "device": clips["device"],
        "diagnosis": clips["diagnosis"],
    }
    return {
        name: _people(clips, column.fillna(UNKNOWN), tuple(AGE_GROUPS) if name == "age in years" else ())
        for name, column in columns.items()
    }


def _splits(clips: pd.DataFrame) -> Counts:
    counts = _people(clips, clips["split"].fillna(UNKNOWN), SPLITS)
    counts["all"] = {"patients": clips["subject"].nunique(), "recordings": clips["recording"].nunique()}
    return counts


def _people(clips: pd.DataFrame, by: pd.Series, order: tuple[str, ...] = ()) -> Counts:
    """Count patients and recordings by a column, in the given order, then the rest by name, unknown last."""
    counts = clips.groupby(by)[["subject", "recording"]].nunique()
    rank = {name: index for index, name in enumerate(order)}

    def key(name: str) -> tuple[bool, int, str]:
        return name == UNKNOWN, rank.get(name, len(rank)), name

    return {
        str(name): {
            "patients": int(counts.loc[name, "subject"]),
            "recordings": int(counts.loc[name, "recording"]),
        }
        for name in sorted(counts.index, key=key)
    }


def render(info: DatasetInfo, console: Console) -> None:
    """Print an info as tables, the defects last."""
    from rich.markup import escape

    console.print(f"[bold]{escape(info.title)}[/bold]\n{escape(info.root)}", highlight=False)
    for level, counts in info.labels.items():
        _print_counts(
            console, {"event": "events", "record": "recordings, by their own label"}[level], counts, True
        )
    if info.splits:
        _print_counts(console, "split", info.splits)
    for name, counts in info.groups.items():
        if set(counts) != {UNKNOWN}:
            _print_counts(console, name, counts)
    _print_defects(console, info.defects)


def _print_counts(console: Console, title: str, counts: Counts, with_total: bool = False) -> None:
    from rich.markup import escape
    from rich.table import Table

    # Numbers stay whole and the names fold on a narrow terminal.
    columns = list(dict.fromkeys(name for row in counts.values() for name in row))
    columns.sort(key=lambda name: SPLITS.index(name) if name in SPLITS else -1)
    table = Table(box=None, pad_edge=False)
    table.add_column(title)
    for column in [*columns, "all"] if with_total and len(columns) > 1 else columns:
        table.add_column(escape(column), justify="right", no_wrap=True)
    for name, row in counts.items():
        cells = [row.get(column, 0) for column in columns]
        if with_total and len(columns) > 1:
            cells.append(sum(cells))
        table.add_row(escape(name), *(f"{cell:,}" for cell in cells))
    console.print()
    console.print(table)


def _print_defects(console: Console, defects: tuple[Defect, ...]) -> None:
    from rich.markup import escape

    console.print()
    if not defects:
        console.print("no defect found", highlight=False)
        return
    console.print(f"[bold]{len(defects)} defects[/bold]", highlight=False)
    kinds: dict[str, list[Defect]] = {}
    for defect in defects:
        kinds.setdefault(defect.kind, []).append(defect)
    for kind, own in kinds.items():
        console.print(f"{escape(kind)}: {len(own)}", highlight=False)
        for defect in own[:SHOWN_A_KIND]:
            console.print(
                f"  {escape(defect.path)}: {escape(defect.detail)}", highlight=False, soft_wrap=True
            )
        if len(own) > SHOWN_A_KIND:
            console.print(f"  and {len(own) - SHOWN_A_KIND} more", highlight=False)
