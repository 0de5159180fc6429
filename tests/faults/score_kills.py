"""``laennec score`` whose processes are killed at random moments; its tables are those of an undisturbed run.

    python tests/faults/score_kills.py 20 --out docs/results/score-kills.json

Each kill is ``kill -9`` of one of its worker processes, or of the whole process group, whose command is then
typed again. A worker's recording is tried once more, and the others go on; of a group, the parts stay.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

RATE = 8000
TABLES = ("recordings.parquet", "events.parquet", "score.json")
SHARD = 5
# What it ends with where several workers were killed while they still loaded: the same command goes on.
TOO_EARLY = "processes end before they begin"


def recordings(folder: Path, count: int) -> None:
    """Recordings of 6 s, each of noise of its own that breathes."""
    folder.mkdir(parents=True)
    times = np.arange(6 * RATE) / RATE
    for number in range(count):
        noise = np.random.default_rng(number).standard_normal(times.size)
        soundfile.write(folder / f"{number:04d}.wav", 0.03 * noise * np.sin(2 * np.pi * times / 3) ** 2, RATE)


def begun(source: Path, out: Path) -> "subprocess.Popen[str]":
    words = ["score", str(source), "--out", str(out), "--jobs", "2", "--shard-size", str(SHARD)]
    return subprocess.Popen(
        [sys.executable, "-m", "laennec", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finished(process: "subprocess.Popen[str]") -> None:
    if not is_whole(process):
        raise RuntimeError(TOO_EARLY)


def is_whole(process: "subprocess.Popen[str]") -> bool:
    """Wait for the end of the command; False if its workers were killed too early, which it says."""
    printed, _ = process.communicate()
    if process.returncode and TOO_EARLY not in printed:
        raise RuntimeError(printed)
    return process.returncode == 0


def children(process: int) -> list[int]:
    """Processes that a process has started and that have loaded what they need: the workers."""
    found = Path(f"/proc/{process}/task/{process}/children")
    try:
        return [int(child) for child in found.read_text().split() if _is_worker(int(child))]
    except OSError:
        return []


def _is_worker(process: int) -> bool:
    """Whether a process is a worker that has begun: several killed before that are one error, by design."""
    try:
        place = Path(f"/proc/{process}")
        is_child = b"spawn_main" in (place / "cmdline").read_bytes()
        return is_child and b"onnxruntime" in (place / "maps").read_bytes()
    except OSError:
        return False


def parts(out: Path) -> int:
    return len(list((out / "parts").glob("shard-*"))) if (out / "parts").exists() else 0


def kill_all(source: Path, out: Path, kills: int, seed: int) -> dict[str, int]:
    """Score, killed so often, and return how often what was killed."""
    rng, done = random.Random(seed), {"worker": 0, "group": 0}
    process = begun(source, out)
    while sum(done.values()) < kills and process.poll() is None:
        time.sleep(rng.uniform(0.0, 0.4))
        workers = children(process.pid)
        if not workers:
            continue
        if rng.random() < 0.6:
            with suppress(ProcessLookupError):  # it has ended since
                os.kill(rng.choice(workers), signal.SIGKILL)
                done["worker"] += 1
        else:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            done["group"] += 1
            process = begun(source, out)
    while not is_whole(process):
        process = begun(source, out)
    return done


def same(one: Path, other: Path) -> bool:
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in TABLES)


def main() -> int:
    """Kill, compare, and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kills", type=int)
    parser.add_argument("--recordings", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    from laennec.files import write_json
    from laennec.version import __version__

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recordings(folder / "sounds", asked.recordings)
        finished(begun(folder / "sounds", folder / "undisturbed"))
        done = kill_all(folder / "sounds", folder / "killed", asked.kills, asked.seed)
        proof: dict[str, Any] = json.loads((folder / "killed" / "score.json").read_text())
        found = {
            "command": f"python tests/faults/score_kills.py {asked.kills}",
            "laennec": __version__,
            "date": time.strftime("%Y-%m-%d"),
            "recordings": asked.recordings,
            "rows": proof["recordings"],
            "failed": proof["failed"],
            "killed": done,
            "tables_equal_byte_for_byte": same(folder / "undisturbed", folder / "killed"),
        }
    if asked.out is not None:
        write_json(asked.out, found)
    print(json.dumps(found, indent=2))
    return int(not found["tables_equal_byte_for_byte"])


if __name__ == "__main__":
    sys.exit(main())
