"""Sound that is still coming: fed in pieces, events as they are found, at the end the analysis.

The stages are those of `analyze`; each takes the frames that it is handed and gives what they settle.
"""

import itertools
import os
from collections import deque
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from laennec.analyze import DetectionSettings, settled
from laennec.analyze.analysis import Analysis, Event
from laennec.analyze.inputs import Remarks, channels_of, model_for
from laennec.analyze.recording import (
    LOUD_SHARE,
    Channel,
    Segment,
    contact_noise,
    in_segments,
    predict_segment,
    summarise,
    unlike,
    without_refused,
)
from laennec.audio.level import SILENT_RANGE
from laennec.audio.quality import Finding, RunningSurvey
from laennec.audio.recording import Recording
from laennec.audio.samples import (
    Array,
    Resampler,
    as_float32,
    check_layout,
    counted,
    set_non_finite_to_zero,
)
from laennec.errors import LaennecError
from laennec.model.card import RecordingCard
from laennec.model.clips import LungModel
from laennec.model.detector import Detector, Frames, FrameStream
from laennec.patient import Patient

CHUNK_S = 0.25  # processed at a time, or all that came
DELAY_S = 1.1  # after which an event's end is certain enough: with parts of half a second it is told in 2 s
HELD_S = 0.2  # at most, by a resampler, and by rounding to frames
AGAIN_S = 4.0  # before the newest chunk, processed again with the sound that came since
JUDGED_S = 6.0  # of the latest sound, by which it is told whether it sounds like a lung
SHORTEST_JUDGED_S = 2.0  # less says little


class Stream:
    """Find the respiratory events of sound while it comes.

    An event is given once, within 2 s of its end: `delay_s`, and the chunk that it ends in. The network
    depends on 7 s of sound to either side, so a few events differ from those of :func:`analyze`, which waits
    for all of it; with ``delay_s=None`` so does a stream, and the events are the same. An event waits while
    the sound around it does not sound like a lung.

    Parameters
    ----------
    sample_rate : int
        Hz, 4,000 to 192,000.
    model, age_years, sex, position, any_sound, calibration
        As for :func:`analyze`; the model is one for whole recordings.
    channels : int
        Of the sound; each is analysed by itself.
    level : float or sequence of float, optional
        Of each channel, as `Recording.levels`, where it is known. By default it is that of the sound so far,
        since that of the whole is known at its end only.
    delay_s : float or None
        How long after its end an event is settled. None: when nothing that follows can change it.
    chunk_s : float
        Seconds processed at a time, or more where more came.
    maps : bool
        Whether each event keeps its relevance.
    name : str
        What to call it in the analysis.

    Attributes
    ----------
    settled_s : float
        Up to where the sound has been processed.
    delay_s : float
        From the end of an event to the sound with which it is told, at most; the computation comes on top.
        With ``delay_s=None`` it is that of the network alone.
    """

    def __init__(
        self,
        sample_rate: int,
        model: str | os.PathLike[str] | Detector | None = None,
        *,
        channels: int = 1,
        level: float | npt.ArrayLike | None = None,
        delay_s: float | None = DELAY_S,
        chunk_s: float = CHUNK_S,
        maps: bool = False,
        age_years: float | None = None,
        sex: str | None = None,
        position: str | None = None,
        any_sound: bool = False,
        calibration: str | os.PathLike[str] | None = None,
        name: str = "recording",
    ) -> None:
        check_layout(sample_rate, channels, name)
        loaded: Detector | LungModel = model_for(model, clips=False, calibration=calibration)
        if not isinstance(loaded, Detector):
            raise LaennecError(
                f"{loaded.card.name} is a model for clips; a stream needs one for whole recordings"
            )
        self.sample_rate, self.channels, self.name, self.settled_s = sample_rate, channels, name, 0.0
        self._model, card = loaded, loaded.card
        self._patient = Patient(age_years, sex, position, card.positions)
        self._levels = None if level is None else np.broadcast_to(np.asarray(level, float), channels).tolist()
        self._any_sound = any_sound
        self._length = self._non_finite = self._above = 0  # samples
        self._survey = RunningSurvey(channels, sample_rate)
        self._resampler = Resampler(sample_rate, card.sample_rate)
        again_s = None if delay_s is None else AGAIN_S
        self._frames = FrameStream(loaded, chunk_s, again_s, self._levels or ())
        self._predicted = [_Running(number) for number in range(channels)]
        self._handed: deque[tuple[Frames, ...]] = deque()
        handed = iter(self._handed.popleft, None)
        self._settled = settled(
            handed,
            DetectionSettings(range(channels), card, maps=maps, any_sound=any_sound, delay_s=delay_s),
        )
        self._analysis: Analysis | None = None
        settled_s = card.reach_frames * card.frame_s if delay_s is None else delay_s
        self.delay_s = settled_s + chunk_s + HELD_S

    @property
    def duration_s(self) -> float:
        """Seconds that came."""
        return self._length / self.sample_rate

    @property
    def quality(self) -> tuple[Finding, ...]:
        """What is wrong with the last seconds: as `Recording.warnings`, and contact noise, speech, …"""
        return (
            *self._survey.latest_findings(),
            *(each for one in self._predicted for each in one.findings()),
        )

    def feed(self, samples: npt.ArrayLike) -> list[Event]:
        """Take in the next sound and return the events that it settles, by channel, then by start.

        `samples` is ``(samples,)`` or ``(channels, samples)``, any number of them. Floats have full scale 1,
        and what is above it is cut off; integers as for :meth:`Recording.from_array`.
        """
        if self._analysis is not None:
            raise LaennecError(f"{self.name}: has ended; begin another stream")
        block = self._checked(samples)
        self._length += block.shape[1]
        self._survey.add(block)
        chunks = (chunk for part in self._resampler.feed(block) for chunk in self._frames.feed(part))
        return self._told(chunks)

    def finish(self) -> Analysis:
        """End the sound, and return the analysis of all of it; LaennecError where none came."""
        if self._analysis is None:
            if not self._length:
                raise LaennecError(f"{self.name}: empty, no sound came")
            rest = (chunk for part in self._resampler.finish() for chunk in self._frames.feed(part))
            self._told(itertools.chain(rest, self._frames.finish()))
            self._analysis = self._summarised()
        return self._analysis

    def _checked(self, samples: npt.ArrayLike) -> Array:
        array = np.asarray(samples)
        if (
            array.ndim not in (1, 2)
            or (array.ndim == 1 and self.channels > 1)
            or (array.ndim == 2 and len(array) != self.channels)
        ):
            expected = f"({self.channels}, samples)" + (" or (samples,)" if self.channels == 1 else "")
            raise LaennecError(f"{self.name}: expected samples of shape {expected}, got {array.shape}")
        block = np.atleast_2d(as_float32(array, self.name))
        self._non_finite += int(set_non_finite_to_zero(block).sum())
        self._above += int(np.count_nonzero(np.abs(block) > 1))
        return np.clip(block, -1.0, 1.0, out=block)

    def _told(self, chunks: Iterator[tuple[Frames, ...]]) -> list[Event]:
        """Hand chunks of frames to the stages, one at a time, and return the events to tell."""
        told: list[Event] = []
        self._frames.levels = self._levels or self._survey.levels
        for chunk in chunks:
            self._handed.append(chunk)
            for channel, frames, (events, segments) in zip(
                self._predicted, chunk, next(self._settled), strict=True
            ):
                told += channel.add(frames, events, segments, self._model.card, self._any_sound)
            self.settled_s = chunk[0].end_s
        return told

    def _summarised(self) -> Analysis:
        survey = self._survey.finish()
        silent = tuple(number for number, share in enumerate(survey.silent_shares()) if share == 1)
        recording = Recording(
            self.sample_rate,
            self.channels,
            self._length,
            self.name,
            warnings=self._survey.findings(),
            twins=survey.twins,
            silent_channels=silent,
            step=survey.step,
            peak=survey.peak,
            levels=survey.levels,
        )
        remarks = Remarks()
        if self._non_finite:
            remarks.repairs.append(f"{counted(self._non_finite, 'NaN or infinite sample')} set to zero")
        if self._above:
            remarks.repairs.append(f"{counted(self._above, 'sample')} above full scale cut off")
        numbers = channels_of(recording, self._model.card, self._patient, remarks)
        channels = [self._predicted[number].channel for number in numbers]
        for channel in channels:
            channel.events[:] = without_refused(channel.events, channel.segments)
        return summarise(recording, channels, self._model, self._patient, remarks, "detected")


class _Running:
    """A channel that is still heard: what is settled, and what its latest sound is like."""

    def __init__(self, number: int) -> None:
        self.channel = Channel(number)
        self._latest: Frames | None = None
        self._like: Segment | None = None  # the latest sound
        self._waiting: list[Event] = []

    def add(
        self,
        frames: Frames,
        events: list[Event],
        segments: list[Segment],
        card: RecordingCard,
        any_sound: bool,
    ) -> list[Event]:
        """Take in what a chunk of frames settles; return the events to tell now.

        An event in a segment that was refused is never told. One in sound that would be refused waits.
        """
        self.channel.add(events, segments)
        latest = frames.after(self._latest)
        first = max(latest.first, latest.end - round(JUDGED_S / card.frame_s))
        self._latest = latest.cut(first, latest.end)
        if (self._latest.end - first) * card.frame_s >= SHORTEST_JUDGED_S or frames.last:
            self._like = predict_segment(self._latest, card, SILENT_RANGE, any_sound)
        told, self._waiting = in_segments([*self._waiting, *events], [self.channel])
        if self._like is not None and self._like.refused is None:
            told, self._waiting = told + self._waiting, []
        return told

    def findings(self) -> Iterator[Finding]:
        """What the latest sound is like, where that is no lung, or a chest piece that is touched."""
        number, like = self.channel.number, self._like
        if like is not None and like.heard_as is not None:
            yield Finding(like.heard_as, unlike(like.heard_as), channel=number)
        if like is not None and like.loud >= LOUD_SHARE:
            yield Finding("contact_noise", contact_noise(like.loud), like.loud, number)
