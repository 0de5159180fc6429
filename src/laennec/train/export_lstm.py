"""An LSTM that PyTorch's exporter takes as one operator, and does not trace step by step three times.

The model file has ONNX's LSTM either way; with this the first paper's full model is exported in a quarter of
the time.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from onnxscript import opset18 as op
from torch import Tensor, nn

GATES = (0, 3, 1, 2)  # ONNX's order, input, output, forget, cell, of PyTorch's input, forget, cell, output


@torch.library.custom_op("laennec::lstm", mutates_args=())
def one_layer(
    sequence: Tensor, hidden: Tensor, cell: Tensor, weights: list[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """One layer, batch first, of :class:`torch.nn.LSTM`; in both directions where there are eight weights."""
    return torch.lstm(sequence, (hidden, cell), weights, True, 1, 0.0, False, len(weights) == 8, True)


@one_layer.register_fake
def _(sequence: Tensor, hidden: Tensor, cell: Tensor, weights: list[Tensor]) -> tuple[Tensor, ...]:
    outputs = sequence.new_empty(*sequence.shape[:2], hidden.shape[0] * hidden.shape[2])
    return outputs, torch.empty_like(hidden), torch.empty_like(cell)


def in_onnx(sequence: Any, hidden: Any, cell: Any, weights: Sequence[Any]) -> tuple[Any, Any, Any]:
    """`one_layer` in ONNX's operators."""
    units, directions = weights[1].shape[1], len(weights) // 4
    order: Any = op.Constant(value_ints=[gate * units + unit for gate in GATES for unit in range(units)])
    ordered = [op.Unsqueeze(op.Gather(weight, order, axis=0), _ints(0)) for weight in weights]
    inputs, recurrent, *bias = (op.Concat(*ordered[kind::4], axis=0) for kind in range(4))
    outputs, *last = op.LSTM(
        op.Transpose(sequence, perm=[1, 0, 2]),
        inputs,
        recurrent,
        op.Concat(*bias, axis=1),
        None,
        hidden,
        cell,
        hidden_size=units,
        direction="bidirectional" if directions == 2 else "forward",
    )
    # (steps, directions, batch, units) to (batch, steps, directions * units)
    return op.Reshape(op.Transpose(outputs, perm=[2, 0, 1, 3]), _ints(0, 0, directions * units)), *last


def _ints(*values: int) -> Any:
    return op.Constant(value_ints=list(values))


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {torch.ops.laennec.lstm.default: in_onnx}


class OneOperator(nn.Module):
    """Stands for a batch-first :class:`torch.nn.LSTM` of one layer while a model is exported."""

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        self.lstm = lstm

    def forward(
        self, sequence: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        directions = 1 + self.lstm.bidirectional
        zeros = sequence.new_zeros(directions, sequence.shape[0], self.lstm.hidden_size)
        outputs, *last = one_layer(sequence, *(state or (zeros, zeros)), self.lstm._flat_weights)
        return outputs, (last[0], last[1])


def with_one_operator(network: nn.Module) -> None:
    """Replace the LSTMs of a network that `OneOperator` can stand for."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if not isinstance(child, nn.LSTM):
                continue
            if child.num_layers == 1 and child.batch_first and child.bias and not child.proj_size:
                setattr(parent, name, OneOperator(child))
