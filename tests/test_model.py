"""Model files: what is read from them, what is refused, and that a clip's answer is its own."""

import dataclasses
import hashlib
import json
import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

import laennec
from laennec import analyze
from laennec.errors import LaennecError
from laennec.labels import SPRSOUND_EVENTS
from laennec.model import clips as clips_module
from laennec.model import load as load_module
from laennec.model.card import read_card
from laennec.model.clips import LungModel
from laennec.model.load import load_model
from tiny_model import BIAS, CARD, RATE, WEIGHTS, tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> LungModel:
    return load_model(tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


def noise(samples: int, level: float = 0.05, seed: int = 0) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def expected(clip: np.ndarray, age: float = 0.0, sex: int = 0, position: int = 0) -> np.ndarray:
    """What the tiny model says, computed without it."""
    heard = clip[: CARD["clip_samples"]].astype(np.float64)
    logits = np.array([np.sqrt(np.mean(heard**2)), age, sex, position]) @ WEIGHTS + BIAS
    return np.exp(logits) / np.exp(logits).sum()


# --- prediction ---------------------------------------------------------------------------------------------


def test_probabilities_are_those_of_the_graph(tiny: LungModel) -> None:
    clips = [noise(4_000), noise(30_000, 0.2), noise(1)]
    found = tiny.predict(clips, RATE, age_years=4.5, sex="female", position="right-posterior")
    assert found.shape == (3, 7)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [expected(clip, 4.5, 2, 3) for clip in clips], atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_a_clip_gets_the_same_alone_and_in_any_batch(tiny: LungModel) -> None:
    rng = np.random.default_rng(0)
    clips = [noise(int(size), 0.1, k) for k, size in enumerate(rng.integers(1, 30_000, 37))]
    ages = [None if k % 3 else float(k) / 3 for k in range(37)]
    sexes = [("male", "female", None)[k % 3] for k in range(37)]
    together = tiny.predict(clips, RATE, ages, sexes)
    alone = [tiny.predict([c], RATE, a, s)[0] for c, a, s in zip(clips, ages, sexes, strict=True)]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_batches_are_bounded_and_deal_each_clip_once() -> None:
    sizes = [5, 10**6, 3, 3 * 10**6, 7] * 6
    batches = list(clips_module._batches(sizes))
    assert sorted(index for batch in batches for index in batch) == list(range(len(sizes)))
    for batch in batches:
        assert len(batch) <= clips_module.BATCH_CLIPS
        padded = len(batch) * max(sizes[index] for index in batch)
        assert len(batch) == 1 or padded <= clips_module.BATCH_SAMPLES


def test_missing_metadata_is_one_input_and_none_and_nan_are_the_same(tiny: LungModel) -> None:
    clip = noise(4_000)
    np.testing.assert_allclose(tiny.predict([clip], RATE)[0], expected(clip), atol=1e-5)
    np.testing.assert_array_equal(tiny.predict([clip], RATE, float("nan")), tiny.predict([clip], RATE))
    np.testing.assert_allclose(tiny.predict([clip], RATE, 9.0)[0], expected(clip, 9.0), atol=1e-5)
    np.testing.assert_allclose(
        tiny.predict([clip], RATE, position="p2")[0], expected(clip, 0, 0, 2), atol=1e-5
    )


def test_waveforms_may_be_an_array_or_one_clip_or_none(tiny: LungModel) -> None:
    clips = np.stack([noise(4_000), noise(4_000, seed=1)])
    np.testing.assert_array_equal(tiny.predict(clips, RATE), tiny.predict(list(clips), RATE))
    np.testing.assert_array_equal(tiny.predict(clips[0], RATE), tiny.predict(clips[:1], RATE))
    np.testing.assert_array_equal(tiny.predict(clips[0].tolist(), RATE), tiny.predict(clips[:1], RATE))
    assert tiny.predict([], RATE).shape == (0, 7)


def test_other_sample_rates_are_resampled(tiny: LungModel) -> None:
    tone = 0.3 * np.sin(2 * np.pi * 200 * np.arange(44_100) / 44_100)
    same = 0.3 * np.sin(2 * np.pi * 200 * np.arange(8_000) / 8_000)
    np.testing.assert_allclose(tiny.predict([tone], 44_100), tiny.predict([same], RATE), atol=0.01)


@pytest.mark.parametrize(
    ("clips", "rate", "message"),
    [
        ([np.zeros(0, np.float32)], RATE, "clip 0: empty, it holds no samples"),
        ([np.zeros((2, 9))], RATE, r"clip 0: expected samples of shape \(samples,\)"),
        ([noise(9), np.zeros(9, np.int16)], RATE, "clip 1: samples are int16, expected floats"),
        ([np.array([0.0, np.nan])], RATE, r"clip 0: samples must be numbers in \[-1, 1\]"),
        ([np.array([0.0, 12_000.0])], RATE, r"clip 0: samples must be numbers in \[-1, 1\]"),
        ([noise(9)], 100, "the sample rate is 100 Hz"),
        ([noise(9)], "8000", "the sample rate is .8000.; expected a number"),
        ([noise(2)], 44_100, "too short"),
    ],
)
def test_clips_that_are_none(tiny: LungModel, clips: list, rate: int, message: str) -> None:
    with pytest.raises(LaennecError, match=message):
        tiny.predict(clips, rate)


def test_metadata_must_fit_the_clips(tiny: LungModel) -> None:
    with pytest.raises(LaennecError, match="sex: 2 values for 1 clip"):
        tiny.predict([noise(9)], RATE, sex=["male", "female"])
    with pytest.raises(LaennecError, match="position is 'knee'; expected left-posterior"):
        tiny.predict([noise(9)], RATE, position="knee")


# --- files --------------------------------------------------------------------------------------------------


def test_the_card_is_what_the_file_says(tiny: LungModel) -> None:
    assert tiny.card.labels == SPRSOUND_EVENTS
    assert (tiny.card.name, tiny.card.normal, tiny.card.clip_s) == ("tiny", "Normal", 3.0)
    assert tiny.card.limits.startswith("A model for tests")
    assert len(tiny.sha256) == 64
    with pytest.raises(dataclasses.FrozenInstanceError):
        tiny.card = None  # type: ignore[misc, assignment]


def test_entries_that_only_inform_may_be_missing(tmp_path: Path) -> None:
    told = {key: value for key, value in CARD.items() if key not in ("data", "recipe", "metrics", "limits")}
    card = read_card(json.dumps(told))
    assert (card.data, card.limits, card.uses_metadata) == ({}, "", True)
    assert not read_card(json.dumps(CARD | {"uses_metadata": False})).uses_metadata


@pytest.mark.parametrize("content", [b"\x08\x07", b"RIFF" + bytes(100), b"not a model\n" * 50])
def test_what_is_not_onnx(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "wrong.onnx"
    path.write_bytes(content)
    with pytest.raises(LaennecError, match=r"wrong\.onnx: not an ONNX model that .* can load \([^\[\]]+\)$"):
        load_model(path)


def test_an_empty_model_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(LaennecError, match=r"empty\.onnx: empty, the file has 0 bytes; name a model file"):
        load_model(tmp_path / "empty.onnx")


def test_a_truncated_model(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "cut.onnx")
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(LaennecError, match=r"cut\.onnx: "):
        load_model(path)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("", "without Laennec's metadata"),
        ("{", "its metadata is not JSON"),
        ("[]", "its metadata is not a JSON object"),
        ("{}", "names no format"),
        (json.dumps(CARD | {"format": 2}), "format 2, and this Laennec reads up to 1; update it"),
        (json.dumps({k: v for k, v in CARD.items() if k != "labels"}), "no entry 'labels'"),
        (json.dumps(CARD | {"labels": "Normal"}), "expected a list of words"),
        (json.dumps(CARD | {"uses_metadata": "no"}), "uses_metadata is 'no'; expected true or false"),
        (json.dumps(CARD | {"normal": "Healthy"}), "labels are .* 'Healthy' among them"),
        (
            json.dumps(CARD | {"sample_rate": "fast"}),
            "sample_rate is 'fast'; expected a whole number from 4000",
        ),
        (json.dumps(CARD | {"window_s": 4.0}), "windows of 4.0 s every 1.0 s, where a clip has 3.0 s"),
        (json.dumps(CARD | {"labels": ["Normal", "Wheeze"]}), r"\(batch, 7\); by its metadata .* \(any, 2\)"),
    ],
)
def test_metadata_that_is_wrong(tmp_path: Path, metadata: str, message: str) -> None:
    path = tiny_model(tmp_path / "m.onnx", metadata=metadata)
    with pytest.raises(LaennecError, match=r"m\.onnx: .*" + message):
        load_model(path)


def test_inputs_that_are_wrong(tmp_path: Path) -> None:
    kinds = dict.fromkeys(("waveform", "age_years"), TensorProto.FLOAT)
    kinds |= dict.fromkeys(("length", "sex", "position", "device"), TensorProto.INT64)
    path = tiny_model(tmp_path / "m.onnx", inputs=kinds)
    with pytest.raises(LaennecError, match=r"takes .*device tensor\(int64\); a Laennec model takes waveform"):
        load_model(path)


def test_an_output_that_is_missing(tmp_path: Path) -> None:
    import onnx

    path = tiny_model(tmp_path / "m.onnx")
    graph = onnx.load(path)
    graph.graph.node[-1].output[0] = graph.graph.output[0].name = "logits_again"
    helper.set_model_props(graph, {"laennec": json.dumps(CARD)})
    onnx.save(graph, path)
    with pytest.raises(LaennecError, match="gives logits_again, not probabilities"):
        load_model(path)


def test_outputs_that_are_no_probabilities(tmp_path: Path) -> None:
    model = load_model(tiny_model(tmp_path / "m.onnx", softmax=False))
    with pytest.raises(LaennecError, match=r"m\.onnx: the model gave probabilities that do not sum to 1"):
        model.predict([noise(100)], RATE)
    weights = WEIGHTS.copy()
    weights[0] = np.nan
    model = load_model(tiny_model(tmp_path / "n.onnx", weights=weights))
    with pytest.raises(LaennecError, match="do not sum to 1"):
        model.predict([noise(100)], RATE)


def test_names_and_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LaennecError, match=r"missing\.onnx: no such model file, nor a model that ships"):
        load_model(tmp_path / "missing.onnx")
    with pytest.raises(LaennecError, match=r"a folder without model\.onnx, which a finished run has"):
        load_model(tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    path = tiny_model(run / "model.onnx")
    assert load_model(run).source == str(path)
    with pytest.raises(LaennecError, match="threads is -1"):
        load_model(threads=-1)
    monkeypatch.setattr(load_module, "PRETRAINED", tmp_path / "pretrained")
    with pytest.raises(LaennecError, match="no model ships with this installation"):
        load_model()
    (tmp_path / "pretrained").mkdir()
    path = tiny_model(tmp_path / "pretrained" / "default.onnx")
    monkeypatch.setitem(load_module.SHIPPED, "default", hashlib.sha256(path.read_bytes()).hexdigest())
    assert load_module.shipped_models() == ("default",)
    assert load_model().source == load_model("default").source == str(path)


@pytest.mark.skipif("default" not in load_module.shipped_models(), reason="no default model is installed")
def test_the_model_that_ships_hears_a_recording_of_any_length() -> None:
    model = load_model()
    clips = [noise(size) for size in (1, 800, 24_000, 80_000)]
    rows = model.predict(clips, RATE)
    np.testing.assert_allclose(rows[1], model.predict([clips[1]], RATE)[0], atol=1e-4)
    assert model.card.data
    assert model.card.limits


# --- other processes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["recording", "default"])
def test_a_model_can_be_pickled_and_works_in_a_process_of_its_own(name: str) -> None:
    model = load_model(name)
    copied = pickle.loads(pickle.dumps(model))
    assert (copied.card, copied.sha256, copied.source) == (model.card, model.sha256, model.source)
    sound = noise(3 * RATE)
    work = partial(analyze, sample_rate=RATE, model=model)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        (elsewhere,) = pool.map(work, [sound])
    assert elsewhere == work(sound)


# --- the package --------------------------------------------------------------------------------------------


def test_the_public_names_are_there() -> None:
    for name in laennec.__all__:
        assert getattr(laennec, name) is not None
        assert name in dir(laennec)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        laennec.nothing  # noqa: B018


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_the_package_loads_nothing_heavy_and_analyze_stays_a_function() -> None:
    code = """
import sys, laennec
heavy = {"numpy", "onnxruntime", "soundfile", "soxr", "rich", "matplotlib", "pandas", "torch"}
print(sorted(heavy & set(sys.modules)))
import laennec.analyze, laennec.model.load
from laennec.analyze import Event
from laennec import analyze
print(callable(analyze), laennec.Event is Event)
"""
    assert run_python(code).splitlines() == ["[]", "True True"]


def test_an_analysis_loads_only_the_base_dependencies(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "m.onnx")
    code = f"""
import sys, io
import numpy as np
from laennec import analyze
from laennec.output.text import print_table
from laennec.output.formats import to_json
from rich.console import Console
found = analyze(np.random.default_rng(0).normal(0, .1, 80_000), sample_rate=16_000, model={str(path)!r})
to_json(found); print_table(found, Console(file=io.StringIO()))
heavy = ["torch", "pandas", "scipy", "matplotlib", "librosa", "lightning", "sklearn", "onnx", "tyro"]
print([name for name in heavy if name in sys.modules])
"""
    assert run_python(code) == "[]"


@pytest.mark.parametrize("name", [3, b"", "", ["default"]])
def test_what_names_no_model_is_refused_in_one_sentence(name: object) -> None:
    with pytest.raises(LaennecError, match="expected the path of a model file, or a model's name"):
        load_model(name)  # type: ignore[call-overload]
