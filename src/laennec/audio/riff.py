"""What a WAV header says, before libsndfile makes sense of it: its contradictions are named."""

import math
import struct
from dataclasses import dataclass
from typing import Any

from laennec.audio.samples import counted
from laennec.audio.source import Input

_STREAMED_BYTES = 0x7FFFF000  # arecord, sox and ffmpeg write sizes from here up when they cannot seek back


@dataclass(frozen=True)
class Riff:
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
    data_present: int  # bytes up to the file's end, at most data_bytes unless that is a placeholder
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
        repairs = []
        if self.tag in (1, 3) and self.bits and self.channels:
            layout = f"{self.bits} bit × {counted(self.channels, 'channel')}"
            frame = self.channels * math.ceil(self.bits / 8)
            if self.block_align != frame:
                repairs.append(f"RIFF header says block align {self.block_align}; {layout} make {frame}")
            if self.byte_rate != self.sample_rate * frame:
                expected = f"{self.sample_rate} Hz × {frame} bytes make {self.sample_rate * frame}"
                repairs.append(f"RIFF header says {self.byte_rate} bytes per second; {expected}")
            if not self.streamed and not self.missing and self.data_bytes % frame:
                left = counted(self.data_bytes % frame, "byte")
                repairs.append(f"{left} at the end of the audio make no whole sample of {frame}: left out")
        if self.streamed:
            repairs.append(
                f"RIFF header says {self.data_bytes:#x} bytes of audio, as streams do: read to the end"
            )
        return repairs

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


def read_riff(source: Input) -> Riff | None:
    """Walk the chunks of a WAV file as far as its data chunk; None if it is no WAV file or lacks a chunk."""
    head = source.peek(0, 12)
    if head[:4] not in (b"RIFF", b"RIFX") or head[8:12] != b"WAVE":
        return None
    order = ">" if head[:4] == b"RIFX" else "<"
    position, layout = 12, b""
    for _ in range(1_000):  # a real file has a handful of chunks
        chunk = source.peek(position, 8)
        if len(chunk) < 8:
            return None
        (size,) = struct.unpack(order + "I", chunk[4:])
        if chunk[:4] == b"fmt ":
            layout = source.peek(position + 8, min(size, 40))
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
    sizes = (byte_rate, block_align, bits, position + 8, size, present, unread)
    return Riff(order == ">", tag, channels, sample_rate, *sizes)


def _next_chunk(source: Input, position: int, size: int) -> int:
    """Chunks start at even offsets, but some writers leave out the pad byte after an odd one."""
    end = position + 8 + size
    if size % 2 and source.peek(end, 4) in (b"data", b"fmt ", b"fact", b"LIST"):
        return end
    return end + size % 2


def _is_chunk(source: Input, position: int) -> bool:
    identifier = source.peek(position, 8)[:4]
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
    tail = source.peek(after, 4096)
    return size, source.size - after if any(tail) else 0  # zeros are padding
