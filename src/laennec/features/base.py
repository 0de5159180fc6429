"""What a front end is: waveform in, normalised image out, as a PyTorch module that is part of the model file.

Shapes follow the project's contract: waveform ``(batch, samples)`` float32, image
``(batch, channels, bins, frames)`` float32. `FrontEnd` is the contract, with what an image of a clip of fixed
length needs as the default; a front end overrides what differs. Training, cross-validation and export know
nothing else of a front end, so that one can be given from outside the package.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from laennec.errors import LaennecError
from laennec.features.augment import Augmentation, Copy, draw_image_variation, vary_images
from laennec.features.reading import read_waveforms
from laennec.features.spectrum import PowerSpectrum

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Cycle:
    """Samples ``(samples,)`` float32 of one clip, and how many are inspiration, where that is known."""

    samples: np.ndarray
    inspiration_length: int | None = None


@dataclass(frozen=True)
class ClipFeatures:
    """What a front end keeps of clips before anything is fitted: images, or what they are computed from.

    `image` is ``(clips, channels, bands, frames)``, without statistics of a training set. Where images are
    computed batch by batch, there are instead `waveform` ``(clips, samples)`` and `bounds` ``(clips, 2)``:
    first sample of the event, and one past its last. `cycles`, one per clip, are there where augmented copies
    are made of them.
    """

    image: Tensor | None = None
    waveform: Tensor | None = None
    bounds: Tensor | None = None
    cycles: Sequence[Cycle] = ()


class PadOrTrim(nn.Module):
    """Bring clips to one length inside the graph, as `laennec.audio.segment.fit_length` does outside.

    ``(batch, samples)``, ``(batch,)`` valid samples and the first of them ``-> (batch, clip_samples)``.
    """

    index: Tensor

    def __init__(self, clip_samples: int, padding: str) -> None:
        super().__init__()
        self.padding = padding
        self.register_buffer("index", torch.arange(clip_samples)[None], persistent=False)

    def forward(self, waveform: Tensor, length: Tensor, first: Tensor | None = None) -> Tensor:
        count = length[:, None]
        offset = 0 if first is None else first[:, None]
        if self.padding == "tile":
            return waveform.gather(1, self.index % count + offset)
        if self.padding == "sample":
            # Backwards from the last sample, then forwards again: a triangle of period 2n.
            position = self.index % (2 * count)
            return waveform.gather(1, torch.minimum(position, 2 * count - 1 - position) + offset)
        inside = self.index < count
        return waveform.gather(1, torch.minimum(self.index, count - 1) + offset) * inside.to(waveform.dtype)


class FrontEnd(nn.Module):
    """The contract of front ends, for clips of one length whose images are computed once.

    A subclass sets the attributes and defines `unnormalised`; everything else has a default.

    Attributes
    ----------
    kind : str
        Its name in recipes, where it is part of the package.
    task : str
        What it takes: ``event``, ``cycle`` or ``recording``; it decides what is trained.
    window_s, window_hop_s : float
        Windows in which an exported model goes over a recording without boundaries. SPRSound's events last
        1.3 s on average; a longer window would hold several.
    placement : str
        How a clip is brought to length outside the graph, where it is not the recipe's padding.
    sample_rate, clip_samples, channels, bands, frames : int
        Hz, and samples of a clip; sizes of an image.
    """

    kind: ClassVar[str] = ""
    task: ClassVar[str] = "event"
    window_s: ClassVar[float] = 1.5
    window_hop_s: ClassVar[float] = 0.5
    placement: ClassVar[str] = ""

    sample_rate: int
    clip_samples: int
    channels: int
    bands: int
    frames: int

    def network_settings(self) -> Mapping[str, Any]:
        """Arguments of the network that the front end decides, for networks that take them."""
        return {}

    def read(self, clips: pd.DataFrame, padding: str, known_phases: bool = False) -> ClipFeatures:
        """Read clips of a clips table; `known_phases` as in a recipe."""
        waveforms = read_waveforms(clips, self.sample_rate, self.clip_samples, padding)
        return ClipFeatures(extract(self, waveforms))

    def copies(
        self, cycles: Sequence[Cycle], copies: Sequence[Copy], padding: str, known_phases: bool = False
    ) -> Tensor:
        """Images of augmented copies of clips, as `read` has them; LaennecError if none are made."""
        raise LaennecError(
            f"the front end {self.kind or type(self).__name__} makes no stretched or warped copies; leave "
            "out stretch_labels and vtlp_labels"
        )

    def fit_statistics(self, images: Tensor) -> None:
        """Learn what images are normalised by from the `unnormalised` images of the training set."""

    def normalised(self, images: Tensor) -> Tensor:
        """Normalise `unnormalised` images."""
        return images

    def network_input(self, batch: Batch) -> Tensor:
        """Images of a batch, unvaried."""
        return batch["image"]

    def augment(
        self, batch: Batch, settings: Augmentation, generator: torch.Generator | None = None
    ) -> Batch:
        """A batch of training, varied, with the network's input as ``image``.

        Numbers are drawn from `generator`, or from PyTorch's own. One that takes no generator works as well;
        its batches are not prepared ahead (`laennec.train.ahead`).
        """
        return {**batch, "image": masked(batch["image"], settings, generator)}

    def unnormalised(self, waveform: Tensor) -> Tensor:
        """``(batch, clip_samples) -> (batch, channels, bands, frames)``, before `normalised`."""
        raise NotImplementedError

    def forward(self, waveform: Tensor) -> Tensor:
        """What `fitting` gives ``->`` normalised images."""
        return self.normalised(self.unnormalised(waveform))

    def fitting(self, padding: str) -> nn.Module:
        """What brings a clip ``(batch, samples)`` of ``(batch,)`` valid samples to what `forward` takes."""
        return PadOrTrim(self.clip_samples, padding)

    def for_export(self, on: bool = True) -> None:
        """Compute spectra as the exported graph does, or as training does."""
        for part in self.modules():
            if isinstance(part, PowerSpectrum):
                part.as_convolution = on


def masked(images: Tensor, settings: Augmentation, generator: torch.Generator | None = None) -> Tensor:
    """Images shifted and masked as a recipe wants it."""
    count, _, bins, frames = images.shape
    if settings.circular_shift or settings.frequency_masks or settings.time_masks:
        return vary_images(images, draw_image_variation(count, bins, frames, settings, generator))
    return images


@torch.inference_mode()
def extract(front_end: FrontEnd, waveforms: Tensor, chunk: int = 16) -> Tensor:
    """Unnormalised images of many clips of one length; `waveforms` ``(clips, clip_samples)`` float32.

    Chunks of 16 clips stay in a core's cache, which is several times faster than one large batch.
    """
    first = front_end.unnormalised(waveforms[:1])
    images = first.new_empty((len(waveforms), *first.shape[1:]))
    for start in range(0, len(waveforms), chunk):
        images[start : start + chunk] = front_end.unnormalised(waveforms[start : start + chunk])
    return images
