"""One training run, from a recipe and a clips table to a run folder; Lightning owns the loop.

A run folder holds::

    recipe.json          every setting, with the labels and the split's seed
    clips.csv            each clip and its side of the split
    logs/version_N/      metrics.csv and TensorBoard events of the N-th start
    checkpoints/         last.ckpt (everything, for resuming), best.ckpt (weights at the best validation TS)
    card.json            what the model file will say of data, figures and limits
    run.json             what the run was: figures of the best and the last epoch, time, machine, versions
    predictions.csv      probabilities of the best checkpoint on the validation side
"""

import csv
import ctypes
import datetime
import json
import logging
import os
import platform
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EMAWeightAveraging,
    ModelCheckpoint,
    RichProgressBar,
    TQDMProgressBar,
)
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import Tensor

from laennec.datasets import splits
from laennec.errors import LaennecError
from laennec.files import write_json, written_whole
from laennec.labels import spelling, to_icbhi
from laennec.score.predictions import write_predictions
from laennec.train.augment import draw_copies
from laennec.train.build import build_parts
from laennec.train.data import (
    ClipTensors,
    class_weights,
    copies_of,
    cycle_images,
    joined,
    label_indices,
    metadata_tensors,
    predictions,
    read_cycles,
    read_waveforms,
    read_windows,
    subset,
    training_loader,
    validation_loader,
)
from laennec.train.decision import Decision, fit_decision, shift_head
from laennec.train.features import CepstralImage, CycleLogMel, EventLogMel, FrontEnd, LogMel, extract
from laennec.train.module import Classifier, seen
from laennec.train.recipe import Recipe, changed_settings, parent_of, recipe_to_dict
from laennec.train.transfer import freeze_before, take_over
from laennec.version import __version__


@dataclass(frozen=True)
class TrainingData:
    """Everything a run needs of its data; several runs with one front end and split can share it."""

    clips: pd.DataFrame
    split: splits.Split
    front_end: FrontEnd
    images: ClipTensors
    beside: ClipTensors | None = None
    """Trained on beside the training side: augmented copies of its clips, or a second data set."""


@dataclass(frozen=True)
class Hardware:
    """Where Lightning trains: its own names (``auto``, ``cpu``, ``gpu``; ``ddp``, ``fsdp``, …)."""

    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    strategy: str = "auto"
    threads: int = 0
    """CPU threads of each process; 0 shares the cores out."""


@contextmanager
def tuned_cpu(processes: int = 1, threads: int = 0) -> Iterator[None]:
    """Settings of the process that make training on CPUs two to three times faster, for as long as it lasts.

    Denormal numbers are flushed to zero (they slow an LSTM down fifteenfold), freed memory is kept instead
    of going back to the system after each batch (glibc's ``mallopt``, which cannot be taken back), and
    processes share the cores out, since more threads than cores cost far more than they bring.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    before = torch.get_num_threads()
    torch.set_num_threads(threads or max(1, cores // processes))
    torch.set_flush_denormal(True)
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        # From malloc.h: M_TRIM_THRESHOLD -1, M_TOP_PAD -2, M_MMAP_MAX -4.
        for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 256 * 2**20)):
            libc.mallopt(option, value)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)


def usable_precision(precision: str, accelerator: str = "auto") -> Any:
    """Full precision in place of bfloat16 on a processor that has no instructions for it.

    Emulated, a training step takes ten times as long as in full precision.
    """
    on_gpu = accelerator not in ("cpu", "auto") or (accelerator == "auto" and torch.cuda.is_available())
    if on_gpu or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported():
        return precision
    arm = platform.machine().lower() in ("arm64", "aarch64")
    return precision if arm else "32-true"


def make_split(clips: pd.DataFrame, recipe: Recipe) -> splits.Split:
    """Split a training set as the recipe says; ``none`` trains and validates on everything."""
    if recipe.split == "none":
        everything = np.ones(len(clips), bool)
        return splits.Split("none", everything, everything, shared_subjects=clips["subject"].nunique())
    return splits.make(clips, recipe.split, recipe.validation_fraction, recipe.split_seed)


def chooses_epoch(recipe: Recipe) -> bool:
    """Whether the best epoch and the temperature are chosen on the validation side.

    Not where everything is trained on, nor on a published test set.
    """
    return recipe.split in ("patient", "random")


def in_taxonomy(clips: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """The clips with their labels in the recipe's taxonomy; others are refused or left out, as it says."""
    if recipe.taxonomy == "icbhi":
        clips = clips.assign(label=[to_icbhi(str(label)) or label for label in clips["label"]])
    elif recipe.other_labels == "leave out":
        clips = clips.assign(label=[spelling(str(label), recipe.labels) or label for label in clips["label"]])
    unknown = sorted(set(clips["label"]) - set(recipe.labels))
    if unknown and recipe.other_labels == "refuse":
        raise LaennecError(
            f"the data has labels that the recipe does not: {', '.join(unknown)}; "
            f"it knows {', '.join(recipe.labels)}"
        )
    return clips[clips["label"].isin(recipe.labels)].reset_index(drop=True)


def prepare(
    clips: pd.DataFrame,
    recipe: Recipe,
    waveforms: Tensor | None = None,
    beside: pd.DataFrame | None = None,
) -> TrainingData:
    """Read, cut and transform all clips, with the front end's statistics from the training side alone.

    Parameters
    ----------
    waveforms
        As `read_waveforms` returns them: saves the reading where they are known.
    beside
        Clips of the data set that the recipe trains on beside its own (`Recipe.also`); all are trained on.
    """
    clips = in_taxonomy(clips, recipe)
    front_end = build_parts(recipe)[0]  # before the recordings are read, which takes longer
    split = make_split(clips, recipe)
    if recipe.split == "patient":
        splits.refuse_leakage(clips[split.train], clips[split.validation])
    if isinstance(front_end, CycleLogMel):
        if beside is not None:
            raise LaennecError(f"recipe {recipe.name} is one of cycles and takes no second data set (also)")
        told = (label_indices(clips, recipe.labels), *metadata_tensors(clips))
        rows = np.flatnonzero(split.train)
        drawn = draw_copies(list(clips["label"].iloc[rows]), recipe.augmentation, recipe.seed)
        copies = [replace(copy, row=int(rows[copy.row])) for copy in drawn]
        cycles = read_cycles(clips, front_end.sample_rate)
        images, varied = cycle_images(cycles, front_end, recipe.padding, copies, recipe.known_phases)
        tensors = ClipTensors(images.to(memory_format=torch.channels_last), *told)
        second = copies_of(tensors, [copy.row for copy in copies], varied) if copies else None
        return TrainingData(clips, split, front_end, tensors, second)
    tensors = read_clips(clips, recipe, front_end, waveforms)
    fit_statistics(front_end, tensors.image[torch.from_numpy(split.train)])
    second = None if beside is None else normalised(front_end, read_beside(beside, recipe, front_end))
    return TrainingData(clips, split, front_end, normalised(front_end, tensors), second)


def read_clips(
    clips: pd.DataFrame,
    recipe: Recipe,
    front_end: CepstralImage | LogMel | EventLogMel,
    waveforms: Tensor | None = None,
) -> ClipTensors:
    """Clips as they are before anything is fitted: images, or the windows that they are computed from later.

    `waveforms` as in `prepare`.
    """
    told = (label_indices(clips, recipe.labels), *metadata_tensors(clips))
    if isinstance(front_end, EventLogMel):
        windows, bounds = read_windows(clips, front_end)
        return ClipTensors(windows, *told, bounds)
    if waveforms is None:
        waveforms = read_waveforms(clips, front_end.sample_rate, front_end.clip_samples, recipe.padding)
    return ClipTensors(extract(front_end, waveforms), *told)


def read_beside(
    clips: pd.DataFrame, recipe: Recipe, front_end: CepstralImage | LogMel | EventLogMel
) -> ClipTensors:
    """Clips of the second data set that a recipe trains on beside its own, as `read_clips` reads those.

    Raises
    ------
    LaennecError
        If a label is none that ICBHI has a name for.
    """
    kinds = [to_icbhi(label) for label in recipe.labels]
    told = [to_icbhi(str(label)) for label in clips["label"]]
    strange = {str(label) for label, kind in zip(clips["label"], told, strict=True) if kind not in kinds}
    if strange:
        raise LaennecError(
            f"{recipe.also} has labels that none of the recipe's classes stands for: "
            f"{', '.join(sorted(strange))}"
        )
    allowed = torch.tensor([[float(kind == own) for kind in kinds] for own in told])
    first = [recipe.labels[kinds.index(own)] for own in told]
    return replace(read_clips(clips.assign(label=first), recipe, front_end), allowed=allowed)


def with_beside(clips: ClipTensors, beside: ClipTensors) -> ClipTensors:
    """Clips of the training side together with what is trained on beside them."""
    if beside.allowed is not None:
        own = torch.nn.functional.one_hot(clips.label, beside.allowed.shape[1]).float()
        clips = replace(clips, allowed=own)
    return joined(clips, beside)


def fit_statistics(front_end: CepstralImage | LogMel | EventLogMel, images: Tensor) -> None:
    """Let a front end learn what it normalises by from the images of the training side."""
    if not isinstance(front_end, EventLogMel):  # which normalises each event by itself
        front_end.fit_statistics(images)


def normalised(front_end: CepstralImage | LogMel | EventLogMel, clips: ClipTensors) -> ClipTensors:
    """Clips of `read_clips` as a network is trained on them."""
    if isinstance(front_end, EventLogMel):
        return clips
    images = front_end.normalised(clips.image).to(memory_format=torch.channels_last)
    return replace(clips, image=images)


def averaging(recipe: Recipe) -> list[Callback]:
    """The callback that averages weights, where the recipe wants it."""
    return [EMAWeightAveraging(decay=recipe.averaging_decay)] if recipe.averaging_decay > 0 else []


@contextmanager
def quiet() -> Iterator[None]:
    """Hide Lightning's advice, which speaks of its own interface and not of ours."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module=r"lightning.*")
        warnings.filterwarnings("ignore", message=".*isinstance.treespec.*")
        try:
            yield
        finally:
            logger.setLevel(level)


def _callbacks(out: Path, recipe: Recipe) -> list[Callback]:
    checkpoints = out / "checkpoints"
    callbacks: list[Callback] = [
        ModelCheckpoint(
            checkpoints,
            "best",
            monitor=f"val_{recipe.monitor}",
            mode="max",
            # Lightning puts averaged weights into whole checkpoints only.
            save_weights_only=recipe.averaging_decay == 0,
            enable_version_counter=False,
        ),
        ModelCheckpoint(checkpoints, "last", save_on_train_epoch_end=True, enable_version_counter=False),
        RichProgressBar() if sys.stderr.isatty() else TQDMProgressBar(refresh_rate=0),
    ]
    return callbacks + averaging(recipe)


def make_trainer(out: Path, recipe: Recipe, hardware: Hardware) -> L.Trainer:
    """The Lightning trainer of a run, with its checkpoints and logs below `out`."""
    version = len(list((out / "logs").glob("version_*")))
    return L.Trainer(
        max_epochs=recipe.epochs,
        accelerator=hardware.accelerator,
        devices=hardware.devices,
        num_nodes=hardware.nodes,
        strategy=hardware.strategy,
        precision=usable_precision(recipe.precision, hardware.accelerator),
        gradient_clip_val=recipe.gradient_clip or None,
        logger=[CSVLogger(out, "logs", version), TensorBoardLogger(out, "logs", version)],
        callbacks=_callbacks(out, recipe),
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1_000_000,
        enable_model_summary=False,
        deterministic="warn",
    )


def fit(
    data: TrainingData,
    recipe: Recipe,
    out: str | os.PathLike[str],
    hardware: Hardware | None = None,
    start: Path | None = None,
) -> Path:
    """Train, or go on with an interrupted run, and write the run folder.

    Parameters
    ----------
    start
        A finished run of the recipe that this one starts from. Without it, that recipe is trained first, in
        ``start`` below `out`.

    Returns
    -------
    The run folder.

    Raises
    ------
    LaennecError
        If `out` holds a run of another recipe, or the run to start from is not finished and several processes
        cannot train it on the way.
    """
    out, hardware = Path(out), hardware or Hardware()
    if recipe.fine_tune_from and not recipe.start_from:
        raise LaennecError(
            f"recipe {recipe.name} fine-tunes a source model from {recipe.fine_tune_from} on; "
            f"laennec transfer --recipe {recipe.name} does that"
        )
    begin_run(out, data, recipe)
    if (out / "run.json").exists():
        return out
    if recipe.start_from:
        start = trained_start(data, recipe, out, hardware, start)
    elif start is not None:
        raise LaennecError(f"recipe {recipe.name} starts from no other (start_from), so it takes no start")
    processes = hardware.devices if hardware.accelerator == "cpu" else 1
    with tuned_cpu(processes, hardware.threads):
        _train(data, recipe, out, hardware, start)
    return out


def _train(data: TrainingData, recipe: Recipe, out: Path, hardware: Hardware, start: Path | None) -> None:
    L.seed_everything(recipe.seed, workers=True, verbose=False)
    training, validation = subset(data.images, data.split.train), subset(data.images, data.split.validation)
    if data.beside is not None:
        training = with_beside(training, data.beside)
    weights = class_weights(training.label, len(recipe.labels), recipe.class_weights)
    network = build_parts(recipe)[1]
    if start is not None:
        load_start(network, start)
    freeze_before(network, recipe.fine_tune_from)
    with quiet():
        trainer = make_trainer(out, recipe, hardware)
        batches = training_loader(
            training,
            recipe.batch_size,
            recipe.seed,
            trainer.world_size,
            trainer.global_rank,
            recipe.normal_share,
        )
        module = Classifier(network, recipe, weights, len(batches), data.front_end)
        last = out / "checkpoints" / "last.ckpt"
        trainer.fit(
            module, batches, validation_loader(validation), ckpt_path=str(last) if last.exists() else None
        )
    if trainer.is_global_zero:
        finish_run(out, data, recipe, module, validation, trainer.world_size)


def trained_start(
    data: TrainingData, recipe: Recipe, out: Path, hardware: Hardware, start: Path | None
) -> Path:
    """The finished run that a recipe starts from, trained now if need be."""
    parent = parent_of(recipe)
    assert parent is not None
    folder = start or out / "start"
    if not (folder / "run.json").exists():
        if start is not None or hardware.devices * hardware.nodes > 1:
            raise LaennecError(
                f"{recipe.name} starts from {parent.name}, and {folder} is not a finished run of it; "
                f"train {parent.name} first and name its run folder with --start"
            )
        fit(data, parent, folder, hardware)
    found = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    told = (found["recipe"], found["split"], found["split_seed"])
    if told != (parent.name, parent.split, parent.split_seed):
        raise LaennecError(
            f"{folder} is a run of {found['recipe']} on split {found['split']} {found['split_seed']}; "
            f"{recipe.name} starts from {parent.name} on split {parent.split} {parent.split_seed}"
        )
    if not _same_clips(folder, data, recipe):
        raise LaennecError(f"{folder} was trained on other clips, some of which may be validated on here")
    return folder


def load_start(network: torch.nn.Module, start: Path) -> None:
    """Take over the weights of a finished run wherever name and shape agree."""
    found = torch.load(start / "model.pt", map_location="cpu", weights_only=True)["network"]
    take_over(network, found, str(start))


def begin_run(out: Path, data: TrainingData, recipe: Recipe) -> None:
    """Write what the run will be; refuse a folder that holds another run."""
    path = out / "recipe.json"
    if path.exists():
        changed = changed_settings(json.loads(path.read_text(encoding="utf-8")), recipe, str(path))
        if changed:
            raise LaennecError(
                f"{out} holds a run with other settings ({', '.join(changed)}); choose another folder"
            )
        if not _same_clips(out, data, recipe):
            raise LaennecError(f"{out} holds a run on other data; choose another folder")
        return
    with written_whole(out / "clips.csv") as temporary:
        data.clips.assign(side=clip_sides(data, recipe)).to_csv(temporary, index=False)
    write_json(path, recipe_to_dict(recipe))


def clip_sides(data: TrainingData, recipe: Recipe) -> list[str]:
    """Side of the split of each clip: ``train`` or ``validation``; all are ``train`` without a split."""
    if recipe.split == "none":
        return ["train"] * len(data.clips)
    return ["train" if trained else "validation" for trained in data.split.train]


def _same_clips(run: Path, data: TrainingData, recipe: Recipe) -> bool:
    """Whether a run has the same clips on the same sides."""
    with (run / "clips.csv").open(encoding="utf-8", newline="") as lines:
        found = {row["clip_id"]: row["side"] for row in csv.DictReader(lines)}
    return found == dict(zip(data.clips["clip_id"], clip_sides(data, recipe), strict=True))


@torch.no_grad()
def predict_logits(
    network: torch.nn.Module,
    clips: ClipTensors,
    front_end: FrontEnd | None = None,
    batch_size: int = 128,
) -> Tensor:
    """``(clips, classes)`` float32 logits, in full precision."""
    network.eval()
    batches = validation_loader(clips, batch_size)
    return torch.cat(
        [network(seen(b, front_end), b["age_years"], b["sex"], b["position"]).float() for b in batches]
    )


def load_best(out: Path, network: torch.nn.Module) -> None:
    """Load the weights of the best validation TS into `network`."""
    checkpoint = torch.load(out / "checkpoints" / "best.ckpt", map_location="cpu", weights_only=True)
    prefix = "network."
    state = {
        key[len(prefix) :]: value for key, value in checkpoint["state_dict"].items() if key.startswith(prefix)
    }
    network.load_state_dict(state)


def finish_run(
    out: Path,
    data: TrainingData,
    recipe: Recipe,
    module: Classifier,
    validation: ClipTensors,
    processes: int,
) -> None:
    """Write the run's figures, predictions and model, the last of them ``run.json``."""
    network, history = module.network.cpu(), module.history
    if chooses_epoch(recipe):
        load_best(out, network)
    network = network.float().eval()
    decision = Decision()
    if recipe.split != "none":
        # The decision is fitted on the validation side, which no weight was trained on. A model trained
        # on everything has no such side and takes that of the run that selected it (`export`).
        logits = predict_logits(network, validation, data.front_end).double().numpy()
        if chooses_epoch(recipe):
            decision = fit_decision(logits, validation.label.numpy(), recipe.decision)
        found = predictions(clips_of(data, "validation"), recipe.labels, decision.applied(logits))
        write_predictions(out / "predictions.csv", found)
    save_model(out, data.front_end, network, decision, recipe)
    measured = recipe.split != "none"
    best = max(history, key=lambda epoch: epoch[f"val_{recipe.monitor}"]) if chooses_epoch(recipe) else None
    write_json(
        out / "run.json",
        {
            "recipe": recipe.name,
            "seed": recipe.seed,
            "start_from": recipe.start_from,
            "split": recipe.split,
            "split_seed": recipe.split_seed,
            "leaks": data.split.leaks and measured,
            "shared_subjects": data.split.shared_subjects if measured else 0,
            "clips": {
                "train": int(data.split.train.sum()),
                "validation": int(data.split.validation.sum()) * measured,
            },
            "patients": {
                "train": int(clips_of(data, "train")["subject"].nunique()),
                "validation": int(clips_of(data, "validation")["subject"].nunique()) * measured,
            },
            "parameters": sum(p.numel() for p in network.parameters()),
            "epochs": recipe.epochs,
            "best_epoch": best,
            "last_epoch": history[-1] if measured else None,
            "temperature": decision.temperature,
            "processes": processes,
            "seconds": round(sum(epoch["seconds"] for epoch in history), 1),
            "machine": machine(),
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        },
    )


def save_model(
    folder: Path, front_end: FrontEnd, network: torch.nn.Module, decision: Decision, recipe: Recipe
) -> None:
    """Write ``model.pt``, which `laennec.train.export` reads, with the decision's shift in the network."""
    if decision.shift:
        shift_head(network, decision.shift, 0)
    with written_whole(folder / "model.pt") as temporary:
        torch.save(
            {
                "front_end": front_end.state_dict(),
                "network": network.state_dict(),
                "temperature": decision.temperature,
                "recipe": recipe_to_dict(recipe),
            },
            temporary,
        )


def clips_of(data: TrainingData, side: str) -> pd.DataFrame:
    """The clips of one side of the split."""
    return data.clips[getattr(data.split, side)]


def machine() -> dict[str, Any]:
    """What a run's speed and bits depend on."""
    return {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "lightning": L.__version__,
        "laennec": __version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
