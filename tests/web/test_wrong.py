"""What is wrong with a request is said in a sentence: which value, what is expected, what is not there."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient
from web_client import API, web_client

from laennec.simulate import write_demo


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A server of one recording, which nobody analyses, with a reader."""
    folder, demo = tmp_path_factory.mktemp("ward"), tmp_path_factory.mktemp("demo")
    write_demo(demo)
    shutil.copy(next(demo.rglob("wheezes.wav")), folder)
    client = web_client(folder)
    client.app.state.server.queue.put = lambda *_: None  # type: ignore[attr-defined]
    with client:
        client.post(f"{API}/readers", json={"name": "Anna"})
        yield client


EDITS = {"reader": "Anna", "revision": 0}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("recordings/1/waveform", "start_s is missing"),
        ("recordings/1/waveform?start_s=x&end_s=1", "start_s is 'x'; expected a number"),
        ("recordings/1/waveform?start_s=nan&end_s=1", "start_s is 'nan'; expected a finite number"),
        ("recordings/1/waveform?start_s=-1&end_s=1", "start_s is '-1'; expected 0 or more"),
        ("recordings/1/waveform?start_s=0&end_s=0", "end_s is '0'; expected more than 0"),
        ("recordings/1/waveform?start_s=2&end_s=1", "needs a start before its end"),
        ("recordings/1/spectrogram?window_ms=33", "window_ms: no window of 33 ms; use one of"),
        ("recordings/one", "number is 'one'; expected a whole number"),
        ("recordings/0", "number is '0'; expected 1 or more"),
        ("recordings/1/spectrogram?channel=x", "channel is 'x'; expected a whole number"),
        ("agreement?readers=a&readers=b&readers=c", "readers has 3 entries; expected up to 2"),
        ("agreement?readers=a,b&layer=x", "layer is 'x'; expected 'events' or 'phases'"),
        ("review?order=" + "x" * 30, "order has 30 characters; expected up to 20"),
        ("review?order=x", "'x'"),
        ("export.zip?reader=Anna&format=x", "x"),
        ("export.zip?reader=Anna&sounds=maybe", "sounds is 'maybe'; expected true or false"),
    ],
)
def test_a_wrong_parameter_is_422_and_named_with_what_is_expected(
    client: TestClient, path: str, said: str
) -> None:
    answer = client.get(f"{API}/{path}")
    assert answer.status_code == 422, answer.text
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("PATCH", "recordings/1", {"age_years": 200}, "age_years is 200; expected 130 or less"),
        ("PATCH", "recordings/1", {"age_years": "old"}, "age_years is 'old'; expected a number"),
        ("PATCH", "recordings/1", {"sex": "x"}, "sex is 'x'; expected"),
        ("PATCH", "recordings/1", {"position": "elbow"}, "position is 'elbow'; expected"),
        ("PATCH", "recordings/1", {"patient": 7}, "patient is 7; expected text"),
        ("PATCH", "recordings/1", {"name": "b"}, "name: no such field"),
        ("PATCH", "recordings/1", [], "the body is []; expected an object in JSON"),
        ("PATCH", "recordings/1", None, "the body is missing"),
        ("POST", "readers", {}, "name is missing"),
        ("POST", "live", {"sample_rate": 7}, "sample_rate is 7; expected 4,000 or more"),
        ("POST", "live", {"sample_rate": 48000, "position": "knee"}, "position is 'knee'; expected"),
        ("POST", "recordings/1/edits", EDITS | {"edits": []}, "edits has 0 entries; expected 1 or more"),
        (
            "POST",
            "recordings/1/edits",
            EDITS | {"edits": [{"kind": "burn"}]},
            "edits[0].kind is 'burn'; expected",
        ),
        (
            "POST",
            "recordings/1/edits",
            EDITS | {"edits": [{"kind": "add", "events": [{"start_s": "x", "end_s": 1, "label": "Wheeze"}]}]},
            "edits[0].events[0].start_s is 'x'; expected a number",
        ),
        (
            "POST",
            "recordings/1/edits",
            EDITS | {"edits": [{"kind": "undo"}], "request": "?"},
            "request is '?'; expected text that matches",
        ),
    ],
)
def test_a_wrong_field_is_422_and_named_with_what_is_expected(
    client: TestClient, method: str, path: str, body: Any, said: str
) -> None:
    answer = client.request(method, f"{API}/{path}", **({} if body is None else {"json": body}))
    assert answer.status_code == 422, answer.text
    assert said in answer.json()["error"]


def test_a_body_that_is_no_json_is_said(client: TestClient) -> None:
    answer = client.patch(f"{API}/recordings/1", content=b"{", headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("the body is not JSON: ")


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", f"{API}/nothing", 404, f"there is no address '{API}/nothing'; {API}/openapi.json has those"),
        ("GET", "/nothing.html", 404, "there is no page '/nothing.html'; the page is at /"),
        ("GET", "/viewer/nothing.js", 404, "there is no page '/viewer/nothing.js'; the page is at /"),
        ("DELETE", f"{API}/recordings/1", 405, f"'{API}/recordings/1' does not take DELETE"),
        ("GET", f"{API}/recordings/99", 404, "there is no such recording"),
    ],
)
def test_what_is_not_there_is_said(
    client: TestClient, method: str, path: str, status: int, said: str
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(said)
