"""From a trained `RecordingNet` to the one file that `laennec.model` reads."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from laennec.features.recording import RecordingLogMel
from laennec.files import write_text
from laennec.labels import SOUND_KINDS, SPRSOUND_EVENTS, SPRSOUND_RECORDS
from laennec.model.card import FORMAT, OUTPUTS, RECORDING
from laennec.models.recording import ROWS, TIME_STRIDE, RecordingNet
from laennec.train.export import write_model
from laennec.version import __version__


class DeployedRecordingModel(nn.Module):
    """Front end and network as one graph: ``(1, samples)`` to `OUTPUTS`."""

    def __init__(self, front_end: RecordingLogMel, network: RecordingNet) -> None:
        super().__init__()
        self.front_end, self.network = front_end, network

    def forward(self, waveform: Tensor) -> tuple[Tensor, ...]:
        answer = self.network(self.front_end(waveform))
        return tuple(answer[name] for name in OUTPUTS)


def reach_frames(front_end: RecordingLogMel, network: RecordingNet) -> int:
    """Frames of the answer to either side that one of them depends on."""
    return network.reach_frames + front_end.level_frames // TIME_STRIDE + 2


def row_edges_hz(front_end: RecordingLogMel) -> list[float]:
    """Edges of the rows of the evidence: of the bands that each is made of."""
    step = front_end.bands // ROWS
    centres = front_end.edges_hz[1:-1]
    inner = [(centres[k * step - 1] + centres[k * step]) / 2 for k in range(1, ROWS)]
    return [round(float(hz), 1) for hz in (front_end.edges_hz[0], *inner, front_end.edges_hz[-1])]


def export_recording(
    front_end: RecordingLogMel,
    network: RecordingNet,
    out: str | os.PathLike[str],
    told: Mapping[str, Any],
    name: str = RECORDING,
) -> Path:
    """Write the model file and, beside it, its card as text.

    Parameters
    ----------
    told
        Thresholds, temperatures, data, metrics and limits: the rest of
        :class:`laennec.model.recording_card.RecordingCard`.
    """
    out = Path(out)
    front_end.power.as_convolution = True
    module = DeployedRecordingModel(front_end, network).eval()
    metadata = {
        "format": FORMAT,
        "task": RECORDING,
        "name": name,
        "version": __version__,
        "labels": list(SPRSOUND_EVENTS),
        "normal": SPRSOUND_EVENTS[0],
        "records": list(SPRSOUND_RECORDS),
        "kinds": list(SOUND_KINDS),
        "sample_rate": front_end.sample_rate,
        "frame_samples": front_end.hop_length * TIME_STRIDE,
        "reach_frames": reach_frames(front_end, network),
        "edges_hz": row_edges_hz(front_end),
        **told,
    }
    example = {"waveform": torch.randn(1, 40_000) * 0.1}
    shapes = ({1: torch.export.Dim("samples", min=400)},)
    write_model(module, example, OUTPUTS, shapes, metadata, out)
    front_end.power.as_convolution = False
    write_text(
        out.with_suffix(".md"), render_recording_card(metadata, hashlib.sha256(out.read_bytes()).hexdigest())
    )
    return out


def render_recording_card(told: Mapping[str, Any], sha256: str) -> str:
    """The card as a page of Markdown."""
    data, metrics = told.get("data", {}), told.get("metrics", {})
    lines = [
        f"# Model {told['name']}",
        "",
        "Research software, not a medical device.",
        "",
        f"Finds respiratory events in recordings that nobody marked, names them "
        f"({', '.join(told['labels'])}), answers for the whole ({', '.join(told['records'])}) and "
        "refuses what does not sound like a lung.",
        "",
        f"- Version {told['version']}, SHA-256 `{sha256}`",
        f"- Sample rate {told['sample_rate']} Hz, an answer every "
        f"{1000 * told['frame_samples'] / told['sample_rate']:g} ms, from "
        f"{told['reach_frames'] * told['frame_samples'] / told['sample_rate']:g} s to either side",
        "",
        "## Data",
        "",
        *(f"- {key}: {value}" for key, value in data.items()),
        "",
        "## Measured",
        "",
        *(f"- {key}: {value}" for key, value in metrics.items()),
        "",
        "## Limits",
        "",
        str(told.get("limits", "")),
        "",
    ]
    return "\n".join(lines)
