"""Tables of the model for microcontrollers."""

from collections.abc import Callable

from laennec.labels import WINDOW_LABELS
from laennec.score.markdown import Load, table
from laennec.score.text import interval, number

NAMES = {"sprsound": "SPRSound", "icbhi": "ICBHI, a subset", "kauh": "KAUH"}
MODELS = {
    "teacher": "the recipe `recording`, on whole recordings",
    "taught": "with a teacher, mean of {} seeds",
    "alone": "without a teacher, mean of {} seeds",
    "taught seed 0": "with a teacher, seed 0",
    "alone seed 0": "without a teacher, seed 0",
}
INTEGERS = "integers"  # of the first run
FILE = "microcontroller"


def windows(load: Load) -> str:
    """AUC and sensitivity of every model, by data set and label."""
    rows, runs = [], load(FILE)["runs"]
    for name, own in load(FILE)["datasets"].items():
        for label in WINDOW_LABELS:
            for model, title in {**MODELS, INTEGERS: f"{MODELS[runs[0]]}, in integers"}.items():
                seeds = sum(run.startswith(f"{model} seed") for run in runs)
                if model not in own["models"] or seeds == 1:  # which stands in a row of its own
                    continue
                score = own["models"][model][label]
                size = f"{score['windows']}, {score['patients']}"
                size += f" ({score['positive']}, {score['positive_patients']})"
                rows.append(
                    [
                        NAMES[name],
                        label,
                        size,
                        title.format(seeds),
                        _with(score["auc"], score["auc_interval"]),
                        _with(score["sensitivity"], score["sensitivity_interval"]),
                    ]
                )
    header = ["windows of", "heard", "windows, patients (with it)", "model", "AUC", "sensitivity"]
    return table(header, rows)


def differences(load: Load) -> str:
    """What one model has more than another, on the same windows."""
    rows = []
    for name, own in load(FILE)["datasets"].items():
        for pair in own["differences"]:
            if pair["of"] == INTEGERS and pair["over"] != load(FILE)["runs"][0]:
                continue
            for label in WINDOW_LABELS:
                found = pair["labels"][label]
                cells = [
                    f"{number(found[key]['value'], sign='+')} ({interval(found[key]['interval'], sign='+')})"
                    for key in ("auc", "sensitivity")
                ]
                rows.append([NAMES[name], label, f"{pair['of']} over {pair['over']}", *cells])
    return table(["windows of", "heard", "difference", "AUC", "sensitivity"], rows)


def choice(load: Load) -> str:
    """Trials on earlier patients."""
    rows = []
    for trial in load(FILE)["choice"]:
        areas = [trial["auc"][name][label] for name in NAMES for label in WINDOW_LABELS]
        settings = " ".join(f"`{setting}`" for setting in trial["settings"]) or "the recipe"
        rows.append([trial["name"], settings, *areas, trial["mean_auc"]])
    header = ["trial", "settings"] + [
        f"{name}, {label}" for name in NAMES.values() for label in WINDOW_LABELS
    ]
    return table([*header, "mean AUC"], rows)


def device(load: Load) -> str:
    """What the program needs."""
    own = load(FILE)["device"]
    rows: list[list[str | float | None]] = [
        ["weights, biases, multipliers", f"{own['weight_bytes']:,} bytes"],
        ["products of 8 bits a window", f"{own['products']:,}"],
        [
            "Fourier transforms",
            f"{own['frames']} of {own['n_fft']} points a window, {own['frames_a_second']:g} a second",
        ],
    ]
    for compiler, size in own["compiled"].items():
        named = f"{compiler} {size['version']} `{size['flags']}`"
        rows.append(
            [f"compiled by {named}", f"{size['flash']:,} bytes of flash, {size['memory']:,} of memory"]
        )
    if "emulated" in own:
        for title, count in own["emulated"].items():
            rows.append([title, f"{count:,} instructions"])
    return table(["what", "how much"], rows)


def _with(value: float | None, bounds: list[float] | None) -> str:
    return f"{number(value)} ({interval(bounds)})" if bounds else number(value)


TABLES: dict[str, Callable[[Load], str]] = {
    "microcontroller-windows": windows,
    "microcontroller-differences": differences,
    "microcontroller-choice": choice,
    "microcontroller-device": device,
}
