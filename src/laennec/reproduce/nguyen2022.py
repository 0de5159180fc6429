"""Nguyen & Pernkopf's Table II beside ours, row by row, on whatever source and target one has.

T. Nguyen and F. Pernkopf, "Crackle detection in lung sounds using transfer learning and multi-input
convolutional neural networks". Rows are named as in the table, and any combination of its parts is a row:
``3rdBN_Cyc_Ins_Exp_Ratio_37_ZeroPad``. What the literature has added since is named after a plus
(`OPTIONS`). Every fold is a folder below ``rows/`` that is kept when it is finished; tables are made from
those folders alone.
"""

import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from laennec import datasets
from laennec.audio.segment import PHASE_RATIOS
from laennec.datasets import splits
from laennec.errors import LaennecError, UsageError
from laennec.files import make_folder, write_json, write_text
from laennec.score.bootstrap import DRAWS, over_patients, resampled_counts
from laennec.score.confusion import confusion_by_group, predicted_classes
from laennec.score.predictions import Predictions
from laennec.score.ranking import roc_auc
from laennec.train.recipe import Recipe, changed_settings, load_recipe, recipe_from_dict, recipe_to_dict

SOURCE, TARGET = "nguyen2022-source", "nguyen2022"
LABELS = ("normal", "crackle")
RUNS, EPOCHS, FOLDS = 5, 150, 7  # section IV-A

# Table II: sensitivity, precision (P+) and F-score. The table writes both "Inp" and "Ins" for inspiration.
PAPER = {
    "Scratch_Cyc_SamplePad": (0.8526, 0.6675, 0.7487),
    "Scratch_Cyc_Ins_Ratio_25_SamplePad": (0.9080, 0.7373, 0.8137),
    "Scratch_Cyc_Exp_Ratio_49_SamplePad": (0.8975, 0.6926, 0.7818),
    "Scratch_Ins_Exp_Ratio_25_SamplePad": (0.9035, 0.7582, 0.8245),
    "Scratch_Cyc_Ins_Exp_Ratio_25_SamplePad": (0.8996, 0.7261, 0.8036),
    "Scratch_Cyc_ZeroPad": (0.8450, 0.6521, 0.7361),
    "Scratch_Cyc_Ins_Ratio_25_ZeroPad": (0.8908, 0.7476, 0.8129),
    "Scratch_Cyc_Exp_Ratio_49_ZeroPad": (0.9064, 0.6857, 0.7807),
    "Scratch_Ins_Exp_Ratio_25_ZeroPad": (0.9070, 0.7037, 0.7925),
    "Scratch_Cyc_Ins_Exp_Ratio_25_ZeroPad": (0.9005, 0.7457, 0.8159),
    "2ndConv_Cyc_Ins_Ratio_12_SamplePad": (0.8532, 0.8411, 0.8471),
    "4thBN_Cyc_Exp_Ratio_13_SamplePad": (0.8647, 0.7250, 0.7887),
    "3rdBN_Ins_Exp_Ratio_49_SamplePad": (0.8627, 0.8005, 0.8304),
    "3rdConv_Cyc_Ins_Exp_Ratio_49_SamplePad": (0.8845, 0.7917, 0.8356),
}
BASELINE = "Scratch_Cyc_SamplePad"

ROW = re.compile(
    r"(?P<start>Scratch|(?:1st|2nd|3rd|[4-7]th)(?:BN|Conv))"
    r"(?P<inputs>(?:_(?:Cyc|Ins|Inp|Exp))+)"
    r"(?:_Ratio_(?P<ratio>\d\d))?"
    r"_(?P<padding>Sample|Zero)Pad"
    r"(?P<options>(?:\+\w+)*)"
)
PARTS = {"Cyc": "cycle", "Ins": "inspiration", "Inp": "inspiration", "Exp": "expiration"}


@dataclass(frozen=True)
class Option:
    """What a name after a plus changes in the recipes, and why it might help."""

    why: str
    both: Mapping[str, Any] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)
    target: Mapping[str, Any] = field(default_factory=dict)


_MASKS = {
    "mixup": 0.3,
    "frequency_masks": 2,
    "frequency_mask_bins": 6,
    "time_masks": 2,
    "time_mask_frames": 20,
}
OPTIONS: dict[str, Option] = {
    "Band": Option(
        "each band's mean over the clip is taken out, and with it the device's frequency response: the part "
        "of spectrum correction (Nguyen, Pernkopf and Kosmider, EUSIPCO 2020) that needs no reference device",
        both={"front_end": {"normalisation": "band"}},
    ),
    "2kHz": Option(
        "mel bands up to 2 kHz: what every device here records, and where crackles are",
        both={"front_end": {"fmax_hz": 2000.0}},
    ),
    "Hop16": Option(
        "windows every 16 ms instead of every 32: a crackle lasts 5 to 15 ms",
        both={"front_end": {"hop_length": 256}},
    ),
    "StrongSource": Option(
        "the source is trained with mixup, masks, a one-cycle rate and class weights, for fifteen epochs",
        source={
            "epochs": 15,
            "learning_rate": 1e-3,
            "optimizer": "adamw",
            "schedule": "one-cycle",
            "class_weights": "sqrt",
            "augmentation": _MASKS,
        },
    ),
    "OneCycle": Option(
        "fine-tuning by a one-cycle rate of 5e-4 in batches of 32, and the last epoch kept: accuracy on a "
        "few validation patients chooses epochs by chance, and favours a model that calls everything normal",
        target={
            "learning_rate": 5e-4,
            "batch_size": 32,
            "optimizer": "adamw",
            "schedule": "one-cycle",
            "monitor": "last",
        },
    ),
    "Masks": Option("mixup and masks in fine-tuning too", target={"augmentation": _MASKS}),
    "Weighted": Option("the classes weigh the same in the loss", target={"class_weights": "balanced"}),
    "F1": Option(
        "the threshold is the one of best F-score on the validation patients",
        target={"decision": "validation-f1"},
    ),
    "Airflow": Option(
        "cycles are split where the airflow turned, where that is known; the ratio gives the lengths only",
        target={"known_phases": True},
    ),
    "StochNorm": Option(
        "stochastic normalisation (Kou et al., NeurIPS 2020; Nguyen & Pernkopf, IEEE TBME 2022): in "
        "training, half of the channels, drawn anew each step, are normalised by running instead of batch "
        "statistics",
        target={"model": {"stochastic_norm": 0.5}},
    ),
}


@dataclass(frozen=True)
class Row:
    """One system of Table II, from its name."""

    name: str
    start: str
    """``""`` from scratch, or where fine-tuning begins."""
    inputs: tuple[str, ...]
    ratio: str
    padding: str
    options: tuple[str, ...]


def parse_row(name: str) -> Row:
    """Read the name of a system.

    Raises
    ------
    UsageError
        If it is none.
    """
    match = ROW.fullmatch(name)
    if match is None:
        raise UsageError(
            f"{name!r} names no system; expected for example {BASELINE} or {list(PAPER)[10]}, "
            "with options after +"
        )
    inputs = tuple(PARTS[part] for part in match["inputs"].strip("_").split("_"))
    ratio = f"{match['ratio'][0]}:{match['ratio'][1]}" if match["ratio"] else "1:2"
    options = tuple(option for option in match["options"].split("+") if option)
    if ratio not in PHASE_RATIOS:
        raise UsageError(f"{name!r}: no ratio {ratio}; there are: {', '.join(PHASE_RATIOS)}")
    unknown = [option for option in options if option not in OPTIONS]
    if unknown:
        raise UsageError(f"{name!r}: unknown option {unknown[0]!r}; there are: {', '.join(OPTIONS)}")
    if inputs != ("cycle",) and not match["ratio"]:
        raise UsageError(f"{name!r}: phases need a ratio, such as _Ratio_12")
    start = "" if match["start"] == "Scratch" else match["start"]
    # One system, one name: the paper writes both "Inp" and "Ins".
    name = name.replace("_Inp", "_Ins")
    return Row(name, start, inputs, ratio, match["padding"].lower(), options)


def merged(table: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's values with some changed; tables within are merged, not replaced."""
    result = dict(table)
    for key, value in change.items():
        known = result.get(key)
        result[key] = merged(known, value) if isinstance(known, Mapping) else value
    return result


def row_recipe(row: Row, clip_samples: int, epochs: int) -> Recipe:
    """The recipe of a row on the target."""
    table = recipe_to_dict(load_recipe(TARGET))
    for option in row.options:
        table = merged(merged(table, OPTIONS[option].both), OPTIONS[option].target)
    change = {
        "name": row.name,
        "title": row.name,
        "epochs": epochs,
        "padding": row.padding,
        "fine_tune_from": row.start,
        "front_end": {"inputs": list(row.inputs), "ratio": row.ratio, "clip_samples": clip_samples},
    }
    return recipe_from_dict(merged(table, change), row.name)


def source_recipe(row: Row, dataset: str, clip_samples: int, epochs: int) -> Recipe:
    """The recipe of the source model that a row starts from: one input, the row's padding and options."""
    table = merged(recipe_to_dict(load_recipe(SOURCE)), {"epochs": epochs, "dataset": dataset})
    for option in row.options:
        table = merged(merged(table, OPTIONS[option].both), OPTIONS[option].source)
    change = {"padding": row.padding, "front_end": {"clip_samples": clip_samples}}
    return recipe_from_dict(merged(table, change), SOURCE)


def source_name(row: Row) -> str:
    """Folder of the source model: rows that share padding and the options that concern it share the model."""
    told = [option for option in row.options if OPTIONS[option].both or OPTIONS[option].source]
    return "+".join([f"{row.padding}-padding", *told])


# The target ------------------------------------------------------------------------------------------------


def draw_patients(clips: pd.DataFrame, healthy: int, sick: int, seed: int) -> pd.DataFrame:
    """A small cohort out of a large one: so many patients without and with the target class.

    Raises
    ------
    LaennecError
        If there are not as many.
    """
    groups = splits.subject_groups(clips)
    target = set(groups[(clips["label"] == LABELS[-1]).to_numpy()])
    rng = np.random.default_rng(seed)
    chosen: list[str] = []
    for wanted, among in ((sick, sorted(target)), (healthy, sorted(set(groups) - target))):
        if wanted > len(among):
            raise LaennecError(f"{wanted} patients are wanted and {len(among)} are there")
        chosen += rng.permutation(among)[:wanted].tolist()
    return clips[np.isin(groups, chosen)].reset_index(drop=True)


def some(clips: pd.DataFrame, every: int, seed: int) -> pd.DataFrame:
    """One clip in so many, drawn by seed; every n-th row would be the same few sensors of an array."""
    if every == 1:
        return clips
    drawn = np.random.default_rng(seed).permutation(len(clips))[: -(-len(clips) // every)]
    return clips.iloc[np.sort(drawn)].reset_index(drop=True)


def load_target(root: Path, dataset: str, patients: tuple[int, int] | None, seed: int) -> pd.DataFrame:
    """Normal and crackle cycles of a data set; its published test set is left alone."""
    from laennec.train.commands import load_clips, training_clips
    from laennec.train.fit import in_taxonomy

    clips = in_taxonomy(training_clips(load_clips(dataset, root)), load_recipe(TARGET, dataset=dataset))
    return draw_patients(clips, *patients, seed) if patients else clips


# Running ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """What is to be run, and where from and to."""

    source: Path | None
    target: Path
    out: Path
    rows: tuple[str, ...] = tuple(PAPER)
    runs: int = RUNS
    epochs: int = EPOCHS
    source_epochs: int = EPOCHS
    folds: int = FOLDS
    patients: tuple[int, int] | None = None
    """How many patients without and with crackles to draw from the target; all otherwise."""
    every: int = 1
    """Take one cycle in so many of the target, drawn by the seed."""
    length: int = 0
    """Samples at 16 kHz that every cycle is brought to; 0: the longest cycle's, at most the paper's."""
    seed: int = 0
    threads: int = 0
    source_dataset: str = ""
    target_dataset: str = ""
    command: str = ""


def reproduce_nguyen2022(
    plan: Plan, say: Callable[[str], None] = print, estimate: bool = False
) -> dict[str, Any]:
    """Run the rows that are asked for and write ``tables.md`` and ``tables.json`` below ``plan.out``.

    Parameters
    ----------
    estimate
        Measure what a step costs here, say what the whole would take, and run nothing.

    Returns
    -------
    What ``tables.json`` holds: every row of which all folds are there, this call's or an earlier one's.

    Raises
    ------
    LaennecError
        If the data cannot be used, source and target share patients, or the folder holds another target.
    """
    from laennec.train.crossval import cross_validate, make_cohort
    from laennec.train.fit import Hardware

    rows = [parse_row(name) for name in plan.rows]
    if plan.runs < 1 or plan.epochs < 1 or plan.every < 1:
        raise UsageError("runs, epochs and every are 1 or more")
    starting = [row for row in rows if row.start]
    if starting and plan.source is None:
        raise UsageError(
            f"{starting[0].name} starts from a source model; name the source's folder with --source"
        )
    target_dataset = plan.target_dataset or datasets.guess(plan.target)
    source_dataset = plan.source_dataset or (datasets.guess(plan.source) if plan.source else "")
    clips = load_target(plan.target, target_dataset, plan.patients, plan.seed)
    clips = some(clips, plan.every, plan.seed)
    cohort = make_cohort(clips, LABELS, plan.folds, plan.seed, clip_samples=plan.length)
    say(describe(cohort, target_dataset))
    if estimate:
        return {"seconds": _estimate(plan, rows, cohort, say)}
    make_folder(plan.out)
    _claim(plan, cohort, target_dataset, source_dataset)
    hardware = Hardware(threads=plan.threads)
    clock = Clock(len(rows) * plan.runs * cohort.folds)
    # Rows with the same images one after the other, so that they are computed once.
    order = sorted(rows, key=lambda row: (row.options, row.padding, row.inputs, row.ratio))
    for number, row in enumerate(order, start=1):
        start = None
        if row.start:
            start = _source(plan, row, source_dataset, cohort, hardware, say)
        recipe = row_recipe(row, cohort.clip_samples, plan.epochs)
        told = f"{plan.runs} runs of {cohort.folds} folds, {plan.epochs} epochs"
        say(f"[{number}/{len(order)}] {row.name}: {told}")
        with clock.shown(row.name):
            cross_validate(
                cohort, recipe, plan.out / "rows" / row.name, plan.runs, start, hardware, clock.fold_done
            )
        write_tables(plan.out)
    return write_tables(plan.out)


def describe(cohort: Any, dataset: str) -> str:
    """The target in a sentence."""
    clips = cohort.clips
    groups = splits.subject_groups(clips)
    sick = set(groups[(clips["label"] == cohort.labels[-1]).to_numpy()])
    counts = ", ".join(f"{int((clips['label'] == label).sum())} {label}" for label in cohort.labels)
    over = sum(len(cycle.samples) > cohort.clip_samples for cycle in cohort.cycles)
    return (
        f"target {dataset}: {counts} cycles of {len(set(groups))} patients, {len(sick)} of them with "
        f"{cohort.labels[-1]}; {cohort.folds} folds; cycles are brought to {cohort.clip_samples} samples "
        f"({cohort.clip_samples / cohort.sample_rate:.2f} s), {over} are longer and lose their end"
    )


class Clock:
    """A bar over all folds, with the time left by what folds have taken so far."""

    def __init__(self, folds: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("folds, left"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=Console(stderr=True),
            transient=True,
            disable=not _terminal(),
            speed_estimate_period=7200,
        )
        self._task = self._progress.add_task("", total=folds)
        self._left, self._taken = folds, []  # type: ignore[var-annotated]

    def shown(self, name: str) -> Any:
        self._progress.update(self._task, description=name)
        return self._progress

    def fold_done(self, seconds: float) -> None:
        self._left -= 1
        if seconds:
            self._taken.append(seconds)
            if not _terminal() and len(self._taken) % FOLDS == 0:
                left_s = self._left * float(np.mean(self._taken))
                print(f"{self._left} folds left, about {left_s / 60:.0f} min", file=sys.stderr, flush=True)
        self._progress.advance(self._task)


def _terminal() -> bool:
    return sys.stderr.isatty()


def _source(
    plan: Plan, row: Row, dataset: str, cohort: Any, hardware: Any, say: Callable[[str], None]
) -> Any:
    """The trained source model of a row, trained now if need be."""
    from laennec.train.commands import load_clips, training_clips
    from laennec.train.crossval import Start
    from laennec.train.fit import fit, prepare
    from laennec.train.transfer import source_weights

    assert plan.source is not None
    folder = plan.out / "source" / source_name(row)
    recipe = source_recipe(row, dataset, cohort.clip_samples, plan.source_epochs)
    if not (folder / "run.json").exists():
        clips = training_clips(load_clips(dataset, plan.source))
        refuse_shared_patients(clips, cohort.clips)
        say(f"source model {source_name(row)} on {dataset}: {len(clips)} clips, {recipe.epochs} epochs")
        fit(prepare(clips, recipe), recipe, folder, hardware)
    else:
        told = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
        changed = changed_settings(told, recipe, str(folder))
        if changed:
            raise LaennecError(f"{folder} is a source model of other settings ({', '.join(changed)})")
    return Start(source_weights(folder)[1], str(Path("source") / source_name(row)))


def refuse_shared_patients(source: pd.DataFrame, target: pd.DataFrame) -> None:
    """Raise LaennecError where source and target, being of one data set, share a patient."""
    known = {
        (dataset, subject)
        for dataset, subject in zip(source["dataset"], splits.subject_groups(source), strict=True)
    }
    shared = known & set(zip(target["dataset"], splits.subject_groups(target), strict=True))
    if shared:
        some = ", ".join(sorted(subject for _, subject in shared)[:3])
        raise LaennecError(
            f"{len(shared)} patients are in the source and in the target ({some}); what is measured on them "
            "would be memory"
        )


def _claim(plan: Plan, cohort: Any, target_dataset: str, source_dataset: str) -> None:
    """Write what the folder is of; refuse one that is of something else."""
    clips = cohort.clips
    groups = splits.subject_groups(clips)
    sick = set(groups[(clips["label"] == LABELS[-1]).to_numpy()])
    told = {
        "target": target_dataset,
        "source": source_dataset,
        "clips": {label: int((clips["label"] == label).sum()) for label in LABELS},
        "patients": {"with crackles": len(sick), "all": len(set(groups))},
        "folds": cohort.folds,
        "clip_samples": cohort.clip_samples,
        "epochs": plan.epochs,
        "source_epochs": plan.source_epochs,
        "seed": plan.seed,
    }
    path = plan.out / "protocol.json"
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        changed = sorted(name for name in told if found.get(name) != told[name])
        if changed:
            raise LaennecError(
                f"{plan.out} holds rows of another protocol ({', '.join(changed)}); name another"
            )
        told["command"] = found.get("command", plan.command)
    write_json(path, {**told, "command": told.get("command", plan.command)})


def _estimate(plan: Plan, rows: Sequence[Row], cohort: Any, say: Callable[[str], None]) -> float:
    """Time a few steps of each kind of network that the rows have, and say what all of them would take."""
    from laennec.train.crossval import seconds_a_clip

    share = (cohort.folds - 2) / cohort.folds
    labels = cohort.clips["label"].to_numpy()
    total, measured = 0.0, {}
    sources: dict[str, float] = {}
    for row in rows:
        recipe = row_recipe(row, cohort.clip_samples, plan.epochs)
        kind = json.dumps([recipe.front_end, recipe.model], default=list)
        if kind not in measured:
            measured[kind] = seconds_a_clip(recipe, plan.threads)
        copies = recipe.augmentation.vtlp_copies * np.isin(labels, recipe.augmentation.vtlp_labels).sum()
        seconds = measured[kind] * (len(labels) + copies) * share * plan.epochs * cohort.folds * plan.runs
        total += seconds
        say(f"{row.name}: {_time(seconds)}")
        if row.start and source_name(row) not in sources:
            told = source_recipe(row, "icbhi", cohort.clip_samples, plan.source_epochs)
            # Stretching and VTLP make a little over twice as many of the clips that are trained on.
            count = _count(plan) * (1 - told.validation_fraction) * 2.2
            sources[source_name(row)] = seconds_a_clip(told, plan.threads) * count * told.epochs
    for name, seconds in sources.items():
        total += seconds
        say(f"source model {name}: {_time(seconds)}")
    say(
        f"all of it: about {_time(total)} on this machine; every fold is kept, so it may be stopped at any "
        "time"
    )
    return total


def _count(plan: Plan) -> int:
    from laennec.train.commands import load_clips, training_clips

    assert plan.source is not None
    return len(training_clips(load_clips(plan.source_dataset or datasets.guess(plan.source), plan.source)))


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


# Tables ----------------------------------------------------------------------------------------------------


def scores_of(se: Any, precision: Any) -> Any:
    """F-score, ``2 P Se / (P + Se)``: what every row of Table II satisfies to its last digit."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return 2 * precision * se / (precision + se)


def by_patient(runs: Sequence[Predictions], patients: Sequence[str]) -> np.ndarray:
    """Confusions ``(patients, runs, classes, classes)``."""
    place = {subject: index for index, subject in enumerate(patients)}
    found = []
    for run in runs:
        group = np.array([place[subject] for subject in run.subjects])
        predicted = predicted_classes(run.probabilities, run.classes)
        found.append(confusion_by_group(run.labels, predicted, group, len(patients), run.classes))
    return np.stack(found, axis=1)


def row_scores(confusions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sensitivity, precision and F of the last class.

    Counts are pooled over the folds of a run, sensitivity and precision are then averaged over the runs, and
    F is made of these averages: the only order in which the table's three columns fit each other.

    Parameters
    ----------
    confusions
        ``(…, runs, classes, classes)``, summed over patients.
    """
    hits = confusions[..., -1, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        se = (hits / confusions[..., -1, :].sum(-1)).mean(-1)
        # A run that never says the class has no precision; none of its answers being right, it counts as 0.
        told = confusions[..., :, -1].sum(-1)
        precision = np.where(told > 0, hits / np.maximum(told, 1), 0.0).mean(-1)
    # No hit is an F of 0; no clip of the class leaves it undefined.
    none = (hits.sum(-1) == 0) & (confusions[..., -1, :].sum((-2, -1)) > 0)
    return se, precision, np.where(none, 0.0, scores_of(se, precision))


def finished_rows(out: Path) -> dict[str, list[Predictions]]:
    """Every row below `out` of which whole runs are there: their predictions."""
    from laennec.score.predictions import read_predictions
    from laennec.train.crossval import pooled

    folds = json.loads((out / "protocol.json").read_text(encoding="utf-8"))["folds"]
    rows = {}
    for folder in sorted((out / "rows").iterdir()) if (out / "rows").is_dir() else []:
        runs = []
        for run in sorted(folder.glob("run-*"), key=lambda path: int(path.name[4:])):
            parts = [run / f"fold-{fold + 1}" for fold in range(folds)]
            if all((part / "fold.json").is_file() for part in parts):
                runs.append(pooled([read_predictions(part / "predictions.csv") for part in parts]))
        if runs:
            rows[folder.name] = runs
    order = {name: index for index, name in enumerate(PAPER)}
    return dict(sorted(rows.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))


def collect(out: Path, draws: int = DRAWS, seed: int = 0) -> dict[str, Any]:
    """Scores of all finished rows with 95 % intervals over patients, and differences from the baseline."""
    rows = finished_rows(out)
    table = []
    confusions = {}
    patients: list[str] = []
    for name, runs in rows.items():
        patients = patients or sorted(set(runs[0].subjects))
        confusions[name] = by_patient(runs, patients)

    def f_of_draws(times: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
        """F of each row, and its difference from the baseline on the same draws."""
        f = {name: row_scores(resampled_counts(times, found))[2] for name, found in confusions.items()}
        less = {("less", name): f[name] - f[BASELINE] for name in f if name != BASELINE and BASELINE in f}
        return {**{("f", name): values for name, values in f.items()}, **less}

    scores = over_patients(len(patients), f_of_draws, draws, seed) if patients else {}
    for name, found in confusions.items():
        se, precision, f = row_scores(found.sum(0))
        each = [float(row_scores(found.sum(0)[run : run + 1])[2]) for run in range(found.shape[1])]
        auc = [
            roc_auc([label == run.classes[-1] for label in run.labels], run.probabilities[:, -1])
            for run in rows[name]
        ]
        entry: dict[str, Any] = {
            "row": name,
            "paper": dict(zip(("se", "p", "f"), PAPER[name], strict=True)) if name in PAPER else None,
            "se": float(se),
            "p": float(precision),
            "f": float(f),
            "f_interval_95": scores["f", name].interval,
            "f_of_each_run": each,
            "roc_auc": float(np.mean(auc)),
            "runs": len(rows[name]),
            "settings": _settings(out, name),
        }
        if ("less", name) in scores and len(patients) > 1:
            entry["difference"] = scores["less", name].value
            entry["difference_interval_95"] = scores["less", name].interval
        table.append(entry)
    return {"rows": table, "draws": draws, "f_of_calling_everything_crackle": _everything(confusions)}


def _everything(confusions: Mapping[str, np.ndarray]) -> float:
    """F of a system that calls every cycle a crackle: no skill, and what a row must be compared with."""
    for found in confusions.values():
        annotated = found.sum(0)[0].sum(-1)
        return float(2 * annotated[-1] / (annotated.sum() + annotated[-1]))
    return 0.0


def _settings(out: Path, name: str) -> dict[str, Any]:
    """What of a row's folds matters beside its scores."""
    folds = sorted((out / "rows" / name).glob("run-*/fold-*/fold.json"))
    told = [json.loads(path.read_text(encoding="utf-8")) for path in folds]
    return {
        "epochs": told[0]["recipe"]["epochs"],
        "source": told[0]["source"],
        "median_best_epoch": float(np.median([fold["best_epoch"] + 1 for fold in told])),
        "seconds_a_fold": round(float(np.mean([fold["seconds"] for fold in told])), 1),
    }


def write_tables(out: Path) -> dict[str, Any]:
    """Write ``tables.json``, ``tables.md`` and every run's ``predictions.csv``; return the first."""
    from laennec.score.predictions import write_predictions

    protocol = json.loads((out / "protocol.json").read_text(encoding="utf-8"))
    result = {"paper": "Nguyen & Pernkopf, Table II", "protocol": protocol, **collect(out)}
    for name, runs in finished_rows(out).items():
        for number, run in enumerate(runs, start=1):
            write_predictions(out / "rows" / name / f"run-{number}" / "predictions.csv", run)
    write_json(out / "tables.json", result)
    write_text(out / "tables.md", render(result))
    return result


def render(result: Mapping[str, Any]) -> str:
    """The table as Markdown: the paper's figures beside ours."""
    told, trivial = result["protocol"], result["f_of_calling_everything_crackle"]
    lines = [
        f"Made by `{told['command']}`.",
        "",
        f"Target: {told['target']}, {told['clips']['normal']} normal and {told['clips']['crackle']} crackle "
        f"cycles of {told['patients']['all']} patients, {told['patients']['with crackles']} with crackles; "
        f"{told['folds']} folds, no patient in two parts of one. Source: {told['source'] or 'none'}. The "
        "paper's figures are of its own cohort and not comparable with ours; they show which row should "
        f"lead. To call every cycle a crackle has an F of {trivial:.3f}, and an AUC of 0.5.",
        "",
        "| system | Se, paper | P+ | F | Se, ours | P+ | F | 95 % over patients | AUC | F less "
        f"{BASELINE} (95 %) | runs | epochs |",
        "|---|" + "---|" * 11,
    ]
    for row in result["rows"]:
        paper = [f"{row['paper'][key]:.4f}" if row["paper"] else "" for key in ("se", "p", "f")]
        ours = [f"{row[key]:.4f}" for key in ("se", "p", "f")]
        difference = ""
        if "difference" in row:
            interval = row["difference_interval_95"]
            difference = f"{100 * row['difference']:+.1f}" + (
                f" ({100 * interval[0]:+.1f} to {100 * interval[1]:+.1f})" if interval else ""
            )
        between = row["f_interval_95"]
        cells = [
            row["row"],
            *paper,
            *ours,
            f"{between[0]:.3f}–{between[1]:.3f}" if between else "",
            f"{row['roc_auc']:.3f}" if math.isfinite(row["roc_auc"]) else "",
            difference,
            str(row["runs"]),
            str(row["settings"]["epochs"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def expand(rows: Iterable[str]) -> tuple[str, ...]:
    """Names of rows; ``all``, ``scratch``, ``transfer``, ``ratios`` and ``layers`` stand for several."""
    found: list[str] = []
    for name in rows or ("all",):
        found += GROUPS.get(name, (name,))
    return tuple(dict.fromkeys(found))


GROUPS = {
    "all": tuple(PAPER),
    "scratch": tuple(name for name in PAPER if name.startswith("Scratch")),
    "transfer": tuple(name for name in PAPER if not name.startswith("Scratch")),
    "ratios": tuple(f"2ndConv_Cyc_Ins_Ratio_{ratio}_SamplePad" for ratio in ("13", "25", "37", "49", "12")),
    "layers": tuple(
        f"{place}_Cyc_Ins_Ratio_12_SamplePad"
        for place in ("2ndBN", "2ndConv", "3rdBN", "3rdConv", "4thBN", "4thConv")
    ),
}
