"""``laennec datasets``: list, check, audit and download data sets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, subcommand


@dataclass(frozen=True)
class List:
    """List the data sets that Laennec can read, with their licence and source.

    Example:  laennec datasets list
    """


@dataclass(frozen=True)
class Info:
    """Count what a data set holds and name every defect found in it.

    Example:  laennec datasets info sprsound ~/data/SPRSound --strict

    Attributes
    ----------
    name
        {datasets}.
    folder
        Where it lies.
    strict
        Exit with 1 if there is any defect.
    """

    name: Positional[str]
    folder: Positional[Path]
    strict: bool = False


@dataclass(frozen=True)
class Download:
    """Fetch a public data set, going on where an earlier download stopped, and verify it.

    Example:  laennec datasets download sprsound --to ~/data/SPRSound

    Attributes
    ----------
    name
        {datasets}.
    to
        Folder to put it in.
    """

    name: Positional[str]
    to: Path


@dataclass(frozen=True)
class Audit:
    """List annotations that are likely wrong: confident learning on out-of-fold predictions.

    The predictions are those of a cross-validation; what reading the files tells is listed as well. Nothing
    is changed.

    Example:  laennec datasets audit sprsound ~/data/SPRSound --predictions runs/cv --out issues.csv

    Attributes
    ----------
    name
        {datasets}.
    folder
        Where it lies.
    predictions
        Folder of `laennec crossvalidate`, or one predictions.csv.
    out
        CSV for all likely label errors, with their times.
    shown
        How many of them are printed.
    """

    name: Positional[str]
    folder: Positional[Path]
    predictions: Path
    out: Path | None = None
    shown: int = 20


@dataclass(frozen=True)
class Command:
    """List, check, audit and download data sets.

    Example:  laennec datasets info sprsound ~/data/SPRSound --strict
    """

    action: (
        Annotated[List, subcommand("list")]
        | Annotated[Info, subcommand("info")]
        | Annotated[Audit, subcommand("audit")]
        | Annotated[Download, subcommand("download")]
    ) = List()


def run(command: Command) -> int:
    """Do what is asked of a data set, or list them."""
    from laennec import datasets

    match command.action:
        case Info(name, folder, strict):
            return datasets.print_info(name, folder, strict)
        case Audit(name, folder, predictions, out, shown):
            return datasets.print_audit(name, folder, predictions, out, shown)
        case Download(name, to):
            print(f"{name} is in {datasets.download(name, to)}")
        case _:
            datasets.list_datasets()
    return 0
