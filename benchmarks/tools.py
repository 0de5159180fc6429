"""What else would do it, on one thread: front ends, seconds of sound that networks take a second, and bounds.

    OMP_NUM_THREADS=1 python benchmarks/tools.py [--birdnet FILE.tflite] [--out docs/results/speed.json]

Both sides of a row have the same samples, are warm, and take turns; times are of the processor. What is not
installed is left out, with a word. `README.md` says what to install.
"""

import argparse
import importlib
import io
import math
import os
import statistics
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import onnx
import soundfile
import torch
from torch import nn

from laennec.analyze import analyze
from laennec.audio.recording import Recording
from laennec.features.base import extract
from laennec.features.cepstral import CepstralImage
from laennec.features.log_mel import LogMel
from laennec.features.spectrum import linear_filters
from laennec.model.load import load_detector, load_model, model_path
from laennec.simulate import demo_recordings
from laennec.train.hardware import tuned_cpu

import onnxruntime  # isort: skip
from record import in_turn, median_ratio, write

ROUNDS = 7
CLIPS, SECONDS = 64, 15
Side = Callable[[], object]


def session(source: Any) -> onnxruntime.InferenceSession:
    """An ONNX model on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


# --- front ends ---------------------------------------------------------------------------------------------


def front_ends() -> list[dict[str, Any]]:
    """Milliseconds a clip of ours and of others, each as somebody would write it who wants it fast."""
    import librosa
    import scipy.fft

    rng = np.random.default_rng(0)
    rows = []
    ours, clips = LogMel(), 0.05 * rng.standard_normal((CLIPS, 24_000)).astype(np.float32)
    mel = librosa.filters.mel(sr=8000, n_fft=512, n_mels=64, fmin=40, fmax=3900, htk=True, norm=None)

    def stft_librosa(clips: np.ndarray, hop: int) -> np.ndarray:
        clips = clips / np.sqrt(np.mean(clips**2, axis=-1, keepdims=True))
        return np.abs(librosa.stft(clips, n_fft=512, hop_length=hop, pad_mode="constant")) ** 2

    sides: dict[str, Side] = {
        "Laennec": lambda: extract(ours, torch.from_numpy(clips)),
        "librosa": lambda: np.log(mel @ stft_librosa(clips, 100) + 1e-8),
    }
    kaldi = _imported("kaldi_native_fbank")
    if kaldi:
        sides["kaldi-native-fbank"] = lambda: [_fbank(kaldi, clip) for clip in clips]
    rows.append(_row("log-mel, 64 bands, of a clip of 3 s", in_turn(sides, ROUNDS)))
    image, short = CepstralImage(), 0.05 * rng.standard_normal((CLIPS, 20_000)).astype(np.float32)
    linear = linear_filters(64, 512, 8000, 0, 4000).astype(np.float32)
    whole = librosa.filters.mel(sr=8000, n_fft=512, n_mels=64, htk=True, norm=None)

    def three_channels() -> np.ndarray:
        power = stft_librosa(short, 256)  # one spectrum for all three
        mel_db = librosa.power_to_db(whole @ power, amin=1e-8, top_db=None)
        mfcc = scipy.fft.dct(mel_db, norm="ortho", axis=-2)
        lfcc = scipy.fft.dct(np.log(linear @ power + 1e-8), norm="ortho", axis=-2)
        return np.stack([mel_db, mfcc, lfcc], axis=1)

    sides = {"Laennec": lambda: extract(image, torch.from_numpy(short)), "librosa": three_channels}
    rows.append(_row("log-mel, MFCC and LFCC of a clip of 2.5 s", in_turn(sides, ROUNDS)))
    return rows


def _fbank(kaldi: Any, clip: np.ndarray) -> np.ndarray:
    options = kaldi.FbankOptions()
    frames, bands = options.frame_opts, options.mel_opts
    frames.samp_freq, frames.frame_length_ms, frames.frame_shift_ms = 8000, 64.0, 12.5
    frames.dither, frames.snip_edges, frames.window_type, frames.preemph_coeff = 0.0, False, "hann", 0.0
    bands.num_bins, bands.low_freq, bands.high_freq = 64, 40.0, 3900.0
    found = kaldi.OnlineFbank(options)
    found.accept_waveform(8000, clip)
    found.input_finished()
    return np.stack([found.get_frame(k) for k in range(found.num_frames_ready)])


def _row(what: str, taken: dict[str, list[float]]) -> dict[str, Any]:
    return {
        "what": what,
        "ms": {name: round(statistics.median(own) / CLIPS, 4) for name, own in taken.items()},
        "ratio": {
            name: round(median_ratio(own, taken["Laennec"]), 2)
            for name, own in taken.items()
            if name != "Laennec"
        },
    }


# --- networks -----------------------------------------------------------------------------------------------


class AudioTransformer(nn.Module):
    """A transformer of AST's size (Gong et al. 2021): 12 layers of width 768, patches of 16 x 16 every 10."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 768, 16, 10)
        self.places = nn.Parameter(torch.zeros(1, 12 * 101, 768))
        layer = nn.TransformerEncoderLayer(768, 12, 3072, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 12, enable_nested_tensor=False)
        self.head = nn.Linear(768, 527)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        patches = self.patches(image).flatten(2).transpose(1, 2) + self.places
        return self.head(self.layers(patches).mean(dim=1))


def networks(birdnet: Path | None) -> list[dict[str, Any]]:
    """Seconds of sound that each model takes in a processor second, from samples in memory."""
    breaths = np.concatenate([own.samples for own in demo_recordings().values()])
    sound = np.resize(breaths, SECONDS * 8000).astype(np.float32)
    detector, default = load_detector("recording"), load_model("default")
    level = Recording.from_array(sound, 8000).levels
    clips = [sound[k * 10_400 : (k + 1) * 10_400] for k in range(11)]
    transformer = AudioTransformer().eval()
    image = torch.randn(1, 1, 128, 1024)
    sides: dict[str, tuple[str, float, float | None, Side]] = {
        "recording": (
            "events, sounds that are no lung, of every 50 ms; four shifts averaged",
            SECONDS,
            _parameters("recording"),
            lambda: list(detector.frames([sound[None]], levels=level)),
        ),
        "recording, the whole analysis": (
            "the same with quality, decoding, classes, answer, rate",
            SECONDS,
            None,
            lambda: analyze(sound, sample_rate=8000, model=detector),
        ),
        "default": (
            "seven classes of an event that is given, 1.3 s each",
            len(clips) * 1.3,
            _parameters("default"),
            lambda: default.predict(clips, 8000),
        ),
        "a transformer of AST's size": (
            "float32, random weights, PyTorch; without its front end",
            10.24,
            sum(own.numel() for own in transformer.parameters()),
            lambda: _inferred(transformer, image),
        ),
    }
    vad = _imported("silero_vad.data")
    if vad:
        sides["silero-vad"] = _silero(Path(str(files(vad))), sound)
    if birdnet:
        sides["BirdNET 2.4"] = _birdnet(birdnet)
    taken = in_turn({name: run for name, (_, _, _, run) in sides.items()}, 3)
    return [
        {
            "what": name,
            "says": says,
            "parameters": parameters,
            "seconds_a_second": round(1000 * seconds / statistics.median(taken[name]), 1),
        }
        for name, (says, seconds, parameters, _) in sides.items()
    ]


def _inferred(network: nn.Module, image: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return network(image)


def _parameters(name: str) -> int:
    graph = onnx.load(model_path(name)).graph
    return sum(math.prod(own.dims) for own in graph.initializer if own.data_type == onnx.TensorProto.FLOAT)


def _silero(folder: Path, sound: np.ndarray) -> tuple[str, float, float | None, Side]:
    """Its 16 kHz model over 32 ms at a time, each with the 4 ms before it, all in one call."""
    model = session(str(folder / "silero_vad_16k_sequence.onnx"))
    samples = np.repeat(sound, 2)
    starts = np.arange(64, samples.size - 512, 512)
    chunks = np.stack([samples[start - 64 : start + 512] for start in starts])
    state = np.zeros((1, 1, 128), np.float32)
    given = {"input": chunks, "h": state, "c": state}
    return "speech of every 32 ms", chunks.shape[0] * 0.032, None, lambda: model.run(None, given)


def _birdnet(path: Path) -> tuple[str, float, float | None, Side]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    place = interpreter.get_input_details()[0]["index"]
    samples = 0.05 * np.random.default_rng(0).standard_normal((1, 144_000)).astype(np.float32)

    def run() -> None:
        interpreter.set_tensor(place, samples)
        interpreter.invoke()

    return "6,522 species in 3 s, float32, LiteRT with XNNPACK", 3.0, None, run


# --- bounds -------------------------------------------------------------------------------------------------


def bounds() -> list[dict[str, Any]]:
    """Each stage beside the least that its arithmetic takes in the library that is fast at it."""
    sound = np.resize(np.concatenate([own.samples for own in demo_recordings().values()]), SECONDS * 8000)
    return [_fft_bound(), _decoding_bound(sound), _gemm_bound(sound.astype(np.float32))]


def _fft_bound() -> dict[str, Any]:
    ours, clips = (
        LogMel(),
        0.05 * np.random.default_rng(0).standard_normal((CLIPS, 24_000)).astype(np.float32),
    )
    frames = np.ascontiguousarray(
        np.lib.stride_tricks.sliding_window_view(np.pad(clips, ((0, 0), (256, 256))), 512, 1)[:, ::100]
    )
    cut = frames.reshape(-1, 512)
    sides: dict[str, Side] = {
        "stage": lambda: extract(ours, torch.from_numpy(clips)),
        "bound": lambda: [np.fft.rfft(cut[k : k + 64]) for k in range(0, len(cut), 64)],
    }
    return _bound(
        "log-mel of 3 s",
        "its Fourier transforms alone, NumPy's pocketfft in float32",
        in_turn(sides, ROUNDS),
        CLIPS,
    )


def _decoding_bound(sound: np.ndarray) -> dict[str, Any]:
    written = io.BytesIO()
    soundfile.write(written, sound, 8000, format="FLAC", subtype="PCM_16")
    content = written.getvalue()
    sides: dict[str, Side] = {
        "stage": lambda: Recording.open(io.BytesIO(content)),
        "bound": lambda: soundfile.read(io.BytesIO(content), dtype="float32"),
    }
    return _bound(
        "reading 15 s of FLAC with all checks", "decoding alone, libsndfile", in_turn(sides, 3 * ROUNDS), 1
    )


def _gemm_bound(sound: np.ndarray) -> dict[str, Any]:
    """The network's multiplications and additions a second beside those of a matrix product."""
    detector, level = load_detector("recording"), Recording.from_array(sound, 8000).levels
    factors = [np.random.default_rng(k).standard_normal((1024, 1024)).astype(np.float32) for k in range(2)]
    sides: dict[str, Side] = {
        "stage": lambda: list(detector.frames([sound[None]], levels=level)),
        "bound": lambda: factors[0] @ factors[1],
    }
    taken = in_turn(sides, ROUNDS)
    operations = _operations(detector, sound, level)
    stage = operations / statistics.median(taken["stage"]) / 1e6
    bound = 2 * 1024**3 / statistics.median(taken["bound"]) / 1e6
    return {
        "stage": "the network `recording`, its convolutions and products",
        "bound": "a matrix product of 1024, OpenBLAS",
        "stage_gflops": round(stage, 1),
        "bound_gflops": round(bound, 1),
        "ratio": round(bound / stage, 2),
    }


def _operations(detector: Any, sound: np.ndarray, level: tuple[float, ...]) -> float:
    """Count what convolutions and products compute for a recording, from their shapes in each call."""
    graph = onnx.load_from_string(detector.graph.content)
    nodes = [node for node in graph.graph.node if node.op_type in ("Conv", "MatMul", "Gemm")]
    del graph.graph.output[:]
    for node in nodes:
        graph.graph.output.extend(
            [onnx.ValueInfoProto(name=name) for name in (node.output[0], node.input[1])]
        )
    seen = {own.name: own for own in graph.graph.input}
    every = list(dict.fromkeys(own.name for own in graph.graph.output if own.name not in seen))
    del graph.graph.output[:]
    graph.graph.output.extend([onnx.ValueInfoProto(name=name) for name in every])
    counted = session(graph.SerializeToString())
    calls: list[dict[str, np.ndarray]] = []
    run = detector.graph.run

    def kept(outputs: Any, inputs: Any) -> Any:
        calls.append(dict(inputs))
        return run(outputs, inputs)

    object.__setattr__(detector.graph, "run", kept)
    list(detector.frames([sound[None]], levels=level))
    object.__setattr__(detector.graph, "run", run)
    total = 0.0
    for call in calls:
        shapes = dict(zip(every, (value.shape for value in counted.run(every, call)), strict=True))
        for node in nodes:
            weight = shapes[node.input[1]]
            depth = math.prod(weight[1:]) if node.op_type == "Conv" else weight[-2]
            total += 2 * math.prod(shapes[node.output[0]]) * depth
    return total


def _bound(stage: str, bound: str, taken: dict[str, list[float]], count: int) -> dict[str, Any]:
    own = {f"{name}_ms": round(statistics.median(times) / count, 4) for name, times in taken.items()}
    return {
        "stage": stage,
        "bound": bound,
        **own,
        "ratio": round(median_ratio(taken["stage"], taken["bound"]), 2),
    }


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        print(f"{name}: left out ({error})")
        return None


def main() -> None:
    """Measure all three and print them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--birdnet", type=Path, help="BirdNET_GLOBAL_6K_V2.4_Model_FP32.tflite")
    parser.add_argument("--only", nargs="+", default=["front_ends", "networks", "bounds"])
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    packages = ("torch", "librosa", "kaldi-native-fbank", "silero-vad", "ai-edge-litert", "soundfile")
    _imported("torchaudio")
    for name, measure in (
        ("front_ends", front_ends),
        ("networks", lambda: networks(asked.birdnet)),
        ("bounds", bounds),
    ):
        if name not in asked.only:
            continue
        rows = measure()
        for row in rows:
            print(row, flush=True)
        if asked.out:
            write(asked.out, name, rows, *packages)


if __name__ == "__main__":
    with tuned_cpu(threads=1):
        main()
