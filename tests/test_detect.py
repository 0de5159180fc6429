"""Events and predictions from recordings as they come: exact in pieces, honest about what is no lung."""

import itertools
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
import soundfile

import laennec
from laennec import analyze, load_model
from laennec.analyze import DetectionSettings, detect
from laennec.analyze.analysis import Event, RecordingPrediction
from laennec.analyze.events import emission_scores, families, find_events, find_events_of_each, is_uncertain
from laennec.analyze.recording import Channel, Segment, combine_channels, predict_channel, predict_segment
from laennec.annotations import Boundary
from laennec.audio.recording import Recording
from laennec.labels import SPRSOUND_EVENTS
from laennec.model.card import EventRule
from laennec.model.detector import Detector, Frames
from laennec.model.probability import calibrated, family_evidence, hit_probability
from laennec.simulate import demo_recordings
from laennec.simulate.other import other_sound

RULE = EventRule(edge_cost=1.0, shortest_s=0.0)
FRAME_S = 0.05
ANALYZE = sys.modules["laennec.analyze"]  # the package's attribute of this name is the function


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """Seventy seconds of breathing, with a silent stretch and music in it."""
    parts = [recording.samples for recording in demo_recordings().values()]
    rate = 8_000
    music = other_sound("music", np.random.default_rng(3), 15.0, rate).astype(np.float32)
    silence = np.zeros(7 * rate, np.float32)
    return np.concatenate([parts[0], parts[1], silence, parts[0][: 3 * rate], music, parts[1]])


def detected(detector: Detector, samples: np.ndarray, chunk_s: float, hand: int) -> Channel:
    """What is found in sound that is processed in chunks, and comes in blocks of `hand` samples."""
    blocks = (samples[None, first : first + hand] for first in range(0, samples.size, hand))
    (channel,) = detect(detector.frames(blocks, chunk_s), DetectionSettings([0], detector.card))
    return channel


# --- in pieces ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("chunk_s", "hand"), [(5.0, 10**9), (13.35, 977), (0.05 * 61, 8_000)])
def test_where_the_chunks_meet_leaves_no_trace(
    detector: Detector, sound: np.ndarray, chunk_s: float, hand: int
) -> None:
    whole, parts = detected(detector, sound, 1000.0, 10**9), detected(detector, sound, chunk_s, hand)
    assert len(whole.events) > 10
    assert [(e.start_s, e.end_s, e.label) for e in parts.events] == [
        (e.start_s, e.end_s, e.label) for e in whole.events
    ]
    for one, other in zip(parts.events, whole.events, strict=True):
        assert one.probability == pytest.approx(other.probability, abs=1e-4)
        assert one.relevance is not None
        assert other.relevance is not None
        np.testing.assert_allclose(one.relevance.values, other.relevance.values, atol=1e-3)
    assert [(s.start_s, s.end_s, s.refused) for s in parts.segments] == [
        (s.start_s, s.end_s, s.refused) for s in whole.segments
    ]
    for a, b in zip(parts.segments, whole.segments, strict=True):
        np.testing.assert_allclose(a.probabilities, b.probabilities, atol=1e-4)


def test_segments_cover_the_recording_and_events_lie_in_it(detector: Detector, sound: np.ndarray) -> None:
    channel = detected(detector, sound, 20.0, 8_000)
    edges = [(s.start_s, s.end_s) for s in channel.segments]
    assert edges[0][0] == 0.0
    assert edges[-1][1] == pytest.approx(sound.size / 8_000)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(edges))
    assert all(a.end_s <= b.start_s for a, b in itertools.pairwise(channel.events))
    refused = [s for s in channel.segments if s.refused]
    assert refused
    for event in channel.events:
        assert not any(s.start_s <= (event.start_s + event.end_s) / 2 < s.end_s for s in refused)


@pytest.mark.parametrize("events", [None, [(1.0, 2.0), (240.0, 241.0)]])
def test_no_more_is_held_of_a_long_recording(
    detector: Detector, sound: np.ndarray, events: list[tuple[float, float]] | None
) -> None:
    held = []

    def blocks() -> Iterator[np.ndarray]:
        for _ in range(4):
            for first in range(0, sound.size, 80_000):
                held.append(tracemalloc.get_traced_memory()[0])
                yield np.stack([sound[first : first + 80_000]] * 2)

    given = None if events is None else [Boundary(*span, None) for span in events]
    tracemalloc.start()
    detect(detector.frames(blocks(), 10.0), DetectionSettings([0, 1], detector.card, given, maps=False))
    tracemalloc.stop()
    third = len(held) // 3
    assert max(held[-third:]) <= 1.3 * max(held[:third])


@pytest.mark.parametrize("samples", [1, 399, 400, 401, 4_000])
def test_very_short_sounds_are_processed(detector: Detector, samples: int) -> None:
    noise = np.random.default_rng(0).standard_normal(samples).astype(np.float32) * 0.01
    assert len(detected(detector, noise, 60.0, 10**9).segments) == 1


def test_without_a_sample_there_are_no_frames(detector: Detector) -> None:
    assert list(detector.frames([])) == []
    assert list(detector.frames([np.zeros((1, 0), np.float32)])) == []


@pytest.mark.parametrize("samples", [1, 399, 400, 1_000, 8_123])
def test_outputs_are_the_mean_over_shifts_below_a_frame(detector: Detector, samples: int) -> None:
    noise = np.random.default_rng(1).standard_normal(samples).astype(np.float32) * 0.01
    card = replace(detector.card, phases=2)
    frames = -(-samples // 400)
    early = detector.run(np.concatenate([np.zeros(100, np.float32), noise]))
    late = detector.run(noise[100:] if samples > 100 else noise)
    averaged = replace(detector, card=card).averaged(noise)
    for name, values in averaged.items():
        assert values.shape[-1] == frames
        inside = min(frames, late[name].shape[-1])
        expected = (early[name][..., :inside] + late[name][..., :inside]) / 2
        np.testing.assert_allclose(values[..., :inside], expected, atol=1e-5)


@pytest.mark.parametrize("gain_db", [-80.0, -40.0, -7.0, 12.0])
def test_gain_does_not_change_the_answer(detector: Detector, gain_db: float) -> None:
    recording = next(iter(demo_recordings().values()))
    samples = recording.samples.astype(np.float32) * np.float32(0.2)
    plain = laennec.analyze(samples, sample_rate=8_000, model=detector)
    other = laennec.analyze(samples * np.float32(10 ** (gain_db / 20)), sample_rate=8_000, model=detector)
    assert plain.events
    assert [(e.start_s, e.end_s, e.label) for e in plain.events] == [
        (e.start_s, e.end_s, e.label) for e in other.events
    ]
    assert plain.record is not None
    assert other.record is not None
    assert other.record.probabilities == pytest.approx(plain.record.probabilities, abs=0.01)


def test_each_channel_has_its_own_level(detector: Detector) -> None:
    samples = next(iter(demo_recordings().values())).samples.astype(np.float32)
    both = laennec.analyze(np.stack([samples * 0.2, samples * 1e-4]), sample_rate=8_000, model=detector)
    loud, soft = ([replace(e, channel=0) for e in both.events if e.channel == k] for k in (0, 1))
    assert loud
    assert [(e.start_s, e.label) for e in loud] == [(e.start_s, e.label) for e in soft]


def test_channels_do_not_see_each_other(detector: Detector, sound: np.ndarray) -> None:
    other = sound[::-1].copy()
    together = detect(
        detector.frames([np.stack([sound, other])], 20.0), DetectionSettings([2, 5], detector.card)
    )
    assert [channel.number for channel in together] == [2, 5]
    for channel, samples in zip(together, (sound, other), strict=True):
        alone = detected(detector, samples, 20.0, 10**9)
        assert [replace(event, channel=0) for event in channel.events] == alone.events


def test_from_a_source_to_its_first_event_the_stack_is_four_deep(detector: Detector) -> None:
    ours = str(Path(laennec.__file__).parent)
    deepest: list[list[str]] = []

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is Event.__init__.__code__ and not deepest:
            stack, caller = [], frame.f_back
            while caller is not None:
                if caller.f_code.co_filename.startswith(ours) and caller.f_code.co_name[0] != "<":
                    stack.append(caller.f_code.co_name)
                caller = caller.f_back
            deepest.append(stack[::-1])

    sys.setprofile(profile)
    try:
        analyze(demo_recordings()["wheezes"].samples, sample_rate=8_000, model=detector)
    finally:
        sys.setprofile(None)
    assert deepest[0][0] == "analyze"
    assert len(deepest[0]) <= 4


# --- events -------------------------------------------------------------------------------------------------


def total_score(scores: np.ndarray, presence: np.ndarray, spans: list[tuple[int, int]]) -> float:
    """The score of a choice of events by the definition, each of its best family."""
    edges = np.maximum(presence, np.roll(presence, 1, axis=1))
    edges[:, 0] = presence[:, 0]
    edges = np.concatenate([edges, presence[:, -1:]], axis=1)
    total = 0.0
    for first, end in spans:
        total += scores[:, first:end].sum(1).max()
        total += RULE.edge_weight * (edges[1, first] + edges[2, end]) - 2 * RULE.edge_cost
    return total


def test_the_events_found_score_highest_of_all_there_could_be() -> None:
    frames = 6
    every: list[list[tuple[int, int]]] = [[]]
    for count in range(1, frames + 1):
        for edges in itertools.combinations_with_replacement(range(frames + 1), 2 * count):
            spans = list(zip(edges[::2], edges[1::2], strict=True))
            if all(a < b for a, b in spans):
                every.append(spans)
    rng = np.random.default_rng(0)
    for _ in range(60):
        presence, scores = rng.normal(0, 2, (3, frames)), rng.normal(0, 2, (3, frames))
        found, settled = find_events(scores, presence, RULE, FRAME_S)
        assert settled == frames
        best = max(total_score(scores, presence, spans) for spans in every)
        assert total_score(scores, presence, found) == pytest.approx(best)


def test_what_is_settled_early_is_what_is_found_at_the_end() -> None:
    rng = np.random.default_rng(1)
    for trial in range(40):
        presence = np.repeat(rng.normal(0, 2, (3, 40)), 3, axis=1) + rng.normal(0, 1, (3, 120))
        presence[1:, 1:] = np.minimum(presence[1:, 1:], presence[1:, :-1])
        scores = np.repeat(rng.normal(0, 1, (3, 40)), 3, axis=1)
        whole, _ = find_events(scores, presence, RULE, FRAME_S)
        found: list[tuple[int, int]] = []
        reached = 0
        for until in (*range(10 + trial % 7, 120, 10 + trial % 7), 120):
            last = until == 120
            more, settled = find_events(
                scores[:, reached:until], presence[:, reached:until], RULE, FRAME_S, last
            )
            found += [(reached + a, reached + b) for a, b in more]
            reached += settled
        assert found == whole


def test_less_than_a_breath_has_no_answer_but_given_events(detector: Detector, sound: np.ndarray) -> None:
    """The last piece of a recording that something cut up lasts 0.18 s."""
    rest = sound[8_000 : 8_000 + round(0.18 * 8_000)]
    found = analyze(rest, sample_rate=8_000, model=detector)
    assert (found.record, found.events) == (None, ())
    assert found.notes[-1] == "not analysed: 0.180 s are too short to hold a breath"
    assert len(analyze(rest, sample_rate=8_000, model=detector, events=[(0.0, 0.15)]).events) == 1


def test_short_events_are_dropped_and_endless_ones_cut() -> None:
    presence, scores = np.zeros((3, 900)), np.full((3, 900), -5.0)
    scores[1, 100:104] = 5.0
    scores[0, 200:800] = 5.0
    found, _ = find_events(scores, presence, replace(RULE, shortest_s=0.3), FRAME_S)
    assert found == [(200, 400), (400, 600), (600, 800)]
    kept, _ = find_events(scores, presence, replace(RULE, shortest_s=0.2), FRAME_S)
    assert kept[0] == (100, 104)


def test_a_wheeze_is_found_where_presence_is_low_but_the_class_is_clear() -> None:
    presence, classes = np.full((3, 100), -2.0), np.zeros((7, 100))
    classes[0] = 4.0
    classes[SPRSOUND_EVENTS.index("Wheeze"), 40:60] = 12.0
    rule = EventRule()
    found, _ = find_events(
        emission_scores(presence, classes, families(SPRSOUND_EVENTS), rule), presence, rule, FRAME_S
    )
    assert found == [(40, 60)]


def test_events_of_many_recordings_at_once_are_those_of_each() -> None:
    rng = np.random.default_rng(0)
    lengths = [0, 1, 2, 40, 300, 90, 40]
    scores, presence = (
        [rng.normal(0, 2, (3, n // 8 + 1)).repeat(8, axis=1)[:, :n] for n in lengths] for _ in range(2)
    )
    presence[3][:] = scores[3][:] = 0.0  # ties
    found = 0
    for rule in (EventRule(), RULE, EventRule(edge_cost=-3.0, shortest_s=0.1)):
        each = [find_events(*own, rule, FRAME_S)[0] for own in zip(scores, presence, strict=True)]
        assert find_events_of_each(scores, presence, rule, FRAME_S) == each
        found += sum(map(len, each))
    assert found > 10
    assert find_events_of_each([], [], RULE, FRAME_S) == []


def test_silence_has_no_frames_to_find_events_in() -> None:
    assert find_events(np.zeros((3, 0)), np.zeros((3, 0)), RULE, FRAME_S) == ([], 0)


# --- records ------------------------------------------------------------------------------------------------


def segment(start_s: float, end_s: float, likely: int = 0, refused: str | None = None) -> Segment:
    probabilities = np.full(5, 0.05)
    probabilities[likely] = 0.8
    return Segment(start_s, end_s, probabilities, np.array([1.0, 0, 0, 0, 0]), 0.0, 0.0, refused)


def test_an_answer_is_the_mean_of_the_segments_by_their_lengths(detector: Detector) -> None:
    answer = predict_channel(detector.card, Channel(1, [], [segment(0, 15, 0), segment(15, 45, 2)]))
    assert answer.label == "DAS"
    assert answer.probability == pytest.approx((0.05 * 15 + 0.8 * 30) / 45)
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert answer.channel == 1
    assert any("1 DAS" in reason and "1 Normal" in reason for reason in answer.reasons)


def test_events_that_contradict_a_normal_answer_are_named(detector: Detector) -> None:
    wheeze = Event(1.0, 2.0, "Wheeze", 0.99, {"Wheeze": 0.99})
    said = predict_channel(detector.card, Channel(0, [wheeze], [segment(0, 15, 0)]))
    assert any("say otherwise: 1 of them" in reason for reason in said.reasons)
    doubtful = replace(wheeze, uncertain=True)
    unsure = predict_channel(detector.card, Channel(0, [doubtful], [segment(0, 15, 0)]))
    assert not any("otherwise" in reason for reason in unsure.reasons)
    agreeing = predict_channel(detector.card, Channel(0, [wheeze], [segment(0, 15, 1)]))
    assert not any("otherwise" in reason for reason in agreeing.reasons)


def test_an_answer_that_its_events_contradict_is_uncertain(detector: Detector) -> None:
    wheeze = Event(1.0, 2.0, "Wheeze", 0.99, {"Wheeze": 0.99})
    normal = replace(wheeze, label="Normal")
    expected = [
        (0, [wheeze], True),  # Normal, and a certain wheeze
        (0, [replace(wheeze, uncertain=True)], False),
        (0, [normal], False),
        (1, [normal], True),  # CAS, and nothing but normal breaths
        (1, [normal, wheeze], False),
        (4, [normal], False),  # Poor Quality says nothing about its breaths
        (4, [], True),
        (0, [], True),
    ]
    card = replace(detector.card, normal_abstain_below=0.7, sick_abstain_below=0.7)
    for likely, events, uncertain in expected:
        answer = predict_channel(card, Channel(0, events, [segment(0, 15, likely)]))
        assert answer.uncertain is uncertain, (likely, events)


def test_normal_and_sick_answers_have_thresholds_of_their_own(detector: Detector) -> None:
    normal = Event(1.0, 2.0, "Normal", 0.99, {"Normal": 0.99})
    wheeze = replace(normal, label="Wheeze")
    old = replace(detector.card, record_abstain_below=0.5, normal_abstain_below=None, sick_abstain_below=None)
    for likely, own, expected in (
        (0, {}, False),
        (0, {"normal_abstain_below": 0.81}, True),
        (0, {"sick_abstain_below": 0.99}, False),
        (1, {"normal_abstain_below": 0.99}, False),
        (1, {"sick_abstain_below": 0.89}, False),  # CAS .8, DAS .05 and both .05: sick with .9
        (1, {"sick_abstain_below": 0.91}, True),
        (4, {"normal_abstain_below": 0.99, "sick_abstain_below": 0.99}, False),
    ):
        channel = Channel(0, [normal, wheeze] if likely == 1 else [normal], [segment(0, 15, likely)])
        assert predict_channel(replace(old, **own), channel).uncertain is expected, (likely, own)


def test_a_record_follows_its_frames_where_the_card_says_so(detector: Detector) -> None:
    """A wheeze in a tenth of the frames, else normal breath; both are as good as sure."""
    card, count = detector.card, 300
    presence, classes = np.full((3, count), 6.0), np.zeros((len(card.labels), count))
    classes[card.labels.index("Normal")] = 8.0
    wheezy = classes.copy()
    wheezy[card.labels.index("Wheeze"), 100:130] = 16.0

    def predicted(classes: np.ndarray, weights: tuple[float, ...]) -> np.ndarray:
        frames = Frames(
            0,
            count * card.frame_s,
            True,
            presence,
            np.zeros((len(card.labels), 1, count)),
            classes,
            np.zeros((2 * len(card.records), count)),
            np.zeros((len(card.patterns or card.sound_classes), count)),
            np.ones(count),
            np.zeros(count),
        )
        return predict_segment(frames, replace(card, record_evidence=weights), 0.0).probabilities

    alone, told = predicted(wheezy, ()), predicted(wheezy, (0.5, 0.0))
    there = family_evidence(presence[0], wheezy, card.labels)
    assert there[0] > 2
    assert there[1] < -2
    assert family_evidence(presence[0], classes, card.labels)[0] < -2
    assert alone == pytest.approx(predicted(classes, ()))
    normal, cas, das, both, _ = np.log(told) - np.log(alone)
    assert cas - normal == pytest.approx(0.5 * there[0])
    assert both == pytest.approx(cas)
    assert das == pytest.approx(normal)


def test_a_found_event_is_uncertain_by_presence_class_and_length(detector: Detector) -> None:
    card = replace(
        detector.card,
        event_abstain_below=0.5,
        event_presence=(0.0, 1.0, 0.0, 2.0),
        event_hit_abstain_below=0.5,
    )
    odds = np.log(0.6 / 0.4)
    assert hit_probability(np.array(0.6), np.array(0.9), np.array(1.0), card.event_presence) == (
        pytest.approx(0.6)
    )
    assert not is_uncertain(0.9, 0.6, np.exp(-0.49 * odds), card)
    assert is_uncertain(0.9, 0.6, np.exp(-0.51 * odds), card)
    assert not is_uncertain(0.51, None, 0.01, card)  # of given boundaries: by its class alone
    assert is_uncertain(0.49, None, 9.0, card)
    assert not is_uncertain(0.51, 0.01, 0.01, replace(card, event_presence=()))


def test_a_clipped_recording_gets_no_certain_answer(detector: Detector) -> None:
    """Clipped as hard as by a gain of 26 dB, wheezes were a certain Normal."""
    wheezes = demo_recordings()["wheezes"].samples.astype(np.float32)
    wheezes /= np.abs(wheezes).max()
    expected = {1.0: False, 20.0: True}
    for gain, clipped in expected.items():
        samples = np.clip(wheezes * np.float32(gain), -1, 1)
        answer = laennec.analyze(samples, sample_rate=8_000, model=detector, any_sound=True).record
        assert answer is not None
        assert any("are clipped" in reason for reason in answer.reasons) is clipped
        assert answer.uncertain or not clipped


def test_any_sound_is_analysed_where_it_is_asked_for(detector: Detector) -> None:
    music = other_sound("music", np.random.default_rng(3), 15.0, 8_000).astype(np.float32)
    refused = laennec.analyze(music, sample_rate=8_000, model=detector).record
    assert refused is not None
    assert refused.refused == "sounds like music, not like a lung"
    answered = laennec.analyze(music, sample_rate=8_000, model=detector, any_sound=True).record
    assert answered is not None
    assert answered.label in detector.card.records
    assert answered.uncertain
    assert any("sounds like music" in reason for reason in answered.reasons)
    silence = laennec.analyze(music * 0, sample_rate=8_000, model=detector, any_sound=True)
    assert silence.record is None or silence.record.refused is not None


def test_refused_segments_do_not_count_unless_they_are_most(detector: Detector) -> None:
    music = "sounds like music, not like a lung"
    some = predict_channel(detector.card, Channel(0, [], [segment(0, 15, 2), segment(15, 25, 0, music)]))
    assert some.label == "DAS"
    assert some.probability == pytest.approx(0.8)
    most = predict_channel(detector.card, Channel(0, [], [segment(0, 10, 2), segment(10, 25, 0, music)]))
    assert most.label is None
    assert most.refused == music
    assert most.probabilities == {}


def test_of_several_channels_the_least_normal_one_that_can_be_heard_answers() -> None:
    def record(label: str | None, normal: float, channel: int) -> RecordingPrediction:
        if label is None:
            return RecordingPrediction(None, None, {}, refused="silent", channel=channel)
        return RecordingPrediction(label, normal, {"Normal": normal}, channel=channel)

    chosen = combine_channels(
        [record("Normal", 0.9, 0), record("CAS", 0.2, 1), record("Poor Quality", 0.01, 2)]
    )
    assert chosen is not None
    assert chosen.label == "CAS"
    assert combine_channels([]) is None
    refused = combine_channels([record(None, 0, 0)])
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
        middles_s = [(start_s + end_s) / 2 for start_s, end_s, _ in recording.events]
        hit = [any(e.start_s < middle_s < e.end_s for e in found.events) for middle_s in middles_s]
        assert sum(hit) >= len(hit) - 1  # of the loudest wheeze, the end is found only


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
    found = detected(detector, samples, 60.0, 10**9)
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
            given = [Boundary(event.start_s, event.end_s)]
            (channel,) = detect(
                detector.frames([changed[None]]), DetectionSettings([0], detector.card, given)
            )
            (again,) = channel.events
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
    for path in records[records["label"].isin(["CAS", "DAS"])]["path"].iloc[::30]:
        drops += relevance_drops(detector, Recording.read(path).samples[0])
    marked, rest = np.array(drops).T
    assert len(marked) >= 30
    assert marked.mean() > rest.mean() + 0.3
    assert (marked > rest).mean() > 0.6


# --- given events and long files ----------------------------------------------------------------------------


def test_given_events_are_classified_by_the_detector_too(detector: Detector) -> None:
    recording = demo_recordings()["wheezes"]
    spans = [(start_s, end_s) for start_s, end_s, _ in recording.events]
    found = analyze(recording.samples, sample_rate=8_000, events=spans)  # without a model named, too
    assert found.model_sha256 == detector.sha256
    assert found.segmentation == "given"
    np.testing.assert_allclose([(e.start_s, e.end_s) for e in found.events], spans)
    for event in found.events:
        assert event.relevance is not None
        assert event.relevance.start_s == pytest.approx(event.start_s, abs=0.06)


def test_a_given_event_beyond_the_end_is_noted(detector: Detector) -> None:
    recording = demo_recordings()["wheezes"]
    end_s = len(recording.samples) / 8_000
    found = analyze(recording.samples, sample_rate=8_000, model=detector, events=[(1, 2), (5, 400)])
    said = f"event 5 to 400 s: reaches outside the recording of {end_s:g} s; shortened to 5 to {end_s:g} s"
    assert found.repairs == (said,)
    assert found.events[-1].end_s == end_s


@pytest.mark.parametrize("given", [False, True])
def test_reasons_count_the_events_of_all_channels(detector: Detector, given: bool) -> None:
    samples = demo_recordings()["wheezes"].samples.astype(np.float32)
    both, events = np.stack([samples, samples[::-1]]), [(1, 2), (3, 4), (5, 6)] if given else None
    found = analyze(both, sample_rate=8_000, model=detector, events=events)
    assert found.record is not None
    own = sum(event.channel == found.record.channel for event in found.events)
    assert 0 < own < len(found.events)
    how = "given" if given else "found"
    start = f"{len(found.events)} events {how}, {own} of them on channel {found.record.channel}: "
    assert found.record.reasons[0].startswith(start)


def test_given_events_take_one_pass_and_do_not_depend_on_chunks(
    detector: Detector, sound: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Overlapping, out of order of their ends, in refused segments, and beyond both ends."""
    spans = [(-1.0, 0.4), (2.0, 50.0), (3.1, 3.2), (20.0, 21.5), (30.0, 36.0), (69.0, 90.0), (69.99, 70.0)]
    given = [Boundary(start_s, end_s, str(start_s)) for start_s, end_s in spans]
    runs: list[int] = []
    run = Detector.averaged
    monkeypatch.setattr(
        Detector, "averaged", lambda self, piece: (runs.append(piece.size), run(self, piece))[1]
    )
    found = []
    for chunk_s in (1000.0, 4.0, 13.35):
        (channel,) = detect(
            detector.frames([sound[None]], chunk_s), DetectionSettings([0], detector.card, given)
        )
        found.append(channel.events)
    assert runs[0] == sound.size
    assert max(runs[1:]) < 13.35 * 8_000 + 3 * detector.card.reach_frames * detector.card.frame_samples
    assert [(e.start_s, e.end_s, e.annotated) for e in found[0]] == [
        (max(0.0, a), min(b, sound.size / 8_000), str(a)) for a, b in spans
    ]
    for events in found[1:]:
        for event, expected in zip(events, found[0], strict=True):
            assert (event.start_s, event.end_s, event.label) == (
                expected.start_s,
                expected.end_s,
                expected.label,
            )
            assert event.probability == pytest.approx(expected.probability, abs=1e-4)


def test_a_long_file_is_processed_block_by_block_with_the_same_result(
    detector: Detector, sound: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "two.wav"
    soundfile.write(path, np.stack([sound, sound[::-1]], axis=1), 8_000, subtype="FLOAT")
    whole = analyze(path, model=detector)
    monkeypatch.setattr("laennec.audio.stream.KEPT_SAMPLES", 30 * 8_000)
    monkeypatch.setattr(ANALYZE, "MAPS_S", 30.0)
    monkeypatch.setattr(Recording, "read", None)  # it must not be read whole
    parts = analyze(path, model=detector)
    assert all(event.relevance is not None for event in whole.events)
    assert parts.events == tuple(replace(event, relevance=None) for event in whole.events)
    assert parts.channel_records == whole.channel_records
    assert (parts.record, parts.duration_s) == (whole.record, whole.duration_s)


def test_a_recording_that_holds_all_that_a_model_hears_lacks_nothing(detector: Detector) -> None:
    """The bands end at 2 kHz, which 4 kHz hold; a model for clips hears more."""
    samples = demo_recordings()["wheezes"].samples[::2].astype(np.float32)
    for model, lacks in ((detector, False), (load_model("default"), True)):
        found = laennec.analyze(samples, sample_rate=4_000, model=model, events=[(0, 1)])
        assert any("where the model listens too" in note for note in found.notes) is lacks
        assert any("resampled from 4000" in note for note in found.notes)
