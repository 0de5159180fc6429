"""What gain, a slow device, sloppy boundaries and the noise of a ward cost.

    python benchmarks/robustness.py --data SPRSound --cv runs/cv --out robustness.json

Every event is answered for by the model of a cross-validation (`laennec crossvalidate`) that never heard its
patient, with the decision fitted on the other folds. Each condition changes the recordings, or the
boundaries, before anything else is done with them. The loss of Score has a paired interval over patients;
seeds are averaged. The noise is drawn anew, by the generator that training draws from with other seeds.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from laennec.audio.recording import Recording
from laennec.audio.samples import resample
from laennec.audio.segment import cut
from laennec.files import write_json
from laennec.progress import track
from laennec.score.evaluation import score
from laennec.score.predictions import Predictions, read_predictions, stacked
from laennec.simulate.other import ward_noise
from laennec.train.commands import command, load_clips, training_clips
from laennec.train.crossval import pooled
from laennec.train.data import metadata_tensors, predictions
from laennec.train.export import deployed, read_run
from laennec.train.fit import tuned_cpu
from laennec.train.folds import decisions, with_decision
from laennec.train.folds_figures import difference

SNR_DB = 20.0
BATCH = 64


def add_noise(samples: np.ndarray, rate: int, seed: list[int]) -> np.ndarray:
    """The recording with a ward's noise `SNR_DB` below it, over the whole of it."""
    noise = ward_noise(np.random.default_rng([99, *seed]), samples.size / rate, rate)[: samples.size]
    gain = samples.std() * 10.0 ** (-SNR_DB / 20.0)
    return (samples + gain * noise).astype(np.float32)


def through_4_khz(samples: np.ndarray, rate: int, seed: list[int]) -> np.ndarray:
    """The recording as a device of 4 kHz would have it."""
    return resample(resample(samples, rate, 4000), 4000, rate)[: samples.size]


def gain(db: float) -> Callable[[np.ndarray, int, list[int]], np.ndarray]:
    """Louder or softer."""
    return lambda samples, rate, seed: (samples * np.float32(10.0 ** (db / 20.0))).astype(np.float32)


# What is done to the recording, and seconds by which boundaries are moved.
CONDITIONS: dict[str, tuple[Callable[[np.ndarray, int, list[int]], np.ndarray] | None, float]] = {
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


def heard_clips(clips: pd.DataFrame, condition: str, rate: int) -> list[torch.Tensor]:
    """Samples of clips under a condition."""
    change, by_s = CONDITIONS[condition]
    clips = moved(clips, by_s)
    heard: dict[int, torch.Tensor] = {}
    groups = clips.groupby("path", sort=False).indices
    for number, (path, rows) in enumerate(track(groups.items(), condition, total=len(groups))):
        samples = Recording.read(str(path)).resampled(rate).samples[0]
        if change is not None:
            samples = change(samples, rate, [0, number])
        for row in rows:
            start_s, end_s = clips["start_s"].iloc[row], min(clips["end_s"].iloc[row], samples.size / rate)
            heard[int(row)] = torch.from_numpy(cut(samples, rate, start_s, end_s, notes=[]))
    return [heard[row] for row in range(len(clips))]


@torch.inference_mode()
def answers(fold: Path, clips: pd.DataFrame, heard: list[torch.Tensor]) -> Predictions:
    """What a fold's model says of clips."""
    labels, model = read_run(fold)[0].labels, deployed(fold)
    told, probabilities = metadata_tensors(clips), torch.empty(len(clips), len(labels))
    for rows in torch.arange(len(clips)).split(BATCH):
        own = [heard[int(row)] for row in rows]
        waveform = torch.nn.utils.rnn.pad_sequence(own, batch_first=True)
        length = torch.tensor([len(clip) for clip in own])
        probabilities[rows] = model(waveform, length, *(each[rows] for each in told))
    return predictions(clips, labels, probabilities.double().numpy())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="SPRSound's folder")
    parser.add_argument("--cv", type=Path, required=True, help="folder of laennec crossvalidate")
    parser.add_argument("--out", type=Path, help="JSON for the figures")
    parser.add_argument("--only", nargs="*", default=list(CONDITIONS), help="some of the conditions")
    asked = parser.parse_args()
    clips = training_clips(load_clips("sprsound", asked.data)).set_index("clip_id")
    seeds = sorted(asked.cv.glob("seed*"))
    folds = [sorted(seed.glob("fold*")) for seed in seeds]
    clean = [[read_predictions(fold / "predictions.csv") for fold in own] for own in folds]
    decided = [decisions(own) for own in clean]
    found = {}
    with tuned_cpu():
        for condition in asked.only:
            parts: list[list[Predictions]] = [[] for _ in seeds]
            for place in range(len(folds[0])):
                # The folds hold the same patients in every seed, so what they hear is made once.
                own = clips.loc[list(clean[0][place].clip_ids)].reset_index()
                heard = heard_clips(own, condition, read_run(folds[0][place])[1].sample_rate)
                for seed, run in enumerate(folds):
                    said = answers(run[place], own, heard)
                    parts[seed].append(with_decision(said, decided[seed][place]))
            found[condition] = stacked([pooled(own) for own in parts])
    told = {}
    base = found[asked.only[0]]
    for condition, predicted in found.items():
        task = score(predicted, draws=1)["task_12"]["scores"]["challenge_score"]
        change = difference(base, predicted)["task_12"]["challenge_score"]
        told[condition] = {"score": task, **change}
        print(f"{condition:24} Score {task:.4f}  {change['difference']:+.4f}  {change['interval']}")
    if asked.out:
        typed = "python benchmarks/robustness.py " + " ".join(command().split()[1:])
        write_json(asked.out, {"command": typed, "seeds": len(seeds), "conditions": told})


if __name__ == "__main__":
    sys.exit(main())
