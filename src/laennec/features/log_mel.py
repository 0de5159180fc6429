"""Log-mel spectrogram of a clip, normalised clip by clip."""

import torch
from torch import Tensor

from laennec.features.base import FrontEnd
from laennec.features.spectrum import (
    POWER_FLOOR,
    PowerSpectrum,
    log_above,
    mel_filters,
    standardised,
    unit_rms,
    used_bins,
)


class LogMel(FrontEnd):
    """Log-mel spectrogram of a clip, brought to zero mean and unit deviation clip by clip.

    ``(batch, clip_samples) -> (batch, 1, bands, frames)``.
    """

    mel: Tensor

    kind = "log-mel"
    channels = 1

    def __init__(
        self,
        sample_rate: int = 8000,
        clip_samples: int = 24_000,
        n_fft: int = 512,
        hop_length: int = 100,
        bands: int = 64,
        fmin_hz: float = 40.0,
        fmax_hz: float = 3900.0,
    ) -> None:
        super().__init__()
        self.sample_rate, self.clip_samples, self.bands = sample_rate, clip_samples, bands
        self.frames = 1 + clip_samples // hop_length
        matrix = mel_filters(bands, n_fft, sample_rate, fmin_hz, fmax_hz)
        used = used_bins(matrix)
        self.power = PowerSpectrum(n_fft, hop_length, bins=used)
        self.register_buffer("mel", torch.tensor(matrix.T[:used], dtype=torch.float32), persistent=False)

    def unnormalised(self, waveform: Tensor) -> Tensor:
        """Natural logarithm of the mel bands' power."""
        bands = log_above(self.power(unit_rms(waveform)) @ self.mel, POWER_FLOOR)
        return bands.transpose(1, 2)[:, None]

    def normalised(self, images: Tensor) -> Tensor:
        """Zero mean and unit deviation over each clip's whole image."""
        return standardised(images)
