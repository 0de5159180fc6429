"""``laennec crossvalidate``: what a recipe is worth on patients that it was not trained on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class Command:
    """Measure a recipe by cross-validation over patients.

    Every patient is predicted by the fold that did not train on that patient. The same command goes on after
    an interruption.

    OUT receives each fold's model and predictions, and of all of them predictions.csv (one per seed),
    metrics.json and tables.txt: scores with 95 % intervals over patients, averaged over the seeds. Nothing is
    chosen on a fold; its model is that of the last epoch. With --final, a model of all patients besides, as
    model.onnx, whose card holds these figures.

    Example:  laennec crossvalidate default --data ~/data/SPRSound --out runs/cv --seeds 0 1 2

    Example:  laennec crossvalidate default --data ~/data/SPRSound --out runs/no-mixup --only 1 --set
    augmentation.mixup=0 --against runs/cv

    Attributes
    ----------
    recipe
        A recipe's name or a TOML file.
    data
        The data set's folder.
    out
        Folder for the results.
    dataset
        {datasets}; the recipe says which otherwise.
    also
        A second data set to train on, such as icbhi=~/data/ICBHI; its labels may be ICBHI's, and its
        patients have folds of their own.
    folds
        As many parts, dealt by patient, that keep rare classes apart as well as they can.
    seeds
        Of weights, order and augmentation; the folds stay the same.
    only
        Numbers of the folds to run, from 1; all otherwise.
    settings
        Settings in place of the recipe's, such as epochs=30 or augmentation.mixup=0.3.
    against
        Another cross-validation's folder with the same folds: differences, with paired intervals.
    final
        Train on all patients when the folds are done, with the first seed, and export.
    accelerator
        auto, cpu or gpu.
    threads
        CPU threads; 0 uses all cores.
    """

    recipe: Positional[str]
    data: Path
    out: Path
    dataset: str | None = None
    also: Annotated[str | None, arg(metavar="DATASET=FOLDER")] = None
    folds: int = 5
    seeds: tuple[int, ...] = (0,)
    only: tuple[int, ...] = ()
    settings: Annotated[tuple[str, ...], arg(name="set", metavar="NAME=VALUE")] = ()
    against: Path | None = None
    final: bool = False
    accelerator: str = "auto"
    threads: int = 0


def run(command: Command) -> int:
    """Train and measure the folds; with ``--final``, train on all patients and export."""
    from laennec.train.commands import crossvalidate_recipe
    from laennec.train.loop import Hardware
    from laennec.train.recipe import load_recipe, with_settings
    from laennec.train.tables import with_auxiliary

    recipe = with_settings(load_recipe(command.recipe, dataset=command.dataset), command.settings)
    recipe, second = with_auxiliary(recipe, command.also)
    return crossvalidate_recipe(
        recipe,
        command.data,
        command.out,
        command.folds,
        command.seeds,
        command.only,
        command.against,
        command.final,
        Hardware(command.accelerator, threads=command.threads),
        second,
    )
