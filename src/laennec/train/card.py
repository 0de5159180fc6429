"""The model card: what a model file says of itself, as Markdown for people.

Mitchell et al., "Model cards for model reporting", FAT* 2019.
"""

import hashlib
import os
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from laennec import datasets
from laennec.audio.samples import counted
from laennec.datasets.discovery import OWN
from laennec.datasets.simulated import PREFIX, shown_name
from laennec.model.integer import IntegerModel
from laennec.score.markdown import Cell, table
from laennec.score.phases import PHASE_HEADER, phase_rows
from laennec.score.text import interval, number, of_patients
from laennec.score.windows import SPECIFICITY, WINDOW_HEADER, window_rows
from laennec.train.card_facts import (
    REMARKS,
    auxiliary,
    clip_classes,
    development_data,
    inputs,
    measured_on,
    purpose,
)
from laennec.train.recipe import Recipe
from laennec.train.recording_certainty import CERTAIN, PREVALENCE
from laennec.version import DISCLAIMER


def render_card(metadata: Mapping[str, Any], sha256: str) -> str:
    """Markdown from the metadata of a model file; what is not known is left out."""
    data, limits = development_data(metadata), metadata.get("limits")
    lines = [
        f"# Model card: {metadata['name']}",
        "",
        DISCLAIMER,
        "",
        f"- File: sha256 `{sha256}`, written by Laennec {metadata['version']}",
        f"- Task: {clip_classes(metadata)}",
        f"- {inputs(metadata)}",
        *(["- Age, sex and position are accepted and not used"] if not metadata["uses_metadata"] else []),
        f"- Calibration: temperature {metadata['temperature']:.3f}",
        "",
        *(["## Training data", "", *data, ""] if data else []),
        *_figures(metadata),
        *(["## Limits", "", str(limits), ""] if limits else []),
    ]
    return "\n".join(lines).rstrip() + "\n"


def render_recording_card(metadata: Mapping[str, Any], sha256: str) -> str:
    """The card as a page of Markdown."""
    metrics = metadata.get("metrics", {})
    figures = (
        f"- {' '.join((f'{key}: {value}', REMARKS.get(key, ''))).rstrip()}"
        for key, value in metrics.items()
        if key != "strangers"
    )
    lines = [
        *_beginning(metadata, sha256),
        *_data(metadata),
        "## Measured",
        "",
        *figures,
        "",
        *_strangers(metrics.get("strangers", {})),
        *_end(metadata),
    ]
    return "\n".join(lines)


def render_window_card(model: IntegerModel, sha256: str) -> str:
    """The card of a model for windows as a page of Markdown."""
    entries, metrics = model.metadata, model.metadata.get("metrics", {})
    thresholds = zip(model.labels, entries["thresholds"], strict=True)
    lines = [
        *_beginning(entries, sha256),
        f"- Integers of 8 bits: {model.weight_bytes()} bytes, {model.multiplications()} products a window",
        f"- Thresholds: {', '.join(f'{label} {value:.3f}' for label, value in thresholds)} (specificity "
        f"{SPECIFICITY:g} on held-out windows of all data sets)",
        *_data(entries),
    ]
    if "datasets" in metrics:
        rows = window_rows(metrics["datasets"])
        lines += _measured(entries, WINDOW_HEADER, rows)
    return "\n".join([*lines, *_end(entries)])


def render_phase_card(metadata: Mapping[str, Any], sha256: str) -> str:
    """The card of a model for breath phases as a page of Markdown."""
    metrics = metadata.get("metrics", {})
    lines = [
        *_beginning(metadata, sha256),
        *_data(metadata),
    ]
    if "seeds" in metrics:
        rows = [row for seed, own in metrics["seeds"].items() for row in phase_rows(own, f"seed {seed}")]
        lines += _measured(metadata, PHASE_HEADER, rows)
    return "\n".join([*lines, *_end(metadata)])


def _beginning(metadata: Mapping[str, Any], sha256: str) -> list[str]:
    version = f"- Version {metadata['version']}, SHA-256 `{sha256}`"
    beginning = [f"# Model {metadata['name']}", "", DISCLAIMER, "", purpose(metadata), ""]
    return [*beginning, version, f"- {inputs(metadata)}"]


def _end(metadata: Mapping[str, Any]) -> list[str]:
    return ["## Limits", "", str(metadata.get("limits", "")), ""]


def _data(metadata: Mapping[str, Any]) -> list[str]:
    return ["", "## Data", "", *development_data(metadata), ""]


def _measured(
    metadata: Mapping[str, Any], header: Sequence[str], rows: Iterable[Sequence[Cell]]
) -> list[str]:
    command = metadata["metrics"]["command"]
    return [
        "## Measured",
        "",
        measured_on(metadata),
        "",
        f"Command: `{command}`",
        "",
        table(header, rows),
        "",
    ]


def trained_on(recipe: Recipe, recordings: int) -> dict[str, Any]:
    """Entries of the card about the data sets of a recipe, of which a model had so many rows."""
    sets = [datasets.dataset(name) for name in (recipe.dataset, *recipe.also)]
    return {
        "training": "; ".join(own.TITLE for own in sets),
        "licence": "; ".join(f"{own.TITLE}: {own.LICENCE}" for own in sets),
        "citation": "; ".join(own.CITATION for own in sets),
        "recordings": recordings,
    }


def strangers_of(figures: Mapping[str, Any]) -> dict[str, Any]:
    """What a card tells of the figures of a rehearsal: of every split, data set, device and age group."""
    told: dict[str, Any] = {}
    for split, own in figures["splits"].items():
        for dataset, all_of_it in own["recordings"].items():
            parts = {dataset: all_of_it}
            for title in ("devices", "ages"):
                if len(all_of_it[title]) > 1:
                    parts |= {f"{dataset}, {name}": each for name, each in all_of_it[title].items()}
            refused = own["refusals"].get(dataset, {}).get("value")
            told[split] = {**told.get(split, {}), **{name: _told(each) for name, each in parts.items()}}
            told[split][dataset]["refused"] = refused and round(refused, 4)
    return told


def _told(own: Mapping[str, Any]) -> dict[str, Any]:
    """Of a group of recordings: how many, the ranking, and the certain answers."""
    scores = {"auc": own["auc"].get("sick", {}), **{name: own["certain"].get(name, {}) for name in CERTAIN}}
    values = {name: score.get("value") for name, score in scores.items()}
    counts = {"recordings": own["recordings"], "patients": own["patients"]}
    return {**counts, **{name: value and round(value, 4) for name, value in values.items()}}


def _strangers(told: Mapping[str, Any]) -> list[str]:
    """The table of `strangers_of`."""
    if not told:
        return []
    columns = {"auc": "AUC, sick or well", **CERTAIN, "refused": "refused"}
    rows = [
        [split, name, f"{own['recordings']}, {own['patients']}", *(own.get(column) for column in columns)]
        for split, groups in told.items()
        for name, own in groups.items()
    ]
    header = ["held out", "recordings of", "recordings, patients", *columns.values()]
    return [
        f"On strangers (certain answers at a prevalence of {PREVALENCE:g} of adventitious sounds):",
        "",
        table(header, rows),
        "",
    ]


def _figures(metadata: Mapping[str, Any]) -> list[str]:
    metrics = metadata.get("metrics", {})
    if not metrics:
        return []
    lines = [
        "## Figures",
        "",
        f"{measured_on(metadata)} Intervals: 95 %, bootstrap over patients.",
        "",
        f"Command: `{metrics['command']}`",
        "",
        "| score | | 95 % |",
        "|---|---|---|",
    ]
    for name, value in metrics["scores"].items():
        between = interval(metrics["intervals_95"].get(name), missing="")
        lines.append(f"| {name.replace('_', ' ')} | {number(value, 4)} | {between} |")
    lines += ["", "| class | events | patients | precision | recall | F1 |", "|---|---|---|---|---|---|"]
    for label, own in metrics["classes"].items():
        scores = (number(own[name]) for name in ("precision", "recall", "f1"))
        lines.append(f"| {label} | {own['clips']} | {own['subjects']} | {' | '.join(scores)} |")
    for name, members in metrics.get("groups", {}).items():
        lines += [
            "",
            f"| {name} | events | patients | Se | Sp | Score | 95 % |",
            "|---|---|---|---|---|---|---|",
        ]
        for member, own in members.items():
            if own["clips"]:
                values = (own["scores"][key] for key in ("sensitivity", "specificity", "challenge_score"))
                written = " | ".join(map(number, values))
                between = interval(own["intervals"]["challenge_score"], missing="")
                lines.append(f"| {member} | {own['clips']} | {own['patients']} | {written} | {between} |")
    return [*lines, ""]


def card(recipe: Recipe, trained: pd.DataFrame, *others: pd.DataFrame) -> dict[str, Any]:
    """Entries of a model's metadata that its training clips decide, of others those of `Recipe.also`."""
    data = _data_entries(recipe.dataset, trained)
    beside = [_data_entries(name, clips) for name, clips in zip(recipe.also, others, strict=False)]
    if beside:
        data["beside"] = beside if len(beside) > 1 else beside[0]
    return {"data": data, "limits": limits(recipe, trained, *others)}


def _data_entries(dataset: str, clips: pd.DataFrame) -> dict[str, Any]:
    module = datasets.dataset(dataset)
    return {
        "dataset": shown_name(module.TITLE, clips),
        "licence": module.LICENCE,
        "citation": module.CITATION,
        "clips": len(clips),
        "patients": int(clips["subject"].nunique()),
        "per_class": {str(label): int(count) for label, count in clips["label"].value_counts().items()},
    }


def learnt_from(recipe: Mapping[str, Any], data: Mapping[str, Any], public: bool = False) -> set[str]:
    """Data sets that a model was trained on, as the column ``dataset`` of their clips has them.

    Not ``folder``, a name that any recordings have; with `public`, only those that can be downloaded, and
    what was simulated in their layout. `recipe` and `data` are of the model's card.
    """
    also = recipe.get("also") or []
    names = [recipe.get("dataset"), *([also] if isinstance(also, str) else also)]  # one, in earlier files
    told: list[Mapping[str, Any]] = [data, *auxiliary(data), *({} for _ in names)]
    modules = [(datasets.dataset(str(name)), own) for name, own in zip(names, told, strict=False) if name]
    return {
        (PREFIX if str(entries.get("dataset", "")).startswith(PREFIX) else "") + module.NAME
        for module, entries in modules
        if module.ARCHIVES or not (public or module.NAME == OWN)
    }


def limits(recipe: Recipe, trained: pd.DataFrame, *others: pd.DataFrame) -> str:
    """Who a model was trained on, and which of its classes rest on few patients."""
    ages = trained["age_years"].dropna()
    of_age = f" aged {ages.min():g} to {ages.max():g} years" if len(ages) else ""
    patients = trained.groupby("label")["subject"].nunique()
    few = [f"{label} ({patients.get(label, 0)})" for label in recipe.labels if patients.get(label, 0) < 20]
    rare = f" Classes that rest on fewer than 20 patients: {', '.join(few)}." if few else ""
    basis = f"Trained on patients{of_age} and the devices of {shown_name(recipe.dataset, trained)}"
    beside = [
        f"{counted(len(clips), 'clip', '')} of {of_patients(clips['subject'].nunique())} of "
        f"{shown_name(name, clips)}"
        for name, clips in zip(recipe.also, others, strict=False)
        if len(clips)
    ]
    coarser = f", and on {', '.join(beside)}, whose labels are coarser."
    basis += coarser if beside else " alone; others were not measured."
    return f"{basis}{rare} Research software, not a medical device."


def digest(clip_ids: Iterable[str]) -> str:
    """SHA-256 of a set of clips, by which held-out clips are known again."""
    return hashlib.sha256("\n".join(sorted(clip_ids)).encode()).hexdigest()


def summary(scores: Mapping[str, Any], clip_ids: Iterable[str]) -> dict[str, Any]:
    """The scores of metrics.json that a model file carries with it."""
    names = ("sensitivity", "specificity", "total_score", "challenge_score", "expected_calibration_error")
    return {
        "scores": {name: scores["scores"][name] for name in names},
        "intervals_95": {name: scores["intervals"].get(name) for name in names},
        "classes": {
            label: {name: values[name] for name in ("clips", "subjects", "precision", "recall", "f1")}
            for label, values in scores["classes"].items()
        },
        "clips_sha256": digest(clip_ids),
        "clips": scores["clips"],
        "patients": scores["subjects"],
        "split": scores["provenance"]["split"],
        "command": scores["provenance"]["command"],
    }


def command() -> str:
    """The command as it was typed, without the folders above the last, which are nobody else's business."""

    def short(typed: str) -> str:
        name, equals, value = typed.rpartition("=")  # DATASET=FOLDER, --data=FOLDER
        return f"{name}{equals}{Path(value).name if os.path.isabs(value) else value}"

    return shlex.join(["laennec", *map(short, sys.argv[1:])])
