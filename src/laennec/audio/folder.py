"""Which files of a folder are recordings, by their endings; a file that is named itself may have any."""

import os
from pathlib import Path

from laennec.errors import LaennecError

# Endings, in lower case, of what `Recording.open` reads, the preferred one first. A format that holds other
# things than sound as often (.raw, .mat, .mov) has to be named itself.
AUDIO_SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff"),
    *(".wave", ".bwf", ".rf64", ".w64", ".oga", ".opus", ".mp2", ".aifc", ".au", ".snd", ".caf"),
    *(".sph", ".nist", ".voc"),
    # phones, browsers and recorders: read where PyAV or ffmpeg is there
    *(".m4a", ".mp4", ".m4b", ".aac", ".3gp", ".3gpp", ".3ga", ".3g2"),
    *(".amr", ".awb", ".wma", ".webm", ".weba", ".mka"),
)
SUFFIXES_SHOWN = ".wav, .flac, .ogg, .mp3, .aif, .m4a and the like"


def is_audio(name: str) -> bool:
    """Whether a file is called audio and is not hidden."""
    # macOS leaves a hidden ._a.wav beside a.wav on foreign disks; it holds no sound.
    return not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES


def audio_files(folder: Path, below: bool = True) -> list[Path]:
    """Return the files of a folder that are called audio, each folder's by name.

    With `below`, the folders in it are searched as well, but for hidden ones. LaennecError if there is no
    such file, or a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise LaennecError(f"{error.filename}: cannot be read ({error.strerror})") from error

    paths: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if below and not name.startswith("."))
        named = [Path(place, name) for name in sorted(names) if is_audio(name)]
        # A pipe would block its reader for ever; a link to nothing stays, and is reported as a failure.
        paths += [path for path in named if path.is_file() or not path.exists()]
    if not paths:
        where = "in it or below it" if below else "in it"
        raise LaennecError(f"{folder}: no audio file {where} ({SUFFIXES_SHOWN})")
    return paths
