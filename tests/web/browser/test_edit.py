"""Corrections in a browser: kept over a reload, by two readers, by keys alone, undone to the beginning."""

import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from chromium import drawn, expect_fit
from laennec.web.database import FILE
from waiting import until
from watching import AWAY, Watch

Serve = Callable[..., str]
Axe = Callable[[Page], list[str]]


@pytest.fixture
def folder(tmp_path: Path, demo_sounds: list[Path]) -> Path:
    ward = tmp_path / "ward"
    ward.mkdir()
    shutil.copy(next(path for path in demo_sounds if "crackles" in path.name), ward / "crackles.wav")
    return ward


def open_as(page: Page, address: str, reader: str | None) -> None:
    """Open the first recording, once it is analysed."""
    page.goto(address)
    expect(page.locator("tbody td.answer").first).to_contain_text("DAS")
    if reader:
        page.evaluate(f"localStorage.setItem('laennec.reader', {json.dumps(reader)})")
    page.goto(f"{address}#/recording/1")
    expect(events(page).first).to_be_visible()


def events(page: Page) -> Locator:
    return page.locator(".viewer-lanes button.event")


LABELS = """async () => {
    for (let k = 0; k < 2; k += 1) await new Promise(requestAnimationFrame);
    return [...document.querySelectorAll(".viewer-lanes .event")].map((event) => event.ariaLabel).sort();
}"""


def told(page: Page) -> list[str]:
    """The events as a screen reader has them, once everything is saved and drawn."""
    expect(page.locator(".edit-status")).to_have_text("All corrections are saved.")
    found: list[str] = page.evaluate(LABELS)
    return found


def drag(page: Page, target: Locator, from_x: float, by_px: float) -> None:
    """Drag from a share of an element's width, some pixels to the right."""
    drawn(page)
    box = target.bounding_box()
    assert box is not None
    x, y = box["x"] + from_x * box["width"], box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by_px / 2, y)
    page.mouse.move(x + by_px, y)
    page.mouse.up()


def start_of(page: Page) -> float:
    return float(page.get_by_label("Start, s").input_value())


def test_corrections_are_there_after_a_reload_and_in_the_export(
    page: Page, served: Serve, axe: Axe, folder: Path, tmp_path: Path
) -> None:
    address = served(folder)
    open_as(page, address, None)
    page.get_by_role("button", name="Choose your name").click()
    page.get_by_label("New reader").fill("Anna")
    page.get_by_role("button", name="Choose", exact=True).click()
    told(page)
    first, second = events(page).nth(0), events(page).nth(1)
    first.click()
    before_s = start_of(page)
    drag(page, first, 0.5, 40)  # the whole
    assert start_of(page) > before_s + 0.2
    moved_s = start_of(page)
    drag(page, events(page).nth(0), 0.01, -30)  # its first border
    assert start_of(page) < moved_s - 0.1
    page.get_by_role("button", name="Rhonchi").click()
    second.click()
    page.get_by_role("button", name="Reject").click()
    lanes = page.locator(".viewer-lanes")
    drag(page, lanes, 0.002, 50)  # an empty place
    expect(page.locator('.event[data-status="added"]')).to_have_count(1)
    assert start_of(page) < 0.2
    page.get_by_role("button", name="Draw").click()
    drag(page, page.locator(".viewer-canvases"), 0.91, 30)
    expect(page.locator('.event[data-status="added"]')).to_have_count(2)
    page.get_by_label("Whole recording").select_option("CAS")
    page.get_by_role("button", name="Mark as reviewed").click()
    expect(page.locator(".edit-outlines span")).to_have_count(
        2
    )  # of what was changed and of what was rejected
    kept = told(page)
    assert any("Rhonchi" in words and "changed" in words for words in kept)
    assert axe(page) == []
    page.reload()
    expect(page.get_by_role("button", name="Reviewed", exact=True)).to_be_visible()
    assert told(page) == kept
    page.get_by_role("button", name="Label files").click()
    assert axe(page) == []
    page.get_by_role("dialog").get_by_label("Format").select_option("sprsound")
    with page.expect_download() as download:
        page.get_by_role("button", name="Write", exact=True).click()
    written: dict[str, Any] = json.loads(download.value.path().read_text())
    assert written["record_annotation"] == "CAS"
    assert len(written["event_annotation"]) == len(kept)
    copy = tmp_path / "labels.json"
    copy.write_text(json.dumps({"event_annotation": written["event_annotation"][:1]}))
    page.get_by_label("Label file to read").set_input_files(copy)
    expect(page.get_by_text("Read: 0 added, 1 were there")).to_be_visible()
    page.keyboard.press("Escape")
    expect(events(page)).to_have_count(1)
    page.keyboard.press("Control+z")
    assert told(page) == kept


def test_by_keys_alone_and_back_to_the_beginning(page: Page, served: Serve, folder: Path) -> None:
    open_as(page, served(folder), "Anna")
    states = [told(page)]
    keys = page.keyboard

    def press(*names: str) -> None:
        for name in names:
            keys.press(name)
        states.append(told(page))
        assert states[-1] != states[-2], names

    press(".", "Shift+w")  # the first event begins 100 ms later
    press("q")
    press("Shift+o")
    press("Control+ArrowRight")
    press("3")
    expect(page.locator('.event[aria-pressed="true"]')).to_have_attribute("data-status", "changed")
    keys.press("a")  # that is decided on, so this goes on to the next
    press("a")
    press("r")
    keys.press(",")
    press("m")
    keys.press("Escape")
    keys.press("ArrowRight")
    press("n")
    press("e")
    expect(page.locator('.event[data-layer="phases"]')).to_have_count(1)
    for expected in reversed(states[:-1]):
        keys.press("Control+z")
        assert told(page) == expected
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    for expected in states[1:]:
        keys.press("Control+Shift+z")
        assert told(page) == expected
    expect(page.get_by_role("button", name="Redo")).to_be_disabled()


def test_two_readers_and_two_windows(
    page: Page, chromium: Browser, watch: Watch, served: Serve, folder: Path, axe: Axe
) -> None:
    address = served(folder)
    open_as(page, address, "Anna")
    count = events(page).count()
    again = watch.follow(page.context.new_page())  # Anna's second window
    again.goto(f"{address}#/recording/1")
    expect(events(again)).to_have_count(count)
    other = watch.follow(chromium.new_context(viewport={"width": 390, "height": 800}).new_page())
    open_as(other, address, "Ben")
    expect(events(other)).to_have_count(count)
    events(page).first.click()
    page.keyboard.press("Delete")
    expect(events(again)).to_have_count(count - 1)  # at once
    told(page)
    expect(events(other)).to_have_count(count)  # Ben has his own
    # Without a server corrections wait, and are sent when it is back.
    watch.allow(AWAY)
    again.context.set_offline(True)
    events(again).first.click()
    again.keyboard.press("2")
    expect(again.locator(".edit-status")).to_contain_text("1 correction waits and is sent again")
    again.context.set_offline(False)
    told(again)
    expect(page.locator('.event[data-status="changed"]')).to_have_count(1)
    for window in (page, other):
        window.get_by_role("button", name="Mark as reviewed").click()
        expect(window.get_by_role("button", name="Reviewed", exact=True)).to_be_visible()
        told(window)
    expect_fit(other)
    # Side by side: Anna's deletion and change are disagreements, and can be heard.
    page.get_by_role("link", name="Review").click()
    expect(page.get_by_role("heading", name="2 disagreements")).to_be_visible()
    page.get_by_role("button", name="Play crackles.wav").first.click()
    expect(page.locator(".disagreements tr[aria-current=true]")).to_have_count(1)
    assert axe(page) == []
    page.locator(".disagreements a").first.click()
    expect(page.locator(".edit-status")).to_be_visible()
    with sqlite3.connect(f"file:{folder / FILE}?mode=ro", uri=True) as workspace:
        kinds = workspace.execute("SELECT kind FROM edit ORDER BY id").fetchall()
    assert [kind for (kind,) in kinds] == ["delete", "change", "review", "review"]


def test_another_models_suggestions_are_offered_and_adopted(
    page: Page, served: Serve, folder: Path, axe: Axe
) -> None:
    address = served(folder)
    open_as(page, address, "Anna")
    events(page).first.click()
    page.keyboard.press("a")  # decided: this one stays
    before = told(page)
    count = page.locator('.event[data-status="suggested"]').count()
    assert count > 0
    assert page.request.post(f"{address}api/v1/models/default/use").ok
    offer = page.locator(".edit .notice").filter(has_text="by the model default")
    expect(offer).to_be_visible()
    assert told(page) == before, "nothing is replaced unasked"
    offer.get_by_role("button", name="Show them").click()
    expect(page.locator('.event[data-status="offered"]').first).to_be_visible()
    assert axe(page) == []
    offer.get_by_role("button", name="Use them").click()
    expect(page.locator('.event[data-status="offered"]')).to_have_count(0)
    expect(page.locator('.event[data-status="accepted"]')).to_have_count(1)
    after = told(page)
    assert after != before
    page.keyboard.press("Control+z")
    assert told(page) == before
    page.keyboard.press("Control+y")
    assert told(page) == after


def test_an_event_on_another_one_is_said(page: Page, served: Serve, folder: Path) -> None:
    open_as(page, served(folder), "Anna")
    flag = page.locator(".edit-times .flag")
    events(page).first.click()
    expect(flag).to_be_hidden()
    page.get_by_label("End, s").fill("14")
    page.keyboard.press("Tab")
    expect(flag).to_have_text(re.compile(r"Overlaps .*, \d+\.\d\d to \d+\.\d\d s"))
    told(page)


class Fingers:
    """Fingers on the screen of a phone, by the browser's own protocol."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)

    def move(self, *paths: tuple[tuple[float, float], tuple[float, float]], steps: int = 6) -> None:
        """Put fingers down, move each from one place to another, and lift them."""
        for step in range(steps + 1):
            share = step / steps
            points = [
                {"x": (1 - share) * x + share * to_x, "y": (1 - share) * y + share * to_y, "id": k}
                for k, ((x, y), (to_x, to_y)) in enumerate(paths)
            ]
            kind = "touchMove" if step else "touchStart"
            self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        self._session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_fingers_zoom_scroll_and_move_an_event(
    chromium: Browser, watch: Watch, served: Serve, folder: Path
) -> None:
    context = chromium.new_context(
        viewport={"width": 390, "height": 900}, has_touch=True, is_mobile=True, reduced_motion="reduce"
    )
    page = watch.follow(context.new_page())
    open_as(page, served(folder), "Anna")
    fingers, strip = Fingers(page), page.get_by_role("scrollbar")

    def shown() -> tuple[float, float]:
        drawn(page)
        start, end = re.findall(r"[\d.]+", strip.get_attribute("aria-valuetext") or "")
        return float(start), float(end)

    picture = page.locator(".viewer-picture")
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    assert box
    middle, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    whole = shown()
    fingers.move(((middle - 30, y), (middle - 110, y)), ((middle + 30, y), (middle + 110, y)))
    start_s, end_s = shown()
    assert end_s - start_s < 0.5 * (whole[1] - whole[0]), "two fingers apart zoom in"
    fingers.move(((middle + 80, y), (middle - 80, y)))
    assert shown()[0] > start_s + 0.3 * (end_s - start_s), "a finger to the left goes on in time"
    for _ in range(2):
        fingers.move(((middle - 110, y), (middle - 30, y)), ((middle + 110, y), (middle + 30, y)))
    assert shown() == whole
    event = events(page).first
    event.tap()
    expect(event).to_have_attribute("aria-pressed", "true")  # a tap becomes a click later
    before_s = start_of(page)
    event.scroll_into_view_if_needed()
    box = event.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    fingers.move(((x, y), (x + 40, y)))
    until(lambda: start_of(page) > before_s + 0.3)
    told(page)
    context.close()
