"""Recordings of the page's server: the folder, uploads, analyses, what is known of patients."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")
import soundfile
from fastapi.testclient import TestClient
from web_client import API, rows, settled, web_client

from laennec.cli import main
from laennec.simulate import write_demo
from waiting import until


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "demo"
    write_demo(folder)
    return folder


@pytest.fixture(scope="module")
def ward(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A server for a folder with a recording in a folder below, one that is broken, and a text."""
    folder = tmp_path_factory.mktemp("ward")
    (folder / "monday").mkdir()
    shutil.copy(demo / "wheezes.wav", folder / "monday" / "101_1b1_Al_sc_Meditron.wav")
    (folder / "broken.wav").write_bytes(b"RIFF" + bytes(100))
    (folder / "notes.txt").write_text("no sound")
    with web_client(folder) as client:
        yield client


def of_command(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What ``laennec analyze --json`` prints."""
    with pytest.raises(SystemExit):
        main(["analyze", str(path), "--json"])
    return dict(json.loads(capsys.readouterr().out)[0])


def test_a_folder_is_analysed_as_the_command_does_and_a_broken_file_fails_alone(
    ward: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    found = settled(ward)
    assert {name: row["state"] for name, row in found.items()} == {
        "101_1b1_Al_sc_Meditron.wav": "done",
        "broken.wav": "failed",
    }
    assert "broken.wav" not in found["broken.wav"]["error"]
    row = found["101_1b1_Al_sc_Meditron.wav"]
    details = ward.get(f"{API}/recordings/{row['id']}").json()
    folder = ward.app.state.server.settings.folder  # type: ignore[attr-defined]
    expected = of_command(folder / row["path"], capsys)
    assert details["analysis"] == expected
    events = expected["events"]
    assert row["record"]["label"] == expected["record"]["label"]
    assert sum(row["counts"].values()) == len(events) > 0
    assert row["model"]["sha256"] == expected["model"]["sha256"]
    kept = ward.app.state.server.database.rows(  # type: ignore[attr-defined]
        "SELECT * FROM suggestion ORDER BY id"
    )
    assert [(row["start_s"], row["label"], row["model_sha256"]) for row in kept] == [
        (event["start_s"], event["label"], expected["model"]["sha256"]) for event in events
    ]


def test_what_a_name_tells_is_known_and_can_be_changed(ward: TestClient) -> None:
    row = rows(ward)["101_1b1_Al_sc_Meditron.wav"]
    known = {key: row[key] for key in ("patient", "position", "age_years", "sex", "device")}
    assert known == {
        "patient": "101", "position": "left-anterior", "age_years": None, "sex": None, "device": "Meditron",
    }  # fmt: skip
    place = f"{API}/recordings/{row['id']}"
    changed = ward.patch(place, json={"patient": " A 7 ", "age_years": 4.5, "device": None}).json()
    assert (changed["patient"], changed["age_years"], changed["device"]) == ("A 7", 4.5, None)
    assert changed["position"] == "left-anterior", "what is left out stays"
    for wrong in ({"position": "elbow"}, {"sex": "x"}, {"age_years": 200}, {"name": "b"}):
        answer = ward.patch(place, json=wrong)
        assert answer.status_code == 422, wrong
        assert answer.json()["error"]
    assert rows(ward)["101_1b1_Al_sc_Meditron.wav"]["patient"] == "A 7"


def test_what_is_sent_is_kept_under_a_name_of_ours_and_answered_within_a_second(
    demo: Path, ward: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    settled(ward)
    content = (demo / "fine_crackles.wav").read_bytes()
    before_s = worker_s(ward)
    sent = ward.post(f"{API}/recordings?name=..%2F..%2Fetc%2Ffine_crackles.wav", content=content)
    assert sent.status_code == 201
    row = sent.json()
    assert row["name"] == "fine_crackles.wav"
    until(lambda: rows(ward)["fine_crackles.wav"]["state"] == "done")
    assert worker_s(ward) - before_s < 0.5, "processor time, so that it is there within a second"
    folder = ward.app.state.server.settings.folder  # type: ignore[attr-defined]
    (kept,) = (folder / "uploads").iterdir()
    assert kept.read_bytes() == content
    assert "crackles" not in kept.name
    analysis = ward.get(f"{API}/recordings/{row['id']}").json()["analysis"]
    assert analysis == of_command(demo / "fine_crackles.wav", capsys)
    again = ward.post(f"{API}/recordings?name=other.wav", content=content)
    assert (again.status_code, again.json()["duplicate"], again.json()["id"]) == (200, True, row["id"])
    assert len(list((folder / "uploads").iterdir())) == 1
    assert not list((folder / ".laennec" / "incoming").iterdir())


def worker_s(client: TestClient) -> float:
    """Processor time that the worker has taken; 0 where the system does not tell."""
    server = client.app.state.server  # type: ignore[attr-defined]
    place = Path(f"/proc/{server.queue.worker.process_id}/stat")
    if not place.exists():
        return 0.0
    times = place.read_text().rpartition(")")[2].split()[11:13]  # in and for the process, in ticks
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def test_what_is_plainly_no_sound_is_not_kept(ward: TestClient) -> None:
    """Of a folder that is dropped, with letters and pictures in it."""
    before = rows(ward).keys()
    for content in (b"Dear colleague,\n", b"%PDF-1.7 \x00", b"\x89PNG\r\n\x1a\n"):
        refused = ward.post(f"{API}/recordings?name=a.wav", content=content)
        assert refused.status_code == 415
        assert "not a recording" in refused.json()["error"]
    assert rows(ward).keys() == before


def test_programs_send_and_get_the_analysis_and_nothing_is_kept(
    demo: Path, ward: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    before = settled(ward)
    content = (demo / "fine_crackles.wav").read_bytes()
    expected = of_command(demo / "fine_crackles.wav", capsys)
    assert ward.post(f"{API}/analyze?name=fine_crackles.wav", content=content).json() == expected
    heard = ward.post(
        f"{API}/analyze?name=fine_crackles.wav", content=content, headers={"Accept": "text/event-stream"}
    ).text
    kinds = [line.removeprefix("event: ") for line in heard.splitlines() if line.startswith("event: ")]
    assert kinds == ["progress", "found", "analysis"]
    assert json.loads(heard.rpartition("data: ")[2]) == expected
    for wrong in (b"no sound at all, but some text", b"RIFF\0\0\0\0WAVE"):
        answer = ward.post(f"{API}/analyze?name=a.wav", content=wrong)
        assert answer.status_code == 415
        assert answer.json()["error"]
    assert ward.post(f"{API}/analyze").status_code == 400
    empty = ward.post(f"{API}/recordings?name=a.wav")
    assert (empty.status_code, empty.json()["error"]) == (
        400,
        "empty, the file has 0 bytes; nothing was kept",
    )
    assert rows(ward) == before


def test_new_changed_moved_and_gone_files_are_noticed(demo: Path, tmp_path: Path) -> None:
    shutil.copy(demo / "wheezes.wav", tmp_path / "a.wav")
    shutil.copy(demo / "fine_crackles.wav", tmp_path / "b.wav")
    odd = os.fsencode(tmp_path) + b"/caf\xe9.wav"  # no UTF-8, as old disks have it
    with contextlib.suppress(OSError):  # macOS takes none
        shutil.copy(os.fsencode(demo / "wheezes.wav"), odd)
    with web_client(tmp_path) as client:
        first = settled(client)
        if os.path.exists(odd):
            row = first.pop("caf\\xe9.wav")
            assert row["state"] == "done"
            assert client.get(f"{API}/recordings/{row['id']}/sound/0.wav").status_code == 200
            os.unlink(odd)
            client.post(f"{API}/rescan")
        made = first["a.wav"]["id"]
        os.rename(tmp_path / "a.wav", tmp_path / "renamed.wav")
        shutil.copy(demo / "wheezes.wav", tmp_path / "b.wav")
        samples = np.random.default_rng(1).normal(0, 0.1, 8000).astype(np.float32)
        soundfile.write(tmp_path / "new.wav", samples, 4000)
        counts = client.post(f"{API}/rescan").json()
        assert counts == {"added": 1, "changed": 1, "gone": 0, "moved": 1, "left_out": 0}
        second = settled(client)
        assert second["a.wav"]["id"] == made, "the name that people know stays, and the analysis with it"
        assert second["a.wav"]["path"] == "renamed.wav"
        assert second["b.wav"]["record"] == second["a.wav"]["record"] != first["b.wav"]["record"]
        (tmp_path / "new.wav").unlink()
        assert client.post(f"{API}/rescan").json()["gone"] == 1
        assert client.get(f"{API}/recordings/{second['new.wav']['id']}").status_code == 404
    with web_client(tmp_path) as client:
        assert all(row["state"] == "done" for row in rows(client).values()), "nothing is analysed twice"
