"""Commands in a process of their own, with an empty home folder, watched for what they send."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# A network address, or the local service that looks up hosts for others.
NETWORK = re.compile(r"sa_family=AF_INET|systemd/resolve")
STRACE = ["strace", "--follow-forks", "--seccomp-bpf", "-e", "trace=connect,sendto,sendmsg,sendmmsg"]


# Several commands in one process: PyTorch takes seconds to import. Python's own calls are noted too, where
# strace may not watch; an address that is a path (AF_UNIX) stays on this computer.
RUNNER = """
import json, sys

seen = open(sys.argv[2], "a")

# urllib3 binds to ::1 to learn of IPv6, which sends nothing.
SENDING = {"connect", "sendto", "sendmsg", "getaddrinfo", "gethostbyname", "gethostbyaddr"}

def watch(event, arguments):
    if event.removeprefix("socket.") in SENDING:
        if not any(isinstance(argument, str | bytes) and "/" in str(argument) for argument in arguments[1:]):
            print(event, arguments, file=seen, flush=True)

sys.addaudithook(watch)
from laennec.cli import main

for words in json.loads(sys.argv[1]):
    try:
        main(words)
    except SystemExit as left:
        if left.code:
            sys.exit(f"laennec {' '.join(words)}: {left.code}")
"""


def run_isolated(lines: Sequence[Sequence[str]], home: Path, trace: Path) -> tuple[set[str], list[str]]:
    """Run commands one after the other with an empty home folder, watched.

    Parameters
    ----------
    lines : list of list of str
        What follows ``laennec``.
    home : Path
        The new home folder.
    trace : Path
        Where strace records connections and what is sent, if it runs here.

    Returns
    -------
    set of str
        Files that are left in `home`.
    list of str
        Calls that concern a network address, as strace or Python saw them.
    """
    home.mkdir()
    environment = fresh_environment()
    environment |= {"HOME": str(home), "USERPROFILE": str(home), "LOCALAPPDATA": str(home)}
    watch = [*STRACE, "-o", str(trace)] if strace_works() else []
    seen = trace.with_suffix(".python")
    command = [*watch, sys.executable, "-c", RUNNER, json.dumps(lines), str(seen)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    left = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}
    return left, [*(network_use(trace) if watch else []), *seen.read_text().splitlines()]


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


def strace_works() -> bool:
    """Whether strace is there, 5.3 or newer, and may watch a process."""
    if shutil.which("strace") is None:
        return False
    return not subprocess.run([*STRACE, "-o", os.devnull, "true"], capture_output=True).returncode
