"""Frames become events: spans are found (Viterbi) or given, and classified by the frames that they cover."""

import itertools
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from laennec.analyze.analysis import Event, Relevance
from laennec.annotations.events import Boundary
from laennec.labels import EVENT_FAMILY
from laennec.model.card import EventRule, RecordingCard
from laennec.model.detector import Frames
from laennec.model.probability import calibrated, hit_probability, sigmoid

PAUSE, GO_ON, FIRST = -1, -2, 10  # states of a path that are no family; what marks an event's first frame
LONGEST_EVENT_S = 10.0  # a longer one is cut; no annotated event lasts so long
FAMILIES = {"Normal": 0, "CAS": 1, "DAS": 2, "CAS & DAS": 2}


@dataclass(frozen=True)
class Span:
    """Where an event lies: its first frame and the one after its last, and in seconds.

    `given` tells whether its boundaries were given, `annotated` what its annotation calls it.
    """

    first: int
    end: int
    start_s: float
    end_s: float
    given: bool = False
    annotated: str | None = None


Decoded = tuple[Frames, list[Span]]  # spans that are settled, and the frames that hold them


def decode(frames: Iterable[Frames], card: RecordingCard, delay_s: float | None = None) -> Iterator[Decoded]:
    """Find the spans of a channel, as soon as no frame to come can change them, or `delay_s` after their end.

    Yields once for each of `frames`; what is undecided is held, never longer than an event and its pause.
    """
    family = families(card.labels)
    delay = None if delay_s is None else round(delay_s / card.frame_s)
    held: Frames | None = None
    for more in frames:
        held = more.after(held)
        scores = emission_scores(held.presence, held.class_logits(), family, card.rule)
        edges, settled = find_events(scores, held.presence, card.rule, card.frame_s, held.last, delay)
        numbers = [(held.first + first, held.first + end) for first, end in edges]
        yield held, [Span(a, b, a * card.frame_s, min(b * card.frame_s, held.end_s)) for a, b in numbers]
        held = held.cut(held.first + settled, held.end)


def place(frames: Iterable[Frames], boundaries: Sequence[Boundary], card: RecordingCard) -> Iterator[Decoded]:
    """Lay given events, by their starts, over the frames of a channel, in place of finding them."""
    waiting = deque(boundaries)
    held: Frames | None = None
    for more in frames:
        held = more.after(held)
        ready = []
        while waiting and (held.last or round(waiting[0].end_s / card.frame_s) < held.end):
            ready.append(_nearest_frames(waiting.popleft(), held, card))
        yield held, ready
        needed = round(waiting[0].start_s / card.frame_s) if waiting else held.end
        held = held.cut(max(held.first, min(needed, held.end - 1)), held.end)


def _nearest_frames(boundary: Boundary, held: Frames, card: RecordingCard) -> Span:
    """The frames nearest to given boundaries, at least one."""
    first = min(max(0, round(boundary.start_s / card.frame_s)), held.end - 1)
    end = min(max(first + 1, round(boundary.end_s / card.frame_s)), held.end)
    end_s = min(boundary.end_s, held.end_s) if held.last else boundary.end_s
    return Span(first, end, max(0.0, boundary.start_s), end_s, given=True, annotated=boundary.annotated)


def classify(
    spans: Iterable[Decoded], card: RecordingCard, channel: int = 0, maps: bool = True
) -> Iterator[list[Event]]:
    """Classify the spans of a channel, found or given: a list of events for each item of `spans`.

    With `maps`, each event keeps its relevance, 2 kB or more of it.
    """
    for frames, settled in spans:
        yield [_classified(frames, span, card, channel, maps) for span in settled]


def _classified(frames: Frames, span: Span, card: RecordingCard, channel: int, maps: bool) -> Event:
    inside = frames.cut(span.first, span.end)
    evidence = inside.evidence.astype(np.float64)
    logits = evidence.mean((1, 2)) + inside.context.mean(1, dtype=np.float64)
    probabilities = calibrated(logits, card.event_temperature, card.event_bias)
    best = int(probabilities.argmax())
    presence = None if span.given else float(sigmoid(inside.presence[0]).mean())
    return Event(
        float(span.start_s),
        float(span.end_s),
        card.labels[best],
        float(probabilities[best]),
        dict(zip(card.labels, map(float, probabilities), strict=True)),
        channel,
        span.annotated,
        presence=presence,
        uncertain=is_uncertain(float(probabilities[best]), presence, span.end_s - span.start_s, card),
        relevance=_relevance(evidence, best, span, card) if maps else None,
    )


def is_uncertain(probability: float, presence: float | None, length_s: float, card: RecordingCard) -> bool:
    """Whether the model abstains from an event; its `presence` is None where its boundaries were given."""
    if presence is None or not card.event_presence:
        return probability < card.event_abstain_below
    hit = hit_probability(np.array(presence), np.array(probability), np.array(length_s), card.event_presence)
    return bool(hit < card.event_hit_abstain_below)


def _relevance(evidence: npt.NDArray[np.float64], best: int, span: Span, card: RecordingCard) -> Relevance:
    """Evidence for a class against the mean of the others, where it is more than nothing, at most 1."""
    values = np.maximum(0.0, evidence[best] - np.delete(evidence, best, axis=0).mean(0))
    values = (values / max(float(values.max()), 1e-9)).round(4)
    return Relevance(
        span.first * card.frame_s, span.end * card.frame_s, card.edges_hz, tuple(map(tuple, values.tolist()))
    )


# --- the highest-scoring segmentation into pauses and events ------------------------------------------------


def families(labels: Sequence[str]) -> list[int]:
    """Family of each event class: 0 normal, 1 continuous, 2 discontinuous or both."""
    return [FAMILIES[EVENT_FAMILY[label]] for label in labels]


def emission_scores(
    presence: npt.NDArray[Any], classes: npt.NDArray[Any], family: Sequence[int], rule: EventRule
) -> npt.NDArray[np.float64]:
    """Score of a frame inside an event of each family, ``(families, frames)``; see `EventRule`.

    `presence` has ``(3, frames)`` logits of presence, onset and offset; `classes`, ``(classes, frames)``
    logits; `family` that of each class, from `families`. A family that no class has scores minus infinity.
    """
    here = presence[0].astype(np.float64)
    best = np.stack([classes[np.equal(family, k)].max(0, initial=-np.inf) for k in range(3)])
    scores = [here - rule.bias]
    for k in (1, 2):
        others = np.delete(best, k, axis=0).max(0)
        margin = best[k] - np.where(np.isfinite(others), others, 0.0)
        scores.append(rule.class_weight * margin + rule.class_presence * here - rule.class_bias)
    return np.stack(scores)


def find_events(
    scores: npt.NDArray[np.float64],
    presence: npt.NDArray[Any],
    rule: EventRule,
    frame_s: float,
    last: bool = True,
    delay: int | None = None,
) -> tuple[list[tuple[int, int]], int]:
    """Find the highest-scoring sequence of pauses and events of each family (Viterbi's algorithm).

    `scores`, ``(families, frames)`` from `emission_scores`, begin with a frame that no event reaches across;
    `presence` has ``(3, frames)`` logits of presence, onset and offset. `last` tells whether nothing follows;
    otherwise only what no frame to come can change is found, or with a `delay` what is over since that many
    frames.

    Returns
    -------
    list of (first, end)
        In frames, in order, without overlap.
    int
        Frames that are settled: where to go on from.
    """
    if not scores.size:
        return [], 0
    begins, ends = _edge_scores(presence, rule).tolist()
    pause, inside = 0.0, [-math.inf] * len(scores)
    came_from = []  # to each family and, last, to a pause
    for frame, here in enumerate(scores.T.tolist()):
        stopped = max(inside) + ends[frame]
        pause, source = (pause, PAUSE) if pause >= stopped else (stopped, inside.index(max(inside)))
        fresh = pause + begins[frame]
        came_from.append([GO_ON if value >= fresh else source for value in inside] + [source])
        inside = [max(value, fresh) + score for value, score in zip(inside, here, strict=True)]
    if last or delay is not None:
        stopped = max(inside) + ends[-1]
        path = _path_back(came_from, inside.index(max(inside)) if stopped > pause else PAUSE)
        settled = path.size if last else _over(path, path.size - (delay or 0), frame_s)
        return _events_of(path[:settled], rule, frame_s), settled
    paths = np.stack([_path_back(came_from, state) for state in (*range(len(inside)), PAUSE)])
    differ = np.flatnonzero((paths != paths[0]).any(0))
    pauses = np.flatnonzero(paths[0][: differ[0] if differ.size else None] == PAUSE)
    settled = int(pauses[-1]) if pauses.size else 0
    return _events_of(paths[0][:settled], rule, frame_s), settled


def _edge_scores(presence: npt.NDArray[Any], rule: EventRule) -> npt.NDArray[np.float64]:
    """Score of a beginning and of an end between any two frames, ``(2, frames + 1)``.

    The output of either frame may mark it.
    """
    padded = np.pad(presence[1:].astype(np.float64), ((0, 0), (1, 1)), mode="edge")
    return np.asarray(rule.edge_weight * np.maximum(padded[:, :-1], padded[:, 1:]) - rule.edge_cost)


def find_events_of_each(
    scores: Sequence[npt.NDArray[np.float64]],
    presence: Sequence[npt.NDArray[Any]],
    rule: EventRule,
    frame_s: float,
) -> list[list[tuple[int, int]]]:
    """What `find_events` finds in each of many recordings, of all at once: for trying many rules."""
    lengths = np.array([own.shape[1] for own in scores], int)
    here, (number, longest) = np.arange(len(scores)), (len(scores), int(lengths.max(initial=0)))
    inner = np.zeros((number, len(scores[0]) if scores else 0, longest))
    edges = np.zeros((number, 2, longest + 1))
    for row, (own, shown, length) in enumerate(zip(scores, presence, lengths, strict=True)):
        if length:
            inner[row, :, :length], edges[row, :, : length + 1] = own, _edge_scores(shown, rule)
    pause, inside = np.zeros(number), np.full(inner.shape[:2], -np.inf)
    came_from = np.full((longest, number, inner.shape[1] + 1), GO_ON, np.int8)  # to families, to a pause
    state = np.full(number, PAUSE)
    for frame in range(longest + 1):
        stopped = inside.max(1, initial=-np.inf) + edges[:, 1, frame]
        over = lengths == frame
        state[over] = np.where(stopped > pause, inside.argmax(1), PAUSE)[over] if frame else PAUSE
        if frame == longest:
            break
        source = np.where(pause >= stopped, PAUSE, inside.argmax(1))
        pause = np.maximum(pause, stopped)
        fresh = (pause + edges[:, 0, frame])[:, None]
        came_from[frame] = source[:, None]
        came_from[frame, :, :-1][inside >= fresh] = GO_ON
        inside = np.maximum(inside, fresh) + inner[:, :, frame]
    paths = np.full((number, longest), PAUSE)
    for frame in range(longest - 1, -1, -1):
        source = np.where(frame < lengths, came_from[frame, here, state], state)
        goes_on = (state != PAUSE) & (source == GO_ON)
        paths[:, frame] = np.where(state == PAUSE, PAUSE, np.where(goes_on, state, state + FIRST))
        paths[frame >= lengths, frame] = PAUSE
        state = np.where(goes_on, state, source)
    each = zip(paths, lengths, strict=True)
    return [_events_of(path[:length], rule, frame_s) if length else [] for path, length in each]


def _path_back(came_from: Sequence[Sequence[int]], state: int) -> npt.NDArray[np.int64]:
    """The best path to a state: `PAUSE`, or the family of the event, ten more in its first frame."""
    path = np.full(len(came_from), PAUSE, np.int64)
    for frame in range(len(came_from) - 1, -1, -1):
        source = came_from[frame][state]  # that of a pause is the last
        if state == PAUSE:
            state = source
        elif source == GO_ON:
            path[frame] = state
        else:
            path[frame], state = state + FIRST, source
    return path


def _over(path: npt.NDArray[np.int64], end: int, frame_s: float) -> int:
    """Where to go on from in a path: the last frame up to `end` which no event reaches across.

    Twice as long as an event may be, one is cut there all the same, so that no more than that is ever held.
    """
    starts = np.flatnonzero((path[: max(0, end) + 1] == PAUSE) | (path[: max(0, end) + 1] >= FIRST))
    settled = int(starts[-1]) if starts.size else 0
    return settled if (end - settled) * frame_s < 2 * LONGEST_EVENT_S else end


def _events_of(path: npt.NDArray[np.int64], rule: EventRule, frame_s: float) -> list[tuple[int, int]]:
    """Events of a path; one that is too short is dropped, one that is too long is cut."""
    stops = np.flatnonzero((path >= FIRST) | (path == PAUSE)).tolist() + [path.size]
    events: list[tuple[int, int]] = []
    for first, end in itertools.pairwise(stops):
        if path[first] >= FIRST and (end - first) * frame_s >= rule.shortest_s - 1e-9:
            count = math.ceil((end - first) * frame_s / LONGEST_EVENT_S)
            edges = np.linspace(first, end, count + 1).round().astype(int).tolist()
            events += itertools.pairwise(edges)
    return events
