"""The image of Nguyen & Pernkopf: a respiratory cycle and its phases, side by side along time."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from laennec.audio.highpass import bessel_highpass_magnitude
from laennec.audio.segment import PHASE_RATIOS, fit_parts, part_lengths
from laennec.features.augment import Copy, time_stretch
from laennec.features.base import ClipFeatures, Cycle, FrontEnd, PadOrTrim
from laennec.features.reading import cut_clips
from laennec.features.spectrum import PowerSpectrum, mel_edges_hz, standardised, triangular_filters, unit_rms

# Added to mel magnitudes: 60 dB under the mean magnitude of a bin of unit-RMS noise in a window of 512, so
# that bands above what a device records do not decide the deviation of the image.
MAGNITUDE_FLOOR = 1e-2
VTLP_BOUNDARY = 4800 / 16_000  # of the sample rate: Jaitly & Hinton's F_hi at their sample rate
CHUNK = 16  # cycles whose images are computed at a time, so that they stay in a core's cache


class CycleLogMel(FrontEnd):
    """Log-mel spectrograms of a respiratory cycle and its phases, side by side along time.

    Nguyen & Pernkopf, section III-A: the parts of `laennec.audio.segment.fit_parts` end to end, windows
    of 512 samples without overlap, 45 mel bands, logarithm of the magnitude. Since every part is a whole
    number of windows, one spectrum of all of them is the spectra of each.

    Normalisation, which the paper calls "zero mean and unit standard deviation":

    - ``clip``: over the image of each part. It needs nothing from the training set, so source and target are
      treated alike whatever their gain, and a clip's image does not depend on who else was recorded.
    - ``band``: first each band's mean over the part's time is taken out, which takes out whatever a device
      does to the spectrum (cepstral mean normalisation: Atal, JASA 55, 1974), then as ``clip``.

    `highpass_hz` above 0 weighs the spectrum by the gain of `laennec.audio.highpass.bessel_highpass`.

    ``(batch, samples of all parts) -> (batch, 1, bands, frames of all parts)``.
    """

    mel: Tensor

    kind = "cycle-log-mel"
    task = "cycle"
    window_s, window_hop_s = 2.7, 0.9  # ICBHI's cycles last 2.7 s on average
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
        """Zero mean and unit deviation of each part of each clip; nothing comes from the training set."""
        parts = self.log_bands(waveform, warp).split(self.part_frames, dim=3)
        if self.normalisation == "band":
            parts = tuple(part - part.mean(3, keepdim=True) for part in parts)
        return torch.cat([standardised(part) for part in parts], dim=3)

    def log_bands(self, waveform: Tensor, warp: float = 1.0) -> Tensor:
        """Natural logarithm of the mel bands' magnitude; `warp` is that of VTLP, 1 for none."""
        mel = self.mel if warp == 1.0 else self.warped_filters(warp)
        parts = waveform.split(self.part_samples, dim=1)
        # Each part by itself: a window across two parts would hold a joint that is not in the recording.
        bands = torch.cat([self.power(unit_rms(part)).sqrt() @ mel for part in parts], dim=1)
        return torch.log(bands + MAGNITUDE_FLOOR).transpose(1, 2)[:, None]

    def warped_filters(self, warp: float) -> Tensor:
        """Filters ``(n_fft // 2 + 1, bands)`` whose edges are moved by `vtlp_warp`."""
        edges = mel_edges_hz(self.bands, self.fmin_hz, self.fmax_hz)
        if warp != 1.0:
            edges = vtlp_warp(edges, warp, self.sample_rate)
        filters = triangular_filters(edges, self.n_fft, self.sample_rate).T
        if self.highpass_hz:
            bins_hz = np.arange(self.n_fft // 2 + 1) * self.sample_rate / self.n_fft
            gains = bessel_highpass_magnitude(bins_hz, self.sample_rate, self.highpass_hz)
            filters = filters * gains[:, None]
        return torch.tensor(filters, dtype=torch.float32)

    def network_settings(self) -> Mapping[str, Any]:
        return {"part_frames": self.part_frames}

    @torch.no_grad()  # not inference mode, whose tensors cannot be trained on
    def read(self, clips: pd.DataFrame, padding: str, known_phases: bool = False) -> ClipFeatures:
        cycles = read_cycles(clips, self.sample_rate)
        images = torch.empty(len(cycles), 1, self.bands, self.frames)
        for start in range(0, len(cycles), CHUNK):
            chunk = [self.fitted(cycle, padding, known_phases) for cycle in cycles[start : start + CHUNK]]
            images[start : start + CHUNK] = self.unnormalised(torch.stack(chunk))
        return ClipFeatures(images, cycles=cycles)

    @torch.no_grad()
    def copies(
        self, cycles: Sequence[Cycle], copies: Sequence[Copy], padding: str, known_phases: bool = False
    ) -> Tensor:
        images = torch.empty(len(copies), 1, self.bands, self.frames)
        for index, copy in enumerate(copies):  # each has filters of its own
            samples, known = cycles[copy.row].samples, cycles[copy.row].inspiration_length
            known = None if known is None else round(known / copy.stretch)
            cycle = Cycle(time_stretch(samples, copy.stretch), known)
            waveform = self.fitted(cycle, padding, known_phases)
            images[index] = self.unnormalised(waveform[None], copy.warp)[0]
        return images

    def fitted(self, cycle: Cycle, padding: str, known_phases: bool) -> Tensor:
        """The parts of a cycle end to end; `known_phases`: split where its airflow turned, if known."""
        end = cycle.inspiration_length if known_phases else None
        parts = fit_parts(cycle.samples, self.inputs, self.part_samples, self.ratio, padding, end)
        return torch.from_numpy(parts)

    def fitting(self, padding: str) -> nn.Module:
        return FitParts(self, padding)


def vtlp_warp(frequency_hz: np.ndarray, alpha: float, sample_rate: int) -> np.ndarray:
    """Warp frequencies as vocal tract length perturbation does.

    Jaitly & Hinton, "Vocal tract length perturbation (VTLP) improves speech recognition", ICML 2013 workshop,
    section 3: a line of slope `alpha` up to a boundary, and from there one to the Nyquist frequency, which
    stays. Their boundary frequency is 4800 Hz at 16 kHz; here it is the same share of the sample rate.
    """
    nyquist_hz = sample_rate / 2
    boundary_hz = VTLP_BOUNDARY * sample_rate * min(alpha, 1.0)
    frequency_hz = np.asarray(frequency_hz, dtype=np.float64)
    slope = (nyquist_hz - boundary_hz) / (nyquist_hz - boundary_hz / alpha)
    above = nyquist_hz - slope * (nyquist_hz - frequency_hz)
    return np.where(frequency_hz <= boundary_hz / alpha, frequency_hz * alpha, above)


class FitParts(nn.Module):
    """Split a cycle into phases and fit each part inside the graph.

    `laennec.audio.segment.fit_parts` does so outside.

    ``(batch, samples)`` and ``(batch,)`` valid samples ``-> (batch, samples of all parts)``. Phases are told
    apart by the ratio: a model file is given sound alone, no airflow.
    """

    def __init__(self, front_end: CycleLogMel, padding: str) -> None:
        super().__init__()
        self.inputs, self.ratio = front_end.inputs, front_end.ratio
        self.parts = nn.ModuleList(PadOrTrim(length, padding) for length in front_end.part_samples)

    def forward(self, waveform: Tensor, length: Tensor) -> Tensor:
        # In double precision, or the boundary of a long cycle would be rounded to another sample.
        whole = torch.maximum(length, torch.full_like(length, 2))
        inspiration = (whole.double() * self.ratio + 0.5).floor().long()
        inspiration = torch.minimum(inspiration.clamp_min(1), whole - 1)
        bounds = {
            "cycle": (torch.zeros_like(length), length),
            "inspiration": (torch.zeros_like(length), torch.minimum(inspiration, length)),
            "expiration": (torch.minimum(inspiration, length - 1), (length - inspiration).clamp_min(1)),
        }
        named = zip(self.inputs, self.parts, strict=True)
        return torch.cat([fit(waveform, bounds[name][1], bounds[name][0]) for name, fit in named], dim=1)


def read_cycles(clips: pd.DataFrame, sample_rate: int) -> list[Cycle]:
    """Cut all clips, each recording decoded once; a cycle of less than two samples is doubled."""
    cycles = {}
    end_s = clips["inspiration_end_s"].to_numpy(float) - clips["start_s"].to_numpy(float)
    for row, samples in cut_clips(clips, sample_rate):
        known = None if np.isnan(end_s[row]) else round(end_s[row] * sample_rate)
        cycles[row] = Cycle(samples if len(samples) > 1 else np.repeat(samples, 2), known)
    return [cycles[row] for row in range(len(clips))]
