"""Tables of what was tried for strangers without another training: refusals by patterns, and certainty."""

from collections.abc import Callable, Mapping
from typing import Any

from laennec.score.markdown import Load, table
from laennec.score.text import number, with_interval
from laennec.train.sound_patterns import SHARE

TITLES = {"sprsound": "SPRSound", "icbhi": "ICBHI", "kauh": "KAUH"}
SOURCES = {
    "heart_circor": "hearts",
    "environment": "rooms",
    "speech_digits": "words",
    "heart_manikin": "manikin's hearts",
    "sprsound": "SPRSound",
    "icbhi": "ICBHI",
    "kauh": "KAUH",
    "hls-cmds": "manikin's lungs",
    "hf-lung": "HF_Lung's breaths",
}
SEEDS = ("sound-patterns", "sound-patterns-seed1", "sound-patterns-seed2")
RULES = {"lungs": "lungs alone", "both": "both errors"}


def _about(run: Mapping[str, Any]) -> str:
    return f"{run['machine']['processor']}, {run['date']}, {run['fold']}: `{run['command']}`\n"


def _by(share: float) -> str:
    return f"patterns, {share:g} of the logits" if share else "layer of the training"


def _value(figure: Mapping[str, Any]) -> str:
    return with_interval(figure["value"], figure["interval"])


def patterns(load: Load) -> str:
    """Share refused of every source, by the layer and by patterns, thresholds chosen in two ways."""
    run = load("sound-patterns")
    rows = []
    for source, title in SOURCES.items():
        sounds = run["rows"][0]["sources"][source]["sounds"]
        cells = [_value(row["sources"][source]["refused"]) for row in run["rows"]]
        rows.append([f"{title} ({sounds})", *cells])
    rows.append(["new generated sounds (200)", *(number(row["generated_refused"]) for row in run["rows"])])
    head = [f"{_by(row['share'])}; {RULES[row['threshold']]}" for row in run["rows"]]
    return f"{_about(run)}\n{table(['refused of', *head], rows)}"


def patterns_by_seed(load: Load) -> str:
    """Share refused of every source by the networks of three seeds: as it was, and as it is."""
    runs = [load(name) for name in SEEDS]
    chosen = [
        next(row for row in run["rows"] if (row["share"], row["threshold"]) == of)
        for run in runs
        for of in ((0.0, "lungs"), (SHARE, "both"))
    ]
    rows = [
        [title, *(_value(row["sources"][source]["refused"]) for row in chosen)]
        for source, title in SOURCES.items()
    ]
    head = [
        f"seed {seed}: {what}"
        for seed in range(len(runs))
        for what in ("layer; lungs alone", "patterns; both errors")
    ]
    return table(["refused of", *head], rows)


def left_out(load: Load) -> str:
    """Share refused, with a data set of lungs left out of patterns and of the choice."""
    run = load("sound-patterns")
    kept = ("heart_circor", "environment", "sprsound", "icbhi", "kauh", "hf-lung")
    rows = [
        [TITLES[row["without"]], _by(row["share"])]
        + [number(row["sources"][name]["refused"]["value"]) for name in kept]
        for row in run["left_out"]
    ]
    return table(["left out", "by", *(SOURCES[name] for name in kept)], rows)


def written(load: Load) -> str:
    """What the file that ships refuses of what it was trained on, before it had patterns and after."""
    own = load("sound-patterns")["written"]
    rows = [
        [SOURCES.get(name, f"generated, {name.removeprefix('generated ')}")]
        + [str(own[name][key]) for key in ("sounds", "before", "after")]
        for name in [*SOURCES, *sorted(set(own) - set(SOURCES))]
    ]
    return table(["trained on", "sounds", "refused before", "refused now"], rows)


def rules(load: Load) -> str:
    """Certain answers by each rule of the thresholds."""
    run = load("certainty")
    rows = [
        [row["rule"], TITLES[name]]
        + [_value(row["data"][name][key]) for key in ("certain", "wrong", "missed", "false_alarms")]
        for row in run["rules"]
        for name in TITLES
    ]
    head = ["thresholds chosen by", "", "certain", "wrong of these"]
    head += ["sick called Normal with certainty", "well called sick with certainty"]
    return f"{_about(run)}\n{table(head, rows)}"


def signals(load: Load) -> str:
    """How well each signal ranks the sick above the well."""
    run = load("certainty")
    rows = [
        [row["signal"]]
        + [f"{_value(row['data'][name]['auc'])}; {number(row['data'][name]['cleared'])}" for name in TITLES]
        for row in run["signals"]
    ]
    sizes = run["sick_and_well"]
    head = [f"{title} ({sizes[name][0]} sick, {sizes[name][1]} well)" for name, title in TITLES.items()]
    return table(["", *head], rows)


TABLES: Mapping[str, Callable[[Load], str]] = {
    "strangers-patterns": patterns,
    "strangers-patterns-seeds": patterns_by_seed,
    "strangers-patterns-left-out": left_out,
    "strangers-patterns-written": written,
    "strangers-rules": rules,
    "strangers-signals": signals,
}
