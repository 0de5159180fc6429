"""What pages are told of recordings, when several threads tell: which row is the later one."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient
from web_client import API, web_client

from laennec.simulate import write_demo
from laennec.web.library import Library
from laennec.web.worker import Message
from waiting import WAIT_S

FACTS = {"duration_s": 15.0, "sample_rate": 8000, "channels": 1, "quality": []}


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A server with a recording whose analysis waits; tests say what becomes of it."""
    write_demo(tmp_path / "demo", seed=0)
    folder = tmp_path / "ward"
    folder.mkdir()
    shutil.copy(tmp_path / "demo" / "wheezes.wav", folder / "a.wav")
    client = web_client(folder)
    client.app.state.server.queue.put = lambda *new: tasks.extend(new)  # type: ignore[attr-defined]
    tasks.clear()
    with client:
        yield client


tasks: list[Any] = []


def library_of(client: TestClient) -> Library:
    library: Library = client.app.state.server.library  # type: ignore[attr-defined]
    return library


def report(message: Message) -> None:
    """Have the worker say something of the recording."""
    tasks[-1].report(message)


def run_to_the_end() -> None:
    for message in ({"kind": "started"}, {"kind": "opened", **FACTS}, {"kind": "progress", "share": 1.0}):
        report(message)


FAILED = {"kind": "failed", "error": "it is damaged"}


def test_an_answer_that_was_read_before_a_change_is_the_earlier_row(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer and a piece of news come on two ways: the page keeps the row of the greater revision."""
    library = library_of(client)
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(library.activity, "send", lambda kind, row: told.append(row))
    run_to_the_end()
    answer = library.row(1)
    report(FAILED)
    assert answer["state"] == "running"
    assert max([*told, answer], key=lambda row: row["revision"])["state"] == "failed"


def test_what_is_read_first_is_told_first(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread reads the row, another one ends the analysis meanwhile: its news come second."""
    library = library_of(client)
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(library.activity, "send", lambda kind, row: told.append(row))
    run_to_the_end()
    told.clear()
    read, ended, row_of = threading.Event(), threading.Event(), library.row

    def slow(number: int) -> dict[str, Any]:
        row = row_of(number)
        if threading.current_thread() is first:
            read.set()
            ended.wait(0.5)  # it ends here only where it does not wait for its turn
        return row

    monkeypatch.setattr(library, "row", slow)
    first = threading.Thread(target=library._tell, args=(1,))
    second = threading.Thread(target=lambda: (report(FAILED), ended.set()))
    first.start()
    assert read.wait(WAIT_S)
    second.start()
    first.join()
    second.join()
    assert [row["state"] for row in told] == ["running", "failed"]


def test_a_list_has_a_revision_that_tells_whether_news_are_later(client: TestClient) -> None:
    def listed() -> dict[str, Any]:
        return dict(client.get(f"{API}/recordings").json())

    before, after = listed(), listed()
    assert before["revision"] < after["revision"]
    assert after["recordings"][0]["revision"] == after["revision"]
    assert client.patch(f"{API}/recordings/1", json={"patient": "7"}).json()["revision"] > after["revision"]


def test_an_analysis_that_ends_while_its_row_is_read_never_waits_again(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = library_of(client)
    run_to_the_end()
    rows = library.database.rows

    def ending(query: str, values: Any = ()) -> Any:
        found = rows(query, values)
        if "shown.summary" in query and library._now:
            monkeypatch.undo()
            report(FAILED)
        return found

    monkeypatch.setattr(library.database, "rows", ending)
    assert library.row(1)["state"] == "running"
    assert library.row(1)["state"] == "failed"


def test_an_unforeseen_error_with_an_answer_leaves_nothing_running(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = library_of(client)
    told: list[str] = []
    monkeypatch.setattr(library.activity, "send", lambda kind, _: told.append(kind))
    run_to_the_end()

    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(library, "_keep", broken)
    with pytest.raises(ZeroDivisionError):
        report(FAILED)
    row = library.row(1)
    assert (row["state"], row["error"]) == ("failed", "the result is not kept: an error in Laennec")
    assert told[-1] == "reload"
