"""Training steps of both papers' networks and of our recipes: Laennec against a plain PyTorch loop.

Both sides train the same network on the same random examples with the same loss, augmentation, batch size
and optimiser. The plain loop is what the PyTorch tutorials show: eager, default settings of threads, memory
and layout, an unfused optimiser, items collated one by one. Its images are computed once, as ours are: a
loop that computes them anew each epoch would be slower still. Each side runs in float32 and in bfloat16,
with one thread and with two, in a process of its own, since some settings last for a process. The sides
alternate, round by round, and a ratio is the median over rounds, each of medians over steps.

Run:  python benchmarks/training.py --out docs/results/training-speed.json
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

# Steps of a process: about the same time for each network.
STEPS = {"chen2022": 6, "nguyen2022-source": 20, "nguyen2022": 30, "default": 10, "recording": 6}
SIDES = ("plain", "laennec")
ENVIRONMENT = dict(os.environ)  # before Laennec adds to it, which the plain loop must not inherit
FLOAT32, BF16 = "32-true", "bf16-mixed"


def examples_of(recipe: Any, front_end: Any, steps: int) -> Any:
    """Random examples for so many steps of a recipe."""
    import numpy as np
    import torch

    from laennec.train.data import ClipTensors
    from laennec.train.recordings import Example, RecordingExamples

    torch.manual_seed(0)
    classes = len(recipe.labels)
    if front_end.task == "recording":
        frames = round(recipe.recording.piece_s / front_end.frame_s)
        count = steps * max(2, round(recipe.recording.batch_s / recipe.recording.piece_s))
        spans = np.array([[start, start + 1.0] for start in range(0, 8, 2)])
        own = np.eye(classes, dtype=bool)[[0, 1, 0, 2]]
        images = torch.randn(count, 1, front_end.bands, frames).half()
        return RecordingExamples(
            [
                Example(str(k), str(k), "", "", "", np.nan, image, spans, own, True, spans, own.argmax(1), 0)
                for k, image in enumerate(images)
            ]
        )
    count = steps * recipe.batch_size
    label = torch.arange(count) % classes
    held = (label, torch.rand(count) * 18, torch.arange(count) % 3, torch.arange(count) % 5)
    if hasattr(front_end, "training_samples"):  # of events in waveforms
        waveform = 0.1 * torch.randn(count, front_end.training_samples)
        middle = front_end.training_samples // 2
        bounds = torch.tensor([[middle - 4000, middle + 4000]]).repeat(count, 1)
        return ClipTensors(None, *held, waveform, bounds)
    images = torch.randn(count, front_end.channels, front_end.bands, front_end.frames)
    return ClipTensors(images, *held)


def plain(name: str, precision: str, threads: int, steps: int) -> list[tuple[float, float]]:
    """Seconds and processor seconds of each step of the plain loop."""
    import torch  # before Laennec, which has idle threads wait instead of spin
    from torch.utils.data import DataLoader, default_collate

    from laennec.models import recording_task, tasks
    from laennec.train.build import build_parts
    from laennec.train.recipe import load_recipe
    from laennec.train.weights import freeze_before

    torch.set_num_threads(threads)
    # The layout of images is left as it comes.
    tasks.laid_out = recording_task.laid_out = lambda image, network: image
    recipe = load_recipe(name, epochs=1, normal_share=1.0)
    front_end, network = build_parts(recipe)
    freeze_before(network, recipe.fine_tune_from)
    examples = examples_of(recipe, front_end, steps)
    task = examples.task(recipe, front_end)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimizer]
    trained = [own for own in network.parameters() if own.requires_grad]
    optimizer = kind(trained, recipe.learning_rate, weight_decay=recipe.weight_decay)
    if front_end.task == "recording":
        loader = examples.training_loader(recipe, front_end)
    else:
        items = [{key: value[k] for key, value in examples.tensors().items()} for k in range(len(examples))]
        loader = DataLoader(items, recipe.batch_size, shuffle=True, collate_fn=default_collate)
    network.train()
    at = []
    for batch in loader:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == BF16):
            loss = task.loss(network, task.prepared(network, batch))
        loss.backward()
        if recipe.gradient_clip:
            torch.nn.utils.clip_grad_norm_(trained, recipe.gradient_clip)
        optimizer.step()
        at.append((time.perf_counter(), time.process_time()))
    return between(at)


def laennec(name: str, precision: str, threads: int, steps: int) -> list[tuple[float, float]]:
    """Seconds and processor seconds of each step of `laennec train`: its own data, module and trainer."""
    from laennec.train.build import build_parts
    from laennec.train.hardware import Hardware
    from laennec.train.loop import step_times
    from laennec.train.recipe import load_recipe

    recipe = load_recipe(name, epochs=1, normal_share=1.0)
    front_end = build_parts(recipe)[0]
    examples = examples_of(recipe, front_end, steps).normalised(front_end)
    hardware = Hardware("cpu", threads=threads, precision=precision)
    return between(step_times(examples, recipe, front_end, hardware))


def between(at: Any) -> list[tuple[float, float]]:
    """Differences of two clocks."""
    return [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(at)]


def measured(side: str, name: str, precision: str, threads: int) -> dict[str, float]:
    """Medians over the steps of one process, in milliseconds a step."""
    steps = STEPS[name] if precision == FLOAT32 else 4  # without the instructions, bfloat16 is emulated
    line = [sys.executable, __file__, "--one", side, name, precision, str(threads), str(steps)]
    done = subprocess.run(line, check=True, capture_output=True, text=True, env=ENVIRONMENT)
    taken = json.loads(done.stdout.splitlines()[-1])
    wall_s, cpu_s = (statistics.median(own) for own in zip(*taken, strict=True))
    return {"wall_ms": round(1000 * wall_s, 3), "cpu_ms": round(1000 * cpu_s, 3)}


def main() -> None:
    """Alternate the sides in fresh processes and write what they took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--bf16-rounds", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        side, name, precision, threads, steps = arguments.one
        print(
            json.dumps({"plain": plain, "laennec": laennec}[side](name, precision, int(threads), int(steps)))
        )
        return
    rows = []
    for name in arguments.networks:
        for threads in arguments.threads:
            found: dict[str, list[dict[str, float]]] = {}
            for turn in range(max(arguments.rounds, arguments.bf16_rounds)):
                for precision, rounds in ((FLOAT32, arguments.rounds), (BF16, arguments.bf16_rounds)):
                    for side in SIDES if turn < rounds else ():
                        found.setdefault(f"{side} {precision}", []).append(
                            measured(side, name, precision, threads)
                        )
            rows.append({"recipe": name, "threads": threads, "rounds": found})
            print(described(rows[-1]), flush=True)
            if arguments.out:
                write(arguments.out, rows)


def write(out: Path, rows: list[dict[str, Any]]) -> None:
    """Write what is measured so far, with the machine and the versions."""
    from laennec.files import write_json
    from laennec.train.hardware import machine

    about = {**machine(), "cores": os.cpu_count(), "system": platform.platform()}
    about.pop("threads")
    command = f"python benchmarks/training.py {' '.join(sys.argv[1:])}"
    known = json.loads(out.read_text()) if out.exists() else {}
    write_json(out, {**known, "command": command, "machine": about, "rows": rows})


def described(row: dict[str, Any]) -> str:
    """A row in a line."""
    parts = []
    for side, rounds in row["rounds"].items():
        wall, cpu = (statistics.median(own[key] for own in rounds) for key in ("wall_ms", "cpu_ms"))
        parts.append(f"{side} {wall:.1f} ms ({cpu:.1f} of processor time)")
    ours, others = (row["rounds"].get(f"{side} {FLOAT32}", []) for side in reversed(SIDES))
    for key in ("wall_ms", "cpu_ms"):
        ratio = statistics.median(a[key] / b[key] for a, b in zip(others, ours, strict=True))
        parts.append(f"ratio of {key} {ratio:.2f}")
    return f"{row['recipe']}, {row['threads']} threads: {'; '.join(parts)}"


if __name__ == "__main__":
    main()
