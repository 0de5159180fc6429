"""Age, sex and position on the chest: one parser and check for each."""

import math
from collections.abc import Sequence

import numpy as np

from laennec.errors import LaennecError
from laennec.labels import POSITIONS

OLDEST_YEARS = 130.0  # no one has lived longer; a larger number is a mistake such as months for years
SEX_SPELLINGS = {"m": "male", "f": "female"}
POSITION_SPELLINGS = {f"p{number}": position for number, position in enumerate(POSITIONS, start=1)}


def check_age(age_years: float | None) -> float:
    """Return an age in years, 0 to 130, or NaN where it is not known (None, NaN).

    Raises
    ------
    LaennecError
        If it is something else.
    """
    if age_years is None:
        return math.nan
    if isinstance(age_years, bool) or not isinstance(age_years, int | float | np.integer | np.floating):
        raise LaennecError(f"age is {age_years!r}; expected years as a number, or nothing")
    if not (math.isnan(age_years) or 0 <= age_years <= OLDEST_YEARS):
        raise LaennecError(f"age is {age_years:g} years; expected 0 to {OLDEST_YEARS:g}, or nothing")
    return float(age_years)


def check_sex(sex: str | None) -> str | None:
    """Return ``male`` or ``female``, or None where it is not known; capitals and ``m``, ``f`` are taken.

    Raises
    ------
    LaennecError
        If it is something else.
    """
    if sex is None:
        return None
    known = str(sex).strip().lower()
    known = SEX_SPELLINGS.get(known, known)
    if known not in SEX_SPELLINGS.values():
        raise LaennecError(f"sex is {sex!r}; expected male or female (m or f), or nothing")
    return known


def check_position(position: str | None, positions: Sequence[str] = POSITIONS) -> str | None:
    """Return one of `positions`, or None where it is not known.

    Capitals, blanks and underscores for hyphens are taken, and so are ``p1`` to ``p4``, as SPRSound numbers
    left and right posterior and lateral.

    Raises
    ------
    LaennecError
        If it is something else.
    """
    if position is None:
        return None
    known = str(position).strip().lower().replace("_", "-").replace(" ", "-")
    known = POSITION_SPELLINGS.get(known, known)
    if known not in positions:
        raise LaennecError(
            f"position is {position!r}; expected {', '.join(positions)} (p1 to p4), or nothing"
        )
    return known
