"""Label files: one format a file, read and written together; which one a file has is told by its content.

An analysis takes events without a label and stops at the first part that is no event; a data set leaves such
parts out and lists them. Both read them by :mod:`laennec.annotations.reading`, which, with every format,
loads when it is first asked for: most analyses are given no events.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from laennec.annotations.events import Boundary, LabelFile, Problem, make_boundary, rounded_span

if TYPE_CHECKING:
    from laennec.annotations.reading import SUFFIXES, read_content, read_events, read_given, read_labels

__all__ = [
    "SUFFIXES",
    "Boundary",
    "LabelFile",
    "Problem",
    "make_boundary",
    "read_content",
    "read_events",
    "read_given",
    "read_labels",
    "rounded_span",
]

_READING = ("SUFFIXES", "read_content", "read_events", "read_given", "read_labels")


def __getattr__(name: str) -> Any:
    """Import the readers of every format when one is first asked for."""
    if name not in _READING:
        raise AttributeError(f"module 'laennec.annotations' has no attribute {name!r}")
    return getattr(import_module("laennec.annotations.reading"), name)
