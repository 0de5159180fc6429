"""The worker: a process of its own that decodes and analyses, so that no file can harm the server.

It is started anew rather than forked, keeps its model loaded, and has limits: memory by the system, time by
the server, which kills it. Orders and messages are JSON, so that what a damaged file may do to the worker
ends there.
"""

import json
import multiprocessing
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from laennec.analyze.analysis import Event
from laennec.analyze.described import analyze_described
from laennec.analyze.inputs import model_for
from laennec.audio import stream
from laennec.audio.media import UNKNOWN_LENGTH
from laennec.audio.recording import Recording
from laennec.audio.source import locate
from laennec.errors import LaennecError, without_name
from laennec.files import printable, sha256_of
from laennec.model.clips import LungModel
from laennec.model.detector import Detector
from laennec.model.load import model_path
from laennec.model.phases import PhaseModel, load_phase_model
from laennec.output.formats import to_json
from laennec.web.sounds import CacheError, prepare

try:
    import resource
except ImportError:  # Windows has none
    resource = None  # type: ignore[assignment]

Message = dict[str, Any]
Send = Callable[[Message], None]


class WorkerLostError(Exception):
    """The worker ended or was ended before it was done; the message says why, in a sentence."""


@dataclass(frozen=True)
class Limits:
    """What the worker may take: bytes of address space, seconds without a message, seconds for an order."""

    memory_bytes: int
    silence_s: float
    total_s: float


@dataclass(frozen=True)
class Order:
    """A recording to analyse, or, without a `path`, a model to load, with `is_decoding` nothing at all.

    The fields are of JSON's types.

    `metadata` (age_years, sex, position) is what is known of the patient. `cache` is where the decoded
    sound goes for people to look at and listen to, before the analysis or, with `is_decoding`, instead of it;
    None where nobody will.
    With `phases` the phases of breaths are told as well.
    """

    path: str | None = None
    name: str = ""
    model: str | None = None
    calibration: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    longest_s: float = float("inf")
    cache: str | None = None
    is_decoding: bool = False
    phases: bool = False


class Worker:
    """The worker as the server has it. One order at a time; `kill` may be called from any thread."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._process: Any = None
        self._connection: Connection | None = None
        self._changing = threading.Lock()  # while the process cannot be ended: it begins, or is gone

    def start(self) -> None:
        """Start the process, unless it runs."""
        if self._process is not None and self._process.is_alive():
            return
        self.stop()
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        process = context.Process(
            target=work, args=(other, self.limits.memory_bytes), name="laennec worker", daemon=True
        )
        with self._changing:
            process.start()
            self._process = process  # one that could not be started is none, and the next order tries again
        other.close()  # so that the end of either is seen by the other

    @property
    def process_id(self) -> int | None:
        """Number of the process, while there is one."""
        process = self._process  # read once: another thread may end it meanwhile
        return None if process is None else process.pid

    def run(self, order: Order) -> Iterator[Message]:
        """Have an order done, and yield what is told of it; the last is ``done``, ``loaded`` or ``failed``.

        WorkerLostError if the worker ends or takes too long.
        """
        self.start()
        assert self._connection is not None
        begun = time.monotonic()
        try:
            self._connection.send_bytes(json.dumps(asdict(order)).encode())
            while True:
                left_s = begun + self.limits.total_s - time.monotonic()
                message = self._next(min(self.limits.silence_s, left_s))
                yield message
                if message["kind"] in ("done", "failed", "loaded"):
                    return
        except (OSError, EOFError, ValueError) as error:
            raise WorkerLostError(self._end()) from error

    def _next(self, patience_s: float) -> Message:
        assert self._connection is not None
        if not wait([self._connection], max(0.0, patience_s)):
            self.stop()  # and not `kill` alone: the next order may come before it is dead, and would be lost
            raise WorkerLostError("it took too long and was ended; cut it into shorter files")
        message = json.loads(self._connection.recv_bytes())
        assert isinstance(message, dict)
        return message

    def _end(self) -> str:
        """Why the process has ended."""
        self._process.join(5.0)
        code = self._process.exitcode
        self.stop()
        return f"its analysis broke off (exit code {code}); the file may be damaged, or memory ran out"

    def kill(self) -> None:
        """End the process at once, whatever it does."""
        with self._changing:
            if self._process is not None:
                self._process.kill()

    def stop(self) -> None:
        """End the process, and wait for its end."""
        with self._changing:
            if self._process is not None:
                self._process.kill()
                self._process.join()
                self._process.close()
            self._process = None
        if self._connection is not None:
            self._connection.close()
        self._connection = None


# --- in the process -----------------------------------------------------------------------------------------


def work(connection: Connection, memory_bytes: int) -> None:
    """Do orders until the server is gone."""
    _limit(memory_bytes)
    models = Models()
    while True:
        try:
            order = Order(**json.loads(connection.recv_bytes()))
        except (EOFError, OSError):
            return
        try:
            perform(order, models, lambda message: connection.send_bytes(json.dumps(message).encode()))
        except (BrokenPipeError, ConnectionError):
            return


def _limit(memory_bytes: int) -> None:
    """Take limits, and leave Ctrl+C to the server, which ends its worker itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if resource is not None and sys.platform != "darwin":  # macOS refuses a limit of addresses
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core holds sound of a patient


class Models:
    """The model that was used last, kept loaded; a file that has changed is loaded again.

    So is the model of phases, once one was needed.
    """

    def __init__(self) -> None:
        self._key: tuple[Any, ...] = ()
        self._loaded: Detector | LungModel | None = None
        self._phases: PhaseModel | None = None

    def get(self, model: str | None, calibration: str | None) -> Detector | LungModel:
        """Return a model with its calibration."""
        files = [] if model is None else [model_path(model)]
        files += [] if calibration is None else [Path(calibration)]
        facts = [path.stat() for path in files if path.exists()]
        key = (model, calibration, *((fact.st_mtime_ns, fact.st_size) for fact in facts))
        if self._loaded is None or key != self._key:
            self._loaded = model_for(model, clips=False, calibration=calibration)
            self._key = key
        return self._loaded

    def of_phases(self) -> PhaseModel:
        """Return the model of breath phases."""
        if self._phases is None:
            self._phases = load_phase_model()
        return self._phases


def perform(order: Order, models: Models, send: Send) -> None:
    """Do an order; what is wrong with the recording is a message, and nothing is raised for it."""
    try:
        if order.path is None:
            if not order.is_decoding:
                models.get(order.model, order.calibration)
            send({"kind": "loaded"})
        elif order.is_decoding:
            assert order.cache is not None
            refuse_long(order.path, order.name, order.longest_s)
            prepare(order.path, order.cache)
            send({"kind": "done"})
        else:
            analysis = _analysis(order, models, send)
            send({"kind": "done", "analysis": analysis, "sha256": sha256_of(order.path)})
    except LaennecError as error:
        sentence = printable(without_name(error, order.name))
        send({"kind": "failed", "error": sentence, "status": getattr(error, "status", 400)})
    except MemoryError:
        send({"kind": "failed", "error": "there is not enough memory for it; cut it into shorter files"})
    except (BrokenPipeError, ConnectionError):
        raise
    except Exception as error:  # a mistake of ours with one recording must not cost the others
        send({"kind": "failed", "error": f"{type(error).__name__} (an error in Laennec)"})


def _analysis(order: Order, models: Models, send: Send) -> dict[str, Any]:
    assert order.path is not None
    refuse_long(order.path, order.name, order.longest_s)
    recording = Recording.open(order.path, order.name)
    if recording.duration_s > order.longest_s:
        raise too_long(order.name, order.longest_s)
    send(
        {
            "kind": "opened",
            "duration_s": recording.duration_s,
            "sample_rate": recording.sample_rate,
            "channels": recording.channels,
            "quality": [asdict(finding) for finding in recording.warnings],
        }
    )
    if order.cache is not None:
        with suppress(CacheError):  # who looks at it has it decoded again, and is told then
            prepare(order.path, order.cache)
    model = models.get(order.model, order.calibration)

    def found(events: Sequence[Event], processed_s: float) -> None:
        send({"kind": "progress", "share": min(1.0, processed_s / recording.duration_s)})
        if events:
            send({"kind": "found", "events": [shown_event(event) for event in events]})

    phases = models.of_phases() if order.phases else False
    return to_json(analyze_described(recording, model, order.metadata, found=found, phases=phases))


def refuse_long(path: str, name: str, longest_s: float) -> None:
    """Refuse a file that is too long by its own header, before it is decoded."""
    with stream.decoding(locate(path, name)) as decoder:
        claimed = decoder.claimed_length
        if claimed < UNKNOWN_LENGTH and claimed / decoder.sample_rate > longest_s:
            raise too_long(name, longest_s)


def too_long(name: str, longest_s: float) -> LaennecError:
    """Why a recording is not analysed."""
    return LaennecError(f"{name}: longer than {longest_s / 3600:g} h, the most that is taken; cut it up")


def shown_event(event: Event) -> dict[str, Any]:
    """What the page shows of an event while its recording is analysed."""
    names = ("channel", "start_s", "end_s", "label", "probability", "uncertain")
    return {name: getattr(event, name) for name in names}
