"""The head of a model for whole recordings: the two layers that make logits of the event classes.

All that lies below them stays as it is, so what they are given can be heard once and kept. Logits are linear
in it, and an event's are a mean over its frames: few labelled events are enough to move them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from laennec.errors import LaennecError
from laennec.model.card import METADATA_KEY, OUTPUTS
from laennec.model.detector import Detector, Frames
from laennec.model.probability import Array
from laennec.model.session import Graph

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """A convolution of one frame: the tensor that it takes, its constants, and which of its rows count."""

    takes: str
    weight: str
    bias: str
    rows: slice


@dataclass(frozen=True, eq=False)
class Head:
    """Weights ``(classes, features)`` of evidence and of context, and biases ``(classes,)``."""

    evidence: Floats
    evidence_bias: Floats
    context: Floats
    context_bias: Floats

    @property
    def weights(self) -> Floats:
        """Of an event's features (`pooled`), ``(classes, features)``."""
        return np.concatenate([self.evidence, self.context], axis=1)

    @property
    def bias(self) -> Floats:
        """Of an event's logits, ``(classes,)``."""
        return self.evidence_bias + self.context_bias

    def changed(self, weights: Floats, bias: Floats) -> "Head":
        """With these `weights` and this `bias`; what the bias gains goes to that of the context."""
        evidence, context = np.split(weights, [self.evidence.shape[1]], axis=1)
        return Head(evidence, self.evidence_bias, context, bias - self.evidence_bias)

    def on(self, frames: Frames) -> Frames:
        """The frames of a model with this head, of frames that a `Listener` gave."""
        evidence = np.einsum("cf,frt->crt", self.evidence, frames.evidence.astype(np.float64))
        context = self.context @ frames.context.astype(np.float64)
        return replace(
            frames,
            evidence=(evidence + self.evidence_bias[:, None, None]).astype(np.float32),
            context=(context + self.context_bias[:, None]).astype(np.float32),
        )


def pooled(frames: Frames) -> Floats:
    """What is heard in all of the frames of an event together, ``(features,)``; of a `Listener`."""
    means = [frames.evidence.mean((1, 2), dtype=np.float64), frames.context.mean(1, dtype=np.float64)]
    return np.concatenate(means)


@dataclass(frozen=True, eq=False)
class Listener(Detector):
    """A detector whose frames have, in place of evidence and context, what its head makes them from.

    ``evidence`` is ``(features, 1, frames)``, a mean over the rows; ``context``, ``(features, frames)``.
    """

    layers: tuple[str, str] = ("", "")
    """The tensors that the head takes."""

    def run(self, samples: Array) -> dict[str, Array]:
        """As of a detector; LaennecError if the graph fails or gives a non-finite value."""
        named = dict(zip(OUTPUTS, OUTPUTS, strict=True)) | dict(
            zip(("evidence", "context"), self.layers, strict=True)
        )
        values = self.graph.run(list(named.values()), {"waveform": samples[None]})
        if not all(np.isfinite(value).all() for value in values):
            raise LaennecError(f"{self.source}: the model gave a non-finite value")
        outputs = {name: value[0] for name, value in zip(named, values, strict=True)}
        return outputs | {"evidence": outputs["evidence"].mean(1, keepdims=True)}


class AdaptableModel:
    """A model file with a head that can be replaced.

    LaennecError where its head is no such pair of layers, or there is no calibration to go by.
    """

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.card = detector.card
        self._model = onnx.load_from_string(detector.graph.content)
        self._constants = {each.name: each for each in self._model.graph.initializer}
        self._evidence, self._context = self.layer("evidence"), self.layer("context")
        weight, bias = self.values(self._evidence)
        more, more_bias = self.values(self._context)
        self.head = Head(weight, bias, more, more_bias)
        if not len(self.head.evidence) == len(self.head.context) == len(self.card.labels):
            raise self._strange("it has other classes than its card")

    def listener(self) -> Listener:
        """The model, to hear what its head is given."""
        graph = onnx.ModelProto()
        graph.CopyFrom(self._model)
        taken = (self._evidence.takes, self._context.takes)
        graph.graph.output.extend(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in taken
        )
        return Listener(self.card, Graph(graph.SerializeToString(), self.detector.source), None, taken)

    def with_head(self, head: Head, entries: Mapping[str, Any]) -> bytes:
        """The content of the file with another head, and these entries of its card in place of its own."""
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        constants = {each.name: each for each in model.graph.initializer}
        for layer, weight, bias in (
            (self._evidence, head.evidence, head.evidence_bias),
            (self._context, head.context, head.context_bias),
        ):
            for name, values in ((layer.weight, weight), (layer.bias, bias)):
                array = numpy_helper.to_array(constants[name]).copy()
                array[layer.rows] = values.reshape(array[layer.rows].shape)
                constants[name].CopyFrom(numpy_helper.from_array(array, name))
        return _with_card(model, self.detector, entries)

    def with_kinds(self, weight: Floats, bias: Floats, entries: Mapping[str, Any]) -> bytes:
        """The content of the file with ``(channels, features)`` weights of its output ``kind``.

        That output comes from a layer of its own then; all others stay as they are, to the last bit.
        `entries` of the card say what the channels are (``patterns``).
        """
        if self.card.patterns:
            raise self._strange("its sound classes have patterns already")
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        graph, output = model.graph, OUTPUTS[-1]
        for node in graph.node:
            node.output[:] = [f"{name}.before" if name == output else name for name in node.output]
        names = [f"{output}.weight", f"{output}.bias"]
        for name, values in zip(names, (weight[:, :, None], bias), strict=True):
            graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
        taken = self.layer(output).takes
        graph.node.append(onnx.helper.make_node("Conv", [taken, *names], [output], name=output))
        (shown,) = (each for each in graph.output if each.name == output)
        shown.type.tensor_type.shape.dim[1].dim_value = len(weight)
        return _with_card(model, self.detector, entries)

    def values(self, layer: Layer) -> tuple[Floats, Floats]:
        """Weights ``(rows, features)`` and biases ``(rows,)`` of a layer."""
        weight, bias = (
            numpy_helper.to_array(self._constants[name])[layer.rows].astype(np.float64)
            for name in (layer.weight, layer.bias)
        )
        return weight.reshape(len(weight), -1), bias

    def layer(self, output: str) -> Layer:
        """The layer that an output comes from: a convolution of single frames, or a part of one."""
        made = {name: node for node in self._model.graph.node for name in node.output}
        node, rows = made.get(output), slice(None)
        if node is not None and node.op_type == "Split" and len(node.input) == 2:
            sizes = self._constants.get(node.input[1])
            if sizes is None:
                raise self._strange(f"{output} is split by no constant")
            ends = numpy_helper.to_array(sizes).cumsum().tolist()
            place = list(node.output).index(output)
            rows = slice(ends[place - 1] if place else 0, ends[place])
            node = made.get(node.input[0])
        if node is None or node.op_type != "Conv" or len(node.input) != 3:
            raise self._strange(f"{output} comes from no convolution with a bias")
        takes, weight, bias = node.input
        if not {weight, bias} <= self._constants.keys() or set(self._constants[weight].dims[2:]) != {1}:
            raise self._strange(f"{output} comes from a convolution of more than one frame")
        users = [each for each in self._model.graph.node if {weight, bias} & set(each.input)]
        if len(users) != 1:
            raise self._strange(f"the layer of {output} is used twice")
        return Layer(takes, weight, bias, rows)

    def _strange(self, why: str) -> LaennecError:
        return LaennecError(f"{self.detector.source}: its head cannot be adapted: {why}")


def _with_card(model: onnx.ModelProto, detector: Detector, entries: Mapping[str, Any]) -> bytes:
    """The content of a model with the card of a detector, and these entries of it in place of its own."""
    card = json.loads(detector.graph.metadata or "{}") | dict(entries)
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(card, ensure_ascii=False)})
    content: bytes = model.SerializeToString()
    return content
