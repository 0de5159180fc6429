"""Training of the network for whole recordings: data, augmentation, losses.

Learns from SPRSound's event and record annotations at once; from ICBHI 2017, if it is there, that lungs sound
like that too; and from sounds that are no lung what to refuse.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Sampler

from laennec.audio.recording import Recording
from laennec.features.recording import DEVIATION as RECORDING_DEVIATION
from laennec.features.recording import RecordingLogMel
from laennec.labels import SOUND_KINDS, SPRSOUND_EVENTS, SPRSOUND_RECORDS
from laennec.models.recording import RecordingNet, class_logits, event_logits, pool
from laennec.progress import track
from laennec.simulate.other import other_sound

PIECE_S = 9.216  # the length of most of SPRSound's recordings; longer ones of other data sets are cut to it
SHORTEST_S = 8.0  # what is shorter tells little and would need a batch of its own
UNKNOWN = -1  # an index where nothing is annotated


@dataclass(frozen=True)
class Example:
    """A recording, or a piece of one, as the network sees it, and what is known of it.

    Attributes
    ----------
    name, subject
        The recording and its patient.
    image
        ``(1, bands, frames)`` float16, normalised.
    spans
        ``(events, 2)`` seconds.
    classes
        ``(events, classes)`` bool: the classes that the annotation allows, one in SPRSound.
    placed
        Whether `spans` tell all breaths and their boundaries.
    record, kind
        Indices into the record labels and sound kinds, or `UNKNOWN`.
    """

    name: str
    subject: str
    image: Tensor
    spans: np.ndarray
    classes: np.ndarray
    placed: bool
    record: int
    kind: int = 0


def sprsound_examples(
    events: pd.DataFrame, records: pd.DataFrame, front_end: RecordingLogMel
) -> list[Example]:
    """One example for each of SPRSound's recordings, from its tables of both levels."""
    by_recording = {str(name): own for name, own in events.groupby("recording")}
    found = []
    for row in track(list(records.itertuples()), "reading recordings", total=len(records)):
        mine = by_recording.get(str(row.recording), events.iloc[:0])
        classes = np.array([[name == label for name in SPRSOUND_EVENTS] for label in mine["label"]], bool)
        found.append(
            Example(
                str(row.recording),
                str(row.subject),
                image_of(read(row.path, front_end.sample_rate), front_end),
                mine[["start_s", "end_s"]].to_numpy(float),
                classes.reshape(-1, len(SPRSOUND_EVENTS)),
                True,
                SPRSOUND_RECORDS.index(row.label),
            )
        )
    return found


def icbhi_examples(cycles: pd.DataFrame, front_end: RecordingLogMel) -> list[Example]:
    """Pieces of ICBHI's recordings, as lungs heard by other devices.

    Where in a cycle a breath is heard is not annotated, nor does anybody answer for the whole recording; and
    what its cycles are labelled made events of SPRSound worse (docs/detection.md), so it is left out.
    """
    found = []
    groups = cycles.groupby("path")
    for path, mine in track(list(groups), "reading recordings", total=len(groups)):
        samples = read(path, front_end.sample_rate)
        length = round(PIECE_S * front_end.sample_rate)
        for number, first in enumerate(range(0, samples.size - length + 1, length)):
            image = image_of(samples[first : first + length], front_end)
            name, subject = f"{mine['recording'].iloc[0]}@{number}", f"icbhi-{mine['subject'].iloc[0]}"
            found.append(Example(name, subject, image, *_no_events(), False, UNKNOWN))
    return found


def _no_events() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((0, 2)), np.zeros((0, len(SPRSOUND_EVENTS)), bool)


def other_examples(count: int, seed: int, front_end: RecordingLogMel) -> list[Example]:
    """As many sounds of each kind that is no lung."""
    found = []
    for kind in SOUND_KINDS[1:]:
        for index in range(count):
            rng = np.random.default_rng([seed, SOUND_KINDS.index(kind), index])
            wave = other_sound(kind, rng, PIECE_S, front_end.sample_rate).astype(np.float32)
            image = image_of(wave, front_end)
            found.append(
                Example(f"{kind}-{index}", "", image, *_no_events(), True, UNKNOWN, SOUND_KINDS.index(kind))
            )
    return found


def read(path: Any, sample_rate: int) -> np.ndarray:
    """First channel of a recording at a rate, ``(samples,)``."""
    return Recording.read(str(path)).resampled(sample_rate).samples[0]


@torch.inference_mode()
def image_of(samples: np.ndarray, front_end: RecordingLogMel) -> Tensor:
    """``(1, bands, frames)`` float16 of samples ``(samples,)``."""
    return front_end(torch.from_numpy(np.ascontiguousarray(samples))[None])[0].half().clone()


# --- batches ------------------------------------------------------------------------------------------------


@dataclass
class Batch:
    """Examples of one length.

    Attributes
    ----------
    image
        ``(batch, 1, bands, frames)`` float32.
    spans, classes
        Of all events in it, ``(events, 2)`` seconds and ``(events, classes)`` bool.
    row
        ``(events,)``: place of each event's example in the batch.
    placed
        ``(batch,)`` bool.
    record, kind
        ``(batch,)``.
    """

    image: Tensor
    spans: Tensor
    classes: Tensor
    row: Tensor
    placed: Tensor
    record: Tensor
    kind: Tensor


@dataclass(frozen=True)
class Examples(Dataset[Batch]):
    """Examples handed out a whole batch at a time."""

    examples: Sequence[Example]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        chosen = [self.examples[index] for index in indices]
        counts = torch.tensor([len(example.spans) for example in chosen])
        return Batch(
            torch.stack([example.image for example in chosen]).float(),
            torch.from_numpy(np.concatenate([example.spans for example in chosen])).float(),
            torch.from_numpy(np.concatenate([example.classes for example in chosen])),
            torch.repeat_interleave(torch.arange(len(chosen)), counts),
            torch.tensor([example.placed for example in chosen]),
            torch.tensor([example.record for example in chosen]),
            torch.tensor([example.kind for example in chosen]),
        )


class OneLength(Sampler[list[int]]):
    """Batches of examples of one length, in an order that depends on seed and epoch alone."""

    def __init__(self, examples: Sequence[Example], batch_s: float, frame_s: float, seed: int) -> None:
        lengths = np.array([example.image.shape[-1] for example in examples])
        self.groups = [np.flatnonzero(lengths == length) for length in np.unique(lengths)]
        self.sizes = [max(2, round(batch_s / (lengths[group[0]] * frame_s))) for group in self.groups]
        self.seed, self.epoch = seed, 0

    def __len__(self) -> int:
        return sum(max(1, len(group) // size) for group, size in zip(self.groups, self.sizes, strict=True))

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        self.epoch += 1
        batches = []
        for group, size in zip(self.groups, self.sizes, strict=True):
            batches += np.array_split(rng.permutation(group), max(1, len(group) // size))
        for index in rng.permutation(len(batches)):
            yield [int(row) for row in batches[index]]


def loader(examples: Sequence[Example], batch_s: float, frame_s: float, seed: int) -> DataLoader[Any]:
    """Training batches of about `batch_s` seconds of sound each."""
    sampler = OneLength(examples, batch_s, frame_s, seed)
    return DataLoader(Examples(examples), batch_sampler=sampler, collate_fn=lambda batch: batch)


# --- augmentation and targets -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Variation:
    """How a batch is varied; drawn once, applied to images and annotations alike.

    Attributes
    ----------
    stretch
        Duration of the varied batch over the given one.
    tilt
        ``(batch, 1, bands, 1)``, added: the response of another stethoscope.
    noise
        ``(batch, 1, bands, 1)``: level of steady noise to add, -inf for none.
    band_masks, time_masks
        ``(batch, masks, 2)`` integers: first and width.
    order, share
        Whom each example is mixed with, and how much is its own.
    """

    stretch: float
    tilt: Tensor
    noise: Tensor
    band_masks: Tensor
    time_masks: Tensor
    order: Tensor
    share: float


def draw_variation(shape: Sequence[int], generator: torch.Generator) -> Variation:
    """Draw a variation for images of ``(batch, 1, bands, frames)``."""
    batch, _, bands, frames = shape

    def uniform(low: float, high: float, *size: int) -> Tensor:
        return low + (high - low) * torch.rand(*size, generator=generator)

    knots = F.interpolate(uniform(-0.4, 0.4, batch, 1, 6), bands, mode="linear", align_corners=True)
    slope = torch.linspace(-1, 1, bands)[None, None] * uniform(-0.5, 0.5, batch, 1, 1)
    noise = uniform(-1.4, -0.2, batch, 1, 1) + slope
    noise[uniform(0, 1, batch) > 0.35] = -torch.inf
    widths = (10, 24)
    masks = [
        torch.stack(
            [(uniform(0, 1, batch, 2) * size).long(), (uniform(0, 1, batch, 2) * width).long()], dim=2
        )
        for size, width in zip((bands, frames), widths, strict=True)
    ]
    mixed = float(uniform(0, 1, 1)) < 0.5
    share = float(uniform(0.6, 1.0, 1)) if mixed else 1.0
    return Variation(
        float(uniform(0.9, 1.12, 1)),
        knots[..., None],
        noise[..., None],
        masks[0],
        masks[1],
        torch.randperm(batch, generator=generator),
        share,
    )


def vary(image: Tensor, variation: Variation) -> Tensor:
    """The images of a batch, varied; their number of frames changes by `stretch`."""
    frames = round(image.shape[3] * variation.stretch)
    image = F.interpolate(image, (image.shape[2], frames), mode="bilinear", align_corners=False)
    image = image + variation.tilt
    scale = RECORDING_DEVIATION  # powers are added, not their standardised logarithms
    image = torch.logaddexp(image * scale, variation.noise * scale) / scale
    places = torch.arange(image.shape[2]), torch.arange(frames)
    for masks, place, view in (
        (variation.band_masks, places[0], (-1, 1, image.shape[2], 1)),
        (variation.time_masks, places[1], (-1, 1, 1, frames)),
    ):
        first, width = masks[..., :1], masks[..., 1:]
        hidden = ((place >= first) & (place < first + width)).any(1)
        image = image.masked_fill(hidden.view(view), 0.0)
    return variation.share * image + (1 - variation.share) * image[variation.order]


def frame_targets(batch: Batch, frames: int, frame_s: float) -> Tensor:
    """Presence, onset and offset of every frame, ``(batch, 3, frames)`` in [0, 1].

    Presence is the share of the frame that an event covers; onset and offset fall linearly to nothing over
    150 ms to either side, about what annotators differ by.
    """
    at_s = (torch.arange(frames) + 0.5) * frame_s
    start_s, end_s = batch.spans[:, :1], batch.spans[:, 1:]
    covered = (
        torch.minimum(end_s, at_s + frame_s / 2) - torch.maximum(start_s, at_s - frame_s / 2)
    ) / frame_s
    parts = [covered, 1 - (at_s - start_s).abs() / 0.15, 1 - (at_s - end_s).abs() / 0.15]
    out = torch.zeros(len(batch.placed), 3, frames)
    index = batch.row[:, None].expand(-1, frames)
    for number, part in enumerate(parts):
        out[:, number] = out[:, number].scatter_reduce(0, index, part.clamp(0, 1), "amax")
    return out


def event_frames(batch: Batch, frames: int, frame_s: float, jitter_s: Tensor) -> Tensor:
    """Events as :func:`laennec.models.recording.event_logits` takes them, with moved boundaries."""
    bounds = ((batch.spans + jitter_s) / frame_s).round().long()
    first = bounds[:, 0].clamp(0, frames - 1)
    last = torch.maximum(bounds[:, 1], first + 1).clamp(max=frames)
    return torch.stack([batch.row, first, last], dim=1)


# --- the lesson ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lesson:
    """Settings of a training.

    Attributes
    ----------
    epochs, learning_rate, weight_decay
        Of AdamW under a one-cycle schedule (Smith & Topin, arXiv:1708.07120, 2018).
    batch_s
        Seconds of sound in a batch.
    weights
        Of the losses: presence, onset and offset, event class, record, kind of sound.
    class_power
        Weights of classes are their counts to minus this power.
    """

    epochs: int = 10
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    batch_s: float = 200.0
    weights: tuple[float, float, float, float, float] = (1.0, 1.0, 1.0, 0.5, 0.3)
    class_power: float = 0.5
    front_end: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)


class RecordingTrainer(L.LightningModule):
    """The training step of a `RecordingNet`."""

    def __init__(
        self, network: RecordingNet, lesson: Lesson, examples: Sequence[Example], steps: int, seed: int
    ) -> None:
        super().__init__()
        self.network, self.lesson, self.steps = network, lesson, steps
        self.frame_s = 0.05
        self.generator = torch.Generator().manual_seed(seed)
        placed = [example for example in examples if example.placed]
        events = np.concatenate([example.classes for example in placed]).sum(0)
        records = np.bincount(
            [example.record for example in examples if example.record != UNKNOWN],
            minlength=len(SPRSOUND_RECORDS),
        )
        self.register_buffer("class_weights", balance(events, lesson.class_power))
        self.register_buffer("record_weights", balance(records, lesson.class_power))

    def training_step(self, batch: Batch, _: int) -> Tensor:
        variation = draw_variation(batch.image.shape, self.generator)
        batch.spans = batch.spans * variation.stretch
        image = vary(batch.image, variation)
        answer = {name: value.float() for name, value in self.network(image).items()}
        total = torch.zeros(())
        order, share = variation.order, variation.share
        for part, mine in ((share, torch.arange(len(order))), (1 - share, order)):
            if part > 0:
                total = total + part * self._loss(answer, batch, mine)
        return total

    def _loss(self, answer: dict[str, Tensor], batch: Batch, whose: Tensor) -> Tensor:
        """Loss of each example's answer by the annotation of the example at `whose`."""
        frames = answer["presence"].shape[2]
        presence, edges, classes, records, kinds = self.lesson.weights
        targets = frame_targets(batch, frames, self.frame_s)[whose]
        known = batch.placed[whose]
        by_frame = F.binary_cross_entropy_with_logits(answer["presence"], targets, reduction="none")
        by_part = by_frame[known].mean((0, 2)) if known.any() else by_frame.mean((0, 2)) * 0
        loss = presence * by_part[0] + edges * by_part[1:].sum()
        if len(batch.spans):
            jitter = 0.1 * (2 * torch.rand(batch.spans.shape, generator=self.generator) - 1)
            place = torch.empty_like(whose)
            place[whose] = torch.arange(len(whose))  # where the answer stands that an event is compared with
            events = event_frames(batch, frames, self.frame_s, jitter)
            events[:, 0] = place[batch.row]
            logits = event_logits(class_logits(answer), events)
            loss = loss + classes * self._allowed(logits, batch.classes)
        loss = loss + records * weighted_cross_entropy(
            pool(answer["record"]),
            batch.record[whose],
            self.record_weights,  # type: ignore[arg-type]
        )
        return loss + kinds * F.cross_entropy(answer["kind"].mean(2), batch.kind[whose])

    def _allowed(self, logits: Tensor, classes: Tensor) -> Tensor:
        """Cross entropy of the allowed classes together, weighted by the mean of theirs."""
        log_share = logits.log_softmax(1).masked_fill(~classes, -torch.inf).logsumexp(1)
        weights: Tensor = self.class_weights  # type: ignore[assignment]
        mine = (classes * weights).sum(1) / classes.sum(1)
        return -(mine * log_share).sum() / mine.sum()

    def configure_optimizers(self) -> Any:
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim <= 1]
        groups: list[dict[str, Any]] = [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(
            groups, self.lesson.learning_rate, weight_decay=self.lesson.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.lesson.learning_rate, total_steps=self.steps, pct_start=0.25
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def balance(counts: np.ndarray, power: float) -> Tensor:
    """Class weights ``counts ** -power`` whose mean over the examples is one; 0 for a class without any."""
    weights = np.where(counts > 0, np.maximum(counts, 1).astype(float) ** -power, 0.0)
    return torch.tensor(weights * counts.sum() / max(1e-9, (weights * counts).sum()), dtype=torch.float32)


def weighted_cross_entropy(logits: Tensor, label: Tensor, weights: Tensor) -> Tensor:
    """Cross entropy over the examples whose label is known."""
    known = label != UNKNOWN
    if not known.any():
        return logits.sum() * 0.0
    return F.cross_entropy(logits[known], label[known], weights)


def train_network(
    examples: Sequence[Example], lesson: Lesson, seed: int, progress: bool = False
) -> RecordingNet:
    """Train a network from scratch."""
    from laennec.models.tasks import memory_format
    from laennec.train.loop import quiet, usable_precision

    torch.manual_seed(seed)
    network = RecordingNet(**lesson.network)
    network = network.to(memory_format=memory_format(network))  # type: ignore[call-overload]
    usable = [example for example in examples if example.image.shape[-1] * 0.0125 >= SHORTEST_S]
    batches = loader(usable, lesson.batch_s, 0.0125, seed)
    with quiet():
        module = RecordingTrainer(network, lesson, usable, lesson.epochs * len(batches), seed)
        L.Trainer(
            max_epochs=lesson.epochs,
            accelerator="cpu",
            devices=1,
            precision=usable_precision("bf16-mixed", "cpu"),
            gradient_clip_val=5.0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=progress,
            enable_model_summary=False,
            use_distributed_sampler=False,
        ).fit(module, batches)
    return network.float().eval()


@torch.inference_mode()
def answers_of(network: RecordingNet, examples: Sequence[Example]) -> list[dict[str, np.ndarray]]:
    """What the network says of every example: the outputs of `RecordingNet` without the batch axis."""
    found = []
    for example in examples:
        answer = network(example.image[None].float())
        found.append({name: value[0].float().numpy() for name, value in answer.items()})
    return found
