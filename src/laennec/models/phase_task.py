"""What a network for breath phases is trained for, by whatever is annotated of a sound.

- A clip of one phase: the mean over its frames is that phase.
- A respiratory cycle: inspiration, then expiration, then a pause; where one ends is summed over.
- Breaths with their boundaries: a frame outside of them is a pause, one inside is not.
- Cycles whose inspiration's end an airflow signal told: every frame is known, but for the pause.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from laennec.features.augment import Augmentation
from laennec.features.base import Batch
from laennec.features.phases import PhaseLogMel
from laennec.models.phases import SHORTEST_CYCLE, cycle_log_likelihood
from laennec.models.recording_task import frame_targets
from laennec.models.tasks import augmented, laid_out
from laennec.score.ranking import roc_auc

BREATH, CYCLE, INSPIRATION, REST = range(4)  # what a span of a batch is of; the rest of a cycle follows
CLIP_EDGE = 2  # frames at either end of a clip that see its border and tell nothing


@dataclass(frozen=True)
class PhaseTask:
    """Inspiration, expiration and pause in every frame.

    Attributes
    ----------
    loss_weights
        Of clips, cycles and breaths.
    """

    front_end: PhaseLogMel
    loss_weights: tuple[float, ...]
    augmentation: Augmentation

    def prepared(self, network: nn.Module, batch: Batch, generator: torch.Generator | None = None) -> Batch:
        varied = dict(batch)
        if len(batch["image"]):
            varied |= augmented(self.front_end, batch, self.augmentation, generator)
            varied["image"] = laid_out(varied["image"], network)
        if len(batch["clips"]):
            clips = {"image": batch["clips"], "spans": batch["spans"][:0]}
            clips = augmented(self.front_end, clips, self.augmentation, generator)
            varied["clips"] = laid_out(clips["image"], network)
        return varied

    def frame_s(self, network: nn.Module) -> float:
        """Seconds from one frame of a prediction to the next."""
        assert isinstance(network.time_stride, int)
        return self.front_end.frame_s * network.time_stride

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        of_clips, of_cycles, of_breaths = self.loss_weights
        frame_s = self.frame_s(network)
        loss = torch.zeros((), device=batch["clips"].device)
        if len(batch["clips"]):
            logits = network(batch["clips"]).float()[:, :, CLIP_EDGE:-CLIP_EDGE]
            told = F.cross_entropy(logits[:, :2].mean(2), batch["clip_phase"])
            breathing = -logits.log_softmax(1)[:, :2].logsumexp(1).mean()
            loss = loss + of_clips * (told + PAUSE_IN_CLIP * breathing)
        if not len(batch["image"]):
            return loss
        known = network(batch["image"]).float().log_softmax(1)
        frames = (batch["spans"] / frame_s).round().long()
        cycles = [
            -cycle_log_likelihood(known[row], int(first), min(int(end), known.shape[2]))
            for row, (first, end), what in zip(batch["row"], frames, batch["what"], strict=True)
            if what == CYCLE and min(int(end), known.shape[2]) - first >= SHORTEST_CYCLE
        ]
        if cycles:
            loss = loss + of_cycles * torch.stack(cycles).mean()
        loss = loss + of_cycles * self._of_airflow(known, batch, frames)
        if batch["placed"].any():
            loss = loss + of_breaths * self._of_breaths(known, batch, frame_s)
        return loss

    @staticmethod
    def _of_airflow(known: Tensor, batch: Batch, frames: Tensor) -> Tensor:
        """Mean of the frames whose phase airflow told; 0 where there are none."""
        losses = [known.new_zeros(0)]
        for row, (first, end), what in zip(batch["row"], frames, batch["what"], strict=True):
            own = known[row, :, int(first) : int(end)]
            if what == INSPIRATION:
                losses.append(-own[0])
            elif what == REST:
                losses.append(-own[1:].logsumexp(0))
        together = torch.cat(losses)
        return together.mean() if len(together) else known.sum() * 0

    @staticmethod
    def _of_breaths(known: Tensor, batch: Batch, frame_s: float) -> Tensor:
        """A pause outside of annotated breaths, and none inside."""
        inside = batch["what"] == BREATH
        own = {"spans": batch["spans"][inside], "row": batch["row"][inside], "placed": batch["placed"]}
        covered = frame_targets(own, known.shape[2], frame_s)[:, 0]
        told = covered * known[:, :2].logsumexp(1) + (1 - covered) * known[:, 2]
        return -told[batch["placed"]].mean()

    def predictions(self, network: nn.Module, batch: Batch) -> Tensor:
        """Logits ``(batch, 3, T)``."""
        return network(batch["image"]).float()

    def scores(self, predictions: Sequence[Any], batches: Sequence[Batch]) -> dict[str, float]:
        """How well clips are told apart: area under the ROC curve, as ``average_precision`` stands for."""
        told = [
            (own.mean(2)[0], int(batch["clip_phase"][0]))
            for own, batch in zip(predictions, batches, strict=True)
            if len(batch["clip_phase"])
        ]
        if not told:
            return {"average_precision": 0.0}
        margin = torch.stack([mean[1] - mean[0] for mean, _ in told]).numpy(force=True)
        truth = [phase == 1 for _, phase in told]
        return {"average_precision": roc_auc(truth, margin) if len(set(truth)) == 2 else 0.0}


PAUSE_IN_CLIP = 0.1  # weight of a clip's frames being no pause: it may hold the edge of one
