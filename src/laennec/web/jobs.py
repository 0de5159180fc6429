"""The queue of analyses: one thread that gives the worker one recording after the other."""

import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from laennec.errors import LaennecError
from laennec.web.security import place_of
from laennec.web.worker import Message, Order, Worker, WorkerLostError

Report = Callable[[Message], None]


class FailedError(LaennecError):
    """An order was not done; `status` is that of the HTTP answer."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


ENDS = ("done", "failed", "cancelled", "loaded")  # the last message of a task


@dataclass(frozen=True)
class Task:
    """An order under a key of its own, and who is told of it.

    `report` is given each message of the worker, ``started`` before them, and ``failed`` or ``cancelled`` in
    the end where there is no result. What is `urgent`, since somebody waits for it, goes before the rest.
    """

    key: str
    order: Order
    report: Report
    urgent: bool = False


class AnalysisQueue:
    """Orders for the worker, one at a time. Its methods may be called from any thread."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self._waiting: deque[Task] = deque()
        self._running: Task | None = None
        self._cancelled = False
        self._changed = threading.Condition()
        self._ending = False
        self._thread: threading.Thread | None = None

    def start(self, first: Order, report: Report = lambda _: None) -> None:
        """Begin before the first task is there, so that it does not wait for the worker's start."""
        self.put(Task("", first, report, urgent=True))

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="analyses", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the worker and forget what waits: whatever has no result is analysed at the next start."""
        with self._changed:
            self._ending = True
            self._waiting.clear()
            self._changed.notify_all()
        self.worker.kill()
        if self._thread is not None:
            self._thread.join()
        self.worker.stop()

    def put(self, *tasks: Task) -> None:
        """Add tasks, each of which replaces one of the same key."""
        with self._changed:
            keys = {task.key for task in tasks}
            others = [task for task in self._waiting if task.key not in keys]
            self._waiting = deque(sorted([*others, *tasks], key=lambda task: not task.urgent))
            self._begin()
            self._changed.notify_all()

    def wait_for(self, key: str, order: Order) -> None:
        """Have an order done at once, and wait for its end; LaennecError where it fails."""
        ended = threading.Event()
        last: Message = {}

        def report(message: Message) -> None:
            last.clear()
            last.update(message)
            if message["kind"] in ENDS:
                ended.set()

        self.put(Task(key, order, report, urgent=True))
        while not ended.wait(1.0):
            if self._ending:
                raise LaennecError("the server ends")
        if "error" in last or last["kind"] == "cancelled":
            raise FailedError(last.get("error", "it was cancelled"), last.get("status", 400))

    def cancel(self, key: str) -> bool:
        """Take a task out, or end it; False if there is none of that key."""
        with self._changed:
            waiting = next((task for task in self._waiting if task.key == key), None)
            if waiting is not None:
                self._waiting.remove(waiting)
            elif self._running is not None and self._running.key == key:
                self._cancelled = True
                self.worker.kill()
                return True
        if waiting is not None:
            self._tell(waiting, {"kind": "cancelled"})
        return waiting is not None

    def waiting(self, keys: str = "") -> int:
        """How many tasks wait whose key begins so."""
        with self._changed:
            return sum(task.key.startswith(keys) for task in self._waiting)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ending)
                if self._ending:
                    return
                task = self._running = self._waiting.popleft()
                self._cancelled = False
            self._perform(task)
            with self._changed:
                self._running = None
                if self._cancelled:
                    self.worker.stop()  # it was killed, perhaps when it was done already

    def _perform(self, task: Task) -> None:
        self._tell(task, {"kind": "started"})
        try:
            for message in self.worker.run(task.order):
                self._tell(task, message)
        except WorkerLostError as error:
            if self._ending:
                return
            lost = {"kind": "failed", "error": str(error)}
            self._tell(task, {"kind": "cancelled"} if self._cancelled else lost)
        except Exception as error:
            print(f"laennec: {place_of(error)} (an error in Laennec)", file=sys.stderr, flush=True)
            self._tell(task, {"kind": "failed", "error": f"{type(error).__name__} (an error in Laennec)"})

    def _tell(self, task: Task, message: Message) -> None:
        if message["kind"] in ENDS:
            with self._changed:
                if self._running is task:
                    self._running = None  # whoever is told of its end cannot cancel it any more
        try:
            task.report(message)
        except Exception as error:  # such as a full disk: the others go on
            print(f"laennec: an analysis is not kept ({place_of(error)})", file=sys.stderr, flush=True)
