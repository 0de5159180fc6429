"""A recording as the list of the page has it."""

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from laennec.files import printable

State = Literal["waiting", "running", "done", "failed", "cancelled"]


class Quality(BaseModel):
    """Something that is wrong with the sound of a recording."""

    kind: str
    message: str
    share: float | None = Field(description="of the samples concerned, 0 to 1")
    channel: int | None


class RecordAnswer(BaseModel):
    """What the model says of the whole recording."""

    label: str | None
    probability: float | None
    uncertain: bool
    refused: str | None
    heard_as: str | None
    doubt: dict[str, Any] | None = Field(description="why it is uncertain; `by` is `threshold` or `reason`")


class ModelUsed(BaseModel):
    """The model that an analysis is of."""

    name: str
    version: str
    sha256: str


class Row(BaseModel):
    """A recording, its state and its answer in short."""

    id: int
    name: str = Field(examples=["ward-3.wav"])
    path: str = Field(description="below the folder")
    state: State
    progress: float = Field(description="of its analysis, 0 to 1")
    error: str | None = Field(description="why there is no analysis")
    duration_s: float | None
    sample_rate: int | None
    channels: int | None
    patient: str | None
    position: str | None
    age_years: float | None
    sex: str | None
    device: str | None
    quality: list[Quality]
    record: RecordAnswer | None
    counts: dict[str, int] = Field(description="events by label")
    uncertain_events: int
    least_certain: float | None = Field(description="smallest probability of the record and its events")
    reviewed: list[str] = Field(description="readers who are done with it")
    model: ModelUsed | None
    phases: bool = Field(description="whether the phases of breaths were asked of its analysis")
    revision: int = Field(description="of two rows of one recording, the greater is that of the later one")


EMPTY: dict[str, Any] = {
    "quality": [],
    "record": None,
    "counts": {},
    "uncertain_events": 0,
    "least_certain": None,
    "model": None,
    "phases": False,
}


def summary_of(analysis: Mapping[str, Any], doubt: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a row shows of an analysis in JSON's types; `doubt` is why its answer is uncertain."""
    recording, record, events = analysis["recording"], analysis["record"], analysis["events"]
    certainties = [event["probability"] for event in events]
    if record is not None and record["probability"] is not None:
        certainties.append(record["probability"])
    fields = RecordAnswer.model_fields
    return {
        **{name: recording[name] for name in ("duration_s", "sample_rate", "channels", "quality")},
        "record": record and {**{name: record.get(name) for name in fields}, "doubt": doubt},
        "counts": dict(Counter(event["label"] for event in events)),
        "uncertain_events": sum(event["uncertain"] for event in events),
        "least_certain": min(certainties, default=None),
        "model": {name: analysis["model"][name] for name in ModelUsed.model_fields},
        "phases": "breathing" in analysis,
    }


def has_phases(summary: str | None) -> bool:
    """Whether phases were asked of the analysis of a summary, as it is kept."""
    return summary is not None and bool(json.loads(summary).get("phases"))


def row_of(
    found: sqlite3.Row, now: Mapping[str, Any], reviewed: list[str], is_current: bool
) -> dict[str, Any]:
    """Return a `Row` in JSON's types.

    `found` is a row of table recording with `summary` and `error` of its analysis; `now` has what is not
    written down: the state of an analysis that waits or runs, its progress, and what is known before its end.
    """
    kept = json.loads(found["summary"]) if found["summary"] else {}
    error = found["error"] if is_current else None
    state = "waiting" if not is_current else "done" if error is None else "failed"
    names = ("patient", "position", "age_years", "sex", "device", "duration_s", "sample_rate", "channels")
    return {
        "id": found["id"],
        "name": found["name"],
        "path": printable(found["path"]),
        "state": state,
        "progress": 1.0 if state == "done" else 0.0,
        "error": error,
        **{name: found[name] for name in names},
        **EMPTY,
        **kept,
        **now,
        "reviewed": reviewed,
    }
