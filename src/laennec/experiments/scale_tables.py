"""Tables of scoring by the million: kills, and what a second process brings."""

from collections.abc import Callable

from laennec.score.markdown import Load, table


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


TABLES: dict[str, Callable[[Load], str]] = {"score-kills": kills, "cores": cores}
