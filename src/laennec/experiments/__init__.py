"""What writes docs/results, and the tables of README and documentation that are made from it."""

import sys
from collections.abc import Callable

from laennec.errors import LaennecError


def run(main: Callable[[], int | None]) -> None:
    """Run a command; what is wrong with its input is one sentence and exit code 1."""
    try:
        sys.exit(main())
    except LaennecError as error:
        sys.exit(f"laennec: {error}")
