"""Given events: read, checked against the recording, and laid over its frames."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from laennec.analyze.decode import Decoded, Span
from laennec.analyze.inputs import Remarks
from laennec.annotations import Boundary, make_boundary, read_events
from laennec.audio.recording import Recording
from laennec.errors import LaennecError
from laennec.model.card import RecordingCard
from laennec.model.detector import Frames


def boundaries_in(
    events: str | os.PathLike[str] | Sequence[Sequence[Any]], recording: Recording, remarks: Remarks
) -> list[Boundary]:
    """Given events in order of time, without those that lie wholly outside the recording, which are noted.

    LaennecError if they cannot be read, or all of them lie outside.
    """
    boundaries = _read(events, os.path.abspath(recording.path) if recording.path else recording.name)
    duration_s = recording.duration_s
    outside = [b for b in boundaries if b.start_s >= duration_s or b.end_s <= 0]
    reasons = [
        f"event {b.start_s:g} to {b.end_s:g} s: outside the recording of {duration_s:g} s" for b in outside
    ]
    if outside and len(outside) == len(boundaries):
        others = f", and so are the {len(reasons) - 1} other events" if reasons[1:] else ""
        raise LaennecError(f"{recording.name}: {reasons[0]}{others}")
    remarks.repairs.extend(f"{reason}; left out" for reason in reasons)
    return [b for b in boundaries if b not in outside]


def _read(events: str | os.PathLike[str] | Sequence[Sequence[Any]], recording: str) -> list[Boundary]:
    if isinstance(events, str | os.PathLike):
        return read_events(events, recording)
    boundaries = []
    for number, event in enumerate(events, start=1):
        try:
            start_s, end_s, *rest = event
            label = str(rest[0]) if rest and rest[0] is not None else None
            boundaries.append(make_boundary(start_s, end_s, label))
        except (TypeError, ValueError) as error:
            raise LaennecError(f"event {number}: {error}; expected start and end in seconds") from error
    return sorted(boundaries, key=lambda boundary: (boundary.start_s, boundary.end_s))


def on_channel(boundaries: Sequence[Boundary], channel: int) -> list[Boundary]:
    """Given events that are for a channel."""
    return [boundary for boundary in boundaries if boundary.channel in (None, channel)]


def place(frames: Iterable[Frames], boundaries: Sequence[Boundary], card: RecordingCard) -> Iterator[Decoded]:
    """Lay given events, by their starts, over the frames of a channel, each as soon as its frames are there.

    Yields once for each of `frames`, as :func:`laennec.analyze.decode.decode` does.
    """
    waiting = deque(boundaries)
    held: Frames | None = None
    for more in frames:
        held = more.after(held)
        ready = []
        while waiting and (held.last or round(waiting[0].end_s / card.frame_s) < held.end):
            ready.append(_span(waiting.popleft(), held, card))
        yield held, ready
        needed = round(waiting[0].start_s / card.frame_s) if waiting else held.end
        held = held.cut(max(held.first, min(needed, held.end - 1)), held.end)


def _span(boundary: Boundary, held: Frames, card: RecordingCard) -> Span:
    """The frames nearest to given boundaries, at least one."""
    first = min(max(0, round(boundary.start_s / card.frame_s)), held.end - 1)
    end = min(max(first + 1, round(boundary.end_s / card.frame_s)), held.end)
    end_s = min(boundary.end_s, held.end_s) if held.last else boundary.end_s
    return Span(first, end, max(0.0, boundary.start_s), end_s, given=True, annotated=boundary.annotated)
