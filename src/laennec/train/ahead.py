"""The next batch of training, prepared by a thread of its own while the network learns from this one.

Waveforms, augmentation and images take a third of a step of the default model on a processor. What is drawn
for them, and by dropout after them, is bit for bit what it is when each batch is prepared in its turn.
"""

import inspect
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from laennec.features.base import Batch, FrontEnd
from laennec.models.tasks import Task

DRAWN = "drawn"  # name of the state of random numbers that goes with a prepared batch


def seed_of(seed: int, epoch: int, index: int, rank: int) -> int:
    """Seed of what is drawn for a batch, by its place in a training.

    So a resumed run equals one that was never interrupted.
    """
    return int(np.random.SeedSequence((seed, epoch, index, rank)).generate_state(1)[0])


def takes_generator(front_end: FrontEnd) -> bool:
    """Whether batches can be prepared beside others: the front end draws from a given generator."""
    return "generator" in inspect.signature(front_end.augment).parameters


class PreparedAhead:
    """Batches of a training loader as `Task.prepared` makes them, one ahead of the step that takes them.

    Parameters
    ----------
    half
        Whether the trainer computes in bfloat16, which the thread has to be told.
    """

    def __init__(
        self, loader: DataLoader[Batch], task: Task, network: nn.Module, seed: int, rank: int, half: bool
    ) -> None:
        self.loader, self.task, self.network = loader, task, network
        self.seed, self.rank, self.half, self.epoch = seed, rank, half, 0

    def __len__(self) -> int:
        return len(self.loader)

    @property
    def sampler(self) -> "PreparedAhead":
        """Where Lightning looks for `set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Draw the batches of an epoch."""
        self.epoch = epoch
        sampler: Any = self.loader.batch_sampler
        sampler.sampler.set_epoch(epoch)

    def __iter__(self) -> Iterator[Batch]:
        numbered = enumerate(self.loader)

        def following() -> Batch | None:
            place = next(numbered, None)
            return None if place is None else self._prepared(*place)

        with ThreadPoolExecutor(1, initializer=begin_thread, initargs=(torch.get_num_threads(),)) as pool:
            waiting = pool.submit(following)
            while (batch := waiting.result()) is not None:
                waiting = pool.submit(following)
                yield batch

    def _prepared(self, index: int, batch: Batch) -> Batch:
        generator = torch.Generator().manual_seed(seed_of(self.seed, self.epoch, index, self.rank))
        made = prepared(self.task, self.network, batch, generator, self.half)
        return {**made, DRAWN: generator.get_state()}


def begin_thread(threads: int) -> None:
    """Give a new thread the settings of the training (`tuned_cpu`), of which each thread has its own."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)


@torch.no_grad()
def prepared(task: Task, network: nn.Module, batch: Batch, generator: torch.Generator, half: bool) -> Batch:
    """A batch as `Task.prepared` makes it, in the arithmetic of the training."""
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        return task.prepared(network, batch, generator)


def beside(work: Callable[[], object], other: Callable[[], object]) -> None:
    """Do work in this thread, and other work in one of its own meanwhile."""
    threads = torch.get_num_threads()

    def run() -> None:
        begin_thread(threads)
        other()

    thread = Thread(target=run)
    thread.start()
    work()
    thread.join()
