"""Label files of every format: what a format can hold comes back, what it cannot hold is said."""

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("pandas")
import soundfile
from corrections_folder import SHA, add_analysis, add_recording
from fastapi.testclient import TestClient
from test_corrections import API, database, edit, state
from web_client import web_client

from laennec import datasets
from laennec.annotations.formats import CHANNELS, RECORD
from laennec.datasets.records import labelled_recordings
from laennec.datasets.summary import print_info
from laennec.web.exchange import FORMATS

MARKS = [
    {"channel": 0, "start_s": 0.25, "end_s": 1.5, "label": "Rhonchi"},
    {"channel": 0, "start_s": 1.5, "end_s": 2.0, "label": "Wheeze+Crackle"},
    {"channel": 1, "start_s": 1.25, "end_s": 2.5, "label": "Normal"},
    {"channel": 0, "start_s": 0.0, "end_s": 1.0, "label": "inspiration"},
]
STRANGE = b"3.0\t4.0\t=HYPERLINK(1)\n"  # of another program's file: the page gives no such label


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One server for the tests of single recordings."""
    with web_client(tmp_path_factory.mktemp("ward")) as client:
        for name in ("Anna", "Ben"):
            client.post(f"{API}/readers", json={"name": name})
        yield client


@pytest.fixture
def recording(client: TestClient) -> int:
    return add_recording(database(client), f"{uuid4()}/1.wav", "anna", channels=2)


def marks(found: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(e["channel"], e["start_s"], e["end_s"], e["label"]) for e in found["events"]]


def fetch(client: TestClient, recording: int, form: str, **query: Any) -> tuple[bytes, list[str]]:
    query = {"reader": "Anna", **query}
    answer = client.get(f"{API}/recordings/{recording}/labels.{form}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.content, json.loads(answer.headers["Laennec-Not-Held"])


def send(client: TestClient, recording: int, content: bytes, reader: str = "Ben", **query: Any) -> Any:
    path = f"{API}/recordings/{recording}/labels"
    answer = client.post(path, params={"reader": reader, **query}, content=content)
    return {"status": answer.status_code, **answer.json()}


@pytest.mark.parametrize("form", FORMATS)
def test_what_a_format_holds_comes_back(client: TestClient, recording: int, form: str) -> None:
    edit(client, recording, {"kind": "add", "events": MARKS}, {"kind": "record", "label": "CAS"})
    send(client, recording, STRANGE, "Anna", name="a.txt", channel=0, replace=False)
    content, not_held = fetch(client, recording, form)
    read = send(client, recording, content, name=f"x{FORMATS[form].suffix}")
    assert read["status"] == 200, read
    kinds = FORMATS[form]
    expected = set()
    for mark in marks(state(client, recording)):
        channels = [mark[0]] if CHANNELS in kinds.holds else [0, 1]
        label = kinds.word(mark[3])
        if label is not None:
            expected |= {(channel, *mark[1:3], label) for channel in channels}
    assert set(marks(read)) == expected
    assert (read["record"] == "CAS") is (RECORD in kinds.holds)
    sentences = {
        "audacity": ["2 channels", "CAS"],
        **{name: ["CAS"] for name in ("raven", "table", "textgrid", "elan", "rttm", "label-studio")},
        "birdnet": ["2 channels", "CAS"],
        "hf-lung": ["=HYPERLINK", "Normal", "Wheeze+Crackle", "CAS"],
        "icbhi": ["=HYPERLINK", "inspiration", "Rhonchi", "2 channels", "CAS"],
        "sprsound": ["=HYPERLINK", "inspiration", "2 channels"],
    }
    assert len(not_held) == len(sentences[form])
    assert all(any(word in sentence for sentence in not_held) for word in sentences[form]), not_held


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "hf-lung"])  # it has no Normal
def test_one_channel_comes_back_as_it_was(client: TestClient, recording: int, form: str) -> None:
    edit(client, recording, {"kind": "add", "events": MARKS[:3]})
    content, _ = fetch(client, recording, form, channel=1)
    assert marks(send(client, recording, content, channel=1)) == [(1, 1.25, 2.5, "Normal")]


def test_a_file_is_one_edit_and_accepts_what_it_has_too(client: TestClient, recording: int) -> None:
    add_analysis(database(client), recording)
    before = state(client, recording)
    phase = {"kind": "add", "events": [MARKS[3]]}
    edit(client, recording, phase)
    read = send(
        client, recording, b"1.0\t2.0\tWheeze\n7\t8\tStridor\n9.5\t11\tx\n12\t13\ty\n", "Anna", channel=0
    )
    assert read["imported"] == {
        "added": 2, "kept": 1, "removed": 2,
        "notes": ["line 3: cut to what lies in the recording",
                  "line 4: lies outside the recording; left out"],
    }  # fmt: skip
    assert [(e["label"], e["status"]) for e in read["events"]] == [
        ("Wheeze", "accepted"), ("Stridor", "added"), ("x", "added"), ("inspiration", "added"),
    ]  # fmt: skip
    assert len(read["rejected"]) == 2
    undone = edit(client, recording, {"kind": "undo"}, {"kind": "undo"})
    assert undone["events"] == before["events"]
    kept = send(client, recording, b"7\t8\tStridor\n", channel=0, replace=False)
    assert len(kept["events"]) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1\t2\tWheeze\n2\t1\tWheeze\n", "line 2"),
        (b"1\t2\n", "line 1 has no label"),
        (b"\xff\xff", "UTF-8"),
        (b"{", "not JSON"),
        (b"path,start_s,end_s,label\nother.wav,1,2,Wheeze\n", "its only row is not for 1.wav"),
        (b"1\t2\t" + b"x" * 200 + b"\n", "label is"),
        (b"start_s,end_s,label,channel\n1,2,Wheeze,7\n", "channel is 7"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_whole(
    client: TestClient, recording: int, content: bytes, message: str
) -> None:
    answer = send(client, recording, content)
    assert (answer["status"], message in answer["error"]) == (422, True), answer
    assert state(client, recording, "Ben")["revision"] == 0


def test_wrong_formats_and_names_are_refused(client: TestClient, recording: int) -> None:
    for path in (f"recordings/{recording}/labels.burn", f"recordings/{recording}/labels..%2F..%2Fx"):
        assert client.get(f"{API}/{path}", params={"reader": "Anna"}).status_code in (404, 422)
    assert client.get(f"{API}/export.zip", params={"reader": "nobody"}).status_code == 404
    assert client.get(f"{API}/export.zip", params={"reader": "Anna", "format": "x"}).status_code == 422
    assert {each["name"] for each in client.get(f"{API}/label-formats").json()["formats"]} == set(FORMATS)


# --- the whole folder ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("folder")


@pytest.fixture(scope="module")
def corrected(ward: Path) -> Iterator[TestClient]:
    """A server of three recordings: reviewed, corrected in part, not looked at."""
    with web_client(ward) as client:
        client.post(f"{API}/readers", json={"name": "Anna"})
        correct(client, ward)
        yield client


def correct(client: TestClient, ward: Path) -> None:
    numbers = []
    for path in ("anna/1.wav", "ben/2.wav", "cleo/3.wav"):
        (ward / path).parent.mkdir()
        soundfile.write(ward / path, np.random.default_rng(0).normal(0, 0.1, 80_000), 8000)
        number = add_recording(database(client), path, path.partition("/")[0], age_years=7.0, sex="female",
                               position="left-posterior")  # fmt: skip
        add_analysis(database(client), number)
        numbers.append(number)
    first = state(client, numbers[0])["events"]
    edit(
        client,
        numbers[0],
        {"kind": "change", "events": [first[0]["id"]], "label": "Rhonchi"},
        {"kind": "delete", "events": [first[1]["id"]]},
        {"kind": "add", "events": [{"start_s": 7, "end_s": 8, "label": "expiration"}]},
        {"kind": "record", "label": "CAS"},
        {"kind": "review"},
    )
    second = state(client, numbers[1])["events"]
    edit(client, numbers[1], {"kind": "accept", "events": [second[0]["id"]]})


def unpack(client: TestClient, into: Path, **query: Any) -> zipfile.ZipFile:
    answer = client.get(f"{API}/export.zip", params={"reader": "Anna", **query})
    assert answer.status_code == 200
    found = zipfile.ZipFile(io.BytesIO(answer.content))
    assert found.testzip() is None
    found.extractall(into)
    return found


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_export_is_a_data_set(
    corrected: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    names = set(unpack(corrected, out, sounds=True).namelist())
    assert {"anna/1.wav", "cleo/3.wav", "labels/anna/1.txt", "labels/ben/2.txt", "clips.csv"} <= names
    assert "labels/cleo/3.txt" not in names  # nobody has said anything of it
    assert print_info(datasets.dataset(datasets.guess(out)), out) == 0
    assert "Rhonchi" in capsys.readouterr().out
    clips = datasets.load("folder", out)
    assert list(clips["label"]) == ["Rhonchi", "Normal"]
    assert set(clips["subject"]) == {"anna"}
    assert set(clips["location"]) == {"left-posterior"}
    assert (clips["start_s"].iloc[0], clips["end_s"].iloc[0], clips["age_years"].iloc[0]) == (1.0, 2.0, 7.0)
    calibrating = labelled_recordings("folder", out / "records.csv")
    assert list(calibrating["labels"]) == [("CAS",)]
    assert (out / "labels/ben/2.txt").read_text() == "1.000000\t2.000000\tWheeze\n"
    assert "1 of 3 recordings" in (out / "README.txt").read_text()


def test_every_event_has_its_model_in_the_table(corrected: TestClient, tmp_path: Path) -> None:
    names = unpack(corrected, tmp_path / "out", format="sprsound").namelist()
    assert "labels/anna/1.json" in names
    assert not [name for name in names if name.endswith(".wav")]
    table = rows(tmp_path / "out/events.csv")
    assert {(row["model_name"], row["model_sha256"]) for row in table} == {("one", SHA["one"])}
    told = [(row["recording"], row["status"], row["label"], row["suggested_label"]) for row in table]
    assert told[:4] == [
        ("anna/1.wav", "changed", "Rhonchi", "Wheeze"),
        ("anna/1.wav", "suggested", "Normal", "Normal"),
        ("anna/1.wav", "added", "expiration", ""),
        ("anna/1.wav", "rejected", "Fine Crackle", "Fine Crackle"),
    ]
    assert [status for _, status, _, _ in told[4:]] == ["accepted", *["suggested"] * 5]
    assert "no place for that" in (tmp_path / "out/README.txt").read_text()


def test_unpacked_beside_the_recordings_it_makes_them_a_data_set(corrected: TestClient, ward: Path) -> None:
    unpack(corrected, ward)
    assert datasets.guess(ward) == "folder"
    assert len(datasets.load("folder", ward)) == 2
