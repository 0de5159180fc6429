"""Check my device, learn from corrections, models beside each other."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from laennec.web import device
from laennec.web.api.answers import errors
from laennec.web.corrections import LONGEST_NAME
from laennec.web.learn import TooFewError, needs
from laennec.web.learning import DEVICE, LEARN
from laennec.web.state import Server, server_of

router = APIRouter(tags=["learn"])
Here = Annotated[Server, Depends(server_of)]
Name = Annotated[str, Field(max_length=4 * LONGEST_NAME, examples=["Anna"])]
Reader = Annotated[str, Query(max_length=4 * LONGEST_NAME, description="name of a reader", examples=["Anna"])]
JOB: Any = {
    "id": 1, "kind": "learn", "state": "running", "progress": 0.4, "message": "listening", "result": {},
}  # fmt: skip


class JobOut(BaseModel):
    """Something that is being learnt, or was."""

    model_config = ConfigDict(json_schema_extra={"examples": [JOB]})

    id: int
    kind: str = Field(description="`learn` or `device`")
    state: str = Field(description="`running`, `done`, `failed` or `stopped`")
    progress: float
    message: str = Field(description="what is done now, or why it failed")
    result: dict[str, Any]


class LearnIn(BaseModel):
    """Whose corrections to learn from."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reader": "Anna"}]})

    reader: Name
    name: Annotated[str, Field(max_length=60, description="what the new model is called")] = "own"


class DeviceIn(BaseModel):
    """Whose labels to fit a calibration to."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reader": "Anna"}]})

    reader: Name
    prevalence: Annotated[float, Field(ge=0.01, le=0.99)] = 0.3


class CalibrationIn(BaseModel):
    """Whether the calibration of this folder is used."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"use": True}]})

    use: bool


@router.get("/learn", summary="See what there is to learn from", responses=errors(404, 422))
def learn_state(server: Here, reader: Reader) -> dict[str, Any]:
    """What of a reader's corrections a model can learn from, what is missing, and the latest job."""
    return {
        **needs(server.learning.readings(reader)),
        "clip_model": server.learning.clip_model(is_first=True),
        "job": server.learning.latest(LEARN),
    }


@router.post(
    "/learn", response_model=JobOut, status_code=202, summary="Learn from corrections",
    responses=errors(404, 409, 422),
)  # fmt: skip
def learn(server: Here, body: Annotated[LearnIn, Body()]) -> Response:
    """Begin to learn a model from a reader's corrections; `job` in the activity tells how far it is."""
    return JSONResponse(server.learning.learn(body.reader, body.name), 202)


@router.get("/device", summary="See how the model does on your device", responses=errors(404, 422))
def device_state(server: Here, reader: Reader) -> dict[str, Any]:
    """Precision and recall on what a reader has reviewed, what a calibration lacks, and the latest job."""
    checked = device.check(server.learning.readings(reader), server.models.in_use().sha256)
    return {
        **checked,
        "clip_model": server.learning.clip_model(is_first=False),
        "own_model": server.learning.is_own(),
        "calibration": server.learning.calibration(),
        "job": server.learning.latest(DEVICE),
    }


@router.post(
    "/device", response_model=JobOut, status_code=202, summary="Fit a calibration",
    responses=errors(404, 409, 422),
)  # fmt: skip
def calibrate(server: Here, body: Annotated[DeviceIn, Body()]) -> Response:
    """Begin to fit a calibration to the recordings that a reader has reviewed."""
    readings = server.learning.readings(body.reader)
    if (why := device.check(readings, server.models.in_use().sha256)["why"]) is not None:
        raise TooFewError(why)
    return JSONResponse(
        server.learning.calibrate(list(device.told_recordings(readings)), body.prevalence), 202
    )


@router.post("/device/calibration", summary="Use the calibration, or do not", responses=errors(404))
def use_calibration(server: Here, body: Annotated[CalibrationIn, Body()]) -> dict[str, Any]:
    """Answer by the calibration of this folder, or without it; every recording is analysed anew."""
    server.learning.use_calibration(body.use)
    server.library.use_model(server.models.in_use().sha256)
    return {"in_use": server.models.in_use().calibration_sha256 is not None}


@router.post("/jobs/{number}/stop", response_model=JobOut, summary="Stop a job", responses=errors(404))
def stop(server: Here, number: Annotated[int, Path(ge=1, le=2**31)]) -> Response:
    """End a job; nothing of it is kept."""
    return JSONResponse(server.learning.stop_job(number))


@router.get(
    "/models/compare", summary="Compare an own model with the one it learnt from", responses=errors(404)
)
def compare(
    server: Here, sha256: Annotated[str, Query(max_length=64, description="of the own model")]
) -> dict[str, Any]:
    """Answers to each recording before and after, each by a model that did not learn from its patient."""
    return server.learning.compared(sha256)
