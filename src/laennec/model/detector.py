"""A model for whole recordings, ready to run."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from laennec.analyze.analysis import Event
from laennec.analyze.events import named_event
from laennec.errors import LaennecError
from laennec.model.probability import Array
from laennec.model.recording_card import (
    OUTPUTS,
    RECORDING,
    OtherModelError,
    RecordingCard,
    read_recording_card,
)

if TYPE_CHECKING:
    import onnxruntime

    from laennec.model.clips import LungModel


@dataclass(frozen=True, eq=False)
class Detector:
    """A model file for recordings, ready to run.

    Attributes
    ----------
    card : RecordingCard
    sha256 : str
        Of the file.
    source : str
        Its path, for messages.
    """

    card: RecordingCard
    sha256: str
    source: str
    _session: "onnxruntime.InferenceSession" = field(repr=False)

    def run(self, samples: Array) -> dict[str, Array]:
        """What the graph says of a piece ``(samples,)``: `OUTPUTS`, each with time as its last axis."""
        from laennec.model.session import first_line, runtime_errors

        try:
            found = self._session.run(list(OUTPUTS), {"waveform": samples[None]})
        except runtime_errors() as error:
            raise LaennecError(f"{self.source}: the model failed ({first_line(error)})") from error
        if not all(np.isfinite(value).all() for value in found):
            raise LaennecError(f"{self.source}: the model gave what is no number")
        return {name: value[0] for name, value in zip(OUTPUTS, found, strict=True)}

    def label(self, samples: Array, spans_s: Sequence[tuple[float, float]], channel: int = 0) -> list[Event]:
        """Name the events at given boundaries in ``(samples,)`` at the model's rate, shorter than minutes."""
        if samples.size == 0 or not spans_s:
            return []
        said = self.run(samples)
        frames = said["presence"].shape[-1]
        events = []
        for start_s, end_s in spans_s:
            first = min(max(0, round(start_s / self.card.frame_s)), frames - 1)
            last = min(max(first + 1, round(end_s / self.card.frame_s)), frames)
            events.append(named_event(self.card, said, (start_s, end_s), (first, last), channel, None))
        return events


def load_detector(path_or_name: str | os.PathLike[str] | None = None, *, threads: int = 1) -> Detector:
    """Read a model file for recordings.

    Parameters
    ----------
    path_or_name : path or str, optional
        An ``.onnx`` file, a run folder that holds one, or the name of one that ships; by default
        ``recording``.
    threads : int
        As for :func:`laennec.load_model`.

    Raises
    ------
    LaennecError
        If there is no such file, or it is no model for recordings.
    """
    from laennec.model.card import METADATA_KEY
    from laennec.model.load import model_path
    from laennec.model.session import open_session

    path = model_path(path_or_name, RECORDING)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LaennecError(f"{path}: cannot be read ({error.strerror})") from error
    session = open_session(content, str(path), threads)
    card = read_recording_card(session.get_modelmeta().custom_metadata_map.get(METADATA_KEY), str(path))
    outputs = {node.name for node in session.get_outputs()}
    if not set(OUTPUTS) <= outputs:
        raise LaennecError(f"{path}: the model gives {', '.join(sorted(outputs))}, not {', '.join(OUTPUTS)}")
    return Detector(card, hashlib.sha256(content).hexdigest(), str(path), session)


def load_any(path_or_name: str | os.PathLike[str], *, threads: int = 1) -> "Detector | LungModel":
    """Read a model file of either sort: for recordings or for clips.

    Raises
    ------
    LaennecError
        As `load_detector` and :func:`laennec.load_model` do.
    """
    from laennec.model.load import load_model

    try:
        return load_detector(path_or_name, threads=threads)
    except OtherModelError:
        return load_model(path_or_name, threads=threads)
