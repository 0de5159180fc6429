"""Sounds that are no lung, from which a model learns what to refuse: hearts, speech, music, noise.

A folder whose sub-folders are named by the kind of sound and, after a ``_``, by whatever it is of:
``heart_circor``, ``speech_digits``, ``environment``, and others of your own (``heart_ward3``, ``noise``).
Each file is one sound. A sub-folder is one collection, recorded in one way: its device. The subject is
what must not be trained on and measured on at once: a person, a speaker, a class of sounds. It is the name of
a folder inside the sub-folder (``speech_ours/anna/1.wav``), otherwise the file's name before the first ``_``.

Published collections in this layout: CirCor DigiScope (``heart_circor/14241_AV.flac``, person and place), the
Free Spoken Digit Dataset (``speech_digits/0_jackson_7.flac``, digit, speaker and number), ESC-10
(``environment/001_-_Dog_bark_1-100032-A.flac``, class first) and the hearts of HLS-CMDS's manikin
(``heart_manikin``), who is one person.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laennec.audio.folder import is_hidden, is_recording
from laennec.datasets import check as checks
from laennec.datasets.table import Defect, clips_table, files_of, only_records
from laennec.datasets.tiny import write_sound
from laennec.errors import LaennecError, no_folder
from laennec.labels import SOUND_KINDS

if TYPE_CHECKING:
    import pandas as pd

NAME = "not-lung"
TITLE = "Sounds that are no lung"
LICENCE = (
    "CirCor DigiScope: ODC-By 1.0; Free Spoken Digit Dataset: CC BY-SA 4.0; ESC-10: CC BY; HLS-CMDS: as the "
    "article states"
)
CITATION = (
    "J. Oliveira et al., The CirCor DigiScope Dataset, IEEE J. Biomed. Health Inform. 26(6), 2022; "
    "Z. Jackson et al., Free Spoken Digit Dataset, 2018; K. J. Piczak, ESC: Dataset for Environmental Sound "
    "Classification, ACM Multimedia, 2015; Y. Torabi et al., HLS-CMDS, IEEE Data Descriptions, 2024"
)
LEVELS = ("record",)
LABELS = {"record": SOUND_KINDS[1:]}
KINDS = {**{kind: kind for kind in LABELS["record"]}, "environment": "noise"}  # by a sub-folder's first word
# Whose a sound is, by its file's name, where that is not the name's beginning; the manikin is one.
OWNERS = {"speech_digits": re.compile(r"[^_]*_([^_]+)"), "heart_manikin": re.compile("()")}
OWNER = re.compile("([^_]*)")


def kind_of(folder: str) -> str | None:
    """Return the kind of sound that a sub-folder is named by, None where it is none."""
    return KINDS.get(re.split(r"[_\W]", folder.lower(), maxsplit=1)[0])


def MATCHES(root: Path) -> bool:  # noqa: N802 - the contract's name
    """Whether the sub-folders are of kinds of sound, two or more; one alone may be a folder of anything."""
    try:
        inside = [path.name for path in root.iterdir() if path.is_dir() and not is_hidden(path.name)]
    except OSError:
        return False
    kinds = {kind_of(name) for name in inside}
    return len(kinds) > 1 and None not in kinds


def load(root: str | os.PathLike[str], level: str = "record") -> pd.DataFrame:
    """Read the sounds as a clips table, one row per file, labelled by kind.

    Raises
    ------
    LaennecError
        If `root` is no folder, or holds no sound in a sub-folder that a kind of sound names.
    """
    rows, defects = read(Path(root), level)
    named = f"no recording in a sub-folder that begins with {', '.join(KINDS)} was found"
    return checks.to_table(rows, defects, root, named)


def read(root: Path, level: str = "record") -> tuple[list[dict[str, Any]], list[Defect]]:
    """Return the sounds as mappings, and every defect that can be seen without opening audio."""
    only_records(level, TITLE)
    if not root.is_dir():
        raise LaennecError(f"{root}: {no_folder(root)}; give the one that holds the sub-folders of each kind")
    defects: list[Defect] = []
    rows = []
    for path in sorted(files_of(root, defects)):
        if not is_recording(path):
            continue
        *folders, name = path.relative_to(root).with_suffix("").parts
        kind = kind_of(folders[0]) if folders else None
        if kind is None:
            detail = f"lies in no sub-folder that begins with {', '.join(KINDS)}; left out"
            defects.append(Defect("unknown label", str(path), detail))
        else:
            rows.append(_row(folders, name, kind, path))
    return rows, defects


def _row(folders: list[str], name: str, kind: str, path: Path) -> dict[str, Any]:
    collection, *inner = folders
    match = OWNERS.get(collection, OWNER).match(name)
    owner = inner[0] if inner else match[1] if match else name
    recording = "/".join((*folders, name))
    return {
        "clip_id": recording,
        "recording": recording,
        "path": str(path),
        "start_s": 0.0,
        "label": kind,
        "subject": f"{collection}/{owner}" if owner else collection,
        "device": collection,
        "channel": 0,
        "dataset": NAME,
    }


def check(root: str | os.PathLike[str], progress: bool = False) -> list[Defect]:
    """Return everything that is wrong with a copy; every sound is decoded once."""
    rows, defects = read(Path(root))
    return defects + checks.check_clips(clips_table(rows), progress=progress)


def tiny(root: Path) -> None:
    """Two persons' hearts, the manikin's, two speakers, two classes, and an own folder with a speaker's."""
    for name in (
        *("heart_circor/14241_AV", "heart_circor/29045_MV", "heart_manikin/F_N_A", "heart_manikin/M_AF_LC"),
        *("speech_digits/0_jackson_0", "speech_digits/1_jackson_3", "speech_digits/0_theo_0"),
        *("environment/001_-_Dog_bark_1-100032-A", "environment/002_-_Rain_1-17367-A"),
        "speech_ours/anna/1",
    ):
        write_sound(root / f"{name}.wav", 0.5 if name.startswith("speech") else 2.0)
