"""Many recordings in one command: what is found, what is done again, and what one bad file costs."""

import csv
import gc
import io
import json
import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from laennec import Analysis, LaennecError, analyze
from laennec.analyze import described
from laennec.audio.folder import is_audio
from laennec.cli import analyze as command_line
from laennec.cli.analyze_arguments import Analyze
from laennec.errors import UsageError
from laennec.output.files import find_recordings, parse_formats
from laennec.output.ledger import LEDGER
from tiny_model import RATE, tiny_model


def analyze_files(files: Sequence[Path], **options: Any) -> int:
    return command_line.run(Analyze(tuple(files), **{"jobs": 1, **options}))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


def write_sound(path: Path, level: float, seconds: float = 2.0) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    soundfile.write(path, level * np.random.default_rng(0).standard_normal(round(seconds * RATE)), RATE)


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    """Three recordings in two folders, a bad one, and what is to be passed over."""
    folder = tmp_path / "ward"
    write_sound(folder / "a.wav", 0.02)
    write_sound(folder / "bed 1" / "a.FLAC", 0.2)
    write_sound(folder / "bed 1" / "b.wav", 0.2)
    (folder / "bed 1" / "broken.wav").write_bytes(b"not audio")
    (folder / "bed 1" / "._b.wav").write_bytes(b"of macOS")
    write_sound(folder / ".trash" / "c.wav", 0.2)
    (folder / "notes.txt").write_text("no sound")
    return folder


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the recordings, as they are analysed."""
    names: list[str] = []

    def counted(source: Any, **told: Any) -> Analysis:
        found = analyze(source, **told)
        names.append(found.name)
        return found

    monkeypatch.setattr(described, "analyze", counted)
    return names


def rows_of(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((out / "summary.csv").read_text())))


# --- what is asked ------------------------------------------------------------------------------------------


def test_folders_are_searched_and_names_are_below_them(ward: Path) -> None:
    alone = ward / "notes.txt"
    found = find_recordings([ward, alone, ward / "bed 1" / "b.wav"]).names
    assert {path.relative_to(ward).as_posix(): name for path, name in found.items()} == {
        "a.wav": "a",
        "bed 1/a.FLAC": os.path.join("bed 1", "a"),
        "bed 1/b.wav": os.path.join("bed 1", "b"),
        "bed 1/broken.wav": os.path.join("bed 1", "broken"),
        "notes.txt": "notes",
    }


def test_a_folder_without_audio_is_said(tmp_path: Path) -> None:
    with pytest.raises(LaennecError, match="no audio file in it or below it"):
        find_recordings([tmp_path])
    with pytest.raises(UsageError, match="at least one"):
        find_recordings([])


def test_every_ending_that_can_be_read_is_audio_in_a_folder() -> None:
    endings = "wav WAVE flac oga opus mp3 aifc au snd caf w64 rf64 bwf sph m4a 3gp aac amr wma webm mka mp4"
    assert all(is_audio(f"visit.{ending}") for ending in endings.split())
    assert not any(is_audio(name) for name in ("visit.txt", "visit", "._visit.wav", "wav", "visit.wav.part"))


def test_formats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_formats(None, None) == ()
    assert parse_formats(None, tmp_path) == ("json", "html")
    assert parse_formats(" CSV, json,csv", tmp_path) == ("csv", "json")
    with pytest.raises(UsageError, match="--format needs --out"):
        parse_formats("csv", None)
    for told in ("xml", "json,xml", "", ","):
        with pytest.raises(
            UsageError, match="expected some of json,csv,audacity,sprsound,icbhi,fhir,fhir-r5,"
        ):
            parse_formats(told or ",", tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(LaennecError, match="Matplotlib"):
        parse_formats("png", tmp_path)
    assert parse_formats("html", tmp_path) == ("html",)


def test_clashes_are_refused_before_the_work(
    ward: Path, tmp_path: Path, model: str, heard: list[str]
) -> None:
    other = tmp_path / "other" / "a.wav"
    write_sound(other, 0.1)
    with pytest.raises(UsageError, match=r"a\.wav and .*a\.wav would both write .*a\.json"):
        analyze_files([ward, other], model=model, out=tmp_path / "out")
    assert heard == []
    assert not (tmp_path / "out").exists()
    assert analyze_files([ward, other], model=model) == 1  # nothing is written, so nothing clashes


@pytest.mark.parametrize("extra", ["empty", "none"])
def test_a_folder_without_a_recording_stops_none_of_the_others(
    extra: str, ward: Path, tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    assert analyze_files([ward / "a.wav", tmp_path / extra], model=model, out=out) == 1
    good, bad = rows_of(out)
    assert (good["recording"], good["error"]) == ("a.wav", "")
    captured = capsys.readouterr()
    if extra == "none":
        assert bad["error"] == "no such file"
        assert captured.err == "laennec: 1 of 2 recordings failed\n"
        return
    assert bad["recording"].endswith(os.path.join("empty", ""))
    assert bad["error"].startswith("no audio file in it or below it (.wav,")
    assert captured.err == "laennec: 1 folder could not be analysed\n"


# --- many ---------------------------------------------------------------------------------------------------


def test_a_folder_gives_the_same_folders_a_row_each_and_a_bad_file_stops_nothing(
    ward: Path, tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert analyze_files([ward], model=model, out=out, format="json,csv") == 1
    captured = capsys.readouterr()
    assert captured.err == "laennec: 1 of 4 recordings failed\n"
    assert "broken.wav" in captured.out
    assert "not audio that can be" in " ".join(captured.out.split())
    assert captured.out.count("not a medical device") == 1
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*") if path.is_file()) == [
        ".laennec-analyze.json",
        "a.csv",
        "a.json",
        "a.record.csv",
        "bed 1/a.csv",
        "bed 1/a.json",
        "bed 1/a.record.csv",
        "bed 1/b.csv",
        "bed 1/b.json",
        "bed 1/b.record.csv",
        "summary.csv",
    ]
    rows = rows_of(out)
    assert [row["recording"] for row in rows] == ["a.wav", "bed 1/a.FLAC", "bed 1/b.wav", "bed 1/broken.wav"]
    assert [row["Wheeze"] for row in rows] == ["0", "1", "1", ""]
    assert rows[3]["error"].startswith("not audio")


def test_a_second_run_does_only_what_is_new(
    ward: Path, tmp_path: Path, model: str, heard: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def run(**more: Any) -> tuple[list[str], str]:
        heard.clear()
        analyze_files([ward], model=model, out=tmp_path / "out", format="json", **more)
        return sorted(heard), capsys.readouterr().out

    assert run()[0] == ["a.FLAC", "a.wav", "b.wav"]
    first = rows_of(tmp_path / "out")
    found, text = run()
    assert found == []
    assert "3 done before" in text
    assert rows_of(tmp_path / "out") == first
    write_sound(ward / "bed 1" / "broken.wav", 0.2)
    write_sound(ward / "a.wav", 0.3)
    assert run()[0] == ["a.wav", "broken.wav"]
    (tmp_path / "out" / "a.json").unlink()
    assert run()[0] == ["a.wav"]
    assert len(run(age=4.0)[0]) == 4
    assert len(run(age=4.0, again=True)[0]) == 4
    assert "done before" not in run(age=5.0)[1]


def test_another_model_makes_results_anew(ward: Path, tmp_path: Path, model: str, heard: list[str]) -> None:
    other = tiny_model(tmp_path / "other.onnx", bias=np.zeros(7))
    for named in (model, other):
        heard.clear()
        analyze_files([ward], model=str(named), out=tmp_path / "out", format="json")
        assert len(heard) == 3


def test_an_interrupted_run_goes_on_where_it_stopped(
    ward: Path, tmp_path: Path, model: str, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def stopped(source: Any, **told: Any) -> Analysis:
        if source.name == "b.wav":
            raise KeyboardInterrupt
        return analyze(source, **told)

    with monkeypatch.context() as patched:
        patched.setattr(described, "analyze", stopped)
        with pytest.raises(KeyboardInterrupt):
            analyze_files([ward], model=model, out=out, format="json")
    assert [row["recording"] for row in rows_of(out)] == ["a.wav", "bed 1/a.FLAC"]
    assert len(json.loads((out / LEDGER).read_text())["files"]) == 2
    analyze_files([ward], model=model, out=out, format="json")
    assert heard == ["b.wav"]


def test_json_is_one_array_done_before_or_not(
    ward: Path, tmp_path: Path, model: str, heard: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    texts = []
    for formats, anew in (("json", 3), ("json", 0), ("csv", 3), ("csv", 3)):
        heard.clear()
        code = analyze_files([ward], model=model, out=tmp_path / "out", format=formats, json=True)
        captured = capsys.readouterr()
        assert (code, len(heard)) == (1, anew)
        assert "laennec: bed 1/broken.wav: not audio" in captured.err
        texts.append(captured.out)
    assert len(set(texts)) == 1
    told = json.loads(texts[0])
    assert [one["recording"]["name"] for one in told] == ["a.wav", "a.FLAC", "b.wav"]
    assert texts[0] == json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def test_json_of_nothing_is_an_empty_array(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"not audio")
    assert analyze_files([tmp_path], model=model, json=True) == 1
    assert json.loads(capsys.readouterr().out) == []


def test_a_mistake_of_ours_costs_one_recording(
    ward: Path, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(source: Any, **told: Any) -> Analysis:
        if source.name == "a.wav":
            raise ZeroDivisionError("oh")
        return analyze(source, **told)

    monkeypatch.setattr(described, "analyze", mistaken)
    assert analyze_files([ward], model=model, out=tmp_path / "out", format="json") == 1
    errors = {row["recording"]: row["error"] for row in rows_of(tmp_path / "out")}
    assert errors["a.wav"].startswith("ZeroDivisionError: oh (an error in Laennec")
    assert errors["bed 1/b.wav"] == ""
    with pytest.raises(ZeroDivisionError):
        analyze_files([ward / "a.wav"], model=model)


def test_analyses_are_not_kept(tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[weakref.ref[Analysis]] = []
    most = 0

    def watched(source: Any, **told: Any) -> Analysis:
        nonlocal most
        gc.collect()
        most = max(most, sum(ref() is not None for ref in alive))
        found = analyze(source, **told)
        alive.append(weakref.ref(found))
        return found

    for number in range(8):
        write_sound(tmp_path / "in" / f"{number}.wav", 0.1)
    monkeypatch.setattr(described, "analyze", watched)
    analyze_files([tmp_path / "in"], model=model, out=tmp_path / "out", format="json", json=True)
    assert len(alive) == 8
    assert most <= 1


@pytest.mark.needs("matplotlib")
def test_a_long_recording_is_heard_from_its_file_and_shown_by_its_beginning(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = []

    def seen(source: Any, **told: Any) -> Analysis:
        sources.append(source)
        return analyze(source, **told)

    write_sound(tmp_path / "long.wav", 0.2, 9.0)
    monkeypatch.setattr(described, "analyze", seen)
    monkeypatch.setattr("laennec.audio.stream.KEPT_SAMPLES", 0)
    monkeypatch.setattr("laennec.output.recordings.SHOWN_S", 4.0)
    out = tmp_path / "out"
    assert analyze_files([tmp_path / "long.wav"], model=model, out=out, format="json,html,png") == 0
    assert [source.in_memory for source in sources] == [False]
    assert json.loads((out / "long.json").read_text())["recording"]["duration_s"] == 9.0
    assert "shown are the first 4 s of 9 s" in (out / "long.html").read_text()
    assert (out / "long.png").stat().st_size > 5_000


def test_the_bar_is_only_for_a_terminal(
    ward: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # with it, Rich takes anything for a terminal
    analyze_files([ward], model=model, json=True)
    captured = capsys.readouterr()
    assert "analysing" in captured.err
    json.loads(captured.out)
    monkeypatch.delenv("FORCE_COLOR")
    analyze_files([ward], model=model)
    assert "analysing" not in capsys.readouterr().err
