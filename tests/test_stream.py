"""Sound that is still coming: the events of the whole, however it is fed, and soon after their end."""

import itertools
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import laennec
from laennec import LaennecError, Recording, Stream
from laennec.analyze import Event
from laennec.analyze.events import find_events
from laennec.audio.samples import resample
from laennec.model.card import EventRule
from laennec.model.detector import CHUNK_S, Detector, FrameStream
from laennec.simulate import demo_recordings
from laennec.simulate.other import other_sound

RATE = 8_000
RULE = EventRule(edge_cost=1.0, shortest_s=0.0)


@pytest.fixture(scope="module")
def detector(detector: Detector) -> Detector:
    return replace(detector, card=replace(detector.card, phases=1))  # a quarter of the work


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """Ten seconds of breathing in 16 bits, as a sound card gives them."""
    samples = demo_recordings()["wheezes"].samples
    return np.round(samples / np.abs(samples).max() * 0.5 * 2**15).astype(np.int16)


def fed(stream: Stream, samples: np.ndarray, lengths: "itertools.cycle[int]") -> list[Event]:
    """The events that are told while the sound comes in blocks of these lengths."""
    told, first = [], 0
    while first < samples.shape[-1]:
        length = next(lengths)
        told += stream.feed(samples[..., first : first + length])
        first += length
    return told


# --- the same as the whole ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [RATE, 44_100])
def test_a_stream_that_waits_gives_what_analyze_gives_whatever_the_pieces(
    detector: Detector, sound: np.ndarray, rate: int
) -> None:
    samples = np.round(resample(sound / 2**15, RATE, rate) * 2**15).astype(np.int16)
    recording = Recording.from_array(samples, rate)
    whole = laennec.analyze(recording, model=detector, age_years=4.0)
    assert len(whole.events) > 3

    @settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.integers(1, 3 * rate), min_size=1, max_size=5))
    def check(lengths: list[int]) -> None:
        stream = Stream(
            rate, detector, level=recording.levels, delay_s=None, chunk_s=CHUNK_S, maps=True, age_years=4.0
        )
        fed(stream, samples, itertools.cycle([max(length, rate // 10) for length in lengths]))
        assert stream.finish() == whole
        assert stream.duration_s == recording.duration_s

    check()


def test_an_analysis_tells_its_events_while_it_goes_on(detector: Detector, sound: np.ndarray) -> None:
    long = np.concatenate([sound, np.zeros(20 * RATE, np.int16), *[sound] * 5])
    told: list[tuple[list[Event], float]] = []
    whole = laennec.analyze(
        long, sample_rate=RATE, model=detector, found=lambda *news: told.append((list(news[0]), news[1]))
    )
    assert len(told) > 1
    assert [event for events, _ in told for event in events] == list(whole.events)
    assert told[-1][1] == whole.duration_s
    assert all(event.end_s <= processed_s + 10 for events, processed_s in told for event in events)

    def stop(events: object, processed_s: float) -> None:
        raise LaennecError("cancelled")

    with pytest.raises(LaennecError, match="cancelled"):
        laennec.analyze(long, sample_rate=RATE, model=detector, found=stop)


# --- soon after ---------------------------------------------------------------------------------------------


def test_an_event_is_told_soon_after_its_end_and_once(detector: Detector, sound: np.ndarray) -> None:
    stream, told = Stream(RATE, detector), []
    for first in range(0, sound.size, 1_600):
        told += [(event, stream.duration_s) for event in stream.feed(sound[first : first + 1_600])]
    assert len(told) > 5
    assert max(now_s - event.end_s for event, now_s in told) <= 2.0
    analysis = stream.finish()
    assert analysis.events[: len(told)] == tuple(event for event, _ in told)
    assert all(a.end_s <= b.start_s for a, b in itertools.pairwise(analysis.events))
    assert analysis.duration_s == sound.size / RATE
    assert analysis.record is not None
    assert analysis.record.label == laennec.analyze(sound, sample_rate=RATE, model=detector).record.label
    with pytest.raises(LaennecError, match="has ended"):
        stream.feed(sound[:100])


def test_what_has_waited_is_processed_at_once(detector: Detector, sound: np.ndarray) -> None:
    samples = sound[None] / np.float32(2**15)
    chunks = list(FrameStream(detector, 0.45, 4.0).feed(samples[:, : 9 * RATE]))
    assert (
        len(chunks) == 1
    )  # and not 18, each with its neighbours: a slow computer would fall behind for good
    assert chunks[0][0].end == 9 * 20
    late, soon = Stream(RATE, detector), Stream(RATE, detector)
    late.feed(sound)
    fed(soon, sound, itertools.cycle([2_000]))
    one, other = late.finish(), soon.finish()
    assert abs(len(one.events) - len(other.events)) <= 2


def test_a_stream_holds_no_more_of_a_long_sound(detector: Detector, sound: np.ndarray) -> None:
    stream, held = Stream(RATE, detector, chunk_s=4.0), []
    tracemalloc.start()
    for _ in range(9):
        fed(stream, sound, itertools.cycle([4_000]))
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert max(held[6:]) <= 1.2 * max(held[:4])


def test_an_endless_sound_is_told_in_parts(detector: Detector) -> None:
    """A tone that never pauses, which the decoder would hold to the end."""
    frames = 1200
    presence, scores = np.zeros((3, frames)), np.full((3, frames), 5.0)
    found, settled = find_events(scores, presence, RULE, 0.05, last=False, delay=20)
    assert settled == frames - 20
    assert all(end - first <= 200 for first, end in found)
    assert found[0][0] == 0
    assert found[-1][1] == settled


# --- what is wrong with it ----------------------------------------------------------------------------------


def kinds(stream: Stream) -> set[str]:
    return {finding.kind for finding in stream.quality}


def test_quality_is_that_of_the_last_seconds(detector: Detector, sound: np.ndarray) -> None:
    stream = Stream(RATE, detector)
    stream.feed(sound)
    assert kinds(stream) == set()
    stream.feed(np.clip(sound[: 4 * RATE].astype(np.int32) * 6, -20_000, 20_000).astype(np.int16))
    assert "clipped" in kinds(stream)
    stream.feed(sound)
    assert kinds(stream) == set()
    stream.feed((sound / 3_000).round().astype(np.int16))
    assert "quiet" in kinds(stream) or "silent" in kinds(stream)
    stream.feed(np.zeros(4 * RATE, np.int16))
    assert "silent" in kinds(stream)
    analysis = stream.finish()
    assert {finding.kind for finding in analysis.quality} >= {"clipped"}


def test_sound_that_begins_is_neither_silent_nor_contact_noise(detector: Detector, sound: np.ndarray) -> None:
    """Four seconds before the chest piece lies on the skin, then lungs with a peak of -11 dBFS."""
    stream = Stream(RATE, detector)
    stream.feed(np.zeros(4 * RATE, np.int16))
    assert kinds(stream) == {"silent"}
    loud = sound[: round(1.2 * RATE)] * (2**15 * 10 ** (-11 / 20) / np.abs(sound[: round(1.2 * RATE)]).max())
    stream.feed(loud.astype(np.int16))
    assert kinds(stream).isdisjoint({"silent", "quiet", "contact_noise"})
    analysis = stream.finish()
    assert "contact_noise" not in {finding.kind for finding in analysis.quality}


def test_a_knock_is_contact_noise_beside_silence_too(detector: Detector, sound: np.ndarray) -> None:
    stream = Stream(RATE, detector)
    soft = (sound[: 4 * RATE] / 30).astype(np.int16)
    knock = np.random.default_rng(0).integers(-30_000, 30_000, round(0.4 * RATE)).astype(np.int16)
    stream.feed(np.concatenate([np.zeros(RATE, np.int16), soft, knock, soft[:RATE]]))
    assert "contact_noise" in kinds(stream)


def test_events_wait_while_it_does_not_sound_like_a_lung(detector: Detector) -> None:
    rng = np.random.default_rng(3)
    music = other_sound("music", rng, 20.0, RATE).astype(np.float32)
    stream = Stream(RATE, detector)
    assert fed(stream, music, itertools.cycle([4_000])) == []
    assert kinds(stream) & set(detector.card.sound_classes[1:])
    analysis = stream.finish()
    assert analysis.events == ()
    assert analysis.record is not None
    assert analysis.record.refused is not None


# --- wrong uses ---------------------------------------------------------------------------------------------


def test_what_a_stream_cannot_take_is_said(detector: Detector) -> None:
    with pytest.raises(LaennecError, match="4,000 to 192,000 Hz"):
        Stream(1_000, detector)
    with pytest.raises(LaennecError, match="for clips"):
        Stream(RATE, "default")
    stream = Stream(RATE, detector, channels=2)
    with pytest.raises(LaennecError, match=r"shape \(2, samples\)"):
        stream.feed(np.zeros(100, np.float32))
    with pytest.raises(LaennecError, match="no sound came"):
        stream.finish()


def test_samples_that_are_none_are_repaired_and_counted(detector: Detector, sound: np.ndarray) -> None:
    samples = sound / np.float32(2**15)
    samples[100], samples[200], samples[300] = np.nan, np.inf, 1.5
    stream = Stream(RATE, detector)
    stream.feed(samples)
    repairs = stream.finish().repairs
    assert repairs == ("2 NaN or infinite samples set to zero", "1 sample above full scale cut off")


def test_too_short_a_sound_is_said_and_channels_are_their_own(detector: Detector, sound: np.ndarray) -> None:
    stream = Stream(RATE, detector)
    stream.feed(sound[:100])
    assert any("too short" in note for note in stream.finish().notes)
    for seconds, refused in ((0.18, True), (0.7, False)):  # a remnant; what a breath may last
        rest = Stream(RATE, detector)
        rest.feed(sound[: round(seconds * RATE)])
        found = rest.finish()
        assert (found.record is None) == any("too short to hold a breath" in note for note in found.notes)
        assert (found.record is None) == refused
    two = Stream(RATE, detector, channels=2, chunk_s=5.0)
    two.feed(np.stack([sound, np.zeros_like(sound)]))
    analysis = two.finish()
    assert {event.channel for event in analysis.events} == {0}
    assert any("channel 1 is silent" in note for note in analysis.notes)
