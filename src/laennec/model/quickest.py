"""Which of the shipped models for whole recordings is the quicker one on this computer.

Both are run once on a second of noise, in a few hundredths of a second, and the choice is remembered in the
user's cache, by processor, runtime and model files. Timing decides and not what a processor says that it can
do; and so that speed is all that is chosen by, the outputs must agree.
"""

import hashlib
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from laennec.errors import LaennecError
from laennec.files import make_folder, read_json, write_json
from laennec.model.card import OUTPUTS
from laennec.model.session import Graph

PRETRAINED = Path(__file__).resolve().parents[1] / "pretrained"  # models that are installed with the package
EXACT, SMALL = "recording", "recording-int8"
SECONDS, RATE = 1.0, 8000
ROUNDS = 3  # of which the quickest counts, after one that warms up
GAIN = 0.9  # share of the time from which it is worth it
LARGEST_ERROR = 0.25  # of an output, as a share of its deviation: ten times what quantisation leaves
CHOICE = "quickest-model.json"

Clock = Callable[[], float]


def quickest(folder: Path | None = None, clock: Clock = time.process_time) -> str:
    """Name of the shipped model for whole recordings that is quicker here; from memory after the first time.

    Parameters
    ----------
    folder
        Where it is remembered; by default Laennec's folder in the user's cache. Where nothing can be written
        there, it is found out anew each time.
    clock
        Seconds; of this process, so that what else the computer does hardly counts.
    """
    folder = cache_folder() if folder is None else folder
    contents = {name: _content(name) for name in (EXACT, SMALL)}
    here = computer(contents)
    known = _remembered(folder / CHOICE)
    choice = known.get(here, {}).get("model") if isinstance(known.get(here), dict) else None
    if choice in contents:
        return str(choice)
    made = trial(contents, clock)
    with suppress(LaennecError, OSError):
        make_folder(folder)
        write_json(folder / CHOICE, {**known, here: made})
    return str(made["model"])


def trial(contents: Mapping[str, bytes], clock: Clock = time.process_time) -> dict[str, Any]:
    """Run both files, and say which is taken, in how many seconds each ran, and how far they lie apart."""
    samples = 0.05 * np.random.default_rng(0).standard_normal((1, round(SECONDS * RATE)))
    given = {"waveform": samples.astype(np.float32)}
    graphs = {name: Graph(contents[name], name) for name in (EXACT, SMALL)}
    outputs = {name: graph.run(OUTPUTS, given) for name, graph in graphs.items()}
    seconds = dict.fromkeys(graphs, float("inf"))
    for _ in range(ROUNDS):
        for name, graph in graphs.items():
            began = clock()
            graph.run(OUTPUTS, given)
            seconds[name] = min(seconds[name], clock() - began)
    error = max(
        float(np.sqrt(np.mean((near - exact) ** 2)) / exact.std())
        for exact, near in zip(outputs[EXACT], outputs[SMALL], strict=True)
    )
    quicker = seconds[SMALL] < GAIN * seconds[EXACT] and error < LARGEST_ERROR
    return {"model": SMALL if quicker else EXACT, "seconds": seconds, "largest_error": error}


def computer(contents: Mapping[str, bytes]) -> str:
    """What a choice holds for: processor, runtime and model files, as 64 hexadecimal digits."""
    facts = [*_processor(), platform.machine(), onnxruntime.__version__]
    facts += [hashlib.sha256(content).hexdigest() for content in contents.values()]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def cache_folder() -> Path:
    """Laennec's folder in the user's cache, where this system keeps such."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(base)) / "laennec"


def _content(name: str) -> bytes:
    try:
        return (PRETRAINED / f"{name}.onnx").read_bytes()
    except OSError as error:
        raise LaennecError(f"the model {name} does not ship with this installation ({error})") from error


def _remembered(path: Path) -> dict[str, Any]:
    try:
        return read_json(path, "delete it") if path.is_file() else {}
    except LaennecError:  # damaged; it is written anew
        return {}


def _processor() -> list[str]:
    """What the system tells of the processor: its name, and what it can do, for virtual ones share names."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return [platform.processor()]
    return list(dict.fromkeys(line for line in lines if line.startswith(("model name", "flags", "Features"))))
