"""The example of a front end and a network from outside the package, from training to an analysis."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
import torch

from laennec.cli import run
from laennec.features import build_front_end
from laennec.model.load import load_model
from laennec.train.export import deployed

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_model"


def test_a_tone_is_in_its_bin() -> None:
    front_end = build_front_end({"kind": f"{EXAMPLE / 'cqt.py'}:ConstantQ"})
    time_s = torch.arange(front_end.clip_samples) / front_end.sample_rate
    tone = torch.sin(2 * torch.pi * 60 * 2 ** (31 / 12) * time_s)[None]
    image = front_end.unnormalised(tone)
    assert image.shape == (1, 1, front_end.bands, front_end.frames)
    assert (image[0, 0, :, 10:-10].argmax(0) == 31).all()
    octave = front_end.unnormalised(torch.sin(2 * torch.pi * 120 * 2 ** (31 / 12) * time_s)[None])
    assert int(octave[0, 0, :, 40].argmax()) == 31 + 12


def test_it_trains_exports_and_analyses(
    simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    line = ["train", str(EXAMPLE / "crnn.toml"), "--data", str(simulated), "--out", str(out)]
    assert run([*line, "--epochs", "1", "--accelerator", "cpu", "--threads", "1"]) == 0
    model = load_model(out / "model.onnx")
    assert model.card.recipe["front_end"]["kind"] == "cqt.py:ConstantQ", "no folder of a computer"
    assert str(EXAMPLE) not in str(onnx.load(out / "model.onnx").metadata_props)
    wave = np.random.default_rng(0).standard_normal((1, 9000)).astype(np.float32) * 0.1
    nothing = torch.zeros(1, dtype=torch.long)
    with torch.inference_mode():
        expected = deployed(out)(
            torch.from_numpy(wave), torch.tensor([9000]), torch.tensor([torch.nan]), nothing, nothing
        )
    np.testing.assert_allclose(model.predict(wave, 8000), expected.numpy(), atol=1e-4)
    # The file is all that an analysis needs.
    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", wave[0], 8000)
    words = ["analyze", "a.wav", "--model", str(out / "model.onnx"), "--out", "results", "--format", "json"]
    assert run(words) == 0
    assert json.loads((tmp_path / "results" / "a.json").read_text())["model"]["name"] == "crnn"
