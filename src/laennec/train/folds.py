"""Cross-validation of a recipe: every patient is answered for by a model that never heard that patient.

A fold is the unit of work: its folder is a run folder without logs, and what is finished is not done again.
Nothing is chosen on a fold: its model is that of the last epoch, and where its answers turn from Normal to
another class is fitted on the other folds.
"""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from laennec.datasets import splits
from laennec.errors import LaennecError
from laennec.files import make_folder, write_json, written_whole
from laennec.score.predictions import Predictions, read_predictions, write_predictions
from laennec.train.build import build_parts
from laennec.train.crossval import pooled, train_network
from laennec.train.data import ClipTensors, predictions, subset
from laennec.train.decision import Decision, fit_decision
from laennec.train.features import CepstralImage, CycleLogMel, EventLogMel, LogMel
from laennec.train.fit import (
    Hardware,
    averaging,
    fit_statistics,
    in_taxonomy,
    machine,
    normalised,
    predict_logits,
    read_beside,
    read_clips,
    save_model,
    tuned_cpu,
    with_beside,
)
from laennec.train.recipe import Recipe, changed_settings, recipe_to_dict

TINY = 1e-12  # added to probabilities before their logarithm


@dataclass(frozen=True)
class Material:
    """Clips with their images, before anything is fitted, and the folds of their patients."""

    clips: pd.DataFrame
    folds: Sequence[splits.Split]
    front_end: CepstralImage | LogMel | EventLogMel
    images: ClipTensors
    beside: "Material | None" = None
    """The same of the recipe's second data set, whose patients have folds of their own."""

    def held_out(self, fold: int) -> pd.DataFrame:
        """The clips that a fold does not train on."""
        return self.clips[self.folds[fold].validation]


def gather(clips: pd.DataFrame, recipe: Recipe, folds: int, beside: pd.DataFrame | None = None) -> Material:
    """Read all clips and deal their patients into folds.

    Parameters
    ----------
    beside
        Clips of the data set that the recipe trains on beside its own (`Recipe.also`).

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
    second = None
    if beside is not None:
        own = splits.kfold(beside, folds, recipe.split_seed)
        second = Material(beside, own, front_end, read_beside(beside, recipe, front_end))
    return Material(clips, dealt, front_end, read_clips(clips, recipe, front_end), second)


def parts_of(material: Material, fold: int) -> tuple[ClipTensors, ClipTensors]:
    """Training and held-out clips of a fold, normalised by the training clips alone."""
    split = material.folds[fold]
    splits.refuse_leakage(material.clips[split.train], material.clips[split.validation])
    training, held_out = (subset(material.images, side) for side in (split.train, split.validation))
    if material.beside is not None:
        other = material.beside
        kept = other.folds[fold].train
        splits.refuse_leakage(other.clips[kept], other.held_out(fold))
        training = with_beside(training, subset(other.images, kept))
    fit_statistics(material.front_end, training.image)
    return normalised(material.front_end, training), normalised(material.front_end, held_out)


def run_fold(
    material: Material, recipe: Recipe, fold: int, folder: Path, hardware: Hardware, progress: bool = False
) -> None:
    """Train and predict one fold; ``fold.json`` is written last."""
    training, held_out = parts_of(material, fold)
    with tuned_cpu(1, hardware.threads):
        network = _trained(material, training, recipe, hardware, progress)
        logits = predict_logits(network, held_out, material.front_end)
    make_folder(folder)
    found = predictions(material.held_out(fold), recipe.labels, logits.double().softmax(1).numpy())
    write_predictions(folder / "predictions.csv", found)
    save_model(folder, material.front_end, network, Decision(), recipe)
    if material.beside is not None:
        with written_whole(folder / "beside.csv") as temporary:
            told = material.beside.held_out(fold)[["clip_id", "subject", "label"]]
            told.to_csv(temporary, index=False)
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


def train_on_everybody(
    material: Material, recipe: Recipe, out: Path, hardware: Hardware, progress: bool = False
) -> None:
    """Train the model to ship after its cross-validation: on all clips, with the folds' decision."""
    everything = material.images
    if material.beside is not None:
        everything = with_beside(everything, material.beside.images)
    fit_statistics(material.front_end, everything.image)
    everything = normalised(material.front_end, everything)
    files = [fold_folder(out, recipe.seed, fold) / "predictions.csv" for fold in range(len(material.folds))]
    decision = overall_decision([read_predictions(path) for path in files], recipe.decision)
    with tuned_cpu(1, hardware.threads):
        network = _trained(material, everything, recipe, hardware, progress)
    save_model(out, material.front_end, network, decision, replace(recipe, split="none"))


def _trained(
    material: Material, training: ClipTensors, recipe: Recipe, hardware: Hardware, progress: bool
) -> nn.Module:
    return train_network(
        training,
        recipe,
        None,
        hardware.accelerator,
        callbacks=averaging(recipe),
        progress=progress,
        front_end=material.front_end,
    )


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


def overall_decision(parts: Sequence[Predictions], rule: str = "score") -> Decision:
    """The decision fitted on all folds: that of a model which is trained on everybody."""
    found = pooled(parts)
    return fit_decision(np.log(found.probabilities + TINY), found.label_indices, rule)


def _finished(folder: Path, recipe: Recipe, material: Material, fold: int) -> bool:
    path = folder / "fold.json"
    if not path.exists():
        return False
    told = json.loads(path.read_text(encoding="utf-8"))["recipe"]
    changed = changed_settings(told, recipe, str(path))
    expected = set(material.held_out(fold)["clip_id"])
    if set(read_predictions(folder / "predictions.csv").clip_ids) != expected:
        changed.append("clips")
    if material.beside is not None and "also" not in changed:  # a fold of one data set has no such file
        with (folder / "beside.csv").open(encoding="utf-8", newline="") as lines:
            found = {row["clip_id"] for row in csv.DictReader(lines)}
            if found != set(material.beside.held_out(fold)["clip_id"]):
                changed.append("clips of the second data set")
    if changed:
        raise LaennecError(
            f"{folder} was made with other settings ({', '.join(changed)}); choose another folder"
        )
    return True
