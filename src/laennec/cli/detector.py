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
    from laennec.train.commands import crossvalidate_recipe
    from laennec.train.loop import Hardware
    from laennec.train.recipe import load_recipe
    from laennec.train.recording_report import ReportFiles
    from laennec.train.tables import with_auxiliary

    also = None if command.icbhi is None else f"icbhi={command.icbhi}"
    recipe, auxiliary = with_auxiliary(load_recipe("recording", epochs=command.epochs), also)
    return crossvalidate_recipe(
        recipe,
        command.data,
        command.out,
        command.folds,
        command.seeds,
        (),
        None,
        True,
        Hardware("cpu", threads=command.threads),
        auxiliary,
        ReportFiles("detector.json", "detector.md", "recording.onnx"),
    )
