"""The image of a whole recording, or of any piece of one, and its variation in training."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from laennec.features.augment import (
    Augmentation,
    ImageVariation,
    draw_image_variation,
    uniform,
    vary_images,
)
from laennec.features.base import Batch, FrontEnd
from laennec.features.spectrum import (
    BAND_FLOOR,
    PowerSpectrum,
    log_above,
    mel_edges_hz,
    triangular_filters,
    used_bins,
)

DEVIATION = 5.0  # of log power around its level, over SPRSound's recordings
BAND_DEVIATION = 2.5  # of log power around the level of its own band
NEPERS_PER_DB = math.log(10) / 10  # of power
SLOPES = (-4.0, 1.0)  # of steady noise from the lowest band to the highest, in natural logarithms of power
LATE_RESPONSE = 0.4  # share of the strongest response that is left in the last fifth of a training
MEDIAN_OF = 13  # one value in so many tells the median of an image well enough; prime to the frames
SHARPEST_CUT, DEEPEST_CUT = 20.0, 8.0  # of a band-limit, in natural logarithms of power


class RecordingLogMel(FrontEnd):
    """Log-mel spectrogram of a whole recording, or of any piece of one, against its own loudness.

    The mean logarithm over all bands and `LEVEL_REACH_S` to either side is taken out of every frame, so that
    a stethoscope's gain does not matter and a click does not hide the breaths beside it; nothing depends on
    what lies further away, so that a recording can be processed in pieces. The bands end at 2 kHz, which the
    slowest devices record (4 kHz) and lung sounds hardly exceed.

    With `by_band`, a second channel has each band against its own mean over the same time, which takes out
    the response of the device and of the chest (cepstral mean normalisation: Atal, JASA 55, 1974); the first
    channel keeps the spectrum, by which a heart is told from a lung.

    ``(batch, samples) -> (batch, channels, bands, frames)``; `unnormalised` images have one channel.
    """

    mel: Tensor

    kind = "recording-log-mel"
    task = "recording"
    clip_samples, frames = 0, 0  # of any length

    def __init__(
        self,
        sample_rate: int = 8000,
        n_fft: int = 400,
        hop_length: int = 100,
        bands: int = 64,
        fmin_hz: float = 40.0,
        fmax_hz: float = 2000.0,
        level_reach_s: float = 4.0,
        by_band: bool = False,
    ) -> None:
        super().__init__()
        self.sample_rate, self.hop_length, self.bands = sample_rate, hop_length, bands
        self.by_band, self.channels = by_band, 1 + by_band
        self.level_frames = round(level_reach_s * sample_rate / hop_length)
        self.edges_hz = mel_edges_hz(bands, fmin_hz, fmax_hz)
        matrix = triangular_filters(self.edges_hz, n_fft, sample_rate)
        used = used_bins(matrix)
        self.power = PowerSpectrum(n_fft, hop_length, bins=used)
        self.register_buffer("mel", torch.tensor(matrix.T[:used], dtype=torch.float32), persistent=False)

    def unnormalised(self, waveform: Tensor) -> Tensor:
        """Natural logarithm of the mel bands' power, ``(batch, 1, bands, frames)``."""
        bands = log_above(self.power(waveform) @ self.mel, BAND_FLOOR)
        return bands.transpose(1, 2)[:, None]

    def normalised(self, images: Tensor) -> Tensor:
        """Take the level of the neighbourhood out, and bring what is left to about unit deviation."""
        reach = self.level_frames
        level = moving_mean(images.mean(2, keepdim=True), reach)
        whole = ((images - level) / DEVIATION).clamp(-4.0, 4.0)
        if not self.by_band:
            return whole
        own = (images - moving_mean(images, reach)) / BAND_DEVIATION
        return torch.cat([whole, own.clamp(-4.0, 4.0)], dim=1)

    @property
    def frame_s(self) -> float:
        """Seconds from one frame of the image to the next."""
        return self.hop_length / self.sample_rate

    def augment(
        self, batch: Batch, settings: Augmentation, generator: torch.Generator | None = None
    ) -> Batch:
        """A batch of unnormalised images, varied and normalised, `spans` with them.

        ``beside``, where there is any, are images of other sounds, mixed into those of lungs (kind 0);
        ``progress`` is how far the training is, 0 to 1: responses grow milder towards its end.
        """
        image, beside = batch["image"], batch.get("beside")
        drawn = draw_recording_variation(image.shape, settings, generator, image.device)
        if beside is not None:
            image = mix_beside(image, beside, drawn.beside_db, batch["kind"] == 0)
        late = max(LATE_RESPONSE, 1 - 0.8 * float(batch.get("progress", 1.0)))
        image = vary_recordings(image, drawn, late)
        return {
            **batch,
            "image": vary_images(self._at_tempo(self.normalised(image), drawn.tempo), drawn.masks),
            "spans": batch["spans"] * drawn.tempo,
        }

    @staticmethod
    def _at_tempo(image: Tensor, tempo: float) -> Tensor:
        size = (image.shape[2], round(image.shape[3] * tempo))
        return F.interpolate(image, size, mode="bilinear", align_corners=False)


def moving_mean(values: Tensor, reach: int) -> Tensor:
    """Mean of ``(batch, channels, bands, frames)`` over frames to `reach` on either side, of what there is.

    By running sums, continued beyond both ends: pooling would add up each of hundreds of values anew, and
    choosing sums by their numbers is slow in ONNX Runtime. Of what is left around the mean of the whole, they
    stay so small that it does not matter where a piece of a recording begins.
    """
    length = values.shape[-1]
    whole = values.mean(-1, keepdim=True)
    sums = F.pad((values - whole).cumsum(-1), (1, 0))
    sums = F.pad(sums, (reach, reach, 0, 0), mode="replicate")
    at = torch.arange(length, device=values.device)
    count = (at + reach + 1).clamp_max(length) - (at - reach).clamp_min(0)
    return (sums[..., 2 * reach + 1 :] - sums[..., : -2 * reach - 1]) / count + whole


@dataclass(frozen=True)
class RecordingVariation:
    """How a batch is varied; drawn once, applied to images and annotations alike."""

    tempo: float  # duration of the varied batch over the given one
    response: Tensor  # (batch, 1, bands, 1), added: that of another stethoscope
    beside_db: Tensor  # (batch,): level of a lung over the sound beside it, inf for none
    noise_db: Tensor  # (batch,): level of the recording over steady noise, inf for none
    noise: Tensor  # (batch, 1, bands, frames): the noise, around a level of 0
    masks: ImageVariation


def draw_recording_variation(
    shape: Sequence[int],
    settings: Augmentation,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> RecordingVariation:
    """Draw a variation for images of ``(batch, 1, bands, frames)``."""
    batch, _, bands, frames = shape
    draw = functools.partial(uniform, generator=generator)
    beside_db, noise_db = (
        draw(levels[0], levels[-1], batch) for levels in (settings.beside_snr_db, settings.noise_snr_db)
    )
    beside_db[draw(0, 1, batch) >= settings.beside] = torch.inf
    noise_db[draw(0, 1, batch) >= settings.noise] = torch.inf
    slope = torch.linspace(0, 1, bands)[None, None, :, None] * draw(*SLOPES, batch, 1, 1, 1)
    tempo = float(draw(settings.tempo_range[0], settings.tempo_range[-1], 1))
    # The power of a band of noise in a frame: the mean of two bins or so, each of exponential power.
    drawn = torch.rand(2, *shape, device=device, generator=generator).clamp_min(1e-6)
    powers = -torch.log(drawn[0] * drawn[1]) / 2
    return RecordingVariation(
        tempo,
        settings.response * draw_response(batch, bands, generator)[:, None, :, None],
        beside_db,
        noise_db,
        slope.to(device) + torch.log(powers + 1e-3),
        draw_image_variation(batch, bands, round(frames * tempo), settings, generator),
    )


def draw_response(batch: int, bands: int, generator: torch.Generator | None = None) -> Tensor:
    """Responses of devices in natural logarithms of power, ``(batch, bands)``.

    A slope, a bend, two resonances of any width, and for some a limit of their band at the top or the bottom.
    """
    draw = functools.partial(uniform, generator=generator)
    at = torch.linspace(-1, 1, bands)[None]

    def normal(deviation: float) -> Tensor:
        return deviation * torch.randn(batch, 1, generator=generator)

    response = normal(1.0) * at + normal(0.6) * torch.cos(math.pi * at)
    for _ in range(2):
        centre, width = draw(-1, 1, batch, 1), draw(0.15, 0.5, batch, 1)
        response = response + normal(0.8) * torch.exp(-(((at - centre) / width) ** 2))
    for low, high, side in ((-0.2, 1.0, 1), (-1.0, -0.6, -1)):
        beyond = side * (at - draw(low, high, batch, 1)) * draw(SHARPEST_CUT / 5, SHARPEST_CUT, batch, 1)
        response = response - (draw(0, 1, batch, 1) < 0.3) * beyond.clamp(0, DEEPEST_CUT)
    return response


def mix_beside(image: Tensor, beside: Tensor, level_db: Tensor, where: Tensor) -> Tensor:
    """Images with other sounds in them, at a level in dB below their own; powers are added.

    The level of each is the median over time of its strongest band.

    Parameters
    ----------
    image, beside
        ``(batch, 1, bands, frames)`` natural logarithms of power.
    level_db
        ``(batch,)``, inf for nothing.
    where
        ``(batch,)`` bool: images that anything is mixed into.
    """
    levels = [one.amax(2).median(2).values[:, :, None, None] for one in (image, beside)]
    lower = (NEPERS_PER_DB * level_db.to(image.device))[:, None, None, None]
    mixed = torch.logaddexp(image, beside - levels[1] + levels[0] - lower)
    return torch.where(where[:, None, None, None], mixed, image)


def vary_recordings(image: Tensor, variation: RecordingVariation, late: float = 1.0) -> Tensor:
    """Unnormalised images of a batch with noise of a room in them, as another stethoscope hears them.

    `late` is the share of the response that is applied.
    """
    median = image.flatten(1)[:, ::MEDIAN_OF].median(1).values[:, None, None, None]
    lower = (NEPERS_PER_DB * variation.noise_db.to(image.device))[:, None, None, None]
    image = torch.logaddexp(image, median + variation.noise - lower)
    return image + late * variation.response.to(image.device)
