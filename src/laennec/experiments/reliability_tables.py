"""Tables of what was done to break Laennec."""

from collections.abc import Callable

from laennec.score.markdown import Load, table


def fuzz(load: Load) -> str:
    """Inputs of every target of ``make fuzz``, and the kept ones that were faults once."""
    run = load("fuzz")
    cells = []
    for name, counts in sorted(run["targets"].items()):
        accepted = f"{100 * counts['accepted'] / max(counts['inputs'], 1):.0f} %"
        left = len(counts["faults"])
        cells.append([name, f"{counts['inputs']:,}", accepted, counts["kept"], counts["kept"] - left])
    kept = sum(counts["kept"] for counts in run["targets"].values())
    left = sum(len(counts["faults"]) for counts in run["targets"].values())
    cells.append(["**all**", f"**{run['inputs']:,}**", "", f"**{kept}**", f"**{kept - left}**"])
    return table(["target", "inputs", "accepted", "kept", "fixed"], cells)


def kills(load: Load) -> str:
    """Kills of every command, and after how many of them resuming gave the same results."""
    rows = load("kills")["rows"]
    cells = []
    for row in rows:
        points = ", ".join(f"{count} {name}" for name, count in row["points"].items())
        cells.append(
            [
                row["command"],
                row["kills"],
                points,
                row["resumed_equal"],
                len(row["lost"]),
                len(row["tracebacks"]),
            ]
        )
    kills, equal = (sum(row[name] for row in rows) for name in ("kills", "resumed_equal"))
    lost, shown = (sum(len(row[name]) for row in rows) for name in ("lost", "tracebacks"))
    cells.append(["**all**", f"**{kills}**", "", f"**{equal}**", f"**{lost}**", f"**{shown}**"])
    return table(["command", "kills", "points", "resumed equal", "lost", "tracebacks"], cells)


TABLES: dict[str, Callable[[Load], str]] = {"fuzz": fuzz, "kills": kills}
