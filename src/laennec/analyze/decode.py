"""Frames become spans: the highest-scoring segmentation into pauses and events (Viterbi)."""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from laennec.labels import EVENT_FAMILY
from laennec.model.card import EventRule, RecordingCard
from laennec.model.detector import Frames

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


def decode(frames: Iterable[Frames], card: RecordingCard) -> Iterator[Decoded]:
    """Find the events of a channel, as soon as no frame to come can change them.

    Yields once for each of `frames`; what is undecided is held, never longer than an event and the pause to
    it.
    """
    family = families(card.labels)
    held: Frames | None = None
    for more in frames:
        held = more.after(held)
        scores = emission_scores(held.presence, held.class_logits(), family, card.rule)
        edges, settled = find_events(scores, held.presence, card.rule, card.frame_s, held.last)
        numbers = [(held.first + first, held.first + end) for first, end in edges]
        yield held, [Span(a, b, a * card.frame_s, min(b * card.frame_s, held.end_s)) for a, b in numbers]
        held = held.cut(held.first + settled, held.end)


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
) -> tuple[list[tuple[int, int]], int]:
    """Find the highest-scoring sequence of pauses and events of each family (Viterbi's algorithm).

    Parameters
    ----------
    scores : numpy.ndarray
        ``(families, frames)``, from `emission_scores`, from a frame that no event reaches across.
    presence : numpy.ndarray
        ``(3, frames)`` logits of presence, onset and offset.
    rule : EventRule
    frame_s : float
        Seconds from one frame to the next.
    last : bool
        Whether nothing follows. Otherwise only what no frame to come can change is found.

    Returns
    -------
    list of (first, end)
        In frames, in order, without overlap.
    int
        Frames that are settled: where to go on from.
    """
    frames = scores.shape[1]
    if frames == 0:
        return [], 0
    # An edge lies between two frames; the output of either may mark it.
    edges = np.maximum(presence[1:], np.roll(presence[1:], 1, axis=1)).astype(np.float64)
    edges[:, 0] = presence[1:, 0]
    begins, ends = (rule.edge_weight * edges - rule.edge_cost).tolist()
    columns = scores.T.tolist()
    pause = 0.0
    inside = [value + begins[0] for value in columns[0]]
    came_from = [[PAUSE] * (len(inside) + 1)]  # to each family and, last, to a pause
    for frame in range(1, frames):
        likeliest = max(range(len(inside)), key=inside.__getitem__)
        stopped = inside[likeliest] + ends[frame]
        rest, source = (pause, PAUSE) if pause >= stopped else (stopped, likeliest)
        fresh = rest + begins[frame]
        came_from.append([GO_ON if value >= fresh else source for value in inside] + [source])
        inside = [max(value, fresh) + here for value, here in zip(inside, columns[frame], strict=True)]
        pause = rest
    if last:
        likeliest = max(range(len(inside)), key=inside.__getitem__)
        stopped = inside[likeliest] + rule.edge_weight * float(presence[2, -1]) - rule.edge_cost
        path = _path_back(came_from, likeliest if stopped > pause else PAUSE)
        return _spans_of(path, rule, frame_s), frames
    paths = np.stack([_path_back(came_from, state) for state in (*range(len(inside)), PAUSE)])
    differ = np.flatnonzero((paths != paths[0]).any(0))
    agreed = int(differ[0]) if differ.size else frames
    pauses = np.flatnonzero(paths[0][:agreed] == PAUSE)
    settled = int(pauses[-1]) if pauses.size else 0
    return _spans_of(paths[0][:settled], rule, frame_s), settled


def _path_back(came_from: Sequence[Sequence[int]], state: int) -> npt.NDArray[np.int64]:
    """The best path to a state: `PAUSE`, or the family of the event, ten more in its first frame."""
    path = np.full(len(came_from), PAUSE, np.int64)
    for frame in range(len(came_from) - 1, -1, -1):
        if state == PAUSE:
            state = came_from[frame][-1]
            continue
        source = came_from[frame][state]
        path[frame] = state
        if source != GO_ON:
            path[frame] += FIRST
            state = source
    return path


def _spans_of(path: npt.NDArray[np.int64], rule: EventRule, frame_s: float) -> list[tuple[int, int]]:
    """Events of a path; one that is too short is dropped, one that is too long is cut."""
    stops = np.flatnonzero((path >= FIRST) | (path == PAUSE)).tolist() + [path.size]
    events: list[tuple[int, int]] = []
    for first, end in itertools.pairwise(stops):
        if path[first] >= FIRST and (end - first) * frame_s >= rule.shortest_s - 1e-9:
            count = math.ceil((end - first) * frame_s / LONGEST_EVENT_S)
            edges = np.linspace(first, end, count + 1).round().astype(int)
            events += [(int(a), int(b)) for a, b in itertools.pairwise(edges)]
    return events
