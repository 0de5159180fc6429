"""What the program did before it was rebuilt, it does now: see tests/golden/make_behaviour.py."""

import subprocess
import sys
from pathlib import Path

import pytest

from golden.make_behaviour import BASE, FOLDER, TRAIN, differences, frozen


@pytest.mark.parametrize("name", sorted(BASE))
def test_behaviour_is_as_it_was(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "command-line":
        pytest.importorskip("tyro", minversion="1", reason="older help is laid out differently")
    monkeypatch.chdir(tmp_path)
    assert differences(BASE[name](), frozen(name)) == []


def test_every_golden_file_is_compared() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {*BASE, *TRAIN}


def test_the_installed_command_exits_as_the_function_does(tmp_path: Path) -> None:
    for words, code in ((["--help"], 0), (["analyze", "nowhere.wav"], 1), (["analyse"], 2)):
        line = [sys.executable, "-m", "laennec", *words]
        assert subprocess.run(line, check=False, capture_output=True, cwd=tmp_path).returncode == code


@pytest.mark.parametrize(
    ("found", "golden", "same"),
    [
        ({"start_s": 1.0}, {"start_s": 1.0000005}, True),
        ({"start_s": 1.0}, {"start_s": 1.05}, False),
        ({"probability": 0.5}, {"probability": 0.501}, True),
        ({"probability": 0.5}, {"probability": 0.51}, False),
        ({"a": 1}, {"a": 1, "b": 1}, False),
        ([1, 2], [1], False),
        (1, True, False),
        (None, 0.0, False),
        ("vary by 61 % of 0.52", "vary by 62 % of 0.53", True),
        ("vary by 61 %", "vary by 64 %", False),
        ("channel 1", "channel 0", False),
        ("9 events", "8 events", False),
        ("refused", "refused.", False),
    ],
)
def test_a_difference_is_seen(found: object, golden: object, same: bool) -> None:
    assert (differences(found, golden) == []) is same
    assert differences(golden, golden, exact=True) == []
