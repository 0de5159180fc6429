"""What people say of a recording's patient and place, as it is kept."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from laennec.annotations.described import Described
from laennec.errors import LaennecError
from laennec.patient import CHEST_PLACES, check_age, check_position, check_sex
from laennec.web.wrong import WrongValueError

FIELDS = tuple(field.name for field in fields(Described))
PLACES = tuple(CHEST_PLACES)
LONGEST = 100  # characters


def checked(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes of `FIELDS` as they are kept; WrongValueError if one cannot be."""
    try:
        return _checked(changes)
    except LaennecError as error:
        raise WrongValueError(str(error)) from error


def _checked(changes: Mapping[str, Any]) -> dict[str, Any]:
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
