"""One source epoch and one fold's fine-tuning of the second paper, against a plain float32 eager loop.

Both train the same network on the same cached random images by the focal loss and Adam. The plain loop is
what the PyTorch tutorials show: float32, eager, default thread and memory settings, items collated one by
one. Each runs in a process of its own, since some of our settings last for a process; they alternate, and the
median ratio is printed. A share of the epoch is timed and scaled up.

Run:  python benchmarks/transfer.py
"""

import argparse
import statistics
import subprocess
import sys
import time
from typing import Any

# Clips of an epoch: seven tenths of ICBHI's 6,898 cycles with about as many copies, and five folds of seven
# of the paper's 6,196 cycles with the crackles doubled.
CLIPS = {"source": 9100, "fold": 5700}
RECIPES = {"source": "nguyen2022-source", "fold": "nguyen2022"}


def parts(which: str, batches: int) -> tuple[Any, Any, Any, Any, Any]:
    """Recipe, network, image and label tensors."""
    import torch

    from laennec.train.build import build_parts
    from laennec.train.recipe import load_recipe
    from laennec.train.weights import freeze_before

    recipe = load_recipe(RECIPES[which], epochs=1)
    torch.manual_seed(0)
    front_end, network = build_parts(recipe)
    freeze_before(network, recipe.fine_tune_from)
    count = batches * recipe.batch_size
    images = torch.randn(count, 1, front_end.bands, front_end.frames)
    return recipe, network, images, torch.randint(0, len(recipe.labels), (count,)), count


def plain(which: str, batches: int) -> float:
    """Seconds a clip of the plain loop."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    recipe, network, images, labels, _ = parts(which, batches)
    optimizer = torch.optim.Adam(
        (p for p in network.parameters() if p.requires_grad),
        recipe.learning_rate,
        weight_decay=recipe.weight_decay,
    )
    times = []
    network.train()
    started = time.perf_counter()
    for image, label in DataLoader(TensorDataset(images, labels), recipe.batch_size, shuffle=True):
        optimizer.zero_grad()
        log_p = network(image, None, None, None).log_softmax(1)
        chosen = log_p.gather(1, label[:, None])
        (-((1 - chosen.exp()) ** 2) * chosen).mean().backward()
        optimizer.step()
        times.append(time.perf_counter() - started)
        started = time.perf_counter()
    return statistics.median(times[1:]) / recipe.batch_size


def ours(which: str, batches: int) -> float:
    """Seconds a clip of Laennec's own module, data and trainer."""
    import torch

    from laennec.features import build_front_end
    from laennec.train.data import ClipTensors
    from laennec.train.loop import seconds_per_item

    recipe, _, images, labels, _ = parts(which, batches)
    none = torch.zeros(len(labels), dtype=torch.long)
    clips = ClipTensors(
        images.to(memory_format=torch.channels_last),
        labels,
        torch.full((len(labels),), torch.nan),
        none,
        none,
    )
    return seconds_per_item(lambda _: clips, recipe, build_front_end(recipe.front_end), 0, batches)


def main() -> None:
    """Alternate the two in fresh processes, for the source and for a fold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        which, name = arguments.one
        print({"plain": plain, "ours": ours}[name](which, arguments.batches))
        return
    for which, clips in CLIPS.items():
        seconds: dict[str, list[float]] = {"plain": [], "ours": []}
        for _ in range(arguments.rounds):
            for name, found in seconds.items():
                line = [sys.executable, __file__, "--one", which, name, "--batches", str(arguments.batches)]
                done = subprocess.run(line, check=True, capture_output=True, text=True)
                found.append(float(done.stdout.splitlines()[-1]))
        epoch = {name: statistics.median(found) * clips for name, found in seconds.items()}
        ratios = [a / b for a, b in zip(seconds["plain"], seconds["ours"], strict=True)]
        print(f"{which}: an epoch of {clips} clips, recipe {RECIPES[which]}")
        print(f"  plain float32 loop  {epoch['plain']:.1f} s")
        print(f"  laennec             {epoch['ours']:.1f} s")
        print(f"  ratio               {statistics.median(ratios):.2f} (median of {arguments.rounds} rounds)")


if __name__ == "__main__":
    main()
