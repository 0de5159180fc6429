"""Events and segments of the channels become the analysis of a recording."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from laennec.analyze.analysis import Analysis, Event, RecordingPrediction
from laennec.analyze.inputs import Remarks
from laennec.analyze.rate import respiratory_rate
from laennec.analyze.segments import LOUD_DB, SEGMENT_S, Segment
from laennec.audio.quality import Finding
from laennec.audio.recording import Recording
from laennec.model.card import RecordingCard
from laennec.model.clips import LungModel
from laennec.model.detector import Detector
from laennec.patient import Patient

# Share of loud frames from which contact noise is named: 12 % of SPRSound's records of poor quality have it
# and 3 % of the others.
LOUD_SHARE = 0.02
MOST_NOTES = 20  # on segments that were not analysed


@dataclass(frozen=True)
class Channel:
    """What was predicted for one channel; a model for clips has no segments."""

    number: int
    events: list[Event] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)

    @property
    def loud(self) -> float:
        """Share of the time that is far louder than the rest of its segment."""
        return float(np.average([s.loud for s in self.segments], weights=[s.length_s for s in self.segments]))


def summarise(
    recording: Recording,
    channels: Sequence[Channel],
    model: Detector | LungModel,
    patient: Patient,
    remarks: Remarks,
    segmentation: str,
    windows: tuple[float, float] | None = None,
) -> Analysis:
    """Put together what was predicted for the channels, and what is needed to repeat it.

    `recording` is as it was stored, `segmentation` as in `Analysis`, `windows` are window_s and hop_s.
    """
    card = model.card
    quality = list(recording.warnings)
    records = []
    for channel in channels:
        if not isinstance(card, RecordingCard):
            break
        records.append(predict_channel(card, channel))
        if channel.loud >= LOUD_SHARE:
            noise = _contact_noise(channel.loud)
            quality.append(Finding("contact_noise", noise, channel.loud, channel.number))
        remarks.notes.extend(_refused(channel, recording.channels))
    window_s, hop_s = windows or (None, None)
    return Analysis(
        # Undecodable bytes in a file name show as "?".
        name=recording.name.encode("utf-8", "replace").decode(),
        duration_s=recording.duration_s,
        sample_rate=recording.sample_rate,
        channels=recording.channels,
        events=tuple(event for channel in channels for event in channel.events),
        segmentation=segmentation,
        window_s=window_s,
        hop_s=hop_s,
        quality=tuple(quality),
        repairs=tuple(dict.fromkeys(remarks.repairs)),
        notes=tuple(dict.fromkeys(remarks.notes)),
        model_name=card.name,
        model_version=card.version,
        model_sha256=model.sha256,
        labels=card.labels,
        normal=card.normal,
        record=combine_channels(records),
        channel_records=tuple(records),
        model_data="; ".join(f"{key}: {value}" for key, value in card.data.items() if value),
        model_limits=card.limits,
        age_years=patient.age_years,
        sex=patient.sex,
        position=patient.position,
    )


def without_refused(events: Sequence[Event], segments: Sequence[Segment]) -> list[Event]:
    """The events whose middle lies in no segment that was refused; both in order of time."""
    starts_s = [segment.start_s for segment in segments]
    middles_s = [(event.start_s + event.end_s) / 2 for event in events]
    homes = np.maximum(np.searchsorted(starts_s, middles_s, side="right") - 1, 0)
    return [event for event, home in zip(events, homes, strict=True) if segments[home].refused is None]


def predict_channel(card: RecordingCard, channel: Channel) -> RecordingPrediction:
    """One prediction for a channel: the mean of its segments that were not refused, by their lengths.

    Refused where more than half of the time was.
    """
    segments = channel.segments
    lengths = np.array([s.length_s for s in segments])
    refused = np.array([s.refused is not None for s in segments])
    mean = np.average([s.sound_classes for s in segments], axis=0, weights=lengths)
    kinds = dict(zip(card.sound_classes, map(float, mean), strict=True))
    if lengths[refused].sum() > 0.5 * lengths.sum():
        why = Counter(s.refused for s in segments if s.refused).most_common(1)[0][0]
        return RecordingPrediction(None, None, {}, refused=why, kinds=kinds, channel=channel.number)
    used = [s.probabilities for s in segments if s.refused is None]
    probabilities = np.average(used, axis=0, weights=lengths[~refused])
    best = int(probabilities.argmax())
    return RecordingPrediction(
        card.records[best],
        float(probabilities[best]),
        dict(zip(card.records, map(float, probabilities), strict=True)),
        uncertain=bool(probabilities[best] < card.record_abstain_below),
        reasons=tuple(_reasons(card, channel, card.records[best])),
        kinds=kinds,
        rate=respiratory_rate([event.start_s for event in channel.events]),
        channel=channel.number,
    )


def _reasons(card: RecordingCard, channel: Channel, label: str) -> Iterator[str]:
    events, segments = channel.events, channel.segments
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
    if label == "Normal" and sure:
        # Events and record are predicted by different heads; neither corrects the other.
        yield f"its events say otherwise: {sure} of them adventitious without being uncertain"
    predicted = Counter(
        f"refused ({s.refused})" if s.refused else card.records[int(s.probabilities.argmax())]
        for s in segments
    )
    if len(segments) > 1:
        parts = [f"{count} {label}" for label, count in predicted.most_common()]
        yield f"of {len(segments)} stretches of about {SEGMENT_S:g} s: {', '.join(parts)}"
    if channel.loud >= LOUD_SHARE:
        yield _contact_noise(channel.loud)


def _contact_noise(share: float) -> str:
    """Describe contact noise in a sentence."""
    return f"contact noise: {100 * share:.1f} % of it is {LOUD_DB:g} dB louder than the rest"


def _refused(channel: Channel, channels: int) -> Iterator[str]:
    """Name the segments that were refused."""
    where = f" of channel {channel.number}" if channels > 1 else ""
    refused = [s for s in channel.segments if s.refused]
    for s in refused[:MOST_NOTES]:
        yield f"not analysed: {s.start_s:.1f} to {s.end_s:.1f} s{where} ({s.refused})"
    if len(refused) > MOST_NOTES:
        yield f"{len(refused) - MOST_NOTES} further stretches{where} were not analysed"


def combine_channels(records: Sequence[RecordingPrediction]) -> RecordingPrediction | None:
    """One prediction for all channels: that of the channel which is least likely normal.

    Poor quality stands only where every channel is poor: one good channel is enough.
    """
    usable = [record for record in records if record.refused is None]
    if not usable:
        return records[0] if records else None
    clear = [record for record in usable if record.label != "Poor Quality"] or usable
    return min(clear, key=lambda record: record.probabilities.get("Normal", 0.0))
