"""Whole recordings as examples: their images, events, record labels, and batches of one length.

All data sets of a recipe are one list: of each recording whatever is annotated of it, be it events, cycles,
a label of the whole or no more than what kind of sound it is. Generated sounds that are no lung come besides.
A front end here is one whose task is ``recording``: besides the contract it has `frame_s`, the seconds
between image frames.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from laennec.audio.recording import Recording
from laennec.errors import LaennecError
from laennec.features.base import Batch
from laennec.labels import PHASES, SOUND_KINDS, as_record, vocabulary_index
from laennec.model.card import RecordingCard
from laennec.model.probability import calibrated
from laennec.models.recording_task import UNKNOWN, RecordingTask
from laennec.models.tasks import class_weights
from laennec.progress import track
from laennec.simulate.other import other_sound
from laennec.train.crops import crop_loader
from laennec.train.data import allowed_classes, as_is
from laennec.train.joined import SHORT_S, continued
from laennec.train.recipe import Recipe
from laennec.train.recording_choice import fit_recording_decision
from laennec.train.recording_decision import RecordingDecision
from laennec.train.recording_predictions import outputs_of, save_outputs, write_tables
from laennec.train.tables import recording_names, source_of
from laennec.train.with_patterns import GENERATED

JOINED = (*SOUND_KINDS[1:], *PHASES)  # labels whose short recordings are continued
LONGEST_TURN = 512  # clips of a subject that another one is continued by
HELD = (-30.0, 20.0)  # of logarithms of power: finer than 0.02 in half precision


@dataclass(frozen=True)
class Example:
    """A recording, and what is annotated of it."""

    name: str
    subject: str
    """Who must not be trained on and measured on, unique over all data sets; "" where not known."""
    dataset: str
    device: str
    position: str
    age_years: float
    """NaN where not known, as "" is a device or position."""
    image: Tensor
    """``(1, bands, frames)`` float16, at one level, not normalised."""
    spans: np.ndarray
    """``(events, 2)`` seconds."""
    classes: np.ndarray
    """``(events, classes)`` bool: the classes that the annotation allows."""
    placed: bool
    """Whether `spans` are all breaths, with their boundaries."""
    stretches: np.ndarray
    """``(stretches, 2)`` seconds: events, cycles or the whole, whatever has a label."""
    stretch_records: np.ndarray
    """``(stretches,)`` index into the record labels of what is heard in each."""
    record: int
    """Index into the record labels, or `UNKNOWN`."""
    kind: int = 0
    """Index into the kinds of sound."""


@dataclass(frozen=True)
class RecordingExamples(Dataset[Batch]):
    """Recordings held in memory, handed out a whole batch of one length at a time."""

    examples: Sequence[Example]
    front_end: Any = None
    """What normalises images on the way, where there is one."""

    def __len__(self) -> int:
        return len(self.examples)

    @torch.no_grad()
    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """A batch: ``spans`` and ``classes`` are of events, and ``row`` is the place of each in the batch."""
        chosen = [self.examples[index] for index in indices]
        counts = torch.tensor([len(example.spans) for example in chosen])
        image = torch.stack([example.image for example in chosen]).float()
        return {
            "image": image if self.front_end is None else self.front_end.normalised(image),
            "spans": torch.from_numpy(np.concatenate([example.spans for example in chosen])).float(),
            "classes": torch.from_numpy(np.concatenate([example.classes for example in chosen])),
            "row": torch.repeat_interleave(torch.arange(len(chosen)), counts),
            "placed": torch.tensor([example.placed for example in chosen]),
            "record": torch.tensor([example.record for example in chosen]),
            "kind": torch.tensor([example.kind for example in chosen]),
        }

    def subset(self, chosen: np.ndarray) -> "RecordingExamples":
        """The recordings where `chosen` is True."""
        return replace(self, examples=[self.examples[int(row)] for row in np.flatnonzero(chosen)])

    def joined(self, more: "RecordingExamples") -> "RecordingExamples":
        """These recordings and more of them."""
        return replace(self, examples=[*self.examples, *more.examples])

    def fit_statistics(self, front_end: Any) -> None:
        """Nothing to learn: each recording normalises itself."""

    def normalised(self, front_end: Any) -> "RecordingExamples":
        """The same, with images normalised on the way."""
        return replace(self, front_end=front_end)

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
            recipe.labels,
            recipe.recording.evidence_weight,
        )

    def usable(self, recipe: Recipe, front_end: Any) -> list[int]:
        """Rows of the recordings to train on; one with annotated events must be long enough."""
        shortest = recipe.recording.shortest_s / front_end.frame_s
        return [
            row
            for row, own in enumerate(self.examples)
            if own.image.shape[-1] >= shortest or not (own.placed and own.kind == 0)
        ]

    def training_loader(
        self, recipe: Recipe, front_end: Any, world: int = 1, rank: int = 0
    ) -> DataLoader[Batch]:
        """Batches of crops, balanced over data sets (`laennec.train.crops`)."""
        rows = self.usable(recipe, front_end)
        if not any(self.examples[row].kind == 0 for row in rows):
            raise LaennecError(f"no recording lasts {recipe.recording.shortest_s:g} s, which training needs")
        return crop_loader(self.examples, rows, recipe, front_end, world, rank)

    def loader(self) -> DataLoader[Batch]:
        """All recordings in their own order, one at a time."""
        return DataLoader(self, 1, collate_fn=as_is)

    def undecided(self) -> RecordingDecision:
        """Predictions as the network gives them, and the default rule of events."""
        return RecordingDecision()

    def decision(self, predictions: Sequence[Mapping[str, Tensor]], recipe: Recipe) -> RecordingDecision:
        """Thresholds and calibration that fit what a network predicted of these recordings."""
        outputs = outputs_of(self.examples, predictions, "")
        return fit_recording_decision(outputs, recipe.labels, recipe.records, recipe.recording.frames_tell)

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


# --- reading ------------------------------------------------------------------------------------------------


def read_recordings(
    events: pd.DataFrame, recordings: pd.DataFrame, recipe: Recipe, front_end: Any
) -> RecordingExamples:
    """One example for each row of `recordings` (`recordings_of`), with the events of the clips table.

    The events of the first data set are all breaths, with their boundaries. Those of others, such as ICBHI's
    cycles, do not say where in them a breath is audible: they are stretches with a label.

    Raises
    ------
    LaennecError
        If an event of the first data set has a label that none of the recipe's classes stands for.
    """
    sources = source_of(events).to_numpy()
    own = sources == sources[0]
    classes = np.zeros((len(events), len(recipe.labels)), bool)
    classes[own] = allowed_classes(list(events["label"][own]), recipe, recipe.dataset)
    spans, heard = events[["start_s", "end_s"]].to_numpy(float), _record_indices(events, recipe)
    rows_of = events.assign(channel=events["channel"].fillna(0)).groupby(["path", "channel"]).indices
    examples = []
    for row, name, channel, samples in read_each(recordings, recipe, front_end.sample_rate):
        found = np.asarray(rows_of.get((row.path, channel), ()), int)
        placed = row.source == sources[0]
        labelled = found[heard[found] != UNKNOWN]
        stretches, stretch_records = spans[labelled], heard[labelled]
        if not len(found) and row.record != UNKNOWN:
            stretches = np.array([[0.0, samples.size / front_end.sample_rate]])
            stretch_records = np.array([row.record])
        examples.append(
            Example(
                name,
                _text(row.subject),
                row.source,
                _text(row.device),
                _text(row.location),
                float(row.age_years),
                image_of(samples, front_end),
                spans[found] if placed else spans[:0],
                classes[found] if placed else classes[:0],
                placed,
                stretches,
                stretch_records,
                row.record,
                max(0, vocabulary_index(row.label, SOUND_KINDS) - 1),
            )
        )
    return RecordingExamples(examples)


def _record_indices(clips: pd.DataFrame, recipe: Recipe) -> np.ndarray:
    """Index of the record label that each label stands for, `UNKNOWN` where it stands for none."""
    labels = [as_record(str(label), recipe.records) for label in clips["label"]]
    return np.array([recipe.records.index(own) if own in recipe.records else UNKNOWN for own in labels], int)


def _text(value: Any) -> str:
    return "" if pd.isna(value) else str(value)


def read_each(
    recordings: pd.DataFrame, recipe: Recipe, sample_rate: int
) -> Iterator[tuple[Any, str, int, np.ndarray]]:
    """Row, name, channel and samples ``(samples,)`` of each recording.

    A single word or breath is continued by others of its subject (`laennec.train.joined`).
    """
    told = recordings.assign(source=source_of(recordings), record=_record_indices(recordings, recipe))
    rows: list[Any] = list(told.itertuples())
    alike: dict[tuple[str, str, str], list[Any]] = {}
    for row in rows:
        if row.label in JOINED:
            alike.setdefault(_whose(row), []).append(row)

    def sound(path: str, channel: int) -> np.ndarray:
        return levelled(Recording.read(path).resampled(sample_rate), channel)

    # Others are read once, and may be long.
    shared = lru_cache(maxsize=LONGEST_TURN)(sound)
    length = round(recipe.recording.piece_s * sample_rate)
    for name, row in track(list(zip(recording_names(recordings), rows, strict=True)), "reading recordings"):
        samples = (shared if row.label in JOINED else sound)(str(row.path), _channel(row))
        if row.label in JOINED and samples.size < SHORT_S * sample_rate:
            own, mates = 0, [row]
            if row.subject and not pd.isna(row.subject):
                mates = alike[_whose(row)]
                own = next(place for place, mate in enumerate(mates) if mate is row)
            clips = [shared(str(mate.path), _channel(mate)) for mate in mates[:LONGEST_TURN]]
            samples = continued(own % len(clips), clips, length, sample_rate, row.label in SOUND_KINDS)
        yield row, name, _channel(row), samples


def _channel(row: Any) -> int:
    return 0 if pd.isna(row.channel) else int(row.channel)


def _whose(row: Any) -> tuple[str, str, str]:
    """Data set, subject and kind of sound of a recording that may be continued."""
    return row.source, _text(row.subject), row.label if row.label in SOUND_KINDS else SOUND_KINDS[0]


def levelled(recording: Recording, channel: int = 0) -> np.ndarray:
    """Samples ``(samples,)`` of a channel at the level that models take."""
    level = recording.levels[channel]
    samples: np.ndarray = recording.samples[channel]
    return samples * np.float32(RecordingCard.level / level) if level else samples


def other_examples(recipe: Recipe, front_end: Any, seed: int = 0) -> list[Example]:
    """Sounds of each kind that is no lung, as many as the recipe wants."""
    examples, rate = [], front_end.sample_rate
    nothing = np.zeros((0, 2)), np.zeros((0, len(recipe.labels)), bool)
    for number, kind in enumerate(SOUND_KINDS[1:], start=1):
        for index in range(recipe.recording.other_sounds):
            rng = np.random.default_rng([seed, number, index])
            wave = other_sound(kind, rng, recipe.recording.piece_s, rate)
            image = image_of(levelled(Recording.from_array(wave.astype(np.float32), rate)), front_end)
            examples.append(
                Example(
                    f"{kind}-{index}",
                    "",
                    GENERATED,
                    "",
                    "",
                    math.nan,
                    image,
                    *nothing,
                    True,
                    np.zeros((0, 2)),
                    np.zeros(0, int),
                    UNKNOWN,
                    number,
                )
            )
    return examples


@torch.inference_mode()
def image_of(samples: np.ndarray, front_end: Any) -> Tensor:
    """``(1, bands, frames)`` float16 of samples ``(samples,)``, not normalised."""
    image: Tensor = front_end.unnormalised(torch.from_numpy(np.ascontiguousarray(samples))[None])[0]
    return image.clamp(*HELD).half().clone()
