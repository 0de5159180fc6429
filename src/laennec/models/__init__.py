"""Architectures, one paper a file. Each maps (image, age, sex, position) to logits ``(batch, classes)``."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from laennec.models.chen2022 import ChenNet
from laennec.models.event import EventNet
from laennec.models.nguyen2022 import NguyenNet
from laennec.models.resnet import ResidualNet

ARCHITECTURES: Mapping[str, type[nn.Module]] = {
    "chen2022": ChenNet,
    "nguyen2022": NguyenNet,
    "event": EventNet,
    "resnet": ResidualNet,
}


def build_model(settings: Mapping[str, Any], classes: int, image: tuple[int, int, int]) -> nn.Module:
    """Make the network that a recipe's ``[model]`` table names.

    Parameters
    ----------
    settings
        ``kind`` and the architecture's own arguments.
    image
        Channels, bins and frames of the front end's output.
    """
    arguments = dict(settings)
    return ARCHITECTURES[arguments.pop("kind")](classes=classes, image=image, **arguments)
