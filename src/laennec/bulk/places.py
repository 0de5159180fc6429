"""Where results go: a folder, or a prefix of an object store; files are there whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from laennec.bulk.addresses import filesystem, scheme_of, store_errors
from laennec.errors import LaennecError, unread
from laennec.files import create_whole, make_folder, remove_leftovers, write_bytes, written_whole


class Place(Protocol):
    """Files by name below a root; the name of a folder in it comes before a slash."""

    root: str

    def prepare(self) -> None:
        """Make the place if need be; LaennecError if nothing can be written."""

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, None if it is not there."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file in one step, in place of one that is there."""

    def create(self, name: str, content: bytes) -> bool:
        """Write a file if there is none of that name, in one step; return whether there was none."""

    def put(self, path: Path, name: str) -> None:
        """Take a file of this computer."""

    def sizes(self, folder: str) -> dict[str, int]:
        """Return names of the files in a folder, and how long each is."""

    def remove(self, name: str) -> None:
        """Remove a file that may be there."""

    def opened(self, name: str) -> Any:
        """Open a file to read any part of it; LaennecError if it cannot be opened."""

    def writing(self, name: str) -> Any:
        """A context that yields a path of this computer, whose content is then at `name`."""


def place_of(address: str) -> Place:
    """Return the place that a path or an address names."""
    return Folder(address) if scheme_of(address) is None else Store(address)


class Folder:
    """A folder of a file system."""

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)
        self._path = Path(self.root)

    def prepare(self) -> None:
        make_folder(self._path)
        remove_leftovers(self._path)

    def read(self, name: str) -> bytes | None:
        try:
            return (self._path / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise LaennecError(f"{self._path / name}: {unread(error)}") from error

    def write(self, name: str, content: bytes) -> None:
        write_bytes(self._path / name, content)

    def create(self, name: str, content: bytes) -> bool:
        try:
            create_whole(self._path / name, content)
        except FileExistsError:
            return False
        except OSError as error:
            if (self._path / name).exists():
                return False
            if error.errno in _NO_LINKS:  # a disk without hard links has few writers at a time
                self.write(name, content)
                return True
            raise LaennecError(f"{self._path / name}: cannot be written ({error.strerror})") from error
        return True

    def put(self, path: Path, name: str) -> None:
        with written_whole(self._path / name) as temporary:
            shutil.copyfile(path, temporary)

    def sizes(self, folder: str) -> dict[str, int]:
        try:
            with os.scandir(self._path / folder) as entries:
                return {
                    entry.name: entry.stat().st_size for entry in entries if not entry.name.startswith(".")
                }
        except FileNotFoundError:
            return {}

    def remove(self, name: str) -> None:
        (self._path / name).unlink(missing_ok=True)

    def opened(self, name: str) -> Any:
        try:
            return open(self._path / name, "rb")
        except OSError as error:
            raise LaennecError(f"{self._path / name}: cannot be opened ({error.strerror})") from error

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        with written_whole(self._path / name) as temporary:
            yield temporary


_NO_LINKS = {1, 38, 45, 95}  # EPERM, ENOSYS, EOPNOTSUPP (macOS, Linux)


class Store:
    """A prefix of an object store. An object is there once it is whole, by the store's own contract."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        self._fs = filesystem(root)

    def prepare(self) -> None:
        self.write(".laennec-score", b"")  # whether anything may be written shows here, and not after hours

    def _at(self, name: str) -> str:
        return f"{self.root}/{name}"

    def read(self, name: str) -> bytes | None:
        with store_errors(self._at(name)):
            try:
                return bytes(self._fs.cat_file(self._at(name)))
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        with store_errors(self._at(name)):
            self._fs.pipe_file(self._at(name), content)

    def create(self, name: str, content: bytes) -> bool:
        with store_errors(self._at(name)):
            try:
                self._fs.pipe_file(self._at(name), content, mode="create")
            except FileExistsError:
                return False
        return True

    def put(self, path: Path, name: str) -> None:
        with store_errors(self._at(name)):
            self._fs.put_file(str(path), self._at(name))

    def sizes(self, folder: str) -> dict[str, int]:
        with store_errors(self._at(folder)):
            try:
                found = self._fs.ls(self._at(folder), detail=True)
            except FileNotFoundError:
                return {}
        return {each["name"].rsplit("/", 1)[-1]: int(each["size"] or 0) for each in found}

    def remove(self, name: str) -> None:
        with store_errors(self._at(name)), suppress(FileNotFoundError):
            self._fs.rm_file(self._at(name))

    def opened(self, name: str) -> Any:
        with store_errors(self._at(name)):
            return self._fs.open(self._at(name), "rb")

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file"
            try:
                yield path
            except OSError as error:
                raise LaennecError(f"{folder}: cannot be written ({error.strerror or error})") from error
            self.put(path, name)
