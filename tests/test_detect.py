"""Events and answers from recordings as they come: exact in pieces, honest about what is no lung."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from laennec import analyze, load_model
from laennec.analyze.analysis import Event, RecordAnswer
from laennec.analyze.decode import find_events, frame_worth
from laennec.analyze.events import families, label_spans
from laennec.analyze.listener import Listener
from laennec.analyze.recording import Stretch, record_answer, summary_answer
from laennec.audio.recording import Recording
from laennec.labels import SPRSOUND_EVENTS
from laennec.model.card import EventRule
from laennec.model.detector import Detector
from laennec.model.probability import calibrated
from laennec.simulate import demo_recordings
from laennec.simulate.other import other_sound

RULE = EventRule(edge_cost=1.0, shortest_s=0.0)
FRAME_S = 0.05


@pytest.fixture(scope="module")
def detector() -> Detector:
    model = load_model("recording")
    assert isinstance(model, Detector)
    return model


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """Seventy seconds of breathing, with a silent stretch and music in it."""
    parts = [recording.samples for recording in demo_recordings().values()]
    rate = 8_000
    music = other_sound("music", np.random.default_rng(3), 15.0, rate).astype(np.float32)
    silence = np.zeros(7 * rate, np.float32)
    return np.concatenate([parts[0], parts[1], silence, parts[0][: 3 * rate], music, parts[1]])


def heard(detector: Detector, samples: np.ndarray, piece_s: float, hand: int) -> Listener:
    listener = Listener(detector, piece_s=piece_s)
    for first in range(0, samples.size, hand):
        listener.push(samples[first : first + hand])
    listener.finish()
    return listener


# --- in pieces ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("piece_s", "hand"), [(5.0, 10**9), (13.35, 977), (0.05 * 61, 8_000)])
def test_where_the_pieces_meet_leaves_no_trace(
    detector: Detector, sound: np.ndarray, piece_s: float, hand: int
) -> None:
    whole, parts = heard(detector, sound, 1000.0, 10**9), heard(detector, sound, piece_s, hand)
    assert len(whole.events) > 10
    assert [(e.start_s, e.end_s, e.label) for e in parts.events] == [
        (e.start_s, e.end_s, e.label) for e in whole.events
    ]
    for one, other in zip(parts.events, whole.events, strict=True):
        assert one.probability == pytest.approx(other.probability, abs=1e-4)
        assert one.relevance is not None
        assert other.relevance is not None
        np.testing.assert_allclose(one.relevance.values, other.relevance.values, atol=1e-3)
    assert [(s.start_s, s.end_s, s.refused) for s in parts.stretches] == [
        (s.start_s, s.end_s, s.refused) for s in whole.stretches
    ]
    for a, b in zip(parts.stretches, whole.stretches, strict=True):
        np.testing.assert_allclose(a.probabilities, b.probabilities, atol=1e-4)


def test_stretches_cover_the_recording_and_events_lie_in_it(detector: Detector, sound: np.ndarray) -> None:
    listener = heard(detector, sound, 20.0, 8_000)
    edges = [(s.start_s, s.end_s) for s in listener.stretches]
    assert edges[0][0] == 0.0
    assert edges[-1][1] == pytest.approx(sound.size / 8_000)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(edges))
    assert all(a.end_s <= b.start_s for a, b in itertools.pairwise(listener.events))
    refused = [s for s in listener.stretches if s.refused]
    assert refused
    for event in listener.events:
        assert not any(s.start_s <= (event.start_s + event.end_s) / 2 < s.end_s for s in refused)


def test_a_listener_holds_no_more_of_a_long_recording(detector: Detector, sound: np.ndarray) -> None:
    listener = Listener(detector, piece_s=10.0)
    held = []
    for _ in range(6):
        listener.push(sound)
        held.append(listener._heard.nbytes + sum(value.nbytes for value in listener._said.values()))
    assert max(held[2:]) <= 1.5 * max(held[:2])


@pytest.mark.parametrize("samples", [1, 399, 400, 401, 4_000])
def test_very_short_sounds_are_heard(detector: Detector, samples: int) -> None:
    listener = Listener(detector)
    listener.push(np.random.default_rng(0).standard_normal(samples).astype(np.float32) * 0.01)
    listener.finish()
    assert len(listener.stretches) == 1


# --- events -------------------------------------------------------------------------------------------------


def total_worth(worth: np.ndarray, presence: np.ndarray, spans: list[tuple[int, int]]) -> float:
    """What a choice of events is worth by the definition, each of its best family."""
    edges = np.maximum(presence, np.roll(presence, 1, axis=1))
    edges[:, 0] = presence[:, 0]
    edges = np.concatenate([edges, presence[:, -1:]], axis=1)
    total = 0.0
    for first, end in spans:
        total += worth[:, first:end].sum(1).max()
        total += RULE.edge_weight * (edges[1, first] + edges[2, end]) - 2 * RULE.edge_cost
    return total


def test_the_events_found_are_worth_most_of_all_there_could_be() -> None:
    frames = 6
    every: list[list[tuple[int, int]]] = [[]]
    for count in range(1, frames + 1):
        for edges in itertools.combinations_with_replacement(range(frames + 1), 2 * count):
            spans = list(zip(edges[::2], edges[1::2], strict=True))
            if all(a < b for a, b in spans):
                every.append(spans)
    rng = np.random.default_rng(0)
    for _ in range(60):
        presence, worth = rng.normal(0, 2, (3, frames)), rng.normal(0, 2, (3, frames))
        found, settled = find_events(worth, presence, RULE, FRAME_S)
        assert settled == frames
        best = max(total_worth(worth, presence, spans) for spans in every)
        assert total_worth(worth, presence, found) == pytest.approx(best)


def test_what_is_settled_early_is_what_is_found_at_the_end() -> None:
    rng = np.random.default_rng(1)
    for trial in range(40):
        presence = np.repeat(rng.normal(0, 2, (3, 40)), 3, axis=1) + rng.normal(0, 1, (3, 120))
        presence[1:, 1:] = np.minimum(presence[1:, 1:], presence[1:, :-1])
        worth = np.repeat(rng.normal(0, 1, (3, 40)), 3, axis=1)
        whole, _ = find_events(worth, presence, RULE, FRAME_S)
        found: list[tuple[int, int]] = []
        reached = 0
        for until in (*range(10 + trial % 7, 120, 10 + trial % 7), 120):
            last = until == 120
            more, settled = find_events(
                worth[:, reached:until], presence[:, reached:until], RULE, FRAME_S, last
            )
            found += [(reached + a, reached + b) for a, b in more]
            reached += settled
        assert found == whole


def test_short_events_are_dropped_and_endless_ones_cut() -> None:
    presence, worth = np.zeros((3, 900)), np.full((3, 900), -5.0)
    worth[1, 100:104] = 5.0
    worth[0, 200:800] = 5.0
    found, _ = find_events(worth, presence, replace(RULE, shortest_s=0.3), FRAME_S)
    assert found == [(200, 400), (400, 600), (600, 800)]
    kept, _ = find_events(worth, presence, replace(RULE, shortest_s=0.2), FRAME_S)
    assert kept[0] == (100, 104)


def test_a_wheeze_is_found_where_presence_is_low_but_the_class_is_clear() -> None:
    presence, classes = np.full((3, 100), -2.0), np.zeros((7, 100))
    classes[0] = 4.0
    classes[SPRSOUND_EVENTS.index("Wheeze"), 40:60] = 12.0
    rule = EventRule()
    found, _ = find_events(
        frame_worth(presence, classes, families(SPRSOUND_EVENTS), rule), presence, rule, FRAME_S
    )
    assert found == [(40, 60)]


def test_silence_has_no_frames_to_find_events_in() -> None:
    assert find_events(np.zeros((3, 0)), np.zeros((3, 0)), RULE, FRAME_S) == ([], 0)


# --- answers ------------------------------------------------------------------------------------------------


def stretch(start_s: float, end_s: float, likely: int = 0, refused: str | None = None) -> Stretch:
    probabilities = np.full(5, 0.05)
    probabilities[likely] = 0.8
    return Stretch(start_s, end_s, probabilities, np.array([1.0, 0, 0, 0, 0]), 0.0, 0.0, refused)


def test_an_answer_is_the_mean_of_the_stretches_by_their_lengths(detector: Detector) -> None:
    answer = record_answer(detector.card, [stretch(0, 15, 0), stretch(15, 45, 2)], [], channel=1)
    assert answer.label == "DAS"
    assert answer.probability == pytest.approx((0.05 * 15 + 0.8 * 30) / 45)
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert answer.channel == 1
    assert any("1 DAS" in reason and "1 Normal" in reason for reason in answer.reasons)


def test_events_that_contradict_a_normal_answer_are_named(detector: Detector) -> None:
    wheeze = Event(1.0, 2.0, "Wheeze", 0.99, {"Wheeze": 0.99})
    said = record_answer(detector.card, [stretch(0, 15, 0)], [wheeze])
    assert any("say otherwise: 1 of them" in reason for reason in said.reasons)
    unsure = record_answer(detector.card, [stretch(0, 15, 0)], [replace(wheeze, uncertain=True)])
    assert not any("otherwise" in reason for reason in unsure.reasons)
    agreeing = record_answer(detector.card, [stretch(0, 15, 1)], [wheeze])
    assert not any("otherwise" in reason for reason in agreeing.reasons)


def test_refused_stretches_do_not_count_unless_they_are_most(detector: Detector) -> None:
    music = "sounds like music, not like a lung"
    some = record_answer(detector.card, [stretch(0, 15, 2), stretch(15, 25, 0, music)], [])
    assert some.label == "DAS"
    assert some.probability == pytest.approx(0.8)
    most = record_answer(detector.card, [stretch(0, 10, 2), stretch(10, 25, 0, music)], [])
    assert most.label is None
    assert most.refused == music
    assert most.probabilities == {}


def test_of_several_channels_the_least_normal_one_that_can_be_heard_answers() -> None:
    def answer(label: str | None, normal: float, channel: int) -> RecordAnswer:
        told = {"Normal": normal} if label else {}
        return RecordAnswer(label, normal if label else None, told, refused=None if label else "silent")

    chosen = summary_answer(
        [answer("Normal", 0.9, 0), answer("CAS", 0.2, 1), answer("Poor Quality", 0.01, 2)]
    )
    assert chosen is not None
    assert chosen.label == "CAS"
    assert summary_answer([]) is None
    refused = summary_answer([answer(None, 0, 0)])
    assert refused is not None
    assert refused.refused == "silent"


def test_scaling_with_a_temperature_keeps_the_order_and_softens() -> None:
    logits = np.array([[2.0, 0.0, -1.0]])
    sharp, soft = calibrated(logits, 1.0), calibrated(logits, 4.0)
    assert sharp.argmax() == soft.argmax() == 0
    assert soft.max() < sharp.max()
    assert calibrated(logits, 1.0, (0.0, 9.0, 0.0)).argmax() == 1
    np.testing.assert_allclose(sharp.sum(), 1)


# --- the model that ships -----------------------------------------------------------------------------------


def test_what_is_no_lung_is_refused(detector: Detector) -> None:
    refused = dict.fromkeys(("speech", "music", "noise", "heart"), 0)
    for kind in refused:
        for index in range(10):
            wave = other_sound(kind, np.random.default_rng([7, index]), 10.0, 8_000)
            found = analyze(wave.astype(np.float32), sample_rate=8_000, model=detector)
            refused[kind] += found.record is None or found.record.refused is not None
    assert sum(refused.values()) >= 37
    assert min(refused.values()) >= 7


def test_white_noise_and_silence_are_not_called_normal(detector: Detector) -> None:
    noise = np.random.default_rng(0).standard_normal(80_000).astype(np.float32) * 0.1
    found = analyze(noise, sample_rate=8_000, model=detector)
    assert found.record is not None
    assert found.record.refused
    assert found.events == ()
    silent = analyze(np.zeros(80_000, np.float32), sample_rate=8_000, model=detector)
    assert silent.record is None or silent.record.refused
    assert silent.events == ()


def test_simulated_breaths_are_found(detector: Detector) -> None:
    for recording in demo_recordings().values():
        found = analyze(recording.samples, sample_rate=recording.sample_rate, model=detector)
        assert found.segmentation == "detected"
        assert found.record is not None
        assert found.record.refused is None
        for start_s, end_s, _ in recording.events:
            assert any(e.start_s < (start_s + end_s) / 2 < e.end_s for e in found.events)


def test_a_touched_chest_piece_is_named(detector: Detector) -> None:
    samples = demo_recordings()["wheezes"].samples.astype(np.float64)
    clean = analyze(samples, sample_rate=8_000, model=detector)
    assert not any(finding.kind == "contact_noise" for finding in clean.quality)
    samples *= 0.01 / np.abs(samples).max()
    for start in (20_000, 60_000, 90_000):
        samples[start : start + 1_600] += 0.9 * np.sin(np.arange(1_600) * 0.05) * np.hanning(1_600)
    touched = analyze(samples, sample_rate=8_000, model=detector)
    assert any(finding.kind == "contact_noise" for finding in touched.quality)


def test_gain_changes_nothing_much(detector: Detector) -> None:
    samples = demo_recordings()["wheezes"].samples
    loud = analyze(samples, sample_rate=8_000, model=detector)
    quiet = analyze(samples * 0.25, sample_rate=8_000, model=detector)
    assert [e.label for e in loud.events] == [e.label for e in quiet.events]
    assert [e.start_s for e in loud.events] == pytest.approx([e.start_s for e in quiet.events], abs=0.1)


def masked(samples: np.ndarray, detector: Detector, spans: list, hide: np.ndarray) -> np.ndarray:
    """The sound with cells (rows of the evidence by 50 ms) turned down by 30 dB."""
    frame = detector.card.frame_samples
    spectra = [np.fft.rfft(samples[k * frame : (k + 1) * frame]) for k in range(samples.size // frame)]
    hz = np.fft.rfftfreq(frame, 1 / detector.card.sample_rate)
    out = samples.copy()
    for column, place in enumerate(spans):
        spectrum = spectra[place].copy()
        for row, (low, high) in enumerate(itertools.pairwise(detector.card.edges_hz)):
            if hide[row, column]:
                spectrum[(hz >= low) & (hz < high)] *= 10 ** (-30 / 20)
        out[place * frame : (place + 1) * frame] = np.fft.irfft(spectrum, frame)
    return out


def relevance_drops(detector: Detector, samples: np.ndarray) -> list[tuple[float, float]]:
    """For each event: how far its label's log-odds fall when what is marked, and when the rest, is masked."""
    found = Listener(detector)
    found.push(samples)
    found.finish()
    drops = []
    for event in found.events:
        if event.label == detector.card.normal or event.relevance is None:
            continue
        values = np.array(event.relevance.values)
        first = round(event.relevance.start_s / detector.card.frame_s)
        places = [k for k in range(first, first + values.shape[1]) if (k + 1) * 400 <= samples.size]
        values = values[:, : len(places)]
        count = values.size // 5
        order = np.argsort(values, axis=None)
        results = []
        for cells in (order[-count:], order[:count]):
            hide = np.zeros(values.size, bool)
            hide[cells] = True
            changed = masked(samples, detector, places, hide.reshape(values.shape))
            (again,) = label_spans(detector, changed, [(event.start_s, event.end_s)])
            p, q = event.probability, again.probabilities[event.label]
            results.append(float(np.log(p / (1 - p + 1e-9)) - np.log(q / (1 - q + 1e-9))))
        drops.append((results[0], results[1]))
    return drops


@pytest.mark.needs("pandas")
def test_masking_what_is_marked_changes_the_answer_more_on_real_sound(
    detector: Detector, real_data: Path
) -> None:
    from laennec.datasets import sprsound

    records = sprsound.load(real_data / "SPRSound", "record")
    drops: list[tuple[float, float]] = []
    for path in records[records["label"].isin(["CAS", "DAS"])]["path"].iloc[::12]:
        drops += relevance_drops(detector, Recording.read(path).samples[0])
    marked, rest = np.array(drops).T
    assert len(marked) >= 30
    assert marked.mean() > rest.mean() + 0.3
    assert (marked > rest).mean() > 0.6


# --- given events and long files ----------------------------------------------------------------------------


def test_given_boundaries_are_named_by_the_detector_too(detector: Detector) -> None:
    recording = demo_recordings()["wheezes"]
    spans = [(start_s, end_s) for start_s, end_s, _ in recording.events]
    found = analyze(recording.samples, sample_rate=8_000, model=detector, events=spans)
    assert found.segmentation == "given"
    np.testing.assert_allclose([(e.start_s, e.end_s) for e in found.events], spans)
    for event in found.events:
        assert event.relevance is not None
        assert event.relevance.start_s == pytest.approx(event.start_s, abs=0.06)


def test_a_long_file_is_heard_block_by_block_with_the_same_result(
    detector: Detector, sound: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import soundfile

    path = tmp_path / "two.wav"
    soundfile.write(path, np.stack([sound, sound[::-1]], axis=1), 8_000, subtype="FLOAT")
    whole = analyze(path, model=detector)
    monkeypatch.setattr("laennec.audio.stream.LONG_S", 30.0)
    monkeypatch.setattr(Recording, "read", None)  # it must not be read whole
    parts = analyze(path, model=detector)
    assert parts.duration_s == pytest.approx(whole.duration_s)
    assert [(e.channel, e.start_s, e.label) for e in parts.events] == [
        (e.channel, e.start_s, e.label) for e in whole.events
    ]
    assert parts.record is not None
    assert whole.record is not None
    assert parts.record.probabilities == pytest.approx(whole.record.probabilities, abs=1e-4)
