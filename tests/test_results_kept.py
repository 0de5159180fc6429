"""Nothing that was analysed is lost: to a file name, a later run, a run at the same time, a full disk."""

import csv
import errno
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from laennec import Analysis, LaennecError
from laennec.analyze.described import analyze_described
from laennec.annotations import read_events, table
from laennec.cli import analyze as command_line
from laennec.cli import main
from laennec.cli.analyze_arguments import Analyze
from laennec.errors import UsageError
from laennec.files import locked, printable
from laennec.output.challenge import answer_folder
from laennec.output.files import find_recordings
from laennec.output.formats import Summary
from laennec.output.ledger import LEDGER, Ledger
from laennec.score.events_table import Detection, read_events_table, write_events
from laennec.score.predictions import Predictions, read_predictions, write_predictions
from tiny_model import RATE, tiny_model


def analyze_files(files: Sequence[Path], **options: Any) -> int:
    return command_line.run(Analyze(tuple(files), **options))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


def write_sound(path: Path, level: float = 0.1, seconds: float = 1.0) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    with path.open("wb") as file:
        samples = level * np.random.default_rng(0).standard_normal(round(seconds * RATE))
        soundfile.write(file, samples, RATE, format="WAV")
    return path


def rows_of(out: Path) -> list[str]:
    return [row["recording"] for row in csv.DictReader(io.StringIO((out / "summary.csv").read_text()))]


# --- names --------------------------------------------------------------------------------------------------

LATIN = os.fsdecode(b"rec\xe9\x1b[31m.wav")  # of an old archive, and a colour


@pytest.fixture
def latin(tmp_path: Path) -> Path:
    """A folder with a name that is no UTF-8, another one, and a link to nothing with such a name."""
    folder = tmp_path / os.fsdecode(b"\xe9in")
    try:
        write_sound(folder / LATIN)
    except OSError:
        pytest.skip("file names are Unicode here")
    write_sound(folder / "good.wav")
    (folder / os.fsdecode(b"brok\xe9.wav")).symlink_to("nothing")
    return folder


@pytest.mark.parametrize("form", ["json", "csv", "html", "audacity", "sprsound", "icbhi"])
def test_a_name_that_is_no_utf_8_costs_nothing(
    latin: Path, tmp_path: Path, model: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / os.fsdecode(b"out\xe9")
    for again in ("", "2 done before"):
        assert analyze_files([latin], model=model, out=out, format=form) == 1
        captured = capsys.readouterr()
        assert again in captured.out
        assert "\x1b[31m" not in captured.out + captured.err
        assert captured.err == "laennec: 1 of 3 recordings failed\n"
        assert rows_of(out) == ["brok\\xe9.wav", "good.wav", "rec\\xe9\\x1b[31m.wav"]
    assert f"Results are in {tmp_path}/out\\xe9" in captured.out
    assert analyze_files([latin / LATIN], model=model, out=out, format=form) == 0


def test_the_challenge_answers_for_a_name_that_is_no_utf_8(latin: Path, tmp_path: Path, model: str) -> None:
    with pytest.raises(LaennecError, match="1 of 3 files has no answer"):
        answer_folder(12, latin, tmp_path / "out.json", model)
    assert set(json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))) == {"good.wav", LATIN}


def test_what_a_terminal_cannot_take_is_spelt_out() -> None:
    assert printable("a\x1b[1m\n\udce9\ud800\u202e中 é.wav") == "a\\x1b[1m\\x0a\\xe9\\ud800\\u202e中 é.wav"


# --- other runs ---------------------------------------------------------------------------------------------


def test_a_later_run_does_not_replace_what_is_of_others(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first, other = write_sound(tmp_path / "p1" / "rec.wav"), write_sound(tmp_path / "p2" / "rec.wav", 0.2)
    out = tmp_path / "out"
    assert analyze_files([first], model=model, out=out, format="json") == 0
    kept = (out / "rec.json").read_bytes()
    for files in ([other], [other.parent], [other, write_sound(tmp_path / "more.wav")]):
        with pytest.raises(UsageError, match=r"p1.rec\.wav and .*p2.rec\.wav would both write .*rec\.json"):
            analyze_files(files, model=model, out=out, format="json")
    with pytest.raises(UsageError, match="name another --out"):
        analyze_files([other], model=model, out=out, format="csv")
    assert (out / "rec.json").read_bytes() == kept
    write_sound(first, 0.3)  # the same recording, made anew
    assert analyze_files([first.parent], model=model, out=out, format="json") == 0
    assert (out / "rec.json").read_bytes() != kept
    copy = write_sound(tmp_path / "copy" / "rec.wav", 0.3)
    assert analyze_files([copy.parent], model=model, out=out, format="json") == 0
    assert "1 done before" in capsys.readouterr().out
    (out / "rec.json").unlink()
    assert analyze_files([other.parent], model=model, out=out, format="json") == 0


def test_the_summary_has_the_recordings_of_all_runs(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for folder, name in (("p1", "a.wav"), ("p2", "b.wav")):
        write_sound(tmp_path / folder / name)
        (tmp_path / folder / "bad.wav").write_bytes(b"not audio")
        assert analyze_files([tmp_path / folder], model=model, out=out, format="json") == 1
    assert rows_of(out) == ["a.wav", "bad.wav", "b.wav", str(tmp_path / "p2" / "bad.wav")]
    assert "summary.csv has the rows of 2 recordings of earlier runs, too" in capsys.readouterr().out
    analyze_files([write_sound(tmp_path / "c.wav")], model=model, out=out, format="json")
    assert rows_of(out)[-1] == "c.wav"
    for gone in (out / "a.json", tmp_path / "p2" / "bad.wav"):
        gone.unlink()
    analyze_files([tmp_path / "p2"], model=model, out=out, format="json")
    assert rows_of(out) == ["bad.wav", "c.wav", "b.wav"]


def test_a_recording_has_one_row_from_whichever_folder_it_is_reached(tmp_path: Path, model: str) -> None:
    for name in ("bed/a.wav", "b.wav"):
        write_sound(tmp_path / "ward" / name)
    for folder, rows in (("ward", ["b.wav", "bed/a.wav"]), ("ward/bed", ["b.wav", "a.wav"])):
        assert analyze_files([tmp_path / folder], model=model, out=tmp_path / "out", format="json") == 0
        assert rows_of(tmp_path / "out") == rows


def test_one_waits_for_another_with_the_same_folder(tmp_path: Path) -> None:
    order = []

    def second() -> None:
        with locked(tmp_path):
            order.append("second")

    thread = threading.Thread(target=second)
    with locked(tmp_path):
        thread.start()
        thread.join(0.1)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert list(tmp_path.iterdir()) == []


def test_two_runs_at_once_lose_nothing(tmp_path: Path) -> None:
    rows, ledgers = {}, {}
    for name in ("a", "b"):
        source = write_sound(tmp_path / f"in-{name}" / f"{name}.wav")
        ledgers[name] = ledger = Ledger(tmp_path, {})
        ledger.claim({source: name}, ["json"])
        rows[name] = (ledger.key(source), source, ["json"], [source], Summary(f"{name}.wav"))
    same = write_sound(tmp_path / "other" / "a.wav", 0.3)
    with pytest.raises(UsageError, match="would both write"):  # which the first run has not come to yet
        Ledger(tmp_path, {}).claim({same: "a"}, ["json"])
    for name in ("a", "b"):
        ledgers[name].add(*rows[name])
    assert ledgers["a"].close([]) == 0
    assert ledgers["b"].close([]) == 1
    assert rows_of(tmp_path) == ["a.wav", "b.wav"]
    assert set(json.loads((tmp_path / LEDGER).read_text())["files"]) == {"a.wav", "b.wav"}


def test_what_an_interrupted_run_has_not_come_to_is_free(tmp_path: Path) -> None:
    one, other = write_sound(tmp_path / "1" / "a.wav"), write_sound(tmp_path / "2" / "a.wav", 0.3)
    ledger = Ledger(tmp_path, {})
    ledger.claim({one: "a"}, ["json"])
    ledger.close()
    Ledger(tmp_path, {}).claim({other: "a"}, ["json"])


def test_recordings_whose_results_would_clash_have_names_of_their_own(tmp_path: Path, model: str) -> None:
    names = [
        "A.wav",
        "a.ch0.wav",
        "a.mp3",
        "a.wav",
        "b.ch0.wav",
        "b.ch1.wav",
        "b.wav",
        "c.wav",
        "summary.wav",
    ]
    for name in names:
        write_sound(tmp_path / "in" / name)
    out = tmp_path / "out"
    if len(list((tmp_path / "in").iterdir())) < len(names):
        pytest.skip("capitals make no difference here")
    assert analyze_files([tmp_path / "in"], model=model, out=out, format="csv") == 0
    results = {path.name for path in out.glob("*.csv") if ".record." not in path.name}
    kept = {
        "A.wav.csv",
        "a.wav-2.csv",
        "a.mp3.csv",
        "a.ch0.wav.csv",
        "b.csv",
        "b.ch0.wav.csv",
        "b.ch1.wav.csv",
    }
    assert results == {*kept, "c.csv", "summary.wav.csv", "summary.csv"}
    assert rows_of(out) == names
    assert analyze_files([tmp_path / "in"], model=model, out=out, format="csv") == 0


def test_a_folder_that_cannot_be_read_has_a_row_and_other_endings_are_counted(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sound(tmp_path / "in" / "a.wav")
    (tmp_path / "in" / "b.raw").touch()
    (tmp_path / "in" / "gone.wav").symlink_to("nowhere.wav")
    found = find_recordings([tmp_path / "in"])
    locked = found._replace(lost={"locked/": "cannot be read (Permission denied)"})
    monkeypatch.setattr("laennec.cli.analyze.find_recordings", lambda *_: locked)
    assert analyze_files([tmp_path / "in"], model=model, out=tmp_path / "out", format="json") == 1
    captured = capsys.readouterr()
    assert captured.err == "laennec: 1 folder could not be analysed\nlaennec: 1 of 2 recordings failed\n"
    assert f"{tmp_path}/in/gone.wav" not in captured.out  # a row has the name below the folder
    assert "1 file with other endings passed over (.raw 1); name a file to have it analysed" in captured.out
    assert rows_of(tmp_path / "out") == ["a.wav", "gone.wav", "locked/"]


# --- the state of the folder --------------------------------------------------------------------------------


def full(path: Any, _: Any) -> None:
    raise LaennecError(f"{path}: cannot be written (No space left on device)")


@pytest.mark.parametrize("what", ["write_json", "write_text"])
def test_a_state_that_cannot_be_written_costs_no_result(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    for name in ("a.wav", "b.wav"):
        write_sound(tmp_path / "in" / name)
    monkeypatch.setattr("laennec.output.ledger.SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(f"laennec.output.ledger.{what}", full)
    out = tmp_path / "out"
    assert analyze_files([tmp_path / "in"], model=model, out=out, format="json") == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "No space left on device); the results are written" in captured.err
    assert "b.wav" in captured.out
    assert (out / "b.json").is_file()


def test_where_nothing_was_written_no_results_are_announced(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sound(tmp_path / "in" / "a.wav")
    for place in ("ledger.write_json", "ledger.write_text", "files.write_json"):
        monkeypatch.setattr(f"laennec.output.{place}", full)
    assert analyze_files([tmp_path / "in"], model=model, out=tmp_path / "out", format="json") == 1
    captured = capsys.readouterr()
    assert "Results are in" not in captured.out
    assert "the results are written" not in captured.err
    assert "No space left on device" in captured.err


@pytest.mark.parametrize(
    "change",
    [
        {"summary": 3},
        {"outputs": [1]},
        {"formats": "json"},
        {"size": "1"},
        {"path": None},
        {"summary": {"recording": "a.wav", "quality": [], "events": []}},
        {"summary": {"recording": "a.wav", "quality": [], "probability": "high"}},
        {"summary": {"recording": "a.wav", "quality": [], "probability": float("nan")}},
        {"failed": {"recording": 1, "quality": []}},
        None,
    ],
)
def test_a_ledger_of_wrong_types_is_named_and_written_anew(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str], change: dict[str, Any] | None
) -> None:
    source, out = write_sound(tmp_path / "in" / "a.wav"), tmp_path / "out"
    analyze_files([source.parent], model=model, out=out, format="json")
    ledger = json.loads((out / LEDGER).read_text())
    ledger["files"]["a.wav"] = 3 if change is None else ledger["files"]["a.wav"] | change
    (out / LEDGER).write_text(json.dumps(ledger))
    capsys.readouterr()
    assert analyze_files([source.parent], model=model, out=out, format="json") == 0
    captured = capsys.readouterr()
    assert "1 of 1 entry cannot be read; what it should tell of is analysed again\n" in captured.err
    assert captured.err.count("\n") == 1
    assert "done before" not in captured.out
    assert analyze_files([source.parent], model=model, out=out, format="json") == 0
    assert "1 done before" in capsys.readouterr().out


# --- an early end -------------------------------------------------------------------------------------------


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    for name in ("a.wav", "b.wav", "c.wav"):
        write_sound(tmp_path / "in" / name)
    return tmp_path / "in"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_to_end_keeps_what_is_done(
    ward: Path,
    tmp_path: Path,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    number = getattr(signal, name)
    inherited = signal.signal(number, signal.SIG_DFL)  # under nohup, SIGHUP is ignored, and is left so

    def ended(source: Any, *described: Any, **options: Any) -> Analysis:
        if source.name == "b.wav":
            os.kill(os.getpid(), number)
        return analyze_described(source, *described, **options)

    monkeypatch.setattr("laennec.output.recordings.analyze_described", ended)
    options = ["--model", model, "--out", str(tmp_path / "out"), "--format", "json", "--jobs", "1"]
    with pytest.raises(SystemExit) as stopped:
        main(["analyze", str(ward), *options])
    assert stopped.value.code == 128 + number
    assert capsys.readouterr().err == "laennec: interrupted; the same command resumes where it can\n"
    assert rows_of(tmp_path / "out") == ["a.wav"]
    assert set(json.loads((tmp_path / "out" / LEDGER).read_text())["files"]) == {"a.wav"}
    assert signal.signal(number, inherited) == signal.SIG_DFL


@pytest.mark.parametrize("more", [["--json"], []])
def test_a_reader_that_is_gone_costs_no_result_and_no_word(
    ward: Path, tmp_path: Path, model: str, more: list[str]
) -> None:
    words = [
        "analyze",
        str(ward),
        "--model",
        model,
        "--out",
        str(tmp_path / "out"),
        "--format",
        "json",
        *more,
    ]
    reader, writer = os.pipe()
    os.close(reader)
    line = [sys.executable, "-m", "laennec", *map(str, words)]
    done = subprocess.run(line, check=False, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr.replace(f"Results are in {tmp_path}/out\n", "")) == (1, "")
    assert rows_of(tmp_path / "out") == ["a.wav", "b.wav", "c.wav"]
    assert (tmp_path / "out" / "c.json").is_file()


def test_a_full_disk_behind_standard_output_costs_no_result(
    ward: Path, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("builtins.print", no_space)
    with pytest.raises(OSError, match="No space left"):
        analyze_files([ward], model=model, out=tmp_path / "out", format="json", json=True)
    assert rows_of(tmp_path / "out") == ["a.wav", "b.wav", "c.wav"]
    with pytest.raises(OSError, match="No space left"):
        analyze_files([ward / "a.wav"], model=model, out=tmp_path / "one", format="json", json=True)
    assert (tmp_path / "one" / "a.json").is_file()


# --- standard input -----------------------------------------------------------------------------------------


def test_standard_input_is_a_recording_and_replaces_none(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sounds = [write_sound(tmp_path / "a.wav", level).read_bytes() for level in (0.1, 0.3)]
    out = tmp_path / "out"

    def piped(sound: bytes, *files: Path) -> int:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(sound)))
        return analyze_files([Path("-"), *files], model=model, out=out, format="json")

    assert piped(sounds[0]) == 0
    kept = (out / "stdin.json").read_bytes()
    assert json.loads(kept)["recording"]["name"] == "stdin"
    with pytest.raises(UsageError, match=r"would both write .*stdin\.json; it holds the first one's results"):
        piped(sounds[1])
    assert (out / "stdin.json").read_bytes() == kept
    assert piped(sounds[0]) == 0  # the same sound has the same result
    assert (out / "stdin.json").read_bytes() == kept
    assert piped(sounds[0], tmp_path / "a.wav") == 0
    assert "1 done before" in capsys.readouterr().out
    (out / "stdin.json").rename(out / "mine.json")
    assert piped(sounds[1], tmp_path / "a.wav") == 0
    assert (out / "a.json").is_file()


# --- spreadsheets -------------------------------------------------------------------------------------------

FORMULAS = [
    "=cmd()",
    "+1+1",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "'=quoted",
    "''=twice",
    "'plain",
    "-0.5",
    "1e-3",
    "é",
]


def test_no_text_is_a_formula_and_all_of_it_is_read_back() -> None:
    text = table.write(["=a", "b"], [[cell, 0.5] for cell in FORMULAS])
    cells = [row[0] for row in csv.reader(io.StringIO(text))]
    assert not [cell for cell in cells if cell[0] in "=+-@\t" and cell != "-0.5"]
    assert table.parse(text).columns == ("=a", "b")
    assert [row[1]["=a"] for row in table.parse(text).rows] == FORMULAS


def test_predictions_and_events_of_odd_patients_are_read_back(tmp_path: Path) -> None:
    count = len(FORMULAS)
    given = Predictions(
        tuple(FORMULAS), tuple(FORMULAS), ("Normal",) * count, ("Normal", "=W"), np.full((count, 2), 0.5)
    )
    write_predictions(tmp_path / "p.csv", given)
    assert "\n=" not in (tmp_path / "p.csv").read_text()
    read = read_predictions(tmp_path / "p.csv")
    assert (read.clip_ids, read.subjects, read.classes) == (given.clip_ids, given.subjects, given.classes)
    events = [Detection(name, name, ((0.0, 1.0, "=W"),), ((0.0, 1.0, "-W"),), (0.5,)) for name in FORMULAS]
    write_events(tmp_path / "e.csv", events)
    assert read_events_table(tmp_path / "e.csv") == events


def test_a_recording_s_csv_is_read_back_whatever_it_is_called(tmp_path: Path, model: str) -> None:
    source = write_sound(tmp_path / "=1+1.wav", 0.2)
    assert (
        analyze_files([source, write_sound(tmp_path / "b.wav")], model=model, out=tmp_path, format="csv") == 0
    )
    text = (tmp_path / "=1+1.csv").read_text()
    assert "'=1+1.wav," in text
    assert len(read_events(tmp_path / "=1+1.csv", str(source))) == text.count("\n") - 1
    assert rows_of(tmp_path) == ["'=1+1.wav", "b.wav"]
    assert analyze_files([source], model=model, events=tmp_path / "=1+1.csv") == 0


@pytest.mark.needs("pandas")
def test_a_clips_table_of_odd_patients_is_read_back(tmp_path: Path) -> None:
    from laennec.datasets.table import clips_table, read_csv, write_csv

    rows = [
        {"clip_id": str(k), "recording": "r", "label": "Normal", "subject": name, "channel": k}
        for k, name in enumerate(FORMULAS)
    ]
    write_csv(tmp_path / "clips.csv", clips_table(rows))
    assert not [line for line in (tmp_path / "clips.csv").read_text().split("\n") if ",=" in line]
    read = read_csv(tmp_path / "clips.csv", dtype=str)
    assert dict(zip(read["clip_id"], read["subject"], strict=True)) == {
        str(k): name for k, name in enumerate(FORMULAS)
    }
    assert list(read["channel"])[:2] == ["0", "1"]


@pytest.mark.parametrize("name", ["a" * 246, "录" * 82])
def test_a_name_of_the_greatest_length_has_results(tmp_path: Path, model: str, name: str) -> None:
    write_sound(tmp_path / "in" / f"{name}.wav")
    wished = "json,html,csv,audacity,icbhi,sprsound"
    for formats in ("json,html,audacity", wished, wished):
        assert analyze_files([tmp_path / "in"], model=model, out=tmp_path, format=formats) == 0
        assert rows_of(tmp_path) == [f"{name}.wav"]
    (records,) = tmp_path.glob("*.record.csv")
    stem = records.name.removesuffix(".record.csv")
    assert len(os.fsencode(records.name)) > 250
    for path in (f"{stem}.csv", f"{stem}.html", f"sprsound_json/{stem}.json", f"icbhi/{stem}.txt"):
        assert (tmp_path / path).is_file()
    assert (tmp_path / f"{name}.json").is_file()  # of the first run, which had room for it


def test_long_names_that_are_cut_stay_apart(tmp_path: Path) -> None:
    for last in "ab":
        (tmp_path / f"{'x' * 249}{last}.wav").touch()
    first, second = find_recordings([tmp_path], ("csv",)).names.values()
    assert (first != second, len(first), len(second)) == (True, 244, 244)
    assert [len(name) for name in find_recordings([tmp_path], ("json",)).names.values()] == [250, 250]


def test_a_pipe_replaces_no_results_of_another_one(tmp_path: Path) -> None:
    source = tmp_path / "63"
    os.mkfifo(source)

    def run() -> None:
        ledger = Ledger(tmp_path, {})
        ledger.claim({source: "63"}, ["json"])
        written = tmp_path / "63.json"
        written.write_text("{}")
        ledger.add(ledger.key(source), source, ["json"], [written], Summary("63"))
        ledger.close()

    run()
    with pytest.raises(UsageError, match=r"an earlier pipe \(63\) and .*63 would both write .*63\.json"):
        run()


def test_a_recording_keeps_its_name_where_a_deleted_one_has_left_results(tmp_path: Path, model: str) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_sound(folder / "z.wav")

    def run() -> int:
        return analyze_files([folder], model=model, out=out, format="json")

    assert run() == 0
    (folder / "z.flac").write_bytes(write_sound(tmp_path / "z.wav", 0.3).read_bytes())
    assert run() == 0
    kept = {path.name: path.read_bytes() for path in out.glob("z*.json")}
    assert set(kept) == {"z.json", "z.flac.json"}
    (folder / "z.wav").unlink()
    assert run() == 0
    assert {path.name: path.read_bytes() for path in out.glob("z*.json")} == kept
