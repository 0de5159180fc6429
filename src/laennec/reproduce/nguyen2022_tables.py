"""Nguyen & Pernkopf's Table II beside ours, from the folders of finished folds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from laennec.files import read_json, write_json, write_text
from laennec.reproduce.nguyen2022_rows import BASELINE, PAPER
from laennec.score.bootstrap import DRAWS, over_patients, resampled_counts
from laennec.score.markdown import change, table
from laennec.score.predictions import Predictions, write_predictions
from laennec.score.ranking import roc_auc
from laennec.score.text import interval, number
from laennec.train.cohort import by_patient, row_scores
from laennec.train.crossval import read_folds
from laennec.train.saved import is_done


def finished_rows(out: Path) -> dict[str, list[Predictions]]:
    """Every row below `out` of which whole runs are there: their predictions."""
    folds = read_json(out / "protocol.json", "name another folder", folds=int)["folds"]
    rows = {}
    for folder in sorted((out / "rows").iterdir()) if (out / "rows").is_dir() else []:
        runs = []
        for run in sorted(folder.glob("run-*"), key=lambda path: int(path.name[4:])):
            parts = [run / f"fold-{fold + 1}" for fold in range(folds)]
            if all(is_done(part, "fold.json") for part in parts):
                runs.append(read_folds(parts))
        if runs:
            rows[folder.name] = runs
    order = {name: index for index, name in enumerate(PAPER)}
    return dict(sorted(rows.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))


def collect(out: Path, draws: int = DRAWS, seed: int = 0) -> dict[str, Any]:
    """Scores of all finished rows with 95 % intervals over patients, and differences from the baseline."""
    rows = finished_rows(out)
    patients = sorted({subject for runs in rows.values() for subject in runs[0].subjects})
    confusions = {name: by_patient(runs, patients) for name, runs in rows.items()}

    def f_of_draws(times: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
        """F of each row, and its difference from the baseline on the same draws."""
        f = {name: row_scores(resampled_counts(times, counts))[2] for name, counts in confusions.items()}
        less = {("less", name): f[name] - f[BASELINE] for name in f if name != BASELINE and BASELINE in f}
        return {**{("f", name): values for name, values in f.items()}, **less}

    scores = over_patients(len(patients), f_of_draws, draws, seed) if patients else {}
    entries = []
    for name, runs in rows.items():
        counts = confusions[name].sum(0)
        se, precision, f = row_scores(counts)
        auc = [
            roc_auc([label == run.classes[-1] for label in run.labels], run.probabilities[:, -1])
            for run in runs
        ]
        entry: dict[str, Any] = {
            "row": name,
            "paper": dict(zip(("se", "p", "f"), PAPER[name], strict=True)) if name in PAPER else None,
            "se": float(se),
            "p": float(precision),
            "f": float(f),
            "f_interval_95": scores["f", name].interval,
            "f_of_each_run": [float(row_scores(one[None])[2]) for one in counts],
            "roc_auc": float(np.mean(auc)),
            "runs": len(runs),
            "settings": _settings(out, name),
        }
        if ("less", name) in scores and len(patients) > 1:
            entry["difference"] = scores["less", name].value
            entry["difference_interval_95"] = scores["less", name].interval
        entries.append(entry)
    # F of a system that calls every cycle a crackle: no skill, and what a row must be compared with.
    everything = 0.0
    if confusions:
        annotated = next(iter(confusions.values())).sum(0)[0].sum(-1)
        everything = float(2 * annotated[-1] / (annotated.sum() + annotated[-1]))
    return {"rows": entries, "draws": draws, "f_of_calling_everything_crackle": everything}


def _settings(out: Path, name: str) -> dict[str, Any]:
    """What of a row's folds matters beside its scores."""
    folds = sorted((out / "rows" / name).glob("run-*/fold-*/fold.json"))
    kinds: dict[str, Any] = {"recipe": dict, "best_epoch": int, "seconds": (int, float)}
    facts = [read_json(path, f"delete {path.parent}", **kinds) for path in folds]
    recipe, best = facts[0]["recipe"], np.array([fold["best_epoch"] + 1 for fold in facts])
    patience = recipe.get("patience", 0)
    # Were the patience too short, many best epochs would lie where only those that rose late still train.
    late = recipe["epochs"] - patience
    stopped = {"late_epoch": late, "late_best_share": float((best > late).mean())} if patience else {}
    return {
        "epochs": recipe["epochs"],
        "patience": patience,
        **stopped,
        "trainings": len(facts),
        "source": facts[0]["source"],
        "median_best_epoch": float(np.median(best)),
        "seconds_a_fold": round(float(np.mean([fold["seconds"] for fold in facts])), 1),
    }


def write_tables(out: Path) -> dict[str, Any]:
    """Write ``tables.json``, ``tables.md`` and every run's ``predictions.csv``; return the first."""
    protocol = read_json(out / "protocol.json", "name another folder")
    result = {"paper": "Nguyen & Pernkopf, Table II", "protocol": protocol, **collect(out)}
    for name, runs in finished_rows(out).items():
        for seed, run in enumerate(runs):
            write_predictions(out / "rows" / name / f"run-{seed + 1}" / "predictions.csv", run)
    write_json(out / "tables.json", result)
    write_text(out / "tables.md", render(result))
    return result


def render(result: Mapping[str, Any]) -> str:
    """The table as Markdown: the paper's figures beside ours."""
    facts, trivial = result["protocol"], result["f_of_calling_everything_crackle"]
    clips, patients = facts["clips"], facts["patients"]
    text = (
        f"Target: {facts['target']}, {clips['normal']} normal and {clips['crackle']} crackle cycles of "
        f"{patients['all']} patients, {patients['with crackles']} with crackles; {facts['folds']} folds, no "
        f"patient in two parts of one. Source: {facts['source'] or 'none'}. The paper's figures are of its "
        "own cohort and not comparable with ours; they show which row should lead. To call every cycle a "
        f"crackle has an F of {trivial:.3f}, and an AUC of 0.5."
    )
    if facts.get("patience"):
        text += f" A training stops once {facts['patience']} epochs bring no better validation accuracy."
    header = ["system", "Se, paper", "P+", "F", "Se, ours", "P+", "F", "95 % over patients", "AUC"]
    rows = []
    for row in result["rows"]:
        difference = ""
        if "difference" in row:
            bounds = row["difference_interval_95"]
            difference = change(100 * row["difference"], bounds and [100 * bound for bound in bounds], 1)
        cells = [
            row["row"],
            *(number(row["paper"][key], 4) if row["paper"] else "" for key in ("se", "p", "f")),
            *(number(row[key], 4) for key in ("se", "p", "f")),
            interval(row["f_interval_95"], 3, "", "–"),
            number(row["roc_auc"], 3, ""),
            difference,
            row["runs"],
            row["settings"]["epochs"],
        ]
        if facts.get("patience"):
            cells.append(f"{100 * row['settings']['late_best_share']:.0f} %")
        rows.append(cells)
    header += [f"F less {BASELINE} (95 %)", "runs", "epochs"]
    if facts.get("patience"):
        header.append(f"best epoch after {facts['epochs'] - facts['patience']}")
    return f"Made by `{facts['command']}`.\n\n{text}\n\n{table(header, rows)}\n"
