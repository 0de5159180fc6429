"""The one training loop: Lightning runs it, over clips, cycles and recordings alike."""

import logging
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import lightning as L
import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader

from laennec.errors import LaennecError, UsageError
from laennec.features.base import Batch, FrontEnd
from laennec.files import has_content
from laennec.models.tasks import Task, memory_format
from laennec.train.ahead import DRAWN, PreparedAhead, beside, prepared, seed_of, takes_generator
from laennec.train.build import build_parts
from laennec.train.epochs import StopEarly
from laennec.train.graphs import RecordedPasses
from laennec.train.hardware import HALF, Hardware, Trial, check_hardware, refused, tuned_cpu, usable_precision
from laennec.train.processes import gathered, share_buffers, started_by
from laennec.train.recipe import Recipe
from laennec.train.saved import WholeCheckpoints
from laennec.train.weights import DIVERGED, Start, freeze_before, take_over

# Adam moves every weight by about the learning rate, so the output of a layer moves in proportion to the
# number of its inputs. A layer with more inputs than this learns more slowly by that ratio, or the 155,648
# inputs behind the first paper's LSTM would saturate the Tanh after them within a few steps (Yang & Hu,
# "Tensor Programs IV", ICML 2021, on learning rates and width).
WIDE_INPUTS = 8192


class Examples(Protocol):
    """What a network is trained on or measured on."""

    def __len__(self) -> int: ...

    def task(self, recipe: Recipe, front_end: FrontEnd) -> Task:
        """What a network is trained for on them."""
        ...

    def training_loader(
        self, recipe: Recipe, front_end: FrontEnd, world: int = 1, rank: int = 0
    ) -> DataLoader[Batch]:
        """Batches in an order that depends on seed and epoch alone, shared out over `world` processes."""
        ...

    def loader(self) -> DataLoader[Batch]:
        """All of them in their own order."""
        ...


class Module(L.LightningModule):
    """A network, what it is trained for, and how fast.

    Parameters
    ----------
    batches_per_epoch
        Optimiser steps of an epoch, for the one-cycle schedule.
    """

    def __init__(self, network: nn.Module, task: Task, recipe: Recipe, batches_per_epoch: int) -> None:
        super().__init__()
        self.network = network.to(memory_format=memory_format(network))  # type: ignore[call-overload]
        self.task, self.recipe, self.batches_per_epoch = task, recipe, batches_per_epoch
        self.history: list[dict[str, float]] = []
        self._validated: list[tuple[int, Any, Batch]] = []
        self.epoch_started = 0.0

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = checkpoint["history"]

    def on_train_start(self) -> None:
        # The first epoch after a resume has no start of its own for Lightning.
        self.epoch_started = time.perf_counter()

    def on_train_epoch_start(self) -> None:
        self.epoch_started = time.perf_counter()

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        # Dropout and augmentation draw from the global generator; seeding it by what is being trained makes
        # a resumed run equal to one that was never interrupted.
        if DRAWN in batch:
            torch.default_generator.set_state(batch[DRAWN])
        else:
            self._seed(seed_of(self.recipe.seed, self.current_epoch, batch_index, self.global_rank))
            batch = self.task.prepared(self.network, batch)
        loss = self.task.loss(self.network, batch)
        count = len(batch["image"])
        self.log("train_loss", loss, on_epoch=True, on_step=False, batch_size=count, sync_dist=True)
        return loss

    def _seed(self, seed: int) -> None:
        if self.device.type == "cpu":  # `torch.manual_seed` notes every call for cards that may be used later
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)

    def on_validation_epoch_start(self) -> None:
        share_buffers(self.network)

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        # Of several processes each predicts its share, and all get the scores of the whole.
        if batch_index % self.trainer.world_size == self.global_rank:
            self._validated.append((batch_index, self.task.predictions(self.network, batch), batch))

    def on_validation_epoch_end(self) -> None:
        own = [(index, _on_cpu(found), _on_cpu(batch)) for index, found, batch in self._validated]
        whole = sorted(gathered(own), key=lambda each: each[0]) if self.trainer.world_size > 1 else own
        _, predictions, batches = zip(*whole, strict=True)
        self._validated.clear()
        scores = {**self.task.scores(predictions, batches), "last": float(self.current_epoch)}
        for name, value in scores.items():
            self.log(f"val_{name}", value, prog_bar=name == self.recipe.monitor)

    def on_train_epoch_end(self) -> None:
        # Called after the epoch's validation and before the checkpoint for resuming is written.
        values = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
        seconds = time.perf_counter() - self.epoch_started
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
            div_factor=1 / recipe.initial_rate,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def make_trainer(
    recipe: Recipe,
    hardware: Hardware,
    out: Path | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = False,
    kept: Path | None = None,
) -> L.Trainer:
    """The Lightning trainer of a run, with checkpoints and logs below `out`, where there is one.

    In `kept`, only the last epoch's state is kept.
    """
    callbacks = [*callbacks, RecordedPasses()]
    loggers: list[Any] = []
    if out is not None:
        version = len(list((out / "logs").glob("version_*")))
        loggers = [CSVLogger(out, "logs", version), TensorBoardLogger(out, "logs", version)]
        callbacks += _checkpoints(out / "checkpoints", recipe)
    elif kept is not None:
        callbacks.append(_last(kept))
    if progress:
        callbacks.append(RichProgressBar())
    if recipe.averaging_decay > 0:
        callbacks.append(EMAWeightAveraging(decay=recipe.averaging_decay))
    if recipe.patience > 0 and recipe.chooses_epoch:
        callbacks.append(StopEarly(recipe))
    check_hardware(hardware)
    try:
        return _trainer(recipe, hardware, loggers, callbacks, (out or kept) is not None, progress)
    except Exception as error:  # Lightning has several for what is not there
        raise UsageError(refused(hardware, error)) from error


def _trainer(
    recipe: Recipe,
    hardware: Hardware,
    loggers: list[Any],
    callbacks: list[Callback],
    checkpoints: bool,
    progress: bool,
) -> L.Trainer:
    precision: Any = hardware.precision or usable_precision(recipe.precision, hardware)
    return L.Trainer(
        max_epochs=recipe.epochs,
        accelerator=hardware.accelerator,
        devices=hardware.devices,
        num_nodes=hardware.nodes,
        strategy=hardware.strategy,
        precision=precision,
        gradient_clip_val=recipe.gradient_clip or None,
        logger=loggers or False,
        callbacks=callbacks,
        enable_checkpointing=checkpoints,
        plugins=[WholeCheckpoints(), *_cluster()],
        # Batch norm's statistics are those of the whole batch; PyTorch has that for graphics cards alone.
        sync_batchnorm=hardware.on_gpu and hardware.devices * hardware.nodes != 1,
        enable_progress_bar=progress,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1_000_000,
        deterministic="warn",
    )


def _cluster() -> list[Any]:
    """SLURM without Lightning's own checkpoints and jobs in its queue: the same command resumes."""
    return [SLURMEnvironment(auto_requeue=False)] if started_by() == "srun" else []


def _checkpoints(folder: Path, recipe: Recipe) -> list[Callback]:
    return [
        ModelCheckpoint(
            folder,
            "best",
            monitor=f"val_{recipe.monitor}",
            mode="max",
            # Lightning puts averaged weights into whole checkpoints only.
            save_weights_only=recipe.averaging_decay == 0,
            enable_version_counter=False,
        ),
        _last(folder),
    ]


def _last(folder: Path) -> Callback:
    """Everything that a training goes on from, after each epoch."""
    return ModelCheckpoint(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)


def train_network(
    training: Examples,
    recipe: Recipe,
    front_end: FrontEnd,
    hardware: Hardware,
    start: Start | None = None,
    validation: Examples | None = None,
    *,
    out: Path | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = False,
    kept: Path | None = None,
) -> tuple[Module, L.Trainer]:
    """Train the network of a recipe to its last epoch, begun with the weights of `start` where there are any.

    With `out`, a run's folder, or `kept`, a folder for the last epoch's state alone, an interrupted training
    goes on from there.
    """
    torch.manual_seed(recipe.seed)
    network = build_parts(recipe)[1]
    if start is not None:
        take_over(network, start.weights, start.name)
    freeze_before(network, recipe.fine_tune_from, recipe.fine_tune_norms)
    with quiet():
        trainer = make_trainer(recipe, hardware, out, callbacks, progress, kept)
        batches = training.training_loader(recipe, front_end, trainer.world_size, trainer.global_rank)
        module = Module(network, training.task(recipe, front_end), recipe, len(batches))
        folder = kept if out is None else out / "checkpoints"
        last = None if folder is None else folder / "last.ckpt"
        resumed = str(last) if last is not None and has_content(last) else None
        try:
            trainer.fit(
                module,
                _ahead(batches, module, hardware, trainer.global_rank),
                None if validation is None else validation.loader(),
                ckpt_path=resumed,
            )
        except Exception as error:
            # Before the first step, whatever a checkpoint of something else makes Lightning raise.
            if resumed is None or module.epoch_started or isinstance(error, LaennecError):
                raise
            raise LaennecError(
                f"{resumed}: of another training; delete it, and the same command begins this training anew"
            ) from error
        except SystemExit as stopped:  # Lightning's answer to Ctrl-C and to SIGTERM, which says nothing
            cause = stopped.__context__
            raise cause if isinstance(cause, KeyboardInterrupt) else KeyboardInterrupt from None
    return module, trainer


def _ahead(batches: DataLoader[Batch], module: Module, hardware: Hardware, rank: int) -> Any:
    """The batches of a training, prepared beside its steps where that was found to be faster."""
    if not hardware.ahead or hardware.on_gpu or not takes_generator(module.task.front_end):
        return batches
    seed, half = module.recipe.seed, hardware.precision == HALF
    return PreparedAhead(batches, module.task, module.network, seed, rank, half)


@torch.no_grad()
def predict(
    network: nn.Module,
    examples: Examples,
    recipe: Recipe,
    front_end: FrontEnd,
    hardware: Hardware | None = None,
) -> list[Any]:
    """What the network says of each batch of the examples, in their order, in full precision.

    Whole recordings are predicted where `hardware` trains, one by one; clips, which are few operations, here.
    LaennecError if it says what is no number.
    """
    there = hardware is not None and hardware.on_gpu and front_end.task == "recording"
    device = torch.device("cuda" if there and torch.cuda.is_available() else "cpu")
    network = network.float().eval().to(device)
    task = examples.task(recipe, front_end)
    moved = ({name: value.to(device) for name, value in batch.items()} for batch in examples.loader())
    found = [_on_cpu(task.predictions(network, batch)) for batch in moved]
    network.cpu()
    for one in found:
        outputs = one.values() if isinstance(one, Mapping) else [one]
        if not all(bool(torch.isfinite(output).all()) for output in outputs):
            raise LaennecError(DIVERGED.format(recipe.name))
    return found


def _on_cpu(predicted: Any) -> Any:
    """A tensor, or a mapping of tensors, in the memory of the processor."""
    if isinstance(predicted, Mapping):
        return {name: value.cpu() for name, value in predicted.items()}
    return predicted.cpu()


def trial_step(examples: Examples, recipe: Recipe, front_end: FrontEnd) -> Trial:
    """A training step of a few examples, to time; also with the next batch prepared beside it."""
    shorter = replace(recipe.recording, batch_s=recipe.recording.batch_s / 4)
    few = replace(recipe, batch_size=min(8, recipe.batch_size), recording=shorter)
    network = build_parts(few)[1]
    freeze_before(network, few.fine_tune_from)
    network.to(memory_format=memory_format(network))  # type: ignore[call-overload]
    batch = next(iter(examples.training_loader(few, front_end)))
    task = examples.task(few, front_end)

    def prepare() -> Batch:
        return prepared(task, network, dict(batch), torch.Generator().manual_seed(0), half=False)

    def learn(ready: Batch) -> None:
        network.zero_grad()
        task.loss(network, ready).backward()

    def step() -> None:
        learn(task.prepared(network, dict(batch)))

    if not takes_generator(front_end):
        return Trial(step)
    ready = prepare()
    return Trial(step, lambda: beside(lambda: learn(ready), prepare))


def terminal() -> bool:
    """Whether somebody is there to see a progress bar."""
    return sys.stderr.isatty()


@contextmanager
def quiet() -> Iterator[None]:
    """Hide Lightning's advice, which speaks of its own interface, and PyTorch's on recorded passes."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module=r"lightning.*")
        warnings.filterwarnings("ignore", message=".*isinstance.treespec.*")
        # Passes are recorded on a stream of their own, where gradients first arise. The first replay comes
        # from another: PyTorch has one wait for the other, and makes the context of the backward thread.
        warnings.filterwarnings("ignore", message=".*AccumulateGrad node's stream does not match.*")
        warnings.filterwarnings("ignore", message=".*there was no current CUDA context.*")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def step_times(
    examples: Examples, recipe: Recipe, front_end: FrontEnd, hardware: Hardware
) -> list[tuple[float, float]]:
    """When each training step of an epoch ended: seconds, and seconds of processor time."""

    class StepEnds(Callback):
        def __init__(self) -> None:
            self.at: list[tuple[float, float]] = []

        def on_train_batch_end(self, *_: Any) -> None:
            self.at.append((time.perf_counter(), time.process_time()))

    ends = StepEnds()
    with tuned_cpu(1, hardware.threads):
        train_network(examples, replace(recipe, epochs=1), front_end, hardware, callbacks=[ends])
    return ends.at
