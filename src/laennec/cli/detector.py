"""``laennec detector``: cross-validation of the recipe for whole recordings, and its final model."""

from laennec.train.commands import crossvalidate
from laennec.train.jobs import CrossValidationJob, DetectorJob


def run(command: DetectorJob) -> int:
    job = CrossValidationJob(
        recipe="recording",
        data=command.data,
        out=command.out,
        also=(*([] if command.icbhi is None else [f"icbhi={command.icbhi}"]), *command.also),
        folds=command.folds,
        seeds=command.seeds,
        settings=() if command.epochs is None else (f"epochs={command.epochs}",),
        final=True,
        accelerator="cpu",
        precision=command.precision,
        jobs=command.jobs,
        threads=command.threads,
    )
    return crossvalidate(job, ("detector.json", "detector.md", "recording.onnx"))
