"""``laennec serve`` as a process: how it begins and ends, and what is left after a power cut."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
from web_client import web_client

from isolated import STRACE, network_use, strace_works
from laennec.cli import main
from laennec.files import is_running
from laennec.simulate import write_demo
from waiting import WAIT_S, until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "demo"
    write_demo(folder)
    return folder


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "laennec", "serve", *arguments]


@contextmanager
def serving(
    folder: Path, *arguments: str, before: tuple[str, ...] = (), **environment: str
) -> Iterator[tuple[Any, str]]:
    """A server in a process of its own, and its address."""
    process = subprocess.Popen(
        [*before, *command(str(folder), "--port", "0", *arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environment,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Laennec is at http://127.0.0.1:"), process.communicate()[1]
        yield process, line.split()[3]
    finally:
        process.kill()
        process.communicate()


def ask(address: str, path: str, content: bytes | Iterator[bytes] | None = None) -> Any:
    request = urllib.request.Request(f"{address}api/v1/{path}", content)
    if isinstance(content, bytes) and content.startswith(b"{"):
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
        return json.loads(answer.read())


def rows(address: str) -> list[dict[str, Any]]:
    return list(ask(address, "recordings")["recordings"])


def test_a_folder_is_open_once_a_port_taken_once_and_ctrl_c_ends_it_although_a_page_is_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(tmp_path) as (process, address):
        port = address.rstrip("/").rpartition(":")[2]
        for folder, asked, said in (
            (tmp_path, "0", f"is open already, at {address}"),
            (tmp_path, port, f"is open already, at {address}"),
            (tmp_path / "other", port, f"port {port} of 127.0.0.1 cannot be used"),
        ):
            folder.mkdir(exist_ok=True)
            with pytest.raises(SystemExit) as left:
                main(["serve", str(folder), "--port", asked])
            assert left.value.code == 1
            assert said in capsys.readouterr().err
        news = urllib.request.urlopen(f"{address}api/v1/activity", timeout=WAIT_S)
        assert news.readline() == b"event: hello\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == 0
        assert process.stderr.read() == ""
        news.close()
    assert not (tmp_path / ".laennec" / "address").exists()
    with web_client(tmp_path) as client:  # it has let go of the folder
        assert client.get("/api/v1/health").status_code == 200


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "0.0.0.0"], "choose a --token as well"),
        (["--host", "0.0.0.0", "--token", "short"], "choose 16 or more"),
        (["--port", "70000"], "expected 0 to 65535"),
        (["--model", "nothing.onnx"], "no such model file"),
    ],
)
def test_what_cannot_be_served_is_said(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["serve", str(tmp_path), *arguments])
    assert left.value.code in (1, 2)
    assert said in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mistyped = tmp_path / "wrad 3"
    with pytest.raises(SystemExit) as left:
        main(["serve", str(mistyped)])
    assert left.value.code == 1
    assert f"no such folder; make it with mkdir '{mistyped}'" in capsys.readouterr().err
    assert not mistyped.exists()


def test_after_a_kill_nothing_that_was_answered_is_lost(demo: Path, tmp_path: Path) -> None:
    """In the middle of an upload, an analysis and edits."""
    shutil.copy(demo / "wheezes.wav", tmp_path / "a.wav")
    shutil.copy(demo / "fine_crackles.wav", tmp_path / "b.wav")
    with serving(tmp_path) as (process, address):
        until(lambda: all(row["state"] == "done" for row in rows(address)))
        a, b = (next(row for row in rows(address) if row["name"] == name) for name in ("a.wav", "b.wav"))
        ask(address, "readers", b'{"name": "Ada"}')
        revision = ask(address, f"recordings/{a['id']}/events?reader=Ada")["revision"]
        answered = 0

        def edit() -> None:
            nonlocal answered, revision
            with suppress(OSError):
                while True:
                    event = {"start_s": answered / 100, "end_s": answered / 100 + 0.5, "label": "Wheeze"}
                    edits = [{"kind": "add", "events": [event]}]
                    body = {"reader": "Ada", "revision": revision, "edits": edits}
                    state = ask(address, f"recordings/{a['id']}/edits", json.dumps(body).encode())
                    revision, answered = state["revision"], answered + 1

        def send() -> None:
            with suppress(OSError):
                ask(address, "recordings?name=c.wav", slow())

        threads = [threading.Thread(target=edit), threading.Thread(target=send)]
        for thread in threads:
            thread.start()
        ask(address, f"recordings/{b['id']}/analyze", b"")
        until(lambda: answered >= 5)
        workers = children(process.pid)
        process.kill()
        process.wait()
        until(lambda: not [worker for worker in workers if is_running(worker)])
        for thread in threads:
            thread.join(WAIT_S)
    with serving(tmp_path) as (_, address):
        state = ask(address, f"recordings/{a['id']}/events?reader=Ada")
        kept = [event for event in state["events"] if event["status"] == "added"]
        assert answered <= len(kept) <= answered + 1, "one more may have been written and not answered"
        found = until(lambda: [row["state"] for row in rows(address)] == ["done", "done"] and rows(address))
        assert [row["record"] for row in found] == [a["record"], b["record"]]
        assert [row["reviewed"] for row in found] == [[], []]
        assert not list(tmp_path.rglob("*.part")), "half of an upload is not kept"


def children(process: int) -> list[int]:
    """The processes that a process has started, where the system tells."""
    place = Path(f"/proc/{process}/task/{process}/children")
    return [int(child) for child in place.read_text().split()] if place.exists() else []


def slow() -> Iterator[bytes]:
    """A body that does not come to its end."""
    while True:
        yield bytes(1000)
        time.sleep(0.01)


def test_it_asks_no_other_computer_and_leaves_nothing_at_home(demo: Path, tmp_path: Path) -> None:
    """Under strace: of an upload, its analysis, its picture and its sound, nothing goes elsewhere."""
    if not strace_works():
        pytest.skip("strace cannot watch a process here")
    trace, folder, home = tmp_path / "trace", tmp_path / "ward", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    with serving(folder, before=(*STRACE, "-o", str(trace)), HOME=str(home)) as (process, address):
        row = ask(address, "recordings?name=a.wav", (demo / "wheezes.wav").read_bytes())
        until(lambda: rows(address)[0]["state"] == "done")
        ask(address, f"recordings/{row['id']}/spectrogram")
        ask(address, "models")
        for child in children(process.pid):  # of strace
            os.kill(child, signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
    assert network_use(trace) == []
    assert list(home.iterdir()) == []
