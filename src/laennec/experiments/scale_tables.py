"""Tables of scoring by the million: rate, memory, cost, kills, and what a second process brings."""

from collections.abc import Callable
from typing import Any

from laennec.score.markdown import Load, table

PRICE_PER_CORE_HOUR = 0.04  # US dollars, an assumption: about what a shared virtual core is let for


def _cost(row: dict[str, Any]) -> float:
    """Dollars a million recordings, by the processor time of those that were scored."""
    return float(row["processor_s"] / row["recordings"] * 1e6 / 3600 * PRICE_PER_CORE_HOUR)


def score(load: Load) -> str:
    """Return the rate, memory and cost of `laennec score` at each count."""
    header = [
        "recordings of 3 s",
        "rows, failed",
        "kill -9 of all processes",
        "wall",
        "processor time a recording",
        "memory of all processes: first third, last third",
        "cost of a million",
    ]
    cells = []
    for row in load("score")["rows"]:
        runs = row["runs"]
        first, last = (
            max(each[f"peak_of_{third}_third_mib"] for each in runs) for third in ("first", "last")
        )
        timed = row["processor_s"] is not None
        cells.append(
            [
                f"{row['recordings']:,}",
                f"{row['rows']:,}, {row['failed']:,}",
                f"{row['kills']} times, resumed" if row["kills"] else "–",
                f"{row['seconds']:,.0f} s",
                f"{1000 * row['processor_s'] / row['recordings']:.1f} ms" if timed else "–",
                f"{first}, {last} MiB",
                f"${_cost(row):.2f}" if timed else "–",
            ]
        )
    return table(header, cells)


def million(load: Load) -> str:
    """Return processor time and memory of listing and merging."""
    named = {"list": "listing a table of paths", "merge": "merging the parts"}
    cells = [
        [named[each["step"]], f"{each['rows']:,}", f"{each['processor_s']:.1f} s", f"{each['peak_mib']} MiB"]
        for each in load("million")["rows"]
    ]
    return table(["step", "rows", "processor time", "largest memory of the process"], cells)


def kills(load: Load) -> str:
    """Return what became of `laennec score` whose processes were killed."""
    found = load("score-kills")
    killed = found["killed"]
    equal = "byte for byte" if found["tables_equal_byte_for_byte"] else "not equal"
    header = ["recordings", "workers killed", "whole groups killed", "rows, failed", "tables as undisturbed"]
    return table(
        header,
        [
            [
                f"{found['recordings']:,}",
                str(killed["worker"]),
                str(killed["group"]),
                f"{found['rows']:,}, {found['failed']:,}",
                equal,
            ]
        ],
    )


def cores(load: Load) -> str:
    """Return how much faster two processes are than one."""
    header = ["recordings of 15 s", "one process", "two processes", "ratio", "processor time of both"]
    cells = [
        [
            f"{run['recordings']}",
            *(f"{seconds:.1f} s" for seconds in each["wall_s"]),
            f"{each['ratio']:.2f}",
            " and ".join(f"{seconds:.1f} s" for seconds in each["processor_s"]),
        ]
        for run in load("cores")["runs"]
        for each in run["rounds"]
    ]
    return table(header, cells)


TABLES: dict[str, Callable[[Load], str]] = {
    "score": score,
    "million": million,
    "score-kills": kills,
    "cores": cores,
}
