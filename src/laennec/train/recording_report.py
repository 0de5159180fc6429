"""What a cross-validation of a model for whole recordings writes: tables of its folds, figures, the model.

Whatever is chosen (thresholds, temperatures, shifts) is chosen for each fold on the other folds, and what is
reported of that fold is made with it; the file that ships gets what all folds together choose.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from laennec import datasets
from laennec.analyze.rate import breath_onsets, rate_of_onsets
from laennec.audio.samples import counted
from laennec.errors import LaennecError, UsageError
from laennec.files import write_json, write_text
from laennec.model.load import RUN_MODEL
from laennec.model.probability import calibrated, sigmoid
from laennec.score.calibration import COVERAGE, certainty_scores
from laennec.score.evaluation import score_events, score_predictions
from laennec.score.events import event_scores
from laennec.score.events_table import Detection
from laennec.score.markdown import EVENT_TITLES
from laennec.score.predictions import read_predictions
from laennec.score.ranking import frame_average_precision
from laennec.score.tasks import task_scores
from laennec.score.text import baselines_table, interval, number, of_patients
from laennec.train.card import command, strangers_of
from laennec.train.crossval import CrossValidationData, train_on_all
from laennec.train.export import export
from laennec.train.hardware import Hardware
from laennec.train.jobs import CrossValidationJob
from laennec.train.recipe import Recipe
from laennec.train.recording_choice import Chooser, Chosen, cross_fitted
from laennec.train.recording_decision import Floats, Labelled, RecordingDecision, decided
from laennec.train.recording_predictions import RecordingOutput, load_outputs, write_tables
from laennec.train.rehearsal import K_FOLD, Rehearsal, outputs_of_run, splits_of
from laennec.train.rehearsal_tables import tables
from laennec.train.tables import recording_names
from laennec.train.unheard import unheard

DRAWS = 1000
LIMITS = (
    "Boundaries and classes were learnt from {dataset} alone. On devices, ages and diseases other than those "
    "that it was measured on, certain answers may be wrong and lungs refused. An event that is not found is "
    "missing from the answer: a recording without adventitious events is no proof of health. The age, sex "
    "and position of a patient change nothing."
)
FILES = ("metrics.json", "tables.txt", RUN_MODEL)  # figures, tables and the model


def report_recordings(
    data: CrossValidationData,
    recipe: Recipe,
    out: Path,
    folders: Mapping[int, Sequence[Path]],
    provenance: Mapping[str, Any],
    hardware: Hardware,
    job: CrossValidationJob,
    files: tuple[str, str, str] = FILES,
) -> None:
    """Measure every seed's folds, write and print what they show; if asked for, train and export a model.

    What is chosen is so on the answers of the job's ``chosen_with`` besides, see `measure`.

    Raises
    ------
    UsageError
        If there is one fold by patient only: what is chosen for such a fold is chosen on the others.
    """
    if job.protocol == K_FOLD and min(len(own) for own in folders.values()) < 2:
        raise UsageError(
            "a model for whole recordings is measured on two folds or more; name more with --only, or none"
        )
    splits = splits_of(job.protocol, [fold.name for fold in data.folds])
    outputs = {seed: load_outputs(own, splits) for seed, own in folders.items()}
    runs = [outputs_of_run(other) for other in job.chosen_with]
    beside = {seed: [own for run in runs for own in run.get(seed, ())] for seed in outputs}
    figures, decision = measure(outputs, recipe, out, beside)
    size = f"{counted(figures['recordings'], 'recording', '')} of {of_patients(figures['patients'])}"
    named, beside_records = data.clips.assign(clip_id=recording_names(data.clips)), ""
    for seed in folders:
        folder = out / f"seed{seed}"
        given = {**provenance, "data": f"{recipe.dataset}, {size}", "seeds": [seed]}
        if (folder / "events.csv").exists():
            score_events(folder / "events.csv", folder, given, recipe.labels)
        if (folder / "predictions.csv").exists():
            records = read_predictions(folder / "predictions.csv").clip_ids
            scores = score_predictions(
                folder / "predictions.csv", folder, given, known=unheard(named, records)
            )
            beside_records = baselines_table(scores["baselines"])
    write_json(out / files[0], {**figures, "splits": splits, "command": command(), "seeds": list(folders)})
    text = "\n".join([render(figures), *([beside_records, ""] if beside_records else [])])
    write_text(out / files[1], text)
    print(text)
    if job.final:
        recipe = replace(recipe, seed=next(iter(folders)))
        train_on_all(data, recipe, out, hardware, decision)
        others = "".join(f"; chosen with {other.name}" for other in job.chosen_with)
        write_json(out / "card.json", card_entries(data, recipe, figures, provenance["split"] + others))
        print(f"model: {export(out, out / files[2])}")


def card_entries(
    data: CrossValidationData, recipe: Recipe, figures: Mapping[str, Any], split: str
) -> dict[str, Any]:
    """Entries of the card that data and figures decide; `split` says how these were measured."""
    own = datasets.dataset(recipe.dataset)
    training = f"{own.TITLE} (events and records)"
    citation, licence = own.CITATION, f"{own.TITLE}: {own.LICENCE}"
    for other in map(datasets.dataset, recipe.also):
        if other.TRAINS:
            training += f"; {other.TITLE}"
            citation, licence = f"{citation}; {other.CITATION}", f"{licence}; {other.TITLE}: {other.LICENCE}"
    return {
        "data": {
            "training": f"{training}; generated speech, music, noise and hearts",
            "citation": citation,
            "licence": licence,
            "recordings": int(data.fold("all patients").train.sum()),
        },
        "metrics": {
            **{name: value and round(value, 4) for name, value in figures["headline"].items()},
            "how": f"{split}; no patient on both sides, {of_patients(figures['patients'])}, seed "
            f"{recipe.seed}; this file was trained on all of them afterwards",
            "strangers": strangers_of(figures["strangers"]),
        },
        "limits": LIMITS.format(dataset=own.TITLE.partition(":")[0]),
    }


# --- figures ------------------------------------------------------------------------------------------------


def measure(
    seeds: Mapping[int, Sequence[RecordingOutput]],
    recipe: Recipe,
    out: Path,
    others: Mapping[int, Sequence[RecordingOutput]] = {},
) -> tuple[dict[str, Any], RecordingDecision]:
    """Measure every seed's folds and write their tables; what ships is chosen by the first.

    ``seedS/predictions.csv`` and ``seedS/events.csv`` below `out` have every fold as decided on the others.
    What is chosen is so on the seed's `others` as well, outputs of other protocols (`splits_of`).
    """
    each = [_measure(own, others.get(seed, ()), recipe, out / f"seed{seed}") for seed, own in seeds.items()]
    first, decision = each[0]
    spread = {name: [own["headline"][name] for own, _ in each] for name in first["headline"]}
    worst = {
        name: [own["strangers"]["worst"].get(name, {}).get("value") for own, _ in each]
        for name in first["strangers"]["worst"]
    }
    first["strangers"]["worst_by_seed"] = worst
    return _plain({**first, "by_seed": spread}), decision


def _plain(value: Any) -> Any:
    """The same with None for what is undefined, such as the specificity where nobody is normal."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _measure(
    outputs: Sequence[RecordingOutput],
    others: Sequence[RecordingOutput],
    recipe: Recipe,
    folder: Path,
) -> tuple[dict[str, Any], RecordingDecision]:
    """What is reported of a seed's folds, and what all recordings together choose."""
    named = [own if own.dataset else replace(own, dataset=_unnamed(own, recipe)) for own in outputs]
    chooser = Chooser([*named, *others], recipe.labels, recipe.records, recipe.recording.frames_tell)
    chosen = list(cross_fitted(chooser))
    own = Rehearsal(chooser, chosen, draws=DRAWS)
    strangers = own.figures()
    rows = _each_once(chooser, len(outputs))
    figures: dict[str, Any] = {"recordings": len(rows), "patients": 0}
    headline: dict[str, float] = {}
    if rows:
        figures, headline = _of_annotated(chooser, chosen, own, rows, recipe, folder)
        figures["refusals"] = _refusals(strangers, recipe)
    decision = chooser.decide(np.ones(len(chooser.outputs), bool))
    return {**figures, "headline": headline, "strangers": strangers}, decision


def _of_annotated(
    chooser: Chooser,
    chosen: Sequence[Chosen],
    rehearsal: Rehearsal,
    rows: Sequence[int],
    recipe: Recipe,
    folder: Path,
) -> tuple[dict[str, Any], dict[str, float]]:
    """Figures of the recordings whose events are annotated, and the first of them; writes their tables."""
    annotated = [chooser.outputs[row] for row in rows]
    subjects = [own.subject for own in annotated]
    decisions = {int(row): one.decision for one in chosen for row in np.flatnonzero(one.rows)}
    spans = [chooser.found(decisions[row].rule, row).spans for row in rows]
    detections = [
        own.detection(found, recipe.labels, decisions[row].event_scaling)
        for own, row, found in zip(annotated, rows, spans, strict=True)
    ]
    reference, estimated = ([each.reference for each in detections], [each.estimated for each in detections])
    detection = event_scores(reference, estimated, recipe.labels, recipe.labels[0], subjects, DRAWS)
    figures: dict[str, Any] = {
        "recordings": len(annotated),
        "patients": len(set(subjects) - {""}),
        "detection": detection,
        "rules": [asdict(one.decision.rule) for one in chosen],
        "frames": _frames(annotated, recipe.labels),
        "event_calibration": _events(chooser, chosen, rows, recipe.labels),
        "rate": _rates(detections),
    }
    headline = {
        "event F, class-agnostic": detection["scores"]["agnostic_f1"],
        "event F, with class": detection["scores"]["f1"],
        "error rate": detection["scores"]["error_rate"],
        "ECE of events": figures["event_calibration"]["ece"],
    }
    known = np.isin(np.arange(len(chooser.outputs)), rows) & chooser.labelled
    probabilities = np.zeros((len(annotated), len(recipe.records)))
    records = chooser.records_of(known)
    if records is not None:
        scaled = probabilities[known[rows]] = rehearsal.probabilities[known]
        figures["record_calibration"] = _certainty(records, scaled, recipe.records)
        each = [decisions[row] for row in np.flatnonzero(known).tolist()]
        figures["tasks"] = _tasks(records, scaled, recipe.records, each)
        headline["ECE of recordings"] = figures["record_calibration"]["ece"]
        headline |= {f"task {task} Score": one["score"] for task, one in figures["tasks"].items()}
    write_tables(folder, annotated, probabilities, recipe.records, detections)
    return figures, headline


def _unnamed(own: RecordingOutput, recipe: Recipe) -> str:
    """The data set of an output that was written without it."""
    return recipe.dataset if own.placed else " and ".join(recipe.also)


def _each_once(chooser: Chooser, count: int) -> list[int]:
    """Rows of the annotated recordings among the first `count`: a later fold may hold one again."""
    rows = np.flatnonzero(chooser.annotated[:count])
    return list({chooser.outputs[row].name: int(row) for row in rows[::-1]}.values())[::-1]


def _events(
    chooser: Chooser, chosen: Sequence[Chosen], rows: Sequence[int], labels: Sequence[str]
) -> dict[str, Any]:
    """Calibration of the classes of found events that match an annotated one."""
    here = np.isin(np.arange(len(chooser.outputs)), rows)
    parts, scaled = [], []
    for own in chosen:
        matched = chooser.matched(own.decision.rule, own.rows & here)
        if matched is not None:
            parts.append(matched)
            scaled.append(calibrated(matched.logits, *own.decision.event_scaling))
        elif (own.rows & here).any():
            raise LaennecError(
                "next to no event was found where one is annotated; train longer, or on more patients"
            )
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return _certainty(Labelled(*map(np.concatenate, columns)), np.concatenate(scaled), labels)


def _certainty(items: Labelled, scaled: Floats, classes: Sequence[str]) -> dict[str, Any]:
    """Calibration and risk of scaled probabilities, and calibration before."""
    raw = certainty_scores(items.predictions(calibrated(items.logits, 1.0), classes), draws=0)
    after = certainty_scores(items.predictions(scaled, classes), draws=DRAWS)
    return {**after, "ece_before": raw["ece"], "brier_before": raw["brier"]}


def _tasks(
    records: Labelled, scaled: Floats, classes: Sequence[str], decisions: Sequence[RecordingDecision]
) -> dict[str, Any]:
    """Scores of tasks 21 and 22, with the shifts of Normal and Poor Quality of each recording's decision."""
    predictions = records.predictions(scaled, classes)
    without = task_scores(predictions, draws=0)
    if set(without) != {"task_21", "task_22"}:
        return {}
    figures = {}
    for task in ("21", "22"):
        normal = np.array([own.task_shift.get(task, 0.0) for own in decisions])
        poor = np.array([own.task_poor_shift.get(task, 0.0) for own in decisions])
        moved = task_scores(decided(predictions, normal, poor), draws=DRAWS)[f"task_{task}"]
        plain = without[f"task_{task}"]["scores"]
        figures[task] = {
            "sensitivity": moved["scores"]["sensitivity"],
            "specificity": moved["scores"]["specificity"],
            "score": moved["scores"]["challenge_score"],
            "interval": moved["intervals"]["challenge_score"],
            "without_shift": [plain[name] for name in ("sensitivity", "specificity", "challenge_score")],
            "confusion": moved["confusion"],
        }
    return figures


def _frames(recordings: Sequence[RecordingOutput], labels: Sequence[str]) -> dict[str, Any]:
    """Average precision over frames: of presence, and of each class, which is presence times its share."""
    scores, targets, subjects = [], [], []
    for own in recordings:
        presence = sigmoid(own.presence[0])
        scores.append(np.column_stack([presence, presence[:, None] * calibrated(own.classes.T, 1.0)]))
        middle_s = (np.arange(len(presence)) + 0.5) * own.frame_s
        target = np.zeros((len(presence), 1 + len(labels)), bool)
        for (start_s, end_s), label in zip(own.spans, own.labels, strict=True):
            inside = (middle_s >= start_s) & (middle_s < end_s)
            target[inside, 0] = target[inside, 1 + label] = True
        targets.append(target)
        subjects += [own.subject] * len(presence)
    columns = ("any event", *labels)
    return dict(
        frame_average_precision(np.concatenate(scores), np.concatenate(targets), columns, subjects, draws=200)
    )


def _refusals(strangers: Mapping[str, Any], recipe: Recipe) -> dict[str, Any]:
    """Share of each data set of lungs that is refused, where the first split holds it."""
    refused = next(iter(strangers["splits"].values()))["refusals"]
    figures: dict[str, Any] = {}
    for name, own in refused.items():
        if own["lung"]:
            figures |= {name: own["value"], "of" if name == recipe.dataset else f"of {name}": own["sounds"]}
    return figures


def _rates(detections: Sequence[Detection]) -> dict[str, Any]:
    """How often breaths begin by the decoded events, against the annotated ones."""
    errors: dict[str, list[float]] = {"good": [], "doubtful": []}
    known = 0
    for own in detections:
        truth, rate = (
            rate_of_onsets(breath_onsets((start_s, label) for start_s, _, label in sorted(events)))
            for events in (own.reference, own.estimated)
        )
        if truth.per_min is None or truth.quality != "good":
            continue
        known += 1
        if rate.per_min is not None:
            errors[rate.quality].append(abs(rate.per_min - truth.per_min))
    figures: dict[str, Any] = {"recordings": known}
    for quality, values in errors.items():
        figures[quality] = {
            "recordings": len(values),
            "median_error_per_min": float(np.median(values)) if values else None,
            "mean_error_per_min": float(np.mean(values)) if values else None,
            "within_3_per_min": float(np.mean(np.array(values) <= 3)) if values else None,
        }
    return figures


# --- tables -------------------------------------------------------------------------------------------------


def render(figures: Mapping[str, Any]) -> str:
    """The figures as Markdown; where no events are annotated, those of strangers alone."""
    if "detection" not in figures:
        return tables(figures["strangers"]) + "\n"
    scores, intervals = figures["detection"]["scores"], figures["detection"]["intervals"]
    lines = ["| score | value | 95 % over patients | by seed |", "|---|---|---|---|"]

    def line(title: str, value: float | None, bounds: Sequence[float] | None, name: str) -> None:
        spread = ", ".join(map(_number, figures["by_seed"].get(name, [])))
        lines.append(f"| {title} | {_number(value)} | {interval(bounds, missing='-')} | {spread} |")

    for title, key in EVENT_TITLES.items():
        line(title, scores[key], intervals[key], title)
    for task, own in figures.get("tasks", {}).items():
        name = f"task {task} Score"
        title = f"{name} (SE {_number(own['sensitivity'])}, SP {_number(own['specificity'])})"
        line(title, own["score"], own["interval"], name)
    for items, key in (("events", "event_calibration"), ("recordings", "record_calibration")):
        if key not in figures:
            continue
        own = figures[key]
        before, risk = f"(before {_number(own['brier_before'])})", _number(own["risk"])
        name = f"ECE of {items}"
        line(f"{name} (before {_number(own['ece_before'])})", own["ece"], own["ece_interval"], name)
        lines += [
            f"| Brier score of {items} {before} | {_number(own['brier'])} | | |",
            f"| errors of {items}: all, and the {COVERAGE:.0%} it is surest of | {risk}, "
            f"{_number(own['risk_at_80'])} | | |",
        ]
    lines += [
        "",
        "| class | annotated | found | F | 95 % | frame-wise average precision |",
        "|---|---|---|---|---|---|",
    ]
    precisions = {name: _number(own["average_precision"]) for name, own in figures["frames"].items()}
    for name, own in figures["detection"]["classes"].items():
        between = interval(own["intervals"]["f1"], missing="-")
        counts = f"{own['reference']} | {own['estimated']}"
        lines.append(f"| {name} | {counts} | {_number(own['f1'])} | {between} | {precisions[name]} |")
    lines += [f"| any event | | | | | {precisions['any event']} |", "", tables(figures["strangers"]), ""]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return number(value, missing="-")
