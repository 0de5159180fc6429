"""What a network for windows is trained for: which families of adventitious sounds a window holds.

It learns from annotations, and, where there is one, from a teacher: the probabilities of a larger model for
the same window (Hinton, Vinyals & Dean, "Distilling the knowledge in a neural network", arXiv:1503.02531,
2015). What is not known of a window adds nothing to the loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from laennec.features.augment import Augmentation
from laennec.features.base import Batch
from laennec.features.window import WindowLogMel
from laennec.models.tasks import augmented, laid_out
from laennec.score.ranking import average_precision

LEAST_PROBABILITY = 1e-4  # of a teacher: its log-odds end there


@dataclass(frozen=True)
class WindowTask:
    """Families of adventitious sounds in a window.

    Attributes
    ----------
    weights
        ``(2,)`` of windows that hold a family, in the loss.
    teacher_weight
        Share of the teacher in the loss, where both it and an annotation tell something.
    temperature
        That the log-odds of teacher and network are divided by for the teacher's part.
    """

    front_end: WindowLogMel
    weights: Tensor
    augmentation: Augmentation
    teacher_weight: float = 0.0
    temperature: float = 1.0

    def prepared(self, network: nn.Module, batch: Batch, generator: torch.Generator | None = None) -> Batch:
        varied = augmented(self.front_end, batch, self.augmentation, generator)
        return {**varied, "image": laid_out(varied["image"], network)}

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        logits: Tensor = network(batch["image"]).float()
        hard = F.binary_cross_entropy_with_logits(
            logits, batch["target"].nan_to_num(), pos_weight=self.weights.to(logits.device), reduction="none"
        )
        annotated, taught = ~batch["target"].isnan(), ~batch["soft"].isnan() & (self.teacher_weight > 0)
        share = torch.where(annotated, self.teacher_weight, 1.0) * taught
        known = (1.0 - share) * annotated
        loss = known * hard + share * self._taught(logits, batch["soft"].nan_to_num(0.5))
        return loss.sum() / (known + share).sum().clamp_min(1.0)

    def _taught(self, logits: Tensor, soft: Tensor) -> Tensor:
        """Cross entropy against the teacher at the temperature, its gradient as large as at 1."""
        inside = soft.clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
        softer = torch.sigmoid(torch.logit(inside) / self.temperature)
        each = F.binary_cross_entropy_with_logits(logits / self.temperature, softer, reduction="none")
        return each * self.temperature**2

    def predictions(self, network: nn.Module, batch: Batch) -> Tensor:
        """Logits ``(windows, 2)``."""
        return network(batch["image"]).float()

    def scores(self, predictions: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        logits = torch.cat(list(predictions))
        target = torch.cat([batch["target"] for batch in batches])
        ranked, losses = [], []
        for column in range(target.shape[1]):
            known = ~target[:, column].isnan()
            own, truth = logits[known, column], target[known, column]
            ranked.append(average_precision(truth.numpy(force=True) > 0.5, own.double().numpy(force=True)))
            losses.append(float(F.binary_cross_entropy_with_logits(own, truth)) if len(own) else 0.0)
        return {
            "average_precision": float(np.nan_to_num(ranked).mean()),
            "loss": float(np.mean(losses)),
        }
