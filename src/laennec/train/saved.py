"""What training keeps on disk: weights and checkpoints, written whole, and read without running any."""

import io
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from torch import nn

from laennec.errors import LaennecError, UsageError, unread
from laennec.files import claimed, folder_to_fill, has_content, make_folder, written_whole
from laennec.train.processes import is_first, started_by

RESULTS = ("run.json", "fold.json", "model.pt", "predictions.csv", "events.csv", "outputs.npz")


def save_whole(value: Any, path: str | os.PathLike[str]) -> None:
    """Write weights or a checkpoint, whole or not at all; LaennecError where the disk is full."""
    held = io.BytesIO()  # PyTorch's own writer says of a full disk only that it failed
    torch.save(value, held)
    with written_whole(path) as temporary:
        temporary.write_bytes(held.getbuffer())


def read_saved(path: Path, entries: Sequence[str], remedy: str) -> dict[str, Any]:
    """Read what `save_whole` wrote. PyTorch unpickles weights and plain values only, and runs nothing.

    Parameters
    ----------
    entries
        Names that are in it.
    remedy
        What to do about a damaged file, as the end of a sentence.

    Raises
    ------
    LaennecError
        If the file is not there, is cut short, or is something else.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LaennecError(f"{path}: {unread(error)}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            saved = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # PyTorch raises whatever its readers do
        raise LaennecError(f"{path}: damaged, or not written by Laennec; {remedy}") from error
    missing = [name for name in entries if not isinstance(saved, dict) or name not in saved]
    if missing:
        raise LaennecError(f"{path}: not written by Laennec, it has no {missing[0]!r}; {remedy}")
    return dict(saved)


def load_weights(module: nn.Module, weights: Any, path: Path, remedy: str) -> None:
    """Give a network or front end the weights of a file, which have to be its own."""
    try:
        module.load_state_dict(weights)
    except (RuntimeError, AttributeError, TypeError) as error:
        raise LaennecError(f"{path}: has weights of another network than its recipe; {remedy}") from error


class WholeCheckpoints(TorchCheckpointIO):
    """Lightning's checkpoints, written whole; a damaged one is named."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        save_whole(checkpoint, path)

    def load_checkpoint(
        self,
        path: Any,
        map_location: Callable[..., Any] | None = None,
        weights_only: bool | None = True,
    ) -> dict[str, Any]:
        entries = ("state_dict", "epoch", "global_step", "loops", "optimizer_states", "history")
        return read_saved(Path(path), entries, "delete it, and the same command begins this training anew")


def is_done(folder: Path, last: str) -> bool:
    """Whether a run or a fold is done: its `last` file is there, and no result has been emptied since."""
    emptied = [name for name in RESULTS if (folder / name).is_file() and not has_content(folder / name)]
    return has_content(folder / last) and not emptied


def held(folder: Path, work: Callable[[], object]) -> None:
    """Do work in a folder that no other process works in meanwhile; LaennecError if one does."""
    with claimed(make_folder(folder)):
        work()


@contextmanager
def at_work(
    out: Path, outside: Sequence[Path | None] = (), part: bool = False, together: bool = False
) -> Iterator[Path]:
    """Make a folder of results and hold it for the time of a command.

    A second command in the same folder is refused, unless both do a `part` of the work there, such as a fold;
    the system ends the hold with the process, however that ends. Of several processes of one training, the
    first holds the folder; torchrun and ``srun`` start several of commands that train `together` alone.
    """
    launcher = started_by()
    if launcher and not together:
        raise UsageError(
            f"{launcher} started several processes, but this command trains each model by one: start it "
            "once, with --jobs, or a command for each fold, with --only"
        )
    with (
        folder_to_fill(out, outside) as folder,
        claimed(folder, shared=part) if is_first() else nullcontext(),
    ):
        yield folder
