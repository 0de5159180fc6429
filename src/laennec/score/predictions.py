"""From predictions.csv to metrics.json, tables and a picture: the one path by which Laennec scores a model.

predictions.csv has a row per clip and the columns ``clip_id, subject, label`` and one probability per class,
headed by the class in the model's order. Whatever made the file, the same functions score it.
"""

import csv
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from laennec.errors import LaennecError
from laennec.files import write_json, write_text, written_whole
from laennec.labels import SPRSOUND_EVENTS, SPRSOUND_RECORDS, TASK_11
from laennec.score.bootstrap import DRAWS, patient_draws, percentile_interval
from laennec.score.confusion import (
    class_indices,
    confusion_by_group,
    confusion_scores,
    predicted_classes,
    validate,
)
from laennec.score.summary import as_runs, evaluate, listed, plain_number
from laennec.version import __version__

COLUMNS = ("clip_id", "subject", "label")
NORMAL = ("Normal", "normal")  # as SPRSound and ICBHI write it
IGNORED = ("Poor Quality",)  # SPRSound's records: neither normal nor adventitious
PROVENANCE = ("model", "data", "split", "command", "seeds", "version")

# Names of the scores in the tables, in their order; docs/metrics.md gives the equations.
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
# The BioCAS challenge's tasks by the classes they ask for: adventitious or not, and which class exactly.
TASKS = {frozenset(SPRSOUND_EVENTS): (11, 12), frozenset(SPRSOUND_RECORDS): (21, 22)}
TASK_SCORES = ("sensitivity", "specificity", "average_score", "harmonic_score", "challenge_score")


@dataclass(frozen=True)
class Predictions:
    """A model's probabilities for the clips of a test set."""

    clip_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    """Patient of each clip, "" where unknown."""
    labels: tuple[str, ...]
    """Annotated class of each clip."""
    classes: tuple[str, ...]
    """Names of the columns of `probabilities`, in the model's order."""
    probabilities: NDArray[np.float64]
    """(clips, classes), in [0, 1], rows summing to 1; (runs, clips, classes) of several trainings."""

    @property
    def label_indices(self) -> NDArray[np.int64]:
        """(clips,) index of each annotated class."""
        return class_indices(self.labels, self.classes)


def write_predictions(path: str | os.PathLike[str], predictions: Predictions) -> None:
    """Write predictions.csv; every probability is written so that reading it gives the same float64.

    Raises
    ------
    LaennecError
        If the clips, labels and probabilities do not fit together.
    """
    _check(predictions, str(path))
    with written_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*COLUMNS, *predictions.classes])
        for clip_id, subject, label, row in zip(
            predictions.clip_ids,
            predictions.subjects,
            predictions.labels,
            predictions.probabilities,
            strict=True,
        ):
            writer.writerow([clip_id, subject, label, *(repr(float(p)) for p in row)])


def read_predictions(path: str | os.PathLike[str]) -> Predictions:
    """Read predictions.csv.

    Raises
    ------
    LaennecError
        If the file is missing, is not such a table, names a clip twice, or holds what is no probability.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            header, *rows = list(csv.reader(file)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LaennecError(f"{path}: cannot be read as predictions.csv ({error})") from error
    if tuple(header[: len(COLUMNS)]) != COLUMNS or len(header) < len(COLUMNS) + 2:
        raise LaennecError(
            f"{path}: the first line must be {','.join(COLUMNS)} and then two or more classes; "
            f"it is {','.join(header)!r}"
        )
    rows = [row for row in rows if row]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise LaennecError(f"{path}: clip {number} has {len(row)} fields; expected {len(header)}")
    try:
        values = [[float(field) for field in row[len(COLUMNS) :]] for row in rows]
    except ValueError as error:
        raise LaennecError(f"{path}: a probability is no number ({error})") from error
    classes = tuple(header[len(COLUMNS) :])
    predictions = Predictions(
        clip_ids=tuple(row[0] for row in rows),
        subjects=tuple(row[1] for row in rows),
        labels=tuple(row[2] for row in rows),
        classes=classes,
        probabilities=np.array(values, dtype=np.float64).reshape(len(rows), len(classes)),
    )
    _check(predictions, str(path))
    return predictions


def read_runs(files: Sequence[str | os.PathLike[str]]) -> Predictions:
    """Read the predictions of several trainings for the same clips, ``(runs, clips, classes)``.

    Raises
    ------
    LaennecError
        If there is no file, or they predict different clips or classes.
    """
    if not files:
        raise LaennecError("no predictions; laennec crossvalidate writes them")
    found = [read_predictions(file) for file in files]
    first = found[0]
    for file, each in zip(files, found, strict=True):
        if (each.clip_ids, each.classes) != (first.clip_ids, first.classes):
            raise LaennecError(f"{file}: predicts other clips or classes than {files[0]}")
    return stacked(found)


def stacked(found: Sequence[Predictions]) -> Predictions:
    """Predictions of several trainings side by side, so that every score is the mean over them."""
    return replace(found[0], probabilities=np.stack([each.probabilities for each in found]))


def _check(predictions: Predictions, name: str) -> None:
    seen: set[str] = set()
    for clip_id in predictions.clip_ids:
        if clip_id in seen:
            raise LaennecError(f"{name}: clip {clip_id!r} occurs twice; score each clip once")
        seen.add(clip_id)
    if len(predictions.clip_ids) != len(predictions.labels):
        raise LaennecError(
            f"{name}: {len(predictions.clip_ids)} clip names for {len(predictions.labels)} labels"
        )
    try:
        for run in as_runs(predictions.probabilities):
            validate(
                predictions.labels,
                run,
                predictions.subjects,
                predictions.classes,
                normal_class(predictions.classes),
                ignored_classes(predictions.classes),
            )
    except ValueError as error:
        raise LaennecError(f"{name}: {error}") from error


def normal_class(classes: Sequence[str]) -> str:
    """Return the class that means normal breathing.

    Raises
    ------
    ValueError
        If no class or two are called so: sensitivity and specificity then have no meaning.
    """
    found = [name for name in classes if name in NORMAL]
    if len(found) != 1:
        raise ValueError(f"exactly one class must be called {' or '.join(NORMAL)}; got {', '.join(classes)}")
    return found[0]


def ignored_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """Return the classes that count in neither sensitivity nor specificity."""
    return tuple(name for name in classes if name in IGNORED)


def score(
    predictions: Predictions,
    provenance: Mapping[str, Any] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """Compute what metrics.json holds.

    Parameters
    ----------
    predictions : from :func:`read_predictions`
    provenance : what was scored: model, data, split, command, seeds; unknown ones become None. The version
        is this program's unless given.
    draws, seed : of the bootstrap over patients

    Returns
    -------
    dict
        The answer of `evaluate`, the challenge's tasks where the classes are theirs
        (:func:`task_scores`), and ``provenance``.

    Raises
    ------
    LaennecError
        If the predictions cannot be scored.
    """
    _check(predictions, "predictions")
    found = evaluate(
        predictions.labels,
        predictions.probabilities,
        predictions.subjects,
        predictions.classes,
        normal=normal_class(predictions.classes),
        ignored=ignored_classes(predictions.classes),
        draws=draws,
        seed=seed,
    )
    tasks = task_scores(predictions, 0 if found["bootstrap"]["no_interval"] else draws, seed)
    given = {"version": __version__, **(provenance or {})}
    return {**found, **tasks, "provenance": {**dict.fromkeys(PROVENANCE), **given}}


def task_scores(predictions: Predictions, draws: int = DRAWS, seed: int = 0) -> dict[str, dict[str, Any]]:
    """Score the BioCAS challenge's tasks: 11 and 12 for SPRSound's events, 21 and 22 for its records.

    Tasks 12 and 22 want the exact class. Tasks 11 and 21 want Normal or Adventitious (or Poor Quality, 21):
    the answer is the likeliest of these, the probabilities of the adventitious classes added up, as the
    program answers the challenge, so any adventitious class is right and Se can differ from
    ``binary_sensitivity``, which merges answers. Clips annotated Poor Quality count in neither Se nor Sp.
    Zhang et al., "Grand Challenge on Respiratory Sound Classification", IEEE BioCAS 2022.

    Parameters
    ----------
    predictions : from :func:`read_predictions`
    draws, seed : of the bootstrap over patients; no draws, no intervals

    Returns
    -------
    dict
        ``task_11`` and so on, each with ``classes``, ``confusion``, ``scores`` and ``intervals`` by the names
        in `TASK_SCORES`; empty where the classes are other ones.
    """
    numbers = TASKS.get(frozenset(predictions.classes))
    if numbers is None:
        return {}
    sides = zip(numbers, (merged(predictions), predictions), strict=True)
    return {f"task_{number}": _task(side, draws, seed) for number, side in sides}


def merged(predictions: Predictions) -> Predictions:
    """Make one class of the adventitious ones."""
    normal, adventitious = TASK_11
    ignored = ignored_classes(predictions.classes)
    names = {name: name if name in (normal, *ignored) else adventitious for name in predictions.classes}
    classes = (normal, adventitious, *ignored)
    member = np.array([[names[name] == merged for merged in classes] for name in predictions.classes], float)
    labels = tuple(names[label] for label in predictions.labels)
    # A sum may be more than one by its rounding.
    probabilities = np.minimum(predictions.probabilities @ member, 1.0)
    return replace(predictions, labels=labels, classes=classes, probabilities=probabilities)


def _task(predictions: Predictions, draws: int, seed: int) -> dict[str, Any]:
    classes = predictions.classes
    patients, group = np.unique(np.asarray(predictions.subjects, dtype=str), return_inverse=True)
    confusions = [
        confusion_by_group(predictions.labels, predicted_classes(run, classes), group, len(patients), classes)
        for run in as_runs(predictions.probabilities)
    ]

    def scores(resamples: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        each = [
            confusion_scores(
                np.tensordot(resamples, confusion, axes=1), classes, TASK_11[0], ignored_classes(classes)
            )
            for confusion in confusions
        ]
        return {key: np.mean([values[key] for values in each], axis=0) for key in each[0]}

    total = np.sum(confusions, axis=(0, 1))
    values = {key: value[0] for key, value in scores(np.ones((1, len(patients)))).items()}
    drawn = scores(patient_draws(len(patients), draws, seed)) if draws else {}
    return {
        "classes": list(classes),
        "confusion": total.astype(int).tolist(),
        "scores": {key: plain_number(values[key]) for key in TASK_SCORES},
        "intervals": {key: listed(percentile_interval(drawn[key])) if drawn else None for key in TASK_SCORES},
    }


def score_predictions(
    predictions_csv: str | os.PathLike[str],
    out: str | os.PathLike[str],
    provenance: Mapping[str, Any] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """Score predictions.csv and write metrics.json, tables.txt and confusion.png to the folder `out`.

    Parameters as in :func:`score`; the SHA-256 of the predictions is added to the provenance, so that a
    metrics.json can be matched with the file it came from.

    Returns
    -------
    dict
        What metrics.json holds.
    """
    predictions = read_predictions(predictions_csv)
    digest = hashlib.sha256(Path(predictions_csv).read_bytes()).hexdigest()
    found = score(predictions, {**(provenance or {}), "predictions_sha256": digest}, draws, seed)
    write_json(Path(out) / "metrics.json", found)
    write_text(Path(out) / "tables.txt", render_tables(found))
    draw(found, Path(out) / "confusion.png")
    return found


# ----------------------------------------------------------------------------------------- text and picture


def render_tables(found: Mapping[str, Any]) -> str:
    """Return the scores with their intervals, the classes and the confusion matrix as plain text.

    Parameters
    ----------
    found : from :func:`score`
    """
    classes, counts = found["confusion"]["classes"], found["confusion"]["counts"]
    bootstrap = found["bootstrap"]
    level = f"{100 * bootstrap['level']:g} %"
    scores = [
        [title, _number(found["scores"][key]), _interval(found["intervals"][key])]
        for key, title in SCORE_NAMES.items()
    ]
    per_class = [
        [
            name,
            *(str(found["classes"][name][key]) for key in ("clips", "subjects", "predicted")),
            *(_number(found["classes"][name][key]) for key in CLASS_SCORES),
            _interval(found["classes"][name]["intervals"]["recall"]),
        ]
        for name in classes
    ]
    matrix = [[name, *map(str, row)] for name, row in zip(classes, counts, strict=True)]
    class_header = ["class", "clips", "patients", "predicted", *CLASS_SCORES.values(), f"recall {level}"]
    provenance = [f"{key}: {_text(value)}" for key, value in found["provenance"].items() if value is not None]
    return "\n".join(
        [
            *provenance,
            "",
            _size(found),
            "",
            _table(["score", "value", f"{level} interval"], scores),
            "",
            _interval_note(bootstrap),
            "",
            *_task_lines(found, level),
            _table(class_header, per_class),
            "",
            "Confusion matrix: a row is the annotated class, a column the predicted one.",
            "",
            _table(["", *classes], matrix),
            "",
        ]
    )


def _task_lines(found: Mapping[str, Any], level: str) -> list[str]:
    """Return the challenge's tasks and an empty line, or nothing where there are none."""
    tasks = [(key.removeprefix("task_"), told) for key, told in found.items() if key.startswith("task_")]
    rows = [
        [
            f"task {number}: {' / '.join(told['classes']) if len(told['classes']) < 4 else 'exact class'}",
            *(_number(told["scores"][key]) for key in TASK_SCORES),
            _interval(told["intervals"]["challenge_score"]),
        ]
        for number, told in tasks
    ]
    header = ["BioCAS challenge", "Se", "Sp", "AS", "HS", "Score", f"Score {level}"]
    return [_table(header, rows), ""] if rows else []


def _size(found: Mapping[str, Any]) -> str:
    clips, patients = found["clips"], found["subjects"]
    return f"{clips} clip{'s'[: clips != 1]} of {patients} patient{'s'[: patients != 1]}"


def _interval_note(bootstrap: Mapping[str, Any]) -> str:
    if bootstrap["no_interval"]:
        return f"No intervals: {bootstrap['no_interval']}."
    return (
        f"Intervals: percentile bootstrap over patients, {bootstrap['draws']} draws, "
        f"seed {bootstrap['seed']}. A dash: undefined, or resting on too few patients."
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
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


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _interval(interval: Sequence[float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}"


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def draw(found: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Draw the confusion matrix and, class by class, recall with its interval, precision and F1.

    Parameters
    ----------
    found : from :func:`score`
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
    n = len(found["confusion"]["classes"])
    figure = Figure(figsize=(4.5 + 1.15 * n, 2.2 + 0.62 * n), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1.5, 1])
    _draw_confusion(left, found)
    _draw_classes(right, found)
    se, sp, challenge = (
        f"{name} {_number(found['scores'][key])}"
        for name, key in (("Se", "sensitivity"), ("Sp", "specificity"), ("Score", "challenge_score"))
    )
    figure.suptitle(f"{_size(found)}: {se}, {sp}, {challenge}")
    figure.legend(loc="outside lower right", ncols=3, frameon=False, fontsize=8)
    with written_whole(path) as temporary:
        figure.savefig(temporary)


def _draw_confusion(axes: Any, found: Mapping[str, Any]) -> None:
    classes = found["confusion"]["classes"]
    counts = np.array(found["confusion"]["counts"])
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


def _draw_classes(axes: Any, found: Mapping[str, Any]) -> None:
    classes = found["confusion"]["classes"]
    height = 0.26
    for k, (key, title, colour) in enumerate(
        (("recall", "recall", "#4292c6"), ("precision", "precision", "#9ecae1"), ("f1", "F1", "#d9d9d9"))
    ):
        values = [found["classes"][name][key] for name in classes]
        places = np.arange(len(classes)) + (k - 1) * height
        axes.barh(places, [value or 0 for value in values], height, color=colour, label=title)
        for place, name, value in zip(places, classes, values, strict=True):
            interval = found["classes"][name]["intervals"][key]
            if interval is not None:
                axes.hlines(place, *interval, color="black", linewidth=0.8)
            end = max(value or 0, interval[1] if interval else 0)
            axes.text(end + 0.02, place, "–" if value is None else f"{value:.2f}", va="center", fontsize=7)
    axes.set_xlim(0, 1.15)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.tick_params(axis="y", left=False, labelleft=False)
    axes.spines[["top", "right"]].set_visible(False)
    interval_name = f", lines: {100 * found['bootstrap']['level']:g} % intervals"
    axes.set_title("by class" + ("" if found["bootstrap"]["no_interval"] else interval_name), fontsize=10)
