"""Age, sex and position on the chest: one parser and check for each."""

import math
from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from numbers import Real
from typing import Any

from laennec.errors import LaennecError
from laennec.labels import POSITIONS, SEXES

OLDEST_YEARS = 130.0  # no one has lived longer; a larger number is a mistake such as months for years
# Spreadsheets, R and Pandas write what is not known in these ways, in any capitals.
UNKNOWN_WORDS = frozenset(("", "na", "n/a", "nan", "none", "null", "unknown", "u"))
SEX_SPELLINGS = {"m": "male", "f": "female"}
POSITION_SPELLINGS = {f"p{number}": position for number, position in enumerate(POSITIONS, start=1)}


@dataclass(frozen=True)
class Patient:
    """What is known of a patient and of where the chest piece lay; None where it is not known.

    Every spelling that the checks below take is taken, else LaennecError; the values kept are years from 0 to
    130, those of :data:`laennec.labels.SEXES`, and those of `positions`, such as a model's.
    """

    age_years: float | None = None
    sex: str | None = None
    position: str | None = None
    positions: InitVar[Sequence[str]] = POSITIONS

    def __post_init__(self, positions: Sequence[str]) -> None:
        age_years = check_age(self.age_years)
        object.__setattr__(self, "age_years", None if math.isnan(age_years) else age_years)
        object.__setattr__(self, "sex", check_sex(self.sex))
        object.__setattr__(self, "position", check_position(self.position, positions))

    @property
    def known(self) -> bool:
        return self != Patient()


def is_unknown(value: Any) -> bool:
    """Whether a value says that it is not known: None, NaN, Pandas' NA, or one of `UNKNOWN_WORDS`."""
    if isinstance(value, str):
        return value.strip().lower() in UNKNOWN_WORDS
    if value is None or type(value).__name__ == "NAType":  # Pandas is no part of the base install
        return True
    return isinstance(value, Real) and math.isnan(value)


def check_age(age_years: Any) -> float:
    """Return an age in years, 0 to 130, or NaN where it is not known; a number as text is taken.

    Else LaennecError, as for the checks below.
    """
    if is_unknown(age_years):
        return math.nan
    try:
        if isinstance(age_years, bool) or not isinstance(age_years, str | Real):
            raise ValueError
        age = float(age_years)
    except (ValueError, TypeError):
        raise LaennecError(f"age is {age_years!r}; expected years as a number, or nothing") from None
    if not 0 <= age <= OLDEST_YEARS:  # NaN is none
        raise LaennecError(f"age is {age:g} years; expected 0 to {OLDEST_YEARS:g}, or nothing")
    return age


def check_sex(sex: Any) -> str | None:
    """Return ``male`` or ``female``, or None where it is not known; capitals and ``m``, ``f`` are taken."""
    if is_unknown(sex):
        return None
    word = str(sex).strip().lower()
    known = SEX_SPELLINGS.get(word, word)
    if known not in SEXES:
        raise LaennecError(f"sex is {sex!r}; expected male or female (m or f), or nothing")
    return known


def check_position(position: Any, positions: Sequence[str] = POSITIONS) -> str | None:
    """Return one of `positions`, or None where it is not known.

    Capitals, blanks and underscores for hyphens are taken, and so are ``p1`` to ``p4``, as SPRSound numbers
    left and right posterior and lateral.
    """
    if is_unknown(position):
        return None
    word = str(position).strip().lower().replace("_", "-").replace(" ", "-")
    known = POSITION_SPELLINGS.get(word, word)
    if known not in positions:
        raise LaennecError(
            f"position is {position!r}; expected {', '.join(positions)} (p1 to p4), or nothing"
        )
    return known
