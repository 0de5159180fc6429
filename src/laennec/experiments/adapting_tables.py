"""Tables of adapted heads."""

from collections.abc import Callable
from typing import Any

import numpy as np

from laennec.score.markdown import Load, table
from laennec.score.text import number, with_interval
from laennec.train.head_report import FOUND
from laennec.train.local_report import TITLES as OF_RECORDINGS

OF_CURVE = ("given", "accuracy", "macro_f1", "sensitivity", "specificity", "adventitious")
TITLES = {"icbhi": "ICBHI", "sprsound": "SPRSound", "kauh": "KAUH"}


def figures(load: Load) -> str:
    """Before and after, out of fold, of each data set."""
    told = load("adapt")
    rows = [
        [
            TITLES.get(name, name),
            told["titles"][figure],
            *(
                with_interval(each[when]["value"], each[when]["interval"])
                for when in ("before", "after", "change")
            ),
        ]
        for name, own in told["sets"].items()
        for figure, each in own["events_before_after"].items()
    ]
    return table(["data set", "figure", "before", "after", "change"], rows)


def whole(load: Load) -> str:
    """The same of whole recordings and found events."""
    told = load("adapt")
    rows = [
        [
            TITLES.get(name, name),
            f"{what}: {titles[figure]}",
            *(with_interval(each[when]["value"], each[when]["interval"]) for when in ("before", "after")),
        ]
        for name, own in told["sets"].items()
        for what, part, titles in (
            ("found events", "found_before_after", FOUND),
            ("recordings", "recordings_before_after", OF_RECORDINGS),
        )
        for figure, each in own[part].items()
    ]
    return table(["data set", "figure", "before", "after"], rows)


def curve(load: Load) -> str:
    """Means over the draws, with the lowest and highest, by the number of patients learnt from."""
    told = load("adapt")
    rows: list[list[Any]] = []
    for name, own in told["sets"].items():
        for row in own["curve"]:
            drawn = row["draws"]
            events = round(float(np.mean([each["events"] for each in drawn])))
            cells: list[Any] = [TITLES.get(name, name), row["patients"], events]
            for figure in OF_CURVE:
                before = float(np.mean([each[figure]["before"] for each in drawn]))
                after = [each[figure]["after"] for each in drawn]
                cells.append(f"{number(before)} → {number(float(np.mean(after)))}")
            worse = sum(each["given"]["after"] < each["given"]["before"] for each in drawn)
            rows.append([*cells, f"{worse} of {len(drawn)}"])
    titles = [told["titles"][figure] for figure in OF_CURVE]
    return table(["data set", "patients", "events", *titles, "draws that it made worse"], rows)


TABLES: dict[str, Callable[[Load], str]] = {
    "adapt": figures,
    "adapt-whole": whole,
    "adapt-curve": curve,
}
