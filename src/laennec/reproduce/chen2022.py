"""Chen & Zhang's tables beside ours, from one command.

Chen & Zhang trained four models on 70 % of SPRSound's training set and reported them on the other 30 %
(Table 2) and on the test set (Table 3). Each run is a folder below ``runs/`` that is resumed when it was
interrupted and kept when it is finished; tables are made from those folders alone.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from laennec import datasets
from laennec.datasets import splits
from laennec.errors import UsageError
from laennec.files import make_folder, write_json, write_text
from laennec.reproduce.jobs import ChenJob
from laennec.score.bootstrap import DRAWS, Patients, over_patients
from laennec.score.confusion import (
    challenge_scores,
    confusion_by_group,
    confusion_matrix,
    predicted_classes,
    sensitivity,
    specificity,
    total_score,
)
from laennec.score.predictions import Predictions, read_predictions, write_predictions
from laennec.train.card import command
from laennec.train.data import predictions, read_clips
from laennec.train.loop import Hardware, predict
from laennec.train.recipe import load_recipe
from laennec.train.run import fit, prepare
from laennec.train.weights import read_run

MODELS = {
    "chen2022-cnn": "CNN",
    "chen2022-upsampling-cnn": "Upsampling CNN",
    "chen2022-convlstm": "ConvLstm",
    "chen2022": "ConvLstm + FCNN (full model)",
}
SCORES = ("se", "sp", "as", "hs", "ts")

# Chen & Zhang, Tables 2 and 3, as printed. Equation 1 gives another TS for most rows (docs/metrics.md).
PAPER = {
    "validation": {
        "chen2022-cnn": (0.3623, 0.7719, 0.5671, 0.4926, 0.5298),
        "chen2022-upsampling-cnn": (0.4262, 0.6794, 0.5528, 0.5238, 0.5383),
        "chen2022-convlstm": (0.6408, 0.6533, 0.6471, 0.6467, 0.6469),
        "chen2022": (0.5773, 0.7584, 0.6679, 0.6556, 0.6638),
    },
    "test": {
        "chen2022-cnn": (0.4482, 0.7604, 0.6043, 0.5640, 0.5842),
        "chen2022-upsampling-cnn": (0.5631, 0.6291, 0.5961, 0.5943, 0.5952),
        "chen2022-convlstm": (0.5149, 0.7049, 0.6099, 0.5951, 0.6025),
        "chen2022": (0.5716, 0.7882, 0.6799, 0.6626, 0.6756),
    },
}
TABLE = {"validation": 2, "test": 3, "test-inter": 3, "test-intra": 3}


@dataclass(frozen=True)
class Cell:
    """One model on one side of the data, over the seeds."""

    model: str
    side: str
    split: str
    shared_patients: int
    """Patients of this side who were also trained on."""
    seeds: tuple[int, ...]
    scores: dict[str, float]
    """Mean over the seeds of Se, Sp, AS, HS and TS (equation 1)."""
    seed_ts: tuple[float, ...]
    ts_interval: tuple[float, float] | None
    """95 % interval over patients of TS, averaged over the seeds in every draw."""
    last_epoch_ts: float | None
    """Mean TS of the last epoch: not chosen by looking at these clips, as the best epoch is."""
    epochs: int
    seconds: float
    machine: str
    clips: int
    patients: int


def reproduce_chen2022(job: ChenJob, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Train the ablation's models and write ``tables.md`` and ``tables.json`` below ``job.out``.

    Returns
    -------
    What ``tables.json`` holds: every finished run below the folder, of either split.
    """
    models, out, seeds, epochs = job.models or tuple(MODELS), job.out, job.seeds, job.epochs
    unknown = [name for name in models if name not in MODELS]
    if unknown:
        raise UsageError(f"{unknown[0]!r} is not in the ablation; there are: {', '.join(MODELS)}")
    make_folder(out, outside=(job.data,))
    clips = datasets.load("sprsound", job.data)
    in_test_set = splits.in_test_set(clips)
    training, test = (clips[mask].reset_index(drop=True) for mask in (~in_test_set, in_test_set))
    if not seeds:
        raise UsageError("name at least one seed")
    if job.quick:
        # Apart from real runs, which it must neither stand in for nor get in the way of.
        out = out / "quick"
        training, test = training.iloc[::8].reset_index(drop=True), test.iloc[::8].reset_index(drop=True)
        seeds, epochs = seeds[:1], epochs or 2
    recipes = [load_recipe(name, split=job.split, epochs=epochs) for name in with_ancestors(models)]
    data = prepare(training, recipes[0])
    total = len(recipes) * len(seeds)
    for number, (recipe, seed) in enumerate([(r, s) for s in seeds for r in recipes], start=1):
        run = run_folder(out, job.split, recipe.name, seed)
        done = (run / "run.json").exists()
        say(f"[{number}/{total}] {recipe.title}, seed {seed}{': done already' if done else ''}")
        start = run_folder(out, job.split, recipe.start_from, seed) if recipe.start_from else None
        fit(data, replace(recipe, seed=seed), run, Hardware(threads=job.threads), start)
        if len(test) and not (run / "predictions-test.csv").exists():
            _predict_test(run, test)
    return write_tables(out, command(), bool(len(test)))


def with_ancestors(models: Sequence[str]) -> list[str]:
    """The models and those that they start from, in the ablation's order."""
    wanted = set(models)
    for name in reversed(list(MODELS)):  # each starts from an earlier one, if any
        if name in wanted:
            wanted.add(load_recipe(name).start_from)
    return [name for name in MODELS if name in wanted]


def run_folder(out: Path, split: str, recipe: str, seed: int) -> Path:
    """Where the run of a recipe, by its name, lies."""
    return out / "runs" / split / recipe / f"seed-{seed}"


def _predict_test(run: Path, test: pd.DataFrame) -> None:
    """Score the held-out test set with a finished run, once."""
    recipe, front_end, network, temperature = read_run(run)
    tensors = read_clips(test, recipe, front_end).normalised(front_end)
    logits = torch.cat(predict(network, tensors, recipe, front_end))
    probabilities = (logits.double() / temperature).softmax(1).numpy()
    # The whole test set last: once it is there, all parts are.
    for part in (*sorted(test["split"].unique()), "test"):
        chosen = np.array([part in ("test", name) for name in test["split"]])
        predicted = predictions(test[chosen], recipe.labels, probabilities[chosen])
        write_predictions(run / f"predictions-{part}.csv", predicted)


SIDES = {
    "validation": "predictions.csv",
    "test": "predictions-test.csv",
    "test-inter": "predictions-test-inter.csv",
    "test-intra": "predictions-test-intra.csv",
}


def collect(out: Path) -> list[Cell]:
    """Every finished run below `out`; those of equal epochs and clips, over their seeds, are one cell."""
    cells = []
    for split in ("patient", "random"):
        for side, file in SIDES.items():
            for model in MODELS:
                groups: dict[tuple[int, tuple[str, ...]], dict[Path, Predictions]] = {}
                for folder in sorted((out / "runs" / split / model).glob("seed-*")):
                    if (folder / "run.json").exists() and (folder / file).exists():
                        found = read_predictions(folder / file)
                        groups.setdefault((_run(folder)["epochs"], found.clip_ids), {})[folder] = found
                cells += [_cell(model, side, split, runs) for runs in groups.values()]
    return cells


def _run(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return facts


def _cell(model: str, side: str, split: str, predictions: dict[Path, Predictions]) -> Cell:
    folders, found = list(predictions), list(predictions.values())
    runs = [_run(folder) for folder in folders]
    scores = [_scores(one) for one in found]
    trained = pd.read_csv(folders[0] / "clips.csv", dtype=str).query("side == 'train'")
    return Cell(
        model,
        side,
        split,
        len(set(trained["subject"]) & set(found[0].subjects)),
        tuple(run["seed"] for run in runs),
        {name: float(np.mean([s[name] for s in scores])) for name in SCORES},
        tuple(s["ts"] for s in scores),
        mean_ts_interval(found),
        float(np.mean([run["last_epoch"]["val_ts"] for run in runs])) if side == "validation" else None,
        runs[0]["epochs"],
        float(np.mean([run["seconds"] for run in runs])),
        f"{runs[0]['machine']['processor']}, {runs[0]['machine']['threads']} threads",
        len(found[0].labels),
        len(set(found[0].subjects)),
    )


def _scores(predictions: Predictions) -> dict[str, float]:
    classes = predictions.classes
    predicted = predicted_classes(predictions.probabilities, classes)
    return challenge_scores(confusion_matrix(predictions.labels, predicted, classes), classes)


def mean_ts_interval(
    predictions: Sequence[Predictions], draws: int = DRAWS, seed: int = 0
) -> tuple[float, float] | None:
    """95 % bootstrap interval over patients of the mean TS of several seeds.

    The same patients are drawn for all seeds, which share one validation side.
    """
    patients, classes = Patients.of(predictions[0].subjects), predictions[0].classes
    confusions = np.stack([_by_patient(one, patients) for one in predictions], axis=1)

    def mean_ts(drawn: np.ndarray) -> dict[str, np.ndarray]:
        """``(draws, seeds, classes, classes)`` to ``(draws,)``."""
        se = sensitivity(drawn, classes, classes[0])
        sp = specificity(drawn, classes, classes[0])
        return {"ts": total_score(se, sp).mean(axis=1)}

    interval = over_patients(confusions, mean_ts, draws, seed)["ts"].interval
    return (interval[0], interval[1]) if interval else None


def _by_patient(predictions: Predictions, patients: Patients) -> np.ndarray:
    """Confusion of each patient, ``(patients, classes, classes)``."""
    predicted = predicted_classes(predictions.probabilities, predictions.classes)
    return confusion_by_group(
        predictions.labels, predicted, patients.of_item, len(patients), predictions.classes
    )


def write_tables(out: Path, command: str, has_test: bool) -> dict[str, Any]:
    """Write ``tables.json`` and ``tables.md`` from the finished runs, and return the former."""
    cells = collect(Path(out))
    result = {
        "paper": "Chen & Zhang, Tables 2 and 3",
        "command": command,
        "test_set": "present" if has_test else "missing: Table 3 cannot be filled",
        "rows": [
            {
                "table": TABLE[cell.side],
                "model": MODELS[cell.model],
                "recipe": cell.model,
                "split": cell.split,
                "side": cell.side,
                "shared_patients": cell.shared_patients,
                "paper": paper_scores(cell.side, cell.model),
                "ours": cell.scores,
                "ts_of_each_seed": cell.seed_ts,
                "ts_interval_95": cell.ts_interval,
                "ts_of_last_epoch": cell.last_epoch_ts,
                "seeds": cell.seeds,
                "epochs": cell.epochs,
                "seconds_per_run": cell.seconds,
                "machine": cell.machine,
                "clips": cell.clips,
                "patients": cell.patients,
            }
            for cell in cells
        ],
    }
    write_json(Path(out) / "tables.json", result)
    write_text(Path(out) / "tables.md", render(result))
    return result


def paper_scores(side: str, model: str) -> dict[str, float] | None:
    """The paper's row, or None for a part of the test set, which it does not report.

    ``ts`` is by equation 1 and ``ts_printed`` as it stands there: six of the eight printed are (AS + HS) / 2,
    and only one formula makes rows comparable.
    """
    if side not in PAPER:
        return None
    se, sp, average, harmonic, printed = PAPER[side][model]
    ts = float(total_score(se, sp))
    return {"se": se, "sp": sp, "as": average, "hs": harmonic, "ts": round(ts, 4), "ts_printed": printed}


def render(result: dict[str, Any]) -> str:
    """The tables as Markdown: the paper's figures, then ours, one line a model."""
    lines = [f"Made by `{result['command']}`. Test set: {result['test_set']}.", ""]
    for side in SIDES:
        for split in ("patient", "random"):
            rows = [row for row in result["rows"] if row["side"] == side and row["split"] == split]
            if rows:
                lines += _render_table(side, split, rows)
    return "\n".join(lines).rstrip() + "\n"


def _render_table(side: str, split: str, rows: list[dict[str, Any]]) -> list[str]:
    shared = rows[0]["shared_patients"]
    how = "no patient was trained on" if not shared else f"{shared} of the patients were trained on as well"
    title = (
        f"**Table {rows[0]['table']}**, {side}, trained on the {split} split: {rows[0]['clips']} events of "
        f"{rows[0]['patients']} patients; {how}"
    )
    columns = "model||Se|Sp|AS|HS|TS|95 % interval of TS|TS, last epoch|seeds|epochs|min a run"
    lines = [title, "", f"| {' | '.join(columns.split('|'))} |", "|" + "---|" * 12]
    for row in rows:
        ours = " | ".join(f"{row['ours'][name]:.4f}" for name in SCORES)
        interval = "–".join(f"{x:.3f}" for x in row["ts_interval_95"]) if row["ts_interval_95"] else ""
        last = f"{row['ts_of_last_epoch']:.4f}" if row["ts_of_last_epoch"] is not None else ""
        if row["paper"]:
            paper = " | ".join(f"{row['paper'][name]:.4f}" for name in SCORES)
            lines.append(f"| {row['model']} | paper | {paper} | | | | | |")
        lines.append(
            f"| {'' if row['paper'] else row['model']} | ours | {ours} | {interval} | {last} "
            f"| {', '.join(map(str, row['seeds']))} | {row['epochs']} | {row['seconds_per_run'] / 60:.1f} |"
        )
    return [*lines, ""]
