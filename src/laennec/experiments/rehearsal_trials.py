"""The table of the rehearsal: what each trial's recipe of recordings does for strangers."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from laennec.score.markdown import Load, table
from laennec.score.text import number, of_patients, with_interval

LEFT_OUT = "leave-one-out"
SCORES = {
    "sick against well: AUC": ("recordings", "auc", "sick"),
    "wheeze: AUC": ("recordings", "auc", "wheeze"),
    "crackle: AUC": ("recordings", "auc", "crackle"),
    "three classes (task 21): Score": ("recordings", "tasks", "21", "challenge_score"),
    "five classes (task 22): Score": ("recordings", "tasks", "22", "challenge_score"),
    "certain answers": ("recordings", "certain", "certain"),
    "wrong among the certain": ("recordings", "certain", "wrong"),
    "sick called Normal with certainty": ("recordings", "certain", "missed"),
    "events: F, any class": ("events", "agnostic_f1"),
    "events: F, with class": ("events", "f1"),
    "events: F, EzhouNet's rule": ("events", "ezhounet_f1"),
    "events: error rate": ("events", "error_rate"),
    "at given boundaries, two classes (task 11): Score": ("events", "tasks", "11", "challenge_score"),
    "at given boundaries, seven classes (task 12): Score": ("events", "tasks", "12", "challenge_score"),
    "event there and class right: calibration error": ("events", "hits", "ece"),
}


def _at(figures: Any, *path: str) -> dict[str, Any] | None:
    for name in path:
        figures = (figures or {}).get(name)
    return figures if isinstance(figures, dict) else None


def trials_table(load: Load, name: str = "rehearsal") -> str:
    """A column a trial: scores of each data set that was measured, and what of each sound was refused."""
    trials = load(name)["trials"]
    every = [own["figures"] for own in trials.values()]
    rows = []
    for dataset in dict.fromkeys(key for own in every for key in own["recordings"]):
        size = next(own["recordings"][dataset] for own in every if dataset in own["recordings"])
        rows.append(
            [
                f"**{dataset}**, {size['recordings']} recordings of {of_patients(size['patients'])}",
                *[""] * len(every),
            ]
        )
        rows += _score_rows([(own, dataset) for own in every])
    rows.append(["**refused**", *[""] * len(every)])
    for sound in dict.fromkeys(key for own in every for key in own["refusals"]):
        found = [_at(own, "refusals", sound) for own in every]
        count = next(own["sounds"] for own in found if own)
        rows.append([f"{sound}, {count} recordings", *(_cell(own) for own in found)])
    return table(["", *trials], rows)


def _score_rows(columns: Sequence[tuple[Any, str]]) -> list[list[str]]:
    """A row a score that any column has, of figures and a data set in them; the AUC without sound besides."""
    rows = []
    for title, (part, *path) in SCORES.items():
        cells = [_at(figures, part, dataset, *path) for figures, dataset in columns]
        if any(cells):
            rows.append([title, *map(_cell, cells)])
            if path == ["auc", "sick"]:
                told = [_at(figures, part, dataset, "baselines") for figures, dataset in columns]
                if names := next((", ".join(own) for own in told if own), ""):
                    rows.append([f"the same without sound, by {names}", *map(_unheard, told)])
    return rows


def _unheard(baselines: dict[str, Any] | None) -> str:
    """AUC by each thing that is known without listening; nothing for one that is the same of all."""
    values = [own["value"] for own in (baselines or {}).values()]
    return ", ".join("–" if value == 0.5 else number(value) for value in values)


def _cell(own: dict[str, Any] | None) -> str:
    if own is None or own.get("value") is None:
        return ""
    return with_interval(own["value"], own["interval"])


def strangers_table(load: Load) -> str:
    """A column a data set that a split holds out, or patients of: what the model that ships does there."""
    columns = {
        (split, dataset): figures
        for split, figures in load("recording-strangers")["splits"].items()
        for dataset, own in figures["recordings"].items()
        if own["patients"] > 1 and (dataset in split or LEFT_OUT not in split)
    }
    sizes = [figures["recordings"][dataset] for (_, dataset), figures in columns.items()]
    rows = [["recordings, patients", *(f"{own['recordings']}, {own['patients']}" for own in sizes)]]
    rows += _score_rows([(figures, dataset) for (_, dataset), figures in columns.items()])
    rows.append(["refused", *(_cell(figures["refusals"][name]) for (_, name), figures in columns.items())])
    return table(["", *(_whom(*column) for column in columns)], rows)


def _whom(split: str, dataset: str) -> str:
    """Whom a column is of: later patients of the first data set, others of the others."""
    if LEFT_OUT in split:
        return f"{dataset}, left out"
    return f"{dataset}, {split.split(', ')[-1] if dataset == 'sprsound' else 'other patients'}"


def others_table(load: Load) -> str:
    """What is refused of each sound that is no lung, split by split."""
    splits = load("recording-strangers")["splits"]
    sounds = dict.fromkeys(
        name for own in splits.values() for name, told in own["refusals"].items() if not told["lung"]
    )
    rows = [[name, *(_refused(own["refusals"].get(name)) for own in splits.values())] for name in sounds]
    return table(["refused", *splits], rows)


def _refused(own: dict[str, Any] | None) -> str:
    return "" if own is None else f"{own['refused']} of {own['sounds']}"


def screens_table(load: Load) -> str:
    """A row a screened trial: what it ranks on a data set left out, and what it does on the others."""
    rows = []
    for own in load("rehearsal-screens")["trials"]:
        kauh, icbhi = (_screen(own, name) for name in ("kauh", "icbhi"))
        later, refused = kauh["sprsound"], kauh["refused"]
        rows.append(
            [
                own["trial"],
                *(_ranked(split.get(name)) for name, split in (("kauh", kauh), ("icbhi", icbhi))),
                later["task 21 Score"],
                later["task 12 at given boundaries"]["challenge_score"],
                *(f"{refused[sound]:.2f}" for sound in ("heart_circor", "environment")),
            ]
        )
    titles = [
        "trial",
        "KAUH: AUC by head, frames",
        "ICBHI: AUC by head, frames",
        "task 21",
        "task 12 at given boundaries",
    ]
    return table([*titles, "hearts refused", "environment refused"], rows)


def _screen(own: dict[str, Any], left_out: str) -> dict[str, Any]:
    return next((split for split in own["splits"].values() if left_out in split), {})


def _ranked(own: dict[str, Any] | None) -> str:
    return "" if own is None else ", ".join(f"{own['auc']['sick'][by]:.3f}" for by in ("head", "frames"))


TABLES: dict[str, Callable[[Load], str]] = {
    "rehearsal": trials_table,
    "rehearsal-seeds": partial(trials_table, name="rehearsal-seeds"),
    "rehearsal-trained": partial(trials_table, name="rehearsal-trained"),
    "rehearsal-screens": screens_table,
    "recording-strangers": strangers_table,
    "recording-others": others_table,
}
