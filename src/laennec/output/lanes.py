"""Rows of labels above a picture: the model's, and the annotated ones."""

from collections.abc import Sequence
from typing import NamedTuple

from laennec.analyze.analysis import Event


class Strip(NamedTuple):
    """One row of labels."""

    name: str  # model or annotated
    labels: list[str]  # one per event; empty where there is none
    lanes: list[int]  # one per event, from 0
    lane_count: int


def strips(events: Sequence[Event]) -> list[Strip]:
    """Return what the model says and, where there is any, what was annotated, in the same lanes."""
    lanes, count = assign_lanes(events)
    annotated = [event.annotated or "" for event in events]
    rows = {
        "model": [event.label for event in events],
        **({"annotated": annotated} if any(annotated) else {}),
    }
    return [Strip(name, labels, lanes, count) for name, labels in rows.items()]


def assign_lanes(events: Sequence[Event]) -> tuple[list[int], int]:
    """Return each event's lane, so that events do not overlap on paper, and the number of lanes."""
    ends_s: list[float] = []
    lanes = []
    for event in events:
        lane = next((k for k, end_s in enumerate(ends_s) if end_s <= event.start_s + 1e-6), len(ends_s))
        ends_s[lane : lane + 1] = [event.end_s]
        lanes.append(lane)
    return lanes, max(1, len(ends_s))
