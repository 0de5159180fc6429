"""Four folds with `--jobs 2` against the same folds one after the other: whole commands, on idle cores.

`laennec crossvalidate` reads the data, trains four folds and writes their tables, with `--jobs 2`, with one
process of one thread and with one process as it chooses its threads. What they write must be the same to the
last bit. The result joins the file that `training.py` wrote.

Run:  python benchmarks/jobs.py --data ~/data/SPRSound --out docs/results/training-speed.json
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WAYS = {
    "--jobs 2": ["--jobs", "2"],
    "--jobs 1 --threads 1": ["--jobs", "1", "--threads", "1"],
    "--jobs 1": ["--jobs", "1"],
}


def main() -> None:
    """Alternate the ways and write what they took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", default="baseline")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    laennec = [sys.executable, "-m", "laennec", "crossvalidate", options.recipe, "--data", str(options.data)]
    laennec += ["--folds", "4", "--accelerator", "cpu", "--set", f"epochs={options.epochs}"]
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        predictions = {}
        for way, words in WAYS.items():
            with tempfile.TemporaryDirectory() as folder:
                started = time.perf_counter()
                subprocess.run([*laennec, *words, "--out", folder], check=True, capture_output=True)
                seconds[way].append(round(time.perf_counter() - started, 1))
                predictions[way] = Path(folder, "seed0", "predictions.csv").read_bytes()
            print(way, seconds[way][-1], flush=True)
        first, second, _ = predictions.values()
        assert first == second, "the folds of several processes differ from those of one"
    medians = {way: statistics.median(own) for way, own in seconds.items()}
    for way in list(WAYS)[1:]:
        print(f"--jobs 2 takes {medians['--jobs 2'] / medians[way]:.2f} of the time of {way}")
    known = json.loads(options.out.read_text()) if options.out.exists() else {}
    known["jobs"] = {
        "command": f"python benchmarks/jobs.py --epochs {options.epochs} --rounds {options.rounds}",
        "what": f"four folds of the recipe {options.recipe}, {options.epochs} epochs, the whole command",
        "seconds": seconds,
    }
    options.out.write_text(json.dumps(known, indent=2) + "\n")


if __name__ == "__main__":
    main()
