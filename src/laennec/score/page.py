"""One evaluation as one HTML file: scores with intervals, matrices, curves, groups, the worst clips to hear.

Nothing in it is computed otherwise than metrics.json is: scores come from there, groups and curves from the
functions that made them.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from laennec.errors import LaennecError
from laennec.files import write_text
from laennec.output.html import asset, facts, page, text
from laennec.score.evaluation import DetectionMetrics, Metrics, score_detections
from laennec.score.events_table import Detection
from laennec.score.page_clips import worst_clips
from laennec.score.page_curves import curves, trust
from laennec.score.page_tables import (
    class_table,
    confusion_tables,
    detection_tables,
    group_tables,
    headline,
    score_tables,
)
from laennec.score.predictions import Predictions
from laennec.score.text import interval, level_of, listed, number, plural
from laennec.version import DISCLAIMER

if TYPE_CHECKING:
    import pandas as pd


def evaluation_page(
    out_folder: str | os.PathLike[str],
    clips: "pd.DataFrame | None",
    predictions: Predictions,
    scores: Metrics,
    events: Sequence[Detection] | None = None,
    detection: DetectionMetrics | None = None,
) -> Path:
    """Write index.html, whole or not at all, into the folder that has metrics.json, and return its path.

    Parameters
    ----------
    out_folder : path
    clips : pandas.DataFrame, optional
        The clips table (:mod:`laennec.datasets.table`) with the predictions' ``clip_id``, for the groups of
        patients and the sound; a clip that it lacks is left out of both.
    predictions : Predictions
        What was scored: events, cycles or whole recordings.
    scores : mapping
        From :func:`laennec.score.evaluation.score`.
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
    path = Path(out_folder) / "index.html"
    write_text(path, render_evaluation(scores, predictions, clips, events, detection))
    return path


def render_evaluation(
    scores: Metrics,
    predictions: Predictions,
    clips: "pd.DataFrame | None" = None,
    events: Sequence[Detection] | None = None,
    detection: DetectionMetrics | None = None,
) -> str:
    """Return an evaluation as one HTML page; parameters and errors as for :func:`evaluation_page`."""
    if scores["clips"] != len(predictions.labels) or scores["confusion"]["classes"] != [*predictions.classes]:
        raise LaennecError("these are not the predictions that were scored")
    if detection is None and events:
        detection = score_detections(events)
    metadata = None if clips is None else _aligned(clips, predictions)
    body = "\n".join(
        [
            _header(scores),
            "<main>",
            score_tables(scores),
            "" if detection is None else detection_tables(detection),
            confusion_tables(scores),
            class_table(scores),
            curves(predictions, scores),
            trust(predictions, scores),
            group_tables(predictions, scores, metadata),
            worst_clips(predictions, metadata),
            "</main>",
        ]
    )
    return page(f"Evaluation of {_model(scores)}", body, asset("evaluation.css"))


def _aligned(clips: "pd.DataFrame", predictions: Predictions) -> "pd.DataFrame":
    """Return the row of each prediction; one that the table lacks is missing in every column."""
    return clips.drop_duplicates("clip_id").set_index("clip_id").reindex(list(predictions.clip_ids))


def _model(scores: Metrics) -> str:
    return str(scores["provenance"]["model"] or "a model").split(", sha256")[0]


def _header(scores: Metrics) -> str:
    key, equation = headline(scores)
    values, intervals = scores["scores"], scores["intervals"]
    main = {
        name: f"<b>{number(values[k])}</b> <small>{interval(intervals[k])}</small>"
        for name, k in (("Se, exact class", "sensitivity"), ("Sp", "specificity"), ("Macro F1", "macro_f1"))
    }
    given = scores["provenance"].items()
    named = {
        name.replace("_sha256", ", SHA-256"): value for name, value in given if value not in (None, [None])
    }
    return "\n".join(
        [
            "<header>",
            '<p class="quiet small">Evaluation</p>',
            f"<h1>{text(_model(scores))}</h1>",
            '<section class="answer" aria-label="Main scores">',
            f'<p><strong class="verdict">Score {number(values[key])}</strong> '
            f"{level_of(scores)} interval {interval(intervals[key])}</p>",
            f'<p class="small">{text(equation)}; {plural(scores["clips"], "clip")} of '
            f"{plural(scores['subjects'], 'patient')}</p>",
            facts(main),
            "</section>",
            f'<p class="disclaimer">{text(DISCLAIMER)}</p>',
            facts({name.capitalize(): text(listed(v)) for name, v in named.items()}),
            "</header>",
        ]
    )
