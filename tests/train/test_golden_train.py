"""What the training layer did before it was rebuilt, it does now: see tests/golden/make_behaviour.py."""

from pathlib import Path

import pytest

from golden.make_behaviour import TRAIN, differences, frozen


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, so that the data set is simulated once."""
    return tmp_path_factory.mktemp("golden")


@pytest.mark.parametrize("name", sorted(TRAIN))
def test_behaviour_is_as_it_was(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    exact = name == "train-fixed-metrics"  # no network has a part in it
    assert differences(TRAIN[name](), frozen(name), exact=exact) == []
