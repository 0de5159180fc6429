"""Training of an earlier release against the present one: steps, and the whole command.

Steps are of the recipe `default` on SPRSound's own events, by each side's own data, module and trainer, with
one thread, in a process each, in turns. They are in processor time, which other work on the machine disturbs
least; a ratio is the median over turns. The command is `laennec crossvalidate default` on one of five folds,
or on all, in seconds as well, which compare something on idle cores alone.

Run:  git worktree add --detach ../release 5e53852
      python benchmarks/release.py --release ../release/src --data ~/data/SPRSound \\
          --out docs/results/training-release.json
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

FLOAT32, BF16 = "32-true", "bf16-mixed"
STEPS = 12
PRESENT = Path(__file__).resolve().parents[1] / "src"
# What each side's command is told for one core, and for two.
ONE_CORE = {"release": ["--threads", "1"], "present": ["--threads", "1"]}
TWO_CORES = {"release": [], "present": ["--jobs", "2"]}


def steps_of_release(root: Path, precision: str) -> list[float]:
    """Processor seconds of steps of release 0.1.0."""
    from dataclasses import replace

    from laennec.train.fit import averaging, tuned_cpu  # type: ignore[import-not-found]
    from laennec.train.folds import gather, parts_of  # type: ignore[import-not-found]
    from lightning.pytorch.callbacks import Callback

    from laennec.datasets import sprsound  # type: ignore[attr-defined]
    from laennec.train.crossval import train_network  # type: ignore[attr-defined]
    from laennec.train.data import subset  # type: ignore[attr-defined]
    from laennec.train.recipe import load_recipe

    at: list[float] = []

    class StepEnds(Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            at.append(time.process_time())

    recipe = replace(load_recipe("default"), epochs=1, normal_share=1.0, precision=precision)
    material = gather(sprsound.load(root), recipe, 5)
    training, _ = parts_of(material, 0)
    few = subset(training, chosen(len(training), recipe.batch_size))
    with tuned_cpu(1, 1):
        ends = [*averaging(recipe), StepEnds()]
        train_network(few, recipe, None, "cpu", callbacks=ends, front_end=material.front_end)
    return [b - a for a, b in pairwise(at)]


def steps_of_present(root: Path, precision: str) -> list[float]:
    """Processor seconds of steps of the present code."""
    from laennec.datasets import dataset
    from laennec.train.crossval import gather
    from laennec.train.hardware import Hardware
    from laennec.train.loop import step_times
    from laennec.train.protocols import protocol_of
    from laennec.train.recipe import load_recipe

    recipe = load_recipe("default", epochs=1, normal_share=1.0)
    data = gather(dataset("sprsound").load(root), recipe, protocol_of(recipe, 5, "k-fold"))
    training = data.parts(data.folds[0], recipe)[0]
    few = training.subset(chosen(len(training), recipe.batch_size))
    at = step_times(few, recipe, data.front_end, Hardware("cpu", threads=1, precision=precision))
    return [b[1] - a[1] for a, b in pairwise(at)]


def chosen(count: int, batch: int) -> Any:
    """The same events for either side: enough for so many steps, spread over all."""
    import numpy as np

    mask = np.zeros(count, bool)
    mask[np.linspace(0, count - 1, (STEPS + 1) * batch).astype(int)] = True
    return mask


def environment(source: Path) -> dict[str, str]:
    """That of a process of a side."""
    return {**os.environ, "PYTHONPATH": str(source)}


def step_ms(side: str, source: Path, data: Path, precision: str) -> float:
    """Median of the steps of one process."""
    line = [sys.executable, __file__, "--one", side, precision, "--data", str(data)]
    done = subprocess.run(line, check=True, capture_output=True, text=True, env=environment(source))
    return round(1000 * statistics.median(json.loads(done.stdout.splitlines()[-1])), 1)


def command(source: Path, words: list[str]) -> dict[str, float]:
    """Seconds and processor seconds of a whole command."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        line = [sys.executable, "-m", "laennec", "crossvalidate", "default", *words, "--out", folder]
        subprocess.run(line, check=True, capture_output=True, env=environment(source))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"s": round(time.perf_counter() - started, 1), "processor_s": round(used, 1)}


def main() -> None:
    """Alternate the sides and write what they took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--release", type=Path, help="src of the release's working tree")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--folds", type=int, nargs="+", default=[1], help="of five; that are trained")
    parser.add_argument("--cores", type=int, default=1, choices=(1, 2))
    parser.add_argument("--commands", type=int, default=1, help="rounds of whole commands")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        steps = {"release": steps_of_release, "present": steps_of_present}[options.one[0]]
        print(json.dumps(steps(options.data, options.one[1])))
        return
    sources = {"release": options.release, "present": PRESENT}
    steps_ms: dict[str, dict[str, list[float]]] = {}
    for _ in range(options.rounds):
        for precision in (BF16, FLOAT32):
            for side, source in sources.items():
                rounds = steps_ms.setdefault(precision, {}).setdefault(side, [])
                rounds.append(step_ms(side, source, options.data, precision))
                print(side, precision, rounds[-1], "ms", flush=True)
    commands: dict[str, list[dict[str, float]]] = {}
    words = ["--data", str(options.data), "--folds", "5", "--set", f"epochs={options.epochs}"]
    words += ["--only", *map(str, options.folds)] if len(options.folds) < 5 else []
    for _ in range(options.commands):
        for side, source in sources.items():
            own = (ONE_CORE if options.cores == 1 else TWO_CORES)[side]
            commands.setdefault(side, []).append(command(source, [*words, *own]))
            print(side, commands[side][-1], flush=True)
    if options.out:
        write(options, steps_ms, commands)


def write(options: argparse.Namespace, steps_ms: Any, commands: Any) -> None:
    """Add what was measured to the file of training's speed."""
    from laennec.files import write_json
    from laennec.train.hardware import machine

    known = json.loads(options.out.read_text()) if options.out.exists() else {}
    about = {**machine(), "cores": os.cpu_count()}
    about.pop("threads")
    known["release"] = {
        "command": f"python benchmarks/release.py --rounds {options.rounds} --commands {options.commands} "
        f"--cores {options.cores} --folds {' '.join(map(str, options.folds))} --epochs {options.epochs}",
        "release": "0.1.0",
        "machine": about,
        "date": time.strftime("%Y-%m-%d"),
        "load": round(os.getloadavg()[2], 1),
        "steps_processor_ms": steps_ms,
    }
    if commands:
        what = f"{len(options.folds)} of five folds of default, {options.epochs} epochs"
        known["release"]["commands"] = {"what": what, "cores": options.cores, **commands}
    write_json(options.out, known)


if __name__ == "__main__":
    main()
