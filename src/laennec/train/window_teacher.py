"""What a larger model hears in whole recordings, for a small one for windows to learn."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from laennec.datasets.table import read_csv
from laennec.errors import LaennecError
from laennec.labels import SOUND_KINDS
from laennec.model.load import load_detector, model_path
from laennec.model.probability import family_presence, pooled_presence
from laennec.train.protocols import Fold
from laennec.train.recipe import Recipe
from laennec.train.recordings import read_each
from laennec.train.tables import source_of


@dataclass(frozen=True)
class Taught:
    """What a teacher hears in every frame of a recording."""

    there: np.ndarray
    """``(2, frames)`` probability of each family."""
    frame_s: float

    def window(self, first_s: float, length_s: float) -> np.ndarray:
        """Probability that each family is in a window, ``(2,)``."""
        first = min(round(first_s / self.frame_s), self.there.shape[1] - 1)
        end = max(first + 1, round((first_s + length_s) / self.frame_s))
        return pooled_presence(self.there[:, first:end].astype(np.float64))


def taught_recordings(recordings: pd.DataFrame, recipe: Recipe) -> dict[str, Taught]:
    """What the recipe's teacher, a model for whole recordings, hears in each recording of a lung, by name."""
    teacher = load_detector(recipe.window.teacher)
    labels, frame_s = teacher.card.labels, teacher.card.frame_s
    lungs = recordings[~recordings["label"].isin(SOUND_KINDS[1:])]
    taught = {}
    for _, name, _, samples in read_each(lungs, recipe, teacher.card.sample_rate):
        parts = [
            family_presence(frames.presence[0], frames.class_logits(), labels)
            for (frames,) in teacher.frames([samples[None].astype(np.float32)])
        ]
        taught[name] = Taught(np.concatenate(parts, axis=1).astype(np.float32), frame_s)
    return taught


def refuse_teacher(recipe: Recipe, recordings: pd.DataFrame, fold: Fold) -> None:
    """Refuse a teacher that may have been trained on patients that a fold measures on.

    A fold's folder has the sets of its recordings beside the model (``clips.csv``). Any other model may teach
    where nothing is measured.

    Raises
    ------
    LaennecError
        With how many such patients there are.
    """
    tested = fold.test & ~fold.train
    if fold.validation is not None:
        tested = tested | (fold.validation & ~fold.train)
    if not recipe.window.teacher or not tested.any():
        return
    beside = Path(model_path(recipe.window.teacher)).parent / "clips.csv"
    if not beside.is_file():
        raise LaennecError(
            f"teacher {recipe.window.teacher}: which patients it was trained on is not told; where patients "
            "are measured on, name the model.onnx in a fold's folder of a cross-validation, or train on all "
            "of them (--set split=none)"
        )
    table = read_csv(beside, dtype=str, keep_default_na=False)
    trained = patients_of(table[table["side"] == "train"])
    heard = patients_of(recordings[tested]) & trained
    if heard:
        raise LaennecError(
            f"teacher {recipe.window.teacher}: trained on {len(heard)} of the patients that are measured on"
        )


def patients_of(table: pd.DataFrame) -> set[tuple[str, str]]:
    """Data set and subject of each row, or its recording where that is not known."""
    source = source_of(table)
    who = table["subject"].where(table["subject"].fillna("") != "", table["recording"]).astype(str)
    # Tables of several data sets have the data set in front of a subject.
    bare = [name.removeprefix(f"{own}-") for name, own in zip(who, source, strict=True)]
    return set(zip(source, bare, strict=True))
