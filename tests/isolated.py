"""Commands in a process of their own, with an empty home folder, watched by strace for what they send."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# A network address, or the local service that looks up hosts for others.
NETWORK = re.compile(r"sa_family=AF_INET|systemd/resolve")
STRACE = ["strace", "--follow-forks", "--seccomp-bpf", "-e", "trace=connect,sendto,sendmsg,sendmmsg"]


def run_isolated(arguments: list[str], home: Path, trace: Path | None = None) -> set[str]:
    """Run `laennec` with an empty home folder and return the files that it left there.

    Parameters
    ----------
    arguments : list of str
        What follows ``laennec``.
    home : Path
        The new home folder.
    trace : Path, optional
        Where strace records connections and what is sent. The test is skipped where strace does not run.

    Returns
    -------
    set of str
        Paths below `home`, folders left out.
    """
    home.mkdir()
    environment = fresh_environment()
    environment |= {"HOME": str(home), "USERPROFILE": str(home), "LOCALAPPDATA": str(home)}
    watch = [] if trace is None else [*STRACE, "-o", str(trace)]
    if watch:
        need_strace()
    command = [*watch, sys.executable, "-m", "laennec", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}


def fresh_environment() -> dict[str, str]:
    """Return the environment without what importing Laennec has set, and without other homes than HOME."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("XDG_") and name not in ("ORT_DISABLE_TELEMETRY", "MPLCONFIGDIR")
    }


def network_use(trace: Path) -> list[str]:
    """Return the recorded calls that concern a network address; sockets within the computer are none."""
    return [line for line in trace.read_text(errors="replace").splitlines() if NETWORK.search(line)]


def need_strace() -> None:
    """Skip the test where strace cannot watch a process."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    if subprocess.run([*STRACE, "-o", os.devnull, "true"], capture_output=True).returncode:
        pytest.skip("strace may not watch a process here, or is older than 5.3")
