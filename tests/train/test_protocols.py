"""Who is trained on and who is measured on, and parts that come from outside the package."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from torch import nn

from laennec.datasets.splits import refuse_leakage
from laennec.errors import LaennecError, UsageError
from laennec.extensions import classes, load_class
from laennec.features.base import FrontEnd
from laennec.features.cycle import CycleLogMel
from laennec.train.protocols import (
    Fold,
    chronological,
    holdout,
    k_fold,
    leave_one_out,
    protocol_of,
    rotation,
)
from laennec.train.recipe import load_recipe

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


# --- several data sets --------------------------------------------------------------------------------------


def rows(
    dataset: str, patients: int, labels: Sequence[str], of_each: int = 2, first: int = 0
) -> pd.DataFrame:
    """Recordings of patients, who have the labels by turns and are recorded one after the other."""
    number = np.arange(patients * of_each)
    return pd.DataFrame(
        {
            "clip_id": [f"{dataset}-{k}" for k in number],
            "recording": [f"{dataset}_{100 * k}" for k in number],
            "subject": [f"{dataset}-{k // of_each}" for k in number],
            "dataset": dataset,
            "label": [labels[k // of_each % len(labels)] for k in number],
        }
    )


TABLE = pd.concat(
    [
        rows("sprsound", 20, ["Normal", "CAS", "DAS"]),
        rows("icbhi", 8, ["normal", "crackle"]),
        rows("kauh", 9, ["normal", "wheeze", "both"], of_each=3),
        rows("hls-cmds", 1, ["Normal", "Wheeze"], of_each=6),
        rows("hf-lung", 12, ["inspiration", "expiration"]),
        rows("not-lung", 12, ["heart", "speech", "noise"]),
    ],
    ignore_index=True,
)
LUNGS = ("sprsound", "icbhi", "kauh")


def sides(fold: Fold) -> tuple[pd.DataFrame, pd.DataFrame]:
    return TABLE[fold.train], TABLE[fold.test]


@pytest.mark.parametrize("protocol", ["k-fold", "chronological", "leave-one-out"])
def test_nobody_is_on_both_sides_and_every_fold_has_sounds_that_are_no_lung_on_both(protocol: str) -> None:
    folds = protocol_of(load_recipe("recording"), 3, protocol)(TABLE)
    assert len(folds) == {"chronological": 2}.get(protocol, 3)
    for train, test in map(sides, folds):
        refuse_leakage(train, test)
        assert set(train["label"]) >= {"heart", "speech", "noise", "inspiration", "expiration"}
        assert set(test["label"]) >= {"heart", "speech", "noise", "inspiration", "expiration"}
        assert not train["dataset"].eq("hls-cmds").any()
    measured = sum(fold.test.astype(int) for fold in folds)
    assert measured[TABLE["dataset"] == "hls-cmds"].tolist() == [1] * 6
    if protocol != "chronological":
        assert (measured == 1).all()


def test_folds_are_dealt_within_each_data_set_as_if_it_were_alone() -> None:
    folds = k_fold(TABLE, 4, 0)
    for name in (*LUNGS, "hf-lung", "not-lung"):
        there = (TABLE["dataset"] == name).to_numpy()
        alone = k_fold(TABLE[there], 4, 0)
        for fold, own in zip(folds, alone, strict=True):
            np.testing.assert_array_equal(fold.test[there], own.test)
    # Of a data set of two patients, the last two folds have one each.
    few = pd.concat([TABLE, rows("folder", 2, ["Normal"])], ignore_index=True)
    assert [int(fold.test[-4:].sum()) for fold in k_fold(few, 4, 0)] == [0, 0, 2, 2]
    with pytest.raises(LaennecError, match="20 patients cannot be dealt into 21 parts"):
        k_fold(TABLE, 21, 0)
    with pytest.raises(UsageError, match="folds is 1; expected 2 or more"):
        k_fold(TABLE, 1, 0)


def test_sprsound_is_cut_at_two_numbers_and_the_others_measure_on_a_third_of_their_patients() -> None:
    folds = chronological(TABLE)
    assert [fold.name for fold in folds] == ["patients from 1800 on", "patients from 2700 on"]
    own = (TABLE["dataset"] == "sprsound").to_numpy()
    number = 100 * np.arange(own.sum())  # two recordings of a patient, 200 apart from the next one's
    for fold, cut in zip(folds, (1800, 2700), strict=True):
        first = number // 200 * 200
        np.testing.assert_array_equal(fold.test[own], first >= cut)
        for name in ("icbhi", "kauh", "not-lung"):
            there = TABLE["dataset"] == name
            patients = TABLE["subject"][there & fold.test].nunique()
            assert abs(patients - TABLE["subject"][there].nunique() / 3) < 1, name
    assert not (folds[0].test & folds[1].test & ~own).any()
    # Simulated recordings have no such numbers: the last patients are measured on.
    (later,) = chronological(TABLE.assign(dataset=TABLE["dataset"].replace("sprsound", "simulated sprsound")))
    assert later.test[own].tolist() == [False] * 28 + [True] * 12
    few = TABLE[own].head(10)
    with pytest.raises(LaennecError, match="5 patients cannot be cut at patients from 1800 on"):
        chronological(few)


def test_a_data_set_that_is_left_out_is_trained_on_by_no_clip() -> None:
    folds = leave_one_out(TABLE)
    assert [fold.name for fold in folds] == list(LUNGS)
    for fold, (train, test) in zip(folds, map(sides, folds), strict=True):
        assert not train["dataset"].eq(fold.name).any()
        assert test["dataset"].eq(fold.name).sum() == (TABLE["dataset"] == fold.name).sum()
        assert set(train["dataset"]) == {*LUNGS, "hf-lung", "not-lung"} - {fold.name}
    assert [bool((TABLE["dataset"][fold.test] == "hls-cmds").any()) for fold in folds] == [False, False, True]


def test_a_single_run_splits_the_first_data_set_and_trains_on_the_others() -> None:
    recipe = load_recipe("recording")
    own, manikin = ((TABLE["dataset"] == name).to_numpy() for name in ("sprsound", "hls-cmds"))
    fold = holdout(TABLE, recipe)
    assert fold.train[~own & ~manikin].all()
    assert not fold.train[manikin].any()
    assert not fold.test[~own].any()
    np.testing.assert_array_equal(fold.train[own], ~fold.test[own])
    assert fold.of(slice(40)).validation is not None
    assert holdout(TABLE, replace(recipe, split="none")).train[own].all()
