"""Predictions for segments of a recording, for its channels, and for the whole."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from laennec.analyze.analysis import Event, RecordAnswer
from laennec.analyze.rate import respiratory_rate
from laennec.audio.quality import SILENT_RANGE, SILENT_SHARE
from laennec.model.card import RecordingCard
from laennec.model.probability import Array, calibrated

STRETCH_S = 15.0  # what one answer is about; SPRSound's recordings, which it was learnt from, last 9 to 15 s
SHORTEST_STRETCH_S = 5.0  # a shorter rest belongs to the stretch before
LOUD_DB = 30.0  # above the median level, beyond what breathing does: the chest piece was touched
# Share of such frames from which contact noise is named: 12 % of SPRSound's records of poor quality have it
# and 3 % of the others.
LOUD_SHARE = 0.02


@dataclass(frozen=True)
class Stretch:
    """What is said of `STRETCH_S` seconds of a recording."""

    start_s: float
    end_s: float
    probabilities: npt.NDArray[np.float64]
    """Of the record labels."""
    kinds: npt.NDArray[np.float64]
    silent: float
    """Share of it."""
    loud: float
    """Share of it that is far louder than the rest."""
    refused: str | None
    """Why there is no answer for it."""

    @property
    def length_s(self) -> float:
        """Its weight among others; a single sample has some."""
        return max(1e-3, self.end_s - self.start_s)


def answer_stretch(card: RecordingCard, said: Mapping[str, Array], start_s: float, end_s: float) -> Stretch:
    """The answer for the frames in `said`."""
    attention, values = np.split(said["record"].astype(np.float64), 2)
    attention = np.exp(attention - attention.max(1, keepdims=True))
    logits = (attention * values).sum(1) / attention.sum(1)
    kinds = calibrated(said["kind"].mean(1, dtype=np.float64), 1.0)
    silent = float((said["range"] <= SILENT_RANGE).mean())
    level_db = said["level_db"]
    loud = float((level_db > np.median(level_db) + LOUD_DB).mean())
    refused = None
    if silent >= SILENT_SHARE:
        refused = "silent or mostly so"
    elif kinds[0] < card.lung_threshold:
        refused = f"sounds like {card.sound_classes[1 + int(kinds[1:].argmax())]}, not like a lung"
    return Stretch(
        start_s,
        end_s,
        calibrated(logits, card.record_temperature, card.record_bias),
        kinds,
        silent,
        loud,
        refused,
    )


def record_answer(
    card: RecordingCard, stretches: Sequence[Stretch], events: Sequence[Event], channel: int | None = None
) -> RecordAnswer:
    """One answer for all stretches of a channel: the mean of those that were not refused, by their lengths.

    Refused where more than half of the time was.
    """
    lengths = np.array([s.length_s for s in stretches])
    refused = np.array([s.refused is not None for s in stretches])
    kinds = np.average([s.kinds for s in stretches], axis=0, weights=lengths)
    told = dict(zip(card.sound_classes, map(float, kinds), strict=True))
    if lengths[refused].sum() > 0.5 * lengths.sum():
        why = Counter(s.refused for s in stretches if s.refused).most_common(1)[0][0]
        return RecordAnswer(None, None, {}, refused=why, kinds=told, channel=channel)
    heard = [s for s in stretches if s.refused is None]
    probabilities = np.average([s.probabilities for s in heard], axis=0, weights=lengths[~refused])
    best = int(probabilities.argmax())
    return RecordAnswer(
        card.records[best],
        float(probabilities[best]),
        dict(zip(card.records, map(float, probabilities), strict=True)),
        uncertain=bool(probabilities[best] < card.record_abstain_below),
        reasons=tuple(_reasons(card, stretches, events, card.records[best])),
        kinds=told,
        rate=respiratory_rate([event.start_s for event in events]),
        channel=channel,
    )


def _reasons(
    card: RecordingCard, stretches: Sequence[Stretch], events: Sequence[Event], answer: str
) -> Iterator[str]:
    counts = Counter(event.label for event in events)
    total = f"{len(events)} event{'s'[: len(events) != 1]}"
    if not events:
        yield "no respiratory event was found"
    elif set(counts) == {card.normal}:
        yield f"{total} found, normal all of them"
    else:
        parts = [f"{counts[label]} {label}" for label in card.labels if counts[label]]
        yield f"{total} found: {', '.join(parts)}"
    sure = sum(event.label != card.normal and not event.uncertain for event in events)
    if answer == "Normal" and sure:
        # Events and record are answered by different heads; neither is put right by the other.
        yield f"its events say otherwise: {sure} of them adventitious without being uncertain"
    answers = Counter(
        f"refused ({s.refused})" if s.refused else card.records[int(s.probabilities.argmax())]
        for s in stretches
    )
    if len(stretches) > 1:
        parts = [f"{count} {label}" for label, count in answers.most_common()]
        yield f"of {len(stretches)} stretches of about {STRETCH_S:g} s: {', '.join(parts)}"
    loud = loud_share(stretches)
    if loud >= LOUD_SHARE:
        yield contact_noise(loud)


def loud_share(stretches: Sequence[Stretch]) -> float:
    """Share of the time that is far louder than the rest of its stretch."""
    return float(np.average([s.loud for s in stretches], weights=[s.length_s for s in stretches]))


def contact_noise(share: float) -> str:
    """Say so."""
    return f"contact noise: {100 * share:.1f} % of it is {LOUD_DB:g} dB louder than the rest"


def summary_answer(answers: Sequence[RecordAnswer]) -> RecordAnswer | None:
    """One answer for all channels: that of the channel which is least likely normal.

    Poor quality stands only where every channel is poor: one good channel is enough to hear.
    """
    given = [answer for answer in answers if answer.refused is None]
    if not answers or not given:
        return answers[0] if answers else None
    clear = [answer for answer in given if answer.label != "Poor Quality"] or given
    return min(clear, key=lambda answer: answer.probabilities.get("Normal", 0.0))
