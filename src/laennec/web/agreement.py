"""Two readers side by side: how well they agree, and where they do not.

- *Kappa* is Cohen's (Educational and Psychological Measurement 20(1), 1960), of time: at every moment each
  reader's category is the set of labels that lie there, or nothing. Seconds are counted from border to
  border, which is the limit of ever shorter frames, so that no length of a frame has to be chosen. What one
  reader missed counts, as it would not among matched events.
- *Event F* is that of :mod:`laennec.score.events`, with the second reader's events against the first's; it
  changes little when they change places, since the tolerance of an end goes by the first reader's event.
- Intervals are over patients, by :mod:`laennec.score.bootstrap`.

A reader's events are those that they answer for: of a reviewed recording all, else those decided about. Two
readers who see the suggestions of one model agree more than two who see none.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np

from laennec.errors import LaennecError
from laennec.labels import NORMAL, SPRSOUND_EVENTS
from laennec.score.bootstrap import Patients, Score, over_patients
from laennec.score.confusion import Floats
from laennec.score.events import Span, event_scores, match_events
from laennec.web.corrections import Corrections, Reading
from laennec.web.edits import EditError, Marked

MOST_EVENTS = 3000  # of a reader in a channel; matching takes the square of it
MOST_DISAGREEMENTS = 2000
UNDEFINED = Score(None)
KEPT = ("f1", "agnostic_f1", "adventitious_f1", "precision", "recall")


class Pair(NamedTuple):
    """What two readers say of one channel of a recording."""

    recording: int
    patient: str
    channel: int
    duration_s: float
    first: tuple[Marked, ...]
    second: tuple[Marked, ...]


def compare_recording(
    corrections: Corrections, recording: int, readers: Sequence[str], layer: str = "events"
) -> dict[str, Any]:
    """Return the agreement of two readers on a recording, in JSON's types."""
    with corrections.database.snapshot():
        both = [corrections.reading(recording, name) for name in _two(readers)]
    return agreement([(both[0], both[1])], readers, layer)


def compare_all(corrections: Corrections, readers: Sequence[str], layer: str = "events") -> dict[str, Any]:
    """Return the agreement of two readers on the recordings that both have reviewed, in JSON's types."""
    with corrections.database.snapshot():
        first, second = (
            {
                reading.recording["id"]: reading
                for reading in corrections.readings(name)
                if reading.state.reviewed
            }
            for name in _two(readers)
        )
    return agreement(
        [(first[number], second[number]) for number in first if number in second], readers, layer
    )


def _two(readers: Sequence[str]) -> Sequence[str]:
    if len(readers) != 2 or readers[0] == readers[1]:
        raise EditError(f"readers: {len(set(readers))} given; expected two")
    return readers


def agreement(
    both: Sequence[tuple[Reading, Reading]], readers: Sequence[str], layer: str = "events"
) -> dict[str, Any]:
    """Return kappa, event F, their intervals, and the list of disagreements, in JSON's types.

    Without mir_eval there is no event F and no list, and ``missing`` says so.
    """
    pairs = [pair for one, other in both for pair in _channels(one, other, layer)]
    patients = Patients.of([pair.patient for pair in pairs])
    settings = patients.settings(what="recordings")
    answer: dict[str, Any] = {
        "readers": list(readers),
        "layer": layer,
        "recordings": len(both),
        "patients": patients.known,
        "reviewed": [all(pair[k].state.reviewed for pair in both) for k in (0, 1)],
        **{name: _json(score) for name, score in _kappa(pairs, patients).items()},
        "no_interval": settings["no_interval"],
        "missing": None,
        **{name: _json(UNDEFINED) for name in KEPT},
        "counts": {},
        "classes": {},
        "disagreements": [],
        "more": 0,
    }
    try:
        if pairs:
            answer |= _events(pairs)
    except LaennecError as error:
        if isinstance(error, EditError):
            raise
        answer["missing"] = str(error)
    return answer


def _channels(one: Reading, other: Reading, layer: str) -> Iterator[Pair]:
    row = one.recording
    marks = [[event for event in each.labelled if event.layer == layer] for each in (one, other)]
    ends = [event.end_s for event in chain(*marks)]
    duration_s = max(ends, default=0.0) if row["duration_s"] is None else float(row["duration_s"])
    channels = max(row["channels"] or 1, *(event.channel + 1 for event in chain(*marks)), 1)
    for channel in range(channels):
        first, second = (tuple(event for event in side if event.channel == channel) for side in marks)
        if max(len(first), len(second)) > MOST_EVENTS:
            raise EditError(
                f"{row['name']} has more than {MOST_EVENTS} events in a channel, too many to compare"
            )
        yield Pair(row["id"], row["patient"] or "", channel, duration_s, first, second)


def _json(score: Score) -> dict[str, Any]:
    return {"value": score.value, "interval": score.interval}


# --- time ---------------------------------------------------------------------------------------------------


def _kappa(pairs: Sequence[Pair], patients: Patients) -> Mapping[str, Score]:
    if not pairs:
        return {"kappa": UNDEFINED, "same_time": UNDEFINED}
    tables = [shared_seconds(pair) for pair in pairs]
    categories = sorted({label for table in tables for both in table for label in both})
    place = {label: k for k, label in enumerate(categories)}
    counts = np.zeros((len(pairs), len(categories), len(categories)))
    for k, table in enumerate(tables):
        for (first, second), seconds in table.items():
            counts[k, place[first], place[second]] += seconds
    return over_patients(patients.sums(counts), cohen)


def shared_seconds(pair: Pair) -> dict[tuple[tuple[str, ...], tuple[str, ...]], float]:
    """Return how long each combination of the two readers' labels lasts."""
    edges = sorted(
        {
            0.0,
            pair.duration_s,
            *(time for event in (*pair.first, *pair.second) for time in (event.start_s, event.end_s)),
        }
    )
    inside = [(start, end) for start, end in pairwise(edges) if end <= pair.duration_s]
    labels = [_labels_at(inside, side) for side in (pair.first, pair.second)]
    seconds: dict[tuple[tuple[str, ...], tuple[str, ...]], float] = {}
    for (start, end), first, second in zip(inside, *labels, strict=True):
        seconds[first, second] = seconds.get((first, second), 0.0) + end - start
    return seconds


def _labels_at(spans: Sequence[tuple[float, float]], events: Sequence[Marked]) -> list[tuple[str, ...]]:
    """Return the labels that lie over each span, in order of time; borders of events are borders of spans."""
    waiting = sorted(events, key=lambda event: event.start_s, reverse=True)
    over: list[Marked] = []
    found = []
    for start_s, _ in spans:
        while waiting and waiting[-1].start_s <= start_s:
            over.append(waiting.pop())
        over = [event for event in over if event.end_s > start_s]
        found.append(tuple(sorted({event.label for event in over})))
    return found


def cohen(counts: Floats) -> dict[str, Floats]:
    """Return Cohen's kappa and the observed agreement of ``(draws, categories, categories)`` tables."""
    total = counts.sum(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        same = np.trace(counts, axis1=1, axis2=2) / total
        chance = (counts.sum(axis=1) * counts.sum(axis=2)).sum(axis=1) / total**2
        kappa = np.where(chance < 1 - 1e-12, (same - chance) / (1 - chance), np.nan)
    return {"kappa": kappa, "same_time": same}


# --- events -------------------------------------------------------------------------------------------------


def _spans(events: Sequence[Marked]) -> list[Span]:
    return [(event.start_s, event.end_s, event.label) for event in events]


def _events(pairs: Sequence[Pair]) -> dict[str, Any]:
    labels = {event.label for pair in pairs for event in (*pair.first, *pair.second)}
    scores = event_scores(
        [_spans(pair.first) for pair in pairs],
        [_spans(pair.second) for pair in pairs],
        list(dict.fromkeys((*SPRSOUND_EVENTS, *sorted(labels)))),
        NORMAL,
        [pair.patient for pair in pairs],
    )
    found = [each for pair in pairs for each in disagreements(pair)]
    return {
        **{k: {"value": scores["scores"][k], "interval": scores["intervals"][k]} for k in KEPT},
        "counts": scores["counts"],
        "classes": {
            name: each for name, each in scores["classes"].items() if each["reference"] or each["estimated"]
        },
        "disagreements": found[:MOST_DISAGREEMENTS],
        "more": max(0, len(found) - MOST_DISAGREEMENTS),
    }


def disagreements(pair: Pair) -> list[dict[str, Any]]:
    """Return where two readers differ in a channel, by start.

    Of the events without a partner of the same label, those that match in time differ in ``label``; those of
    the same label that overlap differ in ``borders``; others that cover the same sound differ in ``label``
    too; the rest are of the ``first`` or ``second`` alone.
    """
    told = []
    left, right = list(pair.first), list(pair.second)
    for kind, partners_of in STEPS:
        partners = partners_of(left, right)
        told += [_told(pair, kind, left[r], right[e]) for r, e in partners if kind]
        taken = [{r for r, _ in partners}, {e for _, e in partners}]
        left = [event for k, event in enumerate(left) if k not in taken[0]]
        right = [event for k, event in enumerate(right) if k not in taken[1]]
    told += [_told(pair, "first", event, None) for event in left]
    told += [_told(pair, "second", None, event) for event in right]
    return sorted(told, key=lambda each: (each["start_s"], each["end_s"]))


def _same(left: Sequence[Marked], right: Sequence[Marked]) -> list[tuple[int, int]]:
    return match_events(_spans(left), _spans(right), agnostic=False)


def _same_time(left: Sequence[Marked], right: Sequence[Marked]) -> list[tuple[int, int]]:
    return match_events(_spans(left), _spans(right), agnostic=True)


def _overlapping(left: Sequence[Marked], right: Sequence[Marked]) -> list[tuple[int, int]]:
    """Return pairs of events of one label that overlap, those that share most first; each has one partner."""
    shared = sorted(
        (
            (min(one.end_s, other.end_s) - max(one.start_s, other.start_s), r, e)
            for r, one in enumerate(left)
            for e, other in enumerate(right)
            if one.label == other.label and min(one.end_s, other.end_s) > max(one.start_s, other.start_s)
        ),
        key=lambda each: (-each[0], each[1:]),
    )
    partners: dict[int, int] = {}
    for _, r, e in shared:
        if r not in partners and e not in partners.values():
            partners[r] = e
    return list(partners.items())


def _of_one_sound(left: Sequence[Marked], right: Sequence[Marked]) -> list[tuple[int, int]]:
    """Return pairs of events of any labels that share more than half of the time they cover together."""
    pairs: dict[int, int] = {}
    for r, one in enumerate(left):
        for e, other in enumerate(right):
            shared_s = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
            covered_s = max(one.end_s, other.end_s) - min(one.start_s, other.start_s)
            if shared_s > 0.5 * covered_s and e not in pairs.values():
                pairs[r] = e
                break
    return list(pairs.items())


# What is told of each step's pairs; those of the first agree.
STEPS = (("", _same), ("label", _same_time), ("borders", _overlapping), ("label", _of_one_sound))


def _told(pair: Pair, kind: str, one: Marked | None, other: Marked | None) -> dict[str, Any]:
    events = [event for event in (one, other) if event is not None]
    sides = [
        None
        if event is None
        else {name: getattr(event, name) for name in ("id", "start_s", "end_s", "label")}
        for event in (one, other)
    ]
    return {
        "recording": pair.recording,
        "channel": pair.channel,
        "kind": kind,
        "start_s": min(event.start_s for event in events),
        "end_s": max(event.end_s for event in events),
        "first": sides[0],
        "second": sides[1],
    }
