"""Nothing leaves the computer or is left in the home folder while a model is trained and evaluated."""

from pathlib import Path

import pytest

from isolated import network_use, run_isolated

# Matplotlib's list of the computer's fonts, which takes seconds to make, is kept where Matplotlib keeps it.
FONTS = ".cache/matplotlib/fontlist"


@pytest.mark.slow  # two commands that import PyTorch, watched: 20 to 40 seconds
def test_training_and_evaluation_use_no_network(simulated: Path, tiny_recipe: Path, tmp_path: Path) -> None:
    run, data = tmp_path / "run", ["--data", str(simulated)]
    train = ["train", str(tiny_recipe), *data, "--out", str(run), "--epochs", "1"]
    evaluate = ["evaluate", str(run), *data, "--split", "validation", "--out", str(tmp_path / "results")]
    for arguments in (train, evaluate):
        trace, home = tmp_path / f"{arguments[0]}.trace", tmp_path / f"{arguments[0]}-home"
        left = run_isolated(arguments, home, trace)
        assert network_use(trace) == []
        assert [name for name in left if not name.startswith(FONTS)] == []
