"""Patterns of the sources of sounds in place of the layer that tells lungs from other sounds.

    python -m laennec.experiments.sound_patterns FOLD --out docs/results/sound-patterns.json
    python -m laennec.experiments.sound_patterns FOLD --write recording --data SPRSound --also … --to NEW

The first command measures them on a fold of ``laennec crossvalidate recording``: patterns of the sounds that
its network was trained on, refusals of those that it was not. Thresholds are chosen on four fifths of the
persons, and of the sounds of a source that has one person or class, for the last fifth. Each data set of
lungs is also left out, of patterns and of the choice, though the network has learnt from it. The second
writes a model file with patterns of what it was trained on, and the threshold that the fold chooses; with
``--to`` alone, the fold's own model.

What is heard is kept in the folder ``--kept``, if there is one.
"""

import argparse
import datetime
import hashlib
import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from laennec.audio.recording import Recording
from laennec.datasets.table import read_csv
from laennec.errors import LaennecError, UsageError
from laennec.experiments import run
from laennec.experiments.refusals import model_of
from laennec.files import has_content, read_json, write_json, write_text, written_whole
from laennec.labels import SOUND_KINDS
from laennec.model.detector import Detector
from laennec.model.load import load_model
from laennec.model.probability import sigmoid
from laennec.score.bootstrap import Patients, over_patients
from laennec.score.confusion import ratio
from laennec.simulate.other import other_sound
from laennec.train.card import command, render_recording_card
from laennec.train.hardware import machine
from laennec.train.head import AdaptableModel
from laennec.train.recipe import Recipe, load_recipe
from laennec.train.recordings import levelled, read_each
from laennec.train.rehearsal import told
from laennec.train.sound_patterns import (
    SHARE,
    Patterns,
    fit_patterns,
    margins,
    threshold_of_both,
    threshold_of_lungs,
)
from laennec.train.tables import recording_names, recordings_in, source_of, with_auxiliary
from laennec.train.with_patterns import GENERATED, MOST, source_name

Floats = NDArray[np.float64]
PARTS, DEALS = 5, 10
SHARES = (0.5, SHARE, 1.0)
NOT_LEARNT = ("heart_manikin", "hf-lung")  # a device without any sound in training; single breaths, joined
BEFORE = "; the last column of the table below was measured before it had patterns of sounds"


@dataclass(frozen=True, eq=False)
class Heard:
    """Mean features of sounds, ``(sounds, features)``, and what they are, ``(sounds,)`` each."""

    features: Floats
    kinds: NDArray[np.int64]
    sources: NDArray[np.str_]
    persons: NDArray[np.str_]

    def chosen(self, rows: NDArray[np.bool_]) -> "Heard":
        """Some of the sounds."""
        return Heard(*(column[rows] for column in vars(self).values()))

    def joined(self, more: "Heard") -> "Heard":
        """These and more."""
        pairs = zip(vars(self).values(), vars(more).values(), strict=True)
        return Heard(*(np.concatenate(pair) for pair in pairs))


def kept(path: Path | None, hear: Any) -> Heard:
    """What is in a file; or what `hear` gives, which is written there."""
    if path is not None and path.exists():
        with np.load(path) as file:
            return Heard(**file)
    heard: Heard = hear()
    if path is not None:
        with written_whole(path) as temporary:
            np.savez_compressed(temporary, **vars(heard))
    return heard


def chosen_clips(clips: pd.DataFrame) -> tuple[pd.DataFrame, NDArray[np.str_]]:
    """The clips that are heard, at most `MOST` of a source, evenly drawn; and the source of each."""
    of = zip(source_of(clips), clips["device"].astype(str), strict=True)
    sources = pd.Series([source_name(*each, 0) for each in of], clips.index)
    steps = {name: -(-int((sources == name).sum()) // MOST) for name in sources.unique()}
    parts = [clips[sources == name].iloc[::step] for name, step in steps.items()]
    return pd.concat(parts), np.repeat(list(steps), [len(part) for part in parts])


def drawn(clips: pd.DataFrame) -> tuple[dict[str, Any], dict[str, int]]:
    """Row in the table, and place among those that are heard, of each recording by its name."""
    own, _ = chosen_clips(clips)
    names = recording_names(own)
    return dict(zip(names, own.index, strict=True)), dict(zip(names, range(len(names)), strict=True))


def hear(model: AdaptableModel, clips: pd.DataFrame) -> Heard:
    """The sounds of recordings of any data sets (`chosen_clips`)."""
    own, sources = chosen_clips(clips)
    listener, features, kinds, persons = model.listener(), [], [], []
    for row, _, _, samples in read_each(own, load_recipe("recording"), model.card.sample_rate):
        features.append(listener.run(samples)["context"].mean(1, dtype=np.float64))
        kinds.append(SOUND_KINDS.index(row.label) if row.label in SOUND_KINDS else 0)
        persons.append("" if pd.isna(row.subject) else str(row.subject))
    return Heard(np.array(features), np.array(kinds), sources, np.array(persons))


def hear_generated(model: AdaptableModel, recipe: Recipe, seed: int = 0) -> Heard:
    """Generated sounds of each kind that is no lung, as many as the recipe trains on."""
    listener, rate, rows, features = model.listener(), model.card.sample_rate, [], []
    for number, kind in enumerate(SOUND_KINDS[1:], start=1):
        for index in range(recipe.recording.other_sounds):
            rng = np.random.default_rng([seed, number, index])
            wave = other_sound(kind, rng, recipe.recording.piece_s, rate)
            samples = levelled(Recording.from_array(wave.astype(np.float32), rate))
            features.append(listener.run(samples)["context"].mean(1, dtype=np.float64))
            rows.append((number, source_name(GENERATED, "", number)))
    kinds, names = zip(*rows, strict=True)
    return Heard(np.array(features), np.array(kinds), np.array(names), np.full(len(rows), ""))


# --- a fold -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Fold:
    """What the network of a fold hears in sounds that it was trained on, in others, and its own layer."""

    learnt: Heard
    others: Heard
    generated: Heard
    layer: tuple[Floats, Floats]

    @staticmethod
    def of(folder: Path, store: Path | None) -> "Fold":
        """Of a fold's folder; LaennecError if it is none."""
        recipe = load_recipe("recording")
        if not has_content(folder / "clips.csv") or not has_content(folder / "model.pt"):
            raise LaennecError(f"{folder} lacks clips.csv or model.pt; name a fold of a cross-validation")
        model = decided(folder)
        if model.card.patterns:
            raise LaennecError(f"{folder} has patterns already; train it with recording.pattern_share=0")
        clips = read_csv(folder / "clips.csv", dtype={"recording": str, "subject": str, "label": str})
        clips = clips.assign(label=clips["label"].fillna(""))

        def heard(name: str, make: Any) -> Heard:
            return kept(store / f"{name}.npz" if store else None, make)

        learnt, others = (
            heard(side, partial(hear, model, clips[clips["side"] == side])) for side in ("train", "test")
        )
        learnt = learnt.joined(heard("generated", partial(hear_generated, model, recipe)))
        more = heard("generated-anew", partial(hear_generated, model, recipe, 7))
        return Fold(learnt, others, more, model.values(model.layer("kind")))

    def odds(self, share: float, without: str = "") -> tuple[Floats, Floats]:
        """Log-odds of a lung, of the fold's other sounds and of generated ones; of its own layer for 0."""
        if not share:
            weight, bias = self.layer
            both = (margins(own.features @ weight.T + bias, SOUND_KINDS) for own in self._measured)
        else:
            rows = self.learnt.chosen(self.learnt.sources != without)
            patterns = fit_patterns(rows.features, rows.kinds, rows.sources, self.layer, share)
            both = (patterns.lung_odds(own.features) for own in self._measured)
        first, second = both
        return first, second

    @property
    def _measured(self) -> tuple[Heard, Heard]:
        return self.others, self.generated

    def refused(self, odds: Floats, choose: Any, without: str = "") -> Floats:
        """How often each of the other sounds is refused, by thresholds that others choose, over `DEALS`."""
        own = self.others
        single = [name for name in np.unique(own.sources) if len(set(own.persons[own.sources == name])) < 2]
        alone = np.isin(own.sources, single) | (own.persons == "")
        units = np.where(alone, np.arange(len(alone)).astype(str), own.persons)
        names, of_row = np.unique(units, return_inverse=True)
        used = ~np.isin(own.sources, (*NOT_LEARNT, without))
        total = np.zeros(len(odds))
        for seed in range(DEALS):
            part = (np.random.default_rng(seed).permutation(len(names)) % PARTS)[of_row]
            for number in range(PARTS):
                rows = used & (part != number)
                here = part == number
                total[here] += odds[here] < choose(odds[rows], own.kinds[rows], own.sources[rows])
        return total / DEALS

    def shares(self, refused: Floats, against: Floats | None = None) -> dict[str, Any]:
        """Share refused of each source, with intervals over persons; the difference besides."""
        own, figures = self.others, {}
        for name in np.unique(own.sources):
            rows = own.sources == name
            persons = own.persons[rows]
            if len(set(persons.tolist())) < 2:
                persons = np.arange(rows.sum()).astype(str)
            columns = {"refused": refused[rows]}
            if against is not None:
                columns["gain"] = refused[rows] - against[rows]
            patients = Patients.of(persons)
            figures[str(name)] = {"sounds": int(rows.sum()), "units": len(patients)} | {
                key: told(
                    over_patients(
                        patients.sums(np.column_stack([values, np.ones(rows.sum())])),
                        lambda drawn: {"": ratio(*drawn.T)},
                    )[""]
                )
                for key, values in columns.items()
            }
        return figures


RULES = {"lungs": threshold_of_lungs, "both": threshold_of_both}


def measured(fold: Fold) -> dict[str, Any]:
    """Refusals by the layer and by patterns, by both rules of the threshold, and with lungs left out."""
    used = ~np.isin(fold.others.sources, NOT_LEARNT)
    plain = fold.refused(fold.odds(0.0)[0], threshold_of_lungs)
    rows = []
    for share in (0.0, *SHARES):
        odds, generated = fold.odds(share)
        for rule, choose in RULES.items():
            refused = fold.refused(odds, choose)
            own = fold.others.chosen(used)
            threshold = choose(odds[used], own.kinds, own.sources)
            rows.append(
                {
                    "share": share,
                    "threshold": rule,
                    "lung_share": round(float(sigmoid(np.array(threshold))), 4),
                    "sources": fold.shares(refused, plain),
                    "generated_refused": round(float((generated < threshold).mean()), 4),
                }
            )
    left_out = []
    for name in np.unique(fold.others.sources[fold.others.kinds == 0]):
        if name in NOT_LEARNT or name not in fold.learnt.sources:
            continue
        for share in (0.0, *SHARES):
            refused = fold.refused(fold.odds(share, name)[0], threshold_of_both, name)
            left_out.append({"without": str(name), "share": share, "sources": fold.shares(refused)})
    return {"rows": rows, "left_out": left_out}


# --- a model file -------------------------------------------------------------------------------------------


def write_model(model: AdaptableModel, patterns: Patterns, lung_share: float, out: Path) -> None:
    """Write the model with patterns, and its card beside it."""
    entries: dict[str, Any] = {
        "patterns": list(patterns.kinds),
        "pattern_sources": list(patterns.sources),
        "lung_share": round(lung_share, 4),
    }
    metrics = dict(model.card.metrics)
    if "how" in metrics:
        entries["metrics"] = metrics | {"how": f"{metrics['how']}{BEFORE}"}
    content = model.with_kinds(patterns.weight, patterns.bias, entries)
    with written_whole(out) as temporary:
        Path(temporary).write_bytes(content)
    detector = load_model(out)
    assert isinstance(detector, Detector)
    card = json.loads(detector.graph.metadata or "{}")
    write_text(out.with_suffix(".md"), render_recording_card(card, hashlib.sha256(content).hexdigest()))


def arguments() -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("fold", type=Path, help="folder of a fold of laennec crossvalidate recording")
    parser.add_argument("--out", type=Path, help="JSON for the figures of the fold")
    parser.add_argument("--kept", type=Path, help="folder for what is heard, to be there the next time")
    parser.add_argument("--write", help="a model that ships, or its file, to be changed")
    parser.add_argument("--data", type=Path, help="data set that it was trained on, SPRSound")
    parser.add_argument("--also", action="append", default=[], metavar="DATASET=FOLDER", help="another one")
    parser.add_argument("--to", type=Path, help="the changed model file")
    return parser.parse_args()


def main() -> None:
    """Measure a fold; write a model."""
    options = arguments()
    if options.kept:
        options.kept.mkdir(parents=True, exist_ok=True)
    fold = Fold.of(options.fold, options.kept)
    figures: dict[str, Any] = {
        "command": "python -m laennec.experiments.sound_patterns " + " ".join(command().split()[1:]),
        "date": str(datetime.date.today()),
        "machine": machine(),
        "fold": read_json(options.fold / "fold.json", "damaged", fold=str)["fold"],
    }
    if options.out:
        figures |= measured(fold)
    if options.to:
        used = ~np.isin(fold.others.sources, NOT_LEARNT)
        own, odds = fold.others.chosen(used), fold.odds(SHARE)[0][used]
        threshold = float(sigmoid(np.array(threshold_of_both(odds, own.kinds, own.sources))))
        model, heard = trained(options) if options.write else (decided(options.fold), fold.learnt)
        layer = model.values(model.layer("kind"))
        patterns = fit_patterns(heard.features, heard.kinds, heard.sources, layer)
        write_model(model, patterns, threshold, options.to)
        figures["written"] = in_sample(model, heard, patterns, threshold)
    if options.out:
        write_json(options.out, figures)


def in_sample(
    model: AdaptableModel, heard: Heard, patterns: Patterns, threshold: float
) -> dict[str, dict[str, int]]:
    """How many of the sounds that a model was trained on are refused, before it has patterns and after."""
    weight, bias = model.values(model.layer("kind"))
    before = sigmoid(margins(heard.features @ weight.T + bias, SOUND_KINDS)) < model.card.lung_threshold
    after = sigmoid(patterns.lung_odds(heard.features)) < threshold
    return {
        str(name): {
            "sounds": int(own.sum()),
            "before": int(before[own].sum()),
            "after": int(after[own].sum()),
        }
        for name in np.unique(heard.sources)
        for own in [heard.sources == name]
    }


def decided(fold: Path) -> AdaptableModel:
    """The model of a fold, decided by what it held out."""
    return AdaptableModel(model_of(fold)[0])


def trained(options: argparse.Namespace) -> tuple[AdaptableModel, Heard]:
    """A model that was trained on everything, and what it hears in that."""
    detector = load_model(options.write)
    if not isinstance(detector, Detector):
        raise UsageError(f"{options.write} is a model for clips; name one for whole recordings")
    if not options.data:
        raise UsageError("--write needs --data and --also: what the model was trained on")
    model, recipe = AdaptableModel(detector), load_recipe("recording")
    folders = {"sprsound": options.data}
    folders |= with_auxiliary(replace(recipe, dataset="sprsound", also=()), options.also)[1]

    def all_sounds() -> Heard:
        tables = [recordings_in(name, folder) for name, folder in folders.items()]
        clips = pd.concat(tables, ignore_index=True)
        return hear(model, clips).joined(hear_generated(model, recipe))

    path = options.kept / f"{Path(options.write).stem}.npz" if options.kept else None
    return model, kept(path, all_sounds)


if __name__ == "__main__":
    run(main)
