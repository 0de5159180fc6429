"""The line above a table: on what machine, with which versions, when and by which command it was measured."""

from collections.abc import Mapping, Sequence
from typing import Any

NAMES = {"python": "Python", "numpy": "NumPy", "onnxruntime": "ONNX Runtime", "torch": "PyTorch"}


def measured(run: Mapping[str, Any], *packages: str, details: Sequence[str] = ()) -> str:
    """Return machine, versions, day and command of a measurement, without a point.

    Parameters
    ----------
    run
        ``machine`` (``processor``, and versions by package), ``command``, perhaps ``date`` and ``beside``.
    packages
        Those whose versions are named, where the machine has them.
    details
        What else is said of the machine, such as its threads.
    """
    machine = run["machine"]
    versions = [f"{NAMES.get(name, name)} {machine[name]}" for name in packages if name in machine]
    day = [run["date"]] if "date" in run else []
    beside = f", beside {run['beside']}" if "beside" in run else ""
    return f"{', '.join([machine['processor'], *details, *versions, *day])}{beside}: `{run['command']}`"


def cores(run: Mapping[str, Any]) -> str:
    """Return how many cores the machine of a measurement has."""
    return f"{run['machine']['cores']} cores"
