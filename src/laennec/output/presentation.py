"""What console, picture and page show alike: phrases, colours and lanes of labels, steps of an axis."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from laennec.analyze.analysis import Analysis, Event, RecordingPrediction, RefusedPart, RespiratoryRate
from laennec.analyze.breath_words import timing_in_words
from laennec.labels import NORMAL, PAUSE, PHASES, SPRSOUND_RECORDS

# Okabe & Ito's colours, told apart by people of every colour vision; normal breathing is grey.
COLOURS = ("#E69F00", "#0072B2", "#D55E00", "#56B4E9", "#009E73", "#CC79A7", "#8C6D31", "#F0E442")
NORMAL_COLOUR = "#9A9A9A"
UNKNOWN_COLOUR = "#DDDDDD"  # of an annotation that is none of the model's labels
MEANINGS = {  # of the record labels that are no words
    "CAS": "continuous sounds: wheeze, rhonchus, stridor",
    "DAS": "discontinuous sounds: crackles",
    "CAS & DAS": "wheeze, rhonchus or stridor, and crackles",
}
NUMERIC = ("from s", "to s", "duration s", "probability", "presence")  # columns of numbers


# --- labels -------------------------------------------------------------------------------------------------


def label_colours(labels: Sequence[str], normal: str) -> dict[str, str]:
    """Return one colour a label, by its place among the labels; grey for the normal one."""
    others = [label for label in labels if label != normal]
    return {normal: NORMAL_COLOUR} | {label: COLOURS[k % len(COLOURS)] for k, label in enumerate(others)}


def analysis_colours(analysis: Analysis) -> dict[str, str]:
    """Return the colour of each label of a model, and of whatever else its events are called."""
    annotated = {event.annotated: UNKNOWN_COLOUR for event in analysis.events if event.annotated}
    named = {event.label: NORMAL_COLOUR for event in analysis.events}
    colours = label_colours(analysis.labels, analysis.normal)
    return colours | {label: colour for label, colour in (annotated | named).items() if label not in colours}


def record_colours(events: Sequence[str], normal: str) -> dict[str, str]:
    """Return the colours of SPRSound's record labels: that of an event of the family."""
    colours = label_colours(events, normal)
    stands_for = {NORMAL: normal, "CAS": "Wheeze", "DAS": "Fine Crackle", "CAS & DAS": "Wheeze+Crackle"}
    return {label: colours.get(stands_for.get(label, ""), UNKNOWN_COLOUR) for label in SPRSOUND_RECORDS}


def phase_colours() -> dict[str, str]:
    """Return the colour of each phase of a breath: those of a reader's phases, and grey for the pause."""
    colours = label_colours(PHASES, NORMAL)
    return {phase: colours[phase] for phase in PHASES} | {PAUSE: UNKNOWN_COLOUR}


def readable_on(colour: str) -> str:
    """Return black or white, whichever stands out more on a colour (WCAG 2.1, contrast ratio)."""
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "white"


def short_label(label: str) -> str:
    """Return the capitals of a label's words: ``Fine Crackle`` is FC, ``Wheeze+Crackle`` is W+C."""
    return "+".join("".join(word[0].upper() for word in part.split()) for part in label.split("+"))


def legend_label(label: str) -> str:
    """Return a label with its capitals: ``Fine Crackle (FC)``."""
    short = short_label(label)
    return label if short == label else f"{label} ({short})"


class Strip(NamedTuple):
    """One row of labels above a picture: one label (or none) and lane, from 0, for each event."""

    name: str  # model or annotated
    labels: list[str]
    lanes: list[int]
    lane_count: int


def strips(events: Sequence[Event]) -> list[Strip]:
    """Return what the model says and, where there is any, what was annotated, in the same lanes."""
    lanes, count = assign_lanes(events)
    predicted = [event.label for event in events]
    annotated = [event.annotated or "" for event in events]
    rows = {"model": predicted} | ({"annotated": annotated} if any(annotated) else {})
    return [Strip(name, labels, lanes, count) for name, labels in rows.items()]


def assign_lanes(events: Sequence[Event]) -> tuple[list[int], int]:
    """Return each event's lane, so that events do not overlap on paper, and the number of lanes."""
    ends_s: list[float] = []
    lanes = []
    for event in events:
        lane = next((k for k, end_s in enumerate(ends_s) if end_s <= event.start_s + 1e-6), len(ends_s))
        ends_s[lane : lane + 1] = [event.end_s]
        lanes.append(lane)
    return lanes, max(1, len(ends_s))


def tick_step(length: float, most: int, least: float = 1e-3) -> float:
    """Return the finest step of 1, 2 or 5 times a power of ten that an axis has at most so many of.

    It is `least` where it would be finer.
    """
    power = 10.0 ** math.floor(math.log10(max(length / most, least)) + 1e-9)
    return next((step * power for step in (1, 2, 5) if length <= most * step * power), 10 * power)


# --- phrases ------------------------------------------------------------------------------------------------


def answer(record: RecordingPrediction) -> str:
    """Return the label of a whole recording and its probability, or why there is none, in one line."""
    if record.label is None or record.refused is not None:
        return f"no answer: {record.refused or 'refused'}; {next_step(record)}"
    meaning = f" ({MEANINGS[record.label]})" if record.label in MEANINGS else ""
    sure = "" if record.probability is None else f", probability {record.probability:.2f}"
    return f"{record.label}{meaning}{sure}{', uncertain' if record.uncertain else ''}"


def uncertain_among(events: Iterable[Event]) -> str:
    """Return how many events are uncertain, to follow their count; empty where none is."""
    count = sum(event.uncertain for event in events)
    return f", {count} uncertain" if count else ""


def next_step(record: RecordingPrediction) -> str:
    """Return what to do where an answer was refused."""
    if record.heard_as:
        return f"if it is a lung after all, {ANY_SOUND}"
    return "check the recording, and record it again if need be"


def rate_in_words(rate: RespiratoryRate) -> str:
    """Return the respiratory rate with its quality and the reason, in one line; no doubtful number."""
    return f"respiratory rate: {rate_value(rate)} ({rate.reason})"


def rate_value(rate: RespiratoryRate) -> str:
    """Return the breaths a minute where they are good, else what they are."""
    if rate.per_min is None:
        return "not found"
    return f"{rate.per_min:.0f} breaths a minute, good" if rate.quality == "good" else rate.quality


def patient(analysis: Analysis) -> dict[str, str]:
    """Return age, sex and position as they are known; empty where they are not."""
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
    known = ", ".join(filter(None, patient(analysis).values())) or "age, sex and position not given"
    return (
        f"{analysis.duration_s:.1f} s, {analysis.sample_rate} Hz{channels}; {known}; {boundaries(analysis)}; "
        f"model {analysis.model_name} ({analysis.model_sha256[:8]})"
        + (f", calibrated by {calibrated_by(analysis)}" if analysis.calibration else "")
    )


def calibrated_by(analysis: Analysis) -> str:
    """Return the calibration that was used, of how many patients and when; empty without one."""
    own = analysis.calibration
    return f"{own.name} ({own.patients} patients, {own.date})" if own else ""


ANY_SOUND = "--any-sound analyses it all the same"
SHOWN_PARTS = 20  # of those that were refused for one reason
_CHANNEL = re.compile(r"\bchannel (\d+)")


def notes(analysis: Analysis) -> list[str]:
    """Return what was not analysed, and whatever else bears on a result.

    A channel that was refused as a whole is not named: its answer says so.
    """
    whole = {record.channel for record in analysis.channel_records if record.refused}
    refused = [
        part
        for part in analysis.refused_parts
        if part.channel not in whole or part.start_s > 0 or part.end_s < analysis.duration_s - 0.01
    ]
    return [*refusals(refused, analysis.channels), *brief(analysis.notes)]


def refusals(parts: Sequence[RefusedPart], channels: int) -> list[str]:
    """Return a line for each reason why parts of a recording were refused, with what to do."""
    spans: dict[tuple[int, str, bool], list[str]] = {}
    for part in parts:
        told = spans.setdefault((part.channel, part.refused, bool(part.heard_as)), [])
        told.append(f"{part.start_s:.1f} to {part.end_s:.1f}")
    alike: dict[tuple[str, str, bool], list[int]] = {}
    for (channel, refused, other_sound), told in spans.items():
        more = len(told) - SHOWN_PARTS
        when = f"{', '.join(told[:SHOWN_PARTS])} s{f' and {more} further parts' if more > 0 else ''}"
        alike.setdefault((when, refused, other_sound), []).append(channel)
    return [
        f"not analysed: {when}{f' of {_channels(numbers)}' if channels > 1 else ''} ({refused})"
        f"{f'; {ANY_SOUND}' if other_sound else ''}"
        for (when, refused, other_sound), numbers in alike.items()
    ]


def brief(lines: Sequence[str]) -> list[str]:
    """Return notes with those joined that differ in the number of their channel alone."""
    channels: dict[str, list[int]] = {}
    for line in lines:
        number = _CHANNEL.search(line)
        alike = channels.setdefault(_CHANNEL.sub("channel #", line, count=1), [])
        alike.append(int(number[1]) if number else 0)
    return [_of_channels(line, numbers) for line, numbers in channels.items()]


def _of_channels(line: str, numbers: Sequence[int]) -> str:
    """Return a line that is true of several channels, whose number it has as ``channel #``."""
    if len(numbers) > 1:
        line = re.sub(r"channel # is\b", "channel # are", line).replace(" and was not", " and were not")
    return line.replace("channel #", _channels(numbers), 1)


def _channels(numbers: Sequence[int]) -> str:
    runs: list[list[int]] = []
    for number in numbers:
        runs = (
            [*runs[:-1], [runs[-1][0], number]] if runs and runs[-1][-1] == number - 1 else [*runs, [number]]
        )
    listed = ", ".join(" to ".join(map(str, run)) for run in runs)
    return f"channel{'s' if len(numbers) > 1 else ''} {listed}"


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
        "in the breath": [timing_in_words(event.timing) if event.timing else "" for event in events],
        "uncertain": ["uncertain" if event.uncertain else "" for event in events],
    }
    sometimes = ("channel", "presence", "annotated", "in the breath", "uncertain")
    return {name: cells for name, cells in columns.items() if name not in sometimes or any(cells)}


def _runner_up(event: Event) -> str:
    others = [(value, label) for label, value in event.probabilities.items() if label != event.label]
    value, label = max(others, default=(0.0, ""))
    return f"{label} {value:.2f}" if value >= 0.005 else ""
