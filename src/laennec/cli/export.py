"""``laennec export``: a model in the form that another program runs."""

from laennec.cli import load
from laennec.errors import UsageError
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
OPTIONS = {
    "temperature": ("onnx",),
    "data": ("int8",),
    "dataset": ("int8",),
    "also": ("int8",),
    "runtime": ("web",),
}  # targets that an option is for, where it is not for all


def run(command: ExportJob) -> int:
    for option, targets in OPTIONS.items():
        if getattr(command, option) not in (None, ()) and command.target not in targets:
            raise UsageError(f"--{option} is for --target {' or '.join(targets)}, not {command.target}")
    print(load(TARGETS[command.target])(command))
    return 0
