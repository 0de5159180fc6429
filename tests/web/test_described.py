"""What the page knows of a patient from the name of a file."""

import pytest

pytest.importorskip("fastapi")

from laennec.web.described import described


@pytest.mark.parametrize(
    ("stem", "known"),
    [
        ("40996256_4.0_1_p3_107", ("40996256", "right-posterior", 4.0, "female", None)),
        ("101_1b1_Al_sc_Meditron", ("101", "left-anterior", None, None, "Meditron")),
        ("BP7_Asthma,I E W,P L L,70,M", ("P7", "left-posterior-lower", 70.0, "male", "Littmann 3200 bell")),
        ("BP7_Asthma,I E W,knee,young,M", ("P7", None, None, None, "Littmann 3200 bell")),
        ("ward-3", (None,) * 5),
    ],
)
def test_names_of_data_sets_tell_of_patient_and_place(stem: str, known: tuple[object, ...]) -> None:
    assert tuple(described(stem).values()) == known
