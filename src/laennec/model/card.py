"""The card of a clip model: what its file's metadata says."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from laennec.audio.samples import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE
from laennec.errors import LaennecError

FORMAT = 1  # of the metadata; files of a later format are refused
METADATA_KEY = "laennec"
INPUTS = {
    "waveform": "tensor(float)",
    "length": "tensor(int64)",
    "age_years": "tensor(float)",
    "sex": "tensor(int64)",
    "position": "tensor(int64)",
}
OUTPUT = "probabilities"
CENTRE = "centre"  # a padding: silence on both sides of a clip, and of one that is too long, its middle


@dataclass(frozen=True)
class ModelCard:
    """What a model file says of itself: its metadata, checked.

    Attributes
    ----------
    name : str
    labels : tuple of str
        Classes, in the order of the probabilities.
    normal : str
        The one of them that means normal breathing.
    sample_rate : int
        Hz, of the waveform the graph takes.
    clip_samples : int
        What the model hears of a clip: its first `clip_samples` samples, or those in its middle where
        `padding` is ``centre``; a shorter clip is filled up by `padding`, inside the graph.
    padding : str
        ``tile``, ``zero`` or ``sample``, see `fit_length`; or ``centre``: silence on
        both sides.
    sexes, positions : tuple of str
        Vocabularies of the metadata inputs; index 0 means "not known", 1 the first of these.
    temperature : float
        By which the logits were divided (Guo et al., "On calibration of modern neural networks", ICML 2017).
    window_s, hop_s : float
        Windows to cut a recording into when no event boundaries are given.
    version : str
        Of the Laennec that wrote the file.
    task : str
    data, recipe, metrics : mapping
        Training data with licence and citation; training settings; measured scores. Empty where not told.
    limits : str
        What the model is not for.
    uses_metadata : bool
        Whether age, sex and position change what it says; its graph takes them either way.
    """

    name: str
    labels: tuple[str, ...]
    normal: str
    sample_rate: int
    clip_samples: int
    padding: str
    sexes: tuple[str, ...]
    positions: tuple[str, ...]
    temperature: float
    window_s: float
    hop_s: float
    version: str
    task: str = "event"
    data: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    limits: str = ""
    uses_metadata: bool = True

    @property
    def clip_s(self) -> float:
        """Longest clip the model hears in full, in seconds."""
        return self.clip_samples / self.sample_rate


def read_card(metadata: str, source: str = "model") -> ModelCard:
    """Return the card that a file's metadata holds.

    Parameters
    ----------
    metadata : str
        The JSON under the key ``laennec``.
    source : str
        What to call the file in messages.

    Raises
    ------
    LaennecError
        If it is no JSON object, of a later format, or lacks an entry or has one of another kind.
    """
    try:
        told = json.loads(metadata)
    except (ValueError, RecursionError) as error:
        raise LaennecError(f"{source}: its metadata is no JSON ({error})") from error
    if not isinstance(told, dict):
        raise LaennecError(f"{source}: its metadata is no JSON object")
    file_format = told.get("format")
    if not isinstance(file_format, int) or file_format < 1:
        raise LaennecError(f"{source}: its metadata names no format")
    if file_format > FORMAT:
        raise LaennecError(
            f"{source}: a model file of format {file_format}, and this Laennec reads up to {FORMAT}; "
            "update it: pip install -U laennec"
        )
    try:
        card = _card_of(told)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        what = f"no entry {error}" if isinstance(error, KeyError) else error
        raise LaennecError(f"{source}: wrong metadata: {what}") from error
    return card


def _card_of(told: dict[str, Any]) -> ModelCard:
    """Return the metadata's entries in their types; KeyError and ValueError say what is wrong."""
    card = ModelCard(
        name=str(told["name"]),
        labels=_words(told, "labels"),
        normal=str(told["normal"]),
        sample_rate=int(told["sample_rate"]),
        clip_samples=int(told["clip_samples"]),
        padding=str(told["padding"]),
        sexes=_words(told, "sexes"),
        positions=_words(told, "positions"),
        temperature=float(told["temperature"]),
        window_s=float(told["window_s"]),
        hop_s=float(told["hop_s"]),
        version=str(told["version"]),
        task=str(told.get("task", "event")),
        data=dict(told.get("data") or {}),
        recipe=dict(told.get("recipe") or {}),
        metrics=dict(told.get("metrics") or {}),
        limits=str(told.get("limits", "")),
        uses_metadata=told.get("uses_metadata", True),
    )
    if not isinstance(card.uses_metadata, bool):
        raise ValueError(f"uses_metadata is {card.uses_metadata!r}; expected true or false")
    if len(set(card.labels)) != len(card.labels) or card.normal not in card.labels:
        raise ValueError(f"labels are {card.labels}; expected distinct ones, {card.normal!r} among them")
    if not MIN_SAMPLE_RATE <= card.sample_rate <= MAX_SAMPLE_RATE or card.clip_samples < 1:
        raise ValueError(f"clips of {card.clip_samples} samples at {card.sample_rate} Hz")
    if not (0 < card.hop_s <= card.window_s <= card.clip_s + 1 / card.sample_rate):
        raise ValueError(
            f"windows of {card.window_s} s every {card.hop_s} s, where a clip has {card.clip_s} s"
        )
    return card


def _words(told: dict[str, Any], name: str) -> tuple[str, ...]:
    words = told[name]
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise ValueError(f"{name} is {words!r}; expected a list of words")
    return tuple(words)
