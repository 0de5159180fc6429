"""Age, sex and position on the chest: one parser and check for each."""

import math
import re
from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from numbers import Real
from typing import Any, NamedTuple

from laennec.errors import LaennecError, shown
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


class ChestPlace(NamedTuple):
    """Where a chest piece lies, for a drawing.

    `x` goes from -1, the patient's right edge of the chest, to 1, the left one; `y` from 0 at the shoulders
    to 1 at the lowest rib. `spellings` are those of data sets, in small letters with hyphens.
    """

    face: str  # front or back
    x: float
    y: float
    spellings: tuple[str, ...] = ()


def _heights(side: str, area: str, x: float, face: str) -> dict[str, ChestPlace]:
    """Upper, middle and lower, as KAUH (``P L U`` or ``P U L``) and HLS-CMDS (``LUP``) write them."""
    s, a = side[0], area[0]
    places = {}
    for height, y in (("upper", 0.24), ("middle", 0.46), ("lower", 0.7)):
        h = height[0]
        written = dict.fromkeys((f"{a}-{s}-{h}", f"{a}-{h}-{s}", f"{s}{h}{a}"))
        places[f"{side}-{area}-{height}"] = ChestPlace(face, x, y, tuple(written))
    return places


# Every place on a chest that a data set names: SPRSound's p1 to p4, ICBHI's Tc to Lr, KAUH's, HLS-CMDS's. A
# lateral place would suit both faces; it is drawn on the front.
CHEST_PLACES = {
    "trachea": ChestPlace("front", 0.0, 0.03, ("tc",)),
    "left-anterior": ChestPlace("front", 0.45, 0.35, ("al",)),
    "right-anterior": ChestPlace("front", -0.45, 0.35, ("ar",)),
    "left-lateral": ChestPlace("front", 0.86, 0.62, ("p2", "ll")),
    "right-lateral": ChestPlace("front", -0.86, 0.62, ("p4", "lr")),
    "left-posterior": ChestPlace("back", 0.42, 0.58, ("p1", "pl")),
    "right-posterior": ChestPlace("back", -0.42, 0.58, ("p3", "pr")),
    **_heights("left", "anterior", 0.45, "front"),
    **_heights("right", "anterior", -0.45, "front"),
    **_heights("left", "posterior", 0.4, "back"),
    **_heights("right", "posterior", -0.4, "back"),
}
# Words of a place in any order: where in its name the word that is meant stands, if it stands there at all.
PLACE_WORDS = {
    **{word: (0, word) for word in ("left", "right")},
    **{word: (1, word) for word in ("anterior", "posterior", "lateral")},
    "front": (1, "anterior"),
    "back": (1, "posterior"),
    **{word: (2, word) for word in ("upper", "middle", "lower")},
    "mid": (2, "middle"),
    **dict.fromkeys(("lung", "chest", "the", "of", ""), (3, "")),
}
POSITION_SPELLINGS = {
    spelling: name for name, place in CHEST_PLACES.items() for spelling in (name, *place.spellings)
}


@dataclass(frozen=True)
class Patient:
    """What is known of a patient and of where the chest piece lay; None where it is not known.

    Every spelling that the checks below take is taken, else LaennecError; the values kept are years from 0 to
    130, those of :data:`laennec.labels.SEXES`, and those of `CHEST_PLACES` or a model's own `positions`.
    """

    age_years: float | None = None
    sex: str | None = None
    position: str | None = None
    positions: InitVar[Sequence[str]] = ()

    def __post_init__(self, positions: Sequence[str]) -> None:
        age_years = check_age(self.age_years)
        object.__setattr__(self, "age_years", None if math.isnan(age_years) else age_years)
        object.__setattr__(self, "sex", check_sex(self.sex))
        known = tuple(dict.fromkeys((*CHEST_PLACES, *positions)))
        object.__setattr__(self, "position", check_position(self.position, known))

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
        raise LaennecError(f"age is {shown(age_years)}; expected years as a number, or nothing") from None
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
            raise LaennecError(f"age is {shown(text)}; expected years as a number, or nothing")
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
        raise LaennecError(f"sex is {shown(sex)}; expected male or female (m or f), or nothing")
    return known


def check_position(position: Any, positions: Sequence[str] = POSITIONS) -> str | None:
    """Return one of `positions`, or None where it is not known.

    Capitals, blanks and underscores for hyphens are taken, and so is what data sets write (`CHEST_PLACES`),
    such as ``p1`` to ``p4``, and words in another order (`chest_place`). ``left-posterior-lower`` is
    ``left-posterior`` where `positions` are no finer.
    """
    if is_unknown(position):
        return None
    known = nearest_place(chest_place(position) or _hyphened(position), positions)
    if known is None:
        coarse = [place for place in positions if place not in CHEST_PLACES or _coarser(place) == place]
        also = "anterior and posterior also -upper, -middle or -lower; p1 to p4"
        expected = f"{', '.join(coarse)} ({also}), or nothing"
        raise LaennecError(f"position is {shown(position)}; expected {expected}")
    return known


def nearest_place(place: str | None, positions: Sequence[str]) -> str | None:
    """Return a place as one of `positions`, such as a model's: itself, the next coarser, or None."""
    if place is None or place in positions:
        return place
    coarser = _coarser(place)
    return coarser if place in CHEST_PLACES and coarser in positions else None


def _coarser(place: str) -> str:
    """Return a place without upper, middle or lower."""
    return "-".join(place.split("-")[:2])


def chest_place(position: Any) -> str | None:
    """Return the name in `CHEST_PLACES` of a place as any data set writes it, or None where it is none.

    English words for its side, face and height are taken in any order (`PLACE_WORDS`), such as ``lower left
    posterior``: those that name one place. ``upper left`` may be in front or behind, and is none.
    """
    written = _hyphened(position)
    return POSITION_SPELLINGS.get(written) or POSITION_SPELLINGS.get(_in_order(written))


def _in_order(written: str) -> str:
    """Return words as `CHEST_PLACES` has them: side, face, height; empty if two are of one kind."""
    kinds: dict[int, str] = {}
    for word in re.split(r"[-,;./]+", written):
        if word not in PLACE_WORDS:
            return ""
        kind, known = PLACE_WORDS[word]
        if known and kinds.setdefault(kind, known) != known:
            return ""
    return "-".join(kinds[kind] for kind in sorted(kinds))


def _hyphened(position: Any) -> str:
    return re.sub(r"[\s_-]+", "-", str(position).strip().lower())
