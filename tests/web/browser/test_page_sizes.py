"""Every view of the page on a phone and at 200 % zoom, in German, whose words are longer."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from chromium import expect_fit
from waiting import until

Serve = Callable[..., str]
Axe = Callable[[Page], list[str]]
PHONE, ZOOMED = 390, 640  # pixels of CSS; the second is 1280 pixels at 200 %
# Of each view, what is there once it is whole.
VIEWS = {
    "": "td.answer strong",
    "recording/1": ".viewer-lanes .event",
    "compare/1/2": ".compared .viewer",
    "patient/101": ".marker",
    "review": ".review-view section:nth-of-type(2) h2",
    "learn": ".model-list li",
    "live": "main h1",
}
# What sticks out of the window, and is in nothing that scrolls by itself.
CUT_OFF = """() => {
  const scrolls = (each) => ["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(each).overflowX);
  const inside = (each) => each && each !== document.body && (scrolls(each) || inside(each.parentElement));
  return [...document.querySelectorAll("main *, header *, footer *")]
    .filter((each) => each.getBoundingClientRect().right > innerWidth + 1 && !inside(each.parentElement))
    .map((each) => each.outerHTML.slice(0, 100));
}"""


@pytest.fixture
def ward(tmp_path: Path, demo_sounds: list[Path]) -> Path:
    for place, sound in zip(("Pl", "Pr"), demo_sounds, strict=True):
        shutil.copy(sound, tmp_path / f"101_1b1_{place}_sc_Meditron.wav")
    return tmp_path


def test_every_view_fits(page: Page, served: Serve, axe: Axe, ward: Path) -> None:
    page.add_init_script("localStorage.setItem('laennec.language', 'de')")
    page.add_init_script("localStorage.setItem('laennec.reader', 'Anna')")
    url = served(ward)
    page.goto(url)
    expect(page.locator("td.answer strong")).to_have_count(2)
    for view, seen in VIEWS.items():
        page.goto(f"{url}#/{view}")
        expect(page.locator(seen).first).to_be_visible()
        for width in (PHONE, ZOOMED):
            page.set_viewport_size({"width": width, "height": 800})
            expect_fit(page)
            until(lambda: page.evaluate(CUT_OFF) == [])
            if view.startswith("recording"):
                table = page.locator(".recording-events .wide")
                # The button that plays an event is seen without scrolling.
                until(partial(table.evaluate, "(each) => each.scrollWidth <= each.clientWidth"))
        assert axe(page) == [], view
