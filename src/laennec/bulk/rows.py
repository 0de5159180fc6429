"""The columns of the tables: those of the summary of `laennec analyze`, with what each row is of."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from laennec.analyze.analysis import Analysis
from laennec.annotations.table import PREDICTION
from laennec.output.formats import (
    DETAILS,
    EVENT,
    EVENT_DIGITS,
    PROBABILITY_DIGITS,
    SUMMARY_DIGITS,
    Summary,
    event_values,
    summary,
    summary_values,
)

OWN = {  # which recording a row is of
    "row": pa.int64(),
    "member": pa.int32(),
    "key": pa.string(),
    "id": pa.string(),
    "bytes": pa.int64(),
}
MODEL = ("model", "model_version", "model_sha256", "calibration_sha256", "laennec")
TYPES = {  # of what is not text
    **dict.fromkeys(("uncertain",), pa.bool_()),
    **dict.fromkeys(("probability", "rate_per_min", "duration_s", "not_analysed_s"), pa.float64()),
    **dict.fromkeys(("presence", "start_s", "end_s"), pa.float64()),
    **dict.fromkeys(("channel", "uncertain_events"), pa.int32()),
}
RUN_KEY = b"laennec.run"  # of a part's metadata: which manifest and model it is of
COMPRESSION = "zstd"


@dataclass(frozen=True)
class Row:
    """What became of one recording: the part of its row that only whoever has scored it knows."""

    row: int
    key: str
    values: Mapping[str, Any]
    member: int | None = None
    id: str | None = None
    bytes: int | None = None
    events: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


def scored(analysis: Analysis, name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the columns of a recording that was analysed, and those of its events."""
    values = summary_values(summary(analysis, name), analysis.labels)
    events = [_rounded(event_values(event, analysis.labels), EVENT_DIGITS) for event in analysis.events]
    return _rounded(values, SUMMARY_DIGITS), events


def failed(name: str, why: str, labels: Sequence[str]) -> dict[str, Any]:
    """Return the columns of a recording that could not be scored."""
    return summary_values(Summary(name, error=why), labels)


def _rounded(values: Mapping[str, Any], digits: Mapping[str, int]) -> dict[str, Any]:
    return {
        name: round(value, digits.get(name, PROBABILITY_DIGITS)) if isinstance(value, float) else value
        for name, value in values.items()
    }


# --- tables -------------------------------------------------------------------------------------------------


def event_schema(labels: Sequence[str]) -> pa.Schema:
    """Columns of an event; each row of the table of events has those of its recording before them."""
    named = [(name, TYPES.get(name, pa.string())) for name in EVENT]
    return pa.schema([*named, *((label, pa.float64()) for label in labels)])


def recording_schema(labels: Sequence[str]) -> pa.Schema:
    """Columns of a recording."""
    named = ["recording", *PREDICTION, "duration_s"]
    return pa.schema(
        [
            *OWN.items(),
            *((name, TYPES.get(name, pa.string())) for name in named),
            *((label, pa.int32()) for label in labels),
            *((name, TYPES.get(name, pa.string())) for name in DETAILS),
            *((name, pa.string()) for name in MODEL),
        ]
    )


def part_schema(labels: Sequence[str], run: str) -> pa.Schema:
    """Columns of a part file: those of a recording, and its events as a list."""
    events = pa.list_(pa.struct(list(event_schema(labels))))
    return recording_schema(labels).append(pa.field("events", events)).with_metadata({RUN_KEY: run})


def part_content(
    rows: Sequence[Row], labels: Sequence[str], run: str, model: Mapping[str, str | None]
) -> bytes:
    """Return the part file of a shard; the same rows give the same bytes."""
    schema = part_schema(labels, run)
    own = [{name: getattr(row, name) for name in OWN} | dict(row.values) | dict(model) for row in rows]
    columns = {
        name: pa.array([row.events for row in rows], schema.field(name).type)
        if name == "events"
        else pa.array([values[name] for values in own], schema.field(name).type)
        for name in schema.names
    }
    content = io.BytesIO()
    pq.write_table(pa.table(columns, schema=schema), content, compression=COMPRESSION)
    return content.getvalue()


def flat_events(part: pa.Table, labels: Sequence[str]) -> pa.Table:
    """Return the events of a part, one row each, with `row`, `member`, `id` and `recording` before them."""
    events = part.column("events").combine_chunks()
    if isinstance(events, pa.ChunkedArray):
        events = events.chunk(0) if events.num_chunks else pa.array([], events.type)
    parents = pa.compute.list_parent_indices(events)
    flat = events.flatten()
    names = ("row", "member", "id", "recording")
    whose = {name: part.column(name).take(parents) for name in names}
    return pa.table({**whose, **{name: flat.field(name) for name in event_schema(labels).names}})
