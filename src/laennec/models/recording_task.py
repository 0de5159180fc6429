"""What a network for whole recordings is trained for: where events are, what they are, what the recording is.

Presence, onset and offset are learnt frame by frame, classes event by event, the record label and the kind of
sound from the whole. What is not annotated adds nothing to the loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from laennec.features.augment import Augmentation, uniform
from laennec.features.base import Batch
from laennec.features.recording import RecordingLogMel
from laennec.labels import POOR_QUALITY, SPRSOUND_EVENTS
from laennec.model.probability import FAMILIES
from laennec.models.recording import (
    RecordingNet,
    class_logits,
    event_logits,
    family_evidence,
    family_shares,
    kind_logits,
    pool,
)
from laennec.models.tasks import among_allowed, augmented, laid_out, weighted_loss
from laennec.score.confusion import accuracy, challenge_scores, confusion_matrix
from laennec.score.ranking import average_precision

UNKNOWN = -1  # an index where nothing is annotated
EDGE_S = 0.15  # over which onset and offset fall to nothing: about what annotators differ by


@dataclass(frozen=True)
class RecordingTask:
    """Events and classes of whole recordings.

    Attributes
    ----------
    class_weights, record_weights
        ``(classes,)`` and ``(records,)`` weights of the losses.
    loss_weights
        Of presence, onset and offset, event class, record, kind of sound.
    labels
        Event classes.
    evidence_weight
        Of the record label that frames of the event classes tell (`family_evidence`).
    """

    front_end: RecordingLogMel
    records: tuple[str, ...]
    class_weights: Tensor
    record_weights: Tensor
    loss_weights: tuple[float, ...]
    augmentation: Augmentation
    labels: tuple[str, ...] = SPRSOUND_EVENTS
    evidence_weight: float = 0.0

    def frame_s(self, network: nn.Module) -> float:
        """Seconds from one frame of a prediction to the next."""
        assert isinstance(network.time_stride, int)
        return self.front_end.frame_s * network.time_stride

    def prepared(self, network: nn.Module, batch: Batch, generator: torch.Generator | None = None) -> Batch:
        varied = augmented(self.front_end, batch, self.augmentation, generator)
        return {**varied, "image": laid_out(varied["image"], network)}

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        output = network(batch["image"])
        return self.annotated_loss(
            {name: value.float() for name, value in output.items()}, batch, self.frame_s(network)
        )

    def annotated_loss(self, output: dict[str, Tensor], batch: Batch, frame_s: float) -> Tensor:
        """Loss of a batch's output by what is annotated of each recording."""
        frames, device = output["presence"].shape[2], output["presence"].device
        presence, edges, classes, records, kinds = self.loss_weights
        targets, known = frame_targets(batch, frames, frame_s), batch["placed"]
        by_frame = F.binary_cross_entropy_with_logits(output["presence"], targets, reduction="none")
        by_part = by_frame[known].mean((0, 2)) if known.any() else by_frame.mean((0, 2)) * 0
        loss = presence * by_part[0] + edges * by_part[1:].sum()
        if len(batch["spans"]):
            jitter_s = self.augmentation.boundary_jitter_s * uniform(-1, 1, *batch["spans"].shape)
            events = event_frames(batch, frames, frame_s, jitter_s.to(device))
            logits = event_logits(class_logits(output), events)
            target = among_allowed(logits, batch["classes"])
            loss = loss + classes * weighted_loss(logits, target, self.class_weights)
        record = batch["record"]
        logits = pool(output["record"])[record != UNKNOWN]
        target = F.one_hot(record[record != UNKNOWN], len(self.records)).float()
        loss = loss + records * weighted_loss(logits, target, self.record_weights)
        if self.evidence_weight:
            loss = loss + self.evidence_weight * self._evidence_loss(output, record)
        return loss + kinds * F.cross_entropy(output["kind"].mean(2), batch["kind"])

    def _evidence_loss(self, output: dict[str, Tensor], record: Tensor) -> Tensor:
        """Cross entropy of what the frames tell of continuous and discontinuous sounds."""
        families = [[float(family in label) for family in FAMILIES] for label in self.records]
        # Of a recording of poor quality nobody says what is in it.
        told = torch.tensor([label != POOR_QUALITY for label in self.records], device=record.device)
        known = (record != UNKNOWN) & told[record.clamp_min(0)]
        target = torch.tensor(families, device=record.device)[record.clamp_min(0)]
        evidence = family_evidence(output, family_shares(self.labels))
        each = F.binary_cross_entropy(evidence, target, reduction="none").mean(1)
        return (each * known).sum() / known.sum().clamp_min(1)

    def predictions(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Logits of each recording: ``presence`` and ``classes`` of every frame, ``record`` and ``kind``."""
        output = network(batch["image"])
        return {
            "presence": output["presence"].float(),
            "classes": class_logits(output).float(),
            "record": pool(output["record"]).float(),
            "kind": kind_logits(network, output["kind"]),
            "frame_s": torch.tensor(self.frame_s(network)),
        }

    def scores(self, predictions: Sequence[Any], batches: Sequence[Batch]) -> dict[str, float]:
        presence, covered = [], []
        for found, batch in zip(predictions, batches, strict=True):
            frames = found["presence"].shape[2]
            targets = frame_targets(batch, frames, float(found["frame_s"]))[batch["placed"], 0]
            covered.append((targets >= 0.5).flatten().numpy(force=True))
            presence.append(found["presence"][batch["placed"], 0].flatten().numpy(force=True))
        ranked = average_precision(np.concatenate(covered), np.concatenate(presence))
        record = torch.cat([batch["record"] for batch in batches])
        logits = torch.cat([found["record"] for found in predictions])[record != UNKNOWN]
        record = record[record != UNKNOWN]
        scores = {"average_precision": float(np.nan_to_num(ranked))}
        if len(record):
            annotated, predicted = (
                [self.records[k] for k in index.tolist()] for index in (record, logits.argmax(1))
            )
            confusion = confusion_matrix(annotated, predicted, self.records)
            scores["loss"] = float(F.cross_entropy(logits, record))
            scores |= challenge_scores(confusion, self.records)
            scores["accuracy"] = float(accuracy(confusion))
        return scores


def reach_frames(front_end: RecordingLogMel, network: RecordingNet) -> int:
    """Frames of a prediction to either side that one of them depends on."""
    return network.reach_frames + front_end.level_frames // network.time_stride + 2


def row_edges_hz(front_end: RecordingLogMel, network: RecordingNet) -> list[float]:
    """Edges of the rows of the evidence: of the bands that each is made of."""
    step = front_end.bands // network.rows
    centres = front_end.edges_hz[1:-1]
    inner = [(centres[k * step - 1] + centres[k * step]) / 2 for k in range(1, network.rows)]
    return [round(float(hz), 1) for hz in (front_end.edges_hz[0], *inner, front_end.edges_hz[-1])]


def frame_targets(batch: Batch, frames: int, frame_s: float) -> Tensor:
    """Presence, onset and offset of every frame, ``(batch, 3, frames)`` in [0, 1].

    Presence is the share of the frame that an event covers; onset and offset fall linearly to nothing over
    `EDGE_S` to either side.
    """
    device = batch["spans"].device
    at_s = (torch.arange(frames, device=device) + 0.5) * frame_s
    start_s, end_s = batch["spans"][:, :1], batch["spans"][:, 1:]
    covered = (
        torch.minimum(end_s, at_s + frame_s / 2) - torch.maximum(start_s, at_s - frame_s / 2)
    ) / frame_s
    parts = [covered, 1 - (at_s - start_s).abs() / EDGE_S, 1 - (at_s - end_s).abs() / EDGE_S]
    out = torch.zeros(len(batch["placed"]), 3, frames, device=device)
    index = batch["row"][:, None].expand(-1, frames)
    for number, part in enumerate(parts):
        out[:, number] = out[:, number].scatter_reduce(0, index, part.clamp(0, 1), "amax")
    return out


def event_frames(batch: Batch, frames: int, frame_s: float, jitter_s: Tensor) -> Tensor:
    """Events as :func:`laennec.models.recording.event_logits` takes them, with moved boundaries."""
    bounds = ((batch["spans"] + jitter_s) / frame_s).round().long()
    first = bounds[:, 0].clamp(0, frames - 1)
    last = torch.maximum(bounds[:, 1], first + 1).clamp(max=frames)
    return torch.stack([batch["row"], first, last], dim=1)
