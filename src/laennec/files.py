"""Writing files so that an interruption leaves the old file or the new one, never half of either."""

import hashlib
import json
import math
import os
import platform
import re
import shutil
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from laennec.errors import LaennecError, UsageError, shown, unread

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None  # type: ignore[assignment]

# Of `written_whole`: name of the file, computer, process.
_TEMPORARY = re.compile(r"\.[0-9a-f]{8}\.([0-9a-f]{8})\.(\d+)\.tmp(\..*)?")
LOCK_WAIT_S = 20.0  # what is done under a lock takes far less
# Surrogates stand for bytes of a file name that are no UTF-8; the others move the cursor or turn text around.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


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
def folder_to_fill(path: str | os.PathLike[str], outside: Sequence[Path | None] = ()) -> Iterator[Path]:
    """Make a folder as `make_folder` does, and yield it; where the block fails, nothing empty stays of it.

    Folders that were there before stay, and so does one that something was written into.
    """
    made = [place for place in (Path(path), *Path(path).parents) if not place.exists()]
    folder = make_folder(path, outside)
    try:
        yield folder
    except BaseException:
        with suppress(OSError):  # of the first that is not empty
            for place in made:
                place.rmdir()
        raise


def refuse_loss(
    path: str | os.PathLike[str], own: Callable[[Path], bool] | None = None, option: str = "--out"
) -> None:
    """Refuse to write where a file of the user would be lost, before the work or before the writing.

    Parameters
    ----------
    path
        The file to write.
    own
        Whether a file that is there may be replaced, such as one that the same command wrote: `holds`,
        `begins`. None: no file may. An empty one always may.
    option
        What names the place on the command line.

    Raises
    ------
    UsageError
        If another file is there, a folder or a device.
    LaennecError
        If the file cannot be read.
    """
    path = Path(path)
    try:
        _refuse_no_file(path, option)
        if has_content(path) and not (own is not None and own(path)):
            raise UsageError(f"{path}: is there and would be replaced; name another {option}")
    except OSError as error:
        raise LaennecError(f"{path}: {unread(error)}; name another {option}") from error


def holds(content: bytes) -> Callable[[Path], bool]:
    """Return a test of `refuse_loss`: a file has just this content, as the same command writes it again."""
    return lambda path: path.stat().st_size == len(content) and path.read_bytes() == content


def begins(*starts: bytes) -> Callable[[Path], bool]:
    """Return a test of `refuse_loss`: a file begins as those do that a command writes."""

    def own(path: Path) -> bool:
        with open(path, "rb") as file:
            return file.read(max(map(len, starts))).startswith(starts)

    return own


def _refuse_no_file(path: Path, option: str = "") -> None:
    if path.exists() and not path.is_file():
        wrong = f"{path}: is a {'folder' if path.is_dir() else 'device'}, not a file to write"
        raise UsageError(f"{wrong}; {option} names a file") if option else LaennecError(wrong)


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
        _refuse_no_file(path)
        target = path.resolve() if path.is_symlink() else path
        make_folder(target.parent)
        temporary = target.with_name(f"{_temporary_name(target)}{target.suffix[:16]}")
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        raise LaennecError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextmanager
def folder_written_whole(path: str | os.PathLike[str], marker: str) -> Iterator[Path]:
    """Yield a temporary folder beside `path`, which takes its place if the block ends without an error.

    `marker` is a file of every such folder, written here: the SHA-256 of all others in it. One that is there
    is replaced where it is empty, or has that file and no others than it lists, as they were written; it is
    refused otherwise, since nobody's files are to be lost (UsageError, as of `refuse_other_folder`).
    """
    path = Path(path)
    refuse_other_folder(path, marker)
    _refuse_changes(path, marker)
    make_folder(path.parent)
    target = path.resolve()
    temporary, earlier = (target.with_name(f"{_temporary_name(target)}.{what}") for what in ("new", "old"))
    try:
        temporary.mkdir()
        yield temporary
        write_json(temporary / marker, {"files": {name: sha256_of(file) for name, file in _below(temporary)}})
        if target.exists():
            target.rename(earlier)
        temporary.rename(target)
    except OSError as error:
        raise LaennecError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        for folder in (temporary, earlier):
            shutil.rmtree(folder, ignore_errors=True)


def _refuse_changes(folder: Path, marker: str) -> None:
    """Refuse a folder of `folder_written_whole` that has a file of the user, or one that was changed."""
    if not (folder / marker).is_file():
        return
    written = read_json(folder / marker, "name another --out", files=dict)["files"]
    for name, file in _below(folder):
        if name not in (marker, *written):
            raise _of_others(folder, name)
        if name != marker:
            refuse_loss(file, partial(_is_of, written[name]))


def _is_of(sha256: str | None, path: Path) -> bool:
    return sha256_of(path) == sha256


def _below(folder: Path) -> list[tuple[str, Path]]:
    """Files of a folder and of those in it, each with its path below it."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir()]
    return [(path.relative_to(folder).as_posix(), path) for path in found]


def refuse_other_folder(path: Path, marker: str) -> None:
    """UsageError for a file, and for a folder with files that has none of the name `marker`."""
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path}: is a file, not a folder to write")
    first = min(path.iterdir(), default=None) if path.is_dir() else None
    if first is not None and not (path / marker).is_file():
        raise _of_others(path, first.name)


def _of_others(folder: Path, name: str) -> UsageError:
    return UsageError(f"{folder}: holds files that this command did not write ({name}); name another --out")


def create_whole(path: Path, content: bytes) -> None:
    """Write a file if none is there, in one step, with the permissions that any new file has.

    FileExistsError if one is there, other OSErrors if it cannot be written or the disk has no hard links.
    """
    temporary = path.with_name(f"{_temporary_name(path)}.{os.urandom(4).hex()}")
    try:
        temporary.write_bytes(content)
        os.link(temporary, path)  # fails where the name is taken; renaming would replace what is there
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of `written_whole` that killed processes left in a folder and below it.

    Those of living processes and of other computers stay.
    """
    for path in folder.rglob(".*.tmp*"):
        found = _TEMPORARY.fullmatch(path.name)
        if found and found[1] == _crc(platform.node()) and not is_running(int(found[2])):
            path.unlink(missing_ok=True)


def is_running(process: int) -> bool:
    """Whether there is a process of this number; True where the system cannot be asked."""
    if os.name != "posix":  # asking ends a process on Windows
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _temporary_name(target: Path) -> str:
    """Beginning of a name, which `remove_leftovers` knows."""
    return f".{_crc(target.name)}.{_crc(platform.node())}.{os.getpid()}.tmp"


def _crc(name: str) -> str:
    return f"{zlib.crc32(name.encode(errors='surrogateescape')):08x}"


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text, whole or not at all; bytes of a file name that are no UTF-8 are spelt ``\\udce9``."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write indented JSON, whole or not at all; NaN is refused, since JSON has none.

    A file name that is no UTF-8 is read back as it was: JSON spells its bytes as :func:`write_text` does.
    """
    write_text(path, stored_json(value))


def stored_json(value: Any) -> str:
    """Return what `write_json` writes."""
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def write_new(path: str | os.PathLike[str], text: str) -> None:
    """Write text as `write_text` does, for people to go on with: another content that is there stays.

    UsageError of `refuse_loss` then, also of an earlier text of ours, which somebody may have worked on.
    """
    content = text.encode(errors="backslashreplace")
    refuse_loss(path, holds(content))
    write_bytes(path, content)


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits; it is read piece by piece."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def has_content(path: Path) -> bool:
    """Whether a file is there and not empty, as a full disk or a crash of the system may leave one."""
    return path.is_file() and path.stat().st_size > 0


def read_json(path: Path, remedy: str, **entries: type | tuple[type, ...]) -> dict[str, Any]:
    """Read an object that `write_json` wrote, which has at least these entries, of these types.

    LaennecError, with the remedy at its end, if the file cannot be read, is cut short, or is something else.
    """
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise LaennecError(f"{path}: {unread(error)}; {remedy}") from error
    except (ValueError, RecursionError) as error:
        raise LaennecError(f"{path}: damaged, it is not JSON; {remedy}") from error
    for name, kind in entries.items():
        value = found.get(name) if isinstance(found, dict) else None
        if not isinstance(value, kind) or (isinstance(value, float) and not math.isfinite(value)):
            raise LaennecError(f"{path}: damaged, {name} is {shown(value)}; {remedy}")
    if not isinstance(found, dict):
        raise LaennecError(f"{path}: damaged, it is not a JSON object; {remedy}")
    return found


def printable(text: object) -> str:
    """Return a text, often a path, that a terminal and a UTF-8 file can take, in one line.

    Bytes of a file name that are no UTF-8 are spelt out (``\\xe9``), and so are control characters.
    """
    return _UNPRINTABLE.sub(lambda match: _spelt(ord(match[0])), str(text))


def _spelt(code: int) -> str:
    code = code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code  # PEP 383
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


@contextmanager
def claimed(folder: Path, shared: bool = False) -> Iterator[None]:
    """Refuse a folder that another process has claimed; the claim ends with the block or the process.

    Claims that are `shared` go together. Where the system locks no folders (Windows, some disks of a
    network), nothing is refused.
    """
    with _lockable(folder) as handle:
        if not _lock(handle, shared):
            raise LaennecError(
                f"{folder}: another process is writing into this folder; wait for its end, or name another"
            )
        yield


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep others that lock the same folder waiting while the block runs; no file is left in it.

    Where the system locks no folders (Windows, some disks of a network), nobody waits.
    """
    with _lockable(folder) as handle:
        until = time.monotonic() + LOCK_WAIT_S
        while not _lock(handle) and time.monotonic() < until:
            time.sleep(0.02)
        yield


@contextmanager
def _lockable(folder: Path) -> Iterator[int | None]:
    """Yield a folder as what can be locked, and with its end the lock ends; None where none can be had."""
    handle = os.open(folder, os.O_RDONLY) if fcntl is not None and os.access(folder, os.R_OK) else None
    try:
        yield handle
    finally:
        if handle is not None:
            os.close(handle)


def _lock(handle: int | None, shared: bool = False) -> bool:
    """Whether there is nothing to wait for: the lock is ours, or there is none to be had."""
    if handle is None:
        return True
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
