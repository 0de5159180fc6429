"""The Lightning module: loss, augmentation, optimiser, validation metrics."""

import functools
import time
from collections.abc import Sequence
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from laennec.score.confusion import (
    accuracy,
    average_score,
    challenge_score,
    confusion_matrix,
    harmonic_score,
    sensitivity,
    specificity,
    total_score,
)
from laennec.score.ranking import average_precision
from laennec.simulate.other import ward_noise
from laennec.train.augment import (
    draw_event_variation,
    draw_hidden_metadata,
    draw_image_variation,
    draw_mixing,
    mix,
    vary_events,
    vary_images,
)
from laennec.train.data import Batch
from laennec.train.features import EVENT_DEVIATION, EventLogMel
from laennec.train.recipe import Recipe

# Adam moves every weight by about the learning rate, so the output of a layer moves in proportion to the
# number of its inputs. A layer with more inputs than this learns more slowly by that ratio, or the 155,648
# inputs behind the first paper's LSTM would saturate the Tanh after them within a few steps (Yang & Hu,
# "Tensor Programs IV", ICML 2021, on learning rates and width).
WIDE_INPUTS = 8192


class Classifier(L.LightningModule):
    """Trains a network on cached images.

    Parameters
    ----------
    weights
        ``(classes,)`` weights of the cross entropy.
    batches_per_epoch
        Optimiser steps of an epoch, for the one-cycle schedule.
    """

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        weights: Tensor,
        batches_per_epoch: int,
        front_end: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.front_end = [front_end]  # in a list, so that it is no part of the module
        self.noises: Tensor | None = None
        if isinstance(front_end, EventLogMel) and recipe.augmentation.noise > 0:
            self.noises = ward_noises(front_end.clip_samples / front_end.sample_rate, front_end.sample_rate)
        self.memory_format = memory_format(network)
        self.network = network.to(memory_format=self.memory_format)  # type: ignore[call-overload]
        self.recipe = recipe
        self.batches_per_epoch = batches_per_epoch
        self.weights: Tensor
        self.register_buffer("weights", weights, persistent=False)
        self.history: list[dict[str, float]] = []
        self._outputs: list[tuple[Tensor, Tensor]] = []
        self._epoch_started = 0.0

    def forward(self, batch: Batch) -> Tensor:
        image = seen(batch, self.front_end[0]).contiguous(memory_format=self.memory_format)
        return self.network(image, batch["age_years"], batch["sex"], batch["position"]).float()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = checkpoint["history"]

    def on_train_start(self) -> None:
        # The first epoch after a resume has no start of its own for Lightning.
        self._epoch_started = time.perf_counter()

    def on_train_epoch_start(self) -> None:
        self._epoch_started = time.perf_counter()

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        # Dropout and augmentation draw from the global generator; seeding it by what is being trained makes
        # a resumed run equal to one that was never interrupted.
        place = (self.recipe.seed, self.current_epoch, batch_index, self.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))
        settings = self.recipe.augmentation
        target = F.one_hot(batch["label"], len(self.recipe.labels)).float()
        batch = dict(batch)
        allowed = batch.pop("allowed", None)
        front_end, mark = self.front_end[0], None
        if isinstance(front_end, EventLogMel):
            front_end = front_end.to(self.device)
            noises = None if self.noises is None else self.noises.to(self.device)
            pieces = 0 if noises is None else len(noises)
            drawn = draw_event_variation(len(target), front_end, settings, pieces).to(self.device)
            clip, bounds = vary_events(
                batch["image"], batch.pop("bounds"), drawn, front_end.clip_samples, noises
            )
            image = front_end(clip, bounds)
            # Where the event is must not be hidden by what follows, and is put back after it.
            sound, mark = image[:, :-1], image[:, -1:]
            # A response adds to the sound where there is any; the level does not stay at zero for it.
            batch["image"] = sound + drawn.tilt[:, None, :, None] / EVENT_DEVIATION * (mark > 0)
        count, _, bins, frames = batch["image"].shape
        if settings.circular_shift or settings.frequency_masks or settings.time_masks:
            variation = draw_image_variation(count, bins, frames, settings)
            batch["image"] = vary_images(batch["image"], variation)
        if mark is not None:
            batch["image"] = torch.cat([batch["image"], mark], dim=1)
        if settings.mixup > 0:
            mixing = draw_mixing(count, settings.mixup)
            batch["image"], target = mix(batch["image"], mixing), mix(target, mixing)
        hidden = draw_hidden_metadata(count, settings.metadata_dropout).to(self.device)
        batch["age_years"] = batch["age_years"].masked_fill(hidden[0], torch.nan)
        batch["sex"] = batch["sex"].masked_fill(hidden[1], 0)
        batch["position"] = batch["position"].masked_fill(hidden[2], 0)
        logits = self(batch)
        if allowed is not None:
            target = among_allowed(logits, allowed)
        loss = self.loss(logits, target)
        self.log("train_loss", loss, on_epoch=True, on_step=False, batch_size=count, sync_dist=True)
        return loss

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Class-weighted cross entropy or focal loss against soft targets, averaged over the batch's weights.

        For hard targets the first is ``torch.nn.CrossEntropyLoss(weight=…)``. The focal loss multiplies each
        class's term by ``(1 - p) ** gamma`` (Lin et al., "Focal loss for dense object detection", ICCV 2017,
        equation 4).
        """
        smoothing = self.recipe.label_smoothing
        if smoothing > 0:
            target = target * (1 - smoothing) + smoothing / target.shape[1]
        weighted = target * self.weights
        log_probability = logits.log_softmax(1)
        terms = weighted * log_probability
        if self.recipe.loss == "focal":
            terms = terms * (1 - log_probability.exp()) ** self.recipe.focal_gamma
        return -terms.sum() / weighted.sum().clamp_min(1e-12)

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        self._outputs.append((self(batch).detach(), batch["label"]))

    def on_validation_epoch_end(self) -> None:
        logits, label = (torch.cat(parts) for parts in zip(*self._outputs, strict=True))
        self._outputs.clear()
        # The loss is reported without class weights: it says how well the probabilities fit.
        self.log("val_loss", F.cross_entropy(logits, label))
        names = self.recipe.labels
        annotated, predicted = ([names[k] for k in index.tolist()] for index in (label, logits.argmax(1)))
        confusion = confusion_matrix(annotated, predicted, names)
        scores = event_scores(confusion, names)
        scores["accuracy"] = float(accuracy(confusion))
        adventitious = 1 - logits.softmax(1)[:, 0].double().numpy(force=True)
        ranked = average_precision((label != 0).numpy(force=True), adventitious)
        scores["average_precision"] = float(np.nan_to_num(ranked))
        scores["last"] = float(self.current_epoch)
        for name, value in scores.items():
            self.log(f"val_{name}", value, prog_bar=name == self.recipe.monitor)

    def on_train_epoch_end(self) -> None:
        # Called after the epoch's validation and before the checkpoint for resuming is written.
        values = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
        seconds = time.perf_counter() - self._epoch_started
        self.history.append({"epoch": self.current_epoch, **values, "seconds": round(seconds, 2)})

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        # Lightning refuses to clip for a fused optimiser, for fear of scaled float16 gradients; bfloat16's
        # are not scaled.
        if gradient_clip_val:
            nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)

    def configure_optimizers(self) -> Any:
        recipe = self.recipe
        rate = recipe.learning_rate
        # One group for each pair of rate and decay: the fused step is a call a group.
        alike: dict[tuple[float, float], list[Tensor]] = {}
        for parameter in self.parameters():
            if not parameter.requires_grad:
                continue
            wide = parameter.shape[1] if parameter.ndim == 2 else 0
            # Biases and batch norm are not decayed.
            decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
            alike.setdefault((rate * min(1.0, WIDE_INPUTS / max(1, wide)), decay), []).append(parameter)
        groups: list[dict[str, Any]] = [
            {"params": own, "lr": lr, "weight_decay": decay} for (lr, decay), own in alike.items()
        ]
        kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[recipe.optimizer]
        optimizer = kind(groups, lr=rate, fused=True)
        if recipe.schedule == "constant":
            return optimizer
        steps = max(2, recipe.epochs * self.batches_per_epoch)
        # A rise of exactly one step would divide by zero in PyTorch.
        warmup = recipe.warmup if recipe.warmup * steps >= 1.5 else 1.5 / steps
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            [group["lr"] for group in groups],
            total_steps=steps,
            pct_start=warmup,
            div_factor=10,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


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


@functools.cache
def ward_noises(duration_s: float, sample_rate: int, pieces: int = 200) -> Tensor:
    """Pieces of noise to train with, ``(pieces, samples)`` of unit deviation; always the same."""
    made = [ward_noise(np.random.default_rng([1, piece]), duration_s, sample_rate) for piece in range(pieces)]
    return torch.from_numpy(np.stack(made).astype(np.float32))


def memory_format(network: nn.Module) -> torch.memory_format:
    """Channels last, which is faster, where it is safe.

    PyTorch 2.13 without AVX-512 writes beyond its buffers in the gradient of a convolution of float32 whose
    channels are last and not a multiple of eight, and the process dies sooner or later.
    """
    odd = any(isinstance(part, nn.Conv2d) and part.out_channels % 8 for part in network.modules())
    return torch.contiguous_format if odd else torch.channels_last


def seen(batch: Batch, front_end: nn.Module | None) -> Tensor:
    """The images of a batch as the network takes them."""
    if "bounds" not in batch:
        return batch["image"]
    assert isinstance(front_end, EventLogMel)
    front_end = front_end.to(batch["image"].device)
    margin = (batch["image"].shape[1] - front_end.clip_samples) // 2
    return front_end(batch["image"][:, margin : margin + front_end.clip_samples], batch["bounds"] - margin)


def event_scores(confusion: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Se, Sp, AS, HS and TS (Chen & Zhang, equation 1) and the challenge's Score; Normal comes first.

    A score that the clips leave undefined (no normal or no adventitious one) counts as zero here, since it
    is compared from epoch to epoch.
    """
    se = np.nan_to_num(sensitivity(confusion, classes, classes[0]))
    sp = np.nan_to_num(specificity(confusion, classes, classes[0]))
    scores = {
        "se": se,
        "sp": sp,
        "as": average_score(se, sp),
        "hs": harmonic_score(se, sp),
        "ts": total_score(se, sp),
        "score": challenge_score(se, sp),
    }
    return {name: float(value) for name, value in scores.items()}
