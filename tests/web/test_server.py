"""The server of the page: what every answer has in common."""

from pathlib import Path

import pytest

pytest.importorskip("fastapi")
from web_client import web_client


def test_health_names_version_and_folder(tmp_path: Path) -> None:
    with web_client(tmp_path) as client:
        assert client.get("/api/v1/health").json()["folder"] == tmp_path.name
        assert client.get("/api/v1/nothing").status_code == 404
