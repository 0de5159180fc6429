"""Model files, found by path, run folder or name, and loaded."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

from laennec.errors import LaennecError, unread
from laennec.model.calibration import calibrated_card, read_calibration
from laennec.model.card import OF_PHASES, RecordingCard, read_card
from laennec.model.clips import LungModel
from laennec.model.detector import Detector
from laennec.model.quickest import PRETRAINED, quickest
from laennec.model.session import Graph

DEFAULT = "default"  # name of the model for clips that ships; `RECORDING` is that of the one for recordings
AUTO = "auto"  # name of whichever model for recordings that ships is quicker on this computer
RUN_MODEL = "model.onnx"  # in a run folder
ONNX_START = b"\x08"  # of a file: the field of its version comes first
LARGEST_FILE = 2**30  # bytes; ONNX itself ends at twice as much
BESIDE = "phases.onnx"  # ships too, and answers beside one of these (`laennec.model.phases`)
OTHER_USES = {  # models that ship too, which `load_model` does not take: what each is for
    "phases": OF_PHASES,
    "microcontroller": "for microcontrollers alone; `laennec export --target microcontroller` writes it",
}
SHIPPED = {  # SHA-256 of the models that ship, so that a damaged or replaced one is not taken for them
    "default": "5785aab5740aa7d36b600fe9851cec6af121340f045d38148965917ea44adfc7",
    "recording": "ef908a947fdf5d1c1bf3f81bbf102a66192ee77c6508a546aecd180662cacb04",
    "recording-int8": "efb19871d4cf91e10add96379308e9902f3fded2913c7491c26a2824e623d9a1",
    "source": "8aa979c57ef5336c9785c8853f9e924854da8c6543407f99cf891b439d72bf15",
}


@overload
def load_model(path_or_name: None = None, *, threads: int = 1, calibration: None = None) -> LungModel: ...
@overload
def load_model(
    path_or_name: str | os.PathLike[str], *, threads: int = 1, calibration: None = None
) -> LungModel | Detector: ...
@overload
def load_model(
    path_or_name: str | os.PathLike[str], *, threads: int = 1, calibration: str | os.PathLike[str]
) -> Detector: ...
def load_model(
    path_or_name: str | os.PathLike[str] | None = None,
    *,
    threads: int = 1,
    calibration: str | os.PathLike[str] | None = None,
) -> LungModel | Detector:
    """Read a model file, for clips (LungModel) or for whole recordings (Detector), as its metadata says.

    Parameters
    ----------
    path_or_name : path or str, optional
        An ``.onnx`` file, a run folder of ``laennec train``, which holds one, or the name of a model that
        ships; by default the one called ``default``, which is for clips. ``recording`` finds events itself;
        ``recording-int8`` is the same in eight bits, and ``auto`` whichever of the two is quicker on this
        computer (:func:`laennec.model.quickest.quickest`).
    threads : int
        Processor cores that one batch may take; 0 lets ONNX Runtime decide. One is best for a recording or
        two, since the clips are small.
    calibration : path, optional
        A file of ``laennec calibrate``, by which a model for whole recordings answers then.

    Raises
    ------
    LaennecError
        If there is no such file or model, or the file is no ONNX, holds no Laennec metadata, is of a later
        format, has a wrong entry, or does not take and give what the contract says; or if the calibration
        is damaged or for another model.
    """
    if threads < 0:
        raise LaennecError(f"threads is {threads}; expected 1 or more, or 0 for as many as are useful")
    name = named(path_or_name)
    path = model_path(None if path_or_name is None else name)
    content = file_content(path)
    sha256 = hashlib.sha256(content).hexdigest()
    if name in SHIPPED and sha256 != SHIPPED[str(name)]:
        raise LaennecError(
            f"{path}: not the model {str(name)!r} that ships with this version, but damaged or another one; "
            "install Laennec again, or name a model of your own by its path"
        )
    graph = Graph(content, str(path), threads, SHIPPED.values(), sha256)
    card = read_card(graph.metadata, str(path))
    graph.check(card)
    model = Detector(card, graph) if isinstance(card, RecordingCard) else LungModel(card, graph)
    return model if calibration is None else with_calibration(model, calibration)


def with_calibration(model: LungModel | Detector, path: str | os.PathLike[str]) -> Detector:
    """A model for whole recordings that answers by a calibration, in place of one that it has.

    LaennecError if the file cannot be used, is for another model, or the model is one for clips.
    """
    own = read_calibration(path)
    if not isinstance(model, Detector):
        raise LaennecError(
            f"{path}: a calibration is for a model for whole recordings, and {model.card.name} is for clips; "
            "name one with --model"
        )
    return replace(model, card=calibrated_card(model.card, model.sha256, own, path), calibration=own)


def file_content(path: Path) -> bytes:
    """What stands in a model file; LaennecError if it cannot be one."""
    try:
        if not path.is_file():  # a pipe or a device would be read for ever
            raise LaennecError(f"{path}: not a file")
        if path.stat().st_size > LARGEST_FILE:
            raise LaennecError(f"{path}: larger than a model file may be, {LARGEST_FILE} bytes")
        if not path.stat().st_size:
            raise LaennecError(f"{path}: empty, the file has 0 bytes; name a model file (.onnx)")
        return path.read_bytes()
    except OSError as error:
        raise LaennecError(f"{path}: {unread(error)}") from error


def shipped_models() -> tuple[str, ...]:
    """Names of the models that are installed with the package, sorted."""
    return tuple(sorted(path.stem for path in PRETRAINED.glob("*.onnx") if path.name != BESIDE))


def named(path_or_name: str | os.PathLike[str] | None) -> str | os.PathLike[str]:
    """What stands for a model: `DEFAULT` where nothing is named, and for `AUTO` the quicker one's name."""
    if path_or_name == AUTO:
        return quickest()
    return DEFAULT if path_or_name is None else path_or_name


def model_path(path_or_name: str | os.PathLike[str] | None, more: Sequence[str] = ()) -> Path:
    """The file of a model by its path, its run folder or its name; of `DEFAULT` where nothing is named.

    LaennecError if there is none; it names the models that ship, with `more` that the caller takes.
    """
    name = named(path_or_name)
    if not isinstance(name, str | os.PathLike) or not (name := os.fspath(name)):
        raise LaennecError(f"model is {path_or_name!r}; expected the path of a model file, or a model's name")
    if name in shipped_models():
        return PRETRAINED / f"{name}.onnx"
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
        shipped = ", ".join(sorted((*shipped_models(), *more))) or "none"
        if name in OTHER_USES:
            raise LaennecError(f"{name}: {OTHER_USES[name]}; others that ship: {shipped}")
        raise LaennecError(f"{name}: no such model file, nor a model that ships (those are: {shipped})")
    return path


def load_detector(path_or_name: str | os.PathLike[str]) -> Detector:
    """Load a model for whole recordings, as `load_model` does; LaennecError if it is one for clips."""
    model = load_model(path_or_name)
    if not isinstance(model, Detector):
        raise LaennecError(
            f"{model.source}: {model.card.name} is a model for clips; name one for whole recordings"
        )
    return model
