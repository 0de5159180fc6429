"""The upsampling convolutional LSTM with metadata embeddings of Chen & Zhang, and its ablation.

C. Chen and R. Zhang, "Using upsampling CONV-LSTM with metadata embedding for respiratory sound
classification": Figure 1 and section 3.6. What the paper leaves open is listed with its reason in
``docs/papers.md``.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from laennec.models.metadata import MetadataEmbedding
from laennec.models.resnet import ResidualBlock

CHANNELS = (8, 16, 32, 64)  # section 3.6: "in the following order, 8, 16, 32, and 64"
LSTM_UNITS = 512  # section 3.6: "a single LSTM layer with 512 hidden states"
EMBEDDING_SIZE = 64  # section 3.5


class UpsamplingCnn(nn.Sequential):
    """Four convolutions with batch norm, ReLU and max pooling; upsampling after the second and third.

    ``(batch, 3, 64, 79) -> (batch, 64, 16, 19)``, or ``(batch, 64, 4, 4)`` without upsampling. "One method
    is duplicating the same value in each dimension" (section 3.3): nearest neighbour, factor two.
    """

    def __init__(self, channels_in: int = 3, upsample: bool = True) -> None:
        layers: list[nn.Module] = []
        for index, (inputs, outputs) in enumerate(zip((channels_in, *CHANNELS), CHANNELS, strict=False)):
            layers += [
                nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
            if upsample and index in (1, 2):
                layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
        super().__init__(*layers)


class ResidualCnn(nn.Sequential):
    """Four residual blocks in place of the upsampling CNN, max pooling after the first two.

    ``(batch, 3, 64, 79) -> (batch, 64, 16, 19)``: the paper's output shape, reached without going down to
    8 x 9 and up again.
    """

    def __init__(self, channels_in: int = 3) -> None:
        blocks = [
            ResidualBlock(inputs, outputs, stride=1)
            for inputs, outputs in zip((channels_in, *CHANNELS), CHANNELS, strict=False)
        ]
        super().__init__(blocks[0], nn.MaxPool2d(2), blocks[1], nn.MaxPool2d(2), *blocks[2:])


class FullyConnected(nn.Module):
    """Four fully connected layers with the metadata joined after the second (section 3.6, Figure 1).

    ``(batch, features) -> (batch, classes)``; Tanh after the first and third layer.
    """

    def __init__(self, features: int, classes: int, hidden: tuple[int, int, int], dropout: float) -> None:
        super().__init__()
        first, second, third = hidden
        self.dropout = nn.Dropout(dropout)
        self.first = nn.Linear(features, first)
        self.second = nn.Linear(first, second)
        self.metadata = MetadataEmbedding(EMBEDDING_SIZE)
        self.third = nn.Linear(second + 3 * EMBEDDING_SIZE, third)
        self.fourth = nn.Linear(third, classes)

    def forward(self, features: Tensor, age_years: Tensor, sex: Tensor, position: Tensor) -> Tensor:
        hidden = self.second(torch.tanh(self.first(self.dropout(features))))
        joined = torch.cat([hidden, self.metadata(age_years, sex, position).to(hidden.dtype)], dim=1)
        return self.fourth(self.dropout(torch.tanh(self.third(joined))))


class ChenNet(nn.Module):
    """CNN, upsampling CNN, ConvLSTM or the full model, by which parts are switched on.

    Parameters
    ----------
    upsample, lstm, metadata
        The three parts that the ablation adds one after the other (section 4.3).
    bidirectional
        A Bi-LSTM of 2 x 256 units in place of the LSTM of 512, so that the size of its output stays; the
        paper names it as future work (section 5).
    backbone
        ``"resnet"`` replaces the upsampling CNN by residual stages of the same output shape, the paper's
        other suggestion for the future.
    """

    kind = "chen2022"

    def __init__(
        self,
        classes: int = 7,
        image: tuple[int, int, int] = (3, 64, 79),
        upsample: bool = True,
        lstm: bool = True,
        metadata: bool = True,
        bidirectional: bool = False,
        backbone: Literal["cnn", "resnet"] = "cnn",
        hidden: tuple[int, int, int] = (128, 64, 64),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        channels, bins, frames = image
        if backbone == "resnet":
            self.cnn: nn.Module = ResidualCnn(channels)
        else:
            self.cnn = UpsamplingCnn(channels, upsample)
        with torch.inference_mode():
            depth, height, width = self.cnn.eval()(torch.zeros(1, channels, bins, frames)).shape[1:]
        self.cnn.train()
        features = depth * height * width
        self.lstm: nn.LSTM | None = None
        if lstm:
            units = LSTM_UNITS // 2 if bidirectional else LSTM_UNITS
            self.lstm = nn.LSTM(depth, units, batch_first=True, bidirectional=bidirectional)
            features = height * width * LSTM_UNITS
        self.uses_metadata = metadata
        if metadata:
            self.head: nn.Module = FullyConnected(
                features, classes, (hidden[0], hidden[1], hidden[2]), dropout
            )
        else:
            self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(features, classes))

    def features(self, image: Tensor) -> Tensor:
        """Flattened output of the CNN, and of the LSTM where there is one: ``(batch, features)``."""
        maps = self.cnn(image)
        if self.lstm is not None:
            # "reshaped and permuted into a 2D array with the shape of 304x64": a step a time-frequency cell.
            maps, _ = self.lstm(maps.flatten(2).transpose(1, 2))
        return maps.flatten(1)

    def forward(self, image: Tensor, age_years: Tensor, sex: Tensor, position: Tensor) -> Tensor:
        features = self.features(image)
        if self.uses_metadata:
            return self.head(features, age_years, sex, position)
        return self.head(features)
