"""Clients of `laennec serve` all at once: how long answers take, what fails, and memory.

    python benchmarks/clients.py [--clients 20] [--seconds 60]

Each client sends recordings of 15 s and waits for their analyses (`POST analyze`), adds others to the folder,
and asks for the list, for analyses and for tiles, one after the other without a pause. Every recording is
another one. Memory is of the server with its workers, each second.
"""

import argparse
import io
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from pathlib import Path
from typing import Any

RATE = 8_000


def main() -> None:
    """Print the figures of a run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "laennec", "serve", folder, "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            address = server.stdout.readline().split()[3]
            run = Run(address)
            print(
                f"a recording is sent and shown, warm: {run.shown_after_s():.2f} s (median of 5)", flush=True
            )
            run.all_at_once(asked.clients, asked.seconds, server.pid)
            server.terminate()
    run.report()


class Run:
    """Answers and memory of a run."""

    def __init__(self, address: str) -> None:
        self.address = f"{address}api/v1/"
        self.taken_s: dict[str, list[float]] = defaultdict(list)
        self.errors: dict[str, int] = defaultdict(int)
        self.memory_mib: list[float] = []
        self._sound = _simulated()

    def ask(self, what: str, path: str, content: bytes | None = None) -> Any:
        """Ask, take the time, and count what is refused."""
        request = urllib.request.Request(self.address + path, content)
        start = time.perf_counter()
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            self.errors[f"{what}: {error.code}"] += 1
            return None
        except OSError as error:
            self.errors[f"{what}: {type(error).__name__}"] += 1
            return None
        self.taken_s[what].append(time.perf_counter() - start)
        return json.loads(body) if body.startswith(b"{") else body

    def shown_after_s(self) -> float:
        """From sending a recording to its analysis, model loaded, nobody else there."""
        taken = []
        for _ in range(6):
            start = time.perf_counter()
            number = self.ask("first", "recordings?name=a.wav", self._another())["id"]
            while self.ask("first", f"recordings/{number}")["state"] != "done":
                time.sleep(0.005)
            taken.append(time.perf_counter() - start)
        return statistics.median(taken[1:])

    def all_at_once(self, clients: int, seconds: float, server: int) -> None:
        """Let every client do all of it again and again."""
        ends = time.monotonic() + seconds
        threads = [threading.Thread(target=self._client, args=[ends]) for _ in range(clients)]
        for thread in threads:
            thread.start()
        while time.monotonic() < ends:
            self.memory_mib.append(memory_mib(server))
            time.sleep(1.0)
        for thread in threads:
            thread.join()

    def _client(self, ends: float) -> None:
        while time.monotonic() < ends:
            self.ask("POST analyze (15 s)", "analyze?name=a.wav", self._another())
            row = self.ask("POST recordings (15 s)", "recordings?name=b.wav", self._another())
            self.ask("GET recordings", "recordings")
            if row is not None:
                self.ask("GET recording", f"recordings/{row['id']}")
                self.ask("GET spectrogram", f"recordings/{row['id']}/spectrogram")
                for _ in range(4):
                    self.ask("GET tile", f"recordings/{row['id']}/tiles/0/{random.randrange(3)}.png")

    def _another(self) -> bytes:
        head, samples = self._sound[:44], bytearray(self._sound[44:])
        samples[:16] = os.urandom(16)
        return head + bytes(samples)

    def report(self) -> None:
        """Print what was measured."""
        for what, taken in self.taken_s.items():
            ordered = sorted(taken)
            p95 = ordered[int(0.95 * (len(ordered) - 1))]
            print(f"{what}: {len(taken)} answers, median {statistics.median(taken):.3f} s, 95 % {p95:.3f} s")
        print(f"refused or failed: {dict(self.errors) or 'none'}")
        tenth = max(1, len(self.memory_mib) // 10)
        first, last = statistics.mean(self.memory_mib[:tenth]), statistics.mean(self.memory_mib[-tenth:])
        print(f"memory: {first:.0f} MiB at first, {last:.0f} at last, {max(self.memory_mib):.0f} at most")


def _simulated() -> bytes:
    import soundfile

    from laennec.simulate import demo_recordings

    samples = next(iter(demo_recordings().values())).samples[: 15 * RATE]
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def memory_mib(process: int) -> float:
    """Resident memory of a process and all below it, from Linux's /proc."""
    total, waiting = 0, [process]
    while waiting:
        place = Path(f"/proc/{waiting.pop()}")
        try:
            total += int((place / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            for task in (place / "task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except OSError:  # it has ended
            continue
    return total / 2**20


if __name__ == "__main__":
    main()
