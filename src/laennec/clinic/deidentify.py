"""Recordings without names, tags and times, and their labels with nothing else.

What is in the sound stays: a spoken name, a voice. Whoever hands recordings on listens to them first.
"""

import os
import random
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from laennec.audio.samples import counted
from laennec.clinic.recordings import LABELS, changed_at, labels_beside, table_of
from laennec.clinic.tags import strip_tags
from laennec.errors import LaennecError, UsageError, unread
from laennec.files import make_folder, write_bytes

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


def deidentify(
    sources: Sequence[Path], out: Path, keep_names: bool = False, outside: Sequence[Path] = ()
) -> Iterator[Deidentified]:
    """Write recordings and their labels without what tells of a person; a bad one does not stop the rest.

    Parameters
    ----------
    sources
        WAV and FLAC files. A label file of the same name beside a recording is taken with it; other files
        are not.
    out
        Folder for the files, all in it: ``recording-0001`` and so on, in an order drawn anew each time.
    keep_names
        Whether files keep their names, such as where these are numbers without a meaning.
    outside
        Folders that `out` may not lie in.

    Raises
    ------
    UsageError
        If `out` holds files.
    LaennecError
        If it lies in one of the folders, or cannot be made.
    """
    make_folder(out, outside=outside)
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
        time = f"time {changed_at(source):%Y-%m-%d %H:%M:%S} UTC"
    except OSError as error:
        raise LaennecError(f"{source}: {unread(error)}") from error
    target = out / f"{stem}{source.suffix.lower()}"
    if target.exists():
        raise LaennecError(f"{source}: {target.name} is there already; leave out --keep-names")
    removed = [*([f"name {source.name}"] if renamed else []), time, *stripped.removed]
    labels = labels_beside(source)  # before anything is written: a fault in them is one of both
    written = [target]
    _write(target, stripped.content)
    if labels is None:
        return Deidentified(source, tuple(written), tuple(removed))
    path, own = labels
    written.append(out / f"{stem}{LABELS.suffix}")
    content, notes = table_of(own, source, target.name)
    _write(written[-1], content)
    removed.append(f"all of {path.name} but {counted(sum(bool(e.annotated) for e in own.events), 'label')}")
    return Deidentified(source, tuple(written), tuple(removed), labels=path, notes=notes)


def _write(target: Path, content: bytes) -> None:
    write_bytes(target, content)
    os.utime(target, (TIME, TIME))
