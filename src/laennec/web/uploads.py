"""What is sent: streamed to a temporary file, and taken whole or not at all."""

import hashlib
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from laennec.errors import LaennecError
from laennec.files import make_folder

AT_ONCE = 2**20  # bytes that are written at a time


class NothingSentError(LaennecError):
    """The request carries no recording."""

    status = 400


class NoSoundError(LaennecError):
    """What was sent is plainly no recording."""

    status = 415


class NoRoomError(LaennecError):
    """The disk is full, or cannot be written."""

    status = 507


@dataclass(frozen=True)
class Received:
    """A whole file that was sent: where it lies for now, its SHA-256 and its size in bytes."""

    path: Path
    sha256: str
    size: int


@asynccontextmanager
async def received(request: Request, folder: Path) -> AsyncIterator[Received]:
    """Receive the body of a request into a file of a folder; what is left there at the end is removed.

    NothingSentError if it is empty, NoRoomError if it cannot be written.
    """
    path = folder / f"{secrets.token_hex(8)}.part"
    try:
        yield await _written(request, make_folder(folder) / path.name)
    except OSError as error:
        raise NoRoomError(f"it cannot be kept ({error.strerror}); nothing was changed") from error
    finally:
        path.unlink(missing_ok=True)


async def _written(request: Request, path: Path) -> Received:
    digest, size = hashlib.sha256(), 0
    held = bytearray()
    with open(path, "xb") as file:
        async for chunk in request.stream():
            held += chunk
            size += len(chunk)
            if len(held) >= AT_ONCE:
                await run_in_threadpool(_write, file, digest, bytes(held))
                held.clear()
        await run_in_threadpool(_write, file, digest, bytes(held))
        if not size:
            raise NothingSentError("empty, the file has 0 bytes; nothing was kept")
        await run_in_threadpool(_to_disk, file)
    return Received(path, digest.hexdigest(), size)


def _write(file: BinaryIO, digest: "hashlib._Hash", content: bytes) -> None:
    file.write(content)
    digest.update(content)


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def remove_parts(folder: Path) -> None:
    """Remove what an earlier server had begun to receive."""
    for path in folder.glob("*.part"):
        path.unlink(missing_ok=True)
