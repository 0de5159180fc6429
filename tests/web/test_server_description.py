"""The description of the API (OpenAPI): whatever it allows is answered as it says."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
schemathesis = pytest.importorskip("schemathesis")
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, settings
from web_client import ADDRESS, web_client

from laennec.simulate import write_demo

EXAMPLES = 4  # of each operation: a wrong answer shows in the first
STREAMS = ("/api/v1/activity",)  # has no end


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("ward")
    demo = tmp_path_factory.mktemp("demo") / "demo"
    write_demo(demo)
    shutil.copy(demo / "wheezes.wav", folder)
    with web_client(folder, upload_bytes=2**16) as client:
        client.post("/api/v1/readers", json={"name": "Ada"})
        yield client


@pytest.fixture
def described(client: TestClient) -> Any:
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", client.app)
