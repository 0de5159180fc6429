"""What an audio file holds besides sound, and the file without it; samples are copied bit for bit.

Of a WAV file the format and the data are kept, of a FLAC file the stream's facts, its seek table and its
frames. Everything else goes: names of persons, devices and programs, dates, places, pictures, notes and
markers.
"""

import io
import struct
from dataclasses import dataclass
from pathlib import Path

from laennec.audio.containers import read_riff
from laennec.audio.media import id3_bytes
from laennec.audio.samples import counted
from laennec.audio.source import Input
from laennec.errors import LaennecError

SHOWN = 60  # characters of a tag's text that are listed
_FLAC_KEPT = {0, 3}  # STREAMINFO, SEEKTABLE
_FLAC_NAMES = {
    1: "padding",
    2: "application data",
    4: "tags",
    5: "cue sheet",
    6: "picture",
}
_WAVE_KEPT = {b"fmt ", b"data", b"fact"}


@dataclass(frozen=True)
class Stripped:
    """The bytes of a file without tags, and what was taken off, an entry for each part."""

    content: bytes
    removed: tuple[str, ...]


def strip_tags(path: Path) -> Stripped:
    """Return an audio file without anything but sound.

    Raises
    ------
    LaennecError
        If it is neither a WAV nor a FLAC file, or is damaged: what cannot be taken apart cannot be vouched
        for.
    """
    content = path.read_bytes()
    if content[:3] == b"ID3" or content[:4] == b"fLaC":
        return _flac(content, path)
    if content[:4] in (b"RIFF", b"RIFX"):
        return _wave(content, path)
    raise LaennecError(f"{path}: neither WAV nor FLAC; convert it to one of them first")


def _wave(content: bytes, path: Path) -> Stripped:
    riff = read_riff(Input(io.BytesIO(content)))
    if riff is None or riff.raw_format() is None or riff.big_endian:
        raise LaennecError(f"{path}: a WAV file of a coding that is not copied; convert it to 16-bit WAV")
    frame = riff.channels * riff.bits // 8
    present = riff.data_present - riff.data_present % frame
    data = content[riff.data_start : riff.data_start + present]
    removed = list(_wave_parts(content))
    layout = struct.pack(
        "<HHIIHH", riff.tag, riff.channels, riff.sample_rate, riff.sample_rate * frame, frame, riff.bits
    )
    chunks = [_chunk(b"fmt ", layout if riff.tag == 1 else layout + b"\0\0")]
    if riff.tag != 1:
        chunks.append(_chunk(b"fact", struct.pack("<I", present // frame)))
    chunks.append(_chunk(b"data", data))
    body = b"WAVE" + b"".join(chunks)
    return Stripped(b"RIFF" + struct.pack("<I", len(body)) + body, tuple(removed))


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _wave_parts(content: bytes) -> list[str]:
    """Name every chunk but those kept, and what lies behind the last."""
    removed, position = [], 12
    while position + 8 <= len(content):
        name, (size,) = (
            content[position : position + 4],
            struct.unpack("<I", content[position + 4 : position + 8]),
        )
        if not all(32 <= byte < 127 for byte in name):
            break
        part = content[position + 8 : position + 8 + size]
        if name not in _WAVE_KEPT:
            removed.append(_described(name.decode("ascii").strip(), part))
        elif name == b"fmt " and size > 18:
            removed.append(f"fmt: {counted(size - 16, 'byte', '')} of an extended header")
        position += 8 + size + size % 2
    if position < len(content) and any(content[position:]):
        removed.append(_described("bytes behind the last chunk", content[position:]))
    return removed


def _flac(content: bytes, path: Path) -> Stripped:
    removed, position = [], 0
    if content[:3] == b"ID3":
        if len(content) < 10:
            raise LaennecError(f"{path}: cut off within its tags")
        size = id3_bytes(content[:10])
        removed.append(_described("ID3", content[:size]))
        position = size
    if content[position : position + 4] != b"fLaC":
        raise LaennecError(f"{path}: begins as FLAC and is none; MP3 files are to be converted first")
    position += 4
    kept: list[tuple[int, bytes]] = []
    while True:
        head = content[position : position + 4]
        if len(head) < 4:
            raise LaennecError(f"{path}: cut off within its tags")
        kind, size = head[0] & 0x7F, int.from_bytes(head[1:4], "big")
        block = content[position + 4 : position + 4 + size]
        if len(block) < size:
            raise LaennecError(f"{path}: cut off within its tags")
        if kind in _FLAC_KEPT:
            kept.append((kind, block))
        elif kind != 1 or any(block):
            removed.append(_described(_FLAC_NAMES.get(kind, f"block {kind}"), block))
        position += 4 + size
        if head[0] & 0x80:
            break
    if not kept or kept[0][0] != 0:
        raise LaennecError(f"{path}: a FLAC file without the facts of its stream")
    frames = content[position:]
    if frames[-128:-125] == b"TAG":  # ID3v1 lies behind the sound
        removed.append(_described("ID3v1", frames[-128:]))
        frames = frames[:-128]
    blocks = [
        bytes([kind | (0x80 if k == len(kept) - 1 else 0)]) + len(block).to_bytes(3, "big") + block
        for k, (kind, block) in enumerate(kept)
    ]
    return Stripped(b"fLaC" + b"".join(blocks) + frames, tuple(removed))


def _described(name: str, content: bytes) -> str:
    """Return what a part is called, its size, and the beginning of the text in it."""
    runs, run = [], ""
    for character in content.decode("utf-8", "replace"):
        if character.isprintable() and character != "\ufffd":
            run += character
        else:
            runs.append(run)
            run = ""
    text = " ".join(each.strip() for each in (*runs, run) if len(each.strip()) > 2)
    shown = text[:SHOWN] + ("…" if len(text) > SHOWN else "")
    return f"{name}, {counted(len(content), 'byte', '')}" + (f": {shown}" if shown else "")
