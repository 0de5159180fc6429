"""The card of a model for whole recordings."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from laennec.errors import LaennecError

RECORDING = "recording"  # name of the model that ships, and the task its card names
FORMAT = 1
OUTPUTS = ("presence", "evidence", "context", "record", "kind")


class OtherModelError(LaennecError):
    """A model file of another sort."""


@dataclass(frozen=True)
class EventRule:
    """How events are found: the sequence of pauses and events of each family that is worth most.

    Inside an event of normal breathing, a frame is worth the logit of presence less `bias`. Inside one of
    continuous or of discontinuous adventitious sounds, it is worth `class_weight` times the margin of that
    family's logits over the others, plus `class_presence` times the logit of presence, less `class_bias`:
    such sounds are annotated where they are heard, which may be a part of a breath. Every beginning and every
    end is worth `edge_weight` times the logit of onset or offset there, less `edge_cost`.

    Attributes
    ----------
    bias, edge_weight, edge_cost, class_weight, class_presence, class_bias : float
    shortest_s : float
        Shorter events are dropped.
    frame_s : float
        Seconds a frame.
    """

    bias: float = 0.0
    edge_weight: float = 1.0
    edge_cost: float = -1.0
    class_weight: float = 0.3
    class_presence: float = 0.3
    class_bias: float = 0.6
    shortest_s: float = 0.25
    frame_s: float = 0.05


@dataclass(frozen=True)
class RecordingCard:
    """What a model file for recordings says of itself.

    Attributes
    ----------
    name, version, limits, data, metrics, recipe
        As in :class:`laennec.model.card.ModelCard`.
    labels : tuple of str
        Event classes; `normal` is the one of normal breathing.
    records : tuple of str
        Answers for a recording.
    kinds : tuple of str
        What it may sound like, the lung first.
    sample_rate : int
        Hz.
    frame_samples : int
        Samples a frame of the answer.
    reach_frames : int
        Frames to either side that an answer depends on.
    edges_hz : tuple of float
        Edges of the rows of the evidence.
    rule : EventRule
        How events are found.
    event_temperature, record_temperature : float
        Divide the logits.
    event_bias, record_bias : tuple of float
        Are then added, one a label: what the weights of the training's losses had moved.
    task_shift : mapping of str to float
        For the challenge's tasks ``"21"`` and ``"22"``: taken from the logarithm of the probability of Normal
        before the likeliest is chosen, since their Score weighs classes otherwise than their frequency does.
    event_certain, record_certain : float
        Probability below which the answer is uncertain.
    lung_share : float
        Share of the lung among kinds, below which a stretch is refused.
    """

    name: str
    version: str
    labels: tuple[str, ...]
    normal: str
    records: tuple[str, ...]
    kinds: tuple[str, ...]
    sample_rate: int
    frame_samples: int
    reach_frames: int
    edges_hz: tuple[float, ...]
    rule: EventRule
    event_temperature: float
    record_temperature: float
    event_certain: float
    record_certain: float
    lung_share: float
    event_bias: tuple[float, ...] = ()
    record_bias: tuple[float, ...] = ()
    task_shift: Mapping[str, float] = field(default_factory=dict)
    limits: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)

    @property
    def frame_s(self) -> float:
        """Seconds a frame of the answer."""
        return self.frame_samples / self.sample_rate


def read_recording_card(metadata: str | None, source: str = "model") -> RecordingCard:
    """Return the card in a file's metadata.

    Raises
    ------
    LaennecError
        If there is none, or it is another model's, of a later format, or lacks an entry.
    """
    try:
        told = json.loads(metadata or "")
        task, file_format = told["task"], int(told["format"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise OtherModelError(f"{source}: an ONNX file without Laennec's metadata") from error
    if task != RECORDING:
        raise OtherModelError(f"{source}: a model for clips ({task}), not for whole recordings")
    if file_format > FORMAT:
        raise LaennecError(f"{source}: a model file of format {file_format}; update: pip install -U laennec")
    fields = RecordingCard.__dataclass_fields__
    try:
        values: dict[str, Any] = {name: told[name] for name, entry in fields.items() if name in told}
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        values["rule"] = EventRule(**values["rule"])
        card = RecordingCard(**values)
        numbers = [value for value in vars(card).values() if isinstance(value, float | int)]
        if not all(math.isfinite(number) for number in numbers) or card.normal not in card.labels:
            raise ValueError("a number is not finite, or its normal class is none of its labels")
    except (KeyError, TypeError, ValueError) as error:
        raise LaennecError(f"{source}: wrong metadata: {error}") from error
    return card
