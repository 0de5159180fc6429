"""What measures and decides on kept outputs: made-up recordings whose figures are known."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from laennec.errors import LaennecError
from laennec.experiments.rehearsal import averaged
from laennec.files import write_json
from laennec.labels import SPRSOUND_EVENTS
from laennec.model.card import EventRule
from laennec.model.probability import calibrated
from laennec.train import recording_choice
from laennec.train.recipe import load_recipe
from laennec.train.recording_choice import Chooser, cross_fitted, fit_recording_decision
from laennec.train.recording_decision import RULES, Labelled, RecordingDecision
from laennec.train.recording_predictions import SOURCES, RecordingOutput, load_outputs, save_outputs
from laennec.train.recording_report import measure, render
from laennec.train.rehearsal import Rehearsal, known_of, outputs_of_run, splits_of, worst
from laennec.train.rehearsal_tables import tables

FRAME_S = 0.05


def output(
    name: str = "a",
    subject: str = "p",
    record: int = 0,
    logits: tuple[float, ...] = (0, 0, 0, 0, 0),
    events: tuple[tuple[float, float, int], ...] = ((1.0, 2.0, 0),),
    found: tuple[tuple[float, float, int], ...] | None = None,
    lung: float = 5.0,
    seconds: float = 4.0,
    **more: object,
) -> RecordingOutput:
    """A recording, its annotated events, and what a network says: where events are, of which class."""
    frames = round(seconds / FRAME_S)
    presence, classes = np.full((3, frames), -4.0), np.zeros((len(SPRSOUND_EVENTS), frames))
    classes[0] = 4.0
    for start_s, end_s, label in events if found is None else found:
        first, end = round(start_s / FRAME_S), round(end_s / FRAME_S)
        presence[0, first:end] = presence[1, first] = presence[2, end - 1] = 4.0
        classes[label, first:end] += 8.0
    return RecordingOutput(
        name,
        subject,
        fold=str(more.pop("fold", "fold1")),
        record=record,
        placed=bool(more.pop("placed", True)),
        spans=np.array([event[:2] for event in events], float).reshape(-1, 2),
        labels=np.array([event[2] for event in events], int),
        presence=presence,
        classes=classes,
        record_logits=np.array(logits, float),
        kind_logits=np.array([lung, 0.0, 0.0, 0.0, 0.0]),
        frame_s=FRAME_S,
        **more,  # type: ignore[arg-type]
    )


NORMAL, WHEEZE, FINE = 0, 2, 5
CAS = 1


@pytest.fixture(autouse=True)
def few_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_choice, "RULES", RULES[:1])
    monkeypatch.setattr(recording_choice, "FINER", {})


def cohort(name: str, count: int, flip: int = 0, **more: object) -> list[RecordingOutput]:
    """Patients with two recordings each, every third sick; of every `flip`th, the label is the other one."""
    own = []
    for k in range(count):
        sick, patient = (k // 2) % 3 == 0, f"{name}-{k // 2}"
        said = sick != (flip > 0 and k % flip == 0)
        logits = (0.0, 3.0, -3.0, -3.0, -5.0) if said else (3.0, 0.0, -3.0, -3.0, -5.0)
        event = (1.0, 2.0, WHEEZE if sick else NORMAL)
        heard = [(1.0, 2.0, WHEEZE if said else NORMAL), (3.0, 3.5, NORMAL)]
        record = CAS if sick else 0
        given = {"dataset": name, "fold": f"fold{(k // 2) % 2 + 1}", "lung": 3 + k / count, **more}
        own.append(output(f"{name}{k}", patient, record, logits, (event,), tuple(heard), **given))
    return own


def hearts(count: int) -> list[RecordingOutput]:
    """One of them sounds like a lung."""
    plain = {"record": -1, "events": (), "found": (), "kind": 4, "dataset": "not-lung", "device": "heart"}
    plain["split"] = "k-fold"
    return [
        output(f"h{k}", f"h{k}", lung=-5.0 if k else 9.0, fold=f"fold{k % 2 + 1}", **plain)
        for k in range(count)
    ]


def everyone(chooser: Chooser) -> np.ndarray:
    return np.ones(len(chooser.outputs), bool)


def test_the_rule_is_that_of_the_best_worst_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """One rule finds every breath of `a` and none of `b`, the other two in three of both."""
    rules = [EventRule(bias=bias) for bias in (0.0, 1.0)]
    outputs = [output(f"{name}{k}", dataset=name) for name in "ab" for k in range(3)]
    chooser = Chooser(outputs, SPRSOUND_EVENTS)
    counts = {rule: np.zeros((6, 3, 3)) for rule in rules}
    counts[rules[0]][:, 0] = [[1, 1, 1]] * 3 + [[0, 1, 1]] * 3
    counts[rules[1]][:, 0] = [[1, 1, 1], [1, 1, 1], [0, 1, 1]] * 2
    monkeypatch.setattr(recording_choice, "RULES", tuple(rules))
    monkeypatch.setattr(chooser, "counts", counts.__getitem__)
    assert chooser.best_rule(everyone(chooser)) == rules[1]
    assert chooser.best_rule(chooser.datasets == "a") == rules[0]
    assert chooser.best_rule(chooser.datasets == "c") == EventRule()


def test_a_calibration_is_that_of_the_least_regret() -> None:
    """A network twice too sure on one data set, and right on the other: neither extreme is taken."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (1600, 2))
    truth = np.array([rng.random() < p for p in calibrated(logits, 1.0)[:, 1]]).astype(int)
    groups = np.repeat(["right", "sure"], 800)
    logits[800:] *= 2
    subjects = np.zeros(1600, str)
    both = Labelled(logits, truth, subjects, groups)
    right, sure, temperature = (
        own.fit()[0] for own in (both.chosen(groups == "right"), both.chosen(groups == "sure"), both)
    )
    assert (right, sure) == pytest.approx((1.0, 2.0), rel=0.25)
    assert right < temperature < sure


def test_a_decision_of_old_outputs_has_what_it_had_and_more() -> None:
    decision = fit_recording_decision(cohort("", 24, flip=5), SPRSOUND_EVENTS)
    assert decision.rule == RULES[0]
    assert set(decision.task_shift) == {"21", "22"}
    assert decision.lung_share == pytest.approx(calibrated(np.array([3.0, 0, 0, 0, 0]), 1.0)[0], abs=1e-4)
    assert len(decision.event_presence) == 4
    assert decision.record_evidence == []
    assert RecordingDecision.of(decision.entries()) == decision
    old = {name: value for name, value in decision.entries().items() if name in RecordingDecision().entries()}
    del old["normal_certain"], old["event_presence"]
    assert RecordingDecision.of(old).normal_certain is None


def test_frames_have_a_say_where_they_are_asked() -> None:
    """The record head knows nothing; the frames of the wheezes tell."""
    outputs = [replace(own, record_logits=np.zeros(5)) for own in cohort("a", 60)]
    without, followed = (Chooser(outputs, SPRSOUND_EVENTS, frames_tell=tell) for tell in (False, True))
    decisions = [own.decide(everyone(own)) for own in (without, followed)]
    assert decisions[0].record_evidence == []
    assert decisions[1].record_evidence[0] > 0.5
    sick = np.array([own.record == CAS for own in outputs])
    plain, told = (
        own.record_probabilities(decision, everyone(own))[:, CAS]
        for own, decision in zip((without, followed), decisions, strict=True)
    )
    assert np.ptp(plain) == 0
    assert told[sick].min() > told[~sick].max()


def test_joined_breaths_do_not_decide_what_is_refused() -> None:
    """They sound least like a lung, and nothing is annotated of them but that they are lungs."""
    lungs = cohort("a", 24)
    breaths = [
        replace(own, record=-1, placed=False, dataset="b", kind_logits=np.array([-3.0, 0, 0, 0, 0]))
        for own in cohort("b", 24)
    ]
    chooser = Chooser([*lungs, *breaths], SPRSOUND_EVENTS)
    decision = chooser.decide(everyone(chooser))
    assert decision.lung_share == Chooser(lungs, SPRSOUND_EVENTS).decide(np.ones(24, bool)).lung_share
    assert chooser.refused(decision).tolist() == [False] * 24 + [True] * 24


def test_a_data_set_that_was_left_out_does_not_decide_what_is_refused() -> None:
    lungs = cohort("a", 24, split="k-fold")
    strange = [
        replace(own, split="leave-one-out, b", kind_logits=np.array([-3.0, 0, 0, 0, 0]))
        for own in cohort("b", 24)
    ]
    alone, both, left_out = (Chooser(own, SPRSOUND_EVENTS) for own in (lungs, lungs + strange, strange))
    assert both.decide(everyone(both)).lung_share == alone.decide(everyone(alone)).lung_share
    assert left_out.decide(everyone(left_out)).lung_share < 0.02


def test_other_sounds_take_part_in_what_is_refused() -> None:
    """Of 48 lungs one sounds less like a lung than all hearts do; it would let every heart through."""
    lungs = [replace(own, split="k-fold") for own in cohort("a", 48)]
    lungs[0] = replace(lungs[0], kind_logits=np.array([-9.0, 0, 0, 0, 0]))
    both = Chooser([*lungs, *hearts(30)[1:]], SPRSOUND_EVENTS)
    refused = both.refused(both.decide(everyone(both)))
    assert refused[48:].all()
    assert refused[:48].sum() == 1
    alone = Chooser(lungs, SPRSOUND_EVENTS)
    assert not alone.refused(alone.decide(everyone(alone))).any()


def test_recordings_without_annotated_events_are_measured_all_the_same(tmp_path: Path) -> None:
    """Such as those of a data set that is left out, which has labels of whole recordings alone."""
    outputs = cohort("b", 24, flip=5, placed=False, split="leave-one-out, b")
    figures, decision = measure({0: outputs}, load_recipe("recording"), tmp_path)
    assert figures["strangers"]["splits"]["leave-one-out, b"]["recordings"]["b"]["sick"] == 8
    assert decision.rule == EventRule()
    assert "| b |" in render(figures)
    assert not [*tmp_path.iterdir()]


def test_nobody_s_answers_take_part_in_what_is_chosen_for_them() -> None:
    known = cohort("a", 12, split="k-fold")
    later = [replace(own, fold="fold1", split="chronological, later") for own in known[6:]]
    left = cohort("b", 8, placed=False, fold="fold1", split="leave-one-out, b")
    chooser = Chooser([*known, *later, *left], SPRSOUND_EVENTS)
    used = []
    chooser.decide = lambda rows: used.append(rows) or RecordingDecision()  # type: ignore[method-assign]
    chosen = list(cross_fitted(chooser))
    assert sum(own.rows for own in chosen).tolist() == [1] * len(chooser.outputs)  # type: ignore[union-attr]
    for own, rows in zip(chosen, used, strict=True):
        assert not set(chooser.patients[own.rows]) & set(chooser.patients[rows])
        assert rows.any()
    assert {own.on for own in chosen} == {"other patients"}
    alone = Chooser(later, SPRSOUND_EVENTS)
    alone.decide = chooser.decide  # type: ignore[method-assign]
    assert {own.on for own in cross_fitted(alone)} == {"other patients of the fold"}


def test_networks_of_several_seeds_answer_by_their_mean(tmp_path: Path) -> None:
    outputs = cohort("a", 4)
    other = [replace(own, kind_logits=own.kind_logits + 2, presence=own.presence - 4) for own in outputs]
    folders = [tmp_path / name / "fold1" for name in ("seed0", "seed1", "seed2")]
    for folder, own in zip(folders, (outputs, other, outputs[:3]), strict=True):
        folder.mkdir(parents=True)
        save_outputs(folder / "outputs.npz", own)
    together = averaged(folders[:2])
    for own, given in zip(together, outputs, strict=True):
        np.testing.assert_allclose(own.kind_logits, given.kind_logits + 1, atol=1e-3)
        np.testing.assert_allclose(own.presence, given.presence - 2, atol=1e-2)
        np.testing.assert_allclose(own.classes, given.classes, atol=1e-2)
        assert (own.name, own.record, own.fold) == (given.name, given.record, "fold1")
    with pytest.raises(LaennecError, match="folds of other recordings"):
        averaged(folders)


@pytest.fixture(scope="module")
def figures() -> dict:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording_choice, "RULES", RULES[:1])
        patch.setattr(recording_choice, "FINER", {})
        given = {"split": "k-fold", "lung": 4.0}
        outputs = cohort("sprsound", 48, device="s", age_years=4.0, **given)
        given |= {"placed": False, "device": "k", "age_years": 70.0, "position": "p1"}
        outputs += cohort("kauh", 48, flip=8, **given)
        chooser = Chooser(outputs + hearts(10), SPRSOUND_EVENTS)
        return Rehearsal(chooser, list(cross_fitted(chooser)), draws=50).figures()


def test_answers_are_ranked_and_counted_by_data_set_device_and_age(figures: dict) -> None:
    own = figures["splits"]["k-fold"]["recordings"]
    assert own["sprsound"]["auc"]["sick"] == {"value": 1.0, "interval": [1.0, 1.0]}
    kauh = own["kauh"]
    assert (kauh["sick"], kauh["well"], kauh["patients"]) == (16, 32, 24)
    assert list(kauh["ages"]) == ["65 and over"]
    assert list(kauh["devices"]) == ["k"]
    assert kauh["devices"]["k"]["auc"] == kauh["auc"]
    # Of every eighth recording the other answer: 2 of 16 sick, 4 of 32 well.
    assert kauh["tasks"]["21"]["sensitivity"]["value"] == pytest.approx(14 / 16)
    assert kauh["tasks"]["21"]["specificity"]["value"] == pytest.approx(28 / 32)
    # Ties count half; what is a tie differs a little between the two folds' calibrations.
    assert kauh["auc"]["sick"]["value"] == pytest.approx(
        (14 * 28 + 0.5 * (14 * 4 + 2 * 28)) / (16 * 32), abs=0.1
    )


def test_certain_answers_are_told_with_both_errors(figures: dict) -> None:
    kauh = figures["splits"]["k-fold"]["recordings"]["kauh"]
    assert kauh["limits"] == {"wrong": 0.1, "missed": 0.05}
    assert set(kauh["certain"]) == {"certain", "wrong", "missed", "false_alarms"}
    assert kauh["certain"]["certain"]["value"] >= figures["floor"]
    low, high = kauh["certain"]["missed"]["interval"]
    assert low <= kauh["certain"]["missed"]["value"] <= high


def test_baselines_stand_beside(figures: dict) -> None:
    own = figures["splits"]["k-fold"]["recordings"]["sprsound"]["baselines"]
    assert set(own) == {"duration", "age", "position", "device"}
    assert own["device"]["value"] == own["position"]["value"] == 0.5
    outputs = [output(device="a", age_years=3.0), output(device="b"), output(device="a", seconds=8.0)]
    assert known_of(outputs, "device").tolist() == [[1, 0], [0, 1], [1, 0]]
    assert known_of(outputs, "age").tolist() == [[np.log1p(3), 0], [0, 1], [0, 1]]
    np.testing.assert_allclose(known_of(outputs, "duration")[:, 0], np.log([4, 4, 8]))


def test_refusals_are_counted_by_data_set_and_sound(figures: dict) -> None:
    own = figures["splits"]["k-fold"]["refusals"]
    heart = own["not-lung: heart"]
    assert (heart["lung"], heart["sounds"], heart["refused"], heart["subjects"]) == (False, 10, 9, 10)
    assert heart["value"] == pytest.approx(0.9)
    assert own["kauh"]["lung"]
    assert own["kauh"]["sounds"] == 48


def test_events_are_scored_where_they_are_annotated(figures: dict) -> None:
    """One breath is annotated in each recording, and one more found."""
    own = figures["splits"]["k-fold"]["events"]
    assert list(own) == ["sprsound"]
    scores = own["sprsound"]
    assert (scores["annotated"], scores["found"], scores["found_per_annotated"]) == (48, 96, 2.0)
    assert scores["agnostic_f1"]["value"] == scores["f1"]["value"] == pytest.approx(2 / 3)
    assert scores["tasks"]["11"]["specificity"]["value"] == 1.0
    assert scores["hits"]["share"] == 0.5
    assert scores["hits"]["ece"]["value"] < scores["hits"]["ece_before"]["value"]


def test_tables_are_made_of_what_json_holds(figures: dict) -> None:
    kept = json.loads(json.dumps(figures))
    first, second, third, fourth = tables(kept).split("\n\n")
    assert "| k-fold | **kauh** | 48, 16 of 48 | " in first
    assert "| k-fold | not-lung: heart | 9 of 10 | 0.900 (" in second
    assert "| k-fold | sprsound | 0.667 (0.667 to 0.667) |" in third
    assert "| sprsound, task 11 specificity | 1.000 | k-fold |" in fourth


def test_the_worst_of_the_splits_is_taken() -> None:
    def split(auc: float, refused: float, error: float) -> dict:
        score = {"value": auc}
        return {
            "recordings": {
                "kauh": {"auc": {"sick": score}, "tasks": {}, "certain": {"missed": {"value": error}}}
            },
            "refusals": {"kauh": {"value": refused, "lung": True}, "h": {"value": refused, "lung": False}},
            "events": {},
        }

    found = worst({"splits": {"one": split(0.8, 0.01, 0.1), "two": split(0.9, 0.02, 0.0)}})
    assert found == {
        "kauh, AUC sick": {"value": 0.8, "split": "one"},
        "kauh, sick called Normal with certainty": {"value": 0.1, "split": "one"},
        "kauh, refused": {"value": 0.02, "split": "two"},
        "h, refused": {"value": 0.01, "split": "one"},
    }


def test_outputs_are_kept_with_their_source_and_old_ones_are_read(tmp_path: Path) -> None:
    own = [
        output("a", dataset="kauh", device="D", position="p1", age_years=70.0, kind=0, duration_s=11.0),
        output("b", "q", events=(), placed=False, dataset="not-lung", kind=4),
    ]
    assert own[1].duration_s == 4.0
    for folder in ("fold1", "fold2"):
        (tmp_path / folder).mkdir()
        save_outputs(tmp_path / folder / "outputs.npz", own)
    path = tmp_path / "fold2" / "outputs.npz"
    with np.load(path) as file:
        old = {name: value for name, value in file.items() if name not in SOURCES}
    np.savez(path, **old)
    *new, first, second = load_outputs([tmp_path / "fold1", tmp_path / "fold2"])
    for given, read in zip(own, new, strict=True):
        for field in fields(given):
            np.testing.assert_array_equal(getattr(read, field.name), getattr(given, field.name))
    assert (first.dataset, first.device, first.kind, first.fold) == ("", "", 0, "fold2")
    assert np.isnan(first.age_years)
    assert first.duration_s == second.duration_s == 4.0
    (tmp_path / "seed3").mkdir()
    (tmp_path / "fold1").rename(tmp_path / "seed3" / "fold1")
    splits = splits_of("chronological", ["later patients"])
    assert splits == {"fold1": "chronological, later patients"}
    write_json(tmp_path / "metrics.json", {"splits": splits})
    ((seed, kept),) = outputs_of_run(tmp_path).items()
    assert (seed, [each.split for each in kept]) == (3, ["chronological, later patients"] * 2)
    assert set(splits_of("k-fold", ["1", "2"]).values()) == {"k-fold"}
