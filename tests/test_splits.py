"""Splits keep patients apart, keep classes on both sides, and depend on nothing but seed and clips."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pd = pytest.importorskip("pandas")

from laennec.datasets import splits, sprsound
from laennec.errors import LaennecError
from laennec.labels import SPRSOUND_EVENTS


def table(subjects, labels, split=None):
    clips = pd.DataFrame({"subject": pd.Series(subjects, dtype="object"), "label": labels, "split": split})
    clips["recording"] = [f"r{number}" for number in range(len(clips))]
    clips["clip_id"] = clips["recording"] + "-0-1"
    return clips


def crowd(seed=0, patients=40, clips=600):
    """Patients with unequal numbers of clips and two rare classes, each of two patients."""
    rng = np.random.default_rng(seed)
    subjects = [f"p{int(number)}" for number in patients * rng.random(clips) ** 2]
    labels = list(rng.choice(["Normal", "Fine Crackle", "Wheeze"], clips, p=[0.7, 0.2, 0.1]))
    for label in ("Stridor", "Rhonchi"):
        for _ in range(2):
            subjects.append(f"p{rng.integers(patients)}{label}")
            labels.append(label)
    return table(subjects, labels)


tables = st.lists(
    st.tuples(st.one_of(st.none(), st.sampled_from("abcdefgh")), st.sampled_from(SPRSOUND_EVENTS[:4])),
    min_size=2,
    max_size=60,
).map(lambda rows: table([row[0] for row in rows], [row[1] for row in rows]))


def people(clips):
    return len(set(splits.subject_groups(clips)))


@settings(max_examples=40, deadline=None)
@given(clips=tables, seed=st.integers(0, 5), fraction=st.sampled_from([0.1, 0.3, 0.5]))
def test_holdout_parts_share_no_patient_and_cover_all(clips, seed, fraction):
    if people(clips) < 2:
        with pytest.raises(LaennecError, match="1 patient cannot be dealt into 2 parts"):
            splits.holdout(clips, fraction, seed)
        return
    split = splits.holdout(clips, fraction, seed)
    assert (split.train ^ split.validation).all()
    assert split.train.any()
    assert split.validation.any()
    assert split.shared_subjects == 0
    assert not split.leaks
    splits.refuse_leakage(clips[split.train], clips[split.validation])


@settings(max_examples=25, deadline=None)
@given(clips=tables, seed=st.integers(0, 5), by=st.sampled_from(["subject", "clip"]), order=st.randoms())
def test_holdout_does_not_depend_on_the_order_of_rows(clips, seed, by, order):
    if people(clips) < 2:
        return
    rows = list(range(len(clips)))
    order.shuffle(rows)
    shuffled = clips.iloc[rows]
    one, other = splits.holdout(clips, 0.3, seed, by), splits.holdout(shuffled, 0.3, seed, by)
    assert set(clips["clip_id"][one.validation]) == set(shuffled["clip_id"][other.validation])


@settings(max_examples=25, deadline=None)
@given(clips=tables, folds=st.integers(2, 4), seed=st.integers(0, 3))
def test_folds_are_patient_disjoint_and_hold_each_clip_once(clips, folds, seed):
    if people(clips) < folds:
        with pytest.raises(LaennecError, match="cannot be dealt"):
            splits.kfold(clips, folds, seed)
        return
    drawn = splits.kfold(clips, folds, seed)
    assert len(drawn) == folds
    assert (np.sum([split.validation for split in drawn], axis=0) == 1).all()
    for split in drawn:
        assert split.validation.any()
        assert (split.train ^ split.validation).all()
        splits.refuse_leakage(clips[split.train], clips[split.validation])


@pytest.mark.parametrize("seed", range(5))
def test_holdout_has_its_share_of_clips_and_every_class_on_both_sides(seed):
    clips = crowd(seed)
    split = splits.holdout(clips, 0.3, seed)
    assert split.name == "patient"
    assert split.validation.mean() == pytest.approx(0.3, abs=0.02)
    assert set(clips["label"][split.train]) == set(clips["label"][split.validation]) == set(clips["label"])
    for label in ("Normal", "Fine Crackle", "Wheeze"):
        assert split.validation[clips["label"] == label].mean() == pytest.approx(0.3, abs=0.05)


def test_a_class_of_one_patient_is_trained_on():
    clips = table(["a", "b", "c", "d", "rare"], ["Normal"] * 4 + ["Stridor"])
    for seed in range(5):
        assert splits.holdout(clips, 0.3, seed).train[4]


def test_seeds_differ_and_repeat():
    clips = crowd()
    masks = [splits.holdout(clips, 0.3, seed).validation for seed in (0, 0, 1)]
    assert (masks[0] == masks[1]).all()
    assert (masks[0] != masks[2]).any()


def test_random_split_is_by_clip_and_says_that_it_leaks():
    clips = crowd()
    split = splits.make(clips, "random", 0.3, seed=0)
    assert split.name == "random"
    assert split.validation.sum() == round(0.3 * len(clips))
    shared = set(clips["subject"][split.train]) & set(clips["subject"][split.validation])
    assert split.shared_subjects == len(shared) > 0
    assert split.leaks
    assert "patients are in both parts" in split.notes[0]
    with pytest.raises(
        LaennecError, match=r"patients are both trained and tested on \(.*, …\); split by patient"
    ):
        splits.refuse_leakage(clips[split.train], clips[split.validation])


def test_clips_without_a_patient_stay_with_their_recording():
    clips = table([None] * 6 + ["a", "b"], ["Normal"] * 8)
    clips["recording"] = ["x", "x", "x", "y", "y", "z", "w", "w"]
    split = splits.holdout(clips, 0.4)
    assert set(clips["recording"][:6][split.train[:6]]).isdisjoint(
        clips["recording"][:6][split.validation[:6]]
    )
    (note,) = split.notes
    assert note.startswith(
        "3 of 4 recordings: patient unknown; each such recording counts as a patient of its"
    )


def test_a_recording_of_two_patients_is_refused():
    clips = table(["a", "b"], ["Normal", "Normal"])
    clips["recording"] = "same"
    with pytest.raises(LaennecError, match=r"1 recording is both trained and tested on \(same\)"):
        splits.refuse_leakage(clips[:1], clips[1:])


def test_official_split_counts_patients_in_both():
    parts = ["train", "train", "test-inter", "test-intra", None]
    clips = table(["a", "b", "c", "a", "d"], ["Normal"] * 5, parts)
    split = splits.make(clips, "official")
    assert split.train.tolist() == [True, True, False, False, False]
    assert split.validation.tolist() == [False, False, True, True, False]
    assert split.shared_subjects == 1
    inter = splits.official(clips, "test-inter")
    assert inter.validation.tolist() == [False, False, True, False, False]
    assert not inter.leaks
    with pytest.raises(LaennecError, match="no clip is in the official test split"):
        splits.official(clips[:2])
    with pytest.raises(LaennecError, match="no clip is in the official train split"):
        splits.official(clips[2:])
    with pytest.raises(LaennecError, match="no clip is in the official test-final split"):
        splits.official(clips, "test-final")


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda clips: splits.holdout(clips, 0.0), "test_fraction is 0; expected a number between 0 and 1"),
        (lambda clips: splits.holdout(clips, by="recording"), "by is 'recording'; expected subject or clip"),
        (lambda clips: splits.holdout(clips[:1], by="clip"), "1 clip cannot be split in two"),
        (lambda clips: splits.kfold(clips, 1), "folds is 1; expected 2 or more"),
        (lambda clips: splits.kfold(clips, 5000), "patients cannot be dealt into 5000 parts"),
        (
            lambda clips: splits.make(clips, "lucky"),
            "split is 'lucky'; expected one of patient, random, official",
        ),
    ],
)
def test_wrong_settings_are_said(draw, message):
    with pytest.raises(LaennecError, match=message):
        draw(crowd())


@pytest.mark.real
def test_sprsound_holdout_has_every_class_on_both_sides():
    if not os.environ.get("LAENNEC_DATA"):
        pytest.skip("LAENNEC_DATA does not name the real recordings")
    clips = sprsound.load(Path(os.environ["LAENNEC_DATA"], "SPRSound"))
    for seed in range(5):
        split = splits.holdout(clips, 0.3, seed)
        assert split.validation.mean() == pytest.approx(0.3, abs=0.005)
        assert not split.leaks
        counts = clips["label"][split.validation].value_counts()
        assert set(counts.index) == set(SPRSOUND_EVENTS)
        share = counts / clips["label"].value_counts()
        # Stridor has two patients, of 14 clips and 1: no deal gives both sides their share.
        assert (share.drop("Stridor") - 0.3).abs().max() < 0.1


# Small cohorts --------------------------------------------------------------------------------------------


def small_cohort(sick=7, healthy=16, seed=0):
    rng = np.random.default_rng(seed)
    subjects, labels = [], []
    for number in range(sick + healthy):
        for clip in range(int(rng.integers(3, 30))):
            subjects.append(f"p{number:02d}")
            labels.append("crackle" if number < sick and (clip == 0 or rng.random() < 0.5) else "normal")
    return table(subjects, labels)


@pytest.mark.parametrize("seed", [0, 1])
def test_each_sick_patient_is_in_one_test_fold_and_healthy_ones_are_shared_out(seed):
    clips = small_cohort()
    sick = (clips["label"] == "crackle").to_numpy()
    fold = splits.cohort_folds(clips, sick, 7, seed)
    patients = (
        clips.assign(fold=fold, sick=sick)
        .groupby("subject")
        .agg(folds=("fold", "nunique"), fold=("fold", "first"), sick=("sick", "any"))
    )
    assert (patients["folds"] == 1).all()
    assert patients[patients["sick"]]["fold"].value_counts().tolist() == [1] * 7  # section IV-A
    assert set(patients[~patients["sick"]]["fold"].value_counts()) <= {2, 3}  # 16 over 7
    for test in range(7):
        train, validation, held_out = splits.rotation(fold, test)
        assert (train.astype(int) + validation + held_out == 1).all()
        people_of = [set(clips["subject"][mask]) for mask in (train, validation, held_out)]
        assert not people_of[0] & people_of[1]
        assert not (people_of[0] | people_of[1]) & people_of[2]
        assert all(sick[mask].any() for mask in (train, validation, held_out))


def test_cohort_folds_do_not_depend_on_the_order_of_rows_and_refuse_too_few():
    clips = small_cohort()
    sick = (clips["label"] == "crackle").to_numpy()
    order = np.random.default_rng(3).permutation(len(clips))
    fold = splits.cohort_folds(clips, sick)
    shuffled = splits.cohort_folds(clips.iloc[order].reset_index(drop=True), sick[order])
    assert (shuffled == fold[order]).all()
    with pytest.raises(LaennecError, match="8 folds of 7 patients"):
        splits.cohort_folds(clips, sick, 8)
    with pytest.raises(LaennecError, match="1 patient with the target class"):
        splits.cohort_folds(clips, (clips["subject"] == "p00").to_numpy())


def test_official_disjoint_drops_the_test_clips_of_patients_who_are_trained_on():
    clips = table(
        ["156", "156", "218", "218", "300"], ["normal"] * 5, ["train", "test", "train", "test", "test"]
    )
    whole = splits.make(clips, "official")
    assert whole.shared_subjects == 2
    split = splits.make(clips, "official-disjoint")
    assert split.validation.tolist() == [False, False, False, False, True]
    assert split.train.tolist() == whole.train.tolist()
    assert not split.leaks
    assert split.notes == ("2 test clips of 2 patients were left out, who are trained on: 156, 218",)
    with pytest.raises(LaennecError, match="nothing is left of it"):
        splits.official_disjoint(clips.iloc[:4])
