"""Patient-wise cross-validation of a small cohort: train, validation and test patients disjoint in each fold.

Nguyen & Pernkopf, section IV-A. A fold is the unit of work: its predictions are written when it is finished,
and what is there is not done again. Lightning owns the loop of each fold; the best epoch's weights stay in
memory, since a fold takes a minute and hundreds of them would fill a disk with checkpoints.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from laennec.datasets import splits
from laennec.errors import LaennecError
from laennec.files import make_folder, write_json
from laennec.score.predictions import Predictions, read_predictions, write_predictions
from laennec.train.augment import Copy, draw_copies
from laennec.train.build import build_parts
from laennec.train.data import (
    ClipTensors,
    Cycle,
    class_weights,
    copies_of,
    cycle_images,
    joined,
    label_indices,
    metadata_tensors,
    predictions,
    read_cycles,
    subset,
    training_loader,
    validation_loader,
)
from laennec.train.decision import shift_head
from laennec.train.features import CycleLogMel, FrontEnd
from laennec.train.fit import Hardware, predict_logits, quiet, tuned_cpu, usable_precision
from laennec.train.module import Classifier
from laennec.train.recipe import Recipe, changed_settings, recipe_to_dict
from laennec.train.transfer import freeze_before, take_over

SHORTEST_CYCLE_S = 0.2  # s: ICBHI's shortest cycle; what is shorter is a slip of the annotator's
LONGEST_LENGTH = 131_960  # samples at 16 kHz: the longest cycle of Nguyen & Pernkopf's cohort


@dataclass(frozen=True)
class Cohort:
    """A target: its cycles, their classes, and which fold each patient belongs to."""

    clips: pd.DataFrame
    cycles: Sequence[Cycle]
    fold: np.ndarray
    """``(clips,)`` fold of each clip."""
    labels: tuple[str, ...]
    sample_rate: int
    clip_samples: int
    """Length that every cycle is brought to."""
    _images: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @property
    def folds(self) -> int:
        return int(self.fold.max()) + 1

    def images(self, recipe: Recipe, copies: Sequence[Copy]) -> tuple[Tensor, Tensor]:
        """Images of all cycles, kept for the next fold, and of the copies."""
        front_end = cycle_front_end(recipe)
        how = (recipe.padding, recipe.known_phases)
        key = json.dumps([recipe.front_end, *how], sort_keys=True, default=list)
        if key not in self._images:
            self._images.clear()  # one at a time: rows with the same images follow each other
            images, _ = cycle_images(self.cycles, front_end, recipe.padding, (), recipe.known_phases)
            self._images[key] = images
        wanted = sorted({copy.row for copy in copies})
        place = {row: index for index, row in enumerate(wanted)}
        moved = [replace(copy, row=place[copy.row]) for copy in copies]
        few = [self.cycles[row] for row in wanted]
        varied = cycle_images(few, front_end, recipe.padding, moved, recipe.known_phases)[1]
        return self._images[key], varied

    @property
    def digest(self) -> str:
        """Of what decides a result: each clip with its times, label, patient and fold."""
        names = ("clip_id", "start_s", "end_s", "label", "subject")
        rows = zip(*(self.clips[name] for name in names), self.fold.tolist(), strict=True)
        return hashlib.sha256(repr(sorted(map(repr, rows))).encode()).hexdigest()


def cycle_front_end(recipe: Recipe) -> CycleLogMel:
    """The front end of a recipe for cycles.

    Raises
    ------
    LaennecError
        If the recipe has another one.
    """
    front_end = build_parts(recipe)[0]
    if not isinstance(front_end, CycleLogMel):
        raise LaennecError(
            f"recipe {recipe.name}: transfer works on cycles; its front end must be cycle-log-mel"
        )
    return front_end


def make_cohort(
    clips: pd.DataFrame,
    labels: tuple[str, ...],
    folds: int = 7,
    seed: int = 0,
    sample_rate: int = 16_000,
    clip_samples: int = 0,
) -> Cohort:
    """Read a target cohort.

    Parameters
    ----------
    clips
        Cycles of the classes `labels`, the target class last.
    folds
        As many folds; fewer where there are fewer patients with the target class.
    clip_samples
        Length to bring cycles to; 0 takes that of the longest, and at most the paper's 131,960 samples.

    Raises
    ------
    LaennecError
        If a class has fewer than two patients, or a cycle is shorter than 0.2 s.
    """
    fold = check_cohort(clips, labels, folds, seed)
    cycles = read_cycles(clips, sample_rate)
    longest = max(len(cycle.samples) for cycle in cycles)
    return Cohort(clips, cycles, fold, labels, sample_rate, clip_samples or min(longest, LONGEST_LENGTH))


def check_cohort(clips: pd.DataFrame, labels: tuple[str, ...], folds: int = 7, seed: int = 0) -> np.ndarray:
    """Fold of each clip, or LaennecError saying why these clips cannot be cross-validated; reads no sound."""
    lasting = (clips["end_s"] - clips["start_s"]).round(6)  # 0.2 s in binary may be a little less
    if (lasting < SHORTEST_CYCLE_S).any():
        row = clips.iloc[int(lasting.argmin())]
        raise LaennecError(
            f"{int((lasting < SHORTEST_CYCLE_S).sum())} cycles are shorter than {SHORTEST_CYCLE_S} s, first "
            f"{row['clip_id']} ({lasting.min():.3f} s); mend or remove them"
        )
    for label in labels:
        patients = len(set(splits.subject_groups(clips[clips["label"] == label])))
        if patients < 2:
            raise LaennecError(
                f"{patients} patient{'s' if patients != 1 else ''} with {label!r}: two or more are needed "
                "to train on one and measure on another"
            )
    target = (clips["label"] == labels[-1]).to_numpy()
    patients = len(set(splits.subject_groups(clips[target])))
    if patients == 2:
        raise LaennecError(
            f"2 patients have {labels[-1]!r}; a third is needed, since training, validation and test "
            "patients are different ones"
        )
    if folds < 3:
        raise LaennecError(f"{folds} folds leave none to train on beside validation and test; give 3 or more")
    fold = splits.cohort_folds(clips, target, min(folds, patients), seed)
    for test in range(int(fold.max()) + 1):
        trained = set(clips["label"][splits.rotation(fold, test)[0]])
        if trained != set(labels):
            lost = ", ".join(sorted(set(labels) - trained))
            raise LaennecError(
                f"fold {test + 1} would train without any {lost}: too few patients have it beside those for "
                "validation and test; record more, or give fewer folds"
            )
    return fold


@dataclass(frozen=True)
class Start:
    """Weights of a source model, and what to call it."""

    weights: dict[str, Tensor]
    name: str

    @property
    def digest(self) -> str:
        """Of the weights, by which a finished fold knows whether it began with them."""
        total = hashlib.sha256()
        for name in sorted(self.weights):
            if "num_batches" not in name:  # a model file does not keep it
                total.update(name.encode() + self.weights[name].float().contiguous().numpy().tobytes())
        return total.hexdigest()


class KeepBest(Callback):
    """Keep the weights of the epoch that is best on the validation patients."""

    def __init__(self, monitor: str) -> None:
        self.monitor, self.best, self.epoch = f"val_{monitor}", -math.inf, -1
        self.weights: dict[str, Tensor] = {}

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        value = float(trainer.callback_metrics[self.monitor])
        if value > self.best:
            self.best, self.epoch = value, trainer.current_epoch
            network: Any = pl_module.network
            self.weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}


def light_trainer(
    recipe: Recipe, accelerator: str, callbacks: Sequence[Callback] = (), progress: bool = False
) -> L.Trainer:
    """A trainer that leaves nothing on disk: no logs, no checkpoints."""
    return L.Trainer(
        max_epochs=recipe.epochs,
        accelerator=accelerator,
        devices=1,
        precision=usable_precision(recipe.precision, accelerator),
        gradient_clip_val=recipe.gradient_clip or None,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        callbacks=list(callbacks),
    )


def train_network(
    training: ClipTensors,
    recipe: Recipe,
    start: Start | None,
    accelerator: str,
    validation: ClipTensors | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = False,
    front_end: FrontEnd | None = None,
) -> nn.Module:
    """The network of a recipe, begun with the source's weights where there are any, after its last epoch."""
    torch.manual_seed(recipe.seed)
    network = build_parts(recipe)[1]
    if start is not None:
        take_over(network, start.weights, start.name)
    freeze_before(network, recipe.fine_tune_from)
    weights = class_weights(training.label, len(recipe.labels), recipe.class_weights)
    with quiet():
        batches = training_loader(training, recipe.batch_size, recipe.seed, 1, 0, recipe.normal_share)
        module = Classifier(network, recipe, weights, len(batches), front_end)
        held_out = validation_loader(validation) if validation is not None else None
        light_trainer(recipe, accelerator, callbacks, progress).fit(module, batches, held_out)
    return module.network.cpu().float().eval()


def train_fold(
    training: ClipTensors,
    validation: ClipTensors,
    recipe: Recipe,
    start: Start | None,
    hardware: Hardware,
) -> tuple[nn.Module, dict[str, Any]]:
    """Train on some patients, choose the epoch on others; return the network and what happened."""
    best = KeepBest(recipe.monitor)
    started = time.perf_counter()
    network = train_network(training, recipe, start, hardware.accelerator, validation, [best])
    network.load_state_dict(best.weights)
    shift = 0.0
    if recipe.decision == "validation-f1":
        logits = predict_logits(network, validation)
        shift = best_f1_shift(logits, validation.label)
        shift_head(network, shift)
    return network, {
        "best_epoch": best.epoch,
        f"val_{recipe.monitor}": best.best,
        "shift": shift,
        "seconds": round(time.perf_counter() - started, 2),
    }


def best_f1_shift(logits: Tensor, label: Tensor) -> float:
    """What to add to the last class's logit so that its F-score on these clips is highest.

    Every threshold between two neighbouring scores is tried; of equally good ones, the middle of the first.
    """
    score = (logits[:, -1] - logits[:, :-1].logsumexp(1)).double().numpy()
    target = (label == logits.shape[1] - 1).numpy()
    if not target.any():
        return 0.0
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(target[order])
    f1 = 2 * hits / (np.arange(1, len(score) + 1) + target.sum())
    last = np.append(np.diff(score[order]) != 0, True)  # only between different scores
    best = int(np.argmax(np.where(last, f1, -1.0)))
    below = score[order][best + 1] if best + 1 < len(score) else score[order][best] - 1.0
    return -float((score[order][best] + below) / 2)


def fold_tensors(
    cohort: Cohort, recipe: Recipe, masks: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> tuple[ClipTensors, ClipTensors, ClipTensors]:
    """Training clips with their augmented copies, validation clips and test clips of a fold."""
    told = (label_indices(cohort.clips, recipe.labels), *metadata_tensors(cohort.clips))
    rows = np.flatnonzero(masks[0])
    drawn = draw_copies(list(cohort.clips["label"].iloc[rows]), recipe.augmentation, recipe.seed)
    copies = [replace(copy, row=int(rows[copy.row])) for copy in drawn]
    images, varied = cohort.images(recipe, copies)
    clips = ClipTensors(images, *told)
    training, validation, test = (subset(clips, mask) for mask in masks)
    if copies:
        training = joined(training, copies_of(clips, [copy.row for copy in copies], varied))
    return training, validation, test


def run_fold(
    cohort: Cohort, recipe: Recipe, fold: int, folder: Path, start: Start | None, hardware: Hardware
) -> None:
    """Train, choose and predict one fold, and write ``predictions.csv`` and then ``fold.json``."""
    masks = splits.rotation(cohort.fold, fold)
    splits.refuse_leakage(cohort.clips[~masks[2]], cohort.clips[masks[2]])
    splits.refuse_leakage(cohort.clips[masks[0]], cohort.clips[masks[1]])
    training, validation, test = fold_tensors(cohort, recipe, masks)
    with tuned_cpu(1, hardware.threads):
        network, told = train_fold(training, validation, recipe, start, hardware)
        logits = predict_logits(network, test)
    make_folder(folder)
    found = predictions(cohort.clips[masks[2]], recipe.labels, logits.double().softmax(1).numpy())
    write_predictions(folder / "predictions.csv", found)
    write_json(
        folder / "fold.json",
        {
            **told,
            "fold": fold + 1,
            "clips": {
                name: int(mask.sum())
                for name, mask in zip(("train", "validation", "test"), masks, strict=True)
            },
            "source": start.name if start else None,
            "source_sha256": start.digest if start else None,
            "cohort_sha256": cohort.digest,
            "recipe": recipe_to_dict(recipe),
        },
    )


def cross_validate(
    cohort: Cohort,
    recipe: Recipe,
    out: Path,
    runs: int,
    start: Start | None = None,
    hardware: Hardware | None = None,
    on_fold: Callable[[float], None] = lambda seconds: None,
) -> list[Predictions]:
    """Run every fold of every run that is not there yet, and return each run's predictions over all folds.

    Parameters
    ----------
    out
        Holds ``run-1/fold-1`` and so on.
    runs
        Independent trainings with the same folds, seeds 0, 1, …
    on_fold
        Called after each fold with the seconds that it took, 0 where it was there already.

    Raises
    ------
    LaennecError
        If `out` holds folds of other settings or other clips.
    """
    hardware = hardware or Hardware()
    found = []
    for run in range(runs):
        seeded = replace(recipe, seed=recipe.seed + run)
        parts = []
        for fold in range(cohort.folds):
            folder = out / f"run-{run + 1}" / f"fold-{fold + 1}"
            seconds = 0.0
            if not _finished(folder, seeded, cohort, fold, start):
                started = time.perf_counter()
                run_fold(cohort, seeded, fold, folder, start, hardware)
                seconds = time.perf_counter() - started
            parts.append(read_predictions(folder / "predictions.csv"))
            on_fold(seconds)
        found.append(pooled(parts))
    return found


def _finished(folder: Path, recipe: Recipe, cohort: Cohort, fold: int, start: Start | None) -> bool:
    path = folder / "fold.json"
    if not path.exists():
        return False
    refuse_other(path, recipe, cohort, start)
    ids = set(read_predictions(folder / "predictions.csv").clip_ids)
    if ids != set(cohort.clips["clip_id"][cohort.fold == fold]):
        raise LaennecError(f"{folder} holds a fold of other clips; choose another folder")
    return True


def refuse_other(path: Path, recipe: Recipe, cohort: Cohort, start: Start | None) -> None:
    """Raise LaennecError if a JSON file tells of other settings, clips, labels or source weights."""
    told = json.loads(path.read_text(encoding="utf-8"))
    changed = changed_settings(told["recipe"], recipe, str(path))
    if told.get("cohort_sha256", cohort.digest) != cohort.digest:
        changed.append("clips, labels or patients")
    source = start.digest if start else None
    if told.get("source_sha256", source) != source:
        changed.append("source weights")
    if changed:
        raise LaennecError(
            f"{path.parent} was made with other settings ({', '.join(changed)}); choose another folder"
        )


def pooled(parts: Sequence[Predictions]) -> Predictions:
    """Predictions of all folds of a run as one: every clip once."""
    return Predictions(
        tuple(clip for part in parts for clip in part.clip_ids),
        tuple(subject for part in parts for subject in part.subjects),
        tuple(label for part in parts for label in part.labels),
        parts[0].classes,
        np.concatenate([part.probabilities for part in parts]),
    )


def seconds_a_clip(recipe: Recipe, threads: int = 0, batches: int = 12) -> float:
    """Median time of a training step on this machine, by the clip, on noise."""
    front_end, network = build_parts(recipe)
    count = batches * recipe.batch_size
    images = torch.randn(count, 1, front_end.bands, front_end.frames).to(memory_format=torch.channels_last)
    none = torch.zeros(count, dtype=torch.long)
    clips = ClipTensors(images, none.clone(), torch.full((count,), torch.nan), none, none)
    clips.label[::2] = 1

    class Clock(Callback):
        def __init__(self) -> None:
            self.ends: list[float] = []

        def on_train_batch_end(self, *_: Any) -> None:
            self.ends.append(time.perf_counter())

    clock = Clock()
    with tuned_cpu(1, threads), quiet():
        batches_of = training_loader(clips, recipe.batch_size, 0, 1, 0)
        module = Classifier(network, recipe, torch.ones(len(recipe.labels)), len(batches_of))
        light_trainer(replace(recipe, epochs=1), "auto", [clock]).fit(module, batches_of)
    return float(np.median(np.diff(clock.ends))) / recipe.batch_size
