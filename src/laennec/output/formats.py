"""An analysis as JSON, as tables, as label files, and as one row of many."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any

from laennec.analyze.analysis import Analysis, Event, RecordingPrediction
from laennec.annotations import audacity, icbhi, rounded_span, sprsound, table
from laennec.annotations.table import PREDICTION
from laennec.files import write_json as write_json_file
from laennec.output.presentation import refusals
from laennec.version import DISCLAIMER, __version__

FORMAT = 1  # of the JSON; a key once in it stays and keeps its meaning
TIME_DIGITS, PROBABILITY_DIGITS = 4, 6
DIGITS = {"start_s": TIME_DIGITS, "end_s": TIME_DIGITS, "edges_hz": 2, "values": 3, "per_min": 2}  # of fields
DIGITS |= dict.fromkeys(("inspiration_s", "expiration_s", "pause_s"), TIME_DIGITS)
DIGITS |= {"pitch_hz": 1, "share": 3, "ie_ratio": 3, "ie_quartiles": 3}
DETAILS = ("quality", "error", "uncertain_events", "not_analysed_s", "heard_as")  # the last of the summary
SUMMARY_DIGITS = {"probability": PROBABILITY_DIGITS, "rate_per_min": 1, "duration_s": 3, "not_analysed_s": 1}
EVENT = ("channel", "start_s", "end_s", "label", "probability", "uncertain", "presence")  # columns
NOT_ANALYSED = "not analysed: "  # begins the note that says why
EVENT_DIGITS = {"start_s": TIME_DIGITS, "end_s": TIME_DIGITS}


# --- JSON ---------------------------------------------------------------------------------------------------


def to_json(analysis: Analysis) -> dict[str, Any]:
    """Return an analysis as JSON's types.

    The keys are stable for ``"format": 1``: one once in it stays and keeps its meaning. All are always
    there but ``breathing``, ``phase_model`` and an event's ``timing``, which need phases to be asked for;
    ``analysis.schema.json``, in this package, describes each. Events and predictions have the fields of their
    dataclasses.
    """
    told = _always(analysis)
    if analysis.breathing is not None:
        told["breathing"] = [_plain(own) for own in analysis.breathing]
        told["phase_model"] = _plain(analysis.phase_model)
    return told


def _always(analysis: Analysis) -> dict[str, Any]:
    """Return the keys that every analysis has."""
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
            "calibration": None if analysis.calibration is None else asdict(analysis.calibration),
        },
        "segmentation": {
            "kind": analysis.segmentation,
            "window_s": analysis.window_s,
            "hop_s": analysis.hop_s,
        },
        "record": None if analysis.record is None else channel_first(analysis.record),
        "channel_records": [channel_first(record) for record in analysis.channel_records],
        "events": [channel_first(event) for event in analysis.events],
        "refused_parts": [_plain(part) for part in analysis.refused_parts],
        "notes": [*refusals(analysis.refused_parts, analysis.channels), *analysis.notes],
    }


def channel_first(value: Event | RecordingPrediction) -> dict[str, Any]:
    """Return an event or a prediction as JSON's types; without a timing that was not asked for."""
    told = {"channel": value.channel, **_plain(value)}
    if told.get("timing") is None:
        told.pop("timing", None)
    return told


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
    """Write one analysis as its object, or a sequence (also of one) as ``{"format": 1, "analyses": […]}``."""
    if isinstance(analyses, Analysis):
        write_json_file(path, to_json(analyses))
    else:
        write_json_file(path, {"format": FORMAT, "analyses": [to_json(analysis) for analysis in analyses]})


# --- tables -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Summary:
    """What is kept of a recording among many, whose name is its path below the folder that was given.

    Label to rate are those of the whole recording, with a rate only where its quality is good; `events`
    counts those of each class of the model, of which `normal` is normal breathing; `quality` has the
    kinds of what is wrong with the recording; `error` is why it could not be analysed, or its results not be
    written. `uncertain_events` counts those of `events` that are uncertain. Not analysed were
    `not_analysed_s`, of the channel with most of it, and `heard_as` is the first that a part was heard as
    instead of a lung.
    """

    recording: str
    label: str | None = None
    probability: float | None = None
    uncertain: bool = False
    refused: str | None = None
    rate_per_min: float | None = None
    rate_quality: str = ""
    duration_s: float | None = None
    events: Mapping[str, int] = field(default_factory=dict)
    normal: str = ""
    quality: tuple[str, ...] = ()
    error: str | None = None
    uncertain_events: Mapping[str, int] = field(default_factory=dict)
    not_analysed_s: float = 0.0
    heard_as: str | None = None


def summary(analysis: Analysis, recording: str) -> Summary:
    """Return what is kept of an analysis among many."""
    uncertain = Counter(event.label for event in analysis.events if event.uncertain)
    refused_s = dict.fromkeys((part.channel for part in analysis.refused_parts), 0.0)
    for part in analysis.refused_parts:
        refused_s[part.channel] += part.end_s - part.start_s
    unheard = unanswered(analysis)
    return replace(
        _prediction_summary(
            analysis.record or RecordingPrediction(None, None, {}, refused=unheard), recording
        ),
        duration_s=analysis.duration_s,
        events={label: sum(e.label == label for e in analysis.events) for label in analysis.labels},
        normal=analysis.normal,
        quality=tuple(dict.fromkeys(finding.kind for finding in analysis.quality)),
        uncertain_events={label: uncertain[label] for label in analysis.labels if uncertain[label]},
        not_analysed_s=analysis.duration_s if unheard else max(refused_s.values(), default=0.0),
        heard_as=next((part.heard_as for part in analysis.refused_parts if part.heard_as), None),
    )


def unanswered(analysis: Analysis) -> str | None:
    """Return why nothing of a recording was analysed, its notes' first reason; None where something was."""
    reasons = [note.removeprefix(NOT_ANALYSED) for note in analysis.notes if note.startswith(NOT_ANALYSED)]
    if not reasons or analysis.record is not None or analysis.events:
        return None
    silent = {finding.channel for finding in analysis.quality if finding.kind == "silent"}
    heard = analysis.channels - len(silent)
    return None if silent and heard else reasons[0]


def _prediction_summary(record: RecordingPrediction, recording: str) -> Summary:
    per_min, quality = (record.rate.per_min, record.rate.quality) if record.rate else (None, "")
    per_min = per_min if quality == "good" else None  # a number in a table would be taken at its word
    return Summary(
        recording, record.label, record.probability, record.uncertain, record.refused, per_min, quality
    )


def to_csv(analysis: Analysis) -> str:
    """Return the events as CSV, one row per event.

    Columns: ``recording, channel`` (from 0)``, start_s, end_s, label, probability, uncertain`` (true or
    false)``, presence`` (empty where not known), then the probability of each class under its name.
    :func:`laennec.annotations.read_events` reads it.
    """
    header = ["recording", *EVENT, *analysis.labels]
    rows = (
        [
            analysis.name,
            *(_cell(value, EVENT_DIGITS.get(name, PROBABILITY_DIGITS)) for name, value in values.items()),
        ]
        for values in (event_values(event, analysis.labels) for event in analysis.events)
    )
    return table.write(header, rows)


def event_values(event: Event, labels: Sequence[str]) -> dict[str, Any]:
    """Return an event by column: `EVENT`, then the probability of each class; None is what is not known."""
    start_s, end_s = rounded_span(event.start_s, event.end_s, TIME_DIGITS)
    return {
        "channel": event.channel,
        "start_s": start_s,
        "end_s": end_s,
        "label": event.label,
        "probability": event.probability,
        "uncertain": event.uncertain,
        "presence": event.presence,
        **{label: event.probabilities[label] for label in labels},
    }


def to_record_csv(analysis: Analysis) -> str:
    """Return the predictions for the whole recording as CSV: a row for all channels, then one per channel.

    Columns: ``recording, channel`` (``all``, or from 0)``, label, probability, uncertain, refused``
    (why)``, rate_per_min, rate_quality``, then the probability of each record label under its name. Empty is
    what is not known; a model that predicts none leaves the header alone.
    """
    records = [("all", analysis.record)] if analysis.record else []
    records += [(str(record.channel), record) for record in analysis.channel_records]
    labels = list(dict.fromkeys(label for _, record in records for label in record.probabilities))
    rows = (
        [
            analysis.name,
            channel,
            *_prediction_cells(_prediction_summary(record, analysis.name)),
            *(_decimal(record.probabilities.get(label)) for label in labels),
        ]
        for channel, record in records
    )
    return table.write(["recording", "channel", *PREDICTION, *labels], rows)


def to_summary_csv(summaries: Sequence[Summary]) -> str:
    """Return one row per recording as CSV.

    Columns: ``recording, label, probability, uncertain, refused, rate_per_min, rate_quality, duration_s``,
    the number of events of each class under its name, ``quality`` (kinds, with a semicolon between),
    ``error, uncertain_events`` (how many of all), ``not_analysed_s`` and ``heard_as``.
    """
    labels = list(dict.fromkeys(label for row in summaries for label in row.events))
    rows = (
        [_cell(value, SUMMARY_DIGITS.get(name, PROBABILITY_DIGITS)) for name, value in values.items()]
        for values in (summary_values(row, labels) for row in summaries)
    )
    return table.write(["recording", *PREDICTION, "duration_s", *labels, *DETAILS], rows)


def summary_values(row: Summary, labels: Sequence[str]) -> dict[str, Any]:
    """Return a row of many by column, as in the CSV of all; None is what is not known."""
    return {
        "recording": row.recording,
        "label": row.label,
        "probability": row.probability,
        "uncertain": None if row.error else row.uncertain,
        "refused": row.refused,
        "rate_per_min": row.rate_per_min,
        "rate_quality": row.rate_quality or None,
        "duration_s": row.duration_s,
        **{label: row.events.get(label) for label in labels},
        "quality": "; ".join(row.quality) or None,
        "error": row.error,
        "uncertain_events": None if row.error else sum(row.uncertain_events.values()),
        "not_analysed_s": None if row.error else row.not_analysed_s,
        "heard_as": row.heard_as,
    }


def _prediction_cells(row: Summary) -> list[str]:
    values = summary_values(row, ())
    return [_cell(values[name], SUMMARY_DIGITS.get(name, PROBABILITY_DIGITS)) for name in PREDICTION]


def _cell(value: Any, digits: int) -> str:
    """Return a value as CSV has it."""
    if isinstance(value, bool):
        return _flag(value)
    if isinstance(value, float):
        return _decimal(value, digits)
    return "" if value is None else str(value)


def _decimal(value: float | None, digits: int = PROBABILITY_DIGITS) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _flag(value: bool) -> str:
    return "true" if value else "false"


# --- label files --------------------------------------------------------------------------------------------


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

    ``record_annotation`` is left out where there is no prediction, as in some files of SPRSound. LaennecError
    if an event's label is none of SPRSound's seven.
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
