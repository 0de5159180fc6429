import functools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from laennec.audio.segment import INPUTS, PHASE_RATIOS, fit_length, fit_parts, phases
from laennec.datasets import dataset
from laennec.errors import LaennecError
from laennec.features.base import PadOrTrim
from laennec.features.cepstral import CepstralImage
from laennec.features.cycle import CycleLogMel, FitParts
from laennec.model.card import OF_RECORDINGS
from laennec.model.load import load_model
from laennec.train.build import build_parts
from laennec.train.export import deployed, export, write_model
from laennec.train.export_lstm import with_one_operator
from laennec.train.recipe import load_recipe, recipe_names, recipe_to_dict


@pytest.mark.parametrize("padding", ["tile", "zero", "sample"])
@pytest.mark.parametrize("length", [1, 7, 50, 51, 200])
def test_fit_length_in_the_graph_equals_fit_length_outside(padding: str, length: int) -> None:
    rng = np.random.default_rng(length)
    clips = rng.standard_normal((2, 200)).astype(np.float32)
    inside = PadOrTrim(120, padding)(torch.from_numpy(clips), torch.tensor([length, 200])).numpy()
    np.testing.assert_array_equal(inside[0], fit_length(clips[0, :length], 120, padding))
    np.testing.assert_array_equal(inside[1], fit_length(clips[1], 120, padding))


@pytest.mark.parametrize("padding", ["zero", "sample"])
@pytest.mark.parametrize("ratio", PHASE_RATIOS)
def test_phases_in_the_graph_equal_those_outside(padding: str, ratio: str) -> None:
    front_end = CycleLogMel(clip_samples=400, inputs=INPUTS, ratio=ratio, window=32)
    lengths = [2, 3, 7, 31, 64, 399, 400, 401, 950]
    clips = np.random.default_rng(0).standard_normal((len(lengths), 1000)).astype(np.float32)
    inside = FitParts(front_end, padding)(torch.from_numpy(clips), torch.tensor(lengths)).numpy()
    for row, length in enumerate(lengths):
        outside = fit_parts(clips[row, :length], INPUTS, front_end.part_samples, front_end.ratio, padding)
        np.testing.assert_array_equal(inside[row], outside)


def test_every_length_of_a_cycle_is_split_alike_inside_and_outside() -> None:
    length = torch.arange(2, 140_000)
    for ratio in PHASE_RATIOS.values():
        inside = (length.double() * ratio + 0.5).floor().long().clamp_min(1).minimum(length - 1)
        some = range(0, len(length), 37)
        outside = [phases(np.empty(int(length[k]), np.int8), ratio)[0].size for k in some]
        assert inside[list(some)].tolist() == outside


def untrained_run(folder: Path, name: str) -> Path:
    """A run folder with random weights, batch norm statistics included, as a finished run leaves it."""
    torch.manual_seed(1)
    recipe = load_recipe(name)
    front_end, network = build_parts(recipe)
    if isinstance(front_end, CepstralImage):
        front_end.fit_statistics(torch.randn(10, 3, front_end.bands, front_end.frames) * 3 - 10)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)  # type: ignore[arg-type]
            torch.nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
    folder.mkdir()
    saved = {
        "front_end": front_end.state_dict(),
        "network": network.state_dict(),
        "temperature": 1.7,
        "recipe": recipe_to_dict(recipe),
    }
    torch.save(saved, folder / "model.pt")
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Path]]:
    """Run folder and model file of a recipe with random weights; each is exported once."""

    @functools.cache
    def of(name: str) -> tuple[Path, Path]:
        run = untrained_run(tmp_path_factory.mktemp("runs") / name, name)
        return run, export(run)

    return of


def clips_and_metadata() -> tuple[list[np.ndarray], list[float | None], list[str | None], list[str | None]]:
    rng = np.random.default_rng(0)
    clips = [(rng.standard_normal(n) * 0.1).astype(np.float32) for n in (9000, 30_000, 1203, 20_000)]
    return clips, [3.2, None, 17.0, 0.4], ["male", None, "female", None], ["left-lateral", None, None, "p1"]


def reference(run: Path, clips: list[np.ndarray]) -> np.ndarray:
    """Probabilities by PyTorch, for the metadata of `clips_and_metadata`."""
    waveform = torch.zeros(len(clips), max(map(len, clips)))
    for row, clip in enumerate(clips):
        waveform[row, : len(clip)] = torch.from_numpy(clip)
    length = torch.tensor([len(clip) for clip in clips])
    age = torch.tensor([3.2, torch.nan, 17.0, 0.4])
    with torch.no_grad():
        model = deployed(run)
        return model(waveform, length, age, torch.tensor([1, 0, 2, 0]), torch.tensor([2, 0, 0, 1])).numpy()


# The graph of a model for whole recordings has other outputs: test_recordings.py compares those.
CLIP_RECIPES = [
    name for name in recipe_names() if build_parts(load_recipe(name))[0].task not in OF_RECORDINGS
]


def test_only_the_recording_model_is_compared_elsewhere() -> None:
    assert set(recipe_names()) - set(CLIP_RECIPES) == {"recording", "microcontroller"}


def graph_of(name: str) -> str:
    """What decides the graph of a recipe; others differ in how they are trained."""
    recipe = load_recipe(name)
    return repr((recipe.front_end, recipe.model, recipe.padding, len(recipe.labels)))


@pytest.mark.parametrize("name", {graph_of(name): name for name in CLIP_RECIPES}.values())
def test_every_recipe_exports_and_onnx_runtime_agrees(
    name: str, exported: Callable[[str], tuple[Path, Path]]
) -> None:
    run, path = exported(name)
    model = load_model(path)
    clips, age, sex, position = clips_and_metadata()
    rate = model.card.sample_rate
    together = model.predict(clips, rate, age, sex, position)
    np.testing.assert_allclose(together, reference(run, clips), atol=1e-4)
    alone = model.predict([clips[2]], rate, age[2], sex[2], position[2])
    np.testing.assert_allclose(alone[0], together[2], atol=1e-5)
    assert model.card.name == name
    assert model.card.temperature == 1.7
    assert json.loads(json.dumps(model.card.recipe)) == json.loads(
        json.dumps(recipe_to_dict(load_recipe(name)))
    )


def test_temperature_and_card_can_be_given(tmp_path: Path) -> None:
    run = untrained_run(tmp_path / "run", "chen2022-cnn")
    path = export(run, tmp_path / "out.onnx", temperature=2.5, card={"limits": "none known"})
    card = load_model(path).card
    assert card.temperature == 2.5
    assert card.limits == "none known"
    assert path.stat().st_size < 5e6
    assert str(Path.cwd()).encode() not in path.read_bytes()  # no stack traces of the exporter
    assert not onnx.load(path).functions  # plain operators, which every runtime can load


@pytest.mark.parametrize("temperature", [0.0, -1.0, 1e-300, float("nan"), float("inf")])
def test_a_temperature_that_is_none_is_refused(temperature: float, tmp_path: Path) -> None:
    run = untrained_run(tmp_path / "run", "default")
    with pytest.raises(LaennecError, match="must be above 0"):
        export(run, temperature=temperature)


def test_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(LaennecError, match="not a run folder"):
        export(tmp_path)
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(LaennecError, match="unfinished run"):
        export(tmp_path)


@pytest.mark.real
def test_parity_on_real_clips(real_data: Path, exported: Callable[[str], tuple[Path, Path]]) -> None:
    from laennec.features.reading import cut_clips

    run, path = exported("chen2022")
    model = load_model(path)
    clips = dataset("sprsound").load(real_data / "SPRSound").iloc[:60].reset_index(drop=True)
    found = [samples for _, samples in cut_clips(clips, 8000)][:24]
    waveform = torch.zeros(len(found), max(map(len, found)))
    for row, samples in enumerate(found):
        waveform[row, : len(samples)] = torch.from_numpy(np.array(samples))
    length, unknown = torch.tensor([len(s) for s in found]), torch.zeros(len(found)).long()
    with torch.no_grad():
        expected = deployed(run)(waveform, length, torch.full((len(found),), torch.nan), unknown, unknown)
    np.testing.assert_allclose(model.predict(found, 8000), expected.numpy(), atol=1e-4)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_an_lstm_is_one_operator_with_its_last_state(bidirectional: bool, tmp_path: Path) -> None:
    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(5, 4, batch_first=True, bidirectional=bidirectional)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first, state = self.lstm(x)
            _, (hidden, cell) = self.lstm(x, state)
            return torch.cat([first.mean(1), hidden[-1], cell[0]], 1)

    network = Network().eval()
    x = torch.randn(3, 7, 5)
    expected = network(x).detach().numpy()
    with_one_operator(network)
    shapes = ({0: torch.export.Dim("batch", min=1)},)
    write_model(network, {"x": x}, ["y"], shapes, {}, tmp_path / "lstm.onnx")
    operators = [node.op_type for node in onnx.load(tmp_path / "lstm.onnx").graph.node]
    assert operators.count("LSTM") == 2
    session = onnxruntime.InferenceSession(tmp_path / "lstm.onnx")
    np.testing.assert_allclose(session.run(None, {"x": x.numpy()})[0], expected, atol=1e-6)
    np.testing.assert_allclose(session.run(None, {"x": x.numpy()[:1]})[0], expected[:1], atol=1e-6)
