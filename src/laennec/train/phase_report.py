"""What a cross-validation of a model for breath phases shows: rule and certainty, measured out of fold.

Rule, threshold of clips, certainty and the chance below which nothing is told are chosen for the patients of
a fold on all others; those of the model file on all of them. With other cross-validations, by protocols of
strangers, they are chosen on these as well, where they do worst.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from laennec.analyze.analysis import BreathPhase
from laennec.analyze.breathing import FEWEST_INSPIRATIONS
from laennec.analyze.phases import (
    EVIDENCE,
    Run,
    best_path,
    decode_phases,
    probabilities_of,
    runs_of,
    stretches,
)
from laennec.errors import LaennecError
from laennec.files import write_json, write_text
from laennec.labels import PHASES
from laennec.model.phases import STATES, PhaseRule
from laennec.model.probability import sigmoid
from laennec.score.markdown import table
from laennec.score.phases import (
    PHASE_HEADER,
    TOLERANCE_S,
    OnsetCounts,
    balanced_accuracy,
    onset_scores,
    phase_rows,
    right_phases,
    score_json,
    share_scores,
)
from laennec.score.ranking import auc_over_patients
from laennec.train.card import trained_on
from laennec.train.crossval import CrossValidationData, train_on_all
from laennec.train.export import export
from laennec.train.hardware import Hardware
from laennec.train.head_fit import minimised
from laennec.train.phase_outputs import PhaseOutput, load_phase_outputs
from laennec.train.phases import CLIP, CYCLES, PhaseDecision
from laennec.train.recipe import Recipe

Floats = NDArray[np.float64]
RULES = tuple(PhaseRule(bias=(bias, 0.0, 0.0)) for bias in (0.0, 0.5, 1.0, 1.5, 2.0))  # that are tried
RIDGE = 1.0  # of the certainty's weights but its constant, in units of one phase
RIGHT = 0.8  # of the phases that are told, at least, on the patients that the threshold is chosen on
COVERAGES = (1.0, 0.75, 0.5, 0.25)
LEAST = 0.5  # chance, below which nothing is told whatever was measured
PARTS = 5  # that the patients of one fold are dealt into
CLIP_EDGE = 2  # frames, as in training

LIMITS = (
    "It tells inspiration, expiration and pause in sound of a lung, in recordings of up to 10 minutes. It "
    "learnt phases from adults in two data sets; the breaths of children (SPRSound) taught it pauses alone, "
    "and nothing here measures it on them. Where one phase is not audible, or both sound alike, it errs, and "
    "says 'unknown' where it knows that it may. Pauses are not measured: no data set annotates them. "
    "Research software, not a medical device."
)


@dataclass(frozen=True)
class Read:
    """What a rule reads from a recording with annotated cycles; worked out when it is asked for."""

    output: PhaseOutput
    rule: PhaseRule

    @cached_property
    def logits(self) -> Floats:
        """``(3, frames)``."""
        return self.output.logits.astype(np.float64)

    @cached_property
    def phases(self) -> tuple[BreathPhase, ...]:
        """The phases, without chances, which take three times as long."""
        path, step = best_path(self.logits, self.rule, self.output.frame_s), self.output.frame_s
        return tuple(BreathPhase(a * step, b * step, STATES[state]) for state, a, b in stretches(path))

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """The same with the evidence for each."""
        decoded = decode_phases(self.logits, self.rule, self.output.frame_s)
        return tuple(runs_of(decoded, self.logits))

    @property
    def cycles(self) -> Floats:
        """``(cycles, 2)`` s."""
        return np.asarray(self.output.spans, np.float64)

    @property
    def onsets_s(self) -> list[float]:
        """Of inspirations that begin within the recording."""
        return [own.start_s for own in self.phases if own.phase == PHASES[0] and own.start_s > 0]

    @cached_property
    def truth(self) -> list[tuple[tuple[float, ...], bool]]:
        """Evidence and truth of each phase that a cycle says anything of."""
        of_phase = {id(own): run.evidence for own, run in zip(self.phases, self.runs, strict=True)}
        return [(of_phase[id(own)], right) for own, right in right_phases(self.phases, self.cycles)]


# --- choosing -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """What is chosen on some recordings: a rule, the certainty's weights, and where nothing is told."""

    rule: PhaseRule
    certainty: tuple[float, ...]
    unknown_below: float

    def entries(self) -> dict[str, Any]:
        """Entries of the model file's card."""
        rule = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self.rule).items()}
        own = {"rule": rule, "certainty": [round(weight, 6) for weight in self.certainty]}
        return {**own, "unknown_below": round(self.unknown_below, 4)}


ByRule = Mapping[PhaseRule, Sequence[Read]]


def chosen(runs: Sequence[ByRule]) -> Choice:
    """What fits the recordings of one or more runs: each part is chosen where it does worst.

    The rule is the one with the best F of onsets.
    """
    rule = max(RULES, key=lambda own: min(_f_of(run[own]) for run in runs))
    certainty = fit_certainty([each for run in runs for one in run[rule] for each in one.truth])
    return Choice(rule, certainty, max(_threshold(run[rule], certainty) for run in runs))


def without(runs: Sequence[ByRule], subjects: Collection[str]) -> list[ByRule]:
    """The recordings of other patients."""
    return [
        {rule: [one for one in own if one.output.subject not in subjects] for rule, own in run.items()}
        for run in runs
    ]


def _f_of(read: Sequence[Read]) -> float:
    counts = [OnsetCounts.of(own.onsets_s, own.cycles) for own in read]
    score = onset_scores(counts, ["one"] * len(counts))["f"].value
    return -1.0 if score is None else score


def fit_certainty(told: Sequence[tuple[tuple[float, ...], bool]]) -> tuple[float, ...]:
    """Weights of a logistic regression of being right on the evidence, its constant first.

    The targets are as far from 0 and 1 as so few phases leave open (Platt, "Probabilistic outputs for support
    vector machines", 1999).
    """
    rows = np.array([evidence for evidence, _ in told]).reshape(-1, EVIDENCE)
    design, hit = np.column_stack([np.ones(len(rows)), rows]), np.array([own for _, own in told], bool)
    right = np.where(hit, (hit.sum() + 1) / (hit.sum() + 2), 1 / ((~hit).sum() + 2))

    def cost(weights: Floats) -> tuple[float, Floats]:
        margin = design @ weights
        bent = np.r_[0.0, weights[1:]]
        value = float((np.logaddexp(0.0, margin) - right * margin).sum() + RIDGE / 2 * bent @ bent)
        return value, design.T @ (sigmoid(margin) - right) + RIDGE * bent

    return tuple(float(weight) for weight in minimised(cost, np.zeros(1 + EVIDENCE)))


def certainty_of(read: Read, certainty: Sequence[float]) -> float:
    """The chance that a phase of a recording is right, as `laennec.analyze.breathing` has it."""
    weights = [(run.end - run.first) * (run.state < len(PHASES)) for run in read.runs]
    return float(np.average(probabilities_of(read.runs, certainty), weights=weights)) if sum(weights) else 0.0


def is_whole(read: Read) -> bool:
    """Whether a whole breath was read."""
    return sum(own.phase == PHASES[0] for own in read.phases) >= FEWEST_INSPIRATIONS


def _threshold(read: Sequence[Read], certainty: Sequence[float]) -> float:
    """The lowest chance from which at least `RIGHT` of the told phases are right; 1 where none is.

    Half-way to the next recording that is not told, and never below `LEAST`.
    """
    told = sorted(
        ((certainty_of(own, certainty), [right for _, right in own.truth]) for own in read if is_whole(own)),
        key=lambda each: -each[0],
    )
    best, right, count = 1.0, 0, 0
    following_ones = [*(chance for chance, _ in told[1:]), 0.0]
    for (chance, own), following in zip(told, following_ones, strict=False):
        right, count = right + sum(own), count + len(own)
        if count and right >= RIGHT * count:
            best = (chance + following) / 2
    return max(LEAST, best)


# --- measuring ----------------------------------------------------------------------------------------------


def measured(
    outputs: Sequence[PhaseOutput], others: Sequence[Sequence[PhaseOutput]] = ()
) -> tuple[dict[str, Any], Choice, list[tuple[Read, float, float]]]:
    """Figures of one seed, what is chosen on all, and each recording as the choice of others reads it.

    Of a recording with cycles: what is read, its certainty, and the threshold. `others` are outputs by other
    protocols.
    """
    runs = [
        {rule: [Read(own, rule) for own in each if own.kind == CYCLES] for rule in RULES}
        for each in (outputs, *others)
    ]
    cycles = [own for own in outputs if own.kind == CYCLES]
    if not cycles:
        raise LaennecError("no recording with respiratory cycles was measured on; add --also icbhi=FOLDER")
    runs = [run for run in runs if run[RULES[0]]]
    held: list[tuple[Read, float, float]] = []
    for subjects in _dealt(cycles):
        choice = chosen(without(runs, subjects))
        own = [one for one in runs[0][choice.rule] if one.output.subject in subjects]
        held += [(one, certainty_of(one, choice.certainty), choice.unknown_below) for one in own]
    return {"clips": clip_scores(outputs), "cycles": cycle_scores(held)}, chosen(runs), held


def _dealt(outputs: Sequence[PhaseOutput]) -> list[set[str]]:
    """Patients by fold; of one fold alone, dealt into `PARTS`."""
    by_fold: dict[str, set[str]] = {}
    for own in outputs:
        by_fold.setdefault(own.fold, set()).add(own.subject)
    if len(by_fold) > 1:
        return list(by_fold.values())
    (subjects,) = by_fold.values()
    parts = [set(sorted(subjects)[k::PARTS]) for k in range(PARTS)]
    return [part for part in parts if part]


def clip_scores(outputs: Sequence[PhaseOutput]) -> dict[str, Any]:
    """Inspiration against expiration in clips of one phase, by the threshold of the other patients."""
    clips = [own for own in outputs if own.kind == CLIP]
    if not clips:
        return {}
    margin = np.array([(own.logits[1] - own.logits[0])[CLIP_EDGE:-CLIP_EDGE].mean() for own in clips])
    expired, subjects = np.array([own.phase == 1 for own in clips]), np.array([own.subject for own in clips])
    told = np.zeros(len(clips), bool)
    for part in _dealt(clips):
        here = np.isin(subjects, list(part))
        told[here] = margin[here] > _middle(margin[~here], expired[~here])
    return {
        "clips": len(clips),
        "recordings": len(set(subjects)),
        "auc": score_json(auc_over_patients(expired, margin, subjects)),
        "balanced_accuracy": score_json(balanced_accuracy(expired, told, subjects.tolist())),
    }


def _middle(margin: Floats, positive: NDArray[np.bool_]) -> float:
    """The threshold with the best balanced accuracy; 0, which favours neither, where one of both lacks."""
    if positive.all() or not positive.any():
        return 0.0
    tried = np.quantile(margin, np.linspace(0.02, 0.98, 97))
    return float(max(tried, key=lambda at: (margin[positive] > at).mean() + (margin[~positive] <= at).mean()))


def cycle_scores(held: Sequence[tuple[Read, float, float]]) -> dict[str, Any]:
    """Onsets and phases of recordings with cycles, all of them and those whose phases are told."""
    counts = [OnsetCounts.of(own.onsets_s, own.cycles) for own, *_ in held]
    subjects = [own.output.subject for own, *_ in held]
    told = [is_whole(own) and chance >= threshold for own, chance, threshold in held]
    order = np.argsort([-chance for _, chance, _ in held], kind="stable")
    return {
        "recordings": len(held),
        "patients": len(set(subjects)),
        "cycles": sum(len(own.cycles) for own, *_ in held),
        "onsets": {name: score_json(score) for name, score in onset_scores(counts, subjects).items()},
        "phases": _phases_of([own for own, *_ in held]),
        "told": {
            "share": score_json(share_scores(told, subjects)),
            **_phases_of([own for (own, *_), known in zip(held, told, strict=True) if known]),
            "onsets": {
                name: score_json(score)
                for name, score in onset_scores(
                    [own for own, known in zip(counts, told, strict=True) if known],
                    [own for own, known in zip(subjects, told, strict=True) if known],
                ).items()
            }
            if any(told)
            else {},
        },
        "surest": {
            f"{share:g}": _phases_of([held[k][0] for k in order[: max(1, round(share * len(held)))]])
            for share in COVERAGES
        },
    }


def _phases_of(read: Sequence[Read]) -> dict[str, Any]:
    """Share of phases that are right in some recordings, with its interval over patients."""
    rows = [(right, own.output.subject) for own in read for _, right in own.truth]
    if not rows:
        return {"recordings": len(read), "phases": 0, "right": None}
    return {
        "recordings": len(read),
        "phases": len(rows),
        "right": score_json(share_scores([right for right, _ in rows], [subject for _, subject in rows])),
    }


# --- writing ------------------------------------------------------------------------------------------------


def report_phases(
    out: Path,
    folders: Mapping[int, Sequence[Path]],
    provenance: Mapping[str, Any],
    chosen_with: Sequence[Path] = (),
) -> tuple[dict[str, Any], Choice]:
    """Write and print ``metrics.json`` and ``tables.txt``; return the figures, and what all folds choose.

    The model file has the first seed's choice. `chosen_with` are folders of other cross-validations.
    """
    others = [outputs_of(other) for other in chosen_with]
    runs = {seed: measured(load_phase_outputs(own), others) for seed, own in folders.items()}
    figures = {
        "provenance": dict(provenance),
        "tolerance_s": TOLERANCE_S,
        "seeds": {str(seed): own for seed, (own, *_) in runs.items()},
    }
    write_json(out / "metrics.json", figures)
    rows = [row for seed, (own, *_) in runs.items() for row in phase_rows(own, f"seed {seed}")]
    text = table(PHASE_HEADER, rows) + "\n"
    write_text(out / "tables.txt", text)
    print(text)
    return figures, next(choice for _, choice, _ in runs.values())


def outputs_of(run: Path) -> list[PhaseOutput]:
    """What the networks of a cross-validation's first seed gave; LaennecError where there is none."""
    folders = sorted(path.parent for path in run.glob("seed*/fold*/outputs.npz"))
    if not folders:
        raise LaennecError(f"{run}: no folds; laennec crossvalidate phases writes them")
    return load_phase_outputs([own for own in folders if own.parent == folders[0].parent])


def final_phases(
    data: CrossValidationData,
    recipe: Recipe,
    out: Path,
    seed: int,
    report: tuple[Mapping[str, Any], Choice],
    hardware: Hardware,
) -> Path:
    """Train on all patients, with what the first seed's folds chose, and export."""
    figures, choice = report
    train_on_all(data, replace(recipe, seed=seed), out, hardware, PhaseDecision(choice.entries()))
    write_json(out / "card.json", phase_card(data, recipe, figures))
    return export(out)


def phase_card(data: CrossValidationData, recipe: Recipe, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of the card that data and figures decide."""
    provenance = figures["provenance"]
    return {
        "data": trained_on(recipe, int(data.fold("all patients").train.sum())),
        "metrics": {
            "how": f"{provenance['split']}; no patient or recording on both sides; this file was trained on "
            "all of them afterwards",
            "command": provenance["command"],
            "seeds": figures["seeds"],
        },
        "limits": LIMITS,
    }
