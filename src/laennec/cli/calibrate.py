"""``laennec calibrate``: a model's certainty, for one's own device."""

from laennec.cli.arguments import Calibrate
from laennec.train.calibrate import calibrate


def run(command: Calibrate) -> int:
    made = calibrate(command.data, command.out, command.dataset, command.model, command.prevalence)
    print(made.report(command.out))
    return 0
