"""What the models of a cross-validation's folds answer for clips that were changed or come from elsewhere."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from laennec.errors import LaennecError
from laennec.score.confusion import Floats

BATCH = 64


def seeds_of(cv: Path) -> list[list[Path]]:
    """Return the fold folders of each seed of ``laennec crossvalidate``; LaennecError if there are none."""
    seeds = [sorted(seed.glob("fold[0-9]*")) for seed in sorted(cv.glob("seed*"))]
    if not seeds or not all(seeds):
        raise LaennecError(f"{cv} holds no folds; laennec crossvalidate writes them")
    return seeds


@torch.inference_mode()
def probabilities_of(
    model: torch.nn.Module, clips: Sequence[NDArray[np.float32]], metadata: Sequence[Tensor] | None = None
) -> Floats:
    """Return a fold's probabilities ``(clips, classes)``, before its decision.

    The model is that of ``deployed``, clips are at its rate; metadata is age, sex and position of each clip.
    """
    count = len(clips)
    unknown = torch.zeros(count, dtype=torch.long)
    metadata = metadata or (torch.full((count,), torch.nan), unknown, unknown)
    parts = []
    for start in range(0, count, BATCH):
        rows = slice(start, start + BATCH)
        own = [torch.from_numpy(clip) for clip in clips[rows]]
        length = torch.tensor([len(clip) for clip in own])
        parts.append(model(pad_sequence(own, batch_first=True), length, *(each[rows] for each in metadata)))
    return np.asarray(torch.cat(parts).double().numpy())
