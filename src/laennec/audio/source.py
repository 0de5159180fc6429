"""Where the bytes of a recording come from, so that they can be read more than once."""

import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from laennec.errors import LaennecError

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
STANDARD_INPUT = "-"  # as a path; a file of that name is ./-
MAX_PIPE_BYTES = 2**31  # what is read only once is kept in memory; a pipe may never end
_ID3V1_BYTES = 128  # MP3 readers look for this tag at the end of a file before anything else


class Input:
    """The window on a file that libsndfile reads through.

    It has no name, so that the content decides what the file is (a ``.raw`` or ``.gsm`` suffix would make
    libsndfile take text for sound), and it never raises: an exception inside a C callback would print a
    traceback. Errors of the disk are kept in `errors`. With a `stated_size` above `size` it passes for a
    longer file, at whose end there is no tag.
    """

    def __init__(self, stream: BinaryIO, start: int = 0, errors: list[OSError] | None = None) -> None:
        self.stream, self.start, self.position = stream, start, 0
        self.size = max(0, stream.seek(0, io.SEEK_END) - start)
        self.stated_size = self.size
        self.errors = [] if errors is None else errors

    def end_at(self, size: int) -> None:
        """Make the file end earlier than it does."""
        self.size = self.stated_size = min(self.size, size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_CUR: self.position, io.SEEK_END: self.stated_size}.get(whence, 0)
        self.position = max(0, origin + offset)
        return self.position

    def tell(self) -> int:
        return self.position

    def read(self, count: int) -> bytes:
        if self.position >= self.size and self.position == self.stated_size - _ID3V1_BYTES:
            return bytes(count)
        try:
            self.stream.seek(self.start + self.position)
            data = self.stream.read(max(0, min(count, self.size - self.position)))
        except OSError as error:
            self.errors.append(error)
            return b""
        self.position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def peek(self, position: int, count: int) -> bytes:
        """Look at bytes without moving the decoder's position."""
        before = self.position
        self.seek(position)
        data = self.read(count)
        self.position = before
        return data


@dataclass(frozen=True)
class Origin:
    """The bytes of a recording: a file on the disk, or what a pipe or an open file held.

    There is `content` where there is no path. A file is known again by its size and its time of change in ns.
    """

    name: str
    path: str | None = None
    content: bytes = b""
    size_and_time: tuple[int, int] = (0, 0)

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Yield the bytes as a seekable stream."""
        if self.path is None:
            yield io.BytesIO(self.content)
            return
        with _os_errors(self.path):
            stream = open(self.path, "rb")  # noqa: SIM115 (closed below; only opening may raise these errors)
        with stream:
            if _size_and_time(os.fstat(stream.fileno())) != self.size_and_time:
                raise LaennecError(f"{self.name}: has changed while it was read; read it again")
            try:
                yield stream
            except OSError as error:  # of this stream: whoever reads it writes nothing meanwhile
                raise LaennecError(f"{self.name}: cannot be read: {error.strerror or error}") from error


def locate(source: Source, name: str | None = None) -> Origin:
    """Find a recording's bytes; what cannot be read twice is read into memory. ``-`` is standard input."""
    if isinstance(source, bytes | bytearray | memoryview):
        return Origin(name or "recording", content=bytes(source))
    if not isinstance(source, str | os.PathLike):
        return Origin(name or "recording", content=_buffered(source, name or "recording"))
    path = os.fsdecode(source)
    if path == STANDARD_INPUT:
        return Origin(name or "stdin", content=_buffered(_standard_input(), name or "stdin"))
    called = name or os.path.basename(path) or path
    with _os_errors(path):
        facts = os.stat(path)
        if stat.S_ISDIR(facts.st_mode):
            raise LaennecError(f"{path}: is a folder, not a recording")
        if stat.S_ISREG(facts.st_mode):
            return Origin(called, path, size_and_time=_size_and_time(facts))
        if not stat.S_ISFIFO(facts.st_mode) and not stat.S_ISSOCK(facts.st_mode):
            raise LaennecError(f"{path}: is a device, not a recording")
        pipe = open(path, "rb")  # noqa: SIM115 (closed below)
    with pipe:
        return Origin(called, content=_buffered(pipe, called))


def _standard_input() -> Any:
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise LaennecError("-: there is no standard input to read from")
    if stream.isatty():
        raise LaennecError("-: standard input is a terminal; pipe a file into it, or name one")
    return stream


def _size_and_time(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_size, facts.st_mtime_ns


@contextmanager
def _os_errors(path: str) -> Iterator[None]:
    """Turn what the operating system says of a path into one sentence."""
    try:
        yield
    except FileNotFoundError as error:
        raise LaennecError(f"{path}: no such file") from error
    except OSError as error:
        raise LaennecError(f"{path}: cannot be opened: {error.strerror or error}") from error
    except ValueError as error:
        raise LaennecError(f"{path!r}: not a file name: {error}") from error


def _buffered(stream: Any, name: str) -> bytes:
    """Read the rest of an open file, pipe or upload into memory."""
    if not callable(getattr(stream, "read", None)):
        raise LaennecError(
            f"{name}: expected a path, bytes or an open binary file, got {type(stream).__name__}"
        )
    content = bytearray()
    try:
        while data := stream.read(2**20):
            if not isinstance(data, bytes | bytearray | memoryview):
                raise LaennecError(f"{name}: expected a file opened for bytes, got one opened for text")
            content += data
            if len(content) > MAX_PIPE_BYTES:
                limit = f"{MAX_PIPE_BYTES / 2**30:g} GiB, the most that is read from a pipe"
                raise LaennecError(f"{name}: longer than {limit}; save it as a file first")
    except (OSError, ValueError) as error:  # ValueError: closed, or text in a wrong encoding
        raise LaennecError(f"{name}: cannot be read: {error}") from error
    return bytes(content)
