"""Events become labelled: class, probability and relevance from the frames they cover."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from laennec.analyze.analysis import Event, Relevance
from laennec.labels import EVENT_FAMILY
from laennec.model.card import RecordingCard
from laennec.model.detector import Detector
from laennec.model.probability import Array, calibrated, sigmoid


def families(labels: Sequence[str]) -> list[int]:
    """Family of each event class: 0 normal, 1 continuous, 2 discontinuous or both."""
    number = {"Normal": 0, "CAS": 1, "DAS": 2, "CAS & DAS": 2}
    return [number[EVENT_FAMILY[label]] for label in labels]


def class_logits(said: Mapping[str, Array]) -> npt.NDArray[np.float64]:
    """Class logits of every frame, ``(classes, frames)``."""
    return said["evidence"].mean(1, dtype=np.float64) + said["context"]


def named_event(
    card: RecordingCard,
    said: Mapping[str, Array],
    span_s: tuple[float, float],
    frames: tuple[int, int],
    channel: int,
    frame_offset: int | None,
) -> Event:
    """The event over `frames` of what was said, named; without an offset its boundaries were given."""
    first, last = frames
    evidence = said["evidence"][:, :, first:last].astype(np.float64)
    logits = evidence.mean((1, 2)) + said["context"][:, first:last].mean(1, dtype=np.float64)
    probabilities = calibrated(logits, card.event_temperature, card.event_bias)
    best = int(probabilities.argmax())
    presence = float(sigmoid(said["presence"][0, first:last]).mean())
    offset = frame_offset or 0
    return Event(
        float(span_s[0]),
        float(span_s[1]),
        card.labels[best],
        float(probabilities[best]),
        dict(zip(card.labels, map(float, probabilities), strict=True)),
        channel,
        presence=None if frame_offset is None else presence,
        uncertain=bool(probabilities[best] < card.event_abstain_below),
        relevance=Relevance(
            (offset + first) * card.frame_s,
            (offset + last) * card.frame_s,
            card.edges_hz,
            _relevance(evidence, best),
        ),
    )


def label_spans(
    detector: Detector, samples: Array, spans_s: Sequence[tuple[float, float]], channel: int = 0
) -> list[Event]:
    """Name the events at given boundaries in ``(samples,)`` at the model's rate, shorter than minutes."""
    said = detector.run(samples)
    frames = said["presence"].shape[-1]
    events = []
    for start_s, end_s in spans_s:
        first = min(max(0, round(start_s / detector.card.frame_s)), frames - 1)
        last = min(max(first + 1, round(end_s / detector.card.frame_s)), frames)
        events.append(named_event(detector.card, said, (start_s, end_s), (first, last), channel, None))
    return events


def _relevance(evidence: npt.NDArray[np.float64], best: int) -> tuple[tuple[float, ...], ...]:
    """Evidence for a class against the mean of the others, where it is more than nothing, at most 1."""
    others = np.delete(evidence, best, axis=0).mean(0)
    map_ = np.maximum(0.0, evidence[best] - others)
    map_ = map_ / max(float(map_.max()), 1e-9)
    return tuple(tuple(round(float(value), 4) for value in row) for row in map_)
