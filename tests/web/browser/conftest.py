"""The page in a real browser: the system's Chromium, and a real server on a free port.

A test fails on any error in the console, any uncaught exception, and any request to another host.
"""

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("pytest_playwright", reason="needs pytest-playwright")
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect
from watching import Watch

from laennec.simulate import write_demo
from laennec.web.app import create_app
from laennec.web.serving import PageServer
from laennec.web.settings import Settings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
    "--disable-quic", "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip
START_S = 20.0
WAIT_MS = 15_000  # a busy machine is no fault

expect.set_options(timeout=WAIT_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder; the hook is given those of all folders."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """How pytest-playwright starts the browser."""
    if CHROMIUM is None:
        pytest.skip("needs an installed Chromium")
    return {"executable_path": CHROMIUM, "args": FLAGS, "headless": True}


@pytest.fixture(scope="session")
def browser_context_args() -> dict[str, Any]:
    """A desktop, in English, at rest."""
    return {
        "viewport": {"width": 1280, "height": 800},
        "locale": "en-GB",
        "reduced_motion": "reduce",
        "color_scheme": "light",
    }


@pytest.fixture
def chromium(browser: Browser) -> Browser:
    """The browser, for tests that open contexts of their own; those must be watched: `watch.follow(page)`."""
    return browser


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Fails the test in the end where anything went wrong."""
    found = Watch()
    yield found
    assert found.unexpected() == []


@pytest.fixture
def page(context: BrowserContext, watch: Watch) -> Page:
    """A page that is watched."""
    context.set_default_timeout(WAIT_MS)
    return watch.follow(context.new_page())


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
        end_s = time.monotonic() + START_S
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            assert time.monotonic() < end_s, "the server takes too long"
            time.sleep(0.02)
        return f"http://127.0.0.1:{port}/"

    yield start
    for server, _ in running:
        server.should_exit = True
    for _, thread in running:
        thread.join(START_S)
        assert not thread.is_alive(), "the server does not end"


@pytest.fixture(scope="session")
def demo_sounds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two simulated recordings of a few seconds, for tests to copy."""
    out = tmp_path_factory.mktemp("demo")
    write_demo(out, seed=0)
    return sorted(out.rglob("*.wav"))


@pytest.fixture
def axe() -> Callable[[Page], list[str]]:
    """`axe(page)` returns what axe finds in the page as it is now, a line for each element."""

    def look(page: Page) -> list[str]:
        rules = Axe().run(page).response["violations"]
        found = [(rule["id"], node) for rule in rules for node in rule["nodes"]]
        return [f"{rule}: {node['html']}: {node['failureSummary']}" for rule, node in found]

    return look
