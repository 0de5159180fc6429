"""What a running server holds; `server_of` gives it to the functions of the API."""

from typing import Any

from fastapi import Request

from laennec.web.activity import Activity
from laennec.web.database import Database
from laennec.web.folder import Folder
from laennec.web.jobs import AnalysisQueue
from laennec.web.library import Library
from laennec.web.models import Models
from laennec.web.programs import Programs
from laennec.web.settings import Settings
from laennec.web.uploads import remove_parts
from laennec.web.worker import Limits, Order, Worker


class Server:
    """The parts of a running server.

    Attributes
    ----------
    cache, incoming : Path
        Folders in the hidden folder of the workspace: what can be made anew, and what is being received.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.activity = Activity()
        self.database = Database(settings.folder)
        self.models = Models(self.database, settings)
        self.folder = Folder(settings.folder, self.database, settings.recordings)
        self.cache, self.incoming = self.folder.hidden / "cache", self.folder.hidden / "incoming"
        self.queue = AnalysisQueue(
            Worker(Limits(settings.worker_bytes, settings.silence_s, settings.analysis_s))
        )
        self.library = Library(settings, self.database, self.activity, self.models, self.folder, self.queue)
        self.programs = Programs(self.library, self.queue, settings.waiting)

    def start(self) -> None:
        """Begin to work, in a running event loop."""
        self.activity.start()
        remove_parts(self.incoming)
        model = self.models.in_use()
        self.queue.start(Order(model=model.source, calibration=model.calibration))
        self.library.rescan()

    def stop(self) -> None:
        """End everything that runs, and close the workspace."""
        self.activity.stop()
        self.queue.stop()
        self.database.close()

    def sound_of(self, number: int) -> dict[str, Any] | None:
        """What of a recording can be listened to."""
        return None


def server_of(request: Request) -> Server:
    """The server that a request is for."""
    server = request.app.state.server
    assert isinstance(server, Server)
    return server
