"""Samples as numbers: their checks and repairs, and changes of the sample rate.

Arrays are ``(channels, samples)``; time is the last axis.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from laennec.errors import LaennecError

Array = npt.NDArray[np.float32]
MIN_SAMPLE_RATE = 4_000  # Hz; the lowest rate in ICBHI 2017, and crackles reach 2 kHz
MAX_SAMPLE_RATE = 192_000  # Hz; the highest rate of common sound cards
MAX_CHANNELS = 64  # multi-channel chest arrays have 14 to 60 microphones
MAX_NON_FINITE_SHARE = 0.01  # of a channel; a dropped sample can be repaired, a lost stretch of sound cannot
MAX_MAGNITUDE = 2.0**31  # full scale of 32-bit integers kept as floats; beyond it a number is no sample
BLOCK_SAMPLES = 2**22  # of all channels together, at most, in a block: 16 MiB
BLOCK_LENGTH = 2**16  # samples of a channel that are looked at together: they stay in the processor's cache


def resample(samples: npt.NDArray[Any], from_rate: int, to_rate: int) -> Array:
    """Change the sample rate (Hz) along the last axis with soxr's HQ setting; equal rates change nothing.

    Returns ``(..., floor(samples * to_rate / from_rate + 1/2))`` float32. A steep edge close to full scale
    may overshoot 1 (Gibbs); it is not cut off. LaennecError if a rate is not positive, or no sample is left.
    """
    if from_rate <= 0 or to_rate <= 0:
        raise LaennecError(f"sample rates must be positive, got {from_rate} and {to_rate} Hz")
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    if from_rate == to_rate:
        return samples
    length = samples.shape[-1] * to_rate / from_rate
    if length < 0.5:
        raise no_samples_left(samples.shape[-1], from_rate, to_rate)
    import soxr  # here, since a recording already at its rate needs none of it

    rows = [soxr.resample(row, from_rate, to_rate) for row in samples.reshape(-1, samples.shape[-1])]
    return np.stack(rows).reshape(*samples.shape[:-1], -1)


def no_samples_left(length: int, from_rate: int, to_rate: int) -> LaennecError:
    """The error for a recording too short to be resampled."""
    what = f"{counted(length, 'sample')} at {from_rate} Hz leave none at {to_rate} Hz"
    return LaennecError(f"{what}: too short")


def resample_blocks(blocks: Iterable[Array], from_rate: int, to_rate: int) -> Iterator[Array]:
    """Change the sample rate of blocks ``(channels, samples)`` that follow each other.

    Laid end to end, the results are what `resample` makes of the whole.
    """
    resampler = Resampler(from_rate, to_rate)
    for block in blocks:
        yield from resampler.feed(block)
    yield from resampler.finish()


class Resampler:
    """Changes the sample rate of blocks ``(channels, samples)`` as they come: see `resample_blocks`."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._rates = from_rate, to_rate
        self._streams: list[Any] | None = None  # of the channels

    def feed(self, block: Array) -> list[Array]:
        """What is ready after another block: one block, or none."""
        from_rate, to_rate = self._rates
        if from_rate == to_rate:
            return [block]
        import soxr  # here, since a recording already at its rate needs none of it

        if self._streams is None:
            self._streams = [soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32") for _ in block]
        return self._resampled(block, last=False)

    def finish(self) -> list[Array]:
        """The rest, after the last block."""
        return (
            self._resampled(np.zeros((len(self._streams), 0), np.float32), last=True) if self._streams else []
        )

    def _resampled(self, block: Array, last: bool) -> list[Array]:
        rows = zip(self._streams or (), block, strict=True)
        ready = np.stack([stream.resample_chunk(row, last=last) for stream, row in rows])
        return [ready] if ready.size else []


def set_non_finite_to_zero(samples: Array) -> npt.NDArray[np.int64]:
    """Set samples that are no numbers, or beyond any full scale, to zero in place; count them by channel."""
    wrong = ~(np.abs(samples) <= MAX_MAGNITUDE)  # NaN compares false
    samples[wrong] = 0
    return np.asarray(np.count_nonzero(wrong, axis=1), np.int64)


def non_finite_repairs(counts: npt.NDArray[np.int64], length: int, name: str) -> list[str]:
    """Describe how many samples of each channel were set to zero; refuse a channel that lost too many."""
    count, worst = int(counts.sum()), float(counts.max()) / length
    if worst > MAX_NON_FINITE_SHARE:
        raise LaennecError(
            f"{name}: {counted(count, 'sample')} of {len(counts) * length:,} "
            f"{by_number(count, 'is', 'are')} NaN, "
            f"infinite or beyond 2**31, up to {worst:.1%} of a channel; only {MAX_NON_FINITE_SHARE:.0%} "
            "may be set to zero"
        )
    return [f"{counted(count, 'NaN or infinite sample')} set to zero"] if count else []


def divide_by_peak(samples: Array, peak: float) -> None:
    """Bring samples above full scale below it, in place: the shape of the wave stays, its level is lost."""
    samples /= np.float32(peak)
    np.clip(samples, -1.0, 1.0, out=samples)  # the quotient may round to just above 1


def as_float32(array: npt.NDArray[Any], name: str) -> Array:
    """Convert to float32 with full scale 1, always in fresh memory."""
    full_scale, kind = {"int16": 2.0**15, "int32": 2.0**31}, array.dtype.name
    if np.issubdtype(array.dtype, np.floating):
        with np.errstate(over="ignore"):  # what overflows becomes infinite and is counted as such
            return np.array(array, dtype=np.float32, order="C")
    if kind in full_scale:
        return (array / full_scale[kind]).astype(np.float32)
    if kind == "uint8":
        return ((array.astype(np.float32) - 128) / 128).astype(np.float32)
    raise LaennecError(f"{name}: samples must be floats, int16, int32 or uint8, got {kind}")


def check_layout(sample_rate: int, channels: int, name: str) -> None:
    """Refuse sample rates and channel counts that no recording of lungs has."""
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise LaennecError(
            f"{name}: its sample rate is {sample_rate:,} Hz; "
            f"{MIN_SAMPLE_RATE:,} to {MAX_SAMPLE_RATE:,} Hz can be used"
        )
    if channels > MAX_CHANNELS:
        raise LaennecError(f"{name}: it has {channels:,} channels; up to {MAX_CHANNELS} can be used")


def mixed(samples: Array) -> tuple[Array, int | None]:
    """Mean of the channels, ``(1, samples)``, and None; or the loudest and its number where they cancel.

    Channels of opposite phase, as a swapped wire leaves them, sum up to silence. They cancel where their sum
    has less than half the power of the loudest.
    """
    if len(samples) == 1:
        return samples, None
    mean = samples.mean(axis=0, keepdims=True, dtype=np.float32)
    powers = [float(np.vdot(row - row.mean(), row - row.mean())) for row in (*samples, mean[0])]
    loudest = int(np.argmax(powers[:-1]))
    if powers[-1] * len(samples) ** 2 >= powers[loudest] / 2:
        return mean, None
    return samples[loudest : loudest + 1], loudest


def counted(count: int, noun: str, digits: str = ",") -> str:
    """Return a count with its noun, ``1,200 events``; without the comma where `digits` is empty."""
    return f"{count:{digits}} {noun}{'' if count == 1 else 's'}"


def by_number(count: int, one: str, more: str) -> str:
    """Return the word of a sentence that its count decides, such as ``is`` or ``are``."""
    return one if count == 1 else more
