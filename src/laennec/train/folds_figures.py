"""What a cross-validation shows: scores and intervals over patients, pairs of classes, groups of patients."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from laennec.audio.samples import by_number, counted
from laennec.errors import LaennecError
from laennec.labels import AGE_GROUPS, TO_ICBHI
from laennec.score.bootstrap import DRAWS
from laennec.score.confusion import ignored_classes, normal_class
from laennec.score.evaluation import score
from laennec.score.predictions import Predictions
from laennec.score.summary import ClipScores, bootstrap_difference, evaluate
from laennec.score.tasks import merged
from laennec.score.text import bracketed, number, with_interval
from laennec.train.unheard import unheard


def pair(predictions: Predictions, sound: str) -> Predictions:
    """Normal events and those of one sound of ICBHI's (``crackle`` or ``wheeze``) alone, as two classes.

    The probability of the sound is the share of its classes among theirs and Normal's together.
    """
    kinds = np.array([TO_ICBHI[name] for name in predictions.classes])
    named = [TO_ICBHI[label] for label in predictions.labels]
    chosen = predictions.chosen(np.flatnonzero(np.isin(named, ("normal", sound))))
    normal = chosen.probabilities[..., kinds == "normal"].sum(-1)
    adventitious = chosen.probabilities[..., (kinds == sound) | (kinds == "both")].sum(-1)
    share = adventitious / np.maximum(normal + adventitious, 1e-12)
    return replace(
        chosen,
        labels=tuple(TO_ICBHI[label] for label in chosen.labels),
        classes=("normal", sound),
        probabilities=np.stack([1 - share, share], axis=-1),
    )


def groups(clips: pd.DataFrame) -> dict[str, dict[str, np.ndarray]]:
    """Masks of clips by age, sex and position."""
    age = clips["age_years"].to_numpy(float)
    return {
        "age": {name: (age >= low) & (age < high) for name, (low, high) in AGE_GROUPS.items()},
        **{
            name: {
                str(value): (clips[column] == value).to_numpy()
                for value in sorted(clips[column].dropna().unique())
            }
            for name, column in (("sex", "sex"), ("position", "location"))
        },
    }


def measure(predictions: Predictions, clips: pd.DataFrame, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that is reported of a cross-validation, ready for JSON.

    Parameters
    ----------
    predictions
        Of all folds; ``(runs, clips, classes)`` of several seeds.
    clips
        The clips table, for the groups of patients; any order.
    """
    known = unheard(clips, predictions.clip_ids)
    figures: dict[str, Any] = {**score(predictions, provenance, known=known)}
    if set(predictions.classes) <= set(TO_ICBHI):
        for sound in ("crackle", "wheeze"):
            chosen = pair(predictions, sound)
            if not chosen.labels:
                continue
            scores = _evaluate(chosen)
            names = ("binary_f1", "binary_roc_auc", "binary_sensitivity", "binary_specificity")
            figures[f"normal_{sound}"] = {"clips": scores["clips"], **_some(scores, names)}
    ordered = clips.set_index("clip_id").loc[list(predictions.clip_ids)].reset_index()
    figures["groups"] = {
        name: {value: _of_group(predictions, mask) for value, mask in masks.items()}
        for name, masks in groups(ordered).items()
    }
    return figures


def _evaluate(predictions: Predictions, draws: int = DRAWS) -> ClipScores:
    return evaluate(
        predictions.labels,
        predictions.probabilities,
        predictions.subjects,
        predictions.classes,
        normal_class(predictions.classes),
        draws=draws,
    )


def _of_group(predictions: Predictions, mask: np.ndarray) -> dict[str, Any]:
    if not mask.any():
        return {"clips": 0}
    own = predictions.chosen(np.flatnonzero(mask))
    scores = _evaluate(own, draws=500)
    return {
        "clips": scores["clips"],
        "patients": scores["subjects"],
        "adventitious": sum(label != own.classes[0] for label in own.labels),
        **_some(scores, ("sensitivity", "specificity", "challenge_score")),
    }


def _some(scores: ClipScores, names: Sequence[str]) -> dict[str, Any]:
    """Some of the scores of `evaluate` with their intervals."""
    return {key: {name: scores[key][name] for name in names} for key in ("scores", "intervals")}


def difference(first: Predictions, second: Predictions) -> dict[str, Any]:
    """Scores of the second cross-validation less those of the first, with paired intervals over patients.

    The clips of the second are compared; their order may differ, and so may the numbers of seeds.

    Raises
    ------
    LaennecError
        If the first lacks some of them.
    """
    place = {clip: row for row, clip in enumerate(first.clip_ids)}
    missing = [clip for clip in second.clip_ids if clip not in place]
    if missing:
        are = f"{counted(len(missing), 'clip')} {by_number(len(missing), 'is', 'are')}"
        raise LaennecError(f"{are} not in the other cross-validation, first {missing[0]}")
    first = first.chosen([place[clip] for clip in second.clip_ids])

    def of(one: Predictions, other: Predictions) -> dict[str, Any]:
        return bootstrap_difference(
            one.labels,
            one.probabilities,
            other.probabilities,
            one.subjects,
            one.classes,
            normal_class(one.classes),
            ignored_classes(one.classes),
        )

    return {"task_12": of(first, second), "task_11": of(merged(first), merged(second))}


def render_differences(figures: Mapping[str, Any]) -> str:
    """Pairs of classes and differences of `measure` as text, under the tables of `score.predictions`."""
    text = ""
    for sound in ("crackle", "wheeze"):
        one = figures.get(f"normal_{sound}")
        if one and one["scores"]["binary_roc_auc"] is not None:  # None: all are normal, or none is
            f1, auc = (
                with_interval(one["scores"][name], one["intervals"][name])
                for name in ("binary_f1", "binary_roc_auc")
            )
            text += f"Normal against {sound}: F {f1}, AUC {auc}; {counted(one['clips'], 'event', '')}\n"
    against, *tasks = figures.get("difference", {"against": None}).items()
    for task, scores in tasks:
        one = scores["challenge_score"]
        text += (
            f"Score of {task.replace('_', ' ')} less that of {against[1]}: "
            f"{number(one['difference'], 4, sign='+')}{bracketed(one['interval'])}\n"
        )
    return text
