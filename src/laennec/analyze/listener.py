"""From the sound of one channel to events and an answer, piece by piece and in constant memory.

The model file (``docs/model-file.md``, task ``recording``) says something of every frame of 50 ms. Nothing
in it reaches further than the card's `reach_frames`, so a piece is heard with that much of its neighbours,
and what is said of it does not depend on where the pieces meet. From there on: events are the likeliest
sequence of breaths and pauses; their class is the mean evidence over them; a recording is answered stretch
by stretch, and a stretch that does not sound like a lung is refused.
"""

import math
from dataclasses import replace

import numpy as np

from laennec.analyze.analysis import Event
from laennec.analyze.decode import find_events, frame_worth
from laennec.analyze.events import class_logits, families, named_event
from laennec.analyze.recording import SHORTEST_STRETCH_S, STRETCH_S, Stretch, answer_stretch
from laennec.model.detector import Detector
from laennec.model.probability import Array

PIECE_S = 60.0  # heard at a time; longer pieces are no faster and take more memory


class Listener:
    """Hears one channel as it comes; what it finds does not depend on how the sound was handed over.

    Parameters
    ----------
    detector : Detector
    channel : int
        Handed on to the events.
    piece_s : float
        Seconds heard at a time.
    maps : bool
        Keep each event's relevance, 2 kB or more of it; a day has tens of thousands of events.

    Attributes
    ----------
    events : list of Event
        Settled so far, in order.
    stretches : list of Stretch
        Answered so far.
    """

    def __init__(
        self, detector: Detector, channel: int = 0, piece_s: float = PIECE_S, maps: bool = True
    ) -> None:
        self.detector, self.card, self.channel, self.maps = detector, detector.card, channel, maps
        self.step = max(1, round(piece_s / self.card.frame_s)) * self.card.frame_samples
        self.reach = self.card.reach_frames * self.card.frame_samples
        self.events: list[Event] = []
        self.stretches: list[Stretch] = []
        self._heard = np.zeros(0, np.float32)  # from sample self._first on
        self._first = self._done = self._length = 0  # samples
        self._said: dict[str, Array] = {}  # of frames that are not settled yet, from frame self._frame on
        self._frame = 0
        self._answered = 0  # frames that belong to finished stretches
        self._reached = 0  # frames up to which events are settled
        self._waiting: list[Event] = []  # settled, in stretches that are not answered yet

    def push(self, samples: Array) -> None:
        """Hear more samples ``(samples,)`` at the model's rate."""
        for first in range(0, samples.size, self.step):
            self._heard = np.concatenate([self._heard, samples[first : first + self.step]])
            self._length = self._first + self._heard.size
            while self._length - self._done >= self.step + self.reach:
                self._hear(self._done + self.step, last=False)

    def finish(self) -> None:
        """Hear what is left; nothing may be pushed afterwards."""
        if self._length > self._done:
            self._hear(self._length, last=True)

    def _hear(self, until: int, last: bool) -> None:
        """Run the model on what is held and keep what it says of the samples from ``_done`` to `until`."""
        frame = self.card.frame_samples
        end = self._length if last else until + self.reach
        piece = self._heard[: end - self._first]
        said = self.detector.run(np.ascontiguousarray(piece))
        said |= frame_levels(piece, frame, said["presence"].shape[-1])
        start = (self._done - self._first) // frame
        stop = None if last else (until - self._first) // frame
        kept = {name: value[..., start:stop] for name, value in said.items()}
        self._said = (
            {name: np.concatenate([self._said[name], value], axis=-1) for name, value in kept.items()}
            if self._said
            else kept
        )
        self._done = until
        cut = max(self._first, (until - self.reach) // frame * frame)
        self._heard, self._first = self._heard[cut - self._first :].copy(), cut
        self._settle(last)

    def _settle(self, last: bool) -> None:
        """Find the events and answer the stretches that nothing to come can change; forget their frames."""
        frames = self._frame + self._said["presence"].shape[-1]
        self._find_events(frames, last)
        stretch, rest = (round(s / self.card.frame_s) for s in (STRETCH_S, SHORTEST_STRETCH_S))
        while frames - self._answered >= stretch + rest:
            self._answer(self._answered + stretch)
        if last and frames > self._answered:
            self._answer(frames)
        self._release(last)
        forget = min(self._answered, self._reached)
        self._said = {name: value[..., forget - self._frame :].copy() for name, value in self._said.items()}
        self._frame = forget

    def _find_events(self, frames: int, last: bool) -> None:
        offset = self._reached
        said = {name: value[..., offset - self._frame :] for name, value in self._said.items()}
        worth = frame_worth(said["presence"], class_logits(said), families(self.card.labels), self.card.rule)
        found, settled = find_events(worth, said["presence"], self.card.rule, self.card.frame_s, last)
        for start, end in found:
            span_s = (
                (offset + start) * self.card.frame_s,
                min((offset + end) * self.card.frame_s, self._length / self.card.sample_rate),
            )
            place = (offset + start - self._frame, offset + end - self._frame)
            event = named_event(self.card, self._said, span_s, place, self.channel, self._frame)
            self._waiting.append(event if self.maps else replace(event, relevance=None))
        self._reached += settled

    def _answer(self, until: int) -> None:
        first, last = self._answered - self._frame, until - self._frame
        said = {name: value[..., first:last] for name, value in self._said.items()}
        start_s, end_s = (
            min(frame * self.card.frame_s, self._length / self.card.sample_rate)
            for frame in (self._answered, until)
        )
        self.stretches.append(answer_stretch(self.card, said, start_s, end_s))
        self._answered = until

    def _release(self, last: bool) -> None:
        """Hand out the waiting events whose stretch is answered; those of a refused one are dropped."""
        answered_s = math.inf if last else self._answered * self.card.frame_s
        while self._waiting and self._waiting[0].end_s <= answered_s:
            event = self._waiting.pop(0)
            middle_s = (event.start_s + event.end_s) / 2
            home = next((s for s in reversed(self.stretches) if s.start_s <= middle_s), self.stretches[0])
            if home.refused is None:
                self.events.append(event)


def frame_levels(piece: Array, frame: int, frames: int) -> dict[str, Array]:
    """Peak to peak range and level in dB of each frame's samples; of a rest, those of what there is."""
    padded = np.zeros(frames * frame, np.float32)
    taken = piece[: frames * frame]
    padded[: taken.size] = taken
    if taken.size < padded.size and taken.size:
        padded[taken.size :] = taken[-1]
    blocks = padded.reshape(frames, frame)
    power = (blocks * blocks).mean(1)
    return {"range": np.ptp(blocks, axis=1), "level_db": 10 * np.log10(power + 1e-12)}
