"""What the recipe of recordings does for strangers, trial by trial: folds of a rehearsal, measured alike.

    python -m laennec.experiments.rehearsal FOLD … --trial NAME --split SPLIT --command COMMAND --out JSON
    python -m laennec.experiments.rehearsal RUN --out JSON

A fold is a folder that ``laennec crossvalidate`` of a model for whole recordings has written; its trial is
added to the file, or replaced there. Several folds are one fold of several seeds, whose networks answer
together: their logits are averaged. Folds of release 0.1.0 do not say of which data set: `--dataset`. Of a
finished run, with the runs that it was chosen with, the file gets the figures of strangers as they are.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from laennec.errors import LaennecError
from laennec.experiments import run
from laennec.files import read_json, write_json
from laennec.train.recording_predictions import LOGITS, OF_FRAMES, RecordingOutput, load_outputs
from laennec.train.rehearsal import rehearse


def averaged(folders: Sequence[Path]) -> list[RecordingOutput]:
    """What the networks of several seeds say together of one fold's recordings: the means of their logits."""
    runs = [load_outputs([folder]) for folder in folders]
    if len({tuple(own.name for own in outputs) for outputs in runs}) > 1:
        raise LaennecError(f"{folders[0]} and {folders[-1]} are folds of other recordings")
    return [
        replace(
            same[0],
            **{
                name: np.mean([np.asarray(getattr(own, name), float) for own in same], axis=0)
                for name in (*LOGITS, *OF_FRAMES)
            },
        )
        for same in zip(*runs, strict=True)
    ]


def measured(folders: Sequence[Path], split: str, dataset: str) -> dict[str, Any]:
    """The figures of a fold, which nobody of it was trained on; of several seeds, those of their mean."""
    folder = folders[0]
    recipe = read_json(folder / "recipe.json", "laennec crossvalidate writes it", labels=list, records=list)
    outputs = [replace(own, split=split) for own in averaged(folders)]
    outputs = [own if own.dataset else replace(own, dataset=dataset) for own in outputs]
    frames_tell = recipe.get("recording", {}).get("evidence_weight", 0) > 0
    facts = read_json(folder / "fold.json", "laennec crossvalidate writes it", clips=dict, machine=dict)
    return {
        "recipe": recipe,
        "clips": facts["clips"],
        "machine": facts["machine"],
        "figures": rehearse(outputs, recipe["labels"], recipe["records"], frames_tell)["splits"][split],
    }


def of_run(run: Path) -> dict[str, Any]:
    """What a finished run, or the first seed of it, says of strangers, and how it was made."""
    told = read_json(run / "metrics.json", "laennec crossvalidate writes it", strangers=dict, command=str)
    folds = [read_json(path, "damaged") for path in sorted(run.glob("seed*/fold*/fold.json"))]
    trained = [{name: own[name] for name in ("fold", "clips", "machine", "seconds")} for own in folds]
    return {
        "command": told["command"],
        "seeds": told["seeds"],
        "recipe": folds[0]["recipe"],
        "trained": trained,
        **told["strangers"],
    }


def main() -> int:
    """Measure a fold and write it beside the others, or write what a finished run says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "fold", type=Path, nargs="+", help="a fold's folder, or one of each seed, or that of a finished run"
    )
    parser.add_argument("--trial", help="its column in the table")
    parser.add_argument("--split", help="which patients are measured on")
    parser.add_argument("--command", help="what trained it")
    parser.add_argument("--dataset", default="sprsound", help="of outputs that do not say")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if (options.fold[0] / "metrics.json").exists():
        write_json(options.out, of_run(options.fold[0]))
        return 0
    if not (options.trial and options.split and options.command):
        parser.error("a fold needs --trial, --split and --command")
    before = (
        read_json(options.out, "name another file", trials=dict) if options.out.exists() else {"trials": {}}
    )
    own = measured(options.fold, options.split, options.dataset)
    trial = {"command": options.command, "split": options.split, **own}
    write_json(options.out, {**before, "trials": {**before["trials"], options.trial: trial}})
    return 0


if __name__ == "__main__":
    run(main)
