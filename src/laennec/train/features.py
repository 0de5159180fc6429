"""Front ends: waveform in, normalised image out, as PyTorch modules that are part of the model file.

Shapes follow the project's contract: waveform ``(batch, samples)`` float32, image
``(batch, channels, bins, frames)`` float32.

Two ways to the same power spectrum live here. Training takes the fast Fourier transform over buffers that
are used again; an exported model takes a convolution with a fixed DFT basis, which ONNX Runtime runs faster
and every runtime can load. `tests/train/test_features.py` holds both to librosa.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from laennec.audio.highpass import bessel_highpass_magnitude
from laennec.audio.segment import PHASE_RATIOS, part_lengths

POWER_FLOOR = 1e-8  # added before the logarithm: 80 dB under a unit-RMS clip's total power
# Added to mel magnitudes: 60 dB under the mean magnitude of a bin of unit-RMS noise in a window of 512, so
# that bands above what a device records do not decide the deviation of the image.
MAGNITUDE_FLOOR = 1e-2
RECORDING_FLOOR = (
    1e-9  # added to the power of a band: below the rounding of 16 bits, so that silence is finite
)
RECORDING_DEVIATION = 5.0  # of log power around its level, over SPRSound's recordings
EVENT_DEVIATION = 3.0  # of log power around an event's level, over SPRSound's events
INSIDE, OUTSIDE = 1.0, -1.0  # what the last channel of an event's image says of a frame
VTLP_BOUNDARY = 4800 / 16_000  # of the sample rate: Jaitly & Hinton's F_hi at their sample rate


def hz_to_mel(frequency_hz: np.ndarray | float) -> np.ndarray:
    """Mel scale of O'Shaughnessy (1987), as HTK uses it: ``2595 log10(1 + f / 700)``."""
    return 2595.0 * np.log10(1.0 + np.asarray(frequency_hz, dtype=np.float64) / 700.0)


def mel_to_hz(mel: np.ndarray) -> np.ndarray:
    """Inverse of `hz_to_mel`."""
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)


def triangular_filters(edges_hz: np.ndarray, n_fft: int, sample_rate: int) -> np.ndarray:
    """Triangular filters of unit peak between neighbouring edges.

    Parameters
    ----------
    edges_hz
        ``bands + 2`` rising frequencies: filter *k* rises from edge *k* to *k+1* and falls to *k+2*.

    Returns
    -------
    ``(bands, n_fft // 2 + 1)`` float64.
    """
    bins_hz = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    width_hz = np.diff(edges_hz)
    ramps = edges_hz[:, None] - bins_hz[None, :]
    rising = -ramps[:-2] / width_hz[:-1, None]
    falling = ramps[2:] / width_hz[1:, None]
    return np.maximum(0.0, np.minimum(rising, falling))


def mel_filters(bands: int, n_fft: int, sample_rate: int, fmin_hz: float, fmax_hz: float) -> np.ndarray:
    """Filters spaced evenly in mel; ``(bands, n_fft // 2 + 1)``. Equals librosa's with ``htk, norm=None``."""
    edges = mel_to_hz(np.linspace(hz_to_mel(fmin_hz), hz_to_mel(fmax_hz), bands + 2))
    return triangular_filters(edges, n_fft, sample_rate)


def linear_filters(bands: int, n_fft: int, sample_rate: int, fmin_hz: float, fmax_hz: float) -> np.ndarray:
    """Filters spaced evenly in frequency, those of LFCC; ``(bands, n_fft // 2 + 1)``."""
    return triangular_filters(np.linspace(fmin_hz, fmax_hz, bands + 2), n_fft, sample_rate)


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
            heard = padded[:, None, self.before : padded.shape[1] - self.before]
            real, imaginary = F.conv1d(heard, self.basis, stride=self.hop_length).chunk(2, dim=1)
            return (real.square() + imaginary.square()).transpose(1, 2)
        frames = padded.unfold(-1, self.n_fft, self.hop_length) * self.window
        spectrum = torch.view_as_real(torch.fft.rfft(frames)).square_()
        return (spectrum[..., 0] + spectrum[..., 1])[..., : self.bins]


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


class CepstralImage(nn.Module):
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

    def forward(self, waveform: Tensor) -> Tensor:
        return self.normalised(self.unnormalised(waveform))


class LogMel(nn.Module):
    """Log-mel spectrogram of a clip, brought to zero mean and unit deviation clip by clip.

    ``(batch, clip_samples) -> (batch, 1, bands, frames)``.
    """

    mel: Tensor

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
        self.power = PowerSpectrum(n_fft, hop_length)
        matrix = mel_filters(bands, n_fft, sample_rate, fmin_hz, fmax_hz)
        self.register_buffer("mel", torch.tensor(matrix.T, dtype=torch.float32), persistent=False)

    def unnormalised(self, waveform: Tensor) -> Tensor:
        """Natural logarithm of the mel bands' power."""
        bands = log_above(self.power(unit_rms(waveform)) @ self.mel, POWER_FLOOR)
        return bands.transpose(1, 2)[:, None]

    def fit_statistics(self, images: Tensor) -> None:
        """Nothing to learn: the clip normalises itself."""

    def normalised(self, images: Tensor) -> Tensor:
        """Zero mean and unit deviation over each clip's whole image."""
        return standardised(images)

    def forward(self, waveform: Tensor) -> Tensor:
        return self.normalised(self.unnormalised(waveform))


class RecordingLogMel(nn.Module):
    """Log-mel spectrogram of a whole recording, or of any piece of one, against its own loudness.

    The mean logarithm over all bands and `LEVEL_REACH_S` to either side is taken out of every frame, so that
    a stethoscope's gain does not matter and a click does not hide the breaths beside it; nothing depends on
    what lies further away, so that a recording can be heard in pieces. The bands end at 2 kHz, which the
    slowest devices record (4 kHz) and lung sounds hardly exceed.

    ``(batch, samples) -> (batch, 1, bands, frames)``.
    """

    mel: Tensor

    def __init__(
        self,
        sample_rate: int = 8000,
        n_fft: int = 400,
        hop_length: int = 100,
        bands: int = 64,
        fmin_hz: float = 40.0,
        fmax_hz: float = 2000.0,
        level_reach_s: float = 4.0,
    ) -> None:
        super().__init__()
        self.sample_rate, self.hop_length, self.bands = sample_rate, hop_length, bands
        self.level_frames = round(level_reach_s * sample_rate / hop_length)
        self.power = PowerSpectrum(n_fft, hop_length)
        matrix = mel_filters(bands, n_fft, sample_rate, fmin_hz, fmax_hz)
        self.edges_hz = mel_to_hz(np.linspace(hz_to_mel(fmin_hz), hz_to_mel(fmax_hz), bands + 2))
        self.register_buffer("mel", torch.tensor(matrix.T, dtype=torch.float32), persistent=False)

    def unnormalised(self, waveform: Tensor) -> Tensor:
        """Natural logarithm of the mel bands' power, ``(batch, 1, bands, frames)``."""
        bands = log_above(self.power(waveform) @ self.mel, RECORDING_FLOOR)
        return bands.transpose(1, 2)[:, None]

    def normalised(self, images: Tensor) -> Tensor:
        """Take the level of the neighbourhood out, and bring what is left to about unit deviation."""
        level = images.mean(2)
        width = 2 * self.level_frames + 1
        # What lies beyond the ends does not count.
        level = F.avg_pool1d(level, width, 1, self.level_frames, count_include_pad=False)
        return ((images - level[:, :, None]) / RECORDING_DEVIATION).clamp(-4.0, 4.0)

    def forward(self, waveform: Tensor) -> Tensor:
        return self.normalised(self.unnormalised(waveform))


class EventLogMel(nn.Module):
    """Log-mel spectrograms of an event in a window of silence, and where in it the event is.

    One channel a resolution, each against the event's own level (its mean logarithm over time and bands), so
    that gain does not matter; a last channel is `INSIDE` where the event is and `OUTSIDE` beside it, so that
    the network is told how long the event lasts and never hears its own padding. The bands end at 2 kHz,
    which the slowest devices record (4 kHz) and lung sounds hardly exceed.

    ``(batch, clip_samples)`` and bounds ``(batch, 2)`` ``-> (batch, resolutions + 1, bands, frames)``.

    Parameters
    ----------
    windows
        Lengths of the analysis windows in samples, one a resolution: long ones tell a wheeze's pitch, short
        ones a crackle's time.
    margin_s
        By which the waveforms of training are longer on either side, so that it can move boundaries.
    """

    mel: Tensor

    def __init__(
        self,
        sample_rate: int = 8000,
        clip_s: float = 2.4,
        windows: Sequence[int] = (512, 128),
        hop_length: int = 128,
        bands: int = 64,
        fmin_hz: float = 40.0,
        fmax_hz: float = 2000.0,
        margin_s: float = 0.4,
    ) -> None:
        super().__init__()
        n_fft = max(windows)
        self.sample_rate, self.hop_length, self.bands = sample_rate, hop_length, bands
        self.clip_samples = round(clip_s * sample_rate)
        self.margin_samples = round(margin_s * sample_rate)
        self.frames = 1 + self.clip_samples // hop_length
        self.channels = len(windows) + 1
        matrix = mel_filters(bands, n_fft, sample_rate, fmin_hz, fmax_hz)
        used = int(np.flatnonzero(matrix.any(0)).max()) + 1  # bins above the highest band are not computed
        self.powers = nn.ModuleList(
            PowerSpectrum(n_fft, hop_length, window_length=length, bins=used) for length in windows
        )
        energy = [float(np.square(np.hanning(length + 1)).sum()) for length in windows]
        self.gains = [energy[0] / own for own in energy]  # windows of any length measure noise alike
        self.register_buffer("mel", torch.tensor(matrix.T[:used], dtype=torch.float32), persistent=False)

    @property
    def training_samples(self) -> int:
        """Samples of the waveforms of training: a clip with a margin on either side."""
        return self.clip_samples + 2 * self.margin_samples

    def forward(self, waveform: Tensor, bounds: Tensor) -> Tensor:
        """Images of events.

        Parameters
        ----------
        waveform
            ``(batch, clip_samples)``; what is outside the bounds is not heard.
        bounds
            ``(batch, 2)`` samples: first of the event, and one past its last.
        """
        first, last = bounds[:, :1], bounds[:, 1:]
        place = torch.arange(waveform.shape[1], device=waveform.device)
        waveform = waveform * ((place >= first) & (place < last)).to(waveform.dtype)
        middle = torch.arange(self.frames, device=waveform.device) * self.hop_length
        half = self.hop_length // 2  # so that the shortest event has a frame
        inside = ((middle >= first - half) & (middle < last + half)).to(waveform.dtype)
        weight = inside / inside.sum(1, keepdim=True).clamp_min(1.0)
        channels = []
        for power, gain in zip(self.powers, self.gains, strict=True):
            image = log_above(power(waveform) * gain @ self.mel, RECORDING_FLOOR).transpose(1, 2)
            level = (image.mean(1) * weight).sum(1)
            relative = ((image - level[:, None, None]) / EVENT_DEVIATION).clamp(-4.0, 4.0)
            channels.append(relative * inside[:, None])
        mark = inside * INSIDE + (1 - inside) * OUTSIDE
        channels.append(mark[:, None].expand(-1, self.bands, -1))
        return torch.stack(channels, dim=1)


class CycleLogMel(nn.Module):
    """Log-mel spectrograms of a respiratory cycle and its phases, side by side along time.

    Nguyen & Pernkopf, section III-A: the parts of `segment.fit_parts` laid end to end, windows of 512
    samples without overlap, 45 mel bands, logarithm of the magnitude. Since every part is a whole number of
    windows, one spectrum of all of them is the spectra of each.

    Normalisation, which the paper calls "zero mean and unit standard deviation":

    - ``clip``: over the image of each part. It needs nothing from the training set, so source and target are
      treated alike whatever their gain, and a clip's image does not depend on who else was recorded.
    - ``band``: first each band's mean over the part's time is taken out, which takes out whatever a device
      does to the spectrum (cepstral mean normalisation: Atal, JASA 55, 1974), then as ``clip``.

    `highpass_hz` above 0 weighs the spectrum by the gain of `laennec.audio.highpass.bessel_highpass`.

    ``(batch, samples of all parts) -> (batch, 1, bands, frames of all parts)``.
    """

    mel: Tensor

    channels = 1

    def __init__(
        self,
        sample_rate: int = 16_000,
        clip_samples: int = 131_960,
        inputs: Sequence[str] = ("cycle",),
        ratio: str = "1:2",
        window: int = 512,
        hop_length: int = 0,
        bands: int = 45,
        fmin_hz: float = 0.0,
        fmax_hz: float = 8000.0,
        normalisation: str = "clip",
        highpass_hz: float = 0.0,
    ) -> None:
        super().__init__()
        if normalisation not in ("clip", "band"):
            raise ValueError(f"normalisation is {normalisation!r}; expected clip or band")
        if ratio not in PHASE_RATIOS:
            raise ValueError(f"ratio is {ratio!r}; expected one of {', '.join(PHASE_RATIOS)}")
        hop_length = hop_length or window
        if window % hop_length:
            raise ValueError(f"a window of {window} samples is not a whole number of hops of {hop_length}")
        self.sample_rate, self.clip_samples, self.bands = sample_rate, clip_samples, bands
        self.inputs, self.ratio, self.normalisation = tuple(inputs), PHASE_RATIOS[ratio], normalisation
        self.part_samples = part_lengths(clip_samples, self.inputs, self.ratio, window)
        self.part_frames = tuple(1 + (length - window) // hop_length for length in self.part_samples)
        self.frames = sum(self.part_frames)
        self.n_fft, self.fmin_hz, self.fmax_hz = window, fmin_hz, fmax_hz
        self.highpass_hz = highpass_hz
        self.power = PowerSpectrum(window, hop_length, centre=False)
        self.register_buffer("mel", self.warped_filters(1.0), persistent=False)

    def unnormalised(self, waveform: Tensor, warp: float = 1.0) -> Tensor:
        """Natural logarithm of the mel bands' magnitude; `warp` is that of VTLP, 1 for none."""
        mel = self.mel if warp == 1.0 else self.warped_filters(warp)
        parts = waveform.split(self.part_samples, dim=1)
        # Each part by itself: a window across two parts would hear a joint that is not in the recording.
        bands = torch.cat([self.power(unit_rms(part)).sqrt() @ mel for part in parts], dim=1)
        return torch.log(bands + MAGNITUDE_FLOOR).transpose(1, 2)[:, None]

    def warped_filters(self, warp: float) -> Tensor:
        """Filters ``(n_fft // 2 + 1, bands)`` whose edges are moved by `vtlp_warp`."""
        edges = mel_to_hz(
            np.linspace(float(hz_to_mel(self.fmin_hz)), float(hz_to_mel(self.fmax_hz)), self.bands + 2)
        )
        if warp != 1.0:
            edges = vtlp_warp(edges, warp, self.sample_rate)
        filters = triangular_filters(edges, self.n_fft, self.sample_rate).T
        if self.highpass_hz:
            bins_hz = np.arange(self.n_fft // 2 + 1) * self.sample_rate / self.n_fft
            filters = (
                filters * bessel_highpass_magnitude(bins_hz, self.sample_rate, self.highpass_hz)[:, None]
            )
        return torch.tensor(filters, dtype=torch.float32)

    def fit_statistics(self, images: Tensor) -> None:
        """Nothing to learn: the clip normalises itself."""

    def normalised(self, images: Tensor) -> Tensor:
        """Zero mean and unit deviation of each part of each clip."""
        parts = images.split(self.part_frames, dim=3)
        if self.normalisation == "band":
            parts = tuple(part - part.mean(3, keepdim=True) for part in parts)
        return torch.cat([standardised(part) for part in parts], dim=3)

    def forward(self, waveform: Tensor) -> Tensor:
        return self.normalised(self.unnormalised(waveform))


def standardised(images: Tensor) -> Tensor:
    """Zero mean and unit deviation over each clip's whole image ``(batch, channels, bins, frames)``."""
    mean = images.mean((2, 3), keepdim=True)
    deviation = (images - mean).square().mean((2, 3), keepdim=True).sqrt()
    return (images - mean) / (deviation + 1e-5)


def vtlp_warp(frequency_hz: np.ndarray, alpha: float, sample_rate: int) -> np.ndarray:
    """Warp frequencies as vocal tract length perturbation does.

    Jaitly & Hinton, "Vocal tract length perturbation (VTLP) improves speech recognition", ICML 2013 workshop,
    section 3: a line of slope `alpha` up to a boundary, and from there one to the Nyquist frequency, which
    stays. Their boundary frequency is 4800 Hz at 16 kHz; here it is the same share of the sample rate.
    """
    nyquist_hz = sample_rate / 2
    boundary_hz = VTLP_BOUNDARY * sample_rate * min(alpha, 1.0)
    frequency_hz = np.asarray(frequency_hz, dtype=np.float64)
    above = nyquist_hz - (nyquist_hz - boundary_hz) / (nyquist_hz - boundary_hz / alpha) * (
        nyquist_hz - frequency_hz
    )
    return np.where(frequency_hz <= boundary_hz / alpha, frequency_hz * alpha, above)


FrontEnd = CepstralImage | LogMel | CycleLogMel | EventLogMel
FRONT_ENDS: Mapping[str, Any] = {
    "cepstral-image": CepstralImage,
    "log-mel": LogMel,
    "cycle-log-mel": CycleLogMel,
    "event-log-mel": EventLogMel,
}


def build_front_end(settings: Mapping[str, Any]) -> FrontEnd:
    """Make the front end that a recipe's ``[front_end]`` table names."""
    arguments = dict(settings)
    return FRONT_ENDS[arguments.pop("kind")](**arguments)


@torch.inference_mode()
def extract(front_end: nn.Module, waveforms: Tensor, chunk: int = 16) -> Tensor:
    """Unnormalised images of many clips of one length.

    Chunks of 16 clips stay in a core's cache, which is several times faster than one large batch.

    Parameters
    ----------
    waveforms
        ``(clips, clip_samples)`` float32.

    Returns
    -------
    ``(clips, channels, bands, frames)`` float32.
    """
    unnormalised: Any = front_end.unnormalised
    first = unnormalised(waveforms[:1])
    images = first.new_empty((len(waveforms), *first.shape[1:]))
    for start in range(0, len(waveforms), chunk):
        images[start : start + chunk] = unnormalised(waveforms[start : start + chunk])
    return images
