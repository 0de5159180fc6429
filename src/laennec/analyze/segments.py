"""Frames become predictions for segments of a channel: the record's class, or why it is refused."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from laennec.audio.quality import SILENT_RANGE, SILENT_SHARE
from laennec.model.card import RecordingCard
from laennec.model.detector import Frames
from laennec.model.probability import calibrated, softmax

SEGMENT_S = 15.0  # SPRSound's recordings, which the model learnt from, last 9 to 15 s
SHORTEST_SEGMENT_S = 5.0  # a shorter rest belongs to the segment before
LOUD_DB = 30.0  # above the median level, beyond what breathing does: the chest piece was touched


@dataclass(frozen=True)
class Segment:
    """The prediction for about `SEGMENT_S` of a channel; why there is none, where it was `refused`.

    `probabilities` are of the record labels, `sound_classes` of what it sounds like. `silent` and `loud` are
    the shares of frames that are silent, and that are far louder than the rest.
    """

    start_s: float
    end_s: float
    probabilities: npt.NDArray[np.float64]
    sound_classes: npt.NDArray[np.float64]
    silent: float
    loud: float
    refused: str | None

    @property
    def length_s(self) -> float:
        """Its weight among others; a single sample has some."""
        return max(1e-3, self.end_s - self.start_s)


def segments(frames: Iterable[Frames], card: RecordingCard) -> Iterator[list[Segment]]:
    """Predict the segments of a channel, each as soon as its frames are there; a list for each of `frames`.

    Together the segments cover the channel.
    """
    length, rest = (round(seconds / card.frame_s) for seconds in (SEGMENT_S, SHORTEST_SEGMENT_S))
    held: Frames | None = None
    for more in frames:
        held = more.after(held)
        ready = []
        while held.end - held.first >= length + rest:
            ready.append(predict_segment(held.cut(held.first, held.first + length), card))
            held = held.cut(held.first + length, held.end)
        if held.last and held.end > held.first:
            ready.append(predict_segment(held, card))
        yield ready


def predict_segment(frames: Frames, card: RecordingCard) -> Segment:
    """The prediction for the frames of a segment."""
    attention, values = np.split(frames.record.astype(np.float64), 2)
    logits = (softmax(attention, axis=1) * values).sum(1)
    sound_classes = softmax(frames.kind.mean(1, dtype=np.float64))
    silent = float((frames.extent <= SILENT_RANGE).mean())
    loud = float((frames.level_db > np.median(frames.level_db) + LOUD_DB).mean())
    refused = None
    if silent >= SILENT_SHARE:
        refused = "silent or mostly so"
    elif sound_classes[0] < card.lung_threshold:
        refused = f"sounds like {card.sound_classes[1 + int(sound_classes[1:].argmax())]}, not like a lung"
    return Segment(
        min(frames.first * card.frame_s, frames.end_s),
        min(frames.end * card.frame_s, frames.end_s),
        calibrated(logits, card.record_temperature, card.record_bias),
        sound_classes,
        silent,
        loud,
        refused,
    )
