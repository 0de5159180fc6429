"""Make the pictures of the page that README and docs show, from simulated recordings.

Run:  python docs/images/screenshots.py        (needs pytest-playwright, and Chromium on this computer)

With the file laennec.html of `laennec export --target web` behind it, only the picture of that page is made.
Breath phases in the pictures are those that the recordings were made of, which the page says ("as given"):
the model tells none of simulated breaths.
"""

import json
import re
import shutil
import socket
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
from PIL import Image
from playwright.sync_api import Page, Route, expect, sync_playwright

from laennec import Recording, analyze
from laennec.labels import PHASES
from laennec.output.formats import to_json
from laennec.output.html import asset
from laennec.output.presentation import COLOURS, NORMAL_COLOUR
from laennec.simulate import demo_recordings
from laennec.simulate.dataset import write_wav
from laennec.simulate.recording import SimulatedRecording
from laennec.web.app import create_app
from laennec.web.serving import PageServer
from laennec.web.settings import Settings

HERE = Path(__file__).parent
SIZE = {"width": 1280, "height": 900}
LIVE_SIZE = {"width": 1280, "height": 720}
MICROPHONE_HZ = 48_000  # what Chromium plays a file at in place of a microphone
EVENTS_LIVE = 4  # that are found when the picture is taken
SHOWN = "12-right-posterior.wav"
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
WAIT_MS = 60_000
SETTLED_MS = 3000  # tiles are loaded and drawn
SHORTEST_S = 0.05  # of a phase that is cut by an end of its recording
READER = "Reader A"
KEPT = 160  # colours of a picture: with more, those of the spectrogram take a fifth more bytes
WHITE, CURSOR = "ffffff", "e02020"  # of which others would be made, else
# Patient, age, sex; and at each position a recording of `laennec simulate --layout demo`, by name and seed.
PATIENTS = {
    "12": (4.0, "female", {
        "left-posterior": ("fine_crackles", 0), "right-posterior": ("wheezes", 0),
        "left-lateral": ("fine_crackles", 1), "right-lateral": ("wheezes", 1),
        "left-anterior": ("fine_crackles", 2), "right-anterior": ("wheezes", 2), "trachea": ("wheezes", 3),
    }),
    "15": (2.0, "male", {"left-posterior": ("wheezes", 4), "right-posterior": ("wheezes", 5)}),
    "18": (6.0, "male", {"left-posterior": ("fine_crackles", 6), "right-posterior": ("fine_crackles", 7)}),
}  # fmt: skip


def write_recordings(folder: Path) -> dict[str, dict[str, Any]]:
    """Write the recordings, and return what is known of each by its name."""
    known = {}
    for patient, (age_years, sex, places) in PATIENTS.items():
        for place, (which, seed) in places.items():
            recording = demo_recordings(seed)[which]
            name = f"{patient}-{place}.wav"
            write_wav(folder / name, recording.samples, recording.sample_rate)
            known[name] = {"patient": patient, "position": place, "age_years": age_years, "sex": sex}
    return known


def ask(url: str, method: str = "GET", content: Any = None) -> Any:
    """Ask the server."""
    body = None if content is None else json.dumps(content).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())


def describe(api: str, known: dict[str, dict[str, Any]]) -> None:
    """Set the patients, and wait until everything is analysed."""
    for row in ask(f"{api}recordings")["recordings"]:
        ask(f"{api}recordings/{row['id']}", "PATCH", known[row["name"]])
    ask(f"{api}readers", "POST", {"name": READER})
    while any(row["state"] in ("waiting", "running") for row in ask(f"{api}recordings")["recordings"]):
        time.sleep(0.5)


def palette() -> list[int]:
    """The colours of labels and page, which a picture keeps: red, green and blue of each in turn."""
    page = re.findall(r"#([0-9a-f]{6})\b", asset("page.css").partition("@media")[0])
    labels = [colour[1:] for colour in (*COLOURS, NORMAL_COLOUR)]
    return [*b"".join(map(bytes.fromhex, [WHITE, CURSOR, *page, *labels]))]


def nearest(pixels: npt.NDArray[np.uint8], colours: npt.NDArray[np.int_]) -> npt.NDArray[np.uint8]:
    """The place of the nearest colour for each of ``(rows, columns, 3)`` pixels, which Pillow only nears."""
    codes = pixels.astype(np.int32) @ (65536, 256, 1)
    found, places = np.unique(codes, return_inverse=True)
    rgb = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=-1).astype(np.float32)
    wanted = colours.astype(np.float32)
    chosen = (np.square(wanted).sum(axis=1) - 2 * rgb @ wanted.T).argmin(axis=1)
    return chosen.astype(np.uint8)[places].reshape(codes.shape)


def shoot(page: Page, name: str) -> None:
    """Keep what is seen, in few colours."""
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(SETTLED_MS)
    path = HERE / f"{name}.png"
    page.screenshot(path=path)
    seen = Image.open(path).convert("RGB")
    fixed = palette()
    others = seen.quantize(KEPT - len(fixed) // 3, dither=Image.Dither.NONE).getpalette() or []
    colours = (fixed + others)[: 3 * KEPT]
    kept = Image.fromarray(nearest(np.asarray(seen), np.reshape(colours, (-1, 3))), "P")
    kept.putpalette(colours)
    kept.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def phases_of(made: SimulatedRecording) -> list[tuple[float, float, str]]:
    """The phases of a simulated recording, as far as they lie within it."""
    end_s = len(made.samples) / made.sample_rate
    inspiration, expiration = PHASES
    spans = [
        (max(0.0, start_s), min(stop_s, end_s), label)
        for breath in made.breaths
        for start_s, stop_s, label in (
            (breath.start_s, breath.inspiration_end_s, inspiration),
            (breath.inspiration_end_s, breath.expiration_end_s, expiration),
        )
    ]
    return [(start_s, stop_s, label) for start_s, stop_s, label in spans if stop_s - start_s > SHORTEST_S]


def give_phases(page: Page, folder: Path) -> None:
    """Have the recording that is shown be told with the phases that it was made of."""
    patient, _, place = SHOWN.removesuffix(".wav").partition("-")
    which, seed = PATIENTS[patient][2][place]
    told = to_json(analyze(folder / SHOWN, phases=phases_of(demo_recordings(seed)[which])))

    def answered(route: Route) -> None:
        row = route.fetch().json()
        given = {"analysis": told} if row["name"] == SHOWN else {}
        route.fulfill(json=row | given)

    page.route(re.compile(r"/api/v1/recordings/\d+$"), answered)


def draw(url: str, folder: Path) -> None:
    """Open the views and keep them."""
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport=SIZE, locale="en-GB", reduced_motion="reduce")
        page.set_default_timeout(WAIT_MS)
        page.add_init_script(f"localStorage.setItem('laennec.reader', {READER!r})")
        page.goto(url)
        expect(page.locator("td.answer strong").first).to_be_visible()
        shoot(page, "page-list")
        give_phases(page, folder)
        page.get_by_role("link", name=SHOWN).click()
        expect(page.locator(".viewer-breaths li").first).to_be_visible()
        page.locator(".viewer-lanes button.event", has_text="W").nth(3).click()
        page.mouse.move(1, 1)
        shoot(page, "page-recording")
        page.goto(f"{url}#/patient/12")
        page.get_by_role("button", name="Right posterior").click()
        page.get_by_role("button", name="Pause").first.click()
        page.mouse.move(1, 1)
        shoot(page, "page-chest")
        browser.close()


def draw_live(url: str, folder: Path) -> None:
    """Record what a simulated microphone hears, and keep what is seen of it."""
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        heard = Path(place) / "microphone.wav"
        samples = Recording.open(folder / SHOWN).resampled(MICROPHONE_HZ).samples[0]
        soundfile.write(heard, samples / np.abs(samples).max() * 0.5, MICROPHONE_HZ, "PCM_16")
        fake = [f"--use-fake-{kind}-for-media-stream" for kind in ("device", "ui")]
        flags = [*FLAGS, *fake, f"--use-file-for-fake-audio-capture={heard}"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        context = browser.new_context(
            viewport=LIVE_SIZE, locale="en-GB", reduced_motion="reduce", permissions=["microphone"]
        )
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.add_init_script(f"localStorage.setItem('laennec.reader', {READER!r})")
        page.goto(f"{url}#/live")
        page.get_by_label("Patient").fill("12")
        page.get_by_label("Position").select_option("right-posterior")
        page.get_by_label("Length").select_option("0")
        page.get_by_label(re.compile("Countdown")).uncheck()
        page.get_by_role("button", name="Record", exact=True).click()
        expect(page.locator(".live .found li").nth(EVENTS_LIVE - 1)).to_be_visible()
        shoot(page, "page-live")
        page.get_by_role("button", name="Stop").click()
        page.wait_for_url(re.compile(r"#/recording/\d+"))
        browser.close()


def draw_exported(file: Path) -> None:
    """Give the exported page a recording and keep what it shows."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        recording = demo_recordings(1)["wheezes"]
        sound = Path(folder) / "wheezes.wav"
        write_wav(sound, recording.samples, recording.sample_rate)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport=SIZE, locale="en-GB", reduced_motion="reduce")
        page.set_default_timeout(WAIT_MS)
        page.goto(file.resolve().as_uri())
        page.locator("#file:enabled").set_input_files(sound)
        page.locator(".viewer-lanes button.event", has_text="W").nth(2).click()
        page.mouse.move(1, 1)
        shoot(page, "page-exported")
        browser.close()


def main() -> None:
    """Serve simulated recordings and take the pictures."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "ward-3"
        folder.mkdir()
        known = write_recordings(folder)
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        server = PageServer(create_app(Settings(folder, port=port, phases=True)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.1)
            url = f"http://127.0.0.1:{port}/"
            describe(f"{url}api/v1/", known)
            draw(url, folder)
            draw_live(url, folder)
        finally:
            server.should_exit = True
            thread.join()


if __name__ == "__main__":
    if sys.argv[1:]:
        draw_exported(Path(sys.argv[1]))
    else:
        main()
