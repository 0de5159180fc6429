"""How far probabilities can be trusted: calibration, and risk where a model may abstain."""

from collections.abc import Mapping
from typing import TypedDict

import numpy as np

from laennec.score.bootstrap import DRAWS, Interval, Patients, over_patients
from laennec.score.calibration import (
    brier_score,
    calibration_gaps,
    error_of_gaps,
    expected_calibration_error,
    reliability,
    risk_at,
)
from laennec.score.confusion import Floats, class_indices
from laennec.score.predictions import Predictions

COVERAGE = 0.8


class CertaintyScores(TypedDict):
    """Calibration and selective risk, ready for JSON."""

    items: int
    ece: float
    ece_interval: Interval | None
    """Too high by what resampling widens each bin's gap; it bounds the error from above."""
    brier: float
    risk: float
    """Share of wrong answers."""
    risk_at_80: float
    """The same where the surest 80 % are answered."""
    risk_curve: list[list[float]]
    """Coverage and risk."""
    reliability: list[list[float]]
    """Mean confidence, accuracy and items of each bin that holds some."""


def certainty_scores(predictions: Predictions, draws: int = DRAWS, seed: int = 0) -> CertaintyScores:
    """Compute calibration and risk of one run's predictions.

    Parameters
    ----------
    predictions : clips, events or recordings; ``(clips, classes)`` probabilities
    draws, seed : of the bootstrap over patients
    """
    labels, probabilities, classes = predictions.labels, predictions.probabilities, predictions.classes
    patients = Patients.of(predictions.subjects)
    gaps = calibration_gaps(labels, probabilities, classes)
    sums = patients.sums(np.column_stack([gaps, np.ones(len(gaps))]))

    def error(drawn: Floats) -> Mapping[str, Floats]:
        return {"ece": error_of_gaps(drawn[:, :-1], drawn[:, -1])}

    ece = over_patients(sums, error, draws, seed)["ece"]
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == class_indices(labels, classes)
    bins = reliability(labels, probabilities, classes)
    return {
        "items": len(labels),
        "ece": expected_calibration_error(labels, probabilities, classes),
        "ece_interval": ece.interval,
        "brier": brier_score(labels, probabilities, classes),
        "risk": float(1 - correct.mean()),
        "risk_at_80": risk_at(confidence, correct, COVERAGE),
        "risk_curve": [[k / 10, risk_at(confidence, correct, k / 10)] for k in range(1, 11)],
        "reliability": [
            [float(sure), float(right), int(count)]
            for sure, right, count in zip(bins.confidence, bins.accuracy, bins.count, strict=True)
            if count
        ],
    }
