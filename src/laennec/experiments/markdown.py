"""Markdown tables, and signed numbers in them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from laennec.score.text import interval, number

Load = Callable[[str], Any]
"""From the name of a JSON file of docs/results to what it holds."""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(cells)} |" for cells in (header, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]])


def change(value: float, bounds: Sequence[float] | None, digits: int = 3) -> str:
    """Return a signed difference and its interval."""
    return f"{value:+.{digits}f}" + (f" ({interval(bounds, digits, sign='+')})" if bounds else "")


def numbers(values: Iterable[float | None], digits: int = 3) -> str:
    """Return several numbers with commas between them."""
    return ", ".join(number(value, digits) for value in values)
