"""The graph of the model for whole recordings on one core: with every bin, as it ships, in eight bits.

    OMP_NUM_THREADS=1 python benchmarks/graph.py [--out docs/results/graph-speed.json]

- the graph alone on 15 s of simulated breathing, and a whole warm `analyze` of it; graphs take turns, and a
  ratio is the median of the turns, in processor time, with what 90 % of the turns lie between;
- the time of each layer by ONNX Runtime's profile, as shares;
- graphs of other shapes with random weights: what they would save, were they as good.
"""

import argparse
import datetime
import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from laennec.analyze import analyze
from laennec.features.recording import RecordingLogMel
from laennec.features.spectrum import PowerSpectrum, triangular_filters
from laennec.files import write_json
from laennec.model.card import OUTPUTS
from laennec.model.detector import Detector
from laennec.model.load import load_detector, model_path
from laennec.models import recording
from laennec.models.recording import RecordingNet
from laennec.simulate import demo_recordings
from laennec.train.export import DeployedRecordingModel, write_model
from laennec.train.hardware import machine

# After laennec, which stops ONNX Runtime from sending usage data.
import onnxruntime  # isort: skip

RATE, SECONDS = 8000, 15
PLAIN, SMALL, EVERY_BIN = "as it ships", "eight bits", "every bin, as before"
BETWEEN = "changes of layout"
Work = Callable[[], object]


# --- time ---------------------------------------------------------------------------------------------------


def in_turn(works: Mapping[str, Work], rounds: int) -> dict[str, list[float]]:
    """Processor seconds of each piece of work, round by round, after one that warms up."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            began = time.process_time()
            work()
            if number:
                taken[name].append(time.process_time() - began)
    return taken


def compared(taken: Mapping[str, list[float]], with_name: str) -> list[dict[str, Any]]:
    """Milliseconds of each, and how many times as fast it is as the one of that name."""
    rows = []
    for name, seconds in taken.items():
        ratios = np.array(taken[with_name]) / np.array(seconds)
        low, high = np.percentile(ratios, [5, 95])
        rows.append(
            {
                "name": name,
                "ms": round(1e3 * statistics.median(seconds), 3),
                "times_as_fast": round(float(np.median(ratios)), 3),
                "between": [round(float(low), 3), round(float(high), 3)],
            }
        )
    return rows


def session(content: bytes, profile: str = "") -> onnxruntime.InferenceSession:
    """A graph, ready to run on one thread as Laennec runs it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, profile
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def running(content: bytes, samples: np.ndarray) -> Work:
    """One run of a graph."""
    graph = session(content)
    return lambda: graph.run(OUTPUTS, {"waveform": samples[None]})


# --- graphs -------------------------------------------------------------------------------------------------


def with_every_bin(content: bytes) -> bytes:
    """The shipped graph with the bins that no filter takes, as it was exported before."""
    model = onnx.load_from_string(content)
    model.graph.ClearField("value_info")
    front_end = RecordingLogMel(by_band=True)
    n_fft = front_end.power.n_fft
    whole = {
        "front_end.mel": triangular_filters(front_end.edges_hz, n_fft, RATE).T.astype(np.float32),
        "front_end.power.basis": PowerSpectrum(n_fft, front_end.hop_length).basis.numpy(),
    }
    for constant in model.graph.initializer:
        if constant.name in whole:
            constant.CopyFrom(numpy_helper.from_array(whole[constant.name], constant.name))
    return model.SerializeToString()


def separable(module: nn.Module) -> nn.Module:
    """Replace convolutions of more than one value by one of each channel and one of all channels."""
    for name, part in module.named_children():
        if not isinstance(part, nn.Conv1d | nn.Conv2d) or max(part.kernel_size) == 1:
            separable(part)
            continue
        kind, channels = type(part), part.in_channels
        each = kind(
            channels,
            channels,
            part.kernel_size,
            part.stride,
            part.padding,
            part.dilation,
            channels,
            bias=False,
        )  # type: ignore[arg-type]
        setattr(module, name, nn.Sequential(each, kind(channels, part.out_channels, 1, bias=False)))
    return module


def network(channels: tuple[int, ...] = (16, 24, 40, 64, 64), **more: Any) -> RecordingNet:
    """The network with random weights."""
    return RecordingNet(image=(2, 64, 0), channels=channels, **more)


def with_separable(part: str) -> RecordingNet:
    """The network with one part separable."""
    made = network()
    separable(getattr(made, part))
    return made


def with_strides(*strides: tuple[int, int]) -> RecordingNet:
    """The network with other strides over bands and frames, with as many frames in the end."""
    before, recording.STRIDES = recording.STRIDES, strides
    try:
        return network()
    finally:
        recording.STRIDES = before


VARIANTS: dict[str, Callable[[], RecordingNet]] = {
    "as it is: 16, 24, 40, 64, 64 channels": network,
    "16, 32, 48, 64, 64 channels, multiples of 16": lambda: network((16, 32, 48, 64, 64)),
    "16, 16, 32, 64, 64 channels": lambda: network((16, 16, 32, 64, 64)),
    "separable convolutions in the trunk": lambda: with_separable("trunk"),
    "separable convolutions in the context": lambda: with_separable("context"),
    "context of 64 channels": lambda: network(width=64),
    "time halved in the first convolution": lambda: with_strides((2, 2), (2, 1), (2, 1), (1, 2), (1, 1)),
    "time halved in the second block": lambda: with_strides((2, 1), (2, 2), (2, 2), (1, 1), (1, 1)),
}


def exported(made: RecordingNet, folder: Path) -> bytes:
    """The graph of a network, with the front end."""
    front_end = RecordingLogMel(by_band=True)
    front_end.for_export()
    path = folder / "variant.onnx"
    shapes = ({1: torch.export.Dim("samples", min=400)},)
    example = {"waveform": torch.randn(1, 5 * RATE) * 0.1}
    write_model(DeployedRecordingModel(front_end, made).eval(), example, OUTPUTS, shapes, {}, path)
    return path.read_bytes()


# --- profile ------------------------------------------------------------------------------------------------


ENDINGS = re.compile(r"(_nchwc|_QuantizeLinear|_DequantizeLinear|_token_\d+|/.*)$")  # of optimised nodes


def layer_of(node: onnx.NodeProto) -> str | None:
    """The layer of a node, where it says so itself: the module of its weights."""
    for name in node.input:
        parts = name.split(".")
        if parts[0] == "front_end":
            return "spectrum" if parts[1] == "power" else "mel filters"
        if parts[0] == "network":
            block = parts[1] in ("trunk", "context")
            return f"{parts[1]} {int(parts[2]) + 1}" if block else parts[1]
    return "levels" if node.op_type == "ReduceMean" else None


def layers(content: bytes) -> dict[str, str]:
    """The layer of every node of a graph, by its name and those of its outputs.

    A node without weights belongs to the layer before it.
    """
    found: dict[str, str] = {}
    current = "spectrum"
    for node in onnx.load_from_string(content).graph.node:
        current = layer_of(node) or current
        found |= dict.fromkeys((node.name, *node.output), current)
    return found


def profile(
    content: bytes, of_name: Mapping[str, str], samples: np.ndarray, rounds: int, folder: Path
) -> list[dict[str, Any]]:
    """Share of the time of each layer: of every operator the shortest time of all rounds, added up."""
    graph = session(content, str(folder / "profile"))
    for _ in range(rounds):
        graph.run(OUTPUTS, {"waveform": samples[None]})
    shortest: dict[str, float] = {}
    for event in json.loads(Path(graph.end_profiling()).read_text()):
        name, is_kernel = event["name"].removesuffix("_kernel_time"), event["name"].endswith("_kernel_time")
        if event.get("cat") == "Node" and is_kernel:
            shortest[name] = min(event["dur"], shortest.get(name, float("inf")))
    spent = dict.fromkeys([*of_name.values(), BETWEEN], 0.0)
    for name, microseconds in shortest.items():
        plain = name
        while plain not in of_name and (cut := ENDINGS.sub("", plain)) != plain:
            plain = cut
        spent[of_name.get(plain, BETWEEN)] += microseconds
    total = sum(spent.values())
    return [
        {"layer": layer, "share": round(own / total, 4), "ms": round(own / 1000, 3)}
        for layer, own in spent.items()
    ]


# --- all of it ----------------------------------------------------------------------------------------------


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--small", default="recording-int8", help="the model in eight bits, or its file")
    parser.add_argument("--parts", nargs="+", default=["graph", "analyze", "layers", "variants"])
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    breaths = np.concatenate([each.samples for each in demo_recordings().values()])
    samples = np.resize(breaths, SECONDS * RATE).astype(np.float32)
    figures: dict[str, Any] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        contents = {PLAIN: model_path("recording").read_bytes()}
        contents = {
            EVERY_BIN: with_every_bin(contents[PLAIN]),
            **contents,
            SMALL: model_path(asked.small).read_bytes(),
        }
        if "graph" in asked.parts:
            works = {each: running(content, samples) for each, content in contents.items()}
            figures["graph"] = compared(in_turn(works, asked.rounds), EVERY_BIN)
        if "analyze" in asked.parts:
            models: dict[str, Detector] = {}
            for number, (each, content) in enumerate(contents.items()):
                path = folder / f"{number}.onnx"
                path.write_bytes(content)
                models[each] = load_detector(path)
            works = {
                each: lambda model=model: analyze(samples, sample_rate=RATE, model=model)  # type: ignore[misc]
                for each, model in models.items()
            }
            figures["analyze"] = compared(in_turn(works, asked.rounds), EVERY_BIN)
        if "layers" in asked.parts:
            figures["layers"] = {
                each: profile(contents[each], layers(contents[PLAIN]), samples, asked.rounds, folder)
                for each in (PLAIN, SMALL)
            }
        if "variants" in asked.parts:
            torch.manual_seed(0)
            works = {each: running(exported(make(), folder), samples) for each, make in VARIANTS.items()}
            figures["variants"] = compared(in_turn(works, asked.rounds), next(iter(VARIANTS)))
    about = {
        "command": "python benchmarks/graph.py",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": {
            **machine(),
            "onnxruntime": onnxruntime.__version__,
            "cores": os.cpu_count(),
            "system": platform.platform(),
        },
        "seconds_of_sound": SECONDS,
        "rounds": asked.rounds,
    }
    print(json.dumps(figures, indent=1))
    if asked.out:
        known = json.loads(asked.out.read_text()) if asked.out.exists() else {}
        write_json(asked.out, {**known, **about, **figures})


if __name__ == "__main__":
    main()
