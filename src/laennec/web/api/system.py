"""Health, news, vocabularies."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse

from laennec.version import DISCLAIMER, __version__
from laennec.web.state import Server, server_of

router = APIRouter(tags=["system"])
Here = Annotated[Server, Depends(server_of)]


@router.get("/health")
def health(server: Here) -> dict[str, Any]:
    """Whether the server answers, and which version it is."""
    return {
        "laennec": __version__,
        "disclaimer": DISCLAIMER,
        "folder": server.settings.folder.name,
        "ready": True,
    }


@router.get("/activity", response_class=StreamingResponse)
async def activity(server: Here) -> StreamingResponse:
    """What changes, as server-sent events: recordings, found events, corrections, jobs."""
    return StreamingResponse(
        server.activity.stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )
