"""Work in parallel processes: the same results, one failure named, nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import active_children
from pathlib import Path

import pytest

from laennec.errors import LaennecError, UsageError
from laennec.train.hardware import Hardware
from laennec.train.workers import Work, run_all

pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="forks, as on Linux")


def write(path: Path, text: str) -> None:
    print(f"writing {text}")
    path.write_text(f"{text} {os.getpid()}")


def fail(how: str) -> None:
    if how == "signal":
        os.kill(os.getpid(), signal.SIGKILL)
    raise LaennecError("the clips are bad") if how == "known" else ValueError("no such thing")


def test_work_is_done_by_processes_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = [Work(f"piece {n}", partial(write, tmp_path / str(n), f"text {n}"), n == 3) for n in range(4)]
    started: list[str] = []
    seconds: dict[str, float] = {}
    run_all(iter(work), 2, started.append, seconds.__setitem__)
    by = {int((tmp_path / str(n)).read_text().split()[-1]) for n in range(3)}
    assert len(by - {os.getpid()}) == 3
    assert (tmp_path / "3").read_text() == f"text 3 {os.getpid()}"  # what is done is looked at here
    assert started == ["piece 0", "piece 1", "piece 2"]
    assert set(seconds) == {"piece 0", "piece 1", "piece 2", "piece 3"}
    assert seconds["piece 3"] == 0 < seconds["piece 0"]
    said = capsys.readouterr().err.splitlines()
    assert sorted(said) == [f"piece {n}: writing text {n}" for n in range(3)]


@pytest.mark.parametrize(
    ("how", "named"),
    [
        ("known", "piece 0: the clips are bad. The others are kept"),
        ("unknown", r"piece 0: ValueError: no such thing \(an error in Laennec"),
        ("signal", r"piece 0: its process was ended by signal 9 \(is there memory"),
    ],
)
def test_a_failure_is_named_and_the_others_are_kept(how: str, named: str, tmp_path: Path) -> None:
    work = [Work("piece 0", partial(fail, how))]
    work += [Work(f"piece {n}", partial(write, tmp_path / str(n), "text")) for n in (1, 2)]
    with pytest.raises(LaennecError, match=named):
        run_all(work, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]


def test_what_stops_the_parent_stops_all() -> None:
    started: list[str] = []

    def work() -> Iterator[Work]:
        yield Work("sleeper", partial(time.sleep, 600))
        raise KeyboardInterrupt

    before = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_all(work(), 2, started.append)
    assert time.monotonic() - before < 20
    assert started == ["sleeper"]
    assert "sleeper" not in [process.name for process in active_children()]


PARENT = """
import os, sys, time
from functools import partial
from multiprocessing import active_children
from pathlib import Path
from laennec.train.workers import Work, run_all
def sleep(name):
    Path(name).write_text(str(os.getpid()))
    time.sleep(600)
run_all([Work(name, partial(sleep, name)) for name in sys.argv[1:]], 2)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_its_parent(number: signal.Signals, tmp_path: Path) -> None:
    names = [str(tmp_path / "a"), str(tmp_path / "b")]
    parent = subprocess.Popen([sys.executable, "-c", PARENT, *names], stderr=subprocess.DEVNULL)
    wait_for(lambda: all(Path(name).is_file() and Path(name).read_text() for name in names))
    children = [int(Path(name).read_text()) for name in names]
    parent.send_signal(number)
    parent.wait(30)
    wait_for(lambda: not any(is_alive(child) for child in children))


def wait_for(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


SEVERAL_THREADS = """
import os, sys
from functools import partial
from multiprocessing import active_children
from pathlib import Path
import torch
from laennec.train.workers import Work, run_all
def train():
    image, kernel = torch.randn(4, 8, 64, 64), torch.randn(16, 8, 3, 3, requires_grad=True)
    torch.nn.functional.conv2d(image, kernel).relu().sum().backward()
    (torch.randn(400, 400) @ torch.randn(400, 400)).exp().sum()
def work(out):
    train()
    Path(out).write_text(str(torch.get_num_threads()))
torch.set_num_threads(2)
train()
run_all([Work(out, partial(work, out)) for out in sys.argv[1:]], 2)
assert torch.get_num_threads() == 2
"""


def test_processes_do_not_wait_for_threads_that_the_parent_had(tmp_path: Path) -> None:
    """Without one thread each, both wait for ever."""
    environment = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    names = [str(tmp_path / "a"), str(tmp_path / "b")]
    line = [sys.executable, "-c", SEVERAL_THREADS, *names]
    subprocess.run(line, env=environment, check=True, timeout=60)
    assert [Path(name).read_text() for name in names] == ["1", "1"]


def test_processes_have_no_threads_of_their_own() -> None:
    """Several threads in a process of `--jobs` can wait for ever, as above."""
    with pytest.raises(UsageError, match="each process of --jobs 2 has one thread; leave --threads 3 out"):
        Hardware(jobs=2, threads=3)
    assert Hardware(jobs=2, threads=1).threads == 1


def test_a_number_of_jobs_that_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="--jobs is 0"):
        Hardware(jobs=0)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert Hardware(jobs=1).jobs == 1
    with pytest.raises(UsageError, match="leave it out"):
        Hardware(jobs=2)
