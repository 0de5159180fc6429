"""From a recording to labelled events: the analysis of one file.

Three ways to place events. By default a detector finds them, names them, answers for the whole recording
and refuses what does not sound like a lung. With boundaries given by somebody, each event is judged by
itself. With a model for clips and no boundaries, windows are laid over the recording and their probabilities
averaged; the boundaries are then as coarse as the windows.

This module imports nothing heavy, so that ``import laennec`` is quick.
"""

import csv
import itertools
import json
import math
import os
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from laennec.analysis import Analysis, Event
from laennec.errors import LaennecError

if TYPE_CHECKING:
    import numpy.typing as npt

    from laennec.audio import Finding, Recording, Stream
    from laennec.detect import Detector, Listener
    from laennec.model import LungModel

DISCLAIMER = "Research software, not a medical device."

SHORTEST_CELL_S = 0.001  # windows meet to the millisecond; what lies between such edges is rounding
MOST_NOTES = 20  # on stretches that were not analysed
CSV_COLUMNS = ("start_s", "end_s")
# Crackles, wheezes: what ICBHI's cycles say, in the model's words where it has them.
ICBHI_FLAGS = {
    ("0", "0"): "Normal",
    ("1", "0"): "Crackle",
    ("0", "1"): "Wheeze",
    ("1", "1"): "Wheeze+Crackle",
}


Cell = tuple[float, float, list[float]]  # start, end, probabilities


@dataclass(frozen=True)
class Boundary:
    """A given event: where it is, and what its file calls it."""

    start_s: float
    end_s: float
    annotated: str | None = None


@dataclass
class _Remarks:
    """What happens on the way; ends up in the analysis."""

    repairs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


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
    from laennec.detect import Detector
    from laennec.labels import POSITIONS

    if events is not None and (window_s is not None or hop_s is not None):
        raise LaennecError("window and hop are for recordings without given events; leave out one or other")
    loaded = _model(model, given=events is not None or window_s is not None or hop_s is not None)
    if isinstance(loaded, Detector):
        told = _told(age_years, sex, position, POSITIONS)
        if window_s is not None or hop_s is not None:
            raise LaennecError(f"windows are for models for clips; {loaded.card.name} finds events itself")
        return _detected(source, sample_rate, events, loaded, told)
    model = loaded
    card = model.card
    known = _told(age_years, sex, position, card.positions)
    recording = _recording(source, sample_rate)
    remarks = _Remarks(repairs=list(recording.repairs))
    heard = _resampled(recording, card.sample_rate, remarks)
    if not card.uses_metadata and any(value is not None for value in known.values()):
        remarks.notes.append(f"the model {card.name} makes no use of age, sex and position")
    channels = _channels_to_hear(heard, remarks)
    if events is None:
        window_s, hop_s = _window_and_hop(model, window_s, hop_s)
        found = _by_windows(heard, channels, model, known, window_s, hop_s, remarks)
    else:
        boundaries = _inside(_boundaries(events, recording.name), heard, remarks)
        found = _by_boundaries(heard, channels, model, known, boundaries, remarks)
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
    recording: "Recording | Stream", model: "Detector | LungModel", told: Mapping[str, Any], remarks: _Remarks
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
    from laennec.detect import load_any, load_detector
    from laennec.model import load_model

    if model is None:
        return load_model(None) if given else load_detector(None)
    return load_any(model) if isinstance(model, str | os.PathLike) else model


def _told(
    age_years: float | None, sex: str | None, position: str | None, positions: Sequence[str]
) -> dict[str, Any]:
    from laennec.model import check_age, check_position, check_sex

    known_age = check_age(age_years)
    return {
        "age_years": None if math.isnan(known_age) else known_age,
        "sex": check_sex(sex),
        "position": check_position(position, positions),
    }


def described(data: Mapping[str, Any]) -> str:
    """A card's entries on its data as one line."""
    return "; ".join(f"{key}: {value}" for key, value in data.items() if value)


# --- found by a detector ------------------------------------------------------------------------------------


def _detected(
    source: Any,
    sample_rate: int | None,
    events: Any,
    detector: "Detector",
    told: Mapping[str, Any],
) -> Analysis:
    from laennec.audio import is_long, open_stream
    from laennec.detect import Listener

    if events is None and is_long(source):
        with open_stream(source) as stream:
            remarks = _Remarks()
            listeners = _listen(stream, detector)
            remarks.repairs += stream.repairs
            return _answered(stream, stream.warnings(), listeners, detector, told, remarks)
    recording = _recording(source, sample_rate)
    remarks = _Remarks(repairs=list(recording.repairs))
    heard = _resampled(recording, detector.card.sample_rate, remarks)
    channels = _channels_to_hear(heard, remarks)
    listeners = {}
    boundaries = None
    if events is not None:
        boundaries = _inside(_boundaries(events, recording.name), heard, remarks)
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

    from laennec.audio import Resampler
    from laennec.detect import Listener

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
    rate, frame = heard.sample_rate, detector.card.frame_samples
    reach = detector.card.reach_frames * frame
    events = []
    for boundary in boundaries:
        start_s, end_s = max(0.0, boundary.start_s), min(boundary.end_s, heard.duration_s)
        first = max(0, round(start_s * rate) - reach) // frame * frame
        samples = heard.samples[channel, first : round(end_s * rate) + reach]
        (event,) = detector.label(samples, [(start_s - first / rate, end_s - first / rate)], channel)
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
    remarks: _Remarks,
    segmentation: str = "detected",
) -> Analysis:
    from laennec.audio import Finding
    from laennec.detect import LOUD_SHARE, contact_noise, loud_share, record_answer, summary_answer

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
    from laennec.audio import Recording

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


def _resampled(recording: "Recording", sample_rate: int, remarks: _Remarks) -> "Recording":
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


def _channels_to_hear(recording: "Recording", remarks: _Remarks) -> list[int]:
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


# --- windows ------------------------------------------------------------------------------------------------


def _window_and_hop(model: "LungModel", window_s: float | None, hop_s: float | None) -> tuple[float, float]:
    card = model.card
    window_s = card.window_s if window_s is None else window_s
    hop_s = min(card.hop_s, window_s) if hop_s is None else hop_s
    if window_s > card.clip_s + SHORTEST_CELL_S:
        raise LaennecError(
            f"windows of {window_s:g} s: the model {card.name} hears {card.clip_s:g} s at most"
        )
    return window_s, hop_s


def _by_windows(
    recording: "Recording",
    channels: Sequence[int],
    model: "LungModel",
    known: Mapping[str, Any],
    window_s: float,
    hop_s: float,
    remarks: _Remarks,
) -> Iterator[Event]:
    from laennec.audio import SILENT_SHARE, silent_share
    from laennec.segment import cut, windows

    rate = recording.sample_rate
    spans = windows(recording.duration_s, window_s, hop_s)
    for channel in channels:
        clips = {span: cut(recording.samples[channel], rate, *span) for span in spans}
        clips = {span: clip for span, clip in clips.items() if silent_share(clip, rate) < SILENT_SHARE}
        probabilities = model.predict(list(clips.values()), rate, **known)
        merged = merge_windows(list(clips), probabilities.tolist(), model.card.labels, channel)
        yield from merged
        where = f" of channel {channel}" if recording.channels > 1 else ""
        remarks.notes.extend(
            f"not analysed: {start_s:.2f} to {end_s:.2f} s{where} is silent or mostly so"
            for start_s, end_s in _gaps(merged, recording.duration_s)
        )


def merge_windows(
    windows: Sequence[tuple[float, float]],
    probabilities: Sequence[Sequence[float]],
    labels: Sequence[str],
    channel: int = 0,
) -> list[Event]:
    """Turn overlapping windows into events.

    The starts and ends of all windows cut time into cells. A cell's probabilities are the mean over the
    windows that cover it, its label is the likeliest class, and neighbouring cells of one label become one
    event, whose probabilities are the mean over its cells by their durations. So the events neither overlap
    nor leave out anything that a window covers, normal breathing included.

    Parameters
    ----------
    windows : sequence of (start_s, end_s)
        Starts and ends both ascending.
    probabilities : sequence
        ``(windows, labels)``.
    labels : sequence of str
    channel : int
        Handed on to the events.

    Returns
    -------
    list of Event
        In order.
    """
    starts_s, ends_s = [start_s for start_s, _ in windows], [end_s for _, end_s in windows]
    events = []
    cells: list[Cell] = []
    for start_s, end_s in _cells(sorted({round(edge_s, 6) for edge_s in (*starts_s, *ends_s)})):
        middle_s = (start_s + end_s) / 2
        rows = probabilities[bisect_left(ends_s, middle_s) : bisect_right(starts_s, middle_s)]
        if rows:  # else no window covers it
            cells.append((start_s, end_s, [sum(column) / len(rows) for column in zip(*rows, strict=True)]))
    for _, group in itertools.groupby(_numbered(cells), key=lambda item: (item[0], _likeliest(item[1][2]))):
        run = [cell for _, cell in group]
        weights = [end_s - start_s for start_s, end_s, _ in run]
        total = sum(weights)
        columns = zip(*(mean for _, _, mean in run), strict=True)
        mean = [
            sum(w * value for w, value in zip(weights, column, strict=True)) / total for column in columns
        ]
        events.append(_event(run[0][0], run[-1][1], mean, labels, channel))
    return events


def _cells(edges: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Yield neighbouring edges; one closer than a millisecond to the edge before is left out."""
    start_s = None
    for edge_s in edges:
        if start_s is None:
            start_s = edge_s
        elif edge_s - start_s >= SHORTEST_CELL_S:
            yield start_s, edge_s
            start_s = edge_s


def _numbered(cells: Sequence[Cell]) -> Iterator[tuple[int, Cell]]:
    """Yield each cell with the number of gaps before it, so that no event reaches across one."""
    gaps = 0
    for index, cell in enumerate(cells):
        gaps += index > 0 and cell[0] - cells[index - 1][1] >= SHORTEST_CELL_S
        yield gaps, cell


def _likeliest(probabilities: Sequence[float]) -> int:
    return max(range(len(probabilities)), key=probabilities.__getitem__)


def _event(
    start_s: float,
    end_s: float,
    probabilities: Sequence[float],
    labels: Sequence[str],
    channel: int,
    annotated: str | None = None,
) -> Event:
    best = _likeliest(probabilities)
    told = dict(zip(labels, map(float, probabilities), strict=True))
    return Event(start_s, end_s, labels[best], told[labels[best]], told, channel, annotated)


def _gaps(events: Sequence[Event], duration_s: float) -> Iterator[tuple[float, float]]:
    """Yield the stretches of a recording that no event covers."""
    reached_s = 0.0
    for event in events:
        if event.start_s - reached_s >= SHORTEST_CELL_S:
            yield reached_s, event.start_s
        reached_s = event.end_s
    if duration_s - reached_s >= SHORTEST_CELL_S:
        yield reached_s, duration_s


# --- given events -------------------------------------------------------------------------------------------


def _by_boundaries(
    recording: "Recording",
    channels: Sequence[int],
    model: "LungModel",
    known: Mapping[str, Any],
    boundaries: Sequence[Boundary],
    remarks: _Remarks,
) -> Iterator[Event]:
    from laennec.audio import SILENT_SHARE, silent_share
    from laennec.model import CENTRE
    from laennec.segment import cut

    rate, duration_s = recording.sample_rate, recording.duration_s
    if not boundaries:
        remarks.notes.append("the given events are none: nothing was analysed")
    too_long = sum(b.end_s - b.start_s > model.card.clip_s + SHORTEST_CELL_S for b in boundaries)
    if too_long:
        remarks.notes.append(
            f"{too_long} of {len(boundaries)} given events last longer than the {model.card.clip_s:g} s that "
            f"the model hears; it judged their {'middles' if model.card.padding == CENTRE else 'beginnings'}"
        )
    for channel in channels:
        heard: list[tuple[Boundary, Any]] = []
        for boundary in boundaries:
            try:
                clip = cut(
                    recording.samples[channel], rate, boundary.start_s, boundary.end_s, remarks.repairs
                )
            except LaennecError as error:
                raise LaennecError(f"{recording.name}: {error}") from error
            if silent_share(clip, rate) < SILENT_SHARE:
                heard.append((boundary, clip))
            else:
                where = f" of channel {channel}" if recording.channels > 1 else ""
                what = f"the event {boundary.start_s:g} to {boundary.end_s:g} s{where}"
                remarks.notes.append(f"not analysed: {what} is silent")
        rows = model.predict([clip for _, clip in heard], rate, **known)
        for (boundary, _), row in zip(heard, rows.tolist(), strict=True):
            start_s, end_s = max(0.0, boundary.start_s), min(boundary.end_s, duration_s)
            yield _event(start_s, end_s, row, model.card.labels, channel, boundary.annotated)


def _boundaries(
    events: str | os.PathLike[str] | Sequence[Sequence[Any]], recording_name: str
) -> list[Boundary]:
    if isinstance(events, str | os.PathLike):
        return read_events(events, recording_name)
    found = []
    for number, event in enumerate(events, start=1):
        try:
            start_s, end_s, *rest = event
            label = str(rest[0]) if rest and rest[0] is not None else None
            found.append(_boundary(start_s, end_s, label))
        except (TypeError, ValueError) as error:
            raise LaennecError(f"event {number}: {error}; expected start and end in seconds") from error
    return sorted(found, key=lambda boundary: (boundary.start_s, boundary.end_s))


def _inside(boundaries: Sequence[Boundary], recording: "Recording", remarks: _Remarks) -> Sequence[Boundary]:
    """Leave out the events that lie wholly outside the recording, and record it; LaennecError if all do."""
    duration_s = recording.duration_s
    outside = [b for b in boundaries if b.start_s >= duration_s or b.end_s <= 0]
    told = [
        f"event {b.start_s:g} to {b.end_s:g} s: outside the recording of {duration_s:g} s" for b in outside
    ]
    if outside and len(outside) == len(boundaries):
        others = f", and so are the {len(told) - 1} other events" if told[1:] else ""
        raise LaennecError(f"{recording.name}: {told[0]}{others}")
    remarks.repairs.extend(f"{what}; left out" for what in told)
    return [b for b in boundaries if b not in outside]


def read_events(path: str | os.PathLike[str], recording_name: str | None = None) -> list[Boundary]:
    """Read event boundaries from a file, by its kind:

    - ``.json``: SPRSound's annotation, ``event_annotation`` with start and end in milliseconds;
    - ``.csv``: columns ``start_s`` and ``end_s``, perhaps ``label``; where there is a column ``path``, the
      rows of this recording;
    - ``.txt``: an Audacity label track (start, end, label with tabs between) or ICBHI's cycles (start, end,
      crackles, wheezes), in seconds.

    Parameters
    ----------
    path : path
    recording_name : str, optional
        File name of the recording, to choose among the rows of a CSV of several.

    Returns
    -------
    list of Boundary
        By start. Labels are kept as ``annotated``, in SPRSound's spelling where they are its own; they tell
        the model nothing.

    Raises
    ------
    LaennecError
        If the file cannot be read, a line of it is no event (the message names it), or it is a CSV without
        a row for this recording. A JSON or text file may hold no event, as SPRSound's of poor quality do.
    """
    path = Path(path)
    if path.suffix.lower() not in _READERS:
        raise LaennecError(f"{path}: events are read from {', '.join(_READERS)} files")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise LaennecError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise LaennecError(f"{path}: not UTF-8 text") from error
    try:
        lines = list(_READERS[path.suffix.lower()](text, path, recording_name))
    except csv.Error as error:
        raise LaennecError(f"{path}: not a table ({error})") from error
    found = []
    for where, told in lines:
        try:
            found.append(_boundary(*told))
        except ValueError as error:
            raise LaennecError(f"{path}: {where}: {error}") from error
    return sorted(found, key=lambda boundary: (boundary.start_s, boundary.end_s))


Told = tuple[str, tuple[Any, Any, str | None]]  # where it stands; start, end in seconds, label


def _boundary(start_s: Any, end_s: Any, label: str | None) -> Boundary:
    """Return a boundary; ValueError says what is wrong with it."""
    times = []
    for name, value in (("start", start_s), ("end", end_s)):
        try:
            times.append(float(value))
        except (TypeError, ValueError, OverflowError):
            times.append(math.nan)
        if not math.isfinite(times[-1]):
            raise ValueError(f"{name} is {value!r}, no number")
    if times[0] >= times[1]:
        raise ValueError(f"it ends at {times[1]:g} s, not after its start at {times[0]:g} s")
    return Boundary(times[0], times[1], _canonical(label))


def _canonical(label: str | None) -> str | None:
    """Return SPRSound's spelling of a label that is one of its own, else the label."""
    from laennec.labels import SPRSOUND_EVENTS

    if label is None or not label.strip():
        return None
    spellings = {_bare(name): name for name in SPRSOUND_EVENTS}
    return spellings.get(_bare(label), label.strip())


def _bare(label: str) -> str:
    return re.sub(r"\s", "", label.lower()).replace("&", "+")


def _from_json(text: str, path: Path, _: str | None) -> Iterator[Told]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LaennecError(f"{path}: not JSON ({error})") from error
    listed = told.get("event_annotation") if isinstance(told, dict) else None
    if not isinstance(listed, list):
        raise LaennecError(f"{path}: expected SPRSound's JSON, an object with a list event_annotation")
    for number, event in enumerate(listed, start=1):
        where = f"event {number}"
        if not isinstance(event, dict):
            raise LaennecError(f"{path}: {where}: expected an object with start, end and type")
        label = event.get("type")
        times = (_milliseconds(event.get("start")), _milliseconds(event.get("end")))
        yield where, (*times, None if label is None else str(label))


def _milliseconds(value: Any) -> Any:
    """Return seconds, or the value itself where it is no number, which the caller then names."""
    try:
        return float(value) / 1000
    except (TypeError, ValueError, OverflowError):
        return value


def _from_csv(text: str, path: Path, recording_name: str | None) -> Iterator[Told]:
    lines = text.splitlines()
    delimiter = max(",;\t", key=lines[0].count) if lines else ","
    rows = csv.DictReader(lines, delimiter=delimiter, skipinitialspace=True)
    columns = [(name or "").strip() for name in rows.fieldnames or ()]
    rows.fieldnames = columns
    missing = [name for name in CSV_COLUMNS if name not in columns]
    if missing:
        raise LaennecError(f"{path}: no column {missing[0]}; it has {', '.join(columns) or 'none'}")
    stem = Path(recording_name).stem if recording_name else None
    others, used = 0, False
    for row in rows:
        if stem and row.get("path") and Path(row["path"]).stem != stem:
            others += 1
            continue
        used = True
        start, end = ((row[name] or "").strip() for name in CSV_COLUMNS)
        if delimiter != ",":  # a decimal comma, then
            start, end = start.replace(",", "."), end.replace(",", ".")
        yield f"line {rows.line_num}", (start, end, row.get("label"))
    if not used:
        what = f"none of its {others} rows is for {recording_name}" if others else "no row below its header"
        raise LaennecError(f"{path}: {what}")


def _from_text(text: str, path: Path, _: str | None) -> Iterator[Told]:
    # A line that begins with a backslash holds the frequencies of an Audacity spectral selection.
    lines = [
        (f"line {number}", line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.startswith("\\")
    ]
    cells = [line.split() for _, line in lines]
    if cells and all(len(row) == 4 and (row[2], row[3]) in ICBHI_FLAGS for row in cells):
        for (where, _), row in zip(lines, cells, strict=True):
            yield where, (row[0], row[1], ICBHI_FLAGS[row[2], row[3]])
        return
    for where, line in lines:
        start, end, *label = (
            (part.strip() for part in line.split("\t", 2)) if line.count("\t") else [line, ""]
        )
        if not end:
            raise LaennecError(
                f"{path}: {where}: expected start, end and label with tabs between (Audacity) or start, end, "
                f"crackles, wheezes (ICBHI), found {line.strip()!r}"
            )
        # Some locales export a decimal comma.
        yield where, (start.replace(",", "."), end.replace(",", "."), label[0] if label else None)


_READERS: dict[str, Callable[[str, Path, str | None], Iterator[Told]]] = {
    ".json": _from_json,
    ".csv": _from_csv,
    ".txt": _from_text,
}
