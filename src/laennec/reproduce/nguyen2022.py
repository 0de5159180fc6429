"""Nguyen & Pernkopf's Table II beside ours, row by row, on whatever source and target one has.

T. Nguyen and F. Pernkopf, "Crackle detection in lung sounds using transfer learning and multi-input
convolutional neural networks". `laennec.reproduce.nguyen2022_rows` has the rows. Every fold is a folder below
``rows/`` that is kept when it is finished; tables are made from those folders alone
(`laennec.reproduce.nguyen2022_tables`).
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from laennec import datasets
from laennec.audio.samples import by_number, counted
from laennec.datasets import splits
from laennec.datasets.records import load_clips
from laennec.errors import LaennecError, UsageError
from laennec.features import build_front_end
from laennec.files import has_content, read_json, write_json
from laennec.reproduce.jobs import NguyenJob
from laennec.reproduce.nguyen2022_baselines import BASELINES, baseline_file, write_baselines
from laennec.reproduce.nguyen2022_estimate import estimate
from laennec.reproduce.nguyen2022_rows import (
    BASELINE,
    TARGET,
    Row,
    expand_groups,
    parse_row,
    row_recipe,
    source_name,
    source_recipe,
)
from laennec.reproduce.nguyen2022_tables import write_tables
from laennec.train.card import command
from laennec.train.cohort import Cohort, FoldProgress, describe, make_cohort, refuse_shared_patients
from laennec.train.crossval import fold_work
from laennec.train.data import in_taxonomy
from laennec.train.hardware import Hardware
from laennec.train.recipe import Recipe, changed_settings, in_precision, load_recipe
from laennec.train.run import fit, prepare
from laennec.train.saved import at_work, is_done
from laennec.train.tables import training_clips
from laennec.train.weights import Start, source_weights
from laennec.train.workers import Work, run_all

LABELS = ("normal", "crackle")


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
            are = f"{counted(wanted, 'patient')} {by_number(wanted, 'is', 'are')} wanted"
            raise LaennecError(f"{are} and {len(among)} {by_number(len(among), 'is', 'are')} there")
        chosen += rng.permutation(among)[:wanted].tolist()
    return clips[np.isin(groups, chosen)].reset_index(drop=True)


def subsample(clips: pd.DataFrame, every: int, seed: int) -> pd.DataFrame:
    """One clip in so many, drawn by seed; every n-th row would be the same few sensors of an array."""
    if every == 1:
        return clips
    drawn = np.random.default_rng(seed).permutation(len(clips))[: -(-len(clips) // every)]
    return clips.iloc[np.sort(drawn)].reset_index(drop=True)


def load_target(root: Path, dataset: str, patients: tuple[int, int] | None, seed: int) -> pd.DataFrame:
    """Normal and crackle cycles of a data set; its published test set is left alone."""
    clips = in_taxonomy(training_clips(load_clips(dataset, root)), load_recipe(TARGET, dataset=dataset))
    return draw_patients(clips, *patients, seed) if patients else clips


def reproduce_nguyen2022(job: NguyenJob, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Run the rows of a job, write ``tables.md`` and ``tables.json`` below ``job.out``.

    With ``job.estimate``, measure what a step costs here, say what the whole would take, and run nothing.

    Returns
    -------
    What ``tables.json`` holds: every row of which all folds are there, this call's or an earlier one's.

    Raises
    ------
    LaennecError
        If the data cannot be used, source and target share patients, or the folder holds another target.
    """
    rows = [parse_row(name) for name in expand_groups(job.rows)]
    if job.runs < 1 or job.epochs < 1 or job.every < 1 or job.patience < 0:
        raise UsageError("runs, epochs and every are 1 or more, patience 0 or more")
    starting = [row for row in rows if row.start]
    if starting and job.source is None:
        raise UsageError(
            f"{starting[0].name} starts from a source model; name the source's folder with --source"
        )
    target_dataset = job.target_dataset or datasets.guess(job.target)
    source_dataset = job.source_dataset or (datasets.guess(job.source) if job.source else "")
    clips = load_target(job.target, target_dataset, job.patients, job.seed)
    clips = subsample(clips, job.every, job.seed)
    rate = build_front_end(load_recipe(TARGET).front_end).sample_rate
    cohort = make_cohort(clips, LABELS, rate, job.folds, job.seed, job.length_s or 0.0)
    say(describe(cohort, target_dataset))
    if job.estimate:
        return {"seconds": estimate(job, rows, cohort, source_dataset, say)}
    with at_work(job.out, outside=(job.target, job.source)):
        return _run_rows(job, rows, cohort, (target_dataset, source_dataset), say)


def _run_rows(
    job: NguyenJob,
    rows: Sequence[Row],
    cohort: Cohort,
    of: tuple[str, str],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Run the rows on the data sets of target and source; what is done is not done again."""
    target_dataset, source_dataset = of
    hardware = Hardware(threads=job.threads, jobs=job.jobs)
    _claim(job, cohort, target_dataset, source_dataset)
    if not all(has_content(baseline_file(job.out, name)) for name in BASELINES):
        recipe = row_recipe(parse_row(BASELINE), cohort.clip_samples, 1)
        write_baselines(job.out, cohort, cohort.data(recipe), job.seed)
    run_all(_source_work(job, rows, source_dataset, cohort, hardware, say), job.jobs)
    progress = FoldProgress(len(rows) * job.runs * cohort.folds, job.jobs)
    # Rows with the same images one after the other, so that they are computed once.
    order = sorted(rows, key=lambda row: (row.options, row.padding, row.inputs, row.ratio))

    def work() -> Iterator[Work]:
        images: Any = None
        for number, row in enumerate(order, start=1):
            start = _source(job, row, source_dataset, cohort) if row.start else None
            recipe = row_recipe(row, cohort.clip_samples, job.epochs, job.patience)
            recipe = in_precision(recipe, job.precision)
            folds = f"{counted(job.runs, 'run')} of {cohort.folds} folds, {counted(job.epochs, 'epoch')}"
            say(f"[{number}/{len(order)}] {row.name}: {folds}")
            if images != (recipe.front_end, recipe.padding, recipe.known_phases):
                images = (recipe.front_end, recipe.padding, recipe.known_phases)
                data = cohort.data(recipe)
            progress.shown(row.name)
            own, numbers = data.settled(hardware, recipe, job.out), range(1, cohort.folds + 1)
            place, seeds = job.out / "rows" / row.name, range(job.runs)
            yield from fold_work(
                data, recipe, place, seeds, numbers, own, start, run_folder, of=f"{row.name}, "
            )
            write_tables(job.out)  # of what is finished

    with progress.shown("folds"):
        run_all(work(), job.jobs, on_done=progress.fold_done)
    return write_tables(job.out)


def run_folder(out: Path, seed: int, number: int) -> Path:
    """Where a fold of a run lies."""
    return out / f"run-{seed + 1}" / f"fold-{number}"


def _source_recipe(job: NguyenJob, row: Row, dataset: str, cohort: Cohort) -> Recipe:
    epochs = job.source_epochs or job.epochs
    recipe = source_recipe(row, dataset, cohort.clip_samples, epochs, job.patience)
    return in_precision(recipe, job.precision)


def _source_work(
    job: NguyenJob,
    rows: Sequence[Row],
    dataset: str,
    cohort: Cohort,
    hardware: Hardware,
    say: Callable[[str], None],
) -> Iterator[Work]:
    """The source models that the rows start from and that are not there yet."""
    for name, row in {source_name(row): row for row in rows if row.start}.items():
        folder = job.out / "source" / name
        if is_done(folder, "run.json"):
            continue
        assert job.source is not None
        recipe = _source_recipe(job, row, dataset, cohort)
        clips = training_clips(load_clips(dataset, job.source))
        refuse_shared_patients(clips, cohort.clips)
        say(
            f"source model {name} on {dataset}: {counted(len(clips), 'clip', '')}, "
            f"{counted(recipe.epochs, 'epoch')}"
        )
        data = prepare(clips, recipe)
        own = data.settled(hardware, recipe, job.out)
        yield Work(f"source model {name}", partial(fit, data, recipe, folder, own))


def _source(job: NguyenJob, row: Row, dataset: str, cohort: Cohort) -> Start:
    """The trained source model of a row."""
    folder = job.out / "source" / source_name(row)
    recipe = _source_recipe(job, row, dataset, cohort)
    table = read_json(folder / "recipe.json", f"delete the folder {folder}")
    changed = changed_settings(table, recipe, str(folder))
    if changed:
        raise LaennecError(f"{folder} is a source model of other settings ({', '.join(changed)})")
    return Start(source_weights(folder)[1], str(Path("source") / source_name(row)))


def _claim(job: NguyenJob, cohort: Cohort, target_dataset: str, source_dataset: str) -> None:
    """Write what the folder is of; refuse one that is of something else."""
    clips = cohort.clips
    groups = splits.subject_groups(clips)
    sick = set(groups[(clips["label"] == LABELS[-1]).to_numpy()])
    protocol = {
        "target": target_dataset,
        "source": source_dataset,
        "clips": {label: int((clips["label"] == label).sum()) for label in LABELS},
        "patients": {"with crackles": len(sick), "all": len(set(groups))},
        "folds": cohort.folds,
        "clip_samples": cohort.clip_samples,
        "epochs": job.epochs,
        "source_epochs": job.source_epochs or job.epochs,
        "patience": job.patience,
        "seed": job.seed,
    }
    path = job.out / "protocol.json"
    if path.exists():
        earlier = {"patience": 0, **read_json(path, f"name another folder than {job.out}")}
        changed = sorted(name for name in protocol if earlier.get(name) != protocol[name])
        if changed:
            raise LaennecError(
                f"{job.out} holds rows of another protocol ({', '.join(changed)}); name another"
            )
        protocol["command"] = earlier.get("command", command())
    write_json(path, {**protocol, "command": protocol.get("command", command())})
