"""``laennec export --target chai``: a model's card in the format of the Coalition for Health AI."""

import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from laennec.errors import LaennecError, UsageError
from laennec.files import write_new
from laennec.model.card import BREATHS, FORMAT, RECORDING
from laennec.model.integer import RUN_INTEGERS, load_integer_model
from laennec.model.load import RUN_MODEL, file_content, load_model, model_path
from laennec.model.metadata import entries_in
from laennec.model.phases import NAME as PHASES
from laennec.model.phases import SHIPPED as SHIPPED_PHASES
from laennec.model.phases import load_phase_model
from laennec.model.session import Graph
from laennec.targets.microcontroller import SHIPPED, integer_model_path
from laennec.train.chai import DEVELOPERS, UNNAMED, render_chai
from laennec.train.jobs import ExportJob


def write(job: ExportJob) -> Path:
    """Write the card that a job of `laennec export --target chai` asks for, and return its path.

    UsageError if no file is named or another one is there, also a card that was edited; LaennecError if the
    model cannot be read.
    """
    if job.out is None:
        raise UsageError("--out is missing: the file to write")
    write_new(job.out, chai_card(job.model or RECORDING))
    return job.out


def chai_card(name: str) -> str:
    """Return the card of a model by its path, its run folder, or the name of one that ships."""
    metadata, path = _metadata(name)
    ships = path.parent == Path(str(files("laennec").joinpath("pretrained")))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    try:
        return render_chai(metadata, sha256, DEVELOPERS if ships else UNNAMED)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        # They are for people alone, and so not checked when a model is loaded.
        raise LaennecError(
            f"{path}: the entries data, metrics or recipe of its metadata are not as Laennec writes them"
        ) from error


def _metadata(name: str) -> tuple[Mapping[str, Any], Path]:
    """Return what a model file says of itself, and where it is."""
    given = Path(name)
    run_of_windows = (given / RUN_INTEGERS).is_file() and not (given / RUN_MODEL).is_file()
    if name == SHIPPED or given.suffix.lower() == ".npz" or run_of_windows:
        path = integer_model_path(name)
        return load_integer_model(path).metadata, path
    path = SHIPPED_PHASES if name == PHASES else model_path(name, more=(PHASES, SHIPPED))
    entries = json.loads(_loaded(name, path).graph.metadata or "{}")
    return entries, path


def _loaded(name: str, path: Path) -> Any:
    """The model, by the reader of its task."""
    if name == PHASES:
        return load_phase_model(name)
    told = entries_in(Graph(file_content(path), str(path), 1).metadata, str(path), FORMAT)
    return load_phase_model(path) if told.get("task") == BREATHS else load_model(name)
