"""Tables of the model for whole recordings: cross-validation, baselines, strangers, refusals."""

from typing import Any

from laennec.score.markdown import EVENT_TITLES, Load, numbers, table
from laennec.score.text import bracketed, interval, number, of_patients, with_interval

EVENTS = {
    **EVENT_TITLES,
    "event F, by EzhouNet's rule": "ezhounet_f1",
    "error rate, by EzhouNet's rule": "ezhounet_error_rate",
}
TITLES = {"sprsound": "SPRSound", "icbhi": "ICBHI 2017", "kauh": "KAUH"}


def readme(load: Load) -> str:
    """Main scores of the first seed, and of the others."""
    own, sounds = load("detector"), load("refusals")["sounds"]
    scores, bounds, by_seed = own["detection"]["scores"], own["detection"]["intervals"], own["by_seed"]
    tasks, refused = own["tasks"].values(), own["refusals"]
    share = sum(each["refused"] for each in sounds) / sum(each["of"] for each in sounds)

    def others(*names: str) -> str:
        return "; ".join(
            numbers(of_seed) for of_seed in zip(*(by_seed[name][1:] for name in names), strict=True)
        )

    task_names, ece_names = ("task 21 Score", "task 22 Score"), ("ECE of events", "ECE of recordings")
    answers = "recordings, three and five classes, as `analyze` answers (task 21, 22 Scores)"
    events = (
        ("events, onset and offset right: F", "agnostic_f1", "event F, class-agnostic", 3),
        ("events, class right too: F", "f1", "event F, with class", 3),
        ("events, error rate", "error_rate", "error rate", 2),
    )
    rows = [
        [title, with_interval(scores[key], bounds[key], n, bold=True), numbers(by_seed[name][1:], n)]
        for title, key, name, n in events
    ]
    rows += [
        [answers, ", ".join(f"**{number(task['without_shift'][2])}**" for task in tasks), ""],
        [
            "the same, as `challenge` answers",
            ", ".join(with_interval(task["score"], task["interval"]) for task in tasks),
            others(*task_names),
        ],
        [
            "calibration error of events, recordings",
            numbers(by_seed[name][0] for name in ece_names),
            others(*ece_names),
        ],
        ["refused: generated sounds other than lungs", f"{100 * share:.1f} %", ""],
        [
            "refused: SPRSound's recordings, pieces of ICBHI 2017's",
            f"{100 * refused['sprsound']:.1f} %, {100 * refused['icbhi']:.1f} %",
            "",
        ],
    ]
    return table(["", "seed 0", "seeds 1, 2"], rows)


def folds(load: Load) -> str:
    """Every score of the cross-validation."""
    own = load("detector")
    scores, bounds, by_seed = own["detection"]["scores"], own["detection"]["intervals"], own["by_seed"]
    rows = [
        [title, scores[key], interval(bounds[key]), numbers(by_seed.get(title, []))]
        for title, key in EVENTS.items()
    ]
    for name, task in own["tasks"].items():
        se, sp, score = task["without_shift"]
        title = f"task {name} Score as `analyze` answers (SE {number(se)}, SP {number(sp)})"
        rows.append([title, score, "", ""])
    for name, task in own["tasks"].items():
        counted = f"SE {number(task['sensitivity'])}, SP {number(task['specificity'])}"
        title = f"task {name} Score as `challenge` answers ({counted})"
        rows.append(
            [title, task["score"], interval(task["interval"]), numbers(by_seed[f"task {name} Score"])]
        )
    for what, key in (("events", "event_calibration"), ("recordings", "record_calibration")):
        each = own[key]
        ece = f"ECE of {what}"
        rows += [
            [
                f"{ece} (before {number(each['ece_before'])})",
                each["ece"],
                interval(each["ece_interval"]),
                numbers(by_seed[ece]),
            ],
            [f"Brier score of {what} (before {number(each['brier_before'])})", each["brier"], "", ""],
            [f"errors of {what}: all, and the 80 % it is surest of"]
            + [numbers([each["risk"], each["risk_at_80"]]), "", ""],
        ]
    return table(["score", "value", "95 % over patients", "by seed"], rows)


def by_class(load: Load) -> str:
    """Events of each class."""
    own = load("detector")
    frames = own["frames"]
    rows = [
        [
            name,
            *(each[key] for key in ("reference", "estimated", "f1")),
            interval(each["intervals"]["f1"]),
            frames[name]["average_precision"],
        ]
        for name, each in own["detection"]["classes"].items()
    ]
    rows.append(["any event", "", "", "", "", frames["any event"]["average_precision"]])
    return table(["class", "annotated", "found", "F", "95 %", "frame-wise average precision"], rows)


def baselines(load: Load) -> str:
    """Simple ways to find events."""
    keys = ("agnostic_f1", "f1", "error_rate", "insertion_rate", "deletion_rate")
    return table(
        ["", "F, class-agnostic", "F, with class", "error rate", "insertions", "deletions"],
        [
            [row["system"]] + [with_interval(row[k]["value"], [row[k]["low"], row[k]["high"]]) for k in keys]
            for row in load("detection-baselines")["rows"]
        ],
    )


def trials(load: Load) -> str:
    """What was tried on the way to the shipped detector."""
    rows = []
    for own in load("detection-trials")["rows"]:
        figures = ", ".join(
            f"{name} {' to '.join(f'{v:g}' for v in value) if isinstance(value, list) else f'{value:g}'}"
            for name, value in own["figures"].items()
        )
        rows.append([own["what"], figures + (f" ({own['on']})" if "on" in own else ""), own["kept"]])
    return table(["what", "on one fold", "kept"], rows)


def strangers(load: Load) -> str:
    """The shipped models on recordings that were held back."""
    rows = []
    for own in load("strangers-0.1.0")["sets"]:
        size = f": {own['events']:,} events" if own["events"] else ""
        persons = f"{own['persons']} " if own["persons"] else ""
        who = f"{'; ' if size else ': '}{persons}{own['who']}"
        figures = "; ".join(_stranger(each) for each in own["figures"])
        rows.append([own["name"] + size + who, own["recordings"], figures])
    return table(["held out", "recordings", "figures"], rows)


def _stranger(figure: dict[str, Any]) -> str:
    name, value = figure["score"], figure["value"]
    if name.endswith(" refused"):
        return f"{name} {value} of {figure['n']}"
    if ", of " in name:  # a share
        return f"{name}: {100 * value:.0f} %"
    bounds = None if figure["low"] is None else [figure["low"], figure["high"]]
    return f"{name} {number(value, 3 if value < 1 else 2)}{bracketed(bounds)}"


def refusals(load: Load) -> str:
    """Generated sounds that are refused."""
    sounds = load("refusals")["sounds"]
    rows = [
        [
            own["sound"],
            f"{100 * own['refused'] / own['of']:.1f} %",
            own["of"],
            _counts(own["answers"]),
        ]
        for own in sounds
    ]
    refused, total = (sum(own[key] for own in sounds) for key in ("refused", "of"))
    rows.append(["all", f"{100 * refused / total:.1f} %", total, ""])
    return table(["sound", "refused", "of", "answered as"], rows)


def processed(load: Load) -> str:
    """Real lungs, as they are and processed: what is refused, and which answers change."""
    lungs = load("refusals").get("lungs", {})
    if not lungs:
        return "Not measured yet."
    rows: list[list[str]] = []
    for name, own in lungs.items():
        trained = "trained on" if own["in_sample"] else "not trained on"
        size = f"{own['recordings']} recordings of {of_patients(own['patients'])}, {trained}"
        rows.append([f"**{TITLES.get(name, name)}**: {size}", *[""] * 5])
        for process, row in own["processes"].items():
            shares = [_share(row[key]) for key in ("changed", "still_certain", "certain_of_another")]
            rows.append([process, _share(row["refused"]), _counts(row["heard_as"]), *shares])
    certain = ["of the certain, still certain", "of the certain, certain of another answer"]
    return table(["", "refused", "heard as", "answer changed", *certain], rows)


def not_lung(load: Load) -> str:
    """Real sounds that are no lung, by kind and device."""
    own = load("refusals")["not_lung"]
    trained = "trained on" if own["in_sample"] else "not trained on"
    rows = [
        [
            f"{row['kind']}: {row['device']}",
            _share(row["refused"]),
            row["refused"]["of"],
            row["subjects"],
            _counts(row["answers"]),
            row["certain"],
        ]
        for row in own["kinds"]
    ]
    titles = ["refused", "of", "persons, speakers or classes", "answered as", "with certainty"]
    return table([f"sounds {trained}", *titles], rows)


def _share(own: dict[str, Any]) -> str:
    if own["value"] is None:
        return "–"
    bounds = own["interval"] and [100 * bound for bound in own["interval"]]
    return f"{100 * own['value']:.0f} %{bracketed(bounds, 0)}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.items())


def invariances(load: Load) -> str:
    """How many answers change under what must not change them."""
    data = load("invariances")["data"]
    rows = []
    for name in next(iter(data.values()))["conditions"]:
        row = [f"**{name}, all**" if name in ("gain", "shift") else name]
        for own in data.values():
            one = own["conditions"][name]
            bounds = [100 * bound for bound in one["interval"]]
            row.append(
                f"{one['changed']} of {one['answers']}: {100 * one['share']:.1f} %{bracketed(bounds, 1)}"
            )
            row.append(f"{100 * one['events_kept']:.0f} %")
        rows.append(row)
    heads = [f"{TITLES[name]}: {what}" for name in data for what in ("answers changed", "events kept")]
    return table(["", *heads], rows)


def phases(load: Load) -> str:
    """Scores out of fold by the number of shifts that outputs are averaged over."""
    rows = []
    for own in load("phases")["seeds"]:
        for row in own["rows"]:
            events, tasks = row["events"], row["tasks"]
            rows.append(
                [row["phases"]]
                + [with_interval(*events[key]) for key in ("agnostic_f1", "f1")]
                + [numbers(tasks[task]["without_shift"]) for task in ("21", "22")]
                + [f"{row['rate']['recordings']} recordings, {row['rate']['median_error_per_min']:.1f}"]
            )
    titles = ["event F, class-agnostic", "event F, with class", "task 21: SE, SP, Score", "task 22", "rate"]
    return table(["shifts", *titles], rows)


TABLES = {
    "recordings-readme": readme,
    "recordings-folds": folds,
    "recordings-by-class": by_class,
    "recordings-baselines": baselines,
    "recordings-trials": trials,
    "recordings-refusals": refusals,
    "recordings-processed": processed,
    "recordings-not-lung": not_lung,
    "strangers": strangers,
    "invariances": invariances,
    "phases": phases,
}
