"""How well a model of SPRSound's children carries to ICBHI 2017: adults and children, four other devices.

    python benchmarks/other_devices.py --data ICBHI --cv runs/cv --out other-devices.json

Each cycle is heard in windows of a model's usual length for events, half overlapping; a cycle's score for
crackles is the highest of its windows' probabilities of crackles, and so for wheezes. AUC of cycles with the
sound against those without, by device, with 95 % intervals over patients. 0.5 is chance.

With ``--cv``, the folder of a cross-validation (`laennec crossvalidate`), ICBHI's patients are dealt into
as many folds as it has, and each is answered for by the model of that fold, with its decision: where the
recipe trains on ICBHI as well, that one never heard the patient. Seeds are averaged. ``--against`` another
such folder gives differences, paired over patients. With ``--model``, a model file answers for all.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn.utils.rnn import pad_sequence

from laennec.audio.segment import windows
from laennec.datasets import splits
from laennec.errors import LaennecError
from laennec.files import write_json
from laennec.labels import to_icbhi
from laennec.model.load import load_model
from laennec.score.predictions import Predictions, read_predictions, stacked
from laennec.score.summary import bootstrap_difference, evaluate
from laennec.train.commands import command, load_clips, training_clips
from laennec.train.data import cut_clips
from laennec.train.decision import Decision
from laennec.train.export import deployed, read_run
from laennec.train.fit import tuned_cpu
from laennec.train.folds import TINY, decisions

SOUNDS = ("crackle", "wheeze")
Answers = Callable[[list[np.ndarray]], np.ndarray]
"""From clips to probabilities ``(clips, classes)``."""


def scores(
    answers: Answers, labels: Sequence[str], rate: int, cycles: pd.DataFrame, window_s: float
) -> np.ndarray:
    """``(cycles, 2)``: highest probability of crackles, and of wheezes, among a cycle's windows."""
    kinds = np.array([to_icbhi(label) for label in labels])
    members = np.stack([(kinds == sound) | (kinds == "both") for sound in SOUNDS], axis=1)
    found = np.empty((len(cycles), len(SOUNDS)))
    for row, samples in cut_clips(cycles, rate, "listening"):
        length_s = min(window_s, samples.size / rate)
        spans = windows(samples.size / rate, length_s, length_s / 2)
        clips = [samples[round(start * rate) : round(end * rate)] for start, end in spans]
        found[row] = (answers(clips) @ members).max(0)
    return found


def of_model(name: str, cycles: pd.DataFrame, window_s: float) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Scores by a model file, and what it is."""
    model = load_model(name)
    rate = model.card.sample_rate
    found = scores(lambda clips: model.predict(clips, rate), model.card.labels, rate, cycles, window_s)
    return [found], {"model": {"name": model.card.name, "sha256": model.sha256}}


def of_folds(cv: Path, cycles: pd.DataFrame, window_s: float) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Scores by the models of a cross-validation's folds, a run a seed, and what they are."""
    runs = []
    seeds = sorted(cv.glob("seed*"))
    for seed in seeds:
        folders = sorted(seed.glob("fold[0-9]*"))
        clean = [read_predictions(folder / "predictions.csv") for folder in folders]
        recipe = read_run(folders[0])[0]
        found = np.empty((len(cycles), len(SOUNDS)))
        dealt = splits.kfold(cycles, len(folders), recipe.split_seed)
        for folder, decision, split in zip(folders, decisions(clean), dealt, strict=True):
            recipe, front_end, *_ = read_run(folder)
            model, held_out = deployed(folder), split.validation
            if recipe.also:
                told = set(pd.read_csv(folder / "beside.csv", dtype=str)["clip_id"])
                if told != set(cycles["clip_id"][held_out]):
                    raise LaennecError(f"{folder} held out other cycles; was it trained on other data?")
            part = cycles[held_out].reset_index(drop=True)
            answers = partial(_answers, model, decision)
            found[held_out] = scores(answers, recipe.labels, front_end.sample_rate, part, window_s)
        runs.append(found)
    if not runs:
        raise LaennecError(f"{cv} holds no folds; laennec crossvalidate writes them")
    return runs, {"recipe": recipe.name, "also": recipe.also, "seeds": len(seeds), "folds": len(folders)}


@torch.inference_mode()
def _answers(model: torch.nn.Module, decision: Decision, clips: list[np.ndarray]) -> np.ndarray:
    """Probabilities of clips by a fold's model and decision, nothing told of the patient."""
    waveform = pad_sequence([torch.from_numpy(clip) for clip in clips], batch_first=True)
    length = torch.tensor([len(clip) for clip in clips])
    nothing = torch.zeros(len(clips), dtype=torch.long)
    unknown = torch.full((len(clips),), torch.nan)
    probabilities = model(waveform, length, unknown, nothing, nothing).double().numpy()
    return decision.applied(np.log(probabilities + TINY))


def told_of(runs: list[np.ndarray], there: np.ndarray, cycles: pd.DataFrame, column: int) -> Predictions:
    """One sound's scores as predictions, a run a seed."""
    sound = SOUNDS[column]
    label = tuple(np.where(there, sound, "normal").tolist())
    clip, patient = tuple(cycles["clip_id"]), tuple(cycles["subject"].astype(str))
    both = ("normal", sound)
    return stacked(
        [
            Predictions(clip, patient, label, both, np.stack([1 - run[:, column], run[:, column]], axis=1))
            for run in runs
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="ICBHI 2017's folder, or a subset of it")
    asking = parser.add_mutually_exclusive_group()
    asking.add_argument("--model", default="default", help="a model that ships, or an .onnx file")
    asking.add_argument("--cv", type=Path, help="folder of laennec crossvalidate")
    parser.add_argument("--against", type=Path, help="another folder of laennec crossvalidate")
    parser.add_argument("--window-s", type=float, default=1.5, help="seconds of a window, 1.5")
    parser.add_argument("--out", type=Path, help="JSON for the figures")
    asked = parser.parse_args()
    cycles = training_clips(load_clips("icbhi", asked.data))
    with tuned_cpu():
        if asked.cv:
            runs, what = of_folds(asked.cv, cycles, asked.window_s)
        else:
            runs, what = of_model(asked.model, cycles, asked.window_s)
        other = of_folds(asked.against, cycles, asked.window_s)[0] if asked.against else None
    label, device = cycles["label"].to_numpy(str), cycles["device"].to_numpy(str)
    told: dict[str, dict[str, dict[str, object]]] = {}
    for column, sound in enumerate(SOUNDS):
        there = (label == sound) | (label == "both")
        told[sound] = {}
        for name in ("all", *sorted(set(device))):
            mask = np.ones(len(device), bool) if name == "all" else device == name
            own = told_of([run[mask] for run in runs], there[mask], cycles[mask], column)
            measured = evaluate(
                own.labels, own.probabilities, own.subjects, own.classes, "normal", draws=1000
            )
            auc, between = (measured[part]["binary_roc_auc"] for part in ("scores", "intervals"))
            found = {
                "cycles": measured["clips"],
                "with": int(there[mask].sum()),
                "patients": measured["subjects"],
                "auc": auc,
                "interval": between,
            }
            spelled = "-" if auc is None else f"{auc:.3f}"
            spelled += f" {between[0]:.3f} to {between[1]:.3f}" if between else ""
            if other is not None and len(set(own.subjects)) > 1:
                base = told_of([run[mask] for run in other], there[mask], cycles[mask], column)
                change = bootstrap_difference(
                    own.labels, base.probabilities, own.probabilities, own.subjects, own.classes, "normal"
                )["binary_roc_auc"]
                found["difference"] = change
                spelled += f", difference {change['difference']:+.3f} {change['interval'] or ''}"
            told[sound][name] = found
            print(f"{sound:8} {name:10} {there[mask].sum():4d} of {mask.sum():4d} AUC {spelled}", flush=True)
    if asked.out:
        typed = "python benchmarks/other_devices.py " + " ".join(command().split()[1:])
        write_json(asked.out, {"command": typed, **what, "window_s": asked.window_s, "auc": told})


if __name__ == "__main__":
    main()
