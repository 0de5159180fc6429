"""A model for windows in integers of 8 bits: its file, and the arithmetic that a device does, in NumPy.

The file is an ``.npz`` archive of what a C program needs as arrays (`laennec.targets.microcontroller`), with
the model's card. The front end ends in integers of 16 bits, logarithms of the mel bands' power in steps of
``1 / LOG_STEPS``; from there on, everything is exact integer arithmetic, and a C program gives the same
numbers bit for bit (`IntegerModel.accumulate`).
"""

import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from laennec.errors import LaennecError, unread
from laennec.files import written_whole
from laennec.model.card import WINDOW
from laennec.model.probability import sigmoid

# --- the image ----------------------------------------------------------------------------------------------

DEVIATION = 4.0  # of log power around the mean of its window, in natural logarithms
BAND_DEVIATION = 1.5  # around the mean of its band
MOST_DEVIATIONS = 4.0  # that the image is cut off at
LIMIT = 4.0  # largest activation
FLOOR = 1e-9  # added to the power of a band, below the rounding of 16 bits (`laennec.features.spectrum`)
FULL_SCALE = 32768.0
LOG_STEPS = 512  # of the logarithms of power, as integers of 16 bits
SHIFT = 16  # bits after the point of the factors that normalise an image
ZERO = -128  # what stands for an activation of nothing; of the image, 0 does
LEVELS = 255  # steps of an activation from 0 to `LIMIT`

FORMAT = 1
RUN_INTEGERS = "model.npz"  # in a run folder
LARGEST_FILE = 2**20  # bytes
METADATA = "metadata"
ZIP_START = b"PK"  # of a file
DAMAGED = (ValueError, KeyError, TypeError, IndexError, EOFError, NotImplementedError)
# What a metadata entry must be, for the program that is written from it.
WHOLE = ("sample_rate", "clip_samples", "n_fft", "hop_length", "bands", "frames", "channels")

Int8 = npt.NDArray[np.int8]
Int32 = npt.NDArray[np.int32]
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Layer:
    """A convolution in integers, with the scale of its output.

    ``clip(round((sum of weight * (input - zero) + bias) * multiplier / 2 ** shift), 0, 255) - 128``, halves
    rounded up.
    """

    weight: Int8
    """``(outputs, 3, 3, inputs)`` of the first; ``(channels, 3, 3)`` and ``(outputs, inputs)`` of a block."""
    bias: Int32
    multiplier: Int32
    """``(outputs,)``, 2 ** 30 or more."""
    shift: Int32
    """``(outputs,)``, 31 to 62."""

    def requantised(self, sums: Array) -> Array:
        """Activations ``(…, outputs)`` int8 of sums of products."""
        total = np.maximum(sums.astype(np.int64) + self.bias, 0)
        half = np.int64(1) << (self.shift.astype(np.int64) - 1)
        scaled = (total * self.multiplier.astype(np.int64) + half) >> self.shift.astype(np.int64)
        return np.asarray(np.minimum(scaled, LEVELS) + ZERO, np.int8)


def quantised_scale(scale: Array) -> tuple[Int32, Int32]:
    """Multipliers of 31 bits and shifts that stand for positive scales, ``scale = multiplier / 2 ** shift``.

    Scales beyond what shifts of 31 to 62 reach are brought to the nearest that they do.
    """
    fraction, exponent = np.frexp(np.clip(scale, 2.0**-31, 1 - 2.0**-31))
    multiplier = np.rint(fraction * 2.0**31).astype(np.int64)
    over = multiplier == 2**31
    multiplier[over] //= 2
    return multiplier.astype(np.int32), (31 - (exponent + over)).astype(np.int32)


@dataclass(frozen=True)
class FrontEndTables:
    """What the front end multiplies with."""

    window: npt.NDArray[np.float32]
    """``(n_fft,)``: Hann, over full scale."""
    first: npt.NDArray[np.int16]
    """``(bands,)`` first bin of each mel filter."""
    count: npt.NDArray[np.int16]
    """``(bands,)`` bins of each."""
    weight: npt.NDArray[np.float32]
    """All filters' values, one filter after another."""

    @classmethod
    def of(cls, filters: Array, n_fft: int) -> "FrontEndTables":
        """Tables of mel filters ``(bands, bins)`` over the first bins of a spectrum of `n_fft` samples."""
        bins = [np.flatnonzero(row) for row in filters]
        if not all(len(own) for own in bins):
            raise LaennecError("a mel band lies between two bins of the spectrum; choose fewer bands")
        return cls(
            (np.hanning(n_fft + 1)[:-1] / FULL_SCALE).astype(np.float32),
            np.array([own[0] for own in bins], np.int16),
            np.array([len(own) for own in bins], np.int16),
            np.concatenate([row[own] for row, own in zip(filters, bins, strict=True)]).astype(np.float32),
        )

    def filters(self) -> npt.NDArray[np.float64]:
        """The mel filters, ``(bands, n_fft // 2 + 1)``."""
        matrix = np.zeros((len(self.first), len(self.window) // 2 + 1))
        ends = np.cumsum(self.count)
        for band, (first, count, end) in enumerate(zip(self.first, self.count, ends, strict=True)):
            matrix[band, first : first + count] = self.weight[end - count : end]
        return matrix


# --- the model ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class IntegerModel:
    """A model for windows, in integers. Make one by `load_integer_model` or `laennec.train.integer`."""

    metadata: Mapping[str, Any]
    """``name``, ``labels``, sizes of the front end, ``strides``, how probabilities come of logits
    (``slopes``, ``offsets``), ``thresholds``, and the card's ``data``, ``metrics`` and ``limits``."""
    tables: FrontEndTables
    stem: Layer
    blocks: Sequence[tuple[Layer, Layer]]
    """Depthwise and pointwise, each."""
    head: Int8
    """``(2, features)``: of the sums over the maps, then of the largest sum of a column."""
    head_bias: Int32
    head_scale: npt.NDArray[np.float32]
    """``(2,)``: a logit over what `accumulate` gives."""

    def __getattr__(self, name: str) -> Any:
        if name in WHOLE or name in ("labels", "strides"):
            return self.metadata[name]
        raise AttributeError(name)

    def log_mel(self, samples: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """Logarithms of the mel bands' power of ``(…, samples)``: ``(…, frames, bands)``.

        The reference in double precision, from which a program in single precision differs by a step or two.
        """
        frames = np.lib.stride_tricks.sliding_window_view(samples, self.n_fft, axis=-1)
        frames = frames[..., :: self.hop_length, :] * self.tables.window.astype(np.float64)
        power = np.square(np.abs(np.fft.rfft(frames))) @ self.tables.filters().T
        return as_steps(np.log(power / FLOOR + 1.0) + np.log(FLOOR))

    def image(self, log_mel: npt.NDArray[np.int16]) -> Int8:
        """The image ``(windows, bands, frames, channels)`` of windows ``(windows, frames, bands)``."""
        values = log_mel.astype(np.int64)
        count = self.frames * self.bands
        parts = [_normalised(values, _mean(values.sum((1, 2), keepdims=True), count), DEVIATION)]
        if self.channels > 1:
            own = _mean(values.sum(1, keepdims=True), self.frames)
            parts.append(_normalised(values, own, BAND_DEVIATION))
        return np.stack(parts, axis=-1).transpose(0, 2, 1, 3).astype(np.int8)

    def accumulate(self, log_mel: npt.NDArray[np.int16]) -> Int32:
        """What the network adds up of windows ``(windows, frames, bands)``: ``(windows, 2)``, exact."""
        maps = self.stem.requantised(_convolved(self.image(log_mel), 0, self.stem.weight, self.strides[0]))
        for (depthwise, pointwise), stride in zip(self.blocks, self.strides[1:], strict=True):
            maps = depthwise.requantised(_convolved(maps, ZERO, depthwise.weight, stride))
            maps = pointwise.requantised(_exact(maps.astype(np.float32) - ZERO, pointwise.weight))
        columns = (maps.astype(np.int64) - ZERO).sum(1)
        features = np.concatenate([columns.sum(1), columns.shape[1] * columns.max(1)], axis=1)
        return (features @ self.head.T.astype(np.int64) + self.head_bias).astype(np.int32)

    def logits(self, log_mel: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
        """Logits ``(windows, 2)`` of windows ``(windows, frames, bands)``."""
        return np.asarray(self.accumulate(log_mel) * self.head_scale.astype(np.float64), np.float64)

    def probabilities(self, samples: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
        """Probabilities ``(windows, 2)`` that each of the labels is heard in ``(windows, clip_samples)``."""
        if samples.dtype != np.int16 or samples.ndim != 2 or samples.shape[1] != self.clip_samples:
            raise LaennecError(
                f"{samples.shape} {samples.dtype} values; expected windows of {self.clip_samples} int16"
            )
        slopes, offsets = (np.array(self.metadata[name]) for name in ("slopes", "offsets"))
        return sigmoid(self.logits(self.log_mel(samples)) * slopes + offsets)

    def map_sizes(self) -> list[tuple[int, int, int]]:
        """Bands, frames and channels of the image and of each layer's output."""
        sizes = [(self.bands, self.frames, self.channels)]
        outputs = [len(self.stem.bias), *(len(pointwise.bias) for _, pointwise in self.blocks)]
        for stride, channels in zip(self.strides, outputs, strict=True):
            bands, frames, _ = sizes[-1]
            sizes.append((-(-bands // stride[0]), -(-frames // stride[1]), channels))
        return sizes

    def multiplications(self) -> int:
        """Products of a weight and an activation that a window takes, those with the border included."""
        sizes = self.map_sizes()
        total = int(np.prod(sizes[1][:2])) * self.stem.weight.size
        for (_, _, before), (bands, frames, after) in pairwise(sizes[1:]):
            total += bands * frames * before * (9 + after)
        return total + self.head.size

    def weight_bytes(self) -> int:
        """Bytes of what the network multiplies with and adds."""
        layers = [self.stem, *(layer for block in self.blocks for layer in block)]
        return (
            self.head.nbytes
            + self.head_bias.nbytes
            + sum(
                layer.weight.nbytes + layer.bias.nbytes + layer.multiplier.nbytes + len(layer.shift)
                for layer in layers
            )
        )


def as_steps(logarithms: Array) -> npt.NDArray[np.int16]:
    """Natural logarithms as integers of 16 bits."""
    steps = np.rint(np.asarray(logarithms, np.float64) * LOG_STEPS)
    return np.clip(steps, -32768, 32767).astype(np.int16)


def image_factor(deviation: float) -> int:
    """What a difference of logarithms is multiplied by, in steps of ``2 ** -SHIFT``, to give the image."""
    steps: int = round(2**SHIFT * 127 / (MOST_DEVIATIONS * deviation * LOG_STEPS))
    return steps


def _mean(total: Array, count: int) -> Array:
    """Mean of whole numbers, rounded half up."""
    return np.asarray((2 * total + count) // (2 * count))


def _normalised(values: Array, mean: Array, deviation: float) -> Array:
    scaled = ((values - mean) * image_factor(deviation) + 2 ** (SHIFT - 1)) >> SHIFT
    return np.asarray(np.clip(scaled, -127, 127))


def _exact(values: npt.NDArray[np.float32], weight: Int8) -> Array:
    """Sums of products of whole numbers, all below 2 ** 24, where single precision is exact."""
    return values @ weight.T.astype(np.float32)


def _convolved(maps: Int8, zero: int, weight: Int8, stride: Sequence[int]) -> Array:
    """3 x 3 sums of products, the border of nothing around the maps included."""
    values = np.pad(maps.astype(np.float32) - zero, ((0, 0), (1, 1), (1, 1), (0, 0)))
    bands, frames = (-(-size // step) for size, step in zip(maps.shape[1:3], stride, strict=True))
    total: Array = np.zeros(1, np.float32)
    for row in range(3):
        for column in range(3):
            part = values[:, row :: stride[0], column :: stride[1]][:, :bands, :frames]
            own = weight[:, row, column]
            total = total + (_exact(part, own) if own.ndim == 2 else part * own.astype(np.float32))
    return total


# --- the file -----------------------------------------------------------------------------------------------

_LAYER = ("weight", "bias", "multiplier", "shift")
_TYPES = {"weight": np.int8, "bias": np.int32, "multiplier": np.int32, "shift": np.int32}
_TABLES = {"window": np.float32, "first": np.int16, "count": np.int16, "weight": np.float32}


def save_integer_model(model: IntegerModel, path: str | os.PathLike[str]) -> None:
    """Write a model, whole or not at all; the same model gives the same bytes."""
    arrays: dict[str, Array] = {
        **{f"tables.{name}": getattr(model.tables, name) for name in _TABLES},
        **{f"stem.{name}": getattr(model.stem, name) for name in _LAYER},
        "head.weight": model.head,
        "head.bias": model.head_bias,
        "head.scale": model.head_scale,
    }
    for number, block in enumerate(model.blocks):
        for part, layer in zip(("depthwise", "pointwise"), block, strict=True):
            arrays |= {f"block{number}.{part}.{name}": getattr(layer, name) for name in _LAYER}
    text = json.dumps(model.metadata, ensure_ascii=False, allow_nan=False)
    arrays[METADATA] = np.frombuffer(text.encode(), np.uint8)
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in arrays.items():
            one = io.BytesIO()
            np.save(one, np.ascontiguousarray(values), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), one.getvalue(), 8)
    with written_whole(path) as temporary:
        temporary.write_bytes(held.getvalue())


def load_integer_model(path: str | os.PathLike[str]) -> IntegerModel:
    """Read a model that `save_integer_model` wrote.

    Raises
    ------
    LaennecError
        If there is no such file, or it is something else, damaged, or of a later format.
    """
    path = Path(path)
    try:
        if not path.is_file() or not 0 < path.stat().st_size <= LARGEST_FILE:
            raise LaennecError(
                f"{path}: no model in integers; expected a file of at most {LARGEST_FILE} bytes"
            )
        content = path.read_bytes()
        if not content.startswith(ZIP_START):  # NumPy takes anything else for pickled objects
            raise ValueError("it is no archive of arrays")
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            held = {name: file[name] for name in file.files}
        metadata = json.loads(held[METADATA].tobytes())
        model = _assembled(metadata, held)
    except OSError as error:
        raise LaennecError(f"{path}: {unread(error)}") from error
    except (*DAMAGED, zipfile.BadZipFile, zlib.error) as error:
        why = "it holds Python objects" if "pickle" in str(error) else error
        raise LaennecError(f"{path}: damaged, or no model in integers ({why})") from error
    return model


def _assembled(metadata: Any, held: Mapping[str, Array]) -> IntegerModel:
    """The model of an archive's arrays; ValueError where they do not fit together."""
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT or metadata.get("task") != WINDOW:
        raise ValueError(f"expected format {FORMAT} of the task {WINDOW!r}")
    if not all(type(metadata.get(name)) is int and 0 < metadata[name] < 2**16 for name in WHOLE):
        raise ValueError(f"expected whole numbers as {', '.join(WHOLE)}")

    def layer(name: str) -> Layer:
        return Layer(*(held[f"{name}.{part}"].astype(_TYPES[part], casting="no") for part in _LAYER))

    blocks = len(metadata["strides"]) - 1
    model = IntegerModel(
        metadata,
        FrontEndTables(
            *(held[f"tables.{name}"].astype(kind, casting="no") for name, kind in _TABLES.items())
        ),
        layer("stem"),
        [(layer(f"block{n}.depthwise"), layer(f"block{n}.pointwise")) for n in range(blocks)],
        held["head.weight"].astype(np.int8, casting="no"),
        held["head.bias"].astype(np.int32, casting="no"),
        held["head.scale"].astype(np.float32, casting="no"),
    )
    _check(model)
    return model


def _check(model: IntegerModel) -> None:
    """ValueError where arrays have other shapes than those before them ask for, or values out of range."""
    sizes = model.map_sizes()
    expected: list[tuple[Layer, tuple[int, ...]]] = [(model.stem, (sizes[1][2], 3, 3, model.channels))]
    for (depthwise, pointwise), (before, after) in zip(model.blocks, pairwise(sizes[1:]), strict=True):
        expected += [(depthwise, (before[2], 3, 3)), (pointwise, (after[2], before[2]))]
    for layer, shape in expected:
        outputs = shape[:1]
        if layer.weight.shape != shape or any(
            own.shape != outputs for own in (layer.bias, layer.multiplier, layer.shift)
        ):
            raise ValueError(f"a layer has weights {layer.weight.shape}, expected {shape}")
        if (layer.shift < 31).any() or (layer.shift > 62).any() or (layer.multiplier < 2**30).any():
            raise ValueError("a multiplier or shift is out of range")
    labels = model.metadata["labels"]
    for name in ("slopes", "offsets", "thresholds"):
        if np.asarray(model.metadata[name], float).shape != (len(labels),):
            raise ValueError(f"{name} has not one number for each label")
    shapes = (model.head.shape, model.head_bias.shape, model.head_scale.shape)
    if shapes != ((len(labels), 2 * sizes[-1][2]), (len(labels),), (len(labels),)):
        raise ValueError(f"the head has shapes {shapes}")
    tables = model.tables
    ends = tables.first.astype(int) + tables.count
    if (
        tables.window.shape != (model.n_fft,)
        or tables.first.shape != (model.bands,)
        or tables.count.shape != (model.bands,)
        or (tables.first < 0).any()
        or (tables.count < 1).any()
        or (ends > model.n_fft // 2 + 1).any()
        or tables.weight.shape != (int(tables.count.sum()),)
    ):
        raise ValueError("the front end's tables do not fit together")
    if model.frames != 1 + (model.clip_samples - model.n_fft) // model.hop_length or model.n_fft & (
        model.n_fft - 1
    ):
        raise ValueError("frames, or n_fft, which must be a power of two, do not fit")
