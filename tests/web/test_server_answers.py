"""Which answer of a recording holds: after a full disk, a restart, another model, a newer Laennec."""

import errno
import os
import re
import shutil
import wave
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient
from web_client import API, rows, settled, web_client

from laennec.analyze.described import known_to
from laennec.labels import POSITIONS
from laennec.model.card import RecordingCard
from laennec.model.load import load_model
from laennec.simulate import write_demo
from laennec.web import library, sounds, worker
from laennec.web.database import Database, WorkspaceFullError
from laennec.web.doubts import event_doubt, record_doubt
from laennec.web.jobs import AnalysisQueue, FailedError
from laennec.web.settings import Settings
from laennec.web.state import Server
from waiting import until


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two recordings that were analysed, and one that cannot be read."""
    folder = tmp_path_factory.mktemp("made") / "ward"
    write_demo(folder)
    (folder / "broken.wav").write_bytes(b"RIFF" + bytes(100))
    with web_client(folder) as client:
        assert {row["state"] for row in settled(client).values()} == {"done", "failed"}
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "ward", copy_function=shutil.copy2))


@pytest.fixture
def ward(folder: Path) -> Iterator[TestClient]:
    with web_client(folder) as client:
        yield client


def server_of(client: TestClient) -> Server:
    server = client.app.state.server  # type: ignore[attr-defined]
    assert isinstance(server, Server)
    return server


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# --- a full disk --------------------------------------------------------------------------------------------


def test_an_answer_that_cannot_be_written_leaves_the_earlier_one(
    ward: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows(ward)["wheezes.wav"]

    def refused(*_: Any) -> None:
        raise WorkspaceFullError("laennec.sqlite: the disk is full")

    monkeypatch.setattr(server_of(ward).library, "_keep", refused)
    ward.post(f"{API}/recordings/{before['id']}/analyze")
    row = until(lambda: (now := rows(ward)["wheezes.wav"])["error"] and now)
    assert row["state"] == "done"
    assert row["record"] == before["record"]
    assert row["error"] == (
        "the new answer is not kept, and this is the earlier one: laennec.sqlite: the disk is full"
    )
    monkeypatch.undo()
    ward.post(f"{API}/recordings/{before['id']}/analyze")
    until(lambda: rows(ward)["wheezes.wav"] == before)


def test_sound_that_cannot_be_kept_is_507_and_names_no_path(
    ward: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(folder / sounds.FOLDER, ignore_errors=True)
    monkeypatch.setattr(wave, "open", full)
    number = rows(ward)["wheezes.wav"]["id"]
    for part in ("spectrogram", "sound/0.wav"):
        answer = ward.get(f"{API}/recordings/{number}/{part}")
        assert answer.status_code == 507
        assert "No space left" in answer.json()["error"]
        assert str(folder) not in answer.text
        assert sounds.FOLDER not in answer.text


def test_a_full_disk_in_the_worker_is_507_too_and_costs_no_analysis(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wave, "open", full)
    messages: list[dict[str, Any]] = []
    order = worker.Order(str(folder / "wheezes.wav"), "wheezes.wav", cache=str(folder / "cache"))
    worker.perform(order, worker.Models(), messages.append)
    assert messages[-1]["kind"] == "done"
    worker.perform(replace(order, is_decoding=True), worker.Models(), messages.append)
    assert (messages[-1]["kind"], messages[-1]["status"]) == ("failed", 507)
    queue = AnalysisQueue(SimpleNamespace(run=lambda _: messages[-1:], kill=None, stop=None))  # type: ignore[arg-type]
    with pytest.raises(FailedError) as refused:
        queue.wait_for("decode", order)
    assert refused.value.status == 507


# --- what is analysed anew ----------------------------------------------------------------------------------


def analysed_anew(
    folder: Path, change: Callable[[Server], None] = lambda _: None, **settings: Any
) -> set[str]:
    """The names of the recordings that a server would analyse that is started now."""
    server = Server(Settings(folder, warm=False, **settings))
    queued: list[str] = []
    server.queue.put = lambda *tasks: queued.extend(task.order.name for task in tasks)  # type: ignore[method-assign]
    try:
        change(server)
        server.library.rescan()
    finally:
        server.database.close()
    return set(queued)


def test_nothing_is_analysed_anew_without_a_reason(folder: Path) -> None:
    os.utime(folder / "wheezes.wav")  # of another time, with the same content
    assert analysed_anew(folder) == set()


def test_a_newer_laennec_analyses_everything_anew_also_what_failed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = {"wheezes.wav", "fine_crackles.wav", "broken.wav"}
    monkeypatch.setattr(library, "__version__", "99.0")
    assert analysed_anew(folder) == everything
    monkeypatch.undo()
    assert analysed_anew(folder) == set()


def test_a_parameter_that_is_none_is_refused_by_every_route(ward: TestClient) -> None:
    described = ward.get("/api/v1/openapi.json").json()
    asked = 0
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            names = [each["name"] for each in operation.get("parameters", []) if each["in"] == "query"]
            answer = ward.request(method, re.sub(r"{\w+}", "1", path) + "?phase=true")
            assert answer.status_code == 422, (method, path)
            wanted = f"'phase': no such parameter; this address takes {', '.join(names) or 'none'}"
            assert answer.json() == {"error": wanted}
            schema = operation["responses"]["422"]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/Problem"}
            asked += bool(names)
    assert asked > 10
    assert "no such parameter" not in ward.post("/api/v1/analyze?name=a.wav", content=b"x").text


def test_another_model_or_calibration_analyses_everything_anew(folder: Path) -> None:
    everything = {"wheezes.wav", "fine_crackles.wav", "broken.wav"}
    assert analysed_anew(folder, model="default") == everything

    def calibrated(server: Server) -> None:
        used = replace(server.models.in_use(), calibration_sha256="1" * 64)
        server.models.in_use = lambda: used  # type: ignore[method-assign]

    assert analysed_anew(folder, calibrated) == everything


def test_a_file_with_other_content_is_analysed_anew_and_its_earlier_answer_not_shown(folder: Path) -> None:
    shutil.copy(folder / "fine_crackles.wav", folder / "wheezes.wav")
    assert analysed_anew(folder) == {"wheezes.wav"}
    server = Server(Settings(folder, warm=False))
    numbers = {row["name"]: row["id"] for row in server.library.rows()[1]}
    assert server.library.analysis(numbers["wheezes.wav"]) is None
    assert server.library.analysis(numbers["fine_crackles.wav"]) is not None
    server.database.close()


def test_a_workspace_of_the_first_format_is_kept_with_its_answers(folder: Path) -> None:
    database = Database(folder)
    with database.transaction() as do:
        do("ALTER TABLE analysis DROP COLUMN laennec")
        do("PRAGMA user_version = 1")
    database.close()
    assert analysed_anew(folder) == {"broken.wav"}, "what failed does not tell by which version"


# --- what the model is given --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("position", "known"),
    [
        ("left-posterior-lower", "left-posterior"),
        ("right-lateral", "right-lateral"),
        ("trachea", None),
        (None, None),
    ],
)
def test_a_place_finer_than_the_models_is_the_next_coarser(position: str | None, known: str | None) -> None:
    card = SimpleNamespace(uses_metadata=True, positions=POSITIONS)
    model: Any = SimpleNamespace(card=card)
    told = {"age_years": 4.0} | ({} if position is None else {"position": position})
    assert known_to(model, told) == {**told, **({"position": known} if position else {})}
    card.uses_metadata = False
    assert known_to(model, told) == {}


# --- why it is uncertain ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def card() -> RecordingCard:
    found = load_model("recording").card
    assert isinstance(found, RecordingCard)
    return found


@pytest.mark.parametrize(
    ("presence", "probability", "length_s", "by"),
    [(0.3, 0.99, 1.0, "presence"), (0.9, 0.4, 1.0, "probability"), (0.9, 0.95, 0.05, "length_s")],
)
def test_the_part_that_makes_an_event_uncertain_is_told(
    card: RecordingCard, presence: float, probability: float, length_s: float, by: str
) -> None:
    event = {"uncertain": True, "presence": presence, "probability": probability, "start_s": 1.0}
    doubt = event_doubt(event | {"end_s": 1.0 + length_s}, card)
    assert doubt is not None
    assert doubt["by"] == by
    assert doubt["certain_from"] == card.event_hit_abstain_below
    assert event_doubt(event | {"end_s": 2.0, "uncertain": False}, card) is None


def test_a_recording_is_uncertain_by_its_threshold_or_by_a_reason(card: RecordingCard) -> None:
    shares = dict(zip(card.records, (0.3, 0.3, 0.3, 0.05, 0.05), strict=True))
    record = {"label": "CAS", "uncertain": True, "probabilities": shares, "reasons": ["counts", "the doubt"]}
    sick = {**shares, "CAS": 0.9, "Normal": 0.0, "DAS": 0.1, "CAS & DAS": 0.0, "Poor Quality": 0.0}
    by_threshold = record_doubt(record | {"probabilities": {**shares, "CAS": 0.31}}, card)
    assert by_threshold is not None
    assert by_threshold["by"] == "threshold"
    assert by_threshold["certainty"] == pytest.approx(0.31 + 0.3 + 0.05)
    assert by_threshold["certain_from"] == card.sick_abstain_below
    assert record_doubt(record | {"probabilities": sick}, card) == {"by": "reason", "reason": "the doubt"}
    assert record_doubt(record | {"uncertain": False}, card) is None


def test_every_uncertain_event_of_an_answer_has_its_doubt(ward: TestClient) -> None:
    for row in rows(ward).values():
        details = ward.get(f"{API}/recordings/{row['id']}").json()
        if details["analysis"] is None:
            assert details["doubts"] is None
            continue
        events, doubts = details["analysis"]["events"], details["doubts"]["events"]
        assert [doubt is not None for doubt in doubts] == [event["uncertain"] for event in events]
        assert all(doubt["certainty"] < doubt["certain_from"] for doubt in doubts if doubt)
        assert row["record"]["doubt"] == details["doubts"]["record"]


# --- models for clips ---------------------------------------------------------------------------------------


def test_a_model_for_clips_is_told_apart_and_refused_at_once(ward: TestClient) -> None:
    models = ward.get(f"{API}/models").json()["models"]
    tasks = {model["name"]: model["task"] for model in models if model["kind"] == "shipped"}
    assert tasks["recording"] == "recordings"
    assert tasks["default"] == "clips"
    ward.post(f"{API}/readers", json={"name": "Anna"})
    assert ward.get(f"{API}/device?reader=Anna").json()["clip_model"] is None
    server_of(ward).queue.put = lambda *_: None  # type: ignore[method-assign]
    ward.post(f"{API}/models/default/use")
    assert ward.get(f"{API}/health").json()["model"]["task"] == "clips"
    assert ward.get(f"{API}/device?reader=Anna").json()["clip_model"] == "default"
    assert ward.get(f"{API}/learn?reader=Anna").json()["clip_model"] is None, "it begins at the first model"
    refused = ward.post(f"{API}/live", json={"sample_rate": 8000})
    assert refused.status_code == 422
    assert refused.json()["error"] == "the model default is for clips; choose one for whole recordings"


# --- review -------------------------------------------------------------------------------------------------


def test_files_that_cannot_be_read_are_not_among_those_to_review(ward: TestClient) -> None:
    known = rows(ward)
    for order in ("uncertain", "informative", "random"):
        found = ward.get(f"{API}/review", params={"order": order}).json()["recordings"]
        assert sorted(found) == sorted(row["id"] for name, row in known.items() if name != "broken.wav")
