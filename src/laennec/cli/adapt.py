"""``laennec adapt``: a model's event classes, for one's own patients."""

from laennec.cli.arguments import Adapt
from laennec.train.adapt import adapt


def run(command: Adapt) -> int:
    """Adapt, and tell what it is worth."""
    made = adapt(command.data, command.out, command.dataset, command.model, command.anyway)
    print(made.report())
    print(f"{command.out}: written; use it with: laennec analyze rec.wav --model {command.out}")
    return 0
