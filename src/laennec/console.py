"""Tables and coloured text: names and labels of users as they are, whatever they hold."""

import os
import sys

from rich.console import Console
from rich.text import Text

from laennec.files import printable

WIDE = 10_000  # columns; where no terminal breaks lines, nothing else does


def terminal() -> Console:
    """Return a console for standard output; a table that is piped is as wide as it needs to be."""
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(width=WIDE if piped else None, highlight=False)


def plain(text: object, style: str = "") -> Text:
    """Return a text that Rich takes as it is, without markup and emoji; control characters are spelt out."""
    lines = (printable(line) for line in str(text).split("\n"))
    return Text("\n".join(lines), style=style, overflow="fold")
