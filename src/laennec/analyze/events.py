"""Spans become events: class, probability and relevance from the frames that they cover."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from laennec.analyze.analysis import Event, Relevance
from laennec.analyze.decode import Decoded, Span
from laennec.model.card import RecordingCard
from laennec.model.detector import Frames
from laennec.model.probability import calibrated, sigmoid


def classify(
    spans: Iterable[Decoded], card: RecordingCard, channel: int = 0, maps: bool = True
) -> Iterator[list[Event]]:
    """Classify the spans of a channel, found or given: a list of events for each item of `spans`.

    With `maps`, each event keeps its relevance, 2 kB or more of it; a day has tens of thousands of events.
    """
    for frames, settled in spans:
        yield [_classified(frames, span, card, channel, maps) for span in settled]


def _classified(frames: Frames, span: Span, card: RecordingCard, channel: int, maps: bool) -> Event:
    inside = frames.cut(span.first, span.end)
    evidence = inside.evidence.astype(np.float64)
    logits = evidence.mean((1, 2)) + inside.context.mean(1, dtype=np.float64)
    probabilities = calibrated(logits, card.event_temperature, card.event_bias)
    best = int(probabilities.argmax())
    return Event(
        float(span.start_s),
        float(span.end_s),
        card.labels[best],
        float(probabilities[best]),
        dict(zip(card.labels, map(float, probabilities), strict=True)),
        channel,
        span.annotated,
        presence=None if span.given else float(sigmoid(inside.presence[0]).mean()),
        uncertain=bool(probabilities[best] < card.event_abstain_below),
        relevance=_relevance(evidence, best, span, card) if maps else None,
    )


def _relevance(evidence: npt.NDArray[np.float64], best: int, span: Span, card: RecordingCard) -> Relevance:
    """Evidence for a class against the mean of the others, where it is more than nothing, at most 1."""
    others = np.delete(evidence, best, axis=0).mean(0)
    map_ = np.maximum(0.0, evidence[best] - others)
    map_ = map_ / max(float(map_.max()), 1e-9)
    rows = tuple(tuple(round(float(value), 4) for value in row) for row in map_)
    return Relevance(span.first * card.frame_s, span.end * card.frame_s, card.edges_hz, rows)
