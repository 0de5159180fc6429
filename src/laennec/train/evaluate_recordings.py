"""What `laennec evaluate` does with a model for whole recordings: detection and record answers together."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from laennec.analyze import analyze
from laennec.analyze.analysis import Analysis
from laennec.datasets import sprsound
from laennec.errors import LaennecError
from laennec.files import make_folder
from laennec.model.detector import Detector
from laennec.progress import track
from laennec.score.evaluation import score_events, score_predictions
from laennec.score.events import Span
from laennec.score.events_table import Detection, write_events
from laennec.score.page import evaluation_page
from laennec.score.predictions import write_predictions
from laennec.score.text import render_detection, render_tables
from laennec.train.data import predictions

POOR = "Poor Quality"


def evaluate_recordings(
    detector: Detector, data: Path, records: pd.DataFrame, split: str, out: Path, command: str
) -> int:
    """Score events and answers of SPRSound's recordings; write tables, predictions and a page.

    Parameters
    ----------
    records
        The record-level rows to score.

    Raises
    ------
    LaennecError
        If the model names other classes than SPRSound.
    """
    if set(records["label"]) - set(detector.card.records):
        raise LaennecError(f"the model answers {', '.join(detector.card.records)}; the data has other labels")
    learnt = not np.all([str(name).startswith("test") for name in records["split"]])
    if learnt:
        print(
            "laennec: not all of these recordings are of a published test set; figures are too good where "
            "the model learnt from their patients",
            file=sys.stderr,
        )
    make_folder(out)
    rows = list(records.itertuples())
    found = [analyze(str(row.path), model=detector) for row in track(rows, "recordings", total=len(rows))]
    events = detections(sprsound.load(data), records, found)
    write_events(out / "events.csv", events)
    predicted = predictions(records, detector.card.records, answers(found, detector.card.records))
    write_predictions(out / "predictions.csv", predicted)
    refused = sum(analysis.record is None or analysis.record.refused is not None for analysis in found)
    provenance = {
        "model": f"{detector.card.name}, sha256 {detector.sha256}",
        "data": f"sprsound, {len(records)} recordings, {refused} of them refused and counted as {POOR}",
        "split": split + (", perhaps with patients that the model was trained on" if learnt else ""),
        "command": command,
        "seeds": detector.card.recipe.get("seeds"),
    }
    detection = score_events(out / "events.csv", out, provenance)
    scored = score_predictions(out / "predictions.csv", out, provenance)
    page = evaluation_page(out, records, predicted, scored, events, detection)
    print(render_detection(detection))
    print(render_tables(scored))
    print(f"page: {page}")
    return 0


def detections(annotated: pd.DataFrame, records: pd.DataFrame, found: Sequence[Analysis]) -> list[Detection]:
    """Annotated and found events of every recording."""
    spans: dict[str, list[Span]] = {}
    for name, start_s, end_s, label in zip(
        annotated["recording"], annotated["start_s"], annotated["end_s"], annotated["label"], strict=True
    ):
        spans.setdefault(str(name), []).append((float(start_s), float(end_s), str(label)))
    return [
        Detection(
            str(name),
            "" if pd.isna(subject) else str(subject),
            tuple(spans.get(str(name), ())),
            tuple((event.start_s, event.end_s, event.label) for event in analysis.events),
            tuple(event.probability for event in analysis.events),
        )
        for name, subject, analysis in zip(records["recording"], records["subject"], found, strict=True)
    ]


def answers(found: Sequence[Analysis], labels: Sequence[str]) -> np.ndarray:
    """Probabilities ``(recordings, labels)``; one that was refused is of poor quality."""
    rows = np.zeros((len(found), len(labels)))
    for row, analysis in zip(rows, found, strict=True):
        if analysis.record is None or analysis.record.refused is not None:
            row[list(labels).index(POOR)] = 1.0
        else:
            row[:] = [analysis.record.probabilities[label] for label in labels]
    return rows
