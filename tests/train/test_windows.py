"""Models for windows: what is heard in one, the teacher, the integers, the way from recordings to a file."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from laennec.cli import run
from laennec.datasets import dataset
from laennec.errors import LaennecError
from laennec.features.window import WindowLogMel
from laennec.labels import SPRSOUND_RECORDS
from laennec.model.integer import load_integer_model
from laennec.models.window import WindowNet
from laennec.models.window_task import WindowTask
from laennec.score.windows import read_windows_table
from laennec.train.build import build_parts
from laennec.train.crossval import CrossValidationData, gather
from laennec.train.integer import integer_model
from laennec.train.protocols import Fold, earlier, protocol_of
from laennec.train.recipe import Recipe, load_recipe, with_settings
from laennec.train.recordings import Example
from laennec.train.tables import recording_tables, with_auxiliary
from laennec.train.window_teacher import Taught, refuse_teacher
from laennec.train.windows import WindowCrops, decided, heard

SMALL = (
    "epochs=2", "averaging_decay=0.5", "recording.batches=6", "recording.batch_s=32",
    "recording.other_sounds=2", "model.channels=[6, 8]", "model.strides=[[2, 2], [2, 2]]",
)  # fmt: skip
NAN = np.nan


@pytest.fixture(scope="module")
def folders(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    root = tmp_path_factory.mktemp("sets")
    for name in ("icbhi", "kauh"):
        dataset(name).tiny(root / name)
    return {"sprsound": simulated, "icbhi": root / "icbhi", "kauh": root / "kauh"}


@pytest.fixture(scope="module")
def recipe(folders: Mapping[str, Path]) -> Recipe:
    taught = ("window.teacher=recording", "split=none")
    recipe = with_settings(load_recipe("microcontroller"), (*SMALL, *taught))
    return with_auxiliary(recipe, [f"{name}={folders[name]}" for name in ("icbhi", "kauh")])[0]


@pytest.fixture(scope="module")
def material(folders: Mapping[str, Path], recipe: Recipe) -> CrossValidationData:
    also = {name: folders[name] for name in ("icbhi", "kauh")}
    events, recordings = recording_tables(recipe, folders["sprsound"], also)
    everything = np.ones(len(recordings), bool)
    return gather(events, recipe, lambda clips: [Fold("all", everything, ~everything)], None, recordings)


def example(stretches: list[tuple[float, float, str]], placed: bool = True, kind: int = 0) -> Example:
    names = [SPRSOUND_RECORDS.index(label) for *_, label in stretches]
    spans = np.array([(start, end) for start, end, _ in stretches]).reshape(-1, 2)
    image = torch.zeros(1, 32, 400)
    none = np.zeros((0, 2))
    records = np.array(names, int)
    return Example("a", "a", "", "", "", NAN, image, none, none, placed, spans, records, 0, kind)


@pytest.mark.parametrize(
    ("stretches", "placed", "expected"),
    [
        ([], True, (0, 0)),  # a pause between annotated breaths
        ([], False, (NAN, NAN)),  # nobody listened
        ([(0.5, 1.5, "CAS")], True, (1, 0)),
        ([(0.5, 1.5, "CAS & DAS")], True, (1, 1)),
        ([(1.0, 2.0, "Normal"), (2.0, 3.0, "DAS")], True, (0, 0)),
        ([(1.6, 2.4, "DAS")], True, (0, 1)),  # half of it
        ([(1.7, 2.5, "DAS")], True, (0, NAN)),  # three eighths
        ([(1.95, 2.95, "DAS")], True, (0, 0)),  # a twentieth
        ([(-3.0, 1.0, "CAS")], True, (1, 0)),  # a quarter of it, which fills half the window
        ([(0.0, 0.9, "Normal")], False, (NAN, NAN)),  # cycles that cover less than half
        ([(0.0, 1.1, "Normal")], False, (0, 0)),
        ([(-5.0, 9.0, "DAS")], False, (0, 1)),  # a whole recording
        ([(-5.0, 9.0, "Poor Quality")], True, (NAN, NAN)),
    ],
)
def test_what_is_heard_in_a_window(
    stretches: list[tuple[float, float, str]], placed: bool, expected: tuple[float, float]
) -> None:
    np.testing.assert_array_equal(heard(example(stretches, placed), 0.0, 2.0), expected)


def test_what_is_no_lung_holds_neither() -> None:
    np.testing.assert_array_equal(heard(example([], kind=2), 0.0, 2.0), (0, 0))


def test_windows_of_a_recording_are_cut_out_of_its_image(material: CrossValidationData) -> None:
    front_end, examples = material.front_end, material.examples.normalised(material.front_end)
    assert isinstance(front_end, WindowLogMel)
    table = examples.table(front_end)
    batches = list(examples.loader())
    assert sum(len(batch["image"]) for batch in batches) == len(table) > 20
    assert set(table.datasets) == {"sprsound"}  # the tiny copies of the others are too short for a window
    target = torch.cat([batch["target"] for batch in batches]).numpy()
    np.testing.assert_array_equal(target, table.target)
    assert (table.target == 1).any(0).all()
    # A window of samples has the image that is cut out of the whole.
    rng = np.random.default_rng(0)
    samples = torch.from_numpy(0.1 * rng.standard_normal(20_000).astype(np.float32))
    whole, start = front_end.unnormalised(samples[None]), 40
    part = samples[start * front_end.hop_length :][: front_end.clip_samples]
    expected = front_end.normalised(whole[..., start : start + front_end.frames])
    torch.testing.assert_close(front_end(part[None]), expected, atol=1e-4, rtol=0)


def test_the_teacher_hears_the_windows_that_are_trained_on(
    material: CrossValidationData, recipe: Recipe
) -> None:
    examples = material.examples
    lungs = {own.name for own in examples.examples if not own.kind}
    assert set(examples.taught) == lungs
    loader = examples.training_loader(recipe, material.front_end)
    batch = next(iter(loader))
    assert isinstance(loader.dataset, WindowCrops)
    known = ~torch.isnan(batch["soft"])
    assert known.any()
    assert ((batch["soft"][known] >= 0) & (batch["soft"][known] <= 1)).all()
    sick = [own for own in examples.examples if own.dataset == "sprsound" and own.record == 1]
    well = [own for own in examples.examples if own.dataset == "sprsound" and own.record == 0]
    wheeze = [max(examples.taught[own.name].there[0]) for own in (*sick, *well)]
    assert max(wheeze[: len(sick)]) > max(wheeze[len(sick) :])


def test_a_teacher_s_window_is_that_of_its_frames() -> None:
    there = np.zeros((2, 100), np.float32)
    there[0, 50:55] = 0.8
    taught = Taught(there, 0.05)
    assert taught.window(2.0, 2.0)[0] == pytest.approx(0.8, abs=1e-3)
    assert taught.window(0.0, 2.0).tolist() == [0, 0]
    assert taught.window(2.8, 2.0)[0] == 0
    assert taught.window(50.0, 2.0).tolist() == [0, 0]  # beyond the end: its last frame


def test_a_teacher_that_may_have_heard_whom_is_measured_is_refused(
    material: CrossValidationData, recipe: Recipe, tmp_path: Path
) -> None:
    clips, nothing = material.clips, np.zeros(len(material.clips), bool)
    test = nothing.copy()
    test[:3] = True
    refuse_teacher(recipe, clips, Fold("all", ~nothing, nothing))
    alone = replace(recipe, window=load_recipe("microcontroller").window)
    refuse_teacher(alone, clips, Fold("1", ~test, test))
    with pytest.raises(LaennecError, match="which patients it was trained on is not told"):
        refuse_teacher(recipe, clips, Fold("1", ~test, test))
    model = tmp_path / "model.onnx"
    model.write_bytes(b"onnx")
    given = with_settings(recipe, [f"window.teacher={model}"])
    subjects = set(clips["subject"][test])  # with all their recordings, as a fold has them
    fold = Fold("1", ~clips["subject"].isin(subjects).to_numpy(), clips["subject"].isin(subjects).to_numpy())
    clips.assign(side=np.where(fold.test, "test", "train")).to_csv(tmp_path / "clips.csv")
    refuse_teacher(given, clips, fold)
    # A teacher of one data set alone has bare subjects.
    bare = clips.assign(subject=clips["subject"].str.removeprefix("sprsound-"))
    bare.assign(side="train").to_csv(tmp_path / "clips.csv")
    with pytest.raises(LaennecError, match=f"trained on {len(subjects)} of the patients"):
        refuse_teacher(given, clips, fold)


def test_earlier_folds_leave_the_later_patients_out(material: CrossValidationData) -> None:
    clips = material.clips
    first = protocol_of(load_recipe("microcontroller"), 3, "chronological")(clips)[0]
    folds = earlier(clips, 2)
    assert len(folds) == 2
    for fold in folds:
        assert not (fold.train & fold.test).any()
        assert not ((fold.train | fold.test) & first.test).any()
        assert not set(clips["subject"][fold.train]) & set(clips["subject"][fold.test])
    np.testing.assert_array_equal(folds[0].test | folds[1].test, first.train)


def loss_of(weight: float, temperature: float, target: list[list[float]], soft: list[list[float]]) -> float:
    network = torch.nn.Linear(1, 2)
    torch.nn.init.zeros_(network.weight)
    with torch.no_grad():
        network.bias[:] = torch.tensor([1.0, -2.0])

    class Flat(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return network(image[:, :1, 0, 0])

    task = WindowTask(
        WindowLogMel(), torch.ones(2), load_recipe("microcontroller").augmentation, weight, temperature
    )
    task = replace(task, augmentation=type(task.augmentation)())
    count = len(target)
    batch = {
        "image": torch.zeros(count, 1, 32, 155), "spans": torch.zeros(0, 2), "kind": torch.zeros(count),
        "target": torch.tensor(target, dtype=torch.float32), "soft": torch.tensor(soft, dtype=torch.float32),
    }  # fmt: skip
    return float(task.loss(Flat(), batch).detach())


def test_the_loss_is_of_what_is_known() -> None:
    p = 1 / (1 + np.exp(-np.array([1.0, -2.0])))
    hard = -np.log([p[0], 1 - p[1]])
    assert loss_of(0.0, 1.0, [[1, 0]], [[0.5, 0.5]]) == pytest.approx(hard.mean(), rel=1e-5)
    assert loss_of(0.0, 1.0, [[1, NAN]], [[0.5, 0.5]]) == pytest.approx(hard[0], rel=1e-5)
    soft = -(0.3 * np.log(p) + 0.7 * np.log(1 - p))
    taught = loss_of(0.25, 1.0, [[1, 0]], [[0.3, 0.3]])
    assert taught == pytest.approx((0.75 * hard + 0.25 * soft).mean(), rel=1e-5)
    # Where nothing is annotated the teacher has all, and where it says nothing the annotation.
    assert loss_of(0.25, 1.0, [[NAN, NAN]], [[0.3, 0.3]]) == pytest.approx(soft.mean(), rel=1e-5)
    assert loss_of(0.25, 1.0, [[1, 0]], [[NAN, NAN]]) == pytest.approx(hard.mean(), rel=1e-5)
    warm = 1 / (1 + np.exp(-np.array([0.5, -1.0])))
    at_two = 1 / (1 + np.exp(-0.5 * np.log(0.3 / 0.7)))
    expected = -4 * (at_two * np.log(warm) + (1 - at_two) * np.log(1 - warm))
    assert loss_of(1.0, 2.0, [[NAN, NAN]], [[0.3, 0.3]]) == pytest.approx(expected.mean(), rel=1e-5)


def trained_look(network: torch.nn.Module) -> WindowNet:
    """Batch norms and weights as training leaves them: no activation alike."""
    generator = torch.Generator().manual_seed(0)
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.normal_(0, 0.3, generator=generator)
            part.running_var.uniform_(0.05, 0.3, generator=generator)
            torch.nn.init.uniform_(part.weight, 1.0, 2.0, generator=generator)
            torch.nn.init.normal_(part.bias, 0.3, 0.5, generator=generator)
    assert isinstance(network, WindowNet)
    torch.nn.init.normal_(network.head.weight, 0, 0.5, generator=generator)
    return network.eval()


@pytest.mark.parametrize("by_band", [True, False])
def test_integers_follow_the_network(by_band: bool) -> None:
    recipe = with_settings(load_recipe("microcontroller"), [f"front_end.by_band={str(by_band).lower()}"])
    torch.manual_seed(0)
    front_end, network = build_parts(recipe)
    network = trained_look(network)
    model = integer_model(network, front_end, recipe, {})
    assert model.weight_bytes() < 100_000
    rng = np.random.default_rng(0)
    time_s = np.arange(model.clip_samples) / model.sample_rate
    tones = np.sin(2 * np.pi * rng.uniform(100, 1500, (12, 1)) * time_s) * (rng.random((12, 1)) < 0.7)
    waves = (
        3000
        * rng.random((12, 1))
        * (tones + 0.3 * rng.standard_normal(tones.shape) * np.sin(3 * time_s) ** 2)
    )
    windows = np.rint(waves).astype(np.int16)
    log_mel = model.log_mel(windows)
    with torch.no_grad():
        image = front_end(torch.from_numpy(windows / np.float32(32768)).float())
        logits = network(image).numpy()
    step = 4 / 127
    ours = model.image(log_mel).transpose(0, 3, 1, 2) * step
    assert np.abs(ours - image.numpy()).max() < 0.6 * step
    ours = model.logits(log_mel)
    assert (np.abs(ours - logits).mean(0) < 0.5 * logits.std(0)).all()
    for column in range(2):
        assert np.corrcoef(ours[:, column], logits[:, column])[0, 1] > 0.9


def test_a_network_of_another_kind_has_no_integers() -> None:
    recipe = load_recipe("microcontroller")
    with pytest.raises(LaennecError, match="cannot be written in integers"):
        integer_model(torch.nn.Linear(2, 2), WindowLogMel(), recipe, {})


def test_probabilities_and_thresholds_fit_what_is_held_out() -> None:
    rng = np.random.default_rng(0)
    target = (rng.random((4000, 2)) < 0.2).astype(float)
    logits = 3 * (target - 0.5) + rng.standard_normal(target.shape) * 2 + 5
    decision = decided(logits, target)
    for column in range(2):
        probability = 1 / (
            1 + np.exp(-(logits[:, column] * decision.slopes[column] + decision.offsets[column]))
        )
        assert probability.mean() == pytest.approx(0.2, abs=0.02)
        said = probability >= decision.thresholds[column]
        assert said[target[:, column] == 0].mean() == pytest.approx(0.1, abs=0.002)
    unknown = decided(logits, np.where(target, 1.0, NAN))
    assert unknown.thresholds == (0.5, 0.5)


def test_from_recordings_to_a_c_program(folders: Mapping[str, Path], tmp_path: Path) -> None:
    """Cross-validation, a model of all patients, its file, and the program."""
    also = [word for name in ("icbhi", "kauh") for word in ("--also", f"{name}={folders[name]}")]
    cv = tmp_path / "cv"
    options = ["--data", str(folders["sprsound"]), *also, "--protocol", "earlier", "--folds", "2"]
    command = ["crossvalidate", "microcontroller", *options, "--out", str(cv), "--threads", "1", "--final"]
    command += ["--precision", "32-true", "--set", *SMALL]
    assert run(command) == 0
    metrics = json.loads((cv / "metrics.json").read_text())
    table = read_windows_table(cv / "seed0" / "fold1" / "windows.csv")
    assert metrics["datasets"]["sprsound"]["wheeze"]["windows"] >= (~np.isnan(table.target[:, 0])).sum()
    model = load_integer_model(cv / "model.npz")
    assert model.metadata["metrics"]["datasets"] == metrics["datasets"]
    assert model.metadata["data"]["recordings"] > 10
    assert "Research software, not a medical device" in (cv / "model.md").read_text()
    assert not (cv / "model.onnx").exists()
    assert run(["export", str(cv), "--target", "microcontroller", "--out", str(tmp_path / "c")]) == 0
    assert {"laennec.h", "laennec_model.c", "main.c", "Makefile", "README.md"} <= {
        path.name for path in (tmp_path / "c").iterdir()
    }
    assert run(["export", str(cv), "--out", str(tmp_path / "again.npz")]) == 0
    assert (tmp_path / "again.npz").read_bytes() == (cv / "model.npz").read_bytes()
