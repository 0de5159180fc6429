"""What the name of a recording's file tells of patient, place and device, where it is a data set's.

SPRSound, ICBHI 2017 and KAUH name their files so (the module of each in :mod:`laennec.datasets` cites it). A
name of another form tells nothing.
"""

import re
from dataclasses import asdict, dataclass
from typing import Any

from laennec.annotations import sprsound
from laennec.errors import LaennecError
from laennec.patient import CHEST_PLACES, POSITION_SPELLINGS, Patient, chest_place, read_age

ICBHI = re.compile(
    r"(?P<patient>\d+)_(?P<index>[^_]+)_(?P<location>[A-Z][a-z])_(?P<mode>sc|mc)_(?P<device>\w+)"
)
ICBHI_PLACES = {code: POSITION_SPELLINGS[code.lower()] for code in ("Tc", "Al", "Ar", "Pl", "Pr", "Ll", "Lr")}
KAUH = re.compile(
    r"(?P<filter>[BDE])P(?P<person>\d+)_(?P<diagnosis>[^,]*),(?P<sound>[^,]*),(?P<place>[^,]*),"
    r"(?P<age>[^,]*),(?P<sex>[^,]*)"
)
KAUH_FILTERS = {"B": "bell", "D": "diaphragm", "E": "extended"}


@dataclass(frozen=True)
class Described:
    """What is known of a recording; None where it is not.

    `position` is one of :data:`laennec.patient.CHEST_PLACES`.
    """

    patient: str | None = None
    position: str | None = None
    age_years: float | None = None
    sex: str | None = None
    device: str | None = None

    @property
    def metadata(self) -> dict[str, Any]:
        """Age, sex and position, as far as they are known: what :func:`laennec.analyze` can be given."""
        own = asdict(self)
        return {name: own[name] for name in ("age_years", "sex", "position") if own[name] is not None}


def described(stem: str) -> Described:
    """Read a file name without its suffix; nothing is known of one that is of no data set's form."""
    recording = sprsound.parse_name(stem)
    if recording is not None:
        patient = recording.patient
        return Described(recording.subject, patient.position, patient.age_years, patient.sex)
    cycle = icbhi(stem)
    if cycle is not None:
        place = cycle["location"] if cycle["location"] in CHEST_PLACES else None
        return Described(cycle["subject"], place, device=cycle["device"])
    return kauh(stem) or Described()


def icbhi(stem: str) -> dict[str, str] | None:
    """Read a name of ICBHI's form: subject, location, device; None if it is none.

    A location that no part of the data set has stays as it is written.
    """
    match = ICBHI.fullmatch(stem)
    if match is None:
        return None
    place = match["location"]
    return {
        "subject": match["patient"],
        "location": ICBHI_PLACES.get(place, place),
        "device": match["device"],
    }


def kauh(stem: str) -> Described | None:
    """Read a name of KAUH's form as far as it can be read; None if it is none.

    The patient keeps the ``P`` before the number, since others number their patients too; the filter before
    it is none of the person's.
    """
    match = KAUH.fullmatch(stem)
    if match is None:
        return None
    person, place, device = f"P{match['person']}", chest_place(match["place"]), kauh_device(match)
    try:
        patient = Patient(read_age(match["age"])[0], match["sex"])
    except LaennecError:
        return Described(person, place, device=device)
    return Described(person, place, patient.age_years, patient.sex, device)


def kauh_device(match: re.Match[str]) -> str:
    """Return the stethoscope and its filter that a name of KAUH's form tells."""
    return f"Littmann 3200 {KAUH_FILTERS[match['filter']]}"
