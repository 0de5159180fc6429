"""``laennec challenge``: the command line of the BioCAS 2022 and 2023 challenge."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg


@dataclass(frozen=True)
class Command:
    """Answer the BioCAS respiratory sound challenge: one class for each file of a folder.

    Example:  laennec challenge --task 12 --wav events --out output.json

    Example:  laennec challenge --task 22 --wav recordings --out output.json

    Attributes
    ----------
    task
        Of events already cut, 11: Normal or Adventitious, 12: seven classes. Of whole recordings, 21:
        Normal, Adventitious or Poor Quality, 22: CAS, DAS or CAS & DAS in place of Adventitious.
    wav
        Folder of events, or of whole recordings.
    out
        JSON file, file name to class.
    model
        An .onnx model file or a run folder; the one that comes with Laennec for the task otherwise.
    """

    task: Literal[11, 12, 21, 22]
    wav: Path
    out: Path
    model: Annotated[str | None, arg(metavar="MODEL")] = None


def run(command: Command) -> int:
    """Answer a task for a folder of events, or of whole recordings."""
    from laennec.output.challenge import answer_folder

    answer_folder(command.task, command.wav, command.out, command.model)
    return 0
