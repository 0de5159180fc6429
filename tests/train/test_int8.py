"""Models in eight bits: what is quantised, what is not, and how near the answers stay."""

import json
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from laennec import analyze
from laennec.cli import main
from laennec.errors import LaennecError
from laennec.model.card import OUTPUTS
from laennec.model.detector import Detector
from laennec.model.load import load_detector
from laennec.score.events import event_scores
from laennec.simulate import demo_recordings, simulate_dataset
from laennec.train.head import AdaptableModel
from laennec.train.int8 import (
    Calibration,
    Scheme,
    calibration_of,
    drawn_recordings,
    export_int8,
    inner_convolutions,
    network_convolutions,
    quantised,
)
from laennec.train.int8_biases import means
from laennec.train.tables import recordings_in


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ward") / "data"
    simulate_dataset(root, subjects=6, recordings_per_subject=2, seed=5)
    return root


@pytest.fixture(scope="module")
def small(ward: Path, tmp_path_factory: pytest.TempPathFactory) -> Detector:
    out = tmp_path_factory.mktemp("int8") / "small.onnx"
    assert export_int8("recording", ward, None, (), out) == out
    return load_detector(out)


def graph_of(model: Detector) -> onnx.GraphProto:
    return onnx.load_from_string(model.graph.content).graph


def test_the_card_is_that_of_the_model_with_what_was_done(detector: Detector, small: Detector) -> None:
    before, after = (json.loads(each.graph.metadata or "{}") for each in (detector, small))
    assert after["name"] == "recording-int8"
    own = after.pop("quantised")
    assert own["of"] == {"name": "recording", "version": detector.card.version, "sha256": detector.sha256}
    assert sum(map(len, own["recordings"].values())) == 6
    assert detector.sha256 in after["metrics"]["of"]
    changed = {key for key in after if after[key] != before[key]}
    assert changed == {"name", "data", "metrics"}
    text = Path(small.source).with_suffix(".md").read_text()
    assert small.sha256 in text
    assert "6 of sprsound" in text


def test_answers_stay_near(detector: Detector, small: Detector) -> None:
    reference, estimated = [], []
    for recording in demo_recordings().values():
        exact, near = detector.run(recording.samples), small.run(recording.samples)
        for name in OUTPUTS:
            error = np.sqrt(np.mean((near[name] - exact[name]) ** 2)) / exact[name].std()
            assert 0 < error < 0.15, name
        found = [analyze(recording.samples, sample_rate=8000, model=model) for model in (detector, small)]
        assert found[0].record is not None
        assert found[1].record is not None
        assert found[0].record.label == found[1].record.label
        assert found[1].model_name == "recording-int8"
        assert found[1].model_sha256 == small.sha256
        for side, analysis in zip((reference, estimated), found, strict=True):
            side.append([(event.start_s, event.end_s, event.label) for event in analysis.events])
    scores = event_scores(reference, estimated, detector.card.labels, draws=0)["scores"]
    assert scores["f1"] is not None
    assert scores["f1"] > 0.9


def test_front_end_first_convolution_and_output_layers_are_as_they_were(
    detector: Detector, small: Detector
) -> None:
    before, after = graph_of(detector), graph_of(small)
    kept = [node.name for node in before.node if node.op_type == "Conv"]
    inner = inner_convolutions(before)
    assert len(inner) == len(kept) - 5  # the transform, the first, and three of outputs
    makers = {name: node.op_type for node in after.node for name in node.output}
    for node in after.node:
        if node.op_type == "Conv":
            eight_bits = [makers.get(name) == "DequantizeLinear" for name in node.input]
            assert eight_bits == [node.name in inner] * len(node.input), node.name
    floats = {each.name: each for each in before.initializer}
    own = {each.name for each in after.initializer}
    for name in ("front_end.mel", "front_end.power.basis", "network.stem.0.weight", "network.heads.weight"):
        assert name in own
        (same,) = (each for each in after.initializer if each.name == name)
        np.testing.assert_array_equal(numpy_helper.to_array(same), numpy_helper.to_array(floats[name]))


def test_weights_have_seven_bits_and_a_scale_for_each_channel(detector: Detector, small: Detector) -> None:
    floats = {each.name: numpy_helper.to_array(each) for each in graph_of(detector).initializer}
    constants = {each.name: numpy_helper.to_array(each) for each in graph_of(small).initializer}
    weights = [name for name, value in constants.items() if value.dtype == np.int8 and value.ndim > 1]
    assert len(weights) == len(inner_convolutions(graph_of(detector)))
    for name in weights:
        values, base = constants[name], name.removesuffix("_quantized")
        scale = constants[f"{base}_scale"]
        assert np.abs(values.astype(int)).max() <= 64
        assert scale.shape == (len(values),)
        shape = (-1, *[1] * (values.ndim - 1))
        np.testing.assert_allclose(
            values * scale.reshape(shape), floats[base], atol=float(scale.max()) * 0.5001
        )


def test_biases_bring_back_the_means_of_float32(detector: Detector, small: Detector, ward: Path) -> None:
    """On the recordings that ranges are learnt from, of every convolution behind the first, in its units."""
    rows = drawn_recordings(recordings_in("sprsound", ward))
    sounds = list(calibration_of(rows, 8000).sounds)
    others = onnx.load_from_string(quantised(detector, calibration_of(rows, 8000), Scheme(corrected=False)))
    exact = onnx.load_from_string(detector.graph.content)
    outputs = [
        node.output[0] for node in exact.graph.node if node.name in network_convolutions(exact.graph)[1:]
    ]
    wanted = means(exact, outputs, sounds)
    apart = {}
    for name, model in (("corrected", onnx.load_from_string(small.graph.content)), ("not", others)):
        found = means(model, outputs, sounds)
        apart[name] = np.array([np.abs(found[own] - wanted[own]).mean() for own in outputs])
    assert (apart["corrected"] < apart["not"]).all()
    assert apart["corrected"].sum() < 0.2 * apart["not"].sum()


def test_the_file_says_enough_for_another_runtime(small: Detector) -> None:
    """The standard's own evaluator, which is NumPy, gives what ONNX Runtime gives."""
    samples = demo_recordings()["wheezes"].samples[8000:14000]
    model = onnx.load_from_string(small.graph.content)
    model.opset_import[0].version = 19  # the first in which it knows DequantizeLinear, which is the same
    outputs = ReferenceEvaluator(model).run(list(OUTPUTS), {"waveform": samples[None]})
    found = small.run(samples)
    for name, value in zip(OUTPUTS, outputs, strict=True):
        # A value that lies between two steps may be rounded either way.
        error = np.sqrt(np.mean((value[0] - found[name]) ** 2)) / found[name].std()
        assert error < 0.03, name


def test_its_head_can_be_adapted(small: Detector) -> None:
    assert AdaptableModel(small).head.weights.shape[0] == len(small.card.labels)


def test_the_transform_of_the_front_end_cannot_be_quantised(detector: Detector, ward: Path) -> None:
    """Why it is left out: with it, nothing is left of the outputs."""
    everything = Scheme(lambda graph: [node.name for node in graph.node if node.op_type == "Conv"])
    rows = drawn_recordings(recordings_in("sprsound", ward), 3)
    content = quantised(detector, calibration_of(rows, 8000), everything)
    path = ward.parent / "everything.onnx"
    path.write_bytes(content)
    samples = demo_recordings()["wheezes"].samples
    exact, wrong = detector.run(samples), load_detector(path).run(samples)
    assert np.sqrt(np.mean((wrong["presence"] - exact["presence"]) ** 2)) > 0.5 * exact["presence"].std()


def test_recordings_are_drawn_from_patients_evenly() -> None:
    rows = [
        {"path": f"{name}{k}.wav", "channel": 0, "subject": f"{name}{k // 5}", "recording": f"{name}{k}",
         "dataset": name}
        for name in ("a", "b") for k in range(40)
    ]  # fmt: skip
    clips = pd.DataFrame([*rows, *rows])  # events of one recording
    clips.index = pd.RangeIndex(len(clips))
    chosen = drawn_recordings(clips, 6)
    assert chosen["dataset"].value_counts().to_dict() == {"a": 6, "b": 6}
    assert chosen["subject"].is_unique
    assert chosen.equals(drawn_recordings(clips, 6))
    assert not chosen.equals(drawn_recordings(clips, 6, seed=1))
    assert len(drawn_recordings(clips, 100)) == 16


def test_what_cannot_be_quantised(detector: Detector, small: Detector, ward: Path, tmp_path: Path) -> None:
    rows = drawn_recordings(recordings_in("sprsound", ward), 1)
    with pytest.raises(LaennecError, match="in eight bits already"):
        quantised(small, calibration_of(rows, 8000))
    with pytest.raises(LaennecError, match="no recording to learn ranges from"):
        quantised(detector, Calibration({}, ()))
    with pytest.raises(LaennecError, match="nothing to do"):
        quantised(detector, calibration_of(rows, 8000), Scheme(lambda graph: []))
    with pytest.raises(LaennecError, match="is a model for clips"):
        export_int8("default", ward, None, (), tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["recording", "--target", "int8"], "--target int8 needs --data, which ranges are learnt from"),
        (["recording", "--target", "int8", "--data", "ward"], "and --out"),
        (["--target", "int8", "--out", "x.onnx"], "needs --data"),
        (["recording", "--target", "int8", "--temperature", "2"], "--temperature is for --target onnx"),
        (["run", "--data", "ward"], "--data is for --target int8, not onnx"),
        (["run", "--also", "icbhi=x"], "--also is for --target int8, not onnx"),
    ],
)
def test_wrong_usage(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["export", *words])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_the_command_writes_the_file_that_the_function_writes(
    small: Detector, ward: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "same.onnx"
    with pytest.raises(SystemExit) as ended:
        main(["export", "recording", "--target", "int8", "--data", str(ward), "--out", str(out)])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert out.read_bytes() == small.graph.content
