"""A client of the page's server, for tests: it asks as a program on this computer does."""

from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from laennec.web.app import create_app
from laennec.web.settings import Settings

ADDRESS = "http://127.0.0.1:8765"


def web_client(folder: Path, **settings: Any) -> TestClient:
    """Return a client for the server of a folder; to be used with ``with``, which starts and ends it."""
    return TestClient(create_app(Settings(folder, **settings)), base_url=ADDRESS)
