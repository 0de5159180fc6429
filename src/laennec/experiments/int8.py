"""What a model for whole recordings loses when its convolutions are computed in eight bits, out of fold.

    python -m laennec.experiments.int8 runs/later/seed0/fold1 --out docs/results/int8.json
    python -m laennec.experiments.int8 runs/later/seed0/fold1 --out docs/results/int8.json --schemes 12

The folder is a fold of ``laennec crossvalidate recording --protocol chronological``; the command is run where
that was run, since the fold names its recordings' paths. Its network is exported as ``recording`` is, decided
by the labelled lungs that it held out, and quantised as ``laennec export --target int8`` does, with ranges
learnt from patients that it was trained on. Both files then analyse every recording that was held out.
Differences are paired: both are scored on the same resamples of patients.

With ``--schemes``, other schemes are compared, on other patients that the fold was trained on: nothing is
chosen on what was held out.
"""

import argparse
import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd

from laennec.analyze import analyze
from laennec.audio.recording import Recording
from laennec.audio.samples import Array
from laennec.datasets.not_lung import NAME as NOT_LUNG
from laennec.datasets.table import read_csv
from laennec.experiments import run
from laennec.experiments.refusals import model_of, sounds_of
from laennec.files import read_json, write_json
from laennec.labels import POOR_QUALITY, SOUND_KINDS, as_record
from laennec.model.detector import Detector
from laennec.model.load import load_model
from laennec.progress import track
from laennec.score.bootstrap import Patients, Score, over_patients
from laennec.score.calibration import brier_terms, calibration_gaps, error_of_gaps
from laennec.score.confusion import Floats, confusion_by_group, confusion_scores, ignored_classes, ratio
from laennec.score.events import Span, event_differences, event_scores
from laennec.score.predictions import Predictions
from laennec.score.tasks import merged, shifted
from laennec.train.hardware import machine
from laennec.train.int8 import Scheme, calibration_of, drawn_recordings, inner_convolutions, quantised
from laennec.train.recording_predictions import load_outputs
from laennec.train.recordings import levelled
from laennec.train.tables import recording_names, source_of

SCHEMES = {
    "convolutions between the first and the output layers, weights of 7 bits": Scheme(corrected=False),
    "biases corrected, which ships": Scheme(),
    "weights of 8 bits": Scheme(weight_bits=8, corrected=False),
    "the first convolution too": Scheme(
        lambda graph: [convolutions(graph)[1], *inner_convolutions(graph)], corrected=False
    ),
    "the first convolution and the output layers too": Scheme(
        lambda graph: convolutions(graph)[1:], corrected=False
    ),
    "additions too": Scheme(lambda graph: [*inner_convolutions(graph), *additions(graph)], corrected=False),
    "one scale for all channels of a layer": Scheme(per_channel=False, corrected=False),
    "signed activations": Scheme(unsigned=False, corrected=False),
    "the transform of the front end too": Scheme(lambda graph: convolutions(graph), corrected=False),
}
MODELS = ("float", "int8")


def convolutions(graph: onnx.GraphProto) -> list[str]:
    """Names of all convolutions, that of the front end first, those of the outputs last."""
    return [node.name for node in graph.node if node.op_type == "Conv"]


def additions(graph: onnx.GraphProto) -> list[str]:
    """Names of the additions behind the first convolution of the network."""
    names = [node.name for node in graph.node]
    first = names.index(convolutions(graph)[1])
    return [node.name for node in list(graph.node)[first:] if node.op_type == "Add"]


# --- schemes ------------------------------------------------------------------------------------------------


def logits_of(model: Detector, samples: Array) -> dict[str, Floats]:
    """What of a graph's outputs decides an answer: presence, classes, record and kind."""
    outputs = model.run(samples)
    attention, values = np.split(outputs["record"].astype(float), 2)
    weights = np.exp(attention - attention.max(1, keepdims=True))
    return {
        "presence": outputs["presence"].astype(float),
        "classes": outputs["evidence"].mean(1, dtype=float) + outputs["context"],
        "record": (weights * values).sum(1) / weights.sum(1),
        "kind": outputs["kind"].mean(1, dtype=float),
    }


def error_of(scheme: Scheme, model: Detector, rows: pd.DataFrame, sounds: Sequence[Array]) -> dict[str, Any]:
    """How far the logits of a scheme lie from the model's, as shares of their own deviation, and its size."""
    content = quantised(model, calibration_of(rows, model.card.sample_rate), scheme)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "scheme.onnx"
        path.write_bytes(content)
        small = load_model(path)
    assert isinstance(small, Detector)
    pairs = [(logits_of(model, samples), logits_of(small, samples)) for samples in sounds]
    errors = {}
    for name in pairs[0][0]:
        exact, near = (np.concatenate([pair[k][name].ravel() for pair in pairs]) for k in (0, 1))
        errors[name] = float(np.sqrt(np.mean((near - exact) ** 2)) / exact.std())
    return {"errors": errors, "bytes": len(content)}


def chosen_by(model: Detector, trained: pd.DataFrame, count: int) -> list[dict[str, Any]]:
    """Every scheme on recordings of patients that were trained on, others than ranges are learnt from."""
    rows = drawn_recordings(trained)
    others = trained[~trained["subject"].isin(rows["subject"]) & ~trained["label"].isin(SOUND_KINDS)]
    others = drawn_recordings(others, count, seed=1)
    sounds = [
        np.asarray(levelled(sound, 0), np.float32)
        for sound in (resampled(path, model.card.sample_rate) for path in others["path"])
    ]
    schemes = track(list(SCHEMES.items()), "schemes")
    return [{"scheme": name, **error_of(scheme, model, rows, sounds)} for name, scheme in schemes]


def resampled(path: str, rate: int) -> Recording:
    """A recording at a rate."""
    return Recording.read(path).resampled(rate)


# --- answers ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What a model says of a recording."""

    probabilities: tuple[float, ...]
    """Of each record label; a refused one is of poor quality."""
    refused: bool
    certain: bool
    events: tuple[Span, ...]


def answer(sound: Array, rate: int, model: Detector) -> Answer:
    """What is answered to samples."""
    analysis = analyze(sound, sample_rate=rate, model=model)
    record, classes = analysis.record, model.card.records
    refused = record is None or record.label is None
    shares = {POOR_QUALITY: 1.0} if record is None or refused else record.probabilities
    return Answer(
        tuple(float(shares.get(name, 0.0)) for name in classes),
        refused,
        record is not None and not refused and not record.uncertain,
        tuple((event.start_s, event.end_s, event.label) for event in analysis.events),
    )


def both(score: Callable[[int], Mapping[str, Floats]]) -> dict[str, Floats]:
    """Scores of both models on the same draws, and those of the second less those of the first."""
    first, second = score(0), score(1)
    parts = {"float": first, "int8": second, "difference": {k: second[k] - first[k] for k in first}}
    return {f"{part}/{name}": value for part, own in parts.items() for name, value in own.items()}


def arranged(scores: Mapping[str, Score]) -> dict[str, dict[str, Any]]:
    """By name of a score: the value and interval of each model, and of the difference."""
    found: dict[str, dict[str, Any]] = {}
    for key, score in scores.items():
        part, _, name = key.partition("/")
        found.setdefault(name, {})[part] = {"value": score.value, "interval": score.interval}
    return found


def terms_of(label: str, own: Sequence[Answer], model: Detector) -> Floats:
    """What one recording with a label adds to the sums of each model, ``(models, columns)``."""
    card, rows = model.card, []
    for one in own:
        told = Predictions(("",), ("",), (label,), card.records, np.array([one.probabilities]))
        columns = [brier_terms(told.labels, told.probabilities, told.classes)]
        columns += [calibration_gaps(told.labels, told.probabilities, told.classes)[0]]
        for task, each in (("22", told), ("21", merged(told))):
            moved = shifted(each, card.normal_shift.get(task, 0.0))
            moved = shifted(moved, card.poor_shift.get(task, 0.0), POOR_QUALITY)
            group = np.zeros(1, np.int64)
            answers = [each.classes[int(moved.probabilities[0].argmax())]]
            columns.append(confusion_by_group(each.labels, answers, group, 1, each.classes).ravel())
        right = card.records[int(np.argmax(one.probabilities))] == label
        columns.append(np.array([right, one.certain, one.certain and not right, one.refused, 1.0]))
        rows.append(np.concatenate([np.ravel(column) for column in columns]))
    return np.array(rows)


def record_scores(drawn: Floats, records: Sequence[str]) -> dict[str, Floats]:
    """Scores of ``(draws, columns)`` sums, in the order of `terms_of`."""
    right, certain, wrong, refused, count = drawn[:, -5:].T
    classes = {"task 22 Score": tuple(records), "task 21 Score": merged_classes(records)}
    first, scores = drawn.shape[1] - 5, {}
    for name, own in reversed(classes.items()):
        size = len(own)
        first -= size * size
        confusion = drawn[:, first : first + size * size].reshape(-1, size, size)
        scores[name] = confusion_scores(confusion, own, "Normal", ignored_classes(own))["challenge_score"]
    return {
        "accuracy": ratio(right, count),
        **scores,
        "Brier score": ratio(drawn[:, 0], count),
        "ECE": error_of_gaps(drawn[:, 1:first], count),
        "certain": ratio(certain, count),
        "wrong among the certain": ratio(wrong, certain),
        "refused": ratio(refused, count),
    }


def merged_classes(records: Sequence[str]) -> tuple[str, ...]:
    """Classes of task 21."""
    uniform = np.full((1, len(records)), 1 / len(records))
    return merged(Predictions(("",), ("",), (records[0],), tuple(records), uniform)).classes


def records_of(rows: pd.DataFrame, answers: Sequence[Sequence[Answer]], model: Detector) -> dict[str, Any]:
    """Labels of whole recordings of a data set, by both models."""
    labels = [as_record(str(label), model.card.records) for label in rows["label"]]
    known = [place for place, label in enumerate(labels) if label in model.card.records]
    if not known:
        return {}
    patients = Patients.of(rows["subject"].fillna("").astype(str).to_numpy()[known])
    sums = patients.sums([terms_of(str(labels[place]), answers[place], model) for place in known])
    scores = over_patients(sums, lambda drawn: both(lambda k: record_scores(drawn[:, k], model.card.records)))
    same = np.mean([np.argmax(a.probabilities) == np.argmax(b.probabilities) for a, b in answers])
    apart = max(float(np.abs(np.subtract(a.probabilities, b.probabilities)).max()) for a, b in answers)
    return {
        "recordings": len(known),
        "patients": len(patients),
        "same_answer": float(same),
        "largest_difference_of_a_probability": apart,
        "scores": arranged(scores),
    }


def refusals_of(rows: pd.DataFrame, answers: Sequence[Sequence[Answer]]) -> dict[str, Any]:
    """How many sounds of each kind both models refuse, and answer with certainty."""
    found = {}
    for kind in sorted(rows["label"].astype(str).unique()):
        places = np.flatnonzero(rows["label"].astype(str) == kind).tolist()
        terms = [[[own.refused, own.certain, 1.0] for own in answers[place]] for place in places]
        patients = Patients.of(rows["subject"].fillna("").astype(str).to_numpy()[places])
        scores = over_patients(
            patients.sums(terms),
            lambda drawn: both(
                lambda k: {
                    "refused": ratio(drawn[:, k, 0], drawn[:, k, 2]),
                    "certain": ratio(drawn[:, k, 1], drawn[:, k, 2]),
                }
            ),
        )
        found[kind] = {"sounds": len(places), "subjects": len(patients), "scores": arranged(scores)}
    return found


def events_of(
    rows: pd.DataFrame, answers: Sequence[Sequence[Answer]], fold: Path, model: Detector
) -> dict[str, Any]:
    """Found events of the recordings whose events are annotated, by both models."""
    labels = model.card.labels
    annotated = {own.name: own.annotated(labels) for own in load_outputs([fold]) if own.placed}
    names = recording_names(rows)
    places = [place for place, name in enumerate(names) if name in annotated]
    reference = [annotated[names[place]] for place in places]
    subjects = rows["subject"].fillna("").astype(str).to_numpy()[places].tolist()
    found = [[answers[place][k].events for place in places] for k in (0, 1)]
    each = [event_scores(reference, own, labels, model.card.normal, subjects) for own in found]
    apart = event_differences(reference, found[0], found[1], labels, model.card.normal, subjects)
    titles = {
        "agnostic_f1": "event F, class-agnostic",
        "f1": "event F, with class",
        "error_rate": "error rate",
    }
    scores: dict[str, Any] = {}
    for key, title in titles.items():
        own = {
            name: {"value": one["scores"][key], "interval": one["intervals"][key]}
            for name, one in zip(MODELS, each, strict=True)
        }
        scores[title] = {**own, "difference": difference(apart[key])}
    for label in labels:
        if each[0]["classes"][label]["reference"]:
            own = {
                name: {
                    "value": one["classes"][label]["f1"],
                    "interval": one["classes"][label]["intervals"]["f1"],
                }
                for name, one in zip(MODELS, each, strict=True)
            }
            scores[f"event F of {label}"] = {**own, "difference": difference(apart[label, "f1"])}
    agreement = event_scores(found[0], found[1], labels, model.card.normal, subjects, draws=0)["scores"]
    counts = [sum(len(each) for each in side) for side in (reference, found[0], found[1])]
    return {
        "recordings": len(places),
        "patients": len(set(subjects)),
        "events": dict(zip(("annotated", *MODELS), counts, strict=True)),
        "f1_of_int8_against_float": agreement["f1"],
        "scores": scores,
    }


def difference(score: Score) -> dict[str, Any]:
    """A paired difference, as the scores beside it."""
    return {"value": score.value, "interval": score.interval}


# --- command ------------------------------------------------------------------------------------------------


def measured(fold: Path, count: int) -> dict[str, Any]:
    """The model of a fold: with a `count`, the schemes on so many recordings; else what it held out."""
    model, held_out = model_of(fold)
    clips = read_csv(fold / "clips.csv", dtype={"recording": str, "subject": str})
    trained = clips[clips["side"] == "train"].drop_duplicates(["path", "channel"]).reset_index(drop=True)
    if count:
        return {"schemes": chosen_by(model, trained, count)}
    rows = drawn_recordings(trained)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        path.write_bytes(quantised(model, calibration_of(rows, model.card.sample_rate)))
        small = load_model(path)
    assert isinstance(small, Detector)
    figures: dict[str, Any] = {"records": {}}
    once = held_out.drop_duplicates(["path", "channel"]).reset_index(drop=True)
    assert not set(once["subject"].dropna()) & set(rows["subject"].dropna())
    for name in dict.fromkeys(source_of(once)):
        own = once[source_of(once) == name].reset_index(drop=True)
        labelled = own["label"].map(lambda label: as_record(str(label), model.card.records)).notna().any()
        if name != NOT_LUNG and not labelled:
            continue
        answers = [
            [answer(samples, rate, each) for each in (model, small)] for samples, rate in sounds_of(own)
        ]
        if name == NOT_LUNG:
            figures["not_lung"] = refusals_of(own, answers)
            continue
        figures["records"][name] = records_of(own, answers, model)
        if name == model.card.recipe["dataset"]:
            figures["events"] = events_of(own, answers, fold, model)
    counts = source_of(rows).value_counts().sort_index()
    return {"calibration": {str(name): int(number) for name, number in counts.items()}, **figures}


def main() -> None:
    """Compare both, or the schemes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("fold", type=Path, help="folder of a fold of laennec crossvalidate recording")
    parser.add_argument(
        "--schemes", type=int, default=0, help="compare schemes on so many recordings of a data set"
    )
    parser.add_argument("--out", type=Path, required=True, help="JSON for the figures; others in it stay")
    options = parser.parse_args()
    figures = measured(options.fold, options.schemes)
    known = read_json(options.out, "delete it") if options.out.exists() else {}
    about = {
        "command": "python -m laennec.experiments.int8 FOLD",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": {**machine(), "onnxruntime": onnxruntime.__version__},
    }
    write_json(options.out, {**known, **about, **figures})


if __name__ == "__main__":
    run(main)
