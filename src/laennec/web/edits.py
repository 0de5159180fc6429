"""What each kind of edit does to the events of a recording; `laennec.web.replay` does them in order.

A label tells whether it is of a breath phase, so it tells the layer too. Each kind works out everything
before it changes anything, so that a refused edit does nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from laennec.errors import LaennecError, shown
from laennec.files import printable
from laennec.labels import PHASES, SPRSOUND_EVENTS, nearest, spelling

LAYERS = ("events", "phases")
SHORTEST_S = 0.001  # of an event; a crackle has some 5 ms
DIGITS = 6  # of a time in seconds, as label files have them
EDGE_S = 0.01  # what a time may lie outside the recording by rounding; it is moved to the edge
LONGEST_LABEL = 80
MOST_CHANNELS = 64
UNKNOWN_LENGTH_S = 1e8


class EditError(LaennecError):
    """An edit cannot be done."""

    status = 422


class GoneError(EditError):
    """An edit is about an event that is no longer there."""

    status = 409


@dataclass(frozen=True)
class Bounds:
    """Length and channels of a recording, None where they are not known."""

    duration_s: float | None = None
    channels: int | None = None


ANY = Bounds()


@dataclass(frozen=True)
class Suggestion:
    """An event as a model found it."""

    number: int
    analysis: int
    channel: int
    start_s: float
    end_s: float
    label: str
    probability: float | None
    uncertain: bool
    model_name: str
    model_sha256: str
    probabilities: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def id(self) -> str:
        """The name of its event."""
        return f"s{self.number}"


@dataclass(frozen=True)
class Edit:
    """What a reader did; `analysis` is the one whose suggestions were shown."""

    id: int
    kind: str
    content: Mapping[str, Any] = field(default_factory=dict)
    analysis: int | None = None


@dataclass(frozen=True)
class Marked:
    """An event or phase as it now stands; `origins` are the numbers of the suggestions it was made from."""

    id: str
    channel: int
    start_s: float
    end_s: float
    label: str
    status: str = "suggested"
    origins: tuple[int, ...] = ()

    @property
    def layer(self) -> str:
        """A label tells whether it is a breath phase's."""
        return layer_of(self.label)

    def overlaps(self, other: "Marked") -> bool:
        """Whether another event of the same layer and channel lies there too, by more than rounding."""
        shared_s = min(self.end_s, other.end_s) - max(self.start_s, other.start_s)
        return (self.layer, self.channel) == (other.layer, other.channel) and shared_s > SHORTEST_S

    @property
    def place(self) -> tuple[Any, ...]:
        """By which events are sorted."""
        return self.layer, self.channel, self.start_s, self.end_s, self.id


def layer_of(label: str) -> str:
    """Return the layer that a label belongs to."""
    return LAYERS[label in PHASES]


def checked_label(label: Any, layer: str | None = None) -> str:
    """Return a label in its one spelling; EditError if it is none, or not of that layer."""
    text = " ".join(label.split()) if isinstance(label, str) else ""
    if not text or len(text) > LONGEST_LABEL or printable(text) != text:
        raise EditError(f"label is {shown(label)}; expected a word of at most {LONGEST_LABEL} letters")
    known = spelling(text, PHASES) or spelling(text, SPRSOUND_EVENTS) or text
    if layer not in (None, layer_of(known)):
        raise EditError(f"{known} belongs to the layer {layer_of(known)}, not to {shown(layer)}")
    return known


def known_labels(others: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the labels that a reader may give: the page's, and others that are there already."""
    return tuple(dict.fromkeys((*SPRSOUND_EVENTS, *PHASES, *others)))


def check_known(label: Any, known: Sequence[str]) -> None:
    """Refuse a label that is none of those known: EditError, which names them.

    An edit that is kept already is not refused: its label may be of a file that was read, or of a model that
    is gone.
    """
    if spelling(checked_label(label), known) is None:
        meant = nearest(checked_label(label), known)
        raise EditError(
            f"label is {shown(label)}; expected one of {', '.join(known)}"
            + (f". Is {meant} meant?" if meant else "")
        )


class Work:
    """The events of one reader while edits are done one after another."""

    def __init__(
        self, suggestions: Sequence[Suggestion], analyses: Sequence[int], base: int | None, bounds: Bounds
    ) -> None:
        self.analyses = analyses
        self.suggestions = {each.id: each for each in suggestions}
        self.bounds = bounds
        self.base = base
        self.shown = {each.number for each in suggestions if each.analysis == base}
        self.events = {each.id: _as_event(each) for each in suggestions if each.analysis == base}
        self.record: str | None = None
        self.reviewed = False

    def named(self, content: Mapping[str, Any], least: int = 1) -> list[Marked]:
        """Return the events that an edit is about."""
        names = content.get("events")
        if not isinstance(names, list) or len(names) < least or len(set(map(str, names))) < len(names):
            raise EditError(f"events is {shown(names)}; expected at least {least}, each once")
        return [self.event(name) for name in names]

    def event(self, name: Any) -> Marked:
        if not isinstance(name, str) or name not in self.events:
            raise GoneError(f"the event {shown(name)} is no longer there; another window may have changed it")
        return self.events[name]

    def alive(self) -> set[int]:
        return set(chain.from_iterable(event.origins for event in self.events.values()))

    def rejected(self) -> list[Suggestion]:
        gone = self.shown - self.alive()
        return [each for each in self.suggestions.values() if each.number in gone]

    def decided(self, event: Marked) -> Marked:
        """Return an event within the recording, with the status of one that a reader has decided about."""
        start_s, end_s = self._times(event.start_s, event.end_s)
        last = MOST_CHANNELS if self.bounds.channels is None else self.bounds.channels
        if type(event.channel) is not int or not 0 <= event.channel < last:
            raise EditError(f"channel is {shown(event.channel)}; expected 0 to {last - 1}")
        event = replace(event, start_s=start_s, end_s=end_s, label=checked_label(event.label))
        first = self.suggestions.get(f"s{event.origins[0]}") if event.origins else None
        same = first is not None and len(event.origins) == 1 and _content(event) == _content(first)
        return replace(event, status="accepted" if same else "changed" if first else "added")

    def _times(self, start_s: Any, end_s: Any) -> tuple[float, float]:
        last_s = UNKNOWN_LENGTH_S if self.bounds.duration_s is None else self.bounds.duration_s
        for name, time_s in (("start_s", start_s), ("end_s", end_s)):
            number = isinstance(time_s, int | float) and not isinstance(time_s, bool)
            if not number or not -EDGE_S <= time_s <= last_s + EDGE_S:
                raise EditError(f"{name} is {shown(time_s)}; expected seconds from 0 to {last_s:g}")
        start_s, end_s = (round(min(max(float(each), 0.0), last_s), DIGITS) for each in (start_s, end_s))
        if end_s - start_s < SHORTEST_S - 10**-DIGITS:
            raise EditError(
                f"it would begin at {start_s:g} s and end at {end_s:g} s; "
                f"the shortest event has {SHORTEST_S:g} s"
            )
        return start_s, end_s

    def made(self, edit: Edit, contents: Any) -> list[Marked]:
        """Return the events that an edit adds."""
        if not isinstance(contents, list) or not all(isinstance(each, Mapping) for each in contents):
            raise EditError(f"events is {shown(contents)}; expected a list of events")
        return [
            self.decided(
                Marked(
                    new_id(edit, k),
                    each.get("channel", 0),
                    _value(each, "start_s"),
                    _value(each, "end_s"),
                    checked_label(_value(each, "label"), each.get("layer")),
                )
            )
            for k, each in enumerate(contents)
        ]

    def accepted(self, names: Any) -> list[Marked]:
        """Return events as decided about; also suggestions that were rejected or are offered."""
        events = []
        for name in names if isinstance(names, list) else [names]:
            known = self.suggestions.get(name) if isinstance(name, str) else None
            gone = known is not None and known.id not in self.events
            back = gone and known is not None and known.number not in self.alive()
            event = _as_event(known) if back and known is not None else self.event(name)
            # A suggestion is accepted as it is, whatever its times.
            events.append(replace(event, status="accepted") if event.status == "suggested" else event)
        return events

    def put(self, events: Sequence[Marked]) -> None:
        self.events |= {event.id: event for event in events}
        self.shown |= set(chain.from_iterable(event.origins for event in events))


def _value(content: Mapping[str, Any], name: str) -> Any:
    """Return an unchecked value; None where there is none."""
    return content.get(name)


def new_id(edit: Edit, k: int) -> str:
    """Return the name of the event number `k`, from 0, that an edit makes."""
    return f"e{edit.id}-{k + 1}" if k else f"e{edit.id}"


def _content(event: Marked | Suggestion) -> tuple[Any, ...]:
    return event.channel, round(event.start_s, DIGITS), round(event.end_s, DIGITS), event.label


def _as_event(suggestion: Suggestion) -> Marked:
    return Marked(
        suggestion.id,
        suggestion.channel,
        suggestion.start_s,
        suggestion.end_s,
        suggestion.label,
        origins=(suggestion.number,),
    )


# --- kinds --------------------------------------------------------------------------------------------------


def _add(work: Work, edit: Edit) -> None:
    work.put(work.made(edit, edit.content.get("events")))


def _change(work: Work, edit: Edit) -> None:
    given = {
        name: edit.content[name] for name in ("start_s", "end_s", "label", "channel") if name in edit.content
    }
    if not given:
        raise EditError("nothing to change is given; expected start_s, end_s, label or channel")
    if "label" in given:
        given["label"] = checked_label(given["label"], edit.content.get("layer"))
    work.put([work.decided(replace(event, **given)) for event in work.named(edit.content)])


def _delete(work: Work, edit: Edit) -> None:
    for event in work.named(edit.content):
        del work.events[event.id]


def _accept(work: Work, edit: Edit) -> None:
    work.put(work.accepted(edit.content.get("events")))


def _split(work: Work, edit: Edit) -> None:
    at_s = _value(edit.content, "at_s")
    parts: list[Marked] = []
    for k, event in enumerate(work.named(edit.content)):
        first = work.decided(replace(event, end_s=at_s))
        parts += [first, work.decided(replace(event, id=new_id(edit, k), start_s=first.end_s))]
    work.put(parts)


def _merge(work: Work, edit: Edit) -> None:
    events = sorted(work.named(edit.content, least=2), key=lambda event: event.place)
    if len({(event.layer, event.channel) for event in events}) > 1:
        raise EditError("events of different channels or layers cannot be merged; choose those of one")
    merged = replace(
        events[0],
        end_s=max(event.end_s for event in events),
        label=checked_label(edit.content.get("label") or events[0].label, events[0].layer),
        origins=tuple(dict.fromkeys(chain.from_iterable(event.origins for event in events))),
    )
    merged = work.decided(merged)
    for event in events:
        del work.events[event.id]
    work.put([merged])


def _record(work: Work, edit: Edit) -> None:
    label = edit.content.get("label")
    work.record = None if label is None else checked_label(label)


def _review(work: Work, edit: Edit) -> None:
    work.reviewed = edit.content.get("reviewed", True) is True


def _import(work: Work, edit: Edit) -> None:
    """A label file: events that it lacks go, those it has too are accepted, the others are added."""
    content = edit.content
    removed = [work.event(name) for name in content.get("remove", [])]
    events = [*work.accepted(content.get("accept", [])), *work.made(edit, content.get("events", []))]
    record = content.get("record")
    work.record = work.record if record is None else checked_label(record)
    for event in removed:
        del work.events[event.id]
    work.put(events)


def _adopt(work: Work, edit: Edit) -> None:
    analysis = edit.content.get("analysis")
    if analysis not in work.analyses:
        raise GoneError(f"the analysis {shown(analysis)} is not there")
    new = [each for each in work.suggestions.values() if each.analysis == analysis]
    rejected = work.rejected()
    decided = {event.id: event for event in work.events.values() if event.status != "suggested"}
    judged: list[Marked | Suggestion] = [*decided.values(), *rejected]
    taken = [each for each in new if not any(_is_of_one_sound(each, other) for other in judged)]
    work.shown = {each.number for each in rejected}
    work.events, work.base = decided, analysis
    work.put([*decided.values(), *(_as_event(each) for each in taken if each.id not in decided)])


def _is_of_one_sound(one: Suggestion, other: Marked | Suggestion) -> bool:
    if one.channel != other.channel or layer_of(one.label) != layer_of(other.label):
        return False
    shared_s = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
    return shared_s > 0.5 * (max(one.end_s, other.end_s) - min(one.start_s, other.start_s))


KINDS: dict[str, Callable[[Work, Edit], None]] = {
    "add": _add,
    "change": _change,
    "delete": _delete,
    "accept": _accept,
    "split": _split,
    "merge": _merge,
    "record": _record,
    "review": _review,
    "import": _import,
    "adopt": _adopt,
}
