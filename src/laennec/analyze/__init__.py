"""From a recording to labelled events: the analysis of one file.

Three ways to place events. By default a detector finds them, names them, answers for the whole recording
and refuses what does not sound like a lung. With boundaries given by somebody, each event is judged by
itself. With a model for clips and no boundaries, windows are laid over the recording and their probabilities
averaged; the boundaries are then as coarse as the windows.

This module imports nothing heavy, so that ``import laennec`` is quick.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, BinaryIO

from laennec.analyze.analysis import Analysis, Event
from laennec.analyze.given import by_boundaries, given_boundaries, inside_recording
from laennec.analyze.remarks import Remarks
from laennec.analyze.windows import by_windows, window_and_hop
from laennec.annotations.events import Boundary
from laennec.errors import LaennecError
from laennec.patient import Patient

if TYPE_CHECKING:
    import numpy.typing as npt

    from laennec.analyze.listener import Listener
    from laennec.audio.quality import Finding
    from laennec.audio.recording import Recording
    from laennec.audio.stream import Stream
    from laennec.model.clips import LungModel
    from laennec.model.detector import Detector

MOST_NOTES = 20  # on stretches that were not analysed


def analyze(
    source: "str | os.PathLike[str] | bytes | BinaryIO | npt.ArrayLike | Recording",
    *,
    sample_rate: int | None = None,
    events: str | os.PathLike[str] | Sequence[Sequence[Any]] | None = None,
    model: "str | os.PathLike[str] | Detector | LungModel | None" = None,
    age_years: float | None = None,
    sex: str | None = None,
    position: str | None = None,
    window_s: float | None = None,
    hop_s: float | None = None,
) -> Analysis:
    """Find and label the respiratory events of a recording.

    Parameters
    ----------
    source : path, bytes, binary file, array_like or Recording
        What to listen to. Each channel is analysed by itself. A file of more than ten minutes is heard block
        by block, in constant memory.
    sample_rate : int, optional
        Hz; needed with an array of samples, ``(samples,)`` or ``(channels, samples)``, and only there.
    events : path or sequence, optional
        Event boundaries: a file as for :func:`read_events`, or ``(start_s, end_s)`` or ``(start_s, end_s,
        label)`` for each. By default they are found.
    model : path, str, Detector or LungModel, optional
        A model file, a run folder, or the name of one that ships. By default ``recording``, which finds
        events, or ``default`` where `events` are given. With a model for clips and no events, windows are
        laid over the recording, see :func:`merge_windows`.
    age_years : float, optional
        0 to 130.
    sex : str, optional
        ``male`` or ``female``.
    position : str, optional
        On the chest: ``left-posterior``, ``left-lateral``, ``right-posterior``, ``right-lateral``.
    window_s, hop_s : float, optional
        In place of those of a model for clips, which it was measured with. Not with `events`.

    Returns
    -------
    Analysis

    Raises
    ------
    LaennecError
        If the recording, the events, the model or the metadata cannot be used; the message says which.
    """
    from laennec.model.detector import Detector

    if events is not None and (window_s is not None or hop_s is not None):
        raise LaennecError("window and hop are for recordings without given events; leave out one or other")
    loaded = _model(model, given=events is not None or window_s is not None or hop_s is not None)
    if isinstance(loaded, Detector):
        told = asdict(Patient(age_years, sex, position))
        if window_s is not None or hop_s is not None:
            raise LaennecError(f"windows are for models for clips; {loaded.card.name} finds events itself")
        return _detected(source, sample_rate, events, loaded, told)
    model = loaded
    card = model.card
    known = asdict(Patient(age_years, sex, position, card.positions))
    recording = _recording(source, sample_rate)
    remarks = Remarks(repairs=list(recording.repairs))
    heard = _resampled(recording, card.sample_rate, remarks)
    if not card.uses_metadata and any(value is not None for value in known.values()):
        remarks.notes.append(f"the model {card.name} makes no use of age, sex and position")
    channels = _channels_to_hear(heard, remarks)
    if events is None:
        window_s, hop_s = window_and_hop(model, window_s, hop_s)
        found = by_windows(heard, channels, model, known, window_s, hop_s, remarks)
    else:
        boundaries = inside_recording(given_boundaries(events, recording.name), heard, remarks)
        found = by_boundaries(heard, channels, model, known, boundaries, remarks)
    labelled = tuple(found)  # which adds to the remarks
    return Analysis(
        events=labelled,
        segmentation="windows" if events is None else "given",
        window_s=window_s,
        hop_s=hop_s,
        quality=recording.warnings,
        **_provenance(recording, model, known, remarks),
    )


def _provenance(
    recording: "Recording | Stream", model: "Detector | LungModel", told: Mapping[str, Any], remarks: Remarks
) -> dict[str, Any]:
    """What an analysis says of recording and model, and of what happened on the way."""
    card = model.card
    return {
        # Undecodable bytes in a file name show as "?".
        "name": recording.name.encode("utf-8", "replace").decode(),
        "duration_s": recording.duration_s,
        "sample_rate": recording.sample_rate,
        "channels": recording.channels,
        "repairs": tuple(dict.fromkeys(remarks.repairs)),
        "notes": tuple(dict.fromkeys(remarks.notes)),
        "model_name": card.name,
        "model_version": card.version,
        "model_sha256": model.sha256,
        "labels": card.labels,
        "normal": card.normal,
        "model_data": described(card.data),
        "model_limits": card.limits,
        **told,
    }


def _model(model: Any, given: bool) -> "Detector | LungModel":
    """The model to use; where events or windows are given and nothing is named, the one for clips."""
    from laennec.model.card import RECORDING
    from laennec.model.load import DEFAULT, load_model

    if model is None:
        return load_model(DEFAULT if given else RECORDING)
    return load_model(model) if isinstance(model, str | os.PathLike) else model


def described(data: Mapping[str, Any]) -> str:
    """A card's entries on its data as one line."""
    return "; ".join(f"{key}: {value}" for key, value in data.items() if value)


def _detected(
    source: Any,
    sample_rate: int | None,
    events: Any,
    detector: "Detector",
    told: Mapping[str, Any],
) -> Analysis:
    from laennec.analyze.listener import Listener
    from laennec.audio.stream import is_long, open_stream

    if events is None and is_long(source):
        with open_stream(source) as stream:
            remarks = Remarks()
            listeners = _listen(stream, detector)
            remarks.repairs += stream.repairs
            return _answered(stream, stream.warnings(), listeners, detector, told, remarks)
    recording = _recording(source, sample_rate)
    remarks = Remarks(repairs=list(recording.repairs))
    heard = _resampled(recording, detector.card.sample_rate, remarks)
    channels = _channels_to_hear(heard, remarks)
    listeners = {}
    boundaries = None
    if events is not None:
        boundaries = inside_recording(given_boundaries(events, recording.name), heard, remarks)
    for channel in channels:
        listener = Listener(detector, channel)
        listener.push(heard.samples[channel])
        listener.finish()
        if boundaries is not None:
            listener.events = _named(detector, heard, channel, boundaries)
        listeners[channel] = listener
    how = "detected" if events is None else "given"
    return _answered(recording, recording.warnings, listeners, detector, told, remarks, how)


def _listen(stream: "Stream", detector: "Detector") -> "dict[int, Listener]":
    import numpy as np

    from laennec.analyze.listener import Listener
    from laennec.audio.samples import Resampler

    listeners = {channel: Listener(detector, channel, maps=False) for channel in range(stream.channels)}
    resampler = Resampler(stream.sample_rate, detector.card.sample_rate, stream.channels)
    for block in stream.blocks():
        for listener, samples in zip(listeners.values(), resampler(block), strict=True):
            listener.push(samples)
    nothing = np.zeros((stream.channels, 0), np.float32)
    for listener, samples in zip(listeners.values(), resampler(nothing, last=True), strict=True):
        listener.push(samples)
        listener.finish()
    return listeners


def _named(
    detector: "Detector", heard: "Recording", channel: int, boundaries: Sequence[Boundary]
) -> list[Event]:
    """Given events, each named from what lies within reach of it."""
    from laennec.analyze.events import label_spans

    rate, frame = heard.sample_rate, detector.card.frame_samples
    reach = detector.card.reach_frames * frame
    events = []
    for boundary in boundaries:
        start_s, end_s = max(0.0, boundary.start_s), min(boundary.end_s, heard.duration_s)
        first = max(0, round(start_s * rate) - reach) // frame * frame
        samples = heard.samples[channel, first : round(end_s * rate) + reach]
        (event,) = label_spans(detector, samples, [(start_s - first / rate, end_s - first / rate)], channel)
        moved = event.relevance and replace(
            event.relevance,
            start_s=event.relevance.start_s + first / rate,
            end_s=event.relevance.end_s + first / rate,
        )
        events.append(
            replace(event, start_s=start_s, end_s=end_s, annotated=boundary.annotated, relevance=moved)
        )
    return events


def _answered(
    recording: "Recording | Stream",
    quality: "Sequence[Finding]",
    listeners: "Mapping[int, Listener]",
    detector: "Detector",
    told: Mapping[str, Any],
    remarks: Remarks,
    segmentation: str = "detected",
) -> Analysis:
    from laennec.analyze.recording import LOUD_SHARE, contact_noise, loud_share, record_answer, summary_answer
    from laennec.audio.quality import Finding

    card = detector.card
    quality = list(quality)
    if any(value is not None for value in told.values()):
        remarks.notes.append(f"the model {card.name} makes no use of age, sex and position")
    answers, events = [], []
    for channel, listener in listeners.items():
        if not listener.stretches:
            continue
        answers.append(record_answer(card, listener.stretches, listener.events, channel))
        events += listener.events
        loud = loud_share(listener.stretches)
        if loud >= LOUD_SHARE:
            quality.append(Finding("contact_noise", contact_noise(loud), loud, channel))
        where = f" of channel {channel}" if recording.channels > 1 else ""
        refused = [s for s in listener.stretches if s.refused]
        remarks.notes.extend(
            f"not analysed: {s.start_s:.1f} to {s.end_s:.1f} s{where} ({s.refused})"
            for s in refused[:MOST_NOTES]
        )
        if len(refused) > MOST_NOTES:
            remarks.notes.append(f"{len(refused) - MOST_NOTES} further stretches{where} were not analysed")
    return Analysis(
        events=tuple(events),
        segmentation=segmentation,
        window_s=None,
        hop_s=None,
        quality=tuple(quality),
        record=summary_answer(answers),
        channel_records=tuple(answers),
        **_provenance(recording, detector, told, remarks),
    )


def _recording(source: Any, sample_rate: int | None) -> "Recording":
    from laennec.audio.recording import Recording

    is_source = isinstance(source, str | os.PathLike | bytes | bytearray | memoryview) or hasattr(
        source, "read"
    )
    if isinstance(source, Recording) or is_source:
        if sample_rate is not None:
            raise LaennecError("a sample rate is only for arrays; a file and a Recording have their own")
        return source if isinstance(source, Recording) else Recording.read(source)
    if sample_rate is None:
        raise LaennecError("an array of samples needs its sample_rate in Hz")
    return Recording.from_array(source, sample_rate)


def _resampled(recording: "Recording", sample_rate: int, remarks: Remarks) -> "Recording":
    """Return the recording at the model's rate, and note what that means."""
    if recording.sample_rate == sample_rate:
        return recording
    lost = (
        f"; it holds nothing above {recording.sample_rate // 2} Hz, where the model listens too"
        if recording.sample_rate < sample_rate
        else ""
    )
    remarks.notes.append(
        f"resampled from {recording.sample_rate} to {sample_rate} Hz, the model's rate{lost}"
    )
    return recording.resampled(sample_rate)


def _channels_to_hear(recording: "Recording", remarks: Remarks) -> list[int]:
    """Return the channels worth analysing: not wholly silent, not too short, no copy of an earlier one."""
    import numpy as np

    if any(finding.kind == "too_short" for finding in recording.warnings):
        remarks.notes.append(
            f"not analysed: {recording.duration_s:.3f} s are too short to hold a respiratory sound"
        )
        return []
    silent = {w.channel for w in recording.warnings if w.kind == "silent" and w.share == 1}
    chosen: list[int] = []
    for index, samples in enumerate(recording.samples):
        called = f"channel {index}" if recording.channels > 1 else "the recording"
        twin = next((k for k in chosen if np.array_equal(recording.samples[k], samples)), None)
        if index in silent:
            remarks.notes.append(f"not analysed: {called} is silent")
        elif twin is not None:
            remarks.notes.append(f"{called} is the same as channel {twin} and was not analysed again")
        else:
            chosen.append(index)
    return chosen
