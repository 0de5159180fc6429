"""Files and their headers: what libsndfile opens, what a header promises, and what is missing of it."""

import io
import math
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import soundfile

from laennec.audio.quality import Finding
from laennec.audio.samples import counted
from laennec.errors import LaennecError

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
UNKNOWN_FRAMES = 2**62  # libsndfile's frame count of a stream of unknown length is 2**63 - 1
_ID3V1_BYTES = 128  # MP3 readers look for this tag at the end of a file before anything else
_MP3_BIT_RATES = 40  # 320 over 8 kbit/s, the highest and the lowest
_STREAMED_BYTES = 0x7FFFF000  # arecord, sox and ffmpeg write sizes from here up when they cannot seek back


class _ForwardSoundFile(soundfile.SoundFile):  # type: ignore[misc]
    """A SoundFile that is only read from start to end.

    A seekable SoundFile seeks after each read, which fails in a FLAC stream of unknown length.
    """

    def seekable(self) -> bool:
        return False


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
            data = self.stream.read(max(0, count))
        except OSError as error:
            self.errors.append(error)
            return b""
        self.position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def opened(source: Source, name: str | None) -> Iterator[tuple[BinaryIO, str]]:
    """Yield a seekable binary stream and the name to use in messages."""
    if isinstance(source, bytes | bytearray | memoryview):
        yield io.BytesIO(source), name or "recording"
        return
    if not isinstance(source, str | os.PathLike):
        yield _buffered(source, name or "recording"), name or "recording"
        return
    path = os.fsdecode(source)
    called = name or os.path.basename(path) or path
    try:
        if os.path.isdir(path):
            raise LaennecError(f"{path}: is a folder, not a recording")
        stream = open(path, "rb")  # noqa: SIM115 (closed below; only opening may raise these errors)
    except FileNotFoundError as error:
        raise LaennecError(f"{path}: no such file") from error
    except OSError as error:
        raise LaennecError(f"{path}: cannot be opened: {error.strerror or error}") from error
    except ValueError as error:
        raise LaennecError(f"{path!r}: not a file name: {error}") from error
    with stream:
        yield (stream if stream.seekable() else _buffered(stream, called)), called


def _buffered(stream: Any, name: str) -> BinaryIO:
    """Read the rest of an open file, pipe or upload into memory."""
    if not callable(getattr(stream, "read", None)):
        raise LaennecError(
            f"{name}: expected a path, bytes or an open binary file, got {type(stream).__name__}"
        )
    try:
        data = stream.read()
    except (OSError, ValueError) as error:  # ValueError: closed, or text in a wrong encoding
        raise LaennecError(f"{name}: cannot be read: {error}") from error
    if not isinstance(data, bytes | bytearray | memoryview):
        raise LaennecError(f"{name}: expected a file opened for bytes, got one opened for text")
    return io.BytesIO(data)


def open_sound(source: Input, riff: "_Riff | None", repairs: list[str], name: str) -> soundfile.SoundFile:
    """Open by libsndfile's reading of the header, or by ours where its own finds no samples in a WAV file."""
    by_our_reading = riff.raw_format() if riff else None
    if riff and by_our_reading and riff.streamed_from_zero:
        return _ForwardSoundFile(Input(source.stream, riff.data_start, source.errors), **by_our_reading)
    try:
        sound = _reopened(source)
        if sound.format == "MP3" and not _mp3_counts_frames(source):
            # libsndfile then guesses the length from the file size and the first bit rate, and stops there
            sound.close()
            source.stated_size = source.size * _MP3_BIT_RATES
            sound = _reopened(source)
        return sound
    except soundfile.SoundFileError as error:
        reason = error_reason(error)
        if not (riff and by_our_reading and riff.data_present > 0):
            raise LaennecError(f"{name}: {_refusal(source, reason)}") from error
    repairs.append(f"the RIFF structure is broken ({reason}): samples read from byte {riff.data_start} on")
    try:
        return _ForwardSoundFile(Input(source.stream, riff.data_start, source.errors), **by_our_reading)
    except soundfile.SoundFileError as error:
        raise LaennecError(f"{name}: {_refusal(source, error_reason(error))}") from error


def _reopened(source: Input) -> soundfile.SoundFile:
    source.seek(0)
    return _ForwardSoundFile(source)


def missing_audio(
    source: Input,
    riff: "_Riff | None",
    frames: int,
    claimed: int,
    sample_rate: int,
    failure: soundfile.SoundFileError | None,
) -> Finding | None:
    """Name what the file promises and does not hold."""
    if riff and riff.missing:
        held = f"the header promises {riff.data_bytes:,} bytes of audio, the file holds {riff.data_present:,}"
        return Finding("truncated", f"truncated: {held}", riff.missing / riff.data_bytes)
    lasts_s = frames / sample_rate
    known = claimed < UNKNOWN_FRAMES
    if failure is not None or (known and frames < claimed):
        promised = f" of {claimed / sample_rate:.3f} s promised" if known else ""
        why = f" ({error_reason(failure)})" if failure else ""
        share = 1 - frames / claimed if known and claimed else None
        return Finding("truncated", f"truncated or damaged: decoded {lasts_s:.3f} s{promised}{why}", share)
    declared = _declared_size(source)
    if declared > source.size + 1:  # a missing pad byte is no loss
        held = f"the header promises {declared:,} bytes, the file holds {source.size:,}"
        return Finding("truncated", f"truncated: {held}", 1 - source.size / declared)
    if _ogg_lacks_end(source):
        return Finding("truncated", f"truncated: the Ogg stream breaks off after {lasts_s:.3f} s")
    return None


def error_reason(error: soundfile.SoundFileError) -> str:
    return (
        str(getattr(error, "error_string", error)).strip().rstrip(".").removeprefix("Error : ")
        or "no reason given"
    )


_MAGIC = {
    b"RIFF": "WAV",
    b"RIFX": "WAV",
    b"RF64": "WAV",
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
    b"ID3\x02": "MP3",
    b"ID3\x03": "MP3",
    b"ID3\x04": "MP3",
    b"FORM": "AIFF",
    b"caff": "CAF",
    b"riff": "W64",
    b".snd": "AU",
}


def _refusal(source: Input, reason: str) -> str:
    """Say why libsndfile refused the file: damaged audio, or not audio at all."""
    kind = _MAGIC.get(_bytes_at(source, 0, 4))
    if kind:
        return f"begins as {kind} but is truncated, damaged or of an unknown coding ({reason})"
    return "not audio that can be read (WAV, FLAC, OGG, MP3, AIFF and the like can)"


@dataclass(frozen=True)
class _Riff:
    """What a WAV header says, before libsndfile makes sense of it; sizes and offsets in bytes."""

    big_endian: bool
    tag: int  # 1 PCM, 3 IEEE float, 6 A-law, 7 mu-law
    channels: int
    sample_rate: int
    byte_rate: int
    block_align: int
    bits: int
    data_start: int
    data_bytes: int  # as the header says
    data_present: (
        int  # from data_start to the end of the file, at most data_bytes unless that is a placeholder
    )
    unread: int  # bytes after the audio that are no chunk

    @property
    def streamed(self) -> bool:
        return self.streamed_from_zero or (self.data_bytes >= _STREAMED_BYTES and self.missing_bytes > 0)

    @property
    def streamed_from_zero(self) -> bool:
        return self.data_bytes == 0 and self.data_present > 0

    @property
    def missing_bytes(self) -> int:
        return max(0, self.data_bytes - self.data_present)

    @property
    def missing(self) -> int:
        return 0 if self.streamed else self.missing_bytes

    def repairs(self) -> list[str]:
        """Name the header fields that contradict each other or the file; libsndfile passes over them."""
        found = []
        if self.tag in (1, 3) and self.bits and self.channels:
            layout = f"{self.bits} bit × {counted(self.channels, 'channel')}"
            frame = self.channels * math.ceil(self.bits / 8)
            if self.block_align != frame:
                found.append(f"RIFF header says block align {self.block_align}; {layout} make {frame}")
            if self.byte_rate != self.sample_rate * frame:
                expected = f"{self.sample_rate} Hz × {frame} bytes make {self.sample_rate * frame}"
                found.append(f"RIFF header says {self.byte_rate} bytes per second; {expected}")
            if not self.streamed and not self.missing and self.data_bytes % frame:
                left = counted(self.data_bytes % frame, "byte")
                found.append(f"{left} at the end of the audio make no whole sample of {frame}: left out")
        if self.streamed:
            found.append(
                f"RIFF header says {self.data_bytes:#x} bytes of audio, as streams do: read to the end"
            )
        return found

    def raw_format(self) -> dict[str, Any] | None:
        """Arguments for reading the data chunk without the header, where the coding is a plain one."""
        subtypes = {
            (1, 8): "PCM_U8",
            (1, 16): "PCM_16",
            (1, 24): "PCM_24",
            (1, 32): "PCM_32",
            (3, 32): "FLOAT",
            (3, 64): "DOUBLE",
            (6, 8): "ALAW",
            (7, 8): "ULAW",
        }
        subtype = subtypes.get((self.tag, self.bits))
        if subtype is None or not 0 < self.sample_rate < 2**31 or not 0 < self.channels <= 1024:
            return None
        return {
            "samplerate": self.sample_rate,
            "channels": self.channels,
            "format": "RAW",
            "subtype": subtype,
            "endian": "BIG" if self.big_endian else "LITTLE",
        }


def read_riff(source: Input) -> _Riff | None:
    """Walk the chunks of a WAV file as far as its data chunk; None if it is no WAV file or lacks a chunk."""
    head = _bytes_at(source, 0, 12)
    if head[:4] not in (b"RIFF", b"RIFX") or head[8:12] != b"WAVE":
        return None
    order = ">" if head[:4] == b"RIFX" else "<"
    position, layout = 12, b""
    for _ in range(1_000):  # a real file has a handful of chunks
        chunk = _bytes_at(source, position, 8)
        if len(chunk) < 8:
            return None
        (size,) = struct.unpack(order + "I", chunk[4:])
        if chunk[:4] == b"fmt ":
            layout = _bytes_at(source, position + 8, min(size, 40))
        if chunk[:4] == b"data":
            break
        position = _next_chunk(source, position, size)
    else:
        return None
    if len(layout) < 16:
        return None
    tag, channels, sample_rate, byte_rate, block_align, bits = struct.unpack(order + "HHIIHH", layout[:16])
    if tag == 0xFFFE and len(layout) >= 26:  # WAVE_FORMAT_EXTENSIBLE: the coding is in the sub-format
        (tag,) = struct.unpack(order + "H", layout[24:26])
    present, unread = _data_extent(source, position + 8, size)
    return _Riff(
        order == ">",
        tag,
        channels,
        sample_rate,
        byte_rate,
        block_align,
        bits,
        position + 8,
        size,
        present,
        unread,
    )


def _next_chunk(source: Input, position: int, size: int) -> int:
    """Chunks start at even offsets, but some writers leave out the pad byte after an odd one."""
    end = position + 8 + size
    if size % 2 and _bytes_at(source, end, 4) in (b"data", b"fmt ", b"fact", b"LIST"):
        return end
    return end + size % 2


def _is_chunk(source: Input, position: int) -> bool:
    identifier = _bytes_at(source, position, 8)[:4]
    return len(identifier) == 4 and all(32 <= byte < 127 for byte in identifier)


def _data_extent(source: Input, start: int, size: int) -> tuple[int, int]:
    """Bytes of audio in the file, and bytes after it that belong to no chunk.

    A data chunk of size 0 is that of an interrupted or streamed recording if no chunk follows it.
    """
    rest = max(0, source.size - start)
    after = start + size + size % 2
    if rest <= size + size % 2 or _is_chunk(source, after) or _is_chunk(source, after - size % 2):
        return min(rest, size), 0
    if size == 0:
        return rest, 0
    tail = _bytes_at(source, after, 4096)
    return size, source.size - after if any(tail) else 0  # zeros are padding


def _bytes_at(source: Input, position: int, count: int) -> bytes:
    """Look at bytes without moving the decoder's position."""
    before = source.tell()
    source.seek(position)
    data = source.read(count)
    source.seek(before)
    return data


def _declared_size(source: Input) -> int:
    """File size in bytes that the header of AIFF, AU, RF64 or W64 promises; 0 where it promises none."""
    head = _bytes_at(source, 0, 28)
    if len(head) < 28:
        return 0
    sizes: dict[bytes, Callable[[], int]] = {
        b"FORM": lambda: 8 + struct.unpack(">I", head[4:8])[0],
        b".snd": lambda: sum(struct.unpack(">II", head[4:12])),
        b"RF64": lambda: 8 + struct.unpack("<Q", head[20:28])[0],
        b"riff": lambda: struct.unpack("<Q", head[16:24])[0],
    }
    declared = sizes.get(head[:4], lambda: 0)()
    unknown = 0xFFFFFFFF if head[:4] in (b"FORM", b".snd") else 2**62
    return 0 if declared >= unknown else declared


def _mp3_counts_frames(source: Input) -> bool:
    """True if the first frame of an MP3 file is a Xing or Info header, which holds the number of frames."""
    head = _bytes_at(source, 0, 10)
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:  # the tag's size has seven bits a byte (ID3v2, section 3.1)
        start = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    frame = _bytes_at(source, start, 256)
    return b"Xing" in frame or b"Info" in frame


def _ogg_lacks_end(source: Input) -> bool:
    """True if the last page of an Ogg file is incomplete or not marked as the end (RFC 3533, section 6)."""
    if _bytes_at(source, 0, 4) != b"OggS":
        return False
    tail_start = max(0, source.size - 2**17)  # a page has at most 65,307 bytes
    tail = _bytes_at(source, tail_start, 2**17)
    page = tail[max(0, tail.rfind(b"OggS")) :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return True
    is_last = bool(page[5] & 4)
    return not is_last or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])
