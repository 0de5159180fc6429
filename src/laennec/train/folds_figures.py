"""What a cross-validation shows: scores and intervals over patients, pairs of classes, groups of patients."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from laennec.errors import LaennecError
from laennec.labels import AGE_GROUPS, TO_ICBHI
from laennec.score.confusion import ignored_classes, normal_class
from laennec.score.evaluation import score
from laennec.score.predictions import Predictions
from laennec.score.summary import ClipScores, bootstrap_difference, evaluate
from laennec.score.tasks import merged
from laennec.score.text import bracketed, with_interval


def pair(predictions: Predictions, sound: str) -> Predictions:
    """Normal events and those of one sound of ICBHI's (``crackle`` or ``wheeze``) alone, as two classes.

    The probability of the sound is the share of its classes among theirs and Normal's together.
    """
    kinds = np.array([TO_ICBHI[name] for name in predictions.classes])
    chosen = np.array([TO_ICBHI[label] in ("normal", sound) for label in predictions.labels])
    probabilities = predictions.probabilities[..., chosen, :]
    normal = probabilities[..., kinds == "normal"].sum(-1)
    loud = probabilities[..., (kinds == sound) | (kinds == "both")].sum(-1)
    share = loud / np.maximum(normal + loud, 1e-12)

    def kept(values: Sequence[str]) -> tuple[str, ...]:
        return tuple(value for value, keep in zip(values, chosen, strict=True) if keep)

    return Predictions(
        kept(predictions.clip_ids),
        kept(predictions.subjects),
        tuple(TO_ICBHI[label] for label in kept(predictions.labels)),
        ("normal", sound),
        np.stack([1 - share, share], axis=-1),
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
    found: dict[str, Any] = {**score(predictions, provenance)}
    if set(predictions.classes) <= set(TO_ICBHI):
        for sound in ("crackle", "wheeze"):
            two = pair(predictions, sound)
            told = evaluate(two.labels, two.probabilities, two.subjects, two.classes, "normal")
            names = ("binary_f1", "binary_roc_auc", "binary_sensitivity", "binary_specificity")
            found[f"normal_{sound}"] = {"clips": told["clips"], **_some(told, names)}
    ordered = clips.set_index("clip_id").loc[list(predictions.clip_ids)].reset_index()
    found["groups"] = {
        name: {value: _of_group(predictions, mask) for value, mask in masks.items()}
        for name, masks in groups(ordered).items()
    }
    return found


def _of_group(predictions: Predictions, mask: np.ndarray) -> dict[str, Any]:
    if not mask.any():
        return {"clips": 0}
    kept = [np.array(values)[mask] for values in (predictions.labels, predictions.subjects)]
    told = evaluate(
        list(kept[0]),
        predictions.probabilities[..., mask, :],
        list(kept[1]),
        predictions.classes,
        draws=500,
    )
    return {
        "clips": told["clips"],
        "patients": told["subjects"],
        "adventitious": int((kept[0] != predictions.classes[0]).sum()),
        **_some(told, ("sensitivity", "specificity", "challenge_score")),
    }


def _some(told: ClipScores, names: Sequence[str]) -> dict[str, Any]:
    """Some of the scores of `evaluate` with their intervals."""
    return {
        "scores": {name: told["scores"][name] for name in names},
        "intervals": {name: told["intervals"][name] for name in names},
    }


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
        raise LaennecError(f"{len(missing)} clips are not in the other cross-validation, first {missing[0]}")
    order = [place[clip] for clip in second.clip_ids]
    first = replace(
        second,
        labels=tuple(first.labels[row] for row in order),
        subjects=tuple(first.subjects[row] for row in order),
        probabilities=first.probabilities[..., order, :],
    )

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


def render_differences(told: Mapping[str, Any]) -> str:
    """Pairs of classes and differences of `measure` as text, under the tables of `score.predictions`."""
    lines = []
    for sound in ("crackle", "wheeze"):
        if f"normal_{sound}" in told:
            one = told[f"normal_{sound}"]
            parts = [
                f"{title} {with_interval(one['scores'][name], one['intervals'][name])}"
                for name, title in (("binary_f1", "F"), ("binary_roc_auc", "AUC"))
            ]
            lines.append(f"Normal against {sound}: {', '.join(parts)}; {one['clips']} events")
    if "difference" in told:
        for task, scores in told["difference"].items():
            if task != "against":
                one = scores["challenge_score"]
                lines.append(
                    f"Score of {task.replace('_', ' ')} less that of {told['difference']['against']}: "
                    f"{one['difference']:+.4f}{bracketed(one['interval'])}"
                )
    return "".join(f"{line}\n" for line in lines)
