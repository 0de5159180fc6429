"""What an analysis is given: recording and model, and which channels are worth analysing."""

import os
from dataclasses import dataclass, field
from typing import Any

from laennec.audio.recording import Recording
from laennec.errors import LaennecError
from laennec.model.card import RECORDING, ClipCard, RecordingCard
from laennec.model.clips import LungModel
from laennec.model.detector import Detector
from laennec.model.load import DEFAULT, load_model
from laennec.patient import Patient


@dataclass(frozen=True)
class Remarks:
    """What is repaired and noted on the way to an analysis."""

    repairs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def model_for(model: Any, clips: bool) -> Detector | LungModel:
    """The model to use: the one that is given, or else the shipped one for `clips` or for recordings."""
    if model is None:
        return load_model(DEFAULT if clips else RECORDING)
    return load_model(model) if isinstance(model, str | os.PathLike) else model


def recording_of(source: Any, sample_rate: int | None) -> Recording:
    """The recording that a path, bytes, a file, an array or a recording is; only an array needs a rate."""
    is_bytes = isinstance(source, str | os.PathLike | bytes | bytearray | memoryview)
    if isinstance(source, Recording) or is_bytes or hasattr(source, "read"):
        if sample_rate is not None:
            raise LaennecError("a sample rate is only for arrays; a file and a Recording have their own")
        return source if isinstance(source, Recording) else Recording.open(source)
    if sample_rate is None:
        raise LaennecError("an array of samples needs its sample_rate in Hz")
    return Recording.from_array(source, sample_rate)


def channels_of(
    recording: Recording, card: ClipCard | RecordingCard, patient: Patient, remarks: Remarks
) -> list[int]:
    """The channels worth analysing: not silent, not too short, no copy of an earlier one; notes on the rest.

    What the model makes no use of, and what it lacks, is noted too.
    """
    if recording.sample_rate != card.sample_rate:
        remarks.notes.append(
            f"resampled from {recording.sample_rate} to {card.sample_rate} Hz, the model's rate"
            + (
                f"; it holds nothing above {recording.sample_rate // 2} Hz, where the model listens too"
                if recording.sample_rate < card.sample_rate
                else ""
            )
        )
    if patient.known and not card.uses_metadata:
        remarks.notes.append(f"the model {card.name} makes no use of age, sex and position")
    if any(finding.kind == "too_short" for finding in recording.warnings):
        remarks.notes.append(
            f"not analysed: {recording.duration_s:.3f} s are too short to hold a respiratory sound"
        )
        return []
    for index in range(recording.channels):
        called = f"channel {index}" if recording.channels > 1 else "the recording"
        if index in recording.silent_channels:
            remarks.notes.append(f"not analysed: {called} is silent")
        elif index in recording.twins:
            twin = recording.twins[index]
            remarks.notes.append(f"{called} is the same as channel {twin} and was not analysed again")
    left_out = {*recording.silent_channels, *recording.twins}
    return [index for index in range(recording.channels) if index not in left_out]
