"""How well a model of SPRSound's children carries to ICBHI 2017: adults and children, four other devices.

    python -m laennec.experiments.other_devices --data ICBHI --cv CV --out docs/results/other-devices.json

Each cycle is cut into windows of a model's usual length for events, half overlapping; a cycle's score for
crackles is the highest of its windows' probabilities of crackles, and so for wheezes. AUC of cycles with the
sound against those without, by device, with 95 % intervals over patients. 0.5 is chance.

With ``--cv``, the folder of a cross-validation (`laennec crossvalidate`), ICBHI's patients are dealt into
as many folds as it has, and each is predicted by the model of that fold, with its decision: where the
recipe trains on ICBHI as well, that one did not train on the patient. Seeds are averaged. ``--against``
another such folder gives differences, paired over patients. With ``--model``, a model file predicts all.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from laennec.audio.segment import windows
from laennec.datasets import splits
from laennec.datasets.records import load_clips
from laennec.datasets.table import read_csv
from laennec.errors import LaennecError
from laennec.experiments import run
from laennec.experiments.answers import probabilities_of, seeds_of
from laennec.features.reading import cut_clips
from laennec.files import write_json
from laennec.labels import to_icbhi
from laennec.model.clips import LungModel
from laennec.model.load import load_model
from laennec.score.confusion import Floats
from laennec.score.predictions import Predictions, read_predictions, stacked
from laennec.score.summary import bootstrap_difference, evaluate
from laennec.score.text import with_interval
from laennec.train.card import command
from laennec.train.crossval import EPS, decisions
from laennec.train.decision import Decision
from laennec.train.export import deployed
from laennec.train.hardware import tuned_cpu
from laennec.train.tables import training_clips
from laennec.train.weights import read_run

SOUNDS = ("crackle", "wheeze")
Samples = NDArray[np.float32]
Model = Callable[[list[Samples]], Floats]
"""From clips to probabilities ``(clips, classes)``."""


def scores(model: Model, labels: Sequence[str], rate: int, cycles: pd.DataFrame, window_s: float) -> Floats:
    """``(cycles, 2)``: highest probability of crackles, and of wheezes, among a cycle's windows."""
    kinds = np.array([to_icbhi(label) for label in labels])
    members = np.stack([(kinds == sound) | (kinds == "both") for sound in SOUNDS], axis=1)
    highest = np.empty((len(cycles), len(SOUNDS)))
    for row, samples in cut_clips(cycles, rate, "cycles"):
        length_s = min(window_s, samples.size / rate)
        spans = windows(samples.size / rate, length_s, length_s / 2)
        clips = [samples[round(start * rate) : round(end * rate)] for start, end in spans]
        highest[row] = (model(clips) @ members).max(0)
    return highest


def of_model(name: str, cycles: pd.DataFrame, window_s: float) -> tuple[list[Floats], dict[str, Any]]:
    """Scores by a model file, and what it is."""
    model = load_model(name)
    if not isinstance(model, LungModel):
        raise LaennecError(f"{name} is a model for whole recordings; this takes one for clips")
    rate = model.card.sample_rate

    def predict(clips: list[Samples]) -> Floats:
        return model.predict(clips, rate).astype(np.float64)

    highest = scores(predict, model.card.labels, rate, cycles, window_s)
    return [highest], {"model": {"name": model.card.name, "sha256": model.sha256}}


def of_folds(cv: Path, cycles: pd.DataFrame, window_s: float) -> tuple[list[Floats], dict[str, Any]]:
    """Scores by the models of a cross-validation's folds, a run a seed, and what they are."""
    runs = []
    for folders in seeds_of(cv):
        clean = [read_predictions(folder / "predictions.csv") for folder in folders]
        recipe = read_run(folders[0])[0]
        highest = np.empty((len(cycles), len(SOUNDS)))
        dealt = splits.kfold(cycles, len(folders), recipe.split_seed)
        for folder, decision, split in zip(folders, decisions(clean), dealt, strict=True):
            recipe, front_end, *_ = read_run(folder)
            network, held_out = deployed(folder), split.validation
            if recipe.also:
                auxiliary = read_csv(folder / "auxiliary.csv", dtype=str).query("side == 'test'")
                if set(auxiliary["clip_id"]) != set(cycles["clip_id"][held_out]):
                    raise LaennecError(f"{folder} held out other cycles; was it trained on other data?")
            decided = partial(_decided, network, decision)
            part = cycles[held_out].reset_index(drop=True)
            highest[held_out] = scores(decided, recipe.labels, front_end.sample_rate, part, window_s)
        runs.append(highest)
    return runs, {
        "recipe": recipe.name,
        "also": ", ".join(recipe.also),
        "seeds": len(runs),
        "folds": len(folders),
    }


def _decided(network: torch.nn.Module, decision: Decision, clips: list[Samples]) -> Floats:
    return np.asarray(decision.applied(np.log(probabilities_of(network, clips) + EPS)))


def of_sound(runs: list[Floats], column: int, there: NDArray[np.bool_], cycles: pd.DataFrame) -> Predictions:
    """One sound's scores as predictions, a run a seed."""
    label = tuple(np.where(there, SOUNDS[column], "normal").tolist())
    clip, patient = tuple(cycles["clip_id"]), tuple(cycles["subject"].astype(str))
    classes = ("normal", SOUNDS[column])
    columns = [np.stack([1 - run[:, column], run[:, column]], axis=1) for run in runs]
    return stacked([Predictions(clip, patient, label, classes, each) for each in columns])


def measure(own: Predictions, base: Predictions | None) -> dict[str, Any]:
    """AUC with its interval, and less that of `base`."""
    arguments = own.labels, own.probabilities, own.subjects, own.classes
    measured = evaluate(*arguments, "normal", draws=1000)
    figures: dict[str, Any] = {
        "cycles": measured["clips"],
        "with": sum(label != "normal" for label in own.labels),
        "patients": measured["subjects"],
        "auc": measured["scores"]["binary_roc_auc"],
        "interval": measured["intervals"]["binary_roc_auc"],
    }
    if base is not None and len(set(own.subjects)) > 1:
        figures["difference"] = bootstrap_difference(
            own.labels, base.probabilities, own.probabilities, own.subjects, own.classes, "normal"
        )["binary_roc_auc"]
    return figures


def main() -> None:
    """Measure all devices."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="ICBHI 2017's folder, or a subset of it")
    asking = parser.add_mutually_exclusive_group()
    asking.add_argument("--model", default="default", help="a model that ships, or an .onnx file")
    asking.add_argument("--cv", type=Path, help="folder of laennec crossvalidate")
    parser.add_argument("--against", type=Path, help="another folder of laennec crossvalidate")
    parser.add_argument("--window-s", type=float, default=1.5, help="seconds of a window, 1.5")
    parser.add_argument("--out", type=Path, help="JSON for the figures")
    options = parser.parse_args()
    cycles = training_clips(load_clips("icbhi", options.data))
    with tuned_cpu():
        if options.cv:
            runs, what = of_folds(options.cv, cycles, options.window_s)
        else:
            runs, what = of_model(options.model, cycles, options.window_s)
        other = of_folds(options.against, cycles, options.window_s)[0] if options.against else None
    label, device = cycles["label"].to_numpy(str), cycles["device"].to_numpy(str)
    auc: dict[str, dict[str, Any]] = {sound: {} for sound in SOUNDS}
    for column, sound in enumerate(SOUNDS):
        there = (label == sound) | (label == "both")
        for name in ("all", *sorted(set(device))):
            mask = np.ones(len(device), bool) if name == "all" else device == name
            own, base = (
                each and of_sound([run[mask] for run in each], column, there[mask], cycles[mask])
                for each in (runs, other)
            )
            assert own
            auc[sound][name] = figures = measure(own, base or None)
            auc_text = with_interval(figures["auc"], figures["interval"])
            print(f"{sound:8} {name:10} AUC {auc_text}", flush=True)
    if options.out:
        typed = "python -m laennec.experiments.other_devices " + " ".join(command().split()[1:])
        write_json(options.out, {"command": typed, **what, "window_s": options.window_s, "auc": auc})


if __name__ == "__main__":
    run(main)
