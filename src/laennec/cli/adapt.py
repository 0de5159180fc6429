"""``laennec adapt``: a model's event classes, for one's own patients."""

from laennec.cli.arguments import Adapt
from laennec.errors import LaennecError
from laennec.train.adapt import adapt


def run(command: Adapt) -> int:
    """Adapt, and tell what it is worth."""
    made = adapt(command.data, command.out, command.dataset, command.model, command.anyway)
    print(made.report())
    if not made.is_offered(command.anyway):
        raise LaennecError("nothing was written, since it does not help; --anyway writes it all the same")
    print(f"{command.out}: written; use it with: laennec analyze rec.wav --model {command.out}")
    return 0
