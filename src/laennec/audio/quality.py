"""What is wrong with the sound of a recording: one pass over its blocks, in constant memory.

A limiter leaves runs of exactly equal samples at its level, be that full scale or less. A natural peak in
coarse samples also leaves a run at the top, but there the curve is a parabola: going down m quantisation
steps widens it at least sqrt(m + 1) times. So a stretch that stays within eight steps (at most a quarter) of
the extreme is clipped if three or more of its samples, and more than half of them, are the extreme itself.
Plateaus that are noisy or tilted, as left by clipping ahead of a filter or a lossy codec, are not detected.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from laennec.audio.level import SILENT_RANGE, SILENT_STEPS, Extents, Resolution
from laennec.audio.samples import BLOCK_LENGTH, MAX_MAGNITUDE, Array, set_non_finite_to_zero

MIN_DURATION_S = 0.1  # a wheeze lasts 0.1 s or more (Sovijärvi et al., Eur. Respir. Rev. 10(77), 2000)
SILENT_BLOCK_S = 0.05  # a block this long holds several periods of any lung sound (60 Hz and up)
SILENT_SHARE = 0.5  # of the blocks of a channel, from which it is called silent
CLIPPED_SHARE = 1e-4  # of the samples of a channel, from which it is called clipped: one sample in 10,000
FEWEST_STEPS = (
    16  # of the format, half the usual extent of a sound; none of 600 recordings of lungs had fewer
)
_PLATEAU = 3  # samples at least
LATEST_S = 3.0  # by which sound that is still coming is judged
STILL_S = 1.0  # at its end: sound that begins after silence is not silent
_SOUND_CARD = "PCM_16"  # what it is taken for


@dataclass(frozen=True)
class Finding:
    """Something wrong with a recording that was left as it is; as text, its message.

    `kind` is ``truncated``, ``unread``, ``silent``, ``quiet``, ``clipped`` or ``too_short``;
    ``contact_noise`` comes from an analysis, a sound class such as ``speech`` from a stream. `share`, in
    [0, 1], is of the samples concerned (``truncated``: of those promised), where known. `channel` counts from
    0; None for the whole recording.
    """

    kind: str
    message: str
    share: float | None = None
    channel: int | None = None

    def __str__(self) -> str:
        return self.message


def silent_share(samples: npt.NDArray[Any], sample_rate: int, extent: float = SILENT_RANGE) -> float:
    """Share, in [0, 1], of the 50 ms blocks of ``(samples,)`` that stay within an extent, peak to peak.

    By default it is that of silence in 16 bits; a recording has its own, `Recording.silent_range`.
    Samples after the last whole block do not count, unless the whole channel is shorter than a block.
    """
    length = min(_silent_block_length(sample_rate), samples.size)
    blocks = samples[: samples.size // length * length].reshape(-1, length)
    return float(np.mean(blocks.max(axis=1) - blocks.min(axis=1) <= extent))


def _silent_block_length(sample_rate: int) -> int:
    return max(1, round(SILENT_BLOCK_S * sample_rate))


def survey_block_length(sample_rate: int) -> int:
    """Samples of each channel to hand to `Survey.add` at a time: whole blocks of silence."""
    silent = _silent_block_length(sample_rate)
    return max(1, BLOCK_LENGTH // silent) * silent


class Clipping:
    """Counts the samples clipped at the top of a channel, or with `sign` -1 at its bottom, mirrored.

    Every block goes to `add`, then, if `suspect`, once more to `count`. No samples are counted in silence and
    at peaks below 16 quantisation steps, which do not show it.
    """

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self.top, self._second, self._reached = -math.inf, -math.inf, 0
        self._counted = 0
        self._hits = self._length = 0  # of the stretch that the last block ended in
        self._finest = math.inf  # smallest change between neighbours
        self._last: float | None = None

    def add(self, samples: npt.NDArray[Any], highest: float) -> None:
        """Take in finite samples; `highest` is the highest value, of the mirrored ones where they are."""
        if highest < self.top:
            self._second = max(self._second, highest)
            return
        values = self._sign * samples
        at_top = values == highest
        values[at_top] = -np.inf
        if highest > self.top:
            self.top, self._second, self._reached = highest, self.top, 0
        self._second = max(self._second, float(values.max()))
        self._reached += int(np.count_nonzero(at_top))

    @property
    def suspect(self) -> bool:
        """Whether the channel may be clipped, so that its plateaus have to be counted."""
        return self._reached >= _PLATEAU and self.top > 0

    def count(self, samples: npt.NDArray[Any]) -> None:
        """Take in the blocks once more, in their order."""
        steps = np.abs(np.diff(samples) if self._last is None else np.diff(samples, prepend=self._last))
        self._finest = min(self._finest, float(steps[steps > 0].min(initial=np.inf)))
        self._last = samples[-1]
        values = self._sign * samples
        step = min(self.top - self._second, self.top / 16)
        near = values >= self.top - min(8 * step, self.top / 4)
        edges = np.flatnonzero(np.diff(near, prepend=False, append=False))
        lengths = np.diff(edges)[::2]
        hits = np.diff(np.searchsorted(np.flatnonzero(values == self.top), edges))[::2]
        if near[0]:
            hits[0] += self._hits
            lengths[0] += self._length
        else:
            self._counted = self._so_far
        self._hits = self._length = 0
        if near[-1]:
            self._hits, self._length = int(hits[-1]), int(lengths[-1])
            hits, lengths = hits[:-1], lengths[:-1]
        self._counted += int(hits[(hits >= _PLATEAU) & (2 * hits > lengths)].sum())

    @property
    def _so_far(self) -> int:
        """Samples on plateaus, the stretch that may go on included."""
        on_plateau = self._hits >= _PLATEAU and 2 * self._hits > self._length
        return self._counted + (self._hits if on_plateau else 0)

    @property
    def clipped(self) -> int:
        """Number of clipped samples."""
        return self._so_far if self.suspect and self.top >= 16 * self._finest else 0


class Survey:
    """Adds up what the blocks of a recording of a `coding` (see `Resolution`) show.

    `length` is the samples of each channel so far; `non_finite`, ``(channels,)``, how many were set to zero.
    """

    def __init__(self, channels: int, sample_rate: int, coding: str) -> None:
        self.channels, self.sample_rate, self.length = channels, sample_rate, 0
        self.non_finite = np.zeros(channels, np.int64)
        self._clipping = [(Clipping(1), Clipping(-1)) for _ in range(channels)]
        self._part = _silent_block_length(sample_rate)
        self._resolution, self._extents, self._parts = Resolution(coding), Extents(channels), 0
        self._equal = list(itertools.combinations(range(channels), 2))  # pairs that were equal so far

    def add(self, block: Array) -> None:
        """Take in ``(channels, samples)`` and set what is not finite to zero in it.

        All blocks but the last have `survey_block_length` samples.
        """
        highest, lowest, extents = self._ranges(block)
        if not (highest.max() <= MAX_MAGNITUDE and lowest.min() >= -MAX_MAGNITUDE):  # NaN compares false
            self.non_finite += set_non_finite_to_zero(block)
            highest, lowest, extents = self._ranges(block)
        for (top, bottom), samples, high, low in zip(self._clipping, block, highest, lowest, strict=True):
            top.add(samples, float(high))
            bottom.add(samples, -float(low))
        self._extents.add(extents)
        self._resolution.add(block, self.peak)
        self._parts += extents.shape[1]
        self._equal = [(i, k) for i, k in self._equal if np.array_equal(block[i], block[k])]
        self.length += block.shape[1]

    def _ranges(self, block: Array) -> tuple[Array, Array, Array]:
        """Highest and lowest value of each channel, and the extents of its whole 50 ms parts."""
        starts, whole = np.arange(0, block.shape[1], self._part), block.shape[1] // self._part
        tops, bottoms = np.maximum.reduceat(block, starts, axis=1), np.minimum.reduceat(block, starts, axis=1)
        with np.errstate(invalid="ignore"):  # what is not finite is repaired next
            extents = (tops - bottoms)[:, :whole]
        return tops.max(axis=1), bottoms.min(axis=1), extents

    @property
    def peak(self) -> float:
        """Largest magnitude."""
        return max(side.top for sides in self._clipping for side in sides)

    @property
    def step(self) -> float:
        """Of the recording's format, in full scale; a power of two, or 0 of nothing but zeros."""
        return self._resolution.step(self.peak)

    @property
    def levels(self) -> tuple[float, ...]:
        """Half the median extent of each channel's 50 ms parts that are not silent; 0 of silence."""
        return self._extents.levels(SILENT_STEPS * self.step)

    @property
    def twins(self) -> dict[int, int]:
        """Each channel that equals an earlier one, and that one."""
        return {later: earlier for earlier, later in reversed(self._equal)}

    def silent_shares(self) -> list[float]:
        """Share of each channel's 50 ms parts that are silent; a shorter recording is one part."""
        silent = SILENT_STEPS * self.step
        if self._parts:
            return [float(share) for share in self._extents.shares(silent)]
        ranges = [np.float32(top.top) + np.float32(bottom.top) for top, bottom in self._clipping]
        return [float(extent <= silent) for extent in ranges]

    def findings(self, blocks: Callable[[], Iterator[Array]]) -> tuple[Finding, ...]:
        """Name what is wrong with the sound; `blocks` are read again where any channel may be clipped."""
        suspects = [(row, side) for row, sides in enumerate(self._clipping) for side in sides if side.suspect]
        for block in blocks() if suspects else ():
            for row, side in suspects:
                side.count(block[row])
        return self.named([sum(side.clipped for side in sides) / self.length for sides in self._clipping])

    def named(self, clipped_shares: Sequence[float]) -> tuple[Finding, ...]:
        """The findings, with the share of each channel's samples that are clipped."""
        findings = []
        duration_s = self.length / self.sample_rate
        if duration_s < MIN_DURATION_S:
            too_short = f"too short: {duration_s:.3f} s, shorter than a wheeze ({MIN_DURATION_S} s)"
            findings.append(Finding("too_short", too_short))
        steps = [level / self.step if self.step else 0.0 for level in self.levels]
        for index, silent in enumerate(self.silent_shares()):
            clipped = clipped_shares[index]
            where = f"channel {index} " if self.channels > 1 else ""
            if silent >= SILENT_SHARE:
                findings.append(Finding("silent", f"{where}silent: {silent:.0%} of the time", silent, index))
            elif 0 < steps[index] < FEWEST_STEPS:
                usual = f"half of it moves by {2 * steps[index]:.0f} steps of its format or fewer"
                findings.append(Finding("quiet", f"{where}quiet: {usual}; record it louder", channel=index))
            if clipped >= CLIPPED_SHARE:
                findings.append(
                    Finding("clipped", f"{where}clipped: {clipped:.2%} of samples", clipped, index)
                )
        return tuple(findings)


class RunningSurvey:
    """What is wrong with sound that is still coming: with all of it so far, and with its last seconds.

    The step is that of 16 bits, as of a sound card. Clipping is counted in windows of `LATEST_S`, one after
    another, so a plateau that lies across two of them may be missed.
    """

    def __init__(self, channels: int, sample_rate: int) -> None:
        self._whole = Survey(channels, sample_rate, _SOUND_CARD)
        self._part = _silent_block_length(sample_rate)
        self._window = round(LATEST_S * sample_rate)
        self._rest = self._latest = np.zeros((channels, 0), np.float32)
        self._clipped = np.zeros(channels)  # samples, in the windows that are over
        self._unseen = 0  # samples since the last of these

    def add(self, block: Array) -> None:
        """Take in finite samples ``(channels, samples)``, any number of them."""
        rest = np.concatenate([self._rest, block], axis=1)
        whole = rest.shape[1] // self._part * self._part
        if whole:
            self._whole.add(rest[:, :whole])
        self._rest = rest[:, whole:].copy()
        for start in range(0, block.shape[1], self._window):
            self._pass_on(block[:, start : start + self._window])

    def _pass_on(self, block: Array) -> None:
        room = self._window - self._unseen
        self._latest = np.concatenate([self._latest, block[:, :room]], axis=1)[:, -self._window :]
        self._unseen += min(room, block.shape[1])
        if self._unseen == self._window:
            self._count_clipped()
        if block.shape[1] > room:
            self._pass_on(block[:, room:])

    def _count_clipped(self) -> None:
        for finding in self._findings_of(self._latest[:, -self._unseen :]):
            if finding.kind == "clipped" and finding.channel is not None:
                self._clipped[finding.channel] += (finding.share or 0.0) * self._unseen
        self._unseen = 0

    def _findings_of(self, samples: Array) -> tuple[Finding, ...]:
        survey = Survey(self._whole.channels, self._whole.sample_rate, _SOUND_CARD)
        survey.add(samples)
        return survey.findings(lambda: iter([samples]))

    @property
    def levels(self) -> tuple[float, ...]:
        """Of the sound so far, as `Recording.levels`."""
        return self._whole.levels

    def latest_findings(self) -> tuple[Finding, ...]:
        """What is wrong with the last `LATEST_S` seconds; silent is what is so to the end, for `STILL_S`."""
        if self._latest.shape[1] < self._part:
            return ()
        end = self._latest[:, -round(STILL_S * self._whole.sample_rate) :]
        sounds = {row for row, own in enumerate(end) if self._silent_share(own) < SILENT_SHARE}
        return tuple(
            each
            for each in self._findings_of(self._latest)
            if each.kind != "too_short" and not (each.kind == "silent" and each.channel in sounds)
        )

    def _silent_share(self, samples: npt.NDArray[Any]) -> float:
        return silent_share(samples, self._whole.sample_rate)

    def finish(self) -> Survey:
        """Take in what is left of the last part, and return the survey of all."""
        if self._rest.shape[1]:
            self._whole.add(self._rest)
        if self._unseen:
            self._count_clipped()
        return self._whole

    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with all of it, after `finish`."""
        length = max(1, self._whole.length)
        return self._whole.named((self._clipped / length).tolist())
