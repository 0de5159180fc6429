"""A recording: sound as a stream of blocks, or in memory, and what is wrong with it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from laennec.audio import stream
from laennec.audio.level import INTEGER_CODINGS, SILENT_STEPS, STEP_16_BIT
from laennec.audio.quality import Finding, Survey, survey_block_length
from laennec.audio.samples import (
    BLOCK_SAMPLES,
    Array,
    as_float32,
    check_layout,
    counted,
    divide_by_peak,
    mixed,
    no_samples_left,
    non_finite_repairs,
    resample,
    resample_blocks,
    set_non_finite_to_zero,
)
from laennec.audio.source import Origin, Source, locate
from laennec.errors import LaennecError


@dataclass(frozen=True, eq=False)
class Recording:
    """Sound as it was recorded, and what was noticed in one pass over it.

    A recording is a stream of `blocks`; `samples` is all of them laid end to end. A short one is in memory, a
    long one is decoded again whenever its blocks are asked for. Nothing else depends on the length.

    Attributes
    ----------
    sample_rate, channels, length : int
        Hz, 4,000 to 192,000; 1 to 64; samples of each channel.
    name : str
        File name without folder, or what the caller called it.
    repairs : tuple of str
        What was repaired in order to read it; empty for a sound file.
    warnings : tuple of Finding
        What is wrong with it and was left alone.
    twins : dict of int to int
        Each channel that equals an earlier one, and the first such.
    silent_channels : tuple of int
        Channels that are silent from beginning to end.
    path : str or None
        Of the file that it was read from, where it was one.
    step : float
        Between neighbouring values of its format, in full scale: 2**-15 for 16 bits. Floats have the step of
        the grid that their samples lie on, or that of 24 bits with the recording's peak as full scale.
    peak : float
        Largest magnitude of any sample.
    levels : tuple of float
        Of each channel: half the median extent, peak to peak, of its 50 ms parts that are not silent. A few
        knocks do not move it. 0 for a channel that is silent, or shorter than a part.
    """

    sample_rate: int
    channels: int
    length: int
    name: str = "recording"
    repairs: tuple[str, ...] = ()
    warnings: tuple[Finding, ...] = ()
    twins: dict[int, int] = field(default_factory=dict)
    silent_channels: tuple[int, ...] = ()
    path: str | None = None
    step: float = STEP_16_BIT
    peak: float = 0.0
    levels: tuple[float, ...] = ()
    _coding: str = field(default="FLOAT", repr=False)  # as for `Resolution`
    _kept: Array | None = field(default=None, repr=False)
    _origin: Origin | None = field(default=None, repr=False)
    _divisor: float = field(default=1.0, repr=False)  # by which a long recording's samples are divided

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.length / self.sample_rate

    @property
    def silent_range(self) -> float:
        """Extent, peak to peak, up to which a part of it is silence: two steps."""
        return SILENT_STEPS * self.step

    @property
    def in_memory(self) -> bool:
        """Whether all samples are held, so that no file is needed."""
        return self._kept is not None

    @cached_property
    def samples(self) -> Array:
        """``(channels, samples)`` float32 in [-1, 1]; a resampled recording may overshoot a little.

        LaennecError if a long recording has more than 2**28 samples, or more than the memory can hold, or its
        file has changed since it was opened.
        """
        if self._kept is not None:
            return self._kept
        if self.length * self.channels > stream.MAX_SAMPLES:
            limit = f"{stream.MAX_SAMPLES:,} samples"
            raise LaennecError(
                f"{self.name}: longer than {limit}, the most that is read whole; cut it into shorter files"
            )
        try:
            samples = np.empty((self.channels, self.length), np.float32)
        except MemoryError as error:
            raise _too_long(self.name) from error
        position = 0
        for block in self.blocks():
            samples[:, position : position + block.shape[1]] = block
            position += block.shape[1]
        return samples

    def blocks(self, sample_rate: int | None = None, block_s: float = 10.0) -> Iterator[Array]:
        """Yield the sound from its beginning, each time it is asked for, as ``(channels, samples)`` float32.

        The blocks are not to be written to. Laid end to end they are ``samples``, or
        ``resampled(sample_rate).samples``. `sample_rate` (Hz) is the recording's own if not given. Up to
        `block_s` seconds are decoded at a time, and 2**22 samples of all channels together, so blocks at
        another rate may be a little longer or shorter.
        LaennecError if nothing is left at that rate, or the file has changed since the recording was opened.
        """
        wanted = self.sample_rate if sample_rate is None else sample_rate
        if self.length * wanted / self.sample_rate < 0.5:
            raise no_samples_left(self.length, self.sample_rate, wanted)
        most = BLOCK_SAMPLES // self.channels
        length, kept = max(1, min(most, round(block_s * self.sample_rate))), self._kept
        if kept is None:
            own = self._decoded_again(length)
        else:
            own = (kept[:, start : start + length] for start in range(0, kept.shape[1], length))
        return resample_blocks(own, self.sample_rate, wanted)

    def _decoded_again(self, block_length: int) -> Iterator[Array]:
        assert self._origin is not None
        with stream.decoding(self._origin) as decoder:
            for block in decoder.blocks(block_length, self.length):
                set_non_finite_to_zero(block)
                if self._divisor != 1:
                    divide_by_peak(block, self._divisor)
                yield block
            if decoder.length != self.length:
                raise LaennecError(f"{self.name}: has changed while it was read; read it again")

    @classmethod
    def open(cls, source: Source, name: str | None = None) -> "Recording":
        """Open a recording: one pass over it, in constant memory.

        Parameters
        ----------
        source : str, os.PathLike, bytes or binary file
            WAV (malformed headers included), FLAC, OGG, MP3 and whatever else libsndfile reads; with PyAV or
            ffmpeg also M4A and other formats of phones. The content decides, never the file name. An open
            file is read from where it stands to its end.
        name : str, optional
            What to call it in messages and reports; by default the file name, or "recording".

        Raises
        ------
        LaennecError
            If it cannot be read, is not audio, holds no samples or too many non-finite ones, has a sample
            rate outside 4 to 192 kHz or more than 64 channels.
        """
        origin = locate(source, name)
        try:
            with stream.decoding(origin) as decoder:
                survey, kept = decoder.survey()
                warnings = tuple(decoder.warnings())
            return cls(
                decoder.sample_rate,
                decoder.channels,
                decoder.length,
                origin.name,
                tuple(decoder.repairs),
                warnings,
                path=origin.path,
                _coding=decoder.coding,
                _kept=kept,
                _origin=origin if kept is None else None,
            )._judged(survey)
        except MemoryError as error:
            raise _too_long(origin.name) from error

    @classmethod
    def read(cls, source: Source, name: str | None = None, first_s: float | None = None) -> "Recording":
        """Open a recording and read it whole, or only its `beginning`, the first `first_s` seconds.

        `source` and `name` are as for `open`. Repairs and warnings are those of the whole. LaennecError as
        for `open`, and if it is longer than 2**28 samples or the memory.
        """
        recording = cls.open(source, name)
        return recording._holding(recording.samples) if first_s is None else recording.beginning(first_s)

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
        sample_rate = int(sample_rate)
        check_layout(sample_rate, 1 if array.ndim == 1 else array.shape[0], name)
        if array.size == 0:
            raise LaennecError(f"{name}: empty, it holds no samples")
        kept = np.atleast_2d(as_float32(array, name))
        coding = INTEGER_CODINGS.get(array.dtype.name, "FLOAT")
        recording = cls(sample_rate, len(kept), kept.shape[1], name, _coding=coding, _kept=kept)
        return recording._judged(recording._surveyed())

    def _survey_blocks(self) -> Iterator[Array]:
        return self.blocks(block_s=survey_block_length(self.sample_rate) / self.sample_rate)

    def _surveyed(self) -> Survey:
        survey = Survey(self.channels, self.sample_rate, self._coding)
        for block in self._survey_blocks():
            survey.add(block)
        return survey

    def _judged(self, survey: Survey) -> "Recording":
        """Add what the survey shows; a recording above full scale is scaled and surveyed again."""
        recording = self
        repairs = [*self.repairs, *non_finite_repairs(survey.non_finite, survey.length, self.name)]
        if survey.peak > 1:
            repairs.append(f"peak {survey.peak:.6g} is above full scale: all samples divided by it")
            if self._kept is not None:
                divide_by_peak(self._kept, survey.peak)
            recording = replace(self, _divisor=survey.peak)
            survey = recording._surveyed()
        return replace(
            recording,
            repairs=tuple(repairs),
            warnings=(*self.warnings, *survey.findings(recording._survey_blocks)),
            twins=survey.twins,
            step=survey.step,
            peak=survey.peak,
            levels=survey.levels,
            silent_channels=tuple(i for i, share in enumerate(survey.silent_shares()) if share == 1),
        )

    def resampled(self, sample_rate: int) -> "Recording":
        """Return the recording at another sample rate (Hz), in memory; itself if the rate is already that."""
        if sample_rate == self.sample_rate:
            return self
        samples = resample(self.samples, self.sample_rate, sample_rate)
        return replace(self._holding(samples), sample_rate=sample_rate)

    def mono(self) -> "Recording":
        """Return the mean of the channels as one channel; itself where there is only one.

        Where channels cancel each other, as those of opposite phase do, it is the loudest, and a repair.
        """
        if self.channels == 1:
            return self
        mean, loudest = mixed(self.samples)
        if loudest is not None:
            instead = f"the channels cancel each other: channel {loudest}, the loudest, stands for their mean"
            return replace(self.channel(loudest), repairs=(*self.repairs, instead))
        silent = (0,) if len(self.silent_channels) == self.channels else ()
        one = replace(self._holding(mean), twins={}, silent_channels=silent)
        return replace(one, levels=one._surveyed().levels)

    def channel(self, index: int) -> "Recording":
        """Return one channel, counted from 0, with the warnings that concern it."""
        if not 0 <= index < self.channels:
            raise LaennecError(f"{self.name}: no channel {index}, it has {counted(self.channels, 'channel')}")
        one = self._holding(self.samples[index : index + 1])
        warnings = tuple(w for w in self.warnings if w.channel in (None, index))
        silent = (0,) if index in self.silent_channels else ()
        levels = self.levels[index : index + 1]
        return replace(one, warnings=warnings, twins={}, silent_channels=silent, levels=levels)

    def beginning(self, duration_s: float) -> "Recording":
        """Return the first seconds, at least one sample, in memory; repairs and warnings are of the whole."""
        wanted = min(max(1, round(duration_s * self.sample_rate)), self.length)
        begun = self if self.in_memory else replace(self, length=wanted)
        return self._holding(begun.samples[:, :wanted])

    def _holding(self, samples: Array) -> "Recording":
        """Return the recording with other samples, which are in memory."""
        channels, length = samples.shape
        return replace(self, _kept=samples, _origin=None, _divisor=1.0, channels=channels, length=length)


def _too_long(name: str) -> LaennecError:
    return LaennecError(f"{name}: too long for the memory of this computer")
