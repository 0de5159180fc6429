"""Labelled recordings, heard once: what the head of a model is given in every frame, and in every event."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from laennec.analyze import DetectionSettings, detect, listen
from laennec.analyze.events import place
from laennec.analyze.inputs import Remarks, channels_of, on_channel
from laennec.analyze.recording import Channel
from laennec.annotations import Boundary
from laennec.audio.quality import Finding
from laennec.audio.recording import Recording
from laennec.errors import LaennecError
from laennec.files import printable
from laennec.labels import NORMAL
from laennec.model.card import RecordingCard
from laennec.model.detector import Frames
from laennec.patient import Patient
from laennec.progress import Watch, track
from laennec.train.head import Floats, Head, Listener, pooled
from laennec.train.head_fit import Items, allowed, shared
from laennec.train.local_curve import Heard

LONGEST_S = 24 * 3600.0  # of all together: 50 MB an hour are held


@dataclass(frozen=True)
class Labelled:
    """A recording whose events are labelled.

    `complete` tells whether all of its events are, so that what is found besides is wrong.
    """

    path: Path
    patient: str
    events: Sequence[Boundary]
    complete: bool = True


@dataclass(frozen=True, eq=False)
class Ear:
    """A channel as a `Listener` hears it, and its labelled events: features ``(features,)``, and label."""

    number: int
    frames: Frames
    events: Sequence[tuple[Floats, str]]


@dataclass(frozen=True, eq=False)
class Listened:
    """A labelled recording, and what was heard in it."""

    labelled: Labelled
    ears: Sequence[Ear]
    quality: Sequence[Finding]
    silent_range: float
    duration_s: float

    @property
    def patient(self) -> str:
        """Whose it is."""
        return self.labelled.patient

    @property
    def sick(self) -> bool:
        """Whether any of its events is adventitious."""
        return any(label.lower() != NORMAL.lower() for ear in self.ears for _, label in ear.events)

    def answered(self, head: Head, card: RecordingCard) -> Heard:
        """What a model with this head and card finds in it."""
        channels: list[Channel] = []
        for ear in self.ears:
            frames = iter([(head.on(ear.frames),)])
            settings = DetectionSettings([ear.number], card, maps=False, silent_range=self.silent_range)
            channels += detect(frames, settings)
        return Heard(self.patient, self.sick, channels, tuple(self.quality))


def heard(sources: Sequence[Labelled], listener: Listener, watch: Watch = track) -> Iterator[Listened]:
    """What is heard in each recording; one that cannot be analysed is told of on stderr.

    LaennecError if all together they last longer than a day.
    """
    total_s = 0.0
    for source in watch(sources, "listening"):
        try:
            recording = Recording.open(source.path)
            total_s += recording.duration_s
            if total_s > LONGEST_S:
                raise TooLongError(
                    f"the recordings last more than {LONGEST_S / 3600:g} hours; name fewer of them"
                )
            ears = list(_ears(recording, source, listener))
        except TooLongError:
            raise
        except LaennecError as error:
            print(printable(f"left out: {error}"), file=sys.stderr)
            continue
        if any(ear.events for ear in ears):
            yield Listened(
                source, ears, tuple(recording.warnings), recording.silent_range, recording.duration_s
            )


class TooLongError(LaennecError):
    """More than can be held."""


def _ears(recording: Recording, source: Labelled, listener: Listener) -> Iterator[Ear]:
    numbers = channels_of(recording, listener.card, Patient(), Remarks(), given=True)
    if not numbers:
        return
    inside = [
        event
        for event in sorted(source.events, key=lambda event: event.start_s)
        if event.start_s < recording.duration_s and event.end_s > 0
    ]
    whole: list[Frames | None] = [None] * len(numbers)
    for chunk in listen(recording, numbers, listener):
        whole = [more.after(held) for more, held in zip(chunk, whole, strict=True)]
    for number, frames in zip(numbers, whole, strict=True):
        if frames is None:
            continue
        events = []
        for held, spans in place(iter([frames]), on_channel(inside, number), listener.card):
            events += [(pooled(held.cut(span.first, span.end)), str(span.annotated)) for span in spans]
        yield Ear(number, frames, events)


def items_of(listened: Sequence[Listened], head: Head, card: RecordingCard) -> tuple[Items, list[str]]:
    """The labelled events of all recordings, with their logits as calibrated by the card; their labels.

    LaennecError if a label is none that the model knows.
    """
    rows = [(own, each, label) for own in listened for ear in own.ears for each, label in ear.events]
    labels = [label for _, _, label in rows]
    features = np.array([each for _, each, _ in rows]).reshape(len(rows), -1)
    bias = np.array(card.event_bias or [0.0] * len(card.labels))
    logits = (features @ head.weights.T + head.bias) / card.event_temperature + bias
    targets = shared(logits, allowed(labels, card.labels))
    patients = np.array([own.patient for own, _, _ in rows], str)
    return Items(features, logits, targets, patients), labels
