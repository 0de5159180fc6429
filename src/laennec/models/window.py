"""A network for windows of a few seconds that fits a microcontroller.

Depthwise separable convolutions (Howard et al., "MobileNets", arXiv:1704.04861, 2017), as small keyword
spotters use them (Zhang et al., "Hello Edge", arXiv:1711.07128, 2017). Every activation lies between 0 and
`LIMIT`, so that its scale as an integer of 8 bits is known without any measurement (`laennec.train.integer`).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from laennec.model.integer import LIMIT
from laennec.model.probability import FAMILIES


class Clipped(nn.Module):
    """Activation between 0 and `LIMIT`."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(0.0, LIMIT)


class SeparableBlock(nn.Module):
    """A convolution of each channel by itself, then one of each pixel by itself."""

    def __init__(self, inputs: int, outputs: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
        self.depthwise_norm = nn.BatchNorm2d(inputs)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.pointwise_norm = nn.BatchNorm2d(outputs)
        self.clipped = Clipped()

    def forward(self, x: Tensor) -> Tensor:
        x = self.clipped(self.depthwise_norm(self.depthwise(x)))
        return self.clipped(self.pointwise_norm(self.pointwise(x)))


class WindowNet(nn.Module):
    """From images of `laennec.features.window.WindowLogMel` to logits of what is heard.

    ``(batch, channels, bands, frames) -> (batch, 2)``: logits of continuous and of discontinuous adventitious
    sounds (`FAMILIES`); each may be there or not. Age, sex and position are not used, nor is the number of
    event classes. The features are the mean over the maps, and the largest mean of a column, which a single
    crackle raises.
    """

    kind = "window"

    def __init__(
        self,
        classes: int = 0,
        image: tuple[int, int, int] = (2, 32, 155),
        channels: Sequence[int] = (16, 32, 48, 64, 96, 128, 128),
        strides: Sequence[Sequence[int]] = ((2, 2), (2, 1), (1, 2), (1, 1), (2, 2), (1, 1), (1, 1)),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if len(channels) != len(strides):
            raise ValueError(f"{len(channels)} channels and {len(strides)} strides; expected one of each")
        steps = [(int(bands), int(frames)) for bands, frames in strides]
        self.strides = steps
        self.stem = nn.Conv2d(image[0], channels[0], 3, steps[0], 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(channels[0])
        self.clipped = Clipped()
        self.blocks = nn.Sequential(
            *(
                SeparableBlock(before, after, stride)
                for before, after, stride in zip(channels, channels[1:], steps[1:], strict=False)
            )
        )
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(2 * channels[-1], len(FAMILIES))

    def forward(
        self,
        image: Tensor,
        age_years: Tensor | None = None,
        sex: Tensor | None = None,
        position: Tensor | None = None,
    ) -> Tensor:
        maps = self.blocks(self.clipped(self.stem_norm(self.stem(image))))
        columns = maps.mean(2)
        features = torch.cat([columns.mean(2), columns.amax(2)], dim=1)
        return self.head(self.drop(features))
