"""Tables of the network's graph: its speed, layer by layer and in other shapes, and what eight bits cost."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from laennec.experiments.measured import measured
from laennec.score.markdown import Load, change, table
from laennec.score.text import interval, number


def _measured(run: Mapping[str, Any]) -> str:
    return measured(run, "onnxruntime", details=["one thread"])


def _times(row: Mapping[str, Any]) -> str:
    low, high = row["between"]
    return f"{row['times_as_fast']:.2f} ({low:.2f} to {high:.2f})"


def speed(load: Load) -> str:
    """Processor time of 15 s of sound by each graph, alone and in a warm analysis."""
    run = load("graph-speed")
    whole = {row["name"]: row for row in run["analyze"]}
    rows = [
        [row["name"], f"{row['ms']:.1f}", _times(row), f"{whole[name]['ms']:.1f}", _times(whole[name])]
        for row in run["graph"]
        for name in [row["name"]]
    ]
    header = ["graph", "ms a run", "times as fast", "ms a whole `analyze`", "times as fast"]
    return f"{_measured(run)}\n\n{table(header, rows)}"


def layers(load: Load) -> str:
    """Share of the time of every layer, in float32 and in eight bits."""
    run = load("graph-speed")
    shares = {name: {row["layer"]: row["share"] for row in rows} for name, rows in run["layers"].items()}
    names = dict.fromkeys(layer for own in shares.values() for layer in own)
    rows = [
        [layer, *(f"{100 * own[layer]:.1f} %" if layer in own else "–" for own in shares.values())]
        for layer in names
    ]
    return f"{_measured(run)}\n\n{table(['layer', *shares], rows)}"


def variants(load: Load) -> str:
    """Speed of graphs of other shapes, with random weights."""
    run = load("graph-speed")
    rows = [[row["name"], f"{row['ms']:.1f}", _times(row)] for row in run["variants"]]
    return f"{_measured(run)}\n\n{table(['network', 'ms a run', 'times as fast'], rows)}"


# --- eight bits ---------------------------------------------------------------------------------------------


def _score(title: str, own: Mapping[str, Any]) -> list[str]:
    cells = [title]
    for name in ("float", "int8"):
        value, bounds = own[name]["value"], own[name]["interval"]
        cells.append(f"{number(value)} ({interval(bounds)})" if bounds else number(value))
    apart = own["difference"]
    return [*cells, "–" if apart["value"] is None else change(apart["value"], apart["interval"], 4)]


def int8(load: Load) -> str:
    """Scores in float32 and in eight bits on what a fold held out, with paired differences."""
    run = load("int8")
    rows: list[Sequence[str]] = []
    events = run["events"]
    for title, own in events["scores"].items():
        rows.append(_score(title, own))
    for name, records in run["records"].items():
        if records:
            rows += [_score(f"{name}, {title}", own) for title, own in records["scores"].items()]
    for kind, sounds in run["not_lung"].items():
        rows.append(_score(f"{kind}: refused of {sounds['sounds']}", sounds["scores"]["refused"]))
    header = ["score", "float32", "eight bits", "difference, 95 % over patients"]
    return f"{_measured(run)}\n\n{table(header, rows)}"


def schemes(load: Load) -> str:
    """How far each scheme lies from the model in float32, as shares of the outputs' deviation."""
    run = load("int8")
    names = {"presence": "presence", "classes": "classes", "record": "record", "kind": "kind"}
    rows = [
        [own["scheme"], *(number(own["errors"][name]) for name in names), f"{own['bytes'] / 1e6:.2f} MB"]
        for own in run["schemes"]
    ]
    return f"{_measured(run)}\n\n{table(['in eight bits', *names.values(), 'file'], rows)}"


TABLES: dict[str, Callable[[Load], str]] = {
    "graph-speed": speed,
    "graph-layers": layers,
    "graph-variants": variants,
    "int8": int8,
    "int8-schemes": schemes,
}
