"""The command line: a table of commands, each with its arguments and the function that does it.

The modules of both are imported when the command is chosen, so that ``--help`` comes at once and without
PyTorch; and the parser of all command lines only for those that are not plain.

Exit codes: 0 done, 2 wrong usage, 1 anything else, with one line on stderr (``--debug`` shows where); 143 and
129 after SIGTERM and SIGHUP.
"""

import gc
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from importlib import import_module
from itertools import pairwise
from typing import Any, get_args

from laennec.cli.options import read_plainly
from laennec.errors import LaennecError, UsageError
from laennec.files import printable
from laennec.signals import Terminated, ended_by_signals
from laennec.terminal import keep_apart, open_streams, spell_out
from laennec.version import __version__

# The arguments of each command, and the function that takes them and returns the exit code.
COMMANDS = {
    "analyze": ("laennec.cli.analyze_arguments:Analyze", "laennec.cli.analyze:run"),
    "score": ("laennec.bulk.jobs:Score", "laennec.cli.score:run"),
    "serve": ("laennec.cli.arguments:Serve", "laennec.cli.serve:run"),
    "live": ("laennec.cli.arguments:Live", "laennec.cli.live:run"),
    "calibrate": ("laennec.cli.arguments:Calibrate", "laennec.cli.calibrate:run"),
    "adapt": ("laennec.cli.arguments:Adapt", "laennec.cli.adapt:run"),
    "datasets": ("laennec.cli.arguments:Datasets", "laennec.cli.datasets:run"),
    "simulate": ("laennec.cli.arguments:Simulate", "laennec.cli.simulate:run"),
    "train": ("laennec.train.jobs:TrainJob", "laennec.train.commands:train"),
    "crossvalidate": ("laennec.train.jobs:CrossValidationJob", "laennec.train.commands:crossvalidate"),
    "transfer": ("laennec.train.jobs:TransferJob", "laennec.train.transfer:transfer"),
    "detector": ("laennec.train.jobs:DetectorJob", "laennec.cli.detector:run"),
    "evaluate": ("laennec.train.jobs:EvaluateJob", "laennec.cli.evaluate:run"),
    "export": ("laennec.train.jobs:ExportJob", "laennec.cli.export:run"),
    "reproduce": ("laennec.reproduce.jobs:ReproduceJob", "laennec.cli.reproduce:run"),
    "convert": ("laennec.cli.tool_arguments:Convert", "laennec.cli.convert:run"),
    "dicom": ("laennec.cli.tool_arguments:Dicom", "laennec.cli.dicom:run"),
    "deidentify": ("laennec.cli.tool_arguments:Deidentify", "laennec.cli.deidentify:run"),
    "referee": ("laennec.cli.tool_arguments:Referee", "laennec.cli.referee:run"),
    "challenge": ("laennec.cli.tool_arguments:Challenge", "laennec.cli.challenge:run"),
}

DESCRIPTION = """Laennec finds respiratory events in recordings, and trains and measures the models for it.

Start with:  laennec analyze recording.wav

Every command has its own --help with an example. Research software, not a medical device."""

DATASETS = "{datasets}"  # in help: the data sets that are found

EXTRAS = {
    "torch": "train",
    "lightning": "train",
    "pandas": "train",
    "scipy": "train",
    "sklearn": "train",
    "onnx": "train",
    "requests": "train",
    "mir_eval": "train",
    "matplotlib": "web",
    "fastapi": "web",
    "uvicorn": "web",
    "sounddevice": "live",
    "pyarrow": "scale",
    "fsspec": "scale",
    "s3fs": "scale",
    "ray": "ray",
    "pydicom": "clinic",
}

ADDRESS = re.compile(r"(--[\w-]+=)?[a-z][a-z0-9+.-]+://", re.IGNORECASE)
OF_STORES = ("score",)  # commands whose arguments may be addresses of object stores
SEVERAL = (
    "--set",
    "--seeds",
    "--only",
    "--models",
    "--rows",
    "--subjects",
    "--split",
    "--claimed",
    "--classes",
)  # options of several values


def load(place: str) -> Any:
    """Import what stands in ``module:name``; nothing else is imported late."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def parse(name: str, arguments: Sequence[str]) -> Any:
    """Return the arguments of a command, checked; SystemExit after ``--help``.

    UsageError if they are wrong; also if an option of several values is given twice, of which tyro would take
    the last values alone, an argument is empty, which would be the current folder, or one names no place for
    files.
    """
    command = load(COMMANDS[name][0])
    parts = [getattr(part, "__origin__", part) for field in fields(command) for part in get_args(field.type)]
    for part in (command, *parts):
        if DATASETS in (part.__doc__ or ""):
            part.__doc__ = part.__doc__.replace(DATASETS, load("laennec.cli.names:data_sets")())
    if "" in arguments:
        raise UsageError("an argument is empty; is a variable of the shell not set?")
    address = next((argument for argument in arguments if ADDRESS.match(argument)), None)
    if address and name not in OF_STORES:
        raise UsageError(f"{address}: addresses are not supported; download it first and name the file")
    if "--out=-" in arguments or ("--out", "-") in pairwise(arguments):
        raise UsageError("--out -: results are files; name a folder or file to write")
    for option in SEVERAL:
        if sum(argument.split("=")[0] == option for argument in arguments) > 1:
            raise UsageError(f"{option} is given twice; give it once, with all its values behind it")
    # Path("./-") would be standard input, as - is.
    words = [os.path.abspath(each) if each == os.path.join(".", "-") else each for each in arguments]
    plain = read_plainly(command, words)
    return load("laennec.cli.parser:read")(command, f"laennec {name}", words) if plain is None else plain


def run(arguments: Sequence[str]) -> int:
    """Parse the arguments, run the command and return its exit code."""
    if list(arguments) == ["--version"]:
        print(f"laennec {__version__}")
        return 0
    if not arguments or arguments[0] not in COMMANDS:
        if arguments and not arguments[0].startswith("-"):
            problem = load("laennec.cli.usage:no_such_command")(arguments[0], list(COMMANDS))
            raise UsageError(load("laennec.cli.usage:with_help")(problem, "laennec"))
        described = {name: str(load(own).__doc__).split("\n")[0] for name, (own, _) in COMMANDS.items()}
        load("laennec.cli.parser:help_of_all")(described, DESCRIPTION, arguments or ["--help"])
        raise UsageError("the command comes first; see laennec --help")
    name, *others = arguments
    command = parse(name, others)
    work = load(COMMANDS[name][1])
    gc.freeze()  # what is loaded stays: nothing of it is looked through again
    gc.enable()
    return int(work(command))


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the ``laennec`` command."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    open_streams()
    keep_apart()
    spell_out()
    try:
        try:
            with ended_by_signals():
                code = run(given)
        finally:
            sys.stdout.flush()  # where the disk is full, this fails and not the exit, which says it twice
    except UsageError as error:
        code = _fail(str(error), debug, code=2)
    except LaennecError as error:
        code = _fail(str(error), debug)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").split(".")[0])
        hint = f'; install it with: pip install "laennec[{extra}]"' if extra else ""
        code = _fail(f"this command needs the Python package {error.name}{hint}", debug)
    except KeyboardInterrupt as error:
        signalled = 128 + error.args[0] if isinstance(error, Terminated) else 1
        code = _fail("interrupted; the same command resumes where it can", debug, code=signalled)
    except OSError as error:
        if error.filename is None:  # of standard output, whose flush at exit would fail again
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        where = error.filename or "the output cannot be written"
        # Where its reader is gone (laennec … | head), nobody waits for an answer.
        gone = isinstance(error, BrokenPipeError)
        code = 1 if gone else _fail(f"{where}: {error.strerror}", debug)
    except Exception as error:
        code = _fail(_unforeseen(error), debug)
    sys.exit(code)


def _unforeseen(error: Exception) -> str:
    """Say what a limit of the computer or a mistake of ours has ended."""
    if isinstance(error, MemoryError):
        return "there is not enough memory; close other programs, or give it less at once"
    if isinstance(error, ImportError):
        first: BaseException = error  # packages explain at length what came of it
        while first.__cause__ is not None:
            first = first.__cause__
        return f"a Python package cannot be loaded ({(str(first).splitlines() or [str(error.name)])[0]})"
    return f"{type(error).__name__}: {error} (an error in Laennec; --debug shows where)"


def _fail(message: str, debug: bool, code: int = 1) -> int:
    if debug:
        raise
    with suppress(OSError):  # the terminal is gone
        print("laennec: " + printable(" ".join(message.split())), file=sys.stderr)
    return code
