"""What an adapted head does on a data set that its model never heard, and from how many patients on.

    python -m laennec.experiments.adapting MODEL --data DATASET=FOLDER --trained TEXT --out JSON

The figures are those of ``laennec adapt``: every patient answered by what the others taught. For the learning
curve, patients are drawn to learn from, several times for each number of them, and all others are measured.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from laennec import datasets
from laennec.errors import UsageError
from laennec.experiments import run
from laennec.files import read_json, write_json
from laennec.model.load import load_detector
from laennec.train.adapt import check_enough, labelled_events, learnt
from laennec.train.card import command
from laennec.train.head import AdaptableModel
from laennec.train.head_fit import Items, fit_change
from laennec.train.head_heard import heard, items_of
from laennec.train.head_report import TITLES, event_figures

SIZES = (5, 10, 20, 40)
DRAWS = 10
LEFT = 8  # patients to measure on, at least


def measured(model: str, dataset: str, data: Path, sizes: Sequence[int], draws: int) -> dict[str, Any]:
    """Figures of a data set, and its learning curve."""
    own = AdaptableModel(load_detector(model))
    listened = list(heard(labelled_events(dataset, data, own.card), own.listener()))
    check_enough(listened)
    made = learnt(listened, own, "measured", datasets.dataset(dataset).NAME)
    told = {key: value for key, value in made.json().items() if key not in ("answers", "model")}
    items, labels = items_of(listened, own.head, own.card)
    return {**told, "curve": curve(items, labels, own.card.labels, sizes, draws)}


def curve(
    items: Items, labels: Sequence[str], classes: Sequence[str], sizes: Sequence[int], draws: int
) -> list[dict[str, Any]]:
    """Figures of patients who are not learnt from, before and after, for each number of those who are."""
    names = np.unique(items.patients)
    rows = []
    for size in sizes:
        if size > len(names) - LEFT:
            continue
        drawn: list[dict[str, Any]] = []
        for seed in range(draws):
            chosen = np.random.default_rng([size, seed]).permutation(names)[:size]
            inside = np.isin(items.patients, chosen)
            change, penalty = fit_change(items.chosen(inside))
            others = items.chosen(~inside)
            theirs = [label for label, own in zip(labels, inside, strict=True) if not own]
            figures = event_figures(others, change.on(others), theirs, classes, draws=0)
            values = {
                name: {when: each[when].value for when in ("before", "after")}
                for name, each in figures.items()
            }
            drawn.append(
                {
                    "events": int(inside.sum()),
                    "penalty": penalty if np.isfinite(penalty) else None,
                    **values,
                }
            )
        rows.append({"patients": size, "draws": drawn})
    return rows


def main() -> int:
    """Measure a data set and write it beside the others."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="a model for whole recordings")
    parser.add_argument("--data", required=True, metavar="DATASET=FOLDER")
    parser.add_argument(
        "--trained", required=True, help="what the model was trained on, and what it never heard"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    name, equals, folder = options.data.partition("=")
    if not equals:
        raise UsageError(f"--data {options.data}: expected DATASET=FOLDER")
    before = read_json(options.out, "name another file", sets=dict) if options.out.exists() else {"sets": {}}
    own = measured(options.model, name, Path(folder), options.sizes, options.draws)
    told = {
        "command": command().replace("laennec", "python -m laennec.experiments.adapting", 1),
        "trained": options.trained,
        **own,
    }
    write_json(options.out, {"titles": TITLES, "sets": {**before["sets"], name: told}})
    return 0


if __name__ == "__main__":
    run(main)
