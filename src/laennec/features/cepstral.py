"""The image of Chen & Zhang: mel spectrogram, MFCC and LFCC."""

import math

import numpy as np
import torch
from torch import Tensor

from laennec.features.base import FrontEnd
from laennec.features.spectrum import (
    POWER_FLOOR,
    PowerSpectrum,
    dct_matrix,
    linear_filters,
    log_above,
    mel_filters,
    unit_rms,
)


class CepstralImage(FrontEnd):
    """Log-mel spectrogram, MFCC and LFCC of a clip as the three channels of one normalised image.

    Chen & Zhang, sections 3.2 and 3.6: "3-dimensional normalized Mel-spectrogram concatenated with MFCC and
    LFCC". All three come from one power spectrum, and keep as many coefficients as there are bands, so that
    they stack. Each row of each channel is brought to zero mean and unit deviation with the statistics of
    the training set (`fit_statistics`), since the first cepstral coefficients are tens of times larger than
    the last and one scale for a whole channel would leave only them. The clip's own gain is taken out first.

    ``(batch, clip_samples) -> (batch, 3, bands, frames)``.
    """

    filters: Tensor
    dct: Tensor
    mean: Tensor
    deviation: Tensor

    kind = "cepstral-image"
    channels = 3

    def __init__(
        self,
        sample_rate: int = 8000,
        clip_samples: int = 20_000,
        n_fft: int = 512,
        hop_length: int = 256,
        bands: int = 64,
        fmin_hz: float = 0.0,
        fmax_hz: float = 4000.0,
    ) -> None:
        super().__init__()
        self.sample_rate, self.clip_samples, self.bands = sample_rate, clip_samples, bands
        self.frames = 1 + clip_samples // hop_length
        self.power = PowerSpectrum(n_fft, hop_length)
        arguments = (bands, n_fft, sample_rate, fmin_hz, fmax_hz)
        # Transposed, and mel beside linear: both filter banks are one product of frames by bins.
        filters = np.concatenate([mel_filters(*arguments), linear_filters(*arguments)]).T
        self.register_buffer("filters", torch.tensor(filters, dtype=torch.float32), persistent=False)
        self.register_buffer("dct", torch.tensor(dct_matrix(bands).T, dtype=torch.float32), persistent=False)
        self.register_buffer("mean", torch.zeros(3, bands, 1))
        self.register_buffer("deviation", torch.ones(3, bands, 1))

    def unnormalised(self, waveform: Tensor) -> Tensor:
        """Decibels of the mel bands, and the cepstra of the natural logarithm: before standardisation."""
        bands = log_above(self.power(unit_rms(waveform)) @ self.filters, POWER_FLOOR)
        log_mel, log_linear = bands.chunk(2, dim=2)
        channels = (log_mel * (10.0 / math.log(10.0)), log_mel @ self.dct, log_linear @ self.dct)
        return torch.stack([channel.transpose(1, 2) for channel in channels], dim=1)

    def fit_statistics(self, images: Tensor) -> None:
        """Set each row's mean and deviation from the training set's `unnormalised` images."""
        self.mean = images.mean((0, 3), dtype=torch.float64)[..., None].float()
        self.deviation = images.double().std((0, 3))[..., None].float().clamp_min(1e-6)

    def normalised(self, images: Tensor) -> Tensor:
        """Standardise `unnormalised` images."""
        return (images - self.mean) / self.deviation
