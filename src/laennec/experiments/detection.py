"""Two simple ways to find events, beside the detector's folds, on patients that none of them was trained on.

    python -m laennec.experiments.detection SPRSOUND RUN CLIP_RUN --out docs/results/detection-baselines.json

RUN is the folder of `laennec detector`, CLIP_RUN one of `laennec train default`, whose model for clips was
trained on 70 % of the patients; the others are measured here.

- energy: events are where the level between 100 and 1000 Hz lies above a line between its quiet and its loud
  tenth; the line's height is the best of nine on the other patients, the class is the commonest, Normal.
- windows: that model over sliding windows, merged (`laennec analyze --model CLIP_RUN`); it has no way to say
  that nothing is there.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from laennec.analyze import analyze
from laennec.audio.recording import Recording
from laennec.datasets import splits, sprsound
from laennec.experiments import run
from laennec.files import write_json
from laennec.labels import SPRSOUND_EVENTS
from laennec.model.load import load_model
from laennec.score.events import Span, event_scores
from laennec.score.events_table import read_events_table
from laennec.score.text import with_interval

HEIGHTS = np.linspace(0.1, 0.9, 9)
SCORES = ("agnostic_f1", "f1", "error_rate", "insertion_rate", "deletion_rate")


def energy_events(recording: Recording, height: float) -> list[Span]:
    """Events where the band's level is high; 0.3 s at least, pauses below 0.15 s closed."""
    samples: NDArray[Any] = recording.samples[0]
    frame = recording.sample_rate // 20
    spectra = np.abs(np.fft.rfft(samples[: samples.size // frame * frame].reshape(-1, frame))) ** 2
    hz = np.fft.rfftfreq(frame, 1 / recording.sample_rate)
    level_db = 10 * np.log10(spectra[:, (hz >= 100) & (hz <= 1000)].sum(1) + 1e-9)
    level_db = np.convolve(level_db, np.ones(5) / 5, "same")
    low, high = np.quantile(level_db, (0.1, 0.9))
    above = np.concatenate([[False], level_db > low + height * (high - low), [False]])
    rises, falls = np.flatnonzero(above[1:] & ~above[:-1]), np.flatnonzero(above[:-1] & ~above[1:])
    spans: list[list[float]] = []
    for rise, fall in zip(rises / 20, falls / 20, strict=True):
        if spans and rise - spans[-1][1] < 0.15:
            spans[-1][1] = fall
        else:
            spans.append([rise, fall])
    return [(a, b, "Normal") for a, b in spans if b - a >= 0.3]


def fold_events(run: Path) -> dict[str, list[Span]]:
    """Out-of-fold events of the first seed of a cross-validated recording model, by recording."""
    return {each.recording: list(each.estimated) for each in read_events_table(run / "seed0" / "events.csv")}


def _figure(value: float | None, bounds: Sequence[float] | None) -> dict[str, float | None]:
    low, high = bounds or (None, None)
    return {"value": value, "low": low, "high": high}


def main() -> None:
    """Measure the three."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in ("data", "run", "clip_run"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--out", type=Path, help="JSON for the figures")
    options = parser.parse_args()
    events, records = sprsound.load(options.data), sprsound.load(options.data, "record")
    patients = set(events["subject"][splits.make(events, "patient", 0.3, 0).validation])
    annotated: dict[str, list[Span]] = {
        str(name): list(zip(own["start_s"], own["end_s"], own["label"], strict=True))
        for name, own in events.groupby("recording")
    }
    held_out = records["subject"].isin(patients)
    rows, others = records[held_out], records[~held_out].iloc[::3]
    recordings = {str(row.recording): Recording.read(str(row.path)) for row in records.itertuples()}

    def scored(names: Sequence[str], found: Sequence[Sequence[Span]], subjects: Sequence[str] = ()) -> Any:
        return event_scores([annotated.get(n, []) for n in names], found, SPRSOUND_EVENTS, subjects=subjects)

    def of_height(height: float) -> float:
        found = [energy_events(recordings[name], height) for name in others["recording"]]
        return float(scored(list(others["recording"]), found)["scores"]["agnostic_f1"])

    best = max(HEIGHTS, key=of_height)
    model, folds, names = load_model(options.clip_run), fold_events(options.run), list(rows["recording"])
    analyses = (analyze(recordings[name], model=model) for name in names)
    systems: dict[str, list[list[Span]]] = {
        f"energy ({best:.1f})": [energy_events(recordings[name], best) for name in names],
        "windows": [[(e.start_s, e.end_s, e.label) for e in analysis.events] for analysis in analyses],
        "detector, its folds": [folds.get(name, []) for name in names],
    }
    figures = []
    for system, found in systems.items():
        scores = scored(names, found, list(rows["subject"]))
        measured = {key: (scores["scores"][key], scores["intervals"][key]) for key in SCORES}
        figures.append({"system": system, **{key: _figure(*each) for key, each in measured.items()}})
        print(f"{system}: {', '.join(with_interval(*each) for each in measured.values())}", flush=True)
    if options.out:
        command = "python -m laennec.experiments.detection SPRSOUND RUN CLIP_RUN"
        data = f"{len(rows)} recordings of {len(patients)} patients"
        write_json(options.out, {"command": command, "data": data, "rows": figures})


if __name__ == "__main__":
    run(main)
