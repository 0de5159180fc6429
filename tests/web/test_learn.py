"""Learning from corrections over the API: what there is, a job that can be stopped, models side by side."""

import io
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("onnx")
from corrections_folder import SHA, add_analysis, add_recording
from fastapi.testclient import TestClient
from learn_folder import LEARNT_S, READER, labelled_folder
from web_client import web_client

import laennec
from laennec.model.card import RecordingCard
from laennec.model.load import SHIPPED, load_model
from laennec.train.adapt import labelled_events
from laennec.web import device
from waiting import until

API = "/api/v1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labelled_folder(tmp_path_factory.mktemp("learn") / "ward")


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "ward"))


@contextmanager
def learning_client(folder: Path) -> Iterator[TestClient]:
    """A client of a server that analyses nothing meanwhile."""
    client = web_client(folder)
    client.app.state.server.queue.put = lambda *_: None  # type: ignore[attr-defined]
    with client:
        yield client


def asked(client: TestClient, path: str) -> dict[str, Any]:
    answer = client.get(f"{API}/{path}", params={"reader": READER})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def ended(client: TestClient, path: str) -> dict[str, Any]:
    """The latest job, when it is over."""

    def last() -> dict[str, Any] | None:
        job = dict(asked(client, path)["job"])
        return None if job["state"] == "running" else job

    found: dict[str, Any] = until(last, LEARNT_S)
    return found


def exported(client: TestClient, out: Path, events: int) -> None:
    """What is exported is what `laennec adapt` learns from."""
    answer = client.get(f"{API}/export.zip", params={"reader": READER, "sounds": True})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(out)
    card = load_model("recording").card
    assert isinstance(card, RecordingCard)
    read = labelled_events("folder", out, card)
    assert sum(len(own.events) for own in read) == events
    assert len({own.patient for own in read}) == 10


def with_others(client: TestClient, folder: Path) -> dict[str, str | None]:
    """Add an analysed recording of a stranger, one of a patient who is learnt from, and one that is broken.

    Returns what each has to do with what is learnt from.
    """
    first, second, *_ = sorted(folder.glob("*.wav"))
    shutil.copy(first, folder / "stranger.wav")
    shutil.copy(second, folder / "again.wav")
    (folder / "gone-bad.wav").write_bytes(b"RIFF")
    client.post(f"{API}/rescan")
    rows = {row["name"]: row for row in client.get(f"{API}/recordings").json()["recordings"]}
    known = {"again.wav": rows[second.name]["patient"]}
    database = client.app.state.server.database  # type: ignore[attr-defined]
    for name in ("stranger.wav", "again.wav", "gone-bad.wav"):
        client.patch(f"{API}/recordings/{rows[name]['id']}", json={"patient": known.get(name)})
        add_analysis(database, rows[name]["id"])
        with database.transaction() as do:
            do("UPDATE recording SET duration_s = 8 WHERE id = ?", (rows[name]["id"],))
    return {"stranger.wav": None, "again.wav": "patient"}


def test_a_model_learns_from_corrections_and_answers(folder: Path) -> None:
    with learning_client(folder) as client:
        others = with_others(client, folder)
        told = asked(client, "learn")
        assert (told["patients"], told["needed"], told["why"]) == (10, 10, None)
        assert set(told["classes"]) <= {
            "Normal",
            "Wheeze",
            "Rhonchi",
            "Stridor",
            "Wheeze+Crackle",
            "Coarse Crackle",
        }
        exported(client, folder.parent / "exported", told["events"])
        begun = client.post(f"{API}/learn", json={"reader": READER, "name": "ward"})
        assert begun.status_code == 202
        assert client.post(f"{API}/learn", json={"reader": READER}).status_code == 409
        job = ended(client, "learn")
        assert job["state"] == "done", job
        content = job["result"]["content"]
        assert content["patients"] == 10
        assert content["parent"]["sha256"] == SHIPPED["recording"]
        assert content["events_before_after"]["given"]["after"]["interval"]
        sha = job["result"]["sha256"]
        own = next(m for m in client.get(f"{API}/models").json()["models"] if m["kind"] == "own")
        assert (own["sha256"], own["name"], own["in_use"]) == (sha, "ward", False)
        beside = client.get(f"{API}/models/compare", params={"sha256": sha}).json()
        learnt = {own["name"]: own["learnt"] for own in beside["recordings"]}
        assert sum(each == "itself" for each in learnt.values()) == told["recordings"]
        assert {name: each for name, each in learnt.items() if each != "itself"} == others
        assert all(each["id"] for each in beside["recordings"])
        assert sum(beside["others"]["after"].values()) > 0
        assert sum(beside["classes"]["labelled"].values()) == told["events"]
        assert 0 <= beside["right"]["before"] <= beside["events"]
        assert client.post(f"{API}/models/{sha}/use").json()["models"]
        assert client.get(f"{API}/health").json()["model"]["name"] == "ward"
        refused = client.post(f"{API}/device", json={"reader": READER})
        assert refused.status_code == 422
        assert "has learnt from these patients" in refused.json()["error"]
        (file,) = (folder / "models").glob("*.onnx")
        assert load_model(file).sha256 == sha
    with learning_client(folder) as client:  # what was learnt and chosen is still there
        assert client.get(f"{API}/health").json()["model"]["sha256"] == sha


def test_a_device_is_checked_and_its_calibration_used(folder: Path) -> None:
    with learning_client(folder) as client:
        told = asked(client, "device")
        assert (told["patients"], told["calibration"], told["why"]) == (10, None, None)
        begun = client.post(f"{API}/device", json={"reader": READER})
        assert begun.status_code == 202, begun.text
        job = ended(client, "device")
        assert job["state"] == "done", job
        kept = asked(client, "device")["calibration"]
        assert not kept["in_use"]  # before somebody has seen whether it helps
        on = client.post(f"{API}/device/calibration", json={"use": True})
        assert on.json() == {"in_use": True}
        assert client.get(f"{API}/models").json()["calibration_sha256"] is not None
        assert kept["scores"]["after"]["auc"]["value"] is not None
        path = folder / kept["path"]
        sound = sorted(folder.glob("*.wav"))[0]
        assert laennec.analyze(sound, calibration=path).calibration is not None
        off = client.post(f"{API}/device/calibration", json={"use": False})
        assert off.json() == {"in_use": False}
        assert client.get(f"{API}/models").json()["calibration_sha256"] is None


def test_a_job_is_stopped_and_leaves_nothing(folder: Path) -> None:
    with learning_client(folder) as client:
        job = client.post(f"{API}/learn", json={"reader": READER}).json()
        stopped = client.post(f"{API}/jobs/{job['id']}/stop")
        assert stopped.json()["state"] == "stopped"
        assert ended(client, "learn")["state"] == "stopped"
        assert not (folder / "models").exists()
        assert client.post(f"{API}/jobs/99/stop").status_code == 404
        again = client.post(f"{API}/learn", json={"reader": READER})
        assert again.status_code == 202  # and the server's end stops it


def test_too_little_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with web_client(tmp_path) as client:
        client.post(f"{API}/readers", json={"name": READER})
        number = add_recording(client.app.state.server.database, "1.wav", "p1")  # type: ignore[attr-defined]
        add_analysis(client.app.state.server.database, number)  # type: ignore[attr-defined]
        edits = [{"kind": "review", "reviewed": True}]
        client.post(
            f"{API}/recordings/{number}/edits", json={"reader": READER, "revision": 0, "edits": edits}
        )
        assert asked(client, "learn")["patients"] == 1
        for path, words in (
            ("learn", "of 1 patient; a model needs 10"),
            ("device", "a calibration needs 10"),
        ):
            refused = client.post(f"{API}/{path}", json={"reader": READER})
            assert refused.status_code == 422
            assert words in refused.json()["error"]
        assert client.post(f"{API}/device/calibration", json={"use": True}).status_code == 404
        assert client.get(f"{API}/models/compare", params={"sha256": "0"}).status_code == 404
        assert client.get(f"{API}/learn", params={"reader": "Nobody"}).status_code == 404


# --- precision and recall -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    label: str


@dataclass(frozen=True)
class Event:
    label: str
    origins: tuple[int, ...] = ()


@dataclass(frozen=True)
class State:
    rejected: tuple[Said, ...] = ()
    reviewed: bool = True
    record: str | None = None
    analysis: int = 1


@dataclass(frozen=True)
class Made:
    labelled: tuple[Event, ...]
    suggestions: dict[int, Said]
    state: State = field(default_factory=State)
    recording: dict[str, Any] = field(default_factory=lambda: {"id": 1, "patient": "p", "path": "1.wav"})
    models: dict[int, tuple[str, str]] = field(default_factory=lambda: {1: ("one", SHA["one"])})


def test_precision_and_recall_are_as_the_reader_decided() -> None:
    """Of five suggestions two are as they were, one is relabelled, one was only a breath, one is rejected."""
    said = dict(enumerate(map(Said, ["Wheeze", "Normal", "Fine Crackle", "Wheeze", "Normal", "Wheeze"])))
    own = Made(
        (
            Event("Wheeze", (0,)), Event("Normal", (1,)), Event("Coarse Crackle", (2,)),
            Event("Normal", (3,)), Event("Wheeze", (4,)), Event("Stridor"), Event("inspiration"),
        ),
        said,
        State(rejected=(said[5],)),
    )  # fmt: skip
    every: Any = [own]
    assert device.counts_of(every[0], False) == {"kept": 5, "rejected": 1, "added": 1, "same_label": 2}
    assert device.counts_of(every[0], True) == {"kept": 2, "rejected": 2, "added": 2, "same_label": 1}
    told = device.figures(every, adventitious=True)
    assert (told["precision"]["value"], told["recall"]["value"]) == (0.5, 0.5)
    assert device.sickness(every[0]) is True
    poor: Any = Made((), {}, State(record="Poor Quality"))
    assert device.sickness(poor) is None
    assert device.check([own], "another")["of_model"] == 0  # type: ignore[list-item]
