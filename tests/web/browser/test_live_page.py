"""Recording in the page, from a file in place of a microphone.

With LAENNEC_SHOTS, a folder, pictures of it are left there.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, BrowserType, Page, Route, expect

from laennec import Recording, analyze
from waiting import until
from watching import Watch

RATE = 48_000  # what Chromium's file in place of a microphone is played at
SHADES = """() => {
  const canvas = document.querySelector(".moving");
  const picture = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height - 60);
  return new Set(picture.data).size;
}"""
# Whatever happens every second happens when the test says so; `second()` returns how many things that were.
BY_HAND = """() => {
  const [set, clear, waiting] = [window.setInterval, window.clearInterval, new Map()];
  window.setInterval = (run, ms) => {
    if (ms !== 1000) return set(run, ms);
    waiting.set(-1 - waiting.size, run);
    return -waiting.size;
  };
  window.clearInterval = (id) => waiting.delete(id) || clear(id);
  window.second = () => {
    const due = [...waiting.values()];
    for (const run of due) run();
    return due.length;
  };
}"""
# Inputs that are opened from now on are there when the test says so.
LATE = """() => {
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  window.open = [];
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await open(wanted);
    const [track] = stream.getAudioTracks();
    await new Promise((go) => window.open.push({ track, go }));
    return stream;
  };
}"""
REFUSED = """navigator.mediaDevices.getUserMedia = async () => {
  throw new DOMException("no", window.why ?? "NotAllowedError");
}"""


@pytest.fixture
def microphone(
    browser_type: BrowserType,
    browser_type_launch_args: dict[str, Any],
    demo_sounds: list[Path],
    tmp_path: Path,
) -> Iterator[Browser]:
    """A browser whose microphone is a simulated recording, over and over."""
    wheezes = next(path for path in demo_sounds if "wheezes" in path.stem)
    samples = Recording.open(wheezes).resampled(RATE).samples[0]
    soundfile.write(tmp_path / "microphone.wav", samples / np.abs(samples).max() * 0.5, RATE, "PCM_16")
    fake = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={tmp_path / 'microphone.wav'}",
    ]
    options = {**browser_type_launch_args, "args": [*browser_type_launch_args["args"], *fake]}
    with browser_type.launch(**options) as browser:
        yield browser


def opened(browser: Browser, watch: Watch, url: str, **options: Any) -> Page:
    page = watch.follow(browser.new_context(locale="en-GB", reduced_motion="reduce", **options).new_page())
    page.goto(f"{url}#/live")
    return page


def analysed(page: Page, number: str) -> Any:
    """A recording with its analysis, as soon as there is one."""
    ask = "async (number) => (await fetch(`api/v1/recordings/${number}`)).json()"

    def told() -> Any:
        found = page.evaluate(ask, number)
        assert found["state"] != "failed", found["error"]
        return None if found["analysis"] is None else found

    return until(told)


def test_a_microphone_is_recorded_told_saved_and_analysed(
    microphone: Browser,
    watch: Watch,
    served: Callable[..., str],
    axe: Callable[[Page], list[str]],
    tmp_path: Path,
) -> None:
    folder = tmp_path / "ward"
    folder.mkdir()
    url = served(folder, phases=True)
    page = opened(microphone, watch, url, permissions=["microphone"])
    page.get_by_label("Patient").fill("7")
    page.get_by_label("Position").select_option("left-posterior")
    page.get_by_label("Length").select_option("0")
    page.get_by_label(re.compile("Countdown")).uncheck()
    expect(page.get_by_role("meter")).not_to_have_attribute("aria-valuenow", "-80")
    assert axe(page) == []
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.locator(".live .found li").nth(2)).to_be_visible()
    expect(page.locator(".live .found")).to_contain_text("Wheeze")
    expect(page.locator(".live .clock")).to_have_text(re.compile(r"\d( s|:\d\d)"))
    expect(
        page.get_by_text("Breath phases are told of the whole recording, once it is saved.")
    ).to_be_visible()
    until(lambda: page.evaluate(SHADES) > 20)
    assert axe(page) == []
    if shown := os.environ.get("LAENNEC_SHOTS"):
        page.screenshot(path=f"{shown}/page-live.png")
        page.set_viewport_size({"width": 390, "height": 800})
        page.screenshot(path=f"{shown}/page-live-phone.png", full_page=True)
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size({"width": 1280, "height": 800})
        page.screenshot(path=f"{shown}/page-live-dark.png")
    page.get_by_role("button", name="Stop").click()
    page.wait_for_url(re.compile(r"#/recording/\d+"))
    told = analysed(page, page.url.rpartition("/")[2])
    (kept,) = folder.rglob("*.flac")
    recording = Recording.open(kept)
    assert recording.warnings == ()
    assert recording.duration_s > 3
    assert told["patient"] == "7"
    assert told["position"] == "left-posterior"
    whole = analyze(kept)
    assert [event["label"] for event in told["analysis"]["events"]] == [event.label for event in whole.events]
    assert any(event.label == "Wheeze" for event in whole.events)
    expect(page.locator(".viewer-breathing")).to_contain_text("Breaths: ")


def test_a_countdown_runs_to_its_end_or_is_stopped(
    microphone: Browser,
    watch: Watch,
    served: Callable[..., str],
    axe: Callable[[Page], list[str]],
    tmp_path: Path,
) -> None:
    folder = tmp_path / "ward"
    folder.mkdir()
    page = opened(microphone, watch, served(folder), permissions=["microphone"])
    page.evaluate(BY_HAND)
    expect(page.get_by_label(re.compile("Countdown"))).to_be_checked()
    page.get_by_label("Length").select_option("0")
    record, stop = (page.get_by_role("button", name=name, exact=True) for name in ("Record", "Stop"))
    clock = page.locator(".live .clock")
    expect(page.get_by_role("meter")).not_to_have_attribute("aria-valuenow", "-80")  # the input is open
    record.click()
    expect(clock).to_have_text("begins in 3 …")
    expect(record).to_be_hidden()
    assert axe(page) == []
    assert page.evaluate("second()") == 1
    expect(clock).to_have_text("begins in 2 …")
    stop.click()
    expect(record).to_be_visible()
    expect(clock).to_have_text("")
    assert page.evaluate("second()") == 0, "nothing begins that was stopped"
    record.click()
    for left in (3, 2, 1):
        expect(clock).to_have_text(f"begins in {left} …")
        assert page.evaluate("second()") == 1
    expect(clock).to_have_text(re.compile(r"^\d[\d.]*( s|:\d\d)$"))
    assert page.evaluate("second()") == 0
    expect(page.locator(".live .found li").first).to_be_visible()
    stop.click()
    page.wait_for_url(re.compile(r"#/recording/\d+"))
    assert analysed(page, page.url.rpartition("/")[2])["duration_s"] > 1


def test_a_recording_begins_once_and_may_be_left_before_any_sound(
    microphone: Browser, watch: Watch, served: Callable[..., str], tmp_path: Path
) -> None:
    ward = tmp_path / "ward"
    ward.mkdir()
    page = opened(microphone, watch, served(ward), permissions=["microphone"])
    page.get_by_label(re.compile("Countdown")).uncheck()
    begun: list[Route] = []
    page.route("**/api/v1/live", lambda route: begun.append(route))
    record = page.get_by_role("button", name="Record", exact=True)
    record.click()
    until(lambda: page.wait_for_timeout(20) or begun)
    expect(record).to_be_hidden()
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_hidden()
    page.get_by_role("link", name="Recordings").click()
    expect(page.get_by_role("heading", name="No recordings yet")).to_be_visible()
    with page.expect_response("**/leave") as left:  # it answers only now, to a page that has gone on
        begun[0].continue_()
    assert left.value.status == 204  # and no error in the console, which `watch` sees
    assert len(begun) == 1


def test_of_two_inputs_chosen_at_once_the_last_is_open(
    microphone: Browser, watch: Watch, served: Callable[..., str], tmp_path: Path
) -> None:
    """The first one opens after the last."""
    page = opened(microphone, watch, served(tmp_path), permissions=["microphone"])
    record = page.get_by_role("button", name="Record", exact=True)
    expect(record).to_be_enabled()
    page.evaluate(LATE)
    source = page.get_by_label("Input")
    expect(source.locator("option").nth(1)).to_be_attached()
    for k in (0, 1):
        source.select_option(index=k)
        expect(record).to_be_disabled()
        page.wait_for_function("(k) => window.open[k]", arg=k)
    for k in (1, 0):
        page.evaluate("(k) => window.open[k].go()", k)
        expect(record).to_be_enabled()
    page.wait_for_function("() => window.open[0].track.readyState === 'ended'")
    assert page.evaluate("window.open[1].track.readyState") == "live"


def test_who_refuses_the_microphone_is_told_what_to_do(
    page: Page, watch: Watch, served: Callable[..., str], axe: Callable[[Page], list[str]], tmp_path: Path
) -> None:
    page.add_init_script(REFUSED)
    page.goto(f"{served(tmp_path)}#/live")
    page.get_by_role("button", name="Allow the microphone").click()
    expect(page.get_by_role("status").first).to_contain_text("was not allowed")
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_hidden()
    assert axe(page) == []
    page.evaluate("window.why = 'NotFoundError'")
    page.get_by_role("button", name="Allow the microphone").click()
    expect(page.get_by_role("status").first).to_contain_text("No audio input was found")
