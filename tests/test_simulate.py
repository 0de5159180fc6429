import hashlib
import itertools
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from laennec.errors import LaennecError, UsageError
from laennec.labels import SPRSOUND_EVENTS, SPRSOUND_RECORDS, record_label
from laennec.simulate import chest, dataset, ward
from laennec.simulate import device as devices
from laennec.simulate import patient as patients
from laennec.simulate import recording as simulate
from laennec.simulate.patient import Breathing

QUIET = {"device": "flat", "noise": ward.SILENCE}


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def peak_hz(wave: np.ndarray, sample_rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(wave.size), 8 * wave.size))
    return float(np.fft.rfftfreq(8 * wave.size, 1.0 / sample_rate)[spectrum.argmax()])


@pytest.fixture(scope="module")
def sprsound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sprsound")
    dataset.simulate_dataset(out)
    return out


@pytest.fixture(scope="module")
def icbhi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("icbhi")
    dataset.simulate_dataset(out, layout="icbhi", recordings_per_subject=1, duration_s=8.0)
    return out


# --- waveforms


@pytest.mark.parametrize(("two_cycle_ms", "deflection_ms"), [(5.0, 0.7), (7.5, 1.0), (15.0, 2.25)])
def test_crackle_measures_as_asked(two_cycle_ms: float, deflection_ms: float) -> None:
    rate = 1_000_000
    times_s = np.arange(-0.005, 0.03, 1.0 / rate)
    wave = chest.crackle_waveform(two_cycle_ms / 1000.0, deflection_ms / 1000.0, times_s)
    sounding = np.flatnonzero(np.abs(wave) > 1e-9)
    crossings = np.flatnonzero(np.diff(np.sign(wave[sounding])))
    assert np.ptp(sounding) / rate * 1000.0 == pytest.approx(two_cycle_ms, abs=0.02)
    assert crossings[0] / rate * 1000.0 == pytest.approx(deflection_ms, abs=0.02)
    assert crossings.size == 3  # two cycles are four half waves
    assert (np.diff(crossings) > 0).all()
    assert np.all(np.diff(np.diff(crossings, prepend=0)) > 0)  # each half wave longer than the last
    assert np.abs(wave).max() == pytest.approx(1.0, abs=1e-3)


def test_fine_crackles_are_higher_and_shorter_than_coarse() -> None:
    times_s = np.arange(0, 0.064, 1 / 8000)
    fine = chest.crackle_waveform(0.005, 0.0007, times_s)
    coarse = chest.crackle_waveform(0.015, 0.00225, times_s)
    # About 650 and 350 Hz (Bohadana 2014); two cycles in 5 or 15 ms peak within an octave or so of them.
    assert 325 < peak_hz(fine, 8000) < 1000
    assert 100 < peak_hz(coarse, 8000) < 350


@pytest.mark.parametrize("kind", patients.TONES)
def test_tone_peaks_at_its_stated_pitch_and_level(kind: str) -> None:
    drawn = patients.TONES[kind]
    tone = chest.Tone(kind, 0.2, 1.2, drawn.pitch_hz[0], drawn.pitch_hz[0], drawn.harmonics_db, -6.0)
    times_s = np.arange(0, 1.5, 1 / 8000)
    wave = chest.tone_waveform(tone, times_s, 8000)
    assert peak_hz(wave, 8000) == pytest.approx(tone.dominant_hz, abs=1.0)
    steady = wave[(times_s > 0.5) & (times_s < 0.9)]
    assert 20 * np.log10(steady.std()) == pytest.approx(-6.0, abs=0.1)
    assert not wave[(times_s < 0.2) | (times_s > 1.2)].any()


def test_tone_leaves_out_harmonics_beyond_the_sample_rate() -> None:
    tone = chest.Tone("stridor", 0.0, 1.0, 440.0, 440.0, (-4.0, 0.0, -6.0), 0.0)
    wave = chest.tone_waveform(tone, np.arange(0, 1.0, 1 / 2000), 2000)
    assert peak_hz(wave, 2000) == pytest.approx(880.0, abs=1.0)
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(wave.size)))
    assert spectrum[680] < 1e-3 * spectrum[880]  # where the third harmonic would fold to


def test_kinds_keep_to_their_definitions() -> None:
    assert patients.TONES["wheeze"].pitch_hz[2] >= 100.0
    assert patients.TONES["rhonchus"].pitch_hz[3] <= 200.0
    assert 2 * patients.TONES["stridor"].pitch_hz[2] > 500.0
    assert patients.TONES["stridor"].harmonics_db[1] == max(patients.TONES["stridor"].harmonics_db)
    assert patients.CRACKLE_TWO_CYCLE_MS["fine"][3] < 10.0 < patients.CRACKLE_TWO_CYCLE_MS["coarse"][2]


@pytest.mark.parametrize("name", devices.DEVICES)
def test_device_is_causal_and_as_steep_as_stated(name: str) -> None:
    device = devices.DEVICES[name]
    rate, length = 16000, 16384
    response = devices.device_response(device, np.fft.rfftfreq(length, 1 / rate))
    impulse = np.fft.irfft(response, n=length)
    before = impulse[length // 2 :]
    if name != "flat":  # a flat response is an impulse at zero, whose circular tails are all truncation
        assert np.sum(before**2) < 0.02 * np.sum(impulse**2)
    plain = replace(device, resonances=())
    corners = np.array([device.lowpass_hz, 2 * device.lowpass_hz])
    gain_db = 20 * np.log10(np.abs(devices.device_response(plain, corners)))
    assert gain_db[0] == pytest.approx(-3.0, abs=0.2)
    assert gain_db[0] - gain_db[1] == pytest.approx(6.0 * device.lowpass_order - 3.0, abs=1.5)


# --- one recording


@pytest.mark.parametrize("label", SPRSOUND_EVENTS)
def test_recording_holds_what_it_says(label: str) -> None:
    for seed in range(4):
        made = simulate.simulate_recording(
            np.random.default_rng(seed), label=label, age_years=0.1 + 4.0 * seed
        )
        assert made.samples.dtype == np.float32
        assert made.samples.shape == (120000,)
        assert 0.0 < np.abs(made.samples).max() < 1.0
        assert {name for *_, name in made.events} <= {"Normal", label}
        assert label in {name for *_, name in made.events}
        starts = [start_s for start_s, *_ in made.events]
        assert starts == sorted(starts)
        assert all(0.0 <= start_s < end_s <= 15.0 for start_s, end_s, _ in made.events)
        assert len(made.events) == sum(breath.whole for breath in made.breaths)
        for breath in made.breaths:
            assert breath.start_s < breath.inspiration_end_s < breath.expiration_end_s < breath.end_s
        for crackle in made.crackles:
            event = next(e for e in made.events if e[0] <= crackle.start_s < e[1])
            assert crackle.start_s + crackle.two_cycle_ms / 1000 <= event[1] + 1e-9
            assert event[2].endswith("Crackle")
            assert (crackle.two_cycle_ms < 10) == (crackle.kind == "fine")
        for tone in made.tones:
            assert any(s <= tone.start_s and tone.end_s <= e + 1e-9 and n == label for s, e, n in made.events)
            assert tone.end_s - tone.start_s >= 0.1


def test_same_state_gives_the_same_samples() -> None:
    first, second, other = (
        simulate.simulate_recording(np.random.default_rng(seed), label="Wheeze+Crackle") for seed in (3, 3, 4)
    )
    assert np.array_equal(first.samples, second.samples)
    assert first.tones == second.tones
    assert not np.array_equal(first.samples, other.samples)


def test_inspiration_is_louder_than_expiration_and_the_pause_is_quiet() -> None:
    made = simulate.simulate_recording(np.random.default_rng(0), **QUIET)
    spectrum = np.fft.rfft(made.samples)
    spectrum[np.fft.rfftfreq(made.samples.size, 1 / 8000) < 150] = 0  # heart sounds
    lung = np.fft.irfft(spectrum, made.samples.size)

    def rms(start_s: float, end_s: float) -> float:
        return float(np.std(lung[int(8000 * start_s) : int(8000 * end_s)]))

    for breath in (breath for breath in made.breaths if breath.whole):
        inspiration = rms(breath.start_s, breath.inspiration_end_s)
        expiration = rms(breath.inspiration_end_s, breath.expiration_end_s)
        assert inspiration > 1.5 * expiration
        assert expiration > 5.0 * rms(breath.expiration_end_s + 0.05, breath.end_s - 0.05)


def test_breath_noise_falls_with_frequency() -> None:
    made = simulate.simulate_recording(np.random.default_rng(1), **QUIET)
    power = np.abs(np.fft.rfft(made.samples)) ** 2
    freqs_hz = np.fft.rfftfreq(made.samples.size, 1 / 8000)
    bands_db = [
        10 * np.log10(power[(freqs_hz >= f) & (freqs_hz < 1.2 * f)].mean()) for f in (150, 400, 800, 1600)
    ]
    assert bands_db == sorted(bands_db, reverse=True)
    assert bands_db[2] - bands_db[3] == pytest.approx(chest.BREATH_SLOPE_DB_PER_OCTAVE, abs=2.0)
    # Most energy of normal lung sound lies below 400 Hz.
    assert power[(freqs_hz > 60) & (freqs_hz < 400)].sum() > 5 * power[freqs_hz >= 400].sum()


def test_crackles_are_where_the_truth_says() -> None:
    made = simulate.simulate_recording(np.random.default_rng(2), label="Fine Crackle", **QUIET)
    assert len(made.crackles) > 5
    wave = made.samples.astype(np.float64) / made.inspiration_rms
    for crackle in made.crackles:
        first = int(crackle.start_s * 8000) - 80
        times_s = np.arange(first, first + 240) / 8000
        template = chest.crackle_waveform(
            crackle.two_cycle_ms / 1000, crackle.initial_deflection_ms / 1000, times_s - crackle.start_s
        )
        shifts = range(-40, 41)
        match = [np.dot(template, wave[first + k : first + k + 240]) for k in shifts]
        assert abs(shifts[int(np.argmax(np.abs(match)))]) <= 1
        assert match[40] / np.dot(template, template) == pytest.approx(crackle.peak, abs=2.0)


def test_wheeze_is_heard_at_its_pitch_through_the_default_device() -> None:
    made = simulate.simulate_recording(np.random.default_rng(0), label="Wheeze", noise=ward.SILENCE)
    heard = 0
    for tone in made.tones:
        if sum(other.start_s == tone.start_s for other in made.tones) > 1 or tone.dominant_hz > 520:
            continue
        piece = made.samples[int(8000 * tone.start_s) : int(8000 * tone.end_s)].astype(np.float64)
        half_glide_hz = abs(tone.pitch_end_hz - tone.pitch_start_hz) / 2
        assert peak_hz(piece, 8000) == pytest.approx(tone.dominant_hz, abs=half_glide_hz + 5.0)
        heard += 1
    assert heard


def test_levels_are_those_of_real_recordings() -> None:
    # Median RMS of the normal events of SPRSound 0.0028 (and -54 to -46 dBFS for half of them).
    levels = []
    for seed in range(8):
        made = simulate.simulate_recording(np.random.default_rng(seed))
        levels += [made.samples[int(8000 * s) : int(8000 * e)].std() for s, e, _ in made.events]
    assert 0.0014 < np.median(levels) < 0.0056


def test_sounds_stand_out_as_much_as_in_real_recordings() -> None:
    # SPRSound, 140 to 1000 Hz, re the mean of the normal events of the same recording: wheezes 6.3 dB (half
    # of them 0.9 to 13.2), fine crackles 4.7 dB (2.3 to 8.5).
    def level_db(made: simulate.SimulatedRecording, start_s: float, end_s: float) -> float:
        power = np.abs(np.fft.rfft(made.samples[int(8000 * start_s) : int(8000 * end_s)])) ** 2
        freqs_hz = np.linspace(0, 4000, power.size)
        return 10 * np.log10(power[(freqs_hz > 140) & (freqs_hz < 1000)].sum() / (end_s - start_s) ** 2)

    for label, lowest_db, highest_db in (("Wheeze", 0.9, 13.2), ("Fine Crackle", 2.3, 8.5)):
        above_db = []
        for seed in range(4):
            rng = np.random.default_rng(seed)
            made = simulate.simulate_recording(rng, label=label, adventitious_share=0.5)
            levels = [(level_db(made, start, end), name) for start, end, name in made.events]
            normal = np.mean([level for level, name in levels if name == "Normal"])
            above_db += [level - normal for level, name in levels if name == label]
        assert lowest_db < np.median(above_db) < highest_db, label


def test_a_wheeze_swells_and_fades() -> None:
    # SPRSound: the loudest tenth of a wheeze's frames is 10.7 dB above its quieter third (8 of 10 events:
    # 5.6 to 19.7).
    tone = chest.Tone("wheeze", 0.0, 0.6, 400.0, 400.0, (0.0,), 0.0)
    wave = chest.tone_waveform(tone, np.arange(0, 0.6, 1 / 8000), 8000)
    levels = wave[: 4800 // 80 * 80].reshape(-1, 80).std(axis=1)
    assert 5.6 < 20 * np.log10(np.percentile(levels, 90) / np.percentile(levels, 30)) < 19.7


def test_the_sick_breathe_faster() -> None:
    def periods(label: str) -> list[float]:
        made = simulate.simulate_recording(np.random.default_rng(3), label=label, duration_s=60.0)
        return [breath.end_s - breath.start_s for breath in made.breaths]

    faster = np.mean(periods("Normal")) / np.mean(periods("Wheeze"))
    assert faster == pytest.approx(patients.SICK_RATE, rel=0.1)


def test_poor_quality_buries_the_breath() -> None:
    def loudness(poor: bool) -> float:
        rng = np.random.default_rng(5)
        made = simulate.simulate_recording(rng, noise=ward.draw_noise(np.random.default_rng(6), poor=poor))
        return float(made.samples.std() / made.inspiration_rms)

    assert loudness(True) > 3 * loudness(False)


def test_every_device_keeps_clear_of_full_scale() -> None:
    for n, name in enumerate(devices.DEVICES):
        made = simulate.simulate_recording(
            np.random.default_rng(n),
            label="Stridor",
            device=name,
            noise=ward.HospitalNoise(handling_peak=500.0),
        )
        assert np.abs(made.samples).max() <= 0.951


def test_a_recording_takes_a_tenth_of_a_second() -> None:
    rng = np.random.default_rng(0)
    times_s = []
    for _ in range(5):
        start_s = time.process_time()
        simulate.simulate_recording(rng, label="Fine Crackle")
        times_s.append(time.process_time() - start_s)
    assert min(times_s) < 0.1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"duration_s": 2.0}, "duration_s is 2.0; at 6 years"),
        ({"duration_s": float("nan")}, "duration_s is nan"),
        ({"duration_s": 1000.0}, "to 600 s"),
        ({"sample_rate": 100}, "sample_rate is 100; give 2000 to 96000 Hz"),
        ({"label": "Cough"}, r"label is \['Cough'\]; choose from Normal, Rhonchi"),
        ({"label": ()}, "label is"),
        ({"adventitious_share": 1.5}, "adventitious_share is 1.5; give 0 to 1"),
        ({"age_years": -1.0}, "age_years is -1.0"),
        ({"device": "horn"}, "device is 'horn'; choose from flat"),
    ],
)
def test_wrong_arguments_are_named(wrong: dict, message: str) -> None:
    with pytest.raises(LaennecError, match=message):
        simulate.simulate_recording(np.random.default_rng(0), **wrong)


def test_shortest_duration_holds_a_whole_breath() -> None:
    for seed in range(40):
        age_years = (0.1, 3.0, 16.0, 60.0)[seed % 4]
        duration_s = patients.shortest_duration_s(age_years)
        made = simulate.simulate_recording(
            np.random.default_rng(seed), label="Wheeze", age_years=age_years, duration_s=duration_s, **QUIET
        )
        assert "Wheeze" in {name for *_, name in made.events}


def test_demo_recordings() -> None:
    demo = simulate.demo_recordings()
    assert list(demo) == ["fine_crackles", "wheezes"]
    assert {crackle.kind for crackle in demo["fine_crackles"].crackles} == {"fine"}
    assert {tone.kind for tone in demo["wheezes"].tones} == {"wheeze"}
    assert np.array_equal(demo["wheezes"].samples, simulate.demo_recordings()["wheezes"].samples)


# --- data sets


def test_sprsound_layout(sprsound: Path) -> None:
    wavs, notes = sorted((sprsound / "train_wav").iterdir()), sorted((sprsound / "train_json").iterdir())
    assert [path.stem for path in wavs] == [path.stem for path in notes]
    assert len(wavs) == 48
    types, records = set(), set()
    for wav, note in zip(wavs, notes, strict=True):
        patient, age, sex, place, number = wav.stem.split("_")
        assert patient.isdigit()
        assert 0.2 <= float(age) <= 16
        assert sex in "01"
        assert number.isdigit()
        assert place in ("p1", "p2", "p3", "p4")
        info = soundfile.info(wav)
        assert (info.samplerate, info.channels, info.subtype, info.format) == (8000, 1, "PCM_16", "WAV")
        annotation = json.loads(note.read_text())
        assert set(annotation) == {"record_annotation", "event_annotation"}
        for event in annotation["event_annotation"]:
            assert list(event) == ["start", "end", "type"]
            assert 0 <= int(event["start"]) < int(event["end"]) <= 1000 * info.duration
        own = {event["type"] for event in annotation["event_annotation"]}
        if annotation["record_annotation"] == "Poor Quality":
            assert not own
        else:
            assert own
            assert annotation["record_annotation"] == record_label(own)
        types |= own
        records.add(annotation["record_annotation"])
    assert types == set(SPRSOUND_EVENTS)
    assert records == set(SPRSOUND_RECORDS)
    assert len({path.read_bytes() for path in wavs}) == len(wavs)


def test_ground_truth_agrees_with_the_annotations(sprsound: Path) -> None:
    truth = json.loads((sprsound / "ground_truth.json").read_text())
    assert (truth["layout"], truth["seed"], truth["subjects"]) == ("sprsound", 0, 12)
    assert set(truth["files"]) | {"ground_truth.json"} == set(digests(sprsound))
    for stem, recording in truth["recordings"].items():
        note = json.loads((sprsound / "train_json" / f"{stem}.json").read_text())
        assert recording["poor_quality"] == (note["record_annotation"] == "Poor Quality")
        if not recording["poor_quality"]:
            written = [(int(e["start"]) / 1000, e["type"]) for e in note["event_annotation"]]
            assert written == [(pytest.approx(s, abs=0.0011), name) for s, _, name in recording["events"]]
    crackle = next(r["crackles"][0] for r in truth["recordings"].values() if r["crackles"])
    assert set(crackle) == {"kind", "start_s", "two_cycle_ms", "initial_deflection_ms", "peak"}


def test_icbhi_layout(icbhi: Path) -> None:
    folder = icbhi / "ICBHI_final_database"
    wavs = sorted(folder.glob("*.wav"))
    assert [path.stem for path in wavs] == sorted(path.stem for path in folder.glob("*.txt"))
    flags, devices = set(), set()
    for wav in wavs:
        patient, _, location, mode, device = wav.stem.split("_")
        assert patient.isdigit()
        assert location in dataset.ICBHI_LOCATIONS
        assert mode in ("sc", "mc")
        info = soundfile.info(wav)
        devices.add((device, info.samplerate))
        lines = [line.split("\t") for line in wav.with_suffix(".txt").read_text().splitlines()]
        assert lines
        cycles = [(float(start), float(end)) for start, end, *_ in lines]
        assert all(earlier[1] == later[0] for earlier, later in itertools.pairwise(cycles))
        assert cycles[0][0] >= 0
        assert cycles[-1][1] <= info.duration
        flags |= {(crackles, wheezes) for *_, crackles, wheezes in lines}
    assert flags == {("0", "0"), ("1", "0"), ("0", "1"), ("1", "1")}
    assert devices == {("AKGC417L", 44100), ("LittC2SE", 44100), ("Litt3200", 4000), ("Meditron", 10000)}

    split = dict(
        line.split("\t") for line in (icbhi / "ICBHI_challenge_train_test.txt").read_text().splitlines()
    )
    assert set(split) == {wav.stem for wav in wavs}
    assert set(split.values()) == {"train", "test"}
    people = (icbhi / "ICBHI_Challenge_demographic_information.txt").read_text().splitlines()
    assert all(len(line.split("\t")) == 6 for line in people)
    assert all((float(p.split("\t")[1]) >= 18) == (p.split("\t")[3] != "NA") for p in people)
    diagnosis = dict(
        line.split("\t") for line in (icbhi / "ICBHI_Challenge_diagnosis.txt").read_text().splitlines()
    )
    assert set(diagnosis) == {stem.split("_")[0] for stem in split}
    assert "Healthy" in diagnosis.values()


@pytest.mark.parametrize("layout", ["sprsound", "icbhi"])
def test_same_seed_gives_the_same_bytes_and_more_subjects_change_none(tmp_path: Path, layout: str) -> None:
    settings = {"layout": layout, "recordings_per_subject": 2, "duration_s": 8.0}
    calls: list[tuple[int, int]] = []
    paths = dataset.simulate_dataset(
        tmp_path / "a", subjects=3, **settings, progress=lambda *call: calls.append(call)
    )
    assert calls == [(n, 6) for n in range(1, 7)]
    assert len(paths) == 6
    assert all(path.is_file() for path in paths)
    dataset.simulate_dataset(tmp_path / "b", subjects=3, **settings)
    dataset.simulate_dataset(tmp_path / "more", subjects=5, **settings)
    dataset.simulate_dataset(tmp_path / "other", subjects=3, seed=1, **settings)
    few, more = digests(tmp_path / "a"), digests(tmp_path / "more")
    assert few == digests(tmp_path / "b")
    recordings = {name: digest for name, digest in few.items() if "/" in name}
    assert recordings.items() <= more.items()
    assert not set(recordings.values()) & set(digests(tmp_path / "other").values())


def test_every_class_whatever_the_seed(tmp_path: Path) -> None:
    for seed in (1, 2):
        out = tmp_path / str(seed)
        dataset.simulate_dataset(out, subjects=7, seed=seed, recordings_per_subject=1)
        truth = json.loads((out / "ground_truth.json").read_text())
        found = {name for r in truth["recordings"].values() for *_, name in r["events"]}
        assert found == set(SPRSOUND_EVENTS)


def test_a_folder_of_its_own_is_written_again_and_may_grow(tmp_path: Path) -> None:
    settings = {"recordings_per_subject": 1, "duration_s": 8.0}
    dataset.simulate_dataset(tmp_path, subjects=1, **settings)
    first = digests(tmp_path)
    dataset.simulate_dataset(tmp_path, subjects=1, **settings)
    assert digests(tmp_path) == first
    dataset.simulate_dataset(tmp_path, subjects=2, **settings)
    with pytest.raises(LaennecError, match=r"holds another simulation .* would stay among the new files"):
        dataset.simulate_dataset(tmp_path, subjects=1, **settings)


@pytest.mark.parametrize(
    "name", ["notes.txt", "train_wav/mine.wav", "ground_truth.json", "ICBHI_Challenge_diagnosis.txt"]
)
@pytest.mark.parametrize("layout", ["sprsound", "icbhi"])
def test_files_of_others_are_left_alone(tmp_path: Path, name: str, layout: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(LaennecError, match="which no simulation wrote; give a new or empty folder"):
        dataset.simulate_dataset(tmp_path, subjects=1, layout=layout)
    assert digests(tmp_path) == {name: hashlib.sha256(b"mine").hexdigest()}


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(LaennecError, match="is a file; give a folder"):
        dataset.simulate_dataset(tmp_path / "out")


def test_a_run_cut_short_can_be_run_again(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    settings = {"subjects": 2, "recordings_per_subject": 1, "duration_s": 8.0}
    with pytest.raises(KeyboardInterrupt):
        dataset.simulate_dataset(tmp_path / "cut", **settings, progress=stop)
    dataset.simulate_dataset(tmp_path / "cut", **settings)
    dataset.simulate_dataset(tmp_path / "whole", **settings)
    assert digests(tmp_path / "cut") == digests(tmp_path / "whole")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"layout": "coswara"}, "layout is 'coswara'; choose sprsound or icbhi"),
        ({"subjects": 0}, "subjects is 0; give 1 to 9999"),
        ({"recordings_per_subject": 0}, "recordings_per_subject is 0"),
        ({"seed": -1}, "seed is -1; give 0 or more"),
        ({"duration_s": 0.0}, "duration_s is 0.0"),
    ],
)
def test_wrong_dataset_arguments_write_nothing(tmp_path: Path, wrong: dict, message: str) -> None:
    with pytest.raises(LaennecError, match=message) as caught:
        dataset.simulate_dataset(tmp_path / "out", **wrong)
    assert isinstance(caught.value, UsageError) or "duration_s" in wrong
    assert not (tmp_path / "out").exists()


def test_a_seed_of_the_demonstration_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="seed is -1; give 0 or more"):
        dataset.write_demo(tmp_path / "demo", seed=-1)
    assert not (tmp_path / "demo").exists()


def test_demo_is_two_recordings_with_label_tracks(tmp_path: Path) -> None:
    paths = dataset.write_demo(tmp_path / "demo", seed=3)
    assert [path.name for path in paths] == ["fine_crackles.wav", "wheezes.wav"]
    for path, recording in zip(paths, simulate.demo_recordings(3).values(), strict=True):
        rows = [line.split("\t") for line in path.with_suffix(".txt").read_text().splitlines()]
        assert [label for *_, label in rows] == [label for *_, label in recording.events]
        times = [(float(start), float(end)) for start, end, _ in rows]
        np.testing.assert_allclose(times, [event[:2] for event in recording.events], atol=1e-6)
    truth = json.loads((tmp_path / "demo" / "ground_truth.json").read_text())["recordings"]
    for name, recording in simulate.demo_recordings(3).items():
        drawn = truth[name]
        assert [label for *_, label in drawn["events"]] == [label for *_, label in recording.events]
        spans = [event[:2] for event in drawn["events"]]
        np.testing.assert_allclose(spans, [event[:2] for event in recording.events], atol=1e-6)
        whole = [breath for breath in drawn["breaths"] if breath["whole"]]
        assert [breath["label"] for breath in whole] == [label for *_, label in recording.events]
        assert len(drawn["crackles"]) == len(recording.crackles)
        assert "samples" not in drawn
    first = paths[0].read_bytes()
    assert dataset.write_demo(tmp_path / "demo", seed=3)[0].read_bytes() == first


def test_the_folder_of_another_seed_is_left_alone(tmp_path: Path) -> None:
    settings = {"subjects": 1, "recordings_per_subject": 1, "duration_s": 8.0, "layout": "icbhi"}
    dataset.write_demo(tmp_path / "demo", seed=3)
    dataset.simulate_dataset(tmp_path / "icbhi", seed=3, **settings)
    before = digests(tmp_path)
    with pytest.raises(LaennecError, match=r"demo holds another simulation \(of seed 3, not 4\)"):
        dataset.write_demo(tmp_path / "demo", seed=4)
    with pytest.raises(LaennecError, match=r"icbhi holds another simulation \(of seed 3, not 4\)"):
        dataset.simulate_dataset(tmp_path / "icbhi", seed=4, **settings)
    assert digests(tmp_path) == before


def test_breathing_is_as_it_is_asked_for() -> None:
    """Phases of the breath and the level of expiration; what is drawn besides stays."""
    for share, audible, level_db in ((0.3, 0.8, -2.0), (0.5, 0.4, -12.0)):
        own = Breathing(share, audible, level_db)
        made = simulate.simulate_recording(np.random.default_rng(0), noise=ward.SILENCE, breathing=own)
        for breath in made.breaths:
            inspiration_s = breath.inspiration_end_s - breath.start_s
            assert inspiration_s / (breath.end_s - breath.start_s) == pytest.approx(share, rel=0.09)
            rest_s = breath.end_s - breath.inspiration_end_s
            heard_s = breath.expiration_end_s - breath.inspiration_end_s
            assert heard_s / rest_s == pytest.approx(audible)
    usual = simulate.simulate_recording(np.random.default_rng(0))
    np.testing.assert_array_equal(
        usual.samples, simulate.simulate_recording(np.random.default_rng(0), breathing=Breathing()).samples
    )
    soft, loud = (
        simulate.simulate_recording(
            np.random.default_rng(0), noise=ward.SILENCE, breathing=Breathing(expiration_db=db)
        )
        for db in (-12.0, 0.0)
    )
    (first, *_), rate = [breath for breath in soft.breaths if breath.whole], soft.sample_rate
    here = slice(round(first.inspiration_end_s * rate), round(first.expiration_end_s * rate))
    assert loud.samples[here].std() > 1.5 * soft.samples[here].std()


@pytest.mark.parametrize(
    ("breathing", "what"),
    [
        (Breathing(inspiration_share=0.05), "inspiration_share is 0.05"),
        (Breathing(audible_expiration_share=0.0), "audible_expiration_share is 0.0"),
        (Breathing(expiration_db=30.0), "expiration_db is 30.0"),
    ],
)
def test_breathing_that_nobody_does_is_named(breathing: Breathing, what: str) -> None:
    with pytest.raises(LaennecError, match=what):
        simulate.simulate_recording(np.random.default_rng(0), breathing=breathing)
