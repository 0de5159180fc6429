"""A calibration for one's own device: curve, thresholds, file and command; made-up answers of a detector."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import laennec
from laennec.analyze.analysis import Event
from laennec.analyze.recording import Channel, Segment
from laennec.cli import main
from laennec.errors import LaennecError
from laennec.labels import is_adventitious
from laennec.model.calibration import Curve, calibration_file, read_calibration
from laennec.model.card import RecordingCard
from laennec.model.detector import Detector
from laennec.model.load import load_detector, load_model, with_calibration
from laennec.model.probability import calibrated, softmax, with_evidence
from laennec.output.formats import to_json
from laennec.output.presentation import facts
from laennec.output.recordings import Job
from laennec.simulate import demo_recordings
from laennec.simulate.dataset import write_wav
from laennec.train.local_curve import (
    NEVER,
    Heard,
    answers_of,
    cross_fitted,
    dealt,
    fit_curve,
    fitted,
    lowered_refusal,
    patients_of,
    safe_thresholds,
    too_few,
)
from laennec.train.local_report import Local
from laennec.train.recording_certainty import CALLED_NORMAL, CALLED_SICK, NEITHER, Answers

RECORDS = ("Normal", "CAS", "DAS", "CAS & DAS", "Poor Quality")
BREATH = Event(1.0, 2.0, "Normal", 0.99, {"Normal": 0.99})
WHEEZE = Event(3.0, 4.0, "Wheeze", 0.6, {"Wheeze": 0.6}, uncertain=True)  # speaks against no answer


@pytest.fixture(scope="module")
def card(detector: Detector) -> RecordingCard:
    return detector.card


def heard(
    patient: str, sick: bool, log_odds: Sequence[float] | float, lung: float = 1.0, poor: float = -9.0
) -> Heard:
    """A recording of segments with these log-odds of CAS against Normal."""
    segments = []
    for number, odds in enumerate(np.atleast_1d(log_odds)):
        chances = softmax(np.array([0.0, odds, -100.0, -100.0, poor]))
        kinds = np.array([lung, 1 - lung, 0, 0, 0])
        segments.append(Segment(15.0 * number, 15.0 * number + 15, chances, kinds, 0.0, 0.0, None))
    return Heard(patient, sick, [Channel(0, [BREATH, WHEEZE], segments)])


def ward(patients: int, shift: float = 0.0, scale: float = 1.0, seed: int = 0) -> list[Heard]:
    """As many sick as well: log-odds of 1.5 or -1.5, give or take 1.5; a device shifts and scales them."""
    rng = np.random.default_rng(seed)
    sick = np.arange(patients) % 2 == 0
    odds = np.where(sick, 1.5, -1.5) + rng.normal(0, 1.5, patients)
    told = (odds - shift) / scale
    return [heard(f"p{row}", bool(sick[row]), float(told[row])) for row in range(patients)]


# --- the curve ----------------------------------------------------------------------------------------------


def test_the_curve_finds_a_known_shift_whatever_the_share_of_the_sick(card: RecordingCard) -> None:
    """Of two normal distributions, the log-odds are a line; half are sick, three tenths count."""
    slope, prior = 2 * 1.5 / 1.5**2, np.log(0.3 / 0.7)
    for shift, scale in ((0.0, 1.0), (2.0, 0.5)):
        found = fit_curve(ward(400, shift, scale), card, prevalence=0.3)
        assert found.slope == pytest.approx(slope * scale, rel=0.2)
        assert found.offset == pytest.approx(prior + slope * shift, abs=0.4)


def test_a_patient_counts_once(card: RecordingCard) -> None:
    own = ward(40)
    many = [*own, *[own[0]] * 30, *[own[1]] * 5]
    assert fit_curve(many, card).slope == pytest.approx(fit_curve(own, card).slope, rel=1e-3)


@pytest.mark.parametrize("patients", [10, 100])
def test_the_slope_is_positive_and_not_wild(card: RecordingCard, patients: int) -> None:
    """Answers that separate all patients, or have it the wrong way round, would make it infinite."""
    for sign in (1, -1):
        odds = [sign * (8.0 if row % 2 else -8.0) for row in range(patients)]
        own = [heard(f"p{row}", row % 2 == 1, each) for row, each in enumerate(odds)]
        curve = fit_curve(own, card)
        assert 0 < curve.slope < 5
        assert abs(curve.offset) < 6
        assert curve.on(card).record_temperature > 0


def test_a_few_patients_change_little(card: RecordingCard) -> None:
    """The prior: ten patients that fit the card leave it near what it was."""
    curve = fit_curve(ward(10, shift=0.6), card)
    assert 0.5 < curve.slope < 2
    assert abs(curve.offset) < 1.5


def test_poor_quality_keeps_its_mean_probability(card: RecordingCard) -> None:
    rng = np.random.default_rng(1)
    own = [heard(f"p{k}", k % 2 == 0, rng.normal(0, 3), poor=-2.0) for k in range(60)]
    curve = fit_curve(own, card)
    assert curve.slope < 0.8  # such answers mean little
    before, after = (
        np.mean([each.answer(card, one).probabilities["Poor Quality"] for each in own])  # type: ignore[union-attr]
        for one in (Curve(), curve)
    )
    assert after == pytest.approx(before, rel=0.1)


def test_a_curve_is_entries_of_the_card(card: RecordingCard) -> None:
    """What temperature, bias and evidence give is what the curve makes of the card's probabilities."""
    rng = np.random.default_rng(0)
    logits, evidence = rng.normal(0, 3, (50, 5)), rng.normal(0, 2, (50, 2))
    own = replace(card, record_evidence=(0.7, 1.3))
    curve = Curve(-0.8, 0.6, 0.4)

    def answered(by: RecordingCard) -> np.ndarray:
        plain = calibrated(logits, by.record_temperature, by.record_bias)
        rows = zip(plain, evidence, strict=True)
        return np.array([with_evidence(row, said, RECORDS, by.record_evidence) for row, said in rows])

    np.testing.assert_allclose(answered(curve.on(own)), curve.of(answered(own), RECORDS), atol=1e-12)
    bare = replace(card, record_bias=())
    np.testing.assert_allclose(
        calibrated(logits, curve.on(bare).record_temperature, curve.on(bare).record_bias),
        curve.of(calibrated(logits, bare.record_temperature), RECORDS),
        atol=1e-12,
    )
    odds = np.log(answered(own)[:, 1:4] / answered(own)[:, :1])
    told = np.log(answered(curve.on(own))[:, 1:4] / answered(curve.on(own))[:, :1])
    np.testing.assert_allclose(told, -0.8 + 0.6 * odds, atol=1e-9)


# --- thresholds ---------------------------------------------------------------------------------------------


def answers(rows: list[tuple[bool, int, float]]) -> tuple[Answers, np.ndarray]:
    sick, called, certainty = (np.array(column) for column in zip(*rows, strict=True))
    return Answers(sick, called, certainty.astype(float)), np.arange(len(rows)).astype(str)


def test_the_conformal_rule_by_hand() -> None:
    """Of ten sick patients two are called Normal, with .6 and .9; a fifth may be.

    (1 - .2) (10 + 1) = 8.8: above the ninth of their certainties in order, which is .6.
    """
    sick = [(True, CALLED_SICK, 0.99)] * 8 + [(True, CALLED_NORMAL, 0.6), (True, CALLED_NORMAL, 0.9)]
    well = [(False, CALLED_NORMAL, 0.95)] * 40
    own, names = answers(sick + well)
    assert safe_thresholds(own, names, missed=0.2, wrong=0.9)[0] == pytest.approx(0.605)
    assert safe_thresholds(own, names, missed=0.1, wrong=0.9)[0] == pytest.approx(0.905)  # 9.9: the tenth
    assert safe_thresholds(own, names, missed=0.09, wrong=0.9)[0] == NEVER  # 10.01: there is no eleventh
    assert safe_thresholds(own, names)[0] == NEVER


def test_too_few_patients_are_never_certain() -> None:
    for sick, well, expected in ((5, 5, (NEVER, NEVER)), (18, 60, (NEVER, 0.0)), (19, 60, (0.0, 0.0))):
        rows = [(True, CALLED_SICK, 1.0)] * sick + [(False, CALLED_NORMAL, 1.0)] * well
        assert safe_thresholds(*answers(rows)) == expected, (sick, well)
    fewest_sick, fewest_well = too_few(19, 60)
    assert fewest_sick == 19
    for well, sure in ((fewest_well, True), (fewest_well - 1, False)):
        rows = [(True, CALLED_SICK, 1.0)] * 19 + [(False, CALLED_NORMAL, 1.0)] * well
        assert (safe_thresholds(*answers(rows))[1] < NEVER) is sure


def test_wrong_answers_are_judged_at_the_prevalence() -> None:
    """Ten of 99 well patients are called sick with certainty, and all 99 sick: .3 of them, and .7."""
    rows = [(True, CALLED_SICK, 0.9)] * 99 + [(False, CALLED_SICK, 0.9)] * 10 + [(False, NEITHER, 0.9)] * 89
    own, names = answers(rows)
    wrong, right = 0.7 * 11 / 100, 0.3 * 99 / 100
    share = wrong / (wrong + right)
    assert safe_thresholds(own, names, wrong=share + 1e-6)[1] == 0
    assert safe_thresholds(own, names, wrong=share - 1e-6)[1] == NEVER
    assert safe_thresholds(own, names, prevalence=0.8)[1] == 0


def test_patients_count_alike_in_thresholds() -> None:
    """Thirty recordings of one sick patient, each called Normal, are one patient who is missed of forty."""
    rows = (
        [(True, CALLED_SICK, 0.9)] * 39 + [(True, CALLED_NORMAL, 0.9)] * 30 + [(False, CALLED_NORMAL, 1)] * 40
    )
    own, names = answers(rows)
    names[39:69] = "one"
    assert safe_thresholds(own, names)[0] == 0.0  # (1 + 1) / 41
    names[39] = "two"
    assert safe_thresholds(own, names)[0] > 0.9


def test_a_threshold_of_one_is_never_reached(card: RecordingCard) -> None:
    own = heard("p", False, -200.0, poor=-200.0)
    for at, uncertain in ((NEVER, True), (0.999, False)):
        answer = own.answer(replace(card, normal_abstain_below=at, sick_abstain_below=at))
        assert answer is not None
        assert answer.probability == 1
        assert answer.uncertain is uncertain


def test_refusals_are_only_lowered(card: RecordingCard) -> None:
    lungs = [heard(f"p{row}", False, -1.0, lung=0.3 + 0.01 * row) for row in range(60)]
    assert lowered_refusal(lungs, 0.2) == 0.2  # refuses none, and is not raised
    assert lowered_refusal(lungs[10:20], 0.45) == pytest.approx(0.4)  # of ten, none is refused
    assert lowered_refusal(lungs, 0.5) == pytest.approx(0.3, abs=1e-4)  # (1 + 1) / 61 is too much
    many = [heard(f"p{row}", False, -1.0, lung=0.3 + 0.001 * row) for row in range(199)]
    assert lowered_refusal(many, 0.9) == pytest.approx(0.303, abs=1e-4)  # (3 + 1) / 200
    two = heard("q", False, [-1.0, -1.0, -1.0], lung=0.6)
    assert two.lung_share() == 0.6
    assert two.answer(replace(card, lung_threshold=0.61)).refused is not None  # type: ignore[union-attr]


# --- out of fold --------------------------------------------------------------------------------------------


def test_nobody_chooses_for_themselves(card: RecordingCard) -> None:
    """Another label or answer of a patient changes nothing for those of the same fold."""
    own = ward(20)
    before, _, fold = cross_fitted(own, card)
    changed = [heard(own[0].patient, not own[0].sick, 9.0), *own[1:]]
    fold_of_first = fold[0]
    np.testing.assert_array_equal(dealt(own), fold)
    others, curve = fitted(
        [each for each, home in zip(own, fold, strict=True) if home != fold_of_first], card
    )
    assert before[0] == own[0].answer(others, curve)
    assert changed[0].answer(others, curve) != before[0]


def test_patients_stay_together_and_both_kinds_are_spread() -> None:
    own = [*ward(40), *ward(40, seed=1)]
    fold, names = dealt(own), patients_of(own)
    for name in np.unique(names):
        assert len(set(fold[names == name])) == 1
    kinds = np.array([each.sick for each in own])
    assert all(set(kinds[fold == number]) == {True, False} for number in range(10))
    rare = [heard(f"p{row}", row < 2, 0.0) for row in range(12)]
    assert len({int(number) for number in dealt(rare)[:2]}) == 2


def test_a_shift_of_a_device_is_mended_out_of_fold(card: RecordingCard) -> None:
    made = Local.of(ward(120, shift=3.0), card, draws=50)
    before, after = made.scores["before"], made.scores["after"]
    assert after["brier"].value < before["brier"].value  # type: ignore[operator]
    assert after["ece"].value < 0.5 * before["ece"].value  # type: ignore[operator]
    assert after["auc"].value == pytest.approx(before["auc"].value, abs=0.02)
    assert after["missed"].value <= 0.06  # type: ignore[operator]
    assert after["wrong"].value <= 0.11  # type: ignore[operator]
    assert after["certain"].value > 0.3  # type: ignore[operator]
    assert after["auc"].low < after["auc"].value < after["auc"].high  # type: ignore[operator]
    assert made.patients == {"all": 120, "sick": 60, "well": 60}


def test_few_patients_are_told_that_nothing_is_certain(card: RecordingCard) -> None:
    made = Local.of(ward(12), card, draws=20)
    assert (made.after.normal_abstain_below, made.after.sick_abstain_below) == (NEVER, NEVER)
    assert made.scores["after"]["certain"].value == 0
    assert "6 patients with adventitious sounds are too few" in made.notes[0]
    assert "19 are needed" in made.notes[0]
    report = made.report(Path("ward.json"))
    assert "12 patients" in report
    assert made.notes[1] in report


def test_a_device_whose_every_recording_was_refused(card: RecordingCard) -> None:
    own = [heard(f"p{row}", row % 2 == 0, 2.0 if row % 2 == 0 else -2.0, lung=0.1) for row in range(20)]
    made = Local.of(own, replace(card, lung_threshold=0.5), draws=20)
    assert (made.scores["before"]["refused"].value, made.scores["after"]["refused"].value) == (1, 0)
    assert made.after.lung_threshold == pytest.approx(0.1, abs=1e-4)
    assert made.scores["before"]["auc"].value == made.scores["after"]["auc"].value == 1


# --- the file -----------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path, detector: Detector) -> Path:
    own = replace(
        Curve(-0.7, 0.6, 0.2).on(detector.card),
        normal_abstain_below=0.9,
        sick_abstain_below=NEVER,
        lung_threshold=0.1,
    )
    path = tmp_path / "ward.json"
    path.write_text(json.dumps(calibration_file(own, detector.sha256, 12, 30, {"notes": []})))
    return path


def test_answers_by_a_file_are_those_of_the_card_replaced(file: Path, detector: Detector) -> None:
    told = json.loads(file.read_text())["card"]
    named = {"normal_certain": "normal_abstain_below", "sick_certain": "sick_abstain_below"} | {
        "lung_share": "lung_threshold"
    }
    entries: Any = {named.get(key, key): tuple(v) if isinstance(v, list) else v for key, v in told.items()}
    by_hand = replace(detector, card=replace(detector.card, **entries))
    by_file = load_model("recording", calibration=file)
    sound = demo_recordings()["wheezes"].samples.astype(np.float32)[: 8 * 8000]
    plain, expected, found, again = (
        laennec.analyze(sound, sample_rate=8000, model=model, calibration=own)
        for model, own in ((detector, None), (by_hand, None), (by_file, None), (detector, file))
    )
    assert found == again
    assert found.record == expected.record != plain.record
    assert (found.events, found.refused_parts) == (expected.events, expected.refused_parts)
    assert replace(found, calibration=None) == expected
    assert found.calibration is not None
    assert (found.calibration.name, found.calibration.patients) == ("ward.json", 12)
    model = to_json(found)["model"]
    assert model["calibration"] == vars(found.calibration)
    assert to_json(plain)["model"]["calibration"] is None
    assert f"calibrated by ward.json (12 patients, {found.calibration.date})" in facts(found)


def test_what_calibrate_hears_is_what_analyze_answers(tmp_path: Path, detector: Detector) -> None:
    calibrate = pytest.importorskip("laennec.train.calibrate")
    pandas = pytest.importorskip("pandas")
    sound = demo_recordings()["fine_crackles"].samples.astype(np.float32)[: 6 * 8000]
    write_wav(tmp_path / "a.wav", sound, 8000)
    table = pandas.DataFrame(
        [{"path": str(tmp_path / "a.wav"), "channel": np.nan, "subject": "a", "sick": True}]
    )
    (own,) = calibrate.hear(calibrate.told(table), detector)
    assert own.answer(detector.card) == laennec.analyze(tmp_path / "a.wav", model=detector).record
    strict = replace(detector, card=replace(detector.card, lung_threshold=1.0))
    refused = laennec.analyze(tmp_path / "a.wav", model=strict).record
    assert refused is not None
    assert refused.refused
    assert own.answer(strict.card) == refused


def test_results_by_another_calibration_are_not_done(file: Path, tmp_path: Path) -> None:
    def options(own: Path | None) -> str:
        job = Job.prepare("recording", None, {}, tmp_path / "out", ("json",), False, calibration=own)
        ledger = job.ledger({})
        assert ledger is not None
        ledger.close()
        return ledger._options

    first, without = options(file), options(None)
    file.write_text(file.read_text().replace('"patients": 12', '"patients": 13'))
    assert len({first, without, options(file)}) == 3


def changed(file: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    told = json.loads(file.read_text())
    change(told)
    file.write_text(json.dumps(told))
    return file


WRONG_FILES = {
    "of another model": (lambda d: d["model"].update(sha256="0" * 64), "made for another model, recording"),
    "later": (lambda d: d.update(format=2), "format 2, and this Laennec reads up to 1; update"),
    "no format": (lambda d: d.pop("format"), "damaged, format is None"),
    "format 0": (lambda d: d.update(format=0), "damaged"),
    "something else": (lambda d: d.update(kind="x"), "no calibration of a device"),
    "no card": (lambda d: d.pop("card"), "damaged, card is None"),
    "no entry": (lambda d: d["card"].pop("record_bias"), "its card has no record_bias"),
    "slope": (lambda d: d["card"].update(record_temperature=-1), "record_temperature is -1; expected"),
    "no number": (lambda d: d["card"].update(lung_share=None), "lung_share is None; expected"),
    "NaN": (lambda d: d["card"].update(normal_certain=float("nan")), "normal_certain is nan; expected"),
    "bias": (lambda d: d["card"].update(record_bias=[1.0]), "record_bias has 1 numbers"),
    "model": (lambda d: d["model"].update(sha256=3), "does not say what it is of"),
    "patients": (lambda d: d.update(patients=0), "does not say what it is of"),
    "date": (lambda d: d.update(date="soon"), "date is 'soon'"),
}


@pytest.mark.parametrize("name", WRONG_FILES)
def test_wrong_files_are_refused(name: str, file: Path, detector: Detector) -> None:
    change, said = WRONG_FILES[name]
    with pytest.raises(LaennecError, match=said) as caught:
        with_calibration(detector, changed(file, change))
    assert str(caught.value).startswith(str(file))


def test_files_that_cannot_be_read_are_refused(file: Path, tmp_path: Path, detector: Detector) -> None:
    for content in (b"", file.read_bytes()[:-40], b"[]", b"\xff"):
        file.write_bytes(content)
        with pytest.raises(LaennecError, match=r"ward.json: .*laennec calibrate"):
            with_calibration(detector, file)
    for place in (tmp_path, tmp_path / "nowhere.json", 3):
        with pytest.raises(LaennecError):
            laennec.analyze(np.zeros(8000), sample_rate=8000, model=detector, calibration=place)  # type: ignore[arg-type]


def test_a_model_for_clips_takes_no_calibration(file: Path) -> None:
    with pytest.raises(LaennecError, match="default is for clips; name one with --model"):
        load_model("default", calibration=file)
    with pytest.raises(LaennecError, match="is for clips"):
        laennec.analyze(np.zeros(8000), sample_rate=8000, window_s=1.0, calibration=file)


# --- the command --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("Normal", False),
        ("normal", False),
        ("CAS & DAS", True),
        ("cas+das", True),
        ("Fine Crackle", True),
        ("crackle", True),
        ("both", True),
        ("Adventitious", True),
        ("Poor Quality", None),
        ("inspiration", None),
        ("", None),
    ],
)
def test_labels_tell_of_adventitious_sounds(label: str, expected: bool | None) -> None:
    assert is_adventitious(label) is expected


def practice(root: Path, rows: Sequence[tuple[str, str, str]]) -> Path:
    """A folder of one's own: patient, label, what else the row has (times of an event)."""
    root.mkdir(exist_ok=True)
    lines = ["path,label,subject,start_s,end_s"]
    for number, (patient, label, times) in enumerate(rows):
        name = f"{number}.wav"
        if not (root / name).exists():
            write_wav(root / name, np.random.default_rng(number).normal(0, 0.1, 5_600), 8000)
        lines.append(f"{name},{label},{patient},{times or ','}")
    (root / "clips.csv").write_text("\n".join(lines) + "\n")
    return root


TWELVE = [(f"p{row}", "Normal" if row % 2 else "wheeze", "") for row in range(12)]


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch, detector: Detector) -> None:
    """A detector that hears what the label says."""
    calibrate = pytest.importorskip("laennec.train.calibrate")

    def load(name: str) -> Any:
        return detector if name == "recording" else load_detector(name)

    def hear(table: Any, detector: Detector) -> list[Heard]:
        return [heard(own.patient, own.sick, 1.0 if own.sick else -2.0) for own in table]

    monkeypatch.setattr(calibrate, "hear", hear)
    monkeypatch.setattr(calibrate, "load_detector", load)


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["calibrate", *map(str, words)])
    out, err = capsys.readouterr()
    return int(str(stopped.value.code)), out, err


@pytest.mark.usefixtures("made_up")
def test_the_command_writes_a_file_that_analyze_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], detector: Detector
) -> None:
    data, out = practice(tmp_path / "ward", TWELVE), tmp_path / "new" / "ward.json"
    code, said, err = run(capsys, "--data", data, "--out", out, "--prevalence", 0.2)
    assert (code, err) == (0, "")
    assert "calibration error" in said
    assert f"laennec analyze rec.wav --calibration {out}" in said
    told = json.loads(out.read_text())
    assert (told["patients"], told["recordings"], told["prevalence"]) == (12, 12, 0.2)
    assert told["data"]["patients"] == {"all": 12, "sick": 6, "well": 6}
    assert told["scores"]["after"]["auc"]["value"] == 1
    assert str(tmp_path) not in out.read_text()
    own = read_calibration(out)
    assert (own.patients, own.model_sha256) == (12, detector.sha256)
    assert with_calibration(detector, out).card.normal_abstain_below == NEVER
    code, _, _ = run(capsys, "--data", data, "--out", out)  # a calibration may be replaced
    assert code == 0


@pytest.mark.usefixtures("made_up")
def test_labels_of_events_make_that_of_the_recording(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(who, label, "0.01,0.05") for who, label, _ in TWELVE]
    root = practice(tmp_path / "ward", rows)
    table = (root / "clips.csv").read_text()
    (root / "clips.csv").write_text(table + "1.wav,Fine Crackle,p1,0.06,0.09\n0.wav,normal,p0,0.06,0.09\n")
    code, said, _ = run(capsys, "--data", root, "--out", tmp_path / "ward.json")
    assert code == 0
    assert "7 recordings of 7 patients with adventitious sounds, 5 recordings of 5 patients normal" in said


@pytest.mark.usefixtures("made_up")
def test_what_is_left_out_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = [("q", "Poor Quality", ""), ("q", "Wheze", ""), ("q", "odd", ""), ("", "Normal", "")]
    root = practice(tmp_path / "ward", [*TWELVE, *more])
    code, _, err = run(capsys, "--data", root, "--out", tmp_path / "ward.json")
    assert code == 0
    assert "1 recording of poor quality" in err
    assert "1 recording labelled 'Wheze', which is no known label; did you mean 'Wheeze'?" in err
    assert "1 recording labelled 'odd', which is no known label" in err
    assert "1 recording of unknown patients; name them" in err
    assert json.loads((tmp_path / "ward.json").read_text())["recordings"] == 12


REFUSED = {
    "nine patients": (TWELVE[:9], (), "9 labelled recordings of 9 patients; a calibration needs 10"),
    "one patient": ([("p", label, "") for _, label, _ in TWELVE], (), "of 1 patient; a calibration needs 10"),
    "only sick": ([(who, "wheeze", "") for who, *_ in TWELVE], (), "0 patients with normal recordings"),
    "only well": ([(who, "Normal", "") for who, *_ in TWELVE], (), "0 patients with adventitious sounds"),
    "no known label": ([(who, "odd", "") for who, *_ in TWELVE], (), "no recording has a label that tells"),
    "only poor": ([(who, "Poor Quality", "") for who, *_ in TWELVE], (), "no recording has a label that"),
    "a model for clips": (TWELVE, ("--model", "default"), "default is a model for clips"),
    "no model": (TWELVE, ("--model", "nowhere"), "no such model"),
    "percent": (TWELVE, ("--prevalence", "30"), "--prevalence 30: expected a share"),
    "another data set": (TWELVE, ("--dataset", "nothing"), "is no dataset"),
}


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize("name", REFUSED)
def test_the_command_refuses(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, options, said = REFUSED[name]
    root = practice(tmp_path / "ward", rows)
    code, _, err = run(capsys, "--data", root, "--out", tmp_path / "ward.json", *options)
    assert code in (1, 2)
    assert said in err
    assert "error in Laennec" not in err
    assert not (tmp_path / "ward.json").exists()


@pytest.mark.usefixtures("made_up")
def test_no_other_file_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = practice(tmp_path / "ward", TWELVE)
    for out, said, expected in (
        (root / "ward.json", "is or lies in the folder of the data", 1),
        (tmp_path, "is a folder", 2),
        (tmp_path / "mine.txt", "is there and would be replaced; name another --out", 2),
    ):
        (tmp_path / "mine.txt").write_text("mine")
        code, _, err = run(capsys, "--data", root, "--out", out)
        assert code == expected
        assert said in err
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert not (root / "ward.json").exists()


def test_real_hearing_of_noise_and_silence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    detector: Detector,
) -> None:
    calibrate = pytest.importorskip("laennec.train.calibrate")
    monkeypatch.setattr(calibrate, "load_detector", lambda _: detector)
    root = practice(tmp_path / "ward", TWELVE)
    write_wav(root / "0.wav", np.zeros(4000), 8000)
    code, _, err = run(capsys, "--data", root, "--out", tmp_path / "ward.json")
    assert "0.wav: silent, too short, or a copy" in err
    assert code == 0
    assert json.loads((tmp_path / "ward.json").read_text())["recordings"] == 11


def test_no_pytorch_is_needed() -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("onnx")
    heavy = "{'torch', 'scipy', 'matplotlib'}"
    code = f"import laennec.cli.adapt, laennec.cli.calibrate, sys; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_answers_that_are_none_count_as_neither(card: RecordingCard) -> None:
    own = [heard("p", True, 3.0), heard("q", False, -3.0), heard("r", True, 3.0, lung=0.0)]
    open_card = replace(card, normal_abstain_below=0.0, sick_abstain_below=0.0)
    found = answers_of(own, [None, *(each.answer(open_card) for each in own[1:])], card.records)
    assert found.called.tolist() == [NEITHER, CALLED_NORMAL, NEITHER]
    assert found.sick.tolist() == [True, False, True]
