"""Text of users on a terminal: in any encoding, whatever names hold, and no more of it than is read."""

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from rich.console import Console

from laennec import Analysis, Event, analyze
from laennec.analyze.analysis import RecordingPrediction
from laennec.cli import COMMANDS, main
from laennec.console import terminal
from laennec.model.load import load_model
from laennec.output.formats import Summary
from laennec.output.presentation import brief
from laennec.output.text import print_summary, print_table
from tiny_model import RATE, tiny_model

NAME = "录音 naïve 🫁 :m: \x1b[31mred [bold]x.wav"
SHOWN = "录音 naïve 🫁 :m: \\x1b[31mred [bold]x.wav"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in")
    for name in (NAME, "b.wav"):
        soundfile.write(folder / name, 0.1 * np.random.default_rng(0).standard_normal(RATE), RATE)
    return folder


def run(monkeypatch: pytest.MonkeyPatch, encoding: str, *words: object) -> tuple[int, str]:
    """Run a command whose standard output has an encoding; return its exit code and what it printed."""
    out = io.BytesIO()
    stream = io.TextIOWrapper(out, encoding, write_through=True)
    with monkeypatch.context() as patched:
        patched.delenv("COLUMNS", raising=False)
        patched.setattr("sys.stdout", stream)
        patched.setattr("sys.stderr", stream)
        with pytest.raises(SystemExit) as stopped:
            main([str(word) for word in words])
    return int(str(stopped.value.code or 0)), out.getvalue().decode(encoding)


ENCODINGS = ["utf-8", "cp1252", "iso-8859-1", "ascii"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_encoding_of_the_console_loses_an_answer(
    folder: Path, model: str, tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, text = run(monkeypatch, encoding, "analyze", folder, "--model", model, "--out", tmp_path)
    assert (code, "Results are in" in text) == (0, True)
    assert SHOWN.encode(encoding, "backslashreplace").decode(encoding) in text
    assert "\x1b" not in text
    code, text = run(monkeypatch, encoding, "analyze", folder, "--model", model, "--json")
    assert [each["recording"]["name"] for each in json.loads(text)] == ["b.wav", SHOWN]
    code, text = run(monkeypatch, encoding, "analyze", folder / NAME, "--model", model, "--json")
    assert json.loads(text)[0]["recording"]["name"] == SHOWN
    code, text = run(monkeypatch, encoding, "analyze", folder / NAME, "--model", model)
    assert (code, "\x1b" in text) == (0, False)
    code, text = run(monkeypatch, encoding, "analyze", folder / ("no" + NAME), "--model", model)
    assert (code, "\x1b" in text, "no such file" in text) == (1, False, True)


@pytest.mark.parametrize("encoding", ENCODINGS[2:])
def test_help_comes_in_any_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in ([], *([name] for name in COMMANDS), ["datasets", "audit"], ["reproduce", "nguyen2022"]):
        code, text = run(monkeypatch, encoding, *command, "--help")
        assert code == 0, text
        assert "usage: laennec" in text


def analysis(**changes: Any) -> Analysis:
    model = load_model("recording")
    found = analyze(np.zeros(RATE), sample_rate=RATE, model=model)
    return replace(found, quality=(), notes=(), **changes)


def printed(found: Analysis, width: int = 80) -> str:
    out = io.StringIO()
    print_table(found, Console(file=out, width=width))
    return out.getvalue()


def test_of_many_events_the_first_are_shown_and_the_rest_counted() -> None:
    events = tuple(Event(k, k + 0.5, "Normal", 1.0, {"Normal": 1.0}, 0) for k in range(6519))
    text = printed(analysis(events=events))
    assert "6,479 more events; --out or --json has all of them" in text
    assert text.count("\n") < 60
    assert "more events" not in printed(analysis(events=events[:40]))


def test_what_differs_in_the_channel_alone_is_one_line() -> None:
    same = [
        f"channel {k} is the same as channel 0 and was not analysed again"
        for k in (*range(1, 60), 61, 62, 63)
    ]
    assert brief(same) == ["channels 1 to 59, 61 to 63 are the same as channel 0 and were not analysed again"]
    assert brief(same[:1]) == same[:1]
    silent = [f"not analysed: channel {k} is silent" for k in (0, 2)]
    assert brief(silent) == ["not analysed: channels 0, 2 are silent"]


def test_a_table_cuts_no_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    rows = [Summary("bed 1/" + "x" * 230 + ".wav", error="not audio " * 30)]
    print_summary(rows, terminal())
    text = capsys.readouterr().out
    assert rows[0].recording in text
    assert str(rows[0].error).strip() in text
    narrow = io.StringIO()
    print_summary(rows, Console(file=narrow, width=60))
    assert narrow.getvalue().count("x") == 230
    assert "…" not in narrow.getvalue()


def test_an_answer_of_one_of_several_channels_says_which() -> None:
    record = RecordingPrediction("CAS", 0.9, {"CAS": 0.9}, reasons=("1 event found: 1 Wheeze",), channel=1)
    both = (replace(record, channel=0), record)
    one = analysis(record=replace(record, channel=0), channel_records=both[:1])
    assert "(channel" not in printed(one)
    several = replace(one, channels=2, record=record, channel_records=both)
    told = " ".join(printed(several).split())
    assert "probability 0.90 (channel 1, and so are the reasons) 1 event found" in told


def test_what_c_libraries_print_does_not_come_between_results() -> None:
    code = """
import ctypes, sys, laennec.cli as cli
def run(_):
    print("{}")
    ctypes.CDLL(None).puts(b"a remark of a library")
    return 0
cli.run = run
cli.main(sys.argv[1:])
"""
    done = subprocess.run([sys.executable, "-c", code, "analyze"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{}\n", "a remark of a library\n")
