"""A network for whole recordings: where events are, what they are, and what the recording is.

One trunk of two-dimensional convolutions takes the log-mel image; its class evidence is kept row by row, so
that a class logit is a plain mean over time and frequency and its map is exact (class activation mapping:
Zhou et al., "Learning deep features for discriminative localization", CVPR 2016). A stack of dilated
convolutions (Bai, Kolter & Koltun, "An empirical evaluation of generic convolutional and recurrent networks
for sequence modeling", arXiv:1803.01271, 2018) covers three seconds to either side and predicts where
breaths begin and end. Nothing in it reaches further than `reach_frames`, so that a recording of any length
can be processed in pieces without a trace of where they meet.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from laennec.labels import EVENT_FAMILY, SOUND_KINDS, SPRSOUND_EVENTS, SPRSOUND_RECORDS
from laennec.model.probability import EVIDENCE_FRAMES, FAMILIES, LITTLE_EVIDENCE
from laennec.models.resnet import ResidualBlock

STRIDES = ((2, 1), (2, 2), (2, 1), (1, 2), (1, 1))  # over bands and frames, of the stem and of each block
PRESENCE = ("presence", "onset", "offset")


class DilatedBlock(nn.Module):
    """A dilated convolution over time, added to its input."""

    def __init__(self, channels: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm1d(channels),
            nn.ReLU(True),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class SoundPatterns(nn.Conv1d):
    """A pattern of each source of sounds (`laennec.train.sound_patterns`), frame by frame.

    Attributes
    ----------
    kinds, sources
        Class of each pattern, of `laennec.labels.SOUND_KINDS`, and where its sounds are from.
    """

    kinds: tuple[str, ...]
    sources: tuple[str, ...]

    def __init__(self, width: int, kinds: Sequence[str], sources: Sequence[str]) -> None:
        super().__init__(width, len(kinds), 1)
        self.kinds, self.sources = tuple(kinds), tuple(sources)

    def get_extra_state(self) -> dict[str, list[str]]:
        return {"kinds": list(self.kinds), "sources": list(self.sources)}

    def set_extra_state(self, state: dict[str, list[str]]) -> None:
        self.kinds, self.sources = tuple(state["kinds"]), tuple(state["sources"])

    def kind_logits(self, logits: Tensor) -> Tensor:
        """Logits of `laennec.labels.SOUND_KINDS` of ``(batch, patterns)``: each that of all its patterns."""
        columns = [[own == kind for own in self.kinds] for kind in SOUND_KINDS]
        return torch.stack([logits[:, torch.tensor(own)].logsumexp(1) for own in columns], dim=1)


class RecordingNet(nn.Module):
    """From normalised log-mel images to predictions for every frame.

    ``(batch, 1, bands, frames) ->`` a mapping of, with T = ceil(frames / `time_stride`),

    - ``presence``: ``(batch, 3, T)`` logits of `PRESENCE`;
    - ``evidence``: ``(batch, classes, rows, T)``; its mean over rows and an event's frames, and over
      ``context``, are the event's logits;
    - ``context``: ``(batch, classes, T)``;
    - ``record``: ``(batch, 2 * records, T)``: attention logits, then values, see `pool`;
    - ``kind``: ``(batch, kinds, T)``, whose mean over time are the logits of the kind of sound; where the
      network has `patterns`, of each of these.
    """

    kind = "recording"

    def __init__(
        self,
        classes: int = len(SPRSOUND_EVENTS),
        image: tuple[int, int, int] = (1, 64, 0),
        channels: Sequence[int] = (16, 24, 40, 64, 64),
        width: int = 96,
        dilations: Sequence[int] = (1, 2, 4, 8, 16, 32),
        dropout: float = 0.1,
        records: int = len(SPRSOUND_RECORDS),
        kinds: int = len(SOUND_KINDS),
    ) -> None:
        super().__init__()
        over_bands = math.prod(stride[0] for stride in STRIDES)
        self.rows, rest_of_bands = divmod(image[1], over_bands)
        if rest_of_bands or not self.rows:
            raise ValueError(f"{image[1]} bands; the trunk needs a multiple of {over_bands}")
        self.time_stride = math.prod(stride[1] for stride in STRIDES)
        stem, *rest = channels
        self.stem = nn.Sequential(
            nn.Conv2d(image[0], stem, 3, STRIDES[0], 1, bias=False), nn.BatchNorm2d(stem), nn.ReLU(True)
        )
        self.trunk = nn.Sequential(
            *(
                ResidualBlock(channels_in, channels_out, stride)
                for channels_in, channels_out, stride in zip(channels, rest, STRIDES[1:], strict=False)
            )
        )
        last = channels[-1]
        self.drop = nn.Dropout(dropout)
        self.evidence = nn.Conv2d(last, classes, 1)
        self.squeeze = nn.Sequential(
            nn.Conv1d(last * self.rows, width, 1, bias=False), nn.BatchNorm1d(width), nn.ReLU(True)
        )
        self.context = nn.Sequential(*(DilatedBlock(width, dilation, dropout) for dilation in dilations))
        self.sizes = (len(PRESENCE), classes, 2 * records, kinds)
        self.heads = nn.Conv1d(width, sum(self.sizes), 1)
        self.patterns: SoundPatterns | None = None  # a finished training may have them
        # Frames of the prediction to either side that one depends on: the trunk's convolutions reach 2 at
        # the strides before them, rounded up; then the dilated ones.
        self.reach_frames = 4 + sum(dilations)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        features, hidden = self.features(image)
        presence, context, record, kind = self.heads(hidden).split(self.sizes, dim=1)
        if self.patterns is not None:
            kind = self.patterns(hidden)
        return {
            "presence": presence,
            "evidence": self.evidence(features),
            "context": context,
            "record": record,
            "kind": kind,
        }

    def features(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """What the trunk gives, and of it what all heads but the evidence take, ``(batch, width, T)``."""
        features = self.drop(self.trunk(self.stem(image)))
        return features, self.context(self.squeeze(features.flatten(1, 2)))

    def kind_layer(self) -> tuple[Tensor, Tensor]:
        """Weights ``(kinds, width)`` and biases ``(kinds,)`` that the training has for the kind of sound."""
        rows = slice(-self.sizes[-1], None)
        return self.heads.weight[rows, :, 0].detach(), self.heads.bias[rows].detach()  # type: ignore[index]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        weight = state_dict.get(f"{prefix}patterns.weight")
        if weight is not None and self.patterns is None:
            self.patterns = SoundPatterns(self.heads.in_channels, [""] * len(weight), [])
        super()._load_from_state_dict(state_dict, prefix, *rest)


def class_logits(output: dict[str, Tensor]) -> Tensor:
    """Logits of the classes of every frame, ``(batch, classes, T)``."""
    return output["evidence"].mean(2) + output["context"]


def pool(record: Tensor) -> Tensor:
    """Record logits ``(batch, records)``: values averaged over time with the weights of a softmax per class.

    Ilse, Tomczak & Welling, "Attention-based deep multiple instance learning", ICML 2018.
    """
    attention, values = record.chunk(2, dim=1)
    return (attention.softmax(2) * values).sum(2)


def kind_logits(network: nn.Module, kind: Tensor) -> Tensor:
    """Logits ``(batch, kinds)`` of the kinds of sound, of the output `kind` of a network."""
    patterns, logits = getattr(network, "patterns", None), kind.mean(2).float()
    return logits if patterns is None else patterns.kind_logits(logits)


def event_logits(logits: Tensor, events: Tensor) -> Tensor:
    """Mean class logits of events, ``(events, classes)``.

    Parameters
    ----------
    logits
        ``(batch, classes, T)``.
    events
        ``(events, 3)`` integers: place in the batch, first frame, one past the last.
    """
    sums = F.pad(logits.float().cumsum(2), (1, 0))
    row, first, last = events.unbind(1)
    return (sums[row, :, last] - sums[row, :, first]) / (last - first)[:, None]


def family_shares(labels: Sequence[str]) -> Tensor:
    """Which classes are continuous sounds and which discontinuous ones, ``(2, classes)`` 0 or 1."""
    return torch.tensor([[float(family in EVENT_FAMILY[label]) for label in labels] for family in FAMILIES])


def family_evidence(output: dict[str, Tensor], families: Tensor) -> Tensor:
    """Whether a recording has continuous and discontinuous sounds, from its frames: ``(batch, 2)`` in (0, 1).

    As `laennec.model.probability.family_evidence`, to be learnt.
    """
    classes = class_logits(output).softmax(1)
    there = torch.einsum("fc,bct->bft", families.to(classes), classes) * output["presence"][:, :1].sigmoid()
    there = F.avg_pool1d(there, EVIDENCE_FRAMES, 1, EVIDENCE_FRAMES // 2, count_include_pad=False)
    return ((there**2).sum(2) / (there.sum(2) + LITTLE_EVIDENCE)).clamp(1e-4, 1 - 1e-4)
