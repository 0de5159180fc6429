"""How well breath phases are told, against annotated respiratory cycles, which begin with an inspiration."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from laennec.analyze.analysis import BreathPhase
from laennec.audio.samples import counted
from laennec.labels import PHASES
from laennec.score.bootstrap import Patients, Score, over_patients
from laennec.score.confusion import Floats, ratio
from laennec.score.text import interval, number

INSPIRATION, EXPIRATION = PHASES
TOLERANCE_S = 0.3  # between a found and an annotated onset of inspiration
# Parts of a cycle in which the middle of a phase must lie to be right. Inspiration takes 0.42 of a cycle at
# rest (Tobin, Chest 84, 1983); where in between it ends is not annotated, so they overlap.
RIGHT = {INSPIRATION: (0.0, 0.45), EXPIRATION: (0.35, 1.0)}


def matched_onsets(
    found_s: Iterable[float], true_s: Iterable[float], tolerance_s: float = TOLERANCE_S
) -> int:
    """How many onsets (s) can be paired within a tolerance, each with one: the most that are possible."""
    found, true = sorted(found_s), sorted(true_s)
    count = at = 0
    for onset in true:
        while at < len(found) and found[at] < onset - tolerance_s - 1e-9:
            at += 1
        if at < len(found) and found[at] <= onset + tolerance_s + 1e-9:
            count, at = count + 1, at + 1
    return count


def right_phases(
    phases: Sequence[BreathPhase], cycles: NDArray[np.float64]
) -> list[tuple[BreathPhase, bool]]:
    """The inspirations and expirations whose middle lies in an annotated cycle, and whether each is right.

    `cycles` is ``(cycles, 2)`` seconds; see `RIGHT`.
    """
    told = []
    for own in phases:
        middle = (own.start_s + own.end_s) / 2
        inside = np.flatnonzero((cycles[:, 0] <= middle) & (middle < cycles[:, 1]))
        if own.phase in RIGHT and len(inside):
            start, end = cycles[inside[0]]
            low, high = RIGHT[own.phase]
            told.append((own, bool(low <= (middle - start) / (end - start) <= high)))
    return told


@dataclass(frozen=True)
class OnsetCounts:
    """Of one recording: onsets of inspiration that match, that were found, that are annotated."""

    matched: int
    found: int
    annotated: int

    @classmethod
    def of(
        cls, onsets_s: Sequence[float], cycles: NDArray[np.float64], tolerance_s: float = TOLERANCE_S
    ) -> "OnsetCounts":
        """Those of a recording with cycles ``(cycles, 2)`` s; what lies beyond them is not counted.

        The first cycle begins where the annotation does, which need not be an onset that can be heard.
        """
        first, end = float(cycles[0, 0]) + tolerance_s, float(cycles[-1, 1]) - tolerance_s
        found = [onset for onset in onsets_s if first < onset < end]
        true = [float(start) for start in cycles[:, 0] if first < start < end]
        return cls(matched_onsets(found, true, tolerance_s), len(found), len(true))


def onset_scores(counts: Sequence[OnsetCounts], subjects: Sequence[str]) -> dict[str, Score]:
    """F, precision and recall of onsets over recordings, with intervals over their patients."""
    patients = Patients.of(list(subjects))
    table = patients.sums(np.array([[own.matched, own.found, own.annotated] for own in counts], float))

    def scores(sums: Floats) -> dict[str, Floats]:
        matched, found, annotated = np.moveaxis(sums, -1, 0)
        return {
            "f": ratio(2 * matched, found + annotated),
            "precision": ratio(matched, found),
            "recall": ratio(matched, annotated),
        }

    return over_patients(table, scores)


def share_scores(right: Sequence[bool], subjects: Sequence[str]) -> Score:
    """The share that is right, with its interval over patients."""
    patients = Patients.of(list(subjects))
    table = patients.sums(np.array([[float(own), 1.0] for own in right]).reshape(-1, 2))
    return over_patients(table, lambda sums: {"share": ratio(sums[..., 0], sums[..., 1])})["share"]


def score_json(score: Score) -> dict[str, Any]:
    """A score as JSON's types."""
    return {"value": score.value, "interval": score.interval}


def balanced_accuracy(positive: NDArray[np.bool_], told: NDArray[np.bool_], subjects: Sequence[str]) -> Score:
    """Mean of sensitivity and specificity, with its interval over patients."""
    patients = Patients.of(list(subjects))
    hit = positive == told
    table = patients.sums(np.stack([hit & positive, positive, hit & ~positive, ~positive], axis=1))
    return over_patients(
        table,
        lambda sums: {
            "balanced": (ratio(sums[..., 0], sums[..., 1]) + ratio(sums[..., 2], sums[..., 3])) / 2
        },
    )["balanced"]


PHASE_HEADER = ("", "measured on", "score", "value", "95 %")


def phase_scores(own: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """The figures of `laennec.train.phase_report` one by one: measured on what, which, and its score."""
    clips, cycles = own["clips"], own["cycles"]
    rows: list[tuple[str, str, Mapping[str, Any] | None]] = []
    if clips:
        of = f"{counted(clips['clips'], 'clip', '')} of {counted(clips['recordings'], 'recording', '')}"
        rows.append((of, "inspiration against expiration, AUC", clips["auc"]))
        rows.append((of, "the same, balanced accuracy", clips["balanced_accuracy"]))
    of = f"{counted(cycles['recordings'], 'recording', '')} of {counted(cycles['patients'], 'patient', '')}"
    rows += [(of, f"onsets of inspiration, {name}", score) for name, score in cycles["onsets"].items()]
    rows.append((of, "phases that are right", cycles["phases"]["right"]))
    rows.append((of, "recordings whose phases are told", cycles["told"]["share"]))
    of = f"{cycles['told']['recordings']} of these recordings"
    rows.append((of, "phases that are right", cycles["told"]["right"]))
    rows += [
        (of, f"onsets of inspiration, {name}", score) for name, score in cycles["told"]["onsets"].items()
    ]
    return [(where, what, score) for where, what, score in rows if score is not None]


def phase_rows(own: Mapping[str, Any], first: str = "") -> list[list[str]]:
    """The same as rows of a table."""
    return [
        [
            first if place == 0 else "",
            where,
            what,
            number(score["value"]),
            interval(score["interval"], missing=""),
        ]
        for place, (where, what, score) in enumerate(phase_scores(own))
    ]
