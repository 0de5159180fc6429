"""Recordings: any file libsndfile reads → float32 samples in [-1, 1], with everything wrong about it named.

Three rules hold here.

1. What cannot be listened to raises one :class:`~laennec.errors.LaennecError`: no such file, not audio,
   empty, too many samples that are no numbers, a sample rate outside 4 to 192 kHz, more than 64 channels.
2. What was mended on the way is written in ``Recording.repairs``: header fields that contradict each other,
   placeholder sizes, NaN set to zero, samples above full scale.
3. What is wrong but left alone is a :class:`Finding` in ``Recording.warnings``: truncated, silent, clipped,
   too short.

Arrays are ``(channels, samples)``; time is the last axis.
"""

import io
import math
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile

from laennec.errors import LaennecError

Array = npt.NDArray[np.float32]
Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO

MIN_SAMPLE_RATE = 4_000  # Hz; the lowest rate in ICBHI 2017, and crackles reach 2 kHz
MAX_SAMPLE_RATE = 192_000  # Hz; the highest rate of common sound cards
MAX_CHANNELS = 64  # multi-channel chest arrays have 14 to 60 microphones
MAX_SAMPLES = (
    2**30
)  # 4 GiB as float32, 37 h at 8 kHz; stops a small file that decodes to more than the memory
LONG_S = 600.0  # from here on a file is heard block by block; ten minutes at 48 kHz are 115 MB
MIN_DURATION_S = 0.1  # a wheeze lasts 0.1 s or more (Sovijärvi et al., Eur. Respir. Rev. 10(77), 2000)
MAX_NON_FINITE_SHARE = 0.01  # of a channel; a dropped sample can be mended, a lost stretch of sound cannot
MAX_MAGNITUDE = 2.0**31  # full scale of 32-bit integers kept as floats; beyond it a number is no sample
SILENT_RANGE = 2.0**-14  # peak to peak, two steps of 16 bits: what dither leaves of silence
SILENT_BLOCK_S = 0.05  # a block this long holds several periods of any lung sound (60 Hz and up)
SILENT_SHARE = 0.5  # of the blocks of a channel, from which it is called silent
CLIPPED_SHARE = 1e-4  # of the samples of a channel, from which it is called clipped: one sample in 10,000

_BLOCK_FRAMES = 2**16  # decoded at a time
_MOST_REPAIRS = 20  # named of a long recording
_SAMPLES_A_BYTE = 64  # more than speech codecs reach; a header that promises more is not believed at once
_UNKNOWN_FRAMES = 2**62  # libsndfile's frame count of a stream of unknown length is 2**63 - 1
_ID3V1_BYTES = 128  # MP3 readers look for this tag at the end of a file before anything else
_MP3_BIT_RATES = 40  # 320 over 8 kbit/s, the highest and the lowest
_STREAMED_BYTES = 0x7FFFF000  # arecord, sox and ffmpeg write sizes from here up when they cannot seek back


@dataclass(frozen=True)
class Finding:
    """Something wrong with a recording that was left as it is.

    Attributes
    ----------
    kind : str
        ``truncated``, ``unread``, ``silent``, ``clipped``, ``too_short``; ``contact_noise`` comes from an
        analysis.
    message : str
        The finding in words.
    share : float or None
        Share in [0, 1] of the samples concerned (``truncated``: of those promised), where known.
    channel : int or None
        The channel concerned, from 0; None for the whole recording.
    """

    kind: str
    message: str
    share: float | None = None
    channel: int | None = None

    def __str__(self) -> str:
        return self.message


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
        with _opened(source, name) as (stream, called):
            try:
                return _checked(*_decode(stream, called))
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
        _check_layout(int(sample_rate), 1 if array.ndim == 1 else array.shape[0], name)
        if array.size == 0:
            raise LaennecError(f"{name}: empty, it holds no samples")
        return _checked(np.atleast_2d(_as_float32(array, name)), int(sample_rate), name, [], [])

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
            raise LaennecError(
                f"{self.name}: no channel {index}, it has {_counted(self.channels, 'channel')}"
            )
        warnings = tuple(w for w in self.warnings if w.channel in (None, index))
        return replace(self, samples=self.samples[index : index + 1], warnings=warnings)


def resample(samples: npt.NDArray[Any], from_rate: int, to_rate: int) -> Array:
    """Change the sample rate along the last axis with soxr's HQ setting (float32).

    Parameters
    ----------
    samples : numpy.ndarray
        ``(..., samples)``, floating point.
    from_rate, to_rate : int
        Hz. Equal rates return the samples as they are.

    Returns
    -------
    numpy.ndarray
        ``(..., floor(samples * to_rate / from_rate + 1/2))`` float32. A steep edge close to full scale may
        overshoot 1 (Gibbs); it is not cut off.

    Raises
    ------
    LaennecError
        If a rate is not positive, or no sample would be left.
    """
    if from_rate <= 0 or to_rate <= 0:
        raise LaennecError(f"sample rates must be positive, got {from_rate} and {to_rate} Hz")
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    if from_rate == to_rate:
        return samples
    length = samples.shape[-1] * to_rate / from_rate
    if length < 0.5:
        raise LaennecError(
            f"{_counted(samples.shape[-1], 'sample')} at {from_rate} Hz leave none at {to_rate} Hz: too short"
        )
    import soxr  # here, since a recording already at its rate needs none of it

    rows = [soxr.resample(row, from_rate, to_rate) for row in samples.reshape(-1, samples.shape[-1])]
    return np.stack(rows).reshape(*samples.shape[:-1], -1)


# --- long recordings ----------------------------------------------------------------------------------------


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
        _check_layout(self.sample_rate, self.channels, name)
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
                self._failure = _reason(error)
                return
            if not len(block):
                return
            samples = np.ascontiguousarray(block.T)
            for repair in _mend_non_finite(samples, self.name) + _mend_scale(samples):
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
            found += _of_channel(index, self.channels, float(silent), float(clipped))
        return tuple(found)


@contextmanager
def open_stream(source: Source, name: str | None = None) -> Iterator[Stream]:
    """Open a recording to be read block by block.

    Raises
    ------
    LaennecError
        As `Recording.read` does, but for its length.
    """
    with _opened(source, name) as (stream, called):
        given = _Input(stream)
        if given.size == 0:
            raise LaennecError(f"{called}: empty, the file has 0 bytes")
        riff = _read_riff(given)
        repairs = riff.repairs() if riff else []
        with _open_sound(given, riff, repairs, called) as sound:
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
        return _checked(samples, stream.sample_rate, stream.name, list(stream.repairs), [])


class Resampler:
    """Changes the sample rate of blocks that follow each other, with soxr's HQ setting, a channel each."""

    def __init__(self, from_rate: int, to_rate: int, channels: int) -> None:
        self._streams: list[Any] | None = None
        if from_rate != to_rate:
            import soxr

            self._streams = [
                soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32") for _ in range(channels)
            ]

    def __call__(self, block: Array, last: bool = False) -> list[Array]:
        """What is ready of each channel after ``(channels, samples)`` more."""
        if self._streams is None:
            return list(block)
        return [stream.resample_chunk(row, last) for stream, row in zip(self._streams, block, strict=True)]


# --- quality ------------------------------------------------------------------------------------------------


def clipped_share(samples: npt.NDArray[Any]) -> float:
    """Share of samples that lie on a plateau at the highest or the lowest value of one channel.

    A limiter leaves runs of exactly equal samples at its level, be that full scale or less, with corners on
    both sides. A natural peak in coarse samples also leaves a run at the top, but there the curve is a
    parabola: going down m quantisation steps widens it at least sqrt(m + 1) times. So a stretch that stays
    within eight steps (at most a quarter) of the extreme is clipped if three or more of its samples, and more
    than half of them, are the extreme itself.

    Plateaus that are noisy or tilted, as left by clipping ahead of a filter or a lossy codec, are not found.

    Parameters
    ----------
    samples : numpy.ndarray
        ``(samples,)``, finite.

    Returns
    -------
    float
        In [0, 1]; 0 for silence, and for peaks below 16 quantisation steps, which tell nothing.
    """
    finest = _finest_step(samples)
    if finest == np.inf:
        return 0.0
    upper = _plateau_samples(samples, finest)
    lower = _plateau_samples(-samples, finest)
    return (upper + lower) / samples.size


def _finest_step(samples: npt.NDArray[Any]) -> float:
    """Smallest change between neighbours that is one; infinite where nothing changes."""
    finest = np.inf
    for start in range(0, samples.size, _BLOCK_FRAMES):  # in blocks, which stay in the processor's cache
        steps = np.abs(np.diff(samples[start : start + _BLOCK_FRAMES + 1]))
        finest = min(finest, float(steps.min(where=steps > 0, initial=np.inf)))
    return finest


def _plateau_samples(samples: npt.NDArray[Any], finest: float) -> int:
    """Count the samples on plateaus at the maximum; `finest` is the smallest change between neighbours."""
    top = float(samples.max())
    if top < 16 * finest:
        return 0
    at_top = samples == top
    if np.count_nonzero(at_top) < 3:
        return 0
    step = min(top - float(samples.max(where=~at_top, initial=-np.inf)), top / 16)
    near = samples >= top - min(8 * step, top / 4)
    edges = np.flatnonzero(np.diff(near, prepend=False, append=False))
    starts, ends = edges[::2], edges[1::2]
    places = np.flatnonzero(at_top)
    hits = np.searchsorted(places, ends) - np.searchsorted(places, starts)
    return int(hits[(hits >= 3) & (2 * hits > ends - starts)].sum())


def silent_share(samples: npt.NDArray[Any], sample_rate: int) -> float:
    """Share of the 50 ms blocks of one channel that stay within two steps of 16 bits, whatever their offset.

    Parameters
    ----------
    samples : numpy.ndarray
        ``(samples,)``, finite. What is left over after the last whole block counts for nothing, unless the
        whole channel is shorter than a block.
    sample_rate : int
        Hz.

    Returns
    -------
    float
        In [0, 1].
    """
    length = min(max(1, round(SILENT_BLOCK_S * sample_rate)), samples.size)
    blocks = samples[: samples.size // length * length].reshape(-1, length)
    return float(np.mean(blocks.max(axis=1) - blocks.min(axis=1) <= SILENT_RANGE))


def quality(samples: Array, sample_rate: int) -> tuple[Finding, ...]:
    """Name what is wrong with the sound itself: too short, silent, clipped.

    Parameters
    ----------
    samples : numpy.ndarray
        ``(channels, samples)``, finite, full scale 1.
    sample_rate : int
        Hz.
    """
    findings = []
    duration_s = samples.shape[1] / sample_rate
    if duration_s < MIN_DURATION_S:
        findings.append(
            Finding("too_short", f"too short: {duration_s:.3f} s, shorter than a wheeze ({MIN_DURATION_S} s)")
        )
    for index, channel in enumerate(samples):
        findings += _of_channel(
            index, len(samples), silent_share(channel, sample_rate), clipped_share(channel)
        )
    return tuple(findings)


def _of_channel(index: int, channels: int, silent: float, clipped: float) -> list[Finding]:
    """What its shares of silence and of clipped samples say of a channel."""
    where = f"channel {index} " if channels > 1 else ""
    findings = []
    if silent >= SILENT_SHARE:
        findings.append(Finding("silent", f"{where}silent: {silent:.0%} of the time", silent, index))
    if clipped >= CLIPPED_SHARE:
        findings.append(Finding("clipped", f"{where}clipped: {clipped:.2%} of samples", clipped, index))
    return findings


def _checked(
    samples: Array, sample_rate: int, name: str, repairs: list[str], warnings: list[Finding]
) -> Recording:
    """Mend non-finite and too large samples in place, look at the quality, make the recording."""
    repairs = repairs + _mend_non_finite(samples, name) + _mend_scale(samples)
    return Recording(
        samples, sample_rate, name, tuple(repairs), tuple(warnings) + quality(samples, sample_rate)
    )


def _mend_non_finite(samples: Array, name: str) -> list[str]:
    """Set the few samples that are no numbers to zero; refuse a channel that has many."""
    count, worst = 0, 0.0
    for channel in samples:
        wrong = ~(np.abs(channel) <= MAX_MAGNITUDE)  # NaN compares false
        bad = int(np.count_nonzero(wrong))
        if bad:
            channel[wrong] = 0
            count, worst = count + bad, max(worst, bad / channel.size)
    if worst > MAX_NON_FINITE_SHARE:
        raise LaennecError(
            f"{name}: {_counted(count, 'sample')} of {samples.size:,} are NaN, infinite or beyond 2**31, "
            f"up to {worst:.1%} of a channel; only {MAX_NON_FINITE_SHARE:.0%} may be set to zero"
        )
    return [f"{_counted(count, 'NaN or infinite sample')} set to zero"] if count else []


def _mend_scale(samples: Array) -> list[str]:
    """Divide by the peak where it is above full scale: the shape of the wave stays, its level is lost."""
    peak = max(float(samples.max()), -float(samples.min()))
    if peak <= 1.0:
        return []
    samples /= np.float32(peak)
    np.clip(samples, -1.0, 1.0, out=samples)  # the quotient may round to just above 1
    return [f"peak {peak:.6g} is above full scale: all samples divided by it"]


def _as_float32(array: npt.NDArray[Any], name: str) -> Array:
    """Convert to float32 with full scale 1, always in fresh memory."""
    full_scale = {"int16": 2.0**15, "int32": 2.0**31}
    kind = array.dtype.name
    if np.issubdtype(array.dtype, np.floating):
        with np.errstate(over="ignore"):  # what overflows becomes infinite and is counted as such
            return np.array(array, dtype=np.float32, order="C")
    if kind in full_scale:
        return (array / full_scale[kind]).astype(np.float32)
    if kind == "uint8":
        return ((array.astype(np.float32) - 128) / 128).astype(np.float32)
    raise LaennecError(f"{name}: samples must be floats, int16, int32 or uint8, got {kind}")


def _check_layout(sample_rate: int, channels: int, name: str) -> None:
    """Refuse sample rates and channel counts that no recording of lungs has."""
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise LaennecError(
            f"{name}: its sample rate is {sample_rate:,} Hz; "
            f"{MIN_SAMPLE_RATE:,} to {MAX_SAMPLE_RATE:,} Hz can be used"
        )
    if channels > MAX_CHANNELS:
        raise LaennecError(f"{name}: it has {channels:,} channels; up to {MAX_CHANNELS} can be used")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


# --- decoding -----------------------------------------------------------------------------------------------


class _ForwardSoundFile(soundfile.SoundFile):  # type: ignore[misc]
    """A SoundFile that is only read from start to end.

    A seekable SoundFile seeks after each read, which fails in a FLAC stream of unknown length.
    """

    def seekable(self) -> bool:
        return False


class _Input:
    """The window on a file that libsndfile reads through.

    It has no name, so that the content decides what the file is (a ``.raw`` or ``.gsm`` suffix would make
    libsndfile take text for sound), and it never raises: an exception inside a C callback would print a
    traceback. Errors of the disk are kept in `errors`. With a `stated_size` above `size` it passes for a
    longer file, at whose end there is no tag.
    """

    def __init__(self, stream: BinaryIO, start: int = 0, errors: list[OSError] | None = None) -> None:
        self.stream, self.start, self.position = stream, start, 0
        self.size = max(0, stream.seek(0, io.SEEK_END) - start)
        self.stated_size = self.size
        self.errors = [] if errors is None else errors

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_CUR: self.position, io.SEEK_END: self.stated_size}.get(whence, 0)
        self.position = max(0, origin + offset)
        return self.position

    def tell(self) -> int:
        return self.position

    def read(self, count: int) -> bytes:
        if self.position >= self.size and self.position == self.stated_size - _ID3V1_BYTES:
            return bytes(count)
        try:
            self.stream.seek(self.start + self.position)
            data = self.stream.read(max(0, count))
        except OSError as error:
            self.errors.append(error)
            return b""
        self.position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def _opened(source: Source, name: str | None) -> Iterator[tuple[BinaryIO, str]]:
    """Yield a seekable binary stream and the name to use in messages."""
    if isinstance(source, bytes | bytearray | memoryview):
        yield io.BytesIO(source), name or "recording"
        return
    if not isinstance(source, str | os.PathLike):
        yield _buffered(source, name or "recording"), name or "recording"
        return
    path = os.fsdecode(source)
    called = name or os.path.basename(path) or path
    try:
        if os.path.isdir(path):
            raise LaennecError(f"{path}: is a folder, not a recording")
        stream = open(path, "rb")  # noqa: SIM115 (closed below; only opening may raise these errors)
    except FileNotFoundError as error:
        raise LaennecError(f"{path}: no such file") from error
    except OSError as error:
        raise LaennecError(f"{path}: cannot be opened: {error.strerror or error}") from error
    except ValueError as error:
        raise LaennecError(f"{path!r}: not a file name: {error}") from error
    with stream:
        yield (stream if stream.seekable() else _buffered(stream, called)), called


def _buffered(stream: Any, name: str) -> BinaryIO:
    """Read the rest of an open file, pipe or upload into memory."""
    if not callable(getattr(stream, "read", None)):
        raise LaennecError(
            f"{name}: expected a path, bytes or an open binary file, got {type(stream).__name__}"
        )
    try:
        data = stream.read()
    except (OSError, ValueError) as error:  # ValueError: closed, or text in a wrong encoding
        raise LaennecError(f"{name}: cannot be read: {error}") from error
    if not isinstance(data, bytes | bytearray | memoryview):
        raise LaennecError(f"{name}: expected a file opened for bytes, got one opened for text")
    return io.BytesIO(data)


def _decode(stream: BinaryIO, name: str) -> tuple[Array, int, str, list[str], list[Finding]]:
    """Decode a stream whole: samples, sample rate, name, repairs, warnings."""
    source = _Input(stream)
    if source.size == 0:
        raise LaennecError(f"{name}: empty, the file has 0 bytes")
    riff = _read_riff(source)
    repairs = riff.repairs() if riff else []
    with _open_sound(source, riff, repairs, name) as sound:
        sample_rate, channels = int(sound.samplerate), int(sound.channels)
        claimed = int(sound.frames) if source.stated_size == source.size else _UNKNOWN_FRAMES
        _check_layout(sample_rate, channels, name)
        samples, failure = _read_samples(sound, claimed, source.size, name)
    if source.errors:
        raise LaennecError(f"{name}: cannot be read: {source.errors[0].strerror or source.errors[0]}")
    frames = samples.shape[1]
    truncated = _missing_audio(source, riff, frames, claimed, sample_rate, failure)
    if frames == 0:
        raise LaennecError(f"{name}: empty, it holds no samples" + (f" ({truncated})" if truncated else ""))
    warnings = [truncated] if truncated else []
    if riff and riff.unread:
        warnings.append(
            Finding("unread", f"{_counted(riff.unread, 'byte')} after the audio belong to no chunk: not read")
        )
    return samples, sample_rate, name, repairs, warnings


def _open_sound(source: _Input, riff: "_Riff | None", repairs: list[str], name: str) -> soundfile.SoundFile:
    """Open by libsndfile's reading of the header, or by ours where its own finds no samples in a WAV file."""
    by_our_reading = riff.raw_format() if riff else None
    if riff and by_our_reading and riff.streamed_from_zero:
        return _ForwardSoundFile(_Input(source.stream, riff.data_start, source.errors), **by_our_reading)
    try:
        sound = _reopened(source)
        if sound.format == "MP3" and not _mp3_counts_frames(source):
            # libsndfile then guesses the length from the file size and the first bit rate, and stops there
            sound.close()
            source.stated_size = source.size * _MP3_BIT_RATES
            sound = _reopened(source)
        return sound
    except soundfile.SoundFileError as error:
        reason = _reason(error)
        if not (riff and by_our_reading and riff.data_present > 0):
            raise LaennecError(f"{name}: {_refusal(source, reason)}") from error
    repairs.append(f"the RIFF structure is broken ({reason}): samples read from byte {riff.data_start} on")
    try:
        return _ForwardSoundFile(_Input(source.stream, riff.data_start, source.errors), **by_our_reading)
    except soundfile.SoundFileError as error:
        raise LaennecError(f"{name}: {_refusal(source, _reason(error))}") from error


def _reopened(source: _Input) -> soundfile.SoundFile:
    source.seek(0)
    return _ForwardSoundFile(source)


def _read_samples(
    sound: soundfile.SoundFile, claimed: int, size: int, name: str
) -> tuple[Array, soundfile.SoundFileError | None]:
    """Read to the end or the first error; memory follows what is there, not what a header claims."""
    channels = sound.channels
    block = np.empty((min(_BLOCK_FRAMES, max(1, claimed)), channels), np.float32)
    likely = max(_BLOCK_FRAMES, size * _SAMPLES_A_BYTE // channels)
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


def _missing_audio(
    source: _Input,
    riff: "_Riff | None",
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
    known = claimed < _UNKNOWN_FRAMES
    if failure is not None or (known and frames < claimed):
        promised = f" of {claimed / sample_rate:.3f} s promised" if known else ""
        why = f" ({_reason(failure)})" if failure else ""
        share = 1 - frames / claimed if known and claimed else None
        return Finding("truncated", f"truncated or damaged: decoded {lasts_s:.3f} s{promised}{why}", share)
    declared = _declared_size(source)
    if declared > source.size + 1:  # a missing pad byte is no loss
        held = f"the header promises {declared:,} bytes, the file holds {source.size:,}"
        return Finding("truncated", f"truncated: {held}", 1 - source.size / declared)
    if _ogg_lacks_end(source):
        return Finding("truncated", f"truncated: the Ogg stream breaks off after {lasts_s:.3f} s")
    return None


def _reason(error: soundfile.SoundFileError) -> str:
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


def _refusal(source: _Input, reason: str) -> str:
    """Say why libsndfile refused the file: damaged audio, or not audio at all."""
    kind = _MAGIC.get(_bytes_at(source, 0, 4))
    if kind:
        return f"begins as {kind} but is truncated, damaged or of an unknown coding ({reason})"
    return "not audio that can be read (WAV, FLAC, OGG, MP3, AIFF and the like can)"


# --- containers ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Riff:
    """What a WAV header says, before libsndfile makes sense of it; sizes and offsets in bytes."""

    big_endian: bool
    tag: int  # 1 PCM, 3 IEEE float, 6 A-law, 7 mu-law
    channels: int
    sample_rate: int
    byte_rate: int
    block_align: int
    bits: int
    data_start: int
    data_bytes: int  # as the header says
    data_present: (
        int  # from data_start to the end of the file, at most data_bytes unless that is a placeholder
    )
    unread: int  # bytes after the audio that are no chunk

    @property
    def streamed(self) -> bool:
        return self.streamed_from_zero or (self.data_bytes >= _STREAMED_BYTES and self.missing_bytes > 0)

    @property
    def streamed_from_zero(self) -> bool:
        return self.data_bytes == 0 and self.data_present > 0

    @property
    def missing_bytes(self) -> int:
        return max(0, self.data_bytes - self.data_present)

    @property
    def missing(self) -> int:
        return 0 if self.streamed else self.missing_bytes

    def repairs(self) -> list[str]:
        """Name the header fields that contradict each other or the file; libsndfile passes over them."""
        found = []
        if self.tag in (1, 3) and self.bits and self.channels:
            layout = f"{self.bits} bit × {_counted(self.channels, 'channel')}"
            frame = self.channels * math.ceil(self.bits / 8)
            if self.block_align != frame:
                found.append(f"RIFF header says block align {self.block_align}; {layout} make {frame}")
            if self.byte_rate != self.sample_rate * frame:
                expected = f"{self.sample_rate} Hz × {frame} bytes make {self.sample_rate * frame}"
                found.append(f"RIFF header says {self.byte_rate} bytes per second; {expected}")
            if not self.streamed and not self.missing and self.data_bytes % frame:
                left = _counted(self.data_bytes % frame, "byte")
                found.append(f"{left} at the end of the audio make no whole sample of {frame}: left out")
        if self.streamed:
            found.append(
                f"RIFF header says {self.data_bytes:#x} bytes of audio, as streams do: read to the end"
            )
        return found

    def raw_format(self) -> dict[str, Any] | None:
        """Arguments for reading the data chunk without the header, where the coding is a plain one."""
        subtypes = {
            (1, 8): "PCM_U8",
            (1, 16): "PCM_16",
            (1, 24): "PCM_24",
            (1, 32): "PCM_32",
            (3, 32): "FLOAT",
            (3, 64): "DOUBLE",
            (6, 8): "ALAW",
            (7, 8): "ULAW",
        }
        subtype = subtypes.get((self.tag, self.bits))
        if subtype is None or not 0 < self.sample_rate < 2**31 or not 0 < self.channels <= 1024:
            return None
        return {
            "samplerate": self.sample_rate,
            "channels": self.channels,
            "format": "RAW",
            "subtype": subtype,
            "endian": "BIG" if self.big_endian else "LITTLE",
        }


def _read_riff(source: _Input) -> _Riff | None:
    """Walk the chunks of a WAV file as far as its data chunk; None if it is no WAV file or lacks a chunk."""
    head = _bytes_at(source, 0, 12)
    if head[:4] not in (b"RIFF", b"RIFX") or head[8:12] != b"WAVE":
        return None
    order = ">" if head[:4] == b"RIFX" else "<"
    position, layout = 12, b""
    for _ in range(1_000):  # a real file has a handful of chunks
        chunk = _bytes_at(source, position, 8)
        if len(chunk) < 8:
            return None
        (size,) = struct.unpack(order + "I", chunk[4:])
        if chunk[:4] == b"fmt ":
            layout = _bytes_at(source, position + 8, min(size, 40))
        if chunk[:4] == b"data":
            break
        position = _next_chunk(source, position, size)
    else:
        return None
    if len(layout) < 16:
        return None
    tag, channels, sample_rate, byte_rate, block_align, bits = struct.unpack(order + "HHIIHH", layout[:16])
    if tag == 0xFFFE and len(layout) >= 26:  # WAVE_FORMAT_EXTENSIBLE: the coding is in the sub-format
        (tag,) = struct.unpack(order + "H", layout[24:26])
    present, unread = _data_extent(source, position + 8, size)
    return _Riff(
        order == ">",
        tag,
        channels,
        sample_rate,
        byte_rate,
        block_align,
        bits,
        position + 8,
        size,
        present,
        unread,
    )


def _next_chunk(source: _Input, position: int, size: int) -> int:
    """Chunks start at even offsets, but some writers leave out the pad byte after an odd one."""
    end = position + 8 + size
    if size % 2 and _bytes_at(source, end, 4) in (b"data", b"fmt ", b"fact", b"LIST"):
        return end
    return end + size % 2


def _is_chunk(source: _Input, position: int) -> bool:
    identifier = _bytes_at(source, position, 8)[:4]
    return len(identifier) == 4 and all(32 <= byte < 127 for byte in identifier)


def _data_extent(source: _Input, start: int, size: int) -> tuple[int, int]:
    """Bytes of audio in the file, and bytes after it that belong to no chunk.

    A data chunk of size 0 is that of an interrupted or streamed recording if no chunk follows it.
    """
    rest = max(0, source.size - start)
    after = start + size + size % 2
    if rest <= size + size % 2 or _is_chunk(source, after) or _is_chunk(source, after - size % 2):
        return min(rest, size), 0
    if size == 0:
        return rest, 0
    tail = _bytes_at(source, after, 4096)
    return size, source.size - after if any(tail) else 0  # zeros are padding


def _bytes_at(source: _Input, position: int, count: int) -> bytes:
    """Look at bytes without moving the decoder's position."""
    before = source.tell()
    source.seek(position)
    data = source.read(count)
    source.seek(before)
    return data


def _declared_size(source: _Input) -> int:
    """File size in bytes that the header of AIFF, AU, RF64 or W64 promises; 0 where it promises none."""
    head = _bytes_at(source, 0, 28)
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


def _mp3_counts_frames(source: _Input) -> bool:
    """True if the first frame of an MP3 file is a Xing or Info header, which holds the number of frames."""
    head = _bytes_at(source, 0, 10)
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:  # the tag's size has seven bits a byte (ID3v2, section 3.1)
        start = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    frame = _bytes_at(source, start, 256)
    return b"Xing" in frame or b"Info" in frame


def _ogg_lacks_end(source: _Input) -> bool:
    """True if the last page of an Ogg file is incomplete or not marked as the end (RFC 3533, section 6)."""
    if _bytes_at(source, 0, 4) != b"OggS":
        return False
    tail_start = max(0, source.size - 2**17)  # a page has at most 65,307 bytes
    tail = _bytes_at(source, tail_start, 2**17)
    page = tail[max(0, tail.rfind(b"OggS")) :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return True
    is_last = bool(page[5] & 4)
    return not is_last or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])
