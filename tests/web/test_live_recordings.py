"""Recordings that are made on the page: kept part by part, told soon, and never lost."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient
from web_client import web_client

from laennec import Recording
from laennec.audio.samples import resample
from laennec.output.tiles import COLUMN_S, Pyramid
from laennec.simulate import demo_recordings
from laennec.web import live
from laennec.web.live import LEVEL, LOWEST_DB, Columns
from waiting import WAIT_S

RATE = 8_000
Samples = np.ndarray


@pytest.fixture(scope="module")
def sound() -> Samples:
    samples = demo_recordings()["wheezes"].samples[: 5 * RATE]
    return (np.round(samples / np.abs(samples).max() * 0.5 * 2**15) / 2**15).astype(np.float32)


def begin(client: TestClient, **facts: Any) -> str:
    answer = client.post("/api/v1/live", json={"sample_rate": RATE, **facts})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def send(client: TestClient, name: str, number: int, samples: Samples) -> Any:
    return client.post(f"/api/v1/live/{name}/sound?part={number}", content=samples.astype("<f4").tobytes())


def send_all(client: TestClient, name: str, samples: Samples, length: int = RATE // 2) -> list[Any]:
    parts = [samples[first : first + length] for first in range(0, samples.size, length)]
    answers = [send(client, name, number, part) for number, part in enumerate(parts)]
    assert {answer.status_code for answer in answers} == {200}, answers[-1].text
    return [answer.json() for answer in answers]


def files(folder: Path) -> list[Path]:
    return sorted((folder / ".laennec" / "live").glob("*"))


def test_a_recording_is_told_as_it_comes_kept_and_analysed(tmp_path: Path, sound: Samples) -> None:
    with web_client(tmp_path) as client:
        name = begin(client, patient="7", position="left-posterior", age_years=4)
        news = send_all(client, name, sound)
        told = [event for each in news for event in each["events"]]
        assert len(told) >= 3
        assert {event["label"] for event in told} >= {"Wheeze"}
        assert all(event["end_s"] >= each["duration_s"] - 2.0 for each in news for event in each["events"])
        assert all(each["delay_s"] >= 1.75 for each in news)  # with what this computer takes for it
        assert news[-1]["duration_s"] == news[-1]["settled_s"] == sound.size / RATE
        assert news[-1]["peak_db"] == pytest.approx(
            20 * np.log10(np.abs(sound[-RATE // 2 :]).max()), abs=0.01
        )
        answer = client.post(f"/api/v1/live/{name}/end")
        assert answer.status_code == 200, answer.text
        row = answer.json()
        assert (row["patient"], row["position"], row["age_years"]) == ("7", "left-posterior", 4)
        path = client.app.state.server.library.path_of(row["id"])  # type: ignore[attr-defined]
        assert path.suffix == ".flac"
        assert path.is_relative_to(tmp_path)
        np.testing.assert_array_equal(Recording.open(path).samples[0], sound)
        assert files(tmp_path) == []
        assert client.post(f"/api/v1/live/{name}/end").status_code == 404
        assert send(client, name, 99, sound).status_code == 404
        assert row["state"] in ("waiting", "running", "done")  # its analysis is the library's


def test_a_part_is_kept_once_and_none_may_lack(tmp_path: Path, sound: Samples) -> None:
    with web_client(tmp_path) as client:
        name = begin(client)
        first = send(client, name, 0, sound[:RATE]).json()
        assert send(client, name, 0, sound[:RATE]).json() == first  # sent again, since no answer came
        assert send(client, name, 2, sound[:RATE]).status_code == 409
        assert send(client, name, 1, sound[:0]).status_code == 400
        uneven = client.post(f"/api/v1/live/{name}/sound?part=1", content=b"abc")
        assert uneven.status_code == 400
        assert send(client, name, 1, np.full(RATE, np.nan)).status_code == 200
        kept = client.post(f"/api/v1/live/{name}/sound?part=2&heard=false", content=bytes(4 * RATE))
        assert kept.json()["events"] == []
        row = client.post(f"/api/v1/live/{name}/end").json()
        path = client.app.state.server.library.path_of(row["id"])  # type: ignore[attr-defined]
        assert Recording.open(path).length == 3 * RATE
        empty = begin(client)
        assert "no sound came" in client.post(f"/api/v1/live/{empty}/end").json()["error"]
        assert files(tmp_path) == []


def test_who_leaves_keeps_what_came_and_nothing_is_wrong_where_nothing_came(
    tmp_path: Path, sound: Samples
) -> None:
    with web_client(tmp_path) as client:
        for parts in (0, 1):
            name = begin(client, patient="7")
            for number in range(parts):
                send(client, name, number, sound[:RATE])
            assert client.post(f"/api/v1/live/{name}/leave").status_code == 204
            assert client.post(f"/api/v1/live/{name}/leave").status_code == 204  # it has ended
            assert len(client.get("/api/v1/recordings").json()["recordings"]) == parts
        assert files(tmp_path) == []


def test_two_at_once_do_not_mix_and_more_than_some_are_refused(tmp_path: Path, sound: Samples) -> None:
    with web_client(tmp_path) as client:
        names = [begin(client) for _ in range(live.MOST)]
        refused = client.post("/api/v1/live", json={"sample_rate": RATE})
        assert refused.status_code == 503
        assert "end one" in refused.json()["error"]
        both = [sound[: 2 * RATE], sound[2 * RATE : 4 * RATE]]
        threads = [
            threading.Thread(target=send_all, args=(client, *pair)) for pair in zip(names, both, strict=False)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name, samples in zip(names, both, strict=False):
            row = client.post(f"/api/v1/live/{name}/end").json()
            path = client.app.state.server.library.path_of(row["id"])  # type: ignore[attr-defined]
            np.testing.assert_array_equal(Recording.open(path).samples[0], samples)


def test_what_a_lost_page_has_sent_is_kept(
    tmp_path: Path, sound: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "IDLE_S", 20.0)  # which is looked after every 2 s
    came = threading.Event()
    with web_client(tmp_path) as client:
        library = client.app.state.server.library  # type: ignore[attr-defined]
        before = library.add_file
        monkeypatch.setattr(library, "add_file", lambda *all: (before(*all), came.set())[0])
        send_all(client, begin(client, patient="9"), sound[:RATE])
        monkeypatch.setattr(live, "IDLE_S", 0.2)
        assert came.wait(WAIT_S)
        (row,) = client.get("/api/v1/recordings").json()["recordings"]
        assert row["patient"] == "9"


def test_what_a_killed_server_had_is_taken_in_by_the_next(tmp_path: Path, sound: Samples) -> None:
    with web_client(tmp_path) as client:
        send_all(client, begin(client, patient="9"), sound)
        begun = {path: path.read_bytes() for path in files(tmp_path)}  # as `kill -9` leaves them
        send_all(client, begin(client), sound[: RATE // 2])
    assert files(tmp_path) == []  # one that ends as it should ends them, too
    other = tmp_path / "other"
    for path, content in begun.items():
        place = other / path.relative_to(tmp_path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    (other / ".laennec" / "live" / "0.flac").write_bytes(b"fLaC")
    with web_client(other) as client:
        (row,) = client.get("/api/v1/recordings").json()["recordings"]
        assert row["patient"] == "9"
        path = client.app.state.server.library.path_of(row["id"])  # type: ignore[attr-defined]
        assert sound.size / RATE - 0.52 <= Recording.open(path).duration_s
        assert files(other) == []


def test_wrong_beginnings_are_said(tmp_path: Path) -> None:
    with web_client(tmp_path, recordings=0) as client:
        assert client.post("/api/v1/live", json={"sample_rate": RATE}).status_code == 413
    with web_client(tmp_path, duration_s=1.0) as client:
        for body, status in (
            ({"sample_rate": 100}, 422),
            ({"sample_rate": RATE, "path": "../x"}, 422),
            ({"sample_rate": RATE, "position": "knee"}, 422),
        ):
            assert client.post("/api/v1/live", json=body).status_code == status
        name = begin(client)
        assert send(client, name, 0, np.zeros(RATE)).status_code == 200
        assert "the most that is taken" in send(client, name, 1, np.zeros(RATE)).json()["error"]
        assert send(client, "../../x", 0, np.zeros(9)).status_code in (404, 405)
        server = client.app.state.server  # type: ignore[attr-defined]
        server.live._in_use = lambda: server.models.find("default")
        refused = client.post("/api/v1/live", json={"sample_rate": RATE})
        assert "whole recordings" in refused.json()["error"]
        assert files(tmp_path) == [path for path in files(tmp_path) if path.stem == name]


@pytest.mark.parametrize("rate", [RATE, 44_100])
def test_columns_are_those_of_the_whole_however_it_comes(sound: Samples, rate: int) -> None:
    samples = resample(sound, RATE, rate)
    columns, data = Columns(rate), b""
    rng = np.random.default_rng(0)
    first = 0
    while first < samples.size:
        length = int(rng.integers(1, rate))
        number, more = columns.add(samples[first : first + length])
        assert number == len(data) // 512
        data += more
        first += length
    told = np.frombuffer(data, np.uint8).reshape(-1, 512)
    hop = COLUMN_S * 2**LEVEL * rate
    assert samples.size / hop - 6 <= len(told) <= samples.size / hop
    whole = Pyramid(samples.size, rate).columns_db(samples, 0, LEVEL, len(told))
    expected = np.clip((whole - LOWEST_DB) * (255 / -LOWEST_DB), 0, 255)
    assert np.abs(told - expected).max() <= 1.0


def test_a_model_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    before = live.model_for
    monkeypatch.setattr(live, "model_for", lambda *all, **named: (opened.append(1), before(*all, **named))[1])
    with web_client(tmp_path) as client:
        begin(client), begin(client)
    assert len(opened) == 1
