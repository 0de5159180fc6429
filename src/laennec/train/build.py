"""From a recipe to what it describes."""

import torch

from laennec.errors import LaennecError
from laennec.features import build_front_end
from laennec.features.base import FrontEnd
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
    except (KeyError, TypeError, ValueError, RuntimeError, LaennecError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise LaennecError(f"recipe {recipe.name}: {part} cannot be built: {reason}") from None
