"""How far probabilities can be trusted: Brier score, calibration, and risk where a model may abstain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from laennec.score.bootstrap import DRAWS, Interval, Patients, Score, over_patients
from laennec.score.confusion import Floats, class_indices, first_index, ratio
from laennec.score.predictions import Predictions
from laennec.score.ranking import descending

ECE_BINS = 15  # Guo et al., "On calibration of modern neural networks", ICML 2017, section 4
COVERAGE = 0.8  # of the clips, where a model may abstain


def brier_score(labels: Sequence[str], probabilities: ArrayLike, classes: Sequence[str]) -> float:
    """Mean over clips of the squared distance between probabilities and truth, in [0, 2].

    Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78(1), 1950.
    """
    return float(brier_terms(labels, probabilities, classes).mean())


def brier_terms(labels: Sequence[str], probabilities: ArrayLike, classes: Sequence[str]) -> Floats:
    """Return the squared distance between the probabilities and the truth of each clip, ``(clips,)``."""
    truth = np.eye(len(classes))[class_indices(labels, classes)]
    return np.asarray(((np.asarray(probabilities, np.float64) - truth) ** 2).sum(axis=1))


def confidence_and_truth(
    labels: Sequence[str], probabilities: ArrayLike, classes: Sequence[str]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the highest probability of each clip and whether it is that of the annotated class."""
    rows = np.asarray(probabilities, np.float64)
    return rows.max(axis=1), rows.argmax(axis=1) == class_indices(labels, classes)


def expected_calibration_error(
    labels: Sequence[str], probabilities: ArrayLike, classes: Sequence[str], bins: int = ECE_BINS
) -> float:
    """Mean gap between confidence and accuracy over equal-width bins of confidence, weighted by clips.

    The confidence is the highest probability of a clip; bins are open below and closed above. Guo et al.,
    "On calibration of modern neural networks", ICML 2017, eq. 3.
    """
    gaps = calibration_gaps(labels, probabilities, classes, bins)
    return float(error_of_gaps(gaps.sum(axis=0), len(gaps)))


def calibration_gaps(
    labels: Sequence[str], probabilities: ArrayLike, classes: Sequence[str], bins: int = ECE_BINS
) -> Floats:
    """Return what each clip adds to the gaps of :func:`expected_calibration_error`, ``(clips, bins)``.

    Gaps add up over the clips of a patient, so that they can be resampled
    (:func:`laennec.score.bootstrap.over_patients`).
    """
    return _gaps(*confidence_and_truth(labels, probabilities, classes), bins)


def _gaps(confidence: Floats, correct: NDArray[np.bool_], bins: int = ECE_BINS) -> Floats:
    bin_of_clip = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return np.asarray(np.eye(bins)[bin_of_clip] * (correct - confidence)[:, None])


def probability_error(
    probability: Floats,
    happened: NDArray[np.bool_],
    subjects: Sequence[str] | NDArray[Any],
    draws: int = DRAWS,
    weights: Floats | None = None,
) -> Score:
    """Return the calibration error of probabilities ``(items,)`` of something that happened or did not.

    Mean gap between them and how often it did, over equal-width bins, weighted by items, or their `weights`;
    the interval is over patients, and lies too high by what resampling widens each bin's gap.
    """
    each = np.ones(len(probability)) if weights is None else weights
    gaps = _gaps(probability, happened) * each[:, None]
    sums = Patients.of(subjects).sums(np.column_stack([gaps, each]))
    return over_patients(sums, lambda drawn: {"ece": error_of_gaps(drawn[:, :-1], drawn[:, -1])}, draws)[
        "ece"
    ]


def error_of_gaps(gaps: Floats, clips: ArrayLike) -> Floats:
    """Return the calibration error ``(...)`` of summed gaps ``(..., bins)`` of so many clips ``(...)``."""
    return ratio(np.abs(gaps).sum(axis=-1), clips)


@dataclass(frozen=True)
class Reliability:
    """How often a model is right by how sure it is; bins without clips have NaN in both means."""

    edges: Floats
    """(bins + 1,) of the confidence, rising; a bin is open below and closed above."""
    confidence: Floats
    """(bins,) mean of the highest probability."""
    accuracy: Floats
    """(bins,) share of clips given their exact class."""
    count: NDArray[np.int64]
    """(bins,) clips."""


def reliability(
    labels: Sequence[str],
    probabilities: ArrayLike,
    classes: Sequence[str],
    bins: int = ECE_BINS,
    equal_mass: bool = False,
) -> Reliability:
    """Return the reliability diagram: accuracy against confidence, the highest probability of a clip.

    With bins of equal width, the mean gap between the two, weighted by clips, is
    :func:`expected_calibration_error`. Guo et al., "On calibration of modern neural networks", ICML 2017,
    section 2.

    Parameters
    ----------
    labels : (clips,) annotated classes
    probabilities : (clips, classes) array
    classes : names of the columns
    bins : how many
    equal_mass : edges at quantiles of the confidence, so that bins hold about the same number of clips; clips
        of the same confidence stay together, so there may be fewer bins. Otherwise bins have equal widths.

    Raises
    ------
    ValueError
        If there is no clip or no bin.
    """
    if len(labels) == 0 or bins < 1:
        raise ValueError(f"{len(labels)} clips and {bins} bins; expected at least one of each")
    confidence, correct = confidence_and_truth(labels, probabilities, classes)
    edges = np.linspace(0, 1, bins + 1)
    if equal_mass:
        edges = np.unique(np.quantile(confidence, edges))
        edges = np.repeat(edges, 2) if len(edges) == 1 else edges
    place = np.searchsorted(edges[1:-1], confidence, side="left")
    count = np.bincount(place, minlength=len(edges) - 1)
    return Reliability(
        edges=edges,
        confidence=ratio(np.bincount(place, confidence, len(count)), count),
        accuracy=ratio(np.bincount(place, correct, len(count)), count),
        count=count,
    )


@dataclass(frozen=True)
class RiskCoverage:
    """What a model gets wrong of the clips that it answers, if it answers only where it is sure enough."""

    coverage: Floats
    """(thresholds,) share of clips answered, rising to 1."""
    risk: Floats
    """(thresholds,) share of the answered clips that are wrong."""
    threshold: Floats
    """(thresholds,) the least confidence answered, falling."""
    area: float
    """Area under the curve, in [0, 1]; 0 for a model that is never wrong."""


def risk_coverage(confidence: ArrayLike, correct: ArrayLike) -> RiskCoverage:
    """Return risk against coverage, one point a distinct confidence.

    El-Yaniv & Wiener, "On the foundations of noise-free selective classification", JMLR 11, 2010. The area
    is the mean of the risk over coverages (Geifman et al., ICLR 2019); tied clips are answered together.

    Parameters
    ----------
    confidence : (clips,) numbers, higher for surer
    correct : (clips,) booleans

    Raises
    ------
    ValueError
        If the lengths differ, there is no clip, or a confidence is no number.
    """
    confidence, correct = np.asarray(confidence, np.float64), np.asarray(correct, bool)
    if confidence.shape != correct.shape or confidence.ndim != 1 or confidence.size == 0:
        raise ValueError(f"{confidence.shape} confidences and {correct.shape} answers; expected one per clip")
    if np.isnan(confidence).any():
        raise ValueError(f"the confidence of clip {first_index(np.isnan(confidence))} is no number")
    order, ends = descending(confidence)
    answered = ends + 1
    risk = np.cumsum(~correct[order])[ends] / answered
    coverage = answered / len(order)
    area = float((np.diff(coverage, prepend=0) * risk).sum())
    return RiskCoverage(coverage, risk, confidence[order][ends], area)


def risk_at(confidence: ArrayLike, correct: ArrayLike, coverage: float) -> float:
    """Return the share of wrong answers where at least `coverage` of the clips, the surest, are answered.

    Parameters
    ----------
    confidence, correct : as for :func:`risk_coverage`
    coverage : in (0, 1]; tied clips are answered together, so more may be answered

    Raises
    ------
    ValueError
        From :func:`risk_coverage`, or if `coverage` lies outside.
    """
    if not 0 < coverage <= 1:
        raise ValueError(f"a coverage of {coverage:g} is outside (0, 1]")
    curve = risk_coverage(confidence, correct)
    return float(curve.risk[np.searchsorted(curve.coverage, coverage - 1e-12)])


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
    """Compute calibration and risk of one run's predictions of clips, events or recordings."""
    labels, probabilities, classes = predictions.labels, predictions.probabilities, predictions.classes
    patients = Patients.of(predictions.subjects)
    gaps = calibration_gaps(labels, probabilities, classes)
    sums = patients.sums(np.column_stack([gaps, np.ones(len(gaps))]))

    def error(drawn: Floats) -> Mapping[str, Floats]:
        return {"ece": error_of_gaps(drawn[:, :-1], drawn[:, -1])}

    ece = over_patients(sums, error, draws, seed)["ece"]
    confidence, correct = confidence_and_truth(labels, probabilities, classes)
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
