"""Files and their headers: what libsndfile opens, what a header promises, and what is missing of it."""

import struct
from collections.abc import Callable

import soundfile

from laennec.audio.quality import Finding
from laennec.audio.riff import Riff
from laennec.audio.source import Input
from laennec.errors import LaennecError

UNKNOWN_LENGTH = 2**62  # libsndfile's frame count of a stream of unknown length is 2**63 - 1
_MP3_BIT_RATES = 40  # 320 over 8 kbit/s, the highest and the lowest


class _ForwardSoundFile(soundfile.SoundFile):  # type: ignore[misc]
    """A SoundFile that is only read from start to end.

    A seekable SoundFile seeks after each read, which fails in a FLAC stream of unknown length.
    """

    def seekable(self) -> bool:
        return False


def open_sound(source: Input, riff: Riff | None, repairs: list[str], name: str) -> soundfile.SoundFile:
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
    riff: Riff | None,
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
    known = claimed < UNKNOWN_LENGTH
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
    kind = _MAGIC.get(source.peek(0, 4))
    if kind:
        return f"begins as {kind} but is truncated, damaged or of an unknown coding ({reason})"
    return "not audio that can be read (WAV, FLAC, OGG, MP3, AIFF and the like can)"


def _declared_size(source: Input) -> int:
    """File size in bytes that the header of AIFF, AU, RF64 or W64 promises; 0 where it promises none."""
    head = source.peek(0, 28)
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
    head = source.peek(0, 10)
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:  # the tag's size has seven bits a byte (ID3v2, section 3.1)
        start = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    frame = source.peek(start, 256)
    return b"Xing" in frame or b"Info" in frame


def _ogg_lacks_end(source: Input) -> bool:
    """True if the last page of an Ogg file is incomplete or not marked as the end (RFC 3533, section 6)."""
    if source.peek(0, 4) != b"OggS":
        return False
    tail_start = max(0, source.size - 2**17)  # a page has at most 65,307 bytes
    tail = source.peek(tail_start, 2**17)
    page = tail[max(0, tail.rfind(b"OggS")) :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return True
    is_last = bool(page[5] & 4)
    return not is_last or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])
