"""What ``laennec train`` and ``laennec crossvalidate`` do: paths in, files out, sentences on the terminal."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pandas as pd

from laennec.audio.samples import by_number, counted
from laennec.datasets.records import load_clips
from laennec.errors import LaennecError, UsageError
from laennec.features import build_front_end
from laennec.files import read_json, write_json, write_text
from laennec.model.card import BREATHS, OF_RECORDINGS, RECORDING
from laennec.model.load import RUN_MODEL
from laennec.score.evaluation import score_events, score_predictions
from laennec.score.predictions import Predictions, read_runs, run_files, stacked, write_predictions
from laennec.score.summary import ClipScores
from laennec.score.text import render_detection, render_tables
from laennec.train.card import card, command, summary
from laennec.train.crossval import (
    CrossValidationData,
    cross_validate,
    fold_folder,
    gather,
    overall_decision,
    read_fold_parts,
    read_folds,
    train_on_all,
)
from laennec.train.export import export
from laennec.train.folds_figures import difference, measure, render_differences
from laennec.train.hardware import Hardware, check_hardware
from laennec.train.jobs import CrossValidationJob, TrainJob
from laennec.train.loop import terminal
from laennec.train.phase_report import final_phases, report_phases
from laennec.train.processes import is_first, started
from laennec.train.protocols import Fold, protocol_of
from laennec.train.recipe import Recipe, check_seeds, in_precision, load_recipe, with_settings
from laennec.train.recording_report import FILES, report_recordings
from laennec.train.run import fit, prepare
from laennec.train.saved import at_work
from laennec.train.tables import (
    auxiliary_clips,
    joined,
    recording_tables,
    training_clips,
    with_auxiliary,
)
from laennec.train.unheard import unheard
from laennec.train.window_report import final_windows, report_windows


def train(job: TrainJob) -> int:
    """Train, export and score one run; only the first of several processes writes and prints."""
    named = ("dataset", "split", "seed", "split_seed", "epochs", "batch_size", "precision")
    options = {name: getattr(job, name) for name in named}
    for name, given in options.items():
        if given is not None and any(setting.partition("=")[0].strip() == name for setting in job.settings):
            raise UsageError(f"--{name.replace('_', '-')} and --set {name}=… are one setting; give it once")
    recipe = with_settings(load_recipe(job.recipe, **options), job.settings)
    devices, nodes, launched = started(job.devices, job.nodes)
    hardware = Hardware(job.accelerator, devices, nodes, job.strategy, job.threads, launched=launched)
    check_hardware(hardware)
    recipe, also = with_auxiliary(recipe, job.also)
    with at_work(job.out, outside=(job.data, *also.values()), together=True):
        return _train(job, recipe, also, hardware)


def _train(job: TrainJob, recipe: Recipe, also: Mapping[str, Path], hardware: Hardware) -> int:
    out = job.out
    prepared = prepare(*_tables(job.data, recipe, also, recipe.split.startswith("official")))
    first = is_first()
    if first:
        print(_describe(recipe, prepared), file=sys.stderr)
    hardware = prepared.settled(hardware, recipe, out)
    fit(prepared, recipe, out, hardware, job.start)
    if not first:
        return 0
    fold = prepared.folds[0]
    entries = card(recipe, *prepared.trained(fold, recipe))
    if (out / "events.csv").exists():
        events = score_events(out / "events.csv", out, {"command": command()}, recipe.labels)
        print(render_detection(events))
    if (out / "predictions.csv").exists():
        validation = prepared.clips[fold.test]
        scores = score_predictions(
            out / "predictions.csv",
            out,
            {
                "model": recipe.name,
                "data": f"{recipe.dataset}, validation side, {counted(len(validation), 'event', '')}",
                "split": f"{recipe.split}, seed {recipe.split_seed}",
                "command": command(),
                "seeds": [recipe.seed],
                "arithmetic": hardware.arithmetic,
            },
            known=unheard(validation, list(validation["clip_id"])),
        )
        entries["metrics"] = summary(scores, validation["clip_id"])
        print(render_tables(scores))
    write_json(out / "card.json", entries)
    print(f"model: {export(out)}")
    return 0


def _tables(
    root: Path, recipe: Recipe, also: Mapping[str, Path], with_test: bool = False
) -> tuple[pd.DataFrame, Recipe, pd.DataFrame | None, pd.DataFrame | None]:
    """Clips, recipe, clips of a second data set and record rows, as `prepare` and `gather` take them."""
    if takes_recordings(recipe):
        events, recordings = recording_tables(recipe, root, also, with_test)
        return events, recipe, None, recordings
    clips = load_clips(recipe.dataset, root)
    return clips if with_test else training_clips(clips), recipe, auxiliary_clips(recipe, also), None


def _describe(recipe: Recipe, data: CrossValidationData) -> str:
    fold, what = data.folds[0], "recording" if takes_recordings(recipe) else "event"
    text = (
        f"{recipe.title or recipe.name}: {counted(int(fold.train.sum()), what, '')} to train on, "
        f"{fold.test.sum()} to validate on, split {recipe.split}"
    )
    shared = data.shared_patients(fold)
    if shared and recipe.split != "none":
        text += f"; it leaks: {counted(shared, 'patient')} {by_number(shared, 'is', 'are')} in both sets"
    return text


def crossvalidate(job: CrossValidationJob, files: tuple[str, str, str] = FILES) -> int:
    """Cross-validate a recipe and write what it shows; with `final`, train on all patients and export.

    `files` names what is written of a model for whole recordings: figures, tables, model.
    """
    if job.final and job.only and job.protocol == "k-fold":
        raise UsageError("--final needs all folds; leave out --only")
    if job.protocol == "k-fold":
        _refuse_other_folds(job.only, job.folds)
    if not job.seeds:
        raise UsageError("--seeds: give one or more")
    check_seeds(job.seeds)
    recipe = with_settings(load_recipe(job.recipe, dataset=job.dataset), job.settings)
    recipe = in_precision(recipe, job.precision)
    recipe, also = with_auxiliary(recipe, job.also)
    hardware = Hardware(job.accelerator, threads=job.threads, jobs=job.jobs)
    check_hardware(hardware)
    if takes_recordings(recipe) and job.against is not None:
        raise UsageError("--against compares models for clips; compare the metrics.json of two others")
    if job.final and job.protocol != "k-fold" and not takes_recordings(recipe):
        raise UsageError("--final of a model for clips is an option of --protocol k-fold")
    held = {RECORDING: "splits", BREATHS: "seeds"}.get(build_front_end(recipe.front_end).task)
    if job.chosen_with and held is None:
        raise UsageError("--chosen-with is for models for whole recordings; this one is for clips")
    for other in job.chosen_with:  # what cannot be chosen with is named before any training
        read_json(other / "metrics.json", "name the folder of a finished run", **{str(held): dict})
    protocol_of(recipe, job.folds, job.protocol)
    if job.against is not None:
        _other(job.against, job.only)  # what cannot be compared with is named before any training
    # Machines that share a disk may train a fold each, into one folder.
    part = bool(job.only) and not job.final
    with at_work(job.out, outside=(job.data, *also.values()), part=part):
        return _crossvalidate(job, recipe, also, hardware, files)


def _refuse_other_folds(only: Sequence[int], folds: int) -> None:
    if any(not 1 <= number <= folds for number in only):
        raise UsageError(f"--only takes numbers from 1 to {folds}, the folds")


def _run(data: CrossValidationData, job: CrossValidationJob) -> Sequence[Fold]:
    """The folds that a command runs."""
    return [data.folds[number - 1] for number in job.only] or data.folds


def _crossvalidate(
    job: CrossValidationJob,
    recipe: Recipe,
    also: Mapping[str, Path],
    hardware: Hardware,
    files: tuple[str, str, str],
) -> int:
    out, whole, protocol = job.out, takes_recordings(recipe), protocol_of(recipe, job.folds, job.protocol)
    clips, _, auxiliary, records = _tables(job.data, recipe, also)
    if job.protocol == "leave-one-out" and auxiliary is not None:  # one of the data sets that are left out
        clips, auxiliary = joined([clips, auxiliary]), None
    gathered = gather(clips, recipe, protocol, auxiliary, records)
    _refuse_other_folds(job.only, len(gathered.folds))
    hardware = gathered.settled(hardware, recipe, out)

    def on_start(name: str) -> None:
        print(name, file=sys.stderr, flush=True)

    def on_done(name: str, seconds: float) -> None:
        if job.jobs > 1 and seconds:  # folds end in another order than they begin
            print(f"{name}: done in {seconds:.0f} s", file=sys.stderr, flush=True)

    folders = cross_validate(
        gathered,
        recipe,
        out,
        job.seeds,
        job.only,
        hardware,
        on_start=on_start,
        on_done=on_done,
        progress=terminal(),
    )
    of_seed = dict(zip(job.seeds, folders, strict=True))
    provenance = _provenance(gathered, job, recipe, hardware)
    if whole and gathered.front_end.task == RECORDING:
        report_recordings(gathered, recipe, out, of_seed, provenance, hardware, job, files)
        return 0
    model: Callable[[], Path]
    if gathered.front_end.task == BREATHS:
        told = report_phases(out, of_seed, provenance, job.chosen_with)
        model = partial(final_phases, gathered, recipe, out, job.seeds[0], told, hardware)
    elif whole:
        figures = report_windows(out, of_seed, provenance)
        model = partial(final_windows, gathered, recipe, out, of_seed, figures, hardware)
    else:
        scores = report_clips(gathered, recipe, of_seed, provenance, job)
        model = partial(final_model, gathered, replace(recipe, seed=job.seeds[0]), out, hardware, scores)
    if job.final:
        print(f"model: {model()}")
    return 0


def _provenance(
    data: CrossValidationData, job: CrossValidationJob, recipe: Recipe, hardware: Hardware
) -> dict[str, Any]:
    dealt = f"{job.folds} folds by patient, seed {recipe.split_seed}"
    if job.protocol != "k-fold":
        dealt = f"{job.protocol}, measured on {', '.join(fold.name for fold in _run(data, job))}"
    return {
        "model": recipe.name,
        "split": dealt,
        "command": command(),
        "seeds": list(job.seeds),
        "arithmetic": hardware.arithmetic,
    }


def takes_recordings(recipe: Recipe) -> bool:
    """Whether a recipe learns from whole recordings, be it for them or for windows of them."""
    return build_front_end(recipe.front_end).task in OF_RECORDINGS


def report_clips(
    data: CrossValidationData,
    recipe: Recipe,
    folders: Mapping[int, Sequence[Path]],
    provenance: Mapping[str, Any],
    job: CrossValidationJob,
) -> dict[str, Any]:
    """Write and print what the folds of every seed show; return it."""
    # Some folds alone stay without a decision, which the others fit; those of later patients share patients.
    alone = job.only or len(data.folds) == 1 or job.protocol == "chronological"
    runs = [read_folds(own, "argmax" if alone else recipe.decision) for own in folders.values()]
    for seed, predicted in zip(folders, runs, strict=True):
        write_predictions(job.out / f"seed{seed}" / "predictions.csv", predicted)
    part = f", folds {', '.join(map(str, job.only))} only" if job.only else ""
    together = stacked(runs)
    given = {
        "data": f"{recipe.dataset}, {counted(len(together.clip_ids), 'event', '')}",
        "split": provenance["split"] + part,
    }
    scores = measure(together, data.clips, {**provenance, **given})
    if job.protocol == "chronological":
        scores["by_fold"] = _each_fold(_run(data, job), data, folders)
    if job.against is not None:
        other = _other(job.against, job.only)
        try:
            scores["difference"] = {"against": job.against.name, **difference(other, together)}
        except ValueError as error:  # too few patients; the tables have their worth without it
            print(f"laennec: no difference to {job.against.name}: {error}", file=sys.stderr)
    write_json(job.out / "metrics.json", scores)
    text = render_tables(cast(ClipScores, scores)) + render_differences(scores)
    write_text(job.out / "tables.txt", text)
    print(text)
    return scores


def _each_fold(
    folds: Sequence[Fold], data: CrossValidationData, folders: Mapping[int, Sequence[Path]]
) -> dict[str, Any]:
    """Scores of each fold by itself, since later folds measure on patients of earlier ones again."""
    scores = {}
    for fold, *own in zip(folds, *folders.values(), strict=True):
        found = measure(stacked([read_folds([folder]) for folder in own]), data.clips, {})
        scores[fold.name] = {name: found[name] for name in ("clips", "subjects", "scores", "intervals")}
    return scores


def _other(against: Path, only: Sequence[int]) -> Predictions:
    """Another cross-validation's predictions; of some folds alone, without a decision."""
    if not only:
        return read_runs(run_files(against))
    runs = [read_folds([seed / f"fold{number}" for number in only]) for seed in sorted(against.glob("seed*"))]
    if not runs:
        raise LaennecError(f"{against}: no folds; laennec crossvalidate writes them")
    return stacked(runs)


def final_model(
    data: CrossValidationData, recipe: Recipe, out: Path, hardware: Hardware, scores: dict[str, Any]
) -> Path:
    """Train on all patients after a cross-validation and export, with its figures in the card."""
    folders = [fold_folder(out, recipe.seed, number) for number in range(1, len(data.folds) + 1)]
    train_on_all(data, recipe, out, hardware, overall_decision(read_fold_parts(folders), recipe.decision))
    entries = card(recipe, *data.trained(data.fold("all patients"), recipe))
    measured = summary(scores, data.clips["clip_id"])
    entries["metrics"] = {
        **measured,
        "seeds": scores["provenance"]["seeds"],
        "groups": scores["groups"],
    }
    write_json(out / "card.json", entries)
    return export(out, out / RUN_MODEL)
