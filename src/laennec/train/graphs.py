"""A network's passes as CUDA graphs: recorded once and replayed, where launching kernels takes longest.

A step of a small network is some hundred kernels of a few microseconds each; launching them one by one
takes several times as long as they run. A recorded pass is one launch. What is computed stays the same.
"""

from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn


class RecordedPasses(Callback):
    """Have the passes of training recorded at its first step on a CUDA device, and replayed after.

    Every later batch must have the shape of the first. Networks say with ``one_graph = True`` that their
    passes launch the same kernels for every batch; for others, and away from CUDA, nothing changes.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # Not earlier: averaged weights are a copy of the network, made before, which must stay a plain one.
        network: Any = pl_module.network
        if (
            trainer.world_size == 1
            and pl_module.device.type == "cuda"
            and getattr(network, "one_graph", False)
        ):
            record_at_first(network)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        play_plain(pl_module.network)  # type: ignore[arg-type]

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        play_plain(pl_module.network)  # type: ignore[arg-type]


def record_at_first(network: nn.Module) -> None:
    """Have the network recorded at its first call in training."""
    plain = network.forward

    def record(*inputs: Tensor) -> Any:
        if not network.training:
            return plain(*inputs)
        play_plain(network)
        _record(network, inputs)
        return network(*inputs)

    network.__dict__["forward"] = record


def play_plain(network: nn.Module) -> None:
    """Have the network launch its kernels one by one again."""
    network.__dict__.pop("forward", None)


def _record(network: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Replace the network's forward for training by recorded graphs; evaluation stays as it is."""
    # Recording runs the network some times before; its running statistics must not notice.
    before = [buffer.clone() for buffer in network.buffers()]
    enabled, kind = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    # A cast weight that autocast keeps from outside of the graph would be stale in the next step.
    with torch.autocast("cuda", kind, enabled, cache_enabled=False):
        samples = tuple(value.detach().clone() for value in inputs)
        torch.cuda.make_graphed_callables(network, samples)
    with torch.no_grad():
        for buffer, value in zip(network.buffers(), before, strict=True):
            buffer.copy_(value)
