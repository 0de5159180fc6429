"""SPRSound's annotations: what its file names tell.

File names are ``patient_age_sex_location_number``; sex is 0 male, 1 female; locations are p1 left posterior,
p2 left lateral, p3 right posterior, p4 right lateral, and p5 to p8 since 2024 (undocumented, kept as they
are). Since 2024 the patient number can be empty; such a recording has no subject.

Source: Zhang et al., IEEE TBioCAS 16(5), 2022, section II; the repository's README.
"""

import re
from dataclasses import dataclass

from laennec.labels import SEXES
from laennec.patient import OLDEST_YEARS, POSITION_SPELLINGS, Patient

FILE_NAME = re.compile(
    r"(?P<patient>\d*)_(?P<age>\d+(?:\.\d+)?)_(?P<sex>[01])_(?P<place>p\d)_(?P<number>\d+)(?!\d)"
)


@dataclass(frozen=True)
class RecordingName:
    """What a file name of SPRSound's form tells.

    Attributes
    ----------
    subject : str or None
        The patient's number; None where it is empty.
    patient : Patient
        Its position is None for p5 to p8, which are described nowhere.
    place : str
        ``p1`` to ``p8``.
    rest : str
        What follows the number: a cut event adds to its recording's name. Empty for a recording.
    """

    subject: str | None
    patient: Patient
    place: str
    rest: str


def parse_name(stem: str) -> RecordingName | None:
    """Read a file name without its suffix; None if it is not of SPRSound's form."""
    match = FILE_NAME.match(stem)
    if match is None:
        return None
    age_years = float(match["age"])
    patient = Patient(
        age_years if age_years <= OLDEST_YEARS else None,
        SEXES[int(match["sex"])],
        POSITION_SPELLINGS.get(match["place"]),
    )
    return RecordingName(match["patient"] or None, patient, match["place"], stem[match.end() :])
