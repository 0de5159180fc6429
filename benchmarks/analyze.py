"""Processor time and memory of `laennec analyze` on one 15 s recording, whole process, cold.

Run:  python benchmarks/analyze.py
"""

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


def main() -> None:
    """Start the command several times and print the median."""
    from laennec.simulate import write_demo

    rounds = 7
    with tempfile.TemporaryDirectory() as folder:
        recording = write_demo(Path(folder) / "demo")[0]
        line = [sys.executable, "-m", "laennec", "analyze", str(recording), "--json"]
        seconds, memory_mib = zip(*(cost(line) for _ in range(rounds)), strict=True)
    print(
        f"processor time  {statistics.median(seconds):.2f} s (median of {rounds}, largest {max(seconds):.2f})"
    )
    print(f"memory          {statistics.median(memory_mib):.0f} MiB (largest {max(memory_mib):.0f})")


if __name__ == "__main__":
    main()
