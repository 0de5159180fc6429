"""Numbers and intervals as text, and the plain-text tables beside metrics.json and detection.json."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from laennec.audio.samples import counted
from laennec.score.baselines import SCORES as BASELINE_SCORES
from laennec.score.baselines import BaselineScores
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


Style = tuple[int, str]
"""Digits of a number, and what stands for an undefined one."""
SHORT: Style = (3, "–")
PLAIN: Style = (4, "-")


def number(value: float | None, digits: int = 3, missing: str = "–", sign: str = "") -> str:
    """Return a score as text, `missing` where it is undefined; with `sign` "+", both signs are written."""
    return missing if value is None or math.isnan(value) else f"{value:{sign}.{digits}f}"


def interval(
    bounds: Sequence[float] | None, digits: int = 3, missing: str = "–", link: str = " to ", sign: str = ""
) -> str:
    """Return an interval as text, such as ``0.816 to 0.868``; with `sign` "+", both signs are written."""
    return missing if bounds is None else link.join(f"{bound:{sign}.{digits}f}" for bound in bounds)


def with_interval(
    value: float | None,
    bounds: Sequence[float] | None,
    digits: int = 3,
    bold: bool = False,
    bounds_digits: int | None = None,
) -> str:
    """Return a score and its interval in brackets, such as ``0.846 (0.816 to 0.868)``; `bold` in Markdown."""
    score = f"**{number(value, digits)}**" if bold else number(value, digits)
    return score + bracketed(bounds, digits if bounds_digits is None else bounds_digits)


def bracketed(bounds: Sequence[float] | None, digits: int = 3) -> str:
    """Return an interval in brackets after a space, nothing where there is none."""
    return f" ({interval(bounds, digits)})" if bounds else ""


def level_of(scores: ClipScores | EventScores) -> str:
    """Return the coverage of the intervals, such as ``95 %``."""
    return f"{100 * scores['bootstrap']['level']:g} %"


def size_of(scores: ClipScores) -> str:
    """Return how many clips of how many patients were scored."""
    return f"{counted(scores['clips'], 'clip', '')} of {of_patients(scores['subjects'])}"


def of_patients(count: int) -> str:
    """Return a number of known patients with its noun; in words where none is known."""
    return counted(count, "patient", "") if count else "patients who are not known"


def tasks_of(scores: ClipScores) -> dict[str, TaskScores]:
    """Return the challenge's tasks among the scores, by number."""
    entries: Mapping[str, Any] = scores
    return {key.removeprefix("task_"): entries[key] for key in entries if key.startswith("task_")}


def class_rows(scores: ClipScores, style: Style = SHORT) -> list[list[str]]:
    """Return name, clips, patients, answers, `CLASS_SCORES`, intervals of recall and F1 of each class."""
    return [
        [
            name,
            *(str(own[key]) for key in ("clips", "subjects", "predicted")),
            *(number(own[key], *style) for key in CLASS_SCORES),
            *(interval(own["intervals"][key], *style) for key in ("recall", "f1")),
        ]
        for name, own in scores["classes"].items()
    ]


def task_rows(scores: ClipScores, style: Style = SHORT) -> list[list[str]]:
    """Return name, `TASK_SCORES` and the interval of the last of each of the challenge's tasks."""
    return [
        [
            f"{task}: {' / '.join(own['classes']) if len(own['classes']) < 4 else 'exact class'}",
            *(number(own["scores"][key], *style) for key in TASK_SCORES),
            interval(own["intervals"][TASK_SCORES[-1]], *style),
        ]
        for task, own in tasks_of(scores).items()
    ]


def event_rows(scores: EventScores, style: Style = SHORT) -> list[list[str]]:
    """Return name, annotated, found, correct, precision, recall, F1 and its interval of each class."""
    return [
        [
            name,
            *(str(own[key]) for key in ("reference", "estimated", "correct")),
            *(number(own[key], *style) for key in ("precision", "recall", "f1")),
            interval(own["intervals"]["f1"], *style),
        ]
        for name, own in scores["classes"].items()
    ]


def render_tables(scores: ClipScores) -> str:
    """Return the answer of :func:`laennec.score.evaluation.score` as plain text."""
    confusion, level = scores["confusion"], level_of(scores)
    tasks = [[f"task {name}", *row] for name, *row in task_rows(scores, PLAIN)]
    task_header = ["BioCAS challenge", "Se", "Sp", "AS", "HS", "Score", f"Score {level}"]
    rows = zip(confusion["classes"], confusion["counts"], strict=True)
    matrix = [[name, *map(str, row)] for name, row in rows]
    class_header = ["class", "clips", "patients", "predicted", *CLASS_SCORES.values(), f"recall {level}"]
    entries: Mapping[str, Any] = scores
    runs = scores["runs"]
    together = f", {runs} runs together as in the column predicted" if runs > 1 else ""
    rules = baselines_table(entries["baselines"]) if "baselines" in entries else ""
    return "\n".join(
        [
            *_overall(scores, size_of(scores), SCORE_NAMES),
            *([columns(task_header, tasks), ""] if tasks else []),
            *([rules, ""] if rules else []),
            columns(class_header, [row[:-1] for row in class_rows(scores, PLAIN)]),
            "",
            f"Confusion matrix{together}: a row is the annotated class, a column the predicted one.",
            "",
            columns(["", *confusion["classes"]], matrix),
            "",
        ]
    )


def baselines_table(rows: Sequence[BaselineScores]) -> str:
    """Return the scores of rules that do not listen, and what the system adds to each."""
    cells = [
        [
            row["name"],
            *(number(row["scores"][name], *PLAIN) for name in BASELINE_SCORES),
            number(row["difference"], *PLAIN, sign="+"),
            interval(row["difference_interval"], *PLAIN, sign="+"),
        ]
        for row in rows
    ]
    return columns(
        ["without listening, it knows", "Se", "Sp", "AS", "model minus rule", "95 % interval"], cells
    )


def render_detection(scores: EventScores) -> str:
    """Return the answer of :func:`laennec.score.evaluation.score_detections` as plain text."""
    header = ["class", "annotated", "found", "correct", "precision", "recall", "F1", f"F1 {level_of(scores)}"]
    overall = _overall(scores, describe_matching(scores), EVENT_SCORE_NAMES)
    return "\n".join([*overall, columns(header, event_rows(scores, PLAIN)), ""])


def _overall(scores: ClipScores | EventScores, size: str, names: Mapping[str, str]) -> list[str]:
    """Return what was scored and its overall scores, as lines that end with an empty one."""
    rows = [
        [title, number(scores["scores"][key], *PLAIN), interval(scores["intervals"][key], *PLAIN)]
        for key, title in names.items()
    ]
    entries: Mapping[str, Any] = scores
    return [
        *(f"{key}: {listed(value)}" for key, value in entries["provenance"].items() if value is not None),
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
        f"{counted(scores['recordings'], 'recording', '')} of {of_patients(scores['subjects'])}: "
        f"{counted(counts['reference'], 'event', '')} annotated, {counts['estimated']} found; "
        f"{counts['correct']} correct, "
        f"{counts['substitutions']} substituted, {counts['deletions']} missed, "
        f"{counts['insertions']} inserted. "
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
