"""Thresholds of certainty and of refusal, chosen by the worst data set; made-up answers, counted by hand."""

import numpy as np
import pytest
import torch

from laennec.model.probability import softmax
from laennec.train.decision import fit_scaling, fit_with_evidence
from laennec.train.recording_certainty import (
    CALLED_NORMAL,
    CALLED_SICK,
    GRID,
    NEITHER,
    Answers,
    certain_scores,
    certain_thresholds,
    limits_of,
    prevalence_weights,
)


def answers(rows: list[tuple[int, bool, int, float]]) -> Answers:
    """From how often: sick, what it is called, how surely."""
    each = [row[1:] for row in rows for _ in range(row[0])]
    sick, called, certainty = (np.array(column) for column in zip(*each, strict=True))
    return Answers(sick, called, certainty.astype(float))


def thresholds(own: Answers, groups: list[str] | None = None, **more: float) -> tuple[float, float]:
    names = np.array(groups or ["kauh"] * len(own.sick))
    return certain_thresholds(own, names, names, **more)


def test_errors_are_judged_at_the_stated_prevalence() -> None:
    """Ten sick: 2 called Normal, 5 sick; forty well: 4 called sick, 30 Normal; the others not certain."""
    own = answers(
        [
            (2, True, CALLED_NORMAL, 0.9),
            (5, True, CALLED_SICK, 0.9),
            (3, True, CALLED_SICK, 0.6),
            (4, False, CALLED_SICK, 0.9),
            (30, False, CALLED_NORMAL, 0.9),
            (5, False, CALLED_NORMAL, -1.0),
            (1, False, NEITHER, 1.0),
        ]
    )
    patients = np.arange(50).astype(str)
    found = certain_scores(own.sick, own.certain(0.8, 0.8), patients, prevalence=0.3, draws=200)
    share = 0.3 * 7 / 10 + 0.7 * 34 / 40
    assert found["certain"].value == pytest.approx(share)
    assert found["wrong"].value == pytest.approx((0.3 * 2 / 10 + 0.7 * 4 / 40) / share)
    assert found["missed"].value == pytest.approx(2 / 10)
    assert found["false_alarms"].value == pytest.approx(4 / 40)
    assert found["missed"].low < 0.2 < found["missed"].high
    assert own.certain(0.0, 0.95).tolist().count(CALLED_SICK) == 0
    assert own.certain(0.0, 0.0).tolist().count(NEITHER) == 6  # against its events, and of poor quality


def test_thresholds_are_the_lowest_that_keep_the_limits() -> None:
    """One in ten at a prevalence of one half; the surest answers are right, those below .7 by half."""
    own = answers(
        [
            (40, False, CALLED_NORMAL, 0.9),
            (10, False, CALLED_NORMAL, 0.6),
            (10, True, CALLED_NORMAL, 0.6),
            (30, True, CALLED_SICK, 0.8),
            (20, True, CALLED_SICK, 0.5),
        ]
    )
    normal_at, sick_at = thresholds(own, prevalence=0.5)
    assert GRID[GRID > 0.6][0] == normal_at
    assert sick_at == 0.0
    # Where more of it may be wrong, all of it is certain: 10 of 60 Normal, 10 of 60 sick.
    names = ["icbhi"] * len(own.sick)
    assert limits_of("icbhi") == (0.25, 0.08)
    loose = certain_thresholds(own, np.array(names), np.array(names), 0.5, limits={"icbhi": (0.25, 0.2)})
    assert loose == (0.0, 0.0)


def test_the_worst_data_set_decides() -> None:
    good = [(40, False, CALLED_NORMAL, 0.7), (40, True, CALLED_SICK, 0.7)]
    bad = [(30, False, CALLED_NORMAL, 0.9), (40, True, CALLED_SICK, 0.9), (10, False, CALLED_SICK, 0.8)]
    both = answers(good + bad)
    alone = thresholds(answers(good))
    assert alone == (0.0, 0.0)
    groups = ["sprsound"] * 80 + ["kauh"] * 80
    assert thresholds(both, groups, floor=0.2) == (0.0, GRID[GRID > 0.8][0])


def test_the_floor_and_the_limits_weigh_alike() -> None:
    """A twentieth of the sick may be certainly called Normal: `missed` are at .6. Above, .325 is certain."""

    def chosen(missed: int, floor: float) -> float:
        own = answers(
            [
                (10, False, CALLED_NORMAL, 0.9),
                (30, False, CALLED_NORMAL, 0.6),
                (missed, True, CALLED_NORMAL, 0.6),
                (20, True, CALLED_SICK, 0.2),
                (20 - missed, True, NEITHER, 1.0),
            ]
        )
        return thresholds(own, floor=floor)[0]

    assert chosen(20, 0.0) > 0.6
    assert chosen(20, 0.7) > 0.6  # ten times too many against .7 / .325
    assert chosen(4, 0.7) <= 0.6  # twice against 2.15 times
    assert chosen(4, 0.6) > 0.6  # twice against 1.85 times


def test_a_group_without_the_sick_or_without_the_well_is_not_judged() -> None:
    own = answers(
        [(40, False, CALLED_SICK, 0.9), (10, False, CALLED_NORMAL, 0.9), (10, True, CALLED_SICK, 0.5)]
    )
    groups = ["well"] * 40 + ["kauh"] * 20
    assert thresholds(own, groups) == (0.0, 0.0)


def test_weights_make_every_group_one_at_the_stated_prevalence() -> None:
    labels = np.array([0, 0, 0, 1, 4, 0, 1, 1, 1, 2])
    groups = np.array(["a"] * 5 + ["b"] * 5)
    sick, well = np.array([False, True, True, True, False]), np.array([True, False, False, False, False])
    weights = prevalence_weights(labels, sick, well, groups)
    for group, poor in (("a", 0.2), ("b", 0.0)):
        own = groups == group
        assert weights[own].sum() == pytest.approx(1)
        assert weights[own & sick[labels]].sum() == pytest.approx(0.3 * (1 - poor))
        assert weights[own & (labels == 4)].sum() == pytest.approx(poor)


def test_weights_and_evidence_are_fitted_with_the_temperature() -> None:
    rng = np.random.default_rng(0)
    logits, evidence = rng.normal(0, 2, (6000, 3)), rng.normal(0, 1, (6000, 2))
    member = np.array([[0.0, 1, 0], [0, 0, 1]])
    chances = softmax(logits + (evidence[:, :, None] * member * [[0.8], [1.5]]).sum(1))
    labels = torch.tensor([rng.choice(3, p=row) for row in chances])
    scaled, design = torch.from_numpy(2 * logits), torch.from_numpy(evidence[:, :, None] * member)
    temperature, _, weights = fit_with_evidence(scaled, labels, evidence=design)
    assert temperature == pytest.approx(2, rel=0.1)
    assert weights == pytest.approx([0.8, 1.5], abs=0.15)
    assert fit_scaling(scaled, labels) == fit_with_evidence(scaled, labels)[:2]
    even = fit_with_evidence(scaled, labels, weight=torch.full((6000,), 3.0, dtype=torch.double))
    assert even[0] == pytest.approx(fit_scaling(scaled, labels)[0], rel=1e-3)
    half = torch.zeros(6000, dtype=torch.double)
    half[:3000] = 1
    assert fit_with_evidence(scaled, labels, weight=half)[0] == pytest.approx(
        fit_scaling(scaled[:3000], labels[:3000])[0], rel=1e-3
    )
