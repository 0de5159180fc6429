"""Bringing clips to one length inside the exported graph."""

import torch
from torch import Tensor, nn


class PadOrTrim(nn.Module):
    """Bring clips to one length inside the graph, as `laennec.audio.segment.fit_length` does outside.

    ``(batch, samples)``, ``(batch,)`` valid samples and the first of them ``-> (batch, clip_samples)``.
    """

    def __init__(self, clip_samples: int, padding: str) -> None:
        super().__init__()
        self.padding = padding
        self.register_buffer("index", torch.arange(clip_samples)[None], persistent=False)

    def forward(self, waveform: Tensor, length: Tensor, first: Tensor | None = None) -> Tensor:
        count = length[:, None]
        offset = 0 if first is None else first[:, None]
        index: Tensor = self.index  # type: ignore[assignment]
        if self.padding == "tile":
            return waveform.gather(1, index % count + offset)
        if self.padding == "sample":
            # Backwards from the last sample, then forwards again: a triangle of period 2n.
            position = index % (2 * count)
            return waveform.gather(1, torch.minimum(position, 2 * count - 1 - position) + offset)
        inside = index < count
        return waveform.gather(1, torch.minimum(index, count - 1) + offset) * inside.to(waveform.dtype)
