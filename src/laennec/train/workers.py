"""Folds, seeds and rows in parallel (``--jobs``): a process each, forked from the one that holds the data.

A forked process shares the data that is in memory already. It trains with one thread, so its results are bit
for bit those of the same work done in turn with one thread. On a graphics card every process has its own
context there; the process that forks must not have used the card.
"""

import ctypes
import io
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection, get_context
from typing import Any

import torch

from laennec.errors import LaennecError, UsageError

STOPPING_S = 20.0  # within which a process ends once it was asked to; a checkpoint takes far less
HELD_BACK = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@dataclass(frozen=True)
class Work:
    """What is done in one go and kept in a folder."""

    name: str
    run: Callable[[], object]
    done: bool = False
    """Whether only its folder is looked at, since the results are there."""


@dataclass(frozen=True)
class _Running:
    """A process at work, and the end of the pipe that it answers by."""

    work: Work
    process: Any
    answer: Any
    started: float = field(default_factory=time.perf_counter)


def check_jobs(jobs: int, threads: int = 0) -> None:
    """Refuse a number of processes, or of threads in each, that cannot be."""
    if not 1 <= jobs <= 1024:
        raise UsageError(f"--jobs is {jobs}; expected 1 to 1024")
    if jobs > 1 and threads > 1:
        raise UsageError(f"each process of --jobs {jobs} has one thread; leave --threads {threads} out")
    if jobs > 1 and sys.platform in ("win32", "darwin"):
        raise UsageError("--jobs needs processes that are forked safely, as on Linux; leave it out")


def run_all(
    work: Iterable[Work],
    jobs: int = 1,
    on_start: Callable[[str], None] = lambda name: None,
    on_done: Callable[[str, float], None] = lambda name, seconds: None,
) -> None:
    """Do all work, `jobs` pieces at a time; one at a time, in this process.

    Parameters
    ----------
    work
        Taken as places become free, so that it may be made ready meanwhile.
    on_start, on_done
        Called in this process, with the name and the seconds that it took; 0 where it was done already.

    Raises
    ------
    LaennecError
        If some of the work failed, naming it. What runs beside it and comes after it is done all the same.
    """
    running: list[_Running] = []
    failed: list[str] = []
    try:
        for one in work:
            if jobs == 1 or one.done:
                _here(one, on_start, on_done)
                continue
            while len(running) >= jobs:
                failed += _finished(running, on_done)
            on_start(one.name)
            running.append(_forked(one))
        while running:
            failed += _finished(running, on_done)
    finally:
        _stop(running)
    if failed:
        more = f"; {len(failed) - 1} more failed" if len(failed) > 1 else ""
        raise LaennecError(f"{failed[0]}{more}. The others are kept; the same command does what is missing")


def _here(one: Work, on_start: Callable[[str], None], on_done: Callable[[str, float], None]) -> None:
    if not one.done:
        on_start(one.name)
    started = time.perf_counter()
    one.run()
    on_done(one.name, 0.0 if one.done else time.perf_counter() - started)


def _forked(one: Work) -> _Running:
    """Start a process that does the work."""
    context = get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_do, args=(one, sender, os.getpid()), name=one.name)
    sys.stdout.flush()
    sys.stderr.flush()
    with _signals_held_back(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside the thread of a progress bar
        process.start()
    sender.close()
    return _Running(one, process, receiver)


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Have signals wait, which a process that is being forked would answer as its parent does."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _do(one: Work, answer: Any, parent: int) -> None:
    """What a forked process does: the work; it answers how that failed, if so, and what it printed."""
    # Ctrl-C reaches every process of a terminal; the parent stops the others, each once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with(parent)
    # No lock of the parent's streams, whose holder is not here, and no terminal for progress bars.
    sys.stdout = sys.stderr = printed = io.StringIO()
    # The parent's threads of OpenMP are not here; whatever asked for one of them would wait for ever. So
    # would several threads that are asked for later: `check_jobs` and `settled` give each process one.
    torch.set_num_threads(1)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)
    failure = ""
    try:
        one.run()
    except LaennecError as error:
        failure = str(error)
    except KeyboardInterrupt:
        failure = "interrupted"
    except MemoryError:
        failure = "there is not enough memory; give fewer --jobs"
    except Exception as error:
        where = "an error in Laennec; --debug without --jobs shows where"
        failure = f"{type(error).__name__}: {error} ({where})"
    answer.send((failure, printed.getvalue()))


def _end_with(parent: int) -> None:
    """Have this process end when its parent does, however that ends (Linux)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


def _finished(running: list[_Running], on_done: Callable[[str, float], None]) -> list[str]:
    """Wait until a process ends; take it from the list, and say what failed."""
    answering = connection.wait([own.answer for own in running])
    failed = []
    for own in [own for own in running if own.answer in answering]:
        try:
            failure, printed = own.answer.recv()
        except EOFError:
            failure = printed = ""
        own.process.join()
        running.remove(own)
        own.answer.close()
        for line in printed.splitlines():
            print(f"{own.work.name}: {line}", file=sys.stderr, flush=True)
        if own.process.exitcode < 0:
            memory = (
                " (is there memory for as many --jobs?)" if own.process.exitcode == -signal.SIGKILL else ""
            )
            failure = f"its process was ended by signal {-own.process.exitcode}{memory}"
        elif own.process.exitcode > 0 and not failure:
            failure = f"its process ended with exit code {own.process.exitcode}"
        if failure:
            failed.append(f"{own.work.name}: {failure}")
        else:
            on_done(own.work.name, time.perf_counter() - own.started)
    return failed


def _stop(running: Iterable[_Running]) -> None:
    """End processes whose work is no longer wanted, and wait for them."""
    until = time.monotonic() + STOPPING_S
    for own in running:
        own.process.terminate()
    for own in running:
        own.process.join(max(0.0, until - time.monotonic()))
        if own.process.exitcode is None:
            own.process.kill()
            own.process.join()
