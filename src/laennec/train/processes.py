"""Which of several processes of one training this one is: what Lightning, torchrun and SLURM say of that.

Lightning starts the processes of ``--devices`` itself. torchrun and ``srun`` start them all, and tell each by
its environment.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from laennec.errors import UsageError

ALONE = ("bash", "interactive")  # names of SLURM's jobs that are a shell, as Lightning knows them


def started_by(environment: Mapping[str, str] = os.environ) -> str:
    """``torchrun`` or ``srun``, where either has started several processes; nothing otherwise."""
    if "TORCHELASTIC_RUN_ID" in environment and int(environment.get("WORLD_SIZE", "1")) > 1:
        return "torchrun"
    tasks = environment.get("SLURM_NTASKS", "1")
    there = "SLURM_PROCID" in environment and environment.get("SLURM_JOB_NAME") not in ALONE
    return "srun" if there and tasks.isdecimal() and int(tasks) > 1 else ""


def is_first(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this is the process that writes and prints, of all of a training."""
    launcher = started_by(environment)
    if launcher:
        return environment["RANK" if launcher == "torchrun" else "SLURM_PROCID"] == "0"
    return all(environment.get(name, "0") == "0" for name in ("LOCAL_RANK", "NODE_RANK"))


def started(
    devices: int = 1, nodes: int = 1, environment: Mapping[str, str] = os.environ
) -> tuple[int, int, bool]:
    """Processes on each machine, machines, and whether torchrun or ``srun`` started them.

    Raises
    ------
    UsageError
        If other numbers are given than those that were started, or the machines have different numbers.
    """
    launcher = started_by(environment)
    if not launcher:
        return devices, nodes, False
    whole, machines = (("WORLD_SIZE", "GROUP_WORLD_SIZE"), ("SLURM_NTASKS", "SLURM_NNODES"))[
        launcher == "srun"
    ]
    there, rest = divmod(int(environment[whole]), int(environment.get(machines, "1")))
    if rest:
        raise UsageError(f"{launcher} started a different number of processes on each machine; start as many")
    found = (there, int(environment.get(machines, "1")))
    for name, given, count in zip(("devices", "nodes"), (devices, nodes), found, strict=True):
        if given not in (1, count):
            raise UsageError(f"--{name} is {given}, but {launcher} started {count}; leave --{name} out")
    return *found, True


def gathered(own: Sequence[Any]) -> list[Any]:
    """What all processes of a training hold, the first one's first; in a single process, what it holds."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return list(own)
    parts: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, list(own))
    return [each for part in parts for each in part]


def share_buffers(network: nn.Module) -> None:
    """Give every process the first one's running statistics, which each has of its own examples."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        for buffer in network.buffers():
            torch.distributed.broadcast(buffer, 0)
