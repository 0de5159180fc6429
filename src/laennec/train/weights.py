"""Weights of a source model: which a target takes over, which stay as they are.

Nguyen & Pernkopf, section III-C: every branch of the multi-input CNN begins with the weights of the
single-input CNN of the source domain; "several of the first layers of the multi-input CNN are frozen while
the remaining layers are fine-tuned"; "we update all BN layers".
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from laennec.errors import LaennecError
from laennec.features.base import FrontEnd
from laennec.files import has_content
from laennec.model.load import RUN_MODEL, load_model, shipped_models
from laennec.train.build import build_parts
from laennec.train.decision import Decided, shift_head
from laennec.train.ranges import FINE_TUNE_PATTERN
from laennec.train.recipe import Recipe, recipe_from_dict, recipe_to_dict
from laennec.train.saved import load_weights, read_saved, save_whole

SAVED = ("front_end", "network", "temperature", "recipe")  # entries of ``model.pt``
DIVERGED = "the training of recipe {} diverged: the network gives no numbers; choose a lower learning_rate"
RETRAIN = "delete it, and the command that trained it makes it anew"
BRANCH = re.compile(r"branches\.\d+\.")


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
            # A model file keeps neither; what is no tensor says what patterns of sounds are of.
            if "num_batches" not in name and isinstance(self.weights[name], Tensor):
                total.update(name.encode() + self.weights[name].float().contiguous().numpy().tobytes())
        return total.hexdigest()


def take_over(network: nn.Module, weights: Mapping[str, Tensor], source: str) -> list[str]:
    """Give a network the weights of another wherever name and shape agree.

    A network of one branch fills every branch of one that has several.

    Returns
    -------
    list of str
        Names of the network's own weights that were taken over.

    Raises
    ------
    LaennecError
        If the two have no layer in common.
    """
    own = network.state_dict()
    shared = {}
    for name, value in own.items():
        given = next((weights[key] for key in _keys(name) if key in weights), None)
        if given is not None and given.shape == value.shape:
            shared[name] = given
    if not any(name.endswith("weight") and own[name].ndim > 1 for name in shared):
        raise LaennecError(f"{source} has no layer in common with the network to train")
    network.load_state_dict(own | shared)
    return list(shared)


def _keys(name: str) -> tuple[str, str]:
    """Names under which a weight may be: its own, or that of the first branch.

    A network of one branch has no other, and a model file keeps weights once that branches share.
    """
    return name, BRANCH.sub("branches.0.", name)


def freeze_before(network: nn.Module, place: str, norms: bool = False) -> None:
    """Freeze what lies before a layer of each branch, as Table II names it: ``2ndConv``, ``4thBN``, …

    Running statistics of every batch norm go on being updated ("we update all BN layers", section
    III-C.3). Its scale and shift are weights: those before the named layer stay, or ``4thBN`` and ``4thConv``
    would be the same, unless `norms`, by which they are trained too.

    Parameters
    ----------
    place
        Number of a block and ``BN`` or ``Conv``; empty to train everything.

    Raises
    ------
    LaennecError
        If it is no such name, or the network has no branches of blocks.
    """
    if not place:
        return
    if not re.fullmatch(FINE_TUNE_PATTERN, place):
        raise LaennecError(f"{place!r} names no layer; expected for example 2ndConv, 3rdBN or 4thConv")
    branches = getattr(network, "branches", None)
    if branches is None:
        raise LaennecError("only the network of nguyen2022 can be fine-tuned from a named block")
    block, at_convolution = int(place[0]) - 1, place.endswith("Conv")
    for branch in branches:
        for index, layers in enumerate(branch):
            layers.conv.requires_grad_(index >= block)
            behind = index > block or (index == block and not at_convolution)
            layers.norm.requires_grad_(norms or behind)


def source_weights(source: str | os.PathLike[str]) -> tuple[Recipe, dict[str, Tensor]]:
    """Recipe and weights of a source model: a finished run, or a model file that Laennec wrote.

    Raises
    ------
    LaennecError
        If it is neither, or a model file that does not hold all weights of its network.
    """
    path = Path(source)
    if has_content(path / "model.pt"):
        saved = read_saved(path / "model.pt", SAVED, RETRAIN)
        return recipe_from_dict(saved["recipe"], str(path)), saved["network"]
    if path.is_dir() and not (path / RUN_MODEL).is_file():
        raise LaennecError(f"{path} is not a finished run: it has no model.pt and no {RUN_MODEL}")
    model = load_model(source)
    if "name" not in model.card.recipe:
        shipped = ", ".join(shipped_models())
        raise LaennecError(f"{source} does not say how it was made; name a run folder or one of {shipped}")
    recipe = recipe_from_dict(dict(model.card.recipe), model.source)
    weights = onnx_weights(Path(model.source))
    _refuse_part(weights, recipe, str(source))
    return recipe, weights


def _refuse_part(weights: Mapping[str, Tensor], recipe: Recipe, source: str) -> None:
    """Refuse a model file whose graph computes what its network does by other weights.

    Batch norms of a model for recordings are folded into the convolutions, and those of eight bits rounded:
    the network would be filled in part, and be another one.
    """
    own = build_parts(recipe)[1].state_dict()
    lacking = []
    for name, value in own.items():
        kept = next((weights[key] for key in _keys(name) if key in weights), None)
        if "num_batches" not in name and (kept is None or kept.shape != value.shape):
            lacking.append(name)
    if lacking:
        raise LaennecError(
            f"{source}: the model file does not hold its network as it was trained: {lacking[0]} and others "
            "are folded into other weights; name the run folder of `laennec train`, which has model.pt"
        )


def onnx_weights(path: Path) -> dict[str, Tensor]:
    """Weights of the network in a model file, by the names that PyTorch has for them."""
    prefix = "network."
    return {
        tensor.name.removeprefix(prefix): torch.from_numpy(np.array(numpy_helper.to_array(tensor)))
        for tensor in onnx.load(path).graph.initializer
        if tensor.name.startswith(prefix)
    }


def save_model(
    folder: Path,
    front_end: FrontEnd,
    network: nn.Module,
    decision: Decided,
    recipe: Recipe,
) -> None:
    """Write ``model.pt``, which `read_run` reads, with the decision's shift in the network.

    LaennecError if there are weights that are no numbers.
    """
    if not all(bool(torch.isfinite(weights).all()) for weights in network.parameters()):
        raise LaennecError(DIVERGED.format(recipe.name))
    if decision.shift:
        shift_head(network, decision.shift, 0)
    saved = {
        "front_end": front_end.state_dict(),
        "network": network.state_dict(),
        "temperature": decision.temperature,
        "card": decision.entries(),
        "recipe": recipe_to_dict(recipe),
    }
    save_whole(saved, folder / "model.pt")


def save_decision(folder: Path, decision: Decided) -> None:
    """Give a finished ``model.pt`` another decision, which such a model's network knows nothing of."""
    saved = read_saved(folder / "model.pt", SAVED, RETRAIN)
    save_whole(
        {**saved, "temperature": decision.temperature, "card": decision.entries()}, folder / "model.pt"
    )


def read_entries(run: Path) -> dict[str, Any]:
    """Entries of the card that were fitted with a finished run."""
    entries: dict[str, Any] = read_saved(run / "model.pt", SAVED, RETRAIN).get("card", {})
    return entries


def read_run(run: str | os.PathLike[str]) -> tuple[Recipe, FrontEnd, nn.Module, float]:
    """Recipe, front end, network and temperature of a finished run.

    Raises
    ------
    LaennecError
        If the folder is not a finished run.
    """
    path = Path(run) / "model.pt"
    if not has_content(path):
        started = (Path(run) / "recipe.json").exists()
        raise LaennecError(
            f"{run} is an unfinished run; go on with it by the command that started it"
            if started
            else f"{run}: not a run folder of `laennec train`, it has no model.pt"
        )
    saved = read_saved(path, SAVED, RETRAIN)
    recipe = recipe_from_dict(saved["recipe"], str(path))
    front_end, network = build_parts(recipe)
    load_weights(front_end, saved["front_end"], path, RETRAIN)
    load_weights(network, saved["network"], path, RETRAIN)
    return recipe, front_end.eval(), network.eval(), saved["temperature"]
