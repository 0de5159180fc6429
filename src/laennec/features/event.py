"""The image of an event in a window of silence, its variation in training, and its place in the graph."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from laennec.audio.segment import CENTRE, place
from laennec.features.augment import Augmentation, draw_tilt, uniform
from laennec.features.base import Batch, ClipFeatures, FrontEnd, masked
from laennec.features.reading import placed_clips
from laennec.features.spectrum import BAND_FLOOR, PowerSpectrum, log_above, mel_filters, used_bins
from laennec.simulate.other import ward_noise

DEVIATION = 3.0  # of log power around an event's level, over SPRSound's events
INSIDE, OUTSIDE = 1.0, -1.0  # what the last channel of an event's image says of a frame
SHORTEST_S = 0.1  # what is left of an event at least when its boundaries are moved
CHUNK = 16  # events varied at a time on a processor, so that what is between stays in its cache


class EventLogMel(FrontEnd):
    """Log-mel spectrograms of an event in a window of silence, and where in it the event is.

    One channel a resolution, each against the event's own level (its mean logarithm over time and bands), so
    that gain does not matter; a last channel is `INSIDE` where the event is and `OUTSIDE` beside it, so that
    the network knows how long the event lasts and never takes in its own padding. The bands end at 2 kHz,
    which the slowest devices record (4 kHz) and lung sounds hardly exceed.

    `windows` are the lengths of the analysis windows in samples, one a resolution: long ones show a wheeze's
    pitch, short ones a crackle's time. By `margin_s` the waveforms of training are longer on either side, so
    that it can move boundaries.

    ``(batch, clip_samples)`` and bounds ``(batch, 2)`` ``-> (batch, resolutions + 1, bands, frames)``.
    """

    mel: Tensor

    kind = "event-log-mel"
    placement = CENTRE

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
        self.training_samples = self.clip_samples + 2 * self.margin_samples
        self.frames = 1 + self.clip_samples // hop_length
        self.channels = len(windows) + 1
        matrix = mel_filters(bands, n_fft, sample_rate, fmin_hz, fmax_hz)
        used = used_bins(matrix)
        self.powers = nn.ModuleList(
            PowerSpectrum(n_fft, hop_length, window_length=length, bins=used) for length in windows
        )
        energy = [float(np.square(np.hanning(length + 1)).sum()) for length in windows]
        self.gains = [energy[0] / own for own in energy]  # windows of any length measure noise alike
        self.register_buffer("mel", torch.tensor(matrix.T[:used], dtype=torch.float32), persistent=False)

    def read(self, clips: pd.DataFrame, padding: str, known_phases: bool = False) -> ClipFeatures:
        """Windows around events, with what is beside the events, for the margin's sake."""
        waveforms = torch.zeros(len(clips), self.training_samples)
        bounds = torch.zeros(len(clips), 2, dtype=torch.long)
        for row, samples, first, last in placed_clips(clips, self.sample_rate):
            window, where = place(samples, first, last, self.training_samples)
            waveforms[row] = torch.from_numpy(window)
            bounds[row] = torch.tensor(where)
        return ClipFeatures(waveform=waveforms, bounds=bounds)

    def network_input(self, batch: Batch) -> Tensor:
        margin = self.margin_samples
        waveform = batch["waveform"][:, margin : margin + self.clip_samples]
        return self.to(waveform.device)(waveform, batch["bounds"] - margin)

    def augment(
        self, batch: Batch, settings: Augmentation, generator: torch.Generator | None = None
    ) -> Batch:
        batch = dict(batch)
        waveform, bounds = batch.pop("waveform"), batch.pop("bounds")
        device, noises, pieces = waveform.device, None, 0
        if settings.noise > 0:
            noises = ward_noises(self.clip_samples / self.sample_rate, self.sample_rate).to(device)
            pieces = len(noises)
        drawn = draw_event_variation(len(waveform), self, settings, pieces, generator).to(device)
        shortest = round(SHORTEST_S * self.sample_rate)
        image = waveform.new_empty(len(waveform), self.channels, self.bands, self.frames)
        self.to(device)
        step = CHUNK if device.type == "cpu" else len(waveform)
        for first in range(0, len(waveform), step):
            rows = slice(first, first + step)
            samples = (waveform[rows], bounds[rows], drawn.of(rows))
            image[rows] = self(*vary_events(*samples, self.clip_samples, noises, shortest))
        # Where the event is must not be hidden: the last channel stays.
        sound, mark = image[:, :-1], image[:, -1:, :1]
        # A response adds to the sound where there is any; the level does not stay at zero for it.
        sound += drawn.tilt[:, None, :, None] / DEVIATION * (mark > 0)
        image[:, :-1] = masked(sound, settings, generator)
        return {**batch, "image": image}

    def fitting(self, padding: str) -> nn.Module:
        return PlaceEvent(self.clip_samples)

    def forward(self, waveform: Tensor, bounds: Tensor) -> Tensor:  # type: ignore[override]
        """Images of events; what is outside the bounds is left out."""
        first, last = bounds[:, :1], bounds[:, 1:]
        index = torch.arange(waveform.shape[1], device=waveform.device)
        waveform = waveform * ((index >= first) & (index < last)).to(waveform.dtype)
        middle = torch.arange(self.frames, device=waveform.device) * self.hop_length
        half = self.hop_length // 2  # so that the shortest event has a frame
        inside = ((middle >= first - half) & (middle < last + half)).to(waveform.dtype)
        weight = inside / inside.sum(1, keepdim=True).clamp_min(1.0)
        channels = []
        for power, gain in zip(self.powers, self.gains, strict=True):
            assert isinstance(power, PowerSpectrum)
            image = self._bands(power, gain, waveform, inside).transpose(1, 2)
            level = (image.mean(1) * weight).sum(1)
            relative = ((image - level[:, None, None]) / DEVIATION).clamp(-4.0, 4.0)
            channels.append(relative * inside[:, None])
        mark = inside * INSIDE + (1 - inside) * OUTSIDE
        channels.append(mark[:, None].expand(-1, self.bands, -1))
        return torch.stack(channels, dim=1)

    def _bands(self, power: PowerSpectrum, gain: float, waveform: Tensor, inside: Tensor) -> Tensor:
        """Logarithms of the bands' power of every frame, ``(batch, frames, bands)``.

        In training on a processor, those of frames outside the event, which are not looked at, are zero
        instead of computed: almost half of them.
        """
        if power.as_convolution or waveform.device.type != "cpu":
            return log_above(power(waveform) * gain @ self.mel, BAND_FLOOR)
        there = inside > 0
        bands = log_above(power.some(waveform, there) * gain @ self.mel, BAND_FLOOR)
        return bands.new_zeros(*there.shape, self.bands).masked_scatter_(there[..., None], bands)


class PlaceEvent(nn.Module):
    """Lay the window around a clip inside the graph, as `laennec.audio.segment.place` does outside.

    ``(batch, samples)``, ``(batch,)`` valid samples ``-> (batch, clip_samples)`` and ``(batch, 2)`` bounds.
    """

    index: Tensor

    def __init__(self, clip_samples: int) -> None:
        super().__init__()
        self.clip_samples = clip_samples
        self.register_buffer("index", torch.arange(clip_samples)[None], persistent=False)

    def forward(self, waveform: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        begin = torch.div(length, 2, rounding_mode="floor") - self.clip_samples // 2
        position = (self.index + begin[:, None]).clamp_min(0)
        window = waveform.gather(1, torch.minimum(position, length[:, None] - 1))
        return window, torch.stack([-begin, length - begin], dim=1)


@dataclass(frozen=True)
class EventVariation:
    """Parameters drawn for a batch of events."""

    shift: Tensor  # (batch,) samples by which the window is moved
    moved: Tensor  # (batch, 2) samples by which start and end of the event are moved
    speed: Tensor  # (batch,) of playing, 1 for none: tempo and pitch together
    noise_gain: Tensor  # (batch,) level of the added noise over that of the event; 0 for none
    noise: Tensor  # (batch,) which piece of noise
    tilt: Tensor  # (batch, bins) added to the logarithm of power

    def to(self, device: torch.device) -> "EventVariation":
        """The same parameters on a device."""
        return EventVariation(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))

    def of(self, rows: slice) -> "EventVariation":
        """The parameters of some events."""
        return EventVariation(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def draw_event_variation(
    batch: int,
    front_end: EventLogMel,
    settings: Augmentation,
    noises: int = 0,
    generator: torch.Generator | None = None,
) -> EventVariation:
    """Draw a variation for each event of a batch; `noises` is the number of pieces of noise there are."""
    draw = functools.partial(uniform, generator=generator)
    rate = front_end.sample_rate
    noisy = draw(0, 1, batch) < settings.noise
    snr_db = draw(settings.noise_snr_db[0], settings.noise_snr_db[-1], batch)
    tilt = draw_tilt(batch, front_end.bands, settings.tilt, generator)
    return EventVariation(
        (draw(-1, 1, batch) * front_end.margin_samples / 2).round().long(),
        (draw(-1, 1, batch, 2) * settings.boundary_jitter_s * rate).round().long(),
        torch.exp(draw(-1, 1, batch) * math.log1p(settings.speed)),
        torch.where(noisy & (noises > 0), 10.0 ** (-snr_db / 20.0), 0.0),
        torch.randint(0, max(1, noises), (batch,), generator=generator),
        tilt,
    )


def vary_events(
    waveforms: Tensor,
    bounds: Tensor,
    variation: EventVariation,
    clip_samples: int,
    noises: Tensor | None = None,
    shortest: int = 1,
) -> tuple[Tensor, Tensor]:
    """Vary events and cut their windows out of what training keeps of them.

    `waveforms` are ``(batch, training samples)``, `bounds` ``(batch, 2)`` samples, `noises` ``(pieces,
    clip_samples or more)`` of unit deviation; `shortest` samples are left of an event at least. Windows
    ``(batch, clip_samples)`` and their bounds are as `EventLogMel` takes them.
    """
    kept = waveforms.shape[1]
    middle = kept / 2
    # Faster and slower around the middle, so that the window keeps the event.
    index = torch.arange(clip_samples, device=waveforms.device)
    first = (kept - clip_samples) // 2 + variation.shift[:, None]
    position = ((index + first - middle) * variation.speed[:, None] + middle).clamp(0, kept - 1.001)
    below = position.long()
    share = (position - below).to(waveforms.dtype)
    samples = waveforms.gather(1, below) * (1 - share) + waveforms.gather(1, below + 1) * share
    played = ((bounds - middle) / variation.speed[:, None] + middle).round().long()
    bounds = played - first + variation.moved
    # What is left of a short event stays in the window.
    shortest = min(shortest, clip_samples)
    start = bounds[:, 0].clamp(max=clip_samples - shortest)
    end = torch.maximum(bounds[:, 1], torch.maximum(start, torch.zeros_like(start)) + shortest)
    if noises is not None:
        inside = (index >= start[:, None]) & (index < end[:, None])
        level = ((samples.square() * inside).sum(1) / inside.sum(1).clamp_min(1)).sqrt()
        gain = (variation.noise_gain * level)[:, None]
        samples = samples + gain * noises[variation.noise, :clip_samples]
    return samples, torch.stack([start, end], dim=1)


@functools.cache
def ward_noises(duration_s: float, sample_rate: int, pieces: int = 200) -> Tensor:
    """Pieces of noise to train with, ``(pieces, samples)`` of unit deviation; always the same."""
    made = [ward_noise(np.random.default_rng([1, piece]), duration_s, sample_rate) for piece in range(pieces)]
    return torch.from_numpy(np.stack(made).astype(np.float32))
