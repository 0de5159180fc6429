"""Whole recordings as examples: their images, events, record labels, and batches of one length.

Learns from a data set's event and record annotations at once; from an auxiliary data set, if there is one,
that lungs sound like that too; and from generated sounds that are no lung what to refuse. A front end here is
one whose task is ``recording``: besides the contract it has `frame_s`, the seconds between image frames.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from laennec.audio.recording import Recording
from laennec.errors import LaennecError
from laennec.features.base import Batch
from laennec.labels import SOUND_KINDS, as_record
from laennec.model.probability import calibrated
from laennec.models.recording_task import UNKNOWN, RecordingTask
from laennec.models.tasks import class_weights
from laennec.progress import track
from laennec.simulate.other import other_sound
from laennec.train.data import allowed_classes, as_is
from laennec.train.recipe import Recipe
from laennec.train.recording_choice import fit_recording_decision
from laennec.train.recording_decision import RecordingDecision
from laennec.train.recording_predictions import outputs_of, save_outputs, write_tables


@dataclass(frozen=True)
class Example:
    """A recording, or a piece of one, as the network takes it, and what is annotated of it."""

    name: str
    subject: str
    image: Tensor
    """``(1, bands, frames)`` float16, normalised."""
    spans: np.ndarray
    """``(events, 2)`` seconds."""
    classes: np.ndarray
    """``(events, classes)`` bool: the classes that the annotation allows."""
    placed: bool
    """Whether `spans` are all breaths, with their boundaries."""
    record: int
    """Index into the record labels, or `UNKNOWN`."""
    kind: int = 0
    """Index into the kinds of sound."""


@dataclass(frozen=True)
class RecordingExamples(Dataset[Batch]):
    """Recordings held in memory, handed out a whole batch of one length at a time."""

    examples: Sequence[Example]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """A batch: ``spans`` and ``classes`` are of events, and ``row`` is the place of each in the batch."""
        chosen = [self.examples[index] for index in indices]
        counts = torch.tensor([len(example.spans) for example in chosen])
        return {
            "image": torch.stack([example.image for example in chosen]).float(),
            "spans": torch.from_numpy(np.concatenate([example.spans for example in chosen])).float(),
            "classes": torch.from_numpy(np.concatenate([example.classes for example in chosen])),
            "row": torch.repeat_interleave(torch.arange(len(chosen)), counts),
            "placed": torch.tensor([example.placed for example in chosen]),
            "record": torch.tensor([example.record for example in chosen]),
            "kind": torch.tensor([example.kind for example in chosen]),
        }

    def subset(self, chosen: np.ndarray) -> "RecordingExamples":
        """The recordings where `chosen` is True."""
        return RecordingExamples([self.examples[int(row)] for row in np.flatnonzero(chosen)])

    def joined(self, more: "RecordingExamples") -> "RecordingExamples":
        """These recordings and more of them."""
        return RecordingExamples([*self.examples, *more.examples])

    def fit_statistics(self, front_end: Any) -> None:
        """Nothing to learn: each recording normalises itself."""

    def normalised(self, front_end: Any) -> "RecordingExamples":
        """The same: images are normalised when they are read."""
        return self

    def additions(self, chosen: np.ndarray, recipe: Recipe, front_end: Any) -> "RecordingExamples":
        """Generated sounds that are no lung, to train on besides."""
        return RecordingExamples(other_examples(recipe, front_end))

    def task(self, recipe: Recipe, front_end: Any) -> RecordingTask:
        """What a network is trained for on these recordings."""
        usable = [self.examples[row] for row in self.usable(recipe, front_end)]
        classes = [torch.zeros(0, dtype=torch.long)]
        classes += [torch.from_numpy(np.nonzero(example.classes)[1]) for example in usable if example.placed]
        records = torch.tensor([e.record for e in usable if e.record != UNKNOWN], dtype=torch.long)
        return RecordingTask(
            front_end,
            recipe.records,
            class_weights(torch.cat(classes), len(recipe.labels), recipe.class_weights),
            class_weights(records, len(recipe.records), recipe.class_weights),
            recipe.recording.loss_weights,
            recipe.augmentation,
        )

    def usable(self, recipe: Recipe, front_end: Any) -> list[int]:
        """Rows of the recordings that are long enough to train on."""
        durations_s = [example.image.shape[-1] * front_end.frame_s for example in self.examples]
        return [row for row, own in enumerate(durations_s) if own >= recipe.recording.shortest_s]

    def training_loader(
        self, recipe: Recipe, front_end: Any, world: int = 1, rank: int = 0
    ) -> DataLoader[Batch]:
        """Batches of about `batch_s` seconds of sound each."""
        rows = self.usable(recipe, front_end)
        if not rows:
            raise LaennecError(f"no recording lasts {recipe.recording.shortest_s:g} s, which training needs")
        lengths = np.array([self.examples[row].image.shape[-1] for row in rows])
        batch_frames = recipe.recording.batch_s / front_end.frame_s
        sampler = OneLength(np.array(rows), lengths, batch_frames, recipe.seed, world, rank)
        return DataLoader(self, batch_sampler=sampler, collate_fn=as_is)

    def loader(self) -> DataLoader[Batch]:
        """All recordings in their own order, one at a time."""
        return DataLoader(self, 1, collate_fn=as_is)

    def undecided(self) -> RecordingDecision:
        """Predictions as the network gives them, and the default rule of events."""
        return RecordingDecision()

    def measured_with(self, auxiliary: "RecordingExamples") -> "RecordingExamples":
        """What is predicted in a fold: refusals are measured on the auxiliary recordings, too."""
        return self.joined(auxiliary)

    def decision(self, predictions: Sequence[Mapping[str, Tensor]], recipe: Recipe) -> RecordingDecision:
        """Thresholds and calibration that fit what a network predicted of these recordings."""
        return fit_recording_decision(
            outputs_of(self.examples, predictions, ""), recipe.labels, recipe.records
        )

    def write(
        self,
        folder: Path,
        clips: pd.DataFrame,
        recipe: Recipe,
        predictions: Sequence[Mapping[str, Tensor]],
        decision: RecordingDecision | None = None,
    ) -> None:
        """Write ``outputs.npz``, ``predictions.csv`` and ``events.csv`` of a network's predictions."""
        chosen = decision or RecordingDecision()
        outputs = outputs_of(self.examples, predictions, folder.name)
        save_outputs(folder / "outputs.npz", outputs)
        annotated = [own for own in outputs if own.placed]
        if not annotated:
            return
        labels, scaling = recipe.labels, (chosen.event_temperature, chosen.event_bias)
        detections = [own.detection(own.decoded(chosen.rule, labels), labels, scaling) for own in annotated]
        logits = np.stack([own.record_logits for own in annotated])
        probabilities = calibrated(logits, chosen.record_temperature, chosen.record_bias)
        write_tables(folder, annotated, probabilities, recipe.records, detections)


class OneLength(Sampler[list[int]]):
    """Batches of recordings of one length, in an order that depends on seed and epoch alone.

    Parameters
    ----------
    rows, lengths
        ``(recordings,)``: rows to draw from, and the frames of each.
    batch_frames
        Frames of a batch.
    """

    def __init__(
        self,
        rows: np.ndarray,
        lengths: np.ndarray,
        batch_frames: float,
        seed: int,
        world: int = 1,
        rank: int = 0,
    ) -> None:
        self.groups = [rows[lengths == length] for length in np.unique(lengths)]
        self.sizes = [max(2, round(batch_frames / length)) for length in np.unique(lengths)]
        self.seed, self.epoch, self.world, self.rank = seed, 0, world, rank

    @property
    def sampler(self) -> "OneLength":
        """Where Lightning looks for `set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Draw the order of an epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        batches = sum(max(1, len(group) // size) for group, size in zip(self.groups, self.sizes, strict=True))
        return batches // self.world

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        batches = []
        for group, size in zip(self.groups, self.sizes, strict=True):
            batches += np.array_split(rng.permutation(group), max(1, len(group) // size))
        order = rng.permutation(len(batches))[self.rank :: self.world][: len(self)]
        for index in order:
            yield [int(row) for row in batches[index]]


# --- reading ------------------------------------------------------------------------------------------------


def recordings_of(events: pd.DataFrame, records: pd.DataFrame | None) -> pd.DataFrame:
    """One row per recording and channel: the record rows of a data set, and a row where it has none."""
    own = events.drop_duplicates(["path", "channel"])
    bare = own.assign(clip_id=_names(own), label="", start_s=np.nan, end_s=np.nan)
    if records is None or records.empty:
        return bare.reset_index(drop=True)
    of_records, of_bare = (
        pd.MultiIndex.from_arrays([table["path"], table["channel"].fillna(0)]) for table in (records, bare)
    )
    missing = ~of_bare.isin(of_records)
    both = pd.concat([records, bare[missing]]) if missing.any() else records
    return both.reset_index(drop=True)


def _names(clips: pd.DataFrame) -> list[str]:
    """A recording's name, with its channel where there are several."""
    return [
        str(name) if pd.isna(channel) else f"{name}:{int(channel)}"
        for name, channel in zip(clips["recording"], clips["channel"], strict=True)
    ]


def read_recordings(
    events: pd.DataFrame, recordings: pd.DataFrame, recipe: Recipe, front_end: Any
) -> RecordingExamples:
    """One example for each row of `recordings` (`recordings_of`), with the events of the clips table.

    Raises
    ------
    LaennecError
        If an event has a label that none of the recipe's classes stands for.
    """
    allowed = allowed_classes(list(events["label"]), recipe, recipe.dataset)
    spans = events[["start_s", "end_s"]].to_numpy(float)
    rows_of = events.assign(channel=events["channel"].fillna(0)).groupby(["path", "channel"]).indices
    examples = []
    for row, name, channel, subject, samples in _read_each(recordings, front_end.sample_rate):
        own = rows_of.get((row.path, channel), [])
        label = as_record(str(row.label), recipe.records)
        examples.append(
            Example(
                name,
                subject,
                image_of(samples, front_end),
                spans[own],
                allowed[own],
                True,
                recipe.records.index(label) if label in recipe.records else UNKNOWN,
            )
        )
    return RecordingExamples(examples)


def read_pieces(
    clips: pd.DataFrame, recipe: Recipe, front_end: Any
) -> tuple[pd.DataFrame, RecordingExamples]:
    """Pieces of an auxiliary data set's recordings, lungs through other devices: their table, and examples.

    Where in a cycle a breath is audible is not annotated, and what ICBHI's cycles are labelled made events of
    SPRSound worse (docs/detection.md), so neither is learnt from.
    """
    length = round(recipe.recording.piece_s * front_end.sample_rate)
    tables, examples = [], []
    recordings = clips.drop_duplicates(["path", "channel"]).reset_index(drop=True)
    for row, name, _, subject, samples in _read_each(recordings, front_end.sample_rate):
        firsts = np.arange(0, samples.size - length + 1, length)
        names = [f"{name}@{number}" for number in range(len(firsts))]
        for piece, first in zip(names, firsts, strict=True):
            image = image_of(samples[first : first + length], front_end)
            patient = f"{recipe.also}-{subject or name}"
            examples.append(Example(piece, patient, image, *_no_events(recipe), False, UNKNOWN))
        starts_s = firsts / front_end.sample_rate
        table = recordings.iloc[[row.Index] * len(firsts)]
        ends_s = starts_s + recipe.recording.piece_s
        tables.append(table.assign(clip_id=names, start_s=starts_s, end_s=ends_s))
    return pd.concat(tables).reset_index(drop=True), RecordingExamples(examples)


def _read_each(recordings: pd.DataFrame, sample_rate: int) -> Iterator[tuple[Any, str, int, str, np.ndarray]]:
    """Row, name, channel, subject ("": unknown) and samples ``(samples,)`` of each recording."""
    rows: list[Any] = list(recordings.itertuples())
    for name, row in track(list(zip(_names(recordings), rows, strict=True)), "reading recordings"):
        channel = 0 if pd.isna(row.channel) else int(row.channel)
        samples = Recording.read(str(row.path)).resampled(sample_rate).samples[channel]
        yield row, name, channel, "" if pd.isna(row.subject) else str(row.subject), samples


def _no_events(recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((0, 2)), np.zeros((0, len(recipe.labels)), bool)


def other_examples(recipe: Recipe, front_end: Any, seed: int = 0) -> list[Example]:
    """Sounds of each kind that is no lung, as many as the recipe wants."""
    examples = []
    for number, kind in enumerate(SOUND_KINDS[1:], start=1):
        for index in range(recipe.recording.other_sounds):
            rng = np.random.default_rng([seed, number, index])
            wave = other_sound(kind, rng, recipe.recording.piece_s, front_end.sample_rate)
            image = image_of(wave.astype(np.float32), front_end)
            name = f"{kind}-{index}"
            examples.append(Example(name, "", image, *_no_events(recipe), True, UNKNOWN, number))
    return examples


@torch.inference_mode()
def image_of(samples: np.ndarray, front_end: Any) -> Tensor:
    """``(1, bands, frames)`` float16 of samples ``(samples,)``."""
    image: Tensor = front_end(torch.from_numpy(np.ascontiguousarray(samples))[None])[0]
    return image.half().clone()
