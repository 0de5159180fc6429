import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from laennec.datasets import dataset
from laennec.errors import LaennecError
from laennec.features.reading import cut_clips
from laennec.models.resnet import ResidualNet
from laennec.models.tasks import class_weights, laid_out, memory_format, weighted_loss
from laennec.score.confusion import challenge_scores
from laennec.score.evaluation import score
from laennec.score.predictions import read_predictions
from laennec.train.crossval import CrossValidationData
from laennec.train.decision import fit_temperature
from laennec.train.epochs import StopEarly
from laennec.train.hardware import Hardware
from laennec.train.loop import make_trainer
from laennec.train.protocols import make_split
from laennec.train.recipe import Recipe, load_recipe
from laennec.train.run import fit, prepare

# More threads would wait for each other: the networks are too small for them, and a core has a test each.
CPU = Hardware("cpu", threads=1)


@pytest.fixture(scope="module")
def clips(simulated: Path) -> pd.DataFrame:
    return dataset("sprsound").load(simulated)


@pytest.fixture(scope="module")
def recipe(tiny_recipe: Path) -> Recipe:
    return load_recipe(tiny_recipe)


@pytest.fixture(scope="module")
def data(clips: pd.DataFrame, recipe: Recipe) -> CrossValidationData:
    return prepare(clips, recipe)


@pytest.fixture(scope="module")
def run(data: CrossValidationData, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(data, recipe, tmp_path_factory.mktemp("runs") / "one", CPU)


def test_no_patient_is_on_both_sides(data: CrossValidationData) -> None:
    fold = data.folds[0]
    train, validation = (set(data.clips["subject"][mask]) for mask in (fold.train, fold.test))
    assert train
    assert validation
    assert not train & validation


def test_random_split_is_flagged_as_leaking(clips: pd.DataFrame, tiny_recipe: Path) -> None:
    split = make_split(clips, load_recipe(tiny_recipe, split="random"))
    assert split.leaks
    assert split.shared_subjects > 0


def test_statistics_of_the_front_end_come_from_the_training_side(clips: pd.DataFrame) -> None:
    recipe = Recipe("x")
    data = prepare(clips, recipe)
    fold = data.folds[0]
    assert data.examples.image is not None
    images = data.examples.image.clone()
    data = replace(data, examples=replace(data.examples, image=images))
    data.parts(fold, recipe)
    first = {name: value.clone() for name, value in data.front_end.state_dict().items()}
    images[torch.from_numpy(fold.test)] = torch.randn(images.shape[1:])
    data.parts(fold, recipe)
    torch.testing.assert_close(first, data.front_end.state_dict())
    images[torch.from_numpy(fold.train)] += 1
    data.parts(fold, recipe)
    assert not torch.allclose(first["mean"], data.front_end.state_dict()["mean"])


def test_run_folder_holds_what_it_says(run: Path, data: CrossValidationData, recipe: Recipe) -> None:
    told = json.loads((run / "run.json").read_text())
    assert told["epochs"] == recipe.epochs == told["last_epoch"]["epoch"] + 1
    assert told["clips"]["train"] + told["clips"]["validation"] == len(data.clips)
    assert told["leaks"] is False
    assert (run / "logs" / "version_0" / "metrics.csv").exists()
    assert list((run / "logs" / "version_0").glob("events.out.tfevents.*"))
    sides = pd.read_csv(run / "clips.csv")["side"]
    assert (sides == np.where(data.folds[0].train, "train", "validation")).all()


def test_training_leaves_the_process_as_it_was(run: Path) -> None:
    assert torch.tensor([1e-310], dtype=torch.float64).mul(0.5).item() > 0, (
        "denormal numbers are still flushed"
    )


def test_best_epoch_is_the_one_that_was_kept(run: Path) -> None:
    told = json.loads((run / "run.json").read_text())
    found = score(read_predictions(run / "predictions.csv"))
    # bf16 in training's own validation against float32 here: a borderline clip may fall to the other side.
    assert found["scores"]["total_score"] == pytest.approx(told["best_epoch"]["val_ts"], abs=0.03)
    assert told["best_epoch"]["val_ts"] >= told["last_epoch"]["val_ts"]


def test_training_learns(run: Path) -> None:
    history = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["history"]
    assert [epoch["epoch"] for epoch in history] == [0, 1, 2, 3]
    assert history[-1]["train_loss"] < history[0]["train_loss"]


def test_finished_run_is_kept_and_another_recipe_refused(
    run: Path, data: CrossValidationData, recipe: Recipe
) -> None:
    before = (run / "run.json").stat().st_mtime_ns
    fit(data, recipe, run)
    assert (run / "run.json").stat().st_mtime_ns == before
    with pytest.raises(LaennecError, match=r"other settings \(epochs\)"):
        fit(data, replace(recipe, epochs=9), run)


def test_what_is_emptied_is_made_anew_and_a_damaged_checkpoint_is_named(
    run: Path, data: CrossValidationData, recipe: Recipe, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    (copy / "predictions.csv").write_bytes(b"")
    fit(data, recipe, copy, Hardware(accelerator="cpu"))  # goes on from the last checkpoint
    assert (copy / "predictions.csv").read_bytes() == (run / "predictions.csv").read_bytes()
    last = copy / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:5000])
    (copy / "run.json").unlink()
    with pytest.raises(LaennecError, match=r"last\.ckpt: damaged.*; delete it, and the same command begins"):
        fit(data, recipe, copy, Hardware(accelerator="cpu"))
    other = {
        "state_dict": {},
        "epoch": 1,
        "global_step": 1,
        "loops": {},
        "optimizer_states": [],
        "history": [],
    }
    torch.save(other, last)
    with pytest.raises(LaennecError, match=r"last\.ckpt: .*delete it, and the same command begins"):
        fit(data, recipe, copy, Hardware(accelerator="cpu"))
    (copy / "recipe.json").write_text("{")
    with pytest.raises(LaennecError, match=r"recipe\.json: damaged, it is not JSON; delete the folder"):
        fit(data, recipe, copy, Hardware(accelerator="cpu"))


def test_same_seed_same_weights(run: Path, data: CrossValidationData, recipe: Recipe, tmp_path: Path) -> None:
    again = fit(data, recipe, tmp_path / "again", CPU)
    first, second = (torch.load(r / "model.pt", weights_only=True)["network"] for r in (run, again))
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "laennec", *map(str, arguments)]


@pytest.mark.slow
def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    simulated: Path, data: CrossValidationData, tiny_recipe: Path, tmp_path: Path
) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    line = command(
        "train", tiny_recipe, "--data", simulated, "--out", killed, "--epochs", 6, "--threads", 1,
        "--accelerator", "cpu",
    )  # fmt: skip
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    last = killed / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 90
    while not last.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert last.exists()
    assert not (killed / "run.json").exists(), "the run ended before it could be killed"
    reached = torch.load(last, weights_only=True)["epoch"]
    for out in (killed, whole):
        fit(data, load_recipe(tiny_recipe, epochs=6), out, CPU)
    first, second = (torch.load(run / "model.pt", weights_only=True)["network"] for run in (killed, whole))
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    finished = json.loads((killed / "run.json").read_text())
    assert reached < finished["last_epoch"]["epoch"] == 5


@pytest.mark.slow
def test_two_processes_train_one_model(simulated: Path, tiny_recipe: Path, tmp_path: Path) -> None:
    arguments = command(
        "train", tiny_recipe, "--data", simulated, "--out", tmp_path / "run", "--epochs", 2,
        "--accelerator", "cpu", "--devices", 2, "--strategy", "ddp",
    )  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(arguments, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "run" / "run.json").read_text())
    assert told["processes"] == 2
    assert (tmp_path / "run" / "model.onnx").exists()
    assert done.stdout.count("run/model.onnx") == 1, "both processes spoke"


def test_loss_is_pytorchs_weighted_cross_entropy() -> None:
    weights = torch.tensor([1.0, 2, 3, 4, 5, 6, 7])
    logits = torch.randn(9, 7, generator=torch.Generator().manual_seed(0))
    label = torch.arange(9) % 7
    expected = F.cross_entropy(logits, label, weight=weights)
    torch.testing.assert_close(weighted_loss(logits, F.one_hot(label, 7).float(), weights), expected)


def test_class_weights() -> None:
    label = torch.tensor([0] * 6 + [1] * 3 + [3])
    balanced = class_weights(label, 4, "balanced")
    assert balanced.tolist() == pytest.approx([10 / 24, 10 / 12, 0, 10 / 4])
    root = class_weights(label, 4, "sqrt")
    assert root[label].mean().item() == pytest.approx(1)
    assert (root[3] / root[0]).item() == pytest.approx(6**0.5)
    assert class_weights(label, 4, "none").tolist() == [1, 1, 1, 1]


def test_temperature_undoes_overconfidence() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4000, 7, generator=generator) * 2
    label = torch.distributions.Categorical(logits=logits)
    torch.manual_seed(0)
    assert fit_temperature(logits * 3, label.sample()) == pytest.approx(3, rel=0.1)


def test_every_epoch_has_its_own_order_and_each_clip_once(data: CrossValidationData) -> None:
    loader = data.examples.training_loader(Recipe("x", batch_size=8, seed=3), data.front_end)
    orders = []
    for epoch in (0, 1, 0):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        orders.append(list(loader.sampler))
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[0]) == list(range(len(data.examples)))


def test_clips_are_cut_where_the_table_says(clips: pd.DataFrame) -> None:
    import soundfile

    found = dict(cut_clips(clips, 8000))
    assert sorted(found) == list(range(len(clips)))
    row = clips.iloc[5]
    samples, rate = soundfile.read(row["path"], dtype="float32")
    expected = samples[round(row["start_s"] * rate) : round(row["end_s"] * rate)]
    np.testing.assert_array_equal(found[5], expected)


def test_unknown_labels_are_named(clips: pd.DataFrame, recipe: Recipe) -> None:
    with pytest.raises(LaennecError, match="labels that the recipe does not: Squawk"):
        prepare(clips.assign(label="Squawk"), recipe)


def test_event_scores_without_adventitious_clips_are_zero_not_nan() -> None:
    confusion = np.zeros((7, 7))
    confusion[0, 0] = 5
    found = challenge_scores(confusion, Recipe("x").labels)
    assert found["se"] == 0
    assert found["sp"] == 1


def child_of(parent: Path, folder: Path, more: str = "") -> Recipe:
    """A recipe that starts from the tiny one and hardly learns, so that where it started can be seen."""
    path = folder / "child.toml"
    text = parent.read_text().replace("learning_rate = 3e-3", "learning_rate = 1e-9")
    path.write_text(f'start_from = "{parent}"\n' + text.replace("epochs = 4", "epochs = 1") + more)
    return load_recipe(path)


def test_a_recipe_starts_from_another_that_is_trained_first(
    data: CrossValidationData, run: Path, tiny_recipe: Path, tmp_path: Path
) -> None:
    child = child_of(tiny_recipe, tmp_path)
    out = fit(data, child, tmp_path / "child", CPU)
    parent = torch.load(out / "start" / "model.pt", weights_only=True)["network"]
    trained = torch.load(run / "model.pt", weights_only=True)["network"]
    own = torch.load(out / "model.pt", weights_only=True)["network"]
    for name, value in parent.items():
        assert torch.equal(value, trained[name]), "the start is not what its recipe makes alone"
        if value.is_floating_point() and "running" not in name:
            torch.testing.assert_close(own[name], value, atol=1e-5, rtol=1e-3)


def test_a_given_start_is_used_and_a_wrong_one_refused(
    data: CrossValidationData, run: Path, tiny_recipe: Path, tmp_path: Path
) -> None:
    child = child_of(tiny_recipe, tmp_path)
    out = fit(data, child, tmp_path / "child", CPU, start=run)
    assert not (out / "start").exists()
    with pytest.raises(LaennecError, match="is not a finished run of it; train tiny first"):
        fit(data, child, tmp_path / "other", CPU, start=tmp_path / "nowhere")
    with pytest.raises(LaennecError, match="is a run of child on split patient 0; child starts from tiny"):
        fit(data, child, tmp_path / "third", CPU, start=out)


def test_trained_on_everything_keeps_the_last_epoch(
    clips: pd.DataFrame, tiny_recipe: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(tiny_recipe, split="none", averaging_decay=0.0)
    out = fit(prepare(clips, recipe), recipe, tmp_path / "all", CPU)
    last = torch.load(out / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    saved = torch.load(out / "model.pt", weights_only=True)
    for name, value in saved["network"].items():
        assert torch.equal(value, last[f"network.{name}"]), name
    assert saved["temperature"] == 1.0
    told = json.loads((out / "run.json").read_text())
    assert told["clips"] == {"train": len(clips), "validation": 0}
    assert told["best_epoch"] is None
    assert told["leaks"] is False
    assert not (out / "predictions.csv").exists(), "there is nothing that it could be measured on"


def test_the_checkpoint_that_is_kept_is_the_one_that_was_validated(
    run: Path, data: CrossValidationData
) -> None:
    """With averaged weights, what is validated is not what the optimiser holds."""
    from laennec.train.build import build_parts
    from laennec.train.loop import predict
    from laennec.train.recipe import recipe_from_dict
    from laennec.train.run import load_best

    recipe = recipe_from_dict(json.loads((run / "recipe.json").read_text()))
    assert recipe.averaging_decay > 0
    network = build_parts(recipe)[1]
    load_best(run, network)
    _, _, validation = data.parts(data.folds[0], recipe)
    logits = torch.cat(predict(network, validation, recipe, data.front_end))
    loss = F.cross_entropy(logits, validation.label).item()
    assert loss == pytest.approx(
        json.loads((run / "run.json").read_text())["best_epoch"]["val_loss"], abs=5e-3
    )
    current = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["current_model_state"]
    raw = {name.removeprefix("network."): value for name, value in current.items() if "network." in name}
    assert any(not torch.equal(value, raw[name]) for name, value in network.state_dict().items())


def test_a_folder_with_a_run_on_other_data_is_refused(run: Path, clips: pd.DataFrame, recipe: Recipe) -> None:
    with pytest.raises(LaennecError, match=r"other settings \(clips, labels or patients\)"):
        fit(prepare(clips.iloc[:-1], recipe), recipe, run, CPU)


def test_a_start_is_refused_where_none_is_named(
    data: CrossValidationData, run: Path, tiny_recipe: Path, tmp_path: Path
) -> None:
    with pytest.raises(LaennecError, match="starts from no other"):
        fit(data, load_recipe(tiny_recipe), tmp_path / "new", CPU, start=run)


@pytest.mark.parametrize(
    ("model", "message"),
    [({"kind": "resnt"}, "unknown kind 'resnt'"), ({"kind": "resnet", "chanels": [1]}, "chanels")],
)
def test_a_network_that_cannot_be_built_is_named_before_anything_is_read(
    clips: pd.DataFrame, tiny_recipe: Path, model: dict[str, object], message: str
) -> None:
    with pytest.raises(LaennecError, match=message):
        prepare(clips.assign(path="nowhere.wav"), load_recipe(tiny_recipe, model=model))


def test_a_run_of_five_steps_trains(clips: pd.DataFrame, tiny_recipe: Path, tmp_path: Path) -> None:
    recipe = load_recipe(tiny_recipe, epochs=5, batch_size=1000, warmup=0.2)
    assert (fit(prepare(clips, recipe), recipe, tmp_path / "x", CPU) / "run.json").exists()


STEPS = """
import sys, torch
from dataclasses import replace
from pathlib import Path
from laennec.features.augment import Augmentation
from laennec.train.build import build_parts
from laennec.train.data import ClipTensors
from laennec.train.loop import Module
from laennec.train.recipe import load_recipe

torch.set_num_threads(1)
# Augmentation would lay the images out anew.
recipe = replace(load_recipe(Path(sys.argv[1])), augmentation=Augmentation())
front_end, network = build_parts(recipe)
image = torch.randn(16, front_end.channels, front_end.bands, front_end.frames)
none = torch.zeros(16).long()
clips = ClipTensors(image, torch.arange(16) % 7, torch.full((16,), torch.nan), none, none)
clips = clips.normalised(front_end)
task = clips.task(recipe, front_end)
module = Module(network, task, recipe, 1)
for _ in range(60):
    task.loss(module.network, task.prepared(module.network, clips.__getitems__(range(16)))).backward()
print("trained")
"""


def test_few_channels_are_trained_within_memory(tiny_recipe: Path) -> None:
    # In a process of its own, which a write beyond a buffer ends: always with one thread.
    arguments = [sys.executable, "-c", STEPS, str(tiny_recipe)]
    result = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stdout) == (0, "trained\n"), result.stderr


@pytest.mark.parametrize("channels", [(4, 8), (8, 16), (16, 20), (24, 48)])
def test_channels_are_last_where_that_is_safe(channels: tuple[int, int]) -> None:
    network = ResidualNet(7, (1, 16, 30), channels)
    last = channels[0] >= 16
    assert memory_format(network) is (torch.channels_last if last else torch.contiguous_format)
    image = torch.randn(2, 1, 16, 30).to(memory_format=torch.channels_last)
    made = laid_out(image, network)
    assert torch.equal(made, image)
    network = network.to(memory_format=memory_format(network))
    maps = network.stages(made)
    assert maps.is_contiguous(memory_format=torch.channels_last) is last


def test_an_interrupted_training_is_an_interruption_and_no_silent_exit(
    data: CrossValidationData, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise SystemExit(1)  # what Lightning makes of Ctrl-C

    monkeypatch.setattr("lightning.Trainer.fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        fit(data, recipe, tmp_path / "run")


def test_a_training_stops_when_nothing_gets_better_and_a_resumed_one_gets_no_epoch_more(
    data: CrossValidationData, tiny_recipe: Path, tmp_path: Path
) -> None:
    still = {"learning_rate": 1e-12, "averaging_decay": 0.0, "monitor": "accuracy", "epochs": 9}
    recipe = load_recipe(tiny_recipe, patience=1, **still)
    out = fit(data, recipe, tmp_path / "out", CPU)
    told = json.loads((out / "run.json").read_text())
    assert (told["epochs"], told["best_epoch"]["epoch"], told["last_epoch"]["epoch"]) == (9, 0, 1)
    (out / "run.json").unlink()
    fit(data, recipe, out, CPU)
    assert json.loads((out / "run.json").read_text())["last_epoch"] == told["last_epoch"]
    # Where no epoch is chosen, nothing is stopped.
    kept = [
        any(isinstance(own, StopEarly) for own in make_trainer(one, CPU).callbacks)
        for one in (recipe, replace(recipe, split="official"), replace(recipe, patience=0))
    ]
    assert kept == [True, False, False]


def test_a_training_that_diverges_is_said_and_not_shipped(
    data: CrossValidationData, tiny_recipe: Path, tmp_path: Path
) -> None:
    """With weights that are no numbers, as a learning rate that is too high leaves them."""
    assert data.examples.image is not None
    nothing = torch.full_like(data.examples.image, torch.nan)
    message = "tiny diverged: the network gives no numbers; choose a lower learning_rate"
    for split in ("patient", "none"):  # with what it is measured on, and without
        recipe, out = load_recipe(tiny_recipe, epochs=1, split=split), tmp_path / split
        own = prepare(data.clips, recipe)
        with pytest.raises(LaennecError, match=message):
            fit(replace(own, examples=replace(own.examples, image=nothing)), recipe, out, CPU)
        assert not (out / "model.pt").exists()
        assert not (out / "run.json").exists()
