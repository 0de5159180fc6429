"""Runs of Nguyen & Pernkopf's rows that were trained later, beside those whose predictions are kept.

    python -m laennec.experiments.more_runs OUT [OUT …]

OUT is the folder of a reproduction on the same cycles. Each of its whole runs that is not kept yet becomes
one more column of the kept row; the rows, and what the paper compares, are measured again.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from laennec.errors import LaennecError
from laennec.experiments import run
from laennec.experiments.predictions import keep_row, read_manifest, read_row
from laennec.files import read_json, write_json
from laennec.reproduce.nguyen2022_baselines import read_baselines
from laennec.reproduce.nguyen2022_tables import collected, settings_of, whole_runs
from laennec.score.predictions import Predictions
from laennec.train.crossval import read_folds

COUNTED = "trainings"


def in_order(own: Predictions, of: Predictions) -> Predictions:
    """The predictions in the order of others; LaennecError where they are of other cycles."""
    rows = {clip: row for row, clip in enumerate(own.clip_ids)}
    if sorted(own.clip_ids) != sorted(of.clip_ids):
        raise LaennecError(f"{len(own.clip_ids)} cycles are not the {len(of.clip_ids)} of the kept runs")
    ordered = own.chosen([rows[clip] for clip in of.clip_ids])
    if (ordered.labels, ordered.subjects) != (of.labels, of.subjects):
        raise LaennecError("cycles have other labels or patients than in the kept runs")
    return ordered


def joined(before: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a row's trainings together; of what differs, both."""
    first, second = before[COUNTED], more[COUNTED]
    result = dict(before) | {COUNTED: first + second}
    if "late_best_share" in before:
        late = first * before["late_best_share"] + second * more["late_best_share"]
        result["late_best_share"] = late / (first + second)
    own = {name: value for name, value in more.items() if value != before.get(name)}
    return result | {"later": [*before.get("later", []), own]}


def add(out: Path, name: str, kept: Path, result: dict[str, Any], command: str) -> None:
    """Add the whole runs of a reproduction to the kept rows and to what is published of them."""
    protocol = read_json(out / "protocol.json", "name another folder", folds=int)
    if (own := protocol["folds"]) != result["protocol"]["folds"]:
        raise LaennecError(f"{out} has {own} folds, the kept runs {result['protocol']['folds']}")
    settings = {row["row"]: row["settings"] for row in result["rows"]}
    runs = {row["row"]: read_row(kept / f"{name}-{row['row']}.csv.gz") for row in result["rows"]}
    for row in sorted(folder.name for folder in (out / "rows").iterdir()):
        whole = whole_runs(out, row)
        if not whole:
            continue
        if row not in runs:
            raise LaennecError(f"{row} is not kept yet; laennec.experiments.predictions keeps it")
        about = read_manifest(kept)[f"{name}-{row}.csv.gz"]
        known = dict(zip(about["seed"], runs[row], strict=True))
        more = {}
        for folder, parts in whole.items():
            seed, own = int(folder.name.removeprefix("run-")) - 1, in_order(read_folds(parts), runs[row][0])
            if seed not in known:
                more[folder] = (seed, own)
            elif not np.allclose(own.probabilities, known[seed].probabilities, atol=1e-6):
                raise LaennecError(f"{row}: another run {seed + 1} is kept already")
        if not more:
            continue
        seeds = [seed for seed, _ in more.values()]
        runs[row] = [*runs[row], *(own for _, own in more.values())]
        settings[row] = joined(settings[row], settings_of(out, row, list(more)))
        later = [*about.get("later", []), {"command": command, "seed": seeds}]
        keep_row(kept, name, row, runs[row], {**about, "seed": [*about["seed"], *seeds], "later": later})
    result.update(collected(runs, baselines_of(out, runs), settings, result["draws"]))


def baselines_of(out: Path, runs: Mapping[str, Sequence[Predictions]]) -> dict[str, list[Predictions]]:
    """The baselines of a reproduction, of the same cycles as the kept runs."""
    first = next(iter(runs.values()))[0]
    return {
        name: [in_order(run, first) for run in baselines] for name, baselines in read_baselines(out).items()
    }


def main() -> None:
    """Add runs to kept rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, nargs="+", help="folder of a reproduction with more runs")
    parser.add_argument("--command", required=True, help="that trained them, as it was typed")
    parser.add_argument("--name", default="nguyen2022-subset", help="of the kept tables and of the results")
    parser.add_argument("--results", type=Path, default=Path("docs/results"))
    options = parser.parse_args()
    path = options.results / f"{options.name}.json"
    result = read_json(path, "name another folder", rows=list, protocol=dict, draws=int)
    for out in options.out:
        add(out, options.name, options.results / "predictions", result, options.command)
    write_json(path, result)


if __name__ == "__main__":
    run(main)
