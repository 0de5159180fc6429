"""The picture beside metrics.json: the confusion matrix, and every class's scores."""

import os
from typing import Any

import numpy as np

from laennec.errors import LaennecError
from laennec.files import written_whole
from laennec.score.summary import ClipScores
from laennec.score.text import level_of, number, size_of


def draw(scores: ClipScores, path: str | os.PathLike[str]) -> None:
    """Draw the confusion matrix and, class by class, recall with its interval, precision and F1.

    Parameters
    ----------
    scores : from :func:`laennec.score.evaluation.score`
    path : the picture; its suffix chooses the format (.png, .svg, .pdf)

    Raises
    ------
    LaennecError
        If Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise LaennecError('drawing needs Matplotlib: pip install "laennec[web]"') from error
    n = len(scores["confusion"]["classes"])
    figure = Figure(figsize=(4.5 + 1.15 * n, 2.2 + 0.62 * n), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1.5, 1])
    _draw_confusion(left, scores)
    _draw_classes(right, scores)
    se, sp, challenge = (
        f"{name} {number(scores['scores'][key], 4, '-')}"
        for name, key in (("Se", "sensitivity"), ("Sp", "specificity"), ("Score", "challenge_score"))
    )
    figure.suptitle(f"{size_of(scores)}: {se}, {sp}, {challenge}")
    figure.legend(loc="outside lower right", ncols=3, frameon=False, fontsize=8)
    with written_whole(path) as temporary:
        figure.savefig(temporary)


def _draw_confusion(axes: Any, scores: ClipScores) -> None:
    classes = scores["confusion"]["classes"]
    counts = np.array(scores["confusion"]["counts"])
    total = counts.sum(axis=1, keepdims=True)
    share = counts / np.maximum(total, 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(*counts.shape):
        percent = 100 * share[row, column]
        below = "" if percent == 0 else "\n<1 %" if percent < 0.5 else f"\n{percent:.0f} %"
        axes.text(
            column,
            row,
            f"{counts[row, column]}{below}",
            ha="center",
            va="center",
            fontsize=8,
            # White letters where the blue is dark; empty cells stay quiet.
            color="white" if share[row, column] > 0.65 else "black" if counts[row, column] else "0.7",
        )
    axes.set_xticks(range(len(classes)), classes, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(
        range(len(classes)), [f"{name} ({n})" for name, n in zip(classes, total[:, 0], strict=True)]
    )
    axes.set_xlabel("predicted")
    axes.set_ylabel("annotated")
    axes.set_title("clips and share of the annotated class", fontsize=10)


def _draw_classes(axes: Any, scores: ClipScores) -> None:
    classes = scores["confusion"]["classes"]
    height = 0.26
    for k, (key, title, colour) in enumerate(
        (("recall", "recall", "#4292c6"), ("precision", "precision", "#9ecae1"), ("f1", "F1", "#d9d9d9"))
    ):
        values = [scores["classes"][name][key] for name in classes]
        places = np.arange(len(classes)) + (k - 1) * height
        axes.barh(places, [value or 0 for value in values], height, color=colour, label=title)
        for place, name, value in zip(places, classes, values, strict=True):
            bounds = scores["classes"][name]["intervals"][key]
            if bounds is not None:
                axes.hlines(place, *bounds, color="black", linewidth=0.8)
            end = max(value or 0, bounds[1] if bounds else 0)
            axes.text(end + 0.02, place, number(value, 2), va="center", fontsize=7)
    axes.set_xlim(0, 1.15)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.tick_params(axis="y", left=False, labelleft=False)
    axes.spines[["top", "right"]].set_visible(False)
    interval_name = f", lines: {level_of(scores)} intervals"
    axes.set_title("by class" + ("" if scores["bootstrap"]["no_interval"] else interval_name), fontsize=10)
