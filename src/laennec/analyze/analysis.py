"""What an analysis holds: events, predictions for whole recordings, and what is needed to repeat it.

Plain frozen dataclasses, so that a result can be compared, copied and written down. Times are in seconds from
the start of the recording, channels count from 0, probabilities are calibrated and in [0, 1].
"""

from collections.abc import Mapping
from dataclasses import dataclass

from laennec.audio.quality import Finding


@dataclass(frozen=True)
class Relevance:
    """Where in time and frequency the evidence for an event's label lies.

    `values` is ``(rows, columns)``, low frequencies first, in [0, 1]: the evidence of each cell for the
    label, against the mean of the other classes, as a share of the largest; 0 where it speaks against it. The
    columns cover `start_s` to `end_s` evenly; `edges_hz`, rising, are the edges of the rows.
    """

    start_s: float
    end_s: float
    edges_hz: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Event:
    """A labelled part of a recording: its likeliest class, and the probability of every class.

    `annotated` is what a given events file calls it. `presence` is the mean probability, over the event, that
    there is an event at all; None where boundaries were given. The model abstains where the event is
    `uncertain`: its probability lies below the one at which the card's risk was measured. `relevance` is None
    for a model that cannot tell.
    """

    start_s: float
    end_s: float
    label: str
    probability: float
    probabilities: Mapping[str, float]
    channel: int = 0
    annotated: str | None = None
    presence: float | None = None
    uncertain: bool = False
    relevance: Relevance | None = None


@dataclass(frozen=True)
class RespiratoryRate:
    """Breaths a minute, from the onsets of the detected events; None where too few were found.

    `quality` is ``good``, ``doubtful`` or ``none``, `reason` says why, `breaths` counts the intervals between
    neighbouring onsets that it rests on.
    """

    per_min: float | None
    quality: str
    reason: str
    breaths: int


@dataclass(frozen=True)
class RecordingPrediction:
    """The prediction for a whole recording, or for one `channel` of it.

    Attributes
    ----------
    label : str or None
        One of SPRSound's record labels: ``Normal``, ``CAS`` (continuous adventitious sounds: wheeze,
        rhonchus, stridor), ``DAS`` (discontinuous: crackles), ``CAS & DAS``, ``Poor Quality``. None where it
        was refused.
    probability, probabilities
        Of `label`, and of every record label; None and empty where it was refused.
    uncertain : bool
        The model abstains, as for events.
    refused, heard_as : str or None
        Why there is none, for example ``sounds like speech, not like a lung``; None where one is. What it was
        heard as, of the model's sound classes, where it was refused for that: ``speech``.
    reasons : tuple of str
        What it rests on, in sentences.
    kinds : mapping of str to float
        How much it sounds like a lung, and like what else.
    """

    label: str | None
    probability: float | None
    probabilities: Mapping[str, float]
    uncertain: bool = False
    refused: str | None = None
    reasons: tuple[str, ...] = ()
    kinds: Mapping[str, float] | None = None
    rate: RespiratoryRate | None = None
    channel: int | None = None
    heard_as: str | None = None


RecordAnswer = RecordingPrediction  # its earlier name


@dataclass(frozen=True)
class RefusedPart:
    """A part of a channel that was not analysed; `refused` and `heard_as` as for a whole recording."""

    channel: int
    start_s: float
    end_s: float
    refused: str
    heard_as: str | None = None


@dataclass(frozen=True)
class CalibrationUsed:
    """A calibration for one's own device, by which the recording was answered.

    `name` and `sha256` are those of its file, made on `date` (as 2026-01-31) from so many `patients` and
    `recordings` of theirs.
    """

    name: str
    sha256: str
    date: str
    patients: int
    recordings: int


@dataclass(frozen=True)
class Analysis:
    """What was found in one recording, and all that is needed to find it again.

    Attributes
    ----------
    name, duration_s, sample_rate, channels
        The recording, as it was stored.
    events : tuple of Event
        By channel, then by start.
    segmentation : str
        ``detected``: found by the model; ``given``: events as given; ``windows``: windows of `window_s` every
        `hop_s`, averaged and merged, for a model that cannot detect.
    quality : tuple of Finding
        What is wrong with the recording and was left alone.
    repairs : tuple of str
        What was repaired: in the file in order to read it, or in the given events.
    notes : tuple of str
        What was not analysed and why, except the refused parts, and whatever else bears on the result.
    labels : tuple of str
        Classes of the model; `normal` is the one of normal breathing.
    age_years, sex, position
        What is known of the patient; None: not known. A model may make no use of it.
    record : RecordingPrediction or None
        All channels together; None where the model predicts none for whole recordings.
    channel_records : tuple of RecordingPrediction
        Each channel that was analysed.
    refused_parts : tuple of RefusedPart
        By channel, then by start; neighbouring ones of one reason are one.
    model_data, model_limits : str
        What the model learnt from, and what it is not for.
    calibration : CalibrationUsed or None
        That was used in place of the model's own.
    """

    name: str
    duration_s: float
    sample_rate: int
    channels: int
    events: tuple[Event, ...]
    segmentation: str
    window_s: float | None
    hop_s: float | None
    quality: tuple[Finding, ...]
    repairs: tuple[str, ...]
    notes: tuple[str, ...]
    model_name: str
    model_version: str
    model_sha256: str
    labels: tuple[str, ...]
    normal: str
    age_years: float | None = None
    sex: str | None = None
    position: str | None = None
    record: RecordingPrediction | None = None
    channel_records: tuple[RecordingPrediction, ...] = ()
    refused_parts: tuple[RefusedPart, ...] = ()
    model_data: str = ""
    model_limits: str = ""
    calibration: CalibrationUsed | None = None

    @property
    def adventitious(self) -> tuple[Event, ...]:
        """The events that are not normal breathing."""
        return tuple(event for event in self.events if event.label != self.normal)
