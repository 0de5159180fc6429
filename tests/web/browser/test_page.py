"""The page as a whole, in a browser."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from chromium import expect_fit
from laennec.web.database import FILE
from waiting import until
from watching import Watch

Serve = Callable[..., str]
Axe = Callable[[Page], list[str]]
# Rows become higher, as they do in a narrower window.
HIGHER = """() => {
  const style = new CSSStyleSheet();
  style.replaceSync("table.recordings td { height: 9em; }");
  document.adoptedStyleSheets = [style];
  dispatchEvent(new Event("resize"));
}"""
MOST_WORK_S = 2.0  # of a processor, until the first of thousands of rows is shown; most often 0.3


def width(element: Locator) -> float:
    box = element.bounding_box()
    assert box is not None
    return box["width"]


def middle(element: Locator) -> float:
    box = element.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2


def test_recordings_are_added_and_analysed_and_a_broken_one_stops_none(
    page: Page, watch: Watch, served: Serve, axe: Axe, demo_sounds: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "ward"
    folder.mkdir()
    page.goto(served(folder))
    expect(page.get_by_role("heading", name="No recordings yet")).to_be_visible()
    expect(page.locator(".folder")).to_have_text("ward")
    assert axe(page) == []
    broken = tmp_path / "broken.wav"
    broken.write_bytes(demo_sounds[0].read_bytes()[:30])
    page.get_by_label("Add recordings").last.set_input_files([broken, *demo_sounds])
    rows = page.locator("tbody tr[data-id]")
    expect(rows).to_have_count(3)
    expect(rows.filter(has_text="broken.wav")).to_have_class("failed")
    expect(rows.filter(has_text="broken.wav").locator(".failure")).to_contain_text("failed")
    expect(rows.filter(has_text="fine_crackles.wav").locator("td.answer")).to_contain_text("DAS 0.")
    expect(rows.filter(has_text="wheezes.wav").locator("td.events")).to_contain_text("W ")
    assert axe(page) == []
    assert (folder / FILE).exists()
    page.reload()
    expect(rows.filter(has_text="fine_crackles.wav").locator("td.answer")).to_contain_text("DAS 0.")
    page.get_by_label("Language").select_option("de")
    expect(page.get_by_role("heading", name="Aufnahmen")).to_be_visible()
    expect(rows.filter(has_text="broken.wav")).to_contain_text("fehlgeschlagen")
    page.emulate_media(color_scheme="dark")
    assert axe(page) == []
    for width in (390, 640):  # a phone; 1280 pixels at 200 %
        page.set_viewport_size({"width": width, "height": 800})
        expect_fit(page)
        assert axe(page) == [], width


def test_list_by_keyboard_alone(page: Page, served: Serve, demo_sounds: list[Path], tmp_path: Path) -> None:
    for name in ("101_1b1_Al_sc_Meditron", "101_1b1_Ar_sc_Meditron", "102_1b1_Tc_sc_Meditron", "x"):
        shutil.copy(demo_sounds[name == "x"], tmp_path / f"{name}.wav")
    page.goto(served(tmp_path))
    rows = page.locator("tbody tr[data-id]")
    expect(rows).to_have_count(4)
    keys = page.keyboard
    keys.press("ArrowDown")  # into the table
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight", "Enter"):
        keys.press(key)
    expect(page.get_by_label("Patient: x.wav")).to_be_focused()
    keys.type("7")
    keys.press("Enter")
    expect(rows.last.locator("td.patient")).to_have_text("7")
    expect(rows.last.locator("td.patient")).to_be_focused()
    for key in ("ArrowRight", "Enter"):
        keys.press(key)
    keys.type("4.5")
    keys.press("Escape")
    expect(rows.last.locator("td.age_years")).to_have_text("–")

    keys.press("/")
    keys.type("102")
    expect(rows).to_have_count(1)
    expect(page.locator(".shown")).to_have_text("1 of 4")
    page.get_by_role("button", name="Show all").press("Enter")
    expect(rows).to_have_count(4)
    page.get_by_label("Position").select_option("left-anterior")
    expect(rows.locator("td.name")).to_have_text(["101_1b1_Al_sc_Meditron.wav"])
    page.get_by_role("button", name="Show all").press("Enter")
    page.get_by_role("button", name="Patient", exact=True).press("Enter")
    expect(page.locator("td.patient")).to_have_text(["7", "101", "101", "102"])
    page.get_by_role("button", name="Patient", exact=True).press("Enter")
    expect(page.locator("td.patient")).to_have_text(["102", "101", "101", "7"])
    expect(page.locator("th.patient")).to_have_attribute("aria-sort", "descending")

    page.locator('td[tabindex="0"]').focus()
    for key in ("Home", "Space", "ArrowUp", "Space"):
        keys.press(key)
    page.get_by_role("button", name="Compare").press("Enter")
    expect(page.get_by_role("heading", name="Comparison")).to_be_visible()


def zoomed(ticks: list[Locator]) -> bool:
    """Whether two axes have the same times, in tenths; they are drawn in the next frame."""
    one, other = (each.all_text_contents() for each in ticks)
    return one == other and "." in "".join(one[:1])


def test_patient_on_the_chest_and_two_recordings_compared(
    page: Page, served: Serve, axe: Axe, demo_sounds: list[Path], tmp_path: Path
) -> None:
    crackles, wheezes = demo_sounds
    for name, sound in {"Pl": crackles, "Pr": wheezes, "Tc": wheezes}.items():
        shutil.copy(sound, tmp_path / f"101_{name}1_{name}_sc_Meditron.wav")
    page.goto(served(tmp_path))
    expect(page.locator("td.answer strong")).to_have_count(3)
    page.get_by_role("link", name="Chest of patient 101").first.click()
    left = page.get_by_role("button", name="Left posterior: DAS")
    expect(left).to_be_visible()
    back_x, left_x = (middle(each) for each in (page.locator(".drawing").nth(1), left))
    assert left_x < back_x, "seen from behind, left of the spine"
    assert middle(page.get_by_role("button", name="Trachea")) == pytest.approx(
        middle(page.locator(".drawing").first), abs=2
    )
    left.press("Enter")
    expect(page.get_by_role("heading", name="Left posterior")).to_be_visible()
    expect(page.get_by_role("button", name="Pause: 101_Pl1_Pl_sc_Meditron.wav")).to_be_visible()
    assert axe(page) == []
    page.set_viewport_size({"width": 390, "height": 800})
    expect_fit(page)
    page.set_viewport_size({"width": 1280, "height": 800})

    page.get_by_role("link", name="Compare Left posterior and Right posterior").click()
    expect(page.locator(".compared .viewer")).to_have_count(2)
    rows = page.locator(".facts tbody tr")
    expect(rows.nth(0)).to_contain_text(re.compile(r"DAS.*7 \(28 a minute\)"))
    expect(rows.nth(1)).to_contain_text("CAS")
    expect(rows.nth(1)).to_contain_text(re.compile(r"CAS.*10 \(40 a minute\)"))
    zoom = page.locator(".compared").nth(0).get_by_role("button", name="Zoom in")
    zoom.click()
    ticks = [page.locator(".compared").nth(k).locator(".viewer-axis span:visible") for k in (0, 1)]
    until(lambda: zoomed(ticks))
    page.keyboard.press("x")
    expect(page.locator(".compared").nth(0).get_by_role("button", name="Pause")).to_be_visible()
    page.keyboard.press("x")
    expect(page.locator(".compared").nth(1).get_by_role("button", name="Pause")).to_be_visible()
    expect(page.locator(".compared").nth(0).get_by_role("button", name="Pause")).to_have_count(0)
    assert axe(page) == []
    page.goto(page.url.split("#")[0] + "#/recording/1")
    expect(page.locator(".viewer-lanes .event").first).to_be_visible()
    page.emulate_media(media="print")
    plot, picture = (page.locator(f".viewer-{part}") for part in ("plot", "canvases"))
    until(lambda: width(picture) > 0.8 * width(plot))  # on paper the picture is as wide as on the screen


def test_thousands_of_recordings(page: Page, served: Serve, tmp_path: Path) -> None:
    row = {
        **dict.fromkeys(("error", "position", "age_years", "sex", "device", "model")),
        "path": "a",
        "state": "done",
        "progress": 1,
        "duration_s": 9.2,
        "sample_rate": 8000,
        "channels": 1,
        "quality": [],
        "counts": {"Wheeze": 2},
        "uncertain_events": 0,
        "least_certain": 0.5,
        "reviewed": [],
    }
    record = {"label": "CAS", "probability": 0.9, "uncertain": False, "refused": None, "heard_as": None}
    rows = [
        row | {"id": k, "name": f"r{k}.wav", "patient": str(k // 4), "record": record} for k in range(5000)
    ]

    def answer(route: Route) -> None:
        route.fulfill(body=json.dumps({"recordings": rows}), content_type="application/json")

    page.route("**/api/v1/recordings", answer)
    shown = page.locator("tbody tr[data-id]")
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})  # whatever else runs on this computer
    page.goto(served(tmp_path))
    expect(shown.first).to_contain_text("r0.wav")
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    assert 0 < metrics["TaskDuration"] < MOST_WORK_S
    assert shown.count() < 60
    page.goto(f"{page.url}#/elsewhere")
    expect(page.get_by_text("There is no such page.")).to_be_visible()
    page.get_by_role("link", name="All recordings").click()
    expect(shown.first).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Control+End")
    expect(page.locator("tr[data-id='4999'] td:focus")).to_be_visible()
    assert shown.count() < 60
    page.evaluate(HIGHER)
    page.wait_for_function("document.querySelector('tr[data-id]').offsetHeight > 100")
    expect(page.locator("tr[data-id='4999'] td:focus")).to_be_in_viewport()
    page.get_by_label("Search").fill("r4321")
    expect(shown).to_have_count(1)
    expect(shown.first).to_be_in_viewport()
