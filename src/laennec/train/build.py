"""From a recipe to what it describes."""

import torch

from laennec.errors import LaennecError
from laennec.models import build_model
from laennec.train.features import CycleLogMel, FrontEnd, build_front_end
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
        model = dict(recipe.model)
        if model.get("kind") == "nguyen2022" and isinstance(front_end, CycleLogMel):
            model["part_frames"] = front_end.part_frames
        return front_end, build_model(model, len(recipe.labels), image)
    except (KeyError, TypeError, ValueError, RuntimeError, LaennecError) as error:
        reason = f"unknown kind {error}" if isinstance(error, KeyError) else str(error)
        raise LaennecError(f"recipe {recipe.name}: {part} cannot be built: {reason}") from None
