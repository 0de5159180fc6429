"""States of the page in a browser: German, a failed file, an analysis stopped, offline, dropped, on paper."""

import base64
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, Route, expect

from chromium import drawn, expect_fit
from watching import AWAY, Watch

Serve = Callable[..., str]
Axe = Callable[[Page], list[str]]
# A drop of a folder, as a browser has it: files are read from entries, and a folder gives some at a time.
DROP = """async (sounds) => {
  const files = sounds.map(([name, data]) =>
    new File([Uint8Array.from(atob(data), (byte) => byte.charCodeAt(0))], name));
  const entry = (file) => ({ isFile: true, isDirectory: false, file: (take) => take(file) });
  const folder = (entries) => ({ isDirectory: true, createReader: () => {
    const left = [...entries];
    return { readEntries: (take) => take(left.splice(0, 1)) };
  } });
  const inner = folder(files.slice(1).map(entry));
  const dropped = folder([entry(files[0]), inner]);
  const event = new Event("drop", { bubbles: true, cancelable: true });
  const items = [{ kind: "file", webkitGetAsEntry: () => dropped }];
  event.dataTransfer = { types: ["Files"], files: [], items };
  window.dispatchEvent(event);
}"""


def encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def crackles(sounds: list[Path]) -> Path:
    return next(path for path in sounds if "crackles" in path.name)


def test_everything_is_german_on_a_german_page(
    page: Page, served: Serve, axe: Axe, demo_sounds: list[Path], tmp_path: Path
) -> None:
    shutil.copy(crackles(demo_sounds), tmp_path / "crackles.wav")
    (tmp_path / "empty.wav").write_bytes(b"")
    page.add_init_script("localStorage.setItem('laennec.language', 'de')")
    url = served(tmp_path)
    page.goto(url)
    failed = page.locator("tr.failed")
    expect(failed).to_contain_text("leer, die Datei hat 0 Bytes")
    expect(page.locator("tr.done td.answer")).to_contain_text(re.compile(r"DAS 0,\d\d"))
    failed.get_by_role("link", name="empty.wav").click()
    expect(page.locator(".recording-answer .notice")).to_have_text("leer, die Datei hat 0 Bytes")
    expect(page.locator(".recording-answer")).to_contain_text("Kopieren Sie sie noch einmal")
    expect(page.locator(".viewer")).to_have_count(0)  # and no error in the console, which `watch` sees
    page.goto(f"{url}#/recording/1")
    expect(page.locator(".reasons")).to_contain_text(
        re.compile(r"\d+ Ereignisse gefunden: \d+ Feines Rasseln")
    )
    expect(page.locator(".viewer-clock")).to_have_text(re.compile(r"^0,0 / \d+,\d$"))
    expect(page.locator(".viewer-lanes .event").first).to_have_attribute(
        "aria-label", re.compile(r"Feines Rasseln.* \d+,\d\d bis \d+,\d\d s")
    )
    expect(page.locator(".viewer-axis span").first).to_have_text("0")
    page.locator("body").press("Shift+?")
    keys = page.get_by_role("dialog")
    expect(keys).to_contain_text("Umschalt ←")
    expect(keys).to_contain_text("Leertaste")
    expect(keys).to_contain_text("Bild auf")
    assert axe(page) == []


def test_sentences_of_the_server_become_german(page: Page, served: Serve, tmp_path: Path) -> None:
    page.add_init_script("localStorage.setItem('laennec.language', 'de')")
    page.goto(served(tmp_path))
    expect(page.locator("main h1")).to_be_visible()
    told = page.evaluate(
        "async (all) => { const { sentence } = await import('/sentences.js'); return all.map(sentence); }",
        [
            "truncated: the header promises 6,240,000 bytes of audio, the file holds 5,615,995",
            "channel 1 clipped: 1.63% of samples",
            "of 5 stretches of about 15 s: 3 Normal, 1 CAS, 1 refused (sounds like speech, not like a lung)",
            "Wheeze, 1.00 to 2.80 s, overlaps Fine Crackle, 2.50 to 3.00 s",
            "the new answer is not kept, and this is the earlier one: laennec.sqlite: the disk is full, so "
            "nothing was kept; make room, and try again",
            "a sentence that nobody has foreseen",
        ],
    )
    assert told == [
        "abgeschnitten: laut Kopf 6.240.000 Bytes Ton, in der Datei 5.615.995",
        "Kanal 1: übersteuert: 1,63\u00a0% der Abtastwerte",
        "von 5 Abschnitten von etwa 15 s: 3 Normal, 1 CAS, 1 ohne Ergebnis (klingt nach Sprache, nicht nach "
        "Lunge)",
        "Giemen, 1,00 bis 2,80 s, überlappt Feines Rasseln, 2,50 bis 3,00 s",
        "das neue Ergebnis ist nicht gespeichert, dies ist das frühere: laennec.sqlite: der Datenträger ist "
        "voll, nichts wurde gespeichert; Platz schaffen und noch einmal versuchen",
        "a sentence that nobody has foreseen",
    ]


def test_an_analysis_is_stopped_and_begun_again(
    page: Page, served: Serve, demo_sounds: list[Path], tmp_path: Path
) -> None:
    """With the server's answers as if the analysis had just begun, which a browser seldom sees in time."""
    shutil.copy(crackles(demo_sounds), tmp_path / "a.wav")
    url = served(tmp_path)
    page.goto(url)
    row = page.locator("tbody tr[data-id]")
    expect(row).to_have_class("done")
    told = {
        "state": "running",
        "progress": 0.3,
    }  # in place of what the server says; the page may ask at any time
    asked: list[str] = []

    def answer(route: Route) -> None:
        kind = route.request.url.rpartition("/")[2]
        asked.append(kind)
        if kind == "cancel":
            told["state"] = "cancelled"
        elif kind == "analyze":
            told.clear()
        said = route.fetch().json()
        for each in said.get("recordings", [said]):
            each |= told
        route.fulfill(json=said)

    page.route(re.compile("/api/v1/recordings(/1/(cancel|analyze))?$"), answer)
    page.reload()
    expect(row.get_by_role("progressbar")).to_be_visible()
    row.get_by_role("button", name="Stop").click()
    expect(row).to_have_class("cancelled")
    assert "cancel" in asked
    row.get_by_role("button", name="Analyse again").click()
    expect(row).to_have_class("done")
    expect(row.locator("td.answer")).to_contain_text("DAS")


def test_a_folder_is_dropped_and_what_is_no_sound_left_out(
    page: Page, served: Serve, demo_sounds: list[Path], tmp_path: Path
) -> None:
    ward = tmp_path / "ward"
    ward.mkdir()
    page.goto(served(ward))
    expect(page.get_by_role("heading", name="No recordings yet")).to_be_visible()
    notes = tmp_path / "notes.txt"
    notes.write_text("no sound")
    page.evaluate(DROP, [[path.name, encoded(path)] for path in (demo_sounds[0], notes, demo_sounds[1])])
    expect(page.get_by_text("1 file that is no sound was left out.")).to_be_visible()
    expect(page.locator("tbody tr[data-id]")).to_have_count(2)
    assert len(list((ward / "uploads").iterdir())) == 2


def test_a_server_that_is_away_is_told_until_it_is_back(
    page: Page, watch: Watch, served: Serve, tmp_path: Path
) -> None:
    watch.allow(AWAY)
    page.goto(served(tmp_path))
    expect(page.locator("main h1")).to_be_visible()
    bar = page.locator(".offline")
    expect(bar).to_be_hidden()
    page.context.set_offline(True)
    page.evaluate("dispatchEvent(new Event('online'))")  # it connects anew, which cannot be
    expect(bar).to_contain_text("No connection to the server")
    page.context.set_offline(False)
    expect(bar).to_be_hidden()


def test_the_end_of_a_long_name_is_seen(
    page: Page, served: Serve, demo_sounds: list[Path], tmp_path: Path
) -> None:
    long = "a ward with a name that goes on and on and on and on"
    for number in (1, 2):
        shutil.copy(demo_sounds[number - 1], tmp_path / f"{long} {number}.wav")
    page.set_viewport_size({"width": 1280, "height": 700})
    page.goto(served(tmp_path))
    links = page.locator("td.name a")
    expect(links).to_have_count(2)
    expect(links.first).to_have_text(f"{long} 1.wav")
    expect(page.locator("td.answer strong")).to_have_count(2)  # until then rows are drawn anew
    for number in (0, 1):
        cell, end = (links.nth(number).bounding_box(), links.nth(number).locator("span").last.bounding_box())
        assert cell
        assert end
        assert end["x"] + end["width"] <= cell["x"] + cell["width"] + 1
        start = links.nth(number).locator(".start")
        assert start.evaluate("(each) => each.scrollWidth > each.clientWidth")


def test_paper_has_the_picture_and_cuts_nothing(
    page: Page, served: Serve, demo_sounds: list[Path], tmp_path: Path
) -> None:
    ward = tmp_path / "ward"
    ward.mkdir()
    shutil.copy(crackles(demo_sounds), ward / "crackles.wav")
    url = served(ward)
    page.goto(url)
    expect(page.locator("td.answer strong")).to_be_visible()
    page.evaluate("localStorage.setItem('laennec.reader', 'Anna')")
    page.goto(f"{url}#/recording/1")
    expect(page.locator(".viewer-lanes .event").first).to_be_visible()
    expect(page.locator(".recording-events tbody tr").first).to_be_visible()
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 688, "height": 971})  # A4 without its margins, at 96 dots an inch
    expect_fit(page)
    drawn(page)
    for part in (".viewer-canvases", ".recording-events table", ".recording-answer"):
        box = page.locator(part).bounding_box()
        assert box, part
        assert box["x"] >= 0, part
        assert box["x"] + box["width"] <= 688, part
        hidden = page.locator(part).evaluate(
            "(each) => each.scrollWidth > each.clientWidth + 1 || each.scrollHeight > each.clientHeight + 1"
        )
        assert not hidden, part
    box = page.locator(".recording-events .wide").evaluate("(each) => [each.scrollHeight, each.clientHeight]")
    assert box[0] <= box[1] + 1, "all events are on paper"
    assert page.locator(".edit").is_hidden()
    pdf = tmp_path / "page.pdf"
    page.pdf(path=pdf, prefer_css_page_size=True)
    content = pdf.read_bytes()
    assert content.count(b"/Type /Page\n") <= 3
    sizes = [int(size) for size in re.findall(rb"/Width (\d+)", content)]
    assert max(sizes, default=0) > 400, "the spectrogram is a picture in it"


def test_a_model_for_clips_says_so_before_anything_is_begun(
    page: Page, served: Serve, axe: Axe, tmp_path: Path
) -> None:
    page.goto(served(tmp_path, model="default"))
    page.get_by_role("button", name=re.compile("Model: ")).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="For clips")).to_be_visible()
    expect(dialog).to_contain_text("give no answer for the whole")
    assert axe(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Record", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="is for clips")).to_be_visible()
    expect(page.get_by_role("button", name="Allow the microphone")).to_be_hidden()
    page.evaluate("localStorage.setItem('laennec.reader', 'Anna')")
    headers = {"Content-Type": "application/json"}
    readers = f"{page.url.partition('#')[0]}api/v1/readers"
    page.request.post(readers, data=json.dumps({"name": "Anna"}), headers=headers)
    page.reload()
    page.get_by_role("link", name="Learn").click()
    train = page.get_by_role("region", name="Train on my corrections")
    expect(train).to_contain_text("is for clips")
    expect(train.get_by_role("button", name="Train")).to_be_disabled()


def test_learnt_enough_is_said_as_such(page: Page, served: Serve, tmp_path: Path) -> None:
    page.goto(served(tmp_path))
    expect(page.locator("main h1")).to_be_visible()
    words = page.evaluate(
        """async () => {
          const { towards } = await import('/learn/figures.js');
          return [129, 50, 7].map((have) => towards('x', have, 50).textContent);
        }"""
    )
    assert words == ["x129 (50 are enough)", "x50 of 50", "x7 of 50"]
