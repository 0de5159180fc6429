import json
from pathlib import Path

import pandas as pd
import pytest

from laennec.cli import main
from laennec.datasets import dataset
from laennec.datasets.records import load_clips
from laennec.datasets.tiny import write_sound
from laennec.errors import LaennecError, UsageError
from laennec.model.clips import LungModel
from laennec.model.load import load_model
from laennec.score.text import of_patients
from laennec.train.card import command, limits
from laennec.train.commands import crossvalidate, train
from laennec.train.evaluate import evaluate_model, held_out, select, training_clip_ids
from laennec.train.hardware import Hardware
from laennec.train.jobs import CrossValidationJob, TrainJob
from laennec.train.loop import make_trainer
from laennec.train.recipe import load_recipe


@pytest.fixture(scope="module")
def run(simulated: Path, tiny_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    assert train(TrainJob(str(tiny_recipe), simulated, out, epochs=1, accelerator="cpu", threads=1)) == 0
    return out


@pytest.fixture(scope="module")
def model(run: Path) -> LungModel:
    return load_model(run / "model.onnx")


@pytest.fixture(scope="module")
def clips(simulated: Path) -> pd.DataFrame:
    return dataset("sprsound").load(simulated)


@pytest.mark.parametrize("wrong", [{"accelerator": "tpuu"}, {"accelerator": "cpu", "strategy": "magic"}])
def test_hardware_that_is_not_there_is_refused_before_anything_is_written(
    wrong: dict[str, str], simulated: Path, tiny_recipe: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"^--(accelerator tpuu|strategy magic): expected"):
        train(TrainJob(str(tiny_recipe), simulated, tmp_path / "run", **wrong))  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


def test_what_was_held_out_is_known_again(run: Path, model: LungModel, clips: pd.DataFrame) -> None:
    told = pd.read_csv(run / "clips.csv")
    mask = held_out(clips, model)
    assert mask is not None
    assert set(clips["clip_id"][mask]) == set(told["clip_id"][told["side"] == "validation"])
    assert training_clip_ids(clips, model) == set(told["clip_id"][told["side"] == "train"])
    assert len(select(clips, "validation", model)) == mask.sum()


def test_other_data_cannot_pass_for_the_held_out_side(model: LungModel, clips: pd.DataFrame) -> None:
    # Without one recording another split would be drawn, with patients that were trained on.
    fewer = clips[clips["recording"] != clips["recording"].iloc[0]].reset_index(drop=True)
    assert held_out(fewer, model) is None
    with pytest.raises(LaennecError, match="cannot be drawn again from this data"):
        select(fewer, "validation", model)
    with pytest.raises(UsageError, match="no event is in split 'tset'"):
        select(clips, "tset", model)


def test_the_test_set_of_one_release(model: LungModel, clips: pd.DataFrame) -> None:
    released = clips.assign(split="test", release="2023")
    released.loc[::2, "release"] = "2024"
    assert len(select(released, "test-2023", model)) == len(released) // 2
    with pytest.raises(UsageError, match=r"split 'test-2025'; there are: .*test-2023, test-2024"):
        select(released, "test-2025", model)


def test_scoring_what_was_trained_on_is_said(
    run: Path, simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate_model(str(run), None, simulated, "all", tmp_path) == 0
    assert "with clips that the model was trained on" in capsys.readouterr().err
    provenance = json.loads((tmp_path / "metrics.json").read_text())["provenance"]
    assert "trained on" in provenance["split"]
    assert provenance["data"].startswith("simulated sprsound, ")
    assert evaluate_model(str(run), None, simulated, "validation", tmp_path) == 0
    assert "trained on" not in json.loads((tmp_path / "metrics.json").read_text())["provenance"]["split"]


def test_the_folder_is_refused_before_the_work(run: Path, simulated: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LaennecError, match="no folder can be made there"):
        evaluate_model(str(run), None, simulated, "all", tmp_path / "file")


def test_the_command_is_told_without_the_folders_above(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    typed = ["laennec", "train", "default", "--data", str(tmp_path / "SPRSound")]
    monkeypatch.setattr("sys.argv", [*typed, "--also", f"icbhi={tmp_path / 'ICBHI'}", "--seed=1"])
    assert command() == "laennec train default --data SPRSound --also icbhi=ICBHI --seed=1"


def test_limits_name_the_classes_that_rest_on_few_patients(clips: pd.DataFrame, tiny_recipe: Path) -> None:
    text = limits(load_recipe(tiny_recipe), clips)
    assert "Stridor (" in text
    assert "not a medical device" in text
    assert str(clips["age_years"].max()) in text


@pytest.mark.parametrize("command", ["train", "crossvalidate", "evaluate"])
def test_results_are_not_written_into_the_data(
    command: str, simulated: Path, tiny_recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(simulated.rglob("*"))
    what = "default" if command == "evaluate" else tiny_recipe
    with pytest.raises(SystemExit):
        main([command, str(what), "--data", str(simulated), "--out", str(simulated / "runs")])
    assert "lies in the folder of the data" in capsys.readouterr().err
    assert sorted(simulated.rglob("*")) == before


@pytest.mark.parametrize(
    "wrong", [{"threads": -1}, {"threads": 10**6}, {"devices": 0}, {"devices": -2}, {"nodes": 0}]
)
def test_hardware_that_cannot_be_is_refused_with_its_option(wrong: dict[str, int]) -> None:
    (name,) = wrong
    with pytest.raises(UsageError, match=rf"--{name} is {wrong[name]}; expected"):
        Hardware("cpu", **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"accelerator": "foo"}, "--accelerator foo: expected one of auto, cpu, cuda, gpu, mps, tpu"),
        (
            {"strategy": "foo"},
            "--strategy foo: expected auto, ddp, fsdp, deepspeed or another name of Lightning's",
        ),
        ({"accelerator": "tpu"}, "--accelerator tpu: this computer has none that can be used; there is auto"),
        ({"strategy": "fsdp"}, "no training on accelerator cpu with strategy fsdp and 1 device: [^`.]*"),
        ({"devices": -1}, "no training on accelerator cpu with strategy auto and -1 devices: [^`]*"),
    ],
)
def test_what_lightning_does_not_know_is_named_in_a_sentence(
    wrong: dict[str, str], sentence: str, tiny_recipe: Path
) -> None:
    with pytest.raises(UsageError, match=f"^{sentence}$"):
        make_trainer(load_recipe(tiny_recipe), Hardware(**{"accelerator": "cpu", **wrong}))  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [-1, 2**32, 10**20])
def test_seeds_that_are_none_are_refused(seed: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"seed .* is not a whole number from 0 to 4294967295"):
        crossvalidate(CrossValidationJob("baseline", tmp_path, tmp_path / "out", seeds=(0, seed)))
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_compared_with_is_named_before_any_training(tmp_path: Path) -> None:
    other = tmp_path / "other"
    for only, what in (((), "no predictions"), ((1,), "no folds")):
        job = CrossValidationJob("baseline", tmp_path / "none", tmp_path / "out", against=other, only=only)
        with pytest.raises(LaennecError, match=f"other: {what}; laennec crossvalidate writes them"):
            crossvalidate(job)
    assert not (tmp_path / "out").exists()


def test_train_takes_any_setting_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    monkeypatch.setattr("laennec.train.commands._train", lambda job, recipe, *_: taken.append(recipe) or 0)
    words = ["train", "baseline", "--data", tmp_path / "data", "--out", tmp_path / "out", "--epochs", 3]
    with pytest.raises(SystemExit) as done:
        main([*map(str, words), "--set", "augmentation.mixup=0.25", "batch_size=7"])
    assert done.value.code == 0
    assert (taken[0].epochs, taken[0].batch_size, taken[0].augmentation.mixup) == (3, 7, 0.25)
    for settings, why in (
        (("epochs=4",), "--epochs and --set epochs"),
        (("seed=1", "seed=2"), "given twice"),
    ):
        with pytest.raises(UsageError, match=why):
            train(TrainJob("baseline", tmp_path, tmp_path / "o", epochs=3, settings=settings))


def test_unknown_patients_are_told_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("noname.wav", "p02_left.wav"):
        write_sound(tmp_path / name)
    (tmp_path / "clips.csv").write_text("path,label,subject\nnoname.wav,Wheeze,\np02_left.wav,Stridor,anna\n")
    load_clips("folder", tmp_path)
    assert f"warning: {tmp_path}: 1 of 2 recordings: patient unknown" in capsys.readouterr().err
    (tmp_path / "clips.csv").write_text(
        "path,label,subject\nnoname.wav,Wheeze,bob\np02_left.wav,Stridor,anna\n"
    )
    load_clips("folder", tmp_path)
    assert capsys.readouterr().err == ""
    assert of_patients(0) == "patients who are not known"
