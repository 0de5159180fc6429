"""What networks predicted of whole recordings, beside what is annotated: kept per fold, written as tables.

``outputs.npz`` has the frame logits, from which events are decoded again by any rule; ``predictions.csv``
(record labels) and ``events.csv`` (annotated and decoded events) are what scores are computed from.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from laennec.analyze.events import emission_scores, families, find_events
from laennec.files import written_whole
from laennec.model.card import EventRule
from laennec.model.probability import calibrated
from laennec.score.events import Span
from laennec.score.events_table import Detection, write_events
from laennec.score.predictions import Predictions, write_predictions

FloatSpan = tuple[float, float]
Scaling = tuple[float, Sequence[float]]
"""Temperature and bias of logits."""

# Fields of an output in outputs.npz: one value each, one row of logits each, and rows or columns of several.
SCALARS = ("name", "subject", "record", "placed", "frame_s")
# Whence a recording is. Outputs that were written without them have the defaults.
SOURCES = ("dataset", "device", "position", "age_years", "kind", "duration_s")
LOGITS = ("record_logits", "kind_logits")
OF_FRAMES = ("presence", "classes")
OF_EVENTS = ("spans", "labels")


@dataclass(frozen=True)
class RecordingOutput:
    """What is annotated of a recording, and what a network that was not trained on its patient predicted."""

    name: str
    subject: str
    fold: str
    record: int
    """Index of the record label, or -1."""
    placed: bool
    """Whether its events are annotated."""
    spans: NDArray[Any]
    """``(events, 2)`` seconds."""
    labels: NDArray[Any]
    """``(events,)`` class indices."""
    presence: NDArray[Any]
    """``(3, frames)`` logits of presence, onset and offset."""
    classes: NDArray[Any]
    """``(classes, frames)`` logits."""
    record_logits: NDArray[Any]
    kind_logits: NDArray[Any]
    frame_s: float
    dataset: str = ""
    device: str = ""
    position: str = ""
    age_years: float = math.nan
    kind: int = 0
    """Index into `laennec.labels.SOUND_KINDS`."""
    duration_s: float = math.nan
    """Of the whole recording; that of the frames where it is not told."""
    split: str = ""
    """What it was held out of, of several protocols together; not written."""

    def __post_init__(self) -> None:
        if math.isnan(self.duration_s):
            object.__setattr__(self, "duration_s", self.presence.shape[1] * self.frame_s)

    def annotated(self, labels: Sequence[str]) -> list[Span]:
        """Annotated events."""
        return [
            (float(start_s), float(end_s), labels[label])
            for (start_s, end_s), label in zip(self.spans, self.labels, strict=True)
        ]

    def decoded(self, rule: EventRule, labels: Sequence[str]) -> list[FloatSpan]:
        """Start and end of the events that a rule finds, in seconds."""
        scores = emission_scores(self.presence, self.classes, families(labels), rule)
        events, _ = find_events(scores, self.presence, rule, self.frame_s)
        return [(first * self.frame_s, last * self.frame_s) for first, last in events]

    def event_logits(self, start_s: float, end_s: float) -> NDArray[Any]:
        """Mean class logits between two times, ``(classes,)``."""
        frames = self.presence.shape[1]
        first = min(round(start_s / self.frame_s), frames - 1)
        last = min(max(first + 1, round(end_s / self.frame_s)), frames)
        return np.asarray(self.classes[:, first:last].mean(1))

    def detection(self, spans: Sequence[FloatSpan], labels: Sequence[str], scaling: Scaling) -> Detection:
        """Annotated and decoded events, these with the likeliest class and its calibrated probability."""
        classes = [calibrated(self.event_logits(*span), *scaling) for span in spans]
        return Detection(
            self.name,
            self.subject,
            tuple(self.annotated(labels)),
            tuple((a, b, labels[int(own.argmax())]) for (a, b), own in zip(spans, classes, strict=True)),
            tuple(float(own.max()) for own in classes),
        )


def outputs_of(
    examples: Sequence[Any], predictions: Sequence[Mapping[str, Tensor]], fold: str
) -> list[RecordingOutput]:
    """Annotations (of `laennec.train.recordings.Example`) and predictions, one recording at a time."""
    return [
        RecordingOutput(
            example.name,
            example.subject,
            fold,
            example.record,
            example.placed,
            example.spans,
            example.classes.argmax(1),
            own["presence"][0].numpy(),
            own["classes"][0].numpy(),
            own["record"][0].numpy(),
            own["kind"][0].numpy(),
            float(own["frame_s"]),
            **{name: getattr(example, name) for name in SOURCES[:-1]},
        )
        for example, own in zip(examples, predictions, strict=True)
    ]


def save_outputs(path: Path, recordings: Sequence[RecordingOutput]) -> None:
    """Write the outputs of a fold; `load_outputs` reads them."""

    def each(name: str) -> list[Any]:
        return [getattr(own, name) for own in recordings]

    held: dict[str, Any] = {
        "frames": np.array([own.presence.shape[1] for own in recordings]),
        "events": np.array([len(own.spans) for own in recordings]),
        **{name: np.array(each(name)) for name in (*SCALARS, *LOGITS, *SOURCES)},
        **{name: np.concatenate(each(name), axis=1).astype(np.float32) for name in OF_FRAMES},
        **{name: np.concatenate(each(name)) for name in OF_EVENTS},
    }
    with written_whole(path) as temporary:
        np.savez_compressed(temporary, **held)


def load_outputs(folders: Iterable[Path], splits: Mapping[str, str] = {}) -> list[RecordingOutput]:
    """All recordings of a seed's folds, with the split that each folder's fold is of."""
    recordings = []
    for folder in folders:
        with np.load(folder / "outputs.npz") as file:
            held = dict(file)
        frames, events = (np.cumsum(held[name])[:-1] for name in ("frames", "events"))
        columns: dict[str, Any] = {
            **{name: held[name].tolist() for name in (*SCALARS, *SOURCES) if name in held},
            **{name: held[name] for name in LOGITS},
            **{name: np.split(held[name], frames, axis=1) for name in OF_FRAMES},
            **{name: np.split(held[name], events) for name in OF_EVENTS},
        }
        recordings += [
            RecordingOutput(
                fold=folder.name, split=splits.get(folder.name, ""), **dict(zip(columns, values, strict=True))
            )
            for values in zip(*columns.values(), strict=True)
        ]
    return recordings


def write_tables(
    folder: Path,
    recordings: Sequence[RecordingOutput],
    record_probabilities: NDArray[np.float64],
    records: Sequence[str],
    detections: Sequence[Detection],
) -> None:
    """Write ``predictions.csv`` of the recordings with a record label, and ``events.csv`` of all.

    The probabilities are ``(recordings, records)``.
    """
    known = [own.record >= 0 for own in recordings]
    of_known = [own for own in recordings if own.record >= 0]
    if of_known:
        write_predictions(
            folder / "predictions.csv",
            Predictions(
                tuple(own.name for own in of_known),
                tuple(own.subject for own in of_known),
                tuple(records[own.record] for own in of_known),
                tuple(records),
                record_probabilities[known],
            ),
        )
    write_events(folder / "events.csv", detections)
