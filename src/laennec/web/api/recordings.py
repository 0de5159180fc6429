"""Recordings: the list, uploads, analyses."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from laennec.audio.folder import may_be_sound
from laennec.errors import LaennecError
from laennec.web.activity import message
from laennec.web.api.answers import ANALYSIS_EXAMPLE, errors, sound_body
from laennec.web.folder import clean_name
from laennec.web.rows import Row
from laennec.web.state import Server, server_of
from laennec.web.uploads import NoSoundError, Received, received

router = APIRouter(tags=["recordings"])
Here = Annotated[Server, Depends(server_of)]
Number = Annotated[int, Path(ge=1, le=2**63 - 1, description="`id` of a recording")]
Name = Annotated[str, Query(max_length=1000, description="what to call it", examples=["ward-3.wav"])]


class Rows(BaseModel):
    """All recordings of the folder."""

    recordings: list[Row]
    revision: int = Field(description="a row of a greater one, told by `activity`, is later than this list")


class Uploaded(Row):
    """A recording that was sent."""

    duplicate: bool = Field(description="whether the folder had one of the same content, which this is")


class ChannelSound(BaseModel):
    """Where a channel can be listened to."""

    url: str


class Sounds(BaseModel):
    """What can be listened to; none before the recording was opened."""

    channels: list[ChannelSound]


class Details(Row):
    """A recording with its analysis."""

    analysis: dict[str, Any] | None = Field(description="as `laennec analyze --json` prints it")
    doubts: dict[str, Any] | None = Field(
        description="why `record` and each of `events` of the analysis are uncertain, null where they are not"
    )
    sound: Sounds


class Description(BaseModel):
    """What is known of the patient; what is left out stays as it is, null is not known."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"patient": "7"}]})

    patient: str | None = Field(None, max_length=200)
    position: str | None = Field(None, max_length=50, examples=["left-posterior"])
    age_years: float | None = Field(None, ge=0, le=130)
    sex: str | None = Field(None, max_length=20, examples=["female"])
    device: str | None = Field(None, max_length=200)


class Scanned(BaseModel):
    """How many files of the folder are new, changed, gone, elsewhere, and too many."""

    added: int
    changed: int
    gone: int
    moved: int
    left_out: int


@router.get("/recordings", response_model=Rows, summary="List the recordings")
def recordings(server: Here) -> Response:
    """Every recording of the folder with its state and its answer in short."""
    revision, rows = server.library.rows()
    return JSONResponse({"recordings": rows, "revision": revision})


@router.post(
    "/recordings",
    response_model=Uploaded,
    status_code=201,
    summary="Add a recording",
    responses={
        200: {"model": Uploaded, "description": "The folder had it already"},
        **errors(400, 413, 415, 507),
    },
    openapi_extra=sound_body(),
)
async def upload(request: Request, server: Here, name: Name = "recording") -> Response:
    """Send a recording as the body; it is kept in the folder and analysed.

    Its content decides what it is, not its name. One of the same content is not kept twice.
    """
    async with received(request, server.incoming) as file:
        called = clean_name(name)
        row, is_new = await asyncio.to_thread(_add, server, file, called)
    return JSONResponse({**row, "duplicate": not is_new}, 201 if is_new else 200)


def _add(server: Server, file: Received, name: str) -> tuple[dict[str, Any], bool]:
    if not may_be_sound(file.path):
        raise NoSoundError("not a recording: text, a picture, a document or an archive; it was not kept")
    number, is_new = server.library.add_file(file.path, name, file.sha256, file.size)
    return server.library.row(number), is_new


@router.post("/rescan", response_model=Scanned, summary="Look for new files in the folder")
def rescan(server: Here) -> Response:
    """Notice new, changed and gone files, as at the start."""
    return JSONResponse(server.library.rescan())


@router.get(
    "/recordings/{number}",
    response_model=Details,
    summary="Read a recording's analysis",
    responses=errors(404),
)
def recording(number: Number, server: Here) -> Response:
    """A recording with its analysis, as `laennec analyze --json` prints it, and its sound."""
    row = server.library.row(number)
    place = f"/api/v1/recordings/{number}/sound"
    sound = {"channels": [{"url": f"{place}/{channel}.wav"} for channel in range(row["channels"] or 0)]}
    analysis = server.library.analysis(number)
    doubts = server.library.doubts(analysis)
    return JSONResponse({**row, "analysis": analysis, "doubts": doubts, "sound": sound})


@router.patch(
    "/recordings/{number}", response_model=Row, summary="Describe the patient", responses=errors(404)
)
def describe(number: Number, description: Annotated[Description, Body()], server: Here) -> Response:
    """Set patient, position, age, sex or device."""
    return JSONResponse(server.library.describe(number, description.model_dump(exclude_unset=True)))


@router.post(
    "/recordings/{number}/analyze",
    response_model=Row,
    summary="Analyse a recording anew",
    responses=errors(404),
)
def analyze(number: Number, server: Here) -> Response:
    """Analyse a recording anew, before those that wait."""
    return JSONResponse(server.library.analyze(number))


@router.post(
    "/recordings/{number}/cancel",
    response_model=Row,
    summary="Cancel an analysis",
    responses=errors(404),
)
def cancel(number: Number, server: Here) -> Response:
    """Take a recording out of the queue, or end its analysis; others go on."""
    return JSONResponse(server.library.cancel(number))


@router.post(
    "/analyze",
    summary="Analyse a recording, for programs",
    response_model=dict[str, Any],
    responses={
        200: {
            "description": "The analysis, as `laennec analyze --json` prints it; with `Accept: "
            "text/event-stream` the events `progress`, `found`, and `analysis` or `error`",
            "content": {
                "application/json": {"example": ANALYSIS_EXAMPLE},
                "text/event-stream": {"schema": {"type": "string"}},
            },
        },
        **errors(400, 413, 415, 503, 507),
    },
    openapi_extra=sound_body(),
)
async def analyze_sent(
    request: Request,
    server: Here,
    name: Name = "recording",
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Send a recording as the body and wait for its analysis; nothing of it is kept."""
    programs = server.programs
    if "text/event-stream" in accept:
        held = received(request, server.incoming)
        file = await held.__aenter__()

        async def events() -> AsyncIterator[str]:
            try:
                async for kind, content in programs.messages(file.path, clean_name(name)):
                    yield message(kind, content)
            except LaennecError as error:
                yield message("error", {"error": str(error)})
            finally:
                await held.__aexit__(None, None, None)

        return StreamingResponse(events(), media_type="text/event-stream")
    async with received(request, server.incoming) as file:
        return JSONResponse(await programs.analysis(file.path, clean_name(name)))
