"""Nothing leaves the computer or is left in the home folder while models are trained and measured."""

from pathlib import Path

import pytest

from faults.commands import TINY, cohort, training_data
from isolated import run_isolated

# Matplotlib's list of the computer's fonts, which takes seconds to make, is kept where Matplotlib keeps it.
FONTS = ".cache/matplotlib/fontlist"


@pytest.mark.slow  # every command that needs PyTorch, watched: 20 to 40 seconds
def test_commands_of_the_training_layer_use_no_network(tmp_path: Path) -> None:
    cohort(tmp_path)  # data and recipe for `transfer`
    training_data(tmp_path)
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TINY)
    simulated = tmp_path / "data"
    run, folds, data = tmp_path / "run", tmp_path / "folds", ["--data", str(simulated)]
    one = ["--accelerator", "cpu", "--threads", "1"]

    def out(name: str) -> list[str]:
        return ["--out", str(tmp_path / name)]

    lines = [
        ["datasets", "info", "sprsound", str(simulated)],
        ["train", str(recipe), *data, "--out", str(run), "--epochs", "1", *one],
        ["evaluate", str(run), *data, "--split", "validation", *out("scores")],
        ["evaluate", "default", *data, "--split", "all", *out("shipped")],
        ["export", str(run), *out("exported.onnx")],
        ["crossvalidate", str(recipe), *data, "--folds", "2", "--out", str(folds), *one, "--set", "epochs=1"],
        ["datasets", "audit", "sprsound", str(simulated), "--predictions", str(folds)],
        ["transfer", "--from", str(tmp_path / "source.toml"), "--source-data", str(tmp_path / "icbhi")]
        + [
            "--data",
            str(tmp_path / "mine"),
            *out("moved"),
            "--folds",
            "3",
            "--epochs",
            "1",
            "--threads",
            "1",
        ],
        ["reproduce", "chen2022", *data, *out("paper"), "--quick", "--models", "chen2022-cnn"]
        + ["--epochs", "1", "--threads", "1"],
    ]
    left, sent = run_isolated(lines, tmp_path / "home", tmp_path / "trace")
    assert sent == []
    assert [name for name in left if not name.startswith(FONTS)] == []
