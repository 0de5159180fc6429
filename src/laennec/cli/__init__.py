"""The command line: one file a command, of which only the chosen one is imported.

The file of a command holds ``Command``, a dataclass whose fields are the command's arguments and whose
docstring is its help, and ``run(command)``, which does it and returns the exit code. `run` imports what does
the work, so that ``--help`` comes at once and without PyTorch.

Exit codes: 0 done, 2 wrong usage, 1 anything else, with one line on stderr (``--debug`` shows where).
"""

import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import tyro

from laennec.errors import LaennecError, UsageError
from laennec.version import __version__

# The module of this package that each command stands in, with the first line of its help.
COMMANDS = {
    "analyze": "Find respiratory events in recordings, name them, and say what each recording as a whole is.",
    "datasets": "List, check, audit and download data sets.",
    "simulate": "Make lung-sound recordings with exact ground truth, for demonstrations and tests.",
    "train": "Train a model by a recipe; the same command goes on after an interruption.",
    "crossvalidate": "Measure a recipe by cross-validation over patients.",
    "transfer": "Carry a model over to your own small cohort, with figures by cross-validation.",
    "detector": "Train the model that finds events in whole recordings, and measure it by cross-validation.",
    "evaluate": "Measure a model on annotated events, with 95 % intervals over patients.",
    "export": "Write a finished run as one .onnx file: waveform in, calibrated probabilities out.",
    "reproduce": "Train a paper's models and print its tables beside ours.",
    "challenge": "Answer the BioCAS respiratory sound challenge: one class for each file of a folder.",
}

DESCRIPTION = """Laennec listens to lungs: respiratory events from recordings, and the models that find them.

Start with:  laennec analyze recording.wav

Every command has its own --help with an example. --debug shows where an error came from; --version prints
the version. Research software, not a medical device."""

DATASETS = "{datasets}"  # in help: the data sets that are found

CONFIG = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)

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
}


def parse(name: str, arguments: Sequence[str]) -> tuple[ModuleType, Any]:
    """Return the module of a command, and its ``Command`` as the arguments make it.

    Raises
    ------
    UsageError
        If an option is given twice, of which tyro would take the last.
    SystemExit
        With 0 after ``--help``, with 2 after wrong arguments; the text is printed.
    """
    module = import_module(f"laennec.cli.{name}")
    for part in vars(module).values():
        if isinstance(part, type) and DATASETS in (part.__doc__ or ""):
            part.__doc__ = str(part.__doc__).replace(DATASETS, _datasets())
    options = [argument.split("=")[0] for argument in arguments if argument.startswith("--")]
    if twice := next((name for name in options if options.count(name) > 1), None):
        raise UsageError(f"{twice} is given twice; give an option once, with all its values behind it")
    command = tyro.cli(module.Command, prog=f"laennec {name}", args=list(arguments), config=CONFIG)
    return module, command


def _datasets() -> str:
    """Return the names of the data sets that are found, read and not imported: help needs no NumPy."""
    files = sorted(Path(__file__).parents[1].joinpath("datasets").glob("*.py"))
    matches = [
        re.search(r'^NAME = "(\w+)"', path.read_text(encoding="utf-8"), re.MULTILINE) for path in files
    ]
    names = [match[1] for match in matches if match]
    names += [point.name for point in entry_points(group="laennec.datasets")]
    return f"{', '.join(names)}, or a Python file of one"


def run(arguments: Sequence[str]) -> int:
    """Parse the arguments, run the command and return its exit code."""
    if list(arguments) == ["--version"]:
        print(f"laennec {__version__}")
        return 0
    if not arguments or arguments[0] not in COMMANDS:
        tyro.extras.subcommand_cli_from_dict(
            {name: _described(line) for name, line in COMMANDS.items()},
            prog="laennec",
            description=DESCRIPTION,
            args=list(arguments) or ["--help"],
        )
        raise UsageError("the command comes first; see laennec --help")
    module, command = parse(arguments[0], arguments[1:])
    return int(module.run(command))


def _described(line: str) -> Callable[[], None]:
    """Return what stands for a command in the help of all: nothing but its first line."""

    def command() -> None: ...

    command.__doc__ = line
    return command


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the ``laennec`` command."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    try:
        code = run(given)
    except UsageError as error:
        code = _fail(str(error), debug, code=2)
    except LaennecError as error:
        code = _fail(str(error), debug)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").split(".")[0])
        hint = f'; install it with: pip install "laennec[{extra}]"' if extra else ""
        code = _fail(f"this command needs the Python package {error.name}{hint}", debug)
    except KeyboardInterrupt:
        code = _fail("interrupted; the same command goes on where it can", debug)
    except BrokenPipeError:
        # The reader of our output is gone (laennec … | head); Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:
        code = _fail(f"{type(error).__name__}: {error} (an error in Laennec; --debug shows where)", debug)
    sys.exit(code)


def _fail(message: str, debug: bool, code: int = 1) -> int:
    if debug:
        raise
    print("laennec: " + " ".join(message.split()), file=sys.stderr)
    return code
