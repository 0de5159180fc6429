"""What is told of a model in eight bits beside the one in float32."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from laennec.experiments import graph_tables
from laennec.experiments.int8 import (
    SCHEMES,
    Answer,
    additions,
    convolutions,
    logits_of,
    records_of,
    refusals_of,
)
from laennec.model.detector import Detector
from laennec.models.recording import pool
from laennec.score.predictions import Predictions
from laennec.score.summary import bootstrap_difference, evaluate
from laennec.score.tasks import task_scores
from laennec.train.int8 import inner_convolutions

NAMES = ("presence", "classes", "record", "kind")
RECORDS = ("Normal", "CAS", "DAS", "CAS & DAS", "Poor Quality")


def made_up(count: int, seed: int) -> list[Answer]:
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(len(RECORDS)), count)
    return [Answer(tuple(row.tolist()), bool(k % 7 == 0), bool(k % 3), ()) for k, row in enumerate(shares)]


def rows_of(labels: Sequence[str]) -> pd.DataFrame:
    subjects = [f"p{k % 9}" for k in range(len(labels))]
    return pd.DataFrame({"label": list(labels), "subject": subjects})


def test_scores_of_records_are_those_of_the_one_scoring_path(detector: Detector) -> None:
    unshifted = replace(detector, card=replace(detector.card, normal_shift={}, poor_shift={}))
    rng = np.random.default_rng(0)
    labels = [RECORDS[k] for k in rng.integers(0, 5, 80)]
    rows, first, second = rows_of(labels), made_up(80, 1), made_up(80, 2)
    found = records_of(rows, list(zip(first, second, strict=True)), unshifted)
    assert (found["recordings"], found["patients"]) == (80, 9)
    subjects = tuple(rows["subject"])
    for name, own in (("float", first), ("int8", second)):
        shares = np.array([each.probabilities for each in own])
        told = Predictions(tuple(map(str, range(80))), subjects, tuple(labels), RECORDS, shares)
        plain = evaluate(labels, shares, subjects, RECORDS, ignored=("Poor Quality",), draws=0)["scores"]
        scores = {key: value[name]["value"] for key, value in found["scores"].items()}
        assert scores["accuracy"] == pytest.approx(plain["accuracy"])
        assert scores["Brier score"] == pytest.approx(plain["brier_score"])
        assert scores["ECE"] == pytest.approx(plain["expected_calibration_error"])
        for task in ("21", "22"):
            expected = task_scores(told, draws=0)[f"task_{task}"]["scores"]["challenge_score"]
            assert scores[f"task {task} Score"] == pytest.approx(expected)
        assert scores["certain"] == pytest.approx(np.mean([each.certain for each in own]))
        assert scores["refused"] == pytest.approx(np.mean([each.refused for each in own]))
    apart = bootstrap_difference(
        labels,
        np.array([each.probabilities for each in first]),
        np.array([each.probabilities for each in second]),
        subjects,
        RECORDS,
        ignored=("Poor Quality",),
    )["accuracy"]
    assert found["scores"]["accuracy"]["difference"]["value"] == pytest.approx(apart["difference"])
    assert found["scores"]["accuracy"]["difference"]["interval"] == pytest.approx(apart["interval"])


def test_a_model_differs_from_itself_in_nothing(detector: Detector) -> None:
    own = made_up(30, 3)
    rows = rows_of([RECORDS[k % 5] for k in range(30)])
    found = records_of(rows, list(zip(own, own, strict=True)), detector)
    assert found["same_answer"] == 1
    assert found["largest_difference_of_a_probability"] == 0
    for score in found["scores"].values():
        assert score["difference"] == {"value": 0, "interval": [0, 0]}


def test_refusals_are_counted_by_kind() -> None:
    rows = rows_of(["heart", "speech", "heart", "speech"])
    yes, no = (Answer((1.0,), refused, not refused, ()) for refused in (True, False))
    found = refusals_of(rows, [(yes, yes), (yes, no), (no, yes), (no, no)])
    shares = {
        kind: [own["scores"]["refused"][name]["value"] for name in ("float", "int8", "difference")]
        for kind, own in found.items()
    }
    assert shares == {"heart": [0.5, 1.0, 0.5], "speech": [0.5, 0.0, -0.5]}


def test_schemes_name_nodes_of_the_graph(detector: Detector) -> None:
    import onnx

    graph = onnx.load_from_string(detector.graph.content).graph
    names = [node.name for node in graph.node]
    kept = inner_convolutions(graph)
    everything = convolutions(graph)
    assert everything[2:-3] == kept
    assert set(additions(graph)) <= set(names)
    assert not set(additions(graph)) & {"node_add_22", "node_add_35"}  # of the front end
    chosen = {name: scheme.nodes(graph) for name, scheme in SCHEMES.items()}
    assert [len(nodes) - len(kept) for nodes in chosen.values()][:5] == [0, 0, 0, 1, 4]
    assert [name for name, scheme in SCHEMES.items() if scheme.corrected] == ["biases corrected, which ships"]


def test_pooled_logits_are_those_of_training(detector: Detector) -> None:
    import torch

    samples = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.05
    found = logits_of(detector, samples)
    record = torch.from_numpy(detector.run(samples)["record"])[None]
    np.testing.assert_allclose(found["record"], pool(record)[0].numpy(), rtol=1e-4)


def test_tables_show_what_the_files_hold() -> None:
    score = {
        "float": {"value": 0.5, "interval": [0.4, 0.6]},
        "int8": {"value": 0.49, "interval": None},
        "difference": {"value": -0.01, "interval": [-0.02, 0.005]},
    }
    run = {
        "machine": {"processor": "CPU", "onnxruntime": "1"},
        "date": "2026-01-01",
        "command": "python x",
        "events": {"scores": {"event F": score}},
        "records": {"icbhi": {"scores": {"accuracy": score}}, "none": {}},
        "not_lung": {"heart": {"sounds": 3, "scores": {"refused": score}}},
        "schemes": [
            {"scheme": "all", "bytes": 8e5, "errors": dict.fromkeys(NAMES, 1)}
        ],
    }  # fmt: skip
    text = graph_tables.int8(lambda name: run)
    assert "| event F | 0.500 (0.400 to 0.600) | 0.490 | -0.0100 (-0.0200 to +0.0050) |" in text
    assert "icbhi, accuracy" in text
    assert "heart: refused of 3" in text
    assert "0.80 MB" in graph_tables.schemes(lambda name: run)
