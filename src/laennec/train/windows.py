"""Windows of a few seconds as examples: cut out of whole recordings, with what is heard in each.

A family of sounds is heard in a window that holds half of an annotated event, cycle or recording of it, or
lies in one by half; it is not where the window holds less than a tenth of any; between the two it is not
known. Of a recording of poor quality nothing is known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from laennec.errors import LaennecError
from laennec.features.base import Batch
from laennec.labels import POOR_QUALITY, SPRSOUND_RECORDS
from laennec.model.probability import FAMILIES
from laennec.models.window_task import WindowTask
from laennec.score.windows import Windows, threshold_at, write_windows
from laennec.train.crops import Balanced, Crop, Crops
from laennec.train.data import as_is
from laennec.train.decision import fit_scaling
from laennec.train.recipe import Recipe
from laennec.train.recordings import Example, RecordingExamples, read_recordings
from laennec.train.window_teacher import Taught, taught_recordings

STEP_S = 1.0  # from one measured window to the next
HEARD, NOT_HEARD = 0.5, 0.1  # of an event, cycle or recording in a window
TABLE = "windows.csv"
MODEL = "model"  # name of a fold's scores in its table

# Whether each record label is of each family; of a recording of poor quality nobody knows.
FAMILIES_OF = np.array(
    [
        [np.nan if name == POOR_QUALITY else float(family in name.split(" & ")) for family in FAMILIES]
        for name in SPRSOUND_RECORDS
    ]
)


@dataclass(frozen=True)
class WindowDecision:
    """How probabilities come of logits, and where a family is said to be heard."""

    slopes: tuple[float, ...] = (1.0, 1.0)
    offsets: tuple[float, ...] = (0.0, 0.0)
    thresholds: tuple[float, ...] = (0.5, 0.5)
    temperature = 1.0
    shift = 0.0

    def entries(self) -> dict[str, Any]:
        """Entries of the model file's card."""
        return {name: list(getattr(self, name)) for name in self.__dataclass_fields__}


def decided(logits: np.ndarray, target: np.ndarray) -> WindowDecision:
    """The decision that fits logits ``(windows, 2)`` of patients not trained on: logistic regression.

    Platt, "Probabilistic outputs for support vector machines", 1999. A label of which only one answer is
    known keeps the defaults.
    """
    numbers = []
    for column in range(target.shape[1]):
        known = ~np.isnan(target[:, column])
        own, truth = logits[known, column].astype(np.float64), target[known, column]
        if truth.min(initial=1) > 0.5 or truth.max(initial=0) < 0.5:
            numbers.append((1.0, 0.0, 0.5))
            continue
        two = torch.from_numpy(np.stack([-own / 2, own / 2], axis=1))
        temperature, bias = fit_scaling(two, torch.from_numpy(truth > 0.5).long())
        slope, offset = 1 / temperature, bias[1] - bias[0]
        probability = 1 / (1 + np.exp(-(slope * own + offset)))
        numbers.append((slope, offset, threshold_at(truth, probability)))
    return WindowDecision(
        *(tuple(round(float(value), 6) for value in own) for own in zip(*numbers, strict=True))
    )


@dataclass(frozen=True)
class WindowExamples(RecordingExamples):
    """Recordings held in memory, handed out as windows; the teacher's probabilities with them."""

    taught: Mapping[str, Taught] = field(default_factory=dict)
    """Of each recording by its name."""

    @torch.no_grad()
    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """All windows of one recording, `STEP_S` apart, normalised."""
        (index,) = indices
        own, front_end = self.examples[index], self.front_end
        first = first_frames(own, front_end)
        images = own.image.unfold(2, front_end.frames, 1)[:, :, first].permute(2, 0, 1, 3).float()
        length_s = front_end.frames * front_end.frame_s
        target = [heard(own, frame * front_end.frame_s, length_s) for frame in first]
        return {
            "image": front_end.normalised(images),
            "target": torch.tensor(np.array(target)).float(),
        }

    def measured(self, front_end: Any) -> list[int]:
        """Rows of the lungs that last a window, and of which anything is known."""
        return [
            row
            for row, own in enumerate(self.examples)
            if own.kind == 0 and own.image.shape[2] >= front_end.frames and (own.placed or len(own.stretches))
        ]

    def task(self, recipe: Recipe, front_end: Any) -> Any:
        """What a network is trained for on these windows."""
        weights = torch.ones(len(FAMILIES))
        if recipe.class_weights != "none":
            target = self.table(front_end).target
            positive, negative = (target > 0.5).sum(0), (target < 0.5).sum(0)
            ratio = np.where(positive > 0, negative / np.maximum(positive, 1), 1.0)
            weights = torch.tensor(ratio if recipe.class_weights == "balanced" else np.sqrt(ratio)).float()
        own = recipe.window
        share = own.teacher_weight if own.teacher else 0.0
        return WindowTask(front_end, weights, recipe.augmentation, share, own.temperature)

    def training_loader(
        self, recipe: Recipe, front_end: Any, world: int = 1, rank: int = 0
    ) -> DataLoader[Batch]:
        """Batches of windows, balanced over data sets (`laennec.train.crops`)."""
        rows = [
            row
            for row, own in enumerate(self.examples)
            if own.kind or (own.image.shape[2] >= front_end.frames and self._tells(own))
        ]
        if all(self.examples[row].kind for row in rows):
            raise LaennecError("no annotated recording lasts a window, which training needs")
        crops = WindowCrops(
            self.examples, front_end.frames, front_end.frame_s, recipe.records, taught=self.taught
        )
        rows = self._with_sick(rows, recipe.window.sick_share)
        return DataLoader(crops, batch_sampler=Balanced(crops, rows, recipe, world, rank), collate_fn=as_is)

    def _with_sick(self, rows: list[int], share: float) -> list[int]:
        """The rows, those with adventitious sounds as often as it takes for their share in each data set."""
        drawn = list(rows)
        for name in {self.examples[row].dataset for row in rows}:
            own = [row for row in rows if self.examples[row].dataset == name]
            sick = [row for row in own if np.nansum(FAMILIES_OF[self.examples[row].stretch_records]) > 0]
            if sick:
                well = len(own) - len(sick)
                more = round(share / (1 - share) * well) - len(sick)
                drawn += [sick[k % len(sick)] for k in range(max(0, more))]
        return drawn

    def _tells(self, own: Example) -> bool:
        return own.placed or len(own.stretches) > 0 or own.name in self.taught

    def loader(self) -> DataLoader[Batch]:
        """The windows of all recordings that can be measured on, one recording at a time."""
        return DataLoader(self, sampler=self.measured(self.front_end), batch_size=1, collate_fn=as_is)

    def undecided(self) -> Any:
        """Probabilities as the network gives them."""
        return WindowDecision()

    def decision(self, predictions: Sequence[Any], recipe: Recipe) -> Any:
        """Probabilities and thresholds that fit what a network predicted of these windows."""
        logits = torch.cat(list(predictions)).numpy()
        return decided(logits, self.table(self.front_end).target)

    def table(self, front_end: Any, predictions: Sequence[Tensor] | None = None) -> Windows:
        """The measured windows, with what a network predicted of each recording if that is given."""
        length_s = front_end.frames * front_end.frame_s
        who, start_s, target = [], [], []
        for row in self.measured(front_end):
            own = self.examples[row]
            for frame in first_frames(own, front_end):
                who.append((own.name, own.dataset, own.subject))
                start_s.append(frame * front_end.frame_s)
                target.append(heard(own, start_s[-1], length_s))
        recordings, sources, subjects = zip(*who, strict=True) if who else ((), (), ())
        scores = {} if predictions is None else {MODEL: torch.cat(list(predictions)).double().numpy()}
        known = np.array(target).reshape(len(who), len(FAMILIES))
        return Windows(recordings, sources, subjects, np.array(start_s), known, scores)

    def write(
        self, folder: Path, clips: pd.DataFrame, recipe: Recipe, predictions: Any, decision: Any = None
    ) -> None:
        """Write ``windows.csv`` of a network's predictions."""
        if predictions:
            write_windows(folder / TABLE, self.table(self.front_end, predictions))


@dataclass(frozen=True)
class WindowCrops(Crops):
    """Windows of recordings at any place, handed out a whole batch at a time."""

    taught: Mapping[str, Taught] = field(default_factory=dict)

    def __getitems__(self, crops: Sequence[Crop]) -> Batch:
        """As of `Crops`, with ``target`` and the teacher's ``soft``; ``(windows, 2)``, NaN: not known."""
        length_s = self.frames * self.frame_s
        places = [(self.examples[crop.row], crop.first * self.frame_s) for crop in crops]
        target = [heard(own, first_s, length_s) for own, first_s in places]
        soft = [self._soft(own, first_s, length_s) for own, first_s in places]
        return {
            **super().__getitems__(crops),
            "target": torch.tensor(np.array(target)).float(),
            "soft": torch.tensor(np.array(soft)).float(),
        }

    def _soft(self, own: Example, first_s: float, length_s: float) -> np.ndarray:
        taught = self.taught.get(own.name)
        return np.full(len(FAMILIES), np.nan) if taught is None else taught.window(first_s, length_s)


def first_frames(own: Example, front_end: Any) -> list[int]:
    """First frames of the measured windows of a recording, all of which lie in it."""
    step = round(STEP_S / front_end.frame_s)
    return list(range(0, own.image.shape[2] - front_end.frames + 1, step))


def heard(own: Any, first_s: float, length_s: float) -> np.ndarray:
    """What is heard in a window of a recording, ``(2,)``: 1, 0, or NaN where that is not known."""
    if own.kind:
        return np.zeros(len(FAMILIES))
    starts, ends = own.stretches[:, 0], own.stretches[:, 1]
    shared = np.minimum(ends, first_s + length_s) - np.maximum(starts, first_s)
    part = shared / np.maximum(np.minimum(ends - starts, length_s), 1e-6)
    told = FAMILIES_OF[own.stretch_records] if len(part) else np.zeros((0, len(FAMILIES)))
    if np.isnan(told).any() or not (own.placed or shared.clip(0).sum() > HEARD * length_s):
        return np.full(len(FAMILIES), np.nan)
    most = (part[:, None] * told).max(0, initial=0.0)
    return np.where(most >= HEARD, 1.0, np.where(most < NOT_HEARD, 0.0, np.nan))


def read_windows(
    events: pd.DataFrame, recordings: pd.DataFrame, recipe: Recipe, front_end: Any
) -> WindowExamples:
    """Recordings as `read_recordings` has them, with what the recipe's teacher hears in each."""
    if recipe.records != SPRSOUND_RECORDS:
        raise LaennecError(f"recipe {recipe.name}: records of a model for windows stay as they are")
    held = read_recordings(events, recordings, recipe, front_end)
    taught = taught_recordings(recordings, recipe) if recipe.window.teacher else {}
    return WindowExamples(held.examples, held.front_end, taught)
