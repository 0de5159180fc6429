"""Unpacking a zip archive that somebody else made: whole, inside its folder, and no larger than it can be."""

import lzma
import shutil
import stat
import zipfile
import zlib
from collections import Counter
from pathlib import Path, PurePosixPath

from laennec.audio.samples import counted
from laennec.errors import LaennecError

CHUNK_BYTES = 1 << 16
# Sound and annotations are packed to a half or a tenth. Zeros would be packed to a thousandth.
LARGEST_RATIO, SMALL_BYTES = 100, 1 << 30
MOST_FILES = 1_000_000
ENCRYPTED = 0x1


def unpack(path: Path, to: Path) -> None:
    """Unpack a zip archive into `to`, without the one folder that all its files lie in, if there is one.

    Raises
    ------
    LaennecError
        If it is no whole zip archive, is encrypted or far larger than its file, or a member is a link, lies
        outside `to` or stands twice; nothing is written outside in any case.
    """
    try:
        to.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.filename.endswith("/")]
            _check_size(members, path, to)
            names = [_safe_name(member, path) for member in members]
            for name, count in Counter(names).most_common(1):
                if count > 1:
                    raise LaennecError(f"{path}: holds {str(name)!r} {count} times; not unpacked")
            tops = {name.parts[0] for name in names}
            shared = len(tops) == 1 and all(len(name.parts) > 1 for name in names)
            for member, name in zip(members, names, strict=True):
                target = to.joinpath(*name.parts[1:] if shared else name.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file, CHUNK_BYTES)
    except (zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError) as error:
        raise LaennecError(
            f"{path}: not a whole zip archive ({error}); remove it and download again"
        ) from error
    except (OSError, NotImplementedError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise LaennecError(f"{path}: cannot be unpacked ({why})") from error


def _check_size(members: list[zipfile.ZipInfo], path: Path, to: Path) -> None:
    """Refuse what would fill the disk: the sizes are those that the archive states, and no more is read."""
    size = sum(member.file_size for member in members)
    if size > max(SMALL_BYTES, LARGEST_RATIO * path.stat().st_size) or len(members) > MOST_FILES:
        held = f"{size / 1e9:,.1f} GB in {path.stat().st_size / 1e6:,.1f} MB"
        what = f"{counted(len(members), 'file')} of {held}"
        raise LaennecError(f"{path}: holds {what}, which is no data set; not unpacked")
    free = shutil.disk_usage(to).free
    if size > free:
        raise LaennecError(f"{path}: needs {size / 1e9:,.1f} GB, and the disk has {free / 1e9:,.1f} GB left")


def _safe_name(member: zipfile.ZipInfo, archive: Path) -> PurePosixPath:
    name = PurePosixPath(member.filename.replace("\\", "/"))
    is_link = stat.S_ISLNK(member.external_attr >> 16)
    if is_link or not name.parts or name.is_absolute() or ".." in name.parts or ":" in name.parts[0]:
        raise LaennecError(f"{archive}: holds the unsafe path {member.filename!r}; not unpacked")
    if member.flag_bits & ENCRYPTED:
        raise LaennecError(f"{archive}: {member.filename!r} is encrypted; not unpacked")
    return name
