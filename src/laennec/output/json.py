"""The JSON of an analysis."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from laennec.analyze.analysis import DISCLAIMER, Analysis, Event, RecordAnswer, Relevance, RespiratoryRate
from laennec.files import write_json as write_json_file
from laennec.version import __version__

FORMAT = 1  # of the JSON; a key once in it stays and keeps its meaning
TIME_DIGITS, PROBABILITY_DIGITS, RELEVANCE_DIGITS = 4, 6, 3


def to_json(analysis: Analysis) -> dict[str, Any]:
    """Return an analysis as JSON's types.

    The keys are stable for ``"format": 1``: one once in it stays and keeps its meaning. All are always
    there; ``analysis.schema.json``, in this package, describes each.
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
        "patient": {
            "age_years": analysis.age_years,
            "sex": analysis.sex,
            "position": analysis.position,
        },
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
        "record": None if analysis.record is None else _record_json(analysis.record),
        "channel_records": [_record_json(record) for record in analysis.channel_records],
        "events": [_event_json(event) for event in analysis.events],
        "notes": list(analysis.notes),
    }


def _event_json(event: Event) -> dict[str, Any]:
    return {
        "channel": event.channel,
        "start_s": round(event.start_s, TIME_DIGITS),
        "end_s": round(event.end_s, TIME_DIGITS),
        "label": event.label,
        "probability": round(event.probability, PROBABILITY_DIGITS),
        "probabilities": _rounded(event.probabilities),
        "annotated": event.annotated,
        "presence": None if event.presence is None else round(event.presence, PROBABILITY_DIGITS),
        "uncertain": event.uncertain,
        "relevance": None if event.relevance is None else _relevance_json(event.relevance),
    }


def _relevance_json(relevance: Relevance) -> dict[str, Any]:
    return {
        "start_s": round(relevance.start_s, TIME_DIGITS),
        "end_s": round(relevance.end_s, TIME_DIGITS),
        "edges_hz": [round(edge_hz, 2) for edge_hz in relevance.edges_hz],
        "values": [[round(value, RELEVANCE_DIGITS) for value in row] for row in relevance.values],
    }


def _record_json(record: RecordAnswer) -> dict[str, Any]:
    return {
        "channel": record.channel,
        "label": record.label,
        "probability": None if record.probability is None else round(record.probability, PROBABILITY_DIGITS),
        "probabilities": _rounded(record.probabilities),
        "uncertain": record.uncertain,
        "refused": record.refused,
        "reasons": list(record.reasons),
        "kinds": None if record.kinds is None else _rounded(record.kinds),
        "rate": None if record.rate is None else _rate_json(record.rate),
    }


def _rate_json(rate: RespiratoryRate) -> dict[str, Any]:
    per_min = None if rate.per_min is None else round(rate.per_min, 2)
    return {"per_min": per_min, "quality": rate.quality, "reason": rate.reason, "breaths": rate.breaths}


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, PROBABILITY_DIGITS) for name, value in values.items()}


def write_json(analyses: Analysis | Sequence[Analysis], path: str | os.PathLike[str]) -> None:
    """Write one analysis as its object, or a sequence as ``{"format": 1, "analyses": [...]}``, whole or not.

    A sequence is written as one even if it holds a single analysis, so that a program can rely on it.
    """
    if isinstance(analyses, Analysis):
        write_json_file(path, to_json(analyses))
    else:
        write_json_file(path, {"format": FORMAT, "analyses": [to_json(analysis) for analysis in analyses]})
