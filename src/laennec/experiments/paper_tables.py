"""Tables of the reproduced papers."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from laennec.score.markdown import Load, change, table
from laennec.score.text import interval, listed, number, with_interval

CHEN = ("se", "sp", "as", "hs", "ts")
COMMANDS = {
    "patient": "`laennec reproduce chen2022 --data SPRSound`",
    "random": "`laennec reproduce chen2022 --data SPRSound --split random --seeds 0`",
}
ADULTS, FIRST = "nguyen2022-adults", "Scratch_Cyc_SamplePad"
ALL_SIX = ("2kHz", "Hop16", "StrongSource", "OneCycle", "Masks", "Weighted")


def chen_readme(load: Load) -> str:
    """TS of the four models, and of the full one on a random split of events."""
    found = [row for row in load("chen2022-tables")["rows"] if row["side"] == "validation"]
    literal = {(row["model"], row["split"]): row for row in found if row.get("reading") == "literal"}
    rows = [row for row in found if row.get("reading", "ours") == "ours"]
    cells = []
    for row in [*(r for r in rows if r["split"] == "patient"), *(r for r in rows if r["split"] == "random")]:
        disjoint = row["split"] == "patient"
        if disjoint or row["recipe"] == "chen2022":
            ours = with_interval(row["ours"]["ts"], row["ts_interval_95"], bold=disjoint, bounds_digits=2)
            other = literal.get((row["model"], row["split"]))
            read = (
                with_interval(other["ours"]["ts"], other["ts_interval_95"], bounds_digits=2) if other else ""
            )
            where = "yes" if disjoint else "no, a random split of events"
            seeds, command = listed(row["seeds"]), COMMANDS[row["split"]]
            cells.append([row["model"], row["paper"]["ts"], ours, read, where, seeds, command])
    header = ["model", "TS, paper", "TS, ours (95 % over patients)", "TS, the paper read literally"]
    return table([*header, "patients disjoint", "seeds", "command"], cells)


def chen(split: str, load: Load) -> str:
    """Table 2 of Chen & Zhang, the paper's rows and ours."""
    cells = []
    for row in load("chen2022-tables")["rows"]:
        if (row["side"], row["split"]) == ("validation", split):
            paper, ours = ([number(row[whose][key], 4) for key in CHEN] for whose in ("paper", "ours"))
            bounds = interval(row["ts_interval_95"], link="–")
            minutes = f"{row['seconds_per_run'] / 60:.1f}"
            last = number(row["ts_of_last_epoch"], 4)
            reading = row.get("reading", "ours")
            if reading == "ours":
                cells.append([row["model"], "paper", *paper, *[""] * 5])
            cells.append(["", reading, *ours, bounds, last, listed(row["seeds"]), row["epochs"], minutes])
    header = ["model", "", "Se", "Sp", "AS", "HS", "TS", "95 % interval of TS", "TS, last epoch"]
    return table([*header, "seeds", "epochs", "min a run"], cells)


def chen_test(load: Load) -> str:
    """Table 3 of Chen & Zhang: the published test set."""
    cells = []
    for row in load("chen2022-test")["rows"]:
        paper, ours = row["paper"], row["ours"]
        ts = with_interval(ours["ts"], row["ts_interval_95"], bold=True)
        cells.append(
            [
                row["model"],
                *(number(paper[key], 4) for key in ("se", "sp", "ts")),
                *(number(ours[key], 3) for key in ("se", "sp")),
                *(ts, number(row["ts_unseen"], 3)),
            ]
        )
    header = ["model", "Se, paper", "Sp", "TS", "Se, ours", "Sp", "TS (95 % over patients)"]
    return table([*header, "TS, unseen patients"], cells)


def nguyen(file: str, choose: Callable[[Sequence[Any]], Sequence[Any]], paper: bool, load: Load) -> str:
    """Some rows of Table II of Nguyen & Pernkopf, with the paper's F where `paper`."""
    cells = []
    for row in choose(load(file)["rows"]):
        less = _points(row, "difference")
        cells.append(
            [
                spelled(row["row"]),
                *([row["paper"]["f"]] if paper else []),
                *(row["se"], row["p"]),
                with_interval(row["f"], row["f_interval_95"], bold=True, bounds_digits=2),
                *(row["roc_auc"], less, row["runs"]),
            ]
        )
    header = ["Se", "P+", "F (95 % over patients)", "AUC", "F less the first row's, points (95 %)", "runs"]
    return table(["system", *(["F, paper"] if paper else []), *header], cells)


def _points(row: Any, what: str) -> str:
    """Return a difference of F in points, with its interval; nothing where there is none."""
    bounds = row.get(f"{what}_interval_95")
    return change(100 * row[what], bounds and [100 * bound for bound in bounds], 1) if what in row else ""


def nguyen_subset(load: Load) -> str:
    """Rows of Table II as far as they are trained; below them our settings, and what needs no network."""
    result = load("nguyen2022-subset")
    references = {"difference_from_all": "every cycle called a crackle", "difference": FIRST}
    cells = []
    for row in [*result["rows"], *result["ours"], *result["baselines"]]:
        trained = row.get("settings", {})
        cells.append(
            [
                row.get("about") or spelled(row["row"]),
                number(row["paper"]["f"], 3) if row["paper"] else "",
                *(row["se"], row["p"]),
                with_interval(row["f"], row["f_interval_95"], bold=True),
                with_interval(row["roc_auc"], row["roc_auc_interval_95"]),
                *(_points(row, what) for what in references),
                f"{row['runs']} of 5" if trained else "",
                f"{100 * trained['late_best_share']:.0f} %" if trained else "",
            ]
        )
    header = ["system", "F, paper", "Se", "P+", "F (95 % over patients)", "AUC (95 %)"]
    header += [f"F less {name}, points (95 %)" for name in references.values()]
    return table([*header, "runs", "best epoch beyond 90"], cells)


def nguyen_differences(load: Load) -> str:
    """The differences of F that the paper reports, as far as their rows are trained."""
    result = load("nguyen2022-subset")
    runs = {row["row"]: row["runs"] for row in result["rows"]}
    cells = []
    for own in result["differences"]:
        ours = change(100 * own["ours"], [100 * bound for bound in own["interval_95"]], 1)
        several = f"{runs[own['row']]}, {runs[own['less']]}"
        cells.append([own["row"], own["less"], f"{100 * own['paper']:+.2f}", ours, several])
    return table(["system", "less", "paper, points of F", "here (95 %, paired over patients)", "runs"], cells)


def nguyen_control(load: Load) -> str:
    """The method on a target that is easy."""
    rows = load("nguyen2022-control")["rows"]
    scores = (("f", "f_interval_95"), ("roc_auc", "roc_auc_interval_95"))
    cells = [[row["row"], *(with_interval(row[own], row[bounds]) for own, bounds in scores)] for row in rows]
    return table(["system", "F (95 % over subjects)", "AUC"], cells)


def spelled(row: str) -> str:
    """Return a row's name with the six options of `laennec transfer` in one word."""
    name, *options = row.split("+")
    if {"2kHz", "Hop16"} <= set(options):
        options = ["*all six*", *(option for option in options if option not in ALL_SIX)]
    return " + ".join([name, *options])


def _printed(rows: Sequence[Any]) -> list[Any]:
    return [row for row in rows if row["paper"]]


def _ratios(rows: Sequence[Any]) -> list[Any]:
    order = ("13", "25", "37", "49", "12")
    return _named(rows, [FIRST, *(f"2ndConv_Cyc_Ins_Ratio_{ratio}_SamplePad" for ratio in order)])


def _layers(rows: Sequence[Any]) -> list[Any]:
    layers = [f"{n}{kind}" for n in ("2nd", "3rd", "4th") for kind in ("BN", "Conv")]
    return _named(rows, [FIRST, *(f"{layer}_Cyc_Ins_Ratio_12_SamplePad" for layer in layers)])


def _options(rows: Sequence[Any]) -> list[Any]:
    return [*_named(rows, [FIRST]), *sorted((r for r in rows if "+" in r["row"]), key=lambda r: r["f"])]


def _named(rows: Sequence[Any], names: Sequence[str]) -> list[Any]:
    by_name = {row["row"]: row for row in rows}
    return [by_name[name] for name in names]


TABLES: dict[str, Callable[[Load], str]] = {
    "chen2022-readme": chen_readme,
    "chen2022-patient": partial(chen, "patient"),
    "chen2022-random": partial(chen, "random"),
    "chen2022-test": chen_test,
    "nguyen2022-subset": nguyen_subset,
    "nguyen2022-differences": nguyen_differences,
    "nguyen2022-control": nguyen_control,
    "nguyen2022-adults": partial(nguyen, ADULTS, _printed, True),
    "nguyen2022-ratios": partial(nguyen, ADULTS, _ratios, False),
    "nguyen2022-layers": partial(nguyen, ADULTS, _layers, False),
    "nguyen2022-options": partial(nguyen, ADULTS, _options, False),
    "nguyen2022-children": partial(nguyen, "nguyen2022-children", list, False),
    "nguyen2022-simulated": partial(nguyen, "nguyen2022-simulated", list, True),
}
