"""Biases of a network in eight bits, corrected so that every convolution gives the mean that it gave before.

Rounding weights and activations moves the mean of what a convolution gives, by another amount in each
channel, and such shifts add up on the way through a network. They are measured on recordings and taken from
the bias, layer by layer, each with the corrections of those before it (Nagel et al., "Data-free quantization
through weight equalization and bias correction", ICCV 2019, section 4.2, by its empirical form).
"""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from laennec.model.session import quiet_session
from laennec.progress import track

Sound = NDArray[np.float32]
LONGEST_S = 20.0  # of a recording


def correct_biases(
    small: onnx.ModelProto, exact: onnx.ModelProto, convolutions: Sequence[str], sounds: Sequence[Sound]
) -> None:
    """Correct the biases of some convolutions of `small`, by their names in the order of the graph.

    `exact` is the model that it was made of. A recording has the weight of one, whatever its length.
    """
    outputs = {node.name: node.output[0] for node in exact.graph.node if node.name in set(convolutions)}
    wanted = means(exact, list(outputs.values()), sounds)
    for name, output in track(list(outputs.items()), "correcting biases"):
        bias, scale = _bias_of(small.graph, name)
        apart = means(small, [output], sounds)[output] - wanted[output]
        values = numpy_helper.to_array(bias)
        moved = values - (apart if scale is None else np.rint(apart / scale))
        bias.CopyFrom(numpy_helper.from_array(moved.astype(values.dtype), bias.name))


def means(
    model: onnx.ModelProto, outputs: Sequence[str], sounds: Sequence[Sound]
) -> dict[str, NDArray[np.float64]]:
    """Mean of each channel of values within a graph, ``(channels,)`` each, over sounds of equal weight."""
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    del tapped.graph.output[:]
    tapped.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs
    )
    _keep_needed(tapped.graph)
    session = quiet_session(tapped.SerializeToString())
    found = [
        [np.moveaxis(value, 1, 0).reshape(value.shape[1], -1).mean(1, dtype=np.float64) for value in values]
        for values in (session.run(list(outputs), {"waveform": sound[None]}) for sound in sounds)
    ]
    return {name: np.mean(own, axis=0) for name, own in zip(outputs, zip(*found, strict=True), strict=True)}


def _keep_needed(graph: onnx.GraphProto) -> None:
    """Remove the nodes that no output needs: a session would run them all."""
    needed, kept = {output.name for output in graph.output}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed.update(node.input)
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))


def _bias_of(graph: onnx.GraphProto, name: str) -> tuple[onnx.TensorProto, NDArray[np.float32] | None]:
    """The constant that is a convolution's bias, and its scales where it is in whole numbers."""
    constants = {own.name: own for own in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    (node,) = (node for node in graph.node if node.name == name)
    if (place := node.input[2]) in constants:
        return constants[place], None
    bias, scale, *_ = makers[place].input
    return constants[bias], numpy_helper.to_array(constants[scale])
