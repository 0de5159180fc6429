"""What is fuzzed: a table of targets, each with seeds, a mutator, and a function that takes an input.

The function does with an input what a command does with such a file. `LaennecError` is the right end of a
wrong input. Whatever else it raises is a fault, and so are a hang, a crash, and more than 2 GB of memory.
"""

import contextlib
import importlib.util
import io
import json
import os
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from rich.console import Console

import mutate
import seeds
from laennec.analyze import analyze
from laennec.analyze.inputs import Remarks, boundaries_in
from laennec.annotations import audacity, icbhi, read_labels, sprsound
from laennec.audio import stream
from laennec.audio.recording import Recording
from laennec.errors import LaennecError
from laennec.model.calibration import calibrated_card, read_calibration
from laennec.model.card import RecordingCard, read_card
from laennec.model.load import load_model
from laennec.output.files import write_outputs
from laennec.output.formats import Summary, summary, to_json, to_summary_csv
from laennec.output.ledger import LEDGER, Ledger
from laennec.output.text import print_summary, print_table
from laennec.patient import Patient
from laennec.score.evaluation import score, score_detections
from laennec.score.events_table import read_events_table
from laennec.score.predictions import read_predictions
from laennec.score.text import render_detection, render_tables

KEPT_SAMPLES = stream.KEPT_SAMPLES
NOTHING = os.open(os.devnull, os.O_RDONLY)  # is readable at once, as a closed connection
DRAWS = 20  # of a bootstrap
URL = "http://fuzz.invalid/data.zip"
LINES = mutate.change_text((*mutate.NUMBERS, *mutate.WORDS))
SETTING_LINES = mutate.change_text((*mutate.NUMBERS, *mutate.WORDS, *mutate.TOML))
HEADER_LINES = mutate.change_text((*mutate.NUMBERS, *mutate.WORDS, *seeds.HEADER_WORDS))


@dataclass(frozen=True)
class Target:
    """A function of an input and of a folder of its own, which it may leave as it likes."""

    run: Callable[[bytes, Path], None]
    seeds: Callable[[], list[bytes]]
    mutate: mutate.Mutator
    needs: tuple[str, ...] = ()  # packages beside those of the base install
    modules: tuple[str, ...] = ()  # that need these, imported before the first input


def missing(target: Target) -> list[str]:
    """Packages that a target needs and that are not installed."""
    return [package for package in target.needs if importlib.util.find_spec(package) is None]


def _coin(data: bytes) -> bool:
    """Half of all inputs, the same each time."""
    return zlib.crc32(data) % 2 == 0


def _nowhere() -> Console:
    return Console(file=io.StringIO(), width=80)


# --- sound --------------------------------------------------------------------------------------------------


def audio(data: bytes, folder: Path) -> None:
    """Open a recording, keep it or not, and read it at its own or at another rate."""
    stream.KEPT_SAMPLES = KEPT_SAMPLES if _coin(data) else 256
    recording = Recording.open(data)
    for block in recording.blocks(seeds.RATE if zlib.crc32(data) % 4 < 2 else None):
        assert np.isfinite(block).all(), "samples that are no numbers"


def analysis(data: bytes, folder: Path) -> None:
    """Analyse a recording and write every format."""
    stream.KEPT_SAMPLES = KEPT_SAMPLES
    recording = Recording.open(data, "rec.wav")
    if recording.duration_s > 5:  # a header may promise hours
        return
    found = analyze(recording, model=tiny(_coin(data)))
    print_table(found, _nowhere())
    formats = ["json", "csv", "audacity", "sprsound", "icbhi"] + ["html"] * (zlib.crc32(data) % 8 == 0)
    with contextlib.suppress(LaennecError):  # icbhi has no place for some labels
        write_outputs(found, recording.beginning(60), folder, "rec", formats)


@cache
def tiny(clips: bool):
    """A tiny model, loaded once."""
    path = Path(_shared("models"), f"{clips}.onnx")
    path.write_bytes(seeds.models()[0 if clips else 1])
    return load_model(path)


@cache
def _shared(name: str) -> str:
    import tempfile

    return tempfile.mkdtemp(prefix=f"laennec-fuzz-{name}-")


# --- label files --------------------------------------------------------------------------------------------


def labels(suffix: str) -> Callable[[bytes, Path], None]:
    """Return a target that reads a label file, as a data set and as an analysis do, and writes it again."""

    def run(data: bytes, folder: Path) -> None:
        path = folder / f"rec{suffix}"
        path.write_bytes(data)
        if _coin(data):
            boundaries_in(path, sound(), Remarks())
            return
        read = read_labels(path, "rec.wav")
        spans = [(event.start_s, event.end_s, event.annotated or "Normal") for event in read.events]
        for problem in read.problems:
            str(problem)
        audacity.write(spans)
        for write in (sprsound.write, icbhi.write):
            with contextlib.suppress(LaennecError):  # a label that the format has no place for
                write(spans)

    return run


@cache
def sound() -> Recording:
    return Recording.from_array(seeds.breath(1.0).T, seeds.RATE, "rec.wav")


def given_events(data: bytes, folder: Path) -> None:
    """Analyse a recording with given events, and write what comes out."""
    path = folder / ("given.json" if data[:1] == b"{" else "given.csv")
    path.write_bytes(data)
    found = analyze(sound(), events=path, model=tiny(_coin(data)))
    print_table(found, _nowhere())
    json.dumps(to_json(found), allow_nan=False).encode()
    to_summary_csv([summary(found, "rec.wav")]).encode()


def file_name(data: bytes, folder: Path) -> None:
    """What a file name tells of a patient."""
    name = data.decode("utf-8", "surrogateescape")
    sprsound.parse_name(name)


def patient(data: bytes, folder: Path) -> None:
    """Age, sex and position as they are typed."""
    age, sex, position, *_ = [*data.decode("utf-8", "surrogateescape").split("\n"), "", "", ""]
    Patient(age, sex, position)


# --- data sets ----------------------------------------------------------------------------------------------


def own_table(name: str) -> Callable[[bytes, Path], None]:
    """Return a target that reads one's own data with this table, at both levels, and checks it."""

    def run(data: bytes, folder: Path) -> None:
        from laennec.datasets import folder as own

        for path in ("rec.wav", "sub/b.wav"):
            if not (folder / path).exists():
                (folder / path).parent.mkdir(exist_ok=True)
                (folder / path).write_bytes(seeds.analysed_sounds()[0])
                (folder / path).with_suffix(".txt").write_text("0.01\t0.05\tNormal\n")
        (folder / name).write_bytes(data)
        if zlib.crc32(data) % 64 == 0:
            own.check(folder)
        own.load(folder, "record" if _coin(data) else "event")

    return run


def data_set(data: bytes, folder: Path) -> None:
    """A small copy of a public data set, one of whose text files is the input: the first byte chooses it."""
    from laennec import datasets

    files = _copies(folder)
    name, path, content = files[(data or b"\0")[0] % len(files)]
    path.write_bytes(data[1:])
    try:
        datasets.load(name, folder / name, datasets.dataset(name).LEVELS[0])
    finally:
        path.write_bytes(content)


@cache
def _copies(folder: Path) -> list[tuple[str, Path, bytes]]:
    from laennec.datasets import data_sets

    files = []
    for name, module in data_sets().items():
        module.tiny(folder / name)
        paths = sorted((folder / name).rglob("*"))
        files += [
            (name, path, path.read_bytes()) for path in paths if path.suffix in (".txt", ".json", ".csv")
        ]
    return files


def _data_set_seeds() -> list[bytes]:
    files = _copies(Path(_shared("copies")))
    return [bytes([number]) + content for number, (_, _, content) in enumerate(files)]


def archive(data: bytes, folder: Path) -> None:
    """Unpack a downloaded archive."""
    from laennec.datasets.fetch import unpack

    path, to = folder / "data.zip", folder / "to"
    path.write_bytes(data)
    try:
        unpack(path, to)
    finally:
        shutil.rmtree(to, ignore_errors=True)
    outside = sorted(each.name for each in folder.iterdir())
    assert outside == ["data.zip"], f"written outside: {outside}"


def response(data: bytes, folder: Path) -> None:
    """Download from a server that answers with these bytes, twice; then it is gone."""
    from urllib3.connection import HTTPConnection

    from laennec.datasets import fetch

    path = folder / "data.zip"
    if _coin(data):
        path.with_name("data.zip.part").write_bytes(b"abc")
    sockets = [_Socket(data), _Socket(data)]

    def connect(connection: HTTPConnection) -> "_Socket":
        if connection.host != "fuzz.invalid" or not sockets:
            raise ConnectionRefusedError("nobody there")
        return sockets.pop()

    own = HTTPConnection._new_conn
    HTTPConnection._new_conn = connect
    try:
        published = fetch.Archive(URL, "0" * 64 if zlib.crc32(data) % 4 == 0 else None)
        fetch.retrieve(published, path, progress=False)
    finally:
        HTTPConnection._new_conn = own
        for left in folder.iterdir():
            left.unlink()


class _Socket:
    """A connection on which an answer has come already; nothing is sent to anyone."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def makefile(self, *_: object, **__: object) -> io.BufferedReader:
        return io.BufferedReader(io.BytesIO(self._answer))

    def ignore(self, *_: object, **__: object) -> None:
        """Do what is asked of a socket."""

    def fileno(self) -> int:
        return NOTHING

    sendall = settimeout = setsockopt = shutdown = close = ignore


# --- models -------------------------------------------------------------------------------------------------


def card(data: bytes, folder: Path) -> None:
    """The metadata of a model: alone, and in the file of either model, which then analyses a sound."""
    read = read_card(data.decode("utf-8", "surrogateescape"))
    assert read.inputs
    assert read.outputs
    if zlib.crc32(data) % 4:
        return
    base = seeds.recording_model() if read.task == "recording" else seeds.clip_model()
    model_file(seeds.with_metadata(base, data), folder)


def calibration(data: bytes, folder: Path) -> None:
    """A calibration of one's own device, for a model of the name of its seed."""
    path = folder / "ward.json"
    path.write_bytes(data)
    read = read_card(json.dumps(seeds.RECORDING_CARD))
    assert isinstance(read, RecordingCard)
    calibrated_card(read, seeds.SHA256, read_calibration(path), path)


def model_file(data: bytes, folder: Path) -> None:
    """Load a model and analyse a sound with it."""
    path = folder / "model.onnx"
    path.write_bytes(data)
    found = analyze(sound(), model=path)
    if _coin(data):
        print_table(found, _nowhere())
    json.dumps(to_json(found), allow_nan=False).encode()
    to_summary_csv([summary(found, "rec.wav")]).encode()


def recipe(data: bytes, folder: Path) -> None:
    """Read a recipe, and read it again as it is written into a run folder."""
    from laennec.train.recipe import load_recipe, recipe_from_dict, recipe_to_dict

    path = folder / "mine.toml"
    path.write_bytes(data)
    read = load_recipe(path)
    recipe_from_dict(json.loads(json.dumps(recipe_to_dict(read))))


def settings(data: bytes, folder: Path) -> None:
    """Change settings of a recipe, one a line, as ``--set`` does."""
    from laennec.train.recipe import with_settings

    with_settings(_default_recipe(), data.decode("utf-8", "surrogateescape").split("\n"))


@cache
def _default_recipe():
    from laennec.train.recipe import load_recipe

    return load_recipe("default")


# --- results ------------------------------------------------------------------------------------------------


def ledger(data: bytes, folder: Path) -> None:
    """Go on from what an earlier run left in its folder, and write ledger and summary anew."""
    source = _recorded(folder)
    (folder / LEDGER).write_bytes(data)
    kept = Ledger(folder, {"model": "tiny"})
    kept.claim({source: "rec"}, ("json",))
    row = kept.done(kept.key(source), source, ("json",))
    if row is None and _coin(data):
        kept.fail(kept.key(source), Summary("rec.wav", error="not audio"))
    elif row is None:
        kept.add(kept.key(source), source, ("json",), [folder / "rec.json"], Summary("rec.wav"))
    kept.close()
    assert kept.problem is None, kept.problem
    if row and zlib.crc32(data) % 8 == 0:
        print_summary([row], _nowhere())


def _recorded(folder: Path) -> Path:
    source = folder / "rec.wav"
    if not source.exists():
        source.write_bytes(b"sound")
        (folder / "rec.json").write_text("{}")
    return source


def _ledger_seeds() -> list[bytes]:
    folder = Path(_shared("ledger"))
    kept, source = Ledger(folder, {"model": "tiny"}), _recorded(folder)
    row = Summary("rec.wav", "CAS", 0.5, rate_per_min=20.0, events={"Wheeze": 2}, quality=("noisy",))
    kept.claim({source: "rec"}, ("json",))
    kept.add(kept.key(source), source, ("json",), [folder / "rec.json"], row)
    kept.close()
    return [(folder / LEDGER).read_bytes()]


def predictions(suffix: str) -> Callable[[bytes, Path], None]:
    """Return a target that reads predictions and scores them."""

    def run(data: bytes, folder: Path) -> None:
        path = folder / f"predictions{suffix}"
        path.write_bytes(data)
        scores = score(read_predictions(path), draws=DRAWS)
        json.dumps(scores, allow_nan=False)
        render_tables(scores).encode()

    return run


def events(data: bytes, folder: Path) -> None:
    """Read found events and score them."""
    path = folder / "events.csv"
    path.write_bytes(data)
    scores = score_detections(read_events_table(path), draws=DRAWS)
    json.dumps(scores, allow_nan=False)
    render_detection(scores).encode()


TABLES = {"needs": ("pandas",), "modules": ("laennec.datasets", "laennec.datasets.folder")}
DOWNLOADS = {"needs": ("requests",), "modules": ("laennec.datasets.fetch",)}
TRAINING = {"needs": ("torch",), "modules": ("laennec.train.recipe",)}
TARGETS = {
    "audio": Target(audio, seeds.sounds, mutate.change_bytes),
    "analysis": Target(analysis, seeds.analysed_sounds, mutate.change_bytes),
    "labels-json": Target(labels(".json"), lambda: seeds.LABELS_JSON, mutate.change_json),
    "labels-text": Target(labels(".txt"), lambda: seeds.LABELS_TEXT, LINES),
    "labels-table": Target(labels(".csv"), lambda: seeds.LABELS_TABLE, LINES),
    "given-events": Target(given_events, lambda: seeds.LABELS_TABLE + seeds.LABELS_JSON, LINES),
    "file-names": Target(file_name, lambda: seeds.NAMES, LINES),
    "patient": Target(patient, lambda: seeds.PATIENTS, LINES),
    "clips.csv": Target(own_table("clips.csv"), lambda: seeds.CLIPS_CSV, LINES, **TABLES),
    "subjects.csv": Target(own_table("subjects.csv"), lambda: seeds.SUBJECTS_CSV, LINES, **TABLES),
    "data-sets": Target(data_set, _data_set_seeds, LINES, **TABLES),
    "archive": Target(archive, seeds.archives, mutate.change_zip, **DOWNLOADS),
    "http": Target(response, lambda: seeds.RESPONSES, HEADER_LINES, **DOWNLOADS),
    "card": Target(card, seeds.cards, mutate.change_json),
    "calibration": Target(calibration, seeds.calibrations, mutate.change_json),
    "model": Target(model_file, seeds.models, mutate.change_protobuf),
    "recipe": Target(recipe, seeds.recipes, SETTING_LINES, **TRAINING),
    "settings": Target(settings, lambda: seeds.SETTINGS, SETTING_LINES, **TRAINING),
    "ledger": Target(ledger, _ledger_seeds, mutate.change_json),
    "predictions": Target(predictions(".csv"), lambda: seeds.PREDICTIONS, LINES),
    "predictions.gz": Target(
        predictions(".csv.gz"),
        lambda: seeds.compressed(seeds.PREDICTIONS),
        mutate.change_bytes,
    ),
    "events": Target(events, lambda: seeds.EVENTS, LINES, ("mir_eval",), ("mir_eval.transcription",)),
}
