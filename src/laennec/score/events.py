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

import csv
import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from laennec.errors import LaennecError
from laennec.files import write_json, write_text, written_whole
from laennec.labels import SPRSOUND_EVENTS
from laennec.score import predictions as evaluate
from laennec.score.bootstrap import DRAWS, LEVEL, patient_draws, percentile_interval
from laennec.score.confusion import first_index, ratio, validate_classes
from laennec.score.ranking import average_precision
from laennec.score.summary import listed, no_interval_reason, plain_number
from laennec.version import __version__

Floats = NDArray[np.float64]
Span = tuple[float, float, str]  # start_s, end_s, label

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

COLUMNS = ("recording", "subject", "kind", "start_s", "end_s", "label", "probability")
KINDS = ("reference", "estimated")
MATCHES = 7  # columns of a recording's counts before those by class
RANKS = 1000  # thresholds at which the draws of frame_average_precision are ranked

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


@dataclass(frozen=True)
class Detection:
    """What is annotated and what was found in one recording."""

    recording: str
    subject: str
    """The patient, "" where unknown."""
    reference: tuple[Span, ...]
    """Annotated events: start and end in seconds, label."""
    estimated: tuple[Span, ...]
    """Events found."""
    probabilities: tuple[float, ...] = ()
    """Of each estimated event's label; empty where not known."""


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
    """Return as many pairs of a reference and an estimated event as possible.

    Parameters
    ----------
    reference, estimated : sequence of (start_s, end_s, label)
    agnostic : whether labels may differ
    offset_ratio : share of the reference event's length by which offsets may differ

    Returns
    -------
    list of (int, int)
        Positions in `reference` and `estimated`, each at most once.

    Raises
    ------
    LaennecError
        If mir_eval is not installed.
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

    Parameters
    ----------
    reference, estimated : sequence of (start_s, end_s, label)

    Returns
    -------
    tuple of int
        Correct events, substitutions, reference events, estimated events.
    """
    theirs, ours = (
        [
            (start_s, end_s, EZHOUNET_CLASSES[label])
            for start_s, end_s, label in side
            if label in EZHOUNET_CLASSES
        ]
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
) -> list[Floats]:
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
    labels = ([reference[r][2] for r, _ in correct], [s[2] for s in reference], [s[2] for s in estimated])
    return [np.array(matches, float), *(np.array([side.count(c) for c in classes], float) for side in labels)]


def _scores(counts: Floats, classes: Sequence[str], normal: str) -> dict[Any, Floats]:
    """Scores ``(draws,)`` of ``(draws, columns)`` counts by name, and those of a class by (class, name)."""
    agnostic, substitutions, adventitious, *ezhounet = counts[:, :MATCHES].T
    correct, reference, estimated = np.split(counts[:, MATCHES:], 3, axis=1)
    sound = np.array([name != normal for name in classes])
    pairs = {
        "agnostic_": (agnostic, reference.sum(axis=1), estimated.sum(axis=1)),
        "": (correct.sum(axis=1), reference.sum(axis=1), estimated.sum(axis=1)),
        "adventitious_": (adventitious, reference[:, sound].sum(axis=1), estimated[:, sound].sum(axis=1)),
    }
    scores: dict[Any, Floats] = {}
    for name, (matched, of, found) in pairs.items():
        scores |= {f"{name}{key}": value for key, value in _precision_recall_f1(matched, of, found).items()}
    by_class = _precision_recall_f1(correct, reference, estimated)
    present = reference > 0
    f1_sum = np.where(present, np.nan_to_num(by_class["f1"]), 0).sum(axis=1)
    scores["macro_f1"] = ratio(f1_sum, present.sum(axis=1))
    events, hits = reference.sum(axis=1), correct.sum(axis=1)
    deletions = events - hits - substitutions
    insertions = estimated.sum(axis=1) - hits - substitutions
    scores["error_rate"] = ratio(substitutions + deletions + insertions, events)
    scores["substitution_rate"] = ratio(substitutions, events)
    scores["deletion_rate"] = ratio(deletions, events)
    scores["insertion_rate"] = ratio(insertions, events)
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


def event_scores(
    reference: Sequence[Sequence[Span]],
    estimated: Sequence[Sequence[Span]],
    classes: Sequence[str],
    normal: str = "Normal",
    subjects: Sequence[str] = (),
    draws: int = DRAWS,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Any]:
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
    dict, ready for JSON (undefined is None)
        ``recordings``, ``subjects``, ``counts`` (reference, estimated, agnostic, correct, substitutions,
        deletions, insertions), ``scores`` and ``intervals`` by the names in `SCORE_NAMES`, ``classes`` (class
        to its counts, precision, recall, f1 and ``intervals``), ``conventions`` and ``bootstrap``.

        With N reference events, the error rate is (S + D + I) / N (Mesaros et al.) and its parts are the
        rates S/N, D/N and I/N; F1, precision and recall are those of all events together ("micro").
        ``macro_f1`` is the mean over the classes that have reference events.

    Raises
    ------
    ValueError
        If lengths differ, there is no recording, or an event cannot be scored (:func:`validate`).
    LaennecError
        If mir_eval is not installed.
    """
    validate_classes(classes, normal)
    if not len(reference) or len(reference) != len(estimated):
        raise ValueError(
            f"{len(reference)} recordings annotated and {len(estimated)} scored; expected the same"
        )
    if len(subjects) not in (0, len(reference)):
        raise ValueError(
            f"{len(subjects)} subjects for {len(reference)} recordings; expected one per recording"
        )
    for number, sides in enumerate(zip(reference, estimated, strict=True), start=1):
        for kind, events in zip(KINDS, sides, strict=True):
            validate(events, classes, f"recording {number}, {kind}")
    patients, group = np.unique([*subjects] or [""] * len(reference), return_inverse=True)
    per_recording = np.array(
        [np.concatenate(_counts(*sides, classes, normal)) for sides in zip(reference, estimated, strict=True)]
    )
    counts = np.zeros((len(patients), per_recording.shape[1]))
    np.add.at(counts, group, per_recording)
    total = counts.sum(axis=0)
    values = {key: value[0] for key, value in _scores(total[None], classes, normal).items()}
    reason = _no_interval(subjects)
    drawn = {} if reason else _scores(patient_draws(len(patients), draws, seed) @ counts, classes, normal)
    intervals = {
        key: listed(percentile_interval(drawn[key], level)) if key in drawn else None for key in values
    }
    return {
        "recordings": len(reference),
        "subjects": int((patients != "").sum()),
        "counts": _total(total),
        "scores": {key: plain_number(values[key]) for key in SCORE_NAMES},
        "intervals": {key: intervals[key] for key in SCORE_NAMES},
        "classes": {label: _of_class(k, label, total, values, intervals) for k, label in enumerate(classes)},
        "conventions": {
            "normal": normal,
            "onset_tolerance_s": ONSET_TOLERANCE_S,
            "offset_tolerance_s": OFFSET_TOLERANCE_S,
            "offset_ratio": OFFSET_RATIO,
        },
        "bootstrap": {
            "over": "subjects",
            "method": "percentile",
            "draws": 0 if reason else draws,
            "seed": seed,
            "level": level,
            "no_interval": reason,
        },
    }


def _no_interval(subjects: Sequence[str]) -> str | None:
    return no_interval_reason(subjects, "recordings") if len(subjects) else "the patients are not given"


def _total(total: Floats) -> dict[str, int]:
    correct, reference, estimated = (int(part.sum()) for part in np.split(total[MATCHES:], 3))
    agnostic, substitutions = int(total[0]), int(total[1])
    return {
        "reference": reference,
        "estimated": estimated,
        "agnostic": agnostic,
        "correct": correct,
        "substitutions": substitutions,
        "deletions": reference - correct - substitutions,
        "insertions": estimated - correct - substitutions,
    }


def _of_class(
    k: int, label: str, total: Floats, values: Mapping[Any, Any], intervals: Mapping[Any, Any]
) -> dict[str, Any]:
    correct, reference, estimated = (int(part[k]) for part in np.split(total[MATCHES:], 3))
    keys = ("precision", "recall", "f1")
    return {
        "reference": reference,
        "estimated": estimated,
        "correct": correct,
        **{key: plain_number(values[label, key]) for key in keys},
        "intervals": {key: intervals[label, key] for key in keys},
    }


# ------------------------------------------------------------------------------------------------ frames


def frame_average_precision(
    scores: ArrayLike,
    targets: ArrayLike,
    classes: Sequence[str],
    subjects: Sequence[str] = (),
    draws: int = DRAWS,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, dict[str, Any]]:
    """Average precision of each class over frames, with an interval over patients where they are given.

    Parameters
    ----------
    scores : (frames, classes) numbers, higher where the class is heard
    targets : (frames, classes) booleans
    classes : names of the columns
    subjects : (frames,) patient of each frame; none: no interval
    draws, seed, level : the bootstrap's

    Returns
    -------
    dict
        Each class to ``frames`` (positive ones), ``average_precision`` (None without any) and ``interval``
        (``[low, high]`` or None). The value is exact (`average_precision`); the draws
        are ranked at a thousand thresholds, quantiles of the scores of positive and of all frames.

    Raises
    ------
    ValueError
        If the shapes do not fit or a score is no number.
    """
    rows, truth = np.asarray(scores), np.asarray(targets, bool)
    if rows.ndim != 2 or rows.shape != truth.shape or rows.shape[1] != len(classes):
        raise ValueError(
            f"scores have shape {rows.shape}, targets {truth.shape}; expected a row per frame, "
            f"a column for each of {len(classes)} classes"
        )
    if len(subjects) not in (0, len(rows)):
        raise ValueError(f"{len(subjects)} subjects for {len(rows)} frames; expected one per frame")
    if np.isnan(rows).any():
        raise ValueError(f"frame {first_index(np.isnan(rows).any(axis=1))} has a score that is no number")
    patients, group = np.unique(np.asarray(subjects, dtype=str), return_inverse=True)
    resamples = patient_draws(len(patients), draws, seed) if len(patients) > 1 else None
    found = {}
    for k, name in enumerate(classes):
        value = average_precision(truth[:, k], rows[:, k])
        interval = None
        if resamples is not None and truth[:, k].any():
            drawn = _average_precision_of_draws(truth[:, k], rows[:, k], group, resamples)
            interval = listed(percentile_interval(drawn, level))
        found[name] = {
            "frames": int(truth[:, k].sum()),
            "average_precision": plain_number(value),
            "interval": interval,
        }
    return found


def _average_precision_of_draws(
    positive: NDArray[np.bool_], score: NDArray[Any], group: NDArray[np.int64], resamples: Floats
) -> Floats:
    """Average precision of each draw, from counts of frames by patient and score.

    Half the thresholds lie at quantiles of the positive frames' scores, where recall is gained.
    """
    shares = np.linspace(0, 1, RANKS // 2)
    edges = np.unique(np.concatenate([np.quantile(score[positive], shares), np.quantile(score, shares)]))
    rank = len(edges) - np.searchsorted(edges, score, side="right")  # 0: the highest scores
    patients = resamples.shape[1]

    def passed(mask: NDArray[np.bool_]) -> Floats:
        cells = np.bincount(rank[mask] * patients + group[mask], minlength=(len(edges) + 1) * patients)
        return resamples @ np.cumsum(cells.reshape(-1, patients), axis=0, dtype=np.float64).T

    true, false = passed(positive), passed(~positive)
    precision = np.nan_to_num(ratio(true, true + false))
    gained = np.diff(true, axis=1, prepend=0)
    return ratio((gained * precision).sum(axis=1), true[:, -1])


# ------------------------------------------------------------------------------------------------- files


def write_events(path: str | os.PathLike[str], detections: Sequence[Detection]) -> None:
    """Write events.csv, a row an event: ``recording, subject, kind, start_s, end_s, label, probability``.

    The kind is ``reference`` or ``estimated``; only an estimated event has a probability. A recording without
    any event leaves no row, as it adds to no count.

    Raises
    ------
    LaennecError
        If a recording occurs twice, or its probabilities are not one per estimated event.
    """
    names = [detection.recording for detection in detections]
    if len(set(names)) < len(names):
        raise LaennecError(f"{path}: a recording occurs twice; score each once")
    with written_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for each in detections:
            told = [repr(float(p)) for p in each.probabilities] or [""] * len(each.estimated)
            if len(told) != len(each.estimated):
                raise LaennecError(
                    f"{path}: {each.recording} has {len(told)} probabilities for {len(each.estimated)} events"
                )
            rows = [("reference", span, "") for span in each.reference]
            rows += [("estimated", span, p) for span, p in zip(each.estimated, told, strict=True)]
            for kind, (start_s, end_s, label), sure in rows:
                times = (repr(float(start_s)), repr(float(end_s)))
                writer.writerow([each.recording, each.subject, kind, *times, label, sure])


def read_events_table(path: str | os.PathLike[str]) -> list[Detection]:
    """Read events.csv, recordings in the order of their first row.

    Raises
    ------
    LaennecError
        If the file is missing, is not such a table, holds what is no time or probability, or gives a
        recording two patients.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            header, *rows = list(csv.reader(file)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LaennecError(f"{path}: cannot be read as events.csv ({error})") from error
    if tuple(header) != COLUMNS:
        raise LaennecError(f"{path}: the first line must be {','.join(COLUMNS)}; it is {','.join(header)!r}")
    subjects: dict[str, str] = {}
    events: dict[tuple[str, str], list[tuple[Span, float | None]]] = {}
    for number, row in enumerate((row for row in rows if row), start=1):
        recording, kind, event = _read_row(path, number, row)
        if subjects.setdefault(recording, row[1]) != row[1]:
            raise LaennecError(f"{path}: {recording} is of patients {subjects[recording]!r} and {row[1]!r}")
        events.setdefault((recording, kind), []).append(event)
    return [
        Detection(
            recording,
            subject,
            tuple(span for span, _ in events.get((recording, "reference"), [])),
            tuple(span for span, _ in events.get((recording, "estimated"), [])),
            _probabilities(path, recording, [p for _, p in events.get((recording, "estimated"), [])]),
        )
        for recording, subject in subjects.items()
    ]


def _read_row(
    path: str | os.PathLike[str], number: int, row: Sequence[str]
) -> tuple[str, str, tuple[Span, float | None]]:
    if len(row) != len(COLUMNS):
        raise LaennecError(f"{path}: event {number} has {len(row)} fields; expected {len(COLUMNS)}")
    recording, _, kind, start_s, end_s, label, probability = row
    if kind not in KINDS:
        raise LaennecError(f"{path}: event {number} is of kind {kind!r}; expected {' or '.join(KINDS)}")
    try:
        span = (float(start_s), float(end_s), label)
        told = float(probability) if probability else None
    except ValueError as error:
        raise LaennecError(f"{path}: event {number} has a field that is no number ({error})") from error
    if told is not None and not 0 <= told <= 1:
        raise LaennecError(f"{path}: event {number} has a probability outside [0, 1]")
    return recording, kind, (span, told)


def _probabilities(
    path: str | os.PathLike[str], recording: str, told: Sequence[float | None]
) -> tuple[float, ...]:
    known = tuple(p for p in told if p is not None)
    if known and len(known) < len(told):
        raise LaennecError(f"{path}: {recording} has a probability for some of its estimated events only")
    return known


def score_detections(
    detections: Sequence[Detection],
    provenance: Mapping[str, Any] | None = None,
    classes: Sequence[str] = SPRSOUND_EVENTS,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """Compute what detection.json holds: the answer of :func:`event_scores` and ``provenance``.

    Parameters
    ----------
    detections : from :func:`read_events_table`
    provenance : what was scored, as for :func:`laennec.score.predictions.score`
    classes : labels that events may have; one of them means normal breathing
    draws, seed : of the bootstrap over patients

    Raises
    ------
    LaennecError
        If the events cannot be scored.
    """
    try:
        found = event_scores(
            [each.reference for each in detections],
            [each.estimated for each in detections],
            classes,
            evaluate.normal_class(classes),
            [each.subject for each in detections],
            draws,
            seed,
        )
    except ValueError as error:
        raise LaennecError(f"the events cannot be scored: {error}") from error
    given = {"version": __version__, **(provenance or {})}
    return {**found, "provenance": {**dict.fromkeys(evaluate.PROVENANCE), **given}}


def score_events(
    events_csv: str | os.PathLike[str],
    out: str | os.PathLike[str],
    provenance: Mapping[str, Any] | None = None,
    classes: Sequence[str] = SPRSOUND_EVENTS,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """Score events.csv and write detection.json and detection.txt to the folder `out`.

    Parameters as for :func:`score_detections`; the SHA-256 of the events is added to the provenance.

    Returns
    -------
    dict
        What detection.json holds.
    """
    detections = read_events_table(events_csv)
    digest = hashlib.sha256(Path(events_csv).read_bytes()).hexdigest()
    try:
        found = score_detections(
            detections, {**(provenance or {}), "events_sha256": digest}, classes, draws, seed
        )
    except LaennecError as error:
        raise LaennecError(f"{events_csv}: {error}") from error
    write_json(Path(out) / "detection.json", found)
    write_text(Path(out) / "detection.txt", render_tables(found))
    return found


def render_tables(found: Mapping[str, Any]) -> str:
    """Return the scores of events with their intervals, and the classes, as plain text.

    Parameters
    ----------
    found : from :func:`score_detections`
    """
    level = f"{100 * found['bootstrap']['level']:g} %"
    scores = [
        [title, evaluate._number(found["scores"][key]), evaluate._interval(found["intervals"][key])]
        for key, title in SCORE_NAMES.items()
    ]
    header = ["class", "annotated", "found", "correct", "precision", "recall", "F1", f"F1 {level}"]
    classes = [
        [
            label,
            *(str(told[key]) for key in ("reference", "estimated", "correct")),
            *(evaluate._number(told[key]) for key in ("precision", "recall", "f1")),
            evaluate._interval(told["intervals"]["f1"]),
        ]
        for label, told in found["classes"].items()
    ]
    given = found["provenance"].items()
    return "\n".join(
        [
            *(f"{key}: {evaluate._text(value)}" for key, value in given if value is not None),
            "",
            describe(found),
            "",
            evaluate._table(["score", "value", f"{level} interval"], scores),
            "",
            evaluate._interval_note(found["bootstrap"]),
            "",
            evaluate._table(header, classes),
            "",
        ]
    )


def describe(found: Mapping[str, Any]) -> str:
    """Say in two sentences what was matched and how."""
    counts, rules = found["counts"], found["conventions"]
    return (
        f"{found['recordings']} recordings of {found['subjects']} patients: {counts['reference']} events "
        f"annotated, {counts['estimated']} found; {counts['correct']} correct, {counts['substitutions']} "
        f"substituted, {counts['deletions']} missed, {counts['insertions']} inserted. "
        f"An event matches if it starts within {1000 * rules['onset_tolerance_s']:g} ms and ends within "
        f"{1000 * rules['offset_tolerance_s']:g} ms or {100 * rules['offset_ratio']:g} % of the annotated "
        "length."
    )
