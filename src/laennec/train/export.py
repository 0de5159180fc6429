"""From a run folder to the one file that ships: waveform and metadata in, calibrated probabilities out.

``docs/model-file.md`` is the contract; `laennec.model` reads it.
"""

import hashlib
import json
import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from laennec.errors import LaennecError
from laennec.files import write_text, written_whole
from laennec.labels import POSITIONS, SEXES
from laennec.model.card import CENTRE, FORMAT, INPUTS, METADATA_KEY, OUTPUT
from laennec.model.load import RUN_MODEL
from laennec.train.build import build_parts
from laennec.train.card import render_card
from laennec.train.features import CycleLogMel, EventLogMel, FrontEnd, PowerSpectrum
from laennec.train.recipe import Recipe, recipe_from_dict, recipe_to_dict
from laennec.version import __version__

OPSET = 18


class FitLength(nn.Module):
    """Bring clips to one length inside the graph, as `segment.fit_length` does outside.

    ``(batch, samples)``, ``(batch,)`` valid samples and the first of them ``-> (batch, clip_samples)``.
    """

    def __init__(self, clip_samples: int, padding: str) -> None:
        super().__init__()
        self.padding = padding
        self.register_buffer("index", torch.arange(clip_samples)[None], persistent=False)

    def forward(self, waveform: Tensor, length: Tensor, first: Tensor | None = None) -> Tensor:
        count = length[:, None]
        offset = 0 if first is None else first[:, None]
        index: Tensor = self.index  # type: ignore[assignment]
        if self.padding == "tile":
            return waveform.gather(1, index % count + offset)
        if self.padding == "sample":
            # Backwards from the last sample, then forwards again: a triangle of period 2n.
            position = index % (2 * count)
            return waveform.gather(1, torch.minimum(position, 2 * count - 1 - position) + offset)
        inside = index < count
        return waveform.gather(1, torch.minimum(index, count - 1) + offset) * inside.to(waveform.dtype)


class FitParts(nn.Module):
    """Split a cycle into phases and fit each part inside the graph, as `segment.fit_parts` does.

    ``(batch, samples)`` and ``(batch,)`` valid samples ``-> (batch, samples of all parts)``. Phases are told
    apart by the ratio: a model file is given sound alone, no airflow.
    """

    def __init__(self, front_end: CycleLogMel, padding: str) -> None:
        super().__init__()
        self.inputs, self.ratio = front_end.inputs, front_end.ratio
        self.parts = nn.ModuleList(FitLength(length, padding) for length in front_end.part_samples)

    def forward(self, waveform: Tensor, length: Tensor) -> Tensor:
        # In double precision, or the boundary of a long cycle would be rounded to another sample.
        whole = torch.maximum(length, torch.full_like(length, 2))
        inspiration = (whole.double() * self.ratio + 0.5).floor().long()
        inspiration = torch.minimum(inspiration.clamp_min(1), whole - 1)
        bounds = {
            "cycle": (torch.zeros_like(length), length),
            "inspiration": (torch.zeros_like(length), torch.minimum(inspiration, length)),
            "expiration": (torch.minimum(inspiration, length - 1), (length - inspiration).clamp_min(1)),
        }
        return torch.cat(
            [
                fit(waveform, bounds[name][1], bounds[name][0])
                for name, fit in zip(self.inputs, self.parts, strict=True)
            ],
            dim=1,
        )


class PlaceEvent(nn.Module):
    """Lay the window around a clip inside the graph, as `segment.place` does outside.

    ``(batch, samples)``, ``(batch,)`` valid samples ``-> (batch, clip_samples)`` and ``(batch, 2)`` bounds.
    """

    def __init__(self, clip_samples: int) -> None:
        super().__init__()
        self.clip_samples = clip_samples
        self.register_buffer("index", torch.arange(clip_samples)[None], persistent=False)

    def forward(self, waveform: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        index: Tensor = self.index  # type: ignore[assignment]
        begin = torch.div(length, 2, rounding_mode="floor") - self.clip_samples // 2
        position = (index + begin[:, None]).clamp_min(0)
        heard = waveform.gather(1, torch.minimum(position, length[:, None] - 1))
        return heard, torch.stack([-begin, length - begin], dim=1)


class DeployedModel(nn.Module):
    """Fit to length, front end, network and calibrated softmax as one graph."""

    def __init__(self, fit: nn.Module, front_end: nn.Module, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.fit, self.front_end, self.network = fit, front_end, network
        self.temperature = temperature

    def forward(
        self, waveform: Tensor, length: Tensor, age_years: Tensor, sex: Tensor, position: Tensor
    ) -> Tensor:
        fitted = self.fit(waveform, length)
        image = self.front_end(*fitted) if isinstance(fitted, tuple) else self.front_end(fitted)
        return (self.network(image, age_years, sex, position) / self.temperature).softmax(1)


def fitting(front_end: FrontEnd, padding: str) -> nn.Module:
    """What brings a clip to the length, or to the parts, that a front end takes."""
    if isinstance(front_end, CycleLogMel):
        return FitParts(front_end, padding)
    if isinstance(front_end, EventLogMel):
        return PlaceEvent(front_end.clip_samples)
    return FitLength(front_end.clip_samples, padding)


def read_run(run: str | os.PathLike[str]) -> tuple[Recipe, FrontEnd, nn.Module, float]:
    """Recipe, front end, network and temperature of a finished run.

    Raises
    ------
    LaennecError
        If the folder is not a finished run.
    """
    path = Path(run) / "model.pt"
    if not path.exists():
        started = (Path(run) / "recipe.json").exists()
        raise LaennecError(
            f"{run} is an unfinished run; go on with it by the command that started it"
            if started
            else f"{run} is not a run folder: it has no model.pt"
        )
    saved = torch.load(path, map_location="cpu", weights_only=True)
    recipe = recipe_from_dict(saved["recipe"], str(path))
    front_end, network = build_parts(recipe)
    front_end.load_state_dict(saved["front_end"])
    network.load_state_dict(saved["network"])
    return recipe, front_end.eval(), network.eval(), saved["temperature"]


def deployed(run: str | os.PathLike[str]) -> DeployedModel:
    """The PyTorch model of a run: the reference that its exported file is held to."""
    recipe, front_end, network, temperature = read_run(run)
    return DeployedModel(fitting(front_end, recipe.padding), front_end, network, temperature).eval()


def export(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    temperature: float | None = None,
    card: dict[str, Any] | None = None,
) -> Path:
    """Write a run's best checkpoint as one ``.onnx`` file with its model card inside, and beside it as text.

    Parameters
    ----------
    out
        Defaults to ``model.onnx`` in the run folder.
    temperature
        In place of the run's own, for a model trained on everything, whose calibration comes from the run
        that selected it.
    card
        Entries of the metadata (``data``, ``metrics``, ``limits``) in place of those in the run's
        ``card.json``.
    """
    if temperature is not None and temperature <= 0:
        raise LaennecError(f"temperature is {temperature:g}; it divides the logits and must be above 0")
    recipe, front_end, network, fitted = read_run(run)
    temperature = fitted if temperature is None else temperature
    out = Path(out) if out else Path(run) / RUN_MODEL
    for part in front_end.modules():
        if isinstance(part, PowerSpectrum):
            part.as_convolution = True
    module = DeployedModel(fitting(front_end, recipe.padding), front_end, network, temperature).eval()
    cycles = isinstance(front_end, CycleLogMel)
    window_s = front_end.clip_samples / front_end.sample_rate
    told = Path(run) / "card.json"
    if card is None and told.exists():
        card = json.loads(told.read_text(encoding="utf-8"))
    metadata = {
        "format": FORMAT,
        "name": recipe.name,
        "task": "cycle" if cycles else "event",
        "labels": list(recipe.labels),
        "normal": recipe.labels[0],
        "sample_rate": front_end.sample_rate,
        "clip_samples": front_end.clip_samples,
        "padding": CENTRE if isinstance(front_end, EventLogMel) else recipe.padding,
        "sexes": list(SEXES),
        "positions": list(POSITIONS),
        "temperature": temperature,
        "uses_metadata": any("metadata" in name for name, _ in network.named_modules()),
        # SPRSound's events last 1.3 s on average, ICBHI's cycles 2.7 s; a longer window would hold several.
        "window_s": min(2.7 if cycles else 1.5, window_s),
        "hop_s": min(0.9 if cycles else 0.5, window_s / 3),
        "version": __version__,
        "recipe": recipe_to_dict(recipe),
        **(card or {}),
    }
    samples = front_end.clip_samples
    example = (
        torch.randn(2, samples // 2) * 0.1,
        torch.tensor([samples // 2, samples // 4]),
        torch.tensor([4.5, float("nan")]),
        torch.tensor([1, 0]),
        torch.tensor([2, 0]),
    )
    batch, length = torch.export.Dim("batch", min=1), torch.export.Dim("samples", min=1)
    write_model(
        module,
        dict(zip(INPUTS, example, strict=True)),
        [OUTPUT],
        ({0: batch, 1: length}, {0: batch}, {0: batch}, {0: batch}, {0: batch}),
        metadata,
        out,
    )
    write_text(out.with_suffix(".md"), render_card(metadata, hashlib.sha256(out.read_bytes()).hexdigest()))
    return out


def strip(graph: onnx.GraphProto) -> None:
    """Take out the exporter's notes: stack traces, with the paths of the machine that it ran on."""
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def write_model(
    module: nn.Module,
    example: Mapping[str, Tensor],
    outputs: Sequence[str],
    dynamic_shapes: Any,
    metadata: Mapping[str, Any],
    out: Path,
) -> None:
    """Write a module as a model file, whole or not at all, with its card's entries in it.

    Parameters
    ----------
    example
        What the module takes, by the names that its inputs get.
    outputs
        Names of what it gives.
    dynamic_shapes
        Axes whose length may differ, as :func:`torch.export.export` takes them.
    """
    with written_whole(out) as temporary:
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                tuple(example.values()),
                temporary,
                input_names=list(example),
                output_names=list(outputs),
                dynamic_shapes=dynamic_shapes,
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        graph = onnx.load(temporary)
        strip(graph.graph)
        onnx.helper.set_model_props(graph, {METADATA_KEY: json.dumps(metadata, ensure_ascii=False)})
        graph.producer_name, graph.producer_version = "laennec", __version__
        onnx.save(graph, temporary)
