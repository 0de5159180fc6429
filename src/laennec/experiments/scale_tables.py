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
        "killed and resumed",
        "wall, load of the machine",
        "processor time a recording",
        "memory of all processes: first third, last third",
        "cost of a million",
    ]
    cells = []
    for row in load("score")["rows"]:
        runs = row["runs"]
        cells.append(
            [
                f"{row['recordings']:,}",
                f"{row['rows']:,}, {row['failed']:,}",
                f"{row['kills']} times",
                f"{row['seconds'] / 60:.0f} min, {row['load_before']:.0f}",
                f"{1000 * row['processor_s'] / row['recordings']:.1f} ms",
                f"{max(each['peak_of_first_third_mib'] for each in runs)}, "
                f"{max(each['peak_of_last_third_mib'] for each in runs)} MiB",
                f"${_cost(row):.2f}",
            ]
        )
    return table(header, cells)


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
    found = load("cores")
    header = ["", "one process / two processes"]
    loads = [each["load"] for each in found["rounds"]]
    return table(
        header,
        [
            ["wall time, best round", f"{found['best_ratio']:.2f}"],
            ["wall time, median", f"{found['median_ratio']:.2f}"],
            ["processor time on idle cores, median", f"{found['median_ratio_by_processor_time']:.2f}"],
            ["load of the machine, two cores", f"{min(loads):.0f} to {max(loads):.0f}"],
        ],
    )


TABLES: dict[str, Callable[[Load], str]] = {"score": score, "score-kills": kills, "cores": cores}
