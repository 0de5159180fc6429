"""Augmentation as data: ``draw_…(generator, …) -> parameters``, then ``apply(x, parameters)``.

Item *i* of a batch is varied by item *i* of the parameters alone, so a batch of one gives the same result.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from laennec.errors import LaennecError
from laennec.train.recipe import Augmentation

STRETCH_N_FFT, STRETCH_HOP = 512, 128  # samples at 16 kHz: 32 and 8 ms


@dataclass(frozen=True)
class ImageVariation:
    """Parameters drawn for a batch of images."""

    shift_frames: Tensor
    """``(batch,)`` frames to roll by."""
    hidden_rows: Tensor
    """``(batch, bins)`` True where a frequency mask lies."""
    hidden_frames: Tensor
    """``(batch, frames)`` True where a time mask lies."""


def _draw_masks(
    batch: int, length: int, masks: int, widest: int, generator: torch.Generator | None
) -> Tensor:
    """``(batch, length)``: the union of `masks` stretches, each 0 to `widest` long, placed uniformly."""
    hidden = torch.zeros(batch, length, dtype=torch.bool)
    position = torch.arange(length)
    for _ in range(masks):
        width = torch.randint(0, min(widest, length) + 1, (batch, 1), generator=generator)
        start = (torch.rand(batch, 1, generator=generator) * (length - width + 1)).long()
        hidden |= (position >= start) & (position < start + width)
    return hidden


def draw_image_variation(
    batch: int, bins: int, frames: int, settings: Augmentation, generator: torch.Generator | None = None
) -> ImageVariation:
    """Draw a circular shift and SpecAugment masks for each image of a batch."""
    shift = torch.zeros(batch, dtype=torch.long)
    if settings.circular_shift:
        shift = torch.randint(0, frames, (batch,), generator=generator)
    return ImageVariation(
        shift,
        _draw_masks(batch, bins, settings.frequency_masks, settings.frequency_mask_bins, generator),
        _draw_masks(batch, frames, settings.time_masks, settings.time_mask_frames, generator),
    )


def vary_images(images: Tensor, variation: ImageVariation) -> Tensor:
    """Shift and mask normalised images ``(batch, channels, bins, frames)``; masks set to zero, their mean."""
    frames = images.shape[-1]
    device = images.device
    index = (torch.arange(frames)[None] - variation.shift_frames[:, None]) % frames
    index = index[:, None, None].to(device).expand(*images.shape)
    hidden = variation.hidden_rows[:, None, :, None] | variation.hidden_frames[:, None, None, :]
    return images.gather(3, index).masked_fill(hidden.to(device), 0.0)


@dataclass(frozen=True)
class EventVariation:
    """Parameters drawn for a batch of events in their surroundings."""

    first_frame: Tensor
    """``(batch,)`` of the window in the cached images."""
    moved_s: Tensor
    """``(batch, 2)`` by which start and end of the event are moved."""
    isolated: Tensor
    """``(batch,)`` True where nothing but the event is heard."""
    speed: Tensor
    """``(batch,)`` 1 for none."""
    warp: Tensor
    """``(batch,)`` factor of mel frequencies, 1 for none."""
    tilt: Tensor
    """``(batch, bins)`` added to the logarithm of power."""
    noise: Tensor
    """``(batch, bins)`` logarithm of the power of steady noise, relative to the event's level; -inf: none."""
    breath: Tensor
    """``(batch,)`` logarithm of the gain of a normal event that is added; -inf for none."""
    partner: Tensor
    """``(batch,)`` place in the batch of the event to add."""


def draw_event_variation(
    normal: Tensor,
    bins: int,
    margin_frames: int,
    settings: Augmentation,
    generator: torch.Generator | None = None,
) -> EventVariation:
    """Draw a variation for each event of a batch; `normal` ``(batch,)`` tells which of them are normal."""
    batch = len(normal)

    def uniform(low: float, high: float, *size: int) -> Tensor:
        return low + (high - low) * torch.rand(*size, generator=generator)

    def chance(share: float) -> Tensor:
        return uniform(0, 1, batch) < share

    def around_one(width: float) -> Tensor:
        return torch.exp(uniform(-1, 1, batch) * math.log1p(width))

    knots = uniform(-settings.tilt, settings.tilt, batch, 1, 6)
    tilt = F.interpolate(knots, bins, mode="linear", align_corners=True)[:, 0]
    colour = torch.linspace(-1, 1, bins)[None] * uniform(-2.0, 2.0, batch, 1)
    noise = uniform(-6.0, -1.0, batch, 1) + colour
    noise[~chance(settings.noise)] = -torch.inf
    breath = uniform(-4.0, -0.5, batch)
    candidates = normal.nonzero()[:, 0]
    if len(candidates):
        partner = candidates[torch.randint(len(candidates), (batch,), generator=generator)]
        breath[~chance(settings.breath)] = -torch.inf
    else:
        partner, breath = torch.arange(batch), torch.full((batch,), -torch.inf)
    return EventVariation(
        torch.randint(0, 2 * margin_frames + 1, (batch,), generator=generator),
        uniform(-1, 1, batch, 2) * settings.boundary_jitter_s,
        chance(settings.isolate),
        around_one(settings.speed),
        around_one(settings.warp),
        tilt,
        noise,
        breath,
        partner,
    )


def vary_events(
    images: Tensor, bounds: Tensor, variation: EventVariation, frames: int, frame_s: float
) -> tuple[Tensor, Tensor]:
    """Vary cached images ``(batch, resolutions, bins, cached frames)`` and the bounds of their events.

    Returns
    -------
    tuple of Tensor
        ``(batch, resolutions, bins, frames)`` logarithms of power, and ``(batch, 4)`` bounds, both as
        `laennec.train.features.EventLogMel.finished` takes them.
    """
    batch, resolutions, bins, cached = images.shape
    images = images.float()
    rows = (torch.arange(bins)[None] / variation.warp[:, None]).round().long().clamp(max=bins - 1)
    # Faster and slower around the middle of the cached image, so that the window keeps the event.
    middle = cached / 2
    shown = torch.arange(frames)[None] + variation.first_frame[:, None]
    columns = ((shown - middle) * variation.speed[:, None] + middle).round().long().clamp(0, cached - 1)
    images = images.gather(2, rows[:, None, :, None].expand(-1, resolutions, -1, cached))
    images = images.gather(3, columns[:, None, None].expand(-1, resolutions, bins, -1))
    middle_s = middle * frame_s
    speed, first_s = variation.speed[:, None], variation.first_frame[:, None] * frame_s
    bounds = (bounds - middle_s) / speed + middle_s - first_s
    start, end = (bounds[:, :2] + variation.moved_s).unbind(1)
    start, end = torch.minimum(start, end - 0.1), torch.maximum(end, start + 0.1)
    heard_from = torch.where(variation.isolated, start, bounds[:, 2])
    heard_to = torch.where(variation.isolated, end, bounds[:, 3])
    bounds = torch.stack([start, end, heard_from, heard_to], dim=1)
    images = images + variation.tilt[:, None, :, None]
    # Levels of what is added are relative to the mean over the window, which is near the event's.
    level = images.mean((2, 3), keepdim=True)
    images = torch.logaddexp(images, level + variation.noise[:, None, :, None])
    added = (images - level)[variation.partner] + variation.breath[:, None, None, None]
    return torch.logaddexp(images, level + added), bounds


@dataclass(frozen=True)
class Mixing:
    """Parameters of mixup for a batch."""

    weight: Tensor
    """``(batch,)`` share of the item itself, 0.5 to 1."""
    partner: Tensor
    """``(batch,)`` index of the item mixed in."""


def draw_mixing(batch: int, alpha: float, generator: torch.Generator | None = None) -> Mixing:
    """Draw mixup weights from Beta(alpha, alpha), the larger share kept by the item itself."""
    # Two gamma draws make a beta draw; torch's own Beta takes no generator.
    concentration = torch.full((2, batch), alpha)
    gamma = torch._standard_gamma(concentration, generator=generator)
    weight = gamma[0] / gamma.sum(0).clamp_min(1e-12)
    return Mixing(torch.maximum(weight, 1 - weight), torch.randperm(batch, generator=generator))


def mix(values: Tensor, mixing: Mixing) -> Tensor:
    """Mix each item with its partner; works on images and on one-hot labels alike."""
    weight = mixing.weight.to(values).reshape(-1, *[1] * (values.ndim - 1))
    return weight * values + (1 - weight) * values[mixing.partner.to(values.device)]


def draw_hidden_metadata(batch: int, chance: float, generator: torch.Generator | None = None) -> Tensor:
    """``(3, batch)`` True where age, sex or position is to be hidden."""
    return torch.rand(3, batch, generator=generator) < chance


# Copies of whole clips, made once before training ----------------------------------------------------------


@dataclass(frozen=True)
class Copy:
    """One augmented copy of a clip: what was drawn for it."""

    row: int
    """Of the clip it is a copy of."""
    stretch: float = 1.0
    """Rate of time stretching, 1 for none."""
    warp: float = 1.0
    """Warp of vocal tract length perturbation, 1 for none."""


def draw_copies(labels: Sequence[str], settings: Augmentation, seed: int) -> list[Copy]:
    """Draw the copies of a training set.

    Nguyen & Pernkopf, section III-B: stretching doubles some classes; VTLP then enlarges "the original
    training set and the time stretched data".

    Parameters
    ----------
    labels
        Class of each training clip.
    seed
        The same labels, settings and seed give the same copies.
    """
    rng = np.random.default_rng(seed)
    stretched = [
        Copy(row, stretch=float(rng.uniform(settings.stretch_range[0], settings.stretch_range[-1])))
        for row, label in enumerate(labels)
        if label in settings.stretch_labels
    ]
    warped = [
        Copy(copy.row, copy.stretch, float(rng.uniform(settings.vtlp_range[0], settings.vtlp_range[-1])))
        for copy in [*(Copy(row) for row in range(len(labels))), *stretched]
        if labels[copy.row] in settings.vtlp_labels
        for _ in range(settings.vtlp_copies)
    ]
    return stretched + warped


def time_stretch(samples: np.ndarray, rate: float) -> np.ndarray:
    """Change the tempo and keep the pitch: a phase vocoder.

    Flanagan & Golden, "Phase vocoder", Bell System Technical Journal 45, 1966: magnitudes are read from the
    spectrum at `rate` times the speed, phases advance by what neighbouring frames tell. `librosa` does the
    same with other windows.

    Parameters
    ----------
    samples
        ``(samples,)`` float32 at 16 kHz.
    rate
        Above 1 is faster; 0.25 to 4.

    Returns
    -------
    numpy.ndarray
        ``(round(samples / rate),)`` float32.
    """
    if not 0.25 <= rate <= 4:
        raise LaennecError(f"the rate of time stretching is {rate:g}; expected 0.25 to 4")
    length = max(1, round(len(samples) / rate))
    if rate == 1.0:
        return samples.copy()
    window = torch.hann_window(STRETCH_N_FFT)
    short = max(0, STRETCH_N_FFT - len(samples))  # less than a window has no spectrum of its own
    padded = F.pad(torch.from_numpy(np.ascontiguousarray(samples, np.float32)), (0, short))
    spectrum = torch.stft(
        padded, STRETCH_N_FFT, STRETCH_HOP, window=window, return_complex=True, pad_mode="constant"
    )
    frames = spectrum.shape[1]
    steps = torch.from_numpy(np.arange(0, frames, rate))
    before, share = steps.long(), (steps % 1).float()
    spectrum = F.pad(spectrum, (0, 2))
    first, second = spectrum[:, before], spectrum[:, before + 1]
    magnitude = (1 - share) * first.abs() + share * second.abs()
    # What a bin turns by in a hop: its own frequency's advance, and the rest that the two frames show.
    # In double precision: a phase adds up to tens of thousands of radians.
    bins = torch.arange(len(spectrum), dtype=torch.float64)[:, None]
    expected = 2 * torch.pi * STRETCH_HOP * bins / STRETCH_N_FFT
    turn = second.angle().double() - first.angle().double() - expected
    turn = expected + turn - 2 * torch.pi * torch.round(turn / (2 * torch.pi))
    phase = torch.cumsum(torch.cat([first[:, :1].angle().double(), turn[:, :-1]], dim=1), dim=1)
    phase = torch.remainder(phase, 2 * torch.pi).float()
    stretched = torch.istft(
        torch.polar(magnitude, phase), STRETCH_N_FFT, STRETCH_HOP, window=window, length=length
    )
    return stretched.numpy()
