"""A client of the page's server, for tests: it asks as a program on this computer does."""

from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from laennec.web.app import create_app
from laennec.web.settings import Settings
from laennec.web.sounds import FOLDER, Sounds
from waiting import until

ADDRESS = "http://127.0.0.1:8765"
API = "/api/v1"


def web_client(folder: Path, **settings: Any) -> TestClient:
    """Return a client for the server of a folder; to be used with ``with``, which starts and ends it.

    A worker takes a second to start, so none is started before an analysis needs it, and sound that is asked
    for is decoded in this process.
    """
    app = create_app(Settings(folder, **({"warm": False} | settings)))
    app.state.server.sounds = app.state.server.library.sounds = Sounds(folder / FOLDER)
    return TestClient(app, base_url=ADDRESS)


def rows(client: TestClient) -> dict[str, dict[str, Any]]:
    """All rows by name, without the stamp that every answer has anew."""
    found = client.get(f"{API}/recordings").json()["recordings"]
    return {row["name"]: {key: row[key] for key in row if key != "revision"} for row in found}


def settled(client: TestClient) -> dict[str, dict[str, Any]]:
    """All rows once nothing waits or runs."""

    def all_rest() -> dict[str, dict[str, Any]] | None:
        found = rows(client)
        return found if {row["state"] for row in found.values()} <= {"done", "failed", "cancelled"} else None

    found: dict[str, dict[str, Any]] = until(all_rest)
    return found
