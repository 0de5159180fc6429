"""From sound to events: the analysis of a recording.

Three ways to place events. By default a model for whole recordings finds them, classifies them, predicts the
whole recording and refuses what does not sound like a lung. Given events are classified where they lie. With
a model for clips and no given events, windows are laid over the recording and their probabilities averaged;
boundaries are then as coarse as the windows.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any, BinaryIO, TypeVar

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
from laennec.annotations import Boundary
from laennec.audio.level import SILENT_RANGE
from laennec.audio.recording import Recording
from laennec.errors import LaennecError
from laennec.model.card import RecordingCard
from laennec.model.clips import LungModel
from laennec.model.detector import Detector, Frames
from laennec.patient import Patient

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
        0 to 130; ``male`` or ``female``; ``left-posterior``, ``left-lateral``, ``right-posterior`` or
        ``right-lateral``.
    window_s, hop_s : float, optional
        In place of those of a model for clips, which it was measured with. Not with `events`.
    any_sound : bool
        Analyse what does not sound like a lung all the same; the answer is uncertain then. Silence stays
        refused.
    calibration : path, optional
        A file of ``laennec calibrate`` for this model: how sure it is then holds for the device and the kind
        of patients that the file was made with. For models for whole recordings.
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
    channels = channels_of(recording, loaded.card, patient, remarks)
    boundaries = None if events is None else boundaries_in(events, recording, remarks)
    rate, window = loaded.card.sample_rate, None
    if isinstance(loaded, Detector):
        frames = listen(recording, channels, loaded)
        maps = boundaries is not None or recording.duration_s <= MAPS_S
        predicted = detect(
            frames, channels, loaded.card, boundaries, maps, recording.silent_range, any_sound, found
        )
        segmentation = "detected"
    else:
        window = None if boundaries is not None else window_and_hop(loaded.card, window_s, hop_s)
        predicted = classify_clips(
            recording.resampled(rate), channels, loaded, patient, boundaries, window, remarks
        )
        segmentation = "windows"
    if boundaries is not None:
        segmentation = "given"
    return summarise(recording, predicted, loaded, patient, remarks, segmentation, window)


def listen(recording: Recording, channels: Sequence[int], model: Detector) -> Iterator[tuple[Frames, ...]]:
    """The outputs of a model for whole recordings for some channels of one, chunk by chunk."""
    sound = (block[channels] for block in recording.blocks(model.card.sample_rate))
    return model.frames(sound, levels=[recording.levels[channel] for channel in channels])


def detect(
    frames: Iterator[tuple[Frames, ...]],
    channels: Sequence[int],
    card: RecordingCard,
    boundaries: Sequence[Boundary] | None = None,
    maps: bool = True,
    silent_range: float = SILENT_RANGE,
    any_sound: bool = False,
    found: Found | None = None,
) -> list[Channel]:
    """Events and segments of every channel, in one pass over the frames and in constant memory.

    Each stage takes a chunk of frames and gives what that settles, so all stages of all channels go in step
    and none holds more frames than it needs itself. `channels` are numbers in the recording. Without
    `boundaries` events are found, and those in refused segments are left out. With `maps`, each event keeps
    its relevance. `silent_range` is that of the recording; with `any_sound`, only silence is refused. `found`
    is called with found events as soon as their segment is predicted.
    """
    predicted = [Channel(number, given=boundaries is not None) for number in channels]
    waiting: list[Event] = []
    for step in settled(frames, channels, card, boundaries, maps, silent_range, any_sound):
        for channel, (more_events, more_segments) in zip(predicted, step, strict=True):
            channel.events.extend(more_events)
            channel.segments.extend(more_segments)
        if found is not None and boundaries is None:
            waiting += [event for more_events, _ in step for event in more_events]
            told, waiting = in_segments(waiting, predicted)
            found(told, max((channel.end_s for channel in predicted), default=0.0))
    if boundaries is None:
        for channel in predicted:
            channel.events[:] = without_refused(channel.events, channel.segments)
    return predicted


def settled(
    frames: Iterator[tuple[Frames, ...]],
    channels: Sequence[int],
    card: RecordingCard,
    boundaries: Sequence[Boundary] | None = None,
    maps: bool = True,
    silent_range: float = SILENT_RANGE,
    any_sound: bool = False,
    delay_s: float | None = None,
) -> Iterator[Settled]:
    """What each chunk of frames settles; parameters as for `detect`, and `delay_s` as for `decode`.

    One chunk is taken for each item, not before it is asked for.
    """
    stages = []
    copies = in_step(frames, 2 * len(channels))
    for row, number in enumerate(channels):
        own, same = (map(itemgetter(row), copy) for copy in copies[2 * row : 2 * row + 2])
        given = None if boundaries is None else on_channel(boundaries, number)
        spans = decode(own, card, delay_s) if given is None else place(own, given, card)
        predictions = segments(same, card, silent_range, any_sound)
        stages.append(zip(classify(spans, card, number, maps), predictions, strict=True))
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
