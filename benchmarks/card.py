"""What trainings of both papers took on a graphics card, from the folders that `laennec reproduce` leaves.

A fold of Nguyen & Pernkopf says in ``fold.json`` how many seconds and epochs it trained; its steps an epoch
are those of its clips with their augmented copies. Seconds are of the whole training: preparation,
recording of the passes, validation after every epoch, and predictions of the test patients. A run's folds are
independent; side by side they take as long as the longest. Nothing is trained here.

Run:  python benchmarks/card.py --nguyen OUT … --chen OUT --beside "7 to 11" --out docs/results/card.json
"""

import argparse
import csv
import json
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

from laennec.features.augment import draw_copies
from laennec.train.recipe import recipe_from_dict


def steps_an_epoch(folder: Path, recipe: dict[str, Any]) -> int:
    """Batches that a training ran in each epoch; the last one, where it is not full, is left out."""
    settings = recipe_from_dict(recipe, recipe["name"])
    with (folder / "clips.csv").open(encoding="utf-8", newline="") as file:
        labels = [row["label"] for row in csv.DictReader(file) if row["side"] == "train"]
    return (
        len(labels) + len(draw_copies(labels, settings.augmentation, settings.seed))
    ) // settings.batch_size


def row(name: str, folders: list[Path]) -> dict[str, Any]:
    """Folds of one system of Table II."""
    facts = [json.loads((folder / "fold.json").read_text(encoding="utf-8")) for folder in folders]
    steps = [steps_an_epoch(folder, own["recipe"]) for folder, own in zip(folders, facts, strict=True)]
    runs = defaultdict(list)
    for folder, own in zip(folders, facts, strict=True):
        runs[folder.parent].append(own["seconds"])
    paired = zip(facts, steps, strict=True)
    whole = [max(seconds) for seconds in runs.values() if len(seconds) == 7]
    return {
        "what": name,
        "trainings": len(facts),
        "batch_size": facts[0]["recipe"]["batch_size"],
        "steps_an_epoch": median(steps),
        "epochs": median(own["epochs_trained"] for own in facts),
        "ms_a_step": round(
            median(1000 * own["seconds"] / (own["epochs_trained"] * each) for own, each in paired), 2
        ),
        "seconds": round(median(own["seconds"] for own in facts), 1),
        "longest_fold_of_a_run_s": round(median(whole), 1) if whole else None,
    }


def training(name: str, folders: list[Path]) -> dict[str, Any]:
    """Runs of one model: the seconds are those of their epochs."""
    facts = [json.loads((folder / "run.json").read_text(encoding="utf-8")) for folder in folders]
    recipes = [json.loads((folder / "recipe.json").read_text(encoding="utf-8")) for folder in folders]
    steps = [steps_an_epoch(folder, recipe) for folder, recipe in zip(folders, recipes, strict=True)]
    paired = zip(facts, steps, strict=True)
    return {
        "what": name,
        "trainings": len(facts),
        "batch_size": recipes[0]["batch_size"],
        "steps_an_epoch": median(steps),
        "epochs": median(own["epochs"] for own in facts),
        "ms_a_step": round(median(1000 * own["seconds"] / (own["epochs"] * each) for own, each in paired), 2),
        "seconds": round(median(own["seconds"] for own in facts), 1),
        "longest_fold_of_a_run_s": None,
    }


def main() -> None:
    """Read the folders, and write what the trainings took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nguyen", type=Path, nargs="+", required=True, help="of reproduce nguyen2022")
    parser.add_argument("--chen", type=Path, required=True, help="of reproduce chen2022")
    parser.add_argument("--beside", required=True, help="processes of folds beside each other, as `7 to 11`")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    folds, runs = defaultdict(list), defaultdict(list)
    for folder in options.nguyen:
        for path in sorted(folder.glob("rows/*/run-*/fold-*/fold.json")):
            folds[path.parents[2].name].append(path.parent)
        for path in sorted(folder.glob("source/*/run.json")):
            runs["nguyen2022-source"].append(path.parent)
    for path in sorted(options.chen.glob("runs/patient/*/seed-*/run.json")):
        runs[path.parents[1].name].append(path.parent)
    first = json.loads((next(iter(folds.values()))[0] / "fold.json").read_text(encoding="utf-8"))
    result = {
        "command": "python benchmarks/card.py",
        "machine": first["machine"],
        "precision": first["precision"],
        "folds_beside_each_other": options.beside,
        "rows": [row(*own) for own in folds.items()] + [training(*own) for own in runs.items()],
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
