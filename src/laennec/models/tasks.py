"""What networks are trained for: the loss of a batch of training, and what is predicted of one.

`ClipTask` gives a clip one of several classes; `laennec.models.recording_task` finds events in whole
recordings and classifies both. Training and cross-validation know nothing else of either.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from laennec.features.augment import Augmentation, draw_hidden_metadata, draw_mixing, mix
from laennec.features.base import Batch, FrontEnd
from laennec.score.confusion import accuracy, challenge_scores, confusion_matrix
from laennec.score.ranking import average_precision


class Task(Protocol):
    """The contract of tasks."""

    @property
    def front_end(self) -> Any:
        """What varies batches, and makes images of them."""
        ...

    def prepared(self, network: nn.Module, batch: Batch, generator: torch.Generator | None = None) -> Batch:
        """A batch of training, varied and laid out for the network; nothing is computed by its weights."""
        ...

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Loss of a `prepared` batch."""
        ...

    def predictions(self, network: nn.Module, batch: Batch) -> Any:
        """What the network says of a batch, unvaried."""
        ...

    def scores(self, predictions: Sequence[Any], batches: Sequence[Batch]) -> dict[str, float]:
        """Scores of a validation set, to choose an epoch by."""
        ...


@dataclass(frozen=True)
class ClipTask:
    """One of several classes for each clip.

    Attributes
    ----------
    weights
        ``(classes,)`` weights of the loss.
    loss_kind
        ``cross-entropy`` or ``focal``, the latter with the exponent `focal_gamma`.
    """

    front_end: FrontEnd
    labels: tuple[str, ...]
    weights: Tensor
    augmentation: Augmentation
    loss_kind: str = "cross-entropy"
    focal_gamma: float = 2.0
    label_smoothing: float = 0.0

    def predictions(self, network: nn.Module, batch: Batch) -> Tensor:
        """Logits ``(batch, classes)`` float32."""
        return self._logits(network, self.front_end.network_input(batch), batch)

    def _logits(self, network: nn.Module, image: Tensor, batch: Batch) -> Tensor:
        logits: Tensor = network(image, batch["age_years"], batch["sex"], batch["position"])
        return logits.float()

    def prepared(self, network: nn.Module, batch: Batch, generator: torch.Generator | None = None) -> Batch:
        settings, target = self.augmentation, F.one_hot(batch["label"], len(self.labels)).float()
        batch = augmented(self.front_end, batch, settings, generator)
        image = batch["image"]
        if settings.mixup > 0:
            mixing = draw_mixing(len(image), settings.mixup, generator)
            image, target = mix(image, mixing), mix(target, mixing)
        hidden = draw_hidden_metadata(len(image), settings.metadata_dropout, generator).to(image.device)
        return {
            **batch,
            "age_years": batch["age_years"].masked_fill(hidden[0], torch.nan),
            "sex": batch["sex"].masked_fill(hidden[1], 0),
            "position": batch["position"].masked_fill(hidden[2], 0),
            "image": laid_out(image, network),
            "target": target,
        }

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        target, allowed = batch["target"], batch.get("allowed")
        logits = self._logits(network, batch["image"], batch)
        if allowed is not None:
            target = among_allowed(logits, allowed)
        gamma = self.focal_gamma if self.loss_kind == "focal" else 0.0
        return weighted_loss(logits, target, self.weights, gamma, self.label_smoothing)

    def scores(self, predictions: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        logits, label = torch.cat(list(predictions)), torch.cat([batch["label"] for batch in batches])
        names = self.labels
        annotated, predicted = ([names[k] for k in index.tolist()] for index in (label, logits.argmax(1)))
        confusion = confusion_matrix(annotated, predicted, names)
        adventitious = 1 - logits.softmax(1)[:, 0].double().numpy(force=True)
        ranked = average_precision((label != 0).numpy(force=True), adventitious)
        return {
            # Without class weights: it says how well the probabilities fit.
            "loss": float(F.cross_entropy(logits, label)),
            **challenge_scores(confusion, names),
            "accuracy": float(accuracy(confusion)),
            "average_precision": float(np.nan_to_num(ranked)),
        }


def augmented(
    front_end: FrontEnd, batch: Batch, settings: Augmentation, generator: torch.Generator | None
) -> Batch:
    """What `FrontEnd.augment` makes of a batch, also of one that takes no generator where none is given."""
    if generator is None:
        return front_end.augment(batch, settings)
    return front_end.augment(batch, settings, generator)


def weighted_loss(
    logits: Tensor, target: Tensor, weights: Tensor, focal_gamma: float = 0.0, smoothing: float = 0.0
) -> Tensor:
    """Class-weighted cross entropy or focal loss against soft targets, averaged over the batch's weights.

    For hard targets the first is ``torch.nn.CrossEntropyLoss(weight=…)``. The focal loss multiplies each
    class's term by ``(1 - p) ** focal_gamma`` (Lin et al., "Focal loss for dense object detection",
    ICCV 2017, equation 4).

    Parameters
    ----------
    logits, target
        ``(items, classes)``.
    weights
        ``(classes,)``.
    """
    if smoothing > 0:
        target = target * (1 - smoothing) + smoothing / target.shape[1]
    weighted = target * weights.to(target.device)
    log_probability = logits.log_softmax(1)
    terms = weighted * log_probability
    if focal_gamma > 0:
        terms = terms * (1 - log_probability.exp()) ** focal_gamma
    return -terms.sum() / weighted.sum().clamp_min(1e-12)


def among_allowed(logits: Tensor, allowed: Tensor) -> Tensor:
    """Targets for labels that mean several classes: what the network says of these, ``(batch, classes)``.

    The gradient of the cross entropy against them is that of ``-log(sum of the allowed probabilities)``
    (Cour, Sapp & Taskar, JMLR 12, 2011). One allowed class gives the usual one-hot target.

    Parameters
    ----------
    allowed
        ``(batch, classes)`` 1 where a class is allowed, at least one in each row.
    """
    return logits.detach().masked_fill(allowed == 0, -torch.inf).softmax(1)


def class_weights(label: Tensor, classes: int, rule: str) -> Tensor:
    """Weights of the loss: ``balanced`` is n / (classes * n_c), ``sqrt`` its square root.

    Classes without a clip weigh nothing. ``sqrt`` is scaled so that the mean over the clips is one, as it
    is for ``balanced``.
    """
    if rule == "none":
        return torch.ones(classes)
    counts = torch.bincount(label, minlength=classes).float()
    weights = torch.where(counts > 0, len(label) / (classes * counts.clamp_min(1)), 0.0)
    if rule == "sqrt" and len(label):
        weights = weights.sqrt()
        weights = weights / weights[label].mean()
    return weights


def memory_format(network: nn.Module) -> torch.memory_format:
    """Channels last, which is faster, where it is safe.

    oneDNN 3.12, which convolves for PyTorch 2.13, gathers the pixels of a strided 1 x 1 convolution for the
    gradient of its weights. With channels last it spaces them by blocks of 8 channels (AVX2) or 16 (AVX-512)
    in a workspace for as many as there are: with fewer it writes beyond, and the process dies, hangs or
    learns from wrong gradients (https://github.com/uxlfoundation/oneDNN/issues/6035).
    """
    unsafe = any(
        isinstance(part, nn.Conv2d)
        and part.kernel_size == (1, 1)
        and part.stride != (1, 1)
        and part.in_channels < 16
        for part in network.modules()
    )
    return torch.contiguous_format if unsafe else torch.channels_last


def laid_out(image: Tensor, network: nn.Module) -> Tensor:
    """Images ``(batch, channels, bins, frames)`` in the memory format of the network that learns from them.

    Images of one channel count as contiguous in either format, but convolutions choose by the strides; `view`
    makes these anew.
    """
    layout = memory_format(network)
    image = image.contiguous(memory_format=layout)
    return image.view(image.shape) if layout is torch.contiguous_format else image
