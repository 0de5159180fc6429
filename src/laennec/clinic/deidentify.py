"""Recordings without names, tags and times, and their labels with nothing else.

What is in the sound stays: a spoken name, a voice. Whoever hands recordings on listens to them first.
"""

import os
import random
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from laennec.annotations import SUFFIXES
from laennec.audio.folder import files_below
from laennec.audio.samples import counted
from laennec.clinic.recordings import LABELS, labels_beside, named_recordings, table_of
from laennec.clinic.tags import strip_tags
from laennec.errors import LaennecError, UsageError, unread
from laennec.files import make_folder, written_whole

_ENDINGS = frozenset(suffix.lower() for suffix in SUFFIXES)
TIME = 315_532_800  # seconds; midnight of 1 January 1980, the earliest that every archive can hold


@dataclass(frozen=True)
class Deidentified:
    """What became of a recording: the files written, and what was taken off; or why there is none.

    `labels` is the label file that was copied with it, None where none of its name lies beside it; `notes`
    say what of it the copy cannot hold.
    """

    source: Path
    written: tuple[Path, ...] = ()
    removed: tuple[str, ...] = ()
    error: str = ""
    labels: Path | None = None
    notes: tuple[str, ...] = ()


def deidentify(files: Sequence[Path], out: Path, keep_names: bool = False) -> Iterator[Deidentified]:
    """Write recordings and their labels without what tells of a person; a bad one does not stop the rest.

    Parameters
    ----------
    files
        WAV and FLAC files, and folders of them. A label file of the same name beside a recording is taken
        with it; other files are not.
    out
        Folder for the files, all in it: ``recording-0001`` and so on, in an order drawn anew each time.
    keep_names
        Whether files keep their names, such as where these are numbers without a meaning.

    Raises
    ------
    UsageError
        If nothing is named, a folder holds no recording, `out` lies in a folder named, or holds files.
    """
    sources = named_recordings(files)
    make_folder(out, outside=[each for each in files if each.is_dir()])
    if any(out.iterdir()):
        raise UsageError(f"{out}: not empty; recordings of another time could be told by their place in it")
    order = list(sources)
    if not keep_names:
        random.Random(secrets.randbits(128)).shuffle(order)
    digits = max(4, len(str(len(order))))
    for number, source in enumerate(order, start=1):
        stem = source.stem if keep_names else f"recording-{number:0{digits}d}"
        try:
            yield _one(source, out, stem, renamed=not keep_names)
        except LaennecError as error:
            yield Deidentified(source, error=str(error))


def _one(source: Path, out: Path, stem: str, renamed: bool) -> Deidentified:
    try:
        stripped = strip_tags(source)
        stat = source.stat()
    except OSError as error:
        raise LaennecError(f"{source}: {unread(error)}") from error
    target = out / f"{stem}{source.suffix.lower()}"
    if target.exists():
        raise LaennecError(f"{source}: {target.name} is there already; leave out --keep-names")
    removed = [*([f"name {source.name}"] if renamed else []), f"time {int(stat.st_mtime)}", *stripped.removed]
    labels = labels_beside(source)  # before anything is written: a fault in them is one of both
    written = [target]
    _write(target, stripped.content)
    if labels is None:
        return Deidentified(source, tuple(written), tuple(removed))
    path, own = labels
    written.append(out / f"{stem}{LABELS.suffix}")
    content, notes = table_of(own, target.name)
    _write(written[-1], content)
    removed.append(f"all of {path.name} but {counted(sum(bool(e.annotated) for e in own.events), 'label')}")
    return Deidentified(source, tuple(written), tuple(removed), labels=path, notes=notes)


def left_out(files: Sequence[Path], done: Sequence[Deidentified]) -> list[Path]:
    """Return the label files in the folders named that lie beside no recording of their name."""
    taken = {each.labels for each in done} | {each.source for each in done}
    found = [path for given in files if given.is_dir() for path in files_below(given, lambda *_: None)]
    return [path for path in found if path.suffix.lower() in _ENDINGS and path not in taken]


def _write(target: Path, content: bytes) -> None:
    with written_whole(target) as temporary:
        temporary.write_bytes(content)
    os.utime(target, (TIME, TIME))
