"""The description of the API (OpenAPI): whatever it allows is answered as it says."""

import re
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
schemathesis = pytest.importorskip("schemathesis")
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance

from laennec.analyze import analyze
from laennec.output.formats import to_json
from laennec.simulate import write_demo
from laennec.web.app import create_app
from laennec.web.serving import PageServer
from laennec.web.settings import Settings
from waiting import WAIT_S

EXAMPLES = 3  # of each operation; `make fuzz` is for more
NO_END = "/activity"
SHORT = settings(
    max_examples=EXAMPLES,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two recordings, one of them no sound."""
    folder, demo = tmp_path_factory.mktemp("ward"), tmp_path_factory.mktemp("demo") / "demo"
    write_demo(demo)
    shutil.copy(demo / "wheezes.wav", folder)
    (folder / "broken.wav").write_bytes(b"RIFF")
    return folder


@pytest.fixture(scope="module")
def address(ward: Path) -> Iterator[str]:
    """A server of it, with a reader."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        app = create_app(Settings(ward, upload_bytes=2**19, warm=False))
        app.state.server.corrections.add_reader("Ada")
        server = PageServer(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(WAIT_S)
        assert not thread.is_alive(), "the server does not end"


def test_every_operation_answers_as_described(address: str) -> None:
    """No 500, no status, type or content that the description does not have."""
    schema = schemathesis.openapi.from_url(f"{address}/api/v1/openapi.json", timeout=WAIT_S)
    wrong: list[str] = []
    tried: set[str] = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path.endswith(NO_END):
            continue

        @seed(1)
        @SHORT
        @given(case=operation.as_strategy())
        def check(case: Any) -> None:
            tried.add(case.operation.label)
            # That random bytes are no recording, and which places a chest has, is in no description. That
            # there is too much to do (503) is no error of the server.
            excluded = [positive_data_acceptance, not_a_server_error]
            assert case.call_and_validate(timeout=WAIT_S, excluded_checks=excluded).status_code != 500

        try:
            check()
        except (Exception, BaseExceptionGroup) as error:
            wrong.append(f"{operation.label}: {error}")
    assert not wrong, "\n\n".join(wrong)
    assert len(tried) >= 10


def test_every_operation_is_described(address: str) -> None:
    """With a summary, and each answer that is no plain file with its fields."""
    schema = schemathesis.openapi.from_url(f"{address}/api/v1/openapi.json", timeout=WAIT_S)
    for result in schema.get_all_operations():
        described = result.ok().definition.raw
        assert described["summary"], result.ok().label
        assert described["description"], result.ok().label
        assert described["tags"], result.ok().label


def test_the_example_in_the_documentation_works(address: str, ward: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(import json.*?)\nfor event", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    found = names["analyze"](ward / "wheezes.wav", address)
    assert found == to_json(analyze(ward / "wheezes.wav")) | {"recording": found["recording"]}
    assert found["events"]
