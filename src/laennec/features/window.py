"""The image of a window of a few seconds, as a microcontroller computes it."""

import torch
from torch import Tensor

from laennec.features.recording import RecordingLogMel
from laennec.features.spectrum import PowerSpectrum
from laennec.model.card import WINDOW
from laennec.model.integer import BAND_DEVIATION, DEVIATION, MOST_DEVIATIONS


class WindowLogMel(RecordingLogMel):
    """Log-mel spectrogram of a window against its own mean.

    No frame reaches beyond the window, and nothing outside of it counts, so that a device needs the sound of
    the window alone. The mean over all bands and frames is taken out, so that gain does not matter; with
    `by_band`, a second channel has each band against its own mean. Training cuts windows out of the image of
    a whole recording (`unnormalised`), which is the same: frames are not centred.

    ``(batch, clip_samples) -> (batch, channels, bands, frames)``.
    """

    kind = "window-log-mel"
    task = WINDOW

    def __init__(
        self,
        sample_rate: int = 4000,
        clip_samples: int = 8000,
        n_fft: int = 256,
        hop_length: int = 50,
        bands: int = 32,
        fmin_hz: float = 60.0,
        fmax_hz: float = 1900.0,
        by_band: bool = True,
    ) -> None:
        super().__init__(sample_rate, n_fft, hop_length, bands, fmin_hz, fmax_hz, by_band=by_band)
        if clip_samples < n_fft:
            raise ValueError(f"clip_samples is {clip_samples}; a frame alone has {n_fft}")
        self.power = PowerSpectrum(n_fft, hop_length, centre=False, bins=self.power.bins)
        self.clip_samples, self.frames = clip_samples, 1 + (clip_samples - n_fft) // hop_length

    def normalised(self, images: Tensor) -> Tensor:
        """Take the mean of the window out, and bring what is left to about unit deviation."""
        most = MOST_DEVIATIONS
        whole = ((images - images.mean((2, 3), keepdim=True)) / DEVIATION).clamp(-most, most)
        if not self.by_band:
            return whole
        own = ((images - images.mean(3, keepdim=True)) / BAND_DEVIATION).clamp(-most, most)
        return torch.cat([whole, own], dim=1)
