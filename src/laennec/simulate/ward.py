"""What a hospital ward adds to a recording: hum, broadband noise, bursts, alarm beeps, handling.

Sources stand in `laennec.simulate`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from laennec.simulate.chest import Wave, bell, coloured_noise, span

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
        broadband_db=rng.uniform(-23.0, -11.0) + lift_db,
        bursts_per_minute=rng.uniform(0.0, 8.0) + lift_db,
        beeps_per_minute=rng.choice([0.0, 0.0, 0.0, 4.0]),
        handling_per_minute=rng.uniform(2.0, 8.0) + 2.0 * lift_db,
        burst_peak=rng.uniform(1.0, 4.0) * (4.0 if poor else 1.0),
        beep_peak=rng.uniform(0.1, 0.5),
        handling_peak=float(np.exp(rng.uniform(np.log(8.0), np.log(100.0)))) * (2.0 if poor else 1.0),
    )


@dataclass(frozen=True)
class Disturbance:
    """A burst, beep or handling noise."""

    kind: str
    start_s: float
    end_s: float
    peak: float


def draw_disturbances(rng: np.random.Generator, noise: HospitalNoise, duration_s: float) -> list[Disturbance]:
    """Bursts and beeps anywhere; handling mostly where the chest piece is set down and taken up."""
    beep_s = (BEEP_PULSES - 1) * BEEP_SPACING_S + BEEP_PULSE_S
    kinds = (
        ("burst", noise.bursts_per_minute, noise.burst_peak, (0.1, 0.5)),
        ("beep", noise.beeps_per_minute, noise.beep_peak, (beep_s, beep_s)),
        ("handling", noise.handling_per_minute, noise.handling_peak, (0.08, 0.3)),
    )
    drawn = []
    for kind, per_minute, peak, lengths_s in kinds:
        for _ in range(rng.poisson(per_minute * duration_s / 60.0)):
            at_s = rng.uniform(0.0, duration_s)
            if kind == "handling" and rng.random() < 0.8:
                at_s = 0.06 * at_s if rng.random() < 0.5 else duration_s - 0.06 * at_s
            end_s = min(at_s + rng.uniform(*lengths_s), duration_s)
            drawn.append(Disturbance(kind, float(at_s), float(end_s), float(peak)))
    return sorted(drawn, key=lambda disturbance: disturbance.start_s)


def render_noise(
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
    return np.asarray(out)


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
        swell = np.sin(np.pi * np.clip(u / span_s, 0.0, 1.0))
        return swell * coloured_noise(rng, bell(freqs_hz, 400.0), u.size) / 3.0
    band = 1.0 / (1.0 + (freqs_hz / 120.0) ** 2)  # handling: a thump and a rub of the chest piece
    attack = np.clip(u / 0.004, 0.0, 1.0)
    return attack * np.exp(-4.0 * u / span_s) * coloured_noise(rng, band, u.size) / 3.0
