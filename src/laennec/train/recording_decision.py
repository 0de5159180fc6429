"""Thresholds and calibration of a model for whole recordings, from recordings of patients not trained on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from laennec.analyze.events import families
from laennec.labels import SPRSOUND_RECORDS
from laennec.model.card import EventRule
from laennec.model.probability import calibrated
from laennec.score.calibration import COVERAGE
from laennec.score.events import Span, match_events
from laennec.score.predictions import Predictions
from laennec.score.tasks import shifted, task_scores
from laennec.train.decision import fit_scaling
from laennec.train.recording_predictions import FloatSpan, RecordingOutput, Scaling

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

RULES = tuple(
    EventRule(class_weight=weight, class_presence=presence, class_bias=bias)
    for weight in (0.2, 0.3, 0.4)
    for presence in (0.0, 0.3)
    for bias in (0.4, 0.7, 1.0)
)
SHIFTS = np.linspace(-0.5, 3.0, 36)
REFUSED = 0.03  # of the real recordings of each data set, at the threshold that is chosen


@dataclass(frozen=True)
class RecordingDecision:
    """What turns outputs into events, probabilities, abstention and refusal; stands in the card."""

    rule: EventRule = field(default_factory=EventRule)
    event_temperature: float = 1.0
    event_bias: Sequence[float] = ()
    record_temperature: float = 1.0
    record_bias: Sequence[float] = ()
    event_certain: float = 0.0
    record_certain: float = 0.0
    lung_share: float = 0.0
    task_shift: dict[str, float] = field(default_factory=dict)
    shift = 0.0  # of the network, in which nothing is shifted

    @property
    def temperature(self) -> float:
        """Of the record labels, for a run's summary."""
        return self.record_temperature

    def entries(self) -> dict[str, Any]:
        """Entries of the model file's card."""
        return asdict(self)

    @staticmethod
    def of(entries: dict[str, Any]) -> "RecordingDecision":
        """From what `entries` gave."""
        return RecordingDecision(**{**entries, "rule": EventRule(**entries["rule"])})


@dataclass(frozen=True)
class Labelled:
    """Logits with what is annotated: ``(items, classes)`` and three times ``(items,)``."""

    logits: NDArray[Any]
    labels: NDArray[Any]
    subjects: NDArray[Any]
    folds: NDArray[Any]

    @staticmethod
    def of(rows: Sequence[tuple[NDArray[Any], int, str, str]]) -> "Labelled":
        """From the logits, label, patient and fold of each item."""
        return Labelled(*(np.array(column) for column in zip(*rows, strict=True)))

    def chosen(self, rows: Mask) -> "Labelled":
        """Some of the items."""
        return Labelled(*(column[rows] for column in vars(self).values()))

    def scaling(self) -> tuple[float, list[float]]:
        """Temperature and bias that fit the items."""
        logits = torch.from_numpy(np.asarray(self.logits, np.float64))
        return fit_scaling(logits, torch.from_numpy(np.asarray(self.labels, np.int64)))

    def predictions(self, probabilities: Floats, classes: Sequence[str]) -> Predictions:
        """Probabilities of the items as the scoring path takes them."""
        ids = tuple(map(str, range(len(self.labels))))
        names = tuple(classes[label] for label in self.labels)
        return Predictions(ids, tuple(self.subjects.tolist()), names, tuple(classes), probabilities)

    def task_shifts(self, scaling: Scaling) -> dict[str, float]:
        """Shift of Normal of the best Score, for each of the challenge's tasks that the labels are of."""
        if self.logits.shape[1] != len(SPRSOUND_RECORDS):
            return {}
        predictions = self.predictions(calibrated(self.logits, *scaling), SPRSOUND_RECORDS)
        tasks = [task_scores(shifted(predictions, shift), draws=0) for shift in SHIFTS]
        scores = {
            task: [each[task]["scores"]["challenge_score"] or 0.0 for each in tasks] for task in tasks[0]
        }
        return {task.removeprefix("task_"): float(SHIFTS[np.argmax(own)]) for task, own in scores.items()}


class RuleSearch:
    """Matches of every rule on every recording; a rule is as good as the mean F of the three families.

    So that normal breaths do not decide alone.
    """

    def __init__(self, recordings: Sequence[RecordingOutput], labels: Sequence[str]) -> None:
        self.spans = [[own.decoded(rule, labels) for own in recordings] for rule in RULES]
        family = dict(zip(labels, families(labels), strict=True))
        self.counts = np.array(
            [
                [
                    _counts(own.annotated(labels), own.named(decoded, labels), family)
                    for own, decoded in zip(recordings, spans, strict=True)
                ]
                for spans in self.spans
            ]
        )

    def best(self, rows: Mask | slice = slice(None)) -> int:
        """Number of the best rule on these recordings."""
        matched, of_both = self.counts[:, rows].sum(1).transpose(1, 0, 2)
        return int((2 * matched / np.maximum(of_both, 1)).mean(1).argmax())


def _counts(
    reference: Sequence[Span], estimated: Sequence[Span], family: dict[str, int]
) -> list[tuple[int, ...]]:
    """Matches of each family, and events of it among both, ``(2, 3)``."""
    counts = []
    for number in range(3):
        mine, own = (
            [(a, b, "") for a, b, label in events if family[label] == number]
            for events in (reference, estimated)
        )
        counts.append((len(match_events(mine, own, agnostic=True)), len(mine) + len(own)))
    return list(zip(*counts, strict=True))


def matched_events(
    recordings: Sequence[RecordingOutput], spans: Sequence[Sequence[FloatSpan]]
) -> Labelled | None:
    """Decoded events that match an annotated one, whatever its class; None where a fold has none."""
    rows = []
    for recording, own in zip(recordings, spans, strict=True):
        estimated = [(a, b, "event") for a, b in own]
        reference = [(float(a), float(b), "event") for a, b in recording.spans]
        rows += [
            (
                recording.event_logits(*own[match]),
                int(recording.labels[which]),
                recording.subject,
                recording.fold,
            )
            for which, match in match_events(reference, estimated, agnostic=True)
        ]
    complete = len({row[3] for row in rows}) == len({own.fold for own in recordings})
    return Labelled.of(rows) if complete else None


def labelled_records(recordings: Sequence[RecordingOutput]) -> Labelled | None:
    """The recordings with a record label, where there are any."""
    rows = [(own.record_logits, own.record, own.subject, own.fold) for own in recordings if own.record >= 0]
    return Labelled.of(rows) if rows else None


def lung_shares(recordings: Sequence[RecordingOutput]) -> tuple[Floats, Mask]:
    """Probability of each recording to be of a lung, and whether it is of the annotated data set."""
    shares = np.array([calibrated(own.kind_logits, 1.0)[0] for own in recordings])
    return shares, np.array([own.placed for own in recordings])


def lung_threshold(shares: Floats, own: Mask) -> float:
    """Refuses `REFUSED` of each data set or less."""
    return float(min(np.quantile(shares[mask], REFUSED) for mask in (own, ~own) if mask.any()))


def fit_recording_decision(recordings: Sequence[RecordingOutput], labels: Sequence[str]) -> RecordingDecision:
    """What fits these recordings, whose patients the network was not trained on."""
    annotated = [own for own in recordings if own.placed]
    search = RuleSearch(annotated, labels)
    best = search.best()
    return decision_with(recordings, RULES[best], matched_events(annotated, search.spans[best]))


def decision_with(
    recordings: Sequence[RecordingOutput], rule: EventRule, events: Labelled | None
) -> RecordingDecision:
    """What fits these recordings with a rule, and the events that were matched, where there are any."""
    records = labelled_records([own for own in recordings if own.placed])
    event_scaling, event_certain = _fitted(events)
    record_scaling, record_certain = _fitted(records)
    shifts = {} if records is None else records.task_shifts(record_scaling)
    return RecordingDecision(
        rule,
        *event_scaling,
        *record_scaling,
        event_certain,
        record_certain,
        round(lung_threshold(*lung_shares(recordings)), 4),
        {task: round(shift, 3) for task, shift in shifts.items()},
    )


def _fitted(items: Labelled | None) -> tuple[tuple[float, list[float]], float]:
    """Scaling of the items, and the probability that the surest `COVERAGE` of them exceed."""
    if items is None:
        return (1.0, []), 0.0
    scaling = items.scaling()
    surest = calibrated(items.logits, *scaling).max(1)
    return scaling, round(float(np.quantile(surest, 1 - COVERAGE)), 4)
