"""Decoding: a recording block by block, in constant memory; what is short is kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import soundfile

from laennec.audio.containers import UNKNOWN_LENGTH, missing_audio, open_sound
from laennec.audio.quality import Finding
from laennec.audio.riff import read_riff
from laennec.audio.samples import BLOCK_LENGTH, Array, check_layout, counted
from laennec.audio.source import Input, Origin
from laennec.audio.survey import Survey, survey_block_length
from laennec.errors import LaennecError

MAX_SAMPLES = 2**30  # 4 GiB as float32, 37 h at 8 kHz; stops a small file that decodes to far too much
KEPT_SAMPLES = 2**23  # 32 MiB as float32: 3 minutes at 44.1 kHz, 17 at 8 kHz; what is longer is decoded anew
_SAMPLES_A_BYTE = 64  # more than speech codecs reach; a header that promises more is not believed at once


class Decoder:
    """One pass over a sound file, from its header to its end or its first error.

    `length` is the samples of each channel decoded so far, `claimed_length` those that the header promises:
    `UNKNOWN_LENGTH` or more if it does not say.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.name, self.length = name, 0
        self._source = Input(stream)
        if self._source.size == 0:
            raise LaennecError(f"{name}: empty, the file has 0 bytes")
        self._riff = read_riff(self._source)
        self.repairs = self._riff.repairs() if self._riff else []
        self._failure: soundfile.SoundFileError | None = None
        self._sound = open_sound(self._source, self._riff, self.repairs, name)
        self.sample_rate, self.channels = int(self._sound.samplerate), int(self._sound.channels)
        is_known = self._source.stated_size == self._source.size
        self.claimed_length = int(self._sound.frames) if is_known else UNKNOWN_LENGTH
        check_layout(self.sample_rate, self.channels, name)

    @property
    def likely_length(self) -> int:
        """Samples of each channel to expect, at most as many as a file of this size may hold."""
        believable = max(BLOCK_LENGTH, self._source.size * _SAMPLES_A_BYTE // self.channels)
        return min(self.claimed_length, believable)

    def blocks(self, block_length: int, most: int | None = None) -> Iterator[Array]:
        """Yield ``(channels, block_length)`` float32, the last one shorter; `most` samples in all."""
        end = self.claimed_length if most is None else min(most, self.claimed_length)
        while self.length < end and self._failure is None:
            block = self._decoded(min(block_length, end - self.length))
            if not len(block):
                break
            self.length += len(block)
            yield np.ascontiguousarray(block.T)
        if self._source.errors:
            reason = self._source.errors[0].strerror or self._source.errors[0]
            raise LaennecError(f"{self.name}: cannot be read: {reason}")

    def _decoded(self, length: int) -> Array:
        """The next ``(length, channels)``; fewer where the sound ends, or cannot be decoded further."""
        block = np.empty((length, self.channels), np.float32)
        filled = 0
        while filled < length and self._failure is None:
            try:
                count = len(self._sound.read(length - filled, out=block[filled:]))
            except soundfile.SoundFileError as error:
                self._failure = error
                count = self._count_before_error(self.length + filled, length - filled)
            if count == 0:
                break
            filled += count
        return block[:filled]

    def _count_before_error(self, position: int, limit: int) -> int:
        """Samples of each channel that libsndfile had decoded of a block when it failed."""
        try:
            return min(max(0, int(self._sound.tell()) - position), limit)
        except soundfile.SoundFileError:
            return 0

    def warnings(self) -> list[Finding]:
        """Name what the file promises and does not hold, and what was not read; after the last block."""
        truncated = missing_audio(
            self._source, self._riff, self.length, self.claimed_length, self.sample_rate, self._failure
        )
        if self.length == 0:
            why = f" ({truncated})" if truncated else ""
            raise LaennecError(f"{self.name}: empty, it holds no samples{why}")
        warnings = [truncated] if truncated else []
        if self._riff and self._riff.unread:
            unread = f"{counted(self._riff.unread, 'byte')} after the audio belong to no chunk: not read"
            warnings.append(Finding("unread", unread))
        return warnings

    def close(self) -> None:
        self._sound.close()


@contextmanager
def decoding(origin: Origin) -> Iterator[Decoder]:
    """Open a sound file for one pass over it."""
    with origin.opened() as stream:
        decoder = Decoder(stream, origin.name)
        try:
            yield decoder
        finally:
            decoder.close()


def decode(decoder: Decoder, survey: Survey) -> Array | None:
    """Decode and survey a recording to its end; return its samples if they are few enough to be kept."""
    channels, keepable = decoder.channels, min(KEPT_SAMPLES, MAX_SAMPLES) // decoder.channels
    expected = decoder.likely_length
    surely_long = expected > keepable and decoder.claimed_length < UNKNOWN_LENGTH
    samples = None if surely_long else np.empty((channels, min(expected, keepable)), np.float32)
    for block in decoder.blocks(survey_block_length(decoder.sample_rate)):
        if samples is not None and decoder.length > keepable:
            samples = None
        if samples is not None:
            if decoder.length > samples.shape[1]:
                more = min(samples.shape[1], keepable - samples.shape[1])
                samples = np.concatenate([samples, np.empty((channels, more), np.float32)], axis=1)
            kept = samples[:, survey.length : decoder.length]
            kept[:] = block
            block = kept
        survey.add(block)
    if samples is not None and survey.length < samples.shape[1]:
        samples = samples[:, : survey.length].copy()
    return samples
