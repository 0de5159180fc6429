"""``laennec detector``: the model for whole recordings."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Command:
    """Train the model that finds events in whole recordings, and measure it by cross-validation.

    Patients are dealt into folds; thresholds and calibration come from out-of-fold predictions. OUT receives
    detector.md, detector.json and recording.onnx, trained on all patients. The same command goes on after an
    interruption, fold by fold.

    Example:  laennec detector --data ~/data/SPRSound --icbhi ~/data/ICBHI --out runs/detector --seeds 0 1

    Attributes
    ----------
    data
        SPRSound's folder.
    out
        Folder for the folds, the figures and the model.
    icbhi
        ICBHI 2017's folder, for lungs recorded by other devices.
    folds
        Parts that the patients are dealt into.
    seeds
        A whole cross-validation each; the first one's settings ship.
    epochs
        In place of the ten that were measured.
    threads
        CPU threads; 0 uses all cores.
    """

    data: Path
    out: Path
    icbhi: Path | None = None
    folds: int = 5
    seeds: tuple[int, ...] = (0,)
    epochs: int | None = None
    threads: int = 0


def run(command: Command) -> int:
    """Train and measure the folds, train on all patients, export, and print the report."""
    from laennec.train.commands import crossvalidate
    from laennec.train.jobs import CrossValidationJob

    job = CrossValidationJob(
        recipe="recording",
        data=command.data,
        out=command.out,
        also=None if command.icbhi is None else f"icbhi={command.icbhi}",
        folds=command.folds,
        seeds=command.seeds,
        settings=() if command.epochs is None else (f"epochs={command.epochs}",),
        final=True,
        accelerator="cpu",
        threads=command.threads,
    )
    return crossvalidate(job, ("detector.json", "detector.md", "recording.onnx"))
