"""The queue of analyses and its worker: order, cancelling, and what is left when the worker dies."""

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient
from web_client import web_client

from laennec.model.load import SHIPPED
from laennec.simulate import write_demo
from laennec.web.state import Server
from waiting import until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals that stop a process")
API = "/api/v1"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A server of two recordings that are analysed."""
    demo = tmp_path_factory.mktemp("demo") / "demo"
    write_demo(demo)
    with web_client(demo, worker_bytes=5 * 2**30) as client:
        until(lambda: {row["state"] for row in rows(client)} == {"done"})
        yield client


def server_of(client: TestClient) -> Server:
    server = client.app.state.server  # type: ignore[attr-defined]
    assert isinstance(server, Server)
    return server


def rows(client: TestClient) -> list[dict[str, Any]]:
    return list(client.get(f"{API}/recordings").json()["recordings"])


def states(client: TestClient) -> list[str]:
    return [row["state"] for row in rows(client)]


def stopped(client: TestClient) -> int:
    """Have the worker begin the first recording and go no further; its number."""
    until(lambda: set(states(client)) == {"done"})  # tests may come in any order
    number = server_of(client).queue.worker.process_id
    assert number is not None
    os.kill(number, signal.SIGSTOP)
    for row in rows(client):
        client.post(f"{API}/recordings/{row['id']}/analyze")
    until(lambda: states(client) == ["running", "waiting"])
    return number


def test_a_worker_that_dies_costs_its_recording_alone(client: TestClient) -> None:
    os.kill(stopped(client), signal.SIGKILL)
    until(lambda: states(client) == ["failed", "done"])
    failed = rows(client)[0]
    assert "broke off" in failed["error"]
    assert failed["record"] is not None, "what was known of it stays"
    client.post(f"{API}/recordings/{failed['id']}/analyze")
    until(lambda: states(client) == ["done", "done"])
    assert rows(client)[0]["error"] is None


def test_what_runs_and_what_waits_can_be_cancelled(client: TestClient) -> None:
    stopped(client)
    first, second = rows(client)
    assert client.post(f"{API}/recordings/{second['id']}/cancel").json()["state"] == "cancelled"
    assert client.post(f"{API}/recordings/{first['id']}/cancel").json()["state"] == "cancelled"
    assert states(client) == ["cancelled", "cancelled"]
    assert client.post(f"{API}/rescan").json()["added"] == 0
    assert states(client) == ["cancelled", "cancelled"], "nothing begins them again unasked"
    for row in rows(client):
        client.post(f"{API}/recordings/{row['id']}/analyze")
    until(lambda: states(client) == ["done", "done"])
    worker = server_of(client).queue.worker.process_id
    assert client.post(f"{API}/recordings/{first['id']}/cancel").json()["state"] == "done"
    client.post(f"{API}/recordings/{first['id']}/analyze")
    until(lambda: states(client) == ["done", "done"])
    assert server_of(client).queue.worker.process_id == worker, "it was ended for what was done already"


def test_another_model_analyses_everything_anew_and_earlier_answers_are_kept(client: TestClient) -> None:
    before = rows(client)
    count = server_of(client).database.row("SELECT count(*) AS n FROM suggestion")["n"]  # type: ignore[index]
    assert client.post(f"{API}/models/nothing/use").status_code == 404
    listed = client.post(f"{API}/models/default/use").json()["models"]
    assert [model["name"] for model in listed if model["in_use"]] == ["default"]
    until(lambda: states(client) == ["done", "done"])
    assert [row["model"]["sha256"] for row in rows(client)] == [SHIPPED["default"]] * 2
    client.post(f"{API}/models/{SHIPPED['recording']}/use")
    until(lambda: states(client) == ["done", "done"])
    assert [row["record"] for row in rows(client)] == [row["record"] for row in before]
    models = server_of(client).database.rows("SELECT DISTINCT model_sha256 FROM suggestion")
    assert {row["model_sha256"] for row in models} == {SHIPPED["default"], SHIPPED["recording"]}
    assert server_of(client).database.row("SELECT count(*) AS n FROM suggestion")["n"] > count  # type: ignore[index]


def test_what_happens_is_told_in_order(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """To open pages: the recording begins, is opened, its events come, it is done."""
    told: list[tuple[str, Any]] = []
    monkeypatch.setattr(
        server_of(client).activity, "send", lambda kind, content: told.append((kind, content))
    )
    number = rows(client)[0]["id"]
    client.post(f"{API}/recordings/{number}/analyze")
    until(lambda: told and told[-1][0] == "recording" and told[-1][1]["state"] == "done")
    kinds = [content["state"] if kind == "recording" else kind for kind, content in told]
    assert [kind for kind, _ in groupby(kinds) if kind != "waiting"] == ["running", "found", "done"]
    found = next(content for kind, content in told if kind == "found")
    assert len(found["events"]) == sum(told[-1][1]["counts"].values())
    assert {event["label"] for event in found["events"]} == set(told[-1][1]["counts"])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells limits of others")
def test_the_worker_has_limits_and_a_limit_of_time(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = server_of(client).queue.worker
    limits = Path(f"/proc/{worker.process_id}/limits").read_text().splitlines()
    space = next(line.split()[3] for line in limits if line.startswith("Max address space"))
    cores = next(line.split()[4] for line in limits if line.startswith("Max core file size"))
    assert (int(space), int(cores)) == (5 * 2**30, 0)
    number = rows(client)[0]["id"]
    with monkeypatch.context() as changed:
        changed.setattr(worker, "limits", replace(worker.limits, silence_s=0.1))
        assert worker.process_id is not None
        os.kill(worker.process_id, signal.SIGSTOP)
        client.post(f"{API}/recordings/{number}/analyze")
        until(lambda: rows(client)[0]["state"] == "failed")
    assert "took too long" in rows(client)[0]["error"]
    client.post(f"{API}/recordings/{number}/analyze")
    until(lambda: states(client) == ["done", "done"])


def test_both_workers_are_started_before_they_are_needed(tmp_path: Path) -> None:
    with web_client(tmp_path, warm=True) as client:
        workers = [server_of(client).queue.worker, server_of(client).decoding.worker]
        until(lambda: all(worker.process_id for worker in workers))
        assert server_of(client).decoding.waiting() == 0
