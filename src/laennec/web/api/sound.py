"""What the viewer asks for: tiles of the spectrogram, waveform, sound."""

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from fastapi.responses import FileResponse, Response

from laennec.errors import LaennecError
from laennec.output.tiles import COLUMN_S, COLUMNS, RANGE_DB, ROWS, WINDOW_MS, WINDOWS_MS, Pyramid
from laennec.web.api.answers import errors
from laennec.web.sounds import MOST_COLUMNS, Sound
from laennec.web.state import Server, server_of
from laennec.web.wrong import WrongValueError

router = APIRouter(tags=["sound"], prefix="/recordings/{recording}", responses=errors(400, 404, 503, 507))
Responses = dict[int | str, dict[str, Any]]
PNG: Responses = {
    200: {"content": {"image/png": {}}},
    304: {"description": "It is the one that you have"},
}
BYTES: Responses = {200: {"content": {"application/octet-stream": {}}}}
WAV: Responses = {
    200: {"content": {"audio/wav": {}}},
    206: {"description": "The range that was asked for"},
    416: {"description": "The range lies beyond the end"},
}


def sound_of(
    server: Annotated[Server, Depends(server_of)],
    recording: Annotated[int, Path(ge=1, le=2**63 - 1, description="`id` of a recording")],
) -> Sound:
    """Return the decoded sound of a recording; 404 where there is none of this number."""
    return server.sounds.of(server.library.path_of(recording))


Decoded = Annotated[Sound, Depends(sound_of)]
Channel = Annotated[int, Query(ge=0)]
Window = Annotated[int, Query(description=f"One of {WINDOWS_MS}")]


@router.get("/spectrogram")
def spectrogram(sound: Decoded, channel: Channel = 0, window_ms: Window = WINDOW_MS) -> dict[str, Any]:
    """How the tiles of a channel lie in time, frequency and level."""
    _check(sound, channel)
    pyramid = _pyramid(sound, window_ms)
    return {
        "version": sound.version,
        "duration_s": sound.duration_s,
        "channels": sound.channels,
        "reference_db": sound.reference_db(channel, window_ms),
        "range_db": RANGE_DB,
        "top_hz": pyramid.top_hz,
        "levels": pyramid.levels,
        "column_s": COLUMN_S,
        "columns": COLUMNS,
        "rows": ROWS,
        "windows_ms": WINDOWS_MS,
    }


@router.get("/tiles/{level}/{index}.png", responses=PNG, response_class=Response)
def tile(
    request: Request,
    sound: Decoded,
    level: int,
    index: int,
    channel: Channel = 0,
    window_ms: Window = WINDOW_MS,
    version: str = "",
) -> Response:
    """One tile of the spectrogram: grey, 256 columns, 512 rows, low frequencies at the bottom."""
    _check(sound, channel)
    pyramid = _pyramid(sound, window_ms)
    if not 0 <= level < pyramid.levels or not 0 <= index < pyramid.tiles(level):
        raise HTTPException(404, f"there is no tile {index} on level {level}")
    named = f"{sound.folder.name} {channel} {window_ms} {level} {index}"
    same = version == sound.version  # else the address may mean another sound tomorrow
    headers = {
        "ETag": f'"{hashlib.sha256(named.encode()).hexdigest()[:24]}"',
        "Cache-Control": f"private, {'max-age=31536000, immutable' if same else 'no-cache'}",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(sound.tile(channel, window_ms, level, index), media_type="image/png", headers=headers)


@router.get("/waveform", responses=BYTES, response_class=Response)
def waveform(
    sound: Decoded,
    start_s: Annotated[float, Query(ge=0, allow_inf_nan=False)],
    end_s: Annotated[float, Query(gt=0, allow_inf_nan=False)],
    columns: Annotated[int, Query(ge=1, le=MOST_COLUMNS)] = 1024,
    channel: Channel = 0,
) -> Response:
    """Least and greatest sample of each column: pairs of signed bytes, 127 for full scale."""
    _check(sound, channel)
    return Response(
        sound.waveform(channel, start_s, end_s, columns), media_type="application/octet-stream",
        headers={"Cache-Control": "private, max-age=3600"},
    )  # fmt: skip


@router.get("/sound/{channel}.wav", responses=WAV, response_class=FileResponse)
@router.head("/sound/{channel}.wav", responses=WAV, response_class=FileResponse, include_in_schema=False)
def wav(sound: Decoded, channel: int) -> FileResponse:
    """The sound of a channel, whole or in part (HTTP Range): 16 bit, peak -3 dBFS, 16 kHz at most."""
    _check(sound, channel)
    headers = {"Cache-Control": "private, no-cache"}
    return FileResponse(sound.wav(channel), media_type="audio/wav", headers=headers)


def _pyramid(sound: Sound, window_ms: int) -> Pyramid:
    try:
        return sound.pyramid(window_ms)
    except LaennecError as error:
        raise WrongValueError(f"window_ms: {error}") from error


def _check(sound: Sound, channel: int) -> None:
    if not 0 <= channel < sound.channels:
        raise HTTPException(404, f"there is no channel {channel}: this recording has {sound.channels}")
