"""Decision thresholds and calibration: a shift of a logit, a temperature, from patients not trained on.

The cross entropy asks for probabilities as they are among the training clips; the scores of the field weigh
sensitivity and specificity alike, however rare the sounds are. The shift moves the threshold to where both
are best (threshold moving: Elkan, "The foundations of cost-sensitive learning", IJCAI 2001; for several
classes, logit adjustment: Menon et al., ICLR 2021).
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from laennec.model.probability import softmax
from laennec.score.confusion import challenge_score

Floats = NDArray[np.float64]

SHIFTS = np.arange(-80, 81) * 0.05  # of the logit of Normal
SMOOTH = 4  # steps to either side over which a shift's Score is averaged, or chance would choose a peak


class Decided(Protocol):
    """What a decision of any task tells of itself to whoever saves a network with it."""

    @property
    def shift(self) -> float:
        """Added to a logit of the network, for good."""
        ...

    @property
    def temperature(self) -> float:
        """That logits are divided by."""
        ...

    def entries(self) -> dict[str, Any]:
        """Entries of the model file's card."""
        ...


@dataclass(frozen=True)
class Decision:
    """What is added to the logit of the first class, Normal, and what all logits are divided by then."""

    shift: float = 0.0
    temperature: float = 1.0

    def entries(self) -> dict[str, Any]:
        """Entries of the model file's card besides the temperature, which the graph holds."""
        return {}

    def applied(self, logits: Floats) -> Floats:
        """Probabilities of logits ``(..., classes)``; logarithms of probabilities do as well."""
        moved = np.array(logits, np.float64)
        moved[..., 0] += self.shift
        return softmax(moved / self.temperature)


def score_of_shifts(logits: Floats, label: NDArray[np.int64]) -> Floats:
    """Mean of the challenge's Scores of tasks 11 (adventitious or not) and 12 (exact class) of `SHIFTS`."""
    adventitious = label != 0
    normal = logits[:, 0] + SHIFTS[:, None]  # (shifts, clips)
    others = logits[:, 1:]
    either = (np.logaddexp.reduce(others, axis=1) > normal) == adventitious
    exact = np.where(others.max(1) > normal, 1 + others.argmax(1), 0) == label
    right = np.stack([either, exact])
    scores = challenge_score(right[..., adventitious].mean(-1), right[..., ~adventitious].mean(-1))
    return np.asarray(np.nan_to_num(scores).mean(0))


def fit_decision(logits: Floats, label: NDArray[np.int64], rule: str = "score") -> Decision:
    """Choose the shift of the best Score, and after it the temperature of the lowest cross entropy.

    Parameters
    ----------
    logits
        ``(clips, classes)``, Normal first, of clips whose patients the model was not trained on.
    label
        ``(clips,)``.
    rule
        Of the recipe: nothing is shifted unless it is ``score``.
    """
    label = np.asarray(label, int)
    shift = best_shift(np.asarray(logits, float), label) if rule == "score" else 0.0
    moved = torch.tensor(logits, dtype=torch.float32)
    moved[:, 0] += shift
    return Decision(shift, fit_temperature(moved, torch.tensor(label)))


def best_shift(logits: Floats, label: NDArray[np.int64]) -> float:
    """The shift of the best Score, smoothed over its neighbours; 0 where one side has no clip."""
    if not ((label == 0).any() and (label != 0).any()):
        return 0.0
    kernel = np.ones(2 * SMOOTH + 1)
    scores = np.convolve(score_of_shifts(logits, label), kernel, "same")
    scores /= np.convolve(np.ones(len(SHIFTS)), kernel, "same")
    best = np.flatnonzero(scores >= scores.max() - 1e-12)
    return float(SHIFTS[best[len(best) // 2]])


def best_f1_shift(logits: Tensor, label: Tensor) -> float:
    """What to add to the last class's logit so that its F-score on these clips is highest.

    Every threshold between two neighbouring scores is tried; of equally good ones, the middle of the first.
    """
    score = (logits[:, -1] - logits[:, :-1].logsumexp(1)).double().numpy()
    target = (label == logits.shape[1] - 1).numpy()
    if not target.any():
        return 0.0
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(target[order])
    f1 = 2 * hits / (np.arange(1, len(score) + 1) + target.sum())
    last = np.append(np.diff(score[order]) != 0, True)  # only between different scores
    best = int(np.argmax(np.where(last, f1, -1.0)))
    below = score[order][best + 1] if best + 1 < len(score) else score[order][best] - 1.0
    return -float((score[order][best] + below) / 2)


def fit_temperature(logits: Tensor, label: Tensor) -> float:
    """Temperature that minimises the cross entropy, 0.05 to 20."""
    temperature, _ = fit_scaling(logits, label, with_bias=False)
    return temperature


def fit_scaling(logits: Tensor, label: Tensor, with_bias: bool = True) -> tuple[float, list[float]]:
    """Temperature and bias that minimise the cross entropy (Guo et al., ICML 2017, section 4.2).

    ``softmax(logits / temperature + bias)`` are the calibrated probabilities; a weak prior holds the bias to
    zero.
    """
    temperature, bias, _ = fit_with_evidence(logits, label, with_bias)
    return temperature, bias


def fit_with_evidence(
    logits: Tensor,
    label: Tensor,
    with_bias: bool = True,
    weight: Tensor | None = None,
    evidence: Tensor | None = None,
) -> tuple[float, list[float], list[float]]:
    """`fit_scaling` of items ``(items,)`` of a weight, with evidence ``(items, kinds, classes)`` besides.

    Each kind of evidence is multiplied by a number that is fitted, and added to the logits; those numbers are
    the last of what is returned.
    """
    classes, kinds = logits.shape[1] * with_bias, 0 if evidence is None else evidence.shape[1]
    parameters = torch.zeros(1 + classes + kinds, dtype=logits.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([parameters], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        scaled = logits / parameters[:1].exp()
        if with_bias:
            scaled = scaled + parameters[1 : 1 + classes]
        if evidence is not None:
            scaled = scaled + torch.einsum("k,nkc->nc", parameters[1 + classes :], evidence)
        if weight is None:
            loss = torch.nn.functional.cross_entropy(scaled, label)
        else:
            each = torch.nn.functional.cross_entropy(scaled, label, reduction="none")
            loss = (weight * each).sum() / weight.sum()
        loss = loss + 1e-3 * parameters[1:].square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)  # type: ignore[arg-type]
    fitted = parameters.detach()
    bias, weights = fitted[1 : 1 + classes], fitted[1 + classes :]
    return (
        float(fitted[0].exp().clamp(0.05, 20.0)),
        [round(float(value), 4) for value in (bias - bias.mean() if with_bias else bias)],
        [round(float(value), 4) for value in weights],
    )


def shift_head(network: nn.Module, shift: float, place: int = -1) -> None:
    """Add to the logit of a class, the last one where none is told, for good."""
    head: Any = network.head
    linear: Any = head[-1] if isinstance(head, nn.Sequential) else head
    with torch.no_grad():
        linear.bias[place] += shift
