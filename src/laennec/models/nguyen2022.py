"""The seven-block CNN of Nguyen & Pernkopf, with one branch for each of its inputs.

T. Nguyen and F. Pernkopf, "Crackle detection in lung sounds using transfer learning and multi-input
convolutional neural networks", section III-C and Figure 2. What the paper leaves open is listed with its
reason in ``docs/papers.md``.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

BLOCKS = 7  # section III-C.2: "7 convolutional compositions"
CHANNELS = (16, 32, 64, 64, 128, 128, 256)
STRIDES = (2, 2, 2, 1, 2, 1, 1)


class Block(nn.Module):
    """Batch norm, 3 x 3 convolution, ReLU (section III-C.2: "BN-Conv2D-ReLU")."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(self.conv(self.norm(maps)))


class Branch(nn.Sequential):
    """Seven blocks and global average pooling: ``(batch, 1, bins, frames) -> (batch, channels[-1])``."""

    def __init__(self, channels_in: int, channels: Sequence[int], strides: Sequence[int]) -> None:
        inputs = (channels_in, *channels)
        super().__init__(*(Block(*sizes) for sizes in zip(inputs, channels, strides, strict=False)))

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image).mean((2, 3))


class NguyenNet(nn.Module):
    """One branch for each part of the image; their features are joined before one linear layer.

    ``(batch, 1, bins, frames of all parts) -> (batch, classes)``. With one part it is the single-input CNN,
    with two or three the multi-input CNN (section III-C.3). Age, sex and position are accepted and not used.

    Parameters
    ----------
    part_frames
        Frames of each part, as `laennec.train.features.CycleLogMel` lays them side by side; one part if it
        is empty.
    channels, strides
        Outputs and strides of the seven convolutions.
    dropout
        Before the linear layer; the paper has none.
    """

    def __init__(
        self,
        classes: int = 4,
        image: tuple[int, int, int] = (1, 45, 257),
        part_frames: Sequence[int] = (),
        channels: Sequence[int] = CHANNELS,
        strides: Sequence[int] = STRIDES,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if len(channels) != BLOCKS or len(strides) != BLOCKS:
            raise ValueError(f"the network has {BLOCKS} blocks; channels and strides name as many")
        self.part_frames = tuple(part_frames) or (image[2],)
        self.branches = nn.ModuleList(Branch(image[0], channels, strides) for _ in self.part_frames)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(len(self.part_frames) * channels[-1], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):  # section IV-A: "Glorot uniform initializer"
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def features(self, image: Tensor) -> Tensor:
        """Pooled features of all branches, ``(batch, branches * channels[-1])``."""
        parts = image.split(self.part_frames, dim=3)
        found = [branch(part) for branch, part in zip(self.branches, parts, strict=True)]
        return torch.cat(found, dim=1)

    def forward(self, image: Tensor, age_years: Tensor, sex: Tensor, position: Tensor) -> Tensor:
        return self.head(self.dropout(self.features(image)))
