"""An analysis in Chromium beside the same in Python, by processor time, one thread each, in turns.

    python benchmarks/browser.py --runtime onnxruntime-web-1.30.0.tgz [--rounds 7] [--json FILE]

Processor time of the browser is that of the process that shows the page, as its DevTools tell it.
"""

import argparse
import base64
import datetime
import functools
import http.server
import json
import platform
import shutil
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any

import soundfile
from playwright.sync_api import CDPSession, Page, sync_playwright

from laennec import analyze, load_model
from laennec.cores import cores
from laennec.simulate import write_demo
from laennec.targets.runtime import ARCHIVE, VERSION, read_runtime
from laennec.targets.web import contents
from laennec.train.hardware import machine
from laennec.version import __version__

import onnxruntime  # isort: skip

LENGTHS_S = (15, 120)
START = """async (data) => {
  const { load, readSound } = await import("./laennec.js");
  const model = await load("recording.onnx", "recording.json");
  const { channels, rate, ...read } = await readSound(Uint8Array.from(atob(data), (each) =>
    each.charCodeAt(0)).buffer);
  globalThis.analyse = async () => (await model.analyze(channels, rate, read)).events.length;
}"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runtime", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows, browser = measured(Path(folder), asked.runtime, asked.rounds)
    result = {
        "command": f"python benchmarks/browser.py --runtime {ARCHIVE} --rounds {asked.rounds}",
        "date": datetime.date.today().isoformat(),
        "machine": {"processor": machine()["processor"], "cores": cores()},
        "model_sha256": load_model("recording").sha256,
        "versions": {
            "laennec": __version__,
            "onnxruntime": onnxruntime.__version__,
            "onnxruntime-web": VERSION,
            "chromium": browser,
            "python": platform.python_version(),
        },
        "rows": rows,
    }
    text = json.dumps(result, indent=1) + "\n"
    print(text, end="")
    if asked.json:
        asked.json.write_text(text, encoding="utf-8")


def measured(folder: Path, runtime: Path, rounds: int) -> tuple[list[dict[str, Any]], str]:
    """Seconds of processor time on both sides, round by round, of each length; and the browser's version."""
    site = folder / "site"
    for name, data in contents(load_model("recording"), read_runtime(runtime)).items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(data)
    handler = functools.partial(Quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        rows = []
        for length_s in LENGTHS_S:
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{server.server_port}/README.md")
            rows.append(in_turns(page, recording(folder, length_s), length_s, rounds))
            page.close()
        version = browser.version
        browser.close()
    server.shutdown()
    return rows, version


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Answers with files and writes no lines about it."""

    def log_message(self, *args: object) -> None:
        """Leave standard error to errors."""


def recording(folder: Path, length_s: int) -> Path:
    """A simulated recording of a length, at the model's rate."""
    simulated = folder / f"simulated-{length_s}"
    write_demo(simulated, seed=0)
    samples, rate = soundfile.read(simulated / "wheezes.wav", dtype="int16")
    repeated = list(samples) * (length_s * rate // samples.size + 1)
    path = folder / f"{length_s}.wav"
    soundfile.write(path, repeated[: length_s * rate], rate, "PCM_16")
    return path


def in_turns(page: Page, path: Path, length_s: int, rounds: int) -> dict[str, Any]:
    model = load_model("recording")
    page.evaluate(START, base64.b64encode(path.read_bytes()).decode())
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    found: dict[str, list[float]] = {"browser": [], "python": []}
    for number in range(rounds + 1):
        began = process_time(session)
        events = page.evaluate("analyse()")
        here = process_time(session) - began
        began = time.process_time()
        assert len(analyze(path, model=model).events) == events
        there = time.process_time() - began
        if number:  # the first is not warm
            found["browser"].append(round(here, 4))
            found["python"].append(round(there, 4))
    ratio = median(here / there for here, there in zip(found["browser"], found["python"], strict=True))
    return {"seconds_of_sound": length_s, "processor_s": found, "ratio": round(ratio, 2)}


def process_time(session: CDPSession) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == "ProcessTime"))


if __name__ == "__main__":
    main()
