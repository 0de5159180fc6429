"""Recorded passes compute what plain ones do (only where there is a CUDA device)."""

import warnings
from dataclasses import replace

import pytest
import torch

from laennec.train import graphs
from laennec.train.build import build_parts
from laennec.train.data import ClipTensors
from laennec.train.hardware import Hardware
from laennec.train.loop import quiet, train_network
from laennec.train.recipe import load_recipe

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


def trained(name: str, one_graph: bool, monkeypatch: pytest.MonkeyPatch) -> tuple[list, torch.nn.Module]:
    """Weights after two epochs of four steps, and the network."""
    recipe = replace(load_recipe(name), epochs=2, batch_size=8, precision="32-true", fine_tune_from="")
    # A graph keeps a count of its own of the numbers drawn on the device: dropout drops others inside of it.
    # The papers' rate: at thirty times it, a difference of 1e-4 is one of 4 % an epoch later.
    recipe = replace(recipe, model={**recipe.model, "dropout": 0.0}, learning_rate=1e-4)
    front_end, network = build_parts(recipe)
    monkeypatch.setattr(type(network), "one_graph", one_graph)
    torch.manual_seed(0)
    count = 32
    label = torch.arange(count) % len(recipe.labels)
    held = (label, torch.rand(count) * 18, torch.arange(count) % 3, torch.arange(count) % 5)
    if hasattr(front_end, "training_samples"):
        middle = front_end.training_samples // 2
        bounds = torch.tensor([[middle - 4000, middle + 4000]]).repeat(count, 1)
        clips = ClipTensors(None, *held, 0.1 * torch.randn(count, front_end.training_samples), bounds)
    else:
        images = torch.randn(count, front_end.channels, front_end.bands, front_end.frames)
        clips = ClipTensors(images, *held)
    module, _ = train_network(clips, recipe, front_end, Hardware("gpu"), validation=clips)
    return [entry["train_loss"] for entry in module.history], module.network.cpu()


@needs_cuda
@pytest.mark.parametrize("name", ["nguyen2022", "nguyen2022-source", "default"])
def test_recorded_training_is_plain_training(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = []
    record = graphs._record
    monkeypatch.setattr(graphs, "_record", lambda *given: (recorded.append(name), record(*given)))
    losses, network = trained(name, True, monkeypatch)
    assert recorded == [name]  # once, and not again after validation
    assert "forward" not in network.__dict__
    expected, plain = trained(name, False, monkeypatch)
    assert recorded == [name]
    assert losses == pytest.approx(expected, rel=2e-3)
    for (key, own), other in zip(network.state_dict().items(), plain.state_dict().values(), strict=True):
        assert torch.allclose(own.float(), other.float(), rtol=0.02, atol=5e-3), key


def test_without_cuda_nothing_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "record_at_first", lambda network: pytest.fail("recorded"))
    recipe = replace(load_recipe("nguyen2022"), epochs=1, batch_size=4, fine_tune_from="")
    front_end, _ = build_parts(recipe)
    count = 8
    images = torch.randn(count, front_end.channels, front_end.bands, front_end.frames)
    zeros = torch.zeros(count, dtype=torch.long)
    clips = ClipTensors(images, torch.arange(count) % 2, zeros.float(), zeros, zeros)
    module, _ = train_network(clips, recipe, front_end, Hardware("cpu", threads=1, precision="32-true"))
    assert len(module.history) == 1


def test_what_pytorch_notes_of_recording_is_not_shown(recwarn: pytest.WarningsRecorder) -> None:
    with quiet():
        warnings.warn("The AccumulateGrad node's stream does not match the stream of the node", stacklevel=1)
        warnings.warn("Attempting to run cuBLAS, but there was no current CUDA context!", stacklevel=1)
        warnings.warn("something else", stacklevel=1)
    assert [str(own.message) for own in recwarn] == ["something else"]
