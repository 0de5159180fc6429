"""One row per recording of a folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from laennec.analyze.analysis import Analysis, RecordAnswer


@dataclass(frozen=True)
class Summary:
    """What is kept of a recording among many, whose name is its path below the folder that was given.

    Label to rate are of the answer for the whole recording; `events` counts those of each class of the model,
    of which `normal` is normal breathing; `quality` has the kinds of what is wrong with the recording;
    `error` is why it could not be analysed, or its results not be written.
    """

    recording: str
    label: str | None = None
    probability: float | None = None
    uncertain: bool = False
    refused: str | None = None
    rate_per_min: float | None = None
    rate_quality: str = ""
    duration_s: float | None = None
    events: Mapping[str, int] = field(default_factory=dict)
    normal: str = ""
    quality: tuple[str, ...] = ()
    error: str | None = None


def summary(analysis: Analysis, recording: str) -> Summary:
    """Return what is kept of an analysis among many."""
    return replace(
        answer_summary(analysis.record or RecordAnswer(None, None, {}), recording),
        duration_s=analysis.duration_s,
        events={label: sum(e.label == label for e in analysis.events) for label in analysis.labels},
        normal=analysis.normal,
        quality=tuple(dict.fromkeys(finding.kind for finding in analysis.quality)),
    )


def answer_summary(record: RecordAnswer, recording: str) -> Summary:
    """Return what is kept of the answer for a whole recording, or for one channel."""
    per_min, quality = (record.rate.per_min, record.rate.quality) if record.rate else (None, "")
    return Summary(
        recording, record.label, record.probability, record.uncertain, record.refused, per_min, quality
    )
