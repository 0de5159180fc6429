"""What is drawn for a patient: breaths by age, and the adventitious sounds that their labels stand for.

Sources stand in `laennec.simulate`.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from laennec.simulate.chest import EXPIRATION_DB, Breath, Crackle, Tone

# Upper age in years, breaths a minute, heart beats a minute: medians of Fleming 2011; last row adults:
# Tobin 1983 (16.6 breaths a minute) and a usual resting heart rate (ours).
RATES_BY_AGE = (
    (0.25, 43.0, 143.0),
    (0.5, 41.0, 140.0),
    (0.75, 39.0, 134.0),
    (1.0, 37.0, 128.0),
    (1.5, 35.0, 123.0),
    (2.0, 31.0, 116.0),
    (3.0, 28.0, 110.0),
    (4.0, 25.0, 104.0),
    (6.0, 23.0, 98.0),
    (8.0, 21.0, 91.0),
    (12.0, 19.0, 84.0),
    (15.0, 18.0, 78.0),
    (18.0, 16.0, 73.0),
    (math.inf, 16.6, 70.0),
)
RATE_SPREAD = 0.15  # largest deviation of a recording from the median rate, as a fraction (ours)
# Times the median rate where a sound is adventitious: SPRSound's recordings with such sounds have between
# equal and 1.8 times the events a minute of the normal ones of the same ages, mostly 1.1 to 1.5 (ours).
SICK_RATE = 1.25
PERIOD_JITTER = 0.1  # largest deviation of a breath from the mean period, as a fraction (ours)
INSPIRATION_SHARE = 0.42  # inspiratory time / cycle time, Tobin 1983
AUDIBLE_EXPIRATION_SHARE = 0.3  # of expiratory time
# ms, mean, spread, shortest, longest two-cycle duration. Means 5 and 15 ms: Bohadana 2014. Fine below and
# coarse above 10 ms, none over 20 ms: CORSA. Spreads are ours.
CRACKLE_TWO_CYCLE_MS = {"fine": (5.0, 0.8, 3.5, 8.0), "coarse": (15.0, 1.8, 10.5, 19.5)}
# Initial deflection width / two-cycle duration: ATS 1977 gives 0.7 of 5 ms (fine) and 1.5 of 10 ms (coarse).
CRACKLE_DEFLECTION_SHARE = {"fine": 0.14, "coarse": 0.15}
# Where in inspiration (0 onset, 1 end): fine mid to late, coarse from early on (CORSA; Bohadana 2014).
CRACKLE_WINDOW = {"fine": (0.45, 0.97), "coarse": (0.08, 0.65)}
CRACKLES_PER_BREATH = {"fine": (5, 14), "coarse": (3, 8)}  # smallest and largest number (ours)
CRACKLE_PEAK = {"fine": (3.0, 6.6), "coarse": (4.0, 9.0)}  # peak / inspiration RMS (ours)
CRACKLE_GAP_S = 0.004  # s from the end of a crackle to the next (ours), so that each can be measured alone
TONE_SHORTEST_S = 0.1  # s: wheezes and rhonchi last over 80 ms (Bohadana 2014), over 100 ms (CORSA)


@dataclass(frozen=True)
class Breathing:
    """How the phases of a breath divide it, and how loud expiration is, in dB re inspiration.

    Shares, between 0 and 1, are of inspiration in the breath and of what is audible in expiration.
    """

    inspiration_share: float = INSPIRATION_SHARE
    audible_expiration_share: float = AUDIBLE_EXPIRATION_SHARE
    expiration_db: float = EXPIRATION_DB


USUAL_BREATHING = Breathing()


@dataclass(frozen=True)
class ToneKind:
    """What is drawn for one kind of continuous adventitious sound."""

    pitch_hz: tuple[float, float, float, float]  # median, log spread, lowest, highest fundamental
    harmonics_db: tuple[float, ...]  # level of each harmonic, the fundamental first
    level_db: tuple[float, float]  # RMS re inspiration RMS, lowest and highest


TONES = {
    # Over 100 Hz (CORSA; Bohadana 2014), mostly about 400 Hz (ATS 1977), nearly sinusoidal; the rest ours.
    "wheeze": ToneKind((400.0, 0.25, 150.0, 1000.0), (0.0, -14.0, -24.0), (-4.0, 5.0)),
    # About 150 Hz (Bohadana 2014), at most 200 Hz (CORSA); snoring, so rich in harmonics (these are ours).
    "rhonchus": ToneKind((150.0, 0.15, 90.0, 195.0), (0.0, -5.0, -10.0, -14.0, -18.0), (2.0, 9.0)),
    # Loud, inspiratory, over 500 Hz (Bohadana 2014): the second harmonic, the strongest, lies above 500 Hz;
    # the fundamental is where stridor peaks in public paediatric recordings (260 to 440 Hz, ours).
    "stridor": ToneKind((320.0, 0.12, 260.0, 440.0), (-4.0, 0.0, -6.0, -9.0, -14.0), (16.0, 22.0)),
}
POLYPHONIC_SHARE = 0.2  # share of wheezing breaths with a second wheeze (ours)
INSPIRATORY_WHEEZE_SHARE = 0.2  # wheezes are expiratory, seldom inspiratory (Bohadana 2014); value ours


def rates(age_years: float) -> tuple[float, float]:
    """Median breaths and heart beats a minute at an age."""
    return next((breaths, beats) for upper, breaths, beats in RATES_BY_AGE if age_years < upper)


def shortest_duration_s(age_years: float) -> float:
    """Shortest recording (s) sure to hold a whole breath at this age."""
    slowest_period_s = 60.0 / (rates(age_years)[0] * (1.0 - RATE_SPREAD)) * (1.0 + PERIOD_JITTER)
    return 1.6 * slowest_period_s  # the first whole breath starts within 0.6 of a period


def draw_breaths(
    rng: np.random.Generator,
    duration_s: float,
    period_s: float,
    labels: Sequence[str],
    share: float,
    breathing: Breathing,
) -> list[Breath]:
    """Breaths from before the start to past the end; adventitious labels go to a share of the whole ones."""
    start_s = rng.uniform(0.05, 0.6) * period_s
    onsets = [start_s - period_s * rng.uniform(1.0 - PERIOD_JITTER, 1.0 + PERIOD_JITTER), start_s]
    while onsets[-1] < duration_s:
        onsets.append(onsets[-1] + period_s * rng.uniform(1.0 - PERIOD_JITTER, 1.0 + PERIOD_JITTER))
    cycles = list(itertools.pairwise(onsets))
    whole = [i for i, (start, end) in enumerate(cycles) if start >= 0.0 and end <= duration_s]
    marked: dict[int, str] = {}
    if labels:
        count = max(round(share * len(whole)), min(len(labels), len(whole)), 1)
        places = rng.permutation(whole)[:count]
        order = [labels[i] for i in rng.permutation(len(labels))]
        marked = {int(place): order[n % len(order)] for n, place in enumerate(places)}
    breaths = []
    for i, (start, end) in enumerate(cycles):
        inspiration_end = start + (end - start) * breathing.inspiration_share * rng.uniform(0.92, 1.08)
        expiration_end = inspiration_end + breathing.audible_expiration_share * (end - inspiration_end)
        label = marked.get(i, "Normal")
        breaths.append(Breath(start, inspiration_end, expiration_end, end, label, i in whole))
    return breaths


def draw_crackles(
    rng: np.random.Generator,
    breath: Breath,
    kind: str,
    number: tuple[int, int] | None = None,
    peak: tuple[float, float] | None = None,
) -> list[Crackle]:
    """Crackles of one kind within a breath's inspiration, none overlapping another.

    `number` and `peak` are the smallest and the largest; None for the kind's own.
    """
    mean, spread, shortest, longest = CRACKLE_TWO_CYCLE_MS[kind]
    inspiration_s = breath.inspiration_end_s - breath.start_s
    first_s, last_s = (breath.start_s + share * inspiration_s for share in CRACKLE_WINDOW[kind])
    low, high = number or CRACKLES_PER_BREATH[kind]
    slot_s = longest / 1000.0 + CRACKLE_GAP_S
    count = max(1, min(int(rng.integers(low, high + 1)), int((last_s - first_s) / slot_s)))
    slack = np.sort(rng.uniform(0.0, max(0.0, last_s - first_s - count * slot_s), count))
    crackles = []
    for n in range(count):
        two_cycle_ms = float(np.clip(rng.normal(mean, spread), shortest, longest))
        signed = rng.uniform(*(peak or CRACKLE_PEAK[kind])) * rng.choice([-1.0, 1.0])
        deflection_ms = two_cycle_ms * CRACKLE_DEFLECTION_SHARE[kind]
        start_s = first_s + n * slot_s + float(slack[n])
        crackles.append(Crackle(kind, start_s, two_cycle_ms, deflection_ms, float(signed)))
    return crackles


def _draw_tones(rng: np.random.Generator, breath: Breath, kind: str) -> list[Tone]:
    """The continuous sound of one breath: stridor in inspiration, the others mostly in expiration."""
    inspiratory = kind == "stridor" or (kind == "wheeze" and rng.random() < INSPIRATORY_WHEEZE_SHARE)
    if inspiratory:
        phase_start_s, phase_s = breath.start_s, breath.inspiration_end_s - breath.start_s
        share = rng.uniform(0.75, 0.92) if kind == "stridor" else rng.uniform(0.4, 0.8)
    else:
        phase_start_s, phase_s = breath.inspiration_end_s, breath.end_s - breath.inspiration_end_s
        share = rng.uniform(0.25, 0.6)
    # At 62 breaths a minute, the most, an expiration lasts 0.5 s, so the shortest tone always fits.
    length_s = max(share * phase_s, TONE_SHORTEST_S)
    start_s = phase_start_s + rng.uniform(0.04, 0.08) * phase_s
    drawn = TONES[kind]
    median_hz, spread, lowest_hz, highest_hz = drawn.pitch_hz
    tones = []
    for _ in range(2 if kind == "wheeze" and rng.random() < POLYPHONIC_SHARE else 1):
        pitch_hz = median_hz * math.exp(spread * rng.standard_normal())
        ends_hz = np.clip(pitch_hz * rng.uniform(0.9, 1.1, 2), lowest_hz, highest_hz)
        first_hz, last_hz = (float(end_hz) for end_hz in ends_hz)
        level_db = rng.uniform(*drawn.level_db)
        tones.append(Tone(kind, start_s, start_s + length_s, first_hz, last_hz, drawn.harmonics_db, level_db))
    return tones


TONE_OF_LABEL = {"Rhonchi": "rhonchus", "Wheeze": "wheeze", "Stridor": "stridor", "Wheeze+Crackle": "wheeze"}
CRACKLE_OF_LABEL = {
    "Coarse Crackle": ("coarse",),
    "Fine Crackle": ("fine",),
    "Wheeze+Crackle": ("fine", "coarse"),
}


def draw_adventitious(rng: np.random.Generator, breath: Breath) -> tuple[list[Crackle], list[Tone]]:
    """Crackles and tones that a breath's label stands for."""
    tone, kinds = TONE_OF_LABEL.get(breath.label), CRACKLE_OF_LABEL.get(breath.label, ())
    tones = _draw_tones(rng, breath, tone) if tone else []
    return draw_crackles(rng, breath, kinds[rng.integers(len(kinds))]) if kinds else [], tones


def annotated_event(breath: Breath, crackles: list[Crackle], tones: list[Tone]) -> tuple[float, float, str]:
    """The span an annotator would mark: the tone alone, the crackling inspiration, or the audible breath."""
    if breath.label in ("Wheeze", "Rhonchi"):
        return tones[0].start_s, tones[0].end_s, breath.label
    if breath.label == "Normal":
        return breath.start_s, breath.expiration_end_s, breath.label
    ends = [breath.inspiration_end_s, *(tone.end_s for tone in tones)]
    ends += [crackle.start_s + crackle.two_cycle_ms / 1000.0 for crackle in crackles]
    return breath.start_s, max(ends), breath.label
