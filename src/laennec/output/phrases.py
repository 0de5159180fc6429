"""Phrases about a result: the same on the console, in pictures and on pages."""

from collections.abc import Sequence

from laennec.analyze.analysis import Analysis, Event, RecordAnswer, RespiratoryRate

MEANINGS = {  # of the record labels that are no words
    "CAS": "continuous sounds: wheeze, rhonchus, stridor",
    "DAS": "discontinuous sounds: crackles",
    "CAS & DAS": "wheeze, rhonchus or stridor, and crackles",
}
NUMERIC = ("from s", "to s", "duration s", "probability", "presence")  # columns of numbers


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 event``, ``2 events``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def no_answer(record: RecordAnswer) -> str | None:
    """Return why there is no answer for a whole recording; None where there is one."""
    return (record.refused or "refused") if record.refused is not None or record.label is None else None


def answer(record: RecordAnswer) -> str:
    """Return the label of a whole recording and its probability, or why there is none, in one line."""
    refused = no_answer(record)
    if refused is not None or record.label is None:
        return f"no answer: {refused}"
    meaning = f" ({MEANINGS[record.label]})" if record.label in MEANINGS else ""
    sure = "" if record.probability is None else f", probability {record.probability:.2f}"
    return f"{record.label}{meaning}{sure}{', uncertain' if record.uncertain else ''}"


def rate_in_words(rate: RespiratoryRate) -> str:
    """Return the respiratory rate with its quality and the reason, in one line."""
    value = "not found" if rate.per_min is None else f"{rate.per_min:.0f} breaths a minute, {rate.quality}"
    return f"respiratory rate: {value} ({rate.reason})"


def patient(analysis: Analysis) -> dict[str, str]:
    """Return age, sex and position as given to the model; empty where not known."""
    age = "" if analysis.age_years is None else f"{analysis.age_years:g} years"
    return {"Age": age, "Sex": analysis.sex or "", "Position": analysis.position or ""}


def boundaries(analysis: Analysis) -> str:
    """Return where the boundaries of the events come from."""
    sources = {"given": "events as given", "detected": "events found by the model"}
    windows = f"windows of {analysis.window_s or 0:g} s every {analysis.hop_s or 0:g} s"
    return sources.get(analysis.segmentation, windows)


def facts(analysis: Analysis) -> str:
    """Return length, rate, patient, source of the events and model in one line."""
    channels = f", {analysis.channels} channels" if analysis.channels > 1 else ""
    known = ", ".join(filter(None, patient(analysis).values())) or "age, sex and position not known"
    return (
        f"{analysis.duration_s:.1f} s, {analysis.sample_rate} Hz{channels}; {known}; {boundaries(analysis)}; "
        f"model {analysis.model_name} ({analysis.model_sha256[:8]})"
    )


def event_columns(events: Sequence[Event], channels: int) -> dict[str, list[str]]:
    """Return a table of events, column by column, without those that only some recordings need."""
    columns = {
        "channel": [str(event.channel) for event in events if channels > 1],
        "from s": [f"{event.start_s:.2f}" for event in events],
        "to s": [f"{event.end_s:.2f}" for event in events],
        "duration s": [f"{event.end_s - event.start_s:.2f}" for event in events],
        "label": [event.label for event in events],
        "probability": [f"{event.probability:.2f}" for event in events],
        "next likeliest": [_runner_up(event) for event in events],
        "presence": ["" if event.presence is None else f"{event.presence:.2f}" for event in events],
        "annotated": [event.annotated or "" for event in events],
        "uncertain": ["uncertain" if event.uncertain else "" for event in events],
    }
    sometimes = ("channel", "presence", "annotated", "uncertain")
    return {name: cells for name, cells in columns.items() if name not in sometimes or any(cells)}


def _runner_up(event: Event) -> str:
    others = [(value, label) for label, value in event.probabilities.items() if label != event.label]
    value, label = max(others, default=(0.0, ""))
    return f"{label} {value:.2f}" if value >= 0.005 else ""
