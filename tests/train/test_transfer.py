"""Weights carried over, layers that stay, folds of a cohort, and the two commands from end to end."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from laennec.cli import run
from laennec.datasets.records import load_clips
from laennec.errors import LaennecError, UsageError
from laennec.features.augment import draw_copies
from laennec.features.base import Cycle
from laennec.features.cycle import CycleLogMel
from laennec.model.load import load_model
from laennec.models.nguyen2022 import NguyenNet, StochasticNorm
from laennec.reproduce import nguyen2022, nguyen2022_rows
from laennec.reproduce.nguyen2022_rows import PAPER, parse_row
from laennec.score.bootstrap import patient_draws, percentile_interval, resampled_counts
from laennec.score.predictions import Predictions, read_predictions
from laennec.simulate import simulate_cohort, simulate_dataset
from laennec.train.build import build_parts
from laennec.train.cohort import by_patient, make_cohort, refuse_shared_patients, row_scores, scores_of
from laennec.train.crossval import cross_validate, read_folds
from laennec.train.decision import best_f1_shift, shift_head
from laennec.train.loop import Hardware
from laennec.train.recipe import deep_update, load_recipe, recipe_from_dict, recipe_to_dict
from laennec.train.transfer import target_clips
from laennec.train.weights import freeze_before, source_weights, take_over

SMALL = {"channels": [2, 2, 4, 4, 4, 4, 4]}


# The network ----------------------------------------------------------------------------------------------


def test_seven_blocks_of_batch_norm_convolution_and_relu() -> None:
    network = NguyenNet()
    (branch,) = network.branches
    assert len(branch) == 7
    assert [list(dict(block.named_children())) for block in branch] == [["norm", "conv"]] * 7
    image = torch.randn(2, 1, 45, 257)
    assert branch(image).shape == (2, 256)  # global average pooling
    assert network(image, None, None, None).shape == (2, 4)
    negative = branch[0](image)
    assert float(negative.min()) == 0  # the ReLU comes last


def test_glorot_uniform_weights() -> None:
    torch.manual_seed(0)
    network = NguyenNet()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            fan_in, fan_out = torch.nn.init._calculate_fan_in_and_fan_out(module.weight)
            bound = (6 / (fan_in + fan_out)) ** 0.5
            assert 0.8 * bound < float(module.weight.abs().max()) <= bound
            assert not module.bias.any()


def test_several_inputs_are_branches_joined_before_one_layer() -> None:
    network = NguyenNet(2, (1, 45, 60), (30, 10, 20))
    image = torch.randn(3, 1, 45, 60)
    network.eval()
    parts = image.split((30, 10, 20), 3)
    expected = torch.cat([b(p) for b, p in zip(network.branches, parts, strict=True)], 1)
    torch.testing.assert_close(network.features(image), expected)
    assert network.head.in_features == 3 * 256
    with pytest.raises(ValueError, match="7 blocks"):
        NguyenNet(channels=(4, 4))


def test_branches_take_the_weights_of_the_source_and_the_head_does_not() -> None:
    source, target = NguyenNet(4, (1, 45, 30)), NguyenNet(2, (1, 45, 40), (30, 10))
    head = target.head.weight.clone()
    names = take_over(target, source.state_dict(), "source")
    for branch in target.branches:
        for name, value in branch.state_dict().items():
            torch.testing.assert_close(value, source.branches[0].state_dict()[name])
    torch.testing.assert_close(target.head.weight, head)
    assert not any(name.startswith("head") for name in names)
    with pytest.raises(LaennecError, match="no layer in common"):
        take_over(NguyenNet(2, (1, 45, 40), channels=(3,) * 7), source.state_dict(), "source")


@pytest.mark.parametrize(
    ("place", "frozen_convolutions", "frozen_norms"),
    [("2ndConv", 1, 2), ("2ndBN", 1, 1), ("3rdBN", 2, 2), ("4thConv", 3, 4), ("1stBN", 0, 0), ("", 0, 0)],
)
def test_what_lies_before_the_named_layer_is_frozen(
    place: str, frozen_convolutions: int, frozen_norms: int
) -> None:
    network = NguyenNet(2, (1, 45, 40), (30, 10), **SMALL)
    freeze_before(network, place)
    for branch in network.branches:
        convolutions = [block.conv.weight.requires_grad for block in branch]
        norms = [block.norm.weight.requires_grad for block in branch]
        assert convolutions == [False] * frozen_convolutions + [True] * (7 - frozen_convolutions)
        assert norms == [False] * frozen_norms + [True] * (7 - frozen_norms)
    assert network.head.weight.requires_grad
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], 1.0)
    network(torch.randn(4, 1, 45, 40), None, None, None).square().sum().backward()
    optimizer.step()
    after = network.state_dict()
    for name in before:
        moved = not torch.equal(before[name], after[name])
        if "running" in name:
            assert moved, name  # every batch norm updates
        elif name == "branches.0.0.conv.weight":
            assert moved == (frozen_convolutions == 0)


def test_every_batch_norm_is_trained_where_that_is_asked_for() -> None:
    network = NguyenNet(2, (1, 45, 40), (30, 10), **SMALL)
    freeze_before(network, "3rdConv", norms=True)
    for branch in network.branches:
        assert all(block.norm.weight.requires_grad and block.norm.bias.requires_grad for block in branch)
        assert [block.conv.weight.requires_grad for block in branch] == [False, False, *[True] * 5]


def test_copies_of_crackles_until_the_classes_balance() -> None:
    recipe = nguyen2022_rows.row_recipe(parse_row("Scratch_Cyc_SamplePad+Copies_2"), 16_000, 1)
    labels = ["normal"] * 6 + ["crackle"] * 2
    copies = [labels[copy.row] for copy in draw_copies(labels, recipe.augmentation, 0)]
    assert copies == ["crackle"] * 4
    assert len({copy.warp for copy in draw_copies(labels, recipe.augmentation, 0)}) == 4


def test_a_layer_that_is_none_and_a_network_without_blocks() -> None:
    with pytest.raises(LaennecError, match="names no layer"):
        freeze_before(NguyenNet(**SMALL), "8thConv")
    with pytest.raises(LaennecError, match="only the network of nguyen2022"):
        freeze_before(torch.nn.Linear(2, 2), "2ndConv")
    with pytest.raises(LaennecError, match="fine_tune_from"):
        load_recipe("nguyen2022", fine_tune_from="second")


def test_stochastic_norm_mixes_the_two_statistics_in_training_alone() -> None:
    torch.manual_seed(0)
    maps = torch.randn(8, 64, 3, 3) * 3 + 5
    norm = StochasticNorm(64, 0.5)
    found = norm(maps)
    by_batch = (found.mean((0, 2, 3)).abs() < 1e-4).sum()
    assert 15 < int(by_batch) < 50
    torch.testing.assert_close(
        found[:, found.mean((0, 2, 3)).abs() > 1],
        maps[:, found.mean((0, 2, 3)).abs() > 1],
        rtol=1e-4,
        atol=1e-3,
    )
    norm.eval()
    plain = torch.nn.BatchNorm2d(64).eval()
    plain.load_state_dict(norm.state_dict())
    torch.testing.assert_close(norm(maps), plain(maps))


# Deciding -------------------------------------------------------------------------------------------------


def test_the_shift_is_that_of_the_best_f_score() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        label = torch.from_numpy(rng.integers(0, 2, 40))
        logits = torch.from_numpy(rng.standard_normal((40, 2)) + label.numpy()[:, None] * [0, 0.7]).float()
        shift = best_f1_shift(logits, label)

        def f1(by: float, logits: torch.Tensor = logits, label: torch.Tensor = label) -> float:
            said = ((logits[:, 1] + by) > logits[:, 0]).numpy()
            return 2 * (said & (label.numpy() == 1)).sum() / max(1, said.sum() + (label.numpy() == 1).sum())

        assert f1(shift) >= max(f1(by) for by in np.linspace(-6, 6, 2001)) - 1e-9
    assert best_f1_shift(torch.zeros(4, 2), torch.zeros(4)) == 0.0


def test_the_shift_becomes_part_of_the_network() -> None:
    network = NguyenNet(2, (1, 45, 30), **SMALL).eval()
    image = torch.randn(3, 1, 45, 30)
    before = network(image, None, None, None)
    shift_head(network, 1.25)
    torch.testing.assert_close(network(image, None, None, None), before + torch.tensor([0.0, 1.25]))


# The paper's table ----------------------------------------------------------------------------------------


def test_every_row_of_the_table_is_there_and_its_f_is_of_its_se_and_p() -> None:
    assert len(PAPER) == 14
    for se, precision, f in PAPER.values():
        assert scores_of(se, precision) == pytest.approx(f, abs=1.01e-4)


def test_row_names() -> None:
    row = parse_row("3rdConv_Cyc_Ins_Exp_Ratio_49_ZeroPad+Band+F1")
    assert (row.start, row.inputs, row.ratio, row.padding, row.options) == (
        "3rdConv",
        ("cycle", "inspiration", "expiration"),
        "4:9",
        "zero",
        ("Band", "F1"),
    )
    assert parse_row("Scratch_Cyc_Inp_Ratio_25_SamplePad").inputs == ("cycle", "inspiration")
    for name in PAPER:
        recipe = nguyen2022_rows.row_recipe(parse_row(name), 131_960, 150)
        front_end, network = build_parts(recipe)
        assert len(network.branches) == len(parse_row(name).inputs)  # type: ignore[union-attr,arg-type]
        assert front_end.frames == sum(front_end.part_frames)  # type: ignore[union-attr]
    for wrong, message in (
        ("Cyc", "names no system"),
        ("Scratch_Cyc_Ins_SamplePad", "need a ratio"),
        ("Scratch_Cyc_Ins_Ratio_99_SamplePad", "no ratio 9:9"),
        ("Scratch_Cyc_SamplePad+Magic", "unknown option 'Magic'"),
        ("Scratch_Cyc_SamplePad+Copies_0", "unknown option 'Copies_0'; there are: .*Copies_1 to Copies_99"),
    ):
        with pytest.raises(UsageError, match=message):
            parse_row(wrong)


def test_the_papers_settings_are_the_recipes() -> None:
    source, target = load_recipe("nguyen2022-source"), load_recipe("nguyen2022")
    for recipe, batch in ((source, 32), (target, 15)):
        assert (recipe.batch_size, recipe.learning_rate, recipe.epochs) == (batch, 1e-4, 150)
        assert (recipe.optimizer, recipe.loss, recipe.monitor) == ("adam", "focal", "accuracy")
        front_end = build_parts(recipe)[0]
        assert (front_end.n_fft, front_end.bands, front_end.sample_rate) == (512, 45, 16_000)  # type: ignore[union-attr]
        assert front_end.power.hop_length == 512
        assert front_end.clip_samples == 131_960


@pytest.mark.parametrize("option", [*nguyen2022_rows.OPTIONS, "Copies_2"])
def test_every_option_makes_recipes(option: str) -> None:
    row = parse_row(f"2ndConv_Cyc_Ins_Ratio_12_SamplePad+{option}")
    plain = parse_row("2ndConv_Cyc_Ins_Ratio_12_SamplePad")
    changed = [
        recipe_to_dict(one) != recipe_to_dict(other)
        for one, other in (
            (
                nguyen2022_rows.source_recipe(row, "icbhi", 80_000, 3),
                nguyen2022_rows.source_recipe(plain, "icbhi", 80_000, 3),
            ),
            (
                nguyen2022_rows.row_recipe(row, 80_000, 3),
                recipe_from_dict(
                    {
                        **recipe_to_dict(nguyen2022_rows.row_recipe(plain, 80_000, 3)),
                        "name": row.name,
                        "title": row.name,
                    }
                ),
            ),
        )
    ]
    assert any(changed)
    build_parts(nguyen2022_rows.row_recipe(row, 80_000, 3))
    assert (nguyen2022_rows.source_name(row) != nguyen2022_rows.source_name(plain)) == changed[0]


def test_scores_pool_folds_then_average_runs() -> None:
    one, two = np.array([[80.0, 20.0], [10.0, 40.0]]), np.array([[90.0, 10.0], [30.0, 20.0]])
    se, precision, f = row_scores(np.stack([one, two]))
    assert se == pytest.approx((40 / 50 + 20 / 50) / 2)
    assert precision == pytest.approx((40 / 60 + 20 / 30) / 2)
    assert f == pytest.approx(2 * se * precision / (se + precision))
    assert row_scores(np.array([[[5.0, 0.0], [5.0, 0.0]]]))[2] == 0.0


# Cohorts --------------------------------------------------------------------------------------------------


def own_cohort(root: Path, patients: int = 8, sick: int = 4, seconds: float = 1.0, cycles: int = 4) -> Path:
    """Noise, with clicks in the cycles of the sick patients: something to be learnt from in a moment."""
    rng = np.random.default_rng(0)
    rows = ["path,start_s,end_s,label,subject"]
    root.mkdir(parents=True, exist_ok=True)
    for patient in range(patients):
        samples = rng.standard_normal(round(8000 * seconds * cycles)) * 0.02
        for cycle in range(cycles):
            crackle = patient < sick and cycle % 4 != 3
            label = ("Fine Crackle", "Coarse Crackle")[patient % 2] if crackle else "Normal"
            start = cycle * seconds
            if crackle:
                places = rng.integers(round(8000 * start), round(8000 * (start + seconds)) - 20, 12)
                for place in places:
                    samples[place : place + 12] += 0.5 * np.hanning(12)
            rows.append(f"p{patient}.wav,{start},{start + seconds},{label},p{patient}")
        soundfile.write(root / f"p{patient}.wav", samples, 8000)
    (root / "clips.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="module")
def small_source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A recipe of few weights, and the run folder of one epoch of it on simulated ICBHI."""
    folder = tmp_path_factory.mktemp("source")
    text = (Path(nguyen2022.__file__).parents[1] / "recipes" / "nguyen2022-source.toml").read_text()
    text = text.replace('kind = "nguyen2022"', f'kind = "nguyen2022"\nchannels = {SMALL["channels"]}')
    text = text.replace('kind = "cycle-log-mel"', 'kind = "cycle-log-mel"\nclip_samples = 24_000')
    (folder / "small-source.toml").write_text(text)
    simulate_dataset(folder / "icbhi", subjects=7, layout="icbhi", recordings_per_subject=1)
    line = [
        "train",
        str(folder / "small-source.toml"),
        "--data",
        str(folder / "icbhi"),
        "--out",
        str(folder / "run"),
    ]
    assert run([*line, "--epochs", "1", "--threads", "1"]) == 0
    return folder / "small-source.toml", folder / "run"


def test_a_source_run_and_its_model_file_have_the_same_weights(small_source: tuple[Path, Path]) -> None:
    _, folder = small_source
    recipe, weights = source_weights(folder)
    by_file, from_file = source_weights(folder / "model.onnx")
    assert recipe_to_dict(by_file) == recipe_to_dict(recipe)
    kept = {name for name in weights if name.startswith("branches") and "num_batches" not in name}
    assert kept <= set(from_file)
    for name in kept:
        torch.testing.assert_close(from_file[name], weights[name], rtol=0, atol=0)


@pytest.mark.parametrize("model", ["recording", "recording-int8", "default"])
def test_a_model_file_whose_weights_are_folded_is_no_source(model: str) -> None:
    """Its network would be filled in part, and answer otherwise than the file."""
    told = rf"{model}: the model file does not hold its network as it was trained: stem\.1\.weight and others"
    with pytest.raises(LaennecError, match=told + ".*name the run folder of `laennec train`"):
        source_weights(model)


def test_transfer_of_ones_own_cohort(
    small_source: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, out = own_cohort(tmp_path / "mine"), tmp_path / "out"
    line = [
        "transfer",
        "--from",
        str(small_source[1]),
        "--data",
        str(data),
        "--out",
        str(out),
        "--epochs",
        "1",
        "--threads",
        "1",
    ]
    assert run(line) == 0
    said = capsys.readouterr()
    assert "4 folds" in said.err
    found = read_predictions(out / "predictions.csv")
    assert sorted(found.clip_ids) == sorted(
        f"p{p}-{c * 1000}-{c * 1000 + 1000}" for p in range(8) for c in range(4)
    )
    assert found.classes == ("normal", "crackle")
    assert json.loads((out / "metrics.json").read_text())["clips"] == 32
    for fold in range(1, 5):
        told = json.loads((out / f"folds/run-1/fold-{fold}/fold.json").read_text())
        assert sum(told["clips"].values()) == 32
    model = load_model(out)
    assert model.card.labels == ("normal", "crackle")
    assert "cross-validation by patient" in model.card.metrics["split"]
    before = {path: path.stat().st_mtime_ns for path in out.rglob("fold.json")}
    with monkeypatch.context() as patched:
        patched.setattr("laennec.train.transfer.export", lambda _, to: to)  # the same again, in seconds
        assert run(line) == 0  # goes on from where it is: nothing is trained again
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("fold.json")}
    assert run(["analyze", str(data / "p0.wav"), "--model", str(out), "--out", str(tmp_path / "seen")]) == 0
    assert json.loads((tmp_path / "seen" / "p0.json").read_text())["events"]
    line = ["evaluate", str(out), "--data", str(data), "--dataset", "folder", "--split", "all", "--out"]
    assert run([*line, str(tmp_path / "again")]) == 0
    assert len(read_predictions(tmp_path / "again" / "predictions.csv").clip_ids) == 32
    # What was made of other labels, or knows these patients, is not taken for this.
    again = ["transfer", "--data", str(data), "--out", str(out), "--epochs", "1", "--from"]
    with pytest.raises(LaennecError, match=r"would be\s+memory"):
        run([*again, str(out)])
    csv = data / "clips.csv"
    csv.write_text(csv.read_text().replace("Normal", "Fine Crackle", 1))
    with pytest.raises(LaennecError, match=r"other settings .*clips, labels or patients"):
        run([*again, str(small_source[1])])


def test_transfer_trains_a_recipe_first(small_source: tuple[Path, Path], tmp_path: Path) -> None:
    data = own_cohort(tmp_path / "mine", patients=6, sick=3)
    line = ["transfer", "--from", str(small_source[0]), "--data", str(data), "--out", str(tmp_path / "out")]
    with pytest.raises(UsageError, match="--source-data"):
        run(line)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda text: text.replace("Fine Crackle", "Wheeze").replace("Coarse Crackle", "Wheeze"),
            "no clip is labelled 'crackle'",
        ),
        (lambda text: text.replace("Normal", "Wheeze"), "no clip is labelled 'normal'"),
        (
            lambda text: "\n".join(
                line for line in text.splitlines() if "Crackle" not in line or "p0" in line
            ),
            "1 patient with 'crackle'",
        ),
        (lambda text: text.replace("0.0,1.0,", "0.0,0.15,", 1), "shorter than 0.2 s"),
    ],
)
def test_transfer_says_what_is_wrong_with_a_cohort(
    change, message: str, small_source: tuple[Path, Path], tmp_path: Path
) -> None:
    data = own_cohort(tmp_path / "mine")
    path = data / "clips.csv"
    path.write_text(change(path.read_text()) + "\n")
    with pytest.raises(LaennecError, match=message):
        run(["transfer", "--from", str(small_source[1]), "--data", str(data), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out" / "folds").exists()


def test_two_sick_patients_are_too_few_and_a_model_that_hears_no_cycles_is_refused(tmp_path: Path) -> None:
    data = own_cohort(tmp_path / "mine", sick=2)
    clips, labels = target_clips(load_clips("folder", data), "crackle")
    with pytest.raises(LaennecError, match="a third is needed"):
        make_cohort(clips, labels, 16_000)
    more = own_cohort(tmp_path / "more")
    for words, message in ((["--target-class", "Normal"], "normal is the other class; there are: Coarse"),):
        with pytest.raises(LaennecError, match=message):
            run(["transfer", *words, "--data", str(more), "--out", str(tmp_path / "out")])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--from", "nowhere"], "nowhere: no such model file"),
        (["--from", "default"], "does not hold its network as it was trained"),
        (["--from", "transfer-source"], "--source-data names what to train it on"),
        (["--source-data", "."], "source is a trained model"),
        (["--recipe", "baseline"], "--recipe baseline takes no cycles"),
        (["--epochs", "0"], "epochs = 0 is not a whole number from 1"),
        (["--threads", "-1"], "--threads is -1"),
        (["--runs", "0"], "--runs is 0"),
    ],
)
def test_a_wrong_request_is_refused_before_data_are_read(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = own_cohort(tmp_path / "mine")
    monkeypatch.setattr("laennec.train.transfer.load_clips", lambda *_: pytest.fail("data are read"))
    with pytest.raises(LaennecError, match=message) as caught:
        run(["transfer", *words, "--data", str(data), "--out", str(tmp_path / "out")])
    assert isinstance(caught.value, UsageError) or words[0] == "--from"  # a model that will not do is none
    assert not (tmp_path / "out").exists()


def test_a_label_of_ones_own_and_what_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = pd.DataFrame({"label": ["Normal", "Velcro", "velcro crackle", "Velcro", "cough"]})
    found, labels = target_clips(clips, "velcro")
    assert labels == ("normal", "Velcro")
    assert found["label"].tolist() == ["normal", "Velcro", "Velcro"]
    assert "1 velcro crackle" in capsys.readouterr().err


def test_cycles_are_brought_to_the_longest_at_most_the_papers(tmp_path: Path) -> None:
    data = own_cohort(tmp_path / "mine", seconds=1.0)
    clips, labels = target_clips(load_clips("folder", data), "crackle")
    assert make_cohort(clips, labels, 16_000).clip_samples == 16_000
    assert make_cohort(clips, labels, 16_000, length_s=0.5).clip_samples == 8000
    long = clips.assign(end_s=clips["start_s"] + 9.0)
    soundfile.write(data / "long.wav", np.random.default_rng(0).standard_normal(8000 * 13) * 0.1, 8000)
    long["path"] = str(data / "long.wav")
    assert make_cohort(long, labels, 16_000).clip_samples == 131_960


# Reproducing ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cohort") / "cohort"
    simulate_cohort(
        out,
        subjects={"healthy": 3, "ipf": 3},
        recordings={"healthy": 1, "ipf": 1},
        duration_s=12.0,
        channels=16,
    )
    return out


def test_reproduce_runs_rows_and_goes_on(
    cohort: Path, small_source: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Few weights and short cycles; everything else is as it is for the paper's rows.
    for name in ("row_recipe", "source_recipe"):
        whole = getattr(nguyen2022, name)

        def small(*arguments, whole=whole):
            return recipe_from_dict(deep_update(recipe_to_dict(whole(*arguments)), {"model": SMALL}))

        monkeypatch.setattr(nguyen2022, name, small)
    out, icbhi = tmp_path / "out", small_source[0].parent / "icbhi"
    rows = ["Scratch_Cyc_SamplePad", "2ndConv_Cyc_Ins_Ratio_12_SamplePad"]
    line = ["reproduce", "nguyen2022", "--target", str(cohort), "--source", str(icbhi), "--out", str(out)]
    line += [
        "--epochs",
        "2",
        "--patience",
        "1",
        "--length-s",
        "1.5",
        "--every",
        "4",
        "--threads",
        "1",
        "--rows",
    ]
    assert run([*line, rows[0], "--runs", "1"]) == 0
    first = sorted((out / "rows" / rows[0]).rglob("fold.json"))
    assert len(first) == 3
    kept = [path.read_bytes() for path in first]
    assert run([*line, *rows, "--runs", "2"]) == 0
    assert [path.read_bytes() for path in first] == kept
    told = json.loads((out / "tables.json").read_text())
    assert [row["row"] for row in told["rows"]] == rows
    assert [row["runs"] for row in told["rows"]] == [2, 2]
    assert told["protocol"]["target"] == "multichannel"
    assert told["rows"][1]["paper"]["f"] == 0.8471
    settings = told["rows"][0]["settings"]
    folds = [json.loads(path.read_text()) for path in (out / "rows" / rows[0]).rglob("fold.json")]
    assert settings["late_best_share"] == np.mean([fold["best_epoch"] == 1 for fold in folds])
    assert (settings["patience"], settings["late_epoch"], settings["trainings"]) == (1, 1, 6)
    assert "best epoch after 1 |" in (out / "tables.md").read_text()
    assert "| Scratch_Cyc_SamplePad | 0.8526 |" in (out / "tables.md").read_text()
    run_one = read_predictions(out / "rows" / rows[1] / "run-1" / "predictions.csv")
    assert len(set(run_one.clip_ids)) == len(run_one.clip_ids)
    for part in (out / "rows" / rows[1] / "run-1").glob("fold-*"):
        assert len(set(read_predictions(part / "predictions.csv").subjects)) == 2  # one sick, one healthy
    with pytest.raises(LaennecError, match=r"another protocol \(epochs"):
        run(
            ["3" if word == "2" and line[k - 1] == "--epochs" else word for k, word in enumerate(line)] + rows
        )


def test_the_plainest_row_learns_an_easy_target(tmp_path: Path) -> None:
    """A control: on clicks that are alike in all patients, six epochs from scratch are far above no skill."""
    clips, labels = target_clips(load_clips("folder", own_cohort(tmp_path / "mine", cycles=12)), "crackle")
    cohort = make_cohort(clips, labels, 16_000)
    row = nguyen2022_rows.row_recipe(parse_row("Scratch_Cyc_SamplePad"), cohort.clip_samples, 6)
    small = {"model": {"channels": [4, 8, 8, 8, 16, 16, 16]}, "learning_rate": 3e-3, "batch_size": 4}
    recipe = recipe_from_dict(deep_update(recipe_to_dict(row), small))
    hardware = Hardware("cpu", threads=1)
    (folds,) = cross_validate(
        cohort.data(recipe), recipe, tmp_path / "out", [0], only=(1, 2), hardware=hardware
    )
    found = read_folds(folds)
    f = row_scores(by_patient([found], sorted(set(found.subjects))).sum(0))[2]
    everything = 2 * 9 / (24 + 9)  # nine of twelve cycles of the sick half are crackles
    assert f > everything + 0.15


def test_reproduce_estimates_and_refuses(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["reproduce", "nguyen2022", "--target", str(cohort), "--out", str(tmp_path / "out")]
    with pytest.raises(UsageError, match="name the source's folder"):
        run([*line, "--rows", "transfer"])
    assert run([*line, "--estimate", "--rows", "Scratch_Cyc_ZeroPad", "--length-s", "1"]) == 0
    assert "all of it: about" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_source_and_target_may_not_share_patients() -> None:
    clips = pd.DataFrame({"dataset": "icbhi", "subject": ["101", "102"], "recording": ["a", "b"]})
    with pytest.raises(LaennecError, match="1 patient is in the source and in the target"):
        refuse_shared_patients(clips, clips.iloc[:1])
    refuse_shared_patients(clips, clips.assign(dataset="folder"))


def test_a_source_that_knows_the_cohort_is_refused(small_source: tuple[Path, Path], tmp_path: Path) -> None:
    from laennec.train.transfer import refuse_known_patients

    clips = load_clips("icbhi", small_source[0].parent / "icbhi")
    recipe = source_weights(small_source[1])[0]
    for source in (small_source[1], small_source[1] / "model.onnx"):
        with pytest.raises(LaennecError, match=r"would be\s+memory"):
            refuse_known_patients(str(source), recipe, clips)
    for other in ("folder", "icbhi"):  # simulated in its layout, so that ICBHI's patients are not known
        for source in (small_source[1], small_source[1] / "model.onnx"):
            refuse_known_patients(str(source), recipe, clips.assign(dataset=other))
    shipped = source_weights("source")[0]
    refuse_known_patients("source", shipped, clips.assign(dataset="simulated sprsound"))
    with pytest.raises(LaennecError, match="has learnt from sprsound"):
        refuse_known_patients("source", shipped, clips.assign(dataset="sprsound"))


def test_a_recipe_that_fine_tunes_is_not_trained_from_nothing(cohort: Path, tmp_path: Path) -> None:
    line = ["train", "nguyen2022", "--data", str(cohort), "--out", str(tmp_path / "out")]
    with pytest.raises(LaennecError, match="laennec transfer --recipe nguyen2022"):
        run(line)


def test_some_of_an_array_are_all_of_its_sensors(cohort: Path) -> None:
    from laennec.datasets import multichannel

    clips = multichannel.load(cohort)
    few = nguyen2022.subsample(clips, 4, 0)
    assert len(few) == -(-len(clips) // 4)
    assert few["channel"].nunique() > 12
    pd.testing.assert_frame_equal(few, nguyen2022.subsample(clips, 4, 0))
    assert nguyen2022.subsample(clips, 1, 0) is clips


def test_a_small_cohort_is_drawn_by_seed() -> None:
    subjects = [f"p{k:02d}" for k in range(30) for _ in range(2)]
    clips = pd.DataFrame(
        {"subject": subjects, "recording": subjects, "label": ["normal", "crackle", "normal", "normal"] * 15}
    )
    drawn = nguyen2022.draw_patients(clips, 5, 4, 1)
    assert drawn["subject"].nunique() == 9
    assert drawn[drawn["label"] == "crackle"]["subject"].nunique() == 4
    pd.testing.assert_frame_equal(drawn, nguyen2022.draw_patients(clips, 5, 4, 1))
    assert set(drawn["subject"]) != set(nguyen2022.draw_patients(clips, 5, 4, 2)["subject"])
    with pytest.raises(LaennecError, match="16 patients are wanted and 15 are there"):
        nguyen2022.draw_patients(clips, 5, 16, 0)


def test_intervals_are_over_patients_and_differences_paired(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    subjects = [f"p{k}" for k in range(20) for _ in range(10)]
    labels = ["crackle" if rng.random() < 0.4 else "normal" for _ in subjects]

    def said(skill: float) -> Predictions:
        score = np.array([rng.random() + skill * (label == "crackle") for label in labels]) / (1 + skill)
        return Predictions(
            tuple(f"c{k}" for k in range(200)),
            tuple(subjects),
            tuple(labels),
            ("normal", "crackle"),
            np.stack([1 - score, score], 1),
        )

    patients = sorted(set(subjects))
    good, same = [said(2.0), said(2.0)], [said(0.0)]
    drawn = patient_draws(len(patients), 400, 0)
    one = row_scores(resampled_counts(drawn, by_patient(good, patients)))[2]
    two = row_scores(resampled_counts(drawn, by_patient(same, patients)))[2]
    low, high = percentile_interval(one - two)  # type: ignore[misc]
    assert 0.1 < low < high
    k = 7  # a draw by hand
    chosen = np.repeat(np.arange(20), drawn[k].astype(int))
    rows = np.concatenate([np.arange(10) + 10 * patient for patient in chosen])
    by_hand = []
    for run_ in good:
        predicted = run_.probabilities[rows].argmax(1)
        truth = np.array(labels)[rows] == "crackle"
        hits = (truth & (predicted == 1)).sum()
        by_hand.append((hits / truth.sum(), hits / (predicted == 1).sum()))
    se, precision = np.mean(by_hand, axis=0)
    assert one[k] == pytest.approx(2 * se * precision / (se + precision))


# The official split -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["official", "official-disjoint"])
def test_nothing_is_chosen_on_the_official_test_set(
    split: str, small_source: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    icbhi, out = tmp_path / "icbhi", tmp_path / "out"
    simulate_dataset(icbhi, subjects=7, layout="icbhi", recordings_per_subject=2)
    listed = icbhi / "ICBHI_challenge_train_test.txt"
    lines = listed.read_text().splitlines()
    lines[0] = lines[0].replace("train", "test")  # one patient in both halves, as 156 and 218 are
    listed.write_text("\n".join(lines) + "\n")
    line = ["train", str(small_source[0]), "--data", str(icbhi), "--out", str(out)]
    assert run([*line, "--epochs", "2", "--split", split, "--threads", "1"]) == 0
    told = json.loads((out / "run.json").read_text())
    assert told["best_epoch"] is None
    assert told["last_epoch"]["epoch"] == 1
    assert told["temperature"] == 1.0
    assert told["shared_subjects"] == (1 if split == "official" else 0)
    found = read_predictions(out / "predictions.csv")
    first = lines[0].split("_")[0]
    assert (first in found.subjects) == (split == "official")
    assert (
        run(["evaluate", str(out), "--data", str(icbhi), "--split", split, "--out", str(tmp_path / "e")]) == 0
    )
    again = read_predictions(tmp_path / "e" / "predictions.csv")
    assert set(again.clip_ids) == set(found.clip_ids)
    by_clip = dict(zip(again.clip_ids, again.probabilities, strict=True))
    for clip, row in zip(found.clip_ids, found.probabilities, strict=True):
        np.testing.assert_allclose(by_clip[clip], row, atol=2e-3)
    assert "official" in json.loads((tmp_path / "e" / "metrics.json").read_text())["provenance"]["split"]


def test_airflow_is_used_where_it_is_asked_for_and_the_ratio_otherwise() -> None:
    samples = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    front_end = build_parts(
        nguyen2022_rows.row_recipe(parse_row("Scratch_Ins_Exp_Ratio_12_SamplePad"), 16_000, 1)
    )[0]
    assert isinstance(front_end, CycleLogMel)
    known, unknown = Cycle(samples, 5000), Cycle(samples)
    by_ratio = front_end.fitted(known, "sample", False)
    torch.testing.assert_close(by_ratio, front_end.fitted(unknown, "sample", True))
    assert not torch.allclose(by_ratio, front_end.fitted(known, "sample", True))
    assert nguyen2022_rows.row_recipe(
        parse_row("Scratch_Cyc_Ins_Ratio_12_SamplePad+Airflow"), 16_000, 1
    ).known_phases


def test_a_fold_that_would_train_on_one_class_is_refused(tmp_path: Path) -> None:
    from laennec.train.cohort import check_cohort

    rows = [(f"s{k}", "crackle") for k in range(3)] + [(f"h{k}", "normal") for k in range(2)]
    clips = pd.DataFrame(rows, columns=["subject", "label"]).assign(start_s=0.0, end_s=1.0)
    clips["recording"] = clips["clip_id"] = clips["subject"]
    with pytest.raises(LaennecError, match="would train without any normal"):
        check_cohort(clips, ("normal", "crackle"))
    with pytest.raises(LaennecError, match="give 3 or more"):
        check_cohort(clips, ("normal", "crackle"), folds=2)
