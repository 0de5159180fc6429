"""How many sounds that are no lung a model refuses, and how many lungs, as they are and processed.

    python -m laennec.experiments.refusals [--count 40] [--out docs/results/refusals.json]
    python -m laennec.experiments.refusals --count 0 --data SPRSound --also icbhi=ICBHI --not-lung not_lung
        --fold runs/cv/seed0/fold1 --out docs/results/refusals.json

Generated sounds: speech is espeak-ng's (the program must be installed) in ten languages and voices, which the
model was not trained on: it learnt from a rough vocal-tract synthesiser. The plucked strings are of another
synthesiser than its music. Tones, noises and hearts are drawn anew, and so are of the kinds it learnt from.

Real lungs (``--data``) are analysed as they are and as `laennec.experiments.processing` changes them; sounds
that are no lung (``--not-lung``) as they are. With ``--fold``, the model is that of a fold of ``laennec
crossvalidate recording``, decided as its own test side chooses, and only that side is measured. Otherwise it
is told which data sets the model learnt from. What is not measured stays in the JSON as it was.
"""

import argparse
import io
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from laennec import datasets
from laennec.analyze import analyze
from laennec.audio.recording import Recording
from laennec.audio.samples import Array
from laennec.datasets.not_lung import NAME as NOT_LUNG
from laennec.datasets.table import read_csv
from laennec.errors import LaennecError, UsageError
from laennec.experiments import run
from laennec.experiments.invariances import draw_recordings
from laennec.experiments.processing import AS_IT_IS, PROCESSES, announced
from laennec.files import has_content, read_json, write_json
from laennec.model.detector import Detector
from laennec.model.load import RUN_MODEL, load_model
from laennec.score.bootstrap import Patients, over_patients
from laennec.score.confusion import ratio
from laennec.simulate.other import other_sound
from laennec.train.card import command
from laennec.train.export import export
from laennec.train.recipe import load_recipe
from laennec.train.recording_choice import fit_recording_decision
from laennec.train.recording_predictions import load_outputs
from laennec.train.recordings import JOINED, read_each
from laennec.train.rehearsal import told
from laennec.train.tables import recordings_in, source_of, with_auxiliary
from laennec.train.weights import read_run

Wave = NDArray[np.floating[Any]]
RATE, SECONDS = 8000, 12.0
VOICES = ("en-us", "en-gb", "de", "fr", "es", "it", "cmn", "hi", "ru", "ar")
REMEDY = "name a finished fold of laennec crossvalidate recording"
TEXTS = {
    "en": "Please breathe in deeply through your mouth, hold it, and breathe out again. How are you? ",
    "other": "Una due tre quattro cinque sei sette otto nove dieci, respirare profondamente, grazie. ",
}


def speech(index: int) -> Wave:
    """Speech by espeak-ng."""
    voice = VOICES[index % len(VOICES)]
    variant = ("", "+f2", "+m3", "+f4", "+croak", "+whisper")[index // len(VOICES) % 6]
    text = TEXTS["en" if voice.startswith("en") else "other"] * 4
    command = ["espeak-ng", "-v", voice + variant, "-s", str(120 + 15 * (index % 5)), "--stdout", text]
    try:
        sound = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise LaennecError(f"speech is espeak-ng's, which does not run here: {error}") from error
    recording = Recording.read(io.BytesIO(sound)).resampled(RATE)
    return np.asarray(recording.samples[0][: round(SECONDS * RATE)])


def strings(index: int) -> Wave:
    """Plucked strings: Karplus & Strong, Computer Music Journal 7(2), 1983."""
    rng = np.random.default_rng(index)
    out = np.zeros(round(SECONDS * RATE))
    at = 0
    while at < out.size:
        period = round(RATE / (110 * 2 ** (rng.integers(0, 30) / 12)))
        line = rng.uniform(-1, 1, period)
        for start in range(at, min(out.size, at + RATE), period):
            stop = min(out.size, start + period)
            out[start:stop] += line[: stop - start]
            line = 0.498 * (line + np.roll(line, 1))
        at += round(RATE * rng.choice([0.15, 0.3, 0.6]))
    return out * 0.2


def steady(index: int) -> Wave:
    """One pure tone."""
    t = np.arange(round(SECONDS * RATE)) / RATE
    return np.asarray(0.3 * np.sin(2 * np.pi * np.geomspace(60, 1900, 40)[index % 40] * t))


def noise(exponent: float) -> Callable[[int], Wave]:
    """White or pink noise at some level."""

    def make(index: int) -> Wave:
        rng = np.random.default_rng(index)
        length = round(SECONDS * RATE)
        hz = np.fft.rfftfreq(length, 1 / RATE)
        shape = np.maximum(hz, 20.0) ** -exponent
        wave = np.fft.irfft(shape * np.exp(2j * np.pi * rng.random(hz.size)), length)
        return np.asarray(wave / np.abs(wave).max() * 10 ** rng.uniform(-2, -0.1))

    return make


def silence(index: int) -> Wave:
    """Zeros, or the last bit of a converter flickering."""
    rng = np.random.default_rng(index)
    return np.asarray(rng.integers(0, 2, round(SECONDS * RATE)) * (index % 2) / 2**15)


def drawn(kind: str) -> Callable[[int], Wave]:
    """Of a kind that it learnt from, drawn anew."""
    return lambda index: other_sound(kind, np.random.default_rng([99, index]), SECONDS, RATE)


SOUNDS: dict[str, Callable[[int], Wave]] = {
    "speech (espeak-ng)": speech,
    "speech (as learnt)": drawn("speech"),
    "plucked strings": strings,
    "music and tones (as learnt)": drawn("music"),
    "pure tones": steady,
    "white noise": noise(0.0),
    "pink noise": noise(0.5),
    "silence": silence,
    "hearts (as learnt)": drawn("heart"),
}


# --- real sounds --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answered:
    """What was answered to a sound."""

    answer: str
    """The label, or ``refused``."""
    heard_as: str
    certain: bool


@dataclass(frozen=True)
class Measured:
    """A model, what is written of it, and whom it was not trained on."""

    model: Detector
    what: dict[str, Any]
    held_out: pd.DataFrame | None
    """Recordings of the fold's test side; None for a model file."""

    def of(self, clips: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
        """The clips of a data set to measure on, and whether the model was trained on them.

        LaennecError if the fold held out none of them.
        """
        (name,) = set(source_of(clips))
        if self.held_out is None:
            card, title = self.model.card, datasets.dataset(name).TITLE
            told = f"{card.recipe.get('dataset')} {card.recipe.get('also')} {card.data.get('training')}"
            return clips, any(known.lower() in told.lower() for known in (name, title))
        own = self.held_out[source_of(self.held_out) == name]
        kept = clips[clips["recording"].isin(own["recording"])]
        if kept.empty:
            raise LaennecError(f"the fold held out no recording of {name} that is in its folder")
        return kept, False


def model_of(fold: Path) -> tuple[Detector, pd.DataFrame]:
    """The model of a fold, decided by the lungs with a label that it held out, and what it held out."""
    recipe = read_run(fold)[0]
    if not has_content(fold / "outputs.npz") or not has_content(fold / "clips.csv"):
        raise LaennecError(f"{fold} lacks outputs.npz or clips.csv; name a fold of a cross-validation")
    labelled = [own for own in load_outputs([fold]) if own.kind == 0 and own.record >= 0]
    frames_tell = recipe.recording.frames_tell
    card = fit_recording_decision(labelled, recipe.labels, recipe.records, frames_tell).entries()
    with TemporaryDirectory() as folder:
        model = load_model(export(fold, Path(folder) / RUN_MODEL, card=card))
    assert isinstance(model, Detector)
    clips = read_csv(fold / "clips.csv", dtype={"recording": str, "subject": str})
    return model, clips[clips["side"] == "test"]


def measured_model(options: argparse.Namespace) -> Measured:
    """The model that a command names."""
    held_out = None
    if options.fold:
        model, held_out = model_of(options.fold)
        if options.changed:
            changed = load_model(options.changed)
            assert isinstance(changed, Detector)
            model = changed
        named = f"recipe {model.card.name}, {read_json(options.fold / 'fold.json', REMEDY, fold=str)['fold']}"
        what: dict[str, Any] = {"model": named, "decided_by": "the labelled lungs that the fold held out"}
    else:
        loaded = load_model(options.model)
        if not isinstance(loaded, Detector):
            raise UsageError(f"{options.model} is a model for clips; name one for whole recordings")
        model, what = loaded, {"model": Path(options.model).name, "sha256": loaded.sha256}
    if options.lung_share is not None:
        model = replace(model, card=replace(model.card, lung_threshold=options.lung_share))
    return Measured(model, {**what, "lung_share": model.card.lung_threshold}, held_out)


def answered(sound: Array | bytes, rate: int, model: Detector) -> Answered:
    """What a model answers to samples, or to the bytes of a file."""
    record = analyze(sound, sample_rate=None if isinstance(sound, bytes) else rate, model=model).record
    if record is None:  # of silence there is no answer at all
        return Answered("refused", "silence", False)
    certain = record.label is not None and not record.uncertain
    return Answered(record.label or "refused", record.heard_as or record.refused or "", certain)


def share(hits: Sequence[bool], of: Sequence[bool], subjects: Sequence[str]) -> dict[str, Any]:
    """How many of those that count are hits, with the interval over patients."""
    sums = Patients.of(subjects).sums(np.column_stack([np.logical_and(hits, of), of]))
    (score,) = over_patients(sums, lambda drawn: {"": ratio(*drawn.T)}).values()
    return {"count": int(np.logical_and(hits, of).sum()), "of": int(np.sum(of)), **told(score)}


def row_of(own: Sequence[Answered], before: Sequence[Answered], subjects: Sequence[str]) -> dict[str, Any]:
    """What became of recordings, against what they were `before` they were processed."""
    every, certain = [True] * len(own), [each.certain for each in before]
    changed = [one.answer != other.answer for one, other in zip(own, before, strict=True)]
    still = [one.certain for one in own]
    refused = [one.answer == "refused" for one in own]
    return {
        "refused": share(refused, every, subjects),
        "heard_as": dict(Counter(one.heard_as for one in own if one.heard_as).most_common()),
        "changed": share(changed, every, subjects),
        "still_certain": share(still, certain, subjects),
        "certain_of_another": share(np.logical_and(still, changed).tolist(), certain, subjects),
    }


def lungs(clips: pd.DataFrame, count: int, measured: Measured) -> dict[str, Any]:
    """Every process on up to `count` recordings of a data set, up to two of a patient."""
    clips, in_sample = measured.of(clips)
    by_patient = {str(name): own.index.tolist() for name, own in clips.groupby("subject", dropna=False)}
    chosen = clips.loc[draw_recordings(by_patient, count, most=2)].sort_index()
    processes = {**PROCESSES, "announcement of 2 s before": announced(lambda index: (speech(index), RATE))}
    found: dict[str, list[Answered]] = {name: [] for name in processes}
    for samples, rate in sounds_of(chosen):
        for name, process in processes.items():
            found[name].append(answered(process(samples, rate), rate, measured.model))
    subjects = chosen["subject"].fillna("").astype(str).tolist()
    rows = {name: row_of(own, found[AS_IT_IS], subjects) for name, own in found.items()}
    size = {"recordings": len(chosen), "patients": len(set(subjects) - {""})}
    return {**size, "in_sample": in_sample, "processes": rows}


def sounds_of(chosen: pd.DataFrame) -> Iterator[tuple[Array, int]]:
    """Samples and rate of each recording; single breaths are continued as those that are trained on."""
    for row, _, channel, joined in read_each(chosen, load_recipe("recording"), RATE):
        if row.label in JOINED:
            yield joined, RATE
        else:
            recording = Recording.read(row.path)
            yield recording.samples[channel], recording.sample_rate


def not_lungs(clips: pd.DataFrame, measured: Measured) -> dict[str, Any]:
    """Sounds that are no lung, by kind and device; words are continued as those that are trained on."""
    clips, in_sample = measured.of(clips)
    found = [
        answered(joined, RATE, measured.model)
        for _, _, _, joined in read_each(clips, load_recipe("recording"), RATE)
    ]
    rows = []
    kinds, devices = (clips[column].astype(str).tolist() for column in ("label", "device"))
    pairs = list(zip(kinds, devices, strict=True))
    for kind, device in dict.fromkeys(pairs):
        places = [place for place, pair in enumerate(pairs) if pair == (kind, device)]
        own = [found[place] for place in places]
        subjects = clips["subject"].iloc[places].astype(str).tolist()
        refused = share([one.answer == "refused" for one in own], [True] * len(own), subjects)
        answers = Counter(one.answer for one in own if one.answer != "refused")
        certain = sum(one.certain for one in own)
        size = {"kind": kind, "device": device, "subjects": len(set(subjects))}
        rows.append({**size, "refused": refused, "certain": certain, "answers": dict(answers.most_common())})
    return {"in_sample": in_sample, "kinds": rows}


# --- command ------------------------------------------------------------------------------------------------


def generated(count: int, model: Detector) -> list[dict[str, Any]]:
    """Every kind of generated sound."""
    sounds: list[dict[str, Any]] = []
    for name, make in SOUNDS.items():
        own = [answered(make(index).astype(np.float32), RATE, model) for index in range(count)]
        answers = Counter(one.answer for one in own if one.answer != "refused")
        refused = count - answers.total()
        sounds.append({"sound": name, "refused": refused, "of": count, "answers": dict(answers)})
        print(f"{name:28} {refused} of {count} refused; {dict(answers)}", flush=True)
    return sounds


def arguments() -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=40, help="generated sounds of each kind, 40; 0 for none")
    parser.add_argument(
        "--model", default="recording", help="a model for whole recordings that ships, or its file"
    )
    parser.add_argument("--fold", type=Path, help="folder of a fold of laennec crossvalidate recording")
    parser.add_argument(
        "--lung-share", type=float, help="refuse what is less likely a lung, in place of the model's own"
    )
    parser.add_argument("--data", type=Path, help="folder of a data set of lungs")
    parser.add_argument("--dataset", default="sprsound", help="which it is, sprsound")
    parser.add_argument("--also", action="append", default=[], metavar="DATASET=FOLDER", help="another one")
    parser.add_argument(
        "--changed", type=Path, help="file of the fold's model with patterns, of sound_patterns"
    )
    parser.add_argument("--recordings", type=int, default=100, help="drawn of each data set, 100")
    parser.add_argument("--not-lung", type=Path, help="folder of sounds that are no lung")
    parser.add_argument("--out", type=Path, help="JSON for the figures")
    return parser.parse_args()


def main() -> None:
    """Measure every kind of sound."""
    options = arguments()
    measured = measured_model(options)
    folders = {options.dataset: options.data} if options.data else {}
    folders |= with_auxiliary(
        replace(load_recipe("recording"), dataset=options.dataset, also=()), options.also
    )[1]
    figures: dict[str, Any] = (
        read_json(options.out, "delete it") if options.out and has_content(options.out) else {}
    )
    typed = "python -m laennec.experiments.refusals " + " ".join(command().split()[1:])
    what = {"command": typed, **measured.what}
    if options.count:
        sounds = generated(options.count, measured.model)
        figures |= {"command": typed, "model": measured.what["model"], "sounds": sounds}
    for name, folder in folders.items():
        own = lungs(recordings_in(name, folder), options.recordings, measured)
        figures.setdefault("lungs", {})[name] = {**what, **own}
        for process, row in own["processes"].items():
            refused = row["refused"]
            print(f"{name}, {process}: {refused['count']} of {refused['of']} refused", flush=True)
    if options.not_lung:
        figures["not_lung"] = {**what, **not_lungs(recordings_in(NOT_LUNG, options.not_lung), measured)}
        for own in figures["not_lung"]["kinds"]:
            print(
                f"{own['kind']}, {own['device']}: {own['refused']['count']} of {own['refused']['of']} refused"
            )
    if options.out:
        write_json(options.out, figures)


if __name__ == "__main__":
    run(main)
