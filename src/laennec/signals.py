"""Signals end what runs by an exception, also where an exception cannot pass.

The handler of a signal runs between two steps of Python, wherever it is. In code that a C library calls, its
exception is printed and dropped: the signal is lost, and the library takes the answer for a broken file.
"""

import signal
import sys
import threading
import time
from _thread import interrupt_main
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Those whose handlers may raise an exception; some are not on every system.
_RAISING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK", "SIGQUIT", "SIGALRM", "SIGUSR1", "SIGUSR2")
_AGAIN_S = 0.01


class Terminated(KeyboardInterrupt):
    """The system wants the process to end; what is done is kept, as after Ctrl-C."""


@contextmanager
def deferred() -> Iterator[None]:
    """Have signals wait for the end of the block, in which a C library calls Python code."""
    if threading.current_thread() is not threading.main_thread():  # handlers run in the main thread alone
        yield
        return
    arrived: list[int] = []
    is_waiting = True

    def wait(number: int, frame: object) -> None:
        # It may stay in place where a signal comes while the handlers are put back.
        arrived.append(number) if is_waiting else before[number](number, frame)

    numbers = [getattr(signal, name) for name in _RAISING if hasattr(signal, name)]
    found = {number: signal.getsignal(number) for number in numbers}
    before: dict[int, Callable[..., object]] = {
        number: handler for number, handler in found.items() if callable(handler)
    }
    try:
        for number in before:
            signal.signal(number, wait)
        yield
    finally:
        is_waiting = False
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in arrived:
            before[number](number, None)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Have SIGTERM and SIGHUP end the block by an exception, so that it can clean up.

    Where Python drops an exception of theirs or of Ctrl-C, as in a finaliser, it is raised anew soon after.
    """
    if threading.current_thread() is not threading.main_thread():  # Python allows it nowhere else
        yield
        return

    def end(number: int, _: object) -> None:
        raise Terminated(number)

    is_telling = is_over = False

    def again(number: signal.Signals) -> None:
        while is_telling:  # an exception in the hook itself would be dropped for good
            time.sleep(_AGAIN_S)
        if not is_over:
            interrupt_main(number)

    def raise_again(dropped: "sys.UnraisableHookArgs") -> None:
        nonlocal is_telling
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            hook(dropped)
            return
        is_ours = isinstance(dropped.exc_value, Terminated)
        number = dropped.exc_value.args[0] if is_ours and dropped.exc_value else signal.SIGINT
        timers.append(threading.Timer(_AGAIN_S, again, [number]))
        timers[-1].daemon = True
        is_telling = True
        timers[-1].start()  # which waits until the other thread runs, on a busy machine for long
        is_telling = False

    timers: list[threading.Timer] = []
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # What is ignored stays so: nohup, or a shell that starts it in the background.
    heeded = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, end) for number in heeded}
    hook, sys.unraisablehook = sys.unraisablehook, raise_again
    try:
        yield
    finally:
        is_over = True
        sys.unraisablehook = hook
        for timer in timers:
            timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
