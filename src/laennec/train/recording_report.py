"""What a cross-validation of a model for whole recordings writes: tables of its folds, figures, the model."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from laennec import datasets
from laennec.errors import UsageError
from laennec.files import write_json, write_text
from laennec.model.load import RUN_MODEL
from laennec.score.evaluation import score_events, score_predictions
from laennec.train.card import command
from laennec.train.crossval import CrossValidationData, train_and_choose
from laennec.train.export import export
from laennec.train.loop import Hardware, terminal, tuned_cpu
from laennec.train.recipe import Recipe
from laennec.train.recording_decision import RecordingDecision
from laennec.train.recording_figures import measure, render
from laennec.train.recording_predictions import load_outputs
from laennec.train.weights import save_model

LIMITS = (
    "Learnt from the recordings of {dataset}: boundaries and classes in other patients and from other "
    "devices were not measured. An event that is not found is missing from the answer: a recording without "
    "adventitious events is no proof of health. The age, sex and position of a patient change nothing."
)


@dataclass(frozen=True)
class ReportFiles:
    """Names of the files that a cross-validation writes."""

    figures: str = "metrics.json"
    tables: str = "tables.txt"
    model: str = RUN_MODEL


def report_recordings(
    data: CrossValidationData,
    recipe: Recipe,
    out: Path,
    folders: Mapping[int, Sequence[Path]],
    hardware: Hardware,
    final: bool,
    files: ReportFiles,
) -> None:
    """Measure every seed's folds, write and print what they show; with `final`, train and export a model.

    Raises
    ------
    UsageError
        If there is one fold only: what is chosen for a fold is chosen on the others.
    """
    if min(len(own) for own in folders.values()) < 2:
        raise UsageError(
            "a model for whole recordings is measured on two folds or more; name more with --only"
        )
    outputs = {seed: load_outputs(own) for seed, own in folders.items()}
    figures, decision = measure(outputs, recipe, out)
    provenance = {
        "model": recipe.name,
        "data": f"{recipe.dataset}, {figures['recordings']} recordings of {figures['patients']} patients",
        "split": f"{len(data.folds)} folds by patient, seed {recipe.split_seed}",
        "command": command(),
        "seeds": list(folders),
    }
    for seed in folders:
        folder = out / f"seed{seed}"
        score_events(folder / "events.csv", folder, {**provenance, "seeds": [seed]})
        if (folder / "predictions.csv").exists():
            score_predictions(folder / "predictions.csv", folder, {**provenance, "seeds": [seed]})
    entries = {"command": command(), "seeds": list(folders)}
    write_json(out / files.figures, {**figures, **entries})
    text = render(figures)
    write_text(out / files.tables, text)
    print(text)
    if final:
        recipe = replace(recipe, seed=next(iter(folders)))
        print(f"model: {_final_model(data, recipe, out, hardware, figures, decision, files.model)}")


def _final_model(
    data: CrossValidationData,
    recipe: Recipe,
    out: Path,
    hardware: Hardware,
    figures: Mapping[str, Any],
    decision: RecordingDecision,
    name: str,
) -> Path:
    """Train on all patients and export with what the folds chose."""
    if not (out / "model.pt").exists():
        print("all patients", file=sys.stderr, flush=True)
        training, _, _ = data.parts(data.everything(), recipe)
        with tuned_cpu(1, hardware.threads):
            network, _ = train_and_choose(
                training, None, recipe, data.front_end, hardware, progress=terminal()
            )
        save_model(out, data.front_end, network, decision, replace(recipe, split="none"))
    write_json(out / "card.json", card_entries(data, recipe, figures))
    return export(out, out / name)


def card_entries(data: CrossValidationData, recipe: Recipe, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of the card that data and figures decide."""
    own = datasets.dataset(recipe.dataset)
    training = f"{own.TITLE} (events and records)"
    citation, licence = own.CITATION, f"{own.TITLE}: {own.LICENCE}"
    if data.auxiliary is not None:
        other = datasets.dataset(recipe.also)
        training += f"; {other.TITLE} (as lungs through other devices, without its labels)"
        citation, licence = f"{citation}; {other.CITATION}", f"{licence}; {other.TITLE}: {other.LICENCE}"
    return {
        "data": {
            "training": f"{training}; generated speech, music, noise and hearts",
            "citation": citation,
            "licence": licence,
            "recordings": len(data.examples)
            + (0 if data.auxiliary is None else len(data.auxiliary.examples)),
        },
        "metrics": {
            **{name: value and round(value, 4) for name, value in figures["headline"].items()},
            "how": f"patient-disjoint folds, {figures['patients']} patients, seed {recipe.seed}; this file "
            "was trained on all of them afterwards",
        },
        "limits": LIMITS.format(dataset=recipe.dataset),
    }
