"""What can be asked of a paper: the fields are the command's arguments, the docstring its help."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import subcommand


@dataclass(frozen=True)
class ChenJob:
    """Chen & Zhang: four models on SPRSound, Tables 2 and 3; resumes after an interruption.

    Example:  laennec reproduce chen2022 --data ~/data/SPRSound --quick

    Attributes
    ----------
    data
        SPRSound's folder.
    out
        Folder for the runs, tables.md and tables.json.
    quick
        Two epochs on an eighth of the events: shows that all of it runs.
    seeds
        One run a seed.
    models
        Some of chen2022-cnn, chen2022-upsampling-cnn, chen2022-convlstm, chen2022; all four otherwise.
        literal: the same four with the paper read literally (chen2022-literal-cnn, …), beside them.
    split
        patient, or random: a random split of events, one reading of the paper, which leaks patients.
    epochs
        In place of the recipes'.
    jobs
        How many models and seeds at a time, each in a process of one thread; the results stay the same.
    precision
        auto: the faster on this processor, timed when the run begins; bf16-mixed; 32-true. In place of the
        recipe's.
    threads
        CPU threads; 0: one or all, whichever is faster when the run begins.
    """

    data: Path
    out: Path = Path("runs/chen2022")
    quick: bool = False
    seeds: tuple[int, ...] = (0, 1, 2)
    models: tuple[str, ...] = ()
    split: Literal["patient", "random"] = "patient"
    epochs: int | None = None
    jobs: int = 1
    precision: Literal["auto", "bf16-mixed", "32-true"] | None = None
    threads: int = 0


@dataclass(frozen=True)
class NguyenJob:
    """Nguyen & Pernkopf: Table II, crackles in a small cohort by transfer; resumes after an interruption.

    Rows are named as in the paper, such as 2ndConv_Cyc_Ins_Ratio_12_SamplePad, in any combination of their
    parts, with options after a plus, such as +AllBN (every batch norm is trained) or +Copies_2 (two perturbed
    copies of each crackle); all, scratch, transfer, ratios and layers stand for several. Baselines without a
    network are measured beside them: --rows none measures these alone.

    Example:  laennec reproduce nguyen2022 --source ~/data/ICBHI --target cohort --estimate

    Attributes
    ----------
    target
        The small cohort's folder.
    source
        The large data set's folder; needed for rows that are not from scratch.
    out
        Folder for source models, folds, tables.md and tables.json.
    rows
        Systems of Table II; all fourteen otherwise.
    runs
        Independent trainings with the same folds.
    epochs
        Of every fold.
    source_epochs
        Of a source model; as many as --epochs otherwise.
    patience
        Stop a fold or a source model once so many epochs bring no better validation accuracy; 0 never.
    folds
        Fewer where fewer patients have crackles.
    patients
        Draw so many patients without and with crackles from the target; all of it otherwise.
    every
        Take one cycle in so many of the target, for a trial.
    length_s
        Seconds that cycles are brought to; the longest cycle's otherwise, at most the paper's 8.25.
    seed
        Of folds and drawn patients.
    estimate
        Say what it would cost on this machine, and run nothing.
    source_dataset
        {datasets}; recognised by the files otherwise.
    target_dataset
        The same of the target.
    jobs
        How many folds, runs and rows at a time, each in a process of one thread; the results stay the same.
    precision
        auto: the faster on this processor, timed when the run begins; bf16-mixed; 32-true. In place of the
        recipe's.
    threads
        CPU threads; 0: one or all, whichever is faster when the run begins.
    """

    target: Path
    source: Path | None = None
    out: Path = Path("runs/nguyen2022")
    rows: tuple[str, ...] = ("all",)
    runs: int = 5
    epochs: int = 150
    source_epochs: int | None = None
    patience: int = 0
    folds: int = 7
    patients: tuple[int, int] | None = None
    every: int = 1
    length_s: float | None = None
    seed: int = 0
    estimate: bool = False
    source_dataset: str = ""
    target_dataset: str = ""
    jobs: int = 1
    precision: Literal["auto", "bf16-mixed", "32-true"] | None = None
    threads: int = 0


@dataclass(frozen=True)
class ReproduceJob:
    """Train a paper's models and print its tables beside ours.

    Example:  laennec reproduce nguyen2022 --source ~/data/ICBHI --target cohort --estimate
    """

    paper: Annotated[ChenJob, subcommand("chen2022")] | Annotated[NguyenJob, subcommand("nguyen2022")]
