"""Decoded sound, kept on disk: what tiles, waveforms and the player read, in any part and at once.

Each recording is decoded once, block by block, into a folder of the cache: one WAV per channel (16 bit, at
most 16 kHz, peak -3 dBFS), the extremes of each 256 samples, and the facts. The folder appears whole or not
at all. Its name comes from the path, size and time of the recording, so that a changed file is decoded anew.
The cache is bounded; what was not used for longest goes first.
"""

import contextlib
import hashlib
import json
import os
import shutil
import threading
import wave
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from laennec.audio.recording import Recording
from laennec.errors import LaennecError
from laennec.files import is_running, make_folder, write_json
from laennec.output.html import PEAK
from laennec.output.tiles import Pyramid
from laennec.web.wrong import WrongValueError

Int16 = npt.NDArray[np.int16]


class CacheError(LaennecError):
    """Decoded sound cannot be kept: the disk is full, or cannot be written."""

    status = 507


FOLDER = ".laennec-cache"  # in the folder of recordings, so that whoever deletes that deletes both
FORMAT = 1  # of what lies in the cache; another one is decoded anew
RATE = 16_000  # Hz, at most: has all that a stethoscope passes
HEADER_BYTES = 44  # of a WAV file with PCM
PEAK_LENGTH = 256  # samples that one pair of extremes stands for
MOST_BYTES = 8 * 2**30  # of the cache: two days of sound
OPEN = 64  # recordings whose files are kept mapped
MOST_COLUMNS = 8192  # of a waveform


@dataclass(frozen=True, eq=False)
class Sound:
    """A decoded recording in the cache.

    Attributes
    ----------
    folder : Path
        Where its files are.
    rate, length : int
        Samples a second, and samples of each channel.
    gains_db : tuple of float
        By which each channel was amplified; 0 for a silent one.
    """

    folder: Path
    rate: int
    length: int
    gains_db: tuple[float, ...]
    _references: dict[tuple[int, int], float] = field(default_factory=dict, repr=False)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.length / self.rate

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.gains_db)

    @property
    def version(self) -> str:
        """What changes when the recording does; part of a tile's address, so that browsers may keep it."""
        return self.folder.name[:12]

    def wav(self, channel: int) -> Path:
        """Return the file of a channel; LaennecError where there is no such channel."""
        if not 0 <= channel < self.channels:
            raise LaennecError(f"no channel {channel}: this recording has channels 0 to {self.channels - 1}")
        return self.folder / f"channel-{channel}.wav"

    def samples(self, channel: int) -> Int16:
        """Return a channel's samples, mapped, not read."""
        return np.memmap(self.wav(channel), np.int16, "r", HEADER_BYTES, (self.length,))

    def pyramid(self, window_ms: int) -> Pyramid:
        """Return the layout of the spectrogram's tiles."""
        return Pyramid(self.length, self.rate, window_ms)

    def reference_db(self, channel: int, window_ms: int) -> float:
        """Return the level that the tiles of a channel are relative to."""
        key = (channel, window_ms)
        if key not in self._references:
            self._references[key] = self.pyramid(window_ms).reference_db(self.samples(channel))
        return self._references[key]

    def tile(self, channel: int, window_ms: int, level: int, index: int) -> bytes:
        """Return a tile of the spectrogram as a PNG file."""
        reference_db = self.reference_db(channel, window_ms)
        return self.pyramid(window_ms).tile_png(self.samples(channel), level, index, reference_db)

    def waveform(self, channel: int, start_s: float, end_s: float, columns: int) -> bytes:
        """Return the least and the greatest sample of each column as pairs of int8, 127 for full scale."""
        columns = max(1, min(columns, MOST_COLUMNS))
        start, end = max(0.0, start_s) * self.rate, min(self.duration_s, end_s) * self.rate
        if not end - start >= 1:
            raise WrongValueError("the waveform needs a start before its end, both within the recording")
        values: npt.NDArray[Any] = self.samples(channel)
        unit = 1
        if (end - start) / columns >= 4 * PEAK_LENGTH:
            values, unit = np.load(self.folder / f"channel-{channel}.peaks.npy", mmap_mode="r"), PEAK_LENGTH
        low, high = _columns(values, np.linspace(start / unit, end / unit, columns + 1))
        pairs = np.stack([low, high], axis=1).astype(np.float32) * (127 / 2**15)
        return bytes(np.rint(pairs).astype(np.int8))


def _columns(values: npt.NDArray[Any], edges: npt.NDArray[np.float64]) -> tuple[Int16, Int16]:
    """Return the extremes of samples, ``(n,)``, or of pairs of extremes, ``(n, 2)``, between edges."""
    starts = np.minimum(edges[:-1].astype(int), len(values) - 1)
    last = min(len(values), int(np.ceil(edges[-1])))
    part = values[starts[0] : max(last, starts[-1] + 1)]
    least, most = (part, part) if part.ndim == 1 else (part[:, 0], part[:, 1])
    return np.minimum.reduceat(least, starts - starts[0]), np.maximum.reduceat(most, starts - starts[0])


def prepare(path: str, folder: str) -> None:
    """Decode a recording into a folder of the cache, in constant memory, whole or not at all.

    Runs in the worker process, since a damaged file can hang or crash a decoder. LaennecError if the
    recording cannot be read, CacheError if the folder cannot be written.
    """
    with _folder_written_whole(Path(folder)) as temporary:
        recording = Recording.open(path)
        rate = min(recording.sample_rate, RATE)
        peaks = np.zeros(recording.channels)
        for block in recording.blocks():
            peaks = np.maximum(peaks, np.abs(block).max(axis=1))
        gains = np.where(peaks > 0, PEAK / np.maximum(peaks, 1e-9), 1.0)
        length = _write_channels(recording, rate, gains, temporary)
        for channel in range(recording.channels):
            _write_extremes(temporary, channel, length)
        facts = {"rate": rate, "length": length, "gains_db": (20 * np.log10(gains)).round(3).tolist()}
        write_json(temporary / "facts.json", facts)


def _write_channels(recording: Recording, rate: int, gains: npt.NDArray[Any], folder: Path) -> int:
    """Write a WAV per channel; return the samples of each."""
    length = 0
    with contextlib.ExitStack() as files:
        writers = [
            files.enter_context(wave.open(str(folder / f"channel-{channel}.wav"), "wb"))
            for channel in range(recording.channels)
        ]
        for writer in writers:
            writer.setnchannels(1)
            writer.setsampwidth(2)
            writer.setframerate(rate)
        for block in recording.blocks(rate):
            scaled = np.clip(np.rint(block * (gains[:, None] * 2**15)), -(2**15), 2**15 - 1).astype("<i2")
            for writer, row in zip(writers, scaled, strict=True):
                writer.writeframesraw(row.tobytes())
            length += scaled.shape[1]
    return length


def _write_extremes(folder: Path, channel: int, length: int) -> None:
    """Write the least and greatest of each `PEAK_LENGTH` samples."""
    samples = np.memmap(folder / f"channel-{channel}.wav", np.int16, "r", HEADER_BYTES, (length,))
    at_once = PEAK_LENGTH * 4096
    parts = []
    for first in range(0, length, at_once):
        part = samples[first : first + at_once]
        starts = np.arange(0, part.size, PEAK_LENGTH)
        parts.append(np.stack([np.minimum.reduceat(part, starts), np.maximum.reduceat(part, starts)], axis=1))
    np.save(folder / f"channel-{channel}.peaks.npy", np.concatenate(parts))


@contextmanager
def _folder_written_whole(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `folder`, which takes its place if the block ends without an error."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        make_folder(temporary)
        yield temporary
        if not folder.is_dir():
            os.replace(temporary, folder)
    except OSError as error:
        raise CacheError(
            f"the decoded sound cannot be kept ({error.strerror}); make room on the disk, and try again"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


Prepare = Callable[[str, str], None]


class Sounds:
    """The cache of decoded recordings; its methods may be called from any thread."""

    def __init__(self, folder: Path, run: Prepare = prepare, most_bytes: int = MOST_BYTES) -> None:
        self.folder, self._run, self._most_bytes = folder, run, most_bytes
        self._open: OrderedDict[str, Sound] = OrderedDict()
        self._lock = threading.Lock()
        self._under_way: dict[str, threading.Lock] = {}

    def folder_of(self, path: Path) -> Path:
        """Return where a recording's sound is or will be; LaennecError where its file is gone."""
        try:
            found = path.stat()
        except OSError as error:
            raise LaennecError(f"{path.name}: cannot be read ({error.strerror})") from error
        named = f"{FORMAT}\n{path}\n{found.st_size}\n{found.st_mtime_ns}".encode(errors="surrogateescape")
        return self.folder / hashlib.sha256(named).hexdigest()[:32]

    def of(self, path: Path) -> Sound:
        """Return a recording's sound, decoded if need be; LaennecError where it cannot be read."""
        key = self.folder_of(path).name
        with self._lock:
            sound = self._open.get(key)
            lock = self._under_way.setdefault(key, threading.Lock())
        if sound is None or not sound.folder.is_dir():
            with lock:  # two requests for one recording decode it once
                sound = self._opened(self.folder / key, path)
        with self._lock:
            self._under_way.pop(key, None)
            self._open[key] = sound
            self._open.move_to_end(key)
            while len(self._open) > OPEN:
                self._open.popitem(last=False)
        return sound

    def _opened(self, folder: Path, path: Path) -> Sound:
        if not (folder / "facts.json").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            self._run(str(path), str(folder))
            self.trim(keep=folder)
        facts = json.loads((folder / "facts.json").read_text())
        os.utime(folder)  # its turn to be removed is after those used before
        return Sound(folder, facts["rate"], facts["length"], tuple(facts["gains_db"]))

    def trim(self, keep: Path | None = None) -> None:
        """Remove what killed processes left, and then what was not used for longest."""
        kept = []
        for folder in self.folder.iterdir():
            process = folder.name.removesuffix(".tmp").rpartition(".")[2]
            if not folder.name.endswith(".tmp"):
                kept.append(folder)
            elif process.isdigit() and not is_running(int(process)):
                shutil.rmtree(folder, ignore_errors=True)
        sizes = {folder: sum(file.stat().st_size for file in folder.iterdir()) for folder in kept}
        excess = sum(sizes.values()) - self._most_bytes
        for folder in sorted(kept, key=lambda folder: folder.stat().st_mtime):
            if excess > 0 and folder != keep:
                shutil.rmtree(folder, ignore_errors=True)
                excess -= sizes[folder]
