"""Tables of training: the parts of a step, an earlier release, compiled passes, and what a training costs."""

from collections.abc import Callable
from statistics import median
from typing import Any

from laennec.experiments.measured import cores, measured
from laennec.score.markdown import Load, table
from laennec.score.text import number, with_interval

TASKS = {"task_11": "task 11: Score", "task_12": "task 12: Score"}
NAMES = {"32-true": "float32", "bf16-mixed": "bfloat16"}


def _where(found: dict[str, Any]) -> str:
    return measured(found, "torch", details=[cores(found), f"load {found['load']}"])


def parts(load: Load) -> str:
    """The parts of a step."""
    found = load("training-release")["parts"]
    rows = []
    for own in found["rows"]:
        taken = own["processor_ms"]
        whole = sum(taken.values())
        shares = [f"{100 * part / whole:.0f} %" for part in taken.values()]
        rows.append([own["recipe"], NAMES[own["precision"]], number(whole, 0), *shares])
    header = [
        "recipe",
        "precision",
        "ms a step",
        "waveform, variation, image",
        "forward, loss",
        "backward",
        "optimiser",
    ]
    return f"{_where(found)}\n\n{table(header, rows)}"


def release(load: Load) -> str:
    """Steps and the command of release 0.1.0 and of now."""
    found = load("training-release")["release"]
    rows: list[list[Any]] = []
    for precision, sides in found["steps_processor_ms"].items():
        before, now = sides["release"], sides["present"]
        ratio = median(a / b for a, b in zip(before, now, strict=True))
        what = f"a step, {NAMES[precision]}, ms of processor time"
        rows.append([what, number(median(before), 0), number(median(now), 0), f"{ratio:.2f}", len(now)])
    commands = found.get("commands", {})
    for what, clock in (("processor_s", "processor time"), ("s", "by the clock")) if commands else ():
        before, now = ([own[what] for own in commands[side]] for side in ("release", "present"))
        ratio = median(a / b for a, b in zip(before, now, strict=True))
        named = f"the command, {commands['what']}, {commands['cores']} cores, s {clock}"
        rows.append([named, number(median(before), 0), number(median(now), 0), f"{ratio:.2f}", len(now)])
    header = ["", f"release {found['release']}", "now", "ratio", "rounds"]
    return f"{_where(found)}\n\n{table(header, rows)}"


def compiled(load: Load) -> str:
    """Passes that PyTorch has compiled."""
    found = load("training-release")["compiled"]
    rows = []
    for own in found["rows"]:
        taken = own["processor_ms"]
        ratio = taken["plain"] / taken["compiled"]
        cells = [number(taken[way], 0) for way in ("plain", "compiled")]
        rows.append([own["recipe"], NAMES[own["precision"]], *cells, f"{ratio:.2f}", taken["compiling_s"]])
    header = ["recipe", "precision", "both passes, ms", "compiled", "ratio", "s of processor time to compile"]
    return f"{_where(found)}\n\n{table(header, rows)}"


def third(load: Load) -> str:
    """What a third of the steps costs in accuracy."""
    rows = [
        [own["training"], *(with_interval(own[task]["value"], own[task]["interval"]) for task in TASKS)]
        + [", ".join(map(str, own["seeds"])), f"`{own['command']}`"]
        for own in load("training-release")["third"]["rows"]
    ]
    return table(["training", *TASKS.values(), "seeds", "command"], rows)


def cost(load: Load) -> str:
    """What trainings cost: on a processor by the core, on a graphics card by the hour."""
    found = load("training-release")["cost"]
    rows: list[list[Any]] = []
    for own in found["rows"]:
        hours = own["folds"] * own["epochs"] * own["steps_an_epoch"] * own["processor_ms_a_step"] / 3.6e6
        steps = (
            f"{own['epochs']} epochs of {own['steps_an_epoch']} steps of {own['processor_ms_a_step']:.0f} ms"
        )
        each = f"{number(hours, 1)} core hours"
        rows.append([own["what"], steps, each, f"{hours * found['core_hour_usd']:.2f}"])
    card = load("card")
    for own in card["rows"]:
        if own["what"] in found["on_a_card"]:
            steps = f"{number(own['epochs'], 0)} epochs of {number(own['steps_an_epoch'], 0)} steps of "
            steps += f"{own['ms_a_step']:.0f} ms"
            hours = own["seconds"] / 3600
            what = f"{own['what']}, one training"
            each = f"{own['seconds'] / 60:.1f} min of an H200"
            rows.append([what, steps, each, f"{hours * found['card_hour_usd']:.2f}"])
    prices = (
        f"Assumed prices: {found['core_hour_usd']:g} $ a core hour, {found['card_hour_usd']:g} $ a card hour."
        f" Steps on a processor: {found['source']}; on the card: `{card['command']}`."
    )
    return f"{prices}\n\n{table(['training', 'measured', 'takes', '$'], rows)}"


TABLES: dict[str, Callable[[Load], str]] = {
    "training-parts": parts,
    "training-release": release,
    "training-compiled": compiled,
    "training-third": third,
    "training-cost": cost,
}
