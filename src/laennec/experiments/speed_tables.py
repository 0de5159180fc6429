"""Tables of speed and memory: an analysis, other tools, training."""

from collections.abc import Callable
from statistics import median
from typing import Any

from laennec.score.markdown import Load, table
from laennec.score.text import number


def recordings(load: Load) -> str:
    """Time and memory of an analysis."""
    return table(["", ""], [[own["what"], _cost(own)] for own in load("speed")["recordings"]["rows"]])


def _cost(own: dict[str, Any]) -> str:
    if "times_real_time" in own:
        return f"{own['times_real_time']} times real time"
    memory = f"{', '.join(map(str, own['memory_mib']))} MiB"
    if "wall_s" in own:
        return f"{memory}; {own['of']} takes {own['wall_s']} s"
    return f"{own['cpu_s']:.2f} s of processor time, {memory}"


def ratios(load: Load) -> str:
    """Speed against alternatives."""
    rows = []
    for own in load("speed")["ratios"]:
        ratio = f"{' to '.join(map(str, own['ratio']))} times faster" if "ratio" in own else _cost(own)
        if "beside_other_work" in own:
            ratio += f"; {' to '.join(map(str, own['beside_other_work']))} beside other work"
        what, against = own["what"], own.get("against", "–")
        if "seconds" in own:
            what, against = f"{what}, {own['seconds']} s", f"{against}, {own['against_seconds']} s"
        rows.append([what, against, ratio, f"`{own['command']}`"])
    return table(["what", "against", "ratio", "command"], rows)


def training(load: Load) -> str:
    """Training steps against a plain loop, and several trainings at a time."""
    found = load("training-speed")
    about = found["machine"]
    rows = []
    for own in found["rows"]:
        rounds = own["rounds"]
        cells = []
        for side in ("plain 32-true", "laennec 32-true", "plain bf16-mixed", "laennec bf16-mixed"):
            times = [each["wall_ms"] for each in rounds.get(side, [])]
            cells.append(number(median(times), 1) if times else "–")
        pairs = list(zip(rounds["plain 32-true"], rounds["laennec 32-true"], strict=True))
        clocks = ("wall_ms", "cpu_ms")
        cells += [f"{median(plain[key] / ours[key] for plain, ours in pairs):.2f}" for key in clocks]
        rows.append([own["recipe"], own["threads"], *cells, len(pairs)])
    titles = ["plain loop, ms a step", "Laennec", "plain, bfloat16", "Laennec, bfloat16"]
    titles = ["recipe", "threads", *titles, "ratio, float32", "of processor time", "rounds"]
    text = (
        f"{about['processor']}, {about['cores']} cores, PyTorch {about['torch']}: `{found['command']}`\n\n"
        + table(titles, rows)
    )
    if "jobs" not in found:
        return text
    seconds = {way: median(own) for way, own in found["jobs"]["seconds"].items()}
    two = seconds["--jobs 2"]
    several = [[way, f"{own:.0f}", f"{two / own:.2f}"] for way, own in seconds.items()]
    what = f"{found['jobs']['what']}: `{found['jobs']['command']}`"
    return f"{text}\n\n{what}\n\n{table(['folds', 's', '`--jobs 2` takes of it'], several)}"


def card(load: Load) -> str:
    """What trainings of both papers took on a graphics card."""
    result = load("card")
    cells = []
    for row in result["rows"]:
        longest = row["longest_fold_of_a_run_s"]
        minutes = number(longest / 60, 1) if longest else ""
        numbers = (
            row["trainings"],
            row["batch_size"],
            number(row["steps_an_epoch"], 0),
            number(row["epochs"], 0),
        )
        cells.append([row["what"], *numbers, number(row["ms_a_step"], 1), number(row["seconds"], 0), minutes])
    header = ["what", "trainings", "batch", "steps an epoch", "epochs", "ms a step", "s a training"]
    about = result["machine"]
    where = f"{', '.join(about['gpus'])}, PyTorch {about['torch']}, {result['precision']}; medians:"
    return f"{where}\n\n{table([*header, 'min a run of seven folds'], cells)}"


def browser(load: Load) -> str:
    """Analyses in a browser beside Python's."""
    found = load("browser")
    rows: list[list[str | float | None]] = []
    for own in found["rows"]:
        seconds = {side: median(times) for side, times in own["processor_s"].items()}
        length = own["seconds_of_sound"]
        rates = [f"{length / seconds[side]:.0f} times real time" for side in ("browser", "python")]
        rows.append([f"{length} s", *rates, f"{own['ratio']:.1f}", len(own["processor_s"]["browser"])])
    about, versions = found["machine"], found["versions"]
    where = (
        f"{about['processor']}, Chromium {versions['chromium']}, "
        f"onnxruntime-web {versions['onnxruntime-web']}, onnxruntime {versions['onnxruntime']}, "
        f"{found['date']}: `{found['command']}`"
    )
    titles = ["sound", "Chromium", "Python", "processor time, times Python's", "rounds"]
    return f"{where}\n\n{table(titles, rows)}"


TABLES: dict[str, Callable[[Load], str]] = {
    "speed-recordings": recordings,
    "speed-ratios": ratios,
    "speed-browser": browser,
    "speed-training": training,
    "training-card": card,
}
