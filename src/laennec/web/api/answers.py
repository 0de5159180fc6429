"""What the description of the API (OpenAPI) says of bodies and errors."""

from typing import Any

from pydantic import BaseModel, Field


class Problem(BaseModel):
    """What is wrong, and what to do."""

    error: str = Field(examples=["there is no such recording"])


MEANINGS = {
    400: "What was sent is no sound that can be read",
    401: "The token is missing or wrong",
    403: "The request comes from another page",
    404: "There is no such thing",
    409: "Somebody else was faster",
    413: "Too large",
    415: "Not a recording that can be analysed",
    421: "Not served under that name",
    422: "A parameter or a field has a value that it cannot have",
    503: "Too much to do, try again later",
    507: "The disk is full",
}

ANALYSIS_EXAMPLE = {
    "format": 1,
    "recording": {"name": "ward-3.wav", "duration_s": 15.0, "sample_rate": 8000, "channels": 1},
    "record": {"channel": None, "label": "DAS", "probability": 0.87, "uncertain": False},
    "events": [{"channel": 0, "start_s": 1.2, "end_s": 2.1, "label": "Fine Crackle", "probability": 0.91}],
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route may answer besides its result."""
    return {status: {"model": Problem, "description": MEANINGS[status]} for status in statuses}


def sound_body() -> dict[str, Any]:
    """A body that is a recording itself."""
    content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    return {"requestBody": {"required": True, "content": content}}
