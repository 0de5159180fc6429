"""What a process needs around a command: streams that are open, and signals that end it in order."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from laennec.errors import Terminated

STREAMS = {"stdin": "r", "stdout": "w", "stderr": "w"}
ENDING = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP


def open_streams() -> None:
    """Open to nothing what the caller has closed, lest the first file of results becomes standard output."""
    for name, mode in STREAMS.items():
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 (for as long as we run)


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Have SIGTERM and SIGHUP end the block as Ctrl-C does, by `Terminated`, so that what is done is kept.

    A signal that is ignored, as under ``nohup``, stays ignored.
    """
    own = threading.current_thread() is threading.main_thread()  # others may not ask for signals
    wanted = [getattr(signal, name) for name in ENDING if own and hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in wanted}
    for number, handler in before.items():
        if handler is signal.SIG_DFL:
            signal.signal(number, _end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _: Any) -> None:
    raise Terminated(number)


def cause(error: BaseException) -> str:
    """Return the first line of what an error began with; packages explain at length what came of it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip() or type(error).__name__).splitlines()[0]
