"""``laennec reproduce``: a paper's models, and its tables beside ours."""

from laennec.reproduce import chen2022, nguyen2022, nguyen2022_tables
from laennec.reproduce.jobs import ChenJob, ReproduceJob


def run(command: ReproduceJob) -> int:
    job = command.paper
    if isinstance(job, ChenJob):
        print(chen2022.render(chen2022.reproduce_chen2022(job)))
        return 0
    tables = nguyen2022.reproduce_nguyen2022(job)
    if not job.estimate:
        print(nguyen2022_tables.render(tables))
    return 0
