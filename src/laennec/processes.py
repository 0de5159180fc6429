"""Processes: a child with a pipe, and many that do tasks in order, whatever becomes of one of them.

`Workers` are processes of one thread each. Results come in the order of the tasks, and few of them wait to be
taken. A task whose process dies (the system ends it where memory runs out) is done once more, alone, and is
lost if that one dies, too.
"""

import ctypes
import io
import os
import queue
import signal
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection, get_context
from typing import Any, Generic, TypeVar

from laennec.cores import forks_safely
from laennec.errors import LaennecError
from laennec.signals import ended_by_signals

Task = TypeVar("Task")
Result = TypeVar("Result")
Work = Callable[[Iterator[Task]], Iterator[Result]]

STOPPING_S = 20.0  # within which a process ends once it was asked to; a checkpoint takes far less
HELD_BACK = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
MOST_WAITING = 16  # results of each worker that wait until those before them are there
MOST_FALSE_STARTS = 3  # processes that end before they are ready, one after the other


# --- one child ----------------------------------------------------------------------------------------------


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Have signals wait, which a process that is being forked would answer as its parent does."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows, which forks nothing
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start(process: Any) -> None:
    """Start a process whose first step is :func:`begin`; it writes nothing of its parent's buffers again."""
    sys.stdout.flush()
    sys.stderr.flush()
    with signals_held_back(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside the thread of a progress bar
        process.start()


def begin(parent: int) -> io.StringIO:
    """What a started process does first; returns what takes the place of its stdout and stderr.

    It ends with its `parent`, and leaves Ctrl-C to it, which reaches every process of a terminal.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(parent)
    # No lock of the parent's streams, whose holder is not here, and no terminal for progress bars.
    sys.stdout = sys.stderr = printed = io.StringIO()
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)
    return printed


def end_with(parent: int) -> None:
    """Have this process end when its parent does, however that ends (Linux)."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if sys.platform != "win32" and os.getppid() != parent:  # there, a launcher may stand between
        os._exit(1)


def stop(processes: Iterable[Any]) -> None:
    """End processes whose work is no longer wanted, and wait for them."""
    processes = list(processes)
    until = time.monotonic() + STOPPING_S
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
        if process.exitcode is None:
            process.kill()
            process.join()


def why_ended(exit_code: int) -> str:
    """How a process ended: words that go on after what it was doing."""
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    # SIGKILL is what Linux sends to whoever has most memory when none is left.
    memory = " (is there memory for as many --jobs?)" if exit_code == -signal.SIGKILL else ""
    return f"was ended by signal {-exit_code}{memory}"


# --- many ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ready(Generic[Result]):
    """A result that is there already; it takes its turn among those of tasks."""

    result: Result


@dataclass(frozen=True)
class Lost(Generic[Task]):
    """Stands for the result of a `task` whose process died twice; `why` says how."""

    task: Task
    why: str


@dataclass
class _Slot:
    """A task, and its result once it is there."""

    task: Any
    result: Any = None
    is_done: bool = False
    deaths: int = 0


@dataclass
class _Worker:
    """A process, and what it was given and has not answered yet, in that order."""

    process: Any
    pipe: Any
    given: deque[_Slot] = field(default_factory=deque)
    is_ready: bool = False
    is_alone: bool = False  # with a task during which another process died


class Workers(Generic[Task, Result]):
    """Processes that do tasks; used in a ``with`` statement, at whose end they are ended.

    Parameters
    ----------
    work
        Takes an iterator of tasks and yields one result for each, in order, in every process. What it does
        before it asks for the first task is done once a process. It may ask for tasks ahead of its results.
        What it raises ends everything: LaennecError as it is, others as one.
    count
        Number of processes.
    ahead
        Tasks that a process is given at most at a time: the one at hand, and those that wait.
    fork
        Whether processes are forked, with all that is loaded; otherwise started anew, with `work` and tasks
        pickled.
    """

    def __init__(self, work: Work[Task, Result], count: int, ahead: int = 2, fork: bool = True) -> None:
        self._work, self._count, self._ahead = work, count, ahead
        self._context: Any = get_context("fork" if fork and forks_safely() else "spawn")
        self._workers: list[_Worker] = []
        self._again: deque[_Slot] = deque()  # given to a process that died before it came to them
        self._suspects: deque[_Slot] = deque()  # at hand when a process died
        self._false_starts = 0

    def __enter__(self) -> "Workers[Task, Result]":
        return self

    def __exit__(self, *_: object) -> None:
        stop(worker.process for worker in self._workers)
        for worker in self._workers:
            worker.pipe.close()
        self._workers.clear()

    def results(self, tasks: Iterable[Task | Ready[Result]]) -> Iterator[Result | Lost[Task]]:
        """Yield the result of each task in order, or `Lost`; tasks are taken as processes become free.

        LaennecError if `work` raises, or processes end before they begin.
        """
        source, is_over = iter(tasks), False
        turn: deque[_Slot] = deque()
        most = self._count * (self._ahead + MOST_WAITING)
        while True:
            while not is_over and len(turn) < most and self._has_room() and not _is_first_done(turn):
                for task in source:
                    turn.append(_slot(task))
                    break
                else:
                    is_over = True
                    break
                if not turn[-1].is_done:
                    self._again.append(turn[-1])
                    self._give_out()
            if _is_first_done(turn):
                yield turn.popleft().result
            elif turn:
                self._wait()
            elif is_over:
                return

    def _has_room(self) -> bool:
        can_start = len(self._workers) < self._count
        return not self._again and (can_start or any(self._takes_more(worker) for worker in self._workers))

    def _takes_more(self, worker: _Worker) -> bool:
        return not worker.is_alone and len(worker.given) < self._ahead

    def _give_out(self) -> None:
        """Give tasks to processes: a suspect to one that has no other, the others to those with fewest."""
        while self._suspects and (idle := self._idle()) is not None:
            idle.is_alone = True
            _give(idle, self._suspects.popleft())
        while self._again:
            worker = self._idle()
            if worker is None:
                takers = [each for each in self._workers if self._takes_more(each)]
                if not takers:
                    return
                worker = min(takers, key=lambda each: len(each.given))
            _give(worker, self._again.popleft())

    def _idle(self) -> _Worker | None:
        """A process that has nothing to do, started if there may be one more; None if there is none."""
        idle = next((worker for worker in self._workers if not worker.given), None)
        return self._started() if idle is None and len(self._workers) < self._count else idle

    def _started(self) -> _Worker:
        pipe, other = self._context.Pipe()
        arguments = (self._work, other, os.getpid())
        process = self._context.Process(target=_serve, args=arguments, name="laennec worker", daemon=True)
        start(process)
        other.close()  # so that the end of either is seen by the other
        self._workers.append(_Worker(process, pipe))
        return self._workers[-1]

    def _wait(self) -> None:
        """Wait until a process answers or ends, take the answers, and give out what waits."""
        pipes = {worker.pipe: worker for worker in self._workers}
        for pipe in connection.wait(list(pipes)):
            worker = pipes[pipe]
            try:
                kind, value = worker.pipe.recv()
            except (EOFError, OSError):
                self._bury(worker)
                continue
            if kind == _ERROR:
                raise LaennecError(value)
            if kind == _READY:
                worker.is_ready, self._false_starts = True, 0
                continue
            slot = worker.given.popleft()
            slot.result, slot.is_done, worker.is_alone = value, True, False
            slot.task = None  # it may be large
        self._give_out()

    def _bury(self, worker: _Worker) -> None:
        """Note the end of a process: which task it died of, and which are for others."""
        worker.process.join()
        worker.pipe.close()
        self._workers.remove(worker)
        why = why_ended(worker.process.exitcode)
        if not worker.is_ready:
            self._false_starts += 1
            if self._false_starts == MOST_FALSE_STARTS:
                raise LaennecError(f"processes end before they begin; the last {why}")
        elif worker.given:
            slot = worker.given.popleft()
            slot.deaths += 1
            if slot.deaths == 1:
                self._suspects.append(slot)
            else:
                slot.result, slot.is_done = Lost(slot.task, f"its process {why}, twice"), True
        self._again.extendleft(reversed(worker.given))


def _slot(task: Any) -> _Slot:
    return _Slot(None, task.result, is_done=True) if isinstance(task, Ready) else _Slot(task)


def _is_first_done(turn: deque[_Slot]) -> bool:
    return bool(turn) and turn[0].is_done


def _give(worker: _Worker, slot: _Slot) -> None:
    worker.given.append(slot)
    with suppress(OSError):  # it has ended, which `_wait` sees
        worker.pipe.send(slot.task)


# --- in the process -----------------------------------------------------------------------------------------

_READY, _RESULT, _ERROR = "ready", "result", "error"  # what a process sends, with a value
_OVER = object()


def _serve(work: Work[Any, Any], pipe: Any, parent: int) -> None:
    """Do tasks until the parent is gone or ends this process."""
    begin(parent)
    received: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def tasks() -> Iterator[Any]:
        pipe.send((_READY, None))
        while (task := received.get()) is not _OVER:
            yield task

    # By a thread: the parent, which never gives more than a few tasks, is not to wait while results are sent.
    threading.Thread(target=_receive, args=(pipe, received), daemon=True).start()
    with suppress(KeyboardInterrupt, BrokenPipeError, ConnectionError), ended_by_signals():
        try:
            for result in work(tasks()):
                pipe.send((_RESULT, result))
        except LaennecError as error:
            pipe.send((_ERROR, str(error)))
        except (BrokenPipeError, ConnectionError):
            raise
        except Exception as error:
            where = "an error in Laennec; with --jobs 1, --debug shows where"
            pipe.send((_ERROR, f"{type(error).__name__}: {error} ({where})"))


def _receive(pipe: Any, received: "queue.SimpleQueue[Any]") -> None:
    with suppress(EOFError, OSError):
        while True:
            received.put(pipe.recv())
    received.put(_OVER)
