"""Four folds with `--jobs 2` against the same folds one after the other: whole commands, on idle cores.

`laennec crossvalidate` reads the data, trains four folds and writes their tables, with `--jobs 2`, with one
process of one thread and with one process as it chooses its threads. What they write must be the same to the
last bit. The result joins the file that `training.py` wrote, unless other work took more than a twentieth of
a core meanwhile (Linux): then the times compare nothing.

Run:  python benchmarks/jobs.py --data ~/data/SPRSound --out docs/results/training-speed-bf16.json
"""

import argparse
import json
import os
import resource
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
OTHERS = 0.05  # cores that other work may take on average


def busy_s() -> float:
    """Seconds that all cores have worked since the start of the machine."""
    user, nice, system, _, _, *interrupts = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    return sum(map(int, (user, nice, system, *interrupts))) / os.sysconf("SC_CLK_TCK")


def own_s() -> float:
    """Processor seconds of the commands that have ended, and of this process."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)]
    return sum(own.ru_utime + own.ru_stime for own in used)


def timed(line: list[str]) -> tuple[float, float, float]:
    """Seconds that a command takes, its processor seconds, and how many cores others used meanwhile."""
    busy, own, started = busy_s(), own_s(), time.perf_counter()
    subprocess.run(line, check=True, capture_output=True)
    wall, own = time.perf_counter() - started, own_s() - own
    return wall, own, max(0.0, busy_s() - busy - own) / wall


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
    processor: dict[str, list[float]] = {way: [] for way in WAYS}
    others: list[float] = []
    for _ in range(options.rounds):
        predictions = {}
        for way, words in WAYS.items():
            with tempfile.TemporaryDirectory() as folder:
                wall, own, other = timed([*laennec, *words, "--out", folder])
                seconds[way].append(round(wall, 1))
                processor[way].append(round(own, 1))
                others.append(round(other, 2))
                predictions[way] = Path(folder, "seed0", "predictions.csv").read_bytes()
            print(f"{way}: {wall:.1f} s, {own:.1f} of processor time, others {other:.2f} cores", flush=True)
        first, second, _ = predictions.values()
        assert first == second, "the folds of several processes differ from those of one"
    medians = {way: statistics.median(own) for way, own in seconds.items()}
    for way in list(WAYS)[1:]:
        print(f"--jobs 2 takes {medians['--jobs 2'] / medians[way]:.2f} of the time of {way}")
    if max(others) > OTHERS:
        sys.exit(f"not written: other work took up to {max(others)} of a core; run it on idle cores")
    known = json.loads(options.out.read_text()) if options.out.exists() else {}
    known["jobs"] = {
        "command": f"python benchmarks/jobs.py --epochs {options.epochs} --rounds {options.rounds}",
        "what": f"four folds of the recipe {options.recipe}, {options.epochs} epochs, the whole command",
        "seconds": seconds,
        "processor_seconds": processor,
        "cores_of_others": max(others),
    }
    options.out.write_text(json.dumps(known, indent=2) + "\n")


if __name__ == "__main__":
    main()
