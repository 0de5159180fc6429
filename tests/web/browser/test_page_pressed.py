"""What is pressed, focused or open while the page draws something anew: nothing of it is lost."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from chromium import drawn
from listening import Listening
from waiting import until
from watching import Watch

Serve = Callable[..., str]


@pytest.fixture
def ward(tmp_path: Path, demo_sounds: list[Path]) -> Path:
    folder = tmp_path / "ward"
    folder.mkdir()
    for name, sound in zip(("a", "b"), demo_sounds, strict=True):
        shutil.copy(sound, folder / f"{name}.wav")
    return folder


def opened(page: Page, address: str) -> Locator:
    """The rows of the list, once everything is analysed."""
    page.goto(address)
    expect(page.locator("td.answer strong")).to_have_count(2)
    return page.locator("tbody tr[data-id]")


def press(page: Page, target: Locator) -> None:
    """Put a mouse's button down on something, and leave it there."""
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()


@pytest.fixture
def news(page: Page) -> Listening:
    return Listening(page)


def describe(page: Page, news: Listening, address: str) -> None:
    """Describe the first recording; the page is told, and has the time to draw it."""
    news.begin("recording")
    assert page.request.patch(f"{address}api/v1/recordings/1", data={"patient": "7"}).ok
    news.end()
    news.again()
    drawn(page)


def test_a_button_that_is_pressed_while_news_come_is_clicked(
    page: Page, news: Listening, served: Serve, ward: Path
) -> None:
    address = served(ward)
    rows = opened(page, address)
    press(page, rows.nth(0).locator("td.name a"))
    describe(page, news, address)
    page.mouse.up()
    expect(page.get_by_role("heading", name="a.wav")).to_be_visible()
    expect(page.locator(".recording-facts")).to_contain_text("7")


def test_what_came_while_something_was_pressed_is_shown_after_it(
    page: Page, news: Listening, served: Serve, ward: Path
) -> None:
    address = served(ward)
    rows = opened(page, address)
    press(page, page.get_by_role("heading", name="Recordings"))
    describe(page, news, address)
    expect(rows.nth(0).locator("td.patient")).to_have_text("–")
    page.mouse.up()
    expect(rows.nth(0).locator("td.patient")).to_have_text("7")


def test_a_place_of_the_bar_that_is_pressed_while_it_is_drawn_anew_is_opened(
    page: Page, news: Listening, served: Serve, ward: Path
) -> None:
    opened(page, served(ward))
    press(page, page.get_by_role("link", name="Learn"))
    news.again()
    drawn(page)
    page.mouse.up()
    expect(page.get_by_role("region", name="Models")).to_be_visible()


def test_a_button_for_what_is_chosen_keeps_the_focus(
    page: Page, news: Listening, served: Serve, ward: Path
) -> None:
    address = served(ward)
    rows = opened(page, address)
    for k in (0, 1):
        rows.nth(k).get_by_role("checkbox").check()
    page.get_by_role("button", name="Compare").focus()
    assert page.request.patch(f"{address}api/v1/recordings/1", data={"patient": "7"}).ok
    expect(rows.nth(0).locator("td.patient")).to_have_text("7")
    news.again()
    drawn(page)
    expect(page.get_by_role("button", name="Compare")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Comparison")).to_be_visible()


def test_the_language_is_the_one_that_was_chosen_last(page: Page, served: Serve, ward: Path) -> None:
    """German words come late, after English was chosen again."""
    opened(page, served(ward))
    late: list[Route] = []
    page.route("**/*.de.json", lambda route: late.append(route))
    language = page.get_by_label(re.compile("Language|Sprache"))
    language.select_option("de")
    until(lambda: page.wait_for_timeout(20) or len(late) == 3)
    language.select_option("en")
    for route in late:
        with page.expect_response(route.request.url) as response:
            route.continue_()
        response.value.finished()
    drawn(page)
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("heading", name="Recordings")).to_be_visible()


def test_a_correction_that_is_refused_after_it_waited_waits_no_more(
    page: Page, news: Listening, watch: Watch, served: Serve, ward: Path
) -> None:
    watch.allow(r"ERR_FAILED|status of 422")
    address = served(ward)
    opened(page, address)
    page.evaluate("localStorage.setItem('laennec.reader', 'Anna')")
    page.goto(f"{address}#/recording/1")
    status = page.locator(".edit-status")
    expect(status).to_have_text("All corrections are saved.")
    answers: list[Callable[[Route], None]] = [
        lambda route: route.abort(),
        lambda route: route.fulfill(status=422, json={"error": "no"}),
    ]
    page.route("**/edits", lambda route: answers.pop(0)(route))
    page.get_by_role("button", name="Mark as reviewed").click()
    expect(status).to_contain_text("1 correction waits")
    news.again()
    expect(page.get_by_role("alert")).to_have_text(re.compile("^no"))
    expect(status).to_have_text("All corrections are saved.")
