"""Behaviour that refactoring must keep: what the commands write, what the model files answer, exit codes.

    python tests/golden/make_behaviour.py                   writes every file of tests/golden/behaviour/
    python tests/golden/make_behaviour.py analyze-short ...  writes the files named

`tests/test_golden.py` and `tests/train/test_golden_train.py` make the same things again and compare.
Everything goes through public entry points (the command line, ``laennec.__all__``, the shipped model
files), so that a module may be moved or rewritten without touching this file.

Run it only after a change of behaviour that is wanted, for the files that it concerns, and explain each
difference that ``git diff`` shows in the commit message. A difference without an explanation is a regression.
Names that begin with ``train-`` need the training layer. Sounds are simulated or come from a fixed random
stream.
"""

import contextlib
import csv
import dataclasses
import hashlib
import inspect
import io
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime reads it when it is imported

import numpy as np
import soundfile as sf

FOLDER = Path(__file__).with_name("behaviour")
FORMATS = "json,csv,audacity,sprsound,icbhi"
RATE = 8000  # Hz, of the simulated recordings
Golden = dict[str, Any]


# --- running commands ---------------------------------------------------------------------------------------


def laennec(*words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command, run in this process."""
    from laennec.cli import main

    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    width = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "250"
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(list(words))
        code: Any = 0
    except SystemExit as stopped:
        code = stopped.code
    finally:
        os.environ.pop("COLUMNS")
        if width is not None:
            os.environ["COLUMNS"] = width
    shown = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    return (code if isinstance(code, int) else 0 if code is None else 1), shown[0], shown[1]


def succeed(*words: str) -> None:
    code, _, err = laennec(*words)
    assert code == 0, err


# --- analyses -----------------------------------------------------------------------------------------------


def write_wav(name: str, samples: Any, rate: int = RATE, subtype: str = "PCM_16") -> None:
    """`samples`: (samples,) or (channels, samples)."""
    sf.write(name, np.asarray(samples).T, rate, subtype=subtype)


def demo() -> tuple[np.ndarray, np.ndarray]:
    """Simulated wheezes and fine crackles, 15 s each; wheezes.wav and fine_crackles.wav lie in ``demo/``."""
    if not Path("demo").exists():
        succeed("simulate", "demo", "--layout", "demo")
    return sf.read("demo/wheezes.wav")[0], sf.read("demo/fine_crackles.wav")[0]


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).standard_normal(count)


def _short() -> list[str]:
    write_wav("x.wav", demo()[0])
    return ["x.wav"]


def _metadata() -> list[str]:
    sf.write("x.flac", demo()[1], RATE)
    return ["x.flac", "--age", "5", "--sex", "female", "--position", "left-posterior"]


def _long(*more: str) -> list[str]:
    wheezes, crackles = demo()
    write_wav("x.wav", np.concatenate([np.tile(wheezes, 22), np.tile(crackles, 22)]))
    return ["x.wav", *more]


def _long_given() -> list[str]:
    Path("e.csv").write_text("start_s,end_s\n2.6,4.2\n330.5,332\n655.25,657\n")
    return _long("--events", "e.csv")


def _stereo(second: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> list[str]:
    wheezes, crackles = demo()
    write_wav("x.wav", np.stack([wheezes, second(wheezes, crackles)]))
    return ["x.wav"]


def _given(name: str, text: str, *more: str) -> list[str]:
    write_wav("x.wav", demo()[0])
    Path(name).write_text(text)
    return ["x.wav", "--events", name, *more]


def _sprsound(*more: str) -> list[str]:
    event = [
        {"start": "350", "end": "1050", "type": "Normal"},
        {"start": "2600", "end": "2900", "type": "Wheeze"},
    ]
    return _given("e.json", json.dumps({"record_annotation": "CAS", "event_annotation": event}), *more)


def _windows(*more: str) -> list[str]:
    write_wav("x.wav", demo()[1])
    return ["x.wav", "--model", "default", *more]


def _sound(samples: Any, rate: int = RATE, subtype: str = "PCM_16") -> list[str]:
    write_wav("x.wav", samples, rate, subtype)
    return ["x.wav"]


def _rate_44100() -> list[str]:
    crackles = demo()[1]
    times = np.arange(15 * 44100) / 44100
    return _sound(np.interp(times, np.arange(len(crackles)) / RATE, crackles), 44100)


def _above_full_scale() -> list[str]:
    wheezes = demo()[0]
    return _sound(wheezes / np.abs(wheezes).max() * 1.5, subtype="FLOAT")


def _not_finite() -> list[str]:
    wheezes = demo()[0].copy()
    wheezes[40_000:40_200] = np.nan
    return _sound(wheezes, subtype="FLOAT")


def _altered(change: Callable[[bytes], bytes]) -> list[str]:
    write_wav("x.wav", demo()[0])
    Path("x.wav").write_bytes(change(Path("x.wav").read_bytes()))
    return ["x.wav"]


CSV = "start_s,end_s,label\n0.35,1.05,Normal\n2.6,2.9,Wheeze\n9.45,10.15,Stridor\n14.5,15.5,Normal\n"
AUDACITY = "0.350000\t1.050000\tNormal\n2.600000\t2.900000\tWheeze\n9.450000\t10.150000\t\n"
ICBHI = "0.35\t1.05\t0\t0\n2.6\t2.9\t0\t1\n9.45\t10.15\t1\t1\n"

# Of files above ten minutes only what is right today: truncation, scaling, twin and silent channels are not.
ANALYSES: dict[str, Callable[[], list[str]]] = {
    "short": _short,
    "metadata": _metadata,
    "long": _long,
    "long-given": _long_given,
    "stereo": lambda: _stereo(lambda _, crackles: crackles),
    "stereo-equal": lambda: _stereo(lambda wheezes, _: wheezes),
    "stereo-silent": lambda: _stereo(lambda wheezes, _: 0 * wheezes),
    "given-csv": lambda: _given("e.csv", CSV, "--age", "7", "--sex", "male"),
    "given-audacity": lambda: _given("e.txt", AUDACITY),
    "given-icbhi": lambda: _given("e.txt", ICBHI),
    "given-sprsound": _sprsound,
    "given-recording-model": lambda: _sprsound("--model", "recording"),
    "given-source-model": lambda: _given("e.csv", CSV, "--model", "source"),
    "windows": _windows,
    "windows-metadata": lambda: _windows("--age", "5", "--position", "right-lateral"),
    "tone": lambda: _sound(0.3 * np.sin(2 * np.pi * 1000 * np.arange(10 * RATE) / RATE)),
    "noise": lambda: _sound(0.1 * noise(10 * RATE)),
    "silence": lambda: _sound(np.zeros(10 * RATE)),
    "rate-44100": _rate_44100,
    "above-full-scale": _above_full_scale,
    "not-finite": _not_finite,
    "clipped": lambda: _sound(np.clip(20 * demo()[0], -1, 1)),
    "truncated": lambda: _altered(lambda content: content[: int(0.9 * len(content))]),
    "unread-bytes": lambda: _altered(lambda content: content + b"\x01garbage not a chunk" * 1000),
    "too-short": lambda: _sound(0.1 * noise(80)),
    "no-samples": lambda: _sound(np.zeros(0)),
    "several": lambda: demo() and ["demo"],
}


def analysis(name: str) -> Golden:
    """What ``laennec analyze`` leaves behind for one of `ANALYSES`."""
    words = ANALYSES[name]()
    formats = FORMATS + (",html" if name == "short" else "")
    code, _, err = laennec("analyze", *words, "--out", "out", "--format", formats)
    paths = sorted(path for path in Path("out").rglob("*") if path.is_file()) if code == 0 else []
    found: Golden = {}
    for path in paths:
        key = path.relative_to("out").as_posix()
        if path.suffix == ".html" or path.name.startswith("."):
            found[key] = None
        elif path.suffix == ".json" and path.parent == Path("out"):
            found[key] = compact(json.loads(path.read_text()), name.startswith("long"))
        else:
            lines = path.read_text().splitlines()
            found[key] = lines if len(lines) < 60 else [f"{len(lines)} lines", *lines[:4], *lines[-3:]]
    return {"exit": code, "stderr": err.splitlines() if code else None, "files": found}


def compact(told: Any, many: bool = False) -> Any:
    """An analysis without what every release changes; matrices by their means, `many` events by columns."""
    if isinstance(told, list):
        return [compact(each, many) for each in told]
    if not isinstance(told, dict):
        return told
    if many and "events" in told:
        names = ("channel", "start_s", "end_s", "label", "probability", "presence", "uncertain")
        columns = {name: [event[name] for event in told["events"]] for name in names}
        told = told | {"events": {"keys": sorted(told["events"][0]), **columns}}
    found = {key: compact(value) for key, value in told.items()}
    if "laennec" in found:
        found["laennec"] = "VERSION"
    if "sha256" in found:
        assert found["sha256"] in shipped_digests()
        found["sha256"] = "SHIPPED"
    if "edges_hz" in found:
        values = np.array(found.pop("values"))
        found["shape"] = list(values.shape)
        found["row_means"] = values.mean(1).round(4).tolist()
        found["column_means"] = values.mean(0).round(4).tolist()
    return found


# --- the shipped model files --------------------------------------------------------------------------------


def model_file(name: str) -> Path:
    return Path(str(files("laennec") / "pretrained" / f"{name}.onnx"))


def shipped_digests() -> set[str]:
    paths = model_file("x").parent.glob("*.onnx")
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def clips() -> list[np.ndarray]:
    """Fixed waveforms of several lengths at 8 kHz."""
    times = np.arange(3 * RATE) / RATE
    chirp = 0.4 * np.sin(2 * np.pi * (100 * times + 120 * times**2))
    clicks = 0.02 * noise(2 * RATE, 1)
    clicks[::400] += 0.5
    return [chirp.astype("f4"), clicks.astype("f4"), (0.1 * noise(RATE, 2)).astype("f4")]


def clip_models() -> Golden:
    """Probabilities of the models for clips."""
    from laennec import load_model

    found: Golden = {}
    for name in ("default", "source"):
        model = load_model(name)
        told: dict[str, dict[str, Any]] = {"plain": {}}
        if model.card.uses_metadata:
            told["metadata"] = {"age_years": [1.5, 7.0, 40.0], "sex": "female", "position": "right-posterior"}
        found[name] = {
            "labels": list(model.card.labels),
            **{key: model.predict(clips(), RATE, **more).tolist() for key, more in told.items()},
            "rate 44100": model.predict([noise(44_100, 3) * 0.1], 44_100).tolist(),
        }
    return found


def recording_graph() -> Golden:
    """Raw outputs of the graph for whole recordings: shape, mean, deviation, and sixteen values of each."""
    import onnxruntime as ort

    session = ort.InferenceSession(model_file("recording"), providers=["CPUExecutionProvider"])
    samples = np.concatenate([*clips(), clips()[0]])[None]
    inputs = {entry.name: [entry.type, list(map(str, entry.shape))] for entry in session.get_inputs()}
    (given,) = inputs
    names = [entry.name for entry in session.get_outputs()]
    found: Golden = {"inputs": inputs}
    for name, value in zip(names, session.run(names, {given: samples}), strict=True):
        flat = np.asarray(value, float).ravel()
        picked = flat[np.linspace(0, flat.size - 1, min(flat.size, 16)).astype(int)]
        found[name] = {
            "shape": list(np.shape(value)),
            "mean": round(float(flat.mean()), 6),
            "deviation": round(float(flat.std()), 6),
            "values": picked.round(5).tolist(),
        }
    return found


# --- the command line and the Python interface --------------------------------------------------------------


SUBCOMMANDS = ("datasets", "reproduce")  # those that have commands of their own


def options(*command: str) -> Golden:
    """Options and subcommands that ``--help`` shows."""
    code, text, _ = laennec(*command, "--help")
    lines = [line.strip("│ ").strip() for line in text.splitlines() if line.startswith("│")]
    shown = re.findall(r"^│ (?:-\w, )?(--[\w-]+(?:, --[\w-]+)*)", text, re.M)
    commands = [line.split()[1] for line in lines if line.startswith("•")]
    return {
        "exit": code,
        "options": sorted(name for each in shown for name in each.split(", ")),
        "commands": sorted(commands),
        "positional": "positional arguments" in text,
    }


def command_line() -> Golden:
    found = {"": options()}
    for name in found[""]["commands"]:
        found[name] = options(name)
        for inner in found[name]["commands"] if name in SUBCOMMANDS else ():
            found[f"{name} {inner}"] = options(name, inner)
    return found


WRONG_USES = (
    "analyze",
    "analyze nowhere.wav",
    "analyze x.wav --model nowhere",
    "analyze x.wav --model nowhere.onnx",
    "analyze x.wav --nonsense",
    "analyze x.wav --age -3",
    "analyze x.wav --age 131",
    "analyze x.wav --age old",
    "analyze x.wav --sex other",
    "analyze x.wav --position p9",
    "analyze x.wav --events nowhere.csv",
    "analyze x.wav --format csv",
    "analyze x.wav --out out --format csv,xml",
    "analyze x.wav demo --events e.csv",
    "analyze text.wav",
    "analyze empty",
    "simulate made --subjects many",
    "simulate made --layout other",
    "challenge --task 13 --wav demo --out o.json",
    "challenge --task 12 --wav nowhere --out o.json",
    "analyse x.wav",
    "--nonsense",
)


def wrong_uses() -> Golden:
    """Exit code of each, and how many lines say why where the code is 1."""
    write_wav("x.wav", demo()[0])
    Path("text.wav").write_text("no sound\n")
    Path("e.csv").write_text(CSV)
    Path("empty").mkdir()
    found = {}
    for line in WRONG_USES:
        code, _, err = laennec(*line.split())
        assert "Traceback" not in err
        found[line] = [code, err.splitlines()] if code == 1 else [code]
    return found


def python_interface() -> Golden:
    import laennec as package

    def parameters(function: Any) -> list[list[str]]:
        told = inspect.signature(function).parameters.values()
        return [[each.name, each.kind.name, repr(each.default)] for each in told]

    answers = (package.Analysis, package.Event, package.RecordAnswer)
    return {
        "names": sorted(package.__all__),
        "analyze": parameters(package.analyze),
        "load_model": parameters(package.load_model),
        "predict": parameters(package.LungModel.predict),
        "fields": {each.__name__: [field.name for field in dataclasses.fields(each)] for each in answers},
        "Recording": sorted(name for name in dir(package.Recording) if not name.startswith("_")),
        "error": [base.__name__ for base in package.LaennecError.__mro__],
    }


# --- training layer -----------------------------------------------------------------------------------------

RECIPE = """
title = "Tiny"
epochs = 1
batch_size = 16
[front_end]
kind = "log-mel"
bands = 16
hop_length = 400
clip_samples = 12000
[model]
kind = "resnet"
channels = [4, 8]
"""
# Two threads, as `make test` takes: the last bits of a trained weight hang on their number.
CPU = ("--accelerator", "cpu", "--threads", "2")
DATA = ("--data", "data", "--dataset", "sprsound")


def tiny_data() -> None:
    """Seven simulated patients, two recordings each, and a recipe that trains in a second."""
    if not Path("data").exists():
        succeed("simulate", "data", "--subjects", "7", "--recordings", "2", "--seed", "1")
        Path("tiny.toml").write_text(RECIPE)


def crossvalidate(out: str, *more: str) -> None:
    tiny_data()
    succeed("crossvalidate", "tiny.toml", *DATA, "--out", out, "--folds", "2", *CPU, *more)


def table(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def shape_of(told: Any, depth: int = 3) -> Any:
    """Keys of nested dictionaries, `depth` deep."""
    if not isinstance(told, dict) or depth == 0:
        return None
    return {key: shape_of(value, depth - 1) for key, value in told.items()}


def listing(folder: Path) -> Golden:
    """Every file of a result folder; keys of JSON, header and row count of CSV."""
    found: Golden = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = re.sub(r"tfevents\..*", "tfevents", path.relative_to(folder).as_posix())
        if path.suffix == ".json":
            found[name] = shape_of(json.loads(path.read_text()))
        elif path.suffix == ".csv":
            header, *rows = table(path)
            found[name] = {"columns": header, "rows": len(rows)}
        else:
            found[name] = None
    return found


def crossvalidation() -> Golden:
    """Files of a two-fold run, and which clip is held out in which fold."""
    crossvalidate("cv")
    held_out = {}
    for fold in ("fold1", "fold2"):
        rows = table(Path("cv", "seed0", fold, "predictions.csv"))
        held_out[fold] = [" | ".join(row[:3]) for row in rows]
        np.testing.assert_allclose(np.array(rows[1:])[:, 3:].astype(float).sum(1), 1, atol=1e-5)
    return {"files": listing(Path("cv")), "held_out": held_out}


def fixed_metrics() -> Golden:
    """metrics.json of fixed predictions: a two-fold run whose folds are replaced, and gone on with.

    The predictions are committed beside this file's data, so that no network has a part in the numbers.
    """
    crossvalidate("cv")
    for run, source in (("first", "predictions-a.csv"), ("second", "predictions-b.csv")):
        shutil.copytree("cv", run)
        replace_predictions(Path(run), FOLDER / source)
    crossvalidate("first")
    crossvalidate("second", "--against", "first")
    found = {run: json.loads(Path(run, "metrics.json").read_text()) for run in ("first", "second")}
    for each in found.values():
        each["provenance"] = sorted(each["provenance"])
    found["second"] = {key: found["second"][key] for key in ("scores", "intervals", "difference")}
    lines = Path("second", "tables.txt").read_text().splitlines()
    # These three differ between versions and machines.
    others = ("command:", "version:", "arithmetic:")
    return {**found, "tables": [line for line in lines if not line.startswith(others)]}


def replace_predictions(run: Path, source: Path) -> None:
    """Put the rows of a predictions.csv into the folds of a finished run that hold the same clips."""
    header, *rows = table(source)
    by_clip = {row[0]: row for row in rows}
    for path in run.glob("seed0/fold*/predictions.csv"):
        kept = [by_clip[row[0]] for row in table(path)[1:]]
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *kept])


def make_predictions() -> None:
    """Write the fixed predictions of `fixed_metrics`: right more often than not, and unsure."""
    crossvalidate("cv")
    header, *rows = table(Path("cv", "seed0", "predictions.csv"))
    for seed, letter in enumerate("ab"):
        logits = noise(len(rows) * 7, 10 + seed).reshape(-1, 7) * 1.3
        logits[np.arange(len(rows)), [header[3:].index(row[2]) for row in rows]] += 1.2 + 0.6 * seed
        probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        whole = (probabilities * 1e5).round().astype(int)
        whole[np.arange(len(rows)), whole.argmax(1)] += 100_000 - whole.sum(1)
        lines = [
            [*row[:3], *(f"{each / 1e5:.5f}" for each in line)] for row, line in zip(rows, whole, strict=True)
        ]
        with (FOLDER / f"predictions-{letter}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *lines])


def train_run() -> Golden:
    """Files of a ``train`` run, of its export and of its evaluation."""
    tiny_data()
    succeed("train", "tiny.toml", *DATA, "--out", "run", *CPU)
    succeed("export", "run", "--out", "run.onnx")
    succeed("evaluate", "run", *DATA, "--out", "scores")
    clips_csv = table(Path("run", "clips.csv"))
    return {
        "run": listing(Path("run")),
        "clips.csv": [" | ".join(row) for row in clips_csv],
        "evaluate": listing(Path("scores")),
    }


def evaluate_shipped(model: str) -> Golden:
    """Files and numbers of ``evaluate`` with a shipped model."""
    tiny_data()
    succeed("evaluate", model, *DATA, "--split", "all", "--out", model)
    found: Golden = {"files": listing(Path(model))}
    metrics = Path(model, "metrics.json")
    if metrics.exists():
        told = json.loads(metrics.read_text())
        found["confusion"], found["scores"] = told["confusion"], told["scores"]
    predictions = Path(model, "predictions.csv")
    if predictions.exists():
        _, *rows = table(predictions)
        found["predictions"] = [[*row[:3], *(round(float(text), 4) for text in row[3:])] for row in rows[::8]]
    if Path(model, "detection.json").exists():
        told = json.loads(Path(model, "detection.json").read_text())
        found["detection"] = told | {"provenance": sorted(told["provenance"])}
    return found


# --- all of it, comparison ----------------------------------------------------------------------------------

BASE: Mapping[str, Callable[[], Golden]] = {
    **{f"analyze-{name}": (lambda name=name: analysis(name)) for name in ANALYSES},
    "clip-models": clip_models,
    "recording-graph": recording_graph,
    "command-line": command_line,
    "wrong-uses": wrong_uses,
    "python-interface": python_interface,
}
TRAIN: Mapping[str, Callable[[], Golden]] = {
    "train-crossvalidation": crossvalidation,
    "train-fixed-metrics": fixed_metrics,
    "train-run": train_run,
    "train-evaluate-default": lambda: evaluate_shipped("default"),
    "train-evaluate-recording": lambda: evaluate_shipped("recording"),
}


def frozen(name: str) -> Golden:
    """The committed file."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e-?\d+)?(?: %)?")


def differences(found: Any, golden: Any, exact: bool = False, key: str = "", place: str = "") -> list[str]:
    """Where two results differ by more than processors may.

    Probabilities and scores may differ by 2e-3, times (names that end in ``_s``) by 1e-6, numbers within text
    by a unit of their last place or 2e-3, but whole numbers only before a percent sign. With `exact`, numbers
    may differ by 1e-12 alone.
    """
    if isinstance(golden, dict) and isinstance(found, dict):
        odd = [f"{place}/{name}: only in one" for name in sorted(golden.keys() ^ found.keys())]
        both = [name for name in golden if name in found]
        return odd + [
            line
            for name in both
            for line in differences(found[name], golden[name], exact, name, f"{place}/{name}")
        ]
    if isinstance(golden, list) and isinstance(found, list):
        if len(golden) != len(found):
            return [f"{place}: {len(found)} entries, {len(golden)} before"]
        pairs = enumerate(zip(found, golden, strict=True))
        return [
            line for n, (one, two) in pairs for line in differences(one, two, exact, key, f"{place}[{n}]")
        ]
    if isinstance(golden, str) and isinstance(found, str):
        same = _same_text(found, golden, exact)
    elif (
        float in (type(golden), type(found)) and type(found) in (int, float) and type(golden) in (int, float)
    ):
        tolerance = 1e-12 if exact else 1e-6 if key.endswith("_s") else 2e-3 * max(1.0, abs(golden))
        same = found == golden or abs(found - golden) <= tolerance
    else:
        same = type(found) is type(golden) and found == golden
    return [] if same else [f"{place}: {found!r}, {golden!r} before"]


def _same_text(found: str, golden: str, exact: bool) -> bool:
    if found == golden or exact:
        return found == golden
    if NUMBER.sub("#", found) != NUMBER.sub("#", golden):
        return False
    return all(map(_same_number, NUMBER.findall(found), NUMBER.findall(golden)))


def _same_number(one: str, two: str) -> bool:
    if one == two:
        return True
    if one.endswith("%") != two.endswith("%") or not ("." in two or two.endswith("%")):
        return False
    decimals = len(two.split(".")[1].split()[0]) if "." in two else 0
    tolerance = 1.01 * 10.0**-decimals if two.endswith("%") else max(2e-3, 1.01 * 10.0**-decimals)
    return abs(float(one.strip(" %")) - float(two.strip(" %"))) <= tolerance


def main(names: Sequence[str]) -> None:
    FOLDER.mkdir(exist_ok=True)
    cases = {**BASE, **TRAIN}
    for name in names or cases:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            if name == "train-fixed-metrics" and not (FOLDER / "predictions-a.csv").exists():
                make_predictions()
            text = json.dumps(cases[name](), indent=1, ensure_ascii=False)
        # Lists of numbers or short words on one line: a third of the size, and as easy to compare.
        text = re.sub(
            r"\[\s+((?:[^\[\]{}\"]|\"[^\"]{0,24}\")*?)\s+\]",
            lambda m: "[" + " ".join(m[1].split()) + "]" if '"' not in m[1] else m[0],
            text,
        )
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        print(f"{name}: {len(text)} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
