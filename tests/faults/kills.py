"""Commands that are killed at random points and typed again.

    python tests/faults/kills.py 100 --out docs/results/kills.json

Each kill is one of: SIGKILL at the entry of a system call that changes a file, drawn uniformly from those of
an undisturbed run (where strace is installed); SIGKILL, SIGTERM or SIGINT after a share of the time that an
undisturbed run takes. The command is then run again, and its results are compared with those of the
undisturbed run: `commands` says how.
"""

import argparse
import collections
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[2] / "src"), str(Path(__file__).parents[1])]

from faults.commands import COMMANDS, Command, contents, differences, halves, served
from laennec.files import write_json
from laennec.version import __version__

# Those that make, fill, rename and remove files.
CALLS = "write,pwrite64,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,ftruncate,rmdir"
STRACE = ["strace", "--follow-forks", "--seccomp-bpf", "-qq", "--signal=none"]
SIGNALS = {"SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
LIMIT_S = 1800  # a command trains for seconds, and a busy machine lets it wait
TRACEBACK = "a traceback"


@dataclass(frozen=True)
class Point:
    """Where a command is interrupted."""

    how: str
    call: str = ""
    number: int = 0
    after_s: float = 0.0

    def __str__(self) -> str:
        at = f"at {self.call} {self.number}" if self.call else f"after {self.after_s:.2f} s"
        return f"{self.how} {at}"


class Victim:
    """A command with the results of an undisturbed run, interrupted and resumed as often as wanted."""

    def __init__(self, command: Command, folder: Path, count_calls: bool = True) -> None:
        self.command, self.folder, self.out = command, folder, folder / "out"
        command.make(folder)
        self.calls: list[str] = []
        trace = folder.with_suffix(".trace")
        watch = [*STRACE, "-e", f"trace={CALLS}", "-o", str(trace)] if count_calls and strace_works() else []
        with served(folder):
            started = time.monotonic()
            self._succeed([])
            self.seconds = time.monotonic() - started
            self.wanted = contents(self.out)
            if watch:
                self.clear()
                self._succeed(watch)
                self.calls = self._own_calls(trace.read_text(errors="replace").splitlines())

    @staticmethod
    def _own_calls(lines: list[str]) -> list[str]:
        """Names of the calls of the first thread, in their order; strace counts for each thread."""
        first = lines[0].split()[0]
        own = [line for line in lines if line.startswith(f"{first} ")]
        return [found[1] for line in own if (found := re.match(r"\d+ +(\w+)\(", line))]

    def draw(self, rng: random.Random) -> Point:
        """Draw where to interrupt: half of the points are system calls, where they can be watched."""
        if self.calls and rng.random() < 0.5:
            call = rng.choice(sorted(set(self.calls)))
            return Point("SIGKILL", call, rng.randint(1, self.calls.count(call)))
        how = rng.choice(["SIGKILL", "SIGKILL", *SIGNALS])
        return Point(how, after_s=rng.uniform(0.0, self.seconds))

    def interrupted(self, point: Point) -> list[str]:
        """Interrupt and resume; return everything that is not as it should be."""
        self.clear()
        with served(self.folder):
            error = self._interrupt(point)
            wrong = [f"is no whole file: {line}" for line in halves(self.out)]
            if "Traceback" in error:
                wrong.append(f"{TRACEBACK}: {error.splitlines()[-1]}")
            done = self._run([])
        beside = sorted(path.name for path in self.folder.glob("*out*") if path != self.out)
        wrong += [f"is left beside the results: {name}" for name in beside]
        different = differences(contents(self.out), self.wanted)
        # A download that was whole before the signal came is refused as already there.
        if done.returncode and (different or "already there" not in done.stderr):
            return [*wrong, f"cannot be resumed: {done.stderr.strip()}"]
        return wrong + different

    def clear(self) -> None:
        """Remove results, and what a download keeps beside them."""
        for path in self.folder.glob("*out*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _interrupt(self, point: Point) -> str:
        """Run until the point; return what is on stderr."""
        watch: list[str] = []
        if point.call:
            inject = f"inject={point.call}:signal=KILL:when={point.number}"
            watch = [*STRACE, "-e", f"trace={point.call}", "-e", inject, "-o", os.devnull]
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(
                self._line(watch),
                cwd=self.folder,
                env=environment(),
                stdout=subprocess.DEVNULL,
                stderr=errors,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell may ignore it
            )
            if not point.call:
                try:
                    process.wait(point.after_s)
                except subprocess.TimeoutExpired:
                    process.send_signal(getattr(signal, point.how))
            process.wait(LIMIT_S)
            errors.seek(0)
            return errors.read()

    def _line(self, watch: list[str]) -> list[str]:
        return [*watch, sys.executable, "-m", "laennec", *self.command.words]

    def _run(self, watch: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._line(watch),
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )

    def _succeed(self, watch: list[str]) -> None:
        done = self._run(watch)
        if done.returncode:
            raise RuntimeError(f"{self.command.line}: {done.stderr}")


def environment() -> dict[str, str]:
    """The environment of every run: one thread, and this source."""
    path = os.pathsep.join([str(Path(__file__).parents[2] / "src"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, **ENVIRONMENT, "PYTHONPATH": path}


def strace_works() -> bool:
    """Whether strace can watch a process here."""
    if shutil.which("strace") is None:
        return False
    return not subprocess.run([*STRACE, "-o", os.devnull, "true"], capture_output=True).returncode


# --- the long form ------------------------------------------------------------------------------------------


def shares(kills: int, names: list[str]) -> dict[str, int]:
    """Deal the kills out evenly."""
    each, left = divmod(kills, len(names))
    return {name: each + (number < left) for number, name in enumerate(names)}


def measured(name: str, kills: int, folder: Path, seed: int) -> Iterator[dict[str, Any]]:
    """Interrupt one command so often; yield what has become of it after each, and print it as it comes."""
    rng = random.Random(f"{name} {seed}")
    victim = Victim(COMMANDS[name], folder / name.replace(" ", "-"))
    kinds: collections.Counter[str] = collections.Counter()
    lost, tracebacks = [], []
    for number in range(1, kills + 1):
        point = victim.draw(rng)
        wrong = victim.interrupted(point)
        kinds["system call" if point.call else point.how] += 1
        shown = [line for line in wrong if line.startswith(TRACEBACK)]
        tracebacks += [{"point": str(point), "wrong": shown}] if shown else []
        lost += [{"point": str(point), "wrong": wrong}] if len(wrong) > len(shown) else []
        print(
            f"{name} {number}/{kills}: {point}: {'; '.join(wrong) or 'as if nothing had happened'}",
            flush=True,
        )
        yield {
            "command": name,
            "kills": number,
            "resumed_equal": number - len(lost),
            "points": dict(sorted(kinds.items())),
            "seconds_undisturbed": round(victim.seconds, 1),
            "lost": lost,
            "tracebacks": tracebacks,
        }


def main() -> int:
    """Kill all commands and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kills", type=int, help="in all")
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    options = parser.parse_args()
    rows: dict[str, dict[str, Any]] = {}
    if options.out is not None and options.out.exists():  # those of other commands stay
        earlier = json.loads(options.out.read_text(encoding="utf-8"))["rows"]
        rows = {row["command"]: row for row in earlier if row["command"] not in options.only}
    head = {"command": "make faults", "laennec": __version__, "seed": options.seed}
    head["system_calls_watched"] = strace_works()
    with tempfile.TemporaryDirectory() as folder:
        dealt = {name: kills for name, kills in shares(options.kills, options.only).items() if kills}
        for name, kills in dealt.items():
            for row in measured(name, kills, Path(folder), options.seed):
                rows[name] = row
                if options.out is not None:
                    ordered = [rows[command] for command in COMMANDS if command in rows]
                    write_json(options.out, {**head, "rows": ordered})
    lost, shown = (sum(len(row[kind]) for row in rows.values()) for kind in ("lost", "tracebacks"))
    print(f"{sum(row['kills'] for row in rows.values())} kills, {lost} with a loss, {shown} with a traceback")
    return int(lost + shown > 0)


if __name__ == "__main__":
    sys.exit(main())
