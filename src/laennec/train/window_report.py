"""What a cross-validation of a model for windows writes: scores of each data set's windows, by fold."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from laennec.errors import LaennecError
from laennec.files import write_json, write_text
from laennec.score.markdown import table
from laennec.score.windows import (
    WINDOW_HEADER,
    Windows,
    joined_windows,
    read_windows_table,
    window_rows,
    window_scores,
)
from laennec.train.card import trained_on
from laennec.train.crossval import CrossValidationData, train_on_all
from laennec.train.export import export
from laennec.train.hardware import Hardware
from laennec.train.recipe import Recipe
from laennec.train.windows import MODEL, TABLE, decided

LIMITS = (
    "It tells whether wheezes (with rhonchi and stridors) and crackles are heard in 2 s of sound of a lung; "
    "it does not refuse what is no lung. Windows of ICBHI and KAUH are labelled by cycle and by recording, "
    "in which the sound need not last. Other devices, ages and diseases were not measured. No finding is no "
    "proof of health."
)


def windows_of_seeds(folders: Mapping[int, Sequence[Path]], name: str = MODEL) -> Windows:
    """The measured windows of all folds, with the scores of every seed, as ``NAME seed N``.

    A later fold may measure on patients again; the first that does counts.
    """
    runs = []
    for seed, own in folders.items():
        parts: list[Windows] = []
        known: set[str] = set()
        for folder in own:
            part = read_windows_table(folder / TABLE)
            parts.append(part.chosen([name not in known for name in part.recordings]))
            known.update(part.recordings)
        run = joined_windows(parts)
        runs.append(replace(run, scores={f"{name} seed {seed}": run.scores[MODEL]}))
    first = runs[0]
    for other in runs[1:]:
        if (other.recordings, list(other.start_s)) != (first.recordings, list(first.start_s)):
            raise LaennecError("the seeds' folds measure on different windows")
    return replace(first, scores={name: own for run in runs for name, own in run.scores.items()})


def report_windows(
    out: Path, folders: Mapping[int, Sequence[Path]], provenance: Mapping[str, Any]
) -> dict[str, Any]:
    """Write and print ``metrics.json`` and ``tables.txt``; return the figures."""
    windows = windows_of_seeds(folders)
    figures = {
        "provenance": dict(provenance),
        "datasets": {
            name: window_scores(windows.of(name), list(windows.scores))
            for name in dict.fromkeys(windows.datasets)
        },
    }
    write_json(out / "metrics.json", figures)
    text = table(WINDOW_HEADER, window_rows(figures["datasets"])) + "\n"
    write_text(out / "tables.txt", text)
    print(text)
    return figures


def final_windows(
    data: CrossValidationData,
    recipe: Recipe,
    out: Path,
    folders: Mapping[int, Sequence[Path]],
    figures: Mapping[str, Any],
    hardware: Hardware,
) -> Path:
    """Train on all patients, with the decision that fits the first seed's folds, and export."""
    seed = next(iter(folders))
    windows = windows_of_seeds({seed: folders[seed]})
    decision = decided(windows.scores[f"{MODEL} seed {seed}"], windows.target)
    train_on_all(data, replace(recipe, seed=seed), out, hardware, decision)
    write_json(out / "card.json", window_card(data, recipe, figures))
    return export(out)


def window_card(data: CrossValidationData, recipe: Recipe, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of the card that data and figures decide."""
    provenance = figures["provenance"]
    return {
        "data": trained_on(recipe, int(data.fold("all patients").train.sum())),
        "metrics": {
            "how": f"{provenance['split']}; no patient on both sides, mean of seeds "
            f"{', '.join(map(str, provenance['seeds']))}; this file was trained on all of them afterwards",
            "command": provenance["command"],
            "datasets": figures["datasets"],
        },
        "limits": LIMITS,
    }
