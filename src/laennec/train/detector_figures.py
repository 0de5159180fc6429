"""What is reported of the detector: from what folds' networks said of patients they never heard.

Whatever is chosen (thresholds, temperatures, shifts) is chosen for each fold on the other folds, and what is
reported of that fold is made with it; the file that ships gets what all folds together choose.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from laennec.analyze.decode import emission_scores, families, find_events
from laennec.analyze.rate import respiratory_rate
from laennec.errors import LaennecError
from laennec.labels import SPRSOUND_EVENTS, SPRSOUND_RECORDS
from laennec.model.card import EventRule
from laennec.model.probability import calibrated, sigmoid
from laennec.score import text
from laennec.score.bootstrap import Patients, over_patients
from laennec.score.calibration import brier_score, expected_calibration_error
from laennec.score.certainty import COVERAGE, certainty_scores
from laennec.score.confusion import challenge_score, sensitivity, specificity
from laennec.score.events import EventScores, Span, event_scores, match_events
from laennec.score.frames import frame_average_precision
from laennec.score.predictions import Predictions
from laennec.train.detector import Said

Floats = NDArray[np.float64]

RULES = tuple(
    EventRule(class_weight=weight, class_presence=presence, class_bias=bias)
    for weight in (0.2, 0.3, 0.4)
    for presence in (0.0, 0.3)
    for bias in (0.4, 0.7, 1.0)
)
FAMILY = families(SPRSOUND_EVENTS)
SHIFTS = np.linspace(-0.5, 3.0, 36)
REFUSED = 0.03  # of the real recordings of each data set, at the threshold that is chosen
TASKS = {"21": ((0,), (1, 2, 3), (4,)), "22": ((0,), (1,), (2,), (3,), (4,))}
DRAWS = 1000
NORMAL, POOR = 0, 4
FRAME_S = 0.05  # of the network's answer


@dataclass(frozen=True)
class Figures:
    """What is reported, and what ships."""

    told: dict[str, Any]
    rule: EventRule
    event_scaling: tuple[float, list[float]]
    record_scaling: tuple[float, list[float]]
    event_certain: float
    record_certain: float
    lung_share: float
    task_shift: dict[str, float]


def measure(seeds: Sequence[Sequence[Said]]) -> Figures:
    """Measure every seed's folds; what ships is chosen by the first, whose network of everybody ships."""
    each = [_measure_one(said) for said in seeds]
    first = each[0]
    spread = {name: [figures.told["headline"][name] for figures in each] for name in first.told["headline"]}
    told = _without_nan({**first.told, "by_seed": spread})
    return Figures(**{**vars(first), "told": told})


def _without_nan(value: Any) -> Any:
    """The same with None for what is not defined, such as the specificity where nobody is normal."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _measure_one(said: Sequence[Said]) -> Figures:
    annotated = [s for s in said if s.record >= 0]
    folds = sorted({s.fold for s in annotated})
    detection, spans, rules, rule = _detection(annotated, folds)
    events = _matched(annotated, spans)
    event_figures, event_scaling, event_certain = _classes(events, folds, SPRSOUND_EVENTS)
    records = _Labelled(
        np.stack([s.record_logits for s in annotated]),
        np.array([s.record for s in annotated]),
        np.array([s.subject for s in annotated]),
        np.array([s.fold for s in annotated]),
    )
    record_figures, record_scaling, record_certain = _classes(records, folds, SPRSOUND_RECORDS)
    tasks, task_shift = _tasks(records, folds)
    refusals, lung_share = _refusals(said)
    rate = _rates(annotated, spans)
    headline = {
        "event F, class-agnostic": detection["scores"]["agnostic_f1"],
        "event F, with class": detection["scores"]["f1"],
        "error rate": detection["scores"]["error_rate"],
        "task 21 Score": tasks["21"]["score"],
        "task 22 Score": tasks["22"]["score"],
        "ECE of events": event_figures["ece"],
        "ECE of recordings": record_figures["ece"],
    }
    told = {
        "recordings": len(annotated),
        "patients": len({s.subject for s in annotated}),
        "headline": headline,
        "detection": detection,
        "rules": [asdict(r) for r in rules],
        "frames": _frames(annotated),
        "event_calibration": event_figures,
        "record_calibration": record_figures,
        "tasks": tasks,
        "refusals": refusals,
        "rate": rate,
    }
    return Figures(
        told, rule, event_scaling, record_scaling, event_certain, record_certain, lung_share, task_shift
    )


# --- events -------------------------------------------------------------------------------------------------


def _detection(
    said: Sequence[Said], folds: Sequence[int]
) -> tuple[EventScores, list[list[tuple[float, float]]], list[EventRule], EventRule]:
    """Event scores by the rule that the other folds choose; the spans; the rules; the rule of all folds.

    A rule is as good as the mean F of the three families, so that normal breaths do not decide alone.
    """
    found = {rule: [_named(s, _spans(s, rule)) for s in said] for rule in RULES}
    of_fold = np.array([s.fold for s in said])
    reference = [_annotated(s) for s in said]
    counts = np.array(
        [[_counts(mine, own) for mine, own in zip(reference, found[rule], strict=True)] for rule in RULES]
    )

    def best(rows: NDArray[np.bool_]) -> EventRule:
        matched, of_both = counts[:, rows].sum(1).transpose(1, 0, 2)
        return RULES[int((2 * matched / np.maximum(of_both, 1)).mean(1).argmax())]

    rules = [best(of_fold != fold) for fold in folds]
    rule_of = dict(zip(folds, rules, strict=True))
    chosen = [found[rule_of[s.fold]][index] for index, s in enumerate(said)]
    scores = event_scores(
        reference,
        chosen,
        SPRSOUND_EVENTS,
        subjects=[s.subject for s in said],
        draws=DRAWS,
    )
    spans = [[(start_s, end_s) for start_s, end_s, _ in own] for own in chosen]
    return scores, spans, rules, best(np.ones(len(said), bool))


def _counts(reference: Sequence[Span], estimated: Sequence[Span]) -> NDArray[np.int64]:
    """Matches of each family, and events of it on both sides, ``(2, 3)``."""
    counts = np.zeros((2, 3), np.int64)
    for family in range(3):
        mine, own = (
            [(a, b, "") for a, b, label in side if FAMILY[SPRSOUND_EVENTS.index(label)] == family]
            for side in (reference, estimated)
        )
        counts[:, family] = len(match_events(mine, own, agnostic=True)), len(mine) + len(own)
    return counts


def _spans(said: Said, rule: EventRule) -> list[tuple[float, float]]:
    scores = emission_scores(said.presence, said.classes, FAMILY, rule)
    found, _ = find_events(scores, said.presence, rule, FRAME_S)
    return [(a * FRAME_S, b * FRAME_S) for a, b in found]


def _annotated(said: Said) -> list[Span]:
    return [
        (float(a), float(b), SPRSOUND_EVENTS[label])
        for (a, b), label in zip(said.spans, said.labels, strict=True)
    ]


def _named(said: Said, spans: Sequence[tuple[float, float]]) -> list[Span]:
    return [(a, b, SPRSOUND_EVENTS[int(_mean_logits(said, a, b).argmax())]) for a, b in spans]


def _mean_logits(said: Said, start_s: float, end_s: float, frame_s: float = FRAME_S) -> NDArray[Any]:
    first = min(round(start_s / frame_s), said.presence.shape[1] - 1)
    last = min(max(first + 1, round(end_s / frame_s)), said.presence.shape[1])
    return np.asarray(said.classes[:, first:last].mean(1))


@dataclass(frozen=True)
class _Labelled:
    """Logits with what is annotated: ``(items, classes)`` and three times ``(items,)``."""

    logits: NDArray[Any]
    labels: NDArray[Any]
    subjects: NDArray[Any]
    folds: NDArray[Any]


def _matched(said: Sequence[Said], spans: Sequence[Sequence[tuple[float, float]]]) -> _Labelled:
    """Found events that match an annotated one, whatever its class."""
    rows: list[tuple[NDArray[Any], int, str, int]] = []
    for s, own in zip(said, spans, strict=True):
        estimated = [(a, b, "event") for a, b in own]
        reference = [(float(a), float(b), "event") for a, b in s.spans]
        for which, found in match_events(reference, estimated, agnostic=True):
            rows.append((_mean_logits(s, *own[found]), int(s.labels[which]), s.subject, s.fold))
    if len({row[3] for row in rows}) < 2:
        raise LaennecError(
            "next to no event was found where one is annotated; train longer, or on more patients"
        )
    logits, labels, subjects, folds = zip(*rows, strict=True)
    return _Labelled(np.stack(logits), np.array(labels), np.array(subjects), np.array(folds))


def _frames(said: Sequence[Said]) -> dict[str, Any]:
    """Average precision over frames: of presence, and of each class, which is presence times its share."""
    scores, targets, subjects = [], [], []
    for s in said:
        presence = sigmoid(s.presence[0])
        shares = calibrated(s.classes.T, 1.0)
        scores.append(np.column_stack([presence, presence[:, None] * shares]))
        middle_s = (np.arange(s.presence.shape[1]) + 0.5) * FRAME_S
        target = np.zeros((s.presence.shape[1], 1 + len(SPRSOUND_EVENTS)), bool)
        for (start_s, end_s), label in zip(s.spans, s.labels, strict=True):
            inside = (middle_s >= start_s) & (middle_s < end_s)
            target[inside, 0] = target[inside, 1 + label] = True
        targets.append(target)
        subjects += [s.subject] * s.presence.shape[1]
    return frame_average_precision(
        np.concatenate(scores), np.concatenate(targets), ("any event", *SPRSOUND_EVENTS), subjects, draws=200
    )


# --- calibration and abstention -----------------------------------------------------------------------------


def fit_scaling(logits: NDArray[Any], labels: NDArray[Any]) -> tuple[float, list[float]]:
    """Temperature and bias that make the labels likeliest; the bias is held to zero by a weak prior."""
    from scipy.optimize import minimize

    classes = logits.shape[1]

    def loss(parameters: Floats) -> float:
        probabilities = calibrated(logits, float(np.exp(parameters[0])), parameters[1:])
        likely = np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-12))
        return float(-likely.mean() + 1e-3 * np.square(parameters[1:]).sum())

    found = minimize(loss, np.zeros(1 + classes), method="L-BFGS-B").x
    bias = found[1:] - found[1:].mean()
    return float(np.exp(found[0])), [round(float(value), 4) for value in bias]


def _classes(
    items: _Labelled, folds: Sequence[int], classes: Sequence[str]
) -> tuple[dict[str, Any], tuple[float, list[float]], float]:
    """Calibration and risk of probabilities scaled as the other folds choose; what all folds choose."""
    probabilities = np.zeros(items.logits.shape)
    for fold in folds:
        own = items.folds == fold
        scaling = fit_scaling(items.logits[~own], items.labels[~own])
        probabilities[own] = calibrated(items.logits[own], *scaling)
    names = [classes[label] for label in items.labels]
    raw = calibrated(items.logits, 1.0)
    told = {
        **certainty_scores(_predictions(items, probabilities, classes)),
        "ece_before": expected_calibration_error(names, raw, classes),
        "brier_before": brier_score(names, raw, classes),
    }
    final = fit_scaling(items.logits, items.labels)
    certain = float(np.quantile(calibrated(items.logits, *final).max(1), 1 - COVERAGE))
    return told, final, round(certain, 4)


def _predictions(items: _Labelled, probabilities: Floats, classes: Sequence[str]) -> Predictions:
    names, labels = (tuple(map(str, range(len(items.labels)))), tuple(classes[k] for k in items.labels))
    return Predictions(names, tuple(items.subjects.tolist()), labels, tuple(classes), probabilities)


# --- whole recordings ---------------------------------------------------------------------------------------


def grouped(probabilities: Floats, task: str) -> Floats:
    """Probabilities of a task's classes of those of the record labels, ``(items, classes)``."""
    return np.stack([probabilities[:, list(group)].sum(1) for group in TASKS[task]], axis=1)


def shifted_answers(probabilities: Floats, shift: float) -> NDArray[np.int64]:
    """The likeliest class once Normal, the first, was made less likely by ``exp(shift)``."""
    moved = probabilities.copy()
    moved[:, NORMAL] *= np.exp(-shift)
    return np.asarray(moved.argmax(1))


def task_score(labels: NDArray[Any], answers: NDArray[Any], classes: int) -> tuple[float, float, float]:
    """Sensitivity, specificity and Score of record tasks: Poor Quality, the last class, counts in neither."""
    scores = _scores_of(_confusions(labels, answers, classes).sum(0))
    return float(scores["sensitivity"]), float(scores["specificity"]), float(scores["score"])


def _confusions(labels: NDArray[Any], answers: NDArray[Any], classes: int) -> Floats:
    """What each item adds to the confusion, ``(items, classes, classes)``."""
    return np.asarray(np.eye(classes)[labels][:, :, None] * np.eye(classes)[answers][:, None, :])


def _scores_of(confusion: Floats) -> dict[str, Floats]:
    """Se, Sp and Score ``(...)`` of confusions ``(..., classes, classes)``."""
    names = [str(k) for k in range(confusion.shape[-1])]
    se, sp = (score(confusion, names, names[NORMAL], names[-1:]) for score in (sensitivity, specificity))
    return {"sensitivity": se, "specificity": sp, "score": challenge_score(se, sp)}


def _tasks(records: _Labelled, folds: Sequence[int]) -> tuple[dict[str, Any], dict[str, float]]:
    told: dict[str, Any] = {}
    shifts: dict[str, float] = {}
    for task, groups in TASKS.items():
        index = np.zeros(len(SPRSOUND_RECORDS), int)
        for number, group in enumerate(groups):
            index[list(group)] = number
        labels = index[records.labels]
        answers, plain = np.zeros(len(labels), int), np.zeros(len(labels), int)
        everything = np.ones(len(labels), bool)
        for own in [*(records.folds == fold for fold in folds), ~everything]:
            scaling = fit_scaling(records.logits[~own], records.labels[~own])
            probabilities = grouped(calibrated(records.logits, *scaling), task)
            scores = [
                task_score(labels[~own], shifted_answers(probabilities[~own], shift), len(groups))[2]
                for shift in SHIFTS
            ]
            shift = float(SHIFTS[int(np.argmax(np.nan_to_num(scores)))])
            answers[own] = shifted_answers(probabilities[own], shift)
            plain[own] = probabilities[own].argmax(1)
        shifts[task] = round(shift, 3)  # the last, of all folds
        patients, confusions = Patients.of(records.subjects), _confusions(labels, answers, len(groups))
        measured = over_patients(patients.sums(confusions), _scores_of)
        told[task] = {
            "sensitivity": measured["sensitivity"].value,
            "specificity": measured["specificity"].value,
            "score": measured["score"].value,
            "interval": measured["score"].interval,
            "without_shift": task_score(labels, plain, len(groups)),
            "confusion": confusions.sum(0).astype(int).tolist(),
        }
    return told, shifts


def _refusals(said: Sequence[Said]) -> tuple[dict[str, Any], float]:
    """Share of real recordings that are refused, at the threshold of the other folds; that of all."""
    shares = np.array([calibrated(s.kind_logits, 1.0)[0] for s in said])
    folds, own = np.array([s.fold for s in said]), np.array([s.record >= 0 for s in said])
    refused = np.zeros(len(said), bool)
    for fold in np.unique(folds):
        refused[folds == fold] = shares[folds == fold] < _threshold(shares[folds != fold], own[folds != fold])
    told = {"SPRSound": float(refused[own].mean()), "of": int(own.sum())}
    if (~own).any():
        told |= {"ICBHI": float(refused[~own].mean()), "of ICBHI": int((~own).sum())}
    return told, round(_threshold(shares, own), 4)


def _threshold(shares: Floats, own: NDArray[np.bool_]) -> float:
    """Refuses `REFUSED` of each data set or less."""
    return float(min(np.quantile(shares[mask], REFUSED) for mask in (own, ~own) if mask.any()))


def _rates(said: Sequence[Said], spans: Sequence[Sequence[tuple[float, float]]]) -> dict[str, Any]:
    """Respiratory rate of found events against that of the annotated ones."""
    errors: dict[str, list[float]] = {"good": [], "doubtful": []}
    known = 0
    for s, own in zip(said, spans, strict=True):
        truth = respiratory_rate([float(start) for start, _ in s.spans])
        if truth.per_min is None or truth.quality != "good":
            continue
        known += 1
        found = respiratory_rate([start for start, _ in own])
        if found.per_min is not None:
            errors[found.quality].append(abs(found.per_min - truth.per_min))
    return {
        "recordings": known,
        **{
            quality: {
                "recordings": len(values),
                "median_error_per_min": float(np.median(values)) if values else None,
                "mean_error_per_min": float(np.mean(values)) if values else None,
                "within_3_per_min": float(np.mean(np.array(values) <= 3)) if values else None,
            }
            for quality, values in errors.items()
        },
    }


# --- what ships and what is printed -------------------------------------------------------------------------


LIMITS = (
    "Learnt from children's recordings of one stethoscope (SPRSound): in adults, from other devices, and on "
    "real hearts and speech, certain answers are often wrong. Rhonchi, Stridor and Wheeze+Crackle rest on "
    "11, 2 and 9 patients, so their figures mean little. An event that it does not find is not there for "
    "it: a recording without adventitious events is no proof of health. The age, sex and position of a "
    "patient change nothing."
)


def settings_of(figures: Figures, examples: int, command: str, seeds: list[int]) -> dict[str, Any]:
    """The card's entries that come from the figures."""
    told = figures.told
    return {
        "rule": asdict(figures.rule),
        "event_temperature": figures.event_scaling[0],
        "event_bias": figures.event_scaling[1],
        "record_temperature": figures.record_scaling[0],
        "record_bias": figures.record_scaling[1],
        "event_certain": figures.event_certain,
        "record_certain": figures.record_certain,
        "lung_share": figures.lung_share,
        "task_shift": figures.task_shift,
        "data": {
            "training": "SPRSound 2022 training set (events and records); ICBHI 2017 (as lungs of other "
            "devices, without its labels); generated speech, music, noise and hearts",
            "citation": "Zhang et al., IEEE TBioCAS 16(5), 2022; Rocha et al., Physiol. Meas. 40(3), 2019",
            "licence": "SPRSound: GPL-3.0 / CC BY; ICBHI 2017: free for research",
            "recordings": examples,
        },
        "metrics": {
            **{name: value and round(value, 4) for name, value in told["headline"].items()},
            "how": f"patient-disjoint folds, {told['patients']} patients, seed {seeds[0]}; this file was "
            "trained on all of them afterwards",
        },
        "limits": LIMITS,
        "recipe": {"command": command, "seeds": seeds},
    }


def render(told: dict[str, Any]) -> str:
    """The figures as Markdown."""

    number, between = partial(text.number, missing="-"), partial(text.interval, missing="-")
    scores, intervals = told["detection"]["scores"], told["detection"]["intervals"]
    lines = ["| score | value | 95 % over patients | by seed |", "|---|---|---|---|"]
    names = (
        ("event F, class-agnostic", "agnostic_f1"),
        ("event F, with class", "f1"),
        ("error rate", "error_rate"),
        ("insertions / annotated", "insertion_rate"),
        ("deletions / annotated", "deletion_rate"),
        ("substitutions / annotated", "substitution_rate"),
        ("event F by EzhouNet's rule", "ezhounet_f1"),
        ("error rate by EzhouNet's rule", "ezhounet_error_rate"),
    )
    by_seed = told["by_seed"]
    for title, key in names:
        if key in scores:
            spread = ", ".join(number(v) for v in by_seed.get(title, []))
            lines.append(f"| {title} | {number(scores[key])} | {between(intervals[key])} | {spread} |")
    for task, found in told["tasks"].items():
        se, sp, score = (number(value) for value in found["without_shift"])
        lines.append(f"| task {task} Score as `analyze` answers (SE {se}, SP {sp}) | {score} | | |")
        spread = ", ".join(number(v) for v in by_seed[f"task {task} Score"])
        lines.append(
            f"| task {task} Score as `challenge` answers (SE {number(found['sensitivity'])}, "
            f"SP {number(found['specificity'])}) | "
            f"{number(found['score'])} | {between(found['interval'])} | {spread} |"
        )
    for title, key in (("events", "event_calibration"), ("recordings", "record_calibration")):
        found = told[key]
        spread = ", ".join(number(v) for v in by_seed[f"ECE of {title}"])
        brier = f"Brier score of {title} (before {number(found['brier_before'])})"
        lines += [
            f"| ECE of {title} (before {number(found['ece_before'])}) | {number(found['ece'])} | "
            f"{between(found['ece_interval'])} | {spread} |",
            f"| {brier} | {number(found['brier'])} | | |",
            f"| errors of {title}: all, and the {COVERAGE:.0%} it is surest of | {number(found['risk'])}, "
            f"{number(found['risk_at_80'])} | | |",
        ]
    lines += [
        "",
        "| class | annotated | found | F | 95 % | frame-wise average precision |",
        "|---|---|---|---|---|---|",
    ]
    for name in SPRSOUND_EVENTS:
        own, frame = told["detection"]["classes"][name], told["frames"][name]
        lines.append(
            f"| {name} | {own['reference']} | {own['estimated']} | {number(own['f1'])} | "
            f"{between(own['intervals']['f1'])} | {number(frame['average_precision'])} |"
        )
    frame = told["frames"]["any event"]
    lines += [f"| any event | | | | | {number(frame['average_precision'])} |", ""]
    return "\n".join(lines)
