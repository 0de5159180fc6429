"""From a trained network for windows to integers of 8 bits (`laennec.model.integer`).

Batch norms go into the convolutions before them. Weights have a scale for each output, by their largest
value; activations have the one that their limits give, so that no recording is needed to find it. Jacob et
al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference", CVPR
2018.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from laennec.errors import LaennecError
from laennec.features.window import WindowLogMel
from laennec.labels import WINDOW_LABELS
from laennec.model.card import WINDOW
from laennec.model.integer import (
    FORMAT,
    LEVELS,
    LIMIT,
    MOST_DEVIATIONS,
    FrontEndTables,
    IntegerModel,
    Layer,
    quantised_scale,
)
from laennec.models.window import SeparableBlock, WindowNet
from laennec.train.recipe import Recipe
from laennec.train.weights import read_run
from laennec.version import __version__

STEP = LIMIT / LEVELS  # of an activation
IMAGE_STEP = MOST_DEVIATIONS / 127
UNDECIDED = {"slopes": [1.0, 1.0], "offsets": [0.0, 0.0], "thresholds": [0.5, 0.5]}


def integer_model(
    network: nn.Module, front_end: WindowLogMel, recipe: Recipe, entries: Mapping[str, Any]
) -> IntegerModel:
    """A trained network in integers; `entries` are those of its card, and of its decision if there is any."""
    if not isinstance(network, WindowNet):
        raise LaennecError(
            f"recipe {recipe.name}: {type(network).__name__} cannot be written in integers; the network for "
            'windows (kind = "window") can'
        )
    network = network.eval()
    stem = _layer(network.stem, network.stem_norm, IMAGE_STEP)
    blocks = []
    for block in network.blocks:
        assert isinstance(block, SeparableBlock)
        depthwise = _layer(block.depthwise, block.depthwise_norm, STEP)
        blocks.append((depthwise, _layer(block.pointwise, block.pointwise_norm, STEP)))
    metadata = {
        "format": FORMAT,
        "task": WINDOW,
        "name": recipe.name,
        "version": __version__,
        "labels": list(WINDOW_LABELS),
        "sample_rate": front_end.sample_rate,
        "clip_samples": front_end.clip_samples,
        "n_fft": front_end.power.n_fft,
        "hop_length": front_end.hop_length,
        "bands": front_end.bands,
        "frames": front_end.frames,
        "channels": front_end.channels,
        "strides": [list(stride) for stride in network.strides],
        **UNDECIDED,
        **entries,
    }
    filters = front_end.mel.T.double().numpy()
    model = IntegerModel(
        metadata, FrontEndTables.of(filters, front_end.power.n_fft), stem, blocks, *_head(network, metadata)
    )
    _check_sums(model)
    return model


def integer_model_of_run(run: Path, entries: Mapping[str, Any] = {}) -> IntegerModel:
    """The network of a finished run, or fold, in integers."""
    recipe, front_end, network, _ = read_run(run)
    if not isinstance(front_end, WindowLogMel):
        raise LaennecError(f"{run}: a run of {recipe.name}, which is no model for windows")
    return integer_model(network, front_end, recipe, entries)


def _layer(convolution: nn.Module, norm: nn.Module, input_step: float) -> Layer:
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_var is not None
    assert norm.running_mean is not None
    with torch.no_grad():
        gain = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
        weight = (convolution.weight.double() * gain[:, None, None, None]).numpy()
        bias = (norm.bias.double() - norm.running_mean.double() * gain).numpy()
    scale = np.maximum(np.abs(weight).max((1, 2, 3)), 1e-9) / 127
    integers = np.rint(weight / scale[:, None, None, None]).astype(np.int8)
    if convolution.groups > 1:
        integers = integers[:, 0]
    elif integers.shape[2] == 1:
        integers = integers[:, :, 0, 0]
    else:
        integers = integers.transpose(0, 2, 3, 1)
    in_bias = np.clip(np.rint(bias / (scale * input_step)), -(2**30), 2**30).astype(np.int32)
    return Layer(integers, in_bias, *quantised_scale(scale * input_step / STEP))


def _head(network: WindowNet, metadata: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Weights, biases and scales of the linear layer over sums in place of means."""
    cells = np.array([metadata["bands"], metadata["frames"]])
    for stride in metadata["strides"]:
        cells = -(-cells // np.array(stride))
    weight, bias = (own.detach().double().numpy() for own in (network.head.weight, network.head.bias))
    scale = np.maximum(np.abs(weight).max(1), 1e-9) / 127
    of_sum = scale * STEP / cells.prod()
    in_bias = np.clip(np.rint(bias / of_sum), -(2**30), 2**30).astype(np.int32)
    return np.rint(weight / scale[:, None]).astype(np.int8), in_bias, of_sum.astype(np.float32)


def _check_sums(model: IntegerModel) -> None:
    """LaennecError if a sum of products might not fit 32 bits, or be beyond exact single precision."""
    bands, frames, _ = model.map_sizes()[-1]
    largest = (np.abs(model.head.astype(np.int64)).sum(1) * LEVELS * bands * frames).max()
    if largest + 2**30 >= 2**31:
        raise LaennecError(f"sums of up to {largest} do not fit 32 bits; choose fewer channels")
    for _, pointwise in model.blocks:
        if np.abs(pointwise.weight.astype(np.int64)).sum(1).max() * LEVELS >= 2**24:
            raise LaennecError("a sum of products is beyond 2 ** 24; choose fewer channels")
