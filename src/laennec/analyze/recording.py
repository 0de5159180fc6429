"""Segments of 15 s and events of the channels become the analysis of a recording."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby

import numpy as np
import numpy.typing as npt

from laennec.analyze.analysis import (
    Analysis,
    CalibrationUsed,
    Event,
    RecordingPrediction,
    RefusedPart,
)
from laennec.analyze.inputs import Remarks
from laennec.analyze.rate import Repetition, breath_onsets, median, repetition, respiratory_rate
from laennec.audio.level import SILENT_RANGE
from laennec.audio.quality import SILENT_SHARE, Finding
from laennec.audio.recording import Recording
from laennec.audio.samples import counted
from laennec.files import printable
from laennec.labels import NORMAL
from laennec.model.card import RecordingCard
from laennec.model.clips import LungModel
from laennec.model.detector import Detector, Frames
from laennec.model.probability import (
    answer_certainty,
    calibrated,
    family_evidence,
    sick_labels,
    softmax,
    summed,
    with_evidence,
)
from laennec.patient import Patient

SEGMENT_S = 15.0  # SPRSound's recordings, which the model learnt from, last 9 to 15 s
SHORTEST_SEGMENT_S = 5.0  # a shorter rest belongs to the segment before
# Above the median level of what is not silent, beyond what breathing does: the chest piece was touched.
LOUD_DB = 30.0
# Share of loud frames from which contact noise is named: 12 % of SPRSound's records of poor quality have it
# and 3 % of the others.
LOUD_SHARE = 0.02
SPOILED_SHARE = 0.01  # of the samples clipped, from which no answer is certain; none of SPRSound has any


@dataclass(frozen=True)
class Segment:
    """The prediction for about `SEGMENT_S` of a channel; why there is none, where it was `refused`.

    `probabilities` are of the record labels, `sound_classes` of what it sounds like. `silent` and `loud` are
    the shares of frames that are silent, and that are far louder than what is not silent; `heard_as` is what
    it sounds like where it is neither silent nor a lung. `repetition` is that of its sound, until its channel
    has added it up.
    """

    start_s: float
    end_s: float
    probabilities: npt.NDArray[np.float64]
    sound_classes: npt.NDArray[np.float64]
    silent: float
    loud: float
    refused: str | None
    heard_as: str | None = None
    repetition: Repetition | None = None

    @property
    def length_s(self) -> float:
        """Its weight among others; a single sample has some."""
        return max(1e-3, self.end_s - self.start_s)


@dataclass
class Channel:
    """What was predicted for one channel; a model for clips has no segments.

    `given`: its events were not found, but classified where they lie. `repetition` is that of its segments
    together, without refused ones.
    """

    number: int
    given: bool = field(default=False, kw_only=True)
    events: list[Event] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    repetition: Repetition | None = None

    def add(self, events: Iterable[Event], segments: Iterable[Segment]) -> None:
        """Take in what a chunk of frames settles, in memory that a day of sound does not fill."""
        self.events.extend(events)
        for segment in segments:
            own = segment.repetition if segment.refused is None else None
            if own is not None:
                self.repetition = own if self.repetition is None else self.repetition + own
            self.segments.append(replace(segment, repetition=None))

    @property
    def end_s(self) -> float:
        """Where its last segment ends."""
        return self.segments[-1].end_s if self.segments else 0.0

    @property
    def loud(self) -> float:
        """Share of the time that is far louder than the rest of its segment."""
        return float(np.average([s.loud for s in self.segments], weights=[s.length_s for s in self.segments]))


def segments(
    frames: Iterable[Frames],
    card: RecordingCard,
    silent_range: float = SILENT_RANGE,
    any_sound: bool = False,
) -> Iterator[list[Segment]]:
    """Predict segments that cover a channel, each as soon as its frames are there: a list for each chunk.

    Frames are silent up to `silent_range`, that of the recording. With `any_sound`, only silence is refused.
    """
    length, rest = (round(seconds / card.frame_s) for seconds in (SEGMENT_S, SHORTEST_SEGMENT_S))
    predict = partial(predict_segment, card=card, silent_range=silent_range, any_sound=any_sound)
    held: Frames | None = None
    for more in frames:
        held = more.after(held)
        ready = []
        while held.end - held.first >= length + rest:
            ready.append(predict(held.cut(held.first, held.first + length)))
            held = held.cut(held.first + length, held.end)
        if held.last and held.end > held.first:
            ready.append(predict(held))
        yield ready


def predict_segment(
    frames: Frames, card: RecordingCard, silent_range: float, any_sound: bool = False
) -> Segment:
    """The prediction for the frames of a segment; with `any_sound`, only silence is refused."""
    attention, values = np.split(frames.record.astype(np.float64), 2)
    logits = (softmax(attention, axis=1) * values).sum(1)
    sound_classes = softmax(frames.kind.mean(1, dtype=np.float64))
    if card.patterns:
        sound_classes = summed(sound_classes, card.patterns, card.sound_classes)
    is_silent = frames.extent <= silent_range
    silent = float(is_silent.mean())
    usual_db = median(frames.level_db[~is_silent]) if silent < 1 else np.inf
    loud = float((frames.level_db > usual_db + LOUD_DB).mean())
    refused, heard_as = refusal(silent, sound_classes, card, any_sound)
    return Segment(
        min(frames.first * card.frame_s, frames.end_s),
        min(frames.end * card.frame_s, frames.end_s),
        record_probabilities(frames, logits, card),
        sound_classes,
        silent,
        loud,
        refused,
        heard_as,
        repetition(frames.evidence.mean(0, dtype=np.float64), frames.presence[0], card.frame_s),
    )


def refusal(
    silent: float, sound_classes: npt.NDArray[np.float64], card: RecordingCard, any_sound: bool = False
) -> tuple[str | None, str | None]:
    """Why a segment is refused, and what it was heard as instead of a lung; see `Segment`."""
    if silent >= SILENT_SHARE:
        return "silent or mostly so", None
    if sound_classes[0] >= card.lung_threshold:
        return None, None
    heard_as = card.sound_classes[1 + int(sound_classes[1:].argmax())]
    return None if any_sound else unlike(heard_as), heard_as


def record_probabilities(
    frames: Frames, logits: npt.NDArray[np.float64], card: RecordingCard
) -> npt.NDArray[np.float64]:
    """Of the record labels, with what the frames say of the families of sounds where the card says so."""
    own = calibrated(logits, card.record_temperature, card.record_bias)
    if not card.record_evidence:
        return own
    evidence = family_evidence(frames.presence[0], frames.class_logits(), card.labels)
    return with_evidence(own, evidence, card.records, card.record_evidence)


def unlike(heard_as: str) -> str:
    """What is said of sound that is heard as something else than a lung."""
    return f"sounds like {heard_as}, not like a lung"


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
    records: list[RecordingPrediction] = []
    if isinstance(card, RecordingCard):
        records = predict_channels(card, channels, quality)
        for channel in channels:
            if channel.loud >= LOUD_SHARE:
                noise = contact_noise(channel.loud)
                quality.append(Finding("contact_noise", noise, channel.loud, channel.number))
    window_s, hop_s = windows or (None, None)
    return Analysis(
        name=printable(recording.name),
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
        refused_parts=tuple(part for channel in channels for part in _refused_parts(channel)),
        model_data="; ".join(f"{key}: {value}" for key, value in card.data.items() if value),
        model_limits=card.limits,
        calibration=calibration_of(model),
        age_years=patient.age_years,
        sex=patient.sex,
        position=patient.position,
    )


def calibration_of(model: Detector | LungModel) -> CalibrationUsed | None:
    """What a result tells of the calibration by which the model answers; None without one."""
    own = model.calibration if isinstance(model, Detector) else None
    if own is None:
        return None
    return CalibrationUsed(own.name, own.sha256, own.date, own.patients, own.recordings)


def without_refused(events: Sequence[Event], segments: Sequence[Segment]) -> list[Event]:
    """The events whose middle lies in no segment that was refused; both in order of time."""
    starts_s = [segment.start_s for segment in segments]
    middles_s = [(event.start_s + event.end_s) / 2 for event in events]
    homes = np.maximum(np.searchsorted(starts_s, middles_s, side="right") - 1, 0)
    return [event for event, home in zip(events, homes, strict=True) if segments[home].refused is None]


def in_segments(events: Sequence[Event], channels: Sequence[Channel]) -> tuple[list[Event], list[Event]]:
    """The events whose middle lies in a segment, without refused ones; and those that come after them all."""
    here: list[Event] = []
    later: list[Event] = []
    for channel in channels:
        own = [event for event in events if event.channel == channel.number]
        over = [event for event in own if event.start_s + event.end_s < 2 * channel.end_s]
        here += without_refused(over, channel.segments)
        later += own[len(over) :]
    return here, later


def predict_channels(
    card: RecordingCard, channels: Sequence[Channel], quality: Sequence[Finding]
) -> list[RecordingPrediction]:
    """A prediction for each channel; `quality` is what is wrong with the recording, as it was read."""
    total = sum(len(channel.events) for channel in channels) if len(channels) > 1 else None
    return [
        predict_channel(card, channel, list(_spoiled(quality, channel.number)), total) for channel in channels
    ]


def predict_channel(
    card: RecordingCard, channel: Channel, spoiled: Sequence[str] = (), total: int | None = None
) -> RecordingPrediction:
    """One prediction for a channel: the mean of its segments that were not refused, by their lengths.

    Refused where more than half of the time was; uncertain where the sound is `spoiled`, in words. `total` is
    the number of events of all channels, where there are several.
    """
    segments = channel.segments
    lengths = np.array([s.length_s for s in segments])
    refused = np.array([s.refused is not None for s in segments])
    mean = np.average([s.sound_classes for s in segments], axis=0, weights=lengths)
    kinds = dict(zip(card.sound_classes, map(float, mean), strict=True))
    if lengths[refused].sum() > 0.5 * lengths.sum():
        why, heard_as = Counter((s.refused, s.heard_as) for s in segments if s.refused).most_common(1)[0][0]
        return RecordingPrediction(
            None, None, {}, refused=why, kinds=kinds, channel=channel.number, heard_as=heard_as
        )
    used = [s.probabilities for s in segments if s.refused is None]
    probabilities = np.average(used, axis=0, weights=lengths[~refused])
    best = int(probabilities.argmax())
    others = dict.fromkeys(unlike(s.heard_as) for s in segments if s.heard_as and not s.refused)
    doubts = [
        *event_doubts(card.records[best], channel.events, card.normal),
        *(f"{said}; analysed all the same, as asked for" for said in others),
        *spoiled,
    ]
    return RecordingPrediction(
        card.records[best],
        float(probabilities[best]),
        dict(zip(card.records, map(float, probabilities), strict=True)),
        uncertain=bool(doubts) or not is_certain(probabilities, card),
        reasons=(*_reasons(card, channel, total), *doubts),
        kinds=kinds,
        rate=respiratory_rate(
            breath_onsets((event.start_s, event.label) for event in channel.events),
            channel.repetition or Repetition.nothing(card.frame_s),
        ),
        channel=channel.number,
    )


def is_certain(probabilities: npt.NDArray[np.float64], card: RecordingCard) -> bool:
    """Whether the probabilities of the record labels reach the card's threshold for the likeliest."""
    best, certainty = answer_certainty(probabilities, card.records)
    own = card.sick_abstain_below if sick_labels(card.records)[best] else None
    own = card.normal_abstain_below if card.records[best] == NORMAL else own
    if own is None:
        return bool(probabilities[best] >= card.record_abstain_below)
    return bool(certainty >= own) and own < 1  # a threshold of 1 is never reached, whatever rounding gives


def _spoiled(quality: Sequence[Finding], channel: int) -> Iterator[str]:
    """What is so wrong with a channel's sound that no answer to it is certain."""
    for finding in quality:
        if finding.kind == "clipped" and finding.channel == channel and (finding.share or 0) >= SPOILED_SHARE:
            yield f"{finding.share:.0%} of its samples are clipped"


def event_doubts(label: str, events: Sequence[Event], normal: str) -> Iterator[str]:
    """Why an answer to a recording is not certain, whatever its probability: what its events say.

    Events and record are predicted by different heads, and neither corrects the other. Of SPRSound's records,
    predicted out of fold, 17 to 20 % of the answers that the first two doubts concern are wrong, and 13 to
    14 % of the other certain ones.
    """
    adventitious = [event for event in events if event.label != normal]
    if not events:
        yield "no respiratory event was found"
    elif label == "Normal":
        if sure := sum(not event.uncertain for event in adventitious):
            yield f"its events say otherwise: {sure} of them adventitious without being uncertain"
    elif label != "Poor Quality" and not adventitious:
        yield "its events say otherwise: none of them is adventitious"


def _reasons(card: RecordingCard, channel: Channel, total: int | None) -> Iterator[str]:
    events, segments = channel.events, channel.segments
    counts = Counter(event.label for event in events)
    counted_events = f"{counted(len(events), 'event')} {'given' if channel.given else 'found'}"
    if total is not None:
        of_all = f"{counted(total, 'event')} {'given' if channel.given else 'found'}"
        counted_events = f"{of_all}, {len(events)} of them on channel {channel.number}"
    unsure = sum(event.uncertain for event in events)
    uncertain = f"; {unsure} uncertain" if unsure else ""
    if set(counts) == {card.normal} and total is None:
        yield f"{counted_events}, all of them normal{uncertain}"
    elif events:
        parts = [f"{counts[label]} {label}" for label in card.labels if counts[label]]
        yield f"{counted_events}: {', '.join(parts)}{uncertain}"
    predicted = Counter(
        f"refused ({s.refused})" if s.refused else card.records[int(s.probabilities.argmax())]
        for s in segments
    )
    if len(segments) > 1:
        parts = [f"{count} {label}" for label, count in predicted.most_common()]
        yield f"of {len(segments)} stretches of about {SEGMENT_S:g} s: {', '.join(parts)}"
    if channel.loud >= LOUD_SHARE:
        yield contact_noise(channel.loud)


def contact_noise(share: float) -> str:
    """What is said of a channel of which that share of the time is far louder than the rest."""
    return f"contact noise: {100 * share:.1f} % of it is {LOUD_DB:g} dB louder than the rest"


def _refused_parts(channel: Channel) -> Iterator[RefusedPart]:
    for (refused, heard_as), alike in groupby(channel.segments, key=lambda s: (s.refused, s.heard_as)):
        if refused:
            first, *more = alike
            yield RefusedPart(channel.number, first.start_s, (more or [first])[-1].end_s, refused, heard_as)


def combine_channels(records: Sequence[RecordingPrediction]) -> RecordingPrediction | None:
    """One prediction for all channels: that of the channel which is least likely normal.

    Poor quality stands only where every channel is poor: one good channel is enough.
    """
    usable = [record for record in records if record.refused is None]
    if not usable:  # rather one that was heard as something, which can be answered
        return next((record for record in records if record.heard_as), records[0] if records else None)
    clear = [record for record in usable if record.label != "Poor Quality"] or usable
    return min(clear, key=lambda record: record.probabilities.get("Normal", 0.0))
