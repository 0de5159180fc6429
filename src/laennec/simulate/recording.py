"""One simulated recording, from breaths to samples, with everything that is in it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from laennec.errors import LaennecError
from laennec.labels import SPRSOUND_EVENTS
from laennec.simulate.chest import (
    Breath,
    Crackle,
    Tone,
    add_crackle,
    add_tone,
    render_breaths,
    render_heart,
)
from laennec.simulate.device import DEVICES, record_with
from laennec.simulate.patient import (
    RATE_SPREAD,
    SICK_RATE,
    USUAL_BREATHING,
    Breathing,
    annotated_event,
    draw_adventitious,
    draw_breaths,
    rates,
    shortest_duration_s,
)
from laennec.simulate.ward import Disturbance, HospitalNoise, draw_disturbances, draw_noise, render_noise


@dataclass(frozen=True)
class SimulatedRecording:
    """Samples ``(samples,)`` float32 in [-1, 1] with what is in them, times in seconds.

    `events` are (start_s, end_s, label), ordered by start, one for each whole breath; labels are
    `laennec.labels.SPRSOUND_EVENTS`. `heart_beats_s` are the onsets of first heart sounds. `inspiration_rms`
    is the RMS of breath noise at full inspiratory flow, re full scale: the unit of all levels.
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
    breathing: Breathing = USUAL_BREATHING,
) -> SimulatedRecording:
    """Simulate one recording; LaennecError if an argument is out of range, or for no such label or device.

    Times and durations in the ground truth are those at the chest wall; a device delays a sound by 1 to 4 ms
    and lengthens a crackle, as its response says.

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
    breathing : how the phases divide a breath, and how loud expiration is
    """
    labels = [label] if isinstance(label, str) else list(label)
    check_recording(duration_s, sample_rate, labels, adventitious_share, age_years, device)
    _check_breathing(breathing)
    length = round(duration_s * sample_rate)
    noise = draw_noise(rng) if noise is None else noise
    adventitious = [name for name in labels if name != "Normal"]
    period_s, beats_per_minute = _draw_rates(rng, age_years, bool(adventitious))
    breaths = draw_breaths(rng, duration_s, period_s, adventitious, adventitious_share, breathing)
    whole = [breath for breath in breaths if breath.whole]
    drawn = [draw_adventitious(rng, breath) for breath in whole]
    events = sorted(annotated_event(breath, *own) for breath, own in zip(whole, drawn, strict=True))
    crackles = tuple(crackle for own, _ in drawn for crackle in own)
    tones = tuple(tone for _, own in drawn for tone in own)
    disturbances = draw_disturbances(rng, noise, duration_s)

    wave = render_breaths(rng, breaths, length, sample_rate, breathing.expiration_db)
    for crackle in crackles:
        add_crackle(wave, sample_rate, crackle, crackle.peak)
    for tone in tones:
        add_tone(wave, sample_rate, tone)
    heart, beats_s = render_heart(rng, beats_per_minute, length, sample_rate)
    wave += DEVICES[device].heart * rng.uniform(0.3, 1.3) * heart
    wave += render_noise(rng, noise, disturbances, length, sample_rate)
    samples, gain = record_with(rng, DEVICES[device], wave, sample_rate)
    return SimulatedRecording(
        samples,
        sample_rate,
        tuple(events),
        tuple(breaths),
        crackles,
        tones,
        tuple(disturbances),
        tuple(beats_s),
        gain,
        device,
        noise,
    )


def _draw_rates(rng: np.random.Generator, age_years: float, is_sick: bool) -> tuple[float, float]:
    """Seconds of a breath, and heart beats a minute."""
    breaths, beats = (rate * rng.uniform(1.0 - RATE_SPREAD, 1.0 + RATE_SPREAD) for rate in rates(age_years))
    return 60.0 / (breaths * (SICK_RATE if is_sick else 1.0)), beats


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


def _check_breathing(breathing: Breathing) -> None:
    if not 0.1 <= breathing.inspiration_share <= 0.8:
        raise LaennecError(f"inspiration_share is {breathing.inspiration_share}; give 0.1 to 0.8.")
    if not 0.0 < breathing.audible_expiration_share <= 1.0:
        raise LaennecError(f"audible_expiration_share is {breathing.audible_expiration_share}; give up to 1.")
    if not -60.0 <= breathing.expiration_db <= 20.0:
        raise LaennecError(f"expiration_db is {breathing.expiration_db}; give -60 to 20 dB.")


def demo_recordings(seed: int = 0) -> dict[str, SimulatedRecording]:
    """Two recordings of 15 s at 8 kHz for a demonstration: ``fine_crackles`` and ``wheezes``.

    Every breath is adventitious, as in half of SPRSound's records with crackles and a quarter with wheezes.
    """
    chosen = {"fine_crackles": ("Fine Crackle", 4.0), "wheezes": ("Wheeze", 2.0)}
    return {
        name: simulate_recording(
            np.random.default_rng([seed, n]), label=label, adventitious_share=1.0, age_years=age_years
        )
        for n, (name, (label, age_years)) in enumerate(chosen.items())
    }
