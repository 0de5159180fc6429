"""A data set in a file of one's own: every command takes the file's path where it takes a name."""

import importlib
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from laennec import datasets
from laennec.cli import run
from laennec.errors import LaennecError, UsageError

HF_LUNG = str(Path(__file__).parents[2] / "examples" / "own_dataset" / "hf_lung.py")
RECIPE = """
epochs = 1
labels = ["Normal", "Rhonchi", "Wheeze", "Stridor", "crackle"]
class_weights = "none"

[front_end]
kind = "log-mel"
hop_length = 400

[model]
kind = "resnet"
channels = [4, 4, 4, 4]
stem_stride = 2
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    datasets.dataset(HF_LUNG).tiny(tmp_path / "HF_Lung_V1")
    return tmp_path / "HF_Lung_V1"


def test_a_normal_sound_is_one_that_nothing_overlaps(copy: Path) -> None:
    own = datasets.dataset(HF_LUNG).load(copy)
    canonical = datasets.load(HF_LUNG, copy)
    assert own["label"].value_counts().to_dict() == {
        "I": 16,
        "E": 8,
        **dict.fromkeys(("D", "Wheeze", "Rhonchi", "Stridor"), 2),
    }
    # The inspirations of four recordings are overlapped, their expirations are not.
    assert canonical["label"].value_counts().to_dict() == {
        "Normal": 16,
        **dict.fromkeys(("crackle", "Wheeze", "Rhonchi", "Stridor"), 2),
    }
    with pytest.raises(UsageError, match="hf_lung has labels of level event, not record"):
        datasets.load(HF_LUNG, copy, "record")


def test_info_counts_labels_as_they_are(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["datasets", "info", HF_LUNG, str(copy), "--strict"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["I", "12", "4", "16"] in lines
    assert ["no", "defect", "found"] in lines
    label_file = next(copy.rglob("*_label.txt"))
    label_file.write_text("I 00:00:00.5 00:00:01.0\nI 0.5 1.0\nX 00:00:01 00:00:02\nE 00:00:03 00:00:02\n")
    assert run(["datasets", "info", HF_LUNG, str(copy), "--strict"]) == 1
    out = capsys.readouterr().out
    assert "line 2: expected a label and two times" in out
    assert "line 3 is 'X'" in out
    assert "line 4: it ends at 2 s, not after its start at 3 s" in out


@pytest.mark.slow  # three trainings
def test_training_measuring_and_crossvalidation(copy: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "small.toml"
    recipe.write_text(RECIPE)
    given = ["--dataset", HF_LUNG, "--data", str(copy)]
    one = ["--accelerator", "cpu", "--threads", "1"]
    assert run(["train", str(recipe), *given, *one, "--out", str(tmp_path / "run")]) == 0
    assert (
        run(["evaluate", str(tmp_path / "run"), *given, "--split", "test", "--out", str(tmp_path / "e")]) == 0
    )
    tested = pd.read_csv(tmp_path / "e" / "predictions.csv")
    assert sorted(set(tested["label"])) == ["Normal", "Stridor"]
    out = tmp_path / "cv"
    assert run(["crossvalidate", str(recipe), *given, *one, "--folds", "2", "--out", str(out)]) == 0
    assert json.loads((out / "metrics.json").read_text())
    predicted = pd.read_csv(next(out.rglob("predictions.csv")))
    assert len(predicted) == len(set(predicted["clip_id"])) > 0


def test_a_file_that_is_no_data_set_is_named(tmp_path: Path) -> None:
    for text, what in {
        "NAME = 'x'\n": "no data set, it lacks TITLE, CITATION, LICENCE, MATCHES, tiny, load, check",
        "import nothing_of_this_name\n": "cannot be imported .ModuleNotFoundError",
        "def (": "cannot be imported .SyntaxError",
    }.items():
        path = tmp_path / f"own{len(text)}.py"
        path.write_text(text)
        with pytest.raises(LaennecError, match=what):
            datasets.dataset(str(path))
    with pytest.raises(UsageError, match=r"gone\.py: no such file"):
        datasets.dataset(str(tmp_path / "gone.py"))


def test_an_installed_package_adds_a_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], copy: Path
) -> None:
    from laennec.datasets.discovery import data_sets
    from laennec.train import jobs

    shutil.copy(HF_LUNG, tmp_path / "lungs_of_others.py")
    points = {"hf_lung": "lungs_of_others", "broken": "not_installed"}
    (tmp_path / "others-1.0.dist-info").mkdir()
    (tmp_path / "others-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: others\nVersion: 1.0\n"
    )
    (tmp_path / "others-1.0.dist-info" / "entry_points.txt").write_text(
        "[laennec.datasets]\n" + "".join(f"{name} = {module}\n" for name, module in points.items())
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    data_sets.cache_clear()
    try:
        assert run(["datasets"]) == 0
        shown = capsys.readouterr()
        assert "HF_Lung_V1: adults' lung sounds" in shown.out
        assert "data set broken cannot be used" in shown.err
        assert datasets.guess(copy) == "hf_lung"
        importlib.reload(jobs)  # whose help was written when there was no such package
        with pytest.raises(SystemExit):
            run(["train", "--help"])
        assert "hf_lung" in capsys.readouterr().out
    finally:
        data_sets.cache_clear()
        importlib.reload(jobs)
