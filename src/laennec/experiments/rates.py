"""Respiratory rate against what is known: of simulated breaths, of annotated cycles, of annotated events.

    python -m laennec.experiments.rates --icbhi ICBHI --sprsound SPRSound --out docs/results/rates.json

Each recording is analysed by the model that ships. The rate is measured from the onsets of events alone and
with the repetition of the sound, as `laennec.analyze` does it: of the events as found, without a fifth of
them, and, where breaths are simulated, of the true onsets of one phase or of both. True is 60 over the median
length of simulated breaths or of ICBHI 2017's annotated cycles, of `FEWEST` or more; and of SPRSound, one
recording of each patient whose annotated events begin at a steady rate, that rate. SPRSound's recordings are
among those that the model learnt from. The constants of the method were searched on the patients with even
numbers in parts of both data sets, and rounded; on simulated recordings nothing was chosen.
"""

import argparse
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from laennec import datasets
from laennec.analyze import DetectionSettings, detect, listen
from laennec.analyze.analysis import RespiratoryRate
from laennec.analyze.rate import Repetition, breath_onsets, rate_of_onsets, respiratory_rate
from laennec.audio.recording import Recording
from laennec.experiments import run
from laennec.files import write_json
from laennec.model.detector import Detector
from laennec.model.load import load_model
from laennec.progress import track
from laennec.score.markdown import Load, table
from laennec.simulate import simulate_recording
from laennec.simulate.patient import Breathing
from laennec.version import __version__

FEWEST = 3
MISSED = 0.2
WITHIN_PER_MIN = 2.0
RIGHT, DOUBLED, HALVED = (0.85, 1.15), (1.7, 2.4), (0.4, 0.6)  # rates over the true one
AGES_YEARS = (0.2, 0.6, 1.2, 2.0, 3.0, 5.0, 8.0, 12.0, 16.0, 30.0, 60.0)  # 62 to 14 breaths a minute
LABELS = (
    "Normal",
    "Wheeze",
    "Fine Crackle",
    "Coarse Crackle",
    "Rhonchi",
    ("Wheeze", "Fine Crackle"),
    "Wheeze+Crackle",
)
FOUND, FEWER = "as found", "a fifth missed"
METHODS = {"before": "onsets alone", "after": "with the sound"}
TITLES = {
    "simulated": "simulated",
    "icbhi chosen": "ICBHI, a subset, even patients (chosen on)",
    "icbhi measured": "ICBHI, a subset, odd patients",
    "sprsound chosen": "SPRSound, even patients (chosen on)",
    "sprsound measured": "SPRSound, odd patients",
}
Rates = dict[str, RespiratoryRate]  # by method


def both(onsets_s: Sequence[float], sound: Repetition) -> Rates:
    """The rate by either method."""
    return {"before": rate_of_onsets(onsets_s), "after": respiratory_rate(onsets_s, sound)}


def heard(recording: Recording, model: Detector) -> tuple[list[float], Repetition] | None:
    """Onsets of breaths among the events of a recording of one channel, and its repetition.

    None where it is refused.
    """
    (channel,) = detect(listen(recording, [0], model), DetectionSettings([0], model.card, maps=False))
    if channel.repetition is None:
        return None
    return breath_onsets((event.start_s, event.label) for event in channel.events), channel.repetition


def by_events(found: tuple[list[float], Repetition] | None, number: int) -> dict[str, Rates]:
    """The rates by which of the events that were found are used; `number` seeds which are missed."""
    if found is None:
        return {}
    onsets_s, sound = found
    kept = np.random.default_rng(number).random(len(onsets_s)) >= MISSED
    return {FOUND: both(onsets_s, sound), FEWER: both(np.array(onsets_s)[kept].tolist(), sound)}


def simulated(number: int, model: Detector) -> tuple[float, dict[str, Rates]]:
    """The true rate of a simulated recording, and what is measured."""
    rng = np.random.default_rng([number, 42])
    breathing = Breathing(rng.uniform(0.3, 0.5), rng.uniform(0.25, 0.9), rng.uniform(-12.0, 1.0))
    made = simulate_recording(
        rng,
        duration_s=float(rng.choice([15.0, 20.0, 30.0])),
        label=LABELS[number % len(LABELS)],
        adventitious_share=float(rng.choice([0.3, 0.6, 1.0])),
        age_years=float(rng.choice(AGES_YEARS)),
        breathing=breathing,
    )
    found = heard(Recording.from_array(made.samples, made.sample_rate), model)
    rates = by_events(found, number)
    if found is not None:
        inside = [breath for breath in made.breaths if breath.whole]
        first, second = ([breath.start_s for breath in inside], [b.inspiration_end_s for b in inside])
        for name, onsets_s in (
            ("inspirations", first),
            ("expirations", second),
            ("both phases", first + second),
        ):
            rates[name] = both(onsets_s, found[1])
    return 60.0 / median(breath.end_s - breath.start_s for breath in made.breaths), rates


def true_rate(dataset: str, clips: Any) -> float | None:
    """The rate that the annotated clips of a recording, in order of time, tell; None where they do not."""
    if dataset == "icbhi":
        return 60.0 / median(clips["end_s"] - clips["start_s"]) if len(clips) >= FEWEST else None
    rate = rate_of_onsets(breath_onsets(zip(clips["start_s"], clips["label"], strict=True)))
    return rate.per_min if rate.quality == "good" else None


def annotated(dataset: str, root: Path) -> Iterator[tuple[bool, str, float]]:
    """Whether a patient's number is odd, the file and the true rate of each recording where that is known."""
    seen: set[str] = set()
    clips = datasets.dataset(dataset).load(root).sort_values(["recording", "start_s"])
    for _, own in clips.groupby("recording", sort=True):
        subject = str(own["subject"].iloc[0])
        per_min = true_rate(dataset, own)
        if per_min is not None and not (dataset == "sprsound" and subject in seen):
            seen.add(subject)
            yield subject.isdigit() and int(subject) % 2 == 1, str(own["path"].iloc[0]), per_min


def figures(pairs: Sequence[tuple[float, RespiratoryRate]]) -> dict[str, Any]:
    """What is measured of pairs of a true rate and a measured one."""
    good = [
        (own.per_min, float(true)) for true, own in pairs if own.quality == "good" and own.per_min is not None
    ]
    errors = [abs(own - true) for own, true in good]
    ratios = [own / true for own, true in good]

    def count(low: float, high: float) -> int:
        return sum(low < ratio < high for ratio in ratios)

    return {
        "recordings": len(pairs),
        "good": len(good),
        "doubtful": sum(own.quality == "doubtful" for _, own in pairs),
        "none": sum(own.quality == "none" for _, own in pairs),
        "median_error_per_min": median(errors) if errors else None,
        "within_2_per_min": sum(error <= WITHIN_PER_MIN for error in errors),
        "right": count(*RIGHT),
        "doubled": count(*DOUBLED),
        "halved": count(*HALVED),
    }


def summary(measured: Sequence[tuple[float, Mapping[str, Rates]]]) -> dict[str, Any]:
    """Figures by which events are used, then by method, of recordings that were not refused."""
    kept = [own for own in measured if own[1]]
    names = dict.fromkeys(name for _, rates in kept for name in rates)
    return {
        name: {method: figures([(true, rates[name][method]) for true, rates in kept]) for method in METHODS}
        for name in names
    }


def rates(load: Load) -> str:
    """The table of the documentation."""
    rows = []
    for part, own in load("rates")["data"].items():
        first = TITLES[part]
        for name, by_method in own.items():
            for method, title in METHODS.items():
                rows.append([first, name if method == "before" else "", title, *cells(by_method[method])])
                first = ""
    header = ["recordings", "onsets of events", "method", "`good`", "median error a minute", "within 2"]
    return table([*header, "doubled", "halved"], rows)


def cells(one: Mapping[str, Any]) -> list[str]:
    """What the table has of one method: how many rates are good, and shares of these."""
    good, error = one["good"], one["median_error_per_min"]
    shares = [f"{one[key] / good:.0%}" if good else "-" for key in ("within_2_per_min", "doubled", "halved")]
    return [f"{good} of {one['recordings']}", "-" if error is None else f"{error:.1f}", *shares]


TABLES: dict[str, Callable[[Load], str]] = {"rates": rates}


def main() -> None:
    """Measure the respiratory rate."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--simulated", type=int, default=210, help="simulated recordings, 210")
    for name in ("icbhi", "sprsound"):
        parser.add_argument(f"--{name}", type=Path, help="its folder")
    parser.add_argument("--out", type=Path, required=True, help="JSON for the figures")
    options = parser.parse_args()
    model = load_model("recording")
    assert isinstance(model, Detector)
    numbers = track(range(options.simulated), "simulated")
    data = {"simulated": summary([simulated(number, model) for number in numbers])}
    command = f"python -m laennec.experiments.rates --simulated {options.simulated}"
    for name in ("icbhi", "sprsound"):
        if root := getattr(options, name):
            command += f" --{name} {name.upper()}"
            parts: dict[bool, list[tuple[float, dict[str, Rates]]]] = {False: [], True: []}
            for number, (odd, path, true) in enumerate(track(list(annotated(name, root)), name)):
                parts[odd].append((true, by_events(heard(Recording.open(path).channel(0), model), number)))
            data |= {f"{name} {'measured' if odd else 'chosen'}": summary(own) for odd, own in parts.items()}
    about = {"machine": platform.machine(), "python": platform.python_version(), "laennec": __version__}
    content = {"command": command, "date": date.today().isoformat(), "about": about, "model": model.sha256}
    write_json(options.out, {**content, "data": data})


if __name__ == "__main__":
    run(main)
