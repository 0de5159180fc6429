"""News in a browser, when they come before, between or after the answers of the server."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import APIResponse, Page, Route, expect

from listening import Listening
from waiting import until

Serve = Callable[..., str]


class Held:
    """Requests of a page that are held until they are let go."""

    def __init__(self, page: Page, address: str | re.Pattern[str], is_answered: bool = False) -> None:
        self._page, self._is_answered, self._is_over = page, is_answered, False
        self._waiting: list[tuple[Route, APIResponse | None]] = []
        page.route(address, self._take)

    def _take(self, route: Route) -> None:
        if self._is_over:
            route.continue_()
            return
        answer = route.fetch() if self._is_answered else None
        if self._is_over:  # let go while the server answered
            self._let_go(route, answer)
        else:
            self._waiting.append((route, answer))

    def wait(self) -> None:
        """Until the page has asked, and where it is to be answered late, the server has answered."""
        until(lambda: self._page.wait_for_timeout(20) or self._waiting)

    def go(self) -> None:
        """Let the page have what it asked for, and hold no more."""
        self._is_over = True
        for route, answer in self._waiting:
            self._let_go(route, answer)

    def _let_go(self, route: Route, answer: APIResponse | None) -> None:
        if answer is None:
            route.continue_()
        else:
            route.fulfill(response=answer)


def add(page: Page, address: str, path: Path, name: str) -> int:
    """Send a recording as a program does, and wait for its answer; its number."""
    sent = page.request.post(f"{address}api/v1/recordings?name={name}", data=path.read_bytes())
    assert sent.ok
    number = int(sent.json()["id"])

    def state() -> Any:
        return page.request.get(f"{address}api/v1/recordings/{number}").json()["state"]

    until(lambda: state() == "done")
    return number


def describe(page: Page, address: str, number: int, **known: Any) -> None:
    assert page.request.patch(f"{address}api/v1/recordings/{number}", data=known).ok


@pytest.fixture
def news(page: Page) -> Listening:
    return Listening(page)


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    folder = tmp_path / "ward"
    folder.mkdir()
    return folder


def test_what_happens_before_the_first_news_is_shown(
    page: Page, served: Serve, demo_sounds: list[Path], ward: Path
) -> None:
    """The list was answered, the page does not listen yet, and a recording comes and is analysed."""
    address = served(ward)
    held = Held(page, "**/api/v1/activity")
    page.goto(address)
    expect(page.get_by_role("heading", name="No recordings yet")).to_be_visible()
    add(page, address, demo_sounds[0], "a.wav")
    held.go()
    expect(page.locator("td.answer strong")).to_be_visible()


def test_a_list_that_comes_late_takes_nothing_back(
    page: Page, news: Listening, served: Serve, demo_sounds: list[Path], ward: Path
) -> None:
    """The list is made, a recording changes, another one comes, and only then the list arrives."""
    address = served(ward)
    number = add(page, address, demo_sounds[0], "a.wav")
    page.goto(address)
    rows = page.locator("tbody tr[data-id]")
    expect(rows).to_have_count(1)
    lists = Held(page, "**/api/v1/recordings", is_answered=True)
    page.reload()
    lists.wait()
    news.wait()
    other = add(page, address, demo_sounds[1], "b.wav")
    describe(page, address, number, patient="7")
    expect(rows.filter(has_text="a.wav").locator("td.patient")).to_have_text("7")
    lists.go()
    describe(page, address, other, patient="8")  # once this is seen, the list has come
    expect(rows.filter(has_text="b.wav").locator("td.patient")).to_have_text("8")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="a.wav").locator("td.patient")).to_have_text("7")
    expect(page.locator("td.answer strong")).to_have_count(2)


@pytest.mark.parametrize("view", ["recording/1", "compare/1/2", "patient/7"])
def test_views_have_news_that_come_before_their_first_answer(
    page: Page, news: Listening, served: Serve, demo_sounds: list[Path], ward: Path, view: str
) -> None:
    address = served(ward)
    for sound, name in zip(demo_sounds, ("a.wav", "b.wav"), strict=True):
        number = add(page, address, sound, name)
        describe(page, address, number, patient="7", position="trachea")
    page.goto(address)
    expect(page.locator("td.answer strong")).to_have_count(2)
    answers = Held(page, re.compile(r"/api/v1/recordings(/\d)?$"), is_answered=True)
    page.goto(f"{address}#/{view}")
    answers.wait()
    news.begin("recording")
    describe(page, address, 1, age_years=61, position="left-anterior", patient="7")
    news.end()
    answers.go()
    expect(page.locator("main")).to_contain_text(re.compile("61|Left anterior"))


def test_a_correction_of_another_window_that_comes_while_one_is_saved_is_shown(
    page: Page, news: Listening, served: Serve, demo_sounds: list[Path], ward: Path
) -> None:
    address = served(ward)
    number = add(page, address, demo_sounds[0], "a.wav")
    page.goto(address)
    page.evaluate("localStorage.setItem('laennec.reader', 'Anna')")
    page.goto(f"{address}#/recording/{number}")
    events = page.locator(".viewer-lanes button.event")
    expect(page.locator(".edit-status")).to_have_text("All corrections are saved.")
    expect(events.first).to_be_visible()  # drawn in the next frame
    count = events.count()
    saved = Held(page, "**/edits", is_answered=True)
    events.first.click()
    page.keyboard.press("Delete")
    saved.wait()
    other = {"kind": "add", "events": [{"start_s": 0.1, "end_s": 0.3, "label": "Wheeze"}]}
    news.begin("edits")
    place = f"{address}api/v1/recordings/{number}"
    revision = page.request.get(f"{place}/events?reader=Anna").json()["revision"]
    body = {"reader": "Anna", "revision": revision, "edits": [other]}
    assert page.request.post(f"{place}/edits", data=body).ok
    news.end()
    saved.go()
    expect(page.locator('.event[data-status="added"]')).to_have_count(1)
    expect(events).to_have_count(count)
    expect(page.locator(".edit-status")).to_have_text("All corrections are saved.")
