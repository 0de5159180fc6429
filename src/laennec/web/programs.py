"""Analyses for programs: a recording is sent, its analysis is the answer, and nothing is kept."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from laennec.annotations.described import described
from laennec.errors import LaennecError
from laennec.web.jobs import ENDS, AnalysisQueue, Task
from laennec.web.library import Library
from laennec.web.worker import Message

KEY = "program "


class BusyError(LaennecError):
    """Too many wait already."""

    status = 503


class FailedError(LaennecError):
    """The recording cannot be analysed."""

    status = 415


class Programs:
    """Recordings that programs wait for; at most so many wait at a time."""

    def __init__(self, library: Library, queue: AnalysisQueue, most: int) -> None:
        self._library, self._queue, self._most = library, queue, most
        self._numbers = itertools.count(1)

    async def analysis(self, path: Path, name: str) -> dict[str, Any]:
        """The analysis of a file; FailedError where there is none, BusyError."""
        async for kind, content in self.messages(path, name):
            if kind == "analysis":
                return dict(content)
        raise FailedError("the server ends; send it again later")

    async def messages(self, path: Path, name: str) -> AsyncIterator[tuple[str, Any]]:
        """What is found in a file while it is analysed: ``progress``, ``found``, and ``analysis`` last."""
        if self._queue.waiting(KEY) >= self._most:
            raise BusyError(f"{self._most} recordings wait for their analysis; send it again later")
        heard: asyncio.Queue[Message] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def report(message: Message) -> None:
            loop.call_soon_threadsafe(heard.put_nowait, message)

        known = asdict(described(Path(name).stem))
        key = f"{KEY}{next(self._numbers)}"
        self._queue.put(Task(key, self._library.order(path, name, known), report, urgent=True))
        try:
            while True:
                message = await heard.get()
                kind = message["kind"]
                if kind == "done":
                    yield "analysis", message["analysis"]
                    return
                if kind in ENDS:
                    raise FailedError(message.get("error", "the analysis was cancelled"))
                if kind == "progress":
                    yield "progress", {"progress": message["share"]}
                elif kind == "found":
                    yield "found", {"events": message["events"]}
        finally:
            self._queue.cancel(key)  # of one who does not wait any more
