"""Clips of a recording, by windows or given boundaries, classified by a model for clips."""

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from laennec.analyze.analysis import Event
from laennec.analyze.given import on_channel
from laennec.analyze.inputs import Remarks
from laennec.analyze.recording import Channel
from laennec.annotations import Boundary
from laennec.audio.quality import SILENT_SHARE, silent_share
from laennec.audio.recording import Recording
from laennec.audio.samples import Array
from laennec.audio.segment import CENTRE, cut, windows
from laennec.errors import LaennecError
from laennec.model.card import ClipCard
from laennec.model.clips import LungModel
from laennec.patient import Patient

SHORTEST_CELL_S = 0.001  # windows meet to the millisecond; what lies between such edges is rounding
Cell = tuple[float, float, list[float]]  # start, end, probabilities


def window_and_hop(card: ClipCard, window_s: float | None, hop_s: float | None) -> tuple[float, float]:
    """The lengths that are asked for, or else those of the card, whose clips are no shorter."""
    window_s = card.window_s if window_s is None else window_s
    hop_s = min(card.hop_s, window_s) if hop_s is None else hop_s
    if window_s > card.clip_s + SHORTEST_CELL_S:
        raise LaennecError(
            f"windows of {window_s:g} s: the model {card.name} hears {card.clip_s:g} s at most"
        )
    return window_s, hop_s


def classify_clips(
    recording: Recording,
    channels: Sequence[int],
    model: LungModel,
    patient: Patient,
    boundaries: Sequence[Boundary] | None,
    window: tuple[float, float] | None,
    remarks: Remarks,
) -> list[Channel]:
    """Events of every channel of a recording at the model's rate, by a model for clips.

    Given `boundaries` are each classified by itself; else windows of (window_s, hop_s) are laid over the
    recording. `remarks` gets what was not analysed.
    """
    if boundaries is not None:
        remarks.notes.extend(_notes_on(boundaries, model.card))
    predicted = []
    for number in channels:
        if boundaries is not None:
            given = on_channel(boundaries, number)
            events = _by_boundaries(recording, number, model, patient, given, remarks)
        else:
            assert window is not None
            events = _by_windows(recording, number, model, patient, window, remarks)
        predicted.append(Channel(number, events))
    return predicted


def _by_windows(
    recording: Recording,
    channel: int,
    model: LungModel,
    patient: Patient,
    window: tuple[float, float],
    remarks: Remarks,
) -> list[Event]:
    """Events of a channel from windows over it."""
    rate = recording.sample_rate
    clips: dict[tuple[float, float], Array] = {}
    for span in windows(recording.duration_s, *window):
        clip = cut(recording.samples[channel], rate, *span)
        if silent_share(clip, rate) < SILENT_SHARE:
            clips[span] = clip
    sounds = list(clips.values())
    rows = model.predict(sounds, rate, patient.age_years, patient.sex, patient.position).tolist()
    events = merge_windows(list(clips), rows, model.card.labels, channel)
    remarks.notes.extend(
        f"not analysed: {start_s:.2f} to {end_s:.2f} s{_where(recording, channel)} is silent or mostly so"
        for start_s, end_s in _gaps(events, recording.duration_s)
    )
    return events


def _by_boundaries(
    recording: Recording,
    channel: int,
    model: LungModel,
    patient: Patient,
    boundaries: Sequence[Boundary],
    remarks: Remarks,
) -> list[Event]:
    """Given events of a channel, each classified by itself."""
    rate = recording.sample_rate
    clips: list[tuple[Boundary, Array]] = []
    for boundary in boundaries:
        try:
            clip = cut(recording.samples[channel], rate, boundary.start_s, boundary.end_s, remarks.repairs)
        except LaennecError as error:
            raise LaennecError(f"{recording.name}: {error}") from error
        if silent_share(clip, rate) < SILENT_SHARE:
            clips.append((boundary, clip))
        else:
            what = f"the event {boundary.start_s:g} to {boundary.end_s:g} s{_where(recording, channel)}"
            remarks.notes.append(f"not analysed: {what} is silent")
    sounds = [clip for _, clip in clips]
    rows = model.predict(sounds, rate, patient.age_years, patient.sex, patient.position).tolist()
    events = []
    for (boundary, _), row in zip(clips, rows, strict=True):
        start_s, end_s = max(0.0, boundary.start_s), min(boundary.end_s, recording.duration_s)
        events.append(labelled_event(start_s, end_s, row, model.card.labels, channel, boundary.annotated))
    return events


def _notes_on(boundaries: Sequence[Boundary], card: ClipCard) -> Iterator[str]:
    """Name what a model for clips cannot take of given events."""
    if not boundaries:
        yield "the given events are none: nothing was analysed"
    too_long = sum(b.end_s - b.start_s > card.clip_s + SHORTEST_CELL_S for b in boundaries)
    if too_long:
        yield (
            f"{too_long} of {len(boundaries)} given events last longer than the {card.clip_s:g} s that "
            f"the model hears; it judged their {'middles' if card.padding == CENTRE else 'beginnings'}"
        )


def _where(recording: Recording, channel: int) -> str:
    return f" of channel {channel}" if recording.channels > 1 else ""


def merge_windows(
    windows: Sequence[tuple[float, float]],
    probabilities: Sequence[Sequence[float]],
    labels: Sequence[str],
    channel: int = 0,
) -> list[Event]:
    """Turn overlapping windows, starts and ends both ascending, into events in order.

    The starts and ends of all windows cut time into cells. A cell's probabilities, ``(windows, labels)``, are
    the mean over the windows that cover it, its label is the likeliest class, and neighbouring cells of one
    label become one event, whose probabilities are the mean over its cells by their durations. So the events
    neither overlap nor leave out anything that a window covers, normal breathing included.
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
        mean = [sum(w * p for w, p in zip(weights, column, strict=True)) / total for column in columns]
        events.append(labelled_event(run[0][0], run[-1][1], mean, labels, channel))
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


def labelled_event(
    start_s: float,
    end_s: float,
    probabilities: Sequence[float],
    labels: Sequence[str],
    channel: int,
    annotated: str | None = None,
) -> Event:
    best = _likeliest(probabilities)
    by_label = dict(zip(labels, map(float, probabilities), strict=True))
    return Event(start_s, end_s, labels[best], by_label[labels[best]], by_label, channel, annotated)


def _gaps(events: Sequence[Event], duration_s: float) -> Iterator[tuple[float, float]]:
    """Yield the parts of a recording that no event covers."""
    reached_s = 0.0
    for event in events:
        if event.start_s - reached_s >= SHORTEST_CELL_S:
            yield reached_s, event.start_s
        reached_s = event.end_s
    if duration_s - reached_s >= SHORTEST_CELL_S:
        yield reached_s, duration_s
