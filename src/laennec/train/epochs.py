"""Which epoch of a training is kept, and when a training has had enough of them."""

import math
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, EarlyStopping, EMAWeightAveraging
from torch import Tensor

from laennec.train.recipe import Recipe


class KeepBest(Callback):
    """Keep the weights of the epoch that is best on the validation set in memory.

    A fold takes a minute, and hundreds of them would fill a disk with checkpoints.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor, self.best, self.epoch = f"val_{monitor}", -math.inf, -1
        self.weights: dict[str, Tensor] = {}

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        value = float(trainer.callback_metrics[self.monitor])
        if value > self.best:
            self.best, self.epoch = value, trainer.current_epoch
            averages = (c for c in trainer.callbacks if isinstance(c, EMAWeightAveraging))  # type: ignore[attr-defined]
            averaged: Any = next((c._average_model for c in averages), None)
            network: Any = (averaged.module if averaged is not None else pl_module).network
            self.weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}


class StopEarly(EarlyStopping):
    """End a training after `Recipe.patience` epochs in a row that bring no better `Recipe.monitor`."""

    def __init__(self, recipe: Recipe) -> None:
        # After validation, which a training on everything has none of.
        super().__init__(
            f"val_{recipe.monitor}", patience=recipe.patience, mode="max", check_on_train_epoch_end=False
        )

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # Interrupted after its last epoch, a training must not get one more.
        trainer.should_stop = self.wait_count >= self.patience
