import ast
import errno
import inspect
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import laennec.cli
from laennec.audio.recording import Recording
from laennec.cli import COMMANDS, load, main
from laennec.errors import LaennecError
from laennec.files import write_text
from laennec.simulate import write_demo
from tiny_model import tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings") / "demo"
    write_demo(folder)
    return folder


def run_command(*arguments: object) -> int:
    """Run a command in this process and return its exit code."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    code = stopped.value.code
    return code if isinstance(code, int) else 0 if code is None else 1


def in_process(*arguments: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "laennec", *map(str, arguments)]
    return subprocess.run(line, check=False, capture_output=True, text=True)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("--help") == 0
    text = capsys.readouterr().out
    for command in COMMANDS:
        assert command in text
    assert "not a medical device" in " ".join(text.split())


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_of_each_command_teaches_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(command, "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"Example: laennec {command}" in text


def test_the_help_of_all_has_the_first_line_of_each(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    assert run_command("--help") == 0
    text = capsys.readouterr().out
    for name, (arguments, _) in COMMANDS.items():
        first, *_ = str(load(arguments).__doc__).split("\n\n")
        assert re.search(rf"{name} +{re.escape(first)}", text)


def test_options_of_every_command_stand_among_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    for words, names in (
        ((), ["--version", "--debug"]),
        (("convert",), ["--debug"]),
        (("datasets",), ["--debug"]),
        (("datasets", "list"), ["--debug"]),
        (("reproduce", "chen2022"), ["--debug"]),
    ):
        assert run_command(*words, "--help") == 0
        text = capsys.readouterr().out
        shown = re.findall(r"^\W (?:-h, )?(--[\w-]+) ", text, re.M)
        assert shown[0] == "--help"
        assert shown[-len(names) :] == names, words
        assert text.count("--debug ") == 1


def test_every_file_is_a_command() -> None:
    files = {path.stem for path in Path(laennec.cli.__file__).parent.glob("*.py")}
    others = {
        "__init__",
        "analyze_arguments",
        "arguments",
        "given",
        "names",
        "options",
        "parser",
        "tool_arguments",
        "usage",
    }
    assert files - others == {
        name for name, (_, work) in COMMANDS.items() if work == f"laennec.cli.{name}:run"
    }


@pytest.mark.needs("torch")
@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_a_function_that_takes_its_arguments(name: str) -> None:
    arguments, work = map(load, COMMANDS[name])
    parameter, *others = inspect.signature(work).parameters.values()
    assert parameter.annotation is arguments
    assert all(other.default is not inspect.Parameter.empty for other in others)


def test_no_command_imports_inside_functions() -> None:
    for path in Path(laennec.cli.__file__).parent.glob("*.py"):
        late = [
            node.lineno
            for outer in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(outer, ast.FunctionDef)
            for node in ast.walk(outer)
            if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        assert late == [], path


@pytest.mark.parametrize("arguments", [["--json", "analyze", "x.wav"], ["--", "analyze"], ["-x"], [""]])
def test_the_command_comes_first(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(*arguments) == 2


def test_no_arguments_show_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command() == 0
    assert "usage: laennec" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from laennec import __version__

    assert run_command("--version") == 0
    assert capsys.readouterr().out == f"laennec {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["analyse"],
        ["analyze", "--nonsense"],
        ["analyze"],
        ["train", "default"],
        ["simulate", "x", "--subjects", "many"],
        ["simulate", "x", "--layout", "multichannel", "--subjects", "16"],
        pytest.param(
            ["reproduce", "nguyen2022", "--target", ".", "--rows", "Cyc"], marks=pytest.mark.needs("torch")
        ),
        ["transfer"],
        ["challenge", "--task", "13", "--wav", "x", "--out", "y"],
        ["analyze", "a.wav", "b.wav", "--events", "c.csv"],
        ["analyze", "a.wav", "--format", "csv"],
        ["analyze", "a.wav", "--out", "x", "--format", "csv,xml"],
        ["analyze", ".", "--events", "c.csv"],
        ["analyze", "one/a.wav", "two/a.wav", "--out", "x"],
        ["analyze", "a.wav", "--model", "MODEL", "--age", "-3"],
        ["analyze", "a.wav", "--model", "MODEL", "--age", "150"],
        ["analyze", "a.wav", "--model", "MODEL", "--sex", "other"],
        ["analyze", "a.wav", "--model", "MODEL", "--position", "p9"],
        ["datasets", "info", "sprsond", "."],
        ["simulate", "x", "--subjects", "3", "--subjects=4"],
        ["analyze", ""],
        ["datasets", "info", "sprsound", ""],
        pytest.param(["train", "chen", "--data", ".", "--out", "x"], marks=pytest.mark.needs("torch")),
    ],
)
def test_wrong_usage_exits_with_2(
    arguments: list[str], model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(*(str(model) if word == "MODEL" else word for word in arguments)) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err
    assert captured.err.startswith("laennec: ")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("analyse x.wav", "analyse: no such command; did you mean analyze? See laennec --help"),
        (
            "cross-validate x",
            "cross-validate: no such command; did you mean crossvalidate? See",
        ),
        ("datasets inof x", "inof: no such command; did you mean info? See laennec datasets --help"),
        ("analyze x --evnts y", "--evnts: no such option; did you mean --events? See laennec analyze --help"),
        (
            "analyze -dash.wav",
            "-dash.wav: no such option; if it is a file, write ./-dash.wav; see",
        ),
        ("analyze x --age abc", "--age abc: expected a number; see laennec analyze --help"),
        ("analyze x --json=yes", "--json=yes: it takes no value; see"),
        ("analyze x --sex", "--sex: its value is missing; see"),
        ("train default --data d --out o --epochs=ten", "--epochs ten: expected a whole number; see"),
        ("challenge --task 5 --wav a --out b", "--task 5: expected one of 11, 12, 21, 22; see"),
        (
            "train --data d",
            "missing: a recipe's name (default, chen2022, chen2022-cnn, …) or a TOML file; --out",
        ),
        ("export a b", "b: one argument too many; see laennec export --help"),
        ("reproduce", "a word is missing, one of chen2022, nguyen2022; see laennec reproduce --help"),
        ("reproduce nguyen2022", "missing: --target; see laennec reproduce nguyen2022 --help"),
    ],
)
def test_wrong_usage_is_one_sentence(
    line: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tyro", minversion="1", reason="older ones word it differently")
    monkeypatch.setenv("COLUMNS", "40")  # a narrow terminal breaks no word of it
    assert run_command(*line.split()) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"laennec: {message}")
    assert told.count("\n") == 1


def test_events_come_from_standard_input(
    tmp_path: Path,
    recordings: Path,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    labels = (recordings / "wheezes.txt").read_bytes()
    told = []
    for events in ("-", recordings / "wheezes.txt"):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(labels)))
        assert run_command("analyze", recordings / "wheezes.wav", "--model", model, "--events", events) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]
    assert run_command("analyze", "-", "--model", model, "--events", "-") == 2
    assert "-: standard input is the recording or its events, not both" in capsys.readouterr().err


def test_a_file_called_minus_is_no_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command("analyze", "./-") == 1
    assert "-: no such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["analyze", "nowhere.wav"], "nowhere.wav"),
        (["analyze", "--model", "nowhere.onnx", "x.wav"], "nowhere.onnx"),
        pytest.param(
            ["datasets", "info", "sprsound", "nowhere"], "nowhere", marks=pytest.mark.needs("pandas")
        ),
        pytest.param(["export", "nowhere"], "nowhere: no such folder", marks=pytest.mark.needs("torch")),
        (["challenge", "--task", "12", "--wav", "nowhere", "--out", "x.json"], "nowhere"),
    ],
)
def test_anything_else_exits_with_1_and_one_line(
    arguments: list[str], message: str, model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    if arguments[0] in ("analyze", "challenge") and "--model" not in arguments:
        arguments = [*arguments, "--model", str(model)]
    assert run_command(*arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("laennec: ")
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["analyze", "https://host/a.wav"],
            "https://host/a.wav: addresses are not supported; download it first",
        ),
        (["challenge", "--task", "12", "--wav=s3://host/a", "--out", "x"], "s3://host/a: addresses are not"),
        (["analyze", "a.wav", "--out", "-"], "--out -: results are files"),
        (["challenge", "--task", "12", "--wav", "a", "--out=-"], "--out -: results are files"),
    ],
)
def test_what_is_no_place_for_files_is_named(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(*arguments) == 2
    assert message in capsys.readouterr().err


def test_the_challenge_says_which_folder_it_wants(
    recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for task, what in ((12, "cut events"), (22, "whole recordings")):
        assert (
            run_command("challenge", "--task", task, "--wav", recordings / "wheezes.wav", "--out", "x") == 1
        )
        assert f"for task {task}, --wav names the folder of the {what}\n" in capsys.readouterr().err


def test_debug_shows_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = in_process("analyze", "nowhere.wav", "--debug")
    assert "Traceback" in done.stderr
    assert done.returncode == 1
    quiet = in_process("analyze", "nowhere.wav")
    assert "Traceback" not in quiet.stderr
    assert quiet.returncode == 1


@pytest.mark.needs("matplotlib")
def test_analyze_prints_a_table_and_writes_results(
    recordings: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted(recordings.glob("*.wav"))
    out = tmp_path / "results"
    asked = ("--model", model, "--out", out, "--format", "json,png", "--age", 4.5)
    assert run_command("analyze", *files, *asked) == 0
    text = capsys.readouterr().out
    assert text.count("not a medical device") == 1
    assert f"Results are in {out}" in text
    for path in files:
        told = json.loads((out / f"{path.stem}.json").read_text())
        assert told["recording"]["duration_s"] == pytest.approx(15.0)
        assert (out / f"{path.stem}.png").stat().st_size > 10_000
    assert (out / "summary.csv").is_file()
    assert not list(out.glob("*.html"))
    assert run_command("analyze", *files, *asked) == 0
    assert "2 done before" in capsys.readouterr().out


def test_analyze_one_file_says_what_it_is_as_a_whole(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recordings / "fine_crackles.wav"
    assert run_command("analyze", path, "--out", tmp_path) == 0
    table = " ".join(capsys.readouterr().out.split())
    told = json.loads((tmp_path / "fine_crackles.json").read_text())
    assert told["segmentation"]["kind"] == "detected"
    record = told["record"]
    assert f"{record['label']}" in table.split("from s")[0]
    assert record["reasons"][0] in table
    assert record["rate"]["reason"] in table
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.name[0] != ".") == [
        "fine_crackles.html",
        "fine_crackles.json",
    ]


def test_analyze_takes_boundaries(recordings: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recordings / "wheezes.wav"
    assert run_command("analyze", path, "--model", model, "--events", path.with_suffix(".txt"), "--json") == 0
    (told,) = json.loads(capsys.readouterr().out)
    rows = path.with_suffix(".txt").read_text().splitlines()
    assert len(told["events"]) == len(rows)
    assert [event["annotated"] for event in told["events"]] == [row.split("\t")[2] for row in rows]


def test_one_bad_file_does_not_stop_the_others(
    recordings: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"not audio at all")
    good = recordings / "wheezes.wav"
    assert run_command("analyze", bad, good, "--model", model, "--out", tmp_path / "out") == 1
    captured = capsys.readouterr()
    assert "bad.wav" in captured.out
    assert captured.err == "laennec: 1 of 2 recordings failed\n"
    assert (tmp_path / "out" / "wheezes.json").exists()
    assert run_command("analyze", bad, "--model", model) == 1
    assert capsys.readouterr().err.startswith("laennec: bad.wav: not audio")


def test_an_out_that_cannot_be_written_is_said_before_the_work(
    recordings: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def too_early(*_: object, **__: object) -> None:
        raise AssertionError("analysed before the folder was looked at")

    (tmp_path / "file").write_text("mine")
    monkeypatch.setattr(Recording, "read", too_early)
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        assert run_command("analyze", recordings / "wheezes.wav", "--model", model, "--out", out) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"laennec: {out}: ")
        assert f"{tmp_path / 'file'} is a file" in error
    assert (tmp_path / "file").read_text() == "mine"


def test_a_result_that_cannot_be_written_does_not_lose_the_others(
    recordings: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fine_crackles.json").mkdir()
    files = sorted(recordings.glob("*.wav"))
    assert run_command("analyze", *files, "--model", model, "--out", tmp_path, "--json") == 1
    captured = capsys.readouterr()
    assert "fine_crackles.json: is a folder" in captured.err
    assert len(json.loads(captured.out)) == 2
    assert (tmp_path / "wheezes.json").is_file()


def test_errors_of_the_system_while_writing_name_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(LaennecError, match=r"a\.txt: cannot be written \(No space"):
            write_text(tmp_path / "a.txt", "x")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(LaennecError, match="nothing may be written into this folder"):
        write_text(tmp_path / "a.txt", "x")


def test_analyze_takes_a_run_folder_and_shows_files_as_needed(
    recordings: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.onnx").write_bytes(model.read_bytes())
    assert run_command("analyze", recordings / "wheezes.wav", "--model", tmp_path) == 0
    capsys.readouterr()
    assert run_command("analyze", "--help") == 0
    text = capsys.readouterr().out
    assert "FILE|FOLDER [FILE|FOLDER ...]" in text
    assert "(required)" in text
    assert "{None}" not in text


def test_challenge_contract(recordings: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "output.json"
    assert run_command("challenge", "--task", 12, "--wav", recordings, "--out", out, "--model", model) == 0
    assert set(json.loads(out.read_text())) == {"fine_crackles.wav", "wheezes.wav"}
    assert run_command("challenge", "--task", 22, "--wav", recordings, "--out", out) == 0
    assert set(json.loads(out.read_text())) == {"fine_crackles.wav", "wheezes.wav"}


@pytest.mark.needs("pandas")
def test_simulate_then_info(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "set"
    assert run_command("simulate", folder, "--subjects", 2, "--recordings", 1, "--seed", 5) == 0
    assert len(list((folder / "train_wav").glob("*.wav"))) == 2
    assert run_command("datasets", "info", "sprsound", folder, "--strict") == 0
    next((folder / "train_wav").glob("*.wav")).write_bytes(b"")
    assert run_command("datasets", "info", "sprsound", folder) == 0
    assert run_command("datasets", "info", "sprsound", folder, "--strict") == 1


def test_datasets_alone_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("datasets") == 0
    text = capsys.readouterr().out
    assert "sprsound" in text
    assert "folder" in text


HEAVY = {"torch", "pandas", "scipy", "sklearn", "lightning", "librosa", "matplotlib", "onnx"}
RUNTIME = {"numpy", "onnxruntime", "soundfile", "soxr"}


def imported_by(*arguments: object) -> set[str]:
    """Run a command in a process of its own and return the modules that it imported."""
    program = (
        "import sys; from laennec.cli import main\n"
        f"try: main({[str(argument) for argument in arguments]!r})\n"
        "except SystemExit as stopped: assert not stopped.code, stopped.code\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_an_analysis_imports_nothing_heavy(recordings: Path, model: Path) -> None:
    imported = imported_by("analyze", recordings / "wheezes.wav", "--model", model)
    assert "onnxruntime" in imported
    assert HEAVY & imported == set()


@pytest.mark.parametrize("command", [[], ["analyze"], ["train"], ["reproduce", "nguyen2022"]])
def test_help_imports_only_the_command(command: list[str]) -> None:
    imported = imported_by(*command, "--help")
    assert (HEAVY | RUNTIME) & imported == set()
    works = {work.partition(":")[0] for _, work in COMMANDS.values()}
    assert works & imported == set()


@pytest.mark.needs("torch")
@pytest.mark.slow
def test_train_evaluate_export(
    simulated: Path, tiny_recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert run_command("train", tiny_recipe, "--data", simulated, "--out", run, "--epochs", 2) == 0
    for name in ("metrics.json", "tables.txt", "confusion.png", "model.onnx", "predictions.csv"):
        assert (run / name).stat().st_size > 0
    out = tmp_path / "results"
    assert run_command("evaluate", run, "--data", simulated, "--split", "validation", "--out", out) == 0
    trained, evaluated = (json.loads((f / "metrics.json").read_text()) for f in (run, out))
    # The run scores the PyTorch model, evaluate the exported file: one and the same.
    assert evaluated["scores"] == pytest.approx(trained["scores"], abs=1e-4)
    assert evaluated["provenance"]["command"]
    assert run_command("evaluate", run, "--data", simulated, "--split", "test-inter", "--out", out) == 2
    assert "there are: all, official, official-disjoint, train, validation" in capsys.readouterr().err
    assert run_command("export", run, "--out", tmp_path / "x.onnx") == 0
    assert (tmp_path / "x.onnx").read_bytes()


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no /dev/full here")
@pytest.mark.parametrize("arguments", [["--help"], ["analyze", "--help"], ["analyze", "R", "--json"]])
def test_a_full_disk_is_named(arguments: list[str], recordings: Path, model: Path) -> None:
    recording = sorted(recordings.glob("*.wav"))[0]
    words = [str(recording) if word == "R" else word for word in arguments]
    with open("/dev/full", "w") as full:
        line = [sys.executable, "-m", "laennec", *words]
        done = subprocess.run(line, check=False, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "laennec: the output cannot be written: No space left on device\n"


def test_the_list_of_data_sets_needs_no_extra(capsys: pytest.CaptureFixture[str]) -> None:
    # In the environment of the base tests there is no pandas.
    assert run_command("datasets", "list") == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("sprsound", "icbhi", "multichannel", "folder"))
