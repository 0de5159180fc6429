"""What a second process brings: `laennec analyze --jobs 2` beside `--jobs 1`, whole commands, interleaved.

    python benchmarks/cores.py [--recordings 200] [--rounds 5] [--out docs/results/cores.json]

Wall and processor time of each, of recordings of 15 s with JSON written. Where others use the machine too,
`chrt -f 1 python …` (as root) lets this go before all other work, for as long as it takes.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def measured(folder: Path, jobs: int, number: int) -> tuple[float, float]:
    """Seconds and processor seconds of a whole command."""
    words = ["analyze", str(folder), "--out", f"{folder}-{jobs}-{number}", "--format", "json"]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "laennec", *words, "--jobs", str(jobs)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = time.perf_counter() - started
    return seconds, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    """Print and write the ratios."""
    from laennec.files import write_json
    from laennec.simulate import simulate_dataset
    from laennec.version import __version__

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recordings", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    rounds: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "sounds"
        simulate_dataset(
            folder, subjects=max(1, asked.recordings // 8), recordings_per_subject=8, duration_s=15.0
        )
        count = len(list(folder.rglob("*.wav")))
        for number in range(asked.rounds):
            load = os.getloadavg()[0]
            (one_s, one_cpu), (two_s, two_cpu) = (measured(folder, jobs, number) for jobs in (1, 2))
            rounds.append(
                {
                    "wall_s": [round(one_s, 2), round(two_s, 2)],
                    "processor_s": [round(one_cpu, 2), round(two_cpu, 2)],
                    "ratio": round(one_s / two_s, 3),
                    "ratio_by_processor_time": round(2 * one_cpu / two_cpu, 3),
                    "load": round(load, 1),
                }
            )
            print(rounds[-1], flush=True)
    found = {
        "command": f"python benchmarks/cores.py --recordings {asked.recordings} --rounds {asked.rounds}",
        "laennec": __version__,
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "date": time.strftime("%Y-%m-%d"),
        "runs": [{"recordings": count, "rounds": rounds}],
    }
    if asked.out is not None:
        write_json(asked.out, found)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
