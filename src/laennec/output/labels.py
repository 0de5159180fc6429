"""Label files of an analysis: SPRSound's JSON, ICBHI's cycles, Audacity's label tracks."""

from collections.abc import Iterator
from typing import Any

from laennec.analyze.analysis import Analysis
from laennec.annotations import audacity, icbhi, sprsound


def to_audacity(analysis: Analysis, channel: int = 0) -> str:
    """Return one channel's events as an Audacity label track.

    An uncertain event's label is followed by `` ?``, so that it is seen and not taken for a label.
    """
    return audacity.write(
        (event.start_s, event.end_s, event.label + (" ?" if event.uncertain else ""))
        for event in analysis.events
        if event.channel == channel
    )


def to_sprsound(analysis: Analysis, channel: int = 0) -> dict[str, Any]:
    """Return one channel as an annotation of SPRSound, in JSON's types.

    ``record_annotation`` is left out where there is no answer, as in some files of SPRSound. LaennecError if
    an event's label is none of SPRSound's seven.
    """
    record = next((record for record in analysis.channel_records if record.channel == channel), None)
    if record is None and analysis.channels == 1:
        record = analysis.record
    return sprsound.write(_spans(analysis, channel), None if record is None else record.label)


def to_icbhi(analysis: Analysis, channel: int = 0) -> str:
    """Return one channel's events as ICBHI 2017 has its cycles.

    Events are not cycles: what lies between two is in no line. LaennecError if a label has no place in
    ICBHI's four classes.
    """
    return icbhi.write(_spans(analysis, channel))


def _spans(analysis: Analysis, channel: int) -> Iterator[tuple[float, float, str]]:
    return (
        (event.start_s, event.end_s, event.label) for event in analysis.events if event.channel == channel
    )
