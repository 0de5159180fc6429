"""Laennec: open software that listens to lungs. Research software, not a medical device.

>>> from laennec import analyze
>>> for event in analyze("recording.wav", age_years=4.5, sex="female").events:
...     print(event.start_s, event.end_s, event.label, event.probability)
"""

import os
import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

# ONNX Runtime from 1.31 on writes a device identifier into the home folder when it is imported, and sends
# usage data to its maker. The variable must be set before that import. It is set here because every import of
# a module of Laennec runs this file first; processes that Laennec starts inherit it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# Threads of PyTorch that wait for work would spin, and take the core from whoever has work: on a busy machine
# two of them are several times slower than one. OpenMP reads this when PyTorch is loaded (GNU's, which
# PyTorch's wheels for Linux bring, and Intel's alike), unless its own variable is set.
if not {"GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & set(os.environ):
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from laennec.errors import LaennecError
from laennec.version import __version__

if TYPE_CHECKING:
    from laennec.analyze import analyze
    from laennec.analyze.analysis import Analysis, Event, RecordAnswer, RecordingPrediction
    from laennec.analyze.stream import Stream
    from laennec.audio.recording import Recording
    from laennec.model.clips import LungModel
    from laennec.model.load import load_model

__all__ = [
    "Analysis",
    "Event",
    "LaennecError",
    "LungModel",
    "RecordAnswer",
    "Recording",
    "RecordingPrediction",
    "Stream",
    "__version__",
    "analyze",
    "load_model",
]

_LAZY = {
    "Analysis": "laennec.analyze.analysis",
    "Event": "laennec.analyze.analysis",
    "LungModel": "laennec.model.clips",
    "RecordAnswer": "laennec.analyze.analysis",
    "Recording": "laennec.audio.recording",
    "RecordingPrediction": "laennec.analyze.analysis",
    "Stream": "laennec.analyze.stream",
    "analyze": "laennec.analyze",
    "load_model": "laennec.model.load",
}


def __getattr__(name: str) -> Any:
    """Import what needs NumPy, libsndfile or ONNX Runtime when it is first asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module 'laennec' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


class _Package(ModuleType):
    """Keeps ``laennec.analyze`` the function: importing the room of that name would put the module there."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "analyze" and isinstance(value, ModuleType):
            value = value.analyze
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
