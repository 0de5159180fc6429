"""A small network that tells inspiration, expiration and pause apart in every frame.

Three convolutions over bands and time, then dilated ones over time (Bai, Kolter & Koltun,
arXiv:1803.01271, 2018), as in `laennec.models.recording`, a tenth of its size. A frame depends on 1.6 s to
either side: on the breath that it is in, and on where that meets the next.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from laennec.model.phases import STATES
from laennec.models.recording import DilatedBlock

STRIDES = ((2, 2), (2, 1), (2, 1))  # over bands and frames
SHORTEST_CYCLE = 10  # frames
# Where, in a cycle, inspiration ends (at rest at 0.42: Tobin, Chest 84, 1983), and where expiration is no
# longer heard. Without an upper limit of that, a network that learns cycles of one data set and pauses of
# another tells the data sets apart instead, and hears no pause in the first at all.
INSPIRATION_ENDS, EXPIRATION_ENDS = (0.2, 0.6), (0.4, 0.9)


class PhaseNet(nn.Module):
    """``(batch, channels, bands, frames) -> (batch, 3, T)`` logits of `STATES`.

    T = ceil(frames / `time_stride`). The number of event classes is not used.
    """

    kind = "phases"

    def __init__(
        self,
        classes: int = 0,
        image: tuple[int, int, int] = (2, 32, 0),
        channels: Sequence[int] = (12, 16, 24),
        width: int = 48,
        dilations: Sequence[int] = (1, 2, 4, 8, 16),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        over_bands = math.prod(stride[0] for stride in STRIDES)
        rows, rest_of_bands = divmod(image[1], over_bands)
        if rest_of_bands or not rows:
            raise ValueError(f"{image[1]} bands; the trunk needs a multiple of {over_bands}")
        if len(channels) != len(STRIDES):
            raise ValueError(f"{len(channels)} channels; expected {len(STRIDES)}")
        self.time_stride = math.prod(stride[1] for stride in STRIDES)
        layers: list[nn.Module] = []
        for before, after, stride in zip((image[0], *channels), channels, STRIDES, strict=False):
            layers += [
                nn.Conv2d(before, after, 3, stride, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(True),
            ]
        self.trunk = nn.Sequential(*layers)
        self.squeeze = nn.Sequential(
            nn.Conv1d(channels[-1] * rows, width, 1, bias=False), nn.BatchNorm1d(width), nn.ReLU(True)
        )
        self.context = nn.Sequential(*(DilatedBlock(width, dilation, dropout) for dilation in dilations))
        self.head = nn.Conv1d(width, len(STATES), 1)
        # Frames of the prediction to either side that one depends on: of the trunk 4 at most, then these.
        self.reach_frames = 4 + sum(dilations)

    def forward(self, image: Tensor) -> Tensor:
        hidden = self.squeeze(self.trunk(image).flatten(1, 2))
        logits: Tensor = self.head(self.context(hidden))
        return logits


def cycle_log_likelihood(log_probabilities: Tensor, first: int, end: int) -> Tensor:
    """Mean log-likelihood a frame of one cycle: inspiration, then expiration, then a pause.

    Where one ends is not annotated, so it is summed over, each place as likely: inspiration ends within
    `INSPIRATION_ENDS`, expiration is heard until somewhere in `EXPIRATION_ENDS`.

    Parameters
    ----------
    log_probabilities
        ``(3, T)`` of `STATES`.
    first, end
        Frames of the cycle, at least `SHORTEST_CYCLE` of them.
    """
    length = end - first
    sums = nn.functional.pad(log_probabilities[:, first:end].cumsum(1), (1, 0))
    at = torch.arange(length + 1, device=sums.device)
    out, over = (
        at[max(2, round(low * length)) : round(high * length) + 1]
        for low, high in (INSPIRATION_ENDS, EXPIRATION_ENDS)
    )
    inside, breathing, pause = sums
    scores = (inside[out] - breathing[out])[:, None] + (breathing[over] - pause[over] + pause[-1])[None]
    scores = scores.masked_fill(over[None] - out[:, None] < 2, -torch.inf)
    return (scores.flatten().logsumexp(0) - math.log(scores.numel())) / length
