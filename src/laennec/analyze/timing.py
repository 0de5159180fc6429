"""When in a breath an adventitious sound is heard: in which phase, how early in it, for how much of it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from laennec.analyze.analysis import Analysis, Breathing, BreathPhase, Event, EventTiming
from laennec.analyze.pitch import pitch_hz
from laennec.audio.recording import Recording
from laennec.labels import BOTH, EVENT_FAMILY, PHASES

Floats = npt.NDArray[np.float64]

PARTS = ("early", "mid", "late")  # thirds of a phase
ONE_PHASE = 0.7  # share of an event's evidence from which it is in that phase alone
LEAST_TOLD = 0.5  # share of its evidence that must lie in an inspiration or expiration
STEPS = 20  # parts of an event without a map of its evidence
PITCH_RATE = 4000  # Hz: wheezes lie below 1 kHz, the highest stridors below 2


def timed(analysis: Analysis, breathing: Sequence[Breathing], recording: Recording | None) -> Iterator[Event]:
    """The events, adventitious ones with their timing; with the pitch where there is a `recording`."""
    own = {each.channel: each for each in breathing}
    tonal = any(is_continuous(event.label) for event in analysis.events)
    sound = recording.resampled(PITCH_RATE).samples if recording is not None and tonal else None
    for event in analysis.events:
        if event.label == analysis.normal or event.channel not in own:
            yield event
            continue
        timing = timing_of(event, own[event.channel])
        if sound is not None and is_continuous(event.label):
            first, end = (round(at_s * PITCH_RATE) for at_s in (event.start_s, event.end_s))
            timing = replace(timing, pitch_hz=pitch_hz(sound[event.channel, first:end], PITCH_RATE))
        yield replace(event, timing=timing)


def is_continuous(label: str) -> bool:
    """Whether a label is of a wheeze, rhonchus or stridor, alone or with crackles."""
    return "CAS" in EVENT_FAMILY.get(label, "")


def is_discontinuous(label: str) -> bool:
    """Whether a label is of crackles, alone or with a wheeze."""
    return "DAS" in EVENT_FAMILY.get(label, "")


def timing_of(event: Event, breathing: Breathing) -> EventTiming:
    """Phase, part and share of an event, by where the evidence for its label lies."""
    if not breathing.known:
        return EventTiming(None, reason=breathing.reason)
    at_s, weights = evidence_over_time(event)
    phases = [each for each in breathing.phases if each.phase in PHASES]
    held = np.array([[each.start_s <= at < each.end_s for at in at_s] for each in phases], bool)
    of_each = held.reshape(len(phases), len(at_s)) @ weights
    told = float(of_each.sum())
    if told < LEAST_TOLD:
        return EventTiming(None, reason="most of it lies in a pause, or where no phase is told")
    inspired = sum(mass for each, mass in zip(phases, of_each, strict=True) if each.phase == PHASES[0]) / told
    phase = PHASES[0] if inspired >= ONE_PHASE else PHASES[1] if inspired <= 1 - ONE_PHASE else BOTH
    inside = [place for place, each in enumerate(phases) if of_each[place] and phase in (BOTH, each.phase)]
    known = [(phases[place].probability, of_each[place]) for place in inside]
    chances = [(chance, mass) for chance, mass in known if chance is not None]
    sure = (
        sum(chance * mass for chance, mass in chances) / sum(mass for _, mass in chances) if chances else None
    )
    most = phases[max(inside, key=lambda place: of_each[place])]
    return EventTiming(
        phase,
        part_of(at_s, weights, most) if phase != BOTH and is_discontinuous(event.label) else None,
        _share(event, [phases[place] for place in inside]) if is_continuous(event.label) else None,
        probability=None if sure is None else float(sure),
    )


def evidence_over_time(event: Event) -> tuple[Floats, Floats]:
    """Times (s) within an event, and the share of its label's evidence at each, which add up to 1.

    Evenly where the model gives no map, or nothing in it speaks for the label.
    """
    own = event.relevance
    start_s, end_s = (event.start_s, event.end_s) if own is None else (own.start_s, own.end_s)
    weights = np.ones(STEPS) if own is None else np.asarray(own.values, np.float64).sum(0)
    edges = np.linspace(start_s, end_s, len(weights) + 1)
    if weights.sum() <= 0:
        weights = np.ones(len(weights))
    return (edges[:-1] + edges[1:]) / 2, weights / weights.sum()


def part_of(at_s: Floats, weights: Floats, phase: BreathPhase) -> str:
    """The third of a phase in which the middle of the evidence within it lies."""
    inside = (at_s >= phase.start_s) & (at_s < phase.end_s)
    middle_s = float(np.average(at_s[inside], weights=weights[inside]))
    place = (middle_s - phase.start_s) / (phase.end_s - phase.start_s)
    return PARTS[min(len(PARTS) - 1, int(place * len(PARTS)))]


def _share(event: Event, phases: Sequence[BreathPhase]) -> float:
    """How much of the phases that an event lies in it covers."""
    covered = sum(
        max(0.0, min(each.end_s, event.end_s) - max(each.start_s, event.start_s)) for each in phases
    )
    return min(1.0, covered / sum(each.end_s - each.start_s for each in phases))
