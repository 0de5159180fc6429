"""What must not change an answer, and how often it does: gain, shifts, sample rate, format, a second channel.

    python -m laennec.experiments.invariances --sprsound SPRSound --icbhi ICBHI --kauh KAUH
        --out docs/results/invariances.json

One recording of each of up to `--count` patients of each data set is analysed as it is and under each
condition, by the model that ships, with nothing but `laennec.analyze`. An answer is the label of the
recording, or that it is refused. SPRSound's recordings are among those that the model learnt from, which does
not bear on whether its answers change. Intervals are over patients.
"""

import argparse
import io
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import soundfile

from laennec.analyze import analyze
from laennec.analyze.analysis import Analysis
from laennec.audio.recording import Recording
from laennec.audio.samples import Array, resample
from laennec.experiments import run
from laennec.experiments.demonstration import Span, matched_labels
from laennec.files import write_json
from laennec.model.detector import Detector
from laennec.model.load import load_model
from laennec.progress import track
from laennec.score.bootstrap import over_patients
from laennec.signals import deferred

Changed = bytes | Recording
Change = Callable[[Array, int], Changed]
Store = Callable[[Array, int], bytes]
Item = TypeVar("Item")
LOWEST_OF_MP3_HZ = 8000
NEAR_S = 0.1  # edges of the same event lie this close


def gain(db: float) -> Change:
    """Softer or louder."""
    return lambda samples, rate: Recording.from_array(samples * np.float32(10.0 ** (db / 20.0)), rate)


def shift(seconds: float) -> Change:
    """Silence in front."""

    def change(samples: Array, rate: int) -> Changed:
        return Recording.from_array(np.pad(samples, (round(seconds * rate), 0)), rate)

    return change


def at_rate(hz: int) -> Change:
    """Stored at another sample rate."""
    return lambda samples, rate: Recording.from_array(resample(samples, rate, hz), hz)


def stored(container: str, coding: str, at_hz: int | None = None, **how: Any) -> Store:
    """Through a format, at its own rate or another, with what else soundfile takes.

    A rate of its own below 8 kHz, which MP3 has not, is doubled before.
    """

    def change(samples: Array, rate: int) -> bytes:
        held = io.BytesIO()
        wanted = at_hz or (2 * rate if rate < LOWEST_OF_MP3_HZ else rate)
        samples = resample(samples, rate, wanted)
        with deferred():
            soundfile.write(held, samples, wanted, format=container, subtype=coding, **how)
        return held.getvalue()

    return change


def twice(samples: Array, rate: int) -> Changed:
    """The same in two channels."""
    return Recording.from_array(np.stack([samples, samples]), rate)


CONDITIONS: dict[str, Change] = {
    **{f"gain {db:+d} dB": gain(db) for db in (-40, -20, -6, 6, 12)},
    **{f"{ms} ms of silence in front": shift(ms / 1000) for ms in range(5, 50, 5)},
    **{f"{hz / 1000:g} kHz": at_rate(hz) for hz in (4000, 16000, 44100, 48000)},
    "FLAC": stored("FLAC", "PCM_16"),
    "Ogg Vorbis": stored("OGG", "VORBIS"),
    "MP3": stored("MP3", "MPEG_LAYER_III"),
    "stereo copy": twice,
}
GROUPS = {"gain": "gain", "shift": "silence in front"}  # what is in the names of conditions that are pooled


def answer(analysis: Analysis) -> str:
    """The label of the recording, or that there is none."""
    record = analysis.record
    return "refused" if record is None or record.label is None else record.label


def near(event: Span, other: Span) -> bool:
    """Whether both edges of two events lie within `NEAR_S`."""
    return all(abs(one - another) <= NEAR_S for one, another in zip(event[:2], other[:2], strict=True))


def kept_events(before: Analysis, after: Analysis, offset_s: float = 0.0) -> tuple[int, int]:
    """How many events are found again with their labels, and how many there are in the mean."""
    own = [(e.start_s, e.end_s, e.label) for e in before.events]
    others = [(e.start_s - offset_s, e.end_s - offset_s, e.label) for e in after.events if e.channel == 0]
    return matched_labels(own, others, near).total(), (len(own) + len(others)) // 2


def compared(samples: Array, rate: int, model: Detector) -> dict[str, dict[str, float]]:
    """Each condition's answer against that of the recording as it is."""
    before = analyze(samples, sample_rate=rate, model=model)
    own = before.record.probabilities if before.record else {}
    result = {}
    for name, change in CONDITIONS.items():
        after = analyze(change(samples, rate), model=model)
        offset_s = after.duration_s - before.duration_s if "in front" in name else 0.0
        kept, of = kept_events(before, after, offset_s)
        theirs = after.record.probabilities if after.record else {}
        result[name] = {
            "changed": float(answer(before) != answer(after)),
            "difference": max((abs(own[key] - theirs[key]) for key in own if key in theirs), default=0.0),
            "kept": kept,
            "events": of,
        }
    return result


def figures(rows: Sequence[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Share of answers that changed, with its interval, of every condition and of the pooled ones."""
    names = list(CONDITIONS)
    pooled = {group: [name for name in names if part in name] for group, part in GROUPS.items()}
    result: dict[str, Any] = {}
    for title, members in {**{name: [name] for name in names}, **pooled}.items():
        changed = np.array([[row[name]["changed"] for name in members] for row in rows])
        shares = changed.mean(1)[:, None]
        (score,) = over_patients(shares, lambda sums: {"share": sums[:, 0] / len(rows)}).values()
        differences = np.array([[row[name]["difference"] for name in members] for row in rows])
        kept, events = (sum(row[name][key] for row in rows for name in members) for key in ("kept", "events"))
        result[title] = {
            "answers": int(changed.size),
            "changed": int(changed.sum()),
            "share": score.value,
            "interval": None if score.low is None else [score.low, score.high],
            "mean_difference": float(differences.mean()),
            "largest_difference": float(differences.max()),
            "events_kept": kept / events if events else None,
        }
    return result


def draw_recordings(by_patient: Mapping[str, Sequence[Item]], count: int, most: int = 1) -> list[Item]:
    """Up to `count` recordings, up to `most` of a patient, and of as many patients as there are."""
    draw = random.Random(0)
    patients = draw.sample(sorted(by_patient), min(count, len(by_patient)))
    chosen = [draw.choice(by_patient[patient]) for patient in patients]
    rest = [draw.sample(list(by_patient[own]), len(by_patient[own])) for own in patients if most > 1]
    for own, first in zip(rest, chosen[:], strict=False):
        chosen += [item for item in own if item != first][: most - 1]
    return chosen[:count]


def one_per_patient(folder: Path, count: int) -> list[Path]:
    """One recording of each of `count` patients, drawn; a name begins with its patient."""
    by_patient: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in (".wav", ".flac"):
            # KAUH: the letter before the number is the filter, of which each person has three.
            patient = path.name.split("_")[0].lstrip("BDE")
            by_patient.setdefault(patient, []).append(path)
    return draw_recordings(by_patient, count)


def main() -> None:
    """Compare the answers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for dataset in ("sprsound", "icbhi", "kauh"):
        parser.add_argument(f"--{dataset}", type=Path, help="its folder")
    parser.add_argument("--count", type=int, default=60, help="patients of each data set, 60")
    parser.add_argument("--out", type=Path, help="JSON for the figures")
    options = parser.parse_args()
    model = load_model("recording")
    assert isinstance(model, Detector)
    data: dict[str, Any] = {}
    for dataset in ("sprsound", "icbhi", "kauh"):
        if folder := getattr(options, dataset):
            paths = one_per_patient(folder, options.count)
            recordings = [Recording.read(path) for path in paths]
            rows = [compared(r.samples[0], r.sample_rate, model) for r in track(recordings, dataset)]
            data[dataset] = {"patients": len(rows), "conditions": figures(rows)}
            for name, own in data[dataset]["conditions"].items():
                print(f"{dataset}: {name}: {own['changed']} of {own['answers']} answers changed", flush=True)
    if options.out:
        names = " ".join(f"--{name} {name.upper()}" for name in data)
        command = f"python -m laennec.experiments.invariances {names} --count {options.count}"
        write_json(options.out, {"command": command, "model": model.sha256, "data": data})


if __name__ == "__main__":
    run(main)
