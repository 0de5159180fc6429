"""Nguyen & Pernkopf's Table II beside ours, from the folders of finished folds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from laennec.files import read_json, write_json, write_text
from laennec.reproduce.nguyen2022_baselines import BASELINES, read_baselines
from laennec.reproduce.nguyen2022_rows import BASELINE, BEST, BEST_SCRATCH, PAPER
from laennec.score.bootstrap import DRAWS, Score, over_patients, resampled_counts
from laennec.score.markdown import change, table
from laennec.score.predictions import Predictions, write_predictions
from laennec.score.ranking import Ranking, rank_scores, ranking_scores
from laennec.score.text import interval, number, with_interval
from laennec.train.cohort import by_patient, row_scores
from laennec.train.crossval import read_folds
from laennec.train.saved import is_done


def whole_runs(out: Path, name: str) -> dict[Path, list[Path]]:
    """The folders of a row's runs of which all folds are there, each with those of its folds."""
    folds = read_json(out / "protocol.json", "name another folder", folds=int)["folds"]
    runs = sorted((out / "rows" / name).glob("run-*"), key=lambda path: int(path.name[4:]))
    parts = {run: [run / f"fold-{fold + 1}" for fold in range(folds)] for run in runs}
    return {run: own for run, own in parts.items() if all(is_done(part, "fold.json") for part in own)}


def finished_rows(out: Path) -> dict[str, list[Predictions]]:
    """Every row below `out` of which whole runs are there: their predictions."""
    names = [folder.name for folder in (out / "rows").iterdir()] if (out / "rows").is_dir() else []
    rows = {name: [read_folds(parts) for parts in whole_runs(out, name).values()] for name in names}
    order = {name: index for index, name in enumerate(PAPER)}
    by_order = sorted(rows, key=lambda name: (order.get(name, len(order)), name))
    return {name: rows[name] for name in by_order if rows[name]}


# What rows are compared with, by the name of the difference: no skill, and the paper's two.
REFERENCES = {
    "difference_from_all": "all",
    "difference": BASELINE,
    "difference_from_best_scratch": BEST_SCRATCH,
}
# What the paper reports: its best row against both, and what several inputs add without a source.
DIFFERENCES = (
    (BEST, "difference"),
    (BEST, "difference_from_best_scratch"),
    (BEST_SCRATCH, "difference"),
)


def collect(out: Path, draws: int = DRAWS, seed: int = 0) -> dict[str, Any]:
    """Scores of all finished rows and of the baselines with 95 % intervals over patients, and differences."""
    rows = finished_rows(out)
    return collected(rows, read_baselines(out), {name: settings_of(out, name) for name in rows}, draws, seed)


def collected(
    rows: Mapping[str, Sequence[Predictions]],
    baselines: Mapping[str, Sequence[Predictions]],
    settings: Mapping[str, Mapping[str, Any]],
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """The same, of the predictions of each row's runs, and what is to be said of each row's trainings."""
    scores = _scores({**rows, **baselines}, draws, seed)
    entries = [{**_entry(name, runs, scores), "settings": settings[name]} for name, runs in rows.items()]
    # F of a system that calls every cycle a crackle: no skill, and what a row must be compared with.
    everything = 0.0
    for first, *_ in {**baselines, **rows}.values():
        annotated = first.labels.count(first.classes[-1])
        everything = 2 * annotated / (len(first.labels) + annotated)
    return {
        "rows": entries,
        "baselines": [
            {"about": BASELINES[name], **_entry(name, runs, scores)} for name, runs in baselines.items()
        ],
        "differences": _differences(scores),
        "draws": draws,
        "f_of_calling_everything_crackle": everything,
    }


def _scores(
    systems: Mapping[str, Sequence[Predictions]], draws: int, seed: int
) -> dict[tuple[str, str], Score]:
    """F, AUC and differences of F of all systems on the same resampled patients, by what and name."""
    patients = sorted({subject for runs in systems.values() for subject in runs[0].subjects})
    if not patients:
        return {}
    confusions = {name: by_patient(runs, patients) for name, runs in systems.items()}
    rankings = {name: [_ranking(run, patients) for run in runs] for name, runs in systems.items()}

    def of_draws(times: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
        f = {name: row_scores(resampled_counts(times, counts))[2] for name, counts in confusions.items()}
        found = {("f", name): values for name, values in f.items()}
        for name, runs in rankings.items():
            found["auc", name] = np.mean([ranking_scores(run, times)[0] for run in runs], axis=0)
        for what, reference in REFERENCES.items():
            if reference in f and len(patients) > 1:
                found |= {(what, name): f[name] - f[reference] for name in f if name != reference}
        return found

    return over_patients(len(patients), of_draws, draws, seed)


def _ranking(run: Predictions, patients: Sequence[str]) -> Ranking:
    positive = np.array([label == run.classes[-1] for label in run.labels])
    return rank_scores(
        positive, run.probabilities[:, -1], np.searchsorted(patients, run.subjects), len(patients)
    )


def _entry(name: str, runs: Sequence[Predictions], scores: Mapping[tuple[str, str], Score]) -> dict[str, Any]:
    """What the table says of one system."""
    counts = by_patient(runs, sorted(set(runs[0].subjects))).sum(0)
    se, precision, f = row_scores(counts)
    auc = scores["auc", name]
    entry: dict[str, Any] = {
        "row": name,
        "paper": dict(zip(("se", "p", "f"), PAPER[name], strict=True)) if name in PAPER else None,
        "se": float(se),
        "p": float(precision),
        "f": float(f),
        "f_interval_95": scores["f", name].interval,
        "f_of_each_run": [float(row_scores(one[None])[2]) for one in counts],
        "roc_auc": auc.value,
        "roc_auc_interval_95": auc.interval,
        "runs": len(runs),
    }
    for what in REFERENCES:
        if (what, name) in scores:
            entry[what], entry[f"{what}_interval_95"] = scores[what, name].value, scores[what, name].interval
    return entry


def _differences(scores: Mapping[tuple[str, str], Score]) -> list[dict[str, Any]]:
    """The differences that the paper reports, where both rows are there: ours are paired over patients."""
    return [
        {
            "row": row,
            "less": REFERENCES[what],
            "paper": round(PAPER[row][2] - PAPER[REFERENCES[what]][2], 4),
            "ours": scores[what, row].value,
            "interval_95": scores[what, row].interval,
        }
        for row, what in DIFFERENCES
        if (what, row) in scores
    ]


def settings_of(out: Path, name: str, runs: Sequence[Path] = ()) -> dict[str, Any]:
    """What of a row's folds matters beside its scores; of some of its whole runs, or of all."""
    whole = whole_runs(out, name)
    folds = [part / "fold.json" for run in runs or whole for part in whole[run]]
    kinds: dict[str, Any] = {"recipe": dict, "best_epoch": int, "seconds": (int, float)}
    facts = [read_json(path, f"delete {path.parent}", **kinds) for path in folds]
    recipe, best = facts[0]["recipe"], np.array([fold["best_epoch"] + 1 for fold in facts])
    patience = recipe.get("patience", 0)
    # Were the patience too short, many best epochs would lie where only those that rose late still train.
    late = recipe["epochs"] - patience
    machine = facts[0].get("machine", {})
    stopped = {"late_epoch": late, "late_best_share": float((best > late).mean())} if patience else {}
    return {
        "epochs": recipe["epochs"],
        "patience": patience,
        **stopped,
        "trainings": len(facts),
        "source": facts[0]["source"],
        "median_best_epoch": float(np.median(best)),
        "precision": facts[0].get("precision"),
        "machine": ", ".join([*machine.get("gpus", []), machine["processor"]]) if machine else None,
        "seconds_a_fold": round(float(np.mean([fold["seconds"] for fold in facts])), 1),
    }


def write_tables(out: Path) -> dict[str, Any]:
    """Write ``tables.json``, ``tables.md`` and every run's ``predictions.csv``; return the first."""
    protocol = read_json(out / "protocol.json", "name another folder")
    result = {"paper": "Nguyen & Pernkopf, Table II", "protocol": protocol, **collect(out)}
    for name, runs in finished_rows(out).items():
        for folder, run in zip(whole_runs(out, name), runs, strict=True):
            write_predictions(folder / "predictions.csv", run)
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
    parts = [f"Made by `{facts['command']}`.", text]
    if result["rows"]:
        parts.append(_rows_table(result))
    if result.get("differences"):
        parts += ["The paper's differences, in points of F:", _differences_table(result["differences"])]
    if result.get("baselines"):
        parts += ["Without a network, on the same cycles:", _baselines_table(result["baselines"])]
    return "\n\n".join(parts) + "\n"


def _points(row: Mapping[str, Any], what: str) -> str:
    """A difference of F in points, with its interval; nothing where there is none."""
    bounds = row.get(f"{what}_interval_95")
    return change(100 * row[what], bounds and [100 * bound for bound in bounds], 1) if what in row else ""


def _ours(row: Mapping[str, Any]) -> list[str]:
    """Cells of a system's own figures."""
    scores = [number(row[key], 4) for key in ("se", "p", "f")]
    area = with_interval(row["roc_auc"], row.get("roc_auc_interval_95"))
    return [*scores, interval(row["f_interval_95"], 3, "", "–"), area]


def _rows_table(result: Mapping[str, Any]) -> str:
    facts = result["protocol"]
    rows = []
    for row in result["rows"]:
        paper = [number(row["paper"][key], 4) if row["paper"] else "" for key in ("se", "p", "f")]
        less = [_points(row, what) for what in REFERENCES]
        cells = [row["row"], *paper, *_ours(row), *less, row["runs"], row["settings"]["epochs"]]
        if facts.get("patience"):
            cells.append(f"{100 * row['settings']['late_best_share']:.0f} %")
        rows.append(cells)
    header = ["system", "Se, paper", "P+", "F", "Se, ours", "P+", "F", "95 % over patients", "AUC"]
    names = [BASELINES.get(reference, reference) for reference in REFERENCES.values()]
    header += [*(f"F less {name} (95 %)" for name in names), "runs", "epochs"]
    if facts.get("patience"):
        header.append(f"best epoch after {facts['epochs'] - facts['patience']}")
    return table(header, rows)


def _differences_table(differences: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for own in differences:
        bounds = own["interval_95"]
        ours = change(100 * own["ours"], bounds and [100 * bound for bound in bounds], 1)
        rows.append([own["row"], own["less"], f"{100 * own['paper']:+.2f}", ours])
    return table(["system", "less", "paper", "ours (95 %, paired over patients)"], rows)


def _baselines_table(baselines: Sequence[Mapping[str, Any]]) -> str:
    rows = [[own["about"], *_ours(own), _points(own, "difference")] for own in baselines]
    header = ["system", "Se", "P+", "F", "95 % over patients", "AUC", f"F less {BASELINE} (95 %)"]
    return table(header, rows)
