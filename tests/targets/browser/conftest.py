"""An exported page in Chromium, served by Python's own server of files."""

import base64
import functools
import http.server
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

pytest.importorskip("pytest_playwright", reason="needs pytest-playwright")
from playwright.sync_api import Browser, Page

from chromium import (  # noqa: F401 (fixtures)
    axe,
    browser_context_args,
    browser_type_launch_args,
    chromium,
    page,
    watch,
)
from laennec import load_model
from laennec.cli import run
from laennec.files import sha256_of
from laennec.targets.runtime import ARCHIVE, ARCHIVE_SHA256
from laennec.targets.web import card_json
from watching import Watch

READY_MS = 60_000  # WebAssembly of 14 MB is compiled; a busy machine is no fault
SETUP = """async (name) => {
  globalThis.laennec ??= await import("./laennec.js");
  globalThis.models ??= {};
  models[name] ??= await laennec.load(`${name}.onnx`, `${name}.json`);
}"""
ANALYZE = """async ([name, data, file, options]) => {
  const buffer = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)).buffer;
  const { channels, rate, ...read } = await laennec.readSound(buffer, file);
  return models[name].analyze(channels, rate, { ...read, ...options });
}"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder; the hook is given those of all folders."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def runtime() -> Path:
    """The npm package of ONNX Runtime for browsers, where `make test-page` has put it."""
    path = Path(sys.prefix) / ARCHIVE
    if not path.is_file():
        pytest.skip(f"needs {ARCHIVE} in the environment, which `make test-page` fetches by npm")
    assert sha256_of(path) == ARCHIVE_SHA256
    return path


@pytest.fixture(scope="session")
def site(runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the command writes for the model `recording`; the two for clips lie in it too."""
    out = tmp_path_factory.mktemp("export") / "site"
    assert run(["export", "--target", "web", "recording", "--runtime", str(runtime), "--out", str(out)]) == 0
    for name in ("default", "source"):
        model = load_model(name)
        (out / f"{name}.json").write_text(card_json(model), encoding="utf-8")
        (out / f"{name}.onnx").write_bytes(model.graph.content)
    return out


class Files(http.server.SimpleHTTPRequestHandler):
    """Answers with files and writes no lines about it."""

    extensions_map: ClassVar = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *args: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    """Where the folder is served."""
    handler = functools.partial(Files, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def ready(page: Page, address: str) -> Page:  # noqa: F811
    """The exported page, with its model loaded."""
    page.goto(address)
    page.wait_for_selector("body[data-ready=true]", timeout=READY_MS)
    return page


@pytest.fixture(scope="module")
def module_page(browser: Browser, address: str) -> Iterator[Page]:
    """The exported page for all tests of a file, which change nothing in it."""
    context = browser.new_context()
    watching = Watch()
    opened = watching.follow(context.new_page())
    opened.set_default_timeout(READY_MS)
    opened.goto(address)
    opened.wait_for_selector("body[data-ready=true]")
    yield opened
    context.close()
    assert watching.unexpected() == []


@pytest.fixture(scope="module")
def analysed(module_page: Page) -> Callable[..., dict[str, Any]]:
    """`analysed(path, model="recording", **options)`: the JSON that the browser makes of a file."""

    def analyse(path: Path, model: str = "recording", **options: Any) -> dict[str, Any]:
        module_page.evaluate(SETUP, model)
        data = base64.b64encode(path.read_bytes()).decode()
        return dict(module_page.evaluate(ANALYZE, [model, data, path.name, options]))

    return analyse
