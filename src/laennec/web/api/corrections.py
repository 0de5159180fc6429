"""Readers, their edits, label files, the order of review, agreement."""

import json
from contextlib import suppress
from pathlib import PurePath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from laennec.annotations.formats import CHANNELS, RECORD
from laennec.web.agreement import compare_all, compare_recording
from laennec.web.api.answers import errors, sound_body
from laennec.web.archive import archive
from laennec.web.corrections import LONGEST_NAME, ConflictError
from laennec.web.edits import LONGEST_LABEL, MOST_CHANNELS
from laennec.web.exchange import FORMATS, format_of, import_labels, write_labels
from laennec.web.library import NoRecordingError
from laennec.web.review import ORDERS, review_order
from laennec.web.state import Server, server_of

router = APIRouter(tags=["corrections"])
Here = Annotated[Server, Depends(server_of)]

LARGEST = 2**53  # a whole number that JavaScript has
Number = Annotated[int, Field(ge=0, le=LARGEST)]
Recording = Annotated[int, Path(ge=0, le=LARGEST)]
Seconds = Annotated[float, Field(ge=-1, le=1e8, allow_inf_nan=False)]
Label = Annotated[str, Field(max_length=LONGEST_LABEL, examples=["Fine Crackle"])]
Name = Annotated[str, Field(max_length=4 * LONGEST_NAME, examples=["Anna"])]
Reader = Annotated[str, Query(max_length=4 * LONGEST_NAME, description="name of a reader", examples=["Anna"])]
Layer = Literal["events", "phases"]


class Strict(BaseModel):
    """A mistake in a name is told, not passed over."""

    model_config = ConfigDict(extra="forbid")


class ReaderIn(Strict):
    """A reader to make known."""

    name: Name


class EventIn(Strict):
    """An event or breath phase to add; its label tells which."""

    channel: Annotated[int, Field(ge=0, lt=MOST_CHANNELS)] = 0
    start_s: Seconds
    end_s: Seconds
    label: Label
    layer: Layer | None = None


class EditIn(Strict):
    """Something to do to events, which are named by their ids, or given to be added."""

    kind: Literal[
        "add", "change", "delete", "accept", "split", "merge", "record", "review", "adopt", "undo", "redo"
    ]
    events: Annotated[list[str | EventIn], Field(max_length=2000)] | None = None
    start_s: Seconds | None = None
    end_s: Seconds | None = None
    at_s: Seconds | None = None
    label: Label | None = None
    layer: Layer | None = None
    channel: Annotated[int, Field(ge=0, lt=MOST_CHANNELS)] | None = None
    reviewed: bool | None = None
    analysis: Number | None = None


class EditsIn(Strict):
    """Edits of a reader, based on a revision."""

    reader: Name
    revision: Number
    edits: Annotated[list[EditIn], Field(min_length=1, max_length=200)]
    analysis: Number | None = None
    request: Annotated[str, Field(max_length=64, pattern=r"^[\w-]+$")] | None = None


@router.get("/readers", responses=errors(503))
def readers(server: Here) -> dict[str, Any]:
    """Who has a name here, and how many recordings each has edited and reviewed."""
    return {"readers": server.corrections.readers()}


@router.post("/readers", responses=errors(503, 507))
def add_reader(server: Here, body: ReaderIn) -> dict[str, Any]:
    """Make a reader known; capitals do not make another one."""
    return {"name": server.corrections.add_reader(body.name)}


@router.get("/recordings/{recording}/events", responses=errors(404, 503))
def events(server: Here, recording: Recording, reader: Reader) -> dict[str, Any]:
    """What holds for a reader: events, phases, what was rejected, and the revision to base edits on."""
    return server.corrections.state(recording, reader)


@router.post("/recordings/{recording}/edits", response_model=None, responses=errors(404, 409, 503, 507))
def edit(server: Here, recording: Recording, body: EditsIn) -> dict[str, Any] | JSONResponse:
    """Append edits, all or none, and return what then holds; 409 with that, where another was faster."""
    edits = [each.model_dump(exclude_unset=True) for each in body.edits]
    try:
        state = server.corrections.edit(
            recording, body.reader, edits, body.revision, body.analysis, body.request
        )
    except ConflictError as error:
        return JSONResponse({**error.state, "error": str(error)}, error.status)
    if {each.kind for each in body.edits} & {"review", "undo", "redo"}:
        with suppress(NoRecordingError):  # its file is gone, and no list shows it
            server.activity.send("recording", server.library.row(recording))
    return state


# --- label files ---

Channel = Annotated[int, Query(ge=0, lt=MOST_CHANNELS, description="one of them; by default all")]
FormatName = Annotated[str, Query(max_length=20, description=f"one of {', '.join(FORMATS)}")]
FILE: dict[int | str, dict[str, Any]] = {200: {"content": {"application/octet-stream": {}}}}


@router.get("/label-formats")
def label_formats() -> dict[str, Any]:
    """Which formats of label files there are, and whether each has channels and a label of the recording."""
    return {
        "formats": [
            {
                "name": each.name,
                "title": each.title,
                "suffix": each.suffix,
                "has_channels": CHANNELS in each.holds,
                "has_record": RECORD in each.holds,
                "has_phases": each.word("inspiration") is not None,
            }
            for each in FORMATS.values()
        ]
    }


@router.get(
    "/recordings/{recording}/labels.{form}", response_class=Response, responses=FILE | errors(404, 503)
)
def labels(
    server: Here,
    recording: Recording,
    form: Annotated[str, Path(max_length=20, examples=["audacity"])],
    reader: Reader,
    channel: Channel | None = None,
) -> Response:
    """A label file of what the page shows; header `Laennec-Not-Held` is a JSON list of what is not in it."""
    reading = server.corrections.reading(recording, reader)
    written = write_labels(reading, format_of(form), channel=channel)
    stem = PurePath(reading.recording["name"]).stem.encode("ascii", "replace").decode().replace('"', "_")
    return Response(
        written.text.encode("utf-8", errors="backslashreplace"),
        media_type="application/octet-stream",
        headers={
            "Content-Disposition": f'attachment; filename="{stem}{format_of(form).suffix}"',
            "Laennec-Not-Held": json.dumps(written.not_held),
        },
    )


@router.post(
    "/recordings/{recording}/labels",
    openapi_extra=sound_body(),
    responses=errors(404, 413, 503, 507),
)
async def add_labels(
    server: Here,
    request: Request,
    recording: Recording,
    reader: Reader,
    name: Annotated[str, Query(max_length=255, description="of the file")] = "labels.txt",
    channel: Channel | None = None,
    replace: Annotated[bool, Query(description="take away events that the file lacks")] = True,
) -> dict[str, Any]:
    """Make a label file, whose format its content tells, one edit of a reader; return what then holds."""
    content = await request.body()
    return await run_in_threadpool(
        import_labels, server.corrections, recording, reader, content, name, channel, replace
    )


@router.get("/export.zip", response_class=StreamingResponse, responses=FILE | errors(404, 503))
def export(
    server: Here,
    reader: Reader,
    format: FormatName = "audacity",
    sounds: Annotated[bool, Query(description="with the recordings themselves")] = False,
) -> StreamingResponse:
    """Labels of all recordings, and a table of clips that other commands of Laennec read."""
    folder = server.settings.folder if sounds else None
    pieces = archive(server.corrections, reader, format_of(format), folder)
    return StreamingResponse(
        pieces,
        media_type="application/zip",
        headers={"Content-Disposition": 'attachment; filename="laennec-labels.zip"'},
    )


# --- order of review, agreement ---

Readers = Annotated[
    list[str], Query(max_length=2, description="two readers, each by itself or with a comma between")
]


@router.get("/review", responses=errors(404, 503))
def review(
    server: Here,
    order: Annotated[str, Query(max_length=20, description=f"one of {', '.join(ORDERS)}")] = "uncertain",
    reader: Reader | None = None,
) -> dict[str, Any]:
    """Which recordings to review next: those that the reader has not, in an order."""
    return {"recordings": review_order(server.corrections, reader, order), "rule": ORDERS[order]}


@router.get("/recordings/{recording}/compare", responses=errors(404, 503))
def compare(server: Here, recording: Recording, readers: Readers, layer: Layer = "events") -> dict[str, Any]:
    """How well two readers agree on a recording, and where they do not."""
    return compare_recording(server.corrections, recording, _each(readers), layer)


@router.get("/agreement", responses=errors(404, 503))
def agreement(server: Here, readers: Readers, layer: Layer = "events") -> dict[str, Any]:
    """How well two readers agree on the recordings that both have reviewed, with intervals over patients."""
    return compare_all(server.corrections, _each(readers), layer)


def _each(readers: list[str]) -> list[str]:
    return readers[0].split(",") if len(readers) == 1 else readers
