"""Rules that do not listen: what they answer, and that they stand beside a model's scores."""

import numpy as np
import pytest

from laennec.score.baselines import CONSTANT, SCORE, baseline_scores, baselines, difference
from laennec.score.evaluation import score
from laennec.score.predictions import Predictions
from laennec.score.text import render_tables

CLASSES = ("normal", "crackle", "wheeze", "both")


def clips(labels: list[str], patients: int = 20, right: float = 1.0) -> Predictions:
    """Clips of patients in turn, answered rightly with this probability."""
    rng = np.random.default_rng(0)
    index = np.array([CLASSES.index(label) for label in labels])
    answer = np.where(rng.random(len(index)) < right, index, (index + 1) % 4)
    return Predictions(
        tuple(f"clip {k}" for k in range(len(labels))),
        tuple(f"patient {k % patients}" for k in range(len(labels))),
        tuple(labels),
        CLASSES,
        np.eye(4)[answer],
    )


def test_a_rule_answers_what_its_knowledge_says():
    labels = ["normal", "normal", "normal", "crackle", "wheeze"] * 40
    place = ["back" if label == "normal" else "side" for label in labels]
    found = baselines(clips(labels), {"position": place})
    said = {name: [CLASSES[k] for k in each.probabilities.argmax(1)] for name, each in found.items()}
    assert set(said[CONSTANT]) == {"normal"}
    for name in ("position (likeliest class)", "position (best for the Score)"):
        assert {a for a, p in zip(said[name], place, strict=True) if p == "back"} == {"normal"}
        assert "normal" not in {a for a, p in zip(said[name], place, strict=True) if p == "side"}


def test_the_rule_for_the_score_answers_a_rare_class_where_it_is_likelier_than_elsewhere():
    """Of long clips 40 % are crackles: normal is likelier, a crackle is worth more for (Se + Sp)/2."""
    labels = ["normal"] * 300 + ["normal"] * 60 + ["crackle"] * 40
    seconds = np.array([1.0] * 300 + [3.0] * 100)
    found = baselines(clips(labels), {"duration": seconds})
    likeliest = found["duration (likeliest class)"].probabilities.argmax(1)
    for_score = found["duration (best for the Score)"].probabilities.argmax(1)
    assert set(likeliest) == {0}
    assert set(for_score[:300]) == {0}
    assert set(for_score[300:]) == {1}


def test_a_patient_does_not_teach_the_rule_about_himself():
    """Each patient has a position of his own that tells his class: a rule may not use it."""
    labels = [("normal", "crackle")[k % 2] for k in range(40) for _ in range(5)]
    given = clips(labels, patients=1)
    own = Predictions(
        given.clip_ids,
        tuple(f"patient {k}" for k in range(40) for _ in range(5)),
        given.labels,
        CLASSES,
        given.probabilities,
    )
    place = [f"place {k}" for k in range(40) for _ in range(5)]
    rows = {row["name"]: row["scores"][SCORE] for row in baseline_scores(own, {"position": place}, draws=50)}
    # All would be right with their own clips; without them nothing is known of a place.
    assert rows["position (likeliest class)"] <= 0.55


def test_a_difference_is_of_the_same_patients_and_of_the_mean_of_the_runs():
    labels = ["normal", "crackle", "wheeze", "both"] * 50
    first, second = clips(labels, right=0.6), clips(labels)
    runs = Predictions(
        second.clip_ids,
        second.subjects,
        second.labels,
        CLASSES,
        np.stack([second.probabilities, first.probabilities]),
    )
    alone = difference(first, second, draws=200)[SCORE]
    half = difference(first, runs, draws=200)[SCORE]
    assert half.value == pytest.approx(alone.value / 2)
    assert alone.low > 0


def test_rules_stand_beside_the_scores_and_are_printed():
    labels = ["normal", "normal", "crackle", "wheeze"] * 30
    found = score(clips(labels, right=0.9), draws=50, known={"position": ["left", "right"] * 60})
    assert next(row["name"] for row in found["baselines"]) == CONSTANT
    assert "position (best for the Score)" in render_tables(found)
    assert "baselines" not in score(clips(labels), draws=10)


def test_what_is_known_of_clips_without_listening():
    pd = pytest.importorskip("pandas")
    from laennec.train.unheard import unheard

    table = pd.DataFrame(
        {
            "clip_id": ["b", "a", "c"],
            "location": ["left", None, "right"],
            "device": ["one", "one", "one"],
            "start_s": [0.0, 1.0, 0.0],
            "end_s": [2.0, 1.5, None],
        }
    )
    known = unheard(table, ["a", "b", "c"])
    assert sorted(known) == ["duration", "position"]  # the device is one for all
    assert known["position"].tolist() == ["", "left", "right"]
    assert known["duration"][:2].tolist() == [0.5, 2.0]
    assert np.isnan(known["duration"][2])
