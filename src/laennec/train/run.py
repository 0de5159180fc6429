"""One training run, from a recipe and a clips table to a run folder.

A run folder holds::

    recipe.json          every setting, with the labels and the split's seed
    clips.csv            each clip and its set of the split
    logs/version_N/      metrics.csv and TensorBoard events of the N-th start
    checkpoints/         last.ckpt (everything, for resuming), best.ckpt (weights at the best validation TS)
    card.json            what the model file will say of data, figures and limits
    run.json             what the run was: figures of the best and the last epoch, time, machine, versions
    predictions.csv      probabilities of the best checkpoint on the validation set
"""

import datetime
import os
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
import torch

from laennec.errors import LaennecError
from laennec.files import read_json, write_json
from laennec.train.crossval import CrossValidationData, claim, gather, same_clips
from laennec.train.hardware import Hardware, machine, tuned_cpu
from laennec.train.loop import Module, predict, terminal, train_network
from laennec.train.processes import is_first
from laennec.train.protocols import holdout
from laennec.train.recipe import Recipe, parent_of
from laennec.train.saved import is_done, load_weights, read_saved
from laennec.train.weights import RETRAIN, SAVED, Start, save_model
from laennec.train.with_patterns import with_patterns


def prepare(
    clips: pd.DataFrame,
    recipe: Recipe,
    auxiliary: pd.DataFrame | None = None,
    records: pd.DataFrame | None = None,
) -> CrossValidationData:
    """Read all clips or recordings (`gather`), and split them as the recipe says."""
    return gather(clips, recipe, lambda own: [holdout(own, recipe)], auxiliary, records)


def fit(
    data: CrossValidationData,
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
    if is_first():
        claim(out, data, data.folds[0], recipe)
    if is_done(out, "run.json"):
        return out
    source = None
    if recipe.start_from:
        folder = trained_start(data, recipe, out, hardware, start)
        source = Start(read_saved(folder / "model.pt", SAVED, RETRAIN)["network"], str(folder))
    elif start is not None:
        raise LaennecError(f"recipe {recipe.name} starts from no other (start_from), so it takes no start")
    hardware = data.settled(hardware, recipe, out)
    training, validation, test = data.parts(data.folds[0], recipe)
    with tuned_cpu(hardware.processes, hardware.threads):
        module, trainer = train_network(
            training,
            recipe,
            data.front_end,
            hardware,
            source,
            test if validation is None else validation,
            out=out,
            progress=terminal(),
        )
        if trainer.is_global_zero:
            finish_run(out, data, recipe, module, (training, test), trainer)
    return out


def trained_start(
    data: CrossValidationData, recipe: Recipe, out: Path, hardware: Hardware, start: Path | None
) -> Path:
    """The finished run that a recipe starts from, trained now if need be."""
    parent = parent_of(recipe)
    assert parent is not None
    folder = start or out / "start"
    if not is_done(folder, "run.json"):
        if start is not None or hardware.devices * hardware.nodes > 1:
            raise LaennecError(
                f"{recipe.name} starts from {parent.name}, and {folder} is not a finished run of it; "
                f"train {parent.name} first and name its run folder with --start"
            )
        fit(data, parent, folder, hardware)
    run = read_json(folder / "run.json", RETRAIN, recipe=str, split=str, split_seed=int)
    if (run["recipe"], run["split"], run["split_seed"]) != (parent.name, parent.split, parent.split_seed):
        raise LaennecError(
            f"{folder} is a run of {run['recipe']} on split {run['split']} {run['split_seed']}; "
            f"{recipe.name} starts from {parent.name} on split {parent.split} {parent.split_seed}"
        )
    if not same_clips(folder, data, data.folds[0]):
        raise LaennecError(f"{folder} was trained on other clips, some of which may be validated on here")
    return folder


def load_best(out: Path, network: torch.nn.Module) -> None:
    """Load the weights of the best validation score into `network`."""
    path = out / "checkpoints" / "best.ckpt"
    remedy = f"delete {path.parent}, and the same command begins this training anew"
    weights = read_saved(path, ["state_dict"], remedy)["state_dict"].items()
    prefix = "network."
    own = {key.removeprefix(prefix): value for key, value in weights if key.startswith(prefix)}
    load_weights(network, own, path, remedy)


def finish_run(
    out: Path,
    data: CrossValidationData,
    recipe: Recipe,
    module: Module,
    sets: tuple[Any, Any],
    trainer: L.Trainer,
) -> None:
    """Write the run's figures, predictions and model, the last of them ``run.json``.

    `sets` are what was trained on, and what is measured on.
    """
    network, history = module.network.cpu(), module.history
    training, validation = sets
    chooses, measured = recipe.chooses_epoch, recipe.split != "none"
    if chooses:
        load_best(out, network)
    network = with_patterns(network.float().eval(), training, recipe)
    decision = validation.undecided()
    if measured:
        # The decision is fitted on the validation set, which no weight was trained on. A model trained
        # on everything has no such set and takes that of the run that selected it (`export`).
        outputs = predict(network, validation, recipe, data.front_end)
        if chooses:
            decision = validation.decision(outputs, recipe)
        validation.write(out, data.clips[data.folds[0].test], recipe, outputs, decision)
    save_model(out, data.front_end, network, decision, recipe)
    best = max(history, key=lambda epoch: epoch[f"val_{recipe.monitor}"]) if chooses else None
    write_json(
        out / "run.json",
        {
            "recipe": recipe.name,
            "seed": recipe.seed,
            "start_from": recipe.start_from,
            "split": recipe.split,
            "split_seed": recipe.split_seed,
            **_sets(data, measured),
            "parameters": sum(p.numel() for p in network.parameters()),
            "epochs": recipe.epochs,
            "best_epoch": best,
            "last_epoch": history[-1] if measured else None,
            "temperature": decision.temperature,
            "processes": trainer.world_size,
            "precision": trainer.precision,
            "seconds": round(sum(epoch["seconds"] for epoch in history), 1),
            "machine": machine(),
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        },
    )


def _sets(data: CrossValidationData, measured: bool) -> dict[str, Any]:
    """Sizes of the sets of a run, and whether they share patients."""
    fold = data.folds[0]
    shared = data.shared_patients(fold) * measured
    sets = {"train": fold.train, "validation": fold.test & measured}
    return {
        "leaks": shared > 0,
        "shared_subjects": shared,
        "clips": {name: int(mask.sum()) for name, mask in sets.items()},
        "patients": {name: int(data.clips["subject"][mask].nunique()) for name, mask in sets.items()},
    }
