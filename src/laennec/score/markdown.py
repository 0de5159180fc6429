"""Markdown tables, and numbers in them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from laennec.score.text import interval, number

Load = Callable[[str], Any]
"""From the name of a JSON file of docs/results to what it holds."""


Cell = str | float | None
"""A text, a count (int), or a score (float, or None where it is undefined)."""
EVENT_TITLES = {
    "event F, class-agnostic": "agnostic_f1",
    "event F, with class": "f1",
    "error rate": "error_rate",
    "insertions / annotated": "insertion_rate",
    "deletions / annotated": "deletion_rate",
    "substitutions / annotated": "substitution_rate",
}
"""Scores of found events in tables, and their names in metrics.json."""


def table(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a Markdown table; scores have three digits."""
    lines = [f"| {' | '.join(map(_text, cells))} |" for cells in (header, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]])


def _text(cell: Cell) -> str:
    return str(cell) if isinstance(cell, (str, int)) else number(cell)


def change(value: float, bounds: Sequence[float] | None, digits: int = 3) -> str:
    """Return a signed difference and its interval."""
    return f"{value:+.{digits}f}" + (f" ({interval(bounds, digits, sign='+')})" if bounds else "")


def numbers(values: Iterable[float | None], digits: int = 3) -> str:
    """Return several numbers with commas between them."""
    return ", ".join(number(value, digits) for value in values)
