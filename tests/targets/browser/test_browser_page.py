"""The exported page: a file in, its answer out, served or from disk, by keys and on a narrow screen."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from laennec import analyze
from laennec.output.formats import to_json
from laennec.simulate import write_demo
from laennec.targets.web import words
from laennec.version import DISCLAIMER
from watching import Watch

READY_MS = 60_000
WORKER = """
import { load, readSound } from "./laennec.js";
onmessage = async ({ data }) => {
  const model = await load("recording.onnx", "recording.json");
  const { channels, rate, ...read } = await readSound(data);
  postMessage((await model.analyze(channels, rate, read)).events.length);
};
"""


@pytest.fixture(scope="module")
def crackles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder, seed=0)
    return folder / "fine_crackles.wav"


def opened(page: Page, path: Path) -> None:
    """Choose a file and wait for its answer."""
    page.locator("#file").set_input_files(path)
    expect(page.locator(".verdict")).to_be_visible(timeout=READY_MS)


def test_a_file_is_answered_shown_and_saved(ready: Page, crackles: Path, tmp_path: Path) -> None:
    assert ready.locator("body").inner_text().count(DISCLAIMER) == 1
    opened(ready, crackles)
    there = to_json(analyze(crackles))
    expect(ready.locator(".verdict")).to_contain_text(
        words("en")[f"label.{there['record']['label'].lower()}"]
    )
    rows = ready.locator("tr[data-event]")
    expect(rows).to_have_count(len(there["events"]))
    expect(ready.locator(".viewer-lanes .event")).to_have_count(len(there["events"]))
    rows.nth(1).get_by_role("button").click()
    expect(ready.locator(".viewer-lanes .event[aria-pressed=true]")).to_have_count(1)
    assert ready.locator(".viewer-spectrogram").evaluate("e => e.width") > 100
    with ready.expect_download() as saved:
        ready.get_by_role("button", name="Save the analysis").click()
    assert saved.value.suggested_filename == "fine_crackles.json"
    here = json.loads(Path(saved.value.path()).read_text(encoding="utf-8"))
    assert [event["label"] for event in here["events"]] == [event["label"] for event in there["events"]]


def test_nothing_is_asked_of_anybody_once_the_page_is_there(ready: Page, crackles: Path) -> None:
    asked: list[str] = []
    ready.on("request", lambda request: asked.append(request.url))
    opened(ready, crackles)
    assert [url for url in asked if not url.startswith(("blob:", "data:"))] == []


def test_a_policy_forbids_every_request_elsewhere(ready: Page, watch: Watch) -> None:
    watch.allow("Content Security Policy|Failed to fetch|request to another host")
    call = "fetch('http://127.0.0.2:9/').then(() => 'sent', () => 'refused')"
    assert ready.evaluate(call) == "refused"
    assert any("Content Security Policy" in fault for fault in watch.faults)


def test_a_wrong_file_is_one_sentence(ready: Page, tmp_path: Path) -> None:
    wrong = {
        "words.wav": (b"no sound at all", "not a sound file that this browser can decode"),
        "empty.wav": (b"", "empty, the file has 0 bytes"),
        "cut.wav": (
            b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01",
            "damaged, it ends in the middle of its header",
        ),
        "cut.flac": (b"fLaC\x80\x00\x00\x22", "a FLAC file"),
    }
    for name, (content, message) in wrong.items():
        (tmp_path / name).write_bytes(content)
        ready.locator("#file").set_input_files(tmp_path / name)
        expect(ready.locator("#status.error")).to_contain_text(f"{name}: {message}")


def test_the_page_is_open_to_all(ready: Page, crackles: Path, axe: Callable[[Page], list[str]]) -> None:
    assert axe(ready) == []
    opened(ready, crackles)
    assert axe(ready) == []
    ready.set_viewport_size({"width": 390, "height": 800})
    assert ready.evaluate("document.documentElement.scrollWidth") <= 390
    assert axe(ready) == []


def test_one_file_works_from_disk_without_a_network(
    context: BrowserContext, page: Page, site: Path, crackles: Path
) -> None:
    context.set_offline(True)
    page.goto((site / "laennec.html").as_uri())
    page.wait_for_selector("body[data-ready=true]", timeout=READY_MS)
    opened(page, crackles)
    expect(page.locator("tr[data-event]")).to_have_count(len(analyze(crackles).events))


def test_it_speaks_german(chromium: object, watch: Watch, address: str) -> None:
    context = chromium.new_context(locale="de-DE")  # type: ignore[attr-defined]
    page = watch.follow(context.new_page())
    page.goto(address)
    expect(page.locator("h1")).to_have_text("Lungengeräusche")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    context.close()


def test_the_module_runs_in_a_worker(ready: Page, site: Path, crackles: Path) -> None:
    (site / "worker.js").write_text(WORKER, encoding="utf-8")
    call = """(bytes) => new Promise((resolve, reject) => {
      const worker = new Worker("worker.js", { type: "module" });
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.postMessage(Uint8Array.from(bytes).buffer);
    })"""
    assert ready.evaluate(call, list(crackles.read_bytes())) == len(analyze(crackles).events)


def test_a_model_of_another_export_is_refused(ready: Page) -> None:
    call = """async () => {
      const { load } = await import("./laennec.js");
      return load("default.onnx", "recording.json").then(() => "loaded", (error) => error.message);
    }"""
    assert re.search("not the one that its JSON describes", ready.evaluate(call))
