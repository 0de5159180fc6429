"""The image of a whole recording, or of any piece of one, and its variation in training."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from laennec.features.augment import (
    Augmentation,
    ImageVariation,
    draw_image_variation,
    draw_tilt,
    uniform,
    vary_images,
)
from laennec.features.base import Batch, FrontEnd
from laennec.features.spectrum import BAND_FLOOR, PowerSpectrum, log_above, mel_edges_hz, triangular_filters

DEVIATION = 5.0  # of log power around its level, over SPRSound's recordings
NOISE_LEVELS = (-1.4, -0.2)  # of steady noise that is added, in deviations
LEAST_OWN_SHARE = 0.6  # of a recording in a blend with another


class RecordingLogMel(FrontEnd):
    """Log-mel spectrogram of a whole recording, or of any piece of one, against its own loudness.

    The mean logarithm over all bands and `LEVEL_REACH_S` to either side is taken out of every frame, so that
    a stethoscope's gain does not matter and a click does not hide the breaths beside it; nothing depends on
    what lies further away, so that a recording can be processed in pieces. The bands end at 2 kHz, which the
    slowest devices record (4 kHz) and lung sounds hardly exceed.

    ``(batch, samples) -> (batch, 1, bands, frames)``.
    """

    mel: Tensor

    kind = "recording-log-mel"
    task = "recording"
    channels, clip_samples, frames = 1, 0, 0  # of any length

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
        self.edges_hz = mel_edges_hz(bands, fmin_hz, fmax_hz)
        matrix = triangular_filters(self.edges_hz, n_fft, sample_rate)
        self.register_buffer("mel", torch.tensor(matrix.T, dtype=torch.float32), persistent=False)

    def unnormalised(self, waveform: Tensor) -> Tensor:
        """Natural logarithm of the mel bands' power, ``(batch, 1, bands, frames)``."""
        bands = log_above(self.power(waveform) @ self.mel, BAND_FLOOR)
        return bands.transpose(1, 2)[:, None]

    def normalised(self, images: Tensor) -> Tensor:
        """Take the level of the neighbourhood out, and bring what is left to about unit deviation."""
        reach = self.level_frames
        # What lies beyond the ends does not count.
        level = F.avg_pool1d(images.mean(2), 2 * reach + 1, 1, reach, count_include_pad=False)
        return ((images - level[:, :, None]) / DEVIATION).clamp(-4.0, 4.0)

    @property
    def frame_s(self) -> float:
        """Seconds from one frame of the image to the next."""
        return self.hop_length / self.sample_rate

    def augment(self, batch: Batch, settings: Augmentation) -> Batch:
        """A batch of recordings, varied, `spans` with them; ``order`` and ``share`` are of the blend."""
        drawn = draw_recording_variation(batch["image"].shape, settings)
        return {
            **batch,
            "image": vary_recordings(batch["image"], drawn),
            "spans": batch["spans"] * drawn.tempo,
            "order": drawn.order,
            "share": torch.tensor(drawn.share),
        }


@dataclass(frozen=True)
class RecordingVariation:
    """How a batch is varied; drawn once, applied to images and annotations alike."""

    tempo: float  # duration of the varied batch over the given one
    tilt: Tensor  # (batch, 1, bands, 1), added: the response of another stethoscope
    noise: Tensor  # (batch, 1, bands, 1): level of steady noise to add, -inf for none
    masks: ImageVariation
    order: Tensor  # (batch,) whom each recording is blended with
    share: float  # how much of a blend is its own


def draw_recording_variation(
    shape: Sequence[int], settings: Augmentation, generator: torch.Generator | None = None
) -> RecordingVariation:
    """Draw a variation for images of ``(batch, 1, bands, frames)``."""
    batch, _, bands, frames = shape
    draw = functools.partial(uniform, generator=generator)
    tilt = draw_tilt(batch, bands, settings.tilt, generator)
    slope = torch.linspace(-1, 1, bands)[None, None] * draw(-0.5, 0.5, batch, 1, 1)
    noise = draw(*NOISE_LEVELS, batch, 1, 1) + slope
    noise[draw(0, 1, batch) > settings.noise] = -torch.inf
    tempo = float(draw(settings.tempo_range[0], settings.tempo_range[-1], 1))
    masks = draw_image_variation(batch, bands, round(frames * tempo), settings, generator)
    blended = float(draw(0, 1, 1)) < settings.blend
    return RecordingVariation(
        tempo,
        tilt[:, None, :, None],
        noise[..., None],
        masks,
        torch.randperm(batch, generator=generator),
        float(draw(LEAST_OWN_SHARE, 1.0, 1)) if blended else 1.0,
    )


def vary_recordings(image: Tensor, variation: RecordingVariation) -> Tensor:
    """The images of a batch, varied; their number of frames changes by `tempo`."""
    frames = round(image.shape[3] * variation.tempo)
    image = F.interpolate(image, (image.shape[2], frames), mode="bilinear", align_corners=False)
    image = image + variation.tilt.to(image.device)
    # Powers are added, not their standardised logarithms.
    image = torch.logaddexp(image * DEVIATION, variation.noise.to(image.device) * DEVIATION) / DEVIATION
    image = vary_images(image, variation.masks)
    return variation.share * image + (1 - variation.share) * image[variation.order.to(image.device)]
