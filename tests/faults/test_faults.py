"""What goes wrong around a command: full disks, closed streams, missing homes, limits, odd clocks.

Each is a command in a process of its own. It does its work, or says in one line why it cannot; what it has
written is whole.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from faults.commands import halves, recordings
from faults.kills import environment

ANALYZE = ("analyze", "sounds", "--out", "out", "--format", "json,csv,html")
RESULTS = {"r0.csv", "r0.html", "r0.json", "r0.record.csv", "summary.csv"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with one recording."""
    recordings(tmp_path, 1)
    return tmp_path


def laennec(
    place: Path,
    words: Sequence[str],
    *,
    before: str = "",
    limits: Callable[[], None] | None = None,
    more: dict[str, str | None] | None = None,
    redirect: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, after lines of a shell and under limits, and return how it ended."""
    given = {name: value for name, value in {**environment(), **(more or {})}.items() if value is not None}
    line = f"{before}\nexec {sys.executable} -m laennec {' '.join(words)} {redirect}"
    done = subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=place,
        env=given,
        capture_output=True,
        text=True,
        preexec_fn=limits,
        timeout=120,
    )
    return in_order(done)


def with_mounts(
    place: Path, mounts: str, words: Sequence[str], after: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command where `mounts`, lines of a shell, hold for it alone; skipped where none may be made."""
    own = ["unshare", "--mount", "--map-root-user"]
    trial = [*own, "mount", "-t", "tmpfs", "none", str(place / "sounds")]
    if shutil.which("unshare") is None or subprocess.run(trial, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    run = f"{sys.executable} -m laennec {' '.join(words)}"
    line = f"set -e\n{mounts}\nset +e\n{run}\ncode=$?\n{after}\nexit $code"
    done = subprocess.run(
        [*own, "sh", "-c", line],
        cwd=place,
        env={**environment(), "COLUMNS": "250"},  # a narrower table breaks the message
        capture_output=True,
        text=True,
        timeout=120,
    )
    return in_order(done)


def in_order(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """Return how a command ended, which was neither by a traceback nor by a mistake of ours."""
    assert "Traceback" not in done.stderr
    assert "an error in Laennec" not in done.stdout + done.stderr
    return done


def results(place: Path) -> set[str]:
    """Names of the results, all of them whole."""
    assert halves(place / "out") == []
    return {path.name for path in (place / "out").rglob("*") if path.is_file() and path.name[0] != "."}


# --- disks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ANALYZE,
        ("simulate", "out", "--subjects", "1", "--recordings", "1"),
        ("simulate", "out", "--layout", "demo"),
    ],
    ids=["analyze", "simulate", "demo"],
)
def test_a_full_disk_is_named_and_nothing_is_half(place: Path, words: Sequence[str]) -> None:
    mount = "mkdir -p out kept\nmount -t tmpfs -o size=24k none out\n"
    done = with_mounts(place, mount, words, "cp -r out/. kept")
    assert done.returncode == 1
    assert "No space left on device" in done.stdout + done.stderr
    assert halves(place / "kept") == []


def test_a_file_above_the_limit_of_the_system_is_named(place: Path) -> None:
    def limits() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    for words in (ANALYZE, ("simulate", "simulated", "--subjects", "1", "--recordings", "1")):
        done = laennec(place, words, limits=limits)
        assert done.returncode == 1
        assert "File too large" in done.stdout + done.stderr
    assert halves(place / "out") == halves(place / "simulated") == []


def test_a_read_only_folder_for_results_is_named(place: Path) -> None:
    mount = "mkdir -p out\nmount --bind out out\nmount -o remount,ro,bind out"
    for words in (ANALYZE, ("simulate", "out", "--layout", "demo")):
        done = with_mounts(place, mount, words)
        assert done.returncode == 1
        assert done.stderr.startswith("laennec: ")
        assert "out" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_the_package_may_lie_on_a_read_only_disk(place: Path) -> None:
    package = Path(__file__).parents[2] / "src"
    mount = f"mount --bind {package} {package}\nmount -o remount,ro,bind {package}"
    assert with_mounts(place, mount, ANALYZE).returncode == 0
    assert results(place) == RESULTS


# --- the environment ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        {"HOME": None},
        {"HOME": "/nonexistent", "TMPDIR": "/nonexistent", "XDG_CACHE_HOME": "/nonexistent"},
        {"HOME": "", "LC_ALL": "C", "LANG": None, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "xx_XX.nothing", "TERM": "unknown", "COLUMNS": "nonsense"},
        {"PATH": "", "TZ": "Nowhere/Nothing"},
    ],
    ids=["no home", "nothing is there", "C", "nonsense", "no path"],
)
def test_an_environment_that_lacks_what_is_usual(place: Path, more: dict[str, str | None]) -> None:
    (place / "sounds" / "r0.wav").rename(place / "sounds" / "Atemgeräusch.wav")
    done = laennec(place, ANALYZE, more=more)
    assert done.returncode == 0, done.stderr
    assert results(place) == {name.replace("r0", "Atemgeräusch") for name in RESULTS}


def test_the_folder_of_work_is_gone(place: Path) -> None:
    line = "mkdir gone && cd gone && rmdir ../gone"
    sounds, out = place / "sounds", place / "out"
    # Without it Python itself cannot begin in a folder that is gone.
    source = {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = laennec(place, ["analyze", str(sounds), "--out", str(out)], before=line, more=source)
    assert done.returncode == 0
    assert (out / "summary.csv").exists()
    done = laennec(place, ["analyze", "r0.wav", "--out", "out"], before=line, more=source)
    assert done.returncode in (1, 2)
    assert done.stderr.startswith("laennec: ")


@pytest.mark.parametrize("redirect", ["<&-", ">&-", "<&- >&- 2>&-"])
def test_closed_streams(place: Path, redirect: str) -> None:
    done = laennec(place, ANALYZE, redirect=redirect)
    assert results(place) == RESULTS
    assert done.returncode == 0, done.stderr
    assert laennec(place, ["analyze", "nowhere.wav"], redirect=redirect).returncode == 1
    assert laennec(place, ["analyze", "--nonsense"], redirect=redirect).returncode == 2


@pytest.mark.parametrize("year", [1903, 1979, 2107])
def test_clocks_and_files_of_other_times(place: Path, year: int) -> None:
    """Zip archives begin in 1980, and hold no time after 2107."""
    seconds = (year - 1970) * 365.25 * 86_400
    os.utime(place / "sounds" / "r0.wav", (seconds, seconds))
    code = f"""
import sys, time
time.time, time.time_ns = lambda: {seconds}, lambda: int({seconds}) * 10**9
from laennec.cli import main
main(sys.argv[1:])
"""
    for _ in range(2):  # the second finds what the first did
        done = subprocess.run(
            [sys.executable, "-c", code, *ANALYZE],
            cwd=place,
            env=environment(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    assert "1 done before" in done.stdout
    assert results(place) == RESULTS


# --- limits -------------------------------------------------------------------------------------------------


def test_few_open_files_are_enough(place: Path) -> None:
    recordings(place, 3)

    def limits() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))

    done = laennec(place, ANALYZE, limits=limits)
    assert done.returncode == 0, done.stderr
    assert len(results(place)) == 13


@pytest.mark.parametrize("mib", [60, 150, 250])
def test_little_memory_is_a_message(place: Path, mib: int) -> None:
    def limits() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (mib << 20, mib << 20))

    done = laennec(place, ANALYZE, limits=limits)
    if done.returncode:
        said = (done.stdout + done.stderr).lower()
        assert "memory" in said or "cannot be loaded" in said
    elif (place / "out").exists():
        assert results(place) == RESULTS


# --- signals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_keeps_what_is_done(place: Path, sent: signal.Signals) -> None:
    recordings(place, 30)
    code = {signal.SIGINT: 1, signal.SIGTERM: 143, signal.SIGHUP: 129}[sent]
    line = [sys.executable, "-m", "laennec", *ANALYZE]
    with subprocess.Popen(
        line,
        cwd=place,
        env=environment(),
        text=True,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(sent, signal.SIG_DFL),  # a shell ignores some for what it runs
    ) as process:
        until = time.monotonic() + 60  # each process has written two by then, so that the first are noted
        while len(list((place / "out").rglob("*.html"))) < 6 and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(sent)
        error = process.communicate(timeout=60)[1]
    assert (process.returncode, error) == (
        code, "laennec: interrupted; the same command resumes where it can\n"
    )  # fmt: skip
    ledger: dict[str, Any] = json.loads((place / "out" / ".laennec-analyze.json").read_text())
    done = [entry for entry in ledger["files"].values() if "summary" in entry]
    assert done
    assert len(done) < 30
