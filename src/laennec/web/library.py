"""The recordings of a folder: found, described, analysed, and what is known of each."""

import itertools
import json
import sqlite3
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from laennec.errors import LaennecError
from laennec.version import __version__
from laennec.web.activity import Activity
from laennec.web.corrections import Corrections
from laennec.web.database import Database, now_utc
from laennec.web.described import checked
from laennec.web.doubts import doubts_of
from laennec.web.folder import Folder
from laennec.web.jobs import ENDS, AnalysisQueue, Task
from laennec.web.models import ModelInUse, Models
from laennec.web.rows import has_phases, row_of, summary_of
from laennec.web.settings import Settings
from laennec.web.sounds import Sounds
from laennec.web.worker import Message, Order

# Each recording with its latest analysis, and the latest that has a result.
ROWS = """
SELECT recording.*, last.error, last.model_sha256, last.calibration_sha256, last.laennec, shown.summary,
    last.size IS recording.size AND last.modified_ns IS recording.modified_ns AS is_of_file
FROM recording
LEFT JOIN analysis AS last ON last.id = (
    SELECT max(id) FROM analysis WHERE analysis.recording = recording.id)
LEFT JOIN analysis AS shown ON shown.id = (
    SELECT max(id) FROM analysis WHERE analysis.recording = recording.id AND summary IS NOT NULL
    AND analysis.size = recording.size AND analysis.modified_ns = recording.modified_ns)
WHERE gone = 0
"""

CURRENT = """
SELECT analysis.content FROM analysis JOIN recording ON recording.id = analysis.recording
WHERE recording.id = ? AND content IS NOT NULL
    AND analysis.size = recording.size AND analysis.modified_ns = recording.modified_ns
ORDER BY analysis.id DESC LIMIT 1
"""
TRIM_AFTER = 50  # analyses, each of which may have left its sound in the cache
SUGGEST = """
INSERT INTO suggestion (analysis, recording, model_name, model_sha256, channel, start_s, end_s, label,
    probability, presence, uncertain, probabilities)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


class NoRecordingError(LaennecError):
    """There is no such recording, or its file is gone."""

    status = 404


class Library:
    """The recordings of a workspace. Its methods may be called from any thread."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        activity: Activity,
        models: Models,
        folder: Folder,
        queue: AnalysisQueue,
        sounds: Sounds,
        corrections: Corrections,
    ) -> None:
        self.settings, self.database, self.activity = settings, database, activity
        self.models, self.folder = models, folder
        self.queue, self.sounds, self.corrections = queue, sounds, corrections
        self._now: dict[int, dict[str, Any]] = {}  # what is not written down, see `row_of`
        self._ended_count = 0
        # Stamps of rows; from the clock, so that those of a later server are greater.
        self._revisions = itertools.count(time.time_ns() // 1000)
        self._lock = threading.RLock()

    # --- what there is ---

    def rows(self) -> tuple[int, list[dict[str, Any]]]:
        """The revision of the list, and a `Row` for every recording, in JSON's types, in order of paths."""
        return self._rows(f"{ROWS} ORDER BY path")

    def row(self, number: int) -> dict[str, Any]:
        """The `Row` of one recording; NoRecordingError."""
        _, found = self._rows(f"{ROWS} AND recording.id = ?", (number,))
        if not found:
            raise NoRecordingError("there is no such recording")
        return found[0]

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> tuple[int, list[dict[str, Any]]]:
        # The stamp first: of two readings, the one that began after a change has it, and the greater stamp.
        # Then what is not written down: a result that is written meanwhile is still told to run, not to wait.
        revision = next(self._revisions)
        with self._lock:
            now = {number: dict(each) for number, each in self._now.items()}
        model = self.models.in_use()
        reviewed = self.corrections.reviewed()
        return revision, [
            row_of(row, now.get(row["id"], {}), reviewed.get(row["id"], []), self._is_current(row, model))
            | {"revision": revision}
            for row in self.database.rows(query, values)
        ]

    def path_of(self, number: int) -> Path:
        """The file of a recording; NoRecordingError."""
        number = min(max(number, 0), 2**63 - 1)  # what SQLite takes; neither is a recording's
        row = self.database.row("SELECT path FROM recording WHERE id = ? AND gone = 0", (number,))
        if row is None:
            raise NoRecordingError("there is no such recording")
        path = self.folder.path_of(row["path"])
        if not path.is_file():
            raise NoRecordingError("the file of this recording is gone; put it back into the folder")
        return path

    def doubts(self, analysis: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Why what an analysis says is uncertain, see `doubts_of`; None where its model is gone."""
        if analysis is None:
            return None
        used = analysis["model"]
        card = self.models.card(used["sha256"], (used["calibration"] or {}).get("sha256"))
        return None if card is None else doubts_of(analysis, card)

    def analysis(self, number: int) -> dict[str, Any] | None:
        """What `laennec analyze --json` says of the file as it is; None where that was not analysed."""
        found = self.database.row(CURRENT, (number,))
        content: dict[str, Any] | None = None if found is None else json.loads(found["content"])
        return content

    # --- what changes ---

    def rescan(self) -> dict[str, int]:
        """Notice new, changed and gone files, and have analysed what has to be; the counts of each."""
        with self._lock:
            counts, changed, gone = self.folder.scan()
            for number in (*changed, *gone):
                self.queue.cancel(str(number))
                self._now.pop(number, None)
            self._queue_all()
        self.activity.send("reload", {})
        return counts

    def describe(self, number: int, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change what is known of the patient; NoRecordingError, or LaennecError if a value cannot be."""
        self.row(number)
        kept = checked(changes)
        with self.database.transaction() as do:
            for name, value in kept.items():
                do(f"UPDATE recording SET {name} = ? WHERE id = ?", (value, number))
        return self._tell(number)

    def add_file(
        self,
        temporary: Path,
        name: str,
        sha256: str,
        size: int,
        known: Mapping[str, Any] = MappingProxyType({}),
    ) -> tuple[int, bool]:
        """Take a whole file in, and have it analysed; its number, and whether it is new.

        One of the same content stays what it is, and `temporary` is removed. `known` is as for `describe`.
        """
        with self._lock:
            number, is_new = self.folder.add(temporary, name, sha256, size)
            if is_new:
                if known:
                    self.describe(number, known)
                self._queue(number, urgent=True)
        self._tell(number)
        return number, is_new

    def analyze(self, number: int) -> dict[str, Any]:
        """Have a recording analysed anew, before others."""
        self.path_of(number)
        with self._lock:
            if self._now.get(number, {}).get("state") != "running":
                self._queue(number, urgent=True)
        return self._tell(number)

    def cancel(self, number: int) -> dict[str, Any]:
        """Take a recording out of the queue, or end its analysis; at once, whenever its worker has ended."""
        self.row(number)
        if not self.queue.cancel(str(number)):
            return self.row(number)
        with self._lock:
            now = self._now.get(number)
            if now is not None and now["state"] == "running":
                # In place of the one that the analysis tells of: what still comes of it counts no more.
                self._now[number] = {**now, "state": "cancelled", "progress": 0.0}
        return self._tell(number)

    def use_model(self, name: str) -> ModelInUse:
        """Analyse with another model from now on, and everything anew."""
        model = self.models.use(name)
        with self._lock:
            for number, now in self._now.items():
                if now["state"] in ("waiting", "running"):
                    self.queue.cancel(str(number))
            self._now.clear()
            self._queue_all()
        self.activity.send("reload", {})
        return model

    # --- analyses ---

    def order(self, path: Path, name: str, row: Mapping[str, Any], cache: str | None = None) -> Order:
        """What the worker has to do for a file."""
        model = self.models.in_use()
        metadata = {key: row[key] for key in ("age_years", "sex", "position") if row[key] is not None}
        longest_s = self.settings.duration_s
        return Order(
            str(path), name, model.source, model.calibration, metadata, longest_s, cache,
            phases=self.settings.phases,
        )  # fmt: skip

    def _is_current(self, row: sqlite3.Row, model: ModelInUse) -> bool:
        """Whether the latest analysis is of the file as it is, by the model in use and this version.

        It must have phases where these are to be told, and may have them where they are not. A failed one is
        not tried again either: a file that ends the worker would do so at every start.
        """
        used = (row["model_sha256"], row["calibration_sha256"], row["laennec"])
        if not row["is_of_file"] or used != (model.sha256, model.calibration_sha256, __version__):
            return False
        return not self.settings.phases or row["error"] is not None or has_phases(row["summary"])

    def _queue_all(self) -> None:
        """Queue every recording that has no result, as results are now to be, for its file as it is."""
        model = self.models.in_use()
        rows = self.database.rows(f"{ROWS} ORDER BY recording.id")
        lacking = [row for row in rows if not self._is_current(row, model) and row["id"] not in self._now]
        self.queue.put(*[self._task(row, model) for row in lacking])

    def _queue(self, number: int, urgent: bool) -> None:
        row = self.database.row("SELECT * FROM recording WHERE id = ?", (number,))
        assert row is not None
        self.queue.put(self._task(row, self.models.in_use(), urgent))

    def _task(self, row: sqlite3.Row, model: ModelInUse, urgent: bool = False) -> Task:
        now = self._now[row["id"]] = {"state": "waiting", "progress": 0.0, "error": None}

        def report(message: Message) -> None:
            with self._lock:
                is_wanted = self._now.get(row["id"]) is now  # another may have taken its place
            try:
                if is_wanted:
                    self._hear(row, model, now, message)
            except Exception:
                if message["kind"] in ENDS:  # no other message comes, and it must not run for ever
                    now.update(state="failed", error="the result is not kept: an error in Laennec")
                self.activity.send("reload", {})
                raise

        path = self.folder.path_of(row["path"])
        cache = str(self.sounds.folder_of(path)) if urgent else None  # somebody will look at it
        return Task(str(row["id"]), self.order(path, row["name"], dict(row), cache), report, urgent)

    def _hear(self, row: sqlite3.Row, model: ModelInUse, now: dict[str, Any], message: Message) -> None:
        """Keep and pass on what the worker says of a recording."""
        number, kind = row["id"], message["kind"]
        if kind == "found":
            self.activity.send("found", {"id": number, "events": message["events"]})
            return
        if kind == "started":
            now.update(state="running")
        elif kind == "opened":
            self._opened(number, now, message)
        elif kind == "progress":
            now["progress"] = message["share"]
        elif kind == "cancelled":
            now.update(state="cancelled", progress=0.0)
        else:
            self._ended(row, model, now, message)
        self._tell(number)

    def _opened(self, number: int, now: dict[str, Any], message: Message) -> None:
        facts = {name: message[name] for name in ("duration_s", "sample_rate", "channels")}
        now.update(facts, quality=message["quality"])
        with self.database.transaction() as do:
            do(
                "UPDATE recording SET duration_s = ?, sample_rate = ?, channels = ? WHERE id = ?",
                (*facts.values(), number),
            )

    def _ended(self, row: sqlite3.Row, model: ModelInUse, now: dict[str, Any], message: Message) -> None:
        analysis, error = message.get("analysis"), message.get("error")
        try:
            self._keep(row, model, analysis, error, message.get("sha256"))
        except LaennecError as problem:
            now.update(self._not_kept(row["id"], analysis, problem))
            return
        with self._lock:
            if self._now.get(row["id"]) is now:
                del self._now[row["id"]]
            self._ended_count += 1
        if self._ended_count % TRIM_AFTER == 0 and self.sounds.folder.is_dir():
            with suppress(OSError):  # something of it went just now
                self.sounds.trim()

    def _not_kept(self, number: int, analysis: Any, problem: LaennecError) -> dict[str, Any]:
        """What is to be said of a result that could not be written down: an earlier one still holds."""
        if analysis is None or self.analysis(number) is None:
            return {"state": "failed", "error": f"the result is not kept: {problem}"}
        return {
            "state": "done", "progress": 1.0,
            "error": f"the new answer is not kept, and this is the earlier one: {problem}",
        }  # fmt: skip

    def _keep(
        self, row: sqlite3.Row, model: ModelInUse, analysis: Any, error: str | None, sha256: str | None
    ) -> None:
        """Write down a result, or why there is none, with all its events or not at all."""
        doubt = None if analysis is None else (self.doubts(analysis) or {}).get("record")
        summary = None if analysis is None else json.dumps(summary_of(analysis, doubt))
        version = None if analysis is None else analysis["model"]["version"]
        name = model.name if analysis is None else analysis["model"]["name"]
        content = None if analysis is None else json.dumps(analysis, ensure_ascii=False)
        used = (name, version, model.sha256, model.calibration_sha256)
        values = (
            row["id"], now_utc(), row["size"], row["modified_ns"], *used, __version__, content, summary, error
        )  # fmt: skip
        with self.database.transaction() as do:
            made = do(
                "INSERT INTO analysis (recording, made, size, modified_ns, model_name, model_version, "
                "model_sha256, calibration_sha256, laennec, content, summary, error) "
                "VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                values,
            ).lastrowid
            for event in () if analysis is None else analysis["events"]:
                span = (event["channel"], event["start_s"], event["end_s"], event["label"])
                sure = (event["probability"], event["presence"], event["uncertain"])
                do(
                    SUGGEST,
                    (made, row["id"], name, model.sha256, *span, *sure, json.dumps(event["probabilities"])),
                )
            if sha256 is not None:
                do("UPDATE recording SET sha256 = ? WHERE id = ?", (sha256, row["id"]))

    def _tell(self, number: int) -> dict[str, Any]:
        with self._lock:  # what is told of a recording is told in the order in which it came to be
            row = self.row(number)
            self.activity.send("recording", row)
        return row
