"""From a recipe to what it describes."""

import torch

from laennec.errors import LaennecError
from laennec.features import build_front_end
from laennec.features.base import FrontEnd
from laennec.model.card import BREATHS, RECORDING, WINDOW
from laennec.model.probability import FAMILIES
from laennec.models import build_model
from laennec.train.recipe import Recipe


def build_parts(recipe: Recipe) -> tuple[FrontEnd, torch.nn.Module]:
    """The front end and the network that a recipe describes, untrained.

    Raises
    ------
    LaennecError
        If its ``[front_end]`` or ``[model]`` table describes none.
    """
    part = "[front_end]"
    try:
        front_end = build_front_end(recipe.front_end)
        part = "[model]"
        image = (front_end.channels, front_end.bands, front_end.frames)
        return front_end, build_model(recipe.model, len(recipe.labels), image, front_end.network_settings())
    except Exception as error:  # whatever somebody's front end or network does with its arguments
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise LaennecError(f"recipe {recipe.name}: {part} cannot be built: {reason}") from None


@torch.inference_mode()
def check_network(recipe: Recipe, front_end: FrontEnd, network: torch.nn.Module) -> None:
    """Refuse a network that cannot take the front end's images, before the recordings are read.

    A model for whole recordings takes images of any length, and checks their height itself.
    """
    if front_end.task in (RECORDING, BREATHS):
        return
    images = torch.zeros(2, front_end.channels, front_end.bands, front_end.frames)
    unknown = torch.zeros(2, dtype=torch.long)
    try:
        found = network.eval()(images, torch.full((2,), torch.nan), unknown, unknown).shape
    except Exception as error:  # whatever the network does
        reason = str(error)
    else:
        outputs = len(FAMILIES) if front_end.task == WINDOW else len(recipe.labels)
        if found == (2, outputs):
            return
        reason = f"it gives {tuple(found)}, not (2, {outputs})"
    raise LaennecError(
        f"recipe {recipe.name}: [model] does not fit [front_end], whose image has {front_end.channels} "
        f"channels, {front_end.bands} bands and {front_end.frames} frames: {reason}"
    )
