"""News for open pages: whatever changes is sent to every listener, as server-sent events."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

WAITING = 1000  # messages a listener may be behind; then the oldest are dropped, and it is told to reload
PING_S = 15.0


class Activity:
    """Broadcasts from any thread to the listeners of one event loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queues: set[asyncio.Queue[tuple[str, Any] | None]] = set()

    def start(self) -> None:
        """Belong to the running event loop."""
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        """End every stream."""
        for queue in list(self._queues):
            queue.put_nowait(None)

    def send(self, kind: str, content: Any) -> None:
        """Tell every listener; may be called from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):  # the loop is closing
                self._loop.call_soon_threadsafe(self._put, kind, content)

    def _put(self, kind: str, content: Any) -> None:
        for queue in self._queues:
            if queue.qsize() >= WAITING:
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(("reload", {}))
            queue.put_nowait((kind, content))

    async def stream(self) -> AsyncIterator[str]:
        """The messages from now on, as the text of server-sent events; a ping where there is none."""
        queue: asyncio.Queue[tuple[str, Any] | None] = asyncio.Queue()
        self._queues.add(queue)
        try:
            yield message("hello", {})
            while True:
                try:
                    news = await asyncio.wait_for(queue.get(), PING_S)
                except TimeoutError:
                    news = ("ping", {})
                if news is None:
                    return
                yield message(*news)
        finally:
            self._queues.discard(queue)


def message(kind: str, content: Any) -> str:
    """One server-sent event."""
    return f"event: {kind}\ndata: {json.dumps(content, allow_nan=False)}\n\n"
