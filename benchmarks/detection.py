"""Two simple ways to find events, beside the detector's folds, on patients that none of them was trained on.

    python benchmarks/detection.py SPRSOUND RUN CLIP_RUN

RUN is the folder of `laennec detector`, CLIP_RUN one of `laennec train default`, whose model for clips was
trained on 70 % of the patients; the others are measured here.

- energy: events are where the level between 100 and 1000 Hz lies above a line between its quiet and its loud
  tenth; the line's height is the best of nine on the other patients, the class is the commonest, Normal.
- windows: that model over sliding windows, merged (`laennec analyze --model CLIP_RUN`); it has no way to say
  that nothing is there.
"""

import json
import sys
from pathlib import Path

import numpy as np

from laennec import analyze, load_model
from laennec.audio.recording import Recording
from laennec.datasets import splits, sprsound
from laennec.labels import SPRSOUND_EVENTS
from laennec.score.events import event_scores
from laennec.train.detector import load_said
from laennec.train.detector_figures import _annotated, _detection, _named

HEIGHTS = np.linspace(0.1, 0.9, 9)


def energy_events(samples: np.ndarray, rate: int, height: float) -> list[tuple[float, float, str]]:
    """Events where the band's level is high; 0.3 s at least, pauses below 0.15 s closed."""
    frame = rate // 20
    spectra = np.abs(np.fft.rfft(samples[: samples.size // frame * frame].reshape(-1, frame))) ** 2
    hz = np.fft.rfftfreq(frame, 1 / rate)
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


def main(data: str, run: str, clip_run: str) -> None:
    """Print a table."""
    events, records = sprsound.load(data), sprsound.load(data, "record")
    held = splits.make(events, "patient", 0.3, 0)
    patients = set(events["subject"][held.validation])
    rows = records[records["subject"].isin(patients)]
    by_name = {
        name: [(r.start_s, r.end_s, r.label) for r in own.itertuples()]
        for name, own in events.groupby("recording")
    }
    recordings = {r.recording: Recording.read(r.path) for r in records.itertuples()}
    reference = [by_name.get(name, []) for name in rows["recording"]]
    subjects = list(rows["subject"])

    def table(name: str, estimated: list) -> None:
        found = event_scores(reference, estimated, SPRSOUND_EVENTS, subjects=subjects)
        keys = ("agnostic_f1", "f1", "error_rate", "insertion_rate", "deletion_rate")
        cells = []
        for key in keys:
            interval = found["intervals"][key]
            cells.append(f"{found['scores'][key]:.3f} ({interval[0]:.3f} to {interval[1]:.3f})")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)

    print(f"{len(rows)} recordings of {len(patients)} patients, {sum(map(len, reference))} events")
    print(
        "| | F, class-agnostic | F, with class | error rate | insertions | deletions |\n"
        "|---|---|---|---|---|---|"
    )
    others = records[~records["subject"].isin(patients)].iloc[::3]
    best = max(
        HEIGHTS,
        key=lambda height: event_scores(
            [by_name.get(name, []) for name in others["recording"]],
            [
                energy_events(recordings[n].samples[0], recordings[n].sample_rate, height)
                for n in others["recording"]
            ],
            SPRSOUND_EVENTS,
        )["scores"]["agnostic_f1"],
    )
    chosen = [recordings[name] for name in rows["recording"]]
    table(f"energy ({best:.1f})", [energy_events(r.samples[0], r.sample_rate, best) for r in chosen])
    model = load_model(clip_run)
    found = [analyze(recording, model=model) for recording in chosen]
    table("windows", [[(e.start_s, e.end_s, e.label) for e in analysis.events] for analysis in found])
    folds = json.loads(Path(run, "plan.json").read_text())["folds"]
    said = [s for s in load_said(run, 0, folds) if s.record >= 0]
    _, spans, _, _ = _detection(said, sorted({s.fold for s in said}))
    own = {s.name: _named(s, spans_) for s, spans_ in zip(said, spans, strict=True)}
    assert {s.name: len(_annotated(s)) for s in said}[rows["recording"].iloc[0]] == len(reference[0])
    table("detector, its folds", [own[name] for name in rows["recording"]])


if __name__ == "__main__":
    main(*sys.argv[1:4])
