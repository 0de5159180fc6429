"""What a system answered, in the forms in which people keep it.

A table (CSV, TSV) with a row per clip: its name, its annotated class, and the predicted class or a
probability for each class; Laennec's own ``predictions.csv`` is one. NumPy's ``.npz`` with the same as
arrays. Or a confusion matrix alone (``.npy``, CSV without a header, JSON), which can be rescored but has no
patients.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from laennec.annotations.table import NAMING
from laennec.audio.samples import counted
from laennec.errors import LaennecError, shown
from laennec.labels import (
    ADVENTITIOUS,
    CHALLENGE_TASKS,
    ICBHI_CYCLES,
    NORMAL,
    SPRSOUND_EVENTS,
    SPRSOUND_RECORDS,
    TERM_OF_CYCLE,
    known_term,
    spelling,
)
from laennec.referee.split import load_arrays, text_of
from laennec.score.confusion import Floats, confusion_matrix, predicted_classes
from laennec.score.predictions import Predictions, read_table

NAME_COLUMNS = ("clip_id", "clip", "cycle", "sample", "name", "id", *NAMING)
LABEL_COLUMNS = (
    "label",
    "y_true",
    "true",
    "truth",
    "target",
    "targets",
    "gt",
    "ground_truth",
    "actual",
    "labels",
)
ANSWER_COLUMNS = ("y_pred", "predicted", "prediction", "pred", "predictions", "preds", "output", "answer")
SCORE_COLUMNS = ("probs", "probabilities", "scores", "logits", "y_score", "outputs", "y_prob")
DURATION_COLUMNS = ("duration_s", "duration")
TWO_CLASSES = ("normal", ADVENTITIOUS)
VOCABULARIES: dict[str, tuple[tuple[str, ...], ...]] = {
    "icbhi": (ICBHI_CYCLES, TWO_CLASSES),
    "sprsound": (
        SPRSOUND_EVENTS,
        SPRSOUND_RECORDS,
        tuple(CHALLENGE_TASKS[11]),
        tuple(CHALLENGE_TASKS[21]),
    ),
}
# What a class is called where classes alone are meant; elsewhere these are other words, KAUH's B bronchial.
CLASS_WORDS = {"no": NORMAL, "b": TERM_OF_CYCLE["both"]}
CYCLE_OF_TERM = {term: cycle for cycle, term in TERM_OF_CYCLE.items()}
FORMS = (
    "a table with a name, a label and a prediction (or a probability for each class) per row, .npz with the "
    "same arrays, or a confusion matrix"
)


@dataclass(frozen=True)
class Submitted:
    """A system's answers.

    `names` is empty where only a confusion is known. `probabilities` are 1 and 0 where only classes were
    answered, and `ranked` is then False. `durations` are in seconds, NaN where not known.
    """

    source: str
    classes: tuple[str, ...]
    confusion: Floats
    """(classes, classes): rows annotated, columns predicted."""
    names: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    probabilities: Floats | None = None
    ranked: bool = False
    durations: NDArray[np.float64] | None = None
    assumed: str = ""
    """What had to be assumed of the classes, as a sentence without its point; empty where nothing."""

    def as_predictions(self, subjects: Sequence[str]) -> Predictions:
        """Return the answers as Laennec scores them, with these patients."""
        if self.probabilities is None:
            raise ValueError("a confusion has no clips")
        return Predictions(self.names, tuple(subjects), self.labels, self.classes, self.probabilities)


def read_submitted(path: Path, dataset: str, classes: Sequence[str] = ()) -> Submitted:
    """Read a file of answers.

    Parameters
    ----------
    path
        One of the forms above.
    dataset
        ``icbhi`` or ``sprsound``: whose class names are expected.
    classes
        Names of the classes in the order of numbers, columns or rows; empty: the data set's own of that
        number.

    Raises
    ------
    LaennecError
        If it is none of the forms, a class is unknown, or rows do not fit together.
    """
    suffix = path.suffix.lower()
    if suffix in (".npz", ".npy"):
        loaded = load_arrays(path)
        if isinstance(loaded, dict):
            return _of_columns(path, dict(loaded), dataset, classes)
        if loaded.ndim == 2 and loaded.shape[1] == 2 and len(loaded) != 2:
            return _of_columns(path, {"label": loaded[:, 0], "pred": loaded[:, 1]}, dataset, classes)
        return _of_matrix(path, loaded, dataset, classes)
    if suffix == ".json":
        return _of_json(path, dataset, classes)
    header, *rows = table_cells(path)
    if all(_is_number(cell) for cell in header):
        return _of_matrix(path, [header, *rows], dataset, classes)
    return _of_columns(path, _columns(path, header, rows), dataset, classes)


# --- forms --------------------------------------------------------------------------------------------------


def table_cells(path: Path) -> list[list[str]]:
    """Return the rows of a table, header first, without empty ones; LaennecError if it is none."""
    if path.suffix.lower() == ".gz":
        rows = read_table(path)
    else:
        text = text_of(path)
        delimiter = max(",;\t", key=text.partition("\n")[0].count)
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
        except csv.Error as error:
            raise LaennecError(f"{path}: not a table ({error})") from error
    rows = [[cell.strip() for cell in row] for row in rows if any(cell.strip() for cell in row)]
    if not rows:
        raise LaennecError(f"{path}: empty; expected {FORMS}")
    return rows


def _columns(path: Path, header: list[str], rows: list[list[str]]) -> dict[str, Any]:
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise LaennecError(
                f"{path}: row {number} has {counted(len(row), 'cell')}; expected {len(header)}"
            )
    return {name: [row[k] for row in rows] for k, name in enumerate(header)}


def _of_json(path: Path, dataset: str, classes: Sequence[str]) -> Submitted:
    try:
        found = json.loads(text_of(path))
    except (ValueError, RecursionError) as error:
        raise LaennecError(f"{path}: not JSON ({error})") from error
    if isinstance(found, dict):
        found = found.get("confusion", found)
    if isinstance(found, dict) and "counts" in found:
        return _of_matrix(path, found["counts"], dataset, classes or found.get("classes", ()))
    if isinstance(found, list) and found and all(isinstance(row, dict) for row in found):
        header = list(dict.fromkeys(key for row in found for key in row))
        rows = [[str(row.get(key, "")) for key in header] for row in found]
        return _of_columns(path, _columns(path, header, rows), dataset, classes)
    if isinstance(found, list):
        return _of_matrix(path, found, dataset, classes)
    raise LaennecError(f"{path}: expected {FORMS}; in JSON: rows as objects, or classes and counts")


def _of_matrix(path: Path, matrix: Any, dataset: str, classes: Sequence[str]) -> Submitted:
    try:
        counts = np.asarray(matrix, np.float64)
    except (TypeError, ValueError) as error:
        raise LaennecError(f"{path}: a confusion matrix has numbers alone ({error})") from error
    square = counts.ndim == 2 and counts.shape[0] == counts.shape[1] > 1
    if (
        not square
        or not np.isfinite(counts).all()
        or (counts < 0).any()
        or (counts != np.round(counts)).any()
    ):
        raise LaennecError(
            f"{path}: no confusion matrix: expected a square of whole numbers, one row for each annotated "
            f"class and one column for each predicted one; it has the shape {counts.shape}"
        )
    names, assumed = _named(path, len(counts), dataset, classes)
    if counts.sum() == 0:
        raise LaennecError(f"{path}: the confusion matrix counts no clip")
    return Submitted(str(path), names, counts, assumed=assumed)


def _of_columns(path: Path, columns: Mapping[str, Any], dataset: str, classes: Sequence[str]) -> Submitted:
    """Read columns, of a table or of an ``.npz``."""
    by_name = {name.strip().lower(): values for name, values in columns.items()}

    def first(candidates: Sequence[str]) -> Any:
        return next((by_name[name] for name in candidates if name in by_name), None)

    labels, answers, names = first(LABEL_COLUMNS), first(ANSWER_COLUMNS), first(NAME_COLUMNS)
    if labels is None:
        raise LaennecError(
            f"{path}: no column of annotated classes; it has {shown(', '.join(columns))}; name it label or "
            "y_true"
        )
    if np.size(labels) == 0:
        raise LaennecError(f"{path}: names its columns and has no clip; expected {FORMS}")
    scores, scored = _scores(path, columns, by_name, dataset)
    if answers is None and scores is None:
        raise LaennecError(
            f"{path}: neither a prediction nor a probability for each class; it has "
            f"{shown(', '.join(columns))}; name a column predicted, or columns after the classes"
        )
    classes = classes or scored
    words, vocabulary, assumed = _words(path, labels, answers, scores, dataset, classes)
    label_words = tuple(words[str(each)] for each in np.asarray(labels).ravel().tolist())
    if scores is None:
        predicted = [words[str(each)] for each in np.asarray(answers).ravel().tolist()]
        if len(predicted) != len(label_words):
            raise LaennecError(
                f"{path}: {counted(len(predicted), 'prediction')} for {counted(len(label_words), 'label')}"
            )
        probabilities = np.eye(len(vocabulary))[[vocabulary.index(word) for word in predicted]]
    else:
        probabilities = _as_probabilities(path, scores, len(label_words), len(vocabulary))
        predicted = predicted_classes(probabilities, vocabulary)
    clip_names = tuple(str(each) for each in np.asarray(names).ravel().tolist()) if names is not None else ()
    if clip_names and len(clip_names) != len(label_words):
        raise LaennecError(
            f"{path}: {counted(len(clip_names), 'name')} for {counted(len(label_words), 'label')}"
        )
    return Submitted(
        str(path),
        vocabulary,
        confusion_matrix(label_words, predicted, vocabulary),
        clip_names,
        label_words,
        probabilities,
        scores is not None,
        _durations(path, by_name, len(label_words)),
        assumed,
    )


def _scores(
    path: Path, columns: Mapping[str, Any], by_name: Mapping[str, Any], dataset: str
) -> tuple[Floats | None, tuple[str, ...]]:
    """Return ``(clips, classes)`` numbers of a probability or logit per class, and the classes they name."""
    block = next((by_name[name] for name in SCORE_COLUMNS if name in by_name), None)
    if block is not None and np.asarray(block).ndim == 2:
        return _numbers(path, block, "probabilities"), ()
    for vocabulary in VOCABULARIES[dataset]:
        named = {word: name for name in columns if (word := _class_of(_bare_column(name), vocabulary))}
        if len(named) == len(vocabulary):
            table = [columns[named[word]] for word in vocabulary]
            return _numbers(path, table, "probabilities").T, vocabulary
    numbered = sorted(
        (int(tail), name)
        for name in columns
        for head, _, tail in [name.lower().rpartition("_")]
        if tail.isdigit() and head in ("prob", "p", "class", "score", "logit", "prob_class")
    )
    if len(numbered) > 1 and [number for number, _ in numbered] == list(range(len(numbered))):
        return _numbers(path, [columns[name] for _, name in numbered], "probabilities").T, ()
    return None, ()


def _bare_column(name: str) -> str:
    """Return the class that a column's heading names: ``prob_crackle`` is ``crackle``."""
    lowered = name.lower()
    for prefix in ("prob_", "p_", "logit_", "score_"):
        lowered = lowered.removeprefix(prefix)
    return lowered


def _numbers(path: Path, values: Any, what: str) -> Floats:
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise LaennecError(f"{path}: {what} are no numbers ({error})") from error
    if not np.isfinite(numbers).all():
        raise LaennecError(f"{path}: {what} hold non-finite values")
    return numbers


def _as_probabilities(path: Path, scores: Floats, clips: int, classes: int) -> Floats:
    """Return rows that sum to 1: probabilities as they are, anything else as logits."""
    if scores.shape != (clips, classes):
        raise LaennecError(
            f"{path}: probabilities have the shape {scores.shape}; expected ({clips}, {classes})"
        )
    if (scores >= 0).all() and np.allclose(scores.sum(axis=1), 1, atol=1e-3):
        return np.asarray(np.minimum(scores / scores.sum(axis=1, keepdims=True), 1.0))
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _durations(path: Path, by_name: Mapping[str, Any], clips: int) -> NDArray[np.float64] | None:
    """Return the seconds of each clip, from a column of durations or from two of times; None without."""
    given = next((by_name[name] for name in DURATION_COLUMNS if name in by_name), None)
    if given is None and {"start_s", "end_s"} <= by_name.keys():
        times = [_numbers(path, by_name[name], name) for name in ("start_s", "end_s")]
        return np.asarray(times[1] - times[0])
    return None if given is None else _numbers(path, given, "durations").reshape(clips)


# --- classes ------------------------------------------------------------------------------------------------


def _words(
    path: Path, labels: Any, answers: Any, scores: Floats | None, dataset: str, classes: Sequence[str]
) -> tuple[dict[str, str], tuple[str, ...], str]:
    """Return the class that each label or answer means, all classes in order, and what was assumed."""
    seen = [str(each) for each in np.asarray(labels).ravel().tolist()]
    if scores is None:
        seen += [str(each) for each in np.asarray(answers).ravel().tolist()]
    distinct = sorted(set(seen))
    if all(_is_number(each) for each in distinct):
        numbers = {each: float(each) for each in distinct}
        wrong = next((each for each, number in numbers.items() if number < 0 or number != int(number)), None)
        if wrong is not None:
            raise LaennecError(f"{path}: {wrong} is no number of a class; they are counted from 0")
        count = scores.shape[1] if scores is not None else 0
        names, assumed = _named(path, max(count, int(max(numbers.values())) + 1), dataset, classes)
        return {each: names[int(number)] for each, number in numbers.items()}, names, assumed
    for vocabulary in (tuple(classes),) if classes else VOCABULARIES[dataset]:
        meant = {each: _class_of(each, vocabulary) for each in distinct}
        if all(meant.values()):
            return {each: str(word) for each, word in meant.items()}, vocabulary, ""
    expected = " or ".join(", ".join(each) for each in ([classes] if classes else VOCABULARIES[dataset]))
    unknown = [each for each in distinct if not any(_class_of(each, v) for v in VOCABULARIES[dataset])]
    raise LaennecError(f"{path}: class {shown((unknown or distinct)[0])} is unknown; expected {expected}")


def _named(path: Path, count: int, dataset: str, classes: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Return names for classes that are numbers, and what was assumed for it."""
    if classes:
        if len(classes) != count:
            raise LaennecError(f"{path}: has {count} classes, and --classes names {len(classes)}")
        for vocabulary in VOCABULARIES[dataset]:
            meant = [_class_of(each, vocabulary) for each in classes]
            if all(meant) and len(set(meant)) == count:
                return tuple(str(word) for word in meant), ""
        raise LaennecError(
            f"--classes {' '.join(classes)}: expected, in the order of the numbers, "
            + " or ".join(", ".join(each) for each in VOCABULARIES[dataset])
        )
    for vocabulary in sorted(VOCABULARIES[dataset], key=len):
        if len(vocabulary) >= count > len(vocabulary) - 2 and len(vocabulary) - count <= (count > 2):
            return vocabulary, f"the numbers 0 to {len(vocabulary) - 1} are taken for {', '.join(vocabulary)}"
    raise LaennecError(
        f"{path}: {count} classes; {dataset} has "
        + " or ".join(f"{len(each)} ({', '.join(each)})" for each in VOCABULARIES[dataset])
    )


def _class_of(word: str, vocabulary: Sequence[str]) -> str | None:
    """Return the class that a word means, in the field's spellings."""
    known = spelling(word, vocabulary) or spelling(word.replace("_", "+"), vocabulary)
    if known is not None:
        return known
    bare = word.strip().lower()
    term, sure = (CLASS_WORDS[bare], True) if bare in CLASS_WORDS else known_term(word) or ("", False)
    if not sure:
        return None
    return spelling(term, vocabulary) or spelling(CYCLE_OF_TERM.get(term, term), vocabulary)


def _is_number(cell: str) -> bool:
    try:
        return bool(np.isfinite(float(cell)))
    except ValueError:
        return False
