"""A simulated cohort in the manner of Nguyen & Pernkopf's: sixteen sensors on the back, and airflow.

Section II-B and Table I: 16 healthy subjects and 7 with idiopathic pulmonary fibrosis (IPF), 16 channels over
the posterior chest at 16 kHz, a Bessel high-pass at 80 Hz, 3 to 8 respiratory cycles in 30 s at two flow
rates, 4405 cycles without and 1791 with crackles; fine crackles from mid to late inspiration, none under
some sensors at the top. A cycle on a channel counts once. What is drawn is returned in ``ground_truth.json``.

The sensors' response is none of the stethoscopes' of `laennec.simulate.device`. Everything without a source
is ours.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from laennec.annotations import table
from laennec.errors import UsageError
from laennec.files import write_text
from laennec.simulate.chest import (
    FLOW_EXPONENT,
    Breath,
    Crackle,
    Wave,
    add_crackle,
    flow_shape,
    render_breaths,
)
from laennec.simulate.dataset import check_seed, claim_folder, finish_folder, rounded, write_wav
from laennec.simulate.device import Device, through_device
from laennec.simulate.patient import draw_crackles

SAMPLE_RATE = 16_000  # Hz, section II-B
DURATION_S = 30.0  # s, section II-B
CHANNELS, ROWS = 16, 4  # section II-B: 16; a grid of 4 x 4 over the back is ours
AIRFLOW_RATE = 100  # Hz, of the airflow's file
# Cycles in 30 s at the slower and the faster flow: together section II-B's "3 - 8 respiratory cycles".
CYCLES_AT_FLOW = {"slow": (3, 5), "fast": (6, 8)}
FLOW_PEAK_L_PER_S = {"slow": 0.8, "fast": 1.6}  # ours
GROUPS = {"healthy": 1, "ipf": 2}  # with the number of each in the seeds
# With these, 16 healthy and 7 IPF subjects give about Table I's 4405 and 1791 cycles.
RECORDINGS_EACH = {"healthy": 2, "ipf": 5}
# Share of a patient's channels with crackles, row by row from the top of the back to its base.
CRACKLING_SHARE = (0.05, 0.25, 0.9, 1.0)
CRACKLE_GAIN = (0.5, 0.7, 1.0, 1.2)  # of a crackle's peak, row by row: stronger at the bases
CRACKLES_PER_INSPIRATION = (3, 12)
CRACKLE_PEAK = (5.0, 11.0)  # peak / inspiration RMS
INSPIRATION_SHARE = (0.36, 0.46)  # of the cycle: around Tobin 1983's 0.42
AGES = {"healthy": (22.0, 60.0), "ipf": (55.0, 80.0)}
# A contact microphone with the paper's filter: flatter and noisier than a stethoscope.
SENSOR = Device(2.0, 1, 2500.0, 2, ((260.0, 4.0, 1.5), (900.0, 3.0, 2.0)), -32.0, -62.0, 3.0, 80.0)


@dataclass(frozen=True)
class CohortRecording:
    """One recording of all channels, with what is in it; `crackling` are the channels with crackles."""

    name: str
    subject: str
    group: str
    flow_rate: str
    age_years: float
    sex: str
    breaths: tuple[Breath, ...]
    crackling: tuple[int, ...]
    crackles: tuple[Crackle, ...]


def simulate_cohort(
    out: str | PathLike[str],
    *,
    subjects: Mapping[str, int] | None = None,
    seed: int = 0,
    recordings: Mapping[str, int] | None = None,
    duration_s: float = DURATION_S,
    channels: int = CHANNELS,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write a simulated multichannel cohort in the layout of `laennec.datasets.multichannel`.

    Returns the recordings: WAV files of all channels, 16 bit. Beside each lies its airflow in litres a
    second, one fifth of it full scale. LaennecError if an argument is out of range or the folder is refused.

    Parameters
    ----------
    out : folder, made if need be; one that holds anything that this would not write again is refused
    subjects : how many ``healthy`` and ``ipf`` ones; 16 and 7
    seed : 0 or more; the same arguments give the same bytes
    recordings : how many of each subject of a group; 2 and 5, fast and slow flow by turns
    duration_s : s, 12 to 300
    channels : 1 to 16, from the top of the back down
    progress : called as ``progress(done, total)``
    """
    out = Path(out)
    counts = {"healthy": 16, "ipf": 7} if subjects is None else dict(subjects)
    each = {**RECORDINGS_EACH, **(recordings or {})}
    _check(counts, seed, each, duration_s, channels)
    planned = {
        f"{group}{index + 1:02d}_{number + 1}": (group, index, number)
        for group in GROUPS
        for index in range(counts.get(group, 0))
        for number in range(each[group])
    }
    paths = {stem: out / "recordings" / f"{stem}.wav" for stem in planned}
    names = [f"recordings/{stem}{end}" for stem in planned for end in (".wav", ".airflow.wav")]
    names += ["recordings.csv", "cycles.csv", "channels.csv"]
    head = claim_folder(out, names, "multichannel", seed, subjects=counts)
    truth, made = {}, []
    for stem, (group, index, number) in planned.items():
        key = [seed, GROUPS[group], index]
        rng, person = np.random.default_rng([*key, number]), np.random.default_rng(key)
        recording = _draw(rng, person, stem, group, number, duration_s, channels)
        write_wav(paths[stem], _render(rng, recording, duration_s, channels), SAMPLE_RATE)
        flow = _airflow(rng, recording, duration_s)
        write_wav(paths[stem].with_suffix(".airflow.wav"), flow[:, None], AIRFLOW_RATE)
        made.append(recording)
        truth[stem] = rounded(asdict(recording))
        if progress is not None:
            progress(len(made), len(planned))
    for name, text in _tables(made, channels).items():
        write_text(out / name, text)
    finish_folder(out, head | {"recordings": truth})
    return list(paths.values())


def _check(
    counts: Mapping[str, int], seed: int, each: Mapping[str, int], duration_s: float, channels: int
) -> None:
    unknown = sorted(set(counts) - set(GROUPS))
    if unknown or not any(counts.values()) or any(not 0 <= count <= 999 for count in counts.values()):
        raise UsageError(f"subjects are {dict(counts)}; give 0 to 999 healthy and ipf, and not none of both.")
    if any(not 1 <= count <= 99 for count in each.values()):
        raise UsageError(f"recordings are {dict(each)}; give 1 to 99 each.")
    check_seed(seed)
    if not 12.0 <= duration_s <= 300.0 or not 1 <= channels <= CHANNELS:
        raise UsageError(f"{channels} channels of {duration_s:g} s; give 1 to {CHANNELS}, and 12 to 300 s.")


def _row(channel: int) -> int:
    return channel * ROWS // CHANNELS


def _draw(
    rng: np.random.Generator,
    person: np.random.Generator,
    stem: str,
    group: str,
    number: int,
    duration_s: float,
    channels: int,
) -> CohortRecording:
    """Draw breaths, and under which sensors crackles are heard: the same for all recordings of a person."""
    age_years, sex = round(float(person.uniform(*AGES[group])), 1), ("male", "female")[person.integers(2)]
    heard = person.random(CHANNELS) < np.repeat(CRACKLING_SHARE, CHANNELS // ROWS)
    flow_rate = ("fast", "slow")[number % 2]
    low, high = CYCLES_AT_FLOW[flow_rate]
    count = max(1, round(int(rng.integers(low, high + 1)) * duration_s / DURATION_S))
    crackling = tuple(np.flatnonzero(heard[:channels]).tolist()) if group == "ipf" else ()
    label = "Fine Crackle" if crackling else "Normal"
    # `count` whole cycles, with part of one before and after them.
    period_s = duration_s / (count + 0.6)
    onsets = 0.3 * period_s + period_s * np.arange(-1, count + 2)
    onsets = onsets + rng.uniform(-0.04, 0.04, onsets.size) * period_s
    breaths = []
    for start, end in itertools.pairwise(onsets):
        middle = start + (end - start) * rng.uniform(*INSPIRATION_SHARE)
        whole = bool(start >= 0 and end <= duration_s)
        breaths.append(
            Breath(float(start), float(middle), float(end), float(end), label if whole else "Normal", whole)
        )
    crackles = [
        crackle
        for breath in breaths
        if breath.label != "Normal"
        for crackle in draw_crackles(rng, breath, "fine", CRACKLES_PER_INSPIRATION, CRACKLE_PEAK)
    ]
    return CohortRecording(
        stem,
        stem.partition("_")[0],
        group,
        flow_rate,
        age_years,
        str(sex),
        tuple(breaths),
        crackling,
        tuple(crackles),
    )


def _render(rng: np.random.Generator, recording: CohortRecording, duration_s: float, channels: int) -> Wave:
    """Samples ``(samples, channels)`` float32: each sensor's own breath noise, the crackles of all."""
    length = round(duration_s * SAMPLE_RATE)
    loudness = {"slow": 1.0, "fast": 2.0 ** (FLOW_EXPONENT / 2)}[recording.flow_rate]
    samples = np.empty((length, channels), np.float32)
    gain = 10.0 ** (SENSOR.level_dbfs / 20.0) * rng.uniform(0.7, 1.4)
    for channel in range(channels):
        wave = loudness * render_breaths(rng, recording.breaths, length, SAMPLE_RATE)
        if channel in recording.crackling:
            for crackle in recording.crackles:  # weaker further up, each a little more or less
                peak = crackle.peak * CRACKLE_GAIN[_row(channel)] * rng.uniform(0.5, 1.3)
                add_crackle(wave, SAMPLE_RATE, crackle, peak)
        wave = through_device(SENSOR, wave, SAMPLE_RATE)
        own = gain * rng.uniform(0.8, 1.25)  # sensors differ
        floor = 10.0 ** (SENSOR.floor_dbfs / 20.0) * rng.standard_normal(length)
        samples[:, channel] = np.clip(own * wave + floor, -0.99, 0.99)
    return samples


def _airflow(rng: np.random.Generator, recording: CohortRecording, duration_s: float) -> Wave:
    """Flow, positive in inspiration, with a sensor's tremble; litres a second over 5."""
    times_s = np.arange(round(duration_s * AIRFLOW_RATE)) / AIRFLOW_RATE
    flow = np.zeros(times_s.size)
    for breath in recording.breaths:
        in_s, out_s = breath.inspiration_end_s - breath.start_s, breath.end_s - breath.inspiration_end_s
        flow += flow_shape((times_s - breath.start_s) / in_s, "inspiration")
        # The same volume goes out as came in.
        flow -= flow_shape((times_s - breath.inspiration_end_s) / out_s, "inspiration") * in_s / out_s
    flow *= FLOW_PEAK_L_PER_S[recording.flow_rate]
    return ((flow + 0.015 * rng.standard_normal(flow.size)) / 5.0).astype(np.float32)


def _tables(made: list[CohortRecording], channels: int) -> dict[str, str]:
    """recordings.csv, cycles.csv and channels.csv as the loader reads them."""
    recordings, cycles = [], []
    for item in made:
        diagnosis = {"healthy": "healthy", "ipf": "IPF"}[item.group]
        described = [item.name, item.subject, f"{item.age_years:g}", item.sex, "simulated 16-channel array"]
        recordings.append([*described, diagnosis, "normal"])
        for breath in item.breaths:
            if breath.whole:
                times = [f"{at_s:.3f}" for at_s in (breath.start_s, breath.end_s, breath.inspiration_end_s)]
                crackling = item.crackling if breath.label != "Normal" else ()
                cycles.append([item.name, *times, "", "normal"])
                cycles += [[item.name, *times, str(channel), "crackle"] for channel in crackling]
    places = [[str(channel), f"posterior row {_row(channel) + 1}"] for channel in range(channels)]
    described_by = ("recording", "subject", "age_years", "sex", "device", "diagnosis", "label")
    bounds = ("recording", "start_s", "end_s", "inspiration_end_s", "channel", "label")
    return {
        "recordings.csv": table.write(described_by, recordings),
        "cycles.csv": table.write(bounds, cycles),
        "channels.csv": table.write(("channel", "location"), places),
    }
