"""Fetching a dataset's public archive: with progress, resumed after a break, verified, unpacked whole or not.

pooch keeps the rule that a file is either the one named by its checksum or not there; the resuming and the
progress are ours, since pooch has neither for a broken transfer.
"""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

from laennec.datasets.table import Archive
from laennec.errors import LaennecError

CHUNK_BYTES = 1 << 14  # as much as this is lost when a connection breaks
ATTEMPTS = 3  # connections in a row that may break without a byte having come
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 60.0
HTTP_PARTIAL, HTTP_RANGE_REFUSED = 206, 416


def fetch(module: ModuleType, to: Path, progress: bool = True) -> Path:
    """Download, verify and unpack a dataset's archives into the new folder `to`; other files are put there.

    An interrupted download is continued by the next call: what has come is kept beside `to`, under a name
    that ends in ``.part``, until it is whole. `to` appears only when all is unpacked and verified.

    Parameters
    ----------
    module : module
        A dataset with ``ARCHIVES``; one without a published checksum also needs ``verify(root, progress)``.
    to : Path
        A folder that does not exist yet, or is empty.
    progress : bool
        Show progress bars on stderr.

    Returns
    -------
    Path
        `to`.

    Raises
    ------
    LaennecError
        If there is nothing to download, `to` holds something, the network or the server fails, a checksum
        or the contents are wrong, or an archive names a path outside its folder.
    """
    if not module.ARCHIVES:
        raise LaennecError(f"{module.NAME} cannot be downloaded: it is your own data")
    to = to.absolute()
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise LaennecError(f"{to}: already there and not empty; give a new folder, or remove it first")
    to.parent.mkdir(parents=True, exist_ok=True)
    come = [
        retrieve(archive, to.with_name(f"{to.name}.{number}{PurePosixPath(archive.url).suffix}"), progress)
        for number, archive in enumerate(module.ARCHIVES, start=1)
    ]
    with _folder_or_nothing(to) as unpacked:
        for archive, path in zip(module.ARCHIVES, come, strict=True):
            if path.suffix == ".zip":
                unpack(path, unpacked)
            else:
                shutil.copyfile(path, unpacked / PurePosixPath(archive.url).name)
        if any(archive.sha256 is None for archive in module.ARCHIVES):
            wrong = module.verify(unpacked, progress)
            if wrong:
                raise LaennecError(
                    f"the download is not as published in {len(wrong)} places, first: {wrong[0]}; "
                    f"nothing was unpacked; remove {', '.join(map(str, come))} to download again"
                )
    for path in come:
        path.unlink()
    return to


def retrieve(archive: Archive, path: Path, progress: bool = True) -> Path:
    """Download one archive to `path`, continuing what an earlier call left."""
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    known_hash = f"sha256:{archive.sha256}" if archive.sha256 else None
    if path.exists() and known_hash is None:
        return path
    downloader = ResumingDownloader(path.with_name(f"{path.name}.part"), progress)
    try:
        pooch.retrieve(archive.url, known_hash, fname=path.name, path=path.parent, downloader=downloader)
    except ValueError as error:
        raise LaennecError(
            f"{archive.url}: the download's checksum is not the published one; it was removed"
        ) from error
    except requests.HTTPError as error:
        raise LaennecError(f"{archive.url}: the server refused ({error})") from error
    except (requests.RequestException, OSError) as error:
        raise LaennecError(
            f"{archive.url}: cannot be downloaded ({_cause(error)}); what has come is kept, so run the same "
            "command again once you are online"
        ) from error
    return path


@dataclass(frozen=True)
class ResumingDownloader:
    """A pooch downloader that keeps what has come in `part` and asks the server only for the rest.

    A server that does not know ranges, or whose file has changed since (by its ETag), sends the whole file
    again, and the download starts over.
    """

    part: Path
    progress: bool = True

    def __call__(
        self, url: str, output_file: str | os.PathLike[str], pooch: Any, check_only: bool = False
    ) -> None:
        """Fetch `url` into `output_file`, which pooch then verifies."""
        import requests

        breaks = 0
        with requests.Session() as session:
            while True:
                before = self._size()
                try:
                    self._continue(session, url)
                    break
                except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
                    breaks = 0 if self._size() > before else breaks + 1
                    if breaks >= ATTEMPTS:
                        raise
        # Renamed, so that bytes which fail the checksum are pooch's to remove and are not resumed from.
        shutil.move(self.part, output_file)
        self._etag_file().unlink(missing_ok=True)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _etag_file(self) -> Path:
        return self.part.with_name(f"{self.part.name}.etag")

    def _continue(self, session: Any, url: str) -> None:
        """Ask for the bytes that are still missing and append them."""
        have = self._size()
        # Without compression on the way, byte positions in the transfer are those in the file.
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if self._etag_file().exists():
                headers["If-Range"] = self._etag_file().read_text(encoding="utf-8")
        with session.get(
            url, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        ) as response:
            if response.status_code == HTTP_RANGE_REFUSED and _total(response) == have:
                return  # everything had come before the break
            if response.status_code == HTTP_RANGE_REFUSED:
                self.part.unlink()
                self._continue(session, url)
                return
            response.raise_for_status()
            resumed = response.status_code == HTTP_PARTIAL
            if etag := response.headers.get("ETag"):
                self._etag_file().write_text(etag, encoding="utf-8")
            self._append(response, have if resumed else 0)

    def _append(self, response: Any, have: int) -> None:
        from requests import ConnectionError as Broken
        from tqdm import tqdm

        expected = response.headers.get("Content-Length")
        total = have + int(expected) if expected else None
        bar = tqdm(
            total=total,
            initial=have,
            unit="B",
            unit_scale=True,
            desc="Downloading",
            disable=not self.progress,
        )
        with self.part.open("ab" if have else "wb") as file, bar:
            for chunk in response.iter_content(CHUNK_BYTES):
                file.write(chunk)
                bar.update(len(chunk))
        if total is not None and self._size() < total:
            raise Broken(f"the connection ended after {self._size()} of {total} bytes")


def _total(response: Any) -> int | None:
    """Return the file's size from ``Content-Range: bytes */1234``."""
    size = response.headers.get("Content-Range", "").rpartition("/")[2]
    return int(size) if size.isdigit() else None


def _cause(error: BaseException) -> str:
    """Return the plain reason under a stack of connection errors."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return str(error) or type(error).__name__


@contextmanager
def _folder_or_nothing(to: Path) -> Iterator[Path]:
    """Yield a new folder beside `to`, renamed to `to` if the block ends well and removed if not."""
    temporary = to.with_name(f".{to.name}.{os.getpid()}.unpacking")
    temporary.mkdir()
    try:
        yield temporary
        if to.exists():
            to.rmdir()
        temporary.rename(to)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def unpack(path: Path, to: Path) -> None:
    """Unpack a zip archive into `to`, without the one folder that all its files lie in, if there is one.

    Raises
    ------
    LaennecError
        If it is no whole zip archive, or a member is a link or lies outside `to`; nothing is written
        outside in any case.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            names = [_safe_name(member, path) for member in members]
            tops = {name.parts[0] for name in names}
            shared = len(tops) == 1 and all(len(name.parts) > 1 for name in names)
            for member, name in zip(members, names, strict=True):
                target = to.joinpath(*name.parts[1:] if shared else name.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file, CHUNK_BYTES)
    except (zipfile.BadZipFile, EOFError) as error:
        raise LaennecError(
            f"{path}: not a whole zip archive ({error}); remove it and download again"
        ) from error


def _safe_name(member: zipfile.ZipInfo, archive: Path) -> PurePosixPath:
    name = PurePosixPath(member.filename.replace("\\", "/"))
    is_link = stat.S_ISLNK(member.external_attr >> 16)
    if is_link or name.is_absolute() or ".." in name.parts or ":" in name.parts[0]:
        raise LaennecError(f"{archive}: holds the unsafe path {member.filename!r}; not unpacked")
    return name
