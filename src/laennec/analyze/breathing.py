"""The phases of breaths in an analysis: those of each channel, and the timing of adventitious sounds."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from laennec.analyze.analysis import Analysis, Breathing, BreathPhase, PhaseModelUsed
from laennec.analyze.inputs import Remarks, boundaries_in, on_channel
from laennec.analyze.phases import IN, REST, decode_phases, probabilities_of, runs_of
from laennec.analyze.timing import timed
from laennec.annotations import Boundary
from laennec.audio.recording import Recording
from laennec.errors import LaennecError
from laennec.labels import PAUSE, PHASES, known_term
from laennec.model.phases import STATES, PhaseModel, load_phase_model

Phases = bool | str | os.PathLike[str] | Sequence[Sequence[Any]] | PhaseModel
INSPIRATION, EXPIRATION = PHASES
LONGEST_S = 600.0  # of a longer recording phases are not told: they are found in the whole at once
SHORTEST_PAUSE_S = 0.1  # between given phases; a shorter gap is none
FEWEST_INSPIRATIONS = 2  # below, no breath is whole


def with_breathing(
    analysis: Analysis, recording: Recording, channels: Sequence[int], phases: Phases
) -> Analysis:
    """An analysis with the phases of its channels' breaths, and the timing of its adventitious events.

    Parameters
    ----------
    channels
        Numbers of the channels that were analysed.
    phases
        True for the model that ships, or a model; or given phases: a label file, or ``(start_s, end_s,
        label)`` of each, labelled inspiration or expiration.

    Raises
    ------
    LaennecError
        If given phases cannot be used, or the model cannot be loaded or fails.
    """
    model = phases if isinstance(phases, PhaseModel) else load_phase_model() if phases is True else None
    used, remarks = None, Remarks()
    if model is not None:
        used = PhaseModelUsed(model.card.name, model.card.version, model.sha256)
        breathing = [*_told(analysis, recording, channels, model)]
    else:
        assert not isinstance(phases, bool | PhaseModel)
        breathing = [*_given(recording, channels, phases, remarks)]
    short = recording.duration_s <= LONGEST_S
    return replace(
        analysis,
        events=tuple(timed(analysis, breathing, recording if short else None)),
        breathing=tuple(breathing),
        phase_model=used,
        repairs=(*analysis.repairs, *remarks.repairs),
    )


# --- by the model -------------------------------------------------------------------------------------------


def _told(
    analysis: Analysis, recording: Recording, channels: Sequence[int], model: PhaseModel
) -> Iterator[Breathing]:
    """The phases of each channel, from its sound."""
    if recording.duration_s > LONGEST_S:
        reason = f"the recording is longer than the {LONGEST_S / 60:.0f} minutes in which phases are told"
        yield from (Breathing(channel, "model", False, reason) for channel in channels)
        return
    refused = {each.channel: each.refused for each in analysis.channel_records if each.refused}
    samples = recording.resampled(model.card.sample_rate).samples if channels else None
    for channel in channels:
        if channel in refused:
            yield Breathing(channel, "model", False, f"the sound was refused: {refused[channel]}")
        else:
            assert samples is not None
            gaps = [(part.start_s, part.end_s) for part in analysis.refused_parts if part.channel == channel]
            level = recording.levels[channel]
            yield told_of(samples[channel], model, level, channel, analysis.duration_s, gaps)


def told_of(
    samples: npt.NDArray[np.float32],
    model: PhaseModel,
    level: float = 0.0,
    channel: int = 0,
    duration_s: float | None = None,
    refused: Sequence[tuple[float, float]] = (),
) -> Breathing:
    """The phases in ``(samples,)`` at the model's rate.

    `level` is that of the channel, as `Recording.levels`; in `refused` parts (s) there are none.
    """
    card = model.card
    end_s = len(samples) / card.sample_rate if duration_s is None else duration_s
    logits = model.logits(samples, level)
    decoded = decode_phases(logits, card.rule, card.frame_s)
    runs = runs_of(decoded, logits)
    chances = probabilities_of(runs, card.certainty)
    phases = [
        BreathPhase(
            run.first * card.frame_s, min(run.end * card.frame_s, end_s), STATES[run.state], float(chance)
        )
        for run, chance in zip(runs, chances, strict=True)
        if run.first * card.frame_s < end_s
    ]
    phases = [
        each
        for each in phases
        if not any(start <= (each.start_s + each.end_s) / 2 < end for start, end in refused)
    ]
    weights = [(run.end - run.first) * (run.state != REST) for run in runs]
    sure = float(np.average(chances, weights=weights)) if sum(weights) else 0.0
    if sum(run.state == IN for run in runs) < FEWEST_INSPIRATIONS:
        return Breathing(channel, "model", False, "no whole breath was heard", sure)
    if sure < card.unknown_below:
        reason = f"inspiration and expiration cannot be told apart: {sure:.2f} likely to be right"
        return Breathing(channel, "model", False, reason, sure)
    return summed_up(Breathing(channel, "model", True, probability=sure), phases)


# --- as given -----------------------------------------------------------------------------------------------


def _given(
    recording: Recording, channels: Sequence[int], phases: Any, remarks: Remarks
) -> Iterator[Breathing]:
    """The phases of each channel, from label file or sequence; what is no phase in it is left out."""
    named = []
    for boundary in boundaries_in(phases, recording, remarks):
        label, sure = known_term(boundary.annotated or "") or ("", False)
        if sure and label in PHASES:
            named.append(replace(boundary, annotated=label))
    if not named:
        raise LaennecError(
            f"the given phases are none: expected labels {' and '.join(PHASES)}, inhale and exhale, I and E"
        )
    for channel in channels:
        own = on_channel(named, channel)
        if not own:
            yield Breathing(channel, "given", False, "no phase was given for it")
            continue
        _refuse_overlaps(own)
        yield summed_up(Breathing(channel, "given", True), [*_with_pauses(own, recording.duration_s)])


def _refuse_overlaps(phases: Sequence[Boundary]) -> None:
    for before, after in pairwise(phases):
        if after.start_s < before.end_s - SHORTEST_PAUSE_S:
            raise LaennecError(
                f"given phases overlap: {before.annotated} {before.start_s:g} to {before.end_s:g} s, "
                f"{after.annotated} from {after.start_s:g} s on"
            )


def _with_pauses(phases: Sequence[Boundary], duration_s: float) -> Iterator[BreathPhase]:
    """Given phases, with a pause where an expiration is over before the next inspiration begins."""
    for own, after in zip(phases, [*phases[1:], None], strict=True):
        end_s = min(own.end_s, duration_s if after is None else after.start_s)
        yield BreathPhase(max(0.0, own.start_s), end_s, str(own.annotated))
        if after is not None and after.start_s - own.end_s >= SHORTEST_PAUSE_S:
            yield BreathPhase(own.end_s, after.start_s, PAUSE)


# --- both ---------------------------------------------------------------------------------------------------


def summed_up(breathing: Breathing, phases: Sequence[BreathPhase]) -> Breathing:
    """The phases of a channel, with their breaths counted and what is told of these."""
    numbered, breath = [], None
    for own in phases:
        if own.phase == INSPIRATION:
            breath = 0 if breath is None else breath + 1
        numbered.append(replace(own, breath=breath))
    whole = [
        (first.start_s, first.end_s, after.start_s)
        for first, after in pairwise(each for each in numbered if each.phase == INSPIRATION)
    ]
    lengths = {
        phase: [each.end_s - each.start_s for each in numbered if each.phase == phase] for phase in STATES
    }
    medians = {phase: float(np.median(own)) if own else None for phase, own in lengths.items()}
    ratios = [(end - start) / (after - end) for start, end, after in whole if after > end]
    quartiles = tuple(float(each) for each in np.percentile(ratios, [25, 75])) if ratios else ()
    return replace(
        breathing,
        phases=tuple(numbered),
        breaths=len(whole),
        ie_ratio=float(np.median(ratios)) if ratios else None,
        ie_quartiles=quartiles,
        inspiration_s=medians[INSPIRATION],
        expiration_s=medians[EXPIRATION],
        pause_s=medians[PAUSE],
    )
