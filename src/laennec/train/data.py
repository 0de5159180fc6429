"""From the clips table to tensors: read every recording once, cut, fit to length, compute images once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from laennec.audio.recording import Recording
from laennec.audio.segment import cut, fit_length, fit_parts, place
from laennec.labels import POSITIONS, SEXES
from laennec.patient import vocabulary_index
from laennec.progress import track
from laennec.score.predictions import Predictions
from laennec.train.augment import Copy, time_stretch
from laennec.train.features import CycleLogMel, EventLogMel

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class ClipTensors(Dataset[Batch]):
    """Clips held in memory, handed out a whole batch at a time.

    Attributes
    ----------
    image
        ``(clips, channels, bins, frames)`` normalised.
    label
        ``(clips,)`` index into the recipe's labels.
    age_years, sex, position
        ``(clips,)``: NaN or 0 where not known.
    """

    image: Tensor
    label: Tensor
    age_years: Tensor
    sex: Tensor
    position: Tensor
    bounds: Tensor | None = None
    """``(clips, 2)`` samples, of events whose images are computed batch by batch from the waveforms that then
    stand in `image` (`laennec.train.features.EventLogMel`)."""
    allowed: Tensor | None = None
    """``(clips, classes)`` 1 where a label may mean a class, of those that mean several; None: `label`."""

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, index: int) -> Batch:
        return {key: value[0] for key, value in self.__getitems__([index]).items()}

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        chosen = torch.as_tensor(indices)
        return {name: value[chosen] for name, value in self.tensors().items()}

    def tensors(self) -> Batch:
        """What is held, by name."""
        held = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in held.items() if value is not None}


def read_windows(clips: pd.DataFrame, front_end: EventLogMel) -> tuple[Tensor, Tensor]:
    """Windows around events, for training: they hold what is beside the events, too, for the margin's sake.

    Returns
    -------
    tuple of Tensor
        ``(clips, training_samples)`` waveforms and ``(clips, 2)`` bounds of the events in samples.
    """
    rate, length = front_end.sample_rate, front_end.training_samples
    waveforms, bounds = torch.zeros(len(clips), length), torch.zeros(len(clips), 2, dtype=torch.long)
    for row, samples, first, last in placed_clips(clips, rate):
        window, where = place(samples, first, last, length)
        waveforms[row] = torch.from_numpy(window)
        bounds[row] = torch.tensor(where)
    return waveforms, bounds


def read_waveforms(clips: pd.DataFrame, sample_rate: int, clip_samples: int, padding: str) -> Tensor:
    """Waveforms of all clips, ``(clips, clip_samples)`` float32, each recording decoded once."""
    waveforms = torch.empty(len(clips), clip_samples)
    for row, samples in cut_clips(clips, sample_rate):
        waveforms[row] = torch.from_numpy(fit_length(samples, clip_samples, padding))
    return waveforms


@dataclass(frozen=True)
class Cycle:
    """Samples of one respiratory cycle or event, as cut from its recording."""

    samples: np.ndarray
    """``(samples,)`` float32."""
    inspiration_length: int | None = None
    """Samples of inspiration, where an airflow signal or an annotator told its end."""

    def varied(self, copy: Copy) -> "Cycle":
        """The cycle stretched in time as a copy wants it."""
        if copy.stretch == 1.0:
            return self
        known = self.inspiration_length
        length = None if known is None else round(known / copy.stretch)
        return Cycle(time_stretch(self.samples, copy.stretch), length)


def read_cycles(clips: pd.DataFrame, sample_rate: int) -> list[Cycle]:
    """Cut all clips, each recording decoded once; a cycle of less than two samples is doubled."""
    found: list[Cycle | None] = [None] * len(clips)
    end_s = clips["inspiration_end_s"].to_numpy(float) - clips["start_s"].to_numpy(float)
    for row, samples in cut_clips(clips, sample_rate):
        known = None if np.isnan(end_s[row]) else round(end_s[row] * sample_rate)
        found[row] = Cycle(samples if len(samples) > 1 else np.repeat(samples, 2), known)
    return [cycle for cycle in found if cycle is not None]


@torch.inference_mode()
def cycle_images(
    cycles: Sequence[Cycle],
    front_end: CycleLogMel,
    padding: str,
    copies: Sequence[Copy] = (),
    known_phases: bool = False,
    chunk: int = 16,
) -> tuple[Tensor, Tensor]:
    """Normalised images of cycles, and those of the copies that were drawn for them.

    With `known_phases` a cycle is split where its airflow turned, if that is known, and not by the ratio.

    Returns
    -------
    tuple of Tensor
        ``(cycles, 1, bands, frames)`` and ``(copies, 1, bands, frames)``, float32.
    """

    def fitted(cycle: Cycle) -> Tensor:
        parts = fit_parts(
            cycle.samples,
            front_end.inputs,
            front_end.part_samples,
            front_end.ratio,
            padding,
            cycle.inspiration_length if known_phases else None,
        )
        return torch.from_numpy(parts)

    images = torch.empty(len(cycles), 1, front_end.bands, front_end.frames)
    for start in range(0, len(cycles), chunk):
        waveforms = torch.stack([fitted(cycle) for cycle in cycles[start : start + chunk]])
        images[start : start + chunk] = front_end(waveforms)
    varied = torch.empty(len(copies), 1, front_end.bands, front_end.frames)
    for index, copy in enumerate(copies):  # each has filters of its own
        waveform = fitted(cycles[copy.row].varied(copy))[None]
        varied[index] = front_end.normalised(front_end.unnormalised(waveform, copy.warp))[0]
    return images.clone(), varied.clone()  # plain tensors: those of inference mode cannot be trained on


def cut_clips(
    clips: pd.DataFrame, sample_rate: int, what: str = "reading recordings"
) -> Iterator[tuple[int, np.ndarray]]:
    """Row number and samples of each clip, recording by recording, each decoded once.

    A clip without a channel is its recording's first; one without a start is the whole recording.
    """
    start_s, end_s = (clips[name].to_numpy(float) for name in ("start_s", "end_s"))
    for row, samples in _channels(clips, sample_rate, what):
        if not np.isnan(start_s[row]):
            samples = cut(samples, sample_rate, start_s[row], end_s[row], notes=[])
        yield row, samples


def placed_clips(
    clips: pd.DataFrame, sample_rate: int, what: str = "reading recordings"
) -> Iterator[tuple[int, np.ndarray, int, int]]:
    """Row number of each clip, the samples of its whole recording, its first sample and one past its last."""
    start_s, end_s = (clips[name].to_numpy(float) for name in ("start_s", "end_s"))
    for row, samples in _channels(clips, sample_rate, what):
        if np.isnan(start_s[row]):
            yield row, samples, 0, samples.size
        else:
            first, last = round(start_s[row] * sample_rate), round(end_s[row] * sample_rate)
            yield row, samples, first, min(max(last, first + 1), samples.size)


def _channels(clips: pd.DataFrame, sample_rate: int, what: str) -> Iterator[tuple[int, np.ndarray]]:
    """Row number of each clip and the channel of its recording, each decoded once."""
    channel = clips["channel"].fillna(0).to_numpy(int)
    groups = clips.groupby("path", sort=False).indices
    for path, rows in track(groups.items(), what, total=len(groups)):
        recording = Recording.read(str(path)).resampled(sample_rate)
        for row in rows:
            yield int(row), recording.samples[channel[row]]


def label_indices(clips: pd.DataFrame, labels: Sequence[str]) -> Tensor:
    """``(clips,)`` index of each clip's label."""
    return torch.as_tensor([labels.index(label) for label in clips["label"]])


def metadata_tensors(clips: pd.DataFrame) -> tuple[Tensor, Tensor, Tensor]:
    """Age in years (NaN: not known), sex index and position index of each clip."""
    return (
        torch.from_numpy(clips["age_years"].to_numpy("float32", copy=True)),
        torch.tensor([vocabulary_index(sex, SEXES) for sex in clips["sex"]]),
        torch.tensor([vocabulary_index(position, POSITIONS) for position in clips["location"]]),
    )


def predictions(clips: pd.DataFrame, labels: Sequence[str], probabilities: np.ndarray) -> Predictions:
    """A clips table and its probabilities ``(clips, classes)`` as the scoring path takes them."""
    return Predictions(
        tuple(clips["clip_id"]),
        tuple("" if pd.isna(subject) else str(subject) for subject in clips["subject"]),
        tuple(clips["label"]),
        tuple(labels),
        probabilities,
    )


def class_weights(label: Tensor, classes: int, rule: str) -> Tensor:
    """Weights of the cross entropy: ``balanced`` is n / (classes * n_c), ``sqrt`` its square root.

    Classes without a clip weigh nothing. ``sqrt`` is scaled so that the mean over the clips is one, as it
    is for ``balanced``.
    """
    if rule == "none":
        return torch.ones(classes)
    counts = torch.bincount(label, minlength=classes).float()
    weights = torch.where(counts > 0, len(label) / (classes * counts.clamp_min(1)), 0.0)
    if rule == "sqrt":
        weights = weights.sqrt()
        weights = weights / weights[label].mean()
    return weights


class FewerNormal(DistributedSampler[Batch]):
    """Every clip that is not normal and a share of the normal ones, drawn anew for each epoch."""

    def __init__(self, clips: ClipTensors, share: float, world: int, rank: int, seed: int) -> None:
        normal = clips.label == 0
        self.normal, self.others = normal.nonzero()[:, 0], (~normal).nonzero()[:, 0]
        self.kept = max(1, round(share * len(self.normal))) if len(self.normal) else 0
        super().__init__(range(self.kept + len(self.others)), world, rank, seed=seed)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        drawn = self.normal[torch.randperm(len(self.normal), generator=generator)[: self.kept]]
        chosen = torch.cat([drawn, self.others])
        places: Iterator[Any] = super().__iter__()
        return (int(chosen[place]) for place in places)


def training_loader(
    clips: ClipTensors, batch_size: int, seed: int, world: int, rank: int, normal_share: float = 1.0
) -> DataLoader[Batch]:
    """Batches in an order that depends on seed and epoch alone, so that a resumed run repeats it."""
    sampler: DistributedSampler[Batch]
    if normal_share < 1:
        sampler = FewerNormal(clips, normal_share, world, rank, seed)
    else:
        sampler = DistributedSampler(clips, world, rank, shuffle=True, seed=seed)
    batch_size = min(batch_size, len(sampler))
    # Batch norm cannot learn from a batch of one, so an incomplete last batch is left out.
    return DataLoader(clips, batch_size, sampler=sampler, collate_fn=_as_is, drop_last=True)


def validation_loader(clips: ClipTensors, batch_size: int = 128) -> DataLoader[Batch]:
    """All clips in their own order."""
    return DataLoader(clips, batch_size, collate_fn=_as_is)


def _as_is(batch: Any) -> Any:
    return batch


def joined(clips: ClipTensors, more: ClipTensors) -> ClipTensors:
    """Two sets of clips as one."""
    both = {name: torch.cat([value, getattr(more, name)]) for name, value in clips.tensors().items()}
    if both["image"].ndim == 4:
        both["image"] = both["image"].to(memory_format=torch.channels_last)
    return ClipTensors(**both)


def copies_of(clips: ClipTensors, rows: Sequence[int], images: Tensor) -> ClipTensors:
    """Copies of clips: labels and metadata of `rows`, with images of their own."""
    chosen = torch.as_tensor(list(rows), dtype=torch.long)
    same = {name: value[chosen] for name, value in clips.tensors().items() if name != "image"}
    return ClipTensors(images, **same)


def subset(clips: ClipTensors, chosen: np.ndarray) -> ClipTensors:
    """The clips where `chosen` is True."""
    index = torch.as_tensor(np.flatnonzero(chosen))
    return ClipTensors(**clips.__getitems__(index))  # type: ignore[arg-type]
