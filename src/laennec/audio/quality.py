"""What is wrong with a recording and was left alone: silence, clipping, too short a length."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from laennec.audio.samples import BLOCK_FRAMES, Array

MIN_DURATION_S = 0.1  # a wheeze lasts 0.1 s or more (Sovijärvi et al., Eur. Respir. Rev. 10(77), 2000)
SILENT_RANGE = 2.0**-14  # peak to peak, two steps of 16 bits: what dither leaves of silence
SILENT_BLOCK_S = 0.05  # a block this long holds several periods of any lung sound (60 Hz and up)
SILENT_SHARE = 0.5  # of the blocks of a channel, from which it is called silent
CLIPPED_SHARE = 1e-4  # of the samples of a channel, from which it is called clipped: one sample in 10,000


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
    for start in range(0, samples.size, BLOCK_FRAMES):  # in blocks, which stay in the processor's cache
        steps = np.abs(np.diff(samples[start : start + BLOCK_FRAMES + 1]))
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
        findings += channel_findings(
            index, len(samples), silent_share(channel, sample_rate), clipped_share(channel)
        )
    return tuple(findings)


def channel_findings(index: int, channels: int, silent: float, clipped: float) -> list[Finding]:
    """What its shares of silence and of clipped samples say of a channel."""
    where = f"channel {index} " if channels > 1 else ""
    findings = []
    if silent >= SILENT_SHARE:
        findings.append(Finding("silent", f"{where}silent: {silent:.0%} of the time", silent, index))
    if clipped >= CLIPPED_SHARE:
        findings.append(Finding("clipped", f"{where}clipped: {clipped:.2%} of samples", clipped, index))
    return findings
