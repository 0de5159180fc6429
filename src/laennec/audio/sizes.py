"""How long a file is by its own words, so that one which was cut short is found."""

import re
import struct
from collections.abc import Callable

from laennec.audio.media import ASF, EBML, MP4_PARTS
from laennec.audio.source import Input

_MOST_PARTS = 10_000  # a recorder that streams writes two a second
_PLACEHOLDER = 1024  # bytes
_SEGMENT = bytes.fromhex("18538067")  # of Matroska
_TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN")


def declared_size(source: Input) -> int:
    """File size in bytes that the header promises; 0 where it promises none, or the format is another."""
    head = source.peek(0, 28)
    if len(head) < 28:
        return 0
    parts = _parts(head)
    if parts is not None:
        return _end_of_parts(source, *parts)
    if head.startswith(b"NIST_1A"):
        return _nist_size(source.peek(0, 1024))
    sizes = {
        b"FORM": 8 + struct.unpack(">I", head[4:8])[0],
        b".snd": sum(struct.unpack(">II", head[4:12])),
        b"RIFF": 8 + struct.unpack("<I", head[4:8])[0] if head[8:12] == b"AVI " else 0,
        b"RF64": 8 + struct.unpack("<Q", head[20:28])[0],
        b"riff": struct.unpack("<Q", head[16:24])[0],
    }
    declared = sizes.get(head[:4], 0)
    unknown = 0xFFFFFFFF if head[:4] in (b"FORM", b".snd", b"RIFF") else 2**62
    return 0 if declared >= unknown else declared


def dump_samples(source: Input) -> int | None:
    """Samples of a MIDI sample dump (SDS) in front of its first damaged packet; None for other files.

    libsndfile goes on behind the last packet, and prints of a damaged one on standard output.
    Source: MIDI 1.0, sample dump standard: 21 bytes, then packets of 127 with 120 of seven bits a sample.
    """
    head = source.peek(0, 7)
    if len(head) < 7 or head[:2] != b"\xf0\x7e" or head[2] > 0x7F or head[3] != 1:
        return None
    samples = 120 // -(-head[6] // 7) if head[6] else 0
    packets = 0
    while len(packet := source.peek(21 + 127 * packets, 127)) == 127 and packet[:2] == b"\xf0\x7e":
        packets += 1
    return samples * packets


def ogg_lacks_end(source: Input) -> bool:
    """True if the last page of an Ogg file is incomplete or not marked as the end (RFC 3533, section 6)."""
    if source.peek(0, 4) != b"OggS":
        return False
    tail = source.peek(max(0, source.size - 2**17), 2**17)  # a page has at most 65,307 bytes
    page = tail[max(0, tail.rfind(b"OggS")) :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return True
    return not page[5] & 4 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])


def _parts(head: bytes) -> tuple[int, Callable[[bytes], int]] | None:
    """Of a file that is a chain of parts: where it begins, and what tells a part's bytes (0: unknown)."""
    if head[4:8] in MP4_PARTS:
        return 0, _mp4_part
    if head.startswith(ASF):
        return 0, lambda part: int.from_bytes(part[16:24], "little")
    if head.startswith(EBML):
        return 0, _ebml_part
    if head.startswith(b"caff"):
        return 8, lambda part: 12 + struct.unpack(">q", part[4:12])[0]  # -1 is unknown
    if head.startswith(b"Creative Voice File"):
        return head[20] + 256 * head[21], lambda part: 4 + int.from_bytes(part[1:4], "little")
    return None


def bytes_after(source: Input, end: int) -> int:
    """Bytes after a file's end by its own words; zeros are padding, and so is a single byte.

    A small length is the one that a recorder wrote before it began, and says nothing.
    """
    rest = source.size - end
    return rest if end > _PLACEHOLDER and rest > 1 and any(source.peek(end, 4096)) else 0


def bytes_not_decoded(source: Input) -> int:
    """Bytes that the decoder of a compressed stream never came to, where they are more than tags."""
    rest, following = source.size - source.position, source.peek(source.position, 4096)
    return rest if rest > 4096 and any(following) and not following.startswith(_TAGS) else 0


def misleads(source: Input, end: int) -> bool:
    """Whether libsndfile would take what follows a file's end for a part of it.

    That is another file of its kind, and anything at all in a format of which it reads the rest as samples.
    """
    head = source.peek(0, 4)
    return head in (b"NIST", b"riff", b"Crea") or source.peek(end, 4) == head


def _end_of_parts(source: Input, position: int, length_of: Callable[[bytes], int]) -> int:
    first = source.peek(0, 8)
    for _ in range(_MOST_PARTS):
        part = source.peek(position, 24)
        if position and not _goes_on(first, part):
            return position
        length = length_of(part.ljust(24, b"\0"))
        if length < 4:
            return 0
        position += length
        if position > source.size:
            return position if length < 2**62 else 0
    return 0


def _goes_on(first: bytes, part: bytes) -> bool:
    """Whether bytes begin another part of a file that begins so, and no other file, tag or padding."""
    if first.startswith(ASF):
        return part[7:8] in (b"\x11", b"\x4c") and part[:8] != ASF  # GUIDs of its parts
    if first.startswith(EBML):
        return part.startswith((EBML, _SEGMENT))
    if first.startswith(b"Creative"):
        return 0 < part[0] < 10 if part else False
    name = part[:4] if first.startswith(b"caff") else part[4:8]
    return len(name) == 4 and all(32 <= byte < 127 for byte in name) and name not in (b"caff", b"ftyp")


def _mp4_part(part: bytes) -> int:
    length = int.from_bytes(part[:4], "big")
    return int.from_bytes(part[8:16], "big") if length == 1 else length


def _ebml_part(part: bytes) -> int:
    """By identifier and size, each of variable width (RFC 8794, sections 5 and 6)."""
    start = 9 - part[0].bit_length()
    width = 9 - part[start].bit_length()
    bits = 7 * width
    size = int.from_bytes(part[start : start + width], "big") & (1 << bits) - 1
    return 0 if width > 8 or size == (1 << bits) - 1 else start + width + size


def _nist_size(head: bytes) -> int:
    """By the header, whose size is its second line, and the number of samples."""
    numbers = {name: int(value) for name, value in re.findall(rb"^(\w+) -i (\d{1,18})", head, re.MULTILINE)}
    size = re.match(rb"NIST_1A\s+(\d{1,9})", head)
    count, channels = numbers.get(b"sample_count", 0), numbers.get(b"channel_count", 1)
    return int(size[1]) + count * channels * numbers.get(b"sample_n_bytes", 0) if size and count else 0
