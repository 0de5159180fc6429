"""What is reported of a model for whole recordings, from the outputs of its folds.

Whatever is chosen (thresholds, temperatures, shifts) is chosen for each fold on the other folds, and what is
reported of that fold is made with it; the file that ships gets what all folds together choose.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from laennec.analyze.rate import respiratory_rate
from laennec.errors import LaennecError
from laennec.model.probability import calibrated, sigmoid
from laennec.score.certainty import COVERAGE, CertaintyScores, certainty_scores
from laennec.score.events import event_scores
from laennec.score.frames import frame_average_precision
from laennec.score.predictions import Predictions
from laennec.score.tasks import shifted, task_scores
from laennec.score.text import interval, number
from laennec.train.recipe import Recipe
from laennec.train.recording_decision import (
    TASKS,
    Labelled,
    RecordingDecision,
    RuleSearch,
    best_task_shift,
    decision_with,
    grouped,
    labelled_records,
    lung_shares,
    lung_threshold,
    matched_events,
    scaling_of,
    task_labels,
)
from laennec.train.recording_predictions import FloatSpan, RecordingOutput, write_tables

DRAWS = 1000
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SeedFigures:
    """What is reported of a seed's folds, and what all folds together choose."""

    figures: dict[str, Any]
    decision: RecordingDecision


def measure(
    seeds: Mapping[int, Sequence[RecordingOutput]], recipe: Recipe, out: Path
) -> tuple[dict[str, Any], RecordingDecision]:
    """Measure every seed's folds and write their tables; what ships is chosen by the first.

    ``seedS/predictions.csv`` and ``seedS/events.csv`` below `out` have every fold as decided on the others.
    """
    each = [_measure(own, recipe, out / f"seed{seed}") for seed, own in seeds.items()]
    first = each[0].figures
    spread = {name: [own.figures["headline"][name] for own in each] for name in first["headline"]}
    return _plain({**first, "by_seed": spread}), each[0].decision


def _plain(value: Any) -> Any:
    """The same with None for what is undefined, such as the specificity where nobody is normal."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _measure(outputs: Sequence[RecordingOutput], recipe: Recipe, folder: Path) -> SeedFigures:
    annotated = [own for own in outputs if own.placed]
    labels, subjects = recipe.labels, [own.subject for own in annotated]
    folds = sorted({own.fold for own in annotated})
    of_fold = np.array([own.fold for own in annotated])
    search = RuleSearch(annotated, labels)
    chosen = {fold: search.best(of_fold != fold) for fold in folds}
    spans = [search.spans[chosen[own.fold]][row] for row, own in enumerate(annotated)]
    named = [own.named(found, labels) for own, found in zip(annotated, spans, strict=True)]
    detection = event_scores(
        [own.annotated(labels) for own in annotated], named, labels, subjects=subjects, draws=DRAWS
    )
    events = matched_events(annotated, spans)
    if events is None:
        raise LaennecError(
            "next to no event was found where one is annotated; train longer, or on more patients"
        )
    decision = decision_with(outputs, search.rules[search.best(np.ones(len(annotated), bool))], events)
    scalings = {fold: scaling_of(events, events.folds != fold) for fold in folds}
    event_predictions = _scaled(events, labels, scalings)
    figures: dict[str, Any] = {
        "recordings": len(annotated),
        "patients": len(set(subjects)),
        "detection": detection,
        "rules": [asdict(search.rules[chosen[fold]]) for fold in folds],
        "frames": _frames(annotated, labels),
        "event_calibration": _certainty(events, event_predictions),
        "refusals": _refusals(outputs, recipe),
        "rate": _rates(annotated, spans),
    }
    headline = {
        "event F, class-agnostic": detection["scores"]["agnostic_f1"],
        "event F, with class": detection["scores"]["f1"],
        "error rate": detection["scores"]["error_rate"],
        "ECE of events": figures["event_calibration"]["ece"],
    }
    probabilities = np.zeros((len(annotated), len(recipe.records)))
    records = labelled_records(annotated)
    if records is not None:
        predictions = _record_figures(records, recipe, folds, figures, headline)
        known = [row for row, own in enumerate(annotated) if own.record >= 0]
        probabilities[known] = predictions.probabilities
    sure = [
        own.event_certainty(found, *scalings[own.fold]) for own, found in zip(annotated, spans, strict=True)
    ]
    write_tables(folder, annotated, probabilities, named, sure, recipe.records, labels)
    return SeedFigures({**figures, "headline": headline}, decision)


def _record_figures(
    records: Labelled,
    recipe: Recipe,
    folds: Sequence[str],
    figures: dict[str, Any],
    headline: dict[str, Any],
) -> Predictions:
    """Add the figures of the record labels; return their predictions, scaled as the other folds choose."""
    scalings = {fold: scaling_of(records, records.folds != fold) for fold in folds}
    predictions = _scaled(records, recipe.records, scalings)
    figures["record_calibration"] = _certainty(records, predictions)
    figures["tasks"] = _tasks(records, predictions, scalings)
    headline["ECE of recordings"] = figures["record_calibration"]["ece"]
    headline |= {f"task {task} Score": own["score"] for task, own in figures["tasks"].items()}
    return predictions


def _scaled(
    items: Labelled, classes: Sequence[str], scalings: Mapping[str, tuple[float, list[float]]]
) -> Predictions:
    """Probabilities scaled as the other folds choose, as the scoring path takes them."""
    probabilities = np.zeros(items.logits.shape)
    for fold, scaling in scalings.items():
        own = items.folds == fold
        probabilities[own] = calibrated(items.logits[own], *scaling)
    names = tuple(classes[label] for label in items.labels)
    ids = tuple(str(row) for row in range(len(names)))
    return Predictions(ids, tuple(items.subjects.tolist()), names, tuple(classes), probabilities)


def _certainty(items: Labelled, predictions: Predictions) -> dict[str, Any]:
    """Calibration and risk of scaled probabilities, and calibration before."""
    before = replace(predictions, probabilities=calibrated(items.logits, 1.0))
    raw: CertaintyScores = certainty_scores(before, draws=0)
    return {
        **certainty_scores(predictions, draws=DRAWS),
        "ece_before": raw["ece"],
        "brier_before": raw["brier"],
    }


def _tasks(
    records: Labelled, predictions: Predictions, scalings: Mapping[str, tuple[float, list[float]]]
) -> dict[str, Any]:
    """Scores of tasks 21 and 22, with the shift of Normal that the other folds choose."""
    if set(task_scores(predictions, draws=0)) != {"task_21", "task_22"}:
        return {}
    figures = {}
    for task, groups in TASKS.items():
        labels = task_labels(records.labels, task)
        shift = np.zeros(len(labels))
        for fold, scaling in scalings.items():
            others = records.folds != fold
            probabilities = grouped(calibrated(records.logits[others], *scaling), task)
            shift[~others] = best_task_shift(probabilities, labels[others], len(groups))
        moved = task_scores(shifted(predictions, shift), draws=DRAWS)[f"task_{task}"]
        plain = task_scores(predictions, draws=0)[f"task_{task}"]["scores"]
        figures[task] = {
            "sensitivity": moved["scores"]["sensitivity"],
            "specificity": moved["scores"]["specificity"],
            "score": moved["scores"]["challenge_score"],
            "interval": moved["intervals"]["challenge_score"],
            "without_shift": [plain[name] for name in ("sensitivity", "specificity", "challenge_score")],
            "confusion": moved["confusion"],
        }
    return figures


def _frames(recordings: Sequence[RecordingOutput], labels: Sequence[str]) -> dict[str, Any]:
    """Average precision over frames: of presence, and of each class, which is presence times its share."""
    scores, targets, subjects = [], [], []
    for own in recordings:
        presence = sigmoid(own.presence[0])
        shares = calibrated(own.classes.T, 1.0)
        scores.append(np.column_stack([presence, presence[:, None] * shares]))
        frames = own.presence.shape[1]
        middle_s = (np.arange(frames) + 0.5) * own.frame_s
        target = np.zeros((frames, 1 + len(labels)), bool)
        for (start_s, end_s), label in zip(own.spans, own.labels, strict=True):
            inside = (middle_s >= start_s) & (middle_s < end_s)
            target[inside, 0] = target[inside, 1 + label] = True
        targets.append(target)
        subjects += [own.subject] * frames
    columns = ("any event", *labels)
    return dict(
        frame_average_precision(np.concatenate(scores), np.concatenate(targets), columns, subjects, draws=200)
    )


def _refusals(outputs: Sequence[RecordingOutput], recipe: Recipe) -> dict[str, Any]:
    """Share of real recordings that are refused, at the threshold of the other folds."""
    shares, own = lung_shares(outputs)
    folds = np.array([each.fold for each in outputs])
    refused = np.zeros(len(outputs), bool)
    for fold in np.unique(folds):
        there = folds == fold
        refused[there] = shares[there] < lung_threshold(shares[~there], own[~there])
    figures: dict[str, Any] = {recipe.dataset: float(refused[own].mean()), "of": int(own.sum())}
    if (~own).any():
        figures |= {recipe.also: float(refused[~own].mean()), f"of {recipe.also}": int((~own).sum())}
    return figures


def _rates(recordings: Sequence[RecordingOutput], spans: Sequence[Sequence[FloatSpan]]) -> dict[str, Any]:
    """Respiratory rate of found events against that of the annotated ones."""
    errors: dict[str, list[float]] = {"good": [], "doubtful": []}
    known = 0
    for recording, own in zip(recordings, spans, strict=True):
        truth = respiratory_rate([float(start) for start, _ in recording.spans])
        if truth.per_min is None or truth.quality != "good":
            continue
        known += 1
        rate = respiratory_rate([start for start, _ in own])
        if rate.per_min is not None:
            errors[rate.quality].append(abs(rate.per_min - truth.per_min))
    return {
        "recordings": known,
        **{
            quality: {
                "recordings": len(values),
                "median_error_per_min": float(np.median(values)) if values else None,
                "mean_error_per_min": float(np.mean(values)) if values else None,
                "within_3_per_min": float(np.mean(np.array(values) <= 3)) if values else None,
            }
            for quality, values in errors.items()
        },
    }


DETECTION = (
    ("event F, class-agnostic", "agnostic_f1"),
    ("event F, with class", "f1"),
    ("error rate", "error_rate"),
    ("insertions / annotated", "insertion_rate"),
    ("deletions / annotated", "deletion_rate"),
    ("substitutions / annotated", "substitution_rate"),
)


def render(figures: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    scores, intervals = figures["detection"]["scores"], figures["detection"]["intervals"]
    by_seed = figures["by_seed"]
    lines = ["| score | value | 95 % over patients | by seed |", "|---|---|---|---|"]
    for title, key in DETECTION:
        spread = ", ".join(_number(value) for value in by_seed.get(title, []))
        lines.append(f"| {title} | {_number(scores[key])} | {_between(intervals[key])} | {spread} |")
    for task, own in figures.get("tasks", {}).items():
        spread = ", ".join(_number(value) for value in by_seed[f"task {task} Score"])
        name = f"task {task} Score (SE {_number(own['sensitivity'])}, SP {_number(own['specificity'])})"
        lines.append(f"| {name} | {_number(own['score'])} | {_between(own['interval'])} | {spread} |")
    for title, key in (("events", "event_calibration"), ("recordings", "record_calibration")):
        if key in figures:
            lines += _certainty_lines(title, figures[key], by_seed[f"ECE of {title}"])
    return "\n".join([*lines, "", *_class_lines(figures)])


def _certainty_lines(title: str, own: Mapping[str, Any], by_seed: Sequence[float]) -> list[str]:
    spread = ", ".join(_number(value) for value in by_seed)
    return [
        f"| ECE of {title} (before {_number(own['ece_before'])}) | {_number(own['ece'])} | "
        f"{_between(own['ece_interval'])} | {spread} |",
        f"| Brier score of {title} (before {_number(own['brier_before'])}) | {_number(own['brier'])} | | |",
        f"| errors of {title}: all, and the {COVERAGE:.0%} it is surest of | {_number(own['risk'])}, "
        f"{_number(own['risk_at_80'])} | | |",
    ]


def _class_lines(figures: Mapping[str, Any]) -> list[str]:
    lines = [
        "| class | annotated | found | F | 95 % | frame-wise average precision |",
        "|---|---|---|---|---|---|",
    ]
    for name, own in figures["detection"]["classes"].items():
        frame = figures["frames"][name]
        lines.append(
            f"| {name} | {own['reference']} | {own['estimated']} | {_number(own['f1'])} | "
            f"{_between(own['intervals']['f1'])} | {_number(frame['average_precision'])} |"
        )
    frame = figures["frames"]["any event"]
    return [*lines, f"| any event | | | | | {_number(frame['average_precision'])} |", ""]


def _number(value: float | None) -> str:
    return number(value, missing="-")


def _between(bounds: Sequence[float] | None) -> str:
    return interval(bounds, missing="-")
