"""What an analysis is given: recording, model and events; and which channels are worth analysing."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from laennec import annotations
from laennec.analyze.rate import SHORTEST_BREATH_S
from laennec.annotations.events import Boundary, LabelFile, make_boundary
from laennec.audio.recording import Recording
from laennec.audio.samples import counted
from laennec.audio.segment import shortened
from laennec.errors import LaennecError
from laennec.model.card import RECORDING, ClipCard, RecordingCard
from laennec.model.clips import LungModel
from laennec.model.detector import Detector
from laennec.model.load import DEFAULT, load_model, with_calibration
from laennec.patient import Patient, nearest_place


@dataclass(frozen=True)
class Remarks:
    """What is repaired and noted on the way to an analysis."""

    repairs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def model_for(model: Any, clips: bool, calibration: Any = None) -> Detector | LungModel:
    """The model to use: the one that is given, or else the shipped one, for `clips` or for recordings.

    With a calibration's file, it answers by that.
    """
    if model is None:
        model = DEFAULT if clips else RECORDING
    loaded = model if isinstance(model, Detector | LungModel) else load_model(model)
    return loaded if calibration is None else with_calibration(loaded, calibration)


def recording_of(source: Any, sample_rate: int | None) -> Recording:
    """The recording that a path, bytes, a file, an array or a recording is; only an array needs a rate."""
    is_bytes = isinstance(source, str | os.PathLike | bytes | bytearray | memoryview)
    if is_bytes or hasattr(source, "read"):  # as a Recording has
        if sample_rate is not None:
            raise LaennecError("a sample rate is only for arrays; a file and a Recording have their own")
        return source if isinstance(source, Recording) else Recording.open(source)
    if sample_rate is None:
        raise LaennecError("an array of samples needs its sample_rate in Hz")
    return Recording.from_array(source, sample_rate)


def _highest_hz(card: ClipCard | RecordingCard) -> float:
    """The highest frequency that a model listens to."""
    return card.edges_hz[-1] if isinstance(card, RecordingCard) else card.sample_rate / 2


def channels_of(
    recording: Recording,
    card: ClipCard | RecordingCard,
    patient: Patient,
    remarks: Remarks,
    given: bool = False,
) -> list[int]:
    """The channels worth analysing: not silent, not too short, no copy of an earlier one; notes on the rest.

    For a model that answers for whole recordings, what is shorter than a breath is too short, unless its
    events are `given`. What the model makes no use of, and what it lacks, is noted too.
    """
    note = remarks.notes.append
    rate = recording.sample_rate
    if rate != card.sample_rate:
        lacking = f"; it holds nothing above {rate // 2} Hz, where the model listens too"
        note(
            f"resampled from {rate} to {card.sample_rate} Hz, the model's rate"
            + (lacking if rate / 2 < _highest_hz(card) else "")
        )
    if patient.known and not card.uses_metadata:
        note(f"the model {card.name} makes no use of age, sex and position")
    elif (place := nearest_place(patient.position, card.positions)) != patient.position:
        taken = f"is taken for {place}" if place else "is left out"
        note(f"the model {card.name} does not know the position {patient.position}, which {taken}")
    if any(finding.kind == "too_short" for finding in recording.warnings):
        note(f"not analysed: {recording.duration_s:.3f} s are too short to hold a respiratory sound")
        return []
    if isinstance(card, RecordingCard) and not given and recording.duration_s < SHORTEST_BREATH_S:
        note(f"not analysed: {recording.duration_s:.3f} s are too short to hold a breath")
        return []
    chosen = []
    for index in range(recording.channels):
        called = f"channel {index}" if recording.channels > 1 else "the recording"
        if index in recording.silent_channels:
            note(f"not analysed: {called} is silent")
        elif index in recording.twins:
            note(f"{called} is the same as channel {recording.twins[index]} and was not analysed again")
        else:
            chosen.append(index)
    return chosen


def boundaries_in(
    events: str | os.PathLike[str] | Sequence[Sequence[Any]], recording: Recording, remarks: Remarks
) -> list[Boundary]:
    """Given events in order of time, without those that lie wholly outside the recording, which are noted.

    So are labels of a point in time, and events that are shortened to the recording. LaennecError if they
    cannot be read, or all of them lie outside.
    """
    if isinstance(events, str | os.PathLike):
        name = os.path.abspath(recording.path) if recording.path else recording.name
        labels, place = annotations.read_given(events, name), f"{os.path.basename(events)}: "
    else:
        labels, place = LabelFile(tuple(_boundaries_of(events))), ""
    reasons = [_outside(event, recording, labels.first_channel) for event in labels.events]
    if reasons and all(reasons):
        first, *more = reasons
        others = f"; {counted(len(more), 'other event')} outside it, too" if more else ""
        raise LaennecError(f"{recording.name}: {place}{first}{others}")
    remarks.repairs.extend(f"{place}{reason}; left out" for reason in reasons if reason)
    kept = [event for event, reason in zip(labels.events, reasons, strict=True) if not reason]
    said = (shortened(event.start_s, event.end_s, recording.duration_s) for event in kept)
    remarks.repairs.extend(filter(None, said))  # as a model for clips says when it cuts, so it stands once
    if labels.points:
        what = f"{counted(len(labels.points), 'label')} of a point in time, without length"
        remarks.repairs.append(f"{place}{what} (first: {labels.points[0].where}); left out")
    return kept


def _outside(event: Boundary, recording: Recording, first_channel: int) -> str:
    """What of an event lies outside the recording: nothing, its times or its channel."""
    span = f"event {event.start_s:g} to {event.end_s:g} s"
    if event.start_s >= recording.duration_s or event.end_s <= 0:
        return f"{span}: outside the recording of {recording.duration_s:g} s"
    if event.channel is not None and event.channel >= recording.channels:
        last = first_channel + recording.channels - 1
        known = f"channels {first_channel} to {last}" if recording.channels > 1 else f"channel {last} alone"
        own = event.channel + first_channel
        return f"{span}: outside the recording, on channel {own}, where the recording has {known}"
    return ""


def _boundaries_of(events: Sequence[Sequence[Any]]) -> list[Boundary]:
    boundaries = []
    for number, event in enumerate(events, start=1):
        try:
            start_s, end_s, *rest = event
            label = str(rest[0]) if rest and rest[0] is not None else None
            boundaries.append(make_boundary(start_s, end_s, label))
        except (TypeError, ValueError) as error:
            raise LaennecError(f"event {number}: {error}; expected start and end in seconds") from error
    return sorted(boundaries, key=lambda boundary: (boundary.start_s, boundary.end_s))


def on_channel(boundaries: Sequence[Boundary], channel: int) -> list[Boundary]:
    """Given events that are for a channel."""
    return [boundary for boundary in boundaries if boundary.channel in (None, channel)]
