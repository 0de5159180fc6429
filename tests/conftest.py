import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from laennec.model.detector import Detector

# How long an example takes is the machine's matter; a busy one must not fail a test.
hypothesis.settings.register_profile("laennec", deadline=None)
hypothesis.settings.load_profile("laennec")

TINY_RECIPE = """
title = "Tiny"
epochs = 4
batch_size = 16
learning_rate = 3e-3
averaging_decay = 0.9

[front_end]
kind = "log-mel"
bands = 16
hop_length = 400
clip_samples = 12000

[model]
kind = "resnet"
channels = [4, 8]

[augmentation]
circular_shift = true
mixup = 0.2
"""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose mark names a package that is not installed."""
    for mark in item.iter_markers("needs"):
        for package in mark.args:
            pytest.importorskip(package, reason=f"needs {package}")


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated data set in SPRSound's layout: seven patients, all seven classes."""
    from laennec.simulate import simulate_dataset

    out = tmp_path_factory.mktemp("simulated") / "sprsound"
    simulate_dataset(out, subjects=7, seed=1, recordings_per_subject=2)
    return out


@pytest.fixture(scope="session")
def detector() -> "Detector":
    """The shipped model for whole recordings; nothing changes it."""
    from laennec.model.load import load_detector

    return load_detector("recording")


@pytest.fixture(scope="session")
def tiny_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe that trains in a second."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(TINY_RECIPE)
    return path


@pytest.fixture
def real_data() -> Path:
    """The folder of real recordings that LAENNEC_DATA names."""
    named = os.environ.get("LAENNEC_DATA")
    if not named:
        pytest.skip("LAENNEC_DATA does not name a folder of real recordings")
    return Path(named)


@pytest.fixture(scope="session")
def some_sprsound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of every twelfth patient of SPRSound, in its layout; skipped where LAENNEC_DATA names none."""
    if not os.environ.get("LAENNEC_DATA"):
        pytest.skip("LAENNEC_DATA does not name a folder of real recordings")
    root, out = Path(os.environ["LAENNEC_DATA"]) / "SPRSound", tmp_path_factory.mktemp("some") / "SPRSound"
    patients = sorted({path.name.partition("_")[0] for path in (root / "train_wav").iterdir()})[5::12]
    for folder in ("train_wav", "train_json"):
        (out / folder).mkdir(parents=True)
        for path in (root / folder).iterdir():
            if path.name.partition("_")[0] in patients:
                shutil.copyfile(path, out / folder / path.name)
    return out
