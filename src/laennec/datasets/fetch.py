"""Fetching a dataset's public archive: with progress, resumed after a break, verified, unpacked whole or not.

A file is either the one named by its checksum or not there. No library that is known to us resumes a broken
transfer, so the download is our own.
"""

import glob
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import requests
from requests.exceptions import ChunkedEncodingError
from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
from urllib3.exceptions import HTTPError

from laennec.datasets.discovery import OWN
from laennec.datasets.first_download import compare_with_first
from laennec.datasets.table import Archive
from laennec.datasets.unpack import unpack
from laennec.errors import LaennecError
from laennec.files import is_running, make_folder, sha256_of
from laennec.progress import progress_bar

Show = Callable[[int, int | None], object]
BYTES = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())

CHUNK_BYTES = 1 << 14
ATTEMPTS = 3  # connections in a row that may break without a byte having come
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 60.0
SLOW_S, SLOWEST_BYTES = 300.0, 1 << 16  # as little in this time is no progress: the connection is given up
HTTP_PARTIAL, HTTP_RANGE_REFUSED = 206, 416


class TooSlowError(requests.Timeout):
    """A connection that gives next to nothing, and would for days."""


def fetch(module: Any, to: Path, progress: bool = True) -> Path:
    """Download, verify and unpack a dataset's archives into the new folder `to`; other files are put there.

    An interrupted download is continued by the next call: what has come is kept beside `to`, under a name
    that ends in ``.part``, until it is whole. `to` appears only when all is unpacked and verified.

    `module` is a dataset with ``ARCHIVES``; one without a published checksum also needs ``verify(root,
    progress)``. `to` does not exist yet, or is empty. It is returned.

    Raises
    ------
    LaennecError
        If there is nothing to download, `to` holds something, the network or the server fails, a checksum
        or the contents are wrong, or an archive names a path outside its folder.
    """
    if not module.ARCHIVES:
        if module.NAME == OWN:
            raise LaennecError(f"{module.NAME} cannot be downloaded: it is your own data")
        place = f"download it from {module.HOMEPAGE}" if module.HOMEPAGE else "ask those who published it"
        raise LaennecError(f"{module.NAME} is not downloaded by Laennec: {place}")
    to = to.absolute()
    for earlier in to.parent.glob(f".{glob.escape(to.name)}.*.unpacking"):
        process = earlier.name.split(".")[-2]
        if process.isdigit() and not is_running(int(process)):  # it was killed
            _remove(earlier, to)
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise LaennecError(f"{to}: already there and not empty; give a new folder, or remove it first")
    make_folder(to.parent)
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
            compare_with_first([archive.url for archive in module.ARCHIVES], unpacked, to)
        for path in come:  # first, so that none is left beside `to` by a process that is killed
            path.replace(unpacked.parent / path.name)
    return to


def retrieve(archive: Archive, path: Path, progress: bool = True) -> Path:
    """Download one archive to `path`, continuing what an earlier call left."""
    if path.exists() and _is_published(archive, path):
        return path
    part = path.with_name(f"{path.name}.part")
    try:
        with progress_bar("Downloading", BYTES, progress) as show, requests.Session() as session:
            _download(session, archive.url, part, show)
    except requests.HTTPError as error:
        raise LaennecError(f"{archive.url}: the server refused ({error})") from error
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:  # ValueError: a redirect's
        raise LaennecError(
            f"{archive.url}: cannot be downloaded ({_cause(error)}); what has come is kept, so run the same "
            "command again once you are online"
        ) from error
    if not _is_published(archive, part):
        part.unlink()
        raise LaennecError(f"{archive.url}: the download's checksum is not the published one; it was removed")
    return part.replace(path)


def _is_published(archive: Archive, path: Path) -> bool:
    """Whether the file has the published checksum, or there is none."""
    return archive.sha256 is None or sha256_of(path) == archive.sha256


def _download(session: requests.Session, url: str, part: Path, show: Show) -> None:
    """Fetch `url` into `part`, going on from the bytes that are there, over connections that break."""
    breaks = 0
    while True:
        before = _size(part)
        try:
            _continue(session, url, part, show)
            break
        except TooSlowError:
            raise
        except (requests.ConnectionError, requests.Timeout, ChunkedEncodingError, HTTPError):
            breaks = 0 if _size(part) > before else breaks + 1
            if breaks >= ATTEMPTS:
                raise
    _etag_file(part).unlink(missing_ok=True)


def _continue(session: requests.Session, url: str, part: Path, show: Show) -> None:
    """Ask for the bytes that are still missing and append them.

    A server that does not know ranges, or whose file has changed since (by its ETag), sends the whole file
    again, and the download starts over.
    """
    have, etag_file = _size(part), _etag_file(part)
    # Without compression on the way, byte positions in the transfer are those in the file.
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if etag_file.exists():
            headers["If-Range"] = etag_file.read_text(encoding="utf-8")
    with session.get(
        url, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
    ) as response:
        if response.status_code == HTTP_RANGE_REFUSED and have:  # else no range was asked for
            # ``Content-Range: bytes */1234`` has the file's size: everything may have come before the break.
            if response.headers.get("Content-Range", "").rpartition("/")[2] != str(have):
                part.unlink()
                _continue(session, url, part, show)
            return
        response.raise_for_status()
        begins = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", f"bytes {have}-"))
        resumed = response.status_code == HTTP_PARTIAL
        if resumed and (begins is None or int(begins[1]) != have):  # other bytes than asked for
            part.unlink(missing_ok=True)
            etag_file.unlink(missing_ok=True)
            raise requests.ConnectionError("the server sent another part than it was asked for")
        if etag := response.headers.get("ETag"):
            etag_file.write_text(etag, encoding="utf-8")
        _append(response, part, have if resumed else 0, show)


def _append(response: requests.Response, part: Path, have: int, show: Show) -> None:
    expected = response.headers.get("Content-Length", "")
    total = have + int(expected) if re.fullmatch(r"\d{1,18}", expected, re.ASCII) else None
    read = getattr(response.raw, "read1", response.raw.read)  # urllib3 has it since 2.1
    since, before = time.monotonic(), have
    with part.open("ab" if have else "wb") as file:
        # As bytes come: `read` would wait for a whole chunk of a server that sends a byte a minute.
        while chunk := read(CHUNK_BYTES):
            file.write(chunk)
            have += len(chunk)
            show(have, total)
            if have - before >= SLOWEST_BYTES:
                since, before = time.monotonic(), have
            elif time.monotonic() - since > SLOW_S:
                raise TooSlowError(f"fewer than {SLOWEST_BYTES:,} bytes came in {SLOW_S:g} s")
    if total is not None and have < total:
        raise requests.ConnectionError(f"the connection ended after {have} of {total} bytes")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _etag_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")


def _cause(error: BaseException) -> str:
    """Return the plain reason under a stack of connection errors."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return str(error) or type(error).__name__


@contextmanager
def _folder_or_nothing(to: Path) -> Iterator[Path]:
    """Yield a new folder, in a temporary one beside `to`; renamed to `to` if the block ends well."""
    temporary = to.with_name(f".{to.name}.{os.getpid()}.unpacking")
    unpacked = temporary / "unpacked"
    unpacked.mkdir(parents=True)
    try:
        yield unpacked
        if to.exists():
            to.rmdir()
        unpacked.rename(to)
    finally:
        _remove(temporary, to)


def _remove(temporary: Path, to: Path) -> None:
    """Remove a temporary folder; archives in it go back where they were if they are still needed."""
    if not to.exists():
        for archive in temporary.glob(f"{glob.escape(to.name)}.*"):
            archive.replace(to.with_name(archive.name))
    shutil.rmtree(temporary, ignore_errors=True)
