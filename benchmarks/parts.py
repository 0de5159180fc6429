"""Where the time of a training step goes, and what `torch.compile` makes of its passes.

One process of one thread; processor time, which other work disturbs least; medians over steps. Preparing is
the waveform, its variation and the image; passes are those of the network, with the loss. Compiled and plain
passes take turns.

Run:  python benchmarks/parts.py --compile --out docs/results/training-release.json
"""

import argparse
import json
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from laennec.files import write_json
from laennec.train.ahead import prepared
from laennec.train.build import build_parts
from laennec.train.hardware import machine, tuned_cpu
from laennec.train.loop import Module
from laennec.train.recipe import load_recipe
from training import BF16, FLOAT32, examples_of

STEPS, ROUNDS = 4, 3


class Step:
    """Training steps of a recipe on random examples, part by part."""

    def __init__(self, name: str, precision: str) -> None:
        self.recipe = load_recipe(name, epochs=1, normal_share=1.0)
        self.half = precision == BF16
        front_end, network = build_parts(self.recipe)
        examples = examples_of(self.recipe, front_end, STEPS).normalised(front_end)
        self.task: Any = examples.task(self.recipe, front_end)
        self.module = Module(network, self.task, self.recipe, STEPS).train()
        loader = iter(examples.training_loader(self.recipe, front_end))
        self.batches = [next(loader) for _ in range(STEPS)]
        made: Any = self.module.configure_optimizers()
        self.optimizer = made["optimizer"] if isinstance(made, dict) else made
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def timed(self, part: str, work: Callable[[], Any]) -> Any:
        """What work gives; its processor seconds are noted."""
        started = time.process_time()
        result = work()
        self.seconds[part].append(time.process_time() - started)
        return result

    def ready(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """A prepared batch."""
        return prepared(self.task, self.module.network, dict(batch), torch.Generator(), self.half)

    def loss(self, ready: dict[str, Tensor]) -> Tensor:
        """The forward pass and the loss."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            return self.task.loss(self.module.network, ready)

    def parts_ms(self) -> dict[str, float]:
        """Milliseconds of each part of a step."""
        for number in range(ROUNDS + 1):
            for batch in self.batches:
                ready = self.timed("prepare", lambda own=batch: self.ready(own))
                loss = self.timed("forward", lambda own=ready: self.loss(own))
                self.timed("backward", loss.backward)
                self.timed("optimiser", self.optimizer.step)
                self.optimizer.zero_grad()
            if not number:
                self.seconds.clear()
        return {name: round(1000 * statistics.median(own), 1) for name, own in self.seconds.items()}

    def compiled_ms(self) -> dict[str, float]:
        """Milliseconds of both passes, plain and compiled, and the seconds of compiling, all by processor."""
        network, ready = self.module.network, self.ready(self.batches[0])
        plain = network.forward
        ways = {"plain": plain, "compiled": torch.compile(plain, dynamic=False)}

        def passes(way: str) -> None:
            network.__dict__["forward"] = ways[way]
            self.loss(ready).backward()
            self.optimizer.zero_grad()

        started = sum(os.times()[:4])  # compilers are processes of their own
        passes("compiled")
        taken = sum(os.times()[:4]) - started
        self.seconds.clear()
        for number in range(4 * ROUNDS):
            for way in ways:
                self.timed(way, lambda own=way: passes(own))
            if not number:
                self.seconds.clear()
        found = {way: round(1000 * statistics.median(own), 1) for way, own in self.seconds.items()}
        return {**found, "compiling_s": round(taken)}


def main() -> None:
    """Measure each recipe in both precisions and write what is found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recipes", nargs="+", default=["default", "recording"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    parts, compiled = [], []
    with tuned_cpu(1, 1):
        for name in options.recipes:
            for precision in (BF16, FLOAT32):
                step, of = Step(name, precision), {"recipe": name, "precision": precision}
                parts.append({**of, "processor_ms": step.parts_ms()})
                print(parts[-1], flush=True)
                if options.compile:
                    compiled.append({**of, "processor_ms": step.compiled_ms()})
                    print(compiled[-1], flush=True)
    if options.out:
        known = json.loads(options.out.read_text()) if options.out.exists() else {}
        about = {
            "command": f"python benchmarks/parts.py{' --compile' * options.compile}",
            "machine": {**machine(), "cores": os.cpu_count()},
            "date": time.strftime("%Y-%m-%d"),
            "load": round(os.getloadavg()[2], 1),
        }
        more = {"compiled": {**about, "rows": compiled}} if compiled else {}
        write_json(options.out, {**known, "parts": {**about, "rows": parts}, **more})


if __name__ == "__main__":
    main()
