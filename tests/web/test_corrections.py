"""Corrections over the API: readers, edits with a revision, two tabs, two readers, another model."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest

pytest.importorskip("fastapi")
from corrections_folder import EVENTS, SHA, add_analysis, add_recording
from fastapi.testclient import TestClient
from web_client import web_client

from laennec.web.activity import Activity
from laennec.web.corrections import Corrections
from laennec.web.database import Database

API = "/api/v1"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One server for all tests: each has a recording of its own."""
    with web_client(tmp_path_factory.mktemp("ward")) as client:
        for name in ("Anna", "Ben"):
            client.post(f"{API}/readers", json={"name": name})
        yield client


def database(client: TestClient) -> Database:
    found = client.app.state.server.database  # type: ignore[attr-defined]
    assert isinstance(found, Database)
    return found


@pytest.fixture
def recording(client: TestClient) -> int:
    number = add_recording(database(client), f"{uuid4()}.wav", "anna")
    add_analysis(database(client), number)
    return number


def state(client: TestClient, recording: int, reader: str = "Anna") -> dict[str, Any]:
    answer = client.get(f"{API}/recordings/{recording}/events", params={"reader": reader})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def edit(
    client: TestClient, recording: int, *edits: dict[str, Any], reader: str = "Anna", **body: Any
) -> dict[str, Any]:
    """The answer to edits, based on what holds now unless `revision` is given."""
    if "revision" not in body:
        body["revision"] = state(client, recording, reader)["revision"]
    answer = client.post(
        f"{API}/recordings/{recording}/edits", json={"reader": reader, "edits": list(edits), **body}
    )
    return {"status": answer.status_code, **answer.json()}


def test_suggestions_hold_until_they_are_corrected(client: TestClient, recording: int) -> None:
    found = state(client, recording)
    assert [(e["label"], e["status"]) for e in found["events"]] == [(e[3], "suggested") for e in EVENTS]
    assert (found["revision"], found["can_undo"], found["record_suggested"]) == (0, False, "CAS")
    first = found["events"][0]
    assert first["suggestion"] == {
        "id": first["id"], "analysis": found["analysis"],
        "channel": 0, "start_s": 1.0, "end_s": 2.0, "label": "Wheeze",
        "probability": 0.9, "uncertain": False, "model_name": "one", "model_sha256": SHA["one"],
        "probabilities": {"Wheeze": 0.9, "Other": pytest.approx(0.1)},
    }  # fmt: skip


def test_edits_are_kept_and_what_the_model_said_stands_beside(client: TestClient, recording: int) -> None:
    client.post(f"{API}/readers", json={"name": "Zoe"})
    first, second, _ = (event["id"] for event in state(client, recording)["events"])
    done = edit(
        client,
        recording,
        {"kind": "change", "events": [first], "start_s": 0.5, "label": "rhonchi"},
        {"kind": "delete", "events": [second]},
        {"kind": "add", "events": [{"start_s": 7, "end_s": 8.5, "label": "inspiration"}]},
        {"kind": "record", "label": "DAS"},
        {"kind": "review"},
        reader="Zoe",
    )
    again = state(client, recording, "Zoe")
    assert {**again, "status": 200, "warnings": []} == done
    changed = again["events"][0]
    assert (changed["start_s"], changed["label"], changed["status"]) == (0.5, "Rhonchi", "changed")
    assert (changed["suggestion"]["start_s"], changed["suggestion"]["label"]) == (1.0, "Wheeze")
    assert [(e["id"], e["status"]) for e in again["rejected"]] == [(second, "rejected")]
    assert again["events"][-1]["layer"] == "phases"
    assert (again["record"], again["record_suggested"], again["reviewed"]) == ("DAS", "CAS", True)
    readers = {each["name"]: each for each in client.get(f"{API}/readers").json()["readers"]}
    assert (readers["Zoe"]["edited"], readers["Zoe"]["reviewed"]) == (1, 1)


def test_undo_goes_back_to_the_beginning_and_redo_to_the_end(client: TestClient, recording: int) -> None:
    ids = [event["id"] for event in state(client, recording)["events"]]
    seen = [state(client, recording)["events"]]
    seen += [edit(client, recording, {"kind": "delete", "events": [name]})["events"] for name in ids]
    for before in reversed(seen[:-1]):
        assert edit(client, recording, {"kind": "undo"})["events"] == before
    assert edit(client, recording, {"kind": "undo"})["status"] == 422
    for after in seen[1:]:
        assert edit(client, recording, {"kind": "redo"})["events"] == after
    assert not state(client, recording)["can_redo"]


def test_the_slower_of_two_tabs_is_told_what_holds(client: TestClient, recording: int) -> None:
    first, second, _ = (event["id"] for event in state(client, recording)["events"])
    assert edit(client, recording, {"kind": "delete", "events": [first]}, revision=0)["status"] == 200
    late = edit(client, recording, {"kind": "delete", "events": [second]}, revision=0)
    assert (late["status"], len(late["events"])) == (409, 2)
    assert "another window was faster" in late["error"]
    gone = edit(
        client, recording, {"kind": "accept", "events": [second]}, {"kind": "delete", "events": [first]}
    )
    assert gone["status"] == 409  # although based on what holds
    assert gone["revision"] == late["revision"]  # nothing of it was done
    assert {event["status"] for event in gone["events"]} == {"suggested"}


def test_what_is_sent_twice_is_done_once(client: TestClient, recording: int) -> None:
    first = state(client, recording)["events"][0]["id"]
    split = {"kind": "split", "events": [first], "at_s": 1.5}
    once = edit(client, recording, split, revision=0, request="tab-1")
    assert edit(client, recording, split, revision=0, request="tab-1") == once
    assert len(once["events"]) == 4


def test_readers_do_not_see_one_anothers_corrections(client: TestClient, recording: int) -> None:
    assert client.post(f"{API}/readers", json={"name": "  Ben  Ba "}).json() == {"name": "Ben Ba"}
    assert client.post(f"{API}/readers", json={"name": "ben ba"}).json() == {"name": "Ben Ba"}
    first = state(client, recording)["events"][0]["id"]
    edit(client, recording, {"kind": "delete", "events": [first]})
    assert len(state(client, recording, "Ben Ba")["events"]) == 3
    assert edit(client, recording, {"kind": "review"}, reader="Ben Ba")["status"] == 200
    assert state(client, recording)["reviewed"] is False


def test_another_models_suggestions_are_offered_beside(client: TestClient, recording: int) -> None:
    first = state(client, recording)["events"][0]["id"]
    corrected = edit(client, recording, {"kind": "change", "events": [first], "label": "Stridor"})
    newer = add_analysis(database(client), recording, [(0, 7.0, 8.0, "Rhonchi", 0.8)], "two")
    found = state(client, recording)
    assert found["events"] == corrected["events"]
    assert [(e["status"], e["suggestion"]["model_name"]) for e in found["offered"]] == [("offered", "two")]
    adopted = edit(client, recording, {"kind": "adopt", "analysis": newer})
    assert [event["label"] for event in adopted["events"]] == ["Stridor", "Rhonchi"]
    assert edit(client, recording, {"kind": "undo"})["events"] == corrected["events"]
    assert [e["label"] for e in state(client, recording, "Ben")["events"]] == ["Rhonchi"]


def test_a_tab_that_shows_the_older_suggestions_corrects_those(client: TestClient, recording: int) -> None:
    shown = state(client, recording)
    add_analysis(database(client), recording, [(0, 7.0, 8.0, "Rhonchi", 0.8)], "two")
    accept = {"kind": "accept", "events": [shown["events"][0]["id"]]}
    done = edit(client, recording, accept, revision=0, analysis=shown["analysis"])
    assert [event["status"] for event in done["events"]] == ["accepted", "suggested", "suggested"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"edits": [{"kind": "undo"}]}, 422),
        ({"edits": []}, 422),
        ({"edits": [{"kind": "undo"}] * 201}, 422),
        ({"edits": [{"kind": "import"}]}, 422),
        ({"edits": [{"kind": "review", "burn": 1}]}, 422),
        ({"edits": [{"kind": "delete", "events": ["s1"] * 2001}]}, 422),
        ({"edits": [{"kind": "add", "events": [{"start_s": 9, "end_s": 10.1, "label": "Normal"}]}]}, 422),
        (
            {"edits": [{"kind": "add", "events": [{"start_s": "1e999", "end_s": 10.1, "label": "Normal"}]}]},
            422,
        ),
        ({"edits": [{"kind": "delete", "events": ["s99"]}]}, 409),
        ({"edits": [{"kind": "adopt", "analysis": 99}]}, 409),
        ({"edits": [{"kind": "review"}], "reader": "nobody"}, 404),
        ({"edits": [{"kind": "review"}], "reader": "\x00"}, 422),
        ({"edits": [{"kind": "review"}], "revision": 10**30}, 422),
        ({"edits": [{"kind": "review"}], "revision": 7}, 409),
    ],
)
def test_wrong_edits_are_refused_with_a_sentence(
    client: TestClient, recording: int, body: dict[str, Any], status: int
) -> None:
    answer = client.post(
        f"{API}/recordings/{recording}/edits", json={"reader": "Anna", "revision": 0, **body}
    )
    assert (answer.status_code, bool(answer.json()["error"])) == (status, True)
    assert state(client, recording)["revision"] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "add", "events": [{"start_s": 7, "end_s": 8, "label": "Weeze"}]},
        {"kind": "change", "events": ["FIRST"], "label": "Weeze"},
        {"kind": "merge", "events": ["FIRST", "SECOND"], "label": "Weeze"},
    ],
)
def test_a_label_that_nobody_knows_is_refused(
    client: TestClient, recording: int, change: dict[str, Any]
) -> None:
    first, second, *_ = (event["id"] for event in state(client, recording)["events"])
    named = {"FIRST": first, "SECOND": second}
    events = [named.get(each, each) if isinstance(each, str) else each for each in change["events"]]
    refused = edit(client, recording, change | {"events": events})
    assert refused["status"] == 422
    assert refused["error"].startswith("label is 'Weeze'; expected one of Normal, Rhonchi, Wheeze, Stridor")
    assert refused["error"].endswith("Is Wheeze meant?")
    record = edit(client, recording, {"kind": "record", "label": "Wheeze"})
    assert record["status"] == 422
    assert "expected one of Normal, CAS, DAS, CAS & DAS, Poor Quality" in record["error"]
    assert state(client, recording)["revision"] == 0


def test_labels_that_are_there_already_may_be_given(client: TestClient, recording: int) -> None:
    """Of a file that was read, or of a model with other classes."""
    client.post(
        f"{API}/recordings/{recording}/labels",
        params={"reader": "Anna", "name": "a.txt", "replace": False},
        content=b"7.0\t8.0\tSqueak\n",
    )
    squeak = next(event for event in state(client, recording)["events"] if event["label"] == "Squeak")
    moved = edit(client, recording, {"kind": "change", "events": [squeak["id"]], "end_s": 8.2})
    assert moved["status"] == 200
    event = {"start_s": 8.5, "end_s": 9, "label": "squeak"}
    assert edit(client, recording, {"kind": "add", "events": [event]})["status"] == 200


def test_an_event_on_another_one_is_told_and_taken(client: TestClient, recording: int) -> None:
    first = state(client, recording)["events"][0]["id"]
    apart = edit(client, recording, {"kind": "change", "events": [first], "end_s": 2.5})
    assert (apart["status"], apart["warnings"]) == (200, []), "neighbours share a border"
    onto = edit(client, recording, {"kind": "change", "events": [first], "end_s": 2.8})
    assert onto["status"] == 200
    assert onto["warnings"] == ["Wheeze, 1.00 to 2.80 s, overlaps Fine Crackle, 2.50 to 3.00 s"]
    phase = {"start_s": 1, "end_s": 3, "label": "inspiration"}
    assert edit(client, recording, {"kind": "add", "events": [phase]})["warnings"] == []
    added = edit(
        client, recording, {"kind": "add", "events": [{"start_s": 5, "end_s": 7, "label": "Stridor"}]}
    )
    assert added["warnings"] == ["Stridor, 5.00 to 7.00 s, overlaps Normal, 4.00 to 6.00 s"]
    assert edit(client, recording, {"kind": "review"})["warnings"] == []


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("x" * 61, "has 61 characters; expected 60 at most"),
        ("a\u202eb", "a character that cannot be shown"),
        ("a\nb\x00", "such as a control character"),
    ],
)
def test_a_readers_name_is_a_name(client: TestClient, name: str, why: str) -> None:
    refused = client.post(f"{API}/readers", json={"name": name})
    assert refused.status_code == 422
    assert why in refused.json()["error"]


def test_recordings_and_readers_must_be_there(client: TestClient, recording: int) -> None:
    for number, reader in ((recording + 1000, "Anna"), (recording, "nobody"), (2**70, "Anna")):
        url, edits = f"{API}/recordings/{number}", [{"kind": "review"}]
        body = {"reader": reader, "revision": 0, "edits": edits}
        for answer in (
            client.get(f"{url}/events", params={"reader": reader}),
            client.post(f"{url}/edits", json=body),
            client.post(f"{url}/labels", params={"reader": reader}, content=b""),
            client.get(f"{url}/labels.table", params={"reader": reader}),
            client.get(f"{url}/compare", params={"readers": f"{reader},Anna"}),
        ):
            assert answer.status_code in (404, 422)
            assert answer.json()["error"]


def test_a_full_disk_fails_the_request_alone(client: TestClient, recording: int) -> None:
    workspace = database(client)
    pages = workspace.row("PRAGMA page_count")
    assert pages is not None
    workspace._connection.execute(f"PRAGMA max_page_count = {pages[0]}")
    events = [{"start_s": k / 300, "end_s": k / 300 + 1, "label": "Wheeze"} for k in range(2000)]
    full = edit(client, recording, {"kind": "add", "events": events}, {"kind": "review"})
    assert (full["status"], full["error"]) == (
        507, "laennec.sqlite: the disk is full, so nothing was kept; make room, and try again",
    )  # fmt: skip
    assert state(client, recording)["revision"] == 0
    workspace._connection.execute("PRAGMA max_page_count = 1000000")
    assert len(edit(client, recording, {"kind": "add", "events": events})["events"]) == 2003


def test_open_pages_hear_of_edits(
    client: TestClient, recording: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[str, Any]] = []
    server = client.app.state.server  # type: ignore[attr-defined]
    monkeypatch.setattr(server.activity, "send", lambda kind, content: heard.append((kind, content)))
    revision = edit(client, recording, {"kind": "review"})["revision"]
    assert ("edits", {"id": recording, "reader": "Anna", "revision": revision}) in heard
    json.dumps(heard)


SERVER = """
import socket, sys
from pathlib import Path
from laennec.web.app import create_app
from laennec.web.serving import PageServer
from laennec.web.settings import Settings
listening = socket.create_server(("127.0.0.1", 0))
port = listening.getsockname()[1]
print(f"http://127.0.0.1:{port}/", flush=True)
PageServer(create_app(Settings(Path(sys.argv[1]), port=port, warm=False))).run(sockets=[listening])
"""


def test_a_killed_server_loses_no_edit_that_was_answered(tmp_path: Path) -> None:
    prepared = Database(tmp_path)
    recording = add_recording(prepared, "a.wav")
    prepared.close()
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    address = server.stdout.readline().strip()

    def ask(path: str, body: dict[str, Any]) -> dict[str, Any]:
        request = Request(
            f"{address}api/v1/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urlopen(request) as answer:
            return dict(json.load(answer))

    answered: dict[str, set[float]] = {"Anna": set(), "Ben": set()}

    def storm(reader: str) -> None:
        revision = 0
        with suppress(ConnectionError, HTTPException):
            ask("readers", {"name": reader})
            for k in range(10_000):
                event = {"start_s": k / 1000, "end_s": k / 1000 + 0.5, "label": "Wheeze"}
                body = {"reader": reader, "revision": revision, "edits": [{"kind": "add", "events": [event]}]}
                revision = ask(f"recordings/{recording}/edits", body)["revision"]
                answered[reader].add(event["start_s"])

    readers = [threading.Thread(target=storm, args=(name,)) for name in answered]
    for reader in readers:
        reader.start()
    while min(map(len, answered.values())) < 20 and all(reader.is_alive() for reader in readers):
        time.sleep(0.01)
    server.kill()
    for reader in readers:
        reader.join()
    server.wait()
    server.stdout.close()
    found = Corrections(Database(tmp_path), Activity())
    for name, starts in answered.items():
        kept = {event.start_s for event in found.reading(recording, name).state.events}
        assert len(starts) >= 20
        assert starts <= kept
