"""Clips of a recording, by windows or given boundaries, classified by a model for clips."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from laennec.analyze.analysis import Event
from laennec.analyze.inputs import Remarks, on_channel
from laennec.analyze.recording import Channel
from laennec.annotations.events import Boundary
from laennec.audio.quality import MIN_DURATION_S, SILENT_SHARE, silent_share
from laennec.audio.recording import Recording
from laennec.audio.samples import by_number, counted
from laennec.audio.segment import CENTRE, cut, windows
from laennec.errors import LaennecError
from laennec.model.card import ClipCard
from laennec.model.clips import LungModel
from laennec.patient import Patient, nearest_place

SHORTEST_CELL_S = 0.001  # windows meet to the millisecond; what lies between such edges is rounding


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
    recording, and merged. `remarks` gets what was not analysed.
    """
    if boundaries is not None:
        remarks.notes.extend(_notes_on(boundaries, model.card))
    predicted = []
    for channel in channels:
        if window is None:
            spans = on_channel(boundaries or (), channel)
        else:
            spans = [Boundary(*span) for span in windows(recording.duration_s, *window)]
        where = f" of channel {channel}" if recording.channels > 1 else ""
        used, rows, silent = _predict(recording, channel, model, patient, spans, remarks)
        if window is None:
            labels, end_s = model.card.labels, recording.duration_s
            events = [
                _labelled(max(0.0, b.start_s), min(b.end_s, end_s), row, labels, channel, b.annotated)
                for b, row in zip(used, rows, strict=True)
            ]
            silences = [f"the event {b.start_s:g} to {b.end_s:g} s{where} is silent" for b in silent]
        else:
            events = merge_windows([(b.start_s, b.end_s) for b in used], rows, model.card.labels, channel)
            gaps = _gaps(events, recording.duration_s)
            silences = [f"{start:.2f} to {end:.2f} s{where} is silent or mostly so" for start, end in gaps]
        remarks.notes.extend(f"not analysed: {each}" for each in silences)
        predicted.append(Channel(channel, events))
    return predicted


def _predict(
    recording: Recording,
    channel: int,
    model: LungModel,
    patient: Patient,
    spans: Sequence[Boundary],
    remarks: Remarks,
) -> tuple[list[Boundary], npt.NDArray[np.float32], list[Boundary]]:
    """The spans that are not silent, their probabilities ``(spans, classes)``, and the silent spans."""
    rate = recording.sample_rate
    clips, used, silent = [], [], []
    for span in spans:
        try:
            clip = cut(recording.samples[channel], rate, span.start_s, span.end_s, remarks.repairs)
        except LaennecError as error:
            raise LaennecError(f"{recording.name}: {error}") from error
        if silent_share(clip, rate, recording.silent_range) < SILENT_SHARE:
            clips.append(clip)
            used.append(span)
        else:
            silent.append(span)
    place = nearest_place(patient.position, model.card.positions)
    return used, model.predict(clips, rate, patient.age_years, patient.sex, place), silent


def _notes_on(boundaries: Sequence[Boundary], card: ClipCard) -> Iterator[str]:
    """Name what a model for clips cannot take of given events."""
    if not boundaries:
        yield "the given events are none: nothing was analysed"
    given = counted(len(boundaries), "given event", "")
    too_long = sum(b.end_s - b.start_s > card.clip_s + SHORTEST_CELL_S for b in boundaries)
    if too_long:
        yield (
            f"{too_long} of {given} {by_number(too_long, 'lasts', 'last')} longer "
            "than the "
            f"{card.clip_s:g} s that the model hears; it judged {by_number(too_long, 'its', 'their')} "
            f"{'middle' if card.padding == CENTRE else 'beginning'}{by_number(too_long, '', 's')}"
        )
    too_short = sum(b.end_s - b.start_s < MIN_DURATION_S for b in boundaries)
    if too_short:
        yield (
            f"{too_short} of {given} {by_number(too_short, 'is', 'are')} shorter "
            f"than the shortest wheeze, {MIN_DURATION_S:g} s; "
            f"{by_number(too_short, 'its label rests', 'their labels rest')} "
            "on next to nothing"
        )


def merge_windows(
    windows: Sequence[tuple[float, float]],
    probabilities: npt.ArrayLike,
    labels: Sequence[str],
    channel: int = 0,
) -> list[Event]:
    """Turn overlapping windows, starts and ends both ascending, into events in order.

    The starts and ends of all windows cut time into cells. A cell's probabilities, ``(windows, labels)``, are
    the mean over the windows that cover it, its label is the likeliest class, and neighbouring cells of one
    label become one event, whose probabilities are the mean over its cells by their durations. So the events
    neither overlap nor leave out anything that a window covers, normal breathing included.
    """
    rows = np.asarray(probabilities, np.float64)
    starts_s, ends_s = np.reshape(windows, (-1, 2)).T
    edges_s: list[float] = []
    for edge_s in sorted({round(float(edge_s), 6) for edge_s in (*starts_s, *ends_s)}):
        if not edges_s or edge_s - edges_s[-1] >= SHORTEST_CELL_S:
            edges_s.append(edge_s)
    runs: list[list[tuple[float, float, npt.NDArray[np.float64]]]] = []
    for start_s, end_s in itertools.pairwise(edges_s):
        middle_s = (start_s + end_s) / 2
        covering = rows[np.searchsorted(ends_s, middle_s) : np.searchsorted(starts_s, middle_s, side="right")]
        if not len(covering):
            continue
        cell = (start_s, end_s, covering.mean(0))
        if runs and runs[-1][-1][1] == start_s and runs[-1][-1][2].argmax() == cell[2].argmax():
            runs[-1].append(cell)
        else:
            runs.append([cell])
    return [
        _labelled(
            run[0][0],
            run[-1][1],
            np.average(
                [mean for *_, mean in run], axis=0, weights=[end_s - start_s for start_s, end_s, _ in run]
            ),
            labels,
            channel,
        )
        for run in runs
    ]


def _labelled(
    start_s: float,
    end_s: float,
    probabilities: npt.NDArray[np.floating],
    labels: Sequence[str],
    channel: int,
    annotated: str | None = None,
) -> Event:
    best = labels[int(probabilities.argmax())]
    by_label = dict(zip(labels, map(float, probabilities), strict=True))
    return Event(start_s, end_s, best, by_label[best], by_label, channel, annotated)


def _gaps(events: Sequence[Event], duration_s: float) -> list[tuple[float, float]]:
    """The parts of a recording that no event covers."""
    edges_s = [0.0, *(edge_s for event in events for edge_s in (event.start_s, event.end_s)), duration_s]
    pairs = zip(edges_s[::2], edges_s[1::2], strict=True)
    return [(start_s, end_s) for start_s, end_s in pairs if end_s - start_s >= SHORTEST_CELL_S]
