"""What ``laennec train`` and ``laennec evaluate`` do: paths in, files out, sentences on the terminal."""

import hashlib
import os
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from laennec import datasets
from laennec.datasets import splits, sprsound
from laennec.errors import LaennecError, UsageError
from laennec.files import make_folder, write_json, write_text
from laennec.model.clips import LungModel
from laennec.model.detector import Detector
from laennec.model.load import RUN_MODEL, load_model, shipped_models
from laennec.score.evaluation import score_predictions
from laennec.score.page import evaluation_page
from laennec.score.predictions import Predictions, read_predictions, read_runs, stacked, write_predictions
from laennec.score.summary import ClipScores
from laennec.score.text import render_tables
from laennec.train.crossval import pooled
from laennec.train.data import cut_clips, predictions
from laennec.train.evaluate_recordings import evaluate_recordings
from laennec.train.export import export
from laennec.train.fit import Hardware, clips_of, fit, in_taxonomy, make_split, prepare
from laennec.train.folds import Material, cross_validate_recipe, gather, train_on_everybody
from laennec.train.folds_figures import difference, measure, render_differences
from laennec.train.recipe import Recipe, recipe_from_dict, recipe_to_dict

# Defects of a data set that cost no clip.
REMARKS = ("odd form", "renamed", "patient in two splits", "unknown column", "unknown position")


def load_clips(dataset: str, root: Path) -> pd.DataFrame:
    """Read a data set's annotated events; what could not be used is said on stderr."""
    clips = datasets.load(dataset, root)
    for defect in clips.attrs.get("defects", ())[:10]:
        told = "note" if str(defect).startswith(REMARKS) else "left out"
        print(f"{told}: {defect}", file=sys.stderr)
    more = len(clips.attrs.get("defects", ())) - 10
    if more > 0:
        print(f"left out: {more} more; see laennec datasets info {dataset} {root}", file=sys.stderr)
    return clips


def training_clips(clips: pd.DataFrame) -> pd.DataFrame:
    """All clips that are not part of a published test set."""
    return clips[~splits.in_test_set(clips)].reset_index(drop=True)


def with_second(recipe: Recipe, also: str | None) -> tuple[Recipe, Path | None]:
    """A recipe that trains on the data set of ``DATASET=FOLDER`` as well, and the folder.

    Raises
    ------
    LaennecError
        If `also` is no such pair, or is missing and the recipe asks for it.
    """
    if also is None:
        if recipe.also:
            raise UsageError(f"recipe {recipe.name} trains on two data sets; add --also {recipe.also}=FOLDER")
        return recipe, None
    name, equals, folder = also.partition("=")
    if not equals or not folder:
        raise UsageError(f"--also takes DATASET=FOLDER, such as icbhi=data/ICBHI, and not {also!r}")
    datasets.dataset(name)
    found = recipe_from_dict({**recipe_to_dict(recipe), "also": name}, "--also")
    return found, Path(folder).expanduser()


def second_clips(recipe: Recipe, folder: Path | None) -> pd.DataFrame | None:
    """Training clips of the data set that a recipe trains on beside its own, where it does."""
    return None if folder is None else training_clips(load_clips(recipe.also, folder))


def train_recipe(
    recipe: Recipe,
    data: Path,
    out: Path,
    hardware: Hardware,
    start: Path | None,
    also: Path | None = None,
) -> int:
    """Train, export and score one run; only the first of several processes writes and speaks."""
    make_folder(out)
    clips = load_clips(recipe.dataset, data)
    if not recipe.split.startswith("official"):
        clips = training_clips(clips)
    beside = second_clips(recipe, also)
    prepared = prepare(clips, recipe, beside=beside)
    first = int(os.environ.get("LOCAL_RANK", "0")) == 0 and int(os.environ.get("NODE_RANK", "0")) == 0
    if first:
        print(_what(recipe, prepared.split), file=sys.stderr)
    fit(prepared, recipe, out, hardware, start)
    if not first:
        return 0
    told = card(recipe, prepared.clips, prepared.split, beside)
    model = out / RUN_MODEL
    if recipe.split != "none":
        found = score_predictions(
            out / "predictions.csv",
            out,
            {
                "model": recipe.name,
                "data": f"{recipe.dataset}, validation side, {len(clips_of(prepared, 'validation'))} events",
                "split": f"{recipe.split}, seed {recipe.split_seed}",
                "command": command(),
                "seeds": [recipe.seed],
            },
        )
        told["metrics"] = summary(found, clips_of(prepared, "validation")["clip_id"])
        print(render_tables(found))
    write_json(out / "card.json", told)
    export(out, model)
    print(f"model: {model}")
    return 0


def crossvalidate_recipe(
    recipe: Recipe,
    data: Path,
    out: Path,
    folds: int,
    seeds: Sequence[int],
    only: Sequence[int],
    against: Path | None,
    final: bool,
    hardware: Hardware,
    also: Path | None = None,
) -> int:
    """Cross-validate a recipe and write what it shows; with `final`, train on everybody and export."""
    if final and only:
        raise UsageError("--final needs all folds; leave out --only")
    if not seeds or any(not 1 <= number <= folds for number in only):
        raise UsageError(f"give a seed or more, and --only numbers from 1 to {folds}")
    make_folder(out)
    beside = second_clips(recipe, also)
    material = gather(training_clips(load_clips(recipe.dataset, data)), recipe, folds, beside)
    chosen = [number - 1 for number in only]

    def say(seed: int, fold: int) -> None:
        print(f"seed {seed}, fold {fold + 1} of {folds}", file=sys.stderr, flush=True)

    found = cross_validate_recipe(material, recipe, out, seeds, chosen, hardware, say, sys.stderr.isatty())
    for seed, predicted in zip(seeds, found, strict=True):
        write_predictions(out / f"seed{seed}" / "predictions.csv", predicted)
    part = f", folds {', '.join(map(str, only))} only" if only else ""
    provenance = {
        "model": recipe.name,
        "data": f"{recipe.dataset}, {len(found[0].clip_ids)} events",
        "split": f"{folds} folds by patient, seed {recipe.split_seed}{part}",
        "command": command(),
        "seeds": list(seeds),
    }
    together = stacked(found)
    told = measure(together, material.clips, provenance)
    if against is not None:
        told["difference"] = {
            "against": against.name,
            **difference(_other(against, chosen), together),
        }
    write_json(out / "metrics.json", told)
    text = render_tables(cast(ClipScores, told)) + render_differences(told)
    write_text(out / "tables.txt", text)
    print(text)
    if final:
        print(f"model: {final_model(material, replace(recipe, seed=seeds[0]), out, hardware, told)}")
    return 0


def _other(against: Path, only: Sequence[int]) -> Predictions:
    """Another cross-validation's predictions; of some folds alone, as its networks say them."""
    if not only:
        return read_runs(sorted(against.glob("seed*/predictions.csv")))
    seeds = sorted(against.glob("seed*"))
    runs = [
        pooled([read_predictions(seed / f"fold{fold + 1}" / "predictions.csv") for fold in only])
        for seed in seeds
    ]
    if not runs:
        raise LaennecError(f"{against}: no folds; laennec crossvalidate writes them")
    return stacked(runs)


def final_model(
    material: Material, recipe: Recipe, out: Path, hardware: Hardware, told: dict[str, Any]
) -> Path:
    """Train on everybody after a cross-validation and export, with its figures in the card."""
    everybody = replace(recipe, split="none")
    if not (out / "model.pt").exists():
        print("everybody", file=sys.stderr, flush=True)
        train_on_everybody(material, recipe, out, hardware, sys.stderr.isatty())
    beside = material.beside.clips if material.beside is not None else None
    data = card(everybody, material.clips, make_split(material.clips, everybody), beside)
    measured = summary(told, material.clips["clip_id"])
    data["metrics"] = {**measured, "seeds": told["provenance"]["seeds"], "groups": told["groups"]}
    write_json(out / "card.json", data)
    return export(out, out / RUN_MODEL)


def digest(clip_ids: Iterable[str]) -> str:
    """SHA-256 of a set of clips, by which held-out clips are known again."""
    return hashlib.sha256("\n".join(sorted(clip_ids)).encode()).hexdigest()


def summary(found: Mapping[str, Any], clip_ids: Iterable[str]) -> dict[str, Any]:
    """The scores of metrics.json that a model file carries with it."""
    names = ("sensitivity", "specificity", "total_score", "challenge_score", "expected_calibration_error")
    return {
        "scores": {name: found["scores"][name] for name in names},
        "intervals_95": {name: found["intervals"].get(name) for name in names},
        "classes": {
            label: {name: values[name] for name in ("clips", "subjects", "precision", "recall", "f1")}
            for label, values in found["classes"].items()
        },
        "clips_sha256": digest(clip_ids),
        "clips": found["clips"],
        "patients": found["subjects"],
        "split": found["provenance"]["split"],
        "command": found["provenance"]["command"],
    }


def _what(recipe: Recipe, split: splits.Split) -> str:
    text = (
        f"{recipe.title or recipe.name}: {split.train.sum()} events to train on, "
        f"{split.validation.sum()} to validate on, split {recipe.split}"
    )
    if split.leaks and recipe.split != "none":
        text += f"; it leaks: {split.shared_subjects} patients are on both sides"
    return text


def command() -> str:
    """The command as it was typed, but for the folders above the last, which are nobody else's business."""

    def short(typed: str) -> str:
        name, equals, value = typed.rpartition("=")  # DATASET=FOLDER, --data=FOLDER
        return f"{name}{equals}{Path(value).name if os.path.isabs(value) else value}"

    return shlex.join(["laennec", *map(short, sys.argv[1:])])


def card(
    recipe: Recipe, clips: pd.DataFrame, split: splits.Split, beside: pd.DataFrame | None = None
) -> dict[str, Any]:
    """Entries of a model's metadata that the data decides; `beside` are the clips of a second data set."""
    trained = clips[split.train]
    data = _told_of(recipe.dataset, trained)
    if beside is not None:
        data["beside"] = _told_of(recipe.also, beside)
    return {"data": data, "limits": limits(recipe, trained, beside)}


def _told_of(dataset: str, clips: pd.DataFrame) -> dict[str, Any]:
    module = datasets.dataset(dataset)
    return {
        "dataset": module.TITLE,
        "licence": module.LICENCE,
        "citation": module.CITATION,
        "clips": len(clips),
        "patients": int(clips["subject"].nunique()),
        "per_class": {str(label): int(count) for label, count in clips["label"].value_counts().items()},
    }


def limits(recipe: Recipe, trained: pd.DataFrame, beside: pd.DataFrame | None = None) -> str:
    """Who a model was trained on, and which of its classes rest on few patients."""
    ages = trained["age_years"].dropna()
    of_age = f" aged {ages.min():g} to {ages.max():g} years" if len(ages) else ""
    patients = trained.groupby("label")["subject"].nunique()
    few = [f"{label} ({patients.get(label, 0)})" for label in recipe.labels if patients.get(label, 0) < 20]
    rare = f" Classes that rest on fewer than 20 patients: {', '.join(few)}." if few else ""
    heard = f"Trained on patients{of_age} and the devices of {recipe.dataset}"
    if beside is None:
        heard += " alone; others were not measured."
    else:
        heard += (
            f", and on {len(beside)} clips of {beside['subject'].nunique()} patients of {recipe.also}, whose "
            "labels are coarser."
        )
    return f"{heard}{rare} Research software, not a medical device."


def evaluate_model(model: str, dataset: str | None, data: Path, split: str, out: Path) -> int:
    """Run a model file over annotated events and write predictions, figures and a page."""
    if Path(model).is_dir() and model not in shipped_models() and not (Path(model) / RUN_MODEL).exists():
        export(model)
    lung_model = load_model(model)
    if isinstance(lung_model, Detector):
        if dataset not in (None, "sprsound"):
            raise UsageError(
                "a model for recordings is measured on events that somebody placed, as in sprsound; "
                f"{dataset} has cycles or clips"
            )
        records = select(sprsound.load(data, "record"), split, lung_model)
        return evaluate_recordings(lung_model, data, records, split, out, command())
    dataset = dataset or str(lung_model.card.recipe.get("dataset", "sprsound"))
    everything = load_clips(dataset, data)
    everything = for_model(everything, lung_model)
    clips = select(everything, split, lung_model)
    note = ""
    if split != "validation" and set(clips["clip_id"]) & training_side(everything, lung_model, dataset):
        note = ", with clips that the model was trained on"
        print(f"laennec: these events are scored{note}", file=sys.stderr)
    make_folder(out)
    labels = lung_model.card.labels
    predicted = predictions(clips, labels, predict_clips(lung_model, clips))
    write_predictions(out / "predictions.csv", predicted)
    found = score_predictions(
        out / "predictions.csv",
        out,
        {
            "model": f"{lung_model.card.name}, sha256 {lung_model.sha256}",
            "data": f"{dataset}, {len(clips)} events",
            "split": split + note,
            "command": command(),
            "seeds": [lung_model.card.recipe.get("seed")],
        },
    )
    shown = evaluation_page(out, clips, predicted, found)
    print(render_tables(found))
    print(f"page: {shown}")
    return 0


def for_model(clips: pd.DataFrame, model: LungModel) -> pd.DataFrame:
    """The clips with their labels as the model has them.

    Where its recipe maps labels to another taxonomy, or leaves some out, so does this.
    """
    labels = model.card.labels
    if "name" in model.card.recipe:
        recipe = recipe_from_dict(dict(model.card.recipe), "the model's recipe")
        before = len(clips)
        clips = in_taxonomy(clips, recipe)
        if len(clips) < before:
            print(
                f"{before - len(clips)} clips have none of the labels {', '.join(labels)}; left out",
                file=sys.stderr,
            )
    unknown = sorted(set(clips["label"]) - set(labels))
    if unknown:
        raise LaennecError(f"the data has labels that the model does not know: {', '.join(unknown)}")
    if clips.empty:
        raise LaennecError(f"no clip has one of the model's labels: {', '.join(labels)}")
    return clips


def held_out(clips: pd.DataFrame, model: LungModel | Detector) -> np.ndarray | None:
    """Mask of the clips that the model's recipe held out, or None if they cannot be told from this data.

    The split is drawn again and compared with what the model file says of its validation side: from other
    data, or from data that lacks a recording, another split would come out.
    """
    if "name" not in model.card.recipe:
        return None
    recipe = recipe_from_dict(dict(model.card.recipe), "the model's recipe")
    official = recipe.split.startswith("official")
    training = np.ones(len(clips), bool) if official else ~splits.in_test_set(clips)
    if recipe.split == "none" or not training.any():
        return None
    mask = np.zeros(len(clips), bool)
    try:
        mask[training] = make_split(clips[training], recipe).validation
    except LaennecError:  # too few patients or clips to be split at all
        return None
    same = digest(clips["clip_id"][mask]) == model.card.metrics.get("clips_sha256")
    return mask if same else None


def training_side(clips: pd.DataFrame, model: LungModel, dataset: str) -> set[str]:
    """Ids of the clips that the model was trained on, as far as they can be told.

    A model that was trained on everybody has heard every clip of its public data set but the test set's.
    """
    training = ~splits.in_test_set(clips)
    recipe = model.card.recipe
    public = dataset != "folder" and dataset in (recipe.get("dataset"), recipe.get("also"))
    if public and recipe.get("split") == "none":
        return set(clips["clip_id"][training])
    mask = held_out(clips, model)
    return set() if mask is None else set(clips["clip_id"][training & ~mask])


def select(clips: pd.DataFrame, split: str, model: LungModel | Detector) -> pd.DataFrame:
    """The clips of a split, by its name in the data, ``all``, or ``validation``: what the model held out."""
    column = clips["split"].astype(str)
    if split == "all":
        chosen = clips
    elif split == "validation":
        mask = held_out(clips, model)
        if mask is None:
            raise LaennecError(
                "the side that this model held out cannot be drawn again from this data; if the model has "
                "never seen it, measure all of it with --split all"
            )
        chosen = clips[mask]
    elif split == "official-disjoint":
        chosen = clips[splits.official_disjoint(clips).validation]
    elif split in ("test", "official"):
        chosen = clips[splits.in_test_set(clips)]
    else:
        chosen = clips[column == split]
    if chosen.empty:
        there = sorted(
            {"all", "validation", "official", "official-disjoint", *column[column.str.len() > 0].unique()}
            - {"None", "nan"}
        )
        raise UsageError(f"no event is in split {split!r}; there are: {', '.join(there)}")
    return chosen.reset_index(drop=True)


def predict_clips(model: LungModel, clips: pd.DataFrame) -> np.ndarray:
    """Probabilities of annotated clips, ``(clips, classes)``; clips have rows 0, 1, 2, …"""
    probabilities = np.empty((len(clips), len(model.card.labels)))
    rate = model.card.sample_rate
    age = clips["age_years"].to_numpy(float)
    sex = [value if value in model.card.sexes else None for value in clips["sex"]]
    position = [value if value in model.card.positions else None for value in clips["location"]]
    for row, samples in cut_clips(clips, rate, "evaluating"):
        probabilities[row] = model.predict([samples], rate, age[row], sex[row], position[row])[0]
    return probabilities
