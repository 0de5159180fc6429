"""What a network is trained on: processor or graphics card, threads, precision, and how they are chosen.

The precision and the number of threads decide the last bits of what is trained. They are chosen by timing,
once, when a run begins, and written into its folder (``arithmetic.json``); a resumed run keeps them.
"""

import ctypes
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.strategies import StrategyRegistry
from torch.nn import functional as F

from laennec.audio.samples import counted
from laennec.cores import cores
from laennec.errors import UsageError
from laennec.files import read_json, write_json
from laennec.train.processes import is_first
from laennec.train.recipe import Recipe
from laennec.train.workers import check_jobs
from laennec.version import __version__

# Asked in the other way, whether there is a graphics card keeps forked processes from using it.
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")

MOST_THREADS = 1024
FULL, HALF = "32-true", "bf16-mixed"  # Lightning's names
# A choice that is off the usual one must save as much, since a busy machine moves the times by some percent.
SAVED_BY_HALF, SAVED_BY_THREADS = 0.05, 0.15
TRIAL_S = 0.4  # s of timing, at least `TRIALS` rounds
TRIALS = 3
ARITHMETIC = "arithmetic.json"
AHEAD = "with 1 and the next batch beside"  # the name of that way among those that are timed
AHEAD_TOO = ", the next batch beside"


@dataclass(frozen=True)
class Hardware:
    """Where Lightning trains: its own names (``auto``, ``cpu``, ``gpu``; ``ddp``, ``fsdp``, …)."""

    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    strategy: str = "auto"
    threads: int = 0
    """CPU threads of each process; 0: one or all, by timing (`settled`)."""
    precision: str = ""
    """Lightning's name of it; empty until it is chosen (`settled`)."""
    jobs: int = 1
    """Trainings at a time, in processes of their own (`laennec.train.workers`)."""
    ahead: bool = False
    """Whether the next batch is prepared beside a step (`laennec.train.ahead`), by timing (`settled`)."""
    launched: bool = False
    """Whether torchrun or ``srun``, and not Lightning, started all processes (`laennec.train.processes`)."""

    def __post_init__(self) -> None:
        for name, value, least in (("threads", self.threads, 0), ("nodes", self.nodes, 1)):
            if not least <= value <= MOST_THREADS:
                raise UsageError(f"--{name} is {value}; expected {least} to {MOST_THREADS}")
        if self.devices == 0 or not -1 <= self.devices <= MOST_THREADS:
            raise UsageError(f"--devices is {self.devices}; expected 1 to {MOST_THREADS}, or -1 for all")
        check_jobs(self.jobs, self.threads)

    @property
    def arithmetic(self) -> str:
        """Precision and threads, as reports name them."""
        return f"{self.precision}, {counted(self.threads, 'thread')}"  # `ahead` changes no bit

    @property
    def on_gpu(self) -> bool:
        """Whether Lightning would take a graphics card."""
        return self.accelerator not in ("cpu", "auto") or (
            self.accelerator == "auto" and torch.cuda.is_available()
        )

    @property
    def processes(self) -> int:
        """Processes that share the cores of this machine out."""
        return 1 if self.on_gpu else max(1, self.devices)


# --- choosing by timing -------------------------------------------------------------------------------------


def quickest_s(
    candidates: Mapping[Any, Callable[[], object]], clock: Callable[[], float]
) -> dict[Any, float]:
    """Seconds of each candidate: the least of several rounds, in which the candidates take turns.

    What else the machine does can only lengthen a time, so the least is the one to compare; the first round
    warms up and does not count.
    """
    found = dict.fromkeys(candidates, float("inf"))
    spent, rounds = 0.0, -1
    while rounds < TRIALS or (spent < TRIAL_S and rounds < 10 * TRIALS):
        for name, work in candidates.items():
            started = clock()
            work()
            taken = clock() - started
            spent += taken
            if rounds >= 0:
                found[name] = min(found[name], taken)
        rounds += 1
    return found


def choose_precision(clock: Callable[[], float] = time.process_time) -> tuple[str, dict[str, float]]:
    """Full precision or bfloat16 on this processor, whichever is faster, and the seconds of both.

    A processor that reports bfloat16 may multiply faster in full precision all the same (AVX-512 without
    AMX), so products as they make up a training step are timed, by one thread and in processor time.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds = quickest_s({FULL: lambda: _products(FULL), HALF: lambda: _products(HALF)}, clock)
    finally:
        torch.set_num_threads(before)
    return HALF if seconds[HALF] < (1 - SAVED_BY_HALF) * seconds[FULL] else FULL, seconds


def _products(precision: str) -> None:
    """A convolution and a matrix product, forward and backward, in the sizes of the networks here."""
    image = torch.full((4, 32, 23, 32), 0.5).to(memory_format=torch.channels_last).requires_grad_()
    kernel = torch.full((64, 32, 3, 3), 0.01).to(memory_format=torch.channels_last).requires_grad_()
    rows, matrix = torch.full((128, 256), 0.5), torch.full((512, 256), 0.01).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == HALF):
        loss = F.conv2d(image, kernel, padding=1).float().mean() + F.linear(rows, matrix).float().mean()
    loss.backward()


@cache
def _timed_precision() -> tuple[str, dict[str, float]]:
    """The choice of `choose_precision`, made once a process."""
    return choose_precision()


def usable_precision(precision: str, hardware: Hardware) -> str:
    """What ``auto`` means here: the faster on a processor, bfloat16 on a graphics card."""
    if precision != "auto":
        return precision
    return HALF if hardware.on_gpu else _timed_precision()[0]


@dataclass(frozen=True)
class Trial:
    """A training step to time, and the same with the next batch prepared beside it, where that can be."""

    step: Callable[[], object]
    ahead: Callable[[], object] | None = None


def choose_threads(
    trial: Trial, most: int, clock: Callable[[], float] = time.perf_counter
) -> tuple[int, bool, dict[str, float]]:
    """One thread or `most` for a training step, whether the next batch is prepared beside it, and seconds.

    Threads wait for each other after every layer: a small network, or any on a busy machine, is faster with
    one, and another core may prepare the next batch meanwhile. Here the time until the step is done counts.
    """

    def with_threads(count: int, step: Callable[[], object]) -> None:
        torch.set_num_threads(count)
        step()

    ways: dict[str, tuple[int, Callable[[], object]]] = {}
    ways = {"with 1": (1, trial.step), f"with {most}": (most, trial.step)}
    if trial.ahead is not None:
        ways[AHEAD] = (1, trial.ahead)
    before = torch.get_num_threads()
    try:
        seconds = quickest_s({name: partial(with_threads, *way) for name, way in ways.items()}, clock)
    finally:
        torch.set_num_threads(before)
    best = min(seconds, key=seconds.__getitem__)
    if seconds[best] >= (1 - SAVED_BY_THREADS) * seconds["with 1"]:
        best = "with 1"
    return ways[best][0], best == AHEAD, seconds


def check_hardware(hardware: Hardware) -> None:
    """Refuse a kind of device or a strategy that Lightning does not know or have, before anything is written.

    Raises
    ------
    UsageError
        One sentence that names the option.
    """
    kind, strategy = hardware.accelerator, hardware.strategy
    known = {"auto", "gpu", *AcceleratorRegistry}
    if kind not in known:
        raise UsageError(f"--accelerator {kind}: expected one of {', '.join(sorted(known))}")
    if strategy not in ("auto", *StrategyRegistry):
        what = "auto, ddp, fsdp, deepspeed or another name of Lightning's"
        raise UsageError(f"--strategy {strategy}: expected {what}")
    if not _is_there(kind):
        raise UsageError(f"--accelerator {kind}: this computer has none that can be used; there is auto")


def _is_there(kind: str) -> bool:
    if kind == "gpu":
        return _is_there("cuda") or _is_there("mps")
    if kind == "cuda":
        return torch.cuda.is_available()
    return kind in ("auto", "cpu") or bool(AcceleratorRegistry[kind]["accelerator"].is_available())


def refused(hardware: Hardware, error: Exception) -> str:
    """Return in one sentence why Lightning refuses hardware of which it has each part."""
    kind, strategy = hardware.accelerator, hardware.strategy
    reason = (str(error).splitlines() or [type(error).__name__])[0].split(". ")[0].replace("`", "")
    count = "1 device" if hardware.devices == 1 else f"{hardware.devices} devices"
    return f"no training on accelerator {kind} with strategy {strategy} and {count}: {reason}"


def settled(hardware: Hardware, recipe: Recipe, folder: Path, trial_step: Callable[[], Trial]) -> Hardware:
    """The hardware with precision and threads chosen: as the run in `folder` began, or by timing.

    What the recipe or the user names is taken as it is.

    Parameters
    ----------
    folder
        Where ``arithmetic.json`` is read and written; it holds the choices for all recipes of a command.
    trial_step
        Makes a training step of the recipe's network to time threads with.
    """
    if hardware.precision:
        return hardware
    path = folder / ARITHMETIC
    before = read_json(path, f"delete it, and {folder} with it to begin anew") if path.exists() else {}
    kept: dict[str, Any] = {"threads": {}, **before}
    said = []
    apart = hardware.nodes > 1 or hardware.launched
    if recipe.precision != "auto" or hardware.on_gpu or apart:
        # Processes must agree, and cannot ask each other yet; those that Lightning starts read the file.
        several = apart and not hardware.on_gpu and recipe.precision == "auto"
        precision = FULL if several else usable_precision(recipe.precision, hardware)
        said.append(f"precision {precision}")
    elif "precision" in before:
        precision = str(before["precision"])
        said.append(f"recipe {recipe.name}")
    else:
        precision, seconds = _timed_precision()
        kept |= {"precision": precision, "precision_seconds": seconds}
        said.append(f"precision {precision}, the faster here ({_times(seconds)})")
    threads, ahead, why = _threads(hardware, recipe, kept, trial_step)
    if kept != before and is_first():
        write_json(path, kept)
        print("; ".join([*said, why]), file=sys.stderr, flush=True)
    return replace(hardware, precision=precision, threads=threads, ahead=ahead)


def _threads(
    hardware: Hardware, recipe: Recipe, kept: dict[str, Any], trial_step: Callable[[], Trial]
) -> tuple[int, bool, str]:
    """Number of threads, whether batches are prepared ahead, noted in `kept`; in words how it was chosen."""
    share, began = max(1, cores() // hardware.processes), kept["threads"].get(recipe.name)
    ahead, seconds = False, dict[str, float]()
    if hardware.threads:
        threads = hardware.threads
    elif hardware.jobs > 1:
        threads = 1
    elif began:
        # A core that another process has needs no second thread; no bit depends on it.
        threads, ahead = int(began), share > 1 and bool(kept.get("ahead", {}).get(recipe.name))
    elif share == 1 or hardware.processes * hardware.nodes > 1 or hardware.on_gpu:
        threads = share
    else:
        with tuned_cpu(1, 1):
            threads, ahead, seconds = choose_threads(trial_step(), share)
        kept["ahead"] = {**kept.get("ahead", {}), recipe.name: ahead}
    kept["threads"] = {**kept["threads"], recipe.name: threads}
    if began and threads != began:
        return threads, False, f"{counted(threads, 'thread')}, {began} before: the last bits will differ"
    why = f" ({_times(seconds)} a step of a few examples)" if seconds else ""
    return threads, ahead, f"{counted(threads, 'thread')}{AHEAD_TOO if ahead else ''}{why}"


def _times(seconds: Mapping[Any, float]) -> str:
    """Seconds of candidates in words."""
    return ", ".join(f"{1000 * own:.1f} ms {name}" for name, own in seconds.items())


# --- the process --------------------------------------------------------------------------------------------


@contextmanager
def tuned_cpu(processes: int = 1, threads: int = 0) -> Iterator[None]:
    """Settings of the process that make training on CPUs two to three times faster, for as long as it lasts.

    Denormal numbers are flushed to zero (they slow an LSTM down fifteenfold), freed memory is kept instead
    of going back to the system after each batch (glibc's ``mallopt``, which cannot be taken back), and
    processes share the cores out, since more threads than cores cost far more than they bring.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads or max(1, cores() // processes))
    torch.set_flush_denormal(True)
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        # From malloc.h: M_TRIM_THRESHOLD -1, M_TOP_PAD -2, M_MMAP_MAX -4.
        for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 256 * 2**20)):
            libc.mallopt(option, value)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)


def machine() -> dict[str, Any]:
    """What a run's speed and bits depend on."""
    return {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "lightning": L.__version__,
        "laennec": __version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
