"""A recording in memory, and what was noticed while reading it."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from laennec.audio.containers import Source, opened
from laennec.audio.quality import Finding, quality
from laennec.audio.samples import (
    Array,
    as_float32,
    check_layout,
    counted,
    mend_non_finite,
    mend_scale,
    resample,
)
from laennec.audio.stream import decode, open_stream
from laennec.errors import LaennecError


@dataclass(frozen=True, eq=False)
class Recording:
    """Sound as it was recorded, and what was found out about it while reading.

    Attributes
    ----------
    samples : numpy.ndarray
        ``(channels, samples)`` float32 in [-1, 1]. A resampled recording may overshoot a little.
    sample_rate : int
        Hz, 4,000 to 192,000.
    name : str
        File name without folder, or what the caller called it.
    repairs : tuple of str
        What was mended in order to read it; empty for a sound file.
    warnings : tuple of Finding
        What is wrong with it and was left alone.
    """

    samples: Array
    sample_rate: int
    name: str = "recording"
    repairs: tuple[str, ...] = ()
    warnings: tuple[Finding, ...] = ()

    @property
    def channels(self) -> int:
        """Number of channels, 1 to 64."""
        return int(self.samples.shape[0])

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return float(self.samples.shape[1] / self.sample_rate)

    @classmethod
    def read(cls, source: Source, name: str | None = None, first_s: float | None = None) -> "Recording":
        """Read a recording from a path, from bytes, or from an open binary file.

        Parameters
        ----------
        source : str, os.PathLike, bytes or binary file
            WAV (malformed headers included), FLAC, OGG, MP3 and whatever else libsndfile reads. The content
            decides, never the file name. An open file is read from where it stands to its end.
        name : str, optional
            What to call it in messages and reports; by default the file name, or "recording".
        first_s : float, optional
            Read this much of its beginning only; what it lacks further on is then not noticed.

        Raises
        ------
        LaennecError
            If it cannot be read, is not audio, holds no samples or mostly non-finite ones, has a sample rate
            outside 4 to 192 kHz or more than 64 channels, or is longer than 2**30 samples.
        """
        if first_s is not None:
            return _beginning(source, name, first_s)
        with opened(source, name) as (stream, called):
            try:
                return checked_recording(*decode(stream, called))
            except MemoryError as error:
                raise LaennecError(f"{called}: too long for the memory of this computer") from error

    @classmethod
    def from_array(cls, samples: npt.ArrayLike, sample_rate: int, name: str = "recording") -> "Recording":
        """Make a recording of samples already in memory, with the same checks as a file gets.

        Parameters
        ----------
        samples : array_like
            ``(samples,)`` or ``(channels, samples)``. Floats have full scale 1. int16 and int32 are divided
            by their full scale (2**15, 2**31), as they are in a file; uint8 is centred on 128.
        sample_rate : int
            Hz, 4,000 to 192,000.
        name : str
            What to call it in messages and reports.

        Raises
        ------
        LaennecError
            If the array has no samples, another type or another shape, or for the reasons given at `read`.
        """
        array = np.asarray(samples)
        if array.ndim not in (1, 2):
            raise LaennecError(
                f"{name}: expected samples of shape (samples,) or (channels, samples), got {array.shape}"
            )
        if isinstance(sample_rate, bool) or not isinstance(sample_rate, int | np.integer):
            raise LaennecError(f"{name}: the sample rate must be a whole number of Hz, got {sample_rate!r}")
        check_layout(int(sample_rate), 1 if array.ndim == 1 else array.shape[0], name)
        if array.size == 0:
            raise LaennecError(f"{name}: empty, it holds no samples")
        return checked_recording(np.atleast_2d(as_float32(array, name)), int(sample_rate), name, [], [])

    def resampled(self, sample_rate: int) -> "Recording":
        """Return the recording at another sample rate (Hz); itself where the rate is already that."""
        if sample_rate == self.sample_rate:
            return self
        return replace(
            self, samples=resample(self.samples, self.sample_rate, sample_rate), sample_rate=sample_rate
        )

    def mono(self) -> "Recording":
        """Return the mean of the channels as one channel; itself where there is only one."""
        if self.channels == 1:
            return self
        return replace(self, samples=self.samples.mean(axis=0, keepdims=True, dtype=np.float32))

    def channel(self, index: int) -> "Recording":
        """Return one channel, counted from 0, with the warnings that concern it."""
        if not 0 <= index < self.channels:
            raise LaennecError(f"{self.name}: no channel {index}, it has {counted(self.channels, 'channel')}")
        warnings = tuple(w for w in self.warnings if w.channel in (None, index))
        return replace(self, samples=self.samples[index : index + 1], warnings=warnings)


def _beginning(source: Source, name: str | None, first_s: float) -> Recording:
    """The first seconds of a recording as one."""
    with open_stream(source, name) as stream:
        wanted = max(1, round(first_s * stream.sample_rate))
        blocks: list[Array] = []
        for block in stream.blocks():
            blocks.append(block)
            if sum(part.shape[1] for part in blocks) >= wanted:
                break
        if not blocks:
            raise LaennecError(f"{stream.name}: empty, it holds no samples")
        samples = np.concatenate(blocks, axis=1)[:, :wanted]
        return checked_recording(samples, stream.sample_rate, stream.name, list(stream.repairs), [])


def checked_recording(
    samples: Array, sample_rate: int, name: str, repairs: list[str], warnings: list[Finding]
) -> Recording:
    """Mend non-finite and too large samples in place, look at the quality, make the recording."""
    repairs = repairs + mend_non_finite(samples, name) + mend_scale(samples)
    return Recording(
        samples, sample_rate, name, tuple(repairs), tuple(warnings) + quality(samples, sample_rate)
    )
