"""Recordings with their annotations: what is known, what a copy holds, and where to get one.

Every dataset is a module with ``NAME``, ``TITLE``, ``CITATION``, ``LICENCE``, ``HOMEPAGE``, ``ARCHIVES``,
``load(root, level) -> DataFrame`` and ``check(root, progress) -> list[Defect]``. A new one is a new module
and one line here; the contract test then covers it. See :mod:`laennec.datasets.table` for the table.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

from laennec.audio.suffixes import AUDIO_SUFFIXES
from laennec.datasets import folder, icbhi, multichannel, sprsound
from laennec.datasets.table import COLUMNS, Archive, Defect
from laennec.errors import UsageError

DATASETS: dict[str, ModuleType] = {
    "sprsound": sprsound,
    "icbhi": icbhi,
    "multichannel": multichannel,
    "folder": folder,
}

__all__ = [
    "COLUMNS",
    "DATASETS",
    "Archive",
    "Defect",
    "dataset",
    "download",
    "list_datasets",
    "print_audit",
    "print_info",
]


def dataset(name: str) -> ModuleType:
    """Return the module of the dataset called `name`; UsageError if there is none."""
    if name not in DATASETS:
        raise UsageError(f"{name!r} is no dataset; known are {', '.join(DATASETS)}")
    return DATASETS[name]


def list_datasets() -> None:
    """Print the known datasets: name, what it is, licence, homepage, citation, and how to get it."""
    from rich.console import Console

    console = Console(highlight=False)
    for name, module in DATASETS.items():
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

    Returns
    -------
    int
        The exit status: 1 if `strict` and there is a defect, else 0.
    """
    from rich.console import Console

    from laennec.datasets.summary import render, summarise

    info = summarise(dataset(name), Path(root), progress)
    render(info, Console())
    return 1 if strict and info.defects else 0


def print_audit(
    name: str,
    root: str | os.PathLike[str],
    predictions: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    shown: int = 20,
    progress: bool = True,
) -> int:
    """Print the annotations of a dataset that are likely wrong; see :mod:`laennec.datasets.audit`."""
    from laennec.datasets import audit

    module = dataset(name)
    answered = audit.cross_validated(predictions)
    clips = module.load(root)
    return audit.print_audit(clips, answered, module.check(root, progress), out, shown)


def download(name: str, to: str | os.PathLike[str], progress: bool = True) -> Path:
    """Fetch a dataset's public archive into the new folder `to`; see :func:`laennec.datasets.fetch.fetch`."""
    from laennec.datasets.fetch import fetch

    return fetch(dataset(name), Path(to), progress)


def guess(root: str | os.PathLike[str]) -> str:
    """Tell which dataset a folder holds, by the files that each is known by.

    Raises
    ------
    UsageError
        If it is none of them.
    """
    path = Path(root)
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder")
    if path.is_file() or (path / folder.CSV_NAME).is_file():
        return folder.NAME
    if (path / multichannel.RECORDINGS_NAME).is_file():
        return multichannel.NAME
    if (
        (path / icbhi.SPLIT_FILE).is_file()
        or (path / "ICBHI_final_database").is_dir()
        or any(icbhi.FILE_NAME.fullmatch(place.stem) for place in path.glob("*.txt"))
    ):
        return icbhi.NAME
    if path.is_dir() and any(place.is_dir() for place in path.glob("**/*_json")):
        return sprsound.NAME
    if path.is_dir() and any(place.suffix.lower() in AUDIO_SUFFIXES for place in path.rglob("*")):
        return folder.NAME
    raise UsageError(f"{path}: no recordings of a known layout")
