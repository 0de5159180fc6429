"""The page as a whole, in a browser."""

import shutil
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect
from watching import Watch

from laennec.web.database import FILE

Serve = Callable[..., str]
Axe = Callable[[Page], list[str]]


def is_too_wide(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


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
        assert not is_too_wide(page), width
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
