"""``laennec``, and ``python -m laennec``: the command line."""

import atexit
import gc
import os
import signal
import sys
import threading
from importlib import import_module
from typing import Any


def main() -> None:
    """Run the command line; Ctrl-C before it is there, which loses nothing, ends without a traceback."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.disable()  # until the command runs: modules that load leave no garbage, and looking for it takes time
    command_line = import_module("laennec.cli")
    signal.signal(signal.SIGINT, before)
    try:
        command_line.main()
    except SystemExit as end:
        leave(end.code)
        raise


def leave(code: Any) -> None:
    """End this process at once, with all that it has to do at its end, unless more than that is running.

    Python would take apart whatever was loaded, piece by piece, which is a tenth of a short command, and the
    system does that anyway. PyTorch has ends of its own, and threads may still be writing.
    """
    if not isinstance(code, int) or threading.active_count() > 1 or "torch" in sys.modules:
        return
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):  # closed, or none: as Python has it
        return
    os._exit(code)


if __name__ == "__main__":
    main()
