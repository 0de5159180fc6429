"""Writing files so that an interruption leaves the old file or the new one, never half of either."""

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from laennec.errors import LaennecError


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder to write into, if need be, and return it.

    Raises
    ------
    LaennecError
        If it is a file, lies below one, or nothing may be written into it.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        in_the_way = next((place for place in (path, *path.parents) if place.is_file()), None)
        why = f"{in_the_way} is a file" if in_the_way else error.strerror
        raise LaennecError(f"{path}: no folder can be made there ({why}); name another") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise LaennecError(f"{path}: nothing may be written into this folder; name another")
    return path


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block ends without an error.

    A symbolic link stays, and the file that it names is written. The temporary name keeps the suffix, since
    some writers choose their format by it, and is short, so that any legal name can be written.

    Raises
    ------
    LaennecError
        If the file cannot be written: its place is a folder or a device, its name is too long, its folder
        cannot be made, the disk is full.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = stat.S_IFREG
    except OSError as error:
        raise LaennecError(f"{path}: cannot be written ({error.strerror})") from error
    if stat.S_ISDIR(mode):
        raise LaennecError(f"{path}: is a folder, not a file that can be written")
    if not stat.S_ISREG(mode):
        raise LaennecError(f"{path}: is a device or a pipe, not a file that can be written; name another")
    target = Path(os.path.realpath(path))
    make_folder(target.parent)
    name_hash = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:8]
    temporary = target.with_name(f".{name_hash}.{os.getpid()}.tmp{target.suffix[-16:]}")
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        raise LaennecError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write indented JSON, whole or not at all; NaN is refused, since JSON has none."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")
