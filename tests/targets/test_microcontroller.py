"""The C program of a model for windows against its arithmetic in NumPy, and the file of such a model."""

import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from laennec.audio.recording import Recording
from laennec.cli import run
from laennec.errors import LaennecError, UsageError
from laennec.files import sha256_of
from laennec.model.integer import (
    LEVELS,
    FrontEndTables,
    IntegerModel,
    Layer,
    load_integer_model,
    quantised_scale,
    save_integer_model,
)
from laennec.simulate import demo_recordings
from laennec.targets.microcontroller import SHIPPED, integer_model_path, write_program

STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
COMPILER = shutil.which("gcc") or shutil.which("cc")
compiled = pytest.mark.skipif(COMPILER is None, reason="no C compiler (gcc or cc) is installed")
LOG_TOLERANCE = 3  # steps of 1/512 between single and double precision
RARE = 0.01  # share of values that may differ by more than one step; of full scale beside silence most
HERE = Path(__file__).parent
LARGEST = 100_000  # bytes of what ships, and of its program


def random_layer(rng: np.random.Generator, shape: tuple[int, ...], inputs: int) -> Layer:
    """Weights that spread activations over their range."""
    weight = rng.integers(-127, 128, shape).astype(np.int8)
    outputs = shape[0]
    scale = rng.uniform(0.5, 2.0, outputs) / (73 * np.sqrt(inputs))
    bias = rng.integers(-3000, 9000, outputs).astype(np.int32)
    return Layer(weight, bias, *quantised_scale(scale))


def mel(bands: int, n_fft: int) -> np.ndarray:
    edges = np.linspace(3, n_fft // 2 - 2, bands + 2)
    bins = np.arange(n_fft // 2 + 1)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    return np.clip(np.minimum(rising, 2 - rising), 0, None)


@pytest.fixture(scope="module", params=[2, 1], ids=["two channels", "one channel"])
def model(request: pytest.FixtureRequest) -> IntegerModel:
    """A model of random weights, with odd sizes and strides."""
    rng = np.random.default_rng(0)
    bands, n_fft, hop, samples = 13, 128, 48, 2000
    strides, channels = [[2, 2], [1, 2], [2, 1]], [5, 9, 11]
    blocks = [
        (random_layer(rng, (before, 3, 3), 9), random_layer(rng, (after, before), before))
        for before, after in pairwise(channels)
    ]
    metadata: dict[str, Any] = {
        "format": 1, "task": "window", "name": "random */ one", "version": "0",
        "labels": ["wheeze", "crackle"],
        "sample_rate": 4000, "clip_samples": samples, "n_fft": n_fft, "hop_length": hop, "bands": bands,
        "frames": 1 + (samples - n_fft) // hop, "channels": request.param, "strides": strides,
        "slopes": [0.7, 1.3], "offsets": [-0.2, 0.4], "thresholds": [0.6, 0.3],
    }  # fmt: skip
    return IntegerModel(
        metadata,
        FrontEndTables.of(mel(bands, n_fft), n_fft),
        random_layer(rng, (channels[0], 3, 3, request.param), 9),
        blocks,
        rng.integers(-127, 128, (2, 2 * channels[-1])).astype(np.int8),
        rng.integers(-1000, 1000, 2).astype(np.int32),
        np.array([2e-6, 3e-6], np.float32),
    )


def sounds(count: int, samples: int) -> np.ndarray:
    """Windows ``(count, samples)`` int16 of simulated recordings at 4 kHz, then what is no recording."""
    rng = np.random.default_rng(1)
    windows = [np.zeros(samples), np.full(samples, -32768), 32767 * (-1.0) ** np.arange(samples)]
    windows += [rng.integers(-32768, 32768, samples), np.eye(1, samples, samples // 2)[0] * 32767]
    for own in demo_recordings().values():
        whole = Recording.from_array(own.samples, own.sample_rate).resampled(4000).samples[0]
        whole = np.rint(whole / np.abs(whole).max() * 20000)
        windows += [whole[k : k + samples] for k in range(0, len(whole) - samples, 3 * samples)]
    return np.array(windows[:count]).astype(np.int16)


def program(model: IntegerModel, folder: Path, *flags: str) -> Path:
    """The test's program, compiled with a model's C files."""
    write_program(model, folder)
    parts = [*folder.glob("laennec*.c"), HERE / "check.c"]
    path = folder / "check"
    command = [str(COMPILER), *STRICT, *flags, "-I", str(folder), *map(str, parts), "-o", str(path), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return path


def answers(path: Path, model: IntegerModel, windows: np.ndarray) -> tuple[np.ndarray, ...]:
    """Frames, sums, probabilities of windows by themselves, and of the same sound in pieces."""
    done = subprocess.run([path], input=windows.tobytes(), capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    sizes = (2 * model.frames * model.bands, 8, 8, 8)
    raw = np.frombuffer(done.stdout, np.uint8).reshape(len(windows), sum(sizes))
    frames, sums, alone, pushed = np.split(raw, np.cumsum(sizes)[:-1], axis=1)
    shape = (len(windows), model.frames, model.bands)
    return (
        np.ascontiguousarray(frames).view(np.int16).reshape(shape),
        np.ascontiguousarray(sums).view(np.int32),
        np.ascontiguousarray(alone).view(np.float32),
        np.ascontiguousarray(pushed).view(np.float32),
    )


def compare(path: Path, model: IntegerModel, windows: np.ndarray) -> None:
    """The integers are NumPy's bit for bit, the front end's within its tolerance, probabilities follow."""
    frames, sums, alone, pushed = answers(path, model, windows)
    apart = np.abs(frames.astype(int) - model.log_mel(windows))
    assert apart.max() <= LOG_TOLERANCE
    assert (apart > 1).mean() <= RARE
    np.testing.assert_array_equal(sums, model.accumulate(frames))
    logits = sums * model.head_scale.astype(float) * model.metadata["slopes"] + model.metadata["offsets"]
    np.testing.assert_allclose(alone, 1 / (1 + np.exp(-logits)), atol=1e-6)
    assert np.isfinite(pushed).all()


@pytest.fixture(scope="module")
def built(model: IntegerModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test's program."""
    return program(model, tmp_path_factory.mktemp("program"), "-O2")


@compiled
def test_c_gives_the_integers_of_numpy(model: IntegerModel, built: Path) -> None:
    windows = sounds(20, model.clip_samples)
    compare(built, model, windows)
    sums = answers(built, model, windows)[1]
    assert (sums.std(0) > 1000).all()  # they differ by window, or equality would show nothing


@compiled
def test_sound_in_pieces_gives_the_window_s_answer(model: IntegerModel, built: Path) -> None:
    # Seven hops before, so that the frames of the window are the last ones of the stream.
    _, _, alone, pushed = answers(built, model, sounds(12, model.clip_samples))
    np.testing.assert_array_equal(alone, pushed)
    assert len(np.unique(alone[:, 0])) > 6


@compiled
def test_nothing_undefined_happens(model: IntegerModel, tmp_path: Path) -> None:
    flags = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    try:
        path = program(model, tmp_path, *flags)
    except AssertionError as error:
        if "sanitize" in str(error) or "libasan" in str(error):
            pytest.skip("the compiler has no sanitizers")
        raise
    compare(path, model, sounds(8, model.clip_samples))


@compiled
def test_the_example_reads_wav_and_raw_files(model: IntegerModel, tmp_path: Path) -> None:
    write_program(model, tmp_path)
    done = subprocess.run(["make", "-C", tmp_path, f"CC={COMPILER}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    step, count = 1968, model.clip_samples
    sound = sounds(12, 2000)[5:].ravel()
    (tmp_path / "a.raw").write_bytes(sound.astype("<i2").tobytes())
    soundfile.write(tmp_path / "a.wav", sound, 4000, "PCM_16")
    soundfile.write(tmp_path / "fast.wav", sound, 8000, "PCM_16")
    soundfile.write(tmp_path / "short.wav", sound[:1999], 4000, "PCM_16")
    lines = {}
    for name in ("a.raw", "a.wav"):
        done = subprocess.run([tmp_path / "laennec", tmp_path / name], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        lines[name] = np.array([line.split() for line in done.stdout.splitlines()], float)
    np.testing.assert_array_equal(lines["a.raw"], lines["a.wav"])
    starts = np.arange(0, len(sound) - count + 1, step)
    np.testing.assert_allclose(lines["a.wav"][:, 0], starts / 4000, atol=1e-3)
    windows = np.array([sound[start : start + count] for start in starts])
    np.testing.assert_allclose(lines["a.wav"][:, 1:], model.probabilities(windows), atol=0.02)
    for name, message in (("fast.wav", "4000 Hz"), ("short.wav", "shorter"), ("none.wav", "none.wav")):
        done = subprocess.run([tmp_path / "laennec", tmp_path / name], capture_output=True, text=True)
        assert done.returncode == 1
        assert message in done.stderr


def test_a_file_gives_the_model_again(model: IntegerModel, tmp_path: Path) -> None:
    path, again = tmp_path / "a.npz", tmp_path / "b.npz"
    save_integer_model(model, path)
    save_integer_model(load_integer_model(path), again)
    assert path.read_bytes() == again.read_bytes()
    windows = sounds(8, model.clip_samples)
    np.testing.assert_array_equal(
        load_integer_model(path).probabilities(windows), model.probabilities(windows)
    )


def test_what_is_no_model_is_named(model: IntegerModel, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    wrong = {
        "expected format 1": replace(model, metadata={**model.metadata, "format": 2}),
        "whole numbers": replace(model, metadata={**model.metadata, "n_fft": 128.5}),
        "frames": replace(model, metadata={**model.metadata, "frames": 3}),
        "slopes": replace(model, metadata={**model.metadata, "slopes": [1.0]}),
        "a layer has weights": replace(model, blocks=[model.blocks[0], model.blocks[0]]),
        "the head has": replace(model, head=model.head[:, 1:]),
        "a multiplier or shift": replace(model, stem=replace(model.stem, shift=model.stem.shift * 2)),
        "tables do not fit": replace(model, tables=replace(model.tables, first=model.tables.first + 99)),
    }
    for message, own in wrong.items():
        save_integer_model(own, path)
        with pytest.raises(LaennecError, match=f"damaged, or no model in integers.*{message}"):
            load_integer_model(path)
    save_integer_model(model, path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"PK\x03\x04", b"text", whole[:200] + b"x" + whole[201:]):
        path.write_bytes(content)
        with pytest.raises(LaennecError, match="no model in integers"):
            load_integer_model(path)
    path.write_bytes(b"")
    with pytest.raises(LaennecError, match="expected a file of at most"):
        load_integer_model(path)
    with pytest.raises(LaennecError, match="no such model in integers"):
        integer_model_path(str(tmp_path / "none.npz"))
    with pytest.raises(LaennecError, match=r"a folder without model.npz"):
        integer_model_path(str(tmp_path))
    with pytest.raises(LaennecError, match="expected windows of 2000 int16"):
        model.probabilities(np.zeros((1, 1999), np.int16))


def test_a_mel_band_between_two_bins_is_named() -> None:
    with pytest.raises(LaennecError, match="choose fewer bands"):
        FrontEndTables.of(np.concatenate([mel(4, 64), np.zeros((1, 33))]), 64)


@pytest.mark.parametrize("scale", [1e-9, 3e-5, 0.0123, 0.25, 0.4999, 0.9999, 2.0**-20])
def test_a_multiplier_and_a_shift_stand_for_a_scale(scale: float) -> None:
    multiplier, shift = quantised_scale(np.array([scale]))
    assert 2**30 <= multiplier[0] < 2**31
    assert float(multiplier[0]) / 2.0 ** int(shift[0]) == pytest.approx(scale, rel=1e-9)


def test_halves_are_rounded_up_and_ends_are_kept() -> None:
    layer = Layer(np.zeros((1, 1), np.int8), np.zeros(1, np.int32), *quantised_scale(np.array([0.25])))
    sums = np.array([[-4.0], [0], [1], [2], [5], [6], [4 * LEVELS], [9999]])
    assert (layer.requantised(sums)[:, 0].astype(int) + 128).tolist() == [0, 0, 0, 1, 1, 2, 255, 255]


def test_the_command_writes_a_folder(model: IntegerModel, tmp_path: Path) -> None:
    save_integer_model(model, tmp_path / "model.npz")
    out = tmp_path / "c"
    assert run(["export", str(tmp_path), "--target", "microcontroller", "--out", str(out)]) == 0
    page = (out / "README.md").read_text()
    assert page.count("not a medical device") == 1
    assert f"| weights | {model.weight_bytes()} bytes |" in page
    assert "*/" not in (out / "laennec_model.h").read_text().splitlines()[0].removesuffix("*/")
    with pytest.raises(UsageError, match="is for --target onnx"):
        run(["export", str(tmp_path), "--target", "microcontroller", "--temperature", "2"])


def test_what_ships_is_small_and_says_what_it_is() -> None:
    path = integer_model_path(SHIPPED)
    model, card = load_integer_model(path), path.with_suffix(".md").read_text(encoding="utf-8")
    assert path.stat().st_size <= LARGEST
    assert model.weight_bytes() <= LARGEST
    assert sha256_of(path) in card
    assert "not a medical device" in card
    assert set(model.metadata["metrics"]["datasets"]) == {"sprsound", "icbhi", "kauh"}
    windows = sounds(20, model.clip_samples)
    probabilities = model.probabilities(windows)
    assert ((probabilities > 0) & (probabilities < 1)).all()


@compiled
def test_what_ships_fits_the_flash_of_a_microcontroller(tmp_path: Path) -> None:
    model = load_integer_model(integer_model_path(SHIPPED))
    compare(program(model, tmp_path, "-O2"), model, sounds(8, model.clip_samples))
    size = shutil.which("size")
    if size is None:
        pytest.skip("binutils' size is not installed")
    done = subprocess.run(["make", "-C", tmp_path, "size", f"CC={COMPILER}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (totals,) = [line.split() for line in done.stdout.splitlines() if "TOTALS" in line]
    text, data, bss = map(int, totals[:3])
    assert text + data <= LARGEST
    assert data + bss <= 64 * 1024


@compiled
@pytest.mark.real
def test_c_gives_the_integers_of_numpy_on_real_clips(real_data: Path, tmp_path: Path) -> None:
    model = load_integer_model(integer_model_path(SHIPPED))
    windows = []
    for folder, pattern in (("SPRSound", "**/train*wav/*"), ("ICBHI", "**/*.flac"), ("ICBHI", "**/*.wav")):
        for path in sorted((real_data / folder).glob(pattern))[::60]:
            sound = Recording.read(path).resampled(model.sample_rate).samples[0]
            samples = np.clip(np.rint(sound * 32768), -32768, 32767).astype(np.int16)
            windows += [
                samples[k : k + model.clip_samples]
                for k in range(0, samples.size - model.clip_samples + 1, 3 * model.clip_samples)
            ]
    assert len(windows) > 20
    compare(program(model, tmp_path, "-O2"), model, np.array(windows))
