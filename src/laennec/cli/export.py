"""``laennec export``: one model file of a finished run."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Command:
    """Write a finished run as one .onnx file: waveform in, calibrated probabilities out.

    Example:  laennec export runs/first --out lungs.onnx

    Attributes
    ----------
    run
        Run folder of `laennec train`.
    out
        The file to write; model.onnx in the run folder otherwise.
    temperature
        Calibration in place of the run's own, for a model trained on everything.
    """

    run: Positional[Path]
    out: Path | None = None
    temperature: float | None = None


def run(command: Command) -> int:
    """Write the model file and print its path."""
    from laennec.train.export import export

    print(export(command.run, command.out, temperature=command.temperature))
    return 0
