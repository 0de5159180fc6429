"""Breath phases in a browser: the lane over the time axis, I:E, and when in a breath events are heard."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from chromium import drawn, expect_fit
from laennec import Recording, analyze
from laennec.analyze.analysis import Analysis, Breathing
from laennec.labels import PHASES
from laennec.output.formats import to_json
from laennec.output.page import write_report
from laennec.simulate import demo_recordings
from laennec.simulate.dataset import write_wav
from listening import Listening
from waiting import until
from watching import Watch

Serve = Callable[..., str]
Axe = Callable[[Page], list[str]]
NAME = "fine_crackles.wav"
UNKNOWN = Breathing(0, "model", False, "no whole breath was heard", 0.4)


@pytest.fixture(scope="module")
def crackles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Analysis]:
    """A folder with a simulated recording, and its analysis with the phases that it was made of."""
    folder = tmp_path_factory.mktemp("breaths")
    made = demo_recordings(0)["fine_crackles"]
    write_wav(folder / NAME, made.samples, made.sample_rate)
    spans = [
        span
        for breath in made.breaths
        for span in (
            (breath.start_s, breath.inspiration_end_s, PHASES[0]),
            (breath.inspiration_end_s, breath.expiration_end_s, PHASES[1]),
        )
    ]
    length_s = len(made.samples) / made.sample_rate
    inside = [(round(max(0.0, start), 2), round(min(end, length_s), 2), label) for start, end, label in spans]
    given = [span for span in inside if span[1] - span[0] > 0.05]
    return folder, analyze(folder / NAME, phases=given)


def within(box: Locator, area: Locator, phase: dict[str, Any], length_s: float) -> bool:
    """Whether a phase lies where the time axis has it, to two pixels."""
    own, whole = box.bounding_box(), area.bounding_box()
    assert own is not None
    assert whole is not None
    start = whole["x"] + whole["width"] * phase["start_s"] / length_s
    end = whole["x"] + whole["width"] * phase["end_s"] / length_s
    return abs(own["x"] - start) <= 2 and abs(own["x"] + own["width"] - end) <= 3


def is_above(box: Locator, other: Locator) -> bool:
    """Whether a box ends where another one begins."""
    own, below = box.bounding_box(), other.bounding_box()
    assert own is not None
    assert below is not None
    return own["y"] + own["height"] <= below["y"] + 1


def expect_lane(page: Page | Locator, told: dict[str, Any]) -> None:
    phases, length_s = told["breathing"][0]["phases"], told["recording"]["duration_s"]
    lane = page.get_by_role("list", name="Breath phases")
    boxes = lane.get_by_role("img")
    expect(boxes).to_have_count(len(phases))
    assert {phase["phase"] for phase in phases} == {"inspiration", "expiration", "pause"}
    for k, phase in enumerate(phases):
        span = f"{phase['start_s']:.2f} to {phase['end_s']:.2f} s"
        expect(boxes.nth(k)).to_have_attribute("aria-label", f"{phase['phase'].capitalize()}, {span}")
        until(partial(within, boxes.nth(k), lane, phase, length_s))
    shown = [(boxes.nth(k).inner_text(), phase["phase"].capitalize()) for k, phase in enumerate(phases)]
    assert all(name.startswith(words) for words, name in shown), shown
    assert sum(bool(words) for words, _ in shown) > len(shown) / 2, "not told by colour alone"
    until(lambda: is_above(lane, page.locator(".viewer-axis")))


def test_the_page_shows_phases_their_ratio_and_when_events_are_heard(
    page: Page, watch: Watch, served: Serve, axe: Axe, crackles: tuple[Path, Analysis]
) -> None:
    folder, analysis = crackles
    told = to_json(analysis)
    url = served(folder, phases=True)

    def with_given(route: Route) -> None:
        """What the server says, with phases that are known; the model's own are of no use in simulations."""
        row = route.fetch().json()
        if row["analysis"]:
            assert "breathing" in row["analysis"]
            row["analysis"] = told
        route.fulfill(json=row)

    page.route("**/api/v1/recordings/1", with_given)
    page.goto(f"{url}#/recording/1")
    expect_lane(page, told)
    expect(page.locator(".viewer-breathing")).to_contain_text("I:E 1:")
    expect(page.locator(".viewer-breathing")).to_contain_text("phases as given")
    expect(page.get_by_role("columnheader", name="In the breath")).to_be_visible()
    expect(page.locator("td.timing", has_text="inspiration").first).to_be_visible()
    assert axe(page) == []
    told["breathing"][0]["phases"][0]["probability"] = 0.87
    page.reload()
    expect(page.get_by_role("img", name="0.87 likely to be right")).to_have_count(1)
    page.set_viewport_size({"width": 390, "height": 800})
    expect_fit(page)
    assert axe(page) == []
    told["breathing"] = [vars(UNKNOWN) | {"phases": []}]
    page.get_by_label("Language").select_option("de")
    expect(page.locator(".viewer-breathing")).to_have_text(
        "Atemzüge: Phasen und I:E nicht bekannt (kein ganzer Atemzug war zu hören)"
    )
    expect(page.locator(".viewer-breaths")).to_be_hidden()


def test_two_recordings_and_two_readers_are_compared_by_breaths_too(
    page: Page, watch: Watch, served: Serve, axe: Axe, crackles: tuple[Path, Analysis], tmp_path: Path
) -> None:
    news = Listening(page)
    told = to_json(crackles[1])
    for name, recording in demo_recordings(0).items():
        write_wav(tmp_path / f"{name}.wav", recording.samples, recording.sample_rate)
    url = served(tmp_path, phases=True)
    page.goto(url)
    expect(page.locator("td.answer strong")).to_have_count(2)
    other = told | {"breathing": [vars(UNKNOWN) | {"phases": []}]}

    def with_given(route: Route) -> None:
        row = route.fetch().json()
        route.fulfill(json=row | {"analysis": other if row["id"] == 2 else told})

    page.route(re.compile(r"/api/v1/recordings/\d$"), with_given)
    page.goto(f"{url}#/compare/1/2")
    halves = page.locator(".compared")
    expect(halves.nth(0).locator(".viewer-breathing")).to_contain_text("I:E 1:")
    expect(halves.nth(1).locator(".viewer-breathing")).to_contain_text("(no whole breath was heard)")
    expect_lane(halves.nth(0), told)
    expect(page.get_by_role("columnheader", name="I:E")).to_be_visible()
    cells = page.locator(".facts tbody tr").get_by_role("cell", name=re.compile(r"^(1:\d\.\d|–)$"))
    shown = halves.nth(0).locator(".viewer-breathing").inner_text()
    assert f"I:E {cells.nth(0).inner_text()} (" in shown
    assert axe(page) == []

    edits = {
        "Anna": [{"kind": "add", "events": [{"start_s": 2.5, "end_s": 3.0, "label": "Wheeze"}]}],
        "Ben": [],
    }
    for reader, own in edits.items():
        assert page.request.post(f"{url}api/v1/readers", data={"name": reader}).ok
        path = f"{url}api/v1/recordings/1"
        state = page.request.get(f"{path}/events?reader={reader}").json()
        data = {"reader": reader, "edits": [*own, {"kind": "review"}], "revision": state["revision"]}
        assert page.request.post(f"{path}/edits", data=data).ok
    page.goto(f"{url}#/review")
    page.get_by_role("button", name="Play fine_crackles.wav").click()
    seen = page.get_by_role("region", name="The disagreement in its recording")
    expect(seen.locator(".viewer-names > span")).to_have_text(["Anna", "Ben"])
    expect(seen.get_by_role("button", name="Wheeze, 2.50 to 3.00 s")).to_have_attribute(
        "aria-pressed", "true"
    )
    expect(seen.get_by_role("list", name="Breath phases").get_by_role("img").nth(1)).to_be_visible()
    expect(seen.locator(".viewer-breathing")).to_contain_text("I:E 1:")
    expect(seen.get_by_role("button", name="Loop")).to_have_attribute("aria-pressed", "true")
    with page.expect_response("**/api/v1/agreement?**") as response:
        news.again()
    response.value.finished()
    drawn(page)
    assert seen.is_visible(), "what is heard stays when the page asks anew"
    expect(page.locator(".disagreements tr[aria-current=true]")).to_have_count(1)
    assert axe(page) == []
    page.set_viewport_size({"width": 390, "height": 800})
    expect_fit(page)
    page.get_by_label("Layer").select_option("phases")
    expect(seen).to_be_hidden()


def test_a_report_has_the_same_lane(
    page: Page, watch: Watch, axe: Axe, crackles: tuple[Path, Analysis], tmp_path: Path
) -> None:
    watch.allow(r"another host: file:.*/breaths\.html")
    folder, analysis = crackles
    write_report(analysis, Recording.open(folder / NAME, NAME), tmp_path / "breaths.html")
    page.goto((tmp_path / "breaths.html").as_uri(), wait_until="commit")
    expect_lane(page, to_json(analysis))
    expect(page.locator(".viewer-breathing")).to_contain_text("I:E 1:")
    expect(page.locator("tr[data-event]", has_text="inspiration").first).to_be_visible()
    assert axe(page) == []
    page.emulate_media(media="print")
    printed = page.get_by_role("group", name="Breath phases").locator(".event")
    assert analysis.breathing is not None
    expect(printed).to_have_count(len(analysis.breathing[0].phases))
    expect(printed.first).to_be_visible()
    expect(page.locator("p.still")).to_contain_text("I:E 1:")
