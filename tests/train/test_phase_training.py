"""Models for breath phases: what teaches them, how they are measured, the way from recordings to a file."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from laennec.analyze.analysis import BreathPhase
from laennec.cli import run
from laennec.datasets import dataset
from laennec.errors import LaennecError
from laennec.model.phases import PhaseRule, load_phase_model
from laennec.models.phase_task import BREATH, CYCLE, INSPIRATION, REST, PhaseTask
from laennec.models.phases import EXPIRATION_ENDS, INSPIRATION_ENDS, PhaseNet, cycle_log_likelihood
from laennec.score.phases import OnsetCounts, matched_onsets, onset_scores, right_phases
from laennec.train.build import build_parts
from laennec.train.export import DeployedPhaseModel
from laennec.train.phase_outputs import PhaseOutput, load_phase_outputs, save_phase_outputs
from laennec.train.phase_report import fit_certainty, measured
from laennec.train.phases import BREATHS, CLIP, CYCLES, PhaseCrops, PhaseExample, PhaseExamples
from laennec.train.recipe import load_recipe, with_settings
from laennec.train.weights import read_run

SMALL = (
    "epochs=1",
    "recording.batches=3",
    "model.channels=[4, 4, 6]",
    "model.width=8",
    "model.dilations=[1, 2]",
)
SMALL_BATCH = ("phases.clips=4", "phases.cycles=2", "phases.breaths=2", "recording.piece_s=6")
NAN = math.nan


def example(kind: str, frames: int, spans=(), middles=(), phase: int = -1, name: str = "a") -> PhaseExample:
    image = torch.randn(1, 32, frames, generator=torch.Generator().manual_seed(frames + 7 * phase)).half()
    own = np.array(spans, float).reshape(-1, 2), np.array(middles or [NAN] * len(spans), float)
    return PhaseExample(name, name, "set", kind, image, phase, *own)


# --- learning -----------------------------------------------------------------------------------------------


def test_the_likelihood_of_a_cycle_is_the_sum_over_where_its_phases_end():
    logs = torch.randn(3, 30, generator=torch.Generator().manual_seed(1)).log_softmax(0)
    first, end = 4, 26
    length = end - first
    total, count = 0.0, 0
    (low, high), (least, most) = INSPIRATION_ENDS, EXPIRATION_ENDS
    for out, over in itertools.product(
        range(round(low * length), round(high * length) + 1),
        range(round(least * length), round(most * length) + 1),
    ):
        count += 1
        if over - out >= 2:
            parts = (
                logs[0, first : first + out],
                logs[1, first + out : first + over],
                logs[2, first + over : end],
            )
            total += math.exp(float(sum(part.sum() for part in parts)))
    wanted = (math.log(total) - math.log(count)) / length
    assert float(cycle_log_likelihood(logs, first, end)) == pytest.approx(wanted, rel=1e-4)


def test_crops_hold_whole_cycles_cut_breaths_and_what_airflow_told():
    cycles = example(CYCLES, 400, [(0.5, 3.0), (3.0, 6.0), (6.0, 9.5)], [NAN, 4.0, NAN], name="cycles")
    breaths = example(BREATHS, 400, [(0.2, 1.0), (2.0, 3.0), (7.0, 8.0)], name="breaths")
    clip = example(CLIP, 41, phase=1, name="clip")
    crops = PhaseCrops([cycles, breaths, clip], 0.025, 6.5)
    batch = crops.__getitems__([(0, 0), (1, 100), (2, 0)])
    assert batch["image"].shape == (2, 1, 32, 260)
    assert batch["clips"].shape == (1, 1, 32, 41)
    assert batch["clip_phase"].tolist() == [1]
    assert batch["placed"].tolist() == [False, True]
    found = list(zip(batch["row"].tolist(), batch["what"].tolist(), batch["spans"].tolist(), strict=True))
    assert found == [
        (0, CYCLE, [0.5, 3.0]),
        (0, INSPIRATION, [3.0, 4.0]),
        (0, REST, [4.0, 6.0]),
        (1, BREATH, [0.0, 0.5]),
        (1, BREATH, [4.5, 5.5]),
    ]


@pytest.mark.parametrize("kind", [CLIP, CYCLES, BREATHS, "airflow"])
def test_each_kind_of_annotation_teaches_what_it_tells(kind):
    """A few steps on one batch make what is annotated likelier."""
    torch.manual_seed(0)
    recipe = with_settings(load_recipe("phases"), (*SMALL, "augmentation.response=0"))
    front_end, network = build_parts(recipe)
    spans = [(0.5, 3.0), (3.0, 6.0), (6.0, 9.0)]
    own = {
        CLIP: [example(CLIP, 41, phase=k % 2, name=str(k)) for k in range(4)],
        CYCLES: [example(CYCLES, 400, spans)],
        BREATHS: [example(BREATHS, 400, [(0.5, 1.5), (3.0, 4.0), (6.0, 7.0)])],
        "airflow": [example(CYCLES, 400, spans, [1.5, 4.0, 7.0])],
    }[kind]
    task = PhaseExamples(own).task(recipe, front_end)
    assert isinstance(task, PhaseTask)
    batch = PhaseCrops(own, front_end.frame_s, 10.0).__getitems__([(row, 0) for row in range(len(own))])
    steps = torch.optim.Adam(network.parameters(), 3e-2)
    losses = []
    for _ in range(25):
        loss = task.loss(network, task.prepared(network, batch))
        steps.zero_grad()
        loss.backward()
        steps.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_without_clips_or_cycles_nothing_can_be_learnt():
    recipe = with_settings(load_recipe("phases"), SMALL)
    front_end, _ = build_parts(recipe)
    with pytest.raises(LaennecError, match="--also hf-lung"):
        PhaseExamples([example(BREATHS, 400, [(0.5, 1.5)])]).training_loader(recipe, front_end)


def test_a_network_reaches_no_further_than_it_says():
    network = PhaseNet().eval()
    image = torch.randn(1, 2, 32, 400)
    other = image.clone()
    other[..., 200:] += 1.0
    with torch.inference_mode():
        differs = (network(image) != network(other)).any(1)[0].nonzero()
    assert int(differs[0]) >= 100 - network.reach_frames
    with pytest.raises(ValueError, match="multiple of 8"):
        PhaseNet(image=(2, 30, 0))


# --- measuring ----------------------------------------------------------------------------------------------


def test_onsets_are_paired_as_often_as_possible():
    assert matched_onsets([1.0, 1.2], [1.25, 1.5], 0.3) == 2
    assert matched_onsets([0.0, 5.0], [0.3, 4.6], 0.3) == 1
    assert matched_onsets([], [1.0]) == 0
    rng = np.random.default_rng(0)
    for _ in range(20):
        found, true = (sorted(rng.uniform(0, 5, 4).tolist()) for _ in range(2))
        most = max(
            sum(abs(a - b) <= 0.3 for a, b in zip(found, order, strict=True))
            for order in itertools.permutations(true)
        )
        assert matched_onsets(found, true, 0.3) == most


def test_scores_of_onsets_and_phases_are_counted_within_the_cycles():
    cycles = np.array([[0.0, 2.0], [2.0, 4.0], [4.0, 6.0]])
    counts = OnsetCounts.of([0.1, 2.1, 3.0, 4.2, 5.9], cycles)
    assert (counts.matched, counts.found, counts.annotated) == (2, 3, 2)
    scores = onset_scores([counts, counts], ["a", "b"])
    assert scores["f"].value == pytest.approx(4 / 5)
    phases = [
        BreathPhase(2.0, 2.8, "inspiration"),  # its middle at 0.2 of a cycle
        BreathPhase(2.8, 3.9, "expiration"),
        BreathPhase(4.0, 4.6, "expiration"),
        BreathPhase(4.6, 5.0, "pause"),
        BreathPhase(6.5, 7.0, "inspiration"),  # in no cycle
    ]
    assert [right for _, right in right_phases(phases, cycles)] == [True, True, False]


def test_certainty_is_the_share_that_was_right():
    rng = np.random.default_rng(0)
    evidence = rng.uniform(-2, 2, (2000, 4))
    right = rng.random(2000) < 1 / (1 + np.exp(-(0.5 + 1.5 * evidence[:, 0])))
    weights = fit_certainty(list(zip(map(tuple, evidence), right.tolist(), strict=True)))
    assert weights[:2] == pytest.approx((0.5, 1.5), abs=0.2)
    assert weights[2:] == pytest.approx((0, 0, 0), abs=0.2)


def read(name: str, fold: str, clear: float, seed: int) -> PhaseOutput:
    """A recording of five cycles of 3 s whose logits tell them, faint ones wrongly."""
    order = [0, 1, 2] if clear > 2 else [1, 0, 2]
    truth = np.tile(np.repeat(order, [20, 25, 15]), 5)
    logits = np.random.default_rng(seed).standard_normal((3, truth.size)) + clear * np.eye(3)[truth].T
    spans = np.array([(3.0 * k, 3.0 * k + 3.0) for k in range(5)])
    return PhaseOutput(name, name, "icbhi", CYCLES, -1, 0.05, logits, spans, np.full(8, NAN), fold)


def test_what_cannot_be_told_is_unknown_to_patients_that_nothing_was_chosen_on(tmp_path: Path):
    outputs = [read(f"p{k}", f"fold{k % 3}", 3.0 if k % 2 else 1.2, k) for k in range(12)]
    figures, choice, held = measured(outputs)
    told = {one.output.name for one, chance, least in held if chance >= least}
    assert {f"p{k}" for k in range(12) if k % 2} <= told
    assert len(told) < 9
    assert figures["cycles"]["told"]["right"]["value"] > 0.8 > figures["cycles"]["phases"]["right"]["value"]
    assert 0 < choice.unknown_below < 1
    # A protocol in which nothing can be told leaves nothing told.
    strangers = [read(f"p{k}", "fold0", 1.2, 100 + k) for k in range(12)]
    assert measured(outputs, [strangers])[1].unknown_below >= choice.unknown_below
    save_phase_outputs(tmp_path / "outputs.npz", outputs)
    again = load_phase_outputs([tmp_path])
    assert [own.name for own in again] == [own.name for own in outputs]
    assert again[3].logits == pytest.approx(outputs[3].logits, abs=1e-5)
    assert again[3].spans.tolist() == outputs[3].spans.tolist()


# --- from recordings to a file ------------------------------------------------------------------------------


def test_a_cross_validation_writes_figures_and_a_model_that_runs(simulated: Path, tmp_path: Path, capsys):
    for name in ("icbhi", "hf-lung"):
        dataset(name).tiny(tmp_path / name)
    out = tmp_path / "run"
    also = [word for name in ("icbhi", "hf-lung") for word in ("--also", f"{name}={tmp_path / name}")]
    command = ["crossvalidate", "phases", "--data", str(simulated), *also, "--out", str(out), "--folds", "2"]
    assert run([*command, "--set", *SMALL, *SMALL_BATCH, "--final"]) == 0
    assert "onsets of inspiration" in capsys.readouterr().out
    figures = json.loads((out / "metrics.json").read_text())
    assert figures["seeds"]["0"]["cycles"]["recordings"] >= 1
    model = load_phase_model(out)
    assert model.card.rule != PhaseRule(temperature=7.0)
    assert "Pauses are not measured" in model.card.limits
    samples = np.random.default_rng(0).standard_normal(4000 * 5).astype(np.float32) * 0.01
    _, front_end, network, _ = read_run(out)
    with torch.inference_mode():
        wanted = DeployedPhaseModel(front_end, network)(torch.from_numpy(samples)[None])[0].numpy()
    assert model.logits(samples) == pytest.approx(wanted, abs=2e-3)
    assert "inspiration" in (out / "model.md").read_text()
