"""The one exception a user is meant to read."""

import os
import reprlib
from typing import Any

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80


class LaennecError(Exception):
    """Something outside the program is wrong: a file, a folder, a label, a setting.

    The message is one sentence that names the thing and, where there is one, the way out. The command
    line prints it on stderr and exits with 1; it never shows a traceback unless ``--debug`` is given.
    """


class UsageError(LaennecError):
    """An argument has a value that it cannot have: an age of 150, a data set nobody knows.

    The command line exits with 2 for it, as it does for an argument that is not there.
    """


def unread(error: OSError) -> str:
    """Why a file cannot be read, as it stands behind its name."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "no such file"
    return f"cannot be read ({error.strerror or error})"


def no_folder(path: str | os.PathLike[str]) -> str:
    """What is wrong with a path that is to be a folder, as it stands behind its name."""
    return "not a folder" if os.path.exists(path) else "no such folder"


def without_name(error: LaennecError, path: str | os.PathLike[str]) -> str:
    """What is wrong with a file, where its path stands before it."""
    whole = os.fspath(path)
    return str(error).removeprefix(f"{whole}: ").removeprefix(f"{os.path.basename(whole)}: ")


def shown(value: Any) -> str:
    """A wrong value as a message shows it: shortened, whatever it is."""
    try:
        return _short.repr(value)
    except ValueError:  # Python writes no whole number of so many digits
        return "a number of thousands of digits"
