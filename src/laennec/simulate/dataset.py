"""Simulated patients and recordings in the layouts of SPRSound and ICBHI 2017, with their ground truth."""

import io
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from laennec.annotations import audacity, icbhi, sprsound
from laennec.datasets.simulated import SIMULATION_FILE, SIMULATION_MARK, digests_of, read_simulation
from laennec.errors import LaennecError, UsageError
from laennec.files import remove_leftovers, write_json, write_text, written_whole
from laennec.labels import POOR_QUALITY, record_label
from laennec.signals import deferred
from laennec.simulate.chest import Wave
from laennec.simulate.recording import (
    SimulatedRecording,
    check_recording,
    demo_recordings,
    simulate_recording,
)
from laennec.simulate.ward import draw_noise


@dataclass(frozen=True)
class Profile:
    """A made-up patient: what is heard and what ICBHI would call it."""

    diagnosis: str
    labels: tuple[str, ...]
    age_years: tuple[float, float]  # range in the ICBHI layout; SPRSound's children are 0.2 to 16 years old


# Subject i has profile i modulo 12: the first seven hold every event class, the twelve each in two subjects
# or more (but stridor, rare as it is), and nothing here depends on how many subjects there are.
PROFILES = (
    Profile("Healthy", ("Normal",), (2.0, 60.0)),
    Profile("Pneumonia", ("Fine Crackle",), (50.0, 80.0)),
    Profile("Asthma", ("Wheeze",), (6.0, 50.0)),
    Profile("Bronchiectasis", ("Coarse Crackle",), (30.0, 75.0)),
    Profile("Bronchiolitis", ("Wheeze+Crackle", "Wheeze"), (0.3, 2.0)),
    Profile("COPD", ("Rhonchi",), (55.0, 85.0)),
    Profile("URTI", ("Stridor",), (0.5, 5.0)),
    Profile("Healthy", ("Normal",), (2.0, 60.0)),
    Profile("Pneumonia", ("Fine Crackle", "Coarse Crackle"), (50.0, 80.0)),
    Profile("COPD", ("Wheeze", "Rhonchi"), (55.0, 85.0)),
    Profile("COPD", ("Wheeze+Crackle", "Coarse Crackle"), (55.0, 85.0)),
    Profile("Healthy", ("Normal",), (2.0, 60.0)),
)
POOR_QUALITY_SHARE = 0.08  # of all but the first recordings; 177 of 1,949 in SPRSound's training set
POOR_FOR_SURE = (11, 4)  # profile, recording: so that twelve subjects hold one in every seed
SPRSOUND_DURATIONS_S = (9.216, 15.36)  # s: the two usual durations of SPRSound's recordings
ICBHI_DURATION_S = 20.0  # s: the usual duration of ICBHI 2017's recordings
ICBHI_RECORDINGS = (  # device, acquisition mode, sample rate in Hz: those of the ICBHI 2017 database
    ("AKGC417L", "mc", 44100),
    ("LittC2SE", "mc", 44100),
    ("Litt3200", "sc", 4000),
    ("Meditron", "sc", 10000),
)
ICBHI_LOCATIONS = ("Tc", "Al", "Ar", "Pl", "Pr", "Ll", "Lr")
FILES = {  # of a recording: sound, annotation
    "sprsound": ("train_wav/{}.wav", "train_json/{}.json"),
    "icbhi": ("ICBHI_final_database/{}.wav", "ICBHI_final_database/{}.txt"),
}


@dataclass(frozen=True)
class _Subject:
    """One person; `index` seeds what is drawn for each."""

    index: int
    age_years: float
    sex: int
    bmi: float

    @property
    def profile(self) -> Profile:
        return PROFILES[self.index % len(PROFILES)]

    @property
    def icbhi_number(self) -> int:
        return 901 + self.index  # ICBHI's patients are 101 to 226


@dataclass(frozen=True)
class _Planned:
    """One recording to be made; its subject's index and `number` seed it."""

    subject: _Subject
    number: int
    stem: str
    poor: bool
    device: str
    sample_rate: int
    duration_s: float


def _rng(seed: int, subject: int, number: int) -> np.random.Generator:
    """Chance of one recording (`number` from 1) or of the subject (0), whatever else is simulated."""
    return np.random.default_rng([seed, subject, number])


def _plan(seed: int, index: int, layout: str, count: int, duration_s: float | None) -> list[_Planned]:
    """A subject's recordings; their file names are known before anything is written."""
    rng = _rng(seed, index, 0)
    low, high = (0.2, 16.0) if layout == "sprsound" else PROFILES[index % len(PROFILES)].age_years
    age_years = round(rng.uniform(low, high), 1)
    subject = _Subject(index, age_years, int(rng.integers(2)), round(rng.uniform(19.0, 33.0), 1))
    rng = _rng(seed, index, 0).spawn(1)[0]
    plan = _plan_sprsound if layout == "sprsound" else _plan_icbhi
    planned = [plan(rng, subject, number, count) for number in range(1, count + 1)]
    return planned if duration_s is None else [replace(item, duration_s=duration_s) for item in planned]


def _plan_sprsound(rng: np.random.Generator, subject: _Subject, number: int, count: int) -> _Planned:
    patient = 90000001 + subject.index  # no patient of SPRSound has such a number
    serial = subject.index * count + number
    stem = f"{patient}_{subject.age_years:.1f}_{subject.sex}_p{(number - 1) % 4 + 1}_{serial}"
    poor = number > 1 and rng.random() < POOR_QUALITY_SHARE
    poor = poor or (subject.index % len(PROFILES), number) == POOR_FOR_SURE
    duration_s = float(rng.choice(SPRSOUND_DURATIONS_S))
    return _Planned(subject, number, stem, poor, "paediatric stethoscope", 8000, duration_s)


def _plan_icbhi(rng: np.random.Generator, subject: _Subject, number: int, count: int) -> _Planned:
    device, mode, sample_rate = ICBHI_RECORDINGS[subject.index % len(ICBHI_RECORDINGS)]
    location = ICBHI_LOCATIONS[(subject.index + number - 1) % len(ICBHI_LOCATIONS)]
    stem = f"{subject.icbhi_number}_{number}b1_{location}_{mode}_{device}"
    # ICBHI 2017 has no label for poor quality.
    return _Planned(subject, number, stem, False, device, sample_rate, ICBHI_DURATION_S)


def simulate_dataset(
    out: str | PathLike[str],
    *,
    subjects: int = 12,
    seed: int = 0,
    layout: str = "sprsound",
    recordings_per_subject: int = 4,
    duration_s: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write simulated recordings in the layout of a public data set, with their ground truth.

    The same arguments give the same bytes, and a larger `subjects` leaves the recordings of the earlier
    subjects as they were. Subject i has `PROFILES[i % 12]`; twelve subjects hold every event class.

    Returns the audio files, in order of subject and recording. ``ground_truth.json`` in `out` holds breaths,
    crackles, tones, heart beats and disturbances of each, by the stem of its file. LaennecError if an
    argument is out of range or the folder is refused.

    Parameters
    ----------
    out : folder, made if need be
        One that is not empty is refused unless each file in it is one that an earlier simulation wrote there
        with the same seed and this one would write again. Nothing is ever deleted.
    subjects : 1 to 9999
    seed : 0 or more
    layout : ``sprsound`` or ``icbhi``
        ``sprsound``: ``train_wav/*.wav`` (8 kHz, 16 bit) and ``train_json/*.json``. ``icbhi``:
        ``ICBHI_final_database/*.wav`` and ``*.txt`` beside the split, demographics and diagnosis files.
    recordings_per_subject : 1 to 100
    duration_s : s of each recording; None for that of the data set (9.2 or 15.4; 20)
    progress : called as ``progress(done, total)`` after each recording
    """
    out = Path(out)
    _check_dataset(subjects, seed, layout, recordings_per_subject)
    plans = [_plan(seed, index, layout, recordings_per_subject, duration_s) for index in range(subjects)]
    planned = list(itertools.chain.from_iterable(plans))
    for item in planned:  # before the first file is written
        age_years = item.subject.age_years
        check_recording(item.duration_s, item.sample_rate, ["Normal"], 0.0, age_years, item.device)
    tables = _icbhi_tables([plan[0].subject for plan in plans], planned) if layout == "icbhi" else {}
    audio, notes = ([pattern.format(item.stem) for item in planned] for pattern in FILES[layout])
    head = claim_folder(out, [*audio, *notes, *tables], layout, seed, subjects=subjects)
    truth = {}
    for item, sound, note in zip(planned, audio, notes, strict=True):
        recording = _simulate_planned(item, seed)
        write_wav(out / sound, recording.samples, recording.sample_rate)
        text = _sprsound_note(recording, item.poor) if layout == "sprsound" else _icbhi_note(recording)
        write_text(out / note, text)
        known = {"age_years": item.subject.age_years, "poor_quality": item.poor}
        truth[item.stem] = _truth(recording, **known)
        if progress is not None:
            progress(len(truth), len(planned))
    for name, text in tables.items():
        write_text(out / name, text)
    finish_folder(out, head | {"recordings": truth})
    return [out / name for name in audio]


def write_demo(out: str | PathLike[str], *, seed: int = 0) -> list[Path]:
    """Write `demo_recordings` as WAV, each with its events as an Audacity label track beside it.

    Returns the audio files. ``ground_truth.json`` in `out` holds what it does for `simulate_dataset`.
    LaennecError if the folder holds files that this simulation would not write again, or another seed's.
    """
    check_seed(seed)
    out, recordings = Path(out), demo_recordings(seed)
    names = [f"{name}{suffix}" for name in recordings for suffix in (".wav", ".txt")]
    head = claim_folder(out, names, "demo", seed)
    for name, recording in recordings.items():
        write_wav(out / f"{name}.wav", recording.samples, recording.sample_rate)
        write_text(out / f"{name}.txt", audacity.write(recording.events))
    truth = {name: _truth(recording) for name, recording in recordings.items()}
    finish_folder(out, head | {"recordings": truth})
    return [out / f"{name}.wav" for name in recordings]


def _check_dataset(subjects: int, seed: int, layout: str, recordings_per_subject: int) -> None:
    if layout not in FILES:
        raise UsageError(f"layout is {layout!r}; choose sprsound or icbhi.")
    if not 1 <= subjects <= 9999:
        raise UsageError(f"subjects is {subjects}; give 1 to 9999.")
    if not 1 <= recordings_per_subject <= 100:
        raise UsageError(f"recordings_per_subject is {recordings_per_subject} (--recordings); give 1 to 100.")
    check_seed(seed)


def check_seed(seed: int) -> None:
    """Refuse a seed below 0, which NumPy takes none of, by UsageError."""
    if seed < 0:
        raise UsageError(f"seed is {seed}; give 0 or more.")


def claim_folder(out: Path, names: Sequence[str], layout: str, seed: int, **facts: Any) -> dict[str, Any]:
    """Write the head of a simulation's ground truth and return it.

    It is there before any other file, so that a run cut short leaves a folder that the next run knows for its
    own. LaennecError where something could be overwritten or mixed that no simulation put there.
    """
    if out.exists() and not out.is_dir():
        raise LaennecError(f"{out} is a file; give a folder to simulate into.")
    remove_leftovers(out)
    present = {path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir()}
    record = read_simulation(out)
    strangers = sorted(present - {*record.get("files", ()), *([SIMULATION_FILE] if record else [])})
    stale = sorted(present - {*names, SIMULATION_FILE})
    refusal = ""
    if strangers:
        refusal = f"{strangers[0]}, which no simulation wrote"
    elif stale:
        refusal = f"another simulation ({stale[0]} would stay among the new files)"
    elif present and record.get("seed") != seed:
        refusal = f"another simulation (of seed {record.get('seed')}, not {seed})"
    if refusal:
        raise LaennecError(f"{out} holds {refusal}; give a new or empty folder (nothing was changed).")
    head = {"generator": SIMULATION_MARK, "layout": layout, "seed": seed, **facts, "files": sorted(names)}
    write_json(out / SIMULATION_FILE, head)
    return head


def finish_folder(out: Path, record: dict[str, Any]) -> None:
    """Write a simulation's whole ground truth, with the checksum of each file: it is complete."""
    write_json(out / SIMULATION_FILE, record | {"sha256": digests_of(out, record["files"])})


def _simulate_planned(item: _Planned, seed: int) -> SimulatedRecording:
    rng = _rng(seed, item.subject.index, item.number)
    return simulate_recording(
        rng,
        duration_s=item.duration_s,
        sample_rate=item.sample_rate,
        label=item.subject.profile.labels,
        adventitious_share=rng.uniform(0.4, 0.9),
        age_years=item.subject.age_years,
        device=item.device,
        noise=draw_noise(rng, poor=item.poor),
    )


def write_wav(path: Path, samples: Wave, sample_rate: int) -> None:
    import soundfile

    held = io.BytesIO()  # libsndfile says of a full disk only that there was a system error
    with deferred():
        soundfile.write(held, samples, sample_rate, subtype="PCM_16", format="WAV")
    with written_whole(path) as temporary:
        temporary.write_bytes(held.getbuffer())


def _sprsound_note(recording: SimulatedRecording, poor: bool) -> str:
    events = [] if poor else [(*_whole_ms(start, end), label) for start, end, label in recording.events]
    record = POOR_QUALITY if poor else record_label(label for *_, label in events)
    return json.dumps(sprsound.write(events, record))


def _icbhi_note(recording: SimulatedRecording) -> str:
    """Contiguous cycles."""
    return icbhi.write(
        (*_whole_ms(breath.start_s, breath.end_s), breath.label)
        for breath in recording.breaths
        if breath.whole
    )


def _whole_ms(start_s: float, end_s: float) -> tuple[float, float]:
    """Cut times to whole milliseconds, so that no event ends after its recording."""
    return int(1000 * start_s) / 1000, int(1000 * end_s) / 1000


def _icbhi_tables(people: Sequence[_Subject], planned: Sequence[_Planned]) -> dict[str, str]:
    """Split, demographics (adults: BMI; children: weight and height) and diagnosis, as distributed."""
    described = []
    for person in people:
        body = f"{person.bmi}\tNA\tNA"
        if person.age_years < 18.0:
            height_cm = 60.0 + 7.0 * person.age_years  # a rough growth line (ours)
            body = f"NA\t{0.65 * person.bmi * (height_cm / 100.0) ** 2:.1f}\t{height_cm:.0f}"
        described.append(f"{person.icbhi_number}\t{person.age_years:g}\t{'MF'[person.sex]}\t{body}")
    # Two subjects of five are for testing, about the 60:40 of the official split; no subject is in both.
    tables = {
        "ICBHI_challenge_train_test.txt": [
            f"{item.stem}\t{'test' if item.subject.index % 5 in (3, 4) else 'train'}" for item in planned
        ],
        "ICBHI_Challenge_demographic_information.txt": described,
        "ICBHI_Challenge_diagnosis.txt": [f"{p.icbhi_number}\t{p.profile.diagnosis}" for p in people],
    }
    return {name: "".join(f"{line}\n" for line in lines) for name, lines in tables.items()}


def _truth(recording: SimulatedRecording, **known: Any) -> dict[str, Any]:
    """All that is known of a recording but its samples, for the ground truth."""
    drawn = asdict(replace(recording, samples=np.empty(0, np.float32)))
    del drawn["samples"]
    return dict(rounded(known | drawn))


def rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, Mapping):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part) for part in value]
    return value
