"""``laennec export``: a model in the form that another program runs."""

import sys
from pathlib import Path

from laennec.cli import load
from laennec.errors import LaennecError, UsageError, no_folder
from laennec.model.load import OTHER_USES, model_path, shipped_models
from laennec.train.jobs import ExportJob

# What writes each target: a function that takes the job and returns the path of what it wrote. Its module is
# imported when the target is chosen.
TARGETS = {
    "onnx": "laennec.train.export:export_run",
    "int8": "laennec.train.int8:export_small",
    "web": "laennec.targets.web:write",
    "microcontroller": "laennec.targets.microcontroller:export_microcontroller",
    "chai": "laennec.targets.chai:write",
}
NEED_TORCH = ("onnx", "int8")  # of the targets
OPTIONS = {
    "temperature": ("onnx",),
    "data": ("int8",),
    "dataset": ("int8",),
    "also": ("int8",),
    "runtime": ("web",),
}  # targets that an option is for, where it is not for all


def _check_run(command: ExportJob) -> None:
    """Refuse what is no run folder before PyTorch is loaded, which takes seconds.

    UsageError if none is named, LaennecError if there is none of that name.
    """
    if not command.model:
        raise UsageError("name the run folder of `laennec train` to export")
    is_there = Path(command.model).exists()
    if command.model in (*shipped_models(), *(() if is_there else OTHER_USES)):
        raise LaennecError(
            f"{command.model}: ships as a model file; --target onnx writes one of a run of `laennec train`"
        )
    if not Path(command.model).is_dir():
        wrong = no_folder(command.model)
        raise LaennecError(f"{command.model}: {wrong}; name the run folder of `laennec train`")


def run(command: ExportJob) -> int:
    for option, targets in OPTIONS.items():
        if getattr(command, option) not in (None, ()) and command.target not in targets:
            raise UsageError(f"--{option} is for --target {' or '.join(targets)}, not {command.target}")
    if command.target in NEED_TORCH:
        if command.target == "onnx":
            _check_run(command)
        elif command.model:
            model_path(command.model)
        if sys.stderr.isatty():
            print("Loading PyTorch, which takes some seconds", file=sys.stderr)
    print(load(TARGETS[command.target])(command))
    return 0
