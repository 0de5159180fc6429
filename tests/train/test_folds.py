import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from laennec.cli import run
from laennec.datasets import dataset
from laennec.errors import LaennecError, UsageError
from laennec.labels import SPRSOUND_EVENTS
from laennec.model.load import load_model
from laennec.models.tasks import among_allowed
from laennec.score.predictions import Predictions, read_predictions, stacked
from laennec.score.summary import evaluate
from laennec.score.text import render_tables
from laennec.simulate import simulate_dataset
from laennec.train.build import build_parts
from laennec.train.crossval import CrossValidationData, cross_validate, gather, pooled, read_folds
from laennec.train.data import ClipTensors, FewerNormal, read_auxiliary
from laennec.train.evaluate import training_clip_ids
from laennec.train.folds_figures import difference, groups, measure, pair, render_differences
from laennec.train.hardware import Hardware
from laennec.train.protocols import protocol_of
from laennec.train.recipe import Recipe, load_recipe, with_settings
from laennec.train.run import fit, prepare
from laennec.train.tables import training_clips

BY_FOLD = ("clips", "subjects", "scores", "intervals")
CPU = Hardware("cpu", threads=1)


@pytest.fixture(scope="module")
def recipe(tiny_recipe: Path) -> Recipe:
    return with_settings(load_recipe(tiny_recipe), ["epochs=1"])


@pytest.fixture(scope="module")
def material(simulated: Path, recipe: Recipe) -> CrossValidationData:
    return gathered(dataset("sprsound").load(simulated), recipe)


def gathered(
    clips: pd.DataFrame, recipe: Recipe, auxiliary: pd.DataFrame | None = None
) -> CrossValidationData:
    return gather(clips, recipe, protocol_of(recipe, 2), auxiliary)


def test_every_clip_is_answered_once_by_a_model_that_never_heard_the_patient(
    material: CrossValidationData, recipe: Recipe, tmp_path: Path
) -> None:
    found = read_folds(cross_validate(material, recipe, tmp_path, [0], hardware=CPU)[0])
    assert sorted(found.clip_ids) == sorted(material.clips["clip_id"])
    patients = [
        set(read_predictions(tmp_path / "seed0" / f"fold{k}" / "predictions.csv").subjects) for k in (1, 2)
    ]
    assert not patients[0] & patients[1]
    told = json.loads((tmp_path / "seed0" / "fold2" / "fold.json").read_text())
    assert told["clips"] == {
        "train": int(material.folds[1].train.sum()),
        "test": int(material.folds[1].test.sum()),
    }


def test_what_is_finished_is_not_done_again_and_other_settings_are_refused(
    material: CrossValidationData, recipe: Recipe, tmp_path: Path
) -> None:
    started: list[str] = []
    note = started.append
    of_first, of_second = (f"seed 3, fold {number} of {len(material.folds)}" for number in (1, 2))

    cross_validate(material, recipe, tmp_path, [3], [2], CPU, on_start=note)
    cross_validate(material, recipe, tmp_path, [3], (), CPU, on_start=note)
    assert started == [of_second, of_first]
    emptied = tmp_path / "seed3" / "fold2" / "predictions.csv"
    before = emptied.read_bytes()
    emptied.write_bytes(b"")
    cross_validate(material, recipe, tmp_path, [3], (), CPU, on_start=note)
    assert started == [of_second, of_first, of_second]
    assert emptied.read_bytes() == before
    with pytest.raises(LaennecError, match="other settings \\(learning_rate\\)"):
        cross_validate(material, replace(recipe, learning_rate=1e-4), tmp_path, [3], (), CPU)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="forks, as on Linux")
def test_folds_in_parallel_are_those_of_one_process(
    material: CrossValidationData, recipe: Recipe, tmp_path: Path
) -> None:
    names: list[str] = []
    one = cross_validate(material, recipe, tmp_path / "one", [0, 1], [1], CPU)
    two = cross_validate(
        material, recipe, tmp_path / "two", [0, 1], [1], Hardware("cpu", jobs=2), on_start=names.append
    )
    assert names == [f"seed {seed}, fold 1 of {len(material.folds)}" for seed in (0, 1)]
    for [here], [there] in zip(one, two, strict=True):
        assert (here / "predictions.csv").read_bytes() == (there / "predictions.csv").read_bytes()
        weights = [torch.load(folder / "model.pt")["network"] for folder in (here, there)]
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    kept = json.loads((tmp_path / "two" / "arithmetic.json").read_text())
    assert kept["threads"] == {recipe.name: 1}


def test_the_same_seed_gives_the_same_answers(
    material: CrossValidationData, recipe: Recipe, tmp_path: Path
) -> None:
    runs = [
        read_folds(cross_validate(material, recipe, tmp_path / name, [seed], [1], CPU)[0]).probabilities
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert np.abs(runs[0] - runs[2]).max() > 1e-3


def test_images_are_normalised_by_the_training_side_alone(simulated: Path, recipe: Recipe) -> None:
    cepstral = replace(recipe, front_end={"kind": "cepstral-image", "bands": 16}, model={"kind": "resnet"})
    material = gathered(dataset("sprsound").load(simulated), cepstral)
    training, _, held_out = material.parts(material.folds[0], cepstral)
    assert training.image is not None
    assert held_out.image is not None
    rows = training.image.mean((0, 3))
    torch.testing.assert_close(rows, torch.zeros_like(rows), atol=1e-4, rtol=0)
    assert held_out.image.mean((0, 3)).abs().max() > 1e-3


def test_recipes_that_cannot_be_cross_validated_alone_are_refused(simulated: Path) -> None:
    clips = dataset("sprsound").load(simulated)
    for name in ("nguyen2022-source", "chen2022"):
        with pytest.raises(LaennecError, match="cannot be cross-validated by itself"):
            gathered(clips, load_recipe(name))


def test_an_epoch_hears_all_sounds_and_another_share_of_normal_breaths_each_time() -> None:
    label = torch.tensor([0] * 40 + [1] * 6 + [5] * 4)
    nothing = torch.zeros(50)
    clips = ClipTensors(nothing, label, nothing, nothing.long(), nothing.long())
    sampler = FewerNormal(clips, 0.25, 1, 0, seed=1)
    epochs = []
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        epochs.append(list(sampler))
    for heard in epochs:
        assert len(heard) == len(set(heard)) == len(sampler) == 20
        assert {place for place in heard if place >= 40} == set(range(40, 50))
    assert set(epochs[0]) != set(epochs[1])
    sampler.set_epoch(0)
    assert list(sampler) == epochs[0]


def test_settings_on_the_command_line_are_toml() -> None:
    recipe = load_recipe("default")
    changed = with_settings(
        recipe,
        ["epochs=3", "augmentation.mixup=0", "model.channels=[8, 16]", "loss=focal", "title = 'A = B'"],
    )
    assert (changed.epochs, changed.augmentation.mixup, changed.loss) == (3, 0, "focal")
    assert changed.model["channels"] == [8, 16]
    assert changed.title == "A = B"
    assert with_settings(recipe, []) == recipe
    for wrong, said in (
        ("epochs", "name=value"),
        ("epoch=3", "unknown setting 'epoch'"),
        ("epochs=many", "epochs = 'many'"),
        ("title.x=3", "title is a setting"),
    ):
        with pytest.raises(LaennecError, match=said):
            with_settings(recipe, [wrong])


# --- a second data set --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("second") / "icbhi"
    simulate_dataset(out, subjects=8, seed=2, recordings_per_subject=1, layout="icbhi")
    return out


def test_a_label_that_means_several_classes_asks_for_their_sum() -> None:
    logits = torch.randn(6, 7, generator=torch.Generator().manual_seed(0), requires_grad=True)
    allowed = torch.zeros(6, 7)
    allowed[:3, 0] = 1
    allowed[3:, [1, 2, 3]] = 1
    target = among_allowed(logits, allowed)
    torch.testing.assert_close(target[:3], F.one_hot(torch.zeros(3, dtype=torch.long), 7).float())
    (found,) = torch.autograd.grad(-(target * logits.log_softmax(1)).sum(), logits)
    asked = -(logits.softmax(1) * allowed).sum(1).log().sum()
    (expected,) = torch.autograd.grad(asked, logits)
    torch.testing.assert_close(found, expected)


def test_clips_of_a_second_data_set_allow_what_icbhi_calls_so(second: Path, recipe: Recipe) -> None:
    clips = dataset("icbhi").load(second)
    read = read_auxiliary(clips, replace(recipe, also=("icbhi",)), build_parts(recipe)[0])
    assert read.allowed is not None
    allowed = {
        label: {recipe.labels[k] for k in np.flatnonzero(row)}
        for label, row in zip(clips["label"], read.allowed.numpy(), strict=True)
    }
    wanted = {
        "normal": {"Normal"},
        "crackle": {"Coarse Crackle", "Fine Crackle"},
        "wheeze": {"Rhonchi", "Wheeze", "Stridor"},
        "both": {"Wheeze+Crackle"},
    }
    assert len(allowed) > 2
    assert allowed == {label: wanted[label] for label in allowed}
    with pytest.raises(LaennecError, match="none of the recipe's classes stands for: squawk"):
        read_auxiliary(clips.assign(label="squawk"), recipe, build_parts(recipe)[0])


def test_a_second_data_set_is_trained_on_without_the_patients_of_the_fold(
    simulated: Path, second: Path, tiny_recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    told = ["crossvalidate", str(tiny_recipe), "--data", str(simulated), "--folds", "2", "--out", str(out)]
    told += ["--threads", "1", "--accelerator", "cpu", "--set", "epochs=1", "augmentation.mixup=0"]
    with pytest.raises(UsageError, match="--also takes DATASET=FOLDER"):
        run([*told, "--also", str(second)])
    with pytest.raises(UsageError, match="add --also icbhi=FOLDER"):
        run([*told, "also=icbhi"])
    assert run([*told, "--also", f"icbhi={second}", "--final"]) == 0
    clips = training_clips(dataset("icbhi").load(second))  # nothing of a published test set
    dealt = [pd.read_csv(out / "seed0" / f"fold{k}" / "auxiliary.csv", dtype=str) for k in (1, 2)]
    held = [table[table["side"] == "test"] for table in dealt]
    assert not set(held[0]["subject"]) & set(held[1]["subject"])
    assert sorted([*held[0]["clip_id"], *held[1]["clip_id"]]) == sorted(clips["clip_id"])
    fold = json.loads((out / "seed0" / "fold1" / "fold.json").read_text())
    own = dataset("sprsound").load(simulated)
    assert fold["clips"]["train"] + fold["clips"]["test"] + len(held[0]) == len(own) + len(clips)
    model = load_model(out / "model.onnx")
    assert model.card.data["beside"]["clips"] == len(clips)
    assert training_clip_ids(clips, model) == set(clips["clip_id"])
    assert training_clip_ids(own, model) == set(own["clip_id"])
    assert model.card.data["dataset"].startswith("simulated SPRSound")
    for other in ("folder", "sprsound"):  # SPRSound itself is not what was simulated in its layout
        assert not training_clip_ids(own.assign(dataset=other), model)
    assert "ICBHI" in (out / "model.md").read_text()
    # Folds of one data set are not those of two.
    alone = with_settings(load_recipe(tiny_recipe), ["epochs=1", "augmentation.mixup=0"])
    cross_validate(gathered(own, alone), alone, tmp_path / "alone", [0], [1], CPU)
    with pytest.raises(LaennecError, match="other settings \\(also\\)"):
        run([*told, "--also", f"icbhi={second}", "--out", str(tmp_path / "alone")])
    # Another second data set is not what the folds were made with.
    recipe = with_settings(load_recipe(tiny_recipe), ["epochs=1", "augmentation.mixup=0", "also=icbhi"])
    fewer = gathered(own, recipe, clips[clips["subject"] != clips["subject"].iloc[0]].reset_index(drop=True))
    with pytest.raises(LaennecError, match="clips of the second data set"):
        cross_validate(fewer, recipe, out, [0], (), CPU)


def test_a_run_trains_on_a_second_data_set(
    simulated: Path, second: Path, tiny_recipe: Path, tmp_path: Path
) -> None:
    recipe = with_settings(load_recipe(tiny_recipe), ["epochs=1", "augmentation.mixup=0", "also=icbhi"])
    beside = dataset("icbhi").load(second)
    own = dataset("sprsound").load(simulated)
    runs = [
        fit(prepare(own, one, more), one, tmp_path / name, CPU)
        for name, one, more in (
            ("both", recipe, beside),
            ("alone", replace(recipe, also=()), None),
        )
    ]
    both, alone = (read_predictions(folder / "predictions.csv") for folder in runs)
    assert both.clip_ids == alone.clip_ids  # only its own data set is validated on
    assert np.abs(both.probabilities - alone.probabilities).max() > 1e-6
    with pytest.raises(LaennecError, match="mixup cannot mix"):
        with_settings(recipe, ["augmentation.mixup=0.2"])


# --- figures ------------------------------------------------------------------------------------------------


def made_up(seed: int, runs: int = 2, clips: int = 120) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = rng.choice(SPRSOUND_EVENTS, clips, p=[0.5, 0.05, 0.15, 0.05, 0.05, 0.15, 0.05])
    probabilities = rng.dirichlet(np.ones(7), (runs, clips))
    return Predictions(
        tuple(f"clip{k}" for k in range(clips)),
        tuple(f"patient{k % 12}" for k in range(clips)),
        tuple(map(str, labels)),
        SPRSOUND_EVENTS,
        probabilities,
    )


def test_scores_of_several_seeds_are_the_mean_of_each() -> None:
    both = made_up(0)
    told = evaluate(both.labels, both.probabilities, both.subjects, both.classes, draws=50)
    each = [evaluate(both.labels, run, both.subjects, both.classes, draws=50) for run in both.probabilities]
    for name, value in told["scores"].items():
        assert value == pytest.approx(np.mean([one["scores"][name] for one in each])), name
    for name, values in told["classes"].items():
        assert values["recall"] == pytest.approx(np.mean([one["classes"][name]["recall"] for one in each]))
        assert values["clips"] == each[0]["classes"][name]["clips"]
    assert told["runs"] == 2
    assert each[0]["runs"] == 1
    # The same answers twice say no more than once.
    twice = np.stack([both.probabilities[0]] * 2)
    same = evaluate(both.labels, twice, both.subjects, both.classes, draws=50)
    assert same["intervals"] == each[0]["intervals"]


def test_pairs_hold_the_two_kinds_alone_and_share_their_probability_out() -> None:
    predictions = made_up(1)
    two = pair(predictions, "crackle")
    chosen = [label in ("Normal", "Fine Crackle", "Coarse Crackle") for label in predictions.labels]
    assert len(two.labels) == sum(chosen)
    assert set(two.labels) == {"normal", "crackle"}
    first = predictions.probabilities[1, chosen.index(True)]
    crackles = first[[4, 5, 6]].sum()  # coarse, fine, and both at once
    assert two.probabilities[1, 0, 1] == pytest.approx(crackles / (crackles + first[0]))


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("subjects", [1, 4, 0])
@pytest.mark.parametrize(
    "labels",
    [("Normal",), ("Wheeze",), ("Normal", "Wheeze"), ("Normal", "Fine Crackle"), ("Stridor", "Rhonchi")],
)
def test_data_without_a_class_end_with_tables(labels: tuple[str, ...], subjects: int) -> None:
    rng = np.random.default_rng(0)
    count = 12
    names = tuple(f"clip{number}" for number in range(count))
    drawn = rng.dirichlet(np.ones(7), (2, count))
    predicted = Predictions(
        names,
        tuple(f"p{number % subjects}" if subjects else "" for number in range(count)),
        tuple(labels[number % len(labels)] for number in range(count)),
        SPRSOUND_EVENTS,
        drawn,
    )
    nothing = dict.fromkeys(("age_years", "sex", "location"), [np.nan] * count)
    clips = pd.DataFrame({"clip_id": names, **nothing, "label": predicted.labels})
    figures = measure(predicted, clips, {"model": "m", "split": "s", "command": "c", "seeds": [0, 1]})
    other = replace(predicted, probabilities=drawn[::-1] ** 2 / (drawn[::-1] ** 2).sum(-1, keepdims=True))
    if subjects > 1:
        figures["difference"] = {"against": "other", **difference(predicted, other)}
    else:
        with pytest.raises(ValueError, match="a difference over patients cannot be bootstrapped"):
            difference(predicted, other)
    json.dumps(figures, allow_nan=False)
    text = render_tables(figures) + render_differences(figures)
    assert "Confusion matrix, 2 runs together as in the column predicted: a row" in text
    assert "None" not in text
    assert "nan" not in text
    assert ("against wheeze" in text) == ({"Normal", "Wheeze"} <= set(labels))
    assert ("against crackle" in text) == ({"Normal", "Fine Crackle"} <= set(labels))
    assert ("Score of task 12 less that of other: " in text) == (subjects > 1)


def test_groups_count_every_clip_once_where_it_is_told() -> None:
    clips = pd.DataFrame(
        {
            "age_years": [0.2, 1.0, 4.0, 11.9, 12.0, np.nan],
            "sex": ["male", "female", "male", None, "male", "female"],
            "location": ["left-lateral"] * 5 + [None],
        }
    )
    masks = groups(clips)
    assert sum(mask.astype(int) for mask in masks["age"].values()).tolist() == [1, 1, 1, 1, 1, 0]
    assert masks["age"]["under 1"][0]
    assert masks["age"]["6 to 11"][3]
    assert masks["age"]["12 to 17"][4]
    assert {name: int(mask.sum()) for name, mask in masks["sex"].items()} == {"female": 2, "male": 3}
    assert masks["position"]["left-lateral"].sum() == 5


def test_a_difference_is_paired_whatever_the_order_and_the_number_of_seeds() -> None:
    first, second = made_up(2, runs=1), made_up(3, runs=3)
    second = replace(second, labels=first.labels)
    order = np.random.default_rng(0).permutation(len(first.labels))
    shuffled = replace(
        second,
        clip_ids=tuple(second.clip_ids[k] for k in order),
        subjects=tuple(second.subjects[k] for k in order),
        labels=tuple(second.labels[k] for k in order),
        probabilities=second.probabilities[:, order],
    )
    told = difference(first, shuffled)
    ordered = difference(first, second)["task_12"]["challenge_score"]
    assert told["task_12"]["challenge_score"]["difference"] == pytest.approx(ordered["difference"])
    assert told["task_12"]["challenge_score"]["interval"] == pytest.approx(ordered["interval"])
    scores = [
        evaluate(p.labels, p.probabilities, p.subjects, p.classes, draws=2)["scores"]["challenge_score"]
        for p in (first, second)
    ]
    assert told["task_12"]["challenge_score"]["difference"] == pytest.approx(scores[1] - scores[0])
    low, high = told["task_12"]["challenge_score"]["interval"]
    assert low <= scores[1] - scores[0] <= high
    nothing = difference(first, first)["task_11"]["challenge_score"]
    assert nothing == {"difference": 0.0, "interval": [0.0, 0.0]}


def test_later_patients_or_each_data_set_can_be_measured_on(
    simulated: Path, second: Path, tiny_recipe: Path, tmp_path: Path
) -> None:
    command = ["crossvalidate", str(tiny_recipe), "--data", str(simulated), "--threads", "1"]
    command += ["--accelerator", "cpu", "--set", "epochs=1", "decision=score"]
    a, b = tmp_path / "a", tmp_path / "b"
    assert run([*command, "--protocol", "chronological", "--out", str(a)]) == 0
    figures = json.loads((a / "metrics.json").read_text())
    assert figures["subjects"] == 2  # of seven
    assert figures["provenance"]["split"] == "chronological, measured on later patients"
    assert figures["by_fold"] == {"later patients": {name: figures[name] for name in BY_FOLD}}
    with pytest.raises(UsageError, match="numbers from 1 to 1"):
        run([*command, "--protocol", "chronological", "--out", str(a), "--only", "2"])
    # Two data sets under ICBHI's names: each is predicted by a model of the other.
    command += ["augmentation.mixup=0", "taxonomy=icbhi", "labels=['normal', 'crackle', 'wheeze', 'both']"]
    command += ["--also", f"icbhi={second}", "--protocol", "leave-one-out", "--out", str(b)]
    assert run(command) == 0
    figures = json.loads((b / "metrics.json").read_text())
    assert figures["provenance"]["split"] == "leave-one-out, measured on simulated sprsound, simulated icbhi"
    sides = pd.read_csv(b / "seed0" / "fold1" / "clips.csv").groupby("dataset")["side"].unique()
    assert {name: list(values) for name, values in sides.items()} == {
        "simulated icbhi": ["train"],
        "simulated sprsound": ["test"],
    }
    assert figures["clips"] == len(pd.read_csv(b / "seed0" / "fold1" / "clips.csv"))
    with pytest.raises(UsageError, match="of --protocol k-fold"):
        run([*command, "--final"])


def test_a_clip_that_several_folds_measure_counts_by_the_first() -> None:
    first = made_up(5, runs=1)
    one, two = (
        replace(first, probabilities=own) for own in (first.probabilities[0], first.probabilities[0][::-1])
    )
    both = pooled([one.chosen(range(80)), two.chosen(range(60, 120))])
    assert both.clip_ids == first.clip_ids
    np.testing.assert_array_equal(both.probabilities[:80], one.probabilities[:80])
    np.testing.assert_array_equal(both.probabilities[80:], two.probabilities[80:])


def test_a_comparison_with_other_clips_is_refused() -> None:
    first = made_up(5)
    second = replace(first, clip_ids=("another", *first.clip_ids[1:]))
    with pytest.raises(LaennecError, match="1 clip is not in the other cross-validation, first another"):
        difference(first, second)


def test_the_command_writes_figures_and_compares(
    simulated: Path, tiny_recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ["crossvalidate", str(tiny_recipe), "--data", str(simulated), "--folds", "2", "--threads", "1"]
    told += ["--accelerator", "cpu", "--set", "epochs=1", "decision=score"]
    a, b = tmp_path / "a", tmp_path / "b"
    assert run([*told, "--seeds", "0", "1", "--out", str(a), "--final"]) == 0
    said = capsys.readouterr().out
    assert "Normal against crackle: F" in said
    model = load_model(a / "model.onnx")
    found = json.loads((a / "metrics.json").read_text())
    assert found["runs"] == 2
    assert found["provenance"]["seeds"] == [0, 1]
    assert sum(found["groups"]["sex"][sex]["clips"] for sex in ("female", "male")) == found["clips"]
    assert model.card.metrics["scores"]["challenge_score"] == found["scores"]["challenge_score"]
    assert model.card.recipe["split"] == "none"
    card = (a / "model.md").read_text()
    assert "Cross-validation" in card
    assert "| sex | events | patients |" in card
    # One fold, another setting, against the first: as the networks say it, without a decision.
    command = [*told, "learning_rate=0.01", "--only", "2", "--out", str(b), "--against", str(a)]
    assert run(command) == 0
    assert "Score of task 12 less that of a:" in capsys.readouterr().out
    compared = json.loads((b / "metrics.json").read_text())
    raw = read_predictions(b / "seed0" / "fold2" / "predictions.csv")
    np.testing.assert_array_equal(
        raw.probabilities, read_predictions(b / "seed0" / "predictions.csv").probabilities
    )
    assert compared["clips"] == len(raw.labels)
    with pytest.raises(UsageError, match="numbers from 1 to 2"):
        run([*told, "--only", "3", "--out", str(tmp_path / "c")])
    with pytest.raises(UsageError, match="--final needs all folds"):
        run([*told, "--only", "2", "--final", "--out", str(tmp_path / "c")])
    with pytest.raises(LaennecError, match="no folds"):
        run([*command[:-1], str(tmp_path)])


def test_measuring_needs_a_row_for_every_clip(material: CrossValidationData) -> None:
    predictions = stacked([made_up(4, runs=1)])
    with pytest.raises(KeyError):
        measure(replace(predictions, probabilities=predictions.probabilities[0]), material.clips, {})
