"""Label files of a reader: written with what a format can hold, and read as edits.

Nothing is dropped in silence. A format that has no place for phases, channels or a label says how many events
are not in the file; what it can hold comes back as it was. A file that is read becomes one edit of the
reader, so that one undo takes it back: events that it has too are accepted, the others of its layers are
taken away, and the rest is added.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from laennec.annotations import Boundary, LabelFile, read_content, table
from laennec.annotations.formats import CHANNELS, PROBABILITIES, About, Format, Written
from laennec.annotations.formats import FORMATS as ALL_FORMATS
from laennec.annotations.formats import write_labels as written_labels
from laennec.errors import LaennecError
from laennec.web.corrections import Corrections, Reading
from laennec.web.edits import Bounds, Marked, checked_label, layer_of

CSV = ALL_FORMATS["csv"]
SAME_S = 0.0015  # borders that a format of whole milliseconds may have moved
MOST_IMPORTED = 20_000
COLUMNS = (
    *("recording", "channel", "start_s", "end_s", "label", "layer", "status"),
    *("suggested_start_s", "suggested_end_s", "suggested_label", "probability", "uncertain"),
    *("model_name", "model_sha256"),
)


class LabelFileError(LaennecError):
    """A label file cannot be used."""

    status = 422


# --- written ------------------------------------------------------------------------------------------------

TABLE = replace(
    CSV, name="table", holds=CSV.holds - {PROBABILITIES}
)  # the page's own, with all that it knows
FORMATS = {
    **{name: form for name, form in ALL_FORMATS.items() if form is not CSV},
    TABLE.name: TABLE,
}


def format_of(name: str) -> Format:
    """Return a format by its name; LabelFileError where there is none."""
    if name not in FORMATS:
        raise LabelFileError(f"format is {name!r}; expected one of {', '.join(FORMATS)}")
    return FORMATS[name]


def write_labels(
    reading: Reading, form: Format, events: Sequence[Marked] | None = None, channel: int | None = None
) -> Written:
    """Return a label file of events, by default all that the page shows of a channel or of all."""
    events = reading.state.events if events is None else events
    wanted = [event for event in events if channel in (None, event.channel)]
    # Of one channel that was asked for, a format without channels leaves nothing out.
    untold = channel is not None and CHANNELS not in form.holds
    marks = tuple(
        Boundary(event.start_s, event.end_s, event.label, None if untold else event.channel)
        for event in wanted
    )
    rate = reading.recording["sample_rate"]
    about = About(reading.recording["path"], reading.recording["duration_s"], rate)
    written = written_labels(LabelFile(marks, record=reading.state.record), form, about)
    if form is TABLE:
        return replace(written, text=table.write(COLUMNS, table_rows(reading, wanted)))
    return written


# --- tables -------------------------------------------------------------------------------------------------


def table_rows(reading: Reading, events: Sequence[Marked]) -> Iterator[list[Any]]:
    """Yield a row of `COLUMNS` for each event, with what the model said of it.

    Of an event that the reader added, the model is the one whose suggestions were shown.
    """
    shown = reading.models.get(reading.state.analysis or 0, ("", ""))
    for event in events:
        origin = reading.suggestions[event.origins[0]] if event.origins else None
        said: list[Any] = ["", "", "", "", "", *shown]
        if origin is not None:
            sure = "" if origin.probability is None else f"{origin.probability:.6f}"
            model = (origin.model_name, origin.model_sha256)
            said = [*_times(origin), origin.label, sure, str(origin.uncertain).lower(), *model]
        place = (reading.recording["path"], event.channel, *_times(event))
        yield [*place, event.label, event.layer, event.status, *said]


def rejected_events(reading: Reading) -> list[Marked]:
    """Return the suggestions that were rejected as events of that status."""
    return [
        Marked(each.id, each.channel, each.start_s, each.end_s, each.label, "rejected", (each.number,))
        for each in reading.state.rejected
    ]


def _times(each: Any) -> tuple[str, str]:
    return f"{each.start_s:.6f}", f"{each.end_s:.6f}"


# --- read ---------------------------------------------------------------------------------------------------


def import_labels(
    corrections: Corrections,
    recording: int,
    reader: str,
    content: bytes,
    name: str,
    channel: int | None = None,
    replace: bool = True,
) -> dict[str, Any]:
    """Make a label file one edit of a reader, and return the state, with what was done in ``imported``.

    Parameters
    ----------
    content, name
        Of the file; its ending helps to tell the format.
    channel
        That events without a channel belong to; by default each of the recording's.
    replace
        Whether events of the same layers and channels that the file lacks are taken away.

    Raises
    ------
    LabelFileError
        If a part of the file is no event, or an event has no label.
    EditError, MissingError, WorkspaceError
    """
    notes: list[str] = []
    done: dict[str, int] = {}

    def edits(reading: Reading) -> list[dict[str, Any]]:
        labels = read_content(content, name, reading.recording["path"])
        wanted = _wanted(labels, reading, channel, notes)
        layers = {layer_of(event["label"]) for event in wanted} or {"events"}
        channels = None if channel is None else {channel}
        edit, kept = _difference(reading.state.events, wanted, layers if replace else set(), channels)
        done.update(added=len(edit["events"]), kept=kept, removed=len(edit["remove"]))
        return [{"kind": "import", "name": name[:200], "record": labels.record, **edit}]

    state = corrections.edit(recording, reader, edits)
    return {**state, "imported": {**done, "notes": notes}}


def _wanted(
    labels: LabelFile, reading: Reading, channel: int | None, notes: list[str]
) -> list[dict[str, Any]]:
    """Return a file's events within the recording, in each of its channels; `notes` gets what is left out."""
    if labels.problems:
        raise LabelFileError(f"the label file: {labels.problems[0]}")
    if len(labels.events) > MOST_IMPORTED:
        raise LabelFileError(
            f"the label file has {len(labels.events)} events; expected {MOST_IMPORTED} at most"
        )
    notes += map(str, labels.points)
    bounds = Bounds(reading.recording["duration_s"], reading.recording["channels"])
    every = range(bounds.channels or 1) if channel is None else (channel,)
    wanted = []
    for event in labels.events:
        if event.annotated is None:
            raise LabelFileError(f"the label file: {event.where} has no label; name what is heard there")
        start_s = max(0.0, event.start_s)
        end_s = event.end_s if bounds.duration_s is None else min(event.end_s, bounds.duration_s)
        if start_s >= end_s:
            notes.append(f"{event.where}: lies outside the recording; left out")
            continue
        if end_s - start_s < event.end_s - event.start_s - SAME_S:
            notes.append(f"{event.where}: cut to what lies in the recording")
        label = checked_label(event.annotated)
        wanted += [
            {"channel": each, "start_s": start_s, "end_s": end_s, "label": label}
            for each in (every if event.channel is None else (event.channel,))
        ]
    return wanted


def _difference(
    events: Sequence[Marked],
    wanted: Sequence[Mapping[str, Any]],
    layers: set[str],
    channels: set[int] | None,
) -> tuple[dict[str, Any], int]:
    """Return what an edit takes away, accepts and adds so that the events become those wanted.

    And how many of those are there already.
    """
    known: dict[tuple[int, str], list[Marked]] = {}
    for event in sorted(events, key=lambda event: event.start_s):
        known.setdefault((event.channel, event.label), []).append(event)
    kept: dict[str, Marked] = {}
    added = []
    for each in wanted:
        same = _same(known.get((each["channel"], each["label"]), []), each, kept)
        if same is None:
            added.append(each)
        else:
            kept[same.id] = same
    removed = [
        event.id
        for event in events
        if event.layer in layers and event.id not in kept and (channels is None or event.channel in channels)
    ]
    accepted = [event.id for event in kept.values() if event.status == "suggested"]
    return {"remove": removed, "accept": accepted, "events": added}, len(kept)


def _same(events: Sequence[Marked], wanted: Mapping[str, Any], taken: Mapping[str, Marked]) -> Marked | None:
    first = bisect_left(events, wanted["start_s"] - SAME_S, key=lambda event: event.start_s)
    for event in events[first:]:
        if event.start_s > wanted["start_s"] + SAME_S:
            return None
        if abs(event.end_s - wanted["end_s"]) <= SAME_S and event.id not in taken:
            return event
    return None
