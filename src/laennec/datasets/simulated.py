"""Simulated data in the layout of a data set: known by the file that the simulator writes beside it.

It must not be taken for the data set itself: its ``dataset`` is ``simulated sprsound``, so that no figure of
it is given as one of patients, and no model of SPRSound is said to know its patients.
"""

import json
import os
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laennec.datasets.table import Defect
from laennec.files import sha256_of

if TYPE_CHECKING:
    import pandas as pd

SIMULATION_FILE = "ground_truth.json"
SIMULATION_MARK = "laennec simulate"
PREFIX = "simulated "  # of the data set whose layout it has
LEVELS_ABOVE = 3  # a recording lies at most this many folders below its simulation


def read_simulation(folder: Path) -> dict[str, Any]:
    """Return a folder's own ground truth, with the list ``files``; empty where no simulation wrote any."""
    try:
        record = json.loads((folder / SIMULATION_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    known = isinstance(record, dict) and record.get("generator") == SIMULATION_MARK
    return record if known and isinstance(record.get("files"), list) else {}


def simulated_paths(paths: Iterable[str]) -> set[str]:
    """Return those of the paths that a simulation wrote."""
    written: dict[Path, set[str]] = {}
    found = set()
    for place, own in groupby(sorted(set(paths), key=os.path.dirname), os.path.dirname):
        files: set[str] = set()
        for folder in (Path(place), *Path(place).parents[: LEVELS_ABOVE - 1]):
            if folder not in written:
                names = read_simulation(folder).get("files", ())
                written[folder] = {os.path.normpath(folder / str(name)) for name in names}
            files |= written[folder]
        found |= {path for path in own if os.path.normpath(path) in files} if files else set()
    return found


def shown_name(dataset: str, clips: "pd.DataFrame") -> str:
    """Return the name of a data set as figures on its clips state it: with ``simulated`` where they are."""
    return (PREFIX if clips["dataset"].astype(str).str.startswith(PREFIX).any() else "") + dataset


def digests_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of each file that is there, by its name in the folder."""
    return {name: sha256_of(folder / name) for name in names if (folder / name).is_file()}


def check_simulation(root: Path) -> Iterator[Defect]:
    """Yield what a copy of simulated data lacks, or holds otherwise than it was written."""
    folder = next((place for place in (root, root.absolute().parent) if read_simulation(place)), None)
    if folder is None:
        return
    record = read_simulation(folder)
    if not {"sha256", "recordings"} & set(record):
        detail = "the simulation was cut short; run the same command again"
        yield Defect("missing", str(folder / SIMULATION_FILE), detail)
    names = [str(name) for name in record["files"]]
    there, written = digests_of(folder, names), record.get("sha256", {})
    for name in names:
        if name not in there:
            yield Defect("missing", str(folder / name), "the simulation wrote it, and it is not here")
        elif there[name] != written.get(name, there[name]):
            yield Defect("changed", str(folder / name), "it is not as the simulation wrote it")
