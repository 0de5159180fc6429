"""The files of a folder, and which are recordings by their endings; one that is named itself may have any."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from laennec.audio.samples import counted
from laennec.errors import LaennecError

# Endings, in lower case, of what `Recording.open` reads, the preferred one first. What has no header (.raw)
# or holds other things than sound as often (.mat) has to be named itself.
AUDIO_SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff"),
    *(".wave", ".wvex", ".wavex", ".bwf", ".rf64", ".w64", ".oga", ".opus", ".mp2", ".aifc", ".au", ".snd"),
    *(".caf", ".sph", ".nist", ".voc", ".svx", ".8svx", ".iff", ".ircam", ".sf", ".paf", ".pvf", ".htk"),
    *(".sds", ".avr", ".wve", ".amb", ".mp1"),
    # phones, browsers and recorders: read where PyAV or ffmpeg is there
    *(".m4a", ".mp4", ".m4b", ".aac", ".3gp", ".3gpp", ".3ga", ".3g2", ".amr", ".awb", ".wma", ".webm"),
    *(".weba", ".mka", ".m4r", ".adts", ".spx", ".wv", ".tta", ".ape", ".mpc", ".ac3", ".eac3", ".dts"),
    *(".ra", ".rm"),
    # cameras: films whose sound is read
    *(".mov", ".m4v", ".mkv", ".avi", ".asf", ".wmv", ".ogv", ".flv", ".f4v", ".mpg", ".mpeg", ".vob"),
    *(".ts", ".mts", ".m2ts"),
)
SUFFIXES_SHOWN = ".wav, .flac, .ogg, .mp3, .aif, .m4a and the like"

_DICOM = (".dcm", ".dicom")
_DICOM_SOUND = b"1.2.840.10008.5.1.4.1.1.9.4."  # in the meta information: General and Basic Voice Audio
_PROGRAMS = (".ts", ".mts")  # endings of films that are text as often: programs in TypeScript
# Endings of sound that may begin as text or be empty: counted unseen.
OTHER_SUFFIXES = (
    *(".raw", ".pcm", ".gsm", ".vox", ".mat", ".sd2", ".xi", ".edf", ".bdf", ".dss", ".ds2", ".qcp", ".dsf"),
    *(".dff", ".alac", ".g722", ".g729", ".aptx", ".sox", ".thd", ".tak", ".ofr", ".oma", ".aa", ".aax"),
    *(".dvf", ".msv", ".nsp", ".ulaw", ".alaw", ".ul", ".al", ".s16", ".f32"),
)
# Endings and first bytes of what no sound is in.
_NO_SOUND = (
    *(".txt", ".csv", ".tsv", ".json", ".xml", ".html", ".md", ".log", ".py", ".pyc", ".onnx", ".pkl", ".db"),
    *(".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".bmp", ".webp", ".heic", ".pdf", ".zip", ".pt"),
    *(".sqlite", ".sqlite-wal", ".sqlite-shm"),  # as `laennec serve` leaves in a folder
)
_MAGIC_NO_SOUND = (
    *(b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*", b"BM", b"%PDF", b"\xd0\xcf\x11\xe0"),
    *(b"PK\3\4", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd"),
    *(b"\x93NUMPY", b"\x89HDF", b"PAR1", b"SQLite", b"\x7fELF", b"MZ"),
)
SHOWN = 8  # endings that a line has room for
_BEGINNING = 512  # bytes
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")  # which no text has
# What systems keep on a disk, besides what they hide.
SYSTEM_FOLDERS = ("__MACOSX", "$RECYCLE.BIN", "System Volume Information")
Unreadable = Callable[[Path, str], None]  # takes a folder, and why it cannot be read


class Found(NamedTuple):
    """What of a folder is called audio, and what else may be."""

    paths: list[Path]
    unreadable: dict[Path, str]
    """Folders that cannot be read, and why."""
    passed_over: Counter[str]
    """How many other files there are of each ending that may hold sound, see :func:`may_be_sound`."""
    linked: list[Path]
    """Links to recordings that are in `paths` themselves, or through an earlier link."""


def is_audio(name: str) -> bool:
    """Whether a file is called audio and is not hidden."""
    return not is_hidden(name) and Path(name).suffix.lower() in AUDIO_SUFFIXES


def is_recording(path: Path) -> bool:
    """Whether a file of a folder is taken for a recording: it is called audio, and is no program.

    Of DICOM, it is one whose beginning says that it holds sound; most such files are images.
    """
    ending = path.suffix.lower()
    if ending in _DICOM:
        return not is_hidden(path.name) and _DICOM_SOUND in (_beginning(path) or b"")
    return is_audio(path.name) and not (ending in _PROGRAMS and _is_no_sound(path))


def may_be_sound(path: Path) -> bool:
    """Whether a file may hold sound, whatever its ending: what is passed over and counted.

    Text, pictures, documents, archives and tables do not, by their endings or their first bytes. Whatever
    else is there may, also where it cannot be read.
    """
    ending = path.suffix.lower()
    return ending in OTHER_SUFFIXES or (ending not in _NO_SOUND and not _is_no_sound(path))


def _beginning(path: Path) -> bytes | None:
    """Return the first bytes of a file, None where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(_BEGINNING)
    except OSError:
        return None


def _is_no_sound(path: Path) -> bool:
    head = _beginning(path)
    if head is None:
        return False
    return head.startswith(_MAGIC_NO_SOUND) or not _CONTROLS.search(head)


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


def found_among(files: Iterable[Path], wanted: Callable[[Path], bool] = lambda _: True) -> Found:
    """Return which files of :func:`files_below` are recordings, each taken once, and which others may be.

    Of a recording and links to it, the links are put aside; of links to one elsewhere, all but the first.
    A path that is `wanted` goes before. Hard links are files of their own. A link to nothing stays, so that
    its reader reports it.
    """
    found = Found([], {}, Counter(), [])
    links: dict[Path, bool] = {}
    for path in files:
        if is_recording(path):
            links[path] = path.is_symlink() and os.path.exists(path)
        elif may_be_sound(path):
            found.passed_over[path.suffix.lower()] += 1
    folders = {path.parent: os.path.realpath(path.parent) for path in links}
    owners: dict[str, Path] = {}
    for path in sorted(links, key=lambda path: (not wanted(path), links[path])):
        place = os.path.realpath(path) if links[path] else os.path.join(folders[path.parent], path.name)
        owners.setdefault(place, path)
    taken = {*owners.values()}
    for path in links:
        (found.paths if path in taken else found.linked).append(path)
    return found


def audio_files(folder: Path, below: bool = True) -> Found:
    """Return the files of a folder that are called audio, each folder's by name, see :func:`files_below`.

    LaennecError if there is no such file, or `folder` itself cannot be read.
    """
    unreadable: dict[Path, str] = {}
    found = found_among(files_below(folder, unreadable.__setitem__, below))._replace(unreadable=unreadable)
    if folder in unreadable:
        refuse(folder, unreadable[folder])
    if not found.paths:
        where = "in it or below it" if below else "in it"
        others = [counted_endings(found.passed_over)] if found.passed_over else []
        others += [] if below else [f"there are some in {place}" for place in _first_below(folder)]
        others += [f"{place} cannot be read ({why})" for place, why in unreadable.items()]
        rest = "".join(f"; {other}" for other in others)
        raise LaennecError(f"{folder}: no audio file {where} ({SUFFIXES_SHOWN}){rest}")
    return found


def _first_below(folder: Path) -> list[Path]:
    files = files_below(folder, lambda *_: None)
    return [path.parent for path in files if is_recording(path)][:1]


def counted_endings(passed_over: Counter[str]) -> str:
    """Return how many files of which endings were passed over, in words."""
    count = passed_over.total()
    each = [f"{ending or 'no ending'} {number}" for ending, number in passed_over.most_common(SHOWN)]
    each += ["and others"] if len(passed_over) > SHOWN else []
    return f"{counted(count, 'file', '')} with other endings passed over ({', '.join(each)})"


def counted_links(linked: Sequence[Path]) -> str:
    """Return how many links were left out since what they point to is taken itself, in words."""
    one = len(linked) == 1
    what = "link left out, to a recording that is" if one else "links left out, to recordings that are"
    return f"{len(linked)} {what} taken already ({linked[0].name}{'' if one else ' and others'})"
