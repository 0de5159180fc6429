"""Formats of label files: what each can hold, and labels written in one.

Nothing is dropped in silence: what a format has no place for is named in a sentence.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from laennec.annotations import (
    audacity,
    birdnet,
    elan,
    hf_lung,
    icbhi,
    label_studio,
    raven,
    rttm,
    sprsound,
    table,
    textgrid,
)
from laennec.annotations.events import Boundary, LabelFile
from laennec.audio.samples import by_number, counted
from laennec.errors import LaennecError
from laennec.labels import SPRSOUND_EVENTS, spelling, to_icbhi

CHANNELS, RECORD, BANDS, PROBABILITIES = "channels", "the recording's label", "frequencies", "probabilities"
TOP_HZ = 4000.0  # of a recording whose rate is not known
COLUMNS = ("recording", "channel", "start_s", "end_s", "label", "low_hz", "high_hz", "probability")


@dataclass(frozen=True)
class About:
    """What a format may say of the recording: its name, and duration and rate where they are known."""

    recording: str = "recording"
    duration_s: float | None = None
    sample_rate: int | None = None


@dataclass(frozen=True)
class Format:
    """A format of label files.

    `holds` are those of `CHANNELS`, `RECORD`, `BANDS` and `PROBABILITIES` that it has a place for. `word` is
    a label as it is read back, None where the format has no place for it. `write` takes labels that it holds.
    `ending` stands between a recording's name and the suffix.
    """

    name: str
    title: str
    suffix: str
    holds: frozenset[str]
    word: Callable[[str], str | None]
    write: Callable[[LabelFile, About], str]
    ending: str = ""

    def file_name(self, name: str) -> str:
        """Return what a file of this name, such as the recording's, is called in this format."""
        return f"{PurePath(name).stem.removesuffix(self.ending)}{self.ending}{self.suffix}"


@dataclass(frozen=True)
class Written:
    """A label file, and what is not in it, in sentences."""

    text: str
    not_held: tuple[str, ...]


def write_labels(labels: LabelFile, form: Format, about: About = About()) -> Written:
    """Write labels in a format.

    Parameters
    ----------
    labels
        Events in any order; those without a label are no events for a label file and are named as left out.
    form
        One of `FORMATS`.
    about
        The recording.

    Returns
    -------
    Written
        The file's text, and a sentence for each thing that it cannot hold.
    """
    named = [event for event in labels.events if event.annotated]
    held = [event for event in named if form.word(str(event.annotated)) is not None]
    kept = replace(labels, events=tuple(map(_within(form), held)), record=_record(labels, form))
    return Written(form.write(kept, about), tuple(_not_held(labels, form)))


def _within(form: Format) -> Callable[[Boundary], Boundary]:
    """Return a function that leaves out of an event what a format has no place for."""
    without: dict[str, Any] = {
        **({} if CHANNELS in form.holds else {"channel": None}),
        **({} if BANDS in form.holds else {"low_hz": None, "high_hz": None}),
        **({} if PROBABILITIES in form.holds else {"probability": None}),
    }
    return lambda event: replace(event, **without)


def _record(labels: LabelFile, form: Format) -> str | None:
    return labels.record if RECORD in form.holds else None


def _not_held(labels: LabelFile, form: Format) -> Iterator[str]:
    unnamed = sum(not event.annotated for event in labels.events)
    if unnamed:
        are = by_number(unnamed, "is", "are")
        yield f"{counted(unnamed, 'event', '')} without a label {are} not in the file"
    named = [event for event in labels.events if event.annotated]
    words = {label: form.word(label) for label in {str(event.annotated) for event in named}}
    counts = Counter(str(event.annotated) for event in named)
    for label in sorted(label for label, word in words.items() if word is None):
        are = by_number(counts[label], "is", "are")
        what = f"{counted(counts[label], 'event', '')} labelled {label} {are} not in the file"
        yield f"{what}: {form.title} has no place for that"
    for label, word in sorted(words.items()):
        if word is not None and word != label:
            become = by_number(counts[label], "becomes", "become")
            yield f"{counted(counts[label], 'event', '')} labelled {label} {become} {word} in {form.title}"
    held = [event for event in named if words[str(event.annotated)] is not None]
    channels = {event.channel for event in held}
    if CHANNELS not in form.holds and len(channels) > 1:
        yield f"events of {len(channels)} channels are not told apart: {form.title} has no channels"
    elif CHANNELS not in form.holds and any(event.channel for event in held):
        yield f"the events' channel is not in the file: {form.title} has no channels"
    if BANDS not in form.holds and any(event.low_hz is not None for event in held):
        yield f"the events' frequencies are not in the file: {form.title} has none"
    if PROBABILITIES not in form.holds and any(event.probability is not None for event in held):
        yield f"the labels' probabilities are not in the file: {form.title} has none"
    if labels.unread:
        number = len(labels.unread)
        columns = f"{by_number(number, 'column', 'columns')} {', '.join(labels.unread)}"
        yield f"the {columns} {by_number(number, 'is', 'are')} not in the file"
    if RECORD not in form.holds and labels.record is not None:
        yield f"the recording's label {labels.record} is not in the file: {form.title} has none"


# --- the formats --------------------------------------------------------------------------------------------


def _spans(labels: LabelFile) -> list[tuple[float, float, str]]:
    return [(event.start_s, event.end_s, str(event.annotated)) for event in labels.events]


def _bands(labels: LabelFile) -> list[tuple[float, float] | None]:
    return [
        None if event.low_hz is None or event.high_hz is None else (event.low_hz, event.high_hz)
        for event in labels.events
    ]


def _sprsound(labels: LabelFile, _: About) -> str:
    return json.dumps(sprsound.write(_spans(labels), labels.record), indent=2, ensure_ascii=False) + "\n"


def _raven(labels: LabelFile, about: About) -> str:
    rows = ((e.channel or 0, e.start_s, e.end_s, str(e.annotated)) for e in labels.events)
    top_hz = about.sample_rate / 2 if about.sample_rate else TOP_HZ
    return raven.write(rows, top_hz, _bands(labels))


def _table(labels: LabelFile, about: About) -> str:
    def cell(value: float | None, digits: int = 6) -> str:
        return "" if value is None else f"{value:.{digits}f}"

    rows: list[Sequence[object]] = [
        [
            *(about.recording, "" if event.channel is None else event.channel),
            *(cell(event.start_s), cell(event.end_s), event.annotated or ""),
            *(cell(event.low_hz), cell(event.high_hz), cell(event.probability)),
        ]
        for event in labels.events
    ]
    return table.write(COLUMNS, rows)


def _any(label: str) -> str | None:
    return spelling(label, SPRSOUND_EVENTS) or " ".join(label.split())


def _spelt(label: str) -> str | None:
    return spelling(label, SPRSOUND_EVENTS)


def _of_cycle(label: str) -> str | None:
    known = to_icbhi(label)
    return None if known is None else icbhi.LABEL_OF_CYCLE[known]


def _of_hf_lung(label: str) -> str | None:
    code = hf_lung.code_of(label)
    return None if code is None else hf_lung.LABELS[code]


def _without_underscores(label: str) -> str | None:
    return _any(label.replace("_", " "))


FORMATS = {
    each.name: each
    for each in (
        Format(
            "audacity",
            "Audacity",
            ".txt",
            frozenset({BANDS}),
            _any,
            lambda labels, _: audacity.write(_spans(labels), _bands(labels)),
        ),
        Format("raven", "Raven", ".txt", frozenset({CHANNELS, BANDS}), _any, _raven),
        Format(
            "textgrid",
            "Praat",
            ".TextGrid",
            frozenset({CHANNELS}),
            _any,
            lambda labels, about: textgrid.write(labels.events, about.duration_s),
        ),
        Format(
            "elan",
            "ELAN",
            ".eaf",
            frozenset({CHANNELS}),
            _any,
            lambda labels, about: elan.write(labels.events, about.recording),
        ),
        Format(
            "rttm",
            "RTTM",
            ".rttm",
            frozenset({CHANNELS, PROBABILITIES}),
            _without_underscores,
            lambda labels, about: rttm.write(labels.events, about.recording),
        ),
        Format(
            "label-studio",
            "Label Studio",
            ".json",
            frozenset({CHANNELS, PROBABILITIES}),
            _any,
            lambda labels, about: label_studio.write(labels.events, about.recording, about.duration_s),
        ),
        Format(
            "birdnet",
            "BirdNET",
            ".csv",
            frozenset({PROBABILITIES}),
            _any,
            lambda labels, _: birdnet.write(labels.events),
        ),
        Format("csv", "CSV", ".csv", frozenset({CHANNELS, BANDS, PROBABILITIES}), _any, _table),
        Format("sprsound", "SPRSound", ".json", frozenset({RECORD}), _spelt, _sprsound),
        Format(
            "icbhi",
            "ICBHI 2017",
            ".txt",
            frozenset(),
            _of_cycle,
            lambda labels, _: icbhi.write(_spans(labels)),
        ),
        Format(
            "hf-lung",
            "HF_Lung",
            ".txt",
            frozenset(),
            _of_hf_lung,
            lambda labels, _: hf_lung.write(_spans(labels)),
            hf_lung.ENDING,
        ),
    )
}


def format_of(name: str) -> Format:
    """Return a format by its name; LaennecError where there is none."""
    if name not in FORMATS:
        raise LaennecError(f"format is {name!r}; expected one of {', '.join(FORMATS)}")
    return FORMATS[name]
