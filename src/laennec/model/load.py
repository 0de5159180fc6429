"""Model files, found by path, run folder or name, and loaded."""

import hashlib
import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from laennec.errors import LaennecError
from laennec.model.card import INPUTS, METADATA_KEY, OUTPUT, ModelCard, read_card
from laennec.model.clips import LungModel
from laennec.model.session import open_session

if TYPE_CHECKING:
    import onnxruntime

DEFAULT = "default"  # name of the model that ships
RUN_MODEL = "model.onnx"  # in a run folder


def load_model(path_or_name: str | os.PathLike[str] | None = None, *, threads: int = 1) -> LungModel:
    """Read a model file.

    Parameters
    ----------
    path_or_name : path or str, optional
        An ``.onnx`` file, a run folder of ``laennec train``, which holds one, or the name of a model that
        ships; by default the one called ``default``.
    threads : int
        Processor cores that one batch may take; 0 lets ONNX Runtime decide. One is best for a recording or
        two, since the clips are small.

    Returns
    -------
    LungModel

    Raises
    ------
    LaennecError
        If there is no such file or model, or the file is no ONNX, holds no Laennec metadata, is of a later
        format, or does not take and give what the contract says.
    """
    if threads < 0:
        raise LaennecError(f"threads is {threads}; expected 1 or more, or 0 for as many as are useful")
    path = model_path(path_or_name)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LaennecError(f"{path}: cannot be read ({error.strerror})") from error
    session = open_session(content, str(path), threads)
    metadata = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if metadata is None:
        raise LaennecError(
            f"{path}: an ONNX file without Laennec's metadata; `laennec export` writes files that have it"
        )
    if '"task": "recording"' in metadata:
        raise LaennecError(
            f"{path}: for whole recordings, not for clips; `laennec analyze` uses it by itself"
        )
    card = read_card(metadata, str(path))
    _check_graph(session, card, str(path))
    return LungModel(card, hashlib.sha256(content).hexdigest(), str(path), session)


def shipped_models() -> tuple[str, ...]:
    """Names of the models that are installed with the package, sorted."""
    folder = files("laennec").joinpath("pretrained")
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    return tuple(sorted(name.removesuffix(".onnx") for name in names if name.endswith(".onnx")))


def model_path(path_or_name: str | os.PathLike[str] | None, default: str = DEFAULT) -> Path:
    """The file of a model by its path, its run folder or its name; `default` where nothing is named."""
    name = default if path_or_name is None else os.fspath(path_or_name)
    if name in shipped_models():
        return Path(str(files("laennec").joinpath("pretrained", f"{name}.onnx")))
    if path_or_name is None:
        raise LaennecError("no model ships with this installation; name a model file")
    path = Path(name)
    if path.is_dir():
        if not (path / RUN_MODEL).is_file():
            raise LaennecError(
                f"{name}: a folder without {RUN_MODEL}, which a finished run has; name an .onnx file"
            )
        return path / RUN_MODEL
    if not path.exists():
        shipped = ", ".join(shipped_models()) or "none"
        raise LaennecError(f"{name}: no such model file, nor a model that ships (those are: {shipped})")
    return path


def _check_graph(session: "onnxruntime.InferenceSession", card: ModelCard, source: str) -> None:
    """Refuse a graph that does not take or give what the contract says."""
    found = {node.name: node.type for node in session.get_inputs()}
    if found != INPUTS:
        raise LaennecError(
            f"{source}: the model takes {_listed(found)}; a Laennec model takes {_listed(INPUTS)}"
        )
    outputs = {node.name: (node.type, node.shape) for node in session.get_outputs()}
    kind, shape = outputs.get(OUTPUT, ("nothing", []))
    if kind != "tensor(float)":
        raise LaennecError(f"{source}: the model gives {', '.join(outputs)}, not {OUTPUT} as tensor(float)")
    classes = shape[-1] if shape else None
    if isinstance(classes, int) and classes != len(card.labels):
        raise LaennecError(f"{source}: {classes} classes, but its metadata names {len(card.labels)}")


def _listed(kinds: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in kinds.items())
