"""How long one clip takes on one core: the shipped model, another one, and the shipped one in int8.

    OMP_NUM_THREADS=1 python benchmarks/clip.py [--model other.onnx]

Models take turns, clip by clip; a ratio is the median of the turns. int8 is ONNX Runtime's
dynamic quantisation of weights and activations.
"""

import argparse
import logging
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx

from laennec.model.clips import LungModel
from laennec.model.load import load_model

# After laennec, which stops ONNX Runtime from sending usage data.
from onnxruntime.quantization import QuantType, quantize_dynamic  # isort: skip

SECONDS = 1.3


def milliseconds(model: LungModel, clip: np.ndarray) -> float:
    """Time that one clip takes, in milliseconds."""
    started = time.perf_counter()
    model.predict([clip], model.card.sample_rate)
    return 1e3 * (time.perf_counter() - started)


def int8(path: str, folder: Path) -> LungModel:
    """The same model with 8-bit weights and activations."""
    logging.disable(logging.WARNING)
    plain, small = folder / "plain.onnx", folder / "int8.onnx"
    graph = onnx.load(path)
    graph.graph.ClearField("value_info")  # shapes that the quantiser would trip over
    onnx.save(graph, plain)
    quantize_dynamic(plain, small, weight_type=QuantType.QUInt8)
    made = onnx.load(small)
    kept = {entry.key: entry.value for entry in graph.metadata_props}
    onnx.helper.set_model_props(made, kept)
    onnx.save(made, small)
    return load_model(small)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="another model file to compare with")
    parser.add_argument("--rounds", type=int, default=200)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        default = load_model()
        models = {"default": default, "int8": int8(default.source, Path(folder))}
        if asked.model:
            models[Path(asked.model).stem] = load_model(asked.model)
        rng = np.random.default_rng(0)
        clips = {
            name: (0.1 * rng.standard_normal(round(SECONDS * model.card.sample_rate))).astype(np.float32)
            for name, model in models.items()
        }
        taken: dict[str, list[float]] = {name: [] for name in models}
        for _ in range(asked.rounds):  # in turn, so that what else the machine does slows all alike
            for name, model in models.items():
                taken[name].append(milliseconds(model, clips[name]))
        for name, model in models.items():
            ratio = np.median(np.array(taken[name]) / np.array(taken["default"]))
            size = Path(model.source).stat().st_size / 1e6
            print(
                f"{name:12} {np.median(taken[name]):6.2f} ms a clip of {SECONDS} s (95 % below "
                f"{np.percentile(taken[name], 95):.2f}), {size:.2f} MB, {ratio:.2f} times the default's time"
            )


if __name__ == "__main__":
    main()
