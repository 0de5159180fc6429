"""Writing files so that an interruption leaves the old file or the new one, never half of either."""

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from laennec.errors import LaennecError


def make_folder(path: str | os.PathLike[str], outside: Sequence[Path | None] = ()) -> Path:
    """Make a folder to write into, if need be, and return it; it may not lie in folders of data.

    LaennecError if it is a file, lies below one or in one of `outside`, or nothing may be written into it.
    """
    path = Path(path)
    for data in outside:
        if data is not None and path.resolve().is_relative_to(data.resolve()):
            raise LaennecError(
                f"{path}: is or lies in the folder of the data, {data}; name a folder outside it"
            )
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

    The temporary name is short, and keeps the suffix, since some writers choose their format by it. What a
    symbolic link points to is written, and the link stays. LaennecError if the file cannot be written: its
    place is a folder or a device, its folder cannot be made, the disk is full, its name is too long.
    """
    path = Path(path)
    temporary = None
    try:
        if path.exists() and not path.is_file():
            raise LaennecError(f"{path}: is a {'folder' if path.is_dir() else 'device'}, not a file to write")
        target = path.resolve() if path.is_symlink() else path
        make_folder(target.parent)
        short = f"{zlib.crc32(target.name.encode(errors='surrogateescape')):08x}.{os.getpid()}"
        temporary = target.with_name(f".{short}.tmp{target.suffix[:16]}")
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        raise LaennecError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write indented JSON, whole or not at all; NaN is refused, since JSON has none."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")
