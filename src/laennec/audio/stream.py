"""Decoding: a recording block by block, in constant memory; what is short is kept."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import soundfile

from laennec.audio.containers import error_reason, open_sound, read_riff
from laennec.audio.media import UNKNOWN_LENGTH
from laennec.audio.quality import Finding, Survey, survey_block_length
from laennec.audio.samples import BLOCK_LENGTH, BLOCK_SAMPLES, Array, check_layout, counted
from laennec.audio.sizes import (
    bytes_after,
    bytes_not_decoded,
    declared_size,
    dump_samples,
    misleads,
    ogg_lacks_end,
)
from laennec.audio.source import Input, Origin, locate
from laennec.errors import LaennecError
from laennec.signals import deferred

MAX_SAMPLES = 2**28  # 1 GiB as float32, 9 h at 8 kHz; stops a small file that decodes to far too much
KEPT_SAMPLES = 2**23  # 32 MiB as float32: 3 minutes at 44.1 kHz, 17 at 8 kHz; what is longer is decoded anew
_SAMPLES_A_BYTE = 64  # more than speech codecs reach; a header that promises more is not believed at once


class Decoder:
    """One pass over a sound file, from its header to its end or its first error.

    `length` is the samples of each channel decoded so far, `claimed_length` those that the header promises:
    `UNKNOWN_LENGTH` or more if it does not say.
    """

    def __init__(self, stream: BinaryIO, name: str, any_layout: bool = False) -> None:
        self.name, self.length = name, 0
        self._source = Input(stream)
        if self._source.size == 0:
            raise LaennecError(f"{name}: empty, the file has 0 bytes")
        self._riff = read_riff(self._source)
        end = declared_size(self._source)
        self._unread = self._riff.unread if self._riff else bytes_after(self._source, end)
        if self._unread and self._riff:
            end = self._source.size - self._unread
        if self._unread and misleads(self._source, end):
            self._source.end_at(end)
        self.repairs = self._riff.repairs() if self._riff else []
        self._failure: soundfile.SoundFileError | None = None
        of_dump = dump_samples(self._source)
        if of_dump == 0:
            raise LaennecError(f"{name}: begins as a MIDI sample dump (SDS) but is truncated or damaged")
        with deferred():
            self._sound = open_sound(self._source, self._riff, self.repairs, name)
        self.sample_rate, self.channels = int(self._sound.samplerate), int(self._sound.channels)
        is_known = self._source.stated_size == self._source.size
        self.claimed_length = int(self._sound.frames) if is_known else UNKNOWN_LENGTH
        self._end = self.claimed_length if of_dump is None else min(self.claimed_length, of_dump)
        self.coding = str(self._sound.subtype)
        if not any_layout or self.sample_rate < 1:
            check_layout(self.sample_rate, self.channels, name)

    def blocks(self, block_length: int | None = None, most: int | None = None) -> Iterator[Array]:
        """Yield ``(channels, block_length)`` float32, the last one shorter; `most` samples in all."""
        block_length = block_length or max(1, min(BLOCK_LENGTH, BLOCK_SAMPLES // self.channels))
        end = self._end if most is None else min(most, self._end)
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
            rest = block[filled:]
            rest[:] = np.nan
            try:
                with deferred():
                    count = len(self._sound.read(len(rest), out=rest))
            except soundfile.SoundFileError as error:
                self._failure = error
                # What was decoded before the error has been written already.
                written = ~np.isnan(rest).any(axis=1)
                count = len(rest) if written.all() else int(written.argmin())
            if count == 0:
                break
            filled += count
        return block[:filled]

    def warnings(self) -> list[Finding]:
        """Name what the file promises and does not hold, and what was not read; after the last block."""
        truncated = self._truncation()
        if self.length == 0:
            why = f" ({truncated})" if truncated else ""
            raise LaennecError(f"{self.name}: empty, it holds no samples{why}")
        warnings = [truncated] if truncated else []
        if self._sound.format in ("FLAC", "OGG", "MP3") and not truncated:
            self._unread = bytes_not_decoded(self._source)
        if self._unread:
            whose = "belong to no chunk" if self._riff else "are not part of it"
            unread = f"{counted(self._unread, 'byte')} after the audio {whose}: not read"
            warnings.append(Finding("unread", unread))
        return warnings

    @property
    def _room(self) -> int:
        """Samples of each channel that a file of this size can hold; a header may promise more."""
        return max(BLOCK_LENGTH, self._source.size * _SAMPLES_A_BYTE // self.channels)

    def total_length(self) -> int:
        """Samples of each channel: as the header says, or decoded where it does not or cannot be believed."""
        if 0 < self._end <= self._room:
            return self._end
        for _ in self.blocks():
            pass
        return self.length

    def _truncation(self) -> Finding | None:
        """Name what the file promises and does not hold."""
        riff, claimed, held_bytes = self._riff, self.claimed_length, self._source.size
        if riff and riff.missing:
            promised = f"the header promises {riff.data_bytes:,} bytes of audio"
            message = f"truncated: {promised}, the file holds {riff.data_present:,}"
            return Finding("truncated", message, riff.missing / riff.data_bytes)
        lasts = f"{self.length / self.sample_rate:.3f} s"
        if self.length < getattr(self._sound, "promised", 0):
            claimed = self._sound.promised
        known = claimed < UNKNOWN_LENGTH
        if self._failure is not None or (known and self.length < claimed):
            promised = f" of {claimed / self.sample_rate:.3f} s promised" if known else ""
            why = f" ({error_reason(self._failure)})" if self._failure else ""
            share = 1 - self.length / claimed if known and claimed else None
            return Finding("truncated", f"truncated or damaged: decoded {lasts}{promised}{why}", share)
        declared = declared_size(self._source)
        if declared > held_bytes + 1:  # a missing pad byte is no loss
            held = f"the header promises {declared:,} bytes, the file holds {held_bytes:,}"
            return Finding("truncated", f"truncated: {held}", 1 - held_bytes / declared)
        if ogg_lacks_end(self._source):
            return Finding("truncated", f"truncated: the Ogg stream breaks off after {lasts}")
        return None

    def survey(self) -> tuple[Survey, Array | None]:
        """Decode to the end; return what was seen, and the samples if they are few enough to be kept."""
        survey = Survey(self.channels, self.sample_rate, self.coding)
        keepable = min(KEPT_SAMPLES, MAX_SAMPLES) // self.channels
        surely_long = self.claimed_length < UNKNOWN_LENGTH and keepable < min(self.claimed_length, self._room)
        kept: list[Array] | None = None if surely_long else []
        for block in self.blocks(survey_block_length(self.sample_rate)):
            survey.add(block)
            if self.length > keepable:
                kept = None
            elif kept is not None:
                kept.append(block)
        return survey, np.concatenate(kept, axis=1) if kept else None


@contextmanager
def decoding(origin: Origin, any_layout: bool = False) -> Iterator[Decoder]:
    """Open a sound file for one pass over it; with `any_layout`, at any rate and channels."""
    with origin.opened() as stream:
        decoder = Decoder(stream, origin.name, any_layout)
        with decoder._sound:
            yield decoder


def read_signal(path: str | os.PathLike[str]) -> tuple[Array, int]:
    """``(channels, samples)`` float32 and sample rate of any signal in a sound file, such as an airflow.

    LaennecError if it cannot be read, or is too long.
    """
    with decoding(locate(path), any_layout=True) as decoder:
        blocks = []
        for block in decoder.blocks():
            blocks.append(block)
            if decoder.length * decoder.channels > MAX_SAMPLES:
                raise LaennecError(
                    f"{decoder.name}: longer than {MAX_SAMPLES:,} samples, the most that is read whole"
                )
        decoder.warnings()
        return np.concatenate(blocks, axis=1), decoder.sample_rate
