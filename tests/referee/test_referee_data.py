"""What the referee learns from a copy of the data set: content, annotations, durations."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pandas")

from laennec.datasets import load
from laennec.datasets.tiny import write_sound, write_text
from laennec.referee import FAULT, NOTE, referee
from laennec.referee.data import matched
from laennec.referee.names import read_names

CYCLES = ((0.0, 1.0, "0\t0"), (1.0, 3.0, "1\t0"), (3.0, 4.5, "0\t1"))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Six recordings in ICBHI's layout, of which 107 has the samples of 101."""
    root = tmp_path / "icbhi"
    for stem in (f"{n}_1b1_Al_sc_Meditron" for n in range(101, 107)):
        folder = root / "ICBHI_final_database"
        write_sound(folder / f"{stem}.wav", 4.6)
        write_text(folder / f"{stem}.txt", "".join(f"{a}\t{b}\t{flags}\n" for a, b, flags in CYCLES))
    twin = root / "ICBHI_final_database" / "107_1b1_Al_sc_Meditron"
    shutil.copy(root / "ICBHI_final_database" / "101_1b1_Al_sc_Meditron.wav", f"{twin}.wav")
    shutil.copy(root / "ICBHI_final_database" / "101_1b1_Al_sc_Meditron.txt", f"{twin}.txt")
    return root


def test_the_same_samples_under_another_name(copy, tmp_path):
    split = tmp_path / "split.txt"
    names = [f"{n}_1b1_Al_sc_Meditron" for n in range(101, 108)]
    split.write_text("".join(f"{name} {'test' if name[:3] >= '105' else 'train'}\n" for name in names))
    report = referee("icbhi", [split], root=copy)
    found = next(each for each in report.findings if each.code == "same-content")
    assert found.severity == FAULT
    assert found.evidence["pairs"] == [["101_1b1_Al_sc_Meditron", "107_1b1_Al_sc_Meditron"]]


@pytest.mark.parametrize("first", [0, 1])
def test_clips_are_matched_by_number_and_their_labels_compared(copy, tmp_path, first):
    path = tmp_path / "answers.csv"
    labels = ["normal", "crackle", "wheeze"]
    rows = [
        [f"{n}_1b1_Al_sc_Meditron_{k + first}", labels[k], labels[k]]
        for n in range(101, 107)
        for k in range(3)
    ]
    rows[4][1] = "both"  # the annotation says crackle
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["name", "label", "pred"], *rows])
    report = referee("icbhi", predictions=path, root=copy)
    found = next(each for each in report.findings if each.code == "other-labels")
    assert (found.severity, found.evidence["names"]) == (FAULT, [rows[4][0]])
    durations = [row for row in report.baselines if "duration" in row["name"]]
    # Each of the three durations has one label: the rule that knows it is right, but for the wrong label.
    assert max(row["scores"]["specificity"] for row in durations) == 1.0
    assert max(row["scores"]["sensitivity"] for row in durations) == pytest.approx(11 / 12)


def test_laennecs_own_names_are_matched(copy):
    clips = load("icbhi", copy)
    names = read_names(clips["clip_id"], "icbhi")
    assert np.array_equal(matched(names, clips), np.arange(len(clips)))


def test_on_real_recordings_an_honest_split_is_clean(real_data, tmp_path):
    """SPRSound's training set, split by patient: nothing is shared, nothing is twice."""
    clips = load("sprsound", real_data / "SPRSound")
    people = sorted(clips["subject"].dropna().unique())
    tested = set(people[::5])
    recordings = clips.drop_duplicates("recording")
    split = tmp_path / "split.csv"
    rows = [
        (name, "test" if subject in tested else "train")
        for name, subject in zip(recordings["recording"], recordings["subject"], strict=True)
    ]
    with split.open("w", newline="") as file:
        csv.writer(file).writerows([("recording", "set"), *rows])
    report = referee("sprsound", [split])
    severities = {each.code: each.severity for each in report.findings}
    assert severities.pop("not-official") == "caution"  # its test recordings are training recordings there
    assert set(severities.values()) <= {NOTE}
