import json
import math
import time
from pathlib import Path

import numpy as np
import pytest

from laennec.labels import SPRSOUND_EVENTS
from laennec.score.bootstrap import Patients, Score, over_patients, patient_draws
from laennec.score.calibration import (
    brier_score,
    certainty_scores,
    expected_calibration_error,
    reliability,
    risk_at,
    risk_coverage,
)
from laennec.score.confusion import (
    average_score,
    binary_precision_recall_f1,
    challenge_score,
    confusion_by_group,
    confusion_matrix,
    confusion_scores,
    harmonic_score,
    macro_scores,
    precision_recall_f1,
    predicted_classes,
    sensitivity,
    specificity,
    total_score,
)
from laennec.score.predictions import Predictions
from laennec.score.ranking import average_precision, roc_auc
from laennec.score.summary import bootstrap_difference, evaluate

GOLDEN = json.loads(Path(__file__).with_name("golden").joinpath("metrics.json").read_text(encoding="utf-8"))
RECORDS = ("Normal", "CAS", "DAS", "Poor Quality")

# Chen & Zhang, Tables 2 and 3: Se, Sp, AS, HS, TS, and the equation that gives the printed TS. The full
# model's TS in Table 2 follows from the printed Se and Sp by no equation.
PUBLISHED = [
    (0.3623, 0.7719, 0.5671, 0.4926, 0.5298, "challenge"),
    (0.4262, 0.6794, 0.5528, 0.5238, 0.5383, "challenge"),
    (0.6408, 0.6533, 0.6471, 0.6467, 0.6469, "challenge"),
    (0.4482, 0.7604, 0.6043, 0.5640, 0.5842, "challenge"),
    (0.5631, 0.6291, 0.5961, 0.5943, 0.5952, "challenge"),
    (0.5149, 0.7049, 0.6099, 0.5951, 0.6025, "challenge"),
    (0.5773, 0.7584, 0.6679, 0.6556, 0.6638, ""),
    (0.5716, 0.7882, 0.6799, 0.6626, 0.6756, "total"),
]
# Two rows of Table 2, CNN and ConvLSTM, whose HS is not that of their Se and Sp (docs/metrics.md): printed,
# and by equation 1.
OTHER_HS = {0.4926: 0.4931, 0.6467: 0.6470}


def made_up(n=400, patients=30, classes=SPRSOUND_EVENTS, seed=0, sharp=2.0):
    rng = np.random.default_rng(seed)
    index = rng.choice(
        len(classes), n, p=np.linspace(2, 1, len(classes)) / np.linspace(2, 1, len(classes)).sum()
    )
    logits = rng.normal(size=(n, len(classes))) + sharp * np.eye(len(classes))[index]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return [classes[k] for k in index], probabilities, [f"p{k}" for k in rng.integers(patients, size=n)]


def close(found, expected):
    return found is None if expected is None else found == pytest.approx(expected, rel=0, abs=1e-12)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name):
    case = GOLDEN[name]
    rows = np.array(case["sixty_fourths"]) / 64
    subjects = [f"p{k % 7}" for k in range(len(rows))]
    found = evaluate(
        case["labels"], rows, subjects, case["classes"], case["normal"], case["ignored"], draws=10
    )
    expected = case["expected"]
    assert found["scores"].keys() == expected["scores"].keys()
    assert [key for key, value in expected["scores"].items() if not close(found["scores"][key], value)] == []
    for label in case["classes"]:
        for key, value in expected["classes"][label].items():
            assert close(found["classes"][label][key], value), (label, key)
    assert found["confusion"]["counts"] == expected["confusion"]
    json.dumps(found, allow_nan=False)


def test_goldens_hold_what_is_hard():
    """Ties, absent classes, ignored classes and undefined scores are in the golden sets."""
    undefined = {
        key for case in GOLDEN.values() for key, v in case["expected"]["scores"].items() if v is None
    }
    assert {"sensitivity", "specificity", "harmonic_score", "binary_precision", "binary_roc_auc"} <= undefined
    ties = [max(row) for case in GOLDEN.values() for row in case["sixty_fourths"] if row.count(max(row)) > 1]
    assert ties
    assert any(case["ignored"] for case in GOLDEN.values())


@pytest.mark.parametrize(("se", "sp", "average", "harmonic", "total", "equation"), PUBLISHED)
def test_published_tables(se, sp, average, harmonic, total, equation):
    """The printed TS of most rows is (AS+HS)/2, that of the full model on the test set eq. 1."""
    assert average_score(se, sp) == pytest.approx(average, abs=6e-5)
    assert harmonic_score(se, sp) == pytest.approx(OTHER_HS.get(harmonic, harmonic), abs=6e-5)
    # The printed TS is made of the printed HS.
    by_equation = {"challenge": (average + harmonic) / 2, "total": (3 * average + harmonic) / 4}
    if harmonic not in OTHER_HS:
        own = {"challenge": challenge_score(se, sp), "total": total_score(se, sp)}
        assert own == pytest.approx(by_equation, abs=1e-4)
    near = [name for name, ts in by_equation.items() if ts == pytest.approx(total, abs=1e-4)]
    if abs(average - harmonic) > 1e-3:  # where Se is near Sp, the equations agree to the printed digits
        assert near == [equation] * bool(equation)


def test_sensitivity_wants_the_exact_class_and_binary_any():
    confusion = confusion_matrix(
        ["CAS", "CAS", "DAS", "Normal", "Poor Quality", "DAS"],
        ["CAS", "DAS", "Poor Quality", "Normal", "CAS", "Normal"],
        RECORDS,
    )
    ignored = ["Poor Quality"]
    assert sensitivity(confusion, RECORDS, ignored=ignored) == 1 / 4
    assert binary_precision_recall_f1(confusion, RECORDS, ignored=ignored)[1] == 2 / 4
    assert specificity(confusion, RECORDS, ignored=ignored) == 1
    # The Poor Quality clip called CAS is no false alarm; unignored, it is an adventitious clip got wrong.
    assert binary_precision_recall_f1(confusion, RECORDS, ignored=ignored)[0] == 1
    assert sensitivity(confusion, RECORDS) == 1 / 5


def test_harmonic_score_of_two_zeros_is_zero_and_of_unknown_unknown():
    assert harmonic_score(0, 0) == 0
    assert harmonic_score(1, 0) == 0
    assert math.isnan(harmonic_score(np.nan, 0.5))
    assert math.isnan(total_score(0.5, np.nan))


def test_macro_counts_a_class_never_predicted_as_zero_and_leaves_out_one_without_clips():
    confusion = np.array([[4, 0, 1], [2, 0, 0], [0, 0, 0]])
    assert macro_scores(confusion)[0] == pytest.approx((4 / 6 + 0) / 2)
    assert macro_scores(confusion)[1] == pytest.approx((4 / 5 + 0) / 2)
    assert macro_scores(confusion)[2] == pytest.approx((8 / 11 + 0) / 2)
    precision, recall, f1 = precision_recall_f1(confusion)
    np.testing.assert_array_equal(np.isnan(precision), [False, True, False])
    np.testing.assert_array_equal(np.isnan(recall), [False, False, True])
    assert f1[2] == 0  # called once, never right


def test_ranking_counts_ties_half():
    assert roc_auc([True, False], [0.5, 0.5]) == 0.5
    assert roc_auc([True, True, False, False], [0.9, 0.5, 0.5, 0.1]) == 3.5 / 4
    assert average_precision([True, True, False, False], [0.9, 0.5, 0.5, 0.1]) == pytest.approx(
        0.5 * 1 + 0.5 * 2 / 3
    )
    assert math.isnan(roc_auc([True, True], [0.1, 0.2]))
    assert math.isnan(average_precision([False], [0.1]))
    assert math.isnan(roc_auc([], []))


def test_calibration_bins_are_closed_above():
    rows = [[0.6, 0.4], [0.8, 0.2], [1.0, 0.0], [0.5, 0.5]]
    labels = ["Normal", "Adventitious", "Normal", "Adventitious"]
    classes = ["Normal", "Adventitious"]
    # bins of width .2: {.6, .5}, {.8}, {1}
    expected = (abs(1 - 1.1) + abs(0 - 0.8) + 0) / 4
    found = expected_calibration_error(labels, rows, classes, bins=5)
    assert found == pytest.approx(expected, abs=1e-12)
    assert brier_score(["Normal"], [[0.0, 1.0]], classes) == 2
    assert brier_score(["Normal"], [[1.0, 0.0]], classes) == 0


def test_intervals_are_those_of_resampled_clips():
    """The matrix products of the bootstrap give what repeating each patient's clips gives."""
    labels, rows, subjects = made_up(150, patients=8)
    found = evaluate(labels, rows, subjects, SPRSOUND_EVENTS, draws=20, seed=5)
    patients = np.unique(subjects)
    overall = {key: [] for key in found["intervals"] if key != "expected_calibration_error"}
    wheeze = {key: [] for key in found["classes"]["Wheeze"]["intervals"]}
    for counts in patient_draws(len(patients), draws=20, seed=5):
        assert counts.sum() == len(patients)
        times = dict(zip(patients, counts.astype(int), strict=True))
        clips = [k for k, subject in enumerate(subjects) for _ in range(times[subject])]
        resampled = [subjects[k] for k in clips]
        one = evaluate([labels[k] for k in clips], rows[clips], resampled, SPRSOUND_EVENTS, draws=1)
        for key, values in overall.items():
            values.append(one["scores"][key])
        for key, values in wheeze.items():
            values.append(one["classes"]["Wheeze"][key])
    for key, values in overall.items():
        np.testing.assert_allclose(found["intervals"][key], np.percentile(values, [2.5, 97.5]), atol=1e-12)
    for key, values in wheeze.items():
        interval = found["classes"]["Wheeze"]["intervals"][key]
        np.testing.assert_allclose(interval, np.percentile(values, [2.5, 97.5]), atol=1e-12)


def test_more_clips_of_the_same_patients_do_not_narrow_the_interval():
    labels, rows, subjects = made_up(120, patients=10)
    once = evaluate(labels, rows, subjects, SPRSOUND_EVENTS)
    nine = evaluate(labels * 9, np.tile(rows, (9, 1)), subjects * 9, SPRSOUND_EVENTS)
    for key in ("sensitivity", "specificity", "macro_f1", "binary_roc_auc", "brier_score"):
        np.testing.assert_allclose(nine["intervals"][key], once["intervals"][key], atol=1e-12)


def test_the_order_of_clips_does_not_matter():
    labels, rows, subjects = made_up(200)
    order = np.random.default_rng(1).permutation(200)
    shuffled = ([labels[k] for k in order], rows[order], [subjects[k] for k in order])
    first = evaluate(labels, rows, subjects, SPRSOUND_EVENTS, draws=100)
    second = evaluate(*shuffled, SPRSOUND_EVENTS, draws=100)
    assert first["intervals"]["challenge_score"] == second["intervals"]["challenge_score"]
    assert first["confusion"] == second["confusion"]


def test_seed_is_the_only_chance():
    labels, rows, subjects = made_up(200)
    a, b, c = (evaluate(labels, rows, subjects, SPRSOUND_EVENTS, seed=seed) for seed in (1, 1, 2))
    assert a == b
    assert a["intervals"]["sensitivity"] != c["intervals"]["sensitivity"]
    assert a["scores"] == c["scores"]


def test_a_class_of_one_patient_gets_no_interval():
    labels, rows, subjects = made_up(200, classes=("Normal", "Adventitious"))
    rows = np.column_stack([rows, np.zeros(len(rows))])
    labels[0], rows[0] = "Stridor", [0.0, 0.0, 1.0]
    found = evaluate(labels, rows, subjects, ("Normal", "Adventitious", "Stridor"))
    stridor = found["classes"]["Stridor"]
    assert (stridor["clips"], stridor["subjects"], stridor["recall"]) == (1, 1, 1.0)
    assert stridor["intervals"]["recall"] is None
    assert found["intervals"]["sensitivity"] is not None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: [""] * 50, "the patient of 50 of 50 clips is unknown"),
        (lambda s: ["a"] * 50, "only one patient"),
    ],
)
def test_without_patients_there_are_scores_but_no_intervals(change, reason):
    labels, rows, subjects = made_up(50)
    found = evaluate(labels, rows, change(subjects), SPRSOUND_EVENTS)
    assert found["scores"]["sensitivity"] is not None
    assert set(found["intervals"].values()) == {None}
    assert reason in found["bootstrap"]["no_interval"]
    with pytest.raises(ValueError, match=reason):
        bootstrap_difference(labels, rows, rows, change(subjects), SPRSOUND_EVENTS)


def test_unknown_patients_count_as_one_and_are_noted():
    labels, rows, subjects = made_up(200)
    unknown = ["" if subject in ("p3", "p7") else subject for subject in subjects]
    found = evaluate(labels, rows, unknown, SPRSOUND_EVENTS, draws=300)
    assert found["subjects"] == 28
    assert found["bootstrap"]["no_interval"] is None
    count = unknown.count("")
    assert found["bootstrap"]["note"] == (
        f"the patient of {count} of 200 clips is unknown; they count as one patient's"
    )
    together = ["p3" if subject == "" else subject for subject in unknown]
    named = evaluate(labels, rows, sorted_as(together, "p3", " "), SPRSOUND_EVENTS, draws=300)
    assert found["intervals"] == named["intervals"]  # the draws are those of any other patient
    assert "note" not in named["bootstrap"]
    changes = bootstrap_difference(labels, rows, rows[::-1], unknown, SPRSOUND_EVENTS, draws=50)
    assert changes["challenge_score"]["interval"] is not None


def sorted_as(subjects, name, other):
    """The same patients, one of them under a name that sorts elsewhere."""
    return [other if subject == name else subject for subject in subjects]


def test_one_unknown_patient_leaves_the_other_intervals_nearly_as_they_are():
    labels, rows, subjects = made_up(2000, patients=100)
    whole = evaluate(labels, rows, subjects, SPRSOUND_EVENTS)["intervals"]["challenge_score"]
    unknown = ["" if subject == "p5" else subject for subject in subjects]
    one = evaluate(labels, rows, unknown, SPRSOUND_EVENTS)["intervals"]["challenge_score"]
    assert one == pytest.approx(whole, abs=0.01)


def confusions_of(n=300, patients=30):
    labels, rows, subjects = made_up(n, patients)
    group = Patients.of(subjects)
    predicted = predicted_classes(rows, SPRSOUND_EVENTS)
    confusions = confusion_by_group(labels, predicted, group.of_item, len(group), SPRSOUND_EVENTS)
    return confusions, evaluate(labels, rows, subjects, SPRSOUND_EVENTS)


def test_any_score_over_patients():
    confusions, found = confusions_of()
    score = over_patients(confusions, lambda drawn: {"f": macro_scores(drawn)[2]})["f"]
    assert score.interval == found["intervals"]["macro_f1"]
    assert score.value == found["scores"]["macro_f1"]
    assert score.n == 30
    alone = over_patients(confusions[:1], lambda drawn: {"f": macro_scores(drawn)[2]})["f"]
    assert (alone.value is None, alone.interval) == (False, None)
    without = over_patients(confusions, lambda drawn: {"f": macro_scores(drawn)[2]}, draws=0)["f"]
    assert without == Score(score.value, None, None, 30)


def test_over_patients_by_multiplicity_is_the_same():
    """A statistic of how often patients are drawn, and one of sums over them, see the same resamples."""
    confusions, _ = confusions_of()
    sums = over_patients(confusions, lambda drawn: {"f": macro_scores(drawn)[2]}, seed=3)
    times = over_patients(
        len(confusions), lambda t: {"f": macro_scores(np.tensordot(t, confusions, axes=1))[2]}, seed=3
    )
    assert sums == times


def test_patients_are_summed():
    patients = Patients.of(["b", "", "a", "b"])
    assert patients.names.tolist() == ["", "a", "b"]
    assert (len(patients), patients.known) == (3, 2)
    assert patients.sums([[1, 2], [3, 4], [5, 6], [7, 8]]).tolist() == [[3, 4], [5, 6], [8, 10]]


def test_paired_difference():
    labels, weak, subjects = made_up(400, sharp=1.0)
    # A model that repairs a few of the weak one's clips: a small gain, certain because it is paired.
    strong = weak.copy()
    repaired = np.arange(0, 400, 13)
    strong[repaired] = np.eye(7)[[SPRSOUND_EVENTS.index(labels[k]) for k in repaired]]
    found = bootstrap_difference(labels, weak, strong, subjects, SPRSOUND_EVENTS)["challenge_score"]
    scores = [
        evaluate(labels, rows, subjects, SPRSOUND_EVENTS)["scores"]["challenge_score"]
        for rows in (weak, strong)
    ]
    intervals = [
        evaluate(labels, rows, subjects, SPRSOUND_EVENTS)["intervals"]["challenge_score"]
        for rows in (weak, strong)
    ]
    assert found["difference"] == pytest.approx(scores[1] - scores[0], abs=1e-12)
    assert 0 < found["interval"][0] < found["difference"] < found["interval"][1]
    assert intervals[0][1] > intervals[1][0]  # unpaired, the two intervals overlap
    same = bootstrap_difference(labels, weak, weak, subjects, SPRSOUND_EVENTS)["challenge_score"]
    assert same == {"difference": 0.0, "interval": [0.0, 0.0]}


def test_bootstrap_is_fast():
    labels, rows, subjects = made_up(3000, patients=250)
    predicted = predicted_classes(rows, SPRSOUND_EVENTS)
    patients = Patients.of(subjects)
    start = time.process_time()
    confusions = confusion_by_group(labels, predicted, patients.of_item, len(patients), SPRSOUND_EVENTS)
    over_patients(confusions, lambda drawn: confusion_scores(drawn, SPRSOUND_EVENTS), draws=2000)
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": []}, "there is no clip to score"),
        ({"labels": ["Normal", "Crackle"]}, "label 'Crackle' is not one of the classes Normal, Adventitious"),
        ({"probabilities": [[1.0, 0.0]]}, r"shape \(1, 2\); expected \(2, 2\)"),
        ({"probabilities": [[1.0, 0.0], [np.nan, 1.0]]}, "clip 2 has a probability that is no number"),
        ({"probabilities": [[1.5, -0.5], [0.5, 0.5]]}, r"clip 1 has a probability outside \[0, 1\]"),
        ({"probabilities": [[0.9, 0.1], [0.9, 0.9]]}, "the probabilities of clip 2 do not sum to 1"),
        ({"subjects": ["p1"]}, "1 subjects for 2 clips"),
        ({"normal": "normal"}, "class 'normal' is not one of Normal, Adventitious"),
        ({"ignored": ["Poor Quality"]}, "class 'Poor Quality' is not one of"),
        ({"ignored": ["Adventitious"]}, "no adventitious class is left"),
        ({"ignored": ["Normal"]}, "the normal class 'Normal' cannot be ignored"),
        ({"classes": ["Normal", "Normal"], "labels": ["Normal", "Normal"]}, "a class is named twice"),
    ],
)
def test_what_cannot_be_scored_is_refused(change, message):
    arguments = {
        "labels": ["Normal", "Adventitious"],
        "probabilities": [[0.9, 0.1], [0.2, 0.8]],
        "subjects": ["p1", "p2"],
        "classes": ["Normal", "Adventitious"],
    }
    with pytest.raises(ValueError, match=message):
        evaluate(**(arguments | change))


def test_confusion_matrix_refuses_strangers_and_unequal_lengths():
    with pytest.raises(ValueError, match="1 predictions for 2 labels"):
        confusion_matrix(["Normal", "Normal"], ["Normal"], ["Normal", "Adventitious"])
    with pytest.raises(ValueError, match="'Wheeze' is not one of the classes"):
        confusion_matrix(["Normal"], ["Wheeze"], ["Normal", "Adventitious"])
    with pytest.raises(ValueError, match="one of each per clip"):
        roc_auc([True, False], [0.1])


def test_reliability_of_a_small_set():
    classes = ["Normal", "Adventitious"]
    rows = [[0.6, 0.4], [0.8, 0.2], [1.0, 0.0], [0.5, 0.5]]
    found = reliability(["Normal", "Adventitious", "Normal", "Adventitious"], rows, classes, bins=5)
    assert found.count.tolist() == [0, 0, 2, 1, 1]  # .6 and .8 belong to the bins that they close
    np.testing.assert_allclose(found.confidence, [np.nan, np.nan, 0.55, 0.8, 1.0])
    np.testing.assert_allclose(found.accuracy, [np.nan, np.nan, 0.5, 0, 1])


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_reliability_sums_to_the_calibration_error(bins):
    labels, rows, _ = made_up(300)
    found = reliability(labels, rows, SPRSOUND_EVENTS, bins)
    gaps = np.nan_to_num(np.abs(found.accuracy - found.confidence)) * found.count
    error = expected_calibration_error(labels, rows, SPRSOUND_EVENTS, bins)
    assert gaps.sum() / 300 == pytest.approx(error, abs=1e-12)


def test_reliability_of_equal_mass():
    labels, rows, _ = made_up(300)
    found = reliability(labels, rows, SPRSOUND_EVENTS, 10, equal_mass=True)
    assert found.count.tolist() == [30] * 10
    assert found.edges[[0, -1]].tolist() == [rows.max(axis=1).min(), rows.max(axis=1).max()]
    assert ((found.edges[:-1] <= found.confidence) & (found.confidence <= found.edges[1:])).all()
    same = reliability(["Normal"] * 4, [[0.75, 0.25]] * 4, ["Normal", "Wheeze"], equal_mass=True)
    assert (same.count.tolist(), same.accuracy.tolist()) == ([4], [1.0])


def test_risk_and_coverage_of_a_small_set():
    confidence, correct = [0.9, 0.5, 0.7, 0.7], [True, False, False, True]
    curve = risk_coverage(confidence, correct)
    np.testing.assert_allclose(curve.threshold, [0.9, 0.7, 0.5])
    np.testing.assert_allclose(curve.coverage, [0.25, 0.75, 1])
    np.testing.assert_allclose(curve.risk, [0, 1 / 3, 1 / 2])
    assert curve.area == pytest.approx(0.5 * 1 / 3 + 0.25 / 2)
    assert risk_at(confidence, correct, 0.25) == 0
    assert risk_at(confidence, correct, 0.3) == pytest.approx(1 / 3)
    assert risk_at(confidence, correct, 1) == 0.5


def test_risk_falls_with_coverage_where_confidence_means_something():
    labels, rows, _ = made_up(2000)
    correct = [a == b for a, b in zip(labels, predicted_classes(rows, SPRSOUND_EVENTS), strict=True)]
    curve = risk_coverage(rows.max(axis=1), correct)
    assert curve.risk[-1] == pytest.approx(1 - np.mean(correct))
    shuffled = risk_coverage(np.random.default_rng(0).permutation(rows.max(axis=1)), correct)
    assert curve.area < 0.8 * shuffled.area
    order = np.random.default_rng(1).permutation(2000)
    assert risk_coverage(rows.max(axis=1)[order], np.array(correct)[order]).area == curve.area


def test_certainty_of_predictions():
    labels, rows, subjects = made_up(400)
    names = tuple(f"clip {k}" for k in range(400))
    predictions = Predictions(names, tuple(subjects), tuple(labels), SPRSOUND_EVENTS, rows)
    found = certainty_scores(predictions, draws=300)
    assert found["ece"] == pytest.approx(expected_calibration_error(labels, rows, SPRSOUND_EVENTS), abs=1e-12)
    assert found["brier"] == brier_score(labels, rows, SPRSOUND_EVENTS)
    correct = [a == b for a, b in zip(labels, predicted_classes(rows, SPRSOUND_EVENTS), strict=True)]
    assert found["risk"] == pytest.approx(1 - np.mean(correct))
    assert found["risk_at_80"] == risk_at(rows.max(axis=1), correct, 0.8)
    assert found["risk_curve"][-1] == [1.0, pytest.approx(found["risk"])]
    assert sum(count for *_, count in found["reliability"]) == 400
    json.dumps(found, allow_nan=False)
    # The interval is that of resampled clips.
    patients = np.unique(subjects)
    values = []
    for times in patient_draws(len(patients), 300).astype(int):
        drawn = dict(zip(patients, times, strict=True))
        clips = [k for k, subject in enumerate(subjects) for _ in range(drawn[subject])]
        values.append(expected_calibration_error([labels[k] for k in clips], rows[clips], SPRSOUND_EVENTS))
    np.testing.assert_allclose(found["ece_interval"], np.percentile(values, [2.5, 97.5]), atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: risk_coverage([0.5], [True, False]), "expected one per clip"),
        (lambda: risk_coverage([], []), "expected one per clip"),
        (lambda: risk_coverage([0.5, np.nan], [True, True]), "confidence of clip 2 is no number"),
        (lambda: risk_at([0.5], [True], 0), r"outside \(0, 1\]"),
        (lambda: reliability([], np.empty((0, 2)), ["Normal", "CAS"]), "at least one of each"),
    ],
)
def test_curves_of_nothing_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
