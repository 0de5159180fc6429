"""How well a model of SPRSound's children carries to ICBHI 2017: adults and children, four other devices.

    python benchmarks/other_devices.py --data ICBHI --model default --out other-devices.json

Each cycle is heard in windows of the model's own length for events, half overlapping; a cycle's score for
crackles is the highest of its windows' probabilities of crackles, and so for wheezes. AUC of cycles with the
sound against those without, by device, with 95 % intervals over patients. 0.5 is chance.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from laennec.files import write_json
from laennec.labels import TO_ICBHI
from laennec.metrics import evaluate
from laennec.model import LungModel, load_model
from laennec.segment import windows
from laennec.train.commands import load_clips
from laennec.train.data import cut_clips

SOUNDS = ("crackle", "wheeze")


def scores(model: LungModel, cycles: pd.DataFrame, window_s: float) -> np.ndarray:
    """``(cycles, 2)``: highest probability of crackles, and of wheezes, among a cycle's windows."""
    rate = model.card.sample_rate
    kinds = np.array([TO_ICBHI[label] for label in model.card.labels])
    members = np.stack([(kinds == sound) | (kinds == "both") for sound in SOUNDS], axis=1)
    found = np.empty((len(cycles), len(SOUNDS)))
    for row, samples in cut_clips(cycles, rate, "listening"):
        length_s = min(window_s, samples.size / rate)
        spans = windows(samples.size / rate, length_s, length_s / 2)
        clips = [samples[round(start * rate) : round(end * rate)] for start, end in spans]
        found[row] = (model.predict(clips, rate) @ members).max(0)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="ICBHI 2017's folder, or a subset of it")
    parser.add_argument("--model", default="default", help="a model that ships, or an .onnx file")
    parser.add_argument("--window-s", type=float, default=1.5, help="seconds of a window, 1.5")
    parser.add_argument("--out", type=Path, help="JSON for the figures")
    asked = parser.parse_args()
    model, cycles = load_model(asked.model), load_clips("icbhi", asked.data)
    found = scores(model, cycles, asked.window_s)
    label, patient = cycles["label"].to_numpy(str), cycles["subject"].to_numpy(str)
    device = cycles["device"].to_numpy(str)
    told: dict[str, dict[str, dict[str, object]]] = {}
    for column, sound in enumerate(SOUNDS):
        there = (label == sound) | (label == "both")
        told[sound] = {}
        for name in ("all", *sorted(set(device))):
            mask = np.ones(len(device), bool) if name == "all" else device == name
            score = found[mask, column]
            measured = evaluate(
                np.where(there[mask], sound, "normal").tolist(),
                np.stack([1 - score, score], axis=1),
                patient[mask].tolist(),
                ("normal", sound),
                "normal",
                draws=1000,
            )
            auc = measured["scores"]["binary_roc_auc"]
            between = measured["intervals"]["binary_roc_auc"]
            told[sound][name] = {
                "cycles": measured["clips"],
                "with": int(there[mask].sum()),
                "patients": measured["subjects"],
                "auc": auc,
                "interval": between,
            }
            spelled = "-" if auc is None else f"{auc:.3f}"
            spelled += f" {between[0]:.3f} to {between[1]:.3f}" if between else ""
            print(f"{sound:8} {name:10} {there[mask].sum():4d} of {mask.sum():4d} AUC {spelled}")
    if asked.out:
        name = Path(asked.model).name
        write_json(
            asked.out,
            {
                "command": f"python benchmarks/other_devices.py --data ICBHI --model {name}",
                "model": {"name": model.card.name, "sha256": model.sha256},
                "window_s": asked.window_s,
                "auc": told,
            },
        )


if __name__ == "__main__":
    main()
