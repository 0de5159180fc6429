"""All of ``docs/results/training-release.json`` by one command: parts of a step, compiled passes, an earlier
release, what trainings cost.

It takes about 20 minutes of two idle cores. The file is replaced when all is measured, not before.

Run:  git worktree add --detach ../release 5e53852
      OMP_NUM_THREADS=1 python benchmarks/training_release.py --release ../release/src \\
          --data ~/data/SPRSound --out docs/results/training-release.json
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from laennec.files import read_json, write_json
from laennec.train.recipe import load_recipe

HERE = Path(__file__).resolve().parent
CORE_HOUR_USD, CARD_HOUR_USD = 0.05, 4.0  # assumed prices
ON_A_CARD = ["nguyen2022-source", "chen2022-literal"]  # rows of card.json


def run(script: str, *words: str) -> None:
    """Run another benchmark, which prints what it finds."""
    subprocess.run([sys.executable, str(HERE / script), *words], check=True)


def cost(found: dict[str, Any], steps_of_default: int) -> dict[str, Any]:
    """What trainings take, by the quicker precision of what was measured."""
    default, recording = load_recipe("default"), load_recipe("recording")
    rounds = [statistics.median(own["present"]) for own in found["release"]["steps_processor_ms"].values()]
    of_recording = [
        sum(row["processor_ms"].values()) for row in found["parts"]["rows"] if row["recipe"] == "recording"
    ]
    steps = {
        "default": (default.epochs, steps_of_default, min(rounds)),
        "recording": (recording.epochs, recording.recording.batches, min(of_recording)),
    }
    rows = [
        ("`crossvalidate default`, five folds", 5, "default"),
        ("`crossvalidate recording`, five folds", 5, "recording"),
        ("`train recording`", 1, "recording"),
    ]
    return {
        "core_hour_usd": CORE_HOUR_USD,
        "card_hour_usd": CARD_HOUR_USD,
        "source": "`python benchmarks/release.py` (`default`), `python benchmarks/parts.py` (`recording`)",
        "rows": [
            {
                "what": what,
                "folds": folds,
                "epochs": steps[name][0],
                "steps_an_epoch": steps[name][1],
                "processor_ms_a_step": round(steps[name][2], 1),
            }
            for what, folds, name in rows
        ],
        "on_a_card": ON_A_CARD,
    }


def steps_of_a_fold(data: Path) -> int:
    """Steps of an epoch of `default` on the first of five folds."""
    from laennec.datasets import dataset
    from laennec.train.crossval import gather
    from laennec.train.protocols import protocol_of

    recipe = load_recipe("default")
    gathered = gather(dataset("sprsound").load(data), recipe, protocol_of(recipe, 5, "k-fold"))
    training = gathered.parts(gathered.folds[0], recipe)[0]
    return len(training.training_loader(recipe, gathered.front_end))


def main() -> None:
    """Run the parts one after the other, and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in ("release", "data", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--rounds", default="3")
    parser.add_argument("--commands", default="1")
    parser.add_argument("--epochs", default="2", help="of the whole command")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        new = Path(folder) / "new.json"
        run("parts.py", "--compile", "--out", str(new))
        sides = ["--release", str(options.release), "--data", str(options.data), "--cores", "2"]
        many = ["--rounds", options.rounds, "--commands", options.commands, "--epochs", options.epochs]
        run("release.py", *sides, *many, "--folds", *"12345", "--out", str(new))
        found = read_json(new, "run it again")
    write_json(options.out, {**found, "cost": cost(found, steps_of_a_fold(options.data))})


if __name__ == "__main__":
    main()
