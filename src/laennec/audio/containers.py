"""Files and their headers: what libsndfile opens, and what a WAV header says before it does."""

import math
import struct
from dataclasses import dataclass
from typing import Any, TypeAlias

import soundfile

from laennec.audio.dicom import is_dicom, open_dicom
from laennec.audio.media import MediaError, MediaSound, id3_bytes, kind_of, open_media
from laennec.audio.samples import counted
from laennec.audio.source import Input
from laennec.errors import LaennecError

Sound: TypeAlias = soundfile.SoundFile | MediaSound
_MP3_BIT_RATES = 40  # 320 over 8 kbit/s, the highest and the lowest
_STREAMED_BYTES = 0x7FFFF000  # arecord, sox and ffmpeg write sizes from here up when they cannot seek back
_MAGIC = {
    "WAV": (b"RIFF", b"RIFX", b"RF64"),
    "FLAC": (b"fLaC",),
    "Ogg": (b"OggS",),
    "MP3": (b"ID3\x02", b"ID3\x03", b"ID3\x04"),
    "AIFF": (b"FORM",),
    "CAF": (b"caff",),
    "W64": (b"riff",),
    "AU": (b".snd",),
}
_SUBTYPES = {  # by tag and bits: the plain codings
    (1, 8): "PCM_U8",
    (1, 16): "PCM_16",
    (1, 24): "PCM_24",
    (1, 32): "PCM_32",
    (3, 32): "FLOAT",
    (3, 64): "DOUBLE",
    (6, 8): "ALAW",
    (7, 8): "ULAW",
}


@dataclass(frozen=True)
class Riff:
    """What a WAV header says; sizes and offsets in bytes."""

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
    def streamed_from_zero(self) -> bool:
        return self.data_bytes == 0 and self.data_present > 0

    @property
    def streamed(self) -> bool:
        cut_short = self.data_bytes > self.data_present
        return self.streamed_from_zero or (cut_short and self.data_bytes >= _STREAMED_BYTES)

    @property
    def missing(self) -> int:
        return 0 if self.streamed else max(0, self.data_bytes - self.data_present)

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
        subtype = _SUBTYPES.get((self.tag, self.bits))
        if subtype is None or not 0 < self.sample_rate < 2**31 or not 0 < self.channels <= 1024:
            return None
        endian = "BIG" if self.big_endian else "LITTLE"
        raw = {"format": "RAW", "subtype": subtype, "endian": endian}
        return {"samplerate": self.sample_rate, "channels": self.channels, **raw}


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
        # Chunks start at even offsets, but some writers leave out the pad byte after an odd one.
        position += 8 + size
        if size % 2 and source.peek(position, 4) not in (b"data", b"fmt ", b"fact", b"LIST"):
            position += 1
    else:
        return None
    if len(layout) < 16:
        return None
    tag, channels, sample_rate, byte_rate, block_align, bits = struct.unpack(order + "HHIIHH", layout[:16])
    if tag == 0xFFFE and len(layout) >= 26:  # WAVE_FORMAT_EXTENSIBLE: the coding is in the sub-format
        (tag,) = struct.unpack(order + "H", layout[24:26])
    sizes = (byte_rate, block_align, bits, position + 8, size, *_data_extent(source, position + 8, size))
    return Riff(order == ">", tag, channels, sample_rate, *sizes)


def _data_extent(source: Input, start: int, size: int) -> tuple[int, int]:
    """Bytes of audio in the file, and bytes after it that belong to no chunk.

    A data chunk of size 0 is that of an interrupted or streamed recording if no chunk follows it.
    """
    rest = max(0, source.size - start)
    after = start + size + size % 2
    following = (source.peek(after, 4), source.peek(after - size % 2, 4))
    is_chunk = any(
        len(name) == 4 and all(32 <= byte < 127 for byte in name) and name not in _MAGIC["WAV"]
        for name in following
    )
    if rest <= size + size % 2 or is_chunk:
        return min(rest, size), 0
    if size == 0:
        return rest, 0
    return size, source.size - after if any(source.peek(after, 4096)) else 0  # zeros are padding


class _ForwardSoundFile(soundfile.SoundFile):  # type: ignore[misc]
    """A SoundFile that is only read from start to end.

    A seekable SoundFile seeks after each read, which fails in a FLAC stream of unknown length.
    """

    def seekable(self) -> bool:
        return False


# What libraries say of a file that is none of theirs.
_SAYS_NOTHING = (
    *("Invalid data found when processing input", "End of file", "Format not recognised"),
    *("File contains data in an unimplemented format", "no reason given"),
)


def open_sound(source: Input, riff: Riff | None, repairs: list[str], name: str) -> Sound:
    """Open by libsndfile's reading of the header, or by ours where its own finds no samples in a WAV file."""
    if is_dicom(source):
        return open_dicom(source, name)
    raw = riff.raw_format() if riff else None
    try:
        if not (riff and raw and riff.streamed_from_zero):
            try:
                return _by_libsndfile(source)
            except soundfile.SoundFileError as error:
                if not (riff and raw and riff.data_present > 0):
                    raise
                broken = f"the RIFF structure is broken ({error_reason(error)})"
                repairs.append(f"{broken}: samples read from byte {riff.data_start} on")
        return _ForwardSoundFile(Input(source.stream, riff.data_start, source.errors), **raw)
    except soundfile.SoundFileError as error:
        media, failure = kind_of(source), error
        # A plain WAV file that libsndfile refuses is a broken one, and no other coding.
        if media and not raw:
            try:
                return open_media(source, media, name)
            except MediaError as other:
                failure = other
        magic = source.peek(0, 4)
        kind = media.name if media else next((kind for kind, all in _MAGIC.items() if magic in all), None)
        said = error_reason(failure)
        more = "" if said in _SAYS_NOTHING else f" ({said})"
        reason = f"begins as {kind} but is truncated, damaged or of an unknown coding{more}"
        if kind is None:
            reason = "not audio that can be read (WAV, FLAC, OGG, MP3, AIFF, M4A and the like can)"
        raise LaennecError(f"{name}: {reason}") from error


def _by_libsndfile(source: Input) -> soundfile.SoundFile:
    source.seek(0)
    sound = _ForwardSoundFile(source)
    if sound.format == "MP3" and source.stated_size == source.size and not _mp3_counts_frames(source):
        # libsndfile then guesses the length from the file size and the first bit rate, and stops there
        sound.close()
        source.stated_size = source.size * _MP3_BIT_RATES
        return _by_libsndfile(source)
    return sound


def error_reason(error: soundfile.SoundFileError) -> str:
    reason = str(getattr(error, "error_string", error)).strip().rstrip(".").removeprefix("Error : ")
    return reason or "no reason given"


def _mp3_counts_frames(source: Input) -> bool:
    """True if the first frame of an MP3 file is a Xing or Info header, which holds the number of frames."""
    head = source.peek(0, 10)
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:
        start = id3_bytes(head)
    frame = source.peek(start, 256)
    return b"Xing" in frame or b"Info" in frame
