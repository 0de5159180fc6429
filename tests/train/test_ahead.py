"""Batches prepared beside the steps of a training: the same bits, and no thread or error left behind."""

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from laennec.features.augment import Augmentation
from laennec.features.base import Batch
from laennec.features.event import EventLogMel
from laennec.train.ahead import PreparedAhead, takes_generator
from laennec.train.build import build_parts
from laennec.train.data import ClipTensors
from laennec.train.hardware import FULL, HALF, Hardware, tuned_cpu
from laennec.train.loop import train_network, trial_step
from laennec.train.recipe import Recipe, load_recipe
from laennec.train.recordings import Example, RecordingExamples


def of_clips(recipe: Recipe, front_end: Any, count: int = 24) -> ClipTensors:
    torch.manual_seed(0)
    label = torch.arange(count) % len(recipe.labels)
    held = (label, torch.rand(count) * 18, torch.arange(count) % 3, torch.arange(count) % 5)
    if not hasattr(front_end, "training_samples"):
        return ClipTensors(torch.randn(count, front_end.channels, front_end.bands, front_end.frames), *held)
    middle, half = front_end.training_samples // 2, (torch.rand(count) * 4000 + 800).long()
    bounds = torch.stack([middle - half, middle + half], 1)
    return ClipTensors(None, *held, 0.1 * torch.randn(count, front_end.training_samples), bounds)


def of_recordings(recipe: Recipe, front_end: Any) -> RecordingExamples:
    torch.manual_seed(0)
    spans, own = np.array([[0.0, 1.0], [1.5, 2.5]]), np.eye(len(recipe.labels), dtype=bool)[[0, 1]]
    images = torch.randn(6, 1, front_end.bands, 800).half()
    return RecordingExamples(
        [
            Example(str(k), str(k), "", "", "", np.nan, image, spans, own, True, spans, own.argmax(1), 0)
            for k, image in enumerate(images)
        ]
    )


def small(name: str) -> tuple[Recipe, Any, Any]:
    """A recipe with every variation of its front end, the front end and examples."""
    recipe = load_recipe(name, epochs=2, batch_size=8)
    recording = replace(recipe.recording, batches=2, batch_s=19, piece_s=9.2)
    recipe = replace(recipe, recording=recording, augmentation=replace(recipe.augmentation, mixup=0.3))
    front_end = build_parts(recipe)[0]
    examples: Any = (of_recordings if front_end.task == "recording" else of_clips)(recipe, front_end)
    return recipe, front_end, examples.normalised(front_end)


def trained(recipe: Recipe, front_end: Any, examples: Any, hardware: Hardware) -> tuple[Any, list[float]]:
    with tuned_cpu(1, 1):
        module, _ = train_network(examples, recipe, front_end, hardware)
    return module.network.state_dict(), [epoch["train_loss"] for epoch in module.history]


@pytest.mark.parametrize(
    ("name", "precision"), [("default", FULL), ("default", HALF), ("baseline", FULL), ("recording", FULL)]
)
def test_a_training_with_batches_ahead_is_bit_for_bit_the_same(name: str, precision: str) -> None:
    recipe, front_end, examples = small(name)
    in_turn = Hardware("cpu", threads=1, precision=precision)
    weights, losses = trained(recipe, front_end, examples, in_turn)
    ahead, ahead_losses = trained(recipe, front_end, examples, replace(in_turn, ahead=True))
    assert losses == ahead_losses
    for key, value in weights.items():
        assert torch.equal(value, ahead[key]), key


class OfEarlier(EventLogMel):
    """A front end of somebody who knows of no generator."""

    kind = "of-earlier"

    def augment(self, batch: Batch, settings: Augmentation) -> Batch:  # type: ignore[override]
        return super().augment(batch, settings)


def test_a_front_end_without_a_generator_is_trained_in_turn() -> None:
    recipe, _, examples = small("default")
    settings = {name: value for name, value in recipe.front_end.items() if name != "kind"}
    front_end = OfEarlier(**settings)
    assert not takes_generator(front_end)
    assert trial_step(examples, recipe, front_end).ahead is None
    hardware = Hardware("cpu", threads=1, precision=FULL, ahead=True)
    expected = trained(recipe, build_parts(recipe)[0], examples, hardware)
    found = trained(recipe, front_end, examples, hardware)
    assert found[1] == expected[1]


class Failing(EventLogMel):
    """A front end whose second batch cannot be made."""

    kind = "failing"
    count = 0

    def augment(
        self, batch: Batch, settings: Augmentation, generator: torch.Generator | None = None
    ) -> Batch:
        self.count += 1
        if self.count == 2:
            raise ValueError("no second batch")
        return super().augment(batch, settings, generator)


def test_an_error_beside_the_step_is_the_trainings_and_no_thread_stays() -> None:
    recipe, _, examples = small("default")
    front_end = Failing(**{name: value for name, value in recipe.front_end.items() if name != "kind"})
    with pytest.raises(ValueError, match="no second batch"):
        trained(recipe, front_end, examples, Hardware("cpu", threads=1, precision=FULL, ahead=True))
    assert not [own for own in threading.enumerate() if "ThreadPool" in own.name]


def test_epochs_have_their_own_order_and_what_is_left_of_one_is_given_up() -> None:
    recipe, front_end, examples = small("baseline")
    loader = examples.training_loader(recipe, front_end)
    network = build_parts(recipe)[1]
    batches = PreparedAhead(loader, examples.task(recipe, front_end), network, 0, 0, half=False)
    orders = []
    for epoch in (0, 1, 0):
        batches.sampler.set_epoch(epoch)
        first = next(iter(batches))  # the iterator is dropped, and its thread with it
        orders.append(first["age_years"].nan_to_num(-1).tolist())
    assert len(batches) == len(loader)
    assert orders[0] == orders[2] != orders[1]
    assert not [own for own in threading.enumerate() if "ThreadPool" in own.name]


def test_a_trial_has_both_ways() -> None:
    recipe, front_end, examples = small("default")
    trial = trial_step(examples, recipe, front_end)
    trial.step()
    assert trial.ahead is not None
    trial.ahead()
