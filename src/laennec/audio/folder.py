"""Which files of a folder are recordings, by their names."""

import os
from pathlib import Path

from laennec.audio.suffixes import AUDIO_SUFFIXES
from laennec.errors import LaennecError


def is_audio(name: str) -> bool:
    """Whether a file is called audio and is not hidden."""
    # macOS leaves a hidden ._a.wav beside a.wav on foreign disks; it holds no sound.
    return not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES


def audio_files(folder: Path, below: bool = True) -> list[Path]:
    """Return the files of a folder that are called audio, each folder's by name.

    Parameters
    ----------
    folder : path
    below : bool
        Search the folders in it as well, but for hidden ones.

    Raises
    ------
    LaennecError
        If there is none, or a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise LaennecError(f"{error.filename}: cannot be read ({error.strerror})") from error

    paths: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if below and not name.startswith("."))
        paths += [Path(place, name) for name in sorted(names) if is_audio(name)]
    if not paths:
        where = "in it or below it" if below else "in it"
        raise LaennecError(f"{folder}: no audio file {where} ({', '.join(AUDIO_SUFFIXES)})")
    return paths
