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


class StochasticNorm(nn.BatchNorm2d):
    """Batch norm that, in training, takes running statistics for a random share of the channels.

    Kou et al., "Stochastic normalization", NeurIPS 2020, equation 3, against overfitting when a network is
    fine-tuned on little data. Outside of training, and with a share of 0, it is batch norm.
    """

    def __init__(self, channels: int, share: float) -> None:
        super().__init__(channels)
        self.share = share

    def forward(self, maps: Tensor) -> Tensor:
        if not self.training or self.share == 0:
            return super().forward(maps)
        mean, variance = self.running_mean, self.running_var
        assert mean is not None
        assert variance is not None
        by_running = (maps - mean[:, None, None]) * torch.rsqrt(variance + self.eps)[:, None, None]
        by_running = by_running * self.weight[:, None, None] + self.bias[:, None, None]
        by_batch = super().forward(maps)  # updates the running statistics, for the next step
        chosen = torch.rand(len(mean), device=maps.device) < self.share
        return torch.where(chosen[:, None, None], by_running.to(by_batch.dtype), by_batch)


class Block(nn.Module):
    """Batch norm, 3 x 3 convolution, ReLU (section III-C.2: "BN-Conv2D-ReLU")."""

    def __init__(self, inputs: int, outputs: int, stride: int, stochastic_norm: float = 0.0) -> None:
        super().__init__()
        self.norm = StochasticNorm(inputs, stochastic_norm)
        self.conv = nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu_(self.conv(self.norm(maps)))  # in place: half the memory traffic


class Branch(nn.Sequential):
    """Seven blocks and global average pooling: ``(batch, 1, bins, frames) -> (batch, channels[-1])``."""

    def __init__(
        self, channels_in: int, channels: Sequence[int], strides: Sequence[int], stochastic_norm: float = 0.0
    ) -> None:
        inputs = (channels_in, *channels)
        sizes = zip(inputs, channels, strides, strict=False)
        super().__init__(*(Block(*size, stochastic_norm) for size in sizes))

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image).mean((2, 3))


class NguyenNet(nn.Module):
    """One branch for each part of the image; their features are joined before one linear layer.

    ``(batch, 1, bins, frames of all parts) -> (batch, classes)``. With one part it is the single-input CNN,
    with two or three the multi-input CNN (section III-C.3). Age, sex and position are accepted and not used.

    Parameters
    ----------
    part_frames
        Frames of each part, as `laennec.features.cycle.CycleLogMel` lays them side by side; one part if it
        is empty.
    channels, strides
        Outputs and strides of the seven convolutions.
    dropout
        Before the linear layer; the paper has none.
    stochastic_norm
        Share of channels that `StochasticNorm` normalises by running statistics in training; 0 is the paper's
        batch norm.
    """

    kind = "nguyen2022"
    one_graph = True

    def __init__(
        self,
        classes: int = 4,
        image: tuple[int, int, int] = (1, 45, 257),
        part_frames: Sequence[int] = (),
        channels: Sequence[int] = CHANNELS,
        strides: Sequence[int] = STRIDES,
        dropout: float = 0.0,
        stochastic_norm: float = 0.0,
    ) -> None:
        super().__init__()
        if len(channels) != BLOCKS or len(strides) != BLOCKS:
            raise ValueError(f"the network has {BLOCKS} blocks; channels and strides name as many")
        self.part_frames = tuple(part_frames) or (image[2],)
        self.branches = nn.ModuleList(
            Branch(image[0], channels, strides, stochastic_norm) for _ in self.part_frames
        )
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
