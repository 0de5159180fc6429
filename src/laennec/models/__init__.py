"""Architectures, one paper a file, each found by its `kind`; `tasks` has what they are trained for.

A network for clips maps (image, age, sex, position) to logits ``(batch, classes)``.
"""

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from laennec.extensions import load_class


def build_model(
    settings: Mapping[str, Any],
    classes: int,
    image: tuple[int, int, int],
    given: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Make the network that a recipe's ``[model]`` table names.

    Parameters
    ----------
    settings
        ``kind`` (a name, ``my_module:MyNetwork`` or ``path/to/file.py:MyNetwork``) and its own arguments.
    image
        Channels, bins and frames of the front end's output.
    given
        Further arguments, for a network that takes them and where `settings` has none.
    """
    arguments = dict(settings)
    architecture = load_class(arguments.pop("kind"), __name__, nn.Module)
    taken = inspect.signature(architecture).parameters
    arguments = {name: value for name, value in (given or {}).items() if name in taken} | arguments
    network: nn.Module = architecture(classes=classes, image=image, **arguments)
    return network
