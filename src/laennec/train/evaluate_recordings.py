"""What `laennec evaluate` does with a model for whole recordings: detection and record labels together."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from laennec.analyze import analyze
from laennec.analyze.analysis import Analysis
from laennec.audio.samples import by_number, counted
from laennec.errors import LaennecError
from laennec.labels import as_record, to_icbhi
from laennec.model.detector import Detector
from laennec.progress import track
from laennec.score.evaluation import score_events, score_predictions
from laennec.score.events import Span
from laennec.score.events_table import Detection, write_events
from laennec.score.page import evaluation_page
from laennec.score.predictions import write_predictions
from laennec.score.text import render_detection, render_tables
from laennec.train.data import predictions
from laennec.train.ranges import POOR
from laennec.train.unheard import unheard


def evaluate_recordings(
    detector: Detector,
    events: pd.DataFrame | None,
    recordings: pd.DataFrame,
    dataset: str,
    split: str,
    out: Path,
    command: str,
) -> int:
    """Score the events, and the record labels where there are any; write tables, predictions and a page.

    Parameters
    ----------
    events
        Annotated events of the data set; None where it has labels of whole recordings alone.
    recordings
        One row per recording to score (`laennec.train.recordings.recordings_of`).

    Raises
    ------
    LaennecError
        If none of the model's classes stands for a label of an event, or of the recordings where there are no
        events.
    """
    learnt = not all(str(name).startswith("test") for name in recordings["split"])
    if learnt:
        print(
            "laennec: not all of these recordings are of a published test set; figures are too good where "
            "the model learnt from their patients",
            file=sys.stderr,
        )
    analyses = [analyze(str(path), model=detector) for path in track(list(recordings["path"]), "recordings")]
    refused = sum(analysis.record is None or analysis.record.refused is not None for analysis in analyses)
    number = counted(len(recordings), "recording", "")
    provenance = {
        "model": f"{detector.card.name}, sha256 {detector.sha256}",
        "data": f"{dataset}, {number}, {refused} of them refused and counted as {POOR}",
        "split": split + (", perhaps with patients that the model was trained on" if learnt else ""),
        "command": command,
        "seeds": detector.card.recipe.get("seeds"),
    }
    detected, detection = None, None
    if events is not None:
        detected = detections(events, recordings, analyses, detector.card.labels)
        write_events(out / "events.csv", detected)
        detection = score_events(out / "events.csv", out, provenance, detector.card.labels)
        print(render_detection(detection))
    classes = detector.card.records
    if refused and POOR not in classes:
        what = f"{counted(refused, 'recording')} {by_number(refused, 'is', 'are')} refused"
        raise LaennecError(f"{detector.source}: {what}, and its records have no class {POOR!r}")
    label = [as_record(str(name), classes) or "" for name in recordings["label"]]
    known = np.isin(label, classes)
    if events is None and not known.any():
        raise LaennecError(f"no recording has a label that stands for one of {', '.join(classes)}")
    if known.any():
        clips = recordings.assign(label=label)[known].reset_index(drop=True)
        of_known = [analysis for analysis, chosen in zip(analyses, known, strict=True) if chosen]
        predicted = predictions(clips, classes, record_probabilities(of_known, classes))
        write_predictions(out / "predictions.csv", predicted)
        known_of_clips = unheard(clips, predicted.clip_ids)
        scores = score_predictions(out / "predictions.csv", out, provenance, known=known_of_clips)
        print(render_tables(scores))
        print(f"page: {evaluation_page(out, clips, predicted, scores, detected, detection)}")
    return 0


def detections(
    annotated: pd.DataFrame, recordings: pd.DataFrame, analyses: Sequence[Analysis], labels: Sequence[str]
) -> list[Detection]:
    """Annotated and found events of every recording, and of every channel that is a row of its own."""
    spelled = {str(label): _as_the_model(str(label), labels) for label in annotated["label"].unique()}
    spans: dict[tuple[str, int], list[Span]] = {}
    columns = annotated.assign(channel=annotated["channel"].fillna(0))
    names = ["path", "channel", "start_s", "end_s", "label"]
    for path, channel, start_s, end_s, label in columns[names].itertuples(index=False):
        own = spans.setdefault((str(path), int(channel)), [])
        own.append((float(start_s), float(end_s), spelled[str(label)]))
    rows = zip(
        recordings["recording"], recordings["subject"], recordings["path"], recordings["channel"], analyses,
        strict=True,
    )  # fmt: skip
    detected = []
    for name, subject, path, channel, analysis in rows:
        one = None if pd.isna(channel) else int(channel)
        events = [event for event in analysis.events if one is None or event.channel == one]
        detected.append(
            Detection(
                str(name) if one is None else f"{name}:{one}",
                "" if pd.isna(subject) else str(subject),
                tuple(spans.get((str(path), one or 0), ())),
                tuple((event.start_s, event.end_s, event.label) for event in events),
                tuple(event.probability for event in events),
            )
        )
    return detected


def _as_the_model(label: str, labels: Sequence[str]) -> str:
    """The model's class for a label: its own name, or the first that ICBHI calls so."""
    if label in labels:
        return label
    same = [name for name in labels if to_icbhi(name) is not None and to_icbhi(name) == to_icbhi(label)]
    if not same:
        raise LaennecError(f"none of the model's classes stands for {label!r}: {', '.join(labels)}")
    return same[0]


def record_probabilities(analyses: Sequence[Analysis], labels: Sequence[str]) -> np.ndarray:
    """Probabilities ``(recordings, labels)``; one that was refused is of poor quality."""
    rows = np.zeros((len(analyses), len(labels)))
    for row, analysis in zip(rows, analyses, strict=True):
        if analysis.record is None or analysis.record.refused is not None:
            row[list(labels).index(POOR)] = 1.0
        else:
            row[:] = [analysis.record.probabilities[label] for label in labels]
    return rows
