"""Tables of the evaluation page: scores, events, confusion matrices, classes, groups of patients."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from laennec.labels import AGE_GROUPS, ICBHI_CYCLES, age_group
from laennec.output.html import table, text
from laennec.score.bootstrap import Patients, Score, over_patients
from laennec.score.confusion import confusion_scores
from laennec.score.evaluation import DetectionMetrics, Metrics
from laennec.score.events import SCORE_NAMES as EVENT_SCORE_NAMES
from laennec.score.predictions import Predictions
from laennec.score.text import (
    CLASS_SCORES,
    SCORE_NAMES,
    class_rows,
    describe_matching,
    event_rows,
    interval,
    level_of,
    number,
    task_rows,
    tasks_of,
)

if TYPE_CHECKING:
    import pandas as pd

GROUPS = 12  # of one kind, at most; the rest is taken together
# A score between two numbers is shown as a line; these two do not end at 1.
NOT_SHARES = ("brier_score", "expected_calibration_error")
NUMBERS = {  # columns set to the right
    *("value", "clips", "patients", "predicted", "Se", "Sp", "AS", "HS", "Score", "interval", "answered"),
    *("wrong", "least probability", "annotated", "found", "correct", "precision", "recall", "F1", "ROC AUC"),
    *("avg. prec.", "recall interval", "F1 interval"),
}


def headline(scores: Metrics) -> tuple[str, str]:
    """Return the score that the data's own challenge ranks by, and its equation."""
    if set(scores["confusion"]["classes"]) == set(ICBHI_CYCLES):
        return "average_score", "(Se + Sp) / 2, as in ICBHI 2017"
    return "challenge_score", "(AS + HS) / 2, as in the BioCAS challenges"


def number_table(columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    return table(columns, rows, caption, [name for name in columns if name in NUMBERS])


def _range(value: float | None, bounds: Sequence[float] | None, key: str) -> str:
    """Return a score's place between 0 and 1 and its interval as a line."""
    if value is None or key in NOT_SHARES or value > 1:
        return ""
    low, high = bounds or (value, value)
    low, high = max(0.0, low), min(1.0, high)
    bar = f'<i style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"></i>'
    return f'<span class="range" aria-hidden="true">{bar}<b style="left:{100 * value:.1f}%"></b></span>'


def _score_table(scores: Metrics | DetectionMetrics, names: Mapping[str, str], caption: str) -> str:
    rows = []
    for key, title in names.items():
        value, bounds = scores["scores"][key], scores["intervals"][key]
        rows.append([text(title), number(value), interval(bounds), _range(value, bounds, key)])
    return number_table(["score", "value", "interval", ""], rows, caption)


def score_tables(scores: Metrics) -> str:
    """Return the section of all scores, with the tasks of the challenge where there are some."""
    bootstrap = scores["bootstrap"]
    how = (
        f"No intervals: {bootstrap['no_interval']}."
        if bootstrap["no_interval"]
        else f"Intervals: {level_of(scores)}, percentile bootstrap over patients, {bootstrap['draws']} "
        "draws. A dash: undefined, or resting on too few patients. The lines go from 0 to 1."
    )
    if "note" in bootstrap:
        how += f" Note: {bootstrap['note']}."
    return f"<section><h2>Scores</h2>{_tasks(scores)}{_score_table(scores, SCORE_NAMES, how)}</section>"


def _tasks(scores: Metrics) -> str:
    rows = [
        [text(name), f"<strong>{score}</strong>", bounds, *parts]
        for name, *parts, score, bounds in task_rows(scores)
    ]
    header = ["task", "Score", "interval", "Se", "Sp", "AS", "HS"]
    return number_table(header, rows, "Tasks of the BioCAS challenge") if rows else ""


def detection_tables(detection: DetectionMetrics) -> str:
    """Return the section of a detector's events."""
    rows = [
        [text(name), f1, bounds, precision, recall, *counts]
        for name, *counts, precision, recall, f1, bounds in event_rows(detection)
    ]
    columns = ["class", "F1", "F1 interval", "precision", "recall", "annotated", "found", "correct"]
    why = detection["bootstrap"]["no_interval"]
    return (
        f"<section><h2>Detection of events</h2><p>{text(describe_matching(detection))}</p>"
        + _score_table(detection, EVENT_SCORE_NAMES, f"No intervals: {why}." if why else "All events")
        + number_table(columns, rows, "Events by class: right are those of the exact class")
        + "</section>"
    )


def confusion_tables(scores: Metrics) -> str:
    """Return the section of the confusion matrices."""
    classes = scores["confusion"]["classes"]
    runs = scores["runs"]
    together = f"{runs} runs together. " if runs > 1 else ""
    parts = [_confusion(classes, scores["confusion"]["counts"], together)]
    parts += [
        _confusion(own["classes"], own["confusion"], f"Task {task}. ")
        for task, own in tasks_of(scores).items()
        if set(own["classes"]) != set(classes)
    ]
    return f'<section class="confusion"><h2>Confusion matrix</h2>{"".join(parts)}</section>'


def _confusion(classes: Sequence[str], counts: Sequence[Sequence[int]], title: str) -> str:
    rows = []
    for name, row in zip(classes, counts, strict=True):
        total = sum(row)
        cells = [
            f'<span class="cell{"" if count else " none"}" '
            f'style="--share:{round(100 * count / max(total, 1))}%">'
            f"<b>{count}</b> {_percent(count, total)}</span>"
            for count in row
        ]
        rows.append([f"{text(name)} <span class='quiet'>({total})</span>", *cells])
    caption = f"{title}Clips, and per cent of the row."
    return table(["annotated \\ predicted", *classes], rows, caption)


def _percent(count: int, total: int) -> str:
    if not count:
        return ""
    share = 100 * count / total
    return "<small>&lt;1 %</small>" if share < 0.5 else f"<small>{share:.0f} %</small>"


def class_table(scores: Metrics) -> str:
    """Return the section of scores by class."""
    rows = [[text(name), *row] for name, *row in class_rows(scores)]
    columns = ["class", "clips", "patients", "predicted", *CLASS_SCORES.values()]
    columns += ["recall interval", "F1 interval"]
    classes = number_table(columns, rows, "Each class against the others")
    return f"<section><h2>Class by class</h2>{classes}</section>"


def group_tables(predictions: Predictions, scores: Metrics, metadata: "pd.DataFrame | None") -> str:
    """Return the section of groups of patients."""
    title = "<h2>Groups of patients</h2>"
    if metadata is None:
        return f"<section>{title}<p>No clips table was given, so the groups are not known.</p></section>"
    kinds = {
        "Age": [age_group(age) or "" for age in metadata["age_years"]],
        **{
            kind: [value if isinstance(value, str) else "" for value in metadata[column]]
            for kind, column in (("Sex", "sex"), ("Position", "location"), ("Device", "device"))
        },
    }
    tables = [
        _group_table(kind, _few(names, kind), predictions, scores)
        for kind, names in kinds.items()
        if any(names)
    ]
    absent = [kind.lower() for kind, names in kinds.items() if not any(names)]
    note = f'<p class="quiet small">Not in this data: {", ".join(absent)}.</p>' if absent else ""
    why = (
        '<p class="small">Groups differ in what they hold, so look at Se, Sp and the interval before '
        "comparing two Scores.</p>"
    )
    return f'<section>{title}{why}<div class="groups">{"".join(tables)}</div>{note}</section>'


def _few(names: Sequence[str], kind: str) -> dict[str, npt.NDArray[np.bool_]]:
    """Return the clips of each group, ages by age, others by size, those not known last."""
    array = np.array(names)
    values, counts = np.unique(array[array != ""], return_counts=True)
    ordered = [str(value) for value in values[np.argsort(-counts, kind="stable")]]
    if kind == "Age":
        ordered = [name for name in AGE_GROUPS if name in ordered]
    groups = {name: array == name for name in ordered[:GROUPS]}
    rest = {f"{len(ordered) - GROUPS} others": np.isin(array, ordered[GROUPS:]), "not known": array == ""}
    return groups | {name: mask for name, mask in rest.items() if mask.any()}


def _group_table(
    kind: str, groups: Mapping[str, npt.NDArray[np.bool_]], predictions: Predictions, scores: Metrics
) -> str:
    rows = []
    for name, mask in groups.items():
        score, se, sp, patients = _group_scores(predictions, scores, np.flatnonzero(mask))
        main = f"<strong>{number(score.value)}</strong>"
        values = interval(score.interval), number(se.value), number(sp.value)
        rows.append([text(name), main, *values, str(mask.sum()), patients])
    return number_table(
        [kind.lower(), "Score", "interval", "Se", "Sp", "clips", "patients"], rows, f"By {kind.lower()}"
    )


def _group_scores(
    predictions: Predictions, scores: Metrics, rows: npt.NDArray[np.int64]
) -> tuple[Score, Score, Score, str]:
    """Return Score, Se, Sp and the number of known patients of some of the clips."""
    classes, rules, bootstrap = predictions.classes, scores["conventions"], scores["bootstrap"]
    patients = Patients.of([predictions.subjects[k] for k in rows])
    labels = [predictions.labels[k] for k in rows]
    measured = over_patients(
        patients.confusions(labels, predictions.probabilities[rows], classes),
        lambda drawn: confusion_scores(drawn, classes, rules["normal"], rules["ignored"]),
        bootstrap["draws"],
        bootstrap["seed"],
        bootstrap["level"],
    )
    keys = headline(scores)[0], "sensitivity", "specificity"
    score, se, sp = (measured[key] for key in keys)
    return score, se, sp, str(patients.known)
