"""Who is trained on and who is measured on, and parts that come from outside the package."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from torch import nn

from laennec.errors import LaennecError
from laennec.extensions import classes, load_class
from laennec.features.base import FrontEnd
from laennec.features.cycle import CycleLogMel
from laennec.train.protocols import chronological, leave_one_out, rotation

CLIPS = pd.DataFrame(
    {
        "recording": ["1_a_30", "1_a_31", "2_a_10", "2_a_99", "3_a_20", "4_a_40"],
        "subject": ["1", "1", "2", "2", "3", "4"],
        "dataset": ["x", "x", "x", "x", "x", "x"],
        "label": ["Normal", "Wheeze", "Normal", "Wheeze", "Normal", "Wheeze"],
    }
)


def test_a_fold_tests_the_next_chooses_and_the_rest_train() -> None:
    folds = rotation(np.array([0, 0, 1, 1, 2, 3]))
    assert [fold.name for fold in folds] == ["1", "2", "3", "4"]
    assert folds[0].sets() == ["test", "test", "validation", "validation", "train", "train"]
    assert folds[3].sets() == ["validation", "validation", "train", "train", "train", "test"]


def test_patients_first_recorded_later_are_measured_on() -> None:
    (fold,) = chronological(CLIPS, share=0.5)
    # First recorded: patient 2 at 10, 3 at 20, 1 at 30, 4 at 40; what patient 2 has later stays with them.
    assert fold.sets() == ["test", "test", "train", "train", "train", "test"]
    with pytest.raises(LaennecError, match="one set would be empty"):
        chronological(CLIPS, share=0.01)
    with pytest.raises(LaennecError, match="has no number"):
        chronological(CLIPS.assign(recording="a"))


def test_every_data_set_is_left_out_once() -> None:
    three = CLIPS.assign(dataset=["x", "x", "y", "y", "x", "z"])
    folds = leave_one_out(three)
    assert [fold.name for fold in folds] == ["x", "y", "z"]
    assert folds[1].sets() == ["train", "train", "test", "test", "train", "train"]
    with pytest.raises(LaennecError, match="two or more"):
        leave_one_out(CLIPS.assign(dataset="x"))


def test_parts_of_the_package_are_found_by_their_kind() -> None:
    assert load_class("cycle-log-mel", "laennec.features", FrontEnd) is CycleLogMel
    assert {"chen2022", "nguyen2022", "event", "resnet"} <= set(classes("laennec.models", nn.Module))
    with pytest.raises(LaennecError, match=r"unknown kind 'nothing'; there are: .*log-mel"):
        load_class("nothing", "laennec.features", FrontEnd)


def test_a_part_may_come_from_a_file_or_a_module(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text("from laennec.features.base import FrontEnd\nclass Mine(FrontEnd):\n    pass\nother = 3\n")
    assert issubclass(load_class(f"{own}:Mine", "laennec.features", FrontEnd), FrontEnd)
    assert load_class("laennec.features.cycle:CycleLogMel", "laennec.features", FrontEnd) is CycleLogMel
    for kind, message in (
        (f"{own}:other", "has no FrontEnd called other"),
        (f"{tmp_path}/nowhere.py:Mine", "no such file"),
        ("no_such_module:Mine", "cannot be imported"),
    ):
        with pytest.raises(LaennecError, match=message):
            load_class(kind, "laennec.features", FrontEnd)
    own.write_text("import nothing_of_the_sort\n")
    with pytest.raises(LaennecError, match="cannot be imported: No module named"):
        load_class(f"{own}:Mine", "laennec.features", FrontEnd)
