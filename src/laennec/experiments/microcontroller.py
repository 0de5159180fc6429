"""The model for microcontrollers on patients recorded later: each run, its teacher, and it in integers.

    python -m laennec.experiments.microcontroller --run "alone seed 0=runs/choice/balanced/seed0/fold1"
        --teacher later/seed0/fold1/model.onnx --choice runs/choice --sprsound SPRSound --icbhi ICBHI
        --kauh KAUH --out docs/results/microcontroller.json

A run is a fold's folder of ``laennec crossvalidate microcontroller``; it is measured on the patients whom the
first fold of ``--protocol chronological`` measures, and refused if it was trained on any of them. Runs called
``NAME seed N`` are averaged. `--choice` holds cross-validations with ``--protocol earlier --only 1``, one for
each trial. The teacher hears whole recordings, with what lies before and behind a window. Integers are those
of the first run, on samples of 16 bits at the level that they were recorded with.
"""

import argparse
import datetime
import gzip
import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from laennec import datasets
from laennec.audio.recording import Recording
from laennec.datasets.table import read_csv
from laennec.errors import LaennecError
from laennec.experiments import run
from laennec.experiments.microcontroller_device import device
from laennec.experiments.predictions import MANIFEST, present_commit, read_manifest
from laennec.files import read_json, sha256_of, write_json, written_whole
from laennec.model.integer import IntegerModel, load_integer_model
from laennec.progress import track
from laennec.score.bootstrap import DRAWS
from laennec.score.windows import Windows, window_differences, window_scores, write_windows
from laennec.train.hardware import machine
from laennec.train.integer import integer_model_of_run
from laennec.train.protocols import chronological
from laennec.train.recipe import load_recipe, recipe_to_dict, with_settings
from laennec.train.recordings import read_recordings
from laennec.train.tables import recording_names, recording_tables, with_auxiliary
from laennec.train.weights import read_run
from laennec.train.window_teacher import patients_of, taught_recordings
from laennec.train.windows import MODEL, WindowExamples

SETS = ("sprsound", "icbhi", "kauh")
TEACHER, INTEGERS = "teacher", "integers"
COMPARISONS = (
    ("taught", "alone"),
    ("taught", TEACHER),
    ("alone", TEACHER),
    (INTEGERS, "taught seed 0"),
    (INTEGERS, "alone seed 0"),
)
HELD = 64  # windows that the integers are computed of at a time


def folds_of(cv: Path) -> dict[int, list[Path]]:
    """Folders of the folds of each seed of a cross-validation."""
    found = {
        int(seed.name.removeprefix("seed")): sorted(seed.glob("fold[0-9]*"))
        for seed in sorted(cv.glob("seed[0-9]*"))
    }
    if not any(found.values()):
        raise LaennecError(f"{cv}: no folds; laennec crossvalidate writes them")
    return found


def with_scores(windows: Windows, name: str, scores: np.ndarray) -> Windows:
    """The windows with another model's scores."""
    return replace(windows, scores={**windows.scores, name: scores})


def of_run(run: Path, events: pd.DataFrame, recordings: pd.DataFrame) -> tuple[Windows, np.ndarray]:
    """The windows of recordings, and what the network of a run says of them, ``(windows, 2)`` logits.

    LaennecError if it was trained on a patient of theirs.
    """
    trained = read_csv(run / "clips.csv", dtype=str, keep_default_na=False)
    shared = patients_of(trained[trained["side"] == "train"]) & patients_of(recordings)
    if shared:
        raise LaennecError(f"{run}: trained on {len(shared)} of the patients that are measured on")
    recipe, front_end, network, _ = read_run(run)
    # The first row of a table says which data set's events are all annotated.
    examples = read_recordings(events, recordings, recipe, front_end)
    held = WindowExamples(examples.examples, front_end)
    with torch.inference_mode():
        logits = [network(batch["image"]) for batch in held.loader()]
    windows = held.table(front_end, logits)
    return replace(windows, scores={}), windows.scores[MODEL]


def of_teacher(windows: Windows, recordings: pd.DataFrame, teacher: Path, length_s: float) -> np.ndarray:
    """What the teacher hears in each window, ``(windows, 2)``."""
    recipe = with_settings(load_recipe("microcontroller"), [f"window.teacher={teacher}"])
    taught = taught_recordings(recordings, recipe)
    each = zip(windows.recordings, windows.start_s, strict=True)
    return np.array([taught[name].window(start_s, length_s) for name, start_s in each])


def of_integers(windows: Windows, recordings: pd.DataFrame, model: IntegerModel) -> np.ndarray:
    """Logits of the integer network for each window, ``(windows, 2)``, from samples of 16 bits."""
    rows = dict(zip(recording_names(recordings), recordings.itertuples(), strict=True))
    logits = np.full((len(windows), 2), np.nan)
    names = np.array(windows.recordings)
    for name in track(list(dict.fromkeys(windows.recordings)), "integers"):
        row: Any = rows[name]
        sound = Recording.read(str(row.path)).resampled(model.sample_rate)
        samples = sound.samples[0 if pd.isna(row.channel) else int(row.channel)]
        frames = model.log_mel(np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16))
        own = np.flatnonzero(names == name)
        first = np.rint(windows.start_s[own] * model.sample_rate / model.hop_length).astype(int)
        for start in range(0, len(own), HELD):
            part = np.stack([frames[k : k + model.frames] for k in first[start : start + HELD]])
            logits[own[start : start + HELD]] = model.logits(part)
    return logits


def figures_of(windows: Windows, draws: int = DRAWS) -> dict[str, Any]:
    """Scores of each group of models on each data set's windows, and the comparisons."""
    groups = {
        name: [model for model in windows.scores if model == name or model.startswith(f"{name} seed")]
        for name in ("taught", "alone", TEACHER, INTEGERS, *windows.scores)
    }
    groups = {name: models for name, models in groups.items() if models}
    found: dict[str, Any] = {}
    for dataset in dict.fromkeys(windows.datasets):
        own = windows.of(dataset)
        found[dataset] = {
            "models": {name: window_scores(own, models, draws) for name, models in groups.items()},
            "by_seed": {name: window_scores(own, [name], 0) for name in windows.scores},
            "differences": [
                {"of": a, "over": b, "labels": window_differences(own, groups[a], groups[b], draws)}
                for a, b in COMPARISONS
                if a in groups and b in groups
            ],
        }
    return found


def chosen_by(folder: Path) -> list[dict[str, Any]]:
    """Trials on earlier patients: in which settings each differs from the recipe, and its scores."""
    shipped, trials = _leaves(recipe_to_dict(load_recipe("microcontroller"))), []
    for metrics in sorted(folder.glob("*/metrics.json")):
        remedy = "delete it, and its command makes it anew"
        sets = read_json(metrics, remedy)["datasets"]
        own = _leaves(read_json(folds_of(metrics.parent)[0][0] / "recipe.json", remedy))
        areas = [scores[label]["auc"] for scores in sets.values() for label in scores]
        trials.append(
            {
                "name": metrics.parent.name,
                "settings": [
                    f"{name}={json.dumps(value)}"
                    for name, value in own.items()
                    if shipped.get(name) != value and name not in ("also", "precision", "title")
                ],
                "mean_auc": float(np.mean(areas)),
                "auc": {
                    name: {label: own_scores["auc"] for label, own_scores in scores.items()}
                    for name, scores in sets.items()
                },
            }
        )
    return sorted(trials, key=lambda trial: -trial["mean_auc"])


def _leaves(table: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Settings of a recipe by their names with dots, lists as JSON has them."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, Mapping):
            found |= _leaves(value, f"{before}{name}.")
        else:
            found[before + name] = json.loads(json.dumps(value))
    return found


def measured(options: argparse.Namespace) -> tuple[dict[str, Any], Windows]:
    """All figures, and the windows with every model's scores."""
    folders: Mapping[str, Path] = {name: getattr(options, name) for name in SETS}
    also = [f"{name}={folders[name]}" for name in SETS[1:]]
    recipe, named = with_auxiliary(load_recipe("microcontroller"), also)
    events, recordings = recording_tables(recipe, folders["sprsound"], named)
    later = recordings[chronological(recordings, recipe.split_seed)[0].test].reset_index(drop=True)
    runs = {name: Path(folder) for name, _, folder in (each.partition("=") for each in options.run)}
    found = {name: of_run(run, events, later) for name, run in runs.items()}
    windows = next(iter(found.values()))[0]
    for name, (own, logits) in found.items():
        if (own.recordings, list(own.start_s)) != (windows.recordings, list(windows.start_s)):
            raise LaennecError(f"{name}: other windows than those of the first run")
        windows = with_scores(windows, name, logits)
    model = integer_model_of_run(next(iter(runs.values())))
    length_s = model.clip_samples / model.sample_rate
    windows = with_scores(windows, TEACHER, of_teacher(windows, later, options.teacher, length_s))
    windows = with_scores(windows, INTEGERS, of_integers(windows, later, model))
    figures = {
        "command": COMMAND,
        "date": datetime.date.today().isoformat(),
        "machine": {**machine(), "numpy": np.__version__},
        "data": {name: datasets.dataset(name).TITLE for name in SETS},
        "teacher_sha256": sha256_of(options.teacher),
        "runs": list(runs),
        "datasets": figures_of(windows),
        "choice": chosen_by(options.choice) if options.choice else [],
        "device": device(load_integer_model(options.model) if options.model else model),
    }
    return figures, windows


COMMAND = (
    "python -m laennec.experiments.microcontroller --run NAME=FOLD … --teacher MODEL --choice CHOICE "
    "--sprsound SPRSound --icbhi ICBHI --kauh KAUH"
)


def main() -> None:
    """Measure, write the JSON and the table of all windows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", action="append", required=True, metavar="NAME=FOLD")
    for name in ("teacher", *SETS, "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("choice", "model", "windows"):
        parser.add_argument(f"--{name}", type=Path)
    options = parser.parse_args()
    figures, windows = measured(options)
    write_json(options.out, figures)
    if options.windows:
        keep_windows(windows, options.windows)


def keep_windows(windows: Windows, path: Path) -> None:
    """Write the table of all windows, compressed, and enter it in the manifest beside it."""
    with tempfile.TemporaryDirectory() as place:
        plain = Path(place) / "windows.csv"
        write_windows(plain, windows)
        with written_whole(path) as temporary:
            temporary.write_bytes(gzip.compress(plain.read_bytes(), 9, mtime=0))
    about = {"command": COMMAND, "recipe": "microcontroller", "commit": present_commit()}
    seeds = sorted({int(name.rpartition(" seed ")[2]) for name in windows.scores if " seed " in name})
    entry = {**about, "seed": seeds, "n": len(windows), "sha256": sha256_of(path)}
    write_json(path.parent / MANIFEST, dict(sorted({**read_manifest(path.parent), path.name: entry}.items())))


if __name__ == "__main__":
    run(main)
