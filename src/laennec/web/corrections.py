"""What readers say of recordings: their names, their edits, and what holds after them."""

import json
import sqlite3
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from laennec.errors import LaennecError, shown
from laennec.files import printable
from laennec.labels import SPRSOUND_RECORDS
from laennec.web.activity import Activity
from laennec.web.database import Database, now_utc
from laennec.web.edits import Bounds, Edit, EditError, Marked, Suggestion, check_known, known_labels
from laennec.web.replay import State, replay, stacks

LONGEST_NAME = 60
MOST_READERS = 200
REMEMBERED = 64  # recordings whose suggestions are kept in memory
MOST_WARNINGS = 20  # of an edit
MOST_EVENTS = 100_000  # of a reader in a recording

SUGGESTIONS = """
SELECT id, analysis, channel, start_s, end_s, label, probability, uncertain, model_name, model_sha256,
    probabilities
FROM suggestion WHERE recording = ? ORDER BY id
"""
ANALYSES = "SELECT id FROM analysis WHERE recording = ? AND content IS NOT NULL ORDER BY id"
EDITS = "SELECT id, kind, content, analysis FROM edit WHERE recording = ? AND reader = ? ORDER BY id"
REVIEWS = """
SELECT edit.recording, reader.name, edit.id, edit.kind,
    CASE edit.kind WHEN 'review' THEN edit.content END AS content
FROM edit JOIN reader ON reader.id = edit.reader
WHERE (edit.recording, edit.reader) IN (SELECT recording, reader FROM edit WHERE kind = 'review')
ORDER BY edit.id
"""


class MissingError(LaennecError):
    """There is no such recording or reader."""

    status = 404


class ConflictError(LaennecError):
    """Another window was faster; `state` is what holds now, in JSON's types."""

    status = 409

    def __init__(self, message: str, state: dict[str, Any]) -> None:
        super().__init__(message)
        self.state = state


@dataclass(frozen=True)
class Reading:
    """What a reader says of a recording.

    `recording` is its row in the workspace (id, path, name, patient, position, …), `models` the name and
    SHA-256 of each analysis' model.
    """

    recording: Mapping[str, Any]
    state: State
    suggestions: Mapping[int, Suggestion]
    models: Mapping[int, tuple[str, str]]

    @property
    def labelled(self) -> tuple[Marked, ...]:
        """The events that the reader answers for; all there are only where the recording is reviewed."""
        return self.state.labelled()


Edits = Sequence[Mapping[str, Any]] | Callable[[Reading], Sequence[Mapping[str, Any]]]


class Corrections:
    """Readers and their edits in a workspace. Its methods may be called from any thread."""

    def __init__(self, database: Database, activity: Activity) -> None:
        self.database, self.activity = database, activity
        self._said: dict[int, tuple[int | None, list[Suggestion]]] = {}
        self._reviewed: dict[int, list[str]] | None = None  # None: has to be found out
        self._edits_made = 0

    # --- readers ---

    def readers(self) -> list[dict[str, Any]]:
        """Every reader by name, with the number of recordings that are edited and reviewed."""
        reviewed = [name for names in self.reviewed().values() for name in names]
        rows = self.database.rows(
            "SELECT name, added, (SELECT count(DISTINCT recording) FROM edit WHERE edit.reader = reader.id) "
            "AS edited FROM reader ORDER BY name"
        )
        return [{**dict(row), "reviewed": reviewed.count(row["name"])} for row in rows]

    def add_reader(self, name: str) -> str:
        """Make a reader known, who may be already; returns the name in its one spelling."""
        name = checked_name(name)
        with self.database.transaction() as do:
            known = [row["name"] for row in self.database.rows("SELECT name FROM reader")]
            alike = [each for each in known if each.casefold() == name.casefold()]
            if alike:
                return str(alike[0])
            if len(known) >= MOST_READERS:
                raise EditError(f"there are {MOST_READERS} readers, and no room for more")
            do("INSERT INTO reader (name, added) VALUES (?, ?)", (name, now_utc()))
        return name

    def reader(self, name: str) -> int:
        """Return a reader's number; MissingError where there is none of this name."""
        row = self.database.row("SELECT id FROM reader WHERE name = ?", (checked_name(name),))
        if row is None:
            raise MissingError(f"there is no reader {shown(name)}; add one first")
        return int(row["id"])

    def reviewed(self) -> dict[int, list[str]]:
        """Return the readers who are done with each recording."""
        known, edits = self._reviewed, self._edits_made
        if known is None:
            known = self._find_reviewed()
            if edits == self._edits_made:  # else something newer is already written
                self._reviewed = known
        return known

    def _find_reviewed(self) -> dict[int, list[str]]:
        edits: dict[tuple[int, str], list[Edit]] = defaultdict(list)
        for row in self.database.rows(REVIEWS):
            content = json.loads(row["content"]) if row["content"] else {}
            edits[row["recording"], row["name"]].append(Edit(row["id"], row["kind"], content))
        done: dict[int, list[str]] = defaultdict(list)
        for (recording, name), theirs in sorted(edits.items()):
            reviews = [edit for edit in stacks(theirs)[0] if edit.kind == "review"]
            if reviews and reviews[-1].content.get("reviewed", True) is True:
                done[recording].append(name)
        return dict(done)

    # --- what holds ---

    def reading(self, recording: int, reader: str) -> Reading:
        """Return what a reader says of a recording; MissingError."""
        return self._reading(recording, self.reader(reader))

    def readings(self, reader: str, edited: bool = True) -> Iterator[Reading]:
        """Yield what a reader says of each recording that has an edit by them, or of all, by their paths."""
        number = self.reader(reader)
        chosen = "AND id IN (SELECT recording FROM edit WHERE reader = ?)" if edited else ""
        rows = self.database.rows(
            f"SELECT id FROM recording WHERE gone = 0 {chosen} ORDER BY path", (number,) * edited
        )
        for row in rows:
            yield self._reading(row["id"], number)

    def _reading(self, recording: int, reader: int, new: Sequence[Edit] = ()) -> Reading:
        row = self._recording(recording)
        models = self.database.rows(
            "SELECT id, model_name, model_sha256 FROM analysis WHERE recording = ? AND content IS NOT NULL "
            "ORDER BY id",
            (recording,),
        )
        suggestions = self._suggestions(recording)
        numbers = {edit.id for edit in new}
        edits = [edit for edit in self._edits(recording, reader) if edit.id not in numbers]
        bounds = Bounds(row["duration_s"], row["channels"])
        state = replay(suggestions, edits, bounds, [each["id"] for each in models], new)
        return Reading(
            row,
            state,
            {each.number: each for each in suggestions},
            {each["id"]: (each["model_name"], each["model_sha256"]) for each in models},
        )

    def _suggestions(self, recording: int) -> list[Suggestion]:
        """Return what models have said, which is only ever added to, so the last ones are remembered."""
        row = self.database.row("SELECT max(id) AS last FROM suggestion WHERE recording = ?", (recording,))
        last = row["last"] if row else None
        known = self._said.get(recording)
        if known is None or known[0] != last:
            known = last, [_suggestion(each) for each in self.database.rows(SUGGESTIONS, (recording,))]
            if len(self._said) >= REMEMBERED:
                self._said.clear()
            self._said[recording] = known
        return known[1]

    def _recording(self, recording: int) -> dict[str, Any]:
        row = self.database.row("SELECT * FROM recording WHERE id = ?", (recording,))
        if row is None:
            raise MissingError("there is no such recording")
        return dict(row)

    def _edits(self, recording: int, reader: int) -> list[Edit]:
        rows = self.database.rows(EDITS, (recording, reader))
        return [Edit(row["id"], row["kind"], json.loads(row["content"]), row["analysis"]) for row in rows]

    def state(self, recording: int, reader: str) -> dict[str, Any]:
        """Return what holds in JSON's types, with the revision that further edits are based on."""
        return self._state(recording, self.reader(reader))

    def _state(self, recording: int, reader: int, reading: Reading | None = None) -> dict[str, Any]:
        with self.database.snapshot():
            revision = self._revision(recording, reader)
            reading = self._reading(recording, reader) if reading is None else reading
            suggested = self.database.row(
                "SELECT json_extract(content, '$.record.label') AS label FROM analysis WHERE id = ?",
                (reading.state.analysis,),
            )
        return state_json(reading, revision, suggested["label"] if suggested else None)

    def _revision(self, recording: int, reader: int) -> int:
        row = self.database.row(
            "SELECT max(id) AS last FROM edit WHERE recording = ? AND reader = ?", (recording, reader)
        )
        return int(row["last"] or 0) if row else 0

    # --- edits ---

    def edit(
        self,
        recording: int,
        reader: str,
        edits: Edits,
        revision: int | None = None,
        analysis: int | None = None,
        request: str | None = None,
    ) -> dict[str, Any]:
        """Append edits, all or none, and return what then holds, in JSON's types.

        Parameters
        ----------
        edits
            Each with its ``kind``, and what belongs to that; see :mod:`laennec.web.edits`. Or a function
            that makes them of what holds.
        revision
            That the edits are based on; None: whatever it is.
        analysis
            Whose suggestions the reader saw; by default the newest.
        request
            Any text; edits that come again with the same one are done already.

        Raises
        ------
        ConflictError
            If there are newer edits, or an event that is edited is no longer there.
        EditError
            If an edit cannot be done.
        MissingError, WorkspaceError
        """
        with self.database.transaction():
            number = self.reader(reader)
            self._recording(recording)
            if request is not None and self._is_done(recording, number, request):
                return self._state(recording, number) | {"warnings": []}
            if revision not in (None, self._revision(recording, number)):
                state = self._state(recording, number)
                raise ConflictError("another window was faster; here is what holds now", state)
            try:
                reading, new = self._append(recording, number, edits, analysis, request)
            except EditError as error:
                if error.status == ConflictError.status:
                    raise ConflictError(str(error), self._state(recording, number)) from error
                raise
            state = self._state(recording, number, reading) | {"warnings": overlaps(reading, new)}
        self._edits_made += 1
        self._reviewed = None
        self.activity.send("edits", {"id": recording, "reader": reader, "revision": state["revision"]})
        return state

    def _is_done(self, recording: int, reader: int, request: str) -> bool:
        query = "SELECT 1 FROM edit WHERE recording = ? AND reader = ? AND request = ?"
        return self.database.row(query, (recording, reader, request)) is not None

    def _append(
        self,
        recording: int,
        reader: int,
        edits: Edits,
        analysis: int | None,
        request: str | None,
    ) -> tuple[Reading, list[Edit]]:
        if callable(edits):
            edits = edits(self._reading(recording, reader))
        else:
            self._check_labels(self._reading(recording, reader), edits)
        known = [row["id"] for row in self.database.rows(ANALYSES, (recording,))]
        base = analysis if analysis in known else known[-1] if known else None
        new = []
        with self.database.transaction() as do:
            for edit in edits:
                content = {name: value for name, value in edit.items() if name != "kind"}
                values = (recording, reader, now_utc(), base, request, edit["kind"], json.dumps(content))
                made = do(
                    "INSERT INTO edit (recording, reader, made, analysis, request, kind, content) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    values,
                ).lastrowid
                assert made is not None
                new.append(Edit(made, edit["kind"], content, base))
            reading = self._reading(recording, reader, new)
            if len(reading.state.events) > MOST_EVENTS:
                raise EditError(f"a recording has at most {MOST_EVENTS} events")
        return reading, new

    def _check_labels(self, reading: Reading, edits: Sequence[Mapping[str, Any]]) -> None:
        """Refuse labels that the page does not know and the recording does not have."""
        suggested = [each.label for each in reading.suggestions.values()]
        known = known_labels([*suggested, *(each.label for each in reading.state.events)])
        for edit in edits:
            given = [each.get("label") for each in edit.get("events") or () if isinstance(each, Mapping)]
            given += [] if edit.get("label") is None else [edit["label"]]
            kept = () if reading.state.record is None else (reading.state.record,)
            for label in given:
                check_known(label, (*SPRSOUND_RECORDS, *kept) if edit["kind"] == "record" else known)


def overlaps(reading: Reading, edits: Sequence[Edit]) -> list[str]:
    """Return a sentence for each event that edits made or moved onto another one of its layer and channel."""
    touched = {f"e{edit.id}" for edit in edits}
    named = {name for edit in edits for name in edit.content.get("events") or () if isinstance(name, str)}
    events = reading.state.events
    told = []
    for event in events:
        if event.id not in named and event.id.split("-")[0] not in touched:
            continue
        span = f"{event.label}, {event.start_s:.2f} to {event.end_s:.2f} s"
        told += [
            f"{span}, overlaps {other.label}, {other.start_s:.2f} to {other.end_s:.2f} s"
            for other in events
            if other.id != event.id and event.overlaps(other)
        ]
    return told[:MOST_WARNINGS]


def checked_name(name: str) -> str:
    """Return a reader's name in its one spelling; EditError where it cannot be one."""
    text = unicodedata.normalize("NFC", " ".join(name.split()))
    if not text:
        raise EditError("the name is empty; write at least one letter")
    if len(text) > LONGEST_NAME:
        raise EditError(f"the name has {len(text)} characters; expected {LONGEST_NAME} at most")
    if printable(text) != text:
        raise EditError("the name holds a character that cannot be shown, such as a control character")
    return text


def state_json(reading: Reading, revision: int, record_suggested: str | None) -> dict[str, Any]:
    """Return what holds, in JSON's types."""
    state = reading.state

    def event(each: Marked) -> dict[str, Any]:
        origins = [suggestion_json(reading.suggestions[number]) for number in each.origins]
        return {
            **{name: getattr(each, name) for name in ("id", "layer", *SHOWN, "status")},
            "suggestion": origins[0] if origins else None,
            "others": origins[1:],
        }

    def of_model(each: Suggestion, status: str) -> dict[str, Any]:
        mark = Marked(each.id, each.channel, each.start_s, each.end_s, each.label, status, (each.number,))
        return event(mark)

    return {
        "revision": revision,
        "analysis": state.analysis,
        "events": [event(each) for each in state.events],
        "rejected": [of_model(each, "rejected") for each in state.rejected],
        "offered": [of_model(each, "offered") for each in state.offered],
        "can_undo": bool(state.undo),
        "can_redo": bool(state.redo),
        "reviewed": state.reviewed,
        "record": state.record,
        "record_suggested": record_suggested,
    }


SHOWN = ("channel", "start_s", "end_s", "label")
SUGGESTED = (
    *("analysis", *SHOWN, "probability", "uncertain"),
    *("model_name", "model_sha256", "probabilities"),
)


def suggestion_json(each: Suggestion) -> dict[str, Any]:
    """Return a suggestion, in JSON's types."""
    return {"id": each.id, **{name: getattr(each, name) for name in SUGGESTED}}


def _suggestion(row: sqlite3.Row) -> Suggestion:
    number, *others = row
    told = dict(zip(SUGGESTED, others, strict=True))
    told["uncertain"] = bool(told["uncertain"])
    told["probabilities"] = json.loads(told["probabilities"] or "{}")
    return Suggestion(number, **told)
