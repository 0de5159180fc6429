"""The page as a whole, in a browser."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect
from watching import Watch

Serve = Callable[..., str]
Axe = Callable[[Page], list[str]]


def test_shell(page: Page, watch: Watch, served: Serve, axe: Axe, tmp_path: Path) -> None:
    watch.allow(r"404 .*api/v1/")
    page.goto(served(tmp_path))
    expect(page.get_by_role("link", name="Recordings", exact=True)).to_have_attribute("aria-current", "page")
    expect(page.locator(".folder")).to_have_text(tmp_path.name)
    assert axe(page) == []
    page.get_by_label("Language").select_option("de")
    expect(page.get_by_role("link", name="Aufnahmen", exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "de"
    page.reload()
    expect(page.get_by_role("link", name="Aufnahmen", exact=True)).to_be_visible()
