"""Age, sex and position on the chest: one parser and check for each."""

import math
import re
from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from numbers import Real
from typing import Any

from laennec.errors import LaennecError
from laennec.labels import POSITIONS, SEXES

OLDEST_YEARS = 130.0  # no one has lived longer; a larger number is a mistake such as months for years
# Spreadsheets, R and Pandas write a missing value in these ways, in any capitals.
MISSING_WORDS = frozenset(("", "na", "n/a", "#n/a", "n.a.", "<na>", "nan", "null"))
# These say of a patient what is not known; elsewhere they may be names.
UNKNOWN_WORDS = MISSING_WORDS | {"none", "unknown", "not known", "u", "-", "?"}
YEARS_OF_UNIT = {"y": 1.0, "m": 1 / 12, "w": 7 / 365.25, "d": 1 / 365.25}
_AGE = re.compile(
    r"([<>≤≥~]?=?)\s*(\d+(?:[.,]\d+)?)\s*"
    r"(y|yr|yrs|year|years|m|mo|mos|mon|month|months|w|wk|wks|week|weeks|d|day|days)?"
    r"\.?\s*(?:old|o)?\s*(\+?)",
    re.ASCII | re.IGNORECASE,
)
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


def is_missing(text: str) -> bool:
    """Whether a cell of a table says that it holds nothing; see `MISSING_WORDS`."""
    return text.strip().lower() in MISSING_WORDS


def check_age(age_years: Any) -> float:
    """Return an age in years, 0 to 130, or NaN where it is not known; a number as text is taken.

    Else LaennecError, as for the checks below. :func:`read_age` takes other units too.
    """
    if is_unknown(age_years):
        return math.nan
    try:
        if isinstance(age_years, bool) or not isinstance(age_years, str | Real):
            raise ValueError
        age = float(age_years)
    except (ValueError, TypeError, OverflowError):
        shown = repr(age_years)[:40]
        raise LaennecError(f"age is {shown}; expected years as a number, or nothing") from None
    if not 0 <= age <= OLDEST_YEARS:  # NaN is none
        raise LaennecError(f"age is {age:g} years; expected 0 to {OLDEST_YEARS:g}, or nothing")
    return age


def read_age(text: str | None) -> tuple[float, str]:
    """Return the age in years that a table's cell says, and a remark where it is no plain number of years.

    ``4m``, ``4 months``, ``3 weeks`` become years; ``65+`` and ``>89`` become the number; ``<1``, of years or
    of a shorter unit, becomes half of it. NaN and errors are as :func:`check_age` has them.
    """
    match = _AGE.fullmatch(text.strip()) if text else None
    if match is None:
        return check_age(text), ""
    sign, number, unit, more = match.groups()
    unit = (unit or "y")[0].lower()
    years = float(number.replace(",", ".")) * YEARS_OF_UNIT[unit]
    if sign.startswith(("<", "≤")):
        if years > 1:
            raise LaennecError(f"age is {text!r}; expected years as a number, or nothing")
        years /= 2
    age_years = check_age(years)
    is_plain = unit == "y" and not sign and not more
    return age_years, "" if is_plain else f"age {text!r} is taken for {age_years:.3g} years"


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
