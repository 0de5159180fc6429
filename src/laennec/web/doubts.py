"""Why an answer is uncertain: which threshold, or which of its parts, decided."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from laennec.labels import NORMAL
from laennec.model.card import RecordingCard
from laennec.model.probability import (
    answer_certainty,
    hit_features,
    hit_probability,
    sick_labels,
)

PARTS = (
    "presence",
    "probability",
    "length_s",
)  # of what makes a found event certain, as `hit_features` has them
BEST = (0.95, 0.95, 1.0)  # of each: what a plain breath or wheeze has


def doubts_of(analysis: Mapping[str, Any], card: RecordingCard) -> dict[str, Any]:
    """Why the answer to a recording and each event are uncertain, `record` and `events`; None where not.

    `analysis` is in JSON's types, `card` that of the model, or calibration, which made it.
    """
    record = analysis["record"]
    return {
        "record": None if record is None else record_doubt(record, card),
        "events": [event_doubt(event, card) for event in analysis["events"]],
    }


def record_doubt(record: Mapping[str, Any], card: RecordingCard) -> dict[str, Any] | None:
    """Why the answer to a recording is uncertain: `by` a ``threshold``, or a ``reason``, such as its events.

    A certainty is that of the answer, or of adventitious sounds of any kind; below `certain_from` the model
    abstains, and at 1 it always does.
    """
    if not record["uncertain"] or record["label"] is None:
        return None
    shares = np.array([record["probabilities"][name] for name in card.records])
    best, certainty = answer_certainty(shares, card.records)
    own = card.sick_abstain_below if sick_labels(card.records)[best] else None
    own = card.normal_abstain_below if card.records[int(best)] == NORMAL else own
    value, certain_from = (
        (float(shares[best]), card.record_abstain_below) if own is None else (float(certainty), own)
    )
    if value < certain_from or certain_from >= 1:
        return {"by": "threshold", "certainty": round(value, 6), "certain_from": certain_from}
    return {"by": "reason", "reason": record["reasons"][-1]}


def event_doubt(event: Mapping[str, Any], card: RecordingCard) -> dict[str, Any] | None:
    """Why an event is uncertain: `by` is the one of `PARTS` that is furthest from what makes one certain."""
    if not event["uncertain"]:
        return None
    presence, probability = event["presence"], event["probability"]
    if presence is None or not card.event_presence:
        certain_from = card.event_abstain_below
        return {"by": "probability", "certainty": probability, "certain_from": certain_from}
    length_s = round(event["end_s"] - event["start_s"], 6)
    values = (presence, probability, length_s)
    own, best = (hit_features(*map(np.array, each)) for each in (values, BEST))
    lacking = np.asarray(card.event_presence[1:]) * (best - own)
    hit = hit_probability(np.array(presence), np.array(probability), np.array(length_s), card.event_presence)
    return {
        "by": PARTS[int(lacking.argmax())],
        **dict(zip(PARTS, values, strict=True)),
        "certainty": round(float(hit), 6),
        "certain_from": card.event_hit_abstain_below,
    }
