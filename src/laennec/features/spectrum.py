"""What front ends are made of: filters, the power spectrum, levels.

Two ways to the same power spectrum live here. Training takes the fast Fourier transform over buffers that
are used again; an exported model takes a convolution with a fixed DFT basis, which ONNX Runtime runs faster
and every runtime can load. `tests/train/test_features.py` holds both to librosa.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

POWER_FLOOR = 1e-8  # added before the logarithm: 80 dB under a unit-RMS clip's total power
# Added to the power of a band where the gain is taken out later: below the rounding of 16 bits, so that
# silence is finite.
BAND_FLOOR = 1e-9


def mel_edges_hz(bands: int, fmin_hz: float, fmax_hz: float) -> np.ndarray:
    """Edges ``(bands + 2,)`` of filters spaced evenly in mel, by O'Shaughnessy (1987), as HTK uses it."""
    if not 0 <= fmin_hz < fmax_hz:
        raise ValueError(f"fmin_hz is {fmin_hz:g} and fmax_hz {fmax_hz:g}; expected 0 or more, rising")
    low, high = 2595.0 * np.log10(1.0 + np.array([fmin_hz, fmax_hz]) / 700.0)
    return 700.0 * (10.0 ** (np.linspace(low, high, bands + 2) / 2595.0) - 1.0)


def triangular_filters(edges_hz: np.ndarray, n_fft: int, sample_rate: int) -> np.ndarray:
    """Triangular filters of unit peak, ``(bands, n_fft // 2 + 1)`` float64.

    Of the ``bands + 2`` rising edges, filter *k* rises from edge *k* to *k+1* and falls to *k+2*.
    """
    if edges_hz[-1] > 1.001 * sample_rate / 2:
        raise ValueError(
            f"fmax_hz is {edges_hz[-1]:.6g}; at {sample_rate} Hz expected up to {sample_rate / 2:g}"
        )
    bins_hz = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    width_hz = np.diff(edges_hz)
    ramps = edges_hz[:, None] - bins_hz[None, :]
    rising = -ramps[:-2] / width_hz[:-1, None]
    falling = ramps[2:] / width_hz[1:, None]
    return np.maximum(0.0, np.minimum(rising, falling))


def mel_filters(bands: int, n_fft: int, sample_rate: int, fmin_hz: float, fmax_hz: float) -> np.ndarray:
    """Filters spaced evenly in mel; ``(bands, n_fft // 2 + 1)``. Equals librosa's with ``htk, norm=None``."""
    return triangular_filters(mel_edges_hz(bands, fmin_hz, fmax_hz), n_fft, sample_rate)


def linear_filters(bands: int, n_fft: int, sample_rate: int, fmin_hz: float, fmax_hz: float) -> np.ndarray:
    """Filters spaced evenly in frequency, those of LFCC; ``(bands, n_fft // 2 + 1)``."""
    return triangular_filters(np.linspace(fmin_hz, fmax_hz, bands + 2), n_fft, sample_rate)


def used_bins(filters: np.ndarray) -> int:
    """How many of the first bins filters ``(bands, bins)`` take; those above need not be computed."""
    return int(np.flatnonzero(filters.any(0)).max()) + 1


def dct_matrix(size: int) -> np.ndarray:
    """Orthonormal DCT of type II, ``(size, size)``: cepstra are ``dct_matrix(n) @ log_bands``."""
    n, k = np.arange(size), np.arange(size)[:, None]
    basis = np.cos(math.pi / size * (n + 0.5) * k) * math.sqrt(2.0 / size)
    basis[0] /= math.sqrt(2.0)
    return basis


class PowerSpectrum(nn.Module):
    """Short-time power spectrum: Hann window, centred frames, zeros beyond the ends.

    ``(batch, samples) -> (batch, 1 + samples // hop_length, n_fft // 2 + 1)``, frames before bins, so that
    filters apply as one matrix product; the frames and their number are those of
    ``librosa.stft(center=True, pad_mode="constant")``. Without `centre` the first frame starts at the first
    sample and no frame reaches beyond the last: ``1 + (samples - n_fft) // hop_length`` frames. A shorter
    `window_length` stands in the middle of `n_fft` samples, as in librosa: finer in time, with as many bins.
    Of these, the first `bins` are given, all where it is 0.
    """

    window: Tensor
    basis: Tensor

    def __init__(
        self, n_fft: int, hop_length: int, centre: bool = True, window_length: int = 0, bins: int = 0
    ) -> None:
        super().__init__()
        self.bins = bins or n_fft // 2 + 1
        self.n_fft, self.hop_length, self.centre = n_fft, hop_length, centre
        self.as_convolution = False  # set by the exporter
        window_length = window_length or n_fft
        self.before = before = (n_fft - window_length) // 2
        window = np.zeros(n_fft)
        window[before : before + window_length] = np.hanning(window_length + 1)[:-1]  # periodic
        angle = 2 * np.pi * np.outer(np.arange(self.bins), np.arange(n_fft)) / n_fft
        basis = np.concatenate([np.cos(angle), -np.sin(angle)]) * window
        basis = basis[:, before : before + window_length]  # the rest multiplies with zero
        self.register_buffer("window", torch.tensor(window, dtype=torch.float32), persistent=False)
        self.register_buffer("basis", torch.tensor(basis[:, None], dtype=torch.float32), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        padded = F.pad(waveform, (self.n_fft // 2, self.n_fft // 2)) if self.centre else waveform
        if self.as_convolution:
            inside = padded[:, None, self.before : padded.shape[1] - self.before]
            real, imaginary = F.conv1d(inside, self.basis, stride=self.hop_length).chunk(2, dim=1)
            return (real.square() + imaginary.square()).transpose(1, 2)
        return self.of_frames(padded.unfold(-1, self.n_fft, self.hop_length))

    def of_frames(self, frames: Tensor) -> Tensor:
        """Power spectra of frames, ``(…, n_fft) -> (…, bins)``, as training computes them."""
        spectrum = torch.view_as_real(torch.fft.rfft(frames * self.window)[..., : self.bins]).square_()
        return spectrum[..., 0] + spectrum[..., 1]

    def some(self, waveform: Tensor, chosen: Tensor) -> Tensor:
        """Power spectra of the frames where `chosen` ``(batch, frames)`` is True, ``(chosen, bins)``."""
        padded = F.pad(waveform, (self.n_fft // 2, self.n_fft // 2)) if self.centre else waveform
        return self.of_frames(padded.unfold(-1, self.n_fft, self.hop_length)[chosen])


def unit_rms(waveform: Tensor) -> Tensor:
    """Scale each clip to a root mean square of one, so that a stethoscope's gain does not matter.

    Digital silence stays silence.
    """
    rms = waveform.square().mean(-1, keepdim=True).sqrt()
    return waveform / rms.clamp_min(1e-7)


def log_above(power: Tensor, floor: float) -> Tensor:
    """Natural logarithm of power plus a floor, so that digital silence is finite.

    One is added to what was scaled, since the exporter takes a term of 1e-8 for nothing and leaves it out.
    """
    return torch.log(power * (1.0 / floor) + 1.0) + math.log(floor)


def standardised(images: Tensor) -> Tensor:
    """Zero mean and unit deviation over each clip's whole image ``(batch, channels, bins, frames)``."""
    mean = images.mean((2, 3), keepdim=True)
    deviation = (images - mean).square().mean((2, 3), keepdim=True).sqrt()
    return (images - mean) / (deviation + 1e-5)
