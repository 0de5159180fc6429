"""Numbers and intervals as text, and the plain-text tables beside metrics.json and detection.json."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from laennec.score.bootstrap import BootstrapSettings
from laennec.score.events import SCORE_NAMES as EVENT_SCORE_NAMES
from laennec.score.events import EventScores
from laennec.score.summary import ClipScores
from laennec.score.tasks import TASK_SCORES, TaskScores

# Names of the scores of clips in the tables, in their order; docs/metrics.md gives the equations.
SCORE_NAMES = {
    "sensitivity": "Se, sensitivity (exact class)",
    "specificity": "Sp, specificity",
    "average_score": "AS = (Se+Sp)/2, ICBHI Score",
    "harmonic_score": "HS = 2 Se Sp/(Se+Sp)",
    "total_score": "TS = (Se+Sp+AS+HS)/4",
    "challenge_score": "Score = (AS+HS)/2, BioCAS",
    "accuracy": "accuracy",
    "macro_precision": "macro precision",
    "macro_sensitivity": "macro sensitivity (UAR)",
    "macro_f1": "macro F1",
    "binary_sensitivity": "binary sensitivity",
    "binary_specificity": "binary specificity",
    "binary_precision": "binary precision",
    "binary_f1": "binary F1",
    "binary_average_score": "binary AS",
    "binary_harmonic_score": "binary HS",
    "binary_challenge_score": "binary Score",
    "binary_roc_auc": "binary ROC AUC",
    "binary_average_precision": "binary average precision",
    "brier_score": "Brier score (0 best, 2 worst)",
    "expected_calibration_error": "expected calibration error",
}
CLASS_SCORES = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "roc_auc": "ROC AUC",
    "average_precision": "avg. prec.",
}


def number(value: float | None, digits: int = 3, missing: str = "–") -> str:
    """Return a score as text, `missing` where it is undefined."""
    return missing if value is None or math.isnan(value) else f"{value:.{digits}f}"


def interval(
    bounds: Sequence[float] | None, digits: int = 3, missing: str = "–", link: str = " to ", sign: str = ""
) -> str:
    """Return an interval as text, such as ``0.816 to 0.868``; with `sign` "+", both signs are written."""
    return missing if bounds is None else link.join(f"{bound:{sign}.{digits}f}" for bound in bounds)


def with_interval(
    value: float | None, bounds: Sequence[float] | None, digits: int = 3, bold: bool = False
) -> str:
    """Return a score and its interval in brackets, such as ``0.846 (0.816 to 0.868)``; `bold` in Markdown."""
    score = f"**{number(value, digits)}**" if bold else number(value, digits)
    return score + bracketed(bounds, digits)


def bracketed(bounds: Sequence[float] | None, digits: int = 3) -> str:
    """Return an interval in brackets after a space, nothing where there is none."""
    return f" ({interval(bounds, digits)})" if bounds else ""


def plural(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def level_of(scores: ClipScores | EventScores) -> str:
    """Return the coverage of the intervals, such as ``95 %``."""
    return f"{100 * scores['bootstrap']['level']:g} %"


def size_of(scores: ClipScores) -> str:
    """Return how many clips of how many patients were scored."""
    return f"{plural(scores['clips'], 'clip')} of {plural(scores['subjects'], 'patient')}"


def tasks_of(scores: ClipScores) -> dict[str, TaskScores]:
    """Return the challenge's tasks among the scores, by number."""
    entries: Mapping[str, Any] = scores
    return {key.removeprefix("task_"): entries[key] for key in entries if key.startswith("task_")}


def render_tables(scores: ClipScores) -> str:
    """Return the scores with their intervals, the classes and the confusion matrix as plain text.

    Parameters
    ----------
    scores : from :func:`laennec.score.evaluation.score`
    """
    confusion, level = scores["confusion"], level_of(scores)
    per_class = [
        [
            name,
            *(str(count) for count in (own["clips"], own["subjects"], own["predicted"])),
            *(_number(own[key]) for key in CLASS_SCORES),  # type: ignore[literal-required]
            _interval(own["intervals"]["recall"]),
        ]
        for name, own in scores["classes"].items()
    ]
    rows = zip(confusion["classes"], confusion["counts"], strict=True)
    matrix = [[name, *map(str, row)] for name, row in rows]
    class_header = ["class", "clips", "patients", "predicted", *CLASS_SCORES.values(), f"recall {level}"]
    return "\n".join(
        [
            *_overall(scores, size_of(scores), SCORE_NAMES),
            *_task_lines(scores),
            columns(class_header, per_class),
            "",
            "Confusion matrix: a row is the annotated class, a column the predicted one.",
            "",
            columns(["", *confusion["classes"]], matrix),
            "",
        ]
    )


def _task_lines(scores: ClipScores) -> list[str]:
    """Return the challenge's tasks and an empty line, or nothing where there are none."""
    rows = [
        [
            f"task {task}: {' / '.join(own['classes']) if len(own['classes']) < 4 else 'exact class'}",
            *(_number(own["scores"][key]) for key in TASK_SCORES),
            _interval(own["intervals"]["challenge_score"]),
        ]
        for task, own in tasks_of(scores).items()
    ]
    header = ["BioCAS challenge", "Se", "Sp", "AS", "HS", "Score", f"Score {level_of(scores)}"]
    return [columns(header, rows), ""] if rows else []


def render_detection(scores: EventScores) -> str:
    """Return the scores of events with their intervals, and the classes, as plain text.

    Parameters
    ----------
    scores : from :func:`laennec.score.evaluation.score_detections`
    """
    level = level_of(scores)
    header = ["class", "annotated", "found", "correct", "precision", "recall", "F1", f"F1 {level}"]
    classes = [
        [
            label,
            *(str(count) for count in (own["reference"], own["estimated"], own["correct"])),
            *(_number(value) for value in (own["precision"], own["recall"], own["f1"])),
            _interval(own["intervals"]["f1"]),
        ]
        for label, own in scores["classes"].items()
    ]
    return "\n".join(
        [*_overall(scores, describe_matching(scores), EVENT_SCORE_NAMES), columns(header, classes), ""]
    )


def _overall(scores: ClipScores | EventScores, size: str, names: Mapping[str, str]) -> list[str]:
    """Return what was scored and its overall scores, as lines that end with an empty one."""
    rows = [
        [title, _number(scores["scores"][key]), _interval(scores["intervals"][key])]
        for key, title in names.items()
    ]
    return [
        *_provenance(scores),
        "",
        size,
        "",
        columns(["score", "value", f"{level_of(scores)} interval"], rows),
        "",
        interval_note(scores["bootstrap"]),
        "",
    ]


def describe_matching(scores: EventScores) -> str:
    """Describe in two sentences what was matched and how."""
    counts, rules = scores["counts"], scores["conventions"]
    return (
        f"{scores['recordings']} recordings of {scores['subjects']} patients: {counts['reference']} events "
        f"annotated, {counts['estimated']} found; {counts['correct']} correct, {counts['substitutions']} "
        f"substituted, {counts['deletions']} missed, {counts['insertions']} inserted. "
        f"An event matches if it starts within {1000 * rules['onset_tolerance_s']:g} ms and ends within "
        f"{1000 * rules['offset_tolerance_s']:g} ms or {100 * rules['offset_ratio']:g} % of the annotated "
        "length."
    )


def interval_note(bootstrap: BootstrapSettings) -> str:
    """Describe how the intervals were made, or why there are none."""
    if bootstrap["no_interval"]:
        return f"No intervals: {bootstrap['no_interval']}."
    limit = f" Note: {bootstrap['note']}." if "note" in bootstrap else ""
    return (
        f"Intervals: percentile bootstrap over patients, {bootstrap['draws']} draws, "
        f"seed {bootstrap['seed']}. A dash: undefined, or resting on too few patients.{limit}"
    )


def columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align columns: the first to the left, the others to the right."""
    widths = [max(len(row[k]) for row in [header, *rows]) for k in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(
            field.ljust(width) if k == 0 else field.rjust(width)
            for k, (field, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def listed(value: Any) -> str:
    """Return several values with commas between them, one as it is."""
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _provenance(scores: Mapping[str, Any]) -> list[str]:
    return [f"{key}: {listed(value)}" for key, value in scores["provenance"].items() if value is not None]


def _number(value: float | None) -> str:
    return number(value, 4, "-")


def _interval(bounds: Sequence[float] | None) -> str:
    return interval(bounds, 4, "-")
