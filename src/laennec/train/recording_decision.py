"""Thresholds and calibration of a model for whole recordings, from recordings of patients not trained on.

Where recordings are of several data sets, or held out in several ways, whatever is chosen is what does best
on the group where it does worst.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from laennec.labels import POOR_QUALITY, SPRSOUND_RECORDS
from laennec.model.card import EventRule
from laennec.model.probability import softmax
from laennec.score.calibration import COVERAGE
from laennec.score.predictions import Predictions
from laennec.score.tasks import shifted, task_scores
from laennec.train.decision import fit_with_evidence
from laennec.train.recording_predictions import Scaling

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Names = NDArray[np.str_]

RULES = tuple(
    EventRule(class_weight=weight, class_presence=presence, class_bias=bias)
    for weight in (0.2, 0.3, 0.4)
    for presence in (0.0, 0.3)
    for bias in (0.4, 0.7, 1.0)
)
# Tried one after the other on the best of these: how many events are found is a matter of these two.
FINER = {"bias": (-0.5, 0.5, 1.0), "edge_cost": (-1.5, -0.5, 0.0)}
SHIFTS = np.linspace(-0.5, 3.0, 36)
# Of Poor Quality, which the Score never rewards; beyond the last, no more than refusals are answered so.
POOR_SHIFTS = (0.0, 1.0, 2.0, 4.0)


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
    task_poor_shift: dict[str, float] = field(default_factory=dict)
    event_presence: Sequence[float] = ()
    hit_certain: float = 0.0
    record_evidence: Sequence[float] = ()
    normal_certain: float | None = None
    sick_certain: float | None = None
    shift = 0.0  # of the network, in which nothing is shifted

    @property
    def temperature(self) -> float:
        """Of the record labels, for a run's summary."""
        return self.record_temperature

    @property
    def event_scaling(self) -> Scaling:
        """Temperature and bias of the classes of events."""
        return self.event_temperature, self.event_bias

    def entries(self) -> dict[str, Any]:
        """Entries of the model file's card."""
        return asdict(self)

    @staticmethod
    def of(entries: dict[str, Any]) -> "RecordingDecision":
        """From what `entries` gave."""
        return RecordingDecision(**{**entries, "rule": EventRule(**entries["rule"])})


@dataclass(frozen=True)
class Labelled:
    """Logits ``(items, classes)`` with what is annotated, and of whom in which group: ``(items,)`` each."""

    logits: NDArray[Any]
    labels: NDArray[Any]
    subjects: NDArray[Any]
    groups: NDArray[Any]

    @staticmethod
    def of(rows: Sequence[tuple[NDArray[Any], int, str, str]]) -> "Labelled":
        """From the logits, label, patient and group of each item."""
        return Labelled(*(np.array(column) for column in zip(*rows, strict=True)))

    def chosen(self, rows: Mask) -> "Labelled":
        """Some of the items."""
        return Labelled(*(column[rows] for column in vars(self).values()))

    def fit(
        self, weights: Floats | None = None, evidence: Floats | None = None
    ) -> tuple[float, list[float], list[float]]:
        """Temperature, bias, and weights of the ``(items, kinds, classes)`` evidence that fit the items.

        Those that fit a group, or all groups, are tried on every group, and lose there against what fits it
        by itself; that of the smallest greatest loss is taken (minimax regret: Savage, JASA 46, 1951).
        `weights` are of the items; without them, every group weighs the same.
        """
        logits, labels = (np.asarray(own, kind) for own, kind in ((self.logits, float), (self.labels, int)))
        design = np.zeros((len(labels), 0, logits.shape[1])) if evidence is None else evidence
        masks = [self.groups == group for group in np.unique(self.groups)]
        weight = np.select(masks, [1 / mask.sum() for mask in masks]) if weights is None else weights

        def fitted(rows: Mask) -> tuple[float, list[float], list[float]]:
            own, of, heavy, more = (torch.from_numpy(x[rows]) for x in (logits, labels, weight, design))
            return fit_with_evidence(own, of, weight=heavy, evidence=more)

        fits = [fitted(mask) for mask in masks]
        if len(masks) == 1:
            return fits[0]
        fits.append(fitted(np.ones(len(labels), bool)))
        losses = np.zeros((len(fits), len(masks)))
        for number, (temperature, bias, factors) in enumerate(fits):
            added = np.einsum("k,nkc->nc", np.array(factors), design)
            chances = softmax(logits / temperature + bias + added)
            each = -np.log(np.maximum(chances[np.arange(len(labels)), labels], 1e-300))
            losses[number] = [np.average(each[mask], weights=weight[mask]) for mask in masks]
        return fits[int((losses - np.diag(losses)).max(1).argmin())]

    def predictions(self, probabilities: Floats, classes: Sequence[str]) -> Predictions:
        """Probabilities of the items as the scoring path takes them."""
        ids = tuple(map(str, range(len(self.labels))))
        names = tuple(classes[label] for label in self.labels)
        return Predictions(ids, tuple(self.subjects.tolist()), names, tuple(classes), probabilities)

    def task_shifts(self, probabilities: Floats) -> dict[str, tuple[float, float]]:
        """Shifts of Normal and of Poor Quality of the best Score, for each task that the labels are of."""
        if self.logits.shape[1] != len(SPRSOUND_RECORDS):
            return {}
        scores: dict[str, list[list[float]]] = {}
        pairs = [(float(normal), poor) for poor in POOR_SHIFTS for normal in SHIFTS]
        for group in np.unique(self.groups):
            rows = self.groups == group
            predictions = self.chosen(rows).predictions(probabilities[rows], SPRSOUND_RECORDS)
            tasks = [task_scores(decided(predictions, *pair), draws=0) for pair in pairs]
            for task in tasks[0]:
                own = [each[task]["scores"]["challenge_score"] or 0.0 for each in tasks]
                scores.setdefault(task.removeprefix("task_"), []).append(own)
        return {task: pairs[int(np.min(own, axis=0).argmax())] for task, own in scores.items()}


def decided(predictions: Predictions, normal: ArrayLike, poor: ArrayLike) -> Predictions:
    """As the challenge's tasks are answered: with shifts of Normal and of Poor Quality."""
    return shifted(shifted(predictions, normal), poor, POOR_QUALITY)


def covering(values: Floats, groups: Names) -> float:
    """The value that `COVERAGE` of each group exceed."""
    lowest = min(np.quantile(values[groups == group], 1 - COVERAGE) for group in np.unique(groups))
    return round(float(lowest), 4)


def fit_hits(features: Floats, hit: Mask, groups: Names) -> list[float]:
    """Weights of `laennec.model.probability.hit_probability`; none where all are hits, or none is."""
    if hit.all() or not hit.any():
        return []
    design = np.stack([np.zeros_like(features), features], axis=-1)
    names = np.zeros(len(hit), str)
    items = Labelled(np.zeros((len(hit), 2)), hit.astype(int), names, groups)
    _, bias, weights = items.fit(evidence=design)
    return [round(bias[1] - bias[0], 4), *weights]
