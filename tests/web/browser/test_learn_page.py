"""Learn, in a browser: a recording is added, corrected and exported, and the model learnt from it answers."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

sys.path.insert(0, str(Path(__file__).parents[1]))
from learn_folder import LEARNT_S, READER, labelled_folder

from chromium import expect_fit
from laennec.model.load import load_model

Serve = Callable[..., str]
Axe = Callable[[Page], list[str]]
ALL_BY_WARD = """async () => {
  const { recordings } = await (await fetch('api/v1/recordings')).json();
  return recordings.length && recordings.every((row) => row.state === 'done' && row.model.name === 'ward');
}"""


def corrected(page: Page, address: str, sound: Path) -> None:
    """Add a recording, correct it once it is analysed, reload, and export what was corrected."""
    page.goto(address)
    page.get_by_label("Add recordings").last.set_input_files(sound)
    row = page.locator("tbody tr[data-id]").filter(has_text=sound.name)
    expect(row.locator("td.answer")).to_contain_text("DAS")
    page.goto(f"{address}#/recording/{row.get_attribute('data-id')}")
    events = page.locator(".viewer-lanes button.event")
    events.first.click()
    page.get_by_role("button", name="Rhonchi").click()
    page.get_by_role("button", name="Mark as reviewed").click()
    expect(page.locator(".edit-status")).to_have_text("All corrections are saved.")
    page.reload()
    expect(page.get_by_role("button", name="Reviewed", exact=True)).to_be_visible()
    expect(events.first).to_have_accessible_name(re.compile("Rhonchi"))
    page.get_by_role("button", name="Label files").click()
    page.get_by_role("dialog").get_by_label("Format").select_option("sprsound")
    with page.expect_download() as download:
        page.get_by_role("button", name="Write", exact=True).click()
    written = json.loads(download.value.path().read_text())
    assert "Rhonchi" in [event["type"] for event in written["event_annotation"]]
    page.keyboard.press("Escape")


@pytest.mark.slow
def test_corrections_become_a_model_that_answers(
    page: Page, served: Serve, axe: Axe, demo_sounds: list[Path], tmp_path: Path
) -> None:
    folder = labelled_folder(tmp_path / "ward")
    address = served(folder)
    page.goto(f"{address}#/learn")
    expect(page.get_by_text("Choose a reader above").first).to_be_visible()
    assert axe(page) == []
    page.evaluate(f"localStorage.setItem('laennec.reader', '{READER}')")
    corrected(page, address, next(path for path in demo_sounds if "crackles" in path.name))
    page.goto(f"{address}#/learn")
    train = page.get_by_role("region", name="Train on my corrections")
    expect(train.get_by_text("10 of 10")).to_be_visible()
    train.get_by_role("button", name="Train").click()
    expect(train.get_by_role("button", name="Stop")).to_be_visible()
    expect(train.get_by_role("heading", name="New model ward")).to_be_visible(timeout=1000 * LEARNT_S)
    expect(train.get_by_role("row", name="Probability given to the label")).to_be_visible()
    models = page.get_by_role("region", name="Models")
    models.get_by_text("What it is worth", exact=True).click()
    expect(models.get_by_text("Events found, and labelled")).to_be_visible()
    assert axe(page) == []
    expect_fit(page)
    page.set_viewport_size({"width": 390, "height": 844})
    expect_fit(page)
    models.get_by_role("button", name="Use ward").click()
    page.get_by_role("dialog").get_by_role("button", name="Use").click()
    expect(models.get_by_text("in use", exact=True)).to_be_visible()
    page.wait_for_function(ALL_BY_WARD, timeout=1000 * LEARNT_S)
    (file,) = (folder / "models").glob("*.onnx")
    assert load_model(file).card.name == "ward"
