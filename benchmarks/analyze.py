"""Processor time and memory of `laennec analyze` on one 15 s recording, whole process, cold.

    python benchmarks/analyze.py [--against SRC] [--out docs/results/speed.json]

With `--against`, the folder `src` of another checkout, both take turns. Beside them stands the least that
such a process can take: Python with NumPy, ONNX Runtime and libsndfile imported, and the analysis itself.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

# A child's peak memory begins at its parent's, so a parent of ten MiB starts what is measured.
SMALL_PARENT = """
import os, sys
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[
    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
_, status, used = os.wait4(child, 0)
print(used.ru_utime + used.ru_stime, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 2**20)
sys.exit(bool(status))
"""


def cost(line: list[str]) -> tuple[float, float]:
    """Processor seconds and peak memory in MiB of a process, whose output is thrown away."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", SMALL_PARENT, *line], stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(line)} failed")
    seconds, memory_mib = map(float, done.stdout.split())
    return seconds, memory_mib


IMPORTS = "import laennec, numpy, onnxruntime, soundfile, soxr"
WARM = """
import json, sys, time
from laennec import analyze, load_model
model = load_model("recording")
analyze(sys.argv[1], model=model)
start = time.process_time()
analyze(sys.argv[1], model=model)
print(time.process_time() - start)
"""


def main() -> None:
    """Start the command several times, in turn with others, and print the medians."""
    from laennec.simulate import write_demo

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--against", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    here = Path(__file__).resolve().parents[1] / "src"
    trees = {"now": here} | ({"before": asked.against.resolve()} if asked.against else {})
    taken: dict[str, list[float]] = {name: [] for name in (*trees, "imports", "analysis")}
    memory: dict[str, list[float]] = {name: [] for name in trees}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PYTHONPYCACHEPREFIX"] = folder  # bytecode is there, as after an installation
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        recording = str(write_demo(Path(folder) / "demo")[0])
        command = [sys.executable, "-m", "laennec", "analyze", recording, "--json"]
        for number in range(asked.rounds + 1):
            for name, source in trees.items():
                os.environ["PYTHONPATH"] = str(source)
                seconds, memory_mib = cost(command)
                if number:  # the first one writes bytecode
                    taken[name].append(seconds)
                    memory[name].append(memory_mib)
            os.environ["PYTHONPATH"] = str(here)
            if number:
                taken["imports"].append(cost([sys.executable, "-c", IMPORTS])[0])
                line = [sys.executable, "-c", WARM, recording]
                taken["analysis"].append(float(subprocess.run(line, capture_output=True, check=True).stdout))
    row = {name: round(statistics.median(own), 3) for name, own in taken.items()}
    row["memory_mib"] = round(statistics.median(memory["now"]))
    if asked.against:
        pairs = zip(taken["before"], taken["now"], strict=True)
        row["ratio"] = round(statistics.median(before / now for before, now in pairs), 2)
    print(json.dumps(row))
    if asked.out:
        from record import write

        write(asked.out, "start", [row], "tyro", "rich", rounds=asked.rounds)


if __name__ == "__main__":
    main()
