"""Breath phases: decoded, given, timed, and what is told where they cannot be known."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analyses import bare_analysis
from laennec import analyze
from laennec.analyze.analysis import (
    Breathing,
    BreathPhase,
    Event,
    EventTiming,
    RecordingPrediction,
    Relevance,
)
from laennec.analyze.breath_words import in_words, timing_in_words
from laennec.analyze.breathing import LONGEST_S, summed_up, with_breathing
from laennec.analyze.phases import IN, OUT, REST, decode_phases, probabilities_of, runs_of
from laennec.analyze.pitch import pitch_hz
from laennec.analyze.timing import timing_of
from laennec.audio.recording import Recording
from laennec.datasets.airflow import phases_from_airflow
from laennec.errors import LaennecError
from laennec.model.load import load_model
from laennec.model.phases import PhaseRule, load_phase_model
from laennec.output.fhir import R4, to_fhir
from laennec.output.formats import to_json
from laennec.simulate import simulate_recording

FRAME_S = 0.05
RULE = PhaseRule()
BREATHS = (1.0, 4.0, 7.0, 10.0)  # onsets, of 1 s of inspiration, 1.2 s of expiration and a pause


def states(length_s: float = 12.0) -> np.ndarray:
    at = np.arange(round(length_s / FRAME_S)) * FRAME_S
    found = np.full(at.size, REST)
    for onset in BREATHS:
        found[(at >= onset - 1e-9) & (at < onset + 1.0 - 1e-9)] = IN
        found[(at >= onset + 1.0 - 1e-9) & (at < onset + 2.2 - 1e-9)] = OUT
    return found


def logits(truth: np.ndarray, clear: float = 3.0, noise: float = 1.0, seed: int = 0) -> np.ndarray:
    drawn = noise * np.random.default_rng(seed).standard_normal((3, truth.size))
    return drawn + clear * np.eye(3)[truth].T


def test_noisy_frames_become_the_phases_that_they_are_of():
    truth = states()
    given = logits(truth, 1.5)
    assert (given.argmax(0) != truth).mean() > 0.1  # so that decoding has something to do
    decoded = decode_phases(given, RULE, FRAME_S)
    assert (decoded.path != truth).mean() < 0.05
    assert decoded.posterior.sum(0) == pytest.approx(np.ones(truth.size))
    runs = runs_of(decoded, given)
    assert [run.state for run in runs if run.state != REST] == [IN, OUT] * 4
    assert all((run.end - run.first) * FRAME_S >= 0.2 - 1e-9 for run in runs[:-1])


def test_the_posterior_is_that_of_all_sequences():
    """Against every sequence of a rule whose phases may be a frame long."""
    rule = PhaseRule(shortest_s=(0.0, 0.0, 0.0), lasts_s=(0.1, 0.2, 0.3))
    given = logits(np.array([IN, OUT, OUT, REST]), 0.5)
    scores = given - np.logaddexp.reduce(given, axis=0)
    stay = np.exp(-FRAME_S / np.array(rule.lasts_s))
    follows = np.array([[0, 0.85, 0.15], [0.4, 0, 0.6], [1, 0, 0]])
    moves = np.diag(stay) + (1 - stay)[:, None] * follows
    total, by_state = 0.0, np.zeros((3, 4))
    for path in itertools.product(range(3), repeat=4):
        chance = np.exp(scores[list(path), range(4)].sum())
        chance *= np.prod([moves[a, b] for a, b in itertools.pairwise(path)])
        total += chance
        by_state[list(path), range(4)] += chance
    assert decode_phases(given, rule, FRAME_S).posterior == pytest.approx(by_state / total)


def test_a_bias_moves_what_is_told():
    given = logits(states(), 0.5)
    usual, more = (
        (decode_phases(given, PhaseRule(bias=(bias, 0.0, 0.0)), FRAME_S).path == IN).mean() for bias in (0, 2)
    )
    assert more > usual
    empty = decode_phases(np.zeros((3, 0)), RULE, FRAME_S)
    assert not empty.path.size
    assert not runs_of(empty, np.zeros((3, 0)))


def test_certainty_falls_with_the_margin_and_with_unsteady_breaths():
    weights = (-1.0, 0.3, 0.5, -1.0, 1.0)
    clear, faint = (logits(states(), each, 0.5) for each in (3.0, 0.3))
    chances = []
    for given in (clear, faint):
        runs = runs_of(decode_phases(given, RULE, FRAME_S), given)
        chances.append(probabilities_of(runs, weights).mean())
    assert 0 < chances[1] < chances[0] < 1
    runs = runs_of(decode_phases(clear, RULE, FRAME_S), clear)
    assert runs[0].evidence[2] == pytest.approx(0, abs=0.1)  # breaths of one length
    assert probabilities_of(runs, ()) == pytest.approx([run.evidence[-1] for run in runs])


# --- breaths ------------------------------------------------------------------------------------------------


def told(*spans: tuple[float, float, str], chance: float | None = 0.9) -> Breathing:
    phases = [BreathPhase(start, end, phase, chance) for start, end, phase in spans]
    return summed_up(Breathing(0, "model", True, probability=chance), phases)


USUAL = told(
    (0.0, 0.5, "expiration"),
    (0.5, 1.5, "inspiration"),
    (1.5, 2.5, "expiration"),
    (2.5, 3.5, "pause"),
    (3.5, 4.5, "inspiration"),
    (4.5, 6.5, "expiration"),
    (6.5, 7.5, "inspiration"),
)


def test_breaths_are_counted_and_their_ratio_is_that_of_inspiration_to_the_rest():
    assert [each.breath for each in USUAL.phases] == [None, 0, 0, 0, 1, 1, 2]
    assert USUAL.breaths == 2
    assert USUAL.ie_ratio == pytest.approx(0.5)
    assert (USUAL.inspiration_s, USUAL.expiration_s, USUAL.pause_s) == (1.0, 1.0, 1.0)
    assert "I:E 1:2.0" in in_words(USUAL)
    alone = told((0.0, 1.0, "inspiration"))
    assert (alone.breaths, alone.ie_ratio) == (0, None)
    assert "no whole breath" in in_words(alone)


def crackles(start_s: float, end_s: float, weights: list[float], label: str = "Fine Crackle") -> Event:
    own = Relevance(start_s, end_s, (60.0, 2000.0), (tuple(weights),))
    return Event(start_s, end_s, label, 0.8, {label: 0.8}, relevance=own)


@pytest.mark.parametrize(
    ("weights", "part"),
    [([1, 0.2, 0, 0, 0], "early"), ([0, 0.1, 1, 0.1, 0], "mid"), ([0, 0, 0, 0.2, 1], "late")],
)
def test_crackles_are_early_mid_or_late_by_where_their_evidence_lies(weights, part):
    timing = timing_of(crackles(3.5, 4.5, weights), USUAL)
    assert (timing.phase, timing.part, timing.share) == ("inspiration", part, None)
    assert timing.probability == pytest.approx(0.9)
    assert timing_in_words(timing) == f"{part} inspiration"


def test_a_wheeze_is_of_one_phase_or_of_both_with_its_share():
    wheeze = Event(4.5, 6.0, "Wheeze", 0.8, {"Wheeze": 0.8})
    timing = timing_of(wheeze, USUAL)
    assert (timing.phase, timing.part, timing.share) == ("expiration", None, pytest.approx(0.75))
    assert timing_in_words(replace(timing, pitch_hz=412.3)) == "expiration, 75 % of it, 412 Hz"
    whole = timing_of(replace(wheeze, start_s=3.5, end_s=5.5), USUAL)
    assert (whole.phase, whole.share) == ("both", pytest.approx(2 / 3))
    in_a_pause = timing_of(replace(wheeze, start_s=2.4, end_s=3.4), USUAL)
    assert in_a_pause.phase is None
    assert "pause" in str(in_a_pause.reason)
    nothing = replace(USUAL, known=False, reason="it is a heart", phases=())
    assert timing_of(wheeze, nothing) == EventTiming(None, reason="it is a heart")


@pytest.mark.parametrize("pitch", [150.0, 410.0, 1200.0])
def test_the_pitch_is_that_of_the_tone_and_noise_has_none(pitch):
    at, rng = np.arange(2400) / 4000, np.random.default_rng(0)
    noise = 0.3 * rng.standard_normal(at.size)
    tone = np.sin(2 * np.pi * pitch * at) + 0.4 * np.sin(4 * np.pi * pitch * at)
    assert pitch_hz((tone + noise).astype(np.float32), 4000) == pytest.approx(pitch, rel=0.01)
    assert pitch_hz(noise.astype(np.float32), 4000) is None
    assert pitch_hz(np.zeros(2400, np.float32), 4000) is None
    assert pitch_hz(np.ones(30, np.float32), 4000) is None


# --- analyses -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recording():
    made = simulate_recording(
        np.random.default_rng(5), label="Wheeze", duration_s=15.0, age_years=30.0, adventitious_share=1.0
    )
    return made, Recording.from_array(made.samples, made.sample_rate, "wheezes")


def true_phases(made) -> list[tuple[float, float, str]]:
    found = []
    for breath in made.breaths:
        found.append((breath.start_s, breath.inspiration_end_s, "inspiration"))
        found.append((breath.inspiration_end_s, breath.expiration_end_s, "Expiration"))
    return [each for each in found if each[0] >= 0 and each[1] <= 15.0]


def test_given_phases_time_the_sounds_of_an_analysis(recording, tmp_path: Path):
    made, sound = recording
    plain = analyze(sound)
    given = analyze(sound, phases=true_phases(made))
    assert plain.breathing is None
    assert replace(given, breathing=None, events=plain.events) == plain
    (own,) = given.breathing
    assert (own.source, own.known, own.probability) == ("given", True, None)
    lengths = [(b.inspiration_end_s - b.start_s) / (b.end_s - b.inspiration_end_s) for b in made.breaths]
    assert own.ie_ratio == pytest.approx(np.median(lengths), rel=0.1)
    assert {each.phase for each in own.phases} == {"inspiration", "expiration", "pause"}
    wheezes = [event for event in given.events if event.label == "Wheeze"]
    assert wheezes
    assert {event.timing.phase for event in wheezes} <= {"expiration", "both"}
    pitches = [tone.dominant_hz for tone in made.tones]
    known = [event.timing.pitch_hz for event in wheezes if event.timing.pitch_hz is not None]
    assert known
    assert all(min(abs(pitch / own - 1) for own in pitches) < 0.1 for pitch in known)
    path = tmp_path / "phases.txt"
    path.write_text("".join(f"{a:.4f}\t{b:.4f}\t{c}\n" for a, b, c in true_phases(made)))
    from_file = analyze(sound, phases=path)
    assert from_file.breathing[0].breaths == own.breaths


@pytest.mark.parametrize("words", [("I", "E"), ("inhale", "Exhale"), ("Insp", "exp")])
def test_other_words_for_phases_are_known(recording, words):
    made, sound = recording
    phases = true_phases(made)
    other = dict(zip(("inspiration", "expiration"), words, strict=True))
    renamed = [(start, end, other[label.lower()]) for start, end, label in phases]
    assert analyze(sound, phases=renamed).breathing == analyze(sound, phases=phases).breathing


def test_airflow_gives_phases():
    at = np.arange(2000) / 100
    flow = np.sin(2 * np.pi * at / 4)
    phases = phases_from_airflow(flow, 100)
    assert [label for *_, label in phases[:2]] == ["inspiration", "expiration"]
    assert phases[0][1] - phases[0][0] == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ([(0.0, 1.0, "Wheeze")], "the given phases are none"),
        ([(0.0, 2.0, "inspiration"), (1.0, 3.0, "expiration")], "overlap"),
        ([(0.0, 2.0)], "the given phases are none"),
        ([(0.0, 2.0, "inspiraton")], "the given phases are none"),
        ([("a", 2.0, "inspiration")], "event 1"),
    ],
)
def test_given_phases_that_cannot_be_are_refused(recording, phases, message):
    with pytest.raises(LaennecError, match=message):
        analyze(recording[1], phases=phases)


@pytest.fixture(scope="module")
def model():
    return load_phase_model()


def test_the_model_that_ships_tells_phases_with_their_certainty(recording, model):
    found = analyze(recording[1], phases=True)
    (own,) = found.breathing
    assert own.source == "model"
    assert own.probability is None or 0 <= own.probability <= 1
    assert (found.phase_model.name, found.phase_model.sha256) == ("phases", model.sha256)
    if own.known:
        assert own.probability >= model.card.unknown_below
    else:
        assert own.reason
        assert not own.phases
    assert all(event.timing for event in found.adventitious)


def test_what_is_no_lung_too_long_or_silent_has_no_phases(model):
    at = np.arange(8000 * 12) / 8000
    spoken = (0.5 * np.sign(np.sin(2 * np.pi * 220 * at)) * (np.sin(2 * np.pi * 3 * at) > 0)).astype(
        np.float32
    )
    found = analyze(spoken, sample_rate=8000, phases=True)
    assert found.record.refused
    assert not found.breathing[0].known
    assert "refused" in found.breathing[0].reason
    long = Recording.from_array(np.zeros(int((LONGEST_S + 1) * 4000), np.int16), 4000)
    (own,) = with_breathing(bare_analysis(duration_s=LONGEST_S + 1), long, [0], model).breathing
    assert not own.known
    assert "10 minutes" in own.reason
    assert analyze(np.zeros(8000, np.float32), sample_rate=8000, phases=True).breathing == ()


def test_a_model_for_something_else_is_none_for_phases(tmp_path: Path):
    with pytest.raises(LaennecError, match="not a model of breath phases"):
        load_phase_model("recording")
    path = tmp_path / "phases.onnx"
    path.write_bytes(Path(load_phase_model().source).read_bytes())
    assert load_phase_model(path).card.name == "phases"
    with pytest.raises(LaennecError, match="--phases"):
        load_model(path)
    path.write_bytes(b"nothing")
    with pytest.raises(LaennecError, match="not an ONNX model"):
        load_phase_model(path)


# --- outputs ------------------------------------------------------------------------------------------------


def whole() -> object:
    timing = EventTiming("expiration", None, 0.75, 410.0, 0.9)
    wheeze = Event(4.5, 6.0, "Wheeze", 0.8, {"Wheeze": 0.8}, timing=timing)
    early = Event(
        0.6, 0.9, "Fine Crackle", 0.8, {"Fine Crackle": 0.8}, timing=EventTiming("inspiration", "early")
    )
    return bare_analysis(
        duration_s=8.0,
        events=(early, wheeze),
        breathing=(USUAL,),
        record=RecordingPrediction("CAS & DAS", 0.9, {}),
    )


def test_json_has_phases_where_they_were_asked_for_and_else_as_ever():
    plain = to_json(bare_analysis(events=(Event(0.1, 0.9, "Wheeze", 0.8, {"Wheeze": 0.8}),)))
    assert "breathing" not in plain
    assert "timing" not in plain["events"][0]
    found = json.loads(json.dumps(to_json(whole())))
    assert found["breathing"][0]["ie_ratio"] == 0.5
    assert found["breathing"][0]["phases"][1]["breath"] == 0
    assert found["events"][1]["timing"]["pitch_hz"] == 410.0
    assert found["phase_model"] is None


def test_fhir_has_the_code_of_the_phase_and_the_ratio():
    bundle = to_fhir(whole(), R4)
    codes = [
        each["resource"]["valueCodeableConcept"]["coding"][0]["code"]
        for each in bundle["entry"]
        if "valueCodeableConcept" in each["resource"]
    ]
    assert codes == ["48409008", "9763007"]
    early, wheeze = whole().events
    unsure = replace(whole(), events=(early, replace(wheeze, timing=replace(wheeze.timing, probability=0.8))))
    assert "9763007" not in json.dumps(to_fhir(unsure, R4))
    (phases,) = [
        e["resource"] for e in bundle["entry"] if "Phases of breathing" in str(e["resource"].get("code"))
    ]
    ratio = next(each["valueRatio"] for each in phases["component"] if "valueRatio" in each)
    assert ratio == {"numerator": {"value": 1}, "denominator": {"value": 2.0}}
    assert "early inspiration" in json.dumps(bundle)
    unknown = replace(whole(), breathing=(Breathing(0, "model", False, "it is a heart"),))
    (phases,) = [
        e["resource"]
        for e in to_fhir(unknown, R4)["entry"]
        if "Phases of breathing" in str(e["resource"].get("code"))
    ]
    assert phases["dataAbsentReason"]["coding"][0]["code"] == "unknown"
    assert "it is a heart" in phases["note"][0]["text"]


@pytest.mark.parametrize("version", ["R4", "R5"])
def test_an_independent_reader_takes_phases_in_fhir(version):
    bundles = pytest.importorskip("fhir.resources.R4B.bundle" if version == R4 else "fhir.resources.bundle")
    bundles.Bundle.model_validate_json(json.dumps(to_fhir(whole(), version)))
