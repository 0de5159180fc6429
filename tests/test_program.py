"""A model file is a program: what it may contain, and that a file which contains more is refused unrun."""

import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from laennec import LaennecError, load_model
from laennec.model import load as load_module
from laennec.model.load import SHIPPED, shipped_models
from laennec.model.program import LARGEST_ARRAY, LARGEST_NUMBER, OPERATORS, check_program, fields
from tiny_model import tiny_model


def graph_of(
    *nodes: onnx.NodeProto, constants: dict[str, np.ndarray] | None = None, **more: object
) -> onnx.ModelProto:
    held = [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()]
    graph = helper.make_graph(list(nodes), "g", [], [], held)
    return helper.make_model(graph, **more)


def refused(model: onnx.ModelProto | bytes, message: str) -> None:
    content = model if isinstance(model, bytes) else model.SerializeToString()
    with pytest.raises(LaennecError, match=r"m\.onnx: .*" + message):
        check_program(content, "m.onnx")


@pytest.mark.parametrize(
    "operator", ["If", "Loop", "Scan", "RandomNormal", "StringNormalizer", "Optional", "Xyz", ""]
)
def test_operators_that_are_not_on_the_list(operator: str) -> None:
    refused(graph_of(helper.make_node(operator, ["x"], ["y"])), f"operator '{operator}'")


@pytest.mark.parametrize("domain", ["com.microsoft", "ai.onnx.ml", "my.own"])
def test_operators_of_another_domain(domain: str) -> None:
    refused(graph_of(helper.make_node("Conv", ["x"], ["y"], domain=domain)), rf"operator '{domain}\.Conv'")
    check_program(graph_of(helper.make_node("Conv", ["x"], ["y"], domain="ai.onnx")).SerializeToString(), "m")


def test_a_second_name_or_a_second_graph_hides_nothing() -> None:
    """Of a field that stands twice the last counts, and messages that stand twice are merged."""
    good, bad = (helper.make_node(name, ["x"], ["y"]).SerializeToString() for name in ("Relu", "Loop"))
    for first, second in ((good, bad), (bad, good)):
        node = helper.make_graph([], "g", [], []).SerializeToString() + b"\x0a" + bytes([len(first + second)])
        graph = node + first + second
        refused(b"\x3a" + bytes([len(graph)]) + graph, "operator 'Loop'")
    refused(
        graph_of(onnx.NodeProto.FromString(good)).SerializeToString()
        + graph_of(onnx.NodeProto.FromString(bad)).SerializeToString(),
        "operator 'Loop'",
    )


def test_graphs_within_functions_and_training_are_refused() -> None:
    inner = helper.make_graph([helper.make_node("Loop", ["x"], ["y"])], "inner", [], [])
    for value in (inner, [inner]):
        refused(graph_of(helper.make_node("Relu", ["x"], ["y"], body=value)), "operator Relu holds a graph")
    body = helper.make_function("", "f", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], [])
    refused(graph_of(functions=[body]), "functions of its own")
    model = graph_of()
    model.training_info.add()
    refused(model, "training steps of its own")


@pytest.mark.parametrize("by", ["location", "entries"])
def test_constants_in_other_files_are_refused(by: str) -> None:
    tensor = numpy_helper.from_array(np.zeros(3, np.float32), "weights")
    if by == "location":
        tensor.data_location = TensorProto.EXTERNAL
    else:
        tensor.external_data.add(key="location", value="/etc/passwd")
    model = graph_of()
    model.graph.initializer.append(tensor)
    refused(model, "'weights' lies in another file")
    refused(graph_of(helper.make_node("Constant", [], ["y"], value=tensor)), "'weights' lies in another file")


def test_constants_larger_than_the_file_are_refused() -> None:
    for dims in ((2**40,), (2**31, 2**31), (3, -1), (4,)):
        tensor = numpy_helper.from_array(np.zeros(3, np.float32), "weights")
        tensor.dims[:] = dims
        model = graph_of()
        model.graph.initializer.append(tensor)
        refused(model, "'weights' has the shape .*fewer values")
    sparse = graph_of()
    sparse.graph.sparse_initializer.add().dims.append(2**40)
    refused(sparse, "sparse constants")
    sparse_value = helper.make_node("Constant", [], ["y"])
    sparse_value.attribute.add(name="sparse_value", type=11).sparse_tensor.dims.append(2**40)
    refused(graph_of(sparse_value), "sparse constant")


@pytest.mark.parametrize(
    "kind", [np.float32, np.float64, np.int8, np.int32, np.int64, np.uint64, np.float16, bool]
)
@pytest.mark.parametrize("raw", [True, False])
def test_constants_of_every_type_are_counted(kind: type, raw: bool) -> None:
    value = np.arange(200).astype(kind)
    tensor = numpy_helper.from_array(value, "c")
    if not raw:
        tensor = helper.make_tensor("c", tensor.data_type, value.shape, value.tolist())
    model = graph_of()
    model.graph.initializer.append(tensor)
    check_program(model.SerializeToString(), "m")
    tensor.dims[0] = 2000
    model.graph.initializer[0].CopyFrom(tensor)
    refused(model, "fewer values")


HUGE = 2**40
LONG = {
    "ConstantOfShape": (["n"], np.array([2**20, 2**20])),
    "Expand": (["x", "n"], np.array([1, HUGE])),
    "Tile": (["x", "n"], np.array([2**20, 2**20])),
    "Pad": (["x", "n"], np.array([0, 0, 0, HUGE])),
    "Range": (["n", "n", "one"], np.array(HUGE)),
    "OneHot": (["x", "n", "x"], np.array(HUGE)),
    "Resize": (["x", "", "n"], np.array([1, 1, 1e6, 1e6], np.float32)),
    "STFT": (["x", "one", "x", "n"], np.array(HUGE)),
}


@pytest.mark.parametrize("operator", LONG)
@pytest.mark.parametrize("how", ["initializer", "field", "node", "numbers"])
def test_results_of_absurd_lengths_are_refused(operator: str, how: str) -> None:
    inputs, value = LONG[operator]
    node = helper.make_node(operator, inputs, ["y"], name="this")
    tensor = numpy_helper.from_array(value, "n")
    if how == "field":
        tensor = helper.make_tensor("n", tensor.data_type, value.shape, np.atleast_1d(value).tolist())
    model = graph_of(node, constants={"one": np.array(1)})
    if how in ("initializer", "field"):
        model.graph.initializer.append(tensor)
    elif how == "node":
        model.graph.node.insert(0, helper.make_node("Constant", [], ["n"], value=tensor))
    else:
        name = "value_floats" if value.dtype == np.float32 else "value_ints"
        model.graph.node.insert(
            0, helper.make_node("Constant", [], ["n"], **{name: np.atleast_1d(value).tolist()})
        )
    refused(
        model, f"operator {operator} this asks for .* values; Laennec runs models of up to {LARGEST_ARRAY}"
    )


def test_attributes_of_absurd_sizes_are_refused_and_ends_of_slices_are_not() -> None:
    for name in ("pads", "kernel_shape", "dilations", "strides"):
        refused(
            graph_of(helper.make_node("Conv", ["x", "w"], ["y"], **{name: [1, HUGE]})),
            f"{name} of operator Conv",
        )
    refused(graph_of(helper.make_node("LSTM", ["x"], ["y"], hidden_size=HUGE)), f"up to {LARGEST_NUMBER}")
    infinite = graph_of(
        helper.make_node("Slice", ["x", "a", "b"], ["y"]),
        helper.make_node("Slice", ["x"], ["z"], starts=[0], ends=[2**63 - 1]),
        constants={"a": np.array([0]), "b": np.array([2**63 - 1])},
    )
    check_program(infinite.SerializeToString(), "m")


def test_what_is_read_is_what_onnx_reads() -> None:
    path = load_module.PRETRAINED / "default.onnx"
    content = path.read_bytes()
    graph = next(value for number, value in fields(memoryview(content)) if number == 7)
    assert isinstance(graph, memoryview)
    found = [
        (bytes(name).decode() for number, name in fields(value) if number == 4)
        for own, value in fields(graph)
        if own == 1 and not isinstance(value, int)
    ]
    expected = [node.op_type for node in onnx.load(path).graph.node]
    assert [next(name) for name in found] == expected
    assert set(expected) <= OPERATORS


def test_every_operator_on_the_list_is_one_of_the_standard() -> None:
    known = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    assert set() == OPERATORS - known
    assert not OPERATORS & {
        "If",
        "Loop",
        "Scan",
        "SequenceMap",
        "RandomNormal",
        "RandomUniform",
        "Multinomial",
    }


def test_a_file_cut_anywhere_is_refused_in_one_sentence(tmp_path: Path) -> None:
    content = tiny_model(tmp_path / "whole.onnx").read_bytes()
    cut = tmp_path / "cut.onnx"
    for length in [*range(40), *range(40, len(content), 61)]:
        cut.write_bytes(content[:length])
        with pytest.raises(LaennecError, match=r"cut\.onnx: "):
            load_model(cut)
    for damage in (b"\xff" * 20, struct.pack("<Q", 2**64 - 1), b"\x0b", b"\x02\x01", b"\x38\x01"):
        cut.write_bytes(damage)
        with pytest.raises(LaennecError, match=r"cut\.onnx: not an ONNX model"):
            load_model(cut)


@pytest.mark.parametrize(
    "what", ["waveform", '"tiny"', "laennec", "probabilities", "batch", "logits", "Squeeze"]
)
def test_names_that_are_no_text_are_refused_and_nothing_is_printed(
    what: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tiny_model(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes().replace(what.encode(), b"\xff" * len(what)))
    with pytest.raises(LaennecError, match=r"m\.onnx: not an ONNX model .*utf-8"):
        load_model(path)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: model.graph.input[0].type.tensor_type.shape.dim.pop(), "failed|load"),
        (
            lambda model: setattr(model.graph.input[2].type.tensor_type, "elem_type", 7),
            "age_years",
        ),
        (lambda model: setattr(model.graph.output[0].type.tensor_type, "elem_type", 11), "load"),
        (
            lambda model: model.graph.output[0].type.tensor_type.shape.dim.pop(),
            "",
        ),
        (lambda model: model.graph.output[0].type.tensor_type.ClearField("shape"), ""),
        (lambda model: model.graph.output.pop(), "load|gives"),
        (lambda model: model.graph.input.pop(), "load|takes"),
        (lambda model: model.graph.node[-1].attribute.add(name="axis", type=2, i=0), "sum to 1"),
        (lambda model: model.graph.node[-1].CopyFrom(reduced()), "gave|load"),
    ],
)
def test_inputs_and_outputs_of_another_form(
    change: Callable[[onnx.ModelProto], object], message: str, tmp_path: Path
) -> None:
    model = onnx.load(tiny_model(tmp_path / "m.onnx"))
    change(model)
    onnx.save(model, tmp_path / "m.onnx")

    def used() -> None:
        clips = [np.full(500 * n, 0.1, np.float32) for n in (1, 2)]
        assert load_model(tmp_path / "m.onnx").predict(clips, 8_000).shape == (2, 7)  # type: ignore[union-attr]

    if message:
        with pytest.raises(LaennecError, match=r"m\.onnx: .*(" + message + ")"):
            used()
    else:
        used()


def reduced() -> onnx.NodeProto:
    return helper.make_node("ReduceSum", ["logits"], ["probabilities"], keepdims=0)


def test_the_model_is_not_opened_when_it_is_refused(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "m.onnx")
    model = onnx.load(path)
    model.graph.node[0].domain = "com.microsoft"
    onnx.save(model, path)
    with pytest.raises(LaennecError, match=r"m\.onnx: a model with the operator 'com\.microsoft\.Shape'"):
        load_model(path)


def test_another_format_of_onnx_runtime_is_not_opened(tmp_path: Path) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "m.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(tiny_model(tmp_path / "m.onnx").read_bytes(), options)
    with pytest.raises(LaennecError, match=r"m\.ort: not an ONNX model"):
        load_model(tmp_path / "m.ort")


def test_what_is_no_file_or_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "LARGEST_FILE", 1000)
    with pytest.raises(LaennecError, match=r"m\.onnx: larger than a model file may be, 1000 bytes"):
        load_model(tiny_model(tmp_path / "m.onnx"))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.onnx")
        with pytest.raises(LaennecError, match=r"pipe\.onnx: not a file"):
            load_model(tmp_path / "pipe.onnx")


def test_the_models_that_ship_are_those_that_were_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(SHIPPED) == set(shipped_models())
    for name, digest in SHIPPED.items():
        assert load_model(name).sha256 == digest
    (tmp_path / "pretrained").mkdir()
    tiny_model(tmp_path / "pretrained" / "default.onnx")
    monkeypatch.setattr(load_module, "PRETRAINED", tmp_path / "pretrained")
    for name in (None, "default"):
        with pytest.raises(
            LaennecError, match=r"default\.onnx: not the model 'default' that ships .*install Laennec"
        ):
            load_model(name)


def test_it_costs_milliseconds() -> None:
    """Measured 3 ms; far more would be noticed whenever a recording is analysed."""
    content = (load_module.PRETRAINED / "default.onnx").read_bytes()
    best = min(seconds(lambda: check_program(content, "m")) for _ in range(5))
    assert best < 0.05


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started
