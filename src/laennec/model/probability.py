"""Logits become probabilities."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

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
