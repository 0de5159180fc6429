"""``laennec``, and ``python -m laennec``: the command line."""

import signal
from importlib import import_module


def main() -> None:
    """Run the command line; Ctrl-C before it is there, which loses nothing, ends without a traceback."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    command_line = import_module("laennec.cli")
    signal.signal(signal.SIGINT, before)
    command_line.main()


if __name__ == "__main__":
    main()
