"""Rate, processor time and memory of `laennec score`, at 10,000 and 100,000 recordings, killed and resumed.

    python benchmarks/score.py --folder DIR --counts 10000 100000 --kills 3 --out docs/results/score.json

- `--counts`: so many recordings of 3 s (8 kHz, 16 bits, 48 kB each), cut from simulated breathing, each with
  noise of its own, so that no two have the same content. They are made in DIR, and stay there.
- Each count is scored by `--jobs` processes. Of the largest, the whole process group is killed by SIGKILL
  `--kills` times, spread over the work, and the command is typed again.

Memory is the resident memory of all processes together, looked at every two seconds, from a small parent.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RATE, SECONDS, BASES, IN_FOLDER = 8000, 3.0, 2400, 1000
MIB = 2**20


def make(folder: Path, count: int) -> Path:
    """Write the recordings, a thousand a folder, unless they are there."""
    import numpy as np
    import soundfile

    from laennec.simulate import simulate_dataset

    out = folder / "sounds"
    if (out / "made").exists() and int((out / "made").read_text()) >= count:
        return out
    with tempfile.TemporaryDirectory(dir=folder) as simulated:
        subjects = -(-BASES // (4 * 5))
        simulate_dataset(simulated, subjects=subjects, recordings_per_subject=4, duration_s=5 * SECONDS)
        whole = [soundfile.read(path, dtype="float32")[0] for path in sorted(Path(simulated).rglob("*.wav"))]
    length = round(RATE * SECONDS)
    bases = [samples[first : first + length] for samples in whole for first in range(0, 5 * length, length)]
    for number in range(count):
        path = out / f"{number // IN_FOLDER:04d}" / f"{number:07d}.wav"
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).standard_normal(length, np.float32)
        soundfile.write(path, bases[number % len(bases)] + 1e-3 * noise, RATE, "PCM_16")
    (out / "made").write_text(str(count))
    return out


def table_of(sounds: Path, count: int, path: Path) -> Path:
    """Write a table of the first so many recordings."""
    rows = (f"{sounds}/{number // IN_FOLDER:04d}/{number:07d}.wav\n" for number in range(count))
    path.write_text("path\n" + "".join(rows))
    return path


def memory_of(group: int) -> dict[int, int]:
    """Resident bytes of every process of a group."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getpgid(int(entry.name)) == group:
                pages = int((entry / "statm").read_text().split()[1])
                found[int(entry.name)] = pages * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            continue
    return found


def run(words: list[str]) -> dict[str, Any]:
    """Run a command of Laennec to its end; return seconds and memory over time."""
    command = [sys.executable, "-m", "laennec", *words]
    before_s, started = _children_s(), time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    memory: list[int] = []
    while process.poll() is None:
        memory.append(sum(memory_of(process.pid).values()))
        taken = time.monotonic() - started
        time.sleep(0.1 if taken < 3 else 2.0)
    assert process.stdout is not None
    printed = process.stdout.read()
    process.wait()
    seconds = time.monotonic() - started
    memory = [each for each in memory if each]
    third = max(1, len(memory) // 3)
    return {
        "code": process.returncode,
        "printed": printed,
        "seconds": round(seconds, 1),
        "processor_s": round(_children_s() - before_s, 1),
        "peak_mib": round(max(memory) / MIB),
        "peak_of_first_third_mib": round(max(memory[:third]) / MIB),
        "peak_of_last_third_mib": round(max(memory[-third:]) / MIB),
    }


def _children_s() -> float:
    """Processor seconds of all processes that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def scored(sounds: Path, count: int, folder: Path, kills: int, jobs: int) -> dict[str, Any]:
    """Score so many recordings, killed so often, and return what it took."""
    results = folder / f"results-{count}"
    words = ["score", str(table_of(sounds, count, folder / f"{count}.csv")), "--out", str(results)]
    runs = []
    load = os.getloadavg()[0]
    done = len(list((results / "parts").glob("shard-*"))) if results.exists() else 0
    for number in range(kills):
        # Killed after another share of the parts each time; how long that takes nobody knows before.
        wanted = round((number + 1) / (kills + 1) * (count / 1000))
        print(f"{count}: to be killed at {wanted} parts", flush=True)
        runs.append(_until(words, results, wanted, jobs))
    runs.append(run([*words, "--jobs", str(jobs)]))
    proof = json.loads((results / "score.json").read_text())
    seconds = sum(each["seconds"] for each in runs)
    processor_s = sum(each["processor_s"] for each in runs)
    return {
        "recordings": count,
        "rows": proof["recordings"],
        "failed": proof["failed"],
        "same_content": proof["same_content_as_another"],
        "kills": kills,
        "jobs": jobs,
        "load_before": round(load, 1),
        "parts_before": done,
        "seconds": round(seconds, 1),
        "processor_s": round(processor_s, 1),
        "runs": [{key: value for key, value in each.items() if key != "printed"} for each in runs],
        "bytes_of_results": sum(path.stat().st_size for path in results.glob("*.parquet")),
    }


def _until(words: list[str], results: Path, parts: int, jobs: int) -> dict[str, Any]:
    """Run until so many parts are there, then kill the whole group."""
    command = [sys.executable, "-m", "laennec", *words, "--jobs", str(jobs)]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    memory, processor_s = [0], 0.0
    while process.poll() is None and len(list((results / "parts").glob("shard-*"))) < parts:
        own = memory_of(process.pid)
        memory.append(sum(own.values()))
        processor_s = max(processor_s, sum(processor_of(each) for each in own))
        time.sleep(1.0)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    third = max(1, len(memory) // 3)
    return {
        "code": process.returncode,
        "seconds": round(time.monotonic() - started, 1),
        "processor_s": round(processor_s, 1),
        "peak_mib": round(max(memory) / MIB),
        "peak_of_first_third_mib": round(max(memory[:third]) / MIB),
        "peak_of_last_third_mib": round(max(memory[-third:]) / MIB),
    }


def processor_of(process: int) -> float:
    """Seconds of processor time that a process has taken."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--counts", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--kills", type=int, default=3, help="of the largest count")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--make", action="store_true", help="make the recordings and stop")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    sounds = make(asked.folder, max(asked.counts))
    if asked.make:
        return
    rows = [
        scored(sounds, count, asked.folder, asked.kills if count == max(asked.counts) else 0, asked.jobs)
        for count in asked.counts
    ]
    from laennec.files import write_json
    from laennec.version import __version__

    found = {
        "command": "python benchmarks/score.py --folder DIR",
        "laennec": __version__,
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "date": time.strftime("%Y-%m-%d"),
        "seconds_a_recording": SECONDS,
        "rows": rows,
    }
    if asked.out:
        write_json(asked.out, found)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
