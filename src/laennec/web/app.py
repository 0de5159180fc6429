"""The application: API, page, and what every answer has in common."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files

from anyio import to_thread
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from laennec.errors import LaennecError
from laennec.version import __version__
from laennec.web.api import corrections, learn, live, recordings, sound, system
from laennec.web.api.answers import errors
from laennec.web.api.parameters import SENTENCE, refuse_unknown
from laennec.web.pages import main_page
from laennec.web.security import Guard
from laennec.web.settings import Settings
from laennec.web.state import Server
from laennec.web.wrong import refused, wrong_value

ROUTERS = (
    system.router,
    recordings.router,
    sound.router,
    corrections.router,
    learn.router,
    live.router,
)
THREADS = 200  # for answers: most of them may wait until a long recording is decoded


def create_app(settings: Settings) -> FastAPI:
    """Return the application for a folder of recordings."""

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        app.state.server.start()
        try:
            yield
        finally:
            app.state.server.stop()

    app = FastAPI(
        title="Laennec", version=__version__, description=SENTENCE, lifespan=running,
        docs_url=None, redoc_url=None, openapi_url="/api/v1/openapi.json",
    )  # fmt: skip
    app.state.server = Server(settings)
    app.add_middleware(Guard, settings=settings)
    for router in ROUTERS:
        app.include_router(
            router, prefix="/api/v1", dependencies=[Depends(refuse_unknown)], responses=errors(422)
        )
    app.add_exception_handler(LaennecError, _unusable)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_route("/", _page)
    app.mount("/viewer", StaticFiles(directory=str(files("laennec.output").joinpath("viewer"))))
    app.mount("/", StaticFiles(directory=str(files("laennec.web").joinpath("static"))))
    return app


async def _page(_: Request) -> HTMLResponse:
    return HTMLResponse(main_page())


def _answer(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence}, status)


async def _unusable(_: Request, error: Exception) -> JSONResponse:
    return _answer(getattr(error, "status", 400), str(error))


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return _answer(422, wrong_value(error.errors()))


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    sentence = refused(error.status_code, str(error.detail), request.method, request.url.path)
    return JSONResponse({"error": sentence}, error.status_code, error.headers)
