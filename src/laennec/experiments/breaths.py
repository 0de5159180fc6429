"""Breath phases: out of fold, against baselines, simulated truth, and what names of files tell.

    python -m laennec.experiments.breaths RUN --chosen-with STRANGERS --icbhi ICBHI --kauh KAUH --out OUT

The folders are of ``laennec crossvalidate phases``: by patients, whose first seed counts, and by a network
that was trained without ICBHI, with which the file that ships was chosen. Of ICBHI's recordings each was
read by the network, rule and certainty of other patients. The baselines are told by the model
for recordings that ships: onsets of its events, and onsets equally spaced by the rate that it finds, from the
first of these events on. Simulated recordings and KAUH's, on which nothing was learnt or chosen, are analysed
as `laennec analyze --phases` does it; how many phases are told counts by the model's threshold, and what is
told is measured as if there were none, since few pass it.
"""

import argparse
import datetime
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from laennec import datasets
from laennec.analyze import analyze
from laennec.analyze.analysis import Analysis, Breathing, RespiratoryRate
from laennec.analyze.rate import Repetition, respiratory_rate
from laennec.analyze.timing import is_continuous, is_discontinuous
from laennec.audio.recording import Recording
from laennec.experiments import run
from laennec.experiments.answers import seeds_of
from laennec.experiments.rates import heard
from laennec.files import read_json, write_json
from laennec.labels import PHASES
from laennec.model.detector import Detector
from laennec.model.load import load_model
from laennec.model.phases import load_phase_model
from laennec.progress import track
from laennec.score.phases import OnsetCounts, onset_scores, right_phases, score_json, share_scores
from laennec.simulate import simulate_recording
from laennec.simulate.patient import Breathing as Drawn
from laennec.simulate.recording import SimulatedRecording
from laennec.train.hardware import machine
from laennec.train.phase_outputs import load_phase_outputs
from laennec.train.phase_report import Read, measured, outputs_of
from laennec.train.tables import recording_names
from laennec.version import __version__

AGES_YEARS = (3.0, 8.0, 16.0, 30.0, 60.0)
LABELS: tuple[str, ...] = ("Normal", "Wheeze", "Fine Crackle", "Coarse Crackle")
LENGTH_S = 20.0
PARTS = ("early", "mid", "late")
AGAIN = "run laennec crossvalidate phases again"


# --- ICBHI, out of fold -------------------------------------------------------------------------------------


def baselines(read: Sequence[Read], root: Path, model: Detector) -> dict[str, Any]:
    """Onsets of inspiration as events and rate of the model for recordings tell them, and the rate itself."""
    clips = datasets.load("icbhi", root, "event").drop_duplicates(["path", "channel"])
    paths = dict(zip(recording_names(clips), clips["path"], strict=True))
    subjects, events, spaced, rates = [], [], [], []
    for own in track(list(read), "baselines"):
        found = heard(Recording.open(paths[own.output.name]).channel(0), model)
        onsets, rate = ([], None) if found is None else (found[0], _rate(*found))
        subjects.append(own.output.subject)
        events.append(OnsetCounts.of(onsets, own.cycles))
        spaced.append(OnsetCounts.of(_spaced(onsets, rate, float(own.cycles[-1, 1])), own.cycles))
        rates.append((own, rate))
    scores = {"events": onset_scores(events, subjects), "equally spaced": onset_scores(spaced, subjects)}
    return {
        "onsets": {name: {k: score_json(v) for k, v in own.items()} for name, own in scores.items()},
        "rates": _rates(rates),
    }


def _rate(onsets: Sequence[float], sound: Repetition) -> RespiratoryRate:
    return respiratory_rate(list(onsets), sound)


def _spaced(onsets: Sequence[float], rate: RespiratoryRate | None, end_s: float) -> list[float]:
    """Onsets from the first event on, a breath apart; none where no rate was found."""
    if not onsets or rate is None or rate.per_min is None:
        return []
    return [float(at) for at in np.arange(onsets[0], end_s, 60.0 / rate.per_min)]


def _rates(pairs: Sequence[tuple[Read, RespiratoryRate | None]]) -> dict[str, Any]:
    """Rate by the onsets of inspirations and by `laennec.analyze.rate`, against annotated cycles."""
    errors: dict[str, list[float]] = {"phases": [], "both: phases": [], "both: rate": []}
    good = 0
    for own, rate in pairs:
        true = 60.0 / float(np.median(np.diff(own.cycles, axis=1)))
        by_phases = 60.0 / float(np.median(np.diff(own.onsets_s))) if len(own.onsets_s) > 1 else None
        by_rate = rate.per_min if rate is not None and rate.quality == "good" else None
        good += by_rate is not None
        if by_phases is not None:
            errors["phases"].append(abs(by_phases - true))
        if by_phases is not None and by_rate is not None:
            errors["both: phases"].append(abs(by_phases - true))
            errors["both: rate"].append(abs(by_rate - true))
    return {
        "recordings": len(pairs),
        "rate_is_good": good,
        **{
            name: {
                "recordings": len(own),
                "median_error_per_min": float(np.median(own)) if own else None,
                "within_2_per_min": float(np.mean(np.array(own) <= 2.0)) if own else None,
            }
            for name, own in errors.items()
        },
    }


# --- simulated ----------------------------------------------------------------------------------------------


def simulated(number: int, model: Any, phases: Any) -> tuple[SimulatedRecording, Analysis]:
    """A simulated recording and its analysis; length and loudness of its phases are drawn."""
    rng = np.random.default_rng([number, 28])
    drawn = Drawn(rng.uniform(0.3, 0.5), rng.uniform(0.4, 0.9), rng.uniform(-9.0, 1.0))
    made = simulate_recording(
        rng,
        duration_s=LENGTH_S,
        label=LABELS[number % len(LABELS)],
        age_years=AGES_YEARS[number // len(LABELS) % len(AGES_YEARS)],
        breathing=drawn,
    )
    return made, analyze(made.samples, sample_rate=made.sample_rate, model=model, phases=phases)


def of_simulated(pairs: Sequence[tuple[SimulatedRecording, Analysis]], threshold: float) -> dict[str, Any]:
    """How well phases, I:E and the timing of sounds are told; each recording is its own patient."""
    told: list[tuple[SimulatedRecording, Analysis, Breathing]] = []
    for made, analysis in pairs:
        told += [(made, analysis, own) for own in analysis.breathing or () if own.known]
    right, of, onsets = [], [], []
    for number, (made, _, own) in enumerate(told):
        cycles = np.array([[breath.start_s, breath.end_s] for breath in made.breaths if breath.whole])
        found = [ok for _, ok in right_phases(own.phases, cycles)]
        right += found
        of += [str(number)] * len(found)
        starts = [each.start_s for each in own.phases if each.phase == PHASES[0]]
        onsets.append(OnsetCounts.of(starts, cycles))
    names = [str(number) for number in range(len(onsets))]
    return {
        "recordings": len(pairs),
        "told": sum((own.probability or 0.0) >= threshold for *_, own in told),
        "measured": len(told),
        "right": score_json(share_scores(right, of)) if right else None,
        "onsets": {k: score_json(v) for k, v in onset_scores(onsets, names).items()} if onsets else {},
        "ie": _ie_errors(told),
        "crackles": _crackles(told),
        "tones": _tones(told),
    }


def _ie_errors(told: Sequence[tuple[SimulatedRecording, Analysis, Breathing]]) -> dict[str, Any]:
    """The I:E ratio as found over the true one."""
    ratios = []
    for made, _, own in told:
        true = [
            (breath.inspiration_end_s - breath.start_s) / (breath.end_s - breath.inspiration_end_s)
            for breath in made.breaths
            if breath.whole
        ]
        if own.ie_ratio is not None and true:
            ratios.append(own.ie_ratio / float(np.median(true)))
    if not ratios:
        return {"recordings": 0}
    low, middle, high = (float(each) for each in np.percentile(ratios, [25, 50, 75]))
    return {"recordings": len(ratios), "found_over_true": middle, "quartiles": [low, high]}


def _crackles(told: Sequence[tuple[SimulatedRecording, Analysis, Breathing]]) -> dict[str, Any]:
    """Phase and third of found crackles; simulated crackles are all of inspiration."""
    phases, thirds = [], []
    for made, analysis, _ in told:
        for event in analysis.events:
            inside = [each for each in made.crackles if event.start_s <= each.start_s < event.end_s]
            if event.timing is None or not is_discontinuous(event.label) or not inside:
                continue
            phases.append(event.timing.phase)
            if event.timing.part is not None and event.timing.phase == PHASES[0]:
                middle = float(np.mean([each.start_s for each in inside]))
                breath = next((b for b in made.breaths if b.start_s <= middle < b.inspiration_end_s), None)
                if breath is not None:
                    place = (middle - breath.start_s) / (breath.inspiration_end_s - breath.start_s)
                    true = min(len(PARTS) - 1, int(place * len(PARTS)))
                    thirds.append(abs(PARTS.index(event.timing.part) - true))
    return {
        "events": len(phases),
        "phase_told": sum(phase is not None for phase in phases),
        "inspiration": phases.count(PHASES[0]),
        "thirds_told": len(thirds),
        "third_right": thirds.count(0),
        "third_next": thirds.count(1),
    }


def _tones(told: Sequence[tuple[SimulatedRecording, Analysis, Breathing]]) -> dict[str, Any]:
    """Phase and pitch of found wheezes and rhonchi, by the tone that they overlap most."""
    phases, pitches = [], []
    for made, analysis, _ in told:
        for event in analysis.events:
            shared = [(min(t.end_s, event.end_s) - max(t.start_s, event.start_s), t) for t in made.tones]
            if event.timing is None or not is_continuous(event.label) or not shared:
                continue
            longest, tone = max(shared, key=lambda each: each[0])
            if longest <= 0:
                continue
            breath = next(b for b in made.breaths if b.start_s <= tone.start_s < b.end_s)
            phases.append((PHASES[int(tone.start_s >= breath.inspiration_end_s)], event.timing.phase))
            if event.timing.pitch_hz is not None:
                pitches.append(abs(event.timing.pitch_hz / tone.dominant_hz - 1))
    return {
        "events": len(phases),
        "phase_told": sum(found is not None for _, found in phases),
        "phase_right": sum(true == found for true, found in phases),
        "phase_wrong": sum(found in PHASES and true != found for true, found in phases),
        "pitch_told": len(pitches),
        "pitch_within_5_percent": sum(error <= 0.05 for error in pitches),
    }


# --- KAUH ---------------------------------------------------------------------------------------------------


def kauh(root: Path, model: Any, phases: Any, threshold: float) -> dict[str, Any]:
    """In which phase sounds are told to be that file names call expiratory alone, or of both phases."""
    clips = datasets.load("kauh", root, "record")
    rows: dict[str, list[tuple[str, str | None]]] = {}
    told = []
    for row in track(list(clips.itertuples()), "KAUH"):
        analysis = analyze(str(row.path), model=model, phases=phases)
        told += [
            (str(row.subject), own.known and (own.probability or 0.0) >= threshold)
            for own in analysis.breathing or ()
        ]
        named = Path(str(row.path)).stem.split(",")[1].split()
        if "W" in named:
            name = "expiratory" if "I" not in named else "of both phases"
            rows.setdefault(name, []).extend(
                (str(row.subject), event.timing.phase)
                for event in analysis.events
                if event.timing is not None and is_continuous(event.label)
            )
    return {
        "recordings": len(clips),
        "persons": int(clips["subject"].nunique()),
        "told": score_json(share_scores([known for _, known in told], [who for who, _ in told])),
        "wheezes": {name: _counted(own) for name, own in rows.items()},
    }


def _counted(events: Sequence[tuple[str, str | None]]) -> dict[str, int]:
    found = [phase for _, phase in events]
    counts = {phase: found.count(phase) for phase in (*PHASES, "both")}
    return {
        "persons": len({who for who, _ in events}),
        "events": len(found),
        **counts,
        "unknown": found.count(None),
    }


# --- all ----------------------------------------------------------------------------------------------------


def main() -> None:
    """Measure breath phases."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of laennec crossvalidate phases")
    parser.add_argument("--chosen-with", type=Path, required=True, help="folder of the run on strangers")
    parser.add_argument("--icbhi", type=Path, required=True, help="its folder")
    parser.add_argument("--kauh", type=Path, required=True, help="its folder")
    parser.add_argument("--simulated", type=int, default=120, help="simulated recordings, 120")
    parser.add_argument("--out", type=Path, required=True, help="JSON for the figures")
    options = parser.parse_args()
    detector, phases = load_model("recording"), load_phase_model()
    assert isinstance(detector, Detector)
    folds = seeds_of(options.run)[0]
    figures, choice, held = measured(load_phase_outputs(folds), [outputs_of(options.chosen_with)])
    provenance: Mapping[str, Any] = read_json(options.run / "metrics.json", AGAIN, provenance=dict)[
        "provenance"
    ]
    numbers, threshold = track(range(options.simulated), "simulated"), phases.card.unknown_below
    telling = replace(phases, card=replace(phases.card, unknown_below=0.0))
    content = {
        "command": "python -m laennec.experiments.breaths RUN --chosen-with STRANGERS --icbhi ICBHI --kauh "
        f"KAUH --simulated {options.simulated}",
        "training": provenance["command"],
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "laennec": __version__,
        "models": {"recording": detector.sha256, "phases": phases.sha256},
        "choice": choice.entries(),
        **figures,
        "baselines": baselines([own for own, *_ in held], options.icbhi, detector),
        "simulated": of_simulated([simulated(number, detector, telling) for number in numbers], threshold),
        "kauh": kauh(options.kauh, detector, telling, threshold),
    }
    write_json(options.out, content)


if __name__ == "__main__":
    run(main)
