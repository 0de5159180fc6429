"""Given events: checked against the recording, and classified."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from laennec.analyze.analysis import Event
from laennec.analyze.remarks import Remarks
from laennec.analyze.windows import SHORTEST_CELL_S, labelled_event
from laennec.annotations import Boundary, make_boundary, read_events
from laennec.errors import LaennecError

if TYPE_CHECKING:
    from laennec.audio.recording import Recording
    from laennec.model.clips import LungModel


def by_boundaries(
    recording: "Recording",
    channels: Sequence[int],
    model: "LungModel",
    known: Mapping[str, Any],
    boundaries: Sequence[Boundary],
    remarks: Remarks,
) -> Iterator[Event]:
    from laennec.audio.quality import SILENT_SHARE, silent_share
    from laennec.audio.segment import cut
    from laennec.model.card import CENTRE

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
            yield labelled_event(start_s, end_s, row, model.card.labels, channel, boundary.annotated)


def given_boundaries(
    events: str | os.PathLike[str] | Sequence[Sequence[Any]], recording_name: str
) -> list[Boundary]:
    if isinstance(events, str | os.PathLike):
        return read_events(events, recording_name)
    found = []
    for number, event in enumerate(events, start=1):
        try:
            start_s, end_s, *rest = event
            label = str(rest[0]) if rest and rest[0] is not None else None
            found.append(make_boundary(start_s, end_s, label))
        except (TypeError, ValueError) as error:
            raise LaennecError(f"event {number}: {error}; expected start and end in seconds") from error
    return sorted(found, key=lambda boundary: (boundary.start_s, boundary.end_s))


def inside_recording(
    boundaries: Sequence[Boundary], recording: "Recording", remarks: Remarks
) -> Sequence[Boundary]:
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
