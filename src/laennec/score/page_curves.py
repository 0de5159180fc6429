"""Curves of the evaluation page: ROC, precision and recall, reliability, risk against coverage."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from laennec.audio.samples import counted
from laennec.output.html import text
from laennec.output.presentation import label_colours
from laennec.score.calibration import confidence_and_truth, reliability, risk_coverage
from laennec.score.confusion import Floats
from laennec.score.evaluation import Metrics
from laennec.score.page_tables import number_table
from laennec.score.predictions import Predictions
from laennec.score.ranking import descending
from laennec.score.text import number

COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.5)
DASHES = ("", "7 3", "2 3", "9 3 2 3")  # lines differ without colours too
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


def _axes(x_label: str, y_label: str, inside: str, name: str, y_top: float = 1.0) -> str:
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
        f'aria-label="{text(name)}">{"".join(marks)}{inside}'
        f'<text x="{middle}" y="{PLOT + 34}" text-anchor="middle">{text(x_label)}</text>'
        f'<text transform="translate({-LEFT + 10} {middle}) rotate(-90)" text-anchor="middle">'
        f"{text(y_label)}</text></svg>"
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


def curves(predictions: Predictions, scores: Metrics) -> str:
    """Return the section of ROC and precision-recall curves, or nothing where there is none."""
    colours = label_colours(predictions.classes, scores["conventions"]["normal"])
    roc, ranked, left_out = [], [], []
    for k, name in enumerate(predictions.classes):
        positive = np.array([label == name for label in predictions.labels])
        if positive.all() or not positive.any():
            left_out.append(name)
            continue
        true, false = _passed(positive, predictions.probabilities[:, k])
        own = scores["classes"][name]
        look = colours[name], DASHES[k % len(DASHES)]
        recall, precision = true / true[-1], true / (true + false)
        area, average = (number(value) for value in (own["roc_auc"], own["average_precision"]))
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
    order, ends = descending(score)
    true = np.cumsum(positive[order])[ends].astype(np.float64)
    return true, ends + 1 - true


def trust(predictions: Predictions, scores: Metrics) -> str:
    """Return the section of reliability, and of risk against coverage."""
    curve = risk_coverage(
        *confidence_and_truth(predictions.labels, predictions.probabilities, predictions.classes)
    )
    y_top = next(top for top in (0.1, 0.25, 0.5, 1.0) if curve.risk.max() <= top)
    line = _path(_Line("wrong answers", curve.coverage, curve.risk), y_top)
    rows = []
    for coverage in COVERAGES:
        at = int(np.searchsorted(curve.coverage, coverage - 1e-12))
        answered, wrong = f"{100 * curve.coverage[at]:.0f} %", f"{100 * curve.risk[at]:.1f} %"
        rows.append([f"{100 * coverage:.0f} %", answered, wrong, f"{curve.threshold[at]:.3f}"])
    figures = _reliability(predictions, scores) + _figure(
        _axes("share of clips answered", "share of them wrong", line, "Risk against coverage", y_top),
        "If only the surest clips are answered: area under the curve "
        f"{curve.area:.3f}. Left, where few clips are answered, chance rules.",
    )
    abstain = number_table(
        ["at least", "answered", "wrong", "least probability"], rows, "Answering only where sure"
    )
    title = "<h2>How far to trust a probability</h2>"
    return f'<section>{title}<div class="figures">{figures}</div>{abstain}</section>'


def _reliability(predictions: Predictions, scores: Metrics) -> str:
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
        words = f"{low:.2f} to {high:.2f}: {counted(int(count), 'clip', '')}, {100 * accuracy:.0f} % right"
        bars.append(
            f'<rect class="bar" {place} y="{PLOT - height:.1f}" height="{height:.1f}">'
            f"<title>{words}</title></rect>"
            f'<rect class="count" {place} y="{PLOT - clips:.1f}" height="{clips:.1f}"/>'
        )
    dots = "".join(
        f'<circle cx="{PLOT * x:.1f}" cy="{PLOT * (1 - y):.1f}" r="4"/>'
        for x, y in zip(equal.confidence, equal.accuracy, strict=True)
        if not math.isnan(x)
    )
    inside = f'{"".join(bars)}<path class="chance" d="M0 {PLOT}L{PLOT} 0"/>{dots}'
    error, brier = (scores["scores"][key] for key in ("expected_calibration_error", "brier_score"))
    return _figure(
        _axes("highest probability", "share right", inside, "Reliability diagram"),
        "Reliability: wide bars, share of right answers; grey marks at the foot, how many clips; dots, ten "
        "bins of as many clips each. On the dotted line probabilities mean what they say. Expected "
        f"calibration error {number(error)}, Brier score {number(brier)} (0 best, 2 worst).",
    )
