"""The files of a folder, and which are recordings by their endings; one that is named itself may have any."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from laennec.errors import LaennecError

# Endings, in lower case, of what `Recording.open` reads, the preferred one first. What has no header (.raw)
# or holds other things than sound as often (.mat) has to be named itself.
AUDIO_SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff"),
    *(".wave", ".bwf", ".rf64", ".w64", ".oga", ".opus", ".mp2", ".aifc", ".au", ".snd", ".caf"),
    *(".sph", ".nist", ".voc", ".svx", ".8svx", ".iff", ".ircam", ".sf", ".paf", ".pvf", ".htk", ".sds"),
    *(".avr", ".wve", ".amb", ".mp1"),
    # phones, browsers and recorders: read where PyAV or ffmpeg is there
    *(".m4a", ".mp4", ".m4b", ".aac", ".3gp", ".3gpp", ".3ga", ".3g2"),
    *(
        ".amr",
        ".awb",
        ".wma",
        ".webm",
        ".weba",
        ".mka",
        ".m4r",
        ".adts",
        ".spx",
        ".wv",
        ".tta",
        ".ape",
        ".mpc",
    ),
    *(".ac3", ".eac3", ".dts", ".ra", ".rm"),
    # cameras: films whose sound is read
    *(".mov", ".m4v", ".mkv", ".avi", ".asf", ".wmv", ".ogv", ".flv", ".f4v", ".mpg", ".mpeg", ".vob"),
)
SUFFIXES_SHOWN = ".wav, .flac, .ogg, .mp3, .aif, .m4a and the like"


# Endings that may be sound and are passed over in a folder, which is told.
OTHER_SUFFIXES = frozenset(
    (
        *(".raw", ".pcm", ".gsm", ".vox", ".mat", ".sd2", ".xi", ".edf", ".bdf", ".dss", ".ds2", ".qcp"),
        *(".dsf", ".dff", ".alac", ".g722", ".g729", ".aptx", ".sox", ".thd", ".tak", ".ofr", ".oma", ".aa"),
        *(".aax", ".dvf", ".msv", ".nsp", ".mts", ".m2ts", ".ulaw", ".alaw", ".ul", ".al", ".s16", ".f32"),
    )
)
# What systems keep on a disk, besides what they hide.
SYSTEM_FOLDERS = ("__MACOSX", "$RECYCLE.BIN", "System Volume Information")
Unreadable = Callable[[Path, str], None]  # takes a folder, and why it cannot be read


class Found(NamedTuple):
    """What of a folder is called audio, and what else may be."""

    paths: list[Path]
    unreadable: dict[Path, str]
    """Folders that cannot be read, and why."""
    passed_over: Counter[str]
    """How many files there are of each ending in `OTHER_SUFFIXES`."""


def is_audio(name: str) -> bool:
    """Whether a file is called audio and is not hidden."""
    return not is_hidden(name) and Path(name).suffix.lower() in AUDIO_SUFFIXES


def is_hidden(name: str) -> bool:
    """Whether a file or folder is passed over: hidden, or the system's own."""
    # macOS leaves a hidden ._a.wav beside a.wav on foreign disks; it holds no sound.
    return name.startswith((".", *SYSTEM_FOLDERS))


def refuse(folder: Path, why: str) -> None:
    raise LaennecError(f"{folder}: cannot be read ({why})")


def files_below(folder: Path, unreadable: Unreadable = refuse, below: bool = True) -> Iterator[Path]:
    """Yield the files of a folder and, with `below`, of the folders in it: parents first, by name.

    Hidden ones are passed over, and what is no regular file: a pipe would block its reader for ever. A link
    to nothing stays, so that its reader reports it. Links to folders are followed at the end, each folder
    once; one that leads back above `folder` is not. `unreadable` takes folders that cannot be read, and by
    default raises LaennecError.
    """
    top = os.path.realpath(folder)
    places, links = [(os.fspath(folder), False)], list[str]()
    seen: set[tuple[int, int]] = set()
    while places or links:
        place, linked = places.pop() if places else (links.pop(0), True)
        try:
            facts = os.stat(place)
            if linked and ((facts.st_dev, facts.st_ino) in seen or _is_above(place, top)):
                continue
            seen.add((facts.st_dev, facts.st_ino))
            with os.scandir(place) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except OSError as error:
            unreadable(Path(place), error.strerror or str(error))
            continue
        inner = []
        for entry in entries:
            kind = None if is_hidden(entry.name) else _kind(entry)
            if kind == "file":
                yield Path(entry.path)
            elif kind == "folder" and below:
                links += [entry.path] if entry.is_symlink() else []
                inner += [] if entry.is_symlink() else [(entry.path, linked)]
        places += reversed(inner)


def _is_above(place: str, top: str) -> bool:
    return Path(top).is_relative_to(os.path.realpath(place))


def _kind(entry: "os.DirEntry[str]") -> str | None:
    try:
        if entry.is_dir():
            return "folder"
        if entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path)):
            return "file"
    except OSError:  # a link that may not be followed
        return "file"
    return None


def audio_files(folder: Path, below: bool = True) -> Found:
    """Return the files of a folder that are called audio, each folder's by name, see :func:`files_below`.

    LaennecError if there is no such file, or `folder` itself cannot be read.
    """
    found = Found([], {}, Counter())
    for path in files_below(folder, found.unreadable.__setitem__, below):
        if is_audio(path.name):
            found.paths.append(path)
        elif path.suffix.lower() in OTHER_SUFFIXES:
            found.passed_over[path.suffix.lower()] += 1
    if folder in found.unreadable:
        refuse(folder, found.unreadable[folder])
    if not found.paths:
        where = "in it or below it" if below else "in it"
        others = [counted_endings(found.passed_over)] if found.passed_over else []
        others += [] if below else [f"there are some in {place}" for place in _first_below(folder)]
        others += [f"{place} cannot be read ({why})" for place, why in found.unreadable.items()]
        rest = "".join(f"; {other}" for other in others)
        raise LaennecError(f"{folder}: no audio file {where} ({SUFFIXES_SHOWN}){rest}")
    return found


def _first_below(folder: Path) -> list[Path]:
    files = files_below(folder, lambda *_: None)
    return [path.parent for path in files if is_audio(path.name)][:1]


def counted_endings(passed_over: Counter[str]) -> str:
    """Return how many files of which endings were passed over, in words."""
    count = passed_over.total()
    each = ", ".join(f"{ending} {number}" for ending, number in passed_over.most_common())
    return f"{count} {'file' if count == 1 else 'files'} with other endings passed over ({each})"
