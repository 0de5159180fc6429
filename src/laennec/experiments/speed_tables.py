"""Tables of speed and memory: an analysis, other tools, training."""

from collections.abc import Callable
from statistics import median
from typing import Any

from laennec.experiments.measured import cores, measured
from laennec.score.markdown import Load, table
from laennec.score.text import number

SIDES = (
    "plain 32-true",
    "laennec 32-true",
    "plain bf16-mixed",
    "laennec bf16-mixed",
)  # of a benchmark of training steps


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


def start(load: Load) -> str:
    """Processor time of a whole process, before and now, and the least that it can take."""
    found = load("speed")["start"]
    (row,) = found["rows"]
    least = row["imports"] + row["analysis"]
    seconds = [
        ["before", row["before"]],
        [f"now, {row['memory_mib']} MiB", row["now"]],
        ["Python with NumPy, ONNX Runtime and libsndfile imported", row["imports"]],
        ["the analysis itself, warm", row["analysis"]],
        ["both: the least that it can take", least],
    ]
    cells = [[what, f"{own:.3f}", f"{own / least:.2f}"] for what, own in seconds]
    header = ["`laennec analyze` of 15 s, with `--json`", "s of processor time", "of the least"]
    return f"{_by(found)} Before / now {row['ratio']:.2f}.\n\n{table(header, cells)}"


def outputs(load: Load) -> str:
    """Processor time from a recording to its files, before and now."""
    found = load("speed")["outputs"]
    rows = {row["step"]: row for row in found["rows"]}
    network = {side: rows["network"][side] for side in ("before", "now")}
    steps = (
        ("network", "network"),
        ("analysis", "analysis, network included"),
        ("json", "JSON"),
        ("html", "page"),
        ("png", "picture"),
    )
    cells: list[list[str]] = []
    total = dict.fromkeys(network, 0.0)
    for step, what in steps:
        row, kilobytes = rows[step], rows.get(f"{step} bytes")
        sizes = [f"{kilobytes[side] / 1000:.0f}" if kilobytes else "" for side in network]
        cells.append([what, *(number(row[side], 1) for side in network), f"{row['ratio']:.2f}", *sizes])
        if step == "network":
            continue
        total = {side: total[side] + row[side] for side in network}
        if step != "analysis":
            names = {"json": "folder with JSON", "html": "with JSON and page", "png": "with all three"}
            times = [f"{total[side]:.1f} ({total[side] / network[side]:.1f})" for side in network]
            cells.append([f"*{names[step]}*", *times, f"{total['before'] / total['now']:.2f}", "", ""])
    header = ["step", "before, ms", "now, ms", "before / now", "before, kB", "now, kB"]
    return f"{_by(found)}\n\n{table(header, cells)}"


def front_ends(load: Load) -> str:
    """Front ends beside other libraries."""
    found = load("speed")["front_ends"]
    rows = [
        [own["what"], name, f"{own['ms']['Laennec']:.3f}", f"{own['ms'][name]:.3f}", f"{ratio:.1f}"]
        for own in found["rows"]
        for name, ratio in own["ratio"].items()
    ]
    header = ["what", "against", "Laennec, ms a clip", "the other", "times faster"]
    return f"{_by(found, 'torch', 'librosa', 'kaldi-native-fbank')}\n\n{table(header, rows)}"


def networks(load: Load) -> str:
    """Seconds of sound a processor second, of networks of several sizes."""
    found = load("speed")["networks"]
    rows = [
        [
            own["what"],
            own["says"],
            f"{own['parameters'] / 1e6:.2f} M" if own["parameters"] else "",
            f"{own['seconds_a_second']:,.{0 if own['seconds_a_second'] >= 10 else 1}f}",
        ]
        for own in sorted(found["rows"], key=lambda own: -float(own["seconds_a_second"]))
    ]
    header = ["network", "what it tells", "parameters", "seconds of sound a second of one core"]
    return f"{_by(found, 'torch', 'silero-vad', 'ai-edge-litert')}\n\n{table(header, rows)}"


def bounds(load: Load) -> str:
    """Stages beside the least that their arithmetic takes."""
    found = load("speed")["bounds"]
    rows = []
    for own in found["rows"]:
        if "stage_ms" in own:
            values = [f"{own[f'{side}_ms']:.3f} ms" for side in ("stage", "bound")]
        else:
            values = [f"{own[f'{side}_gflops']:.0f} GFLOP/s" for side in ("stage", "bound")]
        rows.append([own["stage"], values[0], own["bound"], values[1], f"{own['ratio']:.2f}"])
    header = ["stage", "takes", "bound", "takes", "stage / bound, in time"]
    return f"{_by(found, 'torch', 'soundfile')}\n\n{table(header, rows)}"


def _by(found: dict[str, Any], *packages: str) -> str:
    details = [cores(found)]
    return measured(found, "python", "numpy", "onnxruntime", *packages, details=details) + "."


def training(load: Load) -> str:
    """Training steps against a plain loop, on two processors, and trainings side by side."""
    found = load("training-speed-bf16")
    seconds = {way: median(own) for way, own in found["jobs"]["seconds"].items()}
    two = seconds["--jobs 2"]
    several = [[way, f"{own:.0f}", f"{two / own:.2f}"] for way, own in seconds.items()]
    what = f"There, {found['jobs']['what']}: `{found['jobs']['command']}`"
    jobs = f"{what}\n\n{table(['folds', 's', '`--jobs 2` takes of it'], several)}"
    return f"{_steps(load('training-speed'))}\n\n{_steps(found, 'with AVX-512 and bfloat16')}\n\n{jobs}"


def _steps(found: dict[str, Any], *details: str) -> str:
    rows = []
    for own in found["rows"]:
        rounds = own["rounds"]
        times = {side: median(each["wall_ms"] for each in of_side) for side, of_side in rounds.items()}
        cells = [number(times[side], 1) if side in times else "–" for side in SIDES]
        pairs = list(zip(rounds["plain 32-true"], rounds["laennec 32-true"], strict=True))
        clocks = ("wall_ms", "cpu_ms")
        cells += [f"{median(plain[key] / ours[key] for plain, ours in pairs):.2f}" for key in clocks]
        chosen = times["plain 32-true"] / min(ms for side, ms in times.items() if side.startswith("laennec"))
        rows.append([own["recipe"], own["threads"], *cells, f"{chosen:.2f}", len(pairs)])
    titles = ["plain loop, ms a step", "Laennec", "plain, bfloat16", "Laennec, bfloat16"]
    titles = [
        "recipe",
        "threads",
        *titles,
        "ratio, float32",
        "of processor time",
        "plain float32 / chosen",
        "rounds",
    ]
    return f"{measured(found, 'torch', details=[cores(found), *details])}\n\n{table(titles, rows)}"


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
    names = {"chromium": "Chromium", "onnxruntime-web": "onnxruntime-web", "onnxruntime": "onnxruntime"}
    where = measured(found, details=[f"{title} {found['versions'][name]}" for name, title in names.items()])
    titles = ["sound", "Chromium", "Python", "processor time, times Python's", "rounds"]
    return f"{where}\n\n{table(titles, rows)}"


TABLES: dict[str, Callable[[Load], str]] = {
    "speed-recordings": recordings,
    "speed-start": start,
    "speed-outputs": outputs,
    "speed-front-ends": front_ends,
    "speed-networks": networks,
    "speed-bounds": bounds,
    "speed-browser": browser,
    "speed-training": training,
    "training-card": card,
}
