"""A network for events: residual convolutions, pooled over the event alone."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from laennec.models.metadata import MetadataEmbedding
from laennec.models.resnet import ResidualBlock


class EventNet(nn.Module):
    """From images of `laennec.features.event.EventLogMel` to class logits.

    ``(batch, channels, bins, frames) -> (batch, classes)``. The last channel of the image marks the event:
    the features are the mean and the maximum over its frames and how long it lasts. With `metadata`,
    embeddings of age, sex and position stand beside them.
    """

    kind = "event"
    one_graph = True

    def __init__(
        self,
        classes: int = 7,
        image: tuple[int, int, int] = (2, 64, 201),
        channels: Sequence[int] = (16, 32, 64, 128),
        strides: Sequence[tuple[int, int]] = ((2, 2), (2, 2), (2, 1)),
        dropout: float = 0.3,
        metadata: bool = False,
        embedding_size: int = 8,
    ) -> None:
        super().__init__()
        stem, *rest = channels
        self.stem = nn.Sequential(
            nn.Conv2d(image[0], stem, 3, 2, 1, bias=False), nn.BatchNorm2d(stem), nn.ReLU(True)
        )
        self.trunk = nn.Sequential(
            *(
                ResidualBlock(before, after, (stride[0], stride[1]))
                for before, after, stride in zip(channels, rest, strides, strict=False)
            )
        )
        self.time_stride = 2 * math.prod(stride[1] for stride in strides)
        self.metadata = MetadataEmbedding(embedding_size) if metadata else None
        features = 2 * channels[-1] + 1 + (3 * embedding_size if metadata else 0)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(features, classes))

    def pooled(self, mark: Tensor) -> Tensor:
        """Mean of a mark over the frames around the middle of each column of the maps."""
        width = self.time_stride
        return F.avg_pool2d(mark, (1, width), (1, width), (0, width // 2), count_include_pad=False)

    def forward(self, image: Tensor, age_years: Tensor, sex: Tensor, position: Tensor) -> Tensor:
        maps = self.trunk(self.stem(image))
        mark = image[:, -1:, :1]
        event = self.pooled(mark.clamp_min(0))
        columns = maps.mean(2, keepdim=True)
        share = event.sum(3)
        inside = (columns * event).sum(3) / share.clamp_min(1e-3)
        strongest = (maps * (event > 0)).amax((2, 3))  # maps are not negative
        features = torch.cat([inside[:, :, 0], strongest, torch.log(share[:, :, 0] + 1e-3)], dim=1)
        if self.metadata is not None:
            told = self.metadata(age_years, sex, position).to(features.dtype)
            features = torch.cat([features, told], dim=1)
        return self.head(features)
