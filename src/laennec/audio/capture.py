"""Sound that is still coming: kept on the disk as it comes, and read from a pipe."""

import io
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from laennec.audio.samples import Array, check_layout
from laennec.errors import LaennecError

MOST_CHANNELS = 8  # of a FLAC file
HIGHEST = 1 - 2.0**-23  # of 24 bits; a full scale of 1 would turn over
SAVED_S = 5.0  # after which the system is told to write: what a power cut may cost
LONGEST_HEAD = 2**20  # bytes of a WAV file before its sound
UNKNOWN_BYTES = 0x7FFF0000  # what a header promises that was written before the sound: this or more, or 0
READ_BYTES = 2**16
FLOOR_DB = -120.0
CODINGS = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")


class Capture:
    """A FLAC file of 24 bits that grows while the sound comes. Its methods may be called from any thread.

    It is a sound file at any time: where the process is killed, it lacks half a second at most.
    """

    def __init__(self, path: Path, sample_rate: int, channels: int = 1) -> None:
        check_layout(sample_rate, channels, path.name)
        if channels > MOST_CHANNELS:
            raise LaennecError(f"{path.name}: {channels} channels; a FLAC file has up to {MOST_CHANNELS}")
        self.path, self.sample_rate, self.channels, self.length = path, sample_rate, channels, 0
        self._lock = threading.Lock()
        self._unsaved = 0
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            self._handle = os.open(path, flags, 0o666)
        except OSError as error:
            raise LaennecError(f"{path}: cannot be written ({error.strerror or error})") from error
        self._sound: soundfile.SoundFile | None = soundfile.SoundFile(
            self._handle, "w", sample_rate, channels, "PCM_24", format="FLAC", closefd=False
        )

    def add(self, block: Array) -> Array:
        """Write ``(channels, samples)`` and return them as they were kept; nothing after `close`."""
        kept = np.clip(np.nan_to_num(block), -1.0, HIGHEST).astype(np.float32)
        with self._lock:
            if self._sound is None:
                return kept[:, :0]
            try:
                self._sound.write(kept.T)
                self.length += kept.shape[1]
                self._unsaved += kept.shape[1]
                if self._unsaved >= SAVED_S * self.sample_rate:
                    self._unsaved = 0
                    os.fsync(self._handle)
            except (OSError, soundfile.SoundFileError) as error:
                raise LaennecError(
                    f"{self.path}: cannot be written any more, is the disk full? What came is kept"
                ) from error
        return kept

    @property
    def duration_s(self) -> float:
        """Seconds that were written."""
        return self.length / self.sample_rate

    def close(self) -> None:
        """Complete the file; once more does nothing. LaennecError where that cannot be written."""
        with self._lock:
            sound, self._sound = self._sound, None
            if sound is None:
                return
            try:
                sound.close()
                os.fsync(self._handle)
            except (OSError, soundfile.SoundFileError) as error:
                raise LaennecError(f"{self.path}: its end cannot be written, is the disk full?") from error
            finally:
                os.close(self._handle)


def levels_db(block: Array) -> tuple[float, float]:
    """Mean and peak of ``(channels, samples)`` in dB of full scale; `FLOOR_DB` for silence and less."""
    if not block.size:
        return FLOOR_DB, FLOOR_DB
    power, peak = float(np.mean(np.square(block, dtype=np.float64))), float(np.abs(block).max())
    floor = 10 ** (FLOOR_DB / 20)
    return 10 * float(np.log10(max(power, floor**2))), 20 * float(np.log10(max(peak, floor)))


class PipedSound:
    """Sound from a pipe as it comes: WAV, or else raw samples of 16 bits, one channel, little-endian.

    `sample_rate` (Hz) is that of raw samples; a WAV file says its own. LaennecError if it cannot be read.
    """

    def __init__(self, stream: BinaryIO, sample_rate: int | None = None) -> None:
        self._stream, self.sample_rate = stream, sample_rate or 0
        start = self._exactly(12)
        if not start:
            raise LaennecError("-: no sound came, standard input is empty; does the program before it run?")
        self._coding, self.channels, self._rest, self._begun = "PCM_16", 1, -1, start
        if start[:4] == b"RIFF" and start[8:] == b"WAVE":
            self._read_head(start)
            if sample_rate is not None and sample_rate != self.sample_rate:
                raise LaennecError(
                    f"-: its header says {self.sample_rate} Hz, not {sample_rate}; leave out --rate"
                )
        elif sample_rate is None:
            raise LaennecError("-: no WAV header; of raw 16-bit samples, name the sample rate: --rate 8000")
        check_layout(self.sample_rate, self.channels, "-")

    def _exactly(self, count: int) -> bytes:
        """So many bytes, fewer at the end."""
        read = b""
        while len(read) < count and (more := self._stream.read(count - len(read))):
            read += more
        return read

    def _read_head(self, start: bytes) -> None:
        head = start
        while True:
            chunk = self._exactly(8)
            head += chunk
            if len(chunk) < 8:
                raise LaennecError("-: the WAV header breaks off")
            (size,) = struct.unpack("<I", chunk[4:])
            if chunk[:4] == b"data":
                break
            if len(head) + size > LONGEST_HEAD:
                raise LaennecError("-: no sound in the first MiB of the WAV file")
            head += self._exactly(size + size % 2)
        told = struct.pack("<I", len(head) - 8 + 64)  # a header that promises what follows here
        empty = head[:4] + told + head[8:-4] + struct.pack("<I", 64) + bytes(64)
        try:
            facts = soundfile.info(io.BytesIO(empty))
        except soundfile.SoundFileError as error:
            raise LaennecError("-: its WAV header cannot be read") from error
        if facts.subtype not in CODINGS:
            raise LaennecError(f"-: a WAV file of {facts.subtype_info}; send PCM or floats")
        self._coding, self.channels, self.sample_rate = facts.subtype, facts.channels, facts.samplerate
        self._begun, self._rest = b"", size if 0 < size < UNKNOWN_BYTES else -1

    def blocks(self) -> Iterator[Array]:
        """Yield ``(channels, samples)`` float32 as they come, to the end of the pipe."""
        width = len(self._encoded(np.zeros((1, self.channels), np.float32)))
        held, rest = self._begun, self._rest
        while True:
            whole = len(held) // width * width
            if whole:
                yield self._decoded(held[:whole])
            more = self._stream.read1(READ_BYTES) if rest else b""  # type: ignore[attr-defined]
            if rest > 0:
                more = more[:rest]
                rest -= len(more)
            if not more:
                return
            held = held[whole:] + more

    def _decoded(self, data: bytes) -> Array:
        samples, _ = soundfile.read(
            io.BytesIO(data), dtype="float32", always_2d=True, samplerate=self.sample_rate,
            channels=self.channels, subtype=self._coding, format="RAW", endian="LITTLE",
        )  # fmt: skip
        return np.ascontiguousarray(samples.T)

    def _encoded(self, samples: Array) -> bytes:
        target = io.BytesIO()
        soundfile.write(target, samples, self.sample_rate, self._coding, format="RAW", endian="LITTLE")
        return target.getvalue()
