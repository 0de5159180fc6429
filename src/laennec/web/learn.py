"""Learning from a reader's corrections: what there is to learn from, the job, and what it made."""

import json
import os
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from laennec.audio.samples import counted
from laennec.errors import LaennecError
from laennec.files import make_folder, printable
from laennec.labels import NORMAL, SPRSOUND_EVENTS
from laennec.train.adapt import FEWEST_OF_A_KIND, FEWEST_PATIENTS
from laennec.web.activity import Activity
from laennec.web.corrections import Corrections, Reading
from laennec.web.database import Database, now_utc
from laennec.web.folder import Folder
from laennec.web.learning import DEVICE, ITSELF, LEARN, Apprentice, Assignment, LearningLostError
from laennec.web.models import CALIBRATION, RECORDINGS, Models, for_recordings, without_answers

MODELS = "models"  # folder of what was learnt, below the folder of recordings
COMPARED_S = 4 * 3600.0  # of recordings that were not learnt from, to which both models answer
ANALYSED = """
SELECT path, patient, duration_s FROM recording
WHERE gone = 0 AND duration_s IS NOT NULL AND id IN (SELECT recording FROM analysis WHERE content IS NOT NULL)
ORDER BY path
"""
RUNNING, DONE, FAILED, STOPPED = "running", "done", "failed", "stopped"


class BusyLearningError(LaennecError):
    """Something is learnt already."""

    status = 409


class NoJobError(LaennecError):
    """There is no such job."""

    status = 404


class TooFewError(LaennecError):
    """There is too little to learn from."""

    status = 422


@dataclass
class Job:
    """Something that is being learnt, or was."""

    id: int
    kind: str
    state: str = RUNNING
    progress: float = 0.0
    message: str = ""
    result: dict[str, Any] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """In JSON's types."""
        return dict(vars(self))


def learnable(reading: Reading) -> list[Any]:
    """The events of a reader that a model can learn from: those it has a class for."""
    return [event for event in reading.labelled if event.label in SPRSOUND_EVENTS]


def needs(readings: Sequence[Reading]) -> dict[str, Any]:
    """What there is of what learning a model needs; `why` says what is missing, None where nothing is.

    Recordings without a patient (`unnamed`) and events whose label is no class of the model (`unknown`) are
    left out.
    """
    patients: set[str] = set()
    sides: dict[bool, set[str]] = {True: set(), False: set()}
    classes: dict[str, set[str]] = defaultdict(set)
    counts: Counter[str] = Counter()
    unnamed = recordings = unknown = 0
    for reading in readings:
        patient, events = reading.recording["patient"], learnable(reading)
        unknown += sum(each.layer == "events" for each in reading.labelled) - len(events)
        if events and not patient:
            unnamed += 1
        if not events or not patient:
            continue
        recordings += 1
        patients.add(patient)
        for event in events:
            sides[event.label != NORMAL].add(patient)
            classes[event.label].add(patient)
            counts[event.label] += 1
    return {
        "patients": len(patients),
        "recordings": recordings,
        "events": counts.total(),
        "classes": {
            label: {"events": counts[label], "patients": len(classes[label])}
            for label in SPRSOUND_EVENTS
            if counts[label]
        },
        "unnamed": unnamed,
        "unknown": unknown,
        "needed": FEWEST_PATIENTS,
        **_missing(len(patients), sides, unnamed),
    }


def _missing(patients: int, sides: Mapping[bool, set[str]], unnamed: int) -> dict[str, str | None]:
    """What is `lacking`, in a word, and `why` nothing can be learnt, in a sentence."""
    if patients < FEWEST_PATIENTS:
        nobody = f"; {counted(unnamed, 'labelled recording')} without a patient" if unnamed else ""
        why = (
            f"corrected recordings of {counted(patients, 'patient')}; a model needs {FEWEST_PATIENTS} or "
            f"more, since it is measured on patients that it did not learn from{nobody}"
        )
        return {"lacking": "patients", "why": why}
    for sick, what in ((True, "adventitious"), (False, "normal")):
        if len(sides[sick]) < FEWEST_OF_A_KIND:
            why = (
                f"{what} events of {counted(len(sides[sick]), 'patient')}; a model needs such of "
                f"{FEWEST_OF_A_KIND} or more to tell them apart"
            )
            return {"lacking": what, "why": why}
    return {"lacking": None, "why": None}


class Learning:
    """Jobs that learn from corrections, one at a time. Its methods may be called from any thread."""

    def __init__(
        self,
        database: Database,
        folder: Folder,
        corrections: Corrections,
        models: Models,
        activity: Activity,
    ) -> None:
        self._database, self._folder, self._corrections = database, folder, corrections
        self._models, self._activity = models, activity
        self._lock = threading.RLock()
        self._jobs: dict[int, Job] = {}
        self._apprentice: Apprentice | None = None
        self._thread: threading.Thread | None = None

    # --- what there is ---

    def readings(self, reader: str) -> list[Reading]:
        """What a reader says of each recording that they have edited."""
        return list(self._corrections.readings(reader))

    def jobs(self) -> list[dict[str, Any]]:
        """Every job since the start, the latest first."""
        with self._lock:
            return [job.json() for job in reversed(self._jobs.values())]

    def latest(self, kind: str) -> dict[str, Any] | None:
        """The latest job of a kind."""
        return next((job for job in self.jobs() if job["kind"] == kind), None)

    def clip_model(self, is_first: bool) -> str | None:
        """The name of the model to learn from, the first, or in use, where that is for clips; else None."""
        model = self._models.first if is_first else self._models.in_use()
        return None if model.task == RECORDINGS else model.name

    def is_own(self) -> bool:
        """Whether the model in use has learnt from corrections in this folder."""
        used = self._models.in_use().sha256
        return self._database.row("SELECT 1 FROM model WHERE sha256 = ?", (used,)) is not None

    # --- jobs ---

    def learn(self, reader: str, name: str) -> dict[str, Any]:
        """Begin to learn a model; BusyLearningError, ClipModelError, TooFewError."""
        first = for_recordings(self._models.first)
        readings = self.readings(reader)
        if (why := needs(readings)["why"]) is not None:
            raise TooFewError(why)
        recordings = []
        for own in readings:
            events = learnable(own)
            if not events or not own.recording["patient"]:
                continue
            recordings.append(
                {
                    "path": str(self._folder.path_of(own.recording["path"])),
                    "patient": own.recording["patient"],
                    "events": [[e.start_s, e.end_s, e.label, e.channel] for e in events],
                    "complete": own.state.reviewed,
                }
            )
        named = printable(" ".join(name.split())) or "own"
        others = self._others({each["path"] for each in recordings})
        assignment = Assignment(
            LEARN, named, first.source, self._place(), recordings, "one's own folder", others=others
        )
        return self._begin(assignment, self._keep_model)

    def _others(self, learnt: Set[str]) -> list[dict[str, Any]]:
        """The recordings that were analysed and are not learnt from, in order of paths, for some hours."""
        others, total_s = [], 0.0
        for row in self._database.rows(ANALYSED):
            path = str(self._folder.path_of(row["path"]))
            if path in learnt:
                continue
            total_s += row["duration_s"]
            if total_s > COMPARED_S:
                break
            others.append({"path": path, "patient": row["patient"]})
        return others

    def calibrate(self, recordings: Sequence[Mapping[str, Any]], prevalence: float) -> dict[str, Any]:
        """Begin to fit a calibration to recordings with ``path``, ``patient`` and ``sick``.

        ClipModelError; TooFewError where the model in use learnt from them itself, and is surer of them than
        of others.
        """
        used = for_recordings(self._models.in_use())
        if self.is_own():
            raise TooFewError(
                "the model in use has learnt from these patients, so it is surer of them than of others; "
                "choose the model that it learnt from, and check that"
            )
        assignment = Assignment(
            DEVICE,
            "device",
            used.source,
            self._place(),
            [{**own, "path": str(self._folder.path_of(own["path"]))} for own in recordings],
            "one's own folder",
            prevalence,
        )
        return self._begin(assignment, self._keep_calibration)

    def stop_job(self, number: int) -> dict[str, Any]:
        """End a job; what it has made so far is forgotten. NoJobError."""
        with self._lock:
            job = self._jobs.get(number)
            if job is None:
                raise NoJobError("there is no such job; GET /api/v1/learn tells of the latest")
            if job.state == RUNNING and self._apprentice is not None:
                job.state = STOPPED
                self._apprentice.stop()
        self._tell(job)
        return job.json()

    def stop(self) -> None:
        """End what runs, with the server."""
        with self._lock:
            for job in self._jobs.values():
                if job.state == RUNNING:
                    job.state = STOPPED
            if self._apprentice is not None:
                self._apprentice.stop()
        if self._thread is not None:
            self._thread.join()

    def _place(self) -> str:
        """Where a job writes: what is stopped stays there, and is no model."""
        return str(make_folder(self._folder.hidden / MODELS))

    def _moved(self, name: str) -> str:
        """Bring what was made, with its figures, to where it stays; return its path below the folder."""
        to = make_folder(self._folder.path / MODELS)
        for each in (f"{name}.json", name):
            made = self._folder.hidden / MODELS / each
            if made.is_file():
                os.replace(made, to / each)
        return f"{MODELS}/{name}"

    def _begin(self, assignment: Assignment, keep: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
        with self._lock:
            if any(job.state == RUNNING for job in self._jobs.values()):
                raise BusyLearningError("something is learnt already; wait for its end, or stop it")
            job = self._jobs[len(self._jobs) + 1] = Job(len(self._jobs) + 1, assignment.kind)
            self._apprentice = Apprentice(assignment)
            self._thread = threading.Thread(
                target=self._follow, args=(job, self._apprentice, keep), name="learning", daemon=True
            )
            self._thread.start()
        self._tell(job)
        return job.json()

    def _follow(self, job: Job, apprentice: Apprentice, keep: Callable[[Mapping[str, Any]], None]) -> None:
        try:
            for message in apprentice.messages():
                if job.state != RUNNING:
                    return
                if message["kind"] == "progress":
                    job.progress, job.message = message["share"], message["what"]
                elif message["kind"] == "failed":
                    job.state, job.message = FAILED, message["error"]
                else:
                    keep(message)
                    job.result = {
                        "sha256": message["sha256"],
                        "content": without_answers(message["content"]),
                        "left_out": message["left_out"],
                    }
                    job.state, job.progress, job.message = DONE, 1.0, ""
                self._tell(job)
        except (LearningLostError, LaennecError) as error:
            if job.state == RUNNING:
                job.state, job.message = FAILED, str(error)
                self._tell(job)

    def _tell(self, job: Job) -> None:
        told = job.json()
        # Results may be long, and are asked for.
        self._activity.send("job", {key: told[key] for key in told if key != "result"})

    def _keep_model(self, message: Mapping[str, Any]) -> None:
        numbers = {
            str(self._folder.path_of(each["path"])): each["id"]
            for each in self._database.rows("SELECT id, path FROM recording")
        }
        content = dict(message["content"])
        content["answers"] = [
            {"id": numbers.get(own["path"]), **{key: own[key] for key in own if key != "path"}}
            for own in content["answers"]
        ]
        row = (
            message["sha256"],
            content["model"]["name"],
            self._moved(message["path"]),
            now_utc(),
            json.dumps({"version": content["laennec"], **content}),
        )
        with self._database.transaction() as do:
            do("INSERT OR REPLACE INTO model (sha256, name, path, made, content) VALUES (?, ?, ?, ?, ?)", row)

    def _keep_calibration(self, message: Mapping[str, Any]) -> None:
        kept = {"path": self._moved(message["path"]), "made": now_utc(), **message["content"]}
        with self._database.transaction() as do:  # whether it is used, its figures decide, which people read
            do("INSERT OR REPLACE INTO setting VALUES (?, ?)", (DEVICE, json.dumps(kept)))

    # --- calibration ---

    def calibration(self) -> dict[str, Any] | None:
        """What the calibration of this folder is, and whether it is in use; None where there is none."""
        row = self._database.row("SELECT value FROM setting WHERE key = ?", (DEVICE,))
        if row is None:
            return None
        kept = json.loads(row["value"])
        used = self._models.in_use()
        return {**kept, "in_use": used.calibration_sha256 is not None}

    def use_calibration(self, is_used: bool) -> None:
        """Answer by the calibration of this folder from now on, or without it; NoJobError without one."""
        kept = self.calibration()
        if kept is None:
            raise NoJobError("there is no calibration in this folder; check your device first")
        with self._database.transaction() as do:
            if is_used:
                do("INSERT OR REPLACE INTO setting VALUES (?, ?)", (CALIBRATION, kept["path"]))
            else:
                do("DELETE FROM setting WHERE key = ?", (CALIBRATION,))

    # --- models beside each other ---

    def compared(self, sha256: str) -> dict[str, Any]:
        """What an own model and the one that it learnt from answer to the recordings of the folder.

        Those that it learnt from (`learnt` is ``itself``) are answered by what the other patients taught,
        others by the model as it is; of some of these it has learnt from the patient (``patient``). `classes`
        counts events of the former, `others` those of the latter. NoJobError if there is no such model.
        """
        row = self._database.row("SELECT * FROM model WHERE sha256 = ?", (sha256,))
        if row is None:
            raise NoJobError("there is no such model in this folder; GET /api/v1/models lists them")
        content = json.loads(row["content"])
        names = {each["id"]: each["name"] for each in self._database.rows("SELECT id, name FROM recording")}
        recordings = [
            {"name": names.get(own["id"], ""), "learnt": ITSELF, **own} for own in content.get("answers", ())
        ]
        totals: dict[str, Counter[str]] = {"labelled": Counter(), "before": Counter(), "after": Counter()}
        others: dict[str, Counter[str]] = {"before": Counter(), "after": Counter()}
        right: Counter[str] = Counter()
        for own in recordings:
            totals["labelled"].update(own["labelled"])
            for when in ("before", "after"):
                (totals if own["learnt"] == ITSELF else others)[when].update(own[when]["events"])
                right[when] += own[when]["right"]
        return {
            "name": row["name"],
            "sha256": sha256,
            "parent": content["parent"],
            "recordings": recordings,
            "classes": {when: dict(counts) for when, counts in totals.items()},
            "others": {when: dict(counts) for when, counts in others.items()},
            "right": dict(right),
            "events": totals["labelled"].total(),
        }
