"""What gain, a slow device, sloppy boundaries and the noise of a ward cost.

    python -m laennec.experiments.robustness --data SPRSound --cv runs/cv --out docs/results/robustness.json

Every event is predicted by the model of a cross-validation (`laennec crossvalidate`) that did not train on
its patient, with the decision fitted on the other folds. Each condition changes the recordings, or the
boundaries, before anything else is done with them. The loss of Score has a paired interval over patients;
seeds are averaged. The noise is drawn anew, by the generator that training draws from with other seeds.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from laennec.audio.recording import Recording
from laennec.audio.samples import resample
from laennec.audio.segment import cut
from laennec.datasets.records import load_clips
from laennec.experiments import run
from laennec.experiments.answers import probabilities_of, seeds_of
from laennec.files import write_json
from laennec.progress import track
from laennec.score.evaluation import score
from laennec.score.predictions import Predictions, read_predictions, stacked
from laennec.simulate.other import ward_noise
from laennec.train.card import command
from laennec.train.crossval import decisions, pooled, with_decision
from laennec.train.data import metadata_tensors, predictions
from laennec.train.export import deployed
from laennec.train.folds_figures import difference
from laennec.train.hardware import tuned_cpu
from laennec.train.tables import training_clips
from laennec.train.weights import read_run

Samples = NDArray[np.float32]
Change = Callable[[Samples, int, list[int]], Samples]
SNR_DB = 20.0


def add_noise(samples: Samples, rate: int, seed: list[int]) -> Samples:
    """The recording with a ward's noise `SNR_DB` below it, over the whole of it."""
    noise = ward_noise(np.random.default_rng([99, *seed]), samples.size / rate, rate)[: samples.size]
    gain = samples.std() * 10.0 ** (-SNR_DB / 20.0)
    return np.asarray(samples + gain * noise, np.float32)


def through_4_khz(samples: Samples, rate: int, seed: list[int]) -> Samples:
    """The recording as a device of 4 kHz would have it."""
    return np.asarray(resample(resample(samples, rate, 4000), 4000, rate)[: samples.size])


def gain(db: float) -> Change:
    """Louder or softer."""
    return lambda samples, rate, seed: (samples * np.float32(10.0 ** (db / 20.0))).astype(np.float32)


# What is done to the recording, and seconds by which boundaries are moved.
CONDITIONS: dict[str, tuple[Change | None, float]] = {
    "as it is": (None, 0.0),
    "gain +12 dB": (gain(12.0), 0.0),
    "gain -12 dB": (gain(-12.0), 0.0),
    "through 4 kHz": (through_4_khz, 0.0),
    "boundaries +-100 ms": (None, 0.1),
    "ward noise, 20 dB": (add_noise, 0.0),
}


def moved(clips: pd.DataFrame, by_s: float) -> pd.DataFrame:
    """Each boundary moved by `by_s` to one side or the other, drawn by itself."""
    if by_s == 0:
        return clips
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (len(clips), 2)) * by_s
    start_s = (clips["start_s"] + signs[:, 0]).clip(lower=0)
    return clips.assign(start_s=start_s, end_s=np.maximum(clips["end_s"] + signs[:, 1], start_s + 0.1))


def changed_clips(clips: pd.DataFrame, condition: str, rate: int) -> list[Samples]:
    """Samples of clips under a condition."""
    change, by_s = CONDITIONS[condition]
    clips = moved(clips, by_s)
    samples_of: dict[int, Samples] = {}
    groups = clips.groupby("path", sort=False).indices
    for number, (path, rows) in enumerate(track(groups.items(), condition, total=len(groups))):
        samples = Recording.read(str(path)).resampled(rate).samples[0]
        if change is not None:
            samples = change(samples, rate, [0, number])
        for row in rows:
            start_s, end_s = clips["start_s"].iloc[row], min(clips["end_s"].iloc[row], samples.size / rate)
            samples_of[int(row)] = cut(samples, rate, start_s, end_s, notes=[])
    return [samples_of[row] for row in range(len(clips))]


def of_condition(condition: str, clips: pd.DataFrame, seeds: list[list[Path]]) -> Predictions:
    """Out-of-fold predictions of all seeds under a condition; `clips` by their ``clip_id``."""
    clean = [[read_predictions(fold / "predictions.csv") for fold in folds] for folds in seeds]
    parts: list[list[Predictions]] = [[] for _ in seeds]
    for place in range(len(seeds[0])):
        # The folds hold the same patients in every seed, so their samples are made once.
        own = clips.loc[list(clean[0][place].clip_ids)].reset_index()
        samples = changed_clips(own, condition, read_run(seeds[0][place])[1].sample_rate)
        for seed, folds in enumerate(seeds):
            labels = read_run(folds[place])[0].labels
            answered = probabilities_of(deployed(folds[place]), samples, metadata_tensors(own))
            decision = decisions(clean[seed])[place]
            parts[seed].append(with_decision(predictions(own, labels, answered), decision))
    return stacked([pooled(own) for own in parts])


def main() -> None:
    """Measure all conditions."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="SPRSound's folder")
    parser.add_argument("--cv", type=Path, required=True, help="folder of laennec crossvalidate")
    parser.add_argument("--out", type=Path, help="JSON for the figures")
    parser.add_argument("--only", nargs="*", default=list(CONDITIONS), help="some of the conditions")
    options = parser.parse_args()
    clips = training_clips(load_clips("sprsound", options.data)).set_index("clip_id")
    seeds, figures, plain = seeds_of(options.cv), {}, None
    with tuned_cpu():
        for condition in options.only:
            predicted = of_condition(condition, clips, seeds)
            plain = plain or predicted
            task = score(predicted, draws=1)["task_12"]["scores"]["challenge_score"]
            change = difference(plain, predicted)["task_12"]["challenge_score"]
            figures[condition] = {"score": task, **change}
            print(f"{condition:24} Score {task:.4f}  {change['difference']:+.4f}  {change['interval']}")
    if options.out:
        typed = "python -m laennec.experiments.robustness " + " ".join(command().split()[1:])
        write_json(options.out, {"command": typed, "seeds": len(seeds), "conditions": figures})


if __name__ == "__main__":
    run(main)
