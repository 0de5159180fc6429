"""Frames become the phases of breaths: inspiration, expiration and pause, each with how sure it is.

The logits of a phase model are read by a hidden Markov model (Rabiner, Proc. IEEE 77, 1989): inspiration is
followed by expiration, that by a pause or the next inspiration, and none is shorter than a breath allows. The
most probable sequence is told; what each frame is with which probability comes from all sequences.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from laennec.model.phases import STATES, PhaseRule
from laennec.model.probability import sigmoid

Floats = npt.NDArray[np.float64]
States = npt.NDArray[np.int64]

IN, OUT, REST = range(3)  # places of `STATES`
# Chances of what follows each state: an expiration may be too soft to be heard, and a pause none at all.
FOLLOWS = {IN: {OUT: 0.85, REST: 0.15}, OUT: {REST: 0.6, IN: 0.4}, REST: {IN: 1.0}}
MOST_MARGIN = 6.0  # of a phase's mean logit against the other one's: beyond, nothing is gained


@dataclass(frozen=True)
class Decoded:
    """The states of a channel's frames: the most probable sequence, and the chance of each state.

    `path` is ``(frames,)`` indices of `STATES`, `posterior` ``(3, frames)`` in [0, 1].
    """

    path: States
    posterior: Floats


def decode_phases(logits: Floats, rule: PhaseRule, frame_s: float) -> Decoded:
    """Find the most probable sequence of phases, and how probable each is in every frame.

    Parameters
    ----------
    logits
        ``(3, frames)`` of `STATES`.
    """
    if not logits.shape[1]:
        return Decoded(np.zeros(0, np.int64), np.zeros((3, 0)))
    of_link, chain = _chain(rule, frame_s)
    emitted = _emitted(logits, rule)[of_link].T
    forward, _ = _forward(emitted, chain, np.logaddexp.reduce)
    backward = np.zeros_like(forward)
    for frame in range(len(emitted) - 2, -1, -1):
        backward[frame] = np.logaddexp.reduce(chain + emitted[frame + 1] + backward[frame + 1], axis=1)
    both = forward + backward
    chance = np.exp(both - np.logaddexp.reduce(both, axis=1, keepdims=True))
    posterior = np.stack([chance[:, of_link == state].sum(1) for state in range(len(STATES))])
    return Decoded(best_path(logits, rule, frame_s), posterior)


def best_path(logits: Floats, rule: PhaseRule, frame_s: float) -> States:
    """The most probable sequence alone, ``(frames,)`` (Viterbi's algorithm), as `decode_phases` has it."""
    if not logits.shape[1]:
        return np.zeros(0, np.int64)
    of_link, chain = _chain(rule, frame_s)
    emitted = _emitted(logits, rule)[of_link].T
    best, came_from = _forward(emitted, chain, np.max)
    path = np.empty(len(emitted), np.int64)
    link = int(best[-1].argmax())
    for frame in range(len(emitted) - 1, -1, -1):
        path[frame] = link
        link = int(came_from[frame][link])
    return of_link[path]


def _emitted(logits: Floats, rule: PhaseRule) -> Floats:
    """Log-probabilities of the states in every frame, ``(3, frames)``."""
    moved = (logits + np.array(rule.bias)[:, None]) / rule.temperature
    return np.asarray(moved - np.logaddexp.reduce(moved, axis=0))


def _chain(rule: PhaseRule, frame_s: float) -> tuple[States, Floats]:
    """State of each link of the chain, and log-chances from link to link ``(links, links)``.

    A state is as many links as its shortest length has frames; in its last it may stay.
    """
    lengths = [max(1, round(shortest_s / frame_s)) for shortest_s in rule.shortest_s]
    of_link = np.repeat(np.arange(len(STATES)), lengths)
    first = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    chain = np.full((len(of_link), len(of_link)), -np.inf)
    for state, length in enumerate(lengths):
        last = first[state] + length - 1
        for link in range(first[state], last):
            chain[link, link + 1] = 0.0
        stay = math.exp(-frame_s / rule.lasts_s[state])
        chain[last, last] = math.log(stay)
        for other, share in FOLLOWS[state].items():
            chain[last, first[other]] = math.log((1.0 - stay) * share)
    return of_link, chain


def _forward(emitted: Floats, chain: Floats, joined: Callable[..., Floats]) -> tuple[Floats, States]:
    """Log-scores of every link in every frame, by the best way to it or by all, and the best link before."""
    scores = np.empty_like(emitted)
    came_from = np.zeros(emitted.shape, np.int64)
    scores[0] = emitted[0] - math.log(emitted.shape[1])
    for frame in range(1, len(emitted)):
        ways = scores[frame - 1][:, None] + chain
        came_from[frame] = ways.argmax(0)
        scores[frame] = joined(ways, axis=0) + emitted[frame]
    return scores, came_from


@dataclass(frozen=True)
class Run:
    """A run of frames of one state, and what speaks for it (`evidence`)."""

    state: int
    first: int
    end: int
    evidence: tuple[float, ...] = ()


def runs_of(decoded: Decoded, logits: Floats) -> list[Run]:
    """The runs of a path, with the evidence of each.

    - Its own margin: how much its mean logit lies above that of the other phase; of a pause 0.
    - The channel's: the mean margin of all phases, by their lengths.
    - How unsteady inspirations begin: the interquartile range of their intervals over the median.
    - How probable its state is in its frames, on average.
    """
    found = stretches(decoded.path)
    margin = logits[IN] - logits[OUT]
    signed = [
        float(np.clip((margin[a:b] if state == IN else -margin[a:b]).mean(), -MOST_MARGIN, MOST_MARGIN))
        if state != REST
        else 0.0
        for state, a, b in found
    ]
    lengths = np.array([(b - a) * (state != REST) for state, a, b in found], float)
    channel = float((np.array(signed) * lengths).sum() / max(1.0, lengths.sum()))
    unsteady = _unsteadiness([a for state, a, _ in found if state == IN])
    return [
        Run(state, a, b, (own, channel, unsteady, float(decoded.posterior[state, a:b].mean())))
        for (state, a, b), own in zip(found, signed, strict=True)
    ]


def stretches(path: States) -> list[tuple[int, int, int]]:
    """State, first frame and the one after the last of each run of one state."""
    found: list[tuple[int, int, int]] = []
    at = 0
    for state, frames in groupby(path.tolist()):
        length = len(list(frames))
        found.append((state, at, at + length))
        at += length
    return found


def _unsteadiness(onsets: Sequence[int]) -> float:
    """Interquartile range over median of the intervals, up to 1; 1 where there are fewer than two."""
    intervals = np.diff(onsets)
    if len(intervals) < 2:
        return 1.0
    low, middle, high = np.percentile(intervals, [25, 50, 75])
    return float(min(1.0, (high - low) / middle))


def probabilities_of(runs: Sequence[Run], weights: Sequence[float]) -> Floats:
    """The chance that each run is what it is told to be, in [0, 1]; without weights that of its state.

    A logistic regression on the evidence, its constant first: what networks for other patients found is
    right or not by annotated cycles (`laennec.train.phase_report`).
    """
    evidence = np.array([run.evidence for run in runs]).reshape(-1, EVIDENCE)
    if not weights:
        return np.asarray(evidence[:, -1])
    return sigmoid(weights[0] + evidence @ np.array(weights[1:]))


EVIDENCE = 4  # numbers of `runs_of`
