"""The report of an analysis in a browser: the server's viewer, from one file, under its strict policy."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, expect

from analyses import bare_analysis
from laennec import Event, Recording
from laennec.analyze.analysis import Relevance
from laennec.output.page import write_report
from watching import Watch

RELEVANCE = Relevance(1.0, 2.0, (100.0, 400.0, 1600.0), ((0.0, 1.0), (0.5, 0.0)))
# How many bright pixels the spectrogram has, once it has some; noise fills it.
BRIGHT = """async () => {
  const canvas = document.querySelector(".viewer-spectrogram");
  const { width, height } = canvas;
  const context = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
  for (const ends = performance.now() + 60_000; performance.now() < ends;) {
    context.drawImage(canvas, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    const bright = data.filter((value, k) => k % 4 === 0 && value > 100).length;
    if (bright > 0.2 * width * height) return bright;
    await new Promise(requestAnimationFrame);
  }
  return 0;
}"""


def report(path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, (2, 5 * 8000)).astype(np.float32)
    recording = Recording.from_array(noise, 8000, "two.wav")
    shares = {"Normal": 0.1, "Wheeze": 0.9}
    wheeze = Event(1.0, 2.0, "Wheeze", 0.9, shares, relevance=RELEVANCE)
    normal = Event(2.5, 3.5, "Normal", 0.8, {"Normal": 0.8, "Wheeze": 0.2}, channel=1, uncertain=True)
    analysis = bare_analysis(
        name="two.wav",
        duration_s=5.0,
        channels=2,
        events=(wheeze, replace(wheeze, start_s=3.0, end_s=4.0, relevance=None), normal),
        labels=("Normal", "Wheeze"),
    )
    write_report(analysis, recording, path)


def test_a_report_is_looked_at_listened_to_and_printed(page: Page, watch: Watch, tmp_path: Path) -> None:
    watch.allow(r"another host: file:.*/two\.html")
    report(tmp_path / "two.html")
    page.goto((tmp_path / "two.html").as_uri(), wait_until="commit")
    channels = page.locator("section.channel")
    expect(channels).to_have_count(2)
    first, second = channels.nth(0), channels.nth(1)
    expect(first.locator(".viewer-lanes .event")).to_have_count(2)
    expect(second.locator(".viewer-lanes .event.uncertain")).to_have_count(1)
    expect(first.locator(".still")).to_be_hidden()
    page.locator('tr[data-event="1"] button.loop').click()
    expect(first.locator('.event[aria-pressed="true"]')).to_have_attribute("data-id", "1")
    expect(first.locator(".viewer-evidence")).to_be_visible()
    expect(first.get_by_role("button", name="Pause")).to_be_visible()
    second.locator(".viewer-lanes .event").click()
    expect(page.locator("tr.selected")).to_have_attribute("data-event", "3")
    expect(first.get_by_role("button", name="Display")).to_be_visible()
    assert page.evaluate(BRIGHT) > 0
    page.emulate_media(media="print")
    expect(first.locator(".viewer")).to_be_hidden()
    expect(first.locator(".still img.sound")).to_be_visible()
    expect(page.locator("table tr[data-event]").first).to_be_visible()
