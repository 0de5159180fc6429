"""A head for one's own patients: the fit, what it is measured on, the file, the command."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import laennec
from laennec.cli import main
from laennec.errors import LaennecError
from laennec.labels import SPRSOUND_EVENTS
from laennec.model.detector import Detector
from laennec.model.load import load_model
from laennec.model.probability import softmax
from laennec.simulate import simulate_dataset
from laennec.train.adapt import Adapted, check_enough, labelled_events, learnt
from laennec.train.head import AdaptableModel
from laennec.train.head_fit import Items, allowed, dealt, fit_change, fit_path, losses, out_of_fold, shared
from laennec.train.head_heard import Listened, heard
from laennec.train.head_report import HELPS, NO_HELP, event_figures, verdict

CLASSES = 4


def quiet(items: object, _: str) -> object:
    return items


def made_up(patients: int = 20, events: int = 12, seed: int = 0, moved: float = 2.0) -> Items:
    """Events whose labels follow other weights than their logits; each patient has a habit of their own."""
    rng = np.random.default_rng(seed)
    names = np.repeat([f"p{k:02d}" for k in range(patients)], events)
    features = rng.normal(0, 1, (len(names), 6)) * [1, 2, 0.1, 5, 1, 0] + 3
    features += np.repeat(rng.normal(0, 0.3, (patients, 6)), events, axis=0)
    weights = rng.normal(0, 1, (CLASSES, 6)) / [1, 2, 0.1, 5, 1, 1]
    truth = weights + moved * rng.normal(0, 0.5, weights.shape) / [1, 2, 0.1, 5, 1, 1]
    labels = [rng.choice(CLASSES, p=own) for own in softmax(features @ truth.T - 3 * truth.sum(1))]
    logits = features @ weights.T - 3 * weights.sum(1)
    return Items(features, logits, np.eye(CLASSES)[labels], names)


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ward") / "data"
    simulate_dataset(root, subjects=10, recordings_per_subject=1, seed=3)
    return root


@pytest.fixture(scope="module")
def listened(ward: Path, detector: Detector) -> list[Listened]:
    sources = labelled_events("sprsound", ward, detector.card)
    return list(heard(sources, AdaptableModel(detector).listener(), quiet))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made(listened: list[Listened], detector: Detector) -> Adapted:
    return learnt(listened, AdaptableModel(detector), "ward", "tests", quiet, draws=50)  # type: ignore[arg-type]


# --- the fit ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [0.5, 30.0])
def test_the_optimum_is_that_of_scikit_learn(penalty: float) -> None:
    """Where there is no head yet; the constant is a feature like the others, and is penalised as they are."""
    own = made_up()
    items = replace(own, logits=np.zeros_like(own.logits))
    (change,) = fit_path(items, [penalty])
    deviation = items.features.std(0)
    design = np.column_stack([(items.features - items.features.mean(0)) / deviation, np.ones(len(items))])
    theirs = LogisticRegression(C=1 / penalty, fit_intercept=False, tol=1e-9, max_iter=5000)
    theirs.fit(design, items.targets.argmax(1))
    centred = theirs.coef_ - theirs.coef_.mean(0)
    ours = np.column_stack(
        [change.weights * deviation, change.bias + change.weights @ items.features.mean(0)]
    )
    np.testing.assert_allclose(ours - ours.mean(0), centred, atol=2e-4)


def test_at_the_optimum_no_step_is_downhill() -> None:
    """With a head to begin at, and labels that several classes share: by differences, not by our gradient."""
    own = made_up(patients=8)
    items = replace(own, targets=shared(own.logits, own.targets.astype(bool) | (np.arange(CLASSES) == 1)))
    penalty = 3.0
    (change,) = fit_path(items, [penalty])
    mean, deviation = items.features.mean(0), items.features.std(0)

    def cost(weights: np.ndarray, bias: np.ndarray) -> float:
        logits = items.logits + items.features @ weights.T + bias
        scaled = np.column_stack([weights * deviation, bias + weights @ mean])
        logs = np.log(softmax(logits))
        return float(penalty * (scaled**2).sum() / 2 - (items.targets * logs).sum())

    least = cost(change.weights, change.bias)
    rng = np.random.default_rng(0)
    for _ in range(20):
        step = rng.normal(0, 1e-3, change.weights.shape) / deviation
        assert cost(change.weights + step, change.bias - step @ mean) > least
        assert cost(change.weights, change.bias + rng.normal(0, 1e-3, CLASSES)) > least


def test_a_stronger_penalty_changes_less_and_an_infinite_one_nothing() -> None:
    items = made_up()
    sizes = [np.abs(own.weights).sum() for own in fit_path(items, [np.inf, 1000, 30, 1])]
    assert sizes[0] == 0
    assert sizes == sorted(sizes)


def test_events_that_follow_another_rule_are_learnt_and_others_are_left() -> None:
    learnt_from, unseen = made_up(seed=0), made_up(seed=0, patients=40)
    unseen = unseen.chosen(np.array([name >= "p20" for name in unseen.patients]))
    change, penalty = fit_change(learnt_from)
    assert np.isfinite(penalty)
    before, after = (losses(each, unseen.targets).mean() for each in (unseen.logits, change.on(unseen)))
    assert after < before - 0.1
    same = made_up(moved=0.0)
    change, penalty = fit_change(same)
    assert penalty >= 100  # nothing to learn
    assert np.abs(change.on(same) - same.logits).mean() < 0.3


def test_no_patient_is_on_both_sides() -> None:
    items = made_up()
    fold = dealt(items.patients, items.targets)
    for name in set(items.patients):
        assert len(set(fold[items.patients == name])) == 1
    others = out_of_fold(items, quiet)  # type: ignore[arg-type]
    mine = items.patients == "p07"
    lied = items.targets.copy()
    lied[mine] = np.roll(lied[mine], 1, axis=1)
    wrong = replace(items, targets=lied)
    again = out_of_fold(wrong, quiet)  # type: ignore[arg-type]
    if (dealt(wrong.patients, wrong.targets) == fold).all():  # the rarest classes are dealt by their patients
        np.testing.assert_array_equal(again.logits[mine], others.logits[mine])
        assert (again.logits[~mine] != others.logits[~mine]).any()


def test_a_coarse_label_is_shared_among_the_classes_that_it_may_mean() -> None:
    among = allowed(["wheeze", "Wheeze", "crackle", "normal", "both"], SPRSOUND_EVENTS)
    assert [[SPRSOUND_EVENTS[k] for k in np.flatnonzero(row)] for row in among] == [
        ["Rhonchi", "Wheeze", "Stridor"],
        ["Wheeze"],
        ["Coarse Crackle", "Fine Crackle"],
        ["Normal"],
        ["Wheeze+Crackle"],
    ]
    targets = shared(np.zeros((5, 7)), among)
    np.testing.assert_allclose(targets.sum(1), 1)
    assert targets[0].max() == pytest.approx(1 / 3)
    with pytest.raises(LaennecError, match="Weeze"):
        allowed(["Weeze"], SPRSOUND_EVENTS)


def test_what_does_not_help_is_said() -> None:
    items = made_up(patients=12)
    labels = [SPRSOUND_EVENTS[k] for k in items.targets.argmax(1)]
    wide = Items(
        items.features,
        np.pad(items.logits, ((0, 0), (0, 3)), constant_values=-9.0),
        np.pad(items.targets, ((0, 0), (0, 3))),
        items.patients,
    )
    better = wide.logits + 2 * wide.targets
    assert verdict(event_figures(wide, better, labels, SPRSOUND_EVENTS, 50), 30.0) == HELPS
    worse = wide.logits - 2 * wide.targets
    figures = event_figures(wide, worse, labels, SPRSOUND_EVENTS, 50)
    assert verdict(figures, 30.0) == NO_HELP
    assert figures["accuracy"]["change"].high < 0  # type: ignore[operator]
    assert verdict(event_figures(wide, better, labels, SPRSOUND_EVENTS, 50), np.inf) == NO_HELP


# --- the file -----------------------------------------------------------------------------------------------


def test_what_is_heard_makes_the_answers_of_the_model(listened: list[Listened], detector: Detector) -> None:
    """Features times the head's weights are the logits that `analyze` has, and so is what is found."""
    own = listened[0]
    head = AdaptableModel(detector).head
    analysis = laennec.analyze(own.labelled.path, model=detector)
    events = [e for channel in own.answered(head, detector.card).channels for e in channel.events]
    assert [(e.start_s, e.end_s, e.label) for e in events] == [
        (e.start_s, e.end_s, e.label) for e in analysis.events
    ]
    np.testing.assert_allclose(
        [e.probability for e in events], [e.probability for e in analysis.events], atol=1e-5
    )


def test_a_file_with_the_same_head_answers_the_same(
    listened: list[Listened], detector: Detector, tmp_path: Path
) -> None:
    model = AdaptableModel(detector)
    path = tmp_path / "same.onnx"
    path.write_bytes(model.with_head(model.head, {}))
    same = load_model(path)
    assert isinstance(same, Detector)
    assert same.card == detector.card
    noise = np.random.default_rng(0).normal(0, 0.05, 30_000).astype(np.float32)
    for name, value in same.run(noise).items():
        np.testing.assert_array_equal(value, detector.run(noise)[name])


def test_the_new_file_is_a_model_like_the_other(
    made: Adapted, listened: list[Listened], detector: Detector, tmp_path: Path
) -> None:
    path = tmp_path / "ward.onnx"
    path.write_bytes(made.content)
    own = load_model(path)
    assert isinstance(own, Detector)
    assert abs(len(made.content) - len(detector.graph.content)) < 20_000  # figures of the card
    assert own.sha256 == made.sha256 != detector.sha256
    assert own.card.name == "ward"
    assert detector.sha256 in own.card.data["parent"]
    assert own.card.lung_threshold == detector.card.lung_threshold
    assert own.card.rule == detector.card.rule
    assert own.card.event_abstain_below == 1.0  # ten patients vouch for no certainty
    source = listened[0].labelled
    given = [(event.start_s, event.end_s) for event in source.events]
    told = laennec.analyze(source.path, model=path, events=given)
    assert told.model_name == "ward"
    features = np.array([each for each, _ in listened[0].ears[0].events])
    logits = features @ made.head.weights.T + made.head.bias
    chances = softmax(logits / own.card.event_temperature + np.array(own.card.event_bias))
    np.testing.assert_allclose([e.probability for e in told.events], chances.max(1), atol=1e-4)
    json.dumps(made.json(), allow_nan=False)
    assert "Not learnt" in made.report()
    patients = {own.patient for own in listened}
    assert not any(name in json.dumps(dict(own.card.data)) for name in patients)


def test_too_few_patients_are_refused(listened: list[Listened]) -> None:
    few = [own for own in listened if own.patient != listened[0].patient]
    with pytest.raises(LaennecError, match=r"of 9 patients; a model needs 10 patients"):
        check_enough(few)


def test_the_command_writes_a_model_or_nothing(
    ward: Path,
    listened: list[Listened],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("laennec.train.adapt.heard", lambda *_: listened)  # it was heard above already
    out = tmp_path / "own.onnx"
    with pytest.raises(SystemExit) as ended:
        main(["adapt", "--data", str(ward), "--out", str(out), "--anyway"])
    assert ended.value.code == 0
    assert "adapted" in load_model(out).card.data
    assert json.loads(out.with_name("own.onnx.json").read_text())["patients"] == 10
    assert "After: each patient answered by what the others taught" in capsys.readouterr().out
    for arguments in (["--out", str(tmp_path / "own.txt")], ["--out", str(out), "--model", "default"]):
        with pytest.raises(SystemExit) as ended:
            main(["adapt", "--data", str(ward), *arguments])
        assert ended.value.code in (1, 2)
        assert "laennec: " in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own.onnx", "own.onnx.json"]


def test_what_does_not_help_is_not_offered(
    made: Adapted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    useless = replace(made, verdict=NO_HELP)
    assert useless.is_offered(anyway=True)
    monkeypatch.setattr("laennec.cli.adapt.adapt", lambda *_: useless)
    with pytest.raises(SystemExit) as ended:
        main(["adapt", "--data", str(tmp_path), "--out", str(tmp_path / "own.onnx")])
    assert ended.value.code == 1
    told = capsys.readouterr()
    assert "It does not help" in told.out
    assert "--anyway writes it all the same" in told.err
