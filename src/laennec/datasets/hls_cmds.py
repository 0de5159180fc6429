"""HLS-CMDS: lung sounds of a clinical manikin, heard through a digital stethoscope.

``LS.csv`` has a row a recording: ``Gender,Lung Sound Type,Location,Lung Sound ID``; the file is
``LS/<Lung Sound ID>.wav`` (or FLAC). The published table has other codes of crackles (``F_G_LUA``) than the
files (``F_CC_LUA``), which are then found by the other columns. The manikin plays each sound type at several
places. There are no patients, so all recordings are one patient's: nothing of this data set can be trained on
and measured on. It shows what a model answers for another sensor and simulated lungs; it gives no accuracy.

Source: Torabi, Shirani & Reilly, "Descriptor: Heart and Lung Sounds Dataset Recorded from a Clinical Manikin
using Digital Stethoscope (HLS-CMDS)", IEEE Data Descriptions, 2024.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laennec.datasets import check as checks
from laennec.datasets.table import Defect, clips_table, has_files, listed, only_records, suggestion
from laennec.datasets.tiny import write_sound, write_text

if TYPE_CHECKING:
    import pandas as pd

NAME = "hls-cmds"
TITLE = "HLS-CMDS lung sounds of a manikin"
LICENCE = "as the article states"
CITATION = (
    "Y. Torabi, S. Shirani, J. P. Reilly, Descriptor: Heart and Lung Sounds Dataset Recorded from a Clinical "
    "Manikin using Digital Stethoscope (HLS-CMDS), IEEE Data Descriptions, 2024"
)
LEVELS = ("record",)
TRAINS = False  # one manikin's sounds are no patients to learn from
TABLE, FOLDER = "LS.csv", "LS"
COLUMNS = ("Lung Sound Type", "Location", "Lung Sound ID")
TO_CANONICAL = {
    "Normal": "Normal",
    "Coarse Crackles": "Coarse Crackle",
    "Fine Crackles": "Fine Crackle",
    "Wheezing": "Wheeze",
    "Rhonchi": "Rhonchi",
    "Pleural Rub": None,
}
LABELS = {"record": tuple(TO_CANONICAL)}
CODES = {"Coarse Crackles": "CC", "Fine Crackles": "FC"}  # in the names of files
SIDES, FACES = {"L": "left", "R": "right"}, {"A": "anterior", "P": "posterior"}
MATCHES = has_files(TABLE)


def load(root: str | os.PathLike[str], level: str = "record") -> pd.DataFrame:
    """Read HLS-CMDS's lung sounds as a clips table, one row per recording.

    Raises
    ------
    LaennecError
        If `root` is no folder, or holds no recording that ``LS.csv`` lists.
    """
    rows, defects = read(Path(root), level)
    return checks.to_table(rows, defects, root, f"no recording that {TABLE} lists was found")


def read(root: Path, level: str = "record") -> tuple[list[dict[str, Any]], list[Defect]]:
    """Return the recordings as mappings, and every defect that can be seen without opening audio."""
    only_records(level, TITLE)
    defects: list[Defect] = []
    files, lines = listed(root, TABLE, COLUMNS, defects)
    rows = []
    for line, cells in lines:
        name, label = cells.get("Lung Sound ID", ""), cells.get("Lung Sound Type", "")
        where, place = f"{root / TABLE}, line {line}", cells.get("Location", "")
        by_columns = f"{cells.get('Gender')}_{CODES.get(label)}_{place}"
        if name not in files and by_columns in files:
            defects.append(Defect("renamed", where, f"lists {name}, whose file is {by_columns}"))
            name = by_columns
        if name not in files:
            defects.append(Defect("missing", where, f"{name or 'no Lung Sound ID'}: no such recording"))
        elif label not in TO_CANONICAL:
            defects.append(Defect("unknown label", where, f"{label!r}{suggestion(label)}; left out"))
        else:
            rows.append(_row(name, label, place, files.pop(name)))
    defects += [Defect("no annotation", str(path), f"{TABLE} does not list it") for path in files.values()]
    return rows, defects


def _row(name: str, label: str, place: str, path: Path) -> dict[str, Any]:
    side, face = SIDES.get(place[:1]), FACES.get(place[-1:])
    return {
        "clip_id": name,
        "recording": name,
        "path": str(path),
        "start_s": 0.0,
        "label": label,
        "subject": "manikin",
        "location": f"{side}-{face}" if side and face else None,
        "device": "digital stethoscope",
        "channel": 0,
        "dataset": NAME,
    }


def check(root: str | os.PathLike[str], progress: bool = False) -> list[Defect]:
    """Return everything that is wrong with a copy; every recording is decoded once."""
    rows, defects = read(Path(root))
    return defects + checks.check_clips(clips_table(rows), progress=progress)


def tiny(root: Path) -> None:
    """Four recordings, one under another name, one row without its file and one of an unknown sound."""
    rows = "F,Normal,LUA,F_N_LUA\nM,Wheezing,RLA,M_W_RLA\nM,Pleural Rub,RUA,M_PR_RUA\n"
    more = "F,Fine Crackles,LUA,F_C_LUA\nM,Rhonchi,RLA,M_R_RLA\nF,Weezing,LLA,F_W_LLA\n"
    write_text(root / TABLE, f"Gender,Lung Sound Type,Location,Lung Sound ID\n{rows}{more}")
    for name in ("F_N_LUA", "M_W_RLA", "M_PR_RUA", "F_FC_LUA", "F_W_LLA"):
        write_sound(root / FOLDER / f"{name}.wav")
