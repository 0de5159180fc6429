"""One training epoch of the first paper's full model on cached images: ours against a plain float32 loop.

Both train the same network on the same 4,659 random images with AdamW and class-weighted cross entropy. The
plain loop is what the PyTorch tutorials show: float32, eager, default thread and memory settings, items
collated one by one. Each runs in a process of its own, since some of our settings last for a process; they
alternate, and the ratio of the medians is printed. By default a share of the epoch is timed and scaled up.

Run:  python benchmarks/training.py
"""

import argparse
import statistics
import subprocess
import sys
import time

CLIPS, BATCH = 4659, 32


def plain(batches: int) -> float:
    """Seconds a batch of the plain loop."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    from laennec.models import build_model

    torch.manual_seed(0)
    count = batches * BATCH
    data = TensorDataset(
        torch.randn(count, 3, 64, 79),
        torch.rand(count) * 18,
        torch.randint(0, 3, (count,)),
        torch.randint(0, 5, (count,)),
        torch.randint(0, 7, (count,)),
    )
    network = build_model({"kind": "chen2022"}, 7, (3, 64, 79))
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-4)
    loss_of = torch.nn.CrossEntropyLoss(weight=torch.ones(7))
    times = []
    network.train()
    started = time.perf_counter()
    for image, age, sex, position, label in DataLoader(data, BATCH, shuffle=True):
        optimizer.zero_grad()
        loss_of(network(image, age, sex, position), label).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        times.append(time.perf_counter() - started)
        started = time.perf_counter()
    return statistics.median(times[1:])


def ours(batches: int) -> float:
    """Seconds a batch of `laennec train`: its own data, module and trainer."""
    import torch

    from laennec.features import build_front_end
    from laennec.train.data import ClipTensors
    from laennec.train.loop import seconds_per_item
    from laennec.train.recipe import load_recipe

    recipe = load_recipe("chen2022", batch_size=BATCH)

    def noise(count: int) -> ClipTensors:
        return ClipTensors(
            torch.randn(count, 3, 64, 79).to(memory_format=torch.channels_last),
            torch.randint(0, 7, (count,)),
            torch.rand(count) * 18,
            torch.randint(0, 3, (count,)),
            torch.randint(0, 5, (count,)),
        )

    return seconds_per_item(noise, recipe, build_front_end(recipe.front_end), 0, batches) * BATCH


def main() -> None:
    """Alternate the two in fresh processes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batches", type=int, default=12, help=f"of {CLIPS // BATCH} in an epoch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", choices=("plain", "ours"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print((plain if arguments.one == "plain" else ours)(arguments.batches))
        return
    seconds: dict[str, list[float]] = {"plain": [], "ours": []}
    for _ in range(arguments.rounds):
        for name, found in seconds.items():
            line = [sys.executable, __file__, "--one", name, "--batches", str(arguments.batches)]
            done = subprocess.run(line, check=True, capture_output=True, text=True)
            found.append(float(done.stdout.splitlines()[-1]))
    epoch = {name: statistics.median(found) * (CLIPS // BATCH) for name, found in seconds.items()}
    print(f"plain float32 loop  {epoch['plain']:.1f} s an epoch of {CLIPS} clips")
    print(f"laennec train       {epoch['ours']:.1f} s an epoch of {CLIPS} clips")
    print(f"ratio               {epoch['plain'] / epoch['ours']:.2f} ({arguments.rounds} rounds)")


if __name__ == "__main__":
    main()
