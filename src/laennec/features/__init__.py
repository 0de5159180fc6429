"""Front ends, one a file; each is found by its `kind`, and one from outside the package by module or path."""

from collections.abc import Mapping
from typing import Any

from laennec.extensions import load_class
from laennec.features.base import FrontEnd


def build_front_end(settings: Mapping[str, Any]) -> FrontEnd:
    """Make the front end that a recipe's ``[front_end]`` table names.

    `settings` are its ``kind`` (a name, ``my_module:MyFrontEnd`` or ``path/to/file.py:MyFrontEnd``) and its
    own arguments. LaennecError if there is none of that kind.
    """
    arguments = dict(settings)
    front_end: FrontEnd = load_class(arguments.pop("kind"), __name__, FrontEnd)(**arguments)
    return front_end
