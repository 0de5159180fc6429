"""A network of one's own: convolutions, then a recurrent layer over time.

Çakır et al., "Convolutional recurrent neural networks for polyphonic sound event detection", IEEE/ACM TASLP
25(6), 2017.
"""

from collections.abc import Sequence

from torch import Tensor, nn


class Crnn(nn.Module):
    """``(batch, channels, bins, frames) -> (batch, classes)`` logits; age, sex and position are not used."""

    def __init__(
        self,
        classes: int,
        image: tuple[int, int, int],
        channels: Sequence[int] = (16, 32, 64),
        units: int = 64,
    ) -> None:
        super().__init__()
        inputs = (image[0], *channels)
        self.convolutions = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(before, after, 3, (2, 1), 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()
                )
                for before, after in zip(inputs, channels, strict=False)
            )
        )
        self.recurrent = nn.GRU(channels[-1], units, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * units, classes)

    def forward(self, image: Tensor, age_years: Tensor, sex: Tensor, position: Tensor) -> Tensor:
        maps = self.convolutions(image).mean(2)
        states, _ = self.recurrent(maps.transpose(1, 2))
        logits: Tensor = self.head(states.mean(1))
        return logits
