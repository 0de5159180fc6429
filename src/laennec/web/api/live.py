"""Recordings that are made on the page."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from laennec.audio.samples import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE
from laennec.web.api.answers import errors, sound_body
from laennec.web.described import checked
from laennec.web.rows import Row
from laennec.web.state import Server, server_of

router = APIRouter(prefix="/live", tags=["live"])
Here = Annotated[Server, Depends(server_of)]
Name = Annotated[str, Path(max_length=64, description="`id` of a recording that is being made")]
Part = Annotated[
    int, Query(ge=0, le=2**40, description="counts from 0; the same one again is not kept twice")
]

Heard = Annotated[bool, Query(description="false: only keep it, since the recording is about to end")]


class Beginning(BaseModel):
    """Sound that will come, and what is known of the patient."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"sample_rate": 48000}]})

    sample_rate: int = Field(ge=MIN_SAMPLE_RATE, le=MAX_SAMPLE_RATE, description="Hz")
    patient: str | None = Field(None, max_length=200)
    position: str | None = Field(None, max_length=50, examples=["left-posterior"])
    age_years: float | None = Field(None, ge=0, le=130)
    sex: str | None = Field(None, max_length=20, examples=["female"])
    device: str | None = Field(None, max_length=200)


class Begun(BaseModel):
    """A recording that is being made."""

    id: str


class FoundEvent(BaseModel):
    """An event as it was found; the analysis of the whole may see it a little otherwise."""

    channel: int
    start_s: float
    end_s: float
    label: str
    probability: float
    uncertain: bool


class Columns(BaseModel):
    """New columns of the spectrogram; `data` is base64 of a byte a row, low frequencies first."""

    first: int = Field(description="number of the first column")
    hop_s: float
    rows: int
    top_hz: float
    lowest_db: float = Field(description="what a byte of 0 is; 255 is full scale")
    data: str


class News(BaseModel):
    """What a part of the sound has brought."""

    duration_s: float = Field(description="of all that came")
    settled_s: float = Field(description="up to where it was processed")
    delay_s: float = Field(description="at most, from the end of an event until it is told")
    mean_db: float = Field(description="of this part, in dB of full scale")
    peak_db: float
    quality: list[dict[str, Any]] = Field(description="what is wrong with the last seconds")
    events: list[FoundEvent]
    columns: Columns


@router.post(
    "",
    response_model=Begun,
    status_code=201,
    summary="Begin a recording",
    responses=errors(422, 503, 507),
)
def begin(beginning: Beginning, server: Here) -> Response:
    """Begin a recording, whose sound then comes in parts."""
    facts = checked(beginning.model_dump(exclude={"sample_rate"}, exclude_none=True))
    return JSONResponse({"id": server.live.begin(beginning.sample_rate, facts)}, 201)


@router.post(
    "/{name}/sound",
    response_model=News,
    summary="Send a part of the sound",
    responses=errors(400, 404, 409, 413, 507),
    openapi_extra=sound_body(),
)
async def sound(request: Request, name: Name, server: Here, part: Part, heard: Heard = True) -> Response:
    """Send samples, float32, little-endian, one channel, as the body, one part after the other.

    It is on the disk before the answer comes. A page from which nothing comes for half a minute is taken for
    gone: what came is kept as a recording.
    """
    content = await request.body()
    return JSONResponse(await run_in_threadpool(server.live.add, name, part, content, heard))


@router.post(
    "/{name}/end",
    response_model=Row,
    summary="End a recording",
    responses=errors(400, 404, 507),
)
def end(name: Name, server: Here) -> Response:
    """End a recording: it becomes one of the folder's, in FLAC, and is analysed as a whole."""
    return JSONResponse(server.library.row(server.live.end(name)))


@router.post(
    "/{name}/leave",
    status_code=204,
    response_class=Response,
    summary="Leave a recording",
    responses=errors(422),
)
def leave(name: Name, server: Here) -> Response:
    """End a recording without waiting for it: what came is kept and analysed, if anything came."""
    server.live.leave(name)
    return Response(status_code=204)
