"""Folds, seeds and rows in parallel (``--jobs``): a process each, forked from the one that holds the data.

A forked process shares the data that is in memory already. It trains with one thread, so its results are bit
for bit those of the same work done in turn with one thread. On a graphics card every process has its own
context there; the process that forks must not have used the card.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing import connection, get_context
from typing import Any

import torch

from laennec.cores import forks_safely, jobs_of
from laennec.errors import LaennecError, UsageError
from laennec.processes import begin, start, stop, why_ended


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
    jobs_of(jobs)
    if jobs > 1 and threads > 1:
        raise UsageError(f"each process of --jobs {jobs} has one thread; leave --threads {threads} out")
    if jobs > 1 and not forks_safely():
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
        stop(own.process for own in running)
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
    start(process)
    sender.close()
    return _Running(one, process, receiver)


def _do(one: Work, answer: Any, parent: int) -> None:
    """What a forked process does: the work; it answers how that failed, if so, and what it printed."""
    printed, failure = begin(parent), ""
    try:
        # The parent's threads of OpenMP are not here; whatever asked for one of them would wait for ever. So
        # would several threads that are asked for later: `check_jobs` and `settled` give each process one.
        torch.set_num_threads(1)
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
        if own.process.exitcode < 0 or (own.process.exitcode > 0 and not failure):
            failure = f"its process {why_ended(own.process.exitcode)}"
        if failure:
            failed.append(f"{own.work.name}: {failure}")
        else:
            on_done(own.work.name, time.perf_counter() - own.started)
    return failed
