"""What learns from corrections: a process of its own, so that it can be stopped and harms no answer.

Its order and its messages are JSON. Nothing that it writes is half written.
"""

import io
import json
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from laennec.analyze import analyze
from laennec.analyze.analysis import Analysis
from laennec.annotations import Boundary
from laennec.audio.recording import Recording
from laennec.errors import LaennecError
from laennec.files import printable, sha256_of, write_json
from laennec.model.detector import Detector
from laennec.model.load import load_detector
from laennec.train.adapt import Adapted, learn, write
from laennec.train.calibrate import Told, check_enough, hear
from laennec.train.head_heard import Labelled
from laennec.train.local_report import TITLES, Local

NICE = 5  # people come first
SHARES = {"listening": (0.0, 0.6), "learning": (0.6, 0.8), "comparing": (0.8, 1.0)}
"""From which share of the work to which each part is."""

Message = dict[str, Any]
LEARN, DEVICE = "learn", "device"
ITSELF, PATIENT = "itself", "patient"  # what was learnt from: a recording, or others of its patient


class LearningLostError(Exception):
    """The process ended before it was done."""


@dataclass(frozen=True)
class Assignment:
    """What to learn, in JSON's types.

    Attributes
    ----------
    kind : str
        `LEARN` a model, or fit a calibration of a `DEVICE`.
    name : str
        What is made is called so.
    model : str
        The model file or name that it begins with.
    folder : str
        Where what is made goes, under a name of its content.
    recordings : list of dict
        Of each its ``path`` and ``patient``; to learn a model, its ``events`` (start_s, end_s, label,
        channel) and whether they are ``complete``; for a device, whether it is ``sick``.
    source : str
        Whose labels they are, for the card.
    others : list of dict
        Recordings that are not learnt from, with ``path`` and ``patient``, to be answered before and after.
    """

    kind: str
    name: str
    model: str
    folder: str
    recordings: Sequence[Mapping[str, Any]]
    source: str
    prevalence: float = 0.3
    others: Sequence[Mapping[str, Any]] = ()


class Apprentice:
    """The process as the server has it; `stop` may be called from any thread."""

    def __init__(self, assignment: Assignment) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=work, args=(other,), name="laennec learning", daemon=True)
        self._process.start()
        other.close()
        self._connection.send_bytes(json.dumps(asdict(assignment)).encode())

    def messages(self) -> Iterator[Message]:
        """What is told; ``done`` or ``failed`` is the last. LearningLostError where it ends before."""
        try:
            while True:
                message = json.loads(self._connection.recv_bytes())
                yield message
                if message["kind"] in ("done", "failed"):
                    return
        except (OSError, EOFError, ValueError) as error:
            self._process.join(5.0)
            raise LearningLostError(
                f"it broke off (exit code {self._process.exitcode}); memory may have run out"
            ) from error
        finally:
            self._process.kill()
            self._process.join()
            self._connection.close()

    def stop(self) -> None:
        """End it at once."""
        self._process.kill()


# --- in the process -----------------------------------------------------------------------------------------


def work(connection: Connection) -> None:
    """Do one assignment."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends it itself
    if hasattr(os, "nice"):
        os.nice(NICE)

    def send(message: Message) -> None:
        connection.send_bytes(json.dumps(message).encode())

    try:
        assignment = Assignment(**json.loads(connection.recv_bytes()))
        with redirect_stderr(io.StringIO()) as told:  # names of files do not belong in a log
            made = perform(assignment, send)
        left_out = sum(line.startswith("left out") for line in told.getvalue().splitlines())
        send({"kind": "done", **made, "left_out": left_out})
    except LaennecError as error:
        send({"kind": "failed", "error": printable(str(error))})
    except MemoryError:
        send({"kind": "failed", "error": "there is not enough memory; learn from fewer recordings"})
    except (BrokenPipeError, ConnectionError, EOFError):
        return
    except Exception as error:
        send({"kind": "failed", "error": f"{type(error).__name__} (an error in Laennec)"})


def perform(assignment: Assignment, send: Callable[[Message], None]) -> Message:
    """Learn, and return what was made: its ``path``, ``sha256`` and ``content``."""

    def watch(items: Sequence[Any], what: str) -> Iterator[Any]:
        first, last = SHARES[what]
        for done, item in enumerate(items):
            send({"kind": "progress", "share": first + (last - first) * done / len(items), "what": what})
            yield item
        send({"kind": "progress", "share": last, "what": what})

    detector = load_detector(assignment.model)
    if assignment.kind == DEVICE:
        return _calibrated(assignment, detector, watch)
    made = learn(
        [_labelled(own) for own in assignment.recordings], detector, assignment.name, assignment.source, watch
    )
    return _kept(assignment, made, watch)


def _labelled(own: Mapping[str, Any]) -> Labelled:
    return Labelled(
        Path(own["path"]), own["patient"], [Boundary(*event) for event in own["events"]], own["complete"]
    )


def _kept(assignment: Assignment, made: Adapted, watch: Any) -> Message:
    path = Path(assignment.folder) / f"{made.sha256[:16]}.onnx"
    write(made, path)
    learnt = [{**own, "learnt": ITSELF} for own in made.answers]
    others = list(_answers_to_others(assignment, made.parent, load_detector(path), watch))
    return {
        "path": path.name,
        "sha256": made.sha256,
        "content": made.json() | {"answers": [*learnt, *others]},
    }


def _answers_to_others(
    assignment: Assignment, before: Detector, after: Detector, watch: Any
) -> Iterator[dict[str, Any]]:
    """What both models answer to each recording that was not learnt from; one that cannot be read has none.

    Of a patient who taught the new model, it may know more than of a stranger: `learnt` says so.
    """
    taught = {own["patient"] for own in assignment.recordings}
    for own in watch(assignment.others, "comparing"):
        try:
            recording = Recording.open(own["path"])
            sides = {
                when: _answer(analyze(recording, model=model))
                for when, model in (("before", before), ("after", after))
            }
        except LaennecError:
            continue
        learnt = PATIENT if own["patient"] in taught else None
        yield {"path": own["path"], "labelled": {}, **sides, "learnt": learnt}


def _answer(analysis: Analysis) -> dict[str, Any]:
    events = Counter(event.label for event in analysis.events)
    return {"record": analysis.record and analysis.record.label, "events": dict(events), "right": 0}


def _calibrated(assignment: Assignment, detector: Detector, watch: Any) -> Message:
    rows = [Told(Path(own["path"]), None, own["patient"], own["sick"]) for own in assignment.recordings]
    heard = list(hear(rows, detector, watch))
    check_enough(heard)
    local = Local.of(heard, detector.card, assignment.prevalence)
    told = local.file(assignment.source, detector.sha256)
    path = Path(assignment.folder) / f"calibration-{detector.sha256[:16]}.json"
    write_json(path, told)
    content = {key: told[key] for key in ("date", "model", "data", "prevalence", "curve", "scores", "notes")}
    return {"path": path.name, "sha256": sha256_of(path), "content": {**content, "titles": TITLES}}
