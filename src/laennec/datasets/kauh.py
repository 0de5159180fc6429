"""KAUH: lung sounds of adults, heard through three filters of an electronic stethoscope.

One WAV (or FLAC) a recording, whose name is all there is: ``BP1_Asthma,I E W,P L L,70,M.wav``. Filter (B
bell, D diaphragm, E extended range) and ``P`` before the number of the person; diagnosis; sound (N normal, I
inspiratory, E expiratory, W wheeze, C or Crep crackles, B or Bronchial bronchial breathing); place (Anterior
or Posterior; Left or Right; Upper, Middle or Lower, the last two in either order); age in years; sex. The
three files of a person are one session heard three times, so the person is the patient and they never part.

Labels are of whole recordings. Bronchial breathing alone is neither normal nor a wheeze or crackle: those
recordings are listed and left out of training.

Source: Fraiwan et al., Data in Brief 35, 2021.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laennec.annotations import described
from laennec.audio.folder import AUDIO_SUFFIXES
from laennec.datasets import check as checks
from laennec.datasets.table import Defect, clips_table, files_of, has_files, noted, only_records, patient_of
from laennec.datasets.tiny import write_sound
from laennec.errors import LaennecError, no_folder

if TYPE_CHECKING:
    import pandas as pd

NAME = "kauh"
TITLE = "KAUH lung sounds of adults"
HOMEPAGE = "https://data.mendeley.com/datasets/jwyy9np4gv/3"
LICENCE = "CC BY 4.0"
CITATION = (
    "M. Fraiwan, L. Fraiwan, B. Khassawneh, A. Ibnian, A dataset of lung sounds recorded from the chest wall "
    "using an electronic stethoscope, Data in Brief 35, 106913, 2021"
)
LEVELS = ("record",)
LABELS = {"record": ("normal", "crackle", "wheeze", "both", "bronchial")}
TO_CANONICAL = {"bronchial": None}

SOUNDS = {
    "n": "normal",
    "w": "wheeze",
    "c": "crackle",
    "crep": "crackle",
    **dict.fromkeys(("b", "bronchial"), "bronchial"),
}
PHASES = {"i", "e"}
FACES, SIDES = {"A": "anterior", "P": "posterior"}, {"L": "left", "R": "right"}
PLACE = re.compile(r"(?P<face>[AP]) (?:(?P<side>[LR]) [UML]|[UML] (?P<last>[LR]))")
MATCHES = has_files("[BDE]P[0-9]*_*,*,*,*,*")


def load(root: str | os.PathLike[str], level: str = "record") -> pd.DataFrame:
    """Read KAUH as a clips table, one row per recording; only the ends of recordings are looked up.

    Raises
    ------
    LaennecError
        If `root` is no folder or holds no recording of a name like those.
    """
    rows, defects = read(Path(root), level)
    return checks.to_table(rows, defects, root, "no recording with a name of KAUH was found")


def read(root: Path, level: str = "record") -> tuple[list[dict[str, Any]], list[Defect]]:
    """Return the recordings as mappings, and every defect that can be seen without opening audio."""
    only_records(level, TITLE)
    if not root.is_dir():
        raise LaennecError(f"{root}: {no_folder(root)}; give the one that holds the recordings")
    defects: list[Defect] = []
    rows = []
    for path in sorted(files_of(root, defects)):
        if path.suffix.lower() not in AUDIO_SUFFIXES:
            continue
        match = described.KAUH.fullmatch(path.stem)
        if match is None:
            detail = "not FILTERPnumber_diagnosis,sound,place,age,sex; left out"
            defects.append(Defect("malformed name", str(path), detail))
            continue
        with noted(defects, path, "name"):
            rows.append(_describe(match, path, defects))
    return rows, defects


def check(root: str | os.PathLike[str], progress: bool = False) -> list[Defect]:
    """Return everything that is wrong with a copy; every recording is decoded once."""
    rows, defects = read(Path(root))
    return defects + checks.check_clips(clips_table(rows), progress=progress)


def label_of(sound: str) -> str:
    """Return the label of a sound as a name has it, such as ``I C E W``; ValueError if a word is unknown."""
    words = [word for word in sound.lower().split() if word not in PHASES]
    if not words or any(word not in SOUNDS for word in words):
        raise ValueError(f"sound {sound!r}; expected words of N, I, E, W, C, Crep, B, Bronchial")
    heard = {SOUNDS[word] for word in words}
    if {"wheeze", "crackle"} <= heard:
        return "both"
    if "normal" in heard and len(heard) > 1:
        raise ValueError(f"sound {sound!r} is normal and is not")
    return next(label for label in ("crackle", "wheeze", "bronchial", "normal") if label in heard)


def _describe(match: re.Match[str], path: Path, defects: list[Defect]) -> dict[str, Any]:
    diagnosis = match["diagnosis"].strip().lower()
    place = PLACE.fullmatch(match["place"].strip().upper())
    if place is None:
        defects.append(Defect("unknown position", str(path), f"place {match['place']!r}; not known"))
    return {
        "clip_id": path.stem,
        "recording": path.stem,
        "path": str(path),
        "start_s": 0.0,
        "label": label_of(match["sound"]),
        "subject": match["person"],
        "location": place and f"{SIDES[place['side'] or place['last']]}-{FACES[place['face']]}",
        "device": described.kauh_device(match),
        "channel": 0,
        "dataset": NAME,
        "diagnosis": {"n": "normal"}.get(diagnosis, diagnosis) or None,
        **patient_of(match["age"], match["sex"], defects, path, "name"),
    }


def tiny(root: Path) -> None:
    """Three filters of one person, three others, and a place that is not one."""
    for stem in (
        "BP1_Asthma,I E W,P L L,70,M",
        "DP1_Asthma,I E W,P L L,70,M",
        "EP1_Asthma,I E W,P L L,70,M",
        "BP2_N,N,A U R,21,F",
        "BP3_heart failure,Crep,P L L R,57,M",
        "BP4_Heart Failure + COPD,I C E W,P L R ,71,M",
        "BP5_pneumonia,Bronchial,P R L ,64,M",
    ):
        write_sound(root / f"{stem}.wav")
