"""Chen & Zhang's tables beside ours, from one command.

Chen & Zhang "split into 70% and 30%" SPRSound's training set and reported four models on the 30 % (Table 2)
and on the test set (Table 3). Each run is a folder below ``runs/`` that is resumed when it was interrupted
and kept when it is finished; tables are made from those folders alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from laennec import datasets
from laennec.audio.samples import by_number
from laennec.datasets import splits
from laennec.datasets.table import read_csv
from laennec.errors import UsageError
from laennec.files import has_content, read_json, write_json, write_text
from laennec.reproduce.jobs import ChenJob
from laennec.score.baselines import BaselineScores, baseline_scores
from laennec.score.bootstrap import DRAWS, Patients, over_patients
from laennec.score.confusion import (
    challenge_scores,
    confusion_matrix,
    predicted_classes,
    sensitivity,
    specificity,
    total_score,
)
from laennec.score.markdown import table
from laennec.score.predictions import Predictions, read_predictions, stacked, write_predictions
from laennec.score.text import interval, listed, number
from laennec.train.card import command
from laennec.train.crossval import CrossValidationData
from laennec.train.data import predictions, read_clips
from laennec.train.hardware import Hardware
from laennec.train.loop import predict
from laennec.train.recipe import Recipe, check_seeds, load_recipe
from laennec.train.run import fit, prepare
from laennec.train.saved import at_work, is_done
from laennec.train.unheard import unheard
from laennec.train.weights import RETRAIN, read_run
from laennec.train.workers import Work, run_all

MODELS = {
    "chen2022-cnn": "CNN",
    "chen2022-upsampling-cnn": "Upsampling CNN",
    "chen2022-convlstm": "ConvLstm",
    "chen2022": "ConvLstm + FCNN (full model)",
}
# The same with the paper read literally, each beside ours in the tables.
LITERAL = {
    "chen2022-literal-cnn": "chen2022-cnn",
    "chen2022-literal-upsampling-cnn": "chen2022-upsampling-cnn",
    "chen2022-literal-convlstm": "chen2022-convlstm",
    "chen2022-literal": "chen2022",
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


def reproduce_chen2022(job: ChenJob, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Train the ablation's models and write ``tables.md`` and ``tables.json`` below ``job.out``.

    Returns
    -------
    What ``tables.json`` holds: every finished run below the folder, of either split.
    """
    unknown = [name for name in job.models if name not in {*MODELS, *LITERAL, "literal"}]
    if unknown:
        known = ", ".join([*MODELS, *LITERAL])
        raise UsageError(f"{unknown[0]!r} is not in the ablation; there are: {known}; literal: the last four")
    check_seeds(job.seeds)
    with at_work(job.out, outside=(job.data,)):
        return _reproduce(job, say)


def _reproduce(job: ChenJob, say: Callable[[str], None]) -> dict[str, Any]:
    models, out, seeds, epochs = job.models or tuple(MODELS), job.out, job.seeds, job.epochs
    if "literal" in models:
        models = (*models, *LITERAL)
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
    given = {"split": job.split, "epochs": epochs, "precision": job.precision}
    recipes = [load_recipe(name, **given) for name in with_ancestors(models)]
    data = prepare(training, recipes[0])
    hardware = Hardware(threads=job.threads, jobs=job.jobs)
    steps = [(seed, recipe) for wave in waves(recipes) for seed, recipe in product(seeds, wave)]

    def work(wave: Sequence[Recipe]) -> Iterator[Work]:
        for seed, recipe in product(seeds, wave):
            step = f"[{steps.index((seed, recipe)) + 1}/{len(steps)}]"
            run = run_folder(out, job.split, recipe.name, seed)
            done = is_done(run, "run.json")
            name = f"{step} {recipe.title}, seed {seed}{': done already' if done else ''}"
            start = run_folder(out, job.split, recipe.start_from, seed) if recipe.start_from else None
            own = hardware if done else data.settled(hardware, recipe, out)
            yield Work(name, partial(_run, data, replace(recipe, seed=seed), run, own, start, test))

    for wave in waves(recipes):
        run_all(work(wave), job.jobs, on_start=say)
    return write_tables(out, command(), bool(len(test)))


def waves(recipes: Sequence[Recipe]) -> list[list[Recipe]]:
    """The recipes in groups: those of a group start from none or from one of an earlier group."""
    found: list[list[Recipe]] = []
    left = list(recipes)
    while left:
        names = {recipe.name for recipe in left}
        found.append([recipe for recipe in left if recipe.start_from not in names])
        left = [recipe for recipe in left if recipe.start_from in names]
    return found


def _run(
    data: CrossValidationData,
    recipe: Recipe,
    run: Path,
    hardware: Hardware,
    start: Path | None,
    test: pd.DataFrame,
) -> None:
    """Train a model, and score the held-out test set with it, if there is one."""
    fit(data, recipe, run, hardware, start)
    if len(test) and not has_content(run / "predictions-test.csv"):
        _predict_test(run, test)


def with_ancestors(models: Sequence[str]) -> list[str]:
    """The models and those that they start from, in the ablation's order."""
    wanted = set(models)
    for name in reversed(list(MODELS)):  # each starts from an earlier one, if any
        if name in wanted:
            wanted.add(load_recipe(name).start_from)
    return [name for name in (*MODELS, *LITERAL) if name in wanted]


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


def collect(out: Path) -> list[dict[str, Any]]:
    """Every finished run below `out`; those of equal epochs and clips, over their seeds, are one row."""
    rows = []
    # A model's literal reading follows it.
    models = [name for ours in MODELS for name in (ours, *(k for k, own in LITERAL.items() if own == ours))]
    for split, (side, file), model in product(("patient", "random"), SIDES.items(), models):
        groups: dict[Any, list[tuple[Path, dict[str, Any], Predictions]]] = {}
        for folder in sorted((out / "runs" / split / model).glob("seed-*")):
            if is_done(folder, "run.json") and has_content(folder / file):
                facts = read_json(folder / "run.json", RETRAIN, epochs=int)
                predicted = read_predictions(folder / file)
                key = facts["epochs"], predicted.clip_ids
                groups.setdefault(key, []).append((folder, facts, predicted))
        rows += [_row(model, side, split, *zip(*runs, strict=True)) for runs in groups.values()]
    return rows


def _row(
    model: str,
    side: str,
    split: str,
    folders: Sequence[Path],
    facts: Sequence[dict[str, Any]],
    predicted: Sequence[Predictions],
) -> dict[str, Any]:
    """One model on one side of the data, over the seeds; ``ours`` has the means of the scores."""
    scores, first = [_scores(one) for one in predicted], predicted[0]
    machine = facts[0]["machine"]
    hardware = [*machine.get("gpus", []), machine["processor"], f"{machine['threads']} threads"]
    clips = read_csv(folders[0] / "clips.csv", dtype=str)
    trained = clips.query("side == 'train'")
    # The last epoch is not chosen by looking at these clips, as the best epoch is.
    last = [run["last_epoch"]["val_ts"] for run in facts] if side == "validation" else []
    return {
        "table": TABLE[side],
        "model": MODELS[LITERAL.get(model, model)],
        "recipe": model,
        "reading": "literal" if model in LITERAL else "ours",
        "split": split,
        "side": side,
        "shared_patients": len(set(trained["subject"]) & set(first.subjects)),
        "paper": paper_scores(side, LITERAL.get(model, model)),
        "ours": {name: float(np.mean([each[name] for each in scores])) for name in SCORES},
        "ts_of_each_seed": [each["ts"] for each in scores],
        "ts_interval_95": mean_ts_interval(predicted),
        "ts_of_last_epoch": float(np.mean(last)) if last else None,
        "seeds": [run["seed"] for run in facts],
        "epochs": facts[0]["epochs"],
        "seconds_per_run": float(np.mean([run["seconds"] for run in facts])),
        "machine": ", ".join(hardware),
        "precision": facts[0].get("precision"),
        "clips": len(first.labels),
        "patients": len(set(first.subjects)),
        "baselines": _baselines(clips, predicted),
    }


def _baselines(clips: pd.DataFrame, predicted: Sequence[Predictions]) -> list[BaselineScores]:
    """Scores of rules that do not listen, on the clips that the run's table describes; none on others."""
    first = predicted[0]
    if not set(first.clip_ids) <= set(clips["clip_id"]):
        return []
    times = {name: pd.to_numeric(clips[name]) for name in ("start_s", "end_s")}
    return baseline_scores(stacked(predicted), unheard(clips.assign(**times), first.clip_ids))


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
    of_seeds = [patients.confusions(one.labels, one.probabilities, classes) for one in predictions]

    def mean_ts(drawn: np.ndarray) -> dict[str, np.ndarray]:
        """``(draws, seeds, classes, classes)`` to ``(draws,)``."""
        se = sensitivity(drawn, classes, classes[0])
        sp = specificity(drawn, classes, classes[0])
        return {"ts": total_score(se, sp).mean(axis=1)}

    interval = over_patients(np.stack(of_seeds, axis=1), mean_ts, draws, seed)["ts"].interval
    return (interval[0], interval[1]) if interval else None


def write_tables(out: Path, command: str, has_test: bool) -> dict[str, Any]:
    """Write ``tables.json`` and ``tables.md`` from the finished runs, and return the former."""
    result = {
        "paper": "Chen & Zhang, Tables 2 and 3",
        "command": command,
        "test_set": "present" if has_test else "missing: Table 3 cannot be filled",
        "rows": collect(out),
    }
    write_json(out / "tables.json", result)
    write_text(out / "tables.md", render(result))
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
    for side, split in product(SIDES, ("patient", "random")):
        rows = [row for row in result["rows"] if row["side"] == side and row["split"] == split]
        if rows:
            lines += _render_table(side, split, rows)
    return "\n".join(lines).rstrip() + "\n"


def _render_table(side: str, split: str, rows: list[dict[str, Any]]) -> list[str]:
    shared = rows[0]["shared_patients"]
    were = f"{shared} of the patients {by_number(shared, 'was', 'were')} trained on as well"
    how = were if shared else "no patient was trained on"
    title = (
        f"**Table {rows[0]['table']}**, {side}, trained on the {split} split: {rows[0]['clips']} events of "
        f"{rows[0]['patients']} patients; {how}"
    )
    header = ["model", "", "Se", "Sp", "AS", "HS", "TS", "95 % interval of TS", "TS, last epoch"]
    cells: list[list[Any]] = []
    last_model = ""
    for row in rows:
        name = row["model"] if row["model"] != last_model else ""
        if row["paper"] and name:
            cells.append([name, "paper", *(number(row["paper"][key], 4) for key in SCORES), *[""] * 5])
            name = ""
        last_model = row["model"]
        ours = [number(row["ours"][key], 4) for key in SCORES]
        between = interval(row["ts_interval_95"], 3, "", "–")
        last = number(row["ts_of_last_epoch"], 4, "")
        minutes = number(row["seconds_per_run"] / 60, 1)
        cells.append(
            [name, row["reading"], *ours, between, last, listed(row["seeds"]), row["epochs"], minutes]
        )
    rules = rows[0].get("baselines") or []
    return [
        title,
        "",
        table([*header, "seeds", "epochs", "min a run"], cells),
        "",
        *([_render_baselines(rules), ""] if rules else []),
    ]


def _render_baselines(rules: Sequence[BaselineScores]) -> str:
    """What rules reach on the same events that know nothing of their sound."""
    known = [f"{rule['name']} {number(rule['scores']['average_score'], 4)}" for rule in rules]
    return f"AS without listening, by the {'; '.join(known)}."
