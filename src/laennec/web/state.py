"""What a running server holds; `server_of` gives it to the functions of the API."""

from fastapi import Request

from laennec.web.activity import Activity
from laennec.web.corrections import Corrections
from laennec.web.database import Database
from laennec.web.settings import Settings
from laennec.web.sounds import FOLDER, Sounds


class Server:
    """The parts of a running server."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.activity = Activity()
        self.database = Database(settings.folder)
        self.corrections = Corrections(self.database, self.activity)
        self.sounds = Sounds(settings.folder / FOLDER)

    def start(self) -> None:
        """Begin to work, in a running event loop."""
        self.activity.start()

    def stop(self) -> None:
        """End everything that runs, and close the workspace."""
        self.activity.stop()
        self.database.close()


def server_of(request: Request) -> Server:
    """The server that a request is for."""
    server = request.app.state.server
    assert isinstance(server, Server)
    return server
