"""Over how many shifts below a frame a recording model's outputs are averaged, measured out of fold.

    python -m laennec.experiments.phases runs/cv --out docs/results/phases.json

The folder is one of ``laennec crossvalidate recording``, of one seed or more. Each fold's network gives its
outputs for the annotated recordings of the patients that it was not trained on, as `analyze` would: brought
to one level and averaged over each number of shifts. Rules, temperatures and shifts of Normal are chosen anew
for each number, for a fold on the other folds. Recordings of other data sets keep what they have.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from laennec.audio.recording import Recording
from laennec.experiments import run
from laennec.experiments.answers import seeds_of
from laennec.files import write_json
from laennec.model.detector import mean_over_shifts
from laennec.models.recording import class_logits, pool
from laennec.progress import track
from laennec.train.recipe import Recipe
from laennec.train.recording_predictions import RecordingOutput, load_outputs
from laennec.train.recording_report import measure
from laennec.train.recordings import levelled
from laennec.train.weights import read_run

Floats = NDArray[np.float32]
PHASES = (1, 2, 4)


def outputs_of_fold(fold: Path) -> tuple[Recipe, dict[int, list[RecordingOutput]]]:
    """Outputs of a fold's recordings by the number of shifts."""
    recipe, front_end, network, _ = read_run(fold)
    frame = front_end.hop_length * int(network.time_stride)  # type: ignore[arg-type,operator]
    clips = pd.read_csv(fold / "clips.csv", dtype={"recording": str})
    rows: list[Any] = list(clips.assign(channel=clips["channel"].fillna(0).astype(int)).itertuples())
    paths = {f"{row.recording}:{row.channel}": (str(row.path), row.channel) for row in rows}

    @torch.inference_mode()
    def outputs(samples: Floats) -> dict[str, Floats]:
        images = front_end(torch.from_numpy(np.ascontiguousarray(samples))[None])
        return {name: value.float().numpy() for name, value in network(images).items()}

    result: dict[int, list[RecordingOutput]] = {phases: [] for phases in PHASES}
    for own in track(load_outputs([fold]), f"averaging, {fold.name}"):
        if not own.placed or own.name not in paths:  # of another data set
            for kept in result.values():
                kept.append(own)
            continue
        path, channel = paths[own.name]
        samples = levelled(Recording.read(path).resampled(front_end.sample_rate), channel)
        for phases, kept in result.items():
            shifted = mean_over_shifts(outputs, samples, frame, phases)
            mean = {name: torch.from_numpy(v) for name, v in shifted.items()}
            kept.append(
                replace(
                    own,
                    presence=mean["presence"][0].numpy(),
                    classes=class_logits(mean)[0].numpy(),
                    record_logits=pool(mean["record"])[0].numpy(),
                    kind_logits=mean["kind"].mean(2)[0].numpy(),
                )
            )
    return recipe, result


def row_of(phases: int, figures: Mapping[str, Any]) -> dict[str, Any]:
    """What a table shows of one number of shifts."""
    scores, intervals = (figures["detection"][part] for part in ("scores", "intervals"))
    return {
        "phases": phases,
        "events": {key: [scores[key], intervals.get(key)] for key in ("agnostic_f1", "f1", "error_rate")},
        "tasks": {
            task: {
                "without_shift": own["without_shift"],
                "score": own["score"],
                "interval": own["interval"],
            }
            for task, own in figures["tasks"].items()
        },
        "ece_events": figures["event_calibration"]["ece"],
        "ece_records": figures["record_calibration"]["ece"],
        "rate": figures["rate"]["good"],
    }


def measured(folds: Sequence[Path]) -> dict[str, Any]:
    """Figures of each number of shifts over the folds of one seed."""
    outputs: dict[int, list[RecordingOutput]] = {phases: [] for phases in PHASES}
    for fold in folds:
        recipe, own = outputs_of_fold(fold)
        for phases, kept in outputs.items():
            kept.extend(own[phases])
    rows = []
    for phases, kept in outputs.items():
        with TemporaryDirectory() as folder:
            figures, _ = measure({recipe.seed: kept}, recipe, Path(folder))
        rows.append(row_of(phases, figures))
    of = {"recipe": recipe.name, "seed": recipe.seed, "folds": [fold.name for fold in folds]}
    return {**of, "recordings": figures["recordings"], "patients": figures["patients"], "rows": rows}


def main() -> None:
    """Measure each number of shifts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of laennec crossvalidate recording")
    parser.add_argument("--out", type=Path, required=True, help="JSON for the figures")
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    finished = [[fold for fold in folds if (fold / "model.pt").exists()] for folds in seeds_of(options.run)]
    command = "python -m laennec.experiments.phases RUN"
    write_json(options.out, {"command": command, "seeds": [measured(folds) for folds in finished]})


if __name__ == "__main__":
    run(main)
