"""The web server that runs the application."""

import socket

import uvicorn
from fastapi import FastAPI


class PageServer(uvicorn.Server):
    """Ends at once where it is told to, although pages are open."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(
            uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=5)
        )
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the news first: else the open pages' streams would be waited for."""
        self._app.state.server.activity.stop()
        await super().shutdown(sockets)
