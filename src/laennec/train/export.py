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

from laennec.errors import LaennecError, UsageError
from laennec.features.base import FrontEnd
from laennec.features.window import WindowLogMel
from laennec.files import begins, has_content, read_json, refuse_loss, write_text, written_whole
from laennec.labels import POSITIONS, SEXES, SOUND_KINDS
from laennec.model.card import BREATHS, FORMAT, INPUTS, METADATA_KEY, OUTPUT, OUTPUTS, RECORDING
from laennec.model.integer import RUN_INTEGERS, ZIP_START, IntegerModel, save_integer_model
from laennec.model.load import ONNX_START, RUN_MODEL
from laennec.model.phases import OUTPUT as PHASE_OUTPUT
from laennec.model.phases import STATES
from laennec.models.recording_task import reach_frames, row_edges_hz
from laennec.train.card import render_card, render_phase_card, render_recording_card, render_window_card
from laennec.train.export_lstm import TRANSLATIONS, with_one_operator
from laennec.train.integer import integer_model
from laennec.train.jobs import ExportJob
from laennec.train.recipe import Recipe, recipe_to_dict
from laennec.train.recording_decision import RecordingDecision
from laennec.train.weights import read_entries, read_run
from laennec.version import __version__

OPSET = 18


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


class DeployedPhaseModel(nn.Module):
    """Front end and network as one graph: ``(1, samples)`` to logits ``(1, 3, frames)``."""

    def __init__(self, front_end: nn.Module, network: nn.Module) -> None:
        super().__init__()
        self.front_end, self.network = front_end, network

    def forward(self, waveform: Tensor) -> Tensor:
        logits: Tensor = self.network(self.front_end(waveform))
        return logits


class DeployedRecordingModel(nn.Module):
    """Front end and network as one graph: ``(1, samples)`` to `OUTPUTS`."""

    def __init__(self, front_end: nn.Module, network: nn.Module) -> None:
        super().__init__()
        self.front_end, self.network = front_end, network

    def forward(self, waveform: Tensor) -> tuple[Tensor, ...]:
        output = self.network(self.front_end(waveform))
        return tuple(output[name] for name in OUTPUTS)


def deployed(run: str | os.PathLike[str]) -> DeployedModel:
    """The PyTorch model of a run: the reference that its exported file is held to."""
    recipe, front_end, network, temperature = read_run(run)
    return DeployedModel(front_end.fitting(recipe.padding), front_end, network, temperature).eval()


def export_run(job: ExportJob) -> Path:
    """Write the model file that a job of `laennec export` asks for, and return its path."""
    if not job.model:
        raise UsageError("name the run folder of `laennec train` to export")
    return export(job.model, job.out, temperature=job.temperature)


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
        Defaults to ``model.onnx`` in the run folder, of a model for windows to ``model.npz``.
    temperature
        In place of the run's own, for a model trained on everything, whose calibration comes from the run
        that selected it.
    card
        Entries of the metadata (``data``, ``metrics``, ``limits``) in place of those in the run's
        ``card.json``.
    """
    if temperature is not None and not 1e-12 <= temperature <= 1e12:
        raise LaennecError(
            f"temperature is {temperature:g}; it divides the logits and must be above 0, from 1e-12 to 1e12"
        )
    recipe, front_end, network, fitted = read_run(run)
    refuse_model_loss(out, isinstance(front_end, WindowLogMel))
    entries = {**read_entries(Path(run)), **_card_of(Path(run), card)}
    if isinstance(front_end, WindowLogMel):
        return _write_integers(integer_model(network, front_end, recipe, entries), Path(run), out)
    out = Path(out) if out else Path(run) / RUN_MODEL
    common = {
        "format": FORMAT,
        "name": recipe.name,
        "task": front_end.task,
        "labels": list(recipe.labels),
        "normal": recipe.labels[0],
        "sample_rate": front_end.sample_rate,
    }
    front_end.for_export()
    with_one_operator(network)
    if front_end.task == BREATHS:
        metadata = {**common, **_phase_entries(recipe, front_end, network), **entries}
        _write_frames(DeployedPhaseModel(front_end, network), [PHASE_OUTPUT], metadata, out)
        text = render_phase_card
    elif front_end.task == RECORDING:
        metadata = {**common, **_recording_entries(recipe, front_end, network), **entries}
        _write_frames(DeployedRecordingModel(front_end, network), OUTPUTS, metadata, out)
        text = render_recording_card
    else:
        temperature = fitted if temperature is None else temperature
        module: nn.Module = DeployedModel(
            front_end.fitting(recipe.padding), front_end, network, temperature
        ).eval()
        metadata = {**common, **_clip_entries(recipe, front_end, network, temperature), **entries}
        _write_clip_model(module, front_end.clip_samples, metadata, out)
        text = render_card
    write_text(out.with_suffix(".md"), text(metadata, hashlib.sha256(out.read_bytes()).hexdigest()))
    return out


def refuse_model_loss(out: str | os.PathLike[str] | None, integers: bool = False) -> None:
    """LaennecError where a model file or its card would replace what is none; None is a run's own place."""
    if out is None:
        return
    refuse_loss(out, begins(ZIP_START if integers else ONNX_START))
    refuse_loss(Path(out).with_suffix(".md"), begins(b"# Model "))


def _write_integers(model: IntegerModel, run: Path, out: str | os.PathLike[str] | None) -> Path:
    """Write a model for windows, which is no ONNX file, with its card beside it."""
    path = Path(out) if out else run / RUN_INTEGERS
    save_integer_model(model, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    write_text(path.with_suffix(".md"), render_window_card(model, digest))
    return path


def _card_of(run: Path, card: dict[str, Any] | None) -> dict[str, Any]:
    path = run / "card.json"
    if card is None and has_content(path):
        return read_json(path, "delete it, and the command that trained the run makes it anew")
    return card or {}


def _recipe_entry(recipe: Recipe) -> dict[str, Any]:
    """The recipe, with files of its own by their names and not by the folders of a computer."""
    table = recipe_to_dict(recipe)
    for part in ("front_end", "model"):
        place, colon, name = str(table[part]["kind"]).rpartition(":")
        table[part] = {**table[part], "kind": f"{Path(place).name}{colon}{name}"}
    return table


def _clip_entries(
    recipe: Recipe, front_end: FrontEnd, network: nn.Module, temperature: float
) -> dict[str, Any]:
    window_s = front_end.clip_samples / front_end.sample_rate
    return {
        "clip_samples": front_end.clip_samples,
        "padding": front_end.placement or recipe.padding,
        "sexes": list(SEXES),
        "positions": list(POSITIONS),
        "temperature": temperature,
        "uses_metadata": any("metadata" in name for name, _ in network.named_modules()),
        "window_s": min(front_end.window_s, window_s),
        "hop_s": min(front_end.window_hop_s, window_s / 3),
        "version": __version__,
        "recipe": _recipe_entry(recipe),
    }


def _recording_entries(recipe: Recipe, front_end: Any, network: Any) -> dict[str, Any]:
    patterns = getattr(network, "patterns", None)
    told = {"patterns": list(patterns.kinds), "pattern_sources": list(patterns.sources)} if patterns else {}
    return {
        "version": __version__,
        "records": list(recipe.records),
        "kinds": list(SOUND_KINDS),
        "frame_samples": front_end.hop_length * network.time_stride,
        "reach_frames": reach_frames(front_end, network),
        "edges_hz": row_edges_hz(front_end, network),
        "recipe": _recipe_entry(recipe),
        **told,
        **RecordingDecision().entries(),
    }


def _phase_entries(recipe: Recipe, front_end: Any, network: Any) -> dict[str, Any]:
    return {
        "version": __version__,
        "labels": list(STATES),
        "normal": STATES[0],  # none of them is abnormal
        "frame_samples": front_end.hop_length * network.time_stride,
        "reach_frames": reach_frames(front_end, network),
        "recipe": _recipe_entry(recipe),
    }


def _write_frames(module: nn.Module, outputs: Sequence[str], metadata: Mapping[str, Any], out: Path) -> None:
    """Write a model that takes sound of any length, and answers for every frame."""
    example = {"waveform": torch.randn(1, 5 * int(metadata["sample_rate"])) * 0.1}
    shapes = ({1: torch.export.Dim("samples", min=metadata["frame_samples"])},)
    write_model(module.eval(), example, outputs, shapes, metadata, out)


def _write_clip_model(module: nn.Module, samples: int, metadata: Mapping[str, Any], out: Path) -> None:
    example = (
        torch.randn(2, samples // 2) * 0.1,
        torch.tensor([samples // 2, samples // 4]),
        torch.tensor([4.5, float("nan")]),
        torch.tensor([1, 0]),
        torch.tensor([2, 0]),
    )
    batch, length = torch.export.Dim("batch", min=1), torch.export.Dim("samples", min=1)
    shapes = ({0: batch, 1: length}, {0: batch}, {0: batch}, {0: batch}, {0: batch})
    write_model(module, dict(zip(INPUTS, example, strict=True)), [OUTPUT], shapes, metadata, out)


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
                custom_translation_table=TRANSLATIONS,
                external_data=False,
                verbose=False,
            )
        graph = onnx.load(temporary)
        strip(graph.graph)
        onnx.helper.set_model_props(graph, {METADATA_KEY: json.dumps(metadata, ensure_ascii=False)})
        graph.producer_name, graph.producer_version = "laennec", __version__
        onnx.save(graph, temporary)
