"""One evaluation as one HTML file: scores with intervals, matrices, curves, groups, the worst clips to hear.

Nothing in it is computed otherwise than metrics.json is: scores come from there, groups and curves from
:mod:`laennec.score.summary`.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from laennec.analyze.analysis import DISCLAIMER
from laennec.audio.recording import Recording
from laennec.audio.segment import cut
from laennec.errors import LaennecError
from laennec.files import write_text
from laennec.labels import ICBHI_CYCLES
from laennec.output.colours import label_colours
from laennec.output.html import asset, data_uri, facts, page, png, table, text
from laennec.output.page_sound import wav
from laennec.output.spectrogram import RANGE_DB, log_spectrogram
from laennec.score.bootstrap import Patients, Score, over_patients
from laennec.score.calibration import reliability, risk_coverage
from laennec.score.confusion import confusion_by_group, confusion_scores, predicted_classes
from laennec.score.evaluation import DetectionMetrics, Metrics, score_detections
from laennec.score.events import SCORE_NAMES as EVENT_SCORE_NAMES
from laennec.score.events_table import Detection
from laennec.score.predictions import Predictions
from laennec.score.tasks import TASK_SCORES
from laennec.score.text import (
    CLASS_SCORES,
    SCORE_NAMES,
    describe_matching,
    level_of,
    listed,
    plural,
    tasks_of,
)
from laennec.score.text import interval as _interval
from laennec.score.text import number as _number

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]

WORST = 12  # clips to listen to
SHOWN_S = 20.0  # of a clip that is longer, the sound and the picture end here
RATE = 8_000  # Hz, of the sound; lung sounds lie below 2 kHz
COLUMNS = 300  # of a clip's spectrogram
TOLD = 4  # probabilities shown of a clip
GROUPS = 12  # of one kind, at most; the rest is taken together
COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.5)
# A score between two numbers is shown as a line; these two do not end at 1.
NOT_SHARES = ("brier_score", "expected_calibration_error")
AGES = ((2, "under 2 years"), (6, "2 to 5 years"), (13, "6 to 12 years"), (math.inf, "over 12 years"))
DASHES = ("", "7 3", "2 3", "9 3 2 3")  # lines are told apart without colours too
NUMBERS = {  # columns set to the right
    *("value", "clips", "patients", "predicted", "Se", "Sp", "AS", "HS", "Score", "interval", "answered"),
    *("wrong", "least probability", "annotated", "found", "correct", "precision", "recall", "F1", "ROC AUC"),
    *("avg. prec.", "recall interval", "F1 interval"),
}


def evaluation_page(
    out_folder: str | os.PathLike[str],
    clips: "pd.DataFrame | None",
    predictions: Predictions,
    found: Metrics,
    events: Sequence[Detection] | None = None,
    detection: DetectionMetrics | None = None,
) -> Path:
    """Write index.html into the folder that has metrics.json; parameters as for :func:`write_evaluation`.

    Returns
    -------
    Path
        The page.
    """
    path = Path(out_folder) / "index.html"
    write_evaluation(found, predictions, path, clips, events, detection)
    return path


def write_evaluation(
    found: Metrics,
    predictions: Predictions,
    path: str | os.PathLike[str],
    clips: "pd.DataFrame | None" = None,
    events: Sequence[Detection] | None = None,
    detection: DetectionMetrics | None = None,
) -> None:
    """Write an evaluation as one HTML file, whole or not at all.

    Parameters
    ----------
    found : mapping
        From :func:`laennec.score.evaluation.score`.
    predictions : Predictions
        What was scored: events, cycles or whole recordings.
    path : path
        The page.
    clips : pandas.DataFrame, optional
        The clips table (:mod:`laennec.datasets.table`) with the predictions' ``clip_id``, for the groups of
        patients and the sound; a clip that it lacks is left out of both.
    events : sequence of Detection, optional
        Annotated and detected events, where the model detects; scored here unless `detection` is given.
    detection : mapping, optional
        From :func:`laennec.score.evaluation.score_events`.

    Raises
    ------
    LaennecError
        If the predictions are not those that were scored, the events cannot be scored, or the file cannot be
        written.
    """
    write_text(path, render_evaluation(found, predictions, clips, events, detection))


def render_evaluation(
    found: Metrics,
    predictions: Predictions,
    clips: "pd.DataFrame | None" = None,
    events: Sequence[Detection] | None = None,
    detection: DetectionMetrics | None = None,
) -> str:
    """Return an evaluation as one HTML page; parameters and errors as for :func:`write_evaluation`."""
    if found["clips"] != len(predictions.labels) or found["confusion"]["classes"] != [*predictions.classes]:
        raise LaennecError("these are not the predictions that were scored")
    if detection is None and events:
        detection = score_detections(events)
    told = None if clips is None else _aligned(clips, predictions)
    body = "\n".join(
        [
            _header(found),
            "<main>",
            _scores(found),
            "" if detection is None else _detection(detection),
            _confusions(found),
            _classes(found),
            _curves(predictions, found),
            _confidence(predictions, found),
            _groups(predictions, found, told),
            _worst(predictions, told),
            "</main>",
        ]
    )
    return page(f"Evaluation of {_model(found)}", body, asset("evaluation.css"))


def _aligned(clips: "pd.DataFrame", predictions: Predictions) -> "pd.DataFrame":
    """Return the row of each prediction; one that the table lacks is missing in every column."""
    return clips.drop_duplicates("clip_id").set_index("clip_id").reindex(list(predictions.clip_ids))


def _model(found: Metrics) -> str:
    return str(found["provenance"]["model"] or "a model").split(", sha256")[0]


def _headline(found: Metrics) -> tuple[str, str]:
    """Return the score that the data's own challenge ranks by, and its equation."""
    if set(found["confusion"]["classes"]) == set(ICBHI_CYCLES):
        return "average_score", "(Se + Sp) / 2, as in ICBHI 2017"
    return "challenge_score", "(AS + HS) / 2, as in the BioCAS challenges"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    return table(columns, rows, caption, [name for name in columns if name in NUMBERS])


# --- scores -------------------------------------------------------------------------------------------------


def _header(found: Metrics) -> str:
    key, equation = _headline(found)
    scores, intervals = found["scores"], found["intervals"]
    told = {
        name: f"<b>{_number(scores[k])}</b> <small>{_interval(intervals[k])}</small>"
        for name, k in (("Se, exact class", "sensitivity"), ("Sp", "specificity"), ("Macro F1", "macro_f1"))
    }
    given = found["provenance"].items()
    named = {
        name.replace("_sha256", ", SHA-256"): value for name, value in given if value not in (None, [None])
    }
    return "\n".join(
        [
            "<header>",
            '<p class="quiet small">Evaluation</p>',
            f"<h1>{text(_model(found))}</h1>",
            '<section class="answer" aria-label="Main scores">',
            f'<p><strong class="verdict">Score {_number(scores[key])}</strong> '
            f"{level_of(found)} interval {_interval(intervals[key])}</p>",
            f'<p class="small">{text(equation)}; {plural(found["clips"], "clip")} of '
            f"{plural(found['subjects'], 'patient')}</p>",
            facts(told),
            "</section>",
            f'<p class="disclaimer">{text(DISCLAIMER)}</p>',
            facts({name.capitalize(): text(listed(v)) for name, v in named.items()}),
            "</header>",
        ]
    )


def _range(value: float | None, interval: Sequence[float] | None, key: str) -> str:
    """Return a score's place between 0 and 1 and its interval as a line."""
    if value is None or key in NOT_SHARES or value > 1:
        return ""
    low, high = interval or (value, value)
    low, high = max(0.0, low), min(1.0, high)
    bar = f'<i style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"></i>'
    return f'<span class="range" aria-hidden="true">{bar}<b style="left:{100 * value:.1f}%"></b></span>'


def _score_table(found: Metrics | DetectionMetrics, names: Mapping[str, str], caption: str) -> str:
    rows = []
    for key, title in names.items():
        value, interval = found["scores"][key], found["intervals"][key]
        rows.append([text(title), _number(value), _interval(interval), _range(value, interval, key)])
    return _table(["score", "value", "interval", ""], rows, caption)


def _scores(found: Metrics) -> str:
    bootstrap = found["bootstrap"]
    how = (
        f"No intervals: {bootstrap['no_interval']}."
        if bootstrap["no_interval"]
        else f"Intervals: {level_of(found)}, percentile bootstrap over patients, {bootstrap['draws']} draws. "
        "A dash: undefined, or resting on too few patients. The lines go from 0 to 1."
    )
    return f"<section><h2>Scores</h2>{_tasks(found)}{_score_table(found, SCORE_NAMES, how)}</section>"


def _tasks(found: Metrics) -> str:
    tasks = tasks_of(found)
    if not tasks:
        return ""
    rows = [
        [
            f"{number}: {'exact class' if len(told['classes']) > 3 else text(' / '.join(told['classes']))}",
            f"<strong>{_number(told['scores']['challenge_score'])}</strong>",
            _interval(told["intervals"]["challenge_score"]),
            *(_number(told["scores"][key]) for key in TASK_SCORES[:-1]),
        ]
        for number, told in tasks.items()
    ]
    return _table(
        ["task", "Score", "interval", "Se", "Sp", "AS", "HS"], rows, "Tasks of the BioCAS challenge"
    )


def _detection(detection: DetectionMetrics) -> str:
    rows = [
        [
            text(name),
            *(_number(own["f1"]), _interval(own["intervals"]["f1"])),
            *(_number(value) for value in (own["precision"], own["recall"])),
            *(str(count) for count in (own["reference"], own["estimated"], own["correct"])),
        ]
        for name, own in detection["classes"].items()
    ]
    columns = ["class", "F1", "F1 interval", "precision", "recall", "annotated", "found", "correct"]
    why = detection["bootstrap"]["no_interval"]
    return (
        f"<section><h2>Detection of events</h2><p>{text(describe_matching(detection))}</p>"
        + _score_table(detection, EVENT_SCORE_NAMES, f"No intervals: {why}." if why else "All events")
        + _table(columns, rows, "Events by class: right are those of the exact class")
        + "</section>"
    )


# --- matrices and classes -----------------------------------------------------------------------------------


def _confusions(found: Metrics) -> str:
    classes = found["confusion"]["classes"]
    parts = [_confusion(classes, found["confusion"]["counts"], "")]
    parts += [
        _confusion(own["classes"], own["confusion"], f"Task {task}. ")
        for task, own in tasks_of(found).items()
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


def _classes(found: Metrics) -> str:
    rows = [
        [
            text(name),
            *(str(count) for count in (own["clips"], own["subjects"], own["predicted"])),
            *(_number(own[key]) for key in CLASS_SCORES),  # type: ignore[literal-required]
            _interval(own["intervals"]["recall"]),
            _interval(own["intervals"]["f1"]),
        ]
        for name, own in found["classes"].items()
    ]
    columns = ["class", "clips", "patients", "predicted", *CLASS_SCORES.values()]
    columns += ["recall interval", "F1 interval"]
    return (
        f"<section><h2>Class by class</h2>{_table(columns, rows, 'Each class against the others')}</section>"
    )


# --- curves -------------------------------------------------------------------------------------------------

PLOT = 300  # width and height of what is drawn in; the units of the picture
LEFT, RIGHT, ABOVE, BELOW = 54, 14, 8, 40


@dataclass(frozen=True)
class _Line:
    name: str
    x: Floats
    y: Floats
    colour: str = "var(--accent)"
    dash: str = ""
    legend: str = ""


def _axes(x_label: str, y_label: str, inside: str, told: str, y_top: float = 1.0) -> str:
    """Return a picture with axes from 0 to 1 (`y_top` upwards) around what is drawn in units of `PLOT`."""
    marks = []
    for k in range(6):
        at = PLOT * k / 5
        marks += [
            f'<path class="grid" d="M{at:g} 0V{PLOT}M0 {at:g}H{PLOT}"/>',
            f'<text x="{at:g}" y="{PLOT + 16}" text-anchor="middle">{k / 5:g}</text>',
            f'<text x="-6" y="{PLOT - at + 4:g}" text-anchor="end">{y_top * k / 5:.2g}</text>',
        ]
    middle = PLOT / 2
    return (
        f'<svg viewBox="{-LEFT} {-ABOVE} {PLOT + LEFT + RIGHT} {PLOT + ABOVE + BELOW}" role="img" '
        f'aria-label="{text(told)}">{"".join(marks)}{inside}'
        f'<text x="{middle}" y="{PLOT + 34}" text-anchor="middle">{text(x_label)}</text>'
        f'<text transform="translate({-LEFT + 10} {middle}) rotate(-90)" text-anchor="middle">'
        f"{text(y_label)}</text>"
        "</svg>"
    )


def _path(line: _Line, y_top: float = 1.0) -> str:
    """Return a line, with no more corners than can be seen."""
    points = np.round(np.stack([line.x * PLOT, (1 - line.y / y_top) * PLOT], axis=1)).astype(int)
    points = points[np.concatenate([[True], (np.diff(points, axis=0) != 0).any(axis=1)])]
    corners = "L".join(f"{x} {y}" for x, y in points)
    dash = f' stroke-dasharray="{line.dash}"' if line.dash else ""
    title = f"<title>{text(line.name)}</title>"
    return f'<path class="line" d="M{corners}" style="stroke:{line.colour}"{dash}>{title}</path>'


def _legend(lines: Sequence[_Line]) -> str:
    items = "".join(
        f'<li><svg viewBox="0 0 28 8" aria-hidden="true"><path class="line" d="M0 4H28" '
        f'style="stroke:{line.colour}" stroke-dasharray="{line.dash}"/></svg>{text(line.name)} '
        f'<span class="quiet">{line.legend}</span></li>'
        for line in lines
    )
    return f'<ul class="legend">{items}</ul>'


def _figure(picture: str, caption: str, legend: str = "") -> str:
    return f"<figure>{picture}<figcaption>{legend}<p>{caption}</p></figcaption></figure>"


def _curves(predictions: Predictions, found: Metrics) -> str:
    colours = label_colours(predictions.classes, found["conventions"]["normal"])
    roc, ranked, left_out = [], [], []
    for k, name in enumerate(predictions.classes):
        positive = np.array([label == name for label in predictions.labels])
        if positive.all() or not positive.any():
            left_out.append(name)
            continue
        true, false = _passed(positive, predictions.probabilities[:, k])
        told = found["classes"][name]
        look = colours[name], DASHES[k % len(DASHES)]
        recall, precision = true / true[-1], true / (true + false)
        area, average = (_number(told[key]) for key in ("roc_auc", "average_precision"))
        start = [0.0]
        roc.append(_Line(name, np.r_[start, false / false[-1]], np.r_[start, recall], *look, area))
        # The precision at a threshold holds from the recall before it on, as average precision has it.
        steps = np.repeat(np.r_[start, recall], 2)[1:-1], np.repeat(precision, 2)
        ranked.append(_Line(name, *steps, *look, average))
    chance = f'<path class="chance" d="M0 {PLOT}L{PLOT} 0"/>'
    missing = (
        f" Without a curve, as all clips or none are of it: {text(', '.join(left_out))}." if left_out else ""
    )
    figures = _figure(
        _axes("1 – specificity", "sensitivity", chance + "".join(map(_path, roc)), "ROC curves"),
        f"ROC of each class against the others; the number is its area, the dotted line chance.{missing}",
        _legend(roc),
    ) + _figure(
        _axes("recall", "precision", "".join(map(_path, ranked)), "Precision-recall curves"),
        "Precision and recall of each class; the number is the average precision.",
        _legend(ranked),
    )
    return f'<section><h2>Curves</h2><div class="figures">{figures}</div></section>' if roc else ""


def _passed(positive: npt.NDArray[np.bool_], score: Floats) -> tuple[Floats, Floats]:
    """Count the positive and the other clips at or above each distinct score, from the highest down."""
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.diff(score[order], append=-np.inf))
    true = np.cumsum(positive[order])[ends].astype(np.float64)
    return true, ends + 1 - true


def _confidence(predictions: Predictions, found: Metrics) -> str:
    surest = predictions.probabilities.max(axis=1)
    answers = predicted_classes(predictions.probabilities, predictions.classes)
    correct = np.array([a == label for a, label in zip(answers, predictions.labels, strict=True)])
    curve = risk_coverage(surest, correct)
    y_top = next(top for top in (0.1, 0.25, 0.5, 1.0) if curve.risk.max() <= top)
    line = _path(_Line("wrong answers", curve.coverage, curve.risk), y_top)
    rows = []
    for coverage in COVERAGES:
        at = int(np.searchsorted(curve.coverage, coverage - 1e-12))
        cells = [
            f"{100 * curve.coverage[at]:.0f} %",
            f"{100 * curve.risk[at]:.1f} %",
            f"{curve.threshold[at]:.3f}",
        ]
        rows.append([f"{100 * coverage:.0f} %", *cells])
    figures = _reliability(predictions, found) + _figure(
        _axes("share of clips answered", "share of them wrong", line, "Risk against coverage", y_top),
        "If only the surest clips are answered: area under the curve "
        f"{curve.area:.3f}. Left, where few clips are answered, chance rules.",
    )
    abstain = _table(
        ["at least", "answered", "wrong", "least probability"], rows, "Answering only where sure"
    )
    title = "<h2>How far to trust a probability</h2>"
    return f'<section>{title}<div class="figures">{figures}</div>{abstain}</section>'


def _reliability(predictions: Predictions, found: Metrics) -> str:
    arguments = predictions.labels, predictions.probabilities, predictions.classes
    wide = reliability(*arguments)
    equal = reliability(*arguments, bins=10, equal_mass=True)
    bars = []
    for low, high, accuracy, count in zip(
        wide.edges, wide.edges[1:], wide.accuracy, wide.count, strict=False
    ):
        if not count:
            continue
        place = f'x="{PLOT * low + 1:.1f}" width="{PLOT * (high - low) - 2:.1f}"'
        height, clips = PLOT * accuracy, 60 * count / wide.count.max()
        words = f"<title>{low:.2f} to {high:.2f}: {count} clips, {100 * accuracy:.0f} % right</title>"
        bars.append(
            f'<rect class="bar" {place} y="{PLOT - height:.1f}" height="{height:.1f}">{words}</rect>'
            f'<rect class="count" {place} y="{PLOT - clips:.1f}" height="{clips:.1f}"/>'
        )
    dots = "".join(
        f'<circle cx="{PLOT * x:.1f}" cy="{PLOT * (1 - y):.1f}" r="4"/>'
        for x, y in zip(equal.confidence, equal.accuracy, strict=True)
        if not math.isnan(x)
    )
    inside = f'{"".join(bars)}<path class="chance" d="M0 {PLOT}L{PLOT} 0"/>{dots}'
    error, brier = (found["scores"][key] for key in ("expected_calibration_error", "brier_score"))
    return _figure(
        _axes("highest probability", "share right", inside, "Reliability diagram"),
        "Reliability: wide bars, share of right answers; grey marks at the foot, how many clips; dots, ten "
        "bins of as many clips each. On the dotted line probabilities mean what they say. Expected "
        f"calibration error {_number(error)}, Brier score {_number(brier)} (0 best, 2 worst).",
    )


# --- groups -------------------------------------------------------------------------------------------------


def _groups(predictions: Predictions, found: Metrics, told: "pd.DataFrame | None") -> str:
    title = "<h2>Groups of patients</h2>"
    if told is None:
        return f"<section>{title}<p>No clips table was given, so the groups are not known.</p></section>"
    kinds = {
        "Age": [_age(age) for age in told["age_years"]],
        "Sex": [_known(value) for value in told["sex"]],
        "Position": [_known(value) for value in told["location"]],
        "Device": [_known(value) for value in told["device"]],
    }
    tables = [
        _group_table(kind, _few(names, kind), predictions, found)
        for kind, names in kinds.items()
        if any(names)
    ]
    absent = [kind.lower() for kind, names in kinds.items() if not any(names)]
    note = f'<p class="quiet small">Not told by this data: {", ".join(absent)}.</p>' if absent else ""
    why = (
        '<p class="small">Groups differ in what they hold, so look at Se, Sp and the interval before '
        "comparing two Scores.</p>"
    )
    return f'<section>{title}{why}<div class="groups">{"".join(tables)}</div>{note}</section>'


def _known(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _age(age_years: Any) -> str:
    return next((name for limit, name in AGES if age_years < limit), "")  # NaN is below nothing


def _few(names: Sequence[str], kind: str) -> dict[str, npt.NDArray[np.bool_]]:
    """Return the clips of each group, ages by age, others by size, those not known last."""
    array = np.array(names)
    values, counts = np.unique(array[array != ""], return_counts=True)
    ordered = [str(value) for value in values[np.argsort(-counts, kind="stable")]]
    if kind == "Age":
        ordered = [name for _, name in AGES if name in ordered]
    groups = {name: array == name for name in ordered[:GROUPS]}
    rest = {f"{len(ordered) - GROUPS} others": np.isin(array, ordered[GROUPS:]), "not known": array == ""}
    return groups | {name: mask for name, mask in rest.items() if mask.any()}


def _group_table(
    kind: str, groups: Mapping[str, npt.NDArray[np.bool_]], predictions: Predictions, found: Metrics
) -> str:
    rows = []
    for name, mask in groups.items():
        score, se, sp, patients = _group_scores(predictions, found, np.flatnonzero(mask))
        values = _number(score.value), _interval(score.interval), _number(se.value), _number(sp.value)
        cells = [*values, str(mask.sum()), patients]
        rows.append([text(name), f"<strong>{cells[0]}</strong>", *cells[1:]])
    return _table(
        [kind.lower(), "Score", "interval", "Se", "Sp", "clips", "patients"], rows, f"By {kind.lower()}"
    )


def _group_scores(
    predictions: Predictions, found: Metrics, rows: npt.NDArray[np.int64]
) -> tuple[Score, Score, Score, str]:
    """Return Score, Se, Sp and the number of known patients of some of the clips."""
    classes, rules, bootstrap = predictions.classes, found["conventions"], found["bootstrap"]
    patients = Patients.of([predictions.subjects[k] for k in rows])
    confusions = confusion_by_group(
        [predictions.labels[k] for k in rows],
        predicted_classes(predictions.probabilities[rows], classes),
        patients.of_item,
        len(patients),
        classes,
    )
    scores = over_patients(
        confusions,
        lambda drawn: confusion_scores(drawn, classes, rules["normal"], rules["ignored"]),
        bootstrap["draws"],
        bootstrap["seed"],
        bootstrap["level"],
    )
    return scores[_headline(found)[0]], scores["sensitivity"], scores["specificity"], str(patients.known)


# --- clips to listen to -------------------------------------------------------------------------------------


def _worst(predictions: Predictions, told: "pd.DataFrame | None") -> str:
    """Return the clips whose annotated class got the least probability, to see and hear."""
    title = "<h2>What it got most wrong</h2>"
    own = predictions.probabilities[
        np.arange(len(predictions.labels)), [predictions.classes.index(label) for label in predictions.labels]
    ]
    worst = [int(row) for row in np.argsort(own, kind="stable")[:WORST]]
    cards = "".join(_card(predictions, row, told) for row in worst)
    sound = (
        "No clips table was given, so there is no sound."
        if told is None
        else f"Sound: 16 bit, {RATE} Hz at most, scaled to a peak of -3 dBFS, the first {SHOWN_S:g} s; "
        "whoever has this page can hear it. Spectrograms: 20 Hz to 2 kHz on a logarithmic scale, low below."
    )
    loss = (
        f"The {plural(len(worst), 'clip')} with the highest loss: least probability of the annotated class."
    )
    return f'<section>{title}<p class="small">{loss} {sound}</p><div class="cards">{cards}</div></section>'


def _card(predictions: Predictions, row: int, told: "pd.DataFrame | None") -> str:
    label, probabilities = predictions.labels[row], predictions.probabilities[row]
    order = np.argsort(-probabilities, kind="stable")[:TOLD]
    shown = dict.fromkeys([*(predictions.classes[k] for k in order), label])  # the annotated one always
    bars = "".join(
        f"<tr><th>{text(name)}{' <span class=quiet>(annotated)</span>' if name == label else ''}</th>"
        f'<td class="number">{p:.3f}</td><td><span class="range" aria-hidden="true">'
        f'<i style="left:0;width:{100 * p:.1f}%"></i></span></td></tr>'
        for name in shown
        for p in [probabilities[predictions.classes.index(name)]]
    )
    return "".join(
        [
            '<article class="card">',
            f"<h3>{text(label)}, called {text(predictions.classes[int(order[0])])}</h3>",
            f'<p class="quiet small">{text(predictions.clip_ids[row])}</p>',
            "" if told is None else _sound(told.iloc[row]),
            f'<table class="small"><caption class="hidden">Probabilities</caption>{bars}</table>',
            "</article>",
        ]
    )


def _sound(clip: "pd.Series[Any]") -> str:
    """Return a clip's spectrogram and player, or a word on why there is none."""
    try:
        samples, rate = _samples(clip)
    except LaennecError:
        # What is wrong would name the folders of whoever made the page.
        return (
            '<p class="small">No sound: the recording is not where the clips table has it, or is damaged.</p>'
        )
    level_db, _ = log_spectrogram(samples, rate)
    columns = np.linspace(0, level_db.shape[1] - 1, min(COLUMNS, level_db.shape[1])).astype(int)
    level_db = level_db[::-2, columns]
    dark = np.clip((level_db - np.percentile(level_db, 99.7) + RANGE_DB) / RANGE_DB, 0, 1)
    picture = data_uri(png((255 * (1 - dark)).astype(np.uint8)), "image/png")
    sound = data_uri(wav(samples, rate, min(rate, RATE)), "audio/wav")
    words = f"Spectrogram of {samples.size / rate:.1f} s"
    return (
        f'<img class="spectrogram" alt="{words}" title="{words}" src="{picture}">'
        f'<audio class="screen" controls preload="none" src="{sound}"></audio>'
    )


def _samples(clip: "pd.Series[Any]") -> tuple[npt.NDArray[np.float32], int]:
    """Return what a row of the clips table points at, up to `SHOWN_S` of it, and its rate."""
    if not isinstance(clip["path"], str):
        raise LaennecError("the clip is not in the table")
    recording = Recording.read(clip["path"])
    channel = 0 if clip.isna()["channel"] else int(clip["channel"])
    samples = recording.channel(channel).samples[0]
    start_s, end_s = float(clip["start_s"]), float(clip["end_s"])
    if not math.isnan(start_s):
        end_s = recording.duration_s if math.isnan(end_s) else end_s
        samples = cut(samples, recording.sample_rate, start_s, end_s, notes=[])
    return samples[: round(SHOWN_S * recording.sample_rate)], recording.sample_rate
