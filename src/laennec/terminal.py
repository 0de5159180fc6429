"""What reaches the terminal: names and labels of users as they are, whatever they hold, in any encoding."""

import io
import os
import sys

from rich.console import Console
from rich.text import Text

from laennec.files import printable

WIDE = 10_000  # columns; where no terminal breaks lines, nothing else does


def open_streams() -> None:
    """Open to nothing what the caller has closed, lest the first file of results becomes standard output."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def keep_apart() -> None:
    """Leave standard output to the results: what C libraries print goes to standard error."""
    before = sys.stdout
    try:
        is_own = before.fileno() != 1
    except (AttributeError, OSError, ValueError):  # of a program that has put something in its place
        is_own = True
    if is_own or not isinstance(before, io.TextIOWrapper):
        return
    own, buffering = os.dup(1), 1 if before.line_buffering else -1
    sys.stdout = open(own, "w", buffering, before.encoding, before.errors)  # noqa: SIM115
    sys.stdout.reconfigure(write_through=before.write_through)
    os.dup2(2, 1)


def spell_out() -> None:
    """Have stdout and stderr spell out what their encoding lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def is_unicode() -> bool:
    """Whether standard output takes every character."""
    return str(getattr(sys.stdout, "encoding", None)).lower().replace("-", "") == "utf8"


def terminal() -> Console:
    """Return a console for standard output; a table that is piped is as wide as it needs to be."""
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(width=WIDE if piped else None, highlight=False)


def plain(text: object, style: str = "") -> Text:
    """Return a text that Rich takes as it is, without markup and emoji; control characters are spelt out."""
    lines = (printable(line) for line in str(text).split("\n"))
    return Text("\n".join(lines), style=style, overflow="fold")
