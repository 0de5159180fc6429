"""Logits become probabilities; those of events together with those of the recording that they are in."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from laennec.labels import EVENT_FAMILY, NORMAL, POOR_QUALITY

Array = npt.NDArray[np.float32]


def softmax(logits: npt.NDArray[Any], axis: int = -1) -> npt.NDArray[np.float64]:
    """Probabilities of logits along an axis, in double precision; logarithms of probabilities do as well."""
    powers = np.exp(logits - logits.max(axis, keepdims=True), dtype=np.float64)
    return np.asarray(powers / powers.sum(axis, keepdims=True))


def calibrated(
    logits: npt.NDArray[Any], temperature: float, bias: Sequence[float] | npt.NDArray[Any] = ()
) -> npt.NDArray[np.float64]:
    """Probabilities of logits ``(..., classes)``: divided by the temperature, the bias added, then softmax.

    A vector scaling with one slope for all classes (Guo et al., "On calibration of modern neural networks",
    ICML 2017, section 4.2).
    """
    return softmax(logits.astype(np.float64) / temperature + (np.asarray(bias) if len(bias) else 0.0))


def sigmoid(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Probabilities of logits of yes or no."""
    return 1.0 / (1.0 + np.exp(-logits.astype(np.float64)))


def summed(shares: npt.NDArray[Any], names: Sequence[str], of: Sequence[str]) -> npt.NDArray[np.float64]:
    """Sums of the ``(..., names)`` shares for each name in `of`; `names` may have one several times."""
    members = np.array([[each == name for each in names] for name in of], np.float64)
    return np.asarray(shares, np.float64) @ members.T


def log_odds(probabilities: npt.NDArray[Any], limit: float) -> npt.NDArray[np.float64]:
    """Logarithms of odds, at most `limit` either way."""
    inside = np.clip(np.asarray(probabilities, np.float64), 1e-12, 1 - 1e-12)
    return np.asarray(np.clip(np.log(inside) - np.log1p(-inside), -limit, limit))


# --- found events, and the recording ------------------------------------------------------------------------

SUREST = 7.0  # log-odds of an event's presence or class, beyond which they say no more
EVIDENCE = 4.0  # of a family of sounds in a recording
FAMILIES = ("CAS", "DAS")
EVIDENCE_FRAMES = 5  # that evidence of a family is averaged over: a crackle's surroundings
LITTLE_EVIDENCE = 1e-4  # added up over all frames, below which there is none


def hit_features(
    presence: npt.NDArray[Any], probability: npt.NDArray[Any], length_s: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """What tells whether found events are there and their classes right, ``(..., 3)``."""
    length = np.log(np.maximum(length_s, 1e-3))
    return np.stack([log_odds(presence, SUREST), log_odds(probability, SUREST), length], axis=-1)


def hit_probability(
    presence: npt.NDArray[Any],
    probability: npt.NDArray[Any],
    length_s: npt.NDArray[Any],
    weights: Sequence[float] = (),
) -> npt.NDArray[np.float64]:
    """Probability that found events are there and their classes right: a logistic regression.

    `presence` is the mean probability that something is there, `probability` that of the likeliest class.
    The `weights` are a constant and one for each of `hit_features`; without them, it is their product.
    """
    if not len(weights):
        return np.asarray(presence * probability, np.float64)
    margin = hit_features(presence, probability, length_s) @ np.asarray(weights[1:]) + weights[0]
    return sigmoid(np.clip(margin, -500, 500))


def family_evidence(
    presence: npt.NDArray[Any], classes: npt.NDArray[Any], labels: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Log-odds that continuous and that discontinuous sounds are among frames, ``(2,)``.

    Parameters
    ----------
    presence
        ``(frames,)`` logits that an event is there.
    classes
        ``(classes, frames)`` logits of the `labels`.
    """
    return log_odds(pooled_presence(family_presence(presence, classes, labels)), EVIDENCE)


def family_presence(
    presence: npt.NDArray[Any], classes: npt.NDArray[Any], labels: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Probability that each family of sounds is in each frame, ``(2, frames)``.

    That of an event there times that of the family's classes, averaged over `EVIDENCE_FRAMES`; parameters as
    of :func:`family_evidence`.
    """
    member = np.array([[family in EVENT_FAMILY[label] for label in labels] for family in FAMILIES], float)
    there = member @ softmax(classes, axis=0) * sigmoid(presence)
    # What lies beyond the ends does not count.
    frames, reach = there.shape[1], EVIDENCE_FRAMES // 2
    first, end = (np.clip(np.arange(frames) + k, 0, frames) for k in (-reach, reach + 1))
    sums = np.pad(there.cumsum(1), ((0, 0), (1, 0)))
    return np.asarray((sums[:, end] - sums[:, first]) / (end - first))


def pooled_presence(there: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Probability that each family is among frames, ``(2,)``, of those for each frame ``(2, frames)``.

    Frames are averaged with these probabilities themselves as weights, so that a short event counts and a
    thousand doubtful frames do not (linear softmax pooling: Wang, Li & Metze, "A comparison of five multiple
    instance learning pooling functions for sound event detection with weak labeling", ICASSP 2019).
    """
    return np.asarray((there**2).sum(1) / (there.sum(1) + LITTLE_EVIDENCE))


def evidence_of_records(evidence: npt.NDArray[Any], records: Sequence[str]) -> npt.NDArray[np.float64]:
    """What each family's ``(..., 2)`` evidence is for or against each record label, ``(..., 2, records)``."""
    member = np.array([[family in name.split(" & ") for name in records] for family in FAMILIES], float)
    return np.asarray(np.asarray(evidence)[..., None] * member)


def with_evidence(
    probabilities: npt.NDArray[Any],
    evidence: npt.NDArray[Any],
    records: Sequence[str],
    weights: Sequence[float] = (),
) -> npt.NDArray[np.float64]:
    """Probabilities of record labels ``(..., records)`` with the ``(..., 2)`` evidence of the frames."""
    if not len(weights):
        return np.asarray(probabilities, np.float64)
    added = np.asarray(weights) @ evidence_of_records(evidence, records)
    return softmax(np.log(np.maximum(probabilities, 1e-300)) + added)


def sick_labels(records: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which record labels are of adventitious sounds."""
    return np.array([name not in (NORMAL, POOR_QUALITY) for name in records])


def answer_certainty(
    probabilities: npt.NDArray[Any], records: Sequence[str]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The likeliest label of ``(..., records)``, and how sure it is.

    An answer of adventitious sounds is as sure as all such labels together: sure that there are some, not of
    which kind.
    """
    best, sick = np.asarray(probabilities.argmax(-1)), sick_labels(records)
    together = (probabilities * sick).sum(-1)
    return best, np.where(sick[best], together, probabilities.max(-1))
