"""The streams of a command: open, apart from what C libraries print, and in any encoding."""

import io
import os
import sys


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
