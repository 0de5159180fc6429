"""Age, sex and position; the labels' one spelling, tasks and age groups."""

import itertools
import math

import numpy as np
import pytest

pd = pytest.importorskip("pandas")

from laennec.annotations.described import ICBHI_PLACES
from laennec.annotations.sprsound import parse_name
from laennec.errors import LaennecError
from laennec.labels import (
    AGE_GROUPS,
    CHALLENGE_TASKS,
    POSITIONS,
    SPRSOUND_EVENTS,
    SPRSOUND_RECORDS,
    age_group,
    combined_cycle,
    nearest,
    record_label,
    spelling,
    task_class,
    to_icbhi,
    vocabulary_index,
)
from laennec.patient import (
    CHEST_PLACES,
    POSITION_SPELLINGS,
    Patient,
    check_age,
    check_position,
    check_sex,
    chest_place,
    nearest_place,
    read_age,
)


def test_checks_of_metadata() -> None:
    assert np.isnan(check_age(None))
    assert check_age(np.float32(4.5)) == 4.5
    assert check_age(0) == 0
    for wrong in (-1, 500, float("inf")):
        with pytest.raises(LaennecError, match="expected 0 to 130, or nothing"):
            check_age(wrong)
    for wrong in ("four", "4m", True, [4]):
        with pytest.raises(LaennecError, match="expected years as a number, or nothing"):
            check_age(wrong)
    assert check_age(" 4.5 ") == 4.5
    assert [check_sex(sex) for sex in ("M", "female", "f ", None)] == ["male", "female", "female", None]
    with pytest.raises(LaennecError, match="sex is '1'; expected male or female"):
        check_sex("1")
    assert check_position("Left Posterior") == check_position("p1") == "left-posterior"
    assert check_position("right_lateral") == check_position("P4") == "right-lateral"
    assert check_position(None) is None
    with pytest.raises(LaennecError, match="position is 'p5'"):
        check_position("p5")
    for check in (check_age, check_sex, check_position):
        with pytest.raises(LaennecError) as caught:
            check("p" * 5000)
        assert len(str(caught.value)) < 400


def test_a_place_is_known_however_a_data_set_writes_it() -> None:
    codes = ["Tc", "Al", "Ar", "Pl", "Pr", "Ll", "Lr", "p1", "P L L", "A U R", "RUP", "left posterior"]
    assert [chest_place(code) for code in codes] == [
        *("trachea", "left-anterior", "right-anterior", "left-posterior", "right-posterior"),
        *("left-lateral", "right-lateral", "left-posterior", "left-posterior-lower", "right-anterior-upper"),
        *("right-posterior-upper", "left-posterior"),
    ]
    assert chest_place("knee") is None
    assert len(POSITION_SPELLINGS) == sum(1 + len(place.spellings) for place in CHEST_PLACES.values())
    assert set(CHEST_PLACES) >= {*POSITIONS, *ICBHI_PLACES.values()}
    assert check_position("P L L") == "left-posterior"
    with pytest.raises(LaennecError, match="position is 'Tc'"):
        check_position("Tc")


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("posterior left", "left-posterior"),
        ("lower left posterior", "left-posterior-lower"),
        ("Upper, Anterior / RIGHT", "right-anterior-upper"),
        ("right lung, back, mid", "right-posterior-middle"),
        ("front of the left chest", "left-anterior"),
        ("lateral_right", "right-lateral"),
        ("left.lateral", "left-lateral"),
        ("upper left", None),  # in front or behind
        ("lower right lung", None),
        ("left middle", None),
        ("left", None),
        ("posterior", None),
        ("left right posterior", None),
        ("left posterior lateral", None),
        ("left posterior, not lower", None),
        ("upper left lateral", None),  # no data set tells these apart
        ("lung", None),
    ],
)
def test_words_of_a_place_come_in_any_order(written: str, place: str | None) -> None:
    assert chest_place(written) == place
    coarse = "-".join((place or "").split("-")[:2])
    if coarse in POSITIONS:
        assert check_position(written) == coarse
    else:
        with pytest.raises(LaennecError, match="expected left-posterior, left-lateral, right-posterior,"):
            check_position(written)


def test_a_patient_may_have_any_place_and_a_model_takes_the_nearest_that_it_knows() -> None:
    for name, place in CHEST_PLACES.items():
        for written in (name, *place.spellings):
            assert Patient(position=written).position == name
    with pytest.raises(LaennecError) as error:
        Patient(position="knee")
    assert "expected trachea, left-anterior, right-anterior, left-lateral, " in str(error.value)
    assert "left-anterior-upper" not in str(error.value), "it would be thrice as long"
    assert "also -upper, -middle or -lower" in str(error.value)
    wanted = {"left-posterior": "left-posterior", "left-posterior-lower": "left-posterior", "trachea": None}
    assert {name: nearest_place(name, POSITIONS) for name in wanted} == wanted
    assert nearest_place(None, POSITIONS) is None
    assert nearest_place("left-posterior-knee", POSITIONS) is None


def test_the_left_of_a_chest_is_drawn_opposite_to_the_right() -> None:
    for name, place in CHEST_PLACES.items():
        if name.startswith("left"):
            other = CHEST_PLACES[name.replace("left", "right")]
            assert (other.face, other.x, other.y) == (place.face, -place.x, place.y)
            assert place.x > 0


@pytest.mark.parametrize(
    "unknown", [None, math.nan, np.float32("nan"), pd.NA, "", " ", "NA", "nan", "unknown", "U", "N/A", "<NA>"]
)
def test_what_is_not_known_may_be_written_in_many_ways(unknown: object) -> None:
    assert math.isnan(check_age(unknown))
    assert check_sex(unknown) is None
    assert check_position(unknown) is None
    patient = Patient(unknown, unknown, unknown)  # type: ignore[arg-type]
    assert patient == Patient()
    assert not patient.known


@pytest.mark.parametrize(
    ("text", "age_years", "remark"),
    [
        ("4m", 4 / 12, "age '4m' is taken for 0.333 years"),
        ("4 Months", 4 / 12, "age '4 Months' is taken for 0.333 years"),
        ("3 wk", 21 / 365.25, "age '3 wk' is taken for 0.0575 years"),
        ("10 d", 10 / 365.25, "age '10 d' is taken for 0.0274 years"),
        ("<1", 0.5, "age '<1' is taken for 0.5 years"),
        ("< 6 months", 0.25, "age '< 6 months' is taken for 0.25 years"),
        ("65+", 65, "age '65+' is taken for 65 years"),
        ("4 years old", 4, ""),
        ("4y", 4, ""),
        ("4,5", 4.5, ""),
        ("4.5", 4.5, ""),
        ("NA", math.nan, ""),
        (None, math.nan, ""),
    ],
)
def test_ages_in_a_table_may_have_units(text: str | None, age_years: float, remark: str) -> None:
    read, said = read_age(text)
    assert read == pytest.approx(age_years, nan_ok=True)
    assert said == remark


@pytest.mark.parametrize("text", ["<5", "150", "2000 m", "four", "-1", "1e400", "4 parsecs"])
def test_ages_that_cannot_be_told(text: str) -> None:
    with pytest.raises(LaennecError, match=r"age is .*or nothing"):
        read_age(text)


def test_a_patient_is_checked_and_spelt_once() -> None:
    patient = Patient(np.int64(4), "F", "P2")  # type: ignore[arg-type]
    assert patient == Patient(4.0, "female", "left-lateral")
    assert patient.known
    assert Patient(position="Tracheal", positions=("tracheal",)).position == "tracheal"
    for wrong in ({"age_years": 131}, {"sex": "x"}, {"position": "knee"}):
        with pytest.raises(LaennecError, match="or nothing"):
            Patient(**wrong)


def test_a_place_in_a_vocabulary_counts_from_one() -> None:
    words = ("male", "female")
    assert [vocabulary_index(w, words) for w in ("male", "female", None, math.nan, pd.NA, "x")] == [
        *(1, 2, 0, 0, 0, 0)
    ]


def test_names_of_recordings_and_of_events_cut_out_of_them() -> None:
    whole = parse_name("65039232_6.4_1_p1_373")
    assert whole is not None
    assert (whole.subject, whole.patient, whole.place, whole.rest) == (
        "65039232",
        Patient(6.4, "female", "left-posterior"),
        "p1",
        "",
    )
    event = parse_name("_5.3_0_p8_34877_12")
    assert event is not None
    assert (event.subject, event.patient, event.place, event.rest) == (
        None,
        Patient(5.3, "male"),
        "p8",
        "_12",
    )
    assert parse_name("copy of 1_1_1_p1_1") is None


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("fine crackle", "Fine Crackle"),
        ("FineCrackle", "Fine Crackle"),
        (" wheeze & CRACKLE ", "Wheeze+Crackle"),
        ("Wheeze+Crackle", "Wheeze+Crackle"),
        ("crackle", None),
        ("", None),
    ],
)
def test_one_spelling_of_a_label(label: str, expected: str | None) -> None:
    assert spelling(label, SPRSOUND_EVENTS) == expected


def test_spellings_of_other_vocabularies() -> None:
    assert spelling("cas&das", SPRSOUND_RECORDS) == "CAS & DAS"
    assert spelling("Both", ["normal", "both"]) == "both"
    assert [to_icbhi(label) for label in ("Wheeze & Crackle", "FINE crackle", "Crackle", "cough")] == [
        *("both", "crackle", "crackle", None)
    ]


@pytest.mark.parametrize(
    ("label", "word"),
    [
        *(
            ("Weeze", "Wheeze"),
            ("fine crackel", "Fine Crackle"),
            ("Ronchi", "Rhonchi"),
            ("Crackles", "Crackle"),
        ),
        *((known, None) for known in ("wheeze", "Wheeze & Crackle", "CAS", "both", "Crackle", "normal")),
        *((other, None) for other in ("abnormal", "not normal", "snoring", "I", "D", "cough", "Squawk")),
    ],
)
def test_a_slip_of_a_label_has_its_nearest_word(label: str, word: str | None) -> None:
    assert nearest(label) == word


def test_tasks_sort_every_label_once() -> None:
    for task, classes in CHALLENGE_TASKS.items():
        labels = [label for members in classes.values() for label in members]
        assert sorted(labels) == sorted(SPRSOUND_EVENTS if task < 20 else SPRSOUND_RECORDS)
    assert task_class(11, "Stridor") == "Adventitious"
    assert task_class(21, "Poor Quality") == "Poor Quality"
    with pytest.raises(ValueError, match="unknown label 'CAS' in task 12; expected one of Normal, Rhonchi"):
        task_class(12, "CAS")


def test_labels_of_recordings_follow_from_their_events() -> None:
    assert record_label([]) == record_label(["Normal"]) == "Normal"
    assert record_label(["Normal", "Stridor"]) == "CAS"
    assert record_label(["Fine Crackle", "Wheeze"]) == record_label(["Wheeze+Crackle"]) == "CAS & DAS"
    assert combined_cycle(["normal", "crackle", "wheeze"]) == combined_cycle(["both"]) == "both"
    assert combined_cycle(["normal"]) == "normal"


def test_age_groups_leave_no_gap() -> None:
    bounds = list(AGE_GROUPS.values())
    assert bounds[0][0] == 0
    assert all(one[1] == other[0] for one, other in itertools.pairwise(bounds))
    assert [age_group(age) for age in (0, 0.99, 1, 17.9, 18, 65, 130, math.nan)] == [
        *("under 1", "under 1", "1 to 2", "12 to 17", "18 to 64", "65 and over", "65 and over", None)
    ]
