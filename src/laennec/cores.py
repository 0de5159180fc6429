"""Cores: how many this process may use, and how many processes that makes."""

import math
import os
import sys
from pathlib import Path

from laennec.errors import UsageError

MOST_JOBS = 1024
CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Processor cores that this process may use: those that it is bound to, and that its container has."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(there, _quota())))


def _quota() -> float:
    """Cores' worth of time that the control groups of this process allow; infinite where they do not say.

    A group has ``cpu.max`` ("150000 100000": µs in each period, "max" for all), or, in version 1, two files.
    In a container, whose own group is the root of what it sees, the path of ``/proc`` may lead nowhere.
    """
    try:
        lines = OWN_CGROUPS.read_text().splitlines()
    except OSError:
        return math.inf
    least = math.inf
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = CGROUPS / "cpu" if controllers else CGROUPS
        own = root / path.lstrip("/")
        for group in (own, *(each for each in own.parents if each.is_relative_to(root))):
            least = min(least, _quota_of(group))
    return least


def _quota_of(group: Path) -> float:
    try:
        if (group / "cpu.max").exists():
            time_us, period_us = (group / "cpu.max").read_text().split()
        else:
            time_us = (group / "cpu.cfs_quota_us").read_text().strip()
            period_us = (group / "cpu.cfs_period_us").read_text()
        return math.inf if time_us in ("max", "-1") else int(time_us) / int(period_us)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


def cores() -> int:
    """`usable_cores`, at most as many as ``OMP_NUM_THREADS`` names."""
    there = usable_cores()
    named = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return min(there, int(named)) if named.isdecimal() and int(named) else there


def forks_safely() -> bool:
    """Whether processes may be forked here, with all that their parent has loaded, as on Linux."""
    return sys.platform not in ("win32", "darwin")


def jobs_of(jobs: int | None) -> int:
    """Return the number of worker processes: the given one, or as many as there are cores to use.

    UsageError if it cannot be.
    """
    if jobs is None:
        return min(usable_cores(), MOST_JOBS)
    if not 1 <= jobs <= MOST_JOBS:
        raise UsageError(f"--jobs is {jobs}; expected 1 to {MOST_JOBS}")
    return jobs
