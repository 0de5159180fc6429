"""Names of recordings as tables and folders spell them, on any system."""

import re
import unicodedata
from pathlib import PurePosixPath

from laennec.audio.folder import AUDIO_SUFFIXES

_ABSOLUTE = re.compile(r"[\\/]|[A-Za-z]:")


def composed(name: str) -> str:
    """Return a name with composed letters, since a Mac decomposes those of the files it copies."""
    return unicodedata.normalize("NFC", name)


def parts_of(path: str) -> list[str]:
    """Return the parts of a path of any system, the last without the ending of a sound file."""
    parts = [part for part in re.split(r"[\\/]+", composed(path)) if part not in ("", ".")]
    return [*parts[:-1], parts[-1][: len(parts[-1]) - len(suffix_of(path))]] if parts else []


def key_of(path: str) -> str:
    """Return what all spellings of a recording's path have in common."""
    return "/".join(parts_of(path))


def suffix_of(path: str) -> str:
    """Return the ending of a sound file in lower case, or nothing."""
    suffix = PurePosixPath(path.replace("\\", "/")).suffix.lower()
    return suffix if suffix in AUDIO_SUFFIXES else ""


def is_absolute(path: str) -> bool:
    """Whether a path of any system begins at a root or a drive."""
    return _ABSOLUTE.match(path) is not None
