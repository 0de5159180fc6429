"""What Nguyen & Pernkopf's rows would take on this machine, by a few steps of each network."""

import json
from collections.abc import Callable, Sequence
from itertools import pairwise

import pandas as pd
import torch

from laennec.datasets.records import load_clips
from laennec.features import build_front_end
from laennec.features.augment import draw_copies
from laennec.reproduce.jobs import NguyenJob
from laennec.reproduce.nguyen2022_rows import Row, row_recipe, source_name, source_recipe
from laennec.train.cohort import Cohort
from laennec.train.data import ClipTensors, in_taxonomy
from laennec.train.hardware import Hardware
from laennec.train.loop import step_times
from laennec.train.protocols import Fold, holdout, rotation
from laennec.train.recipe import Recipe, in_precision
from laennec.train.tables import training_clips

ROUNDS, STEPS = 3, 6  # of timing: the least step of all rounds counts
FORWARD = 1 / 3  # of a training step: what a clip costs that is validated on


def estimate(
    job: NguyenJob, rows: Sequence[Row], cohort: Cohort, source_dataset: str, say: Callable[[str], None]
) -> float:
    """Say what the rows and their source models would take; return it in seconds, divided by the jobs."""
    step_s: dict[str, float] = {}

    def seconds(recipe: Recipe, clips: float) -> float:
        kind = json.dumps([recipe.front_end, recipe.model, recipe.batch_size], default=list)
        if kind not in step_s:
            step_s[kind] = seconds_per_clip(recipe)
        return step_s[kind] * clips * recipe.epochs

    folds = rotation(cohort.fold)
    total = 0.0
    for row in rows:
        recipe = in_precision(row_recipe(row, cohort.clip_samples, job.epochs, job.patience), job.precision)
        clips = sum(clips_of_epoch(cohort.clips, fold, recipe) for fold in folds)
        taken = seconds(recipe, clips) * job.runs
        say(f"{row.name}: {_time(taken)}")
        total += taken
    for name, row in {source_name(row): row for row in rows if row.start}.items():
        assert job.source is not None
        epochs = job.source_epochs or job.epochs
        recipe = source_recipe(row, source_dataset, cohort.clip_samples, epochs, job.patience)
        recipe = in_precision(recipe, job.precision)
        table = in_taxonomy(training_clips(load_clips(source_dataset, job.source)), recipe)
        taken = seconds(recipe, clips_of_epoch(table, holdout(table, recipe), recipe))
        say(f"source model {name}: {_time(taken)}")
        total += taken
    say(_assumptions(job, total))
    return total / job.jobs


def clips_of_epoch(clips: pd.DataFrame, fold: Fold, recipe: Recipe) -> float:
    """Clips that an epoch trains on, with their augmented copies, and a share of those it validates on."""
    labels = list(clips["label"][fold.train])
    copies = draw_copies(labels, recipe.augmentation, recipe.seed)
    validated = 0 if fold.validation is None else int(fold.validation.sum())
    return len(labels) + len(copies) + FORWARD * validated


def _assumptions(job: NguyenJob, total_s: float) -> str:
    """The sum, and what it takes for granted."""
    at_a_time = f"{job.jobs} at a time (--jobs {job.jobs})" if job.jobs > 1 else "one after the other"
    text = (
        f"all of it: about {_time(total_s / job.jobs)}, {at_a_time}, in processes of one thread on cores "
        "that nobody else uses; measured by processor time, the quickest of "
        f"{ROUNDS * (STEPS - 1)} steps of each network; reading and augmenting recordings is not counted"
    )
    if job.patience:
        text += f"; no training stops before its last epoch, as --patience {job.patience} allows"
    return f"{text}. Every fold is kept, so it may be stopped at any time"


def seconds_per_clip(recipe: Recipe) -> float:
    """Processor time of the quickest training step on noise with one thread, by the clip."""
    front_end = build_front_end(recipe.front_end)
    count = STEPS * recipe.batch_size
    none = torch.zeros(count, dtype=torch.long)
    label = none.clone()
    label[::2] = 1
    images = torch.randn(count, 1, front_end.bands, front_end.frames)
    clips = ClipTensors(images, label, torch.full((count,), torch.nan), none, none).normalised(front_end)
    one = Hardware("cpu", threads=1)
    ends = [[cpu for _, cpu in step_times(clips, recipe, front_end, one)] for _ in range(ROUNDS)]
    return min(after - before for own in ends for before, after in pairwise(own)) / recipe.batch_size


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
