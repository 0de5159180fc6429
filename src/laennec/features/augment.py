"""Augmentation as data: ``draw_…(generator, …) -> parameters``, then ``apply(x, parameters)``.

Item *i* of a batch is varied by item *i* of the parameters alone, so a batch of one gives the same result.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from laennec.errors import LaennecError

STRETCH_N_FFT, STRETCH_HOP = 512, 128  # samples at 16 kHz: 32 and 8 ms


@dataclass(frozen=True)
class Augmentation:
    """How training images are varied, batch by batch; zero switches a part off.

    From `boundary_jitter_s` on, the settings are for the front end ``event-log-mel``; from `tempo_range` to
    `beside_snr_db` for ``recording-log-mel``, which of the above takes noise and masks.
    """

    circular_shift: bool = False  # roll an image along time (its clip is tiled, so it stays a breath)
    frequency_masks: int = 0  # SpecAugment: bands of rows set to the mean (Park et al., Interspeech 2019)
    frequency_mask_bins: int = 8  # widest frequency mask, in rows
    time_masks: int = 0  # SpecAugment: stretches of frames set to the mean
    time_mask_frames: int = 24  # longest time mask, in frames
    mixup: float = 0.0  # alpha of mixup's Beta distribution (Zhang et al., ICLR 2018)
    boundary_jitter_s: float = 0.0  # how far boundaries of an event are moved at most, each by itself
    speed: float = 0.0  # largest change of speed, tempo and pitch together, as a share of it
    tilt: float = 0.0  # largest gain of a random response, in natural logarithms of power
    noise: float = 0.0  # chance that noise of a ward is added (`laennec.simulate.other`)
    noise_snr_db: tuple[float, ...] = (0.0, 30.0)  # lowest and highest level of the event over the noise
    tempo_range: tuple[float, ...] = (1.0, 1.0)  # shortest and longest duration, as a share of its own
    response: float = 0.0  # strength of the response of another device; 1: `draw_response` as it is
    beside: float = 0.0  # chance that another sound, a heart or a noise, is mixed into a lung's
    beside_snr_db: tuple[float, ...] = (-3.0, 22.0)  # lowest and highest level of the lung over it
    metadata_dropout: float = 0.15  # chance that age, sex or position, each by itself, is hidden
    # Classes whose training clips get a time-stretched copy each (Nguyen & Pernkopf, section III-B).
    stretch_labels: tuple[str, ...] = ()
    stretch_range: tuple[float, ...] = (0.8, 1.25)  # lowest and highest rate; above 1 is faster
    # Classes whose training clips, stretched ones included, get copies by vocal tract perturbation.
    vtlp_labels: tuple[str, ...] = ()
    vtlp_copies: int = 1  # how many of them each
    vtlp_range: tuple[float, ...] = (0.9, 1.1)  # lowest and highest warp (Jaitly & Hinton, section 3)


def uniform(low: float, high: float, *size: int, generator: torch.Generator | None = None) -> Tensor:
    """Numbers drawn evenly between two bounds."""
    return low + (high - low) * torch.rand(*size, generator=generator)


def draw_tilt(batch: int, bands: int, largest: float, generator: torch.Generator | None = None) -> Tensor:
    """Smooth responses of other stethoscopes, ``(batch, bands)``, within `largest` to either side."""
    knots = uniform(-largest, largest, batch, 1, 6, generator=generator)
    return F.interpolate(knots, bands, mode="linear", align_corners=True)[:, 0]


@dataclass(frozen=True)
class ImageVariation:
    """Parameters drawn for a batch of images: frames to roll by, and True where a mask lies."""

    shift_frames: Tensor  # (batch,)
    hidden_rows: Tensor  # (batch, bins)
    hidden_frames: Tensor  # (batch, frames)


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
    if variation.shift_frames.any():
        frames = images.shape[-1]
        index = (torch.arange(frames) - variation.shift_frames[:, None]) % frames
        images = images.gather(3, index[:, None, None].to(images.device).expand(*images.shape))
    hidden = variation.hidden_rows[:, None, :, None] | variation.hidden_frames[:, None, None, :]
    return images.masked_fill(hidden.to(images.device), 0.0)


@dataclass(frozen=True)
class Mixing:
    """Parameters of mixup, each ``(batch,)``: an item's own share, 0.5 to 1, and which item is mixed in."""

    weight: Tensor
    partner: Tensor


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
    """One augmented copy of the clip `row`: rate of time stretching and warp of VTLP, 1 for none."""

    row: int
    stretch: float = 1.0
    warp: float = 1.0


def draw_copies(labels: Sequence[str], settings: Augmentation, seed: int) -> list[Copy]:
    """Draw the copies of a training set, given the class of each clip; a seed gives the same again.

    Nguyen & Pernkopf, section III-B: stretching doubles some classes; VTLP then enlarges "the original
    training set and the time stretched data".
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
    same with other windows. ``(samples,)`` float32 at 16 kHz ``-> (round(samples / rate),)``; a `rate`, 0.25
    to 4, above 1 is faster.
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
    steps = torch.from_numpy(np.arange(0, spectrum.shape[1], rate))
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
