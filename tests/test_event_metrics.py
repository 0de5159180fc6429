"""Scores of detected events: what matches what, how it is counted, and the files."""

import itertools
import json
import re
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("mir_eval")

from laennec.errors import LaennecError
from laennec.labels import SPRSOUND_EVENTS
from laennec.score.bootstrap import patient_draws
from laennec.score.evaluation import score_events
from laennec.score.events import (
    SCORE_NAMES,
    event_differences,
    event_scores,
    ezhounet_counts,
    match_events,
    validate,
)
from laennec.score.events_table import COLUMNS, Detection, read_events_table, write_events
from laennec.score.ranking import average_precision, frame_average_precision

N, W, C = "Normal", "Wheeze", "Fine Crackle"
CLASSES = (N, W, C)

# Two recordings by hand. In the first: Normal found 50 ms late (correct), Wheeze called Fine Crackle
# (substituted), Fine Crackle not found (missed), a Wheeze where there is nothing (inserted). In the second:
# both correct, the second ending .4 s early, which half of its length of 1 s allows.
REFERENCE = [
    [(0.0, 1.0, N), (2.0, 3.0, W), (4.0, 5.0, C)],
    [(0.0, 1.0, N), (2.0, 3.0, W)],
]
ESTIMATED = [
    [(0.05, 1.0, N), (2.1, 2.9, C), (6.0, 7.0, W)],
    [(0.0, 1.0, N), (2.0, 2.6, W)],
]


def made_up(recordings=60, patients=12, seed=0):
    """Events of 1 s every 2 s; the found ones are shifted, relabelled, dropped and invented at random."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(recordings):
        reference = tuple((2.0 * n, 2.0 * n + 1, CLASSES[rng.integers(3)]) for n in range(5))
        estimated = tuple(
            (max(0.0, start + rng.normal(0, 0.1)), end + rng.normal(0, 0.1), CLASSES[rng.integers(3)])
            if rng.random() < 0.3
            else (start, end, label)
            for start, end, label in reference
            if rng.random() < 0.8
        )
        estimated += ((11.0, 12.0, W),) * int(rng.random() < 0.2)
        sure = tuple(rng.random(len(estimated)))
        found.append(Detection(f"r{k}", f"p{k % patients}", reference, estimated, sure))
    return found


def scores_of(detections, **options):
    reference, estimated = ([getattr(d, side) for d in detections] for side in ("reference", "estimated"))
    return event_scores(reference, estimated, CLASSES, N, [d.subject for d in detections], **options)


def test_golden_by_hand():
    found = event_scores(REFERENCE, ESTIMATED, CLASSES, N)
    assert found["counts"] == {
        "reference": 5,
        "estimated": 5,
        "agnostic": 4,
        "correct": 3,
        "substitutions": 1,
        "deletions": 1,
        "insertions": 1,
    }
    expected = dict.fromkeys(("agnostic_f1", "agnostic_precision", "agnostic_recall"), 4 / 5)
    expected |= dict.fromkeys(("f1", "precision", "recall"), 3 / 5)
    expected |= dict.fromkeys(("adventitious_f1", "adventitious_precision", "adventitious_recall"), 2 / 3)
    expected |= {"macro_f1": (1 + 1 / 2 + 0) / 3, "error_rate": 3 / 5}
    expected |= dict.fromkeys(("substitution_rate", "deletion_rate", "insertion_rate"), 1 / 5)
    # By EzhouNet's rule: of two wheezes and a crackle, one wheeze is a crackle; .4 s of 1 s is too much.
    expected |= {"ezhounet_f1": 0, "ezhounet_error_rate": (3 + 3 - 1) / 3}
    assert found["scores"] == pytest.approx(expected, abs=1e-12)
    assert found["classes"][W] == {
        "reference": 2,
        "estimated": 2,
        "correct": 1,
        "precision": 0.5,
        "recall": 0.5,
        "f1": 0.5,
        "intervals": {"precision": None, "recall": None, "f1": None},
    }
    assert found["bootstrap"]["no_interval"] == "the patients are not given"
    assert found["scores"].keys() == SCORE_NAMES.keys()


@pytest.mark.parametrize(
    ("estimated", "matches"),
    [
        ((1.2, 2.0, W), True),  # 200 ms late is still right
        ((1.21, 2.0, W), False),
        ((0.8, 2.0, W), True),
        ((1.0, 1.5, W), True),  # half of the reference's length
        ((1.0, 1.49, W), False),
        ((1.0, 2.51, W), False),
        ((1.0, 2.0, C), False),
    ],
)
def test_tolerances(estimated, matches):
    assert bool(match_events([(1.0, 2.0, W)], [estimated], agnostic=False)) == matches


def test_offset_tolerance_of_a_short_event_is_200_ms():
    assert match_events([(1.0, 1.1, W)], [(1.0, 1.3, W)], agnostic=False)
    assert not match_events([(1.0, 1.1, W)], [(1.0, 1.31, W)], agnostic=False)


def test_matching_finds_as_many_pairs_as_possible():
    """Taking the nearest first would leave one event alone."""
    reference = [(1.0, 2.0, W), (1.15, 2.0, W)]
    estimated = [(1.1, 2.0, W), (1.34, 2.0, W)]
    assert sorted(match_events(reference, estimated, agnostic=False)) == [(0, 0), (1, 1)]
    rng = np.random.default_rng(0)
    for _ in range(30):
        sides = [[(t, t + 0.5, W) for t in np.round(rng.uniform(0, 1, n), 3)] for n in rng.integers(1, 5, 2)]
        near = np.abs(np.subtract.outer(*(np.array([s[0] for s in side]) for side in sides))) <= 0.2
        near = near.T if near.shape[0] > near.shape[1] else near
        orders = itertools.permutations(range(near.shape[1]), near.shape[0])
        best = max(near[range(near.shape[0]), order].sum() for order in orders)
        assert len(match_events(*sides, agnostic=False)) == best


# --- EzhouNet's rule ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimated", "counts"),
    [
        ((1.2, 4.0, C), (1, 0, 1, 1)),
        ((1.0, 4.3, C), (1, 0, 1, 1)),  # a tenth of three seconds
        ((1.0, 4.31, C), (0, 0, 1, 1)),
        ((1.21, 4.0, C), (0, 0, 1, 1)),
        ((1.0, 4.0, "Coarse Crackle"), (1, 0, 1, 1)),  # crackles are one class
        ((1.0, 4.0, W), (0, 1, 1, 1)),
        ((1.0, 4.0, N), (0, 0, 1, 0)),
        ((1.0, 4.0, "Wheeze+Crackle"), (0, 0, 1, 0)),
    ],
)
def test_ezhounet_rule(estimated, counts):
    assert (
        ezhounet_counts([(1.0, 4.0, C), (1.0, 4.0, N), (6.0, 7.0, "Wheeze+Crackle")], [estimated]) == counts
    )


def test_ezhounet_published_scores_follow_from_its_published_counts():
    """509 events, 908 found, 148 correct, and the 7 substitutions that the error rate leaves."""
    one, other = (0.0, 1.0, W), (0.0, 1.0, "Stridor")
    pairs = [([one], [one])] * 148 + [([one], [other])] * 7 + [([one], [])] * 354 + [([], [one])] * 753
    scores = event_scores(*zip(*pairs, strict=True), SPRSOUND_EVENTS)["scores"]
    assert scores["ezhounet_f1"] == pytest.approx(0.20889202540578686, abs=1e-12)
    assert scores["ezhounet_error_rate"] == pytest.approx(2.1886051080550097, abs=1e-12)


def test_ezhounet_rule_is_that_of_sed_eval():
    sed_eval = pytest.importorskip("sed_eval", exc_type=ImportError)
    rng = np.random.default_rng(0)
    labels = ("Rhonchi", W, "Stridor", "Crackle")
    judge = sed_eval.sound_event.EventBasedMetrics(list(labels), t_collar=0.2, percentage_of_length=0.1)
    sides = ([], [])
    for number in range(60):
        starts = rng.uniform(0, 10, rng.integers(0, 9))
        reference = [(t, t + rng.uniform(1.5, 4), labels[rng.integers(4)]) for t in starts]
        estimated = [
            (max(0.0, start + rng.normal(0, 0.1)), end + rng.normal(0, 0.15), label)
            if rng.random() < 0.7
            else (start, end, labels[rng.integers(4)])
            for start, end, label in [*reference, *reference]
            if rng.random() < 0.6
        ]
        rng.shuffle(estimated)
        estimated = [(float(start), float(end), label) for start, end, label in estimated]
        for side, events in zip(sides, (reference, estimated), strict=True):
            side.append(events)
        lists = [
            [
                {"filename": f"{number}", "onset": s, "offset": e, "event_label": label}
                for s, e, label in events
            ]
            for events in (reference, estimated)
        ]
        judge.evaluate(*lists)
    scores = event_scores(*sides, (N, *labels))["scores"]
    overall = judge.results_overall_metrics()
    assert 0.2 < scores["ezhounet_f1"] < 0.9
    assert judge.overall["Nsubs"] > 10
    assert scores["ezhounet_f1"] == pytest.approx(overall["f_measure"]["f_measure"], abs=1e-12)
    assert scores["ezhounet_error_rate"] == pytest.approx(overall["error_rate"]["error_rate"], abs=1e-12)


def test_nothing_annotated_or_nothing_found():
    silent = event_scores([[]], [[(0.0, 1.0, W)]], CLASSES, N)
    assert silent["scores"]["agnostic_precision"] == 0
    assert (silent["scores"]["recall"], silent["scores"]["error_rate"]) == (None, None)
    missed = event_scores([[(0.0, 1.0, W)]], [[]], CLASSES, N)["scores"]
    assert (missed["precision"], missed["recall"], missed["error_rate"]) == (None, 0, 1)
    assert missed["macro_f1"] == 0
    empty = event_scores([[]], [[]], CLASSES, N)["scores"]
    assert set(empty.values()) == {None}


def test_intervals_are_those_of_resampled_recordings():
    detections = made_up(recordings=24, patients=6)
    found = scores_of(detections, draws=20, seed=3)
    patients = sorted({d.subject for d in detections})
    drawn = []
    for counts in patient_draws(len(patients), draws=20, seed=3):
        times = dict(zip(patients, counts.astype(int), strict=True))
        drawn.append(scores_of([d for d in detections for _ in range(times[d.subject])], draws=1))
    for key, interval in found["intervals"].items():
        values = [one["scores"][key] for one in drawn]
        np.testing.assert_allclose(interval, np.percentile(values, [2.5, 97.5]), atol=1e-12)
    values = [one["classes"][W]["f1"] for one in drawn]
    interval = found["classes"][W]["intervals"]["f1"]
    np.testing.assert_allclose(interval, np.percentile(values, [2.5, 97.5]), atol=1e-12)


def test_without_patients_there_are_no_intervals():
    detections = made_up(10)
    found = scores_of([replace(detection, subject="") for detection in detections])
    assert found["bootstrap"]["no_interval"] == "the patient of 10 of 10 recordings is unknown"
    assert set(found["intervals"].values()) == {None}
    assert found["scores"] == scores_of(detections)["scores"]
    one = scores_of([replace(detections[0], subject=""), *detections[1:]])
    assert one["bootstrap"]["note"].startswith("the patient of 1 of 10 recordings is unknown")
    assert one["intervals"]["agnostic_f1"] is not None
    assert scores_of([replace(d, subject="p") for d in detections])["intervals"]["f1"] is None


@pytest.mark.parametrize(
    ("span", "message"),
    [
        ((1.0, 1.0, W), "event 1 ends at 1 s, not after its start 1 s"),
        ((2.0, 1.0, W), "ends at 1 s, not after its start 2 s"),
        ((-0.1, 1.0, W), "starts at -0.1 s, before the recording"),
        ((0.0, float("nan"), W), "has a time that is no number"),
        ((0.0, float("inf"), W), "has a time that is no number"),
        ((0.0, 1.0, "Cough"), "label 'Cough' is not one of the classes"),
    ],
)
def test_events_that_are_none_are_refused(span, message):
    with pytest.raises(ValueError, match=message):
        validate([span], CLASSES)
    for sides in (([[span]], [[]]), ([[]], [[span]])):
        with pytest.raises(ValueError, match="recording 1, .*" + message):
            event_scores(*sides, CLASSES, N)


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="1 recordings annotated and 2 scored"):
        event_scores([[]], [[], []], CLASSES, N)
    with pytest.raises(ValueError, match="no event to score"):
        event_scores([], [], CLASSES, N)
    with pytest.raises(ValueError, match="1 subjects for 2 recordings"):
        event_scores([[], []], [[], []], CLASSES, N, ["p"])
    with pytest.raises(ValueError, match="class 'normal' is not one of"):
        event_scores([[]], [[]], CLASSES, "normal")


# --- frames -------------------------------------------------------------------------------------------------


def frames(n=4000, classes=2, patients=8, seed=0):
    rng = np.random.default_rng(seed)
    targets = rng.random((n, classes)) < 0.2
    scores = rng.normal(targets * 1.5, 1).astype(np.float32)
    return scores, targets, [f"p{k}" for k in rng.integers(patients, size=n)]


def test_frame_average_precision_is_exact_and_its_interval_near_the_resampled_one():
    scores, targets, subjects = frames()
    found = frame_average_precision(scores, targets, ("a", "b"), subjects, draws=40)
    patients = np.unique(subjects)
    drawn = []
    for counts in patient_draws(len(patients), draws=40):
        times = dict(zip(patients, counts.astype(int), strict=True))
        rows = [k for k, subject in enumerate(subjects) for _ in range(times[subject])]
        drawn.append(average_precision(targets[rows, 0], scores[rows, 0]))
    assert found["a"]["average_precision"] == average_precision(targets[:, 0], scores[:, 0])
    np.testing.assert_allclose(found["a"]["interval"], np.percentile(drawn, [2.5, 97.5]), atol=2e-3)
    assert found["a"]["frames"] == targets[:, 0].sum()


def test_frame_average_precision_without_patients_or_positives():
    scores, targets, _ = frames()
    targets[:, 1] = False
    found = frame_average_precision(scores, targets, ("a", "b"))
    assert found["a"]["interval"] is None
    assert found["b"] == {"frames": 0, "average_precision": None, "interval": None}


def test_frame_average_precision_is_fast():
    """Half a million frames of eight classes in seconds: one class of a fifth of them."""
    scores, targets, subjects = frames(100_000, 1, 60)
    start = time.process_time()
    frame_average_precision(scores, targets, ("a",), subjects)
    assert time.process_time() - start < 1.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, t, p: (s[:, 0], t[:, 0], p), "a row per frame"),
        (lambda s, t, p: (s[:-1], t, p), "a row per frame"),
        (lambda s, t, p: (s, t, p[:-1]), "3999 subjects for 4000 frames"),
        (lambda s, t, p: (np.where(np.arange(4000)[:, None] == 7, np.nan, s), t, p), "frame 8 has a score"),
    ],
)
def test_frames_that_do_not_fit_are_refused(change, message):
    scores, targets, subjects = change(*frames())
    with pytest.raises(ValueError, match=message):
        frame_average_precision(scores, targets, ("a", "b"), subjects)


# --- files --------------------------------------------------------------------------------------------------


def test_events_survive_the_file_exactly(tmp_path):
    detections = made_up(8)
    detections[0] = replace(detections[0], recording='a,"b"', estimated=(), probabilities=())
    detections[1] = replace(detections[1], probabilities=())
    write_events(tmp_path / "events.csv", detections)
    assert (tmp_path / "events.csv").read_text().splitlines()[0] == ",".join(COLUMNS)
    assert read_events_table(tmp_path / "events.csv") == detections


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("r,p,reference,0,1,Wheeze", "event 1 has 6 fields; expected 7"),
        ("r,p,annotated,0,1,Wheeze,", "event 1 is of kind 'annotated'; expected reference or estimated"),
        ("r,p,reference,,1,Wheeze,", "event 1 has a field that is no number"),
        ("r,p,estimated,0,1,Wheeze,1.5", r"event 1 has a probability outside \[0, 1\]"),
        ("r,p,reference,0,1,Wheeze,\nr,q,estimated,0,1,Wheeze,", "r is of patients 'p' and 'q'"),
        ("r,p,estimated,0,1,Wheeze,\nr,p,estimated,2,3,Wheeze,0.5", "for some of its estimated events only"),
    ],
)
def test_a_bad_table_is_refused_by_name(tmp_path, row, message):
    path = tmp_path / "events.csv"
    path.write_text(",".join(COLUMNS) + "\n" + row + "\n")
    with pytest.raises(LaennecError, match=re.escape(str(path)) + ".*" + message):
        read_events_table(path)


def test_a_file_that_is_no_table_is_refused(tmp_path):
    with pytest.raises(LaennecError, match=r"absent\.csv: no such file"):
        read_events_table(tmp_path / "absent.csv")
    (tmp_path / "a.csv").write_text("start,end\n")
    with pytest.raises(LaennecError, match="the first line must be recording,subject,kind"):
        read_events_table(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text(",".join(COLUMNS) + "\nr,p,reference,2,1,Wheeze,\n")
    with pytest.raises(LaennecError, match=r"a\.csv: .*ends at 1 s, not after its start 2 s"):
        score_events(tmp_path / "a.csv", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_that_cannot_be_read_is_written(tmp_path):
    one = made_up(1)[0]
    with pytest.raises(LaennecError, match="a recording occurs twice"):
        write_events(tmp_path / "events.csv", [one, one])
    with pytest.raises(LaennecError, match="1 probabilities for"):
        write_events(tmp_path / "events.csv", [replace(one, probabilities=(0.5,))])
    assert list(tmp_path.iterdir()) == []


def test_score_events_writes_everything(tmp_path):
    write_events(tmp_path / "events.csv", made_up())
    found = score_events(tmp_path / "events.csv", tmp_path / "out", {"model": "a.onnx"}, draws=200)
    assert json.loads((tmp_path / "out" / "detection.json").read_text()) == found
    assert found["classes"].keys() == set(SPRSOUND_EVENTS)
    assert found["provenance"]["model"] == "a.onnx"
    assert found["provenance"]["split"] is None
    assert len(found["provenance"]["events_sha256"]) == 64
    told = (tmp_path / "out" / "detection.txt").read_text()
    low, high = found["intervals"]["error_rate"]
    assert re.search(rf"error rate .* {found['scores']['error_rate']:.4f}  {low:.4f} to {high:.4f}", told)
    assert re.search(rf"^{W} .* {found['classes'][W]['f1']:.4f} ", told, re.MULTILINE)
    assert "60 recordings of 12 patients: 300 events annotated" in told


def test_mir_eval_is_asked_for_only_when_matching(monkeypatch):
    monkeypatch.setitem(sys.modules, "mir_eval.transcription", None)
    assert match_events([], [], agnostic=True) == []
    with pytest.raises(LaennecError, match=r"pip install \"laennec\[train\]\""):
        match_events([(0.0, 1.0, W)], [(0.0, 1.0, W)], agnostic=True)


def test_a_paired_difference_is_that_of_the_scores_and_narrower_than_either() -> None:
    first = made_up()
    second = [
        replace(one, estimated=one.estimated[1:], probabilities=one.probabilities[1:]) if k % 10 == 0 else one
        for k, one in enumerate(first)
    ]
    reference = [one.reference for one in first]
    sides = [[one.estimated for one in side] for side in (first, second)]
    subjects = [one.subject for one in first]
    apart = event_differences(reference, *sides, CLASSES, N, subjects)
    scores = [event_scores(reference, side, CLASSES, N, subjects) for side in sides]
    for key in SCORE_NAMES:
        assert apart[key].value == pytest.approx(scores[1]["scores"][key] - scores[0]["scores"][key])
    by_class = [each["classes"][W]["f1"] for each in scores]
    assert apart[W, "f1"].value == pytest.approx(by_class[1] - by_class[0])
    low, high = apart["f1"].interval
    own_low, own_high = scores[0]["intervals"]["f1"]
    assert high - low < (own_high - own_low) / 2
    same = event_differences(reference, sides[0], sides[0], CLASSES, N, subjects)
    assert (same["f1"].value, same["f1"].interval) == (0, [0, 0])
    assert event_differences(reference, *sides, CLASSES, N)["f1"].interval is None
