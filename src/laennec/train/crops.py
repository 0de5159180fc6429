"""Batches to train a model for whole recordings on: crops of one length, balanced over data sets.

Data sets differ a hundredfold in size, and the small ones are the other devices, the adults and the real
hearts, so each batch takes a fixed share of each group (`RecordingSettings.shares`), whatever its size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from laennec.errors import LaennecError
from laennec.features.base import Batch
from laennec.labels import NORMAL, POOR_QUALITY, SOUND_KINDS
from laennec.models.recording_task import UNKNOWN
from laennec.train.data import as_is, share_of
from laennec.train.recipe import Recipe

UNLABELLED = 0.2  # weight of a data set of lungs that says nothing of their sounds, against one that does
GENERATED = 0.25  # share of generated sounds among those of a kind, where there are real ones
LEAST_EVENT_S, LEAST_OF_EVENT = 0.15, 0.4  # of an event that a crop must hold for it to count
LEAST_OF_STRETCH = 0.5  # of a labelled stretch, or of the crop where that is shorter
BESIDE = {"heart": 0.6, "noise": 0.4}  # what is mixed into lungs


@dataclass(frozen=True)
class Crop:
    """Rows of a recording and of a sound beside it (-1: none), the first frame of each, and the progress."""

    row: int
    first: int
    beside: int
    beside_first: int
    progress: float


@dataclass(frozen=True)
class Crops(Dataset[Batch]):
    """Crops of recordings, handed out a whole batch at a time.

    Attributes
    ----------
    examples
        Of `laennec.train.recordings.Example`.
    frames
        Of a crop; a shorter recording is repeated.
    """

    examples: Sequence[Any]
    frames: int
    frame_s: float
    records: tuple[str, ...]

    def __getitems__(self, crops: Sequence[Crop]) -> Batch:
        """Images are not normalised; ``spans`` and ``row`` as `RecordingExamples` gives them."""
        chosen = [self.examples[crop.row] for crop in crops]
        spans, classes, row, record = [], [], [], []
        for place, (crop, own) in enumerate(zip(crops, chosen, strict=True)):
            first_s, length_s = crop.first * self.frame_s, self.frames * self.frame_s
            inside = np.clip(own.spans - first_s, 0.0, length_s)
            lasts_s = inside[:, 1] - inside[:, 0]
            held = (lasts_s > LEAST_EVENT_S) & (lasts_s > LEAST_OF_EVENT * np.diff(own.spans)[:, 0])
            spans.append(inside[held])
            classes.append(own.classes[held])
            row += [place] * int(held.sum())
            record.append(self.record_of(own, first_s, length_s))
        batch = {
            "image": self._images([(crop.row, crop.first) for crop in crops]),
            "spans": torch.from_numpy(np.concatenate(spans)).float(),
            "classes": torch.from_numpy(np.concatenate(classes)),
            "row": torch.tensor(row, dtype=torch.long),
            "placed": torch.tensor([own.placed for own in chosen]),
            "record": torch.tensor(record),
            "kind": torch.tensor([own.kind for own in chosen]),
            "progress": torch.tensor(crops[0].progress),
        }
        if crops[0].beside >= 0:
            batch["beside"] = self._images([(crop.beside, crop.beside_first) for crop in crops])
        return batch

    def _images(self, places: Sequence[tuple[int, int]]) -> torch.Tensor:
        """``(batch, 1, bands, frames)`` float32 from each row's first frame on."""
        images = []
        for row, first in places:
            image = self.examples[row].image
            if image.shape[2] < first + self.frames:
                image = image.repeat(1, 1, 1 + (first + self.frames) // image.shape[2])
            images.append(image[:, :, first : first + self.frames])
        return torch.stack(images).float()

    def record_of(self, example: Any, first_s: float, length_s: float) -> int:
        """Index of the record label of a part of a recording, by its labelled stretches; or `UNKNOWN`."""
        start_s, end_s = example.stretches[:, 0], example.stretches[:, 1]
        shared = np.minimum(end_s, first_s + length_s) - np.maximum(start_s, first_s)
        held = shared > LEAST_OF_STRETCH * np.minimum(end_s - start_s, length_s)
        return combined_record({self.records[k] for k in example.stretch_records[held]}, self.records)


def combined_record(labels: set[str], records: Sequence[str]) -> int:
    """Index of the record label of what has stretches of these `labels`; `UNKNOWN` where there is none."""
    if POOR_QUALITY in labels:
        return records.index(POOR_QUALITY)
    sick = labels - {NORMAL}
    together = sick.pop() if len(sick) == 1 else "CAS & DAS" if sick else NORMAL
    return records.index(together) if labels and together in records else UNKNOWN


class Balanced(Sampler[list[Crop]]):
    """Batches of crops, drawn by seed and epoch alone.

    Parameters
    ----------
    usable
        Rows of `crops.examples` to draw from.
    """

    def __init__(
        self, crops: Crops, usable: Sequence[int], recipe: Recipe, world: int = 1, rank: int = 0
    ) -> None:
        settings = recipe.recording
        self.crops, self.recipe, self.world, self.rank, self.epoch = crops, recipe, world, rank, 0
        self.size = max(2, round(settings.batch_s / settings.piece_s))
        self.share = share_of(self.size, world, self.size)
        rows = np.asarray(usable)
        groups, self.weights = groups_of([crops.examples[row] for row in usable], settings.shares)
        self.groups = [rows[group] for group in groups]
        kinds = np.array([crops.examples[row].kind for row in usable])
        beside = {kind: rows[kinds == SOUND_KINDS.index(kind)] for kind in BESIDE}
        self.beside = [own for own in beside.values() if len(own)]
        weights = np.array([BESIDE[kind] for kind, own in beside.items() if len(own)])
        self.beside_weights = weights / weights.sum()

    @property
    def sampler(self) -> "Balanced":
        """Where Lightning looks for `set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Draw the batches of an epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.recipe.recording.batches

    def __iter__(self) -> Iterator[list[Crop]]:
        # Every process draws the same batches, and takes its share of each; 0 was a process's number once.
        rng = np.random.default_rng([self.recipe.seed, self.epoch, 0])
        total = self.recipe.epochs * len(self)
        for number in range(len(self)):
            progress = (self.epoch * len(self) + number) / total
            batch = []
            for group in rng.choice(len(self.groups), self.size, p=self.weights):
                row, first = self._placed(rng, self.groups[group])
                beside = (-1, 0)
                if self.beside:
                    kind = rng.choice(len(self.beside), p=self.beside_weights)
                    beside = self._placed(rng, self.beside[kind])
                batch.append(Crop(row, first, *beside, progress))
            yield batch[self.rank :: self.world][: self.share]

    def _placed(self, rng: np.random.Generator, rows: np.ndarray) -> tuple[int, int]:
        """One of the rows, and the first frame of a crop of it."""
        row = int(rows[rng.integers(len(rows))])
        spare = self.crops.examples[row].image.shape[2] - self.crops.frames
        return row, int(rng.integers(0, max(0, spare) + 1))


def groups_of(examples: Sequence[Any], shares: Sequence[float]) -> tuple[list[np.ndarray], np.ndarray]:
    """Rows of the examples in groups, and the chance of each group.

    `shares` are those of recordings whose events are annotated, of other lungs, and of what is no lung. Other
    lungs are groups by data set, what is no lung by kind; what of the three is not there leaves its share to
    the others.
    """
    kind = np.array([own.kind for own in examples])
    placed = np.array([own.placed for own in examples]) & (kind == 0)
    told = np.array([len(own.stretches) > 0 for own in examples])
    source = np.array([own.dataset for own in examples])
    found: list[tuple[np.ndarray, int, float]] = [(placed, 0, 1.0)]
    for name in np.unique(source):
        own = (source == name) & (kind == 0) & ~placed
        found.append((own, 1, 1.0 if told[own].any() else UNLABELLED))
    for number in range(1, len(SOUND_KINDS)):
        generated = source == "generated"
        real = bool(((kind == number) & ~generated).any())
        found.append(((kind == number) & ~generated, 2, 1.0 - GENERATED))
        found.append(((kind == number) & generated, 2, GENERATED if real else 1.0))
    there = [one for one in found if one[0].any()]
    totals = [sum(weight for _, part, weight in there if part == number) for number in range(3)]
    chances = np.array([shares[part] * weight / totals[part] for _, part, weight in there])
    if not chances.sum():
        raise LaennecError("every group of recordings that there is has a share of 0 (recording.shares)")
    return [np.flatnonzero(rows) for rows, _, _ in there], chances / chances.sum()


def crop_loader(
    examples: Sequence[Any],
    usable: Sequence[int],
    recipe: Recipe,
    front_end: Any,
    world: int = 1,
    rank: int = 0,
) -> DataLoader[Batch]:
    """Batches of about `RecordingSettings.batch_s` seconds of sound each, shared out over processes."""
    frames = round(recipe.recording.piece_s / front_end.frame_s)
    crops = Crops(examples, frames, front_end.frame_s, recipe.records)
    return DataLoader(crops, batch_sampler=Balanced(crops, usable, recipe, world, rank), collate_fn=as_is)
