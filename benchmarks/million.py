"""Memory and processor time of listing and merging at so many rows; nothing is scored.

    python benchmarks/million.py [--rows 100000 1000000] [--out docs/results/million.json]

A table of paths becomes a manifest. Then every shard has a part of made-up rows with four events each, and
the parts become the two tables. Each count and step is a process of its own, and so is its largest memory.
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

LABELS = ("Normal", "Wheeze", "Fine Crackle")
STEPS = ("list", "merge")


def step(name: str, folder: Path, rows: int) -> dict[str, Any]:
    """Do a step in this process, and return what it took."""
    from laennec.bulk.manifest import Manifest, Run, settled
    from laennec.bulk.merge import merge
    from laennec.bulk.places import place_of
    from laennec.bulk.source import find_source, listed

    source, place = find_source(str(folder / "paths.csv")), place_of(str(folder / "out"))
    run = Run(source.given, source.base, "none", "0", "0" * 64, None, False, LABELS, "0", 1000)
    place.prepare()
    own = settled(run, source, listed(source), place)
    if name == "merge":
        with Manifest(place, own) as manifest:
            assert merge(manifest, place)["recordings"] == rows
    return {
        "step": name,
        "rows": rows,
        "processor_s": round(time.process_time(), 1),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def write_parts(folder: Path) -> None:
    """Write a part of made-up rows for each shard."""
    from laennec.bulk.manifest import Manifest, read_run
    from laennec.bulk.places import place_of
    from laennec.bulk.rows import Row, part_content
    from laennec.bulk.score import part_name
    from laennec.output.formats import Summary, summary_values

    place = place_of(str(folder / "out"))
    run = read_run(place)
    assert run is not None
    event = {"channel": 0, "start_s": 1.0, "end_s": 2.5, "label": "Normal", "probability": 0.9}
    event |= {"uncertain": False, "presence": 0.8, **dict.fromkeys(LABELS, 0.3)}
    with Manifest(place, run) as manifest:
        for shard in range(run.shards):
            listed = manifest.shard(shard).to_pylist()
            rows = [
                Row(
                    each["row"],
                    each["key"],
                    summary_values(Summary(each["path"], "Normal", 0.9, duration_s=3.0), LABELS),
                    None,
                    2 * each["key"],
                    48_044,
                    [event] * 4,
                )
                for each in listed
            ]
            place.write(part_name(shard), part_content(rows, LABELS, run.digest, run.model_columns))


def main() -> None:
    """Print and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--step", choices=(*STEPS, "parts"), help="of one of its processes")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.step == "parts":
        write_parts(asked.folder)
        return
    if asked.step:
        print(json.dumps(step(asked.step, asked.folder, asked.rows[0])))
        return
    found = []
    for rows in asked.rows:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with (folder / "paths.csv").open("w") as file:
                file.write("path\n")
                file.writelines(f"ward/{n // 1000:04d}/recording {n:07d}.wav\n" for n in range(rows))
            for each in ("list", "parts", "merge"):
                words = ["--step", each, "--folder", name, "--rows", str(rows)]
                command = [sys.executable, __file__, *words]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                found += [json.loads(done.stdout)] if done.stdout else []
                print(done.stdout, end="", flush=True)
    told = {
        "command": "python benchmarks/million.py --out docs/results/million.json",
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "date": time.strftime("%Y-%m-%d"),
        "rows": found,
    }
    if asked.out is not None:
        asked.out.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
