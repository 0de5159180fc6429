"""What a running server holds; `server_of` gives it to the functions of the API."""

import sys
from pathlib import Path

from fastapi import Request

from laennec.audio.samples import by_number, counted
from laennec.web.activity import Activity
from laennec.web.corrections import Corrections
from laennec.web.database import Database
from laennec.web.folder import HIDDEN, Folder
from laennec.web.jobs import ENDS, AnalysisQueue
from laennec.web.learn import Learning
from laennec.web.library import Library
from laennec.web.live import LiveRecordings
from laennec.web.models import Models
from laennec.web.programs import Programs
from laennec.web.settings import Settings
from laennec.web.sounds import FOLDER, Sounds
from laennec.web.uploads import remove_parts
from laennec.web.worker import Limits, Message, Order, Worker


class Server:
    """The parts of a running server.

    Attributes
    ----------
    queue, decoding : AnalysisQueue
        Each with a worker of its own, so that a recording can be opened while a long one is analysed.
    incoming : Path
        Where what is sent lies until it is whole.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.activity = Activity()
        self.database = Database(settings.folder)
        self.corrections = Corrections(self.database, self.activity)
        limits = Limits(settings.worker_bytes, settings.silence_s, settings.analysis_s)
        self.queue, self.decoding = AnalysisQueue(Worker(limits)), AnalysisQueue(Worker(limits))
        self.sounds = Sounds(settings.folder / FOLDER, self._decode)
        self.models = Models(self.database, settings)
        self.folder = Folder(settings.folder, self.database, settings.recordings)
        self.incoming = settings.folder / HIDDEN / "incoming"
        self.library = Library(
            settings, self.database, self.activity, self.models, self.folder, self.queue, self.sounds,
            self.corrections,
        )  # fmt: skip
        self.live = LiveRecordings(
            settings.folder / HIDDEN / "live", self.library, self.models.in_use, settings.duration_s
        )
        self.programs = Programs(self.library, self.queue, settings.waiting)
        self.learning = Learning(self.database, self.folder, self.corrections, self.models, self.activity)

    def start(self) -> None:
        """Begin to work, in a running event loop."""
        self.activity.start()
        remove_parts(self.incoming)
        if self.settings.warm:
            model = self.models.in_use()
            self.queue.start(Order(model=model.source, calibration=model.calibration), self._started)
        if left_out := self.library.rescan()["left_out"]:
            most = self.settings.recordings
            what = f"{counted(left_out, 'recording')} {by_number(left_out, 'is', 'are')} left out"
            print(f"laennec: {what}; {most} are the most", file=sys.stderr)
        self.live.start()

    def _started(self, message: Message) -> None:
        """Once the first worker is ready, start the other: who opens a recording would wait for its start."""
        if message["kind"] in ENDS:
            self.decoding.start(Order(is_decoding=True))

    def stop(self) -> None:
        """End everything that runs, and close the workspace."""
        self.live.stop()
        self.activity.stop()
        self.learning.stop()
        self.queue.stop()
        self.decoding.stop()
        self.database.close()

    def _decode(self, path: str, folder: str) -> None:
        """Have a worker decode a recording into a folder; LaennecError if that fails."""
        self.decoding.wait_for(
            f"decode {folder}", Order(path, Path(path).name, cache=folder, is_decoding=True)
        )


def server_of(request: Request) -> Server:
    """The server that a request is for."""
    server = request.app.state.server
    assert isinstance(server, Server)
    return server
