"""HF_Lung's breath phases: clips of one second of adults' lungs, each of one inspiration or expiration.

``labels.csv`` has a row a clip: ``ID,Target``, where a target is I (inspiration) or E (expiration); the clip
is ``<ID>.flac`` (or WAV). The clips of a recording have its name and a number:
``steth_20180814_09_37_11_004``. Patients are not published, so the recording counts as the patient and its
clips never part. What else is heard in a breath is not labelled: nothing here says whether somebody is well.

The whole HF_Lung_V1, with labels of sounds in recordings of 15 s, is another layout
(``examples/own_dataset``).

Source: Hsu et al., "Benchmarking of eight recurrent neural network variants for breath phase and adventitious
sound detection on a self-developed open-access lung sound database", PLOS ONE 16(7), 2021.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laennec.datasets import check as checks
from laennec.datasets.table import Defect, clips_table, listed, only_records
from laennec.datasets.tiny import write_sound, write_text
from laennec.labels import PHASES

if TYPE_CHECKING:
    import pandas as pd

NAME = "hf-lung"
TITLE = "HF_Lung breath phases of adults"
HOMEPAGE = "https://gitlab.com/techsupportHF/HF_Lung_V1"
LICENCE = "CC BY-NC 4.0"
CITATION = (
    "F.-S. Hsu et al., Benchmarking of eight recurrent neural network variants for breath phase and "
    "adventitious sound detection on a self-developed open-access lung sound database, PLOS ONE 16(7), 2021"
)
LEVELS = ("record",)
TABLE = "labels.csv"
COLUMNS = ("ID", "Target")
LABELS = {"record": PHASES}
LETTERS = {phase[0].upper(): phase for phase in PHASES}
DEVICES = {"steth": "electronic stethoscope", "trunc": "multichannel recorder"}  # what a name begins with
CLIP_NAME = re.compile(r"(?P<recording>(?P<device>[^_]+).*)_\d+")


def MATCHES(root: Path) -> bool:  # noqa: N802 - the contract's name
    """Whether a folder has the table with these columns; other collections have a ``labels.csv``, too."""
    try:
        with open(root / TABLE, "rb") as file:
            return file.readline(100).removeprefix(b"\xef\xbb\xbf").strip() == ",".join(COLUMNS).encode()
    except OSError:
        return False


def load(root: str | os.PathLike[str], level: str = "record") -> pd.DataFrame:
    """Read the clips as a clips table, one row per clip.

    Raises
    ------
    LaennecError
        If `root` is no folder, or holds no clip that ``labels.csv`` lists.
    """
    rows, defects = read(Path(root), level)
    return checks.to_table(rows, defects, root, f"no clip that {TABLE} lists was found")


def read(root: Path, level: str = "record") -> tuple[list[dict[str, Any]], list[Defect]]:
    """Return the clips as mappings, and every defect that can be seen without opening audio."""
    only_records(level, TITLE)
    defects: list[Defect] = []
    files, lines = listed(root, TABLE, COLUMNS, defects)
    rows: dict[str, dict[str, Any]] = {}
    for line, cells in lines:
        name, target = cells.get("ID", ""), cells.get("Target", "")
        where = f"{root / TABLE}, line {line}"
        if name in rows:
            defects.append(
                Defect("conflicting annotation", where, f"{name} is listed twice; the first counts")
            )
        elif name not in files:
            defects.append(Defect("missing", where, f"{name or 'no ID'}: no such clip"))
        elif target.upper() not in LETTERS:
            defects.append(Defect("unknown label", where, f"{target!r} is not I or E; left out"))
            del files[name]
        else:
            rows[name] = _row(name, LETTERS[target.upper()], files[name])
    unlisted = (path for name, path in files.items() if name not in rows)
    defects += [Defect("no annotation", str(path), f"{TABLE} does not list it") for path in unlisted]
    return list(rows.values()), defects


def _row(name: str, label: str, path: Path) -> dict[str, Any]:
    match = CLIP_NAME.fullmatch(name)
    return {
        "clip_id": name,
        "recording": name,
        "path": str(path),
        "start_s": 0.0,
        "label": label,
        "subject": match["recording"] if match else name,
        "device": DEVICES.get(match["device"]) if match else None,
        "channel": 0,
        "dataset": NAME,
    }


def check(root: str | os.PathLike[str], progress: bool = False) -> list[Defect]:
    """Return everything that is wrong with a copy; every clip is decoded once."""
    rows, defects = read(Path(root))
    return defects + checks.check_clips(clips_table(rows), progress=progress)


def tiny(root: Path) -> None:
    """Three clips of one recording and one of another, one of an unknown phase and one without its file."""
    clips = {"11_000": "I", "11_001": "E", "11_002": "I", "12_000": "E", "13_000": "X"}
    names = {f"steth_20180814_09_37_{end}": phase for end, phase in clips.items()}
    for name in names:
        write_sound(root / f"{name}.wav")
    rows = {**names, "steth_20180814_09_37_14_000": "E"}
    write_text(root / TABLE, "ID,Target\n" + "".join(f"{name},{phase}\n" for name, phase in rows.items()))
