"""What a label file holds, whatever its format: events, what is no event, and the recording's own label."""

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from laennec.errors import LaennecError
from laennec.labels import SPRSOUND_EVENTS, spelling

LATEST_S = 1e8  # three years; a later time is of no recording, and its milliseconds may be no number
LONGEST_SHOWN = 80  # characters of a file's text in a message


@dataclass(frozen=True)
class Boundary:
    """A given event: where it is, in seconds (perhaps outside the recording), and what its file calls it.

    `annotated` is in SPRSound's spelling where it is one of its events. `channel` is None for all of them;
    `where` is its place in the file, such as ``line 3``. The band from `low_hz` to `high_hz` and the
    `probability` of the label are None where the file has none.
    """

    start_s: float
    end_s: float
    annotated: str | None = None
    channel: int | None = None
    where: str = field(default="", compare=False)
    low_hz: float | None = None
    high_hz: float | None = None
    probability: float | None = None


@dataclass(frozen=True)
class Problem:
    """A part of a label file that is no event; without `where` it is the whole file."""

    where: str
    detail: str

    def __str__(self) -> str:
        return f"{self.where}: {self.detail}" if self.where else self.detail


@dataclass(frozen=True)
class LabelFile:
    """What a label file holds: events in the file's order, what is wrong with it, the recording's label.

    `points` are labels without length, which are no events and no fault either. Its channels count from
    `first_channel`; those of its events from 0. `unread` are columns with more about the events, which are
    not kept.
    """

    events: tuple[Boundary, ...] = ()
    problems: tuple[Problem, ...] = ()
    record: str | None = None
    points: tuple[Problem, ...] = ()
    first_channel: int = 0
    unread: tuple[str, ...] = ()


class PointError(ValueError):
    """An event begins where it ends."""


class Row(NamedTuple):
    """An event as it stands in a file, unchecked."""

    where: str
    start_s: Any
    end_s: Any
    label: str | None = None
    channel: int | None = None
    low_hz: Any = None
    high_hz: Any = None
    probability: Any = None


def make_boundary(
    start_s: Any, end_s: Any, label: str | None = None, channel: int | None = None, where: str = ""
) -> Boundary:
    """Return an event; ValueError says what is wrong with it."""
    times = []
    for name, value in (("start", start_s), ("end", end_s)):
        try:
            time_s = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            time_s = math.nan
        if not math.isfinite(time_s):
            raise ValueError(f"{name} is {shown(repr(value))}, no number")
        if abs(time_s) > LATEST_S:
            raise ValueError(f"{name} is at {time_s:g} s, where no recording is")
        times.append(time_s)
    if times[0] >= times[1]:
        kind = PointError if times[0] == times[1] else ValueError
        raise kind(f"it ends at {times[1]:g} s, not after its start at {times[0]:g} s")
    known = None if label is None else spelling(label, SPRSOUND_EVENTS) or label.strip() or None
    return Boundary(times[0], times[1], known, channel, where)


def _details(row: Row) -> dict[str, Any]:
    """Return band and probability of a row; ValueError if the probability is none.

    A band changes no event, so a table in which another program left something else there is read all the
    same.
    """
    low, high, probability = (_number(each) for each in (row.low_hz, row.high_hz, row.probability))
    if low is None or high is None or not 0 <= low < high:
        low = high = None
    is_given = row.probability is not None and str(row.probability).strip() != ""
    if is_given and (probability is None or not 0 <= probability <= 1):
        raise ValueError(f"probability is {shown(str(row.probability))}; expected a number from 0 to 1")
    return {"low_hz": low, "high_hz": high, "probability": probability}


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def none_is_for(count: int, noun: str, recording: str | None) -> str:
    """Return that a file of several recordings has nothing for this one, of `count` rows, tasks or lines."""
    name = os.path.basename(recording or "")
    return (
        f"its only {noun} is not for {name}" if count == 1 else f"none of its {count} {noun}s is for {name}"
    )


def shown(text: str) -> str:
    """Return a text from a file as a message shows it: the beginning of a long one."""
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def collect(rows: Iterable[Row | Problem], record: str | None = None, points: bool = False) -> LabelFile:
    """Return the events of the rows that are events, and a problem for each other.

    With `points`, the format has labels of a point in time, which are told apart.
    """
    events: list[Boundary] = []
    problems: list[Problem] = []
    without_length: list[Problem] = []
    for row in rows:
        try:
            if isinstance(row, Problem):
                problems.append(row)
            else:
                boundary = make_boundary(row.start_s, row.end_s, row.label, row.channel, row.where)
                events.append(replace(boundary, **_details(row)))
        except PointError as error:
            if points:
                without_length.append(Problem(row.where, "marks a point in time, no event; left out"))
            else:
                problems.append(Problem(row.where, str(error)))
        except ValueError as error:
            problems.append(Problem(row.where, str(error)))
    return LabelFile(tuple(events), tuple(problems), record, tuple(without_length))


def read_lines(
    text: str,
    parse: Callable[[str], tuple[Any, Any, str | None] | None],
    expected: str,
    skipped: str = "",
    points: bool = False,
) -> LabelFile:
    """Read an event a line: `parse` gives start, end and label, or None, which is a problem."""
    rows: list[Row | Problem] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() and not (skipped and line.startswith(skipped)):
            where, event = f"line {number}", parse(line)
            problem = f"expected {expected}, found {shown(line.strip())!r}"
            rows.append(Row(where, *event) if event else Problem(where, problem))
    return collect(rows, points=points)


def write_lines(events: Iterable[tuple[float, float, str]], digits: int) -> str:
    """Return a line for each event, with tabs between its start, its end and the rest."""
    lines = []
    for start_s, end_s, rest in events:
        start_s, end_s = rounded_span(start_s, end_s, digits)
        lines.append(f"{start_s:.{digits}f}\t{end_s:.{digits}f}\t{rest}\n")
    return "".join(lines)


def rounded_span(start_s: float, end_s: float, digits: int) -> tuple[float, float]:
    """Return start and end as written: rounding leaves no event without length, which no reader takes."""
    start_s, end_s = round(start_s, digits), round(end_s, digits)
    return start_s, (end_s if end_s > start_s else round(start_s + 10**-digits, digits))


def in_vocabulary(label: str, known: str | None, form: str, vocabulary: Iterable[str]) -> str:
    """Return `known`, a format's word for a label; LaennecError where the format has none."""
    if known is None:
        words = ", ".join(vocabulary)
        raise LaennecError(f"the label {label} has no place in {form}'s format, which has {words}")
    return known
