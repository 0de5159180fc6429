"""A model for whole recordings whose convolutions are computed in eight bits, from one that is not.

Static quantisation (Jacob et al., "Quantization and training of neural networks for efficient
integer-arithmetic-only inference", CVPR 2018): ranges of what flows through the network are learnt from some
recordings, and stand in the file. Activations are unsigned, weights signed, with a scale for each output
channel. As ``QuantizeLinear`` and ``DequantizeLinear`` around plain operators, the file stays one of the
standard's operators, which every runtime can load.

Front end, first convolution and output layers stay in float32: the front end's powers span nine orders of
magnitude, the first convolution has two channels and gains nothing, and the outputs are what is calibrated.
Biases are corrected (`laennec.train.int8_biases`).
Weights have seven bits. Processors with AVX2 or AVX-512 and no VNNI add two products in 16 bits, which would
overflow with eight; so answers do not depend on the processor.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import pandas as pd
from numpy.typing import NDArray

from laennec.audio.recording import Recording
from laennec.errors import LaennecError, UsageError
from laennec.files import write_text, written_whole
from laennec.model.card import METADATA_KEY, OUTPUTS, RECORDING
from laennec.model.detector import Detector
from laennec.model.load import load_detector
from laennec.model.session import Graph
from laennec.progress import track
from laennec.train.card import render_recording_card
from laennec.train.export import refuse_model_loss
from laennec.train.int8_biases import LONGEST_S, correct_biases
from laennec.train.jobs import ExportJob
from laennec.train.recipe import load_recipe
from laennec.train.recordings import levelled
from laennec.train.tables import recordings_in, source_of, with_auxiliary

# After laennec, which stops ONNX Runtime from sending usage data.
from onnxruntime.quantization import (  # isort: skip
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

SUFFIX = "-int8"  # of the model's name
RECORDINGS = 32  # of each data set, each of another patient


@dataclass(frozen=True)
class Calibration:
    """Recordings that the ranges are learnt from: names by data set, and their sound at the model's level."""

    names: Mapping[str, list[str]]
    sounds: Iterable[NDArray[np.float32]]


def inner_convolutions(graph: onnx.GraphProto) -> list[str]:
    """Names of the network's convolutions between the first one and the output layers.

    Those of the front end have constants called so by the exporter.
    """
    made = {name: node for node in graph.node for name in node.output}
    last = set()
    for output in OUTPUTS:
        node = made.get(output)
        while node is not None and node.op_type != "Conv":
            node = made.get(node.input[0]) if node.input else None
        last |= set() if node is None else {node.name}
    return [name for name in network_convolutions(graph)[1:] if name not in last]


def network_convolutions(graph: onnx.GraphProto) -> list[str]:
    """Names of the convolutions that are none of the front end, in the order of the graph."""
    return [
        node.name
        for node in graph.node
        if node.op_type == "Conv" and not node.input[1].startswith("front_end.")
    ]


@dataclass(frozen=True)
class Scheme:
    """What is computed in eight bits, and how; the default is what ships."""

    nodes: Callable[[onnx.GraphProto], list[str]] = inner_convolutions
    weight_bits: int = 7
    per_channel: bool = True
    unsigned: bool = True
    """Activations are 0 to 255, not -128 to 127."""
    corrected: bool = True
    """Biases are corrected by what the recordings show (`laennec.train.int8_biases`)."""


class _Sounds(CalibrationDataReader):  # type: ignore[misc]
    """What ONNX Runtime's quantiser takes sounds from, one after the other."""

    def __init__(self, sounds: Iterable[NDArray[np.float32]]) -> None:
        self._sounds = iter(sounds)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        samples = next(self._sounds, None)
        return None if samples is None else {"waveform": samples[None]}


def export_small(job: ExportJob) -> Path:
    """Write the model file in eight bits that a job of `laennec export` asks for, and return its path."""
    if job.data is None or job.out is None:
        raise UsageError("--target int8 needs --data, which ranges are learnt from, and --out")
    return export_int8(job.model or RECORDING, job.data, job.dataset, job.also, job.out)


def export_int8(
    model: str | os.PathLike[str],
    data: Path,
    dataset: str | None,
    also: Sequence[str],
    out: str | os.PathLike[str],
) -> Path:
    """Write a model for whole recordings in eight bits as one ``.onnx`` file, and its card as text.

    Parameters
    ----------
    model
        A model file, a run folder with one, or the name of one that ships.
    data, dataset, also
        Folder of the recordings that ranges are learnt from, which data set it is (None: that of the model's
        recipe), and others as ``DATASET=FOLDER``. Published test sets are left out.

    Raises
    ------
    LaennecError
        If the model is one for clips or in eight bits already, or a folder is no copy of its data set.
    """
    refuse_model_loss(out)  # before the work, not after it
    detector = load_detector(model)
    name = dataset or str(detector.card.recipe.get("dataset", "sprsound"))
    recipe = replace(load_recipe(RECORDING), dataset=name, also=())
    folders = {name: data, **with_auxiliary(recipe, also)[1]}
    clips = pd.concat([recordings_in(*each) for each in folders.items()], ignore_index=True)
    calibration = calibration_of(drawn_recordings(clips), detector.card.sample_rate)
    content = quantised(detector, calibration)
    out = Path(out)
    with written_whole(out) as temporary:
        temporary.write_bytes(content)
    metadata = json.loads(Graph(content, str(out)).metadata or "{}")
    write_text(out.with_suffix(".md"), render_recording_card(metadata, hashlib.sha256(content).hexdigest()))
    return out


def drawn_recordings(clips: pd.DataFrame, count: int = RECORDINGS, seed: int = 0) -> pd.DataFrame:
    """Up to `count` recordings of each data set, each of another patient, in the order of the table."""
    once = clips.drop_duplicates(["path", "channel"])
    whose = once["subject"].fillna(once["recording"]).astype(str)
    rng, chosen = np.random.default_rng(seed), []
    for _, own in once.assign(whose=whose).groupby(source_of(once), sort=True):
        one_each = own.iloc[rng.permutation(len(own))].drop_duplicates("whose")
        chosen += one_each.index[:count].tolist()
    return clips.loc[sorted(chosen)]


def calibration_of(recordings: pd.DataFrame, sample_rate: int) -> Calibration:
    """The names of recordings, and their sound, which is read when it is needed."""

    def sounds() -> Iterator[NDArray[np.float32]]:
        rows = list(zip(recordings["path"], recordings["channel"], strict=True))
        for path, channel in track(rows, "calibrating"):
            sound = Recording.read(str(path)).resampled(sample_rate)
            yield np.asarray(levelled(sound, 0 if pd.isna(channel) else int(channel)), np.float32)

    own = source_of(recordings)
    names = {str(name): sorted(recordings["recording"][own == name].astype(str)) for name in own.unique()}
    return Calibration(names, sounds())


def quantised(model: Detector, calibration: Calibration, scheme: Scheme = Scheme()) -> bytes:
    """The content of the model file with its convolutions in eight bits, and its card with what was done.

    Raises
    ------
    LaennecError
        If the model is quantised already, has no convolution to quantise, or there is no recording.
    """
    graph = onnx.load_from_string(model.graph.content)
    card = json.loads(model.graph.metadata or "{}")
    if "quantised" in card:
        raise LaennecError(f"{model.source}: in eight bits already; name the model that it was made of")
    if not any(calibration.names.values()):
        raise LaennecError("no recording to learn ranges from; name a data set with recordings")
    nodes = scheme.nodes(graph.graph)
    if not nodes:
        raise LaennecError(f"{model.source}: no convolution between the first and the last; nothing to do")
    graph.graph.ClearField("value_info")  # shapes that the quantiser would trip over
    sounds = list(calibration.sounds)
    with TemporaryDirectory() as folder, _quiet():
        out = Path(folder) / "int8.onnx"
        quantize_static(
            graph,
            out,
            _Sounds(sounds),
            quant_format=QuantFormat.QDQ,
            nodes_to_quantize=nodes,
            per_channel=scheme.per_channel,
            reduce_range=scheme.weight_bits == 7,
            activation_type=QuantType.QUInt8 if scheme.unsigned else QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        small = onnx.load(out)
    del small.opset_import[1:]  # of operators that are not there
    small.graph.ClearField("value_info")
    if scheme.corrected:
        exact = onnx.load_from_string(model.graph.content)  # the quantiser moves the other's constants
        network, longest = network_convolutions(exact.graph), round(LONGEST_S * model.card.sample_rate)
        correct_biases(small, exact, network, [sound[:longest] for sound in sounds])
    small.producer_name, small.producer_version = graph.producer_name, graph.producer_version
    onnx.helper.set_model_props(
        small,
        {METADATA_KEY: json.dumps(card | _entries(model, card, calibration, scheme), ensure_ascii=False)},
    )
    return small.SerializeToString()


def _entries(
    model: Detector, card: Mapping[str, Any], calibration: Calibration, scheme: Scheme
) -> dict[str, Any]:
    """What the card says of a quantised model in place of what the card of its model says."""
    counts = ", ".join(f"{len(names)} of {name}" for name, names in sorted(calibration.names.items()))
    return {
        "name": f"{model.card.name}{SUFFIX}",
        "data": {**card.get("data", {}), "ranges of eight bits": f"recordings: {counts}"},
        "metrics": {
            "of": f"the model {model.card.name}, SHA-256 {model.sha256}, that this one was made of",
            **card.get("metrics", {}),
        },
        "quantised": {
            "of": {"name": model.card.name, "version": model.card.version, "sha256": model.sha256},
            "activations": "uint8" if scheme.unsigned else "int8",
            "weights": f"int8 of {scheme.weight_bits} bits, a scale for each "
            + ("output channel" if scheme.per_channel else "layer"),
            "biases": "corrected" if scheme.corrected else "as they were",
            "recordings": {name: list(names) for name, names in sorted(calibration.names.items())},
        },
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser from advising on how to prepare graphs of other exporters."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
