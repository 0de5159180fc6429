"""Speed and memory of an analysis with no boundaries given: cold, warm, and over a day.

    python benchmarks/recordings.py [--hours 0.17 1 24] [--folder DIR]

- cold: processor time and memory of the whole process `laennec analyze FILE --json` on 15 s, median of seven;
- warm: seconds of sound a second of one core, model loaded, 15 s at a time and ten minutes;
- a day: memory of a process that analyses a file of so many hours (8 kHz FLAC, simulated breathing repeated).
  `--folder` is where the files are written; a day is about 1 GB.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from analyze import cost

RATE = 8_000


def main() -> None:
    """Print all three."""
    from laennec.analyze import analyze
    from laennec.model.load import load_model
    from laennec.simulate import demo_recordings

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, nargs="*", default=[1 / 6 + 0.01, 1.0])
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    breaths = np.concatenate([recording.samples for recording in demo_recordings().values()])
    model = load_model("recording")
    for seconds, rounds in ((15, 40), (600, 3)):
        samples = np.resize(breaths, seconds * RATE)
        taken = []
        for _ in range(rounds):
            start = time.process_time()
            analyze(samples, sample_rate=RATE, model=model)
            taken.append(time.process_time() - start)
        print(
            f"warm, {seconds} s: {seconds / statistics.median(taken):.0f} times real time on one core",
            flush=True,
        )
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        path = Path(folder) / "short.wav"
        soundfile.write(path, breaths[: 15 * RATE], RATE)
        found = [cost([sys.executable, "-m", "laennec", "analyze", str(path), "--json"]) for _ in range(7)]
        seconds, memory = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"cold, 15 s: {seconds:.2f} s of processor time, {memory:.0f} MiB", flush=True)
        for hours in asked.hours:
            path = Path(folder) / "long.flac"
            with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
                for _ in range(round(hours * 3600 * RATE / breaths.size)):
                    file.write(breaths)
            code = f"import laennec; print(len(laennec.analyze({str(path)!r}).events))"
            start = time.perf_counter()
            _, memory = cost([sys.executable, "-c", code])
            print(f"{hours:.2f} hours: {memory:.0f} MiB, {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
