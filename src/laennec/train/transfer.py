"""``laennec transfer``: a source model and a small cohort in, cross-validated figures and a model out."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from laennec import datasets
from laennec.audio.samples import counted
from laennec.datasets.records import load_clips
from laennec.datasets.table import read_csv
from laennec.errors import LaennecError, UsageError
from laennec.features import build_front_end
from laennec.files import make_folder, read_json, write_json
from laennec.labels import TO_ICBHI, spelling, to_icbhi
from laennec.model.load import RUN_MODEL, load_model, shipped_models
from laennec.score.evaluation import Metrics, score_predictions
from laennec.score.predictions import Predictions, write_predictions
from laennec.score.text import render_tables
from laennec.train.card import card, command, learnt_from, summary
from laennec.train.cohort import (
    Cohort,
    FoldProgress,
    by_patient,
    check_cohort,
    describe,
    make_cohort,
    refuse_shared_patients,
    row_scores,
)
from laennec.train.crossval import CrossValidationData, claim, cross_validate, read_folds, train_and_choose
from laennec.train.decision import Decision, fit_temperature, shift_head
from laennec.train.export import export
from laennec.train.hardware import Hardware, machine, tuned_cpu
from laennec.train.jobs import TransferJob
from laennec.train.loop import terminal
from laennec.train.recipe import (
    Recipe,
    deep_update,
    in_precision,
    load_recipe,
    recipe_from_dict,
    recipe_names,
    recipe_to_dict,
)
from laennec.train.run import fit, prepare
from laennec.train.saved import at_work, is_done
from laennec.train.tables import training_clips
from laennec.train.unheard import unheard
from laennec.train.weights import Start, save_model, source_weights
from laennec.train.workers import Work, run_all


def transfer(job: TransferJob) -> int:
    """Cross-validate on the cohort, then train on all of it and export.

    Raises
    ------
    LaennecError
        If the labels are not there, a class has too few patients, a cycle is too short, source and target
        share patients, or the source model cannot be carried over.
    """
    # What is wrong with the request is said before data are read, and before anything is trained.
    asked = Asked(Hardware(threads=job.threads, jobs=job.jobs), asked_recipe(job), source_model(job))
    dataset, clips, labels = target_of(job)
    check_cohort(clips, labels, job.folds)
    with at_work(job.out, outside=(job.data, job.source_data)):
        return _transfer(job, asked, dataset, clips, labels)


class Source(NamedTuple):
    """Where to start: a model's recipe, and its weights or the data to train it on first."""

    recipe: Recipe
    origin: dict[str, Tensor] | Path


class Asked(NamedTuple):
    """What a job asks for, as far as it can be checked without data."""

    hardware: Hardware
    recipe: Recipe
    source: Source


def _transfer(
    job: TransferJob, asked: Asked, dataset: str, clips: pd.DataFrame, labels: tuple[str, str]
) -> int:
    hardware, source = asked.hardware, asked.source.recipe
    start = find_start(asked.source, job, clips, hardware)
    recipe = target_recipe(asked.recipe, dataset, labels, source)
    rate = build_front_end(source.front_end).sample_rate
    cohort = make_cohort(clips, labels, rate, job.folds, recipe.split_seed)
    # The length that the cohort's cycles are brought to.
    recipe = replace(recipe, front_end={**recipe.front_end, "clip_samples": cohort.clip_samples})
    print(describe(cohort, dataset), file=sys.stderr)
    data = cohort.data(recipe)
    hardware = data.settled(hardware, recipe, job.out)
    progress = FoldProgress(job.runs * cohort.folds, job.jobs)
    with progress.shown("cross-validation"):
        folders = cross_validate(
            data,
            recipe,
            job.out / "folds",
            range(recipe.seed, recipe.seed + job.runs),
            hardware=hardware,
            start=start,
            folder_of=lambda out, seed, number: out / f"run-{seed - recipe.seed + 1}" / f"fold-{number}",
            on_done=progress.fold_done,
        )
    runs = [read_folds(own) for own in folders]
    scores = report(runs, cohort, recipe, job, f"{dataset}, {len(cohort.clips)} cycles", hardware)
    print("training on all patients", file=sys.stderr)
    run = final_run(data, recipe, start, job.out, runs, hardware)
    entries = card(replace(recipe, dataset=dataset), clips)
    began = {"recipe": start.name, "dataset": source.dataset, "labels": list(source.labels)}
    entries["data"]["source"] = began
    entries["metrics"] = {
        **summary(scores, clips["clip_id"]),
        "split": f"{cohort.folds}-fold cross-validation by patient; the file is trained on all of them",
    }
    write_json(run / "card.json", entries)
    print(f"model: {export(run, job.out / RUN_MODEL)}")
    return 0


def target_of(job: TransferJob) -> tuple[str, pd.DataFrame, tuple[str, str]]:
    """Data set, clips and labels of the target, without its published test set."""
    if job.runs < 1:
        raise UsageError(f"--runs is {job.runs}; expected 1 or more")
    dataset = job.dataset or datasets.guess(job.data)
    clips, labels = target_clips(load_clips(dataset, job.data), job.target_class)
    whole, clips = len(clips), training_clips(clips)
    if len(clips) < whole:
        print(
            f"left out, being of a published test set: {counted(whole - len(clips), 'clip', '')}",
            file=sys.stderr,
        )
    return dataset, clips, labels


def target_clips(clips: pd.DataFrame, target_class: str) -> tuple[pd.DataFrame, tuple[str, str]]:
    """Normal cycles and those of the target class; others are left out and counted.

    ``crackle``, ``wheeze`` and ``both`` take whatever SPRSound and ICBHI call so; any other name is a label
    of the data.

    Raises
    ------
    LaennecError
        If either is not there.
    """
    own = sorted(set(clips["label"]))
    if spelling(target_class, ("normal",)):
        raise UsageError(
            f"--target-class {target_class}: normal is the other class; there are: {', '.join(own)}"
        )
    if target_class.lower() in set(TO_ICBHI.values()) - {"normal"}:
        target = target_class.lower()
        label = [to_icbhi(str(name)) or str(name) for name in clips["label"]]
    else:
        target = spelling(target_class, own) or target_class
        label = [spelling(str(name), ("normal",)) or str(name) for name in clips["label"]]
    for name in ("normal", target):
        if name not in label:
            raise LaennecError(f"no clip is labelled {name!r}; the labels are: {', '.join(own)}")
    clips = clips.assign(label=label)
    chosen = clips["label"].isin(["normal", target])
    if not chosen.all():
        left = clips["label"][~chosen].value_counts()
        counts = ", ".join(f"{count} {name}" for name, count in left.items())
        print(f"left out, being neither normal nor {target}: {counts}", file=sys.stderr)
    return clips[chosen].reset_index(drop=True), ("normal", target)


def source_model(job: TransferJob) -> Source:
    """The source model that is named, as far as can be told without data.

    Raises
    ------
    UsageError
        If ``source_data`` is missing for a recipe, or given for a model.
    LaennecError
        If there is no such model or recipe, it takes no cycles, or its weights cannot be carried over.
    """
    recipe_named = job.source in recipe_names() and job.source not in shipped_models()
    if recipe_named or job.source.endswith(".toml"):
        recipe = load_recipe(job.source)
        if job.source_data is None:
            raise UsageError(f"--from {job.source} is a recipe; --source-data names what to train it on")
        recipe = in_precision(replace(recipe, dataset=datasets.guess(job.source_data)), job.precision)
        source = Source(recipe, job.source_data)
    elif job.source_data is not None:
        raise UsageError(f"--source-data is what a recipe is trained on, and {job.source} is a trained model")
    else:
        source = Source(*source_weights(job.source))
    front_end = source.recipe.front_end
    if build_front_end(front_end).task != "cycle":
        raise LaennecError(
            f"{source.recipe.name} does not take cycles (its front end is {front_end.get('kind')}); transfer "
            "starts from a model of nguyen2022-source or of transfer-source"
        )
    return source


def find_start(source: Source, job: TransferJob, clips: pd.DataFrame, hardware: Hardware) -> Start:
    """The source's weights; a recipe is trained first.

    LaennecError if it was trained on patients of the cohort, or `out` holds another source model.
    """
    recipe = source.recipe
    if not isinstance(source.origin, Path):
        refuse_known_patients(job.source, recipe, clips)
        return Start(source.origin, recipe.name)
    folder = job.out / "source"
    source_clips = training_clips(load_clips(recipe.dataset, source.origin))
    refuse_shared_patients(source_clips, clips)
    if not is_done(folder, "run.json"):
        make_folder(folder)
        what = counted(len(source_clips), "clip", "")
        print(f"training the source model {recipe.name} on {what}", file=sys.stderr)
        work = Work("source model", partial(fit, prepare(source_clips, recipe), recipe, folder, hardware))
        run_all([work], hardware.jobs)
    other, weights = source_weights(folder)
    if recipe_to_dict(other) != recipe_to_dict(recipe):
        raise LaennecError(f"{folder} holds a source model of recipe {other.name}; choose another --out")
    return Start(weights, recipe.name)


def refuse_known_patients(source: str, recipe: Recipe, clips: pd.DataFrame) -> None:
    """Raise LaennecError where a source model was trained on patients of the cohort, as far as can be told.

    A run folder says which clips it was trained on. A model file says of which data set; of a public one,
    that is enough to refuse the same again.
    """
    trained = next(
        (t for t in (Path(source) / "clips.csv", Path(source) / "run" / "clips.csv") if t.is_file()), None
    )
    if trained is not None:
        columns = {"subject": str, "recording": str, "dataset": str}
        refuse_shared_patients(read_csv(trained, dtype=columns), clips)
        return
    data = {} if (Path(source) / "model.pt").is_file() else load_model(source).card.data
    known = learnt_from(recipe_to_dict(recipe), data, public=True) & set(clips["dataset"])
    if known:
        names = " and ".join(sorted(known))
        raise LaennecError(
            f"the source model {recipe.name} has learnt from {names}, which your cohort is of: "
            "figures of patients that it knows would be memory; take another source with --from"
        )
    if not datasets.dataset(recipe.dataset).ARCHIVES:
        print(
            f"note: the source model {recipe.name} has learnt from recordings of its makers' own; if your "
            "patients are among them, the figures are memory",
            file=sys.stderr,
        )


def asked_recipe(job: TransferJob) -> Recipe:
    """The recipe that is named, with what is asked for in its place; UsageError if it takes no cycles."""
    recipe = load_recipe(job.recipe, epochs=job.epochs)
    if build_front_end(recipe.front_end).task != "cycle":
        raise UsageError(
            f"--recipe {job.recipe} takes no cycles; transfer, nguyen2022 or a file like them does"
        )
    return in_precision(recipe, job.precision)


def target_recipe(asked: Recipe, dataset: str, labels: Sequence[str], source: Recipe) -> Recipe:
    """The recipe for the cohort: the source's image, with the parts of a cycle that the recipe names."""
    own = recipe_to_dict(asked)
    inputs = {
        name: own["front_end"][name]
        for name in ("inputs", "ratio", "highpass_hz")
        if name in own["front_end"]
    }
    change: dict[str, Any] = {
        "dataset": dataset,
        "labels": list(labels),
        "padding": source.padding,
        "model": source.model,
        "taxonomy": "icbhi" if labels[1] in set(TO_ICBHI.values()) else "own",
    }
    if own["augmentation"]["vtlp_labels"]:
        change["augmentation"] = {"vtlp_labels": [labels[1]]}
    table = deep_update(own, change)
    table["front_end"] = {**source.front_end, **inputs}
    return recipe_from_dict(table, asked.name)


def report(
    runs: Sequence[Predictions],
    cohort: Cohort,
    recipe: Recipe,
    job: TransferJob,
    data: str,
    hardware: Hardware,
) -> Metrics:
    """Write and print the cross-validated figures, of the first run in full and of all in a line."""
    for number, run in enumerate(runs, start=1):
        write_predictions(job.out / ("predictions.csv" if number == 1 else f"predictions-{number}.csv"), run)
    scores = score_predictions(
        job.out / "predictions.csv",
        job.out,
        {
            "model": recipe.name,
            "data": data,
            "split": f"{cohort.folds}-fold cross-validation by patient",
            "command": command(),
            "seeds": [recipe.seed],
            "arithmetic": hardware.arithmetic,
        },
        known=unheard(cohort.clips, runs[0].clip_ids),
    )
    print(render_tables(scores))
    patients = sorted(set(runs[0].subjects))
    se, precision, f = row_scores(by_patient(runs, patients).sum(0))
    print(
        f"{job.target_class}, mean of {counted(len(runs), 'run')}: Se {se:.4f}, P+ {precision:.4f}, F {f:.4f}"
    )
    return scores


def final_run(
    data: CrossValidationData,
    recipe: Recipe,
    start: Start,
    out: Path,
    runs: Sequence[Predictions],
    hardware: Hardware,
) -> Path:
    """Train on every patient, as long as the folds found best, and write a run folder."""
    folder = out / "run"
    folds = [
        read_json(path, f"delete {path.parent}", best_epoch=int, shift=(int, float))
        for path in sorted((out / "folds").glob("*/*/fold.json"))
    ]
    epochs = round(float(np.median([fold["best_epoch"] + 1 for fold in folds])))
    # A falling rate must fall to its end; only with a constant one can training stop anywhere.
    chosen = replace(recipe, split="none", epochs=recipe.epochs if recipe.schedule == "one-cycle" else epochs)
    claim(folder, data, data.fold("all patients"), chosen, start)
    if is_done(folder, "run.json"):
        return folder
    training, _, _ = data.parts(data.fold("all patients"), chosen)
    with tuned_cpu(1, hardware.threads):
        network, _ = train_and_choose(training, None, chosen, data.front_end, hardware, start, terminal())
    shift_head(network, float(np.mean([fold["shift"] for fold in folds])))
    temperature = calibrated(runs)
    save_model(folder, data.front_end, network, Decision(temperature=temperature), chosen)
    write_json(
        folder / "run.json",
        {
            "recipe": chosen.name,
            "seed": chosen.seed,
            "split": "none",
            "split_seed": chosen.split_seed,
            "clips": {"train": len(data.clips), "validation": 0},
            "epochs": chosen.epochs,
            "temperature": temperature,
            "source": start.name,
            "precision": hardware.precision,
            "machine": machine(),
        },
    )
    return folder


def calibrated(runs: Sequence[Predictions]) -> float:
    """Temperature by the cross-validated predictions, which come from networks not trained on the patient."""
    probabilities = np.concatenate([run.probabilities for run in runs])
    label = [run.classes.index(name) for run in runs for name in run.labels]
    logits = torch.from_numpy(np.log(np.maximum(probabilities, 1e-12))).float()
    return fit_temperature(logits, torch.tensor(label))
