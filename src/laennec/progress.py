"""The one progress bar: on stderr where that is a terminal, silent otherwise."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

T = TypeVar("T")
Watch = Callable[[Sequence[Any], str], Iterable[Any]]
"""Goes through items and shows how far it is, as `track` does."""

TERMINALS = ("FORCE_COLOR", "TTY_COMPATIBLE")  # environment: with either, Rich asks no further


@contextmanager
def progress_bar(
    description: str, columns: tuple[Any, ...] = (), shown: bool = True
) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar of rich's `columns`, by default counted steps, while the block runs; stdout is left alone.

    Yields ``show(done, total)``, which moves the bar; `total` is None where it is not known.
    """
    if not (shown and (sys.stderr.isatty() or any(name in os.environ for name in TERMINALS))):
        yield lambda done, total: None
        return
    from rich.console import Console  # a tenth of a start, for a terminal alone
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    steps = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    progress = Progress(*(columns or steps), console=console, transient=True, redirect_stdout=False)
    task = progress.add_task(description, total=None)
    # Before version 15, Rich ends a bar that is disabled by an empty line.
    with progress if console.is_terminal else nullcontext():
        yield lambda done, total: progress.update(task, completed=done, total=total)


def track(items: Iterable[T], description: str, total: int | None = None, shown: bool = True) -> Iterator[T]:
    """Iterate with a bar; `total` is needed where `items` has no length."""
    count = len(items) if total is None and isinstance(items, Sized) else total
    with progress_bar(description, shown=shown) as show:
        show(0, count)
        for done, item in enumerate(items, start=1):
            yield item
            show(done, count)
