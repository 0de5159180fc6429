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
from laennec.train.features import EventLogMel
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
    """Parameters drawn for a batch of events."""

    shift: Tensor
    """``(batch,)`` samples by which the window is moved."""
    moved: Tensor
    """``(batch, 2)`` samples by which start and end of the event are moved."""
    speed: Tensor
    """``(batch,)`` of playing, 1 for none: tempo and pitch together."""
    noise_gain: Tensor
    """``(batch,)`` level of the added noise over that of the event; 0 for none."""
    noise: Tensor
    """``(batch,)`` which piece of noise."""
    tilt: Tensor
    """``(batch, bins)`` added to the logarithm of power."""

    def to(self, device: torch.device) -> "EventVariation":
        """The same parameters on a device."""
        return EventVariation(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def draw_event_variation(
    batch: int,
    front_end: EventLogMel,
    settings: Augmentation,
    noises: int = 0,
    generator: torch.Generator | None = None,
) -> EventVariation:
    """Draw a variation for each event of a batch; `noises` is the number of pieces of noise there are."""

    def uniform(low: float, high: float, *size: int) -> Tensor:
        return low + (high - low) * torch.rand(*size, generator=generator)

    rate = front_end.sample_rate
    noisy = uniform(0, 1, batch) < settings.noise
    snr_db = uniform(settings.noise_snr_db[0], settings.noise_snr_db[-1], batch)
    knots = uniform(-settings.tilt, settings.tilt, batch, 1, 6)
    return EventVariation(
        (uniform(-1, 1, batch) * front_end.margin_samples / 2).round().long(),
        (uniform(-1, 1, batch, 2) * settings.boundary_jitter_s * rate).round().long(),
        torch.exp(uniform(-1, 1, batch) * math.log1p(settings.speed)),
        torch.where(noisy & (noises > 0), 10.0 ** (-snr_db / 20.0), 0.0),
        torch.randint(0, max(1, noises), (batch,), generator=generator),
        F.interpolate(knots, front_end.bands, mode="linear", align_corners=True)[:, 0],
    )


def vary_events(
    waveforms: Tensor,
    bounds: Tensor,
    variation: EventVariation,
    clip_samples: int,
    noises: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Vary events and cut their windows out of what training keeps of them.

    Parameters
    ----------
    waveforms, bounds
        ``(batch, training samples)`` and ``(batch, 2)`` samples.
    noises
        ``(pieces, clip_samples or more)`` of unit deviation.

    Returns
    -------
    tuple of Tensor
        ``(batch, clip_samples)`` and ``(batch, 2)``, as `laennec.train.features.EventLogMel` takes them.
    """
    kept = waveforms.shape[1]
    middle = kept / 2
    # Faster and slower around the middle, so that the window keeps the event.
    device = waveforms.device
    first = (kept - clip_samples) // 2 + variation.shift[:, None]
    place = torch.arange(clip_samples, device=device)[None] + first
    position = ((place - middle) * variation.speed[:, None] + middle).clamp(0, kept - 1.001)
    below = position.floor()
    share = (position - below).to(waveforms.dtype)
    below = below.long()
    samples = waveforms.gather(1, below) * (1 - share) + waveforms.gather(1, below + 1) * share
    played = ((bounds - middle) / variation.speed[:, None] + middle).round().long()
    bounds = played - first + variation.moved
    # What is left of a short event is a tenth of a second at least, and in the window.
    shortest = min(800, clip_samples)
    start = bounds[:, 0].clamp(max=clip_samples - shortest)
    end = torch.maximum(bounds[:, 1], torch.maximum(start, torch.zeros_like(start)) + shortest)
    if noises is not None:
        index = torch.arange(clip_samples, device=device)[None]
        inside = (index >= start[:, None]) & (index < end[:, None])
        level = ((samples.square() * inside).sum(1) / inside.sum(1).clamp_min(1)).sqrt()
        gain = (variation.noise_gain * level)[:, None]
        samples = samples + gain * noises[variation.noise, :clip_samples]
    return samples, torch.stack([start, end], dim=1)


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
