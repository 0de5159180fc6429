"""A page in a real browser, the system's Chromium: fixtures for the tests that open one.

A test fails on any error in the console, any uncaught exception, and any request to another host.
"""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("pytest_playwright", reason="needs pytest-playwright")
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from waiting import WAIT_S
from watching import Watch

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
    "--disable-quic", "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip

expect.set_options(timeout=1000 * WAIT_S)


def drawn(page: Page) -> None:
    """Wait until what the page was told is drawn: in the next frame, or the one after it."""
    page.evaluate("async () => { for (let k = 0; k < 3; k += 1) await new Promise(requestAnimationFrame); }")


def expect_fit(page: Page) -> None:
    """Wait until nothing needs scrolling to the side: what is as wide as the window is laid out late."""
    page.wait_for_function("() => document.documentElement.scrollWidth <= innerWidth")


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
    return watch.follow(context.new_page())


@pytest.fixture
def axe() -> Callable[[Page], list[str]]:
    """`axe(page)` returns what axe finds in the page as it is now, a line for each element."""

    def look(page: Page) -> list[str]:
        rules = Axe().run(page).response["violations"]
        found = [(rule["id"], node) for rule in rules for node in rule["nodes"]]
        return [f"{rule}: {node['html']}: {node['failureSummary']}" for rule, node in found]

    return look
