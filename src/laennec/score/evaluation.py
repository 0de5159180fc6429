"""From predictions.csv and events.csv to metrics.json, detection.json, tables and a picture.

The one path by which Laennec scores a model, of clips or of whole recordings: whatever made the files, the
same functions score them.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired, cast

from numpy.typing import ArrayLike

from laennec.errors import LaennecError
from laennec.files import sha256_of, write_json, write_text
from laennec.labels import SPRSOUND_EVENTS
from laennec.score.baselines import BaselineScores, baseline_scores
from laennec.score.bootstrap import DRAWS
from laennec.score.confusion import ignored_classes, normal_class
from laennec.score.events import EventScores, event_scores
from laennec.score.events_table import Detection, read_events_table
from laennec.score.picture import draw
from laennec.score.predictions import Predictions, check, read_predictions
from laennec.score.summary import ClipScores, evaluate
from laennec.score.tasks import TaskScores, task_scores
from laennec.score.text import render_detection, render_tables
from laennec.version import __version__

PROVENANCE = ("model", "data", "split", "command", "seeds", "version")


class Metrics(ClipScores):
    """What metrics.json holds."""

    task_11: NotRequired[TaskScores]
    task_12: NotRequired[TaskScores]
    task_21: NotRequired[TaskScores]
    task_22: NotRequired[TaskScores]
    baselines: NotRequired[list[BaselineScores]]
    """Of rules that do not listen; absent where nothing is known of the clips that they could use."""
    provenance: dict[str, Any]


class DetectionMetrics(EventScores):
    """What detection.json holds."""

    provenance: dict[str, Any]


def score(
    predictions: Predictions,
    provenance: Mapping[str, Any] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    known: Mapping[str, ArrayLike] | None = None,
) -> Metrics:
    """Compute what metrics.json holds: the scores of `evaluate`, the challenge's tasks, and ``provenance``.

    Parameters
    ----------
    predictions : from :func:`read_predictions`
    provenance : what was scored: model, data, split, command, seeds; unknown ones become None. The version
        is this program's unless given.
    draws, seed : of the bootstrap over patients
    known : what rules that do not listen may use of each clip, as
        :func:`laennec.score.baselines.baselines` takes it; their scores stand beside the model's

    Raises
    ------
    LaennecError
        If the predictions cannot be scored.
    """
    check(predictions, "predictions")
    scores = evaluate(
        predictions.labels,
        predictions.probabilities,
        predictions.subjects,
        predictions.classes,
        normal=normal_class(predictions.classes),
        ignored=ignored_classes(predictions.classes),
        draws=draws,
        seed=seed,
    )
    tasks = task_scores(predictions, scores["bootstrap"]["draws"], seed)
    rules = {} if known is None else {"baselines": baseline_scores(predictions, known, draws, seed)}
    return cast(Metrics, {**scores, **tasks, **rules, "provenance": _provenance(provenance)})


def score_predictions(
    predictions_csv: str | os.PathLike[str],
    out: str | os.PathLike[str],
    provenance: Mapping[str, Any] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    known: Mapping[str, ArrayLike] | None = None,
) -> Metrics:
    """Score predictions.csv and write metrics.json, tables.txt and confusion.png to the folder `out`.

    Parameters as in :func:`score`; the SHA-256 of the predictions is added to the provenance, so that a
    metrics.json can be matched with the file it came from.
    """
    predictions = read_predictions(predictions_csv)
    about = {**(provenance or {}), "predictions_sha256": sha256_of(predictions_csv)}
    scores = score(predictions, about, draws, seed, known)
    write_json(Path(out) / "metrics.json", scores)
    write_text(Path(out) / "tables.txt", render_tables(scores))
    draw(scores, Path(out) / "confusion.png")
    return scores


def score_detections(
    detections: Sequence[Detection],
    provenance: Mapping[str, Any] | None = None,
    classes: Sequence[str] = SPRSOUND_EVENTS,
    draws: int = DRAWS,
    seed: int = 0,
) -> DetectionMetrics:
    """Compute what detection.json holds: the answer of :func:`event_scores` and ``provenance``.

    Parameters
    ----------
    detections : from :func:`laennec.score.events_table.read_events_table`
    provenance : what was scored, as for :func:`score`
    classes : labels that events may have; one of them means normal breathing
    draws, seed : of the bootstrap over patients

    Raises
    ------
    LaennecError
        If the events cannot be scored.
    """
    try:
        scores = event_scores(
            [each.reference for each in detections],
            [each.estimated for each in detections],
            classes,
            normal_class(classes),
            [each.subject for each in detections],
            draws,
            seed,
        )
    except ValueError as error:
        raise LaennecError(f"the events cannot be scored: {error}") from error
    return cast(DetectionMetrics, {**scores, "provenance": _provenance(provenance)})


def score_events(
    events_csv: str | os.PathLike[str],
    out: str | os.PathLike[str],
    provenance: Mapping[str, Any] | None = None,
    classes: Sequence[str] = SPRSOUND_EVENTS,
    draws: int = DRAWS,
    seed: int = 0,
) -> DetectionMetrics:
    """Score events.csv and write detection.json and detection.txt to the folder `out`.

    Parameters as for :func:`score_detections`; the SHA-256 of the events is added to the provenance.
    """
    detections = read_events_table(events_csv)
    about = {**(provenance or {}), "events_sha256": sha256_of(events_csv)}
    try:
        scores = score_detections(detections, about, classes, draws, seed)
    except LaennecError as error:
        raise LaennecError(f"{events_csv}: {error}") from error
    write_json(Path(out) / "detection.json", scores)
    write_text(Path(out) / "detection.txt", render_detection(scores))
    return scores


def _provenance(given: Mapping[str, Any] | None) -> dict[str, Any]:
    return {**dict.fromkeys(PROVENANCE), "version": __version__, **(given or {})}
