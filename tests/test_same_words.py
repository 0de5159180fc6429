"""One mistake has one sentence and one exit code, whichever command it is made with."""

import ast
import re
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest

from laennec.audio.samples import by_number, counted
from laennec.cli import main

GONE = "gone"
NO_MODEL = "gone: no such model file, nor a model that ships"


def laennec(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, words)))
    return int(ended.value.code or 0)


@pytest.fixture
def here(tmp_path: Path, monkeypatch) -> Path:
    """An empty folder, a folder with a recording, and nothing else."""
    from laennec.datasets.tiny import write_sound

    (tmp_path / "empty").mkdir()
    write_sound(tmp_path / "ward" / "a.wav")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def of_train(*words: str) -> object:
    return pytest.param(words, marks=pytest.mark.needs("torch", "pandas"))


def of_tables(*words: str) -> object:
    return pytest.param(words, marks=pytest.mark.needs("pandas"))


def of_scale(*words: str) -> object:
    return pytest.param(words, marks=pytest.mark.needs("pyarrow", "fsspec"))


def of_web(*words: str) -> object:
    return pytest.param(words, marks=pytest.mark.needs("fastapi", "uvicorn", "pandas", "matplotlib"))


@pytest.mark.parametrize(
    "words",
    [
        ("analyze", GONE),
        ("convert", GONE, "--to", "csv", "--out", "out"),
        ("deidentify", GONE, "--out", "out"),
        ("referee", "--dataset", "icbhi", "--predictions", GONE),
        ("referee", "--dataset", "icbhi", "--predictions", "gone.npz"),
        ("referee", "--dataset", "icbhi", "--split", GONE),
        ("challenge", "--task", "12", "--wav", GONE, "--out", "out.json"),
        pytest.param(("dicom", GONE, "--out", "out"), marks=pytest.mark.needs("pydicom")),
        of_scale("score", GONE, "--out", "out"),
        of_web("serve", GONE),
        of_tables("calibrate", "--data", GONE, "--out", "out.json"),
        of_tables("datasets", "info", "sprsound", GONE),
        of_tables("datasets", "info", "folder", GONE),
        of_tables("datasets", "croissant", "kauh", GONE, "--out", "out.json"),
        of_train("adapt", "--data", GONE, "--out", "out.onnx"),
        of_train("train", "default", "--data", GONE, "--out", "out"),
        of_train("evaluate", "default", "--data", GONE, "--out", "out"),
        of_train("transfer", "--data", GONE, "--out", "out"),
        of_train("export", GONE),
    ],
)
def test_what_is_not_there(words: tuple[str, ...], here: Path, capsys) -> None:
    assert laennec(*words) == 1
    said = capsys.readouterr().err
    assert f"{next(word for word in words if word.startswith(GONE))}: no such f" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("analyze", "ward", "--model", GONE),
        ("challenge", "--task", "12", "--wav", "ward", "--out", "out.json", "--model", GONE),
        ("live", "--model", GONE),
        of_scale("score", "ward", "--out", "out", "--model", GONE),
        of_web("serve", "ward", "--model", GONE),
        of_tables("calibrate", "--data", "ward", "--out", "out.json", "--model", GONE),
        of_train("adapt", "--data", "ward", "--out", "out.onnx", "--model", GONE),
        of_train("evaluate", GONE, "--data", "ward", "--out", "out"),
        ("export", GONE, "--target", "chai", "--out", "out.xml"),
    ],
)
def test_a_model_that_nobody_knows(words: tuple[str, ...], here: Path, capsys) -> None:
    assert laennec(*words) == 1
    said = capsys.readouterr().err
    assert NO_MODEL in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("analyze", "empty"),
        ("convert", "empty", "--to", "csv", "--out", "out"),
        ("deidentify", "empty", "--out", "out"),
        ("challenge", "--task", "12", "--wav", "empty", "--out", "out.json"),
        pytest.param(("dicom", "empty", "--out", "out"), marks=pytest.mark.needs("pydicom")),
        of_scale("score", "empty", "--out", "out"),
        of_tables("calibrate", "--data", "empty", "--out", "out.json"),
        of_tables("datasets", "info", "folder", "empty"),
        of_train("adapt", "--data", "empty", "--out", "out.onnx"),
        of_train("train", "default", "--data", "empty", "--out", "out"),
    ],
)
def test_a_folder_with_nothing_in_it(words: tuple[str, ...], here: Path, capsys) -> None:
    assert laennec(*words) == 1
    said = capsys.readouterr().err
    assert "empty: no " in said
    assert said.count("\n") == 1


PLURAL = re.compile(
    r" (\w+ )?(annotations|channels|clips|entries|epochs|events|files|folds|labels|names|patients|predictions"
    r"|recordings|rows|subjects|are|have|were)\b"
)
MORE_THAN_ONE = {  # what stands behind counts that are never 1
    *(" channels are not told apart: ", " files, but no ", " patients, and no column path or recording"),
    *(" listed recordings ", " patients with the target class: give 2 to ", " are taken for "),
    *(" events; the JSON result has them all.", " entries: ", " epochs on the test set (epoch ", " cycles"),
    *(" folds", " names ", " events; expected "),
}


def test_one_thing_is_not_many() -> None:
    """What a user is told has the noun of a `len` from `counted` and its verb from `by_number`."""
    wrong = []
    root = Path(str(files("laennec")))
    for path in sorted({*root.rglob("*.py")} - {*root.glob("experiments/*")}):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in set(ast.walk(tree)) - of_programs(tree):
            for value, text in pairwise(node.values if isinstance(node, ast.JoinedStr) else []):
                if isinstance(value, ast.FormattedValue) and ast.unparse(value.value).startswith("len("):
                    after = str(getattr(text, "value", ""))
                    if PLURAL.match(after) and after not in MORE_THAN_ONE:
                        wrong.append(f"{path.relative_to(root)}: {after}")
    assert wrong == []
    assert [counted(number, "clip") for number in (0, 1, 1200)] == ["0 clips", "1 clip", "1,200 clips"]
    assert [by_number(number, "is", "are") for number in (0, 1, 2)] == ["are", "is", "are"]


def of_programs(tree: ast.AST) -> set[ast.AST]:
    """Sentences of a ValueError, which are for programmers."""
    raised = [node for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    return {part for node in raised if "ValueError(" in ast.unparse(node) for part in ast.walk(node)}


@pytest.mark.parametrize(
    "words",
    [
        of_scale("score", "empty", "--out", "out/of/it"),
        of_train("train", "default", "--data", "empty", "--out", "out/of/it"),
        of_train("crossvalidate", "default", "--data", "empty", "--out", "out/of/it"),
        of_train("transfer", "--data", "empty", "--out", "out/of/it"),
        ("analyze", "gone.wav", "--out", "out/of/it"),
    ],
)
def test_a_folder_with_nothing_in_it_leaves_no_results(words: tuple[str, ...], here: Path, capsys) -> None:
    assert laennec(*words) == 1
    assert capsys.readouterr().out == "", "nothing is told of work that is not begun"
    assert not (here / "out").exists()
    (here / "out").mkdir()
    assert laennec(*words) == 1
    assert list((here / "out").iterdir()) == [], "what was there stays"


def test_help_calls_a_value_by_its_kind(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    for words in (("export",), ("train",), ("evaluate",), ("datasets", "audit")):
        assert laennec(*words, "--help") == 0
        said = capsys.readouterr().out
        assert "{None" not in said
        assert "PATH" in said


def test_a_share_beyond_the_last_is_refused(here: Path, capsys) -> None:
    pytest.importorskip("pyarrow")
    assert laennec("score", "ward", "--out", "out", "--shard", "5/3") == 2
    assert "--shard 5/3: expected the number of a job and how many there are" in capsys.readouterr().err


@pytest.mark.needs("torch")
def test_export_refuses_wrong_names_before_it_loads_pytorch(here: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("laennec.cli.export.load", lambda _: pytest.fail("loaded"))
    assert laennec("export", "default") == 1
    assert "default: ships as a model file" in capsys.readouterr().err
    assert laennec("export", GONE, "--target", "int8", "--data", "ward", "--out", "out.onnx") == 1
    assert NO_MODEL in capsys.readouterr().err
    assert laennec("export") == 2
    assert "name the run folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        of_train("train", "default", "--out", "out"),
        of_train("evaluate", "default", "--out", "out"),
        of_train("export", "recording", "--target", "int8", "--out", "out"),
        of_train("detector", "--out", "out"),
    ],
)
def test_a_data_set_that_nobody_named_is_not_what_the_folder_is_blamed_for(
    words: tuple[str, ...], here: Path, capsys
) -> None:
    """Recipe and model name SPRSound."""
    assert laennec(*words, "--data", "empty") == 1
    said = capsys.readouterr().err
    assert "empty: no recordings of a known layout in it or below it; laennec datasets info sprsound" in said
    assert laennec(*words, "--data", "ward") == 1
    said = capsys.readouterr().err
    assert "ward: read as sprsound, and by its files the data set folder; name it with --dataset" in said
    assert "annotation here" not in said


@pytest.mark.parametrize(
    "words",
    [
        of_tables("calibrate", "--out", "out.json"),
        of_train("adapt", "--out", "out.onnx"),
        of_train("transfer", "--out", "out"),
    ],
)
def test_one_recording_is_no_folder_of_them(words: tuple[str, ...], here: Path, capsys) -> None:
    assert laennec(*words, "--data", "ward/a.wav") == 1
    said = "ward/a.wav: one recording; name a folder of labelled recordings, or a CSV of them"
    assert capsys.readouterr().err == f"laennec: {said}\n"
