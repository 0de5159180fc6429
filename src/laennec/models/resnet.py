"""A small residual network on spectrograms: the plain baseline that a better model has to beat.

He et al., "Deep residual learning for image recognition", CVPR 2016, in the narrow form that spectrograms
of a few thousand clips can fill. The shipped networks (`event.py`, `recording.py`) are built of its blocks,
and so is the residual backbone of `chen2022.py`, which Chen & Zhang name as future work.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from laennec.models.metadata import MetadataEmbedding


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut (He et al., Figure 2)."""

    def __init__(self, inputs: int, outputs: int, stride: int | tuple[int, int]) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride not in (1, (1, 1)) or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu_(self.body(maps) + self.shortcut(maps))


class ResidualStages(nn.Sequential):
    """A stem and one residual block a stage."""

    def __init__(
        self, channels_in: int, channels: Sequence[int], strides: Sequence[int], stem_stride: int = 1
    ) -> None:
        stem = nn.Sequential(
            nn.Conv2d(channels_in, channels[0], 3, stem_stride, 1, bias=False),
            nn.BatchNorm2d(channels[0]),
            nn.ReLU(True),
        )
        inputs = (channels[0], *channels)
        blocks = [
            ResidualBlock(before, after, stride)
            for before, after, stride in zip(inputs, channels, strides, strict=False)
        ]
        super().__init__(stem, *blocks)


class ResidualNet(nn.Module):
    """Residual stages, global average and maximum pooling, one linear layer.

    ``(batch, channels, bins, frames) -> (batch, classes)``. With `metadata`, the embeddings of age, sex and
    position stand beside the pooled features; without, they are accepted and not used.
    """

    kind = "resnet"

    def __init__(
        self,
        classes: int = 7,
        image: tuple[int, int, int] = (1, 64, 241),
        channels: Sequence[int] = (24, 48, 96, 160),
        dropout: float = 0.3,
        metadata: bool = False,
        embedding_size: int = 8,
        stem_stride: int = 1,
    ) -> None:
        super().__init__()
        strides = [2] * len(channels)
        self.stages = ResidualStages(image[0], channels, strides, stem_stride)
        self.metadata = MetadataEmbedding(embedding_size) if metadata else None
        features = 2 * channels[-1] + (3 * embedding_size if metadata else 0)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(features, classes))

    def forward(self, image: Tensor, age_years: Tensor, sex: Tensor, position: Tensor) -> Tensor:
        maps = self.stages(image).flatten(2)
        features = torch.cat([maps.mean(2), maps.amax(2)], dim=1)
        if self.metadata is not None:
            features = torch.cat(
                [features, self.metadata(age_years, sex, position).to(features.dtype)], dim=1
            )
        return self.head(features)
