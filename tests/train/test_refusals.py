"""What is done to lungs before they are analysed, and what is told of the answers."""

import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from laennec import datasets
from laennec.audio.recording import Recording
from laennec.audio.samples import Array
from laennec.errors import LaennecError
from laennec.experiments import processing, recording_tables, refusals
from laennec.experiments.invariances import draw_recordings
from laennec.experiments.processing import AS_IT_IS, PROCESSES
from laennec.experiments.refusals import Answered, Measured, lungs, not_lungs, recordings_in, row_of
from laennec.model.detector import Detector
from laennec.model.load import load_model
from laennec.simulate import simulate_recording

RATE = 8000
LOOPS = [name for name in PROCESSES if "loop" in name]


@pytest.fixture(scope="module")
def lung() -> Array:
    recording = simulate_recording(np.random.default_rng(3), duration_s=7.0, sample_rate=RATE)
    return np.asarray(recording.samples, np.float32)


@pytest.fixture
def white() -> Array:
    return np.asarray(0.1 * np.random.default_rng(0).standard_normal(8 * RATE), np.float32)


def samples_of(processed: Array | bytes) -> Array:
    if isinstance(processed, bytes):
        return Recording.read(processed).resampled(RATE).samples[0]
    return processed


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_is_repeatable_and_keeps_the_length(
    name: str, lung: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processing, "LOOPED_S", 11.0)
    before = lung.copy()
    first, again = (samples_of(PROCESSES[name](lung, RATE)) for _ in range(2))
    assert np.array_equal(first, again)
    assert np.array_equal(lung, before)
    expected = 11 * RATE if name in LOOPS else lung.size
    assert expected <= first.size <= expected + (0.04 * RATE if "32 kbit/s" in name else 0)
    assert first.dtype == np.float32
    assert (name == AS_IT_IS) == np.array_equal(first, lung)


def gain_db(process: Callable[[Array, int], Any], white: Array, low_hz: float, high_hz: float) -> float:
    """Gain of white noise between two frequencies."""
    hz = np.fft.rfftfreq(white.size, 1 / RATE)
    before, after = (np.abs(np.fft.rfft(x)) ** 2 for x in (white, samples_of(process(white, RATE))))
    here = (hz >= low_hz) & (hz < high_hz)
    return float(10 * np.log10(after[here].sum() / before[here].sum()))


@pytest.mark.parametrize(("low_hz", "high_hz"), [(100, 1000), (60, 400)])
def test_a_band_pass_takes_what_lies_outside(low_hz: int, high_hz: int, white: Array) -> None:
    process = PROCESSES[f"band of {low_hz} to {high_hz} Hz"]
    assert gain_db(process, white, 1.5 * low_hz, high_hz / 1.5) == pytest.approx(0, abs=0.5)
    assert gain_db(process, white, 0, low_hz / 2) < -24
    assert gain_db(process, white, 2 * high_hz, 4000) < -24


def test_a_tilt_is_as_steep_as_its_name_says(white: Array) -> None:
    for sign, process in (
        (1, PROCESSES["tilt of +6 dB an octave"]),
        (-1, PROCESSES["tilt of -6 dB an octave"]),
    ):
        levels = [gain_db(process, white, hz, 1.01 * hz) for hz in (100, 200, 400, 800)]
        assert np.diff(levels) == pytest.approx(6.0 * sign, abs=0.2)
        assert np.abs(process(white, RATE)).max() == pytest.approx(np.abs(white).max())  # type: ignore[arg-type]


def test_what_lies_above_2_khz_is_gone_through_4_khz(white: Array) -> None:
    process = PROCESSES["to 44.1 kHz and back through 4 kHz"]
    assert gain_db(process, white, 2100, 4000) < -40 < -0.1 < gain_db(process, white, 50, 1700)


def test_a_loop_repeats(lung: Array) -> None:
    period, fade = 5 * RATE, round(processing.CROSSFADE_S * RATE)
    cut, faded = (processing.looped(fade_s)(lung, RATE) for fade_s in (0.0, processing.CROSSFADE_S))
    assert cut.size == faded.size == 60 * RATE
    assert np.array_equal(cut, np.tile(lung[:period], 12))
    assert np.array_equal(faded[fade:-period], faded[fade + period :])
    assert np.array_equal(faded[fade:period], lung[fade:period])
    constant = processing.looped(processing.CROSSFADE_S)(np.ones(7 * RATE, np.float32), RATE)
    assert constant[fade:] == pytest.approx(1.0)
    short = processing.looped(processing.CROSSFADE_S)(lung[:RATE], RATE)  # shorter than the loop
    assert short.size == 60 * RATE


def test_noise_and_hum_are_as_loud_as_their_names_say(lung: Array) -> None:
    def below_db(name: str) -> float:
        added = np.asarray(PROCESSES[name](lung, RATE)) - lung
        return float(20 * np.log10(lung.std() / added.std()))

    assert below_db("hum of 50 Hz, 20 dB below the lungs") == pytest.approx(20, abs=0.1)
    assert below_db("hum of 50 Hz, as loud as the lungs") == pytest.approx(0, abs=0.1)
    assert below_db("noise of a microphone, 20 dB below the lungs") == pytest.approx(20, abs=0.2)
    power = np.abs(np.fft.rfft(processing.hum(0.0)(lung, RATE) - lung)) ** 2
    hz = np.fft.rfftfreq(lung.size, 1 / RATE)
    near = np.min([np.abs(hz - tone) for tone in (50, 100, 150)], axis=0) < 1
    assert power[near].sum() > 0.999 * power.sum()


def test_soft_clipping_fills_the_scale_and_keeps_the_order(lung: Array) -> None:
    clipped = processing.clipped_softly(lung, RATE)
    assert np.abs(clipped).max() == pytest.approx(1.0)
    assert np.all(np.diff(clipped[np.argsort(lung)]) >= 0)
    assert processing.clipped_softly(np.zeros(8, np.float32), RATE).tolist() == [0] * 8


def test_an_announcement_stands_before_the_lungs(lung: Array) -> None:
    tone = np.sin(np.arange(4 * 16000) / 20)
    told = processing.announced(lambda index: (tone, 16000))(lung, RATE)
    words, rest = np.split(told, [2 * RATE])
    assert np.array_equal(rest, lung)
    assert 20 * np.log10(words.std() / lung.std()) == pytest.approx(processing.LOUDER_DB, abs=0.2)


@pytest.mark.parametrize("kbit_per_s", [32, 64])
def test_mp3_has_the_bit_rate_of_its_name(kbit_per_s: int, lung: Array) -> None:
    content = cast(bytes, PROCESSES[f"MP3, {kbit_per_s} kbit/s"](lung, RATE))
    assert 8 * len(content) / (lung.size / RATE) == pytest.approx(1000 * kbit_per_s, rel=0.05)


def test_recordings_are_drawn_of_as_many_patients_as_there_are() -> None:
    own = {f"p{k}": [f"p{k}/{n}" for n in range(4)] for k in range(6)}
    draw = random.Random(0)
    first = [draw.choice(own[patient]) for patient in draw.sample(sorted(own), 6)]
    assert draw_recordings(own, 50) == first  # one of each
    more = draw_recordings(own, 9, most=2)
    assert more[:6] == first
    assert len(set(more)) == 9
    assert len(draw_recordings(own, 50, most=2)) == 12
    assert len({name[:2] for name in draw_recordings(own, 4, most=2)}) == 4


def test_a_row_compares_with_the_recording_as_it_is() -> None:
    normal, sick = Answered("Normal", "", True), Answered("CAS", "", True)
    unsure, refused = Answered("Normal", "", False), Answered("refused", "noise", False)
    row = row_of([normal, sick, unsure, refused], [normal, normal, unsure, normal], ["a", "a", "b", "c"])
    counts = {key: (own["count"], own["of"]) for key, own in row.items() if key != "heard_as"}
    assert counts == {
        "refused": (1, 4),
        "changed": (2, 4),
        "still_certain": (2, 3),
        "certain_of_another": (1, 3),
    }
    assert row["heard_as"] == {"noise": 1}
    assert row["refused"]["value"] == 0.25
    assert row["refused"]["interval"][0] == 0  # a draw without patient c


def measured(held_out: pd.DataFrame | None = None, **card: Any) -> Measured:
    model = SimpleNamespace(card=SimpleNamespace(**{"recipe": {}, "data": {}, **card}))
    return Measured(cast(Detector, model), {}, held_out)


@pytest.fixture
def tiny_lungs(tmp_path: Path) -> pd.DataFrame:
    datasets.dataset("sprsound").tiny(tmp_path / "lungs")
    return recordings_in("sprsound", tmp_path / "lungs")


def test_lungs_that_a_model_learnt_from_are_said_to_be(tiny_lungs: pd.DataFrame) -> None:
    of = {"training": "SPRSound 2022 training set (events and records); ICBHI 2017 (as lungs)"}
    assert measured(data=of).of(tiny_lungs)[1]
    assert measured(recipe={"dataset": "sprsound"}).of(tiny_lungs)[1]
    assert not measured(recipe={"dataset": "icbhi", "also": ["kauh"]}).of(tiny_lungs)[1]
    kept, in_sample = measured(tiny_lungs.iloc[:1], recipe={"dataset": "sprsound"}).of(tiny_lungs)
    assert (len(kept), in_sample) == (1, False)
    with pytest.raises(LaennecError, match="the fold held out no recording of sprsound"):
        measured(tiny_lungs.iloc[:0]).of(tiny_lungs)


def test_every_process_is_asked_of_every_recording(
    tiny_lungs: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answered(sound: Array | bytes, rate: int, model: Detector) -> Answered:
        long = isinstance(sound, np.ndarray) and sound.size == 60 * rate
        return Answered("refused", "music", False) if long else Answered("Normal", "", True)

    names = (AS_IT_IS, "loop of 5 s, cut")
    monkeypatch.setattr(refusals, "PROCESSES", {name: PROCESSES[name] for name in names})
    monkeypatch.setattr(refusals, "answered", answered)
    monkeypatch.setattr(refusals, "speech", lambda index: np.sin(np.arange(3 * RATE) / 9))
    own = lungs(tiny_lungs, 100, measured(recipe={"dataset": "sprsound"}))
    assert (own["recordings"], own["in_sample"]) == (len(tiny_lungs), True)
    assert list(own["processes"]) == [*names, "announcement of 2 s before"]
    text = recording_tables.processed(lambda name: {"lungs": {"sprsound": own}})
    _, _, heading, plain, loop, _ = text.splitlines()
    assert heading.startswith(f"| **SPRSound**: {len(tiny_lungs)} recordings of ")
    assert heading.split("|")[1].endswith("trained on ")
    assert plain == "| as it is | 0 % |  | 0 % | 100 % | 0 % |"  # too few patients for intervals
    assert loop == f"| loop of 5 s, cut | 100 % | music: {len(tiny_lungs)} | 100 % | 0 % | 0 % |"


def test_what_is_no_lung_is_counted_by_kind_and_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([Answered("refused", "heart", False), Answered("Normal", "", True)] * 9)
    monkeypatch.setattr(refusals, "answered", lambda *of: next(answers))
    datasets.dataset("not-lung").tiny(tmp_path)
    own = not_lungs(recordings_in("not-lung", tmp_path), measured())
    sizes = {row["device"]: (row["kind"], row["refused"]["of"], row["subjects"]) for row in own["kinds"]}
    assert sizes["heart_circor"] == ("heart", 2, 2)
    assert sizes["speech_digits"] == ("speech", 3, 2)
    assert sum(of for _, of, _ in sizes.values()) == 10
    assert not own["in_sample"]
    text = recording_tables.not_lung(lambda name: {"not_lung": own})
    assert "| heart: heart_circor | 50 % (0 to 100) | 2 | 2 | Normal: 1 | 1 |" in text


def test_silence_is_refused() -> None:
    """It has no channel to answer for."""
    model = load_model("recording")
    assert isinstance(model, Detector)
    for sound in (np.zeros(24_000, np.float32), refusals.silence(1).astype(np.float32)):
        assert refusals.answered(sound, 8_000, model).answer == "refused"
