"""Label files, written: SPRSound's JSON, ICBHI's cycles, Audacity's label tracks."""

from collections.abc import Iterator, Sequence
from typing import Any

from laennec.analyze.analysis import Analysis, Event, RecordAnswer
from laennec.errors import LaennecError
from laennec.labels import CHALLENGE_SPELLING, ICBHI_CYCLES, SPRSOUND_EVENTS
from laennec.labels import to_icbhi as icbhi_class

ICBHI_DIGITS, AUDACITY_DIGITS = 3, 6
_SPELLINGS = {
    **{label.lower(): label for label in SPRSOUND_EVENTS},
    **{spelt.lower(): label for label, spelt in CHALLENGE_SPELLING.items()},
}


def to_audacity(analysis: Analysis, channel: int = 0) -> str:
    """Return one channel's events as an Audacity label track: start, end in seconds, label; tabs between.

    An uncertain event's label is followed by `` ?``, so that it is seen and not taken for a label.
    """
    lines = []
    for event in events_of(analysis, channel):
        start_s, end_s = span(event, AUDACITY_DIGITS)
        label = " ".join(event.label.split()) + (" ?" if event.uncertain else "")
        lines.append(f"{start_s:.{AUDACITY_DIGITS}f}\t{end_s:.{AUDACITY_DIGITS}f}\t{label}\n")
    return "".join(lines)


def to_sprsound(analysis: Analysis, channel: int = 0) -> dict[str, Any]:
    """Return one channel as an annotation of SPRSound, in JSON's types.

    ``record_annotation`` is left out where there is no answer, as in some files of SPRSound; then
    ``event_annotation``: start and end in whole milliseconds, as strings, and type.

    Raises
    ------
    LaennecError
        If an event's label is none of SPRSound's seven.
    """
    record = _answer_for(analysis, channel)
    annotation: dict[str, Any] = {}
    if record is not None and record.label is not None:
        annotation["record_annotation"] = record.label
    annotation["event_annotation"] = [
        {
            "start": f"{start_s * 1000:.0f}",
            "end": f"{end_s * 1000:.0f}",
            "type": _known(event.label, _SPELLINGS.get(event.label.lower()), "SPRSound", SPRSOUND_EVENTS),
        }
        for event in events_of(analysis, channel)
        for start_s, end_s in [span(event, 3)]
    ]
    return annotation


def to_icbhi(analysis: Analysis, channel: int = 0) -> str:
    """Return one channel's events as ICBHI 2017 has its cycles: start, end in seconds, crackles, wheezes.

    The last two are 0 or 1; rhonchi and stridor count as wheezes, see :func:`laennec.labels.to_icbhi`.
    Events are not cycles: what lies between two is in no line.

    Raises
    ------
    LaennecError
        If an event's label has no place in ICBHI's four classes.
    """
    lines = []
    for event in events_of(analysis, channel):
        start_s, end_s = span(event, ICBHI_DIGITS)
        cycle = _known(event.label, icbhi_class(event.label), "ICBHI", ICBHI_CYCLES)
        crackles, wheezes = int(cycle in ("crackle", "both")), int(cycle in ("wheeze", "both"))
        lines.append(f"{start_s:.{ICBHI_DIGITS}f}\t{end_s:.{ICBHI_DIGITS}f}\t{crackles}\t{wheezes}\n")
    return "".join(lines)


def _known(label: str, mapped: str | None, form: str, classes: Sequence[str]) -> str:
    if mapped is None:
        raise LaennecError(
            f"the label {label} has no place in {form}'s format, which has {', '.join(classes)}"
        )
    return mapped


def events_of(analysis: Analysis, channel: int) -> Iterator[Event]:
    return (event for event in analysis.events if event.channel == channel)


def _answer_for(analysis: Analysis, channel: int) -> RecordAnswer | None:
    found = next((record for record in analysis.channel_records if record.channel == channel), None)
    return analysis.record if found is None and analysis.channels == 1 else found


def span(event: Event, digits: int) -> tuple[float, float]:
    """Return start and end as written: rounding leaves no event without length, which no reader takes."""
    start_s, end_s = round(event.start_s, digits), round(event.end_s, digits)
    return start_s, (end_s if end_s > start_s else round(start_s + 10**-digits, digits))
