"""Scores of a detector of respiratory events: what it found, where and as what, against the annotation.

Conventions
-----------
- An *estimated* event matches a *reference* event if it starts within 200 ms of it and ends within 200 ms or
  half the reference event's length, whichever is more; each event has at most one partner, and there are as
  many pairs as possible. The matching is mir_eval's
  (``transcription.match_notes``; Raffel et al., ISMIR 2014).
- *Agnostic* scores match events of any labels, *class-aware* ones only events of the same label.
- *Correct* events are class-aware pairs. Of the events left over, agnostic pairs are *substitutions*, the
  other reference events *deletions*, the other estimated ones *insertions* (the event-based metrics of
  Mesaros, Heittola & Virtanen, "Metrics for polyphonic sound event detection", Applied Sciences 6(6), 2016).
- *EzhouNet's rule* is another one, of adventitious events only (:func:`ezhounet_counts`); scores by it may
  stand beside those published for EzhouNet, all others may not.
- Counts of a recording add up, so intervals come from resampling the counts of patients.
- Undefined scores are None, as in :mod:`laennec.score.summary`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from laennec.errors import LaennecError
from laennec.score.bootstrap import (
    DRAWS,
    LEVEL,
    BootstrapSettings,
    Interval,
    Patients,
    Score,
    as_json,
    over_patients,
)
from laennec.score.confusion import Floats, ratio, validate_classes

Span = tuple[float, float, str]
"""start_s, end_s, label."""
Key = str | tuple[str, str]
"""Of a score: its name, or a class and the name of that class's score."""

ONSET_TOLERANCE_S = 0.2
OFFSET_TOLERANCE_S = 0.2  # at least; long events end less sharply
OFFSET_RATIO = 0.5  # of the reference event's length

# The events that EzhouNet's rule scores, and as what; all others are left out on both sides.
EZHOUNET_CLASSES = {
    "Rhonchi": "Rhonchi",
    "Wheeze": "Wheeze",
    "Stridor": "Stridor",
    "Coarse Crackle": "Crackle",
    "Fine Crackle": "Crackle",
    "Crackle": "Crackle",
}
EZHOUNET_OFFSET_RATIO = 0.1

MATCHES = 7  # columns of a recording's counts before those by class
BY_CLASS = ("reference", "estimated", "correct")  # events of each class, in those columns

# Names of the scores in the tables, in their order; docs/metrics.md gives the equations.
SCORE_NAMES = {
    "agnostic_f1": "F1, any label",
    "agnostic_precision": "precision, any label",
    "agnostic_recall": "recall, any label",
    "f1": "F1, exact class",
    "precision": "precision, exact class",
    "recall": "recall, exact class",
    "macro_f1": "macro F1",
    "adventitious_f1": "F1, adventitious events, any such label",
    "adventitious_precision": "precision, adventitious events",
    "adventitious_recall": "recall, adventitious events",
    "error_rate": "error rate (0 best, may exceed 1)",
    "substitution_rate": "substitution rate",
    "deletion_rate": "deletion rate",
    "insertion_rate": "insertion rate",
    "ezhounet_f1": "F1 by EzhouNet's rule",
    "ezhounet_error_rate": "error rate by EzhouNet's rule",
}


# ---------------------------------------------------------------------------------------------- counting


def validate(events: Sequence[Span], classes: Sequence[str], name: str = "events") -> None:
    """Raise ValueError with one sentence, beginning with `name`, if events cannot be scored."""
    for number, (start_s, end_s, label) in enumerate(events, start=1):
        if not (math.isfinite(start_s) and math.isfinite(end_s)):
            raise ValueError(f"{name}: event {number} has a time that is no number")
        if start_s < 0:
            raise ValueError(f"{name}: event {number} starts at {start_s:g} s, before the recording")
        if end_s <= start_s:
            raise ValueError(f"{name}: event {number} ends at {end_s:g} s, not after its start {start_s:g} s")
        if label not in classes:
            raise ValueError(f"{name}: label {label!r} is not one of the classes {', '.join(classes)}")


def match_events(
    reference: Sequence[Span],
    estimated: Sequence[Span],
    agnostic: bool,
    offset_ratio: float = OFFSET_RATIO,
) -> list[tuple[int, int]]:
    """Return as many pairs of a reference and an estimated event as possible, by their positions.

    Labels may differ if `agnostic`, offsets by `offset_ratio` of the reference event's length. LaennecError
    if mir_eval is not installed.
    """
    if not reference or not estimated:
        return []
    try:
        from mir_eval.transcription import match_notes
    except ImportError as error:
        raise LaennecError('matching events needs mir_eval: pip install "laennec[train]"') from error
    # A label is a pitch, and labels lie octaves apart: only events of the same label agree in pitch.
    names = sorted({span[2] for span in (*reference, *estimated)})
    octave = {label: 0 if agnostic else k for k, label in enumerate(names)}

    def notes(side: Sequence[Span]) -> tuple[Floats, Floats]:
        return np.array([span[:2] for span in side], float), np.exp2([octave[span[2]] for span in side])

    pairs = match_notes(
        *notes(reference),
        *notes(estimated),
        onset_tolerance=ONSET_TOLERANCE_S,
        offset_ratio=offset_ratio,
        offset_min_tolerance=OFFSET_TOLERANCE_S,
    )
    return [(int(r), int(e)) for r, e in pairs]


def ezhounet_counts(reference: Sequence[Span], estimated: Sequence[Span]) -> tuple[int, int, int, int]:
    """Count one recording's events by the rule that EzhouNet was published with.

    The rule was read in EzhouNet's own code and label files (github.com/chumingqian/EzhouNet, commit b6fdd6a:
    ``desed_task/evaluation/evaluation_measures.py``, ``data/Train_set/redefine_crackle.py``); it is that of
    sed_eval (Mesaros et al. 2016) with two settings of its own.

    - Four classes are scored: Rhonchi, Wheeze, Stridor, and Crackle, which is coarse and fine crackles
      together. Normal and Wheeze+Crackle are left out.
    - An event matches if its class is the same, it starts within 200 ms, and it ends within 200 ms or a tenth
      (elsewhere in this module: half) of the reference event's length, whichever is more; each event has one
      partner, and there are as many pairs as possible.
    - Of the events left over, those that agree in time are substitutions, taken in the order of the lists.
    - F1 and the error rate are of all events together ("micro average").

    The published F1 of .209 and error rate of 2.19 follow from the counts in its README (commit 330bf86: 509
    reference events, 908 estimated, 148 correct, so 7 substitutions). They are of its validation set, 664
    recordings; the threshold of .8 on its confidence has the best F1 of the three that the README prints.
    Not verified: whether patients of that set were trained on, and what its predictions of Wheeze+Crackle,
    if any, count as; here they are left out. Tolerances here are mir_eval's, rounded to .1 ms.

    Returns
    -------
    tuple of int
        Correct events, substitutions, reference events, estimated events.
    """
    theirs, ours = (
        [(start, end, EZHOUNET_CLASSES[label]) for start, end, label in side if label in EZHOUNET_CLASSES]
        for side in (reference, estimated)
    )
    correct = match_events(theirs, ours, agnostic=False, offset_ratio=EZHOUNET_OFFSET_RATIO)
    matched, taken = {r for r, _ in correct}, {e for _, e in correct}
    substitutions = 0
    for r in sorted(set(range(len(theirs))) - matched):
        for e in sorted(set(range(len(ours))) - taken):
            if match_events([theirs[r]], [ours[e]], agnostic=True, offset_ratio=EZHOUNET_OFFSET_RATIO):
                taken.add(e)
                substitutions += 1
                break
    return len(correct), substitutions, len(theirs), len(ours)


def _counts(
    reference: Sequence[Span], estimated: Sequence[Span], classes: Sequence[str], normal: str
) -> list[int]:
    """Count one recording's events, in the order that :func:`_scores` reads."""
    correct = match_events(reference, estimated, agnostic=False)
    right_r, right_e = {r for r, _ in correct}, {e for _, e in correct}
    left_r = [span for k, span in enumerate(reference) if k not in right_r]
    left_e = [span for k, span in enumerate(estimated) if k not in right_e]
    sides = [[span for span in side if span[2] != normal] for side in (reference, estimated)]
    matches = (
        len(match_events(reference, estimated, agnostic=True)),
        len(match_events(left_r, left_e, agnostic=True)),
        len(match_events(sides[0], sides[1], agnostic=True)),
        *ezhounet_counts(reference, estimated),
    )
    labels = ([s[2] for s in reference], [s[2] for s in estimated], [reference[r][2] for r, _ in correct])
    return [*matches, *(side.count(name) for side in labels for name in classes)]


def _scores(counts: Floats, classes: Sequence[str], normal: str) -> dict[Key, Floats]:
    """Scores ``(draws,)`` of ``(draws, columns)`` counts by name, and those of a class by (class, name)."""
    agnostic, substitutions, adventitious, *ezhounet = counts[:, :MATCHES].T
    reference, estimated, correct = np.split(counts[:, MATCHES:], 3, axis=1)
    events, found, hits = (each.sum(axis=1) for each in (reference, estimated, correct))
    sound = np.array([name != normal for name in classes])
    pairs = {
        "agnostic_": (agnostic, events, found),
        "": (hits, events, found),
        "adventitious_": (adventitious, reference[:, sound].sum(axis=1), estimated[:, sound].sum(axis=1)),
    }
    scores: dict[Key, Floats] = {}
    for name, counted in pairs.items():
        scores |= {f"{name}{key}": value for key, value in _precision_recall_f1(*counted).items()}
    by_class = _precision_recall_f1(correct, reference, estimated)
    present = reference > 0
    f1_sum = np.where(present, np.nan_to_num(by_class["f1"]), 0).sum(axis=1)
    scores["macro_f1"] = ratio(f1_sum, present.sum(axis=1))
    deletions, insertions = (side - hits - substitutions for side in (events, found))
    errors = {"substitution": substitutions, "deletion": deletions, "insertion": insertions}
    scores["error_rate"] = ratio(substitutions + deletions + insertions, events)
    scores |= {f"{kind}_rate": ratio(count, events) for kind, count in errors.items()}
    right, swapped, annotated, given = ezhounet
    scores["ezhounet_f1"] = ratio(2 * right, annotated + given)
    scores["ezhounet_error_rate"] = ratio(annotated + given - 2 * right - swapped, annotated)
    for k, label in enumerate(classes):
        scores |= {(label, key): value[:, k] for key, value in by_class.items()}
    return scores


def _precision_recall_f1(matched: Floats, reference: Floats, estimated: Floats) -> dict[str, Floats]:
    return {
        "precision": ratio(matched, estimated),
        "recall": ratio(matched, reference),
        "f1": ratio(2 * matched, reference + estimated),
    }


# ------------------------------------------------------------------------------------------------ scores


class EventScores(TypedDict):
    """Every score of a detector's events, ready for JSON."""

    recordings: int
    subjects: int
    """Known patients."""
    counts: dict[str, int]
    """Events of the whole test set: ``reference``, ``estimated``, ``agnostic`` (pairs of any labels),
    ``correct``, ``substitutions``, ``deletions``, ``insertions``."""
    scores: dict[str, float | None]
    intervals: dict[str, Interval | None]
    classes: dict[str, dict[str, Any]]
    """Of each class: counts (``reference``, ``estimated``, ``correct``), ``precision``, ``recall``, ``f1``,
    and the ``intervals`` of these three."""
    conventions: dict[str, Any]
    """When an event matches: ``normal``, ``onset_tolerance_s``, ``offset_tolerance_s``, ``offset_ratio``."""
    bootstrap: BootstrapSettings


def event_scores(
    reference: Sequence[Sequence[Span]],
    estimated: Sequence[Sequence[Span]],
    classes: Sequence[str],
    normal: str = "Normal",
    subjects: Sequence[str] = (),
    draws: int = DRAWS,
    seed: int = 0,
    level: float = LEVEL,
) -> EventScores:
    """Compute every score of events with its interval over patients.

    Parameters
    ----------
    reference, estimated : (recordings,) sequences of (start_s, end_s, label)
        Annotated and found events of each recording.
    classes : labels that events may have
    normal : the one of normal breathing; the others are adventitious
    subjects : (recordings,) patients, "" where unknown; without them no interval is given
    draws, seed, level : the bootstrap's

    Returns
    -------
    EventScores
        With N reference events, the error rate is (S + D + I) / N (Mesaros et al.) and its parts are the
        rates S/N, D/N and I/N; F1, precision and recall are those of all events together ("micro").
        ``macro_f1`` is the mean over the classes that have reference events. Undefined is None.

    Raises
    ------
    ValueError
        If lengths differ, there is no recording, or an event cannot be scored (:func:`validate`).
    LaennecError
        If mir_eval is not installed.
    """
    _validate_recordings(reference, estimated, classes, normal, subjects)
    patients = Patients.of([*subjects] or [""] * len(reference))
    settings = patients.settings(draws, seed, level, "recordings")
    if not len(subjects):
        settings["no_interval"] = "the patients are not given"
    counts = patients.sums(
        [_counts(*pair, classes, normal) for pair in zip(reference, estimated, strict=True)]
    )
    scores = over_patients(
        counts, lambda drawn: _scores(drawn, classes, normal), settings["draws"], seed, level
    )
    total = counts.sum(axis=0)
    by_class = total[MATCHES:].reshape(len(BY_CLASS), len(classes)).astype(int)
    values, intervals = as_json({key: scores[key] for key in SCORE_NAMES})
    return {
        "recordings": len(reference),
        "subjects": patients.known,
        "counts": _total(total, by_class),
        "scores": values,
        "intervals": intervals,
        "classes": {label: _of_class(label, by_class[:, k], scores) for k, label in enumerate(classes)},
        "conventions": {
            "normal": normal,
            "onset_tolerance_s": ONSET_TOLERANCE_S,
            "offset_tolerance_s": OFFSET_TOLERANCE_S,
            "offset_ratio": OFFSET_RATIO,
        },
        "bootstrap": settings,
    }


def event_differences(
    reference: Sequence[Sequence[Span]],
    first: Sequence[Sequence[Span]],
    second: Sequence[Sequence[Span]],
    classes: Sequence[str],
    normal: str = "Normal",
    subjects: Sequence[str] = (),
    draws: int = DRAWS,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[Key, Score]:
    """Score of the second detector less that of the first on the same recordings, with a paired interval.

    Parameters and keys are those of :func:`event_scores`, a class's scores by (class, name). Both detectors
    are scored on the same resamples of patients.

    Raises
    ------
    ValueError, LaennecError
        As :func:`event_scores` does.
    """
    for estimated in (first, second):
        _validate_recordings(reference, estimated, classes, normal, subjects)
    counts = np.stack(
        [
            [_counts(*pair, classes, normal) for pair in zip(reference, estimated, strict=True)]
            for estimated in (first, second)
        ],
        axis=1,
    )
    patients = Patients.of([*subjects] or [""] * len(reference))

    def differences(drawn: Floats) -> dict[Key, Floats]:
        before, after = (_scores(drawn[:, k], classes, normal) for k in (0, 1))
        return {key: after[key] - before[key] for key in before}

    return over_patients(patients.sums(counts), differences, draws if len(subjects) else 0, seed, level)


def _validate_recordings(
    reference: Sequence[Sequence[Span]],
    estimated: Sequence[Sequence[Span]],
    classes: Sequence[str],
    normal: str,
    subjects: Sequence[str],
) -> None:
    validate_classes(classes, normal)
    if not len(reference):
        raise ValueError("there is no event to score, neither annotated nor found")
    if len(reference) != len(estimated):
        raise ValueError(
            f"{len(reference)} recordings annotated and {len(estimated)} scored; expected the same"
        )
    if len(subjects) not in (0, len(reference)):
        raise ValueError(
            f"{len(subjects)} subjects for {len(reference)} recordings; expected one per recording"
        )
    for number, pair in enumerate(zip(reference, estimated, strict=True), start=1):
        for kind, events in zip(("reference", "estimated"), pair, strict=True):
            validate(events, classes, f"recording {number}, {kind}")


def _total(total: Floats, by_class: NDArray[np.int64]) -> dict[str, int]:
    agnostic, substitutions = map(int, total[:2])
    reference, estimated, correct = map(int, by_class.sum(axis=1))
    return {
        "reference": reference,
        "estimated": estimated,
        "agnostic": agnostic,
        "correct": correct,
        "substitutions": substitutions,
        "deletions": reference - correct - substitutions,
        "insertions": estimated - correct - substitutions,
    }


def _of_class(label: str, counts: NDArray[np.int64], scores: Mapping[Key, Score]) -> dict[str, Any]:
    values, intervals = as_json({key: scores[label, key] for key in ("precision", "recall", "f1")})
    return {**dict(zip(BY_CLASS, counts.tolist(), strict=True)), **values, "intervals": intervals}
