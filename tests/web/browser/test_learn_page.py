"""Learn, in a browser: a reader's corrections become a model, which then answers."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

sys.path.insert(0, str(Path(__file__).parents[1]))
from learn_folder import LEARNT_S, READER, labelled_folder

from laennec.model.load import load_model

Serve = Callable[..., str]
Axe = Callable[[Page], list[str]]
ALL_BY_WARD = """async () => {
  const { recordings } = await (await fetch('api/v1/recordings')).json();
  return recordings.length && recordings.every((row) => row.state === 'done' && row.model.name === 'ward');
}"""


@pytest.mark.slow
def test_corrections_become_a_model_that_answers(page: Page, served: Serve, axe: Axe, tmp_path: Path) -> None:
    folder = labelled_folder(tmp_path / "ward")
    page.goto(f"{served(folder, warm=False)}#/learn")
    expect(page.get_by_text("Choose a reader above").first).to_be_visible()
    assert axe(page) == []
    page.evaluate(f"localStorage.setItem('laennec.reader', '{READER}')")
    page.reload()
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
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    models.get_by_role("button", name="Use ward").click()
    page.get_by_role("dialog").get_by_role("button", name="Use").click()
    expect(models.get_by_text("in use", exact=True)).to_be_visible()
    page.wait_for_function(ALL_BY_WARD, timeout=1000 * LEARNT_S)
    (file,) = (folder / "models").glob("*.onnx")
    assert load_model(file).card.name == "ward"
