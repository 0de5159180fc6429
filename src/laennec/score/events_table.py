"""events.csv: what is annotated and what was found in each recording, a row per event."""

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass

from laennec.annotations.table import for_spreadsheet
from laennec.audio.samples import counted
from laennec.errors import LaennecError, shown
from laennec.files import written_whole
from laennec.score.events import Span
from laennec.score.predictions import read_table

COLUMNS = ("recording", "subject", "kind", "start_s", "end_s", "label", "probability")
KINDS = ("reference", "estimated")


@dataclass(frozen=True)
class Detection:
    """What is annotated and what was found in one recording."""

    recording: str
    subject: str
    """The patient, "" where unknown."""
    reference: tuple[Span, ...]
    """Annotated events: start and end in seconds, label."""
    estimated: tuple[Span, ...]
    """Events found."""
    probabilities: tuple[float, ...] = ()
    """Of each estimated event's label; empty where not known."""


def write_events(path: str | os.PathLike[str], detections: Sequence[Detection]) -> None:
    """Write events.csv, a row an event: ``recording, subject, kind, start_s, end_s, label, probability``.

    The kind is ``reference`` or ``estimated``; only an estimated event has a probability. A recording without
    any event leaves no row, as it adds to no count. LaennecError if a recording occurs twice, or its
    probabilities are not one per estimated event.
    """
    names = [detection.recording for detection in detections]
    if len(set(names)) < len(names):
        raise LaennecError(f"{path}: a recording occurs twice; score each once")
    with written_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for each in detections:
            certainty = [repr(float(p)) for p in each.probabilities] or [""] * len(each.estimated)
            if len(certainty) != len(each.estimated):
                raise LaennecError(
                    f"{path}: {each.recording} has {len(certainty)} probabilities for "
                    f"{counted(len(each.estimated), 'event')}"
                )
            rows = [("reference", span, "") for span in each.reference]
            rows += [("estimated", span, p) for span, p in zip(each.estimated, certainty, strict=True)]
            for kind, (start_s, end_s, label), sure in rows:
                times = (repr(float(start_s)), repr(float(end_s)))
                cells = (each.recording, each.subject, kind, *times, label, sure)
                writer.writerow(map(for_spreadsheet, cells))


def read_events_table(path: str | os.PathLike[str]) -> list[Detection]:
    """Read events.csv, recordings in the order of their first row.

    LaennecError if it is missing, is not such a table, holds what is no time or probability, or gives a
    recording two patients.
    """
    header, *rows = read_table(path, "events.csv") or [[]]
    if tuple(header) != COLUMNS:
        raise LaennecError(
            f"{path}: the first line must be {','.join(COLUMNS)}; it is {shown(','.join(header))}"
        )
    subjects: dict[str, str] = {}
    events: dict[tuple[str, str], list[tuple[Span, float | None]]] = {}
    for number, row in enumerate((row for row in rows if row), start=1):
        recording, kind, event = _read_row(path, number, row)
        if subjects.setdefault(recording, row[1]) != row[1]:
            raise LaennecError(f"{path}: {recording} is of patients {subjects[recording]!r} and {row[1]!r}")
        events.setdefault((recording, kind), []).append(event)
    return [
        Detection(
            recording,
            subject,
            tuple(span for span, _ in events.get((recording, "reference"), [])),
            tuple(span for span, _ in events.get((recording, "estimated"), [])),
            _probabilities(path, recording, [p for _, p in events.get((recording, "estimated"), [])]),
        )
        for recording, subject in subjects.items()
    ]


def _read_row(
    path: str | os.PathLike[str], number: int, row: Sequence[str]
) -> tuple[str, str, tuple[Span, float | None]]:
    if len(row) != len(COLUMNS):
        raise LaennecError(f"{path}: event {number} has {len(row)} fields; expected {len(COLUMNS)}")
    recording, _, kind, start_s, end_s, label, probability = row
    if kind not in KINDS:
        raise LaennecError(f"{path}: event {number} is of kind {kind!r}; expected {' or '.join(KINDS)}")
    try:
        span = (float(start_s), float(end_s), label)
        value = float(probability) if probability else None
    except ValueError as error:
        raise LaennecError(f"{path}: event {number} has a field that is no number ({error})") from error
    if value is not None and not 0 <= value <= 1:
        raise LaennecError(f"{path}: event {number} has a probability outside [0, 1]")
    return recording, kind, (span, value)


def _probabilities(
    path: str | os.PathLike[str], recording: str, values: Sequence[float | None]
) -> tuple[float, ...]:
    known = tuple(p for p in values if p is not None)
    if known and len(known) < len(values):
        raise LaennecError(f"{path}: {recording} has a probability for some of its estimated events only")
    return known
