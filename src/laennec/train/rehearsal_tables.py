"""Tables of how a model does on strangers, from the figures as JSON has them (`laennec.train.rehearsal`)."""

from collections.abc import Iterator, Mapping
from typing import Any

from laennec.score.markdown import numbers, table
from laennec.score.text import number, with_interval
from laennec.train.recording_certainty import CERTAIN

TASK_SCORES = ("sensitivity", "specificity", "challenge_score")
EVENT_SCORES = ("agnostic_f1", "f1", "ezhounet_f1", "error_rate")


def recordings_table(strangers: Mapping[str, Any]) -> str:
    """Answers to recordings of each data set, devices and age groups below it."""
    rows: list[list[str]] = []
    for split, name, own in _each(strangers, "recordings"):
        parts = {f"**{name}**": own, **own["devices"], **own["ages"]}
        for title, each in parts.items():
            best = max((one["value"] or 0.0 for one in each["baselines"].values()), default=None)
            score = each["tasks"].get("21", {})
            size = f"{each['recordings']}, {each['sick']} of {each['sick'] + each['well']}"
            scores = numbers(score[key]["value"] for key in TASK_SCORES) if score else "–"
            certain = [_cell(each["certain"].get(key)) for key in CERTAIN]
            rows.append([split, title, size, _cell(each["auc"].get("sick")), number(best), scores, *certain])
    titles = [
        "split",
        "data set",
        "recordings, sick",
        "AUC",
        "best baseline",
        "Se, Sp, Score",
        *CERTAIN.values(),
    ]
    return table(titles, rows)


def refusals_table(strangers: Mapping[str, Any]) -> str:
    """What is refused of lungs and of other sounds."""
    rows = [
        [split, name, f"{own['refused']} of {own['sounds']}", _cell(own)]
        for split, name, own in _each(strangers, "refusals")
    ]
    return table(["split", "sounds", "refused", "share"], rows)


def events_table(strangers: Mapping[str, Any]) -> str:
    """Found events, and events of annotated boundaries."""
    rows = []
    for split, name, own in _each(strangers, "events"):
        scores = [_cell(own[key]) for key in EVENT_SCORES]
        tasks = [_cell(own["tasks"].get("12", {}).get(key)) for key in ("specificity", "challenge_score")]
        hits = [_cell(own["hits"].get(key)) for key in ("ece_before", "ece")]
        rows.append([split, name, *scores, number(own["found_per_annotated"], 2), *tasks, *hits])
    titles = ["F, any class", "F, with class", "F, EzhouNet's rule", "error rate", "found / annotated"]
    given = ["given boundaries: Sp", "Score (task 12)", "ECE of hits, before", "calibrated"]
    return table(["split", "data set", *titles, *given], rows)


def worst_table(strangers: Mapping[str, Any]) -> str:
    """The worst of the splits of every figure, and that of every seed."""
    by_seed = strangers.get("worst_by_seed", {})
    rows = [
        [name, own["value"], own["split"], numbers(by_seed.get(name, ()))]
        for name, own in strangers["worst"].items()
    ]
    return table(["figure", "worst", "split", "by seed"], rows)


def tables(strangers: Mapping[str, Any]) -> str:
    """All of them."""
    each = (recordings_table, refusals_table, events_table, worst_table)
    return "\n\n".join(make(strangers) for make in each)


def _each(strangers: Mapping[str, Any], part: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for split, own in strangers["splits"].items():
        for name, figures in own[part].items():
            yield split, name, figures


def _cell(score: Mapping[str, Any] | None) -> str:
    return "–" if score is None else with_interval(score["value"], score["interval"])
