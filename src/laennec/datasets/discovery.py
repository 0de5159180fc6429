"""Data sets are found, not listed: modules of this package, entry points of others, files of your own.

A data set is a module that has ``NAME`` and ``MATCHES``; :class:`DataSet` says what else. Nothing but that
module names it: commands, their help, the contract test and :func:`guess` loop over what is found.
"""

import importlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Callable, Mapping
from functools import cache
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, cast

from laennec.datasets.table import LEVELS, Archive, Defect
from laennec.errors import LaennecError, UsageError

if TYPE_CHECKING:
    import pandas as pd

ENTRY_POINTS = "laennec.datasets"
OWN = "folder"  # your own recordings: any folder with sound is one, so the others are asked first
# No data sets, and they need pandas or requests.
TRAINING_LAYER = {"audit", "croissant", "fetch", "records", "splits", "summary"}
NEEDED = ("NAME", "TITLE", "CITATION", "LICENCE", "MATCHES", "tiny", "load", "check")
DEFAULTS: dict[str, Any] = {
    "HOMEPAGE": "",
    "ARCHIVES": (),
    "LABELS": {},
    "LEVELS": LEVELS,
    "TO_CANONICAL": {},
    "OVERLAPS": False,
    "TRAINS": True,
    "CUTS": (),
}


class DataSet(Protocol):
    """What the module of a data set has; what `DEFAULTS` names may be left out.

    Attributes
    ----------
    NAME, TITLE, CITATION, LICENCE, HOMEPAGE : str
        Empty where there is none.
    ARCHIVES : tuple of Archive
        To download; a data set that has some also has ``verify(root, progress) -> list[Defect]``.
    LABELS : mapping
        Level, then its labels as the files have them; without a level they may be any words.
    LEVELS : tuple of str
        ``event`` (clips of recordings), ``record`` (whole recordings) or both.
    TO_CANONICAL : mapping
        Its labels to those of :mod:`laennec.labels`, where they differ; None leaves a label out of training.
    OVERLAPS : bool
        Whether labels lie over one another by nature, as breath phases and what is heard in them do. Then an
        overlap is no defect, and a normal sound is one that nothing else overlaps.
    TRAINS : bool
        Whether a model may learn from it; otherwise it is measured on only.
    CUTS : tuple of int
        Numbers of recordings at which a chronological split cuts, where the names' last numbers tell time.
    MATCHES : callable
        ``MATCHES(root)``: whether a folder looks like a copy; :func:`laennec.datasets.table.has_files`.
    """

    NAME: str
    TITLE: str
    CITATION: str
    LICENCE: str
    HOMEPAGE: str
    ARCHIVES: tuple[Archive, ...]
    LABELS: Mapping[str, tuple[str, ...]]
    LEVELS: tuple[str, ...]
    TO_CANONICAL: Mapping[str, str | None]
    OVERLAPS: bool
    TRAINS: bool
    CUTS: tuple[int, ...]
    MATCHES: Callable[[Path], bool]

    def tiny(self, root: Path) -> None:
        """Write a tiny example for tests."""

    def load(self, root: Path, level: str = "event") -> "pd.DataFrame":
        """Return the clips table; what is left out is in ``attrs["defects"]``."""

    def check(self, root: Path, progress: bool = False) -> list[Defect]:
        """Return everything that is wrong with a copy."""


@cache
def data_sets() -> dict[str, DataSet]:
    """Return every data set by its name: public ones first, your own recordings last."""
    package = importlib.import_module(__package__)
    names = {info.name for info in pkgutil.iter_modules(package.__path__)} - TRAINING_LAYER
    modules = [importlib.import_module(f"{__package__}.{name}") for name in sorted(names)]
    sets = [checked(module, module.__name__) for module in modules if hasattr(module, "MATCHES")]
    for point in entry_points(group=ENTRY_POINTS):
        try:
            sets.append(checked(point.load(), f"entry point {point.name}"))
        except Exception as error:  # another package's mistake must not cost every command
            print(f"laennec: data set {point.name} cannot be used: {error}", file=sys.stderr)
    sets.sort(key=lambda each: (each.NAME == OWN, not each.ARCHIVES, each.NAME))
    return {each.NAME: each for each in sets}


def dataset(name: str) -> DataSet:
    """Return the data set of a name, or the one that a Python file is.

    Raises
    ------
    UsageError
        If there is none of that name.
    LaennecError
        If the file is no data set.
    """
    if name.endswith(".py"):
        return _from_file(Path(name).expanduser().resolve())
    if name not in data_sets():
        known = ", ".join(data_sets())
        raise UsageError(f"{name!r} is no dataset; known are {known}, or a Python file of one")
    return data_sets()[name]


@cache
def _from_file(path: Path) -> DataSet:
    name = f"laennec_dataset_{sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise UsageError(f"{path}: no such file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise LaennecError(f"{path}: cannot be imported ({type(error).__name__}: {error})") from error
    return checked(module, str(path))


def checked(module: ModuleType, where: str) -> DataSet:
    """Return a module as a data set, with defaults for what it may leave out.

    Raises
    ------
    LaennecError
        If it lacks something.
    """
    missing = [name for name in NEEDED if not hasattr(module, name)]
    if missing:
        raise LaennecError(f"{where}: no data set, it lacks {', '.join(missing)}")
    for name, value in DEFAULTS.items():
        if not hasattr(module, name):
            setattr(module, name, value)
    return cast(DataSet, module)


def guess(root: str | os.PathLike[str]) -> str:
    """Tell which data set a folder holds, by the files that each is known by.

    Raises
    ------
    UsageError
        If it could be several.
    LaennecError
        If it is none of them, or not there.
    """
    root = Path(root)
    if not root.exists():
        raise LaennecError(f"{root}: no such file or folder")
    if root.is_file() or (root / "clips.csv").is_file():
        return OWN
    matching = [name for name, each in data_sets().items() if name != OWN and each.MATCHES(root)]
    if len(matching) > 1:
        raise UsageError(f"{root}: could be {' or '.join(matching)}; say which with --dataset")
    if matching or data_sets()[OWN].MATCHES(root):
        return matching[0] if matching else OWN
    raise LaennecError(f"{root}: no recordings of a known layout in it or below it")
