"""Clips of a recording, by windows or given boundaries, classified by a clip model."""

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from laennec.analyze.analysis import Event
from laennec.analyze.remarks import Remarks
from laennec.errors import LaennecError

if TYPE_CHECKING:
    from laennec.audio.recording import Recording
    from laennec.model.clips import LungModel

SHORTEST_CELL_S = 0.001  # windows meet to the millisecond; what lies between such edges is rounding
Cell = tuple[float, float, list[float]]  # start, end, probabilities


def window_and_hop(model: "LungModel", window_s: float | None, hop_s: float | None) -> tuple[float, float]:
    card = model.card
    window_s = card.window_s if window_s is None else window_s
    hop_s = min(card.hop_s, window_s) if hop_s is None else hop_s
    if window_s > card.clip_s + SHORTEST_CELL_S:
        raise LaennecError(
            f"windows of {window_s:g} s: the model {card.name} hears {card.clip_s:g} s at most"
        )
    return window_s, hop_s


def by_windows(
    recording: "Recording",
    channels: Sequence[int],
    model: "LungModel",
    known: Mapping[str, Any],
    window_s: float,
    hop_s: float,
    remarks: Remarks,
) -> Iterator[Event]:
    from laennec.audio.quality import SILENT_SHARE, silent_share
    from laennec.audio.segment import cut, windows

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
