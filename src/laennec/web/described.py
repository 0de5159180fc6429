"""What is known of a recording's patient and place: from the name of a data set's file, or as people say."""

from collections.abc import Mapping
from typing import Any

from laennec.annotations import sprsound
from laennec.datasets import icbhi, kauh
from laennec.errors import LaennecError
from laennec.patient import CHEST_PLACES, check_age, check_position, check_sex

FIELDS = ("patient", "position", "age_years", "sex", "device")
PLACES = tuple(CHEST_PLACES)
LONGEST = 100  # characters


def described(stem: str) -> dict[str, Any]:
    """What a file name without its suffix tells, where it is that of a data set."""
    known = dict.fromkeys(FIELDS)
    recording = sprsound.parse_name(stem)
    if recording is not None:
        patient = recording.patient
        known |= {"patient": recording.subject, "position": patient.position}
        return known | {"age_years": patient.age_years, "sex": patient.sex}
    cycle = icbhi.parse_name(stem)
    if cycle is not None:
        place = cycle["location"] if cycle["location"] in PLACES else None
        return known | {"patient": cycle["subject"], "position": place, "device": cycle["device"]}
    return known | (kauh.parse_name(stem) or {})


def checked(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes of `FIELDS` as they are kept; LaennecError if one cannot be."""
    kept: dict[str, Any] = {}
    for name, value in changes.items():
        match name:
            case "age_years":
                age = check_age(value)
                kept[name] = None if age != age else age
            case "sex":
                kept[name] = check_sex(value)
            case "position":
                kept[name] = check_position(value, PLACES)
            case _:
                kept[name] = _words(name, value)
    return kept


def _words(name: str, value: str | None) -> str | None:
    text = " ".join((value or "").split())
    if len(text) > LONGEST or not text.isprintable():
        raise LaennecError(f"{name} has {len(text)} characters; expected up to {LONGEST} that can be printed")
    return text or None
