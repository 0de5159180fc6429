"""How a model for whole recordings does on strangers, rehearsed: on data sets, devices and patients held out.

Works on kept outputs of one protocol or of several together (`laennec.train.recording_choice`). Everything
is told of each split (a protocol, or a fold of one) and each data set by itself; `worst` takes the worst.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from laennec.files import read_json
from laennec.labels import AGE_GROUPS, SOUND_KINDS, SPRSOUND_EVENTS, SPRSOUND_RECORDS, age_group
from laennec.model.probability import calibrated
from laennec.score.bootstrap import Patients, Score, over_patients
from laennec.score.calibration import probability_error
from laennec.score.confusion import ratio
from laennec.score.events import event_scores
from laennec.score.predictions import Predictions
from laennec.score.ranking import auc_over_patients
from laennec.score.tasks import task_scores
from laennec.train.recording_certainty import (
    CERTAIN,
    FLOOR,
    NEITHER,
    PREVALENCE,
    certain_scores,
    limits_of,
)
from laennec.train.recording_choice import Chooser, Chosen, cross_fitted, numbers
from laennec.train.recording_decision import Floats, Mask, Names
from laennec.train.recording_predictions import RecordingOutput, load_outputs
from laennec.train.regression import cross_validated
from laennec.train.rehearsal_tables import EVENT_SCORES, TASK_SCORES

DRAWS = 1000
BASELINES = ("duration", "age", "position", "device")
BASELINE_FOLDS = 5
K_FOLD = "k-fold"
# Of which record labels each ranking is, and against which; by their place in the vocabulary.
RANKINGS = {"sick": ((1, 2, 3), (0,)), "wheeze": ((1, 3), (0, 2)), "crackle": ((2, 3), (0, 1))}


def splits_of(protocol: str, folds: Sequence[str]) -> dict[str, str]:
    """The split that each fold's folder is of, from the names of a protocol's folds.

    The folds of a k-fold are one split together; of other protocols, each is one by itself.
    """
    return {
        f"fold{number}": protocol if protocol == K_FOLD else f"{protocol}, {name}"
        for number, name in enumerate(folds, start=1)
    }


def outputs_of_run(run: Path) -> dict[int, list[RecordingOutput]]:
    """The outputs of a finished ``laennec crossvalidate`` of a recording model, by seed."""
    splits = read_json(
        run / "metrics.json", "laennec crossvalidate writes it, for a recording model", splits=dict
    )["splits"]
    seeds = sorted(run.glob("seed[0-9]*"))
    return {
        int(seed.name.removeprefix("seed")): load_outputs(
            [seed / fold for fold in splits if (seed / fold).exists()], splits
        )
        for seed in seeds
    }


def rehearse(
    outputs: Sequence[RecordingOutput],
    labels: Sequence[str],
    records: Sequence[str] = SPRSOUND_RECORDS,
    frames_tell: bool = False,
    prevalence: float = PREVALENCE,
    draws: int = DRAWS,
) -> dict[str, Any]:
    """Every figure of strangers, ready for JSON, from the outputs of all folds of one protocol or more.

    Parameters
    ----------
    outputs
        With their splits (`splits_of`).
    labels, records
        Of events and of recordings, in the order of the logits.
    frames_tell
        Whether the event classes of a recording's frames have a say in its label.
    prevalence
        Of adventitious sounds, at which certain answers are judged.
    """
    chooser = Chooser(outputs, labels, records, frames_tell)
    return Rehearsal(chooser, list(cross_fitted(chooser)), prevalence, draws).figures()


class Rehearsal:
    """What is answered to every recording, as decided by what all others choose, and its figures."""

    def __init__(
        self,
        chooser: Chooser,
        chosen: Sequence[Chosen],
        prevalence: float = PREVALENCE,
        draws: int = DRAWS,
    ) -> None:
        self.chooser, self.chosen, self.prevalence, self.draws = chooser, chosen, prevalence, draws
        count = len(chooser.outputs)
        self.splits = np.array([own.split for own in chooser.outputs])
        self.truth = np.array([own.record for own in chooser.outputs])
        self.probabilities = np.full((count, len(chooser.records)), np.nan)
        self.refused, self.sick = np.zeros(count, bool), np.zeros(count, bool)
        self.certain = np.full(count, NEITHER)
        for own in chosen:
            decision = own.decision
            self.refused[own.rows] = chooser.refused(decision)[own.rows]
            labelled, judged = own.rows & chooser.labelled, own.rows & chooser.judged
            self.probabilities[labelled] = chooser.record_probabilities(decision, labelled)
            answers = chooser.answers(decision, own.rows)
            self.sick[judged] = answers.sick
            self.certain[judged] = answers.certain(
                decision.record_certain if decision.normal_certain is None else decision.normal_certain,
                decision.record_certain if decision.sick_certain is None else decision.sick_certain,
            )

    def figures(self) -> dict[str, Any]:
        """Every figure, ready for JSON."""
        splits = {}
        for split in dict.fromkeys(self.splits.tolist()):
            rows = self.splits == split
            chosen = [own for own in self.chosen if (own.rows & rows).any()]
            splits[split] = {
                "chosen_on": sorted({own.on for own in chosen}),
                "recordings": self._by_dataset(rows & self.chooser.labelled, self._recordings),
                "refusals": self._refusals(rows),
                "events": self._by_dataset(rows & self.chooser.annotated, self._events),
            }
        figures = {"prevalence": self.prevalence, "floor": FLOOR, "splits": splits}
        return {**figures, "worst": worst(figures)}

    def _by_dataset(self, rows: Mask, figures: Callable[[Mask], dict[str, Any]]) -> dict[str, Any]:
        names = self.chooser.datasets
        return {str(name): figures(rows & (names == name)) for name in dict.fromkeys(names[rows].tolist())}

    # --- recordings -----------------------------------------------------------------------------------------

    def _recordings(self, rows: Mask) -> dict[str, Any]:
        """Of a data set, and of its devices and age groups."""
        judged = rows & self.chooser.judged
        chance = self._baselines(judged)
        devices = np.array([own.device for own in self.chooser.outputs])
        ages = np.array([age_group(own.age_years) or "" for own in self.chooser.outputs])
        figures = self._of_recordings(rows, chance)
        for title, names, order in (("devices", devices, None), ("ages", ages, tuple(AGE_GROUPS))):
            there = [
                name
                for name in order or sorted(set(names[rows].tolist()) - {""})
                if (names[rows] == name).any()
            ]
            figures[title] = {name: self._of_recordings(rows & (names == name), chance) for name in there}
        limits = dict(zip(("wrong", "missed"), limits_of(str(self.chooser.datasets[rows][0])), strict=True))
        return {**figures, "limits": limits}

    def _of_recordings(self, rows: Mask, chance: Mapping[str, Floats]) -> dict[str, Any]:
        judged = rows & self.chooser.judged
        whose, sick = self.chooser.patients[judged], self.sick[judged]
        figures: dict[str, Any] = {
            "recordings": int(rows.sum()),
            "patients": len(set(self.chooser.patients[rows].tolist())),
            "sick": int(sick.sum()),
            "well": int((~sick).sum()),
            "auc": self._rankings(judged),
            "certain": {},
            "tasks": self._tasks(rows),
            "baselines": {},
        }
        if judged.any():
            certain = certain_scores(sick, self.certain[judged], whose, self.prevalence, self.draws)
            figures["certain"] = {name: told(score) for name, score in certain.items()}
            figures["baselines"] = {
                name: told(auc_over_patients(sick, own[judged], whose, self.draws))
                for name, own in chance.items()
            }
        return figures

    def _rankings(self, rows: Mask) -> dict[str, Any]:
        """AUC of sick against well, of wheezes and of crackles, in those that are not of poor quality."""
        if self.chooser.records != SPRSOUND_RECORDS or not rows.any():
            return {}
        found = {}
        for name, sides in RANKINGS.items():
            inside, against = (
                np.log(np.maximum(self.probabilities[rows][:, side].sum(1), 1e-300))
                for side in map(list, sides)
            )
            positive = np.isin(self.truth[rows], sides[0])
            found[name] = auc_over_patients(
                positive, inside - against, self.chooser.patients[rows], self.draws
            )
        return {name: told(score) for name, score in found.items()}

    def _tasks(self, rows: Mask) -> dict[str, Any]:
        """Sensitivity, specificity and Score of the answers; the refused count as of poor quality."""
        records = self.chooser.records
        if set(records) != set(SPRSOUND_RECORDS) or not rows.any():
            return {}
        probabilities = self.probabilities[rows].copy()
        probabilities[self.refused[rows]] = np.equal(records, SPRSOUND_RECORDS[-1])
        return self._scored(self.truth[rows], probabilities, records, self.chooser.patients[rows])

    def _scored(
        self, truth: Any, probabilities: Floats, classes: Sequence[str], subjects: Names
    ) -> dict[str, Any]:
        names = tuple(classes[number] for number in truth)
        ids = tuple(map(str, range(len(names))))
        predictions = Predictions(ids, tuple(subjects.tolist()), names, tuple(classes), probabilities)
        return {
            task.removeprefix("task_"): {
                name: {"value": own["scores"][name], "interval": own["intervals"][name]}
                for name in TASK_SCORES
            }
            for task, own in task_scores(predictions, self.draws).items()
        }

    def _baselines(self, rows: Mask) -> dict[str, Floats]:
        """Chance of sickness by what is known without listening: out of fold, by patient, in the data set."""
        sick, chance = self.sick[rows], {}
        if sick.all() or not sick.any():
            return {}
        outputs = [self.chooser.outputs[row] for row in np.flatnonzero(rows)]
        names, of_row = np.unique(self.chooser.patients[rows], return_inverse=True)
        dealt = np.random.default_rng(0).permutation(len(names)) % BASELINE_FOLDS
        for name in BASELINES:
            features = known_of(outputs, name)
            chance[name] = np.full(len(rows), 0.5)
            if (features != features[0]).any() and len(names) >= BASELINE_FOLDS:
                chance[name][rows] = cross_validated(features, sick, dealt[of_row])
        return chance

    # --- refusals -------------------------------------------------------------------------------------------

    def _refusals(self, rows: Mask) -> dict[str, Any]:
        """Share that is refused of each data set of lungs, and of each other kind of sound."""
        sounds = np.array([_sound(own) for own in self.chooser.outputs])
        figures = {}
        for name in sorted(set(sounds[rows].tolist())):
            own = rows & (sounds == name)
            patients = Patients.of(self.chooser.patients[own])
            sums = patients.sums(np.column_stack([self.refused[own], np.ones(own.sum())]))
            score = over_patients(sums, lambda drawn: {"": ratio(*drawn.T)}, self.draws)[""]
            counts = {
                "sounds": int(own.sum()),
                "refused": int(self.refused[own].sum()),
                "subjects": len(patients),
            }
            figures[name] = {"lung": bool(self.chooser.lungs[own].all()), **counts, **told(score)}
        return figures

    # --- events ---------------------------------------------------------------------------------------------

    def _events(self, rows: Mask) -> dict[str, Any]:
        """Found events, events of annotated boundaries, and what their probabilities are worth."""
        chooser, detections, whole, parts = self.chooser, [], [], []
        probabilities: list[Floats] = []
        for chosen in self.chosen:
            decision, own = chosen.decision, chosen.rows & rows
            for row in numbers(own):
                output, found = chooser.outputs[row], chooser.found(decision.rule, row)
                detections.append(output.detection(found.spans, chooser.labels, decision.event_scaling))
                whole.append(row)
                logits = [output.event_logits(*span) for span in output.spans]
                parts += [(row, label) for label in output.labels]
                shape = (len(logits), len(chooser.labels))
                probabilities.append(calibrated(np.reshape(logits, shape), *decision.event_scaling))
        subjects = chooser.patients[whole].tolist()
        sides = ([each.reference for each in detections], [each.estimated for each in detections])
        scored = event_scores(*sides, chooser.labels, chooser.labels[0], subjects, self.draws)
        counts = scored["counts"]
        figures: dict[str, Any] = {
            name: {"value": scored["scores"][name], "interval": scored["intervals"][name]}
            for name in EVENT_SCORES
        }
        figures |= {
            "recordings": len(whole),
            "annotated": counts["reference"],
            "found": counts["estimated"],
            "found_per_annotated": counts["estimated"] / counts["reference"] if counts["reference"] else None,
            "hits": self._hits(rows),
            "tasks": {},
        }
        if parts and set(chooser.labels) == set(SPRSOUND_EVENTS):
            of_row, truth = zip(*parts, strict=True)
            whose = chooser.patients[list(of_row)]
            figures["tasks"] = self._scored(truth, np.concatenate(probabilities), chooser.labels, whose)
        return figures

    def _hits(self, rows: Mask) -> dict[str, Any]:
        """Calibration error of the probability that a found event is there and its class right."""
        parts = []
        for own in self.chosen:
            plain = self.chooser.hits(replace(own.decision, event_presence=()), own.rows & rows)
            hits = self.chooser.hits(own.decision, own.rows & rows)
            parts.append((plain.chance, hits.chance, hits.hit, hits.patients))
        joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
        if not joined[0].size:
            return {}
        score = partial(probability_error, happened=joined[2], subjects=joined[3].tolist(), draws=self.draws)
        return {
            "share": float(joined[2].mean()),
            "ece_before": told(score(joined[0])),
            "ece": told(score(joined[1])),
        }


def told(score: Score) -> dict[str, Any]:
    """A score as JSON has it here."""
    return {"value": score.value, "interval": score.interval}


def _sound(own: RecordingOutput) -> str:
    """What a recording is counted as among the refused: its data set; of other sounds, of what in it."""
    if own.kind == 0:
        return own.dataset or "lung"
    return f"{own.dataset or 'other'}: {own.device or SOUND_KINDS[own.kind]}"


def known_of(outputs: Sequence[RecordingOutput], name: str) -> Floats:
    """What is known of recordings besides their sound, ``(recordings, columns)`` numbers."""
    if name == "duration":
        return np.log([[own.duration_s] for own in outputs])
    if name == "age":
        ages = np.array([own.age_years for own in outputs])
        return np.column_stack([np.log1p(np.nan_to_num(ages)), np.isnan(ages)])
    words = np.array([getattr(own, name) for own in outputs])
    return np.asarray(words[:, None] == np.unique(words), np.float64)


# --- the worst ----------------------------------------------------------------------------------------------


def worst(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The worst of the splits of every figure: what thresholds, remedies and trials are compared by.

    Each has its value and the split that it is of. Lower is worse of AUC, Score, F, specificity, certain
    answers and refusals of what is no lung; higher of errors, of calibration and of refused lungs.
    """
    found: dict[str, dict[str, Any]] = {}

    def take(name: str, value: float | None, split: str, low: bool) -> None:
        sign = 1 if low else -1
        if value is not None and (name not in found or sign * value < sign * found[name]["value"]):
            found[name] = {"value": value, "split": split}

    for split, own in figures["splits"].items():
        for dataset, each in own["recordings"].items():
            for name, score in each["auc"].items():
                take(f"{dataset}, AUC {name}", score["value"], split, True)
            for task, scores in each["tasks"].items():
                take(f"{dataset}, task {task} Score", scores["challenge_score"]["value"], split, True)
            for name, score in each["certain"].items():
                take(f"{dataset}, {CERTAIN[name]}", score["value"], split, name == "certain")
        for sound, each in own["refusals"].items():
            take(f"{sound}, refused", each["value"], split, not each["lung"])
        for dataset, each in own["events"].items():
            for name in EVENT_SCORES:
                take(f"{dataset}, events {name}", each[name]["value"], split, name != "error_rate")
            for task, scores in each["tasks"].items():
                take(f"{dataset}, task {task} Score", scores["challenge_score"]["value"], split, True)
                take(f"{dataset}, task {task} specificity", scores["specificity"]["value"], split, True)
            if each["hits"]:
                take(f"{dataset}, ECE of hits", each["hits"]["ece"]["value"], split, False)
    return found
