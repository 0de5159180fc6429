"""The commands that are interrupted: what they read, what is typed, and what of their results is compared.

A command is done again after it was interrupted, into the same folder. Every file must then be as if nothing
had happened: byte for byte, except

- what carries a time (`TIMES`: when a run ended, how long an epoch or a trial took) and what the machine is;
- weights and checkpoints, which are zip archives with a name of their own inside: their tensors are compared;
- the order of fields in ``.laennec-analyze.json``, the state of a folder of analyses;
- ``logs/``, where Lightning writes one folder for each start of a training.
"""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import soundfile

from laennec.simulate import simulate_dataset

RATE = 8000  # Hz
TIMES = {"seconds", "precision_seconds", "finished", "machine"}
ONE_PER_START = "logs"

TINY = """
epochs = 3
batch_size = 16
[front_end]
kind = "log-mel"
bands = 8
hop_length = 800
clip_samples = 8000
[model]
kind = "resnet"
channels = [4]
"""
SOURCE = """
labels = ["normal", "crackle", "wheeze", "both"]
dataset = "icbhi"
taxonomy = "icbhi"
epochs = 1
batch_size = 16
[front_end]
kind = "cycle-log-mel"
clip_samples = 8000
[model]
kind = "nguyen2022"
channels = [2, 2, 2, 2, 2, 2, 2]
"""
# A data set that a server on this computer publishes.
OWN_SET = """
from laennec.datasets.sprsound import *
from laennec.datasets.table import Archive
NAME, verify = "own", lambda *_: []
ARCHIVES = (Archive("URL", "SHA256"),)
"""


@dataclass(frozen=True)
class Command:
    """A command line in a folder of inputs, whose results go to ``out`` there."""

    line: str
    prepare: Callable[[Path], None]

    def make(self, folder: Path) -> None:
        """Write the inputs."""
        folder.mkdir(parents=True)
        self.prepare(folder)

    @property
    def words(self) -> list[str]:
        return self.line.split()


def recordings(folder: Path, count: int = 4) -> None:
    """Recordings of noise with a tone each, below a folder and one below that."""
    rng = np.random.default_rng(0)
    times = np.arange(3 * RATE) / RATE
    for number in range(count):
        path = folder / "sounds" / ("", "deeper")[number % 2] / f"r{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        tone = 0.1 * np.sin(2 * np.pi * (200 + 90 * number) * times)
        soundfile.write(path, tone + 0.02 * rng.standard_normal(times.size), RATE)


def training_data(folder: Path) -> None:
    """Simulated patients, as few as two folds need, and a recipe that learns in a second."""
    simulate_dataset(folder / "data", subjects=7, seed=1, recordings_per_subject=1)
    (folder / "tiny.toml").write_text(TINY)


def cohort(folder: Path) -> None:
    """Cycles of eight patients, four of them with crackles, and a source model's recipe and data."""
    rng = np.random.default_rng(0)
    rows = ["path,start_s,end_s,label,subject"]
    (folder / "mine").mkdir()
    for patient in range(8):
        samples = 0.02 * rng.standard_normal(4 * RATE)
        for cycle in range(4):
            label = "Fine Crackle" if patient < 4 and cycle < 3 else "Normal"
            if label != "Normal":
                samples[cycle * RATE : (cycle + 1) * RATE : 600] += 0.5
            rows.append(f"p{patient}.wav,{cycle},{cycle + 1},{label},p{patient}")
        soundfile.write(folder / "mine" / f"p{patient}.wav", samples, RATE)
    (folder / "mine" / "clips.csv").write_text("\n".join(rows) + "\n")
    simulate_dataset(folder / "icbhi", subjects=5, layout="icbhi", recordings_per_subject=1, duration_s=8.0)
    (folder / "source.toml").write_text(SOURCE)


def archive(folder: Path) -> None:
    """The archive of a data set; `served` publishes it."""
    simulate_dataset(folder / "source", subjects=7, seed=1, recordings_per_subject=1)
    with zipfile.ZipFile(folder / "own.zip", "w") as zipped:
        for path in sorted((folder / "source").rglob("*")):
            if path.is_file():
                zipped.write(path, f"own/{path.relative_to(folder / 'source')}")
    shutil.rmtree(folder / "source")


CPU = "--accelerator cpu --threads 1"
COMMANDS: Mapping[str, Command] = {
    "analyze": Command("analyze sounds --out out --format json,csv,audacity,html", recordings),
    "simulate": Command("simulate out --subjects 3 --recordings 1", lambda folder: None),
    "datasets download": Command("datasets download own.py --to out", archive),
    "train": Command(f"train tiny.toml --data data --out out {CPU}", training_data),
    "crossvalidate": Command(
        f"crossvalidate tiny.toml --data data --out out --folds 2 --final {CPU} --set epochs=1",
        training_data,
    ),
    "transfer": Command(
        "transfer --from source.toml --source-data icbhi --data mine --out out "
        "--folds 3 --epochs 1 --threads 1",
        cohort,
    ),
}


class _Ranges(SimpleHTTPRequestHandler):
    """Sends what is left of a file, slowly enough to be interrupted."""

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        content = Path(self.directory, self.path.strip("/")).read_bytes()
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.send_response(416 if start >= len(content) else 206 if start else 200)
        self.send_header("Content-Length", str(max(0, len(content) - start)))
        if start >= len(content):
            self.send_header("Content-Range", f"bytes */{len(content)}")
        self.end_headers()
        self.wfile.write(content[start:])


@contextmanager
def served(folder: Path) -> Iterator[None]:
    """Publish ``own.zip`` of the folder, if it is there, on this computer."""
    if not (folder / "own.zip").exists():
        yield
        return
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Ranges, directory=str(folder)))
    Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True).start()
    digest = hashlib.sha256((folder / "own.zip").read_bytes()).hexdigest()
    url = f"http://127.0.0.1:{server.server_address[1]}/own.zip"
    (folder / "own.py").write_text(OWN_SET.replace("URL", url).replace("SHA256", digest))
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


# --- comparing ----------------------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, Any]:
    """What is compared of each file of the results, by its path below `folder`."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path: path.relative_to(folder).as_posix() for path in paths}
    return {name: content(path) for path, name in names.items() if ONE_PER_START not in Path(name).parts}


def content(path: Path) -> Any:
    """What is compared of a file."""
    if path.suffix in (".pt", ".ckpt"):
        import torch

        return _plain(torch.load(path, weights_only=True, map_location="cpu"))
    if path.name in ("run.json", "fold.json", "arithmetic.json", ".laennec-analyze.json"):
        return _plain(json.loads(path.read_text(encoding="utf-8")))
    return path.read_bytes()


def _plain(value: Any) -> Any:
    """Tensors as numbers, and nothing that carries a time."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items() if key not in TIMES}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if hasattr(value, "numpy"):
        return (str(value.dtype), tuple(value.shape), value.float().numpy().tobytes())
    return value


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Say in which files two results differ."""
    missing = [f"{name}: is missing" for name in sorted(wanted.keys() - found.keys())]
    more = [f"{name}: is left over" for name in sorted(found.keys() - wanted.keys())]
    both = sorted(found.keys() & wanted.keys())
    return [*missing, *more, *(f"{name}: differs" for name in both if found[name] != wanted[name])]


def halves(folder: Path) -> list[str]:
    """Files of interrupted results that are neither whole nor marked as unfinished by their names."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder)
        if (path.name.startswith(".") and ".tmp" in path.name) or ONE_PER_START in name.parts:
            continue
        try:
            _read(path)
        except Exception as error:
            found.append(f"{name}: {type(error).__name__}: {error}")
    return found


def _read(path: Path) -> None:
    """Read a file to its end; an error tells that it is cut short."""
    match path.suffix:
        case ".json":
            json.loads(path.read_bytes())
        case ".csv" | ".txt" | ".md" | ".html":
            text = path.read_text(encoding="utf-8")
            if text and not text.endswith("\n"):
                raise ValueError("its last line has no end")
        case ".wav":
            soundfile.read(path)
        case ".pt" | ".ckpt" | ".npz":
            with zipfile.ZipFile(path) as archive:
                archive.testzip()
        case ".onnx":
            from laennec.model.load import load_model

            load_model(path)
