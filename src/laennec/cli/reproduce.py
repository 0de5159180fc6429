"""``laennec reproduce``: a paper's models, and its tables beside ours."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import subcommand

from laennec.reproduce.jobs import ChenJob, NguyenJob


@dataclass(frozen=True)
class Command:
    """Train a paper's models and print its tables beside ours.

    Example:  laennec reproduce nguyen2022 --source ~/data/ICBHI --target cohort --estimate
    """

    paper: Annotated[ChenJob, subcommand("chen2022")] | Annotated[NguyenJob, subcommand("nguyen2022")]


def run(command: Command) -> int:
    """Train what a paper's tables need, and print them."""
    if isinstance(command.paper, ChenJob):
        return _chen(command.paper)
    return _nguyen(command.paper)


def _chen(job: ChenJob) -> int:
    from laennec.reproduce.chen2022 import render, reproduce_chen2022

    print(render(reproduce_chen2022(job)))
    return 0


def _nguyen(job: NguyenJob) -> int:
    from laennec.reproduce.nguyen2022 import reproduce_nguyen2022
    from laennec.reproduce.nguyen2022_tables import render

    tables = reproduce_nguyen2022(job)
    if not job.estimate:
        print(render(tables))
    return 0
