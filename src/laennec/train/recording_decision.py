"""Thresholds and calibration of a model for whole recordings, from recordings of patients not trained on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from laennec.analyze.decode import families
from laennec.labels import CHALLENGE_TASKS, RECORD_TASKS, SPRSOUND_RECORDS
from laennec.model.card import EventRule
from laennec.model.probability import calibrated
from laennec.score.certainty import COVERAGE
from laennec.score.confusion import challenge_score
from laennec.score.events import Span, match_events
from laennec.train.decision import fit_scaling
from laennec.train.recording_predictions import FloatSpan, RecordingOutput

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
# Of each task, which record labels a class of it is.
TASKS = {
    str(task): tuple(tuple(map(SPRSOUND_RECORDS.index, group)) for group in CHALLENGE_TASKS[task].values())
    for task in RECORD_TASKS
}
NORMAL = 0


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

    @property
    def temperature(self) -> float:
        """Of the record labels, for a run's summary."""
        return self.record_temperature

    @property
    def shift(self) -> float:
        """Nothing is shifted in the network."""
        return 0.0

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


class RuleSearch:
    """Matches of every rule on every recording; a rule is as good as the mean F of the three families.

    So that normal breaths do not decide alone.
    """

    def __init__(self, recordings: Sequence[RecordingOutput], labels: Sequence[str]) -> None:
        self.rules = RULES
        self.spans = [[own.decoded(rule, labels) for own in recordings] for rule in self.rules]
        self.counts = np.array(
            [
                [
                    _counts(own.annotated(labels), own.named(found, labels), labels)
                    for own, found in zip(recordings, spans, strict=True)
                ]
                for spans in self.spans
            ]
        )

    def best(self, rows: Mask) -> int:
        """Number of the best rule on these recordings."""
        matched, of_both = self.counts[:, rows].sum(1).transpose(1, 0, 2)
        return int((2 * matched / np.maximum(of_both, 1)).mean(1).argmax())


def _counts(reference: Sequence[Span], estimated: Sequence[Span], labels: Sequence[str]) -> NDArray[np.int64]:
    """Matches of each family, and events of it among both, ``(2, 3)``."""
    family = dict(zip(labels, families(labels), strict=True))
    counts = np.zeros((2, 3), np.int64)
    for number in range(3):
        mine, own = (
            [(a, b, "") for a, b, label in events if family[label] == number]
            for events in (reference, estimated)
        )
        counts[:, number] = len(match_events(mine, own, agnostic=True)), len(mine) + len(own)
    return counts


def matched_events(
    recordings: Sequence[RecordingOutput], spans: Sequence[Sequence[FloatSpan]]
) -> Labelled | None:
    """Decoded events that match an annotated one, whatever its class; None where a fold has none."""
    rows: list[tuple[NDArray[Any], int, str, str]] = []
    for recording, own in zip(recordings, spans, strict=True):
        estimated = [(a, b, "event") for a, b in own]
        reference = [(float(a), float(b), "event") for a, b in recording.spans]
        for which, found in match_events(reference, estimated, agnostic=True):
            logits = recording.event_logits(*own[found])
            rows.append((logits, int(recording.labels[which]), recording.subject, recording.fold))
    if len({row[3] for row in rows}) < len({own.fold for own in recordings}):
        return None
    logits, labels, subjects, folds = zip(*rows, strict=True)
    return Labelled(np.stack(logits), np.array(labels), np.array(subjects), np.array(folds))


def labelled_records(recordings: Sequence[RecordingOutput]) -> Labelled | None:
    """The recordings with a record label, where there are any."""
    known = [own for own in recordings if own.record >= 0]
    if not known:
        return None
    return Labelled(
        np.stack([own.record_logits for own in known]),
        np.array([own.record for own in known]),
        np.array([own.subject for own in known]),
        np.array([own.fold for own in known]),
    )


def scaling_of(items: Labelled, rows: Mask | slice = slice(None)) -> tuple[float, list[float]]:
    """Temperature and bias of some of the items."""
    logits = torch.from_numpy(np.asarray(items.logits[rows], np.float64))
    return fit_scaling(logits, torch.from_numpy(np.asarray(items.labels[rows], np.int64)))


def certain_of(items: Labelled, scaling: tuple[float, list[float]]) -> float:
    """Probability that the surest `COVERAGE` of the items exceed."""
    return round(float(np.quantile(calibrated(items.logits, *scaling).max(1), 1 - COVERAGE)), 4)


def grouped(probabilities: Floats, task: str) -> Floats:
    """Probabilities of a task's classes of those of the record labels, ``(items, classes)``."""
    return np.stack([probabilities[:, list(group)].sum(1) for group in TASKS[task]], axis=1)


def task_labels(labels: NDArray[Any], task: str) -> NDArray[np.int64]:
    """Record labels as a task's classes."""
    index = np.zeros(5, int)
    for number, group in enumerate(TASKS[task]):
        index[list(group)] = number
    return np.asarray(index[labels])


def shifted_classes(probabilities: Floats, shift: float) -> NDArray[np.int64]:
    """The likeliest class once Normal, the first, was made less likely by ``exp(shift)``."""
    moved = probabilities.copy()
    moved[:, NORMAL] *= np.exp(-shift)
    return np.asarray(moved.argmax(1))


def task_score(labels: NDArray[Any], predicted: NDArray[Any], classes: int) -> tuple[float, float, float]:
    """Sensitivity, specificity and Score of record tasks: Poor Quality, the last class, counts in neither."""
    sick = (labels > 0) & (labels < classes - 1)
    well = labels == NORMAL
    se = float((predicted[sick] == labels[sick]).mean()) if sick.any() else np.nan
    sp = float((predicted[well] == NORMAL).mean()) if well.any() else np.nan
    return se, sp, float(challenge_score(se, sp))


def best_task_shift(probabilities: Floats, labels: NDArray[Any], classes: int) -> float:
    """The shift of the best Score."""
    scores = [task_score(labels, shifted_classes(probabilities, shift), classes)[2] for shift in SHIFTS]
    return float(SHIFTS[int(np.argmax(np.nan_to_num(scores)))])


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
    best = search.best(np.ones(len(annotated), bool))
    return decision_with(recordings, search.rules[best], matched_events(annotated, search.spans[best]))


def decision_with(
    recordings: Sequence[RecordingOutput], rule: EventRule, events: Labelled | None
) -> RecordingDecision:
    """What fits these recordings with a rule, and the events that were matched, where there are any."""
    nothing: tuple[float, list[float]] = (1.0, [])
    event_scaling = nothing if events is None else scaling_of(events)
    records = labelled_records([own for own in recordings if own.placed])
    record_scaling = nothing
    shifts: dict[str, float] = {}
    if records is not None:
        record_scaling = scaling_of(records)
        if records.logits.shape[1] == 5:  # SPRSound's record labels, which the challenge's tasks are of
            probabilities = calibrated(records.logits, *record_scaling)
            shifts = {
                task: round(
                    best_task_shift(
                        grouped(probabilities, task), task_labels(records.labels, task), len(groups)
                    ),
                    3,
                )
                for task, groups in TASKS.items()
            }
    return RecordingDecision(
        rule,
        *event_scaling,
        *record_scaling,
        0.0 if events is None else certain_of(events, event_scaling),
        0.0 if records is None else certain_of(records, record_scaling),
        round(lung_threshold(*lung_shares(recordings)), 4),
        shifts,
    )
