"""ONNX Runtime: a graph that is opened once, checked against its card, run, and pickled."""

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from laennec.errors import LaennecError
from laennec.model.card import METADATA_KEY, ModelCard, Shape
from laennec.model.program import check_program

_CODE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")


class Graph:
    """The graph of a model file, ready to run. A pickled one opens the same content again.

    It has the file's path as `source`, its `content` and SHA-256, and Laennec's part of its metadata, None
    where there is none. What the graph may do is checked, unless its SHA-256 is one of `checked`.
    """

    def __init__(
        self,
        content: bytes,
        source: str,
        threads: int = 1,
        checked: Collection[str] = (),
        sha256: str | None = None,
    ) -> None:
        self.sha256 = sha256 or hashlib.sha256(content).hexdigest()
        try:
            if self.sha256 not in checked:
                check_program(content, source)
            self._session = quiet_session(content, threads)
            # Names and metadata that are no UTF-8 fail here.
            self._inputs, self._outputs = self._session.get_inputs(), self._session.get_outputs()
            _ = [(node.name, node.shape) for node in (*self._inputs, *self._outputs)]
            self.metadata: str | None = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        except _runtime_errors() as error:
            raise LaennecError(
                f"{source}: not an ONNX model that ONNX Runtime {onnxruntime.__version__} can load "
                f"({_first_line(error)})"
            ) from error
        self.content, self._threads = content, threads  # ONNX Runtime holds the content too: no copy
        self.source = source

    def __reduce__(self) -> "tuple[Callable[..., Graph], tuple[bytes, str, int]]":
        return Graph, (self.content, self.source, self._threads)

    def check(self, card: ModelCard) -> None:
        """Refuse a graph that does not take or give what its card says."""
        inputs = {node.name: node.type for node in self._inputs}
        if inputs != card.inputs:
            raise LaennecError(
                f"{self.source}: the model takes {_listed(inputs)}; "
                f"a Laennec model takes {_listed(card.inputs)}"
            )
        outputs = {node.name: node for node in self._outputs}
        for name, expected in card.outputs.items():
            if name not in outputs or outputs[name].type != "tensor(float)":
                raise LaennecError(
                    f"{self.source}: the model gives {', '.join(outputs)}, not {name} as tensor(float)"
                )
            shape = tuple(n if isinstance(n, int) else None for n in outputs[name].shape)
            if shape and not fits(shape, expected):
                raise LaennecError(
                    f"{self.source}: {name} has the shape {_shown(outputs[name].shape)}; "
                    f"by its metadata it is {_shown(expected)}"
                )

    def run(self, outputs: Sequence[str], inputs: Mapping[str, npt.NDArray[Any]]) -> list[Any]:
        """What the graph computes, an array for each of `outputs`; LaennecError if it fails."""
        try:
            return [np.asarray(value) for value in self._session.run(list(outputs), dict(inputs))]
        except _runtime_errors() as error:
            raise LaennecError(f"{self.source}: the model failed ({_first_line(error)})") from error


def quiet_session(content: bytes, threads: int = 1) -> onnxruntime.InferenceSession:
    """A session of ONNX Runtime that prints nothing and leaves the processor alone while it waits."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised; the same text on stderr would be noise
    # Waiting threads that spin take processor time from other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.load_model_format", "ONNX")  # no other is checked
    return onnxruntime.InferenceSession(
        content,
        options,
        providers=["CPUExecutionProvider"],
        enable_fallback=0,  # it prints
    )


@dataclass(frozen=True, eq=False)
class Model:
    """A model file, ready to run. It can be pickled. `card` is what the file says."""

    card: ModelCard
    graph: Graph = field(repr=False)

    @property
    def sha256(self) -> str:
        """Of the file, 64 hexadecimal digits: names the model in every result."""
        return self.graph.sha256

    @property
    def source(self) -> str:
        """The file's path, for messages."""
        return self.graph.source


def fits(shape: Shape, expected: Shape) -> bool:
    """Whether lengths agree wherever both are known."""
    return len(shape) == len(expected) and all(
        here is None or there is None or here == there for here, there in zip(shape, expected, strict=True)
    )


def _shown(shape: Sequence[Any]) -> str:
    return f"({', '.join('any' if n is None else str(n) for n in shape)})"


def _listed(kinds: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in kinds.items())


def _runtime_errors() -> tuple[type[Exception], ...]:
    """ONNX Runtime's exceptions, which have no common base but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    classes = (value for value in vars(state).values() if isinstance(value, type))
    return (RuntimeError, ValueError, *(each for each in classes if issubclass(each, Exception)))


def _first_line(error: Exception) -> str:
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return _CODE.sub("", line).strip().rstrip(".")
