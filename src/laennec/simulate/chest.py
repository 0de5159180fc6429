"""Waveforms at the chest wall: breath noise, crackles, tones, heart sounds.

Amplitudes are in units of the RMS of a breath's inspiration; sources stand in `laennec.simulate`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Wave = npt.NDArray[Any]  # samples or spectrum, float64 or complex128
# Over the lung inspiration is louder and only early expiration is heard (Bohadana 2014); both values ours.
EXPIRATION_DB = -8.0  # dB re inspiration
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
TONE_RISE_SHARE = 0.3  # of a tone's length, of raised-cosine onset and of decay (ours)


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

    The RMS of its steady middle is `tone.level_db`; harmonics above 0.45 of the sample rate are left out.
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
    edge = np.clip(np.minimum(u, length_s - u) / (TONE_RISE_SHARE * length_s), 0.0, 1.0)
    return np.asarray(10.0 ** (tone.level_db / 20.0) / rms * wave * (0.5 - 0.5 * np.cos(np.pi * edge)))


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
    return np.asarray(wave / np.sqrt(np.mean(wave**2)))


def bell(freqs_hz: Wave, centre_hz: float, width: float = 1.0) -> Wave:
    """Amplitude spectrum of a band, bell-shaped over the logarithm of frequency."""
    return np.exp(-((np.log(np.maximum(freqs_hz, 1.0) / centre_hz) / width) ** 2))


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


def render_breaths(
    rng: np.random.Generator,
    breaths: Sequence[Breath],
    length: int,
    sample_rate: int,
    expiration_db: float = EXPIRATION_DB,
) -> Wave:
    """Breath noise of every breath; unit RMS at the peak of inspiration."""
    freqs_hz = np.fft.rfftfreq(length, 1.0 / sample_rate)
    out = np.zeros(length)
    for phase, gain in (("inspiration", 1.0), ("expiration", 10.0 ** (expiration_db / 20.0))):
        envelope = np.zeros(length)
        for breath in breaths:
            start_s, end_s = breath.start_s, breath.inspiration_end_s
            if phase == "expiration":
                start_s, end_s = end_s, breath.expiration_end_s
            view, times_s = span(envelope, sample_rate, start_s, end_s)
            view += flow_shape((times_s - start_s) / (end_s - start_s), phase) ** FLOW_EXPONENT
        out += gain * envelope * coloured_noise(rng, breath_spectrum(freqs_hz, phase), length)
    return out


def add_crackle(wave: Wave, sample_rate: int, crackle: Crackle, peak: float) -> None:
    """Add a crackle to the sound, at a peak that may differ from the one drawn."""
    two_cycle_s, deflection_s = crackle.two_cycle_ms / 1000.0, crackle.initial_deflection_ms / 1000.0
    view, times_s = span(wave, sample_rate, crackle.start_s, crackle.start_s + two_cycle_s)
    view += peak * crackle_waveform(two_cycle_s, deflection_s, times_s - crackle.start_s)


def add_tone(wave: Wave, sample_rate: int, tone: Tone) -> None:
    view, times_s = span(wave, sample_rate, tone.start_s, tone.end_s)
    view += tone_waveform(tone, times_s, sample_rate)


def render_heart(
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
