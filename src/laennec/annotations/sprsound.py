"""SPRSound's annotations: JSON, read and written, and what its file names tell.

A file is an object: ``event_annotation``, a list of events with ``start`` and ``end`` in milliseconds (as
text) and ``type``; ``record_annotation`` (``recording_annotation`` in old documents), the recording's label,
which some files of 2024 and 2025 lack. Other keys are not looked at.

File names are ``patient_age_sex_location_number``; sex is 0 male, 1 female; locations are p1 left posterior,
p2 left lateral, p3 right posterior, p4 right lateral, and p5 to p8 since 2024 (undocumented, kept as they
are). Since 2024 the patient number can be empty; such a recording has no subject.

Source: Zhang et al., IEEE TBioCAS 16(5), 2022, section II; the repository's README.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from laennec.annotations.events import LabelFile, Problem, Row, collect, in_vocabulary, rounded_span
from laennec.labels import SEXES, SPRSOUND_EVENTS, SPRSOUND_RECORDS, spelling
from laennec.patient import OLDEST_YEARS, POSITION_SPELLINGS, Patient

FILE_NAME = re.compile(
    r"(?P<patient>\d*)_(?P<age>\d+(?:\.\d+)?)_(?P<sex>[01])_(?P<place>p\d)_(?P<number>\d+)(?!\d)"
)
TOO_LARGE = "it is nested too deeply, or a number has too many digits"
SHORTEST_MS = 100.0  # to the last event's end; fractions below are of another unit
EVENTS, RECORD, OLD_RECORD = "event_annotation", "record_annotation", "recording_annotation"


def read(text: str) -> LabelFile:
    """Read an annotation; the recording's label is in SPRSound's spelling where it is one of its own."""
    try:
        annotation = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = str(error) if isinstance(error, json.JSONDecodeError) else TOO_LARGE
        return LabelFile(problems=(Problem("", f"not JSON ({where})"),))
    known = isinstance(annotation, dict) and not {EVENTS, RECORD, OLD_RECORD}.isdisjoint(annotation)
    if not known or not isinstance(annotation.get(EVENTS, []), list):
        what = f"expected SPRSound's JSON, an object with a list {EVENTS}"
        return LabelFile(problems=(Problem("", what),))
    record = annotation.get(RECORD, annotation.get(OLD_RECORD))
    if record is not None:
        record = spelling(str(record), SPRSOUND_RECORDS) or str(record)
    labels = collect(_rows(annotation.get(EVENTS, [])), record)
    times_ms = [1000 * time_s for event in labels.events for time_s in (event.start_s, event.end_s)]
    if times_ms and max(times_ms) < SHORTEST_MS and any(abs(time - round(time)) > 1e-6 for time in times_ms):
        what = "its times end within 0.1 s: they are milliseconds in SPRSound's JSON; are these seconds?"
        labels = replace(labels, problems=(*labels.problems, Problem("", what)))
    return labels


def _rows(events: list[Any]) -> Iterator[Row | Problem]:
    for number, event in enumerate(events, start=1):
        if not isinstance(event, dict):
            yield Problem(f"event {number}", "expected an object with start, end and type")
            continue
        label = event.get("type")
        times = (_seconds(event.get("start")), _seconds(event.get("end")))
        yield Row(f"event {number}", *times, None if label is None else str(label))


def _seconds(milliseconds: Any) -> Any:
    """Return seconds, or the value itself where it is no number, which is then named as it stands."""
    try:
        return milliseconds if isinstance(milliseconds, bool) else float(milliseconds) / 1000
    except (TypeError, ValueError, OverflowError):
        return milliseconds


def write(events: Iterable[tuple[float, float, str]], record: str | None = None) -> dict[str, Any]:
    """Return an annotation of events (start and end in seconds, label), in JSON's types.

    ``record_annotation`` is left out where there is none; times are whole milliseconds, as text. LaennecError
    if an event's label is none of SPRSound's seven.
    """
    written = []
    for start_s, end_s, label in events:
        start_s, end_s = rounded_span(start_s, end_s, 3)
        word = in_vocabulary(label, spelling(label, SPRSOUND_EVENTS), "SPRSound", SPRSOUND_EVENTS)
        written.append({"start": f"{start_s * 1000:.0f}", "end": f"{end_s * 1000:.0f}", "type": word})
    return ({} if record is None else {RECORD: record}) | {EVENTS: written}


@dataclass(frozen=True)
class RecordingName:
    """What a file name of SPRSound's form says.

    `subject` is the patient's number, None where it is empty. The patient's position is None for p5 to p8,
    which are described nowhere. `rest` follows the number: a cut event adds to its recording's name.
    """

    subject: str | None
    patient: Patient
    place: str
    rest: str


def parse_name(stem: str) -> RecordingName | None:
    """Read a file name without its suffix; None if it is not of SPRSound's form."""
    match = FILE_NAME.match(stem)
    if match is None:
        return None
    age_years = float(match["age"])
    patient = Patient(
        age_years if age_years <= OLDEST_YEARS else None,
        SEXES[int(match["sex"])],
        POSITION_SPELLINGS.get(match["place"]),
    )
    return RecordingName(match["patient"] or None, patient, match["place"], stem[match.end() :])
