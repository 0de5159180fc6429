"""Systems whose predictions are published, rescored by the referee's rules, each with how it was measured.

    python -m laennec.experiments.leaderboard --out docs/results/leaderboard.json

The predictions are those of docs/results/predictions; `ENTRIES` says of each what it was trained and chosen
on. Somebody else's system gets a line by its file of predictions and such an entry.
"""

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from laennec.experiments import run
from laennec.files import sha256_of, write_json
from laennec.referee.data import spoken_durations
from laennec.referee.names import read_names
from laennec.score.baselines import SCORE, baseline_scores, scores_of
from laennec.score.markdown import Load, table
from laennec.score.predictions import read_runs
from laennec.score.text import number, with_interval

PREDICTIONS = Path("docs/results/predictions")


@dataclass(frozen=True)
class Entry:
    """One system on one task, and its protocol."""

    system: str
    task: str
    files: tuple[str, ...]
    dataset: str
    test: str
    """What was tested on."""
    patient_disjoint: bool
    chosen_on: str
    """What epochs, decisions and thresholds were chosen on."""
    official_split: bool


def _seeds(name: str) -> tuple[str, ...]:
    return tuple(f"{name}-seed{seed}.csv.gz" for seed in range(3))


_FOLDS = "SPRSound's training set of 2022, five folds by patient"
ENTRIES = (
    Entry(
        "Laennec `default`",
        "7 event classes",
        _seeds("default"),
        "sprsound",
        _FOLDS,
        True,
        "other folds",
        False,
    ),
    Entry(
        "residual CNN (`baseline`) with the decision",
        "7 event classes",
        _seeds("baseline-decision"),
        "sprsound",
        _FOLDS,
        True,
        "other folds",
        False,
    ),
    Entry(
        "residual CNN (`baseline`)",
        "7 event classes",
        _seeds("baseline"),
        "sprsound",
        _FOLDS,
        True,
        "nothing",
        False,
    ),
    Entry(
        "Laennec `recording`, recipe of release 0.1",
        "5 classes of recordings",
        _seeds("recording"),
        "sprsound",
        _FOLDS,
        True,
        "other folds",
        False,
    ),
)


def measured(entry: Entry, folder: Path = PREDICTIONS) -> dict[str, Any]:
    """Scores of an entry with intervals over patients, and of the strongest rule that does not listen."""
    paths = [folder / name for name in entry.files]
    predictions = read_runs(paths)
    names = read_names(predictions.clip_ids, entry.dataset)
    known: dict[str, Any] = {"position": [name.position for name in names]}
    seconds = spoken_durations(names)
    if seconds is not None:
        known["duration"] = seconds
    strongest = max(baseline_scores(predictions, known), key=lambda row: row["scores"][SCORE] or 0.0)
    return {
        **asdict(entry),
        "clips": len(predictions.clip_ids),
        "patients": len(set(predictions.subjects)),
        "runs": len(paths),
        "sha256": {path.name: sha256_of(path) for path in paths},
        "scores": {name: asdict(score) for name, score in scores_of(predictions).items()},
        "strongest_baseline": strongest,
    }


def leaderboard(load: Load) -> str:
    """A line for each system, the tasks apart."""
    rows = []
    for entry in load("leaderboard")["entries"]:
        scores, rule = entry["scores"], entry["strongest_baseline"]
        rows.append(
            [
                entry["system"],
                entry["task"],
                *(number(scores[name]["value"]) for name in ("sensitivity", "specificity")),
                with_interval(scores[SCORE]["value"], [scores[SCORE]["low"], scores[SCORE]["high"]]),
                f"{rule['name']}: {number(rule['scores'][SCORE])}",
                "yes" if entry["patient_disjoint"] else "no",
                entry["chosen_on"],
                "yes" if entry["official_split"] else "no",
                f"{entry['clips']:,} of {entry['patients']}",
            ]
        )
    header = [
        *("system", "task", "Se", "Sp", "(Se + Sp)/2", "strongest rule that does not listen"),
        *("patient-disjoint", "chosen on", "official split", "clips of patients"),
    ]
    return table(header, rows)


TABLES = {"leaderboard": leaderboard}


def main() -> int:
    """Measure every entry and write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    command = f"python -m laennec.experiments.leaderboard --out {options.out}"
    write_json(options.out, {"command": command, "entries": [measured(entry) for entry in ENTRIES]})
    return 0


if __name__ == "__main__":
    run(main)
