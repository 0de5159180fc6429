"""From sound to events: the analysis of a recording.

Three ways to place events. By default a model for whole recordings finds them, classifies them, predicts the
whole recording and refuses what does not sound like a lung. Given events are classified where they lie. With
a model for clips and no given events, windows are laid over the recording and their probabilities averaged;
boundaries are then as coarse as the windows.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from operator import itemgetter
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import numpy.typing as npt

from laennec.analyze.analysis import Analysis, Event
from laennec.analyze.events import classify, decode, place
from laennec.analyze.inputs import Remarks, boundaries_in, channels_of, model_for, on_channel, recording_of
from laennec.analyze.recording import (
    Channel,
    Segment,
    in_segments,
    segments,
    summarise,
    without_refused,
)
from laennec.analyze.windows import classify_clips, window_and_hop
from laennec.annotations.events import Boundary
from laennec.audio.level import SILENT_RANGE
from laennec.audio.recording import Recording
from laennec.errors import LaennecError
from laennec.model.card import RecordingCard
from laennec.model.clips import LungModel
from laennec.model.detector import Detector, Frames
from laennec.patient import Patient

if TYPE_CHECKING:
    from laennec.analyze.breathing import Phases

__all__ = ["Analysis", "Event", "analyze"]

Item = TypeVar("Item")
Found = Callable[[Sequence[Event], float], None]  # what is told of an analysis that goes on
Settled = tuple[tuple[list[Event], list[Segment]], ...]  # what a chunk of frames settles, by channel
MAPS_S = 600.0  # of a longer recording no relevance is kept: a day has tens of thousands of events, 2 kB each


def analyze(
    source: "str | os.PathLike[str] | bytes | BinaryIO | npt.ArrayLike | Recording",
    *,
    sample_rate: int | None = None,
    events: str | os.PathLike[str] | Sequence[Sequence[Any]] | None = None,
    model: str | os.PathLike[str] | Detector | LungModel | None = None,
    age_years: float | None = None,
    sex: str | None = None,
    position: str | None = None,
    window_s: float | None = None,
    hop_s: float | None = None,
    any_sound: bool = False,
    calibration: str | os.PathLike[str] | None = None,
    phases: "Phases" = False,
    found: Found | None = None,
) -> Analysis:
    """Find and label the respiratory events of a recording.

    Parameters
    ----------
    source : path, bytes, binary file, array_like or Recording
        The sound. Each channel is analysed by itself. A model for whole recordings takes it block by block,
        in constant memory.
    sample_rate : int, optional
        Hz; needed with an array of samples, ``(samples,)`` or ``(channels, samples)``, and only there.
    events : path or sequence, optional
        Event boundaries: a file as for :func:`read_events`, or ``(start_s, end_s)`` or ``(start_s, end_s,
        label)`` for each. By default they are found.
    model : path, str, Detector or LungModel, optional
        A model file, a run folder, or the name of one that ships. By default ``recording``, which finds
        events, or classifies given ones in the sound around them. A model for clips, such as ``default``,
        hears nothing but each event; without events, windows are laid over the recording, see
        :func:`merge_windows`.
    age_years, sex, position : optional
        0 to 130; ``male`` or ``female``; any place of :data:`laennec.patient.CHEST_PLACES`, such as
        ``left-posterior``. What the model makes no use of, or does not know, is in the notes.
    window_s, hop_s : float, optional
        In place of those of a model for clips, which it was measured with. Not with `events`.
    any_sound : bool
        Analyse what does not sound like a lung all the same; the answer is uncertain then. Silence stays
        refused.
    calibration : path, optional
        A file of ``laennec calibrate`` for this model: how sure it is then holds for the device and the kind
        of patients that the file was made with. For models for whole recordings.
    phases : bool, path, sequence or PhaseModel
        True: tell inspiration, expiration and pause as well, and when in a breath adventitious sounds are
        heard (`Analysis.breathing`, `Event.timing`), by the model that ships. Or given phases: a label file,
        or ``(start_s, end_s, label)`` of each, labelled ``inspiration`` or ``expiration``, such as those of
        an airflow signal (:func:`laennec.datasets.airflow.phases_from_airflow`).
    found : callable, optional
        Called with events of each chunk of the sound, ``found(events, processed_s)``, while the rest is still
        to be processed, by a model for whole recordings that finds events. What it raises ends the analysis.

    Raises
    ------
    LaennecError
        If the recording, the events, the model or the metadata cannot be used; the message says which.
    """
    has_window = window_s is not None or hop_s is not None
    if events is not None and has_window:
        raise LaennecError("window and hop are for recordings without given events; leave out one or other")
    loaded = model_for(model, clips=has_window, calibration=calibration)
    patient = Patient(age_years, sex, position, loaded.card.positions)
    if isinstance(loaded, Detector) and has_window:
        raise LaennecError(f"windows are for models for clips; {loaded.card.name} finds events itself")
    recording = recording_of(source, sample_rate)
    remarks = Remarks(list(recording.repairs))
    channels = channels_of(recording, loaded.card, patient, remarks, given=events is not None)
    boundaries = None if events is None else boundaries_in(events, recording, remarks)
    rate, window = loaded.card.sample_rate, None
    if isinstance(loaded, Detector):
        settings = DetectionSettings(
            channels,
            loaded.card,
            boundaries,
            maps=boundaries is not None or recording.duration_s <= MAPS_S,
            silent_range=recording.silent_range,
            any_sound=any_sound,
        )
        predicted = detect(listen(recording, channels, loaded), settings, found)
        segmentation = "detected"
    else:
        window = None if boundaries is not None else window_and_hop(loaded.card, window_s, hop_s)
        predicted = classify_clips(
            recording.resampled(rate), channels, loaded, patient, boundaries, window, remarks
        )
        segmentation = "windows"
    if boundaries is not None:
        segmentation = "given"
    analysis = summarise(recording, predicted, loaded, patient, remarks, segmentation, window)
    return analysis if phases is False else _with_breathing(analysis, recording, channels, phases)


def _with_breathing(analysis: Analysis, *arguments: Any) -> Analysis:
    """An analysis with phases; what finds them loads here, since most analyses do without."""
    module = import_module("laennec.analyze.breathing")
    found: Analysis = module.with_breathing(analysis, *arguments)
    return found


def listen(recording: Recording, channels: Sequence[int], model: Detector) -> Iterator[tuple[Frames, ...]]:
    """The outputs of a model for whole recordings for some channels of one, chunk by chunk."""
    sound = (block[channels] for block in recording.blocks(model.card.sample_rate))
    return model.frames(sound, levels=[recording.levels[channel] for channel in channels])


@dataclass(frozen=True)
class DetectionSettings:
    """Which channels of a recording are detected, with what, and what is kept.

    Attributes
    ----------
    channels : sequence of int
        Numbers in the recording, one for each `Frames` of a chunk.
    card : RecordingCard
        Of the model that the frames are from.
    boundaries : sequence of Boundary or None
        Given events, which are classified; by default events are found, without those in refused segments.
    maps : bool
        Whether each event keeps its relevance.
    silent_range : float
        That of the recording.
    any_sound : bool
        Refuse silence alone.
    delay_s : float or None
        As for `decode`.
    """

    channels: Sequence[int]
    card: RecordingCard
    boundaries: Sequence[Boundary] | None = None
    maps: bool = True
    silent_range: float = SILENT_RANGE
    any_sound: bool = False
    delay_s: float | None = None


def detect(
    frames: Iterator[tuple[Frames, ...]], settings: DetectionSettings, found: Found | None = None
) -> list[Channel]:
    """Events and segments of every channel, in one pass over the frames and in constant memory.

    Each stage takes a chunk of frames and gives what that settles, so all stages of all channels go in step
    and none holds more frames than it needs itself. `found` is called with found events as soon as their
    segment is predicted.
    """
    given = settings.boundaries is not None
    predicted = [Channel(number, given=given) for number in settings.channels]
    waiting: list[Event] = []
    for step in settled(frames, settings):
        for channel, (more_events, more_segments) in zip(predicted, step, strict=True):
            channel.add(more_events, more_segments)
        if found is not None and not given:
            waiting += [event for more_events, _ in step for event in more_events]
            told, waiting = in_segments(waiting, predicted)
            found(told, max((channel.end_s for channel in predicted), default=0.0))
    if not given:
        for channel in predicted:
            channel.events[:] = without_refused(channel.events, channel.segments)
    return predicted


def settled(frames: Iterator[tuple[Frames, ...]], settings: DetectionSettings) -> Iterator[Settled]:
    """What each chunk of frames settles: one chunk is taken for each item, not before it is asked for."""
    stages = []
    card = settings.card
    copies = in_step(frames, 2 * len(settings.channels))
    for row, number in enumerate(settings.channels):
        own, same = (map(itemgetter(row), copy) for copy in copies[2 * row : 2 * row + 2])
        if settings.boundaries is None:
            spans = decode(own, card, settings.delay_s)
        else:
            spans = place(own, on_channel(settings.boundaries, number), card)
        predictions = segments(same, card, settings.silent_range, settings.any_sound)
        stages.append(zip(classify(spans, card, number, settings.maps), predictions, strict=True))
    return zip(*stages, strict=True)


def in_step(items: Iterator[Item], count: int) -> list[Iterator[Item]]:
    """Iterators over the same items, to be advanced in turns; of `items` only the latest is held.

    `itertools.tee` would hold up to 57, an hour of frames.
    """
    latest: list[Item] = []  # empty before the first and after the last
    taken = 0

    def copy() -> Iterator[Item]:
        nonlocal taken
        own = 0
        while True:
            if own == taken:
                latest[:] = [item for _, item in zip(range(1), items, strict=False)]
                taken += 1
            own += 1
            if not latest:
                return
            yield latest[0]

    return [copy() for _ in range(count)]
