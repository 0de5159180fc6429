"""A lung-sound simulator with exact ground truth, for demonstrations and tests.

A recording is the sum of breath noise, adventitious sounds, heart sounds and hospital noise at the chest
wall, passed through a device's frequency response, scaled to that device's usual level and laid over its
noise floor. Amplitudes at the chest wall are in units of the RMS of a breath's inspiration. What the
simulator put where is returned with the samples. No accuracy claim rests on it: a model that does well here
has shown nothing about patients.

Where a number below has no source it says "ours": it was set by eye and by level against public recordings.

Sources, by the short names used below:

- ATS 1977: ATS-ACCP Ad Hoc Committee on Pulmonary Nomenclature, ATS News 3:5-6.
- Bohadana 2014: Bohadana, Izbicki, Kraman, "Fundamentals of Lung Auscultation", N Engl J Med 370:744-751,
  Table 1.
- CORSA: Sovijärvi et al., "Characteristics of breath sounds and adventitious respiratory sounds" and
  "Definition of terms for applications of respiratory sounds", Eur Respir Rev 10(77), 2000.
- Fleming 2011: Fleming et al., "Normal ranges of heart rate and respiratory rate in children from birth to
  18 years of age", Lancet 377:1011-1018.
- Gavriely 1981: Gavriely, Palti, Alroy, "Spectral characteristics of normal breath sounds", J Appl Physiol
  50:307-314.
- Gavriely 1996: Gavriely, Cugell, "Airflow effects on amplitude and spectral content of normal breath
  sounds", J Appl Physiol 80:5-13.
- IEC 60601-1-8: alarm systems in medical electrical equipment, auditory alarm signals.
- Kiyokawa 2001: Kiyokawa, Greenberg, Shirota, Pasterkamp, "Auditory detection of simulated crackles in
  breath sounds", Chest 119:1886-1892.
- Pasterkamp 1997: Pasterkamp, Kraman, Wodicka, "Respiratory sounds: advances beyond the stethoscope",
  Am J Respir Crit Care Med 156:974-987.
- Tobin 1983: Tobin et al., "Breathing patterns: 1. Normal subjects", Chest 84:202-205.
- Weissler 1968: Weissler, Harris, Schoenfeld, "Systolic time intervals in heart failure in man",
  Circulation 37:149-159.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from laennec.audio.highpass import analogue_highpass
from laennec.errors import LaennecError
from laennec.labels import SPRSOUND_EVENTS

Wave = npt.NDArray[Any]  # samples or spectrum, float64 or complex128

# -------------------- breathing and heart

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
PERIOD_JITTER = 0.1  # largest deviation of a breath from the mean period, as a fraction (ours)
INSPIRATION_SHARE = 0.42  # inspiratory time / cycle time, Tobin 1983
# Over the lung inspiration is louder and only early expiration is heard (Bohadana 2014); both values ours.
EXPIRATION_DB = -8.0  # dB re inspiration
AUDIBLE_EXPIRATION_SHARE = 0.3  # of expiratory time
FLOW_EXPONENT = 1.75  # sound amplitude grows faster than flow (Gavriely 1996); exponent ours

# Normal lung sound is low-pass noise from below 100 to above 1000 Hz that drops from about 200 Hz on
# (Bohadana 2014), along a straight line of dB over log frequency (Gavriely 1981); the corners are ours.
BREATH_CORNER_HZ = {"inspiration": 180.0, "expiration": 130.0}
BREATH_SLOPE_DB_PER_OCTAVE = 13.0  # dB per octave above the corner (ours)
BREATH_LOW_HZ = 60.0  # Hz; muscle and heart sounds mask breath noise below (Pasterkamp 1997); value ours

# s, s per (beat/min): from S1 to S2 as left ventricular ejection time, Weissler 1968
EJECTION_TIME_S = (0.413, -0.0017)
# Hz, s: pitch and decay of damped tones (ours), within the 20 to 150 Hz usual of heart sounds
HEART_SOUNDS = {"S1": (48.0, 0.030), "S2": (65.0, 0.022)}
S2_OVER_S1 = 0.7  # amplitude ratio (ours)

# -------------------- adventitious sounds

# ms, mean, spread, shortest, longest two-cycle duration. Means 5 and 15 ms: Bohadana 2014. Fine below and
# coarse above 10 ms, none over 20 ms: CORSA. Spreads are ours.
CRACKLE_TWO_CYCLE_MS = {"fine": (5.0, 0.8, 3.5, 8.0), "coarse": (15.0, 1.8, 10.5, 19.5)}
# Initial deflection width / two-cycle duration: ATS 1977 gives 0.7 of 5 ms (fine) and 1.5 of 10 ms (coarse).
CRACKLE_DEFLECTION_SHARE = {"fine": 0.14, "coarse": 0.15}
# Where in inspiration (0 onset, 1 end): fine mid to late, coarse from early on (CORSA; Bohadana 2014).
CRACKLE_WINDOW = {"fine": (0.45, 0.97), "coarse": (0.08, 0.65)}
CRACKLES_PER_BREATH = {"fine": (5, 14), "coarse": (3, 8)}  # smallest and largest number (ours)
CRACKLE_PEAK = {"fine": (5.0, 11.0), "coarse": (4.0, 9.0)}  # peak / inspiration RMS (ours)
CRACKLE_GAP_S = 0.004  # s from the end of a crackle to the next (ours), so that each can be measured alone

TONE_SHORTEST_S = 0.1  # s: wheezes and rhonchi last over 80 ms (Bohadana 2014), over 100 ms (CORSA)
TONE_RISE_S = 0.03  # s of raised-cosine onset and decay (ours)


@dataclass(frozen=True)
class ToneKind:
    """What is drawn for one kind of continuous adventitious sound."""

    pitch_hz: tuple[float, float, float, float]  # median, log spread, lowest, highest fundamental
    harmonics_db: tuple[float, ...]  # level of each harmonic, the fundamental first
    level_db: tuple[float, float]  # RMS re inspiration RMS, lowest and highest


TONES = {
    # Over 100 Hz (CORSA; Bohadana 2014), mostly about 400 Hz (ATS 1977), nearly sinusoidal; the rest ours.
    "wheeze": ToneKind((400.0, 0.25, 150.0, 1000.0), (0.0, -14.0, -24.0), (-2.0, 6.0)),
    # About 150 Hz (Bohadana 2014), at most 200 Hz (CORSA); snoring, so rich in harmonics (these are ours).
    "rhonchus": ToneKind((150.0, 0.15, 90.0, 195.0), (0.0, -5.0, -10.0, -14.0, -18.0), (2.0, 9.0)),
    # Loud, inspiratory, over 500 Hz (Bohadana 2014): the second harmonic, the strongest, lies above 500 Hz;
    # the fundamental is where stridor peaks in public paediatric recordings (260 to 440 Hz, ours).
    "stridor": ToneKind((320.0, 0.12, 260.0, 440.0), (-4.0, 0.0, -6.0, -9.0, -14.0), (16.0, 22.0)),
}
POLYPHONIC_SHARE = 0.2  # share of wheezing breaths with a second wheeze (ours)
INSPIRATORY_WHEEZE_SHARE = 0.2  # wheezes are expiratory, seldom inspiratory (Bohadana 2014); value ours

# -------------------- hospital noise

HUM_HZ = 50.0  # Hz, mains
BEEP_HZ = (300.0, 900.0)  # Hz: an alarm's pulse has 150 to 1000 Hz and at least four harmonics, IEC 60601-1-8
BEEP_PULSE_S = 0.15  # s: 125 to 250 ms at medium priority, IEC 60601-1-8
BEEP_PULSES = 3  # pulses a burst at medium priority, IEC 60601-1-8
BEEP_SPACING_S = 0.32  # s from pulse to pulse (ours)


@dataclass(frozen=True)
class HospitalNoise:
    """What a ward adds: levels in dB and peaks re inspiration RMS, rates in number a minute (all ours)."""

    hum_db: float = -20.0
    broadband_db: float = -18.0
    bursts_per_minute: float = 4.0
    beeps_per_minute: float = 1.0
    handling_per_minute: float = 6.0
    burst_peak: float = 3.0
    beep_peak: float = 0.3
    handling_peak: float = 15.0


SILENCE = HospitalNoise(-300.0, -300.0, 0.0, 0.0, 0.0)


def draw_noise(rng: np.random.Generator, *, poor: bool = False) -> HospitalNoise:
    """Draw a ward's noise; with `poor`, enough of it to make a recording of poor quality."""
    lift_db = 26.0 if poor else 0.0
    return HospitalNoise(
        hum_db=rng.uniform(-32.0, -14.0) + 0.5 * lift_db,
        broadband_db=rng.uniform(-26.0, -14.0) + lift_db,
        bursts_per_minute=rng.uniform(0.0, 8.0) + lift_db,
        beeps_per_minute=rng.choice([0.0, 0.0, 0.0, 4.0]),
        handling_per_minute=rng.uniform(2.0, 8.0) + 2.0 * lift_db,
        burst_peak=rng.uniform(1.0, 4.0) * (4.0 if poor else 1.0),
        beep_peak=rng.uniform(0.1, 0.5),
        handling_peak=float(np.exp(rng.uniform(np.log(8.0), np.log(100.0)))) * (2.0 if poor else 1.0),
    )


# -------------------- devices


@dataclass(frozen=True)
class Device:
    """A frequency response (causal), a usual level and a noise floor."""

    highpass_hz: float
    highpass_order: int
    lowpass_hz: float
    lowpass_order: int
    resonances: tuple[tuple[float, float, float], ...]  # Hz, dB, Q
    level_dbfs: float  # RMS of an inspiration
    floor_dbfs: float  # RMS of white sensor noise
    heart: float  # peak of the first heart sound / inspiration RMS at the chest wall
    bessel_highpass_hz: float = 0.0  # fourth order, 24 dB an octave; 0 for none


# Shapes in the manner of the stethoscopes and microphones behind SPRSound and ICBHI, set by eye against the
# spectra and levels of those recordings: not measurements of any device, whatever the name (values ours).
DEVICES = {
    "flat": Device(5.0, 1, 1e6, 1, (), -30.0, -300.0, 2.0),
    "paediatric stethoscope": Device(100.0, 2, 520.0, 7, ((360.0, 6.0, 1.2),), -47.0, -104.0, 5.0),
    "AKGC417L": Device(20.0, 1, 2500.0, 2, ((900.0, 3.0, 1.0),), -15.0, -48.0, 6.0),
    "LittC2SE": Device(45.0, 2, 1200.0, 3, ((330.0, 4.0, 1.5),), -25.0, -66.0, 5.0),
    "Litt3200": Device(30.0, 2, 1000.0, 5, ((550.0, 9.0, 1.2),), -24.0, -76.0, 5.0),
    "Meditron": Device(20.0, 1, 2000.0, 2, ((210.0, 3.0, 2.0), (750.0, 4.0, 2.0)), -19.0, -58.0, 6.0),
}


def device_response(device: Device, freqs_hz: Wave) -> Wave:
    """Complex response of a device at `freqs_hz`: Butterworth skirts and peaking resonances, minimum phase.

    Crackles therefore ring after, never before, their onset, as through a real device.
    """
    freqs_hz = np.maximum(freqs_hz, 1e-3)
    response = _butterworth(1j * freqs_hz / device.lowpass_hz, device.lowpass_order)
    response = response * _butterworth(device.highpass_hz / (1j * freqs_hz), device.highpass_order)
    if device.bessel_highpass_hz:
        response = response * analogue_highpass(1j * freqs_hz / device.bessel_highpass_hz)
    for centre_hz, gain_db, q in device.resonances:
        s = 1j * freqs_hz / centre_hz
        a = 10.0 ** (gain_db / 40.0)
        response = response * (s**2 + s * a / q + 1.0) / (s**2 + s / (a * q) + 1.0)
    return response


def _butterworth(s: Wave, order: int) -> Wave:
    """Analogue Butterworth low-pass of unit corner at complex frequency `s`."""
    k = np.arange(1, order + 1)
    poles = np.exp(1j * np.pi * (2 * k + order - 1) / (2 * order))
    return np.prod([-pole / (s - pole) for pole in poles], axis=0)


# -------------------- ground truth


@dataclass(frozen=True)
class Breath:
    """One respiratory cycle, times in seconds; one that either end of the recording cuts carries no event."""

    start_s: float
    inspiration_end_s: float
    expiration_end_s: float  # end of the audible part; a pause follows
    end_s: float  # start of the next breath
    label: str
    whole: bool


@dataclass(frozen=True)
class Crackle:
    """One crackle as drawn, at the chest wall."""

    kind: str  # "fine" or "coarse"
    start_s: float
    two_cycle_ms: float
    initial_deflection_ms: float
    peak: float  # signed, re inspiration RMS


@dataclass(frozen=True)
class Tone:
    """One wheeze, rhonchus or stridor as drawn, at the chest wall; the pitch glides linearly."""

    kind: str  # "wheeze", "rhonchus" or "stridor"
    start_s: float
    end_s: float
    pitch_start_hz: float
    pitch_end_hz: float
    harmonics_db: tuple[float, ...]
    level_db: float  # RMS re inspiration RMS

    @property
    def dominant_hz(self) -> float:
        """Mean frequency of the strongest harmonic."""
        return 0.5 * (self.pitch_start_hz + self.pitch_end_hz) * (int(np.argmax(self.harmonics_db)) + 1)


@dataclass(frozen=True)
class Disturbance:
    """A burst, beep or handling noise."""

    kind: str
    start_s: float
    end_s: float
    peak: float


@dataclass(frozen=True)
class SimulatedRecording:
    """Samples with what is in them.

    Attributes
    ----------
    samples : float32, shape (samples,), in [-1, 1]
    sample_rate : int, Hz
    events : tuple of (start_s, end_s, label), ordered by start, within the recording
        Labels are `laennec.labels.SPRSOUND_EVENTS`; one event for each whole breath.
    breaths, crackles, tones, disturbances : what was put where, times in seconds
    heart_beats_s : onset of each first heart sound
    inspiration_rms : RMS of breath noise at full inspiratory flow, re full scale: the unit of all levels
    device : name in `DEVICES`
    noise : the hospital noise
    """

    samples: npt.NDArray[np.float32]
    sample_rate: int
    events: tuple[tuple[float, float, str], ...]
    breaths: tuple[Breath, ...]
    crackles: tuple[Crackle, ...]
    tones: tuple[Tone, ...]
    disturbances: tuple[Disturbance, ...]
    heart_beats_s: tuple[float, ...]
    inspiration_rms: float
    device: str
    noise: HospitalNoise


# -------------------- waveforms


def crackle_waveform(two_cycle_s: float, initial_deflection_s: float, times_s: Wave) -> Wave:
    """A crackle of unit peak at `times_s` after its onset, zero outside [0, `two_cycle_s`].

    Kiyokawa 2001: with t = time / two-cycle duration and t0 = the first zero crossing,
    y(t) = sin(4 pi t^a) * 0.5 * (1 + cos(2 pi (sqrt(t) - 0.5))), a = log 0.25 / log t0.
    The exponent puts two whole cycles, each longer than the last, between 0 and 1 and the first zero crossing
    at the initial deflection width.
    """
    exponent = math.log(0.25) / math.log(initial_deflection_s / two_cycle_s)

    def shape(t: Wave) -> Wave:
        return np.sin(4.0 * np.pi * t**exponent) * 0.5 * (1.0 + np.cos(2.0 * np.pi * (np.sqrt(t) - 0.5)))

    t = np.asarray(times_s, dtype=np.float64) / two_cycle_s
    peak = np.abs(shape(np.linspace(0.0, 1.0, 257))).max()
    return np.where((t >= 0.0) & (t <= 1.0), shape(np.clip(t, 0.0, 1.0)) / peak, 0.0)


def tone_waveform(tone: Tone, times_s: Wave, sample_rate: int) -> Wave:
    """A wheeze, rhonchus or stridor at `times_s` of the recording, zero outside its span.

    The RMS of its steady part is `tone.level_db`; harmonics above 0.45 of the sample rate are left out.
    """
    length_s = tone.end_s - tone.start_s
    u = np.asarray(times_s, dtype=np.float64) - tone.start_s
    glide_hz_per_s = (tone.pitch_end_hz - tone.pitch_start_hz) / length_s
    phase = 2.0 * np.pi * (tone.pitch_start_hz * u + 0.5 * glide_hz_per_s * u**2)
    highest_hz = max(tone.pitch_start_hz, tone.pitch_end_hz)
    amplitudes = [
        10.0 ** (db / 20.0) if (n + 1) * highest_hz < 0.45 * sample_rate else 0.0
        for n, db in enumerate(tone.harmonics_db)
    ]
    wave = sum((a * np.sin((n + 1) * phase) for n, a in enumerate(amplitudes) if a), np.zeros_like(u))
    rms = math.sqrt(0.5 * sum(a * a for a in amplitudes)) or 1.0
    edge = np.clip(np.minimum(u, length_s - u) / min(TONE_RISE_S, length_s / 2.0), 0.0, 1.0)
    return 10.0 ** (tone.level_db / 20.0) / rms * wave * (0.5 - 0.5 * np.cos(np.pi * edge))


def breath_spectrum(freqs_hz: Wave, phase: str) -> Wave:
    """Amplitude spectrum of breath noise at the chest wall, no unit; `phase` inspiration or expiration."""
    corner_hz = BREATH_CORNER_HZ[phase]
    exponent = BREATH_SLOPE_DB_PER_OCTAVE / (40.0 * math.log10(2.0))
    falling = (1.0 + (freqs_hz / corner_hz) ** 2) ** -exponent
    return falling / np.sqrt(1.0 + (BREATH_LOW_HZ / np.maximum(freqs_hz, 1e-3)) ** 4)


def coloured_noise(rng: np.random.Generator, amplitude: Wave, length: int) -> Wave:
    """Gaussian noise of unit RMS with the amplitude spectrum given at the length // 2 + 1 FFT bins."""
    spectrum = amplitude * (rng.standard_normal(amplitude.size) + 1j * rng.standard_normal(amplitude.size))
    wave = np.fft.irfft(spectrum, n=length)
    return wave / np.sqrt(np.mean(wave**2))


def flow_shape(u: Wave, phase: str) -> Wave:
    """Relative flow over a phase (`u` from 0 to 1), peak 1: a half sine in, an early peak and a decay out."""
    inside = (u > 0.0) & (u < 1.0)
    u = np.clip(u, 0.0, 1.0)
    shape = np.sin(np.pi * u) if phase == "inspiration" else np.sin(np.pi * np.sqrt(u))
    return np.where(inside, shape, 0.0)


def span(out: Wave, sample_rate: int, start_s: float, end_s: float) -> tuple[Wave, Wave]:
    """View of `out` between two times (s), less what lies outside it, and the time of each sample."""
    first = min(out.size, max(0, math.ceil(start_s * sample_rate)))
    last = max(first, min(out.size, math.floor(end_s * sample_rate) + 1))
    return out[first:last], np.arange(first, last) / sample_rate


# -------------------- drawing what happens


def _rates(age_years: float) -> tuple[float, float]:
    """Median breaths and heart beats a minute at an age."""
    return next((breaths, beats) for upper, breaths, beats in RATES_BY_AGE if age_years < upper)


def shortest_duration_s(age_years: float) -> float:
    """Shortest recording (s) sure to hold a whole breath at this age."""
    slowest_period_s = 60.0 / (_rates(age_years)[0] * (1.0 - RATE_SPREAD)) * (1.0 + PERIOD_JITTER)
    return 1.6 * slowest_period_s  # the first whole breath starts within 0.6 of a period


def _draw_breaths(
    rng: np.random.Generator, duration_s: float, period_s: float, labels: Sequence[str], share: float
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
        inspiration_end = start + (end - start) * INSPIRATION_SHARE * rng.uniform(0.92, 1.08)
        expiration_end = inspiration_end + AUDIBLE_EXPIRATION_SHARE * (end - inspiration_end)
        label = marked.get(i, "Normal")
        breaths.append(Breath(start, inspiration_end, expiration_end, end, label, i in whole))
    return breaths


def draw_crackles(
    rng: np.random.Generator, breath: Breath, kind: str, number: tuple[int, int] | None = None
) -> list[Crackle]:
    """Crackles of one kind within a breath's inspiration, none overlapping another.

    `number` is the smallest and the largest; None for the kind's own.
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
        peak = rng.uniform(*CRACKLE_PEAK[kind]) * rng.choice([-1.0, 1.0])
        deflection_ms = two_cycle_ms * CRACKLE_DEFLECTION_SHARE[kind]
        start_s = first_s + n * slot_s + float(slack[n])
        crackles.append(Crackle(kind, start_s, two_cycle_ms, deflection_ms, float(peak)))
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
    # At 43 breaths a minute an expiration lasts 0.7 s, so the shortest tone always fits.
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


TONE_OF_LABEL = {
    "Rhonchi": "rhonchus",
    "Wheeze": "wheeze",
    "Stridor": "stridor",
    "Wheeze+Crackle": "wheeze",
}
CRACKLE_OF_LABEL = {
    "Coarse Crackle": ("coarse",),
    "Fine Crackle": ("fine",),
    "Wheeze+Crackle": ("fine", "coarse"),
}


def _draw_adventitious(rng: np.random.Generator, breath: Breath) -> tuple[list[Crackle], list[Tone]]:
    """Crackles and tones that a breath's label stands for."""
    tone, kinds = TONE_OF_LABEL.get(breath.label), CRACKLE_OF_LABEL.get(breath.label, ())
    tones = _draw_tones(rng, breath, tone) if tone else []
    crackles = draw_crackles(rng, breath, kinds[rng.integers(len(kinds))]) if kinds else []
    return crackles, tones


def _event(breath: Breath, crackles: list[Crackle], tones: list[Tone]) -> tuple[float, float, str]:
    """The span an annotator would mark: the tone alone, the crackling inspiration, or the audible breath."""
    if breath.label in ("Wheeze", "Rhonchi"):
        start_s, end_s = tones[0].start_s, tones[0].end_s
    elif breath.label == "Normal":
        start_s, end_s = breath.start_s, breath.expiration_end_s
    else:
        ends = [breath.inspiration_end_s, *(tone.end_s for tone in tones)]
        ends += [crackle.start_s + crackle.two_cycle_ms / 1000.0 for crackle in crackles]
        start_s, end_s = breath.start_s, max(ends)
    return start_s, end_s, breath.label


def _draw_disturbances(
    rng: np.random.Generator, noise: HospitalNoise, duration_s: float
) -> list[Disturbance]:
    """Bursts and beeps anywhere; handling mostly where the chest piece is set down and taken up."""
    lengths_s = {
        "burst": (0.1, 0.5),
        "beep": ((BEEP_PULSES - 1) * BEEP_SPACING_S + BEEP_PULSE_S,) * 2,
        "handling": (0.08, 0.3),
    }
    kinds = {
        "burst": (noise.bursts_per_minute, noise.burst_peak),
        "beep": (noise.beeps_per_minute, noise.beep_peak),
        "handling": (noise.handling_per_minute, noise.handling_peak),
    }
    drawn = []
    for kind, (per_minute, peak) in kinds.items():
        for _ in range(rng.poisson(per_minute * duration_s / 60.0)):
            at_s = rng.uniform(0.0, duration_s)
            if kind == "handling" and rng.random() < 0.8:
                at_s = 0.06 * at_s if rng.random() < 0.5 else duration_s - 0.06 * at_s
            drawn.append((kind, at_s, rng.uniform(*lengths_s[kind]), peak))
    return [
        Disturbance(kind, float(start_s), float(min(start_s + length_s, duration_s)), float(peak))
        for kind, start_s, length_s, peak in sorted(drawn, key=lambda item: item[1])
    ]


# -------------------- rendering


def _render_breaths(
    rng: np.random.Generator, breaths: Sequence[Breath], length: int, sample_rate: int
) -> Wave:
    """Breath noise of every breath; unit RMS at the peak of inspiration."""
    freqs_hz = np.fft.rfftfreq(length, 1.0 / sample_rate)
    out = np.zeros(length)
    for phase in ("inspiration", "expiration"):
        envelope = np.zeros(length)
        for breath in breaths:
            start_s, end_s = breath.start_s, breath.inspiration_end_s
            if phase == "expiration":
                start_s, end_s = end_s, breath.expiration_end_s
            view, times_s = span(envelope, sample_rate, start_s, end_s)
            view += flow_shape((times_s - start_s) / (end_s - start_s), phase) ** FLOW_EXPONENT
        gain = 1.0 if phase == "inspiration" else 10.0 ** (EXPIRATION_DB / 20.0)
        out += gain * envelope * coloured_noise(rng, breath_spectrum(freqs_hz, phase), length)
    return out


def _add_adventitious(
    wave: Wave, sample_rate: int, crackles: Sequence[Crackle], tones: Sequence[Tone]
) -> None:
    for crackle in crackles:
        two_cycle_s, deflection_s = crackle.two_cycle_ms / 1000.0, crackle.initial_deflection_ms / 1000.0
        view, times_s = span(wave, sample_rate, crackle.start_s, crackle.start_s + two_cycle_s)
        view += crackle.peak * crackle_waveform(two_cycle_s, deflection_s, times_s - crackle.start_s)
    for tone in tones:
        view, times_s = span(wave, sample_rate, tone.start_s, tone.end_s)
        view += tone_waveform(tone, times_s, sample_rate)


def _render_heart(
    rng: np.random.Generator, beats_per_minute: float, length: int, sample_rate: int
) -> tuple[Wave, list[float]]:
    """First and second heart sounds with a first sound of unit peak, and the onsets of the first sounds."""
    out = np.zeros(length)
    beats_s: list[float] = []
    at_s = rng.uniform(0.0, 60.0 / beats_per_minute)
    ejection_s = EJECTION_TIME_S[0] + EJECTION_TIME_S[1] * beats_per_minute
    while at_s < length / sample_rate:
        beats_s.append(float(at_s))
        for name, onset_s, gain in (("S1", at_s, 1.0), ("S2", at_s + ejection_s, S2_OVER_S1)):
            pitch_hz, decay_s = HEART_SOUNDS[name]
            view, times_s = span(out, sample_rate, onset_s, onset_s + 10.0 * decay_s)
            u = times_s - onset_s
            # A soft onset, u/d * exp(1 - u/d) with peak 1, since a step would sound like a crackle.
            view += gain * np.sin(2.0 * np.pi * pitch_hz * u) * u / decay_s * np.exp(1.0 - u / decay_s)
        at_s += 60.0 / beats_per_minute * rng.uniform(0.96, 1.04)
    return out, beats_s


def _render_noise(
    rng: np.random.Generator,
    noise: HospitalNoise,
    disturbances: Sequence[Disturbance],
    length: int,
    sample_rate: int,
) -> Wave:
    """Hum, broadband noise and the disturbances."""
    freqs_hz = np.fft.rfftfreq(length, 1.0 / sample_rate)
    pink = 1.0 / np.sqrt(np.maximum(freqs_hz, 30.0))
    out = 10.0 ** (noise.broadband_db / 20.0) * coloured_noise(rng, pink, length)
    t = np.arange(length) / sample_rate
    phase = rng.uniform(0.0, 2.0 * np.pi)
    for harmonic, share in ((1, 1.0), (2, 0.5), (3, 0.3)):
        amplitude = math.sqrt(2.0) * 10.0 ** (noise.hum_db / 20.0) * share
        out += amplitude * np.sin(2.0 * np.pi * HUM_HZ * harmonic * t + harmonic * phase)
    for item in disturbances:
        view, times_s = span(out, sample_rate, item.start_s, item.end_s)
        if view.size > 1:
            view += item.peak * _disturbance_shape(rng, item, times_s - item.start_s, sample_rate)
    return out


def _disturbance_shape(rng: np.random.Generator, item: Disturbance, u: Wave, sample_rate: int) -> Wave:
    """One disturbance of about unit peak at times `u` after its onset."""
    span_s = item.end_s - item.start_s
    if item.kind == "beep":
        pitch_hz = rng.uniform(*BEEP_HZ)
        within = u % BEEP_SPACING_S
        gate = np.clip(np.minimum(within, BEEP_PULSE_S - within) / 0.02, 0.0, 1.0)
        partials = [n for n in (1, 2, 3, 4) if n * pitch_hz < 0.45 * sample_rate]
        chord = [np.sin(2.0 * np.pi * n * pitch_hz * u) / n for n in partials]
        return 0.5 * gate * sum(chord, np.zeros_like(u))
    freqs_hz = np.fft.rfftfreq(u.size, 1.0 / sample_rate)
    if item.kind == "burst":  # a voice or a door
        band = np.exp(-((np.log(np.maximum(freqs_hz, 1.0) / 400.0)) ** 2))
        return np.sin(np.pi * np.clip(u / span_s, 0.0, 1.0)) * coloured_noise(rng, band, u.size) / 3.0
    band = 1.0 / (1.0 + (freqs_hz / 120.0) ** 2)  # handling: a thump and a rub of the chest piece
    attack = np.clip(u / 0.004, 0.0, 1.0)
    return attack * np.exp(-4.0 * u / span_s) * coloured_noise(rng, band, u.size) / 3.0


def through_device(device: Device, wave: Wave, sample_rate: int) -> Wave:
    """`wave` as the device passes it, scaled so that inspiratory breath noise keeps its RMS."""
    padded = (wave.size // 1024 + 2) * 1024  # the tail may ring past the end instead of into the start
    freqs_hz = np.fft.rfftfreq(padded, 1.0 / sample_rate)
    response = device_response(device, freqs_hz)
    power = breath_spectrum(freqs_hz, "inspiration") ** 2
    passed = np.sum(power * np.abs(response) ** 2) / np.sum(power)
    return np.fft.irfft(np.fft.rfft(wave, padded) * response, n=padded)[: wave.size] / math.sqrt(passed)


def simulate_recording(
    rng: np.random.Generator,
    *,
    duration_s: float = 15.0,
    sample_rate: int = 8000,
    label: str | Sequence[str] = "Normal",
    adventitious_share: float = 0.6,
    age_years: float = 6.0,
    device: str = "paediatric stethoscope",
    noise: HospitalNoise | None = None,
) -> SimulatedRecording:
    """Simulate one recording.

    Parameters
    ----------
    rng : the only source of chance; the same state and arguments give the same samples
    duration_s : s, at least `shortest_duration_s(age_years)`, at most 600
    sample_rate : Hz, 2000 to 96000
    label : one of `laennec.labels.SPRSOUND_EVENTS`, or several of them
        The adventitious sounds that occur; each does if there are breaths enough. "Normal" alone: none.
    adventitious_share : share of the whole breaths that are not normal, 0 to 1 (one breath at least)
    age_years : sets the breathing and heart rates
    device : name in `DEVICES`
    noise : None draws one; `SILENCE` for none

    Returns
    -------
    SimulatedRecording
        Ground-truth times and durations are those at the chest wall; a device delays a sound by 1 to 4 ms and
        lengthens a crackle, as its response says.

    Raises
    ------
    LaennecError
        When an argument is out of range or no such label or device exists.
    """
    labels = [label] if isinstance(label, str) else list(label)
    check_recording(duration_s, sample_rate, labels, adventitious_share, age_years, device)
    length = round(duration_s * sample_rate)
    noise = draw_noise(rng) if noise is None else noise
    breaths_per_minute, beats_per_minute = (
        median * rng.uniform(1.0 - RATE_SPREAD, 1.0 + RATE_SPREAD) for median in _rates(age_years)
    )
    adventitious = [name for name in labels if name != "Normal"]
    breaths = _draw_breaths(rng, duration_s, 60.0 / breaths_per_minute, adventitious, adventitious_share)
    crackles: list[Crackle] = []
    tones: list[Tone] = []
    events = []
    for breath in breaths:
        if breath.whole:
            own_crackles, own_tones = _draw_adventitious(rng, breath)
            events.append(_event(breath, own_crackles, own_tones))
            crackles += own_crackles
            tones += own_tones
    disturbances = _draw_disturbances(rng, noise, duration_s)

    wave = _render_breaths(rng, breaths, length, sample_rate)
    _add_adventitious(wave, sample_rate, crackles, tones)
    heart, beats_s = _render_heart(rng, beats_per_minute, length, sample_rate)
    wave += DEVICES[device].heart * rng.uniform(0.3, 1.3) * heart
    wave += _render_noise(rng, noise, disturbances, length, sample_rate)

    samples, gain = _record(rng, DEVICES[device], wave, sample_rate)
    return SimulatedRecording(
        samples,
        sample_rate,
        tuple(sorted(events)),
        tuple(breaths),
        tuple(crackles),
        tuple(tones),
        tuple(disturbances),
        tuple(beats_s),
        gain,
        device,
        noise,
    )


def _record(
    rng: np.random.Generator, device: Device, wave: Wave, sample_rate: int
) -> tuple[npt.NDArray[np.float32], float]:
    """Samples in [-1, 1] as the device stores them, and the gain from inspiration RMS to full scale."""
    wave = through_device(device, wave, sample_rate)
    gain = 10.0 ** ((device.level_dbfs + float(np.clip(rng.normal(0.0, 3.0), -7.0, 7.0))) / 20.0)
    floor = 10.0 ** (device.floor_dbfs / 20.0) * rng.standard_normal(wave.size)
    # A real device would clip here; turning it down keeps what the ground truth says true of the samples.
    gain = min(gain, (0.95 - np.abs(floor).max()) / np.abs(wave).max())
    return (gain * wave + floor).astype(np.float32), float(gain)


def check_recording(
    duration_s: float, sample_rate: int, labels: list[str], share: float, age_years: float, device: str
) -> None:
    if not 0.0 <= age_years <= 120.0:
        raise LaennecError(f"age_years is {age_years}; give 0 to 120.")
    shortest_s = shortest_duration_s(age_years)
    if not shortest_s <= duration_s <= 600.0:
        least_s = math.ceil(10 * shortest_s) / 10
        raise LaennecError(
            f"duration_s is {duration_s}; at {age_years:g} years a recording that holds a whole breath lasts "
            f"{least_s} to 600 s."
        )
    if not 2000 <= sample_rate <= 96000:
        raise LaennecError(f"sample_rate is {sample_rate}; give 2000 to 96000 Hz.")
    unknown = [name for name in labels if name not in SPRSOUND_EVENTS]
    if unknown or not labels:
        raise LaennecError(f"label is {unknown or labels}; choose from {', '.join(SPRSOUND_EVENTS)}.")
    if not 0.0 <= share <= 1.0:
        raise LaennecError(f"adventitious_share is {share}; give 0 to 1.")
    if device not in DEVICES:
        raise LaennecError(f"device is {device!r}; choose from {', '.join(DEVICES)}.")


def demo_recordings(seed: int = 0) -> dict[str, SimulatedRecording]:
    """Two recordings of 15 s at 8 kHz for a demonstration: ``fine_crackles`` and ``wheezes``."""
    chosen = {"fine_crackles": ("Fine Crackle", 5.0), "wheezes": ("Wheeze", 7.0)}
    return {
        name: simulate_recording(np.random.default_rng([seed, n]), label=label, age_years=age_years)
        for n, (name, (label, age_years)) in enumerate(chosen.items())
    }
