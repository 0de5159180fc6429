"""The page in a real browser, and a real server on a free port."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
from chromium import (  # noqa: F401 (fixtures)
    axe,
    browser_context_args,
    browser_type_launch_args,
    chromium,
    page,
    watch,
)
from laennec.simulate import write_demo
from laennec.web.app import create_app
from laennec.web.serving import PageServer
from laennec.web.settings import Settings
from waiting import WAIT_S, until


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder; the hook is given those of all folders."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.browser)


@pytest.fixture
def served() -> Iterator[Callable[..., str]]:
    """`served(folder, **settings)` starts a server of a folder, and returns its address."""
    running: list[tuple[PageServer, threading.Thread]] = []

    def start(folder: Path, **settings: Any) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        app = create_app(Settings(folder, port=port, **settings))
        server = PageServer(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        running.append((server, thread))
        until(lambda: server.started or not thread.is_alive())
        assert thread.is_alive(), "the server did not start"
        return f"http://127.0.0.1:{port}/"

    yield start
    for server, _ in running:
        server.should_exit = True
    for _, thread in running:
        thread.join(WAIT_S)
        assert not thread.is_alive(), "the server does not end"


@pytest.fixture(scope="session")
def demo_sounds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two simulated recordings of a few seconds, for tests to copy."""
    out = tmp_path_factory.mktemp("demo")
    write_demo(out, seed=0)
    return sorted(out.rglob("*.wav"))
