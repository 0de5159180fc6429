"""What networks predicted of whole recordings, beside what is annotated: kept per fold, written as tables.

``outputs.npz`` has the frame logits, from which events are decoded again by any rule; ``predictions.csv``
(record labels) and ``events.csv`` (annotated and decoded events) are what scores are computed from.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from laennec.analyze.decode import emission_scores, families, find_events
from laennec.files import written_whole
from laennec.model.card import EventRule
from laennec.model.probability import calibrated
from laennec.score.events import Span
from laennec.score.events_table import Detection, write_events
from laennec.score.predictions import Predictions, write_predictions

FloatSpan = tuple[float, float]


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

    def named(self, spans: Sequence[FloatSpan], labels: Sequence[str]) -> list[Span]:
        """Decoded events with their likeliest classes."""
        return [(a, b, labels[int(self.event_logits(a, b).argmax())]) for a, b in spans]

    def event_certainty(
        self, spans: Sequence[FloatSpan], temperature: float = 1.0, bias: Sequence[float] = ()
    ) -> list[float]:
        """Calibrated probability of the likeliest class of each event."""
        return [float(calibrated(self.event_logits(a, b), temperature, bias).max()) for a, b in spans]


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
        )
        for example, own in zip(examples, predictions, strict=True)
    ]


def save_outputs(path: Path, recordings: Sequence[RecordingOutput]) -> None:
    """Write the outputs of a fold; `load_outputs` reads them."""
    with written_whole(path) as temporary:
        np.savez_compressed(
            temporary,
            frame_s=np.array([own.frame_s for own in recordings]),
            name=np.array([own.name for own in recordings]),
            subject=np.array([own.subject for own in recordings]),
            record=np.array([own.record for own in recordings]),
            placed=np.array([own.placed for own in recordings]),
            frames=np.array([own.presence.shape[1] for own in recordings]),
            presence=np.concatenate([own.presence for own in recordings], axis=1).astype(np.float32),
            classes=np.concatenate([own.classes for own in recordings], axis=1).astype(np.float32),
            record_logits=np.stack([own.record_logits for own in recordings]),
            kind_logits=np.stack([own.kind_logits for own in recordings]),
            events=np.array([len(own.spans) for own in recordings]),
            spans=np.concatenate([own.spans for own in recordings]),
            labels=np.concatenate([own.labels for own in recordings]),
        )


def load_outputs(folders: Iterable[Path]) -> list[RecordingOutput]:
    """All recordings of a seed's folds."""
    recordings = []
    for folder in folders:
        with np.load(folder / "outputs.npz") as file:
            held = {name: file[name] for name in file.files}
        frame = np.concatenate([[0], np.cumsum(held["frames"])])
        event = np.concatenate([[0], np.cumsum(held["events"])])
        for row in range(len(held["name"])):
            frames, events = slice(frame[row], frame[row + 1]), slice(event[row], event[row + 1])
            recordings.append(
                RecordingOutput(
                    str(held["name"][row]),
                    str(held["subject"][row]),
                    folder.name,
                    int(held["record"][row]),
                    bool(held["placed"][row]),
                    held["spans"][events],
                    held["labels"][events],
                    held["presence"][:, frames],
                    held["classes"][:, frames],
                    held["record_logits"][row],
                    held["kind_logits"][row],
                    float(held["frame_s"][row]),
                )
            )
    return recordings


def write_tables(
    folder: Path,
    recordings: Sequence[RecordingOutput],
    record_probabilities: NDArray[np.float64],
    events: Sequence[Sequence[Span]],
    event_probabilities: Sequence[Sequence[float]],
    records: Sequence[str],
    labels: Sequence[str],
) -> None:
    """Write ``predictions.csv`` of the recordings with a record label, and ``events.csv`` of all."""
    known = [row for row, own in enumerate(recordings) if own.record >= 0]
    if known:
        write_predictions(
            folder / "predictions.csv",
            Predictions(
                tuple(recordings[row].name for row in known),
                tuple(recordings[row].subject for row in known),
                tuple(records[recordings[row].record] for row in known),
                tuple(records),
                record_probabilities[known],
            ),
        )
    write_events(
        folder / "events.csv",
        [
            Detection(own.name, own.subject, tuple(own.annotated(labels)), tuple(found), tuple(sure))
            for own, found, sure in zip(recordings, events, event_probabilities, strict=True)
        ],
    )
