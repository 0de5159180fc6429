"""A model that tells the phases of breaths, ready to run: sound in, inspiration, expiration or pause out.

It answers beside a model for recordings, which finds and classifies events, and changes nothing of that.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from laennec.errors import LaennecError, shown
from laennec.labels import PAUSE, PHASES
from laennec.model.card import (
    BREATHS,
    FORMAT,
    PROBABILITY,
    TEMPERATURE,
    WEIGHTS,
    FrameCard,
    Shape,
    entry,
    mapping,
    numbers,
    read_card_of,
    read_part,
)
from laennec.model.load import BESIDE, file_content, model_path
from laennec.model.metadata import entries_in
from laennec.model.quickest import PRETRAINED
from laennec.model.session import Graph, Model, fits

STATES = (*PHASES, PAUSE)  # of the outputs
OUTPUT = "phases"
NAME = "phases"  # of the model that ships
SHIPPED = PRETRAINED / BESIDE
# SHA-256 of that file, so that a damaged or replaced one is not taken for it.
SHA256 = "13c885cf3832674260982e40d822323e7f5a95f5793e52cfdd2d3c1275c636df"
Logits = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PhaseRule:
    """How phases follow each other: a chain of states (Rabiner, Proc. IEEE 77, 1989).

    `shortest_s` are the least lengths of inspiration, expiration and pause, `lasts_s` about how much longer
    each goes on; `bias` is added to their logits, which `temperature` then divides.
    """

    shortest_s: tuple[float, ...] = entry(numbers(0.0, 60.0), default=(0.3, 0.3, 0.2))
    lasts_s: tuple[float, ...] = entry(numbers(1e-3, 60.0), default=(0.6, 1.0, 1.0))
    bias: tuple[float, ...] = entry(WEIGHTS, default=(0.0, 0.0, 0.0))
    temperature: float = entry(TEMPERATURE, default=1.0)


@dataclass(frozen=True, kw_only=True)
class PhaseCard(FrameCard):
    """The card of a model for breath phases; its labels are `STATES`.

    Attributes
    ----------
    rule : PhaseRule
        How phases are decoded.
    certainty : tuple of float
        Weights of `laennec.analyze.phases.evidence`, a constant first: the logit of the chance that a
        channel's phases are right.
    unknown_below : float
        That chance, below which phases are not told.
    """

    rule: PhaseRule = entry(  # noqa: RUF009 (a field)
        lambda value: read_part(PhaseRule, mapping(value), "rule."), default_factory=PhaseRule
    )
    certainty: tuple[float, ...] = entry(WEIGHTS, default=())
    unknown_below: float = entry(PROBABILITY, default=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.labels != STATES:
            raise ValueError(f"labels are {shown(self.labels)}; expected {shown(STATES)}")
        for name, given in vars(self.rule).items():
            if name != "temperature" and len(given) != len(STATES):
                raise ValueError(f"rule.{name} has {len(given)} numbers; expected {len(STATES)}")

    @property
    def outputs(self) -> Mapping[str, Shape]:
        return {OUTPUT: (1, len(STATES), None)}


@dataclass(frozen=True, eq=False)
class PhaseModel(Model):
    """A model file for breath phases, ready to run. It can be pickled."""

    card: PhaseCard

    def logits(self, samples: npt.NDArray[np.float32], level: float = 0.0) -> Logits:
        """Logits of `STATES` in every frame, ``(3, frames)``, of ``(samples,)`` at the card's sample rate.

        `level` is that of the channel, as `Recording.levels`; 0: the samples are taken as they are.
        LaennecError if the graph fails or gives something else than its card says.
        """
        gain = np.float32(self.card.level / level if level else 1.0)
        waveform = (np.asarray(samples, np.float32) * gain)[None]
        (found,) = self.graph.run([OUTPUT], {"waveform": waveform})
        if not fits(found.shape, self.card.outputs[OUTPUT]) or not np.isfinite(found).all():
            raise LaennecError(f"{self.source}: the model gave a non-finite value or another shape")
        return np.asarray(found[0], np.float64)


def load_phase_model(path_or_name: str | os.PathLike[str] = NAME, *, threads: int = 1) -> PhaseModel:
    """Read a model file for breath phases: a path, a run folder, or the one that ships, ``phases``.

    Raises
    ------
    LaennecError
        If there is no such file, it is damaged, or it is a model for something else.
    """
    path = SHIPPED if path_or_name == NAME else model_path(path_or_name)
    content = file_content(path)
    sha256 = hashlib.sha256(content).hexdigest()
    if path_or_name == NAME and sha256 != SHA256:
        raise LaennecError(
            f"{path}: not the model {NAME!r} that ships with this version, but damaged or another one; "
            "install Laennec again"
        )
    graph = Graph(content, str(path), threads, sha256=sha256)
    entries = entries_in(graph.metadata, str(path), FORMAT)
    if entries.get("task") != BREATHS:
        raise LaennecError(f"{path}: not a model of breath phases; its task is {shown(entries.get('task'))}")
    card = read_card_of(PhaseCard, entries, str(path))
    graph.check(card)
    return PhaseModel(card, graph)
