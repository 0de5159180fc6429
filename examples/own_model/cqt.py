"""A front end of one's own: a constant-Q transform, twelve bins an octave, as in music.

Brown, "Calculation of a constant Q spectral transform", JASA 89, 1991: every bin has a window of as many
periods, so that the image of a wheeze moves up with its pitch and does not change its shape.
"""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from laennec.features.base import FrontEnd
from laennec.features.spectrum import POWER_FLOOR, log_above, standardised, unit_rms


class ConstantQ(FrontEnd):
    """``(batch, clip_samples) -> (batch, 1, bins, frames)``, each image of zero mean and unit deviation."""

    kernels: Tensor
    channels = 1

    def __init__(
        self,
        sample_rate: int = 8000,
        clip_samples: int = 16_000,
        hop_length: int = 200,
        fmin_hz: float = 60.0,
        bins: int = 60,
        bins_per_octave: int = 12,
    ) -> None:
        super().__init__()
        self.sample_rate, self.clip_samples, self.hop_length = sample_rate, clip_samples, hop_length
        self.bands, self.frames = bins, 1 + (clip_samples - 1) // hop_length
        quality = 1 / (2 ** (1 / bins_per_octave) - 1)
        centre_hz = fmin_hz * 2.0 ** (np.arange(bins) / bins_per_octave)
        if centre_hz[-1] >= sample_rate / 2:
            raise ValueError(f"the highest bin, {centre_hz[-1]:.0f} Hz, is beyond half the sample rate")
        self.half = math.ceil(quality * sample_rate / fmin_hz / 2)
        time_s = np.arange(-self.half, self.half + 1) / sample_rate
        inside = np.abs(time_s) * centre_hz[:, None] / quality * 2  # 1 where a bin's window ends
        window = np.where(inside < 1, np.cos(np.pi * inside / 2) ** 2, 0.0)
        window /= np.sqrt(np.square(window).sum(1, keepdims=True))
        angle = 2 * np.pi * centre_hz[:, None] * time_s
        kernels = np.concatenate([window * np.cos(angle), window * np.sin(angle)])[:, None]
        self.register_buffer("kernels", torch.tensor(kernels, dtype=torch.float32), persistent=False)

    def unnormalised(self, waveform: Tensor) -> Tensor:
        """Natural logarithm of each bin's power."""
        padded = F.pad(unit_rms(waveform), (self.half, self.half))[:, None]
        real, imaginary = F.conv1d(padded, self.kernels, stride=self.hop_length).chunk(2, dim=1)
        return log_above(real.square() + imaginary.square(), POWER_FLOOR)[:, None]

    def normalised(self, images: Tensor) -> Tensor:
        return standardised(images)
