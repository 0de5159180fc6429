"""Cross-validation of a recipe: every patient is answered for by a model that never heard that patient.

A fold is the unit of work: its folder is a run folder without logs, and what is finished is not done again.
Nothing is chosen on a fold: its model is that of the last epoch, and where its answers turn from Normal to
another class is fitted on the other folds.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging
from torch import Tensor, nn

from laennec import splits
from laennec.errors import LaennecError
from laennec.evaluate import Predictions, read_predictions, write_predictions
from laennec.files import make_folder, write_json, written_whole
from laennec.train.build import build_parts
from laennec.train.crossval import light_trainer, pooled
from laennec.train.data import (
    ClipTensors,
    class_weights,
    label_indices,
    metadata_tensors,
    predictions,
    read_waveforms,
    read_windows,
    subset,
    training_loader,
)
from laennec.train.decision import Decision, fit_decision, shift_normal
from laennec.train.features import CycleLogMel, EventLogMel, FrontEnd, extract
from laennec.train.fit import Hardware, in_taxonomy, machine, predict_logits, quiet, tuned_cpu
from laennec.train.module import Classifier
from laennec.train.recipe import Recipe, changed_settings, recipe_to_dict

TINY = 1e-12  # added to probabilities before their logarithm


@dataclass(frozen=True)
class Material:
    """Clips with their images, before anything is fitted, and the folds of their patients."""

    clips: pd.DataFrame
    folds: Sequence[splits.Split]
    front_end: FrontEnd
    images: ClipTensors


def gather(clips: pd.DataFrame, recipe: Recipe, folds: int) -> Material:
    """Read all clips and deal their patients into folds.

    Raises
    ------
    LaennecError
        If the recipe is one of cycles, of a model that starts from another, or has labels unlike the data's.
    """
    front_end = build_parts(recipe)[0]
    if isinstance(front_end, CycleLogMel) or recipe.start_from:
        raise LaennecError(
            f"recipe {recipe.name} cannot be cross-validated by itself; laennec transfer and laennec "
            "reproduce do that for recipes of cycles and for those that start from others"
        )
    clips = in_taxonomy(clips, recipe)
    dealt = splits.kfold(clips, folds, recipe.split_seed)
    told = (label_indices(clips, recipe.labels), *metadata_tensors(clips))
    if isinstance(front_end, EventLogMel):
        waveforms, bounds = read_windows(clips, front_end)
        tensors = ClipTensors(waveforms, *told, bounds)
    else:
        waveforms = read_waveforms(clips, front_end.sample_rate, front_end.clip_samples, recipe.padding)
        tensors = ClipTensors(extract(front_end, waveforms), *told)
    return Material(clips, dealt, front_end, tensors)


def parts_of(material: Material, fold: int) -> tuple[ClipTensors, ClipTensors]:
    """Training and held-out clips of a fold, normalised by the training clips alone."""
    split = material.folds[fold]
    splits.refuse_leakage(material.clips[split.train], material.clips[split.validation])
    training, held_out = (subset(material.images, side) for side in (split.train, split.validation))
    front_end = material.front_end
    if isinstance(front_end, EventLogMel):
        return training, held_out
    front_end.fit_statistics(training.image)
    return tuple(  # type: ignore[return-value]
        replace(part, image=front_end.normalised(part.image).to(memory_format=torch.channels_last))
        for part in (training, held_out)
    )


def train_last_epoch(
    training: ClipTensors, recipe: Recipe, front_end: FrontEnd, hardware: Hardware, progress: bool = False
) -> nn.Module:
    """The network of a recipe after its last epoch, averaged over steps where the recipe says so."""
    torch.manual_seed(recipe.seed)
    network = build_parts(recipe)[1]
    weights = class_weights(training.label, len(recipe.labels), recipe.class_weights)
    batches = training_loader(training, recipe.batch_size, recipe.seed, 1, 0, recipe.normal_share)
    callbacks: list[Callback] = []
    if recipe.averaging_decay > 0:
        callbacks.append(EMAWeightAveraging(decay=recipe.averaging_decay))
    with quiet():
        module = Classifier(network, recipe, weights, len(batches), front_end)
        light_trainer(recipe, hardware.accelerator, callbacks, progress).fit(module, batches)
    return module.network.cpu().float().eval()


def run_fold(
    material: Material, recipe: Recipe, fold: int, folder: Path, hardware: Hardware, progress: bool = False
) -> None:
    """Train and predict one fold; ``fold.json`` is written last."""
    training, held_out = parts_of(material, fold)
    with tuned_cpu(1, hardware.threads):
        network = train_last_epoch(training, recipe, material.front_end, hardware, progress)
        logits = predict_logits(network, held_out, material.front_end)
    make_folder(folder)
    clips = material.clips[material.folds[fold].validation]
    write_predictions(folder / "predictions.csv", _predictions(clips, recipe, logits))
    save_model(folder, material.front_end, network, 1.0, recipe)
    write_json(
        folder / "fold.json",
        {
            "fold": fold + 1,
            "clips": {"train": len(training), "held out": len(held_out)},
            "parameters": sum(p.numel() for p in network.parameters()),
            "recipe": recipe_to_dict(recipe),
            "machine": machine(),
        },
    )


def save_model(
    folder: Path, front_end: FrontEnd, network: nn.Module, temperature: float, recipe: Recipe
) -> None:
    """Write ``model.pt`` as a run folder has it, so that `laennec.train.export` reads it."""
    with written_whole(folder / "model.pt") as temporary:
        torch.save(
            {
                "front_end": front_end.state_dict(),
                "network": network.state_dict(),
                "temperature": temperature,
                "recipe": recipe_to_dict(recipe),
            },
            temporary,
        )


def train_on_everybody(
    material: Material, recipe: Recipe, out: Path, hardware: Hardware, progress: bool = False
) -> None:
    """Train the model to ship after its cross-validation: on all clips, with the folds' decision."""
    everything = material.images
    if not isinstance(material.front_end, EventLogMel):
        material.front_end.fit_statistics(everything.image)
        everything = replace(everything, image=material.front_end.normalised(everything.image))
    files = [fold_folder(out, recipe.seed, fold) / "predictions.csv" for fold in range(len(material.folds))]
    decision = overall_decision([read_predictions(path) for path in files])
    with tuned_cpu(1, hardware.threads):
        network = train_last_epoch(everything, recipe, material.front_end, hardware, progress)
    if recipe.decision == "score":
        shift_normal(network, decision.shift)
    save_model(out, material.front_end, network, decision.temperature, replace(recipe, split="none"))


def _predictions(clips: pd.DataFrame, recipe: Recipe, logits: Tensor) -> Predictions:
    return predictions(clips, recipe.labels, logits.double().softmax(1).numpy())


def fold_folder(out: Path, seed: int, fold: int) -> Path:
    """Where a fold of a seed lies."""
    return out / f"seed{seed}" / f"fold{fold + 1}"


def cross_validate_recipe(
    material: Material,
    recipe: Recipe,
    out: Path,
    seeds: Sequence[int],
    only: Sequence[int] = (),
    hardware: Hardware | None = None,
    on_fold: Callable[[int, int], None] = lambda seed, fold: None,
    progress: bool = False,
) -> list[Predictions]:
    """Run all folds of all seeds that are not there yet; return each seed's predictions over the folds.

    Parameters
    ----------
    only
        Numbers of the folds to run, from 0; all where empty.

    Raises
    ------
    LaennecError
        If `out` holds folds of other settings or other clips.
    """
    found = []
    for seed in seeds:
        seeded = replace(recipe, seed=seed)
        parts = []
        for fold in only or range(len(material.folds)):
            folder = fold_folder(out, seed, fold)
            if not _finished(folder, seeded, material, fold):
                on_fold(seed, fold)
                run_fold(material, seeded, fold, folder, hardware or Hardware(), progress)
            parts.append(read_predictions(folder / "predictions.csv"))
        if recipe.decision == "score" and len(parts) == len(material.folds):
            parts = decided(parts)  # some folds alone stay as the networks say them
        found.append(pooled(parts))
    return found


def decided(parts: Sequence[Predictions]) -> list[Predictions]:
    """The folds' predictions with the decision of each fitted on the others."""
    return [with_decision(part, own) for part, own in zip(parts, decisions(parts), strict=True)]


def decisions(parts: Sequence[Predictions]) -> list[Decision]:
    """For each fold the decision fitted on the others."""
    return [overall_decision([*parts[:place], *parts[place + 1 :]]) for place in range(len(parts))]


def with_decision(predictions: Predictions, decision: Decision) -> Predictions:
    """What is answered with a decision."""
    return replace(predictions, probabilities=decision.applied(np.log(predictions.probabilities + TINY)))


def overall_decision(parts: Sequence[Predictions]) -> Decision:
    """The decision fitted on all folds: that of a model which is trained on everybody."""
    logits = np.concatenate([np.log(part.probabilities + TINY) for part in parts])
    return fit_decision(logits, np.concatenate([_indices(part) for part in parts]))


def _indices(predictions: Predictions) -> np.ndarray:
    return np.array([predictions.classes.index(label) for label in predictions.labels])


def _finished(folder: Path, recipe: Recipe, material: Material, fold: int) -> bool:
    path = folder / "fold.json"
    if not path.exists():
        return False
    told = json.loads(path.read_text(encoding="utf-8"))["recipe"]
    changed = changed_settings(told, recipe, str(path))
    expected = set(material.clips["clip_id"][material.folds[fold].validation])
    if set(read_predictions(folder / "predictions.csv").clip_ids) != expected:
        changed.append("clips")
    if changed:
        raise LaennecError(
            f"{folder} was made with other settings ({', '.join(changed)}); choose another folder"
        )
    return True


def stacked(found: Sequence[Predictions]) -> Predictions:
    """The seeds' predictions side by side, so that every score is the mean over the seeds."""
    return replace(found[0], probabilities=np.stack([each.probabilities for each in found]))
