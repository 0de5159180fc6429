"""Nguyen & Pernkopf's Table II beside ours, from the folders of finished folds."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from laennec.files import write_json, write_text
from laennec.reproduce.nguyen2022_rows import BASELINE, PAPER
from laennec.score.bootstrap import DRAWS, over_patients, resampled_counts
from laennec.score.predictions import Predictions, write_predictions
from laennec.score.ranking import roc_auc
from laennec.train.cohort import by_patient, row_scores
from laennec.train.crossval import read_folds


def finished_rows(out: Path) -> dict[str, list[Predictions]]:
    """Every row below `out` of which whole runs are there: their predictions."""
    folds = json.loads((out / "protocol.json").read_text(encoding="utf-8"))["folds"]
    rows = {}
    for folder in sorted((out / "rows").iterdir()) if (out / "rows").is_dir() else []:
        runs = []
        for run in sorted(folder.glob("run-*"), key=lambda path: int(path.name[4:])):
            parts = [run / f"fold-{fold + 1}" for fold in range(folds)]
            if all((part / "fold.json").is_file() for part in parts):
                runs.append(read_folds(parts))
        if runs:
            rows[folder.name] = runs
    order = {name: index for index, name in enumerate(PAPER)}
    return dict(sorted(rows.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))


def collect(out: Path, draws: int = DRAWS, seed: int = 0) -> dict[str, Any]:
    """Scores of all finished rows with 95 % intervals over patients, and differences from the baseline."""
    rows = finished_rows(out)
    table = []
    confusions = {}
    patients: list[str] = []
    for name, runs in rows.items():
        patients = patients or sorted(set(runs[0].subjects))
        confusions[name] = by_patient(runs, patients)

    def f_of_draws(times: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
        """F of each row, and its difference from the baseline on the same draws."""
        f = {name: row_scores(resampled_counts(times, found))[2] for name, found in confusions.items()}
        less = {("less", name): f[name] - f[BASELINE] for name in f if name != BASELINE and BASELINE in f}
        return {**{("f", name): values for name, values in f.items()}, **less}

    scores = over_patients(len(patients), f_of_draws, draws, seed) if patients else {}
    for name, found in confusions.items():
        se, precision, f = row_scores(found.sum(0))
        each = [float(row_scores(found.sum(0)[run : run + 1])[2]) for run in range(found.shape[1])]
        auc = [
            roc_auc([label == run.classes[-1] for label in run.labels], run.probabilities[:, -1])
            for run in rows[name]
        ]
        entry: dict[str, Any] = {
            "row": name,
            "paper": dict(zip(("se", "p", "f"), PAPER[name], strict=True)) if name in PAPER else None,
            "se": float(se),
            "p": float(precision),
            "f": float(f),
            "f_interval_95": scores["f", name].interval,
            "f_of_each_run": each,
            "roc_auc": float(np.mean(auc)),
            "runs": len(rows[name]),
            "settings": _settings(out, name),
        }
        if ("less", name) in scores and len(patients) > 1:
            entry["difference"] = scores["less", name].value
            entry["difference_interval_95"] = scores["less", name].interval
        table.append(entry)
    return {"rows": table, "draws": draws, "f_of_calling_everything_crackle": _everything(confusions)}


def _everything(confusions: Mapping[str, np.ndarray]) -> float:
    """F of a system that calls every cycle a crackle: no skill, and what a row must be compared with."""
    for found in confusions.values():
        annotated = found.sum(0)[0].sum(-1)
        return float(2 * annotated[-1] / (annotated.sum() + annotated[-1]))
    return 0.0


def _settings(out: Path, name: str) -> dict[str, Any]:
    """What of a row's folds matters beside its scores."""
    folds = sorted((out / "rows" / name).glob("run-*/fold-*/fold.json"))
    told = [json.loads(path.read_text(encoding="utf-8")) for path in folds]
    return {
        "epochs": told[0]["recipe"]["epochs"],
        "source": told[0]["source"],
        "median_best_epoch": float(np.median([fold["best_epoch"] + 1 for fold in told])),
        "seconds_a_fold": round(float(np.mean([fold["seconds"] for fold in told])), 1),
    }


def write_tables(out: Path) -> dict[str, Any]:
    """Write ``tables.json``, ``tables.md`` and every run's ``predictions.csv``; return the first."""
    protocol = json.loads((out / "protocol.json").read_text(encoding="utf-8"))
    result = {"paper": "Nguyen & Pernkopf, Table II", "protocol": protocol, **collect(out)}
    for name, runs in finished_rows(out).items():
        for number, run in enumerate(runs, start=1):
            write_predictions(out / "rows" / name / f"run-{number}" / "predictions.csv", run)
    write_json(out / "tables.json", result)
    write_text(out / "tables.md", render(result))
    return result


def render(result: Mapping[str, Any]) -> str:
    """The table as Markdown: the paper's figures beside ours."""
    told, trivial = result["protocol"], result["f_of_calling_everything_crackle"]
    lines = [
        f"Made by `{told['command']}`.",
        "",
        f"Target: {told['target']}, {told['clips']['normal']} normal and {told['clips']['crackle']} crackle "
        f"cycles of {told['patients']['all']} patients, {told['patients']['with crackles']} with crackles; "
        f"{told['folds']} folds, no patient in two parts of one. Source: {told['source'] or 'none'}. The "
        "paper's figures are of its own cohort and not comparable with ours; they show which row should "
        f"lead. To call every cycle a crackle has an F of {trivial:.3f}, and an AUC of 0.5.",
        "",
        "| system | Se, paper | P+ | F | Se, ours | P+ | F | 95 % over patients | AUC | F less "
        f"{BASELINE} (95 %) | runs | epochs |",
        "|---|" + "---|" * 11,
    ]
    for row in result["rows"]:
        paper = [f"{row['paper'][key]:.4f}" if row["paper"] else "" for key in ("se", "p", "f")]
        ours = [f"{row[key]:.4f}" for key in ("se", "p", "f")]
        difference = ""
        if "difference" in row:
            interval = row["difference_interval_95"]
            difference = f"{100 * row['difference']:+.1f}" + (
                f" ({100 * interval[0]:+.1f} to {100 * interval[1]:+.1f})" if interval else ""
            )
        between = row["f_interval_95"]
        cells = [
            row["row"],
            *paper,
            *ours,
            f"{between[0]:.3f}–{between[1]:.3f}" if between else "",
            f"{row['roc_auc']:.3f}" if math.isfinite(row["roc_auc"]) else "",
            difference,
            str(row["runs"]),
            str(row["settings"]["epochs"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
