"""``laennec export``: one model file of a finished run."""

from laennec.train.export import export
from laennec.train.jobs import ExportJob


def run(command: ExportJob) -> int:
    print(export(command.run, command.out, temperature=command.temperature))
    return 0
