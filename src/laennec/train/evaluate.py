"""What ``laennec evaluate`` does: a model file over annotated events or recordings, scored."""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from laennec import datasets
from laennec.audio.samples import counted
from laennec.datasets import splits
from laennec.datasets.records import load_clips
from laennec.datasets.simulated import shown_name
from laennec.errors import LaennecError, UsageError
from laennec.features.reading import cut_clips
from laennec.files import has_content, make_folder
from laennec.model.clips import LungModel
from laennec.model.detector import Detector
from laennec.model.load import RUN_MODEL, load_model, shipped_models
from laennec.score.evaluation import score_predictions
from laennec.score.page import evaluation_page
from laennec.score.predictions import write_predictions
from laennec.score.text import render_tables
from laennec.train.card import command, digest, learnt_from
from laennec.train.data import in_taxonomy, predictions
from laennec.train.evaluate_recordings import evaluate_recordings
from laennec.train.export import export
from laennec.train.protocols import make_split
from laennec.train.recipe import recipe_from_dict
from laennec.train.tables import record_rows, recordings_of
from laennec.train.unheard import unheard


def evaluate_model(model: str, dataset: str | None, data: Path, split: str, out: Path) -> int:
    """Run a model file over annotated events and write predictions, figures and a page."""
    if Path(model).is_dir() and model not in shipped_models() and not has_content(Path(model) / RUN_MODEL):
        export(model)
    lung_model = load_model(model)
    dataset = dataset or str(lung_model.card.recipe.get("dataset", "sprsound"))
    whole = isinstance(lung_model, Detector) and "event" not in datasets.dataset(dataset).LEVELS
    everything = load_clips(dataset, data, "record" if whole else "event")
    shown = shown_name(dataset, everything)
    make_folder(out, outside=(data,))
    if isinstance(lung_model, Detector):
        events = None if whole else everything
        records = everything if whole else record_rows(dataset, data, with_test=True)
        recordings = select(recordings_of(everything, records), split, lung_model)
        return evaluate_recordings(lung_model, events, recordings, shown, split, out, command())
    everything = for_model(everything, lung_model)
    clips = select(everything, split, lung_model)
    note = ""
    if split != "validation" and set(clips["clip_id"]) & training_clip_ids(everything, lung_model):
        note = ", with clips that the model was trained on"
        print(f"laennec: these events are scored{note}", file=sys.stderr)
    labels = lung_model.card.labels
    predicted = predictions(clips, labels, predict_clips(lung_model, clips))
    write_predictions(out / "predictions.csv", predicted)
    found = score_predictions(
        out / "predictions.csv",
        out,
        {
            "model": f"{lung_model.card.name}, sha256 {lung_model.sha256}",
            "data": f"{shown}, {counted(len(clips), 'event', '')}",
            "split": split + note,
            "command": command(),
            "seeds": [lung_model.card.recipe.get("seed")],
        },
        known=unheard(clips, predicted.clip_ids),
    )
    page = evaluation_page(out, clips, predicted, found)
    print(render_tables(found))
    print(f"page: {page}")
    return 0


def for_model(clips: pd.DataFrame, model: LungModel) -> pd.DataFrame:
    """The clips with their labels as the model has them.

    Where its recipe maps labels to another taxonomy, or leaves some out, so does this.
    """
    labels = model.card.labels
    if "name" in model.card.recipe:
        recipe = recipe_from_dict(dict(model.card.recipe), "the model's recipe")
        before = len(clips)
        clips = in_taxonomy(clips, recipe)
        if len(clips) < before:
            print(
                f"left out: {counted(before - len(clips), 'clip', '')} with none of the labels "
                f"{', '.join(labels)}",
                file=sys.stderr,
            )
    unknown = sorted(set(clips["label"]) - set(labels))
    if unknown:
        raise LaennecError(f"the data has labels that the model does not know: {', '.join(unknown)}")
    if clips.empty:
        raise LaennecError(f"no clip has one of the model's labels: {', '.join(labels)}")
    return clips


def held_out(clips: pd.DataFrame, model: LungModel | Detector) -> np.ndarray | None:
    """Mask of the clips that the model's recipe held out, or None if they cannot be told from this data.

    The split is drawn again and compared with what the model file says of its validation side: from other
    data, or from data that lacks a recording, another split would come out.
    """
    if "name" not in model.card.recipe:
        return None
    recipe = recipe_from_dict(dict(model.card.recipe), "the model's recipe")
    official = recipe.split.startswith("official")
    training = np.ones(len(clips), bool) if official else ~splits.in_test_set(clips)
    if recipe.split == "none" or not training.any():
        return None
    mask = np.zeros(len(clips), bool)
    try:
        mask[training] = make_split(clips[training], recipe).validation
    except LaennecError:  # too few patients or clips to be split at all
        return None
    same = digest(clips["clip_id"][mask]) == model.card.metrics.get("clips_sha256")
    return mask if same else None


def training_clip_ids(clips: pd.DataFrame, model: LungModel) -> set[str]:
    """Ids of the clips that the model was trained on, as far as they can be told.

    A model of all patients was trained on every clip of its public data set but the test set's.
    """
    training = ~splits.in_test_set(clips)
    recipe = model.card.recipe
    if recipe.get("split") == "none":
        learnt = clips["dataset"].isin(learnt_from(recipe, model.card.data)).to_numpy(bool)
        if learnt.any():
            return set(clips["clip_id"][training & learnt])
    mask = held_out(clips, model)
    return set() if mask is None else set(clips["clip_id"][training & ~mask])


def select(clips: pd.DataFrame, split: str, model: LungModel | Detector) -> pd.DataFrame:
    """The clips of a split, by its name in the data, ``all``, or ``validation``: what the model held out."""
    column = clips["split"].astype(str)
    if split == "all":
        chosen = clips
    elif split == "validation":
        mask = held_out(clips, model)
        if mask is None:
            raise LaennecError(
                "the side that this model held out cannot be drawn again from this data; if the model has "
                "never seen it, measure all of it with --split all"
            )
        chosen = clips[mask]
    elif split == "official-disjoint":
        chosen = clips[splits.official_disjoint(clips).validation]
    elif year := re.fullmatch(r"test-(20\d\d)", split):
        chosen = clips[splits.in_test_set(clips) & clips["release"].eq(year[1]).to_numpy(bool)]
    elif split in ("test", "official"):
        chosen = clips[splits.in_test_set(clips)]
    else:
        chosen = clips[column == split]
    if chosen.empty:
        years = clips["release"][splits.in_test_set(clips)].dropna().unique()
        named = {*column[column.str.len() > 0].unique(), *(f"test-{year}" for year in years)}
        there = sorted({"all", "validation", "official", "official-disjoint", *named} - {"None", "nan"})
        raise UsageError(f"no event is in split {split!r}; there are: {', '.join(there)}")
    return chosen.reset_index(drop=True)


def predict_clips(model: LungModel, clips: pd.DataFrame) -> np.ndarray:
    """Probabilities of annotated clips, ``(clips, classes)``; clips have rows 0, 1, 2, …"""
    probabilities = np.empty((len(clips), len(model.card.labels)))
    rate = model.card.sample_rate
    age = clips["age_years"].to_numpy(float)
    sex = [value if value in model.card.sexes else None for value in clips["sex"]]
    position = [value if value in model.card.positions else None for value in clips["location"]]
    for row, samples in cut_clips(clips, rate, "evaluating"):
        probabilities[row] = model.predict([samples], rate, age[row], sex[row], position[row])[0]
    return probabilities
