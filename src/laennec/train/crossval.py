"""Cross-validation: one runner for the folds of every protocol (`laennec.train.protocols`).

A fold is the unit of work: its folder says what it is made of before it is trained, and what is finished
is not done again.
"""

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from laennec.datasets import splits
from laennec.datasets.table import read_csv, write_csv
from laennec.errors import LaennecError
from laennec.features.base import FrontEnd
from laennec.files import has_content, make_folder, read_json, remove_leftovers, write_json
from laennec.model.card import BREATHS, OF_RECORDINGS, RECORDING, WINDOW
from laennec.score.predictions import Predictions, read_predictions
from laennec.train.build import build_parts, check_network
from laennec.train.data import in_taxonomy, read_auxiliary, read_clips
from laennec.train.decision import Decided, Decision, best_f1_shift, fit_decision, shift_head
from laennec.train.epochs import KeepBest
from laennec.train.hardware import Hardware, machine, settled, tuned_cpu
from laennec.train.loop import predict, terminal, train_network, trial_step
from laennec.train.phases import read_phases
from laennec.train.protocols import Fold, Protocol, measuring
from laennec.train.recipe import Recipe, changed_settings, check_families, recipe_to_dict
from laennec.train.recordings import read_recordings
from laennec.train.saved import held, is_done
from laennec.train.tables import joined, of_data_set, recordings_of
from laennec.train.weights import DIVERGED, Start, save_decision, save_model
from laennec.train.window_teacher import refuse_teacher
from laennec.train.windows import read_windows
from laennec.train.with_patterns import with_patterns
from laennec.train.workers import Work, run_all

IN_TRAINING = "training"  # folder of a fold that is being trained: where an interrupted one goes on
EPS = 1e-12  # added to probabilities before their logarithm


# --- data ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CrossValidationData:
    """Clips with their features, before anything is fitted, and the folds of their patients."""

    clips: pd.DataFrame
    folds: Sequence[Fold]
    front_end: FrontEnd
    examples: Any
    """`ClipTensors` or `RecordingExamples`."""
    auxiliary: "CrossValidationData | None" = None
    """The same of the auxiliary data set of clips, whose patients have folds of their own."""

    def parts(self, fold: Fold, recipe: Recipe) -> tuple[Any, Any, Any]:
        """Training, validation and test clips of a fold, normalised by the training clips alone."""
        if self.front_end.task == WINDOW:
            refuse_teacher(recipe, self.clips, fold)
        training = self.examples.subset(fold.train)
        copies = self.examples.additions(fold.train, recipe, self.front_end)
        if copies is not None:
            training = training.joined(copies)
        other = self.auxiliary
        if other is not None:
            own = other.fold(fold.name)
            splits.refuse_leakage(other.clips[own.train], other.clips[own.test])
            training = training.joined(other.examples.subset(own.train))
        training.fit_statistics(self.front_end)
        test = self.examples.subset(fold.test).normalised(self.front_end)
        validation = None
        if fold.validation is not None:
            same = fold.validation is fold.test
            validation = test if same else self.examples.subset(fold.validation).normalised(self.front_end)
        return training.normalised(self.front_end), validation, test

    def shared_patients(self, fold: Fold) -> int:
        """Patients, or recordings of unknown patients, that are both trained and tested on."""
        groups = splits.subject_groups(self.clips)
        return len(set(groups[fold.train]) & set(groups[fold.test]))

    def trained(self, fold: Fold, recipe: Recipe) -> list[pd.DataFrame]:
        """Rows that a fold trains on, a table for each of the recipe's data sets."""
        rows = self.clips[fold.train]
        if self.auxiliary is not None:
            return [rows, self.auxiliary.clips[self.auxiliary.fold(fold.name).train]]
        return [of_data_set(rows, name) for name in (recipe.dataset, *recipe.also)] if recipe.also else [rows]

    def settled(self, hardware: Hardware, recipe: Recipe, folder: Path) -> Hardware:
        """The hardware with precision and threads chosen for a recipe on these clips."""
        return settled(hardware, recipe, folder, lambda: trial_step(self.examples, recipe, self.front_end))

    def fold(self, name: str) -> Fold:
        """The fold of a name; where there is none of it, such as ``all patients``, nothing is measured on."""
        nothing = np.zeros(len(self.clips), bool)
        return next((own for own in self.folds if own.name == name), measuring(name, self.clips, nothing))


def gather(
    clips: pd.DataFrame,
    recipe: Recipe,
    protocol: Protocol,
    auxiliary: pd.DataFrame | None = None,
    records: pd.DataFrame | None = None,
) -> CrossValidationData:
    """Read all clips, or all recordings, and deal their patients into folds.

    Parameters
    ----------
    clips
        Of all data sets, where the model is one for whole recordings.
    protocol
        Deals a clips table into folds.
    auxiliary
        Clips of the auxiliary data set (`Recipe.also`), for a model for clips.
    records
        Record rows, where there are any; for a model for whole recordings.

    Raises
    ------
    LaennecError
        If the data has labels that the recipe has not.
    """
    front_end, network = build_parts(recipe)  # before the recordings are read, which takes longer
    check_network(recipe, front_end, network)
    if front_end.task in OF_RECORDINGS:
        check_families(recipe, f"recipe {recipe.name}")
        table = recordings_of(clips, records)
        read: Any = {WINDOW: read_windows, BREATHS: read_phases}.get(front_end.task, read_recordings)
        return CrossValidationData(table, protocol(table), front_end, read(clips, table, recipe, front_end))
    table = in_taxonomy(clips, recipe)
    folds = protocol(table if auxiliary is None else joined([table, auxiliary]))
    count, second = len(table), None
    if auxiliary is not None:
        dealt = [fold.of(slice(count, None)) for fold in folds]
        examples = read_auxiliary(auxiliary, recipe, front_end)
        second = CrossValidationData(auxiliary, dealt, front_end, examples)
    folds = [fold.of(slice(count)) for fold in folds]
    return CrossValidationData(table, folds, front_end, read_clips(table, recipe, front_end), second)


# --- folds --------------------------------------------------------------------------------------------------


def claim(
    folder: Path, data: CrossValidationData, fold: Fold, recipe: Recipe, start: Start | None = None
) -> None:
    """Write what a folder will be of; refuse one that is of something else.

    Raises
    ------
    LaennecError
        Naming what differs: settings, clips, or the weights that it begins with.
    """
    remove_leftovers(folder)
    path = folder / "recipe.json"
    anew = f"delete the folder {folder}, and the same command makes it anew"
    tables = {"clips.csv": data.clips.assign(side=fold.sets())}
    if data.auxiliary is not None:
        own = data.auxiliary.fold(fold.name)
        tables["auxiliary.csv"] = data.auxiliary.clips.assign(side=own.sets())
    if path.exists():
        changed = changed_settings(read_json(path, anew), recipe, str(path))
        for name, table in tables.items():
            if "also" not in changed and _identity(folder / name) != _identity(table):
                second = name == "auxiliary.csv"
                changed.append("clips of the second data set" if second else "clips, labels or patients")
        source = folder / "source.json"
        given = read_json(source, anew, sha256=str)["sha256"] if source.exists() else None
        if given != (start.digest if start else None):
            changed.append("source weights")
        if changed:
            raise LaennecError(
                f"{folder} was made with other settings ({', '.join(changed)}); choose another folder"
            )
        return
    make_folder(folder)
    for name, table in tables.items():
        write_csv(folder / name, table)
    if start is not None:
        write_json(folder / "source.json", {"name": start.name, "sha256": start.digest})
    write_json(path, recipe_to_dict(recipe))


def same_clips(folder: Path, data: CrossValidationData, fold: Fold) -> bool:
    """Whether a folder is of the same clips in the same sets."""
    return _identity(folder / "clips.csv") == _identity(data.clips.assign(side=fold.sets()))


def _identity(clips: Path | pd.DataFrame) -> list[tuple[str, ...]]:
    """What of a clips table decides a result, in any order of rows; nothing where the file is missing."""
    if isinstance(clips, Path):
        if not clips.exists():
            return []
        clips = read_csv(clips, dtype=str, keep_default_na=False)
    columns = [clips[name].fillna("").astype(str) for name in ("clip_id", "label", "subject", "side")]
    times = [
        clips[name].replace("", np.nan).astype(float).round(6).astype(str) for name in ("start_s", "end_s")
    ]
    return sorted(zip(*columns, *times, strict=True))


def run_fold(
    data: CrossValidationData,
    fold: Fold,
    recipe: Recipe,
    folder: Path,
    hardware: Hardware,
    start: Start | None = None,
    progress: bool = False,
) -> bool:
    """Train, choose and predict one fold; ``fold.json`` is written last. False where it is there already."""
    claim(folder, data, fold, recipe, start)
    if is_done(folder, "fold.json"):
        return False
    splits.refuse_leakage(data.clips[~fold.test], data.clips[fold.test])
    if fold.validation is not None:
        splits.refuse_leakage(data.clips[fold.train], data.clips[fold.validation])
    training, validation, test = data.parts(fold, recipe)
    started = time.perf_counter()
    with tuned_cpu(1, hardware.threads):
        network, chosen = train_and_choose(
            training, validation, recipe, data.front_end, hardware, start, progress, kept_of(folder, data)
        )
        outputs = predict(network, test, recipe, data.front_end, hardware)
    test.write(folder, data.clips[fold.test], recipe, outputs)
    if start is None:
        save_model(folder, data.front_end, network, Decision(), recipe)
    other = data.auxiliary
    trained = int(fold.train.sum()) + (0 if other is None else int(other.fold(fold.name).train.sum()))
    clips = {"train": trained, "test": int(fold.test.sum())}
    write_json(
        folder / "fold.json",
        {
            **chosen,
            "fold": fold.name,
            "clips": clips if validation is None else {**clips, "validation": len(validation)},
            "parameters": sum(p.numel() for p in network.parameters()),
            "source": start.name if start else None,
            "recipe": recipe_to_dict(recipe),
            "precision": hardware.precision,
            "machine": machine(),
            "seconds": round(time.perf_counter() - started, 2),
        },
    )
    shutil.rmtree(folder / IN_TRAINING, ignore_errors=True)
    return True


def kept_of(folder: Path, data: CrossValidationData) -> Path | None:
    """Where the state of a training of an hour is kept while it lasts; one of minutes begins anew."""
    return folder / IN_TRAINING if data.front_end.task == RECORDING else None


def train_and_choose(
    training: Any,
    validation: Any,
    recipe: Recipe,
    front_end: FrontEnd,
    hardware: Hardware,
    start: Start | None = None,
    progress: bool = False,
    kept: Path | None = None,
) -> tuple[nn.Module, dict[str, Any]]:
    """Train a network, and choose the epoch, and the threshold if wanted, on the validation set if any.

    With `kept`, where no epoch is chosen, an interrupted training goes on from that folder.
    """
    best = None if validation is None else KeepBest(recipe.monitor)
    module, _ = train_network(
        training,
        recipe,
        front_end,
        hardware,
        start,
        validation,
        callbacks=[] if best is None else [best],
        progress=progress,
        kept=kept if best is None else None,
    )
    network = module.network.cpu().float().eval()
    if best is None:
        return with_patterns(network, training, recipe), {}
    if not best.weights:
        raise LaennecError(DIVERGED.format(recipe.name))
    network.load_state_dict(best.weights)
    shift = 0.0
    if recipe.decision == "validation-f1":
        shift = best_f1_shift(torch.cat(predict(network, validation, recipe, front_end)), validation.label)
        shift_head(network, shift)
    chosen = {"best_epoch": best.epoch, f"val_{recipe.monitor}": best.best, "shift": shift}
    return with_patterns(network, training, recipe), {**chosen, "epochs_trained": len(module.history)}


def train_on_all(
    data: CrossValidationData,
    recipe: Recipe,
    out: Path,
    hardware: Hardware,
    decision: Decided,
) -> None:
    """Train on all patients with what the folds chose and write ``model.pt``.

    A network that is there already is kept; one for whole recordings gets what is chosen now.
    """
    if has_content(out / "model.pt"):
        if not isinstance(decision, Decision):
            save_decision(out, decision)
        return
    print("all patients", file=sys.stderr, flush=True)
    training, _, _ = data.parts(data.fold("all patients"), recipe)
    with tuned_cpu(1, hardware.threads):
        network, _ = train_and_choose(
            training,
            None,
            recipe,
            data.front_end,
            hardware,
            progress=terminal(),
            kept=kept_of(out, data),
        )
    save_model(out, data.front_end, network, decision, replace(recipe, split="none"))
    shutil.rmtree(out / IN_TRAINING, ignore_errors=True)


def fold_folder(out: Path, seed: int, number: int) -> Path:
    """Where a fold of a seed lies."""
    return out / f"seed{seed}" / f"fold{number}"


def cross_validate(
    data: CrossValidationData,
    recipe: Recipe,
    out: Path,
    seeds: Sequence[int],
    only: Sequence[int] = (),
    hardware: Hardware | None = None,
    start: Start | None = None,
    *,
    folder_of: Callable[[Path, int, int], Path] = fold_folder,
    on_start: Callable[[str], None] = lambda name: None,
    on_done: Callable[[str, float], None] = lambda name, seconds: None,
    progress: bool = False,
) -> list[list[Path]]:
    """Run all folds of all seeds that are not there yet; return their folders, seed by seed.

    Parameters
    ----------
    only
        Numbers of the folds to run, from 1; all where empty.
    on_start, on_done
        Called before a fold that is not there, and after every fold with the seconds that it took.

    Raises
    ------
    LaennecError
        If `out` holds folds of other settings or other clips.
    """
    hardware = data.settled(hardware or Hardware(), recipe, out)
    numbers = list(only or range(1, len(data.folds) + 1))
    work = fold_work(data, recipe, out, seeds, numbers, hardware, start, folder_of, progress)
    run_all(work, hardware.jobs, on_start, on_done)
    return [[folder_of(out, seed, number) for number in numbers] for seed in seeds]


def fold_work(
    data: CrossValidationData,
    recipe: Recipe,
    out: Path,
    seeds: Sequence[int],
    numbers: Sequence[int],
    hardware: Hardware,
    start: Start | None,
    folder_of: Callable[[Path, int, int], Path] = fold_folder,
    progress: bool = False,
    of: str = "",
) -> Iterator[Work]:
    """The folds of every seed, each as a piece of work; `of` is said in front of its name."""
    for seed, number in product(seeds, numbers):
        folder = folder_of(out, seed, number)
        run = partial(
            run_fold,
            data,
            data.folds[number - 1],
            replace(recipe, seed=seed),
            folder,
            hardware,
            start,
            progress,
        )
        name = f"{of}seed {seed}, fold {number} of {len(data.folds)}"
        yield Work(name, partial(held, folder, run), is_done(folder, "fold.json"))


# --- predictions of several folds ---------------------------------------------------------------------------


def read_folds(folders: Sequence[Path], decision: str = "argmax") -> Predictions:
    """Predictions of all folds of a seed; with ``score``, the decision of each is fitted on the others."""
    parts = read_fold_parts(folders)
    if decision == "score":
        parts = [with_decision(part, own) for part, own in zip(parts, decisions(parts), strict=True)]
    return pooled(parts)


def read_fold_parts(folders: Sequence[Path]) -> list[Predictions]:
    """Predictions of each fold, as its network gives them."""
    return [read_predictions(folder / "predictions.csv") for folder in folders]


def pooled(parts: Sequence[Predictions]) -> Predictions:
    """Predictions of all folds of a run as one: every clip once, by the first fold that has it."""
    seen: set[str] = set()
    firsts = []
    for part in parts:
        firsts.append(part.chosen([row for row, clip in enumerate(part.clip_ids) if clip not in seen]))
        seen.update(part.clip_ids)
    return Predictions(
        tuple(clip for part in firsts for clip in part.clip_ids),
        tuple(subject for part in firsts for subject in part.subjects),
        tuple(label for part in firsts for label in part.labels),
        parts[0].classes,
        np.concatenate([part.probabilities for part in firsts]),
    )


def decisions(parts: Sequence[Predictions]) -> list[Decision]:
    """For each fold the decision fitted on the others."""
    return [overall_decision([*parts[:place], *parts[place + 1 :]]) for place in range(len(parts))]


def with_decision(predictions: Predictions, decision: Decision) -> Predictions:
    """What is predicted with a decision."""
    return replace(predictions, probabilities=decision.applied(np.log(predictions.probabilities + EPS)))


def overall_decision(parts: Sequence[Predictions], rule: str = "score") -> Decision:
    """The decision fitted on all folds: that of a model which is trained on all patients."""
    together = pooled(parts)
    return fit_decision(np.log(together.probabilities + EPS), together.label_indices, rule)
