"""What a recording sounds like, told by a pattern of every source of sounds.

The training's layer for the sound classes has one direction for each, and learns from sounds that the network
separates anyway. Here the mean features of the last layer are modelled instead: those of each source (a data
set of lungs, a device of hearts, words, rooms, each generated kind) as a Gaussian around their own mean, with
one covariance for all, in which every source counts alike (linear discriminant analysis: Fisher, Annals of
Eugenics 7, 1936; with a covariance that all share, as the Mahalanobis detector of Lee et al., "A simple
unified framework for detecting out-of-distribution samples and adversarial attacks", NeurIPS 2018). The
probability of a sound class is the sum of those of its sources.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from laennec.errors import LaennecError
from laennec.labels import SOUND_KINDS
from laennec.model.probability import softmax, summed

Floats = NDArray[np.float64]
Names = NDArray[np.str_]

RIDGE = 0.05  # added to the covariance of features of unit deviation
SHARE = 0.75  # of the patterns in what is decided; the rest is the training's layer
FEWEST = 10  # sounds of a source
REFUSED = 0.02  # of each source of lungs, at most
PASSED, PASSED_OTHERS = {"noise": 0.10}, 0.05  # of each other source, by its class
# A source of which more passes, even where so much of the lungs is refused, cannot be told from lungs.
HOPELESS, REFUSED_FOR_IT = 0.5, 0.05


@dataclass(frozen=True, eq=False)
class Patterns:
    """A linear layer: weights ``(patterns, features)``, biases ``(patterns,)``, and the class of each."""

    kinds: tuple[str, ...]
    sources: tuple[str, ...]
    weight: Floats
    bias: Floats

    def logits(self, features: Floats) -> Floats:
        """Of ``(sounds, features)`` mean features, ``(sounds, patterns)``."""
        return np.asarray(features @ self.weight.T + self.bias)

    def lung_odds(self, features: Floats) -> Floats:
        """Log-odds that each of the ``(sounds, features)`` is of a lung."""
        return margins(self.logits(features), self.kinds)


def margins(logits: Floats, kinds: Sequence[str]) -> Floats:
    """Log-odds of the lung of ``(sounds, patterns)`` logits whose classes are `kinds`."""
    shares = summed(softmax(logits), kinds, SOUND_KINDS)
    return np.log(np.maximum(shares[:, 0], 1e-300)) - np.log(np.maximum(shares[:, 1:].sum(1), 1e-300))


def fit_patterns(
    features: Floats,
    kinds: NDArray[np.int64],
    sources: Names,
    layer: tuple[Floats, Floats],
    share: float = SHARE,
    ridge: float = RIDGE,
) -> Patterns:
    """Patterns of the sources of sounds that a network was trained on, together with its own layer.

    Parameters
    ----------
    features
        ``(sounds, features)``: what the layer takes, as means over the frames of each sound.
    kinds, sources
        ``(sounds,)``: index into `laennec.labels.SOUND_KINDS`, and where each sound is from.
    layer
        Weights ``(kinds, features)`` and biases ``(kinds,)`` that the network was trained with.
    share
        Of the patterns, 0 to 1; their logits are scaled so that the log-odds of a lung are as large as the
        layer's, in the quadratic mean over sources.

    Raises
    ------
    LaennecError
        If a sound class has no source, or a source fewer than `FEWEST` sounds.
    """
    pairs = sorted({(int(kind), str(name)) for kind, name in zip(kinds, sources, strict=True)})
    lacking = set(range(len(SOUND_KINDS))) - {kind for kind, _ in pairs}
    if lacking:
        raise LaennecError(f"no sound is of the class {SOUND_KINDS[min(lacking)]}; patterns need each")
    members = [(kinds == kind) & (sources == name) for kind, name in pairs]
    for (_, name), own in zip(pairs, members, strict=True):
        if own.sum() < FEWEST:
            raise LaennecError(f"{name} has {own.sum()} sounds; a pattern needs {FEWEST}")
    centre, scale = features.mean(0), features.std(0) + 1e-6
    plain = (features - centre) / scale
    means = np.array([plain[own].mean(0) for own in members])
    covariance = np.mean([np.cov(plain[own].T) for own in members], axis=0)
    towards = np.linalg.solve(covariance + ridge * np.eye(len(covariance)), means.T).T
    weight, bias = towards / scale, -0.5 * (towards * means).sum(1)
    bias = bias - weight @ centre
    numbers, named = [kind for kind, _ in pairs], tuple(SOUND_KINDS[kind] for kind, _ in pairs)

    def size(odds: Floats) -> float:
        return float(np.sqrt(np.mean([np.mean(odds[own] ** 2) for own in members])))

    scaled = size(margins(features @ layer[0].T + layer[1], SOUND_KINDS))
    scaled /= size(margins(features @ weight.T + bias, named))
    # The layer's logit of a class is counted once for each of its patterns.
    often = np.log([Counter(numbers)[kind] for kind in numbers])
    return Patterns(
        named,
        tuple(name for _, name in pairs),
        (1 - share) * layer[0][numbers] + share * scaled * weight,
        (1 - share) * layer[1][numbers] + share * scaled * bias - often,
    )


def threshold_of_both(odds: Floats, kinds: NDArray[np.int64], sources: Names) -> float:
    """Log-odds of a lung below which to refuse, by both errors: lungs that are refused, others that pass.

    Of each source, a limit may be exceeded: `REFUSED` of lungs, `PASSED` of others. The threshold is the
    lowest at which the worst is exceeded by the smallest factor. A limit of lungs alone would rest on the one
    or two recordings of the smallest source that lie lowest.

    Parameters
    ----------
    odds, kinds, sources
        ``(sounds,)``; `kinds` are indices into `laennec.labels.SOUND_KINDS`.
    """
    candidates = np.unique(odds)
    worst = np.zeros(len(candidates))
    for source in np.unique(sources):
        own = np.sort(odds[sources == source])
        refused = np.searchsorted(own, candidates) / own.size
        kind = int(kinds[sources == source][0])
        passed = (1 - refused) / PASSED.get(SOUND_KINDS[kind], PASSED_OTHERS)
        worst = np.maximum(worst, passed if kind else refused / REFUSED)
    return float(candidates[worst.round(9).argmin()])


def threshold_of_lungs(odds: Floats, kinds: NDArray[np.int64], sources: Names) -> float:
    """The highest threshold that refuses at most `REFUSED` of each source of lungs; parameters as above."""
    return _refusing(odds, kinds, sources, REFUSED)


def _refusing(odds: Floats, kinds: NDArray[np.int64], sources: Names, share: float) -> float:
    lowest = [np.sort(odds[(sources == name) & (kinds == 0)]) for name in np.unique(sources[kinds == 0])]
    return float(min(own[int(share * own.size)] for own in lowest))


def refusal_threshold(odds: Floats, kinds: NDArray[np.int64], sources: Names) -> float:
    """Log-odds of a lung below which to refuse: by both errors, or by lungs where there is nothing else.

    A source that passes for lungs whatever the threshold, such as the hearts of a device that the training
    had nothing of, has no say: its limit cannot be kept, and would cost the others theirs.

    Parameters
    ----------
    odds, kinds, sources
        As of `threshold_of_both`; some are of lungs.
    """
    high = _refusing(odds, kinds, sources, REFUSED_FOR_IT)
    others = np.unique(sources[kinds > 0])
    told = [name for name in others if (odds[sources == name] >= high).mean() <= HOPELESS]
    if not told:
        return threshold_of_lungs(odds, kinds, sources)
    rows = (kinds == 0) | np.isin(sources, told)
    return threshold_of_both(odds[rows], kinds[rows], sources[rows])
