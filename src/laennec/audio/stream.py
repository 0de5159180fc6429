"""Decoding: a recording read whole, or block by block in constant memory."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import soundfile

from laennec.audio.containers import (
    UNKNOWN_FRAMES,
    Input,
    Source,
    error_reason,
    missing_audio,
    open_sound,
    opened,
    read_riff,
)
from laennec.audio.quality import Finding, channel_findings, clipped_share, silent_share
from laennec.audio.samples import BLOCK_FRAMES, Array, check_layout, counted, mend_non_finite, mend_scale
from laennec.errors import LaennecError

MAX_SAMPLES = (
    2**30
)  # 4 GiB as float32, 37 h at 8 kHz; stops a small file that decodes to more than the memory
LONG_S = 600.0  # from here on a file is heard block by block; ten minutes at 48 kHz are 115 MB
_MOST_REPAIRS = 20  # named of a long recording
_SAMPLES_A_BYTE = 64  # more than speech codecs reach; a header that promises more is not believed at once


class Stream:
    """A recording read block by block, in constant memory, mended and judged as `Recording.read` does.

    Attributes
    ----------
    name : str
    sample_rate : int
        Hz.
    channels : int
    repairs : list of str
        So far.
    """

    def __init__(self, sound: soundfile.SoundFile, name: str, repairs: list[str]) -> None:
        self.name, self.repairs = name, repairs
        self.sample_rate, self.channels = int(sound.samplerate), int(sound.channels)
        check_layout(self.sample_rate, self.channels, name)
        self._sound = sound
        self._read = 0
        self._clipped, self._silent = np.zeros(self.channels), np.zeros(self.channels)
        self._failure = ""

    @property
    def duration_s(self) -> float:
        """Seconds read so far."""
        return self._read / self.sample_rate

    def blocks(self, block_s: float = 10.0) -> Iterator[Array]:
        """Yield ``(channels, samples)`` float32 to the end, or to where it cannot be decoded further."""
        length = round(block_s * self.sample_rate)
        while True:
            try:
                block = self._sound.read(length, dtype="float32", always_2d=True)
            except soundfile.SoundFileError as error:
                self._failure = error_reason(error)
                return
            if not len(block):
                return
            samples = np.ascontiguousarray(block.T)
            for repair in mend_non_finite(samples, self.name) + mend_scale(samples):
                if len(self.repairs) < _MOST_REPAIRS:
                    self.repairs.append(repair)
            self._read += samples.shape[1]
            self._clipped += [clipped_share(channel) * channel.size for channel in samples]
            self._silent += [silent_share(channel, self.sample_rate) * channel.size for channel in samples]
            yield samples

    def warnings(self) -> tuple[Finding, ...]:
        """What is wrong with what was read."""
        found = []
        if self._failure:
            message = f"truncated or damaged: decoded {self.duration_s:.3f} s ({self._failure})"
            found.append(Finding("truncated", message))
        for index in range(self.channels):
            silent, clipped = (total[index] / max(1, self._read) for total in (self._silent, self._clipped))
            found += channel_findings(index, self.channels, float(silent), float(clipped))
        return tuple(found)


@contextmanager
def open_stream(source: Source, name: str | None = None) -> Iterator[Stream]:
    """Open a recording to be read block by block.

    Raises
    ------
    LaennecError
        As `Recording.read` does, but for its length.
    """
    with opened(source, name) as (stream, called):
        given = Input(stream)
        if given.size == 0:
            raise LaennecError(f"{called}: empty, the file has 0 bytes")
        riff = read_riff(given)
        repairs = riff.repairs() if riff else []
        with open_sound(given, riff, repairs, called) as sound:
            yield Stream(sound, called, repairs)
        if given.errors:
            raise LaennecError(f"{called}: cannot be read: {given.errors[0].strerror or given.errors[0]}")


def is_long(source: Source) -> bool:
    """Whether a file is longer than `LONG_S` by its header, so that it is better not read whole."""
    if not isinstance(source, str | os.PathLike):
        return False
    try:
        facts = soundfile.info(os.fsdecode(source))
    except (soundfile.SoundFileError, OSError, ValueError, TypeError):
        return False
    return bool(facts.frames > LONG_S * facts.samplerate)


def decode(stream: BinaryIO, name: str) -> tuple[Array, int, str, list[str], list[Finding]]:
    """Decode a stream whole: samples, sample rate, name, repairs, warnings."""
    source = Input(stream)
    if source.size == 0:
        raise LaennecError(f"{name}: empty, the file has 0 bytes")
    riff = read_riff(source)
    repairs = riff.repairs() if riff else []
    with open_sound(source, riff, repairs, name) as sound:
        sample_rate, channels = int(sound.samplerate), int(sound.channels)
        claimed = int(sound.frames) if source.stated_size == source.size else UNKNOWN_FRAMES
        check_layout(sample_rate, channels, name)
        samples, failure = _read_samples(sound, claimed, source.size, name)
    if source.errors:
        raise LaennecError(f"{name}: cannot be read: {source.errors[0].strerror or source.errors[0]}")
    frames = samples.shape[1]
    truncated = missing_audio(source, riff, frames, claimed, sample_rate, failure)
    if frames == 0:
        raise LaennecError(f"{name}: empty, it holds no samples" + (f" ({truncated})" if truncated else ""))
    warnings = [truncated] if truncated else []
    if riff and riff.unread:
        warnings.append(
            Finding("unread", f"{counted(riff.unread, 'byte')} after the audio belong to no chunk: not read")
        )
    return samples, sample_rate, name, repairs, warnings


def _read_samples(
    sound: soundfile.SoundFile, claimed: int, size: int, name: str
) -> tuple[Array, soundfile.SoundFileError | None]:
    """Read to the end or the first error; memory follows what is there, not what a header claims."""
    channels = sound.channels
    block = np.empty((min(BLOCK_FRAMES, max(1, claimed)), channels), np.float32)
    likely = max(BLOCK_FRAMES, size * _SAMPLES_A_BYTE // channels)
    samples = np.empty((channels, min(claimed, likely)), np.float32)
    position, failure = 0, None
    while position < claimed and failure is None:
        try:
            count = len(sound.read(len(block), out=block))
        except soundfile.SoundFileError as error:
            failure = error
            count = _count_before_error(sound, position, len(block))
        if count == 0:
            break
        if (position + count) * channels > MAX_SAMPLES:
            raise LaennecError(f"{name}: longer than {MAX_SAMPLES:,} samples; cut it into shorter files")
        if position + count > samples.shape[1]:
            more = np.empty((channels, min(claimed - samples.shape[1], samples.shape[1])), np.float32)
            samples = np.concatenate([samples, more], axis=1)
        samples[:, position : position + count] = block[:count].T
        position += count
    if position < samples.shape[1]:
        samples = samples[:, :position].copy()
    return samples, failure


def _count_before_error(sound: soundfile.SoundFile, position: int, limit: int) -> int:
    """Frames that libsndfile had decoded of a block when it failed."""
    try:
        return min(max(0, sound.tell() - position), limit)
    except soundfile.SoundFileError:
        return 0
