"""Recordings with their annotations: what is known, what a copy holds, and where to get one.

Each data set is a module here, in another package, or a file of your own: :mod:`laennec.datasets.discovery`
says what it has. :mod:`laennec.datasets.table` describes the table that all of them return.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from laennec.datasets.discovery import DataSet, data_sets, dataset, guess
from laennec.datasets.table import COLUMNS, Archive, Defect, overlapped
from laennec.errors import LaennecError, UsageError
from laennec.files import begins, printable, refuse_loss
from laennec.labels import to_icbhi

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "COLUMNS",
    "Archive",
    "DataSet",
    "Defect",
    "data_sets",
    "dataset",
    "download",
    "guess",
    "list_datasets",
    "load",
    "print_audit",
    "print_croissant",
    "print_info",
]


def load(name: str, root: str | os.PathLike[str], level: str = "event") -> pd.DataFrame:
    """Return the clips of a data set with labels in Laennec's vocabularies (:mod:`laennec.labels`).

    Labels become what the data set says they are (``TO_CANONICAL``). Where labels overlap by nature, a normal
    clip that an abnormal one overlaps is left out: what is heard in it is not normal.

    Parameters
    ----------
    name
        A name that `data_sets` knows, or a Python file.
    root, level
        As for the data set's own ``load``.

    Raises
    ------
    UsageError
        If there is no such data set, or it has no such level.
    LaennecError
        If the folder is no copy of it.
    """
    module = dataset(name)
    if level not in module.LEVELS:
        levels = " and ".join(module.LEVELS)
        raise UsageError(f"{module.NAME} has labels of level {levels}, not {level}")
    try:
        clips = module.load(Path(root), level)
    except LaennecError as error:
        raise _of_another(module, Path(root), error) from error
    labels = [module.TO_CANONICAL.get(label, label) for label in clips["label"]]
    keep = np.array([label is not None for label in labels], bool)
    if module.OVERLAPS:
        normal = np.array([label is not None and to_icbhi(label) == "normal" for label in labels], bool)
        keep &= ~overlapped(clips, normal, keep & ~normal)
    canonical = clips.assign(label=labels)[keep].reset_index(drop=True)
    canonical.attrs = clips.attrs
    return canonical


def _of_another(module: DataSet, root: Path, error: LaennecError) -> LaennecError:
    """Return what a folder is that could not be read as a data set, which perhaps nobody has named.

    That is the `error` of its reader, unless the files say that it is no such data set.
    """
    if not root.is_dir() or module.MATCHES(root):
        return error
    try:
        looks = guess(root)
    except LaennecError as general:
        return LaennecError(f"{general}; laennec datasets info {module.NAME} {root} says what is expected")
    if looks == module.NAME:
        return error
    return LaennecError(
        f"{root}: read as {module.NAME}, and by its files the data set {looks}; name it with --dataset, "
        "or another folder"
    )


def list_datasets() -> None:
    """Print the known datasets: name, what it is, licence, homepage, citation, and how to get it."""
    console = Console(highlight=False)
    for name, module in data_sets().items():
        console.print(f"[bold]{name}[/bold]  {module.TITLE}", soft_wrap=True)
        how = f"laennec datasets download {name} --to DIR" if module.ARCHIVES else ""
        for what, value in (
            ("licence", module.LICENCE),
            ("homepage", module.HOMEPAGE),
            ("cite", module.CITATION),
            ("get it", how),
        ):
            if value:
                console.print(f"  {what}: {value}", soft_wrap=True)


def print_info(name: str, root: str | os.PathLike[str], strict: bool = False, progress: bool = True) -> int:
    """Print what a copy of a dataset holds and everything that is wrong with it.

    Returns the exit status: 1 if `strict` and there is a defect, else 0.
    """
    module = dataset(name)  # what is no data set is named before what is not installed
    from laennec.datasets import summary

    return int(summary.print_info(module, Path(root), progress) > 0 and strict)


def print_audit(
    name: str,
    root: str | os.PathLike[str],
    predictions: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    shown: int = 20,
    progress: bool = True,
) -> int:
    """Print the annotations of a dataset that are likely wrong; see :mod:`laennec.datasets.audit`."""
    module = dataset(name)
    from laennec.datasets import audit

    if out is not None:  # before the work, not after it
        refuse_loss(out, begins(audit.BEGINNING))
    answered = audit.cross_validated(predictions)
    clips = module.load(Path(root))
    return audit.print_audit(clips, answered, module.check(Path(root), progress), out, shown)


def print_croissant(name: str, root: str | os.PathLike[str], out: str | os.PathLike[str]) -> None:
    """Write the Croissant metadata of a copy, and print what it holds; :mod:`laennec.datasets.croissant`."""
    module = dataset(name)
    from laennec.datasets.croissant import write_croissant

    for line in write_croissant(module, Path(root), Path(out)):
        print(printable(line))


def download(name: str, to: str | os.PathLike[str], progress: bool = True) -> Path:
    """Fetch a dataset's public archive into the new folder `to`; see :func:`laennec.datasets.fetch.fetch`."""
    module = dataset(name)
    from laennec.datasets.fetch import fetch

    return fetch(module, Path(to), progress)
