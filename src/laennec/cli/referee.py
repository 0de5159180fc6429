"""``laennec referee``: does a published figure say what it is taken to say?"""

from laennec.cli.tool_arguments import Referee
from laennec.files import begins, printable, refuse_loss, write_json
from laennec.referee import referee
from laennec.referee.text import render


def run(command: Referee) -> int:
    """Print what was found; exit code 1 with --strict where there is a fault."""
    if command.out is not None:  # before the work, not after it
        refuse_loss(command.out, begins(b'{\n  "dataset"'))
    report = referee(
        command.dataset,
        command.split,
        command.predictions,
        command.claimed,
        command.against,
        command.epochs,
        command.data,
        command.classes,
        progress=True,
    )
    if command.out is not None:
        write_json(command.out, report.as_json())
    print("\n".join(map(printable, render(report).splitlines())))
    return 1 if command.strict and report.faults else 0
