"""``laennec train``: a model by a recipe."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class Command:
    """Train a model by a recipe; the same command goes on after an interruption.

    OUT receives the checkpoints, logs for TensorBoard and as CSV, predictions, figures and model.onnx.

    Example:  laennec train default --data ~/data/SPRSound --out runs/first

    Attributes
    ----------
    recipe
        A recipe's name (default, chen2022, chen2022-cnn, …) or a TOML file.
    data
        The data set's folder.
    out
        Run folder.
    dataset
        {datasets}; the recipe says which otherwise.
    also
        A second data set to train on, such as icbhi=~/data/ICBHI; its labels may be ICBHI's.
    start
        Finished run of the recipe that this one starts from; trained on the way otherwise.
    split
        patient: no patient in both sets; random: by event, which leaks; official: the data set's own,
        nothing is chosen on its test part; official-disjoint: without test clips of trained patients;
        none: train on everything.
    seed
        Seed of weights, order and augmentation.
    split_seed
        Seed of the split.
    epochs
        In place of the recipe's.
    batch_size
        In place of the recipe's.
    precision
        In place of the recipe's.
    accelerator
        auto, cpu or gpu.
    devices
        Processes or GPUs on each machine.
    nodes
        Machines; start the same command on each, as Lightning describes.
    strategy
        Lightning's strategy for several devices, for example ddp.
    threads
        CPU threads a process; 0 shares the cores out.
    """

    recipe: Positional[str]
    data: Path
    out: Path
    dataset: str | None = None
    also: Annotated[str | None, arg(metavar="DATASET=FOLDER")] = None
    start: Path | None = None
    split: Literal["patient", "random", "official", "official-disjoint", "none"] | None = None
    seed: int | None = None
    split_seed: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    precision: Literal["bf16-mixed", "32-true"] | None = None
    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    strategy: str = "auto"
    threads: int = 0


def run(command: Command) -> int:
    """Train, export and measure one run."""
    from laennec.train.commands import train_recipe
    from laennec.train.loop import Hardware
    from laennec.train.recipe import load_recipe
    from laennec.train.tables import with_auxiliary

    recipe = load_recipe(
        command.recipe,
        dataset=command.dataset,
        split=command.split,
        seed=command.seed,
        split_seed=command.split_seed,
        epochs=command.epochs,
        batch_size=command.batch_size,
        precision=command.precision,
    )
    hardware = Hardware(
        command.accelerator, command.devices, command.nodes, command.strategy, command.threads
    )
    recipe, second = with_auxiliary(recipe, command.also)
    return train_recipe(recipe, command.data, command.out, hardware, command.start, second)
