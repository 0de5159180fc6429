"""Processor time of each step from a recording to its files: network, analysis, JSON, page, picture.

    OMP_NUM_THREADS=1 python benchmarks/outputs.py [--against SRC] [--out docs/results/speed.json]

Recordings are simulated, 9 or 15 s long. A process measures one tree of sources, warm, and gives the median
over the recordings; with `--against`, the folder `src` of another checkout, processes of both take turns, and
a ratio is the median over the rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

HERE = Path(__file__).resolve().parents[1] / "src"
STEPS = ("network", "analysis", "json", "html", "png")


def measured(folder: Path) -> dict[str, float]:
    """Median processor milliseconds of each step over the recordings of a folder; bytes of each file."""
    from laennec.analyze import analyze
    from laennec.audio.recording import Recording
    from laennec.model.load import load_model
    from laennec.output.files import planned, write_outputs

    model = load_model("recording")
    paths = sorted(folder.rglob("*.wav"))
    taken: list[list[float]] = []
    sizes: dict[str, list[int]] = {form: [] for form in STEPS[2:]}
    with tempfile.TemporaryDirectory() as out:
        for number, path in enumerate([paths[0], *paths]):
            recording = Recording.open(path)
            times = [time.process_time()]
            for _ in model.frames(recording.blocks(model.card.sample_rate), levels=recording.levels):
                pass
            times.append(time.process_time())
            opened = Recording.open(path)
            analysis = analyze(opened, model=model)
            times.append(time.process_time())
            shown = opened.beginning(600.0)
            for form in STEPS[2:]:
                write_outputs(analysis, shown, Path(out), path.stem, (form,))
                times.append(time.process_time())
                sizes[form].append(planned(Path(out), path.stem, form).stat().st_size)
            if number:
                taken.append([1000 * (end - start) for start, end in pairwise(times)])
    medians = map(statistics.median, zip(*taken, strict=True))
    return {
        **dict(zip(STEPS, medians, strict=True)),
        **{f"{form} bytes": statistics.median(own) for form, own in sizes.items()},
    }


def main() -> None:
    """Alternate the trees and print what each step takes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--against", type=Path, help="folder src of another checkout")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--subjects", type=int, default=6, help="with four recordings each")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measured(asked.one)))
        return
    from laennec.simulate import simulate_dataset

    sides = {"now": HERE} | ({"before": asked.against} if asked.against else {})
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    with tempfile.TemporaryDirectory() as folder:
        simulate_dataset(Path(folder) / "ward", subjects=asked.subjects, seed=0)
        for _ in range(asked.rounds):
            for name, source in sides.items():
                environment = {**os.environ, "PYTHONPATH": str(source.resolve()), "OMP_NUM_THREADS": "1"}
                line = [sys.executable, __file__, "--one", folder]
                done = subprocess.run(line, check=True, capture_output=True, text=True, env=environment)
                found[name].append(json.loads(done.stdout))
    rows = []
    for step in (*STEPS, *(f"{form} bytes" for form in STEPS[2:])):
        own = {name: statistics.median(each[step] for each in rounds) for name, rounds in found.items()}
        row = {"step": step, **{name: round(value, 2) for name, value in own.items()}}
        if asked.against:
            pairs = zip(found["before"], found["now"], strict=True)
            row["ratio"] = round(statistics.median(a[step] / b[step] for a, b in pairs), 2)
        rows.append(row)
        print(row, flush=True)
    if asked.out:
        from record import write

        write(asked.out, "outputs", rows, "matplotlib", rounds=asked.rounds, recordings=4 * asked.subjects)


if __name__ == "__main__":
    main()
