"""Health, news, vocabularies, models."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, Field

from laennec.labels import NORMAL, PHASES, POOR_QUALITY, SPRSOUND_EVENTS
from laennec.output.presentation import label_colours, phase_colours, record_colours, short_label
from laennec.patient import CHEST_PLACES
from laennec.version import DISCLAIMER, __version__
from laennec.web.api.answers import errors
from laennec.web.rows import ModelUsed
from laennec.web.state import Server, server_of

router = APIRouter(tags=["system"])
Here = Annotated[Server, Depends(server_of)]


class Chosen(ModelUsed):
    """The model in use."""

    task: str = Field(description="`recordings` or `clips`")


class Health(BaseModel):
    """What runs."""

    laennec: str = Field(description="its version")
    disclaimer: str
    folder: str = Field(description="its name")
    model: Chosen
    phases: bool = Field(description="whether the phases of breaths are told as well")
    ready: bool
    waiting: int = Field(description="analyses that wait")


class Label(BaseModel):
    """An event's label, and how the page shows it."""

    name: str
    short: str
    colour: str
    adventitious: bool


class Place(BaseModel):
    """A place on the chest, and where it is drawn."""

    name: str
    face: str = Field(description="`front` or `back`")
    x: float
    y: float


class Labels(BaseModel):
    """The vocabularies."""

    events: list[Label]
    records: list[Label]
    phases: list[Label] = Field(description="of a breath")
    positions: list[Place]


class Model(BaseModel):
    """A model that can be used."""

    name: str
    version: str
    sha256: str
    task: str = Field(description="`recordings`, or `clips`: no answer for whole recordings, no learning")
    kind: str = Field(description="`shipped`, `own` (of this folder), or `given` when the server was started")
    made: str | None
    in_use: bool
    content: dict[str, Any] = Field(description="what is known of an own one")


class ModelList(BaseModel):
    """The models, and the calibration in use."""

    models: list[Model]
    calibration_sha256: str | None


@router.get("/health", response_model=Health, summary="Ask whether the server is well")
def health(server: Here) -> Response:
    """Version, folder, model, and what waits."""
    used = server.models.in_use()
    return JSONResponse(
        {
            "laennec": __version__,
            "disclaimer": DISCLAIMER,
            "folder": server.settings.folder.name,
            "model": {name: getattr(used, name) for name in Chosen.model_fields},
            "phases": server.settings.phases,
            "ready": True,
            "waiting": server.queue.waiting(),
        }
    )


@router.get("/labels", response_model=Labels, summary="List the labels")
def labels(server: Here) -> Response:
    """Labels of events, recordings and breaths, and positions on the chest."""
    return JSONResponse(
        {
            "events": _labels(label_colours(SPRSOUND_EVENTS, NORMAL)),
            "records": _labels(record_colours(SPRSOUND_EVENTS, NORMAL)),
            "phases": _labels({phase: phase_colours()[phase] for phase in PHASES}),
            "positions": [
                {"name": name, "face": place.face, "x": place.x, "y": place.y}
                for name, place in CHEST_PLACES.items()
            ],
        }
    )


def _labels(colours: Mapping[str, str]) -> list[dict[str, Any]]:
    plain = (NORMAL, POOR_QUALITY, *PHASES)
    return [
        {"name": name, "short": short_label(name), "colour": colour, "adventitious": name not in plain}
        for name, colour in colours.items()
    ]


@router.get("/models", response_model=ModelList, summary="List the models")
def models(server: Here) -> Response:
    """The models that ship, those of this folder, and which is in use."""
    used = server.models.in_use()
    return JSONResponse({"models": server.models.listed(), "calibration_sha256": used.calibration_sha256})


@router.post(
    "/models/{name}/use", response_model=ModelList, summary="Use another model", responses=errors(404)
)
def use_model(
    name: Annotated[str, Path(max_length=200, description="its name or SHA-256")], server: Here
) -> Response:
    """Analyse with another model from now on, and every recording anew; corrections stay."""
    server.library.use_model(name)
    return models(server)


@router.get("/activity", response_class=StreamingResponse, summary="Listen to what changes")
async def activity(server: Here) -> StreamingResponse:
    """What changes, as server-sent events: recordings, found events, corrections, jobs."""
    return StreamingResponse(
        server.activity.stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )
