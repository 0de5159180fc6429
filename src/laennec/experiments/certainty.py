"""What was tried to be certain less often of what is wrong, on a fold of ``laennec crossvalidate recording``.

    python -m laennec.experiments.certainty FOLD --kept FOLDER --out docs/results/certainty.json

Everything is chosen on four fifths of the patients that the fold's network was not trained on, for the last
fifth. *Rules* choose the thresholds of certainty. *Signals* stand beside the network's own probability of
adventitious sounds in a logistic regression, or replace it: do they rank the sick above the well? The folder
``--kept`` is that of `laennec.experiments.sound_patterns`, whose features tell how far a recording lies from
those that the network was trained on. ``--also`` are folds of the same patients by trainings that differ in
their seed: is what they disagree about less sure?
"""

import argparse
import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from laennec.audio.samples import Array
from laennec.errors import LaennecError
from laennec.experiments import run
from laennec.experiments.processing import band, equalised, half, microphone, spectrum, tilt
from laennec.experiments.refusals import model_of
from laennec.experiments.sound_patterns import drawn, hear, kept
from laennec.files import read_json, write_json, written_whole
from laennec.labels import SPRSOUND_RECORDS
from laennec.model.detector import Detector
from laennec.model.probability import calibrated, family_evidence, log_odds, softmax, with_evidence
from laennec.progress import track
from laennec.score.ranking import auc_over_patients
from laennec.train.card import command
from laennec.train.hardware import machine
from laennec.train.head import AdaptableModel
from laennec.train.recipe import load_recipe
from laennec.train.recording_certainty import (
    CALLED_NORMAL,
    CALLED_SICK,
    GRID,
    MISSED,
    NEITHER,
    PREVALENCE,
    Answers,
    certain_scores,
    certain_thresholds,
    limits_of,
)
from laennec.train.recording_choice import Chooser, numbers
from laennec.train.recording_decision import Floats, Mask, Names, RecordingDecision
from laennec.train.recording_predictions import load_outputs
from laennec.train.recordings import read_each
from laennec.train.regression import cross_validated
from laennec.train.rehearsal import told
from laennec.train.tables import source_of
from laennec.train.weights import read_run

PARTS, NEVER, SUREST = 5, 2.0, 12.0
NEIGHBOURS, DISTANT = 25, 10  # recordings whose labels are asked; over which a distance is averaged
RIDGE = 0.05
MEASURED = ("sprsound", "icbhi", "kauh")
Rule = Callable[[Answers, Names, Names], tuple[Floats, Floats]]
"""From answers, data sets and patients of those who choose: two thresholds for each of `MEASURED`."""


# --- processing ---------------------------------------------------------------------------------------------


PROCESSES: Mapping[str, Callable[[Array, int], Array]] = {
    "tilt up": tilt(3.0),
    "tilt down": tilt(-3.0),
    "band": band(100.0, 1000.0),
    "noise": microphone,
    "later": lambda samples, rate: samples[round(0.019 * rate) :],
    "first half": half(False),
    "second half": half(True),
}
EQUALISED = (0.25, 0.5, 1.0)  # how much of the way to the mean spectrum of what was trained on
OF_EACH = 60  # recordings of a data set, for that mean
SLIGHT = ("tilt up", "tilt down", "band", "noise", "later")


def usual_spectrum(clips: pd.DataFrame, rate: int) -> Floats:
    """The mean spectrum of data sets of lungs, each of which counts alike."""
    means = []
    for name in MEASURED:
        own = clips[source_of(clips) == name]
        own = own.iloc[:: -(-len(own) // OF_EACH)]
        sounds = read_each(own, load_recipe("recording"), rate)
        means.append(np.mean([spectrum(samples, rate) for _, _, _, samples in sounds], axis=0))
    return np.asarray(np.mean(means, axis=0))


@dataclass(frozen=True, eq=False)
class Processed:
    """Record logits ``(variants, recordings, records)`` and evidence ``(variants, recordings, 2)``."""

    logits: Floats
    evidence: Floats

    @staticmethod
    def of(
        model: Detector, clips: pd.DataFrame, processes: Sequence[Callable[[Array, int], Array]]
    ) -> "Processed":
        """Of recordings, by each of the `processes`."""
        logits: list[list[Floats]] = [[] for _ in processes]
        evidence: list[list[Floats]] = [[] for _ in logits]
        rate = model.card.sample_rate
        for _, _, _, samples in read_each(clips, load_recipe("recording"), rate):
            changed = [process(samples, rate) for process in processes]
            for place, sound in enumerate(changed):
                outputs = model.run(np.ascontiguousarray(sound, np.float32))
                attention, values = np.split(outputs["record"].astype(np.float64), 2)
                logits[place].append((softmax(attention, axis=1) * values).sum(1))
                classes = outputs["evidence"].mean(1, dtype=np.float64) + outputs["context"]
                evidence[place].append(family_evidence(outputs["presence"][0], classes, model.card.labels))
        return Processed(np.array(logits), np.array(evidence))

    def odds(self, decision: RecordingDecision) -> Floats:
        """Log-odds of sick against Normal, ``(variants, recordings)``."""
        own = calibrated(self.logits, decision.record_temperature, decision.record_bias)
        return sick_odds(with_evidence(own, self.evidence, SPRSOUND_RECORDS, decision.record_evidence))


def sick_odds(probabilities: Floats) -> Floats:
    """Log-odds of sick against Normal of ``(..., records)`` probabilities."""
    return log_odds(probabilities[..., 1:4].sum(-1) / probabilities[..., :4].sum(-1), SUREST)


# --- a fold -------------------------------------------------------------------------------------------------


class Judged:
    """Recordings of lungs annotated as sick or well, and what other patients choose for each."""

    def __init__(self, chooser: Chooser) -> None:
        self.chooser, self.rows = chooser, chooser.judged
        self.names = [chooser.outputs[row].name for row in numbers(self.rows)]
        self.datasets, self.patients = chooser.datasets[self.rows], chooser.patients[self.rows]
        names, of_row = np.unique(chooser.patients, return_inverse=True)
        dealt = (np.random.default_rng(0).permutation(len(names)) % PARTS)[of_row]
        self.parts = dealt[self.rows]
        everybody = np.ones(len(dealt), bool)
        self.decisions, self.answers = [], []
        for part in track(range(PARTS), "choosing"):
            self.decisions.append(chooser.decide(dealt != part))
            self.answers.append(chooser.answers(self.decisions[-1], everybody))
        self.sick = self.answers[0].sick

    def by_part(self, values: Callable[[RecordingDecision], Floats]) -> Floats:
        """Values of each recording, by the decision of the other parts."""
        return np.asarray(np.choose(self.parts, [values(own) for own in self.decisions]))

    @cached_property
    def odds(self) -> Floats:
        """Log-odds of sick against Normal."""
        return self.by_part(lambda own: sick_odds(self.chooser.record_probabilities(own, self.rows)))

    def certain(self, rule: Rule) -> NDArray[np.int64]:
        """What is called with certainty by thresholds that a rule chooses on the other parts."""
        called = np.full(len(self.sick), NEITHER)
        for part, answers in enumerate(self.answers):
            rest = self.parts != part
            normal, ill = rule(answers.chosen(rest), self.datasets[rest], self.patients[rest])
            place = [MEASURED.index(name) if name in MEASURED else -1 for name in self.datasets]
            at = np.select([answers.called == CALLED_NORMAL, answers.called == CALLED_SICK],
                           [normal[place], ill[place]], NEVER)  # fmt: skip
            called = np.where(rest | (answers.certainty < at), called, answers.called)
        return called

    def figures_of(self, called: NDArray[np.int64]) -> dict[str, Any]:
        """Certain answers of each data set."""
        figures = {}
        for name in MEASURED:
            own = self.datasets == name
            scores = certain_scores(self.sick[own], called[own], self.patients[own])
            figures[name] = {key: told(score) for key, score in scores.items()}
        return figures

    def ranked(self, odds: Floats) -> dict[str, Any]:
        """AUC of each data set, and the share of the well below all but `MISSED` of the sick."""
        figures = {}
        for name in MEASURED:
            own = self.datasets == name
            sick, values = self.sick[own], odds[own]
            lowest = np.quantile(values[sick], MISSED)
            figures[name] = {
                "auc": told(auc_over_patients(sick, values, self.patients[own])),
                "cleared": round(float((values[~sick] < lowest).mean()), 4),
            }
        return figures


# --- rules of the thresholds --------------------------------------------------------------------------------


def same(pair: tuple[float, float]) -> tuple[Floats, Floats]:
    """Two thresholds for every data set."""
    return np.full(len(MEASURED) + 1, pair[0]), np.full(len(MEASURED) + 1, pair[1])


def by_limits(floor: float) -> Rule:
    """As the file that ships: the worst data set, by limits and a floor of the share of certain answers."""
    return lambda answers, sets, _: same(certain_thresholds(answers, sets, sets, floor=floor))


def lowest_normal(answers: Answers, patients: Names, missed: float, spare: float) -> float:
    """The lowest certainty of Normal at which few of the sick are called so.

    With `spare`, shares are means over patients, of whom one more is missed: conformal (Angelopoulos et al.,
    ICLR 2024).
    """
    called = (answers.called == CALLED_NORMAL) & answers.sick
    above = called[:, None] & (answers.certainty[:, None] >= GRID)
    if spare:
        who = patients[answers.sick]
        shares = np.array([above[answers.sick][who == name].mean(0) for name in np.unique(who)])
        share = (shares.sum(0) + spare) / (len(shares) + spare)
    else:
        share = above[answers.sick].mean(0)
    fine = share <= missed + 1e-9
    return float(GRID[fine.argmax()]) if fine.any() else NEVER


def lowest_sick(answers: Answers, wrong: float, spare: float) -> float:
    """The lowest certainty of sick at which few of the answers sick are wrong, at the usual prevalence."""
    above = (answers.called == CALLED_SICK)[:, None] & (answers.certainty[:, None] >= GRID)
    well, ill = above[~answers.sick], above[answers.sick]
    alarmed = (1 - PREVALENCE) * (well.sum(0) + spare) / (len(well) + spare)
    found = PREVALENCE * ill.sum(0) / (len(ill) + spare)
    fine = alarmed <= wrong * (alarmed + found) + 1e-9
    return float(GRID[fine.argmax()]) if fine.any() else NEVER


def of_all(spare: float) -> Rule:
    """The sick of all data sets together, class-conditional; conformal with a `spare` patient."""

    def rule(answers: Answers, sets: Names, patients: Names) -> tuple[Floats, Floats]:
        normal = lowest_normal(answers, patients, MISSED, spare)
        return same((normal, lowest_sick(answers, limits_of("")[0], spare)))

    return rule


def of_each(spare: float) -> Rule:
    """Each data set by itself, as if each recording's were known; conformal with a `spare`."""

    def rule(answers: Answers, sets: Names, patients: Names) -> tuple[Floats, Floats]:
        normal, sick = (np.full(len(MEASURED) + 1, NEVER) for _ in range(2))
        for place, name in enumerate(MEASURED):
            rows = sets == name
            own = answers.chosen(rows)
            if own.sick.any() and not own.sick.all():
                wrong, missed = limits_of(name)
                normal[place] = lowest_normal(own, patients[rows], missed, spare)
                sick[place] = lowest_sick(own, wrong, spare)
        return normal, sick

    return rule


RULES: Mapping[str, Rule] = {
    "limits and floor, the worst data set (as ships)": by_limits(0.4),
    "the same with a floor of .25": by_limits(0.25),
    "limits alone": by_limits(0.0),
    "all sick together": of_all(0.0),
    "all sick together, conformal over patients": of_all(1.0),
    "each data set by itself": of_each(0.0),
    "each data set by itself, conformal over patients": of_each(1.0),
}


# --- signals ------------------------------------------------------------------------------------------------


def distances(own: Floats, learnt: Floats, sick: Mask, sets: Names) -> tuple[Floats, Floats, Floats]:
    """Mahalanobis distance to the nearest data set, distance to neighbours, and their share of sick."""
    centre, scale = learnt.mean(0), learnt.std(0) + 1e-6
    known, new = (learnt - centre) / scale, (own - centre) / scale
    groups = [known[sets == name] for name in np.unique(sets)]
    covariance = np.mean([np.cov(group.T) for group in groups], axis=0) + RIDGE * np.eye(known.shape[1])
    root = np.linalg.cholesky(np.linalg.inv(covariance))
    far = np.min([(((new - group.mean(0)) @ root) ** 2).sum(1) for group in groups], axis=0)
    squares = (new**2).sum(1)[:, None] + (known**2).sum(1) - 2 * new @ known.T
    order = squares.argsort(1)[:, :NEIGHBOURS]
    near = np.take_along_axis(squares, order[:, :DISTANT], 1).mean(1)
    return np.sqrt(far), np.sqrt(near.clip(0)), sick[order].mean(1)


def _variant(processed: Processed, place: int, decision: RecordingDecision) -> Floats:
    return np.asarray(processed.odds(decision)[place])


def signals(
    judged: Judged,
    processed: Processed,
    flat: Processed,
    away: tuple[Floats, Floats, Floats],
    seeds: Sequence[Floats],
) -> dict[str, Any]:
    """Each signal's name, with log-odds or features beside those of the network."""
    odds, trained = judged.odds, np.stack([judged.odds, *seeds])
    variants = np.stack(
        [judged.by_part(partial(_variant, processed, place)) for place in range(1 + len(PROCESSES))]
    )
    slight = variants[[0, *(1 + list(PROCESSES).index(name) for name in SLIGHT)]]
    logits = np.array([judged.chooser.outputs[row].record_logits for row in numbers(judged.rows)], float)
    lung = log_odds(judged.chooser.lung_share[judged.rows], SUREST)
    beside = {
        "energy of the record's logits": np.log(np.exp(logits).sum(1)),
        "probability of a lung": lung,
        "Mahalanobis distance": away[0],
        "distance to neighbours": away[1],
        "label of neighbours": log_odds(away[2].clip(0.02, 0.98), SUREST),
        "disagreement of slight processing": slight.std(0),
        "disagreement of all processing and halves": variants.std(0),
        **({f"disagreement of {len(trained)} seeds": trained.std(0)} if seeds else {}),
    }
    return {
        "the network alone": odds,
        **{f"and {name}": np.column_stack([odds, own]) for name, own in beside.items()},
        "mean over slight processing": slight.mean(0),
        "highest of slight processing": slight.max(0),
        "highest of all processing and halves": variants.max(0),
        **({f"mean of {len(trained)} seeds": trained.mean(0)} if seeds else {}),
        **{
            f"equalised by {share:g}": judged.by_part(partial(_variant, flat, place))
            for place, share in enumerate(EQUALISED)
        },
    }


def measured(
    judged: Judged,
    processed: Processed,
    flat: Processed,
    away: tuple[Floats, Floats, Floats],
    seeds: Sequence[Floats],
) -> dict[str, Any]:
    """Every rule, and every signal."""
    rows = []
    for name, own in signals(judged, processed, flat, away, seeds).items():
        values = own if own.ndim == 1 else log_odds(cross_validated(own, judged.sick, judged.parts), SUREST)
        rows.append({"signal": name, "data": judged.ranked(values)})
    rules = [{"rule": name, "data": judged.figures_of(judged.certain(rule))} for name, rule in RULES.items()]
    sizes = {
        name: [int((rows_of & judged.sick).sum()), int((rows_of & ~judged.sick).sum())]
        for name in MEASURED
        for rows_of in [judged.datasets == name]
    }
    return {"sick_and_well": sizes, "rules": rules, "signals": rows}


def stored(path: Path, make: Callable[[], Processed]) -> Processed:
    """What is in a file; or what is made, which is written there."""
    if path.exists():
        with np.load(path) as file:
            return Processed(**file)
    made = make()
    with written_whole(path) as temporary:
        np.savez_compressed(temporary, **vars(made))
    return made


def judged_of(fold: Path) -> Judged:
    """What a fold's network says of its patients, and what others of them choose."""
    recipe = read_run(fold)[0]
    outputs = [replace(own, split="fold") for own in load_outputs([fold])]
    return Judged(Chooser(outputs, recipe.labels, recipe.records, recipe.recording.frames_tell))


def odds_of_seed(fold: Path, judged: Judged) -> Floats:
    """Log-odds of sick by the network of another seed, of the same recordings."""
    other = judged_of(fold)
    if other.names != judged.names:
        raise LaennecError(f"{fold}: a fold of other recordings")
    return other.odds


def prepared(fold: Path, store: Path) -> tuple[Judged, Processed, Processed, tuple[Floats, Floats, Floats]]:
    """What a fold's network says of the recordings that are judged, as they are and processed."""
    judged = judged_of(fold)
    detector, held_out = model_of(fold)
    held_out = held_out.assign(label=held_out["label"].fillna(""))
    of_name, order = drawn(held_out)
    clips = held_out.loc[[of_name[name] for name in judged.names]]
    model = AdaptableModel(detector)
    table = pd.read_csv(fold / "clips.csv", dtype={"recording": str, "subject": str, "label": str})
    table = table.assign(label=table["label"].fillna(""))
    own = kept(store / "test.npz", lambda: hear(model, held_out))
    train = table[table["side"] == "train"]
    learnt = kept(store / "train.npz", lambda: hear(model, train))
    features = own.features[[order[name] for name in judged.names]]
    labels = train.loc[list(drawn(train)[0].values()), "label"].to_numpy(str)

    def flattened() -> Processed:
        target = usual_spectrum(train, detector.card.sample_rate)
        return Processed.of(detector, clips, [equalised(target, share) for share in EQUALISED])

    processes = [lambda samples, _: samples, *PROCESSES.values()]
    processed = stored(store / "processed.npz", lambda: Processed.of(detector, clips, processes))
    flat = stored(store / "equalised.npz", flattened)
    healthy = np.isin(labels, ("Normal", "normal"))
    known = np.isin(learnt.sources, MEASURED) & (labels != "Poor Quality")
    away = distances(features, learnt.features[known], ~healthy[known], learnt.sources[known])
    return judged, processed, flat, away


def main() -> None:
    """Measure a fold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("fold", type=Path, help="folder of a fold of laennec crossvalidate recording")
    parser.add_argument("--also", type=Path, nargs="*", default=[], help="the same fold by other seeds")
    parser.add_argument("--kept", type=Path, required=True, help="folder for what is heard")
    parser.add_argument("--out", type=Path, required=True, help="JSON for the figures")
    options = parser.parse_args()
    options.kept.mkdir(parents=True, exist_ok=True)
    judged, processed, flat, away = prepared(options.fold, options.kept)
    seeds = [odds_of_seed(other, judged) for other in options.also]
    figures = {
        "command": "python -m laennec.experiments.certainty " + " ".join(command().split()[1:]),
        "date": str(datetime.date.today()),
        "machine": machine(),
        "fold": read_json(options.fold / "fold.json", "damaged", fold=str)["fold"],
        **measured(judged, processed, flat, away, seeds),
    }
    write_json(options.out, figures)


if __name__ == "__main__":
    run(main)
