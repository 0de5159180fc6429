"""``laennec transfer``: a model for a small cohort of one's own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg


@dataclass(frozen=True)
class Command:
    """Carry a model over to your own small cohort, with figures by cross-validation.

    Patients are dealt into folds, so that no patient is trained on and measured on; OUT receives predictions,
    metrics.json, tables.txt and confusion.png of that, and model.onnx, trained on all patients. The same
    command goes on after an interruption.

    Example:  laennec transfer --data my-cohort --target-class crackle --out runs/mine

    Example:  laennec transfer --from transfer-source --source-data ~/data/ICBHI --data my-cohort

    Attributes
    ----------
    data
        Your recordings: a CSV, a folder with label files, a multichannel cohort, or a copy of a data set.
    target_class
        The class to find: crackle, wheeze or both in any spelling, or a label of yours.
    source
        Where to start: a model that ships, a run folder, an .onnx file, or a recipe to train first.
    source_data
        What a recipe given with --from is trained on.
    out
        Folder for the results.
    recipe
        How to fine-tune: transfer (what worked best), nguyen2022 (the paper's best) or a TOML file.
    dataset
        {datasets}; recognised by the files otherwise.
    runs
        Independent cross-validations with the same folds.
    epochs
        In place of the recipe's.
    folds
        Fewer where fewer patients have the class.
    threads
        CPU threads; 0 uses all cores.
    """

    data: Path
    target_class: str = "crackle"
    source: Annotated[str, arg(name="from", metavar="MODEL|RECIPE")] = "source"
    source_data: Path | None = None
    out: Path = Path("runs/transfer")
    recipe: str = "transfer"
    dataset: str = ""
    runs: int = 1
    epochs: int | None = None
    folds: int = 7
    threads: int = 0


def run(command: Command) -> int:
    """Cross-validate on the cohort, then train on all of it and export."""
    from laennec.train.transfer import Request, transfer

    return transfer(Request(**vars(command)))
