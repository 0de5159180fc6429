"""One evaluation as one HTML file: scores with intervals, matrices, curves, groups, the worst clips to hear.

Nothing in it is computed otherwise than metrics.json is: scores come from there, groups and curves from the
functions that made them.
"""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from laennec.audio.recording import Recording
from laennec.audio.samples import counted
from laennec.audio.segment import cut
from laennec.errors import LaennecError
from laennec.files import write_text
from laennec.output.html import asset, data_uri, facts, page, png, text, wav
from laennec.output.spectrogram import grey, log_spectrogram
from laennec.score.evaluation import DetectionMetrics, Metrics, score_detections
from laennec.score.events_table import Detection
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
from laennec.score.text import interval, level_of, listed, number, size_of
from laennec.version import DISCLAIMER

if TYPE_CHECKING:
    import pandas as pd

WORST = 12  # clips to listen to
SHOWN_S = 20.0  # of a clip that is longer, the sound and the picture end here
RATE = 8_000  # Hz, of the sound; lung sounds lie below 2 kHz
COLUMNS = 300  # of a clip's spectrogram
SHOWN_CLASSES = 4  # probabilities shown of a clip


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
    clips : the clips table (:mod:`laennec.datasets.table`) with the predictions' ``clip_id``, for the groups
        of patients and the sound; a clip that it lacks is left out of both
    predictions : what was scored: events, cycles or whole recordings
    scores : from :func:`laennec.score.evaluation.score`
    events : annotated and detected ones, where the model detects; scored here unless `detection` is given
    detection : from :func:`laennec.score.evaluation.score_events`

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
            _worst_clips(predictions, metadata),
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
            f'<p class="small">{text(equation)}; {size_of(scores)}</p>',
            facts(main),
            "</section>",
            f'<p class="disclaimer">{text(DISCLAIMER)}</p>',
            facts({name.capitalize(): text(listed(v)) for name, v in named.items()}),
            "</header>",
        ]
    )


def _worst_clips(predictions: Predictions, metadata: "pd.DataFrame | None") -> str:
    """Return the clips whose annotated class got the least probability, to see and hear."""
    title = "<h2>What it got most wrong</h2>"
    own = predictions.probabilities[np.arange(len(predictions.labels)), predictions.label_indices]
    worst = [int(row) for row in np.argsort(own, kind="stable")[:WORST]]
    cards = "".join(_card(predictions, row, metadata) for row in worst)
    sound = (
        "No clips table was given, so there is no sound."
        if metadata is None
        else f"Sound: 16 bit, {RATE} Hz at most, scaled to a peak of -3 dBFS, the first {SHOWN_S:g} s; "
        "whoever has this page can hear it. Spectrograms: 20 Hz to 2 kHz on a logarithmic scale, low below."
    )
    shown = counted(len(worst), "clip", "")
    loss = f"The {shown} with the highest loss: least probability of the annotated class."
    return f'<section>{title}<p class="small">{loss} {sound}</p><div class="cards">{cards}</div></section>'


def _card(predictions: Predictions, row: int, metadata: "pd.DataFrame | None") -> str:
    label, probabilities = predictions.labels[row], predictions.probabilities[row]
    order = np.argsort(-probabilities, kind="stable")[:SHOWN_CLASSES]
    shown = dict.fromkeys([*(predictions.classes[k] for k in order), label])  # the annotated one always
    bars = "".join(
        f'<tr><th scope="row">{text(name)}'
        f"{' <span class=quiet>(annotated)</span>' if name == label else ''}</th>"
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
            "" if metadata is None else _sound(metadata.iloc[row]),
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
    picture = data_uri(png(grey(level_db[1::2, columns])[0]), "image/png")
    sound = data_uri(wav(samples, rate, min(rate, RATE)), "audio/wav")
    words = f"Spectrogram of {samples.size / rate:.1f} s"
    return (
        f'<img class="spectrogram" alt="{words}" title="{words}" src="{picture}">'
        f'<audio class="screen" controls preload="none" aria-label="Sound of {samples.size / rate:.1f} s" '
        f'src="{sound}"></audio>'
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
