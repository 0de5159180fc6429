"""From the clips table to tensors, and from tensors to batches: clips of one length, held in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from laennec.errors import LaennecError
from laennec.features.augment import draw_copies
from laennec.features.base import Batch, Cycle, FrontEnd
from laennec.labels import POSITIONS, SEXES, spelling, to_icbhi, vocabulary_index
from laennec.models.tasks import ClipTask, class_weights
from laennec.score.predictions import Predictions, write_predictions
from laennec.train.decision import Decision, fit_decision
from laennec.train.recipe import Recipe


@dataclass(frozen=True)
class ClipTensors(Dataset[Batch]):
    """Clips held in memory, handed out a whole batch at a time.

    Attributes
    ----------
    image
        ``(clips, channels, bins, frames)``, or None where images are computed batch by batch.
    label
        ``(clips,)`` index into the recipe's labels.
    age_years, sex, position
        ``(clips,)``: NaN or 0 where not known.
    """

    image: Tensor | None
    label: Tensor
    age_years: Tensor
    sex: Tensor
    position: Tensor
    waveform: Tensor | None = None
    """``(clips, samples)`` that images are computed from, batch by batch."""
    bounds: Tensor | None = None
    """``(clips, 2)`` samples of events in `waveform`."""
    allowed: Tensor | None = None
    """``(clips, classes)`` 1 where a label may mean a class, of those that mean several; None: `label`."""
    cycles: Sequence[Cycle] = ()
    """What augmented copies are made of."""

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, index: int) -> Batch:
        return {key: value[0] for key, value in self.__getitems__([index]).items()}

    def __getitems__(self, indices: Sequence[int] | np.ndarray) -> Batch:
        chosen = torch.as_tensor(indices)
        return {name: value[chosen] for name, value in self.tensors().items()}

    def tensors(self) -> Batch:
        """What is held, by name."""
        held = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "cycles"}
        return {name: value for name, value in held.items() if value is not None}

    def subset(self, chosen: np.ndarray) -> "ClipTensors":
        """The clips where `chosen` is True."""
        return _tensors(self.__getitems__(np.flatnonzero(chosen)))

    def joined(self, more: "ClipTensors") -> "ClipTensors":
        """These clips and more of them, whose labels may mean several classes."""
        own = self.tensors()
        if more.allowed is not None and self.allowed is None:
            own["allowed"] = nn.functional.one_hot(self.label, more.allowed.shape[1]).float()
        return _tensors({name: torch.cat([value, getattr(more, name)]) for name, value in own.items()})

    def fit_statistics(self, front_end: FrontEnd) -> None:
        """Let the front end learn what it normalises by."""
        if self.image is not None:
            front_end.fit_statistics(self.image)

    def normalised(self, front_end: FrontEnd) -> "ClipTensors":
        """The clips with their images normalised."""
        if self.image is None:
            return self
        return replace(self, image=front_end.normalised(self.image).to(memory_format=torch.channels_last))

    def additions(self, chosen: np.ndarray, recipe: Recipe, front_end: FrontEnd) -> "ClipTensors | None":
        """Augmented copies of the clips where `chosen` is True, as the recipe's seed draws them."""
        rows = np.flatnonzero(chosen)
        labels = [recipe.labels[int(self.label[row])] for row in rows]
        drawn = draw_copies(labels, recipe.augmentation, recipe.seed)
        if not drawn:
            return None
        own = [self.cycles[int(row)] for row in rows] if self.cycles else []
        images = front_end.copies(own, drawn, recipe.padding, recipe.known_phases)
        index = torch.as_tensor([int(rows[copy.row]) for copy in drawn])
        same = {name: value[index] for name, value in self.tensors().items() if name != "image"}
        return _tensors({**same, "image": images})

    def task(self, recipe: Recipe, front_end: FrontEnd) -> ClipTask:
        """What a network is trained for on these clips."""
        return ClipTask(
            front_end,
            recipe.labels,
            class_weights(self.label, len(recipe.labels), recipe.class_weights),
            recipe.augmentation,
            recipe.loss,
            recipe.focal_gamma,
            recipe.label_smoothing,
        )

    def undecided(self) -> Decision:
        """Predictions as the network gives them."""
        return Decision()

    def decision(self, outputs: Sequence[Tensor], recipe: Recipe) -> Decision:
        """The decision that fits what a network predicted of these clips, which it was not trained on."""
        return fit_decision(torch.cat(list(outputs)).double().numpy(), self.label.numpy(), recipe.decision)

    def write(
        self,
        folder: Path,
        clips: pd.DataFrame,
        recipe: Recipe,
        outputs: Sequence[Tensor],
        decision: Decision | None = None,
    ) -> None:
        """Write ``predictions.csv`` of what a network predicted of them."""
        logits = torch.cat(list(outputs)).double()
        probabilities = logits.softmax(1).numpy() if decision is None else decision.applied(logits.numpy())
        write_predictions(folder / "predictions.csv", predictions(clips, recipe.labels, probabilities))

    def training_loader(
        self, recipe: Recipe, front_end: FrontEnd, world: int = 1, rank: int = 0
    ) -> DataLoader[Batch]:
        """Batches in an order that depends on seed and epoch alone, so that a resumed run repeats it.

        Of several processes each takes its share of every batch, and no clip is taken twice.
        """
        sampler: DistributedSampler[Batch]
        if recipe.normal_share < 1:
            sampler = FewerNormal(self, recipe.normal_share, world, rank, recipe.seed)
        else:
            sampler = DistributedSampler(
                self, world, rank, shuffle=True, seed=recipe.seed, drop_last=world > 1
            )
        batch_size = share_of(recipe.batch_size, world, len(sampler))
        # Batch norm cannot learn from a batch of one, so an incomplete last batch is left out.
        return DataLoader(self, batch_size, sampler=sampler, collate_fn=as_is, drop_last=True)

    def loader(self, batch_size: int = 128) -> DataLoader[Batch]:
        """All clips in their own order."""
        return DataLoader(self, batch_size, collate_fn=as_is)


def _tensors(batch: Batch) -> ClipTensors:
    return ClipTensors(**{"image": None, **batch})  # type: ignore[arg-type]


def in_taxonomy(clips: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """The clips with their labels in the recipe's taxonomy; others are refused or left out, as it says."""
    if recipe.taxonomy == "icbhi":
        clips = clips.assign(label=[to_icbhi(str(label)) or label for label in clips["label"]])
    elif recipe.other_labels == "leave out":
        clips = clips.assign(label=[spelling(str(label), recipe.labels) or label for label in clips["label"]])
    unknown = sorted(set(clips["label"]) - set(recipe.labels))
    if unknown and recipe.other_labels == "refuse":
        raise LaennecError(
            f"the data has labels that the recipe does not: {', '.join(unknown)}; "
            f"it knows {', '.join(recipe.labels)}"
        )
    return clips[clips["label"].isin(recipe.labels)].reset_index(drop=True)


def read_clips(clips: pd.DataFrame, recipe: Recipe, front_end: FrontEnd) -> ClipTensors:
    """Read and cut clips, before anything is fitted."""
    features = front_end.read(clips, recipe.padding, recipe.known_phases)
    label = torch.as_tensor([recipe.labels.index(label) for label in clips["label"]])
    held = (features.image, label, *metadata_tensors(clips), features.waveform, features.bounds)
    return ClipTensors(*held, cycles=features.cycles)


def read_auxiliary(clips: pd.DataFrame, recipe: Recipe, front_end: FrontEnd) -> ClipTensors:
    """Clips of the auxiliary data set (`Recipe.also`), whose labels may mean several classes.

    Raises
    ------
    LaennecError
        If ICBHI has no name for a label, or the front end is one of cycles.
    """
    if front_end.task == "cycle":
        raise LaennecError(f"recipe {recipe.name} is one of cycles and takes no second data set (also)")
    labels, names = list(clips["label"]), " and ".join(recipe.also)
    allowed = torch.tensor(allowed_classes(labels, recipe, names, exact=False)).float()
    first = [recipe.labels[int(row)] for row in allowed.argmax(1)]
    return replace(read_clips(clips.assign(label=first), recipe, front_end), allowed=allowed, cycles=())


def allowed_classes(labels: Sequence[object], recipe: Recipe, dataset: str, exact: bool = True) -> np.ndarray:
    """The recipe's classes that each label may mean, ``(labels, classes)`` bool: all that ICBHI calls so.

    With `exact`, a label that is the recipe's own means itself alone.

    Raises
    ------
    LaennecError
        If none of the recipe's classes stands for a label.
    """
    classes = np.array([to_icbhi(label) or label for label in recipe.labels])
    rows = {}
    for label in {str(label) for label in labels}:
        own = np.array([label == name for name in recipe.labels])
        rows[label] = own if exact and own.any() else classes == (to_icbhi(label) or label)
    strange = sorted(label for label, row in rows.items() if not row.any())
    if strange:
        raise LaennecError(
            f"{dataset} has labels that none of the recipe's classes stands for: {', '.join(strange)}"
        )
    nothing = np.zeros((0, len(recipe.labels)), bool)
    return np.array([rows[str(label)] for label in labels], bool) if len(labels) else nothing


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


class FewerNormal(DistributedSampler[Batch]):
    """Every clip that is not normal and a share of the normal ones, drawn anew for each epoch."""

    def __init__(self, clips: ClipTensors, share: float, world: int, rank: int, seed: int) -> None:
        normal = clips.label == 0
        self.normal, self.others = normal.nonzero()[:, 0], (~normal).nonzero()[:, 0]
        self.kept = max(1, round(share * len(self.normal))) if len(self.normal) else 0
        chosen: Any = range(self.kept + len(self.others))
        super().__init__(chosen, world, rank, seed=seed, drop_last=world > 1)

    def __iter__(self) -> Iterator[Any]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        drawn = self.normal[torch.randperm(len(self.normal), generator=generator)[: self.kept]]
        chosen = torch.cat([drawn, self.others])
        places: Iterator[Any] = super().__iter__()
        return (int(chosen[place]) for place in places)


def share_of(batch: int, world: int, there: int) -> int:
    """Items of a batch that each of several processes takes, of as many as are `there` for it.

    LaennecError if that is one, which batch norm cannot learn from.
    """
    share = min(batch // world, there)
    if world > 1 and share < 2:
        raise LaennecError(
            f"a batch of {min(batch, there * world)} cannot be shared out over {world} processes; start fewer"
        )
    return share


def as_is(batch: Any) -> Any:
    """A batch that its data set has put together."""
    return batch
