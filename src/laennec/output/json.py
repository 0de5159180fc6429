"""The JSON of an analysis."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from typing import Any

from laennec.analyze.analysis import Analysis, Event, RecordAnswer
from laennec.files import write_json as write_json_file
from laennec.version import DISCLAIMER, __version__

FORMAT = 1  # of the JSON; a key once in it stays and keeps its meaning
TIME_DIGITS, PROBABILITY_DIGITS = 4, 6
DIGITS = {"start_s": TIME_DIGITS, "end_s": TIME_DIGITS, "edges_hz": 2, "values": 3, "per_min": 2}  # of fields


def to_json(analysis: Analysis) -> dict[str, Any]:
    """Return an analysis as JSON's types.

    The keys are stable for ``"format": 1``: one once in it stays and keeps its meaning. All are always
    there; ``analysis.schema.json``, in this package, describes each. Events and answers have the fields of
    their dataclasses.
    """
    return {
        "format": FORMAT,
        "laennec": __version__,
        "disclaimer": DISCLAIMER,
        "recording": {
            "name": analysis.name,
            "duration_s": round(analysis.duration_s, TIME_DIGITS),
            "sample_rate": analysis.sample_rate,
            "channels": analysis.channels,
            "quality": [asdict(finding) for finding in analysis.quality],
            "repairs": list(analysis.repairs),
        },
        "patient": {name: getattr(analysis, name) for name in ("age_years", "sex", "position")},
        "model": {
            "name": analysis.model_name,
            "version": analysis.model_version,
            "sha256": analysis.model_sha256,
            "labels": list(analysis.labels),
            "normal": analysis.normal,
            "data": analysis.model_data,
            "limits": analysis.model_limits,
        },
        "segmentation": {
            "kind": analysis.segmentation,
            "window_s": analysis.window_s,
            "hop_s": analysis.hop_s,
        },
        "record": None if analysis.record is None else _channel_first(analysis.record),
        "channel_records": [_channel_first(record) for record in analysis.channel_records],
        "events": [_channel_first(event) for event in analysis.events],
        "notes": list(analysis.notes),
    }


def _channel_first(value: Event | RecordAnswer) -> dict[str, Any]:
    return {"channel": value.channel, **_plain(value)}


def _plain(value: Any, digits: int = PROBABILITY_DIGITS) -> Any:
    """Return a dataclass, with all in it, as JSON's types; decimals are rounded by their field."""
    if isinstance(value, float):
        return round(value, digits)
    if is_dataclass(value):
        names = [field.name for field in fields(value)]
        return {name: _plain(getattr(value, name), DIGITS.get(name, digits)) for name in names}
    if isinstance(value, Mapping):
        return {name: _plain(each, digits) for name, each in value.items()}
    if isinstance(value, tuple):
        return [round(each, digits) if type(each) is float else _plain(each, digits) for each in value]
    return value


def write_json(analyses: Analysis | Sequence[Analysis], path: str | os.PathLike[str]) -> None:
    """Write one analysis as its object, or a sequence as ``{"format": 1, "analyses": [...]}``, whole or not.

    A sequence is written as one even if it holds a single analysis, so that a program can rely on it.
    """
    if isinstance(analyses, Analysis):
        write_json_file(path, to_json(analyses))
    else:
        write_json_file(path, {"format": FORMAT, "analyses": [to_json(analysis) for analysis in analyses]})
