"""Archives of recordings (tar, as webdataset has them): read once, from beginning to end, as they come."""

import tarfile
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any, NamedTuple

from laennec.audio.folder import is_audio, is_hidden
from laennec.audio.samples import counted
from laennec.bulk.addresses import scheme_of, store_errors
from laennec.bulk.source import opened
from laennec.errors import LaennecError

LARGEST_MEMBER = 2**28  # bytes, which are held in memory
_BLOCK = 2**20
_END = tarfile.EOFHeaderError  # type: ignore[attr-defined] # of a header that marks the end of an archive


class Member(NamedTuple):
    """A recording of an archive; `content` is None of one that is too large."""

    name: str
    content: bytes | None


class Fault(NamedTuple):
    """Why an archive could not be read to its end."""

    why: str


class _Header(tarfile.TarInfo):
    """A header that is noted where it ends the archive: Python takes a damaged one for its end."""

    @classmethod
    def fromtarfile(cls, archive: Any) -> "_Header":
        try:
            return super().fromtarfile(archive)
        except tarfile.HeaderError as error:
            archive.end = error
            raise


def members(address: str) -> Iterator[Member | Fault]:
    """Yield the recordings of an archive in their order; where it is damaged, a `Fault` is the last.

    What is not called audio, such as the ``key.json`` beside a ``key.wav``, is passed over. LaennecError if
    an object store does not answer.
    """
    is_remote, count = scheme_of(address) is not None, 0
    with store_errors(address) if is_remote else nullcontext():
        try:
            with opened(address) as file:
                for member in _recordings(file):
                    yield member
                    count += isinstance(member, Member)
        except (tarfile.TarError, EOFError, zlib.error) as error:
            yield Fault(f"damaged or cut short after {counted(count, 'recording')} ({error})")
        except (OSError, LaennecError) as error:
            if is_remote and not isinstance(error.__cause__ or error, FileNotFoundError):
                raise
            why = getattr(error, "strerror", None) or str(error).removeprefix(f"{address}: ")
            yield Fault(why if isinstance(error, LaennecError) else f"cannot be read ({why})")


def _recordings(file: Any) -> Iterator[Member | Fault]:
    count = 0
    with tarfile.open(fileobj=file, mode="r|*", bufsize=_BLOCK, tarinfo=_Header) as archive:
        for header in archive:
            name = header.name
            if not header.isfile() or not is_audio(name.rsplit("/", 1)[-1]) or _is_hidden(name):
                continue
            content = archive.extractfile(header) if header.size <= LARGEST_MEMBER else None
            yield Member(name, None if content is None else content.read())
            count += 1
        end = getattr(archive, "end", None)
        if not isinstance(end, _END):
            yield Fault(f"damaged or cut short after {counted(count, 'recording')} ({end or 'no end'})")
        elif not count:
            yield Fault("holds no recording")


def _is_hidden(name: str) -> bool:
    return any(is_hidden(part) for part in name.split("/") if part not in (".", ""))
